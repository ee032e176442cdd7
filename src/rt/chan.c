/* Channels of one loop: see weir/chan.h. (Those of all loops: chan_shared.c.)
 *
 * Items move in one of three ways: through the ring; straight to a receiver that
 * waits (then the ring is empty); straight from a sender that waits (then the
 * ring is full, and its item takes the place that a receive has freed). A
 * rendezvous channel has no ring, only the last two. Room that is kept for someone
 * (reserved) counts as full.
 *
 * Invariants: receivers wait only while the ring is empty, and no sender waits but
 * for room that is kept; senders only while there is no other room; nobody waits at a
 * closed channel, but receivers while room is kept. A chan_wait whose task is woken (by
 * another arm, or a cancel) is passed over. */
#include "rt/chan.h"

static inline void item_copy(void *to, const void *from, size_t bytes)
{
    if (likely(bytes == 8))
        memcpy(to, from, 8);
    else
        memcpy(to, from, bytes);
}

/* The longest waiting at this end that is still to be served; the caller's to serve. */
static struct chan_wait *chan_waiting(struct node *end)
{
    struct node *n;

    while ((n = list_pop(end)) != NULL) {
        struct chan_wait *waiting = container_of(n, struct chan_wait, link);

        if (waiting->parked ? parked_claim(waiting->parked) : !waiting->wait->woken)
            return waiting;
    }
    return NULL;
}

static void chan_serve(struct chan_wait *waiting, int rc)
{
    if (waiting->parked)
        waiting->parked->arm = waiting->arm;
    wait_wake(waiting->wait, rc);
}

static void ring_push(weir_chan *chan, const void *item)
{
    uint32_t at = chan->first + chan->count;

    if (at >= chan->capacity)
        at -= chan->capacity;
    item_copy(chan->items + at * chan->item_bytes, item, chan->item_bytes);
    if (++chan->count > chan->high)
        chan->high = chan->count;
}

/* Is the scope the one that the channel was opened in, or inside it? */
static bool is_inside(const weir_chan *chan, const struct scope *scope)
{
    for (; scope; scope = scope->parent)
        if (scope->head.slot == chan->opened_in.slot &&
            scope->head.generation == chan->opened_in.generation)
            return true;
    return false;
}

void chan_note_sender(weir_chan *chan, const struct fiber *self)
{
    chan->alone = false;
    chan->sent_in = self ? self->task->scope : NULL;
    chan->sender_site = self ? self->task->site : "";
    chan->foreign = chan->foreign || !self || !is_inside(chan, self->scope);
}

/* Into the ring, which has room, or to a receiver that waits. */
static bool chan_pass_to_receiver(weir_chan *chan, const void *item)
{
    struct chan_wait *receiver;

    if (likely(list_empty(&chan->receivers)) || !(receiver = chan_waiting(&chan->receivers)))
        return false;
    item_copy(receiver->item, item, chan->item_bytes);
    chan_serve(receiver, 1);
    return true;
}

/* One-shot, closed, or with room that is kept. */
static int chan_send_special(weir_chan *chan, const void *item)
{
    if (chan->state & CHAN_CLOSED)
        return WEIR_ECLOSED;
    if (chan->state & CHAN_ONESHOT && chan->reserved > 0)
        return -EAGAIN; /* its one item is for who has the permit to send */
    if (!chan_pass_to_receiver(chan, item)) {
        if (chan->count + chan->reserved == chan->capacity)
            return -EAGAIN;
        ring_push(chan, item);
    }
    if (chan->state & CHAN_ONESHOT)
        weir_chan_close(chan);
    return 1;
}

int chan_send_now(weir_chan *chan, const void *item)
{
    chan_check_loop(chan);
    chan_note(chan);
    if (unlikely(chan->state != 0))
        return chan_send_special(chan, item);
    if (chan_pass_to_receiver(chan, item))
        return 1;
    if (chan->count == chan->capacity)
        return -EAGAIN;
    ring_push(chan, item);
    return 1;
}

/* The first who waits for room gets it; receivers may wait as well, if it was kept.
 * False when nobody waits. */
