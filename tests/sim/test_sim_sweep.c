/* Every kind of wait, cancelled: each scenario runs once for each wait in it, with
 * a cancel there, on the simulator under several seeds (some with results that
 * come just before their cancel) and on epoll. Whatever was cancelled, nothing may
 * be lost, done twice, or left. */
#include "support/in_task.h"

#include <weir/chan.h>
#include <weir/sync.h>

#include "rt/rt.h"
#include "sim/net.h"
#include "support/sweep.h"

/* Was it given up, as it may be in a sweep? */
static bool gave_up(ssize_t rc)
{
    if (rc == -ECANCELED)
        CHECK(sweep_hit());
    return rc == -ECANCELED;
}

/* ---- receive --------------------------------------------------------------------- */

static int send_slowly(void *arg)
{
    for (int i = 0; i < 4; i++) {
        CHECK_INT(sim_peer_send(arg, "abc", 3), 3);
        CHECK_INT(weir_sleep_ms(10), 0);
    }
    return sim_peer_shutdown(arg);
}

static int receive(void *arg)
{
    struct sim_peer one, other;
    char text[16];
    size_t got = 0;
    ssize_t n = 1;

    (void)arg;
    net_pair(&one, &other);
    WEIR_SCOPE(outer) {
        weir_go(outer, send_slowly, &other);
        CHECK_INT(weir_sleep_ms(25), 0); /* some is there, and some is to come */
        WEIR_SCOPE(s) {
            sweep_at(s);
            while (n > 0 && (n = sim_peer_recv(&one, text + got, sizeof(text) - got)) > 0)
                got += (size_t)n;
            sweep_over();
            CHECK(n == 0 || gave_up(n));
        }
        /* The rest is still there. */
        while ((n = sim_peer_recv(&one, text + got, sizeof(text) - got)) > 0)
            got += (size_t)n;
        CHECK_INT(n, 0);
        CHECK_INT(got, 12);
        CHECK(memcmp(text, "abcabcabcabc", 12) == 0);
        CHECK_INT(weir_join(outer), 0);
    }
    sim_peer_close(&one);
    sim_peer_close(&other);
    return 0;
}

/* ---- send ------------------------------------------------------------------------ */

/* More than a socket's buffers hold, at both ends. */
#define SENT_BYTES_MAX 8000000
#define SENT_BYTES_SIMULATED 400000

struct reader {
    struct sim_peer peer;
    size_t got;
};

static int read_all(void *arg)
{
    struct reader *r = arg;
    static char piece[16384];
    ssize_t n;

    while ((n = sim_peer_recv(&r->peer, piece, sizeof(piece))) > 0)
        for (ssize_t i = 0; i < n; i++, r->got++)
            CHECK(piece[i] == (char)(r->got * 31 % 253));
    return (int)n;
}

static int send_parts(void *arg)
{
    static char data[SENT_BYTES_MAX];
    struct sim_peer one;
    struct reader r = { .got = 0 };
    const size_t total = sim_self() ? SENT_BYTES_SIMULATED : SENT_BYTES_MAX;
    size_t sent = 0;
    ssize_t n = 1;

    (void)arg;
    for (size_t i = 0; i < total; i++)
        data[i] = (char)(i * 31 % 253);
    net_pair(&one, &r.peer);
    WEIR_SCOPE(outer) {
        weir_go(outer, read_all, &r);
        WEIR_SCOPE(s) {
            sweep_at(s);
            for (int i = 0; n > 0 && i < 4; i++) {
                n = sim_peer_send(&one, data + sent, total / 4);
                sent += n > 0 ? (size_t)n : 0;
            }
            sweep_over();
            CHECK(n == (ssize_t)total / 4 || gave_up(n) || sweep_hit());
        }
        /* What was not counted as sent was not sent. */
        if (sent < total)
            CHECK_INT(sim_peer_send(&one, data + sent, total - sent), total - sent);
        CHECK_INT(sim_peer_shutdown(&one), 0);
        CHECK_INT(weir_join(outer), 0);
        CHECK_INT(r.got, total);
    }
    sim_peer_close(&one);
    sim_peer_close(&r.peer);
    return 0;
}

/* ---- accept and connect ---------------------------------------------------------- */

struct caller {
    uint16_t port;
    int rc;
};

static int call_slowly(void *arg)
{
    struct caller *c = arg;
    struct sim_peer peer;

    for (int i = 0; i < 3; i++) {
        CHECK_INT(weir_sleep_ms(10), 0);
        CHECK_INT(sim_peer_connect(&peer, c->port), 0);
        CHECK_INT(sim_peer_recv(&peer, &(char){ 0 }, 1), 0);
        sim_peer_close(&peer);
    }
    return 0;
}

