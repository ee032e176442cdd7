/* The server over HTTP/2, with requests as they should be: many at once, bodies both ways
 * within windows, heads in pieces, and the ends of streams and connections. */
#include "h2_server_peer.h"

#include <stdatomic.h>

#include <weir/exchange.h>
#include <weir/scope.h>

#define GATE_MS 5000

static _Atomic int gate;    /* handlers wait until it is not 0 */
static _Atomic int waiting; /* how many do */
static _Atomic int ended;   /* … and have ended, by what */
static _Atomic int end_rc;

static int hello(weir_exchange *x)
{
    return weir_reply_text(x, 200, "Hello, World!");
}

static int yielding(weir_exchange *x)
{
    int rc = weir_yield();

    return rc < 0 ? rc : weir_reply(x, 200, "text/plain", weir_query(x));
}

static int echo(weir_exchange *x)
{
    weir_str body;
    int rc = weir_body_all(x, &body);

    return rc < 0 ? rc : weir_reply(x, 200, "text/plain", body);
}

static int cookie(weir_exchange *x)
{
    weir_str value = weir_header(x, "Cookie");

    return weir_reply(x, 200, "text/plain", value.ptr ? value : WEIR_S("none"));
}

static int authority(weir_exchange *x)
{
    weir_str host = weir_header(x, "Host");

    if (!weir_str_eq(host, weir_authority(x)))
        return weir_reply_text(x, 500, "they differ");
    return weir_reply(x, 200, "text/plain", host);
}

static int nothing(weir_exchange *x)
{
    return weir_reply_status(x, 204);
}

/* Pieces of all sizes: 3,000,000 bytes in all. */
#define PIECES_BYTES 3000000
static int pieces(weir_exchange *x)
{
    static char bytes[100000];
    size_t left = PIECES_BYTES, n = 1;
    int rc = weir_reply_begin(x, 200, "text/plain", WEIR_UNKNOWN_LENGTH);

    memset(bytes, 'p', sizeof(bytes));
    while (left > 0 && rc == 0) {
        size_t now = n < left ? n : left;

        rc = weir_write(x, weir_str_from(bytes, now));
        left -= now;
        n = n * 3 + 1 < sizeof(bytes) ? n * 3 + 1 : 1;
    }
    if (rc == 0)
        rc = weir_flush(x);
    return rc;
}

static int gated(weir_exchange *x)
{
    int rc = 0;

    atomic_fetch_add(&waiting, 1);
    while (rc == 0 && atomic_load(&gate) == 0)
        rc = weir_sleep_ms(2);
    atomic_store(&end_rc, rc < 0 && weir_cancel_reason(NULL) == WEIR_REASON_GONE ? 1 : rc);
    atomic_fetch_add(&ended, 1);
    return rc < 0 ? rc : weir_reply_text(x, 200, "at last");
}

static int gated_body(weir_exchange *x)
{
    int rc = 0;
    weir_str body;

    atomic_fetch_add(&waiting, 1);
    while (rc == 0 && atomic_load(&gate) == 0)
        rc = weir_sleep_ms(2);
    if (rc == 0)
        rc = weir_body_all(x, &body);
    return rc < 0 ? rc : weir_reply_text(x, 200, "read");
}

static int cut_short(weir_exchange *x)
{
    int rc = weir_reply_begin(x, 200, "text/plain", 100);

    if (rc == 0)
        rc = weir_write(x, WEIR_S("ten bytes."));
    return rc < 0 ? rc : -EIO;
}

static const struct served_route routes[] = {
    { .path = "/", .handler = hello },
    { .path = "/yield", .handler = yielding },
    { .path = "/echo", .handler = echo },
    { .path = "/cookie", .handler = cookie },
    { .path = "/host", .handler = authority },
    { .path = "/nothing", .handler = nothing },
    { .path = "/pieces", .handler = pieces },
    { .path = "/gated", .handler = gated },
    { .path = "/body", .handler = gated_body },
    { .path = "/cut", .handler = cut_short },
    { .path = "/finish", .handler = gated, .gone = HTTP_GONE_FINISH },
    { 0 }
};

static void run(int (*client)(struct served *s), struct served *s)
{
    atomic_store(&gate, 0);
    atomic_store(&waiting, 0);
    atomic_store(&ended, 0);
    s->routes = routes;
    s->client = client;
    served_run(s);
}

