/* Parked tasks in the order in which they came: the queue of the locks whose
 * storage is the caller's. All zero is an empty queue, so that a lock may be too.
 *
 * Invariant: a place is in its queue exactly while its wait is not woken; who
 * takes it out wakes it at once. Nothing here outlives the parked function. */
#ifndef RT_QUEUED_H
#define RT_QUEUED_H

#include "rt/loop.h"

/* A task's place: a stack variable of the function that it is parked in. */
struct queued {
    struct wait wait;
    struct queued *next, *prev;
    weir_wait_queue *queue;
};

static inline struct queued *queued_first(const weir_wait_queue *queue)
{
    return queue->first_;
}

static inline void queued_push(weir_wait_queue *queue, struct queued *place)
{
    place->queue = queue;
    place->next = NULL;
    place->prev = queue->last_;
    if (place->prev)
        place->prev->next = place;
    else
        queue->first_ = place;
    queue->last_ = place;
}

static inline void queued_remove(struct queued *place)
{
    weir_wait_queue *queue = place->queue;

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

static inline void queued_wake_all(weir_wait_queue *queue, int rc)
{
    struct queued *place;

    while ((place = queued_pop(queue)) != NULL)
        wait_wake(&place->wait, rc);
}

/* For waits that leave nothing else behind: their abandon function. */
static inline void queued_abandon(struct wait *wait, int code)
{
    queued_remove(container_of(wait, struct queued, wait));
    wait_wake(wait, code);
}

/* Enter the queue and wait. */
static inline int queued_park(weir_wait_queue *queue, struct queued *place)
{
    queued_push(queue, place);
    return rt_park(&place->wait);
}

/* The storage ends; a task that waits all the same does not touch it again. */
static inline void queued_end(weir_wait_queue *queue, const char *what)
{
    if (!queue->first_)
        return;
    rt_wrong_use("%s was freed while a task waits for it", what);
    queued_wake_all(queue, WEIR_ECLOSED);
}

#endif
