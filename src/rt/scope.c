/* Scopes: who owns whom, and who gives up when.
 *
 * Scopes form a tree by nesting: a scope's parent is the innermost scope that
 * its opener was in. A task's place is the scope it was started in; what it runs
 * in is its innermost open scope, fiber->scope. A cancel so reaches a task in
 * one of two ways: as a child of the scope whose innermost scope it still is, or
 * as the opener of the scope.
 *
 * Cancelling marks first and wakes second, and never frees: tasks and scopes go
 * away only when their turn comes. A shielded scope is passed over, and cancelled
 * when its grace is over.
 *
 * Invariants: cancel_code is set at most once; deadline_ns is never later than
 * the parent's, but in a shield; a scope with live children is never freed. */
#include <stdio.h>

#include "rt/probe.h"
#include "rt/spread.h"
#include "rt/unseen.h"

#define SCOPE_GRACE_MS 1000

static void scope_timer_fired(struct timer *timer);

struct scope *scope_new(struct loop *loop, struct scope *parent)
{
    struct scope *scope = slab_alloc(&loop->scopes);

    if (!scope)
        return NULL;
    memset((char *)scope + sizeof(scope->head), 0, sizeof(*scope) - sizeof(scope->head));
    scope->loop = loop;
    scope->parent = parent;
    list_init(&scope->sibling);
    list_init(&scope->scopes);
    list_init(&scope->tasks);
    list_init(&scope->held);
    list_init(&scope->limit_waits);
    scope->deadline_ns = scope->own_deadline_ns = WEIR_NEVER_NS;
    timer_init(&scope->timer, scope_timer_fired);
    if (parent) {
        list_push(&parent->scopes, &scope->sibling);
        scope->deadline_ns = parent->deadline_ns;
        scope->context = parent->context;
        scope->arena = parent->arena;
        scope->cancel_code = parent->cancel_code;
        scope->cancelled_ns = parent->cancelled_ns;
        scope->reason = parent->reason;
        scope->origin = parent->origin;
        scope->flags = parent->flags & (SCOPE_STOPPING | SCOPE_BACKGROUND);
    }
    return scope;
}

struct scope *scope_find_any(weir_scope handle)
{
    const struct loop *loop = loop_current;
    struct scope *scope = likely(loop) ? slab_find(&loop->scopes, handle.slot, handle.generation)
                                       : NULL;

    if (!scope)
        handle_check_loop("scope", handle.slot, handle.generation);
    return scope;
}

weir_scope scope_handle(const struct scope *scope)
{
    return (weir_scope){ scope->head.slot, scope->head.generation };
}

/* Tasks from elsewhere that wait for room in a scope that ends find no scope. */
static void scope_dismiss_waiters(struct scope *scope)
{
    struct node *n;

    while ((n = list_pop(&scope->limit_waits)) != NULL)
        wait_wake(container_of(n, struct task, link)->fiber->wait, -ECANCELED);
}

void scope_free(struct scope *scope)
{
    struct loop *loop = scope->loop;

    timer_clear(loop, &scope->timer);
    scope_dismiss_waiters(scope);
    list_remove(&scope->sibling);
    list_each_safe(n, &scope->held) {
        struct task *task = container_of(n, struct task, sibling);

        if (task->extra)
            slab_free(&loop->extras, task->extra);
        slab_free(&loop->tasks, task);
    }
    chain_free(scope->first_chain);
    slab_free(&loop->scopes, scope);
}

/* ---- deadlines ------------------------------------------------------------ */

static void scope_set_deadline(struct scope *scope, int64_t at_ns)
{
    scope->own_deadline_ns = at_ns;
    if (at_ns < scope->deadline_ns) {
        scope->deadline_ns = at_ns;
        timer_set(scope->loop, &scope->timer, at_ns);
    }
}

static void scope_expire(struct scope *scope)
{
    scope->flags |= SCOPE_OWN_DEADLINE;
    scope_cancel(scope, -ETIMEDOUT, WEIR_REASON_DEADLINE, scope->site);
}

static void scope_timer_fired(struct timer *timer)
{
    struct scope *scope = container_of(timer, struct scope, timer);

    if (scope->own_deadline_ns <= scope->loop->now_ns)
        scope_expire(scope);
    else if (scope->parent && scope->parent->cancel_code)
        scope_cancel(scope, scope->parent->cancel_code, scope->parent->reason,
                     scope->parent->origin);
}

/* The time left once a cancel has come to a shield. */
static void scope_start_grace(struct scope *scope)
{
    int64_t end_ns = scope->loop->now_ns + (int64_t)scope->grace_ms * 1000000;

    if (!timer_is_set(&scope->timer) || scope->timer.at_ns > end_ns)
        timer_set(scope->loop, &scope->timer, end_ns);
}

