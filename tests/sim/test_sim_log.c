/* The program's log in a simulation: its lines bear the simulation's time, and are
 * part of the trace where that shows what happens. */
#include "support/in_task.h"

#include <weir/log.h>
#include <weir/sim.h>

static char out[2000];
static size_t out_len;

static ssize_t keep(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    CHECK(out_len + len < sizeof(out));
    memcpy(out + out_len, bytes, len);
    out_len += len;
    return (ssize_t)len;
}

static int two_lines(void *arg)
{
    (void)arg;
    weir_info("it begins");
    CHECK_INT(weir_sleep_ms(61300), 0);
    weir_warn("it ends");
    return 0;
}

static void lines_bear_simulated_time(void **state)
{
    weir_sim *sim = weir_sim_new(.seed = 3);

    (void)state;
    assert_int_equal(weir_log_open(.sync = true, .sink = keep, .form = WEIR_LOG_TEXT), 0);
    assert_int_equal(weir_sim_run(sim, two_lines, NULL), 0);
    assert_int_equal(weir_log_close(), 0);
    out[out_len] = '\0';
    assert_non_null(strstr(out, "00:00:00.000"));
    assert_non_null(strstr(out, "00:01:01.300"));
    assert_string_equal(weir_sim_text(sim), "");
    weir_sim_free(sim);
}

static void lines_are_part_of_a_shown_trace(void **state)
{
    weir_sim *sim = weir_sim_new(.seed = 3, .options = "show=1");

    (void)state;
    out_len = 0;
    assert_int_equal(weir_log_open(.sync = true, .sink = keep, .form = WEIR_LOG_TEXT), 0);
    assert_int_equal(weir_sim_run(sim, two_lines, NULL), 0);
    assert_int_equal(weir_log_close(), 0);
    assert_non_null(strstr(weir_sim_text(sim), "[     0] loop 0: log: "));
    assert_non_null(strstr(weir_sim_text(sim), "it begins"));
    assert_non_null(strstr(weir_sim_text(sim), "[ 61300] loop 0: log: "));
    weir_sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_bear_simulated_time),
        cmocka_unit_test(lines_are_part_of_a_shown_trace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
