/* The server with each allocation failing in turn: whatever it answers then, it
 * ends, and leaves nothing behind. */
#include "served.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include "support/fault.h"

static int job(void *arg)
{
    (void)arg;
    return weir_yield();
}

static void nothing(void *arg)
{
    (void)arg;
}

static int all_sorts(weir_exchange *x)
{
    weir_str body;
    int rc = weir_body_all(x, &body);

    weir_defer(x, nothing, NULL);
    if (rc == 0)
        rc = weir_set_header(x, "X-One", WEIR_S("1"));
    if (rc == 0)
        rc = weir_after_reply(x, job, NULL);
    if (rc == 0)
        rc = weir_reply_begin(x, 200, "text/plain", WEIR_UNKNOWN_LENGTH);
    if (rc == 0)
        rc = weir_write(x, body);
    if (rc == 0)
        rc = weir_write(x, WEIR_S("."));
    return rc < 0 ? weir_wrap(rc, "all sorts of things") : weir_end(x);
}

static void handle(void *arg, weir_exchange *x, struct http_route *ret_route)
{
    (void)arg;
    (void)x;
    ret_route->handler = all_sorts;
    ret_route->name = "all sorts";
}

struct run {
    int port;
    bool answered;
};

/* A head in two pieces, a large one, and a chunked body; its end is the client's. */
static int client(void *arg)
{
    static char large[24000];
    struct run *run = arg;
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)run->port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const char *pieces[] = { "POST / HTTP/1.1\r\nHo",
                             "st: t\r\nTransfer-Encoding: chunked\r\nX: ",
                             large,
                             "\r\n\r\n1000\r\n",
                             large + 24000 - 4097,
                             "\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: t\r\nConnection: "
                             "close\r\n\r\n" };
    struct timeval limit = { .tv_sec = 10 };
    char in[4096];
    size_t got = 0;
    ssize_t n;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memset(large, 'l', sizeof large - 1);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&at, sizeof at) == 0) {
        for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
            if (send(fd, pieces[i], strlen(pieces[i]), MSG_NOSIGNAL) < 0)
                break;
        while ((n = recv(fd, in, sizeof in, 0)) > 0)
            got += (size_t)n;
    }
    close(fd);
    run->answered = got > 4300;
    return 0;
}

static int serve(void *arg)
{
    struct run *run = arg;
    struct addr addr;
    struct http_server_opts opts = {
        .addrs = &addr, .addr_count = 1, .handle = handle, .drain_idle_ms = 1, .drain_ms = 1000
    };
    struct http_server *server;
    int rc = addr_parse(WEIR_S("127.0.0.1:0"), &addr), end;

    if (rc == 0)
        rc = http_server_start(&opts, &server);
    if (rc < 0)
        return rc;
    run->port = addr_port(http_server_addr(server, 0));
    rc = weir_block(client, run);
    http_server_stop(server);
    end = http_server_wait(server);
    http_server_free(server);
    return rc < 0 ? rc : end < 0 ? end : run->answered ? 0 : -EIO;
}

static int scenario(void *arg)
{
    struct run run = { 0 };
    int rc;

    (void)arg;
    rc = weir_run(serve, &run, .loops = 1, .block_threads = 1);
    weir_recover();
    return rc;
}

static ssize_t swallow(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    (void)bytes;
    return (ssize_t)len;
}

static void each_allocation_fails_in_turn(void **state)
{
    (void)state;
    assert_int_equal(weir_log_open(.sink = swallow, .sync = true), 0);
    /* Metrics, and what a thread keeps for the log, are made once, and stay. */
    weir_warn("the first line");
    assert_int_equal(scenario(NULL), 0);
    assert_true(fault_sweep(scenario, NULL) > 20);
    weir_log_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_fails_in_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
