/* Request heads: what is accepted, and the rule that names each refusal. Every
 * input runs whole, cut in two at every point, and byte by byte. */
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

/* A complete request around what a case is about. */
#define LINE(line) WEIR_S(line "\r\nHost: a\r\n\r\n")
#define FIELDS(fields) WEIR_S("POST / HTTP/1.1\r\nHost: a\r\n" fields "\r\n")
#define HOST(value) WEIR_S("GET / HTTP/1.1\r\nHost: " value "\r\n\r\n")

struct good {
    weir_str in;
    const char *want; /* the outcome's first line, without the head's length */
};

static const struct good good[] = {
    { LINE("GET / HTTP/1.1"), "method=<GET> target=</> path=</> authority=<a> host=<a> 1.1 "
                              "body=none keep" },
    { LINE("GET /a/b?c=d&e HTTP/1.1"),
      "method=<GET> target=</a/b?c=d&e> path=</a/b> query=<c=d&e> authority=<a> host=<a> 1.1 "
      "body=none keep" },
    { LINE("GET /? HTTP/1.1"), "method=<GET> target=</?> path=</> query=<> authority=<a> "
                               "host=<a> 1.1 body=none keep" },
    { LINE("GET /%20%fF?%41 HTTP/1.1"), "method=<GET> target=</%20%fF?%41> path=</%20%fF> "
                                        "query=<%41> authority=<a> host=<a> 1.1 body=none keep" },
    { LINE("GET /a[1]|b?x[]={y}^`\\ HTTP/1.1"),
      "method=<GET> target=</a[1]|b?x[]={y}^`\\> path=</a[1]|b> query=<x[]={y}^`\\> "
      "authority=<a> host=<a> 1.1 body=none keep" },
    { LINE("GET //x/../y;z=1,2:@!$&'()*+ HTTP/1.1"),
      "method=<GET> target=<//x/../y;z=1,2:@!$&'()*+> path=<//x/../y;z=1,2:@!$&'()*+> "
      "authority=<a> host=<a> 1.1 body=none keep" },
    { WEIR_S("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nGET /next"),
      "method=<GET> target=</> path=</> authority=<a> host=<a> 1.1 body=none keep" },
    { LINE("OPTIONS * HTTP/1.1"), "method=<OPTIONS> target=<*> path=<*> authority=<a> host=<a> "
                                  "1.1 body=none keep" },
    { LINE("VERSION-CONTROL /x HTTP/1.1"), "method=<VERSION-CONTROL> target=</x> path=</x> "
                                           "authority=<a> host=<a> 1.1 body=none keep" },
    { LINE("GET http://A:80/x?y HTTP/1.1"),
      "method=<GET> target=<http://A:80/x?y> path=</x> query=<y> authority=<A:80> host=<A> "
      "port=80 1.1 body=none keep absolute" },
    { LINE("GET HTTP://a HTTP/1.1"), "method=<GET> target=<HTTP://a> path=</> authority=<a> "
                                     "host=<a> 1.1 body=none keep absolute" },
    { LINE("GET http://a?q HTTP/1.1"), "method=<GET> target=<http://a?q> path=</> query=<q> "
                                       "authority=<a> host=<a> 1.1 body=none keep absolute" },
    { LINE("OPTIONS https://a:443 HTTP/1.1"),
      "method=<OPTIONS> target=<https://a:443> path=<*> authority=<a:443> host=<a> port=443 1.1 "
      "body=none keep absolute secure" },
    { WEIR_S("GET / HTTP/1.0\r\n\r\n"), "method=<GET> target=</> path=</> 1.0 body=none close" },
    { WEIR_S("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"),
      "method=<GET> target=</> path=</> 1.0 body=none keep" },
    { HOST("[::1]:8080"), "method=<GET> target=</> path=</> authority=<[::1]:8080> host=<[::1]> "
                          "port=8080 1.1 body=none keep" },
    { HOST("\t 127.0.0.1:65535 \t"), "method=<GET> target=</> path=</> "
                                     "authority=<127.0.0.1:65535> host=<127.0.0.1> port=65535 "
                                     "1.1 body=none keep" },
    { HOST("my_app.x-y.example."), "method=<GET> target=</> path=</> "
                                   "authority=<my_app.x-y.example.> host=<my_app.x-y.example.> "
                                   "1.1 body=none keep" },
#define POST_A "method=<POST> target=</> path=</> authority=<a> host=<a> 1.1 body="
    { FIELDS("Content-Length: 5\r\n"), POST_A "length length=5 keep" },
    { FIELDS("content-LENGTH:0\r\n"), POST_A "none length=0 keep" },
    { FIELDS("Content-Length: 010\r\n"), POST_A "length length=10 keep" },
    { FIELDS("Content-Length: 9223372036854775807\r\n"),
      POST_A "length length=9223372036854775807 keep" },
    { FIELDS("Transfer-Encoding: chunked\r\n"), POST_A "chunked keep chunked" },
    { FIELDS("transfer-encoding:\tChunked \r\n"), POST_A "chunked keep chunked" },
    { FIELDS("Connection: close\r\n"), POST_A "none close" },
    { FIELDS("Connection: keep-alive, ,x\r\nConnection: CLOSE\r\n"), POST_A "none close" },
    { FIELDS("Expect: 100-Continue\r\nContent-Length: 5\r\n"),
      POST_A "length length=5 keep expect" },
    { FIELDS("Expect: 100-continue\r\n"), POST_A "none keep" },
    { FIELDS("Upgrade: websocket\r\nConnection: Upgrade\r\n"), POST_A "none keep upgrade" },
    { FIELDS("Upgrade: websocket\r\n"), POST_A "none keep" },
    { FIELDS("Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 3\r\n"),
      POST_A "length length=3 keep upgrade_body" },
    { FIELDS("Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 0\r\n"),
      POST_A "none length=0 keep upgrade_body" },
    { FIELDS("Upgrade: h2c\r\nConnection: Upgrade\r\nTransfer-Encoding: chunked\r\n"),
      POST_A "chunked keep chunked upgrade_body" },
    { FIELDS("X: \x80\xff a\tb\r\nEmpty:\r\nSpaces:   \t \r\n!#$%&'*+-.^_`|~09azAZ: x\r\n"),
      POST_A "none keep" },
    { FIELDS("Content_Weight: 5\r\nTransfer_Enc_ding: x\r\n"), POST_A "none keep" },
};

