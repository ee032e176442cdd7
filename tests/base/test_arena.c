/* Arenas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/budget.h"
#include "support/fault.h"
#include "support/random.h"

static void blocks_are_aligned_and_apart(void **state)
{
    struct arena arena;
    char *last = NULL;

    (void)state;
    arena_init(&arena, NULL);
    for (size_t bytes = 0; bytes < 3000; bytes++) {
        char *block = arena_alloc(&arena, bytes);

        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 16, 0);
        assert_ptr_not_equal(block, last);
        memset(block, (int)bytes, bytes);
        last = block;
    }
    arena_reset(&arena);
    assert_null(arena.chunks);
    assert_int_equal(budget_used_by(BUDGET_ARENA), 0);
}

struct kept {
    unsigned char *block;
    size_t bytes;
};

/* Blocks of random sizes keep what was written to them until the reset. */
static void blocks_never_overlap(void **state)
{
    struct arena_pool pool;
    struct arena arena;
    struct kept kept[500];
    struct random random;

    (void)state;
    random_begin(&random);
    arena_pool_init(&pool, 4);
    arena_init(&arena, &pool);
    for (int round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 500; i++) {
            size_t bytes = random_below(&random, random_below(&random, 20) ? 200 : 9000);

            kept[i] = (struct kept){ arena_alloc(&arena, bytes), bytes };
            assert_non_null(kept[i].block);
            memset(kept[i].block, (int)(i % 251), bytes);
        }
        for (unsigned i = 0; i < 500; i++)
            for (size_t at = 0; at < kept[i].bytes; at++)
                assert_int_equal(kept[i].block[at], i % 251);
        arena_reset(&arena);
        assert_true(pool.free_count <= pool.free_max);
    }
    arena_pool_done(&pool);
    assert_int_equal(budget_used_by(BUDGET_ARENA), 0);
}

static void a_warm_arena_does_not_reach_the_heap(void **state)
{
    struct arena_pool pool;
    struct arena arena;
    struct fault fault;

    (void)state;
    arena_pool_init(&pool, 8);
    arena_init(&arena, &pool);
    fault_begin(&fault);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 100; i++)
            assert_non_null(arena_alloc(&arena, 200));
        assert_true(arena_format(&arena, "round %d of %s", round, "ten").len > 0);
        arena_reset(&arena);
        if (round == 0)
            fault_set(&fault, 1, true);
    }
    assert_int_equal(fault.seen, 0);
    arena_pool_done(&pool);
    assert_int_equal(fault.live, 0);
    fault_end(&fault);
}

static void the_pool_keeps_no_more_than_it_may(void **state)
{
    struct arena_pool pool;
    struct arena arena;

    (void)state;
    arena_pool_init(&pool, 2);
    arena_init(&arena, &pool);
    for (int i = 0; i < 100; i++)
        assert_non_null(arena_alloc(&arena, 1000));
    arena_reset(&arena);
    assert_int_equal(pool.free_count, 2);
    assert_int_equal(budget_used_by(BUDGET_ARENA), 2 * ARENA_CHUNK_BYTES);
    arena_pool_done(&pool);
    assert_int_equal(budget_used_by(BUDGET_ARENA), 0);
}

static void a_large_block_leaves_the_small_chunk_in_use(void **state)
{
    struct arena arena;
    char *small, *next;

    (void)state;
    arena_init(&arena, NULL);
    small = arena_alloc(&arena, 16);
    assert_non_null(arena_alloc(&arena, 100000));
    next = arena_alloc(&arena, 16);
    assert_int_equal(next - small, 16 + ARENA_GAP);
    arena_reset(&arena);
}

static void impossible_sizes_are_refused(void **state)
{
    struct arena arena;
    volatile size_t most = SIZE_MAX;

    (void)state;
    arena_init(&arena, NULL);
    budget_set(1 << 20);
    for (size_t less = 0; less < 64; less++)
        assert_null(arena_alloc(&arena, most - less));
    assert_null(arena_alloc(&arena, 1 << 20));
    assert_non_null(arena_alloc(&arena, 1 << 19));
    assert_null(arena_zalloc(&arena, 1 << 19));
    assert_null(arena_dup(&arena, weir_str_from("", most)).ptr);
    arena_reset(&arena);
    budget_set(0);
}

