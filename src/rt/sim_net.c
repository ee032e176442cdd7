/* What goes over the connections of the simulated network.
 *
 * Each direction is a ring of bytes with four counters: sent (by the writer),
 * arrived (on the other side), read (by the reader), acked (the writer knows). The
 * writer may be buffer_bytes ahead of acked; then it waits. What is under way is
 * a short queue of segments, each with its time; they arrive in their order, and
 * the end of the stream or a reset travels behind the bytes before it.
 *
 * The ends tell what Linux tells. An error is reported once, by the next receive
 * or send, whichever comes first; after it a receive gives 0 and a send EPIPE.
 * Bytes that arrived before a reset can still be read. A reset behind the end of
 * the stream shows only to a sender, as EPIPE. Closing with bytes unread, or a
 * close of an end that bytes still come to, resets the other side (RFC 1122,
 * section 4.2.2.13). */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "rt/sim_state.h"

/* ---- one direction ------------------------------------------------------ */

static struct sim_conn *conn_of_pipe(struct sim_pipe *pipe)
{
    return container_of(pipe - pipe->side, struct sim_conn, pipe[0]);
}

static struct sim_pipe *out_of(struct sim_end *end)
{
    return &sim_conn_of(end)->pipe[end->side];
}

static struct sim_pipe *in_of(struct sim_end *end)
{
    return &sim_conn_of(end)->pipe[!end->side];
}

static struct sim_segment *last_segment(struct sim_pipe *pipe)
{
    return &pipe->segments[(pipe->first + pipe->count - 1) % SIM_SEGMENTS];
}

static void arm_arrival(struct sim_conn *conn, struct sim_pipe *pipe)
{
    if (pipe->count > 0 && !sim_conn_cut(conn, pipe->side))
        sim_event_arm(conn->sim, &pipe->arrive, pipe->segments[pipe->first].at_ns);
}

/* When the bytes that were put into the ring since have left: those of all that
 * use the link leave one after the other. */
static int64_t bytes_through_ns(struct sim_conn *conn, struct sim_pipe *pipe)
{
    uint64_t before = pipe->count > 0 ? last_segment(pipe)->end : pipe->arrived;

    return sim_link_leave_ns(conn->sim, conn->net, pipe->side, pipe->sent - before);
}

/* What is sent to who has forgotten the connection: lost, or, once somebody is
 * there again, answered by a reset. */
static void answer_for_nobody(struct sim_end *end, uint8_t flags)
{
    if (sim_conn_of(end)->told && !(flags & SIM_RST))
        sim_end_break(end, ECONNRESET);
}

/* What was put into the ring since, and flags, set out for the other side. */
static void pipe_send(struct sim_end *end, uint8_t flags)
{
    struct sim_conn *conn = sim_conn_of(end);
    struct sim_pipe *pipe = out_of(end);
    int64_t at_ns;

    if (conn->gone) {
        answer_for_nobody(end, flags);
        return;
    }
    at_ns = bytes_through_ns(conn, pipe) + sim_conn_delay_ns(conn);
    if (at_ns < pipe->last_at_ns)
        at_ns = pipe->last_at_ns; /* it is a stream */
    pipe->last_at_ns = at_ns;
    if (pipe->count == SIM_SEGMENTS) {
        last_segment(pipe)->at_ns = at_ns;
    } else {
        pipe->count++;
        *last_segment(pipe) = (struct sim_segment){ .at_ns = at_ns };
    }
    last_segment(pipe)->end = pipe->sent;
    last_segment(pipe)->flags |= flags;
    arm_arrival(conn, pipe);
}

/* A reset is sent by an end that is no more, or that has given up. */
static void send_reset(struct sim_end *end)
{
    if (out_of(end)->count == 0 || !(last_segment(out_of(end))->flags & SIM_RST))
        pipe_send(end, SIM_RST);
}

