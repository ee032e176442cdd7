/* Every allocation failing in turn, once and for ever, in runs that make, use and free
 * what the runtime has: the call that meets it says so or does without, what others
 * were given is theirs still, and nothing is left. */
#include "support/in_task.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include <weir/block.h>
#include <weir/broadcast.h>
#include <weir/chan.h>
#include <weir/datagram.h>
#include <weir/guard.h>
#include <weir/jobs.h>
#include <weir/signals.h>
#include <weir/sync.h>
#include <weir/watch.h>

#include "support/fault.h"

typedef WEIR_CHAN(int) int_chan;

/* ---- channels ------------------------------------------------------------------------- */

struct belt {
    int_chan chan;
    int sent, got;
};

static int put(void *arg)
{
    struct belt *b = arg;
    int rc = 0;

    for (int i = 0; i < 5 && rc >= 0; i++) {
        rc = weir_send(b->chan, &i);
        b->sent += rc == 1;
    }
    weir_close(b->chan);
    return rc;
}

static int take(void *arg)
{
    struct belt *b = arg;
    int item, rc;

    while ((rc = weir_recv(b->chan, &item)) > 0)
        CHECK_INT(item, b->got++);
    return rc;
}

/* One end may fail to start: the other is cancelled then, and no item is lost. */
static int channel(const weir_chan_opts *opts)
{
    struct belt b = { 0 };
    int item, rc = weir_chan_new_opt(&b.chan.chan, sizeof(int), opts);

    if (rc < 0)
        return rc;
    WEIR_SCOPE(s) {
        weir_go(s, put, &b);
        weir_go(s, take, &b, .spread = opts->shared);
        rc = weir_join(s);
    }
    while (weir_try_recv(b.chan, &item) > 0)
        b.got++;
    CHECK_INT(b.got, b.sent);
    weir_chan_free(b.chan);
    return rc;
}

static int local_channel(void)
{
    return channel(&(weir_chan_opts){ .size = sizeof(weir_chan_opts), .capacity = 2 });
}

static int shared_channel(void)
{
    return channel(
        &(weir_chan_opts){ .size = sizeof(weir_chan_opts), .capacity = 2, .shared = true });
}

static int shared_rendezvous(void)
{
    return channel(&(weir_chan_opts){ .size = sizeof(weir_chan_opts), .shared = true });
}

static int oneshot(void)
{
    int item = 7, rc;
    int_chan chan;

    rc = weir_chan_open(&chan, .oneshot = true, .shared = true);
    if (rc < 0)
        return rc;
    rc = weir_send(chan, &item);
    if (rc >= 0)
        rc = weir_recv(chan, &item);
    weir_chan_free(chan);
    return rc < 0 ? rc : 0;
}

/* Room that was given is there, whatever memory does. */
static int permits(void)
{
    WEIR_PERMIT(int) permit;
    int item = 7, rc;
    int_chan chan;

    rc = weir_chan_open(&chan, .capacity = 1, .shared = true);
    if (rc < 0)
        return rc;
    rc = weir_reserve(chan, &permit);
    if (rc == 0) {
        CHECK_INT(weir_try_send(chan, &item), -EAGAIN);
        weir_send_reserved(permit, &item);
        CHECK_INT(weir_try_recv(chan, &item), 1);
    }
    weir_chan_free(chan);
    return rc;
}

static int select_arms(void)
{
    int item = 7, rc, files[2];
    int_chan one, other;
    weir_pick pick;

    rc = weir_chan_open(&one, .shared = true);
    if (rc < 0)
        return rc;
    rc = weir_chan_open(&other);
    if (rc < 0) {
        weir_chan_free(one);
        return rc;
    }
    CHECK_INT(pipe(files), 0);
    pick = weir_select(WEIR_RECV(one, &item), WEIR_RECV(other, &item), WEIR_READABLE(files[0]),
                       WEIR_AFTER_MS(1));
    CHECK(pick.arm == 3 || pick.rc < 0);
    close(files[0]);
    close(files[1]);
    weir_chan_free(one);
    weir_chan_free(other);
    return pick.rc;
}

