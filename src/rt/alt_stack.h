/* Signals and the threads that the runtime starts.
 *
 * Handlers run on a stack of their own: a task's stack is small, and may be the very
 * thing that has overflowed. */
#ifndef RT_ALT_STACK_H
#define RT_ALT_STACK_H

#include <signal.h>
#include <stdbool.h>

#define ALT_STACK_BYTES 65536
/* Sent to a loop's thread by who wants to see what holds it up. Where nobody handles it,
 * it does nothing, and debuggers let it pass. */
#define ALT_LOOK_SIGNAL SIGURG

/* On the stack of a thread, from begin to end. */
struct alt_stack {
    bool ours;
    char bytes[ALT_STACK_BYTES];
};

/* Give the calling thread a stack for its handlers, unless it has one. */
void alt_stack_begin(struct alt_stack *stack);
void alt_stack_end(struct alt_stack *stack);

/* Block, for a thread about to be started, the signals that are for the first thread of
 * the process: all but those that a thread brings upon itself, which would end the
 * process without their handler, and ALT_LOOK_SIGNAL. */
void alt_stack_mask(sigset_t *ret_before);

#endif
