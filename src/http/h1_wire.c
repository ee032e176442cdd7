/* Exchanges over an HTTP/1.1 connection: heads, bodies whole or in pieces, and the
 * waits for a slow client.
 *
 * The head is printed straight into the connection's output chain, small bodies
 * behind it; so a small answer is one stretch of memory and one send. The request's
 * body is decoded where it was received.
 *
 * Invariant: once the output has failed nothing is added to it. */
#include "http/h1_wire.h"

#include <errno.h>
#include <string.h>

#define HEAD_ROOM 320 /* the status line, Date, framing, Connection, an empty line */

static inline struct h1_conn *conn_of(const weir_exchange *x)
{
    return x->conn;
}

static inline struct outq *out_of(const weir_exchange *x)
{
    return &conn_of(x)->work->out;
}

static bool is_lost(const weir_exchange *x)
{
    return out_of(x)->failed;
}

static struct io_file *file_of(const weir_exchange *x)
{
    return &conn_of(x)->file;
}

/* ---- heads -------------------------------------------------------------------------- */

/* Can the connection go on, when the request's body was not read to its end? */
static bool body_can_be_passed(const weir_exchange *x)
{
    const struct exchange_body *in = x->in;

    if (!in || in->complete)
        return true;
    if (in->failed || in->want_continue)
        return false;
    return x->head->body != HTTP_BODY_LENGTH ||
           (uint64_t)x->head->content_length - in->taken <= x->home->opts->linger_bytes;
}

static void put_framing(struct h1_out *out, weir_exchange *x, int status, int64_t length)
{
    if (status == 204)
        return; /* RFC 9110, section 8.6: none in a 204 */
    if (length >= 0) {
        if (status != 304)
            h1_write_number(out, HTTP_CONTENT_LENGTH, (uint64_t)length);
    } else if (x->framing == REPLY_CHUNKED) {
        h1_write_bytes(out, WEIR_S("Transfer-Encoding: chunked\r\n"));
    }
}

static void put_head(struct h1_out *out, weir_exchange *x, const struct reply_head *head)
{
    if (head->status == 200)
        h1_write_bytes(out, WEIR_S("HTTP/1.1 200 OK\r\n"));
    else
        h1_write_status_line(out, head->status, weir_str_from(NULL, 0));
    h1_write_bytes(out, weir_str_from(server_loop_date(x->home), DATE_FIELD_LEN));
    if (head->type.ptr && head->status != 204)
        h1_write_known(out, HTTP_CONTENT_TYPE, head->type);
    put_framing(out, x, head->status, head->length);
    for (const struct reply_field *field = x->fields; field; field = field->next)
        h1_write_field(out, field->name, field->value);
    if (!x->keep_alive)
        h1_write_bytes(out, WEIR_S("Connection: close\r\n"));
    else if (x->head->version_minor == 0)
        h1_write_bytes(out, WEIR_S("Connection: keep-alive\r\n"));
}

/* Put the head into the output, and what is copied behind it. */
static int begin(weir_exchange *x, const struct reply_head *head)
{
    struct outq *q = out_of(x);
    struct h1_out out;
    size_t room = HEAD_ROOM + REPLY_TYPE_MAX + x->field_bytes + head->copy.len;
    char *to = outq_reserve(q, room);
    int rc;

    if (!to)
        return WEIR_EBUDGET;
    if (http_server_stopping(x->home->server) || !body_can_be_passed(x))
        x->keep_alive = false;
    if (x->framing == REPLY_CHUNKED && x->head->version_minor == 0) {
        x->framing = REPLY_UNTIL_CLOSE; /* RFC 9112, section 6.3 */
        x->keep_alive = false;
    }
    h1_out_init(&out, to, room);
    put_head(&out, x, head);
    rc = h1_out_end(&out);
    if (rc < 0)
        return rc;
    if (head->copy.len && !x->bodiless) {
        memcpy(to + out.len, head->copy.ptr, head->copy.len);
        out.len += head->copy.len;
    }
    outq_commit(q, out.len);
    h1_flush_soon(conn_of(x));
    return 0;
}

