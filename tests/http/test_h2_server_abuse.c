/* The server over HTTP/2, with peers that mean no good: floods, bombs, windows that stay
 * shut. Each is ended with GOAWAY and one line in the log that names the rule, or is held
 * within its bounds. */
#include "h2_server_peer.h"

#include <poll.h>
#include <stdatomic.h>

#include <weir/exchange.h>
#include <weir/scope.h>

static _Atomic int gate, waiting;

static int hello(weir_exchange *x)
{
    return weir_reply_text(x, 200, "Hello, World!");
}

/* It is not cancelled when the client goes. */
static int stubborn(weir_exchange *x)
{
    int rc = 0;

    atomic_fetch_add(&waiting, 1);
    while (rc == 0 && atomic_load(&gate) == 0)
        rc = weir_sleep_ms(2);
    return rc < 0 ? rc : weir_reply_text(x, 200, "at last");
}

static int large(weir_exchange *x)
{
    static const char bytes[100000];

    return weir_reply(x, 200, "text/plain", weir_str_from(bytes, sizeof(bytes)));
}

static const struct served_route routes[] = {
    { .path = "/", .handler = hello },
    { .path = "/stubborn", .handler = stubborn, .gone = HTTP_GONE_FINISH },
    { .path = "/large", .handler = large },
    { 0 }
};

static void run(int (*client)(struct served *s), struct served *s)
{
    atomic_store(&gate, 0);
    atomic_store(&waiting, 0);
    s->routes = routes;
    s->client = client;
    served_run(s);
}

/* ---- floods --------------------------------------------------------------------------- */

struct flood {
    const char *name;
    void (*add)(struct strbuf *out, uint32_t i); /* the i-th part of it */
    uint32_t parts;
    uint32_t code; /* 0: as it comes: too many streams at once, resets, or an end that was told */
    const char *rule; /* in the log */
};

static void add_rapid_reset(struct strbuf *out, uint32_t i)
{
    h2_add_request(out, 2 * i + 1, true, "GET", "/", NULL);
    h2_add_word(out, NGHTTP2_RST_STREAM, 2 * i + 1, NGHTTP2_CANCEL);
}

static void add_continuation(struct strbuf *out, uint32_t i)
{
    if (i == 0)
        h2_add(out, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, "", 0);
    h2_add(out, NGHTTP2_CONTINUATION, 0, 1, "", 0);
}

static void add_settings(struct strbuf *out, uint32_t i)
{
    (void)i;
    h2_add(out, NGHTTP2_SETTINGS, 0, 0, "", 0);
}

static void add_long_settings(struct strbuf *out, uint32_t i)
{
    static const char entries[33 * 6];

    (void)i;
    h2_add(out, NGHTTP2_SETTINGS, 0, 0, entries, sizeof(entries));
}

static void add_ping(struct strbuf *out, uint32_t i)
{
    (void)i;
    h2_add(out, NGHTTP2_PING, 0, 0, "12345678", 8);
}

static void add_empty_data(struct strbuf *out, uint32_t i)
{
    if (i == 0)
        h2_add_request(out, 1, false, "POST", "/stubborn", NULL);
    h2_add(out, NGHTTP2_DATA, 0, 1, "", 0);
}

static void add_padded_data(struct strbuf *out, uint32_t i)
{
    if (i == 0)
        h2_add_request(out, 1, false, "POST", "/stubborn", NULL);
    h2_add(out, NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, "\3\0\0\0", 4);
}

static void add_priority(struct strbuf *out, uint32_t i)
{
    (void)i;
    h2_add(out, NGHTTP2_PRIORITY, 0, 3, "\0\0\0\0\1", 5);
}

static void add_priority_update(struct strbuf *out, uint32_t i)
{
    (void)i;
    h2_add(out, NGHTTP2_PRIORITY_UPDATE, 0, 0, "\0\0\0\1u=1", 7);
}

