/* Calls over HTTP/2 cancelled at every wait, with every allocation failing, and with a
 * server that goes silent: nothing is left, and the next call is served. */
#include "h2_run.h"

#include "base/budget.h"
#include "support/fault.h"
#include "support/sweep.h"

static char large[400000];

static int simulated(weir_fn *fn, void *arg, const weir_run_opts *opts)
{
    struct sim_opts sim;

    sim_opts_init(&sim);
    return run_in_sim(&sim, fn, arg, opts);
}

struct call {
    struct h2_test *t;
    const char *path;
    size_t up;
};

static int fetch(void *arg)
{
    const struct call *call = arg;
    weir_response r;
    int rc = H2_FETCH(*call->t, call->path, &r, .method = call->up ? "POST" : "GET",
                      .body = { large, call->up });

    if (rc == 0)
        CHECK_INT(r.status, 200);
    return rc;
}

static void check_next(struct h2_test *t)
{
    struct call next = { t, "/hello", 0 };

    weir_recover();
    CHECK_INT(fetch(&next), 0);
}

/* Three that share a connection, and wait for it to be made, or for room. */
static int three_calls(void *arg)
{
    struct h2_test t = { .peer.max_streams = 2, .peer.window = 20000 };
    struct call calls[] = { { &t, "/hello", 0 },
                            { &t, "/echo", arg ? sizeof(large) : 10 },
                            { &t, "/bytes?300000", 0 } };

    H2_WITH(t, .max_connections = 4, .max_streams = 2)
    {
        int rc = 1;

        WEIR_SCOPE(s) {
            sweep_at(s);
            for (size_t i = 0; i < 3; i++)
                weir_go(s, fetch, &calls[i], .needs = i ? weir_pool_permits(t.pool) : NULL);
            rc = weir_join(s);
            sweep_over();
        }
        CHECK(rc == 0 || (rc == -ECANCELED && sweep_hit()));
        check_next(&t);
    }
    return 0;
}

static void a_cancel_at_every_wait_of_calls(void **state)
{
    (void)state;
    assert_true(sweep_waits(three_calls, NULL) >= 8);
    assert_true(sweep_waits_by(simulated, three_calls, NULL) >= 8);
    assert_true(sweep_waits_by(simulated, three_calls, large) >= 12);
}

static int streamed(void *arg)
{
    struct h2_test t = { .peer.window = 5000 };

    (void)arg;
    H2_WITH(t)
    {
        int rc = 0;

        WEIR_SCOPE(s) {
            weir_request *req = NULL;
            weir_response r;
            weir_str data;

            sweep_at(s);
            rc = weir_request_open(h2_url(&t, "/echo"), &req, .client = t.client,
                                   .stream_bytes = WEIR_CHUNKED);
            for (int i = 0; i < 6 && rc == 0; i++)
                rc = weir_request_write(req, weir_str_from(large, 3000));
            if (rc == 0)
                rc = weir_request_end(req);
            if (rc == 0)
                rc = weir_response_head(req, &r);
            while (rc == 0 && (rc = (int)weir_response_read(req, &data)) > 0)
                rc = 0;
            sweep_over();
            weir_request_close(req);
        }
        CHECK(rc == 0 || (rc == -ECANCELED && sweep_hit()));
        check_next(&t);
    }
    return 0;
}

static void a_cancel_at_every_wait_of_a_streamed_call(void **state)
{
    (void)state;
    assert_true(sweep_waits(streamed, NULL) >= 5);
    assert_true(sweep_waits_by(simulated, streamed, NULL) >= 5);
}

/* ---- silence ------------------------------------------------------------------------------ */

static int silent_server(void *arg)
{
    static char settings[9];
    struct h2_test t = { .peer.raw = settings,
                         .peer.raw_len = h2_frame(settings, 0, 4, 0, 0, NULL, 0) };

    (void)arg;
    H2_WITH(t)
    {
        weir_response r;
        int64_t from_ns = weir_now().ns;

        CHECK_INT(H2_FETCH(t, "/", &r), WEIR_EPEERTIMEOUT);
        check_said("has not answered a ping");
        CHECK((weir_now().ns - from_ns) / 1000000000 == 15);
    }
    return 0;
}

/* Hours go by as fast as they can be counted. */
static void a_server_that_has_gone_silent_is_given_up(void **state)
{
    (void)state;
    assert_int_equal(SIMULATED(silent_server), 0);
}

