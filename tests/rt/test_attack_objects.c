/* Channels, locks and races where two things happen at once: room that comes back
 * while both ends wait, units of children that run elsewhere, a race's late result. */
#include "loops_run.h"

#include <stdatomic.h>

#include <weir/block.h>
#include <weir/broadcast.h>
#include <weir/chan.h>
#include <weir/jobs.h>
#include <weir/sync.h>

typedef WEIR_CHAN(uint64_t) number_chan;
typedef WEIR_PERMIT(uint64_t) number_permit;

/* ---- permits -------------------------------------------------------------------- */

static int send_one(void *arg)
{
    uint64_t v = 1;

    return weir_send(*(number_chan *)arg, &v);
}

static int take_one(void *arg)
{
    uint64_t v;
    int rc = weir_recv(*(number_chan *)arg, &v);

    CHECK_INT(rc, 1);
    CHECK_INT(v, 1);
    return 0;
}

/* A sender waits, as the only room is kept; then a receiver comes. */
static void both_ends_wait(bool shared, bool use)
{
    number_chan c;
    number_permit permit;

    CHECK_INT(weir_chan_open(&c, .capacity = 1, .shared = shared), 0);
    CHECK_INT(weir_reserve(c, &permit), 0);
    WEIR_SCOPE(s, .timeout_ms = 2000) {
        weir_go(s, send_one, &c);
        settle();
        weir_go(s, take_one, &c);
        if (use)
            weir_go(s, take_one, &c);
        settle();
        if (use)
            weir_send_reserved(permit, &(uint64_t){ 1 });
        else
            weir_unreserve(permit);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(weir_chan_depth(c.chan), 0);
    weir_chan_free(c);
}

TASK_TEST(room_that_comes_back_while_both_ends_wait)
{
    (void)arg;
    both_ends_wait(true, false);
    both_ends_wait(true, true);
    both_ends_wait(false, false);
    both_ends_wait(false, true);
    return 0;
}

/* Whoever has reserved it sends the one item. */
static void oneshot_reserved(bool shared)
{
    number_chan c;
    number_permit permit;
    uint64_t v;

    CHECK_INT(weir_chan_open(&c, .oneshot = true, .shared = shared), 0);
    CHECK_INT(weir_reserve(c, &permit), 0);
    WEIR_SCOPE(s, .timeout_ms = 2000) {
        weir_go(s, take_one, &c);
        settle();
        CHECK_INT(weir_try_send(c, &(uint64_t){ 2 }), -EAGAIN);
        weir_send_reserved(permit, &(uint64_t){ 1 });
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(weir_try_recv(c, &v), 0);
    weir_chan_free(c);
}

static int expect_closed(void *arg)
{
    uint64_t v = 2;

    CHECK_INT(weir_send(*(number_chan *)arg, &v), WEIR_ECLOSED);
    return 0;
}

/* Two wait to send; one item passes. */
static void oneshot_unreserved(bool shared)
{
    number_chan c;
    number_permit permit;
    uint64_t v;

    CHECK_INT(weir_chan_open(&c, .oneshot = true, .shared = shared), 0);
    CHECK_INT(weir_reserve(c, &permit), 0);
    WEIR_SCOPE(s, .timeout_ms = 2000) {
        weir_go(s, send_one, &c);
        settle();
        weir_go(s, expect_closed, &c);
        settle();
        weir_unreserve(permit);
        CHECK_INT(weir_recv(c, &v), 1);
        CHECK_INT(v, 1);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(weir_try_recv(c, &v), 0);
    weir_chan_free(c);
}

TASK_TEST(a_oneshot_channel_passes_one_item_whoever_reserves)
{
    (void)arg;
    oneshot_reserved(true);
    oneshot_reserved(false);
    oneshot_unreserved(true);
    oneshot_unreserved(false);
    return 0;
}

/* ---- children that run elsewhere -------------------------------------------------- */

static int take_its_unit(void *arg)
{
    weir_semaphore *semaphore = arg;
    int rc = weir_acquire(semaphore);

    if (rc == 0)
        weir_release(semaphore);
    return rc;
}

static int leave_its_unit(void *arg)
{
    CHECK_INT(weir_try_acquire(arg), -EAGAIN);
    return weir_yield();
}

/* The unit that a child was started with is its own wherever it runs, and given back
 * once. */
LOOPS_TEST(a_child_elsewhere_is_given_the_unit_it_needs)
{
    weir_semaphore *semaphore;

    (void)arg;
    CHECK_INT(weir_semaphore_new(&semaphore, .units = 1), 0);
    for (uint32_t loop = 0; loop < LOOPS; loop++) {
        WEIR_SCOPE(s, .timeout_ms = 5000) {
            weir_go_on(s, loop, take_its_unit, semaphore, .needs = semaphore);
            weir_go_on(s, loop, leave_its_unit, semaphore, .needs = semaphore);
            weir_go(s, take_its_unit, semaphore, .needs = semaphore, .spread = true);
            weir_go(s, leave_its_unit, semaphore, .needs = semaphore, .spread = true);
            CHECK_INT(weir_join(s), 0);
        }
        CHECK_INT(weir_try_acquire(semaphore), 0);
        CHECK_INT(weir_try_acquire(semaphore), -EAGAIN);
        weir_release(semaphore);
    }
    weir_semaphore_free(semaphore);
    return 0;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* The child's failure, and its words, wait for the join: they are not the opener's
 * before. */
static void refused_on(int loop)
{
    char text[200];

    WEIR_SCOPE(s) {
        weir_go_on(s, loop, nothing, NULL);
        weir_error_print(text, sizeof(text));
        CHECK_TEXT(text, "");
        CHECK_INT(weir_join(s), -EINVAL);
    }
    weir_error_print(text, sizeof(text));
    CHECK(strstr(text, "there is no loop "));
    CHECK(strstr(text, ": the runtime has 3, counted from 0"));
    weir_recover();
}

LOOPS_TEST(a_loop_that_is_not_there)
{
    (void)arg;
    refused_on(LOOPS);
    refused_on(-1);
    return 0;
}

static int count_turns(void *arg)
{
    int *turns = arg;
    int rc;

    while ((rc = weir_yield()) == 0)
        ++*turns;
    return rc;
}

#define MANY 4000 /* so that the simulator's orders leave somebody a turn */

/* Starting children is work like any other, wherever they run. */
LOOPS_TEST(who_starts_many_lets_others_run)
{
    weir_semaphore *semaphore;
    int turns = 0;

    (void)arg;
    CHECK_INT(weir_semaphore_new(&semaphore, .units = 1), 0);
    WEIR_SCOPE(around) {
        weir_go(around, count_turns, &turns);
        CHECK_INT(weir_yield(), 0);
        WEIR_SCOPE(s) {
            int before = turns;

            for (int i = 0; i < MANY; i++)
                weir_go_on(s, 1, nothing, NULL);
            CHECK(turns > before);
            before = turns;
            CHECK_INT(weir_acquire(semaphore), 0);
            for (int i = 0; i < MANY; i++)
                weir_go(s, nothing, NULL, .needs = semaphore);
            CHECK(turns > before);
            weir_release(semaphore);
            CHECK_INT(weir_join(s), 0);
        }
        weir_cancel(around);
        CHECK_INT(weir_join(around), -ECANCELED);
    }
    weir_semaphore_free(semaphore);
    return 0;
}

/* ---- races ------------------------------------------------------------------------- */

#define STACKS_TAKEN 200

static struct late {
    atomic_bool runs, won, go_on;
    atomic_int dropped;
    uint64_t budget;
} late;

static int win(void *arg)
{
    (void)arg;
    atomic_store(&late.won, true);
    return 1;
}

/* It was cancelled, and succeeds all the same. */
static int succeed_late(void *arg)
{
    (void)arg;
    WEIR_SCOPE(s, .shield = true, .grace_ms = 60000) {
        atomic_store(&late.runs, true);
        while (!atomic_load(&late.go_on))
            CHECK_INT(weir_sleep_ms(1), 0);
    }
    return 2;
}

static void drop_late(void *arg)
{
    (void)arg;
    WEIR_SCOPE(s, .shield = true)
        CHECK_INT(weir_yield(), 0);
    atomic_fetch_add(&late.dropped, 1);
}

static int sleep_a_while(void *arg)
{
    (void)arg;
    return weir_sleep_ms(50);
}

/* Leaves no stack for the late one, for a while. */
static int take_all_stacks(void *arg)
{
    (void)arg;
    while (!atomic_load(&late.won))
        CHECK_INT(weir_sleep_ms(1), 0);
    settle();
    late.budget = budget_limit();
    budget_set(budget_used());
    WEIR_SCOPE(s) {
        for (int i = 0; i < STACKS_TAKEN; i++)
            weir_go(s, sleep_a_while, NULL, .optional = true);
        settle();
        CHECK(weir_failures(s) > 0);
        atomic_store(&late.go_on, true);
        CHECK_INT(weir_sleep_ms(20), 0);
        CHECK_INT(weir_join(s), 0);
    }
    budget_set(late.budget);
    return 0;
}

LOOPS_TEST(a_late_success_from_elsewhere_is_dropped_without_a_stack_as_well)
{
    weir_task task;
    int got;

    (void)arg;
    late = (struct late){ 0 };
    WEIR_SCOPE(around) {
        weir_go(around, take_all_stacks, NULL);
        WEIR_SCOPE(s, .race = true) {
            task = weir_go_on(s, 1, succeed_late, NULL, .drop = drop_late, .hold = true);
            while (!atomic_load(&late.runs))
                CHECK_INT(weir_sleep_ms(1), 0);
            weir_go(s, win, NULL);
            CHECK_INT(weir_join(s), 1);
            CHECK_INT(weir_result(task, &got), 0);
            CHECK_INT(got, -ECANCELED);
        }
        CHECK_INT(atomic_load(&late.dropped), 1);
        CHECK_INT(weir_join(around), 0);
    }
    return 0;
}

/* ---- wrong use --------------------------------------------------------------------- */

static int acquire_it(void *arg)
{
    return weir_acquire(arg);
}

static int free_a_semaphore(void *arg)
{
    weir_semaphore *semaphore;

    (void)arg;
    CHECK_INT(weir_semaphore_new(&semaphore, .units = 1, .name = "one"), 0);
    CHECK_INT(weir_acquire(semaphore), 0);
    WEIR_SCOPE(s) {
        weir_go(s, acquire_it, semaphore);
        settle();
        weir_semaphore_free(semaphore);
        weir_cancel(s);
        CHECK_INT(weir_join(s), -ECANCELED);
    }
    return 0;
}

static void a_semaphore_is_not_freed_under_who_waits(void **state)
{
    (void)state;
    expect_wrong_use(free_a_semaphore, "semaphore \"one\" was freed while tasks wait for it");
}

/* ---- used from outside ---------------------------------------------------------------- */

static struct outside {
    number_chan c;
    weir_mutex mutex;
    weir_rwlock rwlock;
    weir_semaphore *semaphore;
} outside;

static int use_made_outside(void *arg)
{
    uint64_t v = 0;

    (void)arg;
    CHECK_INT(weir_send(outside.c, &(uint64_t){ 3 }), 1);
    CHECK_INT(weir_recv(outside.c, &v), 1);
    CHECK_INT(v, 3);
    return 0;
}

/* As a lock: it is the loop's that uses it. */
static void a_channel_made_before_the_runtime(void **state)
{
    (void)state;
    assert_int_equal(weir_chan_open(&outside.c, .capacity = 1), 0);
    in_task(use_made_outside);
    in_task(use_made_outside);
    weir_chan_free(outside.c);
}

static int release_it(void *arg)
{
    weir_release(arg);
    return weir_try_acquire(arg) == 0 ? 1 : 0;
}

/* What took a unit in a task may give it back where it blocks. */
static int release_in_a_pool(void *arg)
{
    weir_semaphore *semaphore;

    (void)arg;
    CHECK_INT(weir_semaphore_new(&semaphore, .units = 1), 0);
    CHECK_INT(weir_acquire(semaphore), 0);
    WEIR_SCOPE(s, .timeout_ms = 5000) {
        int rc;

        weir_go_on(s, 1, take_its_unit, semaphore);
        CHECK_INT(weir_sleep_ms(2), 0);
        rc = weir_block(release_it, semaphore);
        CHECK(rc >= 0);
        if (rc == 1) /* it was faster than the other loop */
            weir_release(semaphore);
        CHECK_INT(weir_join(s), 0);
    }
    weir_semaphore_free(semaphore);
    return 0;
}

static void a_unit_is_given_back_in_a_blocking_call(void **state)
{
    (void)state;
    run_on_loops(release_in_a_pool, NULL);
}

static int try_lock_in_a_pool(void *arg)
{
    (void)arg;
    CHECK_INT(weir_try_lock(&outside.mutex), WEIR_EWRONGUSE);
    return 0;
}

static int try_read_in_a_pool(void *arg)
{
    (void)arg;
    CHECK_INT(weir_try_read_lock(&outside.rwlock), WEIR_EWRONGUSE);
    return 0;
}

static int unlock_in_a_pool(void *arg)
{
    (void)arg;
    weir_unlock(&outside.mutex);
    return 0;
}

static int block_on_try_lock(void *arg)
{
    return weir_block(try_lock_in_a_pool, arg);
}

static int block_on_try_read(void *arg)
{
    return weir_block(try_read_in_a_pool, arg);
}

static int block_on_unlock(void *arg)
{
    return weir_block(unlock_in_a_pool, arg);
}

static void locks_are_for_tasks(void **state)
{
    (void)state;
    expect_wrong_use(block_on_try_lock, "a mutex is tried outside a task");
    expect_wrong_use(block_on_try_read, "a read-write lock is tried outside a task");
    expect_wrong_use(block_on_unlock, "a thread unlocks a mutex that it does not hold");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(room_that_comes_back_while_both_ends_wait),
        cmocka_unit_test(a_oneshot_channel_passes_one_item_whoever_reserves),
        cmocka_unit_test(a_child_elsewhere_is_given_the_unit_it_needs),
        cmocka_unit_test(a_loop_that_is_not_there),
        cmocka_unit_test(who_starts_many_lets_others_run),
        cmocka_unit_test(a_late_success_from_elsewhere_is_dropped_without_a_stack_as_well),
        cmocka_unit_test(a_semaphore_is_not_freed_under_who_waits),
        cmocka_unit_test(a_channel_made_before_the_runtime),
        cmocka_unit_test(a_unit_is_given_back_in_a_blocking_call),
        cmocka_unit_test(locks_are_for_tasks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
