/* The HTTP server and client on the simulated network: time-outs to the
 * millisecond, and runs that repeat to the last byte. */
#include "support/in_task.h"

#include <weir/client.h>
#include <weir/log.h>

#include "http/server.h"
#include "rt/sim.h"

#define PORT 8080

static int hello(weir_exchange *x)
{
    return weir_reply_text(x, 200, "Hello, World!");
}

static int slow(weir_exchange *x)
{
    int rc = weir_sleep_ms(400);

    sim_trace("service: %s, client %s", weir_error_name(rc),
              weir_client_gone(x) ? "gone" : "there");
    return rc < 0 ? rc : weir_reply_text(x, 200, "late");
}

static int big(weir_exchange *x)
{
    static char bytes[200000];

    memset(bytes, 'b', sizeof(bytes));
    return weir_reply(x, 200, "text/plain", weir_str_from(bytes, sizeof(bytes)));
}

/* Pieces, each written when there is room. */
static int pieces(weir_exchange *x)
{
    static const char piece[3000];
    int rc = weir_reply_begin(x, 200, "text/plain", WEIR_UNKNOWN_LENGTH);

    for (int i = 0; i < 60 && rc == 0; i++)
        rc = weir_write(x, weir_str_from(piece, sizeof(piece)));
    return rc < 0 ? rc : weir_end(x);
}

static int echo(weir_exchange *x)
{
    weir_str body;
    int rc = weir_body_all(x, &body);

    return rc < 0 ? rc : weir_reply(x, 200, "text/plain", body);
}

static int piece_then_slow(weir_exchange *x)
{
    int rc = weir_reply_begin(x, 200, "text/plain", WEIR_UNKNOWN_LENGTH);

    if (rc == 0)
        rc = weir_write(x, WEIR_S("first"));
    if (rc == 0)
        rc = weir_flush(x);
    return rc < 0 ? rc : weir_sleep_ms(400);
}

/* "1" when the caller's trace goes on and is sampled, "0" when it is not sampled,
 * "-" when the server has begun one of its own. */
static int traced(weir_exchange *x)
{
    const weir_context *context = weir_context_get();
    weir_str given = WEIR_S("0af7651916cd43dd8448eb211c80319c");

    return weir_reply_text(x, 200,
                           !weir_str_eq(context->trace_id, given) ? "-"
                           : context->sampled                     ? "1"
                                                                  : "0");
}

static int for_an_hour(weir_exchange *x)
{
    int rc = weir_sleep_ms(3000000);

    sim_trace("handler: %s", weir_error_name(rc));
    return rc < 0 ? rc : weir_reply_status(x, 204);
}

static void handle(void *arg, weir_exchange *x, struct http_route *ret_route)
{
    static const struct {
        const char *path;
        weir_handler *handler;
    } routes[] = { { "/first", piece_then_slow },
                   { "/hour", for_an_hour },
                   { "/traced", traced },
                   { "/", hello },
                   { "/slow", slow },
                   { "/big", big },
                   { "/pieces", pieces },
                   { "/echo", echo } };

    (void)arg;
    for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++)
        if (weir_str_eq(weir_path(x), weir_str_c(routes[i].path)))
            ret_route->handler = routes[i].handler;
    if (weir_str_eq(weir_query(x), WEIR_S("finish")))
        ret_route->gone = HTTP_GONE_FINISH;
}

static struct http_server *start(void)
{
    struct addr addr;
    struct http_server_opts opts = {
        .addrs = &addr, .addr_count = 1, .handle = handle, .drain_idle_ms = 1, .drain_ms = 2000
    };
    struct http_server *server = NULL;

    CHECK_INT(addr_parse(WEIR_S("127.0.0.1:8080"), &addr), 0);
    CHECK_INT(http_server_start(&opts, &server), 0);
    return server;
}

static void end(struct http_server *server)
{
    struct http_server_stats stats;

    http_server_stop(server);
    WEIR_IGNORE(http_server_wait(server), "a handler may have been cancelled");
    http_server_stats(server, &stats);
    CHECK_INT(stats.connections, 0);
    CHECK_INT(stats.in_flight, 0);
    http_server_free(server);
}

static ssize_t drop_log(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    (void)bytes;
    return (ssize_t)len;
}

