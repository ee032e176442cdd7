/* For how long a loop counts as held up, on good days and bad ones of a machine: all time
 * here is made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ops/hold.h"

#define MS INT64_C(1000000)
#define PERIOD (25 * MS)

static struct hold hold;
static struct hold_sample now;

/* A turn has just been seen for the first time. */
static int begin(void **state)
{
    (void)state;
    memset(&hold, 0, sizeof(hold));
    now = (struct hold_sample){ .now_ns = 1000 * MS, .turn = 7, .steps = 1, .state = 'R' };
    hold_add(&hold, &now, PERIOD);
    return 0;
}

static bool later(int64_t wall_ns, int64_t run_ns, int64_t delay_ns, char thread)
{
    now.now_ns += wall_ns;
    now.run_ns += run_ns;
    now.delay_ns += delay_ns;
    now.state = thread;
    return hold_add(&hold, &now, PERIOD);
}

static void time_on_the_cpu_counts(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        assert_true(later(PERIOD, PERIOD, 0, 'R'));
    assert_int_equal(hold.held_ns, 100 * MS);
    assert_int_equal(hold.run_ns, 100 * MS);
}

static void time_in_a_system_call_counts(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        later(PERIOD, 0, 0, i % 2 ? 'S' : 'D');
    assert_int_equal(hold.held_ns, 100 * MS);
}

static void time_that_others_have_the_cpu_does_not_count(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++)
        later(PERIOD, MS, 0, 'R'); /* it waits still: the kernel has not added that up */
    assert_int_equal(hold.held_ns, 100 * MS);
    later(PERIOD, 0, 2400 * MS, 'S');
    assert_int_equal(hold.held_ns, 100 * MS);
    later(PERIOD, 5 * MS, 15 * MS, 'S');
    assert_int_equal(hold.held_ns, 110 * MS);
}

static void a_debuggers_stop_does_not_count(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++)
        later(PERIOD, 0, 0, i % 2 ? 't' : 'T');
    assert_int_equal(hold.held_ns, 0);
}

/* A suspend that the clock shows, a stop of the whole process, or a busy machine. */
static void a_stretch_in_which_the_watcher_slept_counts_as_one_period(void **state)
{
    (void)state;
    later(3600 * 1000 * MS, 0, 0, 'S');
    assert_int_equal(hold.held_ns, PERIOD);
    later(3600 * 1000 * MS, 2 * MS, 0, 'R');
    assert_int_equal(hold.held_ns, PERIOD + 2 * MS);
}

static void a_clock_that_goes_back_counts_as_nothing(void **state)
{
    (void)state;
    later(-500 * MS, 0, 0, 'S');
    assert_int_equal(hold.held_ns, 0);
}

static void without_the_kernels_figures_all_time_counts(void **state)
{
    (void)state;
    now.run_ns = -1;
    now.turn = 8;
    hold_add(&hold, &now, PERIOD);
    later(PERIOD, 0, 0, 'R');
    assert_int_equal(hold.held_ns, PERIOD);
    later(PERIOD, 0, 0, '\0');
    assert_int_equal(hold.held_ns, 2 * PERIOD);
}

static void the_next_turn_begins_anew(void **state)
{
    (void)state;
    later(PERIOD, PERIOD, 0, 'R');
    hold.reported = true;
    now.turn = 8;
    assert_false(later(PERIOD, PERIOD, 0, 'R'));
    assert_int_equal(hold.held_ns, 0);
    assert_false(hold.reported);
    now.turn = 0;
    assert_false(later(PERIOD, PERIOD, 0, 'S'));
    assert_false(later(PERIOD, PERIOD, 0, 'S'));
    assert_int_equal(hold.held_ns, 0);
}

static void another_task_in_the_same_turn_is_another_hold(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_true(later(PERIOD, PERIOD, 0, 'R'));
        now.steps++;
        assert_false(later(PERIOD, PERIOD, 0, 'R'));
        assert_int_equal(hold.held_ns, 0);
        assert_int_equal(hold.others_ns, (i + 1) * 2 * PERIOD);
    }
    later(PERIOD, PERIOD, 0, 'R');
    hold.reported = true;
    now.steps++;
    later(PERIOD, PERIOD, 0, 'R');
    assert_int_equal(hold.others_ns, 7 * PERIOD); /* but for what was reported */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(time_on_the_cpu_counts, begin),
        cmocka_unit_test_setup(time_in_a_system_call_counts, begin),
        cmocka_unit_test_setup(time_that_others_have_the_cpu_does_not_count, begin),
        cmocka_unit_test_setup(a_debuggers_stop_does_not_count, begin),
        cmocka_unit_test_setup(a_stretch_in_which_the_watcher_slept_counts_as_one_period, begin),
        cmocka_unit_test_setup(a_clock_that_goes_back_counts_as_nothing, begin),
        cmocka_unit_test_setup(without_the_kernels_figures_all_time_counts, begin),
        cmocka_unit_test_setup(the_next_turn_begins_anew, begin),
        cmocka_unit_test_setup(another_task_in_the_same_turn_is_another_hold, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
