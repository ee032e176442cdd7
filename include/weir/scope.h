/* Tasks and the scopes that own them.
 *
 * A task is a function that runs on a small stack of its own; where it waits,
 * the task parks and the thread goes on. Every task belongs to a scope, and a
 * scope's end waits for all of them:
 *
 *     WEIR_SCOPE(s, .timeout_ms = 300) {
 *         weir_go(s, fetch, &user);
 *         weir_go(s, fetch, &orders);
 *         rc = weir_join(s);
 *     }
 *
 * Leaving the block in any way (the brace, break, return, goto) cancels and
 * joins what still runs. Reaching the brace with children that were not joined
 * is wrong use: a debug build stops, a release build cancels, joins and logs.
 * break and continue leave the scope, not a loop around it.
 *
 * Cancellation is level-triggered: once a scope is cancelled, every checkpoint
 * in it and below it returns the code until the scope ends. A deadline that has
 * passed, its own or one it inherited, gives -ETIMEDOUT; any other cancel gives
 * -ECANCELED. A result beats a cancel: an operation that has completed delivers
 * its result, and the next checkpoint reports the cancel.
 *
 * A scope's first failure cancels its other children and its body (fail-fast). Two
 * other modes leave the others alone when a child fails:
 *
 *   .collect  all run to their ends, and the join returns the first failure
 *   .race     the first that succeeds wins, and the others are cancelled; the join
 *             returns the winner's result, or, when all have failed, the first failure
 *
 * Tasks that are known beforehand are run in each of these ways with one call: see
 * weir/jobs.h.
 *
 * A stop, in contrast, only asks for a drain: no checkpoint fails, sources
 * (accept, and receive on a channel marked as a source) end as at their orderly
 * end, weir_stopping() is true, and the WEIR_STOP arm of a select is ready. */
#ifndef WEIR_SCOPE_H
#define WEIR_SCOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/export.h>
#include <weir/error.h>
#include <weir/str.h>
#include <weir/time.h>

WEIR_BEGIN

/* What a task runs. Its result (0, a positive value, or a negative code) goes
 * to the join. */
typedef int weir_fn(void *arg);

/* A handle: it stays valid as a value when the scope has ended, and is then
 * refused. */
typedef struct weir_scope {
    uint32_t slot, generation;
} weir_scope;

/* A handle to a child; a stale one gives -ESRCH. */
typedef struct weir_task {
    uint32_t slot, generation;
} weir_task;

/* Units that tasks take before they go on: see weir/sync.h. */
typedef struct weir_semaphore weir_semaphore;

/* Why a scope was cancelled. */
typedef enum weir_reason {
    WEIR_REASON_NONE,
    WEIR_REASON_DEADLINE, /* its own deadline, or one it inherited */
    WEIR_REASON_FAILURE,  /* a child failed */
    WEIR_REASON_LEFT,     /* the body left with children running */
    WEIR_REASON_ASKED,    /* weir_cancel() */
    WEIR_REASON_SHUTDOWN, /* the grace after a stop is over */
    WEIR_REASON_GONE,     /* the client has disconnected */
    WEIR_REASON_WON       /* another child of a race has succeeded */
} weir_reason;

/* A failure that no join reports, as a handler is told of it. */
typedef struct weir_failure {
    int code;           /* negative */
    const char *task;   /* who failed */
    const char *site;   /* where it was started: "file.c:12 function" */
    const char *scopes; /* what it ran in, outermost first: "application > station" */
    const char *error;  /* the error chain, as weir_error_print() writes it; "": none */
    const char *links;  /* the same a line each, outermost first, with the place that
                           each came from: "file.c:12: reading the list" */
} weir_failure;

/* Takes a failure that no join reports; true: it is dealt with, and goes no further.
 * It is called on the loop, and must not call a checkpoint. */
typedef bool weir_failure_fn(void *arg, const weir_failure *failure);

