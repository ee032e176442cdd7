/* Tasks that will not end: those that wait where nobody is left to wake them, and those
 * that a scope which should be over waits for. Each is told once a place. */
#include "ops/leaks.h"

#include <stdio.h>
#include <string.h>

#include <weir/error.h>
#include <weir/log.h>

#include "base/alloc.h"
#include "ops/tasks.h"
#include "rt/chan.h"

#define TEXT_BYTES 1000
#define KNOWN 256

/* Reported by the place that the channel or scope was opened at: only this file's thread. */
static struct {
    const char *known[KNOWN];
    uint32_t count;
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
static struct leak *leak_of(struct leaks *leaks, enum leak_kind kind, const void *object,
                            const char *site)
{
    for (uint32_t i = 0; i < leaks->count; i++)
        if (leaks->found[i].object == object)
            return &leaks->found[i];
    if (leaks->count == LEAKS_FOUND)
        return NULL;
    leaks->found[leaks->count] = (struct leak){ .kind = kind, .object = object, .site = site };
    return &leaks->found[leaks->count++];
}

static void leak_name(struct leak *leak, const struct task *task)
{
    if (leak->named < LEAKS_NAMED)
        leak->tasks[leak->named++] = task_handle(task);
}

/* The name may be gone with what has it before the report is written. */
static void set_name(struct leak *leak, const char *name)
{
    snprintf(leak->name, sizeof(leak->name), "%s", name ? name : "");
}

static void see_channel(struct leaks *leaks, const struct task *task, int64_t since_ns)
{
    weir_chan *chan = alone_waits_at(task, since_ns);
    struct leak *leak;

    if (!chan || !chan->queue.place || (!chan->alone && !alone_is(chan, since_ns, &leaks->known)))
        return;
    chan->alone = true;
    leak = leak_of(leaks, LEAK_CHANNEL, chan, atomic_load(&chan->queue.place->site));
    if (!leak)
        return;
    set_name(leak, chan->name);
    leak->sender_site = chan->sender_site;
    leak->waited_ns = loop_current->now_ns - task->fiber->wait->since_ns;
    leak->count++;
    leak_name(leak, task);
}

/* A scope that is over for its task, or was cancelled, and still waits for children: of
 * however many, a few are looked at. */
static void see_scope(struct leaks *leaks, const struct task *task, int64_t since_ns)
{
    const struct scope *scope = task->fiber->wait->object;
    struct leak *leak;

    if (task->fiber->wait->kind != WAIT_JOIN || scope->cancel_code == 0 ||
        scope->cancelled_ns > since_ns || list_empty(&scope->tasks))
        return;
    leak = leak_of(leaks, LEAK_SCOPE, scope, scope->site);
    if (!leak)
        return;
    set_name(leak, scope->name);
    leak->waited_ns = loop_current->now_ns - scope->cancelled_ns;
    leak->count = scope->live;
    leak->named = 0;
    for (struct node *n = scope->tasks.next; n != &scope->tasks && leak->named < LEAKS_NAMED;
         n = n->next)
        leak_name(leak, container_of(n, struct task, sibling));
}

void leaks_see(struct leaks *leaks, const struct task *task, int64_t since_ns)
{
    see_channel(leaks, task, since_ns);
    see_scope(leaks, task, since_ns);
}

/* ---- the report ---------------------------------------------------------------------------- */

static void report(uint32_t loop, const struct leak *leak)
{
    static const char *const names[LEAKS_NAMED] = { "task_1", "task_2", "task_3" };
    char texts[LEAKS_NAMED][TEXT_BYTES];
    weir_log_field fields[LEAKS_NAMED + 6];
    size_t count = 0;

    if (*leak->name)
        fields[count++] = weir_field_c(leak->kind == LEAK_CHANNEL ? "channel" : "scope",
                                       leak->name);
    fields[count++] = weir_field_c("opened_at", leak->site);
    fields[count++] = weir_field_u64("tasks", leak->count);
    fields[count++] = weir_field_i64("waited_ms", leak->waited_ns / 1000000);
    if (leak->sender_site)
        fields[count++] = weir_field_c("last_sender", leak->sender_site);
    for (uint32_t i = 0; i < leak->named && i < LEAKS_NAMED; i++) {
        struct task_view *view = NULL;

        if (tasks_view(loop, leak->tasks[i], &view) < 0)
            continue;
        tasks_print(view, texts[i], TEXT_BYTES);
        fields[count++] = weir_field_c(names[i], texts[i]);
        base_free(view);
    }
    weir_log_fields(WEIR_LOG_WARN,
                    leak->kind == LEAK_CHANNEL
                        ? WEIR_S("tasks wait at a channel, and nobody is left to wake them")
                        : WEIR_S("a scope that was cancelled still waits for its tasks"),
                    fields, count);
}

void leaks_tell(uint32_t loop, const struct leaks *leaks)
{
    for (uint32_t i = 0; i < leaks->count; i++) {
        if (is_known(leaks->found[i].site))
            continue;
        said.known[said.count++ % KNOWN] = leaks->found[i].site;
        report(loop, &leaks->found[i]);
    }
}
