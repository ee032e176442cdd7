/* What happens to a program beside lost segments: connections that the network
 * forgets, hosts that are parted, narrow links, clocks that jump, machines that
 * stand still, disks and memory that fail, cancels from anywhere. */
#include "support/in_task.h"

#include <arpa/inet.h>

#include "base/alloc.h"
#include "base/budget.h"
#include "rt/sim.h"
#include "sim/net.h"

#define MS INT64_C(1000000)

static struct sim *sim;

static void run(struct sim_opts *opts, weir_fn *fn, int wanted)
{
    uint64_t used = budget_used();
    int rc;

    sim = sim_new(opts);
    assert_non_null(sim);
    rc = sim_run(sim, fn, NULL, NULL);
    if (rc != wanted)
        fail_msg("it gave %s\n%s", weir_error_name(rc), sim_trace_text(sim));
    weir_recover();
    assert_int_equal(sim_files(sim), 0);
    sim_free(sim);
    assert_int_equal(budget_used(), used);
}

#define WORLD_TEST(name, ...)                                                  \
    static int name##_task(void *arg);                                         \
    static void name(void **state)                                             \
    {                                                                          \
        struct sim_opts opts;                                                  \
                                                                               \
        (void)state;                                                           \
        sim_opts_init(&opts);                                                  \
        __VA_ARGS__;                                                           \
        run(&opts, name##_task, 0);                                            \
    }                                                                          \
    static int name##_task(void *arg)

/* ---- half-open connections ------------------------------------------------------- */

WORLD_TEST(nothing_tells_of_a_forgotten_connection, opts.vanish = 1000)
{
    struct sim_peer one, other;
    char text[8];

    (void)arg;
    net_pair(&one, &other);
    CHECK_INT(sim_peer_send(&one, "lost", 4), 4);
    WEIR_SCOPE(s, .timeout_ms = 120000) {
        CHECK_INT(sim_peer_recv(&other, text, sizeof(text)), -ETIMEDOUT);
    }
    weir_recover();
    /* Meanwhile somebody is there again who knows nothing of it. */
    CHECK_INT(sim_peer_send(&other, "x", 1), 1);
    CHECK_INT(weir_sleep_ms(10), 0);
    CHECK_INT(sim_peer_send(&other, "x", 1), -ECONNRESET);
    sim_peer_close(&one);
    sim_peer_close(&other);
    return 0;
}

WORLD_TEST(the_calm_tells_who_waits, opts.vanish = 1000, opts.calm_ms = 200000)
{
    struct sim_peer one, other;
    char text[8];

    (void)arg;
    net_pair(&one, &other);
    CHECK_INT(sim_peer_send(&one, "lost", 4), 4);
    CHECK_INT(sim_peer_recv(&other, text, sizeof(text)), -ECONNRESET);
    CHECK_INT(sim_now_ns(sim), 200000 * MS);
    sim_peer_close(&one);
    sim_peer_close(&other);
    net_pair(&one, &other);
    CHECK_INT(sim_peer_send(&one, "hello", 5), 5);
    net_expect(&other, "hello");
    sim_peer_close(&one);
    sim_peer_close(&other);
    return 0;
}

/* ---- directions, hosts, widths --------------------------------------------------- */

WORLD_TEST(one_direction_is_cut_and_heals, opts.one_way = 1000)
{
    struct sim_peer one, other;
    int64_t begun_ns;

    (void)arg;
    net_pair(&one, &other);
    begun_ns = sim_now_ns(sim);
    CHECK_INT(sim_peer_send(&one, "there", 5), 5);
    CHECK_INT(sim_peer_send(&other, "back", 4), 4);
    net_expect(&other, "there");
    net_expect(&one, "back");
    CHECK(sim_now_ns(sim) - begun_ns >= MS);
    CHECK(sim_now_ns(sim) - begun_ns <= 1000 * MS);
    sim_peer_close(&one);
    sim_peer_close(&other);
    return 0;
}

static int serve_one(void *arg)
{
    struct place place;
    struct sim_peer peer;

    (void)arg;
    CHECK_INT(place_open_at(&place, 7000, false), 0);
    CHECK_INT(place_accept(&place, &peer), 0);
    net_expect(&peer, "one");
    sim_trace("one has come");
    net_expect(&peer, "two");
    sim_trace("two has come");
    CHECK_INT(sim_peer_send(&peer, "back", 4), 4);
    CHECK_INT(sim_peer_recv(&peer, &(char){ 0 }, 1), 0);
    sim_peer_close(&peer);
    place_close(&place);
    return 0;
}

static int peer_connect_to(struct sim_peer *peer, const char *host)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(7000) };
    struct io_op op = { .file = &peer->file,
                        .kind = IO_CONNECT,
                        .connect = { (const struct sockaddr *)&addr, sizeof(addr) } };
    struct loop *loop = loop_self();
    int fd = loop_io(loop)->socket(loop, AF_INET);

    CHECK_INT(inet_pton(AF_INET, host, &addr.sin_addr), 1);
    *peer = (struct sim_peer){ .file = { .fd = -1 } };
    CHECK(fd >= 0);
    CHECK_INT(loop_io(loop)->attach(loop, &peer->file, fd, false), 0);
    return rt_io(&op, "connect");
}

