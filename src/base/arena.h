/* Arenas: memory that is freed all at once.
 *
 * Chunks of 4 KiB come from a pool that each loop owns and go back to it; what
 * does not fit the current chunk and is larger than a quarter of one gets a
 * chunk of its own, of 16 KiB out of the same pool if that does, else from the
 * heap. A warm exchange so never reaches the heap. An arena at rest holds nothing.
 *
 * Thread: an arena and its pool belong to one thread at a time. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include <weir/str.h>

#include "base/poison.h"

#define ARENA_CHUNK_BYTES 4096
#define ARENA_BIG_BYTES 16384
#define ARENA_ALIGN 16
/* Debug builds fill with it what an arena has given back. */
#define ARENA_SPOILT 0x5a
/* Under AddressSanitizer, bytes behind each block that nobody may touch. */
#define ARENA_GAP (POISON_ON ? ARENA_ALIGN : 0)

struct arena_chunk;

struct arena_pool {
    struct arena_chunk *free, *free_big;
    unsigned free_count, free_max; /* chunks kept for reuse, of each size */
    unsigned big_count;
    unsigned free_low, big_low; /* fewest since the last trim: not needed meanwhile */
};

struct arena {
    struct arena_pool *pool;    /* NULL: chunks from the heap */
    struct arena_chunk *chunks; /* newest first */
    char *at, *end;             /* free part of the newest small chunk */
};

void arena_pool_init(struct arena_pool *pool, unsigned free_max);
/* Free the chunks kept; arenas that use the pool must be reset before. */
void arena_pool_done(struct arena_pool *pool);

/* Give half of what was not needed since the last call back to the heap. */
void arena_pool_trim(struct arena_pool *pool);

void arena_init(struct arena *arena, struct arena_pool *pool);
/* Bytes of all its chunks. */
size_t arena_bytes(const struct arena *arena);
/* Give every chunk back; the arena is empty and usable again. */
void arena_reset(struct arena *arena);

/* What arena_alloc() does when the current chunk is too small. */
void *arena_alloc_slow(struct arena *arena, size_t bytes);

/* Memory aligned to 16 bytes, not cleared; NULL without memory or budget. */
static inline void *arena_alloc(struct arena *arena, size_t bytes)
{
    size_t room = (size_t)(arena->end - arena->at);
    char *block = arena->at;

    /* Room is a multiple of the alignment, so what fits also fits rounded up.
     * 0 bytes wrap around and are left to the slow path. */
    if (__builtin_expect(bytes - 1 >= room || bytes + ARENA_GAP > room, 0))
        return arena_alloc_slow(arena, bytes);
    arena->at += ((bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1)) + ARENA_GAP;
    unpoison_memory(block, bytes);
    return block;
}

void *arena_zalloc(struct arena *arena, size_t bytes);

/* Copies, terminated behind their end. A NULL pointer without memory, and for a
 * slice whose pointer is NULL. */
weir_str arena_dup(struct arena *arena, weir_str s);
weir_str arena_vformat(struct arena *arena, const char *fmt, va_list args);
WEIR_PRINTF(2, 3) weir_str arena_format(struct arena *arena, const char *fmt, ...);

#endif
