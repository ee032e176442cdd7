/* Shared channels: tasks of any loop send, receive and close.
 *
 * While nobody waits, items move through a ring without a lock (chan_ring.h). Who
 * can't be served at once stands in a line under the channel's lock, behind a gate
 * that keeps others from overtaking: the ring's tail is shut while senders wait or
 * room is kept for some, its head while receivers wait. A rendezvous channel has no
 * ring, and a one-shot channel closes with its first item: there the gates are
 * always shut, and all goes through the lines. shared_settle() serves whom it can;
 * whoever changes something calls it, with the lock.
 *
 * The lost wake-up: who wants to wait first says so in waiting, then looks at the
 * other end of the ring; who passes an item first moves its end, then looks at
 * waiting. One of the two sees the other. If the place that the first one finds
 * taken is still in the making, its maker may have looked before; so the first
 * waits for those few instructions, without the lock.
 *
 * The end of its life: who has received the last item may free the channel, while the
 * sender's call has still to return. So an operation shows its effect (fills or empties
 * its cell, wakes a task) with its last access to the channel, or while it holds the
 * lock, which is taken once more before the end.
 *
 * Waking another loop costs more than passing hundreds of items. So a sender that
 * waits is woken when the ring is half empty, and a receiver that waits in the middle
 * of a stream when it is half full; or both when the batch of the loop that would
 * would wake them is over, as nothing else may happen for a long time.
 *
 * Nor do the two ends of a stream that runs between two cores follow each other item by
 * item: each would wait for the other's cache line every time, and a receiver that is a
 * little faster would go to sleep every time. Who finds nothing at its end, and whose
 * loop has nothing else to do, watches the ring for less time than a sleep and a wake
 * take, until an eighth of it can be taken at once. It stands in no line meanwhile, so
 * nothing depends on how that ends. Where it is in vain, it is done more and more rarely.
 *
 * Invariants, while the lock is free: an end is shut exactly when somebody is in its
 * line, or always; who is in line and open could not be served; waiting says which
 * lines are not empty. Tasks in line that are TAKEN are passed over. */
#include "rt/chan.h"
#include "rt/chan_ring.h"

#define WAITING(end) (1u << (end))
#define LATE_FROM 8 /* capacity from which tasks may be woken late */
#define STREAM_ITEMS 16 /* that passed since the last time a receiver had to wait */
#define WATCH_FROM 64   /* capacity from which a ring is watched */
#define WATCH_PART 8    /* of the ring, that is waited for */
#define WATCH_PAUSES 16 /* between two looks at it: about 400 ns */
#define WATCH_LOOKS 32
#define WATCH_FEWER 2   /* looks that find less than that part: it is taken all the same */
#define WATCH_SKIP_MAX 127

/* How watching one end went lately. Inexact when several loops wait at it. */
struct patience {
    atomic_uint skip;  /* waits that go without, from now on */
    atomic_uint skips; /* how many that were after the last time in vain */
};

struct shared_chan {
    struct weir_chan chan;
    struct chan_ring ring;
    atomic_uint waiting;
    struct spin lock;
    uint64_t waited_from; /* the last tail at which a receiver had to wait */
    bool always_shut[2];  /* by end */
    struct patience patience[2]; /* by end */
};

static inline struct shared_chan *shared_of(const weir_chan *chan)
{
    return container_of((weir_chan *)(uintptr_t)chan, struct shared_chan, chan);
}

/* ---- the lines ---------------------------------------------------------------- */

/* The first in line that is open and is not this task; those that are not open leave. */
static struct chan_place *line_first(struct node *line, const struct parked *but)
{
    list_each_safe(n, line) {
        struct chan_place *place = container_of(n, struct chan_place, link);

        if (!parked_is_open(place->parked))
            list_remove(&place->link);
        else if (place->parked != but)
            return place;
    }
    return NULL;
}

/* The first in line that can be claimed, claimed. */
static struct chan_place *line_claim(struct node *line)
{
    struct chan_place *place;

