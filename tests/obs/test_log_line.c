/* The two forms of a line, byte for byte, and against hostile text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include <weir/error.h>

#include "../support/random.h"
#include "obs/log_line.h"

static const struct log_style text_style, json_style = { .json = true };
static struct log_work work;

/* 2026-01-31T12:00:03.114Z */
#define NOON INT64_C(1769860803114000000)

static const weir_context context = {
    .correlation_id = { "01JD", 4 },
    .trace_id = { "7f3a0000000000000000000000000001", 32 },
    .span_id = { "00f067aa0ba902b7", 16 },
};

static const char *line(struct log_style style, struct log_event e)
{
    static char text[LOG_LINE_BYTES + 1];
    size_t n;

    if (!e.wall_ns)
        e.wall_ns = NOON;
    n = log_line(&work, style, &e);
    assert_in_range(n, 1, LOG_LINE_BYTES);
    memcpy(text, work.line, n);
    text[n] = '\0';
    assert_int_equal(text[n - 1], '\n');
    assert_ptr_equal(strchr(text, '\n'), text + n - 1); /* one line is one line */
    return text;
}

/* Strict: yyjson takes RFC 8259 only. */
static yyjson_doc *parse(const char *text)
{
    yyjson_doc *doc = yyjson_read(text, strlen(text), 0);
    yyjson_val *key;
    yyjson_obj_iter at, other;

    assert_non_null(doc);
    at = yyjson_obj_iter_with(yyjson_doc_get_root(doc));
    while ((key = yyjson_obj_iter_next(&at))) { /* no name stands twice */
        other = at;
        for (yyjson_val *k; (k = yyjson_obj_iter_next(&other));)
            assert_string_not_equal(yyjson_get_str(key), yyjson_get_str(k));
    }
    return doc;
}

static const char *member(yyjson_doc *doc, const char *name)
{
    return yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), name));
}

static void test_text(void **state)
{
    weir_log_field fields[] = { WEIR_FIELD("key", "a b"),       WEIR_FIELD("bytes", 17u),
                                WEIR_FIELD("ratio", 0.25),      WEIR_FIELD("left", -3),
                                WEIR_FIELD("on", (bool)true),   WEIR_FIELD("host", WEIR_S("h")),
                                WEIR_FIELD("empty", WEIR_S("")) };

    (void)state;
    assert_string_equal(
        line(text_style, (struct log_event){ .level = WEIR_LOG_INFO, .message = WEIR_S("ready") }),
        "12:00:03.114 INFO  ready\n");
    assert_string_equal(
        line(text_style, (struct log_event){ .level = WEIR_LOG_WARN,
                                             .message = WEIR_S("refused"),
                                             .context = &context,
                                             .task = "GET /x",
                                             .fields = fields,
                                             .field_count = 7 }),
        "12:00:03.114 WARN  refused  id 01JD  trace 7f3a0000000000000000000000000001"
        "  task GET /x  key \"a b\"  bytes 17  ratio 0.25  left -3  on true  host h"
        "  empty \"\"\n");
}

static void test_colour_is_only_round_the_level(void **state)
{
    struct log_style style = { .colour = true };

    (void)state;
    assert_string_equal(
        line(style, (struct log_event){ .level = WEIR_LOG_ERROR, .message = WEIR_S("x") }),
        "12:00:03.114 \x1b[31mERROR\x1b[0m x\n");
}

static void test_json(void **state)
{
    weir_log_field fields[] = { WEIR_FIELD("n", -9223372036854775807LL - 1),
                                WEIR_FIELD("u", 18446744073709551615ULL),
                                WEIR_FIELD("d", 0.1),
                                WEIR_FIELD("nan", (double)NAN),
                                WEIR_FIELD("none", (const char *)NULL),
                                WEIR_FIELD("level", "mine") };

    (void)state;
    assert_string_equal(
        line(json_style, (struct log_event){ .level = WEIR_LOG_INFO,
                                             .message = WEIR_S("say \"hi\"\n"),
                                             .context = &context,
                                             .task = "pump",
                                             .fields = fields,
                                             .field_count = 6 }),
        "{\"time\":\"2026-01-31T12:00:03.114Z\",\"level\":\"info\",\"message\":\"say \\\"hi\\\"\\n\","
        "\"correlation_id\":\"01JD\",\"trace_id\":\"7f3a0000000000000000000000000001\","
        "\"span_id\":\"00f067aa0ba902b7\",\"task\":\"pump\",\"n\":-9223372036854775808,"
        "\"u\":18446744073709551615,\"d\":0.1,\"nan\":null,\"none\":null,\"level_\":\"mine\"}\n");
}

static void test_failures(void **state)
{
    struct log_event e = { .level = WEIR_LOG_ERROR,
                           .message = WEIR_S("no go"),
                           .code = -ECONNRESET };
    char want[256];
    const char *site;

    (void)state;
    weir_recover();
    snprintf(want, sizeof want, "12:00:03.114 ERROR no go  %s (ECONNRESET)\n",
             weir_error_text(-ECONNRESET));
    assert_string_equal(line(text_style, e), want);

    weir_fail(-ECONNRESET, "http://users/7: reset");
    weir_wrap(-ECONNRESET, "profile of 7");
    e.chain = chain_current();
    site = e.chain->links[0].site;
    snprintf(want, sizeof want,
             "12:00:03.114 ERROR no go  profile of 7: http://users/7: reset (%s)\n", site);
    assert_string_equal(line(text_style, e), want);
    snprintf(
        want, sizeof want,
        "{\"time\":\"2026-01-31T12:00:03.114Z\",\"level\":\"error\",\"message\":\"no go\","
        "\"error.type\":\"ECONNRESET\",\"error.message\":\"profile of 7: http://users/7: reset\","
        "\"error.site\":\"%s\"}\n",
        site);
    assert_string_equal(line(json_style, e), want);
    weir_recover();
}

