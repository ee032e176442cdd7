/* Locks between tasks. Tasks of one loop switch only at checkpoints, so there a lock
 * is needed only around a stretch that waits. Locks are fair: first come, first
 * served, by hand-over.
 *
 * A lock belongs to the loop whose task uses it first, unless it is made shared:
 *
 *     static weir_mutex mutex;                                  the tasks of one loop
 *     static weir_mutex mutex = { .shared = true };             those of all loops
 *     weir_latch_init(&latch, 2, .shared = true);
 *     rc = weir_single_flight_new(&group, .shared = true);
 *
 * The calls are the same. "One loop's tasks" below means, for a shared lock, those of
 * any loop; a task of another loop at one that is not shared stops a debug build. (A
 * semaphore is shared always.) Storage of a shared lock lives until every call on it
 * has returned, but that of weir_unlock() and its like: a task that was given the lock
 * may free it. What was handed over to a task that is cancelled in the same moment is
 * the task's: its call returns 0. */
#ifndef WEIR_SYNC_H
#define WEIR_SYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/export.h>
#include <weir/scope.h>

WEIR_BEGIN

/* Tasks that wait, in the order in which they came; all zero is none. */
typedef struct weir_wait_queue {
    void *first_, *last_;
    uint32_t guard_; /* held for a few instructions, where the lock is shared */
    uint32_t loop_;  /* whose it is, where it is not: for debug builds */
} weir_wait_queue;

/* A mutex in the caller's storage; all zero is an unlocked one. */
typedef struct weir_mutex {
    bool shared;
    void *owner_; /* the task that holds it */
    weir_wait_queue waiting_;
} weir_mutex;

/* Take the mutex; waits while another task holds it.
 *
 * Checkpoint: always.
 * Returns:    0, or
 *   -EDEADLK     the task holds it already
 *   -ETIMEDOUT   the deadline passed; not taken
 *   -ECANCELED   the scope was cancelled; not taken
 * Ownership:  the task holds it until weir_unlock(); ending a task with a lock
 *   held is wrong use.
 * Thread:     tasks of one loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_lock(weir_mutex *mutex);

/* Take the mutex if it is free now.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   -EBUSY       a task holds it
 *   WEIR_EWRONGUSE  not called by a task
 * Ownership:  as weir_lock().
 * Thread:     tasks of one loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_try_lock(weir_mutex *mutex);

/* Give the mutex to the task that has waited longest, or free it.
 *
 * Checkpoint: never.
 * Returns:    nothing; unlocking what another task holds is wrong use.
 * Ownership:  the task no longer holds it.
 * Thread:     the task that holds it.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) void weir_unlock(weir_mutex *mutex);

typedef struct weir_semaphore_opts {
    size_t size;          /* set by the macro */
    const char *name;     /* for logs and metrics */
    uint32_t units;       /* how many there are; at least 1 */
    uint32_t max_waiting; /* tasks that may wait; unset: no bound but live tasks */
    bool owned;           /* the task that takes a unit gives it back, as with a lock; so
                             tasks that wait for each other's are found */
} weir_semaphore_opts;

#define weir_semaphore_new(ret, ...)                                           \
    weir_semaphore_new_opt(ret, &(weir_semaphore_opts){                        \
                                    .size = sizeof(weir_semaphore_opts), __VA_ARGS__ })

/* Make a semaphore. It may be used from every loop; each unit is given to the
 * task that waits longest on the loop that it comes free on, then to the others.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   -ENOMEM      no memory
 *   -EINVAL      no units
 * Ownership:  the caller frees *ret_semaphore with weir_semaphore_free().
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_semaphore_new_opt(weir_semaphore **ret_semaphore, const weir_semaphore_opts *opts);

/* Free a semaphore; no task may be waiting on it.
 *
 * Checkpoint: never.
 * Returns:    nothing; a task that waits is wrong use: the semaphore is not freed.
 * Ownership:  NULL is fine.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API void weir_semaphore_free(weir_semaphore *semaphore);

/* Take a unit; waits while there is none. A task that was started with
 * .needs = semaphore has one already, and is given that: from then on it is the
 * task's to give back.
 *
 * Checkpoint: always.
 * Returns:    0, or
 *   WEIR_EFULL   max_waiting tasks wait already
 *   -ETIMEDOUT   the deadline passed; nothing taken
 *   -ECANCELED   the scope was cancelled; nothing taken
 * Ownership:  the caller gives the unit back with weir_release().
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_acquire(weir_semaphore *semaphore);

/* Take a unit if there is one now.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   -EAGAIN      there is none
 *   WEIR_EWRONGUSE  it is .owned, and no task calls
 * Ownership:  as weir_acquire().
 * Thread:     a task, a loop, or a blocking call (weir/block.h).
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_try_acquire(weir_semaphore *semaphore);

/* Give a unit back. A child that was started with .needs does not: its unit goes
 * back at its end, unless the child has fetched it by weir_acquire().
 *
 * Checkpoint: never.
 * Returns:    nothing; giving back a unit that nobody has taken is wrong use, as is one of
 *   an .owned semaphore that another task has taken.
 * Ownership:  the unit is the semaphore's again.
 * Thread:     a task, a loop, or a blocking call (weir/block.h).
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) void weir_release(weir_semaphore *semaphore);

/* ---- read-write lock ---------------------------------------------------- */

