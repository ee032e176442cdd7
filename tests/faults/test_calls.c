/* A server and its client, and a stream to itself, with each system call of each kind
 * failing in turn, once and for ever, with errors that the call can have: whatever comes
 * of it, the run ends in time, with a code, and leaves no memory and no descriptor.
 *
 * With the argument "full" every call fails; else each of the first few, and then
 * fewer and fewer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weir/weir.h>

#include "base/chain.h"
#include "faults/calls.h"
#include "http/server.h"
#include "support/fault.h"

#define CALLS_MAX 2000
#define HANG_S 20

#define SAMPLED 6

static bool full;
static int amiss;

/* ---- what is run ------------------------------------------------------------------- */

static int hello(weir_exchange *x)
{
    return weir_reply_text(x, 200, "Hello");
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
        if (rc == 0 && !weir_str_eq(r.body, WEIR_S("Hello")))
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

/* ---- one run ------------------------------------------------------------------------- */

static int open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;

    if (!folder)
        _exit(9);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

enum { PASSED, FAILED, WITHOUT_CAUSE, BLOCKS_LEFT, DESCRIPTORS_LEFT, POSITIVE };

static const char *const verdicts[] = { "passed",
                                        "failed",
                                        "failed without a cause",
                                        "memory is left",
                                        "a descriptor is left",
                                        "gave a positive result" };

static int run_everything(void)
{
    int rc = weir_run(everything, NULL, .loops = 1, .grace_ms = 500, .backend = WEIR_BACKEND_EPOLL);

    weir_recover();
    chain_thread_done();
    return rc;
}

#define CALL_FAILED 16

/* In a child process: its exit status is a verdict, with CALL_FAILED when one has. */
static void run_once(enum call_kind kind, int nth, int code, bool for_ever)
{
    int silent = open("/dev/null", O_WRONLY | O_CLOEXEC), before, rc, failed, verdict;
    struct fault blocks;

    dup2(silent, 2);
    alarm(HANG_S);
    before = open_descriptors();
    fault_begin(&blocks);
    call_fail(kind, nth, code, for_ever);
    rc = run_everything();
    failed = call_failed();
    call_fail(kind, 0, 0, false);
    fault_end(&blocks);
    verdict = rc > 0                         ? POSITIVE
              : rc < 0 && !failed            ? WITHOUT_CAUSE
              : blocks.live != 0             ? BLOCKS_LEFT
              : open_descriptors() != before ? DESCRIPTORS_LEFT
              : rc < 0                       ? FAILED
                                             : PASSED;
    _exit(verdict | (failed ? CALL_FAILED : 0));
}

/* Returns whether there was an nth call. */
static bool sweep_once(enum call_kind kind, int nth, int code, bool for_ever)
{
    const char *ending = for_ever ? " for ever" : "", *wrong = NULL;
    int status;
    pid_t pid = fork();

    if (pid == 0)
        run_once(kind, nth, code, for_ever);
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status))
        wrong = WTERMSIG(status) == SIGALRM ? "it hangs" : strsignal(WTERMSIG(status));
    else if ((WEXITSTATUS(status) & 15) > FAILED)
        wrong = verdicts[WEXITSTATUS(status) & 15];
    if (wrong) {
        print_error("%s number %d failing with %s%s: %s\n", call_name(kind), nth, strerror(code),
                    ending, wrong);
        amiss++;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) & CALL_FAILED;
}

struct sweep {
    enum call_kind kind;
    int code;
    bool once_only; /* for ever nothing can work: each is tried again at once */
};

static const struct sweep sweeps[] = {
    { CALL_ACCEPT4, EMFILE, false },
    { CALL_ACCEPT4, ECONNABORTED, false },
    { CALL_BIND, EADDRINUSE, false },
    { CALL_CONNECT, ECONNREFUSED, false },
    { CALL_CONNECT, ENETUNREACH, false },
    { CALL_EPOLL_CREATE1, EMFILE, false },
    { CALL_EPOLL_CTL, ENOMEM, false },
    { CALL_EPOLL_CTL, ENOSPC, false },
    { CALL_EPOLL_WAIT, EINTR, true },
    { CALL_EVENTFD, EMFILE, false },
    { CALL_GETSOCKNAME, ENOBUFS, false },
    { CALL_GETSOCKOPT, ENOBUFS, false },
    { CALL_LISTEN, EADDRINUSE, false },
    { CALL_MADVISE, ENOMEM, false },
    { CALL_MMAP, ENOMEM, false },
    { CALL_MPROTECT, ENOMEM, false },
    { CALL_RECV, ECONNRESET, false },
    { CALL_RECV, EINTR, true },
    { CALL_SEND, EPIPE, false },
    { CALL_SEND, EINTR, true },
    { CALL_SENDMSG, EPIPE, false },
    { CALL_SENDMSG, ENOBUFS, false },
    { CALL_SETSOCKOPT, ENOPROTOOPT, false },
    { CALL_SHUTDOWN, ENOTCONN, false },
    { CALL_SOCKET, EMFILE, false },
    { CALL_SOCKET, ENFILE, false },
};

static ssize_t swallow(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    (void)bytes;
    return (ssize_t)len;
}

static void each_call_fails_in_turn(void **state)
{
    int runs = 0;

    (void)state;
    /* What a process, and a thread for the log, makes once, and keeps, is there from
     * here on. */
    assert_int_equal(weir_log_open(.sink = swallow, .sync = true), 0);
    weir_warn("the first line");
    assert_int_equal(run_everything(), 0);
    for (size_t i = 0; i < sizeof(sweeps) / sizeof(sweeps[0]); i++) {
        const struct sweep *sweep = &sweeps[i];

        for (int nth = 1; nth <= CALLS_MAX; nth += full || nth < SAMPLED ? 1 : nth / 2) {
            runs++;
            if (!sweep_once(sweep->kind, nth, sweep->code, false))
                break;
            if (!sweep->once_only)
                sweep_once(sweep->kind, nth, sweep->code, true);
        }
    }
    print_message("%d runs, %d amiss\n", runs, amiss);
    assert_int_equal(amiss, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(each_call_fails_in_turn) };

    full = argc > 1 && strcmp(argv[1], "full") == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
