/* A debug build names the task whose stack has overflowed into its guard page. */
#ifndef RT_OVERFLOW_H
#define RT_OVERFLOW_H

#include <signal.h>
#include <stdbool.h>

#ifdef WEIR_DEBUG
/* On each thread that turns a loop: it needs an alternate stack (alt_stack.h). */
void overflow_watch(void);
/* Is this the handler that overflow_watch() has installed? Who says more may replace it. */
bool overflow_handles(const struct sigaction *action);
#else
static inline void overflow_watch(void)
{
}

static inline bool overflow_handles(const struct sigaction *action)
{
    (void)action;
    return false;
}
#endif

#endif
