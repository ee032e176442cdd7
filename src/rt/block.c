/* The blocking pool: threads for calls that would hold a loop.
 *
 * One bounded queue for the process. A job stands on its caller's stack: the
 * caller is parked until the job has ended, or was taken out of the queue before
 * a thread began it. So a job needs no memory, and can't be lost.
 *
 * Invariants: a job is in the queue, or started, or neither; jobs in the queue
 * and running never exceed queue_max + threads_max, so that no more than
 * queue_max wait once the threads have woken; a started job is always reported
 * by one message. */
#include "base/alloc.h"
#include "rt/loop.h"

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct node jobs;
    uint32_t queued, queue_max;
    uint32_t running;
    uint32_t threads, threads_max;
    bool closing;
    pthread_t *ids;
};

static struct pool pool;
static _Thread_local struct block_job *job_current;

const weir_context *block_context(void)
{
    return job_current ? job_current->context : NULL;
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

static void *pool_thread(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&pool.lock);
    for (;;) {
        struct node *n = list_pop(&pool.jobs);
        struct block_job *job;

        if (!n) {
            if (pool.closing)
                break;
            pthread_cond_wait(&pool.work, &pool.lock);
            continue;
        }
        job = container_of(n, struct block_job, link);
        pool.queued--;
        pool.running++;
        job->started = true;
        pthread_mutex_unlock(&pool.lock);
        block_run(job);
        loop_post(job->loop, &job->message);
        pthread_mutex_lock(&pool.lock);
        pool.running--;
    }
    pthread_mutex_unlock(&pool.lock);
    return NULL;
}

int block_pool_open(uint32_t threads, uint32_t queue_max)
{
    pool.ids = base_calloc(threads, sizeof(*pool.ids));
    if (!pool.ids)
        return -ENOMEM;
    pthread_mutex_init(&pool.lock, NULL);
    pthread_cond_init(&pool.work, NULL);
    list_init(&pool.jobs);
    pool.threads_max = threads;
    pool.queue_max = queue_max;
    pool.queued = pool.running = pool.threads = 0;
    pool.closing = false;
    return 0;
}

void block_pool_close(void)
{
    pthread_mutex_lock(&pool.lock);
    pool.closing = true;
    pthread_cond_broadcast(&pool.work);
    pthread_mutex_unlock(&pool.lock);
    for (uint32_t i = 0; i < pool.threads; i++)
        pthread_join(pool.ids[i], NULL);
    base_free(pool.ids);
    pool.ids = NULL;
    pthread_cond_destroy(&pool.work);
    pthread_mutex_destroy(&pool.lock);
}

/* With the lock held: another thread, when all have work and there may be more. */
static bool pool_grow(void)
{
    if (pool.running + pool.queued < pool.threads || pool.threads == pool.threads_max)
        return pool.threads > 0;
    if (pthread_create(&pool.ids[pool.threads], NULL, pool_thread, NULL) == 0)
        pool.threads++;
    return pool.threads > 0;
}

static int pool_submit(struct block_job *job)
{
    int rc = 0;

    pthread_mutex_lock(&pool.lock);
    if (pool.running + pool.queued >= pool.threads_max + pool.queue_max)
        rc = weir_fail(-EBUSY, "all %u threads of the blocking pool are busy, and %u calls wait",
                       pool.threads_max, pool.queue_max);
    else if (!pool_grow())
        rc = weir_fail(-EBUSY, "no thread could be started for the blocking pool");
    if (rc == 0) {
        list_push(&pool.jobs, &job->link);
        pool.queued++;
        pthread_cond_signal(&pool.work);
    }
    pthread_mutex_unlock(&pool.lock);
    return rc;
}

static bool pool_withdraw(struct block_job *job)
{
    bool found;

    pthread_mutex_lock(&pool.lock);
    found = !job->started;
    if (found) {
        list_remove(&job->link);
        pool.queued--;
    }
    pthread_mutex_unlock(&pool.lock);
    return found;
}

static void block_abandon(struct wait *wait, int code)
{
    struct block_job *job = container_of(wait, struct block_job, wait);
    const struct io_ops *ops = job->loop->ops;

    if (ops->block_withdraw ? ops->block_withdraw(job->loop, job) : pool_withdraw(job))
        wait_wake(wait, code);
}

static void block_ended(struct message *message)
{
    struct block_job *job = container_of(message, struct block_job, message);

    wait_wake(&job->wait, job->rc);
}

int weir_block(weir_fn *fn, void *arg)
{
    struct loop *loop = loop_current;
    struct fiber *self = fiber_current();
    struct block_job job = {
        .message = { .run = block_ended },
        .wait = { .abandon = block_abandon, .what = "blocking call", .object = (void *)fn },
        .loop = loop,
        .fn = fn,
        .arg = arg,
    };
    int rc = rt_check();

    if (rc < 0)
        return rc;
    job.context = self->scope->context;
    job.deadline_ns = self->scope->deadline_ns;
    list_init(&job.link);
    job.wait.fiber = self;
    rc = loop->ops->block ? loop->ops->block(loop, &job) : pool_submit(&job);
    if (rc < 0) {
        rt_spend(); /* who tries again and again lets others run */
        return rc;
    }
    rc = rt_park(&job.wait);
    if (job.chain) {
        chain_free(self->chain);
        self->chain = job.chain;
    }
    return rc;
}
