/* Ends of channels that are held: the channel closes when the last lets go. */
#include "support/in_task.h"

#include <weir/chan.h>

typedef WEIR_CHAN(int) int_chan;

static int_chan numbers;

static int send_three(void *arg)
{
    int first = (int)(intptr_t)arg;

    for (int i = first; i < first + 3; i++) {
        int rc = weir_send(numbers, &i);

        if (rc < 0)
            return rc;
    }
    return 0; /* and does not close it */
}

static int add_up(void *arg)
{
    int number, rc;

    while ((rc = weir_recv(numbers, &number)) > 0)
        *(int *)arg += number;
    return rc;
}

TASK_TEST(it_closes_with_the_end_of_the_last_task_that_sends)
{
    int sums[2] = { 0, 0 };

    (void)arg;
    CHECK_INT(weir_chan_open(&numbers, .capacity = 2), 0);
    WEIR_SCOPE(s) {
        weir_go(s, add_up, &sums[0]);
        weir_go(s, add_up, &sums[1]);
        weir_hold(numbers, WEIR_SENDS); /* until both are started */
        weir_go(s, send_three, (void *)1, .sends = numbers.chan);
        CHECK_INT(weir_sleep_ms(5), 0);
        weir_go(s, send_three, (void *)10, .sends = numbers.chan);
        weir_let_go(numbers, WEIR_SENDS);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(sums[0] + sums[1], 1 + 2 + 3 + 10 + 11 + 12);
    weir_chan_free(numbers);
    return 0;
}

static int take_one(void *arg)
{
    int number;

    (void)arg;
    return weir_recv(numbers, &number) > 0 ? 0 : -EPIPE;
}

TASK_TEST(senders_are_told_when_no_task_is_left_that_receives)
{
    int rc = 0;

    (void)arg;
    CHECK_INT(weir_chan_open(&numbers, .capacity = 0), 0);
    WEIR_SCOPE(s, .collect = true) {
        weir_go(s, take_one, NULL, .receives = numbers.chan);
        weir_go(s, take_one, NULL, .receives = numbers.chan);
        weir_go(s, send_three, (void *)1);
        rc = weir_join(s);
    }
    CHECK_INT(rc, WEIR_ECLOSED);
    weir_chan_free(numbers);
    return 0;
}

TASK_TEST(a_child_that_cant_start_counts_as_one_that_has_ended)
{
    int number;

    (void)arg;
    CHECK_INT(weir_chan_open(&numbers, .capacity = 1), 0);
    WEIR_SCOPE(s) {
        weir_cancel(s);
        weir_go(s, send_three, NULL, .sends = numbers.chan);
        CHECK_INT(weir_join(s), -ECANCELED);
    }
    CHECK_INT(weir_recv(numbers, &number), 0);
    weir_chan_free(numbers);
    return 0;
}

static int over_loops(void *arg)
{
    int sum = 0;

    (void)arg;
    CHECK_INT(weir_chan_open(&numbers, .capacity = 4, .shared = true), 0);
    WEIR_SCOPE(s) {
        weir_hold(numbers, WEIR_SENDS);
        for (intptr_t i = 0; i < 100; i++)
            weir_go(s, send_three, (void *)(10 * i), .sends = numbers.chan, .spread = true);
        weir_let_go(numbers, WEIR_SENDS);
        CHECK_INT(add_up(&sum), 0);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(sum, 300 + 3 * 10 * 4950);
    weir_chan_free(numbers);
    return 0;
}

static void tasks_of_all_loops_hold_an_end(void **state)
{
    (void)state;
    assert_int_equal(weir_run(over_loops, NULL, .loops = 3), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_closes_with_the_end_of_the_last_task_that_sends),
        cmocka_unit_test(senders_are_told_when_no_task_is_left_that_receives),
        cmocka_unit_test(a_child_that_cant_start_counts_as_one_that_has_ended),
        cmocka_unit_test(tasks_of_all_loops_hold_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
