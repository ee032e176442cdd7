/* What guards a service against another one's bad days: pools with a bound, and
 * circuit breakers.
 *
 * A pool keeps two things apart. Permits say how many tasks may use the resource
 * at once; they belong to the process, and a task that waits for one waits in a
 * bounded queue (or without a stack: weir_go(…, .needs = weir_pool_permits(p))).
 * Connections (whatever is pooled) belong to the loop that made them, and are
 * taken from it again last in, first out. Never are there more connections than
 * permits, idle ones counted: when a loop needs a new one at that bound, another
 * loop is asked to close an idle one of its.
 *
 *     weir_lease lease;
 *     int rc = weir_pool_acquire(pool, &lease);
 *
 *     if (rc < 0)
 *         return rc;
 *     conn = lease.item ? conn_of(lease.item) : conn_open();
 *     rc = use(conn);
 *     weir_pool_release(&lease, rc < 0 ? (conn_close(conn), NULL) : &conn->item);
 *
 * A breaker stops calling what has failed several times in a row, and tries
 * again with one call after a while:
 *
 *     WEIR_TICKET(ticket);
 *     rc = weir_breaker_enter(breaker, &ticket);
 *     if (rc == 0)
 *         weir_breaker_leave(&ticket, rc = call());
 *
 * A ticket that goes out of scope counts as given up, so a probe always ends. */
#ifndef WEIR_GUARD_H
#define WEIR_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/export.h>
#include <weir/error.h>
#include <weir/scope.h>
#include <weir/str.h>

WEIR_BEGIN

/* ---- pools ---------------------------------------------------------------------- */

typedef struct weir_pool weir_pool;

/* Embedded in what is pooled; all zero before its first release. */
typedef struct weir_pool_item {
    void *next_, *prev_;
    int64_t idle_since_ns_, retire_ns_;
} weir_pool_item;

/* One use of the pool; on the caller's stack, or wherever it lives until the
 * release. */
typedef struct weir_lease {
    weir_pool_item *item; /* an idle one that is now the caller's; NULL: make one */
    void *next_, *prev_;  /* private from here on */
    void *shelf_;
    int64_t since_ns_;
    weir_task task_;
} weir_lease;

typedef struct weir_pool_opts {
    size_t size;              /* set by the macro */
    const char *name;         /* for errors and metrics; copied */
    uint32_t max;             /* in use at once, and connections in all; unset: 256 */
    uint32_t max_waiting;     /* tasks that may wait for a permit; unset: 4,096 */
    uint32_t max_idle;        /* kept on each loop; unset: max */
    uint32_t idle_timeout_ms; /* then an idle one is closed; unset: 60,000 */
    uint32_t max_age_ms;      /* then it is not used again, give or take 10 %;
                                 unset: 3,600,000 */
    void (*close)(weir_pool_item *item); /* must be given; never waits */
    bool (*dead)(weir_pool_item *item);  /* is an idle one of no use? may be NULL */
} weir_pool_opts;

#define weir_pool_new(ret, ...) \
    weir_pool_new_opt(ret, &(weir_pool_opts){ .size = sizeof(weir_pool_opts), __VA_ARGS__ })

/* Make a pool.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   -EINVAL      close is missing
 *   -ENOMEM      no memory
 * Ownership:  the caller frees *ret_pool with weir_pool_free().
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_pool_new_opt(weir_pool **ret_pool, const weir_pool_opts *opts);

/* Free a pool: its idle connections are closed, each by the loop that owns it.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  ends the pool; NULL is fine. No lease may be open and no task wait.
 * Thread:     a task; or any thread while the runtime does not run.
 * Since:      0.1 */
WEIR_API void weir_pool_free(weir_pool *pool);

/* Take a permit, and an idle connection of this loop if there is one; else the
 * right to make one.
 *
 * Checkpoint: always.
 * Returns:    0, or, with a sentence that names the pool, how many are held and
 *   for how long the oldest has been,
 *   WEIR_EFULL   max_waiting tasks wait already
 *   -ETIMEDOUT   the deadline passed first
 *   -ECANCELED   the scope was cancelled first
 *   -ENOMEM      no memory
 * Ownership:  the caller ends *ret_lease with weir_pool_release(), and owns the
 *   item in it until then.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_pool_acquire(weir_pool *pool, weir_lease *ret_lease);

/* Give the permit back, and with it the connection if it can serve again.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  item is the pool's from here on, and may be closed within the call;
 *   NULL: none was made, or the caller has closed it.
 * Thread:     the task that acquired, or another of its loop.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) void weir_pool_release(weir_lease *lease, weir_pool_item *item);

/* The pool's permits, for weir_go(…, .needs = …): a task started so waits without
 * a stack, and its weir_pool_acquire() then finds the permit.
 *
 * Checkpoint: never.
 * Returns:    the semaphore.
 * Ownership:  the pool's.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) weir_semaphore *weir_pool_permits(weir_pool *pool);

typedef struct weir_pool_stats {
    uint32_t max;
    uint32_t held;         /* leases open now */
    uint32_t idle;         /* connections kept */
    int64_t oldest_ms;     /* how long the oldest lease has been open */
    uint64_t acquired;     /* leases so far */
    uint64_t reused;       /* of them, with an idle connection */
    uint64_t failed;       /* acquires that ended without a lease */
    uint64_t closed;       /* idle connections that the pool has closed */
} weir_pool_stats;

