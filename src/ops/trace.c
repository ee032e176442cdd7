/* Recording a few seconds: the request "trace SECONDS" of the control socket.
 *
 * While it lasts each loop writes its events into a larger ring, which takes the place of
 * its own; the watcher's thread reads the rings a few hundred times a second and sends
 * what it finds, so that the memory it takes does not depend on how long it lasts. No loop
 * ever waits for it: what is overwritten before it was read is lost, and counted. A watcher
 * that stops reading ends the trace.
 *
 * The answer's lines are JSON documents:
 *
 *   {"trace":1,"pid":12,"loops":2,"ticks_per_second":2.4e9,"ticks":123}
 *   {"loop":0,"lost":0,"ticks":456,"texts":[[1,"sleep"]],"events":[0,3,12,5,1,0, ...]}
 *   {"end":"the time is over","events":2000,"lost":0}
 *
 * An event is six numbers: ticks since the one before (the first: since the line's), its
 * kind (enum record_kind), the task's slot and generation, the number of its text (0:
 * none), its value. A text is told before it is used.
 *
 * Invariants: one trace at a time; a ring that a loop has taken is its loop's until it has
 * given it back, and is freed with it if the runtime ends first; number is 0 unless a trace
 * lasts, so that a loop that comes late to the question leaves its own ring in place. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>

#include "base/clock.h"
#include "obs/text.h"
#include "ops/ask.h"
#include "ops/control.h"
#include "rt/loop.h"

#define TRACE_SECONDS_MAX 60
#define TRACE_RING (UINT32_C(1) << 16)
#define TRACE_READ 1024    /* events at a time */
#define TRACE_READS 128    /* of a loop in a round: twice its ring */
#define TRACE_ROUND_MS 3
#define TRACE_ASK_MS 500
#define TRACE_TEXTS 4096   /* a power of two */

static struct {
    atomic_bool busy;
    atomic_uint number, last;
} traces;

struct trace {
    uint32_t number, run, loops;
    const struct recorder *rings[RT_LOOPS_MAX]; /* NULL: it has not answered */
    uint64_t from[RT_LOOPS_MAX];
    uint64_t events, lost;
    uint32_t texts;
    struct {
        const char *text;
        uint32_t id;
    } text[TRACE_TEXTS];
    struct record_event read[TRACE_READ];
};

/* ---- the loops' rings ---------------------------------------------------------------- */

struct swap {
    struct recorder *ring; /* to be freed, unless a loop has it */
    const struct recorder *taken;
    uint32_t number;
};

static void swap_free(void *state)
{
    struct swap *swap = state;

    recorder_free(swap->ring);
    base_free(swap);
}

static bool take_ring(struct loop *loop, void *state)
{
    struct swap *swap = state;

    if (atomic_load(&traces.number) != swap->number)
        return true;
    swap->ring->under = loop->recorder;
    loop->recorder = swap->ring;
    swap->taken = swap->ring;
    swap->ring = NULL;
    return true;
}

static bool give_ring(struct loop *loop, void *state)
{
    struct swap *swap = state;

    if (!loop->recorder || loop->recorder->trace != swap->number)
        return true;
    swap->ring = loop->recorder;
    loop->recorder = swap->ring->under;
    swap->ring->under = NULL;
    return true;
}

static int begin_loop(struct trace *trace, uint32_t loop)
{
    struct swap *swap = base_calloc(1, sizeof(*swap));
    int rc;

    if (!swap)
        return -ENOMEM;
    swap->number = trace->number;
    swap->ring = recorder_new(TRACE_RING);
    if (!swap->ring) {
        base_free(swap);
        return -ENOMEM;
    }
    swap->ring->trace = trace->number;
    rc = ask_loop(loop, take_ring, swap, swap_free, TRACE_ASK_MS);
    if (rc < 0)
        return rc;
    trace->rings[loop] = swap->taken;
    swap_free(swap);
    return 0;
}

static void end_loop(const struct trace *trace, uint32_t loop)
{
    struct swap *swap = base_calloc(1, sizeof(*swap));

    if (!swap) /* it goes on until the runtime ends: more is recorded than is needed */
        return;
    swap->number = trace->number;
    if (ask_loop(loop, give_ring, swap, swap_free, TRACE_ASK_MS) == 0)
        swap_free(swap);
}

/* A loop that is held up is left out: it has no events either. */
static int begin(struct trace *trace)
{
    int rc = 0;

    if (!runtime_enter(0, 0, &rc))
        return weir_fail(-ECANCELED, "no runtime runs in this program now");
    trace->run = runtime_number();
    trace->loops = loop_count();
    runtime_leave();
    trace->number = atomic_fetch_add(&traces.last, 1) + 1;
    atomic_store(&traces.number, trace->number);
    for (uint32_t i = 0; i < trace->loops && rc != -ENOMEM; i++)
        rc = begin_loop(trace, i);
    return rc == -ENOMEM
               ? weir_fail(rc, "no memory, or no budget, for the rings of %u loops", trace->loops)
               : 0;
}

static void end(const struct trace *trace)
{
    atomic_store(&traces.number, 0);
    for (uint32_t i = 0; i < trace->loops; i++)
        end_loop(trace, i);
}

/* ---- what is sent -------------------------------------------------------------------- */

static void add_number(struct strbuf *out, int64_t number)
{
    char text[TEXT_NUMBER_BYTES];

    strbuf_add(out, weir_str_from(text, text_i64(text, number)));
}

