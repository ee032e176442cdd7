/* The simulator's clock, order, options and ends; its network is tested by
 * test_sim_net.c. */
#include "support/in_task.h"

#include <weir/chan.h>
#include <weir/sync.h>
#include <weir/time.h>

#include "base/budget.h"
#include "base/chain.h"
#include "rt/sim.h"

static struct sim *new_sim(uint64_t seed, uint32_t loops)
{
    struct sim_opts opts;
    struct sim *sim;

    sim_opts_init(&opts);
    opts.seed = seed;
    opts.loops = loops;
    sim = sim_new(&opts);
    assert_non_null(sim);
    return sim;
}

/* ---- time ------------------------------------------------------------------------ */

static int sleeper(void *arg)
{
    uint32_t ms = *(uint32_t *)arg;

    CHECK_INT(weir_sleep_ms(ms), 0);
    sim_trace("slept %u", ms);
    return 0;
}

static int sleepers(void *arg)
{
    uint32_t times[] = { 700, 5, 3600000 * 2u, 64 };

    (void)arg;
    CHECK_INT(weir_now().ns, 0);
    WEIR_SCOPE(s) {
        for (int i = 0; i < 4; i++)
            weir_go(s, sleeper, &times[i]);
        CHECK_INT(weir_join(s), 0);
    }
    WEIR_SCOPE(s, .timeout_ms = 50) {
        CHECK_INT(weir_sleep_ms(51), -ETIMEDOUT);
        CHECK(weir_timed_out(s));
    }
    sim_trace("deadline");
    return 7;
}

static void the_clock_goes_from_timer_to_timer(void **state)
{
    struct sim *sim;
    struct sim_opts opts;

    (void)state;
    sim_opts_init(&opts);
    opts.limit_ms = 1u << 30;
    sim = sim_new(&opts);
    assert_int_equal(sim_run(sim, sleepers, NULL, NULL), 7);
    assert_string_equal(sim_trace_text(sim), "[     5] slept 5\n"
                                             "[    64] slept 64\n"
                                             "[   700] slept 700\n"
                                             "[7200000] slept 7200000\n"
                                             "[7200050] deadline\n");
    assert_int_equal(sim_now_ns(sim), 7200050 * 1000000ll);
    sim_free(sim);
}

/* ---- order ----------------------------------------------------------------------- */

typedef WEIR_CHAN(int) int_chan;

static int_chan numbers;

static int feed(void *arg)
{
    for (int i = 0; i < 20; i++)
        CHECK_INT(weir_send(numbers, &(int){ *(int *)arg * 100 + i }), 1);
    return 0;
}

static int drain(void *arg)
{
    int n, got[3] = { 0, 0, 0 };

    for (int i = 0; i < 60; i++) {
        CHECK_INT(weir_recv(numbers, &n), 1);
        CHECK_INT(n % 100, got[n / 100]++); /* each sender's in their order */
        sim_trace("%d", n);
    }
    (void)arg;
    return 0;
}

static int many_to_one(void *arg)
{
    int ids[] = { 0, 1, 2 };

    (void)arg;
    CHECK_INT(weir_chan_open(&numbers, .capacity = 4), 0);
    WEIR_SCOPE(s) {
        for (int i = 0; i < 3; i++)
            weir_go(s, feed, &ids[i]);
        weir_go(s, drain, NULL);
        CHECK_INT(weir_join(s), 0);
    }
    weir_chan_free(numbers);
    return 0;
}

static char *trace_of(uint64_t seed, uint32_t loops, weir_fn *fn)
{
    struct sim *sim = new_sim(seed, loops);
    char *text;

    assert_int_equal(sim_run(sim, fn, NULL, NULL), 0);
    text = strdup(sim_trace_text(sim));
    sim_free(sim);
    return text;
}

static void a_seed_repeats_and_another_differs(void **state)
{
    char *one = trace_of(1, 1, many_to_one), *again = trace_of(1, 1, many_to_one);
    char *other = trace_of(2, 1, many_to_one);

    (void)state;
    assert_string_equal(one, again);
    assert_string_not_equal(one, other);
    free(one);
    free(again);
    free(other);
}

/* ---- several loops --------------------------------------------------------------- */

static int reports;

static int on_loop(void *arg)
{
    uint32_t *left = arg;

    sim_trace("loop %u", weir_loop_index());
    CHECK_INT(weir_sleep_ms(10), 0);
    --*left;
    return 0;
}

