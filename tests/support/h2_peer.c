#include "support/h2_peer.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

#include <weir/time.h>

#include "support/in_task.h"

struct conn {
    struct h2_peer *peer;
    weir_stream *stream;
    nghttp2_session *session;
    bool close; /* after what is to be sent */
};

struct exchange {
    char path[64], method[16];
    char *body;      /* of the request */
    size_t body_len;
    const char *out; /* the answer's, or NULL: bytes */
    size_t left;
    bool trailers, hangs, resets, closes, answered;
};

static void put(nghttp2_nv *nv, const char *name, const char *value)
{
    *nv = (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                        strlen(value), 0 };
}

static ssize_t read_answer(nghttp2_session *session, int32_t id, uint8_t *to, size_t room,
                           uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct exchange *x = source->ptr;
    struct conn *conn = user;
    size_t n = x->left < room ? x->left : room;
    nghttp2_nv nv;

    if (n == 0 && x->hangs)
        return NGHTTP2_ERR_DEFERRED;
    if (n == 0 && x->closes) {
        conn->close = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (n == 0 && x->resets) {
        nghttp2_submit_rst_stream(session, 0, id, NGHTTP2_INTERNAL_ERROR);
        return NGHTTP2_ERR_DEFERRED;
    }
    if (x->out) {
        memcpy(to, x->out, n);
        x->out += n;
    } else {
        memset(to, 'b', n);
    }
    x->left -= n;
    if (x->left > 0 || x->hangs || x->closes || x->resets)
        return (ssize_t)n;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (x->trailers) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        put(&nv, "x-sum", "7");
        nghttp2_submit_trailer(session, id, &nv, 1);
    }
    return (ssize_t)n;
}

static void reply(struct conn *conn, int32_t id, struct exchange *x, const char *status,
                  size_t length)
{
    nghttp2_data_provider body = { .source.ptr = x, .read_callback = read_answer };
    char digits[24];
    nghttp2_nv nv[3];
    bool none = status[0] == '2' && status[1] == '0' && status[2] == '4';

    snprintf(digits, sizeof(digits), "%zu", length);
    put(&nv[0], ":status", status);
    put(&nv[1], "content-type", "text/plain");
    put(&nv[2], "content-length", digits);
    conn->peer->replies++;
    x->answered = true;
    nghttp2_submit_response(conn->session, id, nv,
                            none          ? 1
                            : x->trailers ? 2
                                          : 3,
                            none || !strcmp(x->method, "HEAD") ? NULL : &body);
}

static void reply_text(struct conn *conn, int32_t id, struct exchange *x, const char *text,
                       size_t length)
{
    x->out = text;
    x->left = strlen(text);
    reply(conn, id, x, "200", length ? length : x->left);
}

static void inform(struct conn *conn, int32_t id)
{
    nghttp2_nv nv[2];

    put(&nv[0], ":status", "103");
    put(&nv[1], "link", "</a.css>");
    for (int i = 0; i < 2; i++)
        nghttp2_submit_headers(conn->session, 0, id, NULL, nv, 2, NULL);
}

static void allow(struct conn *conn, uint32_t streams)
{
    nghttp2_settings_entry entry = { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams };

    nghttp2_submit_settings(conn->session, 0, &entry, 1);
}

static bool path_is(const struct exchange *x, const char *path)
{
    return strcmp(x->path, path) == 0;
}

/* Those that end in something else than an answer. */
static bool answer_badly(struct conn *conn, int32_t id, struct exchange *x)
{
    struct h2_peer *peer = conn->peer;

    if (path_is(x, "/hang"))
        return true;
    if (path_is(x, "/refuse") || (path_is(x, "/refuse-once") && peer->seen++ == 0)) {
        nghttp2_submit_rst_stream(conn->session, 0, id, NGHTTP2_REFUSED_STREAM);
        return true;
    }
    if (path_is(x, "/reset")) {
        nghttp2_submit_rst_stream(conn->session, 0, id, NGHTTP2_INTERNAL_ERROR);
        return true;
    }
    if (path_is(x, "/goaway") && peer->seen++ == 0) {
        nghttp2_submit_goaway(conn->session, 0, id - 2 > 0 ? id - 2 : 0, NGHTTP2_NO_ERROR, NULL, 0);
        return true;
    }
    if (path_is(x, "/close") && peer->seen++ == 0) {
        conn->close = true;
        return true;
    }
    return false;
}

