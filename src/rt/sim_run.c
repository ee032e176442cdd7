/* Turning the loops of a simulation, and moving its clock.
 *
 * A round: run the events that are due, then give every loop that has something
 * to do one turn, in an order that the seed draws. When a round finds nothing to
 * do, the clock goes to the next event or timer. When there is none either, and
 * the loops have not finished, they never will: the run is given up.
 *
 * Real descriptors that tasks wait for are looked at before the clock moves; only
 * when it has nowhere to go are they waited for, in real time.
 *
 * Events run on no loop: they change the network, and mark what the loops' polls
 * are to try again. */
#include <stdio.h>
#include <stdlib.h>

#include "rt/sim_state.h"

#define SIM_ROUNDS_MAX 1000000 /* at one moment */
#define SIM_REAL_WAIT_MS 10000 /* for the world outside, when only that can go on */

void sim_enter(struct sim *sim, struct loop *loop)
{
    loop_current = loop;
    loop->now_ns = sim->now_ns;
}

static bool has_work(struct sim *sim, struct loop *loop)
{
    struct sim_loop *own = loop->backend;

    return !loop_quiet(loop) || !list_empty(&own->ended) || !list_empty(&own->marked) ||
           atomic_load(&loop->requests) != 0 || loop_next_timer_ns(loop) <= sim->now_ns;
}

static bool run_events(struct sim *sim)
{
    bool any = false;

    while (!list_empty(&sim->events)) {
        struct sim_event *event = container_of(sim->events.next, struct sim_event, link);

        if (event->at_ns > sim->now_ns)
            break;
        list_remove(&event->link);
        event->run(sim, event);
        any = true;
    }
    return any;
}

static bool run_loops(struct sim *sim)
{
    uint32_t order[RT_LOOPS_MAX], count = loop_count();
    bool any = false;

    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    for (uint32_t i = 1; i < count; i++) { /* a random permutation */
        uint32_t at = (uint32_t)(sim_random(&sim->random_order) % (i + 1)), moved = order[at];

        order[at] = order[i];
        order[i] = moved;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct loop *loop = loop_at(order[i]);

        if (!has_work(sim, loop))
            continue;
        sim_enter(sim, loop);
        loop_turn(loop, false);
        any = true;
    }
    loop_current = NULL;
    return any;
}

static bool all_finished(void)
{
    for (uint32_t i = 0; i < loop_count(); i++)
        if (!loop_finished(loop_at(i)))
            return false;
    return true;
}

static int64_t next_ns(struct sim *sim)
{
    int64_t next = WEIR_NEVER_NS;

    if (!list_empty(&sim->events))
        next = container_of(sim->events.next, struct sim_event, link)->at_ns;
    for (uint32_t i = 0; i < loop_count(); i++) {
        int64_t timer_ns = loop_next_timer_ns(loop_at(i));

        if (timer_ns < next)
            next = timer_ns;
    }
    return next;
}

/* The run can't go on: say why and who waits, and cancel everything. The second
 * time there is nothing left to try. */
static void give_up(struct sim *sim, int code, const char *why)
{
    char first[CHAIN_LINK_BYTES / 2];

    sim_name_waits(sim, first, sizeof(first));
    if (sim->why_code) {
        fprintf(stderr, "weir: the simulation does not end, even cancelled: %s: %s\n%s", why, first,
                sim_trace_text(sim));
        abort();
    }
    sim->why_code = code;
    snprintf(sim->why, sizeof(sim->why), "the simulation was given up after %lld ms: %s%s%s",
             (long long)(sim->now_ns / SIM_MS), why, *first ? ": " : "", first);
    sim_calm(sim);
    rt_cancel_all();
}

/* When the run must have ended: it has less time once nothing fails any more. */
static int64_t last_ns(const struct sim *sim, int64_t end_ns)
{
    int64_t finish_ns;

    if (sim->opts.finish_ms == 0 || sim->calm_at_ns == WEIR_NEVER_NS || sim->why_code)
        return end_ns;
    finish_ns = sim->calm_at_ns + sim->opts.finish_ms * SIM_MS;
    return finish_ns < end_ns ? finish_ns : end_ns;
}

static const char *why_over(const struct sim *sim, int64_t end_ns)
{
    return last_ns(sim, end_ns) < end_ns ? "it has not come to its end since the faults ended"
                                         : "the limit of virtual time is over";
}

static void turn_until_finished(struct sim *sim)
{
    int64_t end_ns = sim->now_ns + sim->opts.limit_ms * SIM_MS;
    uint64_t rounds = 0;

    while (!all_finished()) {
        bool any = run_events(sim);

        any = run_loops(sim) || any;
        if (any && ++rounds < SIM_ROUNDS_MAX)
            continue;
        if (rounds >= SIM_ROUNDS_MAX) {
            give_up(sim, -ETIME, "a million turns at one moment");
        } else if (sim_poll_real(sim, next_ns(sim) == WEIR_NEVER_NS ? SIM_REAL_WAIT_MS : 0)) {
            continue;
        } else if (next_ns(sim) == WEIR_NEVER_NS) {
            give_up(sim, -EDEADLK, "nothing can happen any more");
        } else if (next_ns(sim) > last_ns(sim, end_ns)) {
            give_up(sim, -ETIME, why_over(sim, end_ns));
            end_ns = next_ns(sim) + sim->opts.limit_ms * SIM_MS;
        } else {
            sim->now_ns = sim_fault_clock(sim, next_ns(sim));
        }
        rounds = 0;
    }
}

int sim_run(struct sim *sim, weir_fn *fn, void *arg, const weir_run_opts *run)
{
    weir_run_opts opts = { .size = sizeof(opts), .byte_budget = UINT64_C(1) << 32 };
    int rc;

    if (run)
        opts = *run;
    opts.loops = sim->opts.loops;
    sim->why_code = 0;
    chain_thread_done(); /* what an earlier run has kept would change this one */
    rc = runtime_start(fn, arg, &opts, &sim_ops, sim);
    if (rc < 0)
        return rc;
    sim_faults_begin(sim);
    for (uint32_t i = 0; i < loop_count(); i++)
        loop_adopt_thread(loop_at(i));
    loop_current = NULL;
    error_slot = NULL;
    turn_until_finished(sim);
    for (uint32_t i = 0; i < loop_count(); i++)
        loop_close_submissions(loop_at(i));
    turn_until_finished(sim); /* what was submitted meanwhile */
    sim_faults_end(sim);
    sim_jobs_done(sim);
    rc = runtime_end(0);
    if (!sim->why_code)
        return rc;
    weir_recover();
    return weir_fail(sim->why_code, "%s", sim->why);
}
