/* Deadlocks through semaphores, channels, pools and blocking calls are told; what only takes
 * long, or may be ended by somebody else, is not. */
#include <stdatomic.h>

#include <weir/block.h>
#include <weir/chan.h>
#include <weir/guard.h>
#include <weir/remote.h>
#include <weir/sync.h>

#include "ops/said.h"

#define SLOW_MS 2200

typedef WEIR_CHAN(int) int_chan;

/* A scope in which start() starts tasks that wait for each other: said is what is told. */
static int until_told(void (*start)(weir_scope s), const char *told)
{
    WEIR_SCOPE(s, .name = "knot") {
        start(s);
        CHECK(wait_for(told));
        weir_cancel(s);
        CHECK_INT(weir_join(s), -ECANCELED);
    }
    return 0;
}

/* One in which they come through, late. */
static int to_the_end(void (*start)(weir_scope s))
{
    WEIR_SCOPE(s, .name = "slow") {
        start(s);
        CHECK_INT(weir_join(s), 0);
    }
    return 0;
}

/* ---- units of a semaphore --------------------------------------------------------------- */

static weir_semaphore *units;

static int takes_two(void *arg)
{
    int rc = weir_acquire(units);

    (void)arg;
    if (rc < 0)
        return rc;
    rc = weir_yield();
    if (rc == 0)
        rc = weir_acquire(units);
    if (rc == 0)
        weir_release(units);
    weir_release(units);
    return rc;
}

static int takes_one_for_long(void *arg)
{
    int rc = weir_acquire(units);

    (void)arg;
    CHECK_INT(rc, 0);
    rc = weir_sleep_ms(SLOW_MS);
    weir_release(units);
    return rc;
}

static void two_that_take_two(weir_scope s)
{
    weir_go(s, takes_two, NULL);
    weir_go(s, takes_two, NULL);
}

static int units_knot(void *arg)
{
    (void)arg;
    CHECK_INT(weir_semaphore_new(&units, .name = "desks", .units = 2, .owned = true), 0);
    until_told(two_that_take_two, "deadlock: 2 tasks");
    weir_semaphore_free(units);
    return 0;
}

static void two_tasks_that_want_each_others_unit(void **state)
{
    (void)state;
    run(units_knot, 1);
    assert_int_equal(times("deadlock: "), 1);
    assert_int_equal(times("waits for: acquire (semaphore desks)"), 2);
    assert_true(times("test_deadlock_kinds.c") >= 4);
}

static void two_that_take_two_and_one_that_is_slow(weir_scope s)
{
    weir_go(s, takes_one_for_long, NULL);
    two_that_take_two(s);
}

static int units_slow(void *arg)
{
    (void)arg;
    CHECK_INT(weir_semaphore_new(&units, .name = "desks", .units = 3, .owned = true), 0);
    to_the_end(two_that_take_two_and_one_that_is_slow);
    weir_semaphore_free(units);
    return 0;
}

static void a_unit_of_one_that_is_slow_comes_back(void **state)
{
    (void)state;
    run(units_slow, 1);
    assert_int_equal(times("deadlock: "), 0);
}

/* Not .owned: a unit may be given back by anybody. */
static int gives_for_others(void *arg)
{
    (void)arg;
    CHECK_INT(weir_sleep_ms(SLOW_MS), 0);
    weir_release(units);
    return 0;
}

static int takes_and_leaves(void *arg)
{
    (void)arg;
    CHECK_INT(weir_acquire(units), 0);
    CHECK_INT(weir_acquire(units), 0);
    weir_release(units);
    return 0;
}

static void one_gives_what_another_took(weir_scope s)
{
    weir_go(s, takes_and_leaves, NULL);
    weir_go(s, gives_for_others, NULL);
}

static int units_handed_over(void *arg)
{
    (void)arg;
    CHECK_INT(weir_semaphore_new(&units, .name = "signals", .units = 1), 0);
    to_the_end(one_gives_what_another_took);
    weir_semaphore_free(units);
    return 0;
}

static void a_unit_may_be_given_back_by_another_task(void **state)
{
    (void)state;
    run(units_handed_over, 1);
    assert_int_equal(times("deadlock: "), 0);
}

