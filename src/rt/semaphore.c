/* Semaphores: units shared by all loops, with a queue of waiting tasks on each.
 *
 * A queue holds tasks by their link: tasks that are parked in weir_acquire(),
 * and tasks that have not started because they need a unit first (.needs), which
 * so wait without a stack. A unit that is given back goes to the first of the
 * loop's own queue; when that is empty, or after every 16th time in a row, it
 * becomes free for all, and a loop with waiting tasks is told. A loop that was told
 * and has no use for the unit (its task was cancelled meanwhile) tells the next.
 *
 * The lost wake-up: a task first enters its queue and counts itself as waiting,
 * then looks at the free units once more; a giver first adds the unit, then
 * looks at who waits. One of the two sees the other.
 *
 * Life: a message under way refers to the semaphore, so that it may be freed while
 * a loop has still to look at one. A message that was under way when a runtime
 * ended is never run; whoever posts in the next one can tell by its number. */
#include "rt/held.h"
#include "rt/loop.h"

#define SEMAPHORE_OWN_IN_ROW 16

struct semaphore_queue {
    struct message message; /* "there are free units" */
    atomic_uint posted;     /* in which run of the runtime; 0: not under way */
    atomic_uint waiting;
    struct node tasks;
    weir_semaphore *semaphore;
    uint32_t in_row;
};

struct weir_semaphore {
    atomic_uint free;
    atomic_uint waiting;
    uint32_t units, max_waiting;
    atomic_uint turn; /* the loop to be told next */
    atomic_uint refs; /* the owner's, and one for each message under way */
    bool owned, accounted;
    const char *name;
    _Atomic(struct semaphore_queue *) queues[RT_LOOPS_MAX];
};

int weir_semaphore_new_opt(weir_semaphore **ret_semaphore, const weir_semaphore_opts *opts)
{
    weir_semaphore *semaphore;

    if (opts->units == 0)
        return weir_fail(-EINVAL, "a semaphore needs at least one unit");
    semaphore = base_calloc(1, sizeof(*semaphore));
    if (!semaphore)
        return -ENOMEM;
    atomic_init(&semaphore->free, opts->units);
    atomic_init(&semaphore->refs, 1);
    semaphore->units = opts->units;
    semaphore->max_waiting = opts->max_waiting ? opts->max_waiting : UINT32_MAX;
    semaphore->name = opts->name;
    semaphore->owned = semaphore->accounted = opts->owned;
    *ret_semaphore = semaphore;
    return 0;
}

uint32_t semaphore_waiting(const weir_semaphore *semaphore)
{
    return atomic_load_explicit(&semaphore->waiting, memory_order_relaxed);
}

const char *semaphore_name(const weir_semaphore *semaphore)
{
    return semaphore->name ? semaphore->name : "";
}

void semaphore_account(weir_semaphore *semaphore)
{
    semaphore->accounted = true;
}

uint32_t semaphore_accounted(const weir_semaphore *semaphore)
{
    return semaphore->accounted && atomic_load(&semaphore->free) == 0 ? semaphore->units : 0;
}

static void semaphore_unref(weir_semaphore *semaphore)
{
    /* Where no loop runs, no message that is under way arrives. */
    if (atomic_fetch_sub(&semaphore->refs, 1) > 1 && loop_count() > 0)
        return;
    for (size_t i = 0; i < RT_LOOPS_MAX; i++)
        base_free(atomic_load(&semaphore->queues[i]));
    base_free(semaphore);
}

void weir_semaphore_free(weir_semaphore *semaphore)
{
    if (!semaphore)
        return;
    if (atomic_load(&semaphore->waiting) > 0) {
        /* They stand in it: it stays. */
        rt_wrong_use("semaphore \"%s\" was freed while tasks wait for it",
                     semaphore->name ? semaphore->name : "");
        return;
    }
    semaphore_unref(semaphore);
}

static bool take_free(weir_semaphore *semaphore)
{
    unsigned free = atomic_load(&semaphore->free);

    while (free > 0)
        if (atomic_compare_exchange_weak(&semaphore->free, &free, free - 1))
            return true;
    return false;
}

