/* The byte budget, alone and under threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "base/budget.h"
#include "support/random.h"

static void takes_up_to_the_limit(void **state)
{
    (void)state;
    budget_set(1000);
    assert_int_equal(budget_limit(), 1000);
    assert_true(budget_take(BUDGET_STACK, 600));
    assert_false(budget_take(BUDGET_ARENA, 401));
    assert_true(budget_take(BUDGET_ARENA, 400));
    assert_false(budget_take(BUDGET_QUEUE, 1));
    assert_int_equal(budget_used(), 1000);
    assert_int_equal(budget_used_by(BUDGET_STACK), 600);
    assert_int_equal(budget_used_by(BUDGET_ARENA), 400);
    budget_give(BUDGET_STACK, 600);
    budget_give(BUDGET_ARENA, 400);
    assert_int_equal(budget_used(), 0);
    budget_set(0);
}

static void without_a_limit_only_overflow_is_refused(void **state)
{
    (void)state;
    budget_set(0);
    assert_true(budget_take(BUDGET_BUFFER, UINT64_MAX - 1));
    assert_false(budget_take(BUDGET_BUFFER, 2));
    assert_true(budget_admits(UINT64_MAX));
    budget_give(BUDGET_BUFFER, UINT64_MAX - 1);
    assert_int_equal(budget_used(), 0);
}

static void a_sixteenth_is_kept_from_new_connections(void **state)
{
    (void)state;
    budget_set(1600);
    assert_true(budget_admits(1500));
    assert_false(budget_admits(1501));
    assert_false(budget_admits(UINT64_MAX));
    assert_true(budget_take(BUDGET_BUFFER, 1500));
    assert_false(budget_admits(1));
    assert_true(budget_take(BUDGET_BUFFER, 100));
    budget_give(BUDGET_BUFFER, 1600);
    budget_set(0);
}

static void kinds_have_names(void **state)
{
    (void)state;
    for (int kind = 0; kind < BUDGET_KINDS; kind++)
        assert_true(budget_kind_name((enum budget_kind)kind)[0] != '\0');
    assert_string_equal(budget_kind_name(BUDGET_STACK), "stack");
    assert_string_equal(budget_kind_name(BUDGET_KINDS), "unknown");
}

#define THREADS 4
#define ROUNDS 50000
#define LIMIT 10000

struct taker {
    pthread_t thread;
    struct random random;
    uint64_t refused, over;
};

/* Take and give at random; what one has never passes the limit by itself, all
 * together must not either. */
static void *take_and_give(void *arg)
{
    struct taker *taker = arg;
    uint64_t held[BUDGET_KINDS] = { 0 };

    for (int i = 0; i < ROUNDS; i++) {
        enum budget_kind kind = (enum budget_kind)random_below(&taker->random, BUDGET_KINDS);
        uint64_t bytes = random_below(&taker->random, LIMIT / 2);

        if (held[kind]) {
            budget_give(kind, held[kind]);
            held[kind] = 0;
        } else if (budget_take(kind, bytes)) {
            held[kind] = bytes;
        } else {
            taker->refused++;
        }
        taker->over += budget_used() > LIMIT;
    }
    for (int kind = 0; kind < BUDGET_KINDS; kind++)
        budget_give((enum budget_kind)kind, held[kind]);
    return NULL;
}

static void threads_never_pass_the_limit(void **state)
{
    struct taker takers[THREADS] = { 0 };
    struct random random;
    uint64_t refused = 0;

    (void)state;
    random_begin(&random);
    budget_set(LIMIT);
    for (int i = 0; i < THREADS; i++) {
        takers[i].random.state = random_next(&random);
        assert_int_equal(pthread_create(&takers[i].thread, NULL, take_and_give, &takers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(takers[i].thread, NULL);
        assert_int_equal(takers[i].over, 0);
        refused += takers[i].refused;
    }
    assert_true(refused > 0);
    assert_int_equal(budget_used(), 0);
    for (int kind = 0; kind < BUDGET_KINDS; kind++)
        assert_int_equal(budget_used_by((enum budget_kind)kind), 0);
    budget_set(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_up_to_the_limit),
        cmocka_unit_test(without_a_limit_only_overflow_is_refused),
        cmocka_unit_test(a_sixteenth_is_kept_from_new_connections),
        cmocka_unit_test(kinds_have_names),
        cmocka_unit_test(threads_never_pass_the_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
