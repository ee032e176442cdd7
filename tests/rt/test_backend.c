/* The choice of a backend, and what is hard for one that receives by itself: bytes
 * that nobody asks for, more receivers than buffers, more requests than the ring's
 * queue takes, ends that must be seen at once. Each runs on every backend of the
 * kernel's that can be used here.
 *
 *   test_backend can_be_used   ends with 0 if io_uring can be used; else says why not */
#include "support/in_task.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weir/stream.h>

#include "base/budget.h"
#include "net/stream.h"
#include "rt/backend_choice.h"
#include "rt/rt.h"

static bool uring_can_be_used;

static void on(weir_backend backend, weir_fn *fn)
{
    assert_int_equal(weir_run(fn, NULL, .loops = 1, .grace_ms = 200, .backend = backend), 0);
}

#define BACKEND_TEST(name)                                                     \
    static int name##_task(void *arg);                                         \
    static void name(void **state)                                             \
    {                                                                          \
        (void)state;                                                           \
        on(WEIR_BACKEND_EPOLL, name##_task);                                   \
        if (uring_can_be_used)                                                 \
            on(WEIR_BACKEND_IO_URING, name##_task);                            \
    }                                                                          \
    static int name##_task(void *arg)

/* ---- a pair: one end the loop's, the other plain ------------------------------- */

struct pair {
    struct io_file file;
    struct io_op op;
    int fd, other;
    int ended; /* operations, through done */
};

static void pair_done(struct io_op *op)
{
    struct pair *p = op->done_arg;

    p->ended++;
}

static void pair_open(struct pair *p)
{
    struct loop *loop = loop_self();
    int fds[2];

    memset(p, 0, sizeof(*p));
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    p->fd = fds[0];
    p->other = fds[1];
    CHECK_INT(loop_io(loop)->attach(loop, &p->file, p->fd, false), 0);
    p->op = (struct io_op){ .kind = IO_RECV, .file = &p->file, .done = pair_done, .done_arg = p };
}

static void pair_close(struct pair *p)
{
    struct loop *loop = loop_self();

    loop_io(loop)->detach(loop, &p->file, false);
    if (p->other >= 0)
        close(p->other);
}

/* Bytes received; -EAGAIN: pending. */
static int pair_recv(struct pair *p)
{
    p->op.recv.buf = NULL;
    return io_submit(loop_self(), &p->op) ? p->op.res : -EAGAIN;
}

/* As a task would: 0 at the end. */
static int pair_read(struct pair *p)
{
    struct io_op op = { .kind = IO_RECV, .file = &p->file };
    int rc = rt_io(&op, "receive");

    if (rc > 0)
        buf_unref(op.recv.buf);
    return rc;
}

static void turns(int count)
{
    while (count-- > 0)
        CHECK_INT(weir_sleep_ms(1), 0);
}

static size_t fill(int fd)
{
    static char block[65536];
    size_t sum = 0;
    ssize_t n;

    while ((n = send(fd, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
        sum += (size_t)n;
    return sum;
}

/* ---- receiving ------------------------------------------------------------------ */

/* Bytes that nobody asks for stay with the peer, but for a few buffers. */
BACKEND_TEST(what_is_not_asked_for_is_not_hoarded)
{
    struct buf_pool *bufs = loop_bufs(loop_self());
    uint32_t used = bufs->used;
    size_t sent = 0, got = 0;
    struct pair p;
    int rc;

    (void)arg;
    pair_open(&p);
    CHECK_INT(write(p.other, "ab", 2), 2);
    CHECK_INT(pair_read(&p), 2);
    CHECK_INT(write(p.other, "c", 1), 1);
    CHECK_INT(pair_read(&p), 1);
    CHECK_INT(pair_recv(&p), -EAGAIN);
    io_cancel(loop_self(), &p.op);
    for (int i = 0; i < 10; i++) {
        sent += fill(p.other);
        turns(1);
        CHECK(bufs->used <= used + 64);
    }
    CHECK_INT(fill(p.other), 0);
    CHECK_INT(p.op.res, -ECANCELED);
    shutdown(p.other, SHUT_WR);
    while ((rc = pair_read(&p)) > 0)
        got += (size_t)rc;
    CHECK_INT(rc, 0);
    CHECK_INT(got, sent);
    CHECK_INT(pair_read(&p), 0);
    pair_close(&p);
    CHECK_INT(bufs->used, used);
    return 0;
}

/* A receive that was cancelled loses nothing of what comes later. */
BACKEND_TEST(a_cancelled_receive_loses_no_byte)
{
    struct pair p;

    (void)arg;
    pair_open(&p);
    for (int i = 0; i < 50; i++) {
        char byte = (char)('a' + i % 26);

        CHECK_INT(pair_recv(&p), -EAGAIN);
        if (i % 3 == 0)
            turns(1);
        if (i % 2)
            CHECK_INT(write(p.other, &byte, 1), 1);
        io_cancel(loop_self(), &p.op);
        CHECK(p.op.pending);
        turns(1);
        CHECK(!p.op.pending);
        CHECK_INT(p.op.res, -ECANCELED);
        CHECK_INT(p.ended, i + 1);
        if (i % 2 == 0)
            CHECK_INT(write(p.other, &byte, 1), 1);
        if (i % 4 < 2)
            turns(1);
        CHECK_INT(pair_read(&p), 1);
    }
    pair_close(&p);
    return 0;
}

#define MANY 1500 /* pairs: more than buffers, and more than a submission queue takes */

static void many_open(struct pair *pairs, int count)
{
    for (int i = 0; i < count; i++) {
        pair_open(&pairs[i]);
        CHECK_INT(pair_recv(&pairs[i]), -EAGAIN);
    }
}

static void many_await(struct pair *pairs, int count, int ended)
{
    for (int i = 0; i < count; i++) {
        while (pairs[i].ended < ended)
            CHECK_INT(weir_sleep_ms(0), 0);
        CHECK_INT(pairs[i].op.res, 1);
        buf_unref(pairs[i].op.recv.buf);
    }
}

BACKEND_TEST(all_of_many_receive)
{
    struct pair *pairs = calloc(MANY, sizeof(*pairs));

    (void)arg;
    many_open(pairs, MANY);
    for (int round = 1; round <= 4; round++) {
        for (int i = 0; i < MANY; i++)
            CHECK_INT(write(pairs[i].other, "x", 1), 1);
        many_await(pairs, MANY, round);
        for (int i = 0; i < MANY; i++)
            CHECK_INT(pair_recv(&pairs[i]), -EAGAIN);
        if (round % 2)
            turns(1);
    }
    for (int i = 0; i < MANY; i++)
        io_cancel(loop_self(), &pairs[i].op);
    turns(1);
    for (int i = 0; i < MANY; i++)
        pair_close(&pairs[i]);
    free(pairs);
    return 0;
}

/* Also when the byte budget has nothing for buffers that only wait. */
BACKEND_TEST(receiving_goes_on_when_memory_is_short)
{
    uint64_t limit = budget_limit();
    struct pair pairs[100];

    (void)arg;
    budget_set(budget_used() + 200 * BUF_BYTES);
    many_open(pairs, 100);
    for (int round = 1; round <= 3; round++) {
        budget_set(round == 2 ? budget_used() + 100 * BUF_BYTES : limit);
        for (int i = 0; i < 100; i++)
            CHECK_INT(write(pairs[i].other, "x", 1), 1);
        many_await(pairs, 100, round);
        for (int i = 0; i < 100; i++)
            CHECK_INT(pair_recv(&pairs[i]), -EAGAIN);
    }
    budget_set(limit);
    for (int i = 0; i < 100; i++)
        io_cancel(loop_self(), &pairs[i].op);
    turns(1);
    for (int i = 0; i < 100; i++)
        pair_close(&pairs[i]);
    return 0;
}

/* ---- sending together ------------------------------------------------------------ */

#define SENDERS 150 /* more than are handed over at once */

static char sent_block[3000];

/* Returns as io_submit(). */
static bool pair_send(struct pair *p, const struct iovec *iov)
{
    p->op = (struct io_op){ .kind = IO_SEND,
                            .file = &p->file,
                            .done = pair_done,
                            .done_arg = p,
                            .send = { .iov = iov, .count = 1, .together = true } };
    if (!io_submit(loop_self(), &p->op))
        return false;
    p->ended++;
    return true;
}

static size_t taken(int fd)
{
    static char block[65536];
    size_t sum = 0;
    ssize_t n;

    while ((n = recv(fd, block, sizeof(block), MSG_DONTWAIT)) > 0)
        sum += (size_t)n;
    return sum;
}

/* All are sent, whole, and each ends once. */
BACKEND_TEST(many_send_together)
{
    struct iovec iov = { sent_block, sizeof(sent_block) };
    struct pair *pairs = calloc(SENDERS, sizeof(*pairs));

    (void)arg;
    for (int i = 0; i < SENDERS; i++)
        pair_open(&pairs[i]);
    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < SENDERS; i++)
            pair_send(&pairs[i], &iov);
        turns(3);
        for (int i = 0; i < SENDERS; i++) {
            CHECK_INT(pairs[i].ended, round);
            CHECK_INT(pairs[i].op.res, (int)sizeof(sent_block));
            CHECK_INT(taken(pairs[i].other), sizeof(sent_block));
        }
    }
    for (int i = 0; i < SENDERS; i++)
        pair_close(&pairs[i]);
    free(pairs);
    return 0;
}

/* Some were handed over, some were not: each tells what has become of its bytes. */
BACKEND_TEST(a_cancelled_send_tells_what_was_sent)
{
    struct iovec iov = { sent_block, sizeof(sent_block) };
    struct pair *pairs = calloc(SENDERS, sizeof(*pairs));

    (void)arg;
    for (int i = 0; i < SENDERS; i++)
        pair_open(&pairs[i]);
    for (int i = 0; i < SENDERS; i++)
        pair_send(&pairs[i], &iov);
    for (int i = 0; i < SENDERS; i++)
        io_cancel(loop_self(), &pairs[i].op);
    turns(3);
    for (int i = 0; i < SENDERS; i++) {
        int res = pairs[i].op.res;

        CHECK_INT(pairs[i].ended, 1);
        CHECK(res == -ECANCELED || res == (int)sizeof(sent_block));
        CHECK_INT(taken(pairs[i].other), res < 0 ? 0 : sizeof(sent_block));
        CHECK_INT(pair_send(&pairs[i], &iov) || pairs[i].op.pending, 1);
    }
    turns(3);
    for (int i = 0; i < SENDERS; i++) {
        CHECK_INT(taken(pairs[i].other), sizeof(sent_block));
        pair_close(&pairs[i]);
    }
    free(pairs);
    return 0;
}

/* A socket without room: the send waits, and goes on when there is some. */
BACKEND_TEST(a_send_without_room_waits)
{
    struct iovec iov = { sent_block, sizeof(sent_block) };
    struct pair p;
    size_t before;

    (void)arg;
    pair_open(&p);
    before = fill(p.fd);
    CHECK(!pair_send(&p, &iov));
    turns(3);
    CHECK_INT(p.ended, 0);
    CHECK_INT(taken(p.other), before);
    turns(3);
    CHECK_INT(p.ended, 1);
    CHECK_INT(p.op.res, (int)sizeof(sent_block));
    CHECK_INT(taken(p.other), sizeof(sent_block));

    fill(p.fd);
    CHECK(!pair_send(&p, &iov));
    turns(3);
    io_cancel(loop_self(), &p.op);
    turns(1);
    CHECK_INT(p.ended, 2);
    CHECK(p.op.res == -ECANCELED || p.op.res == (int)p.op.send.moved);

    close(p.other);
    p.other = -1;
    if (!pair_send(&p, &iov))
        turns(3);
    CHECK_INT(p.ended, 3);
    CHECK_INT(p.op.res, -EPIPE);
    pair_close(&p);
    return 0;
}

/* What was written before the last task has ended is sent. */
static int write_and_end(void *arg)
{
    weir_stream *s;

    CHECK_INT(stream_tcp_adopt(*(int *)arg, &s), 0);
    CHECK_INT(weir_stream_try_write(s, WEIR_S("the last words")), 14);
    weir_stream_close(s);
    return 0;
}

static void what_was_written_at_the_end_is_sent(void **state)
{
    static const weir_backend backends[] = { WEIR_BACKEND_EPOLL, WEIR_BACKEND_IO_URING };

    (void)state;
    for (int i = 0; i < (uring_can_be_used ? 2 : 1); i++) {
        char in[32];
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        assert_int_equal(weir_run(write_and_end, &fds[0], .loops = 1, .backend = backends[i]), 0);
        assert_int_equal(recv(fds[1], in, sizeof(in), MSG_DONTWAIT), 14);
        assert_memory_equal(in, "the last words", 14);
        close(fds[1]);
    }
}

/* ---- ends ------------------------------------------------------------------------ */

/* The peer sees the end although the loop had asked for more. */
BACKEND_TEST(a_close_is_seen_by_the_peer)
{
    struct pollfd other = { .events = POLLIN };
    struct pair p;
    char byte;

    (void)arg;
    pair_open(&p);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(write(p.other, "x", 1), 1);
        CHECK_INT(pair_read(&p), 1);
    }
    CHECK_INT(pair_recv(&p), -EAGAIN);
    turns(1);
    io_cancel(loop_self(), &p.op);
    turns(1);
    loop_io(loop_self())->detach(loop_self(), &p.file, false);
    other.fd = p.other;
    for (int i = 0; poll(&other, 1, 0) == 0; i++) {
        CHECK(i < 1000);
        turns(1);
    }
    CHECK_INT(read(p.other, &byte, 1), 0);
    close(p.other);
    return 0;
}

static int connect_to(const struct sockaddr_in *to)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = connect(fd, (const struct sockaddr *)to, sizeof(*to));

    if (rc == 0)
        return fd;
    rc = -errno;
    close(fd);
    return rc;
}

/* From the close on, in the same turn, nobody can connect any more. */
BACKEND_TEST(a_closed_listener_is_closed_at_once)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct io_listen_opts opts = { .backlog = 8 };
    struct loop *loop = loop_self();
    struct io_file file = { .fd = -1 };
    struct io_op op = { .kind = IO_ACCEPT, .file = &file, .done = pair_done };
    socklen_t len = sizeof(to);
    struct pair p = { 0 };
    int fd = loop_io(loop)->listen(loop, (struct sockaddr *)&to, sizeof(to), &opts), client;

    (void)arg;
    op.done_arg = &p;
    CHECK(fd >= 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&to, &len), 0);
    CHECK_INT(loop_io(loop)->attach(loop, &file, fd, true), 0);
    CHECK(!io_submit(loop, &op));
    turns(1);
    client = connect_to(&to);
    CHECK(client >= 0);
    while (!p.ended)
        turns(1);
    close(op.res);
    close(client);
    CHECK(!io_submit(loop, &op));
    turns(1);
    io_cancel(loop, &op);
    turns(1);
    loop_io(loop)->detach(loop, &file, false);
    CHECK_INT(connect_to(&to), -ECONNREFUSED);
    return 0;
}

