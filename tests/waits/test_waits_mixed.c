/* Compositions: waits inside waits, of several kinds at once, with deadlines of their
 * own and shields around them, cancelled at each wait of any of their tasks. What was
 * taken was used, or is still where it came from. */
#include "waits/waits.h"

#include <weir/block.h>
#include <weir/broadcast.h>
#include <weir/chan.h>
#include <weir/jobs.h>
#include <weir/stream.h>
#include <weir/sync.h>
#include <weir/watch.h>

typedef WEIR_CHAN(int) int_chan;

/* A cancel, a deadline that had its turn first, or success. */
static void ended(long rc)
{
    CHECK(rc >= 0 || rc == -ETIMEDOUT || (rc == -ECANCELED && sweep_hit()));
    weir_recover();
}

/* ---- a race of two receives, each with a deadline ---------------------------------------- */

struct belts {
    int_chan left, right;
    int put, taken, returned;
    weir_mutex mutex;
    weir_semaphore *units;
};

static void belts_open(struct belts *b, bool shared)
{
    *b = (struct belts){ .mutex.shared = shared };
    CHECK_INT(weir_chan_open(&b->left, .capacity = 1, .shared = shared), 0);
    CHECK_INT(weir_chan_open(&b->right, .shared = shared), 0);
    CHECK_INT(weir_semaphore_new(&b->units, .units = 1), 0);
}

static int belts_close(struct belts *b)
{
    int item;

    weir_close(b->left);
    weir_close(b->right);
    while (weir_recv(b->left, &item) > 0)
        b->taken++;
    CHECK_INT(b->taken - b->returned, b->put);
    CHECK_INT(weir_try_lock(&b->mutex), 0);
    weir_unlock(&b->mutex);
    CHECK_INT(weir_try_acquire(b->units), 0);
    weir_release(b->units);
    weir_semaphore_free(b->units);
    weir_chan_free(b->left);
    weir_chan_free(b->right);
    return 0;
}

static int take(struct belts *b, int_chan *from)
{
    int item, rc = 0;

    WEIR_SCOPE(s, .timeout_ms = 3)
        rc = weir_recv(*from, &item);
    if (rc > 0)
        b->taken++;
    return rc;
}

static int take_left(void *arg)
{
    return take(arg, &((struct belts *)arg)->left);
}

static int take_right(void *arg)
{
    return take(arg, &((struct belts *)arg)->right);
}

/* What lost the race is not lost: it is counted as given back. */
static void give_back(void *arg)
{
    struct belts *b = arg;

    b->taken--;
    b->put--;
}

static int put_both(void *arg)
{
    struct belts *b = arg;
    int item = 1, rc = weir_sleep_ms(1);

    if (rc == 0)
        rc = weir_send(b->left, &item);
    b->put += rc > 0;
    if (rc > 0)
        rc = weir_send(b->right, &item);
    if (rc < 0)
        return rc == WEIR_ECLOSED ? 0 : rc;
    b->put++;
    return 0;
}

static int race_of_receives(void *arg)
{
    struct belts b;

    belts_open(&b, arg != NULL);
    WEIR_SCOPE(outer) {
        weir_job jobs[] = { WEIR_JOB(take_left, &b, .drop = give_back),
                            WEIR_JOB(take_right, &b, .drop = give_back) };

        weir_go(outer, put_both, &b, .optional = true);
        WEIR_SCOPE(s, .timeout_ms = 20) {
            sweep_at(s);
            ended(weir_race(jobs, 2, NULL, .timeout_ms = 10));
            sweep_over();
        }
        weir_close(b.right);
        CHECK_INT(weir_join(outer), 0);
    }
    return belts_close(&b);
}

/* ---- a select in a shield in what is cancelled -------------------------------------------- */

/* The clean-up waits, and its waits are not given up: the item is back. */
static int take_and_return(void *arg)
{
    struct belts *b = arg;
    int item, rc = weir_recv(b->left, &item);

    if (rc <= 0)
        return rc;
    b->taken++;
    rc = weir_sleep_ms(2);
    WEIR_SCOPE(s, .shield = true, .grace_ms = 1000) {
        weir_pick pick = weir_select(WEIR_SEND(b->left, &item), WEIR_AFTER_MS(500));

        CHECK_INT(pick.arm, 0);
        CHECK_INT(pick.rc, 1);
        b->returned++;
    }
    return rc;
}

static int select_in_shield(void *arg)
{
    struct belts b;

    belts_open(&b, arg != NULL);
    CHECK_INT(weir_try_send(b.left, &(int){ 1 }), 1);
    b.put++;
    WEIR_SCOPE(s) {
        sweep_at(s);
        weir_go(s, take_and_return, &b);
        weir_go(s, take_and_return, &b);
        ended(weir_join(s));
        sweep_over();
    }
    CHECK_INT(b.taken, b.returned);
    return belts_close(&b);
}

/* ---- locks around waits, under a limit ------------------------------------------------------ */

static int quick(void *arg)
{
    (void)arg;
    return 0;
}

/* Unit, lock, blocking call, and both given back on every way out. */
static int work_under_locks(void *arg)
{
    struct belts *b = arg;
    int rc = weir_acquire(b->units);

    if (rc < 0)
        return rc;
    rc = weir_lock(&b->mutex);
    if (rc == 0) {
        rc = weir_block(quick, NULL);
        if (rc >= 0)
            rc = weir_yield();
        weir_unlock(&b->mutex);
    }
    weir_release(b->units);
    return rc;
}

