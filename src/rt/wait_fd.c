/* Waiting for foreign descriptors, as a checkpoint. */
#include <weir/fd.h>

#include "rt/rt.h"

/* POLLRDHUP, which poll.h names only for _GNU_SOURCE. */
#define PEER_CLOSED 0x2000
#define EVENTS_KNOWN (POLLIN | POLLOUT | POLLPRI | PEER_CLOSED)

int weir_wait_fd(int fd, short events)
{
    struct io_op op = { .kind = IO_POLL, .poll = { .fd = fd, .events = events } };
    int rc;

    if (!(events & EVENTS_KNOWN) || (events & ~EVENTS_KNOWN))
        return weir_fail(-EINVAL, "a wait for descriptor %d names the events 0x%x", fd,
                         (unsigned)(unsigned short)events);
    rc = rt_io(&op, "descriptor");
    return rc == -ENOSPC ? -ENOMEM : rc;
}