typedef struct weir_scope_opts {
    size_t size;         /* set by the macro */
    const char *site;    /* set by the macro */
    const char *name;    /* for logs; static storage or outliving the scope */
    uint32_t timeout_ms; /* its own deadline, from now; unset: only what it inherits */
    int64_t deadline_ns; /* the same, absolute on weir_now()'s clock */
    uint32_t limit;      /* live children; weir_go() waits at it; unset: no limit */
    bool shield;         /* a cancel from outside reaches it only after grace_ms */
    uint32_t grace_ms;   /* unset: 1,000 */
    bool collect;        /* a child's failure does not cancel its siblings */
    bool race;           /* nor here; the first child that succeeds does */
    bool background;     /* its children, and theirs, run when no other task is ready,
                            or for their small share of a busy loop's time */
    bool keeps_locks;    /* a lock taken in it may be held when it is left: for a wait
                            with a deadline of its own; else that is wrong use */
    weir_failure_fn *on_failure; /* gets the failures in it that no join reports: see
                                    weir_on_failure() */
    void *failure_arg;
} weir_scope_opts;

typedef struct weir_go_opts {
    size_t size;           /* set by the macro */
    const char *site;      /* set by the macro: "file.c:12 function" */
    const char *name;      /* for logs; unset: the function's name */
    bool optional;         /* its failure is kept and counted, never fails the join */
    bool hold;             /* keep it for weir_result() after its end */
    bool spread;           /* it may run on another loop: see weir_go_opt() */
    uint32_t place;        /* set by weir_go_on(): 1 and up, the loop it runs on */
    weir_semaphore *needs; /* wait for a unit, without a stack, before it starts; it is
                              given back at the child's end */
    struct weir_chan *sends, *receives; /* it holds an end of a channel: see
                              weir_chan_hold() */
    void (*drop)(void *arg); /* in a race: called with the child's argument when it has
                                succeeded, but another had won */
} weir_go_opts;

/* The last index is never one of a loop. */
static inline uint32_t weir_loop_place_(uint32_t loop)
{
    return loop < UINT32_MAX ? loop + 1 : loop;
}

