/* How the runtime's structures lie in memory, for a reader that is another process: a
 * debugger's script, or `weir ps --raw`, which look at a program that can't answer.
 *
 * Such a reader finds the layout by its magic in what is mapped from the program's or the
 * library's file, and knows it for the one when self is the address it was found at. */
#ifndef RT_RAW_H
#define RT_RAW_H

#include <stdint.h>

#define RAW_MAGIC "weir-raw-layout" /* 16 bytes with its end */
#define RAW_VERSION 1

struct raw_layout {
    char magic[16];
    uint32_t version, bytes;        /* of this structure */
    const struct raw_layout *self;
    const void *const *places; /* two: of the pointer to the loops, and of their number */
    uint32_t loop_bytes, loop_index, loop_now_ns, loop_current, loop_tasks, loop_began;
    uint32_t slab_object_bytes, slab_per_chunk_log2, slab_chunks, slab_chunk_count;
    uint32_t task_slot, task_generation, task_scope, task_fiber, task_begun_ns, task_site;
    uint32_t task_extra, task_state, extra_name;
    uint32_t fiber_bytes, fiber_sp, fiber_task, fiber_wait;
    uint32_t wait_what, wait_object, wait_since_ns;
    uint32_t scope_parent, scope_name, scope_site, scope_deadline_ns, scope_cancel_code;
    uint32_t state_queued, state_ready, state_running, state_parked, state_away, state_ended;
};

extern const struct raw_layout raw_layout;
/* run.c: where the pointer to the loops and their number stand. */
extern const void *const runtime_places[2];

#endif