static void add_small_window(struct strbuf *out, uint32_t i)
{
    (void)i;
    h2_add_word(out, NGHTTP2_WINDOW_UPDATE, 0, 1);
}

static void add_unknown(struct strbuf *out, uint32_t i)
{
    (void)i;
    h2_add(out, 0x77, 0, 0, "x", 1);
}

/* What makes the server reset streams ("MadeYouReset"). */
static void add_window_zero(struct strbuf *out, uint32_t i)
{
    h2_add_request(out, 2 * i + 1, true, "GET", "/", NULL);
    h2_add_word(out, NGHTTP2_WINDOW_UPDATE, 2 * i + 1, 0);
}

static void add_window_overflow(struct strbuf *out, uint32_t i)
{
    h2_add_request(out, 2 * i + 1, false, "GET", "/", NULL);
    h2_add_word(out, NGHTTP2_WINDOW_UPDATE, 2 * i + 1, 0x7fffffff);
}

static void add_data_after_end(struct strbuf *out, uint32_t i)
{
    h2_add_request(out, 2 * i + 1, true, "GET", "/", NULL);
    h2_add(out, NGHTTP2_DATA, 0, 2 * i + 1, "x", 1);
}

static void add_headers_after_end(struct strbuf *out, uint32_t i)
{
    h2_add_request(out, 2 * i + 1, true, "GET", "/", NULL);
    h2_add_request(out, 2 * i + 1, true, "GET", "/", NULL);
}

static void add_self_dependency(struct strbuf *out, uint32_t i)
{
    const char payload[5] = { 0, 0, (char)((2 * i + 1) >> 8), (char)(2 * i + 1), 1 };

    h2_add_request(out, 2 * i + 1, true, "GET", "/", NULL);
    h2_add(out, NGHTTP2_PRIORITY, 0, 2 * i + 1, payload, 5);
}

static void add_wrong_length(struct strbuf *out, uint32_t i)
{
    static const char *const one[] = { "content-length", "1", NULL };

    h2_add_request(out, 2 * i + 1, false, "POST", "/", one);
    h2_add(out, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 2 * i + 1, "four", 4);
}

static void add_bad_field(struct strbuf *out, uint32_t i)
{
    static const char *const upper[] = { "Upper", "case", NULL };

    h2_add_request(out, 2 * i + 1, true, "GET", "/", upper);
}

static const struct flood floods[] = {
    { "rapid reset", add_rapid_reset, 3000, NGHTTP2_ENHANCE_YOUR_CALM, "streams that were reset" },
    { "CONTINUATION", add_continuation, 20, NGHTTP2_ENHANCE_YOUR_CALM, "CONTINUATION" },
    { "SETTINGS", add_settings, 1000, NGHTTP2_ENHANCE_YOUR_CALM, "too many SETTINGS frames" },
    { "long SETTINGS", add_long_settings, 1, NGHTTP2_ENHANCE_YOUR_CALM, "more than 32 settings" },
    { "PING", add_ping, 5000, NGHTTP2_ENHANCE_YOUR_CALM, "PING" },
    { "empty DATA", add_empty_data, 2000, NGHTTP2_ENHANCE_YOUR_CALM, "empty DATA" },
    { "padded DATA", add_padded_data, 2000, NGHTTP2_ENHANCE_YOUR_CALM, "empty DATA" },
    { "PRIORITY", add_priority, 5000, NGHTTP2_ENHANCE_YOUR_CALM, "PRIORITY" },
    { "PRIORITY_UPDATE", add_priority_update, 5000, NGHTTP2_ENHANCE_YOUR_CALM, "PRIORITY" },
    { "small windows", add_small_window, 5000, NGHTTP2_ENHANCE_YOUR_CALM, "few bytes" },
    { "unknown frames", add_unknown, 5000, NGHTTP2_ENHANCE_YOUR_CALM, "unknown types" },
    { "window by 0", add_window_zero, 1, NGHTTP2_PROTOCOL_ERROR, "WINDOW_UPDATE by 0" },
    { "window overflow", add_window_overflow, 3000, 0, "HTTP/2 connection" },
    { "DATA after the end", add_data_after_end, 3000, 0, "HTTP/2 connection" },
    { "HEADERS after the end", add_headers_after_end, 3000, 0, "HTTP/2 connection" },
    { "self-dependency", add_self_dependency, 1, NGHTTP2_PROTOCOL_ERROR, "depends on itself" },
    { "wrong length", add_wrong_length, 3000, 0, "HTTP/2 connection" },
    { "bad fields", add_bad_field, 3000, 0, "HTTP/2 connection" },
};

