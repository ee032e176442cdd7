/* Names against a name server that answers well, badly, late, and otherwise than
 * before. */
#include "support/in_task.h"

#include <unistd.h>

#include <weir/datagram.h>
#include <weir/dns.h>
#include <weir/stream.h>
#include <weir/time.h>

#include "net/dns.h"
#include "support/dns_peer.h"
#include "support/fault.h"
#include "support/peer.h"
#include "support/sweep.h"

static struct dns_peer *peer;

/* Each test has a server of its own. */
static void setup(uint32_t timeout_ms)
{
    char address[32];

    peer = dns_peer_start(address);
    CHECK_INT(weir_dns_setup(.servers = address, .resolv_conf = "/dev/null", .hosts = "",
                             .timeout_ms = timeout_ms, .tries = 2, .min_ttl_ms = 1,
                             .negative_ttl_ms = 50, .failure_ttl_ms = 1),
              0);
}

/* Where nothing is to be late, a busy machine must not make it so. */
#define DNS_TEST(name) DNS_TEST_LIMITED(name, 2000)
#define DNS_TEST_LIMITED(name, timeout_ms)  \
    static void name##_body(void);          \
    TASK_TEST(name)                         \
    {                                       \
        (void)arg;                          \
        setup(timeout_ms);                  \
        name##_body();                      \
        dns_peer_stop(peer);                \
        return 0;                           \
    }                                       \
    static void name##_body(void)

static void check_found(const char *name, const char *first, size_t count)
{
    weir_addresses found = { 0 };
    int rc = weir_resolve(weir_str_c(name), &found);

    /* On a busy machine one family may be later than is waited for. */
    for (int i = 0; rc == 0 && found.count < count && i < 200; i++) {
        CHECK_INT(weir_sleep_ms(10), 0);
        rc = weir_resolve(weir_str_c(name), &found);
    }
    if (rc < 0) {
        char text[400];

        weir_error_print(text, sizeof(text));
        fprintf(stderr, "%s\n", text);
    }
    CHECK_INT(rc, 0);
    CHECK_TEXT(weir_format("%.*s", WEIR_ARG(found.list[0])).ptr, first);
    CHECK_INT(found.count, count);
}

/* The first of two loopback addresses: a machine may have no IPv6. */
static const char *loopback_first(const char *v6, const char *v4)
{
    weir_datagram *d;

    if (weir_datagram_open("[::1]:0", &d) < 0) {
        weir_recover();
        return v4;
    }
    weir_datagram_close(d);
    return v6;
}

static void check_fails(const char *name, int code, const char *says)
{
    weir_addresses found = { 0 };
    char text[400];

    CHECK_INT(weir_resolve(weir_str_c(name), &found), code);
    weir_error_print(text, sizeof(text));
    if (!strstr(text, says) || !strstr(text, name)) {
        fprintf(stderr, "%s: %s\n", name, text);
        abort();
    }
    weir_recover();
}

DNS_TEST(both_families_in_turn)
{
    dns_peer_says(peer, "both.test", .ttl_s = 60, .v4 = { "127.0.0.1", "127.0.0.2" },
                  .v6 = { "::1" });
    dns_peer_says(peer, "four.test", .ttl_s = 60, .v4 = { "127.0.0.9" });
    check_found("both.test", loopback_first("::1", "127.0.0.1"), 3);
    check_found("four.test", "127.0.0.9", 1);
    check_found("127.0.0.7", "127.0.0.7", 1);
    check_found("localhost", "127.0.0.1", 1);
    CHECK_INT(dns_peer_asked(peer), 4);
}

/* RFC 6724: what has no route after what has one, and an IPv6 address that no source
 * suits (::11: IPv4-compatible, of old) after the IPv4 ones. */
