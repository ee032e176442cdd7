/* An application at its addresses, within its limits. */
#include "web/app.h"

#define APP_BODY_BYTES (UINT64_C(1) << 20)
#define APP_CONNECTIONS 100000
#define APP_HEAD_MS 10000
#define APP_IDLE_MS 60000

void app_fill_opts(weir_app_opts *opts)
{
    if (opts->body_max_bytes == 0)
        opts->body_max_bytes = APP_BODY_BYTES;
    if (opts->connections_max == 0)
        opts->connections_max = APP_CONNECTIONS;
    if (opts->head_timeout_ms == 0)
        opts->head_timeout_ms = APP_HEAD_MS;
    if (opts->idle_timeout_ms == 0)
        opts->idle_timeout_ms = APP_IDLE_MS;
}

int app_start_server(const weir_app *app, const struct addr *addrs, uint32_t count,
                     struct tls_context *tls, uint32_t drain_ms, struct http_server **ret_server)
{
    struct http_server_opts opts = {
        .addrs = addrs,
        .addr_count = count,
        .handle = app_handle,
        .map_failure = app_map_failure,
        .arg = (void *)app,
        .tls = tls,
        .body_max_bytes = app->opts.body_max_bytes,
        .connections_max = app->opts.connections_max,
        .head_ms = app->opts.head_timeout_ms,
        .idle_ms = app->opts.idle_timeout_ms,
        .total_ms = app->opts.timeout_ms,
        .drain_ms = drain_ms ? drain_ms : 1,
    };

    return http_server_start(&opts, ret_server);
}
