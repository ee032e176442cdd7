/* From a finished application to a process that serves it, and its orderly end.
 *
 * States: STARTING (/healthz answers, /readyz says 503) -> READY -> DRAINING, from
 * the first signal on: connections that wait are taken, the listeners close,
 * requests in progress have the grace to end, what is left is cancelled -> over.
 * The admin's server ends last, so that the drain can be watched. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include <weir/run.h>
#include <weir/serve.h>

#include "base/budget.h"
#include "base/clock.h"
#include "net/tls_context.h"
#include "ops/admin.h"
#include "ops/end_signals.h"
#include "rt/loop.h"
#include "web/app.h"

#define SERVE_GRACE_MS 10000
#define SERVE_ADMIN_GRACE_MS 1000
#define SERVE_LISTEN_DEFAULT "127.0.0.1:8000"

struct serve {
    weir_app *app, *admin_app;
    const weir_serve_opts *opts;
    const char *program;
    uint32_t grace_ms;
    struct addr addrs[WEIR_LISTEN_MAX], admin_addr;
    uint32_t addr_count;
    struct http_server *server, *admin;
    struct tls_context *tls; /* or NULL */
    struct admin operators;
    bool start_failed; /* the program's own .start */
};

/* ---- the start ----------------------------------------------------------- */

static int parse_addrs(struct serve *s)
{
    int rc = 0;

    for (uint32_t i = 0; i < WEIR_LISTEN_MAX && rc == 0; i++) {
        const char *text = s->opts->listen[i];

        if (!text && i == 0)
            text = SERVE_LISTEN_DEFAULT;
        if (!text)
            break;
        rc = addr_parse(weir_str_c(text), &s->addrs[i]);
        s->addr_count = i + 1;
    }
    if (rc == 0 && s->opts->admin)
        rc = addr_parse(weir_str_c(s->opts->admin), &s->admin_addr);
    return rc;
}

static int start_admin(struct serve *s)
{
    int rc;

    if (!s->opts->admin)
        return 0;
    s->operators.started_ns = clock_monotonic_ns();
    s->admin_app = admin_app_new(&s->operators);
    rc = app_build(s->admin_app);
    if (rc == 0)
        rc = app_start_server(s->admin_app, &s->admin_addr, 1, NULL, SERVE_ADMIN_GRACE_MS,
                              &s->admin);
    return weir_wrap(rc, "the admin's endpoints");
}

/* What is shown to clients; whenever its files change, they are read anew. */
static int start_tls(struct serve *s)
{
    weir_tls_server_opts opts;
    int rc;

    if (!s->opts->tls)
        return 0;
    opts = *s->opts->tls;
    if (!opts.alpn[0]) {
        opts.alpn[0] = "h2";
        opts.alpn[1] = "http/1.1";
    }
    rc = tls_context_server(&opts, &s->tls);
    if (rc == 0)
        tls_context_follow(s->tls);
    return rc;
}

static void say_address(const char *what, const char *scheme, const struct addr *addr)
{
    char text[ADDR_TEXT_BYTES];

    weir_info("%s %s%.*s", what, addr->storage.ss_family == AF_UNIX ? "" : scheme,
              WEIR_ARG(addr_format(addr, text)));
}

static void say_limits(const struct serve *s)
{
    const weir_app_opts *opts = &s->app->opts;
    uint64_t body = opts->body_max_bytes;
    char bytes[40] = "any size";

    if (body != WEIR_UNLIMITED)
        snprintf(bytes, sizeof(bytes), "%llu KiB", (unsigned long long)body >> 10);
    weir_info("limits: %llu connections, a head of %u KiB in %.1f s, a body of %s, %.1f s idle; "
              "byte budget %.1f GiB",
              (unsigned long long)opts->connections_max, HTTP_HEAD_BYTES >> 10,
              opts->head_timeout_ms / 1e3, bytes, opts->idle_timeout_ms / 1e3,
              (double)budget_limit() / (1 << 30));
}

static void say_started(const struct serve *s)
{
    const struct stacks *stacks = &loop_self()->stacks;
    uint32_t loops = weir_loops();

    for (uint32_t i = 0; i < s->addr_count; i++)
        say_address("listening on", s->tls ? "https://" : "http://",
                    http_server_addr(s->server, i));
    if (s->admin)
        say_address("/healthz, /readyz, /status and /metrics on", "http://",
                    http_server_addr(s->admin, 0));
    weir_info("%u loop%s; stacks of %zu KiB with %s; grace %.1f s", loops, loops == 1 ? "" : "s",
              stacks->stack_bytes >> 10, stack_guard_name(stacks->guard), s->grace_ms / 1e3);
    say_limits(s);
}

