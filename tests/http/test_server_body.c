/* Bodies in both directions: by length and chunked, streamed with backpressure,
 * limits, 100 (Continue), and what is left unread. */
#include "served.h"

#include <poll.h>

#define BIG_BYTES (8u << 20)

/* A byte that tells where it stands. */
static char byte_at(size_t i)
{
    return (char)('a' + (i * 31 + i / 251) % 26);
}

/* ---- into the handler ------------------------------------------------------------ */

static int count_bytes(weir_exchange *x)
{
    weir_str data;
    size_t total = 0;
    ssize_t n;

    while ((n = weir_body_read(x, &data)) > 0) {
        for (size_t i = 0; i < data.len; i++)
            if (data.ptr[i] != byte_at(total + i))
                return weir_problem(x, 500, "byte %zu is wrong", total + i);
        total += data.len;
    }
    if (n < 0)
        return (int)n;
    return weir_reply(x, 200, "text/plain", weir_format("%zu", total));
}

static int whole(weir_exchange *x)
{
    weir_str body;
    int rc = weir_body_all(x, &body);

    if (rc < 0)
        return weir_wrap(rc, "reading the body");
    if (body.ptr[body.len] != '\0')
        return -EINVAL;
    return weir_reply(
        x, 200, "text/plain",
        weir_format("%zu:%.*s", body.len, (int)(body.len < 20 ? body.len : 20), body.ptr));
}

static int ignores(weir_exchange *x)
{
    return weir_reply_text(x, 200, "not read");
}

static int echo(weir_exchange *x)
{
    weir_str type = weir_header(x, "content-length"), data;
    int64_t length = type.ptr ? strtoll(type.ptr, NULL, 10) : WEIR_UNKNOWN_LENGTH;
    int rc = weir_reply_begin(x, 200, "application/octet-stream", length);
    ssize_t n = 0;

    while (rc == 0 && (n = weir_body_read(x, &data)) > 0)
        rc = weir_write(x, data);
    return rc < 0 ? rc : n < 0 ? (int)n : weir_end(x);
}

static int big_reply(weir_exchange *x)
{
    char *all = weir_alloc(BIG_BYTES);

    if (!all)
        return -ENOMEM;
    for (size_t i = 0; i < BIG_BYTES; i++)
        all[i] = byte_at(i);
    return weir_reply(x, 200, "application/octet-stream", weir_str_from(all, BIG_BYTES));
}

/* Pieces below and above what is copied. */
static int big_pieces(weir_exchange *x)
{
    int rc = weir_reply_begin(x, 200, "application/octet-stream", WEIR_UNKNOWN_LENGTH);
    char piece[6000];
    size_t at = 0;

    for (size_t size = 1; rc == 0 && at < BIG_BYTES / 4; size = size * 7 % 5999 + 1) {
        for (size_t i = 0; i < size; i++)
            piece[i] = byte_at(at + i);
        rc = weir_write(x, weir_str_from(piece, size));
        at += size;
    }
    if (rc == 0)
        rc = weir_flush(x);
    return rc;
}

static int hello(weir_exchange *x)
{
    return weir_reply_text(x, 200, "Hello, World!");
}

static const struct served_route routes[] = {
    { .path = "/", .handler = hello },
    { .path = "/count", .handler = count_bytes, .body_max_bytes = HTTP_UNLIMITED },
    { .path = "/whole", .handler = whole },
    { .path = "/small", .handler = whole, .body_max_bytes = 10 },
    { .path = "/ignores", .handler = ignores },
    { .path = "/echo", .handler = echo, .body_max_bytes = HTTP_UNLIMITED },
    { .path = "/big", .handler = big_reply },
    { .path = "/pieces", .handler = big_pieces },
    { 0 }
};

static int expect_body(struct served *s, struct peer *peer, int status, const char *body)
{
    struct answer a;

    CHECK(s, peer_answer(peer, false, &a) == 0);
    if (a.status != status)
        print_message("%.*s\n", (int)a.total, peer->in);
    CHECK(s, a.status == status && a.complete);
    CHECK(s, !body || (a.body_len == strlen(body) && !strncmp(a.body, body, a.body_len)));
    peer_next(peer, &a);
    return 0;
}

