/* Servers that break the rules, frame by frame: the call fails with a sentence that names
 * the rule, and what breaks the connection's rules ends the connection. */
#include "h2_run.h"

#include "http/h2_link.h"

#define NO_CODE UINT32_MAX
#define OK_HEAD "\x88" /* :status 200, of the static table */

struct raw {
    char bytes[1 << 17];
    size_t len;
    uint32_t repeat;
    bool closes;
};

static void add(struct raw *raw, uint8_t type, uint8_t flags, uint32_t id, const void *payload,
                size_t len)
{
    raw->len = h2_frame(raw->bytes, raw->len, type, flags, id, payload, len);
}

#define ADD(raw, type, flags, id, payload) \
    add(raw, NGHTTP2_##type, flags, id, payload, sizeof(payload) - 1)

/* A field without indexing (RFC 7541, section 6.2.2), at the end of a block. */
static size_t field(char *to, size_t at, const char *name, const char *value)
{
    size_t n = strlen(name), v = strlen(value);

    CHECK(n < 127 && v < 127);
    to[at++] = 0;
    to[at++] = (char)n;
    memcpy(to + at, name, n);
    at += n;
    to[at++] = (char)v;
    memcpy(to + at, value, v);
    return at + v;
}

static void head_of(struct raw *raw, uint8_t flags, const char *status, const char *name,
                    const char *value)
{
    char block[512];
    size_t len = 0;

    if (status)
        len = field(block, len, ":status", status);
    if (name)
        len = field(block, len, name, value);
    add(raw, NGHTTP2_HEADERS, (uint8_t)(NGHTTP2_FLAG_END_HEADERS | flags), 1, block, len);
}

/* ---- heads ------------------------------------------------------------------------ */

struct head_row {
    const char *status, *name, *value;
    int rc;
};

static const struct head_row heads[] = {
    { "200", NULL, NULL, 0 },
    { "200", "x-a", "b", 0 },
    { "200", "x-a", "", 0 },
    { NULL, NULL, NULL, WEIR_EHEAD },
    { NULL, "x-a", "b", WEIR_EHEAD },
    { "20", NULL, NULL, WEIR_EHEAD },
    { "2000", NULL, NULL, WEIR_EHEAD },
    { "099", NULL, NULL, WEIR_EHEAD },
    { "600", NULL, NULL, WEIR_EHEAD },
    { "2x0", NULL, NULL, WEIR_EHEAD },
    { "101", NULL, NULL, WEIR_EHEAD },
    { "200", ":status", "200", WEIR_EHEAD },
    { "200", ":path", "/", WEIR_EHEAD },
    { "200", "X-A", "b", WEIR_EHEAD },
    { "200", "x a", "b", WEIR_EHEAD },
    { "200", "x:a", "b", WEIR_EHEAD },
    { "200", "", "b", WEIR_EHEAD },
    { "200", "x-a", "a\r\nb: c", WEIR_EHEAD },
    { "200", "x-a", "a\nb", WEIR_EHEAD },
    { "200", "x-a", "\x7f", WEIR_EHEAD },
    { "200", "x-a", " b", WEIR_EHEAD },
    { "200", "x-a", "b\t", WEIR_EHEAD },
    { "200", "connection", "close", WEIR_EHEAD },
    { "200", "keep-alive", "1", WEIR_EHEAD },
    { "200", "proxy-connection", "close", WEIR_EHEAD },
    { "200", "transfer-encoding", "chunked", WEIR_EHEAD },
    { "200", "upgrade", "h2c", WEIR_EHEAD },
    { "200", "te", "gzip", WEIR_EHEAD },
    { "200", "content-length", "x", WEIR_EHEAD },
    { "200", "content-length", "-1", WEIR_EHEAD },
    { "200", "content-length", "99999999999999999999", WEIR_EHEAD },
    { "200", "content-length", "1", WEIR_EBODY }, /* and no DATA */
};

static int call_raw(const struct raw *raw, weir_response *r, struct h2_peer *ret_peer)
{
    struct h2_test t = { .peer.raw = raw->bytes,
                         .peer.raw_len = raw->len,
                         .peer.raw_repeat = raw->repeat,
                         .peer.raw_closes = raw->closes };
    int rc = 1;

    H2_WITH(t)
    {
        WEIR_SCOPE(s, .timeout_ms = 5000)
            rc = H2_FETCH(t, "/", r);
        if (rc < 0)
            check_said("GET http://127.0.0.1");
        /* What was said last comes in. */
        for (int i = 0; i < 50 && t.peer.goaway_code == NO_CODE && t.peer.rst_code == NO_CODE; i++)
            CHECK_INT(weir_sleep_ms(1), 0);
        *ret_peer = t.peer;
    }
    return rc;
}

BOTH_TEST(a_head_that_breaks_a_rule_is_refused)
{
    static struct raw raw;

    (void)arg;
    for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
        const struct head_row *row = &heads[i];
        struct h2_peer peer;
        weir_response r;
        int rc;

        memset(&raw, 0, sizeof(raw));
        ADD(&raw, SETTINGS, 0, 0, "");
        head_of(&raw, NGHTTP2_FLAG_END_STREAM, row->status, row->name, row->value);
        rc = call_raw(&raw, &r, &peer);
        if (rc != row->rc && !(row->rc == WEIR_EBODY && rc == WEIR_EHEAD))
            fprintf(stderr, "row %zu\n", i);
        CHECK(rc == row->rc || (row->rc == WEIR_EBODY && rc == WEIR_EHEAD));
        CHECK(row->rc == 0 || peer.rst_code == NGHTTP2_PROTOCOL_ERROR ||
              peer.goaway_code == NGHTTP2_PROTOCOL_ERROR || peer.goaway_code == NGHTTP2_NO_ERROR);
    }
    return 0;
}

