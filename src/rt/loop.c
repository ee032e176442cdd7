/* A loop: one thread's tasks, timers, input and output, turn by turn.
 *
 * A turn: wait for input (not at all when tasks are ready), take the time, run
 * messages, timers, then tasks in batches of 64, with a flush of output after
 * each, until none is ready or 100 us have passed.
 *
 * Messages between loops are intrusive nodes on a lock-free stack that the owner
 * takes whole. Waking is coalesced: a sender wakes the loop only when it finds it
 * asleep, and takes the mark away, so that one of many senders does. The owner
 * sets the mark, then looks at the inbox once more, then waits; so a message
 * that came between is seen. */
#include <unistd.h>

#include "base/clock.h"
#include "rt/context.h"
#include "rt/parked.h"
#include "rt/queue.h"
#include "rt/probe.h"
#include "rt/spread.h"
#include "type/current.h"

_Thread_local struct loop *loop_current;

struct loop *loop_self(void)
{
    return loop_current;
}

int64_t loop_now_ns(const struct loop *loop)
{
    return loop->now_ns;
}

int64_t loop_wall_ns(struct loop *loop)
{
    return loop->ops->wall_ns ? loop->ops->wall_ns(loop) : clock_wall_ns();
}

uint32_t loop_index(const struct loop *loop)
{
    return loop->index;
}

struct buf_pool *loop_bufs(struct loop *loop)
{
    return &loop->bufs;
}

struct arena_pool *loop_arenas(struct loop *loop)
{
    return &loop->arenas;
}

uint64_t loop_random(struct loop *loop)
{
    return loop->ops->random(loop);
}

const struct io_ops *loop_io(struct loop *loop)
{
    return loop->ops;
}

weir_scope loop_app_scope(struct loop *loop)
{
    return scope_handle(loop->app);
}

void *loop_local(struct loop *loop, enum loop_local key)
{
    return loop->locals[key].value;
}

void loop_local_set(struct loop *loop, enum loop_local key, void *value, void (*done)(void *value))
{
    loop->locals[key].value = value;
    loop->locals[key].done = done;
}

void loop_on_stop(struct loop *loop, struct stop_hook *hook)
{
    list_push(&loop->stop_hooks, &hook->link);
}

/* ---- output at the end of a batch ----------------------------------------- */

void deferred_init(struct deferred *work, void (*run)(struct deferred *work))
{
    list_init(&work->link);
    work->run = run;
}

void loop_defer(struct loop *loop, struct deferred *work)
{
    if (list_empty(&work->link))
        list_push(&loop->deferred, &work->link);
}

void loop_undefer(struct deferred *work)
{
    list_remove(&work->link);
}

static void loop_run_deferred(struct loop *loop)
{
    struct node *n;

    while ((n = list_pop(&loop->deferred)) != NULL) {
        struct deferred *work = container_of(n, struct deferred, link);

        work->run(work);
    }
}

/* ---- messages ---------------------------------------------------------------- */

void loop_post(struct loop *loop, struct message *message)
{
    struct message *head = atomic_load_explicit(&loop->inbox, memory_order_relaxed);

    do {
        atomic_store_explicit(&message->next, head, memory_order_relaxed);
    } while (!atomic_compare_exchange_weak(&loop->inbox, &head, message));
    if (atomic_load(&loop->asleep) && atomic_exchange(&loop->asleep, false))
        loop->ops->wake(loop);
}

static bool loop_run_messages(struct loop *loop)
{
    struct message *taken, *next, *first = NULL;

    if (atomic_load_explicit(&loop->inbox, memory_order_relaxed) == NULL)
        return false;
    taken = atomic_exchange(&loop->inbox, NULL);
    for (; taken; taken = next) { /* the newest is first: turn them round */
        next = atomic_load_explicit(&taken->next, memory_order_relaxed);
        atomic_store_explicit(&taken->next, first, memory_order_relaxed);
        first = taken;
    }
    for (; first; first = next) {
        next = atomic_load_explicit(&first->next, memory_order_relaxed);
        first->run(first);
    }
    return true;
}

