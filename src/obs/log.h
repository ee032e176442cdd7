/* The log as the layers above open and use it, besides weir/log.h. */
#ifndef OBS_LOG_H
#define OBS_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/log.h>
#include <weir/scope.h>

#include "base/chain.h"

/* The fields of weir_log_opts, and what simulations need. */
struct log_opts {
    weir_log_level level;
    weir_log_form form;
    int fd;
    uint32_t ring_bytes, close_ms;
    weir_log_sink *sink;
    void *sink_arg;
    bool sync, fold;
    int64_t (*wall_ns)(void *arg); /* NULL: the wall clock */
    void *wall_arg;
};

/* As weir_log_open_opt() and weir_log_close(). */
int log_open(const struct log_opts *opts);
int log_close(void);
/* What this thread keeps for logging is freed now, not at its end. */
void log_thread_done(void);

/* From now on failures that nobody joins are lines of the log. Opening the log does so. */
void log_failures(void);

/* As weir_log_fields(), about a task that is not the one that runs here. */
void log_about(weir_log_level level, weir_str message, const char *task,
               const weir_context *context, const weir_log_field *fields, size_t count);

/* One exchange, as the server saw it end. */
struct log_request {
    weir_str method, path;       /* path: a query behind it is left out */
    weir_str route;              /* the pattern that matched; absent: none */
    weir_str peer;               /* the client's address; absent: unknown */
    int status;                  /* what was answered; 0: nothing could be */
    int64_t duration_ns;
    int code;                    /* the handler's, or the connection's; 0: none */
    const struct chain *chain;   /* code's chain; NULL: none */
    const weir_context *context; /* the exchange's; NULL: none */
    weir_log_level level;        /* 0: the one below */
    weir_str version;            /* of HTTP, "1.1" or "2"; absent: not told */
};

/* What an exchange's line is worth: an error for a status of 500 and up, or a
 * failure that left no answer; a warning for a client's fault that has a chain;
 * info for a client that went away; debug for the rest. */
weir_log_level log_request_level(const struct log_request *x);

/* One line for an exchange:
 * "GET /profile/7 504 in 301 ms  id 01JD…  profile of 7: http://users/7: …" */
void log_request(const struct log_request *x);

#endif
