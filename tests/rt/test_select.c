/* Select over shared and local channels, descriptors, timers and ends: exactly one
 * arm commits, on threads and in the simulator. */
#include "loops_run.h"

#include <stdatomic.h>
#include <sys/eventfd.h>

#include <weir/chan.h>

#include "support/random.h"

#define ROUNDS 400

typedef WEIR_CHAN(uint64_t) number_chan;

/* ---- selects meet selects ------------------------------------------------------ */

struct market {
    number_chan chans[3];
    atomic_uint_fast64_t in, out, next;
    struct random random;
    atomic_uint seat;
};

/* At each of its channels it would send as well as receive. */
static int trade(void *arg)
{
    struct market *market = arg;
    struct random random = market->random;

    random.state += atomic_fetch_add(&market->seat, 1);
    for (int i = 0; i < ROUNDS; i++) {
        number_chan a = market->chans[random_below(&random, 3)];
        number_chan b = market->chans[random_below(&random, 3)];
        uint64_t offer = atomic_fetch_add(&market->next, 1) + 1, got = 0;
        weir_pick p;

        if (i % 2)
            p = weir_select(WEIR_SEND(a, &offer), WEIR_RECV(b, &got), WEIR_RECV(a, &got),
                            WEIR_AFTER_MS(random_below(&random, 2)));
        else
            p = weir_select_in_order(WEIR_RECV(b, &got), WEIR_SEND(a, &offer), WEIR_SEND(b, &offer),
                                     WEIR_AFTER_MS(1));
        if (p.arm == 3)
            continue;
        CHECK_INT(p.rc, 1);
        if (got)
            atomic_fetch_add(&market->out, got);
        else
            atomic_fetch_add(&market->in, offer);
    }
    return 0;
}

static void trade_at(uint32_t capacity)
{
    struct market market = { .in = 0 };
    uint64_t item;

    random_begin(&market.random);
    for (int i = 0; i < 3; i++)
        CHECK_INT(weir_chan_open(&market.chans[i], .capacity = capacity, .shared = true), 0);
    WEIR_SCOPE(s) {
        for (uint32_t i = 0; i < 3 * LOOPS; i++)
            weir_go_on(s, i % LOOPS, trade, &market);
        CHECK_INT(weir_join(s), 0);
    }
    for (int i = 0; i < 3; i++) {
        while (weir_try_recv(market.chans[i], &item) > 0)
            market.out += item;
        weir_chan_free(market.chans[i]);
    }
    CHECK(market.out > 0);
    CHECK_INT(market.in, market.out);
}

LOOPS_TEST(selects_meet_selects_and_exactly_one_arm_commits)
{
    (void)arg;
    trade_at(0);
    trade_at(1);
    trade_at(4);
    return 0;
}

/* ---- the arms ------------------------------------------------------------------ */

static int send_seven(void *arg)
{
    number_chan *c = arg;
    int rc = weir_sleep_ms(2);

    return rc < 0 ? rc : weir_send(*c, &(uint64_t){ 7 });
}

LOOPS_TEST(local_and_shared_arms_mix)
{
    number_chan local, shared;
    uint64_t got = 0, other = 0;
    weir_pick p;

    (void)arg;
    CHECK_INT(weir_chan_open(&local), 0);
    CHECK_INT(weir_chan_open(&shared, .shared = true), 0);
    for (int i = 0; i < 4; i++)
        WEIR_SCOPE(s) {
            if (i % 2)
                weir_go(s, send_seven, &local);
            else
                weir_go_on(s, 1 + (uint32_t)i / 2, send_seven, &shared);
            p = weir_select(WEIR_RECV(local, &got), WEIR_RECV(shared, &other),
                            WEIR_SEND(local, &(uint64_t){ 1 }), WEIR_AFTER_MS(60000),
                            WEIR_AFTER_MS(50000));
            CHECK_INT(p.arm, i % 2 ? 0 : 1);
            CHECK_INT(p.rc, 1);
            CHECK_INT(i % 2 ? got : other, 7);
            CHECK_INT(weir_join(s), 0);
        }
    p = weir_select(WEIR_RECV(local, &got), WEIR_AFTER_MS(60), WEIR_RECV(shared, &got),
                    WEIR_AFTER_MS(2));
    CHECK_INT(p.arm, 3);
    CHECK_INT(weir_try_send(shared, &got), -EAGAIN); /* nobody stands there any more */
    CHECK_INT(weir_try_send(local, &got), -EAGAIN);
    weir_close(shared);
    p = weir_select(WEIR_RECV(local, &got), WEIR_RECV(shared, &got));
    CHECK(p.arm == 1 && p.rc == 0);
    weir_chan_free(local);
    weir_chan_free(shared);
    return 0;
}