    while ((place = line_first(line, NULL)) != NULL)
        if (parked_claim(place->parked))
            return place;
    return NULL;
}

/* It is claimed: out of the line, with its result. */
static void place_serve(struct chan_place *place, int rc, struct served *served)
{
    list_remove(&place->link);
    place->parked->arm = place->arm;
    served_add(served, place->parked, rc);
}

static void gate_set(_Atomic uint64_t *position, bool shut)
{
    if (shut == ((atomic_load_explicit(position, memory_order_relaxed) & RING_SHUT) != 0))
        return;
    if (shut)
        atomic_fetch_or(position, RING_SHUT);
    else
        atomic_fetch_and(position, ~RING_SHUT);
}

/* Say who waits, and shut and open the gates accordingly. */
static void shared_mark(struct shared_chan *shared)
{
    bool senders = !list_empty(&shared->chan.senders);
    bool receivers = !list_empty(&shared->chan.receivers);
    unsigned waiting = (senders ? WAITING(CHAN_SENDERS) : 0) |
                       (receivers ? WAITING(CHAN_RECEIVERS) : 0);

    if (atomic_load_explicit(&shared->waiting, memory_order_relaxed) != waiting)
        atomic_store(&shared->waiting, waiting);
    gate_set(&shared->ring.tail,
             senders || shared->chan.reserved > 0 || shared->always_shut[CHAN_SENDERS]);
    gate_set(&shared->ring.head, receivers || shared->always_shut[CHAN_RECEIVERS]);
}

/* ---- serving, with the lock ----------------------------------------------------- */

static void mark_closed(struct shared_chan *shared)
{
    shared->chan.state |= CHAN_CLOSED;
    atomic_fetch_or(&shared->ring.tail, RING_CLOSED);
}

/* A rendezvous: a receiver in line takes from a sender in line, of another task (a
 * select may stand in both). */
static bool settle_pair(struct shared_chan *shared, struct served *served)
{
    struct node *senders = &shared->chan.senders, *receivers = &shared->chan.receivers;
    struct chan_place *receiver = line_first(receivers, NULL);
    struct chan_place *sender = line_first(senders, receiver ? receiver->parked : NULL);

    if (receiver && !sender) {
        sender = line_first(senders, NULL);
        receiver = sender ? line_first(receivers, sender->parked) : NULL;
    }
    if (!receiver || !sender)
        return false;
    if (!parked_claim_both(receiver->parked, sender->parked))
        return true; /* one of them is not open any more: look again */
    item_copy(receiver->item, sender->item, shared->chan.item_bytes);
    place_serve(receiver, 1, served);
    place_serve(sender, 1, served);
    return true;
}

static bool settle_receiver(struct shared_chan *shared, struct served *served, bool *making)
{
    enum ring_look look;
    struct chan_place *place;

    if (list_empty(&shared->chan.receivers))
        return false;
    look = ring_look_head(&shared->ring);
    *making |= look == RING_IN_THE_MAKING;
    place = look == RING_READY ? line_claim(&shared->chan.receivers) : NULL;
    if (!place)
        return false;
    ring_pop_locked(&shared->ring, place->item);
    place_serve(place, 1, served);
    return true;
}

static bool settle_sender(struct shared_chan *shared, struct served *served, bool *making)
{
    weir_chan *chan = &shared->chan;
    enum ring_look look;
    struct chan_place *place;

    if (list_empty(&chan->senders) || chan->state & CHAN_CLOSED ||
        (chan->reserved > 0 && shared_depth(chan) + chan->reserved >= chan->capacity))
        return false;
    look = ring_look_tail(&shared->ring);
    *making |= look == RING_IN_THE_MAKING;
    place = look == RING_READY ? line_claim(&chan->senders) : NULL;
    if (!place)
        return false;
    if (place->item) {
        ring_push_locked(&shared->ring, place->item);
        place_serve(place, 1, served);
        if (chan->state & CHAN_ONESHOT)
            mark_closed(shared);
    } else {
        chan->reserved++;
        place_serve(place, 0, served);
    }
    return true;
}

