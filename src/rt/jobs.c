/* All of several jobs, or the first that succeeds: a scope with one child a job.
 *
 * A job's rc is written by its own task. Before that it says that the job has not
 * begun (JOB_IDLE); whoever was cancelled before its first turn is given the scope's
 * code after the join.
 *
 * Who has won is decided in the scope, at the end of a child, so it can't change
 * between the winner's end and the caller's turn, whatever is cancelled meanwhile. */
#include <weir/chan.h>
#include <weir/jobs.h>

#include "rt/loop.h"

#define JOB_IDLE INT32_MIN

static int job_run(void *arg)
{
    weir_job *job = arg;

    job->rc = job->fn(job->arg);
    /* Nothing comes between this and the end of the task, which decides. */
    job->won_ = job->rc >= 0 && !(fiber_current()->task->scope->flags & SCOPE_WON);
    return job->rc;
}

static weir_task job_start(weir_scope s, weir_job *job, const char *site)
{
    const weir_go_opts opts = { .size = sizeof(opts),
                                .site = job->site ? job->site : site,
                                .name = job->name };

    return weir_go_opt(s, job_run, job, &opts);
}

static void jobs_prepare(weir_job *jobs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        jobs[i].rc = JOB_IDLE;
        jobs[i].won_ = false;
    }
}

/* Those that never began were kept from it by code, which cancelled the scope (or, at
 * 0, by a want of memory). */
static void jobs_settle(weir_job *jobs, size_t count, int code)
{
    for (size_t i = 0; i < count; i++)
        if (jobs[i].rc == JOB_IDLE)
            jobs[i].rc = code < 0 ? code : -ENOMEM;
}

static void jobs_drop(weir_job *jobs, size_t count, const weir_job *except)
{
    for (size_t i = 0; i < count; i++) {
        if (jobs[i].rc < 0 || !jobs[i].drop || &jobs[i] == except)
            continue;
        jobs[i].drop(jobs[i].arg);
        jobs[i].rc = -ECANCELED;
    }
}

int weir_all_opt(weir_job *jobs, size_t count, const weir_all_opts *opts)
{
    const weir_scope_opts how = {
        .size = sizeof(how),
        .site = opts->site,
        .name = opts->name,
        .timeout_ms = opts->timeout_ms,
        .limit = opts->limit,
        .collect = opts->collect,
    };
    weir_scope s = weir_scope_open_opt(&how);
    int rc;

    jobs_prepare(jobs, count);
    for (size_t i = 0; i < count; i++)
        (void)job_start(s, &jobs[i], opts->site);
    rc = weir_join(s);
    jobs_settle(jobs, count, rt_check());
    weir_scope_close(s);
    if (rc < 0 && !opts->collect)
        jobs_drop(jobs, count, NULL);
    return rc;
}

/* Wait until the next job may start; less than 0: there is no need to, or no way. */
static int race_stagger(weir_task before, uint32_t stagger_ms)
{
    weir_pick pick;

    if (stagger_ms == 0)
        return 0;
    pick = weir_select(WEIR_DONE(before), WEIR_AFTER_MS(stagger_ms));
    return pick.arm < 0 ? pick.rc : 0;
}

static void race_start(weir_scope s, weir_job *jobs, size_t count, const weir_race_opts *opts)
{
    for (size_t i = 0; i < count; i++) {
        weir_task task = job_start(s, &jobs[i], opts->site);

        if (i + 1 < count && race_stagger(task, opts->stagger_ms) < 0)
            return;
    }
}

int weir_race_opt(weir_job *jobs, size_t count, const weir_race_opts *opts, size_t *ret_winner)
{
    const weir_scope_opts how = {
        .size = sizeof(how),
        .site = opts->site,
        .name = opts->name,
        .timeout_ms = opts->timeout_ms,
        .limit = opts->limit,
        .race = true,
    };
    const weir_job *winner = NULL;
    weir_scope s;
    int rc;

    if (count == 0)
        return weir_fail(-EINVAL, "a race of no jobs, at %s: give one at least", opts->site);
    s = weir_scope_open_opt(&how);
    jobs_prepare(jobs, count);
    race_start(s, jobs, count, opts);
    rc = weir_join(s);
    jobs_settle(jobs, count, rt_check());
    weir_scope_close(s);
    for (size_t i = 0; i < count && rc >= 0; i++)
        if (jobs[i].won_)
            winner = &jobs[i];
    jobs_drop(jobs, count, winner);
    if (winner && ret_winner)
        *ret_winner = (size_t)(winner - jobs);
    return rc;
}
