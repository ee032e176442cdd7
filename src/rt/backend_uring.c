/* The io_uring backend: one ring a loop, entered once a turn.
 *
 * What can succeed at once is done by a plain call, as on epoll (socket.c): an
 * accept after an accept, and the sends that somebody is to have the result of now.
 * What waits is a request in the ring, made when something waits for it:
 *
 *   SHOT   receives again and again, into the ring's buffers, until it is
 *          cancelled: nothing is asked for anew between two receives, and an idle
 *          connection has no buffer
 *   IN     waits once for input: of a listening socket; of a stream before its
 *          first receive, so that nothing is read ahead of who may only look;
 *          always where the kernel can't do SHOT; when no buffer can be lent
 *   OUT    waits once for room, or for the end of a connect
 *   SEND   one of the turn's many small sends, all of them handed over by one call:
 *          tried once (MSG_DONTWAIT), and so ended when that call returns
 *
 * Requests refer to a slot, not to the io_file: it lives until the kernel has
 * ended all of them, though the file was detached and its number closed. They are
 * noted in the slot and made when the ring is entered, so that a file that is
 * detached before costs nothing, and no request can meet a number that was closed.
 *
 * Cancelling an operation is a matter of this file alone: no request refers to
 * memory of its owner but SEND, and that only until it is handed over. From then on
 * it has a result, and an operation that is cancelled ends with that. What SHOT
 * brings when nobody reads is held for the next receive, and SHOT is cancelled: at
 * most HELD_MAX buffers and those that were on their way.
 *
 * Invariants: a slot with requests in the kernel (armed) is not freed; one that
 * wants a request stands in wanting; done is only called from poll. */
#include "rt/backend_uring.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "rt/foreign.h"
#include "rt/probe.h"
#include "rt/random.h"
#include "rt/socket.h"
#include "rt/uring_ring.h"

#define URING_BATCH 64 /* what is received is worked off before more is taken */
#define HELD_MAX 2
#define STARVED_MANY 2 /* in one turn: more buffers are lent */
#define LEAVE_NS 1000000000
#define SENDS_TOGETHER 64 /* so many are handed over before the turn's end */
#define SEND_MAX 16384    /* bytes; the call is nothing beside the copying of more */

enum { SHOT = 1, IN = 2, OUT = 4, SEND = 8 }; /* requests */
enum { LISTENING = 1, RECEIVED = 2, ENDED = 4, UNWANTED = 8 }; /* slot->flags */

/* The user data of requests without a slot: less than a slot's alignment. */
enum { FOR_NOBODY = 1, FOR_WAKE = 2, FOR_FOREIGN = 3 };

struct uring_slot {
    struct slab_head head;
    struct node link;      /* in wanting */
    struct io_file *file;  /* NULL: detached */
    struct io_op *reader, *writer;
    struct buf *held, **held_last; /* received, and not asked for yet */
    int fd;
    int end;               /* if ENDED: what the next receive gets when held is empty */
    uint8_t wants, armed, cancelling, flags;
    uint8_t held_count;
};

struct uring_backend {
    struct uring_ring ring;
    struct slab slots;
    struct node wanting;   /* slots with requests to make or to cancel */
    struct node ended;     /* operations to be reported: cancelled, or of foreign */
    struct foreign foreign;
    uint64_t random;
    uint32_t armed;        /* requests in the kernel */
    uint32_t starved;      /* receives without a buffer, this turn */
    uint32_t sends;        /* SENDs that are wanted */
    int wake;
    bool wake_armed, foreign_armed;
    bool leaving;
};

static struct uring_backend *backend_of(struct loop *loop)
{
    return loop->backend;
}

/* ---- life ---------------------------------------------------------------------- */