/* A child that needs a unit, and waits for it without a stack; its parent has it. */
static int never_starts(void *arg)
{
    (void)arg;
    return 0;
}

static int joins_who_needs_its_unit(void *arg)
{
    int rc = weir_acquire(units);

    (void)arg;
    CHECK_INT(rc, 0);
    WEIR_SCOPE(s, .keeps_locks = true) {
        weir_go(s, never_starts, NULL, .needs = units);
        rc = weir_join(s);
    }
    weir_release(units);
    return rc;
}

static void parent_and_child(weir_scope s)
{
    weir_go(s, joins_who_needs_its_unit, NULL);
}

static int needs_knot(void *arg)
{
    (void)arg;
    CHECK_INT(weir_semaphore_new(&units, .name = "desks", .units = 1, .owned = true), 0);
    until_told(parent_and_child, "deadlock: 2 tasks");
    weir_semaphore_free(units);
    return 0;
}

static void a_child_that_needs_what_its_parent_has(void **state)
{
    (void)state;
    run(needs_knot, 1);
    assert_int_equal(times("deadlock: "), 1);
    assert_int_equal(times("waits for: permit (semaphore desks)"), 1);
    assert_int_equal(times("waits for: children"), 1);
}

/* ---- channels ----------------------------------------------------------------------------- */

static int_chan there, back;

static int receives_there(void *arg)
{
    int item, rc = weir_recv(there, &item);

    (void)arg;
    if (rc > 0)
        rc = weir_send(back, &item);
    return rc < 0 ? rc : 0;
}

static int receives_back(void *arg)
{
    int item, rc = weir_recv(back, &item);

    (void)arg;
    if (rc > 0)
        rc = weir_send(there, &item);
    return rc < 0 ? rc : 0;
}

static void open_both(bool shared, uint32_t capacity)
{
    CHECK_INT(weir_chan_open(&there, .name = "there", .capacity = capacity, .shared = shared), 0);
    CHECK_INT(weir_chan_open(&back, .name = "back", .capacity = capacity, .shared = shared), 0);
}

static int free_both(void)
{
    weir_chan_free(there);
    weir_chan_free(back);
    return 0;
}

static void two_that_receive(weir_scope s)
{
    weir_go(s, receives_there, NULL, .sends = back.chan);
    weir_go(s, receives_back, NULL, .sends = there.chan);
}

static int local_knot(void *arg)
{
    (void)arg;
    open_both(false, 1);
    until_told(two_that_receive, "deadlock: 2 tasks");
    return free_both();
}

static void two_tasks_that_receive_from_each_other(void **state)
{
    (void)state;
    run(local_knot, 1);
    assert_int_equal(times("deadlock: "), 1);
    assert_true(times("receive from a channel (channel there (tests/ops/") >= 1);
    assert_true(times("receive from a channel (channel back (tests/ops/") >= 1);
}

static void two_that_receive_elsewhere(weir_scope s)
{
    weir_go_on(s, 0, receives_there, NULL, .sends = back.chan);
    weir_go_on(s, 1, receives_back, NULL, .sends = there.chan);
}

static int shared_knot(void *arg)
{
    (void)arg;
    open_both(true, 1);
    until_told(two_that_receive_elsewhere, "deadlock: 2 tasks");
    return free_both();
}

static void the_same_on_two_loops(void **state)
{
    (void)state;
    run(shared_knot, 2);
    assert_int_equal(times("deadlock: "), 1);
    assert_true(times("receive from a channel (channel there") >= 1);
    assert_true(times("receive from a channel (channel back") >= 1);
    assert_int_equal(times("is to send to the channel of task_1; "), 1);
    assert_int_equal(times("is to send to the channel of task_2; "), 1);
}

static int sends_late(void *arg)
{
    int item = 1;

    (void)arg;
    CHECK_INT(weir_sleep_ms(SLOW_MS), 0);
    CHECK_INT(weir_send(there, &item), 1);
    return 0;
}

static void two_that_receive_and_one_that_sends(weir_scope s)
{
    two_that_receive(s);
    weir_go(s, sends_late, NULL, .sends = there.chan);
}

static int local_slow(void *arg)
{
    (void)arg;
    open_both(false, 1);
    to_the_end(two_that_receive_and_one_that_sends);
    return free_both();
}