static bool one_waits(struct served *s)
{
    (void)s;
    return atomic_load(&waiting) > 0;
}

static bool one_has_ended(struct served *s)
{
    (void)s;
    return atomic_load(&ended) > 0;
}

/* ---- answers ------------------------------------------------------------------------- */

static int hello_client(struct served *s)
{
    struct h2_peer peer;
    struct strbuf out = STRBUF_INIT;

    CHECK(s, h2_open(s, &peer, "", 0) == 0);
    for (uint32_t id = 1; id < 40; id += 2) {
        char body[64] = "";
        struct h2_answer a = { .body = body, .room = sizeof(body) };

        h2_add_request(&out, id, true, "GET", "/", NULL);
        CHECK(s, h2_say(&peer, &out) == 0);
        CHECK(s, h2_answer(&peer, id, &a, true) == 0);
        CHECK(s, a.status == 200 && a.ended && strcmp(body, "Hello, World!") == 0);
        CHECK(s, strstr(a.fields, "date: ") && strstr(a.fields, "content-length: 13\n"));
        CHECK(s, strstr(a.fields, "content-type: text/plain; charset=utf-8\n"));
    }
    CHECK(s, h2_get(&peer, 41, "/none") == 404);
    CHECK(s, h2_get(&peer, 43, "/nothing") == 204);
    h2_close(&peer);
    return 0;
}

static void says_hello(void **state)
{
    struct served s = { 0 };

    (void)state;
    run(hello_client, &s);
    assert_int_equal(s.stats.accepted, 1);
    assert_int_equal(s.stats.requests, 22);
    assert_int_equal(s.stats.answered[2], 21);
    assert_int_equal(s.stats.answered[4], 1);
    assert_int_equal(served_log_count(&s, "\n"), 0);
    served_done(&s);
}

static int head_client(struct served *s)
{
    struct h2_peer peer;
    struct strbuf out = STRBUF_INIT;
    struct h2_answer a = { 0 };

    CHECK(s, h2_open(s, &peer, "", 0) == 0);
    h2_add_request(&out, 1, true, "HEAD", "/", NULL);
    CHECK(s, h2_say(&peer, &out) == 0 && h2_answer(&peer, 1, &a, true) == 0);
    CHECK(s, a.status == 200 && a.body_len == 0 && strstr(a.fields, "content-length: 13\n"));
    h2_close(&peer);
    return 0;
}

static void head_has_no_body(void **state)
{
    struct served s = { 0 };

    (void)state;
    run(head_client, &s);
    served_done(&s);
}

#define MANY 100

static int many_client(struct served *s)
{
    struct h2_peer peer;
    struct strbuf out = STRBUF_INIT;
    char path[32];
    int seen = 0;
    struct h2_frame f;

    CHECK(s, h2_open(s, &peer, "", 0) == 0);
    for (uint32_t round = 0; round < 5; round++) {
        for (uint32_t i = 0; i < MANY; i++) {
            snprintf(path, sizeof(path), "/yield?%u", i);
            h2_add_request(&out, 2 * (round * MANY + i) + 1, true, "GET", path, NULL);
        }
        CHECK(s, h2_say(&peer, &out) == 0);
        for (seen = 0; seen < MANY;) {
            CHECK(s, h2_next(&peer, &f) == 0);
            CHECK(s, f.type != NGHTTP2_RST_STREAM && f.type != NGHTTP2_GOAWAY);
            seen += f.type == NGHTTP2_DATA && f.flags & NGHTTP2_FLAG_END_STREAM;
        }
    }
    h2_close(&peer);
    return 0;
}

static void many_at_once(void **state)
{
    struct served s = { 0 };

    (void)state;
    run(many_client, &s);
    assert_int_equal(s.stats.answered[2], 5 * MANY);
    served_done(&s);
}

/* Requests whose fields are all in the table, as clients repeat them. */
static int indexed_client(struct served *s)
{
    struct h2_peer peer;
    struct strbuf out = STRBUF_INIT;
    struct h2_answer a = { 0 };
    const uint8_t flags = NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM;

    CHECK(s, h2_open(s, &peer, "", 0) == 0);
    h2_add(&out, NGHTTP2_HEADERS, flags, 1, "\x82\x84\x86\x41\x01t", 6); /* :authority: t */
    CHECK(s, h2_say(&peer, &out) == 0 && h2_answer(&peer, 1, &a, true) == 0 && a.status == 200);
    for (uint32_t i = 0; i < 40; i++) {
        struct h2_answer last = { 0 };

        for (uint32_t k = 0; k < 50; k++)
            h2_add(&out, NGHTTP2_HEADERS, flags, 2 * (50 * i + k) + 3, "\x82\x84\x86\xbe", 4);
        CHECK(s, h2_say(&peer, &out) == 0);
        CHECK(s, h2_answer(&peer, 2 * (50 * i + 49) + 3, &last, true) == 0 && last.status == 200);
    }
    h2_close(&peer);
    return 0;
}

