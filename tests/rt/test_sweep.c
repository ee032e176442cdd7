/* A cancel at every wait of each primitive: nothing is lost, nothing left. */
#include "support/in_task.h"

#include <errno.h>

#include <weir/chan.h>
#include <weir/stream.h>
#include <weir/sync.h>

#include "rt/rt.h"
#include "support/sweep.h"

/* Run to the join inside a swept scope; what it gives must be success or the
 * cancel of this run. */
static int swept(weir_fn *const *fns, int count, void *arg)
{
    int rc = 1;

    WEIR_SCOPE(s) {
        sweep_at(s);
        for (int i = 0; i < count; i++)
            weir_go(s, fns[i], arg);
        rc = weir_join(s);
        sweep_over();
    }
    CHECK(rc == 0 || (rc == -ECANCELED && sweep_hit()));
    weir_recover();
    return 0;
}

#define SWEPT(arg, ...)                                                        \
    swept((weir_fn *const[]){ __VA_ARGS__ },                                   \
          (int)(sizeof((weir_fn *const[]){ __VA_ARGS__ }) / sizeof(weir_fn *)), arg)

/* ---- sleep, yield, join ------------------------------------------------------------- */

static int sleeper(void *arg)
{
    int rc = weir_sleep_ms(1);

    (void)arg;
    return rc < 0 ? rc : weir_sleep_ms(2);
}

static int nested(void *arg)
{
    int rc = 0;

    WEIR_SCOPE(s) {
        weir_go(s, sleeper, arg);
        weir_go(s, sleeper, arg, .optional = true);
        rc = weir_join(s);
    }
    return rc;
}

static int sleep_and_join(void *arg)
{
    return SWEPT(arg, sleeper, nested, nested);
}

/* ---- channels: what is taken is never lost --------------------------------------------- */

struct items {
    WEIR_CHAN(int) chan, other;
    int sent, got;
};

static int sender(void *arg)
{
    struct items *items = arg;

    for (int i = 0; i < 5; i++) {
        int rc = weir_send(items->chan, &i);

        if (rc < 0)
            return rc;
        items->sent++;
    }
    return 0;
}

static int receiver(void *arg)
{
    struct items *items = arg;

    for (int i = 0; i < 5; i++) {
        int item, rc = weir_recv(items->chan, &item);

        if (rc <= 0)
            return rc;
        items->got++;
    }
    return 0;
}

static int selecting(void *arg)
{
    struct items *items = arg;

    for (int i = 0; i < 5; i++) {
        int item;
        weir_pick p = weir_select(WEIR_RECV(items->other, &item), WEIR_RECV(items->chan, &item),
                                  WEIR_AFTER_MS(10000));

        if (p.rc < 0)
            return p.rc;
        CHECK_INT(p.arm, 1);
        items->got++;
    }
    return 0;
}

static int channel(struct items *items, uint32_t capacity, weir_fn *taker)
{
    int rc, item;

    CHECK_INT(weir_chan_open(&items->chan, .capacity = capacity), 0);
    CHECK_INT(weir_chan_open(&items->other), 0);
    rc = SWEPT(items, sender, taker);
    weir_close(items->chan);
    while (weir_recv(items->chan, &item) > 0)
        items->got++;
    CHECK_INT(items->got, items->sent);
    weir_chan_free(items->chan);
    weir_chan_free(items->other);
    return rc;
}

static int send_and_receive(void *arg)
{
    struct items items = { 0 };

    return channel(&items, *(uint32_t *)arg, receiver);
}

static int send_and_select(void *arg)
{
    struct items items = { 0 };

    return channel(&items, *(uint32_t *)arg, selecting);
}

/* ---- locks ------------------------------------------------------------------------------- */

struct locks {
    weir_mutex mutex;
    weir_semaphore *units;
    int inside, held;
};

static int locker(void *arg)
{
    struct locks *l = arg;
    int rc = weir_lock(&l->mutex);

    if (rc < 0)
        return rc;
    CHECK_INT(++l->inside, 1);
    rc = weir_sleep_ms(1);
    l->inside--;
    weir_unlock(&l->mutex);
    return rc;
}

static int acquirer(void *arg)
{
    struct locks *l = arg;
    int rc = weir_acquire(l->units);

    if (rc < 0)
        return rc;
    CHECK(++l->held <= 2);
    rc = weir_sleep_ms(1);
    l->held--;
    weir_release(l->units);
    return rc;
}

