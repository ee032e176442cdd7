/* The client's connections: kept, replaced, shared, waited for and given up. */
#include "support/client_run.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rt/rt.h"

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/* ---- connections that turn out dead --------------------------------------------------- */

struct replay {
    const char *method;
    struct answer second; /* to the second request, on the connection of the first */
    struct answer third;  /* to the third, if it comes */
    int rc, heads, connections;
};

static const struct replay replays[] = {
    { "GET", { .text = "", .after = THEN_CLOSE }, { .text = OK }, 0, 3, 2 },
    { "GET", { .text = "", .after = THEN_RESET }, { .text = OK }, 0, 3, 2 },
    { "PUT", { .text = "", .after = THEN_RESET }, { .text = OK }, 0, 3, 2 },
    { "DELETE", { .text = "", .after = THEN_CLOSE }, { .text = OK }, 0, 3, 2 },
    /* Not what may have been done already. */
    { "POST", { .text = "", .after = THEN_CLOSE }, { .text = OK }, WEIR_ETRUNCATED, 2, 1 },
    { "POST", { .text = "", .after = THEN_RESET }, { .text = OK }, -ECONNRESET, 2, 1 },
    { "PATCH", { .text = "", .after = THEN_CLOSE }, { .text = OK }, WEIR_ETRUNCATED, 2, 1 },
    { "BREW", { .text = "", .after = THEN_CLOSE }, { .text = OK }, WEIR_ETRUNCATED, 2, 1 },
    /* Not once an answer has begun. */
    { "GET", { .text = "H", .after = THEN_CLOSE }, { .text = OK }, WEIR_ETRUNCATED, 2, 1 },
    { "GET", { .text = "H", .after = THEN_RESET }, { .text = OK }, -ECONNRESET, 2, 1 },
    /* Not twice. */
    { "GET",
      { .text = "", .after = THEN_CLOSE },
      { .text = "", .after = THEN_CLOSE },
      WEIR_ETRUNCATED,
      3,
      2 },
};

TASK_TEST(a_dead_connection_is_replaced_once_where_that_is_safe)
{
    (void)arg;
    for (size_t i = 0; i < sizeof(replays) / sizeof(*replays); i++) {
        const struct replay *r = &replays[i];
        const struct answer list[] = { { .text = OK }, r->second, r->third };
        SERVER(server, list);
        weir_response response;

        CHECK_INT(FETCH(server, "/", &response), 0);
        CHECK_INT(FETCH(server, "/", &response, .method = r->method), r->rc);
        weir_recover();
        CHECK_INT(peer_heads(server.peer), r->heads);
        CHECK_INT(peer_connections(server.peer), r->connections);
        server_stop(&server, r->rc == 0);
    }
    return 0;
}

TASK_TEST(a_new_connection_that_fails_is_not_replaced)
{
    static const struct answer list[] = { { .text = "", .after = THEN_CLOSE }, { .text = OK } };
    SERVER(server, list);
    weir_response r;

    (void)arg;
    CHECK_INT(FETCH(server, "/", &r), WEIR_ETRUNCATED);
    weir_recover();
    CHECK_INT(peer_connections(server.peer), 1);
    server_stop(&server, 0);
    return 0;
}

static void answer_then_close(struct peer_conn *conn)
{
    if (peer_head(conn))
        peer_send(conn, OK);
}

static void answer_twice(struct peer_conn *conn)
{
    while (peer_head(conn)) {
        peer_send(conn, OK);
        if (conn->index == 0 && peer_wait_go(conn))
            peer_send(conn, OK); /* a second answer to one request */
        peer_note(conn);
    }
}

/* What the server does to an idle connection is seen before it is used: even a
 * POST goes out on a new one. */
