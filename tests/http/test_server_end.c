/* Ends: of malformed requests, of clients that go away, of the server under load,
 * and at the door, when there is no room for more. */
#include "base/budget.h"
#include "served.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: t\r\n\r\n"

static int hello(weir_exchange *x)
{
    return weir_reply_text(x, 200, "Hello, World!");
}

/* ---- bad heads --------------------------------------------------------------------------- */

static const struct {
    const char *request;
    int status;
    const char *log;
} bad_heads[] = {
    { "GET / HTTP/1.1\r\nHost : t\r\n\r\n", 400, "RFC 9112, section 5.1" },
    { "GET / HTTP/1.1\r\nHost: t\r\nHost: t\r\n\r\n", 400, "RFC 9112, section 3.2" },
    { "GET / HTTP/1.1\r\n\r\n", 400, "RFC 9112, section 3.2" },
    { "GET / HTTP/1.1\nHost: t\n\n", 400, "RFC 9112" },
    { "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: +5\r\n\r\nhello", 400, "RFC 911" },
    { "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nTransfer-Encoding: "
      "chunked\r\n\r\n0\r\n\r\n",
      400, "RFC 9112, section 6" },
    { "GET / HTTP/2.0\r\nHost: t\r\n\r\n", 505, "RFC 911" },
    { "GET / HTTP/1.1\r\nHost: t\r\n folded\r\n\r\n", 400, "RFC 9112, section 5.2" },
};

static int one_bad_head(struct served *s, size_t i)
{
    struct peer peer;
    struct answer a;
    char value[256];
    unsigned before = served_log_count(s, "bad request from 127.0.0.1:");

    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer, bad_heads[i].request) == 0);
    /* What a client sends after that must not destroy the answer. */
    CHECK(s, peer_say(&peer, GET("/")) == 0);
    CHECK(s, peer_answer(&peer, false, &a) == 0);
    if (a.status != bad_heads[i].status)
        print_message("%s -> %d\n", bad_heads[i].request, a.status);
    CHECK(s, a.status == bad_heads[i].status);
    CHECK(s, answer_field(&a, "Connection", value) && strcmp(value, "close") == 0);
    peer_next(&peer, &a);
    CHECK(s, peer_until_end(&peer) == 0 && peer.len == 0);
    CHECK(s, served_log_count(s, "bad request from 127.0.0.1:") == before + 1);
    CHECK(s, served_log_count(s, bad_heads[i].log) >= 1);
    peer_close(&peer);
    return 0;
}

/* Heads over their limits; the rest is sent all the same. */
static int one_large_head(struct served *s, const char *start, size_t fill, int status)
{
    struct strbuf all = STRBUF_INIT;
    struct peer peer;
    struct answer a;

    strbuf_add_c(&all, start);
    for (size_t i = 0; i < fill; i++)
        strbuf_add_char(&all, 'x');
    strbuf_add_c(&all, status == 414 ? " HTTP/1.1\r\nHost: t\r\n\r\n" : "\r\n\r\n");
    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_send(&peer, all.ptr, all.len) == 0);
    CHECK(s, peer_answer(&peer, false, &a) == 0);
    CHECK(s, a.status == status);
    peer_next(&peer, &a);
    shutdown(peer.fd, SHUT_WR);
    CHECK(s, peer_until_end(&peer) == 0);
    peer_close(&peer);
    strbuf_done(&all);
    return 0;
}

static int many_fields(struct served *s)
{
    struct strbuf all = STRBUF_INIT;
    struct peer peer;
    struct answer a;

    strbuf_add_c(&all, "GET / HTTP/1.1\r\nHost: t\r\n");
    for (size_t i = 0; i < 100; i++)
        strbuf_addf(&all, "X-%zu: 1\r\n", i);
    strbuf_add_c(&all, "\r\n");
    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_send(&peer, all.ptr, all.len) == 0);
    CHECK(s, peer_answer(&peer, false, &a) == 0 && a.status == 431);
    peer_close(&peer);
    strbuf_done(&all);
    return 0;
}

static int bad_heads_client(struct served *s)
{
    for (size_t i = 0; i < sizeof bad_heads / sizeof *bad_heads; i++)
        if (one_bad_head(s, i) < 0)
            return -1;
    if (one_large_head(s, "GET /", 9000, 414) < 0 ||
        one_large_head(s, "GET / HTTP/1.1\r\nHost: t\r\nX: ", 40000, 431) < 0 || many_fields(s) < 0)
        return -1;
    return 0;
}

