/* A stack as text: what the program itself did, without the runtime's machinery at both
 * ends. */
#include <stdio.h>
#include <string.h>

#include "ops/stack.h"

#define INLINED_MAX 8

struct text {
    char *at;
    size_t len, size;
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
    if (len > 0 && text->len + (size_t)len < text->size) {
        memcpy(text->at + text->len, line, (size_t)len + 1);
        text->len += (size_t)len;
    }
}

size_t stack_print(const struct stack_copy *copy, char *text, size_t size)
{
    struct text out = { text, 0, size };
    uint64_t pcs[STACK_FRAMES_MAX];
    uint32_t count = stack_unwind(copy, pcs, STACK_FRAMES_MAX);
    bool begun = false;

    if (size > 0)
        text[0] = '\0';
    for (uint32_t i = 0; i < count; i++) {
        struct stack_frame frames[INLINED_MAX];
        uint32_t found = stack_name(pcs[i], i > 0, frames, INLINED_MAX);

        for (uint32_t k = 0; k < found; k++) {
            if (is_bottom(frames[k].function))
                return out.len;
            begun = begun || !is_switch(frames[k].function);
            if (begun)
                add_line(&out, &frames[k]);
        }
    }
    return out.len;
}
