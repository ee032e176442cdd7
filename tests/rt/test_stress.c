/* Random programs of tasks, scopes, channels, locks, semaphores, selects and
 * cancels, on one loop and on three, and what must hold when they have ended:
 * what was sent was received or dropped, locks and units are balanced, no task is
 * left, and the whole budget is given back. */
#include "support/in_task.h"

#include <errno.h>
#include <stdatomic.h>

#include <weir/chan.h>
#include <weir/sync.h>
#include <weir/time.h>

#include "base/budget.h"
#include "rt/loop.h"
#include "support/random.h"

#define LOOPS_MAX 3
#define CHANNELS 4
#define UNITS 3
#define ROUNDS 60
#define DEPTH_MAX 4

typedef WEIR_CHAN(uint64_t) number_chan;

/* Of one loop. */
static struct world {
    struct random random;
    number_chan channels[CHANNELS];
    weir_mutex mutex;
    bool locked;
    uint64_t sent, received, dropped; /* sums of the items */
    uint64_t next;
    int64_t live;
    uint64_t ran;
} worlds[LOOPS_MAX];

static weir_semaphore *units, *narrow;
static atomic_int units_held;
static atomic_uint worlds_done;

struct part {
    int depth;
    weir_scope around; /* the parent's, to be cancelled now and then */
    weir_task brother;
};

static struct world *here(void)
{
    return &worlds[weir_loop_index()];
}

static uint32_t below(uint32_t bound)
{
    return random_below(&here()->random, bound);
}

static void drop_number(void *item)
{
    here()->dropped += *(uint64_t *)item;
}

static number_chan some_channel(void)
{
    return here()->channels[below(CHANNELS)];
}

static int do_send(void)
{
    uint64_t item = ++here()->next;
    number_chan c = some_channel();
    int rc = below(3) ? weir_send(c, &item) : weir_try_send(c, &item);

    if (rc == 1)
        here()->sent += item;
    return rc;
}

static int do_receive(void)
{
    uint64_t item = 0;
    number_chan c = some_channel();
    int rc = below(3) ? weir_recv(c, &item) : weir_try_recv(c, &item);

    if (rc == 1)
        here()->received += item;
    return rc;
}

static int do_select(const struct part *part)
{
    uint64_t in[2] = { 0, 0 }, out = ++here()->next;
    number_chan a = some_channel(), b = some_channel(), c = some_channel();
    weir_pick p = weir_select(WEIR_RECV(a, &in[0]), WEIR_SEND(b, &out), WEIR_RECV(c, &in[1]),
                              WEIR_AFTER_MS(below(3)), WEIR_DONE(part->brother), WEIR_STOP);

    if ((p.arm == 0 || p.arm == 2) && p.rc == 1)
        here()->received += in[p.arm / 2];
    if (p.arm == 1 && p.rc == 1)
        here()->sent += out;
    return p.rc;
}

static int do_lock(void)
{
    struct world *w = here();
    int rc = weir_lock(&w->mutex);

    if (rc < 0)
        return rc;
    CHECK(!w->locked);
    w->locked = true;
    rc = below(2) ? weir_yield() : weir_sleep_ms(below(2));
    CHECK(w->locked);
    w->locked = false;
    weir_unlock(&w->mutex);
    return rc;
}

static int do_acquire(void)
{
    int rc = below(4) ? weir_acquire(units) : weir_try_acquire(units);

    if (rc < 0)
        return rc;
    CHECK(atomic_fetch_add(&units_held, 1) < UNITS);
    rc = below(2) ? weir_yield() : weir_sleep_ms(below(2));
    atomic_fetch_sub(&units_held, 1);
    weir_release(units);
    return rc;
}

static int block_briefly(void *arg)
{
    (void)arg;
    return 0;
}

static int do_shield(void)
{
    int rc = 0;

    WEIR_SCOPE(s, .shield = true, .grace_ms = 1 + below(3), .timeout_ms = below(2) * 2)
        rc = weir_sleep_ms(below(3));
    return rc;
}

static int run_part(void *arg);

static int do_scope(const struct part *part)
{
    struct part inside = { .depth = part->depth + 1, .brother = part->brother };
    uint32_t children = 1 + below(4);
    weir_scope_opts opts = { .size = sizeof(opts),
                             .site = WEIR_HERE,
                             .timeout_ms = below(3) ? 0 : 1 + below(5),
                             .limit = below(3) ? 0 : 1 + below(2),
                             .shield = below(6) == 0,
                             .grace_ms = 1 + below(3) };
    weir_scope s = weir_scope_open_opt(&opts);
    int rc = 0;

    inside.around = s;
    for (uint32_t i = 0; i < children; i++)
        inside.brother = weir_go(s, run_part, &inside, .optional = below(3) == 0,
                                 .hold = below(3) == 0, .needs = below(4) ? NULL : narrow);
    if (below(8) == 0)
        weir_cancel(s);
    if (below(8) == 0)
        weir_stop(s);
    if (below(5))
        rc = weir_join(s);
    weir_scope_close(s);
    return rc;
}

