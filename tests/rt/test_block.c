/* Pools of threads, abandoned calls, and sessions; each also in a simulation. */
#include "support/both.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include <weir/block.h>
#include <weir/sync.h>
#include <weir/time.h>

#include "base/alloc.h"
#include "base/chain.h"
#include "rt/rt.h"
#include "support/sweep.h"

/* Calls on simulated threads take 20 ms. */
#define POOL_TEST(name) BOTH_TEST(name, opts.block_ms = 20)

/* A gate that calls on real threads wait at. */
static struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    int inside, most;
} gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0, 0 };

static void gate_reset(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = false;
    gate.inside = gate.most = 0;
    pthread_mutex_unlock(&gate.lock);
}

static int pass_gate(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&gate.lock);
    if (++gate.inside > gate.most)
        gate.most = gate.inside;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.lock);
    gate.inside--;
    pthread_mutex_unlock(&gate.lock);
    return 0;
}

static void open_gate(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

/* Let other tasks and threads go on until count calls are inside. */
static void wait_inside(int count)
{
    int inside = -1;

    while (inside != count) {
        CHECK_INT(weir_sleep_ms(1), 0);
        pthread_mutex_lock(&gate.lock);
        inside = gate.inside;
        pthread_mutex_unlock(&gate.lock);
    }
}

static weir_threads_stats stats_of(weir_threads *pool)
{
    weir_threads_stats stats;

    weir_threads_read_stats(pool, &stats);
    return stats;
}

static weir_threads *own_pool;

static int call_gate(void *arg)
{
    (void)arg;
    return weir_block(pass_gate, NULL, .pool = own_pool);
}

/* ---- pools ------------------------------------------------------------------------- */

static int add_one(void *arg)
{
    *(int *)arg += 1;
    return *(int *)arg;
}

POOL_TEST(every_common_pool_runs_calls)
{
    (void)arg;
    for (int kind = WEIR_THREADS_CALLS; kind <= WEIR_THREADS_CPU; kind++) {
        weir_threads *pool = weir_threads_common((weir_threads_kind)kind);
        int n = 6;

        CHECK_INT(weir_block(add_one, &n, .pool = pool), 7);
        CHECK_INT(weir_block(add_one, &n, .pool = pool), 8);
        /* The thread counts its call after it has told the caller. */
        while (stats_of(pool).calls < 2)
            CHECK_INT(weir_sleep_ms(1), 0);
        CHECK_INT(stats_of(pool).running, 0);
        CHECK_INT(stats_of(pool).refused, 0);
    }
    CHECK(weir_threads_common((weir_threads_kind)77) == weir_threads_common(WEIR_THREADS_CALLS));
    return 0;
}

POOL_TEST(options_out_of_range_are_refused)
{
    weir_threads *pool = NULL;
    weir_session *session = NULL;
    int n = 0;

    (void)arg;
    CHECK_INT(weir_threads_new(&pool), -EINVAL);
    CHECK_INT(weir_threads_new(&pool, .name = "much_too_long_a_name"), -EINVAL);
    CHECK_INT(weir_threads_new(&pool, .name = "x", .threads = 1025), -EINVAL);
    CHECK_INT(weir_session_open(&session, .name = "much_too_long_a_name"), -EINVAL);
    CHECK_INT(weir_block(add_one, &n, .abandon = base_free), -EINVAL);
    CHECK(pool == NULL && session == NULL && n == 0);
    weir_threads_free(NULL);
    weir_session_close(NULL);
    weir_recover();
    return 0;
}

TASK_TEST(a_pool_keeps_its_bounds)
{
    weir_threads_stats stats;
    uint64_t sum = 0;
    char text[200];
    int n = 0;

    (void)arg;
    gate_reset();
    CHECK_INT(weir_threads_new(&own_pool, .name = "slow", .threads = 2, .queue = 3), 0);
    WEIR_SCOPE(s) {
        for (int i = 0; i < 5; i++)
            weir_go(s, call_gate, NULL);
        wait_inside(2);
        CHECK_INT(stats_of(own_pool).waiting, 3);
        CHECK_INT(call_gate(NULL), -EBUSY);
        weir_error_print(text, sizeof(text));
        CHECK_TEXT(text, "the 2 threads of the pool \"slow\" are busy, and 3 calls wait: give it "
                         "more of either, or ask less of it");
        weir_recover();
        CHECK_INT(weir_block(add_one, &n), 1); /* other pools go on */
        open_gate();
        CHECK_INT(weir_join(s), 0);
    }
    while (stats_of(own_pool).calls < 5)
        CHECK_INT(weir_sleep_ms(1), 0);
    stats = stats_of(own_pool);
    CHECK_INT(gate.most, 2);
    CHECK_INT(stats.refused, 1);
    CHECK_INT(stats.waiting + stats.running, 0);
    CHECK_INT(stats.threads, 2);
    for (int i = 0; i < WEIR_THREADS_BUCKETS; i++)
        sum += stats.queued[i];
    CHECK_INT(sum, 5);
    CHECK(stats.queued_longest_ns > 0 && stats.queued_total_ns >= stats.queued_longest_ns);
    weir_threads_free(own_pool);
    return 0;
}

TASK_TEST(threads_that_are_idle_end)
{
    weir_threads *pool;
    int n = 0;

    (void)arg;
    CHECK_INT(weir_threads_new(&pool, .name = "short", .idle_ms = 5), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(weir_block(add_one, &n, .pool = pool), i + 1);
        while (stats_of(pool).threads > 0)
            CHECK_INT(weir_sleep_ms(2), 0);
    }
    weir_threads_free(pool);
    return 0;
}

static int signals_are_blocked(void *arg)
{
    sigset_t set;

    (void)arg;
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    return sigismember(&set, SIGTERM) && sigismember(&set, SIGINT);
}

TASK_TEST(signals_do_not_go_to_the_threads)
{
    (void)arg;
    CHECK_INT(weir_block(signals_are_blocked, NULL), 1);
    return 0;
}

static int look_inside(void *arg)
{
    const weir_context *context = weir_context_get();

    CHECK(weir_str_eq(context->correlation_id, WEIR_S("abc")));
    CHECK(weir_str_eq(context->principal, WEIR_S("me")));
    CHECK_INT(context->trace_id.len, 0);
    CHECK(weir_deadline_ns() == *(int64_t *)arg);
    return weir_fail(-EDOM, "inside");
}

POOL_TEST(context_deadline_and_error_chain_are_handed_on)
{
    const weir_context context = { .correlation_id = WEIR_S("abc"), .principal = WEIR_S("me") };
    char text[100];
    bool gone = true;

    (void)arg;
    WEIR_SCOPE(s, .timeout_ms = 60000) {
        int64_t deadline_ns = weir_deadline_ns();

        weir_scope_set_context(s, &context);
        CHECK_INT(weir_block(look_inside, &deadline_ns), -EDOM);
        weir_error_print(text, sizeof(text));
        CHECK_TEXT(text, "inside");
        weir_recover();
        CHECK_INT(weir_block(look_inside, &deadline_ns, .abandon = base_free, .abandoned = &gone),
                  -EDOM);
        CHECK(!gone);
        weir_recover();
    }
    return 0;
}

/* ---- abandoned ---------------------------------------------------------------------- */

static atomic_int disposed;

static void dispose(void *arg)
{
    base_free(arg);
    atomic_fetch_add(&disposed, 1);
}

/* What it points to lies on no stack. */
static int use_block(void *arg)
{
    char *bytes = arg;

    pass_gate(NULL);
    memset(bytes, 'x', 64);
    return weir_fail(-EDOM, "nobody hears this");
}

static int abandon_call(void *arg)
{
    bool gone = false;
    void *bytes = base_malloc(64);
    int rc = weir_block(use_block, bytes, .pool = own_pool, .abandon = dispose, .abandoned = &gone);

    *(int *)arg = rc;
    if (!gone)
        base_free(bytes);
    return gone ? 0 : 1;
}

TASK_TEST(an_abandoned_call_ends_at_once)
{
    int rc = 0;

    (void)arg;
    gate_reset();
    atomic_store(&disposed, 0);
    CHECK_INT(weir_threads_new(&own_pool, .name = "leaving", .threads = 1), 0);
    WEIR_SCOPE(s, .timeout_ms = 10)
        CHECK_INT(abandon_call(&rc), 0);
    CHECK_INT(rc, -ETIMEDOUT);
    weir_recover();
    wait_inside(1);
    CHECK_INT(atomic_load(&disposed), 0);
    WEIR_SCOPE(s, .timeout_ms = 5) /* it waits in the queue: what is withdrawn is not handed over */
        CHECK_INT(abandon_call(&rc), 1);
    CHECK_INT(rc, -ETIMEDOUT);
    weir_recover();
    CHECK_INT(stats_of(own_pool).abandoned, 1);
    CHECK_INT(stats_of(own_pool).withdrawn, 1);
    open_gate();
    weir_threads_free(own_pool); /* waits for it */
    CHECK_INT(atomic_load(&disposed), 1);
    return 0;
}

static int leave_block(void *arg)
{
    *(int *)arg = 1;
    return 5;
}

POOL_TEST(a_call_that_could_be_abandoned_and_is_not)
{
    bool gone = true;
    int ran = 0;

    (void)arg;
    atomic_store(&disposed, 0);
    CHECK_INT(weir_block(leave_block, &ran, .abandon = dispose, .abandoned = &gone), 5);
    CHECK(ran == 1 && !gone);
    CHECK_INT(atomic_load(&disposed), 0);
    return 0;
}

static int touch_block(void *arg)
{
    memset(arg, 'x', 64);
    return 0;
}

static int swept_abandon(void *arg)
{
    int rc = 1;

    (void)arg;
    WEIR_SCOPE(s) {
        void *bytes = base_malloc(64);
        bool gone = false;

        sweep_at(s);
        rc = weir_block(touch_block, bytes, .abandon = dispose, .abandoned = &gone);
        sweep_over();
        CHECK(rc == 0 || (rc == -ECANCELED && sweep_hit()));
        CHECK(!gone || rc == -ECANCELED);
        if (!gone)
            base_free(bytes);
    }
    weir_recover();
    return 0;
}

/* On a real thread it may have run before the cancel, or not: nothing is left. */
static void abandoning_is_swept(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++)
        assert_true(sweep_waits(swept_abandon, NULL) >= 1);
}

