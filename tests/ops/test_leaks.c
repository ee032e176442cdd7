/* What is told of tasks that will not end, and that looking for it takes no longer where there are
 * very many. */
#include "ops/said.h"

#include <time.h>

#include <weir/chan.h>

#include "ops/leaks.h"
#include "rt/loop.h"

#define CHILDREN 20000
#define CHANNELS 2000

static bool over;

static int stays(void *arg)
{
    (void)arg;
    WEIR_SCOPE(s, .shield = true, .grace_ms = 60000) {
        while (!over)
            CHECK_INT(weir_sleep_ms(1000), 0);
    }
    return 0;
}

static int joins_many(void *arg)
{
    int rc = 0;

    (void)arg;
    WEIR_SCOPE(s, .name = "crowd") {
        for (int i = 0; i < CHILDREN; i++)
            weir_go(s, stays, NULL);
        CHECK_INT(weir_yield(), 0);
        weir_cancel(s);
        rc = weir_join(s);
    }
    return rc;
}

static int64_t cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* The task that waits so, for children of the scope of this name. */
static const struct task *find_joining(const char *name)
{
    const struct task *task;
    uint32_t cursor = 0;

    while ((task = inspect_next(loop_current, &cursor)) != NULL) {
        const struct wait *wait = task->state == TASK_PARKED ? task->fiber->wait : NULL;
        const struct scope *scope = wait && wait->kind == WAIT_JOIN ? wait->object : NULL;

        if (scope && scope->name && strcmp(scope->name, name) == 0)
            return task;
    }
    return NULL;
}

TASK_TEST(a_scope_of_very_many_children_is_looked_at_in_a_moment)
{
    struct leaks leaks = { 0 };
    int64_t best_ns = INT64_MAX;
    const struct task *task = NULL;

    (void)arg;
    over = false;
    WEIR_SCOPE(s) {
        weir_go(s, joins_many, NULL, .optional = true);
        while (!task || ((struct scope *)(uintptr_t)task->fiber->wait->object)->cancel_code == 0) {
            CHECK_INT(weir_sleep_ms(10), 0);
            task = find_joining("crowd");
        }
        for (int i = 0; i < 5; i++) {
            int64_t began_ns = cpu_ns(), took_ns;

            leaks_see(&leaks, task, INT64_MAX);
            took_ns = cpu_ns() - began_ns;
            best_ns = took_ns < best_ns ? took_ns : best_ns;
        }
        CHECK_INT(leaks.count, 1);
        CHECK_INT(leaks.found[0].kind, LEAK_SCOPE);
        CHECK_INT(leaks.found[0].count, CHILDREN);
        CHECK_INT(leaks.found[0].named, LEAKS_NAMED);
        CHECK(best_ns < 100000);
        over = true;
        CHECK_INT(weir_join(s), 0);
    }
    return 0;
}

typedef WEIR_CHAN(int) int_chan;

static int receives(void *arg)
{
    int_chan *chan = arg;
    int item, rc;

    while ((rc = weir_recv(*chan, &item)) > 0)
        ;
    return rc;
}

static int sends_to_each(void *arg)
{
    int_chan *chans = arg;
    int item = 1;

    for (int i = 0; i < CHANNELS; i++)
        CHECK_INT(weir_send(chans[i], &item), 1);
    return weir_sleep_ms(600000);
}

/* As long as one that may send is there, all channels that were opened there are in use. */
TASK_TEST(channels_that_were_opened_in_one_scope_are_judged_at_once)
{
    static int_chan chans[CHANNELS];
    struct leaks leaks = { 0 };
    const struct task *task;
    uint32_t cursor = 0;

    (void)arg;
    WEIR_SCOPE(s) {
        for (int i = 0; i < CHANNELS; i++) {
            CHECK_INT(weir_chan_open(&chans[i], .capacity = 1), 0);
            weir_go(s, receives, &chans[i]);
        }
        weir_go(s, sends_to_each, chans);
        CHECK_INT(weir_sleep_ms(50), 0);
        while ((task = inspect_next(loop_current, &cursor)) != NULL)
            if (task->state == TASK_PARKED && task->fiber->wait)
                leaks_see(&leaks, task, INT64_MAX);
        CHECK_INT(leaks.count, 0);
        CHECK(leaks.known.looked <= 2 * CHANNELS);
        weir_cancel(s);
        CHECK_INT(weir_join(s), -ECANCELED);
        for (int i = 0; i < CHANNELS; i++)
            weir_chan_free(chans[i]);
    }
    return 0;
}

static int cleans_up(void *arg)
{
    (void)arg;
    WEIR_SCOPE(s, .shield = true, .grace_ms = LIMIT_MS) {
        CHECK(wait_for("a scope that was cancelled still waits for its tasks"));
    }
    return 0;
}

static int ends_slowly(void *arg)
{
    (void)arg;
    WEIR_SCOPE(s, .name = "shop") {
        weir_go(s, cleans_up, NULL);
        CHECK_INT(weir_yield(), 0);
        weir_cancel(s);
        CHECK_INT(weir_join(s), 0);
    }
    return 0;
}

static void a_scope_that_takes_long_to_close_names_whom_it_waits_for(void **state)
{
    (void)state;
    run(ends_slowly, 1);
    assert_int_equal(times("a scope that was cancelled still waits for its tasks"), 1);
    assert_int_equal(times("\"scope\":\"shop\""), 1);
    assert_int_equal(times("\"tasks\":1"), 1);
    assert_int_equal(times("\"task_1\":\"cleans_up (tests/ops/test_leaks.c:"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scope_of_very_many_children_is_looked_at_in_a_moment),
        cmocka_unit_test(channels_that_were_opened_in_one_scope_are_judged_at_once),
        cmocka_unit_test(a_scope_that_takes_long_to_close_names_whom_it_waits_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
