/* Two streams joined in memory, for tests and for code that speaks a protocol to
 * another part of the same program.
 *
 * Each end owns the queue of what it may read; the other end appends to it. An
 * end whose peer has closed has none. Invariant: the tasks that wait for an
 * end's queue (its reader, and the other end's writer) are woken when it
 * changes, and look again. */
#include "base/alloc.h"
#include "net/stream.h"

struct memory_stream {
    struct weir_stream base;
    struct memory_stream *peer; /* NULL: closed */
    struct stream_queue queue;  /* to be read here */
    bool ended;                 /* the peer writes no more */
    struct wait *reader, *writer;
};

static int memory_read(weir_stream *s, struct buf **ret_buf)
{
    struct memory_stream *self = (struct memory_stream *)s;
    int rc;

    while (self->queue.bytes == 0) {
        if (self->ended)
            return 0;
        rc = stream_wait(&self->reader, "receive", s);
        if (rc < 0)
            return rc;
    }
    *ret_buf = stream_queue_take(&self->queue);
    stream_wake(&self->writer);
    rt_spend();
    return 1;
}

static ssize_t memory_try_write(weir_stream *s, weir_str data)
{
    struct memory_stream *self = (struct memory_stream *)s;
    ssize_t n;

    if (!self->peer)
        return -EPIPE;
    n = stream_queue_add(&self->peer->queue, data);
    if (n > 0)
        stream_wake(&self->peer->reader);
    return n;
}

static ssize_t memory_write(weir_stream *s, weir_str data)
{
    struct memory_stream *self = (struct memory_stream *)s;
    size_t moved = 0;

    for (;;) {
        ssize_t n = memory_try_write(s, weir_str_skip(data, moved));

        if (n < 0)
            return moved ? (ssize_t)moved : n;
        moved += (size_t)n;
        if (moved == data.len)
            break;
        n = stream_wait(&self->peer->writer, "send", s);
        if (n < 0)
            return moved ? (ssize_t)moved : n;
    }
    rt_spend();
    return (ssize_t)moved;
}

static int memory_flush(weir_stream *s)
{
    struct memory_stream *self = (struct memory_stream *)s;

    while (self->peer && self->peer->queue.bytes > 0) {
        int rc = stream_wait(&self->peer->writer, "flush", s);

        if (rc < 0)
            return rc;
    }
    rt_spend();
    return self->peer ? 0 : -EPIPE;
}

static int memory_shutdown(weir_stream *s)
{
    struct memory_stream *self = (struct memory_stream *)s;

    if (self->peer) {
        self->peer->ended = true;
        stream_wake(&self->peer->reader);
    }
    return 0;
}

static void memory_close(weir_stream *s)
{
    struct memory_stream *self = (struct memory_stream *)s;

    if (self->peer) {
        self->peer->peer = NULL;
        self->peer->ended = true;
        stream_wake(&self->peer->reader);
    }
    stream_wake(&self->writer);
    stream_queue_clear(&self->queue);
    base_free(self);
}

static const struct stream_ops memory_ops = {
    .read = memory_read,
    .write = memory_write,
    .try_write = memory_try_write,
    .flush = memory_flush,
    .shutdown = memory_shutdown,
    .close = memory_close,
};

int weir_stream_pair(weir_stream **ret_one, weir_stream **ret_other)
{
    struct memory_stream *one = base_calloc(1, sizeof(*one)), *other;

    if (!one)
        return -ENOMEM;
    other = base_calloc(1, sizeof(*other));
    if (!other) {
        base_free(one);
        return -ENOMEM;
    }
    stream_init(&one->base, &memory_ops);
    stream_init(&other->base, &memory_ops);
    one->peer = other;
    other->peer = one;
    *ret_one = &one->base;
    *ret_other = &other->base;
    return 0;
}