/* ---- broadcast and watch ---------------------------------------------------------------- */

static int broadcast(void)
{
    WEIR_BROADCAST(int) news;
    WEIR_SUBSCRIPTION(int) one = { 0 }, other = { 0 };
    int item, rc = weir_broadcast_open(&news, .capacity = 2, .shared = true);

    if (rc < 0)
        return rc;
    rc = weir_subscribe(news, &one, .slow = WEIR_SLOW_WAIT);
    if (rc == 0)
        rc = weir_subscribe(news, &other, .slow = WEIR_DROP_OLDEST);
    if (rc == 0)
        rc = weir_broadcast(news, &(int){ 3 });
    if (rc == 0)
        rc = weir_broadcast_recv(one, &item);
    if (rc > 0)
        rc = weir_broadcast_recv(other, &item);
    weir_unsubscribe(one);
    weir_unsubscribe(other);
    weir_broadcast_free(news);
    return rc < 0 ? rc : 0;
}

static int watch(void)
{
    WEIR_WATCH(int) level;
    WEIR_WATCHER(int) watcher;
    int item, rc = weir_watch_open(&level, &(int){ 1 }, .shared = true);

    if (rc < 0)
        return rc;
    weir_watch_from(level, &watcher);
    rc = weir_update(level, &(int){ 2 });
    if (rc >= 0)
        rc = weir_changed(&watcher, &item);
    weir_watch_free(level);
    return rc < 0 ? rc : 0;
}

/* ---- children, jobs, blocking calls ------------------------------------------------------- */

static int nap(void *arg)
{
    (void)arg;
    return weir_sleep_ms(1);
}

struct held {
    int taken, dropped;
};

static int take_it(void *arg)
{
    int rc = weir_sleep_ms(1);

    ((struct held *)arg)->taken += rc == 0;
    return rc;
}

static void drop_it(void *arg)
{
    ((struct held *)arg)->dropped++;
}

/* What was taken by a job is the caller's, or was dropped. */
static int jobs(void)
{
    struct held a = { 0 }, b = { 0 };
    weir_job list[] = { WEIR_JOB(take_it, &a, .drop = drop_it),
                        WEIR_JOB(take_it, &b, .drop = drop_it) };
    int rc = weir_all(list, 2);

    CHECK_INT(a.taken - a.dropped + b.taken - b.dropped, rc < 0 ? 0 : 2);
    if (rc < 0)
        return rc;
    a = b = (struct held){ 0 };
    rc = weir_race(list, 2, NULL, .stagger_ms = 1);
    CHECK_INT(a.taken - a.dropped + b.taken - b.dropped, rc < 0 ? 0 : 1);
    return rc;
}

static int spread(void)
{
    int rc = 0;

    WEIR_SCOPE(s) {
        for (uint32_t i = 0; i < 4; i++) {
            weir_go(s, nap, NULL, .spread = true);
            weir_go_on(s, i % 2, nap, NULL);
        }
        rc = weir_join(s);
    }
    return rc;
}

static int count_call(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

static void dispose(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 100);
}

static int blocking_calls(void)
{
    atomic_int calls = 0;
    weir_threads *threads;
    int rc = weir_threads_new(&threads, .name = "few", .threads = 2);

    if (rc < 0)
        return rc;
    rc = weir_block(count_call, &calls, .pool = threads);
    CHECK_INT(atomic_load(&calls), rc == 0);
    weir_threads_free(threads);
    return rc;
}

static int session(void)
{
    atomic_int calls = 0;
    bool abandoned = false;
    weir_session *own;
    int rc = weir_session_open(&own);

    if (rc < 0)
        return rc;
    rc = weir_session_call(own, count_call, &calls, .abandon = dispose, .abandoned = &abandoned);
    weir_session_close(own);
    CHECK(!abandoned);
    CHECK_INT(atomic_load(&calls), rc == 0);
    return rc;
}

/* ---- locks, pools --------------------------------------------------------------------------- */

static int fly(void *arg, void *ret_result)
{
    (void)arg;
    *(int *)ret_result = 4;
    return weir_sleep_ms(1);
}