static void answer(struct conn *conn, int32_t id, struct exchange *x)
{
    if (x->answered || answer_badly(conn, id, x))
        return;
    if (!strncmp(x->path, "/bytes?", 7)) {
        x->left = strtoul(x->path + 7, NULL, 10);
        reply(conn, id, x, "200", x->left);
    } else if (path_is(x, "/echo")) {
        x->out = x->body ? x->body : "";
        x->left = x->body_len;
        reply(conn, id, x, "200", x->left);
    } else if (path_is(x, "/empty")) {
        reply(conn, id, x, "204", 0);
    } else if (path_is(x, "/half") || path_is(x, "/reset-half") || path_is(x, "/close-half")) {
        x->hangs = path_is(x, "/half");
        x->resets = path_is(x, "/reset-half");
        x->closes = path_is(x, "/close-half");
        reply_text(conn, id, x, "hello", 10);
    } else {
        x->trailers = path_is(x, "/trailers");
        if (path_is(x, "/inform"))
            inform(conn, id);
        if (path_is(x, "/goaway-after"))
            nghttp2_submit_goaway(conn->session, 0, id, NGHTTP2_NO_ERROR, NULL, 0);
        if (path_is(x, "/raise"))
            allow(conn, 100);
        reply_text(conn, id, x, "hello", 0);
    }
}

static int on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct exchange *x = calloc(1, sizeof(*x)); /* lint: allow(malloc): the peer's */

    (void)user;
    CHECK(x);
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, x);
    return 0;
}

static int on_field(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                    size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                    void *user)
{
    struct exchange *x = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    (void)flags, (void)user;
    if (name_len == 5 && !memcmp(name, ":path", 5))
        snprintf(x->path, sizeof(x->path), "%.*s", (int)value_len, (const char *)value);
    if (name_len == 7 && !memcmp(name, ":method", 7))
        snprintf(x->method, sizeof(x->method), "%.*s", (int)value_len, (const char *)value);
    return 0;
}

static int on_bytes(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                    size_t len, void *user)
{
    struct exchange *x = nghttp2_session_get_stream_user_data(session, id);

    (void)flags, (void)user;
    x->body = realloc(x->body, x->body_len + len); /* lint: allow(malloc): the peer's */
    CHECK(x->body || len == 0);
    memcpy(x->body + x->body_len, data, len);
    x->body_len += len;
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct conn *conn = user;
    struct exchange *x = frame->hd.stream_id
                             ? nghttp2_session_get_stream_user_data(session, frame->hd.stream_id)
                             : NULL;

    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        conn->peer->requests++;
        if (path_is(x, "/early"))
            answer(conn, frame->hd.stream_id, x);
        /* fall through */
    case NGHTTP2_DATA:
        if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
            answer(conn, frame->hd.stream_id, x);
        break;
    case NGHTTP2_RST_STREAM:
        conn->peer->rst_code = frame->rst_stream.error_code;
        conn->peer->resets++;
        break;
    case NGHTTP2_GOAWAY: conn->peer->goaway_code = frame->goaway.error_code; break;
    default: break;
    }
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct exchange *x = nghttp2_session_get_stream_user_data(session, id);

    (void)code, (void)user;
    if (x)
        free(x->body); /* lint: allow(malloc): the peer's */
    free(x); /* lint: allow(malloc): the peer's */
    return 0;
}

static int say(struct conn *conn)
{
    for (;;) {
        const uint8_t *bytes;
        ssize_t n = nghttp2_session_mem_send(conn->session, &bytes);

        if (n <= 0)
            return (int)n;
        n = weir_stream_write(conn->stream, weir_str_from((const char *)bytes, (size_t)n));
        if (n < 0)
            return (int)n;
    }
}

static void greet(struct conn *conn)
{
    const struct h2_peer *peer = conn->peer;
    nghttp2_settings_entry entries[2];
    size_t count = 0;

    if (peer->max_streams || peer->bars)
        entries[count++] = (nghttp2_settings_entry){ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
                                                     peer->bars ? 0 : peer->max_streams };
    if (peer->window || peer->late_window_ms)
        entries[count++] = (nghttp2_settings_entry){ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
                                                     peer->late_window_ms ? 0 : peer->window };
    nghttp2_submit_settings(conn->session, 0, entries, count);
}

static nghttp2_session *session_new(struct conn *conn)
{
    nghttp2_session_callbacks *cb;
    nghttp2_session *session;

    CHECK(nghttp2_session_callbacks_new(&cb) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_field);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_bytes);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
    CHECK(nghttp2_session_server_new(&session, cb, conn) == 0);
    nghttp2_session_callbacks_del(cb);
    return session;
}

/* What changes after a while, in a task of its own. */
static int change_later(void *arg)
{
    struct conn *conn = arg;
    const struct h2_peer *peer = conn->peer;
    nghttp2_settings_entry entry = { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, peer->window };
    int rc = weir_sleep_ms(peer->raise_after_ms ? peer->raise_after_ms : peer->late_window_ms);

    if (rc < 0)
        return rc;
    if (peer->raise_after_ms)
        allow(conn, 100);
    else
        nghttp2_submit_settings(conn->session, 0, &entry, 1);
    return say(conn);
}

static int serve_session(struct conn *conn)
{
    ssize_t n = say(conn);

    while (n >= 0 && !conn->close) {
        weir_str data;

        n = weir_stream_read(conn->stream, &data);
        if (n <= 0)
            break;
        n = nghttp2_session_mem_recv(conn->session, (const uint8_t *)data.ptr, data.len);
        if (n >= 0)
            n = say(conn);
    }
    return 0;
}

