/* The rules over a whole head: whose request it is (Host), where its body ends,
 * and what becomes of the connection.
 *
 * Framing is decided here and nowhere else (RFC 9112, section 6.3). A message
 * that names its length in two ways, or in one that can be misread, is refused
 * even where the RFC would let a recipient choose.
 *
 * Content-Length takes what its grammar takes (digits, so also leading zeros,
 * which have one meaning only), up to 19 of them and to 2^63 - 1. */
#include <weir/error.h>

#include "http/h1_cursor.h"

#define FRAMING "RFC 9112, section 6.3"
#define NOT_A_LENGTH "a Content-Length that is not a number below 2^63 in decimal digits"

/* A fault of a field: where its value is. */
static int fail_at(struct h1_cursor *c, enum http_field_id id, int status, const char *rule,
                   const char *section)
{
    const struct http_field *f = http_field_first(c->head, id);

    return h1_fail(c, f ? f->value : c->base, status, rule, section);
}

static bool repeated(const struct http_head *head, enum http_field_id id)
{
    const struct http_field *f = http_field_first(head, id);

    return f && f->next;
}

static int parse_length(weir_str text, int64_t *ret_length)
{
    uint64_t n = 0;

    if (text.len == 0 || text.len > 19)
        return -EINVAL;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return -EINVAL;
        n = n * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    if (n > INT64_MAX)
        return -ERANGE;
    *ret_length = (int64_t)n;
    return 0;
}

static int judge_length(struct h1_cursor *c)
{
    struct http_head *head = c->head;

    if (!http_has(head, HTTP_CONTENT_LENGTH))
        return 0;
    if (repeated(head, HTTP_CONTENT_LENGTH))
        return fail_at(c, HTTP_CONTENT_LENGTH, 400, "two Content-Length fields", FRAMING);
    if (http_has(head, HTTP_TRANSFER_ENCODING))
        return fail_at(c, HTTP_CONTENT_LENGTH, 400,
                       "Content-Length together with Transfer-Encoding", FRAMING);
    if (parse_length(http_field(head, HTTP_CONTENT_LENGTH), &head->content_length) < 0)
        return fail_at(c, HTTP_CONTENT_LENGTH, 400, NOT_A_LENGTH, "RFC 9110, section 8.6");
    return 0;
}

/* Whether the value is "coding, …, chunked": well formed, but not for us. */
static bool coded_before_chunked(weir_str list)
{
    weir_str coding = { NULL, 0 };
    size_t before = 0;

    if (list.len == 0 || list.ptr[list.len - 1] == ',')
        return false;
    for (; http_list_next(&list, &coding); before++) {
        if (weir_str_eq_nocase(coding, WEIR_S("chunked")))
            return before > 0 && list.len == 0;
        if (!http_token_ok(coding))
            return false;
    }
    return false;
}

/* Only "chunked", once, in HTTP/1.1 (RFC 9112, sections 6.1 and 7). */
static int judge_coding(struct h1_cursor *c)
{
    struct http_head *head = c->head;
    weir_str value = http_field(head, HTTP_TRANSFER_ENCODING);

    if (!value.ptr)
        return 0;
    if (head->version_minor == 0)
        return fail_at(c, HTTP_TRANSFER_ENCODING, 400, "Transfer-Encoding in HTTP/1.0",
                       "RFC 9112, section 6.1");
    if (repeated(head, HTTP_TRANSFER_ENCODING))
        return fail_at(c, HTTP_TRANSFER_ENCODING, 400, "two Transfer-Encoding fields", FRAMING);
    if (!weir_str_eq_nocase(value, WEIR_S("chunked"))) {
        if (coded_before_chunked(value))
            return fail_at(c, HTTP_TRANSFER_ENCODING, 501, "a transfer coding other than chunked",
                           "RFC 9112, section 6.1");
        return fail_at(c, HTTP_TRANSFER_ENCODING, 400,
                       "a Transfer-Encoding that is not exactly \"chunked\"", FRAMING);
    }
    head->chunked = true;
    return 0;
}

/* Connection's options (RFC 9112, section 9.3): close wins over keep-alive. */
static int judge_connection(struct h1_cursor *c, bool *ret_upgrade)
{
    struct http_head *head = c->head;
    const struct http_field *f = http_field_first(head, HTTP_CONNECTION);
    bool close = false, keep_alive = head->version_minor >= 1;

    *ret_upgrade = false;
    for (; f; f = http_field_next(head, f)) {
        weir_str list = http_field_value(f), option;

        while (http_list_next(&list, &option)) {
            if (!http_token_ok(option))
                return h1_fail(c, f->value, 400, "a Connection option that is not a token",
                               "RFC 9110, section 7.6.1");
            close = close || weir_str_eq_nocase(option, WEIR_S("close"));
            keep_alive = keep_alive || weir_str_eq_nocase(option, WEIR_S("keep-alive"));
            *ret_upgrade = *ret_upgrade || weir_str_eq_nocase(option, WEIR_S("upgrade"));
        }
    }
    head->keep_alive = keep_alive && !close;
    return 0;
}

