/* Fibers, and who runs next.
 *
 * Tasks switch to each other directly: whoever parks picks the next ready task
 * and jumps to its fiber. Control comes back to the loop's own stack when no
 * task is ready, or when the batch is used up, so that input, timers and output
 * get their turn.
 *
 * A fiber that has finished a task takes the next one that has not started, if
 * that is next, without any switch. Otherwise it goes to the cache of idle
 * fibers, on top, so that the warmest stack is used first. An idle fiber's stack is
 * empty (or, where sanitizers follow the stacks, parked in fiber_main(), at the
 * point where it takes its next task). The cache is as large as the load of the last
 * seconds needed.
 *
 * Invariants: loop->current is the fiber whose stack we are on, NULL on the
 * loop's; a READY task is in the ready queue exactly once; an idle fiber has no
 * task. */
#include <stdlib.h>

#include "rt/enter.h"
#include "rt/probe.h"

#define FIBER_COLORS 16
#define FIBER_COLOR_BYTES 64
#define FIBER_KEEP_BYTES 16384 /* of a stack, when a deep one is trimmed */

struct fiber *fiber_current(void)
{
    return loop_current ? loop_current->current : NULL;
}

/* In a simulation any ready task may be next: bring one to the front. */
static __attribute__((noinline, cold)) void ready_shuffle(struct loop *loop, struct ready *ready)
{
    struct node **place = &ready->first, *chosen;
    uint64_t count = 1;

    for (struct node *n = ready->first->next; n; n = n->next)
        count++;
    for (uint64_t skip = loop_random(loop) % count; skip > 0; skip--)
        place = &(*place)->next;
    chosen = *place;
    *place = chosen->next;
    if (*place == NULL)
        ready->last = place;
    if (ready->first == NULL)
        ready->last = &chosen->next;
    chosen->next = ready->first;
    ready->first = chosen;
}

/* Send the look-outs ahead, if there are that many. */
static void ready_send_ahead(struct ready *ready)
{
    struct node *n = ready->first;

    for (int i = 0; n && i < CONTEXT_FAR; i++, n = n->next)
        if (i == CONTEXT_NEAR)
            ready->near = n;
    ready->far = n;
}

/* One step on: fetch the fiber of the far one, and the stack of the near one,
 * whose fiber has come meanwhile. (Without always_inline gcc takes a function
 * that only fetches for one without effect.) */
__attribute__((always_inline)) static inline void ready_look_ahead(struct ready *ready)
{
    const struct task *near = container_of(ready->near, struct task, link);
    const struct task *far = container_of(ready->far, struct task, link);

    if (far->state != TASK_QUEUED)
        __builtin_prefetch(far->fiber);
    if (near->state != TASK_QUEUED) {
        __builtin_prefetch(near->fiber->context.sp);
        __builtin_prefetch((const char *)near->fiber->context.sp + 64);
        __builtin_prefetch((const char *)near->fiber->context.sp + 128);
    }
    ready->near = ready->near->next;
    ready->far = ready->far->next;
}

/* The next ready task of the queue; NULL when there is none or the batch is used up. */
__attribute__((always_inline)) static inline struct task *ready_pop(struct loop *loop,
                                                                    struct ready *ready)
{
    struct node *n = ready->first;

    if (n == NULL || loop->batch_left <= 0)
        return NULL;
    loop->batch_left--;
    if (unlikely(loop->permute)) {
        ready_shuffle(loop, ready);
        n = ready->first;
    }
    if (unlikely(ready->far != NULL))
        ready_look_ahead(ready);
    ready->first = n->next;
    if (n->next == NULL)
        ready->last = &ready->first;
    return container_of(n, struct task, link);
}

/* End a task that will not start. What is called then belongs to the loop, not to
 * the task whose stack this happens to be. */
static void end_unstarted(struct loop *loop, struct task *task, int code)
{
    struct fiber *current = loop->current;
    struct chain **slot = error_slot;

    loop->current = NULL;
    error_slot = NULL;
    task_end_queued(task, code);
    loop->current = current;
    error_slot = slot;
}

static void fiber_bind(struct loop *loop, struct fiber *fiber, struct task *task)
{
    fiber->task = task;
    task->state = TASK_RUNNING;
    fiber->fn = task->start.fn;
    fiber->arg = task->start.arg;
    fiber->scope = task->scope;
    fiber->arena = task->scope->arena ? task->scope->arena : &fiber->own;
    fiber->budget = RT_BUDGET;
    task->fiber = fiber;
    task->begun_ns = loop->now_ns;
    loop->current = fiber;
    error_slot = &fiber->chain;
    TRACE_TASK(loop, RECORD_RUN, task, task->site, 0);
}

