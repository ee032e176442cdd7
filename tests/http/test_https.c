/* Server and client over TLS: in the kernel's network and in the simulated one. */
#include "support/both.h"

#include <weir/client.h>
#include <weir/metrics.h>
#include <weir/stream.h>

#include "http/server.h"
#include "net/tls_context.h"
#include "support/certificates.h"

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

/* ---- a server ---------------------------------------------------------------------- */

#define BIG_BYTES (1u << 20)

static int say_tls(weir_exchange *x)
{
    weir_tls_info info;
    weir_tls_peer peer = { 0 };
    int rc = weir_client_certificate(x, &peer);

    CHECK_INT(weir_client_tls(x, &info), 1);
    CHECK_INT(rc, peer.common_name.ptr != NULL);
    return weir_reply_text(x, 200,
                           weir_format("%.*s %.*s %.*s %.*s", WEIR_ARG(info.version),
                                       WEIR_ARG(info.protocol), WEIR_ARG(info.server_name),
                                       WEIR_ARG(peer.common_name))
                               .ptr);
}

static int say_big(weir_exchange *x)
{
    static char big[BIG_BYTES];

    memset(big, 'b', sizeof(big));
    return weir_reply(x, 200, "text/plain", weir_str_from(big, sizeof(big)));
}

static int say_resumed(weir_exchange *x)
{
    weir_tls_info info;

    CHECK_INT(weir_client_tls(x, &info), 1);
    return weir_reply_text(x, 200, info.resumed ? "resumed" : "new");
}

static int echo(weir_exchange *x)
{
    weir_str body;
    int rc = weir_body_all(x, &body);

    return rc < 0 ? rc : weir_reply(x, 200, "text/plain", body);
}

static void handle(void *arg, weir_exchange *x, struct http_route *ret_route)
{
    weir_str path = weir_path(x);

    (void)arg;
    ret_route->body_max_bytes = 2 * BIG_BYTES;
    ret_route->handler = weir_str_eq(path, WEIR_S("/new"))    ? say_resumed
                         : weir_str_eq(path, WEIR_S("/big"))  ? say_big
                         : weir_str_eq(path, WEIR_S("/echo")) ? echo
                                                              : say_tls;
}

static uint32_t requests_max; /* of a connection, for the next service */

struct service {
    struct http_server *server;
    struct tls_context *tls;
    uint16_t port;
};

static void service_start(struct service *s, const char *cert, const char *client_ca)
{
    char pem[32], key[32];
    struct addr addr;
    weir_tls_server_opts opts = { .size = sizeof(opts), .alpn = { "http/1.1" } };

    snprintf(pem, sizeof(pem), "%s.pem", cert);
    snprintf(key, sizeof(key), "%s.key", cert);
    opts.certificates = (const weir_tls_certificate[]){
        { .certificate = file(pem), .key = file(key) }, { 0 }
    };
    opts.client_ca = client_ca;
    CHECK_INT(tls_context_server(&opts, &s->tls), 0);
    CHECK_INT(addr_parse(WEIR_S("127.0.0.1:0"), &addr), 0);
    CHECK_INT(http_server_start(&(struct http_server_opts){ .addrs = &addr,
                                                            .addr_count = 1,
                                                            .handle = handle,
                                                            .tls = s->tls,
                                                            .requests_max = requests_max,
                                                            .drain_ms = 1000,
                                                            .drain_idle_ms = 1 },
                                &s->server),
              0);
    s->port = addr_port(http_server_addr(s->server, 0));
    weir_recover(); /* warnings about certificates */
}

static void service_stop(struct service *s)
{
    http_server_stop(s->server);
    CHECK_INT(http_server_wait(s->server), 0);
    http_server_free(s->server);
    tls_context_unref(s->tls);
}

static weir_str url(const struct service *s, const char *host, const char *path)
{
    return weir_format("https://%s:%u%s", host, s->port, path);
}

static void make_client(weir_client **ret_client, const weir_tls_client_opts *tls)
{
    CHECK_INT(weir_client_new(ret_client, .tls = tls), 0);
}

