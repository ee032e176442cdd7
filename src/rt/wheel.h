/* A hierarchical timer wheel: six levels of 64 slots, a tick of 1 ms.
 *
 * Setting and clearing are a few instructions and one list operation. A timer
 * moves down a level when its turn comes near; most are cleared long before.
 * Bitmaps of the slots in use give the next time that anything must happen. */
#ifndef RT_WHEEL_H
#define RT_WHEEL_H

#include <stdint.h>

#include "base/list.h"

#define WHEEL_LEVELS 6
#define WHEEL_SLOTS 64
#define WHEEL_TICK_NS 1000000

struct timer;

struct wheel {
    uint64_t tick; /* all timers up to here have fired */
    uint64_t used[WHEEL_LEVELS];
    struct node slots[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *wheel, int64_t now_ns);
/* Fire what is due at now_ns. */
void wheel_advance(struct wheel *wheel, int64_t now_ns);
/* The earliest time at which wheel_advance may have something to do, or
 * WEIR_NEVER_NS. */
int64_t wheel_next_ns(const struct wheel *wheel);

#endif
