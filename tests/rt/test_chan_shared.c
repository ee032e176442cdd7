/* Shared channels: order, bounds, closing, freeing and cancels between loops. */
#include "loops_run.h"

#include <stdatomic.h>

#include <weir/chan.h>

#include "support/random.h"

#define PASSED 20000

typedef WEIR_CHAN(uint64_t) number_chan;

struct wide {
    uint64_t n;
    char text[48];
};

typedef WEIR_CHAN(struct wide) wide_chan;

/* ---- order and bounds ---------------------------------------------------------- */

static int produce(void *arg)
{
    wide_chan *c = arg;

    for (uint64_t i = 0; i < PASSED; i++) {
        struct wide item = { .n = i };
        int rc;

        snprintf(item.text, sizeof(item.text), "%llu", (unsigned long long)i);
        rc = weir_send(*c, &item);
        if (rc < 0)
            return rc;
    }
    weir_close(*c);
    return 0;
}

static int consume(void *arg)
{
    wide_chan *c = arg;
    struct wide got;
    uint64_t next = 0;
    int rc;

    while ((rc = weir_recv(*c, &got)) > 0) {
        CHECK_INT(got.n, next++);
        CHECK_INT(strtoull(got.text, NULL, 10), got.n);
    }
    CHECK_INT(next, PASSED);
    return rc;
}

