/* Children that run on another loop: .spread, and weir_go_on().
 *
 * The child in the scope is a proxy: a task like any other, so that the scope's
 * limit, its join, .hold and .optional need know nothing of other loops. What
 * travels is a job, which refers to the proxy.
 *
 * A job is offered in a bounded queue of its home, while the proxy stands in the
 * home's ready queue like any task. Whoever is first takes the job: a loop that
 * has nothing to do, or the home, when the proxy's turn comes. So a job runs no
 * later than a plain child would begin. If the queue is full, it is not offered.
 *
 * On the loop that took it, the job runs as a task in a scope of its own, with
 * the deadline and the context of its parent. A cancel or a stop goes over by one
 * message, the end comes back by one.
 *
 * A job's state, under its home's lock: HOME (not offered, or not any more) ->
 * OFFERED -> HOME | TAKEN; HOME -> TAKEN when it is sent. It never comes back.
 *
 * The proxy's: QUEUED -> (its turn, and the job is taken) -> AWAY -> ENDED. AWAY
 * takes no stack. The end may come before the proxy's turn does; it is kept then. It
 * needs a stack only to call .drop; without one it is AWAY for a while longer.
 *
 * Invariants: a job is in its home's slab, and freed by it; when it was taken, not
 * before its end has come back, nor while a control message is under way: one that
 * finds the job over sends another message (released) behind the end. */
#include "rt/spread.h"

#define SPREAD_OFFERS_MAX 256
#define SPREAD_AGAIN_NS 10000000 /* until a stack is asked for once more */

enum spread_state { SPREAD_HOME, SPREAD_OFFERED, SPREAD_TAKEN };
enum { ASKED_STOP = 1, ASKED_CANCEL = 2 };

struct spread_job {
    struct slab_head head;
    struct node link;        /* in its home's offers */
    struct message message;  /* its beginning, when it is sent; its end */
    struct message control;  /* a stop or a cancel, to where it runs */
    struct message released; /* a control message came after its end */
    struct loop *home, *to;
    struct task *task;       /* the proxy; NULL when it has ended */
    weir_fn *fn;
    void *arg;
    const char *name, *site;
    const weir_context *context;
    weir_semaphore *unit;    /* goes with it, to the task that runs it; or NULL */
    int64_t deadline_ns;
    bool background;
    uint8_t state;           /* under the home's lock */

    struct timer again;      /* its end waits for a stack */
    bool ended;              /* the home knows of its end */
    uint32_t posted;         /* control messages, by the home */

    weir_scope scope;        /* where it runs; from here on that loop's, until the end */
    uint32_t seen;           /* control messages, before its end */
    bool over;
    int rc;
    struct chain *chain;

    atomic_bool control_posted;
    atomic_uint asked;
    int cancel_code;         /* these are valid when ASKED_CANCEL is set */
    uint8_t reason;
    const char *origin;
};

/* A loop's part. */
struct spread {
    struct slab jobs;
    pthread_mutex_t lock;
    struct node offers; /* the oldest first */
    uint32_t count;
    struct message look; /* "there may be a job for you" */
    atomic_bool look_posted;
};

atomic_uint spread_offers; /* of all loops: is it worth to look? */

static void spread_look(struct message *message);
static void spread_again(struct timer *timer);
static void spread_ended(struct message *message);
static void spread_released(struct message *message);

int spread_open(struct loop *loop)
{
    struct spread *own = base_calloc(1, sizeof(*own));

    if (!own)
        return -ENOMEM;
    slab_init(&own->jobs, sizeof(struct spread_job), BUDGET_CONNECTION);
    pthread_mutex_init(&own->lock, NULL);
    list_init(&own->offers);
    own->look.run = spread_look;
    loop->spread = own;
    return 0;
}

void spread_close(struct loop *loop)
{
    struct spread *own = loop->spread;

    if (!own)
        return;
    slab_done(&own->jobs);
    pthread_mutex_destroy(&own->lock);
    base_free(own);
    loop->spread = NULL;
}

/* ---- where it runs ------------------------------------------------------------ */

/* The last that this loop knows of the job. */
static void spread_over(void *arg, int rc, struct chain *chain)
{
    struct spread_job *job = arg;

    job->rc = rc < 0 ? rc : job->rc;
    job->chain = chain;
    job->over = true;
    loop_post(job->home, &job->message);
}