static int step(const struct part *part)
{
    switch (below(part->depth < DEPTH_MAX ? 14 : 11)) {
    case 0:
    case 1: return do_send();
    case 2:
    case 3: return do_receive();
    case 4: return do_select(part);
    case 5: return do_lock();
    case 6: return do_acquire();
    case 7: return weir_yield();
    case 8: return weir_block(block_briefly, NULL);
    case 9: return do_shield();
    case 10:
        if (below(6) == 0)
            weir_cancel(part->around);
        return below(8) ? 0 : -EIO;
    default: return do_scope(part);
    }
}

/* The part may be changed by its parent for the next child: it is copied. */
static int run_part(void *arg)
{
    struct part part = *(struct part *)arg;
    struct world *w = here();
    uint32_t steps = 1 + below(6);
    int rc = 0;

    w->live++;
    w->ran++;
    for (uint32_t i = 0; i < steps && (rc >= 0 || below(4)); i++)
        rc = step(&part);
    w->live--;
    return rc < 0 && below(3) ? rc : 0;
}

static int run_world(void *arg)
{
    struct world *w = here();

    (void)arg;
    for (int i = 0; i < CHANNELS; i++)
        CHECK_INT(weir_chan_open(&w->channels[i], .capacity = (uint32_t)i, .source = i == 3,
                                 .drop = drop_number),
                  0);
    for (int round = 0; round < ROUNDS; round++) {
        struct part part = { .depth = 0 };

        WEIR_SCOPE(s, .timeout_ms = 30) {
            part.around = s;
            for (int i = 0; i < 6; i++)
                weir_go(s, run_part, &part);
            WEIR_IGNORE(weir_join(s), "random programs fail as they like");
        }
        weir_recover();
        CHECK_INT(w->live, 0);
        CHECK(!w->locked);
        CHECK_INT(weir_try_lock(&w->mutex), 0);
        weir_unlock(&w->mutex);
    }
    for (int i = 0; i < CHANNELS; i++)
        weir_chan_free(w->channels[i]);
    CHECK_INT(w->sent, w->received + w->dropped);
    CHECK(w->ran > ROUNDS);
    CHECK_INT(loop_current->app->scopes.next == &loop_current->app->scopes, 1);
    atomic_fetch_add(&worlds_done, 1);
    return 0;
}

static int run_worlds(void *arg)
{
    (void)arg;
    while (atomic_load(&worlds_done) < weir_loops())
        CHECK_INT(weir_sleep_ms(1), 0);
    for (int i = 0; i < UNITS; i++)
        CHECK_INT(weir_try_acquire(units), 0);
    CHECK_INT(weir_try_acquire(units), -EAGAIN);
    for (int i = 0; i < UNITS; i++)
        weir_release(units);
    CHECK_INT(weir_try_acquire(narrow), 0);
    weir_release(narrow);
    return 0;
}

static void stress(uint32_t loops)
{
    struct random random;

    random_begin(&random);
    memset(worlds, 0, sizeof(worlds));
    for (uint32_t i = 0; i < loops; i++)
        worlds[i].random.state = random_next(&random);
    atomic_store(&worlds_done, 0);
    /* Twice with the same semaphores: they outlive a runtime. */
    assert_int_equal(weir_semaphore_new(&units, .units = UNITS), 0);
    assert_int_equal(weir_semaphore_new(&narrow, .units = 1, .max_waiting = 20), 0);
    for (int turn = 0; turn < 2; turn++) {
        atomic_store(&worlds_done, 0);
        assert_int_equal(weir_run(run_worlds, NULL, .loops = loops, .each = run_world,
                                  .grace_ms = 2000, .block_threads = 2, .block_queue = 4),
                         0);
        assert_int_equal(atomic_load(&worlds_done), loops);
        assert_int_equal(atomic_load(&units_held), 0);
        for (int kind = 0; kind < BUDGET_KINDS; kind++)
            assert_int_equal(budget_used_by(kind), 0);
    }
    assert_int_equal(rt_wrong_uses(), 0);
    weir_semaphore_free(units);
    weir_semaphore_free(narrow);
}

static void one_loop(void **state)
{
    (void)state;
    stress(1);
}

static void three_loops(void **state)
{
    (void)state;
    stress(3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_loop),
        cmocka_unit_test(three_loops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