/* For the trace: what an end does, by who connected to whom. */
static void note_bytes(struct sim_end *end, const char *does, size_t len)
{
    char name[SIM_PARTY_NAME_BYTES];

    if (sim_conn_of(end)->sim->opts.show < 2)
        return;
    sim_conn_name(sim_conn_of(end), name);
    sim_note(sim_conn_of(end)->sim, 2, "%s: %s %s %zu bytes", name,
             end->side == 0 ? "who connected" : "who accepted", does, len);
}

static void note_end(struct sim_end *end, const char *what)
{
    char name[SIM_PARTY_NAME_BYTES];

    if (sim_conn_of(end)->sim->opts.show < 2)
        return;
    sim_conn_name(sim_conn_of(end), name);
    sim_note(sim_conn_of(end)->sim, 2, "%s: %s %s", name,
             end->side == 0 ? "who connected" : "who accepted", what);
}

void sim_end_break(struct sim_end *end, int error)
{
    if (end->state != SIM_END_OPEN || end->was_reset)
        return;
    note_end(end, "is told of a reset");
    end->was_reset = true;
    end->error = end->saw_fin ? EPIPE : error;
    sim_mark(&end->base);
}

static void segment_arrives(struct sim_pipe *pipe, struct sim_end *to, struct sim_segment segment)
{
    bool bytes = segment.end > pipe->arrived;

    pipe->arrived = segment.end;
    if (to->state != SIM_END_OPEN) {
        if (bytes && !(segment.flags & SIM_RST))
            send_reset(to);
        return;
    }
    if (segment.flags & SIM_FIN)
        to->saw_fin = true;
    if (segment.flags & SIM_RST)
        sim_end_break(to, ECONNRESET);
    sim_mark(&to->base);
}

static void pipe_arrive(struct sim *sim, struct sim_event *event)
{
    struct sim_pipe *pipe = container_of(event, struct sim_pipe, arrive);
    struct sim_conn *conn = conn_of_pipe(pipe);

    if (sim_conn_cut(conn, pipe->side))
        return; /* sim_pipe_resume() goes on */
    while (pipe->count > 0 && pipe->segments[pipe->first].at_ns <= sim->now_ns) {
        struct sim_segment segment = pipe->segments[pipe->first];

        pipe->first = (pipe->first + 1) % SIM_SEGMENTS;
        pipe->count--;
        segment_arrives(pipe, &conn->end[!pipe->side], segment);
    }
    arm_arrival(conn, pipe);
}

static void pipe_acked(struct sim *sim, struct sim_event *event)
{
    struct sim_pipe *pipe = container_of(event, struct sim_pipe, ack);
    struct sim_conn *conn = conn_of_pipe(pipe);

    (void)sim;
    if (conn->gone || sim_conn_cut(conn, !pipe->side))
        return;
    pipe->acked = pipe->read;
    sim_mark(&conn->end[pipe->side].base);
}

static void pipe_kick(struct sim *sim, struct sim_event *event)
{
    struct sim_pipe *pipe = container_of(event, struct sim_pipe, kick);
    struct sim_conn *conn = conn_of_pipe(pipe);

    (void)sim;
    sim_mark(&conn->end[pipe->side].base);
}

void sim_pipe_init(struct sim_pipe *pipe, uint8_t side)
{
    pipe->side = side;
    sim_event_init(&pipe->arrive, pipe_arrive);
    sim_event_init(&pipe->ack, pipe_acked);
    sim_event_init(&pipe->kick, pipe_kick);
}

void sim_pipe_done(struct sim_pipe *pipe)
{
    sim_event_clear(&pipe->arrive);
    sim_event_clear(&pipe->ack);
    sim_event_clear(&pipe->kick);
    base_free(pipe->bytes);
}

/* The first of what was held up is sent again, and the rest behind it. */
void sim_pipe_resume(struct sim_conn *conn, struct sim_pipe *pipe)
{
    struct sim *sim = conn->sim;
    int64_t at_ns = sim->now_ns + sim_conn_delay_ns(conn);

    for (uint32_t i = 0; i < pipe->count; i++) {
        struct sim_segment *segment = &pipe->segments[(pipe->first + i) % SIM_SEGMENTS];

        if (segment->at_ns < at_ns)
            segment->at_ns = at_ns;
    }
    if (pipe->count > 0 && pipe->last_at_ns < at_ns)
        pipe->last_at_ns = at_ns;
    arm_arrival(conn, pipe);
    if (pipe->acked != pipe->read)
        sim_event_arm(sim, &pipe->ack, at_ns);
}

