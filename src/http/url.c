/* URLs, taken apart and put together.
 *
 * Putting together walks the format once and knows at each "{}" what place it
 * is in: START -> AUTHORITY -> PATH -> QUERY. What a value may become is decided
 * by the place alone: in path and query everything but the unreserved bytes
 * (RFC 3986, section 2.3) is percent-encoded, so a value can neither end its
 * place nor begin another. What percent-encoding can't hide are the segments "."
 * and "..": dots are unreserved, and "%2E%2E" is ".." to whoever normalises (RFC
 * 3986, section 6.2.2.2). So those are refused, and so is a segment that values
 * make empty: "/users/{}" must never become "/users/". */
#include "http/url.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include <weir/error.h>

#include "http/message.h"
#include "net/addr.h"
#include "rt/rt.h"

static const weir_str scheme_http = { "http://", 7 };
static const weir_str scheme_https = { "https://", 8 };
static const weir_str scheme_unix = { "unix:", 5 };

static bool starts_nocase(weir_str s, weir_str prefix)
{
    return weir_str_starts(s, prefix) ||
           (s.len >= prefix.len && weir_str_eq_nocase(weir_str_from(s.ptr, prefix.len), prefix));
}

/* Classes of bytes (RFC 3986, section 2). The table is small, and walked for each
 * byte of each URL that is called. */
enum { HEX = 1, UNRESERVED = 2, URL = 4 /* may stand in a URL at all */ };

static const uint8_t byte_class[128] = {
    ['!'] = URL,
    ['#' ... ','] = URL,
    ['/'] = URL,
    [':'] = URL,
    [';'] = URL,
    ['='] = URL,
    ['?'] = URL,
    ['@'] = URL,
    ['['] = URL,
    [']'] = URL,
    ['-'] = URL | UNRESERVED,
    ['.'] = URL | UNRESERVED,
    ['_'] = URL | UNRESERVED,
    ['~'] = URL | UNRESERVED,
    ['0' ... '9'] = URL | UNRESERVED | HEX,
    ['A' ... 'F'] = URL | UNRESERVED | HEX,
    ['G' ... 'Z'] = URL | UNRESERVED,
    ['a' ... 'f'] = URL | UNRESERVED | HEX,
    ['g' ... 'z'] = URL | UNRESERVED,
};

static bool is(char c, uint8_t class)
{
    return !((unsigned char)c & 0x80) && byte_class[(unsigned char)c] & class;
}

weir_str url_shown(weir_str text)
{
    size_t n = 0;

    while (n < text.len && text.ptr[n] != '?' && text.ptr[n] != '#' && n < 200 &&
           text.ptr[n] >= 0x20 && text.ptr[n] < 0x7f)
        n++;
    return weir_str_from(text.ptr, n);
}

static int parse_fail(weir_str text, const char *why)
{
    return weir_fail(-EINVAL, "the URL \"%.*s\" %s", WEIR_ARG(url_shown(text)), why);
}

static int check_bytes(weir_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!is(text.ptr[i], URL))
            return parse_fail(text, "holds a byte that must be percent-encoded");
        if (text.ptr[i] == '%' &&
            (text.len - i < 3 || !is(text.ptr[i + 1], HEX) || !is(text.ptr[i + 2], HEX)))
            return parse_fail(text, "holds a '%' without two hexadecimal digits");
    }
    return 0;
}

/* How many bytes of s stand before the first '/', '?' or '#'. */
static size_t authority_len(weir_str s)
{
    size_t n = 0;

    while (n < s.len && s.ptr[n] != '/' && s.ptr[n] != '?' && s.ptr[n] != '#')
        n++;
    return n;
}

static weir_str without_fragment(weir_str s)
{
    const char *hash = s.len ? memchr(s.ptr, '#', s.len) : NULL;

    return hash ? weir_str_from(s.ptr, (size_t)(hash - s.ptr)) : s;
}

/* Where the socket's path ends: at the colon behind it, or the end. */
static size_t unix_host_len(weir_str text)
{
    weir_str rest = weir_str_skip(text, scheme_unix.len);
    const char *colon = rest.len ? memchr(rest.ptr, ':', rest.len) : NULL;

    return colon ? (size_t)(colon - text.ptr) : text.len;
}