/* One that nobody has taken stays out: the bound must hold. */
static bool add_free(weir_semaphore *semaphore)
{
    unsigned free = atomic_load(&semaphore->free);

    while (free < semaphore->units)
        if (atomic_compare_exchange_weak(&semaphore->free, &free, free + 1))
            return true;
    rt_wrong_use("weir_release(): all %u units of \"%s\" are free already: each is given back "
                 "once, and that of .needs by the child's end",
                 semaphore->units, semaphore->name ? semaphore->name : "a semaphore");
    return false;
}

/* Give the unit to the first of the queue. */
static void queue_serve(struct semaphore_queue *queue)
{
    struct node *n = list_pop(&queue->tasks);
    struct task *task = container_of(n, struct task, link);

    atomic_fetch_sub(&queue->waiting, 1);
    atomic_fetch_sub(&queue->semaphore->waiting, 1);
    if (task->state == TASK_PARKED) {
        wait_wake(task->fiber->wait, 0);
    } else {
        task->flags = (uint8_t)((task->flags & ~TASK_IN_QUEUE) | TASK_HAS_UNIT);
        ready_push(loop_current, task);
    }
}

static void queue_serve_free(struct semaphore_queue *queue)
{
    while (!list_empty(&queue->tasks) && take_free(queue->semaphore))
        queue_serve(queue);
}

static void queue_tell(struct semaphore_queue *queue, struct loop *loop)
{
    unsigned run = runtime_number(), before = atomic_exchange(&queue->posted, run);

    if (before == run)
        return;
    if (before == 0)
        atomic_fetch_add(&queue->semaphore->refs, 1);
    loop_post(loop, &queue->message);
}

/* Tell one loop with waiting tasks, in turn. */
static void tell_waiting(weir_semaphore *semaphore)
{
    uint32_t loops = loop_count(), turn = atomic_fetch_add(&semaphore->turn, 1);

    for (uint32_t i = 0; i < loops; i++) {
        uint32_t at = (turn + i) % loops;
        struct semaphore_queue *queue = atomic_load(&semaphore->queues[at]);

        if (!queue || atomic_load(&queue->waiting) == 0)
            continue;
        queue_tell(queue, loop_at(at));
        return;
    }
}

static void queue_told(struct message *message)
{
    struct semaphore_queue *queue = container_of(message, struct semaphore_queue, message);
    weir_semaphore *semaphore = queue->semaphore;

    atomic_store(&queue->posted, 0);
    queue_serve_free(queue);
    if (atomic_load(&semaphore->free) > 0 && atomic_load(&semaphore->waiting) > 0)
        tell_waiting(semaphore);
    semaphore_unref(semaphore);
}

static struct semaphore_queue *queue_of(weir_semaphore *semaphore, struct loop *loop)
{
    struct semaphore_queue *queue = atomic_load_explicit(&semaphore->queues[loop->index],
                                                         memory_order_relaxed);

    if (likely(queue != NULL))
        return queue;
    queue = base_calloc(1, sizeof(*queue));
    if (!queue)
        return NULL;
    queue->message.run = queue_told;
    queue->semaphore = semaphore;
    list_init(&queue->tasks);
    atomic_store(&semaphore->queues[loop->index], queue);
    return queue;
}

/* That of the current loop; a blocking call's thread has none. */
static struct semaphore_queue *queue_here(weir_semaphore *semaphore)
{
    return likely(loop_current) ? queue_of(semaphore, loop_current) : NULL;
}

void semaphore_give(weir_semaphore *semaphore)
{
    struct semaphore_queue *queue = queue_here(semaphore);

    if (queue && !list_empty(&queue->tasks) && ++queue->in_row % SEMAPHORE_OWN_IN_ROW != 0) {
        queue_serve(queue);
        return;
    }
    if (!add_free(semaphore))
        return;
    if (atomic_load(&semaphore->waiting) > 0)
        tell_waiting(semaphore);
}

void weir_release(weir_semaphore *semaphore)
{
    struct fiber *self;

    if (unlikely(semaphore->owned)) {
        self = fiber_current();
        if (self && held_has(self, semaphore))
            held_remove(self, semaphore);
        else
            rt_wrong_use("a unit of \"%s\" is given back by who has not taken it: as it is .owned, "
                         "the task that took a unit gives it back",
                         semaphore_name(semaphore));
    }
    semaphore_give(semaphore);
}

