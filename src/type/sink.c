/* Sinks that grow, and the escaping of JSON strings; see sink.h.
 *
 * Invariant of the arena sink: block is NULL or one block of the arena, with at
 * and end inside it. It doubles, so a text of n bytes costs at most 2 n of
 * copies. */
#include "type/sink.h"

#include <stdint.h>

#include "base/utf8.h"

#define ARENA_SINK_FIRST 256

void sink_add_slow(struct sink *sink, weir_str s)
{
    while (s.len > 0) {
        size_t run = s.len < SINK_ROOM_MAX ? s.len : SINK_ROOM_MAX;

        if (!sink_room(sink, run))
            return;
        run = (size_t)(sink->end - sink->at);
        run = s.len < run ? s.len : run;
        memcpy(sink->at, s.ptr, run);
        sink->at += run;
        s = weir_str_skip(s, run);
    }
}

/* ---- escaping ------------------------------------------------------------- */

/* Does any of eight bytes need a look: below 0x20, '"', '\\', or not ASCII? */
static inline bool word_needs_care(uint64_t w)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    uint64_t quote = w ^ (ones * '"'), slash = w ^ (ones * '\\');

    return ((w | (w - ones * 0x20) | (quote - ones) | (slash - ones)) & tops) != 0;
}

static size_t plain_run(const unsigned char *p, size_t len)
{
    size_t i = 0;

    for (; len - i >= 8; i += 8) {
        uint64_t w;

        memcpy(&w, p + i, 8);
        if (word_needs_care(w))
            break;
    }
    while (i < len && p[i] >= 0x20 && p[i] < 0x80 && p[i] != '"' && p[i] != '\\')
        i++;
    return i;
}

static void add_control(struct sink *sink, unsigned char c)
{
    static const char names[] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'
    };
    static const char hex[] = "0123456789abcdef";

    if (!sink_room(sink, 6))
        return;
    *sink->at++ = '\\';
    if (c < sizeof names && names[c]) {
        *sink->at++ = names[c];
        return;
    }
    memcpy(sink->at, "u00", 3);
    sink->at[3] = hex[c >> 4];
    sink->at[4] = hex[c & 15];
    sink->at += 5;
}

/* The one character at the start of s that is not plain; returns its bytes. */
static size_t add_special(struct sink *sink, weir_str s)
{
    unsigned char c = (unsigned char)s.ptr[0];
    size_t n;

    if (c < 0x20) {
        add_control(sink, c);
        return 1;
    }
    if (c < 0x80) {
        sink_add_char(sink, '\\');
        sink_add_char(sink, (char)c);
        return 1;
    }
    n = utf8_len(s);
    sink_add(sink, n ? weir_str_from(s.ptr, n) : WEIR_S("\xef\xbf\xbd"));
    return n ? n : 1;
}

void sink_add_escaped(struct sink *sink, weir_str s)
{
    while (s.len > 0 && !sink->bad) {
        size_t run = plain_run((const unsigned char *)s.ptr, s.len);

        sink_add(sink, weir_str_from(s.ptr, run));
        s = weir_str_skip(s, run);
        if (s.len > 0)
            s = weir_str_skip(s, add_special(sink, s));
    }
}

/* ---- the arena sink ------------------------------------------------------- */

static bool arena_sink_more(struct sink *base, size_t bytes)
{
    struct arena_sink *sink = (struct arena_sink *)base;
    size_t used = sink->block ? (size_t)(base->at - sink->block) : 0;
    size_t room = sink->block ? (size_t)(base->end - sink->block) * 2 : ARENA_SINK_FIRST;
    char *block;

    if (used > SIZE_MAX / 4)
        return false;
    while (room - used < bytes)
        room *= 2;
    block = arena_alloc(sink->arena, room);
    if (!block)
        return false;
    if (used)
        memcpy(block, sink->block, used);
    sink->block = block;
    base->at = block + used;
    base->end = block + room;
    return true;
}

void arena_sink_init(struct arena_sink *sink, struct arena *arena)
{
    *sink = (struct arena_sink){ .sink = { .more = arena_sink_more }, .arena = arena };
}

weir_str arena_sink_str(struct arena_sink *sink)
{
    sink_add_char(&sink->sink, '\0');
    if (sink->sink.bad)
        return weir_str_from(NULL, 0);
    sink->sink.at--;
    return weir_str_from(sink->block, (size_t)(sink->sink.at - sink->block));
}
