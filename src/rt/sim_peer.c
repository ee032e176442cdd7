/* Peers as straight-line code: see sim.h. */
#include <netinet/in.h>
#include <string.h>

#include "rt/sim_state.h"

int sim_peer_connect(struct sim_peer *peer, uint16_t port)
{
    struct sockaddr_in addr = { .sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr = { htonl(INADDR_LOOPBACK) } };
    struct io_op op = { .file = &peer->file,
                        .kind = IO_CONNECT,
                        .connect = { (const struct sockaddr *)&addr, sizeof(addr) } };
    struct loop *loop = loop_self();
    int fd = loop_io(loop)->socket(loop, AF_INET), rc;

    *peer = (struct sim_peer){ .file = { .fd = -1 } };
    if (fd < 0)
        return fd;
    rc = loop_io(loop)->attach(loop, &peer->file, fd, false);
    if (rc < 0) {
        peer->file.fd = fd;
        sim_peer_close(peer);
        return rc;
    }
    rc = rt_io(&op, "connect");
    if (rc < 0)
        sim_peer_close(peer);
    return rc;
}

ssize_t sim_peer_send(struct sim_peer *peer, const void *data, size_t len)
{
    struct iovec vector = { (void *)data, len };
    struct io_op op = { .file = &peer->file,
                        .kind = IO_SEND,
                        .send = { .iov = &vector, .count = 1 } };
    int rc = rt_io(&op, "send");

    return op.send.moved > 0 ? (ssize_t)op.send.moved : rc;
}

ssize_t sim_peer_recv(struct sim_peer *peer, void *data, size_t size)
{
    struct buf *buf = peer->rest;
    size_t len;

    if (!buf) {
        struct io_op op = { .file = &peer->file, .kind = IO_RECV };
        int rc = rt_io(&op, "receive");

        if (rc <= 0)
            return rc;
        buf = peer->rest = op.recv.buf;
    }
    len = buf->to - buf->from;
    if (len > size)
        len = size;
    memcpy(data, buf->data + buf->from, len);
    buf->from += (uint32_t)len;
    if (buf->from == buf->to) {
        buf_unref(buf);
        peer->rest = NULL;
    }
    return (ssize_t)len;
}

ssize_t sim_peer_recv_all(struct sim_peer *peer, void *data, size_t size)
{
    size_t got = 0;

    while (got < size) {
        ssize_t n = sim_peer_recv(peer, (char *)data + got, size - got);

        if (n <= 0)
            return got > 0 ? (ssize_t)got : n;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

int sim_peer_shutdown(struct sim_peer *peer)
{
    struct loop *loop = loop_self();

    return loop_io(loop)->shutdown(loop, &peer->file, SHUT_WR);
}

void sim_peer_close(struct sim_peer *peer)
{
    struct loop *loop = loop_self();

    buf_unref(peer->rest);
    peer->rest = NULL;
    loop_io(loop)->detach(loop, &peer->file, false);
}

void sim_peer_reset(struct sim_peer *peer)
{
    struct loop *loop = loop_self();

    loop_io(loop)->reset(loop, &peer->file);
    sim_peer_close(peer);
}
