/* The client against a scripted server: what is sent, what comes back, and which
 * connections are used again. */
#include "support/client_run.h"

#include <weir/guard.h>

#include "base/alloc.h"
#include "rt/rt.h"
#include "support/fault.h"

static weir_str url_of(uint16_t port, const char *rest)
{
    weir_str url = weir_format("http://127.0.0.1:%u%s", port, rest);

    CHECK(url.ptr);
    return url;
}

/* Answers every request with its own head as the body. */
static void echo_heads(struct peer_conn *conn)
{
    while (peer_head(conn)) {
        char head[128];

        snprintf(head, sizeof(head),
                 "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Conn: %d\r\n"
                 "Content-Length: %zu\r\n\r\n",
                 conn->index, conn->len);
        if (!peer_send(conn, head) || !peer_send_bytes(conn, conn->text, conn->len))
            return;
    }
}

TASK_TEST(a_get_sends_what_it_should_and_the_connection_is_kept)
{
    uint16_t port;
    struct peer *peer = peer_start(echo_heads, NULL, &port);
    char wanted[256];
    weir_response r;

    (void)arg;
    CHECK_INT(weir_fetch(url_of(port, "/a?b=c#d"), &r), 0);
    CHECK_INT(r.status, 200);
    CHECK_STR(r.type, "text/plain");
    CHECK_INT(r.content_length, r.body.len);
    CHECK_STR(weir_response_header(&r, "x-conn"), "0");
    CHECK(weir_response_header(&r, "nothing").ptr == NULL);
    snprintf(wanted, sizeof(wanted),
             "GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
             "User-Agent: weir/" WEIR_VERSION "\r\n\r\n",
             port);
    CHECK_TEXT(r.body.ptr, wanted);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(weir_fetch(url_of(port, i % 2 ? "" : "?x"), &r), 0);
        CHECK(weir_str_starts(r.body, i % 2 ? WEIR_S("GET / HTTP") : WEIR_S("GET /?x HTTP")));
    }
    CHECK_INT(peer_connections(peer), 1);
    peer_stop(peer);
    return 0;
}

/* ---- what is sent -------------------------------------------------------------------- */

static weir_response sent(uint16_t port, const weir_fetch_opts *opts)
{
    weir_response r;

    CHECK_INT(weir_fetch_opt(url_of(port, "/x"), &r, opts), 0);
    return r;
}

#define SENT(port, ...) \
    sent(port, &(weir_fetch_opts){ .size = sizeof(weir_fetch_opts), __VA_ARGS__ }).body.ptr

static bool says(const char *head, const char *line)
{
    return strstr(head, line) != NULL;
}

TASK_TEST(bodies_are_framed_by_their_length)
{
    uint16_t port;
    struct peer *peer = peer_start(echo_heads, NULL, &port);
    const char *head;

    (void)arg;
    head = SENT(port, .method = "POST");
    CHECK(says(head, "POST /x HTTP/1.1\r\n") && says(head, "\r\nContent-Length: 0\r\n"));
    head = SENT(port, .method = "DELETE");
    CHECK(!says(head, "Content-Length"));
    peer_stop(peer);
    return 0;
}

static void echo_bodies(struct peer_conn *conn)
{
    while (peer_head(conn)) {
        char *length = strstr(conn->text, "Content-Length: "), head[64];
        size_t n = length ? strtoul(length + 16, NULL, 10) : 0, skip;

        if (!peer_body(conn, n))
            return;
        skip = (size_t)(strstr(conn->text, "\r\n\r\n") + 4 - conn->text);
        snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", n);
        if (!peer_send(conn, head) || !peer_send_bytes(conn, conn->text + skip, n))
            return;
        conn->len = 0;
        conn->text[0] = 0;
    }
}