static int visit_all(void *arg)
{
    uint32_t left = 12;

    (void)arg;
    CHECK_INT(weir_loops(), 4);
    for (uint32_t i = 0; i < 12; i++)
        CHECK_INT(weir_submit(i % 4, on_loop, &left), 0);
    while (left > 0)
        CHECK_INT(weir_sleep_ms(1), 0);
    sim_trace("all");
    reports++;
    return 0;
}

static void loops_take_turns_on_one_clock(void **state)
{
    char *one = trace_of(3, 4, visit_all), *again = trace_of(3, 4, visit_all);

    (void)state;
    assert_string_equal(one, again);
    assert_non_null(strstr(one, "[     0] loop 3\n"));
    assert_non_null(strstr(one, "[    11] all\n"));
    assert_int_equal(reports, 2);
    free(one);
    free(again);
}

/* ---- blocking calls -------------------------------------------------------------- */

static int now_inside(void *arg)
{
    *(int64_t *)arg = weir_now().ns;
    return weir_fail(-ENOENT, "not there");
}

static int block_once(void *arg)
{
    int64_t at_ns = -1;
    char text[100];

    (void)arg;
    CHECK_INT(weir_sleep_ms(30), 0);
    CHECK_INT(weir_block(now_inside, &at_ns), -ENOENT);
    CHECK_INT(at_ns, 30000000);
    weir_error_print(text, sizeof(text));
    CHECK_TEXT(text, "not there");
    weir_recover();
    return 0;
}

static int block_child(void *arg)
{
    int rc = weir_block(now_inside, arg);

    weir_recover();
    return rc == -ENOENT ? 0 : rc;
}

/* Of five calls two run, two wait, and one is refused; one of those that wait is
 * withdrawn. */
static int block_many(void *arg)
{
    int64_t at_ns[5] = { -1, -1, -1, -1, -1 };
    weir_task tasks[5];
    int rc, refused = 0, withdrawn = 0, ended = 0;

    (void)arg;
    WEIR_SCOPE(s, .timeout_ms = 0) {
        for (int i = 0; i < 5; i++)
            tasks[i] = weir_go(s, block_child, &at_ns[i], .optional = true, .hold = true);
        CHECK_INT(weir_yield(), 0);
        WEIR_IGNORE(weir_sleep_ms(1), "the calls begin meanwhile");
        weir_cancel(s);
        WEIR_IGNORE(weir_join(s), "cancelled");
        for (int i = 0; i < 5; i++) {
            CHECK_INT(weir_result(tasks[i], &rc), 0);
            refused += rc == -EBUSY;
            withdrawn += rc == -ECANCELED;
            ended += rc == 0;
            CHECK_INT(at_ns[i], rc == 0 ? 0 : -1);
        }
    }
    weir_recover();
    CHECK_INT(refused, 1);
    CHECK_INT(withdrawn, 2);
    CHECK_INT(ended, 2);
    return 0;
}

static void blocking_calls_take_virtual_time(void **state)
{
    weir_run_opts run = { .size = sizeof(run), .block_threads = 2, .block_queue = 2 };
    struct sim_opts opts;
    struct sim *sim;

    (void)state;
    sim_opts_init(&opts);
    opts.block_ms = 1000;
    for (opts.seed = 1; opts.seed <= 20; opts.seed++) {
        sim = sim_new(&opts);
        assert_int_equal(sim_run(sim, block_once, NULL, NULL), 0);
        sim_free(sim);
    }
    opts.seed = 5; /* both calls take longer than a millisecond */
    sim = sim_new(&opts);
    assert_int_equal(sim_run(sim, block_many, NULL, &run), 0);
    sim_free(sim);
}

/* ---- runs that do not end -------------------------------------------------------- */

static int wait_for_ever(void *arg)
{
    int n;

    (void)arg;
    return weir_recv(numbers, &n);
}

static int deadlock(void *arg)
{
    int rc = 0;

    (void)arg;
    CHECK_INT(weir_sleep_ms(12), 0);
    CHECK_INT(weir_chan_open(&numbers, .capacity = 1), 0);
    WEIR_SCOPE(s) {
        weir_go(s, wait_for_ever, NULL, .name = "reader");
        rc = weir_join(s);
    }
    weir_chan_free(numbers);
    return rc;
}

