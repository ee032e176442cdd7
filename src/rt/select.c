/* Select: see weir/chan.h.
 *
 * On entry the arms are tried in turn, beginning at a scattered one. When
 * none is ready, the task waits at all of them at once; the first to be served
 * marks the shared wait as woken, and every other is passed over from then on.
 *
 * Invariant: exactly one arm takes effect. Channel arms take effect inside
 * chan_*_now() or when they are served; timers, ends and stops have no effect to
 * take back. */
#include "rt/chan.h"

#define SELECT_ARMS_MAX 16

struct select_place {
    struct chan_wait chan;
    struct done_wait done;
};

struct select {
    struct wait wait;
    struct timer timer;
    int timer_arm, stop_arm;
    int arm;               /* the one that was served */
    size_t count;
    weir_arm *arms;
    struct select_place *places;
};

static void select_timer_fired(struct timer *timer)
{
    struct select *select = container_of(timer, struct select, timer);

    if (!select->wait.woken)
        select->arm = select->timer_arm;
    wait_wake(&select->wait, 0);
}

static void select_abandon(struct wait *wait, int code)
{
    struct select *select = container_of(wait, struct select, wait);

    if (code == 0) /* a stop */
        select->arm = select->stop_arm;
    wait_wake(wait, code);
}

static int arm_try(const weir_arm *arm)
{
    struct task *task;
    int rc;

    switch (arm->kind) {
    case WEIR_ARM_SEND: return chan_send_now(arm->chan, arm->item);
    case WEIR_ARM_RECV:
        rc = chan_recv_now(arm->chan, arm->item);
        return rc == -EAGAIN && arm->chan->source && weir_stopping() ? 0 : rc;
    case WEIR_ARM_DONE:
        task = task_find(arm->task);
        if (!task)
            return -ESRCH;
        return task->state == TASK_ENDED ? task->rc : -EAGAIN;
    case WEIR_ARM_STOP: return weir_stopping() ? 0 : -EAGAIN;
    default: return arm->ms == 0 ? 0 : -EAGAIN;
    }
}

/* A result of -EAGAIN that a task has returned is a result too. */
static bool arm_is_ready(const weir_arm *arm, int rc)
{
    if (rc != -EAGAIN)
        return true;
    if (arm->kind == WEIR_ARM_DONE) {
        struct task *task = task_find(arm->task);

        return task && task->state == TASK_ENDED;
    }
    return false;
}

static int arm_check(const weir_arm *arm)
{
    bool channel = arm->kind == WEIR_ARM_SEND || arm->kind == WEIR_ARM_RECV;

    return channel && arm->item_size != arm->chan->item_bytes ? -EINVAL : 0;
}

static void arm_ends_at_stop(struct select *select, int at)
{
    select->stop_arm = at;
    select->wait.ends_at_stop = true;
}

static void arm_wait(struct select *select, int at)
{
    weir_arm *arm = &select->arms[at];
    struct select_place *place = &select->places[at];
    struct task *task;

    place->chan = (struct chan_wait){
        .wait = &select->wait, .item = arm->item, .arm = at, .ret_arm = &select->arm
    };
    list_init(&place->chan.link);
    switch (arm->kind) {
    case WEIR_ARM_SEND: list_push(&arm->chan->senders, &place->chan.link); break;
    case WEIR_ARM_RECV:
        list_push(&arm->chan->receivers, &place->chan.link);
        if (arm->chan->source)
            arm_ends_at_stop(select, at);
        break;
    case WEIR_ARM_DONE:
        task = task_find(arm->task);
        place->done = (struct done_wait){
            .next = task->done_waits, .wait = &select->wait, .arm = at, .ret_arm = &select->arm
        };
        task->done_waits = &place->done;
        break;
    case WEIR_ARM_STOP: arm_ends_at_stop(select, at); break;
    default:
        if (select->timer_arm < 0 || arm->ms < select->arms[select->timer_arm].ms)
            select->timer_arm = at;
        break;
    }
}

static void arm_leave(struct select *select, size_t at)
{
    struct select_place *place = &select->places[at];
    struct task *task;

    list_remove(&place->chan.link);
    if (select->arms[at].kind != WEIR_ARM_DONE)
        return;
    task = task_find(select->arms[at].task);
    if (!task)
        return;
    for (struct done_wait **link = &task->done_waits; *link; link = &(*link)->next)
        if (*link == &place->done) {
            *link = place->done.next;
            return;
        }
}

/* Where to begin: scattered, as tasks that take turns would each come to the same
 * place again and again if it moved on by one (the multiplier is that of Numerical
 * Recipes; its high bits are the good ones). */
static size_t select_first(struct loop *loop, size_t count)
{
    loop->select_turn = loop->select_turn * 1664525u + 1013904223u;
    return (uint64_t)loop->select_turn * count >> 32;
}

static weir_pick select_park(struct select *select)
{
    int rc;

    for (size_t i = 0; i < select->count; i++)
        arm_wait(select, (int)i);
    if (select->timer_arm >= 0)
        timer_set(loop_current, &select->timer,
                  loop_current->now_ns + (int64_t)select->arms[select->timer_arm].ms * 1000000);
    rc = rt_park(&select->wait);
    timer_clear(loop_current, &select->timer);
    for (size_t i = 0; i < select->count; i++)
        arm_leave(select, i);
    return (weir_pick){ select->arm, rc };
}

weir_pick weir_select_arms(weir_arm *arms, size_t count)
{
    struct select_place places[SELECT_ARMS_MAX];
    struct select select = { .wait = { .abandon = select_abandon, .what = "select" },
                             .timer_arm = -1,
                             .stop_arm = -1,
                             .arm = -1,
                             .count = count,
                             .arms = arms,
                             .places = places };
    size_t first;
    int rc;

    if (count == 0 || count > SELECT_ARMS_MAX)
        return (weir_pick){ -1, -EINVAL };
    rc = rt_check();
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = arm_check(&arms[i]);
    if (rc < 0)
        return (weir_pick){ -1, rc };
    timer_init(&select.timer, select_timer_fired);
    first = select_first(loop_current, count);
    for (size_t i = 0; i < count; i++) {
        size_t at = first + i < count ? first + i : first + i - count;

        rc = arm_try(&arms[at]);
        if (arm_is_ready(&arms[at], rc)) {
            rt_spend();
            return (weir_pick){ (int)at, rc };
        }
    }
    return select_park(&select);
}
