/* Shared locks, used from three loops at once: on threads, and in many orders on the
 * simulator. Waits are cancelled at random all the while, by tasks of their own loop;
 * a hand-over that is lost with its receiver leaves the others waiting for ever. */
#include "rt/sync_run.h"

#include <sched.h>
#include <stdatomic.h>

#include <weir/sync.h>
#include <weir/time.h>

#include "support/random.h"

enum { LOOPS = 3, TASKS = 5, ALL = LOOPS * TASKS, SEEDS = 20 };

/* ---- the same on every loop ------------------------------------------------- */

/* One of the tasks; the others of its loop may cancel the scope it waits in. */
struct worker {
    struct random random;
    struct worker *siblings; /* TASKS of them, itself included */
    weir_scope scope;
    int done, given_up;
};

static struct everywhere {
    weir_fn *work; /* one worker's */
    weir_fn *check; /* when all have ended; may be NULL */
    weir_latch ended;
    uint64_t seed;
    int rounds;
    struct worker workers[LOOPS][TASKS];
} everywhere;

static int work_on_loop(void *arg)
{
    struct worker *workers = arg;

    WEIR_SCOPE(s) {
        for (int i = 0; i < TASKS; i++)
            weir_go(s, everywhere.work, &workers[i]);
        CHECK_INT(weir_join(s), 0);
    }
    weir_latch_count_down(&everywhere.ended);
    return 0;
}

static int work_everywhere(void *arg)
{
    struct random random = { everywhere.seed };

    weir_latch_init(&everywhere.ended, LOOPS, .shared = true);
    for (uint32_t i = 0; i < LOOPS; i++) {
        for (int t = 0; t < TASKS; t++)
            everywhere.workers[i][t] = (struct worker){ .random = { random_next(&random) },
                                                        .siblings = everywhere.workers[i] };
        CHECK_INT(weir_submit(i, work_on_loop, everywhere.workers[i]), 0);
    }
    CHECK_INT(weir_latch_wait(&everywhere.ended), 0);
    weir_latch_done(&everywhere.ended);
    return everywhere.check ? everywhere.check(arg) : 0;
}

/* prepare is called before each run. */
static void on_all_loops(void (*prepare)(void), weir_fn *work, weir_fn *check)
{
    struct random random;

    random_begin(&random);
    everywhere.work = work;
    everywhere.check = check;
    everywhere.rounds = 300;
    everywhere.seed = random_next(&random);
    prepare();
    assert_int_equal(weir_run(work_everywhere, NULL, .loops = LOOPS, .grace_ms = 1000), 0);
    everywhere.rounds = 30;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        const weir_run_opts opts = { .size = sizeof(opts), .grace_ms = 1000 };

        sim_opts_init(&simulation);
        simulation.seed = seed;
        simulation.loops = LOOPS;
        everywhere.seed = random_next(&random);
        prepare();
        assert_int_equal(run_simulated(work_everywhere, NULL, &opts), 0);
    }
}

static bool chance(struct worker *w, uint64_t one_in)
{
    return random_next(&w->random) % one_in == 0;
}

/* Cancel what a task of this loop waits for. */
static void disturb(struct worker *w)
{
    if (chance(w, 3))
        weir_cancel(w->siblings[random_next(&w->random) % TASKS].scope);
}

/* Let others run, whatever is cancelled. */
static void pause_inside(struct worker *w)
{
    if (chance(w, 2))
        WEIR_IGNORE(weir_yield(), "the lock is held either way");
}

static void note(struct worker *w, int rc)
{
    CHECK(rc == 0 || rc == -ECANCELED);
    w->done += rc == 0;
    w->given_up += rc < 0;
}

static int total_done(void)
{
    int total = 0;

    for (int i = 0; i < LOOPS; i++)
        for (int t = 0; t < TASKS; t++)
            total += everywhere.workers[i][t].done;
    return total;
}

/* ---- mutex -------------------------------------------------------------------- */

