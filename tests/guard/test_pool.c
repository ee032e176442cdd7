/* Pools: permits, reuse, bounds, and who waits for what. */
#include "support/in_task.h"

#include <errno.h>
#include <stdatomic.h>

#include <weir/guard.h>
#include <weir/sync.h>

#include "rt/rt.h"
#include "support/sweep.h"

struct thing {
    weir_pool_item item;
    int number;
    bool dead;
};

static atomic_int made, closed;

static struct thing *thing_new(void)
{
    struct thing *t = calloc(1, sizeof(*t));

    CHECK(t);
    t->number = atomic_fetch_add(&made, 1);
    return t;
}

static struct thing *thing_of(weir_pool_item *item)
{
    return container_of(item, struct thing, item);
}

static void thing_close(weir_pool_item *item)
{
    atomic_fetch_add(&closed, 1);
    free(thing_of(item));
}

static bool thing_dead(weir_pool_item *item)
{
    return thing_of(item)->dead;
}

static int alive(void)
{
    return atomic_load(&made) - atomic_load(&closed);
}

#define POOL(pool, ...)                                                        \
    weir_pool *pool;                                                           \
    atomic_store(&made, 0);                                                    \
    atomic_store(&closed, 0);                                                  \
    CHECK_INT(weir_pool_new(&pool, .name = "things", .close = thing_close,     \
                            .dead = thing_dead, __VA_ARGS__), 0)

static struct thing *take(weir_pool *pool, weir_lease *lease)
{
    CHECK_INT(weir_pool_acquire(pool, lease), 0);
    return lease->item ? thing_of(lease->item) : thing_new();
}

TASK_TEST(the_last_used_is_used_first)
{
    POOL(pool, .max = 3);
    struct thing *t[3];
    weir_lease l[3];

    (void)arg;
    for (int i = 0; i < 3; i++)
        t[i] = take(pool, &l[i]);
    for (int i = 0; i < 3; i++)
        weir_pool_release(&l[i], &t[i]->item);
    for (int i = 2; i >= 0; i--) {
        t[i] = take(pool, &l[i]);
        CHECK_INT(t[i]->number, i);
    }
    for (int i = 0; i < 3; i++) {
        thing_close(&t[i]->item);
        weir_pool_release(&l[i], NULL);
    }
    t[0] = take(pool, &l[0]);
    CHECK_INT(t[0]->number, 3);
    weir_pool_release(&l[0], &t[0]->item);
    weir_pool_free(pool);
    CHECK_INT(alive(), 0);
    return 0;
}

TASK_TEST(at_the_cap_the_error_names_the_pool_and_its_holders)
{
    POOL(pool, .max = 2, .max_waiting = 1);
    struct thing *t[2];
    weir_lease l[2], more;
    weir_pool_stats stats;
    char text[512];

    (void)arg;
    t[0] = take(pool, &l[0]);
    CHECK_INT(weir_sleep_ms(20), 0);
    t[1] = take(pool, &l[1]);
    WEIR_SCOPE(s, .timeout_ms = 20)
        CHECK_INT(weir_pool_acquire(pool, &more), -ETIMEDOUT);
    weir_error_print(text, sizeof(text));
    CHECK(strstr(text, "pool \"things\": 2 of 2 held, the oldest for "));
    CHECK(!strstr(text, "for 0 ms"));
    weir_recover();
    weir_pool_read(pool, &stats);
    CHECK_INT(stats.held, 2);
    CHECK_INT(stats.idle, 0);
    CHECK_INT(stats.failed, 1);
    CHECK(stats.oldest_ms >= 39);
    weir_pool_release(&l[0], &t[0]->item);
    weir_pool_release(&l[1], &t[1]->item);
    weir_pool_read(pool, &stats);
    CHECK_INT(stats.held, 0);
    CHECK_INT(stats.idle, 2);
    CHECK_INT(stats.oldest_ms, 0);
    weir_pool_free(pool);
    CHECK_INT(alive(), 0);
    return 0;
}

static int acquire_and_release(void *arg)
{
    weir_lease lease;
    struct thing *t;
    int rc = weir_pool_acquire(arg, &lease);

    if (rc < 0)
        return rc;
    t = lease.item ? thing_of(lease.item) : thing_new();
    rc = weir_sleep_ms(1);
    if (rc == 0) {
        weir_pool_release(&lease, &t->item);
        return 0;
    }
    thing_close(&t->item);
    weir_pool_release(&lease, NULL);
    return rc;
}