/* A fiber without a task is kept warm for the next one. */
static inline void fiber_retire(struct loop *loop, struct fiber *fiber)
{
    fiber->task = NULL;
    fiber->next_idle = loop->idle_fibers;
    loop->idle_fibers = fiber;
    loop->idle_fiber_count++;
}

/* From an idle fiber to whoever is next. Where stacks are entered from the top it
 * ends here; elsewhere it goes on when the fiber has its next task. (A call to here
 * would be the one that the processor expects the return of: see enter.h.) */
__attribute__((always_inline)) static inline void fiber_leave(struct fiber *fiber,
                                                              struct context *to)
{
#ifdef CONTEXT_ENTERS
    fiber->context.sp = NULL;
    context_leave(to->sp);
#else
    context_jump(&fiber->context, to);
#endif
}

/* Said before anything runs that the overflow may have spoiled; and nothing does,
 * in a release build either, as with a guard of its own. */
static __attribute__((noinline)) void look_for_overflow(struct loop *loop, struct fiber *fiber)
{
    if (stack_intact(&loop->stacks, fiber->stack_low, __builtin_frame_address(0)))
        return;
    rt_wrong_use("task \"%s\" has overflowed its stack", task_name(fiber->task));
    abort();
}

/* The end of a fiber's task: on to the next. Never returns to a caller. */
__attribute__((always_inline)) static inline void fiber_loop(struct fiber *fiber, bool canary)
{
    struct loop *loop = loop_current;

    context_arrived(&loop->context);
    for (;;) {
        int rc = fiber->fn(fiber->arg), code;
        struct task *next;

        if (canary)
            look_for_overflow(loop_current, fiber);
        task_ran(fiber, rc);
        loop = loop_current;
        if (unlikely(fiber->own.chunks != NULL))
            arena_reset(&fiber->own);
        if (unlikely(++loop->stacks.releases % STACK_SAMPLE_EVERY == 0))
            stack_sample(&loop->stacks, fiber->stack_low, FIBER_KEEP_BYTES);
        next = ready_pop(loop, &loop->ready);
        while (next && next->state == TASK_QUEUED && task_is_late(next, &code)) {
            end_unstarted(loop, next, code);
            next = ready_pop(loop, &loop->ready);
        }
        if (next && next->state == TASK_QUEUED) {
            fiber_bind(loop, fiber, next);
            continue;
        }
        fiber_retire(loop, fiber);
        if (next) {
            struct fiber *to = next->fiber;

            loop->current = to;
            error_slot = &to->chain;
            next->state = TASK_RUNNING;
            TRACE_TASK(loop, RECORD_RUN, next, next->site, 0);
            fiber_leave(fiber, &to->context);
        } else {
            loop->current = NULL;
            error_slot = NULL;
            fiber_leave(fiber, &loop->context);
        }
    }
}

static void fiber_main(void *arg)
{
    fiber_loop(arg, false);
}

static void fiber_main_canary(void *arg)
{
    fiber_loop(arg, true);
}

/* To a fiber that is parked, or idle. */
static inline void fiber_jump(struct context *from, struct fiber *to)
{
#ifdef CONTEXT_ENTERS
    if (to->context.sp == NULL) {
        context_enter(&from->sp, to, unlikely(to->canary) ? fiber_main_canary : fiber_main);
        return;
    }
#endif
    context_jump(from, &to->context);
}

/* The fiber stands at the top of its stack. Neighbouring stacks begin at other
 * lines of a page, so that their hot ends do not share the same cache sets. */
static struct fiber *fiber_new(struct loop *loop)
{
    char *low = stack_take(&loop->stacks), *top;
    size_t color;
    struct fiber *fiber;

    if (!low)
        return NULL;
    color = ((uintptr_t)low / loop->stacks.stack_bytes) % FIBER_COLORS * FIBER_COLOR_BYTES;
    top = low + loop->stacks.stack_bytes - color - sizeof(*fiber);
    fiber = (struct fiber *)((uintptr_t)top & ~(uintptr_t)63);
    memset(fiber, 0, sizeof(*fiber));
    fiber->stack_low = low;
    fiber->canary = stack_has_canary(&loop->stacks, low);
    arena_init(&fiber->own, &loop->arenas);
#ifndef CONTEXT_ENTERS
    context_make(&fiber->context, low, (char *)fiber,
                 fiber->canary ? fiber_main_canary : fiber_main, fiber);
#endif
    return fiber;
}

static void fiber_free(struct loop *loop, struct fiber *fiber)
{
    char *low = fiber->stack_low;

    context_forget(&fiber->context);
    stack_give(&loop->stacks, low);
}

/* The warmest idle fiber, or a new one; NULL without memory or budget. */
static inline struct fiber *fiber_take(struct loop *loop)
{
    struct fiber *fiber = loop->idle_fibers;

    if (unlikely(fiber == NULL))
        return fiber_new(loop);
    loop->idle_fibers = fiber->next_idle;
    if (--loop->idle_fiber_count < loop->idle_fiber_low)
        loop->idle_fiber_low = loop->idle_fiber_count;
    return fiber;
}