static bool chan_take_one(weir_chan *chan)
{
    struct chan_wait *sender = chan_waiting(&chan->senders);

    if (!sender)
        return false;
    if (!sender->item) {
        chan->reserved++;
        chan->state |= CHAN_RESERVED;
        chan_serve(sender, 0);
        return true;
    }
    if (!chan_pass_to_receiver(chan, sender->item))
        ring_push(chan, sender->item);
    chan_serve(sender, 1);
    if (chan->state & CHAN_ONESHOT)
        weir_chan_close(chan);
    return true;
}

/* There may be room. */
static void chan_take_in(weir_chan *chan)
{
    while (chan->count + chan->reserved < chan->capacity && chan_take_one(chan))
        ;
}

static inline void chan_note_drainer(weir_chan *chan)
{
    const struct fiber *self = loop_current ? loop_current->current : NULL;

    if (VISIBLE && self &&
        unlikely(queue_handle(self->task) !=
                 atomic_load_explicit(&chan->queue.drainer.handle, memory_order_relaxed)))
        queue_note_drainer(&chan->queue);
}

int chan_recv_now(weir_chan *chan, void *ret_item)
{
    struct chan_wait *sender;

    chan_check_loop(chan);
    if (likely(chan->count > 0)) {
        item_copy(ret_item, chan->items + chan->first * chan->item_bytes, chan->item_bytes);
        chan->count--;
        if (++chan->first == chan->capacity)
            chan->first = 0;
        chan_note_drainer(chan);
        if (unlikely(!list_empty(&chan->senders)))
            chan_take_in(chan);
        return 1;
    }
    if (chan->capacity == 0 && (sender = chan_waiting(&chan->senders)) != NULL) {
        item_copy(ret_item, sender->item, chan->item_bytes);
        chan_serve(sender, 1);
        return 1;
    }
    return (chan->state & (CHAN_CLOSED | CHAN_RESERVED)) == CHAN_CLOSED ? 0 : -EAGAIN;
}

/* ---- waiting ---------------------------------------------------------------- */

struct chan_park {
    struct wait wait;
    struct chan_wait waiting;
};

static void chan_abandon(struct wait *wait, int code)
{
    list_remove(&container_of(wait, struct chan_park, wait)->waiting.link);
    wait_wake(wait, code);
}

static int chan_park(weir_chan *chan, struct node *end, void *item, const char *what, bool source)
{
    struct chan_park park = {
        .wait = { .abandon = chan_abandon,
                  .what = what,
                  .object = chan,
                  .ends_at_stop = source,
                  .kind = end == &chan->receivers ? WAIT_RECV : WAIT_SEND },
        .waiting = { .item = item },
    };

    struct queue_place *place = chan->queue.place;
    int rc;

    park.waiting.wait = &park.wait;
    park.wait.woken = false;
    list_push(end, &park.waiting.link);
    if (end == &chan->receivers) {
        queue_note_drainer(&chan->queue);
        return rt_park(&park.wait);
    }
    queue_note_filler(&chan->queue, false);
    rc = rt_park(&park.wait); /* the channel may be gone behind it */
    queue_note_waited(place, loop_current->now_ns - park.wait.since_ns);
    return rc;
}

int weir_chan_send(weir_chan *chan, const void *item, size_t item_size)
{
    int rc;

    if (unlikely(item_size != chan->item_bytes))
        return -EINVAL;
    rc = rt_check();
    if (unlikely(rc < 0))
        return rc;
    if (unlikely(chan->shared))
        return shared_send(chan, item);
    rc = chan_send_now(chan, item);
    if (rc == -EAGAIN)
        return chan_park(chan, &chan->senders, (void *)item, "send to a channel", false);
    rt_spend();
    return rc;
}

int weir_chan_recv(weir_chan *chan, void *ret_item, size_t item_size)
{
    int rc;

    if (unlikely(item_size != chan->item_bytes))
        return -EINVAL;
    rc = rt_check();
    if (unlikely(rc < 0))
        return rc;
    if (unlikely(chan->shared))
        return shared_recv(chan, ret_item);
    rc = chan_recv_now(chan, ret_item);
    if (rc == -EAGAIN) {
        if (chan->source && weir_stopping())
            return 0;
        return chan_park(chan, &chan->receivers, ret_item, "receive from a channel", chan->source);
    }
    rt_spend();
    return rc;
}

