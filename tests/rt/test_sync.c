/* Locks, semaphores and the blocking pool. */
#include "rt/sync_run.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include <weir/sync.h>
#include <weir/time.h>

static weir_mutex mutex = { .shared = TEST_SHARED };
static int inside, order[8], order_count;

static int hold_lock(void *arg)
{
    int rc = weir_lock(&mutex);

    if (rc < 0)
        return rc;
    CHECK_INT(inside++, 0);
    order[order_count++] = *(int *)arg;
    rc = weir_sleep_ms(1);
    inside--;
    weir_unlock(&mutex);
    return rc;
}

TASK_TEST(a_lock_is_fair)
{
    int ids[5] = { 0, 1, 2, 3, 4 };

    (void)arg;
    WEIR_SCOPE(s) {
        for (int i = 0; i < 5; i++)
            weir_go(s, hold_lock, &ids[i]);
        CHECK_INT(weir_join(s), 0);
    }
    for (int i = 0; i < 5; i++)
        CHECK_INT(order[i], i);
    CHECK_INT(weir_try_lock(&mutex), 0);
    CHECK_INT(weir_try_lock(&mutex), -EBUSY);
    CHECK_INT(weir_lock(&mutex), -EDEADLK);
    weir_recover();
    weir_unlock(&mutex);
    return 0;
}

TASK_TEST(a_cancelled_lock_is_not_taken)
{
    int ids[3] = { 0, 1, 2 };

    (void)arg;
    order_count = 0;
    CHECK_INT(weir_lock(&mutex), 0);
    WEIR_SCOPE(s, .timeout_ms = 5) {
        for (int i = 0; i < 3; i++)
            weir_go(s, hold_lock, &ids[i]);
        CHECK_INT(weir_join(s), -ETIMEDOUT);
    }
    weir_recover();
    weir_unlock(&mutex);
    CHECK_INT(order_count, 0);
    CHECK_INT(weir_lock(&mutex), 0);
    weir_unlock(&mutex);
    return 0;
}

static weir_semaphore *units;
static atomic_int held, most_held;

static int use_unit(void *arg)
{
    int rc = weir_acquire(units), now;

    (void)arg;
    if (rc < 0)
        return rc;
    now = atomic_fetch_add(&held, 1) + 1;
    if (now > atomic_load(&most_held))
        atomic_store(&most_held, now);
    rc = weir_sleep_ms(1);
    atomic_fetch_sub(&held, 1);
    weir_release(units);
    return rc;
}