/* The number of a text; a new one is told in texts. 0 when there are too many. */
static uint32_t text_id(struct trace *trace, struct strbuf *texts, const char *text)
{
    uint32_t at = (uint32_t)(((uintptr_t)text * UINT64_C(0x9E3779B97F4A7C15)) >> 52);

    if (!text)
        return 0;
    for (at %= TRACE_TEXTS; trace->text[at].text; at = (at + 1) % TRACE_TEXTS)
        if (trace->text[at].text == text)
            return trace->text[at].id;
    if (trace->texts >= TRACE_TEXTS * 3 / 4)
        return 0;
    trace->text[at].text = text;
    trace->text[at].id = ++trace->texts;
    strbuf_addf(texts, "%s[%u,", texts->len ? "," : "", trace->texts);
    strbuf_add_json(texts, weir_str_c(text));
    strbuf_add_char(texts, ']');
    return trace->texts;
}

static void add_events(struct trace *trace, struct strbuf *out, uint32_t loop, uint32_t count,
                       uint64_t lost)
{
    struct strbuf texts = STRBUF_INIT, events = STRBUF_INIT;
    uint64_t before = count ? trace->read[0].ticks : 0;

    for (uint32_t i = 0; i < count; i++) {
        const struct record_event *event = &trace->read[i];
        int64_t numbers[] = {
            (int64_t)(event->ticks - before),    event->kind, event->slot, event->generation,
            text_id(trace, &texts, event->what), event->value
        };

        for (int j = 0; j < 6; j++) {
            if (i + (uint32_t)j > 0)
                strbuf_add_char(&events, ',');
            add_number(&events, numbers[j]);
        }
        before = event->ticks;
    }
    strbuf_addf(out, "{\"loop\":%u,\"lost\":%llu,\"ticks\":%llu,\"texts\":[", loop,
                (unsigned long long)lost, (unsigned long long)(count ? trace->read[0].ticks : 0));
    strbuf_add(out, strbuf_str(&texts));
    strbuf_add_c(out, "],\"events\":[");
    strbuf_add(out, strbuf_str(&events));
    strbuf_add_c(out, "]}\n");
    out->bad |= texts.bad | events.bad;
    strbuf_done(&texts);
    strbuf_done(&events);
}

/* What a loop has, once: how many events, or -ECANCELED when the runtime has ended. */
static int read_some(struct trace *trace, uint32_t loop, uint64_t *ret_lost)
{
    uint64_t from = trace->from[loop];
    uint32_t count;
    int rc;

    if (!runtime_enter(loop, trace->run, &rc))
        return -ECANCELED;
    count = recorder_read(trace->rings[loop], &trace->from[loop], trace->read, TRACE_READ);
    runtime_leave();
    *ret_lost = trace->from[loop] - from - count;
    return (int)count;
}

/* Send what all loops have. 0, -ECANCELED, or -EPIPE: nobody reads. */
static int round_of(struct trace *trace, struct strbuf *out)
{
    for (uint32_t i = 0; i < trace->loops; i++) {
        int count = TRACE_READ;

        for (int reads = 0; trace->rings[i] && count == TRACE_READ && reads < TRACE_READS;
             reads++) {
            uint64_t lost = 0;

            count = read_some(trace, i, &lost);
            if (count < 0)
                return count;
            trace->events += (uint32_t)count;
            trace->lost += lost;
            if (count > 0 || lost > 0)
                add_events(trace, out, i, (uint32_t)count, lost);
            if (out->len > 0 && !control_flush(out))
                return -EPIPE;
        }
    }
    return 0;
}

static const char *record(struct trace *trace, struct strbuf *out, uint64_t seconds)
{
    int64_t until_ns = clock_monotonic_ns() + (int64_t)seconds * 1000000000;
    int rc = 0;

    while (rc == 0 && clock_monotonic_ns() < until_ns) {
        if (!control_wait_ms(TRACE_ROUND_MS))
            return NULL;
        rc = round_of(trace, out);
    }
    return rc == 0 ? "the time is over" : rc == -ECANCELED ? "the runtime has ended" : NULL;
}

static int trace_run(struct trace *trace, struct strbuf *out, uint64_t seconds)
{
    const char *why = NULL;
    int rc = begin(trace);

    strbuf_addf(out,
                "{\"trace\":1,\"pid\":%d,\"loops\":%u,\"ticks_per_second\":%.17g,\"ticks\":%llu}\n",
                (int)getpid(), trace->loops, ticks_per_second(), (unsigned long long)ticks_now());
    if (rc == 0)
        why = control_flush(out) ? record(trace, out, seconds) : NULL;
    strbuf_clear(out);
    end(trace);
    if (rc == 0)
        strbuf_addf(out, "{\"end\":\"%s\",\"events\":%llu,\"lost\":%llu}",
                    why ? why : "nobody reads", (unsigned long long)trace->events,
                    (unsigned long long)trace->lost);
    return rc;
}

int control_trace(struct strbuf *out, const char *args)
{
    struct trace *trace;
    uint64_t seconds;
    int rc;

    if (!control_number(&args, TRACE_SECONDS_MAX, &seconds) || seconds == 0 || *args)
        return weir_fail(-EINVAL, "trace takes a number of seconds from 1 to %d",
                         TRACE_SECONDS_MAX);
    if (!VISIBLE)
        return weir_fail(-ENOTSUP, "this program was built without its recorder");
    if (atomic_exchange(&traces.busy, true))
        return weir_fail(-EBUSY, "a trace is being recorded already: wait for its end");
    trace = base_calloc(1, sizeof(*trace));
    rc = trace ? trace_run(trace, out, seconds) : -ENOMEM;
    base_free(trace);
    atomic_store(&traces.busy, false);
    return rc;
}
