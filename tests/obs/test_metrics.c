/* Metrics: sums over threads, the text format, bounds, and memory that runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/log.h>
#include <weir/metrics.h>

#include "../support/fault.h"
#include "base/chain.h"
#include "base/strbuf.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "prom_check.h"

static struct strbuf text = STRBUF_INIT;

/* What is printed now, found to be sound. */
static const char *printed(void)
{
    const char *fault;

    strbuf_clear(&text);
    metrics_print(&text);
    assert_false(text.bad);
    fault = prom_check(text.ptr);
    if (fault)
        fail_msg("%s", fault);
    return text.ptr;
}

static void assert_value(const char *sample, double want)
{
    double value = prom_value(printed(), sample);

    if (value != want)
        fail_msg("%s is %g, not %g", sample, value, want);
}

static int refusal(void)
{
    const struct chain *chain = chain_current();

    return chain ? chain->links[0].code : 0;
}

/* The checker itself must see what it is for. */
static void test_the_checker(void **state)
{
#define HEAD "# HELP h x\n# TYPE h histogram\n"
    static const char *const faults[] = {
        "a 1\n",
        "# HELP a x\na 1\n",
        "# HELP a x\n# TYPE a gauge\na 1",
        "# HELP a x\n# TYPE a gauge\na\n",
        "# HELP a x\n# TYPE a gauge\na one\n",
        "# HELP a x\n# TYPE a gauge\na 1,5\n",
        "# HELP a x\n# TYPE a gauge\na 1\na 1\n",
        "# HELP a x\n# TYPE a gauge\nb 1\n",
        "# HELP a x\n# TYPE a gauge\na_sum 1\n",
        "# HELP a x\n# TYPE a gauge\na{b=\"c} 1\n",
        "# HELP a x\n# TYPE a gauge\na{b=\"\\x\"} 1\n",
        "# HELP a x\n# TYPE a gauge\na{1=\"\"} 1\n",
        "# HELP a x\n# TYPE a counter\na 1\n",
        "# HELP a \\t\n# TYPE a gauge\na 1\n",
        "# HELP a x\n# TYPE a gauge\n# HELP a x\n# TYPE a gauge\n",
        HEAD "h_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n",
        HEAD "h_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
        HEAD "h_bucket{le=\"2\"} 1\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\n",
        HEAD "h_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 2\n",
        HEAD "h_bucket 1\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        if (!prom_check(faults[i]))
            fail_msg("not found: %s", faults[i]);
    assert_null(prom_check(HEAD
                           "h_bucket{a=\"\\\"\",le=\"1\"} 1\nh_bucket{a=\"\\\"\",le=\"+Inf\"} 3\n"
                           "h_sum{a=\"\\\"\"} 1e-05\nh_count{a=\"\\\"\"} 3\n"));
#undef HEAD
}

static void test_exact_text(void **state)
{
    static const double bounds[] = { 0.5, 2 };
    weir_counter *c = weir_counter_new("exact_total", "Back\\slash and\nline.",
                                       .labels = { "a", "b" });
    weir_gauge *g = weir_gauge_new("exact_gauge", "A gauge.");
    weir_histogram *h = weir_histogram_new("exact_seconds", "Times.", .labels = { "route" },
                                           .buckets = bounds, .bucket_count = 2);
    weir_histogram *series = weir_histogram_with(h, WEIR_S("/x"));
    char *at;

    (void)state;
    weir_counter_add(weir_counter_with(c, WEIR_S("x\"y\\z\n"), WEIR_S("é")), 3);
    weir_gauge_set(g, -0.1);
    weir_histogram_observe(series, 0.5);
    weir_histogram_observe(series, 0.75);
    weir_histogram_observe_ns(series, 3000000000);
    weir_histogram_observe(series, (double)NAN);
    at = strstr((char *)printed(), "# HELP exact_total");
    assert_non_null(at);
    *strstr(at, "# HELP process_") = '\0'; /* the process's own come after those made so far */
    assert_string_equal(at, "# HELP exact_total Back\\\\slash and\\nline.\n"
                            "# TYPE exact_total counter\n"
                            "exact_total{a=\"x\\\"y\\\\z\\n\",b=\"é\"} 3\n"
                            "# HELP exact_gauge A gauge.\n"
                            "# TYPE exact_gauge gauge\n"
                            "exact_gauge -0.1\n"
                            "# HELP exact_seconds Times.\n"
                            "# TYPE exact_seconds histogram\n"
                            "exact_seconds_bucket{route=\"/x\",le=\"0.5\"} 1\n"
                            "exact_seconds_bucket{route=\"/x\",le=\"2\"} 2\n"
                            "exact_seconds_bucket{route=\"/x\",le=\"+Inf\"} 3\n"
                            "exact_seconds_sum{route=\"/x\"} 4.25\n"
                            "exact_seconds_count{route=\"/x\"} 3\n");
}

static void test_counters_and_gauges(void **state)
{
    weir_counter *c = weir_counter_new("plain_total", "x");
    weir_gauge *g = weir_gauge_new("plain", "x");

    (void)state;
    weir_counter_add(c, UINT64_MAX - 1);
    weir_counter_add(c, 1);
    assert_true(weir_counter_value(c) == UINT64_MAX);
    assert_non_null(strstr(printed(), "\nplain_total 18446744073709551615\n"));
    weir_gauge_add(g, 5);
    weir_gauge_add(g, -7);
    assert_value("plain", -2);
    weir_gauge_set(g, 10.5);
    assert_value("plain", 8.5);
    weir_gauge_set(g, (double)INFINITY);
    assert_non_null(strstr(printed(), "\nplain +Inf\n"));
    assert_true(weir_gauge_value(g) > 0);
}

/* A metric with labels shows itself without any only when it was used so. */
static void test_the_series_without_labels(void **state)
{
    weir_counter *c = weir_counter_new("bare_total", "x", .labels = { "l" });

    (void)state;
    assert_null(strstr(printed(), "\nbare_total "));
    weir_counter_add(c, 1);
    assert_value("bare_total", 1);
}

static void test_same_again(void **state)
{
    weir_counter *c = weir_counter_new("again_total", "x", .labels = { "l" });
    weir_counter *one = weir_counter_with(c, WEIR_S("1"));

    (void)state;
    assert_ptr_equal(weir_counter_new("again_total", "y", .labels = { "l" }), c);
    assert_ptr_equal(weir_counter_with(c, WEIR_S("1")), one);
    assert_ptr_not_equal(weir_counter_with(c, WEIR_S("2")), one);
    assert_null(weir_gauge_new("again_total", "x", .labels = { "l" }));
    assert_int_equal(refusal(), -EEXIST);
    assert_null(weir_counter_new("again_total", "x", .labels = { "m" }));
    assert_null(weir_counter_new("again_total", "x"));
}

static void test_refusals(void **state)
{
    static const double falling[] = { 2, 1 }, endless[] = { 1, INFINITY };
    weir_histogram *h;

    (void)state;
#define REFUSED(call)                          \
    do {                                       \
        weir_recover();                        \
        assert_null(call);                     \
        assert_int_equal(refusal(), -EINVAL);  \
    } while (0)
    REFUSED(weir_counter_new("", "x"));
    REFUSED(weir_counter_new("1_total", "x"));
    REFUSED(weir_counter_new("a-b_total", "x"));
    REFUSED(weir_counter_new("\xc3\xa9_total", "x"));
    REFUSED(weir_counter_new("no_suffix", "x"));
    REFUSED(weir_counter_new("_total", "x"));
    REFUSED(weir_counter_new("l_total", "x", .labels = { "a:b" }));
    REFUSED(weir_counter_new("l_total", "x", .labels = { "__a" }));
    REFUSED(weir_counter_new("l_total", "x", .labels = { "a", "a" }));
    REFUSED(weir_counter_new("l_total", "x", .max_series = 100001));
    REFUSED(weir_gauge_new("g", "x", .buckets = falling, .bucket_count = 2));
    REFUSED(weir_histogram_new("h", "x", .labels = { "le" }));
    REFUSED(weir_histogram_new("h", "x", .buckets = falling, .bucket_count = 2));
    REFUSED(weir_histogram_new("h", "x", .buckets = endless, .bucket_count = 2));
    REFUSED(weir_histogram_new("h", "x", .bucket_count = 2));
    REFUSED(weir_histogram_new("h", "x", .buckets = falling, .bucket_count = 33));
    REFUSED(
        weir_counter_with(weir_counter_new("two_total", "x", .labels = { "a", "b" }), WEIR_S("1")));
    REFUSED(weir_counter_with(weir_counter_new("none_total", "x"), WEIR_S("1")));
#undef REFUSED
    h = weir_histogram_new("mine", "x");
    assert_non_null(h);
    assert_null(weir_gauge_new("mine_sum", "x")); /* it would read as the histogram's */
    assert_int_equal(refusal(), -EEXIST);
    assert_non_null(weir_gauge_new("yours_count", "x"));
    assert_null(weir_histogram_new("yours", "x"));
    weir_recover();
    weir_counter_add(NULL, 1);
    weir_gauge_add(NULL, 1);
    weir_gauge_set(NULL, 1);
    weir_histogram_observe(NULL, 1);
    assert_null(weir_counter_with(NULL, WEIR_S("1")));
    printed();
}

static struct strbuf logged = STRBUF_INIT;

static ssize_t keep_log(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    strbuf_add(&logged, weir_str_from(bytes, len));
    return (ssize_t)len;
}

static void test_cardinality(void **state)
{
    weir_counter *c = weir_counter_new("many_total", "x", .labels = { "user", "x" });
    weir_counter *other;
    size_t lines = 0;
    char name[16];

    (void)state;
    assert_int_equal(weir_log_open(.sink = keep_log, .sync = true, .form = WEIR_LOG_TEXT), 0);
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "u%d", i);
        weir_counter_add(weir_counter_with(c, weir_str_c(name), WEIR_S("y")), 1);
    }
    weir_log_close();
    assert_value("many_total{user=\"u999\",x=\"y\"}", 1);
    assert_value("many_total{user=\"other\",x=\"other\"}", 2000);
    assert_true(isnan(prom_value(text.ptr, "many_total{user=\"u1000\",x=\"y\"}")));
    for (const char *at = text.ptr; (at = strstr(at, "\nmany_total{")); at++)
        lines++;
    assert_int_equal(lines, 1001);
    other = weir_counter_with(c, WEIR_S("other"), WEIR_S("other"));
    assert_int_equal(weir_counter_value(other), 2000);
    assert_non_null(strstr(logged.ptr, " WARN  metric many_total has reached its 1000 series"));
    assert_ptr_equal(strchr(logged.ptr, '\n') + 1, logged.ptr + logged.len); /* once */
    strbuf_done(&logged);
}

