/* The calls of files, processes, datagrams, threads and io_uring; see calls.h. */
#include "faults/calls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

int __real_chmod(const char *a, mode_t b);
int __wrap_chmod(const char *a, mode_t b);
int __wrap_chmod(const char *a, mode_t b)
{
    return call_fails(CALL_CHMOD) ? -1 : __real_chmod(a, b);
}

int __real_fdatasync(int a);
int __wrap_fdatasync(int a);
int __wrap_fdatasync(int a)
{
    return call_fails(CALL_FDATASYNC) ? -1 : __real_fdatasync(a);
}

int __real_fstat(int a, struct stat *b);
int __wrap_fstat(int a, struct stat *b);
int __wrap_fstat(int a, struct stat *b)
{
    return call_fails(CALL_FSTAT) ? -1 : __real_fstat(a, b);
}

int __real_fstatat(int a, const char *b, struct stat *c, int d);
int __wrap_fstatat(int a, const char *b, struct stat *c, int d);
int __wrap_fstatat(int a, const char *b, struct stat *c, int d)
{
    return call_fails(CALL_FSTATAT) ? -1 : __real_fstatat(a, b, c, d);
}

int __real_fsync(int a);
int __wrap_fsync(int a);
int __wrap_fsync(int a)
{
    return call_fails(CALL_FSYNC) ? -1 : __real_fsync(a);
}

int __real_ftruncate(int a, off_t b);
int __wrap_ftruncate(int a, off_t b);
int __wrap_ftruncate(int a, off_t b)
{
    return call_fails(CALL_FTRUNCATE) ? -1 : __real_ftruncate(a, b);
}

int __real_inotify_add_watch(int a, const char *b, uint32_t c);
int __wrap_inotify_add_watch(int a, const char *b, uint32_t c);
int __wrap_inotify_add_watch(int a, const char *b, uint32_t c)
{
    return call_fails(CALL_INOTIFY_ADD_WATCH) ? -1 : __real_inotify_add_watch(a, b, c);
}

int __real_inotify_init1(int a);
int __wrap_inotify_init1(int a);
int __wrap_inotify_init1(int a)
{
    return call_fails(CALL_INOTIFY_INIT1) ? -1 : __real_inotify_init1(a);
}

int __real_lstat(const char *a, struct stat *b);
int __wrap_lstat(const char *a, struct stat *b);
int __wrap_lstat(const char *a, struct stat *b)
{
    return call_fails(CALL_LSTAT) ? -1 : __real_lstat(a, b);
}

int __real_mkdir(const char *a, mode_t b);
int __wrap_mkdir(const char *a, mode_t b);
int __wrap_mkdir(const char *a, mode_t b)
{
    return call_fails(CALL_MKDIR) ? -1 : __real_mkdir(a, b);
}

DIR *__real_opendir(const char *a);
DIR *__wrap_opendir(const char *a);
DIR *__wrap_opendir(const char *a)
{
    return call_fails(CALL_OPENDIR) ? NULL : __real_opendir(a);
}

int __real_pipe2(int *a, int b);
int __wrap_pipe2(int *a, int b);
int __wrap_pipe2(int *a, int b)
{
    return call_fails(CALL_PIPE2) ? -1 : __real_pipe2(a, b);
}

int __real_posix_spawnp(pid_t *a, const char *b, const posix_spawn_file_actions_t *c,
                        const posix_spawnattr_t *d, char *const *e, char *const *f);
int __wrap_posix_spawnp(pid_t *a, const char *b, const posix_spawn_file_actions_t *c,
                        const posix_spawnattr_t *d, char *const *e, char *const *f);
int __wrap_posix_spawnp(pid_t *a, const char *b, const posix_spawn_file_actions_t *c,
                        const posix_spawnattr_t *d, char *const *e, char *const *f)
{
    return call_fails(CALL_POSIX_SPAWNP) ? errno : __real_posix_spawnp(a, b, c, d, e, f);
}

ssize_t __real_pread(int a, void *b, size_t c, off_t d);
ssize_t __wrap_pread(int a, void *b, size_t c, off_t d);
ssize_t __wrap_pread(int a, void *b, size_t c, off_t d)
{
    return call_fails(CALL_PREAD) ? -1 : __real_pread(a, b, c, d);
}

