/* A ring of bytes between the thread that logs and the one that writes out.
 *
 * One producer, one consumer, no lock. Positions only grow; a position's place
 * is itself modulo the size. What is between tail and head are whole lines, but
 * for the first, of which the consumer may have taken a part. */
#ifndef OBS_LOG_RING_H
#define OBS_LOG_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/str.h>

struct log_ring {
    _Alignas(64) _Atomic uint64_t head; /* the producer's */
    uint64_t tail_seen;                 /* the producer's last look at tail */
    _Alignas(64) _Atomic uint64_t tail; /* the consumer's */
    _Alignas(64) char *bytes;
    uint64_t size;                      /* a power of two */
};

/* bytes are the caller's, and stay so. */
void log_ring_init(struct log_ring *ring, char *bytes, uint64_t size);

/* Producer: add a line if keep bytes stay free behind it; false when not.
 * *ret_used is what is in the ring then: at most that, and just that past a half. */
bool log_ring_put(struct log_ring *ring, weir_str line, uint64_t keep, uint64_t *ret_used);

/* Consumer: the position behind the newest line. */
uint64_t log_ring_head(const struct log_ring *ring);
uint64_t log_ring_tail(const struct log_ring *ring);
/* Consumer: the bytes that lie in one piece from tail on, up to position end. */
weir_str log_ring_peek(const struct log_ring *ring, uint64_t end);
/* Consumer: n of them are done with. */
void log_ring_take(struct log_ring *ring, uint64_t n);

#endif
