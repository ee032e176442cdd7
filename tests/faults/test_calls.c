/* A server and its client, and a stream to itself, with each system call of each kind
 * failing in turn, once and for ever, with errors that the call can have: whatever comes
 * of it, the run ends in time, with a code, and leaves no memory and no descriptor.
 *
 * With the argument "io_uring" on that backend. With "full" as the last every call
 * fails; else each of the first few, and then fewer and fewer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <weir/weir.h>

#include "faults/call_sweep.h"
#include "http/server.h"

static bool full;

/* ---- what is run ------------------------------------------------------------------- */

/* Larger than what is copied: sent from two places at once. */
static char greeting[8192 + 1];

static int hello(weir_exchange *x)
{
    return weir_reply_text(x, 200, greeting);
}

static void handle(void *arg, weir_exchange *x, struct http_route *ret_route)
{
    (void)arg;
    (void)x;
    ret_route->handler = hello;
    ret_route->name = "hello";
}

static int fetch(uint16_t port)
{
    int rc = -ETIMEDOUT;

    WEIR_SCOPE(s, .timeout_ms = 500) {
        weir_response r;

        rc = weir_fetch(weir_format("http://127.0.0.1:%u/", port), &r);
        if (rc == 0 && !weir_str_eq(r.body, weir_str_c(greeting)))
            rc = -EBADMSG;
    }
    return rc;
}

static int serve_and_fetch(void)
{
    struct addr addr;
    struct http_server_opts opts = {
        .addrs = &addr, .addr_count = 1, .handle = handle, .drain_idle_ms = 1, .drain_ms = 500
    };
    struct http_server *server;
    int rc = addr_parse(WEIR_S("127.0.0.1:0"), &addr), end;

    if (rc == 0)
        rc = http_server_start(&opts, &server);
    if (rc < 0)
        return rc;
    rc = fetch(addr_port(http_server_addr(server, 0)));
    http_server_stop(server);
    end = http_server_wait(server);
    http_server_free(server);
    return rc < 0 ? rc : end;
}

static int answer(void *arg)
{
    weir_stream *s;
    weir_str data;
    ssize_t n = weir_accept(arg, &s);

    if (n < 0)
        return (int)n;
    n = weir_stream_read(s, &data);
    if (n > 0)
        n = weir_stream_write(s, data);
    weir_stream_close(s);
    return n < 0 ? (int)n : 0;
}

static int echo(void)
{
    char address[64];
    weir_listener *listener;
    int rc;

    snprintf(address, sizeof(address), "unix:@weir-faults-%d", (int)getpid());
    rc = weir_listen(address, &listener);
    if (rc < 0)
        return rc;
    WEIR_SCOPE(s, .timeout_ms = 500) {
        weir_stream *stream = NULL;
        weir_str data;
        ssize_t n;
        int joined;

        weir_go(s, answer, listener);
        n = weir_stream_connect(address, &stream);
        if (n == 0)
            n = weir_stream_write(stream, WEIR_S("ping"));
        if (n > 0)
            n = weir_stream_shutdown(stream);
        if (n == 0)
            n = weir_stream_read(stream, &data);
        weir_stream_close(stream);
        joined = weir_join(s);
        rc = n < 0 ? (int)n : joined < 0 ? joined : n == 4 ? 0 : -EIO;
    }
    weir_listener_close(listener);
    return rc;
}

static int everything(void *arg)
{
    int rc = echo();

    (void)arg;
    weir_recover();
    if (rc == 0)
        rc = serve_and_fetch();
    return rc;
}

/* ---- the faults ---------------------------------------------------------------------- */

