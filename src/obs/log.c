/* The way of a line, on the thread that logs it.
 *
 * Why: a log call must cost about what formatting costs, and never wait. So the
 * line is formatted in memory of the thread, then copied into the thread's ring;
 * the writer (log_writer.c) takes it from there.
 *
 * States of the log: DIRECT -> open -> SYNC or ASYNC -> close -> DIRECT. Before
 * it is open an error must be seen as well, so lines go to standard error.
 *
 * Invariants: style, sink and sizes change only in DIRECT. A producer is written
 * by its thread alone. Its slot in the table is set by its thread and cleared by
 * whoever frees it, both under the lock; while the log is ASYNC only the writer
 * frees. Each line is written or counted as dropped. */
#include "obs/log_state.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weir/error.h>

#include "base/alloc.h"
#include "base/budget.h"
#include "base/clock.h"
#include "obs/metrics.h"
#include "rt/rt.h"
#include "rt/sim.h"

#define RING_BYTES (256u << 10)
#define RING_BYTES_MIN (4u * LOG_LINE_BYTES)
#define RING_BYTES_MAX (16u << 20)
#define CLOSE_MS 2000

static struct log process = {
    .level = WEIR_LOG_WARN,
    .mode = LOG_DIRECT,
    .fd = STDERR_FILENO,
    .lock = PTHREAD_MUTEX_INITIALIZER,
};
static _Thread_local struct log_producer *self;
static pthread_once_t end_once = PTHREAD_ONCE_INIT;
static pthread_key_t end_key;
static bool end_key_made;

struct log *log_process(void)
{
    return &process;
}

int64_t log_wall_ns(const struct log *log)
{
    struct loop *loop = loop_self();

    if (log->wall_ns)
        return log->wall_ns(log->wall_arg);
    return loop ? loop_wall_ns(loop) : clock_wall_ns(); /* a simulation's is its own */
}

static int log_mode(const struct log *log)
{
    return atomic_load_explicit(&log->mode, memory_order_acquire);
}

bool log_is_json(const struct log *log)
{
    return log->style.json && log_mode(log) != LOG_DIRECT;
}

/* ---- what a thread logs with --------------------------------------------- */

static void ring_free(struct log_producer *p)
{
    if (!p->ring.bytes)
        return;
    base_free(p->ring.bytes);
    budget_give(BUDGET_QUEUE, p->ring.size);
    p->ring.bytes = NULL;
}

void log_producer_free(struct log *log, uint32_t index)
{
    struct log_producer *p = atomic_load(&log->producers[index]);

    atomic_store(&log->producers[index], NULL);
    ring_free(p);
    base_free(p);
}

static void producer_leave(struct log *log, struct log_producer *p)
{
    pthread_mutex_lock(&log->lock);
    if (log_mode(log) == LOG_ASYNC) {
        atomic_store(&p->gone, true);
        log_writer_wake(log);
    } else {
        for (uint32_t i = 0; i < LOG_PRODUCERS; i++)
            if (atomic_load(&log->producers[i]) == p)
                log_producer_free(log, i);
    }
    pthread_mutex_unlock(&log->lock);
}

void log_thread_done(void)
{
    struct log_producer *p = self;

    self = NULL;
    if (p)
        producer_leave(log_process(), p);
}

static void thread_end(void *unused)
{
    (void)unused;
    log_thread_done();
}

static void end_key_make(void)
{
    end_key_made = pthread_key_create(&end_key, thread_end) == 0;
}

static bool producer_enter(struct log *log, struct log_producer *p)
{
    bool in = false;

    pthread_mutex_lock(&log->lock);
    for (uint32_t i = 0; i < LOG_PRODUCERS && !in; i++)
        if (!atomic_load(&log->producers[i])) {
            atomic_store(&log->producers[i], p);
            in = true;
        }
    pthread_mutex_unlock(&log->lock);
    return in;
}

static struct log_producer *producer_new(struct log *log)
{
    struct log_producer *p = base_aligned(64, sizeof *p);