static void test_label_values_are_bounded(void **state)
{
    static char big[129];
    weir_counter *c = weir_counter_new("values_total", "x", .labels = { "v" });

    (void)state;
    memset(big, 'x', sizeof big);
    weir_counter_add(weir_counter_with(c, weir_str_from(big, 128)), 1);
    weir_counter_add(weir_counter_with(c, weir_str_from(big, 129)), 1);
    weir_counter_add(weir_counter_with(c, WEIR_S("\xff")), 1);
    weir_counter_add(weir_counter_with(c, WEIR_S("")), 1);
    assert_value("values_total{v=\"other\"}", 2);
    assert_value("values_total{v=\"\"}", 1);
}

static double answer(void *arg)
{
    return *(double *)arg;
}

static void test_read_when_printed(void **state)
{
    static double value = 1.5;

    (void)state;
    assert_non_null(weir_gauge_new("asked", "x", .read = answer, .arg = &value));
    assert_value("asked", 1.5);
    value = 1e21;
    assert_value("asked", 1e21);
    value = 1.0 / 3;
    assert_value("asked", 1.0 / 3); /* reads back as the same number */
}

static void test_process(void **state)
{
    const char *all = printed();
    double cpu = prom_value(all, "process_cpu_seconds_total");
    double fds = prom_value(all, "process_open_fds"), start;
    int fd = dup(1);

    (void)state;
    assert_true(cpu > 0 && cpu < 1000);
    assert_true(prom_value(all, "process_resident_memory_bytes") > 100000);
    assert_true(prom_value(all, "process_virtual_memory_bytes") >
                prom_value(all, "process_resident_memory_bytes"));
    assert_true(fds >= 3);
    assert_true(prom_value(all, "process_max_fds") > fds);
    start = prom_value(all, "process_start_time_seconds");
    assert_true(fabs(start - (double)time(NULL)) < 120);
    assert_value("process_open_fds", fds + 1);
    close(fd);
    assert_true(prom_value(text.ptr, "weir_budget_bytes{kind=\"queue\"}") >= 0);
    assert_true(prom_value(text.ptr, "weir_budget_limit_bytes") >= 0);
    assert_true(prom_value(text.ptr, "weir_log_lines_total{level=\"warn\"}") >= 1);
    assert_true(prom_value(text.ptr, "weir_log_dropped_total{level=\"warn\"}") >= 0);
}

