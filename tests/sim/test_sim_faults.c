/* A small server and its clients on a bad network: 200 seeds, each with its own
 * faults, delays, buffers and loops.
 *
 * A client sends bytes that tell where they belong, the server answers each with
 * another, and both check every byte they get. Safety: while things fail, what
 * arrives is always the beginning of what was sent, an orderly end comes only
 * behind all of it, nobody waits for ever, and nothing is left at the end.
 * Liveness: once nothing fails any more, every client comes through at its first
 * try.
 *
 * WEIR_SIM="seed=7 loops=2 ..." in the environment runs one simulation alone: a
 * failing test prints that line. WEIR_SIM_SEEDS=10000 runs more of them. */
#include "support/in_task.h"

#include <inttypes.h>
#include <signal.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/chain.h"
#include "rt/sim.h"
#include "sim/net.h"

#define SEEDS 200
#define CLIENTS 6
#define TRIES 4     /* of each client, while things fail */
#define PATIENCE 20 /* operations of a try that a cancel or a deadline may end */

/* Both sides' account of one connection, found by what its first byte says. */
struct account {
    uint32_t client, bytes;
    uint32_t asked, answered; /* bytes sent, by the client and by the server */
    uint32_t got;             /* by the server */
    bool half_closed;
};

static struct program {
    struct sim *sim;
    struct account accounts[CLIENTS][TRIES + 1];
    struct place place;
    uint32_t clients_left, acceptors, completed, failed;
} program;

static char question(const struct account *a, uint32_t at)
{
    return (char)(a->client * 131 + at * 7 + (at >> 8) * 3);
}

static char answer(const struct account *a, uint32_t at)
{
    return (char)~question(a, at);
}

/* Is the connection still worth a try after this? */
static bool goes_on(ssize_t rc, int *patience)
{
    bool again = rc == -ECANCELED || rc == -ETIMEDOUT;

    if (again && weir_yield() < 0) /* the scope around is cancelled as well */
        return false;
    return again && --*patience > 0;
}

/* ---- the server ------------------------------------------------------------------ */

struct served {
    struct sim_peer peer;
    struct account *account;
};

static int checksum(void *arg)
{
    const struct served *s = arg;

    return s->account ? (int)(s->account->got & 0xff) : 0;
}

static ssize_t serve_recv(struct served *s, char *piece, size_t size)
{
    ssize_t n = -EIO;

    WEIR_SCOPE(scope, .timeout_ms = 20000) {
        n = sim_peer_recv(&s->peer, piece, size);
    }
    return n;
}

/* The first four bytes name the account. */
static bool serve_begin(struct served *s, int *patience)
{
    unsigned char head[4];
    size_t got = 0;

    while (got < sizeof(head)) {
        ssize_t n = serve_recv(s, (char *)head + got, sizeof(head) - got);

        if (n > 0)
            got += (size_t)n;
        else if (!goes_on(n, patience))
            return false;
    }
    CHECK(head[0] == 0xA5 && head[1] < CLIENTS && head[2] <= TRIES && head[3] == 0x5A);
    s->account = &program.accounts[head[1]][head[2]];
    return true;
}

static bool serve_send(struct served *s, const char *data, size_t len, int *patience)
{
    size_t sent = 0;

    while (sent < len) {
        ssize_t n = -EIO;

        WEIR_SCOPE(scope, .timeout_ms = 20000) {
            n = sim_peer_send(&s->peer, data + sent, len - sent);
        }
        if (n > 0) {
            sent += (size_t)n;
            s->account->answered += (uint32_t)n;
        } else if (!goes_on(n, patience)) {
            return false;
        }
    }
    return true;
}

static void serve_all(struct served *s)
{
    int patience = PATIENCE;
    char piece[3000];
    ssize_t n;

    if (!serve_begin(s, &patience))
        return;
    for (;;) {
        n = serve_recv(s, piece, sizeof(piece));
        if (n < 0 && goes_on(n, &patience))
            continue;
        if (n <= 0)
            break;
        for (ssize_t i = 0; i < n; i++) {
            CHECK_INT(piece[i], question(s->account, s->account->got));
            piece[i] = answer(s->account, s->account->got++);
        }
        CHECK(s->account->got <= s->account->asked);
        if (s->account->got % 5 == 0)
            WEIR_IGNORE(weir_block(checksum, s), "it may be refused, or cancelled");
        if (!serve_send(s, piece, (size_t)n, &patience))
            return;
    }
    weir_recover();
    if (n == 0) {
        CHECK(s->account->half_closed);
        CHECK_INT(s->account->got, s->account->asked);
    }
}

static int serve(void *arg)
{
    struct served *s = arg;

    serve_all(s);
    weir_recover();
    sim_peer_close(&s->peer);
    free(s);
    return 0;
}

