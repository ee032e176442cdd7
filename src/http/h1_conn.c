/* A connection of a server: input, output, timers, and its end.
 *
 * What is received is appended to the input; h1_serve.c takes requests and bodies
 * off it. Replies go into the output chain, and one flush at the end of the batch
 * sends them.
 *
 * States: see h1_conn.h. IDLE -> HEAD -> SERVE [-> DRAIN] -> IDLE …; any -> LAST
 * [-> LINGER] -> CLOSED; any -> CLOSED.
 *
 * There is one timer. It is set when it must fire earlier than it would, never
 * to put it off: when it fires early it looks at the deadlines and is set anew.
 * So a request costs it nothing.
 *
 * Invariants: work is there in every state but IDLE and CLOSED, and in IDLE only
 * while there is input or output; in SERVE and DRAIN, and only there, work->x has
 * a whole head; a CLOSED connection with nothing pending is in the graveyard and
 * freed at the end of the batch, so that nobody up the stack loses it. */
#include "http/h1_wire.h"

#include <errno.h>
#include <string.h>

#include <weir/log.h>

#include "http/h2_conn.h"
#include "http/server_loop.h"
#include "net/tls_layer.h"

#define MERGE_BYTES 4096 /* small pieces of input are copied together */
#define STALL_NOTED_NS 1000000

static void recv_done(struct io_op *op);
static void conn_timer(struct timer *timer);
static void output_ended(struct outq *q);
static void flush(struct deferred *work);

/* ---- what a request borrows ------------------------------------------------------------- */

static struct h1_work *work_take(struct h1_conn *c)
{
    struct server_loop *home = c->home;
    struct h1_work *w = slab_alloc(&home->works);

    if (!w)
        return NULL;
    w->conn = c;
    w->x = NULL;
    w->in = w->next = NULL;
    w->big = NULL;
    w->big_len = w->dropped = 0;
    h1_parser_init(&w->parser, &home->opts->limits);
    deferred_init(&w->flush, flush);
    w->stall_ns = WEIR_NEVER_NS;
    w->stall_progress = w->counted = 0;
    outq_init(&w->out, loop_bufs(home->loop), &c->file, output_ended);
    w->out.op.send.together = true; /* nobody waits for the result in the same turn */
    c->work = w;
    return w;
}

void h1_work_give(struct h1_conn *c)
{
    struct h1_work *w = c->work;

    loop_undefer(&w->flush);
    buf_unref(w->in);
    buf_unref(w->next);
    slab_free(&c->home->works, w);
    c->work = NULL;
}

void h1_input_used(struct h1_work *w)
{
    buf_unref(w->in);
    w->in = w->next;
    w->next = NULL;
}

/* ---- the end ------------------------------------------------------------------------------ */

void h1_bury(struct h1_conn *c)
{
    struct server_loop *home = c->home;

    if (c->work) {
        outq_drop(&c->work->out, WEIR_EGONE);
        h1_work_give(c);
    }
    io_detach(home->loop, &c->file, false);
    list_remove(&c->link);
    list_push(&home->closed, &c->link);
    home->connection_count--;
    atomic_fetch_sub_explicit(&home->load, 1, memory_order_relaxed);
    atomic_store_explicit(&home->counts.connections, home->connection_count, memory_order_relaxed);
    weir_gauge_add(home->metrics->connections, -1);
    loop_defer(home->loop, &home->reaper);
}

/* The exchange goes on without its connection, or ends with it. */
static void lose_exchange(struct h1_conn *c)
{
    weir_exchange *x = c->work ? c->work->x : NULL;

    if (!x)
        return;
    c->work->x = NULL;
    x->conn = NULL;
    x->gone = true;
    exchange_body_arrived(x);
    h1_output_moved(x);
    if (!x->running)
        exchange_release(x);
    else if (x->route.gone == HTTP_GONE_CANCEL)
        rt_cancel(x->scope, WEIR_REASON_GONE, "the client");
}

/* The connection ends before its TLS handshake is over: whose fault it is, the log's
 * debug lines say, for anybody can make as many as he likes. */
static void count_handshake(const struct h1_conn *c)
{
    struct server_loop *home = c->home;
    weir_str words = tls_layer_failure(&c->file);
    char text[ADDR_TEXT_BYTES];
    struct addr addr;

    weir_counter_add(home->metrics->handshakes_failed, 1);
    if (!weir_log_enabled(WEIR_LOG_DEBUG) ||
        loop_io(home->loop)
                ->address(home->loop, (struct io_file *)(uintptr_t)&c->file, true, &addr.storage,
                          &addr.len) < 0)
        return;
    weir_debug("the TLS handshake with %.*s failed: %.*s", WEIR_ARG(addr_format(&addr, text)),
               WEIR_ARG(words.ptr ? words : WEIR_S("it took too long, or the client has gone")));
}

