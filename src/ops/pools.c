/* Pools: of threads for blocking calls, and of connections (weir/guard.h). For the control
 * socket, as metrics, and those that stay full, told once each with who holds them. Pools of
 * threads that have the same name are one to the log and the metrics.
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
#include "ops/quiet.h"
#include "ops/tasks.h"
#include "rt/inspect.h"
#include "rt/loop.h"
#include "rt/threads.h"

#define FULL_LOOKS (1000 / CHECKS_MS)
#define TOLD_MAX 64
#define TEXT_BYTES 1200

#define THREADS_KEY "threads: " /* what a pool of threads is known by, before its name */
#define POOLS_LOOK 64 /* pools of threads that are looked at */

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

/* False: the loop has not answered. */
static bool look_at_loop(struct guards *all, uint32_t loop, bool *ret_none)
{
    struct part *part = base_calloc(1, sizeof(*part));

    if (!part || ask_loop(loop, look_step, part, NULL, TASKS_ANSWER_MS) < 0)
        return false;
    *ret_none = part->look.count == 0;
    for (uint32_t k = 0; k < part->look.count; k++)
        add_part(all, part, k);
    base_free(part);
    return true;
}

static struct guards *look_at_all(void)
{
    struct guards *all = base_calloc(1, sizeof(*all));
    bool none;

    for (uint32_t i = 0; all && i < loop_count(); i++)
        look_at_loop(all, i, &none);
    return all;
}

/* ---- the control socket ------------------------------------------------------------------- */

/* NULL without memory. */
static struct threads_look *look_at_threads(uint32_t *ret_count, uint32_t *ret_others)
{
    struct threads_look *looks = base_calloc(POOLS_LOOK, sizeof(*looks));
    uint32_t count = looks ? threads_look_at_all(looks, POOLS_LOOK) : 0;

    *ret_count = count < POOLS_LOOK ? count : POOLS_LOOK;
    *ret_others = count - *ret_count;
    return looks;
}

static void add_threads(struct strbuf *out, const struct threads_look *look)
{
    const weir_threads_stats *stats = &look->stats;

    strbuf_add_c(out, "{\"name\":");
    strbuf_add_json(out, weir_str_c(look->name));
    strbuf_addf(out, ",\"threads\":%u,\"running\":%u,\"waiting\":%u", stats->threads,
                stats->running, stats->waiting);
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
    uint32_t count, others;
    struct threads_look *looks = look_at_threads(&count, &others);

    (void)args;
    strbuf_add_c(out, "{\"threads\":[");
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            strbuf_add_char(out, ',');
        add_threads(out, &looks[i]);
    }
    strbuf_addf(out, "],\"other_threads\":%u,\"pools\":[", others);
    base_free(looks);
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
        uint64_t refused;
        uint32_t look; /* the last one that saw such a pool of threads, not the runtime's */
    } of[TOLD_MAX];
    weir_gauge *held, *idle, *waiting;
    weir_counter *waited, *failed;
} known;

static struct {
    uint32_t look;
    weir_gauge *count, *running, *waiting, *high;
    weir_counter *refused;
} own_threads;

/* What need not be asked again. */
static struct {
    struct quiet mark;
    bool none; /* it has used no pool */
} quiet[RT_LOOPS_MAX];

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

static bool is_full(const struct threads_look *look)
{
    return look->stats.waiting > 0 && look->stats.running >= look->threads_max;
}

