/* Circuit breakers: when they open, what a probe decides, and that no probe can
 * leave them stuck. */
#include "support/in_task.h"

#include <errno.h>
#include <pthread.h>

#include <weir/guard.h>

static weir_breaker *breaker_of(uint32_t cooldown_ms, uint32_t probe_ms)
{
    weir_breaker *b;

    CHECK_INT(weir_breaker_new(&b, .name = "users", .failures = 3, .cooldown_ms = cooldown_ms,
                               .probe_ms = probe_ms),
              0);
    return b;
}

static void check_state(weir_breaker *b, weir_breaker_state wanted)
{
    weir_breaker_stats stats;

    weir_breaker_read(b, &stats);
    CHECK_INT(stats.state, wanted);
}

static int give(void *arg)
{
    return *(int *)arg;
}

static int call(weir_breaker *b, int rc)
{
    return weir_breaker_call(b, give, &rc);
}

static void open_it(weir_breaker *b)
{
    for (int i = 0; i < 3; i++)
        CHECK_INT(call(b, -ECONNREFUSED), -ECONNREFUSED);
    check_state(b, WEIR_BREAKER_OPEN);
}

TASK_TEST(failures_in_a_row_open_it_and_a_success_between_does_not)
{
    weir_breaker *b = breaker_of(1000, 1000);
    weir_breaker_stats stats;
    char text[256];

    (void)arg;
    for (int i = 0; i < 10; i++) {
        CHECK_INT(call(b, -ECONNRESET), -ECONNRESET);
        CHECK_INT(call(b, -ETIMEDOUT), -ETIMEDOUT);
        CHECK_INT(call(b, 200), 200);
    }
    check_state(b, WEIR_BREAKER_CLOSED);
    open_it(b);
    CHECK_INT(call(b, 0), WEIR_EBREAKER);
    weir_error_print(text, sizeof(text));
    CHECK(strstr(text, "users: the breaker is open"));
    weir_recover();
    weir_breaker_read(b, &stats);
    CHECK_INT(stats.opened, 1);
    CHECK_INT(stats.refused, 1);
    CHECK(stats.retry_ms > 0 && stats.retry_ms <= 1000);
    weir_breaker_free(b);
    return 0;
}

TASK_TEST(what_says_nothing_about_the_service_does_not_count)
{
    static const int codes[] = { -ECANCELED, WEIR_EFULL, WEIR_EINPUT };
    weir_breaker *b = breaker_of(1000, 1000);

    (void)arg;
    for (size_t i = 0; i < 3; i++)
        for (int n = 0; n < 5; n++)
            CHECK_INT(call(b, codes[i]), codes[i]);
    check_state(b, WEIR_BREAKER_CLOSED);
    CHECK_INT(call(b, WEIR_EHEAD), WEIR_EHEAD);
    CHECK_INT(call(b, WEIR_ETRUNCATED), WEIR_ETRUNCATED);
    CHECK_INT(call(b, -ETIMEDOUT), -ETIMEDOUT);
    check_state(b, WEIR_BREAKER_OPEN);
    weir_breaker_free(b);
    return 0;
}

TASK_TEST(one_probe_passes_and_closes_it)
{
    weir_breaker *b = breaker_of(20, 1000);
    WEIR_TICKET(probe);

    (void)arg;
    open_it(b);
    CHECK_INT(weir_sleep_ms(25), 0);
    CHECK_INT(weir_breaker_enter(b, &probe), 0);
    check_state(b, WEIR_BREAKER_PROBING);
    CHECK_INT(call(b, 0), WEIR_EBREAKER);
    weir_breaker_leave(&probe, 0);
    check_state(b, WEIR_BREAKER_CLOSED);
    CHECK_INT(call(b, -EPIPE), -EPIPE);
    check_state(b, WEIR_BREAKER_CLOSED);
    weir_recover();
    weir_breaker_free(b);
    return 0;
}

TASK_TEST(a_failed_probe_opens_it_for_another_cooldown)
{
    weir_breaker *b = breaker_of(20, 1000);

    (void)arg;
    open_it(b);
    CHECK_INT(weir_sleep_ms(25), 0);
    CHECK_INT(call(b, -ETIMEDOUT), -ETIMEDOUT);
    check_state(b, WEIR_BREAKER_OPEN);
    CHECK_INT(call(b, 0), WEIR_EBREAKER);
    CHECK_INT(weir_sleep_ms(25), 0);
    CHECK_INT(call(b, 0), 0);
    check_state(b, WEIR_BREAKER_CLOSED);
    weir_recover();
    weir_breaker_free(b);
    return 0;
}

