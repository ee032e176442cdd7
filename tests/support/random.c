/* SplitMix64 (Steele, Lea and Flood, 2014): one word of state, any seed is good. */
#include "support/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

void random_begin(struct random *random)
{
    const char *given = getenv("WEIR_TEST_SEED");

    random->state = given ? strtoull(given, NULL, 0) : (uint64_t)clock_monotonic_ns();
    fprintf(stderr, "to repeat: WEIR_TEST_SEED=%" PRIu64 "\n", random->state);
}

uint64_t random_next(struct random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint32_t random_below(struct random *random, uint32_t bound)
{
    return (uint32_t)((random_next(random) >> 32) * bound >> 32);
}