static int accept_all(void *arg)
{
    struct place place;
    int rc;

    (void)arg;
    place_share(&place, &program.place);
    for (;;) {
        struct served *s = calloc(1, sizeof(*s));

        rc = -EIO;
        WEIR_SCOPE(scope, .timeout_ms = 1000) {
            rc = place_accept(&place, &s->peer);
        }
        if (rc == 0) {
            weir_go(weir_app_scope(), serve, s);
            continue;
        }
        free(s);
        if (program.clients_left == 0 || rt_check() < 0)
            break;
        CHECK(rc == -ECANCELED || rc == -ETIMEDOUT || rc == -EMFILE);
        if (rc == -EMFILE && weir_sleep_ms(5) < 0)
            break;
    }
    place_leave(&place);
    program.acceptors--;
    return 0;
}

/* ---- clients --------------------------------------------------------------------- */

struct call {
    struct sim_peer peer;
    struct account *account;
    uint32_t try, got;
    bool complete, failed;
};

static int ask(void *arg)
{
    struct call *call = arg;
    struct account *a = call->account;
    unsigned char head[4] = { 0xA5, (unsigned char)a->client, (unsigned char)call->try, 0x5A };
    int patience = PATIENCE;
    char piece[2000];
    ssize_t n = 1;

    for (uint32_t at = 0; at < 4 + a->bytes;) {
        uint32_t len = 0;

        for (; at + len < 4 && len < sizeof(piece); len++)
            piece[len] = (char)head[at + len];
        for (; at + len < 4 + a->bytes && len < sizeof(piece); len++)
            piece[len] = question(a, at + len - 4);
        /* The server may have the bytes before this call says so. */
        if (at + len > 4 + a->asked)
            a->asked = at + len - 4;
        WEIR_SCOPE(scope, .timeout_ms = 20000) {
            n = sim_peer_send(&call->peer, piece, len);
        }
        a->asked = n > 0 && at + (uint32_t)n > 4 ? at + (uint32_t)n - 4 : at > 4 ? at - 4 : 0;
        CHECK(a->got <= a->asked);
        if (n > 0)
            at += (uint32_t)n;
        else if (!goes_on(n, &patience))
            return n == -ECANCELED ? 0 : (int)n;
    }
    a->half_closed = true;
    sim_peer_shutdown(&call->peer);
    return 0;
}

static void hear(struct call *call)
{
    struct account *a = call->account;
    int patience = PATIENCE;
    char piece[2500];
    ssize_t n = 1;

    for (;;) {
        WEIR_SCOPE(scope, .timeout_ms = 20000) {
            n = sim_peer_recv(&call->peer, piece, sizeof(piece));
        }
        if (n < 0 && goes_on(n, &patience))
            continue;
        if (n <= 0)
            break;
        for (ssize_t i = 0; i < n; i++)
            CHECK_INT(piece[i], answer(a, call->got++));
        CHECK(call->got <= a->bytes);
    }
    if (n == 0 && a->half_closed && call->got == a->bytes)
        call->complete = true;
    call->failed = !call->complete;
}

/* One connection from start to end. */
static bool call_once(uint32_t client, uint32_t try, uint32_t bytes)
{
    struct call call = { .account = &program.accounts[client][try], .try = try };
    int rc = -EIO;

    *call.account = (struct account){ .client = client, .bytes = bytes };
    WEIR_SCOPE(scope, .timeout_ms = 30000) {
        rc = sim_peer_connect(&call.peer, program.place.port);
    }
    if (rc < 0) {
        CHECK(rc == -ECONNREFUSED || rc == -ECANCELED || rc == -ETIMEDOUT || rc == -EMFILE ||
              rc == -ECONNRESET);
        return false;
    }
    WEIR_SCOPE(scope) {
        weir_go(scope, ask, &call);
        hear(&call);
        /* Nobody may wait for room that does not come. */
        if (!call.complete)
            weir_cancel(scope);
        WEIR_IGNORE(weir_join(scope), "what fails here shows in what was heard");
    }
    weir_recover();
    sim_peer_close(&call.peer);
    return call.complete;
}

static int client(void *arg)
{
    uint32_t id = (uint32_t)(uintptr_t)arg;

    for (uint32_t try = 0; try < TRIES; try++) {
        bool complete = call_once(id, try, 100 + (id * 7919 + try * 104729) % 20000);

        program.completed += complete;
        program.failed += !complete;
        sim_trace("client %u, try %u: %s", id, try, complete ? "complete" : "failed");
        WEIR_IGNORE(weir_sleep_ms(10), "it may be cancelled");
    }
    program.clients_left--;
    return 0;
}

static int calm_client(void *arg)
{
    uint32_t id = (uint32_t)(uintptr_t)arg;

    CHECK(call_once(id, TRIES, 30000));
    sim_trace("client %u: complete", id);
    program.clients_left--;
    return 0;
}

static int run_clients(weir_fn *fn, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        int rc = weir_submit(i % weir_loops(), fn, (void *)(uintptr_t)i);

        if (rc < 0)
            return rc;
    }
    /* They are on other loops: no wait of this one's can tell. */
    while (program.clients_left > (fn == calm_client ? 0 : CLIENTS)) {
        int rc = weir_sleep_ms(10);

        if (rc < 0)
            return rc;
    }
    return 0;
}

