/* Streams over one end of a pipe.
 *
 * A child's descriptors are pipes, not sockets: what opens /dev/stdout or
 * /proc/self/fd/1 gets a pipe again, where a socket would refuse. They are read and
 * written without blocking, and waited for as foreign descriptors; so they work on
 * every backend. Nothing is kept here: a write returns when the kernel has it.
 *
 * A pipe knows no MSG_NOSIGNAL: SIGPIPE is blocked around a write, and taken away
 * if the write raised it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "net/stream.h"
#include "rt/foreign.h"

struct pipe_stream {
    struct weir_stream base;
    int fd;
    bool writes;
};

static int pipe_read(weir_stream *s, struct buf **ret_buf)
{
    struct pipe_stream *self = (struct pipe_stream *)s;

    if (self->writes)
        return weir_fail(-EBADF, "reading from the end of a pipe that is written to");
    for (;;) {
        struct buf *buf = buf_new(loop_bufs(loop_self()));
        ssize_t n;
        int rc;

        if (!buf)
            return WEIR_EBUDGET;
        do
            n = read(self->fd, buf->data + buf->to, BUF_ROOM - buf->to);
        while (n < 0 && errno == EINTR);
        if (n > 0) {
            buf->to += (uint32_t)n;
            *ret_buf = buf;
            rt_spend();
            return (int)n;
        }
        rc = n < 0 ? -errno : 0;
        buf_unref(buf);
        if (rc != -EAGAIN)
            return rc;
        rc = foreign_wait(self->fd, POLLIN, false, "pipe to read", s);
        if (rc < 0)
            return rc;
    }
}

/* write(2) that raises no SIGPIPE. */
static ssize_t write_quietly(int fd, const char *bytes, size_t len)
{
    const struct timespec at_once = { 0, 0 };
    sigset_t pipe_signal, old, pending;
    bool was_pending;
    ssize_t n;

    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    sigpending(&pending);
    was_pending = sigismember(&pending, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &old);
    do
        n = write(fd, bytes, len);
    while (n < 0 && errno == EINTR);
    n = n < 0 ? -errno : n;
    if (n == -EPIPE && !was_pending)
        while (sigtimedwait(&pipe_signal, NULL, &at_once) < 0 && errno == EINTR)
            ;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return n;
}

static ssize_t pipe_try_write(weir_stream *s, weir_str data)
{
    struct pipe_stream *self = (struct pipe_stream *)s;
    ssize_t n;

    if (!self->writes)
        return weir_fail(-EBADF, "writing to the end of a pipe that is read from");
    n = write_quietly(self->fd, data.ptr, data.len);
    return n == -EAGAIN ? 0 : n;
}

static ssize_t pipe_write(weir_stream *s, weir_str data)
{
    struct pipe_stream *self = (struct pipe_stream *)s;
    size_t moved = 0;

    while (moved < data.len) {
        ssize_t n = pipe_try_write(s, weir_str_skip(data, moved));

        if (n > 0)
            moved += (size_t)n;
        if (n == 0)
            n = foreign_wait(self->fd, POLLOUT, false, "pipe to write", s);
        if (n < 0)
            return moved ? (ssize_t)moved : n;
    }
    rt_spend();
    return (ssize_t)moved;
}

static int pipe_flush(weir_stream *s)
{
    (void)s;
    rt_spend();
    return 0;
}

static int pipe_shutdown(weir_stream *s)
{
    struct pipe_stream *self = (struct pipe_stream *)s;

    if (!self->writes)
        return -ENOTCONN;
    close(self->fd);
    self->fd = -1;
    return 0;
}

static void pipe_close(weir_stream *s)
{
    struct pipe_stream *self = (struct pipe_stream *)s;

    if (self->fd >= 0)
        close(self->fd);
    base_free(self);
}

static const struct stream_ops pipe_ops = {
    .read = pipe_read,
    .write = pipe_write,
    .try_write = pipe_try_write,
    .flush = pipe_flush,
    .shutdown = pipe_shutdown,
    .close = pipe_close,
};

int stream_pipe_adopt(int fd, bool writes, weir_stream **ret_stream)
{
    struct pipe_stream *self = base_calloc(1, sizeof(*self));
    int flags = fcntl(fd, F_GETFL), rc = 0;

    if (!self)
        rc = -ENOMEM;
    else if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        rc = -errno;
    if (rc < 0) {
        close(fd);
        base_free(self);
        return rc;
    }
    stream_init(&self->base, &pipe_ops);
    self->fd = fd;
    self->writes = writes;
    *ret_stream = &self->base;
    return 0;
}