/* A lock that many tasks may read under, or one write; in the caller's storage,
 * all zero is a free one. Nobody overtakes: a reader that comes while a writer
 * waits stands behind it, and when a writer is done, all the readers up to the
 * next writer go in together. */
typedef struct weir_rwlock {
    bool shared;
    void *writer_;
    uint32_t readers_;
    void *named_[8]; /* tasks that read, as many as fit */
    weir_wait_queue waiting_;
} weir_rwlock;

/* Take the lock for reading; waits while a task writes, or came before to write.
 *
 * Checkpoint: always.
 * Returns:    0, or
 *   -EDEADLK     the task holds it already (seen with up to 8 readers at a time)
 *   -ETIMEDOUT   the deadline passed; not taken
 *   -ECANCELED   the scope was cancelled; not taken
 *   WEIR_ECLOSED it was ended meanwhile, which is wrong use; not taken
 * Ownership:  the task reads until weir_read_unlock(); ending a task with a lock
 *   held is wrong use.
 * Thread:     tasks of one loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_read_lock(weir_rwlock *lock);

/* Take the lock for writing; waits while a task holds it.
 *
 * Checkpoint: always.
 * Returns:    0, or
 *   -EDEADLK     the task holds it already, if only to read (a reader can't become
 *                a writer; seen with up to 8 readers at a time)
 *   -ETIMEDOUT   the deadline passed; not taken
 *   -ECANCELED   the scope was cancelled; not taken
 *   WEIR_ECLOSED it was ended meanwhile, which is wrong use; not taken
 * Ownership:  the task writes until weir_write_unlock(); ending a task with a lock
 *   held is wrong use.
 * Thread:     tasks of one loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_write_lock(weir_rwlock *lock);

/* Take the lock for reading if no task writes or waits.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   -EBUSY       a task writes, or waits
 *   WEIR_EWRONGUSE  not called by a task
 * Ownership:  as weir_read_lock().
 * Thread:     tasks of one loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_try_read_lock(weir_rwlock *lock);

/* Take the lock for writing if it is free now.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   -EBUSY       a task holds it
 *   WEIR_EWRONGUSE  not called by a task
 * Ownership:  as weir_write_lock().
 * Thread:     tasks of one loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_try_write_lock(weir_rwlock *lock);

/* End reading; the last reader gives the lock to the writer that waits.
 *
 * Checkpoint: never.
 * Returns:    nothing; a task that does not read under the lock ends no read: that
 *   is wrong use.
 * Ownership:  the task no longer holds it.
 * Thread:     the task that reads.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) void weir_read_unlock(weir_rwlock *lock);

/* End writing: give the lock to the task that has waited longest, and when that
 * is a reader, to those behind it up to the next writer.
 *
 * Checkpoint: never.
 * Returns:    nothing; unlocking what another task holds is wrong use.
 * Ownership:  the task no longer holds it.
 * Thread:     the task that writes.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) void weir_write_unlock(weir_rwlock *lock);

/* Check, before its storage goes, that nobody holds the lock or waits for it.
 *
 * Checkpoint: never.
 * Returns:    nothing; a task that holds the lock is wrong use, and so is one that
 *   waits: its call returns WEIR_ECLOSED.
 * Ownership:  the storage stays the caller's; NULL is fine.
 * Thread:     the tasks' loop.
 * Since:      0.1 */
WEIR_API void weir_rwlock_done(weir_rwlock *lock);

/* ---- condition ---------------------------------------------------------- */

/* A condition variable in the caller's storage; all zero is one that nobody
 * waits for. What is waited for stands under a mutex, and is looked at again
 * after each wait:
 *
 *     rc = weir_lock(&mutex);
 *     if (rc < 0)
 *         return rc;
 *     while (rc == 0 && !ready)
 *         rc = weir_condition_wait(&changed, &mutex);
 *     ...
 *     weir_unlock(&mutex); */
typedef struct weir_condition {
    bool shared;
    weir_wait_queue waiting_;
} weir_condition;