TASK_TEST(in_order_takes_the_first_that_is_ready)
{
    number_chan a, b;
    uint64_t got = 0;
    weir_pick p;

    (void)arg;
    CHECK_INT(weir_chan_open(&a, .capacity = 64, .shared = true), 0);
    CHECK_INT(weir_chan_open(&b, .capacity = 64), 0);
    p = weir_select(WEIR_RECV(a, &got), WEIR_OTHERWISE, WEIR_RECV(b, &got));
    CHECK(p.arm == 1 && p.rc == 0);
    for (int i = 0; i < 50; i++) {
        CHECK_INT(weir_send(a, &(uint64_t){ 1 }), 1);
        CHECK_INT(weir_send(b, &(uint64_t){ 2 }), 1);
    }
    for (int i = 0; i < 50; i++) {
        p = weir_select_in_order(WEIR_RECV(b, &got), WEIR_RECV(a, &got), WEIR_OTHERWISE);
        CHECK(p.arm == 0 && got == 2);
    }
    p = weir_select_in_order(WEIR_RECV(b, &got), WEIR_RECV(a, &got), WEIR_OTHERWISE);
    CHECK(p.arm == 1 && got == 1);
    weir_chan_free(a);
    weir_chan_free(b);
    return 0;
}

static int poke(void *arg)
{
    int rc = weir_sleep_ms(2);

    CHECK_INT(eventfd_write(*(int *)arg, 1), 0);
    return rc;
}

LOOPS_TEST(a_descriptor_is_an_arm)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    number_chan c;
    uint64_t got = 0;
    weir_pick p;

    (void)arg;
    CHECK_INT(weir_chan_open(&c, .shared = true), 0);
    p = weir_select(WEIR_READABLE(fd), WEIR_RECV(c, &got), WEIR_AFTER_MS(2));
    CHECK_INT(p.arm, 2);
    p = weir_select(WEIR_READABLE(fd), WEIR_WRITABLE(fd), WEIR_RECV(c, &got));
    CHECK(p.arm == 1 && p.rc > 0);
    WEIR_SCOPE(s) {
        weir_go(s, poke, &fd);
        p = weir_select(WEIR_RECV(c, &got), WEIR_READABLE(fd));
        CHECK(p.arm == 1 && p.rc > 0);
        CHECK_INT(eventfd_read(fd, &got), 0);
        weir_go_on(s, 1, send_seven, &c);
        p = weir_select(WEIR_RECV(c, &got), WEIR_READABLE(fd), WEIR_READABLE(fd));
        CHECK(p.arm == 0 && got == 7);
        CHECK_INT(weir_join(s), 0);
    }
    p = weir_select(WEIR_READABLE(-1), WEIR_RECV(c, &got));
    CHECK(p.arm == 0 && p.rc == -EBADF);
    close(fd);
    weir_chan_free(c);
    return 0;
}

/* ---- cancels --------------------------------------------------------------------- */

static int swept(void *arg)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    number_chan shared, local;
    uint64_t got;
    int received = 0, rc;

    (void)arg;
    CHECK_INT(weir_chan_open(&shared, .capacity = 1, .shared = true), 0);
    CHECK_INT(weir_chan_open(&local), 0);
    WEIR_SCOPE(s) {
        weir_pick p = { 0, 0 };

        sweep_at(s);
        weir_go(s, send_seven, &local);
        weir_go(s, send_seven, &shared);
        for (int i = 0; i < 3 && p.rc >= 0; i++) {
            p = weir_select(WEIR_RECV(local, &got), WEIR_READABLE(fd), WEIR_RECV(shared, &got),
                            WEIR_AFTER_MS(20));
            received += p.rc == 1;
            CHECK(gave_up(p.rc) || p.rc >= 0);
        }
        rc = weir_join(s);
        sweep_over();
        CHECK(gave_up(rc) || rc == 0);
    }
    weir_recover();
    if (weir_try_recv(shared, &got) > 0)
        received++;
    CHECK(rc < 0 || received == 2); /* what was sent was received, or is there */
    CHECK_INT(weir_try_send(local, &got), -EAGAIN);
    weir_chan_free(shared);
    weir_chan_free(local);
    close(fd);
    return 0;
}

static void cancelled_at_every_wait(void **state)
{
    (void)state;
    sweep_everywhere(swept, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selects_meet_selects_and_exactly_one_arm_commits),
        cmocka_unit_test(local_and_shared_arms_mix),
        cmocka_unit_test(in_order_takes_the_first_that_is_ready),
        cmocka_unit_test(a_descriptor_is_an_arm),
        cmocka_unit_test(cancelled_at_every_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
