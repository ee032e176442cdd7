/* Random numbers of a loop: xorshift64* (Vigna, 2016), not for secrets. */
#ifndef RT_RANDOM_H
#define RT_RANDOM_H

#include <stdint.h>
#include <sys/random.h>

#include "base/clock.h"

static inline uint64_t random_seed(void)
{
    uint64_t seed;

    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
        seed = (uint64_t)clock_monotonic_ns();
    return seed | 1;
}

static inline uint64_t random_next(uint64_t *state)
{
    uint64_t x = *state;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545f4914f6cdd1dull;
}

#endif
