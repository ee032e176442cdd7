/* Copying what is known of a task; see inspect.h. */
#include "rt/inspect.h"

#include <stdio.h>
#include <string.h>

#include "rt/alone.h"
#include "rt/chan.h"
#include "rt/lives.h"
#include "rt/loop.h"

#define SUSPECT_NS (INT64_C(10) * 1000000000) /* none is suspect for its age before */
#define SUSPECT_TIMES 20

const struct task *inspect_next(const struct loop *loop, uint32_t *cursor)
{
    return inspect_next_until(loop, cursor, UINT32_MAX);
}

bool inspect_at_end(const struct loop *loop, uint32_t cursor)
{
    return cursor >> loop->tasks.per_chunk_log2 >= loop->tasks.chunk_count;
}

const struct task *inspect_next_until(const struct loop *loop, uint32_t *cursor, uint32_t until)
{
    const struct slab *slab = &loop->tasks;
    uint32_t per_chunk = UINT32_C(1) << slab->per_chunk_log2;

    for (; *cursor < until && *cursor / per_chunk < slab->chunk_count; (*cursor)++) {
        const char *chunk = slab->chunks[*cursor / per_chunk];
        const void *object = chunk + *cursor % per_chunk * slab->object_bytes;

        if (((const struct slab_head *)object)->generation & 1) {
            (*cursor)++;
            return object;
        }
    }
    return NULL;
}

uint32_t inspect_count(const struct loop *loop)
{
    return loop->tasks.used;
}

static void copy_slice(char *to, size_t size, weir_str from)
{
    size_t len = from.len < size ? from.len : size - 1;

    if (len > 0)
        memcpy(to, from.ptr, len);
    to[len] = '\0';
}

/* The scopes from the outermost on; when there is no room for all, the innermost ones
 * behind "...". */
void inspect_path(const struct scope *scope, char *path, size_t size)
{
    size_t at = size - 1;

    path[at] = '\0';
    for (; scope; scope = scope->parent) {
        const char *name = scope->name ? scope->name : scope->site ? scope->site : "scope";
        size_t len = strlen(name), gap = path[at] ? 3 : 0;

        if (len + gap + 4 > at) {
            at -= 4;
            memcpy(path + at, "... ", 4);
            break;
        }
        if (gap)
            memcpy(path + at - gap, " > ", gap);
        at -= gap + len;
        memcpy(path + at, name, len);
    }
    memmove(path, path + at, size - at);
}

static const char *suspicion(const struct task *task)
{
    const weir_chan *chan = alone_waits_at(task, INT64_MAX);

    return chan && chan->alone ? "nobody is left to wake it" : NULL;
}

/* Its age, when it is far beyond what its kind's have been. */
static void judge_age(const struct loop *loop, const struct fiber *fiber, struct inspect_task *task)
{
    int64_t usual_ns = lives_usual_ns(loop, fiber->task->site);

    if (task->suspect || usual_ns < 0 || task->age_ns <= SUSPECT_NS ||
        task->age_ns / SUSPECT_TIMES <= usual_ns)
        return;
    task->suspect = "much older than its kind's usual life";
    task->usual_ns = usual_ns > 0 ? usual_ns : 1;
}

/* What only a task with a stack has. */
static void write_fiber(const struct loop *loop, const struct fiber *fiber,
                        struct inspect_task *task)
{
    const struct wait *wait = fiber->wait;

    task->age_ns = loop->now_ns - fiber->task->begun_ns;
    task->stack_low = fiber->stack_low;
    task->stack_high = (const char *)fiber;
    task->locks_held = fiber->locks_held;
    if (task->state != INSPECT_RUNNING)
        task->stack_pointer = fiber->context.sp;
    if (task->state == INSPECT_PARKED && wait) {
        task->what = wait->what;
        task->object = wait->object;
        task->since_ns = wait->since_ns;
        task->waited_ns = loop->now_ns - wait->since_ns;
        task->suspect = suspicion(fiber->task);
    }
    judge_age(loop, fiber, task);
}

void inspect_task(const struct loop *loop, const struct task *task, struct inspect_task *ret_task)
{
    const struct scope *scope = task->scope;
    const weir_context *context = scope->context;

    memset(ret_task, 0, sizeof(*ret_task));
    ret_task->handle = task_handle(task);
    ret_task->loop = loop->index;
    ret_task->state = (enum inspect_state)task->state;
    ret_task->site = task->site ? task->site : "";
    snprintf(ret_task->name, sizeof(ret_task->name), "%s", task_name(task));
    inspect_path(scope, ret_task->path, sizeof(ret_task->path));
    if (context) {
        copy_slice(ret_task->correlation_id, INSPECT_ID_BYTES, context->correlation_id);
        copy_slice(ret_task->trace_id, INSPECT_ID_BYTES, context->trace_id);
        copy_slice(ret_task->route, INSPECT_ROUTE_BYTES, context->route);
    }
    ret_task->left_ns = scope->deadline_ns == WEIR_NEVER_NS ? INT64_MAX
                                                            : scope->deadline_ns - loop->now_ns;
    ret_task->cancelled = scope->cancel_code != 0;
    if (task->state == TASK_QUEUED && task->flags & TASK_IN_QUEUE) {
        ret_task->what = "permit";
        ret_task->object = task->extra->needs;
    }
    if (task->state == TASK_RUNNING || task->state == TASK_READY || task->state == TASK_PARKED)
        write_fiber(loop, task->fiber, ret_task);
}

const char *inspect_suspect(const struct inspect_task *task, char *text, size_t size)
{
    if (task->usual_ns > 0 && task->usual_ns < 1000000)
        snprintf(text, size, "%.1f s old: its kind's usual life is less than a millisecond",
                 (double)task->age_ns / 1e9);
    else if (task->usual_ns > 0)
        snprintf(text, size, "%lld times older than its kind's usual life of %.3f s",
                 (long long)(task->age_ns / task->usual_ns), (double)task->usual_ns / 1e9);
    else
        snprintf(text, size, "%s", task->suspect ? task->suspect : "");
    return text;
}

const char *inspect_state_name(enum inspect_state state)
{
    static const char *const names[] = { "queued", "ready", "running", "parked", "away", "ended" };

    return (size_t)state < sizeof(names) / sizeof(names[0]) ? names[state] : "unknown";
}