static struct {
    weir_mutex mutex;
    int inside, entries; /* under it */
} locked;

static void mutex_prepare(void)
{
    memset(&locked, 0, sizeof(locked));
    locked.mutex.shared = true;
}

static int mutex_work(void *arg)
{
    struct worker *w = arg;

    for (int i = 0; i < everywhere.rounds; i++) {
        WEIR_SCOPE(s) {
            int rc;

            w->scope = s;
            rc = chance(w, 8) ? weir_try_lock(&locked.mutex) : weir_lock(&locked.mutex);
            if (rc == 0) {
                CHECK_INT(locked.inside++, 0);
                locked.entries++;
                pause_inside(w);
                CHECK_INT(weir_try_lock(&locked.mutex), -EBUSY);
                CHECK_INT(--locked.inside, 0);
                weir_unlock(&locked.mutex);
            }
            note(w, rc == -EBUSY ? -ECANCELED : rc);
        }
        disturb(w);
        CHECK_INT(weir_yield(), 0);
    }
    return 0;
}

static int mutex_check(void *arg)
{
    (void)arg;
    CHECK_INT(locked.entries, total_done());
    CHECK_INT(weir_try_lock(&locked.mutex), 0);
    weir_unlock(&locked.mutex);
    return 0;
}

static void a_mutex_of_all_loops(void **state)
{
    (void)state;
    on_all_loops(mutex_prepare, mutex_work, mutex_check);
}

/* ---- read-write lock ------------------------------------------------------------ */

static struct {
    weir_rwlock lock;
    atomic_int readers;
    bool writes;
    int one, other; /* equal, but while a task writes */
} data;

static void rwlock_prepare(void)
{
    memset(&data, 0, sizeof(data));
    data.lock.shared = true;
}

static void read_data(struct worker *w)
{
    atomic_fetch_add(&data.readers, 1);
    CHECK(!data.writes);
    CHECK_INT(data.one, data.other);
    pause_inside(w);
    CHECK(!data.writes);
    CHECK_INT(data.one, data.other);
    atomic_fetch_sub(&data.readers, 1);
    weir_read_unlock(&data.lock);
}

static void write_data(struct worker *w)
{
    CHECK(!data.writes);
    CHECK_INT(atomic_load(&data.readers), 0);
    data.writes = true;
    data.one++;
    pause_inside(w);
    CHECK_INT(atomic_load(&data.readers), 0);
    data.other++;
    data.writes = false;
    weir_write_unlock(&data.lock);
}

static int rwlock_work(void *arg)
{
    struct worker *w = arg;

    for (int i = 0; i < everywhere.rounds; i++) {
        bool writes = chance(w, 3), tries = chance(w, 8);

        WEIR_SCOPE(s) {
            int rc;

            w->scope = s;
            if (tries)
                rc = writes ? weir_try_write_lock(&data.lock) : weir_try_read_lock(&data.lock);
            else
                rc = writes ? weir_write_lock(&data.lock) : weir_read_lock(&data.lock);
            note(w, rc == -EBUSY ? -ECANCELED : rc);
            if (rc == 0)
                (writes ? write_data : read_data)(w);
        }
        disturb(w);
        CHECK_INT(weir_yield(), 0);
    }
    return 0;
}

static int rwlock_check(void *arg)
{
    (void)arg;
    CHECK_INT(weir_try_write_lock(&data.lock), 0);
    weir_write_unlock(&data.lock);
    weir_rwlock_done(&data.lock);
    return 0;
}

static void a_read_write_lock_of_all_loops(void **state)
{
    (void)state;
    on_all_loops(rwlock_prepare, rwlock_work, rwlock_check);
}

/* ---- condition -------------------------------------------------------------------- */

static struct {
    weir_mutex mutex;
    weir_condition more, room;
    int items, put, taken;
} store;

enum { ROOM = 3 };

static void store_prepare(void)
{
    memset(&store, 0, sizeof(store));
    store.mutex.shared = store.more.shared = store.room.shared = true;
}

