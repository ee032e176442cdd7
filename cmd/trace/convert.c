/* Events become what a viewer shows: a loop is a thread; its waits for input, its turns
 * and the tasks that run in them are slices ("X"); a wake is an arrow ("s" and "f") to the
 * slice in which the task then runs; the rest are instants ("i").
 *
 * A slice is written at its end, as only then its length is known. A task runs from its
 * RUN to the next event in which it gives the loop away. Slices of a loop nest: a task's
 * ends before its turn does.
 *
 * Invariant: what began before the trace did, or before a gap, is left out. */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "rt/record.h"
#include "trace/trace.h"

#define TASKS_MAX (1u << 22) /* of a loop; those behind have no arrows */

static struct trace_task *task_at(struct trace_file *file, struct trace_loop *loop,
                                  const struct trace_event *event)
{
    struct trace_task *task;

    if (event->slot >= TASKS_MAX)
        return NULL;
    if (event->slot >= loop->task_count) {
        uint32_t count = loop->task_count ? loop->task_count : 256;
        struct trace_task *more;

        while (count <= event->slot)
            count *= 2;
        more = base_calloc(count, sizeof(*more));
        if (!more) {
            file->failed = true;
            return NULL;
        }
        if (loop->tasks)
            memcpy(more, loop->tasks, loop->task_count * sizeof(*more));
        base_free(loop->tasks);
        loop->tasks = more;
        loop->task_count = count;
    }
    task = &loop->tasks[event->slot];
    if (task->generation != event->generation)
        *task = (struct trace_task){ .generation = event->generation,
                                     .waited_from = -1,
                                     .woken = -1 };
    return task;
}

/* "file.c:12 function": the function, or all of it. */
static const char *name_of(const char *site)
{
    const char *space = site ? strrchr(site, ' ') : NULL;

    return space ? space + 1 : site ? site : "task";
}

static void slice(struct trace_file *file, uint32_t loop, const char *name, double from, double to)
{
    trace_print(
        file,
        ",\n{\"ph\":\"X\",\"pid\":%d,\"tid\":%u,\"name\":\"%s\",\"cat\":\"loop\",\"ts\":%.3f,"
        "\"dur\":%.3f}",
        file->pid, loop + 1, name, from, to - from);
}

static void instant(struct trace_file *file, uint32_t loop, const char *name, const char *category,
                    const struct trace_event *event)
{
    trace_print(file,
                ",\n{\"ph\":\"i\",\"s\":\"t\",\"pid\":%d,\"tid\":%u,\"name\":\"%s\",\"cat\":\"%s\","
                "\"ts\":%.3f,\"args\":{\"what\":\"%s\",\"value\":%d",
                file->pid, loop + 1, name, category, event->us, event->text ? event->text : "",
                event->value);
    if (event->slot != 0)
        trace_print(file, ",\"task\":\"%u.%u.%u\"", loop, event->slot, event->generation);
    trace_print(file, "}}");
}

static void arrow(struct trace_file *file, uint32_t loop, const char *name, char phase, double us,
                  uint64_t flow)
{
    trace_print(file,
                ",\n{\"ph\":\"%c\",%s\"pid\":%d,\"tid\":%u,\"name\":\"%s\",\"cat\":\"wake\","
                "\"ts\":%.3f,\"id\":%" PRIu64 "}",
                phase, phase == 'f' ? "\"bp\":\"e\"," : "", file->pid, loop + 1, name, us, flow);
}

/* The running task gives the loop away; how says with which words. */
static void run_ends(struct trace_file *file, uint32_t index, double us, const char *how,
                     const char *what, int32_t value)
{
    struct trace_loop *loop = &file->loops[index];
    struct trace_task *task;

    if (loop->slot == 0)
        return;
    task = &loop->tasks[loop->slot];
    trace_print(
        file,
        ",\n{\"ph\":\"X\",\"pid\":%d,\"tid\":%u,\"name\":\"%s\",\"cat\":\"task\",\"ts\":%.3f,"
        "\"dur\":%.3f,\"args\":{\"task\":\"%u.%u.%u\",\"site\":\"%s\",\"then\":\"%s%s\","
        "\"result\":%d",
        file->pid, index + 1, name_of(task->site), loop->run, us - loop->run, index, loop->slot,
        task->generation, task->site ? task->site : "", how, what ? what : "", value);
    if (task->waits_for)
        trace_print(file, ",\"waited for\":\"%s\"", task->waits_for);
    if (task->waits_for && task->waited_from >= 0 && task->woken >= 0)
        trace_print(file, ",\"waited us\":%.3f", task->woken - task->waited_from);
    if (task->woken >= 0)
        trace_print(file, ",\"wake to run us\":%.3f", loop->run - task->woken);
    trace_print(file, "}}");
    trace_count_run(file, task->site, us - loop->run);
    task->waits_for = NULL;
    task->woken = task->waited_from = -1;
    loop->slot = 0;
}

