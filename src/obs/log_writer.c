/* The thread that writes the rings out.
 *
 * Why a thread: a disk that stalls, a terminal that is stopped or a collector
 * that is slow must hold up this thread and nothing else. When the output fails
 * the lines stay in the rings and it is tried again, ever more slowly; the rings
 * fill, and what then finds no room is dropped and counted. Once it works again
 * the log tells how long it did not, and how much is missing.
 *
 * States: see enum log_writer_state. After lines it naps rather than sleeps, so
 * that a busy program pays for no wake-up.
 *
 * Invariants: only the holder of draining takes from rings, writes, and uses the
 * writer's fields below it. A ring is written up to a head that was read once,
 * which is a line's end, before anything else is written: lines never mix. */
#include "obs/log_state.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <weir/error.h>

#include "base/clock.h"

#define MS INT64_C(1000000)
#define NAP_MS 10
#define FOLD_LOOK_MS 250
#define RETRY_MS 100
#define RETRY_MS_MAX 1000
#define REPORT_EVERY_NS (1000 * MS)

/* ---- waiting and waking -------------------------------------------------- */

static void state_wait(struct log_writer *w, uint32_t state, int64_t timeout_ms)
{
    struct timespec ts = { .tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * MS };

    syscall(SYS_futex, &w->state, FUTEX_WAIT_PRIVATE, state, timeout_ms < 0 ? NULL : &ts, NULL, 0);
}