static int accept_some(void *arg)
{
    struct place place;
    struct sim_peer peer;
    struct caller caller;
    int rc = 0, got = 0;

    (void)arg;
    place_open(&place, 8);
    caller.port = place.port;
    WEIR_SCOPE(outer) {
        weir_go(outer, call_slowly, &caller);
        WEIR_SCOPE(s) {
            sweep_at(s);
            while (got < 3 && rc == 0) {
                rc = place_accept(&place, &peer);
                got += rc == 0;
                if (rc == 0)
                    sim_peer_close(&peer);
            }
            sweep_over();
            CHECK(rc == 0 || gave_up(rc));
        }
        for (; got < 3; got++) { /* no caller was lost */
            CHECK_INT(place_accept(&place, &peer), 0);
            sim_peer_close(&peer);
        }
        CHECK_INT(weir_join(outer), 0);
    }
    place_close(&place);
    return 0;
}

static int accept_and_say(void *arg)
{
    struct sim_peer peer;
    int rc;

    while ((rc = place_accept(arg, &peer)) == 0) {
        /* Who called may have given up. */
        WEIR_IGNORE(sim_peer_send(&peer, "x", 1), "the caller may be gone");
        sim_peer_close(&peer);
    }
    return rc;
}

static int connect_some(void *arg)
{
    struct place place;
    struct sim_peer peer;
    char byte;
    int rc = 0;

    (void)arg;
    place_open(&place, 8);
    WEIR_SCOPE(outer) {
        weir_go(outer, accept_and_say, &place);
        WEIR_SCOPE(s) {
            sweep_at(s);
            for (int i = 0; i < 3 && rc == 0; i++) {
                rc = sim_peer_connect(&peer, place.port);
                if (rc == 0) {
                    ssize_t n = sim_peer_recv(&peer, &byte, 1);

                    CHECK(n == 1 || gave_up(n));
                    sim_peer_close(&peer);
                }
            }
            sweep_over();
            CHECK(rc == 0 || gave_up(rc));
        }
        CHECK_INT(sim_peer_connect(&peer, place.port), 0);
        CHECK_INT(sim_peer_recv(&peer, &byte, 1), 1);
        sim_peer_close(&peer);
        weir_cancel(outer);
        WEIR_IGNORE(weir_join(outer), "cancelled");
    }
    weir_recover();
    place_close(&place);
    return 0;
}

/* ---- channels and select --------------------------------------------------------- */

typedef WEIR_CHAN(int) int_chan;

struct belt {
    int_chan chan;
    int next_in, next_out;
};

#define ITEMS 6

/* Each item once, in order, whoever was cancelled in between. */
static int put_some(void *arg)
{
    struct belt *belt = arg;

    while (belt->next_in < ITEMS) {
        int rc = weir_send(belt->chan, &(int){ belt->next_in });

        if (rc < 0)
            return rc;
        CHECK_INT(rc, 1);
        belt->next_in++;
        if ((rc = weir_yield()) < 0)
            return rc;
    }
    return 0;
}

static int take_some(void *arg)
{
    struct belt *belt = arg;

    while (belt->next_out < ITEMS) {
        int n = -1, rc = weir_recv(belt->chan, &n);

        if (rc < 0)
            return rc;
        CHECK_INT(rc, 1);
        CHECK_INT(n, belt->next_out++);
        if ((rc = weir_sleep_ms(1)) < 0)
            return rc;
    }
    return 0;
}