/* ---- turns ------------------------------------------------------------------- */

bool loop_quiet(struct loop *loop)
{
    return ready_empty(loop) && loop->background.ready.first == NULL &&
           list_empty(&loop->deferred) &&
           atomic_load_explicit(&loop->inbox, memory_order_relaxed) == NULL;
}

int64_t loop_next_timer_ns(struct loop *loop)
{
    return wheel_next_ns(&loop->wheel);
}

static void loop_poll(struct loop *loop, bool may_wait)
{
    int64_t until_ns = 0;

    if (may_wait && loop_quiet(loop) && !(spread_offered(loop) && spread_take(loop))) {
        until_ns = loop_next_timer_ns(loop);
        atomic_store(&loop->asleep, true);
        if (atomic_load(&loop->inbox) != NULL || atomic_load(&loop->requests) != 0 ||
            spread_offered(loop))
            until_ns = 0;
    }
    TRACE_LOOP(loop, RECORD_POLL, NULL, 0);
    loop->ops->poll(loop, until_ns);
    atomic_store_explicit(&loop->asleep, false, memory_order_relaxed);
}

static void loop_take_requests(struct loop *loop)
{
    unsigned requests;

    if (likely(atomic_load_explicit(&loop->requests, memory_order_relaxed) == 0))
        return;
    requests = atomic_exchange(&loop->requests, 0);
    scope_stop(loop->app);
    if (requests & LOOP_CANCEL)
        scope_cancel(loop->app, -ECANCELED, WEIR_REASON_SHUTDOWN, "the end of the runtime");
}

/* ---- what is kept for reuse -------------------------------------------------- */

#define KEPT_BUFFERS 64
#define KEPT_CHUNKS 256

static void loop_trim(struct timer *timer)
{
    struct loop *loop = container_of(timer, struct loop, trim);

    fiber_cache_trim(loop);
    if (loop->bufs.free_low > KEPT_BUFFERS)
        buf_pool_trim(&loop->bufs);
    loop->bufs.free_low = loop->bufs.free_count;
    if (loop->arenas.free_low + loop->arenas.big_low > KEPT_CHUNKS)
        arena_pool_trim(&loop->arenas);
    loop->arenas.free_low = loop->arenas.free_count;
    loop->arenas.big_low = loop->arenas.big_count;
}

/* The timer runs only while there is something to trim. */
static inline void loop_watch_kept(struct loop *loop)
{
    if (unlikely(loop->idle_fiber_count > RT_FIBERS_KEPT || loop->bufs.free_count > KEPT_BUFFERS ||
                 loop->arenas.free_count + loop->arenas.big_count > KEPT_CHUNKS) &&
        !timer_is_set(&loop->trim))
        timer_set(loop, &loop->trim, loop->now_ns + RT_TRIM_NS);
}

/* The turn of background tasks. When others are ready: as long as these have had their
 * share since; else until another is ready, or it is time to look for input. In
 * virtual time, where work takes none, a task counts as 1 ns. */
static void loop_run_background(struct loop *loop)
{
    struct background *own = &loop->background;
    uint32_t percent = runtime_opts()->background_percent;
    bool busy = !ready_empty(loop);
    int64_t began_ns = loop->ops->now_ns(loop), before_ns;

    if (!busy)
        own->debt_ns = 0;
    loop->now_ns = began_ns;
    while (own->ready.first && (busy ? own->debt_ns <= 0 : ready_empty(loop))) {
        before_ns = loop->now_ns;
        fiber_run_background(loop);
        loop->now_ns = loop->ops->now_ns(loop);
        if (busy)
            own->debt_ns += (loop->now_ns - before_ns + 1) * (100 - percent) / percent;
        if (!busy && (loop->permute || loop->now_ns - began_ns >= RT_BACKGROUND_NS))
            break;
    }
    if (own->debt_ns > RT_BACKGROUND_DEBT_NS)
        own->debt_ns = RT_BACKGROUND_DEBT_NS;
}