/* Run fn in a simulation and compare its trace, for several seeds. */
static void expect(weir_fn *fn, uint32_t latency_ms, const char *trace)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct sim_opts opts;
        struct sim *sim;

        sim_opts_init(&opts);
        opts.seed = seed;
        opts.latency_ms = latency_ms;
        sim = sim_new(&opts);
        assert_int_equal(sim_run(sim, fn, NULL, NULL), 0);
        assert_string_equal(sim_trace_text(sim), trace);
        assert_int_equal(sim_files(sim), 0);
        sim_free(sim);
    }
}

/* ---- keep-alive, and the date ------------------------------------------------------ */

static int three_calls(void *arg)
{
    struct http_server *server = start();
    struct http_server_stats stats;
    weir_client *client = NULL;
    weir_response r = { 0 };

    (void)arg;
    CHECK_INT(weir_client_new(&client), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(weir_fetch(WEIR_S("http://127.0.0.1:8080/"), &r, .client = client), 0);
        sim_trace("%d %.*s, %.*s", r.status, WEIR_ARG(r.body),
                  WEIR_ARG(weir_response_header(&r, "Date")));
        CHECK_INT(weir_sleep_ms(800), 0);
    }
    http_server_stats(server, &stats);
    sim_trace("%llu connection", (unsigned long long)stats.accepted);
    weir_client_free(client);
    end(server);
    return 0;
}

static void connections_are_kept(void **state)
{
    (void)state;
    expect(three_calls, 10,
           "[    40] 200 Hello, World!, Wed, 01 Jan 2020 00:00:00 GMT\n"
           "[   860] 200 Hello, World!, Wed, 01 Jan 2020 00:00:00 GMT\n"
           "[  1680] 200 Hello, World!, Wed, 01 Jan 2020 00:00:01 GMT\n"
           "[  2480] 1 connection\n");
}

/* ---- a head that trickles ----------------------------------------------------------- */

static int trickle(void *arg)
{
    struct http_server *server = start();
    struct sim_peer peer;
    char text[512] = "";
    ssize_t n;

    (void)arg;
    CHECK_INT(sim_peer_connect(&peer, PORT), 0);
    CHECK_INT(sim_peer_send(&peer, "G", 1), 1);
    CHECK_INT(weir_sleep_ms(9000), 0);
    CHECK_INT(sim_peer_send(&peer, "E", 1), 1);
    n = sim_peer_recv_all(&peer, text, sizeof(text) - 1);
    CHECK(n > 12);
    sim_trace("%.12s", text);
    sim_peer_close(&peer);
    end(server);
    return 0;
}

static void one_byte_in_nine_seconds_does_not_extend_the_head(void **state)
{
    (void)state;
    expect(trickle, 0, "[ 10000] HTTP/1.1 408\n");
}

/* The same for a second request: from its first byte. */
static int trickle_later(void *arg)
{
    struct http_server *server = start();
    struct sim_peer peer;
    char text[512] = "";

    (void)arg;
    CHECK_INT(sim_peer_connect(&peer, PORT), 0);
    CHECK_INT(sim_peer_send(&peer, "GET / HTTP/1.1\r\nHost: t\r\n\r\n", 27), 27);
    CHECK(sim_peer_recv(&peer, text, sizeof(text) - 1) > 12);
    sim_trace("%.12s", text);
    CHECK_INT(weir_sleep_ms(5000), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(sim_peer_send(&peer, &"GET"[i], 1), 1);
        CHECK_INT(weir_sleep_ms(3000), 0);
    }
    memset(text, 0, sizeof(text));
    CHECK(sim_peer_recv_all(&peer, text, sizeof(text) - 1) > 12);
    sim_trace("%.12s", text);
    sim_peer_close(&peer);
    end(server);
    return 0;
}

static void a_later_head_has_its_time_from_its_first_byte(void **state)
{
    (void)state;
    expect(trickle_later, 0, "[     0] HTTP/1.1 200\n[ 15000] HTTP/1.1 408\n");
}

/* ---- a body that nobody asked for ------------------------------------------------------ */

/* More of it than is read on for is there before the answer could be sent. */
static int flood(void *arg)
{
    static const char head[] = "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 9000000\r\n\r\n";
    static char body[100000];
    struct http_server *server = start();
    struct sim_peer peer;
    char text[1024] = "";

    (void)arg;
    CHECK_INT(sim_peer_connect(&peer, PORT), 0);
    CHECK_INT(sim_peer_send(&peer, head, sizeof(head) - 1), sizeof(head) - 1);
    CHECK_INT(sim_peer_send(&peer, body, sizeof(body)), sizeof(body));
    CHECK(sim_peer_recv_all(&peer, text, sizeof(text) - 1) > 12);
    sim_trace("%.12s", text);
    sim_peer_close(&peer);
    end(server);
    return 0;
}

