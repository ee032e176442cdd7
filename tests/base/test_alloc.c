/* The door to the heap, and the fault sweeps that stand in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "support/fault.h"

static void blocks_of_nothing_are_blocks(void **state)
{
    void *a = base_malloc(0), *b = base_calloc(0, 8), *c = base_realloc(NULL, 0);

    (void)state;
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    base_free(a);
    base_free(b);
    base_free(c);
    base_free(NULL);
}

static void calloc_clears_and_refuses_overflow(void **state)
{
    unsigned char *block = base_calloc(16, 4);
    volatile size_t huge = SIZE_MAX / 2;

    (void)state;
    assert_non_null(block);
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(block[i], 0);
    base_free(block);
    assert_null(base_calloc(huge, 4));
}

static void aligned_blocks_are_aligned(void **state)
{
    (void)state;
    for (size_t alignment = 8; alignment <= 4096; alignment *= 2) {
        void *block = base_aligned(alignment, 100);

        assert_non_null(block);
        assert_int_equal((uintptr_t)block % alignment, 0);
        base_free(block);
    }
}

static void the_nth_allocation_fails(void **state)
{
    struct fault fault;
    void *blocks[4];

    (void)state;
    fault_begin(&fault);
    fault_set(&fault, 2, false);
    for (int i = 0; i < 4; i++)
        blocks[i] = base_malloc(10);
    assert_non_null(blocks[0]);
    assert_null(blocks[1]);
    assert_non_null(blocks[2]);
    assert_int_equal(fault.live, 3);
    assert_int_equal(fault.refused, 1);

    fault_set(&fault, 1, true);
    assert_null(base_realloc(blocks[0], 20));
    assert_null(base_calloc(1, 1));
    assert_null(base_aligned(64, 1));
    assert_false(base_allows(4096));
    assert_int_equal(fault.refused, 4);

    for (int i = 0; i < 4; i++)
        base_free(blocks[i]);
    assert_int_equal(fault.live, 0);
    fault_end(&fault);
    assert_true(base_allows(4096));
}

static void growing_a_block_is_not_a_new_one(void **state)
{
    struct fault fault;
    void *block;

    (void)state;
    fault_begin(&fault);
    block = base_malloc(10);
    block = base_realloc(block, 100000);
    assert_int_equal(fault.live, 1);
    base_free(block);
    assert_int_equal(fault.live, 0);
    fault_end(&fault);
}

struct run_counts {
    int runs, successes;
};

static int three_blocks(void *arg)
{
    struct run_counts *counts = arg;
    void *blocks[3] = { NULL };
    int rc = 0;

    counts->runs++;
    for (int i = 0; i < 3 && rc == 0; i++) {
        blocks[i] = base_malloc(8);
        if (!blocks[i])
            rc = -1;
    }
    counts->successes += rc == 0;
    for (int i = 0; i < 3; i++)
        base_free(blocks[i]);
    return rc;
}

static void a_sweep_fails_each_in_turn(void **state)
{
    struct run_counts counts = { 0, 0 };

    (void)state;
    assert_int_equal(fault_sweep(three_blocks, &counts), 3);
    assert_int_equal(counts.runs, 8);
    assert_int_equal(counts.successes, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_of_nothing_are_blocks),
        cmocka_unit_test(calloc_clears_and_refuses_overflow),
        cmocka_unit_test(aligned_blocks_are_aligned),
        cmocka_unit_test(the_nth_allocation_fails),
        cmocka_unit_test(growing_a_block_is_not_a_new_one),
        cmocka_unit_test(a_sweep_fails_each_in_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
