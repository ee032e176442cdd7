/* TLS between a file's owner and the backend: the owner's operations against OpenSSL at
 * the far end of a TCP connection, which the test moves byte by byte. */
#include "support/in_task.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "net/tls_layer.h"
#include "rt/rt.h"
#include "support/certificates.h"
#include "support/random.h"
#include "support/tls_far.h"

#define TURNS_MAX 2000000

static struct fixture {
    struct cert ca, server;
    SSL_CTX *server_ctx, *client_ctx;
} fix;

static SSL_CTX *make_server(const struct cert *cert)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    CHECK(ctx);
    CHECK_INT(SSL_CTX_use_certificate(ctx, cert->cert), 1);
    CHECK_INT(SSL_CTX_use_PrivateKey(ctx, cert->key), 1);
    return ctx;
}

static int set_up(void **state)
{
    (void)state;
    fix.ca = cert_make(.common_name = "test CA", .kind = CERT_CA);
    fix.server = cert_make(.issuer = &fix.ca, .names = "DNS:localhost,IP:127.0.0.1");
    fix.server_ctx = make_server(&fix.server);
    fix.client_ctx = SSL_CTX_new(TLS_client_method());
    X509_STORE_add_cert(SSL_CTX_get_cert_store(fix.client_ctx), fix.ca.cert);
    SSL_CTX_set_verify(fix.client_ctx, SSL_VERIFY_PEER, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    SSL_CTX_free(fix.server_ctx);
    SSL_CTX_free(fix.client_ctx);
    cert_free(&fix.server);
    cert_free(&fix.ca);
    return 0;
}

/* ---- a connection ---------------------------------------------------------------- */

struct wire {
    struct loop *loop;
    struct io_file file;
    struct io_op recv, send;
    struct tls_far far;
    size_t most;
    unsigned ended;
};

static void tcp_pair(int fds[2])
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(addr);
    int on = 1, listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK_INT(bind(listening, (struct sockaddr *)&addr, len), 0);
    CHECK_INT(listen(listening, 1), 0);
    CHECK_INT(getsockname(listening, (struct sockaddr *)&addr, &len), 0);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(connect(fds[0], (struct sockaddr *)&addr, len), 0);
    CHECK_INT(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    fds[1] = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    CHECK(fds[1] >= 0);
    setsockopt(fds[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fds[1], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    close(listening);
}

static void op_done(struct io_op *op)
{
    ((struct wire *)op->done_arg)->ended++;
}

/* near: the state of our end. */
static void wire_open_ssl(struct wire *w, SSL *near, SSL *far)
{
    int fds[2];

    tcp_pair(fds);
    memset(w, 0, sizeof(*w));
    w->loop = loop_self();
    w->most = SIZE_MAX;
    tls_far_open(&w->far, far, fds[1]);
    CHECK_INT(io_attach(w->loop, &w->file, fds[0], false), 0);
    CHECK_INT(tls_layer_set(w->loop, &w->file, near), 0);
    w->recv = (struct io_op){ .kind = IO_RECV, .file = &w->file, .done = op_done, .done_arg = w };
    w->send = (struct io_op){ .kind = IO_SEND, .file = &w->file, .done = op_done, .done_arg = w };
}

static SSL *server_end(int version)
{
    SSL *ssl = SSL_new(fix.server_ctx);

    SSL_set_accept_state(ssl);
    SSL_set_max_proto_version(ssl, version);
    return ssl;
}

static SSL *client_end(int version)
{
    SSL *ssl = SSL_new(fix.client_ctx);

    SSL_set_connect_state(ssl);
    SSL_set_max_proto_version(ssl, version);
    return ssl;
}

static void wire_open(struct wire *w, bool server, int version)
{
    if (server)
        wire_open_ssl(w, server_end(version), client_end(version));
    else
        wire_open_ssl(w, client_end(version), server_end(version));
}

static void turn(struct wire *w)
{
    tls_far_move(&w->far, w->most);
    CHECK_INT(weir_yield(), 0);
}

/* Long enough for what was moved to be seen: the loop looks for input every 100 us. */
static void settle(struct wire *w)
{
    int64_t until_ns = weir_now().ns + 2000000;

    while (weir_now().ns < until_ns)
        turn(w);
}

static void wire_close(struct wire *w)
{
    tls_far_close(&w->far);
    io_detach(w->loop, &w->file, false);
    for (int i = 0; i < TURNS_MAX && loop_bufs(w->loop)->used > 0; i++)
        CHECK_INT(weir_yield(), 0);
    CHECK_INT(loop_bufs(w->loop)->used, 0);
    CHECK_INT(ERR_peek_error(), 0);
}

/* Let the far end handshake, and both move, until op has ended. */
static void await(struct wire *w, struct io_op *op)
{
    for (int i = 0; op->pending; i++) {
        CHECK(i < TURNS_MAX);
        if (w->far.ssl)
            SSL_do_handshake(w->far.ssl);
        ERR_clear_error();
        turn(w);
    }
}

static void near_begin_recv(struct wire *w)
{
    w->recv.recv.buf = NULL;
    WEIR_IGNORE(io_submit(w->loop, &w->recv), "pending says it");
}

static int near_recv(struct wire *w)
{
    near_begin_recv(w);
    await(w, &w->recv);
    return w->recv.res;
}

/* Receive and compare. */
static void near_expect(struct wire *w, const char *text)
{
    struct buf *buf;

    CHECK_INT(near_recv(w), (int)strlen(text));
    buf = w->recv.recv.buf;
    CHECK(memcmp(buf->data + buf->from, text, strlen(text)) == 0);
    buf_unref(buf);
}

static void near_begin_send(struct wire *w, const struct iovec *iov, unsigned count)
{
    w->send.send.iov = iov;
    w->send.send.count = count;
    WEIR_IGNORE(io_submit(w->loop, &w->send), "pending says it");
}

static int near_send(struct wire *w, const char *text)
{
    struct iovec iov = { (char *)text, strlen(text) };

    near_begin_send(w, &iov, 1);
    await(w, &w->send);
    return w->send.res;
}

static int near_shake(struct wire *w)
{
    near_begin_send(w, NULL, 0);
    await(w, &w->send);
    while (w->send.res == 0 && SSL_do_handshake(w->far.ssl) != 1)
        turn(w);
    return w->send.res;
}

/* Read what the far end has got, up to len bytes; -1: nothing more comes. */
static int far_read(struct wire *w, char *to, int len)
{
    for (int i = 0; i < TURNS_MAX; i++) {
        int n = SSL_read(w->far.ssl, to, len);

        if (n > 0)
            return n;
        if (SSL_get_error(w->far.ssl, n) != SSL_ERROR_WANT_READ || w->far.ended) {
            ERR_clear_error();
            return -1;
        }
        turn(w);
    }
    abort();
}

static void far_expect(struct wire *w, const char *text)
{
    char got[256];
    int len = (int)strlen(text), n = 0;

    while (n < len) {
        int more = far_read(w, got + n, len - n);

        CHECK(more > 0);
        n += more;
    }
    CHECK(memcmp(got, text, strlen(text)) == 0);
}

/* ---- tests ------------------------------------------------------------------------ */

static void talk(bool server, int version, size_t most)
{
    struct wire w;

    wire_open(&w, server, version);
    w.most = most;
    CHECK(tls_layer_is(&w.file) && !tls_layer_done(&w.file));
    CHECK_INT(near_shake(&w), 0);
    CHECK(tls_layer_done(&w.file));
    CHECK(weir_str_eq(tls_layer_version(&w.file),
                      version == TLS1_2_VERSION ? WEIR_S("TLSv1.2") : WEIR_S("TLSv1.3")));
    CHECK_INT(SSL_write(w.far.ssl, "ping", 4), 4);
    near_expect(&w, "ping");
    CHECK_INT(near_send(&w, "pong"), 4);
    far_expect(&w, "pong");
    CHECK_INT(SSL_write(w.far.ssl, "last", 4), 4);
    SSL_shutdown(w.far.ssl);
    near_expect(&w, "last");
    CHECK_INT(near_recv(&w), 0);
    CHECK_INT(near_recv(&w), 0);
    CHECK_INT(near_send(&w, "more"), 4); /* half closed: RFC 8446, section 6.1 */
    CHECK_INT(io_shutdown(w.loop, &w.file, SHUT_WR), 0);
    CHECK_INT(near_send(&w, "none"), -EPIPE);
    far_expect(&w, "more");
    CHECK_INT(far_read(&w, (char[1]){ 0 }, 1), -1);
    CHECK(SSL_get_shutdown(w.far.ssl) & SSL_RECEIVED_SHUTDOWN);
    CHECK_INT(tls_layer_failure(&w.file).len, 0);
    wire_close(&w);
}

TASK_TEST(they_talk_and_say_close_in_both_versions)
{
    (void)arg;
    talk(true, TLS1_3_VERSION, SIZE_MAX);
    talk(false, TLS1_3_VERSION, SIZE_MAX);
    talk(true, TLS1_2_VERSION, SIZE_MAX);
    talk(false, TLS1_2_VERSION, SIZE_MAX);
    return 0;
}

TASK_TEST(records_may_come_in_any_pieces)
{
    (void)arg;
    for (size_t most = 1; most < 9; most++) {
        talk(true, TLS1_3_VERSION, most);
        talk(false, TLS1_3_VERSION, most);
    }
    talk(true, TLS1_2_VERSION, 1);
    talk(false, TLS1_2_VERSION, 1);
    return 0;
}

/* The stream ends after so many of the far end's bytes: how does a receive end then? */
static size_t cut_after(bool server, size_t bytes, bool reset)
{
    struct linger now = { .l_onoff = 1 };
    struct wire w;
    size_t sent;

    wire_open(&w, server, TLS1_3_VERSION);
    near_begin_recv(&w);
    while (w.recv.pending && w.far.sent < bytes) {
        SSL_do_handshake(w.far.ssl);
        ERR_clear_error();
        w.most = bytes - w.far.sent;
        if (!tls_far_move(&w.far, w.most) && SSL_is_init_finished(w.far.ssl))
            break;
        CHECK_INT(weir_yield(), 0);
    }
    sent = w.far.sent;
    if (reset)
        setsockopt(w.far.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(w.far.fd);
    w.far.fd = -1;
    await(&w, &w.recv);
    if (reset)
        CHECK(w.recv.res == -ECONNRESET || w.recv.res == -EPIPE);
    else
        CHECK(w.recv.res == WEIR_ETRUNCATED || w.recv.res == -ECONNRESET);
    CHECK_INT(near_recv(&w), w.recv.res); /* and stays so */
    CHECK(near_send(&w, "x") < 1 || tls_layer_done(&w.file));
    wire_close(&w);
    return sent;
}

TASK_TEST(an_end_or_reset_in_any_state_of_the_handshake)
{
    (void)arg;
    for (int reset = 0; reset < 2; reset++)
        for (int server = 0; server < 2; server++)
            for (size_t at = 0, sent = 0; sent == at; at += at < 16 ? 1 : 23)
                sent = cut_after(server, at, reset);
    return 0;
}

TASK_TEST(an_end_without_close_notify_is_told_apart)
{
    struct wire w;

    (void)arg;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        wire_open(&w, true, version);
        CHECK_INT(near_shake(&w), 0);
        SSL_write(w.far.ssl, "some", 4);
        near_expect(&w, "some");
        shutdown(w.far.fd, SHUT_WR);
        CHECK_INT(near_recv(&w), WEIR_ETRUNCATED);
        CHECK(tls_layer_failure(&w.file).len > 0);
        CHECK_INT(near_send(&w, "bye"), 3); /* it may still listen */
        wire_close(&w);
    }
    return 0;
}

#define BIG_BYTES (3u << 20)

static void fill(char *bytes, size_t len, uint64_t seed)
{
    struct random random = { .state = seed };

    for (size_t i = 0; i + 8 <= len; i += 8) {
        uint64_t n = random_next(&random);

        memcpy(bytes + i, &n, 8);
    }
}

/* A big send in vectors of all sizes, against a far end that takes most at a time. */
static void big_send(bool server, bool together, size_t most, unsigned cuts)
{
    char *out = malloc(BIG_BYTES), *in = malloc(BIG_BYTES);
    struct iovec iov[64];
    size_t at = 0, got = 0;
    struct wire w;

    fill(out, BIG_BYTES, cuts + most);
    for (unsigned i = 0; i < cuts; i++) {
        size_t len = i + 1 == cuts ? BIG_BYTES - at : (i * 7919u) % 40000;

        iov[i] = (struct iovec){ out + at, len };
        at += len;
    }
    wire_open(&w, server, TLS1_3_VERSION);
    w.most = most;
    w.send.send.together = together;
    near_begin_send(&w, iov, cuts);
    while (got < BIG_BYTES) {
        int n = SSL_read(w.far.ssl, in + got, (int)(BIG_BYTES - got));

        if (n > 0)
            got += (size_t)n;
        else
            turn(&w);
        CHECK(io_progress(&w.send) <= w.send.send.moved);
    }
    await(&w, &w.send);
    CHECK_INT(w.send.res, BIG_BYTES);
    CHECK_INT(w.send.send.moved, BIG_BYTES);
    CHECK(memcmp(in, out, BIG_BYTES) == 0);
    wire_close(&w);
    free(out);
    free(in);
}

TASK_TEST(a_big_send_in_vectors_arrives_whole)
{
    (void)arg;
    big_send(true, false, SIZE_MAX, 1);
    big_send(true, true, 16384, 2);
    big_send(false, true, 4000, 9);
    big_send(false, false, 16000, 64);
    return 0;
}

TASK_TEST(a_big_receive_arrives_whole)
{
    char *out = malloc(BIG_BYTES), *in = malloc(BIG_BYTES);
    size_t written = 0, got = 0;
    struct wire w;

    (void)arg;
    fill(out, BIG_BYTES, 7);
    wire_open(&w, true, TLS1_3_VERSION);
    CHECK_INT(near_shake(&w), 0);
    while (got < BIG_BYTES) {
        near_begin_recv(&w);
        while (w.recv.pending) {
            if (written < BIG_BYTES && BIO_pending(w.far.out) < 65536)
                written += (size_t)SSL_write(
                    w.far.ssl, out + written,
                    BIG_BYTES - written < 16384 ? (int)(BIG_BYTES - written) : 16384);
            turn(&w);
        }
        CHECK(w.recv.res > 0);
        memcpy(in + got, w.recv.recv.buf->data + w.recv.recv.buf->from, (size_t)w.recv.res);
        got += (size_t)w.recv.res;
        buf_unref(w.recv.recv.buf);
    }
    CHECK(memcmp(in, out, BIG_BYTES) == 0);
    wire_close(&w);
    free(out);
    free(in);
    return 0;
}

TASK_TEST(a_receive_may_be_cancelled_and_nothing_is_lost)
{
    struct wire w;

    (void)arg;
    wire_open(&w, true, TLS1_3_VERSION);
    for (int i = 0; i < 8; i++) { /* in the handshake, and behind it */
        w.recv.recv.buf = NULL;
        CHECK(!io_submit(w.loop, &w.recv));
        SSL_do_handshake(w.far.ssl);
        turn(&w);
        io_cancel(w.loop, &w.recv);
        io_cancel(w.loop, &w.recv);
        CHECK(w.recv.pending);
        await(&w, &w.recv);
        CHECK_INT(w.recv.res, -ECANCELED);
        CHECK_INT(w.ended, i + 1);
    }
    CHECK_INT(near_shake(&w), 0);
    SSL_write(w.far.ssl, "kept", 4);
    settle(&w);
    near_expect(&w, "kept");
    wire_close(&w);
    return 0;
}

TASK_TEST(a_send_may_be_cancelled_and_says_what_has_moved)
{
    char *bytes = calloc(1, 10u << 20), *in = malloc(1u << 20);
    struct iovec iov = { bytes, 10u << 20 };
    struct wire w;
    size_t moved, got = 0;

    (void)arg;
    wire_open(&w, true, TLS1_3_VERSION);
    near_begin_send(&w, &iov, 1); /* in the handshake */
    CHECK(w.send.pending);
    io_cancel(w.loop, &w.send);
    await(&w, &w.send);
    CHECK_INT(w.send.res, -ECANCELED);
    CHECK_INT(near_shake(&w), 0);
    near_begin_send(&w, &iov, 1);
    for (int64_t until_ns = weir_now().ns + 2000000; weir_now().ns < until_ns;)
        CHECK_INT(weir_yield(), 0); /* the far end takes nothing */
    CHECK(w.send.pending);
    io_cancel(w.loop, &w.send);
    while (w.send.pending)
        CHECK_INT(weir_yield(), 0);
    moved = w.send.send.moved;
    CHECK(moved > 0 && moved < iov.iov_len);
    CHECK_INT(w.send.res, (int)moved);
    near_begin_send(&w, &(struct iovec){ (char *)"end", 3 }, 1); /* the stream goes on behind it */
    while (got < moved + 3) {
        int n = far_read(&w, in, 1 << 20);

        CHECK(n > 0);
        got += (size_t)n;
        if (got == moved + 3)
            CHECK(memcmp(in + n - 3, "end", 3) == 0);
    }
    await(&w, &w.send);
    CHECK_INT(w.send.res, 3);
    wire_close(&w);
    free(bytes);
    free(in);
    return 0;
}

TASK_TEST(a_detach_with_records_unsent_drops_them)
{
    char *bytes = calloc(1, 10u << 20);
    struct iovec iov = { bytes, 10u << 20 };
    struct wire w;

    (void)arg;
    wire_open(&w, true, TLS1_3_VERSION);
    CHECK_INT(near_shake(&w), 0);
    near_begin_send(&w, &iov, 1);
    CHECK(w.send.pending);
    io_cancel(w.loop, &w.send);
    while (w.send.pending)
        CHECK_INT(weir_yield(), 0);
    wire_close(&w);
    free(bytes);
    return 0;
}

TASK_TEST(detach_says_close_unless_it_resets)
{
    struct wire w;
    char byte;

    (void)arg;
    for (int reset = 0; reset < 2; reset++) {
        wire_open(&w, true, TLS1_3_VERSION);
        CHECK_INT(near_shake(&w), 0);
        if (reset)
            io_reset(w.loop, &w.file);
        io_detach(w.loop, &w.file, false);
        CHECK_INT(w.file.fd, -1);
        settle(&w);
        CHECK_INT(SSL_read(w.far.ssl, &byte, 1), reset ? -1 : 0);
        CHECK_INT(!(SSL_get_shutdown(w.far.ssl) & SSL_RECEIVED_SHUTDOWN), reset);
        ERR_clear_error();
        tls_far_close(&w.far);
    }
    return 0;
}

TASK_TEST(an_idle_connection_is_alive_though_tickets_have_come)
{
    struct wire w;

    (void)arg;
    wire_open(&w, false, TLS1_3_VERSION);
    CHECK_INT(near_shake(&w), 0);
    settle(&w);
    CHECK(!io_is_dead(w.loop, &w.file));
    CHECK(!io_is_dead(w.loop, &w.file));
    CHECK_INT(SSL_key_update(w.far.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    SSL_write(w.far.ssl, "", 0);
    CHECK_INT(SSL_do_handshake(w.far.ssl), 1);
    settle(&w);
    CHECK(!io_is_dead(w.loop, &w.file));
    CHECK_INT(near_send(&w, "ask"), 3);
    far_expect(&w, "ask");
    SSL_write(w.far.ssl, "unasked", 7);
    settle(&w);
    CHECK(io_is_dead(w.loop, &w.file));
    near_expect(&w, "unasked");
    SSL_shutdown(w.far.ssl);
    settle(&w);
    CHECK(io_is_dead(w.loop, &w.file));
    wire_close(&w);
    return 0;
}

TASK_TEST(key_updates_are_answered_while_bytes_flow)
{
    struct wire w;

    (void)arg;
    wire_open(&w, true, TLS1_3_VERSION);
    CHECK_INT(near_shake(&w), 0);
    for (int i = 0; i < 100; i++) {
        CHECK_INT(SSL_key_update(w.far.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        CHECK_INT(SSL_write(w.far.ssl, "ping", 4), 4);
        near_expect(&w, "ping");
        CHECK_INT(near_send(&w, "pong"), 4);
        far_expect(&w, "pong");
    }
    wire_close(&w);
    return 0;
}

/* A peer that asks for key updates without end, and never reads the answers. */
TASK_TEST(key_updates_that_are_not_taken_do_not_pile_up)
{
    struct wire w;
    char byte = 0;
    int n;

    (void)arg;
    wire_open(&w, true, TLS1_3_VERSION);
    CHECK_INT(near_shake(&w), 0);
    w.recv.recv.buf = NULL;
    CHECK(!io_submit(w.loop, &w.recv));
    for (int i = 0; i < 20000 && w.recv.pending; i++) {
        char *from;
        long have;

        SSL_key_update(w.far.ssl, SSL_KEY_UPDATE_REQUESTED);
        SSL_do_handshake(w.far.ssl);
        have = BIO_get_mem_data(w.far.out, &from);
        n = (int)send(w.far.fd, from, (size_t)have, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            BIO_reset(w.far.out);
        CHECK_INT(weir_yield(), 0);
        CHECK(loop_bufs(w.loop)->used < 16);
    }
    (void)byte;
    io_cancel(w.loop, &w.recv);
    while (w.recv.pending)
        CHECK_INT(weir_yield(), 0);
    ERR_clear_error();
    wire_close(&w);
    return 0;
}

TASK_TEST(renegotiation_is_refused)
{
    struct wire w;

    (void)arg;
    wire_open(&w, true, TLS1_2_VERSION);
    CHECK_INT(near_shake(&w), 0);
    CHECK_INT(SSL_renegotiate(w.far.ssl), 1);
    near_begin_recv(&w);
    for (int i = 0; i < 50 && w.recv.pending; i++) {
        SSL_do_handshake(w.far.ssl);
        ERR_clear_error();
        turn(&w);
    }
    CHECK(!w.recv.pending || SSL_num_renegotiations(w.far.ssl) > 0);
    CHECK(!SSL_is_init_finished(w.far.ssl));
    if (w.recv.pending)
        io_cancel(w.loop, &w.recv);
    while (w.recv.pending)
        CHECK_INT(weir_yield(), 0);
    CHECK(w.recv.res < 0);
    wire_close(&w);
    return 0;
}

TASK_TEST(what_is_no_tls_is_said)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct wire w;

    (void)arg;
    wire_open(&w, true, TLS1_3_VERSION);
    CHECK(send(w.far.fd, request, sizeof(request) - 1, 0) > 0);
    SSL_free(w.far.ssl);
    w.far.ssl = NULL;
    w.recv.recv.buf = NULL;
    if (!io_submit(w.loop, &w.recv))
        while (w.recv.pending)
            CHECK_INT(weir_yield(), 0);
    CHECK_INT(w.recv.res, WEIR_ETLS);
    CHECK(weir_str_eq(tls_layer_failure(&w.file), WEIR_S("the client speaks HTTP without TLS")));
    close(w.far.fd);
    w.far.fd = -1;
    io_detach(w.loop, &w.file, false);
    return 0;
}

/* ---- certificates ----------------------------------------------------------------- */

static void expect_refused(const struct cert *cert, const char *words)
{
    SSL_CTX *ctx = make_server(cert);
    SSL *near = client_end(TLS1_3_VERSION), *far = SSL_new(ctx);
    struct wire w;
    weir_str said;

    SSL_set_accept_state(far);
    SSL_set1_host(near, "localhost");
    wire_open_ssl(&w, near, far);
    CHECK_INT(near_shake(&w), WEIR_ETLS);
    said = tls_layer_failure(&w.file);
    if (said.len < strlen(words) || !memmem(said.ptr, said.len, words, strlen(words))) {
        fprintf(stderr, "said: %.*s\nwanted: %s\n", (int)said.len, said.ptr, words);
        abort();
    }
    wire_close(&w);
    SSL_CTX_free(ctx);
}

TASK_TEST(a_certificate_that_is_refused_is_told_in_words)
{
    static const char here[] = "DNS:localhost";
    struct cert other_ca, cert;

    (void)arg;
    cert = cert_make(.issuer = &fix.ca, .names = here, .from_days = -10, .to_days = -3);
    expect_refused(&cert, "the certificate has expired 3 days ago (20");
    cert_free(&cert);
    cert = cert_make(.issuer = &fix.ca, .names = here, .from_days = 3, .to_days = 9);
    expect_refused(&cert, "is not valid for another ");
    cert_free(&cert);
    cert = cert_make(.issuer = &fix.ca, .names = "DNS:a.example,IP:::1");
    expect_refused(&cert, "the certificate is for a.example, 0:0:0:0:0:0:0:1, not for localhost");
    cert_free(&cert);
    cert = cert_make(.common_name = "self", .names = here);
    expect_refused(&cert, "signed by itself (/O=Tests/CN=self; DEPTH_ZERO_SELF_SIGNED_CERT)");
    cert_free(&cert);
    other_ca = cert_make(.common_name = "other CA", .kind = CERT_CA);
    cert = cert_make(.issuer = &other_ca, .names = here);
    expect_refused(&cert, "a CA that is not trusted");
    cert_free(&cert);
    cert_free(&other_ca);
    cert = cert_make(.issuer = &fix.ca, .names = here, .kind = CERT_CLIENT);
    expect_refused(&cert, "not for this use");
    cert_free(&cert);
    return 0;
}

/* ---- memory ----------------------------------------------------------------------- */

#define MANY 500

static void measure_idle(bool server, size_t most)
{
    struct wire *wires = calloc(MANY, sizeof(*wires));
    size_t before, after;

    wire_open(&wires[0], server, TLS1_3_VERSION); /* what is made once */
    CHECK_INT(near_shake(&wires[0]), 0);
    wire_close(&wires[0]);
    before = mallinfo2().uordblks + mallinfo2().hblkhd;
    for (int i = 0; i < MANY; i++) {
        struct wire *w = &wires[i];

        wire_open(w, server, TLS1_3_VERSION);
        CHECK_INT(near_shake(w), 0);
        CHECK_INT(SSL_write(w->far.ssl, "ping", 4), 4);
        near_expect(w, "ping");
        CHECK_INT(near_send(w, "pong"), 4);
        SSL_free(w->far.ssl);
        w->far.ssl = NULL;
        w->recv.recv.buf = NULL;
        CHECK(!io_submit(w->loop, &w->recv));
    }
    after = mallinfo2().uordblks + mallinfo2().hblkhd;
    printf("an idle connection of a %s: %zu bytes\n", server ? "server" : "client",
           (after - before) / MANY);
    CHECK_INT(loop_bufs(loop_self())->used, 0);
#ifndef __SANITIZE_ADDRESS__
    CHECK((after - before) / MANY <= most);
#endif
    for (int i = 0; i < MANY; i++) {
        io_cancel(wires[i].loop, &wires[i].recv);
        while (wires[i].recv.pending)
            CHECK_INT(weir_yield(), 0);
        close(wires[i].far.fd);
        io_detach(wires[i].loop, &wires[i].file, false);
    }
    free(wires);
}

TASK_TEST(idle_connections_take_little)
{
    (void)arg;
    measure_idle(true, 16000);
    measure_idle(false, 40000);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_talk_and_say_close_in_both_versions),
        cmocka_unit_test(records_may_come_in_any_pieces),
        cmocka_unit_test(an_end_or_reset_in_any_state_of_the_handshake),
        cmocka_unit_test(an_end_without_close_notify_is_told_apart),
        cmocka_unit_test(a_big_send_in_vectors_arrives_whole),
        cmocka_unit_test(a_big_receive_arrives_whole),
        cmocka_unit_test(a_receive_may_be_cancelled_and_nothing_is_lost),
        cmocka_unit_test(a_send_may_be_cancelled_and_says_what_has_moved),
        cmocka_unit_test(a_detach_with_records_unsent_drops_them),
        cmocka_unit_test(detach_says_close_unless_it_resets),
        cmocka_unit_test(an_idle_connection_is_alive_though_tickets_have_come),
        cmocka_unit_test(key_updates_are_answered_while_bytes_flow),
        cmocka_unit_test(key_updates_that_are_not_taken_do_not_pile_up),
        cmocka_unit_test(renegotiation_is_refused),
        cmocka_unit_test(what_is_no_tls_is_said),
        cmocka_unit_test(a_certificate_that_is_refused_is_told_in_words),
        cmocka_unit_test(idle_connections_take_little),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
