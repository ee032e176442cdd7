/* A client's HTTP/2 connection; see h2_link.h.
 *
 * nghttp2 keeps the protocol's state; this file joins it to the loop's input and output
 * and to the calls' streams. What it is called from:
 *
 *   the receive's end   bytes go into the session, whose callbacks fill the streams
 *   the flush           at the end of a turn, on the loop's stack: queued requests are
 *                       submitted, and the session's frames copied into the output until
 *                       there is nothing more to say or OUTQ_HIGH_BYTES are waiting
 *   a task              leaves a stream, or takes its body: both only submit frames
 *
 * States, in flags: open -> GOING (no new calls) -> LOST (no more input or output), and
 * CLOSING once the owner has given it up. A lost link has failed all its streams. It has
 * ended when it is CLOSING and neither a receive nor a send is under way.
 *
 * Invariants: stream_count is the length of streams and queue together; a stream is in
 * one of them exactly while its link is set; the session's user data of a stream that has
 * left is NULL, and what comes for it is counted for the connection's window alone.
 *
 * Windows: the connection's is given back at once, each stream's when its task takes the
 * bytes, so that a call that reads slowly holds up no other one. */
#include "http/h2_link.h"

#include <errno.h>
#include <string.h>

#include <weir/error.h>

#include "http/h2_mem.h"

#define LINK_ROUNDS 32                /* receives in a row, before others have their turn */
#define LINK_PING_NS INT64_C(10000000000) /* of silence, with calls under way */
#define LINK_PONG_NS INT64_C(5000000000)
#define LINK_TOKENS 1000
#define LINK_TOKENS_A_SECOND 33
#define LINK_SETTINGS_MAX 32          /* in a frame */
#define LINK_CONTINUATIONS_MAX 8
#define FRAME_HEAD_BYTES 9

static struct h2_call *stream_of(struct node *n)
{
    return container_of(n, struct h2_call, node);
}

static void wake(struct wait **wait)
{
    struct wait *waiting = *wait;

    *wait = NULL;
    if (waiting)
        wait_wake(waiting, 0);
}

static void stream_changed(struct h2_call *stream)
{
    wake(&stream->reader);
    wake(&stream->writer);
}

static void stream_fail(struct h2_call *stream, int rc, const char *why)
{
    if (!stream->rc && !(stream->flags & STREAM_END)) {
        stream->rc = rc;
        if (!stream->why)
            stream->why = why;
    }
    stream_changed(stream);
}

/* ---- the end ----------------------------------------------------------------------------- */

static void link_end_if_done(struct h2_link *link)
{
    void (*ended)(struct h2_link *) = link->ended;

    if (!(link->flags & LINK_CLOSING) || link->recv.pending || outq_sending(&link->out))
        return;
    loop_undefer(&link->flush);
    timer_clear(link->loop, &link->timer);
    outq_drop(&link->out, -ECANCELED);
    nghttp2_session_del(link->session);
    link->session = NULL;
    ended(link);
}

/* Nothing goes or comes any more. */
static void link_lose(struct h2_link *link, int rc)
{
    if (link->flags & LINK_LOST)
        return;
    link->flags |= LINK_LOST | LINK_GOING;
    link->rc = rc;
    timer_clear(link->loop, &link->timer);
    io_cancel(link->loop, &link->recv);
    outq_cancel(&link->out, link->loop, rc);
    list_each_safe(n, &link->queue) {
        stream_of(n)->flags |= STREAM_REFUSED;
        stream_fail(stream_of(n), rc, link->why);
    }
    list_each_safe(n, &link->streams)
        stream_fail(stream_of(n), rc, link->why);
    if (!(link->flags & LINK_CLOSING))
        link->owner->closed(link);
}

/* The server does what it may not: say so, and end. */
static void link_offend(struct h2_link *link, uint32_t code, const char *why)
{
    link->why = why;
    if (nghttp2_session_terminate_session(link->session, code) < 0)
        link_lose(link, WEIR_EHEAD);
}

