/* Blocking calls in a simulation: run inline, by the clock's events.
 *
 * As in the pool of threads, at most block_threads run at a time, block_queue may
 * wait, and a call that waits can be withdrawn. A call runs at the moment it
 * begins, and its caller learns of its end up to block_ms later.
 *
 * A job's event is armed while it runs; in the queue it is not. */
#include "base/alloc.h"
#include "rt/sim_state.h"

/* Begin what there is a thread for. */
static void jobs_begin(struct sim *sim)
{
    uint32_t running = 0;

    list_each(n, &sim->jobs) {
        struct sim_job *own = container_of(n, struct sim_job, link);
        struct block_job *job = own->job;

        if (running++ == runtime_opts()->block_threads)
            return;
        if (sim_event_armed(&own->event))
            continue;
        job->started = true;
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

static void job_ends(struct sim *sim, struct sim_event *event)
{
    struct sim_job *own = container_of(event, struct sim_job, event);
    struct block_job *job = own->job;

    job_free(sim, own);
    loop_post(job->loop, &job->message);
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
    const weir_run_opts *opts = runtime_opts();
    struct sim_job *own;

    if (sim->job_count >= opts->block_threads + opts->block_queue ||
        sim_fault(sim, SIM_FAULT_busy, NULL))
        return weir_fail(-EBUSY, "all %u threads of the blocking pool are busy, and %u calls wait",
                         opts->block_threads, opts->block_queue);
    own = base_calloc(1, sizeof(*own));
    if (!own)
        return weir_fail(-EBUSY, "no memory for a blocking call");
    own->job = job;
    sim_event_init(&own->event, job_ends);
    list_push(&sim->jobs, &own->link);
    sim->job_count++;
    if (!sim_event_armed(&sim->begin_jobs))
        sim_event_arm(sim, &sim->begin_jobs, sim->now_ns);
    return 0;
}

bool sim_block_withdraw(struct loop *loop, struct block_job *job)
{
    struct sim *sim = ((struct sim_loop *)loop->backend)->sim;

    if (job->started)
        return false;
    list_each(n, &sim->jobs) {
        struct sim_job *own = container_of(n, struct sim_job, link);

        if (own->job == job) {
            job_free(sim, own);
            break;
        }
    }
    return true;
}
