/* Loops for the explorer: on a backend that does nothing but sleep and wake, each turned
 * by one of its threads. */
#ifndef INTERLEAVE_LOOPS_H
#define INTERLEAVE_LOOPS_H

#include "interleave/explore.h"
#include "rt/loop.h"

#define INTERLEAVE_LOOPS 3

void interleave_point(void);

/* Before each order: nobody has been woken. */
void loops_begin(void);
/* A body's part: start a task on this loop, and turn the loop until the task has ended. */
void loops_run_task(uint32_t index, weir_fn *fn, void *arg);
/* After an order: what is still under way to these loops arrives. */
void loops_settle(uint32_t loops);
/* Explore, with so many loops, in a process of its own, as a thread that is stuck stays in
 * the runtime: 0 when all orders hold, 1 when somebody is stuck, 2 when something else is
 * amiss. prepare is called there, once, when the loops are up. */
int loops_explore(struct explore *how, uint32_t loops, bool told, void (*prepare)(void));

#endif