static void idle_is_checked(peer_script *script)
{
    struct server server = { 0 };
    weir_response r;

    server.peer = peer_start(script, NULL, &server.port);
    CHECK_INT(weir_client_new(&server.client), 0);
    CHECK_INT(weir_client_pool(server.client, server_url(&server, "/"), &server.pool), 0);
    CHECK_INT(FETCH(server, "/", &r), 0);
    peer_go(server.peer);
    while (peer_notes(server.peer) == 0)
        CHECK_INT(weir_sleep_ms(1), 0);
    CHECK_INT(weir_sleep_ms(2), 0); /* the loop has seen it */
    CHECK_INT(FETCH(server, "/", &r, .method = "POST"), 0);
    CHECK_INT(peer_connections(server.peer), 2);
    CHECK_INT(peer_heads(server.peer), 2);
    weir_client_free(server.client);
    peer_stop(server.peer);
}

TASK_TEST(an_idle_connection_that_was_closed_or_spoke_is_not_used)
{
    (void)arg;
    idle_is_checked(answer_then_close);
    idle_is_checked(answer_twice);
    return 0;
}

/* ---- the cap ----------------------------------------------------------------------------- */

static int fetch_one(void *arg)
{
    struct server *server = arg;
    weir_response r;

    return FETCH(*server, "/", &r);
}