static void heads_out_of_the_table(void **state)
{
    struct served s = { 0 };

    (void)state;
    run(indexed_client, &s);
    assert_int_equal(s.stats.answered[2], 2001);
    assert_int_equal(served_log_count(&s, "HTTP/2"), 0);
    served_done(&s);
}

static int bytewise_client(struct served *s)
{
    struct h2_peer peer = { 0 };
    struct strbuf out = STRBUF_INIT;
    struct h2_answer a = { 0 };

    CHECK(s, peer_open(s, &peer.raw) == 0 && nghttp2_hd_inflate_new(&peer.inflater) == 0);
    strbuf_add_c(&out, H2_PREFACE);
    h2_add(&out, NGHTTP2_SETTINGS, 0, 0, "", 0);
    h2_add_request(&out, 1, false, "POST", "/echo", NULL);
    h2_add(&out, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "four", 4);
    for (size_t i = 0; i < out.len; i++)
        CHECK(s, peer_send(&peer.raw, out.ptr + i, 1) == 0);
    strbuf_done(&out);
    CHECK(s, h2_answer(&peer, 1, &a, true) == 0 && a.status == 200 && a.body_len == 4);
    h2_close(&peer);
    return 0;
}

static void a_byte_at_a_time(void **state)
{
    struct served s = { 0 };

    (void)state;
    run(bytewise_client, &s);
    served_done(&s);
}

/* ---- heads ---------------------------------------------------------------------------- */

static int text_of(struct h2_peer *peer, uint32_t id, const char *path, const char *const *fields,
                   char text[static 256])
{
    struct strbuf out = STRBUF_INIT;
    struct h2_answer a = { .body = text, .room = 255 };

    memset(text, 0, 256);
    h2_add_request(&out, id, true, "GET", path, fields);
    if (h2_say(peer, &out) < 0 || h2_answer(peer, id, &a, true) < 0)
        return -1;
    return a.reset ? -(int)a.code : a.status;
}

static int heads_client(struct served *s)
{
    static const char *const crumbs[] = { "cookie", "a=1", "cookie", "b=2", "cookie", "c=3", NULL };
    static const char *const hosts[] = { "host", "t", NULL };
    static const char *const other[] = { "host", "elsewhere", NULL };
    static const char *const upper[] = { "Upper", "case", NULL };
    static const char *const close[] = { "connection", "close", NULL };
    static const char *const te[] = { "te", "gzip", NULL };
    static const char *const forged[] = { "content_length", "5", NULL };
    static const char *const split[] = { "x", "a\r\nb: c", NULL };
    static const char *const expect[] = { "expect", "miracles", NULL };
    struct h2_peer peer;
    char text[256];

    CHECK(s, h2_open(s, &peer, "", 0) == 0);
    CHECK(s, text_of(&peer, 1, "/cookie", crumbs, text) == 200);
    CHECK(s, strcmp(text, "a=1; b=2; c=3") == 0);
    CHECK(s, text_of(&peer, 3, "/host", NULL, text) == 200 && strcmp(text, "t") == 0);
    CHECK(s, text_of(&peer, 5, "/host", hosts, text) == 200 && strcmp(text, "t") == 0);
    CHECK(s, text_of(&peer, 7, "/host", other, text) == 400);
    CHECK(s, text_of(&peer, 9, "/", upper, text) == -NGHTTP2_PROTOCOL_ERROR);
    CHECK(s, text_of(&peer, 11, "/", close, text) == -NGHTTP2_PROTOCOL_ERROR);
    CHECK(s, text_of(&peer, 13, "/", te, text) == -NGHTTP2_PROTOCOL_ERROR);
    CHECK(s, text_of(&peer, 15, "/", forged, text) == 400);
    CHECK(s, text_of(&peer, 17, "/", split, text) == -NGHTTP2_PROTOCOL_ERROR);
    CHECK(s, text_of(&peer, 19, "/", expect, text) == 417);
    CHECK(s, text_of(&peer, 21, "/a b", NULL, text) == 400 || *text == '\0');
    CHECK(s, text_of(&peer, 23, "/a%4", NULL, text) == 400);
    CHECK(s, text_of(&peer, 25, "/%zz", NULL, text) == 400);
    CHECK(s, text_of(&peer, 27, "/", NULL, text) == 200);
    h2_close(&peer);
    return 0;
}

