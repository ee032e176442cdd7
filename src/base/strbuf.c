/* The growing text; see strbuf.h.
 *
 * Invariants: ptr is NULL exactly when room is 0; else len < room and ptr[len] is
 * the terminator. Once bad, len never grows again until strbuf_clear() or
 * strbuf_done(). */
#include "base/strbuf.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"

#define STRBUF_ROOM_MIN 64

void strbuf_done(struct strbuf *sb)
{
    if (!sb)
        return;
    base_free(sb->ptr);
    *sb = (struct strbuf)STRBUF_INIT;
}

void strbuf_clear(struct strbuf *sb)
{
    sb->len = 0;
    sb->bad = false;
    if (sb->ptr)
        sb->ptr[0] = '\0';
}

/* Make room for more bytes and a terminator, or go bad. */
static bool strbuf_reserve(struct strbuf *sb, size_t more)
{
    size_t need, room;
    char *ptr;

    if (sb->bad)
        return false;
    if (more < sb->room - sb->len)
        return true;
    if (__builtin_add_overflow(sb->len, more, &need) || need > SIZE_MAX / 4)
        goto bad;
    room = sb->room ? sb->room : STRBUF_ROOM_MIN;
    while (room <= need)
        room *= 2;
    ptr = base_realloc(sb->ptr, room);
    if (!ptr)
        goto bad;
    sb->ptr = ptr;
    sb->room = room;
    return true;

bad:
    sb->bad = true;
    return false;
}

void strbuf_add(struct strbuf *sb, weir_str s)
{
    if (!strbuf_reserve(sb, s.len))
        return;
    if (s.len)
        memcpy(sb->ptr + sb->len, s.ptr, s.len);
    sb->len += s.len;
    sb->ptr[sb->len] = '\0';
}

void strbuf_add_c(struct strbuf *sb, const char *text)
{
    strbuf_add(sb, weir_str_c(text));
}

void strbuf_add_char(struct strbuf *sb, char c)
{
    strbuf_add(sb, weir_str_from(&c, 1));
}

void strbuf_addf(struct strbuf *sb, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    strbuf_vaddf(sb, fmt, args);
    va_end(args);
}

void strbuf_vaddf(struct strbuf *sb, const char *fmt, va_list args)
{
    va_list again;
    int len;

    if (sb->bad)
        return;
    va_copy(again, args);
    len = vsnprintf(sb->ptr ? sb->ptr + sb->len : NULL, sb->room - sb->len, fmt, again);
    va_end(again);
    if (len < 0) {
        sb->bad = true;
    } else if ((size_t)len < sb->room - sb->len) {
        sb->len += (size_t)len;
        return;
    } else if (strbuf_reserve(sb, (size_t)len)) {
        vsnprintf(sb->ptr + sb->len, (size_t)len + 1, fmt, args);
        sb->len += (size_t)len;
        return;
    }
    /* What the first attempt printed in part is not kept. */
    if (sb->ptr)
        sb->ptr[sb->len] = '\0';
}

static void add_json_escape(struct strbuf *sb, unsigned char c)
{
    static const char shorts[] = { ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                   ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\' };

    if (c < sizeof shorts && shorts[c])
        strbuf_add(sb, weir_str_from((const char[]){ '\\', shorts[c] }, 2));
    else
        strbuf_addf(sb, "\\u%04x", c);
}

void strbuf_add_json(struct strbuf *sb, weir_str s)
{
    size_t plain = 0; /* bytes at the start of s that go out as they are */

    strbuf_add_char(sb, '"');
    while (plain < s.len) {
        unsigned char c = (unsigned char)s.ptr[plain];
        size_t skip = 1;
        size_t len = utf8_sequence(weir_str_skip(s, plain), &skip);

        if (len && c >= 0x20 && c != '"' && c != '\\') {
            plain += len;
            continue;
        }
        strbuf_add(sb, weir_str_from(s.ptr, plain));
        if (len)
            add_json_escape(sb, c);
        else
            strbuf_add(sb, WEIR_S("\xef\xbf\xbd"));
        s = weir_str_skip(s, plain + skip);
        plain = 0;
    }
    strbuf_add(sb, s);
    strbuf_add_char(sb, '"');
}

weir_str strbuf_str(const struct strbuf *sb)
{
    if (sb->bad)
        return weir_str_from(NULL, 0);
    return sb->ptr ? weir_str_from(sb->ptr, sb->len) : WEIR_S("");
}

char *strbuf_take(struct strbuf *sb)
{
    char *text = NULL;

    strbuf_add(sb, WEIR_S("")); /* an empty text has memory too */
    if (!sb->bad) {
        text = sb->ptr;
        sb->ptr = NULL;
    }
    strbuf_done(sb);
    return text;
}