int scope_check_slow(struct scope *scope)
{
    struct scope *owner = scope;

    if (scope->cancel_code)
        return scope->cancel_code;
    while (owner->parent && owner->own_deadline_ns != scope->deadline_ns)
        owner = owner->parent;
    scope_expire(owner);
    return scope->cancel_code;
}

/* ---- cancel and stop ------------------------------------------------------ */

/* The next scope of the tree below root, parents before children; with skip the
 * ones below at are left out. NULL at the end. */
static struct scope *scope_walk(struct scope *root, struct scope *at, bool skip)
{
    if (!skip && !list_empty(&at->scopes))
        return container_of(at->scopes.next, struct scope, sibling);
    while (at != root) {
        if (at->sibling.next != &at->parent->scopes)
            return container_of(at->sibling.next, struct scope, sibling);
        at = at->parent;
    }
    return NULL;
}

static void wait_give_up(struct wait *wait, int code)
{
    if (wait && !wait->woken && wait->abandon)
        wait->abandon(wait, code);
}

/* Wake every task that waits in this very scope. */
static void scope_abandon_waits(struct scope *scope, int code)
{
    list_each_safe(n, &scope->tasks) {
        struct task *task = container_of(n, struct task, sibling);

        if (task->state == TASK_PARKED && task->fiber->scope == scope)
            wait_give_up(task->fiber->wait, code);
        else if (task->flags & TASK_IN_QUEUE)
            semaphore_leave(task);
        else if (task->flags & TASK_SPREAD)
            spread_cancel(task, scope);
    }
    if (scope->opener && scope->opener->scope == scope)
        wait_give_up(scope->opener->wait, code);
}

void scope_cancel(struct scope *root, int code, weir_reason reason, const char *origin)
{
    struct scope *scope = root;
    bool skip = false;

    if (root->cancel_code)
        return;
    TRACE_LOOP(root->loop, RECORD_CANCEL, origin, code);
    while (scope) {
        skip = scope->cancel_code != 0;
        if (scope != root && scope->flags & SCOPE_SHIELD && !skip) {
            scope_start_grace(scope);
            skip = true;
        }
        if (!skip) {
            scope->cancel_code = code;
            scope->cancelled_ns = scope->loop->now_ns;
            scope->reason = (uint8_t)reason;
            scope->origin = origin;
            timer_clear(scope->loop, &scope->timer);
            scope_abandon_waits(scope, code);
        }
        scope = scope_walk(root, scope, skip);
    }
}

static void stop_wait(struct wait *wait)
{
    if (wait && wait->ends_at_stop)
        wait_give_up(wait, 0);
}

static void scope_stop_waits(struct scope *scope)
{
    list_each_safe(n, &scope->tasks) {
        struct task *task = container_of(n, struct task, sibling);

        if (task->state == TASK_PARKED && task->fiber->scope == scope)
            stop_wait(task->fiber->wait);
        else if (task->flags & TASK_SPREAD)
            spread_stop(task);
    }
    if (scope->opener && scope->opener->scope == scope)
        stop_wait(scope->opener->wait);
}

void scope_stop(struct scope *root)
{
    for (struct scope *scope = root; scope; scope = scope_walk(root, scope, false)) {
        if (scope->flags & SCOPE_STOPPING)
            continue;
        scope->flags |= SCOPE_STOPPING;
        scope_stop_waits(scope);
    }
    if (root->flags & SCOPE_APP) {
        struct node *n;

        while ((n = list_pop(&root->loop->stop_hooks)) != NULL) {
            struct stop_hook *hook = container_of(n, struct stop_hook, link);

            hook->stop(hook);
        }
    }
}

void weir_cancel(weir_scope s)
{
    struct scope *scope = scope_find(s);

    if (scope)
        scope_cancel(scope, -ECANCELED, WEIR_REASON_ASKED, scope->site);
}

void weir_stop(weir_scope s)
{
    struct scope *scope = scope_find(s);

    if (scope)
        scope_stop(scope);
}

void rt_cancel(weir_scope s, weir_reason reason, const char *origin)
{
    struct scope *scope = scope_find(s);

    if (scope)
        scope_cancel(scope, -ECANCELED, reason, origin);
}

/* ---- the ends of children ------------------------------------------------- */