WORLD_TEST(hosts_are_parted_one_way_or_both, opts.loops = 2)
{
    struct sim_peer peer;

    (void)arg;
    CHECK_INT(sim_host(sim, 0, "10.0.0.1"), 0);
    CHECK_INT(sim_host(sim, 1, "10.0.0.2"), 0);
    CHECK_INT(sim_host(sim, 2, "10.0.0.3"), -EINVAL);
    CHECK_INT(sim_host(sim, 0, "ten"), -EINVAL);
    CHECK_INT(sim_part(sim, "10.0.0.1,", "x", false, 0), -EINVAL);
    weir_recover();
    CHECK_INT(weir_submit(1, serve_one, NULL), 0);
    CHECK_INT(weir_sleep_ms(10), 0);
    CHECK_INT(sim_peer_connect(&peer, 7000), -ECONNREFUSED); /* nobody listens here */
    CHECK_INT(peer_connect_to(&peer, "10.0.0.2"), 0);
    CHECK_INT(sim_peer_send(&peer, "one", 3), 3);
    CHECK_INT(weir_sleep_ms(10), 0);
    CHECK_INT(sim_part(sim, "10.0.0.1", "*", false, 90), 0);
    CHECK_INT(sim_peer_send(&peer, "two", 3), 3);
    CHECK_INT(weir_sleep_ms(100), 0);
    /* The other way alone: what is sent there comes. */
    CHECK_INT(sim_part(sim, "10.0.0.2", "10.0.0.1", true, 0), 0);
    WEIR_SCOPE(s, .timeout_ms = 1000) {
        CHECK_INT(sim_peer_send(&peer, "", 0), 0);
        CHECK_INT(weir_sleep_ms(50), 0);
    }
    sim_heal(sim);
    net_expect(&peer, "back");
    CHECK_TEXT(sim_trace_text(sim), "[    10] one has come\n"
                                    "[   110] two has come\n");
    sim_peer_close(&peer);
    return 0;
}

WORLD_TEST(a_narrow_link_takes_its_time, opts.latency_ms = 5, opts.bandwidth = 100)
{
    struct sim_peer one, other;
    char text[1000] = "";
    int64_t begun_ns;

    (void)arg;
    net_pair(&one, &other);
    begun_ns = sim_now_ns(sim);
    CHECK_INT(sim_peer_send(&one, text, 500), 500);
    CHECK_INT(sim_peer_send(&one, text, 500), 500);
    CHECK_INT(sim_peer_recv_all(&other, text, 1000), 1000);
    CHECK_INT(sim_now_ns(sim) - begun_ns, 15 * MS);
    sim_peer_close(&one);
    sim_peer_close(&other);
    return 0;
}

/* ---- clocks ---------------------------------------------------------------------- */

WORLD_TEST(a_machine_that_stands_still_is_late, opts.suspend = 1000)
{
    (void)arg;
    WEIR_SCOPE(s, .timeout_ms = 50) {
        CHECK_INT(weir_sleep_ms(10000000), -ETIMEDOUT);
        CHECK(weir_timed_out(s));
    }
    weir_recover();
    CHECK(sim_now_ns(sim) > 50 * MS);
    CHECK(sim_now_ns(sim) <= 30051 * MS);
    return 0;
}

WORLD_TEST(the_wall_clock_jumps_and_waits_do_not, opts.wall_jump = 1000)
{
    int64_t before_ns = loop_wall_ns(loop_self()), least_ns = 0, most_ns = 0;

    (void)arg;
    for (int i = 0; i < 50; i++) {
        int64_t jump_ns;

        CHECK_INT(weir_sleep_ms(10), 0);
        jump_ns = loop_wall_ns(loop_self()) - before_ns - 10 * MS;
        before_ns = loop_wall_ns(loop_self());
        least_ns = jump_ns < least_ns ? jump_ns : least_ns;
        most_ns = jump_ns > most_ns ? jump_ns : most_ns;
    }
    CHECK_INT(sim_now_ns(sim), 500 * MS);
    CHECK(least_ns < -60000 * MS && most_ns > 60000 * MS);
    return 0;
}

/* ---- disks and memory ------------------------------------------------------------ */

