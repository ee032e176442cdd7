/* `weir trace`: records what a running program's loops do for a few seconds. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <weir/error.h>

#include "base/alloc.h"
#include "cli.h"
#include "ops/control_client.h"
#include "trace/trace.h"

#define SILENCE_S 10 /* more than the program may take to begin */

struct settings {
    long seconds, limit_mib;
    const char *output;
};

static int fail(const char *text)
{
    fprintf(stderr, "weir trace: %s\n", text);
    return 1;
}

static int fail_chain(void)
{
    char text[1100];

    weir_error_print(text, sizeof(text));
    return fail(text);
}

/* ---- the answer -------------------------------------------------------------------------- */

/* 1: go on; 0: it was the last line; -1: it is a failure, which has been told. */
static int take_line(struct trace_file *file, const char *text, size_t len)
{
    yyjson_doc *doc = yyjson_read(text, len, 0);
    yyjson_val *line = yyjson_doc_get_root(doc), *end = yyjson_obj_get(line, "end");
    const char *message = yyjson_get_str(yyjson_ptr_get(line, "/error/message"));
    int rc = 1;

    if (message) {
        fail(message);
        rc = -1;
    } else if (end) {
        rc = 0;
    } else if (!(yyjson_obj_get(line, "trace") ? trace_file_begin(file, line)
                                               : file->pid && trace_file_line(file, line))) {
        fail("the program's answer is not understood: is it of another version?");
        rc = -1;
    }
    if (end && strcmp(yyjson_get_str(end), "the time is over") != 0)
        fprintf(stderr, "weir trace: ended early: %s\n", yyjson_get_str(end));
    yyjson_doc_free(doc);
    if (rc >= 0 && file->failed) {
        fail("the file could not be written");
        rc = -1;
    }
    return rc;
}

static int take_answer(struct trace_file *file, FILE *in)
{
    char *text = NULL;
    size_t room = 0;
    ssize_t len;
    int rc = 1;

    while (rc > 0 && (len = getline(&text, &room, in)) > 0)
        rc = take_line(file, text, (size_t)len);
    free(text);
    if (rc > 0) {
        fprintf(stderr, "weir trace: the program has ended, or does not answer any more\n");
        return file->pid ? 0 : -1; /* what came is kept */
    }
    return rc;
}

static int trace_into(struct trace_file *file, const struct control_client *client,
                      const struct settings *settings)
{
    struct timeval silence = { .tv_sec = SILENCE_S };
    int own = dup(client->fd), rc = -1;
    FILE *in = own < 0 ? NULL : fdopen(own, "r");
    char request[32];

    if (!in) {
        if (own >= 0)
            close(own);
        return -1;
    }
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence));
    snprintf(request, sizeof(request), "trace %ld\n", settings->seconds);
    if (send(client->fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request))
        rc = take_answer(file, in);
    fclose(in);
    if (rc < 0)
        return rc;
    trace_file_end(file);
    return 0;
}

static int record(const struct control_client *client, const struct settings *settings,
                  const char *path)
{
    struct trace_file *file = base_calloc(1, sizeof(*file));
    int rc = -1;

    if (!file)
        return fail("no memory");
    file->limit = (uint64_t)settings->limit_mib << 20;
    file->out = fopen(path, "we");
    if (!file->out) {
        fprintf(stderr, "weir trace: %s: %s\n", path, strerror(errno));
    } else {
        rc = trace_into(file, client, settings);
        if (fclose(file->out) != 0 && rc == 0)
            rc = fail("the file could not be written");
        if (rc != 0)
            unlink(path);
    }
    if (rc == 0) {
        trace_summary(file, stdout);
        if (file->left_out > 0)
            printf("\nThe file is full: what came later is not in it (see --limit).\n");
        printf("\n%s: open it at https://ui.perfetto.dev or chrome://tracing\n", path);
    }
    trace_file_done(file);
    base_free(file);
    return rc == 0 ? 0 : 1;
}

/* ---- the command ------------------------------------------------------------------------- */

static bool read_seconds(void *to, const char *value)
{
    return cli_number(value, 1, 60, &((struct settings *)to)->seconds);
}

static bool read_limit(void *to, const char *value)
{
    return cli_number(value, 1, 4096, &((struct settings *)to)->limit_mib);
}

static bool read_output(void *to, const char *value)
{
    ((struct settings *)to)->output = value;
    return *value != '\0';
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct settings settings = { .seconds = 3, .limit_mib = 256 };
    struct control_client client;
    const char *operand;
    char path[64];
    long pid;
    int rc = cli_read(command, argc, argv, &settings, &operand);

    if (rc != CLI_GO_ON)
        return rc;
    if (cli_number(operand, 1, INT32_MAX, &pid)) {
        rc = control_client_open(&client, (pid_t)pid);
        snprintf(path, sizeof(path), "weir-%ld.trace.json", pid);
    } else if (strchr(operand, '/')) {
        rc = control_client_open_path(&client, operand);
        snprintf(path, sizeof(path), "weir.trace.json");
    } else {
        return cli_mistake(command, "`%s` is no process: give its number, or its socket's path",
                           operand);
    }
    if (rc < 0)
        return fail_chain();
    rc = record(&client, &settings, settings.output ? settings.output : path);
    control_client_close(&client);
    return rc;
}

static const struct cli_flag flags[] = {
    { "--seconds", "N", read_seconds, "a number from 1 to 60", "record so long (3)" },
    { "--output", "FILE", read_output, "a file's name", "write it here (weir-PID.trace.json)" },
    { "--limit", "MIB", read_limit, "a number from 1 to 4096", "the file's size at most (256)" },
    { NULL, NULL, NULL, NULL, NULL },
};

const struct cli_command cmd_trace = {
    .name = "trace",
    .operand = "PID",
    .summary = "record a few seconds of a running program, for a trace viewer",
    .text = "Records what the loops of a running program do: which task ran when and how long,\n"
            "what it waited for, who woke it and how long it then took to run. The file is for\n"
            "https://ui.perfetto.dev or chrome://tracing; what stands out is printed.\n",
    .flags = flags,
    .run = run,
};
