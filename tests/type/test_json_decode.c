/* JSON into structs: numbers at their edges, strings, depth, faults by pointer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <weir/error.h>
#include <weir/json.h>

#include "type/current.h"
#include "type/json_decode.h"
#include "type/sample.h"

#define FAULTS(text, expected)                                                 \
    sample_json_faults(&sample_type, sizeof(struct sample), text, expected)

#define assert_str(slice, text) assert_true(weir_str_eq(slice, weir_str_c(text)))

static void every_kind_is_decoded(void **state)
{
    struct sample s;
    weir_document *doc = sample_json(
        "{\"raw\" : {\"a\":[1.00,\"}\\\"\"]} ,\"flag\":true,\"i32\":-2147483648,"
        "\"i64\":9223372036854775807,\"u16\":65535,\"u32\":2e1,\"u64\":18446744073709551615,"
        "\"f64\":-0.1,\"text\":\"\\u00e9\\ud83d\\ude00\\u0000\\/\",\"level\":\"debug\","
        "\"wait\":\"1h\",\"room\":65536,\"inner\":{\"name\":\"in\"},\"more\":{\"name\":\"o\"},"
        "\"tags\":[\"a\"],\"list\":[{\"size\":1,\"name\":\"x\"}],"
        "\"map\":{\"z\":{\"name\":\"1\"},\"a\":{\"name\":\"2\"}},\"numbers\":{\"\":3}}",
        &s);

    (void)state;
    assert_true(s.flag);
    assert_int_equal(s.i32, INT32_MIN);
    assert_true(s.i64 == INT64_MAX);
    assert_int_equal(s.u16, 65535);
    assert_int_equal(s.u32, 20);
    assert_true(s.u64 == UINT64_MAX);
    assert_true(s.f64 == -0.1);
    assert_int_equal(s.text.len, 8);
    assert_memory_equal(s.text.ptr, "\xc3\xa9\xf0\x9f\x98\x80\0/", 9);
    assert_int_equal(s.level, SAMPLE_DEBUG);
    assert_int_equal(s.wait_ms, 3600000);
    assert_int_equal(s.room_bytes, 65536);
    assert_int_equal(s.inner.size, 7);
    assert_str(s.more->name, "o");
    assert_str(s.tags[0], "a");
    assert_int_equal(s.list[0].size, 1);
    assert_str(s.map[0].key, "z");
    assert_str(s.map[1].value.name, "2");
    assert_str(s.numbers[0].key, "");
    assert_str(s.raw, "{\"a\":[1.00,\"}\\\"\"]}");
    weir_document_free(doc);
}

/* The bytes of a raw value are those of the text, wherever it stands. */
static void raw_values_keep_their_bytes(void **state)
{
    static const char *const values[] = {
        "1.00",         "-0",
        "1E400",        "\"\"",
        "\"\\\\\"",     "\"\\\"]}\"",
        "[]",           "{}",
        "[[],[ ]]",     "{\"a\":}",
        "null",         "true",
        "[1 , 2]",      "{\"raw\":{\"raw\":1}}",
        "\"\xc3\xa9\"",
    };
    static const char *const forms[] = {
        "{\"raw\":%s}",
        "{ \"raw\"\t:\n%s\r}",
        "{\"r\\u0061w\":%s,\"i32\":1}",
        "{\"text\":\"raw\\\":\\\\\",\"raw\" :%s }",
    };

    (void)state;
    for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
        for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
            weir_document *doc = weir_document_new("body");
            struct sample s;
            char text[256];
            int rc;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(text, sizeof text, forms[f], values[v]);
#pragma GCC diagnostic pop
            rc = weir_document_json(doc, weir_str_c(text), &sample_type, &s);
            if (strstr(values[v], ":}") || strstr(values[v], "E400"))
                assert_int_equal(rc, WEIR_EJSON);
            else if (strcmp(values[v], "null") == 0)
                assert_null(s.raw.ptr);
            else
                assert_str(s.raw, values[v]);
            weir_document_free(doc);
        }
    }
}

