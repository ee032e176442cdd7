/* Child processes: their streams, their ends, and what is left of them. */
#include "support/in_task.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weir/fd.h>
#include <weir/file.h>
#include <weir/process.h>
#include <weir/time.h>

#include "rt/rt.h"
#include "rt/sim.h"
#include "support/fault.h"
#include "support/sweep.h"

#define SHELL(script) ((const char *[]){ "sh", "-c", script, NULL })

static void error_is(const char *wanted)
{
    char text[300];

    weir_error_print(text, sizeof(text));
    CHECK_TEXT(text, wanted);
    weir_recover();
}

/* No child is left, not even uncollected. */
static void no_children(void)
{
    CHECK_INT(waitpid(-1, NULL, WNOHANG), -1);
    CHECK_INT(errno, ECHILD);
}

static int open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* ---- from start to end ------------------------------------------------------------ */

TASK_TEST(a_program_is_run)
{
    weir_process_output out;

    (void)arg;
    CHECK_INT(weir_process_run(SHELL("cat; echo problem >&2; exit 3"), &out,
                               .input = WEIR_S("some text")),
              0);
    CHECK_INT(out.exit.code, 3);
    CHECK_INT(out.exit.signal, 0);
    CHECK_TEXT(out.out.ptr, "some text");
    CHECK_TEXT(out.err.ptr, "problem\n");
    CHECK(!out.out_cut && !out.err_cut);
    CHECK_INT(weir_process_run(SHELL("kill -9 $$"), &out), 0);
    CHECK_INT(out.exit.code, -1);
    CHECK_INT(out.exit.signal, SIGKILL);
    CHECK_INT(out.out.len, 0);
    no_children();
    return 0;
}

TASK_TEST(environment_and_directory)
{
    const char *env[] = { "A=1", "PATH=/usr/bin:/bin", NULL };
    weir_process_output out;

    (void)arg;
    CHECK_INT(weir_process_run(SHELL("pwd; echo $A $HOME"), &out, .env = env, .cwd = "/"), 0);
    CHECK_TEXT(out.out.ptr, "/\n1\n");
    return 0;
}

TASK_TEST(what_can_not_be_started)
{
    weir_process *process = NULL;
    weir_process_output out;
    int files = open_files();

    (void)arg;
    CHECK_INT(weir_process_start(((const char *[]){ "no-such-program", NULL }), &process,
                                 .in = WEIR_STDIO_PIPE, .out = WEIR_STDIO_PIPE),
              -ENOENT);
    error_is("starting no-such-program: No such file or directory");
    CHECK_INT(weir_process_run(SHELL("true"), &out, .cwd = "/no/such"), -ENOENT);
    error_is("starting sh in /no/such: No such file or directory");
    CHECK_INT(weir_process_run(((const char *[]){ "/dev/null", NULL }), &out), -EACCES);
    CHECK_INT(weir_process_start(((const char *[]){ NULL }), &process), -EINVAL);
    weir_recover();
    CHECK(process == NULL);
    CHECK_INT(open_files(), files);
    no_children();
    return 0;
}

/* A pipe holds 64 KiB: who waits for the one while the child fills the other stays
 * for ever. */
TASK_TEST(floods_are_taken_and_cut)
{
    weir_process_output out;

    (void)arg;
    CHECK_INT(weir_process_run(SHELL("head -c 3000000 /dev/zero >&2; echo done; "
                                     "head -c 300000 /dev/zero"),
                               &out, .max_bytes = 1000),
              0);
    CHECK_INT(out.exit.code, 0);
    CHECK_INT(out.err.len, 1000);
    CHECK_INT(out.out.len, 1000);
    CHECK(out.err_cut && out.out_cut);
    CHECK(memcmp(out.out.ptr, "done\n", 5) == 0);
    return 0;
}

TASK_TEST(input_that_nobody_reads)
{
    static char much[1000000];
    weir_process_output out;

    (void)arg;
    CHECK_INT(weir_process_run(SHELL("exit 0"), &out, .input = weir_str_from(much, sizeof(much))),
              0);
    CHECK_INT(out.exit.code, 0);
    CHECK_INT(weir_process_run(SHELL("wc -c"), &out, .input = weir_str_from(much, sizeof(much))),
              0);
    CHECK_INT(strtol(out.out.ptr, NULL, 10), sizeof(much));
    return 0;
}

/* The child's descriptors are pipes, which can be opened again by name. */
TASK_TEST(descriptors_can_be_opened_by_name)
{
    weir_process_output out;

    (void)arg;
    CHECK_INT(weir_process_run(SHELL("cat /dev/stdin >/dev/stdout; echo x >/dev/stderr"), &out,
                               .input = WEIR_S("abc")),
              0);
    CHECK_TEXT(out.out.ptr, "abc");
    CHECK_TEXT(out.err.ptr, "x\n");
    return 0;
}