    if (!p)
        return NULL;
    memset(p, 0, sizeof *p);
    pthread_once(&end_once, end_key_make);
    if (!end_key_made || pthread_setspecific(end_key, p) != 0 || !producer_enter(log, p)) {
        base_free(p);
        return NULL;
    }
    return p;
}

static struct log_producer *producer_self(struct log *log)
{
    if (__builtin_expect(!self, 0))
        self = producer_new(log);
    return self;
}

/* The ring is published with its first line: until then the writer sees an empty
 * one, whose bytes it does not touch. */
static bool ring_ready(struct log *log, struct log_producer *p)
{
    char *bytes;

    if (__builtin_expect(p->ring.bytes != NULL, 1))
        return true;
    if (!budget_take(BUDGET_QUEUE, log->ring_bytes))
        return false;
    bytes = base_aligned(64, log->ring_bytes);
    if (!bytes) {
        budget_give(BUDGET_QUEUE, log->ring_bytes);
        return false;
    }
    log_ring_init(&p->ring, bytes, log->ring_bytes);
    return true;
}

/* ---- delivery ------------------------------------------------------------ */

static void count_drop(struct log *log, weir_log_level level)
{
    atomic_fetch_add_explicit(&log->dropped[level], 1, memory_order_relaxed);
}

static bool deliver_direct(weir_str line)
{
    while (line.len > 0) {
        ssize_t n = write(STDERR_FILENO, line.ptr, line.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        line = weir_str_skip(line, (size_t)n);
    }
    return true;
}

static bool deliver_sync(struct log *log, weir_str line)
{
    ssize_t n = 1;

    pthread_mutex_lock(&log->lock);
    while (line.len > 0 && n > 0) {
        n = log->sink(log->sink_arg, line.ptr, line.len);
        if (n > 0)
            line = weir_str_skip(line, (size_t)n);
    }
    pthread_mutex_unlock(&log->lock);
    return line.len == 0;
}

static bool deliver_ring(struct log *log, struct log_producer *p, weir_log_level level,
                         weir_str line)
{
    uint64_t used;

    if (!ring_ready(log, p) ||
        !log_ring_put(&p->ring, line, level > WEIR_LOG_WARN ? p->ring.size / 4 : 0, &used))
        return false;
    log_writer_poke(log, used, p->ring.size);
    return true;
}

struct log_producer *log_begin(struct log *log, weir_log_level level)
{
    struct log_producer *p;

    if (!weir_log_enabled(level))
        return NULL;
    p = producer_self(log);
    if (!p || p->busy) { /* a sink, or a signal handler, that logs */
        count_drop(log, level);
        return NULL;
    }
    p->busy = true;
    return p;
}

/* Is the line one of many that are the same? If it is not, those before it are told. */
static bool fold_line(struct log *log, struct log_producer *p, const struct log_event *e)
{
    char text[LOG_FOLD_TEXT_BYTES + 64];
    struct log_event told = { .wall_ns = e->wall_ns, .level = e->level, .task = e->task };
    weir_str line;

    if (log_fold(&p->fold, e, text, sizeof(text))) {
        weir_counter_add(log->folded, 1);
        return true;
    }
    if (!text[0])
        return false;
    told.message = weir_str_c(text);
    line.ptr = p->work.line;
    line.len = log_line(&p->work, log->style, &told);
    if (!deliver_ring(log, p, told.level, line))
        count_drop(log, told.level);
    return false;
}

void log_end(struct log *log, struct log_producer *p, struct log_event *e)
{
    int mode = log_mode(log), saved = errno;
    weir_str line;
    bool out;

    e->wall_ns = log_wall_ns(log);
    if (mode == LOG_ASYNC && log->fold && fold_line(log, p, e)) {
        p->busy = false;
        errno = saved;
        return;
    }
    line.ptr = p->work.line;
    line.len = log_line(&p->work, mode == LOG_DIRECT ? (struct log_style){ 0 } : log->style, e);
    sim_trace_line(line);
    if (mode == LOG_ASYNC)
        out = deliver_ring(log, p, e->level, line);
    else
        out = mode == LOG_SYNC ? deliver_sync(log, line) : deliver_direct(line);
    if (out)
        weir_counter_add(log->lines[e->level], 1);
    else
        count_drop(log, e->level);
    p->busy = false;
    errno = saved;
}

/* ---- public: lines ------------------------------------------------------- */

static void take_failure(struct log_event *e)
{
    for (size_t i = 0; i < e->field_count; i++)
        if (e->fields[i].kind == WEIR_FIELD_FAILURE && e->fields[i].value.i64 < 0) {
            e->code = (int)e->fields[i].value.i64;
            e->chain = chain_current();
        }
}

void weir_log_fields(weir_log_level level, weir_str message, const weir_log_field *fields,
                     size_t count)
{
    struct log *log = log_process();
    struct log_producer *p = log_begin(log, level);
    struct log_event e = {
        .level = level, .message = message, .fields = fields, .field_count = count
    };

    if (!p)
        return;
    e.context = weir_context_get();
    e.task = rt_task_name();
    take_failure(&e);
    log_end(log, p, &e);
}

void log_about(weir_log_level level, weir_str message, const char *task,
               const weir_context *context, const weir_log_field *fields, size_t count)
{
    struct log *log = log_process();
    struct log_producer *p = log_begin(log, level);
    struct log_event e = { .level = level,
                           .message = message,
                           .task = task,
                           .context = context,
                           .fields = fields,
                           .field_count = count };

    if (p)
        log_end(log, p, &e);
}

void weir_log_format(weir_log_level level, const char *fmt, ...)
{
    struct log *log = log_process();
    struct log_producer *p = log_begin(log, level);
    struct log_event e = { .level = level };
    va_list args;
    int n;

    if (!p)
        return;
    va_start(args, fmt);
    n = vsnprintf(p->work.text, sizeof p->work.text, fmt, args);
    va_end(args);
    e.message = n < 0 ? weir_str_c(fmt) : weir_str_c(p->work.text);
    e.context = weir_context_get();
    e.task = rt_task_name();
    log_end(log, p, &e);
}

/* ---- public: levels ------------------------------------------------------ */

static const char *const level_names[LOG_LEVELS] = { "unknown", "error", "warn", "info", "debug" };

static bool is_level(weir_log_level level)
{
    return level >= WEIR_LOG_ERROR && level <= WEIR_LOG_DEBUG;
}

void weir_log_set_level(weir_log_level level)
{
    if (is_level(level))
        atomic_store_explicit(&log_process()->level, (int)level, memory_order_relaxed);
}

weir_log_level weir_log_get_level(void)
{
    return (weir_log_level)atomic_load_explicit(&log_process()->level, memory_order_relaxed);
}

bool weir_log_enabled(weir_log_level level)
{
    return is_level(level) && level <= weir_log_get_level();
}

const char *weir_log_level_name(weir_log_level level)
{
    return level_names[is_level(level) ? level : 0];
}

int weir_log_level_from(weir_str name, weir_log_level *ret_level)
{
    for (int i = WEIR_LOG_ERROR; i <= WEIR_LOG_DEBUG; i++)
        if (weir_str_eq_nocase(name, weir_str_c(level_names[i]))) {
            *ret_level = (weir_log_level)i;
            return 0;
        }
    return -EINVAL;
}

/* ---- public: opening and closing ----------------------------------------- */

static bool opts_valid(const struct log_opts *o)
{
    uint32_t ring = o->ring_bytes;

    return o->level >= 0 && o->level <= WEIR_LOG_DEBUG && o->form >= WEIR_LOG_AUTO &&
           o->form <= WEIR_LOG_JSON && o->fd >= 0 && (!o->sync || o->sink) &&
           (ring == 0 ||
            (ring >= RING_BYTES_MIN && ring <= RING_BYTES_MAX && (ring & (ring - 1)) == 0));
}

/* https://no-color.org: set and not empty. */
static bool wants_colour(void)
{
    const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");

    return (!no_colour || !*no_colour) && term && strcmp(term, "dumb") != 0;
}

static void take_opts(struct log *log, const struct log_opts *o)
{
    struct stat st;
    bool tty;

    log->fd = o->fd ? o->fd : STDERR_FILENO;
    tty = !o->sink && isatty(log->fd);
    log->fd_is_file = fstat(log->fd, &st) == 0 && S_ISREG(st.st_mode);
    log->style.json = o->form == WEIR_LOG_JSON || (o->form == WEIR_LOG_AUTO && !tty);
    log->style.colour = tty && wants_colour();
    log->ring_bytes = o->ring_bytes ? o->ring_bytes : RING_BYTES;
    log->fold = o->fold;
    log->close_ms = o->close_ms ? o->close_ms : CLOSE_MS;
    log->sink = o->sink;
    log->sink_arg = o->sink_arg;
    log->wall_ns = o->wall_ns;
    log->wall_arg = o->wall_arg;
}

static double read_dropped(void *arg)
{
    return (double)atomic_load_explicit((_Atomic uint64_t *)arg, memory_order_relaxed);
}

/* The log goes on without its metrics where there is no memory for them. */
static void count_lines(struct log *log)
{
    weir_counter *lines = weir_counter_new("weir_log_lines_total", "Lines written to the log.",
                                           .labels = { "level" });
    weir_counter *dropped = weir_counter_new(
        "weir_log_dropped_total", "Lines that found no room in the log.", .labels = { "level" });

    log->folded = weir_counter_new("weir_log_folded_total",
                                   "Lines left out, as several of the same came before.");
    for (int i = WEIR_LOG_ERROR; i <= WEIR_LOG_DEBUG; i++) {
        log->lines[i] = weir_counter_with(lines, weir_str_c(level_names[i]));
        metrics_read_counter(weir_counter_with(dropped, weir_str_c(level_names[i])), read_dropped,
                             &log->dropped[i]);
    }
}

int log_open(const struct log_opts *opts)
{
    struct log *log = log_process();
    int rc = 0;

    if (!opts_valid(opts))
        return -EINVAL;
    pthread_mutex_lock(&log->lock);
    if (log_mode(log) != LOG_DIRECT) {
        pthread_mutex_unlock(&log->lock);
        return -EBUSY;
    }
    take_opts(log, opts);
    count_lines(log);
    log_failures();
    log_failures_count();
    if (!opts->sync)
        rc = log_writer_start(log);
    if (rc == 0) {
        weir_log_set_level(opts->level ? opts->level : WEIR_LOG_INFO);
        atomic_store_explicit(&log->mode, opts->sync ? LOG_SYNC : LOG_ASYNC, memory_order_release);
    }
    pthread_mutex_unlock(&log->lock);
    return rc;
}

int weir_log_open_opt(const weir_log_opts *opts)
{
    return log_open(&(struct log_opts){ .level = opts->level,
                                        .form = opts->form,
                                        .fd = opts->fd,
                                        .ring_bytes = opts->ring_bytes,
                                        .close_ms = opts->close_ms,
                                        .sink = opts->sink,
                                        .sink_arg = opts->sink_arg,
                                        .sync = opts->sync,
                                        .fold = opts->fold });
}

int log_close(void)
{
    struct log *log = log_process();
    int rc = 0;

    if (log_mode(log) == LOG_ASYNC)
        rc = log_writer_stop(log);
    pthread_mutex_lock(&log->lock);
    atomic_store_explicit(&log->mode, LOG_DIRECT, memory_order_release);
    for (uint32_t i = 0; i < LOG_PRODUCERS; i++) {
        struct log_producer *p = atomic_load(&log->producers[i]);

        if (p && atomic_load(&p->gone))
            log_producer_free(log, i);
    }
    pthread_mutex_unlock(&log->lock);
    log_thread_done();
    return rc;
}

int weir_log_close(void)
{
    return log_close();
}

int weir_log_flush(uint32_t timeout_ms)
{
    struct log *log = log_process();

    return log_mode(log) == LOG_ASYNC ? log_writer_flush(log, timeout_ms) : 0;
}
