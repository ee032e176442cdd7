/* The loops, for the control socket.
 *
 * What a loop's pulse says is read from outside; the rest it answers itself, and how long
 * that took to come to it is its lag, kept as a histogram from one look to the next. */
#include <errno.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "ops/ask.h"
#include "ops/control.h"
#include "ops/tasks.h"
#include "rt/loop.h"

#define LAGS 24 /* of 2^n us and up, to 2^(n + 1); the first from 0 on, the last the rest */

struct look {
    int64_t asked_ns, lag_ns;
    uint32_t tasks, scopes, ready, stacks, buffers, idle_fibers;
    size_t deepest_bytes;
    const char *backend;
};

static struct {
    pthread_mutex_t lock;
    struct {
        uint64_t lags[LAGS];
        uint64_t busy, ticks; /* at the look before */
    } of[RT_LOOPS_MAX];
} loops = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool look_step(struct loop *loop, void *state)
{
    struct look *look = state;

    look->lag_ns = clock_monotonic_ns() - look->asked_ns;
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

static void count_lag(uint32_t loop, int64_t lag_ns)
{
    uint64_t us = (uint64_t)lag_ns / 1000;
    unsigned length = 63 - (unsigned)__builtin_clzll(us | 1);

    pthread_mutex_lock(&loops.lock);
    loops.of[loop].lags[length < LAGS ? length : LAGS - 1]++;
    pthread_mutex_unlock(&loops.lock);
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
    uint64_t lengths[LAGS] = { 0 };

    for (unsigned i = 0; i < PULSE_LENGTHS; i++) {
        uint64_t us = ticks_to_ns(UINT64_C(1) << i) / 1000;
        unsigned length = 63 - (unsigned)__builtin_clzll(us | 1);

        lengths[length < LAGS ? length : LAGS - 1] += atomic_load(&pulse->lengths[i]);
    }
    add_counts(out, "turns_by_log2_us", lengths, LAGS);
}

static void add_pulse(struct strbuf *out, uint32_t index)
{
    int rc;
    struct loop *loop = runtime_enter(index, 0, &rc);
    uint64_t busy, now = ticks_now(), began, lags[LAGS];
    double share;

    if (!loop)
        return;
    began = atomic_load(&loop->pulse.began);
    busy = atomic_load(&loop->pulse.busy_ticks) + (began && began < now ? now - began : 0);
    pthread_mutex_lock(&loops.lock);
    share = now > loops.of[index].ticks && busy >= loops.of[index].busy
                ? (double)(busy - loops.of[index].busy) / (double)(now - loops.of[index].ticks)
                : 0;
    loops.of[index].busy = busy;
    loops.of[index].ticks = now;
    memcpy(lags, loops.of[index].lags, sizeof(lags));
    pthread_mutex_unlock(&loops.lock);
    strbuf_addf(out, ",\"busy_ns\":%llu,\"at_ns\":%llu", (unsigned long long)ticks_to_ns(busy),
                (unsigned long long)ticks_to_ns(now));
    strbuf_addf(out, ",\"turns\":%llu,\"busy_share\":%.4f,\"turn_ms\":%.3f",
                (unsigned long long)atomic_load(&loop->pulse.turns), share > 1 ? 1 : share,
                began && began < now ? (double)ticks_to_ns(now - began) / 1e6 : 0.0);
    add_turns(out, &loop->pulse);
    add_counts(out, "lags_by_log2_us", lags, LAGS);
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
        count_lag(index, look->lag_ns);
        strbuf_addf(out, ",\"lag_ms\":%.3f,\"tasks\":%u,\"scopes\":%u,\"ready\":%u",
                    (double)look->lag_ns / 1e6, look->tasks, look->scopes, look->ready);
        strbuf_addf(out, ",\"stacks\":%u,\"idle_stacks\":%u,\"deepest_bytes\":%zu", look->stacks,
                    look->idle_fibers, look->deepest_bytes);
        strbuf_addf(out, ",\"free_buffers\":%u", look->buffers);
        tasks_add_member(out, "backend", look->backend);
        base_free(look);
    }
    add_pulse(out, index);
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