static int lock_and_acquire(void *arg)
{
    struct locks l = { 0 };
    int rc;

    (void)arg;
    CHECK_INT(weir_semaphore_new(&l.units, .units = 2), 0);
    rc = SWEPT(&l, locker, locker, locker, acquirer, acquirer, acquirer, acquirer);
    CHECK_INT(weir_try_lock(&l.mutex), 0);
    weir_unlock(&l.mutex);
    CHECK_INT(weir_try_acquire(l.units), 0);
    CHECK_INT(weir_try_acquire(l.units), 0);
    CHECK_INT(weir_try_acquire(l.units), -EAGAIN);
    weir_release(l.units);
    weir_release(l.units);
    weir_semaphore_free(l.units);
    return rc;
}

/* ---- blocking calls --------------------------------------------------------------------- */

static int quick(void *arg)
{
    *(int *)arg += 1;
    return 7;
}

static int blocker(void *arg)
{
    int ran = 0, rc = weir_block(quick, &ran);

    (void)arg;
    CHECK(rc == -ECANCELED ? ran == 0 : rc == 7 && ran == 1);
    return rc < 0 ? rc : 0;
}

static int block(void *arg)
{
    return SWEPT(arg, blocker, blocker, blocker, blocker);
}

/* ---- streams ---------------------------------------------------------------------------- */

struct ends {
    weir_stream *one, *other;
    weir_listener *listener;
};

static int write_much(void *arg)
{
    static char data[300000];
    struct ends *e = arg;
    ssize_t n = weir_stream_write(e->one, weir_str_from(data, 3000));

    if (n == 3000)
        n = weir_stream_write(e->one, weir_str_from(data, sizeof(data)));
    if (n > 0)
        n = weir_stream_flush(e->one);
    return n < 0 ? (int)n : weir_stream_shutdown(e->one);
}

static int read_much(void *arg)
{
    struct ends *e = arg;
    weir_str data;
    ssize_t n;

    while ((n = weir_stream_read(e->other, &data)) > 0)
        ;
    return (int)n;
}

static int memory_streams(void *arg)
{
    struct ends e = { 0 };
    int rc;

    (void)arg;
    CHECK_INT(weir_stream_pair(&e.one, &e.other), 0);
    rc = SWEPT(&e, write_much, read_much);
    weir_stream_close(e.one);
    weir_stream_close(e.other);
    return rc;
}

static int connect_and_write(void *arg)
{
    struct ends *e = arg;
    uint16_t port = weir_listener_port(e->listener);
    int rc = weir_stream_connect(weir_format("127.0.0.1:%u", port).ptr, &e->one);

    return rc < 0 ? rc : write_much(e);
}

static int accept_and_read(void *arg)
{
    struct ends *e = arg;
    int rc = weir_accept(e->listener, &e->other);

    return rc < 0 ? rc : read_much(e);
}

static int tcp_streams(void *arg)
{
    struct ends e = { 0 };
    int rc;

    (void)arg;
    CHECK_INT(weir_listen("127.0.0.1:0", &e.listener), 0);
    rc = SWEPT(&e, accept_and_read, connect_and_write);
    weir_stream_close(e.one);
    weir_stream_close(e.other);
    weir_listener_close(e.listener);
    return rc;
}

/* ---- the sweeps ---------------------------------------------------------------------------- */

static void sleep_and_join_are_swept(void **state)
{
    (void)state;
    assert_true(sweep_waits(sleep_and_join, NULL) >= 5);
}

static void channels_are_swept(void **state)
{
    (void)state;
    for (uint32_t capacity = 0; capacity < 3; capacity++) {
        assert_true(sweep_waits(send_and_receive, &capacity) >= 3);
        assert_true(sweep_waits(send_and_select, &capacity) >= 3);
    }
}

static void locks_are_swept(void **state)
{
    (void)state;
    assert_true(sweep_waits(lock_and_acquire, NULL) >= 8);
}

static void blocking_calls_are_swept(void **state)
{
    (void)state;
    assert_true(sweep_waits(block, NULL) >= 4);
}

static void streams_are_swept(void **state)
{
    (void)state;
    assert_true(sweep_waits(memory_streams, NULL) >= 5);
    assert_true(sweep_waits(tcp_streams, NULL) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sleep_and_join_are_swept), cmocka_unit_test(channels_are_swept),
        cmocka_unit_test(locks_are_swept),          cmocka_unit_test(blocking_calls_are_swept),
        cmocka_unit_test(streams_are_swept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
