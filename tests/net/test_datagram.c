/* Datagrams, of the kernel and of the simulated network: there and back, cut and said to be, in batches, and given up. */
#include "support/both.h"

#include <sys/stat.h>
#include <unistd.h>

#include <weir/datagram.h>

#include "support/sweep.h"

static weir_datagram *open_at(const char *address)
{
    weir_datagram *d = NULL;

    CHECK_INT(weir_datagram_open(address, &d), 0);
    return d;
}

static void exchange(const char *one_at, const char *other_at)
{
    weir_datagram *one = open_at(one_at), *other = open_at(other_at);
    weir_address to = weir_datagram_address(other), from = weir_datagram_address(one);
    char data[100];
    weir_packet p = { .data = data, .room = sizeof(data) };

    CHECK_INT(weir_datagram_send(one, WEIR_S("hello"), &to), 0);
    CHECK_INT(weir_datagram_recv(other, &p), 1);
    CHECK(p.len == 5 && memcmp(data, "hello", 5) == 0 && !p.truncated);
    CHECK_TEXT(weir_address_text(&p.peer).ptr, weir_address_text(&from).ptr);
    CHECK_INT(weir_datagram_send(other, WEIR_S(""), &p.peer), 0);
    CHECK_INT(weir_datagram_recv(one, &p), 1);
    CHECK_INT(p.len, 0);
    CHECK_INT(weir_datagram_send(one, weir_str_from(NULL, 0), &to), -ENOMEM);
    weir_datagram_close(one);
    weir_datagram_close(other);
}

BOTH_TEST(there_and_back, opts.latency_ms = 3)
{
    const char *path = weir_format("unix:/tmp/weir-test-dgram-%d", (int)getpid()).ptr;
    struct stat st;

    (void)arg;
    exchange("127.0.0.1:0", "127.0.0.1:0");
    exchange(weir_format("%s.1", path).ptr, weir_format("%s.2", path).ptr);
    CHECK(stat(weir_format("%s.1", path).ptr + 5, &st) < 0);
    return 0;
}

BOTH_TEST(what_is_too_long_is_cut_and_said_to_be)
{
    weir_datagram *d = open_at("127.0.0.1:0");
    weir_address self = weir_datagram_address(d);
    static char large[70000];
    char data[4];
    weir_packet p = { .data = data, .room = sizeof(data) };

    (void)arg;
    CHECK_INT(weir_datagram_send(d, WEIR_S("12345"), &self), 0);
    CHECK_INT(weir_datagram_send(d, WEIR_S("abcd"), &self), 0);
    CHECK_INT(weir_datagram_recv(d, &p), 1);
    CHECK(p.len == 4 && p.truncated && memcmp(data, "1234", 4) == 0);
    CHECK_INT(weir_datagram_recv(d, &p), 1);
    CHECK(p.len == 4 && !p.truncated && memcmp(data, "abcd", 4) == 0);
    CHECK_INT(weir_datagram_send(d, weir_str_from(large, sizeof(large)), &self), -EMSGSIZE);
    CHECK_INT(weir_datagram_send(d, WEIR_S("x"), NULL), -EDESTADDRREQ);
    weir_datagram_close(d);
    return 0;
}

#define MANY 100

BOTH_TEST(many_at_once)
{
    weir_datagram *d = open_at("127.0.0.1:0");
    weir_packet out[MANY] = { 0 }, in[MANY] = { 0 };
    char bytes[MANY][8];
    int sent = 0, got = 0;

    (void)arg;
    for (int i = 0; i < MANY; i++) {
        out[i].data = (void *)weir_format("%d", i).ptr;
        out[i].len = strlen(out[i].data);
        out[i].peer = weir_datagram_address(d);
        in[i].data = bytes[i];
        in[i].room = sizeof(bytes[i]);
    }
    while (sent < MANY) {
        int n = weir_datagram_send_many(d, out + sent, (size_t)(MANY - sent));

        CHECK(n > 0 && n <= 64);
        sent += n;
    }
    while (got < MANY) {
        int n = weir_datagram_recv_many(d, in + got, (size_t)(MANY - got));

        CHECK(n > 0 && n <= 64);
        got += n;
    }
    for (int i = 0; i < MANY; i++)
        CHECK(in[i].len == out[i].len && memcmp(bytes[i], out[i].data, in[i].len) == 0);
    weir_datagram_close(d);
    return 0;
}

BOTH_TEST(a_connected_socket_has_one_peer_and_hears_of_its_absence)
{
    weir_datagram *d = open_at("127.0.0.1:0"), *peer = open_at("127.0.0.1:0");
    weir_datagram *stranger = open_at("127.0.0.1:0");
    weir_address at = weir_datagram_address(peer), self = weir_datagram_address(d);
    char data[10];
    weir_packet p = { .data = data, .room = sizeof(data) };
    int rc = 0;

    (void)arg;
    CHECK_INT(weir_datagram_connect(d, weir_address_text(&at).ptr), 0);
    CHECK_INT(weir_datagram_send(stranger, WEIR_S("no"), &self), 0);
    CHECK_INT(weir_datagram_send(d, WEIR_S("yes"), NULL), 0);
    CHECK_INT(weir_datagram_recv(peer, &p), 1);
    CHECK_INT(weir_datagram_send(peer, WEIR_S("back"), &p.peer), 0);
    CHECK_INT(weir_datagram_recv(d, &p), 1);
    CHECK_INT(p.len, 4);
    weir_datagram_close(peer);
    CHECK_INT(weir_datagram_send(d, WEIR_S("anybody?"), NULL), 0);
    WEIR_SCOPE(s, .timeout_ms = 5000)
        rc = weir_datagram_recv(d, &p);
    CHECK_INT(rc, -ECONNREFUSED);
    weir_datagram_close(d);
    weir_datagram_close(stranger);
    return 0;
}

