/* The grammar of RFC 8259 case by case: what every reader must take, what none may,
 * and what the RFC leaves open, with what is decided here. Bytes that are not UTF-8
 * stand at each place where a reader might pass over them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <weir/error.h>
#include <weir/json.h>

struct text {
    const char *ptr;
    size_t len;
};

#define T(literal) { literal, sizeof(literal) - 1 }

/* A copy of its exact size: a sanitizer sees what is read behind it. */
static int check(const struct text *text)
{
    char *copy = malloc(text->len ? text->len : 1);
    int rc;

    assert_non_null(copy);
    memcpy(copy, text->ptr, text->len);
    rc = weir_json_check(weir_str_from(copy, text->len), NULL);
    free(copy);
    weir_recover();
    return rc;
}

static void all_are(const struct text *texts, size_t count, int wanted)
{
    for (size_t i = 0; i < count; i++)
        if (check(&texts[i]) != wanted)
            fail_msg("number %zu is %s: %.*s", i, wanted ? "taken" : "refused", (int)texts[i].len,
                     texts[i].ptr);
}

#define ALL_ARE(texts, wanted) all_are(texts, sizeof(texts) / sizeof(*(texts)), wanted)

static const struct text values[] = {
    T("false"),
    T("true"),
    T("null"),
    T("7"),
    T("-7"),
    T("\"\""),
    T("[]"),
    T("{}"),
    T("[[[]]]"),
    T("{\"\":{\"\":[]}}"),
    T("[null,1,\"1\",{}]"),
    T("[[],[[]],{}]"),
    /* white space: these four alone, at these places (section 2) */
    T(" \t\r\n1 \t\r\n"),
    T("[ 1 , 2 ]"),
    T("{ \"a\" : 1 , \"b\" : 2 }"),
    T("[\n]"),
    T("{\r}"),
    /* numbers (section 6) */
    T("[0,-0,0.0,-0.0]"),
    T("[1e0,1E0,1e+0,1e-0,1E+10,1E-10]"),
    T("[0e1,0e+1,0.5e-1]"),
    T("[10.01,1234567890]"),
    T("1.00000000000000000000000000000000000001"),
    /* strings (section 7) */
    T("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
    T("\"\\u0041\\u00e9\\u20AC\""),
    T("\"\\u0000\\u001f\""),
    T("\"\\uD834\\uDD1E\""),
    T("\"/'#&\""),
    T("\"a\x7f\""),
    T("\"\xc2\xa0\xe2\x80\xa8\xe2\x80\xa9\""),
    T("\"\xf0\x9d\x84\x9e\""),
    T("\"\xef\xbb\xbf\""),
    T("\"\xef\xbf\xbf\""),
    T("\"\\\\u0000\""),
    T("{\"\\u0000\":0}"),
    T("{\"a\":{\"a\":{\"a\":1}}}"),
    T("{\"a\\\"\":\"\\\\\"}"),
};

static const struct text no_values[] = {
    /* nothing, too much, and what is of other languages */
    T(""),
    T("  "),
    T("1 2"),
    T("[]]"),
    T("{}}"),
    T("[],"),
    T("{}[]"),
    T("nul"),
    T("nulll"),
    T("TRUE"),
    T("undefined"),
    T("[True]"),
    T("[None]"),
    T("a"),
    T("*"),
    T("#1"),
    T("/**/1"),
    T("1//"),
    T("[1]/* */"),
    T("\\u0031"),
    T("(1)"),
    T("<1>"),
    T("'1'"),
    T("`1`"),
    T("$"),
    /* arrays */
    T("["),
    T("[1"),
    T("[1,"),
    T("[,"),
    T("[,]"),
    T("[,1]"),
    T("[1,,2]"),
    T("[1,]"),
    T("[1 true]"),
    T("[1:2]"),
    T("[1;2]"),
    T("[1}"),
    T("[{}"),
    T("[\"\""),
    T("[x"),
    T("[\"a\",\n4\n,1,"),
    /* objects */
    T("{"),
    T("{\""),
    T("{\"a\""),
    T("{\"a\":"),
    T("{\"a\":1"),
    T("{\"a\":1,"),
    T("{\"a\":1,}"),
    T("{,}"),
    T("{:1}"),
    T("{\"a\":}"),
    T("{\"a\":1,,\"b\":2}"),
    T("{\"a\" 1}"),
    T("{\"a\",1}"),
    T("{\"a\"::1}"),
    T("{\"a\"=1}"),
    T("{a:1}"),
    T("{'a':1}"),
    T("{1:1}"),
    T("{null:1}"),
    T("{[]:1}"),
    T("{\"a\":1 \"b\":2}"),
    T("{\"a\":1]"),
    T("{\"a\":1}#"),
    T("{\"a\":1}//"),
    T("{\"a\":\"b\",/*c*/\"d\":1}"),
    T("{\"a\"}"),
    T("{...}"),
    T("{[\"x\"]}"),
    T("{\"a\":[1}}"),
    /* numbers */
    T("00"),
    T("-01"),
    T("01.5"),
    T("+1"),
    T("++1"),
    T("--1"),
    T("-"),
    T("- 1"),
    T("."),
    T("1."),
    T("-1."),
    T(".1"),
    T("-.1"),
    T("1.e1"),
    T("1.2.3"),
    T("e1"),
    T("1e"),
    T("1e+"),
    T("1E-"),
    T("1e1.5"),
    T("1ee1"),
    T("1e+-1"),
    T("0x1"),
    T("0b1"),
    T("0o1"),
    T("1_000"),
    T("1 000"),
    T("1,000"),
    T("1f"),
    T("1.0d"),
    T("1n"),
    T("Inf"),
    T("-Infinity"),
    T("NaN"),
    T("-NaN"),
    T("1a"),
    T("-a"),
    T("[-]"),
    T("[1.]"),
    T("[1+2]"),
    T("\xef\xbc\x91"),
    /* strings */
    T("\""),
    T("\"\\"),
    T("\"\\\""),
    T("\"a"),
    T("\"\\a\""),
    T("\"\\v\""),
    T("\"\\0\""),
    T("\"\\'\""),
    T("\"\\x41\""),
    T("\"\\U0041\""),
    T("\"\\u\""),
    T("\"\\u004\""),
    T("\"\\u00G0\""),
    T("\"\\u 041\""),
    T("\"\\u{41}\""),
    T("\"\\\xc3\xa9\""),
    T("\"\\\n\""),
    T("\"a\nb\""),
    T("\"\t\""),
    T("\"\x1f\""),
    T("\"\0\""),
    T("\"a\" \"b\""),
    T("\"\"\"a\"\"\""),
    T("\xe2\x80\x9c\xe2\x80\x9d"),
    /* white space that is none here, and bytes beside the text */
    T("\f1"),
    T("\v1"),
    T("[\f]"),
    T("\xc2\xa0"
      "1"),
    T("[\xe2\x81\xa0]"),
    T("1\0"),
    T("\0[]"),
    T("[\0]"),
    T("[]\x1a"),
};

/* Bytes that are not UTF-8 (RFC 3629, section 3), wherever they stand. */
static const struct text no_utf8[] = {
    T("\x80"),
    T("\xbf"),
    T("\xc0\x80"),
    T("\xc1\xbf"),
    T("\xc3"),
    T("\xc3("),
    T("\xe2\x82"),
    T("\xe2\x28\xa1"),
    T("\xe0\x80\xaf"),
    T("\xe0\x9f\xbf"),
    T("\xed\xa0\x80"),
    T("\xed\xbf\xbf"),
    T("\xf0\x9d\x84"),
    T("\xf0\x8f\xbf\xbf"),
    T("\xf0\x28\x8c\xbc"),
    T("\xf4\x90\x80\x80"),
    T("\xf5\x80\x80\x80"),
    T("\xf8\x88\x80\x80\x80"),
    T("\xfc\x84\x80\x80\x80\x80"),
    T("\xfe"),
    T("\xff"),
    T("\xe9"),
    T("\xc3\xc3\xa9"),
};

static const char *const places[][2] = {
    { "\"", "\"" },
    { "\"a", "b\"" },
    { "[\"", "\"]" },
    { "{\"", "\":1}" },
    { "{\"a\":\"", "\"}" },
    { "\"\\", "\"" },
    { "\"\\u", "0041\"" },
    { "[1", "]" },
    { "[1e1", "]" },
    { "[0", "]" },
    { "[-", "]" },
    { "[", "]" },
    { "", "1" },
    { "1", "" },
    { "[1,", "]" },
    { "{\"a\":", "}" },
    { "tru", "e" },
};

static void what_every_reader_must_take(void **state)
{
    (void)state;
    ALL_ARE(values, 0);
}

static void what_none_may_take(void **state)
{
    (void)state;
    ALL_ARE(no_values, WEIR_EJSON);
}

static void bytes_that_are_not_utf8(void **state)
{
    char bytes[64];

    (void)state;
    for (size_t i = 0; i < sizeof(no_utf8) / sizeof(*no_utf8); i++)
        for (size_t j = 0; j < sizeof(places) / sizeof(*places); j++) {
            size_t before = strlen(places[j][0]), after = strlen(places[j][1]);
            struct text text = { bytes, before + no_utf8[i].len + after };

            memcpy(bytes, places[j][0], before);
            memcpy(bytes + before, no_utf8[i].ptr, no_utf8[i].len);
            memcpy(bytes + before + no_utf8[i].len, places[j][1], after);
            all_are(&text, 1, WEIR_EJSON);
        }
}

/* Numbers have no largest one (section 6): who decodes them says what fits. */
static void what_the_rfc_leaves_open_and_is_taken(void **state)
{
    static const struct text texts[] = {
        T("1e9999"),
        T("-1e9999"),
        T("1e-9999"),
        T("123456789012345678901234567890"),
        T("-123456789012345678901234567890"),
        T("0.4e006699999999999999999999999"),
        /* twins (section 4), and what Unicode has for no character */
        T("{\"a\":1,\"a\":1}"),
        T("\"\\uFDD0\\uFFFE\\uFFFF\""),
        T("\"\xef\xb7\x90\""),
        T("\"\\uDBFF\\uDFFE\""),
    };

    (void)state;
    ALL_ARE(texts, 0);
}

/* A mark of byte order (section 8.1), other encodings, halves of a pair (section 8.2). */
static void what_the_rfc_leaves_open_and_is_refused(void **state)
{
    static const struct text texts[] = {
        T("\xef\xbb\xbf[]"),  T("\xef\xbb\xbf"), T("\xff\xfe[\0]\0"),     T("\0[\0]"),
        T("[\0]\0"),          T("\"\\uD800\""),  T("\"\\uDC00\""),        T("\"\\uD800\\uD800\""),
        T("\"\\uD800\\n\""),  T("\"\\uD800a\""), T("\"\\uDd1e\\uD834\""), T("\"\\uD800\\u0041\""),
        T("{\"\\uD800\":1}"),
    };

    (void)state;
    ALL_ARE(texts, WEIR_EJSON);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_every_reader_must_take),
        cmocka_unit_test(what_none_may_take),
        cmocka_unit_test(bytes_that_are_not_utf8),
        cmocka_unit_test(what_the_rfc_leaves_open_and_is_taken),
        cmocka_unit_test(what_the_rfc_leaves_open_and_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