static void copies_are_terminated(void **state)
{
    struct arena arena;
    weir_str copy, empty;

    (void)state;
    arena_init(&arena, NULL);
    copy = arena_dup(&arena, weir_str_from("weir and more", 4));
    assert_int_equal(copy.len, 4);
    assert_string_equal(copy.ptr, "weir");
    empty = arena_dup(&arena, WEIR_S(""));
    assert_non_null(empty.ptr);
    assert_string_equal(empty.ptr, "");
    assert_null(arena_dup(&arena, weir_str_c(NULL)).ptr);
    assert_memory_equal(arena_zalloc(&arena, 40), (char[40]){ 0 }, 40);
    arena_reset(&arena);
}

/* A text of every length, at every fill of the chunk. */
static void formats_at_every_length(void **state)
{
    static char want[5001];
    struct arena arena;
    weir_str last = { NULL, 0 };

    (void)state;
    memset(want, 'x', sizeof want - 1);
    arena_init(&arena, NULL);
    for (int len = 0; len <= 5000; len += len < 100 ? 1 : 37) {
        weir_str s = arena_format(&arena, "%.*s", len, want);

        assert_int_equal(s.len, len);
        assert_int_equal(strlen(s.ptr), len);
        assert_memory_equal(s.ptr, want, (size_t)len);
        if (last.ptr)
            assert_int_equal(strlen(last.ptr), last.len);
        last = s;
    }
    arena_reset(&arena);
}

static void what_is_not_handed_out_is_poisoned(void **state)
{
    (void)state;
#if POISON_ON
    struct arena_pool pool;
    struct arena arena;
    char *block;

    arena_pool_init(&pool, 1);
    arena_init(&arena, &pool);
    block = arena_alloc(&arena, 13);
    assert_false(__asan_address_is_poisoned(block + 12));
    assert_true(__asan_address_is_poisoned(block + 13));
    assert_true(__asan_address_is_poisoned(block + 16));
    arena_format(&arena, "text");
    assert_true(__asan_address_is_poisoned(block + 100));
    arena_reset(&arena);
    assert_int_equal(pool.free_count, 1);
    assert_true(__asan_address_is_poisoned(block));
    arena_pool_done(&pool);
#endif
}

static int use_arena(void *arg)
{
    struct arena_pool pool;
    struct arena arena;
    int rc = 0;

    (void)arg;
    arena_pool_init(&pool, 2);
    arena_init(&arena, &pool);
    for (int i = 0; i < 12 && rc == 0; i++) {
        weir_str copy = arena_dup(&arena, WEIR_S("a text that is copied"));
        weir_str text = arena_format(&arena, "%01000d", i);

        if (!arena_alloc(&arena, 500) || !arena_zalloc(&arena, 20000) || !copy.ptr || !text.ptr)
            rc = -ENOMEM;
        if (i % 4 == 3)
            arena_reset(&arena);
    }
    arena_reset(&arena);
    arena_pool_done(&pool);
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(fault_sweep(use_arena, NULL) > 10);
}

static void a_trim_gives_back_half_of_what_was_not_needed(void **state)
{
    struct arena_pool pool;
    struct arena arena;

    (void)state;
    arena_pool_init(&pool, 100);
    arena_init(&arena, &pool);
    for (int i = 0; i < 8; i++)
        assert_non_null(arena_alloc(&arena, 1000)); /* two a chunk and more: 8 KB in all */
    assert_non_null(arena_alloc(&arena, 10000));    /* a big one */
    arena_reset(&arena);
    assert_true(pool.free_count >= 2);
    assert_int_equal(pool.big_count, 1);
    arena_pool_trim(&pool); /* all were in use since the beginning */
    assert_int_equal(pool.big_count, 1);
    arena_pool_trim(&pool); /* none since the last */
    assert_int_equal(pool.big_count, 0);
    assert_non_null(arena_alloc(&arena, 100));
    arena_reset(&arena);
    arena_pool_trim(&pool);
    assert_true(pool.free_count >= 1);
    arena_pool_done(&pool);
    assert_int_equal(budget_used_by(BUDGET_ARENA), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_and_apart),
        cmocka_unit_test(blocks_never_overlap),
        cmocka_unit_test(a_warm_arena_does_not_reach_the_heap),
        cmocka_unit_test(a_trim_gives_back_half_of_what_was_not_needed),
        cmocka_unit_test(the_pool_keeps_no_more_than_it_may),
        cmocka_unit_test(a_large_block_leaves_the_small_chunk_in_use),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(copies_are_terminated),
        cmocka_unit_test(formats_at_every_length),
        cmocka_unit_test(what_is_not_handed_out_is_poisoned),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
