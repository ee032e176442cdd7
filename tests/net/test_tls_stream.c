/* Streams over TLS: in the kernel's network and in the simulated one. */
#include "support/both.h"

#include <weir/stream.h>
#include <weir/tls.h>

#include "base/chain.h"
#include "rt/rt.h"
#include "support/certificates.h"
#include "support/fault.h"
#include "support/sweep.h"

static struct cert_set set;

static int set_up(void **state)
{
    (void)state;
    cert_set_make(&set);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cert_set_free(&set);
    return 0;
}

static const char *file(const char *name)
{
    return cert_path(&set.folder, name);
}

struct side {
    weir_listener *listener;
    weir_tls *server, *client;
    char address[40];
};

static void side_open(struct side *side, const char *pem, const char *key)
{
    const weir_tls_certificate certificates[] = { { .certificate = file(pem), .key = file(key) },
                                                  { 0 } };

    CHECK_INT(weir_tls_server_new(&side->server, .certificates = certificates), 0);
    CHECK_INT(weir_tls_client_new(&side->client, .ca = file("ca.pem")), 0);
    CHECK_INT(weir_listen("127.0.0.1:0", &side->listener), 0);
    snprintf(side->address, sizeof(side->address), "127.0.0.1:%u",
             weir_listener_port(side->listener));
}

static void side_close(struct side *side)
{
    weir_listener_close(side->listener);
    weir_tls_free(side->server);
    weir_tls_free(side->client);
}

static void check_read(weir_stream *s, const char *wanted)
{
    weir_str data;
    size_t len = 0;
    char got[64];

    while (len < strlen(wanted)) {
        CHECK(weir_stream_read(s, &data) > 0 && len + data.len < sizeof(got));
        memcpy(got + len, data.ptr, data.len);
        len += data.len;
    }
    CHECK(len == strlen(wanted) && memcmp(got, wanted, len) == 0);
}

static int read_to_end(weir_stream *s, size_t *ret_bytes)
{
    weir_str data;
    ssize_t n;

    *ret_bytes = 0;
    while ((n = weir_stream_read(s, &data)) > 0)
        *ret_bytes += data.len;
    return (int)n;
}

/* ---- one conversation ------------------------------------------------------------- */

static int serve_echo(void *arg)
{
    struct side *side = arg;
    weir_stream *s;
    weir_str data;
    ssize_t n;
    int rc = weir_accept(side->listener, &s);

    if (rc <= 0)
        return rc;
    rc = weir_tls_accept(side->server, s);
    while (rc == 0 && (n = weir_stream_read(s, &data)) != 0) {
        rc = n < 0 ? (int)n : 0;
        if (rc == 0)
            n = weir_stream_write(s, data);
        rc = n < 0 ? (int)n : rc;
    }
    weir_stream_close(s);
    return rc;
}

BOTH_TEST(streams_talk_over_tls)
{
    struct side side;
    weir_stream *s;
    weir_tls_info info;
    weir_tls_peer peer;
    weir_str data;

    (void)arg;
    side_open(&side, "server.pem", "server.key");
    for (int i = 0; i < 2; i++) {
        WEIR_SCOPE(scope) {
            weir_go(scope, serve_echo, &side);
            CHECK_INT(weir_tls_connect(side.client, side.address, &s), 0);
            CHECK_INT(weir_stream_tls(s, &info), 1);
            CHECK(weir_str_eq(info.version, WEIR_S("TLSv1.3")));
            CHECK_INT(info.resumed, i); /* the second time */
            CHECK_INT(weir_stream_certificate(s, &peer), 1);
            CHECK(peer.name_count > 0);
            CHECK_INT(weir_stream_write(s, WEIR_S("hello")), 5);
            check_read(s, "hello");
            CHECK_INT(weir_stream_shutdown(s), 0);
            CHECK_INT(weir_stream_read(s, &data), 0);
            weir_stream_close(s);
            CHECK_INT(weir_join(scope), 0);
        }
    }
    side_close(&side);
    return 0;
}

#define BIG_BYTES (2u << 20)

static int write_big(void *arg)
{
    weir_stream *s = arg;
    char *big = calloc(1, BIG_BYTES);
    ssize_t n = weir_stream_write(s, weir_str_from(big, BIG_BYTES));

    free(big);
    CHECK_INT(n, BIG_BYTES);
    return weir_stream_shutdown(s);
}

