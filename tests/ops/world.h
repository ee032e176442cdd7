/* A runtime of one loop on a thread of its own, so that the test can ask from outside. */
#ifndef OPS_WORLD_H
#define OPS_WORLD_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "support/in_task.h"

static struct {
    pthread_t thread;
    weir_fn *fn;
    atomic_bool ready, over;
} world;

static inline int sleeper(void *arg)
{
    (void)arg;
    return weir_sleep_ms(600000);
}

/* The test may ask; when it is over, what runs in s is ended. */
static inline int wait_for_end(weir_scope s)
{
    atomic_store(&world.ready, true);
    while (!atomic_load(&world.over))
        CHECK_INT(weir_sleep_ms(1), 0);
    weir_cancel(s);
    CHECK_INT(weir_join(s), -ECANCELED);
    return 0;
}

/* Does not let the loop turn meanwhile. */
static inline int held_up(void *arg)
{
    (void)arg;
    atomic_store(&world.ready, true);
    while (!atomic_load(&world.over))
        ;
    return weir_yield();
}

static inline void *world_run(void *arg)
{
    (void)arg;
    CHECK_INT(weir_run(world.fn, NULL, .loops = 1, .grace_ms = 200), 0);
    return NULL;
}

/* run calls weir_run() with what sets world.ready. */
static inline void world_start_as(void *(*run)(void *arg))
{
    atomic_store(&world.ready, false);
    atomic_store(&world.over, false);
    assert_int_equal(pthread_create(&world.thread, NULL, run, NULL), 0);
    while (!atomic_load(&world.ready))
        sched_yield();
}

static inline void world_start(weir_fn *fn)
{
    world.fn = fn;
    world_start_as(world_run);
}

static inline void world_stop(void)
{
    atomic_store(&world.over, true);
    pthread_join(world.thread, NULL);
}

#endif
