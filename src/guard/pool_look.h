/* What a loop's pools hold, and for whom: for whoever looks, on the loop's own thread. */
#ifndef GUARD_POOL_LOOK_H
#define GUARD_POOL_LOOK_H

#include <weir/guard.h>

struct loop;

#define POOL_LOOK_POOLS 32
#define POOL_LOOK_HOLDERS 8
#define POOL_LOOK_NAME_BYTES 64

/* A pool's part on one loop. */
struct pool_look {
    const void *pool;             /* which: only to be compared */
    char name[POOL_LOOK_NAME_BYTES];
    uint32_t max, max_waiting, waiting; /* of the whole pool */
    uint32_t held, idle;
    uint64_t acquired, reused, failed, closed, waits, waited_ns;
    uint32_t holder_count;
    struct {
        weir_task task;           /* it took the lease; may have ended */
        int64_t age_ns;
    } holders[POOL_LOOK_HOLDERS]; /* the oldest */
};

struct pools_look {
    uint32_t count;
    struct pool_look pools[POOL_LOOK_POOLS];
};

/* The leases of this loop, at most so many, of pools that tasks wait for: who took each, and
 * the semaphore that those who want one wait on. */
void pools_leases(struct loop *loop, uint32_t max,
                  void (*each)(void *arg, weir_task task, const void *permits), void *arg);
/* All that the loop has used. */
void pools_look(struct loop *loop, struct pools_look *ret_look);

#endif
