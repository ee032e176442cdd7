/* See calls.h; files, processes and threads are in calls_more.c. Each wrapper has the prototype of its call, under the names that the
 * linker gives: __wrap_X is called for X, and __real_X is X. */
#include "faults/calls.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

static struct {
    enum call_kind kind;
    int nth, code;
    bool for_ever;
    atomic_int seen, failed;
} fault;

static const char *const names[CALL_KINDS] = {
    [CALL_ACCEPT4] = "accept4",
    [CALL_BIND] = "bind",
    [CALL_CHMOD] = "chmod",
    [CALL_CONNECT] = "connect",
    [CALL_EPOLL_CREATE1] = "epoll_create1",
    [CALL_EPOLL_CTL] = "epoll_ctl",
    [CALL_EPOLL_WAIT] = "epoll_wait",
    [CALL_EVENTFD] = "eventfd",
    [CALL_FDATASYNC] = "fdatasync",
    [CALL_FSTAT] = "fstat",
    [CALL_FSTATAT] = "fstatat",
    [CALL_FSYNC] = "fsync",
    [CALL_FTRUNCATE] = "ftruncate",
    [CALL_GETSOCKNAME] = "getsockname",
    [CALL_GETSOCKOPT] = "getsockopt",
    [CALL_INOTIFY_ADD_WATCH] = "inotify_add_watch",
    [CALL_INOTIFY_INIT1] = "inotify_init1",
    [CALL_IO_URING_QUEUE_INIT_PARAMS] = "io_uring_queue_init_params",
    [CALL_IO_URING_REGISTER_BUF_RING] = "io_uring_register_buf_ring",
    [CALL_IO_URING_SUBMIT] = "io_uring_submit",
    [CALL_IO_URING_SUBMIT_AND_GET_EVENTS] = "io_uring_submit_and_get_events",
    [CALL_IO_URING_SUBMIT_AND_WAIT_TIMEOUT] = "io_uring_submit_and_wait_timeout",
    [CALL_LISTEN] = "listen",
    [CALL_LSTAT] = "lstat",
    [CALL_MADVISE] = "madvise",
    [CALL_MKDIR] = "mkdir",
    [CALL_MMAP] = "mmap",
    [CALL_MPROTECT] = "mprotect",
    [CALL_OPEN] = "open",
    [CALL_OPENDIR] = "opendir",
    [CALL_PIDFD_OPEN] = "pidfd_open",
    [CALL_PIPE2] = "pipe2",
    [CALL_POSIX_SPAWNP] = "posix_spawnp",
    [CALL_PREAD] = "pread",
    [CALL_PTHREAD_CREATE] = "pthread_create",
    [CALL_PWRITE] = "pwrite",
    [CALL_READ] = "read",
    [CALL_READDIR] = "readdir",
    [CALL_RECV] = "recv",
    [CALL_RECVMMSG] = "recvmmsg",
    [CALL_RECVMSG] = "recvmsg",
    [CALL_RENAME] = "rename",
    [CALL_RMDIR] = "rmdir",
    [CALL_SEND] = "send",
    [CALL_SENDMMSG] = "sendmmsg",
    [CALL_SENDMSG] = "sendmsg",
    [CALL_SETSOCKOPT] = "setsockopt",
    [CALL_SHUTDOWN] = "shutdown",
    [CALL_SIGACTION] = "sigaction",
    [CALL_SIGALTSTACK] = "sigaltstack",
    [CALL_SOCKET] = "socket",
    [CALL_STAT] = "stat",
    [CALL_TIMERFD_CREATE] = "timerfd_create",
    [CALL_TIMERFD_SETTIME] = "timerfd_settime",
    [CALL_UNLINK] = "unlink",
    [CALL_WAITID] = "waitid",
    [CALL_WRITE] = "write",
};

const char *call_name(enum call_kind kind)
{
    return names[kind];
}

void call_fail(enum call_kind kind, int nth, int code, bool for_ever)
{
    fault.kind = kind;
    fault.nth = nth;
    fault.code = code;
    fault.for_ever = for_ever;
    atomic_store(&fault.seen, 0);
    atomic_store(&fault.failed, 0);
}

int call_failed(void)
{
    return atomic_load(&fault.failed);
}

bool call_fails(enum call_kind kind)
{
    int seen;

    if (fault.nth == 0 || kind != fault.kind)
        return false;
    seen = atomic_fetch_add(&fault.seen, 1) + 1;
    if (seen < fault.nth || (seen > fault.nth && !fault.for_ever))
        return false;
    atomic_fetch_add(&fault.failed, 1);
    errno = fault.code;
    return true;
}

int __real_accept4(int a, struct sockaddr *b, socklen_t *c, int d);
int __wrap_accept4(int a, struct sockaddr *b, socklen_t *c, int d);
int __wrap_accept4(int a, struct sockaddr *b, socklen_t *c, int d)
{
    return call_fails(CALL_ACCEPT4) ? -1 : __real_accept4(a, b, c, d);
}

int __real_bind(int a, const struct sockaddr *b, socklen_t c);
int __wrap_bind(int a, const struct sockaddr *b, socklen_t c);
int __wrap_bind(int a, const struct sockaddr *b, socklen_t c)
{
    return call_fails(CALL_BIND) ? -1 : __real_bind(a, b, c);
}

