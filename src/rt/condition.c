/* The condition variable: give up a mutex, wait to be told, take it back.
 *
 * Tasks of one loop switch only where they wait, so giving up the mutex and
 * entering the queue is one step. A task that was told has had its result: a
 * cancel that comes after that does not make it fail. It takes the mutex back in
 * the mutex's own order, told or cancelled: what its caller cleans up stands
 * under the mutex. */
#include "rt/queued.h"

/* Take the mutex back, whatever has been cancelled: in a scope that stands in no
 * tree, so that no cancel and no deadline comes to it. */
static void mutex_retake(weir_mutex *mutex)
{
    struct fiber *self = fiber_current();
    struct scope *around = self->scope;
    struct scope apart = {
        .loop = loop_current,
        .deadline_ns = WEIR_NEVER_NS,
        .own_deadline_ns = WEIR_NEVER_NS,
        .flags = SCOPE_SHIELD,
        .context = around->context,
        .name = around->name,
        .site = around->site,
    };

    self->scope = &apart;
    WEIR_IGNORE(weir_lock(mutex), "nothing cancels it, and the task does not hold the mutex");
    self->scope = around;
}

int weir_condition_wait(weir_condition *condition, weir_mutex *mutex)
{
    struct queued self = {
        .wait = { .abandon = queued_abandon, .what = "condition", .object = condition },
    };
    int rc = rt_check();

    if (rc < 0)
        return rc;
    if (mutex->owner_ != fiber_current()) {
        rt_wrong_use("a task waits for a condition without its mutex");
        return WEIR_EWRONGUSE;
    }
    weir_unlock(mutex);
    rc = queued_park(&condition->waiting_, &self);
    mutex_retake(mutex);
    return rc;
}

void weir_condition_signal(weir_condition *condition)
{
    struct queued *first = queued_pop(&condition->waiting_);

    if (first)
        wait_wake(&first->wait, 0);
}

void weir_condition_broadcast(weir_condition *condition)
{
    queued_wake_all(&condition->waiting_, 0);
}

void weir_condition_done(weir_condition *condition)
{
    if (condition)
        queued_end(&condition->waiting_, "a condition");
}
