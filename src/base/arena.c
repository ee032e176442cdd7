/* The slow paths of arenas; see arena.h.
 *
 * A chunk is a header and its memory. Chunks of ARENA_CHUNK_BYTES and of
 * ARENA_BIG_BYTES go to the pool when their arena is reset, others to the heap. Chunks kept in the pool stay
 * counted in the budget: they are memory of the process.
 *
 * Invariants: at and end are multiples of 16 apart and both NULL or both in one
 * chunk of ARENA_CHUNK_BYTES; bytes that were not handed out are poisoned. */
#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/budget.h"

struct arena_chunk {
    struct arena_chunk *next;
    size_t bytes; /* with this header */
};

_Static_assert(sizeof(struct arena_chunk) % ARENA_ALIGN == 0, "blocks are aligned to 16 bytes");
_Static_assert(ARENA_CHUNK_BYTES % ARENA_ALIGN == 0, "so is a chunk's end");

static struct arena_chunk *chunk_new(size_t bytes)
{
    struct arena_chunk *chunk;

    if (!budget_take(BUDGET_ARENA, bytes))
        return NULL;
    chunk = base_malloc(bytes);
    if (!chunk) {
        budget_give(BUDGET_ARENA, bytes);
        return NULL;
    }
    chunk->bytes = bytes;
    poison_memory(chunk + 1, bytes - sizeof *chunk);
    return chunk;
}

static void chunk_free(struct arena_chunk *chunk)
{
    size_t bytes = chunk->bytes;

    unpoison_memory(chunk, bytes);
    base_free(chunk);
    budget_give(BUDGET_ARENA, bytes);
}

/* One of the pool's two lists. */
struct pool_list {
    struct arena_chunk **free;
    unsigned *count, *low;
};

static struct pool_list pool_list(struct arena_pool *pool, size_t bytes)
{
    if (bytes == ARENA_CHUNK_BYTES)
        return (struct pool_list){ &pool->free, &pool->free_count, &pool->free_low };
    return (struct pool_list){ &pool->free_big, &pool->big_count, &pool->big_low };
}

static struct arena_chunk *list_take(struct pool_list list)
{
    struct arena_chunk *chunk = *list.free;

    if (!chunk)
        return NULL;
    *list.free = chunk->next;
    if (--*list.count < *list.low)
        *list.low = *list.count;
    return chunk;
}

static struct arena_chunk *pool_take(struct arena_pool *pool, size_t bytes)
{
    struct arena_chunk *chunk = pool ? list_take(pool_list(pool, bytes)) : NULL;

    return chunk ? chunk : chunk_new(bytes);
}

/* What is read there now is a mistake, and to look like one. */
static void chunk_spoil(void *memory, size_t bytes)
{
#ifdef WEIR_DEBUG
    unpoison_memory(memory, bytes);
    memset(memory, ARENA_SPOILT, bytes);
#else
    (void)memory;
    (void)bytes;
#endif
}

static void pool_give(struct arena_pool *pool, struct arena_chunk *chunk)
{
    struct pool_list list;

    chunk_spoil(chunk + 1, chunk->bytes - sizeof *chunk);
    if (!pool || (chunk->bytes != ARENA_CHUNK_BYTES && chunk->bytes != ARENA_BIG_BYTES)) {
        chunk_free(chunk);
        return;
    }
    list = pool_list(pool, chunk->bytes);
    if (*list.count >= pool->free_max) {
        chunk_free(chunk);
        return;
    }
    poison_memory(chunk + 1, chunk->bytes - sizeof *chunk);
    chunk->next = *list.free;
    *list.free = chunk;
    ++*list.count;
}

void arena_pool_init(struct arena_pool *pool, unsigned free_max)
{
    *pool = (struct arena_pool){ .free_max = free_max };
}

static void list_trim(struct pool_list list, unsigned surplus)
{
    while (surplus-- > 0)
        chunk_free(list_take(list));
    *list.low = *list.count;
}

void arena_pool_trim(struct arena_pool *pool)
{
    list_trim(pool_list(pool, ARENA_CHUNK_BYTES), (pool->free_low + 1) / 2);
    list_trim(pool_list(pool, ARENA_BIG_BYTES), (pool->big_low + 1) / 2);
}

