/* Streams over a socket: reading into a buffer that is taken only when there are
 * bytes, and an output chain that the loop sends at the end of a turn.
 *
 * The chain is sent by one of two: by the stream's own operation `out`, in the
 * background, or by a large write together with its bytes (in_call). Never both,
 * so that the order holds.
 *
 * Closing with output unsent: the stream lives on, in its loop's list, until
 * `out` has ended, or for a second. */
#include "base/alloc.h"
#include "net/addr.h"
#include "net/connect.h"
#include "net/stream.h"
#include "net/tcp.h"

#define TCP_LINGER_NS 1000000000

struct tcp_stream {
    struct weir_stream base;
    struct io_file file;
    struct stream_queue queue; /* to be sent */
    struct io_op out;
    struct iovec vectors[STREAM_OUT_BUFS];
    struct deferred flush;
    struct wait *writer;       /* waits for the chain to get shorter */
    bool in_call;
    bool closing;
    struct timer linger;
    struct node link;          /* while closing: among its loop's */
};

/* The closed streams of a loop that still send. */
struct tcp_loop {
    struct node closing;
};

static void tcp_free(struct tcp_stream *self)
{
    struct loop *loop = loop_self();

    stream_queue_clear(&self->queue);
    timer_clear(loop, &self->linger);
    loop_undefer(&self->flush);
    list_remove(&self->link);
    io_detach(loop, &self->file, false);
    base_free(self);
}

/* ---- output ------------------------------------------------------------------------ */

static unsigned tcp_vectors(const struct tcp_stream *self, struct iovec *vectors)
{
    unsigned count = 0;

    for (struct buf *buf = self->queue.first; buf; buf = buf->next) {
        vectors[count].iov_base = buf->data + buf->from;
        vectors[count++].iov_len = buf->to - buf->from;
    }
    return count;
}

/* out has ended. */
static void tcp_out_ended(struct tcp_stream *self)
{
    int rc = self->out.res;

    if (rc < 0) {
        self->base.write_rc = rc == -ETIMEDOUT ? WEIR_EPEERTIMEOUT : rc;
        stream_queue_clear(&self->queue);
    } else {
        stream_queue_skip(&self->queue, (size_t)rc);
    }
    stream_wake(&self->writer);
}

/* Send what is in the chain, as long as the kernel takes it at once. Together with
 * what other streams send, unless somebody waits for it. */
static void tcp_send_chain(struct tcp_stream *self, bool together)
{
    self->out.send.together = together;
    while (self->queue.bytes > 0 && !self->out.pending && !self->in_call) {
        self->out.send.iov = self->vectors;
        self->out.send.count = tcp_vectors(self, self->vectors);
        if (!io_submit(loop_self(), &self->out))
            return;
        tcp_out_ended(self);
    }
}

static void tcp_out_done(struct io_op *op)
{
    struct tcp_stream *self = container_of(op, struct tcp_stream, out);

    tcp_out_ended(self);
    if (!op->cancelled)
        tcp_send_chain(self, true);
    if (self->closing && !op->pending)
        tcp_free(self);
}

static void tcp_flush_chain(struct deferred *work)
{
    tcp_send_chain(container_of(work, struct tcp_stream, flush), true);
}

static ssize_t tcp_try_write(weir_stream *s, weir_str data)
{
    struct tcp_stream *self = (struct tcp_stream *)s;
    ssize_t n = stream_queue_add(&self->queue, data);

    if (n > 0)
        loop_defer(loop_self(), &self->flush);
    return n;
}

/* Wait until the chain has changed. */
static int tcp_wait_chain(struct tcp_stream *self, const char *what)
{
    tcp_send_chain(self, false);
    if (self->base.write_rc < 0)
        return self->base.write_rc;
    return self->out.pending ? stream_wait(&self->writer, what, self) : 0;
}

