/* The flight recorder: the last events of a loop, in a ring that its thread writes and
 * anybody may read while it turns: a crash handler, an operator's view, a trace.
 *
 * It is off until someone turns it on; off, an event costs a load and a branch. An
 * event's text is a pointer to a string that lives as long as the program.
 *
 * With WEIR_VISIBLE=OFF none of it is compiled in. */
#ifndef RT_RECORD_H
#define RT_RECORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ticks.h"

#define RECORD_EVENTS 4096 /* kept for a loop, by default; a power of two */
#define RECORD_EVENTS_MAX (UINT32_C(1) << 24)

enum record_kind {
    RECORD_NONE,
    RECORD_SPAWN,  /* a task was made; what: its site; value: the slot of who made it */
    RECORD_RUN,    /* it has the loop, until the next event of the kinds below */
    RECORD_WAIT,   /* it parks; what: for what */
    RECORD_WAKE,   /* what it waits for has come; value: the slot of the task that did it */
    RECORD_YIELD,  /* it goes behind the others that are ready */
    RECORD_END,    /* it has ended; value: its result */
    RECORD_CANCEL, /* a scope is cancelled; what: where that began; value: the code */
    RECORD_POLL,   /* the loop looks for input */
    RECORD_TURN,   /* and has it: a turn begins */
    RECORD_IO,     /* an operation has ended; what: its kind; value: its result */
    RECORD_KINDS
};

struct record_event {
    uint64_t ticks;
    const char *what;          /* or NULL */
    uint32_t slot, generation; /* the task's handle; 0: none */
    int32_t value;
    uint32_t kind;
};

struct recorder {
    _Atomic uint64_t count; /* of events so far; written by the loop alone */
    uint64_t mask;
    struct recorder *under; /* the one that this one is in the place of, for a trace; or NULL */
    uint32_t trace;         /* its number; 0: it is no trace's */
    struct record_event events[];
};

/* Loops of runtimes that start from now on have a recorder of so many events; 0: none. */
void record_loops(uint32_t events);
/* What record_loops() said last. */
uint32_t record_loops_events(void);

/* NULL without memory or budget. events: a power of two. */
struct recorder *recorder_new(uint32_t events);
/* Also the one that it is in the place of. */
void recorder_free(struct recorder *recorder);
/* What it has of the events from number *from on, oldest first, at most max; *from
 * becomes the number of the first one behind them. Events that were overwritten are left
 * out. Any thread, also a signal handler; the recorder must stay. Returns how many. */
uint32_t recorder_read(const struct recorder *recorder, uint64_t *from,
                       struct record_event *ret_events, uint32_t max);
const char *record_kind_name(uint32_t kind);

static inline void recorder_add(struct recorder *recorder, enum record_kind kind, uint32_t slot,
                                uint32_t generation, const char *what, int32_t value)
{
    uint64_t count = atomic_load_explicit(&recorder->count, memory_order_relaxed);
    struct record_event *event = &recorder->events[count & recorder->mask];

    event->ticks = ticks_now();
    event->what = what;
    event->slot = slot;
    event->generation = generation;
    event->value = value;
    event->kind = kind;
    atomic_store_explicit(&recorder->count, count + 1, memory_order_release);
}

#endif
