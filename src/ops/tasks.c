/* Walking over the tasks of all loops; see tasks.h.
 *
 * A walk asks a loop for a few tasks at a time, and again from where it stopped. So what is
 * held of a hundred thousand tasks is one block, what a loop does for it at a stretch is
 * copying that, and it allocates nothing. */
#include "ops/tasks.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <weir/error.h>

#include "base/clock.h"
#include "ops/ask.h"
#include "ops/control.h"
#include "ops/running.h"
#include "rt/loop.h"
#include "rt/wakers.h"

#define BLOCK_TASKS 256
#define STEP_TASKS 32 /* some 30 us */

struct block {
    uint32_t cursor, count;
    bool end;
    struct inspect_task tasks[BLOCK_TASKS];
};

static bool block_step(struct loop *loop, void *state)
{
    struct block *block = state;
    uint32_t until = block->cursor + INSPECT_SLOTS;

    for (int i = 0; i < STEP_TASKS && block->count < BLOCK_TASKS; i++) {
        const struct task *task = inspect_next_until(loop, &block->cursor, until);

        if (!task) {
            block->end = inspect_at_end(loop, block->cursor);
            return block->end;
        }
        inspect_task(loop, task, &block->tasks[block->count++]);
    }
    return block->count == BLOCK_TASKS;
}

/* As ask_loop(), also for a loop's own thread, which can't wait for itself. */
static int ask(uint32_t loop, ask_step *step, void *state)
{
    if (!loop_current || loop_current->index != loop)
        return ask_loop(loop, step, state, NULL, TASKS_ANSWER_MS);
    while (!step(loop_current, state))
        ;
    return 0;
}

int tasks_walk(uint32_t loop, bool (*visit)(void *arg, const struct inspect_task *task), void *arg)
{
    uint32_t cursor = 0;
    bool end = false;

    while (!end) {
        struct block *block = base_calloc(1, sizeof(*block));
        int rc;

        if (!block)
            return -ENOMEM;
        block->cursor = cursor;
        rc = ask(loop, block_step, block);
        if (rc < 0)
            return rc; /* the block is gone with the question */
        for (uint32_t i = 0; i < block->count && !end; i++)
            end = !visit(arg, &block->tasks[i]);
        end |= block->end;
        cursor = block->cursor;
        base_free(block);
    }
    return 0;
}

/* ---- one task ------------------------------------------------------------------------ */

static bool view_step(struct loop *loop, void *state)
{
    struct task_view *view = state;
    weir_task handle = view->task.handle;
    struct task *task = slab_find(&loop->tasks, handle.slot, handle.generation);

    if (!task) {
        view->task.handle.slot = 0;
        return true;
    }
    inspect_task(loop, task, &view->task);
    wakers_name(task, view->on, sizeof(view->on));
    if (task->state == TASK_PARKED || task->state == TASK_READY) {
        view->held_count = task->fiber->held_named;
        memcpy(view->held, task->fiber->held, sizeof(view->held));
    }
    if (!stack_copy_task(&view->stack, &view->task))
        view->stack.len = 0;
    return true;
}

/* How much of a stack has been touched: its highest pages in one piece. The mapping stays
 * while the runtime does, so this need not be on the loop. */
static size_t deep_bytes(const struct inspect_task *task)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), pages, deep = 0;
    uintptr_t low = (uintptr_t)task->stack_low, high = (uintptr_t)task->stack_high;
    unsigned char resident[1024];

    if (!low || high <= low)
        return 0;
    pages = (high - low + page - 1) / page;
    if (pages > sizeof(resident))
        pages = sizeof(resident);
    high = (high + page - 1) / page * page;
    if (mincore((void *)(high - pages * page), pages * page, resident) < 0)
        return 0;
    while (deep < pages && resident[pages - 1 - deep] & 1)
        deep++;
    return deep * page;
}

int tasks_view(uint32_t loop, weir_task handle, struct task_view **ret_view)
{
    struct task_view *view = base_calloc(1, sizeof(*view));
    int rc;

    if (!view)
        return -ENOMEM;
    view->task.handle = handle;
    rc = ask(loop, view_step, view);
    if (rc < 0)
        return rc;
    if (view->task.handle.slot == 0) {
        base_free(view);
        return -ESRCH;
    }
    view->stack_deep_bytes = deep_bytes(&view->task);
    *ret_view = view;
    return 0;
}

/* ---- as text ---------------------------------------------------------------------------- */

