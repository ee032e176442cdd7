/* Files: what their parts share. Everything here runs on a thread of the pool for
 * files, but for file_call(); system calls are repeated when a signal interrupts
 * them, and go through the hook for faults. */
#ifndef NET_FILE_H
#define NET_FILE_H

#include <sys/stat.h>

#include <weir/file.h>

#include "rt/rt.h"

/* Run fn on the pool for files. */
int file_call(weir_fn *fn, void *arg);

/* All return -errno on failure. */
int sys_open(const char *path, int flags, uint32_t mode);
/* offset < 0: at the file's own position. */
ssize_t sys_read(int fd, void *buf, size_t len, int64_t offset);
/* All of it, or what went before a failure. */
ssize_t sys_write(int fd, const char *bytes, size_t len, int64_t offset);
int sys_sync(int fd, bool data_only);

void file_info(const struct stat *from, weir_file_info *ret_info);

#endif
