/* Random numbers for tests: one seed, printed, gives the same run again.
 *
 * Add ../support/random.c to the sources of the test. The seed comes from the
 * environment variable WEIR_TEST_SEED, or from the clock. */
#ifndef SUPPORT_RANDOM_H
#define SUPPORT_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state;
};

/* Begin, and print how to run the same again. */
void random_begin(struct random *random);
uint64_t random_next(struct random *random);
/* A number from 0 to bound - 1. */
uint32_t random_below(struct random *random, uint32_t bound);

#endif