static int small_client(struct served *s)
{
    struct peer peer;

    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer, "POST /whole HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhelloGET "
                             "/ HTTP/1.1\r\nHost: t\r\n\r\n") == 0);
    if (expect_body(s, &peer, 200, "5:hello") < 0 ||
        expect_body(s, &peer, 200, "Hello, World!") < 0)
        return -1;
    CHECK(s,
          peer_say(&peer, "POST /whole HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
                          "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-T: 1\r\n\r\nGET / HTTP/1.1\r\nHost: "
                          "t\r\n\r\n") == 0);
    if (expect_body(s, &peer, 200, "5:abcde") < 0 ||
        expect_body(s, &peer, 200, "Hello, World!") < 0)
        return -1;
    CHECK(s, peer_say(&peer, "POST /whole HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n") == 0);
    if (expect_body(s, &peer, 200, "0:") < 0)
        return -1;
    CHECK(s, peer_say(&peer, "GET /whole HTTP/1.1\r\nHost: t\r\n\r\n") == 0);
    if (expect_body(s, &peer, 200, "0:") < 0)
        return -1;
    peer_close(&peer);
    return 0;
}

static void small_bodies(void **state)
{
    struct served s = { .routes = routes, .client = small_client };

    (void)state;
    served_run(&s);
    served_done(&s);
}

/* A chunked body cut at every place. */
static int split_client(struct served *s)
{
    const char *request = "POST /whole HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
                          "3\r\nabc\r\na\r\n0123456789\r\n0\r\n\r\n";
    size_t len = strlen(request);
    struct peer peer;

    CHECK(s, peer_open(s, &peer) == 0);
    for (size_t cut = 1; cut < len; cut++) {
        CHECK(s, peer_send(&peer, request, cut) == 0);
        sched_yield();
        CHECK(s, peer_send(&peer, request + cut, len - cut) == 0);
        if (expect_body(s, &peer, 200, "13:abc0123456789") < 0)
            return -1;
    }
    peer_close(&peer);
    return 0;
}

static void a_chunked_body_in_two_pieces(void **state)
{
    struct served s = { .routes = routes, .client = split_client };

    (void)state;
    served_run(&s);
    served_done(&s);
}

static int send_big(struct peer *peer, bool chunked)
{
    static char piece[10000];
    size_t at = 0;

    while (at < BIG_BYTES) {
        size_t size = BIG_BYTES - at < sizeof piece ? BIG_BYTES - at : sizeof piece;
        char line[16];

        for (size_t i = 0; i < size; i++)
            piece[i] = byte_at(at + i);
        snprintf(line, sizeof line, "%zx\r\n", size);
        if ((chunked && peer_say(peer, line) < 0) || peer_send(peer, piece, size) < 0 ||
            (chunked && peer_say(peer, "\r\n") < 0))
            return -1;
        at += size;
    }
    return chunked ? peer_say(peer, "0\r\n\r\n") : 0;
}

static int big_in_client(struct served *s)
{
    struct peer peer;

    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer,
                      "POST /count HTTP/1.1\r\nHost: t\r\nContent-Length: 8388608\r\n\r\n") == 0);
    CHECK(s, send_big(&peer, false) == 0);
    if (expect_body(s, &peer, 200, "8388608") < 0)
        return -1;
    CHECK(s, peer_say(&peer, "POST /count HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: "
                             "chunked\r\n\r\n") == 0);
    CHECK(s, send_big(&peer, true) == 0);
    if (expect_body(s, &peer, 200, "8388608") < 0)
        return -1;
    peer_close(&peer);
    return 0;
}

static void a_big_body_in(void **state)
{
    struct served s = { .routes = routes, .client = big_in_client };

    (void)state;
    served_run(&s);
    served_done(&s);
}

/* ---- out of the handler ---------------------------------------------------------------- */

/* Read so many bytes of a body and check each; the first are in peer->in. */
static int read_big(struct served *s, struct peer *peer, size_t from, size_t bytes, bool slow)
{
    static char piece[65536];
    size_t have = peer->len - from;

    for (size_t i = 0; i < have; i++)
        CHECK(s, peer->in[from + i] == byte_at(i));
    while (have < bytes) {
        size_t want = bytes - have < sizeof piece ? bytes - have : sizeof piece;
        ssize_t n = recv(peer->fd, piece, want, 0);

        CHECK(s, n > 0);
        for (ssize_t i = 0; i < n; i++)
            CHECK(s, piece[i] == byte_at(have + (size_t)i));
        have += (size_t)n;
        if (slow)
            poll(NULL, 0, 1);
    }
    peer->len = 0;
    return 0;
}

static char *read_head(struct peer *peer)
{
    char *end = NULL;

    while (!end) {
        ssize_t n = recv(peer->fd, peer->in + peer->len, 1, 0);

        if (n <= 0)
            return NULL;
        peer->in[++peer->len] = '\0';
        end = strstr(peer->in, "\r\n\r\n");
    }
    return end + 4;
}