int __real_pthread_create(pthread_t *a, const pthread_attr_t *b, void *(*c)(void *), void *d);
int __wrap_pthread_create(pthread_t *a, const pthread_attr_t *b, void *(*c)(void *), void *d);
int __wrap_pthread_create(pthread_t *a, const pthread_attr_t *b, void *(*c)(void *), void *d)
{
    return call_fails(CALL_PTHREAD_CREATE) ? errno : __real_pthread_create(a, b, c, d);
}

ssize_t __real_pwrite(int a, const void *b, size_t c, off_t d);
ssize_t __wrap_pwrite(int a, const void *b, size_t c, off_t d);
ssize_t __wrap_pwrite(int a, const void *b, size_t c, off_t d)
{
    return call_fails(CALL_PWRITE) ? -1 : __real_pwrite(a, b, c, d);
}

ssize_t __real_read(int a, void *b, size_t c);
ssize_t __wrap_read(int a, void *b, size_t c);
ssize_t __wrap_read(int a, void *b, size_t c)
{
    return call_fails(CALL_READ) ? -1 : __real_read(a, b, c);
}

struct dirent *__real_readdir(DIR *a);
struct dirent *__wrap_readdir(DIR *a);
struct dirent *__wrap_readdir(DIR *a)
{
    return call_fails(CALL_READDIR) ? NULL : __real_readdir(a);
}

int __real_recvmmsg(int a, struct mmsghdr *b, unsigned c, int d, struct timespec *e);
int __wrap_recvmmsg(int a, struct mmsghdr *b, unsigned c, int d, struct timespec *e);
int __wrap_recvmmsg(int a, struct mmsghdr *b, unsigned c, int d, struct timespec *e)
{
    return call_fails(CALL_RECVMMSG) ? -1 : __real_recvmmsg(a, b, c, d, e);
}

ssize_t __real_recvmsg(int a, struct msghdr *b, int c);
ssize_t __wrap_recvmsg(int a, struct msghdr *b, int c);
ssize_t __wrap_recvmsg(int a, struct msghdr *b, int c)
{
    return call_fails(CALL_RECVMSG) ? -1 : __real_recvmsg(a, b, c);
}

int __real_rename(const char *a, const char *b);
int __wrap_rename(const char *a, const char *b);
int __wrap_rename(const char *a, const char *b)
{
    return call_fails(CALL_RENAME) ? -1 : __real_rename(a, b);
}

int __real_rmdir(const char *a);
int __wrap_rmdir(const char *a);
int __wrap_rmdir(const char *a)
{
    return call_fails(CALL_RMDIR) ? -1 : __real_rmdir(a);
}

int __real_sendmmsg(int a, struct mmsghdr *b, unsigned c, int d);
int __wrap_sendmmsg(int a, struct mmsghdr *b, unsigned c, int d);
int __wrap_sendmmsg(int a, struct mmsghdr *b, unsigned c, int d)
{
    return call_fails(CALL_SENDMMSG) ? -1 : __real_sendmmsg(a, b, c, d);
}

int __real_sigaction(int a, const struct sigaction *b, struct sigaction *c);
int __wrap_sigaction(int a, const struct sigaction *b, struct sigaction *c);
int __wrap_sigaction(int a, const struct sigaction *b, struct sigaction *c)
{
    return call_fails(CALL_SIGACTION) ? -1 : __real_sigaction(a, b, c);
}

int __real_sigaltstack(const stack_t *a, stack_t *b);
int __wrap_sigaltstack(const stack_t *a, stack_t *b);
int __wrap_sigaltstack(const stack_t *a, stack_t *b)
{
    return call_fails(CALL_SIGALTSTACK) ? -1 : __real_sigaltstack(a, b);
}

int __real_stat(const char *a, struct stat *b);
int __wrap_stat(const char *a, struct stat *b);
int __wrap_stat(const char *a, struct stat *b)
{
    return call_fails(CALL_STAT) ? -1 : __real_stat(a, b);
}

int __real_timerfd_create(int a, int b);
int __wrap_timerfd_create(int a, int b);
int __wrap_timerfd_create(int a, int b)
{
    return call_fails(CALL_TIMERFD_CREATE) ? -1 : __real_timerfd_create(a, b);
}

int __real_timerfd_settime(int a, int b, const struct itimerspec *c, struct itimerspec *d);
int __wrap_timerfd_settime(int a, int b, const struct itimerspec *c, struct itimerspec *d);
int __wrap_timerfd_settime(int a, int b, const struct itimerspec *c, struct itimerspec *d)
{
    return call_fails(CALL_TIMERFD_SETTIME) ? -1 : __real_timerfd_settime(a, b, c, d);
}