static bool take(weir_semaphore *semaphore)
{
    struct semaphore_queue *queue = queue_here(semaphore);

    return !(queue && !list_empty(&queue->tasks)) && take_free(semaphore);
}

/* The running task has a unit from here on. */
static inline void note_taken(weir_semaphore *semaphore, const void *caller)
{
    if (unlikely(semaphore->owned))
        held_add(loop_current->current, semaphore, caller);
}

int weir_try_acquire(weir_semaphore *semaphore)
{
    if (unlikely(semaphore->owned && !fiber_current())) {
        rt_wrong_use("a unit of \"%s\" is taken outside a task: as it is .owned, only a task can",
                     semaphore_name(semaphore));
        return WEIR_EWRONGUSE;
    }
    if (!take(semaphore))
        return -EAGAIN;
    note_taken(semaphore, HELD_CALLER);
    return 0;
}

/* Enter the queue; the unit may have come at once, through it. */
static int queue_enter(weir_semaphore *semaphore, struct task *task)
{
    struct semaphore_queue *queue = queue_of(semaphore, loop_current);

    if (!queue)
        return -ENOMEM;
    if (atomic_fetch_add(&semaphore->waiting, 1) >= semaphore->max_waiting) {
        atomic_fetch_sub(&semaphore->waiting, 1);
        return weir_fail(WEIR_EFULL, "%u tasks wait for \"%s\" already", semaphore->max_waiting,
                         semaphore->name ? semaphore->name : "a semaphore");
    }
    atomic_fetch_add(&queue->waiting, 1);
    list_push(&queue->tasks, &task->link);
    if (atomic_load(&semaphore->free) > 0)
        queue_tell(queue, loop_current);
    return 0;
}

static void queue_leave(weir_semaphore *semaphore, struct task *task)
{
    struct semaphore_queue *queue = queue_of(semaphore, loop_current);

    list_remove(&task->link);
    atomic_fetch_sub(&queue->waiting, 1);
    atomic_fetch_sub(&semaphore->waiting, 1);
}

struct acquire_wait {
    struct wait wait;
    weir_semaphore *semaphore;
};

static void acquire_abandon(struct wait *wait, int code)
{
    struct acquire_wait *self = container_of(wait, struct acquire_wait, wait);

    queue_leave(self->semaphore, wait->fiber->task);
    wait_wake(wait, code);
}

int weir_acquire(weir_semaphore *semaphore)
{
    struct acquire_wait self = { .wait = { .abandon = acquire_abandon,
                                           .what = "acquire",
                                           .object = semaphore,
                                           .kind = WAIT_UNIT },
                                 .semaphore = semaphore };
    struct task *task;
    int rc = rt_check();

    if (rc < 0)
        return rc;
    task = loop_current->current->task;
    if (task->flags & TASK_HAS_UNIT && task->extra->needs == semaphore) {
        task->flags &= (uint8_t)~TASK_HAS_UNIT;
        note_taken(semaphore, HELD_CALLER);
        return 0;
    }
    if (take(semaphore)) {
        note_taken(semaphore, HELD_CALLER);
        rt_spend();
        return 0;
    }
    rc = queue_enter(semaphore, task);
    if (rc == 0) {
        rc = rt_park(&self.wait);
        if (rc == 0)
            note_taken(semaphore, HELD_CALLER);
        return rc;
    }
    rt_spend(); /* who tries again and again lets others run */
    return rc;
}

int semaphore_start(weir_semaphore *semaphore, struct task *task)
{
    int rc;

    if (take(semaphore)) {
        task->flags |= TASK_HAS_UNIT;
        return 1;
    }
    rc = queue_enter(semaphore, task);
    if (rc == 0)
        task->flags |= TASK_IN_QUEUE;
    return rc;
}

void semaphore_leave(struct task *task)
{
    queue_leave(task->extra->needs, task);
    task->flags &= (uint8_t)~TASK_IN_QUEUE;
    ready_push(task->scope->loop, task);
}
