/* The slow paths of slabs; see slab.h.
 *
 * A chunk holds a power of two of objects, about 64 KiB of them, so that a slot
 * becomes an address by a shift and a multiplication. The table of chunks grows
 * by doubling; the chunks themselves never move.
 *
 * Invariants: used plus the length of the free list is chunk_count << per_chunk_log2;
 * a free object is poisoned but for its head. */
#include "base/slab.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define SLAB_CHUNK_BYTES ((size_t)64 * 1024)
#define SLAB_PER_CHUNK_LOG2_MIN 2
#define SLAB_SLOTS_MAX (UINT32_C(1) << 31)

static size_t chunk_bytes(const struct slab *slab)
{
    return slab->object_bytes << slab->per_chunk_log2;
}

void slab_init(struct slab *slab, size_t object_bytes, enum budget_kind kind)
{
    uint32_t log2 = SLAB_PER_CHUNK_LOG2_MIN;

    if (object_bytes < sizeof(struct slab_free_object))
        object_bytes = sizeof(struct slab_free_object);
    object_bytes = (object_bytes + 15) & ~(size_t)15;
    while (object_bytes << (log2 + 1) <= SLAB_CHUNK_BYTES)
        log2++;
    *slab = (struct slab){ .object_bytes = object_bytes, .per_chunk_log2 = log2, .kind = kind };
}

void slab_done(struct slab *slab)
{
    if (!slab || slab->object_bytes == 0)
        return;
    for (uint32_t i = 0; i < slab->chunk_count; i++) {
        unpoison_memory(slab->chunks[i], chunk_bytes(slab));
        base_free(slab->chunks[i]);
        budget_give(slab->kind, chunk_bytes(slab));
    }
    base_free(slab->chunks);
    slab->chunks = NULL;
    slab->free = NULL;
    slab->chunk_count = slab->chunk_room = slab->used = 0;
}

static int reserve_chunk(struct slab *slab)
{
    uint32_t room = slab->chunk_room ? slab->chunk_room * 2 : 8;
    char **chunks;

    if (slab->chunk_count < slab->chunk_room)
        return 0;
    chunks = base_realloc(slab->chunks, room * sizeof *chunks);
    if (!chunks)
        return -ENOMEM;
    slab->chunks = chunks;
    slab->chunk_room = room;
    return 0;
}

/* Link the objects of a fresh chunk so that they are handed out in order. */
static void chunk_link(struct slab *slab, char *chunk)
{
    uint32_t per_chunk = UINT32_C(1) << slab->per_chunk_log2;
    uint32_t slot = (slab->chunk_count << slab->per_chunk_log2) + 1;
    struct slab_free_object *next = (struct slab_free_object *)slab->free;

    for (uint32_t i = per_chunk; i-- > 0;) {
        struct slab_free_object *object = (void *)(chunk + i * slab->object_bytes);

        object->head = (struct slab_head){ .slot = slot + i, .generation = slab->generation };
        object->next = next;
        next = object;
        poison_memory((char *)object + sizeof object->head,
                      slab->object_bytes - sizeof object->head);
    }
    slab->free = &next->head;
}

int slab_grow(struct slab *slab)
{
    size_t bytes = chunk_bytes(slab);
    char *chunk;

    if (slab->chunk_count >= SLAB_SLOTS_MAX >> slab->per_chunk_log2)
        return -ENOMEM;
    if (reserve_chunk(slab) < 0 || !budget_take(slab->kind, bytes))
        return -ENOMEM;
    chunk = base_aligned(64, bytes);
    if (!chunk) {
        budget_give(slab->kind, bytes);
        return -ENOMEM;
    }
    chunk_link(slab, chunk);
    slab->chunks[slab->chunk_count++] = chunk;
    return 0;
}

_Noreturn void slab_wrong_free(const struct slab *slab, const void *object)
{
    fprintf(stderr, "weir: wrong use: an object of %zu bytes at %p is freed, but is not in use\n",
            slab->object_bytes, object);
    abort();
}