static void two_that_receive_and_one_that_sends_elsewhere(weir_scope s)
{
    two_that_receive_elsewhere(s);
    weir_go_on(s, 1, sends_late, NULL, .sends = there.chan);
}

static int shared_slow(void *arg)
{
    (void)arg;
    open_both(true, 1);
    to_the_end(two_that_receive_and_one_that_sends_elsewhere);
    return free_both();
}

/* Who may send was not declared, and does so late. */
static void two_that_receive_and_one_unknown(weir_scope s)
{
    weir_go(s, receives_there, NULL, .sends = back.chan);
    weir_go(s, receives_back, NULL);
    weir_go(s, sends_late, NULL);
}

static int undeclared_slow(void *arg)
{
    (void)arg;
    open_both(false, 1);
    to_the_end(two_that_receive_and_one_unknown);
    return free_both();
}

/* The test holds the end itself, and sends late. */
static int held_by_hand(void *arg)
{
    int item = 1;

    (void)arg;
    open_both(false, 1);
    weir_hold(there, WEIR_SENDS);
    WEIR_SCOPE(s) {
        two_that_receive(s);
        CHECK_INT(weir_sleep_ms(SLOW_MS), 0);
        CHECK_INT(weir_send(there, &item), 1);
        weir_let_go(there, WEIR_SENDS);
        CHECK_INT(weir_join(s), 0);
    }
    return free_both();
}

static void who_may_still_send_keeps_it_from_being_told(void **state)
{
    (void)state;
    run(local_slow, 1);
    assert_int_equal(times("deadlock: "), 0);
    run(shared_slow, 2);
    assert_int_equal(times("deadlock: "), 0);
    run(undeclared_slow, 1);
    assert_int_equal(times("deadlock: "), 0);
    run(held_by_hand, 1);
    assert_int_equal(times("deadlock: "), 0);
}

/* Each fills the other's channel, before it takes from its own. */
static int fills_there(void *arg)
{
    int item = 1, rc;

    (void)arg;
    while ((rc = weir_send(there, &item)) > 0)
        ;
    return rc;
}

static int fills_back(void *arg)
{
    int item = 1, rc;

    (void)arg;
    while ((rc = weir_send(back, &item)) > 0)
        ;
    return rc;
}

static void two_that_send(weir_scope s)
{
    weir_go(s, fills_there, NULL, .receives = back.chan);
    weir_go(s, fills_back, NULL, .receives = there.chan);
}

static int senders_knot(void *arg)
{
    (void)arg;
    open_both(false, 3);
    until_told(two_that_send, "deadlock: 2 tasks");
    return free_both();
}

static void two_tasks_that_fill_each_others_channel(void **state)
{
    (void)state;
    run(senders_knot, 1);
    assert_int_equal(times("deadlock: "), 1);
    assert_true(times("waits for: send to a channel (channel there") >= 1);
}

/* ---- select --------------------------------------------------------------------------------- */

static int selects(void *arg)
{
    int item;
    weir_pick pick = weir_select(WEIR_RECV(there, &item), WEIR_RECV(back, &item));

    (void)arg;
    return pick.rc < 0 ? pick.rc : 0;
}

static int_chan answers;

static int waits_for_the_selecting(void *arg)
{
    int item, rc = weir_recv(answers, &item);

    (void)arg;
    return rc < 0 ? rc : 0;
}

static void one_selects_and_two_wait_for_it(weir_scope s)
{
    weir_go(s, selects, NULL, .sends = answers.chan);
    weir_go(s, waits_for_the_selecting, NULL, .sends = there.chan);
    weir_go(s, waits_for_the_selecting, NULL, .sends = back.chan);
}

static int select_knot(void *arg)
{
    (void)arg;
    open_both(false, 1);
    CHECK_INT(weir_chan_open(&answers, .name = "answers"), 0);
    until_told(one_selects_and_two_wait_for_it,
               "deadlock: 3 tasks wait for each other, and nobody");
    weir_chan_free(answers);
    return free_both();
}

static void a_select_none_of_whose_arms_can_come(void **state)
{
    (void)state;
    run(select_knot, 1);
    assert_int_equal(times("deadlock: "), 1);
    assert_true(times("waits for: select") >= 1);
    assert_int_equal(times("could end the select of task_"), 2);
}

