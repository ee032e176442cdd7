/* Allocation faults; see fault.h. The counters are atomic, so that scenarios
 * with threads can be swept; which allocation is the nth is then a matter of
 * their order. */
#include "support/fault.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/budget.h"
#include "base/chain.h"

#define FAULT_SWEEP_MAX 100000

static bool fault_allow(struct alloc_hook *hook, size_t bytes)
{
    struct fault *fault = (struct fault *)hook;
    int64_t nth = atomic_fetch_add(&fault->seen, 1) + 1;

    (void)bytes;
    if (!fault->fail_at || nth < fault->fail_at || (nth > fault->fail_at && !fault->for_ever))
        return true;
    atomic_fetch_add(&fault->refused, 1);
    return false;
}

static void fault_taken(struct alloc_hook *hook)
{
    atomic_fetch_add(&((struct fault *)hook)->live, 1);
}

static void fault_freed(struct alloc_hook *hook)
{
    atomic_fetch_sub(&((struct fault *)hook)->live, 1);
}

void fault_begin(struct fault *fault)
{
    *fault = (struct fault){ .hook = { fault_allow, fault_taken, fault_freed } };
    alloc_hook_set(&fault->hook);
}

void fault_set(struct fault *fault, int64_t nth, bool for_ever)
{
    fault->fail_at = nth;
    fault->for_ever = for_ever;
    fault->seen = 0;
    fault->refused = 0;
}

void fault_end(struct fault *fault)
{
    (void)fault;
    alloc_hook_set(NULL);
}

/* One run with the nth allocation failing; true when there was an nth. */
static bool sweep_once(fault_scenario *scenario, void *arg, int64_t nth, bool for_ever)
{
    uint64_t used = budget_used();
    struct fault fault;
    int rc;

    chain_thread_done(); /* so that each run starts as cold as the first */
    fault_begin(&fault);
    fault_set(&fault, nth, for_ever);
    rc = scenario(arg);
    chain_thread_done();
    fault_end(&fault);

    if (rc > 0 || (rc < 0 && !fault.refused))
        fail_msg("allocation %" PRId64 " failing%s (%" PRId64 " refused): the scenario gave %d",
                 nth, for_ever ? " and all after it" : "", fault.refused, rc);
    if (fault.live != 0)
        fail_msg("allocation %" PRId64 " failing%s: %" PRId64 " blocks left", nth,
                 for_ever ? " and all after it" : "", fault.live);
    if (budget_used() != used)
        fail_msg("allocation %" PRId64 " failing%s: %" PRIu64
                 " bytes of the budget, before %" PRIu64,
                 nth, for_ever ? " and all after it" : "", budget_used(), used);
    return fault.refused > 0;
}

int64_t fault_sweep(fault_scenario *scenario, void *arg)
{
    int64_t nth = 0;

    do {
        if (++nth > FAULT_SWEEP_MAX)
            fail_msg("a scenario of more than %d allocations", FAULT_SWEEP_MAX);
        sweep_once(scenario, arg, nth, true);
    } while (sweep_once(scenario, arg, nth, false));
    return nth - 1;
}
