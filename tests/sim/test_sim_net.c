/* The simulated network by itself: its times, its bounds, each of its faults, and
 * what it refuses. That it behaves as the kernel's is test_scenarios.c's. */
#include "support/in_task.h"

#include <netinet/in.h>
#include <sys/un.h>

#include <weir/time.h>

#include "rt/sim.h"
#include "sim/net.h"

static struct sim *sim;

/* Run fn in a simulation of its own; nothing may be left. */
static void simulate(weir_fn *fn, const struct sim_opts *opts)
{
    char text[SIM_OPTS_TEXT_BYTES];
    int rc;

    sim = sim_new(opts);
    assert_non_null(sim);
    rc = sim_run(sim, fn, NULL, NULL);
    if (rc != 0) {
        weir_error_print(text, sizeof(text));
        fail_msg("%s: %s\n%s", weir_error_name(rc), text, sim_trace_text(sim));
    }
    assert_int_equal(sim_files(sim), 0);
    sim_free(sim);
}

/* A test whose body is a task; opts are set up by how. */
#define SIM_TEST(name, ...)                                                    \
    static int name##_task(void *arg);                                         \
    static void name(void **state)                                             \
    {                                                                          \
        struct sim_opts opts;                                                  \
                                                                               \
        (void)state;                                                           \
        sim_opts_init(&opts);                                                  \
        __VA_ARGS__;                                                           \
        simulate(name##_task, &opts);                                          \
    }                                                                          \
    static int name##_task(void *arg)

static int64_t now_ms(void)
{
    return weir_now().ns / 1000000;
}

/* ---- time ------------------------------------------------------------------------ */

SIM_TEST(latency_is_paid_each_way, opts.latency_ms = 7)
{
    struct place place;
    struct sim_peer one, other;

    (void)arg;
    place_open(&place, 8);
    CHECK_INT(sim_peer_connect(&one, place.port), 0);
    CHECK_INT(now_ms(), 14);
    CHECK_INT(place_accept(&place, &other), 0);
    CHECK_INT(now_ms(), 21);
    CHECK_INT(sim_peer_send(&one, "ping", 4), 4);
    net_expect(&other, "ping");
    CHECK_INT(now_ms(), 28);
    sim_peer_close(&one);
    CHECK_INT(sim_peer_recv(&other, &(char){ 0 }, 1), 0);
    CHECK_INT(now_ms(), 35);
    sim_peer_close(&other);
    place_close(&place);
    CHECK_INT(sim_peer_connect(&one, place.port), -ECONNREFUSED);
    CHECK_INT(now_ms(), 49);
    return 0;
}

SIM_TEST(a_link_has_its_own_latency, opts.latency_ms = 1)
{
    struct place near, far;
    struct sim_peer peer;

    (void)arg;
    place_open(&near, 8);
    place_open(&far, 8);
    sim_link_latency(sim, far.port, 400, 0);
    CHECK_INT(sim_peer_connect(&peer, near.port), 0);
    CHECK_INT(now_ms(), 2);
    sim_peer_close(&peer);
    CHECK_INT(sim_peer_connect(&peer, far.port), 0);
    CHECK_INT(now_ms(), 802);
    sim_peer_close(&peer);
    CHECK_INT(weir_sleep_ms(1000), 0);
    place_close(&near);
    place_close(&far);
    return 0;
}

static int send_numbers(void *arg)
{
    for (unsigned char i = 0; i < 100; i++) {
        CHECK_INT(sim_peer_send(arg, &i, 1), 1);
        CHECK_INT(weir_sleep_ms(1), 0);
    }
    return sim_peer_shutdown(arg);
}

static void numbers_arrive(struct sim_peer *one, struct sim_peer *other)
{
    unsigned char n;

    WEIR_SCOPE(s) {
        weir_go(s, send_numbers, one);
        for (int i = 0; i < 100; i++) {
            CHECK_INT(sim_peer_recv(other, &n, 1), 1);
            CHECK_INT(n, i);
        }
        CHECK_INT(sim_peer_recv(other, &n, 1), 0);
        CHECK_INT(weir_join(s), 0);
    }
    sim_peer_close(one);
    sim_peer_close(other);
}

SIM_TEST(jitter_keeps_the_order, opts.jitter_ms = 50)
{
    struct sim_peer one, other;

    (void)arg;
    net_pair(&one, &other);
    numbers_arrive(&one, &other);
    return 0;
}

SIM_TEST(a_lost_segment_is_late, opts.loss = 300)
{
    struct sim_peer one, other;

    (void)arg;
    net_pair(&one, &other);
    numbers_arrive(&one, &other);
    CHECK(now_ms() > 200);
    sim_calm(sim);
    net_pair(&one, &other);
    return numbers_arrive(&one, &other), 0;
}

/* ---- bounds ---------------------------------------------------------------------- */

SIM_TEST(a_direction_holds_so_much_and_no_more, opts.buffer_bytes = 5000)
{
    static char data[20000];
    struct sim_peer one, other;
    struct iovec vectors[] = { { data, 3000 }, { data, 0 }, { data, 3000 } };
    struct io_op op = { .kind = IO_SEND, .send = { .iov = vectors, .count = 3 } };

    (void)arg;
    net_pair(&one, &other);
    op.file = &one.file;
    WEIR_SCOPE(s, .timeout_ms = 10) {
        CHECK_INT(rt_io(&op, "send"), 5000); /* short, at the deadline */
        CHECK_INT(op.send.moved, 5000);
        CHECK(op.cancelled);
    }
    CHECK_INT(sim_peer_recv_all(&other, data, 1234), 1234); /* a whole buffer is taken out */
    CHECK_INT(weir_sleep_ms(1), 0);
    WEIR_SCOPE(s, .timeout_ms = 10) {
        CHECK_INT(sim_peer_send(&one, data, 20000), 5000);
    }
    CHECK_INT(sim_peer_send(&other, data, 5000), 5000); /* the other way is its own */
    sim_peer_close(&one);
    sim_peer_close(&other);
    return 0;
}

SIM_TEST(a_full_backlog_makes_connects_wait, opts.latency_ms = 1)
{
    struct place place;
    struct sim_peer a, b, c, served;

    (void)arg;
    place_open(&place, 2);
    CHECK_INT(sim_peer_connect(&a, place.port), 0);
    CHECK_INT(sim_peer_connect(&b, place.port), 0);
    CHECK_INT(weir_sleep_ms(5), 0);
    WEIR_SCOPE(s, .timeout_ms = 500) {
        CHECK_INT(sim_peer_connect(&c, place.port), -ETIMEDOUT);
    }
    CHECK_INT(sim_peer_connect(&c, place.port), -ETIMEDOUT); /* the kernel's own */
    CHECK(now_ms() > 127000);
    CHECK_INT(place_accept(&place, &served), 0);
    sim_peer_close(&served);
    CHECK_INT(sim_peer_connect(&c, place.port), 0);
    sim_peer_close(&a);
    sim_peer_close(&b);
    sim_peer_close(&c);
    place_close(&place);
    return 0;
}

/* ---- faults ---------------------------------------------------------------------- */

SIM_TEST(a_cut_link_holds_everything_up, opts.latency_ms = 1)
{
    struct place place;
    struct sim_peer one, other, late;
    char byte;

    (void)arg;
    place_open(&place, 8);
    CHECK_INT(sim_peer_connect(&one, place.port), 0);
    CHECK_INT(place_accept(&place, &other), 0);
    sim_link_cut(sim, place.port, true);
    CHECK_INT(sim_peer_send(&one, "held", 4), 4);
    WEIR_SCOPE(s, .timeout_ms = 5000) {
        CHECK_INT(sim_peer_recv(&other, &byte, 1), -ETIMEDOUT);
    }
    WEIR_SCOPE(s, .timeout_ms = 5000) {
        CHECK_INT(sim_peer_connect(&late, place.port), -ETIMEDOUT);
        CHECK(weir_timed_out(s));
    }
    sim_link_cut(sim, place.port, false);
    net_expect(&other, "held");
    sim_peer_close(&one);
    CHECK_INT(sim_peer_recv(&other, &byte, 1), 0);
    sim_peer_close(&other);
    CHECK_INT(sim_peer_connect(&late, place.port), 0);
    sim_peer_close(&late);
    CHECK_INT(weir_sleep_ms(10), 0);
    place_close(&place);
    return 0;
}

SIM_TEST(a_cut_that_lasts_ends_a_connect, opts.latency_ms = 1)
{
    struct sim_peer peer;
    struct place place;

    (void)arg;
    place_open(&place, 8);
    sim_link_cut(sim, place.port, true);
    CHECK_INT(sim_peer_connect(&peer, place.port), -ETIMEDOUT);
    CHECK_INT(now_ms(), 127001); /* 1 + 2 + 4 ... + 64 s */
    place_close(&place);
    return 0;
}

SIM_TEST(a_reset_reaches_both_ends, opts.reset = 1000)
{
    struct sim_peer one, other;
    char byte;

    (void)arg;
    net_pair(&one, &other);
    CHECK_INT(sim_peer_send(&one, "x", 1), -ECONNRESET);
    CHECK_INT(sim_peer_recv(&other, &byte, 1), -ECONNRESET);
    CHECK_INT(sim_peer_recv(&other, &byte, 1), 0);
    CHECK_INT(sim_peer_send(&other, "x", 1), -EPIPE);
    sim_peer_close(&one);
    sim_peer_close(&other);
    return 0;
}

SIM_TEST(a_connect_is_refused, opts.refuse = 1000)
{
    struct place place;
    struct sim_peer peer;

    (void)arg;
    place_open(&place, 8);
    CHECK_INT(sim_peer_connect(&peer, place.port), -ECONNREFUSED);
    sim_calm(sim);
    CHECK_INT(sim_peer_connect(&peer, place.port), 0);
    sim_peer_close(&peer);
    place_close(&place);
    return 0;
}

SIM_TEST(cut_by_chance_and_whole_again, opts.partition = 1000)
{
    struct sim_peer one, other;

    (void)arg;
    net_pair(&one, &other);
    numbers_arrive(&one, &other);
    CHECK(now_ms() > 100);
    return 0;
}

SIM_TEST(reads_are_short, opts.short_read = 1000)
{
    static char data[1000], got[1000];
    struct sim_peer one, other;
    int reads = 0;

    (void)arg;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i * 7);
    net_pair(&one, &other);
    CHECK_INT(sim_peer_send(&one, data, sizeof(data)), sizeof(data));
    for (ssize_t at = 0, n; at < (ssize_t)sizeof(got); at += n, reads++)
        CHECK((n = sim_peer_recv(&other, got + at, sizeof(got) - (size_t)at)) > 0);
    CHECK(memcmp(data, got, sizeof(got)) == 0);
    CHECK(reads > 2);
    sim_peer_close(&one);
    sim_peer_close(&other);
    return 0;
}

