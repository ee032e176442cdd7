/* Parking, waking, and the check that every checkpoint begins with.
 *
 * A wait ends exactly once: by whoever has its result, or by a cancel through
 * its abandon function. The waker only marks the task ready; a cancel that comes
 * between the wake and the task's turn finds the wait woken and leaves the
 * result alone: a result beats a cancel. */
#include "rt/os_locks.h"
#include "rt/probe.h"

int rt_check(void)
{
    struct fiber *self = loop_current ? loop_current->current : NULL;

    if (unlikely(!self)) {
        rt_wrong_use("a checkpoint was called outside a task: what may wait is called by a task, "
                     "which weir_run(), or from another thread weir_remote_call(), starts");
        return WEIR_EWRONGUSE;
    }
    return scope_check(self->scope);
}

void rt_spend(void)
{
    struct loop *loop = loop_current;
    struct fiber *self = loop->current;

    if (likely(--self->budget > 0))
        return;
    os_locks_check(self, "it yields");
    self->budget = RT_BUDGET;
    self->task->state = TASK_READY;
    TRACE_TASK(loop, RECORD_YIELD, self->task, NULL, 0);
    ready_push(loop, self->task);
    /* It has worked for more than one, so input and timers are to be looked at sooner. */
    loop->batch_left -= RT_SPENT_TASKS;
    loop->ready.popped -= RT_SPENT_TASKS;
    fiber_yield_to_next(loop);
}

static int park(struct wait *wait)
{
    struct loop *loop = loop_current;
    struct fiber *self = loop->current;

    os_locks_check(self, wait->what);
    wait->fiber = self;
    wait->woken = false;
    wait->since_ns = loop->now_ns;
    self->wait = wait;
    self->task->state = TASK_PARKED;
    TRACE_TASK(loop, RECORD_WAIT, self->task, wait->what, 0);
    if (unlikely(loop->wait_hook != NULL))
        loop->wait_hook(loop, wait);
    fiber_yield_to_next(loop);
    self->budget = RT_BUDGET;
    return wait->rc;
}

int rt_park(struct wait *wait)
{
    return park(wait);
}

int rt_park_shielded(struct wait *wait)
{
    wait->abandon = NULL;
    return park(wait);
}

void wait_wake(struct wait *wait, int rc)
{
    struct loop *loop = loop_current;
    struct fiber *fiber = wait->fiber;

    if (wait->woken)
        return;
    wait->woken = true;
    wait->rc = rc;
    fiber->wait = NULL;
    fiber->task->state = TASK_READY;
    TRACE_BY(loop, RECORD_WAKE, fiber->task, wait->what);
    ready_push(loop, fiber->task);
}

int weir_yield(void)
{
    struct loop *loop = loop_current;
    int rc = rt_check();

    if (rc < 0)
        return rc;
    os_locks_check(loop->current, "it yields");
    loop->current->task->state = TASK_READY;
    TRACE_TASK(loop, RECORD_YIELD, loop->current->task, NULL, 0);
    ready_push(loop, loop->current->task);
    fiber_yield_to_next(loop);
    return 0;
}

struct sleep {
    struct wait wait;
    struct timer timer;
};

static void sleep_over(struct timer *timer)
{
    wait_wake(&container_of(timer, struct sleep, timer)->wait, 0);
}

static void sleep_abandon(struct wait *wait, int code)
{
    struct sleep *sleep = container_of(wait, struct sleep, wait);

    timer_clear(loop_current, &sleep->timer);
    wait_wake(wait, code);
}

int weir_sleep_ms(uint32_t ms)
{
    struct sleep sleep = { .wait = { .abandon = sleep_abandon, .what = "sleep" } };
    int rc = rt_check();

    if (rc < 0)
        return rc;
    if (ms == 0)
        return weir_yield();
    timer_init(&sleep.timer, sleep_over);
    timer_set(loop_current, &sleep.timer, loop_current->now_ns + (int64_t)ms * 1000000);
    return rt_park(&sleep.wait);
}

struct io_wait {
    struct wait wait;
    struct io_op *op;
};

static void io_abandon(struct wait *wait, int code)
{
    struct io_wait *io = container_of(wait, struct io_wait, wait);

    (void)code;
    io_cancel(loop_current, io->op);
}

static void io_done(struct io_op *op)
{
    wait_wake(op->done_arg, op->res);
}

int rt_io(struct io_op *op, const char *what)
{
    struct io_wait io = { .wait = { .abandon = io_abandon, .what = what }, .op = op };
    int rc = rt_check();

    if (rc < 0)
        return rc;
    op->done = io_done;
    op->done_arg = &io.wait;
    if (io_submit(loop_current, op)) {
        rt_spend();
        return op->res;
    }
    rc = rt_park(&io.wait);
    if (rc == -ECANCELED && op->cancelled) {
        int code = rt_check();

        return code < 0 ? code : rc;
    }
    return rc;
}