static ssize_t tcp_write_copied(struct tcp_stream *self, weir_str data)
{
    size_t moved = 0;

    for (;;) {
        ssize_t n = tcp_try_write(&self->base, weir_str_skip(data, moved));

        if (n > 0)
            moved += (size_t)n;
        if (n >= 0 && moved < data.len)
            n = tcp_wait_chain(self, "send");
        if (n < 0)
            return moved ? (ssize_t)moved : n;
        if (moved == data.len)
            break;
    }
    rt_spend();
    return (ssize_t)moved;
}

/* What the chain holds and then data itself, in one operation. */
static ssize_t tcp_write_through(struct tcp_stream *self, weir_str data)
{
    struct iovec vectors[STREAM_OUT_BUFS + 1];
    struct io_op op = { .file = &self->file, .kind = IO_SEND, .send = { .iov = vectors } };
    size_t chain, moved;
    int rc = 0;

    while (self->out.pending && rc == 0)
        rc = tcp_wait_chain(self, "send");
    if (rc < 0)
        return rc;
    if (self->base.write_rc < 0)
        return self->base.write_rc;
    chain = self->queue.bytes;
    op.send.count = tcp_vectors(self, vectors);
    vectors[op.send.count].iov_base = (char *)data.ptr;
    vectors[op.send.count++].iov_len = data.len;
    self->in_call = true;
    rc = tcp_io(&op, "send");
    self->in_call = false;
    moved = op.send.moved;
    stream_queue_skip(&self->queue, moved < chain ? moved : chain);
    if (self->queue.bytes > 0)
        loop_defer(loop_self(), &self->flush);
    if (moved > chain)
        return (ssize_t)(moved - chain);
    return rc < 0 ? rc : -EIO;
}

static ssize_t tcp_write(weir_stream *s, weir_str data)
{
    struct tcp_stream *self = (struct tcp_stream *)s;

    if (data.len <= WEIR_STREAM_COPY_BYTES)
        return tcp_write_copied(self, data);
    return tcp_write_through(self, data);
}

static int tcp_flush(weir_stream *s)
{
    struct tcp_stream *self = (struct tcp_stream *)s;

    while (self->queue.bytes > 0) {
        int rc = tcp_wait_chain(self, "flush");

        if (rc < 0)
            return rc;
    }
    rt_spend();
    return s->write_rc;
}

static int tcp_shutdown(weir_stream *s)
{
    struct tcp_stream *self = (struct tcp_stream *)s;
    struct loop *loop = loop_self();

    return io_shutdown(loop, &self->file, SHUT_WR);
}

/* ---- input ----------------------------------------------------------------------------- */

static int tcp_read(weir_stream *s, struct buf **ret_buf)
{
    struct tcp_stream *self = (struct tcp_stream *)s;
    struct io_op op = { .file = &self->file, .kind = IO_RECV };
    int rc = tcp_io(&op, "receive");

    if (rc > 0)
        *ret_buf = op.recv.buf;
    return rc;
}

