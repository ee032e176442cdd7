/* What nghttp2 tells of an HTTP/2 connection: header blocks, bodies, ends of streams.
 *
 * It is called from within nghttp2_session_mem_recv() and _mem_send(), on the loop's
 * stack. What is called from here may submit frames, and start handlers, but never sends
 * or receives, and frees nothing of the session: see H2_IN_LIBRARY. */
#include <errno.h>
#include <string.h>

#include <weir/log.h>

#include "http/h2_account.h"
#include "http/h2_conn.h"

#define SMALL_WINDOW_BYTES 64
/* What each entry of HPACK's table, named once, and Huffman's code can make of a block is
 * less; a bomb names the same entries again and again. */
#define EXPANSION_BYTES(block) (12288 + 2 * (block))

static struct h2_stream *stream_of(nghttp2_session *session, int32_t id)
{
    return id ? nghttp2_session_get_stream_user_data(session, id) : NULL;
}

static weir_str text_of(nghttp2_rcbuf *rcbuf)
{
    nghttp2_vec vec = nghttp2_rcbuf_get_buf(rcbuf);

    return weir_str_from((const char *)vec.base, vec.len);
}

static void charge(struct h2_conn *c, enum h2_points points, const char *rule)
{
    h2_meter_charge(&c->meter, points, rule, loop_now_ns(c->home->loop));
}

/* ---- header blocks --------------------------------------------------------------------- */

static bool is_request(const nghttp2_frame *frame)
{
    return frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
}

/* RFC 9113, section 5.1.2. A stream that was reset still counts while its handler runs. */
static int begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2_conn *c = user;
    int32_t id = frame->hd.stream_id;
    struct h2_stream *s = NULL;

    if (!is_request(frame))
        return 0;
    if (c->stream_count < H2_STREAMS_MAX)
        s = h2_stream_new(c, id);
    if (!s)
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM) < 0
                   ? NGHTTP2_ERR_CALLBACK_FAILURE
                   : 0;
    return nghttp2_session_set_stream_user_data(session, id, s) < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE
                                                                    : 0;
}

static int header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                  nghttp2_rcbuf *value, uint8_t flags, void *user)
{
    struct h2_stream *s = stream_of(session, frame->hd.stream_id);
    struct h2_conn *c = user;
    bool over;

    (void)flags;
    if (s && frame->headers.cat == NGHTTP2_HCAT_HEADERS)
        h2_stream_trailer(s, text_of(name), text_of(value));
    if (!s || !is_request(frame))
        return 0;
    over = s->fields.over;
    h2_fields_add(&s->fields, s->x->head, &s->x->arena, &c->home->opts->limits, text_of(name),
                  text_of(value));
    if (s->fields.over && !over) /* also of a block that turns out malformed */
        charge(c, H2_POINTS_HEADER_LIST, "too many header lists over the limits");
    return 0;
}

/* The library would pass over such a field; here its message is malformed (RFC 9113,
 * section 8.2.1). */
static int invalid_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                          nghttp2_rcbuf *value, uint8_t flags, void *user)
{
    (void)session, (void)frame, (void)name, (void)value, (void)flags, (void)user;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static void headers_complete(struct h2_conn *c, struct h2_stream *s, const nghttp2_frame *frame)
{
    bool ends = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

    if (!is_request(frame)) { /* trailers */
        if (ends)
            h2_stream_input_over(s);
        return;
    }
    if (!s->fields.over && s->fields.list_bytes > EXPANSION_BYTES(c->meter.block_bytes))
        charge(c, H2_POINTS_EXPANSION, "header blocks that expand too far");
    h2_stream_serve(s, ends);
}

/* ---- frames ------------------------------------------------------------------------------ */

static int frame_received(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2_stream *s = stream_of(session, frame->hd.stream_id);
    struct h2_conn *c = user;
    bool ends = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        if (s)
            headers_complete(c, s, frame);
        break;
    case NGHTTP2_DATA:
        if (frame->hd.length <= frame->data.padlen && !ends)
            charge(c, H2_POINTS_EMPTY_DATA, "too many empty DATA frames");
        if (s && ends)
            h2_stream_input_over(s);
        break;
    case NGHTTP2_WINDOW_UPDATE:
        if (frame->window_update.window_size_increment < SMALL_WINDOW_BYTES && !h2_crumb(c))
            charge(c, H2_POINTS_SMALL_WINDOW, "too many windows of a few bytes");
        break;
    default: break;
    }
    return 0;
}

static int data_received(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                         size_t len, void *user)
{
    struct h2_stream *s = stream_of(session, id);
    struct h2_conn *c = user;

    (void)flags;
    if (!s)
        return nghttp2_session_consume(session, id, len) < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
    return h2_stream_data(s, c->feeding, weir_str_from((const char *)data, len)) < 0
               ? NGHTTP2_ERR_CALLBACK_FAILURE
               : 0;
}