/* ---- what the session tells ---------------------------------------------------------------- */

/* Frames that cost their sender nothing: one bucket for all kinds. */
static bool link_spend_token(struct h2_link *link)
{
    int64_t now_ns = loop_now_ns(link->loop);
    uint64_t more = (uint64_t)(now_ns - link->tokens_ns) / (1000000000 / LINK_TOKENS_A_SECOND);

    if (more > 0) {
        link->tokens_ns = now_ns;
        link->tokens = more + link->tokens > LINK_TOKENS ? LINK_TOKENS
                                                         : link->tokens + (uint32_t)more;
    }
    if (link->tokens == 0)
        return false;
    link->tokens--;
    return true;
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user)
{
    struct h2_link *link = user;

    (void)session;
    switch (hd->type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_CONTINUATION:
    case NGHTTP2_WINDOW_UPDATE:
    case NGHTTP2_GOAWAY: return 0;
    case NGHTTP2_DATA:
        if (hd->length > 0 || hd->flags & NGHTTP2_FLAG_END_STREAM)
            return 0;
        break;
    case NGHTTP2_SETTINGS:
    case NGHTTP2_PING:
        if (hd->flags & NGHTTP2_FLAG_ACK)
            return 0;
        break;
    case NGHTTP2_PUSH_PROMISE: /* also before it has acknowledged our settings */
        link_offend(link, NGHTTP2_PROTOCOL_ERROR, "a push, which we have refused");
        return 0;
    default: break;
    }
    if (!link_spend_token(link))
        link_offend(link, NGHTTP2_ENHANCE_YOUR_CALM,
                    "more resets, pings, settings and empty frames than 33 a second");
    return 0;
}

/* The stream is of no use any more: tell the server so. */
static int stream_reset(struct h2_link *link, int32_t id, uint32_t code)
{
    return nghttp2_submit_rst_stream(link->session, NGHTTP2_FLAG_NONE, id, code);
}

/* rc is of h2_answer_…(). */
static int answer_failed(struct h2_link *link, struct h2_call *stream, int32_t id, int rc)
{
    if (rc == 0)
        return 0;
    if (rc == -ENOMEM)
        stream_fail(stream, rc, NULL);
    else
        stream_changed(stream);
    return stream_reset(link, id, rc == -ENOMEM ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_PROTOCOL_ERROR) <
                   0
               ? NGHTTP2_ERR_CALLBACK_FAILURE
               : 0;
}

static struct h2_call *stream_find(nghttp2_session *session, int32_t id)
{
    struct h2_call *stream = nghttp2_session_get_stream_user_data(session, id);

    return stream && !stream->rc ? stream : NULL;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    struct h2_call *stream = stream_find(session, frame->hd.stream_id);

    (void)flags;
    if (!stream)
        return 0;
    stream->flags |= STREAM_GOT_ANY;
    return answer_failed(user, stream, frame->hd.stream_id,
                         h2_answer_field(stream, weir_str_from((const char *)name, name_len),
                                         weir_str_from((const char *)value, value_len)));
}

/* The library would drop it, and go on. */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                             const uint8_t *name, size_t name_len, const uint8_t *value,
                             size_t value_len, uint8_t flags, void *user)
{
    struct h2_call *stream = stream_find(session, frame->hd.stream_id);

    (void)name, (void)name_len, (void)value, (void)value_len, (void)flags, (void)user;
    if (stream)
        stream_fail(stream, WEIR_EHEAD, "a field that may not stand there (RFC 9113, section 8.2)");
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* Frames that break the rules of messages, or of streams. */
static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int code,
                            void *user)
{
    struct h2_link *link = user;
    struct h2_call *stream = stream_find(session, frame->hd.stream_id);

    if (stream)
        stream_fail(stream, stream->flags & STREAM_HEAD ? WEIR_EBODY : WEIR_EHEAD,
                    nghttp2_strerror(code));
    else if (code != NGHTTP2_ERR_STREAM_CLOSED && !link->why)
        link->why = nghttp2_strerror(code);
    return 0;
}

