/* Tasks that will not end: those that wait where nobody is left to wake them, and those
 * that a scope which should be over waits for. Each is told once a place. */
#include "ops/leaks.h"

#include <stdio.h>
#include <string.h>

#include <weir/error.h>
#include <weir/log.h>

#include "base/clock.h"
#include "ops/ask.h"
#include "ops/closeup.h"
#include "rt/alone.h"
#include "rt/chan.h"

#define WAITED_NS 1000000000
#define STEP_TASKS 256
#define ANSWER_MS 1000
#define SHARE 100 /* of the time, that looking may take one part of */
#define FOUND_MAX 8
#define NAMED 3
#define TEXT_BYTES 1000
#define KNOWN 256

enum leak_kind { LEAK_CHANNEL, LEAK_SCOPE };

/* Tasks that are stuck for one reason. */
struct leak {
    enum leak_kind kind;
    const void *object;       /* the channel or scope */
    const char *site;         /* where that was opened */
    char name[INSPECT_NAME_BYTES];
    const char *sender_site;  /* of a channel: who sent last */
    int64_t waited_ns;
    uint32_t count;
    weir_task tasks[NAMED];
};

struct search {
    uint32_t cursor, loop;
    struct leak found[FOUND_MAX];
    uint32_t found_count;
    const weir_chan *in_use; /* found so last: thousands may wait at one, each a walk over all
                                who could wake them */
};

/* Reported by the place that the channel or scope was opened at: only this file's thread. */
static struct {
    const char *known[KNOWN];
    uint32_t count;
    int64_t not_before_ns;
} said;

static bool is_known(const char *site)
{
    for (uint32_t i = 0; i < KNOWN && i < said.count; i++)
        if (said.known[i] == site)
            return true;
    return false;
}

/* ---- on the loop ------------------------------------------------------------------------ */

/* The entry for it, new or found; NULL when there is no room for more. */
static struct leak *leak_of(struct search *search, enum leak_kind kind, const void *object,
                            const char *site)
{
    for (uint32_t i = 0; i < search->found_count; i++)
        if (search->found[i].object == object)
            return &search->found[i];
    if (search->found_count == FOUND_MAX)
        return NULL;
    search->found[search->found_count] = (struct leak){ .kind = kind,
                                                        .object = object,
                                                        .site = site };
    return &search->found[search->found_count++];
}

static void leak_add(struct leak *leak, const struct task *task)
{
    if (leak->count < NAMED)
        leak->tasks[leak->count] = task_handle(task);
    leak->count++;
}

/* The name may be gone with what has it before the report is written. */
static void set_name(struct leak *leak, const char *name)
{
    snprintf(leak->name, sizeof(leak->name), "%s", name ? name : "");
}

static void look_at_channel(struct search *search, const struct task *task, int64_t since_ns)
{
    weir_chan *chan = alone_waits_at(task, since_ns);
    struct leak *leak;

    if (!chan || !chan->queue.place || chan == search->in_use)
        return;
    if (!chan->alone && !alone_is(chan, since_ns)) {
        search->in_use = chan;
        return;
    }
    chan->alone = true;
    leak = leak_of(search, LEAK_CHANNEL, chan, atomic_load(&chan->queue.place->site));
    if (!leak)
        return;
    set_name(leak, chan->name);
    leak->sender_site = chan->sender_site;
    leak->waited_ns = loop_current->now_ns - task->fiber->wait->since_ns;
    leak_add(leak, task);
}

/* A scope that is over for its task, or was cancelled, and still waits for children. */
static void look_at_scope(struct search *search, const struct task *task, int64_t since_ns)
{
    const struct wait *wait = task->state == TASK_PARKED ? task->fiber->wait : NULL;
    const struct scope *scope;
    struct leak *leak;

    if (!wait || !wait->what || strcmp(wait->what, "children") != 0)
        return;
    scope = wait->object;
    if (scope->cancel_code == 0 || scope->cancelled_ns > since_ns || list_empty(&scope->tasks))
        return;
    leak = leak_of(search, LEAK_SCOPE, scope, scope->site);
    if (!leak)
        return;
    set_name(leak, scope->name);
    leak->waited_ns = loop_current->now_ns - scope->cancelled_ns;
    list_each(n, &scope->tasks)
        leak_add(leak, container_of(n, struct task, sibling));
}

static bool search_step(struct loop *loop, void *state)
{
    struct search *search = state;

    for (uint32_t i = 0; i < STEP_TASKS; i++) {
        const struct task *task = inspect_next(loop, &search->cursor);

        if (!task)
            return true;
        look_at_channel(search, task, loop->now_ns - WAITED_NS);
        look_at_scope(search, task, loop->now_ns - WAITED_NS);
    }
    return false;
}

/* ---- the report ---------------------------------------------------------------------------- */

static void report(uint32_t loop, const struct leak *leak)
{
    static const char *const names[NAMED] = { "task_1", "task_2", "task_3" };
    char texts[NAMED][TEXT_BYTES];
    weir_log_field fields[NAMED + 6];
    size_t count = 0;

    if (*leak->name)
        fields[count++] = weir_field_c(leak->kind == LEAK_CHANNEL ? "channel" : "scope",
                                       leak->name);
    fields[count++] = weir_field_c("opened_at", leak->site);
    fields[count++] = weir_field_u64("tasks", leak->count);
    fields[count++] = weir_field_i64("waited_ms", leak->waited_ns / 1000000);
    if (leak->sender_site)
        fields[count++] = weir_field_c("last_sender", leak->sender_site);
    for (uint32_t i = 0; i < NAMED && i < leak->count; i++) {
        struct closeup *closeup = closeup_of(loop, leak->tasks[i]);

        if (!closeup)
            continue;
        closeup_print(closeup, texts[i], TEXT_BYTES);
        fields[count++] = weir_field_c(names[i], texts[i]);
        base_free(closeup);
    }
    weir_log_fields(WEIR_LOG_WARN,
                    leak->kind == LEAK_CHANNEL
                        ? WEIR_S("tasks wait at a channel, and nobody is left to wake them")
                        : WEIR_S("a scope that was cancelled still waits for its tasks"),
                    fields, count);
}

static void look(uint32_t loop)
{
    struct search *search = base_calloc(1, sizeof(*search));

    if (!search || ask_loop(loop, search_step, search, NULL, ANSWER_MS) < 0)
        return;
    for (uint32_t i = 0; i < search->found_count; i++) {
        if (is_known(search->found[i].site))
            continue;
        said.known[said.count++ % KNOWN] = search->found[i].site;
        report(loop, &search->found[i]);
    }
    base_free(search);
}

void leaks_check(void)
{
    int64_t began_ns = clock_monotonic_ns();

    if (began_ns < said.not_before_ns)
        return;
    for (uint32_t i = 0; i < loop_count(); i++)
        look(i);
    said.not_before_ns = began_ns + (clock_monotonic_ns() - began_ns) * SHARE;
}
