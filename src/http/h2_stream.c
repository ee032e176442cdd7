/* Streams of an HTTP/2 connection, and their exchanges.
 *
 * A stream lies in its exchange's arena. It stands in the connection's list, and holds
 * one of its places, until nghttp2 has closed it and the handler has ended, in whatever
 * order: a client that resets what it has asked for gains no place by that.
 *
 * The body is kept as it came in, up to the stream's window: large parts where they were
 * received, small ones copied together, so that a window of tiny frames costs no more
 * memory than one of large ones. The window opens as the handler takes them.
 *
 * Invariants: x->conn is the stream while it stands in the list; in_bytes is the sum of
 * the pieces, out_bytes that of small and the buffers; a stream that is not H2_OPEN has
 * no output. */
#include <errno.h>
#include <string.h>

#include <weir/log.h>

#include "http/h2_conn.h"

#define COPIED_BYTES 4096 /* a smaller part is copied to others */
#define MOVED_BYTES 256   /* taken of an answer, to count as progress */
#define TICK_NS INT64_C(1000000000)

struct h2_stream *h2_stream_new(struct h2_conn *c, int32_t id)
{
    weir_exchange *x = exchange_new(c->home, &h2_wire, NULL);
    struct h2_stream *s = x ? arena_zalloc(&x->arena, sizeof(*s)) : NULL;

    if (!s) {
        if (x)
            exchange_release(x);
        return NULL;
    }
    http_head_init(x->head);
    x->conn = s;
    s->conn = c;
    s->x = x;
    s->id = id;
    s->flags = H2_OPEN;
    list_push(&c->streams, &s->link);
    c->stream_count++;
    c->idle_ns = 0;
    h2_wake_by(c, loop_now_ns(c->home->loop) + TICK_NS);
    return s;
}

/* ---- what it holds -------------------------------------------------------------------- */

void h2_stream_drop_input(struct h2_stream *s)
{
    while (s->in_first) {
        struct h2_piece *piece = s->in_first;

        s->in_first = piece->next;
        buf_unref(piece->buf);
    }
    s->in_last = NULL;
    if (s->in_bytes && s->conn->session)
        nghttp2_session_consume(s->conn->session, s->id, s->in_bytes);
    s->in_bytes = 0;
}

static void drop_output(struct h2_stream *s)
{
    while (s->out_first) {
        struct buf *buf = s->out_first;

        s->out_first = buf->next;
        buf_unref(buf);
    }
    s->out_last = NULL;
    s->small = weir_str_from(NULL, 0);
    s->out_bytes = 0;
}

/* The connection lets go of it; s and its exchange may be gone afterwards. */
static void let_go(struct h2_stream *s)
{
    struct h2_conn *c = s->conn;
    weir_exchange *x = s->x;

    h2_stream_drop_input(s);
    drop_output(s);
    list_remove(&s->link);
    c->stream_count--;
    if (c->stream_count == 0) {
        c->idle_ns = loop_now_ns(c->home->loop);
        h2_wake_by(c, c->idle_ns + (int64_t)c->home->opts->idle_ms * 1000000);
        h2_flush_soon(c);
    }
    x->conn = NULL;
    exchange_release(x);
}

/* ---- its head ----------------------------------------------------------------------------- */

/* As after a bad head of HTTP/1.1, but for the connection, which goes on. */
static void refuse(struct h2_stream *s, int rc, const struct h1_fault *fault)
{
    struct server_loop *home = s->conn->home;
    weir_exchange *x = s->x;
    weir_str peer = weir_client_address(x);
    int status = rc == -ENOMEM ? 503 : fault->status;
    weir_str detail = rc == -ENOMEM ? weir_str_from(NULL, 0) : weir_str_c(fault->rule);

    if (rc != -ENOMEM) {
        count_add(&home->counts.bad_heads, 1);
        weir_logf(WEIR_LOG_WARN, "bad request from %.*s: %s (%s): %d", WEIR_ARG(peer), fault->rule,
                  fault->section, status);
    }
    http_head_init(x->head);
    x->head->version_minor = 1;
    x->head->method = HTTP_OTHER;
    s->flags |= H2_DROP;
    if (exchange_problem(x, status, detail) < 0) {
        h2_stream_reset(s, NGHTTP2_REFUSED_STREAM);
        return;
    }
    count_add(&home->counts.answered[status / 100], 1);
    weir_counter_add(home->metrics->requests[h2_wire.number][status / 100], 1);
}