BOTH_TEST(a_stream_is_written_while_it_is_read)
{
    struct side side;
    weir_stream *s;
    size_t bytes;

    (void)arg;
    side_open(&side, "server.pem", "server.key");
    WEIR_SCOPE(scope) {
        weir_go(scope, serve_echo, &side);
        CHECK_INT(weir_tls_connect(side.client, side.address, &s), 0);
        weir_go(scope, write_big, s);
        CHECK_INT(read_to_end(s, &bytes), 0);
        CHECK_INT(bytes, BIG_BYTES);
        CHECK_INT(weir_join(scope), 0);
        weir_stream_close(s);
    }
    side_close(&side);
    return 0;
}

/* ---- ends, and failures --------------------------------------------------------------- */

static int serve_and_close(void *arg)
{
    struct side *side = arg;
    weir_stream *s;

    CHECK_INT(weir_accept(side->listener, &s), 1);
    weir_stream_close(s);
    return 0;
}

BOTH_TEST(a_server_that_closes_at_once_is_told)
{
    struct side side;
    weir_stream *s;
    int rc;

    (void)arg;
    side_open(&side, "server.pem", "server.key");
    WEIR_SCOPE(scope) {
        weir_go(scope, serve_and_close, &side);
        rc = weir_tls_connect(side.client, side.address, &s);
        CHECK(rc == WEIR_ETRUNCATED || rc == -ECONNRESET || rc == -EPIPE);
        weir_recover();
        CHECK_INT(weir_join(scope), 0);
    }
    side_close(&side);
    return 0;
}

static int serve_failing(void *arg)
{
    struct side *side = arg;
    weir_stream *s;
    weir_str data;
    int rc;

    CHECK_INT(weir_accept(side->listener, &s), 1);
    rc = weir_tls_accept(side->server, s);
    CHECK(rc == WEIR_ETLS || rc == WEIR_ETRUNCATED || rc == -ECONNRESET);
    CHECK_INT(weir_stream_read(s, &data), rc);
    CHECK_INT(weir_stream_write(s, WEIR_S("x")), rc);
    weir_stream_close(s);
    weir_recover();
    return 0;
}

BOTH_TEST(a_certificate_for_another_is_refused)
{
    struct side side;
    weir_stream *s;
    char text[600];

    (void)arg;
    side_open(&side, "other_name.pem", "other_name.key");
    WEIR_SCOPE(scope) {
        weir_go(scope, serve_failing, &side);
        CHECK_INT(weir_tls_connect(side.client, side.address, &s), WEIR_ETLS);
        weir_error_print(text, sizeof(text));
        CHECK(strstr(text, "other.example, not for 127.0.0.1"));
        weir_recover();
        CHECK_INT(weir_join(scope), 0);
    }
    side_close(&side);
    return 0;
}

/* A client that says nothing is given up after 10 s: in the simulation no time at all. */
static int serve_late(void *arg)
{
    struct side *side = arg;
    weir_stream *s;

    CHECK_INT(weir_accept(side->listener, &s), 1);
    CHECK_INT(weir_tls_accept(side->server, s), WEIR_EPEERTIMEOUT);
    weir_recover();
    weir_stream_close(s);
    return 0;
}

static int silent(void *arg)
{
    struct side side;
    weir_stream *s;
    weir_str data;

    (void)arg;
    side_open(&side, "server.pem", "server.key");
    WEIR_SCOPE(scope) {
        weir_go(scope, serve_late, &side);
        CHECK_INT(weir_stream_connect(side.address, &s), 0);
        CHECK(weir_stream_read(s, &data) <= 0);
        weir_stream_close(s);
        CHECK_INT(weir_join(scope), 0);
    }
    side_close(&side);
    return 0;
}

static void a_client_that_is_silent_is_given_up(void **state)
{
    (void)state;
    assert_int_equal(SIMULATED(silent, (void)0), 0);
}

/* ---- STARTTLS ------------------------------------------------------------------------------ */

static int serve_starttls(void *arg)
{
    struct side *side = arg;
    weir_stream *s;

    CHECK_INT(weir_accept(side->listener, &s), 1);
    check_read(s, "STARTTLS");
    CHECK_INT(weir_stream_write(s, WEIR_S("go")), 2);
    CHECK_INT(weir_tls_accept(side->server, s), 0);
    CHECK_INT(weir_tls_accept(side->server, s), -EALREADY);
    check_read(s, "secret");
    weir_stream_close(s);
    return 0;
}

