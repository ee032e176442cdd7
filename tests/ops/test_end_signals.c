/* The signals that end a program: who gets them, and what a second one does. */
#include "support/in_task.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weir/signals.h>

#include "ops/end_signals.h"
#include "rt/sanitizer.h"

/* Run end in a child process; how it ended. */
static int status_of(void (*end)(void))
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        end();
        _exit(0);
    }
    CHECK(pid > 0);
    CHECK_INT(waitpid(pid, &status, 0), pid);
    return status;
}

static void raise_once(void)
{
    raise(SIGTERM);
}

static void raise_both(void)
{
    raise(SIGTERM);
    raise(SIGINT);
    abort(); /* never reached */
}

static void raise_pipe(void)
{
    raise(SIGPIPE);
}

TASK_TEST(the_first_is_fetched)
{
    (void)arg;
    CHECK_INT(end_signals_open(), 0);
    raise(SIGINT);
    CHECK_INT(end_signals_wait(), SIGINT);
    end_signals_close();
    CHECK_INT(end_signals_open(), 0); /* as new */
    raise(SIGTERM);
    CHECK_INT(end_signals_wait(), SIGTERM);
    end_signals_close();
    return 0;
}

/* A child that was forked, and runs no other program yet, has the handlers. */
TASK_TEST(what_a_forked_child_is_sent_is_its_own)
{
    (void)arg;
    CHECK_INT(end_signals_open(), 0);
    CHECK_INT(status_of(raise_once), 0);
    WEIR_SCOPE(s, .timeout_ms = 50)
        CHECK_INT(end_signals_wait(), -ETIMEDOUT);
    weir_recover();
    end_signals_close();
    return 0;
}

TASK_TEST(a_second_one_ends_the_process)
{
    int status;

    (void)arg;
#ifdef CONTEXT_TSAN
    return 0; /* it delivers signals late: in a forked child with no other thread, never */
#endif
    CHECK_INT(end_signals_open(), 0);
    status = status_of(raise_both);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 128 + SIGINT);
    CHECK_INT(status_of(raise_pipe), 0);
    end_signals_close();
    CHECK_INT(WTERMSIG(status_of(raise_pipe)), SIGPIPE); /* as before */
    CHECK_INT(WTERMSIG(status_of(raise_once)), SIGTERM);
    return 0;
}

static void own_handler(int number)
{
    (void)number;
}

TASK_TEST(they_are_taken_from_handlers_and_put_back)
{
    struct sigaction own = { .sa_handler = own_handler }, now;
    weir_signals *signals;

    (void)arg;
    CHECK_INT(sigaction(SIGTERM, &own, NULL), 0);
    CHECK_INT(end_signals_open(), 0);
    CHECK_INT(weir_signals_open(&signals, SIGINT), -EBUSY);
    weir_recover();
    end_signals_close();
    CHECK_INT(sigaction(SIGTERM, NULL, &now), 0);
    CHECK(now.sa_handler == own_handler);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_is_fetched),
        cmocka_unit_test(what_a_forked_child_is_sent_is_its_own),
        cmocka_unit_test(a_second_one_ends_the_process),
        cmocka_unit_test(they_are_taken_from_handlers_and_put_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