/* ---- the order of things ------------------------------------------------------------ */

struct order_row {
    const char *what;
    void (*make)(struct raw *raw);
    int rc;          /* 1: any failure */
    bool breaks;     /* the connection is ended */
};

static void make_data_first(struct raw *raw)
{
    ADD(raw, DATA, NGHTTP2_FLAG_END_STREAM, 1, "x");
}

static void make_too_long(struct raw *raw)
{
    head_of(raw, 0, "200", "content-length", "3");
    ADD(raw, DATA, NGHTTP2_FLAG_END_STREAM, 1, "four");
}

static void make_too_short(struct raw *raw)
{
    head_of(raw, 0, "200", "content-length", "5");
    ADD(raw, DATA, NGHTTP2_FLAG_END_STREAM, 1, "four");
}

static void make_body_of_204(struct raw *raw)
{
    head_of(raw, 0, "204", NULL, NULL);
    ADD(raw, DATA, NGHTTP2_FLAG_END_STREAM, 1, "four");
}

static void make_interim_end(struct raw *raw)
{
    head_of(raw, NGHTTP2_FLAG_END_STREAM, "100", NULL, NULL);
}

static void make_interim_flood(struct raw *raw)
{
    for (int i = 0; i < 100; i++)
        head_of(raw, 0, "102", NULL, NULL);
}

static void make_second_head(struct raw *raw)
{
    head_of(raw, 0, "200", NULL, NULL);
    head_of(raw, 0, "200", NULL, NULL);
}

static void make_trailer_without_end(struct raw *raw)
{
    head_of(raw, 0, "200", NULL, NULL);
    ADD(raw, DATA, 0, 1, "four");
    head_of(raw, 0, NULL, "x-a", "b");
}

static void make_trailer_that_frames(struct raw *raw)
{
    head_of(raw, 0, "200", NULL, NULL);
    head_of(raw, NGHTTP2_FLAG_END_STREAM, NULL, "content-length", "0");
}

static void make_trailer_status(struct raw *raw)
{
    head_of(raw, 0, "200", NULL, NULL);
    head_of(raw, NGHTTP2_FLAG_END_STREAM, "200", NULL, NULL);
}

static void make_good_with_padding(struct raw *raw)
{
    head_of(raw, 0, "200", NULL, NULL);
    ADD(raw, DATA, NGHTTP2_FLAG_PADDED, 1,
        "\x03"
        "ok\0\0\0");
    ADD(raw, DATA, NGHTTP2_FLAG_END_STREAM, 1, "");
}

