/* The operator's endpoints, an application like any other.
 *
 * /healthz says that the process turns: whoever gets no answer should restart it.
 * /readyz says whether it should be given requests: from the moment that it
 * drains it should not, though those that come are still served. */
#include "ops/admin.h"

#include <errno.h>

#include "obs/metrics.h"
#include "ops/status.h"

static int healthz(weir_exchange *x)
{
    return weir_reply_text(x, 200, "ok\n");
}

static int readyz(weir_exchange *x)
{
    const struct admin *admin = weir_route_data(x);

    switch (atomic_load(&admin->state)) {
    case ADMIN_READY: return weir_reply_text(x, 200, "ready\n");
    case ADMIN_STARTING: return weir_reply_text(x, 503, "starting\n");
    default: return weir_reply_text(x, 503, "draining\n");
    }
}

static int metrics(weir_exchange *x)
{
    struct strbuf text = STRBUF_INIT;
    int rc;

    metrics_print(&text);
    rc = text.bad ? weir_fail(-ENOMEM, "printing the metrics")
                  : weir_reply(x, 200, WEIR_METRICS_CONTENT_TYPE, strbuf_str(&text));
    strbuf_done(&text);
    return rc;
}

weir_app *admin_app_new(struct admin *admin)
{
    weir_app *app = weir_app_new(.title = "admin", .timeout_ms = 10000, .body_max_bytes = 1024);

    weir_get(app, "/healthz", healthz);
    weir_get(app, "/readyz", readyz, .data = admin);
    weir_get(app, "/metrics", metrics);
    weir_get(app, "/status", status_handle, .data = admin);
    return app;
}
