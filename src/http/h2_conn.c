/* A connection of a server that speaks HTTP/2: input, output, timers, and its end.
 *
 * What is received goes by way of the meter to nghttp2, which calls back (h2_session.c).
 * What it wants to send is gathered into the output chain, many frames to a send, at the
 * end of the batch; no more than the chain's bound, so that what is urgent does not stand
 * behind what was queued long before.
 *
 * Its end: nghttp2 wants neither to read nor to write any more and all is sent; then the
 * h1_conn closes it lingering. Or at once (h2_abort()): the peer is gone, or of no use.
 *
 * Invariants: session is there until the end has begun; nghttp2 is not entered from
 * within itself; nothing is freed while it is at work (H2_IN_LIBRARY). */
#include "http/h2_conn.h"

#include <errno.h>
#include <string.h>

#include <weir/log.h>

#define TICK_NS INT64_C(1000000000) /* between two looks at the streams */
#define MS_NS INT64_C(1000000)
#define QUEUED_MAX 256              /* frames that wait to be sent: then no more is read */
#define STALL_NOTED_NS 1000000

static void recv_done(struct io_op *op);
static void fire(struct timer *timer);
static void output_ended(struct outq *q);
static void flush(struct deferred *work);
static void read_on(struct h2_conn *c);

/* ---- the end --------------------------------------------------------------------------------- */

static void bury(struct h2_conn *c)
{
    outq_drop(&c->out, WEIR_EGONE);
    h1_bury(c->base);
}

/* The session, the streams, and what is kept of the input. */
static void let_go_of_all(struct h2_conn *c)
{
    loop_undefer(&c->flush);
    nghttp2_session_del(c->session);
    c->session = NULL;
    list_each_safe(n, &c->streams)
        h2_stream_lost(container_of(n, struct h2_stream, link));
    buf_unref(c->in);
    buf_unref(c->next);
    c->in = c->next = NULL;
}

void h2_abort(struct h2_conn *c)
{
    struct h1_conn *base = c->base;
    struct loop *loop = c->home->loop;

    if (base->state == H1_CLOSED)
        return;
    if (c->flags & H2_IN_LIBRARY) {
        c->flags |= H2_FAILED;
        h2_flush_soon(c);
        return;
    }
    if (base->flags & H1_RESET)
        io_reset(loop, &base->file);
    base->state = H1_CLOSED;
    timer_clear(loop, &base->timer);
    outq_cancel(&c->out, loop, WEIR_EGONE);
    let_go_of_all(c);
    if (base->recv.pending)
        io_cancel(loop, &base->recv);
    if (!base->recv.pending && !outq_sending(&c->out))
        bury(c);
}

/* All is said: the connection is closed as one of HTTP/1.1 is. */
static void finish(struct h2_conn *c)
{
    struct h1_conn *base = c->base;

    let_go_of_all(c);
    outq_drop(&c->out, WEIR_EGONE);
    slab_free(&c->home->h2_conns, c);
    h1_take_back(base);
}

static void tell(struct h2_conn *c, const struct h2_verdict *verdict)
{
    char text[ADDR_TEXT_BYTES];
    struct addr addr;
    weir_str peer = WEIR_S("a client");

    if (c->flags & H2_TOLD)
        return;
    c->flags |= H2_TOLD;
    if (loop_io(c->home->loop)
            ->address(c->home->loop, &c->base->file, true, &addr.storage, &addr.len) == 0)
        peer = addr_format(&addr, text);
    weir_logf(WEIR_LOG_WARN, "HTTP/2 connection from %.*s ended: %s (%s)", WEIR_ARG(peer),
              verdict->rule, nghttp2_http2_strerror(verdict->code));
}

void h2_end(struct h2_conn *c, const struct h2_verdict *verdict)
{
    tell(c, verdict);
    if (c->flags & H2_ENDING)
        return;
    c->flags |= H2_ENDING;
    nghttp2_session_terminate_session(c->session, verdict->code);
    h2_flush_soon(c);
}

