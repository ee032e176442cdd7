/* Structs and mixed values as JSON text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>
#include <weir/json.h>

#include "base/arena.h"
#include "support/random.h"
#include "type/current.h"
#include "type/encode.h"
#include "type/json_write.h"
#include "type/sample.h"

static struct arena arena;

static struct arena *the_arena(void)
{
    return &arena;
}

static int begin(void **state)
{
    (void)state;
    arena_init(&arena, NULL);
    type_arena = the_arena;
    return 0;
}

static int finish(void **state)
{
    (void)state;
    type_arena = NULL;
    arena_reset(&arena);
    return 0;
}

static void what_was_decoded_is_written_back(void **state)
{
    static const char text[] =
        "{\"flag\":true,\"i32\":-2147483648,\"i64\":-9223372036854775808,\"u16\":65535,"
        "\"u32\":20,\"u64\":18446744073709551615,\"f64\":0.1,\"text\":\"a\\\"\\\\\\n\\u0001é\","
        "\"level\":\"warn\",\"wait\":\"90s\",\"room\":\"32KiB\",\"inner\":{\"name\":\"in\","
        "\"size\":3},\"more\":{\"name\":\"out\",\"size\":7},\"tags\":[\"a\",\"b\"],"
        "\"list\":[{\"name\":\"x\",\"size\":1}],\"map\":{\"z\":{\"name\":\"1\",\"size\":7},"
        "\"a\\\"\":{\"name\":\"2\",\"size\":7}},\"numbers\":{\"n\":-5},\"raw\":[1.00, null]}";
    struct sample s;
    weir_document *doc = sample_json(text, &s);
    weir_str out;

    (void)state;
    assert_int_equal(weir_json_encode(&sample_type, &s, &out), 0);
    assert_string_equal(out.ptr, text);
    assert_int_equal(out.len, sizeof text - 1);
    weir_document_free(doc);
}

static void what_is_absent_is_left_out(void **state)
{
    struct sample s;
    weir_document *doc = sample_json("{\"inner\":{\"name\":\"x\"}}", &s);
    weir_str out;

    (void)state;
    assert_int_equal(weir_json_encode(&sample_type, &s, &out), 0);
    assert_string_equal(out.ptr, "{\"flag\":false,\"i32\":0,\"i64\":0,\"u16\":0,\"u32\":15,"
                                 "\"u64\":0,\"f64\":1.5,\"text\":\"none\",\"level\":\"info\","
                                 "\"wait\":\"300ms\",\"room\":\"4KiB\","
                                 "\"inner\":{\"name\":\"x\",\"size\":7}}");
    weir_document_free(doc);
    doc = sample_json("{}", &s);
    assert_int_equal(weir_json_encode(&sample_type, &s, &out), 0);
    assert_null(strstr(out.ptr, "inner"));
    weir_document_free(doc);
}

struct sparse {
    bool flag;
    int64_t number;
    double real;
    weir_str text;
    weir_str *list;
    size_t list_count;
    weir_str must;
};

static WEIR_TYPE(sparse_type, struct sparse, WEIR_BOOL(flag, .omit_empty = true),
                 WEIR_I64(number, .omit_empty = true), WEIR_F64(real, .omit_empty = true),
                 WEIR_STR(text, .omit_empty = true),
                 WEIR_ARRAY(list, WEIR_STR_ITEM(), .omit_empty = true), WEIR_STR(must));

static void what_is_empty_is_left_out_when_told(void **state)
{
    struct sparse sparse = { .must = WEIR_S("") };
    weir_str out;

    (void)state;
    assert_int_equal(weir_json_encode(&sparse_type, &sparse, &out), 0);
    assert_string_equal(out.ptr, "{\"must\":\"\"}");
    sparse = (struct sparse){ true, INT64_C(1) << 40, -1, WEIR_S("t"), NULL, 0, WEIR_S("m") };
    assert_int_equal(weir_json_encode(&sparse_type, &sparse, &out), 0);
    assert_string_equal(out.ptr, "{\"flag\":true,\"number\":1099511627776,\"real\":-1.0,"
                                 "\"text\":\"t\",\"must\":\"m\"}");
}

static void what_json_cant_hold_is_an_error(void **state)
{
    struct sparse sparse = { .must = WEIR_S("m") };
    struct sample sample = { .level = 77, .text = WEIR_S("") };
    weir_str out = WEIR_S("untouched");
    char text[256];

    (void)state;
    sparse.real = NAN;
    assert_int_equal(weir_json_encode(&sparse_type, &sparse, &out), -EDOM);
    sparse.real = -INFINITY;
    assert_int_equal(weir_json_encode(&sparse_type, &sparse, &out), -EDOM);
    weir_error_print(text, sizeof text);
    assert_non_null(strstr(text, "`real` is not a finite number"));
    sparse = (struct sparse){ 0 };
    assert_int_equal(weir_json_encode(&sparse_type, &sparse, &out), -ENOMEM);
    assert_int_equal(weir_json_encode(&sample_type, &sample, &out), -EINVAL);
    assert_int_equal(weir_json_encode(&sample_type, &sparse, &out), WEIR_EWRONGUSE);
    type_arena = NULL;
    assert_int_equal(weir_json_encode(&sparse_type, &sparse, &out), WEIR_EWRONGUSE);
    type_arena = the_arena;
    assert_string_equal(out.ptr, "untouched");
}

struct ring {
    struct ring *next;
};

static const weir_type ring_type;
static WEIR_TYPE(ring_type, struct ring, WEIR_OBJECT_PTR(next, &ring_type));

static void a_ring_ends_in_an_error(void **state)
{
    struct ring ring = { &ring }, last = { NULL }, first = { &last };
    weir_str out;

    (void)state;
    assert_int_equal(weir_json_encode(&ring_type, &ring, &out), -ELOOP);
    assert_int_equal(weir_json_encode(&ring_type, &first, &out), 0);
    assert_string_equal(out.ptr, "{\"next\":{}}");
}

static void arrays_of_structs(void **state)
{
    struct sample_inner list[] = { { WEIR_S("a"), 1 }, { WEIR_S("b"), 2 } };
    weir_str out;

    (void)state;
    assert_int_equal(weir_json_encode_array(&sample_inner_type, list, 2, &out), 0);
    assert_string_equal(out.ptr, "[{\"name\":\"a\",\"size\":1},{\"name\":\"b\",\"size\":2}]");
    assert_int_equal(weir_json_encode_array(&sample_inner_type, list, 0, &out), 0);
    assert_string_equal(out.ptr, "[]");
}

static void mixed_values_make_an_object(void **state)
{
    weir_json raw = { WEIR_S("[1, 2]") }, *late = NULL;
    const char *text = "te\"xt", *none = NULL;
    weir_str slice = WEIR_S("slice"), failed = { NULL, 0 }, out;
    unsigned char byte = 255;
    bool flag = true;

    (void)state;
    assert_int_equal(
        weir_json_object(&out, WEIR_KV("raw", &raw), WEIR_KV("late", late), WEIR_KV("text", text),
                         WEIR_KV("none", none), WEIR_KV("literal", "x"), WEIR_KV("slice", slice),
                         WEIR_KV("int", -1), WEIR_KV("u64", UINT64_MAX), WEIR_KV("byte", byte),
                         WEIR_KV("flag", flag), WEIR_KV("f", 0.25f), WEIR_KV("d", 1e100),
                         WEIR_KV("null", NULL), WEIR_KV_STR(slice, weir_value_raw(WEIR_S("{}")))),
        0);
    assert_string_equal(out.ptr,
                        "{\"raw\":[1, 2],\"late\":null,\"text\":\"te\\\"xt\",\"none\":null,"
                        "\"literal\":\"x\",\"slice\":\"slice\",\"int\":-1,"
                        "\"u64\":18446744073709551615,\"byte\":255,\"flag\":true,\"f\":0.25,"
                        "\"d\":1e100,\"null\":null,\"slice\":{}}");
    assert_int_equal(weir_json_object(&out, WEIR_KV("x", failed)), -ENOMEM);
    assert_int_equal(weir_json_object(&out, WEIR_KV("x", HUGE_VAL)), -EDOM);
    assert_int_equal(weir_json_object_of(NULL, 0, &out), 0);
    assert_string_equal(out.ptr, "{}");
}

static weir_str written(double value)
{
    struct arena_sink sink;

    arena_sink_init(&sink, &arena);
    assert_true(json_write_f64(&sink.sink, value));
    return arena_sink_str(&sink);
}

static void doubles_read_back_the_same(void **state)
{
    static const double values[] = { 0.0,
                                     -0.0,
                                     1.0,
                                     0.1,
                                     1e21,
                                     1e-7,
                                     5e-324,
                                     1.7976931348623157e308,
                                     9007199254740993.0,
                                     1.0 / 3,
                                     123456789012345680.0,
                                     2.2250738585072014e-308 };
    struct random random;

    (void)state;
    random_begin(&random);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        double back = strtod(written(values[i]).ptr, NULL);

        assert_memory_equal(&back, &values[i], sizeof back);
    }
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = random_next(&random);
        double value, back;

        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value))
            continue;
        back = strtod(written(value).ptr, NULL);
        assert_memory_equal(&back, &value, sizeof back);
    }
}

static void integers_are_written_as_printf_does(void **state)
{
    struct random random;

    (void)state;
    random_begin(&random);
    for (int i = 0; i < 20000; i++) {
        uint64_t value = random_next(&random) >> (random_next(&random) % 64);
        struct arena_sink sink;
        char expected[64];

        arena_sink_init(&sink, &arena);
        json_write_u64(&sink.sink, value);
        sink_add_char(&sink.sink, ' ');
        json_write_i64(&sink.sink, (int64_t)value);
        sink_add_char(&sink.sink, ' ');
        json_write_i64(&sink.sink, (int64_t)(0 - value));
        snprintf(expected, sizeof expected, "%" PRIu64 " %" PRId64 " %" PRId64, value,
                 (int64_t)value, (int64_t)(0 - value));
        assert_string_equal(arena_sink_str(&sink).ptr, expected);
    }
}

static weir_str escaped(weir_str text)
{
    struct arena_sink sink;

    arena_sink_init(&sink, &arena);
    json_write_str(&sink.sink, text);
    return arena_sink_str(&sink);
}

static void strings_are_escaped_and_mended(void **state)
{
    static const struct {
        weir_str in;
        const char *out;
    } cases[] = {
        { { "", 0 }, "\"\"" },
        { { "plain text of some length", 25 }, "\"plain text of some length\"" },
        { { "\"\\/", 3 }, "\"\\\"\\\\/\"" },
        { { "\b\f\n\r\t", 5 }, "\"\\b\\f\\n\\r\\t\"" },
        { { "\0\x01\x1f\x7f", 4 }, "\"\\u0000\\u0001\\u001f\x7f\"" },
        { { "é€😀", 9 }, "\"é€😀\"" },
        { { "a\xff"
            "b",
            3 },
          "\"a\xef\xbf\xbd"
          "b\"" },
        { { "\xc0\x80", 2 }, "\"\xef\xbf\xbd\xef\xbf\xbd\"" },             /* overlong */
        { { "\xed\xa0\x80", 3 }, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" }, /* surrogate */
        { { "\xf4\x90\x80\x80", 4 },
          "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" }, /* above U+10FFFF */
        { { "12345678\xe2\x82", 10 }, "\"12345678\xef\xbf\xbd\xef\xbf\xbd\"" }, /* cut off */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(escaped(cases[i].in).ptr, cases[i].out);
}

