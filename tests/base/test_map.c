/* The hash map and its hash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/map.h"
#include "support/fault.h"
#include "support/random.h"

/* Values that another implementation gives: CPython's hash of bytes under
 * PYTHONHASHSEED=0, which is SipHash-1-3 with a key of zeros. */
static void the_hash_is_siphash_1_3(void **state)
{
    (void)state;
    assert_true(siphash13(0, 0, "a", 1) == 0x407448d2b89b1813u);
    assert_true(siphash13(0, 0, "abcdefg", 7) == 0x6db12aae9070f506u);
    assert_true(siphash13(0, 0, "abcdefgh", 8) == 0x3f7b849c0b8e35eau);
    assert_true(siphash13(0, 0, "The quick brown fox", 19) == 0x975e410714568333u);
}

static void the_hash_depends_on_its_seed(void **state)
{
    (void)state;
    assert_true(hash_bytes(1, "key", 3) == hash_bytes(1, "key", 3));
    assert_true(hash_bytes(1, "key", 3) != hash_bytes(2, "key", 3));
    assert_true(hash_bytes(1, NULL, 0) != 0);
}

static void put_get_remove(void **state)
{
    struct map map;
    int one, two;

    (void)state;
    map_init(&map, 7);
    assert_null(map_get(&map, WEIR_S("one")));
    assert_null(map_remove(&map, WEIR_S("one")));
    assert_int_equal(map_put(&map, WEIR_S("one"), &one), 0);
    assert_int_equal(map_put(&map, WEIR_S("two"), &two), 0);
    assert_int_equal(map_put(&map, WEIR_S("one"), &two), -EEXIST);
    assert_ptr_equal(map_get(&map, WEIR_S("one")), &one);
    assert_int_equal(map_put(&map, weir_str_c(NULL), &one), 0);
    assert_ptr_equal(map_get(&map, WEIR_S("")), &one);
    assert_ptr_equal(map_remove(&map, WEIR_S("one")), &one);
    assert_null(map_remove(&map, WEIR_S("one")));
    assert_ptr_equal(map_get(&map, WEIR_S("two")), &two);
    assert_int_equal(map.count, 2);
    map_done(&map);
    map_done(&map);
    map_done(NULL);
    assert_null(map_get(&map, WEIR_S("two")));
}

#define MODEL 600

struct model {
    char key[MODEL][12];
    char value[MODEL];
    bool in[MODEL];
    size_t count;
};

/* The walk meets each entry of the model once, and nothing else. */
static void check_walk(const struct map *map, const struct model *model)
{
    bool seen[MODEL] = { false };
    struct map_entry *entry;
    size_t at = 0, count = 0;

    while (map_next(map, &at, &entry)) {
        ptrdiff_t i = (char *)entry->value - model->value;

        assert_true(i >= 0 && i < MODEL);
        assert_true(model->in[i]);
        assert_false(seen[i]);
        assert_true(weir_str_eq(entry->key, weir_str_c(model->key[i])));
        seen[i] = true;
        count++;
    }
    assert_int_equal(count, model->count);
    assert_int_equal(map->count, model->count);
}

static void model_step(struct map *map, struct model *model, size_t i, bool put)
{
    weir_str key = weir_str_c(model->key[i]);

    assert_ptr_equal(map_get(map, key), model->in[i] ? &model->value[i] : NULL);
    if (put) {
        assert_int_equal(map_put(map, key, &model->value[i]), model->in[i] ? -EEXIST : 0);
        model->count += !model->in[i];
        model->in[i] = true;
    } else {
        assert_ptr_equal(map_remove(map, key), model->in[i] ? &model->value[i] : NULL);
        model->count -= model->in[i];
        model->in[i] = false;
    }
}

/* The share of puts swings, so that the map fills, stays crowded, and empties. */
static void random_use_against_a_model(void **state)
{
    static struct model model;
    struct random random;
    struct map map;

    (void)state;
    random_begin(&random);
    for (int i = 0; i < MODEL; i++)
        snprintf(model.key[i], sizeof model.key[i], "key %d", i);
    map_init(&map, random_next(&random));
    for (int step = 0; step < 300000; step++) {
        bool put = random_below(&random, 100) < (step / 3000 % 2 ? 30u : 70u);

        model_step(&map, &model, random_below(&random, MODEL), put);
        if (step % 997 == 0)
            check_walk(&map, &model);
    }
    check_walk(&map, &model);
    map_done(&map);
}

static int fill_map(void *arg)
{
    static char keys[100][4];
    struct map map;
    int rc = 0;

    (void)arg;
    map_init(&map, 3);
    for (size_t i = 0; i < 100 && rc == 0; i++) {
        snprintf(keys[i], sizeof keys[i], "%zu", i);
        rc = map_put(&map, weir_str_c(keys[i]), keys[i]);
        if (rc < 0) {
            assert_int_equal(rc, -ENOMEM);
            assert_int_equal(map.count, i);
            for (size_t j = 0; j < i; j++)
                assert_ptr_equal(map_get(&map, weir_str_c(keys[j])), keys[j]);
        }
    }
    map_done(&map);
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_int_equal(fault_sweep(fill_map, NULL), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hash_is_siphash_1_3),
        cmocka_unit_test(the_hash_depends_on_its_seed),
        cmocka_unit_test(put_get_remove),
        cmocka_unit_test(random_use_against_a_model),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
