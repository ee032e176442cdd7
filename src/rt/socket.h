/* Sockets by system calls that do not wait: see socket.c. */
#ifndef RT_SOCKET_H
#define RT_SOCKET_H

#include "rt/backend.h"

/* Bits of file->ready: what may succeed. */
enum { CAN_READ = 1, CAN_WRITE = 2, SAW_END = 4 };

/* Each of these returns true with op->res set, or false: wait for readiness, whose
 * bit it has cleared. */
bool socket_recv(struct loop *loop, struct io_op *op);
bool socket_send(struct io_op *op);
bool socket_accept(struct io_op *op);
bool socket_connect(struct io_op *op);
/* A connect that was in progress has been decided. */
bool socket_connected(struct io_op *op);

/* What struct io_ops asks for under these names. */
int socket_open(struct loop *loop, int family);
int socket_listen(struct loop *loop, const struct sockaddr *addr, socklen_t addr_len,
                  const struct io_listen_opts *opts);
void socket_reset(struct loop *loop, struct io_file *file);
int socket_shutdown(struct loop *loop, struct io_file *file, int how);
int socket_address(struct loop *loop, struct io_file *file, bool remote,
                   struct sockaddr_storage *ret_addr, socklen_t *ret_len);
/* socket_datagram.c */
int socket_datagram_open(struct loop *loop, const struct sockaddr *addr, socklen_t addr_len,
                         const struct io_datagram_opts *opts);
int socket_datagram_connect(struct loop *loop, int fd, const struct sockaddr *addr,
                            socklen_t addr_len);
int socket_datagram_recv(struct loop *loop, int fd, struct mmsghdr *messages, unsigned count);
int socket_datagram_send(struct loop *loop, int fd, struct mmsghdr *messages, unsigned count);
int64_t socket_now_ns(struct loop *loop);

#endif