static int late_in_simulation(void *arg)
{
    int rc = 0;

    (void)arg;
    gate.open = true;
    atomic_store(&disposed, 0);
    CHECK_INT(weir_threads_new(&own_pool, .name = "leaving", .threads = 1), 0);
    for (int i = 0; i < 20; i++)
        WEIR_SCOPE(s, .timeout_ms = 5)
            CHECK(abandon_call(&rc) == 1 || rc == -ETIMEDOUT);
    weir_recover();
    CHECK(stats_of(own_pool).abandoned > 0);
    CHECK_INT(weir_sleep_ms(500), 0);
    CHECK_INT(atomic_load(&disposed), stats_of(own_pool).abandoned);
    weir_threads_free(own_pool);
    return 0;
}

static void abandoning_in_a_simulation(void **state)
{
    (void)state;
    assert_int_equal(SIMULATED(late_in_simulation, opts.block_ms = 20), 0);
}

/* ---- sessions ------------------------------------------------------------------------ */

static struct trail {
    pthread_t thread;
    int numbers[100];
    int count;
} trail;

static _Thread_local int of_this_thread;

static int leave_trail(void *arg)
{
    if (trail.count == 0)
        trail.thread = pthread_self();
    CHECK(pthread_equal(trail.thread, pthread_self()));
    CHECK_INT(of_this_thread++, trail.count);
    trail.numbers[trail.count++] = *(int *)arg;
    return 0;
}

