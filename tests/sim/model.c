/* See model.h. */
#include "sim/model.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <weir/error.h>
#include <weir/time.h>

static struct {
    void (*broken)(const char *rule);
    int64_t now_ns;
    struct model_scope scopes[MODEL_SCOPES];
    uint32_t scope_count;
    struct model_item items[MODEL_ITEMS];
    uint32_t item_count;
} model;

static void holds(bool condition, const char *rule)
{
    if (!condition)
        model.broken(rule);
}

void model_begin(void (*broken)(const char *rule))
{
    model.broken = broken;
    model.now_ns = 0;
    model.scope_count = model.item_count = 0;
}

void model_time(int64_t now_ns)
{
    holds(now_ns >= model.now_ns, "time goes on");
    model.now_ns = now_ns;
}

static bool is_cancel(int rc)
{
    return rc == -ECANCELED || rc == -ETIMEDOUT;
}

/* ---- scopes and their children --------------------------------------------------- */

struct model_scope *model_scope_open(struct model_scope *parent, int64_t deadline_ns, bool shield,
                                     uint32_t limit)
{
    struct model_scope *scope;

    holds(model.scope_count < MODEL_SCOPES, "the model has room for the scopes of a round");
    scope = &model.scopes[model.scope_count++];
    *scope = (struct model_scope){
        .parent = parent, .deadline_ns = deadline_ns, .shield = shield, .limit = limit
    };
    return scope;
}

/* Must each call that begins now in this scope fail? What is outside of a shield
 * reaches in only after its grace, of which the model knows when it is seen. */
static bool surely_cancelled(const struct model_scope *scope)
{
    for (; scope; scope = scope->parent) {
        if (scope->cancelled || scope->seen || scope->deadline_ns <= model.now_ns)
            return true;
        if (scope->shield)
            return false;
    }
    return false;
}

static bool is_asked(const struct model_scope *scope)
{
    for (; scope; scope = scope->parent)
        if (scope->cancelled)
            return true;
    return false;
}

static bool deadline_passed(const struct model_scope *scope)
{
    for (; scope; scope = scope->parent)
        if (scope->deadline_ns <= model.now_ns)
            return true;
    return false;
}

static void check_cause(const struct model_scope *scope, int rc)
{
    if (rc == -ETIMEDOUT)
        holds(deadline_passed(scope), "a time-out comes after a deadline");
    if (rc == -ECANCELED)
        holds(is_asked(scope), "a cancel has a cause, and that is no deadline");
}

void model_scope_cancel(struct model_scope *scope)
{
    scope->cancelled = true;
}

void model_scope_leave(struct model_scope *scope)
{
    scope->cancelled = true;
}

void model_scope_closed(struct model_scope *scope)
{
    holds(scope->running == 0, "no child is left when its scope is closed");
}

void model_child_wanted(struct model_scope *scope, bool optional)
{
    scope->wanted += !optional;
}

void model_child_runs(struct model_scope *scope)
{
    scope->running++;
    holds(scope->limit == 0 || scope->running <= scope->limit,
          "no more children run than the limit");
}

void model_child_ends(struct model_scope *scope, bool optional, int rc)
{
    holds(scope->running > 0, "a child ends once");
    scope->running--;
    if (optional)
        return;
    if (rc >= 0) {
        scope->well++;
        return;
    }
    if (scope->first_failure == 0) {
        scope->first_failure = rc;
        scope->first_is_clean = !is_asked(scope) && !deadline_passed(scope) && !scope->seen;
    }
    scope->cancelled = true; /* fail-fast */
}

void model_joined(struct model_scope *scope, int rc)
{
    holds(scope->running == 0, "no child is left when its scope is joined");
    if (scope->well == scope->wanted) {
        holds(rc == 0, "a join is 0 when all required children have succeeded");
        return;
    }
    holds(rc < 0, "a join fails when a required child has not succeeded");
    if (scope->first_failure && scope->first_is_clean)
        holds(rc == scope->first_failure, "a join gives the first failure");
    else if (!scope->first_failure)
        check_cause(scope, rc);
    scope->seen = true; /* it stays cancelled */
}

void model_call_begins(struct model_call *call, struct model_scope *scope, const char *what)
{
    *call = (struct model_call){ scope, what, surely_cancelled(scope) };
}

void model_call_ended(const struct model_call *call, int rc)
{
    if (call->must_fail)
        holds(is_cancel(rc), "a call that begins in a cancelled scope fails");
    if (!is_cancel(rc))
        return;
    check_cause(call->scope, rc);
    call->scope->seen = true;
}