/* Count what is in the pool.
 *
 * Checkpoint: never.
 * Returns:    nothing; the parts may be a moment apart.
 * Ownership:  fills the caller's struct.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1, 2)
void weir_pool_read(weir_pool *pool, weir_pool_stats *ret_stats);

/* ---- breakers -------------------------------------------------------------------- */

typedef struct weir_breaker weir_breaker;

typedef enum weir_breaker_state {
    WEIR_BREAKER_CLOSED,  /* calls pass */
    WEIR_BREAKER_OPEN,    /* calls are refused until the cooldown is over */
    WEIR_BREAKER_PROBING  /* one call is let through, and decides */
} weir_breaker_state;

typedef struct weir_breaker_opts {
    size_t size;          /* set by the macro */
    const char *name;     /* for errors; copied */
    uint32_t failures;    /* in a row, that open it; unset: 5 */
    uint32_t cooldown_ms; /* from opening to the probe; unset: 5,000 */
    uint32_t probe_ms;    /* a probe without an end by then is taken as failed;
                             unset: 30,000 */
} weir_breaker_opts;

#define weir_breaker_new(ret, ...)                                                     \
    weir_breaker_new_opt(ret, &(weir_breaker_opts){ .size = sizeof(weir_breaker_opts), \
                                                    __VA_ARGS__ })

/* The right to one call. */
typedef struct weir_ticket {
    weir_breaker *breaker_; /* NULL: not entered, or left already */
    uint64_t epoch_;
    bool probe_;
} weir_ticket;

/* Declare a ticket that is left by itself, as given up, where its block ends. */
#define WEIR_TICKET(name) \
    weir_ticket name __attribute__((cleanup(weir_breaker_drop_))) = { NULL, 0, false }

/* Make a breaker, closed.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   -ENOMEM      no memory
 * Ownership:  the caller frees *ret_breaker with weir_breaker_free().
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_breaker_new_opt(weir_breaker **ret_breaker, const weir_breaker_opts *opts);

/* Free a breaker; no ticket of it may be open.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  ends the breaker; NULL is fine.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API void weir_breaker_free(weir_breaker *breaker);

/* May a call be made? When the cooldown is over, the first to ask makes the one
 * call that probes.
 *
 * Checkpoint: never.
 * Returns:    0 with the ticket, or
 *   WEIR_EBREAKER  not now; the sentence says for how long
 * Ownership:  the caller ends *ret_ticket with weir_breaker_leave(); one that was
 *   declared by WEIR_TICKET() ends with its block as well.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_breaker_enter(weir_breaker *breaker, weir_ticket *ret_ticket);

/* Say how the call went. Codes of the categories TIMEOUT, PEER, PROTOCOL and OS
 * are failures of the service, 0 and above are successes; the others (a cancel, a
 * full pool, wrong input) say nothing about it: a probe that ends so is followed
 * by another one at once.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  ends the ticket; leaving it again does nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) void weir_breaker_leave(weir_ticket *ticket, int rc);

/* Enter, run fn(arg), leave with its result.
 *
 * Checkpoint: never, but for what fn does.
 * Returns:    fn's result, or
 *   WEIR_EBREAKER  fn was not run
 * Ownership:  takes nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_breaker_call(weir_breaker *breaker, weir_fn *fn, void *arg);

typedef struct weir_breaker_stats {
    weir_breaker_state state;
    uint32_t failures;  /* in a row, now */
    int64_t retry_ms;   /* until the probe, while it is open; else 0 */
    uint64_t opened;    /* times it opened */
    uint64_t refused;   /* calls */
    uint64_t probes;
} weir_breaker_stats;

/* Read a breaker's state and counters.
 *
 * Checkpoint: never.
 * Returns:    nothing; the parts may be a moment apart.
 * Ownership:  fills the caller's struct.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1, 2)
void weir_breaker_read(weir_breaker *breaker, weir_breaker_stats *ret_stats);

/* Part of WEIR_TICKET. */
WEIR_API void weir_breaker_drop_(weir_ticket *ticket);

WEIR_END

#endif