void h1_abort(struct h1_conn *c)
{
    struct loop *loop = c->home->loop;
    bool sending = c->work && outq_sending(&c->work->out);

    if (c->state == H1_CLOSED)
        return;
    if (c->state == H1_HTTP2) {
        h2_abort(c->h2);
        return;
    }
    if (io_is_layered(&c->file) && !tls_layer_done(&c->file))
        count_handshake(c);
    /* RFC 9112, section 8: an answer that ends with the connection has no other
     * mark of being cut short. */
    if (c->flags & H1_RESET)
        io_reset(loop, &c->file);
    lose_exchange(c);
    c->state = H1_CLOSED;
    timer_clear(loop, &c->timer);
    if (c->work) {
        loop_undefer(&c->work->flush);
        outq_cancel(&c->work->out, loop, WEIR_EGONE);
    }
    if (c->recv.pending)
        io_cancel(loop, &c->recv);
    if (!c->recv.pending && !sending)
        h1_bury(c);
}

void h1_fail_output(struct h1_conn *c, int code)
{
    c->flags |= H1_RESET;
    outq_cancel(&c->work->out, c->home->loop, code);
}

/* All is sent: our half is closed, the peer's read on for a while, so that what
 * it still sends does not make the kernel throw the answer away (RFC 9112,
 * section 9.6). */
static void conn_linger(struct h1_conn *c)
{
    struct loop *loop = c->home->loop;

    if (c->flags & H1_SAW_END || !(c->flags & H1_MUST_LINGER) ||
        io_shutdown(loop, &c->file, SHUT_WR) < 0) {
        h1_abort(c);
        return;
    }
    c->state = H1_LINGER;
    c->lingered = 0;
    if (c->work)
        h1_work_give(c);
    h1_set_deadline(c, loop_now_ns(loop) + (int64_t)c->home->opts->linger_ms * 1000000);
    h1_read(c);
}

void h1_take_back(struct h1_conn *c)
{
    c->h2 = NULL;
    c->recv.done = recv_done;
    c->timer.fire = conn_timer;
    c->flags |= H1_MUST_LINGER;
    c->state = H1_LAST;
    c->deadline_ns = WEIR_NEVER_NS;
    conn_linger(c);
}

void h1_finish(struct h1_conn *c, unsigned flags)
{
    c->flags |= (uint8_t)flags;
    c->state = H1_LAST;
    c->deadline_ns = WEIR_NEVER_NS;
    c->work->dropped = 0;
    while (c->work->in)
        h1_input_used(c->work);
    h1_flush_soon(c);
}

/* ---- output ---------------------------------------------------------------------------------- */

/* A send waits for the peer: it must take something in time. */
static void watch_stall(struct h1_conn *c)
{
    struct h1_work *w = c->work;

    if (w->stall_ns != WEIR_NEVER_NS)
        return;
    w->stall_progress = outq_progress(&w->out);
    if (w->out.bytes > atomic_load_explicit(&c->home->counts.write_high, memory_order_relaxed))
        atomic_store_explicit(&c->home->counts.write_high, (uint32_t)w->out.bytes,
                              memory_order_relaxed);
    w->stall_ns = loop_now_ns(c->home->loop) + (int64_t)c->home->opts->write_stall_ms * 1000000;
    if (w->stall_ns < c->timer.at_ns)
        timer_set(c->home->loop, &c->timer, w->stall_ns);
}

/* It waits no more, or has moved: account for how long it did. */
static void stall_over(struct h1_conn *c)
{
    struct h1_work *w = c->work;
    int64_t began_ns = w->stall_ns - (int64_t)c->home->opts->write_stall_ms * 1000000;
    int64_t held_ns = loop_now_ns(c->home->loop) - began_ns;

    if (w->stall_ns == WEIR_NEVER_NS)
        return;
    w->stall_ns = WEIR_NEVER_NS;
    if (held_ns >= STALL_NOTED_NS)
        weir_histogram_observe_ns(c->home->metrics->write_held, held_ns);
}

/* Everything is sent. */
static void output_empty(struct h1_conn *c)
{
    struct h1_work *w = c->work;

    stall_over(c);
    if (w->x)
        h1_output_moved(w->x);
    if (c->state == H1_LAST) {
        if (c->flags & H1_RESET)
            h1_abort(c);
        else
            conn_linger(c);
    } else if (c->state == H1_IDLE && !w->in) {
        h1_work_give(c);
    } else {
        h1_go_on(c);
    }
}

