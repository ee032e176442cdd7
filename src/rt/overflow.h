/* A debug build names the task whose stack has overflowed into its guard page. */
#ifndef RT_OVERFLOW_H
#define RT_OVERFLOW_H

#include <signal.h>
#include <stdbool.h>

#define OVERFLOW_STACK_BYTES 32768

/* On the stack of a thread that turns a loop, while it does. */
struct overflow_watch {
#ifdef WEIR_DEBUG
    bool on;
    stack_t before;
    char stack[OVERFLOW_STACK_BYTES]; /* the handler's: the task's own is used up */
#else
    char unused;
#endif
};

#ifdef WEIR_DEBUG
void overflow_watch_begin(struct overflow_watch *watch);
void overflow_watch_end(struct overflow_watch *watch);
#else
static inline void overflow_watch_begin(struct overflow_watch *watch)
{
    (void)watch;
}

static inline void overflow_watch_end(struct overflow_watch *watch)
{
    (void)watch;
}
#endif

#endif
