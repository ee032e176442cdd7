/* Metrics: counters, gauges and histograms, in the text form of Prometheus.
 *
 *     weir_counter *orders = weir_counter_new("orders_total", "Orders taken.",
 *                                             .labels = { "kind" });
 *     weir_counter *books = weir_counter_with(orders, WEIR_S("book"));
 *     …
 *     weir_counter_add(books, 1);
 *
 * Each thread adds to cells of its own, without a locked instruction; whoever
 * prints adds them up. So an addition costs a nanosecond or two. Metrics and
 * their series are made at the start (or looked up once and kept), and live as
 * long as the process.
 *
 * What bounds them: 8 labels a metric; 1,000 series a metric unless it says
 * otherwise, beyond which everything further is counted in one series whose
 * labels are all "other", and one warning is logged; label values of 128 bytes
 * of UTF-8 (others become "other"); 1,024 metrics and 131,072 cells in all (a
 * series takes one; of a histogram, one a bucket and two more).
 *
 * Every function here takes a NULL metric and does nothing, so that a program
 * whose metric was refused goes on. */
#ifndef WEIR_METRICS_H
#define WEIR_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include <weir/export.h>
#include <weir/str.h>

WEIR_BEGIN

/* A counter only goes up; a gauge goes both ways; a histogram counts
 * observations by size. One with labels stands for its series without any, and
 * gives the others with …_with(). */
typedef struct weir_counter weir_counter;
typedef struct weir_gauge weir_gauge;
typedef struct weir_histogram weir_histogram;

#define WEIR_LABELS_MAX 8
#define WEIR_BUCKETS_MAX 32
#define WEIR_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

typedef struct weir_metric_opts {
    size_t size;                         /* set by the macro */
    const char *labels[WEIR_LABELS_MAX]; /* their names; static storage */
    uint32_t max_series;                 /* unset: 1,000; at most 100,000 */
    const double *buckets;               /* of a histogram: upper bounds, rising, without
                                            infinity; copied; unset: 5 ms to 10 s */
    uint32_t bucket_count;
    double (*read)(void *arg);           /* of a counter or gauge without labels: asked
                                            whenever it is printed; from any thread */
    void *arg;
} weir_metric_opts;

#define WEIR_METRIC_OPTS_(...) \
    &(weir_metric_opts){ .size = sizeof(weir_metric_opts), __VA_ARGS__ }

#define weir_counter_new(name, help, ...) \
    weir_counter_new_opt(name, help, WEIR_METRIC_OPTS_(__VA_ARGS__))
#define weir_gauge_new(name, help, ...) \
    weir_gauge_new_opt(name, help, WEIR_METRIC_OPTS_(__VA_ARGS__))
#define weir_histogram_new(name, help, ...) \
    weir_histogram_new_opt(name, help, WEIR_METRIC_OPTS_(__VA_ARGS__))

/* The series with these label values (slices, as many as the metric has labels). */
#define weir_counter_with(metric, ...)                                         \
    weir_counter_series(metric, (const weir_str[]){ __VA_ARGS__ },             \
                        sizeof((const weir_str[]){ __VA_ARGS__ }) / sizeof(weir_str))
#define weir_gauge_with(metric, ...)                                           \
    weir_gauge_series(metric, (const weir_str[]){ __VA_ARGS__ },               \
                      sizeof((const weir_str[]){ __VA_ARGS__ }) / sizeof(weir_str))
#define weir_histogram_with(metric, ...)                                       \
    weir_histogram_series(metric, (const weir_str[]){ __VA_ARGS__ },           \
                          sizeof((const weir_str[]){ __VA_ARGS__ }) / sizeof(weir_str))

