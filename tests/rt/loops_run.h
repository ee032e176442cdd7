/* Tests of what several loops share: on threads, and in some orders on the
 * simulator. */
#ifndef RT_LOOPS_RUN_H
#define RT_LOOPS_RUN_H

#include "sync_run.h"

#include "base/budget.h"

#define LOOPS 3

/* The whole budget is given back. */
static inline void run_on_loops(weir_fn *fn, void *arg)
{
    weir_run_opts opts = { .size = sizeof(opts), .loops = LOOPS, .grace_ms = 200 };
    uint64_t budget = budget_used();

    assert_int_equal(weir_run_opt(fn, arg, &opts), 0);
    for (uint64_t seed = 1; seed <= 5; seed++) {
        sim_opts_init(&simulation);
        simulation.seed = seed;
        simulation.loops = LOOPS;
        assert_int_equal(run_simulated(fn, arg, NULL), 0);
    }
    assert_int_equal(budget_used(), budget);
}

#define LOOPS_TEST(name)                                                       \
    static int name##_task(void *arg);                                         \
    static void name(void **state)                                             \
    {                                                                          \
        (void)state;                                                           \
        run_on_loops(name##_task, NULL);                                       \
    }                                                                          \
    static int name##_task(void *arg)

#endif
