/* A lock of the operating system's threads that is held across a wait stops a debug build,
 * whose programs are linked with weir-os-locks; all else may be done with such locks. */
#include <errno.h>
#include <pthread.h>
#include <threads.h>
#include <time.h>

#include <weir/weir.h>

#include "rt/child_run.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;

static int sleeps_with_it(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&mutex);
    WEIR_IGNORE(weir_sleep_ms(1), "it does not get there");
    pthread_mutex_unlock(&mutex);
    return 0;
}

static int yields_with_it(void *arg)
{
    (void)arg;
    if (pthread_mutex_trylock(&mutex) == 0)
        WEIR_IGNORE(weir_yield(), "it does not get there");
    pthread_mutex_unlock(&mutex);
    return 0;
}

static int joins_with_it(void *arg)
{
    (void)arg;
    pthread_rwlock_rdlock(&rwlock);
    WEIR_SCOPE(s) {
        weir_go(s, sleeps_with_it, NULL);
        WEIR_IGNORE(weir_join(s), "it does not get there");
    }
    pthread_rwlock_unlock(&rwlock);
    return 0;
}

static int ends_with_it(void *arg)
{
    static mtx_t own;

    (void)arg;
    mtx_init(&own, mtx_plain);
    mtx_lock(&own);
    return 0;
}

static int half_unlocked(void *arg)
{
    pthread_mutex_t recursive;
    pthread_mutexattr_t attr;

    (void)arg;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&recursive, &attr);
    pthread_mutex_lock(&recursive);
    pthread_mutex_lock(&recursive);
    pthread_mutex_unlock(&recursive);
    WEIR_IGNORE(weir_sleep_ms(1), "it does not get there");
    pthread_mutex_unlock(&recursive);
    return 0;
}

/* A timed wait at a condition, which is let go of and taken again within the call. */
static void wait_at_a_condition(void)
{
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    struct timespec at;

    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_nsec += at.tv_nsec < 990000000 ? 2000000 : 0;
    pthread_mutex_lock(&mutex);
    CHECK_INT(pthread_cond_timedwait(&condition, &mutex, &at), ETIMEDOUT);
    pthread_mutex_unlock(&mutex);
    pthread_cond_destroy(&condition);
}

static int all_is_well(void *arg)
{
    pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;

    (void)arg;
    for (int i = 0; i < 100; i++) {
        pthread_mutex_lock(&mutex);
        pthread_mutex_lock(&own);
        CHECK_INT(pthread_mutex_trylock(&own), EBUSY);
        pthread_mutex_unlock(&mutex); /* not in the reverse order */
        pthread_mutex_unlock(&own);
        pthread_rwlock_wrlock(&rwlock);
        CHECK_INT(pthread_rwlock_tryrdlock(&rwlock), EBUSY);
        pthread_rwlock_unlock(&rwlock);
        CHECK_INT(weir_yield(), 0);
    }
    wait_at_a_condition();
    return weir_sleep_ms(1);
}

static int held_around(void *arg)
{
    pthread_mutex_t outside = PTHREAD_MUTEX_INITIALIZER;
    int rc;

    /* By the thread, before there are tasks: it is not for them to unlock it. */
    pthread_mutex_lock(&outside);
    rc = weir_run(all_is_well, arg, .loops = 2);
    pthread_mutex_unlock(&outside);
    return rc;
}

static void stops(weir_fn *fn, const char *words)
{
#ifdef WEIR_DEBUG
    struct child child = child_run(fn);

    child_stopped(&child, words);
    child_stopped(&child, "taken at ");
#else
    (void)fn;
    (void)words;
    skip(); /* nothing looks in a release build */
#endif
}

static void a_wait_with_a_mutex(void **state)
{
    (void)state;
    stops(sleeps_with_it, "waits (sleep) while it holds the thread's mutex");
}

static void a_yield_with_a_mutex(void **state)
{
    (void)state;
    stops(yields_with_it, "waits (it yields) while it holds the thread's mutex");
}

static void a_join_with_a_read_lock(void **state)
{
    (void)state;
    stops(joins_with_it, "while it holds the thread's read lock");
}

static void an_end_with_a_mutex(void **state)
{
    (void)state;
    stops(ends_with_it, "ended with the thread's mutex");
}

static void a_recursive_one_that_is_still_held(void **state)
{
    (void)state;
    stops(half_unlocked, "waits (sleep) while it holds the thread's mutex");
}

static void locks_between_waits(void **state)
{
    (void)state;
    no_mistake(all_is_well);
}

static void a_lock_around_the_runtime(void **state)
{
    (void)state;
    assert_int_equal(held_around(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wait_with_a_mutex),
        cmocka_unit_test(a_yield_with_a_mutex),
        cmocka_unit_test(a_join_with_a_read_lock),
        cmocka_unit_test(an_end_with_a_mutex),
        cmocka_unit_test(a_recursive_one_that_is_still_held),
        cmocka_unit_test(locks_between_waits),
        cmocka_unit_test(a_lock_around_the_runtime),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
