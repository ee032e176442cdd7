/* Questions to a loop: answered in steps, late, or never. */
#include "ops/world.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "ops/ask.h"
#include "rt/inspect.h"
#include "rt/loop.h"

#define TASKS 20000
#define STEP_TASKS 500

struct count {
    uint32_t cursor, tasks, steps;
};

static atomic_int freed;

static void count_free(void *state)
{
    atomic_fetch_add(&freed, 1);
    base_free(state);
}

static bool count_step(struct loop *loop, void *state)
{
    struct count *count = state;

    count->steps++;
    for (int i = 0; i < STEP_TASKS; i++) {
        if (!inspect_next(loop, &count->cursor))
            return true;
        count->tasks++;
    }
    return false;
}

static int ask_count(uint32_t loop, uint32_t timeout_ms, struct count *ret_count)
{
    struct count *count = base_calloc(1, sizeof(*count));
    int rc = ask_loop(loop, count_step, count, count_free, timeout_ms);

    if (rc == 0) {
        *ret_count = *count;
        base_free(count);
    }
    return rc;
}

static int many_tasks(void *arg)
{
    (void)arg;
    WEIR_SCOPE(s) {
        for (int i = 0; i < TASKS; i++)
            weir_go(s, sleeper, NULL);
        CHECK_INT(weir_yield(), 0);
        CHECK_INT(wait_for_end(s), 0);
    }
    return 0;
}

static void world_begin(weir_fn *fn)
{
    atomic_store(&freed, 0);
    world_start(fn);
}

static void a_long_answer_comes_in_steps(void **state)
{
    struct count count = { 0 };

    (void)state;
    world_begin(many_tasks);
    assert_int_equal(ask_count(0, 30000, &count), 0);
    assert_int_equal(count.tasks, TASKS + 1);
    assert_true(count.steps > TASKS / STEP_TASKS);
    assert_int_equal(ask_count(7, 1000, &count), -ECANCELED);
    world_stop();
}

static void a_loop_that_is_held_up_is_not_waited_for(void **state)
{
    int64_t began_ns = clock_monotonic_ns();
    struct count count = { 0 };

    (void)state;
    world_begin(held_up);
    assert_int_equal(ask_count(0, 20, &count), -ETIMEDOUT);
    assert_true(clock_monotonic_ns() - began_ns < 20000000000);
    assert_int_equal(atomic_load(&freed), 0); /* the loop may still come to it */
    world_stop();
    ask_done();
    assert_int_equal(atomic_load(&freed), 1);
}

static void without_a_runtime_nobody_answers(void **state)
{
    struct count count = { 0 };

    (void)state;
    atomic_store(&freed, 0);
    assert_int_equal(ask_count(0, 1000, &count), -ECANCELED);
    assert_int_equal(atomic_load(&freed), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_answer_comes_in_steps),
        cmocka_unit_test(a_loop_that_is_held_up_is_not_waited_for),
        cmocka_unit_test(without_a_runtime_nobody_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
