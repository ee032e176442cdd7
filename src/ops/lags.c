/* See lags.h.
 *
 * Once a second a loop is sent a message that says when it was sent. Its lag is the time
 * until the loop comes to it, or that by which a timer is overdue then, whichever is more:
 * messages are taken between two batches of tasks, timers once a turn.
 *
 * A loop that is parked, and in which no task has run since, has nothing that could be late:
 * it is not woken. One that has not come to its message is sent no other: a lag of many
 * seconds counts once, with its whole length.
 *
 * How busy it was is the difference of what its pulse says a second apart, which takes
 * nothing from the loop, and is one figure for all who ask.
 *
 * A probe: FREE -> SENT (by the checks' thread) -> DONE (by the loop) -> FREE. The loop
 * touches it in SENT alone. One that was sent in a run of the runtime that is over is never
 * come to: the next run begins with all of them free. */
#include "ops/lags.h"

#include <stdio.h>
#include <string.h>

#include <weir/metrics.h>

#include "base/clock.h"
#include "ops/parts.h"
#include "ops/quiet.h"
#include "rt/loop.h"

#define LOOKS (1000 / CHECKS_MS) /* once a second */

enum { PROBE_FREE, PROBE_SENT, PROBE_DONE };

struct probe {
    struct message message;
    _Atomic int state;
    _Atomic int64_t sent_ns;
    int64_t lag_ns;
    struct quiet quiet;
};

static struct {
    pthread_mutex_t lock; /* of looks and what they are made from; not the loops' */
    struct probe probes[RT_LOOPS_MAX];
    struct lags_look looks[RT_LOOPS_MAX];
    struct {
        uint64_t busy, ticks; /* a second ago; ticks 0: never */
    } before[RT_LOOPS_MAX];
    weir_histogram *series[RT_LOOPS_MAX], *lags;
    uint32_t run, turn;
} all = { .lock = PTHREAD_MUTEX_INITIALIZER };

static const double bounds[] = { 2e-5, 1e-4, 5e-4, 1e-3, 5e-3, 0.02, 0.1, 0.5, 2.5 };

/* On the loop. */
static void arrived(struct message *message)
{
    struct probe *probe = container_of(message, struct probe, message);
    int64_t now_ns = clock_monotonic_ns();
    int64_t lag_ns = now_ns - atomic_load(&probe->sent_ns);
    int64_t overdue_ns = now_ns - loop_next_timer_ns(loop_current);

    probe->lag_ns = overdue_ns > lag_ns ? overdue_ns : lag_ns;
    atomic_store(&probe->state, PROBE_DONE);
}

/* The run of the runtime that there is, 0: none. */
static uint32_t current_run(void)
{
    int rc;
    uint32_t run;

    if (!runtime_enter(0, 0, &rc))
        return 0;
    run = runtime_number();
    runtime_leave();
    return run;
}

static void begin_run(uint32_t run)
{
    all.run = run;
    for (uint32_t i = 0; i < RT_LOOPS_MAX; i++) {
        all.probes[i] = (struct probe){ .message.run = arrived };
        all.looks[i] = (struct lags_look){ .last_ns = -1, .busy_share = -1 };
        all.before[i].ticks = 0;
    }
}

static weir_histogram *series_of(uint32_t loop)
{
    char name[16];

    if (!all.lags)
        all.lags = weir_histogram_new(
            "weir_loop_lag_seconds",
            "How late a loop came to what another thread woke it for, or to a timer: measured "
            "once a second where tasks run.",
            .labels = { "loop" }, .buckets = bounds,
            .bucket_count = sizeof(bounds) / sizeof(*bounds));
    if (!all.series[loop]) {
        snprintf(name, sizeof(name), "%u", loop);
        all.series[loop] = weir_histogram_with(all.lags, weir_str_c(name));
    }
    return all.series[loop];
}

/* What has arrived, if anything has. */
static void collect(uint32_t index)
{
    struct probe *probe = &all.probes[index];

    if (atomic_load(&probe->state) != PROBE_DONE)
        return;
    all.looks[index].counts[lags_class((uint64_t)probe->lag_ns / 1000)]++;
    all.looks[index].last_ns = probe->lag_ns;
    weir_histogram_observe_ns(series_of(index), probe->lag_ns);
    atomic_store(&probe->state, PROBE_FREE);
}

static void send_probe(struct loop *loop)
{
    struct probe *probe = &all.probes[loop->index];

    if (atomic_load(&probe->state) != PROBE_FREE)
        return;
    atomic_store(&probe->sent_ns, clock_monotonic_ns());
    atomic_store(&probe->state, PROBE_SENT);
    loop_post(loop, &probe->message);
}

static void read_busy(const struct loop *loop)
{
    uint32_t i = loop->index;
    uint64_t now = ticks_now(), began = atomic_load(&loop->pulse.began);
    uint64_t busy = atomic_load(&loop->pulse.busy_ticks);
    double share = -1;

    if (began && began < now)
        busy += now - began;
    if (all.before[i].ticks && now > all.before[i].ticks) {
        /* A turn that ended between the two reads is missing, or is in it twice. */
        share = busy > all.before[i].busy
                    ? (double)(busy - all.before[i].busy) / (double)(now - all.before[i].ticks)
                    : 0;
        share = share > 1 ? 1 : share;
    }
    all.looks[i].busy_share = share;
    all.before[i].busy = busy;
    all.before[i].ticks = now;
}

static void measure(uint32_t index)
{
    bool quiet = quiet_since(index, &all.probes[index].quiet);
    int rc;
    struct loop *loop = runtime_enter(index, all.run, &rc);

    if (!loop)
        return;
    read_busy(loop);
    if (!quiet && atomic_load(&loop->thread_id) != 0)
        send_probe(loop);
    runtime_leave();
}

void lags_check(void)
{
    bool due = all.turn++ % LOOKS == 0;
    uint32_t run = current_run();

    if (run == 0)
        return;
    pthread_mutex_lock(&all.lock);
    if (all.run != run)
        begin_run(run);
    for (uint32_t i = 0; i < loop_count(); i++) {
        collect(i);
        if (due)
            measure(i);
    }
    pthread_mutex_unlock(&all.lock);
}

void lags_read(uint32_t loop, struct lags_look *ret_look)
{
    uint32_t run = current_run();

    *ret_look = (struct lags_look){ .last_ns = -1, .busy_share = -1 };
    pthread_mutex_lock(&all.lock);
    if (run != 0 && all.run == run) {
        *ret_look = all.looks[loop];
        if (atomic_load(&all.probes[loop].state) == PROBE_SENT)
            ret_look->pending_ns = clock_monotonic_ns() - atomic_load(&all.probes[loop].sent_ns);
    }
    pthread_mutex_unlock(&all.lock);
}
