/* Child processes.
 *
 *     weir_process_output out;
 *     int rc = weir_process_run(((const char *[]){ "git", "log", "-1", NULL }), &out,
 *                               .timeout_ms = 5000);
 *
 *     if (rc == 0 && out.exit.code == 0)
 *         ... out.out ...
 *
 * A child never outlives its handle: weir_process_close() asks it to end (SIGTERM),
 * waits for the grace, ends it (SIGKILL), and collects it, so that no zombie stays.
 * All this is done to its process group, so to what the child has started as well,
 * unless that has left the group.
 *
 * A child gets the descriptors 0, 1 and 2 and no other; all signals as they are by
 * default, none blocked; and, unless told otherwise, this process's environment
 * and directory. It is in a process group of its own, so the terminal's ^C does not
 * reach it. If this process is killed, its children are not. */
#ifndef WEIR_PROCESS_H
#define WEIR_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <weir/export.h>
#include <weir/error.h>
#include <weir/str.h>
#include <weir/stream.h>

WEIR_BEGIN

typedef struct weir_process weir_process;

/* What a child's descriptor 0, 1 or 2 is. */
typedef enum weir_stdio {
    WEIR_STDIO_NULL,    /* /dev/null */
    WEIR_STDIO_PIPE,    /* a pipe, whose other end is a stream */
    WEIR_STDIO_INHERIT  /* this process's own */
} weir_stdio;

typedef struct weir_process_opts {
    size_t size;            /* set by the macro */
    weir_stdio in, out, err;
    const char *const *env; /* "NAME=value" ... NULL; unset: this process's */
    const char *cwd;        /* unset: this process's */
    uint32_t grace_ms;      /* between SIGTERM and SIGKILL; unset: 2,000 */
} weir_process_opts;

#define weir_process_start(argv, ret, ...)                                     \
    weir_process_start_opt(argv, ret,                                          \
                           &(weir_process_opts){ .size = sizeof(weir_process_opts), __VA_ARGS__ })

/* Start a program. argv[0] is looked up along PATH unless it has a slash; the list
 * ends with NULL.
 *
 * Checkpoint: always.
 * Returns:    0 with the child in *ret_process, or
 *   -ENOENT      there is no such program, or no such cwd; -EACCES, it may not be
 *                run; other errno values as execve(2)
 *   -EINVAL      argv is empty
 *   -EMFILE      no descriptor is free (or -ENFILE)
 *   -EAGAIN      the limit on processes
 *   -ENOSYS      the kernel has no pidfd_open(2) (before 5.3)
 *   -ENOMEM      no memory
 *   -EBUSY       the pool for blocking calls is full
 *   -ETIMEDOUT   the deadline passed before it was started
 *   -ECANCELED   the scope was cancelled before it was started
 * Ownership:  the caller ends *ret_process with weir_process_close(). argv and env
 *   are in use until the call returns.
 * Thread:     a task; the process belongs to its loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2, 3)
int weir_process_start_opt(const char *const *argv, weir_process **ret_process,
                           const weir_process_opts *opts);

/* This process's end of one of the child's pipes. weir_stream_shutdown() of its
 * input closes the pipe; writing to one whose reader has gone gives -EPIPE, and
 * raises no signal.
 *
 * Checkpoint: never.
 * Returns:    the stream; NULL when fd (0, 1 or 2) is no pipe.
 * Ownership:  the process's: closed with it.
 * Thread:     a task of the loop that owns the process.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) weir_stream *weir_process_stream(weir_process *process, int fd);

/* The child's process id, which is its group's as well; nobody else has it before
 * weir_process_close().
 *
 * Checkpoint: never.
 * Returns:    the id.
 * Ownership:  takes nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) int64_t weir_process_id(const weir_process *process);

typedef struct weir_process_exit {
    int code;   /* what it returned from main or gave to exit(); -1: a signal ended it */
    int signal; /* that signal, or 0 */
} weir_process_exit;

/* Wait for the child's end. A cancel or deadline ends the wait, not the child:
 * weir_process_close() does that.
 *
 * Checkpoint: always.
 * Returns:    0 with how it ended in *ret_exit, the same each time; or
 *   -ECHILD      the process ignores SIGCHLD, or waits for children that are not
 *                its own: how the child ended is lost
 *   -EBUSY       another task waits
 *   -ENOMEM      no memory
 *   -ETIMEDOUT   the deadline passed
 *   -ECANCELED   the scope was cancelled
 * Ownership:  takes nothing.
 * Thread:     a task of the loop that owns the process.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_process_wait(weir_process *process, weir_process_exit *ret_exit);

/* Send a signal to the child's process group, and to the child if it has left that.
 *
 * Checkpoint: never.
 * Returns:    0, also when the child has ended; or
 *   -EINVAL      no such signal
 *   -EPERM       the child has changed its user
 * Ownership:  takes nothing.
 * Thread:     a task of the loop that owns the process.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) int weir_process_signal(weir_process *process, int number);

/* End the child, if it has not ended (see the head of this file), and what is left
 * of its group; close its streams.
 *
 * Checkpoint: never (it waits for the grace at most, and for the kernel to end the
 *   child, but can't be given up).
 * Returns:    nothing.
 * Ownership:  ends process and its streams; NULL is fine. No task may be in a call
 *   on them.
 * Thread:     a task of the loop that owns the process.
 * Since:      0.1 */
WEIR_API void weir_process_close(weir_process *process);

/* ---- from start to end ------------------------------------------------------ */

typedef struct weir_process_run_opts {
    size_t size;            /* set by the macro */
    weir_str input;         /* what it reads from its standard input */
    size_t max_bytes;       /* of its output, and of its errors, that are kept; what is
                               more is read and dropped; unset: 1 MiB */
    uint32_t timeout_ms;    /* from start to end; unset: only what the scope has */
    const char *const *env; /* as weir_process_opts */
    const char *cwd;
    uint32_t grace_ms;
} weir_process_run_opts;

typedef struct weir_process_output {
    weir_process_exit exit;
    weir_str out, err;
    bool out_cut, err_cut; /* there was more than max_bytes */
} weir_process_output;

#define weir_process_run(argv, ret, ...)                                       \
    weir_process_run_opt(argv, ret,                                            \
                         &(weir_process_run_opts){ .size = sizeof(weir_process_run_opts), \
                                                   __VA_ARGS__ })

/* Run a program to its end: give it its input, and take what it writes. A cancel
 * or deadline ends it. When it has ended, what it has started and left is ended as
 * well.
 *
 * Checkpoint: always.
 * Returns:    0 with everything in *ret_output, however it ended; or
 *   the failures of weir_process_start_opt(), and
 *   -ECHILD      as weir_process_wait()
 *   -ETIMEDOUT   timeout_ms or the deadline passed: it was ended
 *   -ECANCELED   the scope was cancelled: it was ended
 * Ownership:  the texts are the task's arena's.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2, 3)
int weir_process_run_opt(const char *const *argv, weir_process_output *ret_output,
                         const weir_process_run_opts *opts);

WEIR_END

#endif
