/* The stack of a task that waits, and of one that a signal interrupts. */
#include "support/in_task.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>

#include "ops/stack.h"
#include "rt/loop.h"

#define TEXT_BYTES 4096

static struct stack_copy copy;

__attribute__((noinline)) static int waits_deep(int depth)
{
    int rc = depth > 0 ? waits_deep(depth - 1) : weir_sleep_ms(60000);

    __asm__ volatile("" ::: "memory"); /* no tail call */
    return rc;
}

static int waiter(void *arg)
{
    int rc = waits_deep(2);

    (void)arg;
    __asm__ volatile("" ::: "memory"); /* no tail call */
    return rc;
}

static bool copy_task(const char *name)
{
    struct loop *loop = loop_self();
    const struct task *task;
    uint32_t cursor = 0;

    while ((task = inspect_next(loop, &cursor)) != NULL) {
        struct inspect_task seen;

        inspect_task(loop, task, &seen);
        if (strcmp(seen.name, name) == 0)
            return stack_copy_task(&copy, &seen);
    }
    return false;
}

#ifdef WEIR_HAS_LIBDW
static const bool has_names = true;
#else
static const bool has_names = false;
#endif

static int count(const char *text, const char *part)
{
    int n = 0;

    for (; (text = strstr(text, part)) != NULL; text++)
        n++;
    return n;
}

TASK_TEST(the_stack_of_a_parked_task_is_named)
{
    char text[TEXT_BYTES];

    (void)arg;
    WEIR_SCOPE(s) {
        weir_go(s, waiter, NULL);
        CHECK_INT(weir_yield(), 0);
        CHECK(copy_task("waiter"));
        weir_cancel(s);
        CHECK_INT(weir_join(s), -ECANCELED);
    }
    CHECK(stack_print(&copy, text, sizeof(text)) == strlen(text));
    CHECK_INT(count(text, "waits_deep  tests/ops/test_stack.c:"), has_names ? 3 : 0);
    CHECK_INT(count(text, "waiter  tests/ops/test_stack.c:"), has_names ? 1 : 0);
    CHECK_INT(count(text, "fiber"), 0);
    CHECK_INT(count(text, "rt_park"), 0);
    for (size_t room = 0; room < 400; room += 7) { /* whole lines, and how many more there are */
        size_t len = stack_print(&copy, text, room);

        CHECK(room == 0 ? len == 0 : len < room && len == strlen(text));
        if (room >= 80)
            CHECK(!has_names || strstr(text, " calls more") || strstr(text, "waiter  "));
    }
    stack_done();
    return 0;
}

static atomic_bool interrupted;

static void on_signal(int number, siginfo_t *info, void *context)
{
    const struct fiber *fiber = fiber_current();

    (void)number;
    (void)info;
    stack_copy_signal(&copy, context, (const char *)fiber);
    atomic_store(&interrupted, true);
}

__attribute__((noinline)) static void spins_until_interrupted(void)
{
    raise(SIGUSR1);
    while (!atomic_load(&interrupted))
        ;
}

static int very_deep(void *arg)
{
    int rc = waits_deep(*(int *)arg);

    __asm__ volatile("" ::: "memory"); /* no tail call */
    return rc;
}

static int broad(void *arg)
{
    char much[STACK_COPY_BYTES + 4096];
    int rc;

    (void)arg;
    memset(much, 1, sizeof(much));
    __asm__ volatile("" ::"r"(much) : "memory");
    rc = waits_deep(2);
    __asm__ volatile("" ::"r"(much) : "memory");
    return rc;
}

TASK_TEST(what_is_missing_of_a_stack_is_told)
{
    static char text[4 * TEXT_BYTES];
    int depth = 100;

    (void)arg;
    if (!has_names) /* then no frame may be found at all */
        return 0;
    WEIR_SCOPE(s) {
        weir_go(s, very_deep, &depth);
        weir_go(s, broad, NULL);
        CHECK_INT(weir_yield(), 0);
        CHECK(copy_task("very_deep"));
        stack_print(&copy, text, sizeof(text));
        CHECK(strstr(text, "\n    and calls beyond the 64 innermost"));
        stack_print(&copy, text, 1000);
        CHECK(strstr(text, " calls more, and calls beyond the 64 innermost"));
        CHECK(copy_task("broad"));
        stack_print(&copy, text, sizeof(text));
        CHECK(strstr(text, "waits_deep  "));
        CHECK(strstr(text, "\n    and calls beyond 32768 bytes of stack"));
        weir_cancel(s);
        CHECK_INT(weir_join(s), -ECANCELED);
    }
    stack_done();
    return 0;
}

TASK_TEST(the_stack_of_an_interrupted_task_is_named)
{
    struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
    char text[TEXT_BYTES];

    (void)arg;
    sigemptyset(&action.sa_mask);
    CHECK_INT(sigaction(SIGUSR1, &action, NULL), 0);
    spins_until_interrupted();
    stack_print(&copy, text, sizeof(text));
    CHECK_INT(count(text, "spins_until_interrupted  tests/ops/test_stack.c:"), has_names ? 1 : 0);
    CHECK_INT(count(text, "fiber_"), 0);
    stack_done();
    return 0;
}

static void an_address_in_no_module_has_no_name(void **state)
{
    struct stack_frame frame[2];

    (void)state;
    assert_int_equal(stack_name(8, true, frame, 2), 1);
    assert_string_equal(frame[0].function, "");
    assert_int_equal(frame[0].pc, 8);
    stack_done();
}

static inline __attribute__((always_inline)) int waits_inlined(void)
{
    int rc = weir_sleep_ms(60000);

    __asm__ volatile("" ::: "memory"); /* no tail call */
    return rc;
}

__attribute__((noinline)) static int waits_around(void)
{
    int rc = waits_inlined();

    __asm__ volatile("" ::: "memory"); /* no tail call */
    return rc;
}

static int inlined_waiter(void *arg)
{
    int rc = waits_around();

    (void)arg;
    __asm__ volatile("" ::: "memory"); /* no tail call */
    return rc;
}

static int open_across_exec(void)
{
    int count = 0;

    for (int fd = 0; fd < 1024; fd++) {
        int flags = fcntl(fd, F_GETFD);

        count += flags >= 0 && !(flags & FD_CLOEXEC);
    }
    return count;
}

TASK_TEST(a_function_that_has_another_one_in_it_is_named)
{
    char text[TEXT_BYTES];
    int open_before = open_across_exec();

    (void)arg;
    stack_done(); /* the files are opened anew */
    WEIR_SCOPE(s) {
        weir_go(s, inlined_waiter, NULL, .name = "waiter");
        CHECK_INT(weir_yield(), 0);
        CHECK(copy_task("waiter"));
        weir_cancel(s);
        CHECK_INT(weir_join(s), -ECANCELED);
    }
    stack_print(&copy, text, sizeof(text));
    CHECK_INT(count(text, "waits_around  tests"), has_names ? 1 : 0);
    CHECK_INT(count(text, "inlined_waiter  tests"), has_names ? 1 : 0);
    CHECK_INT(count(text, "waits_inlined  tests"), has_names ? 1 : 0);
    CHECK_INT(open_across_exec(), open_before);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_function_that_has_another_one_in_it_is_named),
        cmocka_unit_test(the_stack_of_a_parked_task_is_named),
        cmocka_unit_test(what_is_missing_of_a_stack_is_told),
        cmocka_unit_test(the_stack_of_an_interrupted_task_is_named),
        cmocka_unit_test(an_address_in_no_module_has_no_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