static void settle_closed(struct shared_chan *shared, struct served *served)
{
    struct chan_place *place;

    while ((place = line_claim(&shared->chan.senders)) != NULL)
        place_serve(place, WEIR_ECLOSED, served);
    if (shared_depth(&shared->chan) > 0 || shared->chan.reserved > 0)
        return;
    while ((place = line_claim(&shared->chan.receivers)) != NULL)
        place_serve(place, 0, served);
}

/* Serve all who can be. True when somebody may have to wait for an item or a place
 * that is in the making. */
static bool shared_settle(struct shared_chan *shared, struct served *served)
{
    bool making, moved;

    do {
        making = false;
        if (shared->chan.capacity == 0) {
            moved = settle_pair(shared, served);
        } else {
            moved = settle_receiver(shared, served, &making);
            moved = settle_sender(shared, served, &making) || moved;
        }
    } while (moved);
    if (shared->chan.state & CHAN_CLOSED)
        settle_closed(shared, served);
    shared_mark(shared);
    return making;
}

/* ---- without the line ----------------------------------------------------------- */

static inline bool somebody_waits(struct shared_chan *shared, enum chan_end end)
{
    return atomic_load(&shared->waiting) & WAITING(end);
}

/* Is the ring at least half empty (full)? Small ones are so at any time. */
static bool much_room(const struct shared_chan *shared)
{
    return shared->chan.capacity < LATE_FROM ||
           shared_depth(&shared->chan) <= shared->chan.capacity / 2;
}

static bool much_there(const struct shared_chan *shared)
{
    return shared->chan.capacity < LATE_FROM ||
           shared_depth(&shared->chan) >= shared->chan.capacity / 2;
}

static void wake_now_or_late(struct served *served, bool now)
{
    if (now)
        served_wake(served, NULL);
    else
        served_wake_late(served, NULL);
}

/* A place at the tail was taken, and a receiver waits: the item is shown to nobody
 * before the lock is ours. */
static void fill_and_settle(struct shared_chan *shared, uint64_t at, const void *item)
{
    struct served served;
    bool now;

    served_init(&served);
    spin_lock(&shared->lock);
    now = shared->chan.capacity < LATE_FROM ||
          ring_distance(&shared->ring, at, shared->waited_from) < STREAM_ITEMS;
    shared->waited_from = at;
    ring_fill(&shared->ring, at, item);
    shared_settle(shared, &served);
    spin_unlock(&shared->lock);
    wake_now_or_late(&served, now);
}

/* A place at the head was taken, and a sender waits. */
static void empty_and_settle(struct shared_chan *shared, uint64_t at, void *ret_item)
{
    struct served served;
    bool now;

    served_init(&served);
    spin_lock(&shared->lock);
    ring_empty(&shared->ring, at, ret_item);
    shared_settle(shared, &served);
    now = much_room(shared);
    spin_unlock(&shared->lock);
    wake_now_or_late(&served, now);
}

/* Somebody is to be woken late: by now? */
static inline void wake_in_time(const struct shared_chan *shared,
                                bool (*now)(const struct shared_chan *shared))
{
    struct loop *loop = loop_current;

    if (unlikely(loop && loop->delayed) && now(shared))
        parked_wake_delayed(loop);
}

static inline bool shared_push(struct shared_chan *shared, const void *item, unsigned moment)
{
    uint64_t at;

    if (!ring_take(&shared->ring, &shared->ring.tail, 0, moment, &at))
        return false;
    wake_in_time(shared, much_there);
    if (likely(!somebody_waits(shared, CHAN_RECEIVERS)))
        ring_fill(&shared->ring, at, item);
    else
        fill_and_settle(shared, at, item);
    return true;
}