static void make_unknown_frames(struct raw *raw)
{
    add(raw, 0x77, 0xff, 0, "what", 4);
    add(raw, 0x78, 0xff, 1, "what", 4);
    head_of(raw, NGHTTP2_FLAG_END_STREAM, "200", NULL, NULL);
}

static void make_push(struct raw *raw)
{
    ADD(raw, PUSH_PROMISE, NGHTTP2_FLAG_END_HEADERS, 1, "\0\0\0\2" OK_HEAD);
}

static void make_even_stream(struct raw *raw)
{
    ADD(raw, HEADERS, NGHTTP2_FLAG_END_HEADERS, 2, OK_HEAD);
}

static void make_unknown_stream(struct raw *raw)
{
    ADD(raw, HEADERS, NGHTTP2_FLAG_END_HEADERS, 99, OK_HEAD);
}

static void make_headers_on_0(struct raw *raw)
{
    ADD(raw, HEADERS, NGHTTP2_FLAG_END_HEADERS, 0, OK_HEAD);
}

static void make_data_on_0(struct raw *raw)
{
    ADD(raw, DATA, 0, 0, "x");
}

static void make_big_frame(struct raw *raw)
{
    static char zeros[20000];

    add(raw, NGHTTP2_DATA, 0, 1, zeros, sizeof(zeros));
}

static void make_bad_hpack(struct raw *raw)
{
    ADD(raw, HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, "\xff\xff\xff\xff\xff\xff\xff");
}

static void make_broken_block(struct raw *raw)
{
    ADD(raw, HEADERS, 0, 1, OK_HEAD);
    ADD(raw, PING, 0, 0, "12345678");
}

static void make_continuations(struct raw *raw)
{
    ADD(raw, HEADERS, 0, 1, OK_HEAD);
    for (int i = 0; i < 100; i++)
        ADD(raw, CONTINUATION, 0, 1, "");
}

static void make_long_continuations(struct raw *raw)
{
    char block[200];
    size_t len = field(block, 0, "x-long", "0123456789012345678901234567890123456789");

    ADD(raw, HEADERS, 0, 1, OK_HEAD);
    for (int i = 0; i < 1000; i++)
        add(raw, NGHTTP2_CONTINUATION, 0, 1, block, len);
}

static void make_window_overflow(struct raw *raw)
{
    ADD(raw, WINDOW_UPDATE, 0, 0, "\x7f\xff\xff\xff");
}

static void make_stream_window_overflow(struct raw *raw)
{
    ADD(raw, WINDOW_UPDATE, 0, 1, "\x7f\xff\xff\xff");
    ADD(raw, WINDOW_UPDATE, 0, 1, "\x7f\xff\xff\xff");
}

static void make_no_window(struct raw *raw)
{
    ADD(raw, WINDOW_UPDATE, 0, 0, "\0\0\0\0");
}

static void make_bad_settings(struct raw *raw)
{
    ADD(raw, SETTINGS, 0, 0, "\0\4\xff\xff\xff\xff");
}

static void make_odd_settings(struct raw *raw)
{
    ADD(raw, SETTINGS, 0, 0, "\0\4\xff");
}

static void make_many_settings(struct raw *raw)
{
    char list[6 * 40];

    for (int i = 0; i < 40; i++)
        memcpy(list + i * 6, "\0\3\0\0\0\x64", 6);
    add(raw, NGHTTP2_SETTINGS, 0, 0, list, sizeof(list));
}

static void make_push_setting(struct raw *raw)
{
    ADD(raw, SETTINGS, 0, 0, "\0\2\0\0\0\1");
}

static void make_bad_ping(struct raw *raw)
{
    ADD(raw, PING, 0, 0, "short");
}

static void make_ping_flood(struct raw *raw)
{
    for (int i = 0; i < 200; i++)
        ADD(raw, PING, 0, 0, "12345678");
    raw->repeat = 30;
}

static void make_settings_flood(struct raw *raw)
{
    for (int i = 0; i < 200; i++)
        ADD(raw, SETTINGS, 0, 0, "");
    raw->repeat = 30;
}

