/* What is written, what is refused, and that every span is enough or none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "http/h1_head.h"
#include "http/h1_write.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char response[] = "HTTP/1.1 200 OK\r\n"
                               "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                               "Content-Length: 18446744073709551615\r\n"
                               "Content-Type: text/plain\r\n"
                               "X-Empty: \r\n"
                               "\r\n"
                               "1a\r\n";

static int write_response(struct h1_out *out)
{
    struct http_date date = { 0 };

    (void)h1_write_status_line(out, 200, weir_str_from(NULL, 0));
    (void)h1_write_date(out, &date, 784111777);
    (void)h1_write_number(out, HTTP_CONTENT_LENGTH, UINT64_MAX);
    (void)h1_write_known(out, HTTP_CONTENT_TYPE, WEIR_S(" \ttext/plain \t"));
    (void)h1_write_field(out, WEIR_S("X-Empty"), WEIR_S(""));
    (void)h1_write_bytes(out, WEIR_S("\r\n"));
    return h1_write_chunk_head(out, 26);
}

/* The span is exactly as large as is said, so that a sanitizer sees one byte
 * too many. */
static void a_message_fits_or_says_that_it_does_not(void **state)
{
    size_t whole = sizeof response - 1;

    (void)state;
    for (size_t room = 0; room <= whole; room++) {
        char *span = malloc(room ? room : 1);
        struct h1_out out;

        assert_non_null(span);
        h1_out_init(&out, span, room);
        assert_int_equal(write_response(&out), room == whole ? 0 : -ENOSPC);
        assert_true(out.len <= room);
        assert_memory_equal(span, response, out.len);
        if (room < whole && out.len)
            assert_int_equal(span[out.len - 1], '\n');
        free(span);
    }
}

static void failures_stick_and_write_nothing(void **state)
{
    char span[200];
    struct h1_out out;

    (void)state;
    h1_out_init(&out, span, sizeof span);
    assert_int_equal(h1_write_status_line(&out, 404, weir_str_from(NULL, 0)), 0);
    assert_true(weir_str_eq(h1_out_str(&out), WEIR_S("HTTP/1.1 404 Not Found\r\n")));
    assert_int_equal(h1_write_field(&out, WEIR_S("X"), WEIR_S("a\r\nSet-Cookie: b")), -EINVAL);
    assert_int_equal(h1_write_field(&out, WEIR_S("X"), WEIR_S("a")), -EINVAL);
    assert_int_equal(h1_out_end(&out), -EINVAL);
    assert_int_equal(out.len, 24);
}