static int inform(weir_exchange *x, int status, const struct reply_field *field)
{
    size_t room = HEAD_ROOM + (field ? field->name.len + field->value.len : 0);
    char *to = outq_reserve(out_of(x), room);
    struct h1_out out;
    int rc;

    if (!to)
        return WEIR_EBUDGET;
    h1_out_init(&out, to, room);
    h1_write_status_line(&out, status, weir_str_from(NULL, 0));
    if (field)
        h1_write_field(&out, field->name, field->value);
    rc = h1_out_end(&out);
    if (rc < 0)
        return rc;
    outq_commit(out_of(x), out.len);
    h1_flush_soon(conn_of(x));
    return 0;
}

/* ---- waiting for the client to take what was written --------------------------------- */

void h1_output_moved(weir_exchange *x)
{
    struct out_wait *writer = x->writer;
    const struct outq *q = x->conn ? out_of(x) : NULL;

    if (!writer || writer->refers || (q && !q->failed && q->bytes > writer->until_bytes))
        return;
    x->writer = NULL;
    wait_wake(&writer->wait, q && !q->failed ? 0 : WEIR_EGONE);
}

static void drain_abandon(struct wait *wait, int code)
{
    weir_exchange *x = (weir_exchange *)wait->object;

    x->writer = NULL;
    wait_wake(wait, code);
}

/* While a task waits for its output the client may have closed its half: it
 * reads. After that the end counts as a disconnect (see h1_peer_gone()). */
static int park_writer(weir_exchange *x, struct out_wait *writer)
{
    int rc;

    h1_flush_soon(conn_of(x));
    rc = exchange_park_writer(x, writer);
    if (x->conn && conn_of(x)->flags & H1_SAW_END)
        h1_flush_soon(conn_of(x));
    return rc;
}

/* Wait until no more than so many bytes are left. The connection may be lost after
 * the wake-up and before the task's turn. */
static int wait_drained(weir_exchange *x, size_t until_bytes)
{
    struct out_wait writer = {
        .wait = { .abandon = drain_abandon, .what = "a client that reads slowly", .object = x },
        .until_bytes = until_bytes
    };
    int rc;

    if (out_of(x)->bytes <= until_bytes)
        return 0;
    rc = park_writer(x, &writer);
    return rc == 0 && exchange_is_lost(x) ? WEIR_EGONE : rc;
}

static int drain(weir_exchange *x)
{
    return wait_drained(x, 0);
}

struct big_write {
    struct out_wait writer;
    struct out_seg seg;
    weir_exchange *x;
};

static void big_done(struct out_seg *seg, int rc)
{
    struct big_write *big = container_of(seg, struct big_write, seg);

    big->x->writer = NULL;
    wait_wake(&big->writer.wait, rc < 0 ? WEIR_EGONE : 0);
}

/* The framing has promised these bytes: without them the connection is of no use.
 * A send under way is awaited, since it reads the caller's memory. */
static void big_abandon(struct wait *wait, int code)
{
    weir_exchange *x = (weir_exchange *)wait->object;

    if (x->conn) /* else it has failed already */
        h1_fail_output(x->conn, code);
}

/* Send bytes from where they lie, and wait until the kernel has them. */
static int write_big(weir_exchange *x, weir_str data)
{
    struct big_write big = { .writer = { .wait = { .abandon = big_abandon,
                                                   .what = "a client that reads slowly",
                                                   .object = x },
                                         .refers = true },
                             .seg = { .ptr = data.ptr, .len = data.len, .done = big_done },
                             .x = x };
    int rc, code;

    outq_refer(out_of(x), &big.seg);
    rc = park_writer(x, &big.writer);
    code = rc < 0 ? rt_check() : 0;
    return code < 0 ? code : rc;
}

/* ---- bodies -------------------------------------------------------------------------- */

static int put_chunk_head(struct outq *q, size_t len)
{
    char text[H1_CHUNK_HEAD_MAX];
    struct h1_out out;

    h1_out_init(&out, text, sizeof(text));
    h1_write_chunk_head(&out, len);
    return outq_copy(q, h1_out_str(&out));
}

/* A piece of at most OUTQ_COPY_BYTES, with its framing, or nothing of it. */
static int write_copy(weir_exchange *x, weir_str data)
{
    struct outq *q = out_of(x);
    struct h1_out out;
    size_t room = data.len + H1_CHUNK_HEAD_MAX + 2;
    char *to = outq_reserve(q, room);

    if (!to)
        return WEIR_EBUDGET;
    h1_out_init(&out, to, room);
    if (x->framing == REPLY_CHUNKED)
        h1_write_chunk_head(&out, data.len);
    h1_write_bytes(&out, data);
    if (x->framing == REPLY_CHUNKED)
        h1_write_bytes(&out, H1_CHUNK_TAIL);
    outq_commit(q, out.len);
    h1_flush_soon(conn_of(x));
    return 0;
}