static void make_empty_data_flood(struct raw *raw)
{
    for (int i = 0; i < 200; i++)
        ADD(raw, DATA, 0, 1, "");
    raw->repeat = 30;
}

static void make_reset_of_idle(struct raw *raw)
{
    ADD(raw, RST_STREAM, 0, 99, "\0\0\0\1");
}

static void make_goaway_growing(struct raw *raw)
{
    ADD(raw, GOAWAY, 0, 0, "\0\0\0\1\0\0\0\0");
    ADD(raw, GOAWAY, 0, 0, "\0\0\0\x63\0\0\0\0");
}

static void make_http_1(struct raw *raw)
{
    raw->len = 0;
    memcpy(raw->bytes, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
    raw->len = 28;
    raw->closes = true;
}

static const struct order_row orders[] = {
    { "padding", make_good_with_padding, 0, false },
    { "unknown frames", make_unknown_frames, 0, false },
    { "DATA before the head", make_data_first, 1, false },
    { "more DATA than announced", make_too_long, 1, false },
    { "less DATA than announced", make_too_short, 1, false },
    { "a body of 204", make_body_of_204, 1, false },
    { "an interim head that ends", make_interim_end, 1, false },
    { "interim heads without end", make_interim_flood, 1, false },
    { "a second head", make_second_head, 1, false },
    { "a trailer without end", make_trailer_without_end, 1, false },
    { "a trailer that frames", make_trailer_that_frames, 1, false },
    { "a trailer with a status", make_trailer_status, 1, false },
    { "a stream's window too large", make_stream_window_overflow, 1, false },
    { "a push", make_push, 1, true },
    { "an even stream", make_even_stream, 1, true },
    { "a stream that is not open", make_unknown_stream, 1, true },
    { "a head on stream 0", make_headers_on_0, 1, true },
    { "DATA on stream 0", make_data_on_0, 1, true },
    { "a frame too large", make_big_frame, 1, true },
    { "no HPACK", make_bad_hpack, 1, true },
    { "a block broken into", make_broken_block, 1, true },
    { "CONTINUATION without end", make_continuations, 1, true },
    { "… with fields", make_long_continuations, 1, true },
    { "the window too large", make_window_overflow, 1, true },
    { "a window update of 0", make_no_window, 1, true },
    { "a setting out of range", make_bad_settings, 1, true },
    { "settings of a wrong size", make_odd_settings, 1, true },
    { "too many settings", make_many_settings, 1, true },
    { "a server that wants to be pushed to", make_push_setting, 1, true },
    { "a ping of a wrong size", make_bad_ping, 1, true },
    { "pings without end", make_ping_flood, 1, true },
    { "settings without end", make_settings_flood, 1, true },
    { "empty DATA without end", make_empty_data_flood, 1, true },
    { "a reset of an idle stream", make_reset_of_idle, 1, true },
    { "a GOAWAY that takes back", make_goaway_growing, 1, true },
    { "HTTP/1.1", make_http_1, 1, false },
};

BOTH_TEST(an_order_that_breaks_a_rule_is_refused)
{
    static struct raw raw;
    bool all_good = true;

    (void)arg;
    for (size_t i = 0; i < sizeof(orders) / sizeof(*orders); i++) {
        const struct order_row *row = &orders[i];
        struct h2_peer peer;
        weir_response r;
        bool good;
        int rc;

        memset(&raw, 0, sizeof(raw));
        if (row->make != make_many_settings)
            ADD(&raw, SETTINGS, 0, 0, "");
        row->make(&raw);
        rc = call_raw(&raw, &r, &peer);
        good = row->rc ? rc < 0 && rc != -ETIMEDOUT : rc == 0;
        if (row->breaks && (peer.goaway_code == NO_CODE || peer.goaway_code == NGHTTP2_NO_ERROR))
            good = false;
        if (!good)
            fprintf(stderr, "%s: %d (%s), GOAWAY %u, RST %u\n", row->what, rc, weir_error_name(rc),
                    peer.goaway_code, peer.rst_code);
        all_good &= good;
    }
    CHECK(all_good);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_that_breaks_a_rule_is_refused),
        cmocka_unit_test(an_order_that_breaks_a_rule_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