void h2_stream_serve(struct h2_stream *s, bool ends)
{
    weir_exchange *x = s->x;
    struct h1_fault fault = { 0 };
    int rc = h2_fields_finish(&s->fields, x->head, &x->arena, &s->conn->home->opts->limits, ends,
                              &fault);

    s->input_over = ends;
    if (rc < 0) {
        refuse(s, rc, &fault);
        return;
    }
    s->flags |= H2_SERVED;
    s->conn->base->served++;
    x->keep_alive = true;
    exchange_serve(x);
}

/* ---- its body ------------------------------------------------------------------------------ */

static struct h2_piece *piece_new(struct h2_stream *s)
{
    struct h2_piece *piece = s->spare;

    if (piece)
        s->spare = piece->next;
    else
        piece = arena_alloc(&s->x->arena, sizeof(*piece));
    return piece;
}

static bool append_piece(struct h2_stream *s, struct buf *buf, weir_str data)
{
    struct h2_piece *piece = piece_new(s);

    if (!piece) {
        buf_unref(buf);
        return false;
    }
    *piece = (struct h2_piece){ NULL, buf, data.ptr, data.len };
    if (s->in_last)
        s->in_last->next = piece;
    else
        s->in_first = piece;
    s->in_last = piece;
    return true;
}

/* Behind what was copied last, if there is room; only our own buffers end where their
 * last piece does, with nobody else holding them. */
static bool copy_piece(struct h2_stream *s, weir_str data)
{
    struct h2_piece *last = s->in_last;
    struct buf *buf;

    if (last && last->buf->refs == 1 && last->buf->from == 0 &&
        last->ptr + last->len == last->buf->data + last->buf->to &&
        BUF_ROOM - last->buf->to >= data.len) {
        memcpy(last->buf->data + last->buf->to, data.ptr, data.len);
        last->buf->to += (uint32_t)data.len;
        last->len += data.len;
        return true;
    }
    buf = buf_new(loop_bufs(s->conn->home->loop));
    if (!buf)
        return false;
    memcpy(buf->data, data.ptr, data.len);
    buf->to = (uint32_t)data.len;
    return append_piece(s, buf, weir_str_from(buf->data, data.len));
}

int h2_stream_data(struct h2_stream *s, struct buf *buf, weir_str data)
{
    bool kept;

    if (s->flags & (H2_DROP | H2_BROKEN) || !s->x->in) {
        s->moved_bytes += s->flags & H2_ANSWERED ? data.len : 0;
        if (s->flags & H2_ANSWERED && s->moved_bytes > s->conn->home->opts->linger_bytes)
            h2_stream_reset(s, NGHTTP2_NO_ERROR);
        return nghttp2_session_consume(s->conn->session, s->id, data.len) < 0 ? -ENOMEM : 0;
    }
    kept = data.len > COPIED_BYTES ? append_piece(s, buf_ref(buf), data) : copy_piece(s, data);
    if (!kept) {
        nghttp2_session_consume(s->conn->session, s->id, data.len);
        exchange_body_fail(s->x->in, WEIR_EBUDGET, 503);
        s->flags |= H2_DROP;
    } else {
        s->in_bytes += data.len;
        s->x->in->received += data.len;
    }
    exchange_body_arrived(s->x);
    return 0;
}

void h2_stream_input_over(struct h2_stream *s)
{
    s->input_over = true;
    exchange_body_arrived(s->x);
}

static void bad_trailer(struct h2_stream *s, int rc, int status, const char *rule,
                        const char *section)
{
    s->x->in->fault = (struct h1_fault){ .rule = rule, .section = section, .status = status };
    exchange_body_fail(s->x->in, rc, status);
    exchange_body_arrived(s->x);
}

/* As of HTTP/1.1: see h1_body.c. */
void h2_stream_trailer(struct h2_stream *s, weir_str name, weir_str value)
{
    const struct http_limits *limits = &s->conn->home->opts->limits;
    uint32_t most = limits->trailer_bytes ? limits->trailer_bytes : HTTP_TRAILER_BYTES;

    if (!s->x->in || s->x->in->failed || s->flags & (H2_DROP | H2_BROKEN))
        return;
    s->trailer_bytes += (uint32_t)(name.len + value.len) + 4;
    if (s->trailer_bytes > most || ++s->trailer_count > HTTP_FIELDS_MAX)
        bad_trailer(s, WEIR_EBODYSIZE, 431, "the trailer section is too long", "limit");
    else if (http_field_forbidden_in_trailer(http_field_find(name)))
        bad_trailer(s, WEIR_EBODY, 400, "a field that may not stand in a trailer section",
                    "RFC 9110, section 6.5.1");
    else if (exchange_add_trailer(s->x, name, value) < 0)
        exchange_body_fail(s->x->in, -ENOMEM, 503);
}

