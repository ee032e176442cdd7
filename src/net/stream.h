/* Streams: what their kinds share. weir/stream.h says what they do. */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <weir/stream.h>

#include "rt/rt.h"

#define STREAM_OUT_BUFS 4 /* that may wait to be sent: 64 KiB */

/* Bytes in buffers, oldest first. */
struct stream_queue {
    struct buf *first, *last;
    uint32_t bufs;
    size_t bytes;
};

/* Copy what fits (at most STREAM_OUT_BUFS); 0 or more, WEIR_EBUDGET when not even
 * one buffer could be had. */
ssize_t stream_queue_add(struct stream_queue *queue, weir_str data);
/* Drop the first n bytes, which are there. */
void stream_queue_skip(struct stream_queue *queue, size_t n);
/* Take the first buffer out; NULL when there is none. */
struct buf *stream_queue_take(struct stream_queue *queue);
void stream_queue_clear(struct stream_queue *queue);

/* What a kind of stream does. The checks that all share are done before. */
struct stream_ops {
    /* > 0 with a buffer whose reference is the caller's; 0 at the end. */
    int (*read)(weir_stream *s, struct buf **ret_buf);
    ssize_t (*write)(weir_stream *s, weir_str data);
    ssize_t (*try_write)(weir_stream *s, weir_str data);
    int (*flush)(weir_stream *s);
    int (*shutdown)(weir_stream *s);
    void (*close)(weir_stream *s);
    int (*peer_cred)(const weir_stream *s, weir_peer_cred *ret_cred); /* NULL: has none */
    struct io_file *(*file)(weir_stream *s); /* that TLS can be put on; NULL: has none */
};

/* Embedded first in each kind. */
struct weir_stream {
    const struct stream_ops *ops;
    struct buf *lent;
    int read_rc, write_rc; /* failures that last */
    bool reading, writing; /* a task is in such a call */
    bool shut;             /* nothing more may be written */
#ifdef WEIR_DEBUG
    struct loop *home;     /* the loop that it was made on */
#endif
};

/* Each kind calls this on a fresh stream, which is all zero. */
static inline void stream_init(weir_stream *s, const struct stream_ops *ops)
{
    s->ops = ops;
#ifdef WEIR_DEBUG
    s->home = loop_self();
#endif
}

static inline void stream_check_home(const weir_stream *s)
{
    (void)s;
#ifdef WEIR_DEBUG
    if (s->home && loop_self() && s->home != loop_self())
        rt_wrong_use("a stream is used on loop %u, but belongs to loop %u", loop_index(loop_self()),
                     loop_index(s->home));
#endif
}

/* A stream over a connected descriptor of the current loop, which it closes,
 * also when this fails; 0 or -errno. */
int stream_tcp_adopt(int fd, weir_stream **ret_stream);

/* A stream over one end of a pipe, which it closes, also when this fails; 0 or
 * -errno. */
int stream_pipe_adopt(int fd, bool writes, weir_stream **ret_stream);

/* A place where one task waits for a stream's queue to change; a cancel just
 * ends the wait. 0 or the scope's code. */
int stream_wait(struct wait **place, const char *what, const void *stream);
/* Let the task that waits there, if any, look again. */
void stream_wake(struct wait **place);

#endif