static int parse_unix(weir_str text, struct url *ret_url)
{
    size_t len = unix_host_len(text);
    struct addr addr;
    int rc = addr_parse(weir_str_from(text.ptr, len), &addr);

    if (rc < 0)
        return rc;
    *ret_url = (struct url){ .authority = WEIR_S("localhost"),
                             .host = weir_str_from(text.ptr, len),
                             .target = without_fragment(weir_str_skip(text, len + 1)) };
    ret_url->slash = ret_url->target.len == 0 || ret_url->target.ptr[0] != '/';
    return 0;
}

/* What every URL must be; 0, or the failure. */
static int check_text(weir_str text)
{
    if (!text.ptr)
        return -ENOMEM;
    if (text.len == 0)
        return weir_wrap(-EINVAL, "the URL is empty");
    if (text.len > URL_BYTES_MAX)
        return parse_fail(text, "is longer than 16,384 bytes");
    if (!starts_nocase(text, scheme_http) && !starts_nocase(text, scheme_https) &&
        !weir_str_starts(text, scheme_unix))
        return parse_fail(text, "does not begin with \"http://\", \"https://\" or \"unix:\"");
    return check_bytes(text);
}

int url_parse(weir_str text, struct url *ret_url)
{
    struct url url = { .secure = starts_nocase(text, scheme_https) };
    weir_str rest;
    uint16_t port;
    int rc = check_text(text);

    if (rc < 0)
        return rc;
    if (weir_str_starts(text, scheme_unix))
        return parse_unix(text, ret_url);
    rest = weir_str_skip(text, url.secure ? scheme_https.len : scheme_http.len);
    url.authority = weir_str_from(rest.ptr, authority_len(rest));
    if (memchr(url.authority.ptr, '@', url.authority.len))
        return parse_fail(text, "holds a user name: send the field Authorization instead");
    if (http_authority_parse(url.authority, &url.host, &port) < 0)
        return parse_fail(text, "has no valid host and port");
    url.port = port ? port : url.secure ? 443 : 80;
    url.target = without_fragment(weir_str_skip(rest, url.authority.len));
    url.slash = url.target.len == 0 || url.target.ptr[0] != '/';
    *ret_url = url;
    return 0;
}

/* ---- putting together ----------------------------------------------------------- */

enum place { START, AUTHORITY, PATH, QUERY };

struct build {
    char *ptr;
    size_t len;
    enum place place;
    size_t segment;  /* where the current path segment begins */
    bool has_value;  /* … and whether a value stands in it */
    size_t unix_len; /* so many bytes name a unix socket; 0: none */
};

/* "." or "..", also where the format has its dots encoded. */
static bool is_dots(const char *at, size_t len)
{
    size_t dots = 0;

    while (len > 0) {
        size_t n = at[0] == '.' ? 1 : 3;

        if (n == 3 && (len < 3 || at[0] != '%' || at[1] != '2' || (at[2] | 0x20) != 'e'))
            return false;
        at += n;
        len -= n;
        dots++;
    }
    return dots == 1 || dots == 2;
}

/* A segment is over: is it one that values may not make? */
static int segment_end(struct build *b)
{
    const char *at = b->ptr + b->segment;
    size_t len = b->len - b->segment;

    if (b->place != PATH || !b->has_value)
        return 0;
    if (len == 0)
        return weir_fail(-EINVAL, "a value leaves a segment of the URL's path empty");
    if (is_dots(at, len))
        return weir_fail(-EINVAL, "a value would make a segment of the URL's path \"%.*s\"",
                         (int)len, at);
    return 0;
}

static int put_literal(struct build *b, const char *at)
{
    char c = *at;
    int rc = 0;

    /* Values must not complete an escape either. */
    if (!is(c, URL) || c == '#' || (c == '%' && !(is(at[1], HEX) && is(at[2], HEX))))
        return weir_fail(-EINVAL, "a URL's format holds a byte that may not stand there");
    if (c == '/' || c == '?')
        rc = segment_end(b);
    b->ptr[b->len++] = c;
    if (b->len <= b->unix_len) {
        b->place = b->len == b->unix_len ? PATH : START;
    } else if (c == '?') {
        if (b->place != START)
            b->place = QUERY;
    } else if (c == '/' && b->place == START && b->len > 2 && b->ptr[b->len - 2] == '/') {
        b->place = AUTHORITY;
    } else if (c == '/' && (b->place == AUTHORITY || b->place == PATH)) {
        b->place = PATH;
        b->segment = b->len;
        b->has_value = false;
    }
    return rc;
}

