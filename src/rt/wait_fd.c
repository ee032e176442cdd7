/* Waiting for foreign descriptors, as a checkpoint. */
#include <weir/fd.h>

#include "rt/foreign.h"
#include "rt/rt.h"

/* POLLRDHUP, which poll.h names only for _GNU_SOURCE. */
#define PEER_CLOSED 0x2000
#define EVENTS_KNOWN (POLLIN | POLLOUT | POLLPRI | PEER_CLOSED)

struct poll_wait {
    struct wait wait;
    struct io_op op;
    struct timer timer; /* of a shielded one */
};

static void poll_abandon(struct wait *wait, int code)
{
    (void)code;
    io_cancel(loop_self(), &container_of(wait, struct poll_wait, wait)->op);
}

static void poll_done(struct io_op *op)
{
    wait_wake(op->done_arg, op->res);
}

int foreign_wait(int fd, short events, bool source, const char *what, const void *object)
{
    struct poll_wait self = {
        .wait = { .abandon = poll_abandon, .what = what, .object = object, .ends_at_stop = source },
        .op = { .kind = IO_POLL, .done = poll_done, .poll = { .fd = fd, .events = events } },
    };
    int rc = rt_check();

    if (rc < 0)
        return rc;
    self.op.done_arg = &self.wait;
    if (io_submit(loop_self(), &self.op)) {
        rt_spend();
        return self.op.res;
    }
    if (source && weir_stopping())
        io_cancel(loop_self(), &self.op);
    rc = rt_park(&self.wait);
    if (rc != -ECANCELED || !self.op.cancelled)
        return rc;
    rc = rt_check();
    return rc < 0 || source ? rc : -ECANCELED;
}

static void poll_timeout(struct timer *timer)
{
    io_cancel(loop_self(), &container_of(timer, struct poll_wait, timer)->op);
}

int foreign_wait_shielded(int fd, short events, uint32_t timeout_ms, const char *what,
                          const void *object)
{
    struct poll_wait self = {
        .wait = { .what = what, .object = object },
        .op = { .kind = IO_POLL, .done = poll_done, .poll = { .fd = fd, .events = events } },
    };
    struct loop *loop = loop_self();
    int rc;

    self.op.done_arg = &self.wait;
    if (io_submit(loop, &self.op))
        return self.op.res;
    timer_init(&self.timer, poll_timeout);
    if (timeout_ms > 0)
        timer_set(loop, &self.timer, loop_now_ns(loop) + timeout_ms * INT64_C(1000000));
    rc = rt_park_shielded(&self.wait);
    timer_clear(loop, &self.timer);
    return rc == -ECANCELED && self.op.cancelled ? -ETIMEDOUT : rc;
}

int weir_wait_fd(int fd, short events)
{
    int rc;

    if (!(events & EVENTS_KNOWN) || (events & ~EVENTS_KNOWN))
        return weir_fail(-EINVAL, "a wait for descriptor %d names the events 0x%x", fd,
                         (unsigned)(unsigned short)events);
    rc = foreign_wait(fd, events, false, "descriptor", NULL);
    return rc == -ENOSPC ? -ENOMEM : rc;
}