/* ---- a listening socket that two loops share -------------------------------------- */

static struct shared_socket {
    int fd;
    atomic_bool waiting, accepted, over, left;
} shared_socket;

static int accept_on_the_other(void *arg)
{
    struct pair p = { 0 };
    struct io_file file = { .fd = -1 };
    struct io_op op = { .kind = IO_ACCEPT, .file = &file, .done = pair_done, .done_arg = &p };
    struct loop *loop = loop_self();

    (void)arg;
    CHECK_INT(loop_io(loop)->attach(loop, &file, shared_socket.fd, true), 0);
    CHECK(!io_submit(loop, &op));
    shared_socket.waiting = true;
    while (!p.ended && !shared_socket.over)
        turns(1);
    shared_socket.accepted = p.ended;
    if (!p.ended)
        io_cancel(loop, &op);
    while (!p.ended)
        turns(1);
    if (op.res >= 0)
        close(op.res);
    loop_io(loop)->detach(loop, &file, true);
    shared_socket.over = true;
    shared_socket.left = true;
    return 0;
}

/* This loop has stopped to accept, at the same moment as a connection came, or
 * before: it is accepted, here or there. */
static int share(bool at_the_same_moment)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct io_listen_opts opts = { .backlog = 8 };
    struct loop *loop = loop_self();
    struct io_file file = { .fd = -1 };
    struct pair p = { 0 };
    struct io_op op = { .kind = IO_ACCEPT, .file = &file, .done = pair_done, .done_arg = &p };
    socklen_t len = sizeof(to);
    int client = -1;

    memset(&shared_socket, 0, sizeof(shared_socket));
    shared_socket.fd = loop_io(loop)->listen(loop, (struct sockaddr *)&to, sizeof(to), &opts);
    CHECK(shared_socket.fd >= 0);
    CHECK_INT(getsockname(shared_socket.fd, (struct sockaddr *)&to, &len), 0);
    CHECK_INT(loop_io(loop)->attach(loop, &file, shared_socket.fd, true), 0);
    CHECK(!io_submit(loop, &op));
    turns(1);
    CHECK_INT(weir_submit(1, accept_on_the_other, NULL), 0);
    while (!shared_socket.waiting)
        turns(1);
    turns(5);
    if (at_the_same_moment)
        client = connect_to(&to);
    io_cancel(loop, &op);
    while (p.ended == 0)
        turns(1);
    if (!at_the_same_moment)
        client = connect_to(&to);
    CHECK(client >= 0);
    for (int i = 0; i < 500 && op.res < 0 && !shared_socket.over; i++)
        turns(1);
    shared_socket.over = true;
    if (!shared_socket.accepted && op.res < 0)
        CHECK(!"a connection waits, and the loop that accepts does not know");
    if (op.res >= 0)
        close(op.res);
    close(client);
    while (!shared_socket.left)
        turns(1);
    loop_io(loop)->detach(loop, &file, false);
    return 0;
}

