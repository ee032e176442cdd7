/* One call over HTTP/1.1: it has its connection alone.
 *
 * Input: `in` is what was received and not used yet. It points into buf, of which
 * the call holds a reference, or into big, when a head is larger than a buffer.
 * While the call waits and has no input, it holds no buffer.
 *
 * A connection goes back to the pool only when everything about the call was in
 * order: both messages complete, the server willing, not a byte too many. */
#include "http/client.h"
#include "http/h1_write.h"
#include "net/tcp.h"

#define CALL_INTERIM_MAX 16 /* 1xx answers before the final one */

static int call_fault(struct weir_request *call, int rc, const struct h1_fault *fault)
{
    call->flags |= CALL_FAILED;
    return weir_fail(rc, "%.*s %.*s: the answer breaks a rule: %s (%s), byte %zu",
                     WEIR_ARG(call->method_text), WEIR_ARG(url_shown(call->url_text)), fault->rule,
                     fault->section, fault->offset);
}

/* ---- connecting ---------------------------------------------------------------------------- */

/* An idle connection, or a new one. */
static int h1_connect(struct weir_request *call)
{
    int rc = weir_pool_acquire(call->origin->pool, &call->lease);

    if (rc < 0)
        return client_call_wrap(call, rc, "waiting for a connection");
    if (call->lease.item) {
        call->conn = container_of(call->lease.item, struct client_conn, item);
        call->flags |= CALL_REUSED;
        return 0;
    }
    rc = client_conn_open(call->origin, call->client->opts.connect_timeout_ms, &call->conn);
    return rc < 0 ? client_call_wrap(call, rc, "no connection") : 0;
}

/* A new connection in the place of one that was lost. */
static int h1_again(struct weir_request *call)
{
    int rc;

    client_conn_close(call->conn);
    call->conn = NULL;
    call->flags &= ~(unsigned)(CALL_REUSED | CALL_SENT_ANY | CALL_FAILED);
    rc = client_conn_open(call->origin, call->client->opts.connect_timeout_ms, &call->conn);
    return rc < 0 ? client_call_wrap(call, rc, "no connection") : 0;
}

/* ---- sending ---------------------------------------------------------------------------- */

static int call_write(struct weir_request *call, const struct iovec *vectors, unsigned count)
{
    struct io_op op = { .file = &call->conn->file,
                        .kind = IO_SEND,
                        .send = { .iov = vectors, .count = count } };
    size_t total = 0;
    int rc = tcp_io(&op, "send");

    for (unsigned i = 0; i < count; i++)
        total += vectors[i].iov_len;
    if (op.send.moved > 0)
        call->flags |= CALL_SENT_ANY;
    if (op.send.moved == total)
        return 0;
    call->flags |= CALL_FAILED;
    if (rc >= 0) /* cut short by a cancel */
        rc = rt_check();
    return rc < 0 ? rc : -ECONNABORTED;
}
static int h1_send(struct weir_request *call)
{
    struct iovec vectors[2];
    unsigned count = 1;
    struct buf *buf;
    int rc = client_head_write(call, &buf);

    if (rc < 0)
        return client_call_wrap(call, rc, "the request can't be written");
    if (call->opts.body.len > 0 && buf->to + call->opts.body.len <= BUF_ROOM) {
        memcpy(buf->data + buf->to, call->opts.body.ptr, call->opts.body.len);
        buf->to += (uint32_t)call->opts.body.len;
    } else if (call->opts.body.len > 0) {
        vectors[count].iov_base = (char *)call->opts.body.ptr;
        vectors[count++].iov_len = call->opts.body.len;
    }
    vectors[0].iov_base = buf->data;
    vectors[0].iov_len = buf->to;
    rc = call_write(call, vectors, count);
    buf_unref(buf);
    return rc;
}
/* A chunk, or a stretch of what was announced. */
static int h1_write(struct weir_request *call, weir_str data)
{
    char size[H1_CHUNK_HEAD_MAX];
    struct h1_out out;
    struct iovec vectors[3] = { [1] = { (char *)data.ptr, data.len } };

    if (call->opts.stream_bytes != WEIR_CHUNKED)
        return call_write(call, vectors + 1, 1);
    h1_out_init(&out, size, sizeof(size));
    h1_write_chunk_head(&out, data.len);
    vectors[0] = (struct iovec){ size, out.len };
    vectors[2] = (struct iovec){ (char *)H1_CHUNK_TAIL.ptr, H1_CHUNK_TAIL.len };
    return call_write(call, vectors, 3);
}

static int h1_finish(struct weir_request *call)
{
    struct iovec last = { (char *)H1_LAST_CHUNK.ptr, H1_LAST_CHUNK.len };

    return call->opts.stream_bytes == WEIR_CHUNKED ? call_write(call, &last, 1) : 0;
}

/* ---- receiving ---------------------------------------------------------------------------- */