static int keep_bytes(struct h2_link *link, struct h2_call *stream, const char *ptr, size_t len)
{
    while (len > 0) {
        struct buf *buf = stream->last;
        size_t n;

        if (!buf || buf->to == BUF_ROOM) {
            buf = buf_new(loop_bufs(link->loop));
            if (!buf)
                return WEIR_EBUDGET;
            *(stream->last ? &stream->last->next : &stream->first) = buf;
            stream->last = buf;
        }
        n = BUF_ROOM - buf->to;
        n = len < n ? len : n;
        memcpy(buf->data + buf->to, ptr, n);
        buf->to += (uint32_t)n;
        ptr += n;
        len -= n;
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *user)
{
    struct h2_link *link = user;
    struct h2_call *stream = stream_find(session, id);
    int rc;

    (void)flags;
    if (nghttp2_session_consume_connection(session, len) < 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (!stream)
        return 0;
    rc = h2_answer_data(stream, len);
    if (rc == 0 && keep_bytes(link, stream, (const char *)data, len) < 0) {
        stream_fail(stream, WEIR_EBUDGET, NULL);
        return stream_reset(link, id, NGHTTP2_INTERNAL_ERROR) < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE
                                                                  : 0;
    }
    wake(&stream->reader);
    return answer_failed(link, stream, id, rc);
}

static int on_message_part(struct h2_link *link, struct h2_call *stream, const nghttp2_frame *frame)
{
    bool last = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    int rc = 0;

    if (frame->hd.type == NGHTTP2_HEADERS) {
        rc = h2_answer_section(stream, last);
        link->flags |= LINK_SERVED;
    }
    if (rc == 0 && last)
        rc = h2_answer_end(stream);
    if (rc == 0)
        wake(&stream->reader);
    return answer_failed(link, stream, frame->hd.stream_id, rc);
}

static void link_going(struct h2_link *link)
{
    if (link->flags & LINK_GOING)
        return;
    link->flags |= LINK_GOING;
    list_each_safe(n, &link->queue) {
        stream_of(n)->flags |= STREAM_REFUSED;
        stream_fail(stream_of(n), -ECONNRESET, "the server is going away");
    }
    link->owner->closed(link);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2_link *link = user;
    struct h2_call *stream = frame->hd.stream_id ? stream_find(session, frame->hd.stream_id) : NULL;

    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA: return stream ? on_message_part(link, stream, frame) : 0;
    case NGHTTP2_RST_STREAM:
        if (stream)
            stream->flags |= STREAM_PEER_RESET;
        break;
    case NGHTTP2_SETTINGS:
        if (!(frame->hd.flags & NGHTTP2_FLAG_ACK))
            link->flags |= LINK_SETTLED;
        if (!(frame->hd.flags & NGHTTP2_FLAG_ACK) && !(link->flags & LINK_GOING))
            link->owner->room(link);
        break;
    case NGHTTP2_GOAWAY:
        link->goaway_code = frame->goaway.error_code;
        link_going(link);
        break;
    default: break;
    }
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct h2_call *stream = nghttp2_session_get_stream_user_data(session, id);

    (void)user;
    if (!stream)
        return 0;
    stream->flags |= STREAM_CLOSED;
    stream->reset_code = code;
    if (code == NGHTTP2_REFUSED_STREAM && !(stream->flags & STREAM_GOT_ANY))
        stream->flags |= STREAM_REFUSED;
    stream_fail(stream, -ECONNRESET, NULL);
    return 0;
}

/* ---- what is sent ---------------------------------------------------------------------------- */

/* How much of the body comes next. The bytes are copied by send_data(). */
static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *buf, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct h2_call *stream = stream_find(session, id);
    size_t n;

    (void)buf, (void)source, (void)user;
    if (!stream)
        return NGHTTP2_ERR_DEFERRED; /* a reset is on its way */
    n = stream->out.len < room ? stream->out.len : room;
    if (n == 0 && !(stream->flags & STREAM_OUT_LAST)) {
        stream->flags |= STREAM_OUT_IDLE;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (n == stream->out.len && stream->flags & STREAM_OUT_LAST)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static int send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                     size_t len, nghttp2_data_source *source, void *user)
{
    struct h2_link *link = user;
    struct h2_call *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    (void)source;
    if (!stream || stream->out.len < len)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (outq_copy(&link->out, weir_str_from((const char *)head, FRAME_HEAD_BYTES)) < 0 ||
        outq_copy(&link->out, weir_str_from(stream->out.ptr, len)) < 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    stream->out = weir_str_skip(stream->out, len);
    if (stream->out.len == 0)
        wake(&stream->writer);
    return 0;
}

static int stream_submit(struct h2_link *link, struct h2_call *stream)
{
    const struct buf *head = stream->head;
    nghttp2_data_provider body = { .read_callback = read_body };
    nghttp2_nv fields[H2_REQUEST_FIELDS];
    size_t count = h2_request_fields(weir_str_from(head->data + head->from, head->to - head->from),
                                     io_is_layered(link->file), fields);

    return nghttp2_submit_request(link->session, NULL, fields, count,
                                  stream->flags & STREAM_NO_BODY ? NULL : &body, stream);
}

static void link_submit(struct h2_link *link)
{
    while (!list_empty(&link->queue)) {
        struct h2_call *stream = stream_of(link->queue.next);
        int32_t id;

        if (stream->rc || !stream->head) /* it has failed: its task will take it back */
            id = stream->rc;
        else
            id = stream_submit(link, stream);
        buf_unref(stream->head);
        stream->head = NULL;
        list_remove(&stream->node);
        list_push(&link->streams, &stream->node);
        if (id > 0) {
            stream->id = id;
            stream->flags |= STREAM_SENT;
            continue;
        }
        stream->flags |= STREAM_CLOSED;
        if (id == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE) { /* 2^31: used up */
            stream->flags |= STREAM_REFUSED;
            link_going(link);
        }
        stream_fail(stream, id == NGHTTP2_ERR_NOMEM ? -ENOMEM : -ECONNRESET, NULL);
    }
}

/* The session's frames, into the output. */
static int link_write(struct h2_link *link)
{
    while (link->out.bytes < OUTQ_HIGH_BYTES) {
        const uint8_t *bytes;
        ssize_t n = nghttp2_session_mem_send(link->session, &bytes);

        if (n < 0)
            return n == NGHTTP2_ERR_NOMEM ? -ENOMEM : WEIR_EBUDGET;
        if (n == 0)
            return 0;
        if (outq_copy(&link->out, weir_str_from((const char *)bytes, (size_t)n)) < 0)
            return WEIR_EBUDGET;
    }
    return 0;
}

static void link_set_timer(struct h2_link *link)
{
    int64_t at_ns = link->heard_ns + LINK_PING_NS;

    if (link->stream_count > 0 && !(link->flags & LINK_LOST) && !timer_is_set(&link->timer))
        timer_set(link->loop, &link->timer, at_ns);
}

/* Until there is nothing to say, or a send waits for the kernel (1). */
static int link_say(struct h2_link *link)
{
    for (;;) {
        int rc = link_write(link);

        if (rc < 0 || link->out.bytes == 0)
            return rc;
        rc = outq_flush(&link->out, link->loop);
        if (rc != 0)
            return rc;
    }
}

static void link_flush(struct h2_link *link)
{
    int rc;

    if (link->flags & LINK_LOST)
        return;
    link_submit(link);
    rc = link_say(link);
    if (rc < 0)
        link_lose(link, rc);
    /* It has said all, and wants to hear nothing: one of the two broke a rule. */
    else if (rc == 0 && !nghttp2_session_want_read(link->session))
        link_lose(link, link->why ? WEIR_EHEAD : -ECONNRESET);
    else
        link_set_timer(link);
}

static void out_ended(struct outq *q)
{
    struct h2_link *link = container_of(q, struct h2_link, out);

    if (q->failed)
        link_lose(link, q->failed);
    else if (!(link->flags & LINK_CLOSING))
        link_flush(link);
    link_end_if_done(link);
}

/* ---- what is received -------------------------------------------------------------------------- */

static void link_feed(struct h2_link *link, const struct buf *buf, size_t len)
{
    ssize_t n = nghttp2_session_mem_recv(link->session, (const uint8_t *)buf->data + buf->from,
                                         len);

    link->heard_ns = loop_now_ns(link->loop);
    link->flags &= ~(unsigned)LINK_PINGED;
    if (n >= 0) {
        loop_defer(link->loop, &link->flush);
        return;
    }
    if (n == NGHTTP2_ERR_NOMEM) {
        link_lose(link, -ENOMEM);
        return;
    }
    link->flags |= LINK_DEAF | LINK_GOING;
    link_offend(link, NGHTTP2_ENHANCE_YOUR_CALM, link->why ? link->why : nghttp2_strerror((int)n));
    loop_defer(link->loop, &link->flush);
}

/* A receive has ended. */
static void link_take(struct h2_link *link)
{
    struct buf *buf = link->recv.recv.buf;
    int rc = link->recv.res;

    link->recv.recv.buf = NULL;
    if (rc > 0 && !(link->flags & (LINK_LOST | LINK_CLOSING | LINK_DEAF)))
        link_feed(link, buf, (size_t)rc);
    else if (rc <= 0)
        link_lose(link, rc < 0 ? rc : WEIR_ETRUNCATED);
    if (rc > 0)
        buf_unref(buf);
}

static void link_receive(struct h2_link *link)
{
    for (int round = 0; !(link->flags & (LINK_LOST | LINK_CLOSING)); round++) {
        if (!io_submit(link->loop, &link->recv))
            return;
        link_take(link);
        if (round == LINK_ROUNDS)
            link_flush(link);
    }
}

static void recv_done(struct io_op *op)
{
    struct h2_link *link = container_of(op, struct h2_link, recv);

    link_take(link);
    link_receive(link);
    link_end_if_done(link);
}

static void run_flush(struct deferred *work)
{
    struct h2_link *link = container_of(work, struct h2_link, flush);

    link_flush(link);
    if (!(link->flags & LINK_BEGUN)) {
        link->flags |= LINK_BEGUN;
        link_receive(link);
    }
}

/* ---- silence ------------------------------------------------------------------------------------- */

static void timer_fired(struct timer *timer)
{
    struct h2_link *link = container_of(timer, struct h2_link, timer);
    int64_t now_ns = loop_now_ns(link->loop);

    if (link->stream_count == 0)
        return;
    if (link->flags & LINK_PINGED) {
        link->why = "the server has not answered a ping for 5 s";
        link_lose(link, WEIR_EPEERTIMEOUT);
        return;
    }
    if (now_ns < link->heard_ns + LINK_PING_NS) {
        timer_set(link->loop, timer, link->heard_ns + LINK_PING_NS);
        return;
    }
    if (nghttp2_submit_ping(link->session, NGHTTP2_FLAG_NONE, NULL) < 0) {
        link_lose(link, -ENOMEM);
        return;
    }
    link->flags |= LINK_PINGED;
    timer_set(link->loop, timer, now_ns + LINK_PONG_NS);
    loop_defer(link->loop, &link->flush);
}

/* ---- links ----------------------------------------------------------------------------------------- */

static nghttp2_session_callbacks *callbacks_new(void)
{
    nghttp2_session_callbacks *cb;

    if (nghttp2_session_callbacks_new(&cb) < 0)
        return NULL;
    nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(cb, on_invalid_header);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_send_data_callback(cb, send_data);
    return cb;
}

static int session_new(struct h2_link *link)
{
    nghttp2_session_callbacks *callbacks = callbacks_new();
    nghttp2_option *option = NULL;
    int rc = callbacks ? nghttp2_option_new(&option) : NGHTTP2_ERR_NOMEM;

    if (rc == 0) {
        nghttp2_option_set_no_auto_window_update(option, 1);
        nghttp2_option_set_max_settings(option, LINK_SETTINGS_MAX);
        nghttp2_option_set_max_continuations(option, LINK_CONTINUATIONS_MAX);
        nghttp2_option_set_no_closed_streams(option, 1);
        rc = nghttp2_session_client_new3(&link->session, callbacks, link, option, h2_mem());
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return rc < 0 ? -ENOMEM : 0;
}

static int session_greet(struct h2_link *link)
{
    const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_CALL_WINDOW },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, H2_HEADER_LIST_BYTES },
    };
    int rc = nghttp2_submit_settings(link->session, NGHTTP2_FLAG_NONE, settings,
                                     sizeof(settings) / sizeof(*settings));

    if (rc == 0)
        rc = nghttp2_session_set_local_window_size(link->session, NGHTTP2_FLAG_NONE, 0,
                                                   H2_LINK_WINDOW);
    return rc < 0 ? -ENOMEM : 0;
}