/* ---- receiving ---------------------------------------------------------- */

static void ring_take(struct sim_pipe *pipe, uint32_t room, char *to, size_t len)
{
    size_t at = pipe->read % room, first = len < room - at ? len : room - at;

    memcpy(to, pipe->bytes + at, first);
    memcpy(to + first, pipe->bytes, len - first);
    pipe->read += len;
}

static bool take_error(struct sim_end *end, struct io_op *op)
{
    if (!end->error)
        return false;
    op->res = -end->error;
    end->error = 0;
    return true;
}

static bool recv_bytes(struct loop *loop, struct sim_end *end, struct io_op *op)
{
    struct sim_conn *conn = sim_conn_of(end);
    struct sim *sim = conn->sim;
    struct sim_pipe *pipe = in_of(end);
    struct buf *buf = op->recv.buf ? op->recv.buf : buf_new(&loop->bufs);
    size_t len = pipe->arrived - pipe->read;

    if (!buf) {
        op->res = WEIR_EBUDGET;
        return true;
    }
    if (len > BUF_ROOM - buf->to)
        len = BUF_ROOM - buf->to;
    if (len > 1 && sim_fault(sim, SIM_FAULT_short_read, &end->party))
        len = 1 + sim_fault_draw(sim, len);
    ring_take(pipe, sim->opts.buffer_bytes, buf->data + buf->to, len);
    buf->to += (uint32_t)len;
    op->recv.buf = buf;
    op->res = (int)len;
    note_bytes(end, "receives", len);
    if (!sim_event_armed(&pipe->ack))
        sim_event_arm(sim, &pipe->ack, sim->now_ns + sim_conn_delay_ns(conn));
    return true;
}

bool sim_end_recv(struct loop *loop, struct sim_end *end, struct io_op *op)
{
    if (end->state == SIM_END_NEW) {
        op->res = -ENOTCONN;
        return true;
    }
    if (end->state != SIM_END_OPEN)
        return false;
    if (in_of(end)->arrived > in_of(end)->read)
        return recv_bytes(loop, end, op);
    if (!end->saw_fin && take_error(end, op))
        return true;
    op->res = 0;
    return end->saw_fin || end->was_reset || end->shut_read;
}

bool sim_end_is_dead(struct sim_end *end)
{
    if (end->state != SIM_END_OPEN)
        return true;
    if (in_of(end)->arrived > in_of(end)->read)
        return true; /* nobody has asked for anything */
    return end->saw_fin || end->was_reset || end->shut_read;
}

/* ---- sending ------------------------------------------------------------ */

static void ring_put(struct sim_pipe *pipe, uint32_t room, const char *from, size_t len)
{
    size_t at = pipe->sent % room, first = len < room - at ? len : room - at;

    memcpy(pipe->bytes + at, from, first);
    memcpy(pipe->bytes, from + first, len - first);
    pipe->sent += len;
}

/* Copy what is still to be sent, as far as there is room; how much it was. */
static size_t put_vectors(struct sim_pipe *pipe, uint32_t buffer, struct io_op *op, size_t room)
{
    size_t skip = op->send.moved, put = 0;

    for (unsigned i = 0; i < op->send.count && put < room; i++) {
        const struct iovec *from = &op->send.iov[i];
        size_t len;

        if (skip >= from->iov_len) {
            skip -= from->iov_len;
            continue;
        }
        len = from->iov_len - skip;
        if (len > room - put)
            len = room - put;
        ring_put(pipe, buffer, (const char *)from->iov_base + skip, len);
        put += len;
        skip = 0;
    }
    return put;
}

static size_t send_total(const struct io_op *op)
{
    size_t total = 0;

    for (unsigned i = 0; i < op->send.count; i++)
        total += op->send.iov[i].iov_len;
    return total;
}

