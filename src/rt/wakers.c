/* Who can wake a task; see wakers.h.
 *
 * All is read on the task's own loop. What is another loop's as well, a shared channel,
 * may go as soon as the task was served: it is looked at while the task's claim is held, so
 * that nobody can serve it. */
#include "rt/wakers.h"

#include <stdio.h>

#include "rt/block.h"
#include "rt/chan.h"

/* Two addresses for what is waited on in two ways. */
static const void *second(const void *object)
{
    return (const char *)object + 1;
}

static const void *end_of(const weir_chan *chan, weir_chan_end end)
{
    return end == WEIR_SENDS ? chan : second(chan);
}

bool wakers_chan(weir_chan *chan, weir_chan_end end, struct wakers_on *ret_on)
{
    uint32_t ends = atomic_load_explicit(&chan->ends[end], memory_order_relaxed);

    /* Who has a permit to send may give it back, and nothing says who has. */
    if (ends == 0 || (end == WEIR_RECEIVES && atomic_load(&chan->keeps_room)))
        return false;
    *ret_on = (struct wakers_on){ end_of(chan, end), ends };
    return true;
}

/* ---- what it waits on ----------------------------------------------------------------- */

static uint32_t one(struct wakers_on *on, const void *object, uint32_t enough)
{
    *on = (struct wakers_on){ object, enough };
    return object != NULL && enough > 0;
}

static uint32_t shared_on(struct wait *wait, weir_chan_end end, struct wakers_on *on)
{
    struct parked *parked = container_of(wait, struct parked, wait);
    bool known;

    if (!parked_hold(parked))
        return 0;
    known = wakers_chan((weir_chan *)(uintptr_t)wait->object, end, on);
    parked_let(parked);
    return known;
}

static uint32_t block_on(const struct wait *wait, struct wakers_on *on)
{
    struct block_look look;

    block_look(wait, &look);
    return look.started ? one(on, look.calls, 1) : one(on, look.pool, look.threads_max);
}

static uint32_t parked_on(struct wait *wait, struct wakers_on *on)
{
    const struct scope *scope = wait->object;
    weir_chan *chan = (weir_chan *)(uintptr_t)wait->object;

    switch ((enum wait_kind)wait->kind) {
    case WAIT_LOCK:
    case WAIT_JOIN: return one(on, wait->object, 1);
    case WAIT_LIMIT: return one(on, second(scope), scope->live);
    case WAIT_UNIT: return one(on, wait->object, semaphore_accounted(wait->object));
    case WAIT_SEND: return wakers_chan(chan, WEIR_RECEIVES, on);
    case WAIT_RECV: return wakers_chan(chan, WEIR_SENDS, on);
    case WAIT_SEND_SHARED: return shared_on(wait, WEIR_RECEIVES, on);
    case WAIT_RECV_SHARED: return shared_on(wait, WEIR_SENDS, on);
    case WAIT_SELECT: return select_wakers(wait, on);
    case WAIT_BLOCK: return block_on(wait, on);
    default: return 0;
    }
}

static uint32_t task_on(const struct task *task, int64_t since_ns, struct wakers_on *on)
{
    struct wait *wait;

    switch ((enum task_state)task->state) {
    case TASK_AWAY: return one(on, task->extra->spread, 1);
    case TASK_QUEUED:
        if (!(task->flags & TASK_IN_QUEUE))
            return 0;
        return one(on, task->extra->needs, semaphore_accounted(task->extra->needs));
    case TASK_PARKED:
        wait = task->fiber->wait;
        return wait && wait->since_ns <= since_ns ? parked_on(wait, on) : 0;
    default: return 0;
    }
}

/* ---- what it stands in the way of -------------------------------------------------------- */

static void add_way(struct wakers *wakers, const void *object)
{
    if (wakers->way_count < WAKERS_WAYS)
        wakers->ways[wakers->way_count++] = object;
}

