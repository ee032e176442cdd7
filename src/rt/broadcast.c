/* Broadcast: see weir/broadcast.h.
 *
 * The ring keeps the last items once; a subscriber is a place in the sequence of
 * all. All is under one short lock, and what a send or a receive makes possible is
 * done by whoever holds it: broadcast_settle().
 *
 * Invariants, while the lock is free: no subscriber is more than a capacity behind;
 * a sender waits only while one with WEIR_SLOW_WAIT is a whole capacity behind; a
 * subscriber's task waits only when all was received, and the broadcast is open. */
#include <weir/broadcast.h>

#include "rt/parked.h"

struct weir_broadcast_chan {
    struct loop *loop; /* NULL: shared */
    struct spin lock;
    bool closed;
    uint64_t next;     /* the number of the next item */
    struct node subscribers, senders;
    uint32_t capacity;
    size_t item_bytes;
    const char *name;
    char items[];
};

struct weir_subscriber {
    struct node link;
    weir_broadcast_chan *chan;
    weir_slow slow;
    bool cut;          /* too slow, with WEIR_DISCONNECT: nothing new is for it */
    uint64_t next;     /* the number of the item that it receives next */
    uint64_t missed;   /* right before it */
    uint64_t missed_before; /* right before the one that it received last */
    struct broadcast_place *receiver; /* its task waits; or NULL */
};

/* A task that waits to send, or to receive. */
struct broadcast_place {
    struct node link;
    struct parked parked;
    void *item;
};

static void broadcast_check_loop(const weir_broadcast_chan *chan)
{
#ifdef WEIR_DEBUG
    if (chan->loop && chan->loop != loop_current)
        rt_wrong_use("broadcast \"%s\" belongs to loop %u: tasks of another loop can't use it, "
                     "unless it is opened with .shared",
                     chan->name ? chan->name : "", chan->loop->index);
#else
    (void)chan;
#endif
}

static char *item_at(weir_broadcast_chan *chan, uint64_t number)
{
    return chan->items + number % chan->capacity * chan->item_bytes;
}

/* ---- with the lock ---------------------------------------------------------------- */

static bool is_full(const weir_broadcast_chan *chan, const weir_subscriber *subscriber)
{
    return !subscriber->cut && chan->next - subscriber->next == chan->capacity;
}

static bool sender_must_wait(const weir_broadcast_chan *chan)
{
    list_each(n, &chan->subscribers) {
        const weir_subscriber *subscriber = container_of(n, weir_subscriber, link);

        if (subscriber->slow == WEIR_SLOW_WAIT && is_full(chan, subscriber))
            return true;
    }
    return false;
}

/* Its next item, 0 or an error at its end, or -EAGAIN. */
static int take(weir_subscriber *subscriber, void *ret_item)
{
    weir_broadcast_chan *chan = subscriber->chan;

    if (subscriber->cut)
        return WEIR_EFULL;
    if (subscriber->next == chan->next)
        return chan->closed ? 0 : -EAGAIN;
    memcpy(ret_item, item_at(chan, subscriber->next++), chan->item_bytes);
    subscriber->missed_before = subscriber->missed;
    subscriber->missed = 0;
    return 1;
}

static void put(weir_broadcast_chan *chan, const void *item)
{
    list_each(n, &chan->subscribers) {
        weir_subscriber *subscriber = container_of(n, weir_subscriber, link);

        if (!is_full(chan, subscriber))
            continue;
        subscriber->cut = subscriber->slow == WEIR_DISCONNECT;
        subscriber->next++;
        subscriber->missed++;
    }
    memcpy(item_at(chan, chan->next++), item, chan->item_bytes);
}

static void serve_receivers(weir_broadcast_chan *chan, struct served *served)
{
    list_each(n, &chan->subscribers) {
        weir_subscriber *subscriber = container_of(n, weir_subscriber, link);
        struct broadcast_place *place = subscriber->receiver;

        if (!place || (subscriber->next == chan->next && !chan->closed))
            continue;
        subscriber->receiver = NULL;
        if (parked_claim(&place->parked))
            served_add(served, &place->parked, take(subscriber, place->item));
    }
}