static void check_threads(const struct threads_look *look)
{
    char text[TEXT_BYTES] = "", name[THREADS_NAME_BYTES + 16];
    size_t at = 0;

    snprintf(name, sizeof(name), THREADS_KEY "%s", look->name);
    if (!is_news(name, is_full(look)))
        return;
    for (uint32_t i = 0; i < look->count; i++)
        print_to(text, sizeof(text), &at, look->jobs[i].name,
                 look->jobs[i].site ? look->jobs[i].site : "", "", look->jobs[i].age_ns);
    weir_log(WEIR_LOG_WARN, "all threads of a pool have been taken for a second, and calls wait",
             WEIR_FIELD("pool", (const char *)look->name),
             WEIR_FIELD("threads", (uint64_t)look->threads_max),
             WEIR_FIELD("waiting", (uint64_t)look->stats.waiting),
             WEIR_FIELD("refused", look->stats.refused), WEIR_FIELD("held_by", (const char *)text));
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

/* ---- the program's own pools of threads ------------------------------------------------------ */

/* Those of the runtime tell of themselves (obs/metrics_threads.c), by the same names. */
static bool is_common(const char *name)
{
    return strcmp(name, "calls") == 0 || strcmp(name, "files") == 0 || strcmp(name, "cpu") == 0;
}

/* All of a name, in the first one's place; false: this is not the first. */
static bool sum_up(const struct threads_look *looks, uint32_t count, uint32_t first,
                   struct threads_look *ret_sum)
{
    for (uint32_t i = 0; i < first; i++)
        if (strcmp(looks[i].name, looks[first].name) == 0)
            return false;
    *ret_sum = looks[first];
    for (uint32_t i = first + 1; i < count; i++) {
        const weir_threads_stats *stats = &looks[i].stats;

        if (strcmp(looks[i].name, looks[first].name) != 0)
            continue;
        ret_sum->stats.threads += stats->threads;
        ret_sum->stats.running += stats->running;
        ret_sum->stats.waiting += stats->waiting;
        ret_sum->stats.refused += stats->refused;
        if (ret_sum->stats.waiting_high < stats->waiting_high)
            ret_sum->stats.waiting_high = stats->waiting_high;
    }
    return true;
}

static void make_threads_metrics(void)
{
    own_threads.count = weir_gauge_new("weir_threads", "Threads of a pool for blocking calls.",
                                       .labels = { "pool" });
    own_threads.running = weir_gauge_new("weir_threads_running", "Blocking calls under way.",
                                         .labels = { "pool" });
    own_threads.waiting = weir_gauge_new(
        "weir_threads_waiting", "Blocking calls that wait for a thread.", .labels = { "pool" });
    own_threads.high = weir_gauge_new("weir_threads_waiting_high",
                                      "The most blocking calls that have waited at once.",
                                      .labels = { "pool" });
    own_threads.refused = weir_counter_new("weir_threads_refused_total",
                                           "Blocking calls refused, as the pool was full.",
                                           .labels = { "pool" });
}

static void set_gauges(const char *pool, const weir_threads_stats *stats)
{
    weir_str name = weir_str_c(pool);

    weir_gauge_set(weir_gauge_with(own_threads.count, name), stats->threads);
    weir_gauge_set(weir_gauge_with(own_threads.running, name), stats->running);
    weir_gauge_set(weir_gauge_with(own_threads.waiting, name), stats->waiting);
    weir_gauge_set(weir_gauge_with(own_threads.high, name), stats->waiting_high);
}

/* As seen four times a second: such a pool may be gone when the metrics are read. */
static void show_threads(const struct threads_look *sum)
{
    char key[THREADS_NAME_BYTES + 16];
    uint64_t before;
    uint32_t i;

    snprintf(key, sizeof(key), THREADS_KEY "%s", sum->name);
    i = known_by(key);
    if (i == TOLD_MAX || is_common(sum->name))
        return;
    if (!own_threads.count)
        make_threads_metrics();
    set_gauges(sum->name, &sum->stats);
    /* One of them may have ended with its refusals: what is counted stays. */
    before = known.of[i].refused;
    known.of[i].refused = sum->stats.refused;
    weir_counter_add(weir_counter_with(own_threads.refused, weir_str_c(sum->name)),
                     sum->stats.refused > before ? sum->stats.refused - before : 0);
    known.of[i].look = own_threads.look;
}

/* Those that the look before has seen, and this one has not, are gone. */
static void clear_threads(void)
{
    static const weir_threads_stats none;

    for (uint32_t i = 0; i < TOLD_MAX; i++) {
        if (known.of[i].look == 0 || known.of[i].look == own_threads.look)
            continue;
        set_gauges(known.of[i].name + strlen(THREADS_KEY), &none);
        known.of[i].look = 0;
        known.of[i].refused = 0;
    }
}

static void check_all_threads(void)
{
    uint32_t count, others;
    struct threads_look *looks = look_at_threads(&count, &others), sum;

    own_threads.look++;
    for (uint32_t i = 0; i < count; i++) {
        const struct threads_look *full = &looks[i];

        if (!sum_up(looks, count, i, &sum))
            continue;
        for (uint32_t k = i; k < count && !is_full(full); k++)
            if (is_full(&looks[k]) && strcmp(looks[k].name, looks[i].name) == 0)
                full = &looks[k];
        check_threads(full);
        show_threads(&sum);
    }
    if (looks)
        clear_threads();
    base_free(looks);
}

void pools_check(void)
{
    struct guards *all = base_calloc(1, sizeof(*all));

    check_all_threads();
    for (uint32_t i = 0; all && i < loop_count(); i++) {
        if (quiet_since(i, &quiet[i].mark) && quiet[i].none)
            continue;
        if (!look_at_loop(all, i, &quiet[i].none))
            quiet[i].none = false;
    }
    for (uint32_t i = 0; all && i < all->count; i++) {
        check_guard(&all->pools[i]);
        show(&all->pools[i]);
    }
    base_free(all);
}
