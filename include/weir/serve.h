/* The program around an application.
 *
 *     int main(int argc, char **argv)
 *     {
 *         weir_app *app = weir_app_new(.title = "Hello");
 *
 *         weir_get(app, "/hello/{name}", hello);
 *         return weir_main(app, argc, argv);
 *     }
 *
 * weir_main() reads the flags; weir_serve() is for programs that have their own. Both
 * open the log, watch over the program as weir_inspect_open() says, and end in good
 * order. */
#ifndef WEIR_SERVE_H
#define WEIR_SERVE_H

#include <stddef.h>
#include <stdint.h>

#include <weir/app.h>
#include <weir/export.h>
#include <weir/inspect.h>
#include <weir/log.h>
#include <weir/run.h>
#include <weir/tls.h>

WEIR_BEGIN

#define WEIR_LISTEN_MAX 16

typedef struct weir_serve_opts {
    size_t size;                         /* set by the macro */
    const char *program;                 /* for messages; unset: the application's title */
    const char *listen[WEIR_LISTEN_MAX]; /* "host:port"; unset: "127.0.0.1:8000" */
    const weir_tls_server_opts *tls;     /* serve over TLS (not admin); unset: without */
    const char *admin;                   /* /healthz, /readyz, /metrics; unset: none */
    uint32_t loops;                      /* unset: one a core that the process may use */
    uint32_t grace_ms;                   /* for requests in progress; unset: 10,000 */
    uint64_t byte_budget;                /* unset: 80 % of the memory */
    weir_log_level log_level;            /* unset: WEIR_LOG_INFO */
    weir_log_form log_form;
    weir_fn *start; /* run as a task before it listens; a failure is the program's end */
    void *start_arg;
    void (*end)(void *arg); /* called when no request runs any more */
    void *end_arg;
    weir_backend backend; /* unset: WEIR_BACKEND_AUTO */
    weir_inspect_opts inspect;           /* how the program is watched */
} weir_serve_opts;

#define weir_serve(app, ...) \
    weir_serve_opt(app, &(weir_serve_opts){ .size = sizeof(weir_serve_opts), __VA_ARGS__ })

/* Serve an application until SIGTERM or SIGINT: what weir_main() does once it has
 * read its flags. It opens the log, runs the loops and installs the handlers of
 * these two signals, and ignores SIGPIPE; a second signal ends the process at once
 * with 128 + its number.
 *
 * At the first one /readyz answers 503, connections that wait are taken, the
 * listeners are closed, and requests in progress have the grace to end; what is
 * left is cancelled and counted in the log.
 *
 * Checkpoint: never (it is called outside tasks).
 * Returns:    an exit code: 0 after a drain, 1 when it could not start, told in the
 *   log.
 * Ownership:  app stays the caller's.
 * Thread:     the program's first, once at a time.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(2)
int weir_serve_opt(weir_app *app, const weir_serve_opts *opts);

/* Read the program's flags (--help names them), and serve the application.
 *
 * Checkpoint: never (it is called outside tasks).
 * Returns:    an exit code: weir_serve_opt()'s; 0 after --help, --version and
 *   --routes; 1 for faults in the routes; 2 for flags that can't be.
 * Ownership:  takes app, and frees it.
 * Thread:     the program's first.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE int weir_main(weir_app *app, int argc, char **argv);

WEIR_END

#endif