static void count_output(struct h1_conn *c)
{
    struct h1_work *w = c->work;
    uint64_t n = w->out.sent_bytes - w->counted;

    w->counted += n;
    count_add(&c->home->counts.bytes_out, n);
    weir_counter_add(c->home->metrics->bytes_out, n);
}

static void flush(struct deferred *work)
{
    struct h1_work *w = container_of(work, struct h1_work, flush);
    struct h1_conn *c = w->conn;
    int rc = outq_flush(&w->out, c->home->loop);

    count_output(c);
    if (rc < 0) {
        /* What a handler has given up itself is no news to it: it ends first. */
        if (c->state != H1_SERVE || !(c->flags & H1_RESET))
            h1_abort(c);
        return;
    }
    if (rc == 0)
        output_empty(c);
    else
        watch_stall(c);
    if (c->state == H1_SERVE && c->flags & H1_SAW_END)
        h1_peer_gone(c, false);
}

static void output_ended(struct outq *q)
{
    struct h1_work *w = container_of(q, struct h1_work, out);
    struct h1_conn *c = w->conn;

    if (c->state == H1_CLOSED) {
        if (!c->recv.pending)
            h1_bury(c);
        return;
    }
    stall_over(c);
    flush(&w->flush);
    if (c->work && c->work->x)
        h1_output_moved(c->work->x);
}

/* ---- input ------------------------------------------------------------------------------------- */

/* The bytes of one buffer behind those that are there. */
static void input_append(struct h1_work *w, struct buf *buf)
{
    uint32_t n = buf->to - buf->from;

    if (!w->in) {
        w->in = buf;
    } else if (n <= MERGE_BYTES && n <= BUF_ROOM - w->in->to) {
        memcpy(w->in->data + w->in->to, buf->data + buf->from, n);
        w->in->to += n;
        buf_unref(buf);
    } else {
        w->next = buf;
    }
}

/* Bytes that nobody wants any more. In LAST, too many of them only stop the reading
 * (see may_read()): the answer may not even have been sent. */
static void drop_input(struct h1_conn *c, struct buf *buf, uint32_t n)
{
    buf_unref(buf);
    if (c->state == H1_LAST) {
        c->work->dropped += n;
        return;
    }
    c->lingered += n;
    if (c->lingered > c->home->opts->linger_bytes)
        h1_abort(c);
}

static void received_bytes(struct h1_conn *c, struct buf *buf, uint32_t n)
{
    count_add(&c->home->counts.bytes_in, n);
    weir_counter_add(c->home->metrics->bytes_in, n);
    if (c->state == H1_LAST || c->state == H1_LINGER) {
        drop_input(c, buf, n);
        return;
    }
    if (!c->work && !work_take(c)) {
        buf_unref(buf);
        h1_abort(c);
        return;
    }
    input_append(c->work, buf);
    switch (c->state) {
    case H1_IDLE:
    case H1_HEAD: h1_go_on(c); break;
    case H1_SERVE: exchange_body_arrived(c->work->x); break;
    case H1_DRAIN: h1_discard(c); break;
    default: break;
    }
}

static void received_end(struct h1_conn *c)
{
    c->flags |= H1_SAW_END;
    switch (c->state) {
    case H1_SERVE: h1_peer_gone(c, false); break;
    case H1_HEAD: h1_head_cut_short(c); break;
    case H1_DRAIN: h1_body_given_up(c); break;
    case H1_LAST: break;
    case H1_IDLE:
        if (c->work) { /* answers are on their way, or requests waiting for that */
            h1_go_on(c);
            break;
        }
        /* fall through */
    default: h1_abort(c); break;
    }
}

/* A receive has ended. */
static void received(struct h1_conn *c)
{
    int rc = c->recv.res;

    if (c->state == H1_CLOSED) {
        if (rc > 0)
            buf_unref(c->recv.recv.buf);
        if (!c->work || !outq_sending(&c->work->out))
            h1_bury(c);
    } else if (rc > 0) {
        received_bytes(c, c->recv.recv.buf, (uint32_t)rc);
    } else if (rc == 0) {
        received_end(c);
    } else {
        h1_peer_gone(c, true);
    }
}

static bool may_read(const struct h1_conn *c)
{
    if (c->state == H1_LAST && c->work->dropped > c->home->opts->linger_bytes)
        return false;
    return !c->recv.pending && c->state < H1_CLOSED && !(c->flags & H1_SAW_END) &&
           !(c->work && c->work->next);
}

