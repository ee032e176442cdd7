/* Formats of strings; see format.h.
 *
 * They are simple on purpose: they catch what was meant to be something else, and
 * leave to the layer that uses the value (a resolver, a mail server) what only it
 * can know. */
#include "type/format.h"

#include <stddef.h>

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Letters, digits, hyphens and points, no label empty, over 63 bytes, or with a
 * hyphen at an end (RFC 1123, section 2.1). */
static bool is_host_name(weir_str s)
{
    size_t label = 0;

    if (s.len == 0 || s.len > 253)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (c == '.') {
            if (label == 0 || s.ptr[i - 1] == '-')
                return false;
            label = 0;
        } else if (!(is_alnum(c) || c == '_' || (c == '-' && label > 0)) || ++label > 63) {
            return false;
        }
    }
    return label > 0 && s.ptr[s.len - 1] != '-';
}

/* Inside of "[…]": the characters of an IPv6 address. */
static bool is_ipv6_like(weir_str s)
{
    size_t colons = 0;

    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (c == ':')
            colons++;
        else if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') ||
                   c == '.'))
            return false;
    }
    return colons >= 2 && s.len <= 45;
}

static bool is_port(weir_str s)
{
    unsigned port = 0;

    if (s.len == 0 || s.len > 5)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        port = port * 10 + (unsigned)(s.ptr[i] - '0');
    }
    return port <= 65535;
}

/* A host and perhaps a port. */
static bool is_authority(weir_str s, bool needs_host, bool needs_port)
{
    const char *close;
    weir_str host, rest;

    if (s.len > 0 && s.ptr[0] == '[') {
        close = memchr(s.ptr, ']', s.len);
        if (!close || !is_ipv6_like(weir_str_from(s.ptr + 1, (size_t)(close - s.ptr) - 1)))
            return false;
        rest = weir_str_skip(s, (size_t)(close - s.ptr) + 1);
    } else {
        const char *colon = memchr(s.ptr, ':', s.len);

        host = weir_str_from(s.ptr, colon ? (size_t)(colon - s.ptr) : s.len);
        if (!is_host_name(host) && (needs_host || host.len > 0))
            return false;
        rest = weir_str_skip(s, host.len);
    }
    if (rest.len == 0)
        return !needs_port;
    return rest.ptr[0] == ':' && is_port(weir_str_skip(rest, 1));
}

/* "unix:/run/x.sock", "unix:@name". */
static bool is_unix_address(weir_str s)
{
    weir_str path = weir_str_skip(s, sizeof("unix:") - 1);

    return weir_str_starts(s, WEIR_S("unix:")) && path.len > 1 &&
           (path.ptr[0] == '/' || path.ptr[0] == '@');
}

static bool is_url(weir_str s)
{
    size_t scheme = weir_str_starts(s, WEIR_S("http://"))    ? 7
                    : weir_str_starts(s, WEIR_S("https://")) ? 8
                                                             : 0;
    size_t end = scheme;

    if (scheme == 0)
        return false;
    for (size_t i = scheme; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] <= 0x20 || s.ptr[i] == 0x7f)
            return false;
    }
    while (end < s.len && s.ptr[end] != '/' && s.ptr[end] != '?' && s.ptr[end] != '#')
        end++;
    return is_authority(weir_str_from(s.ptr + scheme, end - scheme), true, false);
}

static bool is_email(weir_str s)
{
    const char *at = memchr(s.ptr, '@', s.len);
    size_t local = at ? (size_t)(at - s.ptr) : 0;

    if (local == 0 || local > 64 || s.ptr[0] == '.' || at[-1] == '.')
        return false;
    for (size_t i = 0; i < local; i++) {
        char c = s.ptr[i];

        if (!(is_alnum(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~.", c))) ||
            (c == '.' && s.ptr[i + 1] == '.'))
            return false;
    }
    return is_host_name(weir_str_skip(s, local + 1));
}

/* Do the characters fit a picture: '0' a digit, 'x' a hexadecimal digit, others
 * themselves? */
static bool fits_picture(weir_str s, const char *picture)
{
    if (s.len != strlen(picture))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool digit = c >= '0' && c <= '9';

        if (picture[i] == '0'   ? !digit
            : picture[i] == 'x' ? !(digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
                                : c != picture[i])
            return false;
    }
    return true;
}

static unsigned two_digits(const char *p)
{
    return (unsigned)(p[0] - '0') * 10 + (unsigned)(p[1] - '0');
}

static bool is_date(weir_str s)
{
    static const unsigned char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    unsigned year, month, day;

    if (!fits_picture(s, "0000-00-00"))
        return false;
    year = two_digits(s.ptr) * 100 + two_digits(s.ptr + 2);
    month = two_digits(s.ptr + 5);
    day = two_digits(s.ptr + 8);
    if (month < 1 || month > 12 || day < 1)
        return false;
    return day <= days[month - 1] ||
           (month == 2 && day == 29 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
}

/* RFC 3339, section 5.6. */
static bool is_date_time(weir_str s)
{
    weir_str rest;

    if (s.len < 20 || !is_date(weir_str_from(s.ptr, 10)) || (s.ptr[10] != 'T' && s.ptr[10] != 't'))
        return false;
    if (!fits_picture(weir_str_from(s.ptr + 11, 8), "00:00:00") || two_digits(s.ptr + 11) > 23 ||
        two_digits(s.ptr + 14) > 59 || two_digits(s.ptr + 17) > 60)
        return false;
    rest = weir_str_skip(s, 19);
    if (rest.ptr[0] == '.') {
        size_t digits = 1;

        while (digits < rest.len && rest.ptr[digits] >= '0' && rest.ptr[digits] <= '9')
            digits++;
        if (digits == 1)
            return false;
        rest = weir_str_skip(rest, digits);
    }
    if (rest.len == 1)
        return rest.ptr[0] == 'Z' || rest.ptr[0] == 'z';
    return (fits_picture(rest, "+00:00") || fits_picture(rest, "-00:00")) &&
           two_digits(rest.ptr + 1) <= 23 && two_digits(rest.ptr + 4) <= 59;
}

bool format_fits(weir_text_format format, weir_str text)
{
    switch (format) {
    case WEIR_ANY_TEXT: return true;
    case WEIR_EMAIL: return text.len > 0 && is_email(text);
    case WEIR_URL: return is_url(text);
    case WEIR_HOST_PORT:
        return text.len > 0 && (is_authority(text, false, true) || is_unix_address(text));
    case WEIR_UUID: return fits_picture(text, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
    case WEIR_DATE_TIME: return is_date_time(text);
    }
    return false;
}

const char *format_name(weir_text_format format)
{
    static const char *const names[] = {
        [WEIR_ANY_TEXT] = "a text", [WEIR_EMAIL] = "an email address",
        [WEIR_URL] = "a URL",       [WEIR_HOST_PORT] = "an address with a port",
        [WEIR_UUID] = "a UUID",     [WEIR_DATE_TIME] = "a date and time",
    };

    return names[format];
}

const char *format_example(weir_text_format format)
{
    static const char *const examples[] = {
        [WEIR_ANY_TEXT] = "\"text\"",
        [WEIR_EMAIL] = "ada@example.org",
        [WEIR_URL] = "http://127.0.0.1:9001",
        [WEIR_HOST_PORT] = "127.0.0.1:8080",
        [WEIR_UUID] = "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        [WEIR_DATE_TIME] = "2026-01-31T12:00:00Z",
    };

    return examples[format];
}
