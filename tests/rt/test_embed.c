/* Living in a foreign loop: poll(2), epoll with edges, and libuv where it is there. */
#include "support/in_task.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <weir/chan.h>
#include <weir/embed.h>
#include <weir/remote.h>
#include <weir/stream.h>
#include <weir/time.h>

#include "base/budget.h"
#include "embed_foreign.h"
#include "rt/rt.h"

typedef void turner(struct embed_stats *ret_stats);

static void turn_in_poll(struct embed_stats *ret_stats)
{
    struct pollfd watch = { .fd = weir_loop_fd(), .events = POLLIN };

    *ret_stats = (struct embed_stats){ 0 };
    for (;;) {
        int n = poll(&watch, 1, 1);

        CHECK(n >= 0);
        if (n == 0) {
            ret_stats->ticks++;
            continue;
        }
        ret_stats->steps++;
        if (weir_loop_step() == 0)
            return;
    }
}

/* The time-out instead of the timer in the descriptor gives the same. */
static void turn_by_timeout(struct embed_stats *ret_stats)
{
    struct pollfd watch = { .fd = weir_loop_fd(), .events = POLLIN };

    *ret_stats = (struct embed_stats){ .ticks = 1 };
    do {
        CHECK(poll(&watch, 1, weir_loop_timeout_ms()) >= 0);
        ret_stats->steps++;
    } while (weir_loop_step() != 0);
}

static void turn_by_edges(struct embed_stats *ret_stats)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLET };
    int fd = epoll_create1(EPOLL_CLOEXEC);

    *ret_stats = (struct embed_stats){ .ticks = 1 };
    CHECK_INT(epoll_ctl(fd, EPOLL_CTL_ADD, weir_loop_fd(), &event), 0);
    do {
        CHECK_INT(epoll_wait(fd, &event, 1, 10000), 1);
        ret_stats->steps++;
    } while (weir_loop_step() != 0);
    close(fd);
}

/* ---- what runs in it ---------------------------------------------------------------- */

static int echo_one(void *arg)
{
    weir_stream *stream;
    weir_str data;
    ssize_t n;

    CHECK_INT(weir_accept(arg, &stream), 1);
    while ((n = weir_stream_read(stream, &data)) > 0)
        CHECK(weir_stream_write(stream, data) == n);
    weir_stream_close(stream);
    return (int)n;
}

static int talk(void *arg)
{
    weir_listener *listener;
    weir_stream *stream;
    weir_str data;
    char address[50];
    int rc = weir_listen("127.0.0.1:0", &listener);

    (void)arg;
    CHECK_INT(rc, 0);
    snprintf(address, sizeof(address), "127.0.0.1:%u", weir_listener_port(listener));
    WEIR_SCOPE(s, .timeout_ms = 20000) {
        weir_go(s, echo_one, listener);
        CHECK_INT(weir_stream_connect(address, &stream), 0);
        for (int i = 0; i < 100; i++) {
            CHECK(weir_stream_write(stream, weir_str_c("hello")) == 5);
            CHECK(weir_stream_read(stream, &data) == 5);
        }
        weir_stream_close(stream);
        rc = weir_join(s);
    }
    weir_listener_close(listener);
    return rc;
}

static int spin(void *arg)
{
    for (int i = 0; i < 20000; i++)
        if (weir_yield() < 0)
            return -ECANCELED;
    (void)arg;
    return 0;
}

static atomic_int remote_calls;

static int called(void *arg)
{
    (void)arg;
    return weir_sleep_ms(1) + atomic_fetch_add(&remote_calls, 1) + 1;
}

static void *call_often(void *arg)
{
    weir_remote home;

    (void)arg;
    CHECK_INT(weir_remote_of(0, &home), 0);
    for (int i = 1; i <= 20; i++)
        CHECK_INT(weir_remote_call(home, called, NULL), i);
    return NULL;
}

static int elsewhere(void *arg)
{
    (void)arg;
    return weir_sleep_ms(2) < 0 ? -EIO : (int)weir_loop_index();
}

