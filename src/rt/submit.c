/* Work from threads that are not the runtime's: handed over, or waited for.
 *
 * A submission is copied into a bounded ring of the loop, for which it gets one
 * message. A call is a message itself, and its thread waits for it; so calls are
 * bounded by the threads there are.
 *
 * A call's states, under its lock: QUEUED -> STARTED (its function is called) -> OVER,
 * or QUEUED -> OVER, when its time is over before. Two refer to it: the thread until
 * its wait is over, the loop until the message was run and the task has ended.
 *
 * Invariants: what was taken while submit_closed was false is run, as the loop turns
 * once more after that; nothing here looks at a loop but between runtime_enter()
 * and runtime_leave(), or on its own thread. */
#include <weir/remote.h>

#include "base/clock.h"
#include "rt/loop.h"

/* ---- submissions ----------------------------------------------------------------- */

/* Start what other threads have submitted. */
void submit_run(struct message *message)
{
    struct loop *loop = container_of(message, struct loop, submit_message);

    atomic_store(&loop->submit_posted, false);
    for (;;) {
        struct submission work;
        struct task *task;

        pthread_mutex_lock(&loop->submit_lock);
        if (loop->submit_count == 0) {
            pthread_mutex_unlock(&loop->submit_lock);
            return;
        }
        work = loop->submissions[loop->submit_first];
        loop->submit_first = (loop->submit_first + 1) % RT_SUBMISSIONS_MAX;
        loop->submit_count--;
        pthread_mutex_unlock(&loop->submit_lock);
        task = task_new(loop->app, work.fn, work.arg, "submitted from another thread");
        if (!task) {
            weir_fail(-ENOMEM, "no memory to start a task that another thread submitted");
            rt_report_unjoined(NULL, -ENOMEM, chain_current());
            weir_recover();
            continue;
        }
        task->flags |= TASK_ALWAYS;
        ready_push(loop, task);
    }
}

static int submit_to(struct loop *loop, weir_fn *fn, void *arg)
{
    int rc = 0;

    pthread_mutex_lock(&loop->submit_lock);
    if (loop->submit_closed) {
        rc = -ECANCELED;
    } else if (loop->submit_count == RT_SUBMISSIONS_MAX) {
        rc = WEIR_EFULL;
        loop->submit_refused++;
    } else {
        uint32_t at = (loop->submit_first + loop->submit_count++) % RT_SUBMISSIONS_MAX;

        if (loop->submit_count > loop->submit_high)
            loop->submit_high = loop->submit_count;

        loop->submissions[at] = (struct submission){ fn, arg };
        if (!atomic_exchange(&loop->submit_posted, true))
            loop_post(loop, &loop->submit_message);
    }
    pthread_mutex_unlock(&loop->submit_lock);
    return rc;
}

int weir_remote_submit(weir_remote remote, weir_fn *fn, void *arg)
{
    int rc;
    struct loop *loop = runtime_enter(remote.loop, remote.run, &rc);

    if (!loop)
        return rc;
    rc = submit_to(loop, fn, arg);
    runtime_leave();
    return rc;
}

int weir_submit(uint32_t index, weir_fn *fn, void *arg)
{
    return weir_remote_submit((weir_remote){ .loop = index }, fn, arg);
}

void loop_close_submissions(struct loop *loop)
{
    pthread_mutex_lock(&loop->submit_lock);
    loop->submit_closed = true;
    pthread_mutex_unlock(&loop->submit_lock);
}

int weir_remote_of(uint32_t index, weir_remote *ret_remote)
{
    int rc;

    if (!runtime_enter(index, 0, &rc))
        return rc;
    *ret_remote = (weir_remote){ .loop = index, .run = runtime_number() };
    runtime_leave();
    return 0;
}

/* ---- calls ------------------------------------------------------------------------- */

enum call_state { CALL_QUEUED, CALL_STARTED, CALL_OVER };

struct remote_call {
    struct message message;
    pthread_mutex_t lock;
    pthread_cond_t over;
    enum call_state state;
    uint32_t refs;
    weir_fn *fn;
    void *arg;
    const char *site, *name;
    int64_t deadline_ns; /* of the system's clock, as it is the thread's */
    int rc;
    struct chain *chain;
};

static struct remote_call *call_new(weir_fn *fn, void *arg, const weir_remote_call_opts *opts)
{
    struct remote_call *call = base_calloc(1, sizeof(*call));
    pthread_condattr_t attr;

    if (!call)
        return NULL;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&call->over, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&call->lock, NULL);
    call->refs = 2;
    call->fn = fn;
    call->arg = arg;
    call->site = opts->site;
    call->name = opts->name;
    call->deadline_ns = WEIR_NEVER_NS;
    if (opts->timeout_ms)
        call->deadline_ns = clock_monotonic_ns() + (int64_t)opts->timeout_ms * 1000000;
    return call;
}