static void what_could_split_a_message_is_refused(void **state)
{
    static const weir_str values[] = { { "\r", 1 },   { "\n", 1 },    { "a\0b", 3 },
                                       { "\x7f", 1 }, { "a\x0b", 2 }, { " \r\n ", 4 },
                                       { "\x1b", 1 } };
    static const weir_str names[] = { { "", 0 },    { "X:", 2 },   { "X ", 2 },  { "X\r\nY", 4 },
                                      { "X\0", 2 }, { "\xe4", 1 }, { "a(b)", 4 } };
    static const weir_str targets[] = { { "", 0 },    { "/a b", 4 },  { "/\r\n", 3 }, { "/\0", 2 },
                                        { "/\t", 2 }, { "/\xe4", 2 }, { "/\x7f", 2 } };
    static const weir_str methods[] = { { "", 0 }, { "GET ", 4 }, { "G\r\n", 3 }, { "G\0", 2 } };
    char span[100];
    struct h1_out out;

    (void)state;
    for (size_t i = 0; i < COUNT(values); i++) {
        h1_out_init(&out, span, sizeof span);
        assert_int_equal(h1_write_field(&out, WEIR_S("X"), values[i]), -EINVAL);
        h1_out_init(&out, span, sizeof span);
        assert_int_equal(h1_write_known(&out, HTTP_LOCATION, values[i]), -EINVAL);
        h1_out_init(&out, span, sizeof span);
        assert_int_equal(h1_write_status_line(&out, 200, values[i]), -EINVAL);
    }
    for (size_t i = 0; i < COUNT(names); i++) {
        h1_out_init(&out, span, sizeof span);
        assert_int_equal(h1_write_field(&out, names[i], WEIR_S("a")), -EINVAL);
    }
    for (size_t i = 0; i < COUNT(targets); i++) {
        h1_out_init(&out, span, sizeof span);
        assert_int_equal(h1_write_request_line(&out, WEIR_S("GET"), targets[i]), -EINVAL);
    }
    for (size_t i = 0; i < COUNT(methods); i++) {
        h1_out_init(&out, span, sizeof span);
        assert_int_equal(h1_write_request_line(&out, methods[i], WEIR_S("/")), -EINVAL);
    }
    h1_out_init(&out, span, sizeof span);
    assert_int_equal(h1_write_status_line(&out, 99, WEIR_S("")), -EINVAL);
    h1_out_init(&out, span, sizeof span);
    assert_int_equal(h1_write_status_line(&out, 600, WEIR_S("")), -EINVAL);
    h1_out_init(&out, span, sizeof span);
    assert_int_equal(h1_write_chunk_head(&out, 0), -EINVAL);
    h1_out_init(&out, span, sizeof span);
    assert_int_equal(h1_write_known(&out, HTTP_FIELD_OTHER, WEIR_S("a")), -EINVAL);
    h1_out_init(&out, span, sizeof span);
    assert_int_equal(h1_write_number(&out, HTTP_FIELD_OTHER, 1), -EINVAL);
    assert_int_equal(out.len, 0);
}

static void the_parser_reads_what_was_written(void **state)
{
    static struct http_head head;
    struct h1_parser parser;
    struct h1_fault fault;
    struct h1_out out;
    char span[200];

    (void)state;
    h1_out_init(&out, span, sizeof span);
    (void)h1_write_request_line(&out, WEIR_S("PUT"), WEIR_S("/a%20b?c"));
    (void)h1_write_known(&out, HTTP_HOST, WEIR_S("example.com:81"));
    (void)h1_write_number(&out, HTTP_CONTENT_LENGTH, 7);
    assert_int_equal(h1_out_end(&out), 0);
    h1_parser_init(&parser, NULL);
    assert_int_equal(h1_parse_request(&parser, h1_out_str(&out), &head, &fault), out.len);
    assert_int_equal(head.method, HTTP_PUT);
    assert_true(weir_str_eq(head.target, WEIR_S("/a%20b?c")));
    assert_int_equal(head.port, 81);
    assert_int_equal(head.content_length, 7);
}

/* Against the C library's calendar, around each turn that a calendar has. */
static void dates_follow_the_calendar(void **state)
{
    static const int64_t around[] = { 0,          68169600,   951782400,  951868800,   1078012800,
                                      1709164800, 4107542400, 4102444800, 253402300799 };
    struct http_date date = { 0 };

    (void)state;
    for (size_t i = 0; i < COUNT(around); i++)
        for (int64_t step = -90000; step <= 90000; step += 3599) {
            time_t t = (time_t)(around[i] + step);
            struct tm tm;
            char want[HTTP_DATE_LEN + 1];
            weir_str got;

            if (t < 0 || t > 253402300799)
                continue;
            assert_int_equal(
                strftime(want, sizeof want, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&t, &tm)),
                HTTP_DATE_LEN);
            got = http_date_at(&date, t);
            assert_int_equal(got.len, HTTP_DATE_LEN);
            assert_string_equal(got.ptr, want);
        }
    assert_string_equal(http_date_at(&date, -5).ptr, "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_string_equal(http_date_at(&date, INT64_MAX).ptr, "Fri, 31 Dec 9999 23:59:59 GMT");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_fits_or_says_that_it_does_not),
        cmocka_unit_test(failures_stick_and_write_nothing),
        cmocka_unit_test(what_could_split_a_message_is_refused),
        cmocka_unit_test(the_parser_reads_what_was_written),
        cmocka_unit_test(dates_follow_the_calendar),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
