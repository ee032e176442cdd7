/* Threads that are not the runtime's, and that may outlive it. */
#include "support/in_task.h"

#include <pthread.h>
#include <stdatomic.h>

#include <weir/remote.h>
#include <weir/time.h>

#include "base/budget.h"
#include "rt/loop.h"

static int seven(void *arg)
{
    (void)arg;
    return 7;
}

static int fail_here(void *arg)
{
    (void)arg;
    return weir_fail(-ENOSPC, "no room on loop %u", weir_loop_index());
}

static int sleep_long(void *arg)
{
    (void)arg;
    return weir_sleep_ms(60000);
}

/* Run script on a thread of its own, with the runtime running until it is over. */
static atomic_bool script_over;

static void *run_script(void *arg)
{
    void (*script)(void) = *(void (**)(void))arg;

    script();
    weir_recover();
    atomic_store(&script_over, true);
    return NULL;
}

static int until_script_over(void *arg)
{
    pthread_t thread;

    CHECK_INT(pthread_create(&thread, NULL, run_script, arg), 0);
    while (!atomic_load(&script_over))
        CHECK_INT(weir_sleep_ms(1), 0);
    return pthread_join(thread, NULL);
}

static void with_runtime(void (*script)(void))
{
    atomic_store(&script_over, false);
    assert_int_equal(weir_run(until_script_over, &script, .loops = 2, .grace_ms = 200), 0);
    assert_int_equal(rt_wrong_uses(), 0);
}

static void call_both(void)
{
    char text[100];
    weir_remote home, other;

    CHECK_INT(weir_remote_of(0, &home), 0);
    CHECK_INT(weir_remote_of(2, &other), -EINVAL);
    weir_error_print(text, sizeof(text));
    CHECK_TEXT(text, "there is no loop 2: the runtime has 2, counted from 0");
    weir_recover();
    CHECK_INT(weir_remote_of(1, &other), 0);
    CHECK_INT(weir_remote_call(home, seven, NULL), 7);
    CHECK_INT(weir_remote_call(other, fail_here, NULL), -ENOSPC);
    weir_error_print(text, sizeof(text));
    CHECK_TEXT(text, "no room on loop 1");
}

static void a_call_brings_its_result_and_chain(void **state)
{
    (void)state;
    with_runtime(call_both);
}

static atomic_bool let_go;

static int hold_the_loop(void *arg)
{
    (void)arg;
    while (!atomic_load(&let_go))
        ;
    return 0;
}

static void call_in_time(void)
{
    weir_remote other;

    CHECK_INT(weir_remote_of(1, &other), 0);
    CHECK_INT(weir_remote_call(other, sleep_long, NULL, .timeout_ms = 10), -ETIMEDOUT);
    weir_recover();
    /* It can't begin: the loop does not turn. */
    atomic_store(&let_go, false);
    CHECK_INT(weir_remote_submit(other, hold_the_loop, NULL), 0);
    CHECK_INT(weir_remote_call(other, seven, NULL, .timeout_ms = 10), -ETIMEDOUT);
    atomic_store(&let_go, true);
    CHECK_INT(weir_remote_call(other, seven, NULL, .timeout_ms = 10000), 7);
}

static void a_time_out_is_the_tasks_deadline(void **state)
{
    (void)state;
    with_runtime(call_in_time);
}

static weir_remote kept;

static void keep(void)
{
    CHECK_INT(weir_remote_of(0, &kept), 0);
}

static void what_has_ended_refuses(void **state)
{
    (void)state;
    assert_int_equal(weir_submit(0, seven, NULL), -ECANCELED);
    with_runtime(keep);
    assert_int_equal(weir_remote_submit(kept, seven, NULL), -ECANCELED);
    assert_int_equal(weir_remote_call(kept, seven, NULL), -ECANCELED);
    with_runtime(keep); /* another run: the value of this one is taken, the older is not */
    assert_int_equal(kept.run, runtime_number());
    kept.run--;
    assert_int_equal(weir_remote_submit(kept, seven, NULL), -ECANCELED);
}

/* ---- threads that outlive many runtimes ------------------------------------------------ */

#define THREADS 4
#define RUNS 60

static atomic_bool no_more;
static atomic_long taken, ran, called;

static int count_run(void *arg)
{
    (void)arg;
    atomic_fetch_add(&ran, 1);
    return 3;
}

static int nap(void *arg)
{
    (void)arg;
    return weir_sleep_ms(1);
}

static void *pester(void *arg)
{
    uint32_t turn = (uint32_t)(uintptr_t)arg;

    while (!atomic_load(&no_more)) {
        weir_remote to = { .loop = turn++ % 3 };
        int rc;

        if (turn % 4 == 0)
            WEIR_IGNORE(weir_remote_of(turn % 3, &to), "then it is refused");
        if (turn % 3 == 0) {
            rc = weir_remote_call(to, turn % 2 ? count_run : nap, NULL, .timeout_ms = turn % 5);
            CHECK(rc == 3 || rc == 0 || rc == -ECANCELED || rc == -ETIMEDOUT || rc == -EINVAL);
            atomic_fetch_add(&called, rc == 3);
            weir_recover();
        } else {
            rc = weir_remote_submit(to, count_run, NULL);
            CHECK(rc == 0 || rc == -ECANCELED || rc == WEIR_EFULL || rc == -EINVAL);
            atomic_fetch_add(&taken, rc == 0);
        }
    }
    return NULL;
}

static void threads_outlive_runtimes(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, pester, (void *)i), 0);
    for (int i = 0; i < RUNS; i++)
        assert_int_equal(weir_run(nap, NULL, .loops = 1 + (uint32_t)i % 3, .grace_ms = 50), 0);
    atomic_store(&no_more, true);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    /* What was taken was run, to the last one; what was called, as well. */
    assert_true(atomic_load(&taken) > 0);
    assert_true(atomic_load(&ran) >= atomic_load(&taken) + atomic_load(&called));
    assert_int_equal(rt_wrong_uses(), 0);
    assert_int_equal(budget_used(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_brings_its_result_and_chain),
        cmocka_unit_test(a_time_out_is_the_tasks_deadline),
        cmocka_unit_test(what_has_ended_refuses),
        cmocka_unit_test(threads_outlive_runtimes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
