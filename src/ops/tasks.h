/* Looking at all tasks of a loop from outside of it. */
#ifndef OPS_TASKS_H
#define OPS_TASKS_H

#include <stdint.h>

#include "base/strbuf.h"
#include "ops/stack.h"
#include "rt/inspect.h"
#include "rt/loop.h"

#define TASKS_ANSWER_MS 500 /* a loop that has not answered by then is held up */
#define TASKS_SITE_BYTES 128

/* Show every task of a loop, in short steps of the loop: those that start or end
 * meanwhile are shown or not, each at most once. visit runs in the caller's thread; false
 * ends the walk. 0, -ETIMEDOUT, -ECANCELED or -ENOMEM, as ask_loop(). Any thread; on a loop's
 * own it looks at once. */
int tasks_walk(uint32_t loop, bool (*visit)(void *arg, const struct inspect_task *task), void *arg);

/* One task, with a copy of its stack: stack.len is 0 when it has none to be copied. Freed
 * with base_free(). -ESRCH: it is not there any more. */
struct task_view {
    struct inspect_task task;
    char on[192];            /* the name of what it waits on; "": it has none */
    uint8_t held_count;
    struct held_lock held[HELD_NAMED];
    size_t stack_deep_bytes; /* touched since the stack is in use; 0: not known */
    struct stack_copy stack;
};
int tasks_view(uint32_t loop, weir_task handle, struct task_view **ret_view);
/* As text: a line that says what and where it is and what it waits for, and its stack.
 * Returns the length; what does not fit is cut off. */
size_t tasks_print(const struct task_view *view, char *text, size_t size);

/* A loop as JSON: its number, whether it answered, and if not, who holds it. */
void tasks_add_loop(struct strbuf *out, uint32_t loop, int rc);
/* Where a lock was taken: "bank.c:12 transfer". */
void tasks_name_place(const void *taken_at, char *text, size_t size);
/* A member of a JSON object, with the comma in front: ,"name":"value". */
void tasks_add_member(struct strbuf *out, const char *name, const char *value);

#endif
