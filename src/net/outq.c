/* Output chains; see outq.h.
 *
 * A buffer of copied bytes carries its own segment at its front, so that neither
 * copying nor referring needs any memory beside. */
#include "net/outq.h"

#include <errno.h>
#include <string.h>

struct out_copy {
    struct out_seg seg;
    struct buf *buf;
};

#define COPY_ROOM (BUF_ROOM - sizeof(struct out_copy))

_Static_assert(OUTQ_RESERVE_BYTES <= COPY_ROOM, "the largest reservation fits a buffer");

static void copy_done(struct out_seg *seg, int rc)
{
    (void)rc;
    buf_unref(container_of(seg, struct out_copy, seg)->buf);
}

static void send_done(struct io_op *op);

void outq_init(struct outq *q, struct buf_pool *pool, struct io_file *file,
               void (*ended)(struct outq *q))
{
    q->first = q->last = NULL;
    q->bytes = 0;
    q->sent_bytes = 0;
    q->pool = pool;
    q->ended = ended;
    q->failed = 0;
    memset(&q->op, 0, sizeof(q->op));
    q->op.kind = IO_SEND;
    q->op.file = file;
    q->op.done = send_done;
}

static void append(struct outq *q, struct out_seg *seg)
{
    seg->next = NULL;
    if (q->last)
        q->last->next = seg;
    else
        q->first = seg;
    q->last = seg;
}

/* The last segment, when it is a buffer of copies with room. */
static struct out_copy *last_copy(const struct outq *q, size_t bytes)
{
    struct out_copy *copy;

    if (!q->last || q->last->done != copy_done)
        return NULL;
    copy = container_of(q->last, struct out_copy, seg);
    return BUF_ROOM - copy->buf->to >= bytes ? copy : NULL;
}

char *outq_reserve(struct outq *q, size_t bytes)
{
    struct out_copy *copy = last_copy(q, bytes);
    struct buf *buf;

    if (copy)
        return copy->buf->data + copy->buf->to;
    if (bytes > COPY_ROOM)
        return NULL;
    buf = buf_new(q->pool);
    if (!buf)
        return NULL;
    copy = (struct out_copy *)buf->data;
    buf->to = sizeof(*copy);
    copy->buf = buf;
    copy->seg.ptr = buf->data + buf->to;
    copy->seg.len = 0;
    copy->seg.done = copy_done;
    append(q, &copy->seg);
    return buf->data + buf->to;
}

void outq_commit(struct outq *q, size_t used)
{
    struct out_copy *copy = container_of(q->last, struct out_copy, seg);

    copy->buf->to += (uint32_t)used;
    copy->seg.len += used;
    q->bytes += used;
}

/* Take back what was appended behind last. */
static void truncate_to(struct outq *q, struct out_seg *last, size_t last_len)
{
    struct out_seg *seg = last ? last->next : q->first;

    if (last && last->done == copy_done) {
        q->bytes -= last->len - last_len;
        container_of(last, struct out_copy, seg)->buf->to -= (uint32_t)(last->len - last_len);
        last->len = last_len;
    }
    if (last)
        last->next = NULL;
    else
        q->first = NULL;
    q->last = last;
    while (seg) {
        struct out_seg *next = seg->next;

        q->bytes -= seg->len;
        seg->done(seg, -ENOMEM);
        seg = next;
    }
}

int outq_copy(struct outq *q, weir_str bytes)
{
    struct out_seg *last = q->last;
    size_t last_len = last ? last->len : 0;

    while (bytes.len > 0) {
        struct out_copy *copy = last_copy(q, 1);
        size_t room, n;
        char *to;

        room = copy ? BUF_ROOM - copy->buf->to : COPY_ROOM;
        n = bytes.len < room ? bytes.len : room;
        to = outq_reserve(q, n);
        if (!to) {
            truncate_to(q, last, last_len);
            return WEIR_EBUDGET;
        }
        memcpy(to, bytes.ptr, n);
        outq_commit(q, n);
        bytes = weir_str_skip(bytes, n);
    }
    return 0;
}

void outq_refer(struct outq *q, struct out_seg *seg)
{
    q->bytes += seg->len;
    append(q, seg);
}

/* Is seg among what the send under way covers? */
static bool is_begun(const struct outq *q, const struct out_seg *seg)
{
    const struct out_seg *at = q->first;

    if (!q->op.pending)
        return false;
    for (unsigned i = 0; i < q->op.send.count && at; i++, at = at->next)
        if (at == seg)
            return true;
    return false;
}

bool outq_withdraw(struct outq *q, struct out_seg *seg)
{
    struct out_seg *before = NULL, *at = q->first;

    if (is_begun(q, seg))
        return false;
    for (; at && at != seg; at = at->next)
        before = at;
    if (!at)
        return false;
    if (before)
        before->next = seg->next;
    else
        q->first = seg->next;
    if (q->last == seg)
        q->last = before;
    q->bytes -= seg->len;
    return true;
}

/* The kernel has taken n bytes. */
static void take_sent(struct outq *q, size_t n)
{
    q->sent_bytes += n;
    q->bytes -= n;
    while (q->first && n >= q->first->len) {
        struct out_seg *seg = q->first;

        n -= seg->len;
        q->first = seg->next;
        if (!q->first)
            q->last = NULL;
        seg->done(seg, 0);
    }
    if (q->first) {
        q->first->ptr += n;
        q->first->len -= n;
    }
}

void outq_drop(struct outq *q, int code)
{
    if (q->failed == 0)
        q->failed = code;
    q->bytes = 0;
    while (q->first) {
        struct out_seg *seg = q->first;

        q->first = seg->next;
        if (!q->first)
            q->last = NULL;
        seg->done(seg, code);
    }
}

static void settle(struct outq *q)
{
    int rc = q->op.res;

    take_sent(q, q->op.send.moved);
    q->op.send.moved = 0;
    if (rc < 0)
        outq_drop(q, rc);
    else if (q->failed)
        outq_drop(q, q->failed);
}

int outq_flush(struct outq *q, struct loop *loop)
{
    if (q->op.pending)
        return 1;
    while (q->bytes > 0 && !q->failed) {
        unsigned count = 0;

        for (struct out_seg *seg = q->first; seg && count < OUTQ_VECTORS; seg = seg->next)
            q->vectors[count++] = (struct iovec){ (char *)seg->ptr, seg->len };
        q->op.send.iov = q->vectors;
        q->op.send.count = count;
        if (!io_submit(loop, &q->op))
            return 1;
        settle(q);
    }
    return q->failed;
}

static void send_done(struct io_op *op)
{
    struct outq *q = container_of(op, struct outq, op);

    settle(q);
    q->ended(q);
}

void outq_cancel(struct outq *q, struct loop *loop, int code)
{
    if (q->failed == 0)
        q->failed = code;
    if (q->op.pending)
        io_cancel(loop, &q->op);
    else
        outq_drop(q, q->failed);
}
