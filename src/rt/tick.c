/* Ticks: a wait for the next whole period. The wait ends by the loop's clock, which
 * a timer never precedes; so a tick is never counted twice. */
#include <weir/signals.h>

#include "rt/rt.h"

struct tick_wait {
    struct wait wait;
    struct timer timer;
};

static void tick_over(struct timer *timer)
{
    wait_wake(&container_of(timer, struct tick_wait, timer)->wait, 1);
}

static void tick_abandon(struct wait *wait, int code)
{
    timer_clear(loop_self(), &container_of(wait, struct tick_wait, wait)->timer);
    wait_wake(wait, code);
}

weir_ticker weir_ticker_every_ms(uint32_t period_ms)
{
    int64_t period_ns = (period_ms ? period_ms : 1) * INT64_C(1000000);

    return (weir_ticker){ loop_now_ns(loop_self()) + period_ns, period_ns };
}

static int await_tick(int64_t at_ns)
{
    struct tick_wait self = { .wait = {
                                  .abandon = tick_abandon, .what = "tick", .ends_at_stop = true } };

    timer_init(&self.timer, tick_over);
    timer_set(loop_self(), &self.timer, at_ns);
    return rt_park(&self.wait);
}

int weir_tick(weir_ticker *ticker)
{
    int64_t count;
    int rc = rt_check();

    if (rc < 0)
        return rc;
    if (weir_stopping())
        return 0;
    if (ticker->next_ns_ > loop_now_ns(loop_self())) {
        rc = await_tick(ticker->next_ns_);
        if (rc <= 0)
            return rc;
    } else {
        rt_spend();
    }
    count = (loop_now_ns(loop_self()) - ticker->next_ns_) / ticker->period_ns_ + 1;
    ticker->next_ns_ += count * ticker->period_ns_;
    return count < INT32_MAX ? (int)count : INT32_MAX;
}
