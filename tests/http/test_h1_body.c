/* Bodies: by length, chunked, until the stream ends; at every split point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include <weir/error.h>

#include "support/h1_run.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void assert_outcome(const struct h1_run *run, weir_str in, const char *want)
{
    char *outcome = h1_run_all(run, in);

    assert_non_null(outcome);
    if (strcmp(outcome, want) != 0)
        fail_msg("<%.*s>\ngives %s\nwant  %s", WEIR_ARG(in), outcome, want);
    free(outcome);
}

struct test_case {
    weir_str in;
    const char *want;
};

static const struct test_case good[] = {
    { WEIR_S("0\r\n\r\n"), "end 5, eof end\n" },
    { WEIR_S("5\r\nhello\r\n0\r\n\r\n"), "end 15, eof end\nhello" },
    { WEIR_S("5\r\nhello\r\n1\r\n!\r\n0\r\n\r\nGET / HTTP/1.1\r\n"), "end 21, eof end\nhello!" },
    { WEIR_S("00A\r\n0123456789\r\n000\r\n\r\n"), "end 24, eof end\n0123456789" },
    { WEIR_S("0000000000000001\r\nx\r\n0\r\n\r\n"), "end 26, eof end\nx" },
    { WEIR_S("a\r\n\r\n\r\n0\r\n\r\nx\r\n0\r\n\r\n"), "end 20, eof end\n\r\n\r\n0\r\n\r\nx" },
    { WEIR_S("1;a;b=c;d=\"e \\\" \t\xe4;\"\r\nx\r\n0;z\r\n\r\n"), "end 32, eof end\nx" },
    { WEIR_S("0\r\nX: y\r\nEmpty:\r\nTrace-Sum: \t\xff\r\n\r\nnext"), "end 34, eof end\n" },
    { WEIR_S("0\r\nan-unknown-name-that-is-longer-than-what-is-kept-of-it: y\r\n\r\n"),
      "end 64, eof end\n" },
    { WEIR_S(""), "more 0, eof WEIR_ETRUNCATED\n" },
    { WEIR_S("5\r\nhel"), "more 6, eof WEIR_ETRUNCATED\nhel" },
    { WEIR_S("5\r\nhello\r\n"), "more 10, eof WEIR_ETRUNCATED\nhello" },
    { WEIR_S("5\r\nhello\r\n0\r\n"), "more 13, eof WEIR_ETRUNCATED\nhello" },
    { WEIR_S("7fffffffffffffff\r\nx"), "more 19, eof WEIR_ETRUNCATED\nx" },
};

#define SIZE "WEIR_EBODY 400: a chunk size that does not begin with a hexadecimal digit " \
    "(RFC 9112, section 7.1), byte "
#define OVER "WEIR_EBODY 400: a chunk size beyond 2^63 - 1 or 16 digits (RFC 9112, section 7.1), " \
    "byte "
#define SIZE_END "WEIR_EBODY 400: a chunk size that CRLF or ';' does not follow (RFC 9112, " \
    "section 7.1), byte "
#define EXT "WEIR_EBODY 400: a malformed chunk extension (RFC 9112, section 7.1.1), byte "
#define LONE_CR "WEIR_EBODY 400: a CR that no LF follows (RFC 9112, section 2.2), byte "
#define DATA_END "WEIR_EBODY 400: chunk data that CRLF does not follow (RFC 9112, section 7.1), " \
    "byte "
#define FOLD "WEIR_EBODY 400: a trailer line that begins with white space (RFC 9112, section 5.2)" \
    ", byte "
#define NAME "WEIR_EBODY 400: a malformed trailer field name (RFC 9112, section 5.1), byte "
#define FORBIDDEN "WEIR_EBODY 400: a field that may not stand in a trailer section (RFC 9110, " \
    "section 6.5.1), byte "
#define VALUE "WEIR_EBODY 400: a control byte, or LF alone, in a trailer field (RFC 9110, " \
    "section 5.5), byte "
#define EOF_BAD ", eof WEIR_EBODY\n"

static const struct test_case bad[] = {
    { WEIR_S("\r\nx"), SIZE "0" EOF_BAD },
    { WEIR_S("-1\r\nx"), SIZE "0" EOF_BAD },
    { WEIR_S("+1\r\nx"), SIZE "0" EOF_BAD },
    { WEIR_S(" 1\r\nx"), SIZE "0" EOF_BAD },
    { WEIR_S(";a\r\nx"), SIZE "0" EOF_BAD },
    { WEIR_S("g\r\nx"), SIZE "0" EOF_BAD },
    { WEIR_S("0x1\r\nx"), SIZE_END "1" EOF_BAD },
    { WEIR_S("1_0\r\nx"), SIZE_END "1" EOF_BAD },
    { WEIR_S("1 \r\nx"), SIZE_END "1" EOF_BAD },
    { WEIR_S("1\t\r\nx"), SIZE_END "1" EOF_BAD },
    { WEIR_S("1 ;a\r\nx"), SIZE_END "1" EOF_BAD },
    { WEIR_S("1\nx"), SIZE_END "1" EOF_BAD },
    { WEIR_S("1g\r\nx"), SIZE_END "1" EOF_BAD },
    { WEIR_S("1\0\r\nx"), SIZE_END "1" EOF_BAD },
    { WEIR_S("8000000000000000\r\nx"), OVER "15" EOF_BAD },
    { WEIR_S("ffffffffffffffff1\r\nx"), OVER "15" EOF_BAD },
    { WEIR_S("00000000000000001\r\nx"), OVER "16" EOF_BAD },
    { WEIR_S("1\rx"), LONE_CR "2" EOF_BAD },
    { WEIR_S("1\r\r\nx"), LONE_CR "2" EOF_BAD },
    { WEIR_S("1;\r\nx"), EXT "2" EOF_BAD },
    { WEIR_S("1;;\r\nx"), EXT "2" EOF_BAD },
    { WEIR_S("1; a\r\nx"), EXT "2" EOF_BAD },
    { WEIR_S("1;a =b\r\nx"), EXT "3" EOF_BAD },
    { WEIR_S("1;a=\r\nx"), EXT "4" EOF_BAD },
    { WEIR_S("1;a=b\nx"), EXT "5" EOF_BAD },
    { WEIR_S("1;a\n\r\nx"), EXT "3" EOF_BAD },
    { WEIR_S("1;a\rb\r\nx"), LONE_CR "4" EOF_BAD },
    { WEIR_S("1;a=\"\n\"\r\nx"), EXT "5" EOF_BAD },
    { WEIR_S("1;a=\"\r\n\"\r\nx"), EXT "5" EOF_BAD },
    { WEIR_S("1;a=\"\\\n\"\r\nx"), EXT "6" EOF_BAD },
    { WEIR_S("1;a=\"b\"c\r\nx"), EXT "7" EOF_BAD },
    { WEIR_S("1;a\0\r\nx"), EXT "3" EOF_BAD },
    { WEIR_S("1\r\nxy\r\n"), DATA_END "4" EOF_BAD "x" },
    { WEIR_S("1\r\nx\n0\r\n\r\n"), DATA_END "4" EOF_BAD "x" },
    { WEIR_S("1\r\nx\rz0\r\n\r\n"), DATA_END "5" EOF_BAD "x" },
    { WEIR_S("1\r\nxXX0\r\n\r\n"), DATA_END "4" EOF_BAD "x" },
    { WEIR_S("0\r\nXX\r\n"), NAME "5" EOF_BAD },
    { WEIR_S("0\r\n\rX"), LONE_CR "4" EOF_BAD },
    { WEIR_S("0\r\n\n"), NAME "3" EOF_BAD },
    { WEIR_S("0\n\r\n"), SIZE_END "1" EOF_BAD },
    { WEIR_S("0\r\n X: y\r\n\r\n"), FOLD "3" EOF_BAD },
    { WEIR_S("0\r\nX: y\r\n\tz\r\n\r\n"), FOLD "9" EOF_BAD },
    { WEIR_S("0\r\n: y\r\n\r\n"), NAME "3" EOF_BAD },
    { WEIR_S("0\r\nX : y\r\n\r\n"), NAME "4" EOF_BAD },
    { WEIR_S("0\r\nX\r\n\r\n"), NAME "4" EOF_BAD },
    { WEIR_S("0\r\nX\0: y\r\n\r\n"), NAME "4" EOF_BAD },
    { WEIR_S("0\r\nX: a\nb\r\n\r\n"), VALUE "7" EOF_BAD },
    { WEIR_S("0\r\nX: a\0\r\n\r\n"), VALUE "7" EOF_BAD },
    { WEIR_S("0\r\nX: a\rb\r\n\r\n"), LONE_CR "8" EOF_BAD },
    { WEIR_S("0\r\nContent-Length: 5\r\n\r\n"), FORBIDDEN "17" EOF_BAD },
    { WEIR_S("0\r\ncontent-LENGTH: 5\r\n\r\n"), FORBIDDEN "17" EOF_BAD },
    { WEIR_S("0\r\nTransfer-Encoding: chunked\r\n\r\n"), FORBIDDEN "20" EOF_BAD },
    { WEIR_S("0\r\nHost: b\r\n\r\n"), FORBIDDEN "7" EOF_BAD },
    { WEIR_S("0\r\nAuthorization: b\r\n\r\n"), FORBIDDEN "16" EOF_BAD },
    { WEIR_S("0\r\nTrailer: b\r\n\r\n"), FORBIDDEN "10" EOF_BAD },
    { WEIR_S("0\r\nX: y\r\nCookie: b\r\n\r\n"), FORBIDDEN "15" EOF_BAD },
    { WEIR_S("0\r\nContent-Type: b\r\n\r\n"), FORBIDDEN "15" EOF_BAD },
    { WEIR_S("0\r\nX-Forwarded-For: b\r\n\r\n"), FORBIDDEN "18" EOF_BAD },
};

static void good_chunks_are_content(void **state)
{
    struct h1_run run = { .what = H1_RUN_BODY, .body = HTTP_BODY_CHUNKED };

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        assert_outcome(&run, good[i].in, good[i].want);
}

static void bad_chunks_are_refused(void **state)
{
    struct h1_run run = { .what = H1_RUN_BODY, .body = HTTP_BODY_CHUNKED };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_outcome(&run, bad[i].in, bad[i].want);
}

static void a_length_is_held_to_the_byte(void **state)
{
    struct h1_run run = { .what = H1_RUN_BODY, .body = HTTP_BODY_LENGTH, .content_length = 5 };

    (void)state;
    assert_outcome(&run, WEIR_S("hello"), "end 5, eof end\nhello");
    assert_outcome(&run, WEIR_S("helloGET /"), "end 5, eof end\nhello");
    assert_outcome(&run, WEIR_S("hell"), "more 4, eof WEIR_ETRUNCATED\nhell");
    run.max_bytes = 5;
    assert_outcome(&run, WEIR_S("hello"), "end 5, eof end\nhello");
    run.max_bytes = 4;
    assert_outcome(&run, WEIR_S("hello"),
                   "WEIR_EBODYSIZE 413: the body is too long (limit), "
                   "byte 0, eof WEIR_EBODYSIZE\n");
}

static void no_body_uses_nothing(void **state)
{
    struct h1_run run = { .what = H1_RUN_BODY, .body = HTTP_BODY_NONE, .content_length = 5 };
    static struct http_head head;
    struct h1_body body;

    (void)state;
    http_head_init(&head);
    h1_body_init(&body, &head, NULL, 0);
    assert_true(h1_body_complete(&body));
    assert_outcome(&run, WEIR_S(""), "end 0, eof end\n");
    assert_outcome(&run, WEIR_S("GET /"), "end 0, eof end\n");
}

static void the_end_of_the_stream_ends_a_body_until_close(void **state)
{
    struct h1_run run = { .what = H1_RUN_BODY, .body = HTTP_BODY_UNTIL_CLOSE };

    (void)state;
    assert_outcome(&run, WEIR_S(""), "more 0, eof end\n");
    run.max_bytes = 3;
    assert_outcome(&run, WEIR_S("abcd"),
                   "WEIR_EBODYSIZE 413: the body is too long (limit), "
                   "byte 3, eof WEIR_EBODYSIZE\nabc");
}

static void limits_of_chunked_bodies_hold_to_the_byte(void **state)
{
    struct h1_run run = { .what = H1_RUN_BODY, .body = HTTP_BODY_CHUNKED, .max_bytes = 3 };

    (void)state;
    assert_outcome(&run, WEIR_S("1\r\nx\r\n2\r\nyz\r\n0\r\n\r\n"), "end 18, eof end\nxyz");
    assert_outcome(&run, WEIR_S("1\r\nx\r\n3\r\nyzz\r\n0\r\n\r\n"),
                   "WEIR_EBODYSIZE 413: the body is too long (limit), byte 8, "
                   "eof WEIR_EBODYSIZE\nx");
    run.limits.chunk_ext_bytes = 6; /* each with the CR that ends it */
    assert_outcome(&run, WEIR_S("1;a\r\nx\r\n1;b\r\ny\r\n0;c\r\n\r\n"), "end 23, eof end\nxy");
    assert_outcome(&run, WEIR_S("1;a\r\nx\r\n1;b\r\ny\r\n0;cc\r\n\r\n"),
                   "WEIR_EBODYSIZE 431: too many bytes of chunk extensions (limit), byte 20, "
                   "eof WEIR_EBODYSIZE\nxy");
    run.limits.trailer_bytes = 8;
    assert_outcome(&run, WEIR_S("0\r\nX: y\r\n\r\n"), "end 11, eof end\n");
    assert_outcome(&run, WEIR_S("0\r\nX: yy\r\n\r\n"),
                   "WEIR_EBODYSIZE 431: the trailer section is too long (limit), byte 11, "
                   "eof WEIR_EBODYSIZE\n");
}

