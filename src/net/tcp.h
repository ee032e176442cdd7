/* What everything that speaks over a TCP or unix socket from a task shares:
 * making the connection, and waiting for an operation on it. */
#ifndef NET_TCP_H
#define NET_TCP_H

#include "rt/rt.h"

/* Submit op and wait for its end, as rt_io(), but tell the kernel's own time-out
 * (WEIR_EPEERTIMEOUT) from the scope's deadline (-ETIMEDOUT). A checkpoint. */
int tcp_io(struct io_op *op, const char *what);

/* Connect file, which is not attached, on the current loop. 0, or the failure;
 * file is then not attached. A checkpoint. */
int tcp_connect(struct io_file *file, const struct sockaddr *addr, socklen_t addr_len);

/* Is a connection that was just made one to its own socket? The kernel chooses the own
 * port of a connection, and may choose the one that is connected to when nobody listens
 * there: then the two are a "simultaneous open" (RFC 9293, section 3.5) of one. That
 * nobody is there is the truth. */
bool tcp_is_own_peer(struct io_file *file);

/* Close a descriptor that no file is attached to, on the current loop. */
void tcp_close_fd(int fd);

#endif
