/* The one door to the heap: everything here and in the layers above allocates
 * through these, so that a test can refuse any allocation and count what lives.
 *
 * Without a hook (always, outside tests) they are malloc and friends behind one
 * branch that is never taken. Memory from here is given back with base_free();
 * a library that frees by itself (or is given these as its allocator) may use
 * free(), but is then not counted.
 *
 * Thread: any. */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* What a test installs; its functions may be called from several threads. */
struct alloc_hook {
    bool (*allow)(struct alloc_hook *hook, size_t bytes); /* false: the allocation fails */
    void (*taken)(struct alloc_hook *hook);               /* it succeeded, a block more */
    void (*freed)(struct alloc_hook *hook);               /* a block less */
};

extern struct alloc_hook *_Atomic alloc_hook_now;

/* NULL takes the hook away. Set it while no other thread allocates. */
void alloc_hook_set(struct alloc_hook *hook);

/* May memory be taken that does not come from here (a mapping)? */
static inline bool base_allows(size_t bytes)
{
    struct alloc_hook *hook = atomic_load_explicit(&alloc_hook_now, memory_order_relaxed);

    return __builtin_expect(!hook, 1) || hook->allow(hook, bytes);
}

/* As malloc, calloc, realloc and aligned_alloc (any size), but 0 bytes give a
 * block as well. NULL without memory. */
__attribute__((malloc, alloc_size(1), warn_unused_result)) void *base_malloc(size_t bytes);
__attribute__((malloc, alloc_size(1, 2), warn_unused_result)) void *base_calloc(size_t count,
                                                                                size_t bytes);
__attribute__((alloc_size(2), warn_unused_result)) void *base_realloc(void *block, size_t bytes);
__attribute__((malloc, alloc_size(2), warn_unused_result)) void *base_aligned(size_t alignment,
                                                                              size_t bytes);
void base_free(void *block); /* NULL is fine */

#endif
