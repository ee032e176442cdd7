/* See running.h. The structures are copied before they are looked at: a pointer in a
 * copy is only followed by another safe_read(). */
#include "ops/running.h"

#include <string.h>

#include "ops/safe_read.h"
#include "rt/loop.h"

#define SCOPES_MAX 32 /* of a path: a chain that is being changed may be a ring */

static void put_front(char *path, size_t *at, const char *text)
{
    size_t len = strlen(text);

    if (len > *at)
        len = *at;
    *at -= len;
    memcpy(path + *at, text, len);
}

/* The innermost scopes fit, if not all do. */
static void read_path(const struct scope *from, char *path, size_t size)
{
    size_t at = size - 1;
    struct scope scope;

    path[at] = '\0';
    for (int i = 0; i < SCOPES_MAX && from && at > 0 && safe_read(&scope, from, sizeof(scope));
         i++, from = scope.parent) {
        char name[INSPECT_NAME_BYTES];

        safe_read_text(name, sizeof(name), scope.name ? scope.name : scope.site);
        if (path[at])
            put_front(path, &at, " > ");
        put_front(path, &at, *name ? name : "scope");
    }
    memmove(path, path + at, size - at);
}

static void read_context(const weir_context *from, struct running *running)
{
    weir_context context;

    if (!from || !safe_read(&context, from, sizeof(context)))
        return;
    safe_read_slice(running->correlation_id, sizeof(running->correlation_id),
                    context.correlation_id);
    safe_read_slice(running->trace_id, sizeof(running->trace_id), context.trace_id);
    safe_read_slice(running->route, sizeof(running->route), context.route);
}

/* As task_name() has it. */
static void read_name(const struct task *task, struct running *running)
{
    struct task_extra extra;
    const char *space;

    if (task->extra && safe_read(&extra, task->extra, sizeof(extra)) && extra.name) {
        safe_read_text(running->name, sizeof(running->name), extra.name);
        return;
    }
    space = strchr(running->site, ' ');
    safe_read_text(running->name, sizeof(running->name), space ? space + 1 : running->site);
}

static void read_task(const struct fiber *fiber, struct running *running)
{
    struct scope scope;
    struct task task;

    if (!fiber->task || !safe_read(&task, fiber->task, sizeof(task)))
        return;
    running->handle = (weir_task){ task.head.slot, task.head.generation };
    safe_read_text(running->site, sizeof(running->site), task.site);
    read_name(&task, running);
    read_path(fiber->scope, running->path, sizeof(running->path));
    if (fiber->scope && safe_read(&scope, fiber->scope, sizeof(scope)))
        read_context(scope.context, running);
}

void running_read(const struct loop *loop, struct running *ret_running)
{
    struct fiber fiber, *current = NULL;
    weir_fn *call = NULL;

    memset(ret_running, 0, sizeof(*ret_running));
    safe_read(&ret_running->thread_high, &loop->stack_high, sizeof(char *));
    safe_read(&ret_running->stack_bytes, &loop->stacks.stack_bytes, sizeof(size_t));
    safe_read(&current, &loop->current, sizeof(current));
    ret_running->on_loop_stack = !current;
    if (!current && safe_read(&call, &loop->call_fn, sizeof(call)) && call)
        safe_read(&current, &loop->call_from, sizeof(current));
    if (!current || !safe_read(&fiber, current, sizeof(fiber)))
        return;
    ret_running->stack_low = fiber.stack_low;
    ret_running->stack_high = (const char *)current;
    read_task(&fiber, ret_running);
}
