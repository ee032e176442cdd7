/* A stack as text: what the program itself did, without the runtime's machinery at both
 * ends. */
#include <stdio.h>
#include <string.h>

#include "ops/stack.h"

#define INLINED_MAX 8
#define NOTE_BYTES 80

struct text {
    char *at;
    size_t len, size;
    uint32_t left_out; /* lines that had no room */
};

/* Between a task that waits and what it waits in. */
static bool is_switch(const char *function)
{
    static const char *const names[] = {
        "context_switch", "context_jump", "fiber_jump",       "fiber_yield_to_next",
        "park",           "rt_park",      "rt_park_shielded",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(function, names[i]) == 0)
            return true;
    return false;
}

/* Below a task's own function. */
static bool is_bottom(const char *function)
{
    return strcmp(function, "fiber_loop") == 0 || strncmp(function, "fiber_main", 10) == 0;
}

static void append(struct text *text, const char *line, size_t len)
{
    memcpy(text->at + text->len, line, len + 1);
    text->len += len;
}

/* What has no room, and all behind it, is counted; the note that says so has room. */
static void add_line(struct text *text, const struct stack_frame *frame)
{
    char line[512];
    int len;

    if (frame->file[0])
        len = snprintf(line, sizeof(line), "%s    %s  %s:%d", text->len ? "\n" : "",
                       frame->function[0] ? frame->function : "?", frame->file, frame->line);
    else
        len = snprintf(line, sizeof(line), "%s    %s  %s 0x%llx", text->len ? "\n" : "",
                       frame->function[0] ? frame->function : "?",
                       frame->module[0] ? frame->module : "?", (unsigned long long)frame->pc);
    if (text->left_out > 0 || text->len + (size_t)len + NOTE_BYTES > text->size)
        text->left_out++;
    else
        append(text, line, (size_t)len);
}

/* A stack that does not end where a task's, or a thread's, does. */
static void add_note(struct text *text, const struct stack_copy *copy, uint32_t count)
{
    char more[NOTE_BYTES] = "", line[NOTE_BYTES];
    int len;

    if (count == STACK_FRAMES_MAX)
        snprintf(more, sizeof(more), "calls beyond the %d innermost", STACK_FRAMES_MAX);
    else if (copy->cut)
        snprintf(more, sizeof(more), "calls beyond %zu bytes of stack", copy->len);
    if (text->left_out > 0)
        len = snprintf(line, sizeof(line), "%s    and %u calls more%s%s", text->len ? "\n" : "",
                       text->left_out, *more ? ", and " : "", more);
    else
        len = *more ? snprintf(line, sizeof(line), "%s    and %s", text->len ? "\n" : "", more) : 0;
    if (len > 0 && text->len + (size_t)len < text->size)
        append(text, line, (size_t)len);
}

/* True: the task's own function has been told. */
static bool add_frames(struct text *text, const uint64_t *pcs, uint32_t count)
{
    bool begun = false;

    for (uint32_t i = 0; i < count; i++) {
        struct stack_frame frames[INLINED_MAX];
        uint32_t found = stack_name(pcs[i], i > 0, frames, INLINED_MAX);

        for (uint32_t k = 0; k < found; k++) {
            if (is_bottom(frames[k].function))
                return true;
            begun = begun || !is_switch(frames[k].function);
            if (begun)
                add_line(text, &frames[k]);
        }
    }
    return false;
}

size_t stack_print(const struct stack_copy *copy, char *text, size_t size)
{
    struct text out = { .at = text, .size = size };
    uint64_t pcs[STACK_FRAMES_MAX];
    uint32_t count = stack_unwind(copy, pcs, STACK_FRAMES_MAX);
    bool whole;

    if (size == 0)
        return 0;
    text[0] = '\0';
    whole = add_frames(&out, pcs, count);
    if (!whole || out.left_out > 0)
        add_note(&out, copy, whole ? 0 : count);
    return out.len;
}
