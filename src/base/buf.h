/* Reference-counted buffers of 16 KiB from a loop's pool.
 *
 * One reference is one holder: the connection that reads into it, an exchange
 * whose head points into it, an output segment. The last one to let go gives it
 * back to the pool.
 *
 * Thread: a buffer and its pool belong to one loop. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/poison.h"

#define BUF_BYTES 16384 /* with its header, so that a buffer is four pages */
#define BUF_ROOM (BUF_BYTES - 32)

struct buf_pool;

struct buf {
    struct buf_pool *pool;
    struct buf *next; /* for whoever holds it in a chain; the pool's when free */
    uint32_t refs;
    uint32_t from, to; /* the bytes in it: data[from] up to data[to] */
    uint32_t reserved;
    char data[BUF_ROOM];
};

_Static_assert(sizeof(struct buf) == BUF_BYTES, "a buffer is four pages");

struct buf_pool {
    struct buf *free;
    uint32_t free_count, free_max; /* buffers kept for reuse */
    uint32_t free_low;             /* fewest since the last trim: not needed meanwhile */
    uint32_t used;
};

void buf_pool_init(struct buf_pool *pool, uint32_t free_max);
/* Free the buffers kept; those in use must have come back before. */
void buf_pool_done(struct buf_pool *pool);

/* Give half of what was not needed since the last call back to the heap. */
void buf_pool_trim(struct buf_pool *pool);

/* A buffer from the heap, and back to it. */
struct buf *buf_new_slow(struct buf_pool *pool);
void buf_free_slow(struct buf *b);

/* An empty buffer with one reference; NULL without memory or budget. */
static inline struct buf *buf_new(struct buf_pool *pool)
{
    struct buf *b = pool->free;

    if (__builtin_expect(b == NULL, 0)) {
        b = buf_new_slow(pool);
        if (!b)
            return NULL;
    } else {
        unpoison_memory(b, sizeof *b);
        pool->free = b->next;
        if (--pool->free_count < pool->free_low)
            pool->free_low = pool->free_count;
    }
    pool->used++;
    b->next = NULL;
    b->refs = 1;
    b->from = b->to = 0;
    return b;
}

static inline struct buf *buf_ref(struct buf *b)
{
    b->refs++;
    return b;
}

/* NULL is fine. */
static inline void buf_unref(struct buf *b)
{
    struct buf_pool *pool;

    if (!b || --b->refs > 0)
        return;
    pool = b->pool;
    pool->used--;
    if (__builtin_expect(pool->free_count >= pool->free_max, 0)) {
        buf_free_slow(b);
        return;
    }
    b->next = pool->free;
    pool->free = b;
    pool->free_count++;
    poison_memory(b, sizeof *b);
}

#endif