/* However a probe is left, the next call can probe. */
static void probe_and_leave(weir_breaker *b)
{
    WEIR_TICKET(probe);

    CHECK_INT(weir_breaker_enter(b, &probe), 0);
    check_state(b, WEIR_BREAKER_PROBING);
}

TASK_TEST(a_probe_that_is_given_up_is_followed_by_another)
{
    weir_breaker *b = breaker_of(10, 100000);

    (void)arg;
    open_it(b);
    CHECK_INT(weir_sleep_ms(15), 0);
    for (int i = 0; i < 3; i++)
        probe_and_leave(b);
    CHECK_INT(call(b, -ECANCELED), -ECANCELED);
    check_state(b, WEIR_BREAKER_OPEN);
    CHECK_INT(call(b, 0), 0);
    check_state(b, WEIR_BREAKER_CLOSED);
    weir_breaker_free(b);
    return 0;
}

TASK_TEST(a_probe_that_never_ends_is_overtaken_and_decides_nothing)
{
    weir_breaker *b = breaker_of(10, 20);
    weir_ticket stuck;

    (void)arg;
    open_it(b);
    CHECK_INT(weir_sleep_ms(15), 0);
    CHECK_INT(weir_breaker_enter(b, &stuck), 0);
    CHECK_INT(call(b, 0), WEIR_EBREAKER);
    CHECK_INT(weir_sleep_ms(25), 0);
    CHECK_INT(call(b, 0), 0);
    check_state(b, WEIR_BREAKER_CLOSED);
    weir_breaker_leave(&stuck, -ECONNRESET);
    check_state(b, WEIR_BREAKER_CLOSED);
    weir_recover();
    weir_breaker_free(b);
    return 0;
}

TASK_TEST(slow_failures_of_before_do_not_open_it_again)
{
    weir_breaker *b = breaker_of(10, 1000);
    weir_ticket slow[5];

    (void)arg;
    for (int i = 0; i < 5; i++)
        CHECK_INT(weir_breaker_enter(b, &slow[i]), 0);
    open_it(b);
    CHECK_INT(weir_sleep_ms(15), 0);
    CHECK_INT(call(b, 0), 0);
    for (int i = 0; i < 5; i++) {
        weir_breaker_leave(&slow[i], -ETIMEDOUT);
        weir_breaker_leave(&slow[i], -ETIMEDOUT);
    }
    check_state(b, WEIR_BREAKER_CLOSED);
    weir_breaker_free(b);
    return 0;
}

/* Threads fail, probe and succeed at random; in the end it can be closed. */
#define THREADS 4

static void *hammer(void *arg)
{
    weir_breaker *b = arg;

    for (int i = 0; i < 20000; i++) {
        WEIR_TICKET(t);

        if (weir_breaker_enter(b, &t) == 0 && i % 5 != 0)
            weir_breaker_leave(&t, i % 7 < 4 ? -ECONNRESET : 0);
    }
    weir_recover();
    return NULL;
}

static void it_is_never_stuck_between_threads(void **state)
{
    pthread_t threads[THREADS];
    weir_breaker_stats stats;
    weir_breaker *b;

    (void)state;
    assert_int_equal(weir_breaker_new(&b, .name = "x", .failures = 2, .cooldown_ms = 1), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, b), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    weir_breaker_read(b, &stats);
    assert_true(stats.opened > 0 && stats.probes > 0 && stats.refused > 0);
    assert_true(stats.state != WEIR_BREAKER_PROBING);
    for (int64_t until = weir_now().ns + 2000000000; call(b, 0) < 0;)
        assert_true(weir_now().ns < until);
    weir_breaker_read(b, &stats);
    assert_int_equal(stats.state, WEIR_BREAKER_CLOSED);
    weir_recover();
    weir_breaker_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_in_a_row_open_it_and_a_success_between_does_not),
        cmocka_unit_test(what_says_nothing_about_the_service_does_not_count),
        cmocka_unit_test(one_probe_passes_and_closes_it),
        cmocka_unit_test(a_failed_probe_opens_it_for_another_cooldown),
        cmocka_unit_test(a_probe_that_is_given_up_is_followed_by_another),
        cmocka_unit_test(a_probe_that_never_ends_is_overtaken_and_decides_nothing),
        cmocka_unit_test(slow_failures_of_before_do_not_open_it_again),
        cmocka_unit_test(it_is_never_stuck_between_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
