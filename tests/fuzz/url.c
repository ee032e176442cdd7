/* Values put into URLs: whatever they hold, scheme, host, port and the places of the
 * format stay, and each place, decoded, holds its value. What is refused is refused
 * because a segment would be empty or of dots. The first byte chooses the format; the
 * values follow, divided by 0xff bytes. Any text must also be parsed safely. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>

#include "http/url.h"

#define VALUES 3

static const char *const formats[] = {
    "http://host:81/{}",
    "http://host:81/a/{}/b/{}?q={}",
    "http://host:81/a{}b/{}{}",
    "http://host:81/.{}/%2e{}/x",
    "http://host:81/x/%2E{}?a=b&c={}&{}=d",
    "http://host:81/.{}.?{}",
    "http://host:81?a={}",
    "http://host:81/{}/",
};

static void need(bool holds)
{
    if (!holds)
        abort();
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* Percent-decoded, in place of the bytes; returns the length. */
static size_t decode(const char *at, const char *end, char *to)
{
    char *start = to;

    while (at < end) {
        if (*at == '%') {
            need(end - at >= 3);
            *to++ = (char)(hex_digit(at[1]) << 4 | hex_digit(at[2]));
            at += 3;
        } else {
            *to++ = *at++;
        }
    }
    return (size_t)(to - start);
}

/* Up to the next byte that divides places. */
static const char *part_end(const char *at, const char *end)
{
    while (at < end && !strchr("/?&=", *at))
        at++;
    return at;
}

/* One part of the format with its values in place: what it must decode to. */
static size_t fill(const char *fmt, const char *end, const weir_value **value, char *to)
{
    char *start = to;

    while (fmt < end) {
        if (fmt[0] == '{') {
            weir_str text = (*value)++->str;

            memcpy(to, text.ptr, text.len);
            to += text.len;
            fmt += 2;
        } else {
            size_t n = *fmt == '%' ? 3 : 1;

            to += decode(fmt, fmt + n, to);
            fmt += n;
        }
    }
    return (size_t)(to - start);
}

static bool is_refused(const char *text, size_t len)
{
    return len == 0 || (len == 1 && text[0] == '.') || (len == 2 && !memcmp(text, "..", 2));
}

/* Walk the format's target beside the URL's. False when it should have been refused
 * (url is NULL then, or fails). */
static bool compare(const char *fmt, const weir_value *values, weir_str url)
{
    static char wanted[3 * URL_BYTES_MAX], got[3 * URL_BYTES_MAX];
    const char *end = fmt + strlen(fmt), *at = url.ptr,
               *url_end = url.ptr ? url.ptr + url.len : NULL;
    bool in_path = true;

    for (;;) {
        const char *stop = part_end(fmt, end);
        const weir_value *before = values;
        size_t len = fill(fmt, stop, &values, wanted);

        if (in_path && values != before && is_refused(wanted, len))
            return false;
        if (url.ptr) {
            const char *url_stop = part_end(at, url_end);

            need(decode(at, url_stop, got) == len && memcmp(got, wanted, len) == 0);
            need((stop == end) == (url_stop == url_end));
            need(stop == end || *stop == *url_stop);
            at = url_stop + 1;
        }
        if (stop == end)
            return true;
        in_path = in_path && *stop != '?';
        fmt = stop + 1;
    }
}

static size_t split(const uint8_t *data, size_t size, weir_value values[static VALUES])
{
    const char *at = (const char *)data, *end = at + size;

    for (size_t i = 0; i < VALUES; i++) {
        const char *stop = at < end ? memchr(at, 0xff, (size_t)(end - at)) : NULL;

        stop = stop ? stop : end;
        values[i] = weir_value_str(weir_str_from(at < end ? at : "", (size_t)(stop - at)));
        at = stop < end ? stop + 1 : end;
    }
    return VALUES;
}

static size_t places(const char *fmt)
{
    size_t count = 0;

    while ((fmt = strstr(fmt, "{}")) != NULL) {
        fmt += 2;
        count++;
    }
    return count;
}

static void put_together(const char *fmt, const weir_value *values)
{
    const char *target = fmt + strlen("http://host:81");
    struct arena arena;
    struct url parsed;
    weir_str url;

    arena_init(&arena, NULL);
    if (url_format(&arena, fmt, values, places(fmt), &url) < 0) {
        need(!compare(target, values, weir_str_from(NULL, 0)));
    } else if (url_parse(url, &parsed) == 0) {
        need(weir_str_eq(parsed.authority, WEIR_S("host:81")) &&
             weir_str_eq(parsed.host, WEIR_S("host")) && parsed.port == 81);
        need(parsed.target.ptr + parsed.target.len == url.ptr + url.len);
        need(compare(target, values, parsed.target));
    } else {
        need(url.len > URL_BYTES_MAX);
    }
    arena_reset(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    weir_value values[VALUES];
    struct url url;

    if (size == 0 || size > URL_BYTES_MAX / 3)
        return 0;
    if (url_parse(weir_str_from((const char *)data, size), &url) == 0)
        need(url.host.len > 0 && url.target.len <= size);
    split(data + 1, size - 1, values);
    put_together(formats[data[0] % (sizeof(formats) / sizeof(formats[0]))], values);
    weir_recover();
    return 0;
}