static inline bool shared_pop(struct shared_chan *shared, void *ret_item, unsigned moment)
{
    uint64_t at;

    if (!ring_take(&shared->ring, &shared->ring.head, RING_FULL, moment, &at))
        return false;
    wake_in_time(shared, much_room);
    if (likely(!somebody_waits(shared, CHAN_SENDERS)))
        ring_empty(&shared->ring, at, ret_item);
    else
        empty_and_settle(shared, at, ret_item);
    return true;
}

/* ---- watching the ring ------------------------------------------------------------ */

/* Something can be taken at this end, or there is something else to do. False: no, for
 * as long as it is worth waiting. */
static bool watch_cells(struct shared_chan *shared, struct loop *loop, enum chan_end end)
{
    struct chan_ring *ring = &shared->ring;
    const _Atomic uint64_t *position = end == CHAN_SENDERS ? &ring->tail : &ring->head;
    uint64_t mark = end == CHAN_SENDERS ? 0 : RING_FULL;
    uint64_t at = atomic_load_explicit(position, memory_order_relaxed), far;
    unsigned fewer = 0;

    if (at & RING_FLAGS)
        return true;
    far = ring_ahead(ring, at, ring->capacity / WATCH_PART);
    for (unsigned look = 0; look < WATCH_LOOKS; look++) {
        for (unsigned i = 0; i < WATCH_PAUSES; i++)
            spin_pause();
        if (ring_is_ready(ring, far, mark) ||
            (ring_is_ready(ring, at, mark) && ++fewer == WATCH_FEWER) ||
            atomic_load_explicit(position, memory_order_relaxed) != at ||
            atomic_load_explicit(&loop->inbox, memory_order_relaxed) != NULL ||
            atomic_load_explicit(&loop->requests, memory_order_relaxed) != 0)
            return true;
    }
    return false;
}

static void shared_watch(struct shared_chan *shared, enum chan_end end)
{
    struct loop *loop = loop_current;
    struct patience *patience = &shared->patience[end];
    unsigned skip = atomic_load_explicit(&patience->skip, memory_order_relaxed);

    if (shared->chan.capacity < WATCH_FROM || loop->permute)
        return;
    if (skip > 0) {
        atomic_store_explicit(&patience->skip, skip - 1, memory_order_relaxed);
        return;
    }
    if (loop->delayed) { /* who is watched for may be among them */
        parked_wake_delayed(loop);
        loop_undefer(&loop->wake_delayed);
    }
    if (!loop_quiet(loop))
        return;
    if (!watch_cells(shared, loop, end)) {
        skip = atomic_load_explicit(&patience->skips, memory_order_relaxed) * 2 + 1;
        skip = skip < WATCH_SKIP_MAX ? skip : WATCH_SKIP_MAX;
        atomic_store_explicit(&patience->skip, skip, memory_order_relaxed);
    }
    atomic_store_explicit(&patience->skips, skip, memory_order_relaxed);
}

static __attribute__((noinline)) bool push_later(struct shared_chan *shared, const void *item)
{
    shared_watch(shared, CHAN_SENDERS);
    return shared_push(shared, item, RING_MOMENT);
}

static __attribute__((noinline)) bool pop_later(struct shared_chan *shared, void *ret_item)
{
    shared_watch(shared, CHAN_RECEIVERS);
    return shared_pop(shared, ret_item, RING_MOMENT);
}

/* ---- in line ---------------------------------------------------------------------- */

/* What is in the making is waited for outside the line, as who is in it may be
 * served by others, and the channel may then be gone. */
static void line_up(struct shared_chan *shared, struct chan_place *place, bool stay)
{
    struct node *line = place->end == CHAN_SENDERS ? &shared->chan.senders
                                                   : &shared->chan.receivers;
    struct served served;
    unsigned rounds = 0;

    served_init(&served);
    spin_lock(&shared->lock);
    list_push(line, &place->link);
    for (;;) {
        bool making;

        shared_mark(shared);
        making = shared_settle(shared, &served);
        if (!making || !parked_is_open(place->parked))
            break;
        list_remove(&place->link);
        shared_mark(shared);
        spin_unlock(&shared->lock);
        spin_relax(&rounds);
        spin_lock(&shared->lock);
        list_push_front(line, &place->link);
    }
    if (!stay) {
        list_remove(&place->link);
        shared_mark(shared);
    }
    spin_unlock(&shared->lock);
    served_wake(&served, place->parked);
}

