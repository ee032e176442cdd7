/* Children that run on other loops: .spread and weir_go_on(). */
#include "support/both.h"

#include <stdatomic.h>

#include <weir/sync.h>
#include <weir/time.h>

#include "base/budget.h"
#include "rt/rt.h"
#include "rt/sim.h"
#include "support/random.h"
#include "support/sweep.h"

static int run_on(weir_fn *fn, uint32_t loops)
{
    return weir_run(fn, NULL, .loops = loops, .grace_ms = 200);
}

#define LOOPS_TEST(name, loops)                    \
    static int name##_task(void *arg);             \
    static void name(void **state)                 \
    {                                              \
        (void)state;                               \
        assert_int_equal(run_on(name##_task, loops), 0); \
        assert_int_equal(rt_wrong_uses(), 0);      \
    }                                              \
    static int name##_task(void *arg)

static atomic_uint ran_on; /* a bit for each loop */

static int note_loop(void *arg)
{
    (void)arg;
    atomic_fetch_or(&ran_on, 1u << weir_loop_index());
    return 0;
}

/* The opener never parks, so only another loop can have run it. */
LOOPS_TEST(an_idle_loop_takes_a_child, 2)
{
    int rc = 0;

    (void)arg;
    WEIR_SCOPE(s) {
        atomic_store(&ran_on, 0);
        weir_go(s, note_loop, NULL, .spread = true);
        while (atomic_load(&ran_on) == 0)
            ;
        CHECK_INT(atomic_load(&ran_on), 2);
        rc = weir_join(s);
    }
    return rc;
}

static int seven(void *arg)
{
    (void)arg;
    return 7;
}

static int fail_here(void *arg)
{
    (void)arg;
    return weir_fail(-ENOSPC, "no room on loop %u", weir_loop_index());
}

LOOPS_TEST(results_and_chains_come_back, 3)
{
    char text[200];
    int got = 0, rc = 0;

    (void)arg;
    WEIR_SCOPE(s) {
        weir_task task = weir_go_on(s, 2, seven, NULL, .hold = true);

        CHECK_INT(weir_join(s), 0);
        CHECK_INT(weir_result(task, &got), 0);
        CHECK_INT(got, 7);
        weir_go_on(s, 1, fail_here, NULL, .optional = true);
        CHECK_INT(weir_join(s), 0);
        weir_go_on(s, 1, fail_here, NULL);
        rc = weir_join(s);
        CHECK_INT(rc, -ENOSPC);
    }
    weir_error_print(text, sizeof(text));
    CHECK_TEXT(text, "no room on loop 1");
    weir_recover();
    return 0;
}

LOOPS_TEST(a_loop_that_is_not_there_is_refused, 2)
{
    (void)arg;
    WEIR_SCOPE(s) {
        weir_go_on(s, 2, seven, NULL);
        CHECK_INT(weir_join(s), -EINVAL);
    }
    weir_recover();
    WEIR_SCOPE(s) {
        weir_go_on(s, 0, seven, NULL); /* this one */
        CHECK_INT(weir_join(s), 0);
    }
    return 0;
}

static int sleep_long(void *arg)
{
    if (arg)
        atomic_fetch_or((atomic_uint *)arg, 1u << weir_loop_index());
    return weir_sleep_ms(60000);
}

LOOPS_TEST(a_cancel_goes_over, 2)
{
    (void)arg;
    WEIR_SCOPE(s) {
        atomic_store(&ran_on, 0);
        weir_go_on(s, 1, sleep_long, &ran_on);
        while (atomic_load(&ran_on) == 0)
            CHECK_INT(weir_sleep_ms(1), 0);
        weir_cancel(s);
        CHECK_INT(weir_join(s), -ECANCELED);
        CHECK_INT(atomic_load(&ran_on), 2);
    }
    WEIR_SCOPE(s) { /* a sibling's failure, on a third side */
        weir_go_on(s, 1, sleep_long, NULL);
        weir_go(s, fail_here, NULL, .spread = true);
        CHECK_INT(weir_join(s), -ENOSPC);
    }
    weir_recover();
    return 0;
}

LOOPS_TEST(a_deadline_holds_there_as_well, 2)
{
    (void)arg;
    for (int i = 0; i < 10; i++) {
        WEIR_SCOPE(s, .timeout_ms = 5) {
            weir_go_on(s, 1, sleep_long, NULL);
            CHECK_INT(weir_join(s), -ETIMEDOUT);
            CHECK(weir_timed_out(s));
        }
        weir_recover();
    }
    return 0;
}

static int until_stopped(void *arg)
{
    (void)arg;
    while (!weir_stopping())
        if (weir_sleep_ms(1) < 0)
            return -ECANCELED;
    return 0;
}

LOOPS_TEST(a_stop_goes_over, 2)
{
    (void)arg;
    WEIR_SCOPE(s) {
        weir_go_on(s, 1, until_stopped, NULL);
        CHECK_INT(weir_sleep_ms(3), 0);
        weir_stop(s);
        CHECK_INT(weir_join(s), 0);
        weir_go_on(s, 1, until_stopped, NULL); /* it was stopped before */
        CHECK_INT(weir_join(s), 0);
    }
    return 0;
}

static weir_task home_task;
static weir_scope home_scope;

static int use_what_stays_behind(void *arg)
{
    (void)arg;
#ifndef WEIR_DEBUG /* which stops there: test_wrong_use.c */
    int got;

    CHECK(weir_result(home_task, &got) == -ESRCH);
    CHECK(!weir_timed_out(home_scope));
    weir_cancel(home_scope); /* a stale handle */
#endif
    CHECK(weir_alloc(10) != NULL);
    return 0;
}

LOOPS_TEST(handles_stay_behind, 2)
{
    (void)arg;
    WEIR_SCOPE(s) {
        home_scope = s;
        home_task = weir_go(s, seven, NULL, .hold = true);
        CHECK_INT(weir_join(s), 0);
        weir_go_on(s, 1, use_what_stays_behind, NULL);
        CHECK_INT(weir_join(s), 0);
    }
    return 0;
}

static const weir_context *context_there;

static int note_context(void *arg)
{
    (void)arg;
    context_there = weir_context_get();
    return weir_deadline_ns() == WEIR_NEVER_NS ? -EINVAL : 0;
}

LOOPS_TEST(context_and_deadline_are_inherited, 2)
{
    static const weir_context own;

    (void)arg;
    WEIR_SCOPE(s, .timeout_ms = 60000) {
        weir_scope_set_context(s, &own);
        weir_go_on(s, 1, note_context, NULL);
        CHECK_INT(weir_join(s), 0);
        CHECK(context_there == &own);
    }
    return 0;
}

struct unit_test {
    weir_semaphore *semaphore;
    atomic_int inside, most, done;
};

static int with_unit(void *arg)
{
    struct unit_test *test = arg;
    int inside = atomic_fetch_add(&test->inside, 1) + 1;

    if (inside > atomic_load(&test->most))
        atomic_store(&test->most, inside);
    CHECK_INT(weir_sleep_ms(1), 0);
    atomic_fetch_sub(&test->inside, 1);
    atomic_fetch_add(&test->done, 1);
    return 0;
}

LOOPS_TEST(a_unit_that_it_needs_is_held_meanwhile, 2)
{
    struct unit_test test = { 0 };

    (void)arg;
    CHECK_INT(weir_semaphore_new(&test.semaphore, .units = 2), 0);
    WEIR_SCOPE(s) {
        for (int i = 0; i < 20; i++) {
            weir_go(s, with_unit, &test, .needs = test.semaphore, .spread = true);
            weir_go_on(s, 1, with_unit, &test, .needs = test.semaphore);
        }
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(test.done, 40);
    CHECK(test.most <= 2);
    weir_semaphore_free(test.semaphore);
    return 0;
}

/* ---- everything at once ----------------------------------------------------------- */

static atomic_long begun, over;

struct part {
    uint64_t random;
    int depth;
};

static int busy(void *arg);

static int nest(const struct part *self)
{
    struct part parts[4];
    int rc = 0;

    WEIR_SCOPE(s, .timeout_ms = self->random % 5 == 0 ? 2 : 60000, .limit = self->random % 3) {
        for (int i = 0; i < 4; i++) {
            parts[i] = (struct part){ self->random * 6364136223846793005u + 2 * (uint64_t)i + 1,
                                      self->depth - 1 };
            if (i == 3)
                weir_go_on(s, parts[i].random % weir_loops(), busy, &parts[i]);
            else
                weir_go(s, busy, &parts[i], .spread = i != 1, .optional = i == 2);
        }
        if (self->random % 11 == 0)
            weir_cancel(s);
        rc = weir_join(s);
    }
    return rc;
}

static int busy(void *arg)
{
    const struct part *self = arg;
    int rc = 0;

    atomic_fetch_add(&begun, 1);
    if (self->random % 3 == 0)
        rc = weir_sleep_ms(self->random % 4);
    if (self->depth > 0)
        rc = nest(self);
    if (self->random % 17 == 0)
        rc = weir_fail(-EIO, "by chance");
    weir_recover();
    atomic_fetch_add(&over, 1);
    return rc < 0 && self->random % 2 ? rc : 1;
}

static uint64_t tree_seed;
static int tree_depth = 4;

static int tree(void *arg)
{
    struct part root = { tree_seed, tree_depth };

    (void)arg;
    atomic_store(&begun, 0);
    atomic_store(&over, 0);
    for (int i = 0; i < 8; i++) {
        root.random = root.random * 6364136223846793005u + 3;
        busy(&root);
    }
    CHECK(atomic_load(&begun) == atomic_load(&over));
    return 0;
}

static void trees_of_children_end_whole(void **state)
{
    struct random random;

    (void)state;
    random_begin(&random);
    for (int i = 0; i < 15; i++) {
        tree_seed = random_next(&random) | 1;
        assert_int_equal(run_on(tree, 3), 0);
        assert_int_equal(budget_used(), 0);
    }
    assert_int_equal(rt_wrong_uses(), 0);
}

static void trees_in_the_simulator(void **state)
{
    struct random random;
    uint64_t first;

    (void)state;
    random_begin(&random);
    first = random_next(&random) % 1000000;
    tree_depth = 3;
    for (uint64_t seed = first; seed < first + 60; seed++) {
        tree_seed = seed * 2 + 1;
        assert_int_equal(SIMULATED(tree, opts.seed = seed; opts.loops = 1 + seed % 4;
                                   opts.cancel = seed % 2 ? 20 : 0),
                         0);
    }
    assert_int_equal(budget_used(), 0);
}

/* ---- swept ---------------------------------------------------------------------------- */

static int two_naps(void *arg)
{
    int rc = weir_sleep_ms(2);

    (void)arg;
    return rc < 0 ? rc : weir_sleep_ms(3);
}

static int swept(void *arg)
{
    int rc = 0;

    (void)arg;
    WEIR_SCOPE(s) {
        sweep_at(s);
        weir_go_on(s, 1, two_naps, NULL);
        weir_go(s, two_naps, NULL, .spread = true);
        WEIR_IGNORE(weir_sleep_ms(1), "the join tells");
        rc = weir_join(s);
        sweep_over();
    }
    CHECK(rc == 0 || (rc == -ECANCELED && sweep_hit()));
    weir_recover();
    return 0;
}

static int on_two_loops(weir_fn *fn, void *arg, const weir_run_opts *opts)
{
    struct sim_opts how;

    sim_opts_init(&how);
    how.loops = 2;
    return run_in_sim(&how, fn, arg, opts);
}

static void cancelled_at_any_wait(void **state)
{
    (void)state;
    assert_true(sweep_waits_by(on_two_loops, swept, NULL) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_loop_takes_a_child),
        cmocka_unit_test(results_and_chains_come_back),
        cmocka_unit_test(a_loop_that_is_not_there_is_refused),
        cmocka_unit_test(a_cancel_goes_over),
        cmocka_unit_test(a_deadline_holds_there_as_well),
        cmocka_unit_test(a_stop_goes_over),
        cmocka_unit_test(handles_stay_behind),
        cmocka_unit_test(context_and_deadline_are_inherited),
        cmocka_unit_test(a_unit_that_it_needs_is_held_meanwhile),
        cmocka_unit_test(cancelled_at_any_wait),
        cmocka_unit_test(trees_of_children_end_whole),
        cmocka_unit_test(trees_in_the_simulator),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