static int live(void *arg)
{
    struct embed_stats *stats = arg;
    pthread_t thread;
    int rc = 0, there = 0;

    (void)stats;
    atomic_store(&remote_calls, 0);
    CHECK_INT(pthread_create(&thread, NULL, call_often, NULL), 0);
    WEIR_SCOPE(s) {
        weir_task task = weir_go_on(s, weir_loops() - 1, elsewhere, NULL, .hold = true);

        weir_go(s, talk, NULL);
        weir_go(s, spin, NULL);
        for (int i = 0; i < 20; i++)
            CHECK_INT(weir_sleep_ms(3), 0);
        rc = weir_join(s);
        CHECK_INT(weir_result(task, &there), 0);
        CHECK_INT(there, weir_loops() - 1);
    }
    while (atomic_load(&remote_calls) < 20)
        CHECK_INT(weir_sleep_ms(1), 0);
    pthread_join(thread, NULL);
    return rc < 0 ? rc : 42;
}

static void live_in(turner *turn, uint32_t loops)
{
    struct embed_stats stats;

    assert_int_equal(weir_embed_start(live, NULL, .loops = loops, .grace_ms = 200), 0);
    turn(&stats);
    assert_int_equal(weir_loop_step(), 0); /* also afterwards */
    assert_int_equal(weir_embed_end(), 42);
    assert_true(stats.ticks > 0); /* the other loop lives as well */
    /* Some 20 + 20 timers, 200 reads, 20,000 yields: but no busy loop. */
    assert_in_range(stats.steps, 20, 2000);
    assert_int_equal(rt_wrong_uses(), 0);
    assert_int_equal(budget_used(), 0);
}

static void in_poll(void **state)
{
    (void)state;
    for (uint32_t loops = 1; loops <= 3; loops++)
        live_in(turn_in_poll, loops);
}

static void in_poll_with_a_time_out(void **state)
{
    (void)state;
    live_in(turn_by_timeout, 2);
}

static void in_epoll_with_edges(void **state)
{
    (void)state;
    live_in(turn_by_edges, 2);
}

static void in_libuv(void **state)
{
    (void)state;
#ifdef TEST_UV
    for (uint32_t loops = 1; loops <= 2; loops++)
        live_in(turn_in_uv, loops);
#else
    print_message("libuv was not found\n");
    skip();
#endif
}

/* ---- ends ------------------------------------------------------------------------------ */

static int ended_with;

static int sleep_long(void *arg)
{
    (void)arg;
    ended_with = weir_sleep_ms(60000);
    return ended_with;
}

static void it_can_be_ended_from_outside(void **state)
{
    (void)state;
    assert_int_equal(weir_embed_start(sleep_long, NULL, .loops = 2, .grace_ms = 20), 0);
    assert_int_equal(weir_loop_step(), 1);
    assert_in_range(weir_loop_timeout_ms(), 1000, 60000);
    assert_int_equal(weir_embed_end(), -ECANCELED);
    assert_int_equal(ended_with, -ECANCELED);
    weir_recover();
}

static void what_was_not_started_is_refused(void **state)
{
    (void)state;
    assert_int_equal(weir_loop_fd(), -EINVAL);
    assert_int_equal(weir_loop_step(), -EINVAL);
    assert_int_equal(weir_embed_end(), -EINVAL);
    assert_int_equal(weir_loop_timeout_ms(), -1);
    weir_recover();
    assert_int_equal(weir_embed_start(sleep_long, NULL, .loops = 1000), -EINVAL);
    weir_recover();
}

static int fail_first(void *arg)
{
    (void)arg;
    return weir_fail(-ENOSPC, "nothing left");
}

static void a_failure_comes_with_its_chain(void **state)
{
    char text[100];

    (void)state;
    assert_int_equal(weir_embed_start(fail_first, NULL, .loops = 1), 0);
    while (weir_loop_step() != 0)
        ;
    assert_int_equal(weir_embed_end(), -ENOSPC);
    weir_error_print(text, sizeof(text));
    assert_string_equal(text, "nothing left");
    weir_recover();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_poll),
        cmocka_unit_test(in_poll_with_a_time_out),
        cmocka_unit_test(in_epoll_with_edges),
        cmocka_unit_test(in_libuv),
        cmocka_unit_test(it_can_be_ended_from_outside),
        cmocka_unit_test(what_was_not_started_is_refused),
        cmocka_unit_test(a_failure_comes_with_its_chain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