static int count_faults(void *arg)
{
    int *seen = arg;

    for (int i = 0; i < 200; i++) {
        size_t len = 100;
        int rc = rt_fault(i % 2 ? RT_FAULT_WRITE : RT_FAULT_SYNC, i % 2 ? &len : NULL);

        CHECK(rc == 0 || rc == EINTR || rc == EIO || (rc == ENOSPC && i % 2));
        CHECK(len >= 1 && len <= 100);
        seen[rc == EINTR ? 1 : rc == EIO ? 2 : rc == ENOSPC ? 3 : len < 100 ? 4 : 0]++;
    }
    return 0;
}

WORLD_TEST(a_disk_fails_in_each_way, opts.disk_error = 100, opts.disk_full = 100,
           opts.disk_short = 100, opts.interrupt = 100)
{
    int seen[5] = { 0 }, calm[5] = { 0 };

    (void)arg;
    CHECK_INT(weir_block(count_faults, seen), 0);
    for (int i = 0; i < 5; i++)
        CHECK(seen[i] > 3);
    sim_calm(sim);
    CHECK_INT(weir_block(count_faults, calm), 0);
    CHECK_INT(calm[0], 200);
    return 0;
}

WORLD_TEST(allocations_fail_here_and_there, opts.no_memory = 200)
{
    int refused = 0;

    (void)arg;
    for (int i = 0; i < 500; i++) {
        void *block = base_malloc(10);

        refused += block == NULL;
        base_free(block);
    }
    CHECK(refused > 50 && refused < 200);
    sim_calm(sim);
    for (int i = 0; i < 100; i++) {
        void *block = base_malloc(10);

        CHECK(block != NULL);
        base_free(block);
    }
    return 0;
}

/* ---- cancels --------------------------------------------------------------------- */

static uint32_t cancelled_at[3];

static int sleep_in_scopes(void *arg)
{
    (void)arg;
    for (int round = 0; round < 200; round++) {
        WEIR_SCOPE(outer) {
            WEIR_SCOPE(middle) {
                WEIR_SCOPE(inner) {
                    if (weir_sleep_ms(1) == -ECANCELED)
                        cancelled_at[2]++;
                }
                if (rt_check() < 0)
                    cancelled_at[1]++;
            }
            if (rt_check() < 0)
                cancelled_at[0]++;
        }
        if (rt_check() < 0)
            return 0;
    }
    return 0;
}

WORLD_TEST(any_scope_may_be_cancelled, opts.cancel_any = 300)
{
    (void)arg;
    memset(cancelled_at, 0, sizeof(cancelled_at));
    CHECK_INT(sleep_in_scopes(NULL), 0);
    CHECK(cancelled_at[0] > 0);
    CHECK(cancelled_at[1] > cancelled_at[0]);
    CHECK(cancelled_at[2] > cancelled_at[1]);
    return 0;
}

/* ---- which faults ---------------------------------------------------------------- */

static char *trace_with(const char *options)
{
    struct sim_opts opts;
    char *text;

    sim_opts_init(&opts);
    assert_int_equal(sim_opts_parse(&opts, options), 0);
    sim = sim_new(&opts);
    assert_int_equal(sim_run(sim, sleep_in_scopes, NULL, NULL), 0);
    text = strdup(sim_trace_text(sim));
    sim_free(sim);
    return text;
}

static void only_some_faults_happen(void **state)
{
    char *all = trace_with("seed=5,suspend=100,show=1"), *some, *none, *third;

    (void)state;
    some = trace_with("seed=5 suspend=100 show=1 only=2-3+5");
    none = trace_with("seed=5,suspend=100,show=1,only=0");
    assert_non_null(strstr(all, "fault 1, suspend: "));
    assert_null(strstr(some, "fault 1, "));
    assert_non_null(strstr(some, "fault 2, suspend: "));
    assert_non_null(strstr(some, "fault 3, suspend: "));
    assert_null(strstr(some, "fault 4, "));
    assert_non_null(strstr(some, "fault 5, suspend: "));
    assert_null(strstr(none, "fault "));
    third = trace_with("seed=5 suspend=100 show=1 only=2-3+5");
    assert_string_equal(some, third);
    free(all);
    free(some);
    free(none);
    free(third);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_tells_of_a_forgotten_connection),
        cmocka_unit_test(the_calm_tells_who_waits),
        cmocka_unit_test(one_direction_is_cut_and_heals),
        cmocka_unit_test(hosts_are_parted_one_way_or_both),
        cmocka_unit_test(a_narrow_link_takes_its_time),
        cmocka_unit_test(a_machine_that_stands_still_is_late),
        cmocka_unit_test(the_wall_clock_jumps_and_waits_do_not),
        cmocka_unit_test(a_disk_fails_in_each_way),
        cmocka_unit_test(allocations_fail_here_and_there),
        cmocka_unit_test(any_scope_may_be_cancelled),
        cmocka_unit_test(only_some_faults_happen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