int h2_link_open(struct h2_link *link, struct io_file *file, uint32_t stream_max,
                 const struct h2_link_owner *owner)
{
    struct loop *loop = loop_self();
    int rc;

    memset(link, 0, sizeof(*link));
    link->file = file;
    link->loop = loop;
    link->owner = owner;
    link->stream_max = stream_max;
    link->stream_guess = H2_LINK_STREAMS;
    link->tokens = LINK_TOKENS;
    link->tokens_ns = link->heard_ns = loop_now_ns(loop);
    list_init(&link->streams);
    list_init(&link->queue);
    rc = session_new(link);
    if (rc == 0)
        rc = session_greet(link);
    if (rc < 0) {
        nghttp2_session_del(link->session);
        return rc;
    }
    outq_init(&link->out, loop_bufs(loop), file, out_ended);
    link->out.op.send.together = true;
    link->recv.kind = IO_RECV;
    link->recv.file = file;
    link->recv.done = recv_done;
    deferred_init(&link->flush, run_flush);
    timer_init(&link->timer, timer_fired);
    loop_defer(loop, &link->flush);
    return 0;
}

uint32_t h2_link_limit(const struct h2_link *link)
{
    uint32_t theirs = nghttp2_session_get_remote_settings(link->session,
                                                          NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);

    if (!(link->flags & LINK_SETTLED) && theirs > link->stream_guess)
        theirs = link->stream_guess;
    return theirs < link->stream_max ? theirs : link->stream_max;
}

