/* One answer out of three calls at once, all within 300 ms. The user and the
 * orders must be there; offers that are late or fail are left out.
 *
 *     SERVICES=http://127.0.0.1:9000 build/release/examples/fanout
 *     curl http://127.0.0.1:8000/profile/7
 *
 * What it calls: /users/7, /orders?user=7 and /offers/today at SERVICES. */
#include <weir/weir.h>

#include <stdio.h>
#include <stdlib.h>

struct call {
    weir_str url;
    weir_json *ret;
};

static int call(void *arg)
{
    struct call *c = arg;

    return weir_fetch_json(c->url, &c->ret);
}

/* A URL of the services: "{}" in path takes the id, percent-encoded. */
static weir_str service(weir_exchange *x, const char *path, weir_str id)
{
    char url[256];

    snprintf(url, sizeof(url), "%s%s", (const char *)weir_route_data(x), path);
    return weir_url(url, id);
}

static int profile(weir_exchange *x)
{
    weir_str id = weir_param(x, "id");
    struct call user = { .url = service(x, "/users/{}", id) };
    struct call orders = { .url = service(x, "/orders?user={}", id) };
    struct call offers = { .url = service(x, "/offers/{}", WEIR_S("today")) };
    int rc = 0;

    WEIR_SCOPE(s, .timeout_ms = 300) {
        weir_go(s, call, &user);
        weir_go(s, call, &orders);
        weir_go(s, call, &offers, .optional = true, .name = "offers");
        rc = weir_join(s);
    }
    if (rc < 0)
        return weir_wrap(rc, "profile of %.*s", WEIR_ARG(id)); /* 502 or 504, one log line */

    return weir_reply_object(x, 200, WEIR_KV("user", user.ret), WEIR_KV("orders", orders.ret),
                             WEIR_KV("offers", offers.ret)); /* null where it was late */
}

int main(int argc, char **argv)
{
    const char *services = getenv("SERVICES");
    weir_app *app = weir_app_new(.title = "Profiles");

    if (!services)
        services = "http://127.0.0.1:9000";
    weir_get(app, "/profile/{id}", profile, .data = (char *)services);
    return weir_main(app, argc, argv);
}
