/* Tasks: started in a scope, run once, their result handed to the scope.
 *
 * Invariants: a task is in its scope's tasks until it has ended, then, when
 * .hold asked for it, in held; otherwise it is freed at once, and its handle is
 * stale. */
#include "rt/parked.h"
#include "rt/lives.h"
#include "rt/os_locks.h"
#include "rt/probe.h"
#include "rt/spread.h"

struct task *task_new(struct scope *scope, weir_fn *fn, void *arg, const char *site)
{
    struct task *task = slab_alloc(&scope->loop->tasks);

    if (unlikely(!task))
        return NULL;
    list_push(&scope->tasks, &task->sibling);
    task->scope = scope;
    task->start.fn = fn;
    task->start.arg = arg;
    task->site = site;
    task->extra = NULL;
    task->done_waits = NULL;
    task->rc = 0;
    task->state = TASK_QUEUED;
    task->flags = 0;
    scope->live++;
    TRACE_BY(scope->loop, RECORD_SPAWN, task, site);
    return task;
}

struct task *task_find(weir_task handle)
{
    const struct loop *loop = loop_current;
    struct task *task = likely(loop) ? slab_find(&loop->tasks, handle.slot, handle.generation)
                                     : NULL;

    if (!task)
        handle_check_loop("task", handle.slot, handle.generation);
    return task;
}

weir_task task_handle(const struct task *task)
{
    return (weir_task){ task->head.slot, task->head.generation };
}

const char *task_name(const struct task *task)
{
    const char *space;

    if (!task)
        return "";
    if (task->extra && task->extra->name)
        return task->extra->name;
    space = task->site ? strchr(task->site, ' ') : NULL;
    return space ? space + 1 : task->site ? task->site : "";
}

static void task_free(struct loop *loop, struct task *task)
{
    if (task->extra)
        slab_free(&loop->extras, task->extra);
    slab_free(&loop->tasks, task);
}

static void task_end_extra(struct task *task)
{
    if (task->flags & TASK_HAS_UNIT)
        semaphore_give(task->extra->needs);
    if (task->extra->spread)
        spread_forget(task);
    for (weir_chan_end end = WEIR_SENDS; end <= WEIR_RECEIVES; end++)
        if (task->extra->holds[end])
            weir_chan_let_go(task->extra->holds[end], end);
}

static void task_end(struct task *task, int rc, struct chain *chain)
{
    struct scope *scope = task->scope;
    struct loop *loop = scope->loop;
    bool held = task->flags & TASK_HOLD;

    TRACE_TASK(loop, RECORD_END, task, task->site, rc);
    task->state = TASK_ENDED;
    task->fiber = NULL;
    task->rc = rc;
    if (unlikely(task->extra != NULL))
        task_end_extra(task);
    for (struct done_wait *done = task->done_waits; done; done = done->next)
        parked_serve_arm(done->parked, done->arm, rc);
    list_unlink(&task->sibling);
    if (held)
        list_push(&scope->held, &task->sibling);
    scope_child_ended(scope, task, chain);
    /* The scope, and with it what it holds, may be gone from here on. */
    if (!held)
        task_free(loop, task);
}

void task_end_queued(struct task *task, int rc)
{
    struct chain *chain = NULL;

    if (unlikely(task->flags & TASK_SPREAD) && spread_waits(task, &rc, &chain))
        return;
    task_end(task, rc, chain);
}

/* What a task left undone is undone, and said. */
static void task_tidy(struct fiber *fiber, struct scope *scope)
{
    while (unlikely(fiber->scope != scope)) {
        rt_wrong_use("task \"%s\" (%s) ended inside the scope opened at %s: close it with "
                     "weir_scope_close()",
                     task_name(fiber->task), fiber->task->site, fiber->scope->site);
        weir_scope_close(scope_handle(fiber->scope));
    }
    if (unlikely(fiber->locks_held != 0)) {
        rt_wrong_use("task \"%s\" (%s) ended with %u lock%s held: unlock them on every way out",
                     task_name(fiber->task), fiber->task->site, fiber->locks_held,
                     fiber->locks_held == 1 ? "" : "s");
        fiber->locks_held = 0;
        fiber->held_named = 0;
    }
    os_locks_check_end(fiber);
}