static int write_referred(weir_exchange *x, weir_str data)
{
    int rc = x->framing == REPLY_CHUNKED ? put_chunk_head(out_of(x), data.len) : 0;

    if (rc == 0)
        rc = write_big(x, data);
    if (rc == 0 && x->framing == REPLY_CHUNKED) {
        rc = exchange_is_lost(x) ? WEIR_EGONE : outq_copy(out_of(x), H1_CHUNK_TAIL);
        if (rc == WEIR_EBUDGET) /* a chunk without its end can't be mended later */
            h1_fail_output(x->conn, rc);
    }
    return rc;
}

static int write_piece(weir_exchange *x, weir_str data)
{
    int rc = 0;

    if (data.len > OUTQ_COPY_BYTES)
        return write_referred(x, data);
    if (out_of(x)->bytes + data.len > OUTQ_HIGH_BYTES)
        rc = wait_drained(x, OUTQ_LOW_BYTES);
    return rc < 0 ? rc : write_copy(x, data);
}

/* RFC 9112, section 7.1.2. */
static int put_trailers(weir_exchange *x)
{
    size_t room = x->extra->bytes + 16;
    char *to = outq_reserve(out_of(x), room);
    struct h1_out out;
    int rc;

    if (!to)
        return WEIR_EBUDGET;
    h1_out_init(&out, to, room);
    h1_write_bytes(&out, WEIR_S("0\r\n"));
    for (const struct reply_field *f = x->extra->sent; f; f = f->next)
        h1_write_field(&out, f->name, f->value);
    rc = h1_out_end(&out);
    if (rc == 0)
        outq_commit(out_of(x), out.len);
    return rc;
}

static int end(weir_exchange *x)
{
    int rc = 0;

    if (x->framing == REPLY_CHUNKED && !x->bodiless) {
        rc = exchange_has_trailers(x) ? put_trailers(x) : outq_copy(out_of(x), H1_LAST_CHUNK);
        if (rc == 0)
            h1_flush_soon(conn_of(x));
    }
    return rc;
}

static void fail(weir_exchange *x, int code)
{
    h1_fail_output(x->conn, code);
}

static void incomplete(weir_exchange *x)
{
    x->keep_alive = false;
    if (x->framing == REPLY_UNTIL_CLOSE)
        conn_of(x)->flags |= H1_RESET;
}

/* ---- the request's body ---------------------------------------------------------------- */

static void limit(weir_exchange *x, uint64_t max_bytes)
{
    x->in->max_bytes = max_bytes;
    h1_body_init(&x->in->decoder, x->head, &x->home->opts->limits, max_bytes);
}

/* RFC 9110, section 10.1.1: a server that has the body already need not say it. */
static int send_continue(weir_exchange *x)
{
    x->in->want_continue = false;
    if (conn_of(x)->work->in || x->reply != REPLY_NONE)
        return 0;
    if (outq_copy(out_of(x), WEIR_S("HTTP/1.1 100 Continue\r\n\r\n")) < 0)
        return WEIR_EBUDGET;
    h1_flush_soon(conn_of(x));
    return 0;
}

static int ask(weir_exchange *x)
{
    int rc = x->in->want_continue ? send_continue(x) : 0;

    if (rc == 0)
        h1_read(x->conn);
    return rc;
}

static bool input_over(const weir_exchange *x)
{
    return conn_of(x)->flags & H1_SAW_END;
}

static bool arrived(const weir_exchange *x)
{
    return conn_of(x)->work->in || input_over(x);
}

static void wake_at(weir_exchange *x, int64_t at_ns)
{
    h1_set_deadline(x->conn, at_ns);
}

/* The decoder has checked these lines: take them apart. */
static int parse_trailers(weir_exchange *x)
{
    weir_str rest = weir_str_from(x->extra->text, x->extra->text_len);

    while (rest.len > 0) {
        const char *colon = memchr(rest.ptr, ':', rest.len);
        const char *end = memchr(rest.ptr, '\r', rest.len);
        weir_str value;

        if (!colon || !end || end < colon)
            break;
        value = weir_str_from(colon + 1, (size_t)(end - colon - 1));
        while (value.len && (*value.ptr == ' ' || *value.ptr == '\t'))
            value = weir_str_skip(value, 1);
        while (value.len && (value.ptr[value.len - 1] == ' ' || value.ptr[value.len - 1] == '\t'))
            value.len--;
        if (exchange_add_trailer(x, weir_str_from(rest.ptr, (size_t)(colon - rest.ptr)), value) < 0)
            return -ENOMEM;
        rest = weir_str_skip(rest, (size_t)(end - rest.ptr) + 2);
    }
    return 0;
}

