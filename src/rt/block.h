/* Blocking calls for the layers above, beyond weir/block.h. */
#ifndef RT_BLOCK_H
#define RT_BLOCK_H

#include <stdatomic.h>

#include <weir/block.h>

struct wait;

/* For what ends something: no cancel ends the wait, and where the pool has no room
 * fn runs here. */
int block_call_shielded(weir_threads *pool, weir_fn *fn, void *arg, const char *name);

/* A call that a task waits for (kind WAIT_BLOCK), on its loop. */
struct block_look {
    const void *pool, *calls; /* calls: what its thread waits for; see struct block_job */
    const char *name;         /* the pool's */
    uint32_t threads_max;
    bool started;
};
void block_look(const struct wait *wait, struct block_look *ret_look);

/* Who is told of each call's time in the queue, on any thread; set once. *place is the observer's own, one for each pool. */
void threads_on_queued(void (*observe)(void *_Atomic *place, const char *pool, int64_t queued_ns));

#endif