static weir_session *session;

static int calls_made;

static int call_session(void *arg)
{
    *(int *)arg = calls_made++;
    return weir_session_call(session, leave_trail, arg);
}

POOL_TEST(a_session_keeps_thread_and_order)
{
    int numbers[50];

    (void)arg;
    trail.count = of_this_thread = calls_made = 0;
    CHECK_INT(weir_session_open(&session, .name = "library"), 0);
    WEIR_SCOPE(s) {
        for (int i = 0; i < 50; i++)
            weir_go(s, call_session, &numbers[i]);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(trail.count, 50);
    for (int i = 0; i < 50; i++)
        CHECK_INT(trail.numbers[i], i);
    weir_session_close(session);
    return 0;
}

static int session_gate(void *arg)
{
    return weir_session_call(session, pass_gate, arg);
}

TASK_TEST(a_sessions_queue_is_bounded_and_can_be_left)
{
    (void)arg;
    gate_reset();
    CHECK_INT(weir_session_open(&session, .queue = 1), 0);
    WEIR_SCOPE(s) {
        weir_go(s, session_gate, NULL);
        wait_inside(1);
        weir_go(s, session_gate, NULL, .optional = true);
        CHECK_INT(weir_yield(), 0);
        CHECK_INT(session_gate(NULL), -EBUSY);
        WEIR_SCOPE(inner, .timeout_ms = 2)
            CHECK(session_gate(NULL) < 0);
        weir_recover();
        open_gate();
        CHECK_INT(weir_join(s), 0);
    }
    weir_session_close(session);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_common_pool_runs_calls),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(a_pool_keeps_its_bounds),
        cmocka_unit_test(threads_that_are_idle_end),
        cmocka_unit_test(signals_do_not_go_to_the_threads),
        cmocka_unit_test(context_deadline_and_error_chain_are_handed_on),
        cmocka_unit_test(an_abandoned_call_ends_at_once),
        cmocka_unit_test(a_call_that_could_be_abandoned_and_is_not),
        cmocka_unit_test(abandoning_is_swept),
        cmocka_unit_test(abandoning_in_a_simulation),
        cmocka_unit_test(a_session_keeps_thread_and_order),
        cmocka_unit_test(a_sessions_queue_is_bounded_and_can_be_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
