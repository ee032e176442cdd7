/* What OpenSSL reads from and writes to, instead of a socket: pooled buffers.
 *
 * Input is one buffer that was received, and is given back when the last byte of it
 * was read; output is a chain of buffers that records are put into, one behind the other,
 * to be sent together. It does no I/O and bounds nothing: whoever feeds it does.
 *
 * Invariants: in is not empty, or NULL; out_bytes is the sum of the chain's. */
#ifndef NET_TLS_BIO_H
#define NET_TLS_BIO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include <openssl/bio.h>

#include "base/buf.h"

struct tls_bio {
    struct buf_pool *pool;
    struct buf *in;
    struct buf *out, *out_last; /* records to be sent */
    size_t out_bytes;
    bool starved;               /* a record could not be written for want of a buffer */
};

/* A BIO for OpenSSL over bio, which must outlive it; NULL without memory. */
BIO *tls_bio_new(struct tls_bio *bio);

/* What is first to be sent, in at most so many vectors; how many there are. */
unsigned tls_bio_vectors(const struct tls_bio *bio, struct iovec *vectors, unsigned count);
/* So many bytes were sent. */
void tls_bio_sent(struct tls_bio *bio, size_t bytes);
/* Give all buffers back. */
void tls_bio_done(struct tls_bio *bio);

#endif