/* Without a fault: what is begun goes on. */
static void go_away(struct h2_conn *c)
{
    if (c->flags & H2_ENDING)
        return;
    c->flags |= H2_ENDING;
    c->goaway_ns = WEIR_NEVER_NS;
    nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(c->session), NGHTTP2_NO_ERROR,
                          NULL, 0);
    h2_flush_soon(c);
}

/* RFC 9113, section 6.8: first a notice, so that requests on their way are still taken;
 * then the end. */
void h2_drain(struct h2_conn *c)
{
    if (c->flags & (H2_ENDING | H2_NOTICED))
        return;
    c->flags |= H2_NOTICED;
    nghttp2_submit_shutdown_notice(c->session);
    c->goaway_ns = loop_now_ns(c->home->loop) + (int64_t)c->home->opts->drain_idle_ms * MS_NS;
    h2_wake_by(c, c->goaway_ns);
    h2_flush_soon(c);
}

/* ---- output ------------------------------------------------------------------------------------ */

static void watch_stall(struct h2_conn *c)
{
    if (c->stall_ns != WEIR_NEVER_NS)
        return;
    c->stall_progress = outq_progress(&c->out);
    if (c->out.bytes > atomic_load_explicit(&c->home->counts.write_high, memory_order_relaxed))
        atomic_store_explicit(&c->home->counts.write_high, (uint32_t)c->out.bytes,
                              memory_order_relaxed);
    c->stall_ns = loop_now_ns(c->home->loop) + (int64_t)c->home->opts->write_stall_ms * MS_NS;
    h2_wake_by(c, c->stall_ns);
}

static void stall_over(struct h2_conn *c)
{
    int64_t began_ns = c->stall_ns - (int64_t)c->home->opts->write_stall_ms * MS_NS;
    int64_t held_ns = loop_now_ns(c->home->loop) - began_ns;

    if (c->stall_ns == WEIR_NEVER_NS)
        return;
    c->stall_ns = WEIR_NEVER_NS;
    if (held_ns >= STALL_NOTED_NS)
        weir_histogram_observe_ns(c->home->metrics->write_held, held_ns);
}

static void count_output(struct h2_conn *c)
{
    uint64_t n = c->out.sent_bytes - c->counted;

    c->counted += n;
    count_add(&c->home->counts.bytes_out, n);
    weir_counter_add(c->home->metrics->bytes_out, n);
}

/* Frames into the chain, as many as fit. Returns 1 when there are more, 0 when that was
 * all, or a failure. */
static int gather(struct h2_conn *c)
{
    const uint8_t *data = NULL;
    ssize_t n = 0;

    c->flags |= H2_IN_LIBRARY;
    while (c->out.bytes < OUTQ_HIGH_BYTES && !c->out.failed) {
        n = nghttp2_session_mem_send(c->session, &data);
        if (n <= 0)
            break;
        if (outq_copy(&c->out, weir_str_from((const char *)data, (size_t)n)) < 0) {
            n = NGHTTP2_ERR_NOMEM;
            break;
        }
    }
    c->flags &= (uint8_t)~H2_IN_LIBRARY;
    return n < 0 || c->flags & H2_FAILED ? -ECONNABORTED : n > 0;
}

static void check_verdict(struct h2_conn *c)
{
    if (c->meter.verdict.rule && !(c->flags & H2_TOLD))
        h2_end(c, &c->meter.verdict);
}

/* Gather and send until the kernel takes no more, or there is no more: 1 or 0; or a
 * failure. */
static int send_all(struct h2_conn *c)
{
    int more, rc;

    do {
        more = gather(c);
        if (more < 0)
            return more;
        check_verdict(c);
        rc = outq_flush(&c->out, c->home->loop);
        count_output(c);
        if (rc != 0)
            return rc;
        stall_over(c);
    } while (more || nghttp2_session_want_write(c->session));
    return 0;
}

static void tell_streams(struct h2_conn *c)
{
    bool over = c->base->flags & H1_SAW_END;

    if (!over && c->drainers == 0)
        return;
    list_each_safe(n, &c->streams) {
        struct h2_stream *s = container_of(n, struct h2_stream, link);

        h2_stream_output_moved(s);
        if (over)
            h2_stream_peer_gone(s);
    }
}