/* Let go what waits for the scope to have fewer children. */
static void scope_wake_waiters(struct scope *scope)
{
    if (scope->live == 0 && scope->opener_wait) {
        wait_wake(scope->opener_wait, 0);
        scope->opener_wait = NULL;
    }
    if (unlikely(scope->limit > 0) && scope->live < scope->limit) {
        struct node *n = list_pop(&scope->limit_waits);

        if (n)
            wait_wake(container_of(n, struct task, link)->fiber->wait, 0);
    }
}

/* Its parent has a child less, and may be a spawned scope that ends with it. */
static void scope_end_spawned(struct scope *scope)
{
    void (*ended)(void *arg, int rc, struct chain *chain) = scope->ended;
    void *arg = scope->ended_arg;
    struct chain *chain = scope->first_chain;
    struct scope *parent = scope->parent;
    int rc = scope->first_rc;

    if (rc == 0 && scope->gave_up > 0)
        rc = scope->cancel_code;
    scope->first_chain = NULL;
    scope_free(scope);
    ended(arg, rc, chain);
    parent->live--;
    if (parent->live == 0 && parent->flags & SCOPE_SPAWNED)
        scope_end_spawned(parent);
    else
        scope_wake_waiters(parent);
}

/* Keep the first failure's chain; a failure that the cancel caused only lends
 * its chain while there is none. */
static void scope_keep_chain(struct scope *scope, struct chain *chain, bool first)
{
    if (!chain)
        return;
    if (first || !scope->first_chain) {
        chain_free(scope->first_chain);
        scope->first_chain = chain;
    } else {
        chain_free(chain);
    }
}

static void scope_child_failed(struct scope *scope, const struct task *task, int rc,
                               struct chain *chain)
{
    const char *site = task ? task->site : scope->site;
    const struct unseen unseen = { rc, task_name(task), site ? site : "", scope, chain };

    scope->failed++;
    if (task && task->flags & TASK_OPTIONAL) {
        if (rc != scope->cancel_code)
            unseen_told(&unseen);
        chain_free(chain);
    } else if (scope->cancel_code && rc == scope->cancel_code) {
        scope->gave_up++;
        scope_keep_chain(scope, chain, false);
    } else if (scope->flags & SCOPE_APP) {
        rt_report_unjoined(task, rc, chain);
        chain_free(chain);
    } else if (scope->first_rc == 0) {
        scope->first_rc = rc;
        scope->first_site = scope->cancel_code ? NULL : site;
        scope_keep_chain(scope, chain, true);
        if (!(scope->flags & (SCOPE_COLLECT | SCOPE_RACE)))
            scope_cancel(scope, -ECANCELED, WEIR_REASON_FAILURE, site);
    } else {
        if (!(scope->flags & SCOPE_RACE))
            unseen_told(&unseen);
        chain_free(chain);
    }
}

/* A child has succeeded: if it is the first, the others have lost. */
static void scope_child_won(struct scope *scope, const struct task *task)
{
    if (scope->flags & SCOPE_WON || task->flags & TASK_OPTIONAL)
        return;
    scope->flags |= SCOPE_WON;
    scope->winner = task_handle(task);
    scope->winner_rc = task->rc;
    scope_cancel(scope, -ECANCELED, WEIR_REASON_WON, task->site);
}

void scope_child_ended(struct scope *scope, struct task *task, struct chain *chain)
{
    int rc = task ? task->rc : -ENOMEM;

    if (task)
        scope->live--;
    if (unlikely(rc < 0)) {
        scope_child_failed(scope, task, rc, chain);
    } else {
        if (unlikely(chain != NULL)) {
            unseen_chain(scope, task, chain);
            chain_free(chain);
        }
        if (unlikely(scope->flags & SCOPE_RACE))
            scope_child_won(scope, task);
    }
    if (scope->live == 0 && scope->flags & SCOPE_SPAWNED)
        scope_end_spawned(scope);
    else
        scope_wake_waiters(scope);
}

/* Wait for every child; nothing ends this wait but their ends. */
static void scope_wait_children(struct scope *scope)
{
    /* Again: between the wake and this task's turn another may have started one. */
    while (scope->live > 0) {
        struct wait wait = { .what = "children", .object = scope, .kind = WAIT_JOIN };

        scope->opener_wait = &wait;
        WEIR_IGNORE(rt_park_shielded(&wait), "the ends of children carry no code");
    }
}

/* How a race came out. The failures of those that did not win are no news when one
 * did. */
static int scope_race_result(struct scope *scope)
{
    if (scope->flags & SCOPE_WON) {
        chain_free(scope->first_chain);
        scope->first_chain = NULL;
        return scope->winner_rc;
    }
    return weir_fail(-EINVAL, "nobody took part in the race at %s: start required children in it",
                     scope->site);
}