/* Read what is there. */
static bool has_goaway(struct h2_peer *peer)
{
    struct pollfd fd = { .fd = peer->raw.fd, .events = POLLIN };
    struct h2_frame f;

    while (!peer->goaway && poll(&fd, 1, 0) > 0)
        if (h2_next(peer, &f) < 0)
            return true;
    return peer->goaway;
}

static int flood_client(struct served *s)
{
    const struct flood *flood = s->data;
    struct h2_peer peer;
    struct strbuf out = STRBUF_INIT;

    CHECK(s, h2_open(s, &peer, "", 0) == 0);
    for (uint32_t i = 0; i < flood->parts; i++) {
        flood->add(&out, i);
        if (out.len > 8000 && (h2_say(&peer, &out) < 0 || has_goaway(&peer)))
            break; /* the server has heard enough */
    }
    if (out.len > 0)
        h2_say(&peer, &out);
    strbuf_done(&out);
    h2_until_end(&peer);
    CHECK(s, peer.goaway);
    CHECK(s, flood->code ? peer.goaway_code == flood->code : peer.goaway_code != 0);
    h2_close(&peer);
    /* Others are served. */
    CHECK(s, h2_open(s, &peer, "", 0) == 0);
    CHECK(s, h2_get(&peer, 1, "/") == 200);
    h2_close(&peer);
    atomic_store(&gate, 1);
    return 0;
}

static void floods_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(floods) / sizeof(*floods); i++) {
        struct served s = { .data = (void *)&floods[i] };

        print_message("           %s\n", floods[i].name);
        run(flood_client, &s);
        assert_int_equal(served_log_count(&s, "HTTP/2 connection from"), 1);
        assert_int_equal(served_log_count(&s, floods[i].rule) > 0, 1);
        assert_int_equal(s.stats.connections, 0);
        served_done(&s);
    }
}

/* ---- the place of a stream that was reset ------------------------------------------------ */

static bool hundred_wait(struct served *s)
{
    (void)s;
    return atomic_load(&waiting) == 100;
}

static int places_client(struct served *s)
{
    struct h2_peer peer;
    struct strbuf out = STRBUF_INIT;
    struct h2_answer a = { 0 };

    CHECK(s, h2_open(s, &peer, "", 0) == 0);
    for (uint32_t i = 0; i < 100; i++)
        h2_add_request(&out, 2 * i + 1, true, "GET", "/stubborn", NULL);
    CHECK(s, h2_say(&peer, &out) == 0);
    CHECK(s, served_await(s, hundred_wait));
    for (uint32_t i = 0; i < 100; i++)
        h2_add_word(&out, NGHTTP2_RST_STREAM, 2 * i + 1, NGHTTP2_CANCEL);
    h2_add_request(&out, 201, true, "GET", "/", NULL);
    CHECK(s, h2_say(&peer, &out) == 0);
    CHECK(s, h2_answer(&peer, 201, &a, true) == 0);
    CHECK(s, a.reset && a.code == NGHTTP2_REFUSED_STREAM);
    atomic_store(&gate, 1);
    for (uint32_t id = 203;; id += 2) { /* as they end */
        struct h2_answer b = { 0 };

        h2_add_request(&out, id, true, "GET", "/", NULL);
        CHECK(s, h2_say(&peer, &out) == 0 && h2_answer(&peer, id, &b, true) == 0);
        if (b.status == 200)
            break;
        CHECK(s, b.code == NGHTTP2_REFUSED_STREAM && id < 2000);
    }
    h2_close(&peer);
    return 0;
}