/* ---- its answer ---------------------------------------------------------------------------- */

void h2_stream_output_moved(struct h2_stream *s)
{
    const struct outq *q = &s->conn->out;
    weir_exchange *x = s->x;
    struct out_wait *writer = x->writer;
    bool lost;

    if (!writer)
        return;
    lost = !x->conn || !(s->flags & H2_OPEN) || s->flags & H2_BROKEN || q->failed;
    if (!lost && (s->out_bytes > writer->until_bytes ||
                  (writer->until_bytes == 0 && q->bytes > 0 && q->sent_bytes < s->out_mark)))
        return;
    x->writer = NULL;
    wait_wake(&writer->wait, lost ? WEIR_EGONE : 0);
}

bool h2_stream_is_stalled(struct h2_stream *s, int64_t now_ns)
{
    struct h2_conn *c = s->conn;
    int64_t most_ns = (int64_t)c->home->opts->write_stall_ms * 1000000;

    if (s->out_bytes == 0 || !(s->flags & H2_OPEN) || now_ns - s->moved_ns < most_ns)
        return false;
    return nghttp2_session_get_stream_remote_window_size(c->session, s->id) < MOVED_BYTES ||
           nghttp2_session_get_remote_window_size(c->session) < MOVED_BYTES;
}

bool h2_stream_has_lingered(const struct h2_stream *s, int64_t now_ns)
{
    return s->flags & H2_ANSWERED && !s->input_over &&
           now_ns - s->moved_ns >= (int64_t)s->conn->home->opts->linger_ms * 1000000;
}

void h2_stream_reset(struct h2_stream *s, uint32_t code)
{
    if (!(s->flags & H2_OPEN) || s->flags & H2_BROKEN)
        return;
    s->flags |= H2_BROKEN;
    drop_output(s);
    nghttp2_submit_rst_stream(s->conn->session, NGHTTP2_FLAG_NONE, s->id, code);
    h2_flush_soon(s->conn);
    h2_stream_output_moved(s);
    exchange_body_arrived(s->x);
}

/* ---- its end -------------------------------------------------------------------------------- */

/* Nobody will be answered. */
static void cancel_handler(struct h2_stream *s)
{
    weir_exchange *x = s->x;

    if (x->gone)
        return;
    x->gone = true;
    if (x->route.gone == HTTP_GONE_CANCEL)
        rt_cancel(x->scope, WEIR_REASON_GONE, "the client");
}

void h2_stream_closed(struct h2_stream *s, uint32_t code)
{
    bool answered = s->flags & H2_ANSWERED;

    s->flags &= (uint8_t)~H2_OPEN;
    drop_output(s);
    if (code != NGHTTP2_NO_ERROR)
        h2_stream_drop_input(s);
    exchange_body_arrived(s->x);
    h2_stream_output_moved(s);
    if (!s->x->running)
        let_go(s);
    else if (!answered)
        cancel_handler(s);
}

void h2_stream_lost(struct h2_stream *s)
{
    weir_exchange *x = s->x;

    list_remove(&s->link);
    s->conn->stream_count--;
    h2_stream_drop_input(s);
    drop_output(s);
    x->conn = NULL;
    exchange_body_arrived(x);
    h2_stream_output_moved(s);
    if (!x->running) {
        x->gone = true;
        exchange_release(x);
    } else {
        cancel_handler(s);
    }
}

void h2_stream_peer_gone(struct h2_stream *s)
{
    weir_exchange *x = s->x;

    if (!(s->flags & H2_SERVED) || s->flags & H2_ANSWERED) {
        h2_stream_reset(s, s->flags & H2_ANSWERED ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
        return;
    }
    if (x->in && x->in->reader) {
        exchange_body_arrived(x);
        return;
    }
    if (x->running && x->ran && !x->in_write && x->route.gone == HTTP_GONE_CANCEL)
        cancel_handler(s);
}

void h2_stream_handled(struct h2_stream *s)
{
    if (!(s->flags & H2_OPEN)) {
        let_go(s);
        return;
    }
    s->flags |= H2_DROP;
    h2_stream_drop_input(s);
    if (!(s->flags & H2_OUT_END))
        h2_stream_reset(s, NGHTTP2_INTERNAL_ERROR);
    h2_flush_soon(s->conn);
}