/* Make a counter; its name ends in "_total". The same name, kind and labels
 * again give the same counter.
 *
 * Checkpoint: never.
 * Returns:    the counter, or NULL, with the reason in the error chain:
 *   -EINVAL      a name is malformed, or an option is out of its range
 *   -EEXIST      the name is taken by another kind, or with other labels
 *   WEIR_EFULL   there are 1,024 metrics, or no cells are left
 *   -ENOMEM      no memory
 * Ownership:  the process's; it is never freed. Name and help are copied.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1, 2, 3)
weir_counter *weir_counter_new_opt(const char *name, const char *help,
                                   const weir_metric_opts *opts);

/* Make a gauge. The same name, kind and labels again give the same gauge.
 *
 * Checkpoint: never.
 * Returns:    the gauge, or NULL as weir_counter_new_opt().
 * Ownership:  the process's; it is never freed. Name and help are copied.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1, 2, 3)
weir_gauge *weir_gauge_new_opt(const char *name, const char *help, const weir_metric_opts *opts);

/* Make a histogram. The same name, kind, labels and buckets again give the same
 * histogram.
 *
 * Checkpoint: never.
 * Returns:    the histogram, or NULL as weir_counter_new_opt().
 * Ownership:  the process's; it is never freed. Name and help are copied.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1, 2, 3)
weir_histogram *weir_histogram_new_opt(const char *name, const char *help,
                                       const weir_metric_opts *opts);

/* One series of a counter: found, or made when it is new. Keep it rather than
 * look it up each time.
 *
 * Checkpoint: never.
 * Returns:    the series; at the metric's bound the one called "other"; NULL,
 *   with the reason in the error chain:
 *   -EINVAL      count is not the number of the metric's labels
 *   WEIR_EFULL   no cells are left
 *   -ENOMEM      no memory
 * Ownership:  the process's. The values are copied.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API weir_counter *weir_counter_series(weir_counter *metric, const weir_str *values,
                                           size_t count);

/* One series of a gauge.
 *
 * Checkpoint: never.
 * Returns:    the series, or NULL, as weir_counter_series().
 * Ownership:  the process's. The values are copied.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API weir_gauge *weir_gauge_series(weir_gauge *metric, const weir_str *values, size_t count);

/* One series of a histogram.
 *
 * Checkpoint: never.
 * Returns:    the series, or NULL, as weir_counter_series().
 * Ownership:  the process's. The values are copied.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API weir_histogram *weir_histogram_series(weir_histogram *metric, const weir_str *values,
                                               size_t count);

/* Add to a counter.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  takes nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API void weir_counter_add(weir_counter *counter, uint64_t n);

/* What a counter has come to, over all threads.
 *
 * Checkpoint: never.
 * Returns:    the sum; what other threads add meanwhile may be missing.
 * Ownership:  takes nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API uint64_t weir_counter_value(const weir_counter *counter);

/* Move a gauge up or down: for what each thread counts for itself, such as open
 * connections.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  takes nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API void weir_gauge_add(weir_gauge *gauge, int64_t n);

/* Set a gauge: for what one place knows. A gauge's value is what was set last,
 * and what was added over its life.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  takes nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API void weir_gauge_set(weir_gauge *gauge, double value);

/* What a gauge stands at.
 *
 * Checkpoint: never.
 * Returns:    the value.
 * Ownership:  takes nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API double weir_gauge_value(const weir_gauge *gauge);

/* Count an observation, in the unit of the buckets (seconds for times).
 *
 * Checkpoint: never.
 * Returns:    nothing; what is not a number is ignored.
 * Ownership:  takes nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API void weir_histogram_observe(weir_histogram *histogram, double value);

/* Count a duration in a histogram of seconds.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  takes nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API void weir_histogram_observe_ns(weir_histogram *histogram, int64_t ns);

/* How many observations a histogram has counted.
 *
 * Checkpoint: never.
 * Returns:    the number, over all threads.
 * Ownership:  takes nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API uint64_t weir_histogram_count(const weir_histogram *histogram);

/* Print all metrics in the Prometheus text format, version 0.0.4: write is
 * called once a metric, with whole lines. Beside the program's own there are
 * those of the process (process_cpu_seconds_total …), of the byte budget and of
 * the log.
 *
 * Checkpoint: never (write may be one).
 * Returns:    0, or
 *   -ENOMEM      no memory
 *   CODE         write returned something negative: printing stopped there
 * Ownership:  text is borrowed during the call.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1)
int weir_metrics_print(int (*write)(void *arg, weir_str text), void *arg);

WEIR_END

#endif