static void a_reset_gives_no_place(void **state)
{
    struct served s = { 0 };

    (void)state;
    run(places_client, &s);
    served_done(&s);
}

/* ---- windows -------------------------------------------------------------------------------- */

static int shut_client(struct served *s)
{
    static const char settings[] = { 0, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0, 0, 0, 0 };
    struct h2_peer peer;
    struct strbuf out = STRBUF_INIT;
    struct h2_answer a = { 0 };

    CHECK(s, h2_open(s, &peer, settings, sizeof(settings)) == 0);
    h2_add_request(&out, 1, true, "GET", "/large", NULL);
    CHECK(s, h2_say(&peer, &out) == 0 && h2_answer(&peer, 1, &a, false) == 0);
    CHECK(s, a.status == 200 && a.body_len == 0 && a.reset && a.code == NGHTTP2_CANCEL);
    h2_close(&peer);
    return 0;
}

static void a_window_that_stays_shut(void **state)
{
    struct served s = { .opts = { .write_stall_ms = 200 } };

    (void)state;
    run(shut_client, &s);
    assert_int_equal(s.stats.in_flight, 0);
    served_done(&s);
}

/* A byte now and then is no progress. */
static int drip_client(struct served *s)
{
    static const char settings[] = { 0, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0, 0, 0, 0 };
    struct h2_peer peer;
    struct strbuf out = STRBUF_INIT;
    struct h2_answer a = { 0 };
    struct timeval brief = { .tv_usec = 50000 };
    struct h2_frame f;
    int64_t until = test_now_ms() + 8000;

    CHECK(s, h2_open(s, &peer, settings, sizeof(settings)) == 0);
    h2_add_request(&out, 1, true, "GET", "/large", NULL);
    CHECK(s, h2_say(&peer, &out) == 0);
    setsockopt(peer.raw.fd, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof(brief));
    while (!a.reset && test_now_ms() < until) {
        h2_add_word(&out, NGHTTP2_WINDOW_UPDATE, 1, 1);
        CHECK(s, h2_say(&peer, &out) == 0);
        poll(NULL, 0, 20);
        if (h2_next(&peer, &f) == 0)
            a.reset = f.type == NGHTTP2_RST_STREAM;
    }
    CHECK(s, a.reset);
    h2_close(&peer);
    return 0;
}

static void a_window_that_drips(void **state)
{
    struct served s = { .opts = { .write_stall_ms = 500 } };

    (void)state;
    run(drip_client, &s);
    served_done(&s);
}

static int negative_client(struct served *s)
{
    static const char settings[] = { 0, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0, 0, 0, 0 };
    struct h2_peer peer;
    struct strbuf out = STRBUF_INIT;
    struct h2_answer a = { 0 };

    CHECK(s, h2_open(s, &peer, "", 0) == 0);
    h2_add_request(&out, 1, true, "GET", "/large", NULL);
    CHECK(s, h2_say(&peer, &out) == 0);
    h2_add(&out, NGHTTP2_SETTINGS, 0, 0, settings, sizeof(settings)); /* below zero by now */
    h2_add_word(&out, NGHTTP2_WINDOW_UPDATE, 0, 1 << 20);
    h2_add_word(&out, NGHTTP2_WINDOW_UPDATE, 1, 1 << 20);
    CHECK(s, h2_say(&peer, &out) == 0 && h2_answer(&peer, 1, &a, false) == 0);
    CHECK(s, a.ended && a.body_len == 100000);
    h2_close(&peer);
    return 0;
}

static void a_negative_window(void **state)
{
    struct served s = { 0 };

    (void)state;
    run(negative_client, &s);
    served_done(&s);
}

/* ---- time ------------------------------------------------------------------------------------ */

