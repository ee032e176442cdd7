/* Where control sockets are. */
#ifndef OPS_CONTROL_PATH_H
#define OPS_CONTROL_PATH_H

#include <stddef.h>
#include <sys/types.h>
#include <sys/un.h>

#define CONTROL_PATH_BYTES sizeof(((struct sockaddr_un *)0)->sun_path)
#define CONTROL_FOLDERS 3

/* The path for this process's own socket, with its folder made: in $XDG_RUNTIME_DIR, or
 * where that is not possible in /tmp. 0 or a code, with the reason in the chain. */
int control_path_make(char *path, size_t size);
/* The folders in which a user's sockets may be, by index from 0 on. 0, -ENAMETOOLONG (the
 * next one may do), or -ENOENT: there are no more. */
int control_folder_of(uid_t uid, unsigned index, char *path, size_t size);
/* Make the folder, 0700, or see that the one that is there is a folder of ours that nobody
 * else may enter, and no link to one. 0 or a code, with the reason in the chain. */
int control_folder_make(const char *path);
/* PID.sock in a folder; 0 or -ENAMETOOLONG. */
int control_socket_path(const char *folder, pid_t pid, char *path, size_t size);

#endif
