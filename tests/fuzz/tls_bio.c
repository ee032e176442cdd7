/* OpenSSL over the pooled buffers, moved and spoilt by a script: two ends shake hands and
 * talk, while their records are passed on in any pieces, and now and then a bit of them is
 * turned.
 *
 * What must hold: what one end reads is a prefix of what the other has written, whatever
 * was done to the records; it is all of it when nothing was spoilt; the chain's count is
 * that of its buffers; no buffer is left in the end. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "net/tls_bio.h"

#define STREAM_BYTES (1u << 20)

struct end {
    SSL *ssl;
    struct tls_bio bio;
    size_t written, read;
    bool failed;
};

static SSL_CTX *server_ctx, *client_ctx;
static char plain[STREAM_BYTES];

static void need(bool holds)
{
    if (!holds)
        abort();
}

static void make_contexts(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();

    for (size_t i = 0; i < sizeof(plain); i++)
        plain[i] = (char)(i * 131 >> 3);
    need(key && cert);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    X509_set_pubkey(cert, key);
    need(X509_sign(cert, key, EVP_sha256()) > 0);
    server_ctx = SSL_CTX_new(TLS_server_method());
    client_ctx = SSL_CTX_new(TLS_client_method());
    need(server_ctx && client_ctx);
    need(SSL_CTX_use_certificate(server_ctx, cert) == 1);
    need(SSL_CTX_use_PrivateKey(server_ctx, key) == 1);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void end_open(struct end *end, struct buf_pool *pool, SSL_CTX *ctx, int version)
{
    BIO *bio;

    memset(end, 0, sizeof(*end));
    end->bio.pool = pool;
    end->ssl = SSL_new(ctx);
    bio = tls_bio_new(&end->bio);
    need(end->ssl && bio);
    SSL_set_bio(end->ssl, bio, bio);
    SSL_set_max_proto_version(end->ssl, version);
    SSL_set_mode(end->ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
}

static void check_chain(const struct tls_bio *bio)
{
    size_t bytes = 0;

    for (const struct buf *buf = bio->out; buf; buf = buf->next) {
        need(buf->from < buf->to && buf->to <= BUF_ROOM);
        need((buf->next == NULL) == (buf == bio->out_last));
        bytes += buf->to - buf->from;
    }
    need(bytes == bio->out_bytes);
}

/* Pass on at most so many bytes; spoil: the bit to turn in the first, or -1. */
static void pass(struct end *from, struct end *to, size_t most, int spoil)
{
    struct iovec vector;
    struct buf *buf;

    if (to->bio.in || tls_bio_vectors(&from->bio, &vector, 1) == 0)
        return;
    buf = buf_new(from->bio.pool);
    need(buf != NULL);
    buf->to = (uint32_t)(vector.iov_len < most ? vector.iov_len : most);
    memcpy(buf->data, vector.iov_base, buf->to);
    if (spoil >= 0)
        buf->data[0] ^= (char)(1 << spoil);
    to->bio.in = buf;
    tls_bio_sent(&from->bio, buf->to);
    check_chain(&from->bio);
}

static void note(struct end *end, int rc)
{
    int why = SSL_get_error(end->ssl, rc);

    if (rc <= 0 && why != SSL_ERROR_WANT_READ && why != SSL_ERROR_ZERO_RETURN)
        end->failed = true;
    ERR_clear_error();
}

static void read_some(struct end *end, const struct end *peer, size_t most)
{
    static char got[65536];
    size_t n = 0;

    if (end->failed)
        return;
    if (SSL_read_ex(end->ssl, got, most < sizeof(got) ? most : sizeof(got), &n) != 1) {
        note(end, 0);
        return;
    }
    need(end->read + n <= peer->written);
    need(memcmp(got, plain + end->read, n) == 0);
    end->read += n;
}

static void write_some(struct end *end, size_t bytes)
{
    size_t n = 0;

    if (end->failed || !SSL_is_init_finished(end->ssl) || end->written + bytes > sizeof(plain))
        return;
    if (SSL_write_ex(end->ssl, plain + end->written, bytes, &n) == 1)
        end->written += n;
    else
        note(end, 0);
    check_chain(&end->bio);
}

static void settle(struct end *one, struct end *other)
{
    for (size_t quiet = 0; quiet < 4; quiet++) {
        size_t before = one->read + other->read;

        for (int i = 0; i < 3; i++) {
            pass(one, other, BUF_ROOM, -1);
            pass(other, one, BUF_ROOM, -1);
            read_some(one, other, 65536);
            read_some(other, one, 65536);
        }
        if (one->read + other->read != before || one->bio.out || other->bio.out)
            quiet = 0;
        if (one->failed || other->failed)
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct end ends[2];
    struct buf_pool pool;
    bool spoilt = false;

    if (size < 1 || size > 4096)
        return 0;
    if (!server_ctx)
        make_contexts();
    buf_pool_init(&pool, 64);
    end_open(&ends[0], &pool, client_ctx, data[0] & 1 ? TLS1_2_VERSION : TLS1_3_VERSION);
    end_open(&ends[1], &pool, server_ctx, TLS1_3_VERSION);
    SSL_set_connect_state(ends[0].ssl);
    SSL_set_accept_state(ends[1].ssl);
    if (data[0] & 2)
        settle(&ends[0], &ends[1]); /* the handshake in one go */
    for (size_t i = 1; i + 1 < size; i += 2) {
        struct end *end = &ends[data[i] & 1], *other = &ends[!(data[i] & 1)];
        size_t n = (size_t)data[i + 1] + 1;

        switch (data[i] >> 1 & 7) {
        case 0: pass(end, other, n, -1); break;
        case 1: pass(end, other, n * 64, -1); break;
        case 2: read_some(end, other, n * n); break;
        case 3: write_some(end, n); break;
        case 4: write_some(end, n * 257 + 1); break;
        case 5:
            if (!end->failed && SSL_version(end->ssl) == TLS1_3_VERSION)
                SSL_key_update(end->ssl, SSL_KEY_UPDATE_REQUESTED);
            break;
        case 6:
            spoilt = spoilt || (!other->bio.in && end->bio.out);
            pass(end, other, n, data[i] >> 4 & 7);
            break;
        default: settle(end, other); break;
        }
        ERR_clear_error();
    }
    settle(&ends[0], &ends[1]);
    if (!spoilt) {
        need(!ends[0].failed && !ends[1].failed);
        need(ends[0].read == ends[1].written && ends[1].read == ends[0].written);
    }
    for (int i = 0; i < 2; i++) {
        SSL_free(ends[i].ssl);
        tls_bio_done(&ends[i].bio);
    }
    need(pool.used == 0);
    buf_pool_done(&pool);
    return 0;
}
