/* See thread_state.h. The files are opened when they are first needed, and kept open: a look
 * at a loop's thread is a read or two. */
#include "ops/thread_state.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Those that a task may be found in. */
static const struct call {
    long number;
    const char *name;
} calls[] = {
    { SYS_read, "read" },
    { SYS_write, "write" },
    { SYS_readv, "readv" },
    { SYS_writev, "writev" },
    { SYS_pread64, "pread" },
    { SYS_pwrite64, "pwrite" },
    { SYS_openat, "openat" },
    { SYS_close, "close" },
    { SYS_newfstatat, "fstatat" },
    { SYS_getdents64, "getdents" },
    { SYS_fsync, "fsync" },
    { SYS_fdatasync, "fdatasync" },
    { SYS_sync_file_range, "sync_file_range" },
    { SYS_ftruncate, "ftruncate" },
    { SYS_renameat, "renameat" },
    { SYS_unlinkat, "unlinkat" },
    { SYS_mkdirat, "mkdirat" },
    { SYS_flock, "flock" },
    { SYS_fcntl, "fcntl" },
    { SYS_ioctl, "ioctl" },
    { SYS_sendfile, "sendfile" },
    { SYS_splice, "splice" },
    { SYS_copy_file_range, "copy_file_range" },
    { SYS_fallocate, "fallocate" },
    { SYS_connect, "connect" },
    { SYS_accept, "accept" },
    { SYS_accept4, "accept4" },
    { SYS_recvfrom, "recvfrom" },
    { SYS_recvmsg, "recvmsg" },
    { SYS_recvmmsg, "recvmmsg" },
    { SYS_sendto, "sendto" },
    { SYS_sendmsg, "sendmsg" },
    { SYS_sendmmsg, "sendmmsg" },
    { SYS_ppoll, "ppoll" },
    { SYS_pselect6, "pselect" },
    { SYS_epoll_pwait, "epoll_pwait" },
    { SYS_io_uring_enter, "io_uring_enter" },
    { SYS_futex, "futex" },
    { SYS_nanosleep, "nanosleep" },
    { SYS_clock_nanosleep, "clock_nanosleep" },
    { SYS_rt_sigtimedwait, "sigtimedwait" },
    { SYS_rt_sigsuspend, "sigsuspend" },
    { SYS_wait4, "wait4" },
    { SYS_waitid, "waitid" },
    { SYS_execve, "execve" },
    { SYS_clone, "clone" },
    { SYS_semtimedop, "semtimedop" },
    { SYS_msgrcv, "msgrcv" },
    { SYS_msgsnd, "msgsnd" },
    { SYS_mmap, "mmap" },
    { SYS_munmap, "munmap" },
    { SYS_madvise, "madvise" },
    { SYS_mprotect, "mprotect" },
    { SYS_msync, "msync" },
    { SYS_getrandom, "getrandom" },
    { SYS_sched_yield, "sched_yield" },
#ifdef SYS_open
    { SYS_open, "open" },
    { SYS_stat, "stat" },
    { SYS_lstat, "lstat" },
    { SYS_poll, "poll" },
    { SYS_select, "select" },
    { SYS_pause, "pause" },
    { SYS_epoll_wait, "epoll_wait" },
    { SYS_rename, "rename" },
    { SYS_unlink, "unlink" },
    { SYS_mkdir, "mkdir" },
    { SYS_fork, "fork" },
    { SYS_vfork, "vfork" },
#endif
};

static int open_file(int tid, const char *name)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/task/%d/%s", tid, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

#define NOT_OPEN (-2) /* -1: it can't be */

void thread_state_open(struct thread_state *thread, int tid)
{
    *thread = (struct thread_state){ tid, NOT_OPEN, NOT_OPEN };
}

static void close_file(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = NOT_OPEN;
}

void thread_state_rest(struct thread_state *thread)
{
    if (thread->tid == 0)
        return;
    close_file(&thread->schedstat);
    close_file(&thread->state);
}

void thread_state_close(struct thread_state *thread)
{
    thread_state_rest(thread);
    thread->tid = 0;
}

static bool read_file(int fd, char *text, size_t size)
{
    ssize_t len = fd < 0 ? -1 : pread(fd, text, size - 1, 0);

    text[len > 0 ? len : 0] = '\0';
    return len > 0;
}

bool thread_state_times(struct thread_state *thread, int64_t *ret_run_ns, int64_t *ret_delay_ns)
{
    char text[128], *rest;
    int64_t run_ns;

    if (thread->schedstat == NOT_OPEN)
        thread->schedstat = open_file(thread->tid, "schedstat");
    if (!read_file(thread->schedstat, text, sizeof(text)))
        return false;
    run_ns = strtoll(text, &rest, 10);
    if (run_ns == 0) /* a kernel that does not count */
        return false;
    *ret_run_ns = run_ns;
    *ret_delay_ns = strtoll(rest, NULL, 10);
    return true;
}

/* Behind the name, which may hold anything but ends with the last parenthesis. */
char thread_state_now(struct thread_state *thread)
{
    char text[512];
    const char *end;

    if (thread->state == NOT_OPEN)
        thread->state = open_file(thread->tid, "stat");
    if (!read_file(thread->state, text, sizeof(text)))
        return '\0';
    end = strrchr(text, ')');
    return end && end[1] == ' ' ? end[2] : '\0';
}

static void call_text(long number, char *text, size_t size)
{
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        if (calls[i].number == number) {
            snprintf(text, size, "in the system call %s", calls[i].name);
            return;
        }
    snprintf(text, size, "in the system call number %ld", number);
}

void thread_state_text(struct thread_state *thread, char *text, size_t size)
{
    char state = thread_state_now(thread), line[256];
    int fd = open_file(thread->tid, "syscall");
    bool read = read_file(fd, line, sizeof(line));

    if (fd >= 0)
        close(fd);
    if (read && line[0] >= '0' && line[0] <= '9')
        call_text(strtol(line, NULL, 10), text, size);
    else if (state == 'D' || state == 'S')
        snprintf(text, size, "asleep in the kernel, in no system call (a page fault)");
    else if (state == 'T' || state == 't')
        snprintf(text, size, "stopped");
    else
        snprintf(text, size, "on the CPU");
}
