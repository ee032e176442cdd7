/* `weir top`: its flags, and one frame as text. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <weir/error.h>

#include "asked.h"
#include "base/alloc.h"
#include "top/top.h"
#include "type/units.h"

struct settings {
    uint32_t interval_ms;
    enum top_sort sort;
    bool once;
};

/* ---- one frame ------------------------------------------------------------------------------- */

static int ask(struct control_client *client, const char *request, struct strbuf *json)
{
    strbuf_clear(json);
    return control_client_ask(client, request, ASKED_MS, json);
}

/* The loops are asked twice: shares of time are between two looks. */
static int read_frame(struct control_client *client, struct top_frame *frame, struct strbuf *json)
{
    int rc = ask(client, "loops", json);

    if (rc < 0)
        return rc;
    if (!top_frame_loops(frame, json))
        return weir_fail(-EPROTO, "its answer is not understood: is it of another version?");
    poll(NULL, 0, TOP_FIRST_MS);
    rc = ask(client, "loops", json);
    if (rc == 0 && top_frame_loops(frame, json))
        rc = ask(client, "kinds", json);
    if (rc == 0 && !top_frame_rows(frame, TOP_KINDS, json))
        rc = weir_fail(-EPROTO, "its answer is not understood: is it of another version?");
    return rc;
}

static int print_once(const struct cli_command *command, struct control_client *client,
                      const struct settings *settings)
{
    struct top_frame *frame = base_calloc(1, sizeof(*frame));
    struct strbuf json = STRBUF_INIT, out = STRBUF_INIT;
    struct top_look look = { .view = TOP_KINDS, .sort = settings->sort };
    int rc = frame ? read_frame(client, frame, &json) : weir_fail(-ENOMEM, "a frame");

    if (rc == 0) {
        top_frame_sort(frame, settings->sort);
        top_draw(&out, frame, &look);
        rc = !out.bad && fputs(strbuf_str(&out).ptr, stdout) >= 0 ? 0 : 1;
    } else {
        rc = asked_fail(command);
    }
    if (frame)
        top_frame_done(frame);
    base_free(frame);
    strbuf_done(&json);
    strbuf_done(&out);
    return rc;
}

/* ---- the command ------------------------------------------------------------------------------ */

static bool read_interval(void *to, const char *value)
{
    struct settings *settings = to;

    return duration_parse_flag(value, &settings->interval_ms) == 0 &&
           settings->interval_ms >= 100 && settings->interval_ms <= 30000;
}

static bool read_once(void *to, const char *value)
{
    (void)value;
    return ((struct settings *)to)->once = true;
}

static bool read_sort(void *to, const char *value)
{
    static const char *const names[] = { "count", "age", "wait" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(value, names[i]) == 0) {
            ((struct settings *)to)->sort = (enum top_sort)i;
            return true;
        }
    }
    return false;
}

static const struct cli_flag flags[] = {
    { "--interval", "TIME", read_interval, "a time from 100ms to 30s", "look so often (1s)" },
    { "--once", NULL, read_once, NULL, "print one frame as text, for scripts" },
    { "--sort", "KEY", read_sort, "count, age or wait",
      "the order at first: count, age or wait (count)" },
    { NULL, NULL, NULL, NULL, NULL },
};

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct settings settings = { .interval_ms = 1000 };
    struct control_client client;
    const char *operand;
    int rc = cli_read(command, argc, argv, &settings, &operand);

    if (rc != CLI_GO_ON)
        return rc;
    rc = asked_open(command, operand, &client);
    if (rc != CLI_GO_ON)
        return rc;
    if (settings.once)
        rc = print_once(command, &client, &settings);
    else if (top_live(&client, strchr(operand, '/') ? operand : NULL, settings.interval_ms,
                      settings.sort) < 0)
        rc = asked_fail(command);
    else
        rc = 0;
    control_client_close(&client);
    return rc;
}

const struct cli_command cmd_top = {
    .name = "top",
    .operand = "PID",
    .summary = "watch what a running program does, live",
    .text = "Shows the loops of a running program, and the kinds of its tasks: those that were\n"
            "started at the same place and wait for the same. Enter looks into a kind, and then\n"
            "into a task with its stack; Esc goes back, q ends.\n"
            "\n"
            "Instead of PID the path of a control socket is taken too.\n",
    .flags = flags,
    .run = run,
};