static void bad_heads_are_answered_and_closed(void **state)
{
    static const struct served_route routes[] = { { .path = "/", .handler = hello }, { 0 } };
    struct served s = { .routes = routes, .client = bad_heads_client };

    (void)state;
    served_run(&s);
    assert_int_equal(s.stats.requests, 0);
    assert_int_equal(s.stats.bad_heads, sizeof bad_heads / sizeof *bad_heads + 3);
    served_done(&s);
}

/* A client that goes on sending after a refusal is read for a while, then cut. */
static int endless_client(struct served *s)
{
    static char block[16384];
    struct peer peer;
    size_t sent = 0;

    memset(block, 'x', sizeof block);
    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer, "BAD\r\n\r\n") == 0);
    while (sent < (64u << 20) && peer_send(&peer, block, sizeof block) == 0)
        sent += sizeof block;
    CHECK(s, sent < (64u << 20));
    peer_close(&peer);
    return 0;
}

static void lingering_is_bounded(void **state)
{
    struct served s = { .client = endless_client };

    (void)state;
    served_run(&s);
    assert_true(s.stats.bytes_in < 400000);
    served_done(&s);
}

/* ---- clients that go away ------------------------------------------------------------------- */

struct gone {
    _Atomic int begun, cancelled, finished, reason;
};

static struct gone gone;

static int waits(weir_exchange *x)
{
    int rc;

    (void)x;
    gone.begun++;
    rc = weir_sleep_ms(5000);
    gone.reason = (int)weir_cancel_reason(NULL);
    if (rc == -ECANCELED)
        gone.cancelled++;
    return rc;
}

static int goes_on(weir_exchange *x)
{
    gone.begun++;
    for (int i = 0; i < 10 && !weir_client_gone(x); i++)
        if (weir_sleep_ms(20) < 0)
            return -1;
    if (weir_sleep_ms(20) < 0 || !weir_client_gone(x))
        return -1;
    gone.finished++;
    WEIR_IGNORE(hello(x), "there may be nobody to answer");
    return 0;
}

/* Writes until it is told. */
static int streams(weir_exchange *x)
{
    int rc = weir_reply_begin(x, 200, "text/plain", WEIR_UNKNOWN_LENGTH);

    gone.begun++;
    while (rc == 0) {
        rc = weir_write(x, WEIR_S("tick\n"));
        if (rc == 0)
            rc = weir_sleep_ms(10);
    }
    gone.cancelled++;
    return rc;
}

static const struct served_route gone_routes[] = {
    { .path = "/", .handler = hello },
    { .path = "/waits", .handler = waits },
    { .path = "/goes-on", .handler = goes_on, .gone = HTTP_GONE_FINISH },
    { .path = "/streams", .handler = streams },
    { 0 }
};

static bool has_begun(struct served *s)
{
    (void)s;
    return gone.begun == 1;
}

static bool was_cancelled(struct served *s)
{
    (void)s;
    return gone.cancelled == 1;
}

static bool has_finished(struct served *s)
{
    (void)s;
    return gone.finished == 1;
}

static int go_away(struct served *s, const char *request, int how, bool (*told)(struct served *s))
{
    struct peer peer;

    gone = (struct gone){ 0 };
    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer, request) == 0);
    CHECK(s, served_await(s, has_begun));
    if (how == 0)
        peer_reset(&peer);
    else if (how == 1)
        peer_close(&peer);
    else
        shutdown(peer.fd, SHUT_WR);
    CHECK(s, served_await(s, told));
    if (how == 2)
        peer_close(&peer);
    return 0;
}

static int gone_client(struct served *s)
{
    for (int how = 0; how < 3; how++) {
        if (go_away(s, GET("/waits"), how, was_cancelled) < 0)
            return -1;
        CHECK(s, gone.reason == WEIR_REASON_GONE);
        if (go_away(s, GET("/goes-on"), how, has_finished) < 0 ||
            go_away(s, GET("/streams"), how, was_cancelled) < 0)
            return -1;
    }
    /* With another request waiting behind the one that is served. */
    return go_away(s, GET("/waits") GET("/") GET("/"), 0, was_cancelled);
}

static void a_disconnect_is_seen(void **state)
{
    struct served s = { .routes = gone_routes, .client = gone_client };

    (void)state;
    served_run(&s);
    assert_int_equal(s.stats.answered[5], 0);
    assert_int_equal(served_log_count(&s, "ERROR"), 0);
    served_done(&s);
}

/* ---- drain -------------------------------------------------------------------------------------- */

static int brief(weir_exchange *x)
{
    int rc = weir_sleep_ms(5);

    return rc < 0 ? rc : hello(x);
}

