/* What the pools of threads for blocking calls tell of themselves: what they are
 * doing and have done, read from the pools when it is asked for, and how long each
 * call waited for its thread, counted as it begins. The pools of a program's own
 * are in the second alone, as they may end before they are asked. */
#include "obs/metrics_threads.h"

#include <math.h>
#include <pthread.h>

#include <weir/metrics.h>

#include "obs/metrics.h"
#include "rt/block.h"
#include "rt/rt.h"

static const double queue_bounds[] = { 1e-5, 1e-4, 1e-3, 5e-3, 0.025, 0.1, 0.5, 2.5, 10 };

static struct {
    pthread_once_t once;
    weir_histogram *queue;
} threads = { .once = PTHREAD_ONCE_INIT };

static void observe(void *_Atomic *place, const char *pool, int64_t queued_ns)
{
    weir_histogram *series = atomic_load_explicit(place, memory_order_acquire);

    if (!series) { /* the same one, whoever is first */
        series = weir_histogram_with(threads.queue, weir_str_c(pool));
        atomic_store_explicit(place, series, memory_order_release);
    }
    weir_histogram_observe_ns(series, queued_ns);
}

/* The pool's figures, or all zero where no runtime runs. */
static weir_threads_stats stats_of(void *arg)
{
    weir_threads_stats stats = { 0 };

    if (loop_count() > 0)
        weir_threads_read_stats(weir_threads_common((weir_threads_kind)(intptr_t)arg), &stats);
    return stats;
}

static double read_threads(void *arg)
{
    return stats_of(arg).threads;
}

static double read_running(void *arg)
{
    return stats_of(arg).running;
}

static double read_waiting(void *arg)
{
    return stats_of(arg).waiting;
}

static double read_high(void *arg)
{
    return stats_of(arg).waiting_high;
}

static double read_refused(void *arg)
{
    return (double)stats_of(arg).refused;
}

static double read_abandoned(void *arg)
{
    return (double)stats_of(arg).abandoned;
}

static double read_busy(void *arg)
{
    return (double)stats_of(arg).run_total_ns / 1e9;
}

static void add(void)
{
    static const char *const pools[] = { "calls", "files", "cpu" };
    weir_gauge *count = weir_gauge_new("weir_threads", "Threads of a pool for blocking calls.",
                                       .labels = { "pool" });
    weir_gauge *running = weir_gauge_new("weir_threads_running", "Blocking calls under way.",
                                         .labels = { "pool" });
    weir_gauge *waiting = weir_gauge_new(
        "weir_threads_waiting", "Blocking calls that wait for a thread.", .labels = { "pool" });
    weir_gauge *high = weir_gauge_new("weir_threads_waiting_high",
                                      "The most blocking calls that have waited at once.",
                                      .labels = { "pool" });
    weir_counter *refused = weir_counter_new("weir_threads_refused_total",
                                             "Blocking calls refused, as the pool was full.",
                                             .labels = { "pool" });
    weir_counter *abandoned = weir_counter_new("weir_threads_abandoned_total",
                                               "Blocking calls whose caller went before their end.",
                                               .labels = { "pool" });
    weir_counter *busy = weir_counter_new("weir_threads_busy_seconds_total",
                                          "Time spent in blocking calls.", .labels = { "pool" });

    for (intptr_t kind = WEIR_THREADS_CALLS; kind <= WEIR_THREADS_CPU; kind++) {
        weir_str pool = weir_str_c(pools[kind]);

        metrics_read_gauge(weir_gauge_with(count, pool), read_threads, (void *)kind);
        metrics_read_gauge(weir_gauge_with(running, pool), read_running, (void *)kind);
        metrics_read_gauge(weir_gauge_with(waiting, pool), read_waiting, (void *)kind);
        metrics_read_gauge(weir_gauge_with(high, pool), read_high, (void *)kind);
        metrics_read_counter(weir_counter_with(refused, pool), read_refused, (void *)kind);
        metrics_read_counter(weir_counter_with(abandoned, pool), read_abandoned, (void *)kind);
        metrics_read_counter(weir_counter_with(busy, pool), read_busy, (void *)kind);
    }
    threads.queue = weir_histogram_new(
        "weir_threads_queue_seconds", "Time from a blocking call to its beginning on a thread.",
        .labels = { "pool" }, .buckets = queue_bounds,
        .bucket_count = sizeof(queue_bounds) / sizeof(*queue_bounds));
    threads_on_queued(observe);
}

void metrics_threads_add(void)
{
    pthread_once(&threads.once, add);
}
