/* System calls that fail when a test says so.
 *
 * Linked with --wrap for each call, so that those of the library come here first; which
 * one of a kind fails, with what, is set for one run in one process. */
#ifndef FAULTS_CALLS_H
#define FAULTS_CALLS_H

#include <stdbool.h>

enum call_kind {
    CALL_ACCEPT4,
    CALL_BIND,
    CALL_CHMOD,
    CALL_CONNECT,
    CALL_EPOLL_CREATE1,
    CALL_EPOLL_CTL,
    CALL_EPOLL_WAIT,
    CALL_EVENTFD,
    CALL_FDATASYNC,
    CALL_FSTAT,
    CALL_FSTATAT,
    CALL_FSYNC,
    CALL_FTRUNCATE,
    CALL_GETSOCKNAME,
    CALL_GETSOCKOPT,
    CALL_INOTIFY_ADD_WATCH,
    CALL_INOTIFY_INIT1,
    CALL_IO_URING_QUEUE_INIT_PARAMS,
    CALL_IO_URING_REGISTER_BUF_RING,
    CALL_IO_URING_SUBMIT,
    CALL_IO_URING_SUBMIT_AND_GET_EVENTS,
    CALL_IO_URING_SUBMIT_AND_WAIT_TIMEOUT,
    CALL_LISTEN,
    CALL_LSTAT,
    CALL_MADVISE,
    CALL_MKDIR,
    CALL_MMAP,
    CALL_MPROTECT,
    CALL_OPEN,
    CALL_OPENDIR,
    CALL_PIDFD_OPEN,
    CALL_PIPE2,
    CALL_POSIX_SPAWNP,
    CALL_PREAD,
    CALL_PTHREAD_CREATE,
    CALL_PWRITE,
    CALL_READ,
    CALL_READDIR,
    CALL_RECV,
    CALL_RECVMMSG,
    CALL_RECVMSG,
    CALL_RENAME,
    CALL_RMDIR,
    CALL_SEND,
    CALL_SENDMMSG,
    CALL_SENDMSG,
    CALL_SETSOCKOPT,
    CALL_SHUTDOWN,
    CALL_SIGACTION,
    CALL_SIGALTSTACK,
    CALL_SOCKET,
    CALL_STAT,
    CALL_TIMERFD_CREATE,
    CALL_TIMERFD_SETTIME,
    CALL_UNLINK,
    CALL_WAITID,
    CALL_WRITE,
    CALL_KINDS
};

const char *call_name(enum call_kind kind);
/* From now on the nth call of this kind, from 1, fails with this errno, and all after
 * it when told so; 0: none does. */
void call_fail(enum call_kind kind, int nth, int code, bool for_ever);
/* Is this call to fail? errno is set then. */
bool call_fails(enum call_kind kind);
/* How many have failed since. */
int call_failed(void);

#endif