uint32_t h2_link_room(const struct h2_link *link)
{
    uint32_t limit;

    if (link->flags & (LINK_GOING | LINK_LOST | LINK_CLOSING))
        return 0;
    limit = h2_link_limit(link);
    return limit > link->stream_count ? limit - link->stream_count : 0;
}

bool h2_link_is_barred(const struct h2_link *link)
{
    if (link->flags & (LINK_GOING | LINK_LOST))
        return false;
    return !(link->flags & LINK_SETTLED) || h2_link_limit(link) == 0;
}

void h2_link_retire(struct h2_link *link)
{
    link->flags |= LINK_GOING;
}

/* What nothing will report the end of any more. */
static void op_forget(struct h2_link *link, struct io_op *op)
{
    if (!op->pending)
        return;
    io_cancel(link->loop, op);
    list_remove(&op->link);
    op->pending = false;
}

void h2_link_abort(struct h2_link *link)
{
    link->flags |= LINK_CLOSING | LINK_LOST;
    op_forget(link, &link->recv);
    op_forget(link, &link->out.op);
    link_end_if_done(link);
}

void h2_link_close(struct h2_link *link, void (*ended)(struct h2_link *link))
{
    link->ended = ended;
    link->flags |= LINK_CLOSING | LINK_GOING;
    if (!(link->flags & LINK_LOST) &&
        nghttp2_session_terminate_session(link->session, NGHTTP2_NO_ERROR) == 0 &&
        link_write(link) == 0)
        outq_flush(&link->out, link->loop);
    link->flags |= LINK_LOST;
    io_cancel(link->loop, &link->recv);
    outq_cancel(&link->out, link->loop, -ECANCELED);
    link_end_if_done(link);
}

