/* Calls that block, on threads of their own: a library that waits, a file, a long
 * computation. The task parks meanwhile, and its loop goes on.
 *
 *     rc = weir_block(slow_query, &query);
 *     rc = weir_block(hash_password, &job, .pool = weir_threads_common(WEIR_THREADS_CPU));
 *
 * Pools are kept apart, so that one that is full holds up only its own callers:
 * calls in general, files, and computation have one each, and a program makes
 * further ones for what it knows to be slow (weir_threads_new()). Each has a bound
 * on its threads and on the calls that wait for one; threads are started when they
 * are needed, and end when they were idle for a while.
 *
 * A library that wants all its calls from one thread gets a session of its own
 * (weir_session_open()).
 *
 * In a simulation the calls run on the simulation's one thread, one after another;
 * the bounds hold all the same. */
#ifndef WEIR_BLOCK_H
#define WEIR_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/export.h>
#include <weir/error.h>
#include <weir/scope.h>

WEIR_BEGIN

/* A bounded pool of threads for calls that block. */
typedef struct weir_threads weir_threads;

/* The pools that every runtime has; weir_run_opts says how large they are. */
typedef enum weir_threads_kind {
    WEIR_THREADS_CALLS, /* where weir_block() runs unless told otherwise */
    WEIR_THREADS_FILES, /* where weir/file.h runs */
    WEIR_THREADS_CPU    /* for long computation: a thread for each core */
} weir_threads_kind;

/* One of the pools that every runtime has.
 *
 * Checkpoint: never.
 * Returns:    the pool; that of weir_block() for a kind that there is not.
 * Ownership:  the runtime's.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API weir_threads *weir_threads_common(weir_threads_kind kind);

typedef struct weir_threads_opts {
    size_t size;      /* set by the macro */
    const char *name; /* for threads and figures, at most 15 bytes; copied; must be given */
    uint32_t threads; /* unset: 4; at most 1,024 */
    uint32_t queue;   /* calls that may wait for one; unset: 64 */
    uint32_t idle_ms; /* a thread that had nothing to do this long ends; unset: 10,000 */
} weir_threads_opts;

#define weir_threads_new(ret, ...)                                             \
    weir_threads_new_opt(ret, &(weir_threads_opts){ .size = sizeof(weir_threads_opts), \
                                                    __VA_ARGS__ })

/* Make a pool of one's own.
 *
 * Checkpoint: never.
 * Returns:    0 with the pool in *ret_threads, or
 *   -EINVAL      no name, or an option out of its range
 *   -ENOMEM      no memory
 * Ownership:  the caller ends it with weir_threads_free().
 * Thread:     a task; the tasks of every loop may use it.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_threads_new_opt(weir_threads **ret_threads, const weir_threads_opts *opts);

/* End a pool: wait for the calls that were abandoned, and for its threads.
 *
 * Checkpoint: never (it waits, but can't be given up).
 * Returns:    nothing.
 * Ownership:  ends threads; NULL is fine. No task may be in a call on it.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API void weir_threads_free(weir_threads *threads);

#define WEIR_THREADS_BUCKETS 12

/* What a pool has done so far, and what it is doing. */
typedef struct weir_threads_stats {
    uint32_t threads;    /* alive */
    uint32_t running;    /* calls under way */
    uint32_t waiting;    /* for a thread */
    uint64_t calls;      /* that have ended */
    uint64_t refused;    /* with -EBUSY */
    uint64_t withdrawn;  /* by a cancel or deadline, before they began */
    uint64_t abandoned;  /* by a cancel or deadline, while they ran */
    uint64_t queued_total_ns, queued_longest_ns; /* from the call to its begin */
    uint64_t run_total_ns;
    /* How many began within 10 us, 40 us, 160 us ... of the call (four times as
     * long each); the last counts the rest. */
    uint64_t queued[WEIR_THREADS_BUCKETS];
    uint32_t waiting_high; /* the most that have waited at once */
} weir_threads_stats;

