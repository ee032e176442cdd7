/* The check of JSON texts that are spliced as bytes, and its working memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>
#include <weir/json.h>

#include "base/budget.h"
#include "support/fault.h"
#include "type/scratch.h"

static void what_the_grammar_allows_is_json(void **state)
{
    static const char *const texts[] = {
        "0",
        "-0",
        "-1.5e+10",
        "1e999",
        "123456789012345678901234567890",
        "\"\"",
        "null",
        " [ ] ",
        "{}",
        "\t{\"a\" : [1,\r\n{}]}\n",
        "\"\\ud83d\\ude00 \\u0000\"",
        "\"\x7f\"",
        "{\"a\":1,\"a\":2}",
        "\"\xf4\x8f\xbf\xbf\"",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (weir_json_check(weir_str_c(texts[i]), NULL) != 0)
            fail_msg("refused: %s", texts[i]);
    }
}

static void what_it_does_not_is_refused(void **state)
{
    static const struct {
        weir_str text;
        size_t offset;
    } cases[] = {
        { { "", 0 }, 0 },
        { { " ", 1 }, 0 },
        { { "01", 2 }, 0 },
        { { "1.", 2 }, 2 },
        { { ".5", 2 }, 0 },
        { { "+1", 2 }, 0 },
        { { "0x10", 4 }, 1 },
        { { "1e", 2 }, 2 },
        { { "-", 1 }, 1 },
        { { "NaN", 3 }, 0 },
        { { "Infinity", 8 }, 0 },
        { { "tru", 3 }, 3 },
        { { "True", 4 }, 0 },
        { { "[1,]", 4 }, 2 },
        { { "[1 2]", 5 }, 3 },
        { { "{\"a\"}", 5 }, 4 },
        { { "{a:1}", 5 }, 1 },
        { { "{\"a\":1,}", 8 }, 6 },
        { { "[", 1 }, 1 },
        { { "]", 1 }, 0 },
        { { "1 1", 3 }, 2 },
        { { "\"\n\"", 3 }, 1 },
        { { "\"\\x\"", 4 }, 2 },
        { { "'a'", 3 }, 0 },
        { { "\"a", 2 }, 2 },
        { { "\"\xff\"", 3 }, 1 },
        { { "\"\xc0\x80\"", 4 }, 1 },
        { { "// c\n1", 6 }, 0 },
        { { "1\0", 2 }, 1 },
        { { "\0", 1 }, 0 },
        { { "\xef\xbb\xbf"
            "1",
            4 },
          0 },
        { { "\"\\ud800\"", 8 }, 7 },
        { { "\"\\udc00\"", 8 }, 1 },
        { { "\"\xed\xa0\x80\"", 5 }, 1 },
    };
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        weir_json_flaw flaw = { 999, NULL };

        if (weir_json_check(cases[i].text, &flaw) != WEIR_EJSON)
            fail_msg("taken: %.*s", WEIR_ARG(cases[i].text));
        assert_true(strlen(flaw.what) > 4);
        if (flaw.offset != cases[i].offset)
            fail_msg("%.*s: offset %zu, expected %zu", WEIR_ARG(cases[i].text), flaw.offset,
                     cases[i].offset);
    }
    assert_int_equal(weir_json_check(WEIR_S("[1 2]"), NULL), WEIR_EJSON);
    weir_error_print(text, sizeof text);
    assert_non_null(strstr(text, "not JSON at byte 3: "));
    weir_recover();
    assert_int_equal(weir_json_check(weir_str_from(NULL, 0), NULL), -ENOMEM);
}

static void depth_is_bounded(void **state)
{
    static char text[200000];

    (void)state;
    for (size_t depth = 1; depth < 100; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(weir_json_check(weir_str_from(text, 2 * depth), NULL),
                         depth <= WEIR_TYPE_DEPTH_MAX ? 0 : WEIR_EJSON);
    }
    memset(text, '[', sizeof text);
    assert_int_equal(weir_json_check(weir_str_from(text, sizeof text), NULL), WEIR_EJSON);
}

/* Each beginning of a valid object is refused; the whole is not. */
static void a_part_is_not_the_whole(void **state)
{
    const weir_str text = WEIR_S("{\"a\":[1.5e3,true,null,\"\\u00e9\xc3\xa9\"],\"b\":{}}");

    (void)state;
    for (size_t len = 0; len <= text.len; len++) {
        char *copy = malloc(len ? len : 1); /* its exact size: a sanitizer sees more */

        assert_non_null(copy);
        memcpy(copy, text.ptr, len);
        assert_int_equal(weir_json_check(weir_str_from(copy, len), NULL),
                         len == text.len ? 0 : WEIR_EJSON);
        free(copy);
    }
}

static void a_warm_check_does_not_touch_the_heap(void **state)
{
    static char text[16384];
    struct fault fault;

    (void)state;
    memset(text, '1', sizeof text);
    for (size_t i = 1; i < sizeof text; i += 2)
        text[i] = ',';
    text[0] = '[';
    text[1] = '1';
    text[sizeof text - 1] = ']';
    text[sizeof text - 2] = '1';
    assert_int_equal(weir_json_check(WEIR_S("1"), NULL), 0);
    fault_begin(&fault);
    for (int i = 0; i < 100; i++)
        assert_int_equal(weir_json_check(weir_str_from(text, sizeof text), NULL), 0);
    fault_end(&fault);
    assert_int_equal(fault.seen, 0);
}

static void *check_in_a_thread(void *arg)
{
    (void)arg;
    return weir_json_check(WEIR_S("[1]"), NULL) == 0 ? arg : NULL;
}

static void a_thread_gives_its_memory_back(void **state)
{
    uint64_t used = budget_used();
    pthread_t thread;
    void *result;

    assert_int_equal(pthread_create(&thread, NULL, check_in_a_thread, state), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, state);
    assert_int_equal(budget_used(), used);
}

/* A parse inside a parse, and one larger than the block, go to the heap. */
static void scratch_memory_nests(void **state)
{
    struct scratch outer, inner;
    char *a, *b, *c;

    (void)state;
    scratch_begin(&outer);
    scratch_begin(&inner);
    assert_non_null(outer.block);
    assert_null(inner.block);
    a = scratch_alloc(&outer, 100);
    b = scratch_alloc(&inner, 100);
    memset(a, 1, 100);
    memset(b, 2, 100);
    a = outer.alc.realloc(&outer, a, 100, 5000);
    assert_int_equal(a[99], 1);
    c = scratch_alloc(&outer, 10);
    a = outer.alc.realloc(&outer, a, 5000, 6000); /* not the newest: moved */
    assert_int_equal(a[99], 1);
    a = outer.alc.realloc(&outer, a, 6000, 2 * SCRATCH_BYTES); /* out to the heap */
    assert_int_equal(a[99], 1);
    scratch_free(&outer, c);
    scratch_free(&outer, a);
    scratch_free(&inner, b);
    scratch_end(&inner);
    scratch_end(&outer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_grammar_allows_is_json),
        cmocka_unit_test(what_it_does_not_is_refused),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(a_part_is_not_the_whole),
        cmocka_unit_test(a_warm_check_does_not_touch_the_heap),
        cmocka_unit_test(a_thread_gives_its_memory_back),
        cmocka_unit_test(scratch_memory_nests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
