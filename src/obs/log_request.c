/* The line of an exchange.
 *
 * Why here and not in the server: HTTP/1, HTTP/2 and the tests end exchanges in
 * places of their own, and all must say the same. The server calls it on the
 * loop's stack, when the handler's task has ended, so context and chain are given
 * and not looked up. */
#include "obs/log_state.h"

#include <stdio.h>
#include <string.h>

#include <weir/error.h>

weir_log_level log_request_level(const struct log_request *x)
{
    if (x->level)
        return x->level;
    if (x->code == WEIR_EGONE)
        return WEIR_LOG_INFO;
    if (x->status >= 500 || (x->status == 0 && x->code < 0))
        return WEIR_LOG_ERROR;
    return x->status >= 400 && x->chain ? WEIR_LOG_WARN : WEIR_LOG_DEBUG;
}

/* A query may hold secrets, and is anybody's text: it is not logged. */
static weir_str without_query(weir_str path)
{
    const char *mark = path.len ? memchr(path.ptr, '?', path.len) : NULL;

    return mark ? weir_str_from(path.ptr, (size_t)(mark - path.ptr)) : path;
}

static weir_str request_message(char *text, size_t size, const struct log_request *x, weir_str path)
{
    long long us = x->duration_ns / 1000;
    char status[16] = "no answer", time[32];

    if (x->status)
        snprintf(status, sizeof status, "%d", x->status);
    if (us < 10000)
        snprintf(time, sizeof time, "%lld.%lld ms", us / 1000, us / 100 % 10);
    else
        snprintf(time, sizeof time, "%lld ms", us / 1000);
    snprintf(text, size, "%.*s %.*s %s in %s", WEIR_ARG(x->method), WEIR_ARG(path), status, time);
    return weir_str_c(text);
}

void log_request(const struct log_request *x)
{
    struct log *log = log_process();
    weir_log_level level = log_request_level(x);
    struct log_producer *p = log_begin(log, level);
    weir_str path = without_query(x->path);
    int64_t us = x->duration_ns / 1000;
    weir_log_field fields[7];
    size_t n = 0;

    if (!p)
        return;
    if (log_is_json(log)) { /* OpenTelemetry's names */
        fields[n++] = weir_field_str("http.request.method", x->method);
        fields[n++] = weir_field_str("url.path", path);
        if (x->route.len)
            fields[n++] = weir_field_str("http.route", x->route);
        if (x->status)
            fields[n++] = weir_field_i64("http.response.status_code", x->status);
        fields[n++] = weir_field_f64("duration_ms", (double)us / 1000);
    }
    /* To people only what is not the common case is told. */
    if (x->version.len && (log_is_json(log) || !weir_str_starts(x->version, WEIR_S("1"))))
        fields[n++] = weir_field_str("network.protocol.version", x->version);
    if (x->peer.len)
        fields[n++] = weir_field_str("client.address", x->peer);
    log_end(
        log, p,
        &(struct log_event){ .level = level,
                             .message = request_message(p->work.text, sizeof p->work.text, x, path),
                             .context = x->context,
                             .fields = fields,
                             .field_count = n,
                             .code = x->code,
                             .chain = x->chain });
}