static int stop_after_two(void *arg, weir_str part)
{
    assert_true(part.len > 0 && part.ptr[part.len - 1] == '\n');
    assert_memory_equal(part.ptr, "# HELP ", 7);
    return ++*(int *)arg == 2 ? -EPIPE : 0;
}

static void test_print_in_parts(void **state)
{
    int calls = 0;

    (void)state;
    assert_int_equal(weir_metrics_print(stop_after_two, &calls), -EPIPE);
    assert_int_equal(calls, 2);
}

/* ---- threads ---- */

#define THREADS 6
#define EACH 100000

static weir_counter *shared;
static weir_histogram *times;
static _Atomic bool done;

static void *count(void *arg)
{
    weir_counter *mine = weir_counter_with(shared, weir_str_c(arg));
    weir_counter *all = weir_counter_with(shared, WEIR_S("all"));

    for (int i = 0; i < EACH; i++) {
        weir_counter_add(mine, 1);
        weir_counter_add(all, 2);
        if (i % 4 == 0)
            weir_histogram_observe(times, 0.25);
    }
    return NULL;
}

/* Sums never fall, and what is printed meanwhile is sound. */
static void *watch(void *arg)
{
    uint64_t last = 0;

    (void)arg;
    while (!atomic_load(&done)) {
        uint64_t now = weir_counter_value(weir_counter_with(shared, WEIR_S("all")));

        assert_true(now >= last);
        last = now;
        printed();
    }
    return NULL;
}

