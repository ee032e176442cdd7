/* Slabs: objects of one size, addressed by pointer or by (slot, generation).
 *
 * Each object begins with a struct slab_head that the slab fills. An object's
 * generation changes when it is freed, so a handle to an object that is gone is
 * told from one that is there. Chunks are never given back before the end:
 * a look-up reads memory that is always mapped.
 *
 * Objects are aligned to 16 bytes, and to 64 when their size is a multiple of it.
 *
 * Thread: one. */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>

#include "base/budget.h"
#include "base/poison.h"

struct slab_head {
    uint32_t slot;       /* 1 and up; 0 is no object */
    uint32_t generation; /* odd while in use, even while free */
};

/* A free object's head and the link behind it. */
struct slab_free_object {
    struct slab_head head;
    struct slab_free_object *next;
};

struct slab {
    size_t object_bytes;
    uint32_t per_chunk_log2;
    enum budget_kind kind;
    char **chunks;
    uint32_t chunk_count, chunk_room;
    uint32_t used;
    uint32_t generation; /* of fresh objects; even */
    struct slab_head *free; /* linked through the word behind the head */
};

/* object_bytes counts the head in and is rounded up to a multiple of 16. */
void slab_init(struct slab *slab, size_t object_bytes, enum budget_kind kind);
/* Free the chunks; objects still in use go with them. */
void slab_done(struct slab *slab);

/* Add a chunk of free objects; 0 or -ENOMEM (no memory, no budget, no slots). */
int slab_grow(struct slab *slab);
/* Say that object was freed twice, or is not one, and stop. */
_Noreturn void slab_wrong_free(const struct slab *slab, const void *object);

/* Not cleared but for its head; NULL without memory or budget. */
static inline void *slab_alloc(struct slab *slab)
{
    struct slab_free_object *object;

    if (__builtin_expect(!slab->free, 0) && slab_grow(slab) < 0)
        return NULL;
    object = (struct slab_free_object *)slab->free;
    unpoison_memory(object, slab->object_bytes);
    slab->free = (struct slab_head *)object->next;
    slab->used++;
    object->head.generation++;
    return object;
}

static inline void slab_free(struct slab *slab, void *object)
{
    struct slab_free_object *gone = object;

#ifdef WEIR_DEBUG
    if (!(gone->head.generation & 1))
        slab_wrong_free(slab, object);
#endif
    gone->head.generation++;
    gone->next = (struct slab_free_object *)slab->free;
    slab->free = &gone->head;
    slab->used--;
    /* Not the head: look-ups with stale handles read it. */
    poison_memory((char *)object + sizeof(struct slab_head),
                  slab->object_bytes - sizeof(struct slab_head));
}

/* The object, or NULL when the handle is stale. */
static inline void *slab_find(const struct slab *slab, uint32_t slot, uint32_t generation)
{
    uint32_t at = slot - 1; /* slot 0 becomes one that no chunk has */
    uint32_t chunk = at >> slab->per_chunk_log2;
    struct slab_head *head;

    if (chunk >= slab->chunk_count)
        return NULL;
    at &= (UINT32_C(1) << slab->per_chunk_log2) - 1;
    head = (struct slab_head *)(slab->chunks[chunk] + at * slab->object_bytes);
    return head->generation == generation && (generation & 1) ? head : NULL;
}

#endif
