/* The structured log.
 *
 *     weir_info("listening on %s", address);
 *     weir_log(WEIR_LOG_WARN, "cache refused", WEIR_FIELD("key", key),
 *              WEIR_FIELD("bytes", size), WEIR_FAILURE(rc));
 *
 * A line carries the time (UTC, milliseconds), the level and the message; from
 * where it was written it takes the correlation id, the trace id and the task's
 * name by itself; WEIR_FAILURE() adds an error's code and chain. On a terminal
 * it is made to be read, elsewhere it is one JSON object (RFC 8259) a line.
 *
 * A line never waits for a disk: it goes into a ring of the thread that writes
 * it, and one thread writes the rings out. A full ring drops lines, debug and
 * info first (a quarter of it is kept for warnings and errors); how many is
 * itself reported as a line, and counted by weir_log_dropped_total. Before
 * weir_log_open() and after weir_log_close() lines go straight to standard
 * error, at first only warnings and errors.
 *
 * What bounds a line: 8 KiB in all, 2 KiB of message, 16 fields, 1 KiB a text;
 * what was cut says so. */
#ifndef WEIR_LOG_H
#define WEIR_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <weir/export.h>
#include <weir/str.h>

WEIR_BEGIN

typedef enum weir_log_level {
    WEIR_LOG_ERROR = 1, /* something failed that should not have */
    WEIR_LOG_WARN,      /* it went on, but someone should look */
    WEIR_LOG_INFO,      /* what the program does */
    WEIR_LOG_DEBUG      /* why it does it */
} weir_log_level;

typedef enum weir_log_form {
    WEIR_LOG_AUTO, /* readable when the descriptor is a terminal, else JSON */
    WEIR_LOG_TEXT, /* readable; coloured on a terminal, unless NO_COLOR is set */
    WEIR_LOG_JSON  /* one object a line */
} weir_log_form;

/* Takes the bytes of whole lines. Returns how many of them it took (the rest is
 * offered again), or a negative errno value (they are all offered again). */
typedef ssize_t weir_log_sink(void *arg, const char *bytes, size_t len);

typedef struct weir_log_opts {
    size_t size;          /* set by the macro */
    weir_log_level level; /* the least that is written; unset: WEIR_LOG_INFO */
    weir_log_form form;
    int fd;               /* unset: standard error; stays the caller's */
    uint32_t ring_bytes;  /* a thread; a power of two from 32 KiB to 16 MiB; unset: 256 KiB */
    uint32_t close_ms;    /* how long closing may wait for the output; unset: 2,000 */
    weir_log_sink *sink;  /* takes the lines instead of fd, on the writing thread */
    void *sink_arg;
    bool fold;            /* of lines that repeat, in one thread within 10 s, 8 are written
                             and the rest is told as one: "repeated N ×"; not with .sync */
    bool sync;            /* no thread: the sink is called from within the log call,
                             with one line: for tests and simulations */
} weir_log_opts;

/* Open the process's log: see weir_log_open_opt(). */
#define weir_log_open(...) \
    weir_log_open_opt(&(weir_log_opts){ .size = sizeof(weir_log_opts), __VA_ARGS__ })

/* Open the process's log and start the thread that writes it. weir_main() does
 * so by itself.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   -EBUSY       it is open
 *   -EINVAL      an option is out of its range, or .sync without .sink
 *   -EAGAIN      the thread could not be started
 *   -ENOMEM      no memory
 * Ownership:  sink_arg and fd must last until weir_log_close().
 * Thread:     any, before others write to the log.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_log_open_opt(const weir_log_opts *opts);

/* Write out what is in the rings, and end the log's thread.
 *
 * Checkpoint: never.
 * Returns:    0 (also when it is not open), or
 *   -errno       what the output last said, when lines had to be given up after
 *                .close_ms
 * Ownership:  sink and fd are no longer used.
 * Thread:     any, once other threads no longer write to the log.
 * Since:      0.1 */
WEIR_API int weir_log_close(void);

/* Wait until all lines written so far are out. Signal handlers may call it: a
 * program that is about to die writes what the log's thread did not get to.
 *
 * Checkpoint: never; it blocks the thread, so it is not for loops.
 * Returns:    0, or
 *   -ETIMEDOUT   some are not out
 * Ownership:  takes nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API int weir_log_flush(uint32_t timeout_ms);

/* Set the least level that is written, from now on.
 *
 * Checkpoint: never.
 * Returns:    nothing; what is no level is ignored.
 * Ownership:  takes nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API void weir_log_set_level(weir_log_level level);

/* The least level that is written.
 *
 * Checkpoint: never.
 * Returns:    the level.
 * Ownership:  takes nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API weir_log_level weir_log_get_level(void);

/* Would a line of this level be written? The macros ask before they evaluate
 * their arguments.
 *
 * Checkpoint: never.
 * Returns:    true or false.
 * Ownership:  takes nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API bool weir_log_enabled(weir_log_level level);

/* The level's name in lower case: "error".
 *
 * Checkpoint: never.
 * Returns:    a string; "unknown" for what is no level.
 * Ownership:  static storage.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API const char *weir_log_level_name(weir_log_level level);

/* The level of a name, as a configuration has it.
 *
 * Checkpoint: never.
 * Returns:    0 with the level in *ret_level, or
 *   -EINVAL      no level is called that
 * Ownership:  keeps nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(2)
int weir_log_level_from(weir_str name, weir_log_level *ret_level);

/* ---- fields -------------------------------------------------------------- */