static void put_encoded(struct build *b, weir_str value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];

        if (is((char)c, UNRESERVED)) {
            b->ptr[b->len++] = (char)c;
            continue;
        }
        b->ptr[b->len++] = '%';
        b->ptr[b->len++] = "0123456789ABCDEF"[c >> 4];
        b->ptr[b->len++] = "0123456789ABCDEF"[c & 15];
    }
    b->has_value = true;
}

#define NUMBER_BYTES 32

/* A value's text; its own, or written into number. */
static int value_text(const weir_value *value, char number[static NUMBER_BYTES], weir_str *ret_text)
{
    int n = 0;

    switch (value->kind) {
    case WEIR_VALUE_STR:
    case WEIR_VALUE_JSON: *ret_text = value->str; return value->str.ptr ? 0 : -ENOMEM;
    case WEIR_VALUE_BOOL: *ret_text = value->boolean ? WEIR_S("true") : WEIR_S("false"); return 0;
    case WEIR_VALUE_I64: n = snprintf(number, NUMBER_BYTES, "%" PRId64, value->i64); break;
    case WEIR_VALUE_U64: n = snprintf(number, NUMBER_BYTES, "%" PRIu64, value->u64); break;
    case WEIR_VALUE_F64: n = snprintf(number, NUMBER_BYTES, "%.17g", value->f64); break;
    case WEIR_VALUE_NULL:
        WEIR_IGNORE(weir_fail(-EINVAL, "a value of a URL is NULL"), "the code is known");
        return -EINVAL;
    }
    *ret_text = weir_str_from(number, (size_t)n);
    return 0;
}

/* The most that the URL can be long. */
static int format_room(const char *fmt, const weir_value *values, size_t count, size_t *ret_room)
{
    size_t room = strlen(fmt);

    for (size_t i = 0; i < count; i++) {
        char number[NUMBER_BYTES];
        weir_str text = { NULL, 0 };
        int rc = value_text(&values[i], number, &text);

        if (rc != 0)
            return rc;
        if (text.len > URL_BYTES_MAX || room > URL_BYTES_MAX)
            return weir_fail(-EINVAL, "a URL would be longer than %d bytes", URL_BYTES_MAX);
        room += 3 * text.len;
    }
    *ret_room = room;
    return 0;
}

static int put_value(struct build *b, const weir_value *value)
{
    char number[NUMBER_BYTES];
    weir_str text;
    int rc;

    if (b->place != PATH && b->place != QUERY)
        return weir_fail(-EINVAL, "a URL's format has \"{}\" outside path and query: hosts are "
                                  "not put together from values");
    rc = value_text(value, number, &text);
    if (rc == 0)
        put_encoded(b, text);
    return rc;
}

static int build(struct build *b, const char *fmt, const weir_value *values, size_t count)
{
    size_t used = 0;
    int rc = 0;

    while (*fmt && rc == 0) {
        if (fmt[0] == '{' && fmt[1] == '}') {
            if (used == count)
                return weir_fail(-EINVAL, "a URL's format has more places than values");
            rc = put_value(b, &values[used++]);
            fmt += 2;
        } else {
            rc = put_literal(b, fmt++);
        }
    }
    if (rc == 0)
        rc = segment_end(b);
    if (rc == 0 && used != count)
        return weir_fail(-EINVAL, "a URL's format has fewer places than values");
    return rc;
}

int url_format(struct arena *arena, const char *fmt, const weir_value *values, size_t count,
               weir_str *ret_url)
{
    struct build b = { .place = fmt[0] == '/' ? PATH : START };
    size_t room = 0;
    int rc = format_room(fmt, values, count, &room);

    if (weir_str_starts(weir_str_c(fmt), scheme_unix))
        b.unix_len = unix_host_len(weir_str_c(fmt)) + 1; /* with the colon */
    if (rc == 0) {
        b.ptr = arena_alloc(arena, room + 1);
        rc = b.ptr ? build(&b, fmt, values, count) : -ENOMEM;
    }
    if (rc != 0)
        return rc;
    b.ptr[b.len] = 0;
    *ret_url = weir_str_from(b.ptr, b.len);
    return 0;
}

weir_str weir_url_format(const char *fmt, const weir_value *values, size_t count)
{
    struct arena *arena = rt_arena();
    weir_str url = { NULL, 0 };
    int rc = arena ? url_format(arena, fmt, values, count, &url) : -ENOMEM;

    return rc == 0 || rc == -ENOMEM ? url : WEIR_S("");
}