void log_writer_wake(struct log *log)
{
    int saved = errno;

    atomic_store(&log->writer.state, LOG_AWAKE);
    syscall(SYS_futex, &log->writer.state, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    errno = saved;
}

void log_writer_poke(struct log *log, uint64_t used, uint64_t size)
{
    uint32_t state = atomic_load_explicit(&log->writer.state, memory_order_seq_cst);

    if (state == LOG_ASLEEP || (state == LOG_NAPPING && used > size / 2))
        log_writer_wake(log);
}

static bool is_closing(struct log_writer *w)
{
    return atomic_load(&w->closing);
}

static bool is_asked(struct log_writer *w)
{
    return is_closing(w) || atomic_load(&w->flushing) > 0;
}

/* ---- output -------------------------------------------------------------- */

/* A descriptor that is no file may block: it is written only when it says that
 * it has room, and then no more than a pipe takes without blocking. */
static ssize_t write_fd(struct log *log, weir_str bytes)
{
    struct pollfd p = { .fd = log->fd, .events = POLLOUT };
    ssize_t n;

    if (!log->fd_is_file) {
        bytes.len = bytes.len < PIPE_BUF ? bytes.len : PIPE_BUF;
        n = poll(&p, 1, RETRY_MS);
        if (n <= 0)
            return n < 0 ? -errno : -EAGAIN;
    }
    n = write(log->fd, bytes.ptr, bytes.len);
    return n < 0 ? -errno : n;
}

/* How many bytes were taken (> 0), or a negative code. */
static ssize_t write_some(struct log *log, weir_str bytes)
{
    ssize_t n;

    do
        n = log->sink ? log->sink(log->sink_arg, bytes.ptr, bytes.len) : write_fd(log, bytes);
    while (n == -EINTR);
    return n == 0 ? -EAGAIN : n;
}

/* ---- the log's own lines ------------------------------------------------- */

static void report(struct log *log, weir_str message, const weir_log_field *fields, size_t count)
{
    struct log_writer *w = &log->writer;
    struct log_event e = { .wall_ns = log_wall_ns(log),
                           .level = WEIR_LOG_WARN,
                           .message = message,
                           .fields = fields,
                           .field_count = count };

    w->report = weir_str_from(w->work.line, log_line(&w->work, log->style, &e));
}

static void report_outage(struct log *log, int64_t now_ns)
{
    struct log_writer *w = &log->writer;

    snprintf(w->work.text, sizeof w->work.text, "the log could not be written for %lld ms: %s (%s)",
             (long long)((now_ns - w->failed_at_ns) / MS), weir_error_text(w->error),
             weir_error_name(w->error));
    w->error = 0;
    report(log, weir_str_c(w->work.text), NULL, 0);
}

static uint64_t dropped(struct log *log, int level)
{
    return atomic_load_explicit(&log->dropped[level], memory_order_relaxed);
}

static void report_drops(struct log *log, int64_t now_ns)
{
    struct log_writer *w = &log->writer;
    weir_log_field fields[LOG_LEVELS];
    uint64_t sum = 0;
    size_t count = 0;

    if (now_ns - w->dropped_told_at_ns < REPORT_EVERY_NS && !is_asked(w))
        return;
    for (int i = WEIR_LOG_ERROR; i <= WEIR_LOG_DEBUG; i++) {
        uint64_t all = dropped(log, i), n = all - w->dropped_told[i];

        if (n == 0)
            continue;
        fields[count++] = weir_field_u64(weir_log_level_name((weir_log_level)i), n);
        sum += n;
        w->dropped_told[i] = all;
    }
    if (sum == 0)
        return;
    w->dropped_told_at_ns = now_ns;
    snprintf(w->work.text, sizeof w->work.text, "dropped %llu line%s: there was no room in the log",
             (unsigned long long)sum, sum == 1 ? "" : "s");
    report(log, weir_str_c(w->work.text), fields, count);
}

static int write_report(struct log *log)
{
    struct log_writer *w = &log->writer;

    while (w->report.len > 0) {
        ssize_t n = write_some(log, w->report);

        if (n < 0)
            return (int)n;
        w->report = weir_str_skip(w->report, (size_t)n);
    }
    return 0;
}

/* What threads have left out that repeats; 0, or what the output said. */
static int report_folds(struct log *log)
{
    char text[LOG_FOLD_TEXT_BYTES + 64];
    int rc = 0;

    for (uint32_t i = 0; i < LOG_PRODUCERS && rc == 0; i++) {
        struct log_producer *p = atomic_load(&log->producers[i]);
        bool all = is_asked(&log->writer) || (p && atomic_load(&p->gone));

        if (!p || !log_fold_take(&p->fold, log_wall_ns(log), all, text, sizeof(text)))
            continue;
        report(log, weir_str_c(text), NULL, 0);
        rc = write_report(log);
    }
    return rc;
}

static bool folds_wait(struct log *log)
{
    for (uint32_t i = 0; i < LOG_PRODUCERS; i++) {
        struct log_producer *p = atomic_load(&log->producers[i]);

        if (p && atomic_load(&p->fold.count) > 0)
            return true;
    }
    return false;
}

/* ---- draining ------------------------------------------------------------ */

/* Write a ring up to w->until; 0, or what the output said. */
static int drain_ring(struct log *log, struct log_ring *ring)
{
    struct log_writer *w = &log->writer;

    while (log_ring_tail(ring) != w->until) {
        ssize_t n = write_some(log, log_ring_peek(ring, w->until));

        if (n < 0)
            return (int)n;
        w->partly = true;
        log_ring_take(ring, (uint64_t)n);
    }
    w->partly = false;
    return 0;
}

/* A producer whose thread has ended and whose lines are out is freed. */
static void drop_gone(struct log *log, uint32_t i, struct log_producer *p)
{
    if (!atomic_load(&p->gone) || atomic_load(&p->fold.count) > 0 ||
        log_ring_head(&p->ring) != log_ring_tail(&p->ring) ||
        pthread_mutex_trylock(&log->lock) != 0)
        return;
    log_producer_free(log, i);
    pthread_mutex_unlock(&log->lock);
}

/* What has to be finished before anything else is written. */
static int drain_rest(struct log *log)
{
    struct log_writer *w = &log->writer;
    int rc = 0;

    if (w->partly)
        rc = drain_ring(log, &atomic_load(&log->producers[w->at])->ring);
    return rc < 0 ? rc : write_report(log);
}

/* One pass over all rings: 1 when lines were written, 0 when there were none, or
 * what the output said. */
static int drain_all(struct log *log)
{
    struct log_writer *w = &log->writer;
    int rc = drain_rest(log), moved = 0;

    for (uint32_t i = 0; i < LOG_PRODUCERS && rc == 0; i++) {
        struct log_producer *p = atomic_load(&log->producers[i]);

        if (!p)
            continue;
        w->at = i;
        w->until = log_ring_head(&p->ring);
        if (log_ring_tail(&p->ring) != w->until) {
            rc = drain_ring(log, &p->ring);
            moved = 1;
        }
        if (rc == 0)
            drop_gone(log, i, p);
    }
    return rc < 0 ? rc : moved;
}

/* A pass, and the reports that are due after it. */
static int drain(struct log *log)
{
    struct log_writer *w = &log->writer;
    int rc = drain_all(log), reported = 0;
    int64_t now_ns = clock_monotonic_ns();

    if (rc < 0 && rc != -EAGAIN) {
        if (w->error == 0)
            w->failed_at_ns = now_ns;
        w->error = rc;
    } else if (rc > 0 && w->error != 0) {
        report_outage(log, now_ns);
        reported = write_report(log);
    }
    if (rc >= 0 && reported == 0) {
        report_drops(log, now_ns);
        reported = write_report(log);
    }
    if (rc >= 0 && reported == 0)
        reported = report_folds(log);
    return rc < 0 || reported == 0 ? rc : reported;
}

static int drain_locked(struct log *log)
{
    bool taken = false;
    int rc;

    while (!atomic_compare_exchange_strong(&log->writer.draining, &taken, true)) {
        taken = false;
        sched_yield();
    }
    rc = drain(log);
    atomic_store(&log->writer.draining, false);
    return rc;
}

/* ---- the thread ---------------------------------------------------------- */

static bool all_empty(struct log *log)
{
    for (uint32_t i = 0; i < LOG_PRODUCERS; i++) {
        struct log_producer *p = atomic_load(&log->producers[i]);

        if (p && (log_ring_head(&p->ring) != log_ring_tail(&p->ring) || atomic_load(&p->gone)))
            return false;
    }
    return true;
}

/* Announce the wait, then look again: whoever comes later sees the announcement. */
static void writer_rest(struct log *log, enum log_writer_state state, int64_t timeout_ms)
{
    struct log_writer *w = &log->writer;

    atomic_store(&w->state, state);
    if (!is_asked(w) && (state != LOG_ASLEEP || all_empty(log)))
        state_wait(w, state, timeout_ms);
    atomic_store(&w->state, LOG_AWAKE);
}

/* Lines that can't be written before the end are given up. */
static void give_up(struct log *log, int rc)
{
    for (uint32_t i = 0; i < LOG_PRODUCERS; i++) {
        struct log_producer *p = atomic_load(&log->producers[i]);

        if (p)
            log_ring_take(&p->ring, log_ring_head(&p->ring) - log_ring_tail(&p->ring));
    }
    log->writer.partly = false;
    log->writer.report.len = 0;
    log->writer.result = rc == -EAGAIN ? -ETIMEDOUT : rc;
}

/* The wait while the output fails. An end or a flush that is asked for makes it
 * short, not absent. */
static void writer_stuck(struct log *log, int64_t *retry_ms)
{
    struct log_writer *w = &log->writer;

    if (is_asked(w)) {
        poll(NULL, 0, 1);
        return;
    }
    writer_rest(log, LOG_STUCK, *retry_ms);
    *retry_ms = *retry_ms * 2 < RETRY_MS_MAX ? *retry_ms * 2 : RETRY_MS_MAX;
}

static void *writer_main(void *arg)
{
    struct log *log = arg;
    struct log_writer *w = &log->writer;
    int64_t retry_ms = RETRY_MS, close_by_ns = WEIR_NEVER_NS;

    for (;;) {
        uint32_t asked = atomic_load(&w->flush_asked);
        bool closing = is_closing(w);
        int rc = drain_locked(log);

        if (closing && close_by_ns == WEIR_NEVER_NS)
            close_by_ns = clock_monotonic_ns() + log->close_ms * MS;
        if (rc == 0) {
            atomic_store(&w->flush_done, asked);
            if (closing)
                return NULL;
        } else if (rc < 0 && clock_monotonic_ns() >= close_by_ns) {
            give_up(log, rc);
            return NULL;
        }
        if (rc < 0) {
            writer_stuck(log, &retry_ms);
            continue;
        }
        retry_ms = RETRY_MS;
        if (rc > 0)
            writer_rest(log, LOG_NAPPING, NAP_MS);
        else
            writer_rest(log, LOG_ASLEEP, folds_wait(log) ? FOLD_LOOK_MS : -1);
    }
}

int log_writer_start(struct log *log)
{
    struct log_writer *w = &log->writer;
    sigset_t all, old;
    int rc;

    atomic_store(&w->state, LOG_AWAKE);
    atomic_store(&w->closing, false);
    w->error = w->result = 0;
    sigfillset(&all); /* EPIPE instead of SIGPIPE, and no handler runs here */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&w->thread, NULL, writer_main, log);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc == 0)
        pthread_setname_np(w->thread, "weir-log");
    return -rc;
}

