/* Exchanges over a stream of HTTP/2: heads, bodies in pieces, and the waits for windows
 * and for a slow client.
 *
 * What is written is copied, and kept with the stream until the library asks for it: as
 * far as the peer's windows and the other streams' turns let it. From there whole buffers
 * go on by reference, behind their frame's header.
 *
 * Invariant: once a stream is closed or reset nothing is submitted for it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "http/h2_conn.h"

#define REFERRED_BYTES 1024 /* a larger part of a frame is not copied */
#define SMALL_DATA_BYTES 64
#define CRUMB_BYTES 1024 /* so much DATA excuses one of a few bytes, … */
#define CRUMBS_UPDATES 2 /* … each frame the updates that give it back, however small it is, … */
#define CRUMBS_MAX 512   /* … up to so many */
#define FRAME_HEADER_BYTES 9
#define NV_OWN 5            /* of the server: status, date, type, length */
#define NV_FEW 16

static inline struct h2_stream *stream_of(const weir_exchange *x)
{
    return x->conn;
}

static bool is_lost(const weir_exchange *x)
{
    const struct h2_stream *s = stream_of(x);

    return !(s->flags & H2_OPEN) || s->flags & H2_BROKEN || s->conn->out.failed;
}

static struct io_file *file_of(const weir_exchange *x)
{
    return &stream_of(x)->conn->base->file;
}

static int code_of(int rc)
{
    return rc == 0 ? 0 : rc == NGHTTP2_ERR_NOMEM ? -ENOMEM : WEIR_EGONE;
}

/* A peer that gives a frame's room back when it has passed it on leaves a few bytes of its window
 * now and then, between large pieces (HAProxy does): each large one excuses some. */
static void count_output(struct h2_conn *c, size_t n, bool cut)
{
    size_t crumbs = c->crumbs + CRUMBS_UPDATES + n / CRUMB_BYTES;

    if (!cut)
        c->crumbs = crumbs < CRUMBS_MAX ? (uint32_t)crumbs : CRUMBS_MAX;
    else if (!h2_crumb(c))
        h2_meter_charge(&c->meter, H2_POINTS_SMALL_DATA, "windows that let only a few bytes pass",
                        loop_now_ns(c->home->loop));
}

/* ---- heads ---------------------------------------------------------------------------------- */

static void put(nghttp2_nv *nv, size_t *count, weir_str name, weir_str value, uint8_t flags)
{
    nv[(*count)++] = (nghttp2_nv){ (uint8_t *)name.ptr, (uint8_t *)value.ptr, name.len, value.len,
                                   flags };
}

#define NAME_STAYS NGHTTP2_NV_FLAG_NO_COPY_NAME
#define BOTH_STAY (NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE)

static weir_str number(char text[static 24], long long n)
{
    return weir_str_from(text, (size_t)snprintf(text, 24, "%lld", n));
}

