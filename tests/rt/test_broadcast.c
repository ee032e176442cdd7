/* Broadcast and watch: every subscriber, every policy, every loop, and cancels. */
#include "loops_run.h"

#include <weir/broadcast.h>
#include <weir/watch.h>

#define SENT 2000

typedef WEIR_BROADCAST(uint64_t) number_broadcast;
typedef WEIR_SUBSCRIPTION(uint64_t) number_subscription;
typedef WEIR_WATCH(uint64_t) number_watch;
typedef WEIR_WATCHER(uint64_t) number_watcher;

/* ---- broadcast --------------------------------------------------------------- */

static int receive_all(void *arg)
{
    number_subscription *mine = arg;
    uint64_t got, next = 0;
    int rc;

    while ((rc = weir_broadcast_recv(*mine, &got)) > 0) {
        next += weir_missed(*mine);
        CHECK_INT(got, next++);
    }
    CHECK_INT(rc, 0);
    CHECK_INT(next, SENT);
    return 0;
}

static int send_all(void *arg)
{
    number_broadcast *b = arg;

    for (uint64_t i = 0; i < SENT; i++)
        CHECK_INT(weir_broadcast(*b, &i), 0);
    weir_broadcast_close(*b);
    return 0;
}

LOOPS_TEST(every_subscriber_gets_every_item)
{
    number_broadcast b;
    number_subscription subscriptions[6];

    (void)arg;
    CHECK_INT(weir_broadcast_open(&b, .capacity = 7, .shared = true), 0);
    for (size_t i = 0; i < 6; i++)
        CHECK_INT(
            weir_subscribe(b, &subscriptions[i], .slow = i < 4 ? WEIR_SLOW_WAIT : WEIR_DROP_OLDEST),
            0);
    WEIR_SCOPE(s) {
        for (uint32_t i = 0; i < 6; i++)
            weir_go_on(s, i % LOOPS, receive_all, &subscriptions[i]);
        weir_go_on(s, 1, send_all, &b);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(weir_broadcast(b, &(uint64_t){ 1 }), WEIR_ECLOSED);
    for (size_t i = 0; i < 6; i++)
        weir_unsubscribe(subscriptions[i]);
    weir_broadcast_free(b);
    return 0;
}

TASK_TEST(the_slow_wait_miss_or_are_cut_off)
{
    number_broadcast b;
    number_subscription waits, drops, cut;
    uint64_t got = 0;

    (void)arg;
    CHECK_INT(weir_broadcast_new_opt(&b.chan, 8, &(weir_broadcast_opts){ .capacity = 0 }), -EINVAL);
    weir_recover();
    CHECK_INT(weir_broadcast_open(&b, .capacity = 2), 0);
    CHECK_INT(weir_broadcast(b, &(uint64_t){ 100 }), 0); /* nobody sees it */
    CHECK_INT(weir_subscribe(b, &drops, .slow = WEIR_DROP_OLDEST), 0);
    CHECK_INT(weir_subscribe(b, &cut, .slow = WEIR_DISCONNECT), 0);
    for (uint64_t i = 0; i < 5; i++)
        CHECK_INT(weir_broadcast(b, &i), 0);
    CHECK_INT(weir_broadcast_recv(drops, &got), 1);
    CHECK_INT(got, 3);
    CHECK_INT(weir_missed(drops), 3);
    CHECK_INT(weir_broadcast_recv(drops, &got), 1);
    CHECK_INT(weir_missed(drops), 0);
    CHECK_INT(weir_broadcast_recv(cut, &got), WEIR_EFULL);
    CHECK_INT(weir_broadcast_try_recv(cut, &got), WEIR_EFULL);
    CHECK_INT(weir_subscribe(b, &waits), 0);
    CHECK_INT(weir_broadcast_try_recv(waits, &got), -EAGAIN);
    CHECK_INT(weir_broadcast(b, &(uint64_t){ 5 }), 0);
    CHECK_INT(weir_broadcast(b, &(uint64_t){ 6 }), 0);
    WEIR_SCOPE(s, .timeout_ms = 5)
        CHECK_INT(weir_broadcast(b, &(uint64_t){ 7 }), -ETIMEDOUT);
    weir_unsubscribe(waits);
    CHECK_INT(weir_broadcast(b, &(uint64_t){ 8 }), 0); /* it waits for nobody any more */
    CHECK_INT(weir_broadcast_recv(drops, &got), 1);
    CHECK_INT(got, 6);
    CHECK_INT(weir_missed(drops), 1);
    CHECK_INT(weir_subscriber_recv(drops.subscriber, &got, 1), -EINVAL);
    CHECK_INT(weir_broadcast_send(b.chan, &got, 1), -EINVAL);
    weir_unsubscribe(drops);
    weir_unsubscribe(cut);
    weir_subscriber_end(NULL);
    weir_broadcast_free(b);
    weir_broadcast_destroy(NULL);
    return 0;
}

static int receive_one(void *arg)
{
    number_subscription *mine = arg;
    uint64_t got;

    return weir_broadcast_recv(*mine, &got);
}

/* Either all subscribers get an item, or, when its send was given up, none. */
static int swept_broadcast(void *arg)
{
    number_broadcast b;
    number_subscription one, other;
    uint64_t got;
    int rc;

    (void)arg;
    CHECK_INT(weir_broadcast_open(&b, .capacity = 1, .shared = true), 0);
    CHECK_INT(weir_subscribe(b, &one), 0);
    CHECK_INT(weir_subscribe(b, &other), 0);
    WEIR_SCOPE(s) {
        sweep_at(s);
        weir_go(s, receive_one, &one);
        rc = weir_yield();
        for (int i = 0; i < 2 && rc == 0; i++) {
            weir_go(s, receive_one, &other);
            rc = weir_broadcast(b, &(uint64_t){ 1 });
        }
        CHECK(gave_up(rc) || rc == 0);
        rc = weir_join(s);
        sweep_over();
        CHECK(gave_up(rc) || rc == 0);
    }
    weir_recover();
    weir_broadcast_close(b);
    while ((rc = weir_broadcast_try_recv(one, &got)) > 0)
        ;
    CHECK_INT(rc, 0);
    weir_unsubscribe(one);
    weir_unsubscribe(other);
    weir_broadcast_free(b);
    return 0;
}

static void broadcast_cancelled_at_every_wait(void **state)
{
    (void)state;
    sweep_everywhere(swept_broadcast, 2);
}

/* ---- watch ------------------------------------------------------------------- */

static int follow(void *arg)
{
    number_watch *w = arg;
    number_watcher mine;
    uint64_t now, before = 0;
    int rc;

    weir_watch_from(*w, &mine);
    mine.seen = 0; /* the first one too */
    while ((rc = weir_changed(&mine, &now)) > 0) {
        CHECK(now > before);
        before = now;
    }
    CHECK_INT(before, SENT);
    return rc;
}

static int set_all(void *arg)
{
    number_watch *w = arg;

    for (uint64_t i = 2; i <= SENT; i++) {
        CHECK_INT(weir_update(*w, &i), 0);
        if (i % 16 == 0)
            CHECK_INT(weir_yield(), 0);
    }
    weir_watch_close(*w);
    return 0;
}

LOOPS_TEST(watchers_see_newer_values_and_the_last)
{
    number_watch w;
    uint64_t first = 1, now = 0;

    (void)arg;
    CHECK_INT(weir_watch_open(&w, &first, .shared = true), 0);
    WEIR_SCOPE(s) {
        for (uint32_t i = 0; i < 6; i++)
            weir_go_on(s, i % LOOPS, follow, &w);
        weir_go_on(s, 2, set_all, &w);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(weir_update(w, &first), WEIR_ECLOSED);
    CHECK_INT(weir_latest(w, &now), 0);
    CHECK_INT(now, SENT);
    CHECK_INT(weir_watch_get(w.watch, &now, 1), -EINVAL);
    weir_watch_free(w);
    weir_watch_destroy(NULL);
    return 0;
}

static int set_later(void *arg)
{
    number_watch *w = arg;
    int rc = weir_yield();

    return rc < 0 ? rc : weir_update(*w, &(uint64_t){ 7 });
}

static int swept_watch(void *arg)
{
    number_watch w;
    number_watcher mine;
    uint64_t first = 1, now = 0;
    int rc;

    (void)arg;
    CHECK_INT(weir_watch_open(&w, &first), 0);
    WEIR_SCOPE(s) {
        sweep_at(s);
        weir_go(s, set_later, &w);
        weir_watch_from(w, &mine);
        rc = weir_changed(&mine, &now);
        CHECK(gave_up(rc) || (rc == 1 && now == 7));
        rc = weir_join(s);
        sweep_over();
        CHECK(gave_up(rc) || rc == 0);
    }
    weir_recover();
    weir_watch_free(w);
    return 0;
}

static void watch_cancelled_at_every_wait(void **state)
{
    (void)state;
    sweep_everywhere(swept_watch, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_subscriber_gets_every_item),
        cmocka_unit_test(the_slow_wait_miss_or_are_cut_off),
        cmocka_unit_test(broadcast_cancelled_at_every_wait),
        cmocka_unit_test(watchers_see_newer_values_and_the_last),
        cmocka_unit_test(watch_cancelled_at_every_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