static void expect(weir_str got, const char *wanted)
{
    if (!weir_str_eq(got, weir_str_c(wanted))) {
        fprintf(stderr, "got <%.*s>, not <%s>\n", WEIR_ARG(got), wanted);
        abort();
    }
}

/* ---- tests ----------------------------------------------------------------------------- */

BOTH_TEST(calls_go_over_tls)
{
    weir_tls_client_opts tls = { .size = sizeof(tls), .ca = file("ca.pem") };
    weir_client *client;
    weir_response r;
    struct service s;
    char *big = malloc(BIG_BYTES);
    weir_pool_stats stats;
    weir_pool *pool;

    (void)arg;
    memset(big, 'x', BIG_BYTES);
    service_start(&s, "server", NULL);
    make_client(&client, &tls);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(weir_fetch(url(&s, "127.0.0.1", "/"), &r, .client = client), 0);
        CHECK_INT(r.status, 200);
        expect(r.body, "TLSv1.3 http/1.1  ");
    }
    CHECK_INT(weir_client_pool(client, url(&s, "127.0.0.1", "/"), &pool), 0);
    weir_pool_read(pool, &stats);
    CHECK_INT(stats.idle, 1);
    CHECK_INT(weir_fetch(url(&s, "127.0.0.1", "/big"), &r, .client = client), 0);
    CHECK_INT(r.body.len, BIG_BYTES);
    CHECK_INT(weir_fetch(url(&s, "127.0.0.1", "/echo"), &r, .client = client,
                         .body = weir_str_from(big, BIG_BYTES)),
              0);
    CHECK_INT(r.status, 200);
    CHECK_INT(r.body.len, BIG_BYTES);
    CHECK(memcmp(r.body.ptr, big, BIG_BYTES) == 0);
    weir_client_free(client);
    service_stop(&s);
    free(big);
    return 0;
}

TASK_TEST(the_name_is_asked_for)
{
    weir_tls_client_opts tls = { .size = sizeof(tls), .ca = file("ca.pem") };
    weir_client *client;
    weir_response r;
    struct service s;

    (void)arg;
    service_start(&s, "server", NULL);
    make_client(&client, &tls);
    CHECK_INT(weir_fetch(url(&s, "localhost", "/"), &r, .client = client), 0);
    expect(r.body, "TLSv1.3 http/1.1 localhost ");
    weir_client_free(client);
    service_stop(&s);
    return 0;
}

TASK_TEST(sessions_are_resumed)
{
    weir_tls_client_opts tls = { .size = sizeof(tls), .ca = file("ca.pem") };
    weir_client *client;
    weir_response r;
    struct service s;

    (void)arg;
    requests_max = 1; /* so that each call needs a connection of its own */
    service_start(&s, "server", NULL);
    requests_max = 0;
    make_client(&client, &tls);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(weir_fetch(url(&s, "127.0.0.1", "/new"), &r, .client = client), 0);
        expect(r.body, i == 0 ? "new" : "resumed");
    }
    weir_client_free(client);
    service_stop(&s);
    return 0;
}

static void expect_refused(const char *cert, const char *host, const char *words)
{
    weir_tls_client_opts tls = { .size = sizeof(tls), .ca = file("ca.pem") };
    weir_client *client;
    weir_response r;
    struct service s;
    char text[1200];

    service_start(&s, cert, NULL);
    make_client(&client, &tls);
    CHECK_INT(weir_fetch(url(&s, host, "/"), &r, .client = client), WEIR_ETLS);
    weir_error_print(text, sizeof(text));
    if (!strstr(text, words)) {
        fprintf(stderr, "the error \"%s\" does not say \"%s\"\n", text, words);
        abort();
    }
    CHECK(strstr(text, host));
    weir_recover();
    weir_client_free(client);
    service_stop(&s);
}

TASK_TEST(servers_that_are_not_who_they_should_be_are_refused)
{
    (void)arg;
    expect_refused("expired", "127.0.0.1", "has expired");
    expect_refused("other_name", "localhost", "is for other.example, not for localhost");
    expect_refused("other_name", "127.0.0.1", "not for 127.0.0.1");
    expect_refused("self_signed", "localhost", "signed by itself");
    expect_refused("early", "localhost", "is not valid for another");
    expect_refused("wrong_usage", "localhost", "not for this use");
    return 0;
}