/* ---- channels -------------------------------------------------------------------- */

struct model_item *model_item_at(uint32_t index)
{
    holds(index < model.item_count, "what is received was sent");
    return &model.items[index];
}

uint32_t model_item_index(const struct model_item *item)
{
    return (uint32_t)(item - model.items);
}

struct model_item *model_offer(struct model_chan *chan)
{
    struct model_item *item;

    holds(model.item_count < MODEL_ITEMS, "the model has room for the items of a round");
    item = &model.items[model.item_count++];
    *item = (struct model_item){ .chan = chan };
    return item;
}

void model_offered(struct model_item *item, int rc)
{
    struct model_chan *chan = item->chan;

    if (rc != 1) {
        holds(!item->received, "what was refused is not received");
        holds(rc != WEIR_ECLOSED || chan->closed, "only a closed channel is closed");
        item->state = MODEL_REFUSED;
        return;
    }
    item->state = MODEL_SENT;
    chan->sent++;
    holds(chan->sent - chan->received <= (int64_t)chan->capacity + chan->receiving,
          "no more is in a channel than fits");
}

void model_receiving(struct model_chan *chan)
{
    chan->receiving++;
}

void model_not_received(struct model_chan *chan)
{
    chan->receiving--;
}

void model_received(struct model_chan *chan, struct model_item **last, int rc,
                    struct model_item *item)
{
    chan->receiving--;
    if (rc == 0) {
        holds(chan->closed, "an open channel does not end");
        holds(chan->sent - chan->received <= chan->receiving, "a channel ends when it is empty");
    }
    if (rc != 1)
        return;
    holds(item->chan == chan, "what is received was sent to that channel");
    holds(item->state != MODEL_REFUSED, "what was refused is not received");
    holds(!item->received, "an item is received once");
    holds(!*last || item > *last, "nobody gets two items in another order than they were sent in");
    *last = item;
    item->received = true;
    chan->received++;
}

void model_closed(struct model_chan *chan)
{
    chan->closed = true;
}

void model_dropped(struct model_item *item)
{
    holds(item->state == MODEL_SENT && !item->received && !item->dropped,
          "what is left in a channel was sent, and not received");
    item->dropped = true;
}

void model_chan_over(const struct model_chan *chan, uint32_t depth)
{
    holds(chan->receiving == 0, "nobody receives when all tasks have ended");
    holds(chan->sent - chan->received == depth, "what was sent is received, or still there");
    holds(depth <= chan->capacity, "no more is in a channel than fits");
}

/* ---- locks ----------------------------------------------------------------------- */

static void lock_taken(struct model_lock *lock, bool writes)
{
    holds(!lock->written, "a writer is alone");
    holds(!writes || lock->readers == 0, "a writer is alone");
    if (writes)
        lock->written = true;
    else
        lock->readers++;
}

void model_lock_begins(struct model_lock *lock, uint32_t who, bool writes)
{
    holds(lock->waiting < MODEL_WAITERS, "the model has room for those who wait");
    lock->waiters[lock->waiting++] = (struct model_waiter){ .who = who, .writes = writes };
}

void model_lock_ended(struct model_lock *lock, uint32_t who, int rc)
{
    uint32_t at = 0;
    struct model_waiter own;

    while (lock->waiters[at].who != who)
        at++;
    own = lock->waiters[at];
    memmove(&lock->waiters[at], &lock->waiters[at + 1],
            (lock->waiting - at - 1) * sizeof(lock->waiters[0]));
    lock->waiting--;
    if (rc != 0)
        return;
    holds(!own.passed, "nobody overtakes who waits for a lock");
    for (uint32_t i = 0; i < at; i++)
        if (own.writes || lock->waiters[i].writes)
            lock->waiters[i].passed = true;
    lock_taken(lock, own.writes);
}

void model_lock_tried(struct model_lock *lock, bool writes, int rc)
{
    bool is_held = lock->written || (writes && lock->readers > 0);

    if (rc == 0)
        lock_taken(lock, writes);
    else
        holds(is_held || lock->waiting > 0, "a free lock can be taken");
}

void model_unlock(struct model_lock *lock, bool writes)
{
    if (writes)
        lock->written = false;
    else
        lock->readers--;
}

void model_unit_taken(struct model_units *units)
{
    holds(units->taken < units->units, "no more units are taken than there are");
    units->taken++;
}

void model_unit_given(struct model_units *units)
{
    units->taken--;
}
