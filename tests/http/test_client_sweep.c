/* Calls cancelled at every wait, and with every allocation failing: nothing is
 * left, and the pool is whole. */
#include "support/client_run.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>

#include "base/budget.h"
#include "rt/rt.h"
#include "support/fault.h"
#include "support/sweep.h"

#define OK "HTTP/1.1 200 OK\r\n"

static char large[1000000];

static bool take_upload(struct peer_conn *conn)
{
    size_t got = conn->len - (size_t)(strstr(conn->text, "\r\n\r\n") + 4 - conn->text);
    char drop[4096];

    while (got < sizeof(large)) {
        size_t left = sizeof(large) - got;
        ssize_t n = recv(conn->fd, drop, left < sizeof(drop) ? left : sizeof(drop), 0);

        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    conn->len = 0;
    conn->text[0] = 0;
    return true;
}

/* In pieces, so that there is a wait in every part. */
static void slow_server(struct peer_conn *conn)
{
    static const char *const pieces[] = {
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 20",
        "0 OK\r\nTransfer-Enc",
        "oding: chunked\r\n\r\n",
        "5\r\nhel",
        "lo\r\n",
        "0\r\n",
        "\r\n",
    };

    while (peer_head(conn)) {
        if (strstr(conn->text, "Content-Length: 1000000")) {
            if (!take_upload(conn) || !peer_send(conn, OK "Content-Length: 0\r\n\r\n"))
                return;
            continue;
        }
        for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
            struct timespec pause = { .tv_nsec = 300000 };

            clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL); /* lint: allow(sleep): paces */
            if (!peer_send(conn, pieces[i]))
                return;
        }
    }
}

struct calls {
    weir_client *client;
    weir_str url;
    bool upload;
};

static int call(void *arg)
{
    struct calls *c = arg;
    weir_response r;
    int rc;

    if (c->upload)
        return weir_fetch(c->url, &r, .client = c->client, .body = { large, sizeof(large) });
    rc = weir_fetch(c->url, &r, .client = c->client);
    if (rc == 0)
        CHECK_STR(r.body, "hello");
    return rc;
}

/* One connection for three calls, so that some wait for it. */
static int scenario(void *arg)
{
    bool upload = arg != NULL;
    struct calls c = { .upload = upload };
    weir_pool_stats stats;
    weir_pool *pool;
    uint16_t port;
    struct peer *peer = peer_start(slow_server, NULL, &port);
    int rc = 1;

    c.url = weir_format("http://127.0.0.1:%u/", port);
    CHECK_INT(weir_client_new(&c.client, .max_connections = 1), 0);
    CHECK_INT(weir_client_pool(c.client, c.url, &pool), 0);
    WEIR_SCOPE(s) {
        sweep_at(s);
        weir_go(s, call, &c, .needs = weir_pool_permits(pool));
        weir_go(s, call, &c);
        weir_go(s, call, &c, .needs = weir_pool_permits(pool));
        rc = weir_join(s);
        sweep_over();
    }
    CHECK(rc == 0 || (rc == -ECANCELED && sweep_hit()));
    weir_recover();
    weir_pool_read(pool, &stats);
    CHECK_INT(stats.held, 0);
    c.upload = false;
    CHECK_INT(call(&c), 0); /* the permit is back */
    weir_client_free(c.client);
    peer_stop(peer);
    return 0;
}

static void a_cancel_at_every_wait_of_a_call(void **state)
{
    (void)state;
    assert_true(sweep_waits(scenario, NULL) >= 10);
}

static void a_cancel_at_every_wait_of_an_upload(void **state)
{
    (void)state;
    assert_true(sweep_waits(scenario, large) >= 5);
}

static int streamed(void *arg)
{
    weir_client *client;
    weir_pool_stats stats;
    weir_pool *pool;
    uint16_t port;
    struct peer *peer = peer_start(slow_server, NULL, &port);
    weir_str url = weir_format("http://127.0.0.1:%u/", port), data;
    weir_response r;
    int rc = 0;

    (void)arg;
    CHECK_INT(weir_client_new(&client), 0);
    CHECK_INT(weir_client_pool(client, url, &pool), 0);
    WEIR_SCOPE(s) {
        weir_request *req = NULL;

        sweep_at(s);
        rc = weir_request_open(url, &req, .client = client);
        if (rc == 0)
            rc = weir_response_head(req, &r);
        while (rc == 0 && (rc = (int)weir_response_read(req, &data)) > 0)
            rc = 0;
        sweep_over();
        weir_request_close(req);
    }
    CHECK(rc == 0 || (rc == -ECANCELED && sweep_hit()));
    weir_recover();
    weir_pool_read(pool, &stats);
    CHECK_INT(stats.held, 0);
    CHECK_INT(stats.idle, rc == 0);
    weir_client_free(client);
    peer_stop(peer);
    return 0;
}

static void a_cancel_at_every_wait_of_a_streamed_call(void **state)
{
    (void)state;
    /* On a busy machine pieces of the answer may be there before they are asked for. */
    assert_true(sweep_waits(streamed, NULL) >= 3);
}

/* ---- allocations ------------------------------------------------------------------- */

static uint16_t quick_port;

static int two_calls(void *arg)
{
    weir_client *client = NULL;
    weir_response r;
    weir_str url = weir_format("http://127.0.0.1:%u/", quick_port);
    int rc = url.ptr ? weir_client_new(&client) : -ENOMEM;

    (void)arg;
    if (rc == 0)
        rc = weir_fetch(url, &r, .client = client);
    if (rc == 0)
        rc = weir_fetch(url, &r, .client = client, .method = "POST");
    if (rc == 0)
        rc = weir_fetch(url, &r);
    weir_client_free(client);
    return rc;
}

/* With the nth allocation of the calls failing; those of the runtime before them
 * do not count. */
static int calls_with_fault(void *arg)
{
    int64_t nth = *(int64_t *)arg;
    struct fault fault;
    int rc;

    fault_begin(&fault);
    fault_set(&fault, nth, false);
    rc = two_calls(NULL);
    fault_end(&fault);
    CHECK(rc == 0 || fault.refused > 0);
    weir_recover();
    CHECK_INT(two_calls(NULL), 0);
    return fault.refused > 0;
}

static void every_allocation_may_fail(void **state)
{
    static const struct answer list[] = { { .text = OK "Content-Length: 2\r\n\r\nok" } };
    struct answers answers = { .list = list, .count = 1 };
    struct peer *peer = peer_start(answer_all, &answers, &quick_port);
    uint64_t used = budget_used();
    int64_t nth = 0;
    int more;

    (void)state;
    assert_non_null(peer);
    do {
        nth++;
        more = weir_run(calls_with_fault, &nth, .loops = 1, .grace_ms = 500, .block_threads = 1);
        assert_true(more >= 0);
        assert_true(budget_used() == used);
    } while (more);
    assert_true(nth > 10);
    peer_stop(peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cancel_at_every_wait_of_a_call),
        cmocka_unit_test(a_cancel_at_every_wait_of_an_upload),
        cmocka_unit_test(a_cancel_at_every_wait_of_a_streamed_call),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
