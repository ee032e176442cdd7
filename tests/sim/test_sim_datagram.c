/* Datagrams of the simulated network by themselves: what is lost, doubled, held up and
 * cut off, when a sender waits, and programs that live with all of it. That they
 * behave as the kernel's is test_scenarios.c's. */
#include "support/both.h"

#include <weir/datagram.h>
#include <weir/sim.h>
#include <weir/time.h>

#define SIM_TEST(name, ...)                                                    \
    static int name##_task(void *arg);                                         \
    static void name(void **state)                                             \
    {                                                                          \
        (void)state;                                                           \
        assert_int_equal(SIMULATED(name##_task, __VA_ARGS__), 0);              \
    }                                                                          \
    static int name##_task(void *arg)

static int64_t now_ms(void)
{
    return weir_now().ns / 1000000;
}

static weir_datagram *open_at(const char *address)
{
    weir_datagram *d = NULL;

    CHECK_INT(weir_datagram_open(address, &d), 0);
    return d;
}

static uint16_t port_of(const weir_datagram *d)
{
    weir_address at = weir_datagram_address(d);

    return (uint16_t)strtoul(strrchr(weir_address_text(&at).ptr, ':') + 1, NULL, 10);
}

/* A number, to or from; -1: none came within ms. */
static void send_number(weir_datagram *d, int n, const weir_address *to)
{
    CHECK_INT(weir_datagram_send(d, weir_str_from((char *)&n, sizeof(n)), to), 0);
}

static int receive_number(weir_datagram *d, uint32_t ms)
{
    int n = -1, rc = 0;
    weir_packet p = { .data = &n, .room = sizeof(n) };

    WEIR_SCOPE(s, .timeout_ms = ms)
        rc = weir_datagram_recv(d, &p);
    CHECK(rc == 1 || rc == -ETIMEDOUT);
    weir_recover();
    return n;
}

/* ---- chance ---------------------------------------------------------------------- */

#define NUMBERS 1000

/* How many numbers were lost, came again, and came after a later one. */
struct tally {
    int lost, again, late;
};

static struct tally send_numbers(void)
{
    weir_datagram *from = open_at("127.0.0.1:0"), *to = open_at("127.0.0.1:7000");
    weir_address at = weir_datagram_address(to);
    int seen[NUMBERS] = { 0 }, last = -1, n;
    struct tally tally = { 0 };

    for (int i = 0; i < NUMBERS; i++) {
        send_number(from, i, &at);
        while ((n = receive_number(to, 1)) >= 0) {
            tally.again += seen[n]++ > 0;
            tally.late += n < last;
            last = n > last ? n : last;
        }
    }
    while ((n = receive_number(to, 1000)) >= 0) {
        tally.again += seen[n]++ > 0;
        tally.late += n < last;
        last = n > last ? n : last;
    }
    for (int i = 0; i < NUMBERS; i++)
        tally.lost += seen[i] == 0;
    weir_datagram_close(from);
    weir_datagram_close(to);
    return tally;
}

SIM_TEST(nothing_fails_unasked)
{
    struct tally t = send_numbers();

    (void)arg;
    CHECK(t.lost == 0 && t.again == 0 && t.late == 0);
    return 0;
}

SIM_TEST(some_are_lost, opts.loss = 100)
{
    struct tally t = send_numbers();

    (void)arg;
    CHECK(t.lost > 60 && t.lost < 140 && t.again == 0 && t.late == 0);
    return 0;
}

SIM_TEST(some_come_twice, opts.duplicate = 100)
{
    struct tally t = send_numbers();

    (void)arg;
    CHECK(t.lost == 0 && t.again > 60 && t.again < 140);
    return 0;
}

SIM_TEST(some_are_overtaken, opts.reorder = 100)
{
    struct tally t = send_numbers();

    (void)arg;
    CHECK(t.lost == 0 && t.again == 0 && t.late > 60 && t.late < 140);
    return 0;
}

SIM_TEST(jitter_alone_changes_their_order, opts.jitter_ms = 50)
{
    struct tally t = send_numbers();

    (void)arg;
    CHECK(t.lost == 0 && t.again == 0 && t.late > 100);
    return 0;
}

SIM_TEST(cuts_by_chance_lose_some, opts.partition = 5; opts.one_way = 5)
{
    struct tally t = send_numbers();

    (void)arg;
    CHECK(t.lost > 0 && t.lost < NUMBERS && t.again == 0);
    return 0;
}

/* ---- links ----------------------------------------------------------------------- */

SIM_TEST(a_link_takes_its_time_both_ways, opts.latency_ms = 1)
{
    weir_datagram *client = open_at("127.0.0.1:0"), *server = open_at("127.0.0.1:0");
    weir_address at = weir_datagram_address(server), back = weir_datagram_address(client);

    (void)arg;
    sim_link_latency(sim_self(), port_of(server), 40, 0);
    send_number(client, 1, &at);
    CHECK_INT(receive_number(server, 100), 1);
    CHECK_INT(now_ms(), 40);
    send_number(server, 2, &back);
    CHECK_INT(receive_number(client, 100), 2);
    CHECK_INT(now_ms(), 80);
    weir_datagram_close(client);
    weir_datagram_close(server);
    return 0;
}

SIM_TEST(a_cut_link_loses_what_leaves_and_what_arrives, opts.latency_ms = 10)
{
    weir_datagram *client = open_at("127.0.0.1:0"), *server = open_at("127.0.0.1:7000");
    weir_address at = weir_datagram_address(server), back = weir_datagram_address(client);

    (void)arg;
    send_number(client, 1, &at); /* under way when it is cut */
    sim_link_cut(sim_self(), 7000, true);
    send_number(client, 2, &at);
    send_number(server, 3, &back);
    CHECK_INT(receive_number(server, 100), -1);
    CHECK_INT(receive_number(client, 100), -1);
    send_number(client, 4, &at); /* whole again before it would have come */
    CHECK_INT(weir_sleep_ms(1), 0);
    sim_link_cut(sim_self(), 7000, false);
    CHECK_INT(receive_number(server, 100), -1);
    send_number(client, 5, &at);
    send_number(server, 6, &back);
    CHECK_INT(receive_number(server, 100), 5);
    CHECK_INT(receive_number(client, 100), 6);
    weir_datagram_close(client);
    weir_datagram_close(server);
    return 0;
}

SIM_TEST(word_of_nobody_takes_the_way_back, opts.latency_ms = 30)
{
    weir_datagram *d = open_at("127.0.0.1:0");
    char data[4];
    weir_packet p = { .data = data, .room = sizeof(data) };

    (void)arg;
    CHECK_INT(weir_datagram_connect(d, "127.0.0.1:7000"), 0);
    send_number(d, 1, NULL);
    CHECK_INT(weir_datagram_recv(d, &p), -ECONNREFUSED);
    CHECK_INT(now_ms(), 60);
    sim_link_cut(sim_self(), 7000, true);
    send_number(d, 2, NULL);
    CHECK_INT(receive_number(d, 1000), -1);
    weir_recover();
    weir_datagram_close(d);
    return 0;
}

SIM_TEST(a_sender_waits_for_a_slow_link, opts.bandwidth = 1; opts.buffer_bytes = 1000)
{
    weir_datagram *client = open_at("127.0.0.1:0"), *server = open_at("127.0.0.1:7000");
    weir_address at = weir_datagram_address(server);
    char data[500] = { 0 };
    weir_str text = weir_str_from(data, sizeof(data));
    weir_packet p = { .data = data, .room = sizeof(data) };
    int rc = 0;

    (void)arg;
    for (int i = 0; i < 3; i++)
        CHECK_INT(weir_datagram_send(client, text, &at), 0);
    CHECK_INT(now_ms(), 0);
    WEIR_SCOPE(s, .timeout_ms = 400)
        rc = weir_datagram_send(client, text, &at);
    CHECK_INT(rc, -ETIMEDOUT);
    weir_recover();
    CHECK_INT(weir_datagram_send(client, text, &at), 0);
    CHECK_INT(now_ms(), 500);
    for (int i = 1; i <= 4; i++)
        CHECK_INT(weir_datagram_recv(server, &p), 1);
    CHECK_INT(now_ms(), 2000);
    weir_datagram_close(client);
    weir_datagram_close(server);
    return 0;
}

/* ---- who receives ---------------------------------------------------------------- */

SIM_TEST(a_receiver_without_room_loses_what_comes)
{
    weir_datagram *d = open_at("127.0.0.1:0"), *small;
    weir_address at;
    int got = 0;

    (void)arg;
    CHECK_INT(weir_datagram_open("127.0.0.1:0", &small, .recv_buffer_bytes = 2600), 0);
    at = weir_datagram_address(small);
    for (int i = 0; i < 100; i++)
        send_number(d, i, &at);
    CHECK_INT(weir_sleep_ms(1), 0);
    for (; receive_number(small, 1) == got; got++)
        ;
    CHECK_INT(got, 10); /* the first */
    weir_datagram_close(d);
    weir_datagram_close(small);
    return 0;
}

SIM_TEST(one_sender_has_one_receiver_of_several)
{
    weir_datagram *all[4], *d;
    int got[4] = { 0 }, used = 0;
    weir_address at;

    (void)arg;
    CHECK_INT(weir_address_parse("127.0.0.1:7000", &at), 0);
    for (int i = 0; i < 4; i++)
        CHECK_INT(weir_datagram_open("127.0.0.1:7000", &all[i], .reuse_port = true), 0);
    CHECK_INT(weir_datagram_open("127.0.0.1:7000", &d), -EADDRINUSE);
    weir_recover();
    for (int i = 0; i < 8; i++) {
        d = open_at("127.0.0.1:0");
        for (int j = 0; j < 3; j++)
            send_number(d, i, &at);
        CHECK_INT(weir_sleep_ms(1), 0);
        weir_datagram_close(d);
    }
    for (int i = 0; i < 4; i++) {
        while (receive_number(all[i], 1) >= 0)
            got[i]++;
        CHECK_INT(got[i] % 3, 0);
        used += got[i] > 0;
        weir_datagram_close(all[i]);
    }
    CHECK_INT(got[0] + got[1] + got[2] + got[3], 24);
    CHECK(used > 1);
    return 0;
}

static int on_other_host(void *arg)
{
    weir_datagram *d = open_at(":7000");
    weir_address at = weir_datagram_address(d), peer;

    (void)arg;
    CHECK_TEXT(weir_address_text(&at).ptr, "10.0.0.2:7000");
    CHECK_INT(weir_address_parse("10.0.0.1:7000", &peer), 0);
    send_number(d, 1, &peer); /* parted, but only the other way */
    CHECK_INT(receive_number(d, 500), -1);
    sim_heal(sim_self());
    send_number(d, 2, &peer);
    CHECK_INT(receive_number(d, 500), 4);
    weir_datagram_close(d);
    return 0;
}

SIM_TEST(parted_hosts_lose_what_they_send, opts.loops = 2; opts.latency_ms = 5)
{
    weir_datagram *d;
    weir_address peer;

    (void)arg;
    CHECK_INT(sim_host(sim_self(), 0, "10.0.0.1"), 0);
    CHECK_INT(sim_host(sim_self(), 1, "10.0.0.2"), 0);
    CHECK_INT(sim_part(sim_self(), "10.0.0.1", "10.0.0.2", true, 0), 0);
    CHECK_INT(weir_address_parse("10.0.0.2:7000", &peer), 0);
    d = open_at("127.0.0.1:7000");
    WEIR_SCOPE(s) {
        weir_go_on(s, 1, on_other_host, NULL);
        CHECK_INT(receive_number(d, 100), 1);
        send_number(d, 3, &peer);
        CHECK_INT(receive_number(d, 1000), 2);
        send_number(d, 4, &peer);
        CHECK_INT(weir_join(s), 0);
    }
    weir_datagram_close(d);
    return 0;
}

SIM_TEST(groups_are_refused)
{
    weir_datagram *d = open_at("0.0.0.0:0");
    weir_address at;

    (void)arg;
    CHECK_INT(weir_address_parse("224.0.0.251:5353", &at), 0);
    CHECK_INT(weir_datagram_send(d, WEIR_S("x"), &at), -ENETUNREACH);
    weir_datagram_close(d);
    return 0;
}

/* ---- programs -------------------------------------------------------------------- */

static int answer_all(void *arg)
{
    char data[16];
    weir_packet p = { .data = data, .room = sizeof(data) };

    while (weir_datagram_recv(arg, &p) == 1)
        WEIR_IGNORE(weir_datagram_send(arg, weir_str_from(data, p.len), &p.peer), "asked again");
    weir_recover();
    return 0;
}

/* Asked again until the answer to just this question comes. */
static int ask(weir_datagram *d, int question)
{
    int got = -1, rc;
    weir_packet p = { .data = &got, .room = sizeof(got) };

    while (got != question) {
        rc = weir_datagram_send(d, weir_str_from((char *)&question, sizeof(question)), NULL);
        if (rc < 0 && rc != -ECONNREFUSED && rc != -ENOBUFS)
            return rc;
        WEIR_SCOPE(s, .timeout_ms = 300)
            while (got != question && weir_datagram_recv(d, &p) == 1)
                CHECK(got >= 0 && got <= question); /* nothing from the future */
        weir_recover();
        if (weir_yield() < 0)
            return -ECANCELED;
    }
    return 0;
}

static int open_in_the_end(const char *address, weir_datagram **ret)
{
    int rc;

    while ((rc = weir_datagram_open(address, ret)) == -EMFILE || rc == -ENOMEM)
        weir_recover();
    return rc;
}

static int questions(void *arg)
{
    weir_datagram *server = NULL, *client = NULL;
    int rc = open_in_the_end("127.0.0.1:7000", &server);

    (void)arg;
    if (rc == 0)
        rc = open_in_the_end("127.0.0.1:0", &client);
    if (rc == 0)
        rc = weir_datagram_connect(client, "127.0.0.1:7000");
    WEIR_SCOPE(s) {
        weir_go(s, answer_all, server);
        for (int i = 0; i < 100 && rc == 0; i++)
            rc = ask(client, i);
        weir_stop(s);
        WEIR_IGNORE(weir_join(s), "it answers no more");
    }
    weir_datagram_close(client);
    weir_datagram_close(server);
    return rc;
}

static void many_seeds(void **state)
{
    (void)state;
    assert_int_equal(weir_sim_seeds(questions, NULL, .count = 300), 0);
}

/* A program that takes every datagram for a new one. */
static int counts_twice(void *arg)
{
    weir_datagram *d = open_at("127.0.0.1:7000");
    weir_address self = weir_datagram_address(d);
    int n = 0;

    (void)arg;
    for (int i = 0; i < 5; i++)
        send_number(d, i, &self);
    while (receive_number(d, 1000) >= 0)
        n++;
    weir_datagram_close(d);
    return n > 5 ? weir_fail(-EPROTO, "%d of 5", n) : 0;
}

static void a_mistake_is_found(void **state)
{
    (void)state;
    assert_int_equal(weir_sim_seeds(counts_twice, NULL, .count = 300, .options = "no_files=0"),
                     -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_fails_unasked),
        cmocka_unit_test(some_are_lost),
        cmocka_unit_test(some_come_twice),
        cmocka_unit_test(some_are_overtaken),
        cmocka_unit_test(jitter_alone_changes_their_order),
        cmocka_unit_test(cuts_by_chance_lose_some),
        cmocka_unit_test(a_link_takes_its_time_both_ways),
        cmocka_unit_test(a_cut_link_loses_what_leaves_and_what_arrives),
        cmocka_unit_test(word_of_nobody_takes_the_way_back),
        cmocka_unit_test(a_sender_waits_for_a_slow_link),
        cmocka_unit_test(a_receiver_without_room_loses_what_comes),
        cmocka_unit_test(one_sender_has_one_receiver_of_several),
        cmocka_unit_test(parted_hosts_lose_what_they_send),
        cmocka_unit_test(groups_are_refused),
        cmocka_unit_test(many_seeds),
        cmocka_unit_test(a_mistake_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
