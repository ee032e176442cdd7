/* One-shot channels, and room that is kept: of one loop and of all. */
#include "loops_run.h"

#include <stdatomic.h>

#include <weir/chan.h>

#define SENT 3000

typedef WEIR_CHAN(uint64_t) number_chan;
typedef WEIR_PERMIT(uint64_t) number_permit;

/* ---- one-shot ---------------------------------------------------------------- */

static void one_item(bool shared)
{
    number_chan c;
    uint64_t v = 0;

    CHECK_INT(weir_chan_open(&c, .oneshot = true, .shared = shared), 0);
    CHECK_INT(weir_try_recv(c, &v), -EAGAIN);
    CHECK_INT(weir_send(c, &(uint64_t){ 7 }), 1);
    CHECK_INT(weir_send(c, &(uint64_t){ 8 }), WEIR_ECLOSED);
    CHECK_INT(weir_recv(c, &v), 1);
    CHECK_INT(v, 7);
    CHECK_INT(weir_recv(c, &v), 0);
    weir_chan_free(c);
    CHECK_INT(weir_chan_open(&c, .oneshot = true, .shared = shared), 0);
    weir_close(c); /* the sender has nothing to say */
    CHECK_INT(weir_recv(c, &v), 0);
    weir_chan_free(c);
}

static int wait_for_it(void *arg)
{
    number_chan *c = arg;
    uint64_t v;
    int rc = weir_recv(*c, &v);

    CHECK(rc == 0 || (rc == 1 && v == 9));
    return rc;
}

static void one_of_those_that_wait(bool shared)
{
    number_chan c;
    weir_task tasks[3];
    int total = 0;

    CHECK_INT(weir_chan_open(&c, .oneshot = true, .shared = shared), 0);
    WEIR_SCOPE(s) {
        for (int i = 0; i < 3; i++)
            tasks[i] = weir_go(s, wait_for_it, &c, .hold = true);
        CHECK_INT(weir_sleep_ms(1), 0);
        CHECK_INT(weir_send(c, &(uint64_t){ 9 }), 1);
        CHECK_INT(weir_join(s), 0);
        for (int i = 0; i < 3; i++) {
            int rc = -1;

            CHECK_INT(weir_result(tasks[i], &rc), 0);
            total += rc;
        }
    }
    CHECK_INT(total, 1);
    weir_chan_free(c);
}

TASK_TEST(a_one_shot_takes_one_item)
{
    (void)arg;
    one_item(false);
    one_item(true);
    one_of_those_that_wait(false);
    one_of_those_that_wait(true);
    return 0;
}

/* ---- room that is kept ------------------------------------------------------- */

static int reserve_and_send(void *arg)
{
    number_chan *c = arg;
    number_permit permit;
    int rc = weir_reserve(*c, &permit);

    if (rc == 0)
        weir_send_reserved(permit, &(uint64_t){ 3 });
    return rc;
}

