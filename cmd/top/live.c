/* Watching live; see top.h.
 *
 * One request is under way at a time, and its answer is waited for together with the keys:
 * a program that answers late, or is stopped, leaves the keys working. A look is the rows of
 * the view, then the loops. When the view is left meanwhile, the answer that comes is not
 * shown, and a new look begins at once. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <weir/error.h>

#include "asked.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "top/top.h"

#define SILENT_MS 2000

enum asked { ASKED_NOTHING, ASKED_ROWS, ASKED_LOOPS };

struct live {
    struct control_client *client;
    const char *path; /* of its socket; NULL: it is found by the process */
    struct top_frame *frame;
    struct top_look look;
    char kind[TOP_ID_BYTES], task[TOP_ID_BYTES];     /* what is looked into */
    char selected[TOP_ID_BYTES];
    size_t kind_selected, tasks_selected;
    enum asked asked;
    enum top_view asked_view;
    struct strbuf json;
    int64_t asked_ns, next_ns;
    uint32_t interval_ms;
    unsigned looks;
    bool was_cut; /* the connection, and nothing has come since */
    bool over, dirty;
    char notice[200];
};

static void notice(struct live *l, const char *text)
{
    snprintf(l->notice, sizeof(l->notice), "%s", text);
    l->look.notice = *l->notice ? l->notice : NULL;
    l->dirty = true;
}

/* ---- asking ------------------------------------------------------------------------------- */

static void send_request(struct live *l, enum asked asked)
{
    char request[96] = "loops";

    if (asked == ASKED_ROWS && l->look.view == TOP_KINDS) {
        snprintf(request, sizeof(request), "kinds");
    } else if (asked == ASKED_ROWS && l->look.view == TOP_TASKS) {
        snprintf(request, sizeof(request), "kind %s", l->kind);
    } else if (asked == ASKED_ROWS) {
        if (!asked_task_request(l->task, request, sizeof(request)))
            return;
    }
    l->asked = asked;
    l->asked_view = l->look.view;
    l->asked_ns = clock_monotonic_ns();
    strbuf_clear(&l->json);
    WEIR_IGNORE(control_client_send(l->client, request), "its answer tells");
}

static void find_selected(struct live *l)
{
    struct top_frame *frame = l->frame;

    for (size_t i = 0; i < frame->row_count; i++) {
        if (strcmp(frame->rows[i].id, l->selected) == 0) {
            l->look.selected = i;
            return;
        }
    }
    if (l->look.selected >= frame->row_count)
        l->look.selected = frame->row_count ? frame->row_count - 1 : 0;
}

static void remember_selected(struct live *l)
{
    const struct top_frame *frame = l->frame;

    snprintf(l->selected, sizeof(l->selected), "%s",
             l->look.selected < frame->row_count ? frame->rows[l->look.selected].id : "");
}

static bool take_rows(struct live *l)
{
    if (l->asked_view == TOP_TASK)
        return top_frame_task(l->frame, &l->json);
    if (!top_frame_rows(l->frame, l->asked_view, &l->json))
        return false;
    top_frame_sort(l->frame, l->look.sort);
    find_selected(l);
    remember_selected(l);
    return true;
}

static void take_answer(struct live *l)
{
    enum asked asked = l->asked;
    bool understood = true;

    l->asked = ASKED_NOTHING;
    l->was_cut = false;
    if (asked == ASKED_ROWS && l->asked_view != l->look.view) {
        send_request(l, ASKED_ROWS);
        return;
    }
    understood = asked == ASKED_ROWS ? take_rows(l) : top_frame_loops(l->frame, &l->json);
    notice(l, understood ? "" : "an answer is not understood: is the program of another version?");
    if (asked == ASKED_ROWS) {
        send_request(l, ASKED_LOOPS);
        return;
    }
    l->next_ns = clock_monotonic_ns() +
                 (l->looks++ == 0 ? TOP_FIRST_MS : l->interval_ms) * INT64_C(1000000);
}

/* It has refused, as when the task has ended that is looked at: the next look tells more. */
static void take_refusal(struct live *l)
{
    char text[sizeof(l->notice)];

    weir_error_print(text, sizeof(text));
    weir_recover();
    notice(l, text);
    l->asked = ASKED_NOTHING;
    l->next_ns = clock_monotonic_ns() + l->interval_ms * INT64_C(1000000);
}

/* The connection is cut when the program ends, and when it has not heard of us for long, as
 * after a suspend: so it is tried once more. */
static void reconnect(struct live *l)
{
    pid_t pid = l->client->pid;

    weir_recover();
    control_client_close(l->client);
    l->asked = ASKED_NOTHING;
    l->next_ns = 0;
    if (l->was_cut || (l->path ? control_client_open_path(l->client, l->path)
                               : control_client_open(l->client, pid)) < 0)
        l->over = true;
    l->was_cut = true;
    weir_recover();
}

static void receive(struct live *l)
{
    int rc = control_client_take(l->client, &l->json);

    if (rc == 1)
        take_answer(l);
    else if (rc == -EREMOTEIO)
        take_refusal(l);
    else if (rc < 0)
        reconnect(l);
}

/* ---- keys --------------------------------------------------------------------------------- */

static void enter_view(struct live *l, enum top_view view, size_t selected)
{
    l->look.view = view;
    l->look.selected = selected;
    l->look.first = l->look.first_line = 0;
    l->frame->row_count = 0; /* those of the other view */
    *l->selected = '\0';
    l->next_ns = 0;
    notice(l, "");
}