void shared_enter(weir_chan *chan, struct chan_place *place)
{
    line_up(shared_of(chan), place, true);
}

void shared_leave(weir_chan *chan, struct chan_place *place)
{
    struct shared_chan *shared = shared_of(chan);

    spin_lock(&shared->lock);
    list_remove(&place->link);
    shared_mark(shared);
    spin_unlock(&shared->lock);
}

/* Be served in line at once, or not at all. */
static int shared_try(struct shared_chan *shared, enum chan_end end, void *item)
{
    struct parked self;
    struct chan_place place = { .parked = &self, .item = item, .end = end };

    parked_init(&self, "", &shared->chan);
    line_up(shared, &place, false);
    return self.here ? self.rc : -EAGAIN;
}

static int shared_wait(struct shared_chan *shared, enum chan_end end, void *item, const char *what)
{
    struct parked self;
    struct chan_place place = { .parked = &self, .item = item, .end = end };
    struct queue_place *known = shared->chan.queue.place;
    int rc;

    if (end == CHAN_SENDERS)
        queue_note_filler(&shared->chan.queue, false);
    else
        queue_note_drainer(&shared->chan.queue);
    parked_init(&self, what, &shared->chan);
    self.wait.kind = end == CHAN_SENDERS ? WAIT_SEND_SHARED : WAIT_RECV_SHARED;
    self.wait.ends_at_stop = end == CHAN_RECEIVERS && shared->chan.source;
    line_up(shared, &place, true);
    if (self.here) {
        rt_spend();
        return self.rc;
    }
    rc = rt_park(&self.wait);
    if (self.given_up)
        shared_leave(&shared->chan, &place);
    if (end == CHAN_SENDERS)
        queue_note_waited(known, loop_current->now_ns - self.wait.since_ns);
    return rc;
}

/* ---- the operations ----------------------------------------------------------------- */

int shared_send_now(weir_chan *chan, const void *item)
{
    struct shared_chan *shared = shared_of(chan);

    return shared_push(shared, item, RING_MOMENT) ? 1
                                                  : shared_try(shared, CHAN_SENDERS, (void *)item);
}

int shared_recv_now(weir_chan *chan, void *ret_item)
{
    struct shared_chan *shared = shared_of(chan);

    return shared_pop(shared, ret_item, RING_MOMENT) ? 1
                                                     : shared_try(shared, CHAN_RECEIVERS, ret_item);
}

int shared_send(weir_chan *chan, const void *item)
{
    struct shared_chan *shared = shared_of(chan);

    if (unlikely(!shared_push(shared, item, 0)) && !push_later(shared, item))
        return shared_wait(shared, CHAN_SENDERS, (void *)item, "send to a channel");
    rt_spend();
    return 1;
}

int shared_recv(weir_chan *chan, void *ret_item)
{
    struct shared_chan *shared = shared_of(chan);

    if (likely(shared_pop(shared, ret_item, 0)) || pop_later(shared, ret_item)) {
        rt_spend();
        return 1;
    }
    if (chan->source && weir_stopping()) {
        int rc = shared_try(shared, CHAN_RECEIVERS, ret_item);

        return rc == -EAGAIN ? 0 : rc;
    }
    return shared_wait(shared, CHAN_RECEIVERS, ret_item, "receive from a channel");
}

int shared_reserve(weir_chan *chan)
{
    return shared_wait(shared_of(chan), CHAN_SENDERS, NULL, "room in a channel");
}

static bool shared_reserved(const weir_chan *chan)
{
    bool reserved = chan->reserved > 0;

    if (!reserved)
        rt_wrong_use("channel \"%s\" keeps no room: its permit was used or given back before",
                     chan->name ? chan->name : "");
    return reserved;
}

