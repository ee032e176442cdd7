/* The first line of a request (RFC 9112, section 3) or a response (section 4).
 *
 * Words are parted by exactly one SP, the line ends with CRLF, the version is
 * HTTP/1.0 or HTTP/1.1. Methods are upper-case words, as all that are registered:
 * "get" is a mistake that two servers would understand in two ways. */
#include <weir/error.h>

#include "http/h1_cursor.h"
#include "http/scan.h"

#define METHOD_LEN_MAX 32
#define LINE_FORM "RFC 9112, section 3"

/* The end of a version, or of a status and its space: a line may be complete
 * and still shorter than what is expected. */
static bool short_but_complete(const struct h1_cursor *c, const char *p)
{
    return memchr(p, '\n', (size_t)(c->end - p)) != NULL;
}

static __attribute__((noinline, cold)) int target_fault(struct h1_cursor *c, const char *at)
{
    uint8_t byte = (uint8_t)*at;

    if (byte == '\r' || byte == '\n')
        return h1_fail(c, at, 400, "a request line without a version (HTTP/0.9)",
                       "RFC 9112, section 2.3");
    if (byte < 0x20 || byte == 0x7f)
        return h1_fail(c, at, 400, "a control byte in the target", "RFC 9112, section 3.2");
    if (byte >= 0x80)
        return h1_fail(c, at, 400, "a byte outside ASCII in the target", "RFC 3986, section 2");
    return h1_fail(c, at, 400, "a byte that must be percent-encoded in the target",
                   "RFC 3986, section 3.3");
}

/* Bytes of the class, and escapes of two hexadecimal digits. */
static int scan_part(struct h1_cursor *c, uint8_t class)
{
    const char *end = c->end;

    for (;;) {
        c->p = scan_while(c->p, end, class);
        if (c->p == end)
            return 0;
        if (*c->p != '%')
            return 1;
        if (end - c->p < 3 && !short_but_complete(c, c->p))
            return 0;
        if (end - c->p < 3 || !scan_is(c->p[1], SCAN_HEX) || !scan_is(c->p[2], SCAN_HEX))
            return h1_fail(c, c->p, 400, "a malformed percent-escape in the target",
                           "RFC 3986, section 2.1");
        c->p += 3;
    }
}

/* absolute-path [ "?" query ], up to the SP (RFC 9112, section 3.2.1). */
static int origin_form(struct h1_cursor *c)
{
    struct http_head *head = c->head;
    const char *path = c->p;
    int rc = scan_part(c, SCAN_PATH);

    if (rc <= 0)
        return rc;
    head->path = weir_str_from(path, (size_t)(c->p - path));
    if (*c->p == '?') {
        const char *query = ++c->p;

        rc = scan_part(c, SCAN_QUERY);
        if (rc <= 0)
            return rc;
        head->query = weir_str_from(query, (size_t)(c->p - query));
    }
    return *c->p == ' ' ? 1 : target_fault(c, c->p);
}

static bool scheme_is(const struct h1_cursor *c, weir_str scheme)
{
    size_t left = (size_t)(c->end - c->p);

    return left >= scheme.len && weir_str_eq_nocase(weir_str_from(c->p, scheme.len), scheme);
}

/* scheme "://" authority, then as origin-form (RFC 9112, section 3.2.2). An
 * empty path means "/", or "*" of an OPTIONS request (section 3.2.4). */
static int absolute_form(struct h1_cursor *c)
{
    struct http_head *head = c->head;
    const char *authority;
    int rc;

    head->secure = scheme_is(c, WEIR_S("https://"));
    if (!head->secure && !scheme_is(c, WEIR_S("http://"))) {
        if (c->end - c->p < 8 && !short_but_complete(c, c->p))
            return 0;
        return h1_fail(c, c->p, 400, "a target that is neither a path nor an http URL",
                       "RFC 9112, section 3.2");
    }
    c->p += head->secure ? 8 : 7;
    authority = c->p;
    while (c->p < c->end &&
           (scan_is(*c->p, SCAN_HOST) || *c->p == ':' || *c->p == '[' || *c->p == ']'))
        c->p++;
    if (c->p == c->end)
        return 0;
    head->absolute = true;
    head->authority = weir_str_from(authority, (size_t)(c->p - authority));
    if (http_authority_parse(head->authority, &head->host, &head->port) < 0 ||
        (*c->p != '/' && *c->p != '?' && *c->p != ' '))
        return h1_fail(c, c->p, 400, "an invalid authority in the target",
                       "RFC 9110, section 4.2.1");
    rc = origin_form(c);
    if (rc > 0 && head->path.len == 0)
        head->path = head->method == HTTP_OPTIONS && !head->query.ptr ? WEIR_S("*") : WEIR_S("/");
    return rc;
}

static int asterisk_form(struct h1_cursor *c)
{
    if (c->head->method != HTTP_OPTIONS)
        return h1_fail(c, c->p, 400, "\"*\" as the target of another method than OPTIONS",
                       "RFC 9112, section 3.2.4");
    c->head->path = weir_str_from(c->p++, 1);
    if (c->p == c->end)
        return 0;
    return *c->p == ' ' ? 1 : target_fault(c, c->p);
}