static void test_threads(void **state)
{
    char names[THREADS][8];
    pthread_t threads[THREADS], watcher;

    (void)state;
    shared = weir_counter_new("shared_total", "x", .labels = { "thread" });
    times = weir_histogram_new("times_seconds", "x");
    assert_int_equal(pthread_create(&watcher, NULL, watch, NULL), 0);
    for (int round = 0; round < 2; round++) { /* the second takes over what the first left */
        for (int i = 0; i < THREADS; i++) {
            snprintf(names[i], sizeof names[i], "t%d", i);
            assert_int_equal(pthread_create(&threads[i], NULL, count, names[i]), 0);
        }
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
    }
    atomic_store(&done, true);
    pthread_join(watcher, NULL);
    assert_value("shared_total{thread=\"t3\"}", 2 * EACH);
    assert_value("shared_total{thread=\"all\"}", 4.0 * THREADS * EACH);
    assert_int_equal(weir_histogram_count(times), 2 * THREADS * EACH / 4);
    assert_value("times_seconds_sum", 2.0 * THREADS * EACH / 16);
}

/* ---- memory ---- */

/* A thread that gets no cells of its own counts all the same. */
static void *count_one(void *arg)
{
    weir_counter_add(arg, 1);
    weir_histogram_observe(times, 1);
    return NULL;
}

