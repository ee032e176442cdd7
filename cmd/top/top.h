/* `weir top`: what a running program does, every second anew.
 *
 * frame.c reads the program's answers, draw.c makes lines of them, screen.c has the
 * terminal, live.c puts them together with the keys; command.c reads the flags, and prints
 * one frame for scripts. */
#ifndef TOP_TOP_H
#define TOP_TOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <yyjson.h>

#include "base/strbuf.h"
#include "ops/control_client.h"

#define TOP_LOOPS_MAX 256
#define TOP_LENGTHS 24
#define TOP_ID_BYTES 32
#define TOP_FIRST_MS 250 /* between the two looks that the first shares of time are made of */

enum top_view { TOP_KINDS, TOP_TASKS, TOP_TASK };
enum top_sort { TOP_BY_COUNT, TOP_BY_AGE, TOP_BY_WAIT };

/* A kind of tasks, or a task. The texts are in the answer that it was read from. */
struct top_row {
    const char *id; /* the kind's, or the task's handle */
    const char *task, *name, *site, *path, *state, *waits_for, *route, *suspect;
    double age_ms, waited_ms;
    uint64_t count, suspects;
};

struct top_loop {
    bool answered, compared; /* compared: with a look before it */
    double busy_share, longest_ms, lag_ms;
    uint64_t tasks, ready;
    const char *held_task, *held_name, *held_site;
    uint64_t busy_ns, at_ns, lengths[TOP_LENGTHS];
};

struct top_frame {
    long pid;
    char program[64];
    double uptime_ms, memory_bytes;
    uint64_t tasks, left_out;
    struct top_row *rows;
    size_t row_count;
    struct top_loop loops[TOP_LOOPS_MAX];
    size_t loop_count;
    yyjson_doc *rows_doc, *loops_doc, *task_doc;
};

/* Take an answer: false when it is none that is understood. */
bool top_frame_rows(struct top_frame *frame, enum top_view view, struct strbuf *json);
bool top_frame_loops(struct top_frame *frame, struct strbuf *json);
bool top_frame_task(struct top_frame *frame, struct strbuf *json);
void top_frame_sort(struct top_frame *frame, enum top_sort sort);
void top_frame_done(struct top_frame *frame);

/* What is to be seen of a frame. */
struct top_look {
    enum top_view view;
    enum top_sort sort;
    size_t selected, first; /* the row, and the one at the top of the table */
    size_t first_line;      /* of a task's stack */
    unsigned width, height; /* 0: as much as there is; a terminal's otherwise */
    const char *notice;     /* NULL: none */
};

/* The frame as text. On a terminal each line ends as one there does. Moves first so that
 * the row selected is seen. */
void top_draw(struct strbuf *out, const struct top_frame *frame, struct top_look *look);

enum top_key {
    TOP_KEY_NONE,
    TOP_KEY_UP,
    TOP_KEY_DOWN,
    TOP_KEY_PAGE_UP,
    TOP_KEY_PAGE_DOWN,
    TOP_KEY_HOME,
    TOP_KEY_END,
    TOP_KEY_ENTER,
    TOP_KEY_BACK,
    TOP_KEY_QUIT,
    TOP_KEY_COUNT,
    TOP_KEY_AGE,
    TOP_KEY_WAIT
};

/* The terminal: taken over, and given back as it was, also when a signal ends the command.
 * 0 or a failure. */
int top_screen_open(void);
void top_screen_close(void);
void top_screen_size(unsigned *ret_width, unsigned *ret_height);
void top_screen_show(const struct strbuf *text);
/* Wait for a key, for fd (-1: none) or for so long; false: the command is to end. */
bool top_screen_wait(int fd, int timeout_ms, bool *ret_ready, bool *ret_resized);
/* The next key of those that have come. */
enum top_key top_screen_key(void);

/* Watch until the user, a signal or the program ends it: an exit code. */
int top_live(struct control_client *client, const char *path, uint32_t interval_ms,
             enum top_sort sort);

#endif