static int spread_call(void *arg)
{
    struct spread_job *job = arg;

    if (job->unit) {
        job->rc = task_give_unit(fiber_current()->task, job->unit);
        if (job->rc < 0)
            return job->rc;
        job->unit = NULL;
    }
    job->rc = job->fn(job->arg);
    return job->rc;
}

static void spread_obey(struct spread_job *job, weir_scope s)
{
    unsigned asked = atomic_load(&job->asked);
    struct scope *scope = scope_find(s);

    if (scope && asked & ASKED_STOP)
        scope_stop(scope);
    if (scope && asked & ASKED_CANCEL)
        scope_cancel(scope, job->cancel_code, (weir_reason)job->reason, job->origin);
}

static void spread_begin(struct loop *loop, struct spread_job *job)
{
    struct rt_spawn how = { .name = job->name,
                            .site = job->site,
                            .context = job->context,
                            .deadline_ns = job->deadline_ns,
                            .background = job->background,
                            .ended = spread_over,
                            .arg = job };
    weir_scope s;

    job->message.run = spread_ended;
    s = rt_spawn(loop_app_scope(loop), spread_call, job, &how);
    if (s.slot == 0) /* over already, and perhaps gone */
        return;
    job->scope = s;
    spread_obey(job, s);
}

static void spread_sent(struct message *message)
{
    spread_begin(loop_current, container_of(message, struct spread_job, message));
}

static void spread_controlled(struct message *message)
{
    struct spread_job *job = container_of(message, struct spread_job, control);

    if (job->over) {
        loop_post(job->home, &job->released);
        return;
    }
    job->seen++;
    atomic_store(&job->control_posted, false);
    spread_obey(job, job->scope);
}

/* ---- who takes it -------------------------------------------------------------- */

/* Is this loop waiting for something to do? In a simulation, where loops take
 * turns, none ever sleeps. */
static bool spread_is_idle(struct loop *loop)
{
    return atomic_load(&loop->asleep) || (loop->ops->block && loop_quiet(loop));
}

/* Tell one loop that has nothing to do, and was not told yet. */
static void spread_tell(const struct loop *home)
{
    uint32_t loops = loop_count();

    for (uint32_t i = 1; i < loops; i++) {
        struct loop *loop = loop_at((home->index + i) % loops);

        if (!spread_is_idle(loop) || atomic_exchange(&loop->spread->look_posted, true))
            continue;
        loop_post(loop, &loop->spread->look);
        return;
    }
}

/* With the lock held. */
static void spread_unlist(struct spread *own, struct spread_job *job, uint8_t state)
{
    list_remove(&job->link);
    own->count--;
    atomic_fetch_sub(&spread_offers, 1);
    job->state = state;
}

static struct spread_job *spread_take_from(struct loop *home, struct loop *loop, bool *ret_more)
{
    struct spread *own = home->spread;
    struct spread_job *job = NULL;

    pthread_mutex_lock(&own->lock);
    if (own->count > 0) {
        job = container_of(own->offers.next, struct spread_job, link);
        spread_unlist(own, job, SPREAD_TAKEN);
        job->to = loop;
        *ret_more = own->count > 0;
    }
    pthread_mutex_unlock(&own->lock);
    return job;
}

bool spread_take(struct loop *loop)
{
    uint32_t loops = loop_count();

    for (uint32_t i = 1; i < loops; i++) {
        struct loop *home = loop_at((loop->index + i) % loops);
        bool more = false;
        struct spread_job *job = spread_take_from(home, loop, &more);

        if (!job)
            continue;
        if (more)
            spread_tell(home);
        spread_begin(loop, job);
        return true;
    }
    return false;
}

static void spread_look(struct message *message)
{
    struct spread *own = container_of(message, struct spread, look);
    struct loop *loop = loop_current;

    atomic_store(&own->look_posted, false);
    if (ready_empty(loop) && spread_offered(loop))
        WEIR_IGNORE(spread_take(loop), "another was faster");
}

static void spread_offer(struct spread_job *job)
{
    struct spread *own = job->home->spread;
    bool offered;

    pthread_mutex_lock(&own->lock);
    offered = own->count < SPREAD_OFFERS_MAX;
    if (offered) {
        list_push(&own->offers, &job->link);
        own->count++;
        atomic_fetch_add(&spread_offers, 1);
        job->state = SPREAD_OFFERED;
    }
    pthread_mutex_unlock(&own->lock);
    if (offered)
        spread_tell(job->home);
}