TASK_TEST(bodies_arrive_as_they_are)
{
    static const size_t sizes[] = { 1, 1000, 16000, 17000, 60000 };
    uint16_t port;
    struct peer *peer = peer_start(echo_bodies, NULL, &port);
    static char body[60000];
    weir_response r;

    (void)arg;
    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = (char)('a' + i % 26);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        CHECK_INT(weir_fetch(url_of(port, "/"), &r, .body = weir_str_from(body, sizes[i]),
                             .body_type = "text/plain"),
                  0);
        CHECK(weir_str_eq(r.body, weir_str_from(body, sizes[i])));
    }
    CHECK_INT(peer_connections(peer), 1);
    peer_stop(peer);
    return 0;
}

TASK_TEST(the_context_and_the_deadline_go_along)
{
    static const weir_context context = {
        .correlation_id = { "id-42", 5 },
        .trace_id = { "0af7651916cd43dd8448eb211c80319c", 32 },
        .span_id = { "b7ad6b7169203331", 16 },
        .sampled = true,
    };
    uint16_t port;
    struct peer *peer = peer_start(echo_heads, NULL, &port);
    const char *head, *other, *at;
    unsigned long left;

    (void)arg;
    head = SENT(port);
    CHECK(!says(head, "X-Request") && !says(head, "Traceparent") && !says(head, "Weir-Deadline"));
    WEIR_SCOPE(s, .timeout_ms = 5000) {
        weir_scope_set_context(s, &context);
        head = SENT(port);
        other = SENT(port);
        CHECK(says(head, "\r\nX-Request-ID: id-42\r\n"));
        at = strstr(head, "\r\nTraceparent: 00-0af7651916cd43dd8448eb211c80319c-");
        CHECK(at && !strncmp(at + 51 + 16, "-01\r\n", 5) && !says(head, "b7ad6b7169203331"));
        CHECK(strncmp(at, strstr(other, "\r\nTraceparent"), 70) != 0); /* a span each */
        at = strstr(head, "\r\nWeir-Deadline-Ms: ");
        left = at ? strtoul(at + 20, NULL, 10) : 0;
        CHECK(left > 3000 && left <= 5000);
        head = SENT(port,
                    .headers = (weir_http_field[]){ { WEIR_S("x-request-id"), WEIR_S("mine") },
                                                    { WEIR_S("Weir-Deadline-Ms"), WEIR_S("7") },
                                                    { WEIR_S("User-Agent"), WEIR_S("me") },
                                                    { { 0 }, { 0 } } });
        CHECK(says(head, "x-request-id: mine\r\n") && !says(head, "id-42"));
        CHECK(says(head, "Weir-Deadline-Ms: 7\r\n") && !says(head, "User-Agent: weir"));
    }
    peer_stop(peer);
    return 0;
}

TASK_TEST(what_could_split_or_frame_a_request_is_refused)
{
    static const weir_http_field rows[] = {
        { { "A", 1 }, { "b\r\nC: d", 7 } },
        { { "A", 1 }, { "b\0c", 3 } },
        { { "A", 1 }, { "b\n", 2 } },
        { { "A b", 3 }, { "c", 1 } },
        { { "A:", 2 }, { "c", 1 } },
        { { "A\r\nB", 4 }, { "c", 1 } },
        { { "Host", 4 }, { "x", 1 } },
        { { "content-length", 14 }, { "5", 1 } },
        { { "Transfer-Encoding", 17 }, { "chunked", 7 } },
        { { "Connection", 10 }, { "close", 5 } },
        { { "Upgrade", 7 }, { "h2c", 3 } },
        { { "Expect", 6 }, { "100-continue", 12 } },
        { { "TE", 2 }, { "trailers", 8 } },
        { { "Trailer", 7 }, { "x", 1 } },
    };
    static const struct answer list[] = { { .text = "" } };
    SERVER(server, list);
    static char large[20000];
    weir_response r;

    (void)arg;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const weir_http_field fields[] = { rows[i], { { 0 }, { 0 } } };

        CHECK_INT(FETCH(server, "/", &r, .headers = fields), -EINVAL);
        check_said("GET http://");
    }
    memset(large, 'a', sizeof(large));
    CHECK_INT(
        FETCH(server, "/", &r,
              .headers = (weir_http_field[]){ { WEIR_S("A"), weir_str_from(large, sizeof(large)) },
                                              { { 0 }, { 0 } } }),
        WEIR_EHEADSIZE);
    CHECK_INT(FETCH(server, "/", &r, .method = "GET / HTTP/1.1\r\nX:"), -EINVAL);
    CHECK_INT(FETCH(server, "/", &r, .method = "CONNECT"), -EINVAL);
    CHECK_INT(FETCH(server, "/a b", &r), -EINVAL);
    CHECK_INT(FETCH(server, "/\r\nX: y", &r), -EINVAL);
    CHECK_INT(FETCH(server, "/", &r, .body = { NULL, 5 }), -ENOMEM);
    CHECK_INT(FETCH(server, "/", &r, .stream_bytes = 5), -EINVAL);
    weir_recover();
    CHECK_INT(peer_heads(server.peer), 0);
    server_stop(&server, 0);
    return 0;
}

