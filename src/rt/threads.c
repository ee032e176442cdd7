/* Pools of threads for blocking calls.
 *
 * A job goes to an idle thread if there is one, to a new one while there may be
 * more, else into the queue. It is handed to the very thread that is to run it,
 * the one that became idle last: so a pool that has little to do keeps few threads
 * busy, and the others find that they were idle for long, and end.
 *
 * A thread says that it is idle again before it tells a job's caller: what the
 * caller gives next finds it. It sleeps on a word of its own, not on the pool's
 * lock; so a job costs its giver one lock and at most one wake, and its thread one
 * lock.
 *
 * Threads end by themselves; each joins the one that ended before it, so that at
 * most one is yet to be joined.
 *
 * Invariants: a job is in the queue, or started, or neither; jobs in the queue and
 * running never exceed threads_max + queue_max, so that no more than queue_max
 * wait once the threads have woken; a started job is always reported by one
 * message, unless it was abandoned. */
#include "rt/threads.h"

#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "rt/alt_stack.h"
#include "rt/block.h"

#define FIRST_BUCKET_NS 10000

enum { THREAD_AWAKE, THREAD_CALLED, THREAD_ASLEEP };

/* On its own stack. */
struct pool_thread {
    struct pool_thread *next; /* in idle */
    struct block_job *job;    /* handed to it */
    atomic_uint state;        /* CALLED: it has a job, or is to end */
};

typedef void observer(void *_Atomic *place, const char *pool, int64_t queued_ns);

static struct {
    observer *_Atomic told;
} observers;

/* For who looks; the lock is taken before a pool's. */
static struct {
    pthread_mutex_t lock;
    pthread_once_t once;
    struct node pools;
} all = { .lock = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT };

void threads_on_queued(void (*observe)(void *_Atomic *place, const char *pool, int64_t queued_ns))
{
    atomic_store(&observers.told, observe);
}

/* ---- sleeping ------------------------------------------------------------ */

/* With the lock held; true: it is to be woken. */
static bool thread_call(struct pool_thread *thread)
{
    return atomic_exchange(&thread->state, THREAD_CALLED) == THREAD_ASLEEP;
}