static void close_none(weir_pool_item *item)
{
    (void)item;
}

static int locks_and_pools(void)
{
    weir_single_flight *group = NULL;
    weir_semaphore *units = NULL;
    weir_pool *pool = NULL;
    weir_lease lease;
    int result, rc = weir_semaphore_new(&units, .units = 1);

    if (rc == 0)
        rc = weir_single_flight_new(&group, .shared = true, .result_bytes = sizeof(int));
    if (rc == 0)
        rc = weir_pool_new(&pool, .name = "test", .close = close_none);
    if (rc == 0)
        rc = weir_acquire(units);
    if (rc == 0) {
        rc = weir_single_flight_run(group, WEIR_S("key"), fly, NULL, &result, sizeof(int));
        weir_release(units);
    }
    if (rc == 0)
        rc = weir_pool_acquire(pool, &lease);
    if (rc == 0)
        weir_pool_release(&lease, NULL);
    weir_pool_free(pool);
    weir_single_flight_free(group);
    weir_semaphore_free(units);
    return rc;
}

/* ---- the system --------------------------------------------------------------------------------- */

static int signals_and_ticks(void)
{
    weir_ticker ticker = weir_ticker_every_ms(1);
    weir_signals *signals;
    int number, rc = weir_signals_open(&signals, SIGUSR2);

    if (rc < 0)
        return rc;
    CHECK_INT(raise(SIGUSR2), 0);
    rc = weir_signals_next(signals, &number);
    if (rc >= 0)
        rc = weir_tick(&ticker);
    weir_signals_close(signals);
    return rc < 0 ? rc : 0;
}

static int datagrams(void)
{
    char data[8];
    weir_packet packet = { .data = data, .room = sizeof(data) };
    weir_datagram *one = NULL, *other = NULL;
    int rc = weir_datagram_open("127.0.0.1:0", &one);

    if (rc == 0)
        rc = weir_datagram_open("127.0.0.1:0", &other);
    if (rc == 0) {
        weir_address to = weir_datagram_address(one);

        rc = weir_datagram_send(other, WEIR_S("ping"), &to);
    }
    if (rc == 0)
        rc = weir_datagram_recv(one, &packet);
    weir_datagram_close(one);
    weir_datagram_close(other);
    return rc < 0 ? rc : 0;
}

/* ---- the sweeps ----------------------------------------------------------------------------------- */

struct form {
    const char *name;
    int (*run)(void);
    uint32_t loops;
};

static const struct form forms[] = {
    { "channel", local_channel, 1 },
    { "shared channel", shared_channel, 2 },
    { "shared rendezvous", shared_rendezvous, 2 },
    { "one-shot channel", oneshot, 1 },
    { "permits", permits, 1 },
    { "select", select_arms, 1 },
    { "broadcast", broadcast, 1 },
    { "watch", watch, 1 },
    { "jobs", jobs, 1 },
    { "spread", spread, 2 },
    { "blocking calls", blocking_calls, 1 },
    { "session", session, 1 },
    { "locks and pools", locks_and_pools, 1 },
    { "signals and ticks", signals_and_ticks, 1 },
    { "datagrams", datagrams, 1 },
};

static int run_form(void *arg)
{
    int rc = ((const struct form *)arg)->run();

    CHECK(rc <= 0);
    return rc;
}

static int whole_run(void *arg)
{
    const struct form *form = arg;
    int rc = weir_run(run_form, arg, .loops = form->loops, .grace_ms = 500);

    weir_recover();
    return rc;
}

static void each_allocation_fails(void **state)
{
    assert_true(fault_sweep(whole_run, *state) > 5);
}

#define COUNT (sizeof(forms) / sizeof(forms[0]))

int main(void)
{
    struct CMUnitTest tests[COUNT] = { 0 };

    for (size_t i = 0; i < COUNT; i++)
        tests[i] = (struct CMUnitTest){ .name = forms[i].name,
                                        .test_func = each_allocation_fails,
                                        .initial_state = (void *)&forms[i] };
    return _cmocka_run_group_tests("each allocation fails", tests, COUNT, NULL, NULL);
}