static int uring_open(struct loop *loop)
{
    struct uring_backend *be = base_calloc(1, sizeof(*be));
    int rc;

    if (!be)
        return -ENOMEM;
    rc = uring_ring_open(&be->ring);
    if (rc < 0)
        goto fail;
    be->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (be->wake < 0) {
        rc = -errno;
        uring_ring_close(&be->ring);
        goto fail;
    }
    slab_init(&be->slots, sizeof(struct uring_slot), BUDGET_CONNECTION);
    list_init(&be->wanting);
    list_init(&be->ended);
    foreign_init(&be->foreign);
    be->random = random_seed();
    loop->backend = be;
    return 0;

fail:
    base_free(be);
    return rc;
}

static void uring_close(struct loop *loop)
{
    struct uring_backend *be = backend_of(loop);

    uring_ring_close(&be->ring);
    foreign_done(&be->foreign);
    close(be->wake);
    slab_done(&be->slots);
    base_free(be);
    loop->backend = NULL;
}

int uring_probe(void)
{
    struct uring_ring *ring = base_calloc(1, sizeof(*ring));
    int rc = ring ? uring_ring_open(ring) : -ENOMEM;

    if (rc == 0)
        uring_ring_close(ring);
    base_free(ring);
    return rc;
}

static uint64_t uring_random(struct loop *loop)
{
    return random_next(&backend_of(loop)->random);
}

static void uring_wake(struct loop *loop)
{
    uint64_t one = 1;
    ssize_t n = write(backend_of(loop)->wake, &one, sizeof(one));

    (void)n; /* fails only when the counter is full, and then the loop is awake */
}

/* ---- requests ------------------------------------------------------------------ */

static uint64_t data_of(const struct uring_slot *slot, unsigned request)
{
    return (uintptr_t)slot | request;
}

static void want(struct uring_backend *be, struct uring_slot *slot, unsigned request)
{
    slot->wants |= (uint8_t)request;
    if (list_empty(&slot->link))
        list_push(&be->wanting, &slot->link);
}