/* The chain of the first failure becomes the opener's. */
static void scope_move_chain(struct scope *scope)
{
    struct fiber *opener = scope->opener;
    struct chain *own = opener->chain;

    if (!scope->first_chain)
        return;
    chain_free(own);
    opener->chain = scope->first_chain;
    scope->first_chain = NULL;
}

/* The scope is left with a failure that no join has reported: it becomes the opener's,
 * and is told of if the opener makes nothing of it. */
static void scope_leave_failure(struct scope *scope)
{
    const char *site = scope->first_site;
    const struct unseen left = { .code = scope->first_rc,
                                 .task = site && strchr(site, ' ') ? strchr(site, ' ') + 1 : "",
                                 .site = site,
                                 .scope = scope,
                                 .chain = scope->first_chain };

    if (site && unseen_left(&left))
        return;
    if (site && !scope->first_chain)
        weir_fail_at(site, scope->first_rc, "%s", weir_error_text(scope->first_rc));
    scope_move_chain(scope);
    if (site && scope->opener->chain) {
        scope->opener->chain->unjoined = site;
        scope->opener->chain->left = scope->site;
    }
}

/* The sentence for a deadline: where the failed child has none, it is the first. */
static void scope_say_late(const struct scope *scope)
{
    const struct chain *chain = scope->opener->chain;
    const char *name = scope->name ? scope->name : "";
    long long ms = (scope->own_deadline_ns - scope->opened_ns) / 1000000;
    bool around = chain && chain->links[chain->count - 1].code == -ETIMEDOUT;

    (around ? weir_wrap_at
            : weir_fail_at)(WEIR_HERE, -ETIMEDOUT, "no answer within %lld ms (scope %s%s%s%s)", ms,
                            *name ? "\"" : "", name, *name ? "\", " : "at ", scope->site);
}

int weir_join(weir_scope s)
{
    struct scope *scope = scope_find(s);
    struct fiber *self = fiber_current();
    int rc;

    if (unlikely(s.slot == 0))
        return -ENOMEM;
    if (unlikely(!scope || scope->opener != self || self->scope != scope)) {
        rt_wrong_use("weir_join(): %s", !scope ? "the scope has ended, or is another loop's"
                                               : "only the task that opened the scope joins it, "
                                                 "after closing those inside it");
        return WEIR_EWRONGUSE;
    }
    scope_wait_children(scope);
    scope->flags &= (uint16_t)~SCOPE_UNJOINED;
    rc = scope->first_rc;
    if (unlikely(scope->flags & SCOPE_RACE) &&
        (scope->flags & SCOPE_WON || (rc == 0 && scope->gave_up == 0)))
        return scope_race_result(scope);
    if (likely(rc == 0 && scope->gave_up == 0))
        return 0;
    if (rc == 0)
        rc = scope->cancel_code;
    scope_move_chain(scope);
    if (rc == -ETIMEDOUT && scope->flags & SCOPE_OWN_DEADLINE)
        scope_say_late(scope);
    return rc;
}

/* ---- opening and closing ---------------------------------------------------- */

static void scope_apply(struct scope *scope, const weir_scope_opts *opts)
{
    int64_t deadline_ns = opts->deadline_ns ? opts->deadline_ns : WEIR_NEVER_NS;

    scope->name = opts->name;
    scope->site = opts->site;
    scope->limit = opts->limit;
    scope->on_failure = opts->on_failure;
    scope->failure_arg = opts->failure_arg;
    scope->opened_ns = scope->loop->now_ns;
    if (opts->keeps_locks)
        scope->locks_held = UINT32_MAX;
    if (opts->collect)
        scope->flags |= SCOPE_COLLECT;
    if (opts->race)
        scope->flags |= SCOPE_RACE;
    if (opts->background)
        scope->flags |= SCOPE_BACKGROUND;
    if (opts->shield) {
        scope->flags |= SCOPE_SHIELD;
        scope->grace_ms = opts->grace_ms ? opts->grace_ms : SCOPE_GRACE_MS;
        scope->deadline_ns = WEIR_NEVER_NS;
        scope->cancel_code = 0;
        scope->reason = WEIR_REASON_NONE;
    }
    if (opts->timeout_ms) {
        int64_t end_ns = scope->opened_ns + (int64_t)opts->timeout_ms * 1000000;

        if (end_ns < deadline_ns)
            deadline_ns = end_ns;
    }
    if (deadline_ns != WEIR_NEVER_NS && !scope->cancel_code)
        scope_set_deadline(scope, deadline_ns);
    /* After the deadline: of the two that share the timer, the earlier counts. */
    if (opts->shield && scope->parent->cancel_code)
        scope_start_grace(scope);
}