/* 0, or the code of a cancel: then nothing was put or taken. */
static int move_item(struct worker *w, bool puts)
{
    weir_condition *waits_for = puts ? &store.room : &store.more;
    int rc = weir_lock(&store.mutex);

    if (rc < 0)
        return rc;
    while (rc == 0 && store.items == (puts ? ROOM : 0))
        rc = weir_condition_wait(waits_for, &store.mutex);
    CHECK_INT(weir_try_lock(&store.mutex), -EBUSY); /* it is held, whatever rc is */
    if (rc == 0) {
        store.items += puts ? 1 : -1;
        store.put += puts;
        store.taken += !puts;
        if (chance(w, 4))
            weir_condition_broadcast(puts ? &store.more : &store.room);
        else
            weir_condition_signal(puts ? &store.more : &store.room);
    }
    weir_unlock(&store.mutex);
    return rc;
}

/* Each worker puts as many as it takes, so all come to an end. */
static int store_work(void *arg)
{
    struct worker *w = arg;

    for (int i = 0; i < 2 * everywhere.rounds;) {
        int rc = 0;

        WEIR_SCOPE(s) {
            w->scope = s;
            rc = move_item(w, i % 2 == 0);
        }
        note(w, rc);
        i += rc == 0;
        disturb(w);
        CHECK_INT(weir_yield(), 0);
    }
    return 0;
}

static int store_check(void *arg)
{
    (void)arg;
    CHECK_INT(store.put, ALL * everywhere.rounds);
    CHECK_INT(store.taken, store.put);
    CHECK_INT(store.items, 0);
    weir_condition_done(&store.more);
    weir_condition_done(&store.room);
    return 0;
}

static void conditions_of_all_loops(void **state)
{
    (void)state;
    on_all_loops(store_prepare, store_work, store_check);
}

/* ---- barrier and latch --------------------------------------------------------------- */

enum { ROUNDS_MAX = 300 };

static struct {
    weir_barrier barrier;
    weir_latch latches[ROUNDS_MAX];
    atomic_int entered[ROUNDS_MAX], last[ROUNDS_MAX];
} meeting;

static void meeting_prepare(void)
{
    memset(&meeting, 0, sizeof(meeting));
    assert_int_equal(weir_barrier_init(&meeting.barrier, ALL, .shared = true), 0);
    for (int i = 0; i < ROUNDS_MAX; i++)
        weir_latch_init(&meeting.latches[i], ALL, .shared = true);
}

static int try_to(struct worker *w, int (*wait)(int round), int round)
{
    int rc;

    do {
        rc = 0;
        WEIR_SCOPE(s) {
            w->scope = s;
            rc = wait(round);
        }
        note(w, rc > 0 ? 0 : rc);
    } while (rc == -ECANCELED);
    return rc;
}

static int wait_at_barrier(int round)
{
    (void)round;
    return weir_barrier_wait(&meeting.barrier);
}

static int wait_at_latch(int round)
{
    return weir_latch_wait(&meeting.latches[round]);
}

static int meeting_work(void *arg)
{
    struct worker *w = arg;

    for (int i = 0; i < everywhere.rounds; i++) {
        atomic_fetch_add(&meeting.entered[i], 1);
        disturb(w);
        if (try_to(w, wait_at_barrier, i) == 1)
            CHECK_INT(atomic_fetch_add(&meeting.last[i], 1), 0);
        CHECK_INT(atomic_load(&meeting.entered[i]), ALL);
        weir_latch_count_down(&meeting.latches[i]);
        disturb(w);
        CHECK_INT(try_to(w, wait_at_latch, i), 0);
        CHECK_INT(atomic_load(&meeting.last[i]), 1);
    }
    return 0;
}

static int meeting_check(void *arg)
{
    (void)arg;
    weir_barrier_done(&meeting.barrier);
    for (int i = 0; i < ROUNDS_MAX; i++)
        weir_latch_done(&meeting.latches[i]);
    return 0;
}

