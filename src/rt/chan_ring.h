/* The ring of a shared channel: bounded, several senders and receivers, no lock
 * (after Vyukov's bounded queue, with laps so that any capacity will do).
 *
 * A position is a lap and the index of a cell. A sender takes the position at the
 * tail by moving the tail on, then fills the cell and stamps it as full; a receiver
 * does the same at the head and stamps the cell as free for the next lap. In
 * between, the position is taken and the cell is not ready: "in the making", for as
 * long as copying an item takes.
 *
 * Each end has a gate, a bit in its position: while it is shut only the holder of
 * the channel's lock moves that end, since a move begun without the lock fails on
 * the changed word. So what the holder of the lock finds at a shut end stays there.
 *
 * Invariant: tail is at most one lap ahead of head; stamp is the position that the
 * cell is free for, or was filled at with RING_FULL. */
#ifndef RT_CHAN_RING_H
#define RT_CHAN_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "rt/loop.h"
#include "rt/spin.h"

#define RING_MOMENT 50 /* rounds of waiting for a copy to end */
#define RING_LAP (UINT64_C(1) << 32)
#define RING_SHUT (UINT64_C(1) << 62)
#define RING_CLOSED (UINT64_C(1) << 63) /* of the tail */
#define RING_FULL (UINT64_C(1) << 63)   /* of a stamp */
#define RING_FLAGS (RING_SHUT | RING_CLOSED)

struct ring_cell {
    _Atomic uint64_t stamp;
    char item[];
};

/* Each end on a cache line of its own, whatever the alignment of the whole. */
struct chan_ring {
    char *cells;
    size_t cell_bytes, item_bytes;
    uint32_t capacity; /* 0: no cells, both ends always shut */
    char apart_1[120];
    _Atomic uint64_t tail;
    char apart_2[120];
    _Atomic uint64_t head;
    char apart_3[120];
};

static inline size_t ring_cell_bytes(size_t item_bytes)
{
    return (sizeof(struct ring_cell) + item_bytes + 7) & ~(size_t)7;
}

static inline struct ring_cell *ring_cell(const struct chan_ring *ring, uint64_t position)
{
    return (struct ring_cell *)(void *)(ring->cells + (uint32_t)position * ring->cell_bytes);
}

/* The position behind one without flags. */
static inline uint64_t ring_next(const struct chan_ring *ring, uint64_t position)
{
    if (likely((uint32_t)position + 1 < ring->capacity))
        return position + 1;
    return (position - (uint32_t)position + RING_LAP) & ~RING_FLAGS;
}

/* The position count (no more than there are) behind one without flags. */
static inline uint64_t ring_ahead(const struct chan_ring *ring, uint64_t position, uint32_t count)
{
    if ((uint32_t)position + count < ring->capacity)
        return position + count;
    return (position + count - ring->capacity + RING_LAP) & ~RING_FLAGS;
}

/* How many positions tail is ahead of head. */
static inline uint32_t ring_distance(const struct chan_ring *ring, uint64_t tail, uint64_t head)
{
    uint32_t laps = (uint32_t)(((tail & ~RING_FLAGS) - (head & ~RING_FLAGS) + (uint32_t)head -
                                (uint32_t)tail) >>
                               32) &
                    ((1u << 30) - 1);

    return laps * ring->capacity + (uint32_t)tail - (uint32_t)head;
}

static inline void item_copy(void *to, const void *from, size_t bytes)
{
    if (likely(bytes == 8))
        memcpy(to, from, 8);
    else
        memcpy(to, from, bytes);
}

/* A taken place: fill it or empty it, with which it is no longer ours. */
static inline void ring_fill(struct chan_ring *ring, uint64_t position, const void *item)
{
    struct ring_cell *cell = ring_cell(ring, position);

    item_copy(cell->item, item, ring->item_bytes);
    atomic_store_explicit(&cell->stamp, position | RING_FULL, memory_order_release);
}

