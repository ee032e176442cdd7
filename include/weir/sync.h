/* Locks between tasks of one loop. Tasks switch only at checkpoints, so a lock
 * is needed only around a stretch that waits. Locks are fair: first come, first
 * served. */
#ifndef WEIR_SYNC_H
#define WEIR_SYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/export.h>
#include <weir/scope.h>

WEIR_BEGIN

/* A mutex in the caller's storage; all zero is an unlocked one. */
typedef struct weir_mutex {
    void *owner_; /* the task that holds it */
    void *first_, *last_;
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
 * Returns:    nothing.
 * Ownership:  NULL is fine.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API void weir_semaphore_free(weir_semaphore *semaphore);

/* Take a unit; waits while there is none. A task that was started with
 * .needs = semaphore has one already, and is given that.
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
 * Ownership:  as weir_acquire().
 * Thread:     a task, or a loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_try_acquire(weir_semaphore *semaphore);

/* Give a unit back.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  the unit is the semaphore's again.
 * Thread:     a task, or a loop.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) void weir_release(weir_semaphore *semaphore);

WEIR_END

#endif