int weir_chan_try_send(weir_chan *chan, const void *item, size_t item_size)
{
    int rc;

    if (item_size != chan->item_bytes)
        return -EINVAL;
    rc = chan->shared ? shared_send_now(chan, item) : chan_send_now(chan, item);
    if (unlikely(rc == -EAGAIN))
        queue_note_filler(&chan->queue, true);
    return rc;
}

int weir_chan_try_recv(weir_chan *chan, void *ret_item, size_t item_size)
{
    if (item_size != chan->item_bytes)
        return -EINVAL;
    return chan->shared ? shared_recv_now(chan, ret_item) : chan_recv_now(chan, ret_item);
}

uint32_t weir_chan_depth(const weir_chan *chan)
{
    return chan->shared ? shared_depth(chan) : chan->count;
}

/* ---- room that is kept -------------------------------------------------------- */

int weir_chan_reserve(weir_chan *chan)
{
    int rc = rt_check();

    if (rc < 0)
        return rc;
    if (chan->capacity == 0)
        return weir_fail(-EINVAL,
                         "a rendezvous channel has no room to keep: give \"%s\" a capacity",
                         chan->name ? chan->name : "");
    atomic_store_explicit(&chan->keeps_room, true, memory_order_relaxed);
    if (chan->shared)
        return shared_reserve(chan);
    chan_check_loop(chan);
    if (chan->state & CHAN_CLOSED) {
        rc = WEIR_ECLOSED;
    } else if (chan->count + chan->reserved < chan->capacity) {
        chan->reserved++;
        chan->state |= CHAN_RESERVED;
    } else {
        return chan_park(chan, &chan->senders, NULL, "room in a channel", false);
    }
    rt_spend();
    return rc;
}

static bool chan_reserved(const weir_chan *chan)
{
    if (chan->reserved == 0)
        rt_wrong_use("channel \"%s\" keeps no room: its permit was used or given back before",
                     chan->name ? chan->name : "");
    return chan->reserved > 0;
}

static void chan_end_receivers(weir_chan *chan)
{
    struct chan_wait *waiting;

    while ((waiting = chan_waiting(&chan->receivers)) != NULL)
        chan_serve(waiting, 0);
}

/* One permit less. A closed channel ends with its last. */
static void chan_permit_over(weir_chan *chan)
{
    if (--chan->reserved == 0)
        chan->state &= (uint8_t)~CHAN_RESERVED;
    if ((chan->state & (CHAN_CLOSED | CHAN_RESERVED)) == CHAN_CLOSED && chan->count == 0)
        chan_end_receivers(chan);
}

void weir_chan_send_reserved(weir_chan *chan, const void *item, size_t item_size)
{
    if (item_size != chan->item_bytes) {
        rt_wrong_use("an item of %zu bytes is sent to a channel of %zu", item_size,
                     chan->item_bytes);
        return;
    }
    if (chan->shared) {
        shared_send_reserved(chan, item);
        return;
    }
    chan_check_loop(chan);
    chan_note(chan);
    if (!chan_reserved(chan))
        return;
    if (!chan_pass_to_receiver(chan, item))
        ring_push(chan, item);
    if (chan->state & CHAN_ONESHOT)
        weir_chan_close(chan);
    chan_permit_over(chan);
    chan_take_in(chan);
}

void weir_chan_unreserve(weir_chan *chan)
{
    if (chan->shared) {
        shared_unreserve(chan);
        return;
    }
    chan_check_loop(chan);
    if (!chan_reserved(chan))
        return;
    chan_permit_over(chan);
    chan_take_in(chan);
}

/* ---- life ------------------------------------------------------------------- */

static size_t chan_bytes(size_t item_size, uint32_t capacity, bool shared)
{
    return shared ? shared_bytes(item_size, capacity)
                  : sizeof(weir_chan) + (size_t)capacity * item_size;
}

static weir_chan *local_new(size_t item_size, uint32_t capacity)
{
    weir_chan *chan = base_calloc(1, chan_bytes(item_size, capacity, false));

    if (!chan)
        return NULL;
    chan->loop = loop_current;
    list_init(&chan->senders);
    list_init(&chan->receivers);
    chan->capacity = capacity;
    chan->items = (char *)(chan + 1);
    return chan;
}