static void prepare(struct io_uring_sqe *sqe, struct uring_slot *slot, unsigned request)
{
    if (request == SHOT) {
        io_uring_prep_recv_multishot(sqe, slot->fd, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = URING_GROUP;
    } else if (request == OUT) {
        io_uring_prep_poll_add(sqe, slot->fd, POLLOUT);
    } else if (request == SEND) {
        const struct iovec *iov = slot->writer->send.iov;

        io_uring_prep_send(sqe, slot->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
    } else {
        io_uring_prep_poll_add(
            sqe, slot->fd, slot->flags & LISTENING ? POLLIN | EPOLLEXCLUSIVE : POLLIN | POLLRDHUP);
    }
    io_uring_sqe_set_data64(sqe, data_of(slot, request));
}

/* Buffers are first lent when somebody is to receive into them. */
static bool can_lend(struct uring_backend *be, struct buf_pool *pool)
{
    if (!uring_ring_has_buffers(&be->ring))
        uring_ring_lend(&be->ring, pool);
    return uring_ring_has_buffers(&be->ring);
}

/* Make what a slot wants, and cancel what is of no use; false: the ring is full. */
static bool make_requests(struct uring_backend *be, struct uring_slot *slot, struct buf_pool *pool)
{
    for (unsigned request = SHOT; request <= SEND; request <<= 1) {
        bool wanted = slot->wants & request, armed = slot->armed & request;
        bool unwanted = !slot->file || slot->flags & UNWANTED ||
                        (request == SHOT && slot->held_count >= HELD_MAX);
        struct io_uring_sqe *sqe;

        if (request == SHOT && wanted && !can_lend(be, pool)) {
            slot->wants = (uint8_t)((slot->wants & ~SHOT) |
                                    IN); /* the receive will say what is short */
            continue;
        }
        if (armed && unwanted && !(slot->cancelling & request)) {
            sqe = uring_ring_submission(&be->ring);
            if (!sqe)
                return false;
            io_uring_prep_cancel64(sqe, data_of(slot, request), 0);
            io_uring_sqe_set_data64(sqe, FOR_NOBODY);
            slot->cancelling |= (uint8_t)request;
        } else if (wanted && !armed && slot->file) {
            sqe = uring_ring_submission(&be->ring);
            if (!sqe)
                return false;
            prepare(sqe, slot, request);
            slot->armed |= (uint8_t)request;
            slot->wants &= (uint8_t)~request;
            be->armed++;
            be->sends -= request == SEND;
        }
    }
    return true;
}

static bool arm_poll(struct uring_backend *be, int fd, uint64_t data)
{
    struct io_uring_sqe *sqe = uring_ring_submission(&be->ring);

    if (!sqe)
        return false;
    io_uring_prep_poll_add(sqe, fd, POLLIN);
    sqe->len = data == FOR_WAKE ? IORING_POLL_ADD_MULTI : 0;
    io_uring_sqe_set_data64(sqe, data);
    be->armed++;
    return true;
}

/* False: some could not be made; they are tried again in the next turn. */
static bool make_all_requests(struct loop *loop)
{
    struct uring_backend *be = backend_of(loop);
    struct node *n;

    if (!be->wake_armed)
        be->wake_armed = arm_poll(be, be->wake, FOR_WAKE);
    if (!be->foreign_armed && be->foreign.epoll >= 0)
        be->foreign_armed = arm_poll(be, be->foreign.epoll, FOR_FOREIGN);
    while ((n = list_pop(&be->wanting)) != NULL) {
        struct uring_slot *slot = container_of(n, struct uring_slot, link);

        if (!make_requests(be, slot, &loop->bufs)) {
            list_push_front(&be->wanting, n);
            return false;
        }
    }
    return be->wake_armed;
}

/* What was noted is done now. */
static void submit_now(struct loop *loop)
{
    if (make_all_requests(loop))
        uring_ring_enter(&backend_of(loop)->ring, 0);
}

/* ---- operations ---------------------------------------------------------------- */

static struct uring_slot *slot_of(const struct io_file *file)
{
    return file->own;
}

static struct io_op **place_of(struct io_op *op)
{
    struct uring_slot *slot = slot_of(op->file);

    return op->kind == IO_RECV || op->kind == IO_ACCEPT ? &slot->reader : &slot->writer;
}

/* What was held, into op. */
static void recv_held(struct uring_slot *slot, struct io_op *op)
{
    struct buf *from = slot->held, *into = op->recv.buf;
    uint32_t n = from->to - from->from;

    if (into && (into->to > 0 || into->refs > 1)) {
        if (n > BUF_ROOM - into->to)
            n = BUF_ROOM - into->to;
        memcpy(into->data + into->to, from->data + from->from, n);
        into->to += n;
        from->from += n;
        op->res = (int)n;
        if (from->from < from->to)
            return;
    } else {
        op->recv.buf = from;
        op->res = (int)n;
        from = into;
    }
    slot->held = slot->held->next;
    if (!slot->held)
        slot->held_last = &slot->held;
    slot->held_count--;
    if (op->recv.buf != into)
        op->recv.buf->next = NULL;
    buf_unref(from);
}

static bool recv_ended(struct uring_slot *slot, struct io_op *op)
{
    op->res = slot->end;
    slot->flags &= (uint8_t)~ENDED;
    slot->file->ready |= CAN_READ | SAW_END; /* what more there is, a call says */
    return true;
}

static bool try_recv(struct loop *loop, struct uring_slot *slot, struct io_op *op)
{
    if (slot->held) {
        recv_held(slot, op);
        return true;
    }
    if (slot->flags & ENDED)
        return recv_ended(slot, op);
    /* Never past SHOT: what it has taken already comes first. */
    if (slot->armed & SHOT || !(slot->file->ready & CAN_READ) || !socket_recv(loop, op))
        return false;
    slot->flags |= RECEIVED;
    return true;
}

static bool try_op(struct loop *loop, struct io_op *op)
{
    uint8_t ready = op->file->ready;

    switch (op->kind) {
    case IO_RECV: return try_recv(loop, slot_of(op->file), op);
    case IO_SEND: return (ready & CAN_WRITE) && socket_send(op);
    case IO_ACCEPT: return (ready & CAN_READ) && socket_accept(op);
    default: return op->pending ? socket_connected(op) : socket_connect(op);
    }
}

/* Is this to be sent with others'? */
static bool send_together(struct loop *loop, struct io_op *op)
{
    struct uring_backend *be = backend_of(loop);

    if (!op->send.together || op->send.count != 1 || op->send.iov->iov_len > SEND_MAX ||
        !(op->file->ready & CAN_WRITE) || be->leaving)
        return false;
    want(be, slot_of(op->file), SEND);
    be->sends++;
    return true;
}

static void send_withdraw(struct uring_backend *be, struct uring_slot *slot)
{
    if (!(slot->wants & SEND))
        return;
    slot->wants &= (uint8_t)~SEND;
    be->sends--;
}

/* See to it that there is a request that will bring this operation on. */
static void await(struct uring_backend *be, struct io_op *op)
{
    struct uring_slot *slot = slot_of(op->file);
    unsigned request = IN;

    if (op->kind == IO_SEND || op->kind == IO_CONNECT)
        request = OUT;
    else if (op->kind == IO_RECV && slot->armed & SHOT)
        request = SHOT;
    else if (op->kind == IO_RECV && slot->flags & RECEIVED && be->ring.shots)
        request = SHOT;
    if (!(slot->armed & request) || slot->cancelling & request)
        want(be, slot, request);
}

static bool foreign_begin(struct uring_backend *be, struct io_op *op)
{
    if (foreign_submit(&be->foreign, op))
        return true;
    op->pending = true;
    return false;
}

static bool uring_submit(struct loop *loop, struct io_op *op)
{
    struct uring_backend *be = backend_of(loop);
    struct io_op **place;

    op->cancelled = false;
    op->pending = false;
    if (unlikely(op->kind == IO_POLL))
        return foreign_begin(be, op);
    place = place_of(op);
    if (op->kind == IO_SEND)
        op->send.moved = 0;
    if (unlikely(*place != NULL)) {
        op->res = -EBUSY;
        return true;
    }
    if (op->kind == IO_SEND && send_together(loop, op)) {
        op->pending = true;
        *place = op;
        if (be->sends >= SENDS_TOGETHER && be->ring.enabled && make_all_requests(loop))
            io_uring_submit(&be->ring.ring);
        return false;
    }
    if (try_op(loop, op)) {
        TRACE_IO(loop, op);
        return true;
    }
    op->pending = true;
    *place = op;
    await(be, op);
    return false;
}

/* The kernel tells one loop of a new connection, and must not choose one that has
 * stopped to accept; what this one was told of and others were not, it takes. True:
 * there was one, and it is the result. */
static bool listen_off(struct loop *loop, struct io_op *op)
{
    struct uring_slot *slot = slot_of(op->file);

    slot->wants = 0;
    if (slot->armed) {
        slot->flags |= UNWANTED;
        want(backend_of(loop), slot, 0);
        submit_now(loop);
        slot->flags &= (uint8_t)~UNWANTED;
    }
    op->file->ready |= CAN_READ;
    return socket_accept(op) && op->res >= 0;
}

static void uring_cancel(struct loop *loop, struct io_op *op)
{
    struct uring_backend *be = backend_of(loop);

    if (!op->pending || op->cancelled)
        return;
    op->cancelled = true;
    if (op->kind == IO_SEND && slot_of(op->file)->armed & SEND)
        return; /* it has a result */
    if (op->kind == IO_POLL) {
        foreign_forget(&be->foreign, op);
    } else {
        *place_of(op) = NULL;
        if (op->kind == IO_SEND)
            send_withdraw(be, slot_of(op->file));
    }
    if (op->kind != IO_ACCEPT || !listen_off(loop, op))
        op->res = -ECANCELED;
    if (op->kind == IO_SEND && op->send.moved > 0)
        op->res = op->send.moved > INT32_MAX ? INT32_MAX : (int)op->send.moved;
    list_push(&be->ended, &op->link);
}

/* ---- completions ---------------------------------------------------------------- */

/* The operation that waits for this; not any more while the loop leaves. */
static struct io_op *waiting(struct uring_backend *be, struct io_op *op)
{
    return be->leaving ? NULL : op;
}

static void op_end(struct loop *loop, struct io_op *op)
{
    *place_of(op) = NULL;
    op->pending = false;
    TRACE_IO(loop, op);
    op->done(op);
}

static void op_retry(struct loop *loop, struct io_op *op)
{
    if (try_op(loop, op))
        op_end(loop, op);
    else
        await(backend_of(loop), op);
}

static void free_if_idle(struct uring_backend *be, struct uring_slot *slot)
{
    if (slot->file || slot->armed)
        return;
    list_remove(&slot->link);
    slab_free(&be->slots, slot);
}

static void hold(struct uring_backend *be, struct uring_slot *slot, struct buf *buf)
{
    *slot->held_last = buf;
    slot->held_last = &buf->next;
    slot->held_count++;
    if (slot->held_count >= HELD_MAX && slot->armed & SHOT)
        want(be, slot, 0); /* to be cancelled */
}

/* SHOT has brought bytes, the end, or only its own. */
static void shot_ended(struct loop *loop, struct uring_slot *slot, int res, struct buf *buf)
{
    struct uring_backend *be = backend_of(loop);
    struct io_op *reader = waiting(be, slot->reader);

    if (res > 0) {
        buf->to = (uint32_t)res;
        hold(be, slot, buf);
    } else if (res == -ENOBUFS) {
        /* A call takes what there is: to ask the ring again, many at a time, would
         * find the buffers gone again. One that takes all buffers by itself would take
         * as many as there are. */
        if (slot->file)
            slot->file->ready |= CAN_READ;
        if (++be->starved == STARVED_MANY)
            uring_ring_lend_more(&be->ring);
    } else if (res == -EINVAL || res == -EOPNOTSUPP || res == -ENOSYS) {
        be->ring.shots = false; /* the kernel is older than 6.0 */
    } else if (res != -ECANCELED && res != -EAGAIN && res != -EINTR) {
        slot->flags |= ENDED;
        slot->end = res;
    }
    if (!slot->file)
        return;
    if (reader)
        op_retry(loop, reader);
}

static void poll_ended(struct loop *loop, struct uring_slot *slot, unsigned request, int res)
{
    struct uring_backend *be = backend_of(loop);
    struct io_op *op = waiting(be, request == IN ? slot->reader : slot->writer);

    if (!slot->file)
        return;
    if (res != -ECANCELED)
        slot->file->ready |= request == IN ? CAN_READ : CAN_WRITE;
    if (request == IN && (res < 0 || res & (POLLRDHUP | POLLHUP | POLLERR)))
        slot->file->ready |= SAW_END;
    if (op)
        op_retry(loop, op);
}

/* Its operation is there: until now it could not end. */
static void send_ended(struct loop *loop, struct uring_slot *slot, int res)
{
    struct io_op *op = waiting(backend_of(loop), slot->writer);

    if (!op)
        return;
    if (res > 0)
        op->send.moved += (size_t)res;
    else if (res == -EAGAIN)
        slot->file->ready &= (uint8_t)~CAN_WRITE;
    if (res < 0 && res != -EAGAIN && res != -EINTR) {
        op->res = res;
        op_end(loop, op);
    } else if (op->cancelled || op->send.moved == op->send.iov->iov_len) {
        op->res = op->send.moved > 0 ? (int)op->send.moved : -ECANCELED;
        op_end(loop, op);
    } else {
        op_retry(loop, op);
    }
}

static void request_ended(struct loop *loop, const struct io_uring_cqe *cqe)
{
    struct uring_backend *be = backend_of(loop);
    struct uring_slot *slot = (struct uring_slot *)(uintptr_t)(cqe->user_data & ~UINT64_C(15));
    unsigned request = cqe->user_data & 15;
    struct buf *buf = NULL;

    if (cqe->flags & IORING_CQE_F_BUFFER)
        buf = uring_ring_taken(&be->ring, cqe);
    if (!(cqe->flags & IORING_CQE_F_MORE)) {
        slot->armed &= (uint8_t)~request;
        slot->cancelling &= (uint8_t)~request;
        be->armed--;
    }
    if (buf && (cqe->res <= 0 || !slot->file)) {
        buf_unref(buf);
        buf = NULL;
    }
    if (!slot->file)
        free_if_idle(be, slot);
    else if (request == SHOT)
        shot_ended(loop, slot, cqe->res, buf);
    else if (request == SEND)
        send_ended(loop, slot, cqe->res);
    else
        poll_ended(loop, slot, request, cqe->res);
}

static void completion(struct loop *loop, const struct io_uring_cqe *cqe)
{
    struct uring_backend *be = backend_of(loop);
    bool over = !(cqe->flags & IORING_CQE_F_MORE);

    switch (cqe->user_data) {
    case FOR_NOBODY: break;
    case FOR_WAKE:
        be->armed -= over;
        be->wake_armed = !over;
        break;
    case FOR_FOREIGN:
        be->armed -= over;
        be->foreign_armed = !over;
        if (!be->leaving)
            foreign_collect(&be->foreign, &be->ended);
        break;
    default: request_ended(loop, cqe); break;
    }
}

/* False: there was none. What has brought input is taken from *input. */
static bool take_completion(struct loop *loop, int *input)
{
    struct io_uring *ring = &backend_of(loop)->ring.ring;
    struct io_uring_cqe *found, cqe;
    unsigned head, count = 0;

    io_uring_for_each_cqe(ring, head, found)
    {
        cqe = *found;
        count = 1;
        break;
    }
    if (count == 0)
        return false;
    io_uring_cq_advance(ring, 1); /* its place is free before anything else is done */
    *input -= (cqe.user_data & 15) != SEND;
    completion(loop, &cqe);
    return true;
}

static void run_ended(struct loop *loop, struct uring_backend *be)
{
    struct node *n;

    while ((n = list_pop(&be->ended)) != NULL) {
        struct io_op *op = container_of(n, struct io_op, link);

        op->pending = false;
        TRACE_IO(loop, op);
        op->done(op);
    }
}

static void uring_poll(struct loop *loop, int64_t until_ns)
{
    struct uring_backend *be = backend_of(loop);
    int input = URING_BATCH;

    if (unlikely(!be->ring.enabled) && uring_ring_enable(&be->ring) < 0)
        rt_wrong_use("loop %u can't enable its ring", loop->index);
    if (uring_ring_has_buffers(&be->ring))
        uring_ring_lend(&be->ring, &loop->bufs);
    if (!make_all_requests(loop) || !list_empty(&be->ended) ||
        io_uring_cq_ready(&be->ring.ring) > 0)
        until_ns = 0;
    be->starved = 0;
    uring_ring_enter(&be->ring, until_ns);
    loop_awake(loop);
    TRACE_LOOP(loop, RECORD_TURN, NULL, 0);
    /* What completions set timers by must not be the time before the wait. */
    loop->now_ns = socket_now_ns(loop);
    while (input > 0 && take_completion(loop, &input))
        continue;
    run_ended(loop, be);
}

/* All requests are ended while this thread, the ring's own, still runs: another
 * could not, and the kernel alone would do it some time later, with sockets open
 * until then. */
static void uring_leave(struct loop *loop)
{
    struct uring_backend *be = backend_of(loop);
    int64_t until_ns = socket_now_ns(loop) + LEAVE_NS;
    struct io_uring_sqe *sqe;
    int ignored = 0;

    if (be->ring.enabled && be->sends > 0)
        submit_now(loop);
    be->leaving = true;
    if (!be->ring.enabled)
        return;
    sqe = uring_ring_submission(&be->ring);
    if (sqe) {
        io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
        io_uring_sqe_set_data64(sqe, FOR_NOBODY);
    }
    while (be->armed > 0 && socket_now_ns(loop) < until_ns) {
        uring_ring_enter(&be->ring, until_ns);
        while (take_completion(loop, &ignored))
            continue;
    }
}

/* ---- descriptors ------------------------------------------------------------------ */

static int uring_attach(struct loop *loop, struct io_file *file, int fd, bool listening)
{
    struct uring_slot *slot = slab_alloc(&backend_of(loop)->slots);

    file->fd = -1;
    file->own = NULL;
    file->layer = NULL;
    if (!slot)
        return -ENOMEM;
    memset((char *)slot + sizeof(slot->head), 0, sizeof(*slot) - sizeof(slot->head));
    list_init(&slot->link);
    slot->held_last = &slot->held;
    slot->file = file;
    slot->fd = fd;
    slot->flags = listening ? LISTENING : 0;
    file->fd = fd;
    file->ready = listening ? CAN_READ : CAN_WRITE;
    file->own = slot;
    return 0;
}

/* End what a detached slot has in the kernel. A socket lives on until then: that a
 * stream's end is sent as late as the loop waits again does no harm, but nobody
 * must reach a listening socket any more. */
static void let_go(struct loop *loop, struct uring_slot *slot)
{
    struct uring_backend *be = backend_of(loop);
    bool listening = slot->flags & LISTENING;

    if (!slot->armed) {
        free_if_idle(be, slot);
        return;
    }
    want(be, slot, 0);
    if (listening && !be->leaving)
        submit_now(loop);
}

static void uring_detach(struct loop *loop, struct io_file *file, bool keep_open)
{
    struct uring_slot *slot = file->fd < 0 ? NULL : slot_of(file);

    if (slot) {
        if (slot->reader || slot->writer)
            rt_wrong_use("descriptor %d was detached with an operation pending", file->fd);
        while (slot->held) {
            struct buf *buf = slot->held;

            slot->held = buf->next;
            buf_unref(buf);
        }
        slot->held_count = 0;
        slot->file = NULL;
        slot->wants = 0;
        let_go(loop, slot);
    }
    if (file->fd >= 0 && !keep_open)
        close(file->fd);
    file->fd = -1;
    file->own = NULL;
}

static bool uring_is_dead(struct loop *loop, struct io_file *file)
{
    struct uring_slot *slot = slot_of(file);
    char byte;
    ssize_t n;

    (void)loop;
    if (slot->held || slot->flags & ENDED)
        return true;
    if (slot->armed & SHOT && !(slot->cancelling & SHOT))
        return false;
    n = recv(file->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n >= 0 || (errno != EAGAIN && errno != EINTR);
}

const struct io_ops uring_ops = {
    .name = "io_uring",
    .open = uring_open,
    .close = uring_close,
    .now_ns = socket_now_ns,
    .poll = uring_poll,
    .leave = uring_leave,
    .wake = uring_wake,
    .submit = uring_submit,
    .cancel = uring_cancel,
    .socket = socket_open,
    .datagram_open = socket_datagram_open,
    .datagram_connect = socket_datagram_connect,
    .datagram_recv = socket_datagram_recv,
    .datagram_send = socket_datagram_send,
    .listen = socket_listen,
    .attach = uring_attach,
    .detach = uring_detach,
    .reset = socket_reset,
    .shutdown = socket_shutdown,
    .address = socket_address,
    .is_dead = uring_is_dead,
    .random = uring_random,
};
