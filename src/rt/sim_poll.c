/* Real descriptors in a simulation.
 *
 * What weir did not open is no part of the simulated network: an eventfd, a pipe
 * to a child, a library's socket. They are looked at by poll(2) when nothing else
 * can run and before the clock moves; so what the program itself does to them
 * comes in the same order in every run, while what comes from outside comes when
 * it comes, and a deadline of virtual time does not wait for it. */
#include <poll.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "rt/foreign.h"
#include "rt/sim_state.h"

bool sim_poll_submit(struct sim_loop *own, struct io_op *op)
{
    op->res = foreign_ready_now(op->poll.fd, op->poll.events);
    if (op->res != 0)
        return true;
    op->pending = true;
    list_push(&own->polls, &op->link);
    return false;
}

static bool collect(struct sim_loop *own)
{
    bool any = false;

    list_each_safe(n, &own->polls) {
        struct io_op *op = container_of(n, struct io_op, link);
        int res = foreign_ready_now(op->poll.fd, op->poll.events);

        if (res == 0)
            continue;
        op->res = res;
        op->pending = false;
        list_remove(&op->link);
        list_push(&own->ended, &op->link);
        any = true;
    }
    return any;
}

/* All that is waited for, in a table of the caller's; how many. */
static nfds_t gather(struct sim *sim, struct pollfd *slots, nfds_t room)
{
    nfds_t count = 0;

    for (uint32_t i = 0; i < loop_count(); i++)
        list_each(n, &sim->loops[i].polls) {
            struct io_op *op = container_of(n, struct io_op, link);

            if (count < room)
                slots[count] = (struct pollfd){ .fd = op->poll.fd, .events = op->poll.events };
            count++;
        }
    return count;
}

/* Wait in real time until one of them is ready. */
static void wait_outside(struct sim *sim, int wait_ms)
{
    nfds_t count = gather(sim, NULL, 0);
    struct pollfd *slots = count ? base_calloc(count, sizeof(*slots)) : NULL;
    int64_t end_ns = clock_monotonic_ns() + wait_ms * SIM_MS;
    int n;

    if (!slots)
        return;
    gather(sim, slots, count);
    do {
        int64_t left_ms = (end_ns - clock_monotonic_ns() + SIM_MS - 1) / SIM_MS;

        n = poll(slots, count, left_ms < 0 ? 0 : (int)left_ms);
    } while (n < 0 && errno == EINTR);
    base_free(slots);
}

bool sim_poll_real(struct sim *sim, int wait_ms)
{
    bool any = false;

    if (wait_ms > 0)
        wait_outside(sim, wait_ms);
    for (uint32_t i = 0; i < loop_count(); i++)
        any = collect(&sim->loops[i]) || any;
    return any;
}
