/* Opening and closing what looks into the program; see weir/inspect.h.
 *
 * The parts do not know each other: each is opened in the order of the table and closed in
 * the opposite one, and one that can't be opened closes those before it. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <weir/error.h>

#include "obs/log.h"
#include "ops/ask.h"
#include "ops/parts.h"
#include "ops/stack.h"
#include "rt/loop.h"
#include "rt/place.h"

static const struct part {
    int (*open)(const weir_inspect_opts *opts);
    void (*close)(void);
} parts[] = {
    { checks_open, checks_close },   { watchdog_open, watchdog_close }, { crash_open, crash_close },
    { control_open, control_close }, { dump_open, dump_close },
};

#define PARTS (sizeof(parts) / sizeof(parts[0]))

static bool is_open;
static pid_t opened_by;

/* For what a debug build stops at, so it may be slow. */
static bool name_place(const void *at, bool is_return, char *text, size_t size)
{
    struct stack_frame frame;

    if (stack_name((uint64_t)(uintptr_t)at, is_return, &frame, 1) == 0 || !frame.function[0])
        return false;
    if (frame.file[0])
        snprintf(text, size, "%s:%d %s", frame.file, frame.line, frame.function);
    else
        snprintf(text, size, "%s", frame.function);
    return true;
}

static void close_parts(size_t count)
{
    place_named_by(NULL);
    while (count > 0)
        parts[--count].close();
    ask_done();
    record_loops(0);
}

static int check_opts(const weir_inspect_opts *opts)
{
    if (is_open)
        return weir_fail(-EINVAL, "weir_inspect_open(): it is open already");
    if (opts->recorder_events & (opts->recorder_events - 1) ||
        opts->recorder_events > RECORD_EVENTS_MAX)
        return weir_fail(-EINVAL, "recorder_events is %u: it must be a power of two, at most %u",
                         opts->recorder_events, RECORD_EVENTS_MAX);
    return 0;
}

int weir_inspect_open_opt(const weir_inspect_opts *opts)
{
    weir_inspect_opts own = *opts;
    int rc = check_opts(&own);

    if (rc < 0)
        return rc;
    if (own.recorder_events == 0)
        own.recorder_events = RECORD_EVENTS;
    log_failures();
    place_named_by(name_place);
    if (!own.no_recorder)
        record_loops(own.recorder_events);
    for (size_t i = 0; i < PARTS && rc == 0; i++) {
        rc = parts[i].open(&own);
        if (rc < 0)
            close_parts(i);
    }
    is_open = rc == 0;
    opened_by = getpid();
    return rc;
}

void weir_inspect_close(void)
{
    /* The child of a fork has none of the threads. */
    if (is_open && opened_by == getpid())
        close_parts(PARTS);
    is_open = false;
}