bool task_drops(const struct task *task, int rc)
{
    return rc >= 0 && task->extra->drop && task->scope->flags & SCOPE_WON;
}

/* A success that comes after another child has won: what it got is disposed of,
 * while the task is one still, so that this may wait in a shield. */
static int task_drop_late(struct fiber *fiber, int rc)
{
    if (!task_drops(fiber->task, rc))
        return rc;
    fiber->task->extra->drop(fiber->arg);
    task_tidy(fiber, fiber->task->scope);
    return -ECANCELED;
}

void task_ran(struct fiber *fiber, int rc)
{
    struct task *task = fiber->task;
    struct chain *chain;

    task_tidy(fiber, task->scope);
    if (unlikely(task->extra != NULL)) {
        if (rc == SPREAD_AWAY && spread_left(task))
            return;
        rc = task_drop_late(fiber, rc);
    }
    lives_end(loop_current, task);
    chain = fiber->chain;
    fiber->chain = NULL;
    /* What is called at its end stands in a scope that is there. */
    fiber->scope = loop_current->app;
    task_end(task, rc, chain);
}

/* A child that never was: whoever waits for what it would have done is told so. */
static void let_go_unstarted(const weir_go_opts *opts)
{
    weir_chan *chans[2] = { opts->sends, opts->receives };

    for (weir_chan_end end = WEIR_SENDS; end <= WEIR_RECEIVES; end++) {
        if (!chans[end])
            continue;
        weir_chan_hold(chans[end], end);
        weir_chan_let_go(chans[end], end);
    }
}

static int task_give_extra(struct task *task, const weir_go_opts *opts)
{
    struct task_extra *extra = slab_alloc(&task->scope->loop->extras);

    if (!extra) {
        let_go_unstarted(opts);
        return -ENOMEM;
    }
    extra->spread = NULL;
    extra->name = opts->name;
    extra->needs = opts->needs;
    extra->drop = opts->drop;
    extra->holds[WEIR_SENDS] = opts->sends;
    extra->holds[WEIR_RECEIVES] = opts->receives;
    if (opts->sends)
        weir_chan_hold(opts->sends, WEIR_SENDS);
    if (opts->receives)
        weir_chan_hold(opts->receives, WEIR_RECEIVES);
    task->extra = extra;
    return 0;
}

int task_give_unit(struct task *task, weir_semaphore *semaphore)
{
    const weir_go_opts opts = { .size = sizeof(opts) };
    int rc = task->extra ? 0 : task_give_extra(task, &opts);

    if (rc < 0)
        return rc;
    task->extra->needs = semaphore;
    task->flags |= TASK_HAS_UNIT;
    return 0;
}

static void limit_abandon(struct wait *wait, int code)
{
    list_remove(&wait->fiber->task->link);
    wait_wake(wait, code);
}

/* Wait until the scope has room for another child, or takes none any more (its code
 * is in *ret_rc). NULL when there is nothing to start it in or for: its own task has
 * closed it meanwhile, or the one that waits was cancelled in a scope inside it. */
static struct scope *go_wait_limit(weir_scope s, int *ret_rc)
{
    struct scope *scope;

    while ((scope = scope_find(s)) != NULL) {
        struct wait wait = {
            .abandon = limit_abandon, .what = "room in a scope", .object = scope, .kind = WAIT_LIMIT
        };
        int rc;

        rc = scope_check(scope); /* also after the wait: a cancel has passed by then */
        if (rc < 0 || scope->live < scope->limit) {
            *ret_rc = rc;
            return scope;
        }
        if (rt_check() < 0)
            return NULL;
        list_push(&scope->limit_waits, &loop_current->current->task->link);
        (void)rt_park(&wait);
    }
    return NULL;
}

static inline bool has_special(const weir_go_opts *opts)
{
    return opts->name || opts->needs || opts->drop || opts->spread || opts->sends || opts->receives;
}

/* 1: into the ready queue with it; 0: it waits elsewhere; or the code it ends with, and
 * why in the chain. */
