/* Where encoders write: a run of free bytes, and a function that gets more.
 *
 * A writer never measures first: it asks for room, writes, and moves on. The
 * memory may be one growing block (the arena sink below) or a chain of buffers:
 * more() then closes the full one and opens the next, and what was written stays
 * where it is.
 *
 * Once more() fails the sink is bad, and later additions do nothing. */
#ifndef TYPE_SINK_H
#define TYPE_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <weir/str.h>

#include "base/arena.h"

#define SINK_ROOM_MAX 512 /* most that sink_room() is asked for */

struct sink {
    char *at, *end; /* free room */
    /* Make at least bytes (at most SINK_ROOM_MAX) of room in one run. */
    bool (*more)(struct sink *sink, size_t bytes);
    bool bad;
};

/* Room for bytes in one run, at sink->at; false when there is none. */
static inline bool sink_room(struct sink *sink, size_t bytes)
{
    if (__builtin_expect((size_t)(sink->end - sink->at) >= bytes, 1))
        return true;
    if (sink->bad || !sink->more(sink, bytes))
        sink->bad = true;
    return !sink->bad;
}

void sink_add_slow(struct sink *sink, weir_str s);

static inline void sink_add(struct sink *sink, weir_str s)
{
    if (__builtin_expect((size_t)(sink->end - sink->at) >= s.len, 1)) {
        if (s.len) { /* both pointers may be NULL for nothing */
            memcpy(sink->at, s.ptr, s.len);
            sink->at += s.len;
        }
    } else {
        sink_add_slow(sink, s);
    }
}

static inline void sink_add_char(struct sink *sink, char c)
{
    if (sink_room(sink, 1))
        *sink->at++ = c;
}

/* The inside of a JSON string (RFC 8259, section 7), without its quotes; what is
 * not UTF-8 becomes U+FFFD. */
void sink_add_escaped(struct sink *sink, weir_str s);

/* One growing block in an arena. */
struct arena_sink {
    struct sink sink;
    struct arena *arena;
    char *block;
};

void arena_sink_init(struct arena_sink *sink, struct arena *arena);
/* What was written, terminated; a NULL pointer when the sink is bad. */
weir_str arena_sink_str(struct arena_sink *sink);

#endif
