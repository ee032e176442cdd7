/* Cancelling at every wait, for the tests of every layer.
 *
 * A sweep runs a scenario once for each wait in it, in a runtime of its own of
 * one loop, and cancels a scope of the scenario at that wait; it ends with a run
 * that has fewer waits. The scenario names the scope, from which on waits count
 * (those of every task on the loop):
 *
 *     static int scenario(void *arg)
 *     {
 *         WEIR_SCOPE(s) {
 *             sweep_at(s);
 *             rc = weir_stream_read(...);
 *             sweep_over();
 *             CHECK(rc > 0 || rc == -ECANCELED);
 *         }
 *         ... what must hold either way ...
 *         return 0;
 *     }
 *
 * After each run no task may be left (the runtime has ended), no block of
 * memory, no byte of the budget, and no wrong use may have been reported.
 *
 * Add ../support/sweep.c and ../support/fault.c to the sources of the test. */
#ifndef SUPPORT_SWEEP_H
#define SUPPORT_SWEEP_H

#include <stdbool.h>

#include <weir/run.h>

/* Count the waits from here on, and cancel s at the one that this run is for. In
 * a task; once a run. */
void sweep_at(weir_scope s);
/* Count no further; the scenario's own clean-up is not swept. */
void sweep_over(void);
/* Has this run's cancel happened? */
bool sweep_hit(void);

/* Run the sweep; the scenario must return 0 each time. Returns how many waits
 * the scenario has. At most 10,000. */
int sweep_waits(weir_fn *scenario, void *arg);
/* The same, and a run before with the cancel before the first wait: on the entry of
 * what follows sweep_at(). Returns how many waits are those of the task itself that
 * called it. */
int sweep_call(weir_fn *scenario, void *arg);
/* sweep_waits() on a runtime that something else than weir_run_opt() starts: a
 * simulation. It is to leave no memory behind. */
typedef int sweep_runner(weir_fn *fn, void *arg, const weir_run_opts *opts);
int sweep_waits_by(sweep_runner *run, weir_fn *scenario, void *arg);

#endif
