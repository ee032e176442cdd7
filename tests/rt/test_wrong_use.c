/* What is always a mistake stops a debug build with a sentence that says what to do; a
 * release build says it too, counts it, and goes on. */
#include <pthread.h>

#include <weir/weir.h>

#include "base/arena.h"
#include "rt/child_run.h"

#define OPEN() weir_scope_open_opt(&(weir_scope_opts){ .size = sizeof(weir_scope_opts), \
                                                       .site = WEIR_HERE })

static weir_scope a_scope;
static weir_task a_task;
static WEIR_CHAN(int) a_chan;
static weir_mutex a_mutex;

/* ---- on another loop -------------------------------------------------------------- */

static int returns(void *arg)
{
    (void)arg;
    return 0;
}

static int cancels(void *arg)
{
    (void)arg;
    weir_cancel(a_scope);
    return 0;
}

static int starts(void *arg)
{
    (void)arg;
    weir_go(a_scope, returns, NULL);
    return 0;
}

static int asks_a_task(void *arg)
{
    int result;

    (void)arg;
    WEIR_IGNORE(weir_result(a_task, &result), "it is not told here");
    return 0;
}

static int sends(void *arg)
{
    int item = 1;

    (void)arg;
    WEIR_IGNORE(weir_send(a_chan, &item), "it may have been closed");
    return 0;
}

static int locks(void *arg)
{
    (void)arg;
    if (weir_lock(&a_mutex) == 0)
        weir_unlock(&a_mutex);
    return 0;
}

/* Run fn on loop 1, with objects of loop 0 around it. */
static int on_another_loop(weir_fn *fn)
{
    int rc = weir_lock(&a_mutex);

    if (rc < 0)
        return rc;
    weir_unlock(&a_mutex);
    CHECK_INT(weir_chan_open(&a_chan, .capacity = 4, .name = "local"), 0);
    WEIR_SCOPE(s) {
        a_scope = s;
        a_task = weir_go(s, returns, NULL, .hold = true);
        rc = weir_yield();
        weir_go_on(s, 1, fn, NULL);
        rc = weir_join(s);
    }
    weir_chan_free(a_chan);
    return rc;
}

#define ELSEWHERE(fn) \
    static int fn##_elsewhere(void *arg) { (void)arg; return on_another_loop(fn); }

ELSEWHERE(cancels)
ELSEWHERE(starts)
ELSEWHERE(asks_a_task)
ELSEWHERE(sends)
ELSEWHERE(locks)

static void stops_debug(weir_fn *fn, const char *words)
{
#ifdef WEIR_DEBUG
    mistake(fn, words);
#else
    (void)words;
    (void)fn;
    skip(); /* nothing looks there in a release build */
#endif
}

static void a_scope_on_another_loop(void **state)
{
    (void)state;
    stops_debug(cancels_elsewhere, "a scope of loop 0 is used on loop 1");
}

static void a_start_on_another_loop(void **state)
{
    (void)state;
    mistake(starts_elsewhere, "loop");
}

static void a_task_on_another_loop(void **state)
{
    (void)state;
    stops_debug(asks_a_task_elsewhere, "a task of loop 0 is used on loop 1");
}

static void a_channel_on_another_loop(void **state)
{
    (void)state;
    stops_debug(sends_elsewhere, "channel \"local\" belongs to loop 0");
}

static void a_mutex_on_another_loop(void **state)
{
    (void)state;
    stops_debug(locks_elsewhere, "make it with .shared = true");
}

/* ---- on a thread that runs no loop -------------------------------------------------- */

static void *run_body(void *body)
{
    (*(weir_fn **)body)(NULL);
    return NULL;
}

static int on_a_thread(weir_fn *fn)
{
    pthread_t thread;
    int rc = 0;

    CHECK_INT(weir_chan_open(&a_chan, .capacity = 4, .name = "local"), 0);
    WEIR_SCOPE(s) {
        a_scope = s;
        CHECK_INT(pthread_create(&thread, NULL, run_body, &fn), 0);
        pthread_join(thread, NULL);
        rc = weir_join(s);
    }
    weir_chan_free(a_chan);
    return rc;
}

#define ON_THREAD(fn) \
    static int fn##_on_a_thread(void *arg) { (void)arg; return on_a_thread(fn); }

static int sleeps(void *arg)
{
    (void)arg;
    return weir_sleep_ms(1);
}

static int opens(void *arg)
{
    (void)arg;
    a_scope = OPEN();
    return 0;
}

static int tries(void *arg)
{
    (void)arg;
    WEIR_IGNORE(weir_try_lock(&a_mutex), "it is not told here");
    return 0;
}

static int allocates(void *arg)
{
    (void)arg;
    return weir_alloc(10) ? 1 : 0;
}

ON_THREAD(cancels)
ON_THREAD(starts)
ON_THREAD(sends)
ON_THREAD(locks)
ON_THREAD(sleeps)
ON_THREAD(opens)
ON_THREAD(tries)
ON_THREAD(allocates)

