/* See hold.h.
 *
 * A thread that is ready to run shows how long it has waited only once it runs again; so
 * of a thread found ready or running, only what it was on a processor for counts. */
#include "ops/hold.h"

static int64_t counts(const struct hold_sample *from, const struct hold_sample *to,
                      int64_t period_ns)
{
    int64_t wall_ns = to->now_ns - from->now_ns, delay_ns = 0;

    if (to->state == 'T' || to->state == 't')
        return 0;
    if (to->run_ns >= 0 && from->run_ns >= 0) {
        if (to->state == 'R')
            return to->run_ns - from->run_ns;
        delay_ns = to->delay_ns - from->delay_ns;
    }
    if (wall_ns > 2 * period_ns)
        wall_ns = period_ns;
    return wall_ns > delay_ns ? wall_ns - delay_ns : 0;
}

bool hold_add(struct hold *hold, const struct hold_sample *sample, int64_t period_ns)
{
    const struct hold_sample *last = &hold->last;

    if (sample->turn == 0 || sample->turn != last->turn) {
        *hold = (struct hold){ .last = *sample };
        return false;
    }
    if (sample->steps != last->steps) {
        *hold = (struct hold){
            .last = *sample,
            .others_ns = hold->others_ns + (hold->reported ? 0 : hold->held_ns) +
                         counts(last, sample, period_ns),
            .others_reported = hold->others_reported,
        };
        return false;
    }
    hold->held_ns += counts(last, sample, period_ns);
    hold->run_ns += sample->run_ns - last->run_ns;
    hold->delay_ns += sample->delay_ns - last->delay_ns;
    hold->last = *sample;
    return true;
}
