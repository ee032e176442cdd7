/* Collecting faults and printing them; see fault.h and weir/type.h.
 *
 * Invariants: count <= WEIR_FAULTS_MAX; every text of a fault is in the arena or
 * static. Without memory the collector remembers just that, and the decoder
 * returns -ENOMEM instead of a list with holes. */
#include "type/fault.h"

#include <stdio.h>

#include "type/sink.h"

#define SHOWN_KEY_BYTES 60

void faults_init(struct faults *faults, struct arena *arena)
{
    *faults = (struct faults){ .arena = arena };
}

bool faults_full(struct faults *faults)
{
    if (faults->count < WEIR_FAULTS_MAX)
        return false;
    faults->left_out++;
    return true;
}

static weir_fault *faults_slot(struct faults *faults)
{
    if (faults->count == faults->room) {
        size_t room = faults->room ? faults->room * 4 : 4;
        weir_fault *list = arena_alloc(faults->arena, room * sizeof *list);

        if (!list) {
            faults->no_memory = true;
            return NULL;
        }
        if (faults->count)
            memcpy(list, faults->list, faults->count * sizeof *list);
        faults->list = list;
        faults->room = room;
    }
    return &faults->list[faults->count];
}

static void faults_put(struct faults *faults, const weir_fault *fault)
{
    weir_fault *slot = faults_slot(faults);

    if (!fault->path.ptr || !fault->message.ptr || !fault->hint.ptr)
        faults->no_memory = true;
    if (!slot || faults->no_memory)
        return;
    *slot = *fault;
    faults->count++;
}

/* "`key`", "`key[2]`" or "the document". */
static weir_str frame_label(struct arena *arena, const struct frame *at)
{
    if (!at)
        return WEIR_S("the document");
    if (at->key.ptr)
        return arena_format(arena, "`%.*s`", WEIR_ARG(text_show(arena, at->key, SHOWN_KEY_BYTES)));
    if (at->up && at->up->key.ptr)
        return arena_format(arena, "`%.*s[%zu]`",
                            WEIR_ARG(text_show(arena, at->up->key, SHOWN_KEY_BYTES)), at->index);
    return arena_format(arena, "item %zu", at->index);
}

void faults_add(struct faults *faults, const struct frame *at, struct place place, weir_str hint,
                const char *fmt, ...)
{
    weir_fault fault = { .hint = hint, .line = place.line, .column = place.column };
    weir_str label, text;
    va_list args;

    if (faults_full(faults))
        return;
    label = frame_label(faults->arena, at);
    va_start(args, fmt);
    text = arena_vformat(faults->arena, fmt, args);
    va_end(args);
    fault.path = frame_pointer(faults->arena, at, "");
    if (label.ptr && text.ptr)
        fault.message = arena_format(faults->arena, "%.*s %.*s", WEIR_ARG(label), WEIR_ARG(text));
    faults_put(faults, &fault);
}

void faults_addv(struct faults *faults, weir_str path, struct place place, const char *hint,
                 const char *fmt, va_list args)
{
    weir_fault fault = { .path = path, .line = place.line, .column = place.column };

    if (faults_full(faults))
        return;
    fault.hint = hint ? arena_dup(faults->arena, weir_str_c(hint)) : WEIR_S("");
    fault.message = arena_vformat(faults->arena, fmt, args);
    faults_put(faults, &fault);
}

weir_faults faults_list(const struct faults *faults)
{
    return (weir_faults){ faults->list, faults->count, faults->left_out };
}

/* A reference token: "~" and "/" are escaped (RFC 6901, section 3). */
static void pointer_add_token(struct sink *sink, weir_str token)
{
    for (size_t i = 0; i < token.len; i++) {
        if (token.ptr[i] == '~')
            sink_add(sink, WEIR_S("~0"));
        else if (token.ptr[i] == '/')
            sink_add(sink, WEIR_S("~1"));
        else
            sink_add(sink, weir_str_from(token.ptr + i, 1));
    }
}

static void pointer_add_frame(struct sink *sink, const struct frame *at)
{
    char index[24];

    if (!at)
        return;
    pointer_add_frame(sink, at->up);
    sink_add(sink, WEIR_S("/"));
    if (at->key.ptr) {
        pointer_add_token(sink, at->key);
    } else {
        snprintf(index, sizeof index, "%zu", at->index);
        sink_add(sink, weir_str_c(index));
    }
}

weir_str frame_pointer(struct arena *arena, const struct frame *at, const char *rest)
{
    struct arena_sink sink;

    if (!at && !*rest)
        return WEIR_S("");
    arena_sink_init(&sink, arena);
    pointer_add_frame(&sink.sink, at);
    if (*rest) {
        sink_add(&sink.sink, WEIR_S("/"));
        sink_add(&sink.sink, weir_str_c(rest));
    }
    return arena_sink_str(&sink);
}

weir_str text_show(struct arena *arena, weir_str text, size_t max)
{
    bool cut = text.len > max;
    struct arena_sink sink;

    if (cut) {
        while (max > 0 && ((unsigned char)text.ptr[max] & 0xc0) == 0x80)
            max--;
        text.len = max;
    }
    arena_sink_init(&sink, arena);
    sink_add_escaped(&sink.sink, text);
    if (cut)
        sink_add(&sink.sink, WEIR_S("…"));
    return arena_sink_str(&sink);
}

/* ---- printing ------------------------------------------------------------- */

size_t weir_fault_print(char *text, size_t size, weir_str name, const weir_fault *fault)
{
    bool hinted = fault->hint.len > 0;
    int len;

    if (fault->line)
        len = snprintf(text, size, "%.*s:%u:%u: %.*s%s%.*s%s", WEIR_ARG(name), fault->line,
                       fault->column, WEIR_ARG(fault->message), hinted ? " (" : "",
                       WEIR_ARG(fault->hint), hinted ? ")" : "");
    else
        len = snprintf(text, size, "%.*s: %.*s%s%.*s%s%.*s%s", WEIR_ARG(name),
                       WEIR_ARG(fault->path), fault->path.len ? ": " : "", WEIR_ARG(fault->message),
                       hinted ? " (" : "", WEIR_ARG(fault->hint), hinted ? ")" : "");
    if (len < 0)
        len = 0;
    /* A pointer may hold any byte: one fault stays one line. */
    for (size_t i = 0; i < (size_t)len && i + 1 < size; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = '?';
    }
    return (size_t)len;
}
