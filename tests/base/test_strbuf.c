/* The growing text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/strbuf.h"
#include "support/fault.h"

static void assert_text(struct strbuf *sb, const char *want)
{
    weir_str s = strbuf_str(sb);

    assert_non_null(s.ptr);
    assert_string_equal(s.ptr, want);
    assert_int_equal(s.len, strlen(want));
}

static void pieces_add_up(void **state)
{
    struct strbuf sb = STRBUF_INIT;

    (void)state;
    assert_text(&sb, "");
    strbuf_add(&sb, WEIR_S("one"));
    strbuf_add_char(&sb, ' ');
    strbuf_add_c(&sb, "two");
    strbuf_add_c(&sb, NULL);
    strbuf_addf(&sb, " %d", 3);
    assert_text(&sb, "one two 3");
    strbuf_clear(&sb);
    assert_text(&sb, "");
    strbuf_addf(&sb, "%s", "again");
    assert_text(&sb, "again");
    strbuf_done(&sb);
    strbuf_done(&sb);
    strbuf_done(NULL);
}

static void grows_at_every_length(void **state)
{
    static char want[2001];

    (void)state;
    memset(want, 'x', sizeof want - 1);
    for (int len = 0; len <= 2000; len++) {
        struct strbuf sb = STRBUF_INIT;

        strbuf_addf(&sb, "%.*s", len, want);
        assert_int_equal(strbuf_str(&sb).len, len);
        strbuf_addf(&sb, "%.*s", len, want);
        strbuf_add(&sb, weir_str_from(want, (size_t)len));
        assert_int_equal(strbuf_str(&sb).len, 3 * len);
        assert_int_equal(strlen(strbuf_str(&sb).ptr), 3 * len);
        strbuf_done(&sb);
    }
}

static void taking_hands_the_memory_over(void **state)
{
    struct strbuf sb = STRBUF_INIT;
    char *text;

    (void)state;
    strbuf_add_c(&sb, "mine");
    text = strbuf_take(&sb);
    assert_string_equal(text, "mine");
    assert_text(&sb, "");
    base_free(text);
    text = strbuf_take(&sb);
    assert_string_equal(text, "");
    base_free(text);
}

static void a_failure_lasts_until_the_end(void **state)
{
    struct strbuf sb = STRBUF_INIT;
    struct fault fault;

    (void)state;
    strbuf_add_c(&sb, "kept");
    fault_begin(&fault);
    fault_set(&fault, 1, false);
    strbuf_addf(&sb, "%0200d", 1);
    strbuf_add_c(&sb, "more");
    fault_end(&fault);
    assert_int_equal(fault.refused, 1);
    assert_true(sb.bad);
    assert_null(strbuf_str(&sb).ptr);
    strbuf_clear(&sb);
    strbuf_add_c(&sb, "new");
    assert_text(&sb, "new");
    sb.bad = true;
    assert_null(strbuf_take(&sb));
    assert_text(&sb, "");
    strbuf_add(&sb, weir_str_from("", SIZE_MAX));
    assert_true(sb.bad);
    strbuf_done(&sb);
}

static void json_strings(void **state)
{
    static const struct {
        weir_str in;
        const char *want;
    } rows[] = {
        { WEIR_S(""), "\"\"" },
        { WEIR_S("plain"), "\"plain\"" },
        { WEIR_S("a\"b\\c/d"), "\"a\\\"b\\\\c/d\"" },
        { WEIR_S("\b\t\n\f\r"), "\"\\b\\t\\n\\f\\r\"" },
        { { "\0\x1f\x7f", 3 }, "\"\\u0000\\u001f\x7f\"" },
        { WEIR_S("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"),
          "\"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80\"" },
        { WEIR_S("x\xffy"), "\"x\xef\xbf\xbdy\"" },
        { WEIR_S("\x80"), "\"\xef\xbf\xbd\"" },
        { WEIR_S("\xe2\x82"), "\"\xef\xbf\xbd\"" },        /* cut short */
        { WEIR_S("\xe2\x82x"), "\"\xef\xbf\xbdx\"" },
        { WEIR_S("\xf0\x9f\x98\""), "\"\xef\xbf\xbd\\\"\"" },
        { WEIR_S("\xc0\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\"" },             /* overlong */
        { WEIR_S("\xe0\x9f\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
        { WEIR_S("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" }, /* surrogate */
        { WEIR_S("\xf0\x8f\xbf\xbf"),
          "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" }, /* overlong */
        { WEIR_S("\xf4\x90\x80\x80"),
          "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" }, /* above U+10FFFF */
        { WEIR_S("\xf4\x8f\xbf\xbf\xed\x9f\xbf"), "\"\xf4\x8f\xbf\xbf\xed\x9f\xbf\"" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct strbuf sb = STRBUF_INIT;

        strbuf_add_json(&sb, rows[i].in);
        assert_text(&sb, rows[i].want);
        strbuf_done(&sb);
    }
}

static int build_text(void *arg)
{
    struct strbuf sb = STRBUF_INIT;
    int rc = 0;
    char *text;

    (void)arg;
    for (int i = 0; i < 50; i++) {
        strbuf_addf(&sb, "%d: ", i);
        strbuf_add_json(&sb, WEIR_S("a \"text\"\n"));
        strbuf_add_char(&sb, '\n');
    }
    text = strbuf_take(&sb);
    if (!text)
        rc = -ENOMEM;
    else
        assert_string_equal(text + strlen(text) - 3, "n\"\n");
    base_free(text);
    strbuf_done(&sb);
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(fault_sweep(build_text, NULL) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_add_up),
        cmocka_unit_test(grows_at_every_length),
        cmocka_unit_test(taking_hands_the_memory_over),
        cmocka_unit_test(a_failure_lasts_until_the_end),
        cmocka_unit_test(json_strings),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
