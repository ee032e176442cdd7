/* The last events of each loop, for the control socket: what its recorder holds.
 *
 * A loop copies its own, in one step: a trace may put another recorder in the place of the
 * one that is there, and only the loop's thread knows which one stands. */
#include <errno.h>

#include <weir/error.h>

#include "base/alloc.h"
#include "ops/ask.h"
#include "ops/control.h"
#include "ops/tasks.h"
#include "rt/loop.h"

#define EVENTS_MAX 4096 /* of a loop, in one answer */
#define EVENTS_USUAL 1000

struct last {
    uint32_t wanted, count;
    uint64_t total; /* since it is recorded */
    uint64_t now;   /* in ticks */
    bool recorded;
    struct record_event events[EVENTS_MAX];
};

static bool copy_step(struct loop *loop, void *state)
{
    struct last *last = state;
    const struct recorder *recorder = loop->recorder;
    uint64_t from;

    last->now = ticks_now();
    if (!recorder)
        return true;
    last->recorded = true;
    last->total = atomic_load(&recorder->count);
    from = last->total > last->wanted ? last->total - last->wanted : 0;
    last->count = recorder_read(recorder, &from, last->events, last->wanted);
    return true;
}

static void add_event(struct strbuf *out, uint32_t loop, const struct last *last,
                      const struct record_event *event)
{
    uint64_t ago = last->now > event->ticks ? last->now - event->ticks : 0;

    strbuf_addf(out, "{\"ago_us\":%.1f,\"event\":\"%s\"", (double)ticks_to_ns(ago) / 1e3,
                record_kind_name(event->kind));
    if (event->slot)
        strbuf_addf(out, ",\"task\":\"%u.%u.%u\"", loop, event->slot, event->generation);
    if (event->what)
        tasks_add_member(out, "what", event->what);
    strbuf_addf(out, ",\"value\":%d}", event->value);
}

static void add_loop(struct strbuf *out, uint32_t index, uint32_t wanted)
{
    struct last *last = base_calloc(1, sizeof(*last));
    int rc = -ENOMEM;

    if (last) {
        last->wanted = wanted;
        rc = ask_loop(index, copy_step, last, NULL, TASKS_ANSWER_MS);
    }
    tasks_add_loop(out, index, rc);
    if (rc < 0 || out->bad) {
        if (rc == 0)
            base_free(last);
        return;
    }
    out->len--; /* its brace: there is more to say */
    strbuf_addf(out, ",\"recorded\":%s,\"events_ever\":%llu,\"events\":[",
                last->recorded ? "true" : "false", (unsigned long long)last->total);
    for (uint32_t i = 0; i < last->count; i++) {
        if (i > 0)
            strbuf_add_char(out, ',');
        add_event(out, index, last, &last->events[i]);
    }
    strbuf_add_c(out, "]}");
    base_free(last);
}

/* recorder [LOOP [EVENTS]]: oldest first. */
int control_recorder(struct strbuf *out, const char *args)
{
    uint64_t loop = 0, events = EVENTS_USUAL;
    uint32_t count = loop_count();
    bool one = *args != '\0', first = true;

    if (one && !control_number(&args, RT_LOOPS_MAX - 1, &loop))
        return weir_fail(-EINVAL, "what follows \"recorder\" is a loop's number, and how many "
                                  "events are wanted");
    if (one && *args && (!control_number(&args, EVENTS_MAX, &events) || *args || events == 0))
        return weir_fail(-EINVAL, "a number of events is 1 to %d", EVENTS_MAX);
    if (one && loop >= count)
        return weir_fail(-EINVAL, "there is no loop %u: there are %u", (unsigned)loop, count);
    strbuf_add_c(out, "{\"loops\":[");
    for (uint32_t i = 0; i < count; i++) {
        if (one && i != loop)
            continue;
        if (!first)
            strbuf_add_char(out, ',');
        first = false;
        add_loop(out, i, (uint32_t)events);
    }
    strbuf_add_c(out, "]}");
    return 0;
}
