/* What the tests of locks have in common: turns for every task, a cancel at every
 * wait, and mistakes in a child process. */
#ifndef RT_SYNC_RUN_H
#define RT_SYNC_RUN_H

#include "support/both.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rt/rt.h"
#include "rt/sim.h"
#include "support/sweep.h"

/* The tests of locks are built twice: for the form of one loop, and the shared one. */
#ifndef TEST_SHARED
#define TEST_SHARED 0
#endif

/* Let every task that is ready have some turns. */
static inline void settle(void)
{
    for (int i = 0; i < 6; i++)
        CHECK_INT(weir_yield(), 0);
}

/* Was it given up, as it may be in a sweep? */
static inline bool gave_up(int rc)
{
    if (rc == -ECANCELED)
        CHECK(sweep_hit());
    return rc == -ECANCELED;
}

static struct sim_opts simulation;

static inline int run_simulated(weir_fn *fn, void *arg, const weir_run_opts *opts)
{
    return run_in_sim(&simulation, fn, arg, opts);
}

/* Cancel at every wait, on epoll and in 12 orders on the simulator. How many there are at least is
 * asked of the simulator: on a busy machine times pass together that are apart there. */
static inline void sweep_everywhere(weir_fn *scenario, int least)
{
    int most = 0;

    assert_true(sweep_waits(scenario, NULL) > 0);
    for (uint64_t seed = 1; seed <= 12; seed++) {
        int waits;

        sim_opts_init(&simulation);
        simulation.seed = seed;
        waits = sweep_waits_by(run_simulated, scenario, NULL);
        assert_true(waits > 0);
        most = waits > most ? waits : most;
    }
    if (most < least)
        fail_msg("only %d waits", most);
}

/* Run body in a child process: it is stopped with the words, or, in a release
 * build, goes on and says them once. */
static inline void expect_wrong_use_on(uint32_t loops, weir_fn *body, const char *words)
{
    char text[1000] = "";
    int ends[2], status;
    ssize_t n, len = 0;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        dup2(ends[1], 2);
        signal(SIGABRT, SIG_DFL);
        _exit(weir_run(body, NULL, .loops = loops) == 0 && rt_wrong_uses() == 1 ? 0 : 1);
    }
    close(ends[1]);
    while ((n = read(ends[0], text + len, sizeof(text) - 1 - (size_t)len)) > 0)
        len += n;
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!strstr(text, words))
        fail_msg("said: %s", text);
#ifdef WEIR_DEBUG
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
#else
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("did not go on: %s", text);
#endif
}

static inline void expect_wrong_use(weir_fn *body, const char *words)
{
    expect_wrong_use_on(1, body, words);
}

#endif
