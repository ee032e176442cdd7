/* Connections made and operations awaited from tasks. It is apart from streams
 * because the HTTP client drives its connections by operations of its own. */
#include "net/tcp.h"

#include "net/addr.h"

#define TCP_AGAIN_MS 64

int tcp_io(struct io_op *op, const char *what)
{
    int rc = rt_io(op, what);

    if (rc == -ETIMEDOUT && op->res == -ETIMEDOUT && !op->cancelled)
        return WEIR_EPEERTIMEOUT;
    return rc;
}

void tcp_close_fd(int fd)
{
    struct io_file file = { .fd = fd };

    io_detach(loop_self(), &file, false);
}

bool tcp_is_own_peer(struct io_file *file)
{
    struct loop *loop = loop_self();
    const struct io_ops *io = loop_io(loop);
    struct addr own = { 0 }, peer = { 0 };

    if (io->in_memory || io->address(loop, file, false, &own.storage, &own.len) < 0 ||
        addr_port(&own) == 0 || io->address(loop, file, true, &peer.storage, &peer.len) < 0)
        return false;
    return own.len == peer.len && memcmp(&own.storage, &peer.storage, own.len) == 0;
}

static int connect_once(struct io_file *file, const struct sockaddr *addr, socklen_t addr_len)
{
    struct loop *loop = loop_self();
    const struct io_ops *io;
    struct io_op op = { .file = file,
                        .kind = IO_CONNECT,
                        .connect = { .addr = addr, .addr_len = addr_len } };
    int rc = rt_check(), fd;

    if (rc < 0)
        return rc;
    io = loop_io(loop);
    fd = io->socket(loop, addr->sa_family);
    if (fd < 0)
        return fd;
    rc = io->attach(loop, file, fd, false);
    if (rc < 0) {
        tcp_close_fd(fd);
        return rc;
    }
    rc = tcp_io(&op, "connect");
    if (rc == 0 && tcp_is_own_peer(file))
        rc = -ECONNREFUSED;
    if (rc < 0)
        io->detach(loop, file, false);
    return rc;
}

int tcp_connect(struct io_file *file, const struct sockaddr *addr, socklen_t addr_len)
{
    uint32_t pause_ms = 1;

    for (;;) {
        int rc = connect_once(file, addr, addr_len);

        /* The queue of a listening unix socket is full: nothing tells when it is
         * not (connect(2)), so it is tried again, for as long as the scope lets. */
        if (rc != -EAGAIN || addr->sa_family != AF_UNIX)
            return rc;
        rc = weir_sleep_ms(pause_ms);
        if (rc < 0)
            return rc;
        pause_ms = pause_ms < TCP_AGAIN_MS ? pause_ms * 2 : pause_ms;
    }
}