static void run_begins(struct trace_file *file, uint32_t index, const struct trace_event *event)
{
    struct trace_loop *loop = &file->loops[index];
    struct trace_task *task = task_at(file, loop, event);

    run_ends(file, index, event->us, "", NULL, 0);
    if (!task)
        return;
    task->site = event->text;
    loop->slot = event->slot;
    loop->run = event->us;
    if (task->flow) {
        struct trace_delay delay = { event->us - task->woken, event->us, task->site, index };

        arrow(file, index, "wake", 'f', event->us, task->flow);
        trace_count_delay(file, &delay);
        task->flow = 0;
    }
}

static void is_ready(struct trace_file *file, uint32_t index, const struct trace_event *event)
{
    struct trace_task *task = task_at(file, &file->loops[index], event);

    if (!task)
        return;
    if (event->kind == RECORD_SPAWN)
        task->site = event->text;
    else if (!task->waits_for)
        task->waits_for = event->text;
    task->woken = event->us;
    task->flow = ++file->flows;
    arrow(file, index, "wake", 's', event->us, task->flow);
}

static void waits(struct trace_file *file, uint32_t index, const struct trace_event *event)
{
    struct trace_task *task = task_at(file, &file->loops[index], event);

    run_ends(file, index, event->us, "waits for: ", event->text, 0);
    if (!task)
        return;
    task->waits_for = event->text;
    task->waited_from = event->us;
}

static void turn(struct trace_file *file, uint32_t index, const struct trace_event *event)
{
    struct trace_loop *loop = &file->loops[index];

    run_ends(file, index, event->us, "", NULL, 0);
    if (loop->poll >= 0)
        slice(file, index, "wait for input", loop->poll, event->us);
    if (loop->turn >= 0)
        slice(file, index, "turn", loop->turn, event->us);
    loop->poll = event->kind == RECORD_POLL ? event->us : -1;
    loop->turn = event->kind == RECORD_TURN ? event->us : -1;
}

void trace_convert(struct trace_file *file, uint32_t loop, const struct trace_event *event)
{
    switch (event->kind) {
    case RECORD_SPAWN:
        instant(file, loop, "spawn", "task", event);
        is_ready(file, loop, event);
        break;
    case RECORD_WAKE: is_ready(file, loop, event); break;
    case RECORD_RUN: run_begins(file, loop, event); break;
    case RECORD_WAIT: waits(file, loop, event); break;
    case RECORD_YIELD: run_ends(file, loop, event->us, "yields", NULL, 0); break;
    case RECORD_END:
        if (file->loops[loop].slot == event->slot)
            run_ends(file, loop, event->us, "ends", NULL, event->value);
        else
            instant(file, loop, "end", "task", event);
        break;
    case RECORD_CANCEL: instant(file, loop, "cancel", "scope", event); break;
    case RECORD_POLL:
    case RECORD_TURN: turn(file, loop, event); break;
    case RECORD_IO: instant(file, loop, event->text ? event->text : "io", "io", event); break;
    default: break;
    }
}

void trace_gap(struct trace_file *file, uint32_t index, uint64_t lost, double us)
{
    struct trace_loop *loop = &file->loops[index];
    struct trace_event event = { .us = us, .value = (int32_t)lost };

    loop->turn = loop->poll = -1;
    loop->slot = 0;
    for (uint32_t i = 0; i < loop->task_count; i++)
        loop->tasks[i] = (struct trace_task){ .waited_from = -1, .woken = -1 };
    instant(file, index, "events lost", "trace", &event);
}
