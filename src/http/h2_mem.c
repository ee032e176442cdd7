/* nghttp2's memory comes from where all memory comes from, so that tests can
 * refuse and count it. */
#include "http/h2_mem.h"

#include "base/alloc.h"

static void *mem_malloc(size_t bytes, void *user)
{
    (void)user;
    return base_malloc(bytes);
}

static void mem_free(void *block, void *user)
{
    (void)user;
    base_free(block);
}

static void *mem_calloc(size_t count, size_t bytes, void *user)
{
    (void)user;
    return base_calloc(count, bytes);
}

static void *mem_realloc(void *block, size_t bytes, void *user)
{
    (void)user;
    return base_realloc(block, bytes);
}

nghttp2_mem *h2_mem(void)
{
    static const nghttp2_mem mem = { NULL, mem_malloc, mem_free, mem_calloc, mem_realloc };

    /* The library takes it without const, and copies it. */
    return (nghttp2_mem *)&mem;
}