/* White space at the ends is not sent (RFC 9113, section 8.2.1). */
static weir_str trimmed(weir_str s)
{
    while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = weir_str_skip(s, 1);
    while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

static size_t put_fields(nghttp2_nv *nv, size_t count, const struct reply_field *fields)
{
    for (const struct reply_field *field = fields; field; field = field->next)
        put(nv, &count, field->name, trimmed(field->value), NGHTTP2_NV_FLAG_NO_COPY_VALUE);
    return count;
}

static int submit_trailers(struct h2_stream *s)
{
    nghttp2_nv nv[EXCHANGE_TRAILERS_MAX];
    size_t count = put_fields(nv, 0, s->x->extra->sent);

    return nghttp2_submit_trailer(s->conn->session, s->id, nv, count);
}

/* Room for the server's fields and so many more. */
static nghttp2_nv *nv_room(weir_exchange *x, nghttp2_nv few[static NV_FEW], size_t more)
{
    return NV_OWN + more <= NV_FEW ? few : arena_alloc(&x->arena, (NV_OWN + more) * sizeof(*few));
}

/* ---- what the library asks for ------------------------------------------------------------ */

ssize_t h2_read_output(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length,
                       uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct h2_stream *s = source->ptr;
    struct h2_conn *c = user;
    size_t n = s->out_bytes < length ? s->out_bytes : length;
    bool ends = s->flags & H2_OUT_END && n == s->out_bytes;

    (void)session, (void)id, (void)buf;
    if (n == 0 && !ends) {
        s->flags |= H2_DEFERRED;
        return NGHTTP2_ERR_DEFERRED;
    }
    count_output(c, n, n < s->out_bytes && n < SMALL_DATA_BYTES);
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (!ends)
        return (ssize_t)n;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (exchange_has_trailers(s->x)) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (submit_trailers(s) < 0)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return (ssize_t)n;
}

static void seg_done(struct out_seg *out, int rc)
{
    struct h2_seg *seg = container_of(out, struct h2_seg, seg);

    (void)rc;
    buf_unref(seg->buf);
    slab_free(&seg->home->h2_segs, seg);
}

/* Hand bytes of a buffer on to the connection's output. */
static bool pass_on(struct h2_conn *c, struct buf *buf, size_t n)
{
    weir_str bytes = weir_str_from(buf->data + buf->from, n);
    struct h2_seg *seg;

    if (n < REFERRED_BYTES)
        return outq_copy(&c->out, bytes) == 0;
    seg = slab_alloc(&c->home->h2_segs);
    if (!seg)
        return false;
    seg->home = c->home;
    seg->buf = buf_ref(buf);
    seg->seg = (struct out_seg){ .ptr = bytes.ptr, .len = n, .done = seg_done };
    outq_refer(&c->out, &seg->seg);
    return true;
}

static size_t pass_small(struct h2_conn *c, struct h2_stream *s, size_t length)
{
    size_t n = s->small.len < length ? s->small.len : length;

    if (n == 0)
        return 0;
    if (outq_copy(&c->out, weir_str_from(s->small.ptr, n)) < 0)
        return SIZE_MAX;
    s->small = weir_str_skip(s->small, n);
    return n;
}

static bool pass_payload(struct h2_conn *c, struct h2_stream *s, size_t length)
{
    size_t small = pass_small(c, s, length);

    if (small == SIZE_MAX)
        return false;
    length -= small;
    while (length > 0 && s->out_first) {
        struct buf *buf = s->out_first;
        size_t n = buf->to - buf->from < length ? buf->to - buf->from : length;

        if (!pass_on(c, buf, n))
            return false;
        buf->from += (uint32_t)n;
        length -= n;
        if (buf->from < buf->to)
            break;
        s->out_first = buf->next;
        if (!s->out_first)
            s->out_last = NULL;
        buf_unref(buf);
    }
    return true;
}

int h2_send_output(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *header,
                   size_t length, nghttp2_data_source *source, void *user)
{
    struct h2_stream *s = source->ptr;
    struct h2_conn *c = user;

    (void)session, (void)frame;
    if (outq_copy(&c->out, weir_str_from((const char *)header, FRAME_HEADER_BYTES)) < 0 ||
        !pass_payload(c, s, length))
        return NGHTTP2_ERR_CALLBACK_FAILURE; /* a frame without its end can't be mended */
    s->out_bytes -= length;
    s->moved_bytes += length;
    s->out_mark = c->out.sent_bytes + c->out.bytes;
    if (s->out_bytes == 0 || s->moved_bytes >= OUTQ_COPY_BYTES / 16) {
        s->moved_ns = loop_now_ns(c->home->loop);
        s->moved_bytes = 0;
    }
    h2_stream_output_moved(s);
    return 0;
}

/* ---- answers ------------------------------------------------------------------------------- */

static int submit_head(weir_exchange *x, const struct reply_head *head,
                       const nghttp2_data_provider *body)
{
    struct h2_stream *s = stream_of(x);
    nghttp2_nv few[NV_FEW], *nv = nv_room(x, few, x->field_count);
    const char *date = server_loop_date(x->home) + 6;
    char status[24], length[24];
    size_t count = 0;

    if (!nv)
        return -ENOMEM;
    if (head->status == 200)
        put(nv, &count, WEIR_S(":status"), WEIR_S("200"), BOTH_STAY);
    else
        put(nv, &count, WEIR_S(":status"), number(status, head->status), NAME_STAYS);
    put(nv, &count, WEIR_S("date"), weir_str_from(date, HTTP_DATE_LEN), NAME_STAYS);
    if (head->type.ptr && head->status != 204)
        put(nv, &count, WEIR_S("content-type"), trimmed(head->type), NAME_STAYS);
    if (head->length >= 0 && head->status != 204 && head->status != 304)
        put(nv, &count, WEIR_S("content-length"), number(length, head->length), NAME_STAYS);
    count = put_fields(nv, count, x->fields);
    return code_of(nghttp2_submit_response(s->conn->session, s->id, nv, count, body));
}

static int begin(weir_exchange *x, const struct reply_head *head)
{
    struct h2_stream *s = stream_of(x);
    nghttp2_data_provider body = { .source.ptr = s, .read_callback = h2_read_output };
    bool bodiless = x->bodiless ||
                    (head->whole && head->copy.len == 0 && !exchange_has_trailers(x));
    int rc;

    if (!bodiless && head->copy.len > 0) {
        s->small = arena_dup(&x->arena, head->copy);
        if (!s->small.ptr)
            return -ENOMEM;
    }
    rc = submit_head(x, head, bodiless ? NULL : &body);
    if (rc < 0) {
        s->small = weir_str_from(NULL, 0);
        return rc;
    }
    s->out_bytes = s->small.len;
    s->moved_ns = loop_now_ns(x->home->loop);
    if (bodiless || head->whole)
        s->flags |= H2_OUT_END;
    h2_flush_soon(s->conn);
    return 0;
}

static int inform(weir_exchange *x, int status, const struct reply_field *field)
{
    struct h2_stream *s = stream_of(x);
    nghttp2_nv nv[2];
    char text[24];
    size_t count = 0;
    int rc;

    put(nv, &count, WEIR_S(":status"), number(text, status), NAME_STAYS);
    if (field)
        put(nv, &count, field->name, trimmed(field->value), NGHTTP2_NV_FLAG_NONE);
    rc = nghttp2_submit_headers(s->conn->session, NGHTTP2_FLAG_NONE, s->id, NULL, nv, count, NULL);
    h2_flush_soon(s->conn);
    return rc < 0 ? code_of(rc) : 0;
}

/* ---- waiting for the client to take what was written ------------------------------------------ */

static void drain_abandon(struct wait *wait, int code)
{
    weir_exchange *x = (weir_exchange *)wait->object;

    x->writer = NULL;
    wait_wake(wait, code);
}

/* As over HTTP/1.1, the end of the client's half counts only once the task waits for
 * something else. */
static int park_writer(weir_exchange *x, size_t until_bytes)
{
    struct out_wait writer = {
        .wait = { .abandon = drain_abandon, .what = "a client that reads slowly", .object = x },
        .until_bytes = until_bytes
    };
    int rc;

    h2_flush_soon(stream_of(x)->conn);
    rc = exchange_park_writer(x, &writer);
    if (x->conn && stream_of(x)->conn->base->flags & H1_SAW_END)
        h2_flush_soon(stream_of(x)->conn);
    return rc == 0 && exchange_is_lost(x) ? WEIR_EGONE : rc;
}

static int drain(weir_exchange *x)
{
    struct h2_conn *c = stream_of(x)->conn;
    int rc;

    if (stream_of(x)->out_bytes == 0 && c->out.bytes == 0 &&
        !nghttp2_session_want_write(c->session))
        return 0;
    c->drainers++;
    rc = park_writer(x, 0);
    if (x->conn)
        stream_of(x)->conn->drainers--;
    return rc;
}

/* ---- bodies ------------------------------------------------------------------------------------ */

static void resume(struct h2_stream *s)
{
    if (s->flags & H2_DEFERRED) {
        s->flags &= (uint8_t)~H2_DEFERRED;
        nghttp2_session_resume_data(s->conn->session, s->id);
    }
    h2_flush_soon(s->conn);
}

/* As much as fits the last buffer, or a fresh one; 0 without memory. */
static size_t write_some(struct h2_stream *s, weir_str data)
{
    struct buf *buf = s->out_last;
    size_t n;

    if (!buf || buf->to == BUF_ROOM) {
        buf = buf_new(loop_bufs(s->conn->home->loop));
        if (!buf)
            return 0;
        if (s->out_last)
            s->out_last->next = buf;
        else
            s->out_first = buf;
        s->out_last = buf;
    }
    n = data.len < BUF_ROOM - buf->to ? data.len : BUF_ROOM - buf->to;
    memcpy(buf->data + buf->to, data.ptr, n);
    buf->to += (uint32_t)n;
    if (s->out_bytes == 0)
        s->moved_ns = loop_now_ns(s->conn->home->loop);
    s->out_bytes += n;
    return n;
}

/* A piece that has gone in part only leaves an answer that can't be mended. */
static int write_piece(weir_exchange *x, weir_str data)
{
    size_t before = data.len;

    while (data.len > 0) {
        struct h2_stream *s = stream_of(x);
        int rc = s->out_bytes >= OUTQ_HIGH_BYTES ? park_writer(x, OUTQ_LOW_BYTES) : 0;
        size_t n = rc < 0 ? 0 : write_some(s, data);

        if (rc == 0 && n == 0)
            rc = WEIR_EBUDGET;
        if (rc < 0) {
            if (data.len < before && x->conn)
                h2_stream_reset(stream_of(x), NGHTTP2_INTERNAL_ERROR);
            return rc;
        }
        data = weir_str_skip(data, n);
        resume(s);
    }
    return 0;
}

static int end(weir_exchange *x)
{
    struct h2_stream *s = stream_of(x);

    if (s->flags & H2_OUT_END)
        return 0;
    s->flags |= H2_OUT_END;
    resume(s);
    return 0;
}

static void fail(weir_exchange *x, int code)
{
    (void)code;
    h2_stream_reset(stream_of(x), NGHTTP2_INTERNAL_ERROR);
}

static void incomplete(weir_exchange *x)
{
    h2_stream_reset(stream_of(x), NGHTTP2_INTERNAL_ERROR);
}

/* ---- the request's body ------------------------------------------------------------------------- */

static void limit(weir_exchange *x, uint64_t max_bytes)
{
    x->in->max_bytes = max_bytes;
}

static int take(weir_exchange *x, weir_str *ret_data)
{
    struct h2_stream *s = stream_of(x);
    struct exchange_body *in = x->in;
    struct h2_piece *piece = s->in_first;

    if (!piece) {
        in->complete = s->input_over;
        return 0;
    }
    if (piece->len > in->max_bytes - in->taken) {
        in->fault = (struct h1_fault){ .rule = "the body is too long",
                                       .section = "limit",
                                       .status = 413 };
        return exchange_body_fail(in, WEIR_EBODYSIZE, 413);
    }
    s->in_first = piece->next;
    if (!s->in_first)
        s->in_last = NULL;
    s->in_bytes -= piece->len;
    in->taken += piece->len;
    in->lent = piece->buf;
    *ret_data = weir_str_from(piece->ptr, piece->len);
    nghttp2_session_consume(s->conn->session, s->id, piece->len);
    h2_flush_soon(s->conn);
    piece->next = s->spare;
    s->spare = piece;
    return 1;
}

static bool input_over(const weir_exchange *x)
{
    const struct h2_stream *s = stream_of(x);

    return !(s->flags & H2_OPEN) || s->flags & H2_BROKEN || s->conn->base->flags & H1_SAW_END;
}

static bool arrived(const weir_exchange *x)
{
    return stream_of(x)->in_first || stream_of(x)->input_over || input_over(x);
}

/* RFC 9110, section 10.1.1 */
static int ask(weir_exchange *x)
{
    struct h2_stream *s = stream_of(x);
    nghttp2_nv nv[1];
    size_t count = 0;

    if (!x->in->want_continue)
        return 0;
    x->in->want_continue = false;
    if (arrived(x) || x->reply != REPLY_NONE)
        return 0;
    put(nv, &count, WEIR_S(":status"), WEIR_S("100"), BOTH_STAY);
    if (nghttp2_submit_headers(s->conn->session, NGHTTP2_FLAG_NONE, s->id, NULL, nv, count, NULL))
        return WEIR_EBUDGET;
    h2_flush_soon(s->conn);
    return 0;
}

static void wake_at(weir_exchange *x, int64_t at_ns)
{
    h2_wake_by(stream_of(x)->conn, at_ns);
}

/* ---- the handler ----------------------------------------------------------------------------------- */

static void started(weir_exchange *x)
{
    if (stream_of(x)->conn->base->flags & H1_SAW_END)
        h2_flush_soon(stream_of(x)->conn);
}

static void handled(weir_exchange *x, bool own_stack)
{
    (void)own_stack;
    h2_stream_handled(stream_of(x));
}

const struct exchange_wire h2_wire = {
    .version = "2",
    .number = 1,
    .begin = begin,
    .inform = inform,
    .write = write_piece,
    .end = end,
    .drain = drain,
    .lost = is_lost,
    .fail = fail,
    .incomplete = incomplete,
    .limit = limit,
    .take = take,
    .ask = ask,
    .arrived = arrived,
    .input_over = input_over,
    .wake_at = wake_at,
    .started = started,
    .handled = handled,
    .file = file_of,
};
