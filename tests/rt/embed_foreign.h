/* A foreign loop that turns weir's, for test_embed.c. */
#ifndef TESTS_EMBED_FOREIGN_H
#define TESTS_EMBED_FOREIGN_H

#include <stdint.h>

struct embed_stats {
    uint32_t steps;
    uint32_t ticks; /* of a timer of its own, every 5 ms */
};

/* Turn until the loop has ended. */
void turn_in_uv(struct embed_stats *ret_stats);

#endif
