/* A scenario in which each system call of some kinds fails in turn, once and for ever:
 * whatever comes of it, the run ends in time, with a code if it has failed, and leaves
 * no memory and no descriptor. */
#ifndef FAULTS_CALL_SWEEP_H
#define FAULTS_CALL_SWEEP_H

#include <stddef.h>

#include <weir/run.h>

#include "faults/calls.h"

struct call_scenario {
    weir_fn *fn;          /* the first task: 0, or a code */
    void (*before)(void); /* called before each run, when nothing fails yet; may be NULL */
    uint32_t loops;
    weir_backend backend;
    int sampled; /* unless all are to fail: each of so many, then fewer and fewer */
};

struct call_fault {
    enum call_kind kind;
    int code;
    bool once_only;   /* for ever nothing can work: each is tried again at once */
    bool may_be_none; /* not every system makes this call */
};

#define CALL_FAILS(what, with, ...) { .kind = CALL_##what, .code = (with), __VA_ARGS__ }

/* Run the scenario in this process. */
int call_sweep_run(const struct call_scenario *of);
void call_sweep(const struct call_scenario *of, const struct call_fault *faults, size_t count,
                bool full);

#endif
