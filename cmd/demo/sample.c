/* Sample services.
 *
 * One that is killed has no listener any more: its port refuses connections, as a
 * crashed process's would, and those that are open are cut. Its server is started
 * and freed on loop 0 only, by sample_settle(); other loops say what they want and
 * look whether it has come. */
#include "demo/sample.h"

#include <errno.h>
#include <stdio.h>

#include <weir/error.h>
#include <weir/log.h>
#include <weir/run.h>

#include "http/server.h"
#include "net/addr.h"
#include "rt/loop.h"
#include "web/app.h"

const struct sample_kind sample_kinds[SAMPLES] = {
    { "users", "user", "/users/{id}", NULL, "{\"name\":\"Ada Lovelace\",\"city\":\"London\"}" },
    { "orders", "orders", "/orders?user={id}", "[]",
      "[{\"number\":1001,\"total\":42.5},{\"number\":1002,\"total\":7.0}]" },
    { "offers", "offers", "/offers?user={id}", "[]", "[{\"code\":\"SPRING\",\"percent\":10}]" },
    { "reviews", "reviews", "/reviews?user={id}", "[]", "[{\"stars\":5,\"text\":\"As told.\"}]" },
    { "stock", "stock", "/stock/near/{id}", "null", "{\"warehouse\":\"north\",\"items\":3}" },
    { "prices", "prices", "/prices?user={id}", "null", "{\"currency\":\"EUR\",\"discount\":0.05}" },
    { "shipping", "shipping", "/shipping/{id}", "null", "{\"days\":2,\"carrier\":\"post\"}" },
    { "loyalty", "loyalty", "/loyalty/{id}", "{ points: 0 }", "{\"points\":1815}" },
    { "messages", "messages", "/messages?to={id}", "[]", "[{\"subject\":\"Welcome\"}]" },
    { "recommendations", "recommendations", "/recommendations/{id}", "[]",
      "[\"compass\",\"notebook\"]" },
};

static uint32_t delay_ms(const struct sample *sample)
{
    uint32_t latency = atomic_load(&sample->latency_ms), jitter = atomic_load(&sample->jitter_ms);
    uint64_t random = loop_random(loop_self());
    uint32_t low = latency > jitter ? latency - jitter : 0;

    return low + (uint32_t)(random % ((uint64_t)latency + jitter - low + 1));
}

static int answer(weir_exchange *x)
{
    struct sample *sample = weir_route_data(x);
    int rc = weir_sleep_ms(delay_ms(sample));

    if (rc < 0)
        return rc;
    atomic_fetch_add(&sample->calls, 1);
    if (loop_random(loop_self()) % 10000 < atomic_load(&sample->errors))
        return weir_problem(x, 500, "this is one of the errors that were asked for");
    return weir_reply_json_text(x, 200, weir_str_c(sample->kind->json));
}

int sample_init(struct sample *sample)
{
    sample->app = weir_app_new(.title = sample->kind->name);
    weir_any(sample->app, "/*", answer, .data = sample);
    atomic_store(&sample->wanted, true);
    return app_build(sample->app);
}

void sample_done(struct sample *sample)
{
    weir_app_free(sample->app);
}

static int open_server(struct sample *sample)
{
    struct addr addr;
    struct http_server_opts opts = { .addrs = &addr,
                                     .addr_count = 1,
                                     .handle = app_handle,
                                     .map_failure = app_map_failure,
                                     .arg = sample->app,
                                     .drain_ms = 1 };
    int rc = addr_from_host(WEIR_S("127.0.0.1"), sample->port, &addr);

    if (rc == 0)
        rc = http_server_start(&opts, &sample->server);
    if (rc == 0)
        atomic_store(&sample->up, true);
    return rc;
}

static void close_server(struct sample *sample)
{
    http_server_stop(sample->server);
    WEIR_IGNORE(http_server_wait(sample->server), "a killed service may cut what it was doing");
    http_server_free(sample->server);
    sample->server = NULL;
    atomic_store(&sample->up, false);
}

int sample_settle(void *arg)
{
    struct sample *sample = arg;
    int rc = 0;

    if (sample->changing)
        return 0; /* who does so looks again */
    sample->changing = true;
    while (rc == 0 && atomic_load(&sample->wanted) != atomic_load(&sample->up)) {
        if (atomic_load(&sample->wanted))
            rc = open_server(sample);
        else
            close_server(sample);
    }
    sample->changing = false;
    if (rc < 0)
        atomic_store(&sample->wanted, false);
    return rc;
}
