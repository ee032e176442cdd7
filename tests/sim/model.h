/* A reference model of tasks, scopes, channels and locks: what results are
 * possible, and no word about how they come about.
 *
 * The program under test reports each call when it begins and when it has ended;
 * the model says what is wrong with it, by the rules that the headers promise:
 *
 *   cancel      once a scope is cancelled, every call begun in it fails; no call is
 *               cancelled without a cause around it
 *   scopes      never more children than the limit; none is left when the scope is
 *               closed or joined; a join is 0 when all required children succeeded,
 *               and else the first failure
 *   channels    what a send has reported is received once or left in the channel;
 *               what it has refused never; nobody gets two items in another order
 *               than that of their sends; no more wait inside than fit; 0 means closed
 *               and empty
 *   locks       a writer is alone; nobody overtakes who must wait for it
 *   semaphores  never more units than there are
 *
 * It knows nothing of the runtime but the error codes. */
#ifndef SIM_MODEL_H
#define SIM_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define MODEL_SCOPES 4096
#define MODEL_ITEMS 8192
#define MODEL_WAITERS 512

struct model_scope {
    struct model_scope *parent;
    uint64_t handle; /* the program's */
    int64_t deadline_ns;
    bool shield;
    bool cancelled;  /* asked for, left, or a required child failed */
    bool seen;       /* a call in it was cancelled */
    uint32_t limit, running;
    uint32_t wanted; /* required children that were started */
    uint32_t well;   /* of them, how many have ended well */
    int first_failure;
    bool first_is_clean; /* nothing had cancelled the scope before it */
};

/* One call of a checkpoint. */
struct model_call {
    struct model_scope *scope;
    const char *what;
    bool must_fail;
};

enum model_item_state { MODEL_OFFERED, MODEL_SENT, MODEL_REFUSED };

struct model_item {
    struct model_chan *chan;
    enum model_item_state state;
    bool received, dropped;
};

struct model_chan {
    uint32_t capacity;
    int64_t sent, received;
    uint32_t receiving; /* calls under way that may take an item */
    bool closed;
};

struct model_waiter {
    uint32_t who;
    bool writes, passed;
};

struct model_lock {
    uint32_t readers;
    bool written;
    uint32_t waiting;
    struct model_waiter waiters[MODEL_WAITERS]; /* in the order of their calls */
};

struct model_units {
    uint32_t units, taken;
};

/* A round begins: everything is forgotten. broken is told of the first rule that
 * does not hold, and must not return. */
void model_begin(void (*broken)(const char *rule));
void model_time(int64_t now_ns);

struct model_scope *model_scope_open(struct model_scope *parent, int64_t deadline_ns, bool shield,
                                     uint32_t limit);
void model_scope_cancel(struct model_scope *scope);
void model_scope_leave(struct model_scope *scope); /* closing begins */
void model_scope_closed(struct model_scope *scope);
void model_joined(struct model_scope *scope, int rc);
void model_child_wanted(struct model_scope *scope, bool optional);
void model_child_runs(struct model_scope *scope);
void model_child_ends(struct model_scope *scope, bool optional, int rc);

void model_call_begins(struct model_call *call, struct model_scope *scope, const char *what);
void model_call_ended(const struct model_call *call, int rc);

struct model_item *model_offer(struct model_chan *chan);
struct model_item *model_item_at(uint32_t index);
uint32_t model_item_index(const struct model_item *item);
void model_offered(struct model_item *item, int rc);
void model_receiving(struct model_chan *chan);
/* rc 1 with the item. *last is the receiver's own, one for each channel. */
void model_received(struct model_chan *chan, struct model_item **last, int rc,
                    struct model_item *item);
void model_not_received(struct model_chan *chan);
void model_closed(struct model_chan *chan);
void model_dropped(struct model_item *item);
void model_chan_over(const struct model_chan *chan, uint32_t depth);

void model_lock_begins(struct model_lock *lock, uint32_t who, bool writes);
void model_lock_ended(struct model_lock *lock, uint32_t who, int rc);
void model_lock_tried(struct model_lock *lock, bool writes, int rc);
void model_unlock(struct model_lock *lock, bool writes);

void model_unit_taken(struct model_units *units);
void model_unit_given(struct model_units *units);

#endif
