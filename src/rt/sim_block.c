/* Blocking calls in a simulation: run inline, by the clock's events.
 *
 * The bounds are those of each call's pool of threads, and a call that waits can
 * be withdrawn. A call runs at the moment it begins, and its caller learns of its
 * end up to block_ms later; until then one that may be abandoned can be.
 *
 * A job's event is armed while it runs; in the queue it is not. */
#include "base/alloc.h"
#include "rt/sim_state.h"
#include "rt/threads.h"

/* Begin what there is a thread for. */
static void jobs_begin(struct sim *sim)
{
    list_each(n, &sim->jobs) {
        struct sim_job *own = container_of(n, struct sim_job, link);
        struct block_job *job = own->job;
        weir_threads *pool = job->pool;

        if (job->started || pool->stats.running == pool->threads_max)
            continue;
        job->started = true;
        pool->stats.waiting--;
        pool->stats.running++;
        own->begun_ns = sim->now_ns;
        sim_enter(sim, job->loop); /* for weir_now() */
        block_run(job);
        loop_current = NULL;
        sim_event_arm(sim, &own->event,
                      sim->now_ns + (int64_t)sim_below(sim, sim->opts.block_ms + 1) * SIM_MS);
    }
}

static void job_free(struct sim *sim, struct sim_job *own)
{
    sim_event_clear(&own->event);
    list_remove(&own->link);
    sim->job_count--;
    base_free(own);
}

static void job_over(struct sim *sim, struct sim_job *own)
{
    struct block_job *job = own->job;
    weir_threads *pool = job->pool;

    pool->stats.running--;
    threads_count(pool, job->queued_ns, own->begun_ns, sim->now_ns);
    job_free(sim, own);
    job->ended = true;
    block_report(job);
}

static void job_ends(struct sim *sim, struct sim_event *event)
{
    job_over(sim, container_of(event, struct sim_job, event));
    jobs_begin(sim);
}

void sim_begin_jobs(struct sim *sim, struct sim_event *event)
{
    (void)event;
    jobs_begin(sim);
}

int sim_block(struct loop *loop, struct block_job *job)
{
    struct sim *sim = ((struct sim_loop *)loop->backend)->sim;
    weir_threads *pool = job->pool;
    struct sim_job *own;

    if (pool->stats.running + pool->stats.waiting >= pool->threads_max + pool->queue_max ||
        sim_fault(sim, SIM_FAULT_busy, NULL))
        return threads_refuse(pool);
    own = base_calloc(1, sizeof(*own));
    if (!own)
        return weir_fail(-EBUSY, "no memory for a blocking call");
    own->job = job;
    job->queued_ns = sim->now_ns;
    pool->stats.waiting++;
    sim_event_init(&own->event, job_ends);
    list_push(&sim->jobs, &own->link);
    sim->job_count++;
    if (!sim_event_armed(&sim->begin_jobs))
        sim_event_arm(sim, &sim->begin_jobs, sim->now_ns);
    return 0;
}

static struct sim_job *find(struct sim *sim, const struct block_job *job)
{
    list_each(n, &sim->jobs)
        if (container_of(n, struct sim_job, link)->job == job)
            return container_of(n, struct sim_job, link);
    return NULL;
}

enum job_end sim_block_give_up(struct loop *loop, struct block_job *job)
{
    struct sim *sim = ((struct sim_loop *)loop->backend)->sim;
    struct sim_job *own = find(sim, job);

    if (own && !job->started) {
        job->pool->stats.waiting--;
        job->pool->stats.withdrawn++;
        job_free(sim, own);
        return JOB_WITHDRAWN;
    }
    if (!own || !job->abandon)
        return JOB_RUNS;
    job->abandoned = true;
    job->pool->stats.abandoned++;
    return JOB_ABANDONED;
}

void sim_jobs_done(struct sim *sim)
{
    list_each_safe(n, &sim->jobs)
        job_over(sim, container_of(n, struct sim_job, link));
}