/* ---- streams --------------------------------------------------------------------------------------- */

void h2_call_attach(struct h2_link *link, struct h2_call *stream)
{
    memset(stream, 0, sizeof(*stream));
    stream->link = link;
    stream->last_interim = &stream->interim;
    link->stream_count++;
    list_push(&link->streams, &stream->node);
}

void h2_call_begin(struct h2_call *stream)
{
    struct h2_link *link = stream->link;

    list_remove(&stream->node);
    list_push(&link->queue, &stream->node);
    loop_defer(link->loop, &link->flush);
}

void h2_call_resume(struct h2_call *stream)
{
    struct h2_link *link = stream->link;

    if (!(stream->flags & STREAM_OUT_IDLE))
        return;
    stream->flags &= ~(unsigned)STREAM_OUT_IDLE;
    if (nghttp2_session_resume_data(link->session, stream->id) == NGHTTP2_ERR_NOMEM)
        link_lose(link, -ENOMEM);
    loop_defer(link->loop, &link->flush);
}

/* The stream's window opens by what its task has used. */
static void stream_give_window(struct h2_call *stream, size_t bytes)
{
    struct h2_link *link = stream->link;

    if (link->flags & LINK_LOST || stream->flags & (STREAM_CLOSED | STREAM_END))
        return;
    if (nghttp2_session_consume_stream(link->session, stream->id, bytes) == NGHTTP2_ERR_NOMEM)
        link_lose(link, -ENOMEM);
    else if (nghttp2_session_want_write(link->session))
        loop_defer(link->loop, &link->flush);
}

