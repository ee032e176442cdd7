/* One call over HTTP/2: a stream on a link that it may share.
 *
 * The link does the work (h2_link.c); here the call's task says what is to be sent, and
 * waits for what has come. A call that ends early resets its stream, and the link serves
 * on. */
#include "guard/pool_share.h"
#include "http/client_links.h"

struct stream_wait {
    struct wait wait;
    struct wait **place;
};

static void stream_abandon(struct wait *wait, int code)
{
    *container_of(wait, struct stream_wait, wait)->place = NULL;
    wait_wake(wait, code);
}

/* Wait until something about the stream has changed. */
static int stream_park(struct h2_call *stream, struct wait **place, const char *what)
{
    struct stream_wait waiting = {
        .wait = { .abandon = stream_abandon, .what = what, .object = stream }, .place = place
    };
    int rc = rt_check();

    if (rc < 0)
        return rc;
    *place = &waiting.wait;
    return rt_park(&waiting.wait);
}

static const char *code_name(uint32_t code)
{
    return nghttp2_http2_strerror(code);
}

/* Why there will be no (more) answer. */
static int stream_failure(struct weir_request *call)
{
    const struct h2_call *stream = &call->h2;
    const struct h2_link *link = stream->link;

    call->flags |= CALL_FAILED;
    if (stream->why && !(link->flags & LINK_LOST))
        return weir_fail(stream->rc, "%.*s %.*s: the answer breaks a rule: %s",
                         WEIR_ARG(call->method_text), WEIR_ARG(url_shown(call->url_text)),
                         stream->why);
    if (link->flags & LINK_LOST && link->why)
        return weir_fail(stream->rc, "%.*s %.*s: the connection was ended: %s",
                         WEIR_ARG(call->method_text), WEIR_ARG(url_shown(call->url_text)),
                         link->why);
    if (link->flags & LINK_LOST)
        return client_call_fail(call, stream->rc,
                                stream->flags & STREAM_GOT_ANY
                                    ? "the connection ended in the middle of the answer"
                                    : "the connection ended without an answer");
    if (stream->rc == -ECONNRESET)
        return weir_fail(stream->rc, "%.*s %.*s: the server reset the stream: %s",
                         WEIR_ARG(call->method_text), WEIR_ARG(url_shown(call->url_text)),
                         code_name(stream->reset_code));
    return client_call_fail(call, stream->rc, "the answer can't be received");
}

/* ---- sending --------------------------------------------------------------------------- */

static int h2_connect(struct weir_request *call)
{
    int rc = pool_acquire_permit(call->origin->pool, &call->lease);

    memset(&call->h2, 0, sizeof(call->h2));
    return rc < 0 ? client_call_wrap(call, rc, "waiting for a connection") : 0;
}

static void stream_prepare(struct weir_request *call)
{
    struct h2_call *stream = &call->h2;

    stream->arena = rt_arena();
    stream->head_only = call->method == HTTP_HEAD;
    stream->wants_interim = call->opts.on_inform;
    if (call->opts.body.len > 0) {
        stream->out = call->opts.body;
        stream->flags |= STREAM_OUT_LAST;
    } else if (!call->opts.stream_bytes) {
        stream->flags |= STREAM_NO_BODY;
    }
}

static int h2_send(struct weir_request *call)
{
    struct h2_call *stream = &call->h2;
    int rc = client_links_take(call);

    if (rc < 0)
        return rc;
    if (call->conn) { /* found out by ALPN */
        memset(&call->h1, 0, sizeof(call->h1));
        call->wire = &client_h1_wire;
        return call->wire->send(call);
    }
    stream_prepare(call);
    rc = client_head_write(call, &stream->head);
    if (rc < 0)
        return client_call_wrap(call, rc, "the request can't be written");
    h2_call_begin(stream);
    return 0;
}

/* A stream in the place of one that failed. */
static int h2_again(struct weir_request *call)
{
    h2_call_leave(&call->h2);
    call->flags &= ~(unsigned)(CALL_REUSED | CALL_SENT_ANY | CALL_FAILED);
    return 0;
}

/* Wait until the link has taken all of out. */
static int stream_drain(struct weir_request *call)
{
    struct h2_call *stream = &call->h2;
    int rc = 0;

    h2_call_resume(stream);
    while (rc == 0 && stream->out.len > 0) {
        if (stream->rc || stream->flags & (STREAM_CLOSED | STREAM_END))
            rc = -EPIPE;
        else
            rc = stream_park(stream, &stream->writer, "send");
    }
    if (rc < 0 && stream->out.len > 0) {
        stream->out = weir_str_from(NULL, 0); /* the caller's again */
        call->flags |= CALL_FAILED;
        return rc;
    }
    return 0;
}