typedef enum weir_field_kind {
    WEIR_FIELD_I64,
    WEIR_FIELD_U64,
    WEIR_FIELD_F64,
    WEIR_FIELD_BOOL,
    WEIR_FIELD_STR,
    WEIR_FIELD_FAILURE
} weir_field_kind;

/* A name and a value; made by the macros below. */
typedef struct weir_log_field {
    const char *name;
    weir_field_kind kind;
    union {
        int64_t i64;
        uint64_t u64;
        double f64;
        bool yes;
        weir_str str;
    } value;
} weir_log_field;

static inline weir_log_field weir_field_i64(const char *name, int64_t value)
{
    weir_log_field f;

    f.name = name;
    f.kind = WEIR_FIELD_I64;
    f.value.i64 = value;
    return f;
}

static inline weir_log_field weir_field_u64(const char *name, uint64_t value)
{
    weir_log_field f;

    f.name = name;
    f.kind = WEIR_FIELD_U64;
    f.value.u64 = value;
    return f;
}

static inline weir_log_field weir_field_f64(const char *name, double value)
{
    weir_log_field f;

    f.name = name;
    f.kind = WEIR_FIELD_F64;
    f.value.f64 = value;
    return f;
}

static inline weir_log_field weir_field_bool(const char *name, bool value)
{
    weir_log_field f;

    f.name = name;
    f.kind = WEIR_FIELD_BOOL;
    f.value.yes = value;
    return f;
}

static inline weir_log_field weir_field_str(const char *name, weir_str value)
{
    weir_log_field f;

    f.name = name;
    f.kind = WEIR_FIELD_STR;
    f.value.str = value;
    return f;
}

static inline weir_log_field weir_field_c(const char *name, const char *value)
{
    return weir_field_str(name, weir_str_c(value));
}

/* An error's code, with the chain that the current task keeps for it. */
static inline weir_log_field weir_field_failure(int code)
{
    weir_log_field f = weir_field_i64("error", code);

    f.kind = WEIR_FIELD_FAILURE;
    return f;
}

/* One field of a line: numbers, booleans, C strings and slices. A name is a
 * literal; the names that lines have anyway (time, level, message …) get an
 * underscore behind them in JSON. */
#define WEIR_FIELD(name, value)                                                \
    _Generic((value),                                                          \
        bool: weir_field_bool,                                                 \
        char: weir_field_i64, signed char: weir_field_i64,                     \
        short: weir_field_i64, int: weir_field_i64,                            \
        long: weir_field_i64, long long: weir_field_i64,                       \
        unsigned char: weir_field_u64, unsigned short: weir_field_u64,         \
        unsigned: weir_field_u64, unsigned long: weir_field_u64,               \
        unsigned long long: weir_field_u64,                                    \
        float: weir_field_f64, double: weir_field_f64,                         \
        char *: weir_field_c, const char *: weir_field_c,                      \
        weir_str: weir_field_str)("" name, value)

#define WEIR_FAILURE(code) weir_field_failure(code)

/* ---- lines --------------------------------------------------------------- */

/* A line of a fixed message and fields: see weir_log_fields(). */
#define weir_log(level, message, ...)                                          \
    (weir_log_enabled(level)                                                   \
         ? weir_log_fields(level, weir_str_c(message),                         \
                           (const weir_log_field[]){ { 0 } __VA_OPT__(,) __VA_ARGS__ } + 1, \
                           sizeof((const weir_log_field[]){ { 0 } __VA_OPT__(,) __VA_ARGS__ }) / \
                                   sizeof(weir_log_field) - 1)                     \
         : (void)0)

/* Lines of a message made as printf makes it. */
#define weir_logf(level, ...) \
    (weir_log_enabled(level) ? weir_log_format(level, __VA_ARGS__) : (void)0)
#define weir_error(...) weir_logf(WEIR_LOG_ERROR, __VA_ARGS__)
#define weir_warn(...) weir_logf(WEIR_LOG_WARN, __VA_ARGS__)
#define weir_info(...) weir_logf(WEIR_LOG_INFO, __VA_ARGS__)
#define weir_debug(...) weir_logf(WEIR_LOG_DEBUG, __VA_ARGS__)

/* Write a line of a message and count fields.
 *
 * Checkpoint: never.
 * Returns:    nothing; a line that finds no room is dropped and counted.
 * Ownership:  keeps nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API void weir_log_fields(weir_log_level level, weir_str message, const weir_log_field *fields,
                              size_t count);

/* Write a line of a formatted message.
 *
 * Checkpoint: never.
 * Returns:    nothing; a line that finds no room is dropped and counted.
 * Ownership:  keeps nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(2) WEIR_PRINTF(2, 3)
void weir_log_format(weir_log_level level, const char *fmt, ...);

WEIR_END

#endif
