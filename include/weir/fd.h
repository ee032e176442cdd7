/* Waiting for descriptors that weir did not open: the socket of a library that
 * has a non-blocking mode of its own (a database's client, a message queue's).
 *
 *     while ((rc = PQconnectPoll(conn)) != PGRES_POLLING_OK)
 *         weir_wait_fd(PQsocket(conn), rc == PGRES_POLLING_READING ? POLLIN : POLLOUT);
 *
 * A library that can only block is called by weir_block(): see weir/block.h. */
#ifndef WEIR_FD_H
#define WEIR_FD_H

#include <poll.h>

#include <weir/export.h>

WEIR_BEGIN

/* Wait until a descriptor is ready, as poll(2) does for one, and park the task
 * meanwhile. Nothing is read, closed or changed. Any number of tasks may wait for
 * the same descriptor, for the same events or others. Its owner may close it
 * while nobody waits for it; who waits for one that is closed may be woken only
 * by a deadline or a cancel.
 *
 * In a simulation a real descriptor is looked at when nothing else can run; the
 * virtual clock does not wait for it as long as it has anywhere to go.
 *
 * Checkpoint: always.
 * Returns:    what holds of events (> 0), with POLLERR and POLLHUP if they do, or
 *   -EINVAL      events has none of POLLIN, POLLOUT, POLLPRI, or something else
 *   -EBADF       fd is no open descriptor
 *   -EPERM       it is a regular file or a directory, which are never waited for
 *   -ENOMEM      no memory, or the system's limit on watched descriptors
 *   -ETIMEDOUT   the deadline passed
 *   -ECANCELED   the scope was cancelled
 * Ownership:  fd stays the caller's.
 * Thread:     a task, on any loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE int weir_wait_fd(int fd, short events);

WEIR_END

#endif