/* The network's own mischief, at each send. */
static void send_faults(struct sim_end *end)
{
    struct sim_conn *conn = sim_conn_of(end);
    struct sim *sim = conn->sim;

    sim_fault_cuts(sim, conn->net, &end->party);
    if (!conn->gone && sim_fault(sim, SIM_FAULT_vanish, &end->party))
        sim_conn_vanish(conn);
    if (sim_fault(sim, SIM_FAULT_reset, &end->party)) {
        send_reset(end);
        sim_end_break(end, ECONNRESET);
    }
}

/* May bytes be sent now? Else op->res tells, if it is set. */
static bool may_send(struct sim_end *end, struct io_op *op)
{
    if (take_error(end, op))
        return false;
    op->res = end->state == SIM_END_NEW ? -ENOTCONN : -EPIPE;
    return end->state == SIM_END_OPEN && !end->sent_fin && !end->was_reset;
}

static bool send_some(struct sim_end *end, struct io_op *op, size_t rest)
{
    struct sim *sim = sim_conn_of(end)->sim;
    struct sim_pipe *pipe = out_of(end);
    size_t room = sim->opts.buffer_bytes - (pipe->sent - pipe->acked), put;
    bool pieces = rest > 1 && sim_fault(sim, SIM_FAULT_short_write, &end->party);

    if (!pipe->bytes)
        pipe->bytes = base_malloc(sim->opts.buffer_bytes);
    if (!pipe->bytes) {
        op->res = -ENOBUFS;
        return true;
    }
    if (room == 0)
        return false;
    if (pieces)
        room = 1 + sim_fault_draw(sim, rest < room ? rest : room);
    put = put_vectors(pipe, sim->opts.buffer_bytes, op, room);
    op->send.moved += put;
    note_bytes(end, "sends", put);
    pipe_send(end, 0);
    if (put == rest) {
        op->res = op->send.moved > INT32_MAX ? INT32_MAX : (int)op->send.moved;
        return true;
    }
    if (pieces)
        sim_event_arm(sim, &pipe->kick, sim->now_ns);
    return false;
}

bool sim_end_send(struct sim_end *end, struct io_op *op)
{
    size_t rest = send_total(op) - op->send.moved;

    if (end->state == SIM_END_CONNECTING)
        return false;
    if (end->state == SIM_END_OPEN && rest > 0)
        send_faults(end);
    if (!may_send(end, op))
        return true;
    op->res = 0;
    return rest == 0 || send_some(end, op, rest);
}

/* ---- the end ------------------------------------------------------------ */

static void send_fin(struct sim_end *end)
{
    if (end->sent_fin || end->was_reset)
        return;
    end->sent_fin = true;
    pipe_send(end, SIM_FIN);
}

int sim_end_shutdown(struct sim_end *end, int how)
{
    if (end->state != SIM_END_OPEN || end->was_reset)
        return -ENOTCONN;
    if (how != SHUT_WR)
        end->shut_read = true;
    if (how != SHUT_RD)
        send_fin(end);
    sim_mark(&end->base);
    return 0;
}

/* Before its handshake is over. */
static void close_early(struct sim_conn *conn)
{
    sim_event_clear(&conn->hand);
    conn->end[1].state = SIM_END_NONE;
}

void sim_end_close(struct sim_end *end)
{
    struct sim_conn *conn = sim_conn_of(end);
    struct sim_pipe *in = in_of(end);

    if (end->base.fd >= 0)
        sim_fd_close(conn->sim, &end->base);
    if (end->state == SIM_END_OPEN)
        note_end(end, "closes");
    if (end->state == SIM_END_CONNECTING)
        close_early(conn);
    else if (end->state == SIM_END_OPEN && !end->was_reset &&
             (end->reset_at_close || in->arrived > in->read))
        send_reset(end);
    else if (end->state == SIM_END_OPEN)
        send_fin(end);
    end->state = SIM_END_NONE;
    sim_conn_let_go(conn);
}
