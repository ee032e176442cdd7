/* Sockets for datagrams by system calls that do not wait: what epoll and io_uring
 * give as struct io_ops' datagram_… members. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rt/socket.h"

static int set_options(int fd, const struct io_datagram_opts *opts)
{
    int on = 1, bytes = (int)opts->recv_buffer_bytes;

    if (opts->reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0)
        return -errno;
    if (opts->broadcast && setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)) < 0)
        return -errno;
    if (bytes > 0 && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) < 0)
        return -errno;
    return 0;
}

int socket_datagram_open(struct loop *loop, const struct sockaddr *addr, socklen_t addr_len,
                         const struct io_datagram_opts *opts)
{
    int fd = socket(addr->sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rc;

    (void)loop;
    if (fd < 0)
        return -errno;
    rc = set_options(fd, opts);
    if (addr->sa_family == AF_UNIX && opts->unix_mode)
        fchmod(fd, opts->unix_mode); /* before bind: never more open than this */
    if (rc == 0 && bind(fd, addr, addr_len) < 0)
        rc = -errno;
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

int socket_datagram_connect(struct loop *loop, int fd, const struct sockaddr *addr,
                            socklen_t addr_len)
{
    (void)loop;
    return connect(fd, addr, addr_len) < 0 ? -errno : 0;
}

/* One goes by the call for one, which costs less. */
int socket_datagram_recv(struct loop *loop, int fd, struct mmsghdr *messages, unsigned count)
{
    ssize_t n;

    (void)loop;
    do
        n = count == 1 ? recvmsg(fd, &messages->msg_hdr, 0)
                       : recvmmsg(fd, messages, count, 0, NULL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if (count > 1)
        return (int)n;
    messages->msg_len = (unsigned)n;
    return 1;
}

int socket_datagram_send(struct loop *loop, int fd, struct mmsghdr *messages, unsigned count)
{
    ssize_t n;

    (void)loop;
    do
        n = count == 1 ? sendmsg(fd, &messages->msg_hdr, MSG_NOSIGNAL)
                       : sendmmsg(fd, messages, count, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return count == 1 ? 1 : (int)n;
}
