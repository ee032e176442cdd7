/* Tasks and time, blocking calls, jobs, signals, descriptors, pools: what was given up
 * was not begun, or has ended. */
#include "waits/waits.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include <weir/block.h>
#include <weir/fd.h>
#include <weir/guard.h>
#include <weir/jobs.h>
#include <weir/signals.h>

static bool no = false, yes = true;

/* ---- children and time --------------------------------------------------------------- */

static int nap(void *arg)
{
    (void)arg;
    return weir_sleep_ms(1);
}

static int count_nap(void *arg)
{
    ++*(int *)arg;
    return weir_sleep_ms(1);
}

/* At its scope's limit, the opener waits for room. */
static int go(void *arg)
{
    int begun = 0;
    weir_task task = { 0 };

    (void)arg;
    WEIR_SCOPE(outer, .limit = 1) {
        weir_go(outer, count_nap, &begun);
        task = SWEPT(weir_go(outer, count_nap, &begun));
        CHECK_INT(weir_join(outer), 0);
        CHECK(begun == 2 || (sweep_hit() && begun == 1 && task.slot == 0));
    }
    return 0;
}

static int go_on(void *arg)
{
    int begun = 0;
    weir_task task = { 0 };

    (void)arg;
    WEIR_SCOPE(outer, .limit = 1) {
        weir_go_on(outer, 0, count_nap, &begun);
        task = SWEPT(weir_go_on(outer, 0, count_nap, &begun));
        CHECK_INT(weir_join(outer), 0);
        CHECK(begun == 2 || (sweep_hit() && begun == 1 && task.slot == 0));
    }
    return 0;
}

static int stay(void *arg)
{
    int rc;

    ++*(int *)arg;
    rc = weir_sleep_ms(1);
    --*(int *)arg;
    return rc;
}

/* The children of a join that was cancelled have ended before it returns. */
static int join(void *arg)
{
    int alive = 0, rc = 1;

    (void)arg;
    WEIR_SCOPE(s) {
        sweep_at(s);
        weir_go(s, stay, &alive);
        weir_go(s, stay, &alive, .optional = true);
        weir_go(s, stay, &alive, .spread = true);
        rc = weir_join(s);
        sweep_over();
        CHECK_INT(alive, 0);
    }
    gave_up(rc);
    return 0;
}

static int join_outer(void *arg)
{
    (void)arg;
    WEIR_SCOPE(outer, .collect = true) {
        weir_go(outer, nap, NULL);
        /* Its own scope is a child of the one that is cancelled. */
        gave_up(SWEPT(({
            int rc = 0;

            WEIR_SCOPE(s, .race = true) {
                weir_go(s, nap, NULL);
                weir_go(s, nap, NULL);
                rc = weir_join(s);
            }
            rc;
        })));
        CHECK_INT(weir_join(outer), 0);
    }
    return 0;
}

static int yield(void *arg)
{
    (void)arg;
    gave_up(SWEPT(weir_yield()));
    return 0;
}

static int sleep_ms(void *arg)
{
    (void)arg;
    gave_up(SWEPT(weir_sleep_ms(1)));
    return 0;
}

static int tick(void *arg)
{
    weir_ticker ticker = weir_ticker_every_ms(1);

    (void)arg;
    if (!gave_up(SWEPT(weir_tick(&ticker))))
        return 0;
    CHECK(weir_tick(&ticker) >= 1);
    return 0;
}

/* ---- signals and descriptors ---------------------------------------------------------- */

static int raise_later(void *arg)
{
    (void)arg;
    CHECK_INT(weir_sleep_ms(1), 0);
    CHECK_INT(raise(SIGUSR2), 0);
    return 0;
}

/* A signal that came is kept for the next who asks. */
static int signals_next(void *arg)
{
    weir_signals *signals;
    int number = 0;

    (void)arg;
    CHECK_INT(weir_signals_open(&signals, SIGUSR2), 0);
    WEIR_SCOPE(s) {
        weir_go(s, raise_later, NULL);
        if (gave_up(SWEPT(weir_signals_next(signals, &number))))
            CHECK_INT(weir_signals_next(signals, &number), 1);
        CHECK_INT(number, SIGUSR2);
        CHECK_INT(weir_join(s), 0);
    }
    weir_signals_close(signals);
    return 0;
}

static int write_later(void *arg)
{
    CHECK_INT(weir_sleep_ms(1), 0);
    CHECK_INT(write(*(int *)arg, "x", 1), 1);
    return 0;
}

static int wait_fd(void *arg)
{
    int files[2];

    (void)arg;
    CHECK_INT(pipe(files), 0);
    WEIR_SCOPE(s) {
        weir_go(s, write_later, &files[1]);
        if (gave_up(SWEPT(weir_wait_fd(files[0], POLLIN))))
            CHECK_INT(weir_wait_fd(files[0], POLLIN), POLLIN);
        CHECK_INT(weir_join(s), 0);
    }
    close(files[0]);
    close(files[1]);
    return 0;
}

/* ---- blocking calls -------------------------------------------------------------------- */

static int work(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return 7;
}

/* It ran and its result is there, or it never ran. */
static int block(void *arg)
{
    atomic_int calls = 0;
    int rc = SWEPT(weir_block(work, &calls));

    (void)arg;
    CHECK(gave_up(rc) ? calls == 0 : calls == 1 && rc == 7);
    return 0;
}

struct occupied {
    weir_threads *threads;
    atomic_int calls;
};