/* A batch of the others has run while background tasks were ready. */
static void loop_pay_background(struct loop *loop, uint32_t popped)
{
    int64_t *debt_ns = &loop->background.debt_ns, before_ns = loop->now_ns;

    loop->now_ns = loop->ops->now_ns(loop);
    *debt_ns -= loop->now_ns - before_ns + (loop->ready.popped - popped);
    if (*debt_ns < -RT_BACKGROUND_CREDIT_NS)
        *debt_ns = -RT_BACKGROUND_CREDIT_NS;
}

/* Tasks run until none is ready, or until 100 us have passed and all that were
 * ready at the beginning had their turn: input is never taken faster than it is
 * worked off, so what was received is still in the cache when its task runs. */
static void loop_run_ready(struct loop *loop)
{
    uint32_t ready = loop->ready.pushed, popped;
    int64_t began_ns = loop->now_ns;
    bool over = false;

    while (!over && !(ready_empty(loop) && loop->background.ready.first == NULL)) {
        if (unlikely(loop->background.ready.first != NULL))
            loop_run_background(loop);
        popped = loop->ready.popped;
        fiber_run_tasks(loop);
        if (unlikely(loop->background.ready.first != NULL))
            loop_pay_background(loop, popped);
        loop_run_deferred(loop);
        loop_run_messages(loop);
        if (ready_empty(loop))
            return;
        loop->now_ns = loop->ops->now_ns(loop);
        over = loop->permute || ((int32_t)(loop->ready.popped - ready) >= 0 &&
                                 loop->now_ns - began_ns >= RT_TURN_NS);
    }
}