/* A byte that needs care is found at every place of a longer text. */
static void care_is_taken_at_every_place(void **state)
{
    (void)state;
    for (size_t len = 1; len < 40; len++) {
        for (size_t at = 0; at < len; at++) {
            static const char special[] = { '"', '\\', '\n', '\x1f', '\xff' };

            for (size_t c = 0; c < sizeof special; c++) {
                char text[40];
                weir_json_flaw flaw = { 0 };
                weir_str out;

                memset(text, 'a', len);
                text[at] = special[c];
                out = escaped(weir_str_from(text, len));
                assert_int_equal(weir_json_check(out, &flaw), 0);
                assert_true(out.len > len + 2);
            }
        }
    }
}

/* A sink of many small pieces: what a chain of buffers is. */
struct pieces {
    struct sink sink;
    char piece[SINK_ROOM_MAX], *begin, all[65536];
    size_t len;
};

static bool next_piece(struct sink *sink, size_t bytes)
{
    struct pieces *p = (struct pieces *)sink;

    if (p->begin) {
        memcpy(p->all + p->len, p->begin, (size_t)(sink->at - p->begin));
        p->len += (size_t)(sink->at - p->begin);
    }
    p->begin = sink->at = p->piece;
    sink->end = p->piece + bytes;
    return true;
}

