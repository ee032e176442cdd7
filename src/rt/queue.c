/* The places that queues are opened at; see queue.h.
 *
 * The table of places is open addressed by the pointer to the site's text, and only ever
 * grows: a place is found without a lock, and is there for good. */
#include "rt/queue.h"

#include <pthread.h>
#include <stdio.h>

#include "rt/loop.h"

static struct {
    struct queue_place places[QUEUE_PLACES];
    _Atomic(struct queue_place *) order[QUEUE_PLACES]; /* as they came */
    atomic_uint count;
    pthread_mutex_t lock; /* of the table's growth, and of the list */
    pthread_once_t once;
    struct node shared;
} queues = { .lock = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT };

static void queues_init(void)
{
    list_init(&queues.shared);
}

static uint32_t place_hash(const char *site)
{
    return (uint32_t)(((uintptr_t)site * UINT64_C(0x9e3779b97f4a7c15)) >> 40) % QUEUE_PLACES;
}

/* The place, or the free one where it belongs; NULL when the table is full. */
static struct queue_place *place_find(const char *site)
{
    uint32_t at = place_hash(site);

    for (uint32_t i = 0; i < QUEUE_PLACES; i++) {
        struct queue_place *place = &queues.places[(at + i) % QUEUE_PLACES];
        const char *taken = atomic_load_explicit(&place->site, memory_order_acquire);

        if (taken == site || !taken)
            return place;
    }
    return NULL;
}

static struct queue_place *place_add(const char *kind, const char *name, const char *site,
                                     uint32_t capacity)
{
    struct queue_place *place;
    uint32_t count;

    pthread_mutex_lock(&queues.lock);
    place = place_find(site);
    count = atomic_load(&queues.count);
    if (!place) {
        place = atomic_load(&queues.order[count - 1]);
    } else if (!atomic_load(&place->site)) {
        place->kind = kind;
        if (name) {
            snprintf(place->name_copy, sizeof(place->name_copy), "%s", name);
            place->name = place->name_copy;
        }
        place->number = count;
        place->capacity = capacity;
        atomic_store_explicit(&place->site, site, memory_order_release);
        atomic_store(&queues.order[count], place);
        atomic_store(&queues.count, count + 1);
    }
    pthread_mutex_unlock(&queues.lock);
    return place;
}

uint32_t queue_place_count(void)
{
    return atomic_load(&queues.count);
}

struct queue_place *queue_place_at(uint32_t index)
{
    return atomic_load(&queues.order[index]);
}

/* ---- open and close -------------------------------------------------------------------- */

void queue_open(struct queue *queue, const char *kind, const char *name, const char *site,
                uint32_t capacity, bool shared)
{
    struct queue_place *place = site ? place_find(site) : NULL;

    queue->shared = shared;
    list_init(&queue->link);
    if (!VISIBLE || !site || (!shared && !loop_current))
        return;
    if (!place || !atomic_load_explicit(&place->site, memory_order_acquire))
        place = place_add(kind, name, site, capacity);
    queue->place = place;
    atomic_fetch_add_explicit(&place->open, 1, memory_order_relaxed);
    if (!shared) {
        list_push(&loop_current->queues, &queue->link);
        return;
    }
    pthread_once(&queues.once, queues_init);
    pthread_mutex_lock(&queues.lock);
    list_push(&queues.shared, &queue->link);
    pthread_mutex_unlock(&queues.lock);
}

static void raise_to(_Atomic uint32_t *high, uint32_t value)
{
    uint32_t now = atomic_load_explicit(high, memory_order_relaxed);

    while (now < value && !atomic_compare_exchange_weak(high, &now, value))
        ;
}

void queue_close(struct queue *queue)
{
    struct queue_state state;

    if (!queue->place)
        return;
    queue->read(queue, &state);
    raise_to(&queue->place->high, state.high);
    atomic_fetch_sub_explicit(&queue->place->open, 1, memory_order_relaxed);
    if (queue->shared)
        pthread_mutex_lock(&queues.lock);
    list_remove(&queue->link);
    if (queue->shared)
        pthread_mutex_unlock(&queues.lock);
    queue->place = NULL;
}

void queue_forget_all(struct loop *loop)
{
    while (list_pop(&loop->queues))
        ;
}

/* ---- who fills, who drains ---------------------------------------------------------------- */

static void note(struct queue_user *user)
{
    const struct fiber *self = fiber_current();
    uint64_t handle = 0;

    if (self)
        handle = queue_handle(self->task);
    atomic_store_explicit(&user->handle, handle, memory_order_relaxed);
    atomic_store_explicit(&user->site, self ? self->task->site : "", memory_order_relaxed);
    atomic_store_explicit(&user->loop, self ? loop_current->index : 0, memory_order_relaxed);
}

void queue_note_filler(struct queue *queue, bool refused)
{
    if (!queue->place)
        return;
    note(&queue->filler);
    atomic_fetch_add_explicit(refused ? &queue->place->refused : &queue->place->waits, 1,
                              memory_order_relaxed);
}

void queue_note_waited(struct queue_place *place, int64_t waited_ns)
{
    if (place)
        atomic_fetch_add_explicit(&place->waited_ns, (uint64_t)waited_ns, memory_order_relaxed);
}

void queue_note_drainer(struct queue *queue)
{
    if (queue->place)
        note(&queue->drainer);
}

/* ---- looking --------------------------------------------------------------------------------- */

static void look_at(struct node *list, uint32_t max,
                    void (*each)(struct queue *queue, const struct queue_state *state, void *arg),
                    void *arg)
{
    struct node *last = list->prev, *n = NULL;

    for (uint32_t i = 0; i < max && n != last && (n = list_pop(list)) != NULL; i++) {
        struct queue *queue = container_of(n, struct queue, link);
        struct queue_state state = { 0 };

        list_push(list, n); /* to the end: the next look begins behind it */
        queue->read(queue, &state);
        raise_to(&queue->place->high, state.high);
        queue->full_looks = state.full ? (uint8_t)(queue->full_looks + (queue->full_looks < 255))
                                       : 0;
        each(queue, &state, arg);
    }
}

void queue_look(struct loop *loop, uint32_t max,
                void (*each)(struct queue *queue, const struct queue_state *state, void *arg),
                void *arg)
{
    if (loop) {
        look_at(&loop->queues, max, each, arg);
        return;
    }
    pthread_once(&queues.once, queues_init);
    pthread_mutex_lock(&queues.lock);
    look_at(&queues.shared, max, each, arg);
    pthread_mutex_unlock(&queues.lock);
}
