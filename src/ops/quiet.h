/* Loops that have nothing new to tell: since they were asked last, none of their tasks has
 * run. One that is parked need not be woken to say the same again. */
#ifndef OPS_QUIET_H
#define OPS_QUIET_H

#include <stdbool.h>
#include <stdint.h>

/* How far the loop was; zeroed before its first use. */
struct quiet {
    uint32_t run; /* of the runtime */
    uint32_t pushed, background; /* tasks that have become ready */
};

/* Has the loop stood still since the call before it with this mark, and does it now? What it
 * does from here on the next call sees. Any thread. */
bool quiet_since(uint32_t loop, struct quiet *mark);

#endif
