/* The loops, for the control socket.
 *
 * What a loop's pulse says is read from outside, and lags.c measures its lag and how busy it
 * is, whoever asks; the rest it answers itself. No asker changes what another one is told. */
#include <errno.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "ops/ask.h"
#include "ops/control.h"
#include "ops/lags.h"
#include "ops/tasks.h"
#include "rt/loop.h"

struct look {
    int64_t asked_ns, took_ns;
    uint32_t tasks, scopes, ready, stacks, buffers, idle_fibers;
    size_t deepest_bytes;
    const char *backend;
};

static bool look_step(struct loop *loop, void *state)
{
    struct look *look = state;

    look->took_ns = clock_monotonic_ns() - look->asked_ns;
    look->tasks = loop->tasks.used;
    look->scopes = loop->scopes.used;
    look->ready = loop->ready.pushed - loop->ready.popped;
    look->stacks = loop->stacks.taken;
    look->deepest_bytes = loop->stacks.deepest_bytes;
    look->buffers = loop->bufs.free_count;
    look->idle_fibers = loop->idle_fiber_count;
    look->backend = loop->ops->name;
    return true;
}

static void add_counts(struct strbuf *out, const char *name, const uint64_t *counts, unsigned n)
{
    while (n > 0 && counts[n - 1] == 0)
        n--;
    strbuf_addf(out, ",\"%s\":[", name);
    for (unsigned i = 0; i < n; i++)
        strbuf_addf(out, "%s%llu", i ? "," : "", (unsigned long long)counts[i]);
    strbuf_add_char(out, ']');
}

/* Turn lengths in powers of two of microseconds, as the lags are. */
static void add_turns(struct strbuf *out, const struct pulse *pulse)
{
    uint64_t lengths[LAGS_CLASSES] = { 0 };

    for (unsigned i = 0; i < PULSE_LENGTHS; i++) {
        uint64_t us = ticks_to_ns(UINT64_C(1) << i) / 1000;

        lengths[lags_class(us)] += atomic_load(&pulse->lengths[i]);
    }
    add_counts(out, "turns_by_log2_us", lengths, LAGS_CLASSES);
}

/* The upper end of the class that holds the lag which so many of 100 stay below. */
static double lag_ms_of(const uint64_t *counts, unsigned percent)
{
    uint64_t sum = 0, below = 0;

    for (unsigned i = 0; i < LAGS_CLASSES; i++)
        sum += counts[i];
    for (unsigned i = 0; i < LAGS_CLASSES; i++) {
        below += counts[i];
        if (sum > 0 && below * 100 >= sum * percent)
            return (double)(UINT64_C(2) << i) / 1000;
    }
    return 0;
}

static void add_lags(struct strbuf *out, uint32_t index)
{
    struct lags_look look;
    int64_t lag_ns;

    lags_read(index, &look);
    lag_ns = look.pending_ns > look.last_ns ? look.pending_ns : look.last_ns;
    if (look.busy_share >= 0)
        strbuf_addf(out, ",\"busy_share\":%.4f", look.busy_share);
    if (lag_ns >= 0)
        strbuf_addf(out, ",\"lag_ms\":%.3f,\"lag_p50_ms\":%.3f,\"lag_p99_ms\":%.3f",
                    (double)lag_ns / 1e6, lag_ms_of(look.counts, 50), lag_ms_of(look.counts, 99));
    add_counts(out, "lags_by_log2_us", look.counts, LAGS_CLASSES);
}

static void add_pulse(struct strbuf *out, uint32_t index)
{
    int rc;
    struct loop *loop = runtime_enter(index, 0, &rc);
    uint64_t busy, now = ticks_now(), began;

    if (!loop)
        return;
    began = atomic_load(&loop->pulse.began);
    busy = atomic_load(&loop->pulse.busy_ticks) + (began && began < now ? now - began : 0);
    strbuf_addf(out, ",\"busy_ns\":%llu,\"at_ns\":%llu", (unsigned long long)ticks_to_ns(busy),
                (unsigned long long)ticks_to_ns(now));
    strbuf_addf(out, ",\"turns\":%llu,\"turn_ms\":%.3f",
                (unsigned long long)atomic_load(&loop->pulse.turns),
                began && began < now ? (double)ticks_to_ns(now - began) / 1e6 : 0.0);
    add_turns(out, &loop->pulse);
    runtime_leave();
}

static void add_loop(struct strbuf *out, uint32_t index)
{
    struct look *look = base_calloc(1, sizeof(*look));
    int rc = -ENOMEM;

    if (look) {
        look->asked_ns = clock_monotonic_ns();
        rc = ask_loop(index, look_step, look, NULL, TASKS_ANSWER_MS);
    }
    tasks_add_loop(out, index, rc);
    if (!out->bad)
        out->len--; /* its brace: there is more to say */
    if (rc == 0) {
        strbuf_addf(out, ",\"answer_ms\":%.3f,\"tasks\":%u,\"scopes\":%u,\"ready\":%u",
                    (double)look->took_ns / 1e6, look->tasks, look->scopes, look->ready);
        strbuf_addf(out, ",\"stacks\":%u,\"idle_stacks\":%u,\"deepest_bytes\":%zu", look->stacks,
                    look->idle_fibers, look->deepest_bytes);
        strbuf_addf(out, ",\"free_buffers\":%u", look->buffers);
        tasks_add_member(out, "backend", look->backend);
        base_free(look);
    }
    add_pulse(out, index);
    add_lags(out, index);
    strbuf_add_char(out, '}');
}

int control_loops(struct strbuf *out, const char *args)
{
    uint32_t count = loop_count();

    (void)args;
    strbuf_add_c(out, "{\"loops\":[");
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            strbuf_add_char(out, ',');
        add_loop(out, i);
    }
    strbuf_add_c(out, "]}");
    return 0;
}
