/* What a loop runs at this moment, seen from outside of it: from a signal handler, or
 * another thread. Nothing is trusted, as the loop goes on meanwhile, or has crashed. */
#ifndef OPS_RUNNING_H
#define OPS_RUNNING_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/scope.h>

#include "rt/inspect.h"

#define RUNNING_SITE_BYTES 128

struct running {
    weir_task handle;   /* slot 0: no task's code */
    bool on_loop_stack; /* a callback, or a task's call of weir_on_loop_stack() */
    char name[INSPECT_NAME_BYTES], site[RUNNING_SITE_BYTES], path[INSPECT_PATH_BYTES];
    char correlation_id[INSPECT_ID_BYTES], trace_id[INSPECT_ID_BYTES];
    char route[INSPECT_ROUTE_BYTES];
    const char *stack_low, *stack_high; /* the task's; NULL: it has none here */
    size_t stack_bytes;
    const char *thread_high;            /* where the loop's own stack ends */
};

/* Async-signal-safe; loop may be anything. */
void running_read(const struct loop *loop, struct running *ret_running);

#endif
