/* Tests that run inside a task.
 *
 * A failed assertion of cmocka leaves by longjmp, which can't leave a task's
 * stack; so checks inside tasks print where they failed and abort: each test
 * program is a process of its own. */
#ifndef SUPPORT_IN_TASK_H
#define SUPPORT_IN_TASK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/error.h>
#include <weir/run.h>

#define CHECK(cond)                                                            \
    do {                                                                       \
        if (!(cond)) {                                                         \
            fprintf(stderr, "%s: check failed: %s\n", WEIR_HERE, #cond);       \
            abort();                                                           \
        }                                                                      \
    } while (0)

#define CHECK_INT(got, wanted)                                                 \
    do {                                                                       \
        long long got_ = (long long)(got), wanted_ = (long long)(wanted);      \
                                                                               \
        if (got_ != wanted_) {                                                 \
            fprintf(stderr, "%s: %s is %lld (%s), not %lld (%s)\n", WEIR_HERE, #got, got_, \
                    weir_error_name((int)got_), wanted_, weir_error_name((int)wanted_));   \
            abort();                                                           \
        }                                                                      \
    } while (0)

#define CHECK_TEXT(got, wanted)                                                \
    do {                                                                       \
        const char *got_ = (got), *wanted_ = (wanted);                         \
                                                                               \
        if (strcmp(got_, wanted_) != 0) {                                      \
            fprintf(stderr, "%s: %s is\n  %s\nnot\n  %s\n", WEIR_HERE, #got, got_, wanted_); \
            abort();                                                           \
        }                                                                      \
    } while (0)

/* Run fn as the first task of a runtime of one loop; its result must be 0. */
static inline void in_task(weir_fn *fn)
{
    assert_int_equal(weir_run(fn, NULL, .loops = 1, .grace_ms = 200), 0);
}

/* A cmocka test whose body is a task. */
#define TASK_TEST(name)                                                        \
    static int name##_task(void *arg);                                         \
    static void name(void **state)                                             \
    {                                                                          \
        (void)state;                                                           \
        in_task(name##_task);                                                  \
    }                                                                          \
    static int name##_task(void *arg)

#endif
