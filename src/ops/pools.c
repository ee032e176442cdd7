/* Pools: of threads for blocking calls, and of connections (weir/guard.h). For the control
 * socket, as metrics, and those that stay full, told once each with who holds them.
 *
 * A pool of connections is known to the loops that have used it: each is asked for its
 * part, with the tasks that hold the oldest leases, and what those do now. */
#include "ops/pools.h"

#include <stdio.h>
#include <string.h>

#include <weir/block.h>
#include <weir/error.h>
#include <weir/log.h>

#include "base/alloc.h"
#include "guard/pool_look.h"
#include "obs/metrics.h"
#include "ops/ask.h"
#include "ops/control.h"
#include "ops/parts.h"
#include "ops/tasks.h"
#include "rt/inspect.h"
#include "rt/loop.h"
#include "rt/threads.h"

#define FULL_LOOKS (1000 / CHECKS_MS)
#define TOLD_MAX 64
#define TEXT_BYTES 1200

static const char *const thread_names[] = { "calls", "files", "cpu" };
static const weir_threads_kind thread_kinds[] = { WEIR_THREADS_CALLS, WEIR_THREADS_FILES,
                                                  WEIR_THREADS_CPU };

struct holder {
    bool there;
    struct inspect_task task;
};

/* One loop's part. */
struct part {
    struct pools_look look;
    uint32_t loop;
    struct holder holders[POOL_LOOK_POOLS][POOL_LOOK_HOLDERS];
};

struct guard {
    struct pool_look sum; /* its holders are in held_by */
    uint32_t count;
    struct {
        int64_t age_ns;
        struct holder holder;
    } held_by[POOL_LOOK_HOLDERS];
};

struct guards {
    uint32_t count;
    struct guard pools[POOL_LOOK_POOLS];
};

static bool look_step(struct loop *loop, void *state)
{
    struct part *part = state;

    pools_look(loop, &part->look);
    for (uint32_t i = 0; i < part->look.count; i++) {
        const struct pool_look *pool = &part->look.pools[i];

        for (uint32_t k = 0; k < pool->holder_count; k++) {
            struct holder *holder = &part->holders[i][k];
            const struct task *task = slab_find(&loop->tasks, pool->holders[k].task.slot,
                                                pool->holders[k].task.generation);

            holder->there = task != NULL;
            if (task)
                inspect_task(loop, task, &holder->task);
        }
    }
    return true;
}

static void add_holder(struct guard *guard, int64_t age_ns, const struct holder *holder)
{
    uint32_t at = guard->count < POOL_LOOK_HOLDERS ? guard->count++ : POOL_LOOK_HOLDERS;

    for (; at > 0 && age_ns > guard->held_by[at - 1].age_ns; at--)
        if (at < POOL_LOOK_HOLDERS)
            guard->held_by[at] = guard->held_by[at - 1];
    if (at == POOL_LOOK_HOLDERS)
        return;
    guard->held_by[at].age_ns = age_ns;
    guard->held_by[at].holder = *holder;
}

static void add_part(struct guards *all, const struct part *part, uint32_t index)
{
    const struct pool_look *look = &part->look.pools[index];
    struct guard *guard = all->pools;

    while (guard < all->pools + all->count && guard->sum.pool != look->pool)
        guard++;
    if (guard == all->pools + POOL_LOOK_POOLS)
        return;
    if (guard == all->pools + all->count) {
        all->count++;
        guard->sum = *look;
    } else {
        guard->sum.held += look->held;
        guard->sum.idle += look->idle;
        guard->sum.acquired += look->acquired;
        guard->sum.reused += look->reused;
        guard->sum.failed += look->failed;
        guard->sum.closed += look->closed;
        guard->sum.waits += look->waits;
        guard->sum.waited_ns += look->waited_ns;
    }
    for (uint32_t k = 0; k < look->holder_count; k++)
        add_holder(guard, look->holders[k].age_ns, &part->holders[index][k]);
}

static struct guards *look_at_all(void)
{
    struct guards *all = base_calloc(1, sizeof(*all));

    for (uint32_t i = 0; all && i < loop_count(); i++) {
        struct part *part = base_calloc(1, sizeof(*part));

        if (!part || ask_loop(i, look_step, part, NULL, TASKS_ANSWER_MS) < 0)
            continue;
        for (uint32_t k = 0; k < part->look.count; k++)
            add_part(all, part, k);
        base_free(part);
    }
    return all;
}

/* ---- the control socket ------------------------------------------------------------------- */

static bool look_at_threads(int kind, struct threads_look *ret_look)
{
    int rc;

    if (!runtime_enter(0, 0, &rc)) /* while the runtime stands, they do */
        return false;
    threads_look(weir_threads_common(thread_kinds[kind]), ret_look);
    runtime_leave();
    return true;
}

