/* Waiting for descriptors that weir did not open (IO_POLL), by epoll. */
#ifndef RT_FOREIGN_H
#define RT_FOREIGN_H

#include <stdint.h>

#include "base/list.h"
#include "rt/backend.h"

struct foreign_fd;

struct foreign {
    int epoll;                 /* its own, nested in the backend's; -1: none yet */
    uint32_t generation;       /* of the newest registration */
    struct foreign_fd **table; /* by descriptor */
    uint32_t room;
};

void foreign_init(struct foreign *f);
void foreign_done(struct foreign *f);
/* As the backend's submit. The first time, f->epoll is made: the backend waits
 * for it to be readable, and then calls foreign_collect(). */
bool foreign_submit(struct foreign *f, struct io_op *op);
/* Forget a pending operation; the caller ends it. */
void foreign_forget(struct foreign *f, struct io_op *op);
/* Move the operations that have a result into ended. */
void foreign_collect(struct foreign *f, struct node *ended);

/* Shared by every backend: what poll(2) says now. The events that hold, 0, or
 * -EPERM (a regular file or directory: nothing to wait for), -EBADF. */
int foreign_ready_now(int fd, short events);

/* Wait for a descriptor, as a checkpoint; what and object are for whoever looks. A
 * source's wait ends with 0 when the task is asked to drain. */
int foreign_wait(int fd, short events, bool source, const char *what, const void *object);
/* The same, where a cancel must not end the wait; -ETIMEDOUT when timeout_ms (0:
 * never) are over. */
int foreign_wait_shielded(int fd, short events, uint32_t timeout_ms, const char *what,
                          const void *object);

#endif
