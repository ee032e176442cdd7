/* Answers: heads, bodies whole or in pieces, and the waits for a slow client.
 *
 * States of a reply: NONE -> BEGUN -> COMPLETE, or NONE -> COMPLETE. The head is
 * printed straight into the connection's output chain, small bodies behind it; so
 * a small answer is one stretch of memory and one send.
 *
 * The functions without a check for a cancel (exchange_...) are for the server
 * itself, on whatever stack; the public ones check, and may wait.
 *
 * Invariants: status is set from NONE on; out_left is 0 unless the framing is
 * REPLY_LENGTH; once the output has failed nothing is added to it. */
#include "http/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "http/h1_conn.h"
#include "http/server_loop.h"

#define HEAD_ROOM 320   /* the status line, Date, framing, Connection, an empty line */
#define TYPE_MAX 256

/* ---- fields ------------------------------------------------------------------------- */

static bool is_servers_own(enum http_field_id id)
{
    switch (id) {
    case HTTP_CONNECTION:
    case HTTP_CONTENT_LENGTH:
    case HTTP_TRANSFER_ENCODING:
    case HTTP_UPGRADE:
    case HTTP_KEEP_ALIVE:
    case HTTP_TRAILER:
    case HTTP_DATE:
    case HTTP_PROXY_CONNECTION: return true;
    default: return false;
    }
}

int weir_set_header(weir_exchange *x, const char *name, weir_str value)
{
    weir_str key = weir_str_c(name);
    struct reply_field *field;

    if (!value.ptr)
        return -ENOMEM;
    if (!http_token_ok(key) || !http_value_ok(value))
        return weir_fail(-EINVAL, "the field \"%.64s\" can't be sent: its %s", name,
                         http_token_ok(key) ? "value holds a control byte" : "name is no token");
    if (is_servers_own(http_field_find(key)))
        return weir_fail(-EINVAL, "the field \"%s\" is set by the server", name);
    if (x->reply != REPLY_NONE)
        return weir_fail(WEIR_ECLOSED, "the field \"%s\" comes after the head", name);
    if (x->field_count == EXCHANGE_FIELDS_MAX ||
        x->field_bytes + key.len + value.len + 4 > EXCHANGE_FIELDS_BYTES)
        return weir_fail(WEIR_EFULL, "an answer has at most %d fields and %d bytes of them",
                         EXCHANGE_FIELDS_MAX, EXCHANGE_FIELDS_BYTES);
    field = arena_alloc(&x->arena, sizeof(*field));
    if (!field)
        return -ENOMEM;
    field->next = NULL;
    field->name = arena_dup(&x->arena, key);
    field->value = arena_dup(&x->arena, value);
    if (!field->name.ptr || !field->value.ptr)
        return -ENOMEM;
    *x->fields_end = field;
    x->fields_end = &field->next;
    x->field_count++;
    x->field_bytes = (uint16_t)(x->field_bytes + key.len + value.len + 4);
    return 0;
}

/* ---- heads -------------------------------------------------------------------------- */

/* RFC 9110, section 6.4.1. */
static bool status_has_no_body(int status)
{
    return status == 204 || status == 304;
}