/* Its address is all that is used: the thread may be gone by now. */
static void thread_wake(struct pool_thread *thread)
{
    syscall(SYS_futex, &thread->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Sleep until it is called; false: not for idle_ns. */
static bool thread_sleep(struct pool_thread *thread, int64_t idle_ns)
{
    struct timespec limit = { .tv_sec = idle_ns / 1000000000, .tv_nsec = idle_ns % 1000000000 };
    unsigned awake = THREAD_AWAKE;

    atomic_compare_exchange_strong(&thread->state, &awake, THREAD_ASLEEP);
    while (atomic_load(&thread->state) == THREAD_ASLEEP)
        if (syscall(SYS_futex, &thread->state, FUTEX_WAIT_PRIVATE, THREAD_ASLEEP,
                    idle_ns == WEIR_NEVER_NS ? NULL : &limit, NULL, 0) < 0 &&
            errno == ETIMEDOUT)
            return false;
    return true;
}

/* ---- figures ------------------------------------------------------------- */

static void count_locked(weir_threads *pool, int64_t queued_ns, int64_t begun_ns, int64_t ended_ns)
{
    weir_threads_stats *stats = &pool->stats;
    int64_t waited_ns = begun_ns > queued_ns ? begun_ns - queued_ns : 0;
    int bucket = 0;

    for (int64_t bound = FIRST_BUCKET_NS; bucket < WEIR_THREADS_BUCKETS - 1 && waited_ns > bound;
         bound *= 4)
        bucket++;
    stats->queued[bucket]++;
    stats->calls++;
    stats->queued_total_ns += (uint64_t)waited_ns;
    stats->run_total_ns += (uint64_t)(ended_ns > begun_ns ? ended_ns - begun_ns : 0);
    if ((uint64_t)waited_ns > stats->queued_longest_ns)
        stats->queued_longest_ns = (uint64_t)waited_ns;
}

static void observe(weir_threads *pool, int64_t queued_ns, int64_t begun_ns)
{
    observer *told = atomic_load_explicit(&observers.told, memory_order_acquire);

    if (told)
        told(&pool->observed, pool->name, begun_ns > queued_ns ? begun_ns - queued_ns : 0);
}

void threads_count(weir_threads *pool, int64_t queued_ns, int64_t begun_ns, int64_t ended_ns)
{
    pthread_mutex_lock(&pool->lock);
    count_locked(pool, queued_ns, begun_ns, ended_ns);
    pthread_mutex_unlock(&pool->lock);
    observe(pool, queued_ns, begun_ns);
}

void weir_threads_read_stats(weir_threads *pool, weir_threads_stats *ret_stats)
{
    pthread_mutex_lock(&pool->lock);
    *ret_stats = pool->stats;
    pthread_mutex_unlock(&pool->lock);
}

void threads_look(weir_threads *pool, struct threads_look *look)
{
    int64_t now_ns = clock_monotonic_ns();

    memset(look, 0, sizeof(*look));
    memcpy(look->name, pool->name, sizeof(look->name));
    look->threads_max = pool->threads_max;
    look->queue_max = pool->queue_max;
    pthread_mutex_lock(&pool->lock);
    look->stats = pool->stats;
    list_each(n, &pool->running) {
        const struct block_job *job = container_of(n, struct block_job, link);

        look->jobs[look->count].name = job->name;
        look->jobs[look->count].site = job->site;
        look->jobs[look->count].age_ns = now_ns - job->queued_ns;
        if (++look->count == THREADS_LOOK_JOBS)
            break;
    }
    pthread_mutex_unlock(&pool->lock);
}

static void all_init(void)
{
    list_init(&all.pools);
}

static void threads_enter(weir_threads *pool)
{
    pthread_once(&all.once, all_init);
    pthread_mutex_lock(&all.lock);
    list_push(&all.pools, &pool->link);
    pthread_mutex_unlock(&all.lock);
}

static void threads_leave(weir_threads *pool)
{
    pthread_mutex_lock(&all.lock);
    list_remove(&pool->link);
    pthread_mutex_unlock(&all.lock);
}

uint32_t threads_look_at_all(struct threads_look *ret_looks, uint32_t max)
{
    uint32_t count = 0;

    pthread_once(&all.once, all_init);
    pthread_mutex_lock(&all.lock);
    list_each(n, &all.pools) {
        if (count < max)
            threads_look(container_of(n, weir_threads, link), &ret_looks[count]);
        count++;
    }
    pthread_mutex_unlock(&all.lock);
    return count;
}

/* ---- a thread ------------------------------------------------------------ */

/* Run a job to its end, which its caller is not told yet; takes the lock. */
static void run_job(weir_threads *pool, struct block_job *job)
{
    int64_t begun_ns = clock_monotonic_ns();

    block_run(job);
    observe(pool, job->queued_ns, begun_ns);
    pthread_mutex_lock(&pool->lock);
    job->ended = true;
    pool->stats.running--;
    list_remove(&job->link);
    count_locked(pool, job->queued_ns, begun_ns, clock_monotonic_ns());
}

/* With the lock held: the next job of the queue, or NULL; it is idle then. */
static struct block_job *take_job(weir_threads *pool, struct pool_thread *self)
{
    struct node *n = list_pop(&pool->jobs);
    struct block_job *job;

    if (!n) {
        self->job = NULL;
        atomic_store_explicit(&self->state, THREAD_AWAKE, memory_order_relaxed);
        self->next = pool->idle;
        pool->idle = self;
        return NULL;
    }
    job = container_of(n, struct block_job, link);
    list_push(&pool->running, &job->link);
    pool->stats.waiting--;
    pool->stats.running++;
    job->started = true;
    return job;
}

static void leave_idle(weir_threads *pool, struct pool_thread *self)
{
    for (struct pool_thread **at = &pool->idle; *at; at = &(*at)->next)
        if (*at == self) {
            *at = self->next;
            return;
        }
}

/* Sleep until a job is handed over. NULL, with the lock held: it is to end. */
static struct block_job *await_job(weir_threads *pool, struct pool_thread *self)
{
    if (thread_sleep(self, pool->idle_ns) && self->job)
        return self->job;
    pthread_mutex_lock(&pool->lock);
    if (self->job) { /* given just now */
        pthread_mutex_unlock(&pool->lock);
        return self->job;
    }
    leave_idle(pool, self);
    return NULL;
}

/* With the lock held, which is given up before ended's caller is told. NULL, with
 * the lock held: it is to end. */
static struct block_job *next_job(weir_threads *pool, struct pool_thread *self,
                                  struct block_job *ended)
{
    bool closing = pool->closing;
    struct block_job *job = take_job(pool, self);

    if (!job && closing) /* nobody calls it any more */
        leave_idle(pool, self);
    pthread_mutex_unlock(&pool->lock);
    if (ended)
        block_report(ended);
    if (job)
        return job;
    if (!closing)
        return await_job(pool, self);
    pthread_mutex_lock(&pool->lock);
    return NULL;
}

/* With the lock held; gives it up. */
static void thread_exit(weir_threads *pool)
{
    pthread_t before = pool->exited;
    bool join = pool->has_exited;
    struct loop *closer = NULL;

    pool->exited = pthread_self();
    pool->has_exited = true;
    if (--pool->stats.threads == 0) {
        pthread_cond_signal(&pool->gone);
        closer = pool->closer;
    }
    if (closer) /* under the lock: the pool goes when the message has arrived */
        loop_post(closer, &pool->told_gone);
    pthread_mutex_unlock(&pool->lock);
    if (join)
        pthread_join(before, NULL);
}

static void *thread_main(void *arg)
{
    weir_threads *pool = arg;
    struct pool_thread self = { .job = NULL };
    struct block_job *job = NULL;
    struct alt_stack stack;

    alt_stack_begin(&stack);
    pthread_setname_np(pthread_self(), pool->name);
    pthread_mutex_lock(&pool->lock);
    while ((job = next_job(pool, &self, job)) != NULL)
        run_job(pool, job);
    alt_stack_end(&stack);
    thread_exit(pool);
    return NULL;
}

/* With the lock held. */
static int thread_start(weir_threads *pool)
{
    sigset_t old;
    pthread_t id;
    int rc;

    if (pool->has_exited) {
        pool->has_exited = false;
        pthread_join(pool->exited, NULL);
    }
    alt_stack_mask(&old);
    rc = -pthread_create(&id, NULL, thread_main, pool);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc == 0)
        pool->stats.threads++;
    return rc;
}

int threads_start_one(weir_threads *pool)
{
    int rc;

    pthread_mutex_lock(&pool->lock);
    rc = thread_start(pool);
    pthread_mutex_unlock(&pool->lock);
    return rc;
}

/* ---- jobs ---------------------------------------------------------------- */

int threads_refuse(weir_threads *pool)
{
    pool->stats.refused++;
    return weir_fail(-EBUSY,
                     "the %u threads of the pool \"%s\" are busy, and %u calls wait: "
                     "give it more of either, or ask less of it",
                     pool->threads_max, pool->name, pool->stats.waiting);
}

int threads_submit(weir_threads *pool, struct block_job *job)
{
    struct pool_thread *thread;
    bool asleep;
    int rc = 0;

    job->queued_ns = clock_monotonic_ns();
    pthread_mutex_lock(&pool->lock);
    thread = pool->idle;
    if (thread) {
        pool->idle = thread->next;
        thread->job = job;
        job->started = true;
        list_push(&pool->running, &job->link);
        pool->stats.running++;
        asleep = thread_call(thread);
        pthread_mutex_unlock(&pool->lock);
        if (asleep)
            thread_wake(thread);
        return 0;
    }
    if (pool->stats.running + pool->stats.waiting >= pool->threads_max + pool->queue_max)
        rc = threads_refuse(pool);
    else if (pool->stats.threads < pool->threads_max && thread_start(pool) < 0 &&
             pool->stats.threads == 0)
        rc = weir_fail(-EBUSY, "the system starts no thread for the pool \"%s\"", pool->name);
    if (rc == 0) {
        list_push(&pool->jobs, &job->link);
        if (++pool->stats.waiting > pool->stats.waiting_high)
            pool->stats.waiting_high = pool->stats.waiting;
    }
    pthread_mutex_unlock(&pool->lock);
    return rc;
}

bool threads_began(weir_threads *pool, const struct block_job *job)
{
    bool began;

    pthread_mutex_lock(&pool->lock);
    began = job->started;
    pthread_mutex_unlock(&pool->lock);
    return began;
}

enum job_end threads_give_up(weir_threads *pool, struct block_job *job)
{
    enum job_end end = JOB_RUNS;

    pthread_mutex_lock(&pool->lock);
    if (!job->started) {
        list_remove(&job->link);
        pool->stats.waiting--;
        pool->stats.withdrawn++;
        end = JOB_WITHDRAWN;
    } else if (job->abandon && !job->ended) {
        job->abandoned = true;
        pool->stats.abandoned++;
        end = JOB_ABANDONED;
    }
    pthread_mutex_unlock(&pool->lock);
    return end;
}

/* ---- a pool's life ------------------------------------------------------- */

static void told_gone(struct message *message)
{
    weir_threads *pool = container_of(message, weir_threads, told_gone);

    wait_wake(pool->closer_wait, 0);
}

void threads_init(weir_threads *pool, const char *name, uint32_t threads_max, uint32_t queue_max,
                  int64_t idle_ns)
{
    *pool = (weir_threads){ .threads_max = threads_max,
                            .queue_max = queue_max,
                            .idle_ns = idle_ns,
                            .told_gone = { .run = told_gone } };
    snprintf(pool->name, sizeof(pool->name), "%s", name);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->gone, NULL);
    list_init(&pool->jobs);
    list_init(&pool->running);
    threads_enter(pool);
}

/* With the lock held: let all threads end. */
static void dismiss(weir_threads *pool)
{
    pool->closing = true;
    while (pool->idle) {
        struct pool_thread *thread = pool->idle;

        pool->idle = thread->next;
        if (thread_call(thread))
            thread_wake(thread);
    }
}

void threads_done(weir_threads *pool)
{
    pthread_mutex_lock(&pool->lock);
    dismiss(pool);
    while (pool->stats.threads > 0)
        pthread_cond_wait(&pool->gone, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    threads_leave(pool);
    if (pool->has_exited)
        pthread_join(pool->exited, NULL);
    pthread_cond_destroy(&pool->gone);
    pthread_mutex_destroy(&pool->lock);
}

void threads_close(weir_threads *pool)
{
    struct wait wait = { .what = "end of a pool's threads", .object = pool };
    bool any;

    pthread_mutex_lock(&pool->lock);
    any = pool->stats.threads > 0;
    if (any) {
        pool->closer = loop_current;
        pool->closer_wait = &wait;
    }
    dismiss(pool);
    pthread_mutex_unlock(&pool->lock);
    if (any)
        rt_park_shielded(&wait);
    threads_done(pool);
}