/* Those that join the scope, and those that wait for room in it. */
static void add_scope(struct wakers *wakers, const struct scope *scope)
{
    add_way(wakers, scope);
    if (scope->limit > 0)
        add_way(wakers, second(scope));
}

static void add_scope_ways(struct wakers *wakers, const struct scope *scope)
{
    add_scope(wakers, scope);
    if (!(scope->flags & SCOPE_SPAWNED))
        return;
    /* It ends by itself, with its only task: that is a child of the scope around it, or a
     * part of something on another loop or thread that is told of its end. */
    add_scope(wakers, scope->parent);
    if (scope->ended_arg)
        add_way(wakers, scope->ended_arg);
}

static void add_extra_ways(struct wakers *wakers, const struct task *task)
{
    const struct task_extra *extra = task->extra;

    if (task->flags & TASK_HAS_UNIT)
        add_way(wakers, extra->needs);
    for (weir_chan_end end = WEIR_SENDS; end <= WEIR_RECEIVES; end++)
        if (extra->holds[end])
            add_way(wakers, end_of(extra->holds[end], end));
}

static void add_fiber_ways(struct wakers *wakers, const struct fiber *fiber)
{
    struct block_look look;

    for (uint8_t i = 0; i < fiber->held_named; i++)
        add_way(wakers, fiber->held[i].lock);
    if (fiber->wait->kind != WAIT_BLOCK)
        return;
    block_look(fiber->wait, &look);
    if (look.started)
        add_way(wakers, look.pool);
}

bool wakers_of(const struct task *task, int64_t since_ns, struct wakers *wakers)
{
    wakers->way_count = 0;
    wakers->on_count = task_on(task, since_ns, wakers->on);
    if (wakers->on_count == 0)
        return false;
    add_scope_ways(wakers, task->scope);
    if (task->extra)
        add_extra_ways(wakers, task);
    if (task->done_waits)
        add_way(wakers, task);
    if (task->state == TASK_PARKED)
        add_fiber_ways(wakers, task->fiber);
    return true;
}

/* ---- names --------------------------------------------------------------------------------- */

static void name_chan(const weir_chan *chan, char *text, size_t size)
{
    const char *site = chan->queue.place ? atomic_load(&chan->queue.place->site) : NULL;

    snprintf(text, size, "channel %s%s%s%s", chan->name ? chan->name : "", site ? " (" : "",
             site ? site : "", site ? ")" : "");
}

static void name_shared(struct wait *wait, char *text, size_t size)
{
    struct parked *parked = container_of(wait, struct parked, wait);

    if (!parked_hold(parked))
        return;
    name_chan(wait->object, text, size);
    parked_let(parked);
}

static void name_block(const struct wait *wait, char *text, size_t size)
{
    struct block_look look;

    block_look(wait, &look);
    snprintf(text, size, "pool of threads %s", look.name);
}

void wakers_name(const struct task *task, char *text, size_t size)
{
    struct wait *wait = task->state == TASK_PARKED ? task->fiber->wait : NULL;
    const struct scope *scope;

    *text = '\0';
    if (task->state == TASK_QUEUED && task->flags & TASK_IN_QUEUE)
        snprintf(text, size, "semaphore %s", semaphore_name(task->extra->needs));
    if (!wait)
        return;
    switch ((enum wait_kind)wait->kind) {
    case WAIT_JOIN:
    case WAIT_LIMIT:
        scope = wait->object;
        snprintf(text, size, "scope %s%s%s%s", scope->name ? scope->name : "",
                 scope->site ? " (" : "", scope->site ? scope->site : "", scope->site ? ")" : "");
        break;
    case WAIT_UNIT: snprintf(text, size, "semaphore %s", semaphore_name(wait->object)); break;
    case WAIT_SEND:
    case WAIT_RECV: name_chan(wait->object, text, size); break;
    case WAIT_SEND_SHARED:
    case WAIT_RECV_SHARED: name_shared(wait, text, size); break;
    case WAIT_BLOCK: name_block(wait, text, size); break;
    default: break;
    }
}