/* The kernel answers for a TCP socket, too: with nobody. */
static int tcp_peer_cred(const weir_stream *s, weir_peer_cred *ret_cred)
{
    const struct tcp_stream *self = (const struct tcp_stream *)s;
    struct ucred cred;
    socklen_t len = sizeof(cred);

    if (loop_io(loop_self())->in_memory)
        return -EOPNOTSUPP;
    if (getsockopt(self->file.fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
        return -errno;
    if (cred.pid == 0)
        return -EOPNOTSUPP;
    *ret_cred = (weir_peer_cred){ cred.pid, cred.uid, cred.gid };
    return 0;
}

static struct io_file *tcp_file(weir_stream *s)
{
    return &((struct tcp_stream *)s)->file;
}

/* ---- the end ------------------------------------------------------------------------------ */

static void tcp_loop_done(void *value)
{
    struct tcp_loop *tcp = value;
    struct node *n;

    while ((n = list_pop(&tcp->closing)) != NULL) {
        struct tcp_stream *self = container_of(n, struct tcp_stream, link);

        /* Nobody will run its done any more: it leaves the backend's queue by hand. */
        io_cancel(loop_self(), &self->out);
        if (self->out.pending)
            list_remove(&self->out.link);
        tcp_free(self);
    }
    base_free(tcp);
}

static struct tcp_loop *tcp_loop_of(struct loop *loop)
{
    struct tcp_loop *tcp = loop_local(loop, LOOP_LOCAL_NET);

    if (tcp)
        return tcp;
    tcp = base_malloc(sizeof(*tcp));
    if (!tcp)
        return NULL;
    list_init(&tcp->closing);
    loop_local_set(loop, LOOP_LOCAL_NET, tcp, tcp_loop_done);
    return tcp;
}

static void tcp_linger_over(struct timer *timer)
{
    struct tcp_stream *self = container_of(timer, struct tcp_stream, linger);

    io_cancel(loop_self(), &self->out);
}

static void tcp_close(weir_stream *s)
{
    struct tcp_stream *self = (struct tcp_stream *)s;
    struct loop *loop = loop_self();

    tcp_send_chain(self, false);
    if (!self->out.pending) {
        tcp_free(self);
        return;
    }
    self->closing = true;
    loop_undefer(&self->flush);
    list_push(&tcp_loop_of(loop)->closing, &self->link);
    timer_set(loop, &self->linger, loop_now_ns(loop) + TCP_LINGER_NS);
}

static const struct stream_ops tcp_ops = {
    .read = tcp_read,
    .write = tcp_write,
    .try_write = tcp_try_write,
    .flush = tcp_flush,
    .shutdown = tcp_shutdown,
    .close = tcp_close,
    .peer_cred = tcp_peer_cred,
    .file = tcp_file,
};

/* A stream without its descriptor. The loop's list is made now, so that a close
 * can't fail. */
static struct tcp_stream *tcp_new(void)
{
    struct tcp_stream *self = base_calloc(1, sizeof(*self));

    if (!self || !tcp_loop_of(loop_self())) {
        base_free(self);
        return NULL;
    }
    stream_init(&self->base, &tcp_ops);
    self->file.fd = -1;
    self->out.file = &self->file;
    self->out.kind = IO_SEND;
    self->out.done = tcp_out_done;
    deferred_init(&self->flush, tcp_flush_chain);
    timer_init(&self->linger, tcp_linger_over);
    list_init(&self->link);
    return self;
}

int stream_tcp_adopt(int fd, weir_stream **ret_stream)
{
    struct tcp_stream *self = tcp_new();
    struct loop *loop = loop_self();
    int rc;

    rc = self ? io_attach(loop, &self->file, fd, false) : -ENOMEM;
    if (rc < 0) {
        tcp_close_fd(fd);
        base_free(self);
        return rc;
    }
    *ret_stream = &self->base;
    return 0;
}

static int tcp_connect_text(struct tcp_stream *self, weir_str text)
{
    struct addr addr;
    uint16_t port;
    weir_str host;
    int rc;

    if (addr_text_is_unix(text)) {
        rc = addr_parse(text, &addr);
        return rc < 0 ? rc : tcp_connect(&self->file, addr_sockaddr(&addr), addr.len);
    }
    rc = addr_split(text, &host, &port);
    if (rc < 0)
        return rc;
    if (host.len == 0)
        host = WEIR_S("localhost");
    return connect_host(&self->file, host, port, &addr);
}

int weir_stream_connect(const char *address, weir_stream **ret_stream)
{
    struct tcp_stream *self;
    int rc = rt_check();

    if (rc < 0)
        return rc;
    self = tcp_new();
    if (!self)
        return -ENOMEM;
    rc = tcp_connect_text(self, weir_str_c(address));
    if (rc < 0) {
        base_free(self);
        return weir_wrap(rc, "connecting to %s", address);
    }
    *ret_stream = &self->base;
    return 0;
}
