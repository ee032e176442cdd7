/* One task, looked at closely: what it does, with its stack and the locks it holds. */
#ifndef OPS_CLOSEUP_H
#define OPS_CLOSEUP_H

#include <stddef.h>
#include <stdint.h>

#include "ops/stack.h"
#include "rt/loop.h"

struct closeup {
    weir_task task;
    bool found;     /* set by the loop: it stands in a wait, or is ready to go on */
    struct inspect_task seen;
    struct held_lock held[HELD_NAMED];
    uint8_t held_count;
    struct stack_copy stack;
};

/* From an operator's thread. NULL: it has ended, has no stack yet, or its loop does not
 * answer. Ownership: the caller frees it with base_free(). */
struct closeup *closeup_of(uint32_t loop, weir_task task);
/* Its line, and its stack on further ones. Returns the length. */
size_t closeup_print(const struct closeup *closeup, char *text, size_t size);

#endif
