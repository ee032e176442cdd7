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

/* ---- the end ---------------------------------------------------------------------- */

/* Holds loop 0 up while loop 1 comes to its end. */
static int ends_late(void *arg)
{
    (void)arg;
    weir_go(weir_app_scope(), held_up, NULL);
    return 0;
}

static void *run_two_loops(void *arg)
{
    (void)arg;
    CHECK_INT(weir_run(ends_late, NULL, .loops = 2, .grace_ms = 200), 0);
    return NULL;
}

static void a_loop_that_is_over_is_not_waited_for(void **state)
{
    int64_t began_ns = clock_monotonic_ns();
    struct count count = { 0 };
    int rc, answered = -1;

    (void)state;
    atomic_store(&freed, 0);
    world_start_as(run_two_loops);
    do {
        rc = ask_count(1, 60000, &count);
        answered++;
    } while (rc == 0);
    assert_int_equal(rc, -ECANCELED);
    assert_int_equal(ask_count(1, 60000, &count), -ECANCELED);
    assert_true(clock_monotonic_ns() - began_ns < 30000000000);
    print_message("answered %d times before\n", answered);
    assert_int_equal(atomic_load(&freed), 0); /* they lie where they were posted */
    world_stop();
    assert_int_equal(atomic_load(&freed), 2);
}

/* Askers that never pause are told of the end, too. */
static void *ask_on(void *arg)
{
    int64_t began_ns;
    int rc;

    do {
        struct count count = { 0 };

        began_ns = clock_monotonic_ns();
        rc = ask_count(0, 60000, &count);
    } while (rc == 0);
    *(int64_t *)arg = clock_monotonic_ns() - began_ns;
    assert_int_equal(rc, -ECANCELED);
    return NULL;
}

static void the_end_of_the_runtime_is_not_waited_for(void **state)
{
    pthread_t askers[4];
    int64_t took_ns[4];

    (void)state;
    world_begin(many_tasks);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&askers[i], NULL, ask_on, &took_ns[i]), 0);
    world_stop();
    for (int i = 0; i < 4; i++) {
        pthread_join(askers[i], NULL);
        assert_true(took_ns[i] < 30000000000);
    }
    ask_done();
}

/* ---- many askers -------------------------------------------------------------------- */

static struct {
    uint64_t turn;
    atomic_int twice, steps;
} turns;

static bool turn_step(struct loop *loop, void *state)
{
    uint64_t turn = atomic_load(&loop->pulse.began);
    int *left = state;

    if (turn != 0 && turn == turns.turn)
        atomic_fetch_add(&turns.twice, 1);
    turns.turn = turn;
    atomic_fetch_add(&turns.steps, 1);
    return --*left == 0;
}

static void *ask_turns(void *arg)
{
    int *left = base_calloc(1, sizeof(*left));

    (void)arg;
    *left = 200;
    if (ask_loop(0, turn_step, left, NULL, 60000) == 0)
        base_free(left);
    return NULL;
}

static void a_turn_has_one_step_however_many_ask(void **state)
{
    pthread_t askers[8];

    (void)state;
    world_begin(many_tasks);
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&askers[i], NULL, ask_turns, NULL), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(askers[i], NULL);
    assert_int_equal(atomic_load(&turns.steps), 8 * 200);
    assert_int_equal(atomic_load(&turns.twice), 0);
    world_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_answer_comes_in_steps),
        cmocka_unit_test(a_loop_that_is_held_up_is_not_waited_for),
        cmocka_unit_test(without_a_runtime_nobody_answers),
        cmocka_unit_test(a_loop_that_is_over_is_not_waited_for),
        cmocka_unit_test(the_end_of_the_runtime_is_not_waited_for),
        cmocka_unit_test(a_turn_has_one_step_however_many_ask),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