/* What the channel shows as a queue. A rendezvous is full while a sender waits. */
static void chan_read(const struct queue *queue, struct queue_state *ret_state)
{
    const weir_chan *chan = container_of((struct queue *)(uintptr_t)queue, weir_chan, queue);
    uint32_t depth = weir_chan_depth(chan);

    ret_state->depth = depth;
    ret_state->capacity = chan->capacity;
    ret_state->high = chan->shared ? depth : chan->high;
    ret_state->full = chan->capacity > 0 ? depth + chan->reserved >= chan->capacity
                                         : !chan->shared && !list_empty(&chan->senders);
}

int weir_chan_new_opt(weir_chan **ret_chan, size_t item_size, const weir_chan_opts *opts)
{
    uint32_t capacity = opts->oneshot ? 1 : opts->capacity;
    size_t bytes = chan_bytes(item_size, capacity, opts->shared);
    weir_chan *chan;

    if (!budget_take(BUDGET_QUEUE, bytes))
        return weir_fail(WEIR_EBUDGET, "a channel of %u items of %zu bytes", capacity, item_size);
    chan = opts->shared ? shared_new(item_size, capacity, opts->oneshot)
                        : local_new(item_size, capacity);
    if (!chan) {
        budget_give(BUDGET_QUEUE, bytes);
        return -ENOMEM;
    }
    chan->item_bytes = item_size;
    chan->state = opts->oneshot ? CHAN_ONESHOT : 0;
    chan->shared = opts->shared;
    chan->source = opts->source;
    chan->drop = opts->drop;
    chan->name = opts->name;
    if (fiber_current())
        chan->opened_in = scope_handle(fiber_current()->scope);
    chan->queue.read = chan_read;
    queue_open(&chan->queue, "channel", opts->name, opts->site, capacity, opts->shared);
    *ret_chan = chan;
    return 0;
}

void weir_chan_close(weir_chan *chan)
{
    struct chan_wait *waiting;

    if (chan->shared) {
        shared_close(chan);
        return;
    }
    if (chan->state & CHAN_CLOSED)
        return;
    chan->state |= CHAN_CLOSED;
    if (chan->reserved == 0)
        chan_end_receivers(chan);
    while ((waiting = chan_waiting(&chan->senders)) != NULL)
        chan_serve(waiting, WEIR_ECLOSED);
}

void weir_chan_hold(weir_chan *chan, weir_chan_end end)
{
    if (!chan->shared)
        chan_check_loop(chan);
    atomic_fetch_add(&chan->ends[end], 1);
}

void weir_chan_let_go(weir_chan *chan, weir_chan_end end)
{
    unsigned before = atomic_load(&chan->ends[end]);

    do {
        if (before == 0) {
            rt_wrong_use("an end of channel \"%s\" is let go that nobody holds",
                         chan->name ? chan->name : "");
            return;
        }
    } while (!atomic_compare_exchange_weak(&chan->ends[end], &before, before - 1));
    if (before == 1)
        weir_chan_close(chan);
}

/* Does a task wait here? What another arm has woken is taken out. */
static bool chan_has_waiting(struct node *end)
{
    while (!list_empty(end)) {
        struct chan_wait *waiting = container_of(end->next, struct chan_wait, link);

        if (waiting->parked ? parked_is_open(waiting->parked) : !waiting->wait->woken)
            return true;
        list_remove(&waiting->link);
    }
    return false;
}

static void local_drop(weir_chan *chan)
{
    if (chan_has_waiting(&chan->senders) || chan_has_waiting(&chan->receivers)) {
        rt_wrong_use("channel \"%s\" was freed while a task waits at it",
                     chan->name ? chan->name : "");
        weir_chan_close(chan);
        chan_end_receivers(chan);
    }
    for (; chan->count > 0; chan->count--) {
        if (chan->drop)
            chan->drop(chan->items + chan->first * chan->item_bytes);
        chan->first = (chan->first + 1) % chan->capacity;
    }
}

void weir_chan_destroy(weir_chan *chan)
{
    size_t bytes;

    if (!chan)
        return;
    bytes = chan_bytes(chan->item_bytes, chan->capacity, chan->shared);
    queue_close(&chan->queue);
    if (chan->shared)
        shared_drop(chan);
    else
        local_drop(chan);
    budget_give(BUDGET_QUEUE, bytes);
    base_free(chan);
}
