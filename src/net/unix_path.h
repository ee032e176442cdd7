/* The file of a unix socket that is listened on. */
#ifndef NET_UNIX_PATH_H
#define NET_UNIX_PATH_H

#include <stdbool.h>
#include <sys/types.h>

#include "net/addr.h"

/* Which file it is; all zero: none. */
struct unix_path {
    dev_t device;
    ino_t inode;
};

/* An address is in use: take away the file that a process has left there which
 * does not run any more. 0: it is free now, or -EADDRINUSE when somebody answers,
 * or the file is no socket: with a sentence that says which. */
int unix_path_clear(const struct addr *addr);

/* A socket listens there now: note which file it is, and give it this mode (0:
 * leave it). 0 or -errno. */
int unix_path_claim(const struct addr *addr, mode_t mode, struct unix_path *ret_path);

/* Take the file away, if it is still the one that was claimed. */
void unix_path_release(const struct addr *addr, struct unix_path *path);

#endif
