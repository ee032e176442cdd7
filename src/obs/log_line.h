/* From an event to the bytes of one line, in either form. No I/O, no heap. */
#ifndef OBS_LOG_LINE_H
#define OBS_LOG_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/log.h>
#include <weir/scope.h>

#include "base/chain.h"

#define LOG_LINE_BYTES 8192
#define LOG_MESSAGE_BYTES 2048
#define LOG_VALUE_BYTES 1024 /* of one text in a field */
#define LOG_FIELDS 16

struct log_event {
    int64_t wall_ns;
    weir_log_level level;
    weir_str message;
    const weir_context *context; /* NULL: none */
    const char *task;            /* NULL or "": none */
    const weir_log_field *fields;
    size_t field_count;
    int code;                    /* an error; 0: none */
    const struct chain *chain;   /* its chain; NULL: none */
};

struct log_style {
    bool json;
    bool colour;
};

/* What formatting needs, kept from line to line: tasks' stacks are small. */
struct log_work {
    int64_t second; /* that date is for */
    bool dated;
    char date[20];  /* "2026-01-31T12:00:03" */
    char text[LOG_MESSAGE_BYTES + 2]; /* longer than a message may be: a cut shows */
    char chain[CHAIN_TEXT_BYTES + 256];
    char line[LOG_LINE_BYTES];
};

/* Make the line in work->line, its line feed included; returns its length. */
size_t log_line(struct log_work *work, struct log_style style, const struct log_event *event);

#endif