static bool spread_is_taken(struct spread_job *job)
{
    struct spread *own = job->home->spread;
    bool taken;

    pthread_mutex_lock(&own->lock);
    taken = job->state == SPREAD_TAKEN;
    pthread_mutex_unlock(&own->lock);
    return taken;
}

/* Is the job the home's from here on? Else another loop has it. */
static bool spread_claim(struct spread_job *job)
{
    struct spread *own = job->home->spread;
    bool taken;

    pthread_mutex_lock(&own->lock);
    if (job->state == SPREAD_OFFERED)
        spread_unlist(own, job, SPREAD_HOME);
    taken = job->state == SPREAD_TAKEN;
    pthread_mutex_unlock(&own->lock);
    return !taken;
}

/* -ECANCELED when the loop takes nothing any more. */
static int spread_send(struct spread_job *job, struct loop *to)
{
    int rc = 0;

    job->message.run = spread_sent;
    pthread_mutex_lock(&to->submit_lock);
    if (to->submit_closed) {
        rc = -ECANCELED;
    } else {
        job->to = to;
        job->state = SPREAD_TAKEN;
        loop_post(to, &job->message);
    }
    pthread_mutex_unlock(&to->submit_lock);
    return rc;
}

/* ---- the proxy ------------------------------------------------------------------- */

/* To the loop that it is for. */
static int spread_send_there(struct spread_job *job)
{
    struct loop *to = job->to;
    int rc = spread_send(job, to);

    return rc < 0 ? weir_fail(rc, "loop %u takes no tasks any more: the runtime ends", to->index)
                  : 0;
}

/* The end has come back: it becomes the proxy's. */
static int spread_result(struct spread_job *job, struct chain **ret_chain)
{
    struct loop *home = job->home;

    *ret_chain = job->chain;
    job->chain = NULL;
    if (job->rc == -ETIMEDOUT) {
        /* The deadline is the parent's: let it pass here first. */
        home->now_ns = home->ops->now_ns(home);
        WEIR_IGNORE(scope_check(job->task->scope), "only what it notes counts");
    }
    return job->rc;
}

static struct loop *spread_find_idle(const struct loop *home)
{
    uint32_t loops = loop_count();

    for (uint32_t i = 1; i < loops; i++) {
        struct loop *loop = loop_at((home->index + i) % loops);

        if (spread_is_idle(loop))
            return loop;
    }
    return NULL;
}

/* A unit that the proxy has becomes the job's, before that can leave. */
static bool spread_load(struct task *task, struct spread_job *job)
{
    bool has_unit = task->flags & TASK_HAS_UNIT;

    if (has_unit) {
        task->flags &= (uint8_t)~TASK_HAS_UNIT;
        job->unit = task->extra->needs;
    }
    return has_unit;
}

/* It has not left. */
static void spread_unload(struct task *task, struct spread_job *job)
{
    if (job->unit)
        task->flags |= TASK_HAS_UNIT;
    job->unit = NULL;
}

/* The proxy's turn has come. */
static int spread_turn(void *arg)
{
    struct spread_job *job = arg;
    struct fiber *self = loop_current->current;
    int rc;

    if (job->ended) {
        self->arg = job->arg;
        return spread_result(job, &self->chain);
    }
    if (!spread_claim(job))
        return SPREAD_AWAY;
    rc = scope_check(self->scope);
    if (rc < 0)
        return rc;
    if (job->to && job->to != job->home) {
        spread_load(self->task, job);
        rc = spread_send_there(job);
        return rc < 0 ? rc : SPREAD_AWAY;
    }
    if (spread_load(self->task, job)) { /* it was not offered before */
        struct loop *idle = job->to ? NULL : spread_find_idle(job->home);

        if (idle && spread_send(job, idle) == 0)
            return SPREAD_AWAY;
    }
    spread_unload(self->task, job);
    self->arg = job->arg;
    self->arena = &self->own;
    return job->fn(job->arg);
}

static void spread_queue(struct task *task, struct spread_job *job)
{
    task->start.fn = spread_turn;
    task->start.arg = job;
    task->state = TASK_QUEUED;
}

