/* Names in simulations: servers that fail, are slow, and change their minds; and a
 * service whose address moves. */
#include "support/in_task.h"

#include <weir/client.h>
#include <weir/dns.h>
#include <weir/sim.h>
#include <weir/stream.h>

#include "http/server.h"
#include "support/sweep.h"

static weir_sim *sim;

static void run(weir_fn *fn, uint32_t latency_ms, const char *trace)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        sim = weir_sim_new(.seed = seed, .latency_ms = latency_ms);
        assert_non_null(sim);
        assert_int_equal(weir_sim_run(sim, fn, NULL), 0);
        if (trace)
            WEIR_EXPECT_TRACE(sim, trace);
        weir_sim_free(sim);
    }
}

static void say(const char *name)
{
    weir_addresses found = { 0 };
    int rc = weir_resolve(weir_str_c(name), &found);

    weir_sim_trace("%s: %s, %zu%s", name, rc < 0 ? weir_error_name(rc) : found.list[0].ptr,
                   found.count, found.stale ? ", stale" : "");
    weir_recover();
}

static int each_kind(void *arg)
{
    (void)arg;
    CHECK_INT(weir_sim_name(sim, "both", .addresses = "10.0.0.1 10.0.0.2 fd00::1"), 0);
    CHECK_INT(weir_sim_name(sim, "slow", .addresses = "10.0.0.3", .latency_ms = 300), 0);
    CHECK_INT(weir_sim_name(sim, "broken", .way = WEIR_SIM_SERVFAIL), 0);
    CHECK_INT(weir_sim_name(sim, "silent", .way = WEIR_SIM_SILENT), 0);
    CHECK_INT(weir_sim_name(sim, "bad", .addresses = "10.0.0.256"), -EINVAL);
    weir_recover();
    say("both");
    say("Both");
    say("slow");
    say("broken");
    say("nobody");
    say("silent");
    return 0;
}

static void names_of_each_kind(void **state)
{
    (void)state;
    run(each_kind, 10,
        "[    20] both: fd00::1, 3\n"
        "[    20] Both: fd00::1, 3\n"
        "[   320] slow: 10.0.0.3, 1\n"
        "[   340] broken: WEIR_ENAMESERVER, 0\n"
        "[   360] nobody: WEIR_ENAME, 0\n"
        "[  6360] silent: WEIR_EPEERTIMEOUT, 0\n");
}

static int over_time(void *arg)
{
    (void)arg;
    CHECK_INT(weir_sim_name(sim, "x", .addresses = "10.0.0.1", .ttl_ms = 30000), 0);
    say("x");
    CHECK_INT(weir_sim_name(sim, "x", .addresses = "10.0.0.2", .ttl_ms = 30000), 0);
    CHECK_INT(weir_sleep_ms(29999), 0);
    say("x"); /* by its TTL */
    CHECK_INT(weir_sleep_ms(1), 0);
    say("x");
    CHECK_INT(weir_sim_name(sim, "x", .way = WEIR_SIM_SERVFAIL), 0);
    CHECK_INT(weir_sleep_ms(30000), 0);
    say("x");
    CHECK_INT(weir_sleep_ms(599000), 0);
    say("x");
    CHECK_INT(weir_sleep_ms(2000), 0);
    say("x"); /* stale for too long */
    CHECK_INT(weir_sim_name(sim, "x", .addresses = "10.0.0.3"), 0);
    CHECK_INT(weir_sleep_ms(1000), 0);
    say("x");
    return 0;
}

static void a_name_over_time(void **state)
{
    (void)state;
    run(over_time, 0,
        "[     0] x: 10.0.0.1, 1\n"
        "[ 29999] x: 10.0.0.1, 1\n"
        "[ 30000] x: 10.0.0.2, 1\n"
        "[ 60000] x: 10.0.0.2, 1, stale\n"
        "[659000] x: 10.0.0.2, 1, stale\n"
        "[661000] x: WEIR_ENAMESERVER, 0\n"
        "[662000] x: 10.0.0.3, 1\n");
}

/* ---- races ------------------------------------------------------------------------ */

static int accept_and_close(void *arg)
{
    weir_stream *s;

    while (weir_accept(arg, &s) > 0)
        weir_stream_close(s);
    return 0;
}

static int race(void *arg)
{
    weir_listener *listener;
    weir_stream *stream;

    (void)arg;
    CHECK_INT(weir_sim_name(sim, "svc", .addresses = "10.0.0.1 10.0.0.2"), 0);
    CHECK_INT(weir_sim_name(sim, "gone", .addresses = "10.0.0.1 10.0.0.3"), 0);
    CHECK_INT(weir_sim_part(sim, "*", "10.0.0.1"), 0);
    CHECK_INT(weir_listen("10.0.0.2:80", &listener), 0);
    WEIR_SCOPE(s) {
        weir_go(s, accept_and_close, listener);
        CHECK_INT(weir_stream_connect("svc:80", &stream), 0);
        weir_sim_trace("connected");
        weir_stream_close(stream);
        /* The second attempt is refused; the first one's silence lasts. */
        WEIR_SCOPE(limit, .timeout_ms = 5000)
            CHECK_INT(weir_stream_connect("gone:80", &stream), -ETIMEDOUT);
        weir_sim_trace("gave up");
        weir_recover();
        weir_stop(s);
        CHECK_INT(weir_join(s), 0);
    }
    weir_listener_close(listener);
    return 0;
}

