/* Reference-counted buffers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/budget.h"
#include "base/buf.h"
#include "support/fault.h"

static void the_last_reference_gives_it_back(void **state)
{
    struct buf_pool pool;
    struct buf *b, *again;

    (void)state;
    buf_pool_init(&pool, 4);
    b = buf_new(&pool);
    assert_int_equal(b->refs, 1);
    assert_int_equal(b->from, 0);
    assert_int_equal(b->to, 0);
    assert_int_equal(pool.used, 1);
    assert_ptr_equal(buf_ref(b), b);
    memset(b->data, 'x', BUF_ROOM);
    b->to = BUF_ROOM;
    buf_unref(b);
    assert_int_equal(pool.used, 1);
    assert_int_equal(b->data[BUF_ROOM - 1], 'x');
    buf_unref(b);
    assert_int_equal(pool.used, 0);
    assert_int_equal(pool.free_count, 1);

    again = buf_new(&pool);
    assert_ptr_equal(again, b);
    assert_int_equal(again->to, 0);
    assert_null(again->next);
    assert_int_equal(pool.free_count, 0);
    buf_unref(again);
    buf_unref(NULL);
    buf_pool_done(&pool);
    assert_int_equal(budget_used_by(BUDGET_BUFFER), 0);
}

static void the_pool_keeps_no_more_than_it_may(void **state)
{
    struct buf_pool pool;
    struct buf *bufs[5];

    (void)state;
    buf_pool_init(&pool, 2);
    for (int i = 0; i < 5; i++)
        bufs[i] = buf_new(&pool);
    assert_int_equal(budget_used_by(BUDGET_BUFFER), 5 * BUF_BYTES);
    for (int i = 0; i < 5; i++)
        buf_unref(bufs[i]);
    assert_int_equal(pool.free_count, 2);
    assert_int_equal(pool.used, 0);
    assert_int_equal(budget_used_by(BUDGET_BUFFER), 2 * BUF_BYTES);
    buf_pool_done(&pool);
    assert_int_equal(budget_used_by(BUDGET_BUFFER), 0);
}

static void the_budget_bounds_it(void **state)
{
    struct buf_pool pool;
    struct buf *a, *b;

    (void)state;
    buf_pool_init(&pool, 2);
    budget_set(2 * BUF_BYTES);
    a = buf_new(&pool);
    b = buf_new(&pool);
    assert_non_null(b);
    assert_null(buf_new(&pool));
    assert_int_equal(pool.used, 2);
    buf_unref(a);
    a = buf_new(&pool);
    assert_non_null(a);
    buf_unref(a);
    buf_unref(b);
    buf_pool_done(&pool);
    budget_set(0);
}

static void free_buffers_are_poisoned(void **state)
{
    (void)state;
#if POISON_ON
    struct buf_pool pool;
    struct buf *b;

    buf_pool_init(&pool, 2);
    b = buf_new(&pool);
    assert_false(__asan_address_is_poisoned(&b->data[BUF_ROOM - 1]));
    buf_unref(b);
    assert_true(__asan_address_is_poisoned(&b->refs));
    assert_true(__asan_address_is_poisoned(&b->data[BUF_ROOM - 1]));
    buf_pool_done(&pool);
#endif
}

static int use_buffers(void *arg)
{
    struct buf_pool pool;
    struct buf *bufs[6] = { NULL };
    int rc = 0;

    (void)arg;
    buf_pool_init(&pool, 3);
    for (int i = 0; i < 6; i++) {
        bufs[i] = buf_new(&pool);
        if (!bufs[i])
            rc = -ENOMEM;
    }
    for (int i = 0; i < 6; i++)
        buf_unref(bufs[i]);
    buf_pool_done(&pool);
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_int_equal(fault_sweep(use_buffers, NULL), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_reference_gives_it_back),
        cmocka_unit_test(the_pool_keeps_no_more_than_it_may),
        cmocka_unit_test(the_budget_bounds_it),
        cmocka_unit_test(free_buffers_are_poisoned),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
