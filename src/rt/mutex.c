/* The mutex: a hand-over lock.
 *
 * Unlocking gives the lock to the task that has waited longest, before that task
 * runs, so that nobody overtakes. Invariants: owner_ is a fiber whenever the lock is
 * held; while nobody holds it nobody waits. */
#include "rt/held.h"
#include "rt/mutex.h"
#include "rt/queued.h"

static inline bool mutex_take(weir_mutex *mutex, struct fiber *self, const void *caller)
{
    if (mutex->owner_)
        return false;
    mutex->owner_ = self;
    held_add(self, mutex, caller);
    return true;
}

/* Inside, and out of it. */
static __attribute__((noinline)) int mutex_wait(weir_mutex *mutex, struct fiber *self,
                                                const void *caller)
{
    struct queued place = {
        .wait = { .abandon = queued_abandon, .what = "lock", .object = mutex, .kind = WAIT_LOCK },
    };
    int rc;

    if (mutex->owner_ == self) {
        queued_leave(&mutex->waiting_, mutex->shared);
        return weir_fail(-EDEADLK, "the task holds this lock already");
    }
    rc = queued_park(&mutex->waiting_, mutex->shared, &place);
    if (rc == 0)
        held_add(self, mutex, caller);
    return rc;
}

int weir_lock(weir_mutex *mutex)
{
    struct fiber *self;
    int rc = rt_check();

    if (rc < 0)
        return rc;
    self = loop_current->current;
    queued_use(&mutex->waiting_, mutex->shared, "mutex");
    if (!mutex_take(mutex, self, HELD_CALLER))
        return mutex_wait(mutex, self, HELD_CALLER);
    queued_leave(&mutex->waiting_, mutex->shared);
    rt_spend();
    return 0;
}

int weir_try_lock(weir_mutex *mutex)
{
    struct fiber *self = fiber_current();
    bool taken;

    if (unlikely(!self)) {
        rt_wrong_use("a mutex is tried outside a task: only a task can hold one");
        return WEIR_EWRONGUSE;
    }
    queued_use(&mutex->waiting_, mutex->shared, "mutex");
    taken = mutex_take(mutex, self, HELD_CALLER);
    queued_leave(&mutex->waiting_, mutex->shared);
    return taken ? 0 : -EBUSY;
}

void weir_unlock(weir_mutex *mutex)
{
    struct fiber *self = fiber_current();
    struct queued *next;

    queued_enter(&mutex->waiting_, mutex->shared);
    if (unlikely(mutex->owner_ != self || !self)) {
        queued_leave(&mutex->waiting_, mutex->shared);
        rt_wrong_use(
            "%s unlocks a mutex that it does not hold: the task that locked it unlocks it, "
            "once for each weir_lock()",
            self ? "a task" : "a thread");
        return;
    }
    next = queued_pop(&mutex->waiting_);
    mutex->owner_ = next ? next->fiber : NULL;
    queued_leave(&mutex->waiting_, mutex->shared);
    held_remove(self, mutex);
    queued_wake(next, 0);
}

bool mutex_is_own(weir_mutex *mutex)
{
    bool own;

    queued_use(&mutex->waiting_, mutex->shared, "mutex");
    own = mutex->owner_ && mutex->owner_ == fiber_current();
    queued_leave(&mutex->waiting_, mutex->shared);
    return own;
}

void mutex_take_back(weir_mutex *mutex, const void *caller)
{
    struct fiber *self = fiber_current();
    struct queued place = { .wait = { .what = "lock", .object = mutex, .kind = WAIT_LOCK } };

    queued_enter(&mutex->waiting_, mutex->shared);
    if (mutex_take(mutex, self, caller)) {
        queued_leave(&mutex->waiting_, mutex->shared);
        return;
    }
    queued_stand(&mutex->waiting_, mutex->shared, &place);
    queued_leave(&mutex->waiting_, mutex->shared);
    WEIR_IGNORE(rt_park_shielded(&place.wait), "nothing ends this wait but the lock itself");
    held_add(self, mutex, caller);
}
