/* Connections over several loops: shared out evenly, and none lost at the end. */
#include "served.h"

#include <poll.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#define GET "GET / HTTP/1.1\r\nHost: test\r\n\r\n"
#define CONNECTIONS 1000

static int which_loop(weir_exchange *x)
{
    return weir_reply_text(x, 200, weir_loop_index() ? "1" : "0");
}

static const struct served_route routes[] = { { .path = "/", .handler = which_loop }, { 0 } };

static int ask(struct peer *peer)
{
    struct answer a;
    int index;

    if (peer_say(peer, GET) < 0 || peer_answer(peer, false, &a) < 0 || a.status != 200)
        return -1;
    index = a.body[0] - '0';
    peer_next(peer, &a);
    return index;
}

static bool all_accepted(struct served *s)
{
    struct http_server_stats stats;

    http_server_stats(s->server, &stats);
    return stats.connections == CONNECTIONS;
}

static struct peer peers[CONNECTIONS];

/* All at once, and then each says where it has come to. */
static int burst(struct served *s)
{
    int count[2] = { 0, 0 };

    for (int i = 0; i < CONNECTIONS; i++)
        CHECK(s, peer_open(s, &peers[i]) == 0);
    CHECK(s, served_await(s, all_accepted));
    for (int i = 0; i < CONNECTIONS; i++) {
        int index = ask(&peers[i]);

        CHECK(s, index == 0 || index == 1);
        count[index]++;
    }
    for (int i = 0; i < CONNECTIONS; i++)
        peer_close(&peers[i]);
    print_message("connections on two loops: %d and %d\n", count[0], count[1]);
    CHECK(s, count[0] >= CONNECTIONS * 4 / 10 && count[0] <= CONNECTIONS * 6 / 10);
    return 0;
}

static void connections_are_shared_out(void **state)
{
    struct served s = { .loops = 2, .routes = routes, .client = burst };
    struct rlimit files;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    if (files.rlim_cur < 2 * CONNECTIONS + 100) {
        files.rlim_cur = files.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    }
    served_run(&s);
    assert_int_equal(s.stats.accepted, CONNECTIONS);
    served_done(&s);
}

/* ---- the end while connections come --------------------------------------------------- */

#define CALLERS 8

struct calls {
    struct served *s;
    atomic_int answered, lost, refused;
    atomic_bool stopped;
};

/* One connection after the other, with a request each. Before the stop each is
 * answered. From then on it may be refused, before it is established; the kernel resets
 * one that it took and the server did not come to see, and only these are let pass. */
static void *call_on(void *arg)
{
    struct calls *calls = arg;
    struct peer peer;

    for (;;) {
        bool before = !atomic_load(&calls->stopped);

        if (peer_open(calls->s, &peer) < 0) {
            atomic_fetch_add(
                before && !atomic_load(&calls->stopped) ? &calls->lost : &calls->refused, 1);
            return NULL;
        }
        if (ask(&peer) >= 0)
            atomic_fetch_add(&calls->answered, 1);
        else if (before && !atomic_load(&calls->stopped))
            atomic_fetch_add(&calls->lost, 1);
        peer_close(&peer);
    }
}

static int stop_while_they_come(struct served *s)
{
    struct calls calls = { .s = s };
    pthread_t threads[CALLERS];
    struct peer there[50];
    int64_t until = test_now_ms() + 5000;

    for (size_t i = 0; i < CALLERS; i++)
        CHECK(s, pthread_create(&threads[i], NULL, call_on, &calls) == 0);
    while (calls.answered < 200 && test_now_ms() < until)
        poll(NULL, 0, 1);
    /* These are established before the stop; a request is on its way in each. */
    for (size_t i = 0; i < 50; i++) {
        CHECK(s, peer_open(s, &there[i]) == 0);
        CHECK(s, peer_say(&there[i], GET) == 0);
    }
    atomic_store(&calls.stopped, true);
    rt_stop_all();
    for (size_t i = 0; i < 50; i++) {
        struct answer a;

        CHECK(s, peer_answer(&there[i], false, &a) == 0);
        CHECK(s, a.status == 200 && a.complete);
        peer_next(&there[i], &a);
        peer_close(&there[i]);
    }
    for (size_t i = 0; i < CALLERS; i++)
        pthread_join(threads[i], NULL);
    CHECK(s, calls.lost == 0);
    return 0;
}

static void no_connection_is_lost_at_the_end(void **state)
{
    (void)state;
    for (uint32_t turn = 0; turn < 30; turn++) {
        struct served s = { .loops = 1 + turn % 4,
                            .routes = routes,
                            .client = stop_while_they_come };

        s.opts.drain_idle_ms = 100;
        served_run(&s);
        assert_int_equal(s.end_rc, 0);
        served_done(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_are_shared_out),
        cmocka_unit_test(no_connection_is_lost_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
