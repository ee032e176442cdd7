/* An application as the rest of web serves it; weir/app.h says what it is. */
#ifndef WEB_APP_H
#define WEB_APP_H

#include <weir/app.h>

#include "http/server.h"
#include "web/router.h"

/* What a route does; router.h's data. */
struct app_route {
    struct http_route how;
    void *data;
};

struct weir_app {
    struct arena memory;    /* its routes and texts */
    struct router *router;
    struct strbuf faults;   /* of registration and, once built, of the routes */
    int fault_count;
    bool built, no_memory;
    weir_app_opts opts;
};

/* What web keeps of an exchange: exchange_data(). */
struct app_exchange {
    const struct app_route *route;
    weir_faults faults;  /* of the body, when it did not fit */
    bool not_json;       /* the body is not said to be JSON */
};

/* Build the tree of routes, once. 0, WEIR_ECONFIG with the faults in app->faults,
 * or -ENOMEM. */
int app_build(weir_app *app);

/* app_server.c: what is unset becomes what weir/app.h says. */
void app_fill_opts(weir_app_opts *opts);
/* Serve an application that is built at these addresses, on every loop; tls may be NULL. */
int app_start_server(const weir_app *app, const struct addr *addrs, uint32_t count,
                     struct tls_context *tls, uint32_t drain_ms, struct http_server **ret_server);

/* http_server_opts.handle and .map_failure; arg is the app, which is built. */
void app_handle(void *arg, weir_exchange *x, struct http_route *ret_route);
void app_map_failure(void *arg, weir_exchange *x, int rc, const struct chain *chain,
                     struct http_problem *ret_problem);

#endif
