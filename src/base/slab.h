/* Slabs: objects of one size, addressed by pointer or by (slot, generation).
 *
 * Each object begins with a struct slab_head that the slab fills. An object's
 * generation changes when it is freed, so a handle to an object that is gone is
 * told from one that is there. Chunks are never given back before the end:
 * a look-up reads memory that is always mapped.
 *
 * Thread: one. */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>

#include "base/budget.h"

struct slab_head {
    uint32_t slot;       /* 1 and up; 0 is no object */
    uint32_t generation; /* odd while in use, even while free */
};

struct slab {
    size_t object_bytes;
    uint32_t per_chunk_log2;
    enum budget_kind kind;
    char **chunks;
    uint32_t chunk_count, chunk_room;
    uint32_t used;
    struct slab_head *free; /* linked through the word behind the head */
};

void slab_init(struct slab *slab, size_t object_bytes, enum budget_kind kind);
/* Free the chunks; objects still in use go with them. */
void slab_done(struct slab *slab);

/* Not cleared but for its head; NULL without memory or budget. */
void *slab_alloc(struct slab *slab);
void slab_free(struct slab *slab, void *object);
/* The object, or NULL when the handle is stale. */
void *slab_find(const struct slab *slab, uint32_t slot, uint32_t generation);

#endif
