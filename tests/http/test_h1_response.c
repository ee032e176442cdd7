/* Response heads, and what they say about the body (RFC 9112, section 6.3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "support/h1_run.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define OK(fields) WEIR_S("HTTP/1.1 200 OK\r\n" fields "\r\n")

struct test_case {
    weir_str in;
    enum http_method method;
    const char *want; /* the start of the outcome, without the head's length */
};

static const struct test_case good[] = {
    { OK(""), HTTP_GET, "status=200 reason=<OK> 1.1 body=close close" },
    { OK("Content-Length: 3\r\n"), HTTP_GET,
      "status=200 reason=<OK> 1.1 body=length length=3 keep" },
    { OK("Content-Length: 0\r\n"), HTTP_GET, "status=200 reason=<OK> 1.1 body=none length=0 keep" },
    { OK("Content-Length: 3\r\n"), HTTP_HEAD,
      "status=200 reason=<OK> 1.1 body=none length=3 keep" },
    { OK("Transfer-Encoding: chunked\r\n"), HTTP_GET,
      "status=200 reason=<OK> 1.1 body=chunked keep chunked" },
    { OK("Transfer-Encoding: chunked\r\n"), HTTP_HEAD,
      "status=200 reason=<OK> 1.1 body=none keep chunked" },
    { OK("Connection: close\r\nContent-Length: 3\r\n"), HTTP_GET,
      "status=200 reason=<OK> 1.1 body=length length=3 close" },
    { OK(""), HTTP_HEAD, "status=200 reason=<OK> 1.1 body=none keep" },
    { OK(""), HTTP_CONNECT, "status=200 reason=<OK> 1.1 body=none keep upgrade" },
    { WEIR_S("HTTP/1.1 200 \r\n\r\n"), HTTP_GET, "status=200 reason=<> 1.1 body=close close" },
    { WEIR_S("HTTP/1.1 299 a\tb \xe4\r\n\r\n"), HTTP_GET, "status=299 reason=<a\tb \xe4> 1.1" },
    { WEIR_S("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n"), HTTP_GET,
      "status=200 reason=<OK> 1.0 body=length length=1 close" },
    { WEIR_S("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n"), HTTP_GET,
      "status=200 reason=<OK> 1.0 body=length length=1 keep" },
    { WEIR_S("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), HTTP_POST,
      "status=100 reason=<Continue> 1.1 body=none keep" },
    { WEIR_S("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), HTTP_GET,
      "status=101 reason=<Switching Protocols> 1.1 body=none keep upgrade" },
    { WEIR_S("HTTP/1.1 204 No Content\r\n\r\n"), HTTP_GET,
      "status=204 reason=<No Content> 1.1 body=none keep" },
    { WEIR_S("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"), HTTP_GET,
      "status=204 reason=<No Content> 1.1 body=none length=0 keep" },
    { WEIR_S("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"), HTTP_GET,
      "status=304 reason=<Not Modified> 1.1 body=none length=9 keep" },
    { WEIR_S("HTTP/1.1 599 x\r\n\r\n"), HTTP_GET, "status=599 reason=<x>" },
};

static const struct test_case bad[] = {
    { WEIR_S("X"), HTTP_GET, "a byte that can't begin a message (RFC 9112, section 2.1), byte 0" },
    { WEIR_S("\r\nHTTP/1.1 200 OK\r\n\r\n"), HTTP_GET, "a byte that can't begin a message" },
    { WEIR_S("http/1.1 200 OK\r\n\r\n"), HTTP_GET, "a byte that can't begin a message" },
    { WEIR_S("HTTP/1.1\r\n\r\n"), HTTP_GET, "bytes behind the HTTP version" },
    { WEIR_S("HTTP/1.1 \r\n\r\n"), HTTP_GET, "a status that is not three digits" },
    { WEIR_S("HTTP/1.1 2\n"), HTTP_GET, "a status that is not three digits" },
    { WEIR_S("HTTP/1.1\n"), HTTP_GET, "a line that ends without CR" },
    { WEIR_S("HTTP\r\n"), HTTP_GET, "a malformed HTTP version" },
    { WEIR_S("HTTP/1.1  200 OK\r\n\r\n"), HTTP_GET, "a status that is not three digits" },
    { WEIR_S("HTTP/1.1\t200 OK\r\n\r\n"), HTTP_GET, "bytes behind the HTTP version" },
    { WEIR_S("HTTP/1.1 200\r\n\r\n"), HTTP_GET, "no space behind the status" },
    { WEIR_S("HTTP/1.1 2000 OK\r\n\r\n"), HTTP_GET, "no space behind the status" },
    { WEIR_S("HTTP/1.1 +20 OK\r\n\r\n"), HTTP_GET, "a status that is not three digits" },
    { WEIR_S("HTTP/1.1 099 x\r\n\r\n"), HTTP_GET, "a status outside 100 to 599" },
    { WEIR_S("HTTP/1.1 600 x\r\n\r\n"), HTTP_GET, "a status outside 100 to 599" },
    { WEIR_S("HTTP/2.0 200 OK\r\n\r\n"), HTTP_GET, "a version other than" },
    { WEIR_S("HTTP/1.10 200 OK\r\n\r\n"), HTTP_GET, "bytes behind the HTTP version" },
    { WEIR_S("HTTP/1.1 200 a\0b\r\n\r\n"), HTTP_GET, "a control byte, or CR or LF alone" },
    { WEIR_S("HTTP/1.1 200 a\rb\r\n\r\n"), HTTP_GET, "a control byte, or CR or LF alone" },
    { WEIR_S("HTTP/1.1 200 OK\n\r\n"), HTTP_GET, "a control byte, or CR or LF alone" },
    { OK("X : y\r\n"), HTTP_GET, "white space in a field name or before its colon" },
    { OK("X: y\r\n z\r\n"), HTTP_GET, "a folded field line" },
    { OK("Content-Length: 1\r\nContent-Length: 1\r\n"), HTTP_GET, "two Content-Length fields" },
    { OK("Content-Length: 1, 1\r\n"), HTTP_GET, "a Content-Length that is not a number" },
    { OK("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), HTTP_GET,
      "Content-Length together with Transfer-Encoding" },
    { OK("Transfer-Encoding: gzip, chunked\r\n"), HTTP_GET,
      "a transfer coding other than chunked" },
    { OK("Transfer-Encoding: identity\r\n"), HTTP_GET, "a Transfer-Encoding that is not exactly" },
    { OK("Content-Length: x\r\n"), HTTP_HEAD, "a Content-Length that is not a number" },
    { WEIR_S("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), HTTP_GET,
      "Transfer-Encoding in HTTP/1.0" },
    { WEIR_S("HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n"), HTTP_GET,
      "a length in a response without a body" },
    { WEIR_S("HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n"), HTTP_GET,
      "Transfer-Encoding in a response without a body" },
    { WEIR_S("HTTP/1.1 103 x\r\nTransfer-Encoding: chunked\r\n\r\n"), HTTP_GET,
      "Transfer-Encoding in a response without a body" },
};

static void assert_outcomes(const struct test_case *cases, size_t count, bool refused)
{
    for (size_t i = 0; i < count; i++) {
        struct h1_run run = { .what = H1_RUN_RESPONSE, .method = cases[i].method };
        char *outcome = h1_run_all(&run, cases[i].in);
        const char *from;

        assert_non_null(outcome);
        from = refused ? outcome + strlen("WEIR_EHEAD 502: ") : strchr(outcome, ' ') + 1;
        if (strncmp(outcome, "WEIR_EHEAD 502: ", 16) == 0 ? !refused : refused)
            fail_msg("<%.*s>\ngives %s", WEIR_ARG(cases[i].in), outcome);
        if (strncmp(from, cases[i].want, strlen(cases[i].want)) != 0)
            fail_msg("<%.*s>\ngives %s\nwant  %s", WEIR_ARG(cases[i].in), from, cases[i].want);
        free(outcome);
    }
}

static void good_responses_are_read_as_written(void **state)
{
    (void)state;
    assert_outcomes(good, COUNT(good), false);
}

static void bad_responses_are_refused(void **state)
{
    (void)state;
    assert_outcomes(bad, COUNT(bad), true);
}

static void every_byte_at_every_place_has_one_outcome(void **state)
{
    static const char plain[] = "HTTP/1.1 200 OK\r\nX: y\r\n\r\n";
    struct h1_run run = { .what = H1_RUN_RESPONSE, .method = HTTP_GET };
    char text[sizeof plain];

    (void)state;
    for (size_t at = 0; at < sizeof plain - 1; at++)
        for (int byte = 0; byte < 256; byte++) {
            char *outcome;

            memcpy(text, plain, sizeof plain);
            text[at] = (char)byte;
            outcome = h1_run_all(&run, weir_str_from(text, sizeof plain - 1));
            assert_non_null(outcome);
            free(outcome);
        }
}

static void a_response_over_the_limit_is_refused(void **state)
{
    struct h1_run run = { .what = H1_RUN_RESPONSE, .limits = { .head_bytes = 18 } };
    char *outcome = h1_run_all(&run, OK("X: y\r\n"));

    (void)state;
    assert_string_equal(outcome, "WEIR_EHEADSIZE 502: the head is too long (limit), byte 0");
    free(outcome);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_responses_are_read_as_written),
        cmocka_unit_test(bad_responses_are_refused),
        cmocka_unit_test(every_byte_at_every_place_has_one_outcome),
        cmocka_unit_test(a_response_over_the_limit_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