static uint16_t port_or_default(uint16_t port, bool secure)
{
    return port ? port : secure ? 443 : 80;
}

/* RFC 9112, section 3.2: exactly one, valid, and no other than the target's. */
static int judge_host(struct h1_cursor *c)
{
    struct http_head *head = c->head;
    weir_str value = http_field(head, HTTP_HOST), host;
    uint16_t port;

    if (!value.ptr && head->version_minor == 0)
        return 0;
    if (!value.ptr)
        return h1_fail(c, c->base, 400, "no Host field", "RFC 9112, section 3.2");
    if (repeated(head, HTTP_HOST))
        return fail_at(c, HTTP_HOST, 400, "two Host fields", "RFC 9112, section 3.2");
    if (http_authority_parse(value, &host, &port) < 0)
        return fail_at(c, HTTP_HOST, 400, "an invalid Host", "RFC 9112, section 3.2");
    if (head->absolute) {
        if (!weir_str_eq_nocase(host, head->host) ||
            port_or_default(port, head->secure) != port_or_default(head->port, head->secure))
            return fail_at(c, HTTP_HOST, 400, "a Host that differs from the target's",
                           "RFC 9112, section 3.2.2");
        return 0;
    }
    head->authority = value;
    head->host = host;
    head->port = port;
    return 0;
}

/* The one expectation there is (RFC 9110, section 10.1.1); an HTTP/1.0 client
 * can't mean it, and without a body there is nothing to wait for. */
static int judge_expectation(struct h1_cursor *c)
{
    struct http_head *head = c->head;

    if (!http_has(head, HTTP_EXPECT))
        return 0;
    if (repeated(head, HTTP_EXPECT) ||
        !weir_str_eq_nocase(http_field(head, HTTP_EXPECT), WEIR_S("100-continue")))
        return fail_at(c, HTTP_EXPECT, 417, "an expectation other than 100-continue",
                       "RFC 9110, section 10.1.1");
    head->expect_continue = head->version_minor >= 1 && head->body != HTTP_BODY_NONE;
    return 0;
}

static int judge_framing(struct h1_cursor *c)
{
    int rc = judge_length(c);

    return rc < 0 ? rc : judge_coding(c);
}

int h1_judge_request(struct h1_cursor *c)
{
    struct http_head *head = c->head;
    bool upgrade, body;
    int rc = judge_framing(c);

    if (rc < 0 || (rc = judge_host(c)) < 0 || (rc = judge_connection(c, &upgrade)) < 0)
        return rc;
    head->body = head->chunked              ? HTTP_BODY_CHUNKED
                 : head->content_length > 0 ? HTTP_BODY_LENGTH
                                            : HTTP_BODY_NONE;
    upgrade = upgrade && http_has(head, HTTP_UPGRADE) && head->version_minor >= 1;
    /* A length of 0 counts: what takes the connection over may not see it. */
    body = head->chunked || head->content_length >= 0;
    head->upgrade = upgrade && !body;
    head->upgrade_body = upgrade && body;
    return judge_expectation(c);
}

/* Framing that a 1xx or 204 must not carry (RFC 9110, section 8.6; RFC 9112,
 * section 6.1); a length of 0, which many send, says nothing wrong. */
static int judge_bodiless(struct h1_cursor *c)
{
    if (c->head->content_length > 0)
        return fail_at(c, HTTP_CONTENT_LENGTH, 502, "a length in a response without a body",
                       "RFC 9110, section 8.6");
    if (c->head->chunked)
        return fail_at(c, HTTP_TRANSFER_ENCODING, 502,
                       "Transfer-Encoding in a response without a body", "RFC 9112, section 6.1");
    return 0;
}

/* RFC 9112, section 6.3, in its order. */
int h1_judge_response(struct h1_cursor *c)
{
    struct http_head *head = c->head;
    bool bodiless = head->status < 200 || head->status == 204;
    bool upgrade;
    int rc = judge_framing(c);

    if (rc < 0 || (rc = judge_connection(c, &upgrade)) < 0)
        return rc;
    if (bodiless && (rc = judge_bodiless(c)) < 0)
        return rc;
    head->upgrade = head->status == 101 ||
                    (head->method == HTTP_CONNECT && head->status / 100 == 2);
    if (bodiless || head->upgrade || head->method == HTTP_HEAD || head->status == 304 ||
        head->content_length == 0)
        head->body = HTTP_BODY_NONE;
    else if (head->chunked)
        head->body = HTTP_BODY_CHUNKED;
    else if (head->content_length > 0)
        head->body = HTTP_BODY_LENGTH;
    else {
        head->body = HTTP_BODY_UNTIL_CLOSE;
        head->keep_alive = false;
    }
    return 0;
}