static int call_receive_into(struct weir_request *call, struct buf **buf)
{
    struct io_op op = { .file = &call->conn->file, .kind = IO_RECV, .recv.buf = *buf };
    int rc = tcp_io(&op, "receive");

    if (rc < 0)
        call->flags |= CALL_FAILED;
    if (rc <= 0)
        return rc;
    *buf = op.recv.buf;
    call->flags |= CALL_GOT_ANY;
    return rc;
}

static void call_drop_input(struct weir_request *call)
{
    buf_unref(call->h1.buf);
    call->h1.buf = NULL;
    call->h1.in = weir_str_from(NULL, 0);
}

/* All input is used: take new. */
static int call_receive_next(struct weir_request *call)
{
    int rc;

    call_drop_input(call);
    rc = call_receive_into(call, &call->h1.buf);
    if (rc > 0)
        call->h1.in = weir_str_from(call->h1.buf->data + call->h1.buf->from, (size_t)rc);
    return rc;
}

/* What was received of a head fills the buffer: move it to where it has room. */
static int call_move_to_big(struct weir_request *call)
{
    if (!call->h1.big)
        call->h1.big = arena_alloc(rt_arena(), HTTP_HEAD_BYTES + BUF_ROOM);
    if (!call->h1.big)
        return -ENOMEM;
    memmove(call->h1.big, call->h1.in.ptr, call->h1.in.len);
    call->h1.in.ptr = call->h1.big;
    buf_unref(call->h1.buf);
    call->h1.buf = NULL;
    return 0;
}

/* Part of a head is there: receive more behind it. The parser's limit keeps what
 * is in big below HTTP_HEAD_BYTES. */
static int call_receive_more(struct weir_request *call)
{
    struct buf *buf = NULL;
    int rc;

    if (call->h1.in.len == 0)
        return call_receive_next(call);
    if (call->h1.buf && call->h1.buf->to < BUF_ROOM) {
        rc = call_receive_into(call, &call->h1.buf);
        call->h1.in.len += rc > 0 ? (size_t)rc : 0;
        return rc;
    }
    rc = call_move_to_big(call);
    if (rc == 0)
        rc = call_receive_into(call, &buf);
    if (rc > 0) {
        memcpy(call->h1.big + call->h1.in.len, buf->data + buf->from, (size_t)rc);
        call->h1.in.len += (size_t)rc;
    }
    buf_unref(buf);
    return rc;
}

/* Receive one head. *head is the loop's, which serves while the call does not
 * wait; a head that comes in parts gets one of its own. Returns its length. */
static int call_parse(struct weir_request *call, struct http_head **head)
{
    struct http_head *shared = *head;
    struct h1_fault fault;
    int n;

    h1_parser_init(&call->h1.parser, NULL);
    for (;;) {
        if (call->h1.in.len > 0) {
            n = h1_parse_response(&call->h1.parser, call->h1.in, call->method, *head, &fault);
            if (n != 0)
                return n < 0 ? call_fault(call, n, &fault) : n;
            if (*head == shared) {
                *head = arena_alloc(rt_arena(), sizeof(**head));
                if (!*head)
                    return -ENOMEM;
                h1_parser_init(&call->h1.parser, NULL);
            }
        }
        n = call_receive_more(call);
        if (n == 0)
            return client_call_fail(call, WEIR_ETRUNCATED,
                                    call->flags & CALL_GOT_ANY
                                        ? "the server closed in the middle of the answer's head"
                                        : "the server closed without an answer");
        if (n < 0)
            return client_call_wrap(call, n, "waiting for the answer");
    }
}

/* The response, out of the input and the head, into the arena. */
static int call_copy_head(const struct weir_request *call, const struct http_head *head, size_t len,
                          weir_response *ret_response)
{
    size_t fields = sizeof(weir_http_field) * head->field_count;
    char *block = arena_alloc(rt_arena(), fields + len), *text = block + fields;
    weir_http_field *to = (weir_http_field *)(void *)block;

    if (!block)
        return -ENOMEM;
    memcpy(text, call->h1.in.ptr, len);
    for (unsigned i = 0; i < head->field_count; i++) {
        const struct http_field *from = &head->fields[i];

        to[i].name = weir_str_from(text + (from->name - call->h1.in.ptr), from->name_len);
        to[i].value = weir_str_from(text + (from->value - call->h1.in.ptr), from->value_len);
    }
    *ret_response = (weir_response){ .status = head->status,
                                     .body = WEIR_S(""),
                                     .content_length = head->content_length,
                                     .fields = to,
                                     .field_count = head->field_count };
    if (head->first[HTTP_CONTENT_TYPE])
        ret_response->type = to[head->first[HTTP_CONTENT_TYPE] - 1].value;
    return 0;
}

static void call_begin_body(struct weir_request *call, const struct http_head *head, size_t len)
{
    uint64_t max = call->opts.max_body_bytes;

    h1_body_init(&call->h1.body, head, NULL, max ? max : H1_BODY_NO_MAX);
    call->flags |= CALL_HAS_HEAD;
    if (head->keep_alive && head->body != HTTP_BODY_UNTIL_CLOSE)
        call->flags |= CALL_KEEP;
    if (h1_body_complete(&call->h1.body))
        call->flags |= CALL_BODY_DONE;
    call->h1.in = weir_str_skip(call->h1.in, len);
}