static void a_sink_may_be_a_chain_of_pieces(void **state)
{
    static struct pieces p = { .sink = { .more = next_piece } };
    static char text[3000];
    struct sample_inner inner = { weir_str_from(text, sizeof text), 12345 };
    weir_str whole;

    (void)state;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i % 128);
    assert_int_equal(weir_json_encode(&sample_inner_type, &inner, &whole), 0);
    assert_int_equal(json_encode(&p.sink, &sample_inner_type, &inner, sizeof inner), 0);
    assert_true(next_piece(&p.sink, 1));
    assert_int_equal(p.len, whole.len);
    assert_memory_equal(p.all, whole.ptr, whole.len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_decoded_is_written_back, begin, finish),
        cmocka_unit_test_setup_teardown(what_is_absent_is_left_out, begin, finish),
        cmocka_unit_test_setup_teardown(what_is_empty_is_left_out_when_told, begin, finish),
        cmocka_unit_test_setup_teardown(what_json_cant_hold_is_an_error, begin, finish),
        cmocka_unit_test_setup_teardown(a_ring_ends_in_an_error, begin, finish),
        cmocka_unit_test_setup_teardown(arrays_of_structs, begin, finish),
        cmocka_unit_test_setup_teardown(mixed_values_make_an_object, begin, finish),
        cmocka_unit_test_setup_teardown(doubles_read_back_the_same, begin, finish),
        cmocka_unit_test_setup_teardown(integers_are_written_as_printf_does, begin, finish),
        cmocka_unit_test_setup_teardown(strings_are_escaped_and_mended, begin, finish),
        cmocka_unit_test_setup_teardown(care_is_taken_at_every_place, begin, finish),
        cmocka_unit_test_setup_teardown(a_sink_may_be_a_chain_of_pieces, begin, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
