/* Opening and closing what looks into the program. */
#include "support/in_task.h"

#include <weir/inspect.h>

#include "rt/loop.h"

static int has_recorder(void *arg)
{
    *(bool *)arg = loop_self()->recorder != NULL;
    return 0;
}

static void loops_have_a_recorder_while_it_is_open(void **state)
{
    bool has = false;

    (void)state;
    assert_int_equal(weir_inspect_open(.no_handlers = true, .no_socket = true), 0);
    assert_int_equal(weir_run(has_recorder, &has, .loops = 1), 0);
    assert_true(has);
    weir_inspect_close();
    assert_int_equal(weir_run(has_recorder, &has, .loops = 1), 0);
    assert_false(has);
}

static void a_wrong_option_is_named(void **state)
{
    char text[200];

    (void)state;
    assert_int_equal(weir_inspect_open(.recorder_events = 1000), -EINVAL);
    weir_error_print(text, sizeof(text));
    assert_non_null(strstr(text, "recorder_events is 1000"));
    assert_int_equal(weir_inspect_open(.no_handlers = true, .no_socket = true), 0);
    assert_int_equal(weir_inspect_open(.no_handlers = true, .no_socket = true), -EINVAL);
    weir_inspect_close();
    weir_inspect_close();
    weir_recover();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loops_have_a_recorder_while_it_is_open),
        cmocka_unit_test(a_wrong_option_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