static bool is_done(const struct h2_conn *c)
{
    if (c->out.bytes > 0)
        return false;
    if (c->stream_count == 0 && (c->flags & H2_ENDING || c->base->flags & H1_SAW_END))
        return true;
    return !nghttp2_session_want_read(c->session) && !nghttp2_session_want_write(c->session);
}

static void flush_now(struct h2_conn *c)
{
    int rc = send_all(c);

    if (rc < 0) {
        h2_abort(c);
        return;
    }
    if (rc > 0)
        watch_stall(c);
    tell_streams(c);
    if (is_done(c))
        finish(c);
    else
        read_on(c);
}

static void output_ended(struct outq *q)
{
    struct h2_conn *c = container_of(q, struct h2_conn, out);

    if (c->base->state == H1_CLOSED) {
        if (!c->base->recv.pending)
            bury(c);
        return;
    }
    stall_over(c);
    loop_undefer(&c->flush);
    flush(&c->flush);
}

/* ---- input --------------------------------------------------------------------------------------- */

static void note_partial(struct h2_conn *c, int64_t now_ns)
{
    if (!h2_meter_partial(&c->meter)) {
        c->partial_ns = 0;
        return;
    }
    if (c->partial_ns && (c->meter.in_block || c->meter.frames == c->partial_frames))
        return;
    c->partial_ns = now_ns;
    c->partial_frames = c->meter.frames;
    h2_wake_by(c, now_ns + (int64_t)c->home->opts->head_ms * MS_NS);
}

/* The library has refused the input for good. */
static void input_failed(struct h2_conn *c, int rc)
{
    struct h2_verdict verdict = { .rule = nghttp2_strerror(rc), .code = NGHTTP2_PROTOCOL_ERROR };

    if (rc == NGHTTP2_ERR_NOMEM || rc == NGHTTP2_ERR_CALLBACK_FAILURE) {
        h2_abort(c);
        return;
    }
    if (rc == NGHTTP2_ERR_FLOODED)
        verdict.code = NGHTTP2_ENHANCE_YOUR_CALM;
    h2_end(c, &verdict);
}

/* The frame ahead is for a stream that was opened earlier. RFC 9113, section 5.1: on one
 * that is closed it is an error, unless we have closed it and they could not know. */
static void look_at_stream(struct h2_conn *c)
{
    int32_t id = (int32_t)c->meter.asks;

    c->meter.asks = 0;
    if (nghttp2_session_get_stream_remote_close(c->session, id) >= 0 || c->flags & H2_ENDING)
        return;
    for (size_t i = 0; i < H2_LET_BE; i++)
        if (c->let_be[i] == (uint32_t)id)
            return;
    if (c->meter.asks_headers)
        h2_meter_judge(&c->meter, "a header block for a stream that is closed",
                       NGHTTP2_STREAM_CLOSED);
    else
        nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_STREAM_CLOSED);
}

/* Through the meter to the library, in as many pieces as there are questions. */
static int take_in(struct h2_conn *c, const uint8_t *bytes, size_t len)
{
    int64_t now_ns = loop_now_ns(c->home->loop);
    ssize_t rc = 0;

    while (len > 0 && rc >= 0 && !c->meter.verdict.rule && !(c->flags & H2_TOLD)) {
        size_t n = h2_meter_feed(&c->meter, bytes, len, now_ns);

        rc = n ? nghttp2_session_mem_recv(c->session, bytes, n) : 0;
        bytes += n;
        len -= n;
        if (c->meter.asks)
            look_at_stream(c);
    }
    note_partial(c, now_ns);
    return rc < 0 ? (int)rc : 0;
}

static void feed(struct h2_conn *c, struct buf *buf)
{
    int rc;

    c->heard_ns = loop_now_ns(c->home->loop);
    c->pinged_ns = 0;
    c->feeding = buf;
    c->flags |= H2_IN_LIBRARY;
    rc = take_in(c, (const uint8_t *)buf->data + buf->from, buf->to - buf->from);
    c->flags &= (uint8_t)~H2_IN_LIBRARY;
    c->feeding = NULL;
    buf_unref(buf);
    if (rc < 0) {
        input_failed(c, rc);
        return;
    }
    check_verdict(c);
    h2_flush_soon(c);
}

