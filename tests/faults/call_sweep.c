/* See call_sweep.h. Each run is a process of its own, so that what one has left
 * behind does not make the next fail, and one that hangs is ended. */
#include "faults/call_sweep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weir/log.h>

#include "base/chain.h"
#include "support/fault.h"

#define CALLS_MAX 2000
#define HANG_S 20

static int amiss;

/* ---- one run ------------------------------------------------------------------------- */

static int open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;

    if (!folder)
        _exit(9);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

enum { PASSED, FAILED, WITHOUT_CAUSE, BLOCKS_LEFT, DESCRIPTORS_LEFT, POSITIVE };

static const char *const verdicts[] = { "passed",
                                        "failed",
                                        "failed without a cause",
                                        "memory is left",
                                        "a descriptor is left",
                                        "gave a positive result" };

int call_sweep_run(const struct call_scenario *of)
{
    int rc = weir_run(of->fn, NULL, .loops = of->loops, .grace_ms = 500, .backend = of->backend);

    weir_recover();
    chain_thread_done();
    return rc;
}

#define CALL_FAILED 16

/* In a child process: its exit status is a verdict, with CALL_FAILED when one has. */
static void run_once(const struct call_scenario *of, enum call_kind kind, int nth, int code,
                     bool for_ever)
{
    int silent = open("/dev/null", O_WRONLY | O_CLOEXEC), before, rc, failed, verdict;
    struct fault blocks;

    dup2(silent, 2);
    alarm(HANG_S);
    if (of->before)
        of->before();
    before = open_descriptors();
    fault_begin(&blocks);
    call_fail(kind, nth, code, for_ever);
    rc = call_sweep_run(of);
    failed = call_failed();
    call_fail(kind, 0, 0, false);
    fault_end(&blocks);
    verdict = rc > 0                         ? POSITIVE
              : rc < 0 && !failed            ? WITHOUT_CAUSE
              : blocks.live != 0             ? BLOCKS_LEFT
              : open_descriptors() != before ? DESCRIPTORS_LEFT
              : rc < 0                       ? FAILED
                                             : PASSED;
    _exit(verdict | (failed ? CALL_FAILED : 0));
}

/* Returns whether there was an nth call. */
static bool sweep_once(const struct call_scenario *of, enum call_kind kind, int nth, int code,
                       bool for_ever)
{
    const char *ending = for_ever ? " for ever" : "", *wrong = NULL;
    int status;
    pid_t pid = fork();

    if (pid == 0)
        run_once(of, kind, nth, code, for_ever);
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status))
        wrong = WTERMSIG(status) == SIGALRM ? "it hangs" : strsignal(WTERMSIG(status));
    else if ((WEXITSTATUS(status) & 15) > FAILED)
        wrong = verdicts[WEXITSTATUS(status) & 15];
    if (wrong) {
        print_error("%s number %d failing with %s%s: %s\n", call_name(kind), nth, strerror(code),
                    ending, wrong);
        amiss++;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) & CALL_FAILED;
}

static ssize_t swallow(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    (void)bytes;
    return (ssize_t)len;
}

void call_sweep(const struct call_scenario *of, const struct call_fault *faults, size_t count,
                bool full)
{
    int runs = 0, sampled = full ? CALLS_MAX : of->sampled;

    /* What a process, and a thread for the log, makes once, and keeps, is there from
     * here on. */
    assert_int_equal(weir_log_open(.sink = swallow, .sync = true), 0);
    weir_warn("the first line");
    assert_int_equal(call_sweep_run(of), 0);
    for (size_t i = 0; i < count; i++) {
        const struct call_fault *fault = &faults[i];
        int nth = 1;

        while (nth <= CALLS_MAX) {
            runs++;
            if (!sweep_once(of, fault->kind, nth, fault->code, false))
                break;
            if (!fault->once_only)
                sweep_once(of, fault->kind, nth, fault->code, true);
            nth += nth < sampled ? 1 : nth / 2 + 1;
        }
        if (nth == 1 && !fault->may_be_none) {
            print_error("%s is never called\n", call_name(fault->kind));
            amiss++;
        }
    }
    print_message("%d runs, %d amiss\n", runs, amiss);
    weir_log_close();
    assert_int_equal(amiss, 0);
}