static int h2_write(struct weir_request *call, weir_str data)
{
    struct h2_call *stream = &call->h2;

    if (stream->rc || stream->flags & (STREAM_CLOSED | STREAM_END))
        return -EPIPE;
    stream->out = data;
    call->flags |= CALL_SENT_ANY;
    if (call->opts.stream_bytes != WEIR_CHUNKED && data.len == call->upload_left)
        stream->flags |= STREAM_OUT_LAST;
    return stream_drain(call);
}

static int h2_finish(struct weir_request *call)
{
    struct h2_call *stream = &call->h2;

    stream->flags |= STREAM_OUT_LAST;
    h2_call_resume(stream);
    return 0;
}

/* ---- receiving ----------------------------------------------------------------------------- */

static void tell_interim(struct weir_request *call)
{
    struct h2_call *stream = &call->h2;

    while (stream->interim) {
        struct h2_interim *interim = stream->interim;

        stream->interim = interim->next;
        if (!stream->interim)
            stream->last_interim = &stream->interim;
        call->opts.on_inform(call->opts.inform_arg, &interim->response);
    }
}

/* The answer is complete, and all of its body was taken. */
static bool answer_is_over(struct weir_request *call)
{
    const struct h2_call *stream = &call->h2;

    if (!(stream->flags & STREAM_END) || stream->first)
        return false;
    call->flags |= CALL_BODY_DONE;
    call->trailers = stream->response.trailers;
    call->trailer_count = stream->response.trailer_count;
    return true;
}

static int h2_head(struct weir_request *call, weir_response *ret_response)
{
    struct h2_call *stream = &call->h2;

    for (;;) {
        int rc;

        tell_interim(call);
        if (stream->flags & STREAM_HEAD)
            break;
        if (stream->rc)
            return stream_failure(call);
        rc = stream_park(stream, &stream->reader, "receive");
        if (rc < 0)
            return client_call_wrap(call, rc, "waiting for the answer");
    }
    *ret_response = stream->response;
    ret_response->trailers = NULL;
    ret_response->trailer_count = 0;
    call->flags |= CALL_HAS_HEAD;
    answer_is_over(call);
    return 0;
}

static int check_size(struct weir_request *call, uint64_t bytes)
{
    uint64_t max = call->opts.max_body_bytes;

    if (!max || bytes <= max)
        return 0;
    call->flags |= CALL_FAILED;
    return weir_fail(WEIR_EBODYSIZE, "%.*s %.*s: the answer's body is larger than %llu bytes",
                     WEIR_ARG(call->method_text), WEIR_ARG(url_shown(call->url_text)),
                     (unsigned long long)max);
}

static int h2_body(struct weir_request *call, weir_str *ret_data)
{
    struct h2_call *stream = &call->h2;
    int rc = 0;

    if (stream->response.content_length > 0 && !stream->head_only)
        rc = check_size(call, (uint64_t)stream->response.content_length);
    for (;;) {
        if (rc == 0)
            rc = check_size(call, stream->body_bytes);
        if (rc < 0)
            return rc;
        if (h2_call_take(stream, ret_data))
            return 1;
        if (answer_is_over(call))
            return 0;
        if (stream->rc)
            return stream_failure(call);
        rc = stream_park(stream, &stream->reader, "receive");
        if (rc < 0)
            return client_call_wrap(call, rc, "reading the answer's body");
    }
}

/* ---- the end ------------------------------------------------------------------------------- */

/* RFC 9113, section 8.7; RFC 9110, section 9.2.2. */
static bool h2_may_repeat(const struct weir_request *call, int rc)
{
    const struct h2_call *stream = &call->h2;

    if (!stream->link || !stream->rc || call->flags & CALL_STREAMED)
        return false;
    if (stream->flags & STREAM_REFUSED)
        return true;
    return (client_is_lost(rc) || rc == WEIR_ETRUNCATED || rc == WEIR_EPEERTIMEOUT) &&
           stream->link->flags & LINK_LOST && call->flags & CALL_REUSED &&
           !(stream->flags & STREAM_GOT_ANY) && http_method_idempotent(call->method);
}

static void h2_leave(struct weir_request *call)
{
    h2_call_leave(&call->h2);
    pool_release_permit(&call->lease);
}

const struct client_wire client_h2_wire = {
    .connect = h2_connect,
    .send = h2_send,
    .again = h2_again,
    .write = h2_write,
    .finish = h2_finish,
    .head = h2_head,
    .body = h2_body,
    .may_repeat = h2_may_repeat,
    .leave = h2_leave,
};