SIM_TEST(writes_go_out_in_pieces, opts.short_write = 1000, opts.jitter_ms = 9)
{
    static char data[9000], got[9000];
    struct sim_peer one, other;
    ssize_t first;

    (void)arg;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i * 7);
    net_pair(&one, &other);
    CHECK_INT(sim_peer_send(&one, data, sizeof(data)), sizeof(data));
    first = sim_peer_recv(&other, got, sizeof(got));
    CHECK(first > 0 && first < (ssize_t)sizeof(got));
    CHECK_INT(sim_peer_recv_all(&other, got + first, sizeof(got) - (size_t)first),
              (ssize_t)sizeof(got) - first);
    CHECK(memcmp(data, got, sizeof(got)) == 0);
    sim_peer_close(&one);
    sim_peer_close(&other);
    return 0;
}

static void note_done(struct io_op *op)
{
    ++*(int *)op->done_arg;
}

SIM_TEST(a_result_may_come_before_its_cancel, opts.late = 1000, opts.race = 1000)
{
    struct sim_peer one, other;
    int done = 0;
    struct io_op op = { .kind = IO_RECV, .done = note_done, .done_arg = &done };
    struct loop *loop = loop_self();

    (void)arg;
    net_pair(&one, &other);
    op.file = &one.file;
    CHECK(!io_submit(loop, &op));
    io_cancel(loop, &op); /* nothing is there */
    CHECK_INT(weir_sleep_ms(1), 0);
    CHECK_INT(done, 1);
    CHECK_INT(op.res, -ECANCELED);
    CHECK_INT(sim_peer_send(&other, "xyz", 3), 3);
    CHECK_INT(weir_sleep_ms(1), 0);
    CHECK(!io_submit(loop, &op)); /* late: the bytes are there */
    CHECK(op.pending);
    io_cancel(loop, &op);
    io_cancel(loop, &op); /* once is enough */
    CHECK_INT(weir_sleep_ms(1), 0);
    CHECK_INT(done, 2);
    CHECK(op.cancelled && !op.pending);
    CHECK_INT(op.res, 3);
    buf_unref(op.recv.buf);
    sim_peer_close(&one);
    sim_peer_close(&other);
    return 0;
}