void scope_init_spawned(struct scope *scope, const struct rt_spawn *how)
{
    scope->flags |= SCOPE_SPAWNED | (how->background ? SCOPE_BACKGROUND : 0);
    scope->name = how->name;
    scope->site = how->site;
    scope->opened_ns = scope->loop->now_ns;
    scope->arena = how->arena;
    if (how->context)
        scope->context = how->context;
    scope->ended = how->ended;
    scope->ended_arg = how->arg;
    if (how->deadline_ns != WEIR_NEVER_NS && !scope->cancel_code)
        scope_set_deadline(scope, how->deadline_ns);
}

weir_scope weir_scope_open_opt(const weir_scope_opts *opts)
{
    struct fiber *self = fiber_current();
    struct scope *scope;

    if (unlikely(!self)) {
        rt_wrong_use("a scope was opened outside a task, at %s", opts->site);
        return (weir_scope){ 0, 0 };
    }
    scope = scope_new(loop_current, self->scope);
    if (unlikely(!scope)) {
        weir_fail(-ENOMEM, "no memory for the scope at %s", opts->site);
        return (weir_scope){ 0, 0 };
    }
    scope->opener = self;
    scope->locks_held = self->locks_held;
    scope->arena = self->arena;
    scope_apply(scope, opts);
    self->scope = scope;
    return scope_handle(scope);
}

void weir_scope_close(weir_scope s)
{
    struct scope *scope = scope_find(s);
    struct fiber *self = fiber_current();

    if (unlikely(!scope))
        return;
    if (unlikely(scope->opener != self || self->scope != scope)) {
        rt_wrong_use("the scope opened at %s is closed by another task, or before those inside it",
                     scope->site);
        return;
    }
    if (scope->live > 0)
        scope_cancel(scope, -ECANCELED, WEIR_REASON_LEFT, scope->site);
    scope_wait_children(scope);
    if (unlikely(scope->first_rc != 0) &&
        (scope->flags & (SCOPE_UNJOINED | SCOPE_WON)) == SCOPE_UNJOINED)
        scope_leave_failure(scope);
    if (unlikely(self->locks_held > scope->locks_held))
        rt_wrong_use("the scope opened at %s is left with %u lock%s held that its task took in it: "
                     "unlock before every way out",
                     scope->site, self->locks_held - scope->locks_held,
                     self->locks_held - scope->locks_held == 1 ? "" : "s");
    self->scope = scope->parent;
    scope_free(scope);
}

void weir_scope_leave_(weir_scope *s)
{
    weir_scope_close(*s);
}

weir_scope *weir_scope_brace_(weir_scope *s)
{
    struct scope *scope = scope_find(*s);

    if (unlikely(scope && scope->flags & SCOPE_UNJOINED))
        rt_wrong_use("the scope opened at %s reached its end with children that were not "
                     "joined: call weir_join()",
                     scope->site);
    return NULL;
}

/* ---- what a task may ask --------------------------------------------------- */

bool weir_timed_out(weir_scope s)
{
    struct scope *scope = scope_find(s);

    return scope && scope->flags & SCOPE_OWN_DEADLINE;
}

uint32_t weir_failures(weir_scope s)
{
    struct scope *scope = scope_find(s);

    return scope ? scope->failed : 0;
}

weir_task weir_winner(weir_scope s)
{
    struct scope *scope = scope_find(s);

    return scope ? scope->winner : (weir_task){ 0, 0 };
}

bool weir_stopping(void)
{
    struct fiber *self = fiber_current();

    return self && self->scope->flags & SCOPE_STOPPING;
}

weir_reason weir_cancel_reason(const char **ret_origin)
{
    struct fiber *self = fiber_current();

    if (!self || scope_check(self->scope) == 0)
        return WEIR_REASON_NONE;
    if (ret_origin)
        *ret_origin = self->scope->origin;
    return (weir_reason)self->scope->reason;
}

int64_t weir_deadline_ns(void)
{
    struct fiber *self = fiber_current();

    return self ? self->scope->deadline_ns : block_deadline_ns();
}

weir_scope weir_app_scope(void)
{
    return loop_current ? scope_handle(loop_current->app) : (weir_scope){ 0, 0 };
}

const weir_context *weir_context_get(void)
{
    static const weir_context empty;
    struct fiber *self = fiber_current();
    const weir_context *context = self ? self->scope->context : block_context();

    return context ? context : &empty;
}

void weir_scope_set_context(weir_scope s, const weir_context *context)
{
    struct scope *scope = scope_find(s);

    if (scope)
        scope->context = context;
}
