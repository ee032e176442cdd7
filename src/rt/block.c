/* Blocking calls: a job for a pool of threads, and the parked task that gave it.
 *
 * A job stands on its caller's stack: the caller is parked until the job has
 * ended, or was taken out of the queue before a thread began it. So a job needs no
 * memory, and can't be lost. One that may be abandoned is a block of its own, with
 * a copy of the context, since its caller may be gone while it runs. */
#include <string.h>

#include "base/alloc.h"
#include "rt/block.h"
#include "rt/threads.h"

#define IDLE_NS INT64_C(10000000000)
#define FILE_THREADS 8
#define THREADS_MAX 1024
#define QUEUE_MAX 1000000

static struct {
    weir_threads common[WEIR_THREADS_CPU + 1];
} pools;

static _Thread_local struct block_job *job_current;

const weir_context *block_context(void)
{
    return job_current ? job_current->context : NULL;
}

void block_note_call(const void *call)
{
    if (job_current)
        atomic_store(&job_current->calls, call);
}

int64_t block_deadline_ns(void)
{
    return job_current ? job_current->deadline_ns : WEIR_NEVER_NS;
}

void block_run(struct block_job *job)
{
    struct block_job *outer = job_current;
    struct chain **outer_slot = error_slot;

    job_current = job;
    error_slot = &job->chain;
    job->rc = job->fn(job->arg);
    error_slot = outer_slot;
    job_current = outer;
}

void block_report(struct block_job *job)
{
    if (!job->abandoned) {
        loop_post(job->loop, &job->message);
        return;
    }
    job->abandon(job->arg);
    chain_free(job->chain);
    base_free(job);
}

/* ---- pools ---------------------------------------------------------------- */

void block_pools_open(const weir_run_opts *opts, uint32_t cores)
{
    threads_init(&pools.common[WEIR_THREADS_CALLS], "calls", opts->block_threads, opts->block_queue,
                 IDLE_NS);
    threads_init(&pools.common[WEIR_THREADS_FILES], "files",
                 opts->file_threads ? opts->file_threads : FILE_THREADS, opts->block_queue,
                 IDLE_NS);
    threads_init(&pools.common[WEIR_THREADS_CPU], "cpu",
                 opts->cpu_threads ? opts->cpu_threads : cores, opts->block_queue, IDLE_NS);
}

void block_pools_close(void)
{
    for (int kind = 0; kind <= WEIR_THREADS_CPU; kind++)
        threads_done(&pools.common[kind]);
}

weir_threads *weir_threads_common(weir_threads_kind kind)
{
    return &pools.common[(unsigned)kind <= WEIR_THREADS_CPU ? kind : WEIR_THREADS_CALLS];
}

int weir_threads_new_opt(weir_threads **ret_threads, const weir_threads_opts *opts)
{
    uint32_t threads = opts->threads ? opts->threads : 4, queue = opts->queue ? opts->queue : 64;
    weir_threads *pool;

    if (!opts->name || !*opts->name || strlen(opts->name) >= THREADS_NAME_BYTES)
        return weir_fail(-EINVAL, "a pool of threads needs a name of at most %d bytes",
                         THREADS_NAME_BYTES - 1);
    if (threads > THREADS_MAX || queue > QUEUE_MAX)
        return weir_fail(-EINVAL,
                         "the pool \"%s\" has %u threads and a queue of %u: at most %d "
                         "and %d are allowed",
                         opts->name, threads, queue, THREADS_MAX, QUEUE_MAX);
    pool = base_malloc(sizeof(*pool));
    if (!pool)
        return -ENOMEM;
    threads_init(pool, opts->name, threads, queue,
                 opts->idle_ms ? opts->idle_ms * INT64_C(1000000) : IDLE_NS);
    *ret_threads = pool;
    return 0;
}

void weir_threads_free(weir_threads *pool)
{
    if (!pool)
        return;
    threads_close(pool);
    base_free(pool);
}

/* ---- calls ---------------------------------------------------------------- */

/* The caller's part. */
struct block_call {
    struct wait wait;
    struct block_job *job; /* NULL: abandoned */
};

/* No pool ends while a task is in a call on it. */
void block_look(const struct wait *wait, struct block_look *look)
{
    const struct block_call *call = container_of((struct wait *)(uintptr_t)wait, struct block_call,
                                                 wait);
    struct block_job *job = call->job;

    *look = (struct block_look){ .pool = job->pool,
                                 .calls = atomic_load(&job->calls),
                                 .name = job->pool->name,
                                 .threads_max = job->pool->threads_max,
                                 .started = threads_began(job->pool, job) };
}

static enum job_end give_up(struct block_job *job)
{
    const struct io_ops *ops = job->loop->ops;

    return ops->block_give_up ? ops->block_give_up(job->loop, job)
                              : threads_give_up(job->pool, job);
}