static void a_flood_does_not_wash_the_answer_away(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct sim_opts opts;
        struct sim *sim;

        sim_opts_init(&opts);
        opts.seed = seed;
        opts.buffer_bytes = 1 << 20;
        sim = sim_new(&opts);
        assert_int_equal(sim_run(sim, flood, NULL, NULL), 0);
        assert_string_equal(sim_trace_text(sim), "[     0] HTTP/1.1 413\n");
        sim_free(sim);
    }
}

/* ---- a slow service ------------------------------------------------------------------ */

static int in_time(void *arg)
{
    struct http_server *server = start();
    weir_client *client = NULL;
    weir_response r = { 0 };
    int rc = 0;

    (void)arg;
    CHECK_INT(weir_client_new(&client), 0);
    WEIR_SCOPE(s, .timeout_ms = 300) {
        rc = weir_fetch(WEIR_S("http://127.0.0.1:8080/slow"), &r, .client = client);
        sim_trace("call: %s, %s", weir_error_name(rc), weir_timed_out(s) ? "timed out" : "-");
    }
    CHECK_INT(weir_sleep_ms(100), 0);
    weir_recover();
    CHECK_INT(weir_fetch(WEIR_S("http://127.0.0.1:8080/slow"), &r, .client = client), 0);
    sim_trace("call: %d", r.status);
    weir_client_free(client);
    end(server);
    return 0;
}

static void a_slow_service_against_a_deadline(void **state)
{
    (void)state;
    expect(in_time, 20,
           "[   300] call: ETIMEDOUT, timed out\n"
           "[   320] service: ECANCELED, client gone\n"
           "[   860] service: 0, client there\n"
           "[   880] call: 200\n");
}

/* ---- ends -------------------------------------------------------------------------------- */

/* An answer without a length ends with the connection: one that its handler did not
 * complete must not end in order. */
static int half_closed(void *arg)
{
    static const char *const requests[] = { "GET /first HTTP/1.0\r\n\r\n",
                                            "GET /first HTTP/1.0\r\n\r\n" };
    struct http_server *server = start();
    struct sim_peer peer;
    char text[1024];
    ssize_t n;

    (void)arg;
    for (int i = 0; i < 2; i++) {
        CHECK_INT(sim_peer_connect(&peer, PORT), 0);
        CHECK_INT(sim_peer_send(&peer, requests[i], strlen(requests[i])), strlen(requests[i]));
        if (i == 0)
            CHECK_INT(sim_peer_shutdown(&peer), 0);
        while ((n = sim_peer_recv(&peer, text, sizeof(text))) > 0)
            ;
        sim_trace("%s", weir_error_name((int)n));
        sim_peer_close(&peer);
    }
    end(server);
    return 0;
}

static void an_answer_that_was_cut_ends_by_a_reset(void **state)
{
    (void)state;
    expect(half_closed, 0, "[     0] ECONNRESET\n[   400] 0\n");
}

/* A request whose head is complete after the handlers were cancelled. */
static int late_request(void *arg)
{
    static const char head[] = "GET /hour?finish HTTP/1.1\r\nHost: t\r\n\r\n";
    struct http_server *server = start();
    struct sim_peer peer;

    (void)arg;
    CHECK_INT(sim_peer_connect(&peer, PORT), 0);
    CHECK_INT(sim_peer_send(&peer, head, 10), 10);
    CHECK_INT(weir_sleep_ms(1), 0);
    http_server_stop(server);
    CHECK_INT(weir_sleep_ms(2500), 0);
    CHECK_INT(sim_peer_send(&peer, head + 10, sizeof(head) - 11), sizeof(head) - 11);
    sim_trace("stop: %s", weir_error_name(http_server_wait(server)));
    sim_peer_close(&peer);
    http_server_free(server);
    return 0;
}

static void a_late_request_does_not_keep_the_server(void **state)
{
    (void)state;
    expect(late_request, 0, "[  3001] handler: ECANCELED\n[  3001] stop: ETIMEDOUT\n");
}

/* ---- a caller's trace ----------------------------------------------------------------- */

