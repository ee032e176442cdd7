/* A request's head in HTTP/2's form (RFC 9113, section 8.3.1).
 *
 * The head is written once, in HTTP/1.1's form, by what checks everything that may stand
 * in it (client_head.c); here that text is taken apart again. So there is one place that
 * decides what a request carries, and nothing in it is a guess: every line is ours.
 *
 * Names are put into small letters by nghttp2, which copies them. */
#include <string.h>

#include "http/h2_link.h"

#define SHORT_COOKIE 20

static void put(nghttp2_nv *to, weir_str name, weir_str value, uint8_t flags)
{
    to->name = (uint8_t *)(uintptr_t)name.ptr;
    to->namelen = name.len;
    to->value = (uint8_t *)(uintptr_t)value.ptr;
    to->valuelen = value.len;
    to->flags = flags;
}

/* The text up to the byte, which is dropped. */
static weir_str cut(weir_str *text, char end)
{
    const char *at = memchr(text->ptr, end, text->len);
    size_t len = at ? (size_t)(at - text->ptr) : text->len;
    weir_str part = weir_str_from(text->ptr, len);

    *text = weir_str_skip(*text, at ? len + 1 : len);
    return part;
}

static weir_str cut_line(weir_str *text)
{
    weir_str line = cut(text, '\n');

    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

/* RFC 7541, section 7.1.3: what could be guessed from the size of a table. */
static uint8_t field_flags(weir_str name, weir_str value)
{
    bool secret = weir_str_eq_nocase(name, WEIR_S("authorization")) ||
                  (value.len < SHORT_COOKIE && weir_str_eq_nocase(name, WEIR_S("cookie")));

    return secret ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE;
}

size_t h2_request_fields(weir_str head, bool secure, nghttp2_nv *fields)
{
    weir_str line = cut_line(&head);
    weir_str method = cut(&line, ' '), target = cut(&line, ' ');
    size_t count = 4;

    put(&fields[0], WEIR_S(":method"), method, 0);
    put(&fields[1], WEIR_S(":scheme"), secure ? WEIR_S("https") : WEIR_S("http"), 0);
    put(&fields[2], WEIR_S(":authority"), WEIR_S(""), 0);
    put(&fields[3], WEIR_S(":path"), target, 0);
    while ((line = cut_line(&head)).len > 0 && count < H2_REQUEST_FIELDS) {
        weir_str name = cut(&line, ':'), value = weir_str_skip(line, 1);

        if (weir_str_eq(name, WEIR_S("Host")))
            put(&fields[2], WEIR_S(":authority"), value, 0);
        else if (!weir_str_eq(name, WEIR_S("Transfer-Encoding")))
            put(&fields[count++], name, value, field_flags(name, value));
    }
    return count;
}