DNS_TEST(the_best_address_comes_first)
{
    weir_addresses found;

    dns_peer_says(peer, "order.test", .ttl_s = 60, .v4 = { "255.255.255.255", "127.0.0.3" },
                  .v6 = { "::11" });
    check_found("order.test", "127.0.0.3", 3);
    CHECK_INT(weir_resolve(WEIR_S("order.test"), &found), 0);
    CHECK_TEXT(weir_format("%.*s", WEIR_ARG(found.list[1])).ptr, "::11");
    CHECK_TEXT(weir_format("%.*s", WEIR_ARG(found.list[2])).ptr, "255.255.255.255");
}

DNS_TEST(an_answer_is_kept_for_its_ttl)
{
    dns_peer_says(peer, "kept.test", .ttl_s = 60, .v4 = { "127.0.0.1" });
    dns_peer_says(peer, "zero.test", .ttl_s = 0, .v4 = { "127.0.0.1" });
    for (int i = 0; i < 5; i++)
        check_found(i % 2 ? "kept.test" : "KEPT.test", "127.0.0.1", 1);
    CHECK_INT(dns_peer_asked(peer), 2);
    check_found("zero.test", "127.0.0.1", 1);
    CHECK_INT(weir_sleep_ms(60), 0);
    dns_peer_says(peer, "zero.test", .ttl_s = 0, .v4 = { "127.0.0.2" });
    check_found("zero.test", "127.0.0.2", 1);
}

DNS_TEST(what_does_not_exist_is_said)
{
    dns_peer_says(peer, "empty.test", .ttl_s = 60);
    check_fails("nobody.test", WEIR_ENAME, "NXDOMAIN, asked: 127.0.0.1:");
    check_fails("empty.test", WEIR_ENAME, "has no address");
    check_fails("nobody.test", WEIR_ENAME, "NXDOMAIN");
    CHECK_INT(dns_peer_asked(peer), 4);
    CHECK_INT(weir_sleep_ms(60), 0);
    dns_peer_says(peer, "nobody.test", .ttl_s = 60, .v4 = { "127.0.0.3" });
    check_found("nobody.test", "127.0.0.3", 1);
}

DNS_TEST_LIMITED(servers_that_fail_are_told_from_names_that_are_not, 100)
{
    dns_peer_says(peer, "broken.test", .way = DNS_SERVFAIL);
    dns_peer_says(peer, "refused.test", .way = DNS_REFUSED);
    dns_peer_says(peer, "silent.test", .way = DNS_SILENT);
    check_fails("broken.test", WEIR_ENAMESERVER, "SERVFAIL");
    check_fails("refused.test", WEIR_ENAMESERVER, "REFUSED");
    check_fails("silent.test", WEIR_EPEERTIMEOUT, "no answer");
}

DNS_TEST_LIMITED(lies_are_not_believed, 100)
{
    static const enum dns_way ways[] = { DNS_WRONG_ID_ONLY, DNS_WRONG_QUESTION, DNS_GARBAGE,
                                         DNS_SHORT, DNS_CNAME_LOOP };
    static const char *const names[] = { "id.test", "question.test", "garbage.test", "short.test",
                                         "loop.test" };

    for (int i = 0; i < 5; i++) {
        weir_addresses found = { 0 };
        int rc;

        dns_peer_says(peer, names[i], .way = ways[i], .ttl_s = 60, .v4 = { "127.0.0.66" },
                      .v6 = { "::66" });
        rc = weir_resolve(weir_str_c(names[i]), &found);
        CHECK(rc == WEIR_EPEERTIMEOUT || rc == WEIR_ENAMESERVER || rc == WEIR_ENAME);
        CHECK_INT(found.count, 0);
        weir_recover();
    }
    dns_peer_says(peer, "twice.test", .way = DNS_WRONG_ID, .ttl_s = 60, .v4 = { "127.0.0.4" });
    check_found("twice.test", "127.0.0.4", 1);
}

DNS_TEST(a_truncated_answer_comes_over_tcp)
{
    dns_peer_says(peer, "long.test", .way = DNS_TRUNCATED, .ttl_s = 60, .v4 = { "127.0.0.5" });
    dns_peer_says(peer, "huge.test", .way = DNS_HUGE);
    check_found("long.test", "127.0.0.5", 1);
    CHECK(dns_peer_asked_tcp(peer) >= 2);
    check_found("huge.test", "127.1.0.1", NAME_ADDRS_MAX);
}