static inline void pulse_add(_Atomic uint64_t *to, uint64_t n)
{
    atomic_store_explicit(to, atomic_load_explicit(to, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static inline void pulse_end(struct pulse *pulse)
{
    uint64_t began = atomic_load_explicit(&pulse->began, memory_order_relaxed);
    uint64_t ticks = VISIBLE ? ticks_now() - began : 0;
    unsigned length = 63 - (unsigned)__builtin_clzll(ticks | 1);

    if (!VISIBLE)
        return;
    pulse_add(&pulse->turns, 1);
    pulse_add(&pulse->busy_ticks, ticks);
    pulse_add(&pulse->lengths[length < PULSE_LENGTHS ? length : PULSE_LENGTHS - 1], 1);
    atomic_store_explicit(&pulse->began, 0, memory_order_relaxed);
}

void loop_turn(struct loop *loop, bool may_wait)
{
    loop_poll(loop, may_wait);
    loop->now_ns = loop->ops->now_ns(loop);
    loop_run_messages(loop);
    loop_take_requests(loop);
    wheel_advance(&loop->wheel, loop->now_ns);
    loop_watch_kept(loop);
    loop_run_deferred(loop);
    loop_run_ready(loop);
    pulse_end(&loop->pulse);
}

/* ---- life -------------------------------------------------------------------- */

bool loop_finished(struct loop *loop)
{
    return loop->ending && loop->app->live == 0 && loop_quiet(loop);
}

void loop_run(struct loop *loop)
{
    while (!loop_finished(loop))
        loop_turn(loop, true);
}

/* The end begins: drain, and after the grace cancel. */
void loop_end(struct loop *loop, uint32_t grace_ms)
{
    if (loop->ending)
        return;
    loop->ending = true;
    scope_stop(loop->app);
    /* Also when it has no task: one may still be submitted. */
    timer_set(loop, &loop->grace, loop->now_ns + (int64_t)grace_ms * 1000000);
}

static void loop_grace_over(struct timer *timer)
{
    struct loop *loop = container_of(timer, struct loop, grace);

    scope_cancel(loop->app, -ECANCELED, WEIR_REASON_SHUTDOWN, "the end of the runtime");
}

static int loop_init_memory(struct loop *loop)
{
    slab_init(&loop->tasks, sizeof(struct task), BUDGET_CONNECTION);
    slab_init(&loop->scopes, sizeof(struct scope), BUDGET_CONNECTION);
    slab_init(&loop->extras, sizeof(struct task_extra), BUDGET_CONNECTION);
    /* A handle is stale on any other loop. */
    loop->tasks.generation = loop->scopes.generation = loop->index << HANDLE_LOOP_SHIFT;
    buf_pool_init(&loop->bufs, UINT32_MAX);
    arena_pool_init(&loop->arenas, UINT32_MAX);
    loop->submissions = base_calloc(RT_SUBMISSIONS_MAX, sizeof(*loop->submissions));
    return loop->submissions ? 0 : -ENOMEM;
}

int loop_init(struct loop *loop, uint32_t index, const struct io_ops *ops, void *backend)
{
    const weir_run_opts *opts = runtime_opts();
    int rc;

    memset(loop, 0, sizeof(*loop));
    loop->index = index;
    loop->ops = ops;
    loop->backend = backend;
    loop->ready.last = &loop->ready.first;
    loop->background.ready.last = &loop->background.ready.first;
    list_init(&loop->deferred);
    list_init(&loop->stop_hooks);
    list_init(&loop->queues);
    timer_init(&loop->grace, loop_grace_over);
    timer_init(&loop->trim, loop_trim);
    deferred_init(&loop->wake_delayed, parked_run_delayed);
    pthread_mutex_init(&loop->submit_lock, NULL);
    loop->submit_message.run = submit_run;
    stacks_init(&loop->stacks, opts->stack_bytes);
    rc = loop_init_memory(loop);
    if (rc == 0)
        rc = spread_open(loop);
    if (rc < 0)
        goto fail;
    rc = ops->open(loop);
    if (rc < 0)
        goto fail;
    loop->now_ns = ops->now_ns(loop);
    wheel_init(&loop->wheel, loop->now_ns);
    loop->app = scope_new(loop, NULL);
    if (!loop->app) {
        ops->close(loop);
        rc = -ENOMEM;
        goto fail;
    }
    if (record_loops_events() > 0) /* without memory it goes unrecorded */
        loop->recorder = recorder_new(record_loops_events());
    loop->app->flags = SCOPE_APP;
    loop->app->name = "application";
    loop->app->site = "the runtime";
    loop->app->opened_ns = loop->now_ns;
    return 0;

fail:
    spread_close(loop);
    slab_done(&loop->scopes);
    base_free(loop->submissions);
    pthread_mutex_destroy(&loop->submit_lock);
    return rc;
}

void loop_adopt_thread(struct loop *loop)
{
    loop_current = loop;
    type_arena = rt_arena;
    context_adopt(&loop->context);
}

void loop_show_thread(struct loop *loop, const char *high)
{
    atomic_store(&loop->stack_high, high);
    atomic_store(&loop->thread_id, gettid());
}

void loop_hide_thread(struct loop *loop)
{
    atomic_store(&loop->thread_id, 0);
    atomic_store(&loop->over, true);
    runtime_tell_over(loop);
}

void loop_done(struct loop *loop)
{
    for (int key = LOOP_LOCALS - 1; key >= 0; key--)
        if (loop->locals[key].done)
            loop->locals[key].done(loop->locals[key].value);
    loop_run_deferred(loop);
    timer_clear(loop, &loop->grace);
    timer_clear(loop, &loop->trim);
    scope_free(loop->app);
    fiber_cache_done(loop);
    stacks_done(&loop->stacks);
    loop->ops->close(loop);
    slab_done(&loop->tasks);
    slab_done(&loop->scopes);
    slab_done(&loop->extras);
    spread_close(loop);
    buf_pool_done(&loop->bufs);
    arena_pool_done(&loop->arenas);
    base_free(loop->submissions);
    pthread_mutex_destroy(&loop->submit_lock);
    queue_forget_all(loop);
    recorder_free(loop->recorder);
    if (loop_current == loop)
        loop_current = NULL;
}
