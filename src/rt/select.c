/* Select: see weir/chan.h.
 *
 * On entry the arms are tried in turn: beginning at a scattered one, or in the
 * order written. When none is ready, the task stands at all of them, one after the
 * other, and waits. Whoever serves one claims the task first (parked.h), and so
 * takes it away from every other; that may happen before it stands at the last.
 *
 * An operation that waits for a descriptor belongs to the backend until it has
 * ended: when another arm was first, it is cancelled, and its end awaited.
 *
 * Invariant: exactly one arm takes effect. Channel arms take effect when they are
 * tried or served; timers, ends, stops and descriptors have no effect to take
 * back. */
#include "rt/chan.h"
#include "rt/foreign.h"
#include "rt/wakers.h"

#define SELECT_ARMS_MAX 16

struct select;

struct fd_place {
    struct io_op op;
    struct select *select;
    int arm;
};

struct select_place {
    bool stands, is_shared;
    union {
        struct chan_wait chan;
        struct chan_place shared;
        struct done_wait done;
        struct fd_place fd;
    };
};

struct select {
    struct parked parked;
    struct timer timer;
    struct wait *ending;   /* waits for the ends of cancelled operations */
    uint32_t operations;   /* pending */
    int timer_arm, stop_arm;
    size_t count;
    weir_arm *arms;
    struct select_place *places;
};

static void select_timer_fired(struct timer *timer)
{
    struct select *select = container_of(timer, struct select, timer);

    parked_serve_arm(&select->parked, select->timer_arm, 0);
}

static void select_abandon(struct wait *wait, int code)
{
    struct select *select = container_of(wait, struct select, parked.wait);

    if (!parked_claim(&select->parked))
        return;
    select->parked.given_up = true;
    if (code == 0) /* a stop */
        select->parked.arm = select->stop_arm;
    wait_wake(wait, code);
}

static void select_fd_done(struct io_op *op)
{
    struct fd_place *place = container_of(op, struct fd_place, op);
    struct select *select = place->select;

    if (!op->cancelled)
        parked_serve_arm(&select->parked, place->arm, op->res == -ENOSPC ? -ENOMEM : op->res);
    if (--select->operations == 0 && select->ending)
        wait_wake(select->ending, 0);
}

/* ---- trying ------------------------------------------------------------------- */

static int fd_try(const weir_arm *arm)
{
    int rc = foreign_ready_now(arm->fd, arm->events);

    return rc == 0 ? -EAGAIN : rc;
}

/* Is it ready, and with what? A result of -EAGAIN that a task has returned is a
 * result too. */
static bool arm_try(const weir_arm *arm, int *ret_rc)
{
    struct task *task;
    weir_chan *chan = arm->chan;

    switch (arm->kind) {
    case WEIR_ARM_SEND:
        *ret_rc = chan->shared ? shared_send_now(chan, arm->item) : chan_send_now(chan, arm->item);
        return *ret_rc != -EAGAIN;
    case WEIR_ARM_RECV:
        *ret_rc = chan->shared ? shared_recv_now(chan, arm->item) : chan_recv_now(chan, arm->item);
        if (*ret_rc == -EAGAIN && chan->source && weir_stopping())
            *ret_rc = 0;
        return *ret_rc != -EAGAIN;
    case WEIR_ARM_DONE:
        task = task_find(arm->task);
        *ret_rc = task ? task->rc : -ESRCH;
        return !task || task->state == TASK_ENDED;
    case WEIR_ARM_STOP: *ret_rc = 0; return weir_stopping();
    case WEIR_ARM_FD: *ret_rc = fd_try(arm); return *ret_rc != -EAGAIN;
    case WEIR_ARM_TIMER: *ret_rc = 0; return arm->ms == 0;
    default: return false;
    }
}

static int arm_check(const weir_arm *arm)
{
    bool channel = arm->kind == WEIR_ARM_SEND || arm->kind == WEIR_ARM_RECV;

    return channel && arm->item_size != arm->chan->item_bytes ? -EINVAL : 0;
}

/* The arm for when no other is ready, or -1. */
static int arms_otherwise(const weir_arm *arms, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (arms[i].kind == WEIR_ARM_OTHERWISE)
            return (int)i;
    return -1;
}

