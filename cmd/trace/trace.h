/* `weir trace`: from the events that a program sends to a file that trace viewers read. */
#ifndef CMD_TRACE_H
#define CMD_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <yyjson.h>

#define TRACE_LOOPS_MAX 256
#define TRACE_SITES 4096 /* a power of two */
#define TRACE_TOP 10

/* One event, with its text looked up. */
struct trace_event {
    double us; /* since the trace began */
    unsigned kind;
    uint32_t slot, generation;
    const char *text; /* or NULL */
    int32_t value;
};

/* What is known of a task. */
struct trace_task {
    uint64_t flow;         /* of its wake or its start, until it runs; 0: none */
    double waited_from, woken; /* microseconds; < 0: not known */
    uint32_t generation;
    const char *site, *waits_for;
};

struct trace_loop {
    double turn, poll;     /* when it began; < 0: it has not */
    double run, last;
    uint32_t slot;         /* of the running task; 0: none */
    struct trace_task *tasks; /* by slot */
    uint32_t task_count;
};

struct trace_delay {
    double us, at_us;
    const char *site;
    uint32_t loop;
};

struct trace_site {
    const char *site; /* one of the texts: the same site is the same text */
    uint64_t runs;
    double us, longest_us;
};

struct trace_file {
    FILE *out;
    uint64_t bytes, limit; /* of the file */
    bool full;             /* the limit is reached: what follows is only counted */
    bool failed;           /* it could not be written, or there was no memory */
    uint64_t left_out, events, lost, flows;
    int pid;
    double ticks_per_second, origin; /* ticks */
    char **texts;
    uint32_t text_count;
    struct trace_loop loops[TRACE_LOOPS_MAX];
    struct trace_site sites[TRACE_SITES];
    struct trace_delay delays[TRACE_TOP]; /* the longest first */
    uint32_t delay_count, site_count;
};

/* file.c: the form of the file. */
bool trace_file_begin(struct trace_file *file, yyjson_val *head);
/* A line of the answer; false when it is none. */
bool trace_file_line(struct trace_file *file, yyjson_val *line);
void trace_file_end(struct trace_file *file);
void trace_file_done(struct trace_file *file);
__attribute__((format(printf, 2, 3))) void trace_print(struct trace_file *file, const char *fmt,
                                                       ...);

/* convert.c: slices, flows and instants. */
void trace_convert(struct trace_file *file, uint32_t loop, const struct trace_event *event);
/* Events before this one are missing. */
void trace_gap(struct trace_file *file, uint32_t loop, uint64_t lost, double us);

/* summary.c */
void trace_count_run(struct trace_file *file, const char *site, double us);
void trace_count_delay(struct trace_file *file, const struct trace_delay *delay);
void trace_summary(const struct trace_file *file, FILE *out);

#endif