static int sleep_too_long(void *arg)
{
    (void)arg;
    return weir_sleep_ms(3600001);
}

static void a_deadlock_is_named(void **state)
{
    struct sim *sim = new_sim(1, 2);
    char text[400];

    (void)state;
    assert_int_equal(sim_run(sim, deadlock, NULL, NULL), -EDEADLK);
    weir_error_print(text, sizeof(text));
    assert_non_null(strstr(text, "given up after 12 ms: nothing can happen any more: task \""));
    assert_non_null(strstr(sim_trace_text(sim), "task \"reader\""));
    assert_non_null(strstr(sim_trace_text(sim), "waits: children"));
    weir_recover();
    /* It can be used again. */
    assert_int_equal(sim_run(sim, sleep_too_long, NULL, NULL), -ETIME);
    weir_recover();
    sim_free(sim);
}

static int spin(void *arg)
{
    int rc;

    (void)arg;
    while ((rc = weir_yield()) == 0)
        ;
    return rc;
}

static void a_run_without_end_is_given_up(void **state)
{
    struct sim *sim = new_sim(1, 1);

    (void)state;
    assert_int_equal(sim_run(sim, spin, NULL, NULL), -ETIME);
    weir_recover();
    assert_int_equal(sim_run(sim, sleep_too_long, NULL, NULL), -ETIME);
    weir_recover();
    sim_free(sim);
}

static int linger(void *arg)
{
    int *ended = arg;

    *ended = weir_sleep_ms(60000);
    return 0;
}

static int leave_one_behind(void *arg)
{
    weir_go(weir_app_scope(), linger, arg);
    return weir_sleep_ms(1);
}

static void what_is_left_is_cancelled_after_the_grace(void **state)
{
    weir_run_opts run = { .size = sizeof(run), .grace_ms = 500 };
    struct sim *sim = new_sim(1, 1);
    int ended = 0;

    (void)state;
    assert_int_equal(sim_run(sim, leave_one_behind, &ended, &run), 0);
    assert_int_equal(ended, -ECANCELED);
    assert_int_equal(sim_now_ns(sim), 501 * 1000000ll);
    sim_free(sim);
}

/* ---- options --------------------------------------------------------------------- */

static void one_line_holds_all_options(void **state)
{
    struct sim_opts opts, again;
    char text[SIM_OPTS_TEXT_BYTES], second[SIM_OPTS_TEXT_BYTES];

    (void)state;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        sim_opts_draw(&opts, seed * 0x123456789abcdefull);
        sim_opts_print(&opts, text);
        assert_true(strlen(text) < SIM_OPTS_TEXT_BYTES - 1);
        sim_opts_init(&again);
        assert_int_equal(sim_opts_parse(&again, text), 0);
        sim_opts_print(&again, second);
        assert_string_equal(text, second);
        assert_memory_equal(&opts, &again, sizeof(opts));
    }
}

static void wrong_options_are_refused(void **state)
{
    static const char *const wrong[] = { "loops=65", "colour=1",
                                         "loops",    "loops=",
                                         "loops=x",  "loops=1x",
                                         "=1",       "seed=99999999999999999999999",
                                         "loops=-1" };
    struct sim_opts opts;
    uint64_t used = budget_used();

    (void)state;
    sim_opts_init(&opts);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        assert_int_equal(sim_opts_parse(&opts, wrong[i]), -EINVAL);
    assert_int_equal(sim_opts_parse(&opts, "  loss=5  seed=18446744073709551615 "), 0);
    assert_int_equal(opts.loss, 5);
    assert_true(opts.seed == UINT64_MAX);
    opts.loops = 0;
    assert_null(sim_new(&opts));
    opts.loops = 1000;
    assert_null(sim_new(&opts));
    weir_recover();
    assert_int_equal(budget_used(), used);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clock_goes_from_timer_to_timer),
        cmocka_unit_test(a_seed_repeats_and_another_differs),
        cmocka_unit_test(loops_take_turns_on_one_clock),
        cmocka_unit_test(blocking_calls_take_virtual_time),
        cmocka_unit_test(a_deadlock_is_named),
        cmocka_unit_test(a_run_without_end_is_given_up),
        cmocka_unit_test(what_is_left_is_cancelled_after_the_grace),
        cmocka_unit_test(one_line_holds_all_options),
        cmocka_unit_test(wrong_options_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
