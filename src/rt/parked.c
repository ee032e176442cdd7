/* Claiming and waking parked tasks, also those of other loops: see parked.h.
 *
 * Waking late: a task that waits for room is worth waking once there is a lot of
 * it. What is put off lies in a list of the loop that serves, which is emptied at
 * the end of each batch, so that it is never put off for longer. */
#include "rt/parked.h"

static void parked_told(struct message *message)
{
    struct parked *parked = container_of(message, struct parked, message);

    wait_wake(&parked->wait, parked->rc);
}

static void parked_abandon(struct wait *wait, int code)
{
    struct parked *parked = container_of(wait, struct parked, wait);

    if (!parked_claim(parked))
        return;
    parked->given_up = true;
    wait_wake(wait, code);
}

void parked_init(struct parked *parked, const char *what, const void *object)
{
    *parked = (struct parked){
        .wait = { .abandon = parked_abandon, .what = what, .object = object },
        .message.run = parked_told,
        .loop = loop_current,
        .arm = -1,
    };
}

/* Who is first to move it from OPEN; false when it is TAKEN. */
static bool claim_move(struct parked *parked, unsigned to)
{
    unsigned was = CLAIM_OPEN, rounds = 0;

    while (!atomic_compare_exchange_strong(&parked->claim, &was, to)) {
        if (was == CLAIM_TAKEN)
            return false;
        spin_relax(&rounds);
        was = CLAIM_OPEN;
    }
    return true;
}

bool parked_claim(struct parked *parked)
{
    return claim_move(parked, CLAIM_TAKEN);
}

bool parked_hold(struct parked *parked)
{
    return claim_move(parked, CLAIM_TRYING);
}

void parked_let(struct parked *parked)
{
    atomic_store(&parked->claim, CLAIM_OPEN);
}

bool parked_claim_both(struct parked *one, struct parked *other)
{
    struct parked *low = (uintptr_t)one < (uintptr_t)other ? one : other;
    struct parked *high = low == one ? other : one;
    bool both;

    if (!claim_move(low, CLAIM_TRYING))
        return false;
    both = claim_move(high, CLAIM_TAKEN);
    atomic_store(&low->claim, both ? CLAIM_TAKEN : CLAIM_OPEN);
    return both;
}

/* The task, and with it the struct, may be gone as soon as its message is posted. */
static void parked_wake(struct parked *parked, struct parked *self)
{
    if (parked == self)
        parked->here = true;
    else if (parked->loop == loop_current)
        wait_wake(&parked->wait, parked->rc);
    else
        loop_post(parked->loop, &parked->message);
}

void served_wake(struct served *served, struct parked *self)
{
    for (struct parked *at = served->first, *next; at; at = next) {
        next = at->next;
        parked_wake(at, self);
    }
}

void served_wake_late(struct served *served, struct parked *self)
{
    struct loop *loop = loop_current;

    for (struct parked *at = served->first, *next; at; at = next) {
        next = at->next;
        if (!loop || at->loop == loop) {
            parked_wake(at, self);
            continue;
        }
        at->next = loop->delayed;
        loop->delayed = at;
        loop_defer(loop, &loop->wake_delayed);
    }
}

void parked_wake_delayed(struct loop *loop)
{
    struct parked *first = NULL, *next;

    for (struct parked *at = loop->delayed; at; at = next) { /* the newest is first */
        next = at->next;
        at->next = first;
        first = at;
    }
    loop->delayed = NULL;
    for (; first; first = next) {
        next = first->next;
        loop_post(first->loop, &first->message);
    }
}

void parked_run_delayed(struct deferred *work)
{
    parked_wake_delayed(container_of(work, struct loop, wake_delayed));
}

void parked_serve_arm(struct parked *parked, int arm, int rc)
{
    if (!parked_claim(parked))
        return;
    parked->arm = arm;
    wait_wake(&parked->wait, rc);
}

int parked_wait(struct parked *parked)
{
    return parked->here ? parked->rc : rt_park(&parked->wait);
}