/* Can the connection go on, when the request's body was not read to its end? */
static bool body_can_be_passed(const weir_exchange *x)
{
    const struct exchange_body *in = x->in;

    if (!in || in->complete)
        return true;
    if (in->failed || in->want_continue)
        return false;
    return x->head->body != HTTP_BODY_LENGTH ||
           (uint64_t)x->head->content_length - h1_body_taken(&in->decoder) <=
               x->home->opts->linger_bytes;
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

static void put_head(struct h1_out *out, weir_exchange *x, int status, weir_str type,
                     int64_t length)
{
    if (status == 200)
        h1_write_bytes(out, WEIR_S("HTTP/1.1 200 OK\r\n"));
    else
        h1_write_status_line(out, status, weir_str_from(NULL, 0));
    h1_write_bytes(out, weir_str_from(server_loop_date(x->home), DATE_FIELD_LEN));
    if (type.ptr && status != 204)
        h1_write_known(out, HTTP_CONTENT_TYPE, type);
    put_framing(out, x, status, length);
    for (const struct reply_field *field = x->fields; field; field = field->next)
        h1_write_field(out, field->name, field->value);
    if (!x->keep_alive)
        h1_write_bytes(out, WEIR_S("Connection: close\r\n"));
    else if (x->head->version_minor == 0)
        h1_write_bytes(out, WEIR_S("Connection: keep-alive\r\n"));
}

static enum reply_framing choose_framing(weir_exchange *x, int status, int64_t length)
{
    x->bodiless = x->head->method == HTTP_HEAD || status_has_no_body(status);
    if (status_has_no_body(status))
        return REPLY_BODILESS;
    if (length >= 0)
        return REPLY_LENGTH;
    if (x->head->version_minor >= 1)
        return REPLY_CHUNKED;
    x->keep_alive = false; /* RFC 9112, section 6.3: until the connection's end */
    return REPLY_UNTIL_CLOSE;
}

/* Can nothing be sent any more? */
static bool is_lost(const weir_exchange *x)
{
    return !x->conn || x->gone || x->conn->work->out.failed;
}

/* May an answer begin now? */
static int reply_check(weir_exchange *x, int status, weir_str type)
{
    if (x->reply != REPLY_NONE)
        return weir_fail(WEIR_ECLOSED, "the exchange was answered already, with %u", x->status);
    if (status < 200 || status > 599)
        return weir_fail(-EINVAL, "%d is not the status of a final answer", status);
    if (type.len > TYPE_MAX || !http_value_ok(type))
        return weir_fail(-EINVAL, "the content type can't be sent");
    if (is_lost(x))
        return WEIR_EGONE;
    return 0;
}

/* Put the head into the output, and body behind it when copy says so. */
static int begin(weir_exchange *x, int status, weir_str type, int64_t length, weir_str copy)
{
    struct outq *q;
    struct h1_out out;
    size_t room = HEAD_ROOM + TYPE_MAX + x->field_bytes + copy.len;
    char *to;
    int rc = reply_check(x, status, type);

    if (rc < 0)
        return rc;
    q = &x->conn->work->out;
    to = outq_reserve(q, room);
    if (!to)
        return WEIR_EBUDGET;
    if (http_server_stopping(x->home->server) || !body_can_be_passed(x))
        x->keep_alive = false;
    x->framing = (uint8_t)choose_framing(x, status, length);
    h1_out_init(&out, to, room);
    put_head(&out, x, status, type, length);
    rc = h1_out_end(&out);
    if (rc < 0)
        return rc;
    x->status = (uint16_t)status;
    x->reply = REPLY_BEGUN;
    x->out_left = x->framing == REPLY_LENGTH ? (uint64_t)length : 0;
    if (copy.len && !x->bodiless) {
        memcpy(to + out.len, copy.ptr, copy.len);
        out.len += copy.len;
    }
    outq_commit(q, out.len);
    h1_flush_soon(x->conn);
    return 0;
}

int exchange_reply(weir_exchange *x, int status, weir_str type, weir_str body)
{
    int rc;

    if (body.len > OUTQ_COPY_BYTES)
        return weir_fail(-EINVAL, "an answer given at once has at most %d bytes", OUTQ_COPY_BYTES);
    rc = begin(x, status, type, (int64_t)body.len, body);
    if (rc == 0) {
        x->out_left = 0;
        x->reply = REPLY_COMPLETE;
    }
    return rc;
}

/* ---- waiting for the client to take what was written --------------------------------- */

void exchange_output_moved(weir_exchange *x)
{
    struct out_wait *writer = x->writer;
    const struct outq *q = x->conn ? &x->conn->work->out : NULL;

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

    x->writer = writer;
    x->in_write = true;
    h1_flush_soon(x->conn);
    rc = rt_park(&writer->wait);
    x->in_write = false;
    x->writer = NULL;
    if (x->conn && x->conn->flags & H1_SAW_END)
        h1_flush_soon(x->conn);
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

    if (x->conn->work->out.bytes <= until_bytes)
        return 0;
    rc = park_writer(x, &writer);
    return rc == 0 && is_lost(x) ? WEIR_EGONE : rc;
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
    struct outq *q = &x->conn->work->out;
    int rc, code;

    outq_refer(q, &big.seg);
    rc = park_writer(x, &big.writer);
    code = rc < 0 ? rt_check() : 0;
    return code < 0 ? code : rc;
}

/* ---- bodies -------------------------------------------------------------------------- */

/* Is the exchange in the middle of its answer's body, and may this task write? */
static int write_check(weir_exchange *x)
{
    if (x->reply != REPLY_BEGUN)
        return weir_fail(WEIR_ECLOSED,
                         x->reply == REPLY_NONE ? "no answer was begun" : "the answer is complete");
    if (x->writer)
        return -EBUSY;
    if (is_lost(x))
        return WEIR_EGONE;
    return 0;
}

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
    struct outq *q = &x->conn->work->out;
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
    h1_flush_soon(x->conn);
    return 0;
}