static int serve_conn(void *arg)
{
    struct conn conn = *(struct conn *)arg;

    free(arg); /* lint: allow(malloc): the peer's */
    conn.session = session_new(&conn);
    greet(&conn);
    WEIR_SCOPE(s) {
        if (conn.peer->raise_after_ms || conn.peer->late_window_ms)
            weir_go(s, change_later, &conn, .optional = true);
        serve_session(&conn);
        weir_cancel(s);
        CHECK(weir_join(s) <= 0);
    }
    for (int32_t id = 1; id < 20000; id += 2) /* what is open still */
        if (nghttp2_session_get_stream_user_data(conn.session, id))
            on_close(conn.session, id, 0, NULL);
    nghttp2_session_del(conn.session);
    weir_stream_close(conn.stream);
    conn.peer->open--;
    return 0;
}

/* ---- by hand ------------------------------------------------------------------------- */

size_t h2_frame(char *to, size_t at, uint8_t type, uint8_t flags, uint32_t id, const void *payload,
                size_t len)
{
    const char head[9] = { (char)(len >> 16), (char)(len >> 8), (char)len,
                           (char)type,        (char)flags,      (char)(id >> 24),
                           (char)(id >> 16),  (char)(id >> 8),  (char)id };

    memcpy(to + at, head, sizeof(head));
    if (len > 0)
        memcpy(to + at + sizeof(head), payload, len);
    return at + sizeof(head) + len;
}

struct frames {
    char bytes[1 << 16];
    size_t len;
    bool greeted, asked;
};

static uint32_t number_at(const char *p)
{
    const unsigned char *b = (const unsigned char *)p;

    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* What the client says, as far as the tests look. */
static void take_frames(struct h2_peer *peer, struct frames *in)
{
    size_t at = 0;

    if (!in->greeted && in->len >= 24) {
        in->greeted = true;
        at = 24;
    }
    while (in->greeted && in->len - at >= 9) {
        const char *frame = in->bytes + at;
        size_t len = number_at(frame) >> 8;

        if (in->len - at < 9 + len)
            break;
        if (frame[3] == NGHTTP2_HEADERS)
            in->asked = true;
        if (frame[3] == NGHTTP2_RST_STREAM)
            peer->rst_code = number_at(frame + 9);
        if (frame[3] == NGHTTP2_GOAWAY)
            peer->goaway_code = number_at(frame + 13);
        at += 9 + len;
    }
    memmove(in->bytes, in->bytes + at, in->len - at);
    in->len -= at;
}

static int serve_raw(void *arg)
{
    struct conn conn = *(struct conn *)arg;
    struct h2_peer *peer = conn.peer;
    struct frames *in = calloc(1, sizeof(*in)); /* lint: allow(malloc): the peer's */
    bool answered = false;
    weir_str data;

    free(arg); /* lint: allow(malloc): the peer's */
    CHECK(in);
    while (weir_stream_read(conn.stream, &data) > 0) {
        CHECK(in->len + data.len <= sizeof(in->bytes));
        memcpy(in->bytes + in->len, data.ptr, data.len);
        in->len += data.len;
        take_frames(peer, in);
        if (!in->asked || answered)
            continue;
        answered = true;
        for (uint32_t i = 0; i <= peer->raw_repeat; i++)
            if (weir_stream_write(conn.stream, weir_str_from(peer->raw, peer->raw_len)) < 0)
                break;
        if (peer->raw_closes)
            break;
    }
    free(in); /* lint: allow(malloc): the peer's */
    weir_stream_close(conn.stream);
    peer->open--;
    return 0;
}

/* ---- the whole ------------------------------------------------------------------------- */

int h2_peer_open(struct h2_peer *peer)
{
    int rc = weir_listen("127.0.0.1:0", &peer->listener);

    peer->rst_code = peer->goaway_code = UINT32_MAX;
    if (rc == 0)
        peer->port = weir_listener_port(peer->listener);
    return rc;
}

int h2_peer_run(void *arg)
{
    struct h2_peer *peer = arg;
    int rc = 0;

    WEIR_SCOPE(s) {
        for (;;) {
            struct conn *conn;
            weir_stream *stream;

            rc = weir_accept(peer->listener, &stream);
            if (rc == -ENOMEM || rc == WEIR_EBUDGET) /* a test's doing */
                continue;
            if (rc <= 0)
                break;
            conn = calloc(1, sizeof(*conn)); /* lint: allow(malloc): the peer's */
            CHECK(conn);
            conn->peer = peer;
            conn->stream = stream;
            peer->connections++;
            peer->open++;
            weir_go(s, peer->raw ? serve_raw : serve_conn, conn, .optional = true);
        }
        weir_cancel(s);
        CHECK(weir_join(s) <= 0);
    }
    return rc;
}

void h2_peer_close(struct h2_peer *peer)
{
    weir_listener_close(peer->listener);
}