static int go_specially(struct task *task, const weir_go_opts *opts)
{
    struct loop *target = opts->place ? loop_at(opts->place - 1) : NULL;
    int rc = task_give_extra(task, opts);

    if (opts->place && !target)
        rc = weir_fail(-EINVAL, "there is no loop %u: the runtime has %u, counted from 0",
                       opts->place - 1, loop_count());
    if (rc == 0 && opts->spread)
        rc = spread_prepare(task, target);
    if (rc == 0)
        rc = opts->needs ? semaphore_start(opts->needs, task) : 1;
    return rc > 0 && opts->spread ? spread_place(task) : rc;
}

/* The same; what is said becomes the child's, not its opener's. Less than 0: it has
 * ended. */
static int go_aside(struct task *task, const weir_go_opts *opts)
{
    struct fiber *self = loop_current->current;
    struct chain *own = self->chain, *said;
    int rc;

    self->chain = NULL;
    rc = go_specially(task, opts);
    said = self->chain;
    self->chain = own;
    if (rc < 0)
        task_end(task, rc, said);
    else
        chain_free(said);
    return rc;
}

/* Whether a child starts is for its scope to say, not for the one that its opener is
 * in: a task whose request is cancelled may still hand work to the application. */
weir_task weir_go_opt(weir_scope s, weir_fn *fn, void *arg, const weir_go_opts *opts)
{
    struct scope *scope = scope_find(s);
    struct task *task;
    weir_task handle = { 0, 0 };
    int rc;

    if (unlikely(s.slot == 0)) /* opened without memory: the join says so */
        return handle;
    if (unlikely(!scope || !loop_current->current)) {
        rt_wrong_use("weir_go() at %s: %s", opts->site,
                     scope ? "only a task starts tasks"
                           : "the scope has ended, or is another loop's");
        return handle;
    }
    rc = scope_check(scope);
    if (unlikely(scope->limit > 0) && rc == 0) {
        scope = go_wait_limit(s, &rc);
        if (!scope)
            return handle;
    }
    scope->flags |= SCOPE_UNJOINED;
    task = task_new(scope, fn, arg, opts->site);
    if (unlikely(!task)) {
        let_go_unstarted(opts);
        if (!opts->optional)
            scope_child_ended(scope, NULL, NULL);
        return handle;
    }
    handle = task_handle(task);
    task->flags = (uint8_t)((opts->optional ? TASK_OPTIONAL : 0) | (opts->hold ? TASK_HOLD : 0) |
                            task_class(scope));
    if (unlikely(rc < 0)) {
        let_go_unstarted(opts);
        task_end_queued(task, rc);
    } else if (likely(!has_special(opts)) || go_aside(task, opts) > 0) {
        ready_push(loop_current, task);
    }
    rt_spend();
    return handle;
}

weir_scope rt_spawn(weir_scope parent, weir_fn *fn, void *fn_arg, const struct rt_spawn *how)
{
    struct scope *above = scope_find(parent), *scope;
    struct task *task = NULL;

    scope = above ? scope_new(above->loop, above) : NULL;
    if (unlikely(!scope)) {
        how->ended(how->arg, above ? -ENOMEM : -ECANCELED, NULL);
        return (weir_scope){ 0, 0 };
    }
    above->live++;
    scope_init_spawned(scope, how);
    task = task_new(scope, fn, fn_arg, how->site);
    if (unlikely(!task)) {
        scope_child_ended(scope, NULL, NULL);
        return (weir_scope){ 0, 0 };
    }
    task->flags = task_class(scope);
    if (how->name) {
        weir_go_opts opts = { .name = how->name };

        WEIR_IGNORE(task_give_extra(task, &opts), "without memory it goes by its function's name");
    }
    ready_push(scope->loop, task);
    return scope_handle(scope);
}

int weir_result(weir_task handle, int *ret_result)
{
    struct task *task = task_find(handle);

    if (!task)
        return -ESRCH;
    if (task->state != TASK_ENDED)
        return -EINPROGRESS;
    *ret_result = task->rc;
    return 0;
}

bool rt_in_task(void)
{
    return fiber_current() != NULL;
}

const char *rt_task_name(void)
{
    struct fiber *self = fiber_current();

    return self ? task_name(self->task) : "";
}

struct arena *rt_arena(void)
{
    struct fiber *self = fiber_current();

    if (!self && loop_current && loop_current->call_fn) /* on the loop's stack, for a task */
        self = loop_current->call_from;
    return self ? self->arena : NULL;
}