static int long_one(weir_exchange *x)
{
    int rc = weir_sleep_ms(10000);

    return rc < 0 ? rc : hello(x);
}

static const struct served_route drain_routes[] = { { .path = "/", .handler = hello },
                                                    { .path = "/brief", .handler = brief },
                                                    { .path = "/long", .handler = long_one },
                                                    { 0 } };

struct load {
    struct served *s;
    atomic_int answered, lost;
};

/* Requests one after the other until the server says that it ends. Every request
 * that was sent on a connection that the server had not announced the end of must
 * be answered. */
static void *load_thread(void *arg)
{
    struct load *load = arg;
    struct peer peer;
    struct answer a;
    char value[256];

    if (peer_open(load->s, &peer) < 0)
        return NULL;
    for (;;) {
        if (peer_say(&peer, GET("/brief")) < 0 || peer_answer(&peer, false, &a) < 0 ||
            a.status != 200 || !a.complete) {
            atomic_fetch_add(&load->lost, 1);
            break;
        }
        atomic_fetch_add(&load->answered, 1);
        if (answer_field(&a, "Connection", value))
            break;
        peer_next(&peer, &a);
    }
    peer_close(&peer);
    return NULL;
}

#define LOADERS 24

static int drain_client(struct served *s)
{
    struct load load = { .s = s };
    pthread_t threads[LOADERS];
    struct peer idle;
    int64_t until = test_now_ms() + 5000;

    CHECK(s, peer_open(s, &idle) == 0);
    for (size_t i = 0; i < LOADERS; i++)
        pthread_create(&threads[i], NULL, load_thread, &load);
    while (load.answered < 500 && test_now_ms() < until)
        poll(NULL, 0, 1);
    rt_stop_all();
    for (size_t i = 0; i < LOADERS; i++)
        pthread_join(threads[i], NULL);
    CHECK(s, load.answered >= 500);
    CHECK(s, load.lost == 0);
    CHECK(s, peer_until_end(&idle) == 0);
    peer_close(&idle);
    s->data = (void *)(intptr_t)load.answered;
    return 0;
}

static void drain(struct served *s)
{
    s->routes = drain_routes;
    s->client = drain_client;
    s->opts.drain_idle_ms = 300;
    served_run(s);
    assert_int_equal(s->end_rc, 0);
    assert_int_equal(s->stats.answered[2], (intptr_t)s->data);
    served_done(s);
}

static void a_drain_loses_nothing(void **state)
{
    struct served one = { .loops = 1 }, three = { .loops = 3 };

    (void)state;
    drain(&one);
    drain(&three);
}

static bool in_flight(struct served *s)
{
    struct http_server_stats stats;

    http_server_stats(s->server, &stats);
    return stats.in_flight == 1;
}

static int long_client(struct served *s)
{
    struct peer peer;
    struct answer a;
    int64_t began;

    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer, GET("/long")) == 0);
    CHECK(s, served_await(s, in_flight));
    began = test_now_ms();
    rt_stop_all();
    CHECK(s, peer_answer(&peer, false, &a) == 0);
    CHECK(s, a.status == 503);
    CHECK(s, test_now_ms() - began >= 190 && test_now_ms() - began < 3000);
    peer_next(&peer, &a);
    CHECK(s, peer_until_end(&peer) == 0);
    peer_close(&peer);
    return 0;
}

static void a_drain_has_an_end(void **state)
{
    struct served s = {
        .routes = drain_routes, .client = long_client, .loops = 2, .opts = { .drain_ms = 200 }
    };

    (void)state;
    served_run(&s);
    assert_int_equal(s.end_rc, -ETIMEDOUT);
    served_done(&s);
}

/* ---- the door ---------------------------------------------------------------------------------------- */

#define CROWD 40

