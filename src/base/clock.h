/* CLOCK_MONOTONIC and the wall clock, in nanoseconds. Only the runtime's
 * backends and the log read them; all else is told the time. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

int64_t clock_monotonic_ns(void);
int64_t clock_wall_ns(void); /* since 1970-01-01T00:00:00Z */

#endif