static int stream_closed(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct h2_stream *s = stream_of(session, id);

    (void)user;
    if (s)
        h2_stream_closed(s, code);
    return 0;
}

/* The library has ended the connection for a fault of the peer's: its reason stands in
 * the frame. */
static void goaway_sent(struct h2_conn *c, const nghttp2_goaway *goaway)
{
    struct h2_verdict verdict = { .code = goaway->error_code };
    char reason[96];
    size_t len = goaway->opaque_data_len < sizeof(reason) - 1 ? goaway->opaque_data_len
                                                              : sizeof(reason) - 1;

    if (goaway->error_code == NGHTTP2_NO_ERROR || c->flags & H2_TOLD)
        return;
    if (len)
        memcpy(reason, goaway->opaque_data, len);
    reason[len] = '\0';
    verdict.rule = len ? reason : nghttp2_http2_strerror(goaway->error_code);
    h2_end(c, &verdict);
}

/* What is left of the request is of no use. As over HTTP/1.1 some of it is still taken,
 * then the stream is reset (RFC 9113, section 8.1). */
static void end_sent(struct h2_conn *c, struct h2_stream *s)
{
    s->flags |= H2_ANSWERED;
    s->moved_ns = loop_now_ns(c->home->loop);
    s->moved_bytes = 0;
    if (!s->input_over)
        h2_wake_by(c, s->moved_ns + (int64_t)c->home->opts->linger_ms * 1000000);
}

static void reset_sent(nghttp2_session *session, struct h2_conn *c, int32_t id, uint32_t code)
{
    if (code != NGHTTP2_NO_ERROR)
        h2_meter_reset(&c->meter, loop_now_ns(c->home->loop));
    if (nghttp2_session_get_stream_remote_close(session, id) == 0) {
        c->let_be[c->let_be_next] = (uint32_t)id;
        c->let_be_next = (uint8_t)((c->let_be_next + 1) % H2_LET_BE);
    }
}

static int frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2_stream *s = stream_of(session, frame->hd.stream_id);
    struct h2_conn *c = user;

    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
        if (s && frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
            end_sent(c, s);
        break;
    case NGHTTP2_RST_STREAM:
        reset_sent(session, c, frame->hd.stream_id, frame->rst_stream.error_code);
        break;
    case NGHTTP2_GOAWAY: goaway_sent(c, &frame->goaway); break;
    default: break;
    }
    return 0;
}

/* ---- the session -------------------------------------------------------------------------- */

static void set_callbacks(nghttp2_session_callbacks *calls)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(calls, begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(calls, header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(calls, invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(calls, frame_received);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, data_received);
    nghttp2_session_callbacks_set_on_stream_close_callback(calls, stream_closed);
    nghttp2_session_callbacks_set_on_frame_send_callback(calls, frame_sent);
    nghttp2_session_callbacks_set_send_data_callback(calls, h2_send_output);
}

static int submit_settings(struct h2_conn *c)
{
    const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2_STREAMS_MAX },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, H2_LIST_BYTES },
        { NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
    };
    int rc = nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings,
                                     sizeof(settings) / sizeof(*settings));

    return rc < 0 ? rc
                  : nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0,
                                                          H2_CONNECTION_WINDOW);
}

/* The library counts, in newer versions, each read that brings a part of a CONTINUATION
 * frame's header, so that a slow client comes to its limit; here frames are counted. */
extern void nghttp2_option_set_max_continuations(nghttp2_option *option, size_t val)
    __attribute__((weak));

int h2_option_new(nghttp2_option **ret_option)
{
    int rc = nghttp2_option_new(ret_option);

    if (rc < 0)
        return -ENOMEM;
    nghttp2_option_set_no_auto_window_update(*ret_option, 1);
    nghttp2_option_set_no_closed_streams(*ret_option, 1);
    nghttp2_option_set_builtin_recv_extension_type(*ret_option, NGHTTP2_PRIORITY_UPDATE);
    if (nghttp2_option_set_max_continuations)
        nghttp2_option_set_max_continuations(*ret_option, SIZE_MAX);
    return 0;
}

int h2_session_new(struct h2_conn *c)
{
    nghttp2_session_callbacks *calls = NULL;
    nghttp2_option *option = NULL;
    int rc = nghttp2_session_callbacks_new(&calls);

    if (rc == 0)
        rc = h2_option_new(&option);
    if (rc == 0) {
        set_callbacks(calls);
        rc = nghttp2_session_server_new3(&c->session, calls, c, option,
                                         h2_account_mem(&c->home->h2_account));
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(calls);
    if (rc == 0 && submit_settings(c) < 0) {
        nghttp2_session_del(c->session);
        rc = NGHTTP2_ERR_NOMEM;
    }
    return rc < 0 ? -ENOMEM : 0;
}