static int traces(void *arg)
{
#define PARENT "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"
    static const struct {
        const char *parent, *answer;
    } cases[] = { { "00-" PARENT "01", "1" },
                  { "00-" PARENT "00", "0" },
                  { "00-" PARENT "0a", "0" },
                  { "00-" PARENT "0b", "1" },
                  { "00-" PARENT "0c", "0" },
                  { "00-" PARENT "f3", "1" },
                  { "00-" PARENT "0", "-" },
                  { "00-" PARENT "0g", "-" },
                  { "00-" PARENT "0B", "-" },
                  { "00-" PARENT "01-x", "-" },
                  { "00-" PARENT "011", "-" },
                  { "01-" PARENT "01", "-" },
                  { "00-00000000000000000000000000000000-b7ad6b7169203331-01", "-" } };
    struct http_server *server = start();

    (void)arg;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        weir_http_field fields[] = { { WEIR_S("traceparent"), weir_str_c(cases[i].parent) },
                                     { { NULL, 0 }, { NULL, 0 } } };
        weir_response r = { 0 };

        CHECK_INT(weir_fetch(WEIR_S("http://127.0.0.1:8080/traced"), &r, .headers = fields), 0);
        if (!weir_str_eq(r.body, weir_str_c(cases[i].answer)))
            sim_trace("%s: %.*s", cases[i].parent, WEIR_ARG(r.body));
    }
    end(server);
    return 0;
}

static void a_trace_goes_on_when_it_is_well_formed(void **state)
{
    (void)state;
    expect(traces, 0, "");
}

/* ---- the same seed --------------------------------------------------------------------- */

static int caller(void *arg)
{
    static const char *const paths[] = { "/", "/slow", "/big", "/pieces" };
    weir_client *client = arg;
    int failed = 0;

    for (int i = 0; i < 8; i++) {
        weir_response r = { 0 };
        weir_str url = weir_format("http://127.0.0.1:8080%s", paths[i % 4]);
        int rc = 0;

        WEIR_SCOPE(s, .timeout_ms = 5000) {
            rc = weir_fetch_opt(
                url, &r, &(weir_fetch_opts){ .size = sizeof(weir_fetch_opts), .client = client });
        }
        if (rc < 0)
            weir_recover();
        failed += rc < 0;
        sim_trace("%s: %s %d, %zu bytes", paths[i % 4], weir_error_name(rc), r.status, r.body.len);
    }
    return failed;
}

static int callers(void *arg)
{
    struct http_server *server = start();
    weir_client *client = NULL;

    (void)arg;
    CHECK_INT(weir_client_new(&client, .max_connections = 3), 0);
    WEIR_SCOPE(s) {
        for (int i = 0; i < 6; i++)
            weir_go(s, caller, client);
        CHECK_INT(weir_join(s), 0);
    }
    weir_client_free(client);
    end(server);
    return 0;
}

static char *trace_of(uint64_t seed)
{
    char line[SIM_OPTS_TEXT_BYTES], *text;
    struct sim_opts opts;
    struct sim *sim;

    sim_opts_draw(&opts, seed);
    opts.no_files = 0; /* or there is no server */
    sim_opts_print(&opts, line);
    sim = sim_new(&opts);
    if (sim_run(sim, callers, NULL, NULL) != 0)
        fail_msg("%s\n%s", line, sim_trace_text(sim));
    text = strdup(sim_trace_text(sim));
    sim_free(sim);
    return text;
}

static void the_same_seed_gives_the_same_run(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        char *one = trace_of(seed), *other = trace_of(seed);

        assert_string_equal(one, other);
        free(one);
        free(other);
    }
}

/* ---- clients of every kind of bad manners ----------------------------------------------- */

static uint32_t below(uint32_t n)
{
    return (uint32_t)(loop_random(loop_self()) % n);
}