static int fetch_as(struct service *s, const char *cert, weir_response *ret_response)
{
    char pem[32], key[32];
    weir_tls_client_opts tls = { .size = sizeof(tls), .ca = file("ca.pem") };
    weir_client *client;
    int rc;

    if (cert) {
        snprintf(pem, sizeof(pem), "%s.pem", cert);
        snprintf(key, sizeof(key), "%s.key", cert);
        tls.certificate = (weir_tls_certificate){ .certificate = file(pem), .key = file(key) };
    }
    make_client(&client, &tls);
    weir_recover();
    rc = weir_fetch(url(s, "127.0.0.1", "/"), ret_response, .client = client);
    weir_recover();
    weir_client_free(client);
    return rc;
}

BOTH_TEST(clients_show_certificates)
{
    struct service s;
    weir_response r;

    (void)arg;
    service_start(&s, "server", file("ca.pem"));
    CHECK_INT(fetch_as(&s, "client", &r), 0);
    expect(r.body, "TLSv1.3 http/1.1  client 1");
    CHECK(fetch_as(&s, NULL, &r) < 0);
    CHECK(fetch_as(&s, "client_stranger", &r) < 0);
    CHECK(fetch_as(&s, "client_wrong_usage", &r) < 0);
    service_stop(&s);
    return 0;
}

/* Clients that fail in the handshake are counted, and nobody else is held up. */
TASK_TEST(handshakes_that_fail_are_counted)
{
    struct service s;
    weir_stream *raw;
    weir_str data;
    weir_counter *failed;

    (void)arg;
    service_start(&s, "server", NULL);
    failed = weir_counter_new("weir_tls_handshakes_failed_total",
                              "Connections of clients that ended before their TLS "
                              "handshake was over.");
    CHECK(failed);
    CHECK_INT(weir_stream_connect(weir_format("127.0.0.1:%u", s.port).ptr, &raw), 0);
    CHECK_INT(weir_stream_write(raw, WEIR_S("GET / HTTP/1.1\r\nHost: a\r\n\r\n")), 27);
    while (weir_stream_read(raw, &data) > 0) /* an alert at most */
        CHECK(data.len > 0 && data.ptr[0] == 21);
    weir_stream_close(raw);
    CHECK(weir_counter_value(failed) >= 1);
    service_stop(&s);
    return 0;
}

/* Many at once, over few connections, with cancels among them. */
static int one_call(void *arg)
{
    const struct service *s = ((void **)arg)[0];
    weir_client *client = ((void **)arg)[1];
    weir_response r;
    int rc = weir_fetch(url(s, "127.0.0.1", "/big"), &r, .client = client);

    if (rc == 0)
        CHECK_INT(r.body.len, BIG_BYTES);
    weir_recover();
    return rc;
}

BOTH_TEST(many_calls_some_of_them_given_up)
{
    weir_tls_client_opts tls = { .size = sizeof(tls), .ca = file("ca.pem") };
    weir_client *client;
    struct service s;
    void *both[2];

    (void)arg;
    service_start(&s, "server", NULL);
    CHECK_INT(weir_client_new(&client, .tls = &tls, .max_connections = 4), 0);
    both[0] = &s;
    both[1] = client;
    for (uint32_t ms = 1; ms < 12; ms++) {
        WEIR_SCOPE(scope, .timeout_ms = ms) {
            for (int i = 0; i < 4; i++)
                weir_go(scope, one_call, both);
            WEIR_IGNORE(weir_join(scope), "the deadline may have come first");
        }
        weir_recover();
    }
    CHECK_INT(one_call(both), 0);
    weir_client_free(client);
    service_stop(&s);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_go_over_tls),
        cmocka_unit_test(the_name_is_asked_for),
        cmocka_unit_test(sessions_are_resumed),
        cmocka_unit_test(servers_that_are_not_who_they_should_be_are_refused),
        cmocka_unit_test(clients_show_certificates),
        cmocka_unit_test(handshakes_that_fail_are_counted),
        cmocka_unit_test(many_calls_some_of_them_given_up),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
