/* The latch opens once, for all, when it has been counted down; the barrier lets
 * tasks through in groups of a fixed size, again and again.
 *
 * A task that gives up waiting at a barrier takes its arrival back: the others
 * wait for somebody else. Invariants: tasks wait at a latch only while its count
 * is above 0; at a barrier wait as many as have arrived, fewer than a group. */
#include "rt/queued.h"

/* ---- the latch -------------------------------------------------------------- */

void weir_latch_init_opt(weir_latch *latch, uint32_t count, const weir_latch_opts *opts)
{
    *latch = (weir_latch){ .shared = opts->shared, .count_ = count };
}

void weir_latch_done(weir_latch *latch)
{
    if (latch)
        queued_end(&latch->waiting_, latch->shared, "a latch");
}

void weir_latch_count_down(weir_latch *latch)
{
    struct queued *waiting = NULL;
    bool below;

    queued_use(&latch->waiting_, latch->shared, "latch");
    below = latch->count_ == 0;
    if (!below && --latch->count_ == 0)
        waiting = queued_pop_all(&latch->waiting_);
    queued_leave(&latch->waiting_, latch->shared);
    if (unlikely(below))
        rt_wrong_use("a latch was counted down below 0");
    queued_wake_list(waiting, 0);
}

int weir_latch_wait(weir_latch *latch)
{
    struct queued self = {
        .wait = { .abandon = queued_abandon, .what = "latch", .object = latch },
    };
    int rc = rt_check();

    if (rc < 0)
        return rc;
    queued_use(&latch->waiting_, latch->shared, "latch");
    if (latch->count_ > 0)
        return queued_park(&latch->waiting_, latch->shared, &self);
    queued_leave(&latch->waiting_, latch->shared);
    rt_spend();
    return 0;
}

/* ---- the barrier ------------------------------------------------------------ */

struct barrier_wait {
    struct queued place;
    weir_barrier *barrier;
};

int weir_barrier_init_opt(weir_barrier *barrier, uint32_t parties, const weir_barrier_opts *opts)
{
    if (parties == 0)
        return weir_fail(-EINVAL, "a barrier needs at least one task: give how many meet there");
    *barrier = (weir_barrier){ .shared = opts->shared, .parties_ = parties };
    return 0;
}

void weir_barrier_done(weir_barrier *barrier)
{
    if (barrier)
        queued_end(&barrier->waiting_, barrier->shared, "a barrier");
}

static void barrier_abandon(struct wait *wait, int code)
{
    struct queued *place = container_of(wait, struct queued, wait);
    weir_barrier *barrier = container_of(place, struct barrier_wait, place)->barrier;
    bool left;

    queued_enter(&barrier->waiting_, barrier->shared);
    left = place->in_queue;
    if (left) {
        queued_remove(place);
        barrier->arrived_--;
    }
    queued_leave(&barrier->waiting_, barrier->shared);
    if (left)
        wait_wake(wait, code);
}

int weir_barrier_wait(weir_barrier *barrier)
{
    struct barrier_wait self = {
        .place.wait = { .abandon = barrier_abandon, .what = "barrier", .object = barrier },
        .barrier = barrier,
    };
    struct queued *others;
    int rc = rt_check();

    if (rc < 0)
        return rc;
    queued_use(&barrier->waiting_, barrier->shared, "barrier");
    if (++barrier->arrived_ < barrier->parties_)
        return queued_park(&barrier->waiting_, barrier->shared, &self.place);
    barrier->arrived_ = 0;
    others = queued_pop_all(&barrier->waiting_);
    queued_leave(&barrier->waiting_, barrier->shared);
    queued_wake_list(others, 0);
    rt_spend();
    return 1;
}
