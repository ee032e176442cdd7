/* Tasks that wait for each other, found in graphs of a few tasks and of many. */
#include <time.h>

#include "support/in_task.h"

#include "ops/waits.h"

static const char locks[100000], scopes[100];

/* Task number waits for a lock (or, joins, a scope), holds one, and is in a scope. */
static void add(struct waits *waits, uint32_t number, const char *on, const char *held,
                const char *in)
{
    struct waits_node node = { .task = { number, 1 } };

    assert_true(waits_add(waits, &node));
    assert_true(waits_add_on(waits, on, 1));
    if (held)
        assert_true(waits_add_way(waits, waits->count - 1, held));
    if (in)
        assert_true(waits_add_way(waits, waits->count - 1, in));
}

/* It waits on a thing of which it takes all the ways there are; and has some. */
static void add_any(struct waits *waits, uint32_t number, const char *on, uint32_t enough,
                    const char *has, uint32_t ways)
{
    struct waits_node node = { .task = { number, 1 } };

    assert_true(waits_add(waits, &node));
    assert_true(waits_add_on(waits, on, enough));
    for (uint32_t i = 0; i < ways; i++)
        assert_true(waits_add_way(waits, waits->count - 1, has));
}

static uint32_t knots(struct waits *waits, uint32_t *ret_first_length)
{
    uint32_t cursor = 0, nodes[16], count = 0, length, cycle;

    assert_true(waits_solve(waits));
    *ret_first_length = 0;
    while ((length = waits_knot(waits, &cursor, nodes, 16, &cycle)) > 0) {
        if (count++ == 0)
            *ret_first_length = length;
        assert_true(cycle >= 1 && cycle <= length);
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
    assert_int_equal(knots(&waits, &length), 1);
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
    assert_int_equal(knots(&waits, &length), 0);
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
    assert_int_equal(knots(&waits, &length), 1);
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
    assert_int_equal(knots(&waits, &length), 1);
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
    assert_int_equal(knots(&waits, &length), 1);
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
    assert_int_equal(knots(&waits, &length), 0);
    waits_done(&waits);
}

static void units_are_gone_only_when_each_is_held_by_one_that_waits(void **state)
{
    struct waits waits;
    uint32_t length;

    (void)state;
    waits_init(&waits);
    add_any(&waits, 1, &locks[0], 3, &locks[0], 1);
    add_any(&waits, 2, &locks[0], 3, &locks[0], 1); /* the third is held by who works */
    assert_int_equal(knots(&waits, &length), 0);
    waits_done(&waits);

    waits_init(&waits);
    add_any(&waits, 1, &locks[0], 3, &locks[0], 1);
    add_any(&waits, 2, &locks[0], 3, &locks[0], 2);
    add_any(&waits, 3, &locks[0], 3, NULL, 0); /* holds none: it is behind */
    assert_int_equal(knots(&waits, &length), 1);
    assert_int_equal(length, 2);
    assert_int_equal(waits_behind(&waits), 1);
    waits_done(&waits);
}

static void one_that_waits_for_itself(void **state)
{
    struct waits waits;
    uint32_t length;

    (void)state;
    waits_init(&waits);
    add_any(&waits, 1, &locks[0], 2, &locks[0], 2);
    assert_int_equal(knots(&waits, &length), 1);
    assert_int_equal(length, 1);
    waits_done(&waits);
}

/* 1 receives what 2 and 3 may send; 2 what 1 sends; 3 waits for a lock of 4, which waits for
 * 1 to send. If 4 may go on, so may all. */
static void a_knot_is_told_with_all_who_could_untie_it(void **state)
{
    for (int live = 0; live < 2; live++) {
        struct waits waits;
        uint32_t length;

        (void)state;
        waits_init(&waits);
        add_any(&waits, 1, &locks[1], 2, &locks[2], 1);
        add_any(&waits, 2, &locks[2], 1, &locks[1], 1);
        add_any(&waits, 3, &locks[3], 1, &locks[1], 1);
        if (!live)
            add_any(&waits, 4, &locks[2], 1, &locks[3], 1);
        assert_int_equal(knots(&waits, &length), live ? 0 : 1);
        assert_int_equal(length, live ? 0 : 4);
        assert_int_equal(waits_behind(&waits), 0);
        waits_done(&waits);
    }
}

static void of_several_things_each_must_be_out_of_reach(void **state)
{
    for (int live = 0; live < 2; live++) {
        struct waits waits;
        uint32_t length;

        (void)state;
        waits_init(&waits);
        add_any(&waits, 1, &locks[1], 1, &locks[9], 1);
        assert_true(waits_add_on(&waits, &locks[2], 1));
        add_any(&waits, 2, &locks[9], 1, &locks[1], 1);
        if (!live)
            add_any(&waits, 3, &locks[9], 1, &locks[2], 1);
        assert_int_equal(knots(&waits, &length), live ? 0 : 1);
        assert_int_equal(length, live ? 0 : 3);
        waits_done(&waits);
    }
}

/* What is left is the same whatever order loops answer in, and none of it may go on: of
 * small random graphs, against the definition. */
static void random_graphs_against_the_definition(void **state)
{
    enum { TASKS = 12, THINGS = 8 };
    uint32_t seed = (uint32_t)time(NULL), random = seed;

    (void)state;
    print_message("seed %u\n", seed);
    for (int round = 0; round < 3000; round++) {
        uint32_t on[TASKS], enough[TASKS], has[TASKS], left[THINGS], length, forever = 0;
        bool out[TASKS] = { false }, again = true;
        struct waits waits;

        waits_init(&waits);
        for (uint32_t i = 0; i < TASKS; i++) {
            random = random * 1664525u + 1013904223u;
            on[i] = (random >> 8) % THINGS;
            has[i] = (random >> 16) % THINGS;
            enough[i] = 1 + (random >> 24) % 3;
            add_any(&waits, i, &locks[on[i]], enough[i], &locks[has[i]], 1);
        }
        while (again) {
            again = false;
            memset(left, 0, sizeof(left));
            for (uint32_t i = 0; i < TASKS; i++)
                left[has[i]] += !out[i];
            for (uint32_t i = 0; i < TASKS; i++)
                if (!out[i] && left[on[i]] < enough[i])
                    out[i] = again = true;
        }
        assert_true(waits_solve(&waits));
        for (uint32_t i = 0; i < TASKS; i++) {
            assert_int_equal(waits.next[i] >= 0, !out[i]);
            forever += !out[i];
        }
        waits_done(&waits);
        waits_init(&waits);
        for (uint32_t i = 0; i < TASKS; i++)
            add_any(&waits, i, &locks[on[i]], enough[i], &locks[has[i]], 1);
        assert_int_equal(knots(&waits, &length) > 0, forever > 0);
        waits_done(&waits);
    }
}

static void graphs_of_several_loops_are_put_together(void **state)
{
    struct waits one, other, all;
    uint32_t length;

    (void)state;
    waits_init(&one);
    waits_init(&other);
    waits_init(&all);
    add(&one, 7, &locks[5], NULL, NULL);
    add(&one, 8, &locks[1], &locks[0], NULL);
    add(&other, 1, &locks[0], NULL, NULL);
    assert_true(waits_add_way(&other, 0, &locks[1]));
    assert_true(waits_add_all(&all, &one));
    assert_true(waits_add_all(&all, &other));
    assert_int_equal(knots(&all, &length), 1);
    assert_int_equal(length, 2);
    assert_ptr_equal(waits_between(&all, 1, 2), &locks[1]);
    assert_ptr_equal(waits_between(&all, 2, 1), &locks[0]);
    assert_null(waits_between(&all, 0, 1));
    waits_done(&one);
    waits_done(&other);
    waits_done(&all);
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
        cmocka_unit_test(units_are_gone_only_when_each_is_held_by_one_that_waits),
        cmocka_unit_test(one_that_waits_for_itself),
        cmocka_unit_test(a_knot_is_told_with_all_who_could_untie_it),
        cmocka_unit_test(of_several_things_each_must_be_out_of_reach),
        cmocka_unit_test(random_graphs_against_the_definition),
        cmocka_unit_test(graphs_of_several_loops_are_put_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