static int share_before(void *arg)
{
    (void)arg;
    return share(false);
}

static int share_at_once(void *arg)
{
    (void)arg;
    return share(true);
}

static void a_loop_that_stops_to_accept_takes_no_connection_along(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        weir_fn *fn = i % 2 ? share_at_once : share_before;
        weir_backend backend = i < 2 ? WEIR_BACKEND_EPOLL : WEIR_BACKEND_IO_URING;

        if (i < 2 || uring_can_be_used)
            assert_int_equal(weir_run(fn, NULL, .loops = 2, .backend = backend), 0);
    }
}

BACKEND_TEST(what_has_closed_is_dead)
{
    const struct io_ops *io = loop_io(loop_self());
    struct pair p;

    (void)arg;
    pair_open(&p);
    for (int i = 0; i < 3; i++) {
        turns(1);
        CHECK(!io->is_dead(loop_self(), &p.file));
        CHECK_INT(write(p.other, "x", 1), 1);
        CHECK_INT(pair_read(&p), 1);
    }
    close(p.other);
    p.other = -1;
    turns(1);
    CHECK(io->is_dead(loop_self(), &p.file));
    CHECK_INT(pair_read(&p), 0);
    pair_close(&p);
    return 0;
}

/* ---- the choice ------------------------------------------------------------------ */

