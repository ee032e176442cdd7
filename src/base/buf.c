/* The slow paths of buffers; see buf.h.
 *
 * Buffers kept in a pool stay counted in the budget: they are memory of the
 * process. Their pages are as resident as their last use made them.
 *
 * Invariant: a buffer in the pool's list is poisoned as a whole, header and all. */
#include "base/buf.h"

#include "base/alloc.h"
#include "base/budget.h"

void buf_pool_init(struct buf_pool *pool, uint32_t free_max)
{
    *pool = (struct buf_pool){ .free_max = free_max };
}

static void pool_shrink(struct buf_pool *pool, uint32_t surplus)
{
    for (; surplus > 0; surplus--) {
        struct buf *b = pool->free;

        unpoison_memory(b, sizeof *b);
        pool->free = b->next;
        pool->free_count--;
        buf_free_slow(b);
    }
    pool->free_low = pool->free_count;
}

void buf_pool_trim(struct buf_pool *pool)
{
    pool_shrink(pool, (pool->free_low + 1) / 2);
}

void buf_pool_done(struct buf_pool *pool)
{
    if (pool)
        pool_shrink(pool, pool->free_count);
}

struct buf *buf_new_slow(struct buf_pool *pool)
{
    struct buf *b;

    if (!budget_take(BUDGET_BUFFER, sizeof *b))
        return NULL;
    /* A cache line's alignment; a page's would waste up to a page a buffer. */
    b = base_aligned(64, sizeof *b);
    if (!b) {
        budget_give(BUDGET_BUFFER, sizeof *b);
        return NULL;
    }
    b->pool = pool;
    b->reserved = 0;
    return b;
}

void buf_free_slow(struct buf *b)
{
    base_free(b);
    budget_give(BUDGET_BUFFER, sizeof *b);
}