void arena_pool_done(struct arena_pool *pool)
{
    if (!pool)
        return;
    list_trim(pool_list(pool, ARENA_CHUNK_BYTES), pool->free_count);
    list_trim(pool_list(pool, ARENA_BIG_BYTES), pool->big_count);
}

size_t arena_bytes(const struct arena *arena)
{
    size_t bytes = 0;

    for (const struct arena_chunk *chunk = arena->chunks; chunk; chunk = chunk->next)
        bytes += chunk->bytes;
    return bytes;
}

void arena_init(struct arena *arena, struct arena_pool *pool)
{
    *arena = (struct arena){ .pool = pool };
}

void arena_reset(struct arena *arena)
{
    struct arena_chunk *chunk = arena->chunks;

    arena->chunks = NULL;
    arena->at = arena->end = NULL;
    while (chunk) {
        struct arena_chunk *next = chunk->next;

        pool_give(arena->pool, chunk);
        chunk = next;
    }
}

/* A chunk for one large block; the current small chunk goes on being used. */
static void *alloc_large(struct arena *arena, size_t bytes)
{
    const size_t extra = sizeof(struct arena_chunk) + ARENA_ALIGN + ARENA_GAP;
    struct arena_chunk *chunk;
    size_t whole;

    if (bytes > SIZE_MAX - extra)
        return NULL;
    whole = (bytes + extra - 1) & ~(size_t)(ARENA_ALIGN - 1);
    chunk = whole <= ARENA_BIG_BYTES ? pool_take(arena->pool, ARENA_BIG_BYTES) : chunk_new(whole);
    if (!chunk)
        return NULL;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    unpoison_memory(chunk + 1, bytes);
    return chunk + 1;
}

void *arena_alloc_slow(struct arena *arena, size_t bytes)
{
    struct arena_chunk *chunk;

    bytes = bytes ? bytes : 1;
    if (bytes > ARENA_CHUNK_BYTES / 4)
        return alloc_large(arena, bytes);
    if ((size_t)(arena->end - arena->at) < bytes + ARENA_GAP) {
        chunk = pool_take(arena->pool, ARENA_CHUNK_BYTES);
        if (!chunk)
            return NULL;
        chunk->next = arena->chunks;
        arena->chunks = chunk;
        arena->at = (char *)(chunk + 1);
        arena->end = (char *)chunk + ARENA_CHUNK_BYTES;
    }
    return arena_alloc(arena, bytes);
}

void *arena_zalloc(struct arena *arena, size_t bytes)
{
    void *block = arena_alloc(arena, bytes);

    return block ? memset(block, 0, bytes) : NULL;
}

weir_str arena_dup(struct arena *arena, weir_str s)
{
    char *text;

    if (!s.ptr || s.len == SIZE_MAX)
        return weir_str_from(NULL, 0);
    text = arena_alloc(arena, s.len + 1);
    if (!text)
        return weir_str_from(NULL, 0);
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    return weir_str_from(text, s.len);
}

weir_str arena_vformat(struct arena *arena, const char *fmt, va_list args)
{
    size_t room = (size_t)(arena->end - arena->at);
    char *text = arena->at;
    va_list again;
    int len;

    /* Most texts fit the current chunk: print there first, then claim it. */
    va_copy(again, args);
    unpoison_memory(text, room);
    len = vsnprintf(text, room, fmt, again);
    va_end(again);
    poison_memory(text, room);
    if (len < 0)
        return weir_str_from(NULL, 0);
    if ((size_t)len + 1 + ARENA_GAP <= room)
        return weir_str_from(arena_alloc(arena, (size_t)len + 1), (size_t)len);

    text = arena_alloc(arena, (size_t)len + 1);
    if (!text)
        return weir_str_from(NULL, 0);
    vsnprintf(text, (size_t)len + 1, fmt, args);
    return weir_str_from(text, (size_t)len);
}

weir_str arena_format(struct arena *arena, const char *fmt, ...)
{
    va_list args;
    weir_str s;

    va_start(args, fmt);
    s = arena_vformat(arena, fmt, args);
    va_end(args);
    return s;
}