/* ---- what a child gets -------------------------------------------------------------- */

TASK_TEST(no_descriptor_leaks)
{
    weir_process_output out;
    int leak = open("/dev/null", O_RDONLY); /* as a library might: not close-on-exec */

    (void)arg;
    CHECK(leak > 2);
    /* ls itself opens the directory. */
    CHECK_INT(weir_process_run(((const char *[]){ "ls", "/proc/self/fd", NULL }), &out), 0);
    CHECK_TEXT(out.out.ptr, "0\n1\n2\n3\n");
    close(leak);
    return 0;
}

TASK_TEST(signals_are_as_by_default)
{
    weir_process_output out;

    (void)arg;
    signal(SIGPIPE, SIG_IGN);
    CHECK_INT(weir_process_run(SHELL("grep '^SigBlk' /proc/self/status"), &out), 0);
    CHECK_TEXT(out.out.ptr, "SigBlk:\t0000000000000000\n");
    CHECK_INT(weir_process_run(SHELL("kill -PIPE $$"), &out), 0);
    CHECK_INT(out.exit.signal, SIGPIPE);
    signal(SIGPIPE, SIG_DFL);
    return 0;
}

/* ---- streams -------------------------------------------------------------------------- */

TASK_TEST(a_conversation)
{
    weir_process *process;
    weir_process_exit how;
    weir_str data;

    (void)arg;
    CHECK_INT(weir_process_start(((const char *[]){ "cat", NULL }), &process, .in = WEIR_STDIO_PIPE,
                                 .out = WEIR_STDIO_PIPE),
              0);
    CHECK(weir_process_stream(process, 2) == NULL);
    CHECK(weir_process_stream(process, 3) == NULL);
    CHECK(weir_process_id(process) > 0);
    for (int i = 0; i < 100; i++) {
        CHECK_INT(weir_stream_write(weir_process_stream(process, 0), WEIR_S("ping")), 4);
        CHECK_INT(weir_stream_read(weir_process_stream(process, 1), &data), 4);
        CHECK(weir_str_eq(data, WEIR_S("ping")));
    }
    WEIR_SCOPE(s, .timeout_ms = 5)
        CHECK_INT(weir_process_wait(process, &how), -ETIMEDOUT);
    weir_recover();
    WEIR_SCOPE(s, .timeout_ms = 5)
        CHECK_INT(weir_stream_read(weir_process_stream(process, 1), &data), -ETIMEDOUT);
    weir_recover();
    CHECK_INT(weir_stream_shutdown(weir_process_stream(process, 0)), 0);
    CHECK_INT(weir_stream_write(weir_process_stream(process, 0), WEIR_S("x")), -EPIPE);
    CHECK_INT(weir_stream_read(weir_process_stream(process, 1), &data), 0);
    CHECK_INT(weir_process_wait(process, &how), 0);
    CHECK_INT(how.code, 0);
    CHECK_INT(weir_process_wait(process, &how), 0); /* again */
    CHECK_INT(weir_process_signal(process, SIGTERM), 0);
    weir_process_close(process);
    weir_process_close(NULL);
    no_children();
    return 0;
}

/* The reader has gone: an error, and no signal that ends us. */
TASK_TEST(a_closed_pipe_is_told)
{
    weir_process *process;
    weir_process_exit how;

    (void)arg;
    CHECK_INT(weir_process_start(SHELL("exec <&-; echo; sleep 100"), &process,
                                 .in = WEIR_STDIO_PIPE, .out = WEIR_STDIO_PIPE),
              0);
    CHECK_INT(weir_stream_read(weir_process_stream(process, 1), &(weir_str){ 0 }), 1);
    CHECK_INT(weir_stream_write(weir_process_stream(process, 0), WEIR_S("x")), -EPIPE);
    CHECK_INT(weir_stream_write(weir_process_stream(process, 0), WEIR_S("x")), -EPIPE);
    CHECK_INT(weir_stream_write(weir_process_stream(process, 1), WEIR_S("x")), -EBADF);
    CHECK_INT(weir_process_signal(process, SIGTERM), 0);
    CHECK_INT(weir_process_wait(process, &how), 0);
    CHECK_INT(how.signal, SIGTERM);
    CHECK_INT(weir_process_signal(process, 12345), -EINVAL);
    weir_recover();
    weir_process_close(process);
    return 0;
}

/* ---- ending what does not want to end ----------------------------------------------------- */

static int64_t now_ms(void)
{
    return weir_now().ns / 1000000;
}