/* Give up the mutex, wait for a signal, and take the mutex back. Whatever it
 * returns, the task holds the mutex afterwards: a cancel ends the wait for the
 * signal, but not that for the mutex.
 *
 * Checkpoint: always.
 * Returns:    0 when it was signalled, or
 *   -ETIMEDOUT      the deadline passed
 *   -ECANCELED      the scope was cancelled
 *   WEIR_ECLOSED    the condition was ended meanwhile, which is wrong use
 *   WEIR_EWRONGUSE  the task does not hold the mutex
 * Ownership:  the mutex is not held during the wait.
 * Thread:     a task that holds the mutex; all of one loop. A shared condition goes with
 *   a shared mutex.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_condition_wait(weir_condition *condition, weir_mutex *mutex);

/* Wake the task that has waited longest, if there is one.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  takes nothing.
 * Thread:     the tasks' loop; any thread when it is shared. The mutex need not be held.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) void weir_condition_signal(weir_condition *condition);

/* Wake every task that waits; they take the mutex in the order in which they
 * came.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  takes nothing.
 * Thread:     the tasks' loop; any thread when it is shared. The mutex need not be held.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) void weir_condition_broadcast(weir_condition *condition);

/* Check, before its storage goes, that nobody waits for the condition.
 *
 * Checkpoint: never.
 * Returns:    nothing; a task that waits is wrong use: its call returns
 *   WEIR_ECLOSED.
 * Ownership:  the storage stays the caller's; NULL is fine.
 * Thread:     the tasks' loop.
 * Since:      0.1 */
WEIR_API void weir_condition_done(weir_condition *condition);

/* ---- latch and barrier -------------------------------------------------- */

/* Opens for good when it has been counted down; in the caller's storage, all zero
 * is an open one. */
typedef struct weir_latch {
    bool shared;
    uint32_t count_;
    weir_wait_queue waiting_;
} weir_latch;

typedef struct weir_latch_opts {
    size_t size; /* set by the macro */
    bool shared; /* between the tasks of all loops */
} weir_latch_opts;

#define weir_latch_init(latch, count, ...)                                     \
    weir_latch_init_opt(latch, count,                                          \
                        &(weir_latch_opts){ .size = sizeof(weir_latch_opts), __VA_ARGS__ })

/* Set up a latch that opens after count calls of weir_latch_count_down().
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  fills the caller's storage.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1, 3)
void weir_latch_init_opt(weir_latch *latch, uint32_t count, const weir_latch_opts *opts);

/* Count down by one; at 0 every task that waits goes on.
 *
 * Checkpoint: never.
 * Returns:    nothing; counting below 0 is wrong use.
 * Ownership:  takes nothing.
 * Thread:     the tasks' loop; any thread when it is shared.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) void weir_latch_count_down(weir_latch *latch);

/* Wait until the latch is open.
 *
 * Checkpoint: always.
 * Returns:    0, or
 *   -ETIMEDOUT   the deadline passed
 *   -ECANCELED   the scope was cancelled
 *   WEIR_ECLOSED it was ended meanwhile, which is wrong use
 * Ownership:  takes nothing.
 * Thread:     tasks of one loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_latch_wait(weir_latch *latch);

/* Check, before its storage goes, that nobody waits for the latch.
 *
 * Checkpoint: never.
 * Returns:    nothing; a task that waits is wrong use: its call returns
 *   WEIR_ECLOSED.
 * Ownership:  the storage stays the caller's; NULL is fine.
 * Thread:     the tasks' loop.
 * Since:      0.1 */
WEIR_API void weir_latch_done(weir_latch *latch);

/* Where a fixed number of tasks meet, again and again; in the caller's storage. */
typedef struct weir_barrier {
    bool shared;
    uint32_t parties_, arrived_;
    weir_wait_queue waiting_;
} weir_barrier;

typedef struct weir_barrier_opts {
    size_t size; /* set by the macro */
    bool shared; /* between the tasks of all loops */
} weir_barrier_opts;

#define weir_barrier_init(barrier, parties, ...)                               \
    weir_barrier_init_opt(barrier, parties,                                    \
                          &(weir_barrier_opts){ .size = sizeof(weir_barrier_opts), __VA_ARGS__ })

/* Set up a barrier at which this many tasks meet.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   -EINVAL      no task
 * Ownership:  fills the caller's storage.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 3)
int weir_barrier_init_opt(weir_barrier *barrier, uint32_t parties, const weir_barrier_opts *opts);

/* Arrive, and wait until as many have arrived as meet there; then all go on, and
 * the next to arrive is the first of the next round.
 *
 * Checkpoint: always.
 * Returns:    1 to the task that came last, 0 to the others, or
 *   -ETIMEDOUT   the deadline passed; its arrival does not count any more
 *   -ECANCELED   the scope was cancelled; its arrival does not count any more
 *   WEIR_ECLOSED it was ended meanwhile, which is wrong use
 * Ownership:  takes nothing.
 * Thread:     tasks of one loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_barrier_wait(weir_barrier *barrier);

/* Check, before its storage goes, that nobody waits at the barrier.
 *
 * Checkpoint: never.
 * Returns:    nothing; a task that waits is wrong use: its call returns
 *   WEIR_ECLOSED.
 * Ownership:  the storage stays the caller's; NULL is fine.
 * Thread:     the tasks' loop.
 * Since:      0.1 */