static void heads_are_judged(void **state)
{
    struct served s = { 0 };

    (void)state;
    run(heads_client, &s);
    assert_int_equal(served_log_count(&s, "a Host that differs from :authority"), 1);
    served_done(&s);
}

static int large_heads_client(struct served *s)
{
    static char value[9000];
    const char *fields[2 * 102 + 1] = { 0 }, *large[2 * 5 + 1] = { 0 };
    struct h2_peer peer;
    char text[256];

    memset(value, 'v', sizeof(value) - 1);
    for (int i = 0; i < 101; i++) {
        fields[2 * i] = i % 2 ? "cookie" : "x";
        fields[2 * i + 1] = "a=b";
    }
    for (int i = 0; i < 4; i++) {
        large[2 * i] = "x";
        large[2 * i + 1] = value;
    }
    CHECK(s, h2_open(s, &peer, "", 0) == 0);
    CHECK(s, text_of(&peer, 1, "/", fields, text) == 431);
    fields[2 * 98] = NULL;
    CHECK(s, text_of(&peer, 3, "/", fields, text) == 200);
    large[2] = NULL; /* what is over 16 KiB takes more than a frame */
    CHECK(s, text_of(&peer, 5, "/", large, text) == 200);
    h2_close(&peer);
    return 0;
}

static void fields_are_counted(void **state)
{
    struct served s = { 0 };

    (void)state;
    run(large_heads_client, &s);
    served_done(&s);
}

/* ---- bodies ----------------------------------------------------------------------------- */

#define UPLOAD 300000

/* Send a body as the server's windows let it. */
static int upload(struct h2_peer *peer, uint32_t id, size_t len, struct h2_answer *a)
{
    static char bytes[16384];
    long stream = 65535, whole = 65535;
    struct strbuf out = STRBUF_INIT;
    struct h2_frame f;

    memset(bytes, 'u', sizeof(bytes));
    while (len > 0) {
        size_t n = len < sizeof(bytes) ? len : sizeof(bytes);

        if ((long)n <= stream && (long)n <= whole) {
            h2_add(&out, NGHTTP2_DATA, n == len ? NGHTTP2_FLAG_END_STREAM : 0, id, bytes, n);
            if (h2_say(peer, &out) < 0)
                return -1;
            len -= n;
            stream -= (long)n;
            whole -= (long)n;
            continue;
        }
        if (h2_next(peer, &f) < 0 || f.type == NGHTTP2_RST_STREAM)
            return -1;
        if (f.type == NGHTTP2_WINDOW_UPDATE)
            *(f.id ? &stream : &whole) += (long)((uint32_t)f.payload[0] << 24 | f.payload[1] << 16 |
                                                 f.payload[2] << 8 | f.payload[3]);
    }
    return h2_answer(peer, id, a, true);
}

static int upload_client(struct served *s)
{
    struct h2_peer peer;
    struct strbuf out = STRBUF_INIT;
    struct h2_answer a = { 0 };

    CHECK(s, h2_open(s, &peer, "", 0) == 0);
    h2_add_request(&out, 1, false, "POST", "/echo", NULL);
    CHECK(s, h2_say(&peer, &out) == 0);
    CHECK(s, upload(&peer, 1, UPLOAD, &a) == 0);
    CHECK(s, a.status == 200 && a.ended && a.body_len == UPLOAD);
    h2_close(&peer);
    return 0;
}

static void bodies_go_both_ways(void **state)
{
    struct served s = { 0 };

    (void)state;
    run(upload_client, &s);
    served_done(&s);
}

