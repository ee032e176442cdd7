/* Reading what a program answers into a frame; see top.h.
 *
 * The answers count from the program's beginning on. What happened lately is the difference
 * of two looks, and this watcher's own: another one changes nothing about it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "asked.h"
#include "base/alloc.h"
#include "top/top.h"

static struct top_row read_row(enum top_view view, yyjson_val *value)
{
    return (struct top_row){
        .id = asked_text(value, view == TOP_KINDS ? "id" : "task"),
        .task = asked_text(value, "task"),
        .name = asked_text(value, "name"),
        .site = asked_text(value, "site"),
        .path = asked_text(value, "path"),
        .state = asked_text(value, "state"),
        .waits_for = asked_text(value, "waits_for"),
        .route = asked_text(value, "route"),
        .suspect = asked_text(value, "suspect"),
        .age_ms = asked_number(value, "age_ms"),
        .waited_ms = asked_number(value, "waited_ms"),
        .count = view == TOP_KINDS ? asked_count(value, "count") : 1,
        .suspects = asked_count(value, "suspects"),
    };
}

bool top_frame_rows(struct top_frame *frame, enum top_view view, struct strbuf *json)
{
    yyjson_doc *doc = yyjson_read(json->ptr, json->len, 0);
    yyjson_val *root = yyjson_doc_get_root(doc), *value;
    yyjson_val *list = yyjson_obj_get(root, view == TOP_KINDS ? "kinds" : "tasks");
    struct top_row *rows = base_calloc(yyjson_arr_size(list) + 1, sizeof(*rows));
    size_t index, max;

    if (!yyjson_is_arr(list) || !rows) {
        yyjson_doc_free(doc);
        base_free(rows);
        return false;
    }
    yyjson_arr_foreach(list, index, max, value) rows[index] = read_row(view, value);
    yyjson_doc_free(frame->rows_doc);
    base_free(frame->rows);
    frame->rows_doc = doc;
    frame->rows = rows;
    frame->row_count = yyjson_arr_size(list);
    frame->pid = (long)asked_count(root, "pid");
    frame->uptime_ms = asked_number(root, "uptime_ms");
    frame->memory_bytes = asked_number(root, "memory_bytes");
    snprintf(frame->program, sizeof(frame->program), "%s", asked_text(root, "program"));
    if (view == TOP_KINDS)
        frame->tasks = asked_count(root, "tasks");
    frame->left_out = asked_count(root, view == TOP_KINDS ? "others" : "left_out");
    return true;
}

/* The longest of the turns that are new, as the upper end of its class, or the one that
 * goes on when that is longer. */
static double longest_ms(const struct top_loop *now, const struct top_loop *before, double turn_ms)
{
    double longest = 0;

    for (int i = 0; i < TOP_LENGTHS; i++) {
        if (now->lengths[i] > before->lengths[i])
            longest = (double)(UINT64_C(2) << i) / 1000;
    }
    return longest > turn_ms ? longest : turn_ms;
}

static void read_loop(struct top_loop *loop, yyjson_val *value)
{
    struct top_loop before = *loop;
    yyjson_val *held = yyjson_obj_get(value, "held_by"), *length;
    yyjson_val *lengths = yyjson_obj_get(value, "turns_by_log2_us");
    size_t index, max;

    *loop = (struct top_loop){
        .answered = yyjson_get_bool(yyjson_obj_get(value, "answered")),
        .lag_ms = asked_number(value, "lag_ms"),
        .tasks = asked_count(value, "tasks"),
        .ready = asked_count(value, "ready"),
        .busy_ns = asked_count(value, "busy_ns"),
        .at_ns = asked_count(value, "at_ns"),
        .held_task = held ? asked_text(held, "task") : NULL,
        .held_name = asked_text(held, "name"),
        .held_site = asked_text(held, "site"),
    };
    yyjson_arr_foreach(lengths, index, max, length)
    {
        if (index < TOP_LENGTHS)
            loop->lengths[index] = yyjson_get_uint(length);
    }
    loop->compared = before.at_ns > 0 && loop->at_ns > before.at_ns;
    if (!loop->compared)
        return;
    if (loop->busy_ns > before.busy_ns)
        loop->busy_share = (double)(loop->busy_ns - before.busy_ns) /
                           (double)(loop->at_ns - before.at_ns);
    if (loop->busy_share > 1)
        loop->busy_share = 1;
    loop->longest_ms = longest_ms(loop, &before, asked_number(value, "turn_ms"));
}

bool top_frame_loops(struct top_frame *frame, struct strbuf *json)
{
    yyjson_doc *doc = yyjson_read(json->ptr, json->len, 0);
    yyjson_val *list = yyjson_obj_get(yyjson_doc_get_root(doc), "loops"), *value;
    size_t index, max;

    if (!yyjson_is_arr(list)) {
        yyjson_doc_free(doc);
        return false;
    }
    frame->loop_count = 0;
    yyjson_arr_foreach(list, index, max, value)
    {
        if (index < TOP_LOOPS_MAX)
            read_loop(&frame->loops[frame->loop_count++], value);
    }
    yyjson_doc_free(frame->loops_doc);
    frame->loops_doc = doc;
    return true;
}

bool top_frame_task(struct top_frame *frame, struct strbuf *json)
{
    yyjson_doc *doc = yyjson_read(json->ptr, json->len, 0);

    if (!yyjson_is_obj(yyjson_doc_get_root(doc))) {
        yyjson_doc_free(doc);
        return false;
    }
    yyjson_doc_free(frame->task_doc);
    frame->task_doc = doc;
    return true;
}

/* ---- the order ----------------------------------------------------------------------------- */

static int compare(double left, double right)
{
    return left < right ? 1 : left > right ? -1 : 0;
}

/* Rows that are alike keep an order of their own: they must not change places each second. */
static int compare_rest(const struct top_row *a, const struct top_row *b)
{
    int rc = strcmp(a->site, b->site);

    return rc ? rc : strcmp(a->id, b->id);
}

static int by_count(const void *pa, const void *pb)
{
    const struct top_row *a = pa, *b = pb;
    int rc = compare((double)a->count, (double)b->count);

    return rc ? rc : compare_rest(a, b);
}

static int by_age(const void *pa, const void *pb)
{
    const struct top_row *a = pa, *b = pb;
    int rc = compare(a->age_ms, b->age_ms);

    return rc ? rc : compare_rest(a, b);
}

static int by_wait(const void *pa, const void *pb)
{
    const struct top_row *a = pa, *b = pb;
    int rc = compare(a->waited_ms, b->waited_ms);

    return rc ? rc : compare_rest(a, b);
}

void top_frame_sort(struct top_frame *frame, enum top_sort sort)
{
    if (frame->row_count > 0)
        qsort(frame->rows, frame->row_count, sizeof(*frame->rows),
              sort == TOP_BY_COUNT ? by_count
              : sort == TOP_BY_AGE ? by_age
                                   : by_wait);
}

void top_frame_done(struct top_frame *frame)
{
    yyjson_doc_free(frame->rows_doc);
    yyjson_doc_free(frame->loops_doc);
    yyjson_doc_free(frame->task_doc);
    base_free(frame->rows);
}