WEIR_API void weir_barrier_done(weir_barrier *barrier);

/* ---- once and single-flight --------------------------------------------- */

/* Something that is done once; in the caller's storage, all zero is not done. */
typedef struct weir_once {
    bool shared, run_;
    void *leader_; /* the task that does it */
    weir_wait_queue waiting_;
} weir_once;

/* Run fn(arg), unless that has succeeded before; waits while another task does.
 * When fn fails (or is cancelled) its caller gets the code, and the task that has
 * waited longest tries next, with its own fn.
 *
 * Checkpoint: always.
 * Returns:    0 when it was run, by whomever, or
 *   CODE         of fn, run by this call
 *   -EDEADLK     fn itself asks
 *   -ETIMEDOUT   the deadline passed
 *   -ECANCELED   the scope was cancelled
 * Ownership:  arg is used during the call only.
 * Thread:     tasks of one loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_run_once(weir_once *once, weir_fn *fn, void *arg);

/* Calls that are made once for all who ask for the same at the same time. */
typedef struct weir_single_flight weir_single_flight;

/* What a flight runs; its result (0, a positive value, or a negative code) and
 * what it wrote to *ret_result go to every caller. On failure it leaves
 * *ret_result alone. */
typedef int weir_flight_fn(void *arg, void *ret_result);

typedef struct weir_single_flight_opts {
    size_t size;                 /* set by the macro */
    const char *name;            /* for logs; static storage or outliving the group */
    bool shared;                 /* between the tasks of all loops */
    uint32_t max_flights;        /* keys under way at once; unset: 1,024 */
    size_t result_bytes;         /* what a flight writes; unset: its code alone */
    void (*share)(void *result); /* for each further caller's copy: takes a reference
                                    to what it points to; must not wait; called on
                                    the loop of the task that ran the flight */
} weir_single_flight_opts;

#define weir_single_flight_new(ret, ...)                                       \
    weir_single_flight_new_opt(ret, &(weir_single_flight_opts){                \
                                        .size = sizeof(weir_single_flight_opts), __VA_ARGS__ })

/* Make a group of flights: for the tasks of the current loop, unless it is shared.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   -ENOMEM         no memory
 *   WEIR_EWRONGUSE  not on a loop
 * Ownership:  the caller frees *ret_group with weir_single_flight_free().
 * Thread:     a task; unless shared, the group belongs to its loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_single_flight_new_opt(weir_single_flight **ret_group, const weir_single_flight_opts *opts);

/* Free a group; no flight may be under way.
 *
 * Checkpoint: never.
 * Returns:    nothing; a flight under way is wrong use: who waits for it gets
 *   WEIR_ECLOSED, and who leads it its own result.
 * Ownership:  NULL is fine.
 * Thread:     the group's loop; any task when it is shared.
 * Since:      0.1 */
WEIR_API void weir_single_flight_free(weir_single_flight *group);

/* Run fn(arg, ret_result) under a key, in this task; or, while another task does
 * so under the same key, wait, and take what comes of that: code, result and error
 * chain. One that waits and is cancelled leaves the others alone. When the one
 * that runs it fails and its scope was cancelled, its failure is not shared: the
 * task that has waited longest runs its own fn for the others.
 *
 * Checkpoint: always.
 * Returns:    what fn returned, here or in the task that ran it, or
 *   -EDEADLK        fn itself asks for its key
 *   -EINVAL         result_size is not the group's, or a key over 64 KiB
 *   -ENOMEM         no memory, or an absent key
 *   WEIR_EFULL      max_flights keys are under way
 *   WEIR_EBUDGET    the flight would pass the byte budget
 *   WEIR_ECLOSED    the group was freed meanwhile, which is wrong use
 *   WEIR_EWRONGUSE  the group is another loop's, and not shared
 *   -ETIMEDOUT      the deadline passed
 *   -ECANCELED      the scope was cancelled
 * Ownership:  the key is copied. Each caller has its own copy of the result; what
 *   that points to belongs to all, see .share. ret_result may be NULL when
 *   results have no bytes.
 * Thread:     a task of the group's loop; any task when it is shared.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 3)
int weir_single_flight_run(weir_single_flight *group, weir_str key, weir_flight_fn *fn, void *arg,
                           void *ret_result, size_t result_size);

WEIR_END

#endif
