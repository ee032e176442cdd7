/* A scope of a handler that is cancelled at each of its waits in turn: in its
 * body, in a full chain, in a large write, in a flush. Whatever was given up, the
 * connection ends or goes on as it must, and nothing is left. */
#include "support/in_task.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir/log.h>

#include "http/server.h"
#include "rt/rt.h"
#include "support/sweep.h"

#define BIG_BYTES (1u << 20)

static char block[BIG_BYTES];

/* In pieces: copies until the chain is full, a reference, what is left. */
static int answer(weir_exchange *x)
{
    int rc = weir_reply_begin(x, 200, "text/plain", WEIR_UNKNOWN_LENGTH);

    for (int i = 0; rc == 0 && i < 300; i++)
        rc = weir_write(x, weir_str_from(block, 4096));
    if (rc == 0)
        rc = weir_write(x, weir_str_from(block, BIG_BYTES));
    if (rc == 0)
        rc = weir_flush(x);
    return rc;
}

static int swept(weir_exchange *x)
{
    weir_str body;
    int rc = -1;

    WEIR_SCOPE(s) {
        sweep_at(s);
        rc = weir_body_all(x, &body);
        if (rc == 0)
            CHECK_INT(body.len, 40000);
        if (rc == 0)
            rc = answer(x);
        sweep_over();
    }
    CHECK(rc == 0 || rc == -ECANCELED);
    CHECK(rc == 0 || sweep_hit());
    /* Its scope was cancelled, not the exchange: a body given up is still there. */
    if (rc == -ECANCELED && !weir_replied(x))
        return weir_reply_text(x, 202, "given up");
    return rc;
}

static void handle(void *arg, weir_exchange *x, struct http_route *ret_route)
{
    (void)arg;
    (void)x;
    ret_route->handler = swept;
    ret_route->gone = HTTP_GONE_FINISH;
}

/* Sends in pieces and reads slowly; takes whatever comes. */
static int client(void *arg)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)*(int *)arg),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval limit = { .tv_sec = 10 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 4096;
    static const char head[] = "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 40000\r\n"
                               "Connection: close\r\n\r\n";
    static char in[16384];
    ssize_t n;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (connect(fd, (struct sockaddr *)&at, sizeof at) == 0 &&
        send(fd, head, sizeof head - 1, MSG_NOSIGNAL) > 0) {
        for (size_t sent = 0; sent < 40000; sent += 8000) {
            sched_yield();
            if (send(fd, block, 8000, MSG_NOSIGNAL) < 0)
                break;
        }
        do
            n = recv(fd, in, sizeof in, 0);
        while (n > 0);
        CHECK(n == 0 || errno == ECONNRESET);
    }
    close(fd);
    return 0;
}

static int scenario(void *arg)
{
    struct addr addr;
    struct http_server_opts opts = {
        .addrs = &addr, .addr_count = 1, .handle = handle, .drain_idle_ms = 1
    };
    struct http_server *server;
    int port;

    (void)arg;
    CHECK_INT(addr_parse(WEIR_S("127.0.0.1:0"), &addr), 0);
    CHECK_INT(http_server_start(&opts, &server), 0);
    port = addr_port(http_server_addr(server, 0));
    CHECK_INT(weir_block(client, &port), 0);
    http_server_stop(server);
    CHECK_INT(http_server_wait(server), 0);
    http_server_free(server);
    return 0;
}

static ssize_t swallow(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    (void)bytes;
    return (ssize_t)len;
}

static void a_cancel_at_every_wait(void **state)
{
    (void)state;
    assert_int_equal(weir_log_open(.sink = swallow, .sync = true), 0);
    /* Metrics, and what a thread keeps for the log, are made once, and stay. */
    weir_warn("the first line");
    assert_int_equal(weir_run(scenario, NULL, .loops = 1), 0);
    assert_true(sweep_waits(scenario, NULL) > 5);
    weir_log_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cancel_at_every_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
