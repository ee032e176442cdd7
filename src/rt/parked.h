/* A task that is parked where several may serve it, on this loop or on others.
 *
 * Whoever serves it claims it first: exactly one succeeds, be it the other side of
 * a channel, a timer, the end of a task, or a cancel. Only then may an item move.
 * The task is woken on its own loop: from another by a message that is a part of
 * this struct, and so stays valid until it has arrived. A cancel that finds the
 * task claimed leaves it alone: the result is on its way.
 *
 * States of the claim: OPEN -> TAKEN, which is final; OPEN -> TRYING -> OPEN or
 * TAKEN while one who must claim two tasks at once goes for the second.
 * Invariants: TRYING is held for a few instructions, and whoever holds it goes only
 * for a task at a higher address, so that nobody waits in a circle; rc and arm are
 * written by whoever took the claim, and read by the task once it was woken. */
#ifndef RT_PARKED_H
#define RT_PARKED_H

#include "rt/loop.h"
#include "rt/spin.h"

enum parked_claim { CLAIM_OPEN, CLAIM_TRYING, CLAIM_TAKEN };

/* A stack variable of the waiting function. */
struct parked {
    struct wait wait;
    struct message message;
    struct loop *loop;
    atomic_uint claim;
    int rc;
    int arm;
    bool here;           /* served by its own task, before that parked */
    bool given_up;       /* claimed by its own cancel: it may still be in queues */
    struct parked *next; /* among those that were served and are to be woken */
};

/* Served under a lock, to be woken when it has been given back. */
struct served {
    struct parked *first, **last;
};

void parked_init(struct parked *parked, const char *what, const void *object);

bool parked_claim(struct parked *parked);
/* Claim both or none. */
bool parked_claim_both(struct parked *one, struct parked *other);
/* Nobody may serve it until parked_let(): for a few instructions, in which no other claim
 * and no lock is taken. false: it has been served. */
bool parked_hold(struct parked *parked);
void parked_let(struct parked *parked);
static inline bool parked_is_open(const struct parked *parked)
{
    return atomic_load_explicit(&parked->claim, memory_order_relaxed) != CLAIM_TAKEN;
}

static inline void served_init(struct served *served)
{
    served->first = NULL;
    served->last = &served->first;
}

/* A claimed task gets its result. */
static inline void served_add(struct served *served, struct parked *parked, int rc)
{
    parked->rc = rc;
    parked->next = NULL;
    *served->last = parked;
    served->last = &parked->next;
}

/* Wake all that were served; self, when it is among them, is running. */
void served_wake(struct served *served, struct parked *self);
/* Those of other loops may wait until this loop's batch is over, or for
 * parked_wake_delayed(). */
void served_wake_late(struct served *served, struct parked *self);
void parked_wake_delayed(struct loop *loop);
void parked_run_delayed(struct deferred *work);

/* On its own loop: the task wakes with this arm's result, if it is still to be had. */
void parked_serve_arm(struct parked *parked, int arm, int rc);

/* Wait to be served, if that has not happened. */
int parked_wait(struct parked *parked);

#endif