static void test_dates(void **state)
{
    static const struct {
        int64_t second;
        const char *text;
    } dates[] = { { 0, "1970-01-01T00:00:00" },          { 951782399, "2000-02-28T23:59:59" },
                  { 951782400, "2000-02-29T00:00:00" },  { 951868800, "2000-03-01T00:00:00" },
                  { 1735689599, "2024-12-31T23:59:59" }, { 4107542400, "2100-03-01T00:00:00" },
                  { -1, "1969-12-31T23:59:59" } };

    (void)state;
    for (size_t i = 0; i < sizeof dates / sizeof dates[0]; i++) {
        struct log_event e = { .level = WEIR_LOG_INFO,
                               .wall_ns = dates[i].second * 1000000000 + 7000000 };
        char want[64];

        snprintf(want, sizeof want, "{\"time\":\"%s.007Z\"", dates[i].text);
        assert_memory_equal(line(json_style, e), want, strlen(want));
    }
}

/* Line feeds, escapes, C1 controls and broken UTF-8 reach neither terminal nor parser. */
static void test_hostile_text(void **state)
{
    struct log_event e = { .level = WEIR_LOG_INFO,
                           .message = WEIR_S(
                               "a\nERROR fake\r\x1b[2J\x7f\t\0z \xc2\x9b[31m \xff \xed"
                               "\xa0\x80 é") };
    yyjson_doc *doc;

    (void)state;
    assert_string_equal(line(text_style, e),
                        "12:00:03.114 INFO  a\\nERROR fake\\r\\u001b[2J\\u007f\\t\\u0000z "
                        "\xef\xbf\xbd[31m \xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd é\n");
    doc = parse(line(json_style, e));
    assert_memory_equal(member(doc, "message"), "a\nERROR fake\r\x1b[2J\x7f\t\0z ", 22);
    yyjson_doc_free(doc);
}

static void test_long_texts_are_cut(void **state)
{
    static char big[4000];
    weir_log_field f = weir_field_str("big", weir_str_from(big, sizeof big));
    struct log_event e = { .level = WEIR_LOG_INFO,
                           .message = weir_str_from(big, sizeof big),
                           .fields = &f,
                           .field_count = 1 };
    yyjson_doc *doc;

    (void)state;
    for (size_t i = 0; i + 1 < sizeof big; i += 2)
        memcpy(big + i, "é", 2);
    doc = parse(line(json_style, e));
    assert_true(yyjson_get_bool(yyjson_obj_get(yyjson_doc_get_root(doc), "truncated")));
    assert_int_equal(strlen(member(doc, "message")), LOG_MESSAGE_BYTES + 3);
    assert_int_equal(strlen(member(doc, "big")), LOG_VALUE_BYTES + 3);
    yyjson_doc_free(doc);
    assert_non_null(strstr(line(text_style, e), "…  big "));
}

/* Whatever is in an event, and however long it is, JSON is JSON. */
static void test_random_events(void **state)
{
    static const char *const names[] = { "a", "time", "message", "b\"c", "trace_id" };
    static char bytes[2600];
    struct random random;

    (void)state;
    random_begin(&random);
    for (int run = 0; run < 4000; run++) {
        weir_log_field fields[LOG_FIELDS + 4];
        struct log_event e = { .level = WEIR_LOG_WARN,
                               .context = &context,
                               .task = "t",
                               .fields = fields,
                               .field_count = random_below(&random, LOG_FIELDS + 4) };
        bool ascii = random_below(&random, 2);
        yyjson_doc *doc;
        char name[LOG_FIELDS + 4][40];

        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (char)(ascii ? 'a' + random_below(&random, 26) : random_below(&random, 256));
        e.message = weir_str_from(bytes, random_below(&random, sizeof bytes));
        for (size_t i = 0; i < e.field_count; i++) {
            snprintf(name[i], sizeof name[i], "%zu%s", i, names[random_below(&random, 5)]);
            fields[i] = random_below(&random, 4)
                            ? weir_field_str(name[i],
                                             weir_str_from(bytes, random_below(&random, 1300)))
                            : weir_field_i64(name[i], (int64_t)random_next(&random));
        }
        doc = parse(line(json_style, e));
        assert_string_equal(member(doc, "level"), "warn");
        yyjson_doc_free(doc);
        line(text_style, e);
    }
}

/* At each place where the line can be full, it ends well. */
static void test_every_length(void **state)
{
    static char bytes[2000];
    weir_log_field fields[LOG_FIELDS];
    struct log_event e = { .level = WEIR_LOG_INFO, .fields = fields, .field_count = LOG_FIELDS };

    (void)state;
    memset(bytes, '\n', sizeof bytes);
    for (size_t len = 0; len < 2000; len++) {
        yyjson_doc *doc;
        char name[LOG_FIELDS][8];

        e.message = weir_str_from(bytes, len);
        for (size_t i = 0; i < LOG_FIELDS; i++) {
            snprintf(name[i], sizeof name[i], "f%zu", i);
            fields[i] = i % 3 ? weir_field_i64(name[i], 12345)
                              : weir_field_str(name[i], weir_str_from(bytes, 512));
        }
        doc = parse(line(json_style, e));
        yyjson_doc_free(doc);
        line(text_style, e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),          cmocka_unit_test(test_colour_is_only_round_the_level),
        cmocka_unit_test(test_json),          cmocka_unit_test(test_failures),
        cmocka_unit_test(test_dates),         cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_random_events), cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_every_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
