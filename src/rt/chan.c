/* Channels: see weir/chan.h.
 *
 * Items move in one of three ways: through the ring; straight to a receiver that
 * waits (then the ring is empty); straight from a sender that waits (then the
 * ring is full, and its item takes the place that a receive has freed). A
 * rendezvous channel has no ring, only the last two.
 *
 * Invariants: receivers wait only while the ring is empty and no sender waits;
 * senders only while the ring is full; nobody waits at a closed channel. A
 * chan_wait whose wait is woken (by another arm, or a cancel) is passed over. */
#include "rt/chan.h"

static inline void item_copy(void *to, const void *from, size_t bytes)
{
    if (likely(bytes == 8))
        memcpy(to, from, 8);
    else
        memcpy(to, from, bytes);
}

/* The longest waiting at this end that is still to be served. */
static struct chan_wait *chan_waiting(struct node *end)
{
    struct node *n;

    while ((n = list_pop(end)) != NULL) {
        struct chan_wait *waiting = container_of(n, struct chan_wait, link);

        if (!waiting->wait->woken)
            return waiting;
    }
    return NULL;
}

static void chan_serve(struct chan_wait *waiting, int rc)
{
    if (waiting->ret_arm)
        *waiting->ret_arm = waiting->arm;
    wait_wake(waiting->wait, rc);
}

static void ring_push(weir_chan *chan, const void *item)
{
    uint32_t at = chan->first + chan->count;

    if (at >= chan->capacity)
        at -= chan->capacity;
    item_copy(chan->items + at * chan->item_bytes, item, chan->item_bytes);
    chan->count++;
}

int chan_send_now(weir_chan *chan, const void *item)
{
    struct chan_wait *receiver;

    chan_check_loop(chan);
    if (unlikely(chan->closed))
        return WEIR_ECLOSED;
    if (unlikely(!list_empty(&chan->receivers)) &&
        (receiver = chan_waiting(&chan->receivers)) != NULL) {
        item_copy(receiver->item, item, chan->item_bytes);
        chan_serve(receiver, 1);
        return 1;
    }
    if (chan->count == chan->capacity)
        return -EAGAIN;
    ring_push(chan, item);
    return 1;
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
        if (unlikely(!list_empty(&chan->senders)) &&
            (sender = chan_waiting(&chan->senders)) != NULL) {
            ring_push(chan, sender->item);
            chan_serve(sender, 1);
        }
        return 1;
    }
    sender = chan_waiting(&chan->senders);
    if (sender) {
        item_copy(ret_item, sender->item, chan->item_bytes);
        chan_serve(sender, 1);
        return 1;
    }
    return chan->closed ? 0 : -EAGAIN;
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
        .wait = { .abandon = chan_abandon, .what = what, .object = chan, .ends_at_stop = source },
        .waiting = { .item = item },
    };

    park.waiting.wait = &park.wait;
    park.wait.woken = false;
    list_push(end, &park.waiting.link);
    return rt_park(&park.wait);
}

int weir_chan_send(weir_chan *chan, const void *item, size_t item_size)
{
    int rc;

    if (unlikely(item_size != chan->item_bytes))
        return -EINVAL;
    rc = rt_check();
    if (unlikely(rc < 0))
        return rc;
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
    return item_size == chan->item_bytes ? chan_send_now(chan, item) : -EINVAL;
}

int weir_chan_try_recv(weir_chan *chan, void *ret_item, size_t item_size)
{
    return item_size == chan->item_bytes ? chan_recv_now(chan, ret_item) : -EINVAL;
}

uint32_t weir_chan_depth(const weir_chan *chan)
{
    return chan->count;
}

/* ---- life ------------------------------------------------------------------- */

int weir_chan_new_opt(weir_chan **ret_chan, size_t item_size, const weir_chan_opts *opts)
{
    size_t ring_bytes = (size_t)opts->capacity * item_size;
    weir_chan *chan;

    if (!budget_take(BUDGET_QUEUE, sizeof(*chan) + ring_bytes))
        return weir_fail(WEIR_EBUDGET, "a channel of %u items of %zu bytes", opts->capacity,
                         item_size);
    chan = base_calloc(1, sizeof(*chan) + ring_bytes);
    if (!chan) {
        budget_give(BUDGET_QUEUE, sizeof(*chan) + ring_bytes);
        return -ENOMEM;
    }
    chan->loop = loop_current;
    list_init(&chan->senders);
    list_init(&chan->receivers);
    chan->capacity = opts->capacity;
    chan->item_bytes = item_size;
    chan->items = (char *)(chan + 1);
    chan->source = opts->source;
    chan->drop = opts->drop;
    chan->name = opts->name;
    *ret_chan = chan;
    return 0;
}

void weir_chan_close(weir_chan *chan)
{
    struct chan_wait *waiting;

    if (chan->closed)
        return;
    chan->closed = true;
    while ((waiting = chan_waiting(&chan->receivers)) != NULL)
        chan_serve(waiting, 0);
    while ((waiting = chan_waiting(&chan->senders)) != NULL)
        chan_serve(waiting, WEIR_ECLOSED);
}

/* Does a task wait here? What another arm has woken is taken out. */
static bool chan_has_waiting(struct node *end)
{
    struct chan_wait *waiting = chan_waiting(end);

    if (waiting)
        list_push_front(end, &waiting->link);
    return waiting != NULL;
}

void weir_chan_destroy(weir_chan *chan)
{
    if (!chan)
        return;
    if (chan_has_waiting(&chan->senders) || chan_has_waiting(&chan->receivers)) {
        rt_wrong_use("channel \"%s\" was freed while a task waits at it",
                     chan->name ? chan->name : "");
        weir_chan_close(chan);
    }
    for (; chan->count > 0; chan->count--) {
        if (chan->drop)
            chan->drop(chan->items + chan->first * chan->item_bytes);
        chan->first = (chan->first + 1) % chan->capacity;
    }
    budget_give(BUDGET_QUEUE, sizeof(*chan) + (size_t)chan->capacity * chan->item_bytes);
    base_free(chan);
}
