/* What the pools of threads tell in the metrics. */
#include "support/in_task.h"

#include <stdatomic.h>

#include <weir/block.h>

#include "obs/metrics.h"
#include "obs/metrics_threads.h"

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static bool says(const char *line)
{
    struct strbuf text = STRBUF_INIT;
    bool found;

    metrics_print(&text);
    found = strstr(strbuf_str(&text).ptr, line) != NULL;
    strbuf_done(&text);
    return found;
}

static atomic_bool begun, added;

static int until_added(void *arg)
{
    (void)arg;
    atomic_store_explicit(&begun, true, memory_order_relaxed);
    while (!atomic_load_explicit(&added, memory_order_relaxed))
        ;
    return 0;
}

static int call_until_added(void *arg)
{
    return weir_block(until_added, NULL, .pool = arg);
}

/* Nothing but the observer itself orders what it reads behind its making. */
TASK_TEST(a_call_that_is_under_way_meets_the_observer)
{
    weir_threads *pool;

    (void)arg;
    CHECK_INT(weir_threads_new(&pool, .name = "early"), 0);
    WEIR_SCOPE(s) {
        weir_go(s, call_until_added, pool);
        while (!atomic_load_explicit(&begun, memory_order_relaxed))
            CHECK_INT(weir_yield(), 0);
        metrics_threads_add();
        atomic_store_explicit(&added, true, memory_order_relaxed);
        CHECK_INT(weir_join(s), 0);
    }
    weir_threads_free(pool);
    CHECK(says("weir_threads_queue_seconds_count{pool=\"early\"} 1\n"));
    return 0;
}

TASK_TEST(pools_are_in_the_metrics)
{
    weir_threads *pool;

    (void)arg;
    metrics_threads_add();
    metrics_threads_add();
    CHECK_INT(weir_threads_new(&pool, .name = "own"), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(weir_block(nothing, NULL), 0);
        CHECK_INT(weir_block(nothing, NULL, .pool = pool), 0);
    }
    weir_threads_free(pool);
    CHECK(says("weir_threads_queue_seconds_count{pool=\"calls\"} 3\n"));
    CHECK(says("weir_threads_queue_seconds_count{pool=\"own\"} 3\n"));
    CHECK(says("weir_threads_waiting{pool=\"calls\"} 0\n"));
    CHECK(says("weir_threads{pool=\"files\"} 0\n"));
    CHECK(says("weir_threads_refused_total{pool=\"cpu\"} 0\n"));
    CHECK(!says("weir_threads_busy_seconds_total{pool=\"calls\"} 0\n"));
    return 0;
}

static void they_can_be_read_without_a_runtime(void **state)
{
    (void)state;
    assert_true(says("weir_threads{pool=\"calls\"} 0\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_that_is_under_way_meets_the_observer),
        cmocka_unit_test(pools_are_in_the_metrics),
        cmocka_unit_test(they_can_be_read_without_a_runtime),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
