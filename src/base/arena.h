/* Arenas: memory that is freed all at once.
 *
 * Chunks of 4 KiB come from a pool that each loop owns and go back to it; what
 * is larger than a quarter of a chunk gets a chunk of its own from the heap.
 * A warm exchange so never reaches the heap. An arena at rest holds nothing.
 *
 * Thread: an arena and its pool belong to one thread at a time. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include <weir/str.h>

#define ARENA_CHUNK_BYTES 4096

struct arena_chunk;

struct arena_pool {
    struct arena_chunk *free;
    unsigned free_count, free_max; /* chunks kept for reuse */
};

struct arena {
    struct arena_pool *pool;    /* NULL: chunks from the heap */
    struct arena_chunk *chunks; /* newest first */
    char *at, *end;             /* free part of the newest small chunk */
};

void arena_pool_init(struct arena_pool *pool, unsigned free_max);
void arena_pool_done(struct arena_pool *pool);

void arena_init(struct arena *arena, struct arena_pool *pool);
/* Give every chunk back; the arena is empty and usable again. */
void arena_reset(struct arena *arena);

/* Memory aligned to 16 bytes, not cleared; NULL without memory or budget. */
void *arena_alloc(struct arena *arena, size_t bytes);
void *arena_zalloc(struct arena *arena, size_t bytes);

/* Copies, terminated behind their end. A NULL pointer without memory. */
weir_str arena_dup(struct arena *arena, weir_str s);
weir_str arena_vformat(struct arena *arena, const char *fmt, va_list args);
WEIR_PRINTF(2, 3)
weir_str arena_format(struct arena *arena, const char *fmt, ...);

#endif
