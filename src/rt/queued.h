/* Parked tasks in the order in which they came: the queue of every lock but the
 * semaphore. All zero is an empty queue, so that a lock may be too.
 *
 * A lock that is not shared is used by the tasks of one loop alone, and its queue
 * costs nothing but its links. One that is shared is used from all loops: what is
 * done with it stands between queued_enter() and queued_leave(), which hold a guard
 * for a few instructions. Nobody is woken, waits, or calls the program's code inside.
 *
 * A task is taken out of the queue by whoever has what it waits for (inside), and is
 * told afterwards (outside), by a message when it is another loop's. What it was
 * given is its own from the moment that it is taken out: a cancel that comes before
 * the message finds it in no queue and leaves it alone, so nothing handed over is
 * lost, and its place, a variable on its stack, stays until the message has come.
 * Whoever gives does not touch the lock after queued_leave(): who was given it may
 * free it. Who waits may, until its own call returns.
 *
 * Invariant: in_queue says, inside, whether a place is in its queue. */
#ifndef RT_QUEUED_H
#define RT_QUEUED_H

#include "rt/loop.h"

/* A task's place: a stack variable of the function that it is parked in. */
struct queued {
    struct wait wait;
    struct queued *next, *prev;
    weir_wait_queue *queue, *guard; /* the guard of a single-flight is its group's */
    struct loop *loop;
    struct fiber *fiber;
    bool in_queue, shared;
    int rc;                 /* carried by the message */
    struct message message;
};

/* queued.c */
void queued_guard_wait(weir_wait_queue *queue);
void queued_post(struct queued *place, int rc);
/* In a debug build: does this loop's task use a lock that is another loop's? */
void queued_check_loop(weir_wait_queue *queue, const char *what);
/* For waits that leave nothing else behind: their abandon function. */
void queued_abandon(struct wait *wait, int code);
/* The storage ends; a task that waits all the same does not touch it again. */
void queued_end(weir_wait_queue *queue, bool shared, const char *what);

static inline void queued_enter(weir_wait_queue *queue, bool shared)
{
    if (unlikely(shared) && __atomic_exchange_n(&queue->guard_, 1, __ATOMIC_ACQUIRE) != 0)
        queued_guard_wait(queue);
}

static inline void queued_leave(weir_wait_queue *queue, bool shared)
{
    if (unlikely(shared))
        __atomic_store_n(&queue->guard_, 0, __ATOMIC_RELEASE);
}

/* The same, where a task begins to use a lock. */
static inline void queued_use(weir_wait_queue *queue, bool shared, const char *what)
{
#ifdef WEIR_DEBUG
    if (!shared)
        queued_check_loop(queue, what);
#else
    (void)what;
#endif
    queued_enter(queue, shared);
}

static inline struct queued *queued_first(const weir_wait_queue *queue)
{
    return queue->first_;
}

static inline void queued_push(weir_wait_queue *queue, struct queued *place)
{
    place->queue = queue;
    place->next = NULL;
    place->prev = queue->last_;
    place->in_queue = true;
    if (place->prev)
        place->prev->next = place;
    else
        queue->first_ = place;
    queue->last_ = place;
}

static inline void queued_remove(struct queued *place)
{
    weir_wait_queue *queue = place->queue;

    place->in_queue = false;
    if (place->prev)
        place->prev->next = place->next;
    else
        queue->first_ = place->next;
    if (place->next)
        place->next->prev = place->prev;
    else
        queue->last_ = place->prev;
}

/* The longest waiting, taken out, or NULL. */
static inline struct queued *queued_pop(weir_wait_queue *queue)
{
    struct queued *first = queue->first_;

    if (first)
        queued_remove(first);
    return first;
}

/* All of them, taken out: for queued_wake_list(). */
static inline struct queued *queued_pop_all(weir_wait_queue *queue)
{
    struct queued *first = queue->first_;

    for (struct queued *place = first; place; place = place->next)
        place->in_queue = false;
    queue->first_ = queue->last_ = NULL;
    return first;
}

/* Tell a task that was taken out, if any. Outside. */
static inline void queued_wake(struct queued *place, int rc)
{
    if (!place)
        return;
    if (likely(place->loop == loop_current))
        wait_wake(&place->wait, rc);
    else
        queued_post(place, rc);
}

/* Tell all of a list that is linked by next. */
static inline void queued_wake_list(struct queued *place, int rc)
{
    while (place) {
        struct queued *next = place->next;

        queued_wake(place, rc);
        place = next;
    }
}

/* Enter the queue: inside. The wait begins with rt_park(&place->wait), outside. */
static inline void queued_stand(weir_wait_queue *queue, bool shared, struct queued *place)
{
    place->loop = loop_current;
    place->fiber = loop_current->current;
    place->shared = shared;
    place->guard = queue;
    queued_push(queue, place);
}

/* Enter the queue, leave the guard, and wait. */
static inline int queued_park(weir_wait_queue *queue, bool shared, struct queued *place)
{
    queued_stand(queue, shared, place);
    queued_leave(queue, shared);
    return rt_park(&place->wait);
}

#endif
