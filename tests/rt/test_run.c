/* The runtime as a whole: loops, submissions, ends, and uses that are mistakes. */
#include "support/in_task.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <weir/chan.h>
#include <weir/stream.h>
#include <weir/sync.h>
#include <weir/time.h>

#include "base/budget.h"
#include "rt/rt.h"

static int return_seven(void *arg)
{
    (void)arg;
    return 7;
}

static int fail_main(void *arg)
{
    (void)arg;
    return weir_fail(-ENOSPC, "nothing left");
}

static void the_first_tasks_result_is_the_runs(void **state)
{
    char text[100];

    (void)state;
    assert_int_equal(weir_run(return_seven, NULL, .loops = 1), 7);
    assert_int_equal(weir_run(return_seven, NULL), 7);
    assert_int_equal(weir_run(fail_main, NULL, .loops = 2), -ENOSPC);
    weir_error_print(text, sizeof(text));
    assert_string_equal(text, "nothing left");
    weir_recover();
}

static void options_out_of_range_are_refused(void **state)
{
    char text[100];

    (void)state;
    assert_int_equal(weir_run(return_seven, NULL, .loops = 257), -EINVAL);
    weir_error_print(text, sizeof(text));
    assert_string_equal(text, "257 loops are over the limit of 256");
    assert_int_equal(weir_run(return_seven, NULL, .stack_bytes = 1000), -EINVAL);
    weir_recover();
}

static atomic_uint seen_loops, submitted;

static int note_loop(void *arg)
{
    (void)arg;
    atomic_fetch_or(&seen_loops, 1u << weir_loop_index());
    return 0;
}

static int submitted_task(void *arg)
{
    atomic_fetch_add(&submitted, 1);
    atomic_fetch_or(&seen_loops, 16u << weir_loop_index());
    return weir_sleep_ms(*(uint32_t *)arg);
}

static int submit_to_all(void *arg)
{
    static uint32_t one = 1;

    (void)arg;
    CHECK_INT(weir_loops(), 3);
    CHECK_INT(weir_submit(3, submitted_task, &one), -EINVAL);
    for (uint32_t i = 0; i < 300; i++)
        CHECK_INT(weir_submit(i % 3, submitted_task, &one), 0);
    while (atomic_load(&submitted) < 300)
        CHECK_INT(weir_sleep_ms(1), 0);
    return 0;
}

static void each_loop_runs_and_takes_submissions(void **state)
{
    (void)state;
    assert_int_equal(weir_run(submit_to_all, NULL, .loops = 3, .each = note_loop), 0);
    assert_int_equal(atomic_load(&seen_loops), 0x77);
}

static int flood(void *arg)
{
    static uint32_t none;
    int rc, taken = 0;

    (void)arg;
    while ((rc = weir_submit(0, submitted_task, &none)) == 0)
        taken++;
    CHECK_INT(rc, WEIR_EFULL);
    CHECK_INT(taken, 1024);
    return 0;
}

static void submissions_are_bounded(void **state)
{
    (void)state;
    atomic_store(&submitted, 0);
    assert_int_equal(weir_run(flood, NULL, .loops = 1), 0);
    assert_int_equal(atomic_load(&submitted), 1024); /* each runs all the same */
}

static int ended_with;

static int linger(void *arg)
{
    (void)arg;
    ended_with = weir_sleep_ms(60000);
    return 0;
}

static int leave_one_behind(void *arg)
{
    (void)arg;
    weir_go(weir_app_scope(), linger, NULL);
    return weir_sleep_ms(2);
}

static void what_is_left_is_cancelled_after_the_grace(void **state)
{
    (void)state;
    assert_int_equal(weir_run(leave_one_behind, NULL, .loops = 1, .grace_ms = 20), 0);
    assert_int_equal(ended_with, -ECANCELED);
}

static int park_here(void *arg)
{
    return weir_sleep_ms(*(uint32_t *)arg);
}

static int many_tasks(void *arg)
{
    uint32_t ms = 20;

    (void)arg;
    WEIR_SCOPE(s) {
        for (int i = 0; i < 20000; i++)
            weir_go(s, park_here, &ms);
        CHECK_INT(weir_join(s), 0);
    }
    return 0;
}

static void many_tasks_park_at_once_and_the_budget_is_given_back(void **state)
{
    (void)state;
    assert_int_equal(weir_run(many_tasks, NULL, .loops = 1), 0);
    for (int kind = 0; kind < BUDGET_KINDS; kind++)
        assert_int_equal(budget_used_by(kind), 0);
}

static int past_the_budget(void *arg)
{
    uint32_t ms = 60000; /* none ends before the budget does */

    (void)arg;
    WEIR_SCOPE(s) {
        for (int i = 0; i < 2000; i++)
            weir_go(s, park_here, &ms);
        CHECK_INT(weir_join(s), WEIR_EBUDGET);
    }
    weir_recover();
    return weir_sleep_ms(1);
}

static void tasks_past_the_byte_budget_end_with_its_code(void **state)
{
    (void)state;
    assert_int_equal(weir_run(past_the_budget, NULL, .loops = 1, .byte_budget = 4 << 20), 0);
}

/* ---- mistakes stop a debug build --------------------------------------------- */