/* ---- what it costs ------------------------------------------------------------------------ */

TASK_TEST(a_warm_call_does_not_touch_the_heap)
{
    static const struct answer list[] = {
        { .text = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello" }
    };
    SERVER(server, list);
    weir_str url = server_url(&server, "/users/7");
    struct fault fault;

    (void)arg;
    for (int round = 0; round < 2; round++) {
        fault_begin(&fault);
        for (int i = 0; i < 10; i++) {
            weir_response r;

            WEIR_SCOPE(s, .timeout_ms = 5000)
                CHECK_INT(weir_fetch(url, &r, .client = server.client), 0);
        }
        fault_end(&fault);
        if (round == 1)
            CHECK(atomic_load(&fault.seen) <= 3); /* the arena's chunks */
    }
    server_stop(&server, 1);
    return 0;
}

TASK_TEST(the_shared_client_goes_with_the_runtime)
{
    uint16_t port;
    struct peer *peer = peer_start(echo_heads, NULL, &port);
    weir_response r;
    weir_pool *pool;
    weir_pool_stats stats;

    (void)arg;
    CHECK_INT(weir_fetch(url_of(port, "/"), &r), 0);
    CHECK_INT(weir_client_pool(NULL, url_of(port, "/"), &pool), 0);
    weir_pool_read(pool, &stats);
    CHECK_INT(stats.idle, 1);
    peer_stop(peer);
    return 0;
}

static int count_hosts(void *arg)
{
    weir_client *client;
    weir_pool *pool;
    int rc = 0;

    (void)arg;
    CHECK_INT(weir_client_new(&client), 0);
    for (unsigned i = 0; i < 1024; i++)
        CHECK_INT(
            weir_client_pool(client, weir_format("http://127.0.%u.%u/", i / 250, i % 250), &pool),
            0);
    rc = weir_client_pool(client, WEIR_S("http://127.9.9.9/"), &pool);
    CHECK_INT(rc, WEIR_EFULL);
    CHECK_INT(weir_client_pool(client, WEIR_S("http://127.0.0.7/"), &pool), 0);
    weir_recover();
    weir_client_free(client);
    return 0;
}

static void hosts_are_bounded(void **state)
{
    (void)state;
    in_task(count_hosts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_get_sends_what_it_should_and_the_connection_is_kept),
        cmocka_unit_test(bodies_are_framed_by_their_length),
        cmocka_unit_test(bodies_arrive_as_they_are),
        cmocka_unit_test(the_context_and_the_deadline_go_along),
        cmocka_unit_test(what_could_split_or_frame_a_request_is_refused),
        cmocka_unit_test(a_warm_call_does_not_touch_the_heap),
        cmocka_unit_test(the_shared_client_goes_with_the_runtime),
        cmocka_unit_test(hosts_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