static int emfile_client(struct served *s)
{
    struct peer peers[CROWD];
    struct answer a;
    struct http_server_stats stats;
    struct rlimit limit, before;
    int first = open("/dev/null", O_RDONLY);

    /* Our own sockets come first, then the server finds no descriptor left. */
    getrlimit(RLIMIT_NOFILE, &before);
    for (size_t i = 0; i < CROWD; i++)
        peers[i] = (struct peer){ .fd = -1 };
    limit = before;
    CHECK(s, peer_open(s, &peers[0]) == 0);
    CHECK(s, peer_say(&peers[0], GET("/")) == 0);
    CHECK(s, peer_answer(&peers[0], false, &a) == 0 && a.status == 200);
    peer_next(&peers[0], &a);
    limit.rlim_cur = (rlim_t)first + 24;
    CHECK(s, setrlimit(RLIMIT_NOFILE, &limit) == 0);
    for (size_t i = 1; i < CROWD; i++)
        if (peer_open(s, &peers[i]) < 0)
            break;
    poll(NULL, 0, 200);
    http_server_stats(s->server, &stats);
    CHECK(s, stats.backoffs >= 2 && stats.backoffs < 40); /* it waits, it does not spin */
    CHECK(s, served_log_count(s, "raise the limit of open files") == 1);
    /* Whoever is in is served; and so are the others once there is room. */
    CHECK(s, peer_say(&peers[0], GET("/")) == 0);
    CHECK(s, peer_answer(&peers[0], false, &a) == 0 && a.status == 200);
    setrlimit(RLIMIT_NOFILE, &before);
    for (size_t i = 1; i < CROWD && peers[i].fd >= 0; i++) {
        CHECK(s, peer_say(&peers[i], GET("/")) == 0);
        CHECK(s, peer_answer(&peers[i], false, &a) == 0 && a.status == 200);
    }
    for (size_t i = 0; i < CROWD; i++)
        if (peers[i].in)
            peer_close(&peers[i]);
    close(first);
    return 0;
}

static void without_descriptors_it_waits(void **state)
{
    struct served s = { .routes = gone_routes, .client = emfile_client };

    (void)state;
    served_run(&s);
    assert_true(s.stats.backoffs >= 2);
    served_done(&s);
}

static int crowd_client(struct served *s)
{
    struct peer peers[6];
    struct answer a;

    for (size_t i = 0; i < 4; i++) {
        CHECK(s, peer_open(s, &peers[i]) == 0);
        CHECK(s, peer_say(&peers[i], GET("/")) == 0);
        CHECK(s, peer_answer(&peers[i], false, &a) == 0 && a.status == 200);
        peer_next(&peers[i], &a);
    }
    for (size_t i = 4; i < 6; i++) {
        CHECK(s, peer_open(s, &peers[i]) == 0);
        CHECK(s, peer_until_end(&peers[i]) == 0 && peers[i].len == 0);
    }
    for (size_t i = 0; i < 6; i++)
        peer_close(&peers[i]);
    return 0;
}

static void no_more_connections_than_may_be(void **state)
{
    struct served s = { .routes = gone_routes,
                        .client = crowd_client,
                        .opts = { .connections_max = 4 } };

    (void)state;
    served_run(&s);
    assert_int_equal(s.stats.accepted, 4);
    assert_int_equal(s.stats.refused_limit, 2);
    assert_int_equal(served_log_count(&s, "are refused"), 1);
    served_done(&s);
}

static int holds_memory(weir_exchange *x)
{
    /* A megabyte is left for its answer: less than what is kept from new connections. */
    while (budget_limit() - budget_used() > 1u << 20 && weir_alloc(64u << 10))
        ;
    gone.begun++;
    while (!gone.finished)
        if (weir_sleep_ms(2) < 0)
            return -1;
    return hello(x);
}

static int budget_client(struct served *s)
{
    struct peer holder, refused;
    struct answer a;

    gone = (struct gone){ 0 };
    CHECK(s, peer_open(s, &holder) == 0);
    CHECK(s, peer_say(&holder, GET("/hold")) == 0);
    CHECK(s, served_await(s, has_begun));
    CHECK(s, peer_open(s, &refused) == 0);
    CHECK(s, peer_until_end(&refused) == 0 && refused.len == 0);
    peer_close(&refused);
    gone.finished = 1;
    CHECK(s, peer_answer(&holder, false, &a) == 0 && a.status == 200);
    peer_close(&holder);
    CHECK(s, get_status(s, "/") == 200);
    return 0;
}

static void connections_are_refused_before_the_byte_budget_is_passed(void **state)
{
    static const struct served_route routes[] = { { .path = "/", .handler = hello },
                                                  { .path = "/hold", .handler = holds_memory },
                                                  { 0 } };
    struct served s = { .routes = routes, .client = budget_client, .byte_budget = 32u << 20 };

    (void)state;
    served_run(&s);
    assert_int_equal(s.stats.refused_budget, 1);
    assert_int_equal(served_log_count(&s, "byte budget"), 1);
    served_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_heads_are_answered_and_closed),
        cmocka_unit_test(lingering_is_bounded),
        cmocka_unit_test(a_disconnect_is_seen),
        cmocka_unit_test(a_drain_loses_nothing),
        cmocka_unit_test(a_drain_has_an_end),
        cmocka_unit_test(no_more_connections_than_may_be),
        cmocka_unit_test(connections_are_refused_before_the_byte_budget_is_passed),
        cmocka_unit_test(without_descriptors_it_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