static void a_barrier_and_latches_of_all_loops(void **state)
{
    (void)state;
    on_all_loops(meeting_prepare, meeting_work, meeting_check);
}

/* ---- once ------------------------------------------------------------------------------ */

static struct {
    weir_once once[ROUNDS_MAX];
    int running[ROUNDS_MAX], tries[ROUNDS_MAX], value[ROUNDS_MAX]; /* the leader's */
} set_up;

static void once_prepare(void)
{
    memset(&set_up, 0, sizeof(set_up));
    for (int i = 0; i < ROUNDS_MAX; i++)
        set_up.once[i].shared = true;
}

static int once_run(void *arg)
{
    int round = *(int *)arg, rc;

    CHECK_INT(set_up.running[round]++, 0);
    CHECK_INT(set_up.value[round], 0);
    rc = weir_yield();
    set_up.running[round]--;
    if (rc == 0 && ++set_up.tries[round] < 3)
        return -EAGAIN;
    if (rc == 0)
        set_up.value[round] = 1;
    return rc;
}

static int once_work(void *arg)
{
    struct worker *w = arg;

    for (int i = 0; i < everywhere.rounds; i++) {
        int rc;

        do {
            rc = 0;
            disturb(w);
            WEIR_SCOPE(s) {
                w->scope = s;
                rc = weir_run_once(&set_up.once[i], once_run, &i);
            }
            if (rc != -EAGAIN)
                note(w, rc);
        } while (rc < 0);
        CHECK_INT(set_up.value[i], 1);
    }
    return 0;
}

static void once_for_all_loops(void **state)
{
    (void)state;
    on_all_loops(once_prepare, once_work, NULL);
}

/* ---- single-flight ------------------------------------------------------------------------ */

struct answer {
    uint64_t key;
    atomic_int *references;
};

static struct {
    weir_once opened;
    weir_single_flight *group;
    atomic_int under_way[4], runs, references;
} flights;

static void answer_share(void *result)
{
    atomic_fetch_add(((struct answer *)result)->references, 1);
}

static void flights_prepare(void)
{
    memset(&flights, 0, sizeof(flights));
    flights.opened.shared = true;
}

static int flights_open(void *arg)
{
    (void)arg;
    return weir_single_flight_new(&flights.group, .shared = true, .name = "answers",
                                  .result_bytes = sizeof(struct answer), .share = answer_share);
}

static int fly(void *arg, void *ret_result)
{
    uint64_t key = *(uint64_t *)arg;
    int rc;

    CHECK_INT(atomic_fetch_add(&flights.under_way[key], 1), 0);
    atomic_fetch_add(&flights.runs, 1);
    rc = weir_yield();
    CHECK_INT(atomic_fetch_sub(&flights.under_way[key], 1), 1);
    if (rc < 0)
        return rc;
    if (atomic_load(&flights.runs) % 5 == 0)
        return weir_fail(-EIO, "flight of %d", (int)key);
    atomic_fetch_add(&flights.references, 1);
    *(struct answer *)ret_result = (struct answer){ key, &flights.references };
    return 1;
}

static int flights_work(void *arg)
{
    struct worker *w = arg;

    CHECK_INT(weir_run_once(&flights.opened, flights_open, NULL), 0);
    for (int i = 0; i < everywhere.rounds; i++) {
        uint64_t key = random_next(&w->random) % 4;
        struct answer answer = { .key = 99 };
        char text[100], wanted[100];
        int rc = 0;

        WEIR_SCOPE(s) {
            w->scope = s;
            rc = weir_single_flight_run(flights.group, weir_str_from((char *)&key, sizeof(key)),
                                        fly, &key, &answer, sizeof(answer));
        }
        if (rc == -EIO) { /* everybody has the words */
            snprintf(wanted, sizeof(wanted), "flight of %d", (int)key);
            weir_error_print(text, sizeof(text));
            CHECK_TEXT(text, wanted);
        } else if (rc == 1) {
            CHECK_INT(answer.key, key);
            atomic_fetch_sub(answer.references, 1);
        }
        weir_recover();
        note(w, rc == 1 || rc == -EIO ? 0 : rc);
        disturb(w);
        CHECK_INT(weir_yield(), 0);
    }
    return 0;
}