TASK_TEST(a_child_that_ignores_sigterm_is_killed)
{
    weir_process *process;
    weir_str data;
    int64_t began_ms;

    (void)arg;
    CHECK_INT(weir_process_start(SHELL("trap '' TERM; echo ready; while :; do sleep 1; done"),
                                 &process, .out = WEIR_STDIO_PIPE, .grace_ms = 50),
              0);
    CHECK_INT(weir_stream_read(weir_process_stream(process, 1), &data), 6);
    began_ms = now_ms();
    weir_process_close(process);
    CHECK(now_ms() - began_ms >= 49);
    CHECK(now_ms() - began_ms < 10000);
    no_children();
    return 0;
}

TASK_TEST(a_stopped_child_is_ended)
{
    weir_process *process;

    (void)arg;
    CHECK_INT(weir_process_start(((const char *[]){ "sleep", "1000", NULL }), &process,
                                 .grace_ms = 60000),
              0);
    CHECK_INT(weir_process_signal(process, SIGSTOP), 0);
    weir_process_close(process); /* within its grace, or this test's time is over */
    no_children();
    return 0;
}

static bool is_alive(long pid)
{
    return kill((pid_t)pid, 0) == 0;
}

/* Wait until a process that is not our child is gone, which its new parent sees to. */
static void await_death(long pid)
{
    char state = 0;

    for (;;) {
        weir_str text;

        if (!is_alive(pid) ||
            weir_file_load(weir_format("/proc/%ld/stat", pid).ptr, 4096, &text) < 0)
            break;
        state = strrchr(text.ptr, ')')[2];
        if (state == 'Z') /* ended; nobody collects it in a bare container */
            break;
        CHECK_INT(weir_sleep_ms(2), 0);
    }
    weir_recover();
}

TASK_TEST(grandchildren_end_too)
{
    weir_process_output out;
    weir_process *process;
    weir_str data;

    (void)arg;
    CHECK_INT(
        weir_process_start(SHELL("sleep 1000 & echo $!; wait"), &process, .out = WEIR_STDIO_PIPE),
        0);
    CHECK(weir_stream_read(weir_process_stream(process, 1), &data) > 0);
    {
        long pid = strtol(data.ptr, NULL, 10);

        CHECK(is_alive(pid));
        weir_process_close(process);
        await_death(pid);
    }
    /* One that is left behind, and holds the pipe. */
    CHECK_INT(weir_process_run(SHELL("sleep 1000 & echo $!"), &out), 0);
    CHECK_INT(out.exit.code, 0);
    await_death(strtol(out.out.ptr, NULL, 10));
    return 0;
}

/* What leaves the group and keeps the pipe holds nobody up. */
TASK_TEST(a_child_that_leaves_the_group_is_not_waited_for)
{
    weir_process_output out;
    int64_t began_ms = now_ms();

    (void)arg;
    CHECK_INT(weir_process_run(SHELL("setsid sleep 1000 & echo $!"), &out), 0);
    CHECK(now_ms() - began_ms < 60000);
    error_is(""); /* that its pipe was given up is no failure */
    kill((pid_t)strtol(out.out.ptr, NULL, 10), SIGKILL);
    return 0;
}

/* A group's leader may move to another group: then no signal to its own finds it. */
TASK_TEST(a_child_in_another_group_is_ended_too)
{
    const char *move = "use POSIX; $| = 1; setpgrp(0, getpgrp(getppid())) or die; print 'moved'; "
                       "sleep 1000";
    weir_process *process;
    weir_process_exit exit;
    weir_str data;

    (void)arg;
    CHECK_INT(weir_process_start(((const char *[]){ "perl", "-e", move, NULL }), &process,
                                 .out = WEIR_STDIO_PIPE, .grace_ms = 60000),
              0);
    CHECK_INT(weir_stream_read(weir_process_stream(process, 1), &data), 5);
    CHECK_INT(weir_process_signal(process, SIGUSR1), 0);
    WEIR_SCOPE(s, .timeout_ms = 10000)
        CHECK_INT(weir_process_wait(process, &exit), 0);
    CHECK_INT(exit.signal, SIGUSR1);
    weir_process_close(process);
    CHECK_INT(weir_process_start(((const char *[]){ "perl", "-e", move, NULL }), &process,
                                 .out = WEIR_STDIO_PIPE, .grace_ms = 60000),
              0);
    CHECK_INT(weir_stream_read(weir_process_stream(process, 1), &data), 5);
    weir_process_close(process);
    no_children();
    return 0;
}