/* Open a scope for the block that follows; see the head of this file. */
#define WEIR_SCOPE(s, ...)                                                              \
    for (weir_scope s __attribute__((cleanup(weir_scope_leave_))) =                     \
                        weir_scope_open_opt(&(weir_scope_opts){                         \
                            .size = sizeof(weir_scope_opts), .site = WEIR_HERE, __VA_ARGS__ }), \
                      *weir_once_##s = &s;                                              \
         weir_once_##s; weir_once_##s = weir_scope_brace_(&s))

/* Start a child of s that runs fn(arg): see weir_go_opt(). */
#define weir_go(s, fn, arg, ...)                                                        \
    weir_go_opt(s, fn, arg,                                                             \
                &(weir_go_opts){ .size = sizeof(weir_go_opts),                             \
                                 .site = WEIR_HERE " " #fn, __VA_ARGS__ })

/* Start a child of s that runs fn(arg) on the loop of this index (0 to weir_loops() -
 * 1), as with .spread; there is none of that index: the child ends with -EINVAL. */
#define weir_go_on(s, loop, fn, arg, ...)                                               \
    weir_go_opt(s, fn, arg,                                                             \
                &(weir_go_opts){ .size = sizeof(weir_go_opts), .spread = true,             \
                                 .place = weir_loop_place_(loop),                          \
                                 .site = WEIR_HERE " " #fn, __VA_ARGS__ })

/* Open a scope inside the current one. In C use WEIR_SCOPE, which closes it.
 *
 * Checkpoint: never.
 * Returns:    the handle; when there is no memory, one that stands for no scope:
 *   weir_go() starts nothing in it, and its join returns -ENOMEM.
 * Ownership:  the caller's task must close it with weir_scope_close().
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) weir_scope weir_scope_open_opt(const weir_scope_opts *opts);

/* Close a scope: cancel the children that still run, and wait for them.
 *
 * Checkpoint: never (the wait for the children can't be given up).
 * Returns:    nothing; a first failure that no join reported stays in the
 *   task's error chain.
 * Ownership:  ends the scope; the handle is stale from here on.
 * Thread:     the task that opened it; scopes close in the reverse order.
 * Since:      0.1 */
WEIR_API void weir_scope_close(weir_scope s);

/* Start a child of s that runs fn(arg). At the scope's limit the opener waits.
 * Never fails: a child that can't start (s is cancelled, the byte budget is used up)
 * counts as one that ended with that code. Only s decides: a task that is cancelled
 * in a scope inside s may still start children in s.
 *
 * A race has one winner. A child that succeeds after it is disposed of by .drop,
 * which is called in the child's own task (cancelled: it may wait in a shield), and
 * ends with -ECANCELED; without .drop it keeps its result, for weir_result().
 *
 * A child with .spread begins on another loop when that has nothing to do before this
 * one comes to it. The scope's limit, deadline, cancel and join, and the child's
 * options, work as for any child; once it has begun it stays where it is. It has
 * memory of its own (see weir/run.h), freed at its end. What belongs to this loop
 * stays behind: exchanges, streams, scopes, tasks, channels that are not shared.
 *
 * Checkpoint: always (it returns no code: the next checkpoint reports a cancel).
 * Returns:    the child's handle; one that stands for no child when the caller was
 *   cancelled, in a scope inside s, while it waited for room: nothing was started.
 * Ownership:  arg must live until the child has ended.
 * Thread:     a task of the scope's loop.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(2, 4)
weir_task weir_go_opt(weir_scope s, weir_fn *fn, void *arg, const weir_go_opts *opts);

/* Wait for every child of s. A cancel makes it cancel them; it never leaves
 * before they have ended.
 *
 * Checkpoint: always (it reports a cancel only after the children's ends).
 * Returns:    0 when every required child succeeded (even past the deadline); in a
 *   race the result of the winner (0 or more), even past the deadline; or
 *   CODE         of the first required child that failed, unless the scope's
 *                own cancel caused it
 *   -ETIMEDOUT   the deadline passed before all had succeeded
 *   -ECANCELED   the scope was cancelled before all had succeeded
 *   -EINVAL      a race without a required child
 *   WEIR_EWRONGUSE  a stale handle, or not the opener's task
 *   After 0 the scope takes further children; after a failure, or when a race was
 *   won, it stays cancelled and another join repeats the result. With .collect a
 *   failure cancels nothing: the scope takes further children, and another join
 *   waits for them and repeats the first failure.
 * Ownership:  the failed child's error chain moves to the caller.
 * Thread:     the task that opened s.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE int weir_join(weir_scope s);

/* What a child that was started with .hold returned.
 *
 * Checkpoint: never.
 * Returns:    0 with the child's result in *ret_result, or
 *   -EINPROGRESS the child has not ended
 *   -ESRCH       no such child: not held, or its scope has ended
 * Ownership:  takes nothing.
 * Thread:     the scope's loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(2) int weir_result(weir_task task, int *ret_result);

/* How many children of s have ended with a failure so far: also optional ones, and
 * those that were cancelled.
 *
 * Checkpoint: never.
 * Returns:    the number; 0 for a stale handle.
 * Ownership:  takes nothing.
 * Thread:     the scope's loop.
 * Since:      0.1 */
WEIR_API uint32_t weir_failures(weir_scope s);

/* Which child has won the race s.
 *
 * Checkpoint: never.
 * Returns:    the handle that weir_go() returned (stale by now, unless the child was
 *   held); one with slot 0 when none has won, or s is stale.
 * Ownership:  takes nothing.
 * Thread:     the scope's loop.
 * Since:      0.1 */
WEIR_API weir_task weir_winner(weir_scope s);

/* Cancel a scope and all that is in it.
 *
 * Checkpoint: never.
 * Returns:    nothing; a stale handle or a cancelled scope is left alone.
 * Ownership:  takes nothing.
 * Thread:     the scope's loop.
 * Since:      0.1 */
WEIR_API void weir_cancel(weir_scope s);

/* Ask a scope and all that is in it to drain: the first phase of an end.
 *
 * Checkpoint: never.
 * Returns:    nothing; a stale handle is left alone.
 * Ownership:  takes nothing.
 * Thread:     the scope's loop.
 * Since:      0.1 */
WEIR_API void weir_stop(weir_scope s);

/* Did this scope's own deadline fire?
 *
 * Checkpoint: never.
 * Returns:    true or false; false for a stale handle.
 * Ownership:  takes nothing.
 * Thread:     the scope's loop.
 * Since:      0.1 */
WEIR_API bool weir_timed_out(weir_scope s);

/* Is the current task asked to drain?
 *
 * Checkpoint: never.
 * Returns:    true once a scope around the task was stopped.
 * Ownership:  takes nothing.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API bool weir_stopping(void);

/* Why the innermost scope of the current task is cancelled, and where that came
 * from.
 *
 * Checkpoint: never.
 * Returns:    the reason; WEIR_REASON_NONE while it is not cancelled.
 * Ownership:  *ret_origin (may be NULL) gets the site of the scope, or of the
 *   call, that began the cancel: static storage.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API weir_reason weir_cancel_reason(const char **ret_origin);

/* The nearest deadline around the current task.
 *
 * Checkpoint: never.
 * Returns:    an absolute time, or WEIR_NEVER_NS.
 * Ownership:  takes nothing.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API int64_t weir_deadline_ns(void);

/* The application's scope on this loop: for what must outlive a request.
 *
 * Checkpoint: never.
 * Returns:    the handle.
 * Ownership:  the runtime's; it ends when the runtime ends.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API weir_scope weir_app_scope(void);

/* Have failures that no join reports told to fn, or to nobody with NULL. They are
 *
 *   - that of a child of the application's scope;
 *   - the first in a scope that was left without a join, when the task that left it
 *     succeeds after all: else it stands in that task's error chain;
 *   - told to the .on_failure of scopes alone: those of optional children, and of others
 *     that fail after the first.
 *
 * Each goes to the .on_failure of the scope, or of the nearest around it that has one; if
 * that is absent or returns false, to fn; if that does, it is logged as an error, with its
 * chain and its scopes. What a scope's cancel causes is no failure here. A handler that
 * fails itself, or leaves an error chain, is not asked about that.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  arg must live until the runtime has ended; what a failure points to is
 *   borrowed for the call.
 * Thread:     any, before weir_run().
 * Since:      0.1 */
WEIR_API void weir_on_failure(weir_failure_fn *fn, void *arg);

/* Let the other ready tasks run.
 *
 * Checkpoint: always.
 * Returns:    0, or
 *   -ETIMEDOUT   the deadline has passed
 *   -ECANCELED   the scope was cancelled
 * Ownership:  takes nothing.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE int weir_yield(void);

/* Wait for a time, to the millisecond.
 *
 * Checkpoint: always.
 * Returns:    0 when the time is over, or
 *   -ETIMEDOUT   the deadline passed first
 *   -ECANCELED   the scope was cancelled first
 * Ownership:  takes nothing.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE int weir_sleep_ms(uint32_t ms);

/* Run a function on the loop's own big stack: for a library that needs more
 * stack than a task has. It must not call a checkpoint; the task's memory and its
 * error chain are at hand.
 *
 * Checkpoint: never.
 * Returns:    what fn returns.
 * Ownership:  takes nothing.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) int weir_on_loop_stack(weir_fn *fn, void *arg);

/* What is handed on to children, blocking calls, and outgoing requests. */
typedef struct weir_context {
    weir_str correlation_id; /* one id for all that a request causes */
    weir_str trace_id;       /* 32 hexadecimal digits (W3C Trace Context), or absent */
    weir_str span_id;        /* 16 hexadecimal digits, or absent */
    weir_str principal;      /* who the request speaks for, or absent */
    weir_str route;          /* the pattern that its path has matched, or absent */
    bool sampled;            /* the trace is being recorded */
} weir_context;

/* The current task's context.
 *
 * Checkpoint: never.
 * Returns:    the context; an empty one when none was set. Never NULL.
 * Ownership:  borrowed while the scope that set it is open.
 * Thread:     any; outside a task it is empty.
 * Since:      0.1 */
WEIR_API const weir_context *weir_context_get(void);

/* Give a scope, and what is opened in it from now on, a context.
 *
 * Checkpoint: never.
 * Returns:    nothing; a stale handle is left alone.
 * Ownership:  context, and what it points to, must live until the scope ends.
 * Thread:     the scope's loop.
 * Since:      0.1 */
WEIR_API void weir_scope_set_context(weir_scope s, const weir_context *context);

/* Parts of WEIR_SCOPE. */
WEIR_API void weir_scope_leave_(weir_scope *s);
WEIR_API weir_scope *weir_scope_brace_(weir_scope *s);

WEIR_END

#endif
