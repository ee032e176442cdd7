/* Lines that repeat: beyond a few of the same within some seconds they are counted, and told
 * as one line. A loop that fails a thousand times a second says so, and does not push out
 * of the log what else is there.
 *
 * The same: level, message, code and fields; time, task and ids may differ. */
#ifndef OBS_LOG_FOLD_H
#define OBS_LOG_FOLD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "obs/log_line.h"

#define LOG_FOLD_LINES 8                        /* of the same that are written */
#define LOG_FOLD_NS (10 * INT64_C(1000000000))  /* in this time; then told at the latest */
#define LOG_FOLD_QUIET_NS INT64_C(1000000000)   /* without another one: it is told */
#define LOG_FOLD_TEXT_BYTES 200

/* A thread's last line. Written by its thread and by the writer's, under its lock. */
struct log_fold {
    _Atomic bool lock;
    _Atomic uint64_t count; /* of those that were not written */
    uint64_t hash;
    uint32_t same;
    int64_t began_ns, last_ns; /* by the wall clock */
    char message[LOG_FOLD_TEXT_BYTES];
};

/* Is it to be left out? If not, what was left out before it is in ret_text, for a line of
 * its own, or that is empty. */
bool log_fold(struct log_fold *fold, const struct log_event *e, char *ret_text, size_t size);
/* What is due to be told by now (or, with all, is there at all): false when nothing is. */
bool log_fold_take(struct log_fold *fold, int64_t wall_ns, bool all, char *ret_text, size_t size);

#endif