/* Bytes of the trailer section; most often there are none but its end. */
static int keep_trailer(weir_exchange *x, weir_str bytes)
{
    uint32_t most = x->home->opts->limits.trailer_bytes;

    most = most ? most : HTTP_TRAILER_BYTES;
    if (!x->extra && (*bytes.ptr == '\r' || *bytes.ptr == '\n'))
        return 0;
    if (!x->extra || !x->extra->text) {
        if (!x->extra)
            x->extra = arena_zalloc(&x->arena, sizeof(*x->extra));
        if (x->extra)
            x->extra->text = arena_alloc(&x->arena, most);
        if (!x->extra || !x->extra->text)
            return -ENOMEM;
    }
    if (bytes.len > most - x->extra->text_len)
        return -ENOMEM; /* the decoder has refused it before */
    memcpy(x->extra->text + x->extra->text_len, bytes.ptr, bytes.len);
    x->extra->text_len += (uint32_t)bytes.len;
    return x->in->complete ? parse_trailers(x) : 0;
}

/* Decode what is there. 1: *ret_data is lent; 0: no more to be had from what is
 * there (see in->complete); or the failure. */
static int decode(weir_exchange *x, struct h1_work *w, weir_str *ret_data)
{
    struct exchange_body *in = x->in;

    while (w->in && !in->complete) {
        struct buf *buf = w->in;
        weir_str bytes = weir_str_from(buf->data + buf->from, buf->to - buf->from), data;
        size_t used;
        int rc = h1_body_feed(&in->decoder, bytes, &used, &data, &in->fault);

        if (rc < 0)
            return exchange_body_fail(in, rc, in->fault.status);
        buf->from += (uint32_t)used;
        in->received += used;
        in->taken = h1_body_taken(&in->decoder);
        in->complete = rc == H1_BODY_END || h1_body_complete(&in->decoder);
        if (in->decoder.trailer_at < used &&
            keep_trailer(x, weir_str_from(bytes.ptr + in->decoder.trailer_at,
                                          used - in->decoder.trailer_at)) < 0)
            return exchange_body_fail(in, -ENOMEM, 503);
        if (rc == H1_BODY_DATA) {
            in->lent = buf_ref(buf);
            *ret_data = data;
        }
        if (buf->from == buf->to)
            h1_input_used(w);
        if (rc == H1_BODY_DATA)
            return 1;
    }
    return 0;
}

static int take(weir_exchange *x, weir_str *ret_data)
{
    int rc = decode(x, conn_of(x)->work, ret_data);

    if (rc > 0)
        h1_read(x->conn);
    return rc;
}

int h1_body_discard(weir_exchange *x)
{
    struct h1_work *w = conn_of(x)->work;
    weir_str data = WEIR_S("");
    int rc;

    exchange_body_done(x);
    while (!x->in->complete) {
        uint64_t before = x->in->received;

        rc = x->in->failed ? x->in->failed : decode(x, w, &data);
        exchange_body_done(x);
        if (rc < 0)
            return rc;
        w->dropped += (uint32_t)(x->in->received - before);
        if (w->dropped > x->home->opts->linger_bytes)
            return WEIR_EBODYSIZE;
        if (rc == 0 && !x->in->complete)
            return 0;
    }
    return 1;
}

/* ---- the handler ------------------------------------------------------------------------- */

static void started(weir_exchange *x)
{
    if (conn_of(x)->flags & H1_SAW_END)
        h1_flush_soon(conn_of(x)); /* where the end is looked at once this has had its turn */
}

/* A handler that never ran ends on the stack of whoever found it late: the flush goes
 * on from there. */
static void handled(weir_exchange *x, bool own_stack)
{
    struct h1_conn *c = conn_of(x);

    h1_answered(c);
    if (own_stack)
        h1_go_on(c);
}

const struct exchange_wire h1_wire = {
    .version = "1.1",
    .number = 0,
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