static void a_trailer_has_at_most_a_hundred_fields(void **state)
{
    struct h1_run run = { .what = H1_RUN_BODY, .body = HTTP_BODY_CHUNKED };

    (void)state;
    for (int fields = 100; fields <= 101; fields++) {
        struct strbuf in = STRBUF_INIT, out = STRBUF_INIT;

        strbuf_add_c(&in, "0\r\n");
        for (int i = 0; i < fields; i++)
            strbuf_add_c(&in, "X:\r\n");
        strbuf_add_c(&in, "\r\n");
        h1_run(&run, strbuf_str(&in), NULL, 0, &out);
        assert_int_equal(strncmp(out.ptr, "WEIR_EBODYSIZE 431", 18) == 0, fields == 101);
        strbuf_done(&in);
        strbuf_done(&out);
    }
}

static void a_failure_is_repeated(void **state)
{
    static struct http_head head;
    struct h1_fault fault = { 0 };
    struct h1_body body;
    weir_str slice;
    size_t used;

    (void)state;
    http_head_init(&head);
    head.body = HTTP_BODY_CHUNKED;
    h1_body_init(&body, &head, NULL, H1_BODY_NO_MAX);
    assert_int_equal(h1_body_feed(&body, WEIR_S("x"), &used, &slice, &fault), WEIR_EBODY);
    fault.status = 0;
    assert_int_equal(h1_body_feed(&body, WEIR_S("0\r\n\r\n"), &used, &slice, &fault), WEIR_EBODY);
    assert_int_equal(fault.status, 400);
    assert_int_equal(h1_body_eof(&body), WEIR_EBODY);
    assert_false(h1_body_complete(&body));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_chunks_are_content),
        cmocka_unit_test(bad_chunks_are_refused),
        cmocka_unit_test(a_length_is_held_to_the_byte),
        cmocka_unit_test(no_body_uses_nothing),
        cmocka_unit_test(the_end_of_the_stream_ends_a_body_until_close),
        cmocka_unit_test(limits_of_chunked_bodies_hold_to_the_byte),
        cmocka_unit_test(a_trailer_has_at_most_a_hundred_fields),
        cmocka_unit_test(a_failure_is_repeated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