static void received_bytes(struct h2_conn *c, struct buf *buf, uint32_t n)
{
    count_add(&c->home->counts.bytes_in, n);
    weir_counter_add(c->home->metrics->bytes_in, n);
    feed(c, buf);
}

static void received(struct h2_conn *c)
{
    struct h1_conn *base = c->base;
    int rc = base->recv.res;

    if (base->state == H1_CLOSED) {
        if (rc > 0)
            buf_unref(base->recv.recv.buf);
        if (!outq_sending(&c->out))
            bury(c);
    } else if (rc > 0) {
        received_bytes(c, base->recv.recv.buf, (uint32_t)rc);
    } else if (rc == 0) {
        base->flags |= H1_SAW_END;
        h2_flush_soon(c);
    } else {
        h2_abort(c);
    }
}

/* A peer that does not read what its frames make us say is not listened to meanwhile. */
static bool may_read(const struct h2_conn *c)
{
    return c->base->state == H1_HTTP2 && !c->base->recv.pending && !(c->base->flags & H1_SAW_END) &&
           !c->in && c->out.bytes < OUTQ_HIGH_BYTES &&
           nghttp2_session_get_outbound_queue_size(c->session) < QUEUED_MAX;
}

static void read_on(struct h2_conn *c)
{
    if (c->flags & H2_IN_READ)
        return;
    c->flags |= H2_IN_READ;
    while (may_read(c)) {
        c->base->recv.recv.buf = NULL;
        if (!io_submit(c->home->loop, &c->base->recv))
            break;
        received(c);
    }
    c->flags &= (uint8_t)~H2_IN_READ;
}

static void recv_done(struct io_op *op)
{
    struct h1_conn *base = container_of(op, struct h1_conn, recv);
    struct h2_conn *c = base->h2;

    c->flags |= H2_IN_READ;
    received(c);
    c->flags &= (uint8_t)~H2_IN_READ;
    read_on(c);
}

/* At the end of the batch; the first time with what had come before. */
static void flush(struct deferred *work)
{
    struct h2_conn *c = container_of(work, struct h2_conn, flush);

    while (c->in && c->base->state == H1_HTTP2) {
        struct buf *buf = c->in;

        c->in = c->next;
        c->next = NULL;
        feed(c, buf);
    }
    if (c->base->state == H1_HTTP2)
        flush_now(c);
}

const weir_exchange *h2_first_exchange(const struct h2_conn *c)
{
    list_each(n, &c->streams)
        return container_of(n, struct h2_stream, link)->x;
    return NULL;
}

/* ---- timers ---------------------------------------------------------------------------------------- */