int __real_unlink(const char *a);
int __wrap_unlink(const char *a);
int __wrap_unlink(const char *a)
{
    return call_fails(CALL_UNLINK) ? -1 : __real_unlink(a);
}

int __real_waitid(idtype_t a, id_t b, siginfo_t *c, int d);
int __wrap_waitid(idtype_t a, id_t b, siginfo_t *c, int d);
int __wrap_waitid(idtype_t a, id_t b, siginfo_t *c, int d)
{
    return call_fails(CALL_WAITID) ? -1 : __real_waitid(a, b, c, d);
}

ssize_t __real_write(int a, const void *b, size_t c);
ssize_t __wrap_write(int a, const void *b, size_t c);
ssize_t __wrap_write(int a, const void *b, size_t c)
{
    /* What wakes a loop, by an eventfd, has no way to fail. */
    if (c == sizeof(uint64_t))
        return __real_write(a, b, c);
    return call_fails(CALL_WRITE) ? -1 : __real_write(a, b, c);
}

int __real_open(const char *a, int b, ...);
int __wrap_open(const char *a, int b, ...);
int __wrap_open(const char *a, int b, ...)
{
    mode_t mode = 0;
    va_list args;

    if (b & (O_CREAT | O_TMPFILE)) {
        va_start(args, b);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    return call_fails(CALL_OPEN) ? -1 : __real_open(a, b, mode);
}

/* What has no function of its own; the others that are called so go through. */
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    if (number == SYS_pidfd_open && call_fails(CALL_PIDFD_OPEN))
        return -1;
    if (number == SYS_epoll_pwait2 && call_fails(CALL_EPOLL_WAIT))
        return -1;
    return __real_syscall(number, a, b, c, d, e, f);
}

#ifdef WEIR_HAS_IO_URING
#include <liburing.h>

int __real_io_uring_queue_init_params(unsigned a, struct io_uring *b, struct io_uring_params *c);
int __wrap_io_uring_queue_init_params(unsigned a, struct io_uring *b, struct io_uring_params *c);
int __wrap_io_uring_queue_init_params(unsigned a, struct io_uring *b, struct io_uring_params *c)
{
    return call_fails(CALL_IO_URING_QUEUE_INIT_PARAMS) ? -errno
                                                       : __real_io_uring_queue_init_params(a, b, c);
}

int __real_io_uring_register_buf_ring(struct io_uring *a, struct io_uring_buf_reg *b, unsigned c);
int __wrap_io_uring_register_buf_ring(struct io_uring *a, struct io_uring_buf_reg *b, unsigned c);
int __wrap_io_uring_register_buf_ring(struct io_uring *a, struct io_uring_buf_reg *b, unsigned c)
{
    return call_fails(CALL_IO_URING_REGISTER_BUF_RING) ? -errno
                                                       : __real_io_uring_register_buf_ring(a, b, c);
}

int __real_io_uring_submit(struct io_uring *a);
int __wrap_io_uring_submit(struct io_uring *a);
int __wrap_io_uring_submit(struct io_uring *a)
{
    return call_fails(CALL_IO_URING_SUBMIT) ? -errno : __real_io_uring_submit(a);
}

int __real_io_uring_submit_and_get_events(struct io_uring *a);
int __wrap_io_uring_submit_and_get_events(struct io_uring *a);
int __wrap_io_uring_submit_and_get_events(struct io_uring *a)
{
    return call_fails(CALL_IO_URING_SUBMIT_AND_GET_EVENTS)
               ? -errno
               : __real_io_uring_submit_and_get_events(a);
}

int __real_io_uring_submit_and_wait_timeout(struct io_uring *a, struct io_uring_cqe **b, unsigned c,
                                            struct __kernel_timespec *d, sigset_t *e);
int __wrap_io_uring_submit_and_wait_timeout(struct io_uring *a, struct io_uring_cqe **b, unsigned c,
                                            struct __kernel_timespec *d, sigset_t *e);
int __wrap_io_uring_submit_and_wait_timeout(struct io_uring *a, struct io_uring_cqe **b, unsigned c,
                                            struct __kernel_timespec *d, sigset_t *e)
{
    return call_fails(CALL_IO_URING_SUBMIT_AND_WAIT_TIMEOUT)
               ? -errno
               : __real_io_uring_submit_and_wait_timeout(a, b, c, d, e);
}
#endif