static const struct call_fault faults[] = {
    CALL_FAILS(ACCEPT4, EMFILE),
    CALL_FAILS(ACCEPT4, ECONNABORTED),
    CALL_FAILS(BIND, EADDRINUSE),
    CALL_FAILS(CONNECT, ECONNREFUSED),
    CALL_FAILS(CONNECT, ENETUNREACH),
    CALL_FAILS(EPOLL_CREATE1, EMFILE),
    CALL_FAILS(EPOLL_CTL, ENOMEM),
    CALL_FAILS(EPOLL_CTL, ENOSPC),
    CALL_FAILS(EPOLL_WAIT, EINTR, .once_only = true),
    CALL_FAILS(EVENTFD, EMFILE),
    CALL_FAILS(GETSOCKNAME, ENOBUFS),
    CALL_FAILS(GETSOCKOPT, ENOBUFS),
    CALL_FAILS(LISTEN, EADDRINUSE),
    CALL_FAILS(MADVISE, ENOMEM),
    CALL_FAILS(MMAP, ENOMEM),
    CALL_FAILS(MPROTECT, ENOMEM, .may_be_none = true), /* newer kernels guard otherwise */
    CALL_FAILS(RECV, ECONNRESET),
    CALL_FAILS(RECV, EINTR, .once_only = true),
    CALL_FAILS(SEND, EPIPE),
    CALL_FAILS(SEND, EINTR, .once_only = true),
    CALL_FAILS(SENDMSG, EPIPE),
    CALL_FAILS(SENDMSG, ENOBUFS),
    CALL_FAILS(SETSOCKOPT, ENOPROTOOPT),
    CALL_FAILS(SHUTDOWN, ENOTCONN),
    CALL_FAILS(SOCKET, EMFILE),
    CALL_FAILS(SOCKET, ENFILE),
};

/* Of the ring's calls; the others are the same. */
static const struct call_fault ring_faults[] = {
    CALL_FAILS(BIND, EADDRINUSE),
    CALL_FAILS(EVENTFD, EMFILE),
    CALL_FAILS(GETSOCKNAME, ENOBUFS),
    CALL_FAILS(IO_URING_QUEUE_INIT_PARAMS, ENOMEM),
    CALL_FAILS(IO_URING_QUEUE_INIT_PARAMS, EPERM),
    CALL_FAILS(IO_URING_QUEUE_INIT_PARAMS, ENOSYS),
    CALL_FAILS(IO_URING_REGISTER_BUF_RING, ENOMEM),
    CALL_FAILS(IO_URING_SUBMIT, EBUSY, .once_only = true, .may_be_none = true),
    CALL_FAILS(IO_URING_SUBMIT, EINTR, .once_only = true, .may_be_none = true),
    CALL_FAILS(IO_URING_SUBMIT_AND_GET_EVENTS, EBUSY, .once_only = true, .may_be_none = true),
    CALL_FAILS(IO_URING_SUBMIT_AND_GET_EVENTS, EINTR, .once_only = true, .may_be_none = true),
    CALL_FAILS(IO_URING_SUBMIT_AND_WAIT_TIMEOUT, EBUSY, .once_only = true),
    CALL_FAILS(IO_URING_SUBMIT_AND_WAIT_TIMEOUT, EINTR, .once_only = true),
    CALL_FAILS(LISTEN, EADDRINUSE),
    CALL_FAILS(MADVISE, ENOMEM),
    CALL_FAILS(MMAP, ENOMEM),
    CALL_FAILS(MPROTECT, ENOMEM, .may_be_none = true),
    CALL_FAILS(SETSOCKOPT, ENOPROTOOPT),
    CALL_FAILS(SOCKET, EMFILE),
};

static void each_call_fails_in_turn(void **state)
{
    const struct call_scenario scenario = {
        .fn = everything, .loops = 1, .backend = WEIR_BACKEND_EPOLL, .sampled = 6
    };

    (void)state;
    call_sweep(&scenario, faults, sizeof(faults) / sizeof(faults[0]), full);
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void each_call_of_the_ring_fails_in_turn(void **state)
{
    const struct call_scenario scenario = {
        .fn = everything, .loops = 1, .backend = WEIR_BACKEND_IO_URING, .sampled = 3
    };

    (void)state;
    if (weir_run(nothing, NULL, .loops = 1, .backend = WEIR_BACKEND_IO_URING) < 0) {
        weir_recover();
        print_message("io_uring is not to be had here\n");
        skip();
    }
    call_sweep(&scenario, ring_faults, sizeof(ring_faults) / sizeof(ring_faults[0]), full);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest epoll[] = { cmocka_unit_test(each_call_fails_in_turn) };
    const struct CMUnitTest ring[] = { cmocka_unit_test(each_call_of_the_ring_fails_in_turn) };
    bool on_ring = argc > 1 && strcmp(argv[1], "io_uring") == 0;

    memset(greeting, 'x', sizeof(greeting) - 1);
    full = argc > 1 && strcmp(argv[argc - 1], "full") == 0;
    return on_ring ? cmocka_run_group_tests(ring, NULL, NULL)
                   : cmocka_run_group_tests(epoll, NULL, NULL);
}