void h2_wake_by(struct h2_conn *c, int64_t at_ns)
{
    if (at_ns < c->base->timer.at_ns)
        timer_set(c->home->loop, &c->base->timer, at_ns);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The output: false when the connection has been given up. */
static bool look_at_output(struct h2_conn *c, int64_t now_ns, int64_t *next_ns)
{
    if (c->stall_ns <= now_ns) {
        uint64_t progress = c->stall_progress;

        stall_over(c);
        if (outq_sending(&c->out) && outq_progress(&c->out) == progress) {
            c->base->flags |= H1_RESET;
            h2_abort(c);
            return false;
        }
        if (outq_sending(&c->out))
            watch_stall(c);
    }
    *next_ns = earlier(*next_ns, c->stall_ns);
    return true;
}

/* A peer that is silent is asked whether it is there. */
static bool look_at_silence(struct h2_conn *c, int64_t now_ns, int64_t *next_ns)
{
    if (c->pinged_ns && now_ns - c->pinged_ns >= H2_PONG_MS * MS_NS) {
        c->base->flags |= H1_RESET;
        h2_abort(c);
        return false;
    }
    if (!c->pinged_ns && now_ns - c->heard_ns >= H2_PING_MS * MS_NS) {
        nghttp2_submit_ping(c->session, NGHTTP2_FLAG_NONE, NULL);
        c->pinged_ns = now_ns;
        h2_flush_soon(c);
    }
    *next_ns = earlier(*next_ns, c->pinged_ns ? c->pinged_ns + H2_PONG_MS * MS_NS
                                              : c->heard_ns + H2_PING_MS * MS_NS);
    return true;
}

static void look_at_input(struct h2_conn *c, int64_t now_ns, int64_t *next_ns)
{
    const struct http_server_opts *opts = c->home->opts;
    int64_t late_ns = c->partial_ns ? c->partial_ns + (int64_t)opts->head_ms * MS_NS
                                    : WEIR_NEVER_NS;
    int64_t idle_ns = c->idle_ns ? c->idle_ns + (int64_t)opts->idle_ms * MS_NS : WEIR_NEVER_NS;

    if (late_ns <= now_ns) {
        struct h2_verdict verdict = { "a frame that did not come in time",
                                      NGHTTP2_ENHANCE_YOUR_CALM };

        h2_end(c, &verdict);
    } else if (idle_ns <= now_ns || c->goaway_ns <= now_ns) {
        go_away(c);
    } else {
        *next_ns = earlier(*next_ns, earlier(late_ns, earlier(idle_ns, c->goaway_ns)));
    }
}

static void look_at_streams(struct h2_conn *c, int64_t now_ns, int64_t *next_ns)
{
    list_each_safe(n, &c->streams) {
        struct h2_stream *s = container_of(n, struct h2_stream, link);
        int64_t pace_ns;

        if (h2_stream_is_stalled(s, now_ns)) {
            h2_meter_charge(&c->meter, H2_POINTS_STALL, "windows that stay shut", now_ns);
            h2_stream_reset(s, NGHTTP2_CANCEL);
        } else if (h2_stream_has_lingered(s, now_ns)) {
            h2_stream_reset(s, NGHTTP2_NO_ERROR);
        } else if (exchange_body_keeps_pace(s->x, &pace_ns)) {
            *next_ns = earlier(*next_ns, pace_ns);
        }
    }
    if (c->stream_count > 0)
        *next_ns = earlier(*next_ns, now_ns + TICK_NS);
    check_verdict(c);
}

static void fire(struct timer *timer)
{
    struct h1_conn *base = container_of(timer, struct h1_conn, timer);
    struct h2_conn *c = base->h2;
    int64_t now_ns = loop_now_ns(c->home->loop), next_ns = WEIR_NEVER_NS;

    if (!look_at_output(c, now_ns, &next_ns) || !look_at_silence(c, now_ns, &next_ns))
        return;
    look_at_input(c, now_ns, &next_ns);
    look_at_streams(c, now_ns, &next_ns);
    h2_wake_by(c, next_ns);
}

/* ---- the beginning ------------------------------------------------------------------------------------ */

bool h2_take_over(struct h1_conn *base, struct buf *in, struct buf *next)
{
    struct server_loop *home = base->home;
    struct h2_conn *c = slab_alloc(&home->h2_conns);

    if (!c)
        return false;
    memset((char *)c + sizeof(c->head), 0, sizeof(*c) - sizeof(c->head));
    c->base = base;
    c->home = home;
    list_init(&c->streams);
    h2_meter_init(&c->meter);
    deferred_init(&c->flush, flush);
    c->stall_ns = c->goaway_ns = WEIR_NEVER_NS;
    outq_init(&c->out, loop_bufs(home->loop), &base->file, output_ended);
    c->out.op.send.together = true;
    if (h2_session_new(c) < 0) {
        slab_free(&home->h2_conns, c);
        return false;
    }
    c->in = in;
    c->next = next;
    c->idle_ns = c->heard_ns = loop_now_ns(home->loop);
    base->h2 = c;
    base->state = H1_HTTP2;
    base->deadline_ns = WEIR_NEVER_NS;
    base->recv.done = recv_done;
    base->timer.fire = fire;
    h2_wake_by(c, c->heard_ns + H2_PING_MS * MS_NS);
    if (home->draining)
        h2_drain(c);
    h2_flush_soon(c);
    return true;
}
