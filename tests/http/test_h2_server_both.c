/* Our client and our server over HTTP/2, on the kernel's backend and in the simulation, with
 * latency, short reads and connections that fail. */
#include "support/both.h"

#include <weir/client.h>
#include <weir/exchange.h>

#include "http/server.h"

#define CALLS 40
#define LARGE 300000

static int hello(weir_exchange *x)
{
    return weir_reply_text(x, 200, "Hello, World!");
}

static int echo(weir_exchange *x)
{
    weir_str body;
    int rc = weir_body_all(x, &body);

    return rc < 0 ? rc : weir_reply(x, 200, "text/plain", body);
}

static int slow(weir_exchange *x)
{
    int rc = weir_sleep_ms(300);

    return rc < 0 ? rc : weir_reply_text(x, 200, "late");
}

static void handle(void *arg, weir_exchange *x, struct http_route *ret_route)
{
    weir_str path = weir_path(x);

    (void)arg;
    ret_route->handler = weir_str_eq(path, WEIR_S("/echo"))   ? echo
                         : weir_str_eq(path, WEIR_S("/slow")) ? slow
                                                              : hello;
}

struct world {
    struct http_server *server;
    weir_client *client;
    int port;
    int ok, failed, begun;
};

static void start(struct world *w)
{
    struct addr addr;
    struct http_server_opts opts = {
        .addrs = &addr, .addr_count = 1, .handle = handle, .drain_idle_ms = 1, .drain_ms = 2000
    };

    memset(w, 0, sizeof(*w));
    CHECK_INT(addr_parse(WEIR_S("127.0.0.1:0"), &addr), 0);
    CHECK_INT(http_server_start(&opts, &w->server), 0);
    w->port = addr_port(http_server_addr(w->server, 0));
    CHECK_INT(weir_client_new(&w->client, .http2 = WEIR_HTTP2_PRIOR_KNOWLEDGE), 0);
}

/* Nothing is left of what came. */
static void end(struct world *w)
{
    struct http_server_stats stats;

    weir_client_free(w->client);
    http_server_stop(w->server);
    WEIR_IGNORE(http_server_wait(w->server), "a handler may have been cancelled");
    http_server_stats(w->server, &stats);
    CHECK_INT(stats.connections, 0);
    CHECK_INT(stats.in_flight, 0);
    http_server_free(w->server);
}

static int call(struct world *w, const char *path, weir_str body, weir_response *ret)
{
    weir_str url = weir_format("http://127.0.0.1:%d%s", w->port, path);

    return weir_fetch(url, ret, .client = w->client, .method = body.len ? "POST" : "GET",
                      .body = body);
}

static int one_call(void *arg)
{
    static const char bytes[LARGE];
    struct world *w = arg;
    weir_response r = { 0 };
    int number = w->begun++ % CALLS, rc;

    rc = call(w, number % 3 ? "/" : "/echo",
              number % 3 ? WEIR_S("") : weir_str_from(bytes, (size_t)number * 1000 + 1), &r);
    if (rc == 0 && r.status == 200 &&
        (number % 3 ? r.body.len == 13 : r.body.len == (size_t)number * 1000 + 1))
        w->ok++;
    else
        w->failed++;
    return 0;
}

static void calls(struct world *w)
{
    WEIR_SCOPE(s) {
        for (int i = 0; i < CALLS; i++)
            weir_go(s, one_call, w);
        CHECK_INT(weir_join(s), 0);
    }
}

BOTH_TEST(many_calls_on_one_connection, opts.latency_ms = 5)
{
    struct world w;

    (void)arg;
    start(&w);
    calls(&w);
    CHECK_INT(w.ok, CALLS);
    end(&w);
    return 0;
}

/* The caller's deadline resets its stream; the connection serves on. */
BOTH_TEST(a_deadline_resets_one_stream, opts.latency_ms = 5)
{
    struct world w;
    weir_response r = { 0 };
    int rc = 0;

    (void)arg;
    start(&w);
    WEIR_SCOPE(s, .timeout_ms = 100)
        rc = call(&w, "/slow", WEIR_S(""), &r);
    CHECK_INT(rc, -ETIMEDOUT);
    weir_recover();
    CHECK_INT(call(&w, "/", WEIR_S(""), &r), 0);
    CHECK_INT(r.status, 200);
    end(&w);
    return 0;
}

/* Whatever the network does, calls end and nothing is left. */
static int faulty(void *arg)
{
    struct world w;

    (void)arg;
    start(&w);
    for (int i = 0; i < 3; i++)
        calls(&w);
    weir_recover();
    CHECK_INT(w.ok + w.failed, 3 * CALLS);
    end(&w);
    return 0;
}

static void with_faults(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++)
        assert_int_equal(SIMULATED(faulty, opts.seed = seed, opts.latency_ms = 3,
                                   opts.short_read = 300, opts.short_write = 300, opts.late = 200,
                                   opts.reset = 10, opts.refuse = 50),
                         0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_calls_on_one_connection),
        cmocka_unit_test(a_deadline_resets_one_stream),
        cmocka_unit_test(with_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