static void integers_are_exact_or_refused(void **state)
{
    static const struct {
        const char *text;
        bool good;
        int64_t value;
    } cases[] = {
        { "0", true, 0 },
        { "-0", true, 0 },
        { "-0.0", true, 0 },
        { "1.0", true, 1 },
        { "1e3", true, 1000 },
        { "-25e-1", false, 0 },
        { "1.5", false, 0 },
        { "9007199254740992.0", true, INT64_C(9007199254740992) },
        { "9007199254740994.0", false, 0 }, /* beyond 2^53 a double may stand for others */
        { "9223372036854775807", true, INT64_MAX },
        { "9223372036854775808", false, 0 },
        { "-9223372036854775808", true, INT64_MIN },
        { "-9223372036854775809", false, 0 },
        { "1e19", false, 0 },
        { "1e308", false, 0 },
        { "1e999", false, 0 },
        { "01", false, 0 },
        { "+1", false, 0 },
        { "0x1", false, 0 },
        { ".5", false, 0 },
        { "1.", false, 0 },
        { "NaN", false, 0 },
        { "\"1\"", false, 0 },
        { "true", false, 0 },
        { "[1]", false, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        weir_document *doc = weir_document_new("body");
        struct sample s = { .i64 = 77 };
        char text[64];
        int rc;

        snprintf(text, sizeof text, "{\"i64\":%s}", cases[i].text);
        rc = weir_document_json(doc, weir_str_c(text), &sample_type, &s);
        if ((rc == 0) != cases[i].good)
            fail_msg("%s: %d", text, rc);
        assert_true(s.i64 == (cases[i].good ? cases[i].value : 77));
        weir_document_free(doc);
    }
}

static void faults_have_pointers(void **state)
{
    (void)state;
    FAULTS("{\"inner\":{\"nmae\":\"x\"}}",
           "body: /inner/nmae: `nmae` is not a known key (did you mean `name`?)\n"
           "body: /inner/name: `name` is missing (a string of 1 to 8 characters)\n");
    FAULTS("{\"list\":[{\"name\":\"a\"},{\"name\":5}],\"map\":{\"x/~y\":[]}}",
           "body: /list/1/name: `name` must be a string of 1 to 8 characters, not the number 5 "
           "(for example \"text\")\n"
           "body: /map/x~1~0y: `x/~y` must be an object, not an array\n");
    FAULTS("{\"i32\":1,\"i32\":2,\"map\":{\"a\":{\"name\":\"x\"},\"a\":{\"name\":\"x\"}}}",
           "body: /i32: `i32` is given twice\n"
           "body: /map/a: `a` is given twice\n");
    FAULTS("{\"u32\":1.25e2,\"wait\":5,\"room\":-1}",
           "body: /u32: `u32` must be between 10 and 20, not 125\n"
           "body: /wait: `wait` must be a duration, not the number 5 "
           "(a number with its unit, for example 300ms, 5s, 1m or 1h)\n"
           "body: /room: `room` must be between 0B and 18446744073709551615B, not -1\n");
    FAULTS("[]", "body: the document must be an object, not an array\n");
    FAULTS("null", "body: the document must be an object, not null\n");
    FAULTS("{\"text\":\"\\ud800\"}",
           "body:1:16: the document is not JSON: no low surrogate in string\n");
    FAULTS("{\"i32\":1,\n}", "body:1:9: the document is not JSON: trailing comma is not allowed\n");
    FAULTS("", "body:1:1: the document is not JSON: it is empty\n");
    FAULTS("{\"a\\nb\":1}",
           "body: /a?b: `a\\nb` is not a known key (known keys: flag, i32, i64, u16, u32, u64, "
           "f64, text, level, wait, room, inner, more, tags, list, map, numbers, raw)\n");
}

static void many_entries_are_checked_for_twins(void **state)
{
    static char text[65536];
    size_t len = (size_t)snprintf(text, sizeof text, "{\"numbers\":{\"k0\":0");
    weir_document *doc;
    struct sample s;

    (void)state;
    for (int i = 1; i < 1000; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, ",\"k%d\":%d", i, i % 5);
    snprintf(text + len, sizeof text - len, "}}");
    doc = sample_json(text, &s);
    assert_int_equal(s.numbers_count, 1000);
    assert_str(s.numbers[999].key, "k999");
    weir_document_free(doc);
    snprintf(text + len, sizeof text - len, ",\"k77\":1}}");
    FAULTS(text, "body: /numbers/k77: `k77` is given twice\n");
}

static void depth_is_bounded(void **state)
{
    char text[256];

    (void)state;
    for (int depth = 63; depth <= 65; depth++) {
        weir_document *doc = weir_document_new("body");
        struct sample s;
        int inner = depth - 1, len = snprintf(text, sizeof text, "{\"raw\":");

        memset(text + len, '[', (size_t)inner);
        memset(text + len + inner, ']', (size_t)inner);
        snprintf(text + len + 2 * inner, sizeof text - (size_t)(len + 2 * inner), "}");
        assert_int_equal(weir_document_json(doc, weir_str_c(text), &sample_type, &s),
                         depth <= 64 ? 0 : WEIR_EJSON);
        weir_document_free(doc);
    }
}

struct created {
    int64_t id;
    weir_str name;
};

static WEIR_TYPE(created_type, struct created, WEIR_I64(id, .read_only = true), WEIR_STR(name));

static void what_is_read_only_is_left_out_of_input(void **state)
{
    const weir_str text = WEIR_S("{\"id\":7,\"name\":\"a\"}");
    struct created created;
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL);
    assert_int_equal(
        json_decode(&arena, text, &created_type, JSON_DECODE_INPUT, &created, sizeof created, NULL),
        0);
    assert_int_equal(created.id, 0);
    assert_int_equal(json_decode(&arena, text, &created_type, 0, &created, sizeof created, NULL),
                     0);
    assert_int_equal(created.id, 7);
    assert_int_equal(json_decode(&arena, WEIR_S("{\"name\":\"a\"}"), &created_type, 0, &created,
                                 sizeof created, NULL),
                     0);
    arena_reset(&arena);
}

static struct arena task_arena;

static struct arena *the_arena(void)
{
    return &task_arena;
}

static void a_task_decodes_into_its_arena(void **state)
{
    struct created created = { 0 };
    weir_faults faults;

    (void)state;
    assert_int_equal(weir_json_decode(WEIR_S("{}"), &created_type, &created, &faults),
                     WEIR_EWRONGUSE);
    arena_init(&task_arena, NULL);
    type_arena = the_arena;
    assert_int_equal(weir_json_decode(WEIR_S("{}"), &created_type, &created, &faults), WEIR_EINPUT);
    assert_int_equal(faults.count, 1);
    assert_str(faults.list[0].path, "/name");
    assert_int_equal(weir_json_decode(WEIR_S("{\"name\":\"x\"}"), &created_type, &created, NULL),
                     0);
    assert_str(created.name, "x");
    assert_int_equal(weir_json_decode(weir_str_from(NULL, 0), &created_type, &created, NULL),
                     -ENOMEM);
    type_arena = NULL;
    arena_reset(&task_arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_decoded),
        cmocka_unit_test(raw_values_keep_their_bytes),
        cmocka_unit_test(integers_are_exact_or_refused),
        cmocka_unit_test(faults_have_pointers),
        cmocka_unit_test(many_entries_are_checked_for_twins),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(what_is_read_only_is_left_out_of_input),
        cmocka_unit_test(a_task_decodes_into_its_arena),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
