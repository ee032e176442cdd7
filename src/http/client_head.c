/* The head of a request (RFC 9112, section 3; RFC 9110, section 7).
 *
 * What frames the message and says where it goes is written here, from the parsed
 * URL and the body's length, and nowhere else: a caller's field of such a name is
 * refused, whatever its value. The writer refuses CR, LF and NUL in the rest. */
#include "http/client.h"
#include "http/h1_write.h"

/* Fields of the caller's that would frame, route or switch, or that belong to one
 * connection (RFC 9110, section 7.6.1). */
static bool field_is_ours(enum http_field_id id)
{
    switch (id) {
    case HTTP_HOST:
    case HTTP_CONTENT_LENGTH:
    case HTTP_TRANSFER_ENCODING:
    case HTTP_CONNECTION:
    case HTTP_KEEP_ALIVE:
    case HTTP_PROXY_CONNECTION:
    case HTTP_EXPECT:
    case HTTP_UPGRADE:
    case HTTP_TE:
    case HTTP_TRAILER: return true;
    default: return false;
    }
}

/* The fields that a request carries unless the caller's own do. */
enum {
    HAS_REQUEST_ID = 1,
    HAS_TRACE = 2,
    HAS_DEADLINE = 4,
    HAS_AGENT = 8,
    HAS_TYPE = 16,
    HAS_ACCEPT = 32
};

static unsigned field_mark(enum http_field_id id, weir_str name)
{
    switch (id) {
    case HTTP_X_REQUEST_ID: return HAS_REQUEST_ID;
    case HTTP_TRACEPARENT: return HAS_TRACE;
    case HTTP_USER_AGENT: return HAS_AGENT;
    case HTTP_CONTENT_TYPE: return HAS_TYPE;
    case HTTP_ACCEPT: return HAS_ACCEPT;
    default: return weir_str_eq_nocase(name, CLIENT_DEADLINE_FIELD) ? HAS_DEADLINE : 0;
    }
}

static int write_fields(struct h1_out *out, const weir_http_field *fields, unsigned *ret_has)
{
    unsigned has = 0;

    for (const weir_http_field *f = fields; f && f->name.len > 0; f++) {
        enum http_field_id id;

        if (!http_token_ok(f->name) || !http_value_ok(f->value))
            return weir_fail(-EINVAL, "the field \"%.*s\" holds what may not be sent",
                             http_token_ok(f->name) ? weir_str_len_int(f->name) : 0, f->name.ptr);
        id = http_field_find(f->name);
        if (field_is_ours(id))
            return weir_fail(-EINVAL, "the field \"%.*s\" is the client's to write",
                             WEIR_ARG(f->name));
        h1_write_field(out, f->name, f->value);
        has |= field_mark(id, f->name);
    }
    *ret_has = has;
    return 0;
}

static void hex64(char text[static 16], uint64_t n)
{
    for (int i = 15; i >= 0; i--, n >>= 4)
        text[i] = "0123456789abcdef"[n & 15];
}

/* W3C Trace Context, section 3.2: the same trace, and a span for this call. */
static void write_trace(struct h1_out *out, const weir_context *context)
{
    uint64_t span = loop_random(loop_self());
    char text[] = "00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-00";

    if (context->trace_id.len != 32)
        return;
    memcpy(text + 3, context->trace_id.ptr, 32);
    hex64(text + 36, span ? span : 1);
    text[54] = context->sampled ? '1' : '0';
    h1_write_known(out, HTTP_TRACEPARENT, weir_str_from(text, sizeof(text) - 1));
}

static void write_deadline(struct h1_out *out)
{
    int64_t left_ms, at_ns = weir_deadline_ns();
    char text[20];
    size_t at = sizeof(text);

    if (at_ns == WEIR_NEVER_NS)
        return;
    left_ms = (at_ns - weir_now().ns) / 1000000;
    left_ms = left_ms > 0 ? left_ms : 1;
    for (; left_ms > 0; left_ms /= 10)
        text[--at] = (char)('0' + left_ms % 10);
    h1_write_field(out, CLIENT_DEADLINE_FIELD, weir_str_from(text + at, sizeof(text) - at));
}

static void write_context(struct h1_out *out, unsigned has)
{
    const weir_context *context = weir_context_get();

    if (!(has & HAS_REQUEST_ID) && context->correlation_id.len > 0)
        h1_write_known(out, HTTP_X_REQUEST_ID, context->correlation_id);
    if (!(has & HAS_TRACE))
        write_trace(out, context);
    if (!(has & HAS_DEADLINE))
        write_deadline(out);
}

/* RFC 9110, section 8.6: a method that means to send content says so even when
 * there is none. */
static bool method_has_body(enum http_method method)
{
    return method == HTTP_POST || method == HTTP_PUT || method == HTTP_PATCH;
}

static void write_framing(struct h1_out *out, const struct weir_request *call, unsigned has)
{
    const weir_fetch_opts *opts = &call->opts;

    if (opts->body_type && !(has & HAS_TYPE))
        h1_write_known(out, HTTP_CONTENT_TYPE, weir_str_c(opts->body_type));
    if (opts->stream_bytes == WEIR_CHUNKED)
        h1_write_known(out, HTTP_TRANSFER_ENCODING, WEIR_S("chunked"));
    else if (opts->stream_bytes > 0)
        h1_write_number(out, HTTP_CONTENT_LENGTH, opts->stream_bytes);
    else if (opts->body.len > 0 || method_has_body(call->method))
        h1_write_number(out, HTTP_CONTENT_LENGTH, opts->body.len);
}

static int write_all(const struct weir_request *call, struct h1_out *out)
{
    weir_str target = call->url.target;
    unsigned has = 0;
    int rc;

    if (call->url.slash)
        target = weir_format("/%.*s", WEIR_ARG(target));
    if (!target.ptr)
        return -ENOMEM;
    h1_write_request_line(out, call->method_text, target);
    h1_write_known(out, HTTP_HOST, call->url.authority);
    rc = write_fields(out, call->opts.headers, &has);
    if (rc < 0)
        return rc;
    if (!(has & HAS_AGENT))
        h1_write_known(out, HTTP_USER_AGENT, weir_str_c(call->client->user_agent));
    if (call->flags & CALL_WANTS_JSON && !(has & HAS_ACCEPT))
        h1_write_known(out, HTTP_ACCEPT, WEIR_S("application/json"));
    write_context(out, has);
    write_framing(out, call, has);
    rc = h1_out_end(out);
    if (rc == -ENOSPC)
        return weir_fail(WEIR_EHEADSIZE, "the request's head is larger than %zu bytes", out->room);
    return rc < 0 ? weir_fail(rc, "the request's head holds what may not be sent") : 0;
}

int client_head_write(const struct weir_request *call, struct buf **ret_buf)
{
    struct buf *buf = buf_new(loop_bufs(loop_self()));
    struct h1_out out;
    int rc;

    if (!buf)
        return WEIR_EBUDGET;
    h1_out_init(&out, buf->data, BUF_ROOM);
    rc = write_all(call, &out);
    if (rc < 0) {
        buf_unref(buf);
        return rc;
    }
    buf->to = (uint32_t)out.len;
    *ret_buf = buf;
    return 0;
}