static int write_referred(weir_exchange *x, weir_str data)
{
    struct outq *q = &x->conn->work->out;
    int rc = x->framing == REPLY_CHUNKED ? put_chunk_head(q, data.len) : 0;

    if (rc == 0)
        rc = write_big(x, data);
    if (rc == 0 && x->framing == REPLY_CHUNKED) {
        rc = is_lost(x) ? WEIR_EGONE : outq_copy(&x->conn->work->out, H1_CHUNK_TAIL);
        if (rc == WEIR_EBUDGET) /* a chunk without its end can't be mended later */
            h1_fail_output(x->conn, rc);
    }
    return rc;
}

static int write_piece(weir_exchange *x, weir_str data)
{
    int rc;

    if (x->framing == REPLY_LENGTH) {
        if (data.len > x->out_left)
            return weir_fail(-EINVAL,
                             "%zu bytes are more than the %llu that the announced length "
                             "leaves",
                             data.len, (unsigned long long)x->out_left);
    }
    if (x->bodiless || data.len == 0) {
        rc = 0;
    } else if (data.len > OUTQ_COPY_BYTES) {
        rc = write_referred(x, data);
    } else {
        rc = x->conn->work->out.bytes + data.len > OUTQ_HIGH_BYTES ? wait_drained(x, OUTQ_LOW_BYTES)
                                                                   : 0;
        if (rc == 0)
            rc = write_copy(x, data);
    }
    if (rc == 0 && x->framing == REPLY_LENGTH)
        x->out_left -= data.len;
    return rc;
}

int exchange_end(weir_exchange *x)
{
    int rc = write_check(x);

    if (rc < 0)
        return rc;
    if (x->framing == REPLY_LENGTH && x->out_left > 0)
        return weir_fail(-EINVAL, "the answer ends %llu bytes before its announced length",
                         (unsigned long long)x->out_left);
    if (x->framing == REPLY_CHUNKED && !x->bodiless) {
        rc = outq_copy(&x->conn->work->out, H1_LAST_CHUNK);
        if (rc < 0)
            return rc;
        h1_flush_soon(x->conn);
    }
    x->reply = REPLY_COMPLETE;
    return 0;
}

/* ---- what handlers call ---------------------------------------------------------------- */

/* A checkpoint's entry; there is none while handle() answers at once. */
static inline int enter(const weir_exchange *x)
{
    exchange_check_home(x);
    return x->at_once ? 0 : rt_check();
}

int weir_reply(weir_exchange *x, int status, const char *type, weir_str body)
{
    weir_str kind = weir_str_c(type);
    int rc = enter(x);

    if (rc < 0)
        return rc;
    if (!body.ptr && body.len > 0)
        return -ENOMEM;
    if (body.len <= OUTQ_COPY_BYTES || x->at_once)
        return exchange_reply(x, status, kind, body);
    rc = begin(x, status, kind, (int64_t)body.len, weir_str_from(NULL, 0));
    if (rc == 0)
        rc = write_piece(x, body);
    if (rc == 0)
        rc = exchange_end(x);
    return rc;
}

int weir_reply_text(weir_exchange *x, int status, const char *text)
{
    return weir_reply(x, status, "text/plain; charset=utf-8", weir_str_c(text));
}

int weir_reply_json_text(weir_exchange *x, int status, weir_str json)
{
    return weir_reply(x, status, "application/json", json);
}

int weir_reply_status(weir_exchange *x, int status)
{
    return weir_reply(x, status, NULL, weir_str_from(NULL, 0));
}

int weir_reply_begin(weir_exchange *x, int status, const char *type, int64_t length)
{
    int rc = enter(x);

    if (rc < 0)
        return rc;
    if (length < 0 && length != WEIR_UNKNOWN_LENGTH)
        return weir_fail(-EINVAL, "%lld is no length", (long long)length);
    return begin(x, status, weir_str_c(type), length, weir_str_from(NULL, 0));
}

int weir_write(weir_exchange *x, weir_str data)
{
    int rc = rt_check();

    exchange_check_home(x);
    if (rc == 0)
        rc = write_check(x);
    if (rc < 0)
        return rc;
    if (!data.ptr && data.len > 0)
        return -ENOMEM;
    rc = write_piece(x, data);
    if (rc == 0)
        rt_spend();
    return rc;
}

int weir_flush(weir_exchange *x)
{
    int rc = rt_check();

    exchange_check_home(x);
    if (rc < 0)
        return rc;
    if (x->writer)
        return -EBUSY;
    if (is_lost(x))
        return WEIR_EGONE;
    return wait_drained(x, 0);
}

int weir_end(weir_exchange *x)
{
    int rc = rt_check();

    exchange_check_home(x);
    return rc < 0 ? rc : exchange_end(x);
}

bool weir_replied(const weir_exchange *x)
{
    exchange_check_home(x);
    return x->reply != REPLY_NONE;
}
