/* Children that run on another loop: see spread.c. */
#ifndef RT_SPREAD_H
#define RT_SPREAD_H

#include "rt/loop.h"

/* What a proxy's function returns when its job is away: the task does not end. No
 * other function's result is mistaken for it, as the task is looked at as well. */
#define SPREAD_AWAY INT32_MIN

/* Make a task that was just started, and has an extra, one that may run elsewhere:
 * on target, or (NULL) on any idle loop. 0 or -ENOMEM. */
int spread_prepare(struct task *task, struct loop *target);
/* Offer it, or send it. 1 when it is to be put into the ready queue, 0 when it is
 * away, or the code that it ends with. */
int spread_place(struct task *task);
/* Its function has returned SPREAD_AWAY: is it away? The fiber is free then. */
bool spread_left(struct task *task);
/* No fiber could be had for it. True when it runs elsewhere, whose end will be its
 * own, or when its end needs one; false when it is to end now: with *ret_rc, which may
 * be set to its result, and *ret_chain. */
bool spread_waits(struct task *task, int *ret_rc, struct chain **ret_chain);
/* The task ends: the job goes with it. */
void spread_forget(struct task *task);
/* Its scope was cancelled, or stopped. */
void spread_cancel(struct task *task, const struct scope *scope);
void spread_stop(struct task *task);

/* A loop that has nothing to do takes a job, if another loop offers one. */
bool spread_take(struct loop *loop);
extern atomic_uint spread_offers;
static inline bool spread_offered(const struct loop *loop)
{
    return unlikely(atomic_load(&spread_offers) > 0) && !loop->ending;
}

int spread_open(struct loop *loop);
void spread_close(struct loop *loop);

#endif