/* All that can be done for those who wait. */
static void broadcast_settle(weir_broadcast_chan *chan, struct served *served)
{
    serve_receivers(chan, served);
    while (!list_empty(&chan->senders) && (chan->closed || !sender_must_wait(chan))) {
        struct broadcast_place *place = container_of(list_pop(&chan->senders),
                                                     struct broadcast_place, link);

        if (!parked_claim(&place->parked))
            continue;
        if (!chan->closed)
            put(chan, place->item);
        served_add(served, &place->parked, chan->closed ? WEIR_ECLOSED : 0);
        serve_receivers(chan, served);
    }
}

/* ---- sending ------------------------------------------------------------------------ */

static int send_now(weir_broadcast_chan *chan, struct broadcast_place *place, struct served *served)
{
    if (chan->closed)
        return WEIR_ECLOSED;
    if (!list_empty(&chan->senders) || sender_must_wait(chan)) {
        list_push(&chan->senders, &place->link);
        return -EAGAIN;
    }
    put(chan, place->item);
    broadcast_settle(chan, served);
    return 0;
}

int weir_broadcast_send(weir_broadcast_chan *chan, const void *item, size_t item_size)
{
    struct broadcast_place place = { .item = (void *)item };
    struct served served;
    int rc;

    if (item_size != chan->item_bytes)
        return -EINVAL;
    rc = rt_check();
    if (rc < 0)
        return rc;
    broadcast_check_loop(chan);
    parked_init(&place.parked, "send to a broadcast", chan);
    served_init(&served);
    spin_lock(&chan->lock);
    rc = send_now(chan, &place, &served);
    spin_unlock(&chan->lock);
    served_wake(&served, NULL);
    if (rc != -EAGAIN) {
        rt_spend();
        return rc;
    }
    rc = rt_park(&place.parked.wait);
    if (place.parked.given_up) {
        spin_lock(&chan->lock);
        list_remove(&place.link);
        spin_unlock(&chan->lock);
    }
    return rc;
}

/* ---- receiving ---------------------------------------------------------------------- */

/* With place, which may be NULL, the task waits there when there is nothing. */
static int recv_now(weir_subscriber *subscriber, void *ret_item, struct broadcast_place *place)
{
    weir_broadcast_chan *chan = subscriber->chan;
    struct served served;
    int rc;

    served_init(&served);
    spin_lock(&chan->lock);
    rc = subscriber->receiver ? -EBUSY : take(subscriber, ret_item);
    if (rc > 0 && !list_empty(&chan->senders))
        broadcast_settle(chan, &served);
    else if (rc == -EAGAIN && place)
        subscriber->receiver = place;
    spin_unlock(&chan->lock);
    served_wake(&served, NULL);
    return rc;
}

int weir_subscriber_recv(weir_subscriber *subscriber, void *ret_item, size_t item_size)
{
    weir_broadcast_chan *chan = subscriber->chan;
    struct broadcast_place place = { .item = ret_item };
    int rc;

    if (item_size != chan->item_bytes)
        return -EINVAL;
    rc = rt_check();
    if (rc < 0)
        return rc;
    broadcast_check_loop(chan);
    parked_init(&place.parked, "receive from a broadcast", chan);
    rc = recv_now(subscriber, ret_item, &place);
    if (rc != -EAGAIN) {
        rt_spend();
        return rc;
    }
    rc = rt_park(&place.parked.wait);
    if (place.parked.given_up) {
        spin_lock(&chan->lock);
        if (subscriber->receiver == &place)
            subscriber->receiver = NULL;
        spin_unlock(&chan->lock);
    }
    return rc;
}

int weir_subscriber_try_recv(weir_subscriber *subscriber, void *ret_item, size_t item_size)
{
    if (item_size != subscriber->chan->item_bytes)
        return -EINVAL;
    broadcast_check_loop(subscriber->chan);
    return recv_now(subscriber, ret_item, NULL);
}

uint64_t weir_subscriber_missed(weir_subscriber *subscriber)
{
    weir_broadcast_chan *chan = subscriber->chan;
    uint64_t missed;

    broadcast_check_loop(chan);
    spin_lock(&chan->lock);
    missed = subscriber->missed_before;
    spin_unlock(&chan->lock);
    return missed;
}