struct many {
    const char *name;
    int found, cancelled;
};

static int resolve_one(void *arg)
{
    struct many *many = arg;
    weir_addresses found;
    int rc = weir_resolve(weir_str_c(many->name), &found);

    many->found += rc == 0;
    many->cancelled += rc == -ECANCELED;
    return rc;
}

/* Many answers lie in the connection at once: none waits for another event. */
DNS_TEST_LIMITED(many_answers_over_tcp_are_taken_at_once, 20000)
{
    static char names[24][16];
    static struct many many[24];
    int64_t began_ns = weir_now().ns;

    for (int i = 0; i < 24; i++) {
        snprintf(names[i], sizeof(names[i]), "n%d.test", i);
        many[i] = (struct many){ .name = names[i] };
        dns_peer_says(peer, names[i], .way = DNS_TRUNCATED, .ttl_s = 60, .v4 = { "127.0.0.1" },
                      .v6 = { "::1" });
    }
    WEIR_SCOPE(s) {
        for (int i = 0; i < 24; i++)
            weir_go(s, resolve_one, &many[i]);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK(weir_now().ns - began_ns < INT64_C(10000000000));
}

DNS_TEST(an_alias_lasts_no_longer_than_its_shortest_ttl)
{
    weir_addresses found;

    dns_peer_says(peer, "alias.test", .way = DNS_CNAME, .ttl_s = 500, .v4 = { "127.0.0.6" });
    CHECK_INT(weir_resolve(WEIR_S("alias.test"), &found), 0);
    CHECK(found.ttl_ms > 0 && found.ttl_ms <= 5000);
}

DNS_TEST(one_family_waits_little_for_the_other)
{
    int64_t began_ns = weir_now().ns;

    dns_peer_says(peer, "half.test", .way = DNS_AAAA_SILENT, .ttl_s = 60, .v4 = { "127.0.0.8" },
                  .v6 = { "::8" });
    check_found("half.test", "127.0.0.8", 1);
    CHECK(weir_now().ns - began_ns >= 45 * 1000000);
    CHECK(weir_now().ns - began_ns < 1900 * INT64_C(1000000));
}

DNS_TEST(many_tasks_ask_once_and_a_cancel_ends_only_its_own_wait)
{
    struct many stay = { .name = "slow.test" }, go = { .name = "slow.test" };

    dns_peer_says(peer, "slow.test", .way = DNS_SLOW, .ttl_s = 60, .v4 = { "127.0.0.1" },
                  .delay_ms = 60);
    WEIR_SCOPE(outer) {
        for (int i = 0; i < 20; i++)
            weir_go(outer, resolve_one, &stay);
        WEIR_SCOPE(inner) {
            for (int i = 0; i < 5; i++)
                weir_go(inner, resolve_one, &go, .optional = true);
            CHECK_INT(weir_sleep_ms(10), 0);
            weir_cancel(inner);
            CHECK_INT(weir_join(inner), 0);
        }
        CHECK_INT(weir_join(outer), 0);
    }
    CHECK_INT(stay.found, 20);
    CHECK_INT(go.cancelled, 5);
    CHECK_INT(dns_peer_asked(peer), 2);
}

DNS_TEST(a_deadline_ends_the_wait_and_not_the_question)
{
    weir_addresses found;

    dns_peer_says(peer, "late.test", .way = DNS_SLOW, .ttl_s = 60, .v4 = { "127.0.0.1" },
                  .delay_ms = 50);
    WEIR_SCOPE(s, .timeout_ms = 15) {
        CHECK_INT(weir_resolve(WEIR_S("late.test"), &found), -ETIMEDOUT);
        CHECK(weir_timed_out(s));
    }
    CHECK_INT(weir_sleep_ms(80), 0);
    check_found("late.test", "127.0.0.1", 1);
    CHECK_INT(dns_peer_asked(peer), 2);
}

DNS_TEST(known_addresses_outlive_servers_that_fail)
{
    weir_addresses found;

    dns_peer_says(peer, "stale.test", .ttl_s = 0, .v4 = { "127.0.0.1" });
    check_found("stale.test", "127.0.0.1", 1);
    dns_peer_says(peer, "stale.test", .way = DNS_SERVFAIL);
    CHECK_INT(weir_sleep_ms(5), 0);
    CHECK_INT(weir_resolve(WEIR_S("stale.test"), &found), 0);
    CHECK(found.stale);
    dns_peer_says(peer, "stale.test", .way = DNS_NXDOMAIN);
    CHECK_INT(weir_sleep_ms(60), 0);
    check_fails("stale.test", WEIR_ENAME, "NXDOMAIN");
}

DNS_TEST(names_and_questions_are_bounded)
{
    char address[32], name[64];
    struct dns_peer *second = dns_peer_start(address);
    weir_addresses found;

    CHECK_INT(weir_dns_setup(.servers = address, .resolv_conf = "/dev/null", .hosts = "",
                             .max_names = 4, .max_queries = 4),
              0);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "n%d.test", i);
        CHECK_INT(weir_resolve(weir_str_c(name), &found), WEIR_ENAME);
        weir_recover();
    }
    dns_peer_says(second, "a.test", .way = DNS_SILENT);
    dns_peer_says(second, "b.test", .way = DNS_SILENT);
    WEIR_SCOPE(s) {
        struct many a = { .name = "a.test" }, b = { .name = "b.test" };

        weir_go(s, resolve_one, &a, .optional = true);
        weir_go(s, resolve_one, &b, .optional = true);
        CHECK_INT(weir_yield(), 0);
        CHECK_INT(weir_resolve(WEIR_S("c.test"), &found), WEIR_EFULL);
        weir_recover();
        weir_cancel(s);
        CHECK_INT(weir_join(s), 0);
    }
    dns_peer_stop(second);
}