int spread_prepare(struct task *task, struct loop *target)
{
    struct scope *scope = task->scope;
    struct loop *home = scope->loop;
    struct spread_job *job = slab_alloc(&home->spread->jobs);

    if (!job)
        return -ENOMEM;
    memset((char *)job + sizeof(job->head), 0, sizeof(*job) - sizeof(job->head));
    list_init(&job->link);
    job->control.run = spread_controlled;
    job->released.run = spread_released;
    timer_init(&job->again, spread_again);
    job->home = home;
    job->to = target;
    job->task = task;
    job->fn = task->start.fn;
    job->arg = task->start.arg;
    job->name = task->extra->name;
    job->site = task->site;
    job->context = scope->context;
    job->deadline_ns = scope->deadline_ns;
    job->background = scope->flags & SCOPE_BACKGROUND;
    if (scope->flags & SCOPE_STOPPING)
        atomic_init(&job->asked, ASKED_STOP);
    task->extra->spread = job;
    task->flags |= TASK_SPREAD | TASK_ALWAYS; /* it looks for itself whether it is late */
    spread_queue(task, job);
    return 0;
}

int spread_place(struct task *task)
{
    struct spread_job *job = task->extra->spread;
    int rc;

    if (job->to && job->to == job->home)
        return 1;
    spread_load(task, job);
    if (!job->to) {
        if (loop_count() > 1)
            spread_offer(job);
        return 1;
    }
    rc = spread_send_there(job);
    if (rc == 0)
        task->state = TASK_AWAY;
    return rc;
}

bool spread_left(struct task *task)
{
    struct spread_job *job = task->extra->spread;

    if (!job || job->state != SPREAD_TAKEN || job->ended)
        return false;
    task->state = TASK_AWAY;
    task->fiber = NULL;
    return true;
}

bool spread_waits(struct task *task, int *ret_rc, struct chain **ret_chain)
{
    struct spread_job *job = task->extra->spread;

    if (!job)
        return false;
    if (!job->ended) {
        if (!spread_claim(job))
            task->state = TASK_AWAY;
    } else if (task_drops(task, job->rc)) {
        task->state = TASK_AWAY;
        timer_set(job->home, &job->again, job->home->now_ns + SPREAD_AGAIN_NS);
    } else {
        *ret_rc = spread_result(job, ret_chain);
    }
    return task->state == TASK_AWAY;
}

/* ---- its end, at home -------------------------------------------------------------- */

static void spread_free(struct spread_job *job)
{
    chain_free(job->chain);
    slab_free(&job->home->spread->jobs, job);
}

static void spread_come_back(struct spread_job *job)
{
    spread_queue(job->task, job);
    ready_push(job->home, job->task);
}

static void spread_again(struct timer *timer)
{
    spread_come_back(container_of(timer, struct spread_job, again));
}

static void spread_ended(struct message *message)
{
    struct spread_job *job = container_of(message, struct spread_job, message);

    job->ended = true;
    if (job->task->state == TASK_AWAY)
        spread_come_back(job);
}

static void spread_released(struct message *message)
{
    struct spread_job *job = container_of(message, struct spread_job, released);

    job->seen++;
    if (!job->task)
        spread_free(job);
}

void spread_forget(struct task *task)
{
    struct spread_job *job = task->extra->spread;

    task->extra->spread = NULL;
    WEIR_IGNORE(spread_claim(job), "it is over, or was never begun");
    if (job->unit)
        semaphore_give(job->unit);
    job->task = NULL;
    if (job->posted == job->seen)
        spread_free(job);
}

/* ---- stop and cancel ---------------------------------------------------------------- */

static void spread_ask(struct spread_job *job, unsigned what)
{
    atomic_fetch_or(&job->asked, what);
    if (atomic_exchange(&job->control_posted, true))
        return;
    job->posted++;
    loop_post(job->to, &job->control);
}

void spread_cancel(struct task *task, const struct scope *scope)
{
    struct spread_job *job = task->extra->spread;

    if (job->ended || spread_claim(job))
        return;
    job->cancel_code = scope->cancel_code;
    job->reason = scope->reason;
    job->origin = scope->origin;
    spread_ask(job, ASKED_CANCEL);
}

void spread_stop(struct task *task)
{
    struct spread_job *job = task->extra->spread;

    /* Marked first: who takes the job looks after that. */
    atomic_fetch_or(&job->asked, ASKED_STOP);
    if (!job->ended && spread_is_taken(job))
        spread_ask(job, ASKED_STOP);
}
