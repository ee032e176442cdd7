/* From a configuration to a process that serves it.
 *
 * The gateway is freed only when no loop runs any more: the admin's server, which
 * is the last to end, prints its gauges. */
#include "gateway/serve.h"

#include <stdio.h>
#include <string.h>

#include <weir/error.h>
#include <weir/log.h>

#include "ops/status.h"
#include "rt/loop.h"
#include "type/units.h"

#define SERVE_FAULTS_BYTES 8192
_Static_assert(RT_LOOPS_MAX == 256, "the text of --loops says so");

bool serve_read_loops(void *to, const char *value)
{
    struct serve_settings *settings = to;
    long loops = 0;

    if (!cli_number(value, 1, RT_LOOPS_MAX, &loops))
        return false;
    settings->loops = (uint32_t)loops;
    return true;
}

bool serve_read_backend(void *to, const char *value)
{
    static const char *const names[] = { "auto", "epoll", "io_uring" };
    static const weir_backend backends[] = { WEIR_BACKEND_AUTO, WEIR_BACKEND_EPOLL,
                                             WEIR_BACKEND_IO_URING };
    struct serve_settings *settings = to;

    for (size_t i = 0; i < 3; i++) {
        if (strcmp(value, names[i]) == 0) {
            settings->backend = backends[i];
            return true;
        }
    }
    return false;
}

bool serve_read_grace(void *to, const char *value)
{
    struct serve_settings *settings = to;
    uint32_t ms;

    if (duration_parse_flag(value, &ms) < 0)
        return false;
    settings->grace_ms = ms ? ms : 1;
    return true;
}

bool serve_read_control(void *to, const char *value)
{
    ((struct serve_settings *)to)->control = value;
    return *value != '\0';
}

bool serve_read_blocked(void *to, const char *value)
{
    struct serve_settings *settings = to;

    if (strcmp(value, "off") == 0) {
        settings->blocked_ms = WEIR_OFF;
        return true;
    }
    return duration_parse_flag(value, &settings->blocked_ms) == 0 && settings->blocked_ms > 0;
}

bool serve_read_level(void *to, const char *value)
{
    struct serve_settings *settings = to;

    return weir_log_level_from(weir_str_c(value), &settings->log_level) == 0;
}

bool serve_read_form(void *to, const char *value)
{
    static const char *const names[] = { "auto", "text", "json" };
    static const weir_log_form forms[] = { WEIR_LOG_AUTO, WEIR_LOG_TEXT, WEIR_LOG_JSON };
    struct serve_settings *settings = to;

    for (size_t i = 0; i < 3; i++) {
        if (strcmp(value, names[i]) == 0) {
            settings->log_form = forms[i];
            return true;
        }
    }
    return false;
}

const struct cli_flag serve_flags[] = { SERVE_FLAGS, { NULL, NULL, NULL, NULL, NULL } };

/* ---- serving -------------------------------------------------------------------- */

static int start(void *arg)
{
    struct serve *serve = arg;
    const struct config *c = serve->config;
    int rc = serve->start ? serve->start(serve->arg) : 0;

    if (rc == 0)
        rc = gateway_start(serve->gateway);
    if (rc == 0)
        weir_info("%s: %zu service%s, %zu route%s", serve->source, c->services_count,
                  c->services_count == 1 ? "" : "s", c->routes_count,
                  c->routes_count == 1 ? "" : "s");
    return rc;
}

static void end(void *arg)
{
    struct serve *serve = arg;

    if (serve->end)
        serve->end(serve->arg);
}

static int check_app(const struct serve *serve, weir_app *app)
{
    char text[SERVE_FAULTS_BYTES];

    if (weir_app_check(app, text, sizeof(text)) == 0)
        return 0;
    fprintf(stderr, "%s: %s can't be served:\n%s", serve->program, serve->source, text);
    return CLI_USAGE;
}

static int no_memory(const struct serve *serve)
{
    fprintf(stderr, "%s: out of memory\n", serve->program);
    return 1;
}

/* What the configuration says of TLS, for the server; certificates has room for an end. */
static void fill_tls(const struct config_tls *c, weir_tls_certificate *certificates,
                     weir_tls_server_opts *ret_opts)
{
    certificates[0] = (weir_tls_certificate){ c->certificate.ptr, c->key.ptr, c->ocsp.ptr };
    for (size_t i = 0; i < c->others_count; i++)
        certificates[i + 1] = (weir_tls_certificate){ c->others[i].certificate.ptr,
                                                      c->others[i].key.ptr, c->others[i].ocsp.ptr };
    *ret_opts = (weir_tls_server_opts){ .size = sizeof(*ret_opts),
                                        .certificates = certificates,
                                        .profile = (weir_tls_profile)c->profile,
                                        .client_ca = c->client_ca.ptr,
                                        .watch = true };
}

int serve_gateway(struct serve *serve)
{
    weir_tls_certificate certificates[CONFIG_CERTIFICATES_MAX + 2] = { { 0 } };
    weir_tls_server_opts tls;
    const struct serve_settings *settings = &serve->flags;
    weir_app *app = weir_app_new(.title = "weir");
    bool off;
    int rc;

    if (!app)
        return no_memory(serve);
    if (serve->routes)
        serve->routes(app, serve->arg);
    if (gateway_new(serve->config, app, &serve->gateway) < 0) {
        weir_app_free(app);
        return no_memory(serve);
    }
    rc = check_app(serve, app);
    if (serve->config->tls)
        fill_tls(serve->config->tls, certificates, &tls);
    off = settings->control && strcmp(settings->control, "off") == 0;
    status_add(gateway_status, serve->gateway);
    if (rc == 0)
        rc = weir_serve(app, .program = serve->program, .listen = { serve->config->listen.ptr },
                        .tls = serve->config->tls ? &tls : NULL, .admin = serve->config->admin.ptr,
                        .loops = settings->loops, .backend = settings->backend,
                        .grace_ms = settings->grace_ms, .log_level = settings->log_level,
                        .log_form = settings->log_form,
                        .inspect = { .blocked_ms = settings->blocked_ms,
                                     .no_socket = off,
                                     .socket = off ? NULL : settings->control },
                        .start = start, .start_arg = serve, .end = end, .end_arg = serve);
    status_add(NULL, NULL);
    gateway_free(serve->gateway);
    weir_app_free(app);
    return rc;
}
