/* A program around an application: its flags, then serve.c.
 *
 * Flags are a table, so that --help, the reading and the hints can't differ. A
 * mistake is one line that says what was given, what would be right, and ends with
 * exit code 2 before anything is opened. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <weir/serve.h>

#include "rt/loop.h"
#include "type/hint.h"
#include "type/units.h"
#include "web/app.h"

#define MAIN_USAGE 2

struct command {
    weir_serve_opts serve;
    weir_tls_server_opts tls;
    weir_tls_certificate certificates[2]; /* the second ends the list */
    const char *program;
    uint32_t listen_count;
    bool help, version, routes;
};

struct flag {
    const char *name, *argument; /* argument NULL: takes none */
    bool (*read)(struct command *c, const char *value);
    bool (*read_second)(struct command *c, const char *value); /* NULL: it has but one */
    const char *expects; /* for the message when read() returns false */
    const char *help;
};

/* ---- what each flag does ------------------------------------------------- */

static bool read_listen(struct command *c, const char *value)
{
    struct addr addr;

    if (addr_parse(weir_str_c(value), &addr) < 0 || c->listen_count == WEIR_LISTEN_MAX)
        return false;
    c->serve.listen[c->listen_count++] = value;
    return true;
}

/* One of two values: the key is the next. */
static bool read_tls(struct command *c, const char *value)
{
    c->certificates[0].certificate = value;
    c->tls = (weir_tls_server_opts){ .size = sizeof(c->tls),
                                     .certificates = c->certificates,
                                     .watch = true };
    c->serve.tls = &c->tls;
    return *value != '\0';
}

static bool read_key(struct command *c, const char *value)
{
    c->certificates[0].key = value;
    return *value != '\0';
}

static bool read_admin(struct command *c, const char *value)
{
    struct addr addr;

    c->serve.admin = value;
    return addr_parse(weir_str_c(value), &addr) == 0;
}

static bool read_loops(struct command *c, const char *value)
{
    char *end;
    long loops;

    errno = 0;
    loops = strtol(value, &end, 10);
    if (errno || end == value || *end || loops < 1 || loops > RT_LOOPS_MAX)
        return false;
    c->serve.loops = (uint32_t)loops;
    return true;
}

static bool read_backend(struct command *c, const char *value)
{
    static const char *const names[] = { "auto", "epoll", "io_uring" };
    static const weir_backend backends[] = { WEIR_BACKEND_AUTO, WEIR_BACKEND_EPOLL,
                                             WEIR_BACKEND_IO_URING };

    for (size_t i = 0; i < 3; i++) {
        if (strcmp(value, names[i]) == 0) {
            c->serve.backend = backends[i];
            return true;
        }
    }
    return false;
}

static bool read_level(struct command *c, const char *value)
{
    return weir_log_level_from(weir_str_c(value), &c->serve.log_level) == 0;
}

static bool read_form(struct command *c, const char *value)
{
    static const char *const names[] = { "auto", "text", "json" };
    static const weir_log_form forms[] = { WEIR_LOG_AUTO, WEIR_LOG_TEXT, WEIR_LOG_JSON };

    for (size_t i = 0; i < 3; i++) {
        if (strcmp(value, names[i]) == 0) {
            c->serve.log_form = forms[i];
            return true;
        }
    }
    return false;
}

static bool read_grace(struct command *c, const char *value)
{
    uint32_t ms;

    if (duration_parse_flag(value, &ms) < 0)
        return false;
    c->serve.grace_ms = ms ? ms : 1;
    return true;
}

static bool read_blocked(struct command *c, const char *value)
{
    uint32_t *ms = &c->serve.inspect.blocked_ms;

    if (strcmp(value, "off") == 0) {
        *ms = WEIR_OFF;
        return true;
    }
    return duration_parse_flag(value, ms) == 0 && *ms > 0;
}

static bool read_control(struct command *c, const char *value)
{
    c->serve.inspect.no_socket = strcmp(value, "off") == 0;
    c->serve.inspect.socket = c->serve.inspect.no_socket ? NULL : value;
    return *value != '\0';
}