static void drop_first(struct h2_call *stream)
{
    struct buf *gone = stream->first;

    stream->first = gone->next;
    if (!stream->first)
        stream->last = NULL;
    buf_unref(gone);
}

bool h2_call_take(struct h2_call *stream, weir_str *ret_data)
{
    struct buf *buf = stream->first;

    if (buf && buf->from == buf->to) { /* lent, and used up */
        drop_first(stream);
        buf = stream->first;
    }
    if (!buf)
        return false;
    *ret_data = weir_str_from(buf->data + buf->from, buf->to - buf->from);
    buf->from = buf->to;
    stream_give_window(stream, ret_data->len);
    return true;
}

void h2_call_leave(struct h2_call *stream)
{
    struct h2_link *link = stream->link;

    while (stream->first)
        drop_first(stream);
    buf_unref(stream->head);
    stream->head = NULL;
    if (!link)
        return;
    stream->link = NULL;
    list_remove(&stream->node);
    link->stream_count--;
    if (stream->flags & STREAM_SENT && !(stream->flags & STREAM_CLOSED) &&
        !(link->flags & LINK_LOST)) {
        nghttp2_session_set_stream_user_data(link->session, stream->id, NULL);
        stream_reset(link, stream->id,
                     stream->flags & STREAM_END ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
        loop_defer(link->loop, &link->flush);
    }
    if (link->stream_count == 0)
        link->owner->idle(link);
    else if (!(link->flags & LINK_GOING))
        link->owner->room(link);
}