static int big_out_client(struct served *s)
{
    struct peer peer;
    char *body;

    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer, "GET /big HTTP/1.1\r\nHost: t\r\n\r\n") == 0);
    body = read_head(&peer);
    CHECK(s, body && strstr(peer.in, "Content-Length: 8388608\r\n"));
    if (read_big(s, &peer, (size_t)(body - peer.in), BIG_BYTES, true) < 0)
        return -1;
    CHECK(s, peer_say(&peer, "GET / HTTP/1.1\r\nHost: t\r\n\r\n") == 0);
    if (expect_body(s, &peer, 200, "Hello, World!") < 0)
        return -1;
    peer_close(&peer);
    return 0;
}

static void a_big_body_out(void **state)
{
    struct served s = { .routes = routes, .client = big_out_client };

    (void)state;
    served_run(&s);
    served_done(&s);
}

/* Decode chunks as they come, checking content. */
static int pieces_client(struct served *s)
{
    struct peer peer;
    char *body, line[32];
    size_t at = 0, len = 0;

    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer, "GET /pieces HTTP/1.1\r\nHost: t\r\n\r\n") == 0);
    body = read_head(&peer);
    CHECK(s, body && strstr(peer.in, "Transfer-Encoding: chunked\r\n"));
    for (;;) {
        size_t size;

        len = 0;
        do {
            CHECK(s, len < sizeof line - 1 && recv(peer.fd, line + len, 1, 0) == 1);
            line[++len] = '\0';
        } while (len < 2 || line[len - 1] != '\n');
        size = strtoul(line, NULL, 16);
        peer.len = 0;
        while (peer.len < size + 2) {
            ssize_t n = recv(peer.fd, peer.in + peer.len, size + 2 - peer.len, 0);

            CHECK(s, n > 0);
            peer.len += (size_t)n;
        }
        CHECK(s, !strncmp(peer.in + size, "\r\n", 2));
        for (size_t i = 0; i < size; i++)
            CHECK(s, peer.in[i] == byte_at(at + i));
        at += size;
        if (size == 0)
            break;
    }
    CHECK(s, at >= BIG_BYTES / 4);
    peer_close(&peer);
    return 0;
}

static void pieces_of_every_size(void **state)
{
    struct served s = { .routes = routes, .client = pieces_client };

    (void)state;
    served_run(&s);
    served_done(&s);
}

/* Send and receive at once; the server may hold no more than its buffers. */
struct echo_sender {
    struct peer *peer;
    int rc;
};

static void *echo_send(void *arg)
{
    struct echo_sender *e = arg;

    e->rc = send_big(e->peer, false);
    return NULL;
}

static int echo_client(struct served *s)
{
    struct peer peer;
    struct echo_sender e = { .peer = &peer };
    pthread_t thread;
    char *body;

    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer, "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 8388608\r\n\r\n") ==
                 0);
    pthread_create(&thread, NULL, echo_send, &e);
    body = read_head(&peer);
    if (!body || read_big(s, &peer, (size_t)(body - peer.in), BIG_BYTES, false) < 0)
        return served_fail(s, __FILE__, __LINE__, "echo");
    pthread_join(thread, NULL);
    CHECK(s, e.rc == 0);
    peer_close(&peer);
    return 0;
}

static void an_echo_of_a_big_body(void **state)
{
    struct served s = { .routes = routes, .client = echo_client };

    (void)state;
    served_run(&s);
    served_done(&s);
}

/* ---- limits ------------------------------------------------------------------------------- */

static int limits_client(struct served *s)
{
    struct peer peer;

    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer, "POST /small HTTP/1.1\r\nHost: t\r\nContent-Length: "
                             "11\r\n\r\nhello world") == 0);
    if (expect_body(s, &peer, 413, NULL) < 0)
        return -1;
    peer_close(&peer);
    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer, "POST /small HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: "
                             "chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n") == 0);
    if (expect_body(s, &peer, 413, NULL) < 0)
        return -1;
    CHECK(s, peer_until_end(&peer) == 0);
    peer_close(&peer);
    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer, "POST /small HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n"
                             "0123456789") == 0);
    if (expect_body(s, &peer, 200, "10:0123456789") < 0)
        return -1;
    CHECK(s, peer_say(&peer, "POST /whole HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: "
                             "chunked\r\n\r\nx\r\n") == 0);
    if (expect_body(s, &peer, 400, NULL) < 0)
        return -1;
    CHECK(s, peer_until_end(&peer) == 0);
    peer_close(&peer);
    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer, "POST /whole HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n0123") ==
                 0);
    shutdown(peer.fd, SHUT_WR);
    if (expect_body(s, &peer, 400, NULL) < 0)
        return -1;
    CHECK(s, peer_until_end(&peer) == 0);
    peer_close(&peer);
    return 0;
}