TASK_TEST(a_semaphore_bounds)
{
    (void)arg;
    CHECK_INT(weir_semaphore_new(&units, .units = 3), 0);
    WEIR_SCOPE(s) {
        for (int i = 0; i < 20; i++)
            weir_go(s, use_unit, NULL);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(atomic_load(&most_held), 3);
    for (int i = 0; i < 3; i++)
        CHECK_INT(weir_try_acquire(units), 0);
    CHECK_INT(weir_try_acquire(units), -EAGAIN);
    for (int i = 0; i < 3; i++)
        weir_release(units);
    weir_semaphore_free(units);
    CHECK_INT(weir_semaphore_new(&units, .units = 0), -EINVAL);
    weir_recover();
    return 0;
}

TASK_TEST(a_full_queue_refuses)
{
    (void)arg;
    CHECK_INT(weir_semaphore_new(&units, .units = 1, .max_waiting = 2, .name = "db"), 0);
    CHECK_INT(weir_acquire(units), 0);
    WEIR_SCOPE(s) {
        weir_task third;
        int result = 0;

        weir_go(s, use_unit, NULL);
        weir_go(s, use_unit, NULL);
        third = weir_go(s, use_unit, NULL, .hold = true, .optional = true);
        CHECK_INT(weir_sleep_ms(1), 0);
        CHECK_INT(weir_result(third, &result), 0);
        CHECK_INT(result, WEIR_EFULL);
        weir_release(units);
        CHECK_INT(weir_join(s), 0);
    }
    weir_semaphore_free(units);
    return 0;
}

static int needs_started;

static int with_need(void *arg)
{
    int rc;

    (void)arg;
    needs_started++;
    CHECK_INT(weir_acquire(units), 0); /* the one it was given */
    rc = weir_sleep_ms(1);
    weir_release(units);
    return rc;
}

static int with_need_unused(void *arg)
{
    (void)arg;
    needs_started++;
    return 0; /* given back at its end */
}

TASK_TEST(needs_wait_without_a_stack)
{
    (void)arg;
    CHECK_INT(weir_semaphore_new(&units, .units = 2), 0);
    CHECK_INT(weir_acquire(units), 0);
    CHECK_INT(weir_acquire(units), 0);
    WEIR_SCOPE(s) {
        for (int i = 0; i < 5; i++)
            weir_go(s, i % 2 ? with_need : with_need_unused, NULL, .needs = units);
        CHECK_INT(weir_sleep_ms(2), 0);
        CHECK_INT(needs_started, 0);
        weir_release(units);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(needs_started, 5);
    WEIR_SCOPE(s) { /* cancelled in the queue */
        CHECK_INT(weir_acquire(units), 0);
        weir_go(s, with_need, NULL, .needs = units);
        weir_go(s, with_need, NULL, .needs = units);
        CHECK_INT(weir_sleep_ms(1), 0);
        weir_cancel(s);
        CHECK_INT(weir_join(s), -ECANCELED);
    }
    CHECK_INT(needs_started, 5);
    weir_release(units);
    CHECK_INT(weir_try_acquire(units), 0);
    weir_release(units);
    weir_release(units);
    weir_semaphore_free(units);
    return 0;
}

/* ---- over several loops ------------------------------------------------------ */

#define LOOP_TASKS 200
static atomic_int finished;

static int use_unit_and_count(void *arg)
{
    int rc = use_unit(arg);

    atomic_fetch_add(&finished, 1);
    return rc;
}

static int fill_loop(void *arg)
{
    (void)arg;
    WEIR_SCOPE(s) {
        for (int i = 0; i < LOOP_TASKS; i++)
            weir_go(s, use_unit_and_count, NULL);
        CHECK_INT(weir_join(s), 0);
    }
    return 0;
}

static int across_loops(void *arg)
{
    (void)arg;
    while (atomic_load(&finished) < 3 * LOOP_TASKS)
        CHECK_INT(weir_sleep_ms(1), 0);
    return 0;
}

static void a_semaphore_bounds_across_loops(void **state)
{
    (void)state;
    atomic_store(&most_held, 0);
    assert_int_equal(weir_semaphore_new(&units, .units = 5), 0);
    assert_int_equal(weir_run(across_loops, NULL, .loops = 3, .each = fill_loop), 0);
    assert_true(atomic_load(&most_held) <= 5);
    assert_int_equal(atomic_load(&held), 0);
    weir_semaphore_free(units);
}

/* ---- the blocking pool --------------------------------------------------------- */

static int block_and_report(void *arg)
{
    const weir_context *context = weir_context_get();

    CHECK(weir_str_eq(context->correlation_id, WEIR_S("id-1")));
    CHECK(weir_deadline_ns() != WEIR_NEVER_NS);
    return weir_fail(-EDOM, "argument %d", *(int *)arg);
}

TASK_TEST(a_blocking_call_has_context_deadline_and_chain)
{
    weir_context context = { .correlation_id = WEIR_S("id-1") };
    char text[100];
    int n = 4;

    (void)arg;
    WEIR_SCOPE(s, .timeout_ms = 5000) {
        weir_scope_set_context(s, &context);
        CHECK_INT(weir_block(block_and_report, &n), -EDOM);
        weir_error_print(text, sizeof(text));
        CHECK_TEXT(text, "argument 4");
    }
    weir_recover();
    return 0;
}

static sem_t gate; /* open: 1 */
static atomic_int entered;

static int pass_gate(void *arg)
{
    (void)arg;
    atomic_fetch_add(&entered, 1);
    sem_wait(&gate);
    sem_post(&gate);
    return 1;
}

static int call_gate(void *arg)
{
    return weir_block(pass_gate, arg);
}

static int pool_bounds(void *arg)
{
    weir_task tasks[5];
    int result = 0, refused = 0;

    (void)arg;
    sem_wait(&gate);
    WEIR_SCOPE(s) {
        for (int i = 0; i < 5; i++)
            tasks[i] = weir_go(s, call_gate, NULL, .hold = true, .optional = true);
        while (atomic_load(&entered) < 2)
            CHECK_INT(weir_sleep_ms(1), 0);
        CHECK_INT(weir_sleep_ms(5), 0);
        for (int i = 0; i < 5; i++)
            if (weir_result(tasks[i], &result) == 0 && result == -EBUSY)
                refused++;
        CHECK_INT(refused, 1); /* two run, two wait */
        WEIR_SCOPE(late, .timeout_ms = 5) {
            CHECK_INT(weir_block(pass_gate, NULL), -EBUSY);
        }
        weir_recover();
        sem_post(&gate);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(atomic_load(&entered), 4);
    return 0;
}

static void a_full_pool_refuses(void **state)
{
    (void)state;
    assert_int_equal(weir_run(pool_bounds, NULL, .loops = 1, .block_threads = 2, .block_queue = 2),
                     0);
}

static int pool_cancels(void *arg)
{
    (void)arg;
    atomic_store(&entered, 0);
    sem_wait(&gate);
    WEIR_SCOPE(s) {
        weir_task running = weir_go(s, call_gate, NULL, .hold = true);
        weir_task queued;
        int result = 0;

        while (atomic_load(&entered) < 1)
            CHECK_INT(weir_sleep_ms(1), 0);
        queued = weir_go(s, call_gate, NULL, .hold = true);
        CHECK_INT(weir_sleep_ms(2), 0);
        weir_cancel(s);
        WEIR_SCOPE(shield, .shield = true) {
            CHECK_INT(weir_sleep_ms(2), 0);
            CHECK_INT(weir_result(queued, &result), 0); /* taken out of the queue */
            CHECK_INT(result, -ECANCELED);
            CHECK_INT(weir_result(running, &result), -EINPROGRESS); /* awaited */
        }
        sem_post(&gate);
        CHECK_INT(weir_join(s), -ECANCELED);
        CHECK_INT(weir_result(running, &result), 0);
        CHECK_INT(result, 1); /* it completed: its result is delivered */
    }
    CHECK_INT(atomic_load(&entered), 1);
    return 0;
}

static void a_queued_call_can_be_cancelled_a_running_one_is_awaited(void **state)
{
    (void)state;
    assert_int_equal(weir_run(pool_cancels, NULL, .loops = 1, .block_threads = 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lock_is_fair),
        cmocka_unit_test(a_cancelled_lock_is_not_taken),
        cmocka_unit_test(a_semaphore_bounds),
        cmocka_unit_test(a_full_queue_refuses),
        cmocka_unit_test(needs_wait_without_a_stack),
        cmocka_unit_test(a_semaphore_bounds_across_loops),
        cmocka_unit_test(a_blocking_call_has_context_deadline_and_chain),
        cmocka_unit_test(a_full_pool_refuses),
        cmocka_unit_test(a_queued_call_can_be_cancelled_a_running_one_is_awaited),
    };

    sem_init(&gate, 0, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
