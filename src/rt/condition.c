/* The condition variable: give up a mutex, wait to be told, take it back.
 *
 * A task stands in the queue before it gives up the mutex, so a signal that comes
 * right behind, from another loop for one, finds it. A task that was told has had
 * its result: a cancel that comes after that does not make it fail. It takes the
 * mutex back in the mutex's own order, told or cancelled: what its caller cleans up
 * stands under the mutex. */
#include "rt/mutex.h"
#include "rt/queued.h"

int weir_condition_wait(weir_condition *condition, weir_mutex *mutex)
{
    struct queued self = {
        .wait = { .abandon = queued_abandon, .what = "condition", .object = condition },
    };
    int rc = rt_check();

    if (rc < 0)
        return rc;
    if (!mutex_is_own(mutex)) {
        rt_wrong_use("a task waits for a condition without its mutex");
        return WEIR_EWRONGUSE;
    }
    queued_use(&condition->waiting_, condition->shared, "condition");
    queued_stand(&condition->waiting_, condition->shared, &self);
    queued_leave(&condition->waiting_, condition->shared);
    weir_unlock(mutex);
    rc = rt_park(&self.wait);
    mutex_take_back(mutex, __builtin_return_address(0));
    return rc;
}

void weir_condition_signal(weir_condition *condition)
{
    struct queued *first;

    queued_use(&condition->waiting_, condition->shared, "condition");
    first = queued_pop(&condition->waiting_);
    queued_leave(&condition->waiting_, condition->shared);
    queued_wake(first, 0);
}

void weir_condition_broadcast(weir_condition *condition)
{
    struct queued *all;

    queued_use(&condition->waiting_, condition->shared, "condition");
    all = queued_pop_all(&condition->waiting_);
    queued_leave(&condition->waiting_, condition->shared);
    queued_wake_list(all, 0);
}

void weir_condition_done(weir_condition *condition)
{
    if (condition)
        queued_end(&condition->waiting_, condition->shared, "a condition");
}
