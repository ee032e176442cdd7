/* What epoll and io_uring have in common: system calls on a socket that are tried
 * when they may succeed, and what they say of it, kept in file->ready.
 *
 * A read that got less than it asked for is not repeated just to see EAGAIN,
 * unless the peer has closed (then the end is still to be read). */
#include "rt/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "rt/loop.h"

#define SEND_VECTORS 64
#define ACCEPT_TRIES 16

bool socket_recv(struct loop *loop, struct io_op *op)
{
    struct io_file *file = op->file;
    struct buf *buf = op->recv.buf ? op->recv.buf : buf_new(&loop->bufs);
    size_t room;
    ssize_t n;

    if (!buf) {
        op->res = WEIR_EBUDGET;
        return true;
    }
    room = BUF_ROOM - buf->to;
    do
        n = recv(file->fd, buf->data + buf->to, room, 0);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        buf->to += (uint32_t)n;
        op->recv.buf = buf;
        op->res = (int)n;
        if ((size_t)n < room && !(file->ready & SAW_END))
            file->ready &= (uint8_t)~CAN_READ;
        return true;
    }
    if (buf != op->recv.buf)
        buf_unref(buf);
    if (n < 0 && errno == EAGAIN) {
        file->ready &= (uint8_t)~CAN_READ;
        return false;
    }
    op->res = n == 0 ? 0 : -errno;
    return true;
}

/* What is still to be sent, into vectors. */
static int send_rest(const struct io_op *op, struct iovec *vectors)
{
    size_t skip = op->send.moved;
    int count = 0;

    for (unsigned i = 0; i < op->send.count && count < SEND_VECTORS; i++) {
        const struct iovec *from = &op->send.iov[i];

        if (skip >= from->iov_len) {
            skip -= from->iov_len;
            continue;
        }
        vectors[count].iov_base = (char *)from->iov_base + skip;
        vectors[count++].iov_len = from->iov_len - skip;
        skip = 0;
    }
    return count;
}

static ssize_t send_vectors(int fd, struct iovec *vectors, int count)
{
    struct msghdr message = { .msg_iov = vectors, .msg_iovlen = (size_t)count };
    ssize_t n;

    do
        n = count == 1 ? send(fd, vectors->iov_base, vectors->iov_len, MSG_NOSIGNAL)
                       : sendmsg(fd, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n;
}

bool socket_send(struct io_op *op)
{
    struct iovec vectors[SEND_VECTORS];
    int count;

    while ((count = send_rest(op, vectors)) > 0) {
        ssize_t n = send_vectors(op->file->fd, vectors, count);

        if (n >= 0) {
            op->send.moved += (size_t)n;
            continue;
        }
        if (errno == EAGAIN) {
            op->file->ready &= (uint8_t)~CAN_WRITE;
            return false;
        }
        op->res = -errno;
        return true;
    }
    op->res = op->send.moved > INT32_MAX ? INT32_MAX : (int)op->send.moved;
    return true;
}

bool socket_accept(struct io_op *op)
{
    struct sockaddr *peer = (struct sockaddr *)op->accept.ret_peer;

    for (int tries = 0; tries < ACCEPT_TRIES; tries++) {
        socklen_t len = sizeof(*op->accept.ret_peer);
        int fd = accept4(op->file->fd, peer, peer ? &len : NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            op->res = fd;
            return true;
        }
        switch (errno) {
        case EAGAIN: op->file->ready &= (uint8_t)~CAN_READ; return false;
        /* What accept(2) lists as errors of the connection, not of the socket. */
        case EINTR:
        case ECONNABORTED:
        case EPROTO:
        case ENETDOWN:
        case ENOPROTOOPT:
        case EHOSTDOWN:
        case ENONET:
        case EHOSTUNREACH:
        case EOPNOTSUPP:
        case ENETUNREACH: continue;
        default: op->res = -errno; return true;
        }
    }
    op->res = -ECONNABORTED;
    return true;
}

bool socket_connect(struct io_op *op)
{
    int rc;

    do
        rc = connect(op->file->fd, op->connect.addr, op->connect.addr_len);
    while (rc < 0 && errno == EINTR);
    if (rc < 0 && (errno == EINPROGRESS || errno == EALREADY)) {
        op->file->ready &= (uint8_t)~CAN_WRITE;
        return false;
    }
    op->res = rc < 0 && errno != EISCONN ? -errno : 0;
    if (op->res == 0)
        op->file->ready |= CAN_WRITE;
    return true;
}

/* A connect that was in progress has been decided. */
bool socket_connected(struct io_op *op)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if (getsockopt(op->file->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    op->res = -error;
    return true;
}

/* ---- descriptors ------------------------------------------------------------- */

int socket_open(struct loop *loop, int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

    (void)loop;
    if (fd < 0)
        return -errno;
    if (family == AF_INET || family == AF_INET6)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

int socket_listen(struct loop *loop, const struct sockaddr *addr, socklen_t addr_len,
                  const struct io_listen_opts *opts)
{
    int fd = socket_open(loop, addr->sa_family), on = 1, rc;

    if (fd < 0)
        return fd;
    /* Accepted connections inherit TCP_NODELAY from here. */
    if (addr->sa_family != AF_UNIX)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    /* Set before bind: there is no moment in which the file is more open. */
    if (addr->sa_family == AF_UNIX && opts->unix_mode)
        fchmod(fd, opts->unix_mode);
    if (opts->reuse_port)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (bind(fd, addr, addr_len) < 0 || listen(fd, opts->backlog) < 0) {
        rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

void socket_reset(struct loop *loop, struct io_file *file)
{
    struct linger now = { .l_onoff = 1 };

    (void)loop;
    setsockopt(file->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

int socket_shutdown(struct loop *loop, struct io_file *file, int how)
{
    (void)loop;
    return shutdown(file->fd, how) < 0 ? -errno : 0;
}

int socket_address(struct loop *loop, struct io_file *file, bool remote,
                   struct sockaddr_storage *ret_addr, socklen_t *ret_len)
{
    socklen_t len = sizeof(*ret_addr);
    int rc;

    (void)loop;
    rc = remote ? getpeername(file->fd, (struct sockaddr *)ret_addr, &len)
                : getsockname(file->fd, (struct sockaddr *)ret_addr, &len);
    if (rc < 0)
        return -errno;
    *ret_len = len;
    return 0;
}

int64_t socket_now_ns(struct loop *loop)
{
    (void)loop;
    return clock_monotonic_ns();
}