static const char *reason(void)
{
    static char text[1024];

    weir_error_print(text, sizeof(text));
    weir_recover();
    return text;
}

static void the_environment_chooses(void **state)
{
    const struct io_ops *ops;

    (void)state;
    setenv("WEIR_BACKEND", "epoll", 1);
    assert_int_equal(backend_choose(WEIR_BACKEND_AUTO, &ops), 0);
    assert_string_equal(ops->name, "epoll");
    setenv("WEIR_BACKEND", "iocp", 1);
    assert_int_equal(backend_choose(WEIR_BACKEND_AUTO, &ops), -EINVAL);
    assert_non_null(strstr(reason(), "`iocp`"));
    assert_int_equal(backend_choose(WEIR_BACKEND_EPOLL, &ops), 0);
    if (uring_can_be_used) {
        setenv("WEIR_BACKEND", "io_uring", 1);
        assert_int_equal(backend_choose(WEIR_BACKEND_AUTO, &ops), 0);
        assert_string_equal(ops->name, "io_uring");
        assert_int_equal(backend_choose(WEIR_BACKEND_EPOLL, &ops), 0);
        assert_string_equal(ops->name, "epoll");
    }
    unsetenv("WEIR_BACKEND");
    assert_int_equal(backend_choose(WEIR_BACKEND_AUTO, &ops), 0);
}