static void add_threads(struct strbuf *out, const char *name, const struct threads_look *look)
{
    const weir_threads_stats *stats = &look->stats;

    strbuf_addf(out, "{\"name\":\"%s\",\"threads\":%u,\"running\":%u,\"waiting\":%u", name,
                stats->threads, stats->running, stats->waiting);
    strbuf_addf(out, ",\"threads_max\":%u,\"waiting_max\":%u,\"waiting_high\":%u",
                look->threads_max, look->queue_max, stats->waiting_high);
    strbuf_addf(out, ",\"calls\":%llu,\"refused\":%llu,\"withdrawn\":%llu,\"abandoned\":%llu",
                (unsigned long long)stats->calls, (unsigned long long)stats->refused,
                (unsigned long long)stats->withdrawn, (unsigned long long)stats->abandoned);
    strbuf_addf(out, ",\"queued_longest_ms\":%.3f,\"held_by\":[",
                (double)stats->queued_longest_ns / 1e6);
    for (uint32_t i = 0; i < look->count; i++) {
        strbuf_addf(out, "%s{\"for_ms\":%.3f", i ? "," : "", (double)look->jobs[i].age_ns / 1e6);
        tasks_add_member(out, "call", look->jobs[i].name);
        tasks_add_member(out, "task_site", look->jobs[i].site ? look->jobs[i].site : "");
        strbuf_add_char(out, '}');
    }
    strbuf_add_c(out, "]}");
}

static void add_guard(struct strbuf *out, const struct guard *guard)
{
    const struct pool_look *sum = &guard->sum;

    strbuf_add_c(out, "{\"name\":");
    strbuf_add_json(out, weir_str_c(sum->name));
    strbuf_addf(out, ",\"max\":%u,\"held\":%u,\"idle\":%u,\"waiting\":%u,\"waiting_max\":%u",
                sum->max, sum->held, sum->idle, sum->waiting, sum->max_waiting);
    strbuf_addf(out, ",\"acquired\":%llu,\"reused\":%llu,\"failed\":%llu,\"waits\":%llu",
                (unsigned long long)sum->acquired, (unsigned long long)sum->reused,
                (unsigned long long)sum->failed, (unsigned long long)sum->waits);
    strbuf_addf(out, ",\"waited_ms\":%.3f,\"held_by\":[", (double)sum->waited_ns / 1e6);
    for (uint32_t i = 0; i < guard->count; i++) {
        const struct inspect_task *task = &guard->held_by[i].holder.task;

        strbuf_addf(out, "%s{\"for_ms\":%.3f", i ? "," : "",
                    (double)guard->held_by[i].age_ns / 1e6);
        if (guard->held_by[i].holder.there) {
            strbuf_addf(out, ",\"task\":\"%u.%u.%u\"", task->loop, task->handle.slot,
                        task->handle.generation);
            tasks_add_member(out, "name", task->name);
            tasks_add_member(out, "site", task->site);
            tasks_add_member(out, "route", task->route);
            tasks_add_member(out, "waits_for", task->what ? task->what : "");
        }
        strbuf_add_char(out, '}');
    }
    strbuf_add_c(out, "]}");
}

int control_pools(struct strbuf *out, const char *args)
{
    struct guards *all = look_at_all();
    struct threads_look look;

    (void)args;
    strbuf_add_c(out, "{\"threads\":[");
    for (int i = 0; i < 3 && look_at_threads(i, &look); i++) {
        if (i > 0)
            strbuf_add_char(out, ',');
        add_threads(out, thread_names[i], &look);
    }
    strbuf_add_c(out, "],\"pools\":[");
    for (uint32_t i = 0; all && i < all->count; i++) {
        if (i > 0)
            strbuf_add_char(out, ',');
        add_guard(out, &all->pools[i]);
    }
    strbuf_add_c(out, "]}");
    base_free(all);
    return all ? 0 : -ENOMEM;
}

/* ---- those that stay full -------------------------------------------------------------------- */

/* By name: pools of one name are told once. The checks' thread writes it. */
static struct {
    struct {
        char name[POOL_LOOK_NAME_BYTES];
        uint32_t full_looks;
        bool told, shown;
        _Atomic uint64_t waited_ns, failed;
    } of[TOLD_MAX];
    weir_gauge *held, *idle, *waiting;
    weir_counter *waited, *failed;
} known;

/* Its number, or TOLD_MAX. */
static uint32_t known_by(const char *name)
{
    uint32_t i = 0;

    while (i < TOLD_MAX && *known.of[i].name && strcmp(known.of[i].name, name) != 0)
        i++;
    if (i < TOLD_MAX)
        snprintf(known.of[i].name, sizeof(known.of[i].name), "%s", name);
    return i;
}

/* Has it been full for a second, for the first time? */
static bool is_news(const char *name, bool full)
{
    uint32_t i = known_by(name);

    if (i == TOLD_MAX)
        return false;
    known.of[i].full_looks = full ? known.of[i].full_looks + 1 : 0;
    if (known.of[i].told || known.of[i].full_looks <= FULL_LOOKS)
        return false;
    return known.of[i].told = true;
}

