/* Peers that are too slow: in their heads, their bodies, their reading; idle ones;
 * handlers past their deadline. The limits are made small, so that each is seen
 * within a second; what must not happen before is bounded from below. */
#include "served.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

static int hello(weir_exchange *x)
{
    return weir_reply_text(x, 200, "Hello, World!");
}

static int whole(weir_exchange *x)
{
    weir_str body;
    int rc = weir_body_all(x, &body);

    return rc < 0 ? rc : weir_reply(x, 200, "text/plain", body);
}

/* Takes its time before it looks at the body, and while it does. */
static int slow_whole(weir_exchange *x)
{
    weir_str data;
    ssize_t n;
    int rc = weir_sleep_ms(400);

    while (rc == 0 && (n = weir_body_read(x, &data)) != 0)
        rc = n < 0 ? (int)n : weir_sleep_ms(100);
    return rc < 0 ? rc : weir_reply_text(x, 200, "read slowly");
}

static int flood(weir_exchange *x)
{
    int rc = weir_reply_begin(x, 200, "text/plain", WEIR_UNKNOWN_LENGTH);
    static char block[32768];

    while (rc == 0)
        rc = weir_write(x, weir_str_from(block, sizeof block));
    return rc;
}

static int sleeper(weir_exchange *x)
{
    int rc = weir_sleep_ms(3000);

    return rc < 0 ? rc : hello(x);
}

static int big(weir_exchange *x)
{
    static char block[8u << 20];

    return weir_reply(x, 200, "text/plain", weir_str_from(block, sizeof block));
}

static const struct served_route routes[] = {
    { .path = "/", .handler = hello },
    { .path = "/big", .handler = big, .timeout_ms = 100 },
    { .path = "/whole", .handler = whole },
    { .path = "/slow", .handler = slow_whole },
    { .path = "/streaming", .handler = whole, .streaming = true },
    { .path = "/flood", .handler = flood },
    { .path = "/sleeper", .handler = sleeper },
    { 0 }
};

/* ---- heads ------------------------------------------------------------------------- */

/* One byte every 40 ms must not extend the head's deadline. */
static int trickle(struct served *s, struct peer *peer, int64_t began)
{
    const char *head =
        "GET / HTTP/1.1\r\nHost: t\r\nX: 12345678901234567890123456789012345678901234"
        "567890123456789012345678901234567890123456789012345678901234567890";
    int64_t took;
    struct answer a;
    struct pollfd wait = { .fd = peer->fd, .events = POLLIN };

    for (size_t i = 0; head[i] && poll(&wait, 1, 40) == 0; i++)
        CHECK(s, peer_send(peer, head + i, 1) == 0);
    CHECK(s, peer_answer(peer, false, &a) == 0);
    CHECK(s, a.status == 408);
    took = test_now_ms() - began;
    CHECK(s, took >= 300 && took < 3500);
    peer_next(peer, &a);
    CHECK(s, peer_until_end(peer) == 0);
    return 0;
}

static int head_client(struct served *s)
{
    struct peer peer;
    struct answer a;
    int64_t began;

    /* The loop has slept for longer than a head may take. */
    poll(NULL, 0, 400);
    began = test_now_ms();
    CHECK(s, peer_open(s, &peer) == 0);
    if (trickle(s, &peer, began) < 0)
        return -1;
    peer_close(&peer);
    /* The same for a later request. */
    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer, "GET / HTTP/1.1\r\nHost: t\r\n\r\n") == 0);
    CHECK(s, peer_answer(&peer, false, &a) == 0 && a.status == 200);
    peer_next(&peer, &a);
    if (trickle(s, &peer, test_now_ms()) < 0)
        return -1;
    peer_close(&peer);
    /* One that says nothing at all is closed without a word. */
    began = test_now_ms();
    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_until_end(&peer) == 0 && peer.len == 0);
    CHECK(s, test_now_ms() - began >= 300);
    peer_close(&peer);
    return 0;
}

static void a_head_has_its_time_in_all(void **state)
{
    struct served s = { .routes = routes, .client = head_client, .opts = { .head_ms = 300 } };

    (void)state;
    served_run(&s);
    assert_int_equal(s.stats.answered[4], 2);
    served_done(&s);
}

static int idle_client(struct served *s)
{
    struct peer peer;
    struct answer a;
    int64_t began;

    CHECK(s, peer_open(s, &peer) == 0);
    for (int i = 0; i < 3; i++) {
        CHECK(s, peer_say(&peer, "GET / HTTP/1.1\r\nHost: t\r\n\r\n") == 0);
        CHECK(s, peer_answer(&peer, false, &a) == 0 && a.status == 200);
        peer_next(&peer, &a);
        poll(NULL, 0, 100);
    }
    began = test_now_ms();
    CHECK(s, peer_until_end(&peer) == 0 && peer.len == 0);
    CHECK(s, test_now_ms() - began >= 50 && test_now_ms() - began < 1000);
    peer_close(&peer);
    return 0;
}

static void an_idle_connection_is_closed(void **state)
{
    struct served s = { .routes = routes, .client = idle_client, .opts = { .idle_ms = 200 } };

    (void)state;
    served_run(&s);
    assert_int_equal(s.stats.answered[2], 3);
    served_done(&s);
}

/* ---- bodies -------------------------------------------------------------------------- */

