/* Monotonic time as a type, so that it is never mixed up with a duration or
 * with the wall clock. Only differences mean anything. */
#ifndef WEIR_TIME_H
#define WEIR_TIME_H

#include <stdint.h>

#include <weir/export.h>

WEIR_BEGIN

typedef struct weir_time {
    int64_t ns;
} weir_time;

/* Later than any time that comes. */
#define WEIR_NEVER_NS INT64_MAX

static inline weir_time weir_time_after_ns(weir_time t, int64_t ns)
{
    weir_time r;

    r.ns = ns > WEIR_NEVER_NS - t.ns ? WEIR_NEVER_NS : t.ns + ns;
    return r;
}

static inline int64_t weir_time_since_ns(weir_time later, weir_time earlier)
{
    return later.ns - earlier.ns;
}

/* The current time: in a task the turn's cached time (virtual in a simulation),
 * outside one CLOCK_MONOTONIC.
 *
 * Checkpoint: never.
 * Returns:    the time.
 * Ownership:  takes nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API weir_time weir_now(void);

WEIR_END

#endif
