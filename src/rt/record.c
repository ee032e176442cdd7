/* Reading the flight recorder; see record.h.
 *
 * The writer never waits for a reader: it overwrites. A reader copies, then looks how
 * far the writer has come meanwhile, and throws away what may have been overwritten
 * under it (one event more than was counted, as the next may be half written). */
#include "rt/record.h"

#include <string.h>

#include "base/alloc.h"
#include "base/budget.h"
#include "rt/probe.h"

static atomic_uint loops_events;

void record_loops(uint32_t events)
{
    atomic_store(&loops_events, events);
}

uint32_t record_loops_events(void)
{
    return atomic_load(&loops_events);
}

static size_t recorder_bytes(uint64_t events)
{
    return sizeof(struct recorder) + events * sizeof(struct record_event);
}

struct recorder *recorder_new(uint32_t events)
{
    struct recorder *recorder;

    if (!budget_take(BUDGET_QUEUE, recorder_bytes(events)))
        return NULL;
    recorder = base_calloc(1, recorder_bytes(events));
    if (recorder)
        recorder->mask = events - 1;
    else
        budget_give(BUDGET_QUEUE, recorder_bytes(events));
    return recorder;
}

void recorder_free(struct recorder *recorder)
{
    if (!recorder)
        return;
    recorder_free(recorder->under);
    budget_give(BUDGET_QUEUE, recorder_bytes(recorder->mask + 1));
    base_free(recorder);
}

/* Number of the oldest event that is surely whole. */
static uint64_t oldest_whole(const struct recorder *recorder)
{
    uint64_t count = atomic_load_explicit(&recorder->count, memory_order_acquire);

    return count > recorder->mask ? count - recorder->mask : 0;
}

__attribute__((no_sanitize("thread"))) static void copy_event(struct record_event *to,
                                                              const struct record_event *from)
{
    const volatile uint64_t *words = (const volatile uint64_t *)from;
    uint64_t copy[sizeof(*to) / sizeof(uint64_t)];

    for (size_t i = 0; i < sizeof(copy) / sizeof(copy[0]); i++)
        copy[i] = words[i];
    memcpy(to, copy, sizeof(*to));
}

uint32_t recorder_read(const struct recorder *recorder, uint64_t *from,
                       struct record_event *ret_events, uint32_t max)
{
    uint64_t end = atomic_load_explicit(&recorder->count, memory_order_acquire);
    uint64_t first = oldest_whole(recorder), lost;
    uint32_t count = 0;

    if (first < *from)
        first = *from;
    for (uint64_t i = first; i < end && count < max; i++)
        copy_event(&ret_events[count++], &recorder->events[i & recorder->mask]);
    atomic_thread_fence(memory_order_acquire);
    lost = oldest_whole(recorder);
    lost = lost <= first ? 0 : lost - first < count ? lost - first : count;
    memmove(ret_events, ret_events + lost, (size_t)(count - lost) * sizeof(*ret_events));
    *from = first + count;
    return (uint32_t)(count - lost);
}

const char *const probe_io_names[] = { "accept", "connect", "receive", "send", "poll" };

const char *record_kind_name(uint32_t kind)
{
    static const char *const names[RECORD_KINDS] = {
        "none", "spawn", "run", "wait", "wake", "yield", "end", "cancel", "poll", "turn", "io",
    };

    return kind < RECORD_KINDS ? names[kind] : "unknown";
}