static int whole_program(void *arg)
{
    int rc = 0;

    (void)arg;
    /* Not 0 before the last: the servers go on until then. */
    program.clients_left = 2 * CLIENTS;
    for (uint32_t i = 0; i < weir_loops() && rc == 0; i++, program.acceptors += rc == 0)
        rc = weir_submit(i, accept_all, NULL);
    if (rc == 0)
        rc = run_clients(client, CLIENTS);
    if (rc < 0)
        return rc;
    sim_calm(program.sim);
    sim_trace("calm");
    return run_clients(calm_client, CLIENTS);
}

/* The listening socket is the first loop's, and closed there. */
static int with_a_place(void *arg)
{
    int rc = -EMFILE;

    while (rc == -EMFILE)
        rc = place_open_at(&program.place, 4000, false);
    CHECK_INT(rc, 0);
    loop_io(loop_self())->detach(loop_self(), &program.place.file, true);
    rc = whole_program(arg);
    while (rc == 0 && (sim_files(program.sim) > 1 || program.acceptors > 0))
        rc = weir_sleep_ms(100);
    program.place.file.fd = program.place.fd;
    loop_io(loop_self())->detach(loop_self(), &program.place.file, false);
    return rc;
}

/* ---- seeds ----------------------------------------------------------------------- */

static char line[SIM_OPTS_TEXT_BYTES + 32];

/* A check in a task ends in abort(). */
static void on_abort(int signal_number)
{
    ssize_t n = write(2, line, strlen(line));

    (void)n;
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void opts_of_seed(struct sim_opts *opts, uint64_t seed)
{
    sim_opts_draw(opts, seed);
    opts->cancel = seed % 3 == 0 ? 1 + (uint32_t)(seed % 40) : 0;
}

static char *run_one(const struct sim_opts *opts, uint32_t *ret_failed)
{
    uint64_t used = budget_used();
    struct sim *sim = sim_new(opts);
    char text[SIM_OPTS_TEXT_BYTES], *trace;
    int rc;

    assert_non_null(sim);
    sim_opts_print(opts, text);
    snprintf(line, sizeof(line), "WEIR_SIM=\"%s\"\n", text);
    program = (struct program){ .sim = sim };
    rc = sim_run(sim, with_a_place, NULL, NULL);
    if (rc < 0) {
        weir_error_print(text, sizeof(text));
        print_error("%s%s", sim_trace_text(sim), line);
        fail_msg("the run ended with %s: %s", weir_error_name(rc), text);
    }
    if (sim_files(sim) != 0 || program.clients_left != 0) {
        print_error("%s", line);
        fail_msg("%u descriptors and %u clients are left", sim_files(sim), program.clients_left);
    }
    *ret_failed += program.failed;
    trace = strdup(sim_trace_text(sim));
    sim_free(sim);
    chain_thread_done();
    if (budget_used() != used) {
        print_error("%s", line);
        fail_msg("%" PRId64 " bytes of the budget are left", (int64_t)(budget_used() - used));
    }
    return trace;
}

static bool run_given(void)
{
    const char *given = getenv("WEIR_SIM");
    struct sim_opts opts;
    uint32_t failed = 0;
    char *trace;

    if (!given)
        return false;
    sim_opts_init(&opts);
    assert_int_equal(sim_opts_parse(&opts, given), 0);
    trace = run_one(&opts, &failed);
    print_message("%s", trace);
    free(trace);
    return true;
}

static void no_byte_is_lost_or_doubled(void **state)
{
    const char *more = getenv("WEIR_SIM_SEEDS");
    uint64_t seeds = more ? strtoull(more, NULL, 10) : SEEDS;
    uint32_t failed = 0;

    (void)state;
    if (run_given())
        return;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct sim_opts opts;

        opts_of_seed(&opts, seed);
        free(run_one(&opts, &failed));
    }
    /* The faults are real, and do not stop everything. */
    print_message("%u of %u tries failed\n", failed, (unsigned)seeds * CLIENTS * TRIES);
    assert_true(failed > seeds);
    assert_true(failed < seeds * CLIENTS * TRIES / 2);
}

static void a_seed_gives_one_trace(void **state)
{
    uint32_t failed = 0;

    (void)state;
    for (uint64_t seed = 1000; seed < 1020; seed++) {
        struct sim_opts opts, again;
        char text[SIM_OPTS_TEXT_BYTES], *one, *other;

        opts_of_seed(&opts, seed);
        one = run_one(&opts, &failed);
        sim_opts_print(&opts, text); /* from what is printed, as one would */
        sim_opts_init(&again);
        assert_int_equal(sim_opts_parse(&again, text), 0);
        other = run_one(&again, &failed);
        assert_string_equal(one, other);
        free(one);
        free(other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_byte_is_lost_or_doubled),
        cmocka_unit_test(a_seed_gives_one_trace),
    };

    signal(SIGABRT, on_abort);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