/* "57 method=…\n  Host=…" to "method=…", in place. */
static const char *first_line(char *outcome)
{
    char *space = strchr(outcome, ' ');

    outcome[strcspn(outcome, "\n")] = 0;
    return space ? space + 1 : outcome;
}

static void good_requests_are_read_as_written(void **state)
{
    struct h1_run run = { .what = H1_RUN_REQUEST };

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        char *outcome = h1_run_all(&run, good[i].in);

        assert_non_null(outcome);
        assert_string_equal(first_line(outcome), good[i].want);
        free(outcome);
    }
}

struct bad {
    weir_str in;
    int status;
    const char *rule;
};

#define NO_CR "a line that ends without CR"
#define LONE_CR "a CR that no LF follows"
#define METHOD "a method that is not an upper-case word and one space"
#define SPACES "more than one space in the request line"
#define VERSION "a malformed HTTP version"
#define ESCAPE "a malformed percent-escape in the target"
#define ENCODE "a byte that must be percent-encoded in the target"
#define BAD_HOST "an invalid Host"
#define LENGTH                                                                                  \
    "a Content-Length that is not a number below 2^63 in decimal digits"
#define CODING "a Transfer-Encoding that is not exactly \"chunked\""
#define BAD_NAME "a field name that is not a token"
#define BAD_VALUE "a control byte in a field value"
#define NAME_SPACE "white space in a field name or before its colon"
#define FIRST_BYTE "a byte that can't begin a message"
#define URL "a target that is neither a path nor an http URL"
#define AUTHORITY "an invalid authority in the target"
#define OTHER_VERSION "a version other than HTTP/1.0 and HTTP/1.1"
#define HTTP09 "a request line without a version (HTTP/0.9)"

