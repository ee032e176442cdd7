/* Calls in pieces: bodies streamed both ways, and requests closed at any point. */
#include "support/client_run.h"

#include <errno.h>
#include <sys/socket.h>

#include "rt/rt.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define OPEN(server, path, ret, ...) \
    weir_request_open(server_url(&(server), path), ret, .client = (server).client, __VA_ARGS__)

static void check_body(weir_request *req, const char *wanted)
{
    size_t got = 0, len = strlen(wanted);
    weir_str data;
    ssize_t n;

    while ((n = weir_response_read(req, &data)) > 0) {
        CHECK(got + data.len <= len && memcmp(data.ptr, wanted + got, data.len) == 0);
        got += data.len;
    }
    CHECK_INT(n, 0);
    CHECK_INT(got, len);
    CHECK_INT(weir_response_read(req, &data), 0);
}

TASK_TEST(a_body_is_read_in_pieces_and_the_connection_kept)
{
    static const struct answer list[] = {
        { .text = OK
          "Transfer-Encoding: chunked\r\nX-A: b\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
          .piece = 3 },
        { .text = OK "Content-Length: 5\r\n\r\nhello" },
    };
    SERVER(server, list);
    weir_request *req;
    weir_response r;
    weir_str data;

    (void)arg;
    CHECK_INT(OPEN(server, "/", &req), 0);
    CHECK_INT(weir_response_read(req, &data), WEIR_EWRONGUSE);
    CHECK_INT(weir_response_head(req, &r), 0);
    CHECK_INT(r.status, 200);
    CHECK_INT(r.content_length, -1);
    CHECK_STR(weir_response_header(&r, "X-a"), "b");
    CHECK_INT(weir_response_head(req, &r), WEIR_EWRONGUSE);
    check_body(req, "hello world");
    weir_request_close(req);
    CHECK_INT(OPEN(server, "/", &req), 0);
    CHECK_INT(weir_response_head(req, &r), 0);
    check_body(req, "hello");
    weir_request_close(req);
    weir_recover();
    CHECK_INT(peer_connections(server.peer), 1);
    server_stop(&server, 1);
    return 0;
}

/* Takes a chunked or counted body, and answers with what came behind the head. */
static void echo_upload(struct peer_conn *conn)
{
    while (peer_head(conn)) {
        const char *length = strstr(conn->text, "Content-Length: ");
        char head[64], *body;
        size_t n;

        if (length) {
            if (!peer_body(conn, strtoul(length + 16, NULL, 10)))
                return;
        } else {
            while (!strstr(conn->text, "\r\n0\r\n\r\n"))
                if (!peer_body(conn, (size_t)(conn->text + conn->len -
                                              (strstr(conn->text, "\r\n\r\n") + 4)) +
                                         1))
                    return;
        }
        body = strstr(conn->text, "\r\n\r\n") + 4;
        n = (size_t)(conn->text + conn->len - body);
        snprintf(head, sizeof(head), OK "Content-Length: %zu\r\n\r\n", n);
        if (!peer_send(conn, head) || !peer_send_bytes(conn, body, n))
            return;
        conn->len = 0;
        conn->text[0] = 0;
    }
}

static void echo_server(struct server *server, peer_script *script)
{
    memset(server, 0, sizeof(*server));
    server->peer = peer_start(script, NULL, &server->port);
    CHECK_INT(weir_client_new(&server->client), 0);
    CHECK_INT(weir_client_pool(server->client, server_url(server, "/"), &server->pool), 0);
}

