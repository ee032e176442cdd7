/* One run of a program in a process of its own, and what became of it: the parts
 * of many seeds (sim_seeds.c) and of making a failing one smaller (sim_shrink.c). */
#ifndef RT_SIM_SEEDS_H
#define RT_SIM_SEEDS_H

#include "rt/sim_state.h"

#define SIM_WHY_BYTES 400

/* How a run ended. Lies in memory that both processes share. */
struct sim_verdict {
    bool failed;
    int rc;              /* what the run returned */
    int signal;          /* or what ended its process */
    uint32_t faults;     /* that came up */
    int64_t virtual_ns;
    char why[SIM_WHY_BYTES]; /* the error chain, or the first line on standard error */
};

struct sim_program {
    weir_fn *fn;
    void *arg;
};

/* Run it here. */
void sim_program_run(const struct sim_program *program, const struct sim_opts *opts,
                     struct sim_verdict *verdict, int trace_fd);
/* Run it in a process of its own; what it writes is thrown away. false: there was
 * no process. */
bool sim_program_try(const struct sim_program *program, const struct sim_opts *opts,
                     struct sim_verdict *ret_verdict);
/* ... and its trace, with what the network does, is written to this descriptor. */
void sim_program_show(const struct sim_program *program, const struct sim_opts *opts, int trace_fd);

struct sim_shrunk {
    struct sim_opts opts;
    uint32_t tries, faults; /* runs that it took; faults that are left */
    bool alone;             /* it fails the same when it is run alone */
};

/* Make a failing run smaller: with fewer kinds of faults, fewer faults, a plainer
 * network, as long as it fails in the same way. */
void sim_shrink(const struct sim_program *program, const struct sim_opts *opts,
                const struct sim_verdict *wanted, uint32_t tries_max, struct sim_shrunk *ret);

#endif