int h1_target(struct h1_cursor *c)
{
    const char *start = c->p;
    int rc;

    if (c->p == c->end)
        return 0;
    if (c->head->method == HTTP_CONNECT)
        return h1_fail(c, start, 501, "CONNECT is not served", "RFC 9110, section 9.3.6");
    if (*start == '/')
        rc = origin_form(c);
    else if (*start == '*')
        rc = asterisk_form(c);
    else if (*start == ' ')
        return h1_fail(c, start, 400, "more than one space in the request line", LINE_FORM);
    else
        rc = absolute_form(c);
    if (rc <= 0)
        return rc;
    c->head->target = weir_str_from(start, (size_t)(c->p - start));
    return 1;
}

/* Why the bytes at p are not a version that is spoken here. */
static __attribute__((noinline, cold)) int version_fault(struct h1_cursor *c, const char *p,
                                                         char after)
{
    const char *d = p + 5;

    if (*p == ' ')
        return h1_fail(c, p, 400, "more than one space in the first line", LINE_FORM);
    if (c->end - p < 9 || memcmp(p, "HTTP/", 5) != 0 || d[0] < '0' || d[0] > '9' || d[1] != '.' ||
        d[2] < '0' || d[2] > '9')
        return h1_fail(c, p, 400, "a malformed HTTP version", "RFC 9112, section 2.3");
    if (d[3] == '\n')
        return h1_fail(c, d + 3, 400, "a line that ends without CR", "RFC 9112, section 2.2");
    if (d[3] != after)
        return h1_fail(c, d + 3, 400, "bytes behind the HTTP version", "RFC 9112, section 2.3");
    return h1_fail(c, p, 505, "a version other than HTTP/1.0 and HTTP/1.1",
                   "RFC 9110, section 15.6.6");
}

int h1_request_line(struct h1_cursor *c)
{
    struct http_head *head = c->head;
    const char *method = c->p, *stop = scan_while(method, c->end, SCAN_METHOD), *v;
    int rc;

    if (stop == c->end)
        return 0;
    if (*stop != ' ' || stop == method || stop - method > METHOD_LEN_MAX)
        return h1_fail(c, method, 400, "a method that is not an upper-case word and one space",
                       "RFC 9112, section 3.1");
    head->method_text = weir_str_from(method, (size_t)(stop - method));
    head->method = (uint8_t)http_method_find(head->method_text);
    c->p = stop + 1;
    rc = h1_target(c);
    if (rc <= 0)
        return rc;
    v = ++c->p;
    if (c->end - v < 10 && !short_but_complete(c, v))
        return 0;
    if (c->end - v < 10 || memcmp(v, "HTTP/1.", 7) != 0 || (v[7] != '1' && v[7] != '0'))
        return version_fault(c, v, '\r');
    if (v[8] != '\r' || v[9] != '\n')
        return version_fault(c, v, 0);
    if (head->target.len > c->target_bytes)
        return h1_fail_size(c, method, 414, "the target is too long");
    head->version_minor = (uint8_t)(v[7] - '0');
    c->p = v + 10;
    return 1;
}

/* Three digits, 100 to 599 (RFC 9110, section 15), and the SP that stands even
 * before an empty reason. A shorter line is left at its LF at the latest. */
static int status_code(struct h1_cursor *c, const char *d)
{
    int status = 0;

    for (int i = 0; i < 3; i++) {
        if (d[i] < '0' || d[i] > '9')
            return h1_fail(c, d, 502, "a status that is not three digits", "RFC 9112, section 4");
        status = status * 10 + d[i] - '0';
    }
    if (status < 100 || status > 599)
        return h1_fail(c, d, 502, "a status outside 100 to 599", "RFC 9110, section 15");
    if (d[3] != ' ')
        return h1_fail(c, d + 3, 502, "no space behind the status", "RFC 9112, section 4");
    c->head->status = (uint16_t)status;
    return 1;
}

int h1_status_line(struct h1_cursor *c)
{
    struct http_head *head = c->head;
    const char *v = c->p, *stop;
    int rc;

    head->method = c->method;
    if (c->end - v < 13 && !short_but_complete(c, v))
        return 0;
    if (c->end - v < 9 || memcmp(v, "HTTP/1.", 7) != 0 || (v[7] != '1' && v[7] != '0'))
        return version_fault(c, v, ' ');
    if (v[8] != ' ')
        return version_fault(c, v, 0);
    rc = status_code(c, v + 9);
    if (rc < 0)
        return rc;
    stop = scan_value(v + 13, c->end);
    if (stop == c->end || (*stop == '\r' && stop + 1 == c->end))
        return 0;
    if (stop[0] != '\r' || stop[1] != '\n')
        return h1_fail(c, stop, 502, "a control byte, or CR or LF alone, in the status line",
                       "RFC 9112, section 4");
    head->reason = weir_str_from(v + 13, (size_t)(stop - v - 13));
    head->version_minor = (uint8_t)(v[7] - '0');
    c->p = stop + 2;
    return 1;
}