static int occupy(void *arg)
{
    struct occupied *o = arg;
    int rc = weir_block(work, &o->calls, .pool = o->threads);

    return rc < 0 ? rc : 0;
}

static int block_in_queue(void *arg)
{
    struct occupied other = { 0 };
    atomic_int calls = 0;
    bool up;

    (void)arg;
    CHECK_INT(weir_threads_new(&other.threads, .name = "one", .threads = 1, .queue = 2), 0);
    WEIR_SCOPE(s) {
        weir_go(s, occupy, &other);
        CHECK_INT(weir_yield(), 0);
        up = gave_up(SWEPT(weir_block(work, &calls, .pool = other.threads)));
        CHECK_INT(calls, !up);
        CHECK_INT(weir_join(s), 0);
    }
    weir_threads_free(other.threads);
    CHECK_INT(other.calls, 1);
    return 0;
}

static void dispose(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 100);
}

/* Handed over, it is disposed of, once it has run, before the session's end. */
static int session_call(void *arg)
{
    static atomic_int calls;
    weir_session *session;
    bool abandoned = false;
    int rc;

    atomic_store(&calls, 0);
    CHECK_INT(weir_session_open(&session), 0);
    if (*(bool *)arg) {
        rc = SWEPT(
            weir_session_call(session, work, &calls, .abandon = dispose, .abandoned = &abandoned));
        if (!gave_up(rc))
            CHECK(!abandoned);
        weir_session_close(session);
        CHECK_INT(atomic_load(&calls), abandoned ? 101 : rc >= 0);
        return 0;
    }
    rc = SWEPT(weir_session_call(session, work, &calls));
    CHECK_INT(atomic_load(&calls), !gave_up(rc));
    weir_session_close(session);
    return 0;
}

/* ---- jobs -------------------------------------------------------------------------------- */

struct held {
    int taken, dropped;
};

static int take_after_nap(void *arg)
{
    int rc = weir_sleep_ms(1);

    if (rc == 0)
        ((struct held *)arg)->taken++;
    return rc;
}

static void drop_it(void *arg)
{
    ((struct held *)arg)->dropped++;
}

/* What was taken is the caller's, or was dropped. */
static int all(void *arg)
{
    struct held a = { 0 }, b = { 0 };
    weir_job jobs[] = { WEIR_JOB(take_after_nap, &a, .drop = drop_it),
                        WEIR_JOB(take_after_nap, &b, .drop = drop_it) };
    bool up = gave_up(SWEPT(weir_all(jobs, 2, .limit = *(bool *)arg ? 1 : 0)));

    CHECK_INT(a.dropped, up && a.taken);
    CHECK_INT(b.dropped, up && b.taken);
    CHECK(up || a.taken + b.taken == 2);
    return 0;
}

static int race(void *arg)
{
    struct held a = { 0 }, b = { 0 };
    weir_job jobs[] = { WEIR_JOB(take_after_nap, &a, .drop = drop_it),
                        WEIR_JOB(take_after_nap, &b, .drop = drop_it) };
    size_t winner = 2;
    bool up = gave_up(SWEPT(weir_race(jobs, 2, &winner, .stagger_ms = *(bool *)arg ? 2 : 0)));

    CHECK_INT(a.taken - a.dropped + b.taken - b.dropped, !up);
    CHECK(up == (winner == 2));
    return 0;
}

/* ---- pools ------------------------------------------------------------------------------- */

static void close_none(weir_pool_item *item)
{
    (void)item;
}

static int release_later(void *arg)
{
    CHECK_INT(weir_sleep_ms(1), 0);
    weir_pool_release(arg, NULL);
    return 0;
}

static int pool_acquire(void *arg)
{
    weir_pool_stats stats;
    weir_lease held, lease;
    weir_pool *pool;

    (void)arg;
    CHECK_INT(weir_pool_new(&pool, .name = "test", .max = 1, .close = close_none), 0);
    CHECK_INT(weir_pool_acquire(pool, &held), 0);
    WEIR_SCOPE(s) {
        weir_go(s, release_later, &held);
        if (!gave_up(SWEPT(weir_pool_acquire(pool, &lease))))
            weir_pool_release(&lease, NULL);
        CHECK_INT(weir_join(s), 0);
    }
    weir_pool_read(pool, &stats);
    CHECK_INT(stats.held, 0);
    CHECK_INT(weir_pool_acquire(pool, &lease), 0);
    weir_pool_release(&lease, NULL);
    weir_pool_free(pool);
    return 0;
}

static const struct waiting tasks[] = {
    { "go", go, NULL, 1 },
    { "go on a loop", go_on, NULL, 1 },
    { "join", join, NULL, 1 },
    { "join inside", join_outer, NULL, 1 },
    { "yield", yield, NULL, 0 }, /* ready all the time: it is cancelled on entry */
    { "sleep", sleep_ms, NULL, 1 },
    { "tick", tick, NULL, 1 },
    { "signals", signals_next, NULL, 1 },
    { "descriptor", wait_fd, NULL, 1 },
    { "block", block, NULL, 1 },
    { "block, in the queue", block_in_queue, NULL, 1 },
    { "session", session_call, &no, 1 },
    { "session, abandoned", session_call, &yes, 1 },
    { "all", all, &no, 1 },
    { "all, one at a time", all, &yes, 1 },
    { "race", race, &no, 1 },
    { "race, staggered", race, &yes, 1 },
    { "pool", pool_acquire, NULL, 1 },
};

int main(void)
{
    return WAITS_RUN(tasks);
}