static void block_abandon(struct wait *wait, int code)
{
    struct block_call *call = container_of(wait, struct block_call, wait);
    enum job_end end = give_up(call->job);

    if (end == JOB_ABANDONED)
        call->job = NULL;
    if (end != JOB_RUNS)
        wait_wake(wait, code);
}

static void block_ended(struct message *message)
{
    struct block_job *job = container_of(message, struct block_job, message);

    wait_wake(&job->call->wait, job->rc);
}

static char *copy_slice(weir_str *slice, char *to)
{
    if (slice->len == 0)
        return to;
    memcpy(to, slice->ptr, slice->len);
    slice->ptr = to;
    return to + slice->len;
}

/* A job that can outlive its caller: with what it sees of it. */
static struct block_job *job_copy(const struct block_job *from)
{
    static const weir_context none;
    struct {
        struct block_job job;
        weir_context context;
        char text[];
    } *copy;
    const weir_context *context = from->context ? from->context : &none;
    char *to;

    copy = base_malloc(sizeof(*copy) + context->correlation_id.len + context->trace_id.len +
                       context->span_id.len + context->principal.len + context->route.len);
    if (!copy)
        return NULL;
    copy->job = *from;
    copy->context = *context;
    copy->job.context = &copy->context;
    list_init(&copy->job.link);
    to = copy_slice(&copy->context.correlation_id, copy->text);
    to = copy_slice(&copy->context.trace_id, to);
    to = copy_slice(&copy->context.span_id, to);
    to = copy_slice(&copy->context.principal, to);
    copy_slice(&copy->context.route, to);
    return &copy->job;
}

static int submit(struct loop *loop, struct block_job *job)
{
    return loop->ops->block ? loop->ops->block(loop, job) : threads_submit(job->pool, job);
}

/* The job is given, and waited for. */
static int call_job(struct block_call *call, struct fiber *self)
{
    int rc = submit(call->job->loop, call->job);

    if (rc < 0) {
        rt_spend(); /* who tries again and again lets others run */
        return rc;
    }
    rc = rt_park(&call->wait);
    if (call->job && call->job->chain) {
        chain_free(self->chain);
        self->chain = call->job->chain;
    }
    return rc;
}

static int block_on(weir_threads *pool, weir_fn *fn, void *arg, const weir_block_opts *opts)
{
    struct fiber *self = fiber_current();
    struct block_job job = {
        .message = { .run = block_ended },
        .pool = pool,
        .loop = loop_current,
        .fn = fn,
        .arg = arg,
        .name = opts->name ? opts->name : "blocking call",
        .site = self->task->site,
        .abandon = opts->abandon,
        .context = self->scope->context,
        .deadline_ns = self->scope->deadline_ns,
    };
    struct block_call call = {
        .wait = { .abandon = block_abandon,
                  .what = opts->name ? opts->name : "blocking call",
                  .object = (void *)fn,
                  .kind = WAIT_BLOCK },
    };
    int rc;

    list_init(&job.link);
    job.call = &call;
    call.job = opts->abandon ? job_copy(&job) : &job;
    if (!call.job)
        return -ENOMEM;
    rc = call_job(&call, self);
    if (opts->abandon)
        *opts->abandoned = !call.job;
    if (call.job != &job)
        base_free(call.job);
    return rc;
}

int block_call_on(weir_threads *pool, weir_fn *fn, void *arg, const weir_block_opts *opts)
{
    int rc;

    if (opts->abandon && !opts->abandoned)
        return weir_fail(-EINVAL, "a blocking call that may be abandoned must say in .abandoned "
                                  "whether it was");
    if (opts->abandoned)
        *opts->abandoned = false;
    rc = rt_check();
    return rc < 0 ? rc : block_on(pool, fn, arg, opts);
}

int block_call_shielded(weir_threads *pool, weir_fn *fn, void *arg, const char *name)
{
    struct fiber *self = fiber_current();
    struct block_call call = {
        .wait = { .what = name, .object = (void *)fn, .kind = WAIT_BLOCK },
    };
    struct block_job job = {
        .message = { .run = block_ended },
        .call = &call,
        .pool = pool,
        .loop = loop_current,
        .fn = fn,
        .arg = arg,
        .name = name,
        .site = self->task->site,
        .context = self->scope->context,
        .deadline_ns = WEIR_NEVER_NS,
    };
    struct chain *kept = self->chain;
    int rc;

    list_init(&job.link);
    call.job = &job;
    self->chain = NULL; /* a refusal is nobody's business */
    rc = submit(loop_current, &job);
    weir_recover();
    self->chain = kept;
    if (rc < 0)
        return fn(arg);
    rc = rt_park_shielded(&call.wait);
    if (job.chain) {
        chain_free(self->chain);
        self->chain = job.chain;
    }
    return rc;
}

int weir_block_opt(weir_fn *fn, void *arg, const weir_block_opts *opts)
{
    return block_call_on(opts->pool ? opts->pool : &pools.common[WEIR_THREADS_CALLS], fn, arg,
                         opts);
}
