/* The requests that need no runtime: the log's level, and the budget. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <weir/log.h>

#include "base/budget.h"
#include "ops/control.h"

static void answers(const char *line, const char *answer)
{
    struct strbuf out = STRBUF_INIT;

    control_answer(&out, line);
    assert_false(out.bad);
    assert_non_null(strstr(strbuf_str(&out).ptr, answer));
    strbuf_done(&out);
}

static void test_the_level_is_told_and_changed(void **state)
{
    (void)state;
    weir_log_set_level(WEIR_LOG_ERROR);
    answers("log", "{\"level\":\"error\",\"before\":\"error\"}");
    answers("log debug", "{\"level\":\"debug\",\"before\":\"error\"}");
    assert_int_equal(weir_log_get_level(), WEIR_LOG_DEBUG);
    answers("log Error", "{\"level\":\"error\",\"before\":\"debug\"}");
    answers("log loud", "there is no level \\\"loud\\\"");
    assert_int_equal(weir_log_get_level(), WEIR_LOG_ERROR);
}

static void test_the_budget_is_told_by_kind(void **state)
{
    (void)state;
    budget_set(1 << 20);
    assert_true(budget_take(BUDGET_QUEUE, 4096));
    answers("budget", "{\"limit_bytes\":1048576,\"used_bytes\":4096,\"kinds\":{\"stack\":0,");
    answers("budget", "\"queue\":4096,");
    answers("budget", "\"routes\":[]}");
    budget_give(BUDGET_QUEUE, 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_level_is_told_and_changed),
        cmocka_unit_test(test_the_budget_is_told_by_kind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
