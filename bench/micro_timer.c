/* Timers: a million pending, and one of them, at random, moved to another time: set and
 * cancelled as the deadlines of a busy server's connections are. CPU time. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <weir/run.h>
#include <weir/scope.h>

#include "rt/loop.h"

#define PENDING 1000000
#define PAIRS 10000000
#define FEW 1000
#define SPREAD_NS INT64_C(60000000000)

static uint64_t seed = 88172645463325252u;
static struct timer *timers;

static uint64_t next_random(void)
{
    seed ^= seed << 13; /* xorshift (Marsaglia, 2003) */
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static double cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void fire(struct timer *timer)
{
    (void)timer;
}

/* In a minute at the most, in ten seconds at the least: none comes due meanwhile. */
static int64_t some_time(struct loop *loop)
{
    return loop->now_ns + 10000000000 + (int64_t)(next_random() % SPREAD_NS);
}

static double pairs_of(struct loop *loop, uint32_t pending)
{
    double began;

    for (uint32_t i = 0; i < pending; i++)
        timer_set(loop, &timers[i], some_time(loop));
    began = cpu_ns();
    for (uint32_t i = 0; i < PAIRS; i++) {
        struct timer *timer = &timers[next_random() % pending];

        timer_clear(loop, timer);
        timer_set(loop, timer, some_time(loop));
    }
    began = cpu_ns() - began;
    for (uint32_t i = 0; i < pending; i++)
        timer_clear(loop, &timers[i]);
    return began / PAIRS;
}

static int measure(void *arg)
{
    struct loop *loop = loop_self();

    (void)arg;
    timers = aligned_alloc(64, PENDING * sizeof(*timers)); /* as in the slabs they stand in */
    if (!timers)
        return -ENOMEM;
    for (uint32_t i = 0; i < PENDING; i++)
        timer_init(&timers[i], fire);
    printf("{\"name\":\"timer_few\",\"value\":%.3f,\"unit\":\"ns\"}\n", pairs_of(loop, FEW));
    printf("{\"name\":\"timer_million\",\"value\":%.3f,\"unit\":\"ns\"}\n",
           pairs_of(loop, PENDING));
    free(timers);
    return 0;
}

int main(void)
{
    return weir_run(measure, NULL, .loops = 1) < 0;
}