static int slow_answer(void *arg)
{
    struct h2_test t = { 0 };

    (void)arg;
    H2_WITH(t)
    {
        weir_response r;

        WEIR_SCOPE(s, .timeout_ms = 60000)
            CHECK_INT(H2_FETCH(t, "/hang", &r), -ETIMEDOUT);
        CHECK_INT(H2_FETCH(t, "/hello", &r), 0);
        CHECK_INT(t.peer.connections, 1);
    }
    return 0;
}

static void a_server_that_is_slow_but_answers_pings_is_not(void **state)
{
    (void)state;
    assert_int_equal(SIMULATED(slow_answer), 0);
}

static int idle_ends(void *arg)
{
    struct h2_test t = { 0 };

    (void)arg;
    H2_WITH(t, .idle_timeout_ms = 5000, .max_age_ms = 60000)
    {
        weir_response r;

        CHECK_INT(H2_FETCH(t, "/hello", &r), 0);
        CHECK_INT(weir_sleep_ms(8000), 0);
        CHECK_INT(t.peer.open, 0);
        CHECK_INT(t.peer.goaway_code, 0);
        for (int i = 0; i < 40; i++) {
            CHECK_INT(H2_FETCH(t, "/hello", &r), 0);
            CHECK_INT(weir_sleep_ms(2000), 0);
        }
        CHECK_INT(t.peer.connections, 3);
    }
    return 0;
}

static void idle_and_old_connections_end(void **state)
{
    (void)state;
    assert_int_equal(SIMULATED(idle_ends), 0);
}

/* ---- the loop's end ---------------------------------------------------------------------------- */

static weir_client *left;

static int leave_idle(void *arg)
{
    struct h2_test t = { 0 };
    weir_response r;

    (void)arg;
    WEIR_SCOPE(s) {
        CHECK_INT(h2_peer_open(&t.peer), 0);
        weir_go(s, h2_peer_run, &t.peer, .optional = true);
        CHECK_INT(weir_client_new(&left, .http2 = WEIR_HTTP2_PRIOR_KNOWLEDGE), 0);
        t.client = left;
        CHECK_INT(H2_FETCH(t, "/hello", &r), 0);
        weir_cancel(s);
        CHECK(weir_join(s) <= 0);
    }
    weir_recover();
    h2_peer_close(&t.peer);
    return 0;
}

static void a_connection_that_is_idle_at_the_end_goes_with_the_loop(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        if (i < 2)
            assert_int_equal(weir_run(leave_idle, NULL, .loops = 1, .grace_ms = 200), 0);
        else
            assert_int_equal(SIMULATED(leave_idle), 0);
        weir_client_free(left);
    }
}

/* ---- memory -------------------------------------------------------------------------------------- */

static int64_t went_on; /* calls that went well after the failure */

static int with_fault(void *arg)
{
    struct h2_test t = { 0 };
    struct fault fault;

    H2_WITH(t)
    {
        struct call calls[] = { { &t, "/echo", 100000 }, { &t, "/trailers", 0 } };
        int rc = 0;

        fault_begin(&fault);
        fault_set(&fault, *(int64_t *)arg, false);
        for (size_t i = 0; i < 2 && rc == 0; i++)
            rc = fetch(&calls[i]);
        fault_end(&fault);
        CHECK(rc == 0 || fault.refused > 0);
        /* It may have been the peer that had no memory: then it may refuse from there on. */
        weir_recover();
        rc = fetch(&(struct call){ &t, "/hello", 0 });
        CHECK(rc == 0 || (rc == -ECONNRESET && fault.refused > 0));
        went_on += rc == 0;
    }
    return fault.refused > 0;
}

static void every_allocation_may_fail(void **state)
{
    uint64_t used = budget_used();
    int64_t nth = 0;
    int more;

    (void)state;
    do {
        nth++;
        more = weir_run(with_fault, &nth, .loops = 1, .grace_ms = 500, .block_threads = 1);
        assert_true(more >= 0);
        assert_true(budget_used() == used);
    } while (more);
    assert_true(nth > 10);
    assert_true(went_on > nth * 9 / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cancel_at_every_wait_of_calls),
        cmocka_unit_test(a_cancel_at_every_wait_of_a_streamed_call),
        cmocka_unit_test(a_server_that_has_gone_silent_is_given_up),
        cmocka_unit_test(a_server_that_is_slow_but_answers_pings_is_not),
        cmocka_unit_test(idle_and_old_connections_end),
        cmocka_unit_test(a_connection_that_is_idle_at_the_end_goes_with_the_loop),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