/* ---- standing at an arm ------------------------------------------------------- */

static void arm_ends_at_stop(struct select *select, int at)
{
    select->stop_arm = at;
    select->parked.wait.ends_at_stop = true;
}

static void chan_stand(struct select *select, int at, enum chan_end end)
{
    weir_arm *arm = &select->arms[at];
    struct select_place *place = &select->places[at];
    weir_chan *chan = arm->chan;

    if (end == CHAN_RECEIVERS && chan->source)
        arm_ends_at_stop(select, at);
    place->is_shared = chan->shared;
    if (chan->shared) {
        place->shared = (struct chan_place){
            .parked = &select->parked, .item = arm->item, .arm = at, .end = end
        };
        shared_enter(chan, &place->shared);
        return;
    }
    place->chan = (struct chan_wait){
        .wait = &select->parked.wait, .item = arm->item, .arm = at, .parked = &select->parked
    };
    list_push(end == CHAN_SENDERS ? &chan->senders : &chan->receivers, &place->chan.link);
}

static void done_stand(struct select *select, int at)
{
    struct task *task = task_find(select->arms[at].task);
    struct done_wait *done = &select->places[at].done;

    *done = (struct done_wait){ .next = task->done_waits, .parked = &select->parked, .arm = at };
    task->done_waits = done;
}

/* It is looked at once more, and may be ready now. */
static void fd_stand(struct select *select, int at)
{
    struct fd_place *place = &select->places[at].fd;
    struct io_op *op = &place->op;

    *place = (struct fd_place){
        .op = { .kind = IO_POLL,
                .done = select_fd_done,
                .poll = { .fd = select->arms[at].fd, .events = select->arms[at].events } },
        .select = select,
        .arm = at,
    };
    if (!io_submit(loop_current, op)) {
        select->operations++;
    } else {
        select->places[at].stands = false;
        if (parked_claim(&select->parked)) {
            select->parked.here = true;
            select->parked.arm = at;
            select->parked.rc = op->res == -ENOSPC ? -ENOMEM : op->res;
        }
    }
}

static void arm_stand(struct select *select, int at)
{
    const weir_arm *arm = &select->arms[at];

    select->places[at].stands = true;
    switch (arm->kind) {
    case WEIR_ARM_SEND: chan_stand(select, at, CHAN_SENDERS); break;
    case WEIR_ARM_RECV: chan_stand(select, at, CHAN_RECEIVERS); break;
    case WEIR_ARM_DONE: done_stand(select, at); break;
    case WEIR_ARM_STOP: arm_ends_at_stop(select, at); break;
    case WEIR_ARM_FD: fd_stand(select, at); break;
    default:
        if (select->timer_arm < 0 || arm->ms < select->arms[select->timer_arm].ms)
            select->timer_arm = at;
        break;
    }
}

static void done_leave(weir_task handle, struct done_wait *done)
{
    struct task *task = task_find(handle);

    if (!task)
        return;
    for (struct done_wait **link = &task->done_waits; *link; link = &(*link)->next)
        if (*link == done) {
            *link = done->next;
            return;
        }
}

/* Whoever serves a channel's arm has taken it out, and the channel may be gone. */
static void arm_leave(struct select *select, int at)
{
    const weir_arm *arm = &select->arms[at];
    struct select_place *place = &select->places[at];
    bool served = select->parked.arm == at && !select->parked.given_up;

    switch (arm->kind) {
    case WEIR_ARM_SEND:
    case WEIR_ARM_RECV:
        if (served)
            break;
        if (place->is_shared)
            shared_leave(arm->chan, &place->shared);
        else
            list_remove(&place->chan.link);
        break;
    case WEIR_ARM_DONE: done_leave(arm->task, &place->done); break;
    case WEIR_ARM_FD:
        if (place->fd.op.pending)
            io_cancel(loop_current, &place->fd.op);
        break;
    default: break;
    }
}

/* ---- for whoever looks ---------------------------------------------------------- */