/* What is received is dealt with in this loop, never further down the stack. */
void h1_read(struct h1_conn *c)
{
    if (c->flags & H1_IN_READ)
        return;
    c->flags |= H1_IN_READ;
    while (may_read(c)) {
        c->recv.recv.buf = NULL;
        if (!io_submit(c->home->loop, &c->recv))
            break;
        received(c);
    }
    c->flags &= (uint8_t)~H1_IN_READ;
}

static void recv_done(struct io_op *op)
{
    struct h1_conn *c = container_of(op, struct h1_conn, recv);

    c->flags |= H1_IN_READ;
    received(c);
    c->flags &= (uint8_t)~H1_IN_READ;
    h1_read(c);
}

/* ---- timers -------------------------------------------------------------------------------------- */

void h1_set_deadline(struct h1_conn *c, int64_t at_ns)
{
    c->deadline_ns = at_ns;
    if (at_ns < c->timer.at_ns)
        timer_set(c->home->loop, &c->timer, at_ns);
}

/* The input's deadline has passed. */
static void input_late(struct h1_conn *c)
{
    int64_t next_ns;

    c->deadline_ns = WEIR_NEVER_NS;
    switch (c->state) {
    case H1_IDLE:
        if (c->work) /* answers are on their way: see output_late() */
            c->deadline_ns = loop_now_ns(c->home->loop) + (int64_t)c->home->opts->idle_ms * 1000000;
        else
            h1_abort(c);
        break;
    case H1_LINGER: h1_abort(c); break;
    case H1_HEAD: h1_head_timed_out(c); break;
    case H1_SERVE:
        if (exchange_body_keeps_pace(c->work->x, &next_ns))
            c->deadline_ns = next_ns;
        break;
    case H1_DRAIN: h1_body_given_up(c); break;
    default: break;
    }
}

/* The peer takes nothing: there is no one to answer. */
static void output_late(struct h1_conn *c)
{
    struct h1_work *w = c->work;

    stall_over(c);
    if (!outq_sending(&w->out))
        return;
    if (outq_progress(&w->out) != w->stall_progress) {
        watch_stall(c);
        return;
    }
    c->flags |= H1_RESET;
    h1_abort(c);
}

static void conn_timer(struct timer *timer)
{
    struct h1_conn *c = container_of(timer, struct h1_conn, timer);
    int64_t now_ns = loop_now_ns(c->home->loop), next_ns;

    if (c->deadline_ns <= now_ns)
        input_late(c);
    if (c->state != H1_CLOSED && c->work && c->work->stall_ns <= now_ns)
        output_late(c);
    if (c->state == H1_CLOSED)
        return;
    next_ns = c->deadline_ns;
    if (c->work && c->work->stall_ns < next_ns)
        next_ns = c->work->stall_ns;
    if (next_ns < c->timer.at_ns)
        timer_set(c->home->loop, &c->timer, next_ns);
}

/* ---- the beginning, and the drain ------------------------------------------------------------------ */

void h1_accepted(struct server_loop *home, int fd)
{
    struct h1_conn *c = slab_alloc(&home->conns);

    if (!c) {
        struct io_file none = { .fd = fd };

        io_detach(home->loop, &none, false);
        return;
    }
    memset((char *)c + sizeof(c->head), 0, sizeof(*c) - sizeof(c->head));
    c->home = home;
    c->flags = H1_FIRST;
    c->accepted_ns = loop_now_ns(home->loop);
    c->file.fd = fd;
    c->recv.kind = IO_RECV;
    c->recv.file = &c->file;
    c->recv.done = recv_done;
    timer_init(&c->timer, conn_timer);
    if (io_attach(home->loop, &c->file, fd, false) < 0) {
        c->file.fd = fd;
        io_detach(home->loop, &c->file, false);
        slab_free(&home->conns, c);
        return;
    }
    if (home->opts->tls && tls_layer_accept(home->loop, &c->file, home->opts->tls) < 0) {
        io_detach(home->loop, &c->file, false);
        slab_free(&home->conns, c);
        return;
    }
    list_push(&home->open, &c->link);
    home->connection_count++;
    atomic_fetch_add_explicit(&home->load, 1, memory_order_relaxed);
    atomic_store_explicit(&home->counts.connections, home->connection_count, memory_order_relaxed);
    weir_gauge_add(home->metrics->connections, 1);
    weir_counter_add(home->metrics->connections_total, 1);
    c->deadline_ns = WEIR_NEVER_NS;
    h1_set_deadline(c, loop_now_ns(home->loop) + (int64_t)home->opts->head_ms * 1000000);
    h1_read(c);
}

void h1_close_idle(struct h1_conn *c)
{
    if (c->state == H1_IDLE && !c->work)
        h1_abort(c);
}