static bool read_routes(struct command *c, const char *value)
{
    (void)value;
    return c->routes = true;
}

static bool read_version(struct command *c, const char *value)
{
    (void)value;
    return c->version = true;
}

static bool read_help(struct command *c, const char *value)
{
    (void)value;
    return c->help = true;
}

static const struct flag flags[] = {
    { "--listen", "ADDRESS", read_listen, NULL,
      "an address as in 127.0.0.1:8000, [::1]:8000, :8000 or unix:/run/app.sock, at most 16 times",
      "serve at this address; may be repeated (127.0.0.1:8000)" },
    { "--tls", "CERT KEY", read_tls, read_key, "two files (PEM)",
      "serve https with this certificate; reload it when it changes" },
    { "--admin", "ADDRESS", read_admin, NULL, "an address as in 127.0.0.1:8001",
      "serve /healthz, /readyz, /status and /metrics at this address" },
    { "--loops", "N", read_loops, NULL,
      "a number from 1 to " WEIR_TEXT(RT_LOOPS_MAX),
                                      "threads that serve (one a core that may be used)" },
      { "--backend", "NAME", read_backend, NULL, "auto, epoll or io_uring",
        "auto, epoll or io_uring (auto: what WEIR_BACKEND names, else epoll)" },
      { "--grace", "SECONDS", read_grace, NULL, "a time as in 10, 1.5s, 500ms or 2m, at most 24h",
        "time for requests in progress at the end (10)" },
      { "--blocked", "TIME", read_blocked, NULL, "a time as in 100ms or 1s, at most 24h, or off",
        "report a loop that is held up for so long; or off (100ms)" },
      { "--log-level", "LEVEL", read_level, NULL, "error, warn, info or debug",
        "error, warn, info or debug (info)" },
      { "--log-format", "FORM", read_form, NULL, "auto, text or json",
        "auto, text or json (auto: text on a terminal)" },
      { "--control", "PATH", read_control, NULL, "the path of a socket, or off",
        "where weir ps, top and trace ask; or off (a folder of the user's)" },
      { "--routes", NULL, read_routes, NULL, NULL, "print the routes, and exit" },
      { "--version", NULL, read_version, NULL, NULL, "print the version, and exit" },
      { "--help", NULL, read_help, NULL, NULL, "print this, and exit" },
    };

#define FLAGS (sizeof(flags) / sizeof(flags[0]))

/* ---- reading ------------------------------------------------------------- */

static const struct flag *find_flag(weir_str name)
{
    if (weir_str_eq(name, WEIR_S("-h")))
        name = WEIR_S("--help");
    for (size_t i = 0; i < FLAGS; i++) {
        if (weir_str_eq(name, weir_str_c(flags[i].name)))
            return &flags[i];
    }
    return NULL;
}

WEIR_PRINTF(2, 3)
static int usage_fault(const struct command *c, const char *fmt, ...)
{
    va_list args;

    fprintf(stderr, "%s: ", c->program);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "\nTry %s --help\n", c->program);
    return MAIN_USAGE;
}

static int unknown_flag(const struct command *c, weir_str name)
{
    struct nearest nearest;
    struct arena arena;
    weir_str hint;
    int rc;

    arena_init(&arena, NULL);
    nearest_init(&nearest, name);
    for (size_t i = 0; i < FLAGS; i++)
        nearest_try(&nearest, weir_str_c(flags[i].name));
    hint = nearest_hint(&nearest, &arena);
    rc = usage_fault(c, "there is no flag `%.*s`%s%.*s", WEIR_ARG(name), hint.len ? "; " : "",
                     WEIR_ARG(hint));
    arena_reset(&arena);
    return rc;
}