static int receive_one(void *arg)
{
    char data[10];
    weir_packet p = { .data = data, .room = sizeof(data) };

    return weir_datagram_recv(arg, &p);
}

BOTH_TEST(a_wait_is_given_up_by_deadline_cancel_and_stop, opts.permute = 0)
{
    weir_datagram *d = open_at("127.0.0.1:0");
    weir_address self = weir_datagram_address(d);
    int rc = 5;

    (void)arg;
    WEIR_SCOPE(s, .timeout_ms = 15) {
        CHECK_INT(receive_one(d), -ETIMEDOUT);
        CHECK_INT(weir_datagram_send(d, WEIR_S("x"), &self), -ETIMEDOUT);
    }
    WEIR_SCOPE(s) {
        weir_task task = weir_go(s, receive_one, d, .optional = true, .hold = true);

        CHECK_INT(weir_yield(), 0);
        CHECK_INT(receive_one(d), -EBUSY);
        weir_cancel(s);
        CHECK_INT(weir_join(s), 0);
        CHECK_INT(weir_result(task, &rc), 0);
        CHECK_INT(rc, -ECANCELED);
    }
    WEIR_SCOPE(s) {
        weir_task task = weir_go(s, receive_one, d, .hold = true);

        CHECK_INT(weir_yield(), 0);
        weir_stop(s);
        CHECK_INT(weir_join(s), 0);
        CHECK_INT(weir_result(task, &rc), 0);
        CHECK_INT(rc, 0);
    }
    /* Nothing of that has lost anything. */
    CHECK_INT(weir_datagram_send(d, WEIR_S("x"), &self), 0);
    CHECK_INT(receive_one(d), 1);
    weir_datagram_close(d);
    return 0;
}

static int send_later(void *arg)
{
    weir_datagram *d = arg;
    weir_address self = weir_datagram_address(d);
    int rc = weir_sleep_ms(1);

    return rc < 0 ? rc : weir_datagram_send(d, WEIR_S("late"), &self);
}

static int scenario(void *arg)
{
    weir_datagram *d = open_at("127.0.0.1:0");
    int rc = 0;

    (void)arg;
    WEIR_SCOPE(s) {
        weir_go(s, send_later, d, .optional = true);
        sweep_at(s);
        rc = receive_one(d);
        sweep_over();
        CHECK(rc == 1 || rc == -ECANCELED);
        CHECK(weir_join(s) <= 0);
    }
    weir_datagram_close(d);
    return 0;
}

static int simulated(weir_fn *fn, void *arg, const weir_run_opts *how)
{
    (void)arg;
    (void)how;
    return SIMULATED(fn, opts.latency_ms = 1);
}

static void a_cancel_at_every_wait(void **state)
{
    (void)state;
    assert_true(sweep_waits(scenario, NULL) >= 1);
    assert_true(sweep_waits_by(simulated, scenario, NULL) >= 1);
}

BOTH_TEST(a_full_unix_queue_is_waited_for)
{
    const char *path = weir_format("unix:@weir-test-dgram-%d", (int)getpid()).ptr;
    weir_datagram *to = open_at(path), *from = open_at(weir_format("%s-from", path).ptr);
    weir_address at = weir_datagram_address(to);
    int sent = 0, rc = 0, got = 0;

    (void)arg;
    WEIR_SCOPE(s, .timeout_ms = 30) {
        while ((rc = weir_datagram_send(from, WEIR_S("fill"), &at)) == 0)
            sent++;
        CHECK_INT(rc, -ETIMEDOUT);
    }
    CHECK(sent > 0);
    while (got < sent) {
        CHECK_INT(receive_one(to), 1);
        got++;
    }
    weir_datagram_close(to);
    weir_datagram_close(from);
    return 0;
}

BOTH_TEST(what_can_not_be_opened_says_so)
{
    weir_datagram *d = open_at("127.0.0.1:0"), *second;
    weir_address at = weir_datagram_address(d);
    char text[300];

    (void)arg;
    CHECK_INT(weir_datagram_open(weir_address_text(&at).ptr, &second), -EADDRINUSE);
    weir_error_print(text, sizeof(text));
    CHECK(strstr(text, "opening a socket for datagrams at 127.0.0.1:"));
    CHECK_INT(weir_datagram_open("nonsense", &second), -EINVAL);
    CHECK_INT(weir_datagram_connect(d, "[::1]:80"), -EAFNOSUPPORT);
    weir_recover();
    weir_datagram_close(d);
    weir_datagram_close(NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(what_is_too_long_is_cut_and_said_to_be),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(a_connected_socket_has_one_peer_and_hears_of_its_absence),
        cmocka_unit_test(a_wait_is_given_up_by_deadline_cancel_and_stop),
        cmocka_unit_test(a_cancel_at_every_wait),
        cmocka_unit_test(a_full_unix_queue_is_waited_for),
        cmocka_unit_test(what_can_not_be_opened_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