TASK_TEST(those_who_wait_are_served_and_more_are_refused)
{
    POOL(pool, .max = 2, .max_waiting = 5);
    struct thing *t[2];
    weir_lease l[2];

    (void)arg;
    t[0] = take(pool, &l[0]);
    t[1] = take(pool, &l[1]);
    WEIR_SCOPE(s) {
        weir_task last = { 0 };
        int rc = 0;

        for (int i = 0; i < 5; i++)
            weir_go(s, acquire_and_release, pool);
        CHECK_INT(weir_yield(), 0);
        last = weir_go(s, acquire_and_release, pool, .optional = true, .hold = true);
        CHECK_INT(weir_yield(), 0);
        CHECK_INT(weir_result(last, &rc), 0);
        CHECK_INT(rc, WEIR_EFULL);
        weir_pool_release(&l[0], &t[0]->item);
        weir_pool_release(&l[1], &t[1]->item);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(atomic_load(&made), 2);
    weir_pool_free(pool);
    CHECK_INT(alive(), 0);
    return 0;
}

TASK_TEST(a_child_that_needs_a_permit_takes_it_along)
{
    POOL(pool, .max = 1);
    weir_pool_stats stats;

    (void)arg;
    WEIR_SCOPE(s) {
        for (int i = 0; i < 20; i++)
            weir_go(s, acquire_and_release, pool, .needs = weir_pool_permits(pool));
        CHECK_INT(weir_join(s), 0);
    }
    weir_pool_read(pool, &stats);
    CHECK_INT(stats.acquired, 20);
    CHECK_INT(stats.reused, 19);
    weir_pool_free(pool);
    CHECK_INT(alive(), 0);
    return 0;
}

TASK_TEST(dead_old_and_surplus_ones_are_closed)
{
    POOL(pool, .max = 4, .max_idle = 2, .idle_timeout_ms = 60000, .max_age_ms = 100);
    struct thing *t[3];
    weir_lease l[3];

    (void)arg;
    for (int i = 0; i < 3; i++)
        t[i] = take(pool, &l[i]);
    for (int i = 0; i < 3; i++)
        weir_pool_release(&l[i], &t[i]->item);
    CHECK_INT(alive(), 2); /* .max_idle */
    t[2] = take(pool, &l[2]);
    CHECK_INT(t[2]->number, 2);
    t[2]->dead = true;
    weir_pool_release(&l[2], &t[2]->item);
    t[1] = take(pool, &l[1]); /* not the dead one */
    CHECK_INT(t[1]->number, 1);
    CHECK_INT(alive(), 1);
    CHECK_INT(weir_sleep_ms(120), 0);
    weir_pool_release(&l[1], &t[1]->item); /* past .max_age_ms */
    CHECK_INT(alive(), 0);
    weir_pool_free(pool);
    return 0;
}

TASK_TEST(idle_ones_are_closed_in_time)
{
    POOL(pool, .max = 4, .idle_timeout_ms = 30);
    struct thing *t;
    weir_lease l;

    (void)arg;
    t = take(pool, &l);
    weir_pool_release(&l, &t->item);
    CHECK_INT(alive(), 1);
    for (int i = 0; i < 300 && alive() > 0; i++)
        CHECK_INT(weir_sleep_ms(10), 0);
    CHECK_INT(alive(), 0);
    weir_pool_free(pool);
    return 0;
}

static weir_pool *left_open;

static int leave_idle(void *arg)
{
    POOL(pool, .max = 4);
    struct thing *t;
    weir_lease l;

    (void)arg;
    t = take(pool, &l);
    weir_pool_release(&l, &t->item);
    left_open = pool;
    return 0;
}

static void the_end_of_the_loop_closes_what_is_idle(void **state)
{
    (void)state;
    assert_int_equal(weir_run(leave_idle, NULL, .loops = 1), 0);
    assert_int_equal(alive(), 0);
    weir_pool_free(left_open);
}

/* ---- two loops ------------------------------------------------------------------- */

struct two {
    weir_pool *pool;
    atomic_int running;
    atomic_int rc;
};

static int use_many(void *arg)
{
    struct two *two = arg;

    for (int i = 0; i < 300; i++) {
        weir_lease lease;
        struct thing *t;
        int rc = weir_pool_acquire(two->pool, &lease);

        CHECK_INT(rc, 0);
        t = lease.item ? thing_of(lease.item) : thing_new();
        CHECK(alive() <= 3);
        CHECK_INT(weir_yield(), 0);
        weir_pool_release(&lease, i % 10 ? &t->item : (thing_close(&t->item), NULL));
        if (i % 16 == 0)
            CHECK_INT(weir_sleep_ms(1), 0);
    }
    atomic_fetch_sub(&two->running, 1);
    return 0;
}

static int two_loops_body(void *arg)
{
    static struct two two;
    POOL(pool, .max = 3);

    (void)arg;
    two.pool = pool;
    atomic_store(&two.running, 8);
    for (uint32_t i = 0; i < 8; i++)
        CHECK_INT(weir_submit(i % 2, use_many, &two), 0);
    while (atomic_load(&two.running) > 0)
        CHECK_INT(weir_sleep_ms(1), 0);
    weir_pool_free(pool);
    return 0;
}

static void a_loop_gives_its_idle_ones_up_for_another(void **state)
{
    (void)state;
    assert_int_equal(weir_run(two_loops_body, NULL, .loops = 2, .grace_ms = 500), 0);
    assert_int_equal(alive(), 0);
}

static int keep_idle(void *arg)
{
    struct two *two = arg;
    weir_lease lease;
    struct thing *t = take(two->pool, &lease);

    weir_pool_release(&lease, &t->item);
    atomic_fetch_sub(&two->running, 1);
    return 0;
}

static int starved_body(void *arg)
{
    static struct two two;
    POOL(pool, .max = 1);
    struct thing *t;
    weir_lease lease;

    (void)arg;
    two.pool = pool;
    atomic_store(&two.running, 1);
    CHECK_INT(weir_submit(1, keep_idle, &two), 0);
    while (atomic_load(&two.running) > 0)
        CHECK_INT(weir_sleep_ms(1), 0);
    CHECK_INT(alive(), 1);
    WEIR_SCOPE(s, .timeout_ms = 5000) { /* nobody else will come to wake the other loop */
        t = take(pool, &lease);
        CHECK_INT(t->number, 1);
        CHECK_INT(alive(), 1);
        weir_pool_release(&lease, &t->item);
    }
    weir_pool_free(pool);
    return 0;
}

static void an_idle_one_elsewhere_does_not_starve_a_waiter(void **state)
{
    (void)state;
    assert_int_equal(weir_run(starved_body, NULL, .loops = 2, .grace_ms = 500), 0);
    assert_int_equal(alive(), 0);
}

/* ---- cancelled at every wait -------------------------------------------------------- */

static int sweep_pool(void *arg)
{
    weir_pool_stats stats;
    POOL(pool, .max = 2, .max_waiting = 10);

    (void)arg;
    WEIR_SCOPE(s) {
        sweep_at(s);
        for (int i = 0; i < 6; i++)
            weir_go(s, acquire_and_release, pool, .needs = i % 2 ? weir_pool_permits(pool) : NULL);
        CHECK(weir_join(s) == (sweep_hit() ? -ECANCELED : 0) || sweep_hit());
        sweep_over();
    }
    weir_recover();
    weir_pool_read(pool, &stats);
    CHECK_INT(stats.held, 0);
    CHECK_INT(stats.idle, alive());
    WEIR_SCOPE(s) { /* both permits are there */
        weir_lease l[2];
        struct thing *t[2] = { take(pool, &l[0]), take(pool, &l[1]) };

        weir_pool_release(&l[0], &t[0]->item);
        weir_pool_release(&l[1], &t[1]->item);
    }
    weir_pool_free(pool);
    CHECK_INT(alive(), 0);
    return 0;
}

static void a_cancel_at_any_wait_leaves_the_pool_whole(void **state)
{
    (void)state;
    assert_true(sweep_waits(sweep_pool, NULL) >= 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_used_is_used_first),
        cmocka_unit_test(at_the_cap_the_error_names_the_pool_and_its_holders),
        cmocka_unit_test(those_who_wait_are_served_and_more_are_refused),
        cmocka_unit_test(a_child_that_needs_a_permit_takes_it_along),
        cmocka_unit_test(dead_old_and_surplus_ones_are_closed),
        cmocka_unit_test(idle_ones_are_closed_in_time),
        cmocka_unit_test(the_end_of_the_loop_closes_what_is_idle),
        cmocka_unit_test(a_loop_gives_its_idle_ones_up_for_another),
        cmocka_unit_test(an_idle_one_elsewhere_does_not_starve_a_waiter),
        cmocka_unit_test(a_cancel_at_any_wait_leaves_the_pool_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