static void the_next_address_is_tried_after_250_ms(void **state)
{
    (void)state;
    run(race, 0, "[   250] connected\n[  5250] gave up\n");
}

static int race_swept(void *arg)
{
    weir_listener *listener;
    weir_stream *stream = NULL;
    int rc = 0;

    (void)arg;
    CHECK_INT(weir_sim_name(sim, "svc", .addresses = "10.0.0.1 fd00::9 10.0.0.2", .latency_ms = 5),
              0);
    CHECK_INT(weir_sim_part(sim, "*", "10.0.0.1"), 0);
    CHECK_INT(weir_listen("10.0.0.2:80", &listener), 0);
    WEIR_SCOPE(s) {
        sweep_at(s);
        rc = weir_stream_connect("svc:80", &stream);
        sweep_over();
        CHECK(rc == 0 || rc == -ECANCELED);
    }
    CHECK((rc == 0) == (stream != NULL));
    weir_stream_close(stream);
    weir_listener_close(listener);
    return 0;
}

static int run_swept(weir_fn *fn, void *arg, const weir_run_opts *opts)
{
    int rc;

    (void)opts;
    sim = weir_sim_new(.seed = 3, .latency_ms = 4);
    rc = weir_sim_run(sim, fn, arg);
    weir_sim_free(sim);
    return rc;
}

static void a_cancel_at_every_wait_of_a_race(void **state)
{
    (void)state;
    assert_true(sweep_waits_by(run_swept, race_swept, NULL) >= 3);
}

/* ---- a service that moves ------------------------------------------------------------ */

static int old_place(weir_exchange *x)
{
    return weir_reply_text(x, 200, "old");
}

static int new_place(weir_exchange *x)
{
    return weir_reply_text(x, 200, "new");
}

static void handle_old(void *arg, weir_exchange *x, struct http_route *ret_route)
{
    (void)arg;
    (void)x;
    ret_route->handler = old_place;
}

static void handle_new(void *arg, weir_exchange *x, struct http_route *ret_route)
{
    (void)arg;
    (void)x;
    ret_route->handler = new_place;
}

static struct http_server *serve(const char *text, bool is_new)
{
    struct addr addr;
    struct http_server_opts opts = {
        .addrs = &addr, .addr_count = 1, .drain_ms = 100, .handle = is_new ? handle_new : handle_old
    };
    struct http_server *server = NULL;

    CHECK_INT(addr_parse(weir_str_c(text), &addr), 0);
    CHECK_INT(http_server_start(&opts, &server), 0);
    return server;
}

static void finish(struct http_server *server)
{
    http_server_stop(server);
    WEIR_IGNORE(http_server_wait(server), "it has nothing under way");
    http_server_free(server);
}

static void ask(void)
{
    weir_response r;
    int rc = weir_fetch(WEIR_S("http://svc:80/"), &r);

    weir_sim_trace("%.*s", WEIR_ARG(rc < 0 ? weir_str_c(weir_error_name(rc)) : r.body));
    weir_recover();
}

/* The old place goes on serving: only the name says that it is not to be used. */
static int move(void *arg)
{
    struct http_server *old = serve("10.0.0.1:80", false), *new = serve("10.0.0.2:80", true);
    weir_pool_stats stats;
    weir_pool *pool;

    (void)arg;
    CHECK_INT(weir_sim_name(sim, "svc", .addresses = "10.0.0.1", .ttl_ms = 2000), 0);
    ask();
    ask();
    CHECK_INT(weir_sim_name(sim, "svc", .addresses = "10.0.0.2", .ttl_ms = 2000), 0);
    CHECK_INT(weir_sleep_ms(1500), 0);
    ask(); /* within the TTL */
    CHECK_INT(weir_sleep_ms(5000), 0);
    CHECK_INT(weir_client_pool(NULL, WEIR_S("http://svc:80/"), &pool), 0);
    weir_pool_read(pool, &stats);
    weir_sim_trace("%u idle", stats.idle);
    ask();
    /* The servers of names fail: known addresses serve on. */
    CHECK_INT(weir_sim_name(sim, "svc", .way = WEIR_SIM_SERVFAIL), 0);
    CHECK_INT(weir_sleep_ms(60000), 0);
    ask();
    finish(old);
    finish(new);
    return 0;
}

static void a_service_that_moves_takes_its_callers_with_it(void **state)
{
    (void)state;
    run(move, 0,
        "[     0] old\n[     0] old\n[  1500] old\n[  6500] 0 idle\n[  6500] new\n"
        "[ 66500] new\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_each_kind),
        cmocka_unit_test(a_name_over_time),
        cmocka_unit_test(the_next_address_is_tried_after_250_ms),
        cmocka_unit_test(a_cancel_at_every_wait_of_a_race),
        cmocka_unit_test(a_service_that_moves_takes_its_callers_with_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
