/* One line an event: the recorder's (record.h), and a probe of the same name for tools that
 * look from outside (bpftrace, perf, SystemTap): provider "weir", names as in
 * record_kind_name(). Where <sys/sdt.h> is missing the probes are left out.
 *
 * A probe that nobody uses is one instruction that does nothing, and a note in the file. Its
 * arguments are described where they are, not moved: so they must be at hand already. All
 * probes have the same:
 *
 *   arg1  the loop's index
 *   arg2  the task's slot, 0: none
 *   arg3  the task's generation
 *   arg4  a text, or 0: what record.h says of the event
 *   arg5  a number: the same; 0 for spawn and wake */
#ifndef RT_PROBE_H
#define RT_PROBE_H

#include "rt/loop.h"

#if defined(WEIR_HAS_SDT) && !defined(WEIR_INVISIBLE)
#include <sys/sdt.h>

#define PROBE_RECORD_SPAWN spawn
#define PROBE_RECORD_RUN run
#define PROBE_RECORD_WAIT wait
#define PROBE_RECORD_WAKE wake
#define PROBE_RECORD_YIELD yield
#define PROBE_RECORD_END end
#define PROBE_RECORD_CANCEL cancel
#define PROBE_RECORD_POLL poll
#define PROBE_RECORD_TURN turn
#define PROBE_RECORD_IO io
#define PROBE(kind, loop, slot, generation, what, value) \
    STAP_PROBE5(weir, PROBE_##kind, (loop)->index, slot, generation, what, value)
#else
#define PROBE(kind, loop, slot, generation, what, value) ((void)0)
#endif

/* An event of a task, on its own loop's thread. */
#define TRACE_TASK(loop, kind, task, what, value)                                        \
    do {                                                                                 \
        PROBE(kind, loop, (task)->head.slot, (task)->head.generation, what, value);      \
        loop_record(loop, kind, task, what, value);                                      \
    } while (0)

/* The same, of what the running task does to another. */
#define TRACE_BY(loop, kind, task, what)                                                 \
    do {                                                                                 \
        PROBE(kind, loop, (task)->head.slot, (task)->head.generation, what, 0);          \
        if (VISIBLE && unlikely((loop)->recorder != NULL))                               \
            recorder_add((loop)->recorder, kind, (task)->head.slot,                      \
                         (task)->head.generation, what, probe_running_slot(loop));       \
    } while (0)

/* An event of the loop alone. */
#define TRACE_LOOP(loop, kind, what, value)                                              \
    do {                                                                                 \
        PROBE(kind, loop, 0, 0, what, value);                                            \
        loop_record(loop, kind, NULL, what, value);                                      \
    } while (0)

/* An operation has ended. */
#define TRACE_IO(loop, op)                                                               \
    do {                                                                                 \
        PROBE(RECORD_IO, loop, 0, 0, probe_io_names[(op)->kind], (op)->res);             \
        loop_record(loop, RECORD_IO, NULL, probe_io_names[(op)->kind], (op)->res);       \
    } while (0)

/* By enum io_kind. */
extern const char *const probe_io_names[];

static inline int32_t probe_running_slot(const struct loop *loop)
{
    return loop->current && loop->current->task ? (int32_t)loop->current->task->head.slot : 0;
}

#endif