/* The room that is kept may still be emptied by the receiver that made it. */
void shared_send_reserved(weir_chan *chan, const void *item)
{
    struct shared_chan *shared = shared_of(chan);
    struct served served;
    unsigned rounds = 0;

    served_init(&served);
    spin_lock(&shared->lock);
    if (!shared_reserved(chan)) {
        spin_unlock(&shared->lock);
        return;
    }
    while (ring_look_tail(&shared->ring) != RING_READY) {
        spin_unlock(&shared->lock);
        spin_relax(&rounds);
        spin_lock(&shared->lock);
    }
    ring_push_locked(&shared->ring, item);
    chan->reserved--;
    if (chan->state & CHAN_ONESHOT)
        mark_closed(shared);
    shared_settle(shared, &served);
    spin_unlock(&shared->lock);
    served_wake(&served, NULL);
}

void shared_unreserve(weir_chan *chan)
{
    struct shared_chan *shared = shared_of(chan);
    struct served served;

    served_init(&served);
    spin_lock(&shared->lock);
    if (shared_reserved(chan))
        chan->reserved--;
    shared_settle(shared, &served);
    spin_unlock(&shared->lock);
    served_wake(&served, NULL);
}

uint32_t shared_depth(const weir_chan *chan)
{
    struct shared_chan *shared = shared_of(chan);
    uint64_t head = atomic_load(&shared->ring.head), tail = atomic_load(&shared->ring.tail);
    uint32_t depth = shared->chan.capacity > 0 ? ring_distance(&shared->ring, tail, head) : 0;

    return depth < chan->capacity ? depth : chan->capacity;
}

/* ---- life --------------------------------------------------------------------------- */

size_t shared_bytes(size_t item_bytes, uint32_t capacity)
{
    return sizeof(struct shared_chan) + (size_t)capacity * ring_cell_bytes(item_bytes);
}

weir_chan *shared_new(size_t item_bytes, uint32_t capacity, bool oneshot)
{
    struct shared_chan *shared = base_calloc(1, shared_bytes(item_bytes, capacity));
    struct chan_ring *ring;

    if (!shared)
        return NULL;
    ring = &shared->ring;
    ring->cells = (char *)(shared + 1);
    ring->item_bytes = item_bytes;
    ring->cell_bytes = ring_cell_bytes(item_bytes);
    ring->capacity = capacity;
    for (uint32_t i = 0; i < capacity; i++)
        atomic_init(&ring_cell(ring, i)->stamp, i);
    shared->always_shut[CHAN_SENDERS] = capacity == 0 || oneshot;
    shared->always_shut[CHAN_RECEIVERS] = capacity == 0;
    list_init(&shared->chan.senders);
    list_init(&shared->chan.receivers);
    shared->chan.capacity = capacity;
    shared_mark(shared);
    return &shared->chan;
}

void shared_close(weir_chan *chan)
{
    struct shared_chan *shared = shared_of(chan);
    struct served served;

    served_init(&served);
    spin_lock(&shared->lock);
    if (!(chan->state & CHAN_CLOSED)) {
        mark_closed(shared);
        shared_settle(shared, &served);
    }
    spin_unlock(&shared->lock);
    served_wake(&served, NULL);
}

void shared_drop(weir_chan *chan)
{
    struct shared_chan *shared = shared_of(chan);
    bool waited_at;

    spin_lock(&shared->lock);
    waited_at = line_first(&chan->senders, NULL) || line_first(&chan->receivers, NULL);
    spin_unlock(&shared->lock);
    if (waited_at) {
        rt_wrong_use("channel \"%s\" was freed while a task waits at it",
                     chan->name ? chan->name : "");
        shared_close(chan);
    }
    while (shared_depth(chan) > 0) {
        uint64_t head = atomic_load(&shared->ring.head) & ~RING_FLAGS;

        if (chan->drop)
            chan->drop(ring_cell(&shared->ring, head)->item);
        atomic_store(&shared->ring.head, ring_next(&shared->ring, head));
    }
}