static int selects_with_time(void *arg)
{
    int item;
    weir_pick pick = weir_select(WEIR_RECV(there, &item), WEIR_AFTER_MS(SLOW_MS));

    (void)arg;
    return pick.rc < 0 ? pick.rc : 0;
}

static void one_selects_with_time(weir_scope s)
{
    weir_go(s, selects_with_time, NULL, .sends = answers.chan);
    weir_go(s, waits_for_the_selecting, NULL, .sends = there.chan);
}

static int select_slow(void *arg)
{
    (void)arg;
    open_both(false, 1);
    CHECK_INT(weir_chan_open(&answers, .name = "answers"), 0);
    to_the_end(one_selects_with_time);
    weir_chan_free(answers);
    return free_both();
}

static void a_select_that_time_ends_is_none(void **state)
{
    (void)state;
    run(select_slow, 1);
    assert_int_equal(times("deadlock: "), 0);
}

/* ---- pools of connections -------------------------------------------------------------------- */

static weir_pool *pool;
static atomic_int leased; /* who has a first lease */

static void no_close(weir_pool_item *item)
{
    (void)item;
}

static int leases_two(void *arg)
{
    weir_lease first, second;
    int rc = weir_pool_acquire(pool, &first);

    (void)arg;
    if (rc < 0)
        return rc;
    atomic_fetch_add(&leased, 1);
    while (rc == 0 && atomic_load(&leased) < 2)
        rc = weir_sleep_ms(1);
    if (rc == 0)
        rc = weir_pool_acquire(pool, &second);
    if (rc == 0)
        weir_pool_release(&second, NULL);
    weir_pool_release(&first, NULL);
    return rc;
}

static int leases_one_for_long(void *arg)
{
    weir_lease lease;

    (void)arg;
    CHECK_INT(weir_pool_acquire(pool, &lease), 0);
    CHECK_INT(weir_sleep_ms(SLOW_MS), 0);
    weir_pool_release(&lease, NULL);
    return 0;
}

static void two_on_two_loops_that_lease_two(weir_scope s)
{
    weir_go_on(s, 0, leases_two, NULL);
    weir_go_on(s, 1, leases_two, NULL);
}

static int pool_knot(void *arg)
{
    (void)arg;
    atomic_store(&leased, 0);
    CHECK_INT(weir_pool_new(&pool, .name = "database", .max = 2, .close = no_close), 0);
    until_told(two_on_two_loops_that_lease_two, "deadlock: 2 tasks");
    weir_pool_free(pool);
    return 0;
}

static void two_tasks_that_want_a_second_connection(void **state)
{
    (void)state;
    run(pool_knot, 2);
    assert_int_equal(times("deadlock: "), 1);
    assert_true(times("waits for: acquire (semaphore database)") >= 2);
}

static void two_that_lease_two_and_one_that_is_slow(weir_scope s)
{
    weir_go(s, leases_one_for_long, NULL);
    weir_go(s, leases_two, NULL);
    weir_go(s, leases_two, NULL);
}

static int pool_slow(void *arg)
{
    (void)arg;
    atomic_store(&leased, 0);
    CHECK_INT(weir_pool_new(&pool, .name = "database", .max = 3, .close = no_close), 0);
    to_the_end(two_that_lease_two_and_one_that_is_slow);
    weir_pool_free(pool);
    return 0;
}

static void a_connection_of_one_that_is_slow_comes_back(void **state)
{
    (void)state;
    run(pool_slow, 1);
    assert_int_equal(times("deadlock: "), 0);
}

/* ---- blocking calls ---------------------------------------------------------------------------- */

static weir_threads *threads;
static weir_remote home;

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* On the loop, for the thread: needs a thread of the pool that it holds up. */
static weir_scope calling;

static int blocks_again(void *arg)
{
    int rc = 0;

    (void)arg;
    WEIR_SCOPE(s) {
        calling = s;
        rc = weir_block(nothing, NULL, .pool = threads);
    }
    return rc;
}

static int calls_back(void *arg)
{
    (void)arg;
    return weir_remote_call(home, blocks_again, NULL);
}