TASK_TEST(a_deadline_ends_the_program)
{
    weir_process_output out;
    int files, pair[2];

    (void)arg;
    CHECK_INT(pipe2(pair, O_CLOEXEC), 0);
    /* What the loop makes for its first wait of this kind is made now. */
    WEIR_SCOPE(s, .timeout_ms = 1)
        CHECK_INT(weir_wait_fd(pair[0], POLLIN), -ETIMEDOUT);
    weir_recover();
    close(pair[0]);
    close(pair[1]);
    CHECK_INT(weir_process_run(SHELL("true"), &out), 0);
    files = open_files();
    CHECK_INT(weir_process_run(((const char *[]){ "sleep", "1000", NULL }), &out, .timeout_ms = 20),
              -ETIMEDOUT);
    error_is("running sleep: the deadline has passed");
    CHECK_INT(open_files(), files);
    no_children();
    return 0;
}

/* ---- a cancel at every wait --------------------------------------------------------------- */

static int swept_run(void *arg)
{
    weir_process_output out = { 0 };
    int rc = 1;

    (void)arg;
    WEIR_SCOPE(s) {
        sweep_at(s);
        rc = weir_process_run(SHELL("cat; echo x >&2"), &out, .input = WEIR_S("abc"));
        sweep_over();
        CHECK(rc == 0 || (rc == -ECANCELED && sweep_hit()));
    }
    weir_recover();
    no_children();
    return 0;
}

static void running_is_swept(void **state)
{
    int files = open_files();

    (void)state;
    assert_true(sweep_waits(swept_run, NULL) >= 4);
    assert_int_equal(open_files(), files);
}

/* ---- each allocation fails ---------------------------------------------------------------- */

static int run_without_memory(void *arg)
{
    weir_process_output out = { 0 };
    int rc = weir_process_run(SHELL("cat; echo x >&2"), &out, .input = WEIR_S("abc"));

    (void)arg;
    if (rc == 0) { /* then all of it */
        CHECK_INT(out.exit.code, 0);
        CHECK_TEXT(out.out.ptr, "abc");
        CHECK_TEXT(out.err.ptr, "x\n");
    }
    no_children();
    return rc;
}

static int run_whole(void *arg)
{
    return weir_run(run_without_memory, arg, .loops = 1, .grace_ms = 200);
}

/* More than pipes hold: whoever fails to move it leaves the program waiting. */
static int flood_without_memory(void *arg)
{
    static char input[200000];
    weir_process_output out = { 0 };
    int rc;

    (void)arg;
    memset(input, 'x', sizeof(input));
    rc = weir_process_run(SHELL("head -c 200000 /dev/zero >&2; cat"), &out, .max_bytes = 1 << 20,
                          .input = weir_str_from(input, sizeof(input)));
    if (rc == 0) {
        CHECK_INT(out.out.len, sizeof(input));
        CHECK_INT(out.err.len, 200000);
    }
    CHECK(rc == 0 || rc == -ENOMEM || rc == WEIR_EBUDGET);
    no_children();
    return rc;
}

static int flood_whole(void *arg)
{
    return weir_run(flood_without_memory, arg, .loops = 1, .grace_ms = 200);
}

static void memory_that_fails(void **state)
{
    int files = open_files();

    (void)state;
    assert_true(fault_sweep(run_whole, NULL) > 5);
    assert_int_equal(open_files(), files);
    assert_true(fault_sweep(flood_whole, NULL) > 10);
}

static void in_a_simulation(void **state)
{
    struct sim_opts opts;
    struct sim *sim;

    (void)state;
    sim_opts_init(&opts);
    sim = sim_new(&opts);
    assert_int_equal(sim_run(sim, a_program_is_run_task, NULL, NULL), 0);
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_is_run),
        cmocka_unit_test(environment_and_directory),
        cmocka_unit_test(what_can_not_be_started),
        cmocka_unit_test(floods_are_taken_and_cut),
        cmocka_unit_test(input_that_nobody_reads),
        cmocka_unit_test(descriptors_can_be_opened_by_name),
        cmocka_unit_test(no_descriptor_leaks),
        cmocka_unit_test(signals_are_as_by_default),
        cmocka_unit_test(a_conversation),
        cmocka_unit_test(a_closed_pipe_is_told),
        cmocka_unit_test(a_child_that_ignores_sigterm_is_killed),
        cmocka_unit_test(a_stopped_child_is_ended),
        cmocka_unit_test(grandchildren_end_too),
        cmocka_unit_test(a_child_that_leaves_the_group_is_not_waited_for),
        cmocka_unit_test(a_child_in_another_group_is_ended_too),
        cmocka_unit_test(a_deadline_ends_the_program),
        cmocka_unit_test(running_is_swept),
        cmocka_unit_test(memory_that_fails),
        cmocka_unit_test(in_a_simulation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