/* 50 bytes every 20 ms where 10,000 a second are asked for. */
static int body_client(struct served *s)
{
    struct peer peer;
    struct answer a;
    int64_t began = test_now_ms(), took;
    struct pollfd wait;
    char piece[50];

    memset(piece, 'x', sizeof piece);
    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer, "POST /whole HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n") ==
                 0);
    wait = (struct pollfd){ .fd = peer.fd, .events = POLLIN };
    while (poll(&wait, 1, 20) == 0)
        CHECK(s, peer_send(&peer, piece, sizeof piece) == 0);
    CHECK(s, peer_answer(&peer, false, &a) == 0 && a.status == 408);
    took = test_now_ms() - began;
    CHECK(s, took >= 280 && took < 2000);
    CHECK(s, served_log_count(s, " 408 ") <= 1);
    peer_close(&peer);
    /* Where the route says so, nobody minds. */
    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer, "POST /streaming HTTP/1.1\r\nHost: t\r\nContent-Length: "
                             "1000\r\n\r\n") == 0);
    for (int i = 0; i < 20; i++) {
        poll(NULL, 0, 40);
        CHECK(s, peer_send(&peer, piece, sizeof piece) == 0);
    }
    CHECK(s, peer_answer(&peer, false, &a) == 0 && a.status == 200);
    peer_close(&peer);
    return 0;
}

static void a_body_must_make_progress(void **state)
{
    struct served s = { .routes = routes,
                        .client = body_client,
                        .opts = { .body_window_ms = 300, .body_rate_bytes = 10000 } };

    (void)state;
    served_run(&s);
    served_done(&s);
}

/* A handler that is slow to read is not the client's fault. */
static int slow_handler_client(struct served *s)
{
    static char body[60000];
    struct peer peer;
    struct answer a;

    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s,
          peer_say(&peer, "POST /slow HTTP/1.1\r\nHost: t\r\nContent-Length: 60000\r\n\r\n") == 0);
    CHECK(s, peer_send(&peer, body, sizeof body) == 0);
    CHECK(s, peer_answer(&peer, false, &a) == 0);
    CHECK(s, a.status == 200);
    peer_close(&peer);
    return 0;
}

static void a_slow_handler_is_not_the_clients_fault(void **state)
{
    struct served s = { .routes = routes,
                        .client = slow_handler_client,
                        .opts = { .body_window_ms = 200, .body_rate_bytes = 1000000 } };

    (void)state;
    served_run(&s);
    served_done(&s);
}

/* ---- readers ---------------------------------------------------------------------------- */

static bool nothing_left(struct served *s)
{
    struct http_server_stats stats;

    http_server_stats(s->server, &stats);
    return stats.connections == 0 && stats.in_flight == 0;
}

static bool one_in_flight(struct served *s)
{
    struct http_server_stats stats;

    http_server_stats(s->server, &stats);
    return stats.in_flight == 1;
}

static int stall_client(struct served *s)
{
    struct peer peer;
    int64_t began = test_now_ms();

    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer, "GET /flood HTTP/1.1\r\nHost: t\r\n\r\n") == 0);
    CHECK(s, served_await(s, one_in_flight));
    CHECK(s, served_await(s, nothing_left)); /* though we hold the connection */
    CHECK(s, test_now_ms() - began >= 250);
    peer_close(&peer);
    return 0;
}

static void a_client_that_reads_nothing_is_cut(void **state)
{
    struct served s = { .routes = routes,
                        .client = stall_client,
                        .opts = { .write_stall_ms = 250 } };

    (void)state;
    served_run(&s);
    assert_int_equal(s.stats.requests, 1);
    served_done(&s);
}

/* ---- handlers ----------------------------------------------------------------------------- */

static int deadline_client(struct served *s)
{
    struct peer peer;
    struct answer a;
    int64_t began = test_now_ms(), took;

    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer, "GET /sleeper HTTP/1.1\r\nHost: t\r\n\r\n") == 0);
    CHECK(s, peer_answer(&peer, false, &a) == 0 && a.status == 504);
    took = test_now_ms() - began;
    CHECK(s, took >= 100 && took < 1000);
    peer_next(&peer, &a);
    CHECK(s, served_log_count(s, "GET /sleeper 504") == 1);
    CHECK(s, peer_say(&peer, "GET / HTTP/1.1\r\nHost: t\r\n\r\n") == 0);
    CHECK(s, peer_answer(&peer, false, &a) == 0 && a.status == 200);
    peer_close(&peer);
    return 0;
}

static void a_deadline_for_all_handlers(void **state)
{
    struct served s = { .routes = routes, .client = deadline_client, .opts = { .total_ms = 100 } };

    (void)state;
    served_run(&s);
    served_done(&s);
}

/* In the middle of its answer: the client sees that it is cut short, the log why. */
static int deadline_in_answer_client(struct served *s)
{
    struct peer peer;

    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer, "GET /big HTTP/1.1\r\nHost: t\r\n\r\n") == 0);
    CHECK(s, served_await(s, one_in_flight));
    CHECK(s, served_await(s, nothing_left));
    CHECK(s, peer_until_end(&peer) == -ECONNRESET);
    CHECK(s, served_log_count(s, "ETIMEDOUT") == 1);
    CHECK(s, served_log_count(s, "ERROR GET /big 200") == 1);
    peer_close(&peer);
    return 0;
}

static void a_deadline_within_an_answer(void **state)
{
    struct served s = { .routes = routes, .client = deadline_in_answer_client };

    (void)state;
    served_run(&s);
    served_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_has_its_time_in_all),
        cmocka_unit_test(an_idle_connection_is_closed),
        cmocka_unit_test(a_body_must_make_progress),
        cmocka_unit_test(a_slow_handler_is_not_the_clients_fault),
        cmocka_unit_test(a_client_that_reads_nothing_is_cut),
        cmocka_unit_test(a_deadline_for_all_handlers),
        cmocka_unit_test(a_deadline_within_an_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