static int read_flags(struct command *c, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *text = argv[i], *value = strchr(text, '=');
        weir_str name = value ? weir_str_from(text, (size_t)(value - text)) : weir_str_c(text);
        const struct flag *flag;

        if (text[0] != '-')
            return usage_fault(c, "`%s` is no flag, and nothing else is taken", text);
        flag = find_flag(name);
        if (!flag)
            return unknown_flag(c, name);
        if (value && !flag->argument)
            return usage_fault(c, "%s takes no value", flag->name);
        if (value)
            value++;
        else if (flag->argument && ++i < argc)
            value = argv[i];
        if (flag->argument && !value)
            return usage_fault(c, "%s needs a value: %s", flag->name, flag->expects);
        if (!flag->read(c, value))
            return usage_fault(c, "%s `%s`: it must be %s", flag->name, value, flag->expects);
        if (flag->read_second && (++i == argc || !flag->read_second(c, argv[i])))
            return usage_fault(c, "%s needs two values: %s", flag->name, flag->argument);
    }
    return 0;
}

/* ---- printing ------------------------------------------------------------ */

static void print_help(const struct command *c, const weir_app *app)
{
    printf("%s%sUsage: %s [FLAG...]\n\n", app->opts.title ? app->opts.title : "",
           app->opts.title ? "\n\n" : "", c->program);
    for (size_t i = 0; i < FLAGS; i++) {
        char left[40];

        snprintf(left, sizeof(left), "%s%s%s", flags[i].name, flags[i].argument ? " " : "",
                 flags[i].argument ? flags[i].argument : "");
        printf("  %-19s  %s\n", left, flags[i].help);
    }
    printf("\nSIGTERM and SIGINT end it: requests in progress are finished first. A second one\n"
           "ends it at once.\n");
}

static void print_routes(const weir_app *app)
{
    int widest = 1;

    for (const struct route *r = router_first(app->router); r; r = r->next) {
        if (weir_str_len_int(r->pattern) > widest)
            widest = weir_str_len_int(r->pattern);
    }
    for (const struct route *r = router_first(app->router); r; r = r->next) {
        weir_str method = r->method == ROUTE_ANY ? WEIR_S("*") : http_method_name(r->method);

        printf("%-7.*s %-*.*s  %s\n", WEIR_ARG(method), widest, WEIR_ARG(r->pattern), r->site);
    }
}

/* The routes' faults before anything is served: 0 or an exit code. */
static int check_app(const struct command *c, weir_app *app)
{
    int rc = app_build(app);

    if (rc == 0)
        return 0;
    if (rc != WEIR_ECONFIG)
        fprintf(stderr, "%s: out of memory\n", c->program);
    else
        fprintf(stderr, "%s: the routes have %d fault%s:\n%.*s", c->program, app->fault_count,
                app->fault_count == 1 ? "" : "s", WEIR_ARG(strbuf_str(&app->faults)));
    return 1;
}

static const char *program_name(int argc, char **argv)
{
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;

    return slash ? slash + 1 : argc > 0 ? argv[0] : "weir";
}

static int run_command(weir_app *app, int argc, char **argv)
{
    struct command c = { .serve = { .size = sizeof(c.serve) },
                         .program = program_name(argc, argv) };
    int rc = read_flags(&c, argc, argv);

    if (rc)
        return rc;
    if (c.help) {
        print_help(&c, app);
        return 0;
    }
    if (c.version) {
        printf("%s%s%s (weir %s)\n", app->opts.title ? app->opts.title : c.program,
               app->opts.version ? " " : "", app->opts.version ? app->opts.version : "",
               WEIR_VERSION);
        return 0;
    }
    rc = check_app(&c, app);
    if (rc == 0 && c.routes)
        print_routes(app);
    if (rc || c.routes)
        return rc;
    c.serve.program = c.program;
    return weir_serve_opt(app, &c.serve);
}

int weir_main(weir_app *app, int argc, char **argv)
{
    int rc;

    if (!app) {
        fprintf(stderr, "%s: out of memory\n", program_name(argc, argv));
        return 1;
    }
    rc = run_command(app, argc, argv);
    weir_recover();
    weir_app_free(app);
    return rc;
}