BOTH_TEST(a_stream_can_begin_in_the_clear)
{
    struct side side;
    weir_stream *s, *one, *other;
    weir_str data;

    (void)arg;
    side_open(&side, "server.pem", "server.key");
    CHECK_INT(weir_stream_pair(&one, &other), 0);
    CHECK_INT(weir_tls_accept(side.server, one), -EOPNOTSUPP);
    weir_stream_close(one);
    weir_stream_close(other);
    WEIR_SCOPE(scope) {
        weir_go(scope, serve_starttls, &side);
        CHECK_INT(weir_stream_connect(side.address, &s), 0);
        CHECK_INT(weir_stream_write(s, WEIR_S("STARTTLS")), 8);
        check_read(s, "go");
        CHECK_INT(weir_tls_start(side.client, s, WEIR_S("localhost"), 25), 0);
        CHECK_INT(weir_stream_write(s, WEIR_S("secret")), 6);
        CHECK_INT(weir_stream_read(s, &data), 0);
        weir_stream_close(s);
        CHECK_INT(weir_join(scope), 0);
    }
    side_close(&side);
    return 0;
}

/* ---- cancels at every wait --------------------------------------------------------------- */

static int converse(void *arg)
{
    struct side side;
    weir_stream *s = NULL;
    char big[40000] = { 0 };
    size_t bytes = 0;
    int rc;

    (void)arg;
    side_open(&side, "server.pem", "server.key");
    WEIR_SCOPE(scope) {
        sweep_at(scope);
        weir_go(scope, serve_echo, &side, .optional = true);
        rc = weir_tls_connect(side.client, side.address, &s);
        if (rc == 0)
            rc = (int)weir_stream_write(s, weir_str_from(big, sizeof(big)));
        if (rc >= 0)
            rc = weir_stream_shutdown(s);
        if (rc == 0)
            rc = read_to_end(s, &bytes);
        sweep_over();
        CHECK(rc == 0 || sweep_hit());
        CHECK(rc != 0 || bytes == sizeof(big) || sweep_hit());
        weir_stream_close(s);
        WEIR_IGNORE(weir_join(scope), "the server may have been cancelled");
    }
    weir_recover();
    side_close(&side);
    return 0;
}

static int in_sim(weir_fn *fn, void *arg, const weir_run_opts *run)
{
    struct sim_opts opts;

    sim_opts_init(&opts);
    opts.latency_ms = 1;
    return run_in_sim(&opts, fn, arg, run);
}

static void they_can_be_cancelled_at_every_wait(void **state)
{
    int waits, in_sim_waits;

    (void)state;
    waits = sweep_waits(converse, NULL);
    in_sim_waits = sweep_waits_by(in_sim, converse, NULL);
    printf("waits: %d, and %d in the simulation\n", waits, in_sim_waits);
    assert_true(waits >= 3 && in_sim_waits >= 5);
}

/* ---- allocations that fail ------------------------------------------------------------------ */

/* As converse(), but nothing has to succeed. */
static int try_to_talk(void *arg)
{
    const weir_tls_certificate certificates[] = {
        { .certificate = file("server.pem"), .key = file("server.key") }, { 0 }
    };
    struct side side = { 0 };
    weir_stream *s = NULL;
    weir_str data;
    int rc = weir_tls_server_new(&side.server, .certificates = certificates);

    (void)arg;
    if (rc == 0)
        rc = weir_tls_client_new(&side.client, .ca = file("ca.pem"));
    if (rc == 0)
        rc = weir_listen("127.0.0.1:0", &side.listener);
    if (rc == 0) {
        snprintf(side.address, sizeof(side.address), "127.0.0.1:%u",
                 weir_listener_port(side.listener));
        WEIR_SCOPE(scope) {
            weir_go(scope, serve_echo, &side);
            rc = weir_tls_connect(side.client, side.address, &s);
            if (rc == 0)
                rc = (int)weir_stream_write(s, WEIR_S("hello"));
            if (rc == 5)
                rc = (int)weir_stream_read(s, &data);
            weir_stream_close(s);
            if (rc < 0)
                weir_cancel(scope);
            if (weir_join(scope) < 0 && rc == 5)
                rc = -ECANCELED;
        }
    }
    weir_listener_close(side.listener);
    weir_tls_free(side.server);
    weir_tls_free(side.client);
    return rc < 0 ? rc : 0;
}

static int in_runtime(void *arg)
{
    int rc = weir_run(try_to_talk, arg, .loops = 1, .grace_ms = 1000, .block_threads = 1);

    weir_recover();
    chain_thread_done();
    return rc;
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    assert_int_equal(in_runtime(NULL), 0);
    printf("allocations: %lld\n", (long long)fault_sweep(in_runtime, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_talk_over_tls),
        cmocka_unit_test(a_stream_is_written_while_it_is_read),
        cmocka_unit_test(a_server_that_closes_at_once_is_told),
        cmocka_unit_test(a_certificate_for_another_is_refused),
        cmocka_unit_test(a_client_that_is_silent_is_given_up),
        cmocka_unit_test(a_stream_can_begin_in_the_clear),
        cmocka_unit_test(they_can_be_cancelled_at_every_wait),
        cmocka_unit_test(any_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