int log_writer_stop(struct log *log)
{
    atomic_store(&log->writer.closing, true);
    log_writer_wake(log);
    pthread_join(log->writer.thread, NULL);
    return log->writer.result;
}

/* The thread may be the one that died, or be stuck: then the caller writes. */
static int flush_self(struct log *log)
{
    bool taken = false;
    int rc = 1;

    if (!atomic_compare_exchange_strong(&log->writer.draining, &taken, true))
        return -ETIMEDOUT;
    while (rc > 0)
        rc = drain(log);
    atomic_store(&log->writer.draining, false);
    return rc < 0 ? -ETIMEDOUT : 0;
}

int log_writer_flush(struct log *log, uint32_t timeout_ms)
{
    struct log_writer *w = &log->writer;
    uint32_t asked = atomic_fetch_add(&w->flush_asked, 1) + 1;
    int64_t until_ns = clock_monotonic_ns() + timeout_ms * MS;
    int rc = 0;

    atomic_fetch_add(&w->flushing, 1);
    log_writer_wake(log);
    while ((int32_t)(atomic_load(&w->flush_done) - asked) < 0) {
        if (clock_monotonic_ns() >= until_ns) {
            rc = flush_self(log);
            break;
        }
        poll(NULL, 0, 1);
    }
    atomic_fetch_sub(&w->flushing, 1);
    return rc;
}
