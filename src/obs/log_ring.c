/* The ring of bytes; see log_ring.h.
 *
 * head is published in one total order with the writer's state (both seq_cst):
 * either the producer sees that the writer sleeps, or the writer, before it
 * sleeps, sees the line. tail is only ever read to find room. */
#include "obs/log_ring.h"

#include <string.h>

void log_ring_init(struct log_ring *ring, char *bytes, uint64_t size)
{
    atomic_store(&ring->head, 0);
    atomic_store(&ring->tail, 0);
    ring->tail_seen = 0;
    ring->bytes = bytes;
    ring->size = size;
}

bool log_ring_put(struct log_ring *ring, weir_str line, uint64_t keep, uint64_t *ret_used)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint64_t need = line.len + keep, at = head & (ring->size - 1), first = ring->size - at;

    if (ring->size - (head - ring->tail_seen) < need) {
        ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
        if (ring->size - (head - ring->tail_seen) < need)
            return false;
    }
    first = first < line.len ? first : line.len;
    memcpy(ring->bytes + at, line.ptr, first);
    memcpy(ring->bytes, line.ptr + first, line.len - first);
    atomic_store_explicit(&ring->head, head + line.len, memory_order_seq_cst);
    if (head + line.len - ring->tail_seen > ring->size / 2)
        ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
    *ret_used = head + line.len - ring->tail_seen;
    return true;
}

uint64_t log_ring_head(const struct log_ring *ring)
{
    return atomic_load_explicit(&ring->head, memory_order_seq_cst);
}

uint64_t log_ring_tail(const struct log_ring *ring)
{
    return atomic_load_explicit(&ring->tail, memory_order_acquire);
}

weir_str log_ring_peek(const struct log_ring *ring, uint64_t end)
{
    uint64_t tail = log_ring_tail(ring), at = tail & (ring->size - 1);
    uint64_t n = end - tail, to_end = ring->size - at;

    return weir_str_from(ring->bytes + at, n < to_end ? n : to_end);
}

void log_ring_take(struct log_ring *ring, uint64_t n)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

    atomic_store_explicit(&ring->tail, tail + n, memory_order_release);
}