TASK_TEST(a_body_is_written_in_pieces)
{
    struct server server;
    weir_request *req;
    weir_response r;

    (void)arg;
    echo_server(&server, echo_upload);
    CHECK_INT(OPEN(server, "/", &req, .stream_bytes = WEIR_CHUNKED), 0);
    CHECK_INT(weir_request_write(req, WEIR_S("hello")), 0);
    CHECK_INT(weir_request_write(req, WEIR_S("")), 0);
    CHECK_INT(weir_request_write(req, weir_str_from(NULL, 0)), -ENOMEM);
    CHECK_INT(weir_request_write(req, WEIR_S(" more of that world")), 0);
    CHECK_INT(weir_request_end(req), 0);
    CHECK_INT(weir_request_end(req), 0);
    CHECK_INT(weir_request_write(req, WEIR_S("x")), -EINVAL);
    CHECK_INT(weir_response_head(req, &r), 0);
    check_body(req, "5\r\nhello\r\n13\r\n more of that world\r\n0\r\n\r\n");
    weir_request_close(req);

    CHECK_INT(OPEN(server, "/", &req, .method = "PUT", .stream_bytes = 10), 0);
    CHECK_INT(weir_request_write(req, WEIR_S("hello")), 0);
    CHECK_INT(weir_request_end(req), -EINVAL);
    CHECK_INT(weir_request_write(req, WEIR_S("too long")), -EINVAL);
    CHECK_INT(weir_request_write(req, WEIR_S("world")), 0);
    CHECK_INT(weir_request_end(req), 0);
    CHECK_INT(weir_response_head(req, &r), 0);
    check_body(req, "helloworld");
    weir_request_close(req);
    weir_recover();
    CHECK_INT(peer_connections(server.peer), 1);
    server_stop(&server, 1);
    return 0;
}

/* ---- closed early ------------------------------------------------------------------- */

TASK_TEST(a_small_rest_that_is_here_is_skipped_and_a_large_one_is_not)
{
    static const struct answer list[] = {
        { .text = OK "Content-Length: 5\r\n\r\nhello" },
        { .text = OK "Content-Length: 50\r\n\r\nhello", .after = THEN_HANG },
    };
    SERVER(server, list);
    weir_request *req;
    weir_response r;
    weir_pool_stats stats;

    (void)arg;
    CHECK_INT(OPEN(server, "/", &req), 0);
    CHECK_INT(weir_response_head(req, &r), 0);
    weir_request_close(req);
    weir_pool_read(server.pool, &stats);
    CHECK_INT(stats.idle, 1);
    CHECK_INT(OPEN(server, "/", &req), 0);
    CHECK_INT(weir_response_head(req, &r), 0);
    weir_request_close(req);
    CHECK_INT(peer_connections(server.peer), 1);
    server_stop(&server, 0);
    return 0;
}

