/* Making allocations fail, for the tests of every layer.
 *
 * A sweep runs a scenario once for each allocation it makes, with that one
 * failing, and once more each with all from there on failing, until it comes
 * through with none left to fail. After each run nothing may be left: no block
 * from base_malloc() and friends, and no byte of the budget.
 *
 * Add ../support/fault.c to the sources of the test. Include the C library's
 * <setjmp.h> and <cmocka.h> as any cmocka test does; failures end the test. */
#ifndef SUPPORT_FAULT_H
#define SUPPORT_FAULT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"

struct fault {
    struct alloc_hook hook;
    _Atomic int64_t seen;    /* allocations asked for since fault_set() */
    _Atomic int64_t refused; /* of them, how many failed */
    _Atomic int64_t live;    /* blocks taken and not freed since fault_begin() */
    int64_t fail_at;         /* the first to fail, from 1; 0: none */
    bool for_ever;           /* and all after it */
};

/* Count from here on, failing nothing. One fault at a time in a process. */
void fault_begin(struct fault *fault);
/* Fail the nth allocation from now on (1 is the next; 0 none), and, if told so,
 * all after it. */
void fault_set(struct fault *fault, int64_t nth, bool for_ever);
void fault_end(struct fault *fault);

/* A scenario sets up, does its work and cleans up. It returns 0 when all went
 * well, and a negative code when it gave up; it checks by itself what must hold
 * either way. Without a refusal it must return 0. */
typedef int fault_scenario(void *arg);

/* Sweep; returns how many allocations the scenario makes. At most 100,000. */
int64_t fault_sweep(fault_scenario *scenario, void *arg);

#endif
