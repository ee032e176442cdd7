/* Locks: a wait that is given up takes nothing, and leaves the others their turn. */
#include "waits/waits.h"

#include <weir/sync.h>

static bool no = false, yes = true;

/* ---- mutex, semaphore, read-write lock --------------------------------------------- */

static int hold_mutex(void *arg)
{
    int rc = weir_lock(arg);

    CHECK_INT(rc, 0);
    rc = weir_sleep_ms(1);
    weir_unlock(arg);
    return rc;
}

static int lock(void *arg)
{
    weir_mutex mutex = { .shared = *(bool *)arg };

    WEIR_SCOPE(s) {
        weir_go(s, hold_mutex, &mutex);
        CHECK_INT(weir_yield(), 0);
        gave_up(SWEPT_THEN(weir_unlock(&mutex), weir_lock(&mutex)));
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(weir_try_lock(&mutex), 0);
    weir_unlock(&mutex);
    return 0;
}

static int hold_unit(void *arg)
{
    int rc = weir_acquire(arg);

    CHECK_INT(rc, 0);
    rc = weir_sleep_ms(1);
    weir_release(arg);
    return rc;
}

static int acquire(void *arg)
{
    weir_semaphore *units;

    (void)arg;
    CHECK_INT(weir_semaphore_new(&units, .units = 1), 0);
    WEIR_SCOPE(s) {
        weir_go(s, hold_unit, units);
        CHECK_INT(weir_yield(), 0);
        gave_up(SWEPT_THEN(weir_release(units), weir_acquire(units)));
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(weir_try_acquire(units), 0);
    CHECK_INT(weir_try_acquire(units), -EAGAIN);
    weir_release(units);
    weir_semaphore_free(units);
    return 0;
}

static int hold_write(void *arg)
{
    int rc = weir_write_lock(arg);

    CHECK_INT(rc, 0);
    rc = weir_sleep_ms(1);
    weir_write_unlock(arg);
    return rc;
}

/* Readers behind a writer that gives up must not go on waiting for it. */
static int read_behind(void *arg)
{
    int rc = weir_read_lock(arg);

    CHECK_INT(rc, 0);
    rc = weir_yield();
    weir_read_unlock(arg);
    return rc;
}

static void rwlock_is_free(weir_rwlock *rwlock)
{
    CHECK_INT(weir_try_write_lock(rwlock), 0);
    weir_write_unlock(rwlock);
    weir_rwlock_done(rwlock);
}

static int read_lock(void *arg)
{
    weir_rwlock rwlock = { .shared = *(bool *)arg };

    WEIR_SCOPE(s) {
        weir_go(s, hold_write, &rwlock);
        CHECK_INT(weir_yield(), 0);
        gave_up(SWEPT_THEN(weir_read_unlock(&rwlock), weir_read_lock(&rwlock)));
        CHECK_INT(weir_join(s), 0);
    }
    rwlock_is_free(&rwlock);
    return 0;
}

static int hold_read(void *arg)
{
    int rc = weir_read_lock(arg);

    CHECK_INT(rc, 0);
    rc = weir_sleep_ms(1);
    weir_read_unlock(arg);
    return rc;
}

static int come_later(void *arg)
{
    CHECK_INT(weir_yield(), 0);
    return read_behind(arg);
}

static int write_lock(void *arg)
{
    weir_rwlock rwlock = { .shared = *(bool *)arg };

    WEIR_SCOPE(s) {
        weir_go(s, hold_read, &rwlock);
        weir_go(s, come_later, &rwlock);
        CHECK_INT(weir_yield(), 0);
        gave_up(SWEPT_THEN(weir_write_unlock(&rwlock), weir_write_lock(&rwlock)));
        CHECK_INT(weir_join(s), 0);
    }
    rwlock_is_free(&rwlock);
    return 0;
}

/* ---- condition, latch, barrier ------------------------------------------------------- */

struct room {
    weir_mutex mutex;
    weir_condition changed;
    weir_latch latch;
    weir_barrier barrier;
    int calls;
};

static int signal_later(void *arg)
{
    struct room *room = arg;

    CHECK_INT(weir_sleep_ms(1), 0);
    CHECK_INT(weir_lock(&room->mutex), 0);
    weir_condition_signal(&room->changed);
    CHECK_INT(weir_sleep_ms(1), 0); /* who was signalled waits for the mutex, too */
    weir_unlock(&room->mutex);
    return 0;
}

static int condition_wait(void *arg)
{
    bool shared = *(bool *)arg;
    struct room room = { .mutex.shared = shared, .changed.shared = shared };

    WEIR_SCOPE(s) {
        weir_go(s, signal_later, &room);
        CHECK_INT(weir_lock(&room.mutex), 0);
        gave_up(SWEPT(weir_condition_wait(&room.changed, &room.mutex)));
        weir_unlock(&room.mutex); /* it holds the mutex either way */
        CHECK_INT(weir_join(s), 0);
    }
    weir_condition_done(&room.changed);
    return 0;
}

static int count_down_later(void *arg)
{
    CHECK_INT(weir_sleep_ms(1), 0);
    weir_latch_count_down(arg);
    return 0;
}

static int latch_wait(void *arg)
{
    weir_latch latch;

    weir_latch_init(&latch, 1, .shared = *(bool *)arg);
    WEIR_SCOPE(s) {
        weir_go(s, count_down_later, &latch);
        gave_up(SWEPT(weir_latch_wait(&latch)));
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(weir_latch_wait(&latch), 0);
    weir_latch_done(&latch);
    return 0;
}

static int arrive_later(void *arg)
{
    CHECK_INT(weir_sleep_ms(1), 0);
    CHECK(weir_barrier_wait(arg) >= 0);
    return 0;
}

/* An arrival that was given up does not count: another must come for it. */
static int barrier_wait(void *arg)
{
    weir_barrier barrier;

    CHECK_INT(weir_barrier_init(&barrier, 2, .shared = *(bool *)arg), 0);
    WEIR_SCOPE(s) {
        weir_go(s, arrive_later, &barrier);
        if (gave_up(SWEPT(weir_barrier_wait(&barrier))))
            CHECK(weir_barrier_wait(&barrier) >= 0);
        CHECK_INT(weir_join(s), 0);
    }
    weir_barrier_done(&barrier);
    return 0;
}

/* ---- once, single flight ------------------------------------------------------------- */

static int slowly(void *arg)
{
    ++*(int *)arg;
    return weir_sleep_ms(1);
}

struct first {
    weir_once once;
    weir_single_flight *group;
    int calls;
};

static int run_first(void *arg)
{
    struct first *f = arg;

    return weir_run_once(&f->once, slowly, &f->calls);
}

static int run_once(void *arg)
{
    struct first f = { .once.shared = *(bool *)arg };

    WEIR_SCOPE(s) {
        weir_go(s, run_first, &f);
        CHECK_INT(weir_yield(), 0);
        gave_up(SWEPT(weir_run_once(&f.once, slowly, &f.calls)));
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(f.calls, 1);
    return 0;
}

/* Cancelled in fn itself: it is run again by the next. */
static int run_once_first(void *arg)
{
    struct first f = { .once.shared = *(bool *)arg };
    int given_up = gave_up(SWEPT(weir_run_once(&f.once, slowly, &f.calls)));

    CHECK_INT(weir_run_once(&f.once, slowly, &f.calls), 0);
    CHECK(f.calls == 1 || (given_up && f.calls == 2));
    return 0;
}

static int flight(void *arg, void *ret_result)
{
    struct first *f = arg;

    f->calls++;
    *(int *)ret_result = 7;
    return weir_sleep_ms(1);
}

static int fly_first(void *arg)
{
    struct first *f = arg;
    int result,
        rc = weir_single_flight_run(f->group, WEIR_S("key"), flight, f, &result, sizeof(int));

    if (rc == 0)
        CHECK_INT(result, 7);
    return rc;
}

static int single_flight(void *arg)
{
    struct first f = { 0 };
    int result = 0;

    CHECK_INT(weir_single_flight_new(&f.group, .shared = *(bool *)arg, .result_bytes = sizeof(int)),
              0);
    WEIR_SCOPE(s) {
        weir_go(s, fly_first, &f);
        CHECK_INT(weir_yield(), 0);
        if (!gave_up(SWEPT(
                weir_single_flight_run(f.group, WEIR_S("key"), flight, &f, &result, sizeof(int)))))
            CHECK_INT(result, 7);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(f.calls, 1);
    weir_single_flight_free(f.group);
    return 0;
}

/* The task that flies is given up: one of those that wait flies for itself. */
static int single_flight_leader(void *arg)
{
    struct first f = { 0 };
    int result = 0;

    CHECK_INT(weir_single_flight_new(&f.group, .shared = *(bool *)arg, .result_bytes = sizeof(int)),
              0);
    WEIR_SCOPE(s) {
        weir_go(s, fly_first, &f);
        gave_up(SWEPT(
            weir_single_flight_run(f.group, WEIR_S("key"), flight, &f, &result, sizeof(int))));
        CHECK_INT(weir_join(s), 0);
    }
    CHECK(f.calls == 1 || f.calls == 2);
    weir_single_flight_free(f.group);
    return 0;
}

static const struct waiting locks[] = {
    { "lock", lock, &no, 1 },
    { "lock, shared", lock, &yes, 1 },
    { "acquire", acquire, NULL, 1 },
    { "read lock", read_lock, &no, 1 },
    { "read lock, shared", read_lock, &yes, 1 },
    { "write lock", write_lock, &no, 1 },
    { "write lock, shared", write_lock, &yes, 1 },
    { "condition", condition_wait, &no, 2 },
    { "condition, shared", condition_wait, &yes, 2 },
    { "latch", latch_wait, &no, 1 },
    { "latch, shared", latch_wait, &yes, 1 },
    { "barrier", barrier_wait, &no, 1 },
    { "barrier, shared", barrier_wait, &yes, 1 },
    { "once", run_once, &no, 1 },
    { "once, shared", run_once, &yes, 1 },
    { "once, in the function", run_once_first, &no, 1 },
    { "once, in the function, shared", run_once_first, &yes, 1 },
    { "single flight", single_flight, &no, 1 },
    { "single flight, shared", single_flight, &yes, 1 },
    { "single flight, in the function", single_flight_leader, &no, 1 },
    { "single flight, in the function, shared", single_flight_leader, &yes, 1 },
};

int main(void)
{
    return WAITS_RUN(locks);
}