static int window_client(struct served *s)
{
    static const char bytes[16000];
    struct h2_peer peer;
    struct strbuf out = STRBUF_INIT;
    struct h2_frame f;
    struct h2_answer a = { 0 };

    CHECK(s, h2_open(s, &peer, "", 0) == 0);
    h2_add_request(&out, 1, false, "POST", "/body", NULL);
    for (int i = 0; i < 4; i++)
        h2_add(&out, NGHTTP2_DATA, 0, 1, bytes, sizeof(bytes));
    h2_add(&out, NGHTTP2_PING, 0, 0, "12345678", 8);
    CHECK(s, h2_say(&peer, &out) == 0);
    do { /* the window stays shut while nobody reads */
        CHECK(s, h2_next(&peer, &f) == 0);
        CHECK(s, f.type != NGHTTP2_WINDOW_UPDATE || f.id == 0);
    } while (f.type != NGHTTP2_PING);
    CHECK(s, served_await(s, one_waits));
    atomic_store(&gate, 1);
    do
        CHECK(s, h2_next(&peer, &f) == 0);
    while (f.type != NGHTTP2_WINDOW_UPDATE || f.id != 1);
    h2_add(&out, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "", 0);
    CHECK(s, h2_say(&peer, &out) == 0 && h2_answer(&peer, 1, &a, true) == 0);
    CHECK(s, a.status == 200);
    h2_close(&peer);
    return 0;
}

static void the_window_opens_with_reading(void **state)
{
    struct served s = { 0 };

    (void)state;
    run(window_client, &s);
    served_done(&s);
}

static int pieces_client(struct served *s)
{
    struct h2_peer peer;
    struct strbuf out = STRBUF_INIT;
    struct h2_answer a = { 0 }, b = { 0 };

    CHECK(s, h2_open(s, &peer, "", 0) == 0);
    h2_add_request(&out, 1, true, "GET", "/pieces", NULL);
    CHECK(s, h2_say(&peer, &out) == 0 && h2_answer(&peer, 1, &a, true) == 0);
    CHECK(s, a.ended && a.body_len == PIECES_BYTES);
    h2_add_request(&out, 3, true, "GET", "/cut", NULL);
    CHECK(s, h2_say(&peer, &out) == 0 && h2_answer(&peer, 3, &b, true) == 0);
    CHECK(s, b.reset && b.code == NGHTTP2_INTERNAL_ERROR);
    CHECK(s, h2_get(&peer, 5, "/") == 200);
    h2_close(&peer);
    return 0;
}

static void answers_in_pieces(void **state)
{
    struct served s = { 0 };

    (void)state;
    run(pieces_client, &s);
    served_done(&s);
}

static int continue_client(struct served *s)
{
    static const char *const expect[] = { "expect", "100-continue", NULL };
    struct h2_peer peer;
    struct strbuf out = STRBUF_INIT;
    struct h2_answer a = { 0 };
    struct h2_frame f;

    CHECK(s, h2_open(s, &peer, "", 0) == 0);
    h2_add_request(&out, 1, false, "POST", "/echo", expect);
    CHECK(s, h2_say(&peer, &out) == 0);
    do
        CHECK(s, h2_next(&peer, &f) == 0);
    while (f.type != NGHTTP2_HEADERS);
    CHECK(s, !(f.flags & NGHTTP2_FLAG_END_STREAM));
    h2_add(&out, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "body", 4);
    CHECK(s, h2_say(&peer, &out) == 0 && h2_answer(&peer, 1, &a, true) == 0);
    CHECK(s, a.status == 200 && a.body_len == 4);
    h2_close(&peer);
    return 0;
}

static void continue_is_said(void **state)
{
    struct served s = { 0 };

    (void)state;
    run(continue_client, &s);
    served_done(&s);
}

/* ---- ends --------------------------------------------------------------------------------- */

static int reset_client(struct served *s)
{
    struct h2_peer peer;
    struct strbuf out = STRBUF_INIT;

    CHECK(s, h2_open(s, &peer, "", 0) == 0);
    h2_add_request(&out, 1, true, "GET", "/gated", NULL);
    CHECK(s, h2_say(&peer, &out) == 0);
    CHECK(s, served_await(s, one_waits));
    h2_add_word(&out, NGHTTP2_RST_STREAM, 1, NGHTTP2_CANCEL);
    CHECK(s, h2_say(&peer, &out) == 0);
    CHECK(s, served_await(s, one_has_ended));
    CHECK(s, atomic_load(&end_rc) == 1);
    CHECK(s, h2_get(&peer, 3, "/") == 200);
    h2_close(&peer);
    return 0;
}

