/* Running several functions at once, each as a task, and waiting for them.
 *
 *     weir_job jobs[] = { WEIR_JOB(fetch, &user), WEIR_JOB(fetch, &orders) };
 *
 *     rc = weir_all(jobs, 2, .timeout_ms = 300);
 *     rc = weir_race(jobs, 2, &winner);
 *
 * Both stand on a scope (see weir/scope.h): they return only when every job has
 * ended, and a cancel or deadline of the caller cancels the jobs. When they return,
 * each job's rc is what it returned; one that was cancelled before it began has the
 * code of the cancel.
 *
 * What a job has got (a connection, a lock) is never lost. A success that the call
 * does not return, because another job failed or won, is either disposed of by the
 * job's drop, and its rc is then -ECANCELED; or, without drop, its rc says that it
 * succeeded, and what it got is the caller's. */
#ifndef WEIR_JOBS_H
#define WEIR_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/export.h>
#include <weir/scope.h>

WEIR_BEGIN

typedef struct weir_job {
    weir_fn *fn;
    void *arg;
    void (*drop)(void *arg); /* dispose of a success that is not returned; called in the
                                caller's task after every job has ended */
    const char *site;        /* set by the macro: "file.c:12 function" */
    const char *name;        /* for logs; unset: the function's name */
    int rc;                  /* filled in: what fn returned */
    bool won_;
} weir_job;

#define WEIR_JOB(function, argument, ...)                                               \
    { .fn = (function), .arg = (argument), .site = WEIR_HERE " " #function, __VA_ARGS__ }

typedef struct weir_all_opts {
    size_t size;         /* set by the macro */
    const char *site;    /* set by the macro */
    const char *name;    /* for logs; static storage or outliving the call */
    uint32_t timeout_ms; /* for all of them; unset: only what is inherited */
    uint32_t limit;      /* jobs at once, in their order; unset: all */
    bool collect;        /* a failure does not cancel the others */
} weir_all_opts;

typedef struct weir_race_opts {
    size_t size;         /* set by the macro */
    const char *site;    /* set by the macro */
    const char *name;    /* for logs; static storage or outliving the call */
    uint32_t timeout_ms; /* for all of them; unset: only what is inherited */
    uint32_t limit;      /* jobs at once, in their order; unset: all */
    uint32_t stagger_ms; /* a job starts that long after the one before it, or when that
                            one has failed; unset: all at once */
} weir_race_opts;

#define weir_all(jobs, count, ...)                                                     \
    weir_all_opt(jobs, count, &(weir_all_opts){ .size = sizeof(weir_all_opts),          \
                                                .site = WEIR_HERE, __VA_ARGS__ })

#define weir_race(jobs, count, ret_winner, ...)                                        \
    weir_race_opt(jobs, count,                                                         \
                  &(weir_race_opts){ .size = sizeof(weir_race_opts), .site = WEIR_HERE,  \
                                     __VA_ARGS__ },                                    \
                  ret_winner)

/* Run every job, and wait for all. The first failure cancels the others; with
 * .collect they go on to their ends. When the call fails without .collect, the drop
 * of each job that has succeeded is called.
 *
 * Checkpoint: always (it reports a cancel only after the jobs' ends).
 * Returns:    0 when every job succeeded (even past the deadline, and for no job at
 *   all), or
 *   CODE         of the first job that failed, unless a cancel caused it
 *   -ETIMEDOUT   the deadline passed before all had succeeded
 *   -ECANCELED   the scope was cancelled before all had succeeded
 *   -ENOMEM      no memory
 * Ownership:  jobs, and their arguments, are used during the call only. The first
 *   failure's error chain is the caller's.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(3)
int weir_all_opt(weir_job *jobs, size_t count, const weir_all_opts *opts);

/* Run jobs until the first succeeds; the others are cancelled and awaited. When all
 * fail, so does the call. A job that succeeds after the winner is dropped.
 *
 * Checkpoint: always (it reports a cancel only after the jobs' ends).
 * Returns:    the winner's result (0 or more, even past the deadline) and its place in
 *   *ret_winner, or
 *   CODE         of the first job that failed, unless a cancel caused it
 *   -ETIMEDOUT   the deadline passed before one had succeeded
 *   -ECANCELED   the scope was cancelled before one had succeeded
 *   -EINVAL      no jobs
 *   -ENOMEM      no memory
 * Ownership:  as weir_all_opt(); ret_winner may be NULL.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 3)
int weir_race_opt(weir_job *jobs, size_t count, const weir_race_opts *opts, size_t *ret_winner);

WEIR_END

#endif