/* ---- life ------------------------------------------------------------------------------ */

int weir_broadcast_new_opt(weir_broadcast_chan **ret_chan, size_t item_size,
                           const weir_broadcast_opts *opts)
{
    size_t bytes = sizeof(weir_broadcast_chan) + (size_t)opts->capacity * item_size;
    weir_broadcast_chan *chan;

    if (opts->capacity == 0)
        return weir_fail(-EINVAL, "a broadcast keeps at least one item: give a capacity");
    if (!budget_take(BUDGET_QUEUE, bytes))
        return weir_fail(WEIR_EBUDGET, "a broadcast of %u items of %zu bytes", opts->capacity,
                         item_size);
    chan = base_calloc(1, bytes);
    if (!chan) {
        budget_give(BUDGET_QUEUE, bytes);
        return -ENOMEM;
    }
    chan->loop = opts->shared ? NULL : loop_current;
    list_init(&chan->subscribers);
    list_init(&chan->senders);
    chan->capacity = opts->capacity;
    chan->item_bytes = item_size;
    chan->name = opts->name;
    *ret_chan = chan;
    return 0;
}

void weir_broadcast_end(weir_broadcast_chan *chan)
{
    struct served served;

    broadcast_check_loop(chan);
    served_init(&served);
    spin_lock(&chan->lock);
    chan->closed = true;
    broadcast_settle(chan, &served);
    spin_unlock(&chan->lock);
    served_wake(&served, NULL);
}

void weir_broadcast_destroy(weir_broadcast_chan *chan)
{
    bool used;

    if (!chan)
        return;
    spin_lock(&chan->lock);
    used = !list_empty(&chan->subscribers) || !list_empty(&chan->senders);
    spin_unlock(&chan->lock);
    if (used) {
        /* Subscribers refer to it: what is left of it stays. */
        rt_wrong_use("broadcast \"%s\" was freed while it has subscribers or senders",
                     chan->name ? chan->name : "");
        weir_broadcast_end(chan);
        return;
    }
    budget_give(BUDGET_QUEUE, sizeof(*chan) + (size_t)chan->capacity * chan->item_bytes);
    base_free(chan);
}

int weir_subscribe_opt(weir_broadcast_chan *chan, weir_subscriber **ret_subscriber,
                       const weir_subscribe_opts *opts)
{
    weir_subscriber *subscriber;

    broadcast_check_loop(chan);
    if (!budget_take(BUDGET_QUEUE, sizeof(*subscriber)))
        return weir_fail(WEIR_EBUDGET, "a subscriber of \"%s\"", chan->name ? chan->name : "");
    subscriber = base_calloc(1, sizeof(*subscriber));
    if (!subscriber) {
        budget_give(BUDGET_QUEUE, sizeof(*subscriber));
        return -ENOMEM;
    }
    subscriber->chan = chan;
    subscriber->slow = opts->slow;
    spin_lock(&chan->lock);
    subscriber->next = chan->next;
    list_push(&chan->subscribers, &subscriber->link);
    spin_unlock(&chan->lock);
    *ret_subscriber = subscriber;
    return 0;
}

void weir_subscriber_end(weir_subscriber *subscriber)
{
    weir_broadcast_chan *chan;
    struct served served;
    bool waits;

    if (!subscriber)
        return;
    chan = subscriber->chan;
    broadcast_check_loop(chan);
    served_init(&served);
    spin_lock(&chan->lock);
    waits = subscriber->receiver != NULL;
    if (waits && parked_claim(&subscriber->receiver->parked))
        served_add(&served, &subscriber->receiver->parked, WEIR_ECLOSED);
    list_remove(&subscriber->link);
    broadcast_settle(chan, &served);
    spin_unlock(&chan->lock);
    if (waits)
        rt_wrong_use("a subscription to \"%s\" was ended while its task waits",
                     chan->name ? chan->name : "");
    served_wake(&served, NULL);
    budget_give(BUDGET_QUEUE, sizeof(*subscriber));
    base_free(subscriber);
}
