/* Channels with nobody at the other end.
 *
 * C can't say who still has a pointer to a channel. But who was given it is mostly known
 * by where it was opened: the task that opened it, and those that were started inside the
 * scope that it was opened in. If each of them is parked for ever, at such a channel or in
 * a join, none will send or receive any more.
 *
 * What is not known is left alone: a channel that a task from elsewhere has sent to, one
 * that nobody has sent to yet, one that loops share, tasks that wait with a deadline or for
 * anything else. */
#include "rt/alone.h"

#include "rt/chan.h"

#define TASKS_MAX 1000
#define DEPTH_MAX 32

struct search {
    const struct scope *root; /* where the channel was opened */
    int64_t since_ns;
    uint32_t tasks;
};

static bool waits_long(const struct task *task, int64_t since_ns)
{
    const struct wait *wait = task->state == TASK_PARKED ? task->fiber->wait : NULL;

    return wait && wait->since_ns <= since_ns && task->fiber->scope->deadline_ns == WEIR_NEVER_NS;
}

weir_chan *alone_waits_at(const struct task *task, long long since_ns)
{
    const struct wait *wait;

    if (!waits_long(task, since_ns))
        return NULL;
    wait = task->fiber->wait;
    if (wait->kind != WAIT_SEND && wait->kind != WAIT_RECV)
        return NULL;
    return (weir_chan *)(uintptr_t)wait->object;
}

static bool is_below(const struct scope *scope, const struct scope *root)
{
    while (scope && scope != root)
        scope = scope->parent;
    return scope != NULL;
}

static const struct scope *scope_of(weir_scope handle)
{
    return handle.slot ? slab_find(&loop_current->scopes, handle.slot, handle.generation) : NULL;
}

static bool task_is_stuck(struct search *search, const struct task *task)
{
    const weir_chan *chan;

    if (++search->tasks > TASKS_MAX || !waits_long(task, search->since_ns))
        return false;
    if (task->fiber->wait->kind == WAIT_JOIN)
        return true;
    chan = alone_waits_at(task, search->since_ns);
    return chan && chan->sent_in && !chan->foreign &&
           is_below(scope_of(chan->opened_in), search->root);
}

static bool scope_is_stuck(struct search *search, const struct scope *scope, int depth)
{
    if (depth > DEPTH_MAX)
        return false;
    list_each(n, &scope->tasks)
        if (!task_is_stuck(search, container_of(n, struct task, sibling)))
            return false;
    list_each(n, &scope->scopes)
        if (!scope_is_stuck(search, container_of(n, struct scope, sibling), depth + 1))
            return false;
    return true;
}

bool alone_is(const weir_chan *chan, long long since_ns, struct alone_known *known)
{
    struct search search = { .root = scope_of(chan->opened_in), .since_ns = since_ns };
    const struct fiber *opener;
    bool stuck;

    if (!search.root || !chan->sent_in || chan->foreign || search.root == known->in_use)
        return false;
    opener = search.root->opener;
    stuck = (!opener || task_is_stuck(&search, opener->task)) &&
            scope_is_stuck(&search, search.root, 0);
    known->looked += search.tasks;
    if (!stuck)
        known->in_use = search.root;
    return stuck;
}