static int flights_check(void *arg)
{
    (void)arg;
    CHECK_INT(atomic_load(&flights.references), 0);
    weir_single_flight_free(flights.group);
    return 0;
}

static void single_flight_of_all_loops(void **state)
{
    (void)state;
    on_all_loops(flights_prepare, flights_work, flights_check);
}

/* ---- order of arrival -------------------------------------------------------- */

enum { ARRIVALS = 9 };

/* They come a millisecond apart, on one loop after the other, to locks that are held
 * meanwhile: on the simulator, where time can't be late. */
static struct {
    weir_mutex mutex;
    weir_rwlock lock;
    weir_latch ended;
    int places[ARRIVALS];
    char seen[4 * ARRIVALS + 1];
    size_t seen_len;
} order;

static void see(char what)
{
    CHECK(order.seen_len < sizeof(order.seen) - 1);
    order.seen[order.seen_len++] = what;
}

static int arrive(void *arg)
{
    int place = *(int *)arg;
    bool writes = place % 3 == 2; /* RRWRRWRRW */

    CHECK_INT(weir_sleep_ms((uint32_t)place + 1), 0);
    CHECK_INT(writes ? weir_write_lock(&order.lock) : weir_read_lock(&order.lock), 0);
    see(writes ? 'W' : 'R');
    CHECK_INT(weir_sleep_ms(20), 0);
    see(writes ? 'w' : 'r');
    if (writes)
        weir_write_unlock(&order.lock);
    else
        weir_read_unlock(&order.lock);
    return 0;
}

static int take_mutex(void *arg)
{
    int place = *(int *)arg;

    CHECK_INT(weir_sleep_ms((uint32_t)place + 1), 0);
    CHECK_INT(weir_lock(&order.mutex), 0);
    see((char)('1' + place));
    weir_unlock(&order.mutex);
    weir_latch_count_down(&order.ended);
    return 0;
}

static int arrive_and_tell(void *arg)
{
    CHECK_INT(arrive(arg), 0);
    weir_latch_count_down(&order.ended);
    return 0;
}

static int come_one_after_the_other(void *arg)
{
    (void)arg;
    memset(&order, 0, sizeof(order));
    order.mutex.shared = order.lock.shared = true;
    for (int mutex = 1; mutex >= 0; mutex--) {
        order.seen_len = 0;
        weir_latch_init(&order.ended, ARRIVALS, .shared = true);
        CHECK_INT(weir_lock(&order.mutex), 0);
        CHECK_INT(weir_write_lock(&order.lock), 0);
        for (int i = 0; i < ARRIVALS; i++) {
            order.places[i] = i;
            CHECK_INT(weir_submit((uint32_t)i % LOOPS, mutex ? take_mutex : arrive_and_tell,
                                  &order.places[i]),
                      0);
        }
        CHECK_INT(weir_sleep_ms(50), 0);
        weir_unlock(&order.mutex);
        weir_write_unlock(&order.lock);
        CHECK_INT(weir_latch_wait(&order.ended), 0);
        order.seen[order.seen_len] = '\0';
        CHECK_TEXT(order.seen, mutex ? "123456789" : "RRrrWwRRrrWwRRrrWw");
    }
    return 0;
}

static void who_comes_first_is_served_first_on_any_loop(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        const weir_run_opts opts = { .size = sizeof(opts), .grace_ms = 1000 };

        sim_opts_init(&simulation);
        simulation.seed = seed;
        simulation.loops = LOOPS;
        assert_int_equal(run_simulated(come_one_after_the_other, NULL, &opts), 0);
    }
}