static void test_no_memory_for_cells(void **state)
{
    struct fault fault;
    pthread_t threads[20];
    weir_counter *c = NULL;
    char name[32];

    (void)state;
    for (int i = 0; i < 600; i++) { /* into a chunk that no thread has touched */
        snprintf(name, sizeof name, "fill%d_total", i);
        c = weir_counter_new_opt(name, "x",
                                 &(weir_metric_opts){ .size = sizeof(weir_metric_opts) });
        assert_non_null(c);
    }
    times = weir_histogram_new("late_seconds", "x");
    fault_begin(&fault);
    fault_set(&fault, 1, true);
    for (int i = 0; i < 20; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_one, c), 0);
    for (int i = 0; i < 20; i++)
        pthread_join(threads[i], NULL);
    fault_end(&fault);
    assert_int_equal(weir_counter_value(c), 20);
    assert_int_equal(weir_histogram_count(times), 20);
    assert_value("late_seconds_sum", 20);
}

/* Each allocation fails in turn; nothing half-made is left to be found. */
static void test_failing_allocations(void **state)
{
    int made = 0;
    char name[32];

    (void)state;
    for (int64_t nth = 1; nth < 60; nth++) {
        struct fault fault;
        weir_histogram *h, *s;

        snprintf(name, sizeof name, "swept%lld_seconds", (long long)nth);
        fault_begin(&fault);
        fault_set(&fault, nth, false);
        h = weir_histogram_new_opt(
            name, "x",
            &(weir_metric_opts){ .size = sizeof(weir_metric_opts), .labels = { "a", "b" } });
        s = h ? weir_histogram_with(h, WEIR_S("1"), WEIR_S("2")) : NULL;
        fault_set(&fault, 0, false);
        assert_true(s || refusal() == -ENOMEM || !chain_current());
        weir_recover();
        fault_end(&fault);
        made += s != NULL;
        h = weir_histogram_new_opt(
            name, "x",
            &(weir_metric_opts){ .size = sizeof(weir_metric_opts), .labels = { "a", "b" } });
        s = weir_histogram_with(h, WEIR_S("1"), WEIR_S("2"));
        assert_non_null(s);
        weir_histogram_observe(s, 1);
        assert_int_equal(weir_histogram_count(s), 1);
        weir_recover();
    }
    assert_in_range(made, 30, 55);
    printed();
}

/* No text is better than half of one. */
static void test_printing_without_memory(void **state)
{
    struct fault fault;
    struct strbuf out = STRBUF_INIT;
    int calls = -100000;

    (void)state;
    fault_begin(&fault);
    fault_set(&fault, 1, true);
    metrics_print(&out);
    assert_true(out.bad);
    assert_int_equal(weir_metrics_print(stop_after_two, &calls), -ENOMEM);
    assert_int_equal(calls, -100000);
    fault_end(&fault);
    strbuf_done(&out);
}

/* 1,024 metrics are the end; those that are there go on. */
static void test_too_many_metrics(void **state)
{
    weir_counter *c, *last = NULL;
    char name[32];

    (void)state;
    for (int i = 0; i < 1100; i++) {
        snprintf(name, sizeof name, "more%d_total", i);
        c = weir_counter_new_opt(name, "x",
                                 &(weir_metric_opts){ .size = sizeof(weir_metric_opts) });
        last = c ? c : last;
    }
    assert_null(c);
    assert_int_equal(refusal(), WEIR_EFULL);
    weir_recover();
    weir_counter_add(last, 1);
    assert_int_equal(weir_counter_value(last), 1);
    printed();
    strbuf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_checker),
        cmocka_unit_test(test_exact_text),
        cmocka_unit_test(test_counters_and_gauges),
        cmocka_unit_test(test_the_series_without_labels),
        cmocka_unit_test(test_same_again),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_cardinality),
        cmocka_unit_test(test_label_values_are_bounded),
        cmocka_unit_test(test_read_when_printed),
        cmocka_unit_test(test_process),
        cmocka_unit_test(test_print_in_parts),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_no_memory_for_cells),
        cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_printing_without_memory),
        cmocka_unit_test(test_too_many_metrics),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
