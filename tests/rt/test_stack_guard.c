/* An overflow of a task's stack ends the process, whatever form the guards have:
 * each is chosen by WEIR_STACK_GUARD, as a kernel that lacks the better ones would
 * have it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weir/weir.h>

#include "rt/loop.h"
#include "support/in_task.h"

#if defined(CONTEXT_ASAN) || defined(CONTEXT_TSAN)
#define SANITIZED true /* which see it by themselves, or have other stacks */
#else
#define SANITIZED false
#endif

#define DEEP_BYTES (STACK_BYTES_DEFAULT + 32768)

static enum stack_guard wanted;

/* Fills about that much of the stack; the place is used after the call, so that
 * none is optimised away. */
static int fill(size_t bytes, int (*at_the_end)(void))
{
    volatile char place[1024];
    int rc;

    for (size_t i = 0; i < sizeof(place); i++)
        place[i] = 0;
    if (bytes < sizeof(place))
        return at_the_end ? at_the_end() : 0;
    rc = fill(bytes - sizeof(place), at_the_end);
    return rc + place[0];
}

static int park(void)
{
    return weir_sleep_ms(1);
}

static int fill_and_end(void *arg)
{
    (void)arg;
    return fill(DEEP_BYTES, NULL);
}

static int fill_and_park(void *arg)
{
    int rc = fill(DEEP_BYTES, NULL);

    (void)arg;
    return rc < 0 ? rc : weir_sleep_ms(1);
}

static int park_deep(void *arg)
{
    (void)arg;
    return fill(DEEP_BYTES, park);
}

static int fill_what_is_there(void *arg)
{
    (void)arg;
    return fill(STACK_BYTES_DEFAULT - 32768, park);
}

/* On another stack than the lowest, which has a guard page in every form. */
static int as_a_child(void *arg)
{
    weir_fn *fn = *(weir_fn **)arg;

    if (loop_current->stacks.guard != wanted) {
        fprintf(stderr, "the guard is %s\n", stack_guard_name(loop_current->stacks.guard));
        _exit(77);
    }
    WEIR_SCOPE(s) {
        weir_go(s, fn, NULL);
        CHECK_INT(weir_join(s), 0);
    }
    return 0;
}

/* How a process ends in which fn runs as a task, under guards of that form. */
static int ended_under(const char *form, weir_fn *fn, char *text, size_t size)
{
    int ends[2], status;
    ssize_t n, len = 0;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
        dup2(ends[1], 2);
        signal(SIGABRT, SIG_DFL);
        setenv("WEIR_STACK_GUARD", form, 1);
        _exit(weir_run(as_a_child, &fn, .loops = 1) < 0 ? 1 : 0);
    }
    close(ends[1]);
    while (len + 1 < (ssize_t)size && (n = read(ends[0], text + len, size - 1 - len)) > 0)
        len += n;
    text[len] = 0;
    close(ends[0]);
    waitpid(pid, &status, 0);
    return status;
}

static void expect_segv(const char *form, weir_fn *fn)
{
    char text[1000];
    int status = ended_under(form, fn, text, sizeof(text));

    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip(); /* the kernel lacks this form */
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
}

static void expect_named(weir_fn *fn, const char *words)
{
    char text[1000];
    int status = ended_under("slab", fn, text, sizeof(text));

    if (!strstr(text, words))
        fail_msg("status %#x, said: %s", (unsigned)status, text);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void the_whole_stack_is_there(void **state)
{
    static const char *const forms[] = { "install", "protect", "slab" };
    char text[1000];

    (void)state;
    for (wanted = STACK_GUARD_INSTALL; wanted <= STACK_GUARD_SLAB; wanted++) {
        int status = ended_under(forms[wanted], fill_what_is_there, text, sizeof(text));

        if (status != 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == 77))
            fail_msg("%s: status %#x, said: %s", forms[wanted], (unsigned)status, text);
    }
}

static void a_marker_in_the_page_table_stops_it(void **state)
{
    (void)state;
    if (SANITIZED)
        skip();
    wanted = STACK_GUARD_INSTALL;
    expect_segv("install", fill_and_end);
    expect_segv("install", park_deep);
}

static void a_page_without_access_stops_it(void **state)
{
    (void)state;
    if (SANITIZED)
        skip();
    wanted = STACK_GUARD_PROTECT;
    expect_segv("protect", fill_and_end);
    expect_segv("protect", park_deep);
}

static void a_canary_tells_of_it_before_another_task_runs(void **state)
{
    (void)state;
    if (SANITIZED)
        skip();
    wanted = STACK_GUARD_SLAB;
    expect_named(fill_and_park, "task \"fn\" has overflowed its stack");
    expect_named(fill_and_end, "task \"fn\" has overflowed its stack");
    expect_named(park_deep, "task \"fn\" has overflowed its stack");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_stack_is_there),
        cmocka_unit_test(a_marker_in_the_page_table_stops_it),
        cmocka_unit_test(a_page_without_access_stops_it),
        cmocka_unit_test(a_canary_tells_of_it_before_another_task_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
