/* What is looked for a few times a second: trouble that takes a while to be one.
 *
 * A thread of its own, so that a loop that is held up holds up no check of the others.
 * What a check finds, it logs once a place. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>

#include <weir/error.h>

#include "ops/connections.h"
#include "ops/lags.h"
#include "ops/parts.h"
#include "ops/pools.h"
#include "ops/queues.h"
#include "ops/submissions.h"
#include "ops/walk.h"

static struct {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t over_changed;
    bool over;
} checks = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Each may take as long as the loops take to answer, but does not wait for one that
 * doesn't. The list ends with NULL. */
static void (*const all[])(void) = {
    lags_check, walk_check, queues_check, connections_check, pools_check, submissions_check, NULL,
};

/* Wait for the next time; false at the end. */
static bool wait_for_next(void)
{
    struct timespec until;
    int rc = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += CHECKS_MS * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&checks.lock);
    while (!checks.over && rc == 0)
        rc = pthread_cond_timedwait(&checks.over_changed, &checks.lock, &until);
    rc = checks.over;
    pthread_mutex_unlock(&checks.lock);
    return rc == 0;
}

static void *run(void *arg)
{
    (void)arg;
    while (wait_for_next()) {
        for (size_t i = 0; all[i]; i++)
            all[i]();
    }
    return NULL;
}

int checks_open(const weir_inspect_opts *opts)
{
    pthread_condattr_t attr;
    sigset_t blocked, old;
    int rc;

    (void)opts;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&checks.over_changed, &attr);
    pthread_condattr_destroy(&attr);
    checks.over = false;
    sigfillset(&blocked); /* signals are the program's own threads' */
    pthread_sigmask(SIG_SETMASK, &blocked, &old);
    rc = -pthread_create(&checks.thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc < 0) {
        pthread_cond_destroy(&checks.over_changed);
        return weir_fail(rc, "starting the thread that looks for trouble");
    }
    pthread_setname_np(checks.thread, "weir-checks");
    return 0;
}

void checks_close(void)
{
    pthread_mutex_lock(&checks.lock);
    checks.over = true;
    pthread_cond_signal(&checks.over_changed);
    pthread_mutex_unlock(&checks.lock);
    pthread_join(checks.thread, NULL);
    pthread_cond_destroy(&checks.over_changed);
}