static void limits_and_faults(void **state)
{
    struct served s = { .routes = routes, .client = limits_client };

    (void)state;
    served_run(&s);
    assert_int_equal(s.stats.answered[4], 4);
    served_done(&s);
}

/* ---- 100 (Continue) --------------------------------------------------------------------------- */

static int continue_client(struct served *s)
{
    struct peer peer;
    struct answer a;
    char value[256];

    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer, "POST /whole HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nExpect: "
                             "100-continue\r\n\r\n") == 0);
    CHECK(s, peer_answer(&peer, false, &a) == 0 && a.status == 100);
    peer_next(&peer, &a);
    CHECK(s, peer_say(&peer, "hello") == 0);
    if (expect_body(s, &peer, 200, "5:hello") < 0)
        return -1;
    /* The body is there already: nothing is said in between. */
    CHECK(s, peer_say(&peer, "POST /whole HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nExpect: "
                             "100-continue\r\n\r\nhello") == 0);
    if (expect_body(s, &peer, 200, "5:hello") < 0)
        return -1;
    /* Answered without reading: the body is never asked for. */
    CHECK(s, peer_say(&peer, "POST /ignores HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nExpect: "
                             "100-continue\r\n\r\n") == 0);
    CHECK(s, peer_answer(&peer, false, &a) == 0 && a.status == 200);
    CHECK(s, answer_field(&a, "Connection", value) && strcmp(value, "close") == 0);
    peer_next(&peer, &a);
    CHECK(s, peer_until_end(&peer) == 0 && peer.len == 0);
    peer_close(&peer);
    /* Nor one that is too large. */
    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer, "POST /small HTTP/1.1\r\nHost: t\r\nContent-Length: 11\r\nExpect: "
                             "100-continue\r\n\r\n") == 0);
    if (expect_body(s, &peer, 413, NULL) < 0)
        return -1;
    peer_close(&peer);
    return 0;
}

static void expectations(void **state)
{
    struct served s = { .routes = routes, .client = continue_client };

    (void)state;
    served_run(&s);
    served_done(&s);
}

/* ---- what is left unread ----------------------------------------------------------------------- */

static int unread_client(struct served *s)
{
    static char body[300000];
    struct peer peer;
    struct answer a;
    char value[256];

    memset(body, 'x', sizeof body);
    CHECK(s, peer_open(s, &peer) == 0);
    /* A small one is read and dropped, and the connection goes on. */
    CHECK(s, peer_say(&peer,
                      "POST /ignores HTTP/1.1\r\nHost: t\r\nContent-Length: 50000\r\n\r\n") == 0);
    CHECK(s, peer_send(&peer, body, 50000) == 0);
    CHECK(s, peer_say(&peer, "GET / HTTP/1.1\r\nHost: t\r\n\r\n") == 0);
    if (expect_body(s, &peer, 200, "not read") < 0 ||
        expect_body(s, &peer, 200, "Hello, World!") < 0)
        return -1;
    CHECK(s, peer_say(&peer, "POST /ignores HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: "
                             "chunked\r\n\r\n") == 0);
    if (expect_body(s, &peer, 200, "not read") < 0)
        return -1;
    CHECK(s, peer_say(&peer, "3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: t\r\n\r\n") == 0);
    if (expect_body(s, &peer, 200, "Hello, World!") < 0)
        return -1;
    /* A large one is not: the answer still arrives, though the client was sending. */
    CHECK(s, peer_say(&peer,
                      "POST /ignores HTTP/1.1\r\nHost: t\r\nContent-Length: 300000\r\n\r\n") == 0);
    CHECK(s, peer_send(&peer, body, 40000) == 0);
    CHECK(s, peer_answer(&peer, false, &a) == 0 && a.status == 200);
    CHECK(s, answer_field(&a, "Connection", value) && strcmp(value, "close") == 0);
    peer_close(&peer);
    return 0;
}

static void unread_bodies(void **state)
{
    struct served s = { .routes = routes, .client = unread_client };

    (void)state;
    served_run(&s);
    assert_int_equal(s.stats.answered[2], 5);
    served_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_bodies),         cmocka_unit_test(a_chunked_body_in_two_pieces),
        cmocka_unit_test(a_big_body_in),        cmocka_unit_test(a_big_body_out),
        cmocka_unit_test(pieces_of_every_size), cmocka_unit_test(an_echo_of_a_big_body),
        cmocka_unit_test(limits_and_faults),    cmocka_unit_test(expectations),
        cmocka_unit_test(unread_bodies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