/* Requests, in pieces or many at once, read or not, and then some kind of end. */
static int rude_client(void *arg)
{
    static const char *const requests[] = {
        "GET / HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET /pieces HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET /pieces HTTP/1.0\r\nHost: t\r\n\r\n",
        "GET /big HTTP/1.1\r\nHost: t\r\n\r\n",
        "HEAD /big HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET /slow HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET /?unread HTTP/1.1\r\nHost: t\r\nContent-Length: 11\r\n\r\nGET / HTTP/",
        "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello",
        ("POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
         "5\r\nhello\r\n0\r\n\r\n"),
        "POST /echo HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\nHost: t\n\n",
        "hello",
    };
    struct sim_peer peer;
    char in[4096];

    (void)arg;
    if (sim_peer_connect(&peer, PORT) < 0)
        return 0;
    for (uint32_t i = below(6) + 1; i > 0; i--) {
        const char *text = requests[below(sizeof(requests) / sizeof(*requests))];
        size_t len = strlen(text), cut = below(4) ? len : below((uint32_t)len);

        if (sim_peer_send(&peer, text, cut) < 0)
            break;
        if (below(3) == 0 && weir_sleep_ms(below(3) ? below(50) : below(12000)) < 0)
            break;
        if (cut < len && sim_peer_send(&peer, text + cut, len - cut) < 0)
            break;
        WEIR_SCOPE(s, .timeout_ms = 1 + below(300)) {
            for (uint32_t n = below(3) * below(80); n > 0; n--)
                if (sim_peer_recv(&peer, in, 1 + below(sizeof(in))) <= 0)
                    break;
        }
    }
    if (below(3) == 0)
        sim_peer_shutdown(&peer);
    if (below(3) == 0)
        WEIR_IGNORE(weir_sleep_ms(below(15000)), "it ends all the same");
    if (below(2))
        sim_peer_reset(&peer);
    else
        sim_peer_close(&peer);
    return 0;
}

/* One that resets while its answer is being written: in the same turn as the
 * handler begins to wait for room, say, which a flush at the turn's end makes. */
static int fickle_client(void *arg)
{
    static const char request[] = "GET /pieces HTTP/1.1\r\nHost: t\r\n\r\n";
    struct sim_peer peer;

    (void)arg;
    if (sim_peer_connect(&peer, PORT) < 0)
        return 0;
    if (sim_peer_send(&peer, request, sizeof(request) - 1) > 0)
        for (uint32_t n = below(12); n > 0; n--)
            WEIR_IGNORE(weir_yield(), "it resets either way");
    sim_peer_reset(&peer);
    return 0;
}

static weir_fn *manners;

static int rude_clients(void *arg)
{
    struct http_server *server = start();

    (void)arg;
    WEIR_SCOPE(s) {
        for (int i = 0; i < 40; i++)
            weir_go(s, manners, NULL);
        CHECK_INT(weir_join(s), 0);
    }
    end(server);
    return 0;
}

static void survive(weir_fn *clients, const struct sim_opts *opts)
{
    char line[SIM_OPTS_TEXT_BYTES];
    struct sim *sim = sim_new(opts);

    manners = clients;
    sim_opts_print(opts, line);
    if (sim_run(sim, rude_clients, NULL, NULL) != 0 || sim_files(sim) != 0)
        fail_msg("%s\n%s", line, sim_trace_text(sim));
    sim_free(sim);
}

static void no_client_breaks_it(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct sim_opts opts;

        sim_opts_draw(&opts, seed);
        opts.no_files = 0; /* or there is no server */
        opts.buffer_bytes = seed % 2 ? 4096 : opts.buffer_bytes;
        survive(rude_client, &opts);
    }
}

static void a_client_that_resets_within_its_answer(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct sim_opts opts;

        sim_opts_init(&opts);
        opts.seed = seed;
        opts.buffer_bytes = 1 << 20;
        survive(fickle_client, &opts);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_are_kept),
        cmocka_unit_test(one_byte_in_nine_seconds_does_not_extend_the_head),
        cmocka_unit_test(a_later_head_has_its_time_from_its_first_byte),
        cmocka_unit_test(a_flood_does_not_wash_the_answer_away),
        cmocka_unit_test(a_slow_service_against_a_deadline),
        cmocka_unit_test(an_answer_that_was_cut_ends_by_a_reset),
        cmocka_unit_test(a_late_request_does_not_keep_the_server),
        cmocka_unit_test(a_trace_goes_on_when_it_is_well_formed),
        cmocka_unit_test(the_same_seed_gives_the_same_run),
        cmocka_unit_test(no_client_breaks_it),
        cmocka_unit_test(a_client_that_resets_within_its_answer),
    };
    int rc = weir_log_open(.sink = drop_log, .sync = true);

    if (rc == 0)
        rc = cmocka_run_group_tests(tests, NULL, NULL);
    weir_log_close();
    return rc;
}
