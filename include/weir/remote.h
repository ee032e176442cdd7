/* Threads that are not the runtime's: how they give work to its loops.
 *
 * A thread of another library (an audio callback, a driver's, a language's) must not
 * call the functions of tasks. It hands a function over, which a loop then runs as a
 * task; and it may wait for that task's end. All this is safe at any time, also when
 * the runtime ends meanwhile, or has ended long ago: it is refused then.
 *
 *     weir_remote home;                           in a task, at the beginning
 *     weir_remote_of(0, &home);
 *
 *     rc = weir_remote_submit(home, note, event); in the other thread
 *     rc = weir_remote_call(home, look_up, &query, .timeout_ms = 300);
 */
#ifndef WEIR_REMOTE_H
#define WEIR_REMOTE_H

#include <stddef.h>
#include <stdint.h>

#include <weir/export.h>
#include <weir/scope.h>

WEIR_BEGIN

/* A loop of one run of the runtime: a plain value, copied freely. It stays refused
 * when the program starts the runtime again. */
typedef struct weir_remote {
    uint32_t loop, run;
} weir_remote;

typedef struct weir_remote_call_opts {
    size_t size;         /* set by the macro */
    const char *site;    /* set by the macro */
    const char *name;    /* the task's, for logs */
    uint32_t timeout_ms; /* from now: the deadline of the task; unset: none */
} weir_remote_call_opts;

/* Run fn(arg) on that loop and wait: see weir_remote_call_opt(). */
#define weir_remote_call(remote, fn, arg, ...)                                          \
    weir_remote_call_opt(remote, fn, arg,                                               \
                         &(weir_remote_call_opts){ .size = sizeof(weir_remote_call_opts),  \
                                                   .site = WEIR_HERE " " #fn, __VA_ARGS__ })

/* Name a loop of the runtime that runs now.
 *
 * Checkpoint: never.
 * Returns:    0 with *ret_remote set, or
 *   -EINVAL      there is no loop of this index
 *   -ECANCELED   no runtime runs
 * Ownership:  a value.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(2) int weir_remote_of(uint32_t loop, weir_remote *ret_remote);

/* Start fn(arg) as a task in the application's scope of a loop, and go on.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   WEIR_EFULL   1,024 submissions wait there already
 *   -ECANCELED   the loop, or that run of the runtime, has ended
 *   -EINVAL      there is no loop of this index
 *   After 0 the task runs, also when the runtime ends meanwhile: it is cancelled then.
 * Ownership:  arg is the task's from here on when it returned 0.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(2)
int weir_remote_submit(weir_remote remote, weir_fn *fn, void *arg);

/* Run fn(arg) as a task of a loop, and block the calling thread until it has ended. The
 * time-out is the task's deadline: its checkpoints return -ETIMEDOUT from then on, and
 * its end is awaited, so that arg may stand on the caller's stack. A task that the
 * loop has not begun by then is given up at once.
 *
 * Checkpoint: never (it is called outside tasks).
 * Returns:    what fn returned, with its error chain, or
 *   -ETIMEDOUT   the time was over before the task began
 *   -ECANCELED   the loop, or that run of the runtime, has ended
 *   -EINVAL      there is no loop of this index
 *   -ENOMEM      no memory to begin with
 *   WEIR_EWRONGUSE  the calling thread runs a loop itself
 * Ownership:  arg is the task's until the call returns.
 * Thread:     any that runs no loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(2, 4)
int weir_remote_call_opt(weir_remote remote, weir_fn *fn, void *arg,
                         const weir_remote_call_opts *opts);

WEIR_END

#endif