static void go_in(struct live *l)
{
    size_t selected = l->look.selected;

    if (l->look.view == TOP_TASK || selected >= l->frame->row_count)
        return;
    if (l->look.view == TOP_KINDS) {
        snprintf(l->kind, sizeof(l->kind), "%s", l->frame->rows[selected].id);
        l->kind_selected = selected;
        enter_view(l, TOP_TASKS, 0);
    } else {
        snprintf(l->task, sizeof(l->task), "%s", l->frame->rows[selected].id);
        l->tasks_selected = selected;
        yyjson_doc_free(l->frame->task_doc);
        l->frame->task_doc = NULL;
        enter_view(l, TOP_TASK, 0);
    }
}

static void go_back(struct live *l)
{
    if (l->look.view == TOP_TASK)
        enter_view(l, TOP_TASKS, l->tasks_selected);
    else if (l->look.view == TOP_TASKS)
        enter_view(l, TOP_KINDS, l->kind_selected);
}

static void move_by(struct live *l, long by)
{
    bool scrolls = l->look.view == TOP_TASK;
    size_t *at = scrolls ? &l->look.first_line : &l->look.selected;
    size_t most = scrolls ? 10000 : l->frame->row_count ? l->frame->row_count - 1 : 0;

    if (by < 0)
        *at = *at > (size_t)-by ? *at - (size_t)-by : 0;
    else
        *at = most - *at > (size_t)by ? *at + (size_t)by : most;
    if (!scrolls)
        remember_selected(l);
}

static void sort_by(struct live *l, enum top_sort sort)
{
    l->look.sort = sort;
    top_frame_sort(l->frame, sort);
    l->look.selected = l->look.first = 0;
    remember_selected(l);
}

static void press(struct live *l, enum top_key key)
{
    long page = l->look.height > 10 ? (long)l->look.height / 2 : 5;

    switch (key) {
    case TOP_KEY_UP: move_by(l, -1); break;
    case TOP_KEY_DOWN: move_by(l, 1); break;
    case TOP_KEY_PAGE_UP: move_by(l, -page); break;
    case TOP_KEY_PAGE_DOWN: move_by(l, page); break;
    case TOP_KEY_HOME: move_by(l, -10000); break;
    case TOP_KEY_END: move_by(l, 10000); break;
    case TOP_KEY_ENTER: go_in(l); break;
    case TOP_KEY_BACK: go_back(l); break;
    case TOP_KEY_COUNT: sort_by(l, TOP_BY_COUNT); break;
    case TOP_KEY_AGE: sort_by(l, TOP_BY_AGE); break;
    case TOP_KEY_WAIT: sort_by(l, TOP_BY_WAIT); break;
    case TOP_KEY_QUIT: l->over = true; break;
    case TOP_KEY_NONE: break;
    }
    l->dirty = true;
}

/* ---- the loop ------------------------------------------------------------------------------- */

static void show(struct live *l)
{
    struct strbuf out = STRBUF_INIT;

    top_screen_size(&l->look.width, &l->look.height);
    top_draw(&out, l->frame, &l->look);
    top_screen_show(&out);
    strbuf_done(&out);
    l->dirty = false;
}

static void look_at_silence(struct live *l, int64_t now_ns)
{
    char text[96];

    if (l->asked == ASKED_NOTHING || now_ns - l->asked_ns < SILENT_MS * INT64_C(1000000))
        return;
    snprintf(text, sizeof(text), "no answer for %lld s: the program may be stopped",
             (long long)((now_ns - l->asked_ns) / 1000000000));
    notice(l, text);
}

/* False: the user or a signal has ended it. */
static bool turn(struct live *l)
{
    int64_t now_ns = clock_monotonic_ns();
    int64_t wait_ms = l->asked == ASKED_NOTHING ? (l->next_ns - now_ns) / 1000000 + 1 : 1000;
    enum top_key key;
    bool ready, resized;

    if (l->asked == ASKED_NOTHING && now_ns >= l->next_ns) {
        send_request(l, ASKED_ROWS);
        wait_ms = 1000;
    }
    if (l->dirty)
        show(l);
    if (!top_screen_wait(l->client->fd, wait_ms > 0 ? (int)wait_ms : 0, &ready, &resized))
        return false;
    if (resized)
        l->dirty = true;
    while ((key = top_screen_key()) != TOP_KEY_NONE) {
        press(l, key);
        if (l->over)
            return false;
    }
    if (ready)
        receive(l);
    look_at_silence(l, clock_monotonic_ns());
    return true;
}

int top_live(struct control_client *client, const char *path, uint32_t interval_ms,
             enum top_sort sort)
{
    struct live l = { .client = client,
                      .path = path,
                      .interval_ms = interval_ms,
                      .json = STRBUF_INIT,
                      .dirty = true,
                      .look = { .sort = sort } };
    bool ended_by_user = false;
    long pid;

    l.frame = base_calloc(1, sizeof(*l.frame));
    if (!l.frame)
        return weir_fail(-ENOMEM, "there is no memory for a frame");
    if (top_screen_open() < 0) {
        base_free(l.frame);
        return -ENOTTY;
    }
    while (!l.over && !ended_by_user)
        ended_by_user = !turn(&l);
    top_screen_close();
    pid = client->pid ? (long)client->pid : l.frame->pid;
    if (!ended_by_user)
        printf("weir top: process %ld has ended\n", pid);
    top_frame_done(l.frame);
    base_free(l.frame);
    strbuf_done(&l.json);
    return 0;
}
