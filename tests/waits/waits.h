/* Sweeps of single calls: each public function that waits, cancelled before it and at
 * each wait in it.
 *
 * A scenario has one call in SWEPT(), and whoever makes it return as other tasks; it
 * checks what must hold when the call was given up, and when not. That every function
 * of the public headers that is a checkpoint stands in a SWEPT() is checked by
 * check_waits.py, that the call did wait by the sweep. */
#ifndef WAITS_WAITS_H
#define WAITS_WAITS_H

#include "support/in_task.h"

#include <errno.h>

#include "support/sweep.h"

/* Call once a scenario. What it gives may be a struct. */
#define SWEPT(...)                                                             \
    ({                                                                         \
        __typeof__(__VA_ARGS__) swept_result_ = { 0 };                         \
                                                                               \
        WEIR_SCOPE(swept_scope_) {                                             \
            sweep_at(swept_scope_);                                            \
            swept_result_ = (__VA_ARGS__);                                     \
            sweep_over();                                                      \
        }                                                                      \
        swept_result_;                                                         \
    })

/* Was the call given up? Nothing else may have failed. */
static inline bool gave_up(long rc)
{
    if (rc >= 0)
        return false;
    CHECK_INT(rc, -ECANCELED);
    CHECK(sweep_hit());
    weir_recover();
    return true;
}

/* The same of what is to be given back in the scope where it was taken: then, when the
 * call has succeeded. */
#define SWEPT_THEN(then, ...)                                                  \
    ({                                                                         \
        int swept_rc_ = -1;                                                    \
                                                                               \
        WEIR_SCOPE(swept_scope_) {                                             \
            sweep_at(swept_scope_);                                            \
            swept_rc_ = (__VA_ARGS__);                                         \
            sweep_over();                                                      \
            if (swept_rc_ >= 0)                                                \
                then;                                                          \
        }                                                                      \
        swept_rc_;                                                             \
    })

struct waiting {
    const char *name;
    weir_fn *run;
    void *arg;
    int least; /* waits of the call's own */
};

static inline void wait_is_swept(void **state)
{
    const struct waiting *w = *state;
    int own = sweep_call(w->run, w->arg);

    if (own < w->least)
        fail_msg("the call waits %d times, not %d", own, w->least);
}

#define WAITS_MAX 64

static inline int waits_run(const char *group, const struct waiting *all, size_t count)
{
    struct CMUnitTest tests[WAITS_MAX] = { 0 };

    if (count > WAITS_MAX)
        return 1;
    for (size_t i = 0; i < count; i++)
        tests[i] = (struct CMUnitTest){ .name = all[i].name,
                                        .test_func = wait_is_swept,
                                        .initial_state = (void *)&all[i] };
    return _cmocka_run_group_tests(group, tests, count, NULL, NULL);
}

#define WAITS_RUN(all) waits_run(#all, all, sizeof(all) / sizeof(*(all)))

#endif