int __real_connect(int a, const struct sockaddr *b, socklen_t c);
int __wrap_connect(int a, const struct sockaddr *b, socklen_t c);
int __wrap_connect(int a, const struct sockaddr *b, socklen_t c)
{
    return call_fails(CALL_CONNECT) ? -1 : __real_connect(a, b, c);
}

int __real_epoll_create1(int a);
int __wrap_epoll_create1(int a);
int __wrap_epoll_create1(int a)
{
    return call_fails(CALL_EPOLL_CREATE1) ? -1 : __real_epoll_create1(a);
}

int __real_epoll_ctl(int a, int b, int c, struct epoll_event *d);
int __wrap_epoll_ctl(int a, int b, int c, struct epoll_event *d);
int __wrap_epoll_ctl(int a, int b, int c, struct epoll_event *d)
{
    return call_fails(CALL_EPOLL_CTL) ? -1 : __real_epoll_ctl(a, b, c, d);
}

int __real_epoll_wait(int a, struct epoll_event *b, int c, int d);
int __wrap_epoll_wait(int a, struct epoll_event *b, int c, int d);
int __wrap_epoll_wait(int a, struct epoll_event *b, int c, int d)
{
    return call_fails(CALL_EPOLL_WAIT) ? -1 : __real_epoll_wait(a, b, c, d);
}

int __real_eventfd(unsigned a, int b);
int __wrap_eventfd(unsigned a, int b);
int __wrap_eventfd(unsigned a, int b)
{
    return call_fails(CALL_EVENTFD) ? -1 : __real_eventfd(a, b);
}

int __real_getsockname(int a, struct sockaddr *b, socklen_t *c);
int __wrap_getsockname(int a, struct sockaddr *b, socklen_t *c);
int __wrap_getsockname(int a, struct sockaddr *b, socklen_t *c)
{
    return call_fails(CALL_GETSOCKNAME) ? -1 : __real_getsockname(a, b, c);
}

int __real_getsockopt(int a, int b, int c, void *d, socklen_t *e);
int __wrap_getsockopt(int a, int b, int c, void *d, socklen_t *e);
int __wrap_getsockopt(int a, int b, int c, void *d, socklen_t *e)
{
    return call_fails(CALL_GETSOCKOPT) ? -1 : __real_getsockopt(a, b, c, d, e);
}

int __real_listen(int a, int b);
int __wrap_listen(int a, int b);
int __wrap_listen(int a, int b)
{
    return call_fails(CALL_LISTEN) ? -1 : __real_listen(a, b);
}

int __real_madvise(void *a, size_t b, int c);
int __wrap_madvise(void *a, size_t b, int c);
int __wrap_madvise(void *a, size_t b, int c)
{
    return call_fails(CALL_MADVISE) ? -1 : __real_madvise(a, b, c);
}

void *__real_mmap(void *a, size_t b, int c, int d, int e, off_t f);
void *__wrap_mmap(void *a, size_t b, int c, int d, int e, off_t f);
void *__wrap_mmap(void *a, size_t b, int c, int d, int e, off_t f)
{
    return call_fails(CALL_MMAP) ? MAP_FAILED : __real_mmap(a, b, c, d, e, f);
}

int __real_mprotect(void *a, size_t b, int c);
int __wrap_mprotect(void *a, size_t b, int c);
int __wrap_mprotect(void *a, size_t b, int c)
{
    return call_fails(CALL_MPROTECT) ? -1 : __real_mprotect(a, b, c);
}

ssize_t __real_recv(int a, void *b, size_t c, int d);
ssize_t __wrap_recv(int a, void *b, size_t c, int d);
ssize_t __wrap_recv(int a, void *b, size_t c, int d)
{
    return call_fails(CALL_RECV) ? -1 : __real_recv(a, b, c, d);
}

ssize_t __real_send(int a, const void *b, size_t c, int d);
ssize_t __wrap_send(int a, const void *b, size_t c, int d);
ssize_t __wrap_send(int a, const void *b, size_t c, int d)
{
    return call_fails(CALL_SEND) ? -1 : __real_send(a, b, c, d);
}

ssize_t __real_sendmsg(int a, const struct msghdr *b, int c);
ssize_t __wrap_sendmsg(int a, const struct msghdr *b, int c);
ssize_t __wrap_sendmsg(int a, const struct msghdr *b, int c)
{
    return call_fails(CALL_SENDMSG) ? -1 : __real_sendmsg(a, b, c);
}

int __real_setsockopt(int a, int b, int c, const void *d, socklen_t e);
int __wrap_setsockopt(int a, int b, int c, const void *d, socklen_t e);
int __wrap_setsockopt(int a, int b, int c, const void *d, socklen_t e)
{
    return call_fails(CALL_SETSOCKOPT) ? -1 : __real_setsockopt(a, b, c, d, e);
}

int __real_shutdown(int a, int b);
int __wrap_shutdown(int a, int b);
int __wrap_shutdown(int a, int b)
{
    return call_fails(CALL_SHUTDOWN) ? -1 : __real_shutdown(a, b);
}

int __real_socket(int a, int b, int c);
int __wrap_socket(int a, int b, int c);
int __wrap_socket(int a, int b, int c)
{
    return call_fails(CALL_SOCKET) ? -1 : __real_socket(a, b, c);
}