static void calls_on_a_plain_thread(void **state)
{
    (void)state;
    mistake(cancels_on_a_thread, "a scope's handle is used on a thread that runs no loop");
    mistake(starts_on_a_thread, "on a thread that runs no loop");
    mistake(sends_on_a_thread, "a checkpoint was called outside a task");
    mistake(locks_on_a_thread, "a checkpoint was called outside a task");
    mistake(sleeps_on_a_thread, "weir_remote_call()");
    mistake(opens_on_a_thread, "a scope was opened outside a task");
    mistake(tries_on_a_thread, "a mutex is tried outside a task");
    mistake(allocates_on_a_thread, "weir_alloc() was called outside a task");
}

/* ---- scopes and locks --------------------------------------------------------------- */

static int leaves_it_open(void *arg)
{
    (void)arg;
    a_scope = OPEN();
    return 0;
}

static int closes_the_outer_one(void *arg)
{
    weir_scope outer = OPEN(), inner = OPEN();

    (void)arg;
    weir_scope_close(outer);
    weir_scope_close(inner);
    weir_scope_close(outer);
    return 0;
}

static int unlocks_nothing(void *arg)
{
    (void)arg;
    weir_unlock(&a_mutex);
    return 0;
}

static int unlocks(void *arg)
{
    return unlocks_nothing(arg);
}

static int unlocks_anothers(void *arg)
{
    int rc = weir_lock(&a_mutex);

    (void)arg;
    WEIR_SCOPE(s) {
        weir_go(s, unlocks, NULL);
        rc = weir_join(s);
    }
    weir_unlock(&a_mutex);
    return rc;
}

static int ends_with_a_lock(void *arg)
{
    (void)arg;
    return weir_lock(&a_mutex);
}

static int leaves_a_scope_with_a_lock(void *arg)
{
    int rc = 0;

    (void)arg;
    WEIR_SCOPE(s) {
        rc = weir_lock(&a_mutex);
        if (rc == 0)
            rc = weir_join(s);
    }
    weir_unlock(&a_mutex);
    return rc;
}

/* The semaphore is left to the end of the process, which comes at once. */
static weir_semaphore *a_semaphore;

static int gives_a_unit(void *arg)
{
    (void)arg;
    weir_release(a_semaphore);
    return 0;
}

static int gives_anothers_unit(void *arg)
{
    int rc = weir_semaphore_new(&a_semaphore, .name = "desks", .units = 2, .owned = true);

    (void)arg;
    if (rc == 0)
        rc = weir_acquire(a_semaphore);
    WEIR_SCOPE(s, .keeps_locks = true) {
        weir_go(s, gives_a_unit, NULL);
        if (rc == 0)
            rc = weir_join(s);
    }
    return rc;
}

static int ends_with_a_unit(void *arg)
{
    int rc = weir_semaphore_new(&a_semaphore, .name = "desks", .units = 2, .owned = true);

    (void)arg;
    return rc < 0 ? rc : weir_acquire(a_semaphore);
}

static void units_not_owned(void **state)
{
    (void)state;
    mistake(gives_anothers_unit, "the task that took a unit gives it back");
    mistake(ends_with_a_unit, "ended with 1 lock held");
}

static void scopes_left_open(void **state)
{
    (void)state;
    mistake(leaves_it_open, "close it with weir_scope_close()");
    mistake(closes_the_outer_one, "is closed by another task, or before those inside it");
}

static void locks_not_owned(void **state)
{
    (void)state;
    mistake(unlocks_nothing, "unlocks a mutex that it does not hold");
    mistake(unlocks_anothers, "unlocks a mutex that it does not hold");
}

static void locks_kept(void **state)
{
    (void)state;
    mistake(ends_with_a_lock, "unlock them on every way out");
    mistake(leaves_a_scope_with_a_lock, "unlock before every way out");
}

/* ---- memory that is over -------------------------------------------------------------- */

static void an_arena_that_was_reset_is_spoilt(void **state)
{
#if defined(WEIR_DEBUG) && !POISON_ON
    struct arena_pool pool;
    struct arena arena;
    unsigned char *block;

    (void)state;
    arena_pool_init(&pool, 4);
    arena_init(&arena, &pool);
    block = arena_zalloc(&arena, 100);
    arena_reset(&arena);
    for (int i = 0; i < 100; i++)
        assert_int_equal(block[i], ARENA_SPOILT);
    arena_pool_done(&pool);
#else
    (void)state;
    skip(); /* poisoned instead, or as it was */
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scope_on_another_loop),
        cmocka_unit_test(a_start_on_another_loop),
        cmocka_unit_test(a_task_on_another_loop),
        cmocka_unit_test(a_channel_on_another_loop),
        cmocka_unit_test(a_mutex_on_another_loop),
        cmocka_unit_test(calls_on_a_plain_thread),
        cmocka_unit_test(scopes_left_open),
        cmocka_unit_test(locks_not_owned),
        cmocka_unit_test(units_not_owned),
        cmocka_unit_test(locks_kept),
        cmocka_unit_test(an_arena_that_was_reset_is_spoilt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