static void print_to(char *text, size_t size, size_t *at, const char *who, const char *site,
                     const char *does, int64_t age_ns)
{
    int len = snprintf(text + *at, size - *at, "%s%s%s%s%s%s, for %.1f s", *at ? "\n" : "", who,
                       *site ? " (" : "", site, *site ? ")" : "", does, (double)age_ns / 1e9);

    *at = len > 0 && (size_t)len < size - *at ? *at + (size_t)len : size - 1;
}

static void check_threads(int kind)
{
    struct threads_look look;
    char text[TEXT_BYTES] = "", name[32];
    size_t at = 0;

    if (!look_at_threads(kind, &look))
        return;
    snprintf(name, sizeof(name), "threads: %s", thread_names[kind]);
    if (!is_news(name, look.stats.waiting > 0 && look.stats.running >= look.threads_max))
        return;
    for (uint32_t i = 0; i < look.count; i++)
        print_to(text, sizeof(text), &at, look.jobs[i].name,
                 look.jobs[i].site ? look.jobs[i].site : "", "", look.jobs[i].age_ns);
    weir_log(WEIR_LOG_WARN, "all threads of a pool have been taken for a second, and calls wait",
             WEIR_FIELD("pool", thread_names[kind]),
             WEIR_FIELD("threads", (uint64_t)look.threads_max),
             WEIR_FIELD("waiting", (uint64_t)look.stats.waiting),
             WEIR_FIELD("refused", look.stats.refused), WEIR_FIELD("held_by", (const char *)text));
}

static void check_guard(const struct guard *guard)
{
    char text[TEXT_BYTES] = "", name[POOL_LOOK_NAME_BYTES];
    size_t at = 0;

    memcpy(name, guard->sum.name, sizeof(name));
    if (!is_news(name, guard->sum.held >= guard->sum.max && guard->sum.waiting > 0))
        return;
    for (uint32_t i = 0; i < guard->count; i++) {
        const struct holder *holder = &guard->held_by[i].holder;
        char does[160] = "";

        if (holder->there && holder->task.what)
            snprintf(does, sizeof(does), " waits for: %s", holder->task.what);
        print_to(text, sizeof(text), &at,
                 holder->there ? holder->task.name : "a task that has ended",
                 holder->there ? holder->task.site : "", does, guard->held_by[i].age_ns);
    }
    weir_log(WEIR_LOG_WARN, "a pool has been held whole for a second, and tasks wait for it",
             WEIR_FIELD("pool", (const char *)name), WEIR_FIELD("max", (uint64_t)guard->sum.max),
             WEIR_FIELD("waiting", (uint64_t)guard->sum.waiting),
             WEIR_FIELD("refused", guard->sum.failed), WEIR_FIELD("held_by", (const char *)text));
}

static double read_waited(void *arg)
{
    return (double)atomic_load(&known.of[(intptr_t)arg].waited_ns) / 1e9;
}

static double read_failed(void *arg)
{
    return (double)atomic_load(&known.of[(intptr_t)arg].failed);
}

static void make_metrics(void)
{
    known.held = weir_gauge_new("weir_pool_held", "Leases of a pool that are open.",
                                .labels = { "pool" });
    known.idle = weir_gauge_new("weir_pool_idle", "Connections of a pool that nobody uses.",
                                .labels = { "pool" });
    known.waiting = weir_gauge_new("weir_pool_waiting", "Tasks that wait for a pool.",
                                   .labels = { "pool" });
    known.waited = weir_counter_new("weir_pool_waited_seconds_total",
                                    "How long tasks have waited for a pool.", .labels = { "pool" });
    known.failed = weir_counter_new("weir_pool_refused_total",
                                    "Tasks that a pool was not given to: it was full, or their "
                                    "deadline or a cancel came first.",
                                    .labels = { "pool" });
}

static void show(const struct guard *guard)
{
    weir_str name = weir_str_c(guard->sum.name);
    uint32_t i = known_by(guard->sum.name);

    if (i == TOLD_MAX)
        return;
    if (!known.held)
        make_metrics();
    atomic_store(&known.of[i].waited_ns, guard->sum.waited_ns);
    atomic_store(&known.of[i].failed, guard->sum.failed);
    weir_gauge_set(weir_gauge_with(known.held, name), guard->sum.held);
    weir_gauge_set(weir_gauge_with(known.idle, name), guard->sum.idle);
    weir_gauge_set(weir_gauge_with(known.waiting, name), guard->sum.waiting);
    if (known.of[i].shown)
        return;
    known.of[i].shown = true;
    metrics_read_counter(weir_counter_with(known.waited, name), read_waited, (void *)(intptr_t)i);
    metrics_read_counter(weir_counter_with(known.failed, name), read_failed, (void *)(intptr_t)i);
}

void pools_check(void)
{
    struct guards *all = look_at_all();

    for (int i = 0; i < 3; i++)
        check_threads(i);
    for (uint32_t i = 0; all && i < all->count; i++) {
        check_guard(&all->pools[i]);
        show(&all->pools[i]);
    }
    base_free(all);
}