SIM_TEST(descriptors_run_out, opts.no_files = 500)
{
    struct place place;
    struct sim_peer clients[40], served;
    int failed_connects = 0, failed_accepts = 0, connected = 0;

    (void)arg;
    for (int i = 0; place_open_at(&place, 4000, false) < 0; i++)
        CHECK(i < 100);
    for (int i = 0; i < 40; i++) {
        int rc = sim_peer_connect(&clients[connected], 4000);

        CHECK(rc == 0 || rc == -EMFILE);
        failed_connects += rc != 0;
        connected += rc == 0;
    }
    for (int got = 0; got < connected;) { /* no connection is lost by it */
        int rc = place_accept(&place, &served);

        CHECK(rc == 0 || rc == -EMFILE);
        failed_accepts += rc != 0;
        got += rc == 0;
        if (rc == 0)
            sim_peer_close(&served);
    }
    CHECK(failed_connects > 0 && failed_accepts > 0 && connected > 0);
    while (connected-- > 0)
        sim_peer_close(&clients[connected]);
    place_close(&place);
    return 0;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

SIM_TEST(blocking_calls_are_refused, opts.busy = 1000)
{
    (void)arg;
    CHECK_INT(weir_block(nothing, NULL), -EBUSY);
    weir_recover();
    sim_calm(sim);
    CHECK_INT(weir_block(nothing, NULL), 0);
    return 0;
}

static int sleep_in_scope(void *arg)
{
    int rc = 0;

    WEIR_SCOPE(s) {
        rc = weir_sleep_ms(10);
    }
    ++*(int *)arg;
    return rc == -ECANCELED ? 0 : -EIO;
}

SIM_TEST(waits_are_cancelled, opts.cancel = 1000)
{
    int done = 0;

    (void)arg;
    CHECK_INT(sleep_in_scope(&done), 0);
    CHECK_INT(weir_sleep_ms(10), 0); /* in the application's scope: never */
    CHECK_INT(now_ms(), 10);
    CHECK_INT(done, 1);
    CHECK_INT(sim_waits(sim), 2);
    return 0;
}

/* ---- several loops --------------------------------------------------------------- */

static struct place shared;
static int accepted[2];

static int accept_here(void *arg)
{
    struct place mine;
    struct sim_peer peer;

    (void)arg;
    place_share(&mine, &shared);
    while (accepted[0] + accepted[1] < 40) {
        int rc = -EIO;

        WEIR_SCOPE(s, .timeout_ms = 1000) {
            rc = place_accept(&mine, &peer);
        }
        if (rc == 0) {
            accepted[weir_loop_index()]++;
            sim_peer_close(&peer);
        }
    }
    place_leave(&mine);
    return 0;
}

SIM_TEST(loops_share_a_listening_descriptor, opts.loops = 2)
{
    struct sim_peer peer;

    (void)arg;
    place_open(&shared, 64);
    loop_io(loop_self())->detach(loop_self(), &shared.file, true);
    CHECK_INT(weir_submit(0, accept_here, NULL), 0);
    CHECK_INT(weir_submit(1, accept_here, NULL), 0);
    CHECK_INT(weir_sleep_ms(1), 0);
    for (int i = 0; i < 40; i++) {
        CHECK_INT(sim_peer_connect(&peer, shared.port), 0);
        CHECK_INT(sim_peer_recv(&peer, &(char){ 0 }, 1), 0);
        sim_peer_close(&peer);
    }
    CHECK_INT(weir_sleep_ms(3000), 0);
    CHECK_INT(accepted[0] + accepted[1], 40);
    CHECK(accepted[0] > 5 && accepted[1] > 5);
    shared.file.fd = shared.fd;
    loop_io(loop_self())->detach(loop_self(), &shared.file, false);
    return 0;
}

/* ---- addresses, and what is refused ---------------------------------------------- */

static int try_connect(const void *addr, socklen_t len, int family)
{
    struct loop *loop = loop_self();
    struct io_file file = { .fd = -1 };
    struct io_op op = { .file = &file, .kind = IO_CONNECT, .connect = { addr, len } };
    int fd = loop_io(loop)->socket(loop, family), rc;

    CHECK(fd >= 0);
    CHECK_INT(loop_io(loop)->attach(loop, &file, fd, false), 0);
    rc = rt_io(&op, "connect");
    loop_io(loop)->detach(loop, &file, false);
    return rc;
}

static void check_listen(const void *addr, socklen_t len, int wanted)
{
    struct io_listen_opts opts = { .backlog = 8 };
    struct loop *loop = loop_self();
    int fd = loop_io(loop)->listen(loop, addr, len, &opts);
    struct io_file file = { .fd = fd };

    CHECK(wanted == 0 ? fd >= 0 : fd == wanted);
    if (fd >= 0)
        loop_io(loop)->detach(loop, &file, false);
}

SIM_TEST(families_and_wildcards, opts.latency_ms = 0)
{
    struct sockaddr_in6 any6 = { .sin6_family = AF_INET6, .sin6_port = htons(80) };
    struct sockaddr_in6 one6 = { .sin6_family = AF_INET6,
                                 .sin6_port = htons(80),
                                 .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    struct sockaddr_in one4 = { .sin_family = AF_INET,
                                .sin_port = htons(80),
                                .sin_addr = { htonl(0x0a000001) } };
    struct sockaddr_un here = { .sun_family = AF_UNIX, .sun_path = "/run/here" };
    struct sockaddr_un there = { .sun_family = AF_UNIX, .sun_path = "/run/there" };
    struct io_listen_opts opts = { .backlog = 8 };
    struct loop *loop = loop_self();
    struct io_file file = { .fd = -1 };

    (void)arg;
    file.fd = loop_io(loop)->listen(loop, (void *)&any6, sizeof(any6), &opts);
    CHECK(file.fd >= 0);
    CHECK_INT(try_connect(&one6, sizeof(one6), AF_INET6), 0);
    CHECK_INT(try_connect(&one4, sizeof(one4), AF_INET), 0); /* any IPv6 takes IPv4 too */
    CHECK_INT(try_connect(&one4, sizeof(one4), AF_INET6), -EAFNOSUPPORT);
    check_listen(&one4, sizeof(one4), -EADDRINUSE);
    one4.sin_port = htons(81);
    CHECK_INT(try_connect(&one4, sizeof(one4), AF_INET), -ECONNREFUSED);
    check_listen(&one4, sizeof(one4), 0);
    loop_io(loop)->detach(loop, &file, false);

    file.fd = loop_io(loop)->listen(loop, (void *)&here, sizeof(here), &opts);
    CHECK(file.fd >= 0);
    CHECK_INT(try_connect(&here, sizeof(here), AF_UNIX), 0);
    CHECK_INT(try_connect(&there, sizeof(there), AF_UNIX), -ECONNREFUSED);
    loop_io(loop)->detach(loop, &file, false);
    CHECK_INT(loop_io(loop)->socket(loop, AF_NETLINK), -EAFNOSUPPORT);
    return 0;
}

SIM_TEST(wrong_uses_have_their_errors, opts.latency_ms = 0)
{
    struct loop *loop = loop_self();
    struct io_file file = { .fd = -1 }, second = { .fd = -1 };
    struct io_op op = { .file = &file, .kind = IO_RECV };
    struct sockaddr_storage addr;
    struct place place;
    socklen_t len;
    int fd = loop_io(loop)->socket(loop, AF_INET);

    (void)arg;
    CHECK_INT(loop_io(loop)->attach(loop, &file, 12345678, false), -EBADF);
    CHECK_INT(loop_io(loop)->attach(loop, &file, fd, true), -EBADF);
    CHECK_INT(loop_io(loop)->attach(loop, &file, fd, false), 0);
    CHECK_INT(loop_io(loop)->attach(loop, &second, fd, false), -EEXIST);
    CHECK_INT(rt_io(&op, "receive"), -ENOTCONN);
    op.kind = IO_ACCEPT;
    CHECK_INT(rt_io(&op, "accept"), -EINVAL);
    CHECK_INT(loop_io(loop)->shutdown(loop, &file, SHUT_WR), -ENOTCONN);
    CHECK_INT(loop_io(loop)->address(loop, &file, true, &addr, &len), -ENOTCONN);
    loop_io(loop)->detach(loop, &file, false);
    loop_io(loop)->detach(loop, &file, false); /* it is gone already */
    op = (struct io_op){ .file = &file, .kind = IO_RECV };
    CHECK_INT(rt_io(&op, "receive"), -EBADF);
    place_open(&place, 1);
    op.file = &place.file;
    CHECK_INT(rt_io(&op, "receive"), -EINVAL);
    CHECK_INT(loop_io(loop)->shutdown(loop, &place.file, SHUT_WR), -ENOTCONN);
    CHECK_INT(loop_io(loop)->address(loop, &place.file, true, &addr, &len), -ENOTCONN);
    place_close(&place);
    return 0;
}

SIM_TEST(a_closed_listener_resets_who_waits, opts.latency_ms = 3)
{
    struct place place;
    struct sim_peer a, b;
    char byte;

    (void)arg;
    place_open(&place, 8);
    CHECK_INT(sim_peer_connect(&a, place.port), 0);
    CHECK_INT(weir_sleep_ms(10), 0);
    CHECK_INT(sim_peer_connect(&b, place.port), 0);
    place_close(&place); /* a waits to be accepted, b's last step is under way */
    CHECK_INT(sim_peer_recv(&a, &byte, 1), -ECONNRESET);
    CHECK_INT(sim_peer_recv(&b, &byte, 1), -ECONNRESET);
    sim_peer_close(&a);
    sim_peer_close(&b);
    return 0;
}

static int leave_all_open(void *arg)
{
    struct place place;
    struct sim_peer one, other, third;

    (void)arg;
    place_open(&place, 8);
    CHECK_INT(sim_peer_connect(&one, place.port), 0);
    CHECK_INT(place_accept(&place, &other), 0);
    CHECK_INT(sim_peer_connect(&third, place.port), 0);
    CHECK_INT(sim_peer_send(&third, "x", 1), 1);
    return 0;
}

/* The sanitizers see to it that it is freed all the same. */
static void what_a_program_leaves_open_is_counted(void **state)
{
    struct sim_opts opts;

    (void)state;
    sim_opts_init(&opts);
    sim = sim_new(&opts);
    assert_int_equal(sim_run(sim, leave_all_open, NULL, NULL), 0);
    assert_int_equal(sim_files(sim), 4);
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(latency_is_paid_each_way),
        cmocka_unit_test(a_link_has_its_own_latency),
        cmocka_unit_test(jitter_keeps_the_order),
        cmocka_unit_test(a_lost_segment_is_late),
        cmocka_unit_test(a_direction_holds_so_much_and_no_more),
        cmocka_unit_test(a_full_backlog_makes_connects_wait),
        cmocka_unit_test(a_cut_link_holds_everything_up),
        cmocka_unit_test(a_cut_that_lasts_ends_a_connect),
        cmocka_unit_test(a_reset_reaches_both_ends),
        cmocka_unit_test(a_connect_is_refused),
        cmocka_unit_test(cut_by_chance_and_whole_again),
        cmocka_unit_test(reads_are_short),
        cmocka_unit_test(writes_go_out_in_pieces),
        cmocka_unit_test(a_result_may_come_before_its_cancel),
        cmocka_unit_test(descriptors_run_out),
        cmocka_unit_test(blocking_calls_are_refused),
        cmocka_unit_test(waits_are_cancelled),
        cmocka_unit_test(loops_share_a_listening_descriptor),
        cmocka_unit_test(families_and_wildcards),
        cmocka_unit_test(wrong_uses_have_their_errors),
        cmocka_unit_test(a_closed_listener_resets_who_waits),
        cmocka_unit_test(what_a_program_leaves_open_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