/* Read a pool's figures, all of one moment.
 *
 * Checkpoint: never.
 * Returns:    nothing; the figures in *ret_stats.
 * Ownership:  takes nothing.
 * Thread:     any, while the pool lives.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1, 2)
void weir_threads_read_stats(weir_threads *threads, weir_threads_stats *ret_stats);

typedef struct weir_block_opts {
    size_t size;                /* set by the macro */
    const char *name;           /* for whoever looks; unset: "blocking call" */
    weir_threads *pool;         /* unset: WEIR_THREADS_CALLS */
    void (*abandon)(void *arg); /* the call need not be waited for: see weir_block_opt() */
    bool *abandoned;            /* with abandon: set to whether arg was handed over */
} weir_block_opts;

#define weir_block(fn, arg, ...) \
    weir_block_opt(fn, arg, &(weir_block_opts){ .size = sizeof(weir_block_opts), __VA_ARGS__ })

/* Run fn(arg) on a thread of a pool, and park the task meanwhile. fn sees the
 * caller's context and deadline, and may leave an error chain.
 *
 * Waiting for a thread can be cancelled. Once fn runs, nothing can stop it: the
 * call waits for its end, whatever happens, as arg is in use. With .abandon it
 * does not: a cancel or deadline then ends the call at once, *abandoned is true,
 * and arg is handed over: when fn has ended, abandon(arg) is called on the pool's
 * thread to dispose of it. So such an arg lies neither on the caller's stack nor in
 * its arena. The end of the runtime, and of a pool, waits for what was abandoned.
 *
 *     rc = weir_block(look_up, request, .abandon = request_free, .abandoned = &gone);
 *     if (!gone)
 *         request_free(request);
 *
 * Checkpoint: always.
 * Returns:    what fn returned, or
 *   -EBUSY       the pool's threads are busy, and its queue is full
 *   -EINVAL      abandon without abandoned
 *   -ENOMEM      no memory for a call that can be abandoned
 *   -ETIMEDOUT   the deadline passed before fn was started, or the call was abandoned
 *   -ECANCELED   the scope was cancelled before fn was started, or the call was
 *                abandoned
 * Ownership:  arg is fn's while it runs, and the caller's again afterwards, but for
 *   one that was abandoned.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 3)
int weir_block_opt(weir_fn *fn, void *arg, const weir_block_opts *opts);

/* ---- sessions: one thread for a library that wants one ------------------- */

typedef struct weir_session weir_session;

typedef struct weir_session_opts {
    size_t size;      /* set by the macro */
    const char *name; /* of the thread, at most 15 bytes; copied; unset: "session" */
    uint32_t queue;   /* calls that may wait; unset: 64 */
} weir_session_opts;

#define weir_session_open(ret, ...)                                            \
    weir_session_open_opt(ret, &(weir_session_opts){ .size = sizeof(weir_session_opts), \
                                                     __VA_ARGS__ })

/* Start a thread for a library whose calls must all come from one.
 *
 * Checkpoint: never.
 * Returns:    0 with the session in *ret_session, or
 *   -EINVAL      an option out of its range
 *   -EAGAIN      the system would not start a thread
 *   -ENOMEM      no memory
 * Ownership:  the caller ends it with weir_session_close().
 * Thread:     a task; the tasks of every loop may use it.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_session_open_opt(weir_session **ret_session, const weir_session_opts *opts);

#define weir_session_call(session, fn, arg, ...)                               \
    weir_session_call_opt(session, fn, arg,                                    \
                          &(weir_block_opts){ .size = sizeof(weir_block_opts), __VA_ARGS__ })

/* Run fn(arg) on the session's thread, after the calls that were made before. It
 * is weir_block_opt() otherwise, but for .pool, which is not looked at.
 *
 * Checkpoint: always.
 * Returns:    what fn returned, or
 *   -EBUSY       the session's queue is full
 *   -EINVAL, -ENOMEM, -ETIMEDOUT, -ECANCELED as weir_block_opt()
 * Ownership:  arg as weir_block_opt().
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2, 4)
int weir_session_call_opt(weir_session *session, weir_fn *fn, void *arg,
                          const weir_block_opts *opts);

/* End a session and its thread; calls that were abandoned are waited for. What the
 * library keeps is disposed of by a last call.
 *
 * Checkpoint: never (it waits, but can't be given up).
 * Returns:    nothing.
 * Ownership:  ends session; NULL is fine. No task may be in a call on it.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API void weir_session_close(weir_session *session);

WEIR_END

#endif
