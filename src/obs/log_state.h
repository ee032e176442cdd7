/* The log's one object, as its files share it.
 *
 *   log.c          opening, closing, and the way of a line on its own thread
 *   log_request.c  the line of an exchange
 *   log_writer.c   the thread that writes the rings out */
#ifndef OBS_LOG_STATE_H
#define OBS_LOG_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <weir/metrics.h>

#include "obs/log.h"
#include "obs/log_fold.h"
#include "obs/log_line.h"
#include "obs/log_ring.h"

#define LOG_PRODUCERS 256
#define LOG_LEVELS (WEIR_LOG_DEBUG + 1)

/* What one thread logs with. */
struct log_producer {
    struct log_ring ring; /* bytes is NULL until it is needed */
    struct log_work work;
    struct log_fold fold;
    bool busy;            /* a line is being made: no other may begin */
    _Atomic bool gone;    /* its thread has ended; the writer frees it when empty */
};

enum log_mode {
    LOG_DIRECT, /* not open: each line is written to standard error at once */
    LOG_SYNC,   /* each line goes to the sink at once */
    LOG_ASYNC   /* lines go into rings */
};

/* What the writer waits for; producers look at it behind each line. */
enum log_writer_state {
    LOG_AWAKE,
    LOG_NAPPING, /* for a few milliseconds; a ring that is half full ends it */
    LOG_ASLEEP,  /* until there is a line */
    LOG_STUCK    /* the output fails: until it is tried again */
};

struct log_writer {
    pthread_t thread;
    _Atomic uint32_t state; /* a futex */
    _Atomic bool closing;
    _Atomic uint32_t flush_asked, flush_done;
    _Atomic uint32_t flushing; /* how many wait for flush_done */
    _Atomic bool draining;  /* held by whoever takes from the rings */

    /* Whoever is draining: */
    uint32_t at;            /* the ring that a line may be partly written of … */
    uint64_t until;         /* … and up to where it is to be finished; at only
                               counts while partly is set */
    bool partly;
    int error;              /* what the output last said; 0: it works */
    int64_t failed_at_ns;
    uint64_t dropped_told[LOG_LEVELS];
    int64_t dropped_told_at_ns;
    weir_str report;        /* the writer's own line, as far as it is not written */
    struct log_work work;
    int result;             /* for log_close() */
};

struct log {
    _Atomic int level, mode;
    struct log_style style;
    int fd;
    bool fd_is_file;
    uint32_t ring_bytes, close_ms;
    bool fold;
    weir_log_sink *sink;
    void *sink_arg;
    int64_t (*wall_ns)(void *arg);
    void *wall_arg;
    pthread_mutex_t lock; /* opening, closing, the table of producers, a sync sink */
    struct log_producer *_Atomic producers[LOG_PRODUCERS];
    _Atomic uint64_t dropped[LOG_LEVELS];
    weir_counter *lines[LOG_LEVELS], *folded;
    struct log_writer writer;
};

struct log *log_process(void);
bool log_is_json(const struct log *log);
/* Begin a line; NULL when there can't be one. log_end() fills in its time, and
 * delivers it or counts it as dropped. */
struct log_producer *log_begin(struct log *log, weir_log_level level);
void log_end(struct log *log, struct log_producer *p, struct log_event *e);
int64_t log_wall_ns(const struct log *log);
/* Take a producer out of the table and free it; the lock is held. */
void log_producer_free(struct log *log, uint32_t index);

/* log_failure.c: have failures that nobody joins logged, and counted as metrics. */
void log_failures_count(void);

int log_writer_start(struct log *log);
/* End the thread when all is out; 0, or what the output said. */
int log_writer_stop(struct log *log);
/* A line was put in; used is what its ring holds then. */
void log_writer_poke(struct log *log, uint64_t used, uint64_t size);
/* Wake it whatever it waits for. Safe in a signal handler. */
void log_writer_wake(struct log *log);
int log_writer_flush(struct log *log, uint32_t timeout_ms);

#endif