static void call_unref(struct remote_call *call)
{
    uint32_t left;

    pthread_mutex_lock(&call->lock);
    left = --call->refs;
    pthread_mutex_unlock(&call->lock);
    if (left > 0)
        return;
    chain_free(call->chain);
    pthread_cond_destroy(&call->over);
    pthread_mutex_destroy(&call->lock);
    base_free(call);
}

/* On the loop: its part is over. */
static void call_over(void *arg, int rc, struct chain *chain)
{
    struct remote_call *call = arg;

    pthread_mutex_lock(&call->lock);
    if (call->state != CALL_OVER) { /* else it was given up */
        call->rc = rc < 0 ? rc : call->rc;
        call->state = CALL_OVER;
    }
    call->chain = chain;
    pthread_cond_signal(&call->over);
    pthread_mutex_unlock(&call->lock);
    call_unref(call);
}

static int call_task(void *arg)
{
    struct remote_call *call = arg;
    bool late;
    int rc;

    pthread_mutex_lock(&call->lock);
    late = call->state == CALL_OVER;
    if (!late)
        call->state = CALL_STARTED;
    pthread_mutex_unlock(&call->lock);
    if (late)
        return -ETIMEDOUT;
    rc = call->fn(call->arg);
    call->rc = rc;
    return rc;
}

static void call_begin(struct message *message)
{
    struct remote_call *call = container_of(message, struct remote_call, message);
    struct loop *loop = loop_current;
    struct rt_spawn how = { .name = call->name,
                            .site = call->site,
                            .deadline_ns = call->deadline_ns,
                            .ended = call_over,
                            .arg = call };

    if (how.deadline_ns != WEIR_NEVER_NS) /* a simulation has another clock */
        how.deadline_ns += loop->now_ns - clock_monotonic_ns();
    rt_spawn(scope_handle(loop->app), call_task, call, &how);
}

void submit_refuse(struct loop *loop)
{
    struct message *next, *message = atomic_exchange(&loop->inbox, NULL);

    for (; message; message = next) {
        next = atomic_load(&message->next);
        if (message->run == call_begin)
            call_over(container_of(message, struct remote_call, message), -ECANCELED, NULL);
    }
}

static int call_post(weir_remote remote, struct remote_call *call)
{
    int rc;
    struct loop *loop = runtime_enter(remote.loop, remote.run, &rc);

    if (!loop)
        return rc;
    pthread_mutex_lock(&loop->submit_lock);
    rc = loop->submit_closed ? -ECANCELED : 0;
    if (rc == 0)
        loop_post(loop, &call->message);
    pthread_mutex_unlock(&loop->submit_lock);
    runtime_leave();
    return rc;
}

static int call_wait(struct remote_call *call)
{
    const struct timespec until = { .tv_sec = call->deadline_ns / 1000000000,
                                    .tv_nsec = call->deadline_ns % 1000000000 };
    int rc;

    pthread_mutex_lock(&call->lock);
    while (call->state != CALL_OVER) {
        /* Once it has begun, its deadline ends it, and it is awaited. */
        if (call->state == CALL_STARTED || call->deadline_ns == WEIR_NEVER_NS) {
            pthread_cond_wait(&call->over, &call->lock);
        } else if (pthread_cond_timedwait(&call->over, &call->lock, &until) == ETIMEDOUT &&
                   call->state == CALL_QUEUED) {
            call->state = CALL_OVER;
            call->rc = -ETIMEDOUT;
        }
    }
    rc = call->rc;
    if (call->chain)
        chain_set(call->chain);
    call->chain = NULL;
    pthread_mutex_unlock(&call->lock);
    return rc;
}

int weir_remote_call_opt(weir_remote remote, weir_fn *fn, void *arg,
                         const weir_remote_call_opts *opts)
{
    struct remote_call *call;
    int rc;

    if (loop_current || (remote.loop == 0 && embed_is_here())) {
        rt_wrong_use("weir_remote_call() at %s: the calling thread runs the loop; a task "
                     "starts another with weir_go_on()",
                     opts->site);
        return WEIR_EWRONGUSE;
    }
    call = call_new(fn, arg, opts);
    if (!call)
        return -ENOMEM;
    call->message.run = call_begin;
    block_note_call(call);
    rc = call_post(remote, call);
    if (rc < 0)
        call->refs--; /* no loop has it */
    else
        rc = call_wait(call);
    block_note_call(NULL);
    call_unref(call);
    return rc;
}
