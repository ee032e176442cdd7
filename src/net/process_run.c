/* A program from start to end.
 *
 * Three tasks: one writes its input, two take what it writes, whatever its order;
 * so it never waits for us while we wait for it. What is beyond the limit is read
 * and dropped.
 *
 * When it has ended, its group is ended too, and its pipes then come to their end,
 * unless something has left the group with one of them in hand: that is given a
 * second, and what it writes later is not taken. */
#include "net/process.h"

#include <errno.h>

#include "base/strbuf.h"
#include "rt/rt.h"

#define KEPT_BYTES (1u << 20)
#define LATE_MS 1000

struct taker {
    weir_stream *from;
    struct strbuf text;
    size_t max_bytes;
    bool cut;
    int rc; /* -EINPROGRESS before its end */
};

struct run {
    weir_process *process;
    weir_str input;
    int input_rc;
    struct taker takers[2];
};

static int give_input(void *arg)
{
    struct run *run = arg;
    weir_stream *to = weir_process_stream(run->process, 0);
    size_t moved = 0;
    ssize_t n = 0;

    while (moved < run->input.len && n >= 0) {
        n = weir_stream_write(to, weir_str_skip(run->input, moved));
        if (n > 0)
            moved += (size_t)n;
    }
    if (n >= 0)
        n = weir_stream_shutdown(to);
    run->input_rc = n == -EPIPE ? 0 : (int)n; /* a program need not read all of it */
    return run->input_rc;
}

static int take(void *arg)
{
    struct taker *taker = arg;
    weir_str data;
    ssize_t n;

    while ((n = weir_stream_read(taker->from, &data)) > 0) {
        size_t room = taker->max_bytes - taker->text.len;

        taker->cut |= data.len > room;
        strbuf_add(&taker->text, weir_str_from(data.ptr, data.len < room ? data.len : room));
    }
    taker->rc = (int)n;
    return taker->rc;
}

/* Has a child failed, or never been started? One that was cancelled was not needed any
 * more: the program has ended, and nothing but a stranger holds its pipes. */
static int children_rc(const struct run *run)
{
    const int all[] = { run->input_rc, run->takers[0].rc, run->takers[1].rc };

    for (int i = 0; i < 3; i++)
        if (all[i] == -EINPROGRESS)
            return -ENOMEM;
        else if (all[i] < 0 && all[i] != -ECANCELED)
            return all[i];
    return 0;
}

/* A child that fails ends the wait: the program would wait for it for ever. */
static int run_to_end(struct run *run, weir_process_exit *ret_exit)
{
    int rc = 0;

    WEIR_SCOPE(s, .name = "program") {
        weir_go(s, give_input, run);
        weir_go(s, take, &run->takers[0]);
        weir_go(s, take, &run->takers[1]);
        rc = weir_process_wait(run->process, ret_exit);
        if (rc == 0)
            process_end_group(run->process);
        for (uint32_t ms = 1; rc == 0 && ms <= LATE_MS / 2; ms *= 2) {
            if (run->takers[0].rc != -EINPROGRESS && run->takers[1].rc != -EINPROGRESS)
                break;
            rc = weir_sleep_ms(ms);
        }
        weir_cancel(s);
        WEIR_IGNORE(weir_join(s), "children_rc() looks at each");
    }
    if (rc == -ECANCELED && rt_check() == 0) /* by a child's failure, not from outside */
        return children_rc(run);
    return rc < 0 ? rc : children_rc(run);
}

static int output_text(struct taker *taker, weir_str *ret_text, bool *ret_cut)
{
    weir_str text = strbuf_str(&taker->text);

    if (text.ptr)
        text = weir_str_dup(text);
    if (!text.ptr)
        return -ENOMEM;
    *ret_text = text;
    *ret_cut = taker->cut;
    return 0;
}

static int run_in_scope(const char *const *argv, struct run *run, const weir_process_run_opts *opts,
                        weir_process_exit *ret_exit)
{
    int rc = weir_process_start(argv, &run->process, .in = WEIR_STDIO_PIPE, .out = WEIR_STDIO_PIPE,
                                .err = WEIR_STDIO_PIPE, .env = opts->env, .cwd = opts->cwd,
                                .grace_ms = opts->grace_ms);

    if (rc < 0)
        return rc;
    run->input = opts->input;
    run->input_rc = -EINPROGRESS;
    for (int i = 0; i < 2; i++) {
        run->takers[i].rc = -EINPROGRESS;
        run->takers[i].from = weir_process_stream(run->process, i + 1);
        run->takers[i].max_bytes = opts->max_bytes ? opts->max_bytes : KEPT_BYTES;
    }
    rc = run_to_end(run, ret_exit);
    weir_process_close(run->process);
    return rc < 0 ? weir_wrap(rc, "running %s", argv[0]) : 0;
}

int weir_process_run_opt(const char *const *argv, weir_process_output *ret_output,
                         const weir_process_run_opts *opts)
{
    struct run run = { .process = NULL };
    weir_process_output output = { .exit.code = -1 };
    int rc = -EINVAL;

    WEIR_SCOPE(s, .timeout_ms = opts->timeout_ms)
        rc = run_in_scope(argv, &run, opts, &output.exit);
    if (rc == 0)
        rc = output_text(&run.takers[0], &output.out, &output.out_cut);
    if (rc == 0)
        rc = output_text(&run.takers[1], &output.err, &output.err_cut);
    strbuf_done(&run.takers[0].text);
    strbuf_done(&run.takers[1].text);
    if (rc == 0)
        *ret_output = output;
    return rc;
}
