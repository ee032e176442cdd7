/* What other threads submit to the loops: as metrics, and told once a loop when it stays
 * as full as it can be.
 *
 * Who fills it are threads that weir does not know: what they submit is known, the
 * function of the last one. Who is to drain it is the loop: what it runs is told. */
#include "ops/submissions.h"

#include <stdint.h>
#include <stdio.h>

#include <weir/log.h>
#include <weir/metrics.h>

#include "obs/metrics.h"
#include "ops/parts.h"
#include "ops/running.h"
#include "ops/stack.h"
#include "rt/loop.h"

#define FULL_LOOKS (1000 / CHECKS_MS)

/* The checks' thread writes it. */
static struct {
    _Atomic uint32_t depth[RT_LOOPS_MAX], high[RT_LOOPS_MAX];
    _Atomic uint64_t refused[RT_LOOPS_MAX];
    uint32_t full_looks[RT_LOOPS_MAX], shown;
    bool told[RT_LOOPS_MAX];
    weir_gauge *depths, *highs;
    weir_counter *refusals;
} seen;

static double read_depth(void *arg)
{
    return atomic_load(&seen.depth[(intptr_t)arg]);
}

static double read_high(void *arg)
{
    return atomic_load(&seen.high[(intptr_t)arg]);
}

static double read_refused(void *arg)
{
    return (double)atomic_load(&seen.refused[(intptr_t)arg]);
}

static void show(uint32_t index)
{
    char text[16];
    void *arg = (void *)(intptr_t)index;
    weir_str loop;

    if (!seen.depths) {
        seen.depths = weir_gauge_new("weir_submissions_waiting",
                                     "What other threads have submitted and a loop has not begun.",
                                     .labels = { "loop" });
        seen.highs = weir_gauge_new("weir_submissions_high", "The most that have waited at once.",
                                    .labels = { "loop" });
        seen.refusals = weir_counter_new("weir_submissions_refused_total",
                                         "Submissions that were not taken, as the queue was full.",
                                         .labels = { "loop" });
    }
    snprintf(text, sizeof(text), "%u", index);
    loop = weir_str_c(text);
    metrics_read_gauge(weir_gauge_with(seen.depths, loop), read_depth, arg);
    metrics_read_gauge(weir_gauge_with(seen.highs, loop), read_high, arg);
    metrics_read_counter(weir_counter_with(seen.refusals, loop), read_refused, arg);
}

static void report(uint32_t index, weir_fn *last, const struct running *running)
{
    struct stack_frame frames[4] = { 0 };
    char filler[256], drainer[256];
    uint32_t count = stack_name((uint64_t)(uintptr_t)last, false, frames, 4);
    const struct stack_frame *frame = &frames[count ? count - 1 : 0];

    snprintf(filler, sizeof(filler), "%s (%s:%d)", frame->function, frame->file, frame->line);
    snprintf(drainer, sizeof(drainer), "loop %u, which runs %s%s%s%s", index,
             running->handle.slot ? running->name : "no task", running->handle.slot ? " (" : "",
             running->handle.slot ? running->site : "", running->handle.slot ? ")" : "");
    weir_log(WEIR_LOG_WARN, "what other threads submit to a loop has filled its queue for a second",
             WEIR_FIELD("loop", (uint64_t)index),
             WEIR_FIELD("capacity", (uint64_t)RT_SUBMISSIONS_MAX),
             WEIR_FIELD("refused", (uint64_t)atomic_load(&seen.refused[index])),
             WEIR_FIELD("last_submitted", (const char *)filler),
             WEIR_FIELD("drained_by", (const char *)drainer));
}

void submissions_check(void)
{
    for (uint32_t i = 0; i < loop_count(); i++) {
        struct running running = { 0 };
        weir_fn *last = NULL;
        int rc;
        struct loop *loop = runtime_enter(i, 0, &rc);

        if (!loop)
            return;
        pthread_mutex_lock(&loop->submit_lock);
        atomic_store(&seen.depth[i], loop->submit_count);
        atomic_store(&seen.high[i], loop->submit_high);
        atomic_store(&seen.refused[i], loop->submit_refused);
        if (loop->submit_count == RT_SUBMISSIONS_MAX)
            last = loop->submissions[(loop->submit_first + loop->submit_count - 1) %
                                     RT_SUBMISSIONS_MAX]
                       .fn;
        pthread_mutex_unlock(&loop->submit_lock);
        seen.full_looks[i] = last ? seen.full_looks[i] + 1 : 0;
        if (last)
            running_read(loop, &running);
        runtime_leave();
        if (i == seen.shown)
            show(seen.shown++);
        if (seen.full_looks[i] <= FULL_LOOKS || seen.told[i])
            continue;
        seen.told[i] = true;
        report(i, last, &running);
    }
}
