/* Serving a configuration: what `weir gateway` and `weir demo` share. */
#ifndef GATEWAY_SERVE_H
#define GATEWAY_SERVE_H

#include <weir/serve.h>

#include "cli.h"
#include "gateway/gateway.h"

struct serve_settings {
    uint32_t loops, grace_ms, blocked_ms;
    const char *control; /* NULL: the default; "off" */
    weir_backend backend;
    weir_log_level log_level;
    weir_log_form log_form;
};

/* Flags that read into a struct serve_settings, ended by a NULL name; and each,
 * for commands that have more. */
extern const struct cli_flag serve_flags[];
#define SERVE_FLAGS                                                                         \
    { "--loops", "N", serve_read_loops, "a number from 1 to 256",                           \
      "threads that serve (one a core that may be used)" },                                 \
    { "--backend", "NAME", serve_read_backend, "auto, epoll or io_uring",                   \
      "auto, epoll or io_uring (auto: what WEIR_BACKEND names, else epoll)" },              \
    { "--grace", "TIME", serve_read_grace, "a time as in 10s, 500ms or 2m, at most 24h",    \
      "time for requests in progress at the end (10s)" },                                   \
    { "--control", "PATH", serve_read_control, "the path of a socket, or off",              \
      "where weir ps, top and trace ask; or off (a folder of the user's)" },                 \
    { "--blocked", "TIME", serve_read_blocked,                                              \
      "a time as in 100ms or 1s, at most 24h, or off",                                      \
      "report a loop that is held up for so long; or off (100ms)" },                        \
    { "--log-level", "LEVEL", serve_read_level, "error, warn, info or debug",               \
      "error, warn, info or debug (info)" },                                                \
    { "--log-format", "FORM", serve_read_form, "auto, text or json",                        \
      "auto, text or json (auto: text on a terminal)" }

bool serve_read_loops(void *to, const char *value);
bool serve_read_backend(void *to, const char *value);
bool serve_read_grace(void *to, const char *value);
bool serve_read_control(void *to, const char *value);
bool serve_read_blocked(void *to, const char *value);
bool serve_read_level(void *to, const char *value);
bool serve_read_form(void *to, const char *value);

struct serve {
    struct serve_settings flags; /* first: the flags read into it */
    const char *program;
    const char *source;          /* the configuration's name, for the start line */
    const struct config *config;
    void (*routes)(weir_app *app, void *arg); /* adds some; may be NULL */
    weir_fn *start;              /* before it listens; may be NULL */
    void (*end)(void *arg);      /* when no request runs any more; may be NULL */
    void *arg;

    struct gateway *gateway;     /* while it serves */
};

/* Serve until a signal: an exit code. */
int serve_gateway(struct serve *serve);

#endif
