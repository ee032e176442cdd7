/* Trailer sections and interim answers, over HTTP/1.1 and over HTTP/2. */
#include "h2_server_peer.h"

#include <weir/error.h>
#include <weir/exchange.h>

/* Says what trailer came, and sends one of its own. */
static int summed(weir_exchange *x)
{
    weir_str body, sum;
    int rc;

    if (weir_trailer(x, "X-Sum").ptr)
        return weir_reply_text(x, 500, "a trailer before the body");
    rc = weir_body_all(x, &body);
    if (rc < 0)
        return rc;
    sum = weir_trailer(x, "x-sum");
    if (weir_set_trailer(x, "Content-Length", WEIR_S("5")) != -EINVAL ||
        weir_set_trailer(x, "X\r\n", WEIR_S("5")) != -EINVAL ||
        weir_set_trailer(x, "X-Ok", WEIR_S("a\nb")) != -EINVAL)
        return weir_reply_text(x, 500, "a trailer that may not be");
    weir_recover();
    rc = weir_reply_begin(x, 200, "text/plain", WEIR_UNKNOWN_LENGTH);
    if (rc == 0)
        rc = weir_write(x, sum.ptr ? sum : WEIR_S("none"));
    if (rc == 0)
        rc = weir_set_trailer(x, "X-Status", WEIR_S(" 0 "));
    return rc < 0 ? rc : weir_end(x);
}

static int informed(weir_exchange *x)
{
    int rc = weir_inform(x, 103, "Link", WEIR_S("</a.css>; rel=preload"));

    if (rc == 0)
        rc = weir_inform(x, 102, NULL, WEIR_S(""));
    if (rc == 0 && weir_inform(x, 200, NULL, WEIR_S("")) != -EINVAL)
        return -EIO;
    weir_recover();
    if (rc == 0)
        rc = weir_reply_text(x, 200, "done");
    if (rc == 0 && weir_inform(x, 103, NULL, WEIR_S("")) != WEIR_ECLOSED)
        return -EIO;
    weir_recover();
    return rc;
}

/* Nothing but a trailer. */
static int bare(weir_exchange *x)
{
    int rc = weir_set_trailer(x, "X-Status", WEIR_S("7"));

    return rc < 0 ? rc : weir_reply_status(x, 200);
}

static const struct served_route routes[] = { { .path = "/sum", .handler = summed },
                                              { .path = "/inform", .handler = informed },
                                              { .path = "/bare", .handler = bare },
                                              { 0 } };

static void run(int (*client)(struct served *s), struct served *s)
{
    s->routes = routes;
    s->client = client;
    served_run(s);
}

/* ---- HTTP/1.1 ------------------------------------------------------------------------- */

static int read_all(struct served *s, const char *request, size_t step, char text[static 4096])
{
    struct peer peer;

    CHECK(s, peer_open(s, &peer) == 0);
    for (size_t at = 0; at < strlen(request); at += step)
        CHECK(s, peer_send(&peer, request + at,
                           strlen(request) - at < step ? strlen(request) - at : step) == 0);
    CHECK(s, peer_until_end(&peer) == 0);
    CHECK(s, peer.len < 4096);
    memcpy(text, peer.in, peer.len);
    text[peer.len] = '\0';
    peer_close(&peer);
    return 0;
}

#define HEAD(path, version)                                                    \
    "POST " path " HTTP/" version "\r\nHost: t\r\nConnection: close\r\n"

static int h1_client(struct served *s)
{
    static const char chunked[] = HEAD("/sum", "1.1") "Transfer-Encoding: chunked\r\n\r\n"
                                                      "4\r\nbody\r\n0\r\n"
                                                      "X-Other: 1\r\nX-Sum:  seven \r\n\r\n";
    static const char without[] = HEAD("/sum", "1.1") "Content-Length: 4\r\n\r\nbody";
    char text[4096];

    for (size_t step = 1; step < 40; step += 3) {
        CHECK(s, read_all(s, chunked, step, text) == 0);
        CHECK(s, strstr(text, "5\r\nseven\r\n0\r\nX-Status: 0\r\n\r\n"));
    }
    CHECK(s, read_all(s, without, sizeof(without), text) == 0);
    CHECK(s, strstr(text, "4\r\nnone\r\n0\r\nX-Status: 0\r\n\r\n"));
    CHECK(s, read_all(s, HEAD("/inform", "1.1") "\r\n", 1000, text) == 0);
    CHECK(s, strncmp(text,
                     "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
                     "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\n",
                     97) == 0);
    CHECK(s, read_all(s, HEAD("/inform", "1.0") "\r\n", 1000, text) == 0);
    CHECK(s, strncmp(text, "HTTP/1.1 200 OK\r\n", 17) == 0);
    CHECK(s, read_all(s, HEAD("/bare", "1.1") "\r\n", 1000, text) == 0);
    CHECK(s, strstr(text, "Content-Length: 0\r\n") && !strstr(text, "X-Status"));
    return 0;
}

static void over_h1(void **state)
{
    struct served s = { 0 };

    (void)state;
    run(h1_client, &s);
    served_done(&s);
}

/* ---- HTTP/2 ----------------------------------------------------------------------------- */

static int h2_client(struct served *s)
{
    static const char *const trailers[] = { "x-other", "1", "x-sum", "seven", NULL };
    static const char *const forbidden[] = { "content-length", "4", NULL };
    struct h2_peer peer;
    struct strbuf out = STRBUF_INIT;
    char body[64] = "";
    struct h2_answer a = { .body = body, .room = sizeof(body) }, b = { 0 }, c = { 0 }, d = { 0 };

    CHECK(s, h2_open(s, &peer, "", 0) == 0);
    h2_add_request(&out, 1, false, "POST", "/sum", NULL);
    h2_add(&out, NGHTTP2_DATA, 0, 1, "body", 4);
    h2_add_headers(&out, NGHTTP2_FLAG_END_STREAM, 1, trailers);
    CHECK(s, h2_say(&peer, &out) == 0 && h2_answer(&peer, 1, &a, true) == 0);
    CHECK(s, a.status == 200 && a.ended && strcmp(body, "seven") == 0);
    CHECK(s, strstr(a.fields, "x-status: 0\n"));
    h2_add_request(&out, 3, true, "GET", "/inform", NULL);
    CHECK(s, h2_say(&peer, &out) == 0 && h2_answer(&peer, 3, &b, true) == 0);
    CHECK(s, b.status == 200 && b.informed == 102 && b.body_len == 4);
    CHECK(s, strstr(b.fields, ":status: 103\nlink: </a.css>; rel=preload\n:status: 102\n"));
    h2_add_request(&out, 5, true, "GET", "/bare", NULL);
    CHECK(s, h2_say(&peer, &out) == 0 && h2_answer(&peer, 5, &c, true) == 0);
    CHECK(s, c.status == 200 && c.ended && c.body_len == 0 && strstr(c.fields, "x-status: 7\n"));
    h2_add_request(&out, 7, false, "POST", "/sum", NULL);
    h2_add_headers(&out, NGHTTP2_FLAG_END_STREAM, 7, forbidden);
    CHECK(s, h2_say(&peer, &out) == 0 && h2_answer(&peer, 7, &d, true) == 0);
    CHECK(s, d.status == 400 || d.reset);
    h2_close(&peer);
    return 0;
}

static void over_h2(void **state)
{
    struct served s = { 0 };

    (void)state;
    run(h2_client, &s);
    served_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(over_h1), cmocka_unit_test(over_h2) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