__attribute__((format(printf, 4, 5))) static void print(char *text, size_t size, size_t *at,
                                                        const char *fmt, ...)
{
    va_list args;
    int len;

    va_start(args, fmt);
    len = vsnprintf(text + *at, size - *at, fmt, args);
    va_end(args);
    if (len > 0)
        *at = (size_t)len < size - *at ? *at + (size_t)len : size - 1;
}

size_t tasks_print(const struct task_view *view, char *text, size_t size)
{
    const struct inspect_task *task = &view->task;
    size_t at = 0;

    print(text, size, &at, "%s (%s), loop %u, in %s: ", task->name, task->site, task->loop,
          task->path);
    if (!task->what)
        print(text, size, &at, "%s", inspect_state_name(task->state));
    else
        print(text, size, &at, "waits for: %s%s%s%s", task->what, *view->on ? " (" : "", view->on,
              *view->on ? ")" : "");
    if (task->state == INSPECT_PARKED && task->what)
        print(text, size, &at, ", for %.1f s", (double)task->waited_ns / 1e9);
    if (task->left_ns != INT64_MAX)
        print(text, size, &at, " (its deadline passes in %.1f s)", (double)task->left_ns / 1e9);
    if (view->stack.len == 0 || at + 2 >= size)
        return at;
    text[at++] = '\n';
    return at + stack_print(&view->stack, text + at, size - at);
}

void tasks_name_place(const void *taken_at, char *text, size_t size)
{
    struct stack_frame frame;

    stack_name((uint64_t)(uintptr_t)taken_at, true, &frame, 1);
    if (frame.file[0])
        snprintf(text, size, "%s:%d %s", frame.file, frame.line, frame.function);
    else
        snprintf(text, size, "%s in %s", frame.function[0] ? frame.function : "?", frame.module);
}

/* ---- as JSON --------------------------------------------------------------------------- */

void tasks_add_member(struct strbuf *out, const char *name, const char *value)
{
    strbuf_addf(out, ",\"%s\":", name);
    strbuf_add_json(out, weir_str_c(value));
}

static void add_ms(struct strbuf *out, const char *name, int64_t ns)
{
    strbuf_addf(out, ",\"%s\":%s%lld.%03lld", name, ns < 0 ? "-" : "",
                (long long)(ns < 0 ? -ns : ns) / 1000000,
                (long long)(ns < 0 ? -ns : ns) / 1000 % 1000);
}

/* Without the closing brace. */
static void add_task(struct strbuf *out, const struct inspect_task *task)
{
    char suspect[160];

    strbuf_addf(out, "{\"task\":\"%u.%u.%u\"", task->loop, task->handle.slot,
                task->handle.generation);
    tasks_add_member(out, "name", task->name);
    tasks_add_member(out, "site", task->site);
    tasks_add_member(out, "path", task->path);
    tasks_add_member(out, "state", inspect_state_name(task->state));
    if (task->what) {
        tasks_add_member(out, "waits_for", task->what);
        if (task->object)
            strbuf_addf(out, ",\"on\":\"%p\"", task->object);
        add_ms(out, "waited_ms", task->waited_ns);
    }
    add_ms(out, "age_ms", task->age_ns);
    if (task->left_ns != INT64_MAX)
        add_ms(out, "left_ms", task->left_ns);
    if (task->cancelled)
        strbuf_add_c(out, ",\"cancelled\":true");
    if (task->locks_held)
        strbuf_addf(out, ",\"locks_held\":%u", task->locks_held);
    if (task->suspect)
        tasks_add_member(out, "suspect", inspect_suspect(task, suspect, sizeof(suspect)));
    if (*task->correlation_id)
        tasks_add_member(out, "correlation_id", task->correlation_id);
    if (*task->trace_id)
        tasks_add_member(out, "trace_id", task->trace_id);
    if (*task->route)
        tasks_add_member(out, "route", task->route);
}

static void add_running(struct strbuf *out, uint32_t index)
{
    struct running running;
    int rc;
    struct loop *loop = runtime_enter(index, 0, &rc);

    if (!loop)
        return;
    running_read(loop, &running);
    runtime_leave();
    if (running.handle.slot == 0)
        return;
    strbuf_addf(out, ",\"held_by\":{\"task\":\"%u.%u.%u\"", index, running.handle.slot,
                running.handle.generation);
    tasks_add_member(out, "name", running.name);
    tasks_add_member(out, "site", running.site);
    tasks_add_member(out, "path", running.path);
    strbuf_add_char(out, '}');
}

