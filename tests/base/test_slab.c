/* Slabs and their handles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/slab.h"
#include "support/fault.h"
#include "support/random.h"

struct thing {
    struct slab_head head;
    uint64_t value;
    char more[40];
};

static void a_handle_finds_its_object_until_it_is_freed(void **state)
{
    struct slab slab;
    struct thing *thing, *again;
    struct slab_head handle;

    (void)state;
    slab_init(&slab, sizeof(struct thing), BUDGET_CONNECTION);
    assert_null(slab_find(&slab, 1, 1));
    thing = slab_alloc(&slab);
    handle = thing->head;
    assert_true(handle.slot > 0);
    assert_int_equal(handle.generation % 2, 1);
    assert_ptr_equal(slab_find(&slab, handle.slot, handle.generation), thing);
    slab_free(&slab, thing);
    assert_null(slab_find(&slab, handle.slot, handle.generation));

    again = slab_alloc(&slab);
    assert_ptr_equal(again, thing);
    assert_int_equal(again->head.slot, handle.slot);
    assert_null(slab_find(&slab, handle.slot, handle.generation));
    assert_ptr_equal(slab_find(&slab, again->head.slot, again->head.generation), again);
    slab_done(&slab);
    assert_int_equal(budget_used_by(BUDGET_CONNECTION), 0);
}

static void no_handle_made_up_finds_anything(void **state)
{
    static const uint32_t slots[] = { 0, 2, 3, 100000, UINT32_MAX };
    struct slab slab;

    (void)state;
    slab_init(&slab, sizeof(struct thing), BUDGET_CONNECTION);
    assert_non_null(slab_alloc(&slab));
    for (size_t i = 0; i < sizeof slots / sizeof slots[0]; i++)
        for (uint32_t generation = 0; generation < 4; generation++)
            assert_null(slab_find(&slab, slots[i], generation));
    slab_done(&slab);
    assert_null(slab_find(&slab, 1, 1));
}

static void sizes_from_one_byte_to_megabytes(void **state)
{
    static const size_t sizes[] = { 1, 8, 16, 17, 64, 200, 4096, 70000, 1 << 20 };

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct slab slab;
        char *last = NULL;

        slab_init(&slab, sizes[i], BUDGET_CONNECTION);
        for (int n = 0; n < 9; n++) {
            char *object = slab_alloc(&slab);

            assert_non_null(object);
            assert_int_equal((uintptr_t)object % 16, 0);
            if (slab.object_bytes % 64 == 0)
                assert_int_equal((uintptr_t)object % 64, 0);
            memset(object + sizeof(struct slab_head), n,
                   slab.object_bytes - sizeof(struct slab_head));
            assert_ptr_not_equal(object, last);
            last = object;
        }
        slab_done(&slab);
    }
    assert_int_equal(budget_used_by(BUDGET_CONNECTION), 0);
}

#define MODEL 5000

struct handle {
    struct thing *thing; /* NULL: freed */
    uint32_t slot, generation;
    uint64_t value;
};

static void check_handle(const struct slab *slab, const struct handle *handle)
{
    struct thing *found = slab_find(slab, handle->slot, handle->generation);

    assert_ptr_equal(found, handle->thing);
    if (found)
        assert_int_equal(found->value, handle->value);
}

static void random_use_against_a_model(void **state)
{
    static struct handle model[MODEL];
    struct random random;
    struct slab slab;
    uint32_t live = 0;

    (void)state;
    random_begin(&random);
    slab_init(&slab, sizeof(struct thing), BUDGET_CONNECTION);
    for (int step = 0; step < 200000; step++) {
        struct handle *handle = &model[random_below(&random, MODEL)];

        check_handle(&slab, handle);
        if (handle->thing) {
            slab_free(&slab, handle->thing);
            handle->thing = NULL;
            live--;
        } else {
            struct thing *thing = slab_alloc(&slab);

            thing->value = random_next(&random);
            *handle = (struct handle){ thing, thing->head.slot, thing->head.generation,
                                       thing->value };
            live++;
        }
        assert_int_equal(slab.used, live);
    }
    for (size_t i = 0; i < MODEL; i++)
        check_handle(&slab, &model[i]);
    slab_done(&slab);
    assert_int_equal(budget_used_by(BUDGET_CONNECTION), 0);
}

static void the_budget_bounds_it(void **state)
{
    struct slab slab;
    uint32_t count = 0;

    (void)state;
    slab_init(&slab, sizeof(struct thing), BUDGET_CONNECTION);
    budget_set(200 * 1024);
    while (slab_alloc(&slab))
        count++;
    assert_true(count * slab.object_bytes <= 200 * 1024);
    assert_true(count * slab.object_bytes >= 100 * 1024);
    assert_int_equal(slab.used, count);
    slab_done(&slab);
    budget_set(0);
    assert_int_equal(budget_used(), 0);
}

static void free_objects_are_poisoned_but_for_their_heads(void **state)
{
    (void)state;
#if POISON_ON
    struct slab slab;
    struct thing *thing;

    slab_init(&slab, sizeof(struct thing), BUDGET_CONNECTION);
    thing = slab_alloc(&slab);
    assert_false(__asan_address_is_poisoned(&thing->more[39]));
    slab_free(&slab, thing);
    assert_true(__asan_address_is_poisoned(&thing->value));
    assert_true(__asan_address_is_poisoned(&thing->more[39]));
    assert_false(__asan_address_is_poisoned(&thing->head));
    slab_done(&slab);
#endif
}

/* In a child process, for it must not survive. */
static void freeing_twice_stops_a_debug_build(void **state)
{
    (void)state;
#ifdef WEIR_DEBUG
    struct slab slab;
    struct thing *thing;
    int status;
    pid_t child;

    slab_init(&slab, sizeof(struct thing), BUDGET_CONNECTION);
    thing = slab_alloc(&slab);
    slab_free(&slab, thing);
    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        slab_free(&slab, thing);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    slab_done(&slab);
#endif
}

static int fill_slab(void *arg)
{
    struct slab slab;
    int rc = 0;

    (void)arg;
    slab_init(&slab, 20000, BUDGET_CONNECTION);
    for (uint32_t i = 0; i < 80 && rc == 0; i++) {
        struct slab_head *head = slab_alloc(&slab);

        if (!head) {
            assert_int_equal(slab.used, i);
            rc = -ENOMEM;
        }
    }
    slab_done(&slab);
    slab_done(&slab);
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(fault_sweep(fill_slab, NULL) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handle_finds_its_object_until_it_is_freed),
        cmocka_unit_test(no_handle_made_up_finds_anything),
        cmocka_unit_test(sizes_from_one_byte_to_megabytes),
        cmocka_unit_test(random_use_against_a_model),
        cmocka_unit_test(the_budget_bounds_it),
        cmocka_unit_test(free_objects_are_poisoned_but_for_their_heads),
        cmocka_unit_test(freeing_twice_stops_a_debug_build),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
