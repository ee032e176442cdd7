/* Intrusive lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
    int value;
    struct node link;
};

static int value_of(struct node *n)
{
    return container_of(n, struct item, link)->value;
}

static void assert_values(struct node *head, const int *values, size_t count)
{
    size_t at = 0;

    list_each(n, head) {
        assert_true(at < count);
        assert_int_equal(value_of(n), values[at]);
        at++;
    }
    assert_int_equal(at, count);
}

static void items_stay_in_order(void **state)
{
    struct item items[4] = { { .value = 0 }, { .value = 1 }, { .value = 2 }, { .value = 3 } };
    struct node head;

    (void)state;
    list_init(&head);
    assert_true(list_empty(&head));
    assert_null(list_pop(&head));
    list_push(&head, &items[1].link);
    list_push(&head, &items[3].link);
    list_push_front(&head, &items[0].link);
    list_insert_before(&items[3].link, &items[2].link);
    assert_values(&head, (const int[]){ 0, 1, 2, 3 }, 4);
    list_remove(&items[2].link);
    list_remove(&items[2].link);
    assert_values(&head, (const int[]){ 0, 1, 3 }, 3);
    assert_int_equal(value_of(list_pop(&head)), 0);
    assert_values(&head, (const int[]){ 1, 3 }, 2);
}

static void a_walk_may_remove(void **state)
{
    struct item items[4] = { { .value = 0 }, { .value = 1 }, { .value = 2 }, { .value = 3 } };
    struct node head;

    (void)state;
    list_init(&head);
    for (int i = 0; i < 4; i++)
        list_push(&head, &items[i].link);
    list_each_safe(n, &head)
        if (value_of(n) % 2 == 0)
            list_remove(n);
    assert_values(&head, (const int[]){ 1, 3 }, 2);
}

static void splicing_empties_the_source(void **state)
{
    struct item items[4] = { { .value = 0 }, { .value = 1 }, { .value = 2 }, { .value = 3 } };
    struct node head, from;

    (void)state;
    list_init(&head);
    list_init(&from);
    list_splice(&head, &from);
    assert_true(list_empty(&head));
    for (int i = 0; i < 4; i++)
        list_push(i < 2 ? &head : &from, &items[i].link);
    list_splice(&head, &from);
    assert_true(list_empty(&from));
    assert_values(&head, (const int[]){ 0, 1, 2, 3 }, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_stay_in_order),
        cmocka_unit_test(a_walk_may_remove),
        cmocka_unit_test(splicing_empties_the_source),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
