/* See quiet.h.
 *
 * A loop counts the tasks that become ready. What it counts with is its own, and not made to
 * be read from outside: of a loop that goes on meanwhile the figure is late, and the next call
 * finds another. That it is parked is looked at first: a turn that has ended has counted. */
#include "ops/quiet.h"

#include "rt/loop.h"

__attribute__((no_sanitize("thread"))) static uint32_t count_of(const volatile uint32_t *pushed)
{
    return *pushed;
}

bool quiet_since(uint32_t index, struct quiet *mark)
{
    struct quiet now = { 0 };
    bool parked, still;
    int rc;
    struct loop *loop = runtime_enter(index, 0, &rc);

    if (!loop)
        return true;
    parked = atomic_load(&loop->pulse.began) == 0;
    now.run = runtime_number();
    now.pushed = count_of(&loop->ready.pushed);
    now.background = count_of(&loop->background.ready.pushed);
    runtime_leave();
    still = parked && mark->run == now.run && mark->pushed == now.pushed &&
            mark->background == now.background;
    *mark = now;
    return still;
}