/* Run body in a child process; what it wrote to standard error. */
static int in_child(weir_fn *body, char *text, size_t size)
{
    int ends[2], status;
    ssize_t n, len = 0;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        dup2(ends[1], 2);
        signal(SIGABRT, SIG_DFL);
        signal(SIGSEGV, SIG_DFL);
        _exit(weir_run(body, NULL, .loops = 2) < 0 ? 1 : 0);
    }
    close(ends[1]);
    while (len + 1 < (ssize_t)size && (n = read(ends[0], text + len, size - 1 - len)) > 0)
        len += n;
    text[len] = 0;
    close(ends[0]);
    waitpid(pid, &status, 0);
    return status;
}

static int brace_without_join(void *arg)
{
    (void)arg;
    WEIR_SCOPE(s)
        weir_go(s, return_seven, NULL);
    return 0;
}

static int end_with_lock(void *arg)
{
    static weir_mutex mutex;

    (void)arg;
    return weir_lock(&mutex);
}

static int end_in_scope(void *arg)
{
    weir_scope_opts opts = { .size = sizeof(opts), .site = WEIR_HERE };
    weir_scope s = weir_scope_open_opt(&opts);

    (void)arg;
    (void)s;
    return 0;
}

static int checkpoint_on_the_loops_stack(void *arg)
{
    uint32_t ms = 1;

    (void)arg;
    return weir_on_loop_stack(park_here, &ms);
}

#ifdef WEIR_DEBUG
typedef WEIR_CHAN(int) int_chan;

static int use_foreign_channel(void *arg)
{
    return weir_try_send(*(int_chan *)arg, &(int){ 1 }) < 0;
}

static int channel_of_another_loop(void *arg)
{
    int_chan c;
    int rc = weir_chan_open(&c, .capacity = 1, .name = "mine");

    (void)arg;
    if (rc == 0)
        rc = weir_submit(1, use_foreign_channel, &c);
    return rc < 0 ? rc : weir_sleep_ms(1000);
}

static int read_there(void *arg)
{
    weir_str data;

    return (int)weir_stream_read(arg, &data);
}

static int stream_of_another_loop(void *arg)
{
    weir_stream *one, *other;
    int rc = weir_stream_pair(&one, &other);

    (void)arg;
    WEIR_SCOPE(s) {
        weir_go_on(s, 1, read_there, one);
        rc = rc < 0 ? rc : weir_join(s);
    }
    return rc;
}
#endif

static void expect_stop(weir_fn *body, const char *words)
{
    char text[1000];
    int status = in_child(body, text, sizeof(text));

    if (!strstr(text, words))
        fail_msg("said: %s", text);
#ifdef WEIR_DEBUG
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
#else
    assert_true(WIFEXITED(status));
#endif
}

static void mistakes_are_named(void **state)
{
    (void)state;
    expect_stop(brace_without_join, "children that were not joined: call weir_join()");
    expect_stop(end_with_lock, "ended with 1 lock held");
    expect_stop(end_in_scope, "ended inside the scope opened at ");
#ifdef WEIR_DEBUG
    expect_stop(channel_of_another_loop, "channel \"mine\" belongs to loop 0");
    expect_stop(stream_of_another_loop, "a stream is used on loop 1, but belongs to loop 0");
#endif
    expect_stop(checkpoint_on_the_loops_stack, "a checkpoint was called outside a task");
}

static volatile int depth_wanted = INT32_MAX;

/* Each level's place is used after the call, so that none is optimised away. */
static int overflow_from(int depth)
{
    volatile char place[1024];

    place[0] = (char)depth;
    if (depth == depth_wanted)
        return 0;
    return overflow_from(depth + 1) + place[0];
}

static int overflow(void *arg)
{
    (void)arg;
    return overflow_from(0);
}

static void an_overflow_meets_the_guard(void **state)
{
    char text[1000];
    int status;

    (void)state;
    status = in_child(overflow, text, sizeof(text));
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    assert_true(status != 0);
#else
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
    if (WIFSIGNALED(status))
        assert_int_equal(WTERMSIG(status), SIGSEGV);
#ifdef WEIR_DEBUG
    assert_non_null(strstr(text, "has overflowed its stack of 262144 bytes"));
#endif
#endif
}

static void a_loop_that_cant_start_says_why(void **state)
{
    struct rlimit few = { 6, 6 }, before;
    char text[200];

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_int_equal(weir_run(return_seven, NULL, .loops = 8), -EMFILE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    weir_error_print(text, sizeof(text));
    assert_non_null(strstr(text, "raise the limit of open files"));
    assert_non_null(strstr(text, " of 8"));
    weir_recover();
    assert_int_equal(weir_run(return_seven, NULL, .loops = 8), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_tasks_result_is_the_runs),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(each_loop_runs_and_takes_submissions),
        cmocka_unit_test(submissions_are_bounded),
        cmocka_unit_test(what_is_left_is_cancelled_after_the_grace),
        cmocka_unit_test(many_tasks_park_at_once_and_the_budget_is_given_back),
        cmocka_unit_test(tasks_past_the_byte_budget_end_with_its_code),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(an_overflow_meets_the_guard),
        cmocka_unit_test(a_loop_that_cant_start_says_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
