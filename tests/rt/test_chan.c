/* Channels and select: order, bounds, rendezvous, closing, cancels, fairness. */
#include "support/in_task.h"

#include <weir/chan.h>
#include <weir/time.h>

typedef WEIR_CHAN(int) int_chan;

struct wide {
    char text[40];
    int n;
};

typedef WEIR_CHAN(struct wide) wide_chan;

static int produce(void *arg)
{
    int_chan *c = arg;

    for (int i = 0; i < 1000; i++) {
        int rc = weir_send(*c, &i);

        if (rc < 0)
            return rc;
    }
    weir_close(*c);
    return 0;
}

static void pass_in_order(uint32_t capacity)
{
    int_chan c;
    int got, rc, next = 0;

    CHECK_INT(weir_chan_open(&c, .capacity = capacity), 0);
    WEIR_SCOPE(s) {
        weir_go(s, produce, &c);
        while ((rc = weir_recv(c, &got)) > 0) {
            CHECK_INT(got, next++);
            CHECK(weir_chan_depth(c.chan) <= capacity);
        }
        CHECK_INT(rc, 0);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(next, 1000);
    weir_chan_free(c);
}

TASK_TEST(items_come_in_order)
{
    (void)arg;
    pass_in_order(0);
    pass_in_order(1);
    pass_in_order(7);
    pass_in_order(2000);
    return 0;
}

TASK_TEST(try_forms_never_wait)
{
    int_chan c;
    int v = 0;

    (void)arg;
    CHECK_INT(weir_chan_open(&c, .capacity = 2), 0);
    CHECK_INT(weir_try_recv(c, &v), -EAGAIN);
    CHECK_INT(weir_try_send(c, &(int){ 1 }), 1);
    CHECK_INT(weir_try_send(c, &(int){ 2 }), 1);
    CHECK_INT(weir_try_send(c, &(int){ 3 }), -EAGAIN);
    weir_close(c);
    CHECK_INT(weir_try_send(c, &(int){ 3 }), WEIR_ECLOSED);
    CHECK_INT(weir_send(c, &(int){ 3 }), WEIR_ECLOSED);
    CHECK_INT(weir_try_recv(c, &v), 1);
    CHECK_INT(weir_recv(c, &v), 1);
    CHECK_INT(v, 2);
    CHECK_INT(weir_recv(c, &v), 0);
    CHECK_INT(weir_try_recv(c, &v), 0);
    weir_chan_free(c);
    return 0;
}

TASK_TEST(an_item_of_the_wrong_size_is_refused)
{
    int_chan c;
    char one = 1;

    (void)arg;
    CHECK_INT(weir_chan_open(&c, .capacity = 1), 0);
    CHECK_INT(weir_chan_send(c.chan, &one, 1), -EINVAL);
    CHECK_INT(weir_chan_recv(c.chan, &one, 1), -EINVAL);
    CHECK_INT(weir_chan_try_send(c.chan, &one, 1), -EINVAL);
    CHECK_INT(weir_chan_try_recv(c.chan, &one, 1), -EINVAL);
    CHECK_INT(weir_select(WEIR_AFTER_MS(1)).rc, 0);
    weir_chan_free(c);
    return 0;
}

static int send_one(void *arg)
{
    int_chan *c = arg;

    return weir_send(*c, &(int){ 5 });
}

TASK_TEST(a_cancelled_send_keeps_its_item)
{
    int_chan c;
    int v = 0;

    (void)arg;
    CHECK_INT(weir_chan_open(&c, .capacity = 1), 0);
    CHECK_INT(weir_send(c, &(int){ 1 }), 1);
    WEIR_SCOPE(s, .timeout_ms = 5) {
        weir_go(s, send_one, &c);
        CHECK_INT(weir_join(s), -ETIMEDOUT);
    }
    weir_recover();
    CHECK_INT(weir_recv(c, &v), 1);
    CHECK_INT(v, 1);
    CHECK_INT(weir_try_recv(c, &v), -EAGAIN); /* 5 is not there */
    weir_chan_free(c);
    return 0;
}

static int recv_wide(void *arg)
{
    wide_chan *c = arg;
    struct wide got = { .n = -1 };
    int rc = weir_recv(*c, &got);

    CHECK_INT(rc, 1);
    CHECK_TEXT(got.text, "hello");
    return got.n;
}

/* The cancel comes in the same turn as the item, after it: the item wins. */
TASK_TEST(an_item_beats_a_cancel)
{
    wide_chan c;
    weir_task taker;
    int result = 0;

    (void)arg;
    CHECK_INT(weir_chan_open(&c, .capacity = 0), 0);
    WEIR_SCOPE(s) {
        taker = weir_go(s, recv_wide, &c, .hold = true);
        CHECK_INT(weir_sleep_ms(1), 0);
        CHECK_INT(weir_send(c, &(struct wide){ .text = "hello", .n = 9 }), 1);
        weir_cancel(s);
        CHECK_INT(weir_join(s), 0);
        CHECK_INT(weir_result(taker, &result), 0);
        CHECK_INT(result, 9);
    }
    weir_chan_free(c);
    return 0;
}

static int dropped;

static void drop(void *item)
{
    dropped += *(int *)item;
}

TASK_TEST(what_is_left_is_dropped)
{
    int_chan c;

    (void)arg;
    CHECK_INT(weir_chan_open(&c, .capacity = 4, .drop = drop), 0);
    for (int i = 1; i <= 3; i++)
        CHECK_INT(weir_send(c, &i), 1);
    weir_chan_free(c);
    CHECK_INT(dropped, 6);
    weir_chan_destroy(NULL);
    return 0;
}

static int recv_source(void *arg)
{
    int_chan *c = arg;
    int v;

    return weir_recv(*c, &v);
}

TASK_TEST(a_source_ends_at_a_stop)
{
    int_chan c;

    (void)arg;
    CHECK_INT(weir_chan_open(&c, .capacity = 1, .source = true), 0);
    WEIR_SCOPE(s) {
        weir_go(s, recv_source, &c);
        CHECK_INT(weir_sleep_ms(1), 0);
        weir_stop(s);
        CHECK_INT(weir_join(s), 0);
        CHECK_INT(recv_source(&c), 0);
    }
    weir_chan_free(c);
    return 0;
}

TASK_TEST(select_takes_what_is_ready_and_is_fair)
{
    int_chan a, b;
    int v, counts[2] = { 0, 0 };

    (void)arg;
    CHECK_INT(weir_chan_open(&a, .capacity = 100), 0);
    CHECK_INT(weir_chan_open(&b, .capacity = 100), 0);
    for (int i = 0; i < 100; i++) {
        CHECK_INT(weir_send(a, &i), 1);
        CHECK_INT(weir_send(b, &i), 1);
    }
    for (int i = 0; i < 100; i++) {
        weir_pick p = weir_select(WEIR_RECV(a, &v), WEIR_RECV(b, &v));

        CHECK_INT(p.rc, 1);
        counts[p.arm]++;
    }
    CHECK(counts[0] >= 40 && counts[1] >= 40);
    weir_chan_free(a);
    weir_chan_free(b);
    return 0;
}

static int close_later(void *arg)
{
    int_chan *c = arg;
    int rc = weir_sleep_ms(3);

    weir_close(*c);
    return rc;
}

static int sleep_a_little(void *arg)
{
    int rc = weir_sleep_ms(3);

    return rc < 0 ? rc : *(int *)arg;
}

TASK_TEST(select_waits_for_the_first)
{
    int_chan a, b;
    int v = 0, eleven = 11;
    weir_pick p;

    (void)arg;
    CHECK_INT(weir_chan_open(&a, .capacity = 0), 0);
    CHECK_INT(weir_chan_open(&b, .capacity = 0), 0);
    p = weir_select(WEIR_RECV(a, &v), WEIR_SEND(b, &(int){ 1 }), WEIR_AFTER_MS(2));
    CHECK_INT(p.arm, 2);
    WEIR_SCOPE(s) {
        weir_task slow;

        weir_go(s, send_one, &a);
        p = weir_select(WEIR_RECV(a, &v), WEIR_RECV(b, &v), WEIR_AFTER_MS(10000));
        CHECK_INT(p.arm, 0);
        CHECK_INT(p.rc, 1);
        CHECK_INT(v, 5);
        weir_go(s, close_later, &b);
        p = weir_select(WEIR_RECV(a, &v), WEIR_RECV(b, &v));
        CHECK_INT(p.arm, 1);
        CHECK_INT(p.rc, 0);
        slow = weir_go(s, sleep_a_little, &eleven);
        p = weir_select(WEIR_RECV(a, &v), WEIR_DONE(slow), WEIR_STOP);
        CHECK_INT(p.arm, 1);
        CHECK_INT(p.rc, 11);
        CHECK_INT(weir_join(s), 0);
        p = weir_select(WEIR_DONE(slow));
        CHECK_INT(p.rc, -ESRCH);
    }
    weir_chan_free(a);
    weir_chan_free(b);
    return 0;
}

static int select_forever(void *arg)
{
    int_chan *c = arg;
    int v;
    weir_pick p = weir_select(WEIR_RECV(*c, &v), WEIR_STOP);

    CHECK_INT(p.arm, p.rc < 0 ? -1 : 1);
    return p.rc;
}

TASK_TEST(select_sees_cancel_and_stop)
{
    int_chan c;

    (void)arg;
    CHECK_INT(weir_chan_open(&c, .capacity = 0), 0);
    WEIR_SCOPE(s, .timeout_ms = 5) {
        weir_go(s, select_forever, &c);
        CHECK_INT(weir_join(s), -ETIMEDOUT);
    }
    weir_recover();
    WEIR_SCOPE(s) {
        weir_go(s, select_forever, &c);
        CHECK_INT(weir_sleep_ms(1), 0);
        weir_stop(s);
        CHECK_INT(weir_join(s), 0);
    }
    /* Nobody is left waiting at the channel. */
    CHECK_INT(weir_try_send(c, &(int){ 1 }), -EAGAIN);
    weir_chan_free(c);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_in_order),
        cmocka_unit_test(try_forms_never_wait),
        cmocka_unit_test(an_item_of_the_wrong_size_is_refused),
        cmocka_unit_test(a_cancelled_send_keeps_its_item),
        cmocka_unit_test(an_item_beats_a_cancel),
        cmocka_unit_test(what_is_left_is_dropped),
        cmocka_unit_test(a_source_ends_at_a_stop),
        cmocka_unit_test(select_takes_what_is_ready_and_is_fair),
        cmocka_unit_test(select_waits_for_the_first),
        cmocka_unit_test(select_sees_cancel_and_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