static int blocks(void *arg)
{
    (void)arg;
    return weir_block(calls_back, NULL, .pool = threads, .name = "import");
}

static int block_knot(void *arg)
{
    (void)arg;
    CHECK_INT(weir_remote_of(0, &home), 0);
    CHECK_INT(weir_threads_new(&threads, .name = "small", .threads = 1, .queue = 4), 0);
    WEIR_SCOPE(s) {
        weir_go(s, blocks, NULL);
        CHECK(wait_for("deadlock: 2 tasks"));
        weir_cancel(calling);
        CHECK_INT(weir_join(s), -ECANCELED);
    }
    weir_threads_free(threads);
    return 0;
}

static void a_blocking_call_that_needs_its_own_thread(void **state)
{
    (void)state;
    run(block_knot, 1);
    assert_int_equal(times("deadlock: "), 1);
    assert_true(times("waits for: import (pool of threads small)") >= 1);
}

static int sleeps(void *arg)
{
    (void)arg;
    return weir_sleep_ms(SLOW_MS);
}

static int calls_a_sleeper(void *arg)
{
    (void)arg;
    return weir_remote_call(home, sleeps, NULL);
}

static int blocks_for_long(void *arg)
{
    (void)arg;
    return weir_block(calls_a_sleeper, NULL, .pool = threads);
}

static void three_that_block(weir_scope s)
{
    for (int i = 0; i < 2; i++)
        weir_go(s, blocks_for_long, NULL);
    weir_go(s, blocks_again, NULL);
}

static int block_slow(void *arg)
{
    (void)arg;
    CHECK_INT(weir_remote_of(0, &home), 0);
    CHECK_INT(weir_threads_new(&threads, .name = "small", .threads = 1, .queue = 4), 0);
    to_the_end(three_that_block);
    weir_threads_free(threads);
    return 0;
}

static void a_blocking_call_that_takes_long_is_none(void **state)
{
    (void)state;
    run(block_slow, 1);
    assert_int_equal(times("deadlock: "), 0);
}

/* ---- room in a scope ------------------------------------------------------------------------------ */

static weir_scope narrow;

static int starts_a_sibling(void *arg)
{
    (void)arg;
    weir_go(narrow, nothing, NULL);
    return weir_yield();
}

static int narrow_task(void *arg)
{
    (void)arg;
    WEIR_SCOPE(s, .name = "narrow", .limit = 2) {
        narrow = s;
        weir_go(s, starts_a_sibling, NULL);
        weir_go(s, starts_a_sibling, NULL);
        return weir_join(s);
    }
    return 0;
}

static void in_a_narrow_scope(weir_scope s)
{
    weir_go(s, narrow_task, NULL);
}

static int limit_knot(void *arg)
{
    (void)arg;
    return until_told(in_a_narrow_scope, "deadlock: 2 tasks");
}

static void two_children_that_start_a_third_where_two_may_run(void **state)
{
    (void)state;
    run(limit_knot, 1);
    assert_int_equal(times("deadlock: "), 1);
    assert_true(times("waits for: room in a scope (scope narrow") >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_tasks_that_want_each_others_unit),
        cmocka_unit_test(a_unit_of_one_that_is_slow_comes_back),
        cmocka_unit_test(a_unit_may_be_given_back_by_another_task),
        cmocka_unit_test(a_child_that_needs_what_its_parent_has),
        cmocka_unit_test(two_tasks_that_receive_from_each_other),
        cmocka_unit_test(the_same_on_two_loops),
        cmocka_unit_test(who_may_still_send_keeps_it_from_being_told),
        cmocka_unit_test(two_tasks_that_fill_each_others_channel),
        cmocka_unit_test(a_select_none_of_whose_arms_can_come),
        cmocka_unit_test(a_select_that_time_ends_is_none),
        cmocka_unit_test(two_tasks_that_want_a_second_connection),
        cmocka_unit_test(a_connection_of_one_that_is_slow_comes_back),
        cmocka_unit_test(a_blocking_call_that_needs_its_own_thread),
        cmocka_unit_test(a_blocking_call_that_takes_long_is_none),
        cmocka_unit_test(two_children_that_start_a_third_where_two_may_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
