/* Signals and ticks. */
#include "support/both.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include <weir/block.h>
#include <weir/signals.h>
#include <weir/time.h>

#include "rt/rt.h"
#include "rt/sanitizer.h"
#include "support/sweep.h"

static void next_is(weir_signals *signals, int wanted)
{
    int number = 0;

    CHECK_INT(weir_signals_next(signals, &number), 1);
    CHECK_INT(number, wanted);
}

/* ---- signals ------------------------------------------------------------------------ */

BOTH_TEST(signals_are_fetched)
{
    weir_signals *signals;
    int number;

    (void)arg;
    CHECK_INT(weir_signals_open(&signals, SIGHUP, SIGUSR1, SIGHUP), 0);
    raise(SIGUSR1);
    raise(SIGHUP);
    raise(SIGHUP); /* once is enough */
    next_is(signals, SIGHUP);
    next_is(signals, SIGUSR1);
    WEIR_SCOPE(s, .timeout_ms = 5)
        CHECK_INT(weir_signals_next(signals, &number), -ETIMEDOUT);
    weir_recover();
    raise(SIGUSR1);
    next_is(signals, SIGUSR1);
    weir_signals_close(signals);
    return 0;
}

BOTH_TEST(what_can_not_be_taken)
{
    weir_signals *signals = NULL, *many[8];
    struct sigaction action;

    (void)arg;
    CHECK_INT(weir_signals_open(&signals, SIGKILL), -EINVAL);
    CHECK_INT(weir_signals_open(&signals, SIGUSR1, SIGSEGV), -EINVAL);
    CHECK_INT(weir_signals_open(&signals, 0), -EINVAL);
    CHECK_INT(weir_signals_open(&signals, 65), -EINVAL);
    sigaction(SIGUSR1, NULL, &action);
    CHECK(action.sa_handler == SIG_DFL); /* given back */
    for (int i = 0; i < 8; i++)
        CHECK_INT(weir_signals_open(&many[i], SIGRTMIN + i), 0);
    CHECK_INT(weir_signals_open(&signals, SIGUSR1), WEIR_EFULL);
    weir_signals_close(many[7]);
    CHECK_INT(weir_signals_open(&signals, SIGRTMIN), -EBUSY);
    weir_recover();
    for (int i = 0; i < 7; i++)
        weir_signals_close(many[i]);
    weir_signals_close(NULL);
    CHECK(signals == NULL);
    return 0;
}

/* Another thread of the process gets it. ThreadSanitizer keeps a signal for the fiber
 * that it interrupted, which may be waiting for that very signal; it gets it at once
 * from itself. */
__attribute__((unused)) static int send_from_thread(void *arg)
{
    (void)arg;
    return kill(getpid(), SIGUSR2);
}

static weir_signals *shared;

static int send_soon(void *arg)
{
    (void)arg;
    CHECK_INT(weir_sleep_ms(1), 0);
#ifdef CONTEXT_TSAN
    return raise(SIGUSR2);
#else
    return weir_block(send_from_thread, NULL);
#endif
}

TASK_TEST(a_signal_wakes_the_loop)
{
    (void)arg;
    CHECK_INT(weir_signals_open(&shared, SIGUSR2), 0);
    WEIR_SCOPE(s) {
        for (int i = 0; i < 20; i++) {
            weir_go(s, send_soon, NULL);
            next_is(shared, SIGUSR2);
        }
        CHECK_INT(weir_join(s), 0);
    }
    weir_signals_close(shared);
    return 0;
}

static int wait_for_stop(void *arg)
{
    int number;

    (void)arg;
    CHECK_INT(weir_signals_next(shared, &number), 0);
    CHECK_INT(weir_signals_next(shared, &number), 0);
    return 0;
}

BOTH_TEST(a_stop_ends_the_wait)
{
    int number;

    (void)arg;
    CHECK_INT(weir_signals_open(&shared, SIGUSR2), 0);
    WEIR_SCOPE(s) {
        weir_go(s, wait_for_stop, NULL);
        CHECK_INT(weir_sleep_ms(2), 0);
        CHECK_INT(weir_signals_next(shared, &number), -EBUSY);
        weir_stop(s);
        CHECK_INT(weir_join(s), 0);
    }
    weir_signals_close(shared);
    return 0;
}

static int swept(void *arg)
{
    int number, rc = 1;

    (void)arg;
    CHECK_INT(weir_signals_open(&shared, SIGUSR2), 0);
    WEIR_SCOPE(s) {
        weir_ticker ticker = weir_ticker_every_ms(1);

        sweep_at(s);
        rc = weir_tick(&ticker);
        WEIR_SCOPE(soon, .timeout_ms = 2)
            if (rc > 0)
                rc = weir_signals_next(shared, &number);
        sweep_over();
    }
    CHECK(rc == -ETIMEDOUT || (rc == -ECANCELED && sweep_hit()));
    weir_recover();
    weir_signals_close(shared);
    return 0;
}

static void waits_are_swept(void **state)
{
    (void)state;
    assert_int_equal(sweep_waits(swept, NULL), 2);
}

/* ---- ticks ---------------------------------------------------------------------------- */

static int exact_ticks(void *arg)
{
    weir_ticker ticker = weir_ticker_every_ms(10);

    (void)arg;
    CHECK_INT(weir_now().ns, 0);
    for (int i = 1; i <= 5; i++) {
        CHECK_INT(weir_tick(&ticker), 1);
        CHECK_INT(weir_now().ns, i * 10000000);
        CHECK_INT(weir_sleep_ms(7), 0); /* work does not move the next */
    }
    CHECK_INT(weir_sleep_ms(40), 0); /* 97: 60, 70, 80 and 90 are over */
    CHECK_INT(weir_tick(&ticker), 4);
    CHECK_INT(weir_now().ns, 97000000);
    CHECK_INT(weir_tick(&ticker), 1);
    CHECK_INT(weir_now().ns, 100000000);
    return 0;
}

static void ticks_do_not_drift(void **state)
{
    (void)state;
    assert_int_equal(SIMULATED(exact_ticks), 0);
}

BOTH_TEST(ticks_end)
{
    weir_ticker ticker = weir_ticker_every_ms(1000000), fast = weir_ticker_every_ms(0);

    (void)arg;
    CHECK(weir_tick(&fast) >= 1);
    WEIR_SCOPE(s, .timeout_ms = 3)
        CHECK_INT(weir_tick(&ticker), -ETIMEDOUT);
    weir_recover();
    return 0;
}

static int tick_until_stop(void *arg)
{
    weir_ticker ticker = weir_ticker_every_ms(1000000);

    (void)arg;
    CHECK_INT(weir_tick(&ticker), 0);
    CHECK_INT(weir_tick(&ticker), 0);
    return 0;
}

BOTH_TEST(a_stop_ends_the_ticks)
{
    (void)arg;
    WEIR_SCOPE(s) {
        weir_go(s, tick_until_stop, NULL);
        CHECK_INT(weir_sleep_ms(2), 0);
        weir_stop(s);
        CHECK_INT(weir_join(s), 0);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_are_fetched),
        cmocka_unit_test(what_can_not_be_taken),
        cmocka_unit_test(a_signal_wakes_the_loop),
        cmocka_unit_test(a_stop_ends_the_wait),
        cmocka_unit_test(waits_are_swept),
        cmocka_unit_test(ticks_do_not_drift),
        cmocka_unit_test(ticks_end),
        cmocka_unit_test(a_stop_ends_the_ticks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
