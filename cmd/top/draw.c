/* A frame as lines of text; see top.h.
 *
 * Names are the program's own: what would steer a terminal is shown as a question mark.
 * Every line is cut at the width, so that what is below stays where it belongs. */
#include <string.h>

#include "asked.h"
#include "top/top.h"

#define WAIT_COLUMNS_MAX 24

struct drawing {
    struct strbuf *out, line;
    const struct top_look *look;
    unsigned lines, wait_columns;
};

static bool is_terminal(const struct drawing *d)
{
    return d->look->width > 0;
}

static void end_line(struct drawing *d, bool marked)
{
    const struct top_look *look = d->look;

    if (look->height == 0 || d->lines < look->height) {
        if (is_terminal(d)) /* before the text: at the last column it would take a character */
            strbuf_add_c(d->out, marked ? "\x1b[2K\x1b[7m" : "\x1b[2K");
        asked_add_clean(d->out, strbuf_str(&d->line), is_terminal(d) ? look->width : UINT32_MAX);
        if (marked && is_terminal(d))
            strbuf_add_c(d->out, "\x1b[0m");
        if (!is_terminal(d))
            strbuf_add_char(d->out, '\n');
        else if (d->lines + 1 < look->height)
            strbuf_add_c(d->out, "\r\n");
    }
    d->lines++;
    strbuf_clear(&d->line);
}

static void add_padded(struct drawing *d, const char *text, unsigned width)
{
    unsigned columns = 0;

    for (const char *at = text; *at; at++)
        columns += ((unsigned char)*at & 0xc0) != 0x80;
    strbuf_add_c(&d->line, *text ? text : "-");
    for (columns += !*text; columns < width; columns++)
        strbuf_add_char(&d->line, ' ');
    strbuf_add_char(&d->line, ' ');
}

static void add_time(struct drawing *d, double ms)
{
    asked_add_time(&d->line, ms);
    strbuf_add_char(&d->line, ' ');
}

/* ---- the head ---------------------------------------------------------------------------- */

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static void draw_loop(struct drawing *d, size_t index, const struct top_loop *loop)
{
    strbuf_addf(&d->line, "loop %-3zu ", index);
    if (loop->compared)
        strbuf_addf(&d->line, "busy %5.1f %%  max turn %7.3f ms  ", loop->busy_share * 100,
                    loop->longest_ms);
    else
        strbuf_add_c(&d->line, "busy     - %  max turn       - ms  ");
    if (loop->answered) {
        strbuf_addf(&d->line, "lag %7.3f ms  %llu task%s, %llu ready", loop->lag_ms,
                    (unsigned long long)loop->tasks, plural(loop->tasks),
                    (unsigned long long)loop->ready);
    } else if (loop->held_task) {
        strbuf_addf(&d->line, "HELD UP by %s (%s, started at %s)",
                    *loop->held_name ? loop->held_name : "a task", loop->held_task,
                    loop->held_site);
    } else {
        strbuf_add_c(&d->line, "DOES NOT ANSWER");
    }
    end_line(d, !loop->answered);
}

static void draw_head(struct drawing *d, const struct top_frame *frame)
{
    unsigned long long seconds = (unsigned long long)(frame->uptime_ms / 1000);
    size_t shown = frame->loop_count, hidden = 0;
    enum top_view view = d->look->view;

    strbuf_addf(&d->line, "%s, process %ld", frame->program, frame->pid);
    if (view != TOP_TASK) /* what a view's answer does not tell would stand still in it */
        strbuf_addf(&d->line, ", up %llu:%02llu:%02llu", seconds / 3600, seconds / 60 % 60,
                    seconds % 60);
    if (view == TOP_KINDS)
        strbuf_addf(&d->line, ", %llu task%s", (unsigned long long)frame->tasks,
                    plural(frame->tasks));
    if (view != TOP_TASK)
        strbuf_addf(&d->line, ", memory %.1f MiB", frame->memory_bytes / 1048576);
    end_line(d, false);
    /* A machine of many cores has more loops than a terminal has lines: those that are in
     * trouble are shown always. */
    if (d->look->height > 0 && shown > d->look->height / 3)
        shown = d->look->height / 3;
    for (size_t i = 0; i < frame->loop_count; i++) {
        if (i < shown || !frame->loops[i].answered)
            draw_loop(d, i, &frame->loops[i]);
        else
            hidden++;
    }
    if (hidden > 0) {
        strbuf_addf(&d->line, "and %zu loop%s more", hidden, plural(hidden));
        end_line(d, false);
    }
}

/* ---- the tables ---------------------------------------------------------------------------- */

static void draw_titles(struct drawing *d, enum top_view view, enum top_sort sort)
{
    if (view == TOP_KINDS)
        strbuf_addf(&d->line, "%8s ", sort == TOP_BY_COUNT ? "COUNT*" : "COUNT");
    else
        add_padded(d, "TASK", 14);
    strbuf_addf(&d->line, "%10s %10s ", sort == TOP_BY_AGE ? "AGE*" : "AGE",
                sort == TOP_BY_WAIT ? "WAITS*" : "WAITS");
    add_padded(d, "STATE", 8);
    add_padded(d, "WAITS FOR", d->wait_columns);
    if (view == TOP_KINDS)
        add_padded(d, "NAME", 12);
    strbuf_add_c(&d->line, view == TOP_KINDS ? "STARTED AT" : "NAME in SCOPES");
    end_line(d, false);
}

