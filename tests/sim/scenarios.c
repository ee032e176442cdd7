/* The scenarios themselves; see scenarios.h. */
#include "sim/scenarios.h"

#include <netinet/in.h>

#include <weir/chan.h>
#include <weir/stream.h>
#include <weir/sync.h>

#include "base/strbuf.h"
#include "sim/net.h"
#include "support/in_task.h"

static struct strbuf lines;

void say(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    strbuf_vaddf(&lines, fmt, args);
    va_end(args);
    strbuf_add_char(&lines, '\n');
}

const char *said(void)
{
    static char *last;

    free(last);
    last = strdup(lines.len ? lines.ptr : "");
    strbuf_done(&lines);
    lines = (struct strbuf)STRBUF_INIT;
    return last;
}

static void say_rc(const char *what, ssize_t rc)
{
    if (rc < 0)
        say("%s: %s", what, weir_error_name((int)rc));
    else
        say("%s: %zd", what, rc);
}

/* Everything up to the end, or the failure. */
static void say_rest(const char *who, struct sim_peer *peer)
{
    char text[1000];
    ssize_t n = sim_peer_recv_all(peer, text, sizeof(text) - 1);

    if (n < 0) {
        say_rc(who, n);
        return;
    }
    text[n] = '\0';
    say("%s: \"%s\"", who, text);
    if (n > 0)
        say_rc(who, sim_peer_recv(peer, text, 1));
}

static void say_send(const char *who, struct sim_peer *peer, const char *text)
{
    say_rc(who, sim_peer_send(peer, text, strlen(text)));
}

/* ---- streams ------------------------------------------------------------------- */

static int echo_server(void *arg)
{
    struct sim_peer peer;
    char text[16];
    ssize_t n;

    CHECK_INT(place_accept(arg, &peer), 0);
    while ((n = sim_peer_recv(&peer, text, sizeof(text))) > 0)
        CHECK_INT(sim_peer_send(&peer, text, (size_t)n), n);
    CHECK_INT(n, 0);
    say("server: end");
    sim_peer_close(&peer);
    return 0;
}

static int echo(void *arg)
{
    struct place place;
    struct sim_peer peer;

    (void)arg;
    place_open(&place, 8);
    WEIR_SCOPE(s) {
        weir_go(s, echo_server, &place);
        CHECK_INT(sim_peer_connect(&peer, place.port), 0);
        for (int i = 0; i < 3; i++) {
            say_send("client sends", &peer, "ping");
            net_expect(&peer, "ping");
            say("client: back");
        }
        CHECK_INT(sim_peer_shutdown(&peer), 0);
        say_rest("client", &peer);
        say_rc("join", weir_join(s));
    }
    sim_peer_close(&peer);
    place_close(&place);
    return 0;
}

static int half_close(void *arg)
{
    struct sim_peer one, other;

    (void)arg;
    net_pair(&one, &other);
    say_send("one", &one, "abc");
    say_rc("shutdown", sim_peer_shutdown(&one));
    say_send("one after shutdown", &one, "x");
    say_rest("other", &other);
    say_rc("other again", sim_peer_recv(&other, &(char){ 0 }, 1));
    say_send("other", &other, "still open");
    say_rc("other's shutdown", sim_peer_shutdown(&other));
    say_rest("one", &one);
    sim_peer_close(&one);
    sim_peer_close(&other);
    return 0;
}

static int reset_by_peer(void *arg)
{
    struct sim_peer one, other;

    (void)arg;
    net_pair(&one, &other);
    sim_peer_reset(&other);
    say_rest("reader", &one);
    say_rest("reader again", &one);
    say_send("writer", &one, "x");
    sim_peer_close(&one);

    net_pair(&one, &other);
    sim_peer_reset(&other);
    CHECK_INT(weir_sleep_ms(20), 0);
    say_send("writer first", &one, "x");
    say_send("writer again", &one, "x");
    say_rest("reader after it", &one);
    sim_peer_close(&one);
    return 0;
}