static int channel(void *arg)
{
    struct belt belt = { .next_in = 0 };
    int rc;

    CHECK_INT(weir_chan_open(&belt.chan, .capacity = *(uint32_t *)arg), 0);
    WEIR_SCOPE(s) {
        sweep_at(s);
        weir_go(s, put_some, &belt);
        weir_go(s, take_some, &belt);
        rc = weir_join(s);
        sweep_over();
        CHECK(rc == 0 || gave_up(rc));
    }
    weir_recover();
    WEIR_SCOPE(s) { /* what the first two left undone */
        weir_go(s, put_some, &belt);
        weir_go(s, take_some, &belt);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(belt.next_in, ITEMS);
    CHECK_INT(belt.next_out, ITEMS);
    weir_chan_free(belt.chan);
    return 0;
}

static int select_some(void *arg)
{
    struct belt left = { .next_in = 0 }, right = { .next_in = 0 };
    int n = -1, rc = 0;

    (void)arg;
    CHECK_INT(weir_chan_open(&left.chan, .capacity = 0), 0);
    CHECK_INT(weir_chan_open(&right.chan, .capacity = 2), 0);
    WEIR_SCOPE(outer) {
        weir_go(outer, put_some, &left);
        weir_go(outer, take_some, &right);
        WEIR_SCOPE(s) {
            sweep_at(s);
            while (rc >= 0 && (left.next_out < ITEMS || right.next_in < ITEMS)) {
                weir_pick pick = weir_select(WEIR_RECV(left.chan, &n), WEIR_AFTER_MS(5),
                                             WEIR_SEND(right.chan, &right.next_in));

                rc = pick.rc;
                if (pick.arm == 0)
                    CHECK_INT(n, left.next_out++);
                if (pick.arm == 2)
                    right.next_in++;
                if (right.next_in == ITEMS)
                    break;
            }
            sweep_over();
            CHECK(rc >= 0 || gave_up(rc));
        }
        CHECK_INT(put_some(&right), 0);
        CHECK_INT(take_some(&left), 0);
        CHECK_INT(weir_join(outer), 0);
    }
    CHECK_INT(right.next_out, ITEMS);
    CHECK_INT(left.next_in, ITEMS);
    weir_chan_free(left.chan);
    weir_chan_free(right.chan);
    return 0;
}

/* ---- locks and units ------------------------------------------------------------- */

struct room {
    weir_mutex mutex;
    weir_semaphore *units;
    int inside, most, entered;
};

static int enter_locked(void *arg)
{
    struct room *room = arg;
    int rc = weir_lock(&room->mutex);

    if (rc < 0)
        return rc;
    CHECK_INT(++room->inside, 1);
    rc = weir_sleep_ms(3);
    room->inside--;
    room->entered++;
    weir_unlock(&room->mutex);
    return rc;
}

static int lock_some(void *arg)
{
    struct room room = { .inside = 0 };
    int rc;

    (void)arg;
    WEIR_SCOPE(s) {
        sweep_at(s);
        for (int i = 0; i < 4; i++)
            weir_go(s, enter_locked, &room);
        rc = weir_join(s);
        sweep_over();
        CHECK(rc == 0 || gave_up(rc));
    }
    weir_recover();
    CHECK_INT(weir_try_lock(&room.mutex), 0); /* it is free */
    weir_unlock(&room.mutex);
    return 0;
}

static int enter_counted(void *arg)
{
    struct room *room = arg;
    int rc = weir_acquire(room->units);

    if (rc < 0)
        return rc;
    CHECK(++room->inside <= 2);
    rc = weir_sleep_ms(3);
    room->inside--;
    weir_release(room->units);
    return rc;
}

static int enter_with_need(void *arg)
{
    struct room *room = arg;
    int rc;

    CHECK(++room->inside <= 2);
    rc = weir_sleep_ms(3);
    room->inside--;
    return rc;
}

static int acquire_some(void *arg)
{
    struct room room = { .inside = 0 };
    int rc;

    (void)arg;
    CHECK_INT(weir_semaphore_new(&room.units, .units = 2), 0);
    WEIR_SCOPE(s) {
        sweep_at(s);
        for (int i = 0; i < 3; i++) {
            weir_go(s, enter_counted, &room);
            weir_go(s, enter_with_need, &room, .needs = room.units);
        }
        rc = weir_join(s);
        sweep_over();
        CHECK(rc == 0 || gave_up(rc));
    }
    weir_recover();
    CHECK_INT(room.inside, 0);
    for (int i = 0; i < 2; i++) /* all units have come back */
        CHECK_INT(weir_try_acquire(room.units), 0);
    CHECK(weir_try_acquire(room.units) < 0);
    for (int i = 0; i < 2; i++)
        weir_release(room.units);
    weir_semaphore_free(room.units);
    return 0;
}

/* ---- children, blocking calls, time ---------------------------------------------- */

static int count_calls(void *arg)
{
    ++*(int *)arg;
    return 0;
}

static int block_task(void *arg)
{
    int calls = 0, rc = weir_block(count_calls, &calls);

    CHECK_INT(calls, rc == 0); /* either it ran, or it was given up */
    CHECK(rc == 0 || gave_up(rc));
    if (rc == 0)
        ++*(int *)arg;
    return rc;
}

static int block_some(void *arg)
{
    int done = 0, rc;

    (void)arg;
    WEIR_SCOPE(s) {
        sweep_at(s);
        for (int i = 0; i < 5; i++)
            weir_go(s, block_task, &done);
        rc = weir_join(s);
        sweep_over();
        CHECK((rc == 0 && done == 5) || gave_up(rc));
    }
    weir_recover();
    return 0;
}

static int nap(void *arg)
{
    return weir_sleep_ms(*(uint32_t *)arg);
}

static int nest(void *arg)
{
    int rc;

    WEIR_SCOPE(s) {
        weir_go(s, nap, arg);
        weir_go(s, nap, arg, .optional = true);
        rc = weir_join(s);
    }
    return rc;
}

static int join_some(void *arg)
{
    uint32_t ms = 4;
    int rc;

    (void)arg;
    WEIR_SCOPE(s, .limit = 2) { /* the opener waits for room, too */
        sweep_at(s);
        for (int i = 0; i < 4; i++)
            weir_go(s, i & 1 ? nest : nap, &ms);
        rc = weir_join(s);
        sweep_over();
        CHECK(rc == 0 || gave_up(rc));
    }
    weir_recover();
    return 0;
}

static int sleep_some(void *arg)
{
    int rc = 0;

    (void)arg;
    WEIR_SCOPE(s) {
        sweep_at(s);
        for (int i = 0; i < 3 && rc == 0; i++)
            rc = weir_sleep_ms(5);
        sweep_over();
        CHECK(rc == 0 || gave_up(rc));
    }
    CHECK_INT(weir_sleep_ms(1), 0);
    return 0;
}

/* ---- the sweeps ------------------------------------------------------------------ */

static struct sim_opts simulation;

static int run_simulated(weir_fn *fn, void *arg, const weir_run_opts *opts)
{
    char text[SIM_OPTS_TEXT_BYTES];
    struct sim *sim = sim_new(&simulation);
    int rc = sim_run(sim, fn, arg, opts);

    if (rc < 0 || sim_files(sim) > 0) {
        sim_opts_print(&simulation, text);
        fprintf(stderr, "%u descriptors left: %s\n%s", sim_files(sim), text, sim_trace_text(sim));
        rc = rc < 0 ? rc : -EBADF;
    }
    sim_free(sim);
    return rc;
}

struct swept {
    const char *name;
    weir_fn *run;
    int least; /* waits in it, on the simulator */
};

static uint32_t capacities[] = { 0, 1, 3 };

static void every_wait(void **state)
{
    const struct swept *swept = *state;
    int waits;

    for (uint64_t seed = 1; seed <= 6; seed++) {
        sim_opts_init(&simulation);
        simulation.seed = seed;
        simulation.latency_ms = (uint32_t)(seed % 3);
        simulation.block_ms = 2;
        /* Results that are there just before their cancel, in half of all seeds. */
        simulation.race = simulation.late = seed % 2 ? 0 : 250 * (uint32_t)seed % 1001;
        simulation.short_read = simulation.short_write = seed % 2 ? 0 : 500;
        simulation.buffer_bytes = seed % 2 ? 65536 : 30000;
        waits = sweep_waits_by(run_simulated, swept->run, &capacities[seed % 3]);
        if (waits < swept->least)
            fail_msg("only %d waits", waits);
    }
}

static void every_wait_on_epoll(void **state)
{
    const struct swept *swept = *state;

    assert_true(sweep_waits(swept->run, &capacities[0]) > 0);
}

static const struct swept all[] = {
    { "receive", receive, 2 },      { "send", send_parts, 3 },      { "accept", accept_some, 3 },
    { "connect", connect_some, 3 }, { "channel", channel, 6 },      { "select", select_some, 3 },
    { "lock", lock_some, 7 },       { "acquire", acquire_some, 7 }, { "block", block_some, 5 },
    { "join", join_some, 6 },       { "sleep", sleep_some, 3 },
};

#define COUNT (sizeof(all) / sizeof(*all))

int main(void)
{
    struct CMUnitTest tests[2 * COUNT] = { 0 };

    for (size_t i = 0; i < COUNT; i++) {
        tests[2 * i] = (struct CMUnitTest){ .name = all[i].name,
                                            .test_func = every_wait,
                                            .initial_state = (void *)&all[i] };
        tests[2 * i + 1] = tests[2 * i];
        tests[2 * i + 1].test_func = every_wait_on_epoll;
    }
    return _cmocka_run_group_tests("sweeps", tests, 2 * COUNT, NULL, NULL);
}
