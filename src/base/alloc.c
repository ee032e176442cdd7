/* The wrappers around the heap; see alloc.h.
 *
 * The hook is the process object's part that only tests use: NULL otherwise, and
 * read with a relaxed load, for it changes only while nobody allocates.
 *
 * Invariant: for each block, taken is reported once, and freed once when it goes;
 * growing a block reports neither. */
#include "base/alloc.h"

#include <stdlib.h>

struct alloc_hook *_Atomic alloc_hook_now;

void alloc_hook_set(struct alloc_hook *hook)
{
    atomic_store(&alloc_hook_now, hook);
}

static void *count_block(void *block)
{
    struct alloc_hook *hook = atomic_load_explicit(&alloc_hook_now, memory_order_relaxed);

    if (__builtin_expect(hook != NULL, 0) && block)
        hook->taken(hook);
    return block;
}

void *base_malloc(size_t bytes)
{
    if (!base_allows(bytes))
        return NULL;
    return count_block(malloc(bytes ? bytes : 1));
}

void *base_calloc(size_t count, size_t bytes)
{
    size_t all;

    if (__builtin_mul_overflow(count, bytes, &all) || !base_allows(all))
        return NULL;
    return count_block(calloc(1, all ? all : 1));
}

void *base_realloc(void *block, size_t bytes)
{
    if (!block)
        return base_malloc(bytes);
    if (!base_allows(bytes))
        return NULL;
    return realloc(block, bytes ? bytes : 1);
}

void *base_aligned(size_t alignment, size_t bytes)
{
    void *block = NULL;

    if (!base_allows(bytes) || posix_memalign(&block, alignment, bytes ? bytes : 1) != 0)
        return NULL;
    return count_block(block);
}

void base_free(void *block)
{
    struct alloc_hook *hook = atomic_load_explicit(&alloc_hook_now, memory_order_relaxed);

    if (__builtin_expect(hook != NULL, 0) && block)
        hook->freed(hook);
    free(block);
}