static void draw_row(struct drawing *d, enum top_view view, const struct top_row *row, bool marked)
{
    if (view == TOP_KINDS)
        strbuf_addf(&d->line, "%8llu ", (unsigned long long)row->count);
    else
        add_padded(d, row->task, 14);
    add_time(d, row->age_ms);
    if (*row->waits_for)
        add_time(d, row->waited_ms);
    else
        strbuf_addf(&d->line, "%10s ", "-");
    add_padded(d, row->state, 8);
    add_padded(d, row->waits_for, d->wait_columns);
    if (view == TOP_KINDS) {
        add_padded(d, row->name, 12);
        strbuf_add_c(&d->line, row->site);
    } else {
        strbuf_addf(&d->line, "%s  in %s", row->name, row->path);
    }
    if (*row->route)
        strbuf_addf(&d->line, "  route %s", row->route);
    if (row->suspects > 0)
        strbuf_addf(&d->line, "  !%llu: %s", (unsigned long long)row->suspects, row->suspect);
    end_line(d, marked);
}

/* Lines that are left for what scrolls, above the foot. */
static size_t room_left(const struct drawing *d)
{
    if (d->look->height == 0)
        return SIZE_MAX;
    return d->lines + 1 < d->look->height ? d->look->height - d->lines - 1 : 0;
}

static void draw_rows(struct drawing *d, const struct top_frame *frame, struct top_look *look)
{
    size_t room;

    d->wait_columns = 16;
    for (size_t i = 0; i < frame->row_count; i++)
        if (strlen(frame->rows[i].waits_for) > d->wait_columns)
            d->wait_columns = (unsigned)strlen(frame->rows[i].waits_for);
    d->wait_columns = d->wait_columns < WAIT_COLUMNS_MAX ? d->wait_columns : WAIT_COLUMNS_MAX;
    draw_titles(d, look->view, look->sort);
    room = room_left(d);
    if (look->selected < look->first || room == 0)
        look->first = look->selected;
    else if (look->selected - look->first >= room)
        look->first = look->selected - room + 1;
    for (size_t i = look->first; i < frame->row_count && i - look->first < room; i++)
        draw_row(d, look->view, &frame->rows[i], i == look->selected);
}

/* ---- one task ------------------------------------------------------------------------------- */

static void draw_stack(struct drawing *d, const char *stack, struct top_look *look)
{
    size_t room = room_left(d), line = 0;

    for (const char *next; *stack; stack = next, line++) {
        next = stack + strcspn(stack, "\n");
        if (line >= look->first_line && line - look->first_line < room) {
            strbuf_add(&d->line, weir_str_from(stack, (size_t)(next - stack)));
            end_line(d, false);
        }
        next += *next == '\n';
    }
    if (look->first_line >= line)
        look->first_line = line ? line - 1 : 0;
}

static void draw_members(struct drawing *d, yyjson_val *root)
{
    yyjson_val *key, *value;
    size_t index, max;

    yyjson_obj_foreach(root, index, max, key, value)
    {
        if (strcmp(yyjson_get_str(key), "stack") == 0)
            continue;
        add_padded(d, yyjson_get_str(key), 17);
        asked_add_value(&d->line, value);
        end_line(d, false);
    }
}

static void draw_task(struct drawing *d, const struct top_frame *frame, struct top_look *look)
{
    yyjson_val *root = yyjson_doc_get_root(frame->task_doc);
    const char *stack = yyjson_get_str(yyjson_obj_get(root, "stack"));

    if (root) /* it is there, and the answer has come */
        draw_members(d, root);
    strbuf_add_c(&d->line, stack ? "stack, innermost first:" : root ? "it has no stack" : "");
    end_line(d, false);
    if (stack)
        draw_stack(d, stack, look);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void draw_foot(struct drawing *d)
{
    const struct top_look *look = d->look;

    while (d->lines + 1 < look->height)
        end_line(d, false);
    if (look->notice)
        strbuf_add_c(&d->line, look->notice);
    else if (look->view == TOP_TASK)
        strbuf_add_c(&d->line, "up, down: scroll  Esc: back  q: quit");
    else
        strbuf_addf(&d->line,
                    "sort by %sage (a), wait (w)  up, down: select  Enter: look in  %sq: quit",
                    look->view == TOP_KINDS ? "count (c), " : "",
                    look->view == TOP_KINDS ? "" : "Esc: back  ");
    end_line(d, look->notice);
}

void top_draw(struct strbuf *out, const struct top_frame *frame, struct top_look *look)
{
    struct drawing d = { .out = out, .line = STRBUF_INIT, .look = look };

    if (look->width > 0)
        strbuf_add_c(out, "\x1b[H");
    draw_head(&d, frame);
    end_line(&d, false);
    if (look->view == TOP_TASK)
        draw_task(&d, frame, look);
    else
        draw_rows(&d, frame, look);
    if (look->view != TOP_TASK && frame->left_out > 0 && room_left(&d) > 0) {
        strbuf_addf(&d.line, "and %llu task%s more", (unsigned long long)frame->left_out,
                    plural(frame->left_out));
        end_line(&d, false);
    }
    if (look->height > 0)
        draw_foot(&d);
    strbuf_done(&d.line);
}