/* What the arm waits on, if that is known; a stop is no waker, as a cancel is none. */
static bool arm_on(const weir_arm *arm, struct wakers_on *ret_on)
{
    switch (arm->kind) {
    case WEIR_ARM_SEND: return wakers_chan(arm->chan, WEIR_RECEIVES, ret_on);
    case WEIR_ARM_RECV: return wakers_chan(arm->chan, WEIR_SENDS, ret_on);
    case WEIR_ARM_DONE: *ret_on = (struct wakers_on){ task_find(arm->task), 1 }; return true;
    default: return false;
    }
}

uint32_t select_wakers(struct wait *wait, struct wakers_on *ret_on)
{
    struct select *select = container_of(wait, struct select, parked.wait);
    uint32_t count = 0;
    bool known = true;

    if (!parked_hold(&select->parked))
        return 0;
    for (size_t i = 0; i < select->count && known; i++) {
        if (select->arms[i].kind == WEIR_ARM_STOP)
            continue;
        known = arm_on(&select->arms[i], &ret_on[count]);
        count++;
    }
    parked_let(&select->parked);
    return known ? count : 0;
}

/* ---- waiting ------------------------------------------------------------------ */

static void select_end_operations(struct select *select)
{
    struct wait ending = { .what = "end of select", .object = select };

    if (select->operations == 0)
        return;
    select->ending = &ending;
    WEIR_IGNORE(rt_park_shielded(&ending), "it is woken with 0");
}

static weir_pick select_park(struct select *select)
{
    struct loop *loop = loop_current;
    int rc;

    for (size_t i = 0; i < select->count && parked_is_open(&select->parked); i++)
        arm_stand(select, (int)i);
    if (select->timer_arm >= 0)
        timer_set(loop, &select->timer,
                  loop->now_ns + (int64_t)select->arms[select->timer_arm].ms * 1000000);
    rc = parked_wait(&select->parked);
    timer_clear(loop, &select->timer);
    for (size_t i = 0; i < select->count; i++)
        if (select->places[i].stands)
            arm_leave(select, (int)i);
    select_end_operations(select);
    return (weir_pick){ select->parked.arm, rc };
}

static weir_pick select_wait(weir_arm *arms, size_t count)
{
    struct select_place places[SELECT_ARMS_MAX];
    struct select select = {
        .timer_arm = -1, .stop_arm = -1, .count = count, .arms = arms, .places = places
    };

    parked_init(&select.parked, "select", NULL);
    select.parked.wait.kind = WAIT_SELECT;
    select.parked.wait.abandon = select_abandon;
    timer_init(&select.timer, select_timer_fired);
    for (size_t i = 0; i < count; i++)
        places[i].stands = false;
    return select_park(&select);
}

/* Where to begin: scattered, as tasks that take turns would each come to the same
 * place again and again if it moved on by one (the multiplier is that of Numerical
 * Recipes; its high bits are the good ones). */
static size_t select_first(struct loop *loop, size_t count)
{
    loop->select_turn = loop->select_turn * 1664525u + 1013904223u;
    return (uint64_t)loop->select_turn * count >> 32;
}

static weir_pick select_arms(weir_arm *arms, size_t count, bool in_order)
{
    size_t first;
    int rc, otherwise;

    if (count == 0 || count > SELECT_ARMS_MAX)
        return (weir_pick){ -1, -EINVAL };
    rc = rt_check();
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = arm_check(&arms[i]);
    if (rc < 0)
        return (weir_pick){ -1, rc };
    first = in_order ? 0 : select_first(loop_current, count);
    for (size_t i = 0; i < count; i++) {
        size_t at = first + i < count ? first + i : first + i - count;

        if (arm_try(&arms[at], &rc)) {
            rt_spend();
            return (weir_pick){ (int)at, rc };
        }
    }
    otherwise = arms_otherwise(arms, count);
    if (otherwise < 0)
        return select_wait(arms, count);
    rt_spend();
    return (weir_pick){ otherwise, 0 };
}

weir_pick weir_select_arms(weir_arm *arms, size_t count)
{
    return select_arms(arms, count, false);
}

weir_pick weir_select_arms_in_order(weir_arm *arms, size_t count)
{
    return select_arms(arms, count, true);
}