/* A fiber for a task that has not started, or NULL when it ended instead. */
static struct fiber *fiber_start(struct loop *loop, struct task *task)
{
    struct fiber *fiber;
    int code;

    if (task_is_late(task, &code)) {
        end_unstarted(loop, task, code);
        return NULL;
    }
    fiber = fiber_take(loop);
    if (likely(fiber != NULL))
        fiber_bind(loop, fiber, task);
    else
        end_unstarted(loop, task, WEIR_EBUDGET);
    return fiber;
}

/* Pick the next task of the queue and return the fiber to jump to; NULL: to the loop. */
__attribute__((always_inline)) static inline struct fiber *next_fiber(struct loop *loop,
                                                                      struct ready *ready)
{
    struct fiber *to = NULL;

    while (to == NULL) {
        struct task *next = ready_pop(loop, ready);

        if (!next)
            return NULL;
        if (next->state == TASK_QUEUED) {
            to = fiber_start(loop, next);
        } else {
            next->state = TASK_RUNNING;
            to = next->fiber;
            TRACE_TASK(loop, RECORD_RUN, next, next->site, 0);
        }
    }
    return to;
}

/* The current task is parked, or queued as ready: leave its stack until it is
 * switched to again. */
void fiber_yield_to_next(struct loop *loop)
{
    struct fiber *from = loop->current, *to;

    if (unlikely(from->canary))
        look_for_overflow(loop, from);
    to = next_fiber(loop, &loop->ready);
    if (to == from) {
        loop->current = from;
        error_slot = &from->chain;
        return;
    }
    loop->current = to;
    if (to) {
        error_slot = &to->chain;
        fiber_jump(&from->context, to);
    } else {
        error_slot = NULL;
        context_jump(&from->context, &loop->context);
    }
    /* Whoever switched here has set loop->current and error_slot. */
}

/* On the loop's stack: jump to a fiber and come back; run what a task asked to
 * be run on this stack meanwhile. */
static void loop_jump(struct loop *loop, struct fiber *to)
{
    for (;;) {
        struct fiber *caller;

        loop->current = to;
        error_slot = &to->chain;
        fiber_jump(&loop->context, to);
        if (likely(!loop->call_fn))
            return;
        caller = loop->call_from;
        error_slot = &caller->chain;
        loop->call_rc = loop->call_fn(loop->call_arg);
        loop->call_fn = NULL;
        to = caller;
    }
}

static void fibers_free(struct loop *loop, uint32_t count)
{
    for (; count > 0; count--) {
        struct fiber *fiber = loop->idle_fibers;

        loop->idle_fibers = fiber->next_idle;
        loop->idle_fiber_count--;
        fiber_free(loop, fiber);
    }
    loop->idle_fiber_low = loop->idle_fiber_count;
}

/* Half of what a whole period did not need, so that a load that comes in waves
 * finds its stacks again. */
void fiber_cache_trim(struct loop *loop)
{
    uint32_t surplus = loop->idle_fiber_low / 2;

    if (loop->idle_fiber_low <= RT_FIBERS_KEPT)
        surplus = 0;
    fibers_free(loop, surplus < RT_TRIM_FIBERS ? surplus : RT_TRIM_FIBERS);
}

/* At most that many tasks: the first is of this queue. */
static void run_batch(struct loop *loop, struct ready *ready, int32_t tasks)
{
    struct fiber *to;

    loop->batch_left = tasks;
    to = next_fiber(loop, ready);
    if (to)
        loop_jump(loop, to);
    loop->ready.popped += (uint32_t)(tasks - loop->batch_left);
    loop->current = NULL;
    error_slot = NULL;
}

void fiber_run_tasks(struct loop *loop)
{
    if (!loop->ready.far && !loop->permute)
        ready_send_ahead(&loop->ready);
    run_batch(loop, &loop->ready, RT_BATCH_TASKS);
}

void fiber_run_background(struct loop *loop)
{
    run_batch(loop, &loop->background.ready, 1);
    loop->ready.popped--; /* it was none of those */
}

int weir_on_loop_stack(weir_fn *fn, void *arg)
{
    struct loop *loop = loop_current;
    struct fiber *from = loop ? loop->current : NULL;

    if (!from)
        return fn(arg);
    loop->call_fn = fn;
    loop->call_arg = arg;
    loop->call_from = from;
    loop->current = NULL;
    context_jump(&from->context, &loop->context);
    return loop->call_rc;
}

void fiber_cache_done(struct loop *loop)
{
    fibers_free(loop, loop->idle_fiber_count);
}