static inline void ring_empty(struct chan_ring *ring, uint64_t position, void *ret_item)
{
    struct ring_cell *cell = ring_cell(ring, position);

    item_copy(ret_item, cell->item, ring->item_bytes);
    atomic_store_explicit(&cell->stamp, (position + RING_LAP) & ~RING_FLAGS, memory_order_release);
}

/* The cell at this end is not ready: is it about to be? */
static inline bool ring_is_making(struct chan_ring *ring, const _Atomic uint64_t *end)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint32_t count = ring_distance(ring, atomic_load_explicit(&ring->tail, memory_order_relaxed),
                                   head);

    return end == &ring->tail ? count < ring->capacity : count > 0;
}

/* A look at a place, which may have changed before anything is done about it. */
static inline bool ring_is_ready(const struct chan_ring *ring, uint64_t position, uint64_t mark)
{
    return atomic_load_explicit(&ring_cell(ring, position)->stamp, memory_order_relaxed) ==
           (position | mark);
}

/* Take the place at one end, without the lock. False when the end is shut, or its
 * cell is not ready for it, and not within a moment, if it is in the making. (Moving
 * the end is sequentially consistent, for those who look afterwards whether somebody
 * waits at the other.) */
static inline bool ring_take(struct chan_ring *ring, _Atomic uint64_t *end, uint64_t mark,
                             unsigned moment, uint64_t *ret_position)
{
    uint64_t at = atomic_load_explicit(end, memory_order_relaxed), again;
    unsigned rounds = 0;

    while (likely(!(at & RING_FLAGS))) {
        uint64_t stamp = atomic_load_explicit(&ring_cell(ring, at)->stamp, memory_order_acquire);

        if (likely(stamp == (at | mark))) {
            if (likely(atomic_compare_exchange_strong_explicit(
                    end, &at, ring_next(ring, at), memory_order_seq_cst, memory_order_relaxed))) {
                *ret_position = at;
                return true;
            }
            continue;
        }
        again = atomic_load_explicit(end, memory_order_relaxed);
        if (again == at) {
            if (rounds >= moment || !ring_is_making(ring, end))
                return false;
            spin_relax(&rounds);
        }
        at = again;
    }
    return false;
}

enum ring_look { RING_READY, RING_NOT_READY, RING_IN_THE_MAKING };

/* With the lock, at a shut end: can the place be taken? */
static inline enum ring_look ring_look_tail(struct chan_ring *ring)
{
    uint64_t tail = atomic_load(&ring->tail);

    if (ring->capacity == 0)
        return RING_NOT_READY;
    if (atomic_load_explicit(&ring_cell(ring, tail)->stamp, memory_order_acquire) ==
        (tail & ~RING_FLAGS))
        return RING_READY;
    return ring_distance(ring, tail, atomic_load(&ring->head)) < ring->capacity ? RING_IN_THE_MAKING
                                                                                : RING_NOT_READY;
}

static inline enum ring_look ring_look_head(struct chan_ring *ring)
{
    uint64_t head = atomic_load(&ring->head);

    if (ring->capacity == 0)
        return RING_NOT_READY;
    if (atomic_load_explicit(&ring_cell(ring, head)->stamp, memory_order_acquire) ==
        ((head & ~RING_FLAGS) | RING_FULL))
        return RING_READY;
    return ring_distance(ring, atomic_load(&ring->tail), head) > 0 ? RING_IN_THE_MAKING
                                                                   : RING_NOT_READY;
}

/* With the lock, at a shut end that is ready. */
static inline void ring_push_locked(struct chan_ring *ring, const void *item)
{
    uint64_t tail = atomic_load(&ring->tail), at = tail & ~RING_FLAGS;

    atomic_store(&ring->tail, ring_next(ring, at) | (tail & RING_FLAGS));
    ring_fill(ring, at, item);
}

static inline void ring_pop_locked(struct chan_ring *ring, void *ret_item)
{
    uint64_t head = atomic_load(&ring->head), at = head & ~RING_FLAGS;

    atomic_store(&ring->head, ring_next(ring, at) | (head & RING_FLAGS));
    ring_empty(ring, at, ret_item);
}

#endif
