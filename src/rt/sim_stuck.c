/* Who waits for what, when a simulation can't go on: each loop's tree of scopes,
 * in the order in which its tasks were started. */
#include <stdio.h>

#include "rt/sim_state.h"

struct waits {
    struct sim *sim;
    char *first;
    size_t size;
};

__attribute__((format(printf, 2, 3))) static void trace_to(struct sim *sim, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    sim_vtrace(sim, fmt, args);
    va_end(args);
}

static void name_task(struct waits *waits, const struct task *task)
{
    const char *what = "its turn";
    char text[256];

    if (task->state == TASK_PARKED && task->fiber->wait)
        what = task->fiber->wait->what;
    else if (task->state == TASK_AWAY)
        what = "its end on another loop";
    else if (task->flags & TASK_IN_QUEUE)
        what = "a unit of a semaphore";
    snprintf(text, sizeof(text), "task \"%s\" (%s) waits: %s", task_name(task), task->site, what);
    trace_to(waits->sim, "loop %u: %s", task->scope->loop->index, text);
    if (*waits->first == '\0')
        snprintf(waits->first, waits->size, "%s", text);
}

static void name_scope(struct waits *waits, const struct scope *scope)
{
    list_each(n, &scope->tasks)
        name_task(waits, container_of(n, struct task, sibling));
    list_each(n, &scope->scopes)
        name_scope(waits, container_of(n, struct scope, sibling));
}

void sim_name_waits(struct sim *sim, char *first, size_t size)
{
    struct waits waits = { sim, first, size };

    *first = '\0';
    for (uint32_t i = 0; i < loop_count(); i++)
        name_scope(&waits, loop_at(i)->app);
}
