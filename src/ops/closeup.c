/* One task, looked at closely; see closeup.h. */
#include "ops/closeup.h"

#include <stdio.h>
#include <string.h>

#include "ops/ask.h"

#define ANSWER_MS 1000

static bool closeup_step(struct loop *loop, void *state)
{
    struct closeup *closeup = state;
    const struct task *task = slab_find(&loop->tasks, closeup->task.slot, closeup->task.generation);

    if (!task || (task->state != TASK_PARKED && task->state != TASK_READY))
        return true;
    inspect_task(loop, task, &closeup->seen);
    closeup->held_count = task->fiber->held_named;
    memcpy(closeup->held, task->fiber->held, sizeof(closeup->held));
    closeup->found = stack_copy_task(&closeup->stack, &closeup->seen);
    return true;
}

struct closeup *closeup_of(uint32_t loop, weir_task task)
{
    struct closeup *closeup = base_calloc(1, sizeof(*closeup));

    if (!closeup)
        return NULL;
    closeup->task = task;
    if (ask_loop(loop, closeup_step, closeup, NULL, ANSWER_MS) < 0)
        return NULL;
    if (closeup->found)
        return closeup;
    base_free(closeup);
    return NULL;
}

size_t closeup_print(const struct closeup *closeup, char *text, size_t size)
{
    const struct inspect_task *seen = &closeup->seen;
    int len = snprintf(text, size, "%s (%s), loop %u, in %s: %s%s", seen->name, seen->site,
                       seen->loop, seen->path, seen->what ? "waits for: " : "is ready to go on",
                       seen->what ? seen->what : "");
    size_t at = len < 0 ? 0 : (size_t)len < size ? (size_t)len : size - 1;

    if (seen->what && at < size) {
        len = snprintf(text + at, size - at, ", for %.1f s", (double)seen->waited_ns / 1e9);
        at += len > 0 && (size_t)len < size - at ? (size_t)len : 0;
    }
    if (seen->left_ns != INT64_MAX && at < size) {
        len = snprintf(text + at, size - at, " (its deadline passes in %.1f s)",
                       (double)seen->left_ns / 1e9);
        at += len > 0 && (size_t)len < size - at ? (size_t)len : 0;
    }
    if (at + 2 >= size)
        return at;
    text[at++] = '\n';
    return at + stack_print(&closeup->stack, text + at, size - at);
}