DNS_TEST(what_is_no_name_is_refused)
{
    static const char *const bad[] = { "",      ".",         "a..b", "-",     "a b",
                                       "1.2.3", "1.2.3.256", "a/b",  "x.123", "a\xc3\xa9.test" };
    weir_addresses found;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        int rc = weir_resolve(weir_str_c(bad[i]), &found);

        if (strcmp(bad[i], "-") != 0)
            CHECK_INT(rc, -EINVAL);
        weir_recover();
    }
    CHECK_INT(weir_resolve(weir_str_from(NULL, 0), &found), -ENOMEM);
    CHECK_INT(dns_check_name(WEIR_S("a.b-c_d.example.")), 0);
    CHECK_INT(dns_check_name(WEIR_S("3com.example")), 0);
}

/* ---- the hosts file --------------------------------------------------------------- */

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

DNS_TEST(the_hosts_file_comes_first_and_may_change)
{
    const char *path = weir_format("/tmp/weir-test-hosts-%d", (int)getpid()).ptr;
    char address[32];
    struct dns_peer *second = dns_peer_start(address);

    write_file(path, "# comment\n127.0.0.1 localhost\n127.0.0.11\tPrinter.test printer # ours\r\n"
                     "::1 printer.test\nnonsense printer.test\n127.0.0.12 last.test");
    CHECK_INT(weir_dns_setup(.servers = address, .resolv_conf = "/dev/null", .hosts = path,
                             .min_ttl_ms = 1),
              0);
    check_found("printer.test", loopback_first("::1", "127.0.0.11"), 2);
    check_found("printer", "127.0.0.11", 1);
    check_found("last.test", "127.0.0.12", 1);
    CHECK_INT(dns_peer_asked(second), 0);
    check_fails("comment", WEIR_ENAME, "no host");
    write_file(path, "127.0.0.13 printer.test\n");
    CHECK_INT(weir_sleep_ms(1050), 0);
    check_found("printer.test", "127.0.0.13", 1);
    unlink(path);
    dns_peer_stop(second);
}

