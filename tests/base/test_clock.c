/* The clocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

#include "base/clock.h"

static void monotonic_time_does_not_go_back(void **state)
{
    int64_t last = clock_monotonic_ns();

    (void)state;
    assert_true(last > 0);
    for (int i = 0; i < 1000; i++) {
        int64_t now = clock_monotonic_ns();

        assert_true(now >= last);
        last = now;
    }
}

static void wall_time_is_the_kernels(void **state)
{
    int64_t before = (int64_t)time(NULL), now = clock_wall_ns() / 1000000000;

    (void)state;
    assert_true(now >= before - 1 && now <= (int64_t)time(NULL) + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(monotonic_time_does_not_go_back),
        cmocka_unit_test(wall_time_is_the_kernels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
