/* Tests that run twice: in a task of the kernel's backend, and in the simulation. */
#ifndef SUPPORT_BOTH_H
#define SUPPORT_BOTH_H

#include "rt/sim.h"
#include "support/in_task.h"

static inline int run_simulated(weir_fn *fn, const struct sim_opts *opts)
{
    struct sim *sim = sim_new(opts);
    int rc = sim_run(sim, fn, NULL, NULL);

    sim_free(sim);
    return rc;
}

/* What fn returns as a simulation's first task; a statement about opts may follow. */
#define SIMULATED(fn, ...)                                                     \
    ({                                                                         \
        struct sim_opts opts;                                                  \
                                                                               \
        sim_opts_init(&opts);                                                  \
        __VA_ARGS__;                                                           \
        run_simulated(fn, &opts);                                              \
    })

#define BOTH_TEST(name, ...)                                                   \
    static int name##_task(void *arg);                                         \
    static void name(void **state)                                             \
    {                                                                          \
        (void)state;                                                           \
        in_task(name##_task);                                                  \
        assert_int_equal(SIMULATED(name##_task, __VA_ARGS__), 0);              \
    }                                                                          \
    static int name##_task(void *arg)

#endif