/* As the default policy of containers has it. */
static void forbid_io_uring(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

    CHECK_INT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_INT(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void a_refusal_is_explained(void **state)
{
    int status;
    pid_t child;

    (void)state;
    if (!uring_can_be_used)
        skip();
    child = fork();
    if (child == 0) {
        forbid_io_uring();
        unsetenv("WEIR_BACKEND");
        CHECK_INT(weir_run(nothing, NULL, .backend = WEIR_BACKEND_IO_URING), -EPERM);
        CHECK(strstr(reason(), "seccomp") || strstr(reason(), "kernel.io_uring_disabled"));
        CHECK_INT(weir_run(nothing, NULL), 0); /* epoll then */
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_environment_chooses),
        cmocka_unit_test(a_refusal_is_explained),
        cmocka_unit_test(what_is_not_asked_for_is_not_hoarded),
        cmocka_unit_test(a_cancelled_receive_loses_no_byte),
        cmocka_unit_test(all_of_many_receive),
        cmocka_unit_test(receiving_goes_on_when_memory_is_short),
        cmocka_unit_test(many_send_together),
        cmocka_unit_test(a_cancelled_send_tells_what_was_sent),
        cmocka_unit_test(a_send_without_room_waits),
        cmocka_unit_test(what_was_written_at_the_end_is_sent),
        cmocka_unit_test(a_close_is_seen_by_the_peer),
        cmocka_unit_test(a_closed_listener_is_closed_at_once),
        cmocka_unit_test(a_loop_that_stops_to_accept_takes_no_connection_along),
        cmocka_unit_test(what_has_closed_is_dead),
    };
    struct rlimit files;
    const struct io_ops *ops;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    uring_can_be_used = backend_choose(WEIR_BACKEND_IO_URING, &ops) == 0;
    if (!uring_can_be_used)
        fprintf(stderr, "test_backend: only epoll is tested: %s\n", reason());
    if (argc > 1 && strcmp(argv[1], "can_be_used") == 0)
        return uring_can_be_used ? 0 : 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