static void a_reset_cancels(void **state)
{
    struct served s = { 0 };

    (void)state;
    run(reset_client, &s);
    assert_int_equal(s.stats.answered[0], 1);
    served_done(&s);
}

/* The client closes, or resets, after so many bytes. */
static int fin_client(struct served *s)
{
    struct strbuf whole = STRBUF_INIT;
    struct h2_peer peer;

    strbuf_add_c(&whole, H2_PREFACE);
    h2_add(&whole, NGHTTP2_SETTINGS, 0, 0, "", 0);
    h2_add_request(&whole, 1, false, "POST", "/echo", NULL);
    h2_add(&whole, NGHTTP2_DATA, 0, 1, "body", 4);
    for (size_t n = 1; n <= whole.len; n++) {
        for (int reset = 0; reset < 2; reset++) {
            memset(&peer, 0, sizeof(peer));
            CHECK(s, peer_open(s, &peer.raw) == 0);
            CHECK(s, peer_send(&peer.raw, whole.ptr, n) == 0);
            if (reset) {
                peer_reset(&peer.raw);
                continue;
            }
            shutdown(peer.raw.fd, SHUT_WR);
            CHECK(s, nghttp2_hd_inflate_new(&peer.inflater) == 0);
            h2_until_end(&peer);
            h2_close(&peer);
        }
    }
    strbuf_done(&whole);
    return 0;
}

static void fin_and_reset_anywhere(void **state)
{
    struct served s = { 0 };

    (void)state;
    run(fin_client, &s);
    assert_int_equal(s.stats.connections, 0);
    assert_int_equal(s.stats.in_flight, 0);
    served_done(&s);
}

static int drain_client(struct served *s)
{
    struct h2_peer peer;
    struct strbuf out = STRBUF_INIT;
    struct h2_frame f;
    struct h2_answer a = { 0 };

    CHECK(s, h2_open(s, &peer, "", 0) == 0);
    h2_add_request(&out, 1, true, "GET", "/gated", NULL);
    CHECK(s, h2_say(&peer, &out) == 0);
    CHECK(s, served_await(s, one_waits));
    http_server_stop(s->server);
    do
        CHECK(s, h2_next(&peer, &f) == 0);
    while (f.type != NGHTTP2_GOAWAY);
    CHECK(s, peer.goaway_last == 0x7fffffff && peer.goaway_code == NGHTTP2_NO_ERROR);
    CHECK(s, h2_get(&peer, 3, "/") == 200); /* it was on its way */
    do
        CHECK(s, h2_next(&peer, &f) == 0);
    while (f.type != NGHTTP2_GOAWAY);
    CHECK(s, peer.goaway_last == 3);
    atomic_store(&gate, 1);
    CHECK(s, h2_answer(&peer, 1, &a, true) == 0 && a.status == 200);
    CHECK(s, h2_until_end(&peer) == 0);
    h2_close(&peer);
    return 0;
}

static void the_drain_goes_in_two_steps(void **state)
{
    struct served s = { .opts = { .drain_idle_ms = 100 }, .client_stops = true };

    (void)state;
    run(drain_client, &s);
    served_done(&s);
}

static int idle_client(struct served *s)
{
    struct h2_peer peer;

    CHECK(s, h2_open(s, &peer, "", 0) == 0);
    CHECK(s, h2_get(&peer, 1, "/") == 200);
    CHECK(s, h2_until_end(&peer) == 0);
    CHECK(s, peer.goaway && peer.goaway_code == NGHTTP2_NO_ERROR);
    h2_close(&peer);
    return 0;
}

static void an_idle_connection_ends(void **state)
{
    struct served s = { .opts = { .idle_ms = 100 } };

    (void)state;
    run(idle_client, &s);
    served_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_hello),
        cmocka_unit_test(head_has_no_body),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(heads_out_of_the_table),
        cmocka_unit_test(a_byte_at_a_time),
        cmocka_unit_test(heads_are_judged),
        cmocka_unit_test(fields_are_counted),
        cmocka_unit_test(bodies_go_both_ways),
        cmocka_unit_test(the_window_opens_with_reading),
        cmocka_unit_test(answers_in_pieces),
        cmocka_unit_test(continue_is_said),
        cmocka_unit_test(a_reset_cancels),
        cmocka_unit_test(fin_and_reset_anywhere),
        cmocka_unit_test(the_drain_goes_in_two_steps),
        cmocka_unit_test(an_idle_connection_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