static int close_with_bytes_unread(void *arg)
{
    struct sim_peer one, other;

    (void)arg;
    net_pair(&one, &other);
    say_send("one", &one, "nobody reads this");
    say_send("other", &other, "bye");
    CHECK_INT(weir_sleep_ms(20), 0);
    sim_peer_close(&other);
    CHECK_INT(weir_sleep_ms(20), 0);
    net_expect(&one, "bye");
    say_rest("one", &one);
    say_rest("one again", &one);
    sim_peer_close(&one);
    return 0;
}

static int send_to_a_closed_peer(void *arg)
{
    struct sim_peer one, other;

    (void)arg;
    net_pair(&one, &other);
    sim_peer_close(&other);
    say_rest("reader", &one);
    say_send("the first", &one, "x");
    CHECK_INT(weir_sleep_ms(20), 0);
    say_send("the second", &one, "x");
    say_send("the third", &one, "x");
    say_rest("reader", &one);
    sim_peer_close(&one);
    return 0;
}

static int refused(void *arg)
{
    struct sim_peer peer;
    uint16_t port = place_dead_port();

    (void)arg;
    say_rc("connect", sim_peer_connect(&peer, port));
    say_rc("connect", sim_peer_connect(&peer, port));
    return 0;
}

/* ---- listening ------------------------------------------------------------------- */

struct greeter {
    struct place place;
    const char *text;
    int count;
};

static int greet(void *arg)
{
    struct greeter *g = arg;
    struct sim_peer peer;

    for (; g->count > 0; g->count--) {
        CHECK_INT(place_accept(&g->place, &peer), 0);
        CHECK_INT(sim_peer_send(&peer, g->text, strlen(g->text)), strlen(g->text));
        sim_peer_close(&peer);
    }
    return 0;
}

static int two_listeners(void *arg)
{
    struct greeter a = { .text = "from a", .count = 2 }, b = { .text = "from b", .count = 2 };
    struct sim_peer peer;

    (void)arg;
    place_open(&a.place, 8);
    place_open(&b.place, 8);
    WEIR_SCOPE(s) {
        weir_go(s, greet, &a);
        weir_go(s, greet, &b);
        for (int i = 0; i < 4; i++) {
            CHECK_INT(sim_peer_connect(&peer, (i & 1 ? &a : &b)->place.port), 0);
            say_rest("client", &peer);
            sim_peer_close(&peer);
        }
        say_rc("join", weir_join(s));
    }
    place_close(&a.place);
    place_close(&b.place);
    return 0;
}

static int listen_twice(void *arg)
{
    struct place one, two;

    (void)arg;
    place_open(&one, 8);
    say_rc("again", place_open_at(&two, one.port, false));
    say_rc("again, shared", place_open_at(&two, one.port, true));
    place_close(&one);
    say_rc("afterwards", place_open_at(&two, one.port, false));
    place_close(&two);
    return 0;
}

/* Connections wait for the accept, with what was sent meanwhile. */
static int late_accept(void *arg)
{
    struct place place;
    struct sim_peer clients[3], peer;

    (void)arg;
    place_open(&place, 8);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(sim_peer_connect(&clients[i], place.port), 0);
        CHECK_INT(sim_peer_send(&clients[i], "hello", 5), 5);
        CHECK_INT(weir_sleep_ms(10), 0);
    }
    sim_peer_close(&clients[1]);
    sim_peer_reset(&clients[2]);
    CHECK_INT(weir_sleep_ms(20), 0);
    for (int i = 0; i < 3; i++) {
        say_rc("accept", place_accept(&place, &peer));
        if (i == 0)
            CHECK_INT(sim_peer_shutdown(&clients[0]), 0);
        say_rest("server", &peer);
        sim_peer_close(&peer);
    }
    sim_peer_close(&clients[0]);
    place_close(&place);
    return 0;
}