static void kept(bool shared)
{
    number_chan c;
    number_permit one, two;
    uint64_t v = 0;

    CHECK_INT(weir_chan_open(&c, .capacity = 2, .shared = shared), 0);
    CHECK_INT(weir_reserve(c, &one), 0);
    CHECK_INT(weir_try_send(c, &(uint64_t){ 1 }), 1);
    CHECK_INT(weir_try_send(c, &(uint64_t){ 9 }), -EAGAIN);
    CHECK_INT(weir_chan_depth(c.chan), 1);
    weir_send_reserved(one, &(uint64_t){ 2 });
    CHECK_INT(weir_recv(c, &v), 1);
    CHECK_INT(v, 1);
    CHECK_INT(weir_reserve(c, &two), 0);
    WEIR_SCOPE(s, .timeout_ms = 5)
        CHECK_INT(weir_reserve(c, &one), -ETIMEDOUT);
    WEIR_SCOPE(s) {
        weir_go(s, reserve_and_send, &c); /* waits until room is given back */
        CHECK_INT(weir_sleep_ms(1), 0);
        weir_unreserve(two);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(weir_recv(c, &v), 1);
    CHECK_INT(v, 2);
    CHECK_INT(weir_recv(c, &v), 1);
    CHECK_INT(v, 3);
    weir_chan_free(c);
}

/* A permit that was given before the close is good after it. */
static void closed_with_permits(bool shared)
{
    number_chan c;
    number_permit one, two;
    uint64_t v = 0;

    CHECK_INT(weir_chan_open(&c, .capacity = 2, .shared = shared), 0);
    CHECK_INT(weir_reserve(c, &one), 0);
    CHECK_INT(weir_reserve(c, &two), 0);
    weir_close(c);
    CHECK_INT(weir_try_recv(c, &v), -EAGAIN);
    weir_send_reserved(one, &(uint64_t){ 4 });
    CHECK_INT(weir_recv(c, &v), 1);
    CHECK_INT(v, 4);
    WEIR_SCOPE(s) {
        weir_go(s, wait_for_it, &c);
        CHECK_INT(weir_sleep_ms(1), 0);
        weir_unreserve(two);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(weir_reserve(c, &one), WEIR_ECLOSED);
    weir_chan_free(c);
    CHECK_INT(weir_chan_open(&c, .shared = shared), 0);
    CHECK_INT(weir_reserve(c, &one), -EINVAL);
    weir_recover();
    weir_chan_free(c);
}

TASK_TEST(room_is_kept_for_who_reserved_it)
{
    (void)arg;
    kept(false);
    kept(true);
    closed_with_permits(false);
    closed_with_permits(true);
    return 0;
}

struct mill {
    number_chan c;
    atomic_uint_fast64_t in, out;
};

static int by_permit(void *arg)
{
    struct mill *mill = arg;

    for (uint64_t i = 1; i <= SENT; i++) {
        number_permit permit;

        CHECK_INT(weir_reserve(mill->c, &permit), 0);
        if (i % 5 == 0)
            CHECK_INT(weir_yield(), 0);
        if (i % 3 == 0) {
            weir_unreserve(permit);
        } else {
            weir_send_reserved(permit, &i);
            atomic_fetch_add(&mill->in, i);
        }
    }
    return 0;
}

static int by_send(void *arg)
{
    struct mill *mill = arg;

    for (uint64_t i = 1; i <= SENT; i++) {
        CHECK_INT(weir_send(mill->c, &i), 1);
        atomic_fetch_add(&mill->in, i);
    }
    return 0;
}

static int take_all(void *arg)
{
    struct mill *mill = arg;
    uint64_t v;
    int rc;

    while ((rc = weir_recv(mill->c, &v)) > 0)
        atomic_fetch_add(&mill->out, v);
    return rc;
}

LOOPS_TEST(permits_and_sends_mix_on_all_loops)
{
    (void)arg;
    for (uint32_t capacity = 1; capacity <= 9; capacity += 4) {
        struct mill mill = { .in = 0 };

        CHECK_INT(weir_chan_open(&mill.c, .capacity = capacity, .shared = true), 0);
        WEIR_SCOPE(takers) {
            weir_go_on(takers, 0, take_all, &mill);
            weir_go_on(takers, 2, take_all, &mill);
            WEIR_SCOPE(s) {
                for (uint32_t loop = 0; loop < LOOPS; loop++) {
                    weir_go_on(s, loop, by_permit, &mill);
                    weir_go_on(s, loop, by_send, &mill);
                }
                CHECK_INT(weir_join(s), 0);
            }
            weir_close(mill.c);
            CHECK_INT(weir_join(takers), 0);
        }
        CHECK_INT(mill.in, mill.out);
        weir_chan_free(mill.c);
    }
    return 0;
}

static int swept_reserve(void *arg)
{
    bool shared = arg != NULL;
    number_chan c;
    number_permit permit;
    uint64_t v;
    int rc;

    CHECK_INT(weir_chan_open(&c, .capacity = 1, .shared = shared), 0);
    WEIR_SCOPE(s) {
        sweep_at(s);
        weir_go(s, reserve_and_send, &c);
        weir_go(s, reserve_and_send, &c);
        rc = weir_reserve(c, &permit);
        if (rc == 0) {
            rc = weir_yield();
            weir_unreserve(permit);
        }
        for (int i = 0; i < 2 && rc >= 0; i++)
            rc = weir_recv(c, &v);
        CHECK(gave_up(rc) || rc >= 0);
        rc = weir_join(s);
        sweep_over();
        CHECK(gave_up(rc) || rc == 0);
    }
    weir_recover();
    while (weir_try_recv(c, &v) > 0)
        ;
    CHECK_INT(weir_try_send(c, &(uint64_t){ 1 }), 1); /* all room is there again */
    weir_chan_free(c);
    return 0;
}

static int swept_shared_reserve(void *arg)
{
    (void)arg;
    return swept_reserve("shared");
}

static void a_reserve_cancelled_at_every_wait(void **state)
{
    (void)state;
    sweep_everywhere(swept_reserve, 2);
    sweep_everywhere(swept_shared_reserve, 2);
}

static int use_twice(void *arg)
{
    number_chan c;
    number_permit permit;

    (void)arg;
    CHECK_INT(weir_chan_open(&c, .name = "twice", .capacity = 2, .shared = true), 0);
    CHECK_INT(weir_reserve(c, &permit), 0);
    weir_unreserve(permit);
    weir_unreserve(permit);
    weir_chan_free(c);
    return 0;
}

static void a_permit_used_twice(void **state)
{
    (void)state;
    expect_wrong_use(use_twice, "channel \"twice\" keeps no room");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_one_shot_takes_one_item),
        cmocka_unit_test(room_is_kept_for_who_reserved_it),
        cmocka_unit_test(permits_and_sends_mix_on_all_loops),
        cmocka_unit_test(a_reserve_cancelled_at_every_wait),
        cmocka_unit_test(a_permit_used_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
