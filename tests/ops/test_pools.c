/* What a program tells of its pools: who holds them, and when they stay full. */
#include "support/in_task.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <weir/block.h>
#include <weir/guard.h>
#include <weir/inspect.h>
#include <weir/log.h>
#include <weir/remote.h>

#include "base/clock.h"
#include "obs/metrics.h"
#include "ops/control.h"

static struct {
    weir_pool *pool;
    atomic_uint pools_told, threads_told, submissions_told;
    weir_remote remote;
    sem_t over;
    char line[4096];
} world;

static ssize_t keep(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    if (memmem(bytes, len, "has been held whole", 19)) {
        memcpy(world.line, bytes, len < 4000 ? len : 4000);
        atomic_fetch_add(&world.pools_told, 1);
    }
    if (memmem(bytes, len, "all threads of a pool", 21) && memmem(bytes, len, "slow look-up", 12))
        atomic_fetch_add(&world.threads_told, 1);
    if (memmem(bytes, len, "has filled its queue", 20) && memmem(bytes, len, "nothing (", 9) &&
        memmem(bytes, len, "which runs held_up (", 20))
        atomic_fetch_add(&world.submissions_told, 1);
    return (ssize_t)len;
}

static void close_item(weir_pool_item *item)
{
    free(item);
}

static int holder(void *arg)
{
    weir_lease lease;
    int rc = weir_pool_acquire(world.pool, &lease);

    (void)arg;
    if (rc < 0)
        return rc;
    rc = weir_sleep_ms(60000);
    weir_pool_release(&lease, NULL);
    return rc;
}

static int wait_for_end(void *arg)
{
    (void)arg;
    while (sem_wait(&world.over) < 0)
        ;
    sem_post(&world.over); /* for the next one */
    return 0;
}

static int slow(void *arg)
{
    return weir_block(wait_for_end, arg, .name = "slow look-up");
}

static bool told(const char *request, struct strbuf *out, const char *text)
{
    strbuf_clear(out);
    control_answer(out, request);
    if (strstr(out->ptr, text))
        return true;
    print_message("not in it: %s\n%s", text, out->ptr);
    return false;
}

static int look(void *arg)
{
    int64_t until_ns = clock_monotonic_ns() + 10 * INT64_C(1000000000);
    struct strbuf out = STRBUF_INIT;

    (void)arg;
    while (clock_monotonic_ns() < until_ns &&
           (!atomic_load(&world.pools_told) || !atomic_load(&world.threads_told)))
        sched_yield();
    CHECK(atomic_load(&world.pools_told) == 1);
    CHECK(atomic_load(&world.threads_told) == 1);
    CHECK(strstr(world.line, "test_pools.c"));
    CHECK(told("pools", &out, "\"name\":\"db\",\"max\":2,\"held\":2,\"idle\":0,\"waiting\":1,"));
    CHECK(told("pools", &out, "\"name\":\"holder\""));
    CHECK(told("pools", &out, "\"waits_for\":\"sleep\""));
    CHECK(told("pools", &out, "\"running\":2,\"waiting\":2"));
    CHECK(told("pools", &out, "\"call\":\"slow look-up\",\"task_site\":\""));
    strbuf_clear(&out);
    metrics_print(&out);
    CHECK(strstr(out.ptr, "weir_pool_held{pool=\"db\"} 2"));
    CHECK(strstr(out.ptr, "weir_pool_waiting{pool=\"db\"} 1"));
    strbuf_done(&out);
    sem_post(&world.over);
    return 0;
}

static int full_pools(void *arg)
{
    weir_threads *own = NULL;

    (void)arg;
    CHECK_INT(weir_threads_new(&own, .name = "look", .threads = 1), 0);
    CHECK_INT(weir_pool_new(&world.pool, .name = "db", .max = 2, .close = close_item), 0);
    WEIR_SCOPE(s) {
        for (int i = 0; i < 3; i++)
            weir_go(s, holder, NULL);
        for (int i = 0; i < 4; i++)
            weir_go(s, slow, NULL);
        CHECK_INT(weir_block(look, NULL, .pool = own), 0);
        weir_cancel(s);
        CHECK_INT(weir_join(s), -ECANCELED);
    }
    weir_pool_free(world.pool);
    weir_threads_free(own);
    return 0;
}

static void pools_that_stay_full_are_told_once(void **state)
{
    (void)state;
    assert_int_equal(sem_init(&world.over, 0, 0), 0);
    assert_int_equal(weir_log_open(.sink = keep, .sync = true, .form = WEIR_LOG_TEXT), 0);
    assert_int_equal(weir_inspect_open(.no_socket = true, .blocked_ms = WEIR_OFF), 0);
    assert_int_equal(weir_run(full_pools, NULL, .loops = 2, .block_threads = 2), 0);
    weir_inspect_close();
    weir_log_close();
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void *submit_many(void *arg)
{
    (void)arg;
    while (weir_remote_submit(world.remote, nothing, NULL) == 0)
        ;
    return NULL;
}

/* Holds its loop, while another thread submits to it. */
static int held_up(void *arg)
{
    int64_t until_ns = clock_monotonic_ns() + 20 * INT64_C(1000000000);
    pthread_t thread;

    (void)arg;
    CHECK_INT(weir_remote_of(0, &world.remote), 0);
    CHECK_INT(pthread_create(&thread, NULL, submit_many, NULL), 0);
    while (!atomic_load(&world.submissions_told) && clock_monotonic_ns() < until_ns)
        ;
    pthread_join(thread, NULL);
    CHECK_INT(atomic_load(&world.submissions_told), 1);
    return 0;
}

static int submitted_to(void *arg)
{
    (void)arg;
    WEIR_SCOPE(s) {
        weir_go(s, held_up, NULL);
        CHECK_INT(weir_join(s), 0);
    }
    return 0;
}

static void submissions_that_fill_a_queue_are_told(void **state)
{
    struct strbuf out = STRBUF_INIT;

    (void)state;
    assert_int_equal(weir_log_open(.sink = keep, .sync = true, .form = WEIR_LOG_TEXT), 0);
    assert_int_equal(weir_inspect_open(.no_socket = true, .blocked_ms = WEIR_OFF), 0);
    assert_int_equal(weir_run(submitted_to, NULL, .loops = 1), 0);
    metrics_print(&out);
    assert_non_null(strstr(out.ptr, "weir_submissions_refused_total{loop=\"0\"} 1"));
    strbuf_done(&out);
    weir_inspect_close();
    weir_log_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools_that_stay_full_are_told_once),
        cmocka_unit_test(submissions_that_fill_a_queue_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