static int work_with_need(void *arg)
{
    struct belts *b = arg;
    int rc = weir_lock(&b->mutex);

    if (rc < 0)
        return rc;
    rc = weir_sleep_ms(1);
    weir_unlock(&b->mutex);
    return rc;
}

static int many_under_locks(void *arg)
{
    struct belts *b = arg;
    int rc;

    WEIR_SCOPE(s, .limit = 2, .collect = true) {
        for (int i = 0; i < 3; i++) {
            weir_go(s, work_under_locks, b);
            weir_go(s, work_with_need, b, .needs = b->units);
        }
        rc = weir_join(s);
    }
    return rc;
}

static int locks_under_a_limit(void *arg)
{
    struct belts b;

    belts_open(&b, arg != NULL);
    WEIR_SCOPE(s) {
        sweep_at(s);
        weir_go(s, many_under_locks, &b);
        weir_go(s, work_under_locks, &b);
        ended(weir_join(s));
        sweep_over();
    }
    return belts_close(&b);
}

/* ---- a pipeline: broadcast to watch to channel to stream ------------------------------------- */

#define STEPS 4

struct line {
    WEIR_BROADCAST(int) news;
    WEIR_SUBSCRIPTION(int) reader;
    WEIR_WATCH(int) level;
    int_chan chan;
    weir_stream *in, *out;
    int told, read, sent, moved, written, arrived;
};

static int tell(void *arg)
{
    struct line *l = arg;

    for (int rc; l->told < STEPS; l->told++)
        if ((rc = weir_broadcast(l->news, &l->told)) < 0)
            return rc;
    return 0;
}

static int pass_on(void *arg)
{
    struct line *l = arg;
    int item, rc;

    while (l->read < STEPS) {
        rc = weir_broadcast_recv(l->reader, &item);
        if (rc <= 0)
            return rc;
        CHECK_INT(item, l->read++);
        CHECK(weir_update(l->level, &item) >= 0);
        rc = weir_send(l->chan, &item);
        if (rc < 0)
            return rc;
        l->sent++;
    }
    return 0;
}

static int write_down(void *arg)
{
    struct line *l = arg;
    int item;
    ssize_t n;

    while (l->moved < STEPS) {
        n = weir_recv(l->chan, &item);
        if (n <= 0)
            return (int)n;
        CHECK_INT(item, l->moved++);
        n = weir_stream_write(l->in, weir_str_from((char *)&item, sizeof(item)));
        if (n < 0)
            return (int)n;
        l->written++;
        n = weir_stream_flush(l->in);
        if (n < 0)
            return (int)n;
    }
    return 0;
}

static int follow(void *arg)
{
    WEIR_WATCHER(int) watcher;
    struct line *l = arg;
    int item = -1, rc;

    weir_watch_from(l->level, &watcher);
    while (item < STEPS - 1) {
        int before = item;

        rc = weir_changed(&watcher, &item);
        if (rc <= 0)
            return rc;
        CHECK(item > before);
    }
    return 0;
}

static int drain(void *arg)
{
    struct line *l = arg;
    weir_str data;
    ssize_t n;

    while ((n = weir_stream_read(l->out, &data)) > 0)
        l->arrived += (int)n;
    CHECK_INT(n, 0);
    return 0;
}

/* Wherever it was cut, no stage has lost anything. */
static int pipeline(void *arg)
{
    bool shared = arg != NULL;
    struct line l = { 0 };
    int item;

    CHECK_INT(weir_broadcast_open(&l.news, .capacity = 1, .shared = shared), 0);
    CHECK_INT(weir_subscribe(l.news, &l.reader, .slow = WEIR_SLOW_WAIT), 0);
    CHECK_INT(weir_watch_open(&l.level, &(int){ -1 }, .shared = shared), 0);
    CHECK_INT(weir_chan_open(&l.chan, .shared = shared), 0);
    CHECK_INT(weir_stream_pair(&l.in, &l.out), 0);
    WEIR_SCOPE(outer) {
        weir_go(outer, drain, &l);
        WEIR_SCOPE(s) {
            sweep_at(s);
            weir_go(s, follow, &l);
            weir_go(s, tell, &l);
            weir_go(s, pass_on, &l);
            weir_go(s, write_down, &l);
            ended(weir_join(s));
            sweep_over();
        }
        CHECK_INT(weir_stream_shutdown(l.in), 0);
        CHECK_INT(weir_join(outer), 0);
    }
    while (weir_broadcast_try_recv(l.reader, &item) > 0)
        l.read++;
    CHECK_INT(l.read, l.told);
    CHECK_INT(l.moved, l.sent);
    CHECK_INT(l.arrived, l.written * (int)sizeof(int));
    weir_stream_close(l.in);
    weir_stream_close(l.out);
    weir_unsubscribe(l.reader);
    weir_broadcast_free(l.news);
    weir_watch_free(l.level);
    weir_chan_free(l.chan);
    return 0;
}

static int wide;

/* { name, scenario, of one loop or shared, least waits of the opener itself } */
static const struct waiting mixed[] = {
    { "race of receives with deadlines", race_of_receives, NULL, 1 },
    { "race of receives with deadlines, shared", race_of_receives, &wide, 1 },
    { "select in a shield", select_in_shield, NULL, 1 },
    { "select in a shield, shared", select_in_shield, &wide, 1 },
    { "locks around waits, under a limit", locks_under_a_limit, NULL, 1 },
    { "locks around waits, under a limit, shared", locks_under_a_limit, &wide, 1 },
    { "pipeline", pipeline, NULL, 1 },
    { "pipeline, shared", pipeline, &wide, 1 },
};

int main(void)
{
    return WAITS_RUN(mixed);
}
