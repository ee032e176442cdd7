/* The mutex: a hand-over lock for tasks of one loop.
 *
 * Unlocking gives the lock to the task that has waited longest, before that task
 * runs, so that nobody overtakes. Invariant: owner_ is a fiber whenever the lock
 * is held; first_ to last_ are the waits, linked by link.next, NULL when none. */
#include "rt/loop.h"

struct lock_wait {
    struct wait wait;
    struct lock_wait *next;
    weir_mutex *mutex;
};

static void lock_abandon(struct wait *wait, int code)
{
    struct lock_wait *self = container_of(wait, struct lock_wait, wait), *before = NULL;
    weir_mutex *mutex = self->mutex;

    for (struct lock_wait *at = mutex->first_; at; before = at, at = at->next) {
        if (at != self)
            continue;
        if (before)
            before->next = self->next;
        else
            mutex->first_ = self->next;
        if (mutex->last_ == self)
            mutex->last_ = before;
        wait_wake(wait, code);
        return;
    }
}

int weir_lock(weir_mutex *mutex)
{
    struct lock_wait self = { .wait = { .abandon = lock_abandon, .what = "lock", .object = mutex },
                              .mutex = mutex };
    int rc = rt_check();

    if (rc < 0)
        return rc;
    if (mutex->owner_ == fiber_current())
        return weir_fail(-EDEADLK, "the task holds this lock already");
    if (weir_try_lock(mutex) == 0) {
        rt_spend();
        return 0;
    }
    if (mutex->last_)
        ((struct lock_wait *)mutex->last_)->next = &self;
    else
        mutex->first_ = &self;
    mutex->last_ = &self;
    return rt_park(&self.wait);
}

int weir_try_lock(weir_mutex *mutex)
{
    struct fiber *self = fiber_current();

    if (mutex->owner_)
        return -EBUSY;
    mutex->owner_ = self;
    self->locks_held++;
    return 0;
}

void weir_unlock(weir_mutex *mutex)
{
    struct fiber *self = fiber_current();
    struct lock_wait *next = mutex->first_;

    if (mutex->owner_ != self) {
        rt_wrong_use("a task unlocks a mutex that it does not hold");
        return;
    }
    self->locks_held--;
    mutex->owner_ = NULL;
    if (!next)
        return;
    mutex->first_ = next->next;
    if (!mutex->first_)
        mutex->last_ = NULL;
    mutex->owner_ = next->wait.fiber;
    next->wait.fiber->locks_held++;
    wait_wake(&next->wait, 0);
}
