/* Tasks that wait for each other, found in graphs of a few tasks and of many. */
#include "support/in_task.h"

#include "ops/waits.h"

static const char locks[100000], scopes[100];

/* Task number waits for a lock (or, joins, a scope), holds one, and is in a scope. */
static void add(struct waits *waits, uint32_t number, const char *on, const char *held,
                const char *in)
{
    struct waits_node node = { .task = { number, 1 }, .on = on, .in = { in, NULL } };

    node.joins = on >= scopes && on < scopes + sizeof(scopes);
    if (held)
        node.held[node.held_count++] = held;
    assert_true(waits_add(waits, &node));
}

static uint32_t cycles(struct waits *waits, uint32_t *ret_first_length)
{
    uint32_t cursor = 0, nodes[16], count = 0, length;

    assert_true(waits_solve(waits));
    *ret_first_length = 0;
    while ((length = waits_cycle(waits, &cursor, nodes, 16)) > 0) {
        if (count++ == 0)
            *ret_first_length = length;
        for (uint32_t i = 0; i < length && i < 16; i++)
            assert_true(nodes[i] < waits->count);
    }
    return count;
}

static void two_tasks_that_hold_what_the_other_wants(void **state)
{
    struct waits waits;
    uint32_t length;

    (void)state;
    waits_init(&waits);
    add(&waits, 1, &locks[1], &locks[0], &scopes[0]);
    add(&waits, 2, &locks[0], &locks[1], &scopes[0]);
    add(&waits, 3, &scopes[0], NULL, NULL); /* joins them */
    add(&waits, 4, &locks[0], NULL, NULL);  /* wants one of the locks, holds none */
    assert_int_equal(cycles(&waits, &length), 1);
    assert_int_equal(length, 2);
    assert_int_equal(waits_behind(&waits), 2);
    waits_done(&waits);
}

static void a_chain_that_ends_at_a_task_that_runs_is_none(void **state)
{
    struct waits waits;
    uint32_t length;

    (void)state;
    waits_init(&waits);
    add(&waits, 1, &locks[1], &locks[0], NULL);
    add(&waits, 2, &locks[2], &locks[1], NULL); /* whoever holds lock 2 does not wait */
    add(&waits, 3, &locks[0], NULL, NULL);
    assert_int_equal(cycles(&waits, &length), 0);
    assert_int_equal(waits_behind(&waits), 0);
    waits_done(&waits);
}

static void a_lock_held_across_a_join_whose_child_wants_it(void **state)
{
    struct waits waits;
    uint32_t length;

    (void)state;
    waits_init(&waits);
    add(&waits, 1, &scopes[1], &locks[0], NULL);
    add(&waits, 2, &locks[0], NULL, &scopes[1]);
    assert_int_equal(cycles(&waits, &length), 1);
    assert_int_equal(length, 2);
    waits_done(&waits);
}

static void a_reader_among_many_is_enough_to_keep_a_writer_out(void **state)
{
    struct waits waits;
    uint32_t length;

    (void)state;
    waits_init(&waits);
    add(&waits, 1, &locks[0], &locks[9], NULL);  /* wants to write 0 */
    add(&waits, 2, &locks[5], &locks[0], NULL);  /* reads 0, will come through */
    add(&waits, 3, &locks[9], &locks[0], NULL);  /* reads 0, wants what 1 holds */
    assert_int_equal(cycles(&waits, &length), 1);
    assert_int_equal(length, 2);
    waits_done(&waits);
}

static void a_ring_of_many_and_as_many_behind_it(void **state)
{
    enum { TASKS = 20000 };
    struct waits waits;
    uint32_t length;

    (void)state;
    waits_init(&waits);
    for (uint32_t i = 0; i < TASKS; i++) {
        add(&waits, 2 * i, &locks[(i + 1) % TASKS], &locks[i], NULL);
        add(&waits, 2 * i + 1, &locks[i], NULL, NULL);
    }
    assert_int_equal(cycles(&waits, &length), 1);
    assert_int_equal(length, TASKS);
    assert_int_equal(waits_behind(&waits), TASKS);
    waits_done(&waits);
}

static void a_long_chain_comes_through(void **state)
{
    enum { TASKS = 20000 };
    struct waits waits;
    uint32_t length;

    (void)state;
    waits_init(&waits);
    for (uint32_t i = 0; i < TASKS; i++)
        add(&waits, i, &locks[i + 1], &locks[i], NULL);
    assert_int_equal(cycles(&waits, &length), 0);
    waits_done(&waits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_tasks_that_hold_what_the_other_wants),
        cmocka_unit_test(a_chain_that_ends_at_a_task_that_runs_is_none),
        cmocka_unit_test(a_lock_held_across_a_join_whose_child_wants_it),
        cmocka_unit_test(a_reader_among_many_is_enough_to_keep_a_writer_out),
        cmocka_unit_test(a_ring_of_many_and_as_many_behind_it),
        cmocka_unit_test(a_long_chain_comes_through),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