static int call_inform(const struct weir_request *call, const struct http_head *head, size_t len)
{
    weir_response interim;
    int rc;

    if (!call->opts.on_inform)
        return 0;
    rc = call_copy_head(call, head, len, &interim);
    if (rc == 0)
        call->opts.on_inform(call->opts.inform_arg, &interim);
    return rc;
}

static int h1_head(struct weir_request *call, weir_response *ret_response)
{
    struct client_loop *own = client_loop_get();

    if (!own)
        return -ENOMEM;
    for (int i = 0; i < CALL_INTERIM_MAX; i++) {
        struct http_head *head = &own->head;
        int rc, n = call_parse(call, &head);

        if (n < 0)
            return n;
        if (head->status == 101)
            break;
        if (head->status < 200) { /* RFC 9110, section 15.2 */
            rc = call_inform(call, head, (size_t)n);
            if (rc < 0)
                return rc;
            call->h1.in = weir_str_skip(call->h1.in, (size_t)n);
            continue;
        }
        rc = call_copy_head(call, head, (size_t)n, ret_response);
        if (rc == 0)
            call_begin_body(call, head, (size_t)n);
        return rc;
    }
    call->flags |= CALL_FAILED;
    return client_call_fail(call, WEIR_EHEAD,
                            "the server switches protocols without being asked, or "
                            "sends interim answers without end");
}

/* The stream has ended within the body: is that its end? */
static int call_body_eof(struct weir_request *call)
{
    int rc = h1_body_eof(&call->h1.body);

    call->flags &= ~(unsigned)CALL_KEEP;
    if (rc < 0) {
        call->flags |= CALL_FAILED;
        return client_call_fail(call, rc, "the server closed in the middle of the answer's body");
    }
    call->flags |= CALL_BODY_DONE;
    return 0;
}

static int h1_body(struct weir_request *call, weir_str *ret_data)
{
    struct h1_fault fault;
    size_t used;
    int rc;

    while (!(call->flags & CALL_BODY_DONE)) {
        rc = h1_body_feed(&call->h1.body, call->h1.in, &used, ret_data, &fault);
        if (rc < 0)
            return call_fault(call, rc, &fault);
        call->h1.in = weir_str_skip(call->h1.in, used);
        if (rc == H1_BODY_DATA)
            return 1;
        if (rc == H1_BODY_END) {
            call->flags |= CALL_BODY_DONE;
            return 0;
        }
        rc = call_receive_next(call);
        if (rc == 0)
            return call_body_eof(call);
        if (rc < 0)
            return client_call_wrap(call, rc, "reading the answer's body");
    }
    return 0;
}

/* ---- the end --------------------------------------------------------------------------------- */

/* Use up what is left of the body, if it is here. */
static void call_skip_rest(struct weir_request *call)
{
    struct h1_fault fault;
    weir_str data;
    size_t used;
    int rc;

    do {
        rc = h1_body_feed(&call->h1.body, call->h1.in, &used, &data, &fault);
        if (rc >= 0)
            call->h1.in = weir_str_skip(call->h1.in, used);
    } while (rc == H1_BODY_DATA);
    if (rc == H1_BODY_END)
        call->flags |= CALL_BODY_DONE;
}

static bool call_may_keep(struct weir_request *call)
{
    const unsigned wanted = CALL_HAS_HEAD | CALL_KEEP;

    if (!call->conn || (call->flags & wanted) != wanted ||
        call->flags & (CALL_FAILED | CALL_UPLOADING))
        return false;
    if (!(call->flags & CALL_BODY_DONE))
        call_skip_rest(call);
    /* What is behind the answer belongs to no request of ours. */
    return call->flags & CALL_BODY_DONE && call->h1.in.len == 0;
}

/* RFC 9110, section 9.2.2; RFC 9112, section 9.3.1. */
static bool h1_may_repeat(const struct weir_request *call, int rc)
{
    return (client_is_lost(rc) || rc == WEIR_ETRUNCATED) && call->flags & CALL_REUSED &&
           !(call->flags & (CALL_GOT_ANY | CALL_STREAMED)) &&
           (http_method_idempotent(call->method) || !(call->flags & CALL_SENT_ANY));
}

static void h1_leave(struct weir_request *call)
{
    bool keep = call_may_keep(call);

    call_drop_input(call);
    if (call->conn && !keep)
        client_conn_close(call->conn);
    if (call->lease.shelf_)
        weir_pool_release(&call->lease, keep ? &call->conn->item : NULL);
    call->conn = NULL;
}

const struct client_wire client_h1_wire = {
    .connect = h1_connect,
    .send = h1_send,
    .again = h1_again,
    .write = h1_write,
    .finish = h1_finish,
    .head = h1_head,
    .body = h1_body,
    .may_repeat = h1_may_repeat,
    .leave = h1_leave,
};
