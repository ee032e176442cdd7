/* What a tick is worth; see ticks.h.
 *
 * The first caller notes both clocks; the rate is what both have gained since. Two
 * threads may note at once: each note is whole, and either serves. */
#include "base/ticks.h"

#include <pthread.h>

#include "base/clock.h"

#define TICKS_SETTLE_NS 1000000

static struct {
    pthread_once_t once;
    uint64_t ticks;
    int64_t ns;
} origin = { .once = PTHREAD_ONCE_INIT };

static void note_origin(void)
{
    origin.ns = clock_monotonic_ns();
    origin.ticks = ticks_now();
}

double ticks_per_second(void)
{
    uint64_t ticks;
    int64_t ns;

    pthread_once(&origin.once, note_origin);
    do {
        ns = clock_monotonic_ns();
        ticks = ticks_now();
    } while (ns - origin.ns < TICKS_SETTLE_NS);
    return (double)(ticks - origin.ticks) * 1e9 / (double)(ns - origin.ns);
}

uint64_t ticks_to_ns(uint64_t ticks)
{
    return (uint64_t)((double)ticks * 1e9 / ticks_per_second());
}
