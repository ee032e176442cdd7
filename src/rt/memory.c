/* Memory of the current task: its exchange's arena, or its own. */
#include <stdarg.h>

#include "base/clock.h"
#include "rt/loop.h"

static struct arena *current_arena(const char *call)
{
    struct arena *arena = rt_arena();

    if (likely(arena != NULL))
        return arena;
    rt_wrong_use("%s was called outside a task", call);
    return NULL;
}

void *weir_alloc(size_t bytes)
{
    struct arena *arena = current_arena("weir_alloc()");

    return arena ? arena_alloc(arena, bytes) : NULL;
}

weir_str weir_format(const char *fmt, ...)
{
    struct arena *arena = current_arena("weir_format()");
    weir_str text = { NULL, 0 };
    va_list args;

    if (!arena)
        return text;
    va_start(args, fmt);
    text = arena_vformat(arena, fmt, args);
    va_end(args);
    return text;
}

weir_str weir_str_dup(weir_str s)
{
    struct arena *arena = current_arena("weir_str_dup()");

    return arena ? arena_dup(arena, s) : (weir_str){ NULL, 0 };
}

weir_time weir_now(void)
{
    if (loop_current)
        return (weir_time){ loop_current->now_ns };
    return (weir_time){ clock_monotonic_ns() };
}
