/* Working memory for parsing JSON, kept by each thread: a warm parse of an
 * ordinary message does not touch the heap.
 *
 * One parse at a time uses a thread's block; one inside another (a rule that
 * decodes something itself), and what does not fit, is served from the heap. No
 * wait may happen between begin and end. */
#ifndef TYPE_SCRATCH_H
#define TYPE_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

#include <yyjson.h>

#define SCRATCH_BYTES (192 * 1024)

struct scratch_block;

struct scratch {
    yyjson_alc alc; /* for yyjson; its context is this struct, which must not move */
    struct scratch_block *block; /* NULL: all from the heap */
};

void scratch_begin(struct scratch *scratch);
void *scratch_alloc(struct scratch *scratch, size_t bytes);
void scratch_free(struct scratch *scratch, void *memory);
/* All that was taken must have been freed, but for what lies in the block. */
void scratch_end(struct scratch *scratch);

/* Free this thread's block now; the thread's end does it otherwise. */
void scratch_thread_done(void);

#endif