static void pass(uint32_t capacity, uint32_t from, uint32_t to)
{
    wide_chan c;

    CHECK_INT(weir_chan_open(&c, .capacity = capacity, .shared = true), 0);
    WEIR_SCOPE(s) {
        weir_go_on(s, from, produce, &c);
        weir_go_on(s, to, consume, &c);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(weir_chan_depth(c.chan), 0);
    weir_chan_free(c);
}

LOOPS_TEST(items_come_in_order_from_loop_to_loop)
{
    static const uint32_t capacities[] = { 0, 1, 2, 7, 64, 1000 };

    (void)arg;
    for (size_t i = 0; i < sizeof(capacities) / sizeof(*capacities); i++) {
        pass(capacities[i], 0, 1);
        pass(capacities[i], 1, 0);
        pass(capacities[i], 2, 2);
    }
    return 0;
}

LOOPS_TEST(try_forms_never_wait)
{
    number_chan c;
    uint64_t v = 0;

    (void)arg;
    CHECK_INT(weir_chan_open(&c, .capacity = 3, .shared = true), 0);
    for (int round = 0; round < 5; round++) {
        CHECK_INT(weir_try_recv(c, &v), -EAGAIN);
        for (uint64_t i = 1; i <= 3; i++) {
            CHECK_INT(weir_try_send(c, &i), 1);
            CHECK_INT(weir_chan_depth(c.chan), i);
        }
        CHECK_INT(weir_try_send(c, &(uint64_t){ 4 }), -EAGAIN);
        for (uint64_t i = 1; i <= 3; i++) {
            CHECK_INT(weir_try_recv(c, &v), 1);
            CHECK_INT(v, i);
        }
    }
    CHECK_INT(weir_send(c, &(uint64_t){ 9 }), 1);
    weir_close(c);
    weir_close(c);
    CHECK_INT(weir_try_send(c, &v), WEIR_ECLOSED);
    CHECK_INT(weir_send(c, &v), WEIR_ECLOSED);
    CHECK_INT(weir_recv(c, &v), 1);
    CHECK_INT(v, 9);
    CHECK_INT(weir_recv(c, &v), 0);
    CHECK_INT(weir_try_recv(c, &v), 0);
    CHECK_INT(weir_chan_send(c.chan, &v, 1), -EINVAL);
    CHECK_INT(weir_chan_recv(c.chan, &v, 1), -EINVAL);
    weir_chan_free(c);
    CHECK_INT(weir_chan_open(&c, .shared = true), 0);
    CHECK_INT(weir_try_send(c, &v), -EAGAIN);
    CHECK_INT(weir_try_recv(c, &v), -EAGAIN);
    weir_chan_free(c);
    return 0;
}

/* ---- closing and freeing --------------------------------------------------------- */

static int recv_one(void *arg)
{
    number_chan *c = arg;
    uint64_t v;

    return weir_recv(*c, &v);
}

static int send_one(void *arg)
{
    number_chan *c = arg;

    return weir_send(*c, &(uint64_t){ 5 });
}

static int send_to_closed(void *arg)
{
    CHECK_INT(send_one(arg), WEIR_ECLOSED);
    return 0;
}

LOOPS_TEST(a_close_ends_all_that_wait)
{
    number_chan empty, full;

    (void)arg;
    CHECK_INT(weir_chan_open(&empty, .capacity = 2, .shared = true), 0);
    CHECK_INT(weir_chan_open(&full, .shared = true), 0);
    WEIR_SCOPE(s) {
        for (uint32_t loop = 0; loop < LOOPS; loop++) {
            weir_go_on(s, loop, recv_one, &empty);
            weir_go_on(s, loop, send_to_closed, &full);
        }
        CHECK_INT(weir_sleep_ms(5), 0);
        weir_close(empty);
        weir_close(full);
        CHECK_INT(weir_join(s), 0);
    }
    weir_chan_free(empty);
    weir_chan_free(full);
    return 0;
}

static uint64_t dropped;

static void drop(void *item)
{
    dropped += *(uint64_t *)item;
}

LOOPS_TEST(what_is_left_is_dropped)
{
    number_chan c;
    uint64_t v;

    (void)arg;
    dropped = 0;
    CHECK_INT(weir_chan_open(&c, .capacity = 3, .shared = true, .drop = drop), 0);
    for (uint64_t i = 1; i <= 3; i++)
        CHECK_INT(weir_send(c, &i), 1);
    CHECK_INT(weir_recv(c, &v), 1);
    CHECK_INT(weir_send(c, &(uint64_t){ 10 }), 1);
    weir_chan_free(c);
    CHECK_INT(dropped, 15);
    return 0;
}

struct call {
    number_chan reply;
    uint64_t question;
};

typedef WEIR_CHAN(struct call) call_chan;

static int answer(void *arg)
{
    call_chan *calls = arg;
    struct call call;
    int rc;

    while ((rc = weir_recv(*calls, &call)) > 0) {
        rc = weir_send(call.reply, &(uint64_t){ call.question * 2 });
        if (rc < 0)
            return rc;
    }
    return rc;
}

/* Whoever has the answer frees the channel it came by, at once. */
static int ask(void *arg)
{
    call_chan *calls = arg;

    for (uint64_t i = 0; i < PASSED / 10; i++) {
        struct call call = { .question = i };
        uint64_t got = 0;

        if (i % 2)
            CHECK_INT(weir_chan_open(&call.reply, .shared = true, .oneshot = true), 0);
        else
            CHECK_INT(weir_chan_open(&call.reply, .shared = true, .capacity = i % 3), 0);
        CHECK_INT(weir_send(*calls, &call), 1);
        CHECK_INT(weir_recv(call.reply, &got), 1);
        CHECK_INT(got, i * 2);
        weir_chan_free(call.reply);
    }
    return 0;
}

LOOPS_TEST(the_receiver_of_the_last_item_frees_the_channel)
{
    call_chan calls;

    (void)arg;
    CHECK_INT(weir_chan_open(&calls, .capacity = 2, .shared = true), 0);
    WEIR_SCOPE(s) {
        weir_go_on(s, 1, answer, &calls);
        WEIR_SCOPE(asking) {
            weir_go_on(asking, 0, ask, &calls);
            weir_go_on(asking, 2, ask, &calls);
            CHECK_INT(weir_join(asking), 0);
        }
        weir_close(calls);
        CHECK_INT(weir_join(s), 0);
    }
    weir_chan_free(calls);
    return 0;
}

LOOPS_TEST(a_source_ends_at_a_stop)
{
    number_chan c;
    uint64_t v;

    (void)arg;
    CHECK_INT(weir_chan_open(&c, .capacity = 1, .source = true, .shared = true), 0);
    WEIR_SCOPE(s) {
        weir_go(s, recv_one, &c);
        weir_go(s, recv_one, &c);
        CHECK_INT(weir_sleep_ms(1), 0);
        weir_stop(s);
        CHECK_INT(weir_join(s), 0);
        CHECK_INT(weir_send(c, &(uint64_t){ 3 }), 1);
        CHECK_INT(weir_recv(c, &v), 1);
        CHECK_INT(weir_recv(c, &v), 0);
    }
    weir_chan_free(c);
    return 0;
}

/* ---- cancels --------------------------------------------------------------------- */

struct storm {
    number_chan c;
    uint32_t rounds;
    struct random random;
    atomic_uint sequence;
    atomic_uint_fast64_t sent, received;
    atomic_uint gave_up;
};

static int yield_some(void *arg)
{
    for (uint32_t *n = arg; *n > 0; --*n)
        CHECK_INT(weir_yield(), 0);
    return -EIO; /* cancels its brother */
}

struct attempt {
    struct storm *storm;
    bool sends;
};

static int attempt(void *arg)
{
    struct attempt *a = arg;
    struct storm *storm = a->storm;
    uint64_t item = a->sends ? atomic_fetch_add(&storm->sequence, 1) + 1 : 0;
    int rc = a->sends ? weir_send(storm->c, &item) : weir_recv(storm->c, &item);

    if (rc > 0)
        atomic_fetch_add(a->sends ? &storm->sent : &storm->received, item);
    else
        atomic_fetch_add(&storm->gave_up, 1);
    return 0;
}

/* Each operation is given up after a random while, on its own loop, while others
 * may be serving it. */
static int storm_task(void *arg)
{
    struct attempt a = { .storm = arg };
    struct random random = a.storm->random;

    random.state += atomic_fetch_add(&a.storm->sequence, 1);
    a.sends = random.state % 2;
    for (uint32_t i = 0; i < a.storm->rounds; i++) {
        uint32_t patience = random_below(&random, 6);

        WEIR_SCOPE(s) {
            weir_go(s, attempt, &a);
            weir_go(s, yield_some, &patience);
            CHECK_INT(weir_join(s), -EIO);
        }
        weir_recover();
    }
    return 0;
}

/* What the storms of all capacities have seen: with much room it may be that none gives up. */
static uint64_t storms_received, storms_gave_up;

static void storm_at(uint32_t capacity, uint32_t rounds)
{
    struct storm storm = { .rounds = rounds };
    uint64_t left = 0, item;

    random_begin(&storm.random);
    CHECK_INT(weir_chan_open(&storm.c, .capacity = capacity, .shared = true), 0);
    WEIR_SCOPE(s) {
        for (uint32_t i = 0; i < 4 * LOOPS; i++)
            weir_go_on(s, i % LOOPS, storm_task, &storm);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK(weir_chan_depth(storm.c.chan) <= capacity);
    while (weir_try_recv(storm.c, &item) > 0)
        left += item;
    CHECK_INT(storm.sent, storm.received + left);
    storms_received += storm.received;
    storms_gave_up += storm.gave_up;
    weir_chan_free(storm.c);
}

LOOPS_TEST(a_cancel_that_races_with_another_loop_loses_no_item)
{
    (void)arg;
    storm_at(0, 300);
    storm_at(1, 300);
    storm_at(3, 300);
    storm_at(64, 300); /* its ring is watched */
    CHECK(storms_received > 0 && storms_gave_up > 0);
    return 0;
}

static int take_two(void *arg)
{
    number_chan *c = arg;
    uint64_t v;
    int rc = weir_recv(*c, &v);

    return rc > 0 ? weir_recv(*c, &v) : rc;
}

static int swept(void *arg)
{
    number_chan c;
    uint64_t v;
    int rc = 0, left = 0;

    (void)arg;
    CHECK_INT(weir_chan_open(&c, .capacity = 1, .shared = true), 0);
    WEIR_SCOPE(s) {
        sweep_at(s);
        weir_go(s, take_two, &c);
        rc = weir_yield();
        for (int i = 0; i < 3 && rc >= 0; i++)
            rc = weir_send(c, &(uint64_t){ 5 });
        if (rc >= 0)
            rc = weir_recv(c, &v);
        CHECK(gave_up(rc) || rc > 0);
        rc = weir_join(s);
        sweep_over();
        CHECK(gave_up(rc) || rc == 0);
    }
    weir_recover();
    while (weir_try_recv(c, &v) > 0)
        left++;
    CHECK(left <= 1);
    weir_chan_free(c);
    return 0;
}

static void cancelled_at_every_wait(void **state)
{
    (void)state;
    sweep_everywhere(swept, 2);
}

/* ---- wrong use -------------------------------------------------------------------- */

static int free_too_early(void *arg)
{
    number_chan c;

    (void)arg;
    CHECK_INT(weir_chan_open(&c, .name = "early", .shared = true), 0);
    WEIR_SCOPE(s) {
        weir_go(s, recv_one, &c);
        CHECK_INT(weir_sleep_ms(1), 0);
        weir_chan_free(c);
        CHECK_INT(weir_join(s), 0);
    }
    return 0;
}

static void freed_while_a_task_waits(void **state)
{
    (void)state;
    expect_wrong_use(free_too_early, "channel \"early\" was freed while a task waits at it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_in_order_from_loop_to_loop),
        cmocka_unit_test(try_forms_never_wait),
        cmocka_unit_test(a_close_ends_all_that_wait),
        cmocka_unit_test(what_is_left_is_dropped),
        cmocka_unit_test(the_receiver_of_the_last_item_frees_the_channel),
        cmocka_unit_test(a_source_ends_at_a_stop),
        cmocka_unit_test(a_cancel_that_races_with_another_loop_loses_no_item),
        cmocka_unit_test(cancelled_at_every_wait),
        cmocka_unit_test(freed_while_a_task_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