void tasks_add_loop(struct strbuf *out, uint32_t loop, int rc)
{
    strbuf_addf(out, "{\"loop\":%u,\"answered\":%s", loop, rc == 0 ? "true" : "false");
    if (rc == -ETIMEDOUT)
        add_running(out, loop);
    strbuf_add_char(out, '}');
}

struct listing {
    struct strbuf *out;
    uint64_t count, left_out, sent_bytes;
};

static bool list_task(void *arg, const struct inspect_task *task)
{
    struct listing *list = arg;

    list->sent_bytes += control_send_piece(list->out);
    if (list->out->bad)
        return false;
    if (list->sent_bytes + list->out->len > CONTROL_ANSWER_BYTES) {
        list->left_out++;
        return true;
    }
    if (list->count++ > 0)
        strbuf_add_char(list->out, ',');
    add_task(list->out, task);
    strbuf_add_char(list->out, '}');
    return true;
}

int control_tasks(struct strbuf *out, const char *args)
{
    struct listing list = { .out = out };
    uint32_t loops = loop_count();
    struct strbuf tail = STRBUF_INIT;
    uint64_t only = UINT64_MAX;

    if (*args && (!control_number(&args, RT_LOOPS_MAX, &only) || only >= loops))
        return weir_fail(-EINVAL, "tasks takes the number of a loop: there are %u, from 0 on",
                         loops);
    strbuf_addf(out, "{\"pid\":%d,\"tasks\":[", (int)getpid());
    for (uint32_t i = 0; i < loops; i++) {
        if (only != UINT64_MAX && only != i)
            continue;
        if (tail.len)
            strbuf_add_char(&tail, ',');
        tasks_add_loop(&tail, i, tasks_walk(i, list_task, &list));
    }
    strbuf_addf(out, "],\"left_out\":%llu,\"loops\":[", (unsigned long long)list.left_out);
    strbuf_add(out, strbuf_str(&tail));
    strbuf_add_c(out, "]}");
    strbuf_done(&tail);
    return 0;
}

/* Each by its address, which is what others that want it wait on. */
static void add_held(struct strbuf *out, const struct task_view *view)
{
    struct strbuf text = STRBUF_INIT;
    char place[256];

    for (uint8_t i = 0; i < view->held_count; i++) {
        tasks_name_place(view->held[i].taken_at, place, sizeof(place));
        strbuf_addf(&text, "%s%p, taken at %s", i > 0 ? "; " : "", view->held[i].lock, place);
    }
    if (view->held_count > 0 && !text.bad)
        tasks_add_member(out, "holds", strbuf_str(&text).ptr);
    strbuf_done(&text);
}

static void add_view(struct strbuf *out, const struct task_view *view)
{
    char text[8192];

    add_task(out, &view->task);
    if (*view->on)
        tasks_add_member(out, "waits_on", view->on);
    add_held(out, view);
    if (view->stack_deep_bytes)
        strbuf_addf(out, ",\"stack_deep_bytes\":%zu", view->stack_deep_bytes);
    if (view->stack.len > 0) {
        strbuf_addf(out, ",\"stack_bytes\":%zu",
                    (size_t)(view->task.stack_high - (const char *)view->task.stack_pointer));
        stack_print(&view->stack, text, sizeof(text));
        tasks_add_member(out, "stack", text);
    }
    strbuf_add_char(out, '}');
}

int control_task(struct strbuf *out, const char *args)
{
    uint64_t loop, slot, generation;
    struct task_view *view;
    int rc;

    if (!control_number(&args, RT_LOOPS_MAX, &loop) || !control_number(&args, UINT32_MAX, &slot) ||
        !control_number(&args, UINT32_MAX, &generation))
        return weir_fail(-EINVAL, "task takes three numbers: LOOP SLOT GENERATION");
    rc = tasks_view((uint32_t)loop, (weir_task){ (uint32_t)slot, (uint32_t)generation }, &view);
    if (rc == -ESRCH)
        return weir_fail(rc, "the task %llu.%llu.%llu has ended", (unsigned long long)loop,
                         (unsigned long long)slot, (unsigned long long)generation);
    if (rc == -ETIMEDOUT)
        return weir_fail(rc, "loop %llu has not answered: it is held up", (unsigned long long)loop);
    if (rc < 0)
        return weir_wrap(rc, "asking loop %llu", (unsigned long long)loop);
    add_view(out, view);
    base_free(view);
    return 0;
}