static uint16_t port_at(struct sim_peer *peer, bool remote)
{
    struct loop *loop = loop_self();
    struct sockaddr_storage addr;
    socklen_t len;

    CHECK_INT(loop_io(loop)->address(loop, &peer->file, remote, &addr, &len), 0);
    CHECK_INT(addr.ss_family, AF_INET);
    CHECK_INT(((struct sockaddr_in *)&addr)->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    return ntohs(((struct sockaddr_in *)&addr)->sin_port);
}

static int addresses(void *arg)
{
    struct sim_peer one, other;

    (void)arg;
    net_pair(&one, &other);
    say("each other's: %d %d, different: %d", port_at(&one, true) == port_at(&other, false),
        port_at(&one, false) == port_at(&other, true), port_at(&one, true) != port_at(&one, false));
    sim_peer_close(&one);
    sim_peer_close(&other);
    return 0;
}

/* ---- much data --------------------------------------------------------------------- */

#define MUCH (16u << 20)

static char pattern(size_t at)
{
    return (char)(at * 7 + (at >> 12));
}

static int write_much(void *arg)
{
    char *data = malloc(MUCH);
    bool *done = ((void **)arg)[1];

    for (size_t i = 0; i < MUCH; i++)
        data[i] = pattern(i);
    CHECK_INT(sim_peer_send(((void **)arg)[0], data, MUCH), MUCH);
    *done = true;
    free(data);
    return sim_peer_shutdown(((void **)arg)[0]);
}

static int backpressure(void *arg)
{
    struct sim_peer one, other;
    static char piece[10000];
    bool done = false;
    void *writer[] = { &one, &done };
    size_t got = 0;
    ssize_t n;

    (void)arg;
    net_pair(&one, &other);
    WEIR_SCOPE(s) {
        weir_go(s, write_much, writer);
        CHECK_INT(weir_sleep_ms(100), 0);
        say("before anyone reads: %s", done ? "all sent" : "the writer waits");
        while ((n = sim_peer_recv(&other, piece, sizeof(piece))) > 0)
            for (ssize_t i = 0; i < n; i++, got++)
                CHECK(piece[i] == pattern(got));
        say_rc("reader", n);
        say("in order: %zu, the writer is done: %d", got, done);
        say_rc("join", weir_join(s));
    }
    sim_peer_close(&one);
    sim_peer_close(&other);
    return 0;
}

/* ---- giving up ----------------------------------------------------------------------- */

static int cancelled_receive(void *arg)
{
    struct sim_peer one, other;
    char byte;

    (void)arg;
    net_pair(&one, &other);
    WEIR_SCOPE(s, .timeout_ms = 20) {
        say_rc("receive", sim_peer_recv(&one, &byte, 1));
        say("timed out: %d", weir_timed_out(s));
        say_rc("receive again", sim_peer_recv(&one, &byte, 1));
    }
    say_send("other", &other, "later");
    net_expect(&one, "later");
    say("one: still usable");
    sim_peer_close(&one);
    sim_peer_close(&other);
    return 0;
}

/* What was sent before the cancel is counted, and is no more and no less than
 * what arrives. */
static int cancelled_send(void *arg)
{
    static char piece[10000];
    struct sim_peer one, other;
    char *data = calloc(1, MUCH);
    ssize_t sent = 0, got = 0, n;

    (void)arg;
    net_pair(&one, &other);
    WEIR_SCOPE(s, .timeout_ms = 50) {
        sent = sim_peer_send(&one, data, MUCH);
        say("sent a part: %d", sent > 0 && sent < MUCH);
        say_send("send again", &one, "x");
    }
    free(data);
    CHECK_INT(sim_peer_shutdown(&one), 0);
    while ((n = sim_peer_recv(&other, piece, sizeof(piece))) > 0)
        got += n;
    say("the same part arrived: %d", got == sent);
    sim_peer_close(&one);
    sim_peer_close(&other);
    return 0;
}

static int cancelled_accept(void *arg)
{
    struct place place;
    struct sim_peer client, peer;

    (void)arg;
    place_open(&place, 8);
    WEIR_SCOPE(s, .timeout_ms = 20) {
        say_rc("accept", place_accept(&place, &peer));
    }
    CHECK_INT(sim_peer_connect(&client, place.port), 0);
    say_rc("accept", place_accept(&place, &peer));
    sim_peer_close(&client);
    say_rest("server", &peer);
    sim_peer_close(&peer);
    place_close(&place);
    return 0;
}

/* A connect has to wait when the queue of the listener is full. */
static int cancelled_connect(void *arg)
{
    struct place place;
    struct sim_peer clients[16];
    int count = 0, rc = 0;

    (void)arg;
    place_open(&place, 1);
    while (count < 16 && rc == 0) {
        WEIR_SCOPE(s, .timeout_ms = 100) {
            rc = sim_peer_connect(&clients[count], place.port);
        }
        count += rc == 0;
    }
    say_rc("connect", rc);
    say("after some that went through: %d", count > 0 && count < 16);
    while (count-- > 0)
        sim_peer_close(&clients[count]);
    place_close(&place);
    return 0;
}

static int receive_one(void *arg)
{
    char byte;
    ssize_t n = sim_peer_recv(arg, &byte, 1);

    say_rc("child", n);
    return n < 0 ? (int)n : 0;
}

static int failing_sibling(void *arg)
{
    (void)arg;
    CHECK_INT(weir_sleep_ms(10), 0);
    return -EIO;
}

static int failure_cancels_siblings(void *arg)
{
    struct sim_peer one, other;

    (void)arg;
    net_pair(&one, &other);
    WEIR_SCOPE(s) {
        weir_go(s, receive_one, &one);
        weir_go(s, failing_sibling, NULL);
        say_rc("join", weir_join(s));
    }
    sim_peer_close(&one);
    sim_peer_close(&other);
    return 0;
}

typedef WEIR_CHAN(int) int_chan;

static int_chan items;

static int take_items(void *arg)
{
    int n = 0;

    (void)arg;
    say_rc("first", weir_recv(items, &n));
    say("item: %d", n);
    say_rc("second", weir_recv(items, &n));
    return 0;
}

static int result_beats_cancel(void *arg)
{
    struct sim_peer one, other;
    char byte = 0;

    (void)arg;
    CHECK_INT(weir_chan_open(&items, .capacity = 0), 0);
    WEIR_SCOPE(s) {
        weir_go(s, take_items, NULL);
        CHECK_INT(weir_sleep_ms(5), 0);
        say_rc("send", weir_send(items, &(int){ 42 }));
        weir_cancel(s);
        say_rc("join", weir_join(s));
    }
    weir_chan_free(items);
    /* The bytes are there when the deadline is found to have passed. */
    net_pair(&one, &other);
    CHECK_INT(sim_peer_send(&other, "x", 1), 1);
    CHECK_INT(weir_sleep_ms(20), 0);
    WEIR_SCOPE(s) {
        struct io_op op = { .file = &one.file, .kind = IO_RECV };

        say_rc("receive", rt_io(&op, "receive"));
        weir_cancel(s);
        io_cancel(loop_self(), &op); /* too late: it does nothing */
        say("pending %d, cancelled %d, result %d", op.pending, op.cancelled, op.res);
        buf_unref(op.recv.buf);
        say_rc("receive again", sim_peer_recv(&one, &byte, 1));
    }
    sim_peer_close(&one);
    sim_peer_close(&other);
    return 0;
}

static int busy_descriptor(void *arg)
{
    struct sim_peer one, other;
    char byte;

    (void)arg;
    net_pair(&one, &other);
    WEIR_SCOPE(s) {
        weir_go(s, receive_one, &one);
        CHECK_INT(weir_sleep_ms(5), 0);
        say_rc("a second reader", sim_peer_recv(&one, &byte, 1));
        say_send("other", &other, "x");
        say_rc("join", weir_join(s));
    }
    sim_peer_close(&one);
    sim_peer_close(&other);
    return 0;
}

/* ---- time, channels, blocking calls, the end ------------------------------------------ */

static int say_after(void *arg)
{
    uint32_t ms = *(uint32_t *)arg;

    CHECK_INT(weir_sleep_ms(ms), 0);
    say("after %u", ms);
    return 0;
}

static int timers(void *arg)
{
    uint32_t times[] = { 60, 20, 100, 40, 80 };

    (void)arg;
    WEIR_SCOPE(s) {
        for (int i = 0; i < 5; i++)
            weir_go(s, say_after, &times[i]);
        say_rc("join", weir_join(s));
    }
    return 0;
}

static int deadlines(void *arg)
{
    (void)arg;
    WEIR_SCOPE(outer, .timeout_ms = 30) {
        WEIR_SCOPE(inner, .timeout_ms = 10000) {
            say_rc("inner", weir_sleep_ms(20000));
            say("inner timed out: %d, outer: %d", weir_timed_out(inner), weir_timed_out(outer));
        }
        say_rc("outer", weir_sleep_ms(1));
    }
    WEIR_SCOPE(s, .timeout_ms = 20) {
        WEIR_SCOPE(shield, .shield = true, .grace_ms = 60) {
            say_rc("in the shield", weir_sleep_ms(40));
            say_rc("after its grace", weir_sleep_ms(1000));
        }
        say_rc("behind it", weir_sleep_ms(1));
    }
    return 0;
}

struct ball {
    int_chan to_socket, from_socket;
    struct sim_peer peer;
};

static int socket_to_chan(void *arg)
{
    struct ball *ball = arg;
    unsigned char n;

    while (sim_peer_recv(&ball->peer, &n, 1) == 1)
        CHECK_INT(weir_send(ball->from_socket, &(int){ n }), 1);
    weir_close(ball->from_socket);
    return 0;
}

static int chan_to_socket(void *arg)
{
    struct ball *ball = arg;
    int n;

    while (weir_recv(ball->to_socket, &n) == 1)
        CHECK_INT(sim_peer_send(&ball->peer, &(unsigned char){ (unsigned char)n }, 1), 1);
    return sim_peer_shutdown(&ball->peer);
}

static int add_one(void *arg)
{
    unsigned char n;

    while (sim_peer_recv(arg, &n, 1) == 1) {
        n++;
        CHECK_INT(sim_peer_send(arg, &n, 1), 1);
    }
    return sim_peer_shutdown(arg);
}

static int ping_pong(void *arg)
{
    struct ball ball;
    struct sim_peer other;
    int n = 0;

    (void)arg;
    net_pair(&ball.peer, &other);
    CHECK_INT(weir_chan_open(&ball.to_socket, .capacity = 1), 0);
    CHECK_INT(weir_chan_open(&ball.from_socket, .capacity = 0), 0);
    WEIR_SCOPE(s) {
        weir_go(s, socket_to_chan, &ball);
        weir_go(s, chan_to_socket, &ball);
        weir_go(s, add_one, &other);
        while (n < 5) {
            CHECK_INT(weir_send(ball.to_socket, &n), 1);
            CHECK_INT(weir_recv(ball.from_socket, &n), 1);
            say("ball %d", n);
        }
        weir_close(ball.to_socket);
        say_rc("the end", weir_recv(ball.from_socket, &n));
        say_rc("join", weir_join(s));
    }
    weir_chan_free(ball.to_socket);
    weir_chan_free(ball.from_socket);
    sim_peer_close(&ball.peer);
    sim_peer_close(&other);
    return 0;
}

static int select_over_time(void *arg)
{
    weir_pick pick;
    int n = 0;

    (void)arg;
    CHECK_INT(weir_chan_open(&items, .capacity = 1), 0);
    pick = weir_select(WEIR_RECV(items, &n), WEIR_AFTER_MS(10));
    say("arm %d: %d", pick.arm, pick.rc);
    CHECK_INT(weir_send(items, &(int){ 7 }), 1);
    pick = weir_select(WEIR_RECV(items, &n), WEIR_AFTER_MS(10));
    say("arm %d: %d, item %d", pick.arm, pick.rc, n);
    WEIR_SCOPE(s, .timeout_ms = 10) {
        pick = weir_select(WEIR_RECV(items, &n), WEIR_AFTER_MS(10000));
        say("arm %d: %s", pick.arm, weir_error_name(pick.rc));
    }
    weir_chan_free(items);
    return 0;
}

static int fail_slowly(void *arg)
{
    ++*(int *)arg;
    return weir_fail(-ENOSPC, "the disk is full");
}

static int blocking(void *arg)
{
    char text[100];
    int calls = 0;

    (void)arg;
    say_rc("block", weir_block(fail_slowly, &calls));
    weir_error_print(text, sizeof(text));
    say("called %d time: %s", calls, text);
    weir_recover();
    WEIR_SCOPE(s) {
        weir_cancel(s);
        say_rc("cancelled before", weir_block(fail_slowly, &calls));
        say("called %d time", calls);
    }
    return 0;
}

static int accept_until_stop(void *arg)
{
    weir_stream *stream;
    int rc;

    while ((rc = weir_accept(arg, &stream)) == 1) {
        say("accepted");
        weir_stream_close(stream);
    }
    say_rc("accept", rc);
    say("stopping: %d", weir_stopping());
    return rc;
}

static int stop_ends_accept(void *arg)
{
    weir_listener *listener;
    struct sim_peer peer;

    (void)arg;
    CHECK_INT(weir_listen("127.0.0.1:0", &listener), 0);
    WEIR_SCOPE(s) {
        weir_go(s, accept_until_stop, listener);
        CHECK_INT(sim_peer_connect(&peer, weir_listener_port(listener)), 0);
        say_rest("client", &peer);
        weir_stop(s);
        say_rc("join", weir_join(s));
    }
    sim_peer_close(&peer);
    weir_listener_close(listener);
    return 0;
}

static int is_dead(void *arg)
{
    struct sim_peer one, other;
    struct loop *loop = loop_self();

    (void)arg;
    for (int how = 0; how < 3; how++) {
        net_pair(&one, &other);
        CHECK_INT(weir_sleep_ms(10), 0);
        say("idle: dead %d", loop_io(loop)->is_dead(loop, &one.file));
        if (how == 0)
            CHECK_INT(sim_peer_send(&other, "x", 1), 1);
        if (how < 2)
            sim_peer_close(&other);
        else
            sim_peer_reset(&other);
        CHECK_INT(weir_sleep_ms(10), 0);
        say("%s: dead %d",
            how == 0   ? "bytes and a close"
            : how == 1 ? "close"
                       : "reset",
            loop_io(loop)->is_dead(loop, &one.file));
        sim_peer_close(&one);
    }
    return 0;
}

/* ---- channels and locks between tasks -------------------------------------------- */

typedef WEIR_CHAN(int) number_chan;

static int send_three(void *arg)
{
    number_chan *chan = arg;

    for (int i = 1; i <= 3; i++) {
        say("offers %d", i);
        CHECK_INT(weir_send(*chan, &i), 1);
        CHECK_INT(weir_sleep_ms(40), 0);
    }
    weir_close(*chan);
    return 0;
}

/* A send at a rendezvous ends when its item has been taken. */
static int rendezvous(void *arg)
{
    number_chan chan;
    int n = 0, rc;

    (void)arg;
    CHECK_INT(weir_chan_open(&chan, .capacity = 0), 0);
    say_rc("nobody takes it", weir_try_send(chan, &n));
    WEIR_SCOPE(s) {
        weir_go(s, send_three, &chan);
        CHECK_INT(weir_sleep_ms(20), 0);
        while ((rc = weir_recv(chan, &n)) == 1)
            say("took %d", n);
        say_rc("end", rc);
        say_rc("join", weir_join(s));
    }
    say_rc("after the close", weir_send(chan, &n));
    weir_recover();
    weir_chan_free(chan);
    return 0;
}

static number_chan there, back;

static int double_all(void *arg)
{
    int n, rc;

    (void)arg;
    while ((rc = weir_recv(there, &n)) == 1)
        CHECK_INT(weir_send(back, &(int){ 2 * n }), 1);
    CHECK_INT(rc, 0);
    weir_close(back);
    return 0;
}

static int shared_channel(void *arg)
{
    int n, sum = 0, rc;

    (void)arg;
    CHECK_INT(weir_chan_open(&there, .capacity = 2, .shared = true), 0);
    CHECK_INT(weir_chan_open(&back, .capacity = 2, .shared = true), 0);
    CHECK_INT(weir_submit(1, double_all, NULL), 0);
    for (int i = 0; i < 50; i++) {
        CHECK_INT(weir_send(there, &i), 1);
        CHECK_INT(weir_recv(back, &n), 1);
        CHECK_INT(n, 2 * i);
        sum += n;
    }
    WEIR_SCOPE(s, .timeout_ms = 30) {
        say_rc("nothing comes", weir_recv(back, &n));
    }
    weir_recover();
    weir_close(there);
    rc = weir_recv(back, &n);
    say("sum %d, then %d", sum, rc);
    weir_chan_free(there);
    weir_chan_free(back);
    return 0;
}

struct readers {
    weir_rwlock lock;
    weir_mutex mutex;
    weir_condition changed;
    weir_latch latch;
    int value;
};

static int read_value(void *arg)
{
    struct readers *r = arg;

    CHECK_INT(weir_read_lock(&r->lock), 0);
    say("reads %d", r->value);
    CHECK_INT(weir_sleep_ms(300), 0); /* long enough for a busy machine */
    weir_read_unlock(&r->lock);
    return 0;
}

static int write_value(void *arg)
{
    struct readers *r = arg;

    CHECK_INT(weir_sleep_ms(10), 0);
    CHECK_INT(weir_write_lock(&r->lock), 0);
    say("writes %d", ++r->value);
    weir_write_unlock(&r->lock);
    return 0;
}

/* A writer waits for the readers, and a reader that comes then for the writer. */
static int readers_and_writer(void *arg)
{
    struct readers r = { .value = 0 };

    (void)arg;
    WEIR_SCOPE(s) {
        weir_go(s, read_value, &r);
        weir_go(s, read_value, &r);
        weir_go(s, write_value, &r);
        CHECK_INT(weir_sleep_ms(20), 0);
        WEIR_SCOPE(patience, .timeout_ms = 5) {
            say_rc("a third reader", weir_read_lock(&r.lock));
        }
        weir_recover();
        say_rc("join", weir_join(s));
    }
    CHECK_INT(read_value(&r), 0);
    weir_rwlock_done(&r.lock);
    return 0;
}

static int set_in_steps(void *arg)
{
    struct readers *r = arg;

    for (int i = 1; i <= 3; i++) {
        CHECK_INT(weir_sleep_ms(20), 0);
        CHECK_INT(weir_lock(&r->mutex), 0);
        r->value = i;
        weir_condition_broadcast(&r->changed);
        weir_unlock(&r->mutex);
        weir_latch_count_down(&r->latch);
    }
    return 0;
}

static int condition_and_latch(void *arg)
{
    struct readers r = { .value = 0 };
    int rc = 0;

    (void)arg;
    weir_latch_init(&r.latch, 3);
    WEIR_SCOPE(s) {
        weir_go(s, set_in_steps, &r);
        CHECK_INT(weir_lock(&r.mutex), 0);
        while (rc == 0 && r.value < 2) {
            rc = weir_condition_wait(&r.changed, &r.mutex);
            say("woken at %d", r.value);
        }
        weir_unlock(&r.mutex);
        say_rc("latch", weir_latch_wait(&r.latch));
        say("value %d", r.value);
        CHECK_INT(weir_lock(&r.mutex), 0);
        WEIR_SCOPE(patience, .timeout_ms = 20) {
            say_rc("no signal", weir_condition_wait(&r.changed, &r.mutex));
        }
        weir_recover();
        weir_unlock(&r.mutex);
        say_rc("join", weir_join(s));
    }
    return 0;
}

#define SCENARIO(name) { #name, name, 1 }

const struct scenario scenarios[] = {
    SCENARIO(echo),
    SCENARIO(half_close),
    SCENARIO(reset_by_peer),
    SCENARIO(close_with_bytes_unread),
    SCENARIO(send_to_a_closed_peer),
    SCENARIO(refused),
    SCENARIO(two_listeners),
    SCENARIO(listen_twice),
    SCENARIO(late_accept),
    SCENARIO(addresses),
    SCENARIO(backpressure),
    SCENARIO(cancelled_receive),
    SCENARIO(cancelled_send),
    SCENARIO(cancelled_accept),
    SCENARIO(cancelled_connect),
    SCENARIO(failure_cancels_siblings),
    SCENARIO(result_beats_cancel),
    SCENARIO(busy_descriptor),
    SCENARIO(timers),
    SCENARIO(deadlines),
    SCENARIO(ping_pong),
    SCENARIO(select_over_time),
    SCENARIO(blocking),
    SCENARIO(stop_ends_accept),
    SCENARIO(is_dead),
    SCENARIO(rendezvous),
    { "shared_channel", shared_channel, 2 },
    SCENARIO(readers_and_writer),
    SCENARIO(condition_and_latch),
    SCENARIO(datagrams),
    SCENARIO(datagrams_of_both_families),
    SCENARIO(datagrams_refused),
    SCENARIO(datagrams_of_a_peer),
    SCENARIO(datagrams_wrong),
};

const int scenario_count = sizeof(scenarios) / sizeof(*scenarios);
