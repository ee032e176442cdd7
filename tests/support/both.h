/* Tests that run twice: in a task of the kernel's backend, and in the simulation. */
#ifndef SUPPORT_BOTH_H
#define SUPPORT_BOTH_H

#include "rt/sim.h"
#include "support/in_task.h"

/* What fn(arg) returns as a simulation's first task; run may be NULL. */
static inline int run_in_sim(const struct sim_opts *opts, weir_fn *fn, void *arg,
                             const weir_run_opts *run)
{
    struct sim *sim = sim_new(opts);
    int rc = sim ? sim_run(sim, fn, arg, run) : -ENOMEM;

    if (sim && rc < 0)
        fprintf(stderr, "seed %llu\n%s", (unsigned long long)opts->seed, sim_trace_text(sim));
    sim_free(sim);
    return rc;
}

/* The same of fn(NULL); a statement about opts may follow. */
#define SIMULATED(fn, ...)                                                     \
    ({                                                                         \
        struct sim_opts opts;                                                  \
                                                                               \
        sim_opts_init(&opts);                                                  \
        __VA_ARGS__;                                                           \
        run_in_sim(&opts, fn, NULL, NULL);                                     \
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