/* ---- the same moment ------------------------------------------------------------------------- */

/* A lock is handed over from another loop; before the message is read, the receiver is
 * cancelled by a task of its own loop, which has kept that busy since. */
static struct {
    weir_mutex mutex;
    weir_latch latch;
    atomic_bool held, wanted, given;
    weir_scope scope;
    int rc;
} moment;

static void wait_for(atomic_bool *flag)
{
    while (!atomic_load(flag))
        sched_yield();
}

static int moment_hold(void *arg)
{
    (void)arg;
    CHECK_INT(weir_lock(&moment.mutex), 0);
    atomic_store(&moment.held, true);
    wait_for(&moment.wanted);
    weir_unlock(&moment.mutex);
    weir_latch_count_down(&moment.latch);
    atomic_store(&moment.given, true);
    return 0;
}

static int moment_receive(void *arg)
{
    (void)arg;
    WEIR_SCOPE(s) {
        moment.scope = s;
        moment.rc = weir_lock(&moment.mutex);
        CHECK_INT(moment.rc, 0);
        CHECK_INT(weir_yield(), -ECANCELED); /* the next wait says so */
        weir_unlock(&moment.mutex);
    }
    return 0;
}

static int moment_receive_latch(void *arg)
{
    weir_scope *ret_scope = arg;

    WEIR_SCOPE(s) {
        *ret_scope = s;
        CHECK_INT(weir_latch_wait(&moment.latch), 0);
        CHECK_INT(weir_yield(), -ECANCELED);
    }
    return 0;
}

static int moment_run(void *arg)
{
    weir_scope at_latch = { 0, 0 };

    (void)arg;
    weir_latch_init(&moment.latch, 1, .shared = true);
    CHECK_INT(weir_submit(1, moment_hold, NULL), 0);
    wait_for(&moment.held);
    WEIR_SCOPE(s) {
        weir_go(s, moment_receive, NULL);
        weir_go(s, moment_receive_latch, &at_latch);
        CHECK_INT(weir_yield(), 0);
        CHECK_INT(weir_yield(), 0);
        atomic_store(&moment.wanted, true);
        wait_for(&moment.given);
        weir_cancel(moment.scope);
        weir_cancel(at_latch);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(weir_try_lock(&moment.mutex), 0);
    weir_unlock(&moment.mutex);
    return 0;
}

static void a_hand_over_is_not_lost_with_a_cancel(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        memset(&moment, 0, sizeof(moment));
        moment.mutex.shared = true;
        assert_int_equal(weir_run(moment_run, NULL, .loops = 2, .grace_ms = 1000), 0);
    }
}

/* ---- cancel at every wait, with a partner on another loop --------------------------------------- */

static struct {
    weir_mutex mutex;
    weir_rwlock lock;
    weir_condition changed;
    weir_barrier barrier;
    weir_latch begun, ended;
    int said;
} both;

static int partner(void *arg)
{
    (void)arg;
    CHECK_INT(weir_lock(&both.mutex), 0);
    CHECK_INT(weir_write_lock(&both.lock), 0);
    weir_latch_count_down(&both.begun);
    CHECK_INT(weir_sleep_ms(2), 0);
    weir_unlock(&both.mutex);
    weir_write_unlock(&both.lock);
    CHECK_INT(weir_sleep_ms(2), 0);
    CHECK_INT(weir_lock(&both.mutex), 0);
    both.said = 1;
    weir_condition_signal(&both.changed);
    CHECK_INT(weir_sleep_ms(1), 0); /* who was told waits for the mutex now */
    weir_unlock(&both.mutex);
    WEIR_SCOPE(s, .timeout_ms = 50) { /* the other may never come */
        int rc = weir_barrier_wait(&both.barrier);

        CHECK(rc >= 0 || rc == -ETIMEDOUT);
    }
    weir_latch_count_down(&both.ended);
    return 0;
}

