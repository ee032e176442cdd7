/* Cancelling at every wait; see sweep.h. It stands on the loop's wait_hook, which
 * is called when a task has been entered where it will be woken, and is about
 * to be switched away from: the very moment at which a cancel can come. */
#include "support/sweep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/budget.h"
#include "base/chain.h"
#include "rt/loop.h"
#include "support/fault.h"

#define SWEEP_MAX 10000

static struct sweep {
    weir_scope scope;
    struct fiber *owner; /* of the task that called sweep_at() */
    int wanted;          /* the wait to cancel at, from 1; 0: before the first */
    int seen, own;
    bool hit;
} sweep = { .wanted = -1 };

static void sweep_wait(struct loop *loop, struct wait *wait)
{
    (void)loop;
    sweep.own += wait->fiber == sweep.owner;
    if (++sweep.seen == sweep.wanted) {
        sweep.hit = true;
        weir_cancel(sweep.scope);
    }
}

void sweep_at(weir_scope s)
{
    sweep.scope = s;
    sweep.seen = 0;
    sweep.owner = fiber_current();
    loop_self()->wait_hook = sweep_wait;
    if (sweep.wanted == 0) {
        sweep.hit = true;
        weir_cancel(s);
    }
}

void sweep_over(void)
{
    loop_self()->wait_hook = NULL;
}

bool sweep_hit(void)
{
    return sweep.hit;
}

static void sweep_run(sweep_runner *run, weir_fn *scenario, void *arg, int wanted)
{
    const weir_run_opts opts = {
        .size = sizeof(opts), .loops = 1, .grace_ms = 1000, .block_threads = 2
    };
    uint64_t used = budget_used();
    struct fault fault;
    int rc;

    sweep = (struct sweep){ .wanted = wanted };
    fault_begin(&fault);
    rc = run(scenario, arg, &opts);
    weir_recover();
    chain_thread_done();
    fault_end(&fault);
    if (rc != 0)
        fail_msg("cancelled at wait %d of %d: the scenario returned %s", wanted, sweep.seen,
                 weir_error_name(rc));
    if (fault.live != 0)
        fail_msg("cancelled at wait %d: %lld blocks are left", wanted, (long long)fault.live);
    if (budget_used() != used)
        fail_msg("cancelled at wait %d: %lld bytes of the budget are left", wanted,
                 (long long)(budget_used() - used));
    if (rt_wrong_uses() != 0)
        fail_msg("cancelled at wait %d: wrong use was reported", wanted);
}

int sweep_waits(weir_fn *scenario, void *arg)
{
    return sweep_waits_by(weir_run_opt, scenario, arg);
}

int sweep_call(weir_fn *scenario, void *arg)
{
    sweep_run(weir_run_opt, scenario, arg, 0);
    sweep_waits(scenario, arg);
    return sweep.own;
}

int sweep_waits_by(sweep_runner *run, weir_fn *scenario, void *arg)
{
    for (int wanted = 1; wanted <= SWEEP_MAX; wanted++) {
        sweep_run(run, scenario, arg, wanted);
        if (!sweep.hit)
            return wanted - 1;
    }
    fail_msg("more than %d waits", SWEEP_MAX);
    return 0;
}