static int trickle_client(struct served *s)
{
    struct h2_peer peer;
    struct strbuf out = STRBUF_INIT;

    CHECK(s, h2_open(s, &peer, "", 0) == 0);
    CHECK(s, h2_get(&peer, 1, "/") == 200);
    h2_add(&out, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 3, "\0", 1);
    CHECK(s, h2_say(&peer, &out) == 0);
    h2_until_end(&peer);
    CHECK(s, peer.goaway && peer.goaway_code == NGHTTP2_ENHANCE_YOUR_CALM);
    h2_close(&peer);
    return 0;
}

static void a_header_block_that_does_not_end(void **state)
{
    struct served s = { .opts = { .head_ms = 200 } };

    (void)state;
    run(trickle_client, &s);
    assert_int_equal(served_log_count(&s, "did not come in time"), 1);
    served_done(&s);
}

/* ---- identifiers -------------------------------------------------------------------------------- */

static int smaller_client(struct served *s)
{
    struct h2_peer peer;
    struct strbuf out = STRBUF_INIT;

    CHECK(s, h2_open(s, &peer, "", 0) == 0);
    h2_add_request(&out, 5, true, "GET", "/", NULL);
    h2_add_request(&out, 3, true, "GET", "/", NULL);
    CHECK(s, h2_say(&peer, &out) == 0);
    h2_until_end(&peer);
    CHECK(s, peer.goaway && peer.goaway_code == NGHTTP2_PROTOCOL_ERROR);
    h2_close(&peer);
    return 0;
}

static void a_smaller_identifier(void **state)
{
    struct served s = { 0 };

    (void)state;
    run(smaller_client, &s);
    assert_int_equal(served_log_count(&s, "smaller than an earlier one"), 1);
    served_done(&s);
}

/* A bomb of HPACK: one entry of the table, named again and again. */
#define REQUEST "\x82\x84\x86\x01\x01t" /* GET / http, :authority t */

static int bomb_client(struct served *s)
{
    static char value[3900];
    struct strbuf block = STRBUF_INIT, out = STRBUF_INIT;
    struct h2_peer peer;
    struct h2_answer a = { 0 };

    memset(value, 'b', sizeof(value) - 1);
    CHECK(s, h2_open(s, &peer, "", 0) == 0);
    for (uint32_t i = 0; i < 200; i++) {
        if (i == 0) { /* put into the table */
            static const char *const fields[] = { "x", value, NULL };
            size_t at;

            strbuf_add_c(&block, REQUEST);
            at = block.len;
            h2_fields_text(&block, fields);
            block.ptr[at] = 0x40;
        } else {
            strbuf_add_c(&block, REQUEST);
        }
        for (int k = 0; k < 8000; k++)
            strbuf_add_char(&block, (char)(0x80 | 62));
        h2_add(&out, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 2 * i + 1,
               block.ptr, block.len);
        block.len = 0;
        CHECK(s, h2_say(&peer, &out) == 0);
        if (i == 0)
            CHECK(s, h2_answer(&peer, 1, &a, true) == 0 && a.status == 431);
        if (has_goaway(&peer))
            break;
    }
    strbuf_done(&block);
    h2_until_end(&peer);
    CHECK(s, peer.goaway && peer.goaway_code == NGHTTP2_ENHANCE_YOUR_CALM);
    h2_close(&peer);
    return 0;
}

static void an_hpack_bomb(void **state)
{
    struct served s = { 0 };

    (void)state;
    run(bomb_client, &s);
    assert_int_equal(served_log_count(&s, "header lists over the limits"), 1);
    served_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floods_end),
        cmocka_unit_test(a_reset_gives_no_place),
        cmocka_unit_test(a_window_that_stays_shut),
        cmocka_unit_test(a_window_that_drips),
        cmocka_unit_test(a_negative_window),
        cmocka_unit_test(a_header_block_that_does_not_end),
        cmocka_unit_test(a_smaller_identifier),
        cmocka_unit_test(an_hpack_bomb),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