static const struct bad bad_lines[] = {
    { LINE("get / HTTP/1.1"), 400, FIRST_BYTE },
    { LINE("GeT / HTTP/1.1"), 400, METHOD },
    { LINE("GET/ HTTP/1.1"), 400, METHOD },
    { LINE("G@T / HTTP/1.1"), 400, METHOD },
    { LINE("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1"), 400, METHOD },
    { LINE(" GET / HTTP/1.1"), 400, FIRST_BYTE },
    { LINE("GET\t/ HTTP/1.1"), 400, METHOD },
    { LINE("GET\n/ HTTP/1.1"), 400, METHOD },
    { LINE("GET  / HTTP/1.1"), 400, SPACES },
    { LINE("GET /  HTTP/1.1"), 400, "more than one space in the first line" },
    { LINE("GET /\tHTTP/1.1"), 400, "a control byte in the target" },
    { LINE("GET /\x0bHTTP/1.1"), 400, "a control byte in the target" },
    { LINE("GET /\nHTTP/1.1"), 400, HTTP09 },
    { LINE("GET /"), 400, HTTP09 },
    { LINE("GET"), 400, METHOD },
    { LINE("GET "), 400, URL },
    { WEIR_S("GET / HTTP/1.1\nHost: a\r\n\r\n"), 400, NO_CR },
    { LINE("GET / HTTP/1.1 "), 400, "bytes behind the HTTP version" },
    { LINE("GET / HTTP/1.32"), 400, "bytes behind the HTTP version" },
    { LINE("GET / HTTP/1.1\r"), 400, "" },
    { LINE("GET / HTTP/1.2"), 505, OTHER_VERSION },
    { LINE("GET / HTTP/0.9"), 505, OTHER_VERSION },
    { LINE("GET / HTTP/2.0"), 505, OTHER_VERSION },
    { LINE("GET / HTTP/1."), 400, VERSION },
    { LINE("GET / HTTP/11"), 400, VERSION },
    { LINE("GET / http/1.1"), 400, VERSION },
    { LINE("GET / HTTPS/1.1"), 400, VERSION },
    { LINE("GET / ICE/1.1"), 400, VERSION },
    { LINE("GET / HTTP/1.1HTTP/1.1"), 400, "bytes behind the HTTP version" },
    { LINE("GET /a b HTTP/1.1"), 400, VERSION },
    { LINE("GET /% HTTP/1.1"), 400, ESCAPE },
    { LINE("GET /%4 HTTP/1.1"), 400, ESCAPE },
    { LINE("GET /%4g HTTP/1.1"), 400, ESCAPE },
    { LINE("GET /?%zz HTTP/1.1"), 400, ESCAPE },
    { LINE("GET /%"), 400, ESCAPE },
    { LINE("GET /a#b HTTP/1.1"), 400, ENCODE },
    { LINE("GET /\"x\" HTTP/1.1"), 400, ENCODE },
    { LINE("GET /<x> HTTP/1.1"), 400, ENCODE },
    { LINE("GET /?a#b HTTP/1.1"), 400, ENCODE },
    { LINE("GET /\x01 HTTP/1.1"), 400, "a control byte in the target" },
    { LINE("GET /\0 HTTP/1.1"), 400, "a control byte in the target" },
    { LINE("GET /\x7f HTTP/1.1"), 400, "a control byte in the target" },
    { LINE("GET /\xc3\xa4 HTTP/1.1"), 400, "a byte outside ASCII in the target" },
    { LINE("GET * HTTP/1.1"), 400, "\"*\" as the target of another method than OPTIONS" },
    { LINE("OPTIONS *x HTTP/1.1"), 400, ENCODE },
    { LINE("GET a HTTP/1.1"), 400, URL },
    { LINE("GET a:80 HTTP/1.1"), 400, URL },
    { LINE("GET ?a HTTP/1.1"), 400, URL },
    { LINE("GET ftp://a/ HTTP/1.1"), 400, URL },
    { LINE("GET http:/a HTTP/1.1"), 400, URL },
    { LINE("GET http:///a HTTP/1.1"), 400, AUTHORITY },
    { LINE("GET http://u@a/ HTTP/1.1"), 400, AUTHORITY },
    { LINE("GET http://a:b/ HTTP/1.1"), 400, AUTHORITY },
    { LINE("GET http://a\\b/ HTTP/1.1"), 400, AUTHORITY },
    { LINE("GET http://a#b HTTP/1.1"), 400, AUTHORITY },
    { LINE("GET http://b/ HTTP/1.1"), 400, "a Host that differs from the target's" },
    { LINE("GET http://a:81/ HTTP/1.1"), 400, "a Host that differs from the target's" },
    { LINE("GET https://a:80/ HTTP/1.1"), 400, "a Host that differs from the target's" },
    { LINE("CONNECT a:443 HTTP/1.1"), 501, "CONNECT is not served" },
    { LINE("\r\n\r\nGET / HTTP/1.1"), 400, METHOD },
    { LINE("\r\rGET / HTTP/1.1"), 400, LONE_CR },
    { LINE("\nGET / HTTP/1.1"), 400, FIRST_BYTE },
    { LINE("\r\n\x16\x03\x01"), 400, FIRST_BYTE },
    { WEIR_S("\x16\x03\x01"), 400, FIRST_BYTE },
    { WEIR_S("\x80"), 400, FIRST_BYTE },
};