TASK_TEST(a_request_closed_at_any_point_leaves_no_connection_behind)
{
    static const struct answer list[] = {
        { .text = OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", .after = THEN_HANG }
    };
    SERVER(server, list);
    weir_request *req;
    weir_response r;
    weir_str data;

    (void)arg;
    for (int steps = 0; steps < 4; steps++) {
        CHECK_INT(OPEN(server, "/", &req, .stream_bytes = steps == 1 ? WEIR_CHUNKED : 0), 0);
        if (steps == 1)
            CHECK_INT(weir_request_write(req, WEIR_S("x")), 0);
        if (steps > 1)
            CHECK_INT(weir_response_head(req, &r), 0);
        if (steps > 2)
            CHECK_INT(weir_response_read(req, &data), 5);
        weir_request_close(req);
    }
    weir_request_close(NULL);
    server_stop(&server, 0);
    return 0;
}

/* An answer before the request is complete is delivered; the connection is not
 * used again. */
static void answer_early(struct peer_conn *conn)
{
    if (peer_head(conn)) {
        peer_send(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
        shutdown(conn->fd, SHUT_WR);
        peer_wait_end(conn);
    }
}

TASK_TEST(an_early_answer_is_delivered)
{
    static char large[3000000];
    struct server server;
    weir_request *req;
    weir_response r;

    (void)arg;
    echo_server(&server, answer_early);
    CHECK_INT(OPEN(server, "/", &req, .stream_bytes = WEIR_CHUNKED), 0);
    CHECK_INT(weir_request_write(req, WEIR_S("some")), 0);
    CHECK_INT(weir_response_head(req, &r), 0);
    CHECK_INT(r.status, 413);
    check_body(req, "big");
    weir_request_close(req);
    CHECK_INT(FETCH(server, "/", &r, .body = { large, sizeof(large) }), 0);
    CHECK_INT(r.status, 413);
    CHECK_STR(r.body, "big");
    server_stop(&server, -1);
    return 0;
}

static void answer_and_reset(struct peer_conn *conn)
{
    if (peer_head(conn)) {
        peer_send(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
        peer_wait_go(conn);
        peer_reset(conn);
    }
}

static int go_soon(void *arg)
{
    int rc = weir_sleep_ms(20);

    peer_go(arg);
    return rc;
}

TASK_TEST(a_server_that_answers_and_resets_gives_its_answer_or_the_reset)
{
    static char large[30000000];
    struct server server;
    weir_response r;
    int rc;

    (void)arg;
    echo_server(&server, answer_and_reset);
    WEIR_SCOPE(s, .timeout_ms = 5000) {
        weir_go(s, go_soon, server.peer);
        rc = FETCH(server, "/", &r, .body = { large, sizeof(large) });
        CHECK((rc == 0 && r.status == 413) || rc == -ECONNRESET || rc == -EPIPE);
        CHECK_INT(weir_join(s), 0);
    }
    weir_recover();
    server_stop(&server, 0);
    return 0;
}

/* ---- both ways at once, as a proxy does -------------------------------------------------- */

static void mirror(struct peer_conn *conn)
{
    char data[4096];
    ssize_t n;

    if (!peer_head(conn) || !peer_send(conn, OK "Connection: close\r\n\r\n") ||
        !peer_send(conn, strstr(conn->text, "\r\n\r\n") + 4))
        return;
    while ((n = recv(conn->fd, data, sizeof(data), 0)) > 0)
        if (!peer_send_bytes(conn, data, (size_t)n) || memmem(data, (size_t)n, "!", 1))
            return;
}

struct proxied {
    weir_request *req;
    size_t got;
};

static int read_all(void *arg)
{
    struct proxied *p = arg;
    weir_response r;
    weir_str data;
    ssize_t n;
    int rc = weir_response_head(p->req, &r);

    if (rc < 0)
        return rc;
    while ((n = weir_response_read(p->req, &data)) > 0)
        p->got += data.len;
    return (int)n;
}

TASK_TEST(one_task_writes_while_another_reads)
{
    static char piece[10000];
    struct server server;
    struct proxied p = { 0 };

    (void)arg;
    echo_server(&server, mirror);
    memset(piece, 'p', sizeof(piece));
    CHECK_INT(OPEN(server, "/", &p.req, .stream_bytes = 2000001), 0);
    WEIR_SCOPE(s, .timeout_ms = 10000) {
        weir_go(s, read_all, &p);
        for (int i = 0; i < 200; i++)
            CHECK_INT(weir_request_write(p.req, weir_str_from(piece, sizeof(piece))), 0);
        CHECK_INT(weir_request_write(p.req, WEIR_S("!")), 0);
        CHECK_INT(weir_request_end(p.req), 0);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(p.got, 2000001);
    weir_request_close(p.req);
    server_stop(&server, 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_is_read_in_pieces_and_the_connection_kept),
        cmocka_unit_test(a_body_is_written_in_pieces),
        cmocka_unit_test(a_small_rest_that_is_here_is_skipped_and_a_large_one_is_not),
        cmocka_unit_test(a_request_closed_at_any_point_leaves_no_connection_behind),
        cmocka_unit_test(an_early_answer_is_delivered),
        cmocka_unit_test(a_server_that_answers_and_resets_gives_its_answer_or_the_reset),
        cmocka_unit_test(one_task_writes_while_another_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