DNS_TEST(resolv_conf_is_read_again_when_it_has_changed)
{
    const char *path = weir_format("/tmp/weir-test-resolv-%d", (int)getpid()).ptr;
    weir_addresses found;
    char text[400];

    write_file(path, "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
    CHECK_INT(weir_dns_setup(.resolv_conf = path, .hosts = "", .timeout_ms = 30, .tries = 1), 0);
    CHECK(weir_resolve(WEIR_S("x.test"), &found) < 0);
    weir_error_print(text, sizeof(text));
    CHECK(strstr(text, "asked: 127.0.0.1:53"));
    weir_recover();
    write_file(path, "nameserver 127.0.0.2\noptions timeout:1 attempts:1\n\n");
    CHECK_INT(weir_sleep_ms(1050), 0);
    CHECK(weir_resolve(WEIR_S("y.test"), &found) < 0);
    weir_error_print(text, sizeof(text));
    CHECK(strstr(text, "asked: 127.0.0.2:53"));
    weir_recover();
    unlink(path);
}

DNS_TEST(a_socket_of_another_family_than_the_name_is_told_so)
{
    weir_datagram *d;
    char text[400];

    dns_peer_says(peer, "four.test", .ttl_s = 60, .v4 = { "127.0.0.9" });
    if (weir_datagram_open("[::1]:0", &d) < 0) {
        weir_recover(); /* a machine without IPv6 */
        return;
    }
    CHECK_INT(weir_datagram_connect(d, "four.test:53"), WEIR_ENAME);
    weir_error_print(text, sizeof(text));
    CHECK(strstr(text, "has no address (no data, "));
    weir_recover();
    weir_datagram_close(d);
}

/* A family that is asked for again has no addresses until it is answered. */
DNS_TEST(what_is_over_is_not_given_while_it_is_asked_for_again)
{
    weir_addresses found;

    dns_peer_says(peer, "moves.test", .ttl_s = 0, .v4 = { "127.0.0.1" }, .v6 = { "::1" });
    check_found("moves.test", loopback_first("::1", "127.0.0.1"), 2);
    CHECK_INT(weir_sleep_ms(60), 0);
    dns_peer_says(peer, "moves.test", .way = DNS_SLOW_AAAA, .ttl_s = 0, .v4 = { "127.0.0.2" },
                  .v6 = { "::2" }, .delay_ms = 800);
    CHECK_INT(weir_resolve(WEIR_S("moves.test"), &found), 0);
    CHECK_INT(found.count, 1);
    CHECK_TEXT(weir_format("%.*s", WEIR_ARG(found.list[0])).ptr, "127.0.0.2");
    CHECK_INT(weir_sleep_ms(1000), 0);
}

/* ---- connecting ---------------------------------------------------------------------- */

static void say_hi(struct peer_conn *conn)
{
    peer_send(conn, "hi");
    peer_wait_end(conn);
}

DNS_TEST(connecting_goes_to_the_first_address_that_answers)
{
    uint16_t port;
    struct peer *service = peer_start(say_hi, NULL, &port);
    weir_stream *s;
    weir_str data;

    /* Nobody listens at the others. */
    dns_peer_says(peer, "service.test", .ttl_s = 60, .v4 = { "127.0.0.99", "127.0.0.1" },
                  .v6 = { "::1" });
    CHECK_INT(weir_stream_connect(weir_format("service.test:%u", port).ptr, &s), 0);
    CHECK_INT(weir_stream_read(s, &data), 2);
    weir_stream_close(s);
    CHECK_INT(weir_stream_connect(weir_format("service.test:%u", peer_dead_port()).ptr, &s),
              -ECONNREFUSED);
    CHECK_INT(weir_stream_connect("nowhere.test:80", &s), WEIR_ENAME);
    weir_recover();
    peer_stop(service);
}

static uint16_t swept_port;

static int connect_scenario(void *arg)
{
    weir_stream *stream = NULL;
    int rc = 0;

    (void)arg;
    WEIR_SCOPE(s) {
        sweep_at(s);
        rc = weir_stream_connect(weir_format("swept.test:%u", swept_port).ptr, &stream);
        sweep_over();
        CHECK(rc == 0 || rc == -ECANCELED);
        CHECK((rc == 0) == (stream != NULL));
    }
    weir_stream_close(stream);
    weir_recover();
    return 0;
}

static void a_cancel_at_every_wait_of_a_connect(void **state)
{
    struct peer *service = peer_start(say_hi, NULL, &swept_port);

    (void)state;
    setup(2000);
    dns_peer_says(peer, "swept.test", .ttl_s = 60, .v4 = { "127.0.0.1" }, .v6 = { "::1" });
    assert_true(sweep_waits(connect_scenario, NULL) >= 1);
    dns_peer_stop(peer);
    peer_stop(service);
}

static int connect_once(void *arg)
{
    weir_stream *stream = NULL;
    char address[40];
    int rc;

    (void)arg;
    snprintf(address, sizeof(address), "swept.test:%u", swept_port);
    rc = weir_stream_connect(address, &stream);
    CHECK((rc == 0) == (stream != NULL));
    weir_stream_close(stream);
    return rc;
}

static int run_connect(void *arg)
{
    int rc = weir_run(connect_once, arg, .loops = 1, .grace_ms = 200);

    weir_recover();
    return rc;
}

static void without_memory_a_connect_fails_and_leaves_nothing(void **state)
{
    struct peer *service = peer_start(say_hi, NULL, &swept_port);

    (void)state;
    setup(100);
    dns_peer_says(peer, "swept.test", .ttl_s = 60, .v4 = { "127.0.0.1" }, .v6 = { "::1" });
    assert_true(fault_sweep(run_connect, NULL) > 10);
    dns_peer_stop(peer);
    peer_stop(service);
}

static int end_while_asking(void *arg)
{
    weir_addresses found;

    (void)arg;
    setup(5000);
    dns_peer_says(peer, "never.test", .way = DNS_SILENT);
    WEIR_SCOPE(s, .timeout_ms = 10)
        CHECK_INT(weir_resolve(WEIR_S("never.test"), &found), -ETIMEDOUT);
    return 0; /* the question is still under way */
}

static void the_runtime_ends_with_a_question_under_way(void **state)
{
    (void)state;
    in_task(end_while_asking);
    dns_peer_stop(peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_families_in_turn),
        cmocka_unit_test(the_best_address_comes_first),
        cmocka_unit_test(an_answer_is_kept_for_its_ttl),
        cmocka_unit_test(what_does_not_exist_is_said),
        cmocka_unit_test(servers_that_fail_are_told_from_names_that_are_not),
        cmocka_unit_test(lies_are_not_believed),
        cmocka_unit_test(a_truncated_answer_comes_over_tcp),
        cmocka_unit_test(many_answers_over_tcp_are_taken_at_once),
        cmocka_unit_test(an_alias_lasts_no_longer_than_its_shortest_ttl),
        cmocka_unit_test(one_family_waits_little_for_the_other),
        cmocka_unit_test(many_tasks_ask_once_and_a_cancel_ends_only_its_own_wait),
        cmocka_unit_test(a_deadline_ends_the_wait_and_not_the_question),
        cmocka_unit_test(known_addresses_outlive_servers_that_fail),
        cmocka_unit_test(names_and_questions_are_bounded),
        cmocka_unit_test(what_is_no_name_is_refused),
        cmocka_unit_test(the_hosts_file_comes_first_and_may_change),
        cmocka_unit_test(resolv_conf_is_read_again_when_it_has_changed),
        cmocka_unit_test(a_socket_of_another_family_than_the_name_is_told_so),
        cmocka_unit_test(what_is_over_is_not_given_while_it_is_asked_for_again),
        cmocka_unit_test(connecting_goes_to_the_first_address_that_answers),
        cmocka_unit_test(a_cancel_at_every_wait_of_a_connect),
        cmocka_unit_test(without_memory_a_connect_fails_and_leaves_nothing),
        cmocka_unit_test(the_runtime_ends_with_a_question_under_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