static int use_both(void)
{
    int rc = weir_lock(&both.mutex);

    if (rc < 0)
        return rc;
    while (rc == 0 && !both.said)
        rc = weir_condition_wait(&both.changed, &both.mutex);
    weir_unlock(&both.mutex); /* held, whatever rc is */
    if (rc == 0)
        rc = weir_read_lock(&both.lock);
    if (rc < 0)
        return rc;
    WEIR_SCOPE(shield, .shield = true) { /* a wait in a shield, and under a lock */
        CHECK_INT(weir_lock(&both.mutex), 0);
        CHECK_INT(weir_sleep_ms(1), 0);
        weir_unlock(&both.mutex);
    }
    weir_read_unlock(&both.lock);
    rc = weir_barrier_wait(&both.barrier);
    return rc < 0 ? rc : 0;
}

static int sweep_both(void *arg)
{
    int rc = 0;

    (void)arg;
    memset(&both, 0, sizeof(both));
    both.mutex.shared = both.lock.shared = both.changed.shared = true;
    CHECK_INT(weir_barrier_init(&both.barrier, 2, .shared = true), 0);
    weir_latch_init(&both.begun, 1, .shared = true);
    weir_latch_init(&both.ended, 1, .shared = true);
    CHECK_INT(weir_submit(weir_loops() - 1, partner, NULL), 0);
    CHECK_INT(weir_latch_wait(&both.begun), 0);
    WEIR_SCOPE(s) {
        sweep_at(s);
        rc = use_both();
        sweep_over();
    }
    CHECK(rc == 0 || gave_up(rc));
    CHECK_INT(weir_latch_wait(&both.ended), 0);
    CHECK_INT(weir_try_lock(&both.mutex), 0);
    weir_unlock(&both.mutex);
    CHECK_INT(weir_try_write_lock(&both.lock), 0);
    weir_write_unlock(&both.lock);
    weir_rwlock_done(&both.lock);
    weir_condition_done(&both.changed);
    weir_barrier_done(&both.barrier);
    weir_recover();
    return 0;
}

static void a_cancel_at_every_wait_beside_another_loop(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        sim_opts_init(&simulation);
        simulation.seed = seed;
        simulation.loops = 2;
        assert_true(sweep_waits_by(run_simulated, sweep_both, NULL) >= 4);
    }
}

/* ---- mistakes ---------------------------------------------------------------------------------------- */

#ifdef WEIR_DEBUG
static weir_mutex local;

static int use_local(void *arg)
{
    CHECK_INT(weir_lock(&local), 0);
    weir_unlock(&local);
    if (arg)
        weir_latch_count_down(arg);
    return 0;
}

static int use_on_two_loops(void *arg)
{
    weir_latch ended;

    (void)arg;
    weir_latch_init(&ended, 1, .shared = true);
    CHECK_INT(use_local(NULL), 0);
    CHECK_INT(weir_submit(1, use_local, &ended), 0);
    return weir_latch_wait(&ended);
}

static void one_loops_mutex_on_another_is_wrong_use(void **state)
{
    (void)state;
    in_task(use_local); /* a run before does not matter */
    expect_wrong_use_on(2, use_on_two_loops,
                        "a mutex that tasks of loop 0 use is used by a task of loop 1: "
                        "make it with .shared = true");
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mutex_of_all_loops),
        cmocka_unit_test(a_read_write_lock_of_all_loops),
        cmocka_unit_test(conditions_of_all_loops),
        cmocka_unit_test(a_barrier_and_latches_of_all_loops),
        cmocka_unit_test(once_for_all_loops),
        cmocka_unit_test(single_flight_of_all_loops),
        cmocka_unit_test(who_comes_first_is_served_first_on_any_loop),
        cmocka_unit_test(a_hand_over_is_not_lost_with_a_cancel),
        cmocka_unit_test(a_cancel_at_every_wait_beside_another_loop),
#ifdef WEIR_DEBUG
        cmocka_unit_test(one_loops_mutex_on_another_is_wrong_use),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