static int start(struct serve *s)
{
    int rc = start_admin(s);

    if (rc == 0)
        rc = start_tls(s);
    if (rc == 0 && s->opts->start) {
        rc = s->opts->start(s->opts->start_arg);
        s->start_failed = rc < 0;
    }
    if (rc < 0)
        return rc;
    rc = app_start_server(s->app, s->addrs, s->addr_count, s->tls, s->grace_ms, &s->server);
    if (rc < 0)
        return rc;
    atomic_store(&s->operators.state, ADMIN_READY);
    say_started(s);
    return 0;
}

/* ---- the end ------------------------------------------------------------- */

static void drain(struct serve *s, int signal)
{
    struct http_server_stats stats;
    int64_t began_ns = clock_monotonic_ns();
    const char *name = signal == SIGINT ? "SIGINT" : signal == SIGTERM ? "SIGTERM" : "end";

    atomic_store(&s->operators.state, ADMIN_DRAINING);
    http_server_stats(s->server, &stats);
    weir_info("%s: draining %u request%s on %u connection%s, for up to %.1f s", name,
              stats.in_flight, stats.in_flight == 1 ? "" : "s", stats.connections,
              stats.connections == 1 ? "" : "s", s->grace_ms / 1e3);
    http_server_stop(s->server);
    WEIR_IGNORE(http_server_wait(s->server), "what was cut is counted and told below");
    http_server_stats(s->server, &stats);
    weir_logf(stats.cut ? WEIR_LOG_WARN : WEIR_LOG_INFO, "drained in %lld ms, %llu request%s cut",
              (long long)((clock_monotonic_ns() - began_ns) / 1000000),
              (unsigned long long)stats.cut, stats.cut == 1 ? "" : "s");
}

static void end(struct serve *s)
{
    if (s->opts->end)
        s->opts->end(s->opts->end_arg);
    if (s->admin) {
        http_server_stop(s->admin);
        WEIR_IGNORE(http_server_wait(s->admin), "it is over either way");
    }
    http_server_free(s->server);
    http_server_free(s->admin);
}

static int serve_task(void *arg)
{
    struct serve *s = arg;
    int rc = start(s), signal;

    if (rc == 0) {
        signal = end_signals_wait();
        drain(s, signal);
    }
    end(s);
    return rc;
}

/* ---- around it ----------------------------------------------------------- */

static int run(struct serve *s)
{
    int rc = parse_addrs(s);

    if (rc < 0)
        return rc;
    rc = weir_inspect_open_opt(&s->opts->inspect);
    if (rc < 0)
        return rc;
    rc = end_signals_open();
    if (rc < 0) {
        weir_inspect_close();
        return weir_fail(rc, "installing the signal handlers");
    }
    rc = weir_run(serve_task, s, .loops = s->opts->loops, .grace_ms = s->grace_ms,
                  .byte_budget = s->opts->byte_budget, .backend = s->opts->backend);
    end_signals_close();
    weir_inspect_close();
    return rc;
}

/* What to do about an address that can't be listened at. */
static const char *hint_for(int rc)
{
    switch (rc) {
    case -EADDRINUSE:
        return "another program listens there: end it (ss -ltnp names it), or choose "
               "another port";
    case -EACCES: return "ports below 1024 need a privilege: choose a higher one";
    case -EADDRNOTAVAIL: return "no interface of this machine has that address";
    default: return NULL;
    }
}

static void say_failure(const struct serve *s, int rc)
{
    const char *hint = s->start_failed ? NULL : hint_for(rc);

    if (rc == WEIR_ECONFIG && s->app && s->app->fault_count)
        weir_error("%s has faults in its routes:\n%.*s", s->program,
                   WEIR_ARG(strbuf_str(&s->app->faults)));
    else if (hint)
        weir_log(WEIR_LOG_ERROR, "could not start", WEIR_FIELD("program", s->program),
                 WEIR_FAILURE(rc), WEIR_FIELD("hint", hint));
    else
        weir_log(WEIR_LOG_ERROR, "could not start", WEIR_FIELD("program", s->program),
                 WEIR_FAILURE(rc));
}

int weir_serve_opt(weir_app *app, const weir_serve_opts *opts)
{
    struct serve s = { .app = app, .opts = opts };
    int rc;

    s.program = opts->program ? opts->program : app && app->opts.title ? app->opts.title : "weir";
    s.grace_ms = opts->grace_ms ? opts->grace_ms : SERVE_GRACE_MS;
    rc = weir_log_open(.level = opts->log_level, .form = opts->log_form, .fold = true);
    if (rc < 0) {
        fprintf(stderr, "%s: the log could not be opened: %s\n", s.program, weir_error_text(rc));
        return 1;
    }
    rc = app_build(app);
    if (rc == 0)
        rc = run(&s);
    if (rc < 0)
        say_failure(&s, rc);
    tls_context_unref(s.tls);
    weir_app_free(s.admin_app);
    weir_recover();
    weir_log_close();
    return rc < 0 ? 1 : 0;
}