static const struct bad bad_fields[] = {
    { FIELDS(" X: 1\r\n"), 400, "a folded field line" },
    { FIELDS("X: 1\r\n\tmore\r\n"), 400, "a folded field line" },
    { FIELDS("X: 1\r\n \r\n"), 400, "a folded field line" },
    { FIELDS("Content-Length\r\n : 5\r\n"), 400, "a field line without a colon" },
    { WEIR_S("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), 400, "white space before the first field" },
    { FIELDS("X : 1\r\n"), 400, NAME_SPACE },
    { FIELDS("X\t: 1\r\n"), 400, NAME_SPACE },
    { FIELDS("Content-Length : 5\r\n"), 400, NAME_SPACE },
    { FIELDS("A B: 1\r\n"), 400, NAME_SPACE },
    { FIELDS(": 1\r\n"), 400, "an empty field name" },
    { FIELDS("X\r\n"), 400, "a field line without a colon" },
    { FIELDS("X\nY: 1\r\n"), 400, "a field line without a colon" },
    { FIELDS("X\x01: 1\r\n"), 400, BAD_NAME },
    { FIELDS("X\0: 1\r\n"), 400, BAD_NAME },
    { FIELDS("X\x7f: 1\r\n"), 400, BAD_NAME },
    { FIELDS("X\xe4: 1\r\n"), 400, BAD_NAME },
    { FIELDS("(X): 1\r\n"), 400, BAD_NAME },
    { FIELDS("\"X\": 1\r\n"), 400, BAD_NAME },
    { FIELDS("content\rlength: 1\r\n"), 400, "a field line without a colon" },
    { FIELDS("X: a\rb\r\n"), 400, LONE_CR },
    { FIELDS("X: a\r\r\n"), 400, LONE_CR },
    { FIELDS("X: a\nY: b\r\n"), 400, NO_CR },
    { FIELDS("X: a\0b\r\n"), 400, BAD_VALUE },
    { FIELDS("X: a\x0b\r\n"), 400, BAD_VALUE },
    { FIELDS("X: a\x7f\r\n"), 400, BAD_VALUE },
    { FIELDS("X: \x1b[2J\r\n"), 400, BAD_VALUE },
    { WEIR_S("GET / HTTP/1.1\r\nHost: a\r\n\rX\r\n\r\n"), 400, LONE_CR },
    { WEIR_S("GET / HTTP/1.1\r\nHost: a\r\n\n"), 400, NO_CR },
    { WEIR_S("GET / HTTP/1.1\r\nHost: a\n\n"), 400, NO_CR },
    { FIELDS("Content_Length: 5\r\n"), 400, "a framing field spelled with '_'" },
    { FIELDS("TRANSFER_ENCODING: chunked\r\n"), 400, "a framing field spelled with '_'" },
};

static const struct bad bad_hosts[] = {
    { WEIR_S("GET / HTTP/1.1\r\n\r\n"), 400, "no Host field" },
    { FIELDS("Host: a\r\n"), 400, "two Host fields" },
    { FIELDS("hOST: b\r\n"), 400, "two Host fields" },
    { WEIR_S("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), 400, "two Host fields" },
    { WEIR_S("GET / HTTP/1.0\r\nHost: a/\r\n\r\n"), 400, BAD_HOST },
    { HOST(""), 400, BAD_HOST },
    { HOST("a,b"), 400, BAD_HOST },
    { HOST("a, a"), 400, BAD_HOST },
    { HOST("u@a"), 400, BAD_HOST },
    { HOST("a/b"), 400, BAD_HOST },
    { HOST("a?b"), 400, BAD_HOST },
    { HOST("a#b"), 400, BAD_HOST },
    { HOST("a b"), 400, BAD_HOST },
    { HOST("a%20b"), 400, BAD_HOST },
    { HOST("a\\b"), 400, BAD_HOST },
    { HOST("a\tb"), 400, BAD_HOST },
    { HOST("\xc3\xa4"), 400, BAD_HOST },
    { HOST("http://a"), 400, BAD_HOST },
    { HOST(":80"), 400, BAD_HOST },
    { HOST("a:"), 400, BAD_HOST },
    { HOST("a:0"), 400, BAD_HOST },
    { HOST("a:65536"), 400, BAD_HOST },
    { HOST("a:080808"), 400, BAD_HOST },
    { HOST("a:+80"), 400, BAD_HOST },
    { HOST("a:80:80"), 400, BAD_HOST },
    { HOST("a:80x"), 400, BAD_HOST },
    { HOST("::1"), 400, BAD_HOST },
    { HOST("[::1"), 400, BAD_HOST },
    { HOST("[]"), 400, BAD_HOST },
    { HOST("[::1]x"), 400, BAD_HOST },
    { HOST("[::1%25eth0]"), 400, BAD_HOST },
    { HOST("[v1.x]"), 400, BAD_HOST },
    { HOST("[1.2.3.4]"), 400, BAD_HOST },
    { HOST("1.2.3.999"), 400, BAD_HOST },
    { HOST("1.2.3"), 400, BAD_HOST },
    { HOST("127.1"), 400, BAD_HOST },
    { HOST("010.1.1.1"), 400, BAD_HOST },
    { HOST("0x7f.1"), 400, BAD_HOST },
    { HOST("."), 400, BAD_HOST },
};

#define TWO_LENGTHS "two Content-Length fields"
#define BOTH "Content-Length together with Transfer-Encoding"
#define TWO_CODINGS "two Transfer-Encoding fields"

static const struct bad bad_framing[] = {
    { FIELDS("Content-Length: 5\r\nContent-Length: 6\r\n"), 400, TWO_LENGTHS },
    { FIELDS("Content-Length: 5\r\nContent-Length: 5\r\n"), 400, TWO_LENGTHS },
    { FIELDS("Content-Length: 5\r\nX: y\r\ncontent-length: 5\r\n"), 400, TWO_LENGTHS },
    { FIELDS("Content-Length: 5, 5\r\n"), 400, LENGTH },
    { FIELDS("Content-Length: 5,6\r\n"), 400, LENGTH },
    { FIELDS("Content-Length: +5\r\n"), 400, LENGTH },
    { FIELDS("Content-Length: -0\r\n"), 400, LENGTH },
    { FIELDS("Content-Length: 0x5\r\n"), 400, LENGTH },
    { FIELDS("Content-Length: 1_0\r\n"), 400, LENGTH },
    { FIELDS("Content-Length: 5 5\r\n"), 400, LENGTH },
    { FIELDS("Content-Length: 1Z\r\n"), 400, LENGTH },
    { FIELDS("Content-Length: 5.0\r\n"), 400, LENGTH },
    { FIELDS("Content-Length: \"5\"\r\n"), 400, LENGTH },
    { FIELDS("Content-Length:\r\n"), 400, LENGTH },
    { FIELDS("Content-Length: \xd9\xa5\r\n"), 400, LENGTH },
    { FIELDS("Content-Length: 9223372036854775808\r\n"), 400, LENGTH },
    { FIELDS("Content-Length: 18446744073709551621\r\n"), 400, LENGTH },
    { FIELDS("Content-Length: 00000000000000000005\r\n"), 400, LENGTH },
    { FIELDS("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400, BOTH },
    { FIELDS("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"), 400, BOTH },
    { FIELDS("Transfer-Encoding: x\r\nContent-Length: 0\r\n"), 400, BOTH },
    { FIELDS("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400, TWO_CODINGS },
    { FIELDS("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"), 400, TWO_CODINGS },
    { FIELDS("Transfer-Encoding:\r\n"), 400, CODING },
    { FIELDS("Transfer-Encoding: ,chunked\r\n"), 400, CODING },
    { FIELDS("Transfer-Encoding: chunked,\r\n"), 400, CODING },
    { FIELDS("Transfer-Encoding: gzip, chunked,\r\n"), 400, CODING },
    { FIELDS("Transfer-Encoding: chunked, chunked\r\n"), 400, CODING },
    { FIELDS("Transfer-Encoding: chunked, gzip\r\n"), 400, CODING },
    { FIELDS("Transfer-Encoding: xchunked\r\n"), 400, CODING },
    { FIELDS("Transfer-Encoding: chunkedx\r\n"), 400, CODING },
    { FIELDS("Transfer-Encoding: identity\r\n"), 400, CODING },
    { FIELDS("Transfer-Encoding: gzip\r\n"), 400, CODING },
    { FIELDS("Transfer-Encoding: chunked;q=1\r\n"), 400, CODING },
    { FIELDS("Transfer-Encoding: \"chunked\"\r\n"), 400, CODING },
    { FIELDS("Transfer-Encoding: chun ked\r\n"), 400, CODING },
    { FIELDS("Transfer-Encoding: \x0b"
             "chunked\r\n"),
      400, BAD_VALUE },
    { FIELDS("Transfer-Encoding: chunked\x0c\r\n"), 400, BAD_VALUE },
    { FIELDS("Transfer-Encoding: chunked\0\r\n"), 400, BAD_VALUE },
    { FIELDS("Transfer-Encoding: \xa0"
             "chunked\r\n"),
      400, CODING },
    { FIELDS("Transfer-Encoding: chunked\x85\r\n"), 400, CODING },
    { FIELDS("Transfer-Encoding: gzip, chunked\r\n"), 501, "a transfer coding other than chunked" },
    { FIELDS("Transfer-Encoding:\r\n chunked\r\n"), 400, "a folded field line" },
    { WEIR_S("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400,
      "Transfer-Encoding in HTTP/1.0" },
    { FIELDS("Connection: a b\r\n"), 400, "a Connection option that is not a token" },
    { FIELDS("Expect: 200-ok\r\n"), 417, "an expectation other than 100-continue" },
    { FIELDS("Expect: 100-continue, x\r\n"), 417, "an expectation other than 100-continue" },
    { FIELDS("Expect:\r\n"), 417, "an expectation other than 100-continue" },
    { FIELDS("Expect: 100-continue\r\nExpect: 100-continue\r\n"), 417,
      "an expectation other than 100-continue" },
};

static void assert_refused(const struct bad *cases, size_t count)
{
    struct h1_run run = { .what = H1_RUN_REQUEST };

    for (size_t i = 0; i < count; i++) {
        char *outcome = h1_run_all(&run, cases[i].in), want[160];

        assert_non_null(outcome);
        snprintf(want, sizeof want, "WEIR_EHEAD %d: %s", cases[i].status, cases[i].rule);
        if (strncmp(outcome, want, strlen(want)) != 0)
            fail_msg("<%.*s>\ngives %s\nwant  %s", WEIR_ARG(cases[i].in), outcome, want);
        assert_non_null(strstr(outcome, "(RFC "));
        free(outcome);
    }
}

static void bad_request_lines_are_refused(void **state)
{
    (void)state;
    assert_refused(bad_lines, COUNT(bad_lines));
}

static void bad_fields_are_refused(void **state)
{
    (void)state;
    assert_refused(bad_fields, COUNT(bad_fields));
}

static void bad_hosts_are_refused(void **state)
{
    (void)state;
    assert_refused(bad_hosts, COUNT(bad_hosts));
}

static void bad_framing_is_refused(void **state)
{
    (void)state;
    assert_refused(bad_framing, COUNT(bad_framing));
}

/* Each byte at each place of a plain request is accepted or refused the same
 * way however it is cut; no control passes but HTAB. (The last line is not
 * complete without its LF, so a fault in it is not told yet.) */
static void every_byte_at_every_place_has_one_outcome(void **state)
{
    static const char plain[] = "PUT /a?b HTTP/1.1\r\nHost: a\r\nX: y z\r\n\r\n";
    struct h1_run run = { .what = H1_RUN_REQUEST };
    char text[sizeof plain];

    (void)state;
    for (size_t at = 0; at < sizeof plain - 1; at++)
        for (int byte = 0; byte < 256; byte++) {
            char *outcome;

            memcpy(text, plain, sizeof plain);
            text[at] = (char)byte;
            outcome = h1_run_all(&run, weir_str_from(text, sizeof plain - 1));
            assert_non_null(outcome);
            if ((byte < 0x20 && byte != '\t' && byte != plain[at]) || byte == 0x7f) {
                bool told = strncmp(outcome, "WEIR_EHEAD ", 11) == 0;

                assert_true(told || (at >= sizeof plain - 3 && strcmp(outcome, "more") == 0));
            }
            free(outcome);
        }
}

static void an_incomplete_head_asks_for_more(void **state)
{
    static const char whole[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    struct h1_run run = { .what = H1_RUN_REQUEST };

    (void)state;
    for (size_t len = 0; len < sizeof whole - 1; len++) {
        char *outcome = h1_run_all(&run, weir_str_from(whole, len));

        assert_string_equal(outcome, "more");
        free(outcome);
    }
}

struct limited {
    struct http_limits limits;
    weir_str in;
    const char *want;
};

#define TOO_LONG "WEIR_EHEADSIZE 431: the head is too long (limit), byte 0"

static const struct limited limited[] = {
    { { .head_bytes = 27 }, LINE("GET / HTTP/1.1"), "27 method" },
    { { .head_bytes = 26 }, LINE("GET / HTTP/1.1"), TOO_LONG },
    { { .head_bytes = 26 }, WEIR_S("GET / HTTP/1.1\r\nHost: a\r\nX"), TOO_LONG },
    { { .head_bytes = 16 }, LINE("GET / HTTP/1.1"), TOO_LONG },
    { { .head_bytes = 15 },
      LINE("GET / HTTP/1.1"),
      "WEIR_EHEADSIZE 414: the request line is too long (limit), byte 0" },
    { { .head_bytes = 20 }, FIELDS(" bad: 1\r\n"), TOO_LONG },
    { { .target_bytes = 4 }, LINE("GET /123 HTTP/1.1"), "30 method" },
    { { .target_bytes = 4 },
      LINE("GET /1234 HTTP/1.1"),
      "WEIR_EHEADSIZE 414: the target is too long (limit), byte 0" },
    { { .fields = 2 }, FIELDS("X: y\r\n"), "34 method" },
    { { .fields = 2 },
      FIELDS("X: y\r\nY: z\r\n"),
      "WEIR_EHEADSIZE 431: too many fields (limit), byte 32" },
};

static void limits_hold_to_the_byte(void **state)
{
    struct h1_run run = { .what = H1_RUN_REQUEST };

    (void)state;
    for (size_t i = 0; i < COUNT(limited); i++) {
        char *outcome;

        run.limits = limited[i].limits;
        outcome = h1_run_all(&run, limited[i].in);
        assert_non_null(outcome);
        if (strncmp(outcome, limited[i].want, strlen(limited[i].want)) != 0)
            fail_msg("case %zu gives %s", i, outcome);
        free(outcome);
    }
}

/* Default limits: 100 fields pass, 101 don't; 8 KiB of target; 32 KiB in all. */
static void default_limits_are_those_that_are_documented(void **state)
{
    struct h1_run run = { .what = H1_RUN_REQUEST };

    (void)state;
    for (int fields = 100; fields <= 101; fields++) {
        struct strbuf in = STRBUF_INIT, out = STRBUF_INIT;

        strbuf_add_c(&in, "GET / HTTP/1.1\r\nHost: a\r\n");
        for (int i = 1; i < fields; i++)
            strbuf_add_c(&in, i & 1 ? "Cookie: c\r\n" : "X: y\r\n");
        strbuf_add_c(&in, "\r\n");
        h1_run(&run, strbuf_str(&in), NULL, 0, &out);
        assert_int_equal(strncmp(out.ptr, "WEIR_EHEADSIZE 431", 18) == 0, fields == 101);
        strbuf_done(&in);
        strbuf_done(&out);
    }
    for (size_t extra = 0; extra < 2; extra++) {
        struct strbuf in = STRBUF_INIT, out = STRBUF_INIT;

        strbuf_addf(&in, "GET /%0*d HTTP/1.1\r\nHost: a\r\n\r\n", (int)(8191 + extra), 0);
        h1_run(&run, strbuf_str(&in), NULL, 0, &out);
        assert_int_equal(strncmp(out.ptr, "WEIR_EHEADSIZE 414", 18) == 0, extra == 1);
        strbuf_clear(&in);
        strbuf_clear(&out);
        strbuf_addf(&in, "GET / HTTP/1.1\r\nHost: a\r\nX: %0*d\r\n\r\n",
                    (int)(32768 - 25 - 7 + extra), 0);
        h1_run(&run, strbuf_str(&in), NULL, 0, &out);
        assert_int_equal(strncmp(out.ptr, TOO_LONG, 18) == 0, extra == 1);
        strbuf_done(&in);
        strbuf_done(&out);
    }
}

/* After a head, and after a failure, the same parser reads the next message. */
static void one_parser_reads_pipelined_requests(void **state)
{
    static const char two[] =
        "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\n";
    static struct http_head head;
    weir_str in = weir_str_from(two, sizeof two - 1);
    struct h1_parser parser;
    struct h1_fault fault;
    int n;

    (void)state;
    h1_parser_init(&parser, NULL);
    assert_int_equal(h1_parse_request(&parser, weir_str_from(NULL, 0), &head, &fault), 0);
    assert_false(h1_parser_partial(&parser));
    n = h1_parse_request(&parser, in, &head, &fault);
    assert_int_equal(n, 28);
    assert_true(weir_str_eq(head.path, WEIR_S("/1")));
    assert_true(weir_str_eq(http_field(&head, HTTP_HOST), WEIR_S("a")));
    assert_int_equal(h1_parse_request(&parser, WEIR_S("GET /\r\n"), &head, &fault), WEIR_EHEAD);
    assert_false(h1_parser_partial(&parser));
    assert_int_equal(h1_parse_request(&parser, weir_str_skip(in, 28), &head, &fault), 28);
    assert_true(weir_str_eq(head.path, WEIR_S("/2")));
    assert_int_equal(head.field_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_requests_are_read_as_written),
        cmocka_unit_test(bad_request_lines_are_refused),
        cmocka_unit_test(bad_fields_are_refused),
        cmocka_unit_test(bad_hosts_are_refused),
        cmocka_unit_test(bad_framing_is_refused),
        cmocka_unit_test(every_byte_at_every_place_has_one_outcome),
        cmocka_unit_test(an_incomplete_head_asks_for_more),
        cmocka_unit_test(limits_hold_to_the_byte),
        cmocka_unit_test(default_limits_are_those_that_are_documented),
        cmocka_unit_test(one_parser_reads_pipelined_requests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