TASK_TEST(many_calls_share_few_connections)
{
    static const struct answer list[] = { { .text = OK } };
    SERVER(server, list, .max_connections = 3);
    weir_pool_stats stats;

    (void)arg;
    WEIR_SCOPE(s, .timeout_ms = 10000) {
        for (int i = 0; i < 100; i++)
            weir_go(s, fetch_one, &server, .needs = i % 2 ? weir_pool_permits(server.pool) : NULL);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK(peer_connections(server.peer) <= 3);
    CHECK_INT(peer_heads(server.peer), 100);
    weir_pool_read(server.pool, &stats);
    CHECK_INT(stats.acquired, 100);
    CHECK(stats.reused >= 97);
    server_stop(&server, peer_connections(server.peer));
    return 0;
}

TASK_TEST(who_waits_at_the_cap_waits_no_longer_than_its_deadline)
{
    static const struct answer list[] = { { .text = "", .after = THEN_HANG } };
    SERVER(server, list, .max_connections = 2, .max_waiting = 1);
    weir_response r;

    (void)arg;
    WEIR_SCOPE(s) {
        weir_go(s, fetch_one, &server, .optional = true);
        weir_go(s, fetch_one, &server, .optional = true);
        CHECK_INT(weir_sleep_ms(10), 0);
        WEIR_SCOPE(in, .timeout_ms = 30)
            CHECK_INT(FETCH(server, "/", &r), -ETIMEDOUT);
        check_said("2 of 2 held");
        weir_go(s, fetch_one, &server, .optional = true);
        CHECK_INT(weir_sleep_ms(1), 0);
        CHECK_INT(FETCH(server, "/", &r), WEIR_EFULL);
        check_said("waiting for a connection");
        weir_cancel(s);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(peer_connections(server.peer), 2);
    server_stop(&server, 0);
    return 0;
}

/* ---- deadlines ------------------------------------------------------------------------------ */

TASK_TEST(a_deadline_covers_the_whole_call)
{
    static const struct answer lists[][1] = {
        { { .text = "", .after = THEN_HANG } },
        { { .text = "HTTP/1.1 200", .after = THEN_HANG } },
        { { .text = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", .after = THEN_HANG } },
        { { .text = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", .after = THEN_HANG } },
        { { .text = "HTTP/1.1 200 OK\r\n\r\nhalf", .after = THEN_HANG } },
    };
    weir_response r;

    (void)arg;
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
        SERVER(server, lists[i]);
        WEIR_SCOPE(s, .timeout_ms = 200) {
            CHECK_INT(FETCH(server, "/", &r), -ETIMEDOUT);
            CHECK(weir_timed_out(s));
        }
        check_said(i < 2 ? "waiting for the answer" : "reading the answer's body");
        server_stop(&server, 0);
    }
    return 0;
}

/* Connects that fill a listener's queue, so that the next one hangs. */
struct full {
    int listener, fds[8], count;
    uint16_t port;
};

static void fill(struct full *full)
{
    struct sockaddr_in addr = { .sin_family = AF_INET };
    socklen_t len = sizeof(addr);

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    full->listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(full->listener, (struct sockaddr *)&addr, sizeof(addr)) == 0);
    CHECK(listen(full->listener, 0) == 0);
    CHECK(getsockname(full->listener, (struct sockaddr *)&addr, &len) == 0);
    full->port = ntohs(addr.sin_port);
    for (full->count = 0; full->count < 8; full->count++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

        full->fds[full->count] = fd;
        (void)!connect(fd, (struct sockaddr *)&addr, sizeof(addr));
    }
}

TASK_TEST(a_connection_that_hangs_is_given_up)
{
    weir_client *client;
    struct full full;
    weir_response r;
    weir_str url;

    (void)arg;
    fill(&full);
    url = weir_format("http://127.0.0.1:%u/", full.port);
    CHECK_INT(weir_client_new(&client, .connect_timeout_ms = 40), 0);
    CHECK_INT(weir_fetch(url, &r, .client = client), WEIR_EPEERTIMEOUT);
    check_said("within 40 ms");
    WEIR_SCOPE(s, .timeout_ms = 20)
        CHECK_INT(weir_fetch(url, &r, .client = client), -ETIMEDOUT);
    check_said("connecting to");
    weir_client_free(client);
    for (int i = 0; i < full.count; i++)
        close(full.fds[i]);
    close(full.listener);
    return 0;
}

/* ---- where there is nobody ---------------------------------------------------------------- */

TASK_TEST(what_can_not_be_reached_says_so)
{
    weir_response r;

    (void)arg;
    CHECK_INT(weir_fetch(weir_format("http://127.0.0.1:%u/x", peer_dead_port()), &r),
              -ECONNREFUSED);
    check_said("GET http://127.0.0.1:");
    CHECK_INT(weir_fetch(WEIR_S("http://no..name/7"), &r), -EINVAL);
    check_said("no..name");
    CHECK_INT(weir_fetch(weir_str_from(NULL, 0), &r), -ENOMEM);
    weir_recover();
    return 0;
}

/* ---- two loops ------------------------------------------------------------------------------ */

struct two {
    struct server *server;
    atomic_int running;
};

static int fetch_many(void *arg)
{
    struct two *two = arg;

    for (int i = 0; i < 200; i++) {
        weir_response r;

        CHECK_INT(FETCH(*two->server, "/", &r), 0);
        CHECK_STR(r.body, "ok");
    }
    atomic_fetch_sub(&two->running, 1);
    return 0;
}

static int two_loops(void *arg)
{
    static const struct answer list[] = { { .text = OK } };
    SERVER(server, list, .max_connections = 3);
    static struct two two;

    (void)arg;
    two.server = &server;
    atomic_store(&two.running, 8);
    for (uint32_t i = 0; i < 8; i++)
        CHECK_INT(weir_submit(i % 2, fetch_many, &two), 0);
    while (atomic_load(&two.running) > 0)
        CHECK_INT(weir_sleep_ms(1), 0);
    CHECK_INT(peer_heads(server.peer), 1600);
    weir_client_free(server.client);
    peer_stop(server.peer);
    return 0;
}

static void two_loops_share_a_client(void **state)
{
    (void)state;
    assert_int_equal(weir_run(two_loops, NULL, .loops = 2, .grace_ms = 500), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dead_connection_is_replaced_once_where_that_is_safe),
        cmocka_unit_test(a_new_connection_that_fails_is_not_replaced),
        cmocka_unit_test(an_idle_connection_that_was_closed_or_spoke_is_not_used),
        cmocka_unit_test(many_calls_share_few_connections),
        cmocka_unit_test(who_waits_at_the_cap_waits_no_longer_than_its_deadline),
        cmocka_unit_test(a_deadline_covers_the_whole_call),
        cmocka_unit_test(a_connection_that_hangs_is_given_up),
        cmocka_unit_test(what_can_not_be_reached_says_so),
        cmocka_unit_test(two_loops_share_a_client),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
