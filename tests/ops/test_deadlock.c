/* Deadlocks across locks, joins and loops are told once; what only takes long is not. */
#include <stdatomic.h>

#include <weir/sync.h>

#include "ops/said.h"

/* ---- a lock held across a join whose child wants it ---------------------------------- */

static weir_mutex mutex;

static int wants_mutex(void *arg)
{
    int rc = weir_lock(&mutex);

    (void)arg;
    if (rc == 0)
        weir_unlock(&mutex);
    return rc;
}

static int joins_with_lock(void *arg)
{
    int rc = weir_lock(&mutex);

    (void)arg;
    CHECK_INT(rc, 0);
    WEIR_SCOPE(s, .name = "inner") {
        weir_go(s, wants_mutex, NULL);
        rc = weir_join(s);
    }
    weir_unlock(&mutex);
    return rc;
}

static int lock_and_join(void *arg)
{
    (void)arg;
    WEIR_SCOPE(s) {
        weir_go(s, joins_with_lock, NULL);
        CHECK(wait_for("deadlock: 2 tasks"));
        CHECK_INT(weir_sleep_ms(700), 0); /* it is not said again */
        weir_cancel(s);
        CHECK_INT(weir_join(s), -ECANCELED);
    }
    return 0;
}

static void a_lock_held_across_a_join(void **state)
{
    (void)state;
    run(lock_and_join, 1);
    assert_int_equal(times("deadlock: "), 1);
    assert_int_equal(times("waits for: children"), 1);
    assert_int_equal(times("waits for: lock"), 1);
}

/* ---- three loops, a read-write lock and two mutexes ----------------------------------- */

static weir_mutex first = { .shared = true }, second = { .shared = true };
static weir_rwlock table = { .shared = true };
static atomic_int holding;

static int meet(void)
{
    atomic_fetch_add(&holding, 1);
    while (atomic_load(&holding) < 3) {
        int rc = weir_sleep_ms(1);

        if (rc < 0)
            return rc;
    }
    return 0;
}

/* The last lock: the cancel ends the wait, or another's end has given it first. */
static void give_back(int rc, weir_mutex *lock)
{
    CHECK(rc == 0 || rc == -ECANCELED);
    if (rc == 0)
        weir_unlock(lock);
}

static int ring_0(void *arg)
{
    (void)arg;
    CHECK_INT(weir_lock(&first), 0);
    CHECK_INT(meet(), 0);
    give_back(weir_lock(&second), &second);
    weir_unlock(&first);
    return 0;
}

static int ring_1(void *arg)
{
    int rc;

    (void)arg;
    CHECK_INT(weir_lock(&second), 0);
    CHECK_INT(meet(), 0);
    rc = weir_write_lock(&table);
    CHECK(rc == 0 || rc == -ECANCELED);
    if (rc == 0)
        weir_write_unlock(&table);
    weir_unlock(&second);
    return 0;
}

static int ring_2(void *arg)
{
    (void)arg;
    CHECK_INT(weir_read_lock(&table), 0);
    CHECK_INT(meet(), 0);
    give_back(weir_lock(&first), &first);
    weir_read_unlock(&table);
    return 0;
}

static int ring(void *arg)
{
    (void)arg;
    atomic_store(&holding, 0);
    WEIR_SCOPE(s) {
        weir_go_on(s, 0, ring_0, NULL);
        weir_go_on(s, 1, ring_1, NULL);
        weir_go_on(s, 2, ring_2, NULL);
        CHECK(wait_for("deadlock: 3 tasks"));
        weir_cancel(s);
        (void)!weir_join(s);
    }
    return 0;
}

static void a_ring_over_three_loops(void **state)
{
    (void)state;
    run(ring, 3);
    assert_int_equal(times("deadlock: 3 tasks"), 1);
    assert_int_equal(times("waits for: lock for writing"), 1);
}

/* ---- what only takes long --------------------------------------------------------------- */

static int slow_holder(void *arg)
{
    int rc;

    (void)arg;
    CHECK_INT(weir_lock(&mutex), 0);
    rc = weir_sleep_ms(2200);
    weir_unlock(&mutex);
    return rc;
}

static int long_wait(void *arg)
{
    (void)arg;
    WEIR_SCOPE(s) {
        weir_go(s, slow_holder, NULL);
        weir_go(s, wants_mutex, NULL);
        weir_go(s, wants_mutex, NULL);
        CHECK_INT(weir_join(s), 0);
    }
    return 0;
}

static void a_lock_that_is_held_for_long_is_no_deadlock(void **state)
{
    (void)state;
    run(long_wait, 1);
    assert_int_equal(times("deadlock: "), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lock_held_across_a_join),
        cmocka_unit_test(a_ring_over_three_loops),
        cmocka_unit_test(a_lock_that_is_held_for_long_is_no_deadlock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
