/* Tests in processes of their own, and what they expect; see weir/test.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weir/test.h>

#include "type/json_same.h"

__attribute__((noreturn)) static void end_test(void)
{
    char text[1024];
    weir_sim *sim = weir_sim_self();

    weir_error_print(text, sizeof(text));
    if (*text)
        fprintf(stderr, "  %s\n", text);
    if (sim)
        fprintf(stderr, "  to repeat: WEIR_SIM='%s' %s\n", weir_sim_options(sim),
                program_invocation_name);
    abort();
}

void weir_expect(bool holds, const char *what, const char *site)
{
    if (holds)
        return;
    fprintf(stderr, "%s: it does not hold: %s\n", site, what);
    end_test();
}

void weir_expect_int(int64_t got, int64_t wanted, const char *what, const char *site)
{
    if (got == wanted)
        return;
    fprintf(stderr, "%s: %s is %" PRId64 "%s%s, and not %" PRId64 "\n", site, what, got,
            got < 0 ? " " : "", got < 0 ? weir_error_name((int)got) : "", wanted);
    end_test();
}

void weir_expect_text(weir_str got, const char *wanted, const char *what, const char *site)
{
    if (weir_str_eq(got, weir_str_c(wanted)))
        return;
    fprintf(stderr, "%s: %s is\n  %.*s\nand not\n  %s\n", site, what, WEIR_ARG(got), wanted);
    end_test();
}

void weir_expect_json(weir_str got, const char *wanted, const char *site)
{
    if (json_same(got, wanted) == 1)
        return;
    fprintf(stderr, "%s: the body is\n  %.*s\nand not\n  %s\n", site, WEIR_ARG(got), wanted);
    end_test();
}

/* ---- the tests themselves ----------------------------------------------- */

static bool is_chosen(const weir_test *test, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strstr(test->name, argv[i]) || strstr(test->group, argv[i]))
            return true;
    return argc < 2;
}

static bool passes(const weir_test *test)
{
    int status = 0;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        test->run();
        fflush(NULL);
        _exit(0);
    }
    if (pid < 0)
        return false;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int weir_test_main(const weir_test *begin, const weir_test *end, int argc, char **argv)
{
    int count = 0, passed = 0;

    for (const weir_test *test = begin; test < end; test++) {
        bool good;

        if (!is_chosen(test, argc, argv))
            continue;
        good = passes(test);
        passed += good;
        printf("%s %d - %s: ", good ? "ok" : "not ok", ++count, test->group);
        for (const char *c = test->name; *c; c++)
            putchar(*c == '_' ? ' ' : *c);
        putchar('\n');
    }
    printf("1..%d\n", count);
    if (count == 0)
        return 2;
    return passed == count ? 0 : 1;
}
