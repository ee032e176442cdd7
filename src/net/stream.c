/* Streams, what is the same for every kind: who may be in a call, what has been
 * lent, and which failures last.
 *
 * Invariants: lent is held from a read to the next one, or the close; a stream
 * at which no call is in progress and nothing is lent holds no buffer once its
 * output is sent. Frames are kept small: a parked read is what programs have
 * the most of. */
#include "net/stream.h"

/* ---- bytes waiting ------------------------------------------------------------ */

static struct buf *queue_grow(struct stream_queue *queue)
{
    struct buf *buf = buf_new(loop_bufs(loop_self()));

    if (!buf)
        return NULL;
    if (queue->last)
        queue->last->next = buf;
    else
        queue->first = buf;
    queue->last = buf;
    queue->bufs++;
    return buf;
}

ssize_t stream_queue_add(struct stream_queue *queue, weir_str data)
{
    size_t added = 0;

    while (added < data.len) {
        struct buf *buf = queue->last;
        size_t n;

        if (!buf || buf->to == BUF_ROOM) {
            if (queue->bufs == STREAM_OUT_BUFS)
                break;
            buf = queue_grow(queue);
            if (!buf)
                return added ? (ssize_t)added : WEIR_EBUDGET;
        }
        n = BUF_ROOM - buf->to;
        n = n < data.len - added ? n : data.len - added;
        memcpy(buf->data + buf->to, data.ptr + added, n);
        buf->to += (uint32_t)n;
        added += n;
        queue->bytes += n;
    }
    return (ssize_t)added;
}

struct buf *stream_queue_take(struct stream_queue *queue)
{
    struct buf *buf = queue->first;

    if (!buf)
        return NULL;
    queue->first = buf->next;
    if (!queue->first)
        queue->last = NULL;
    buf->next = NULL;
    queue->bufs--;
    queue->bytes -= buf->to - buf->from;
    return buf;
}

void stream_queue_skip(struct stream_queue *queue, size_t n)
{
    while (n > 0) {
        struct buf *buf = queue->first;
        size_t here = buf->to - buf->from;

        if (n < here) {
            buf->from += (uint32_t)n;
            queue->bytes -= n;
            return;
        }
        buf_unref(stream_queue_take(queue));
        n -= here;
    }
}

void stream_queue_clear(struct stream_queue *queue)
{
    struct buf *buf;

    while ((buf = stream_queue_take(queue)) != NULL)
        buf_unref(buf);
}

/* ---- waiting -------------------------------------------------------------------- */

struct place_wait {
    struct wait wait;
    struct wait **place;
};

static void place_abandon(struct wait *wait, int code)
{
    *container_of(wait, struct place_wait, wait)->place = NULL;
    wait_wake(wait, code);
}

int stream_wait(struct wait **place, const char *what, const void *stream)
{
    struct place_wait self = { .wait = { .abandon = place_abandon, .what = what, .object = stream },
                               .place = place };
    int rc = rt_check();

    if (rc < 0)
        return rc;
    *place = &self.wait;
    return rt_park(&self.wait);
}

void stream_wake(struct wait **place)
{
    struct wait *wait = *place;

    *place = NULL;
    if (wait)
        wait_wake(wait, 0);
}

/* ---- the calls -------------------------------------------------------------------- */

/* Would the same call fail in the same way from now on? */
static bool lasts(int rc)
{
    switch (rc) {
    case -ETIMEDOUT:
    case -ECANCELED:
    case -ENOMEM:
    case WEIR_EBUDGET:
    case WEIR_EWRONGUSE: return false;
    default: return rc < 0;
    }
}

ssize_t weir_stream_read(weir_stream *s, weir_str *ret_data)
{
    struct buf *buf = NULL;
    int rc = rt_check();

    stream_check_home(s);
    if (rc < 0)
        return rc;
    if (s->reading)
        return -EBUSY;
    if (s->read_rc < 0)
        return s->read_rc;
    buf_unref(s->lent);
    s->lent = NULL;
    s->reading = true;
    rc = s->ops->read(s, &buf);
    s->reading = false;
    if (rc > 0) {
        s->lent = buf;
        *ret_data = weir_str_from(buf->data + buf->from, buf->to - buf->from);
        return (ssize_t)ret_data->len;
    }
    if (lasts(rc))
        s->read_rc = rc;
    return rc;
}

/* What every way of writing begins with; 0, or the code to return. */
static int write_begin(const weir_stream *s)
{
    stream_check_home(s);
    if (s->writing)
        return -EBUSY;
    if (s->write_rc < 0)
        return s->write_rc;
    return s->shut ? -EPIPE : 0;
}

ssize_t weir_stream_write(weir_stream *s, weir_str data)
{
    ssize_t n = rt_check();

    if (n == 0)
        n = write_begin(s);
    if (n < 0)
        return n;
    if (!data.ptr)
        return -ENOMEM;
    if (data.len == 0)
        return 0;
    s->writing = true;
    n = s->ops->write(s, data);
    s->writing = false;
    if (n < 0 && lasts((int)n))
        s->write_rc = (int)n;
    return n;
}

ssize_t weir_stream_try_write(weir_stream *s, weir_str data)
{
    ssize_t n = write_begin(s);

    if (n < 0)
        return n;
    if (!data.ptr)
        return -ENOMEM;
    return data.len ? s->ops->try_write(s, data) : 0;
}

int weir_stream_flush(weir_stream *s)
{
    int rc = rt_check();

    if (rc < 0)
        return rc;
    if (s->writing)
        return -EBUSY;
    if (s->write_rc < 0)
        return s->write_rc;
    s->writing = true;
    rc = s->ops->flush(s);
    s->writing = false;
    if (lasts(rc))
        s->write_rc = rc;
    return rc;
}

int weir_stream_shutdown(weir_stream *s)
{
    int rc;

    if (s->shut)
        return rt_check();
    rc = weir_stream_flush(s);
    if (rc == 0) {
        s->shut = true;
        rc = s->ops->shutdown(s);
    }
    return rc;
}

int weir_stream_peer_cred(const weir_stream *s, weir_peer_cred *ret_cred)
{
    return s->ops->peer_cred ? s->ops->peer_cred(s, ret_cred) : -EOPNOTSUPP;
}

void weir_stream_close(weir_stream *s)
{
    if (!s)
        return;
    buf_unref(s->lent);
    s->lent = NULL;
    s->ops->close(s);
}
