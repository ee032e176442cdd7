/* OpenSSL's input and output in pooled buffers; see tls_bio.h.
 *
 * A read takes what there is, and says "again" when there is nothing: the end of a
 * stream is its owner's affair. A write takes all or, without memory, fails. So OpenSSL
 * never keeps a record that is half written. */
#include "net/tls_bio.h"

#include <pthread.h>
#include <string.h>

static struct bio_class {
    pthread_once_t once;
    BIO_METHOD *method; /* NULL: no memory */
} class = { .once = PTHREAD_ONCE_INIT };

static int bio_read(BIO *b, char *to, size_t len, size_t *ret_read)
{
    struct tls_bio *bio = BIO_get_data(b);
    struct buf *in = bio->in;
    size_t n;

    BIO_clear_retry_flags(b);
    if (!in) {
        BIO_set_retry_read(b);
        return 0;
    }
    n = in->to - in->from;
    n = len < n ? len : n;
    memcpy(to, in->data + in->from, n);
    in->from += (uint32_t)n;
    if (in->from == in->to) {
        bio->in = NULL;
        buf_unref(in);
    }
    *ret_read = n;
    return 1;
}

/* The last buffer, if it has room, or a new one. */
static struct buf *room_for_more(struct tls_bio *bio)
{
    struct buf *buf = bio->out_last;

    if (buf && buf->to < BUF_ROOM)
        return buf;
    buf = buf_new(bio->pool);
    if (!buf)
        return NULL;
    if (bio->out_last)
        bio->out_last->next = buf;
    else
        bio->out = buf;
    bio->out_last = buf;
    return buf;
}

static int bio_write(BIO *b, const char *from, size_t len, size_t *ret_written)
{
    struct tls_bio *bio = BIO_get_data(b);
    size_t moved = 0;

    BIO_clear_retry_flags(b);
    while (moved < len) {
        struct buf *buf = bio->starved ? NULL : room_for_more(bio);
        size_t n = len - moved;

        if (!buf) {
            bio->starved = true;
            return 0;
        }
        if (n > BUF_ROOM - buf->to)
            n = BUF_ROOM - buf->to;
        memcpy(buf->data + buf->to, from + moved, n);
        buf->to += (uint32_t)n;
        bio->out_bytes += n;
        moved += n;
    }
    *ret_written = moved;
    return 1;
}

static long bio_ctrl(BIO *b, int command, long number, void *arg)
{
    (void)b, (void)number, (void)arg;
    return command == BIO_CTRL_FLUSH; /* whoever feeds it sends */
}

static void make_method(void)
{
    int type = BIO_get_new_index();
    BIO_METHOD *method = type < 0 ? NULL
                                  : BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "weir buffers");

    if (!method)
        return;
    if (BIO_meth_set_read_ex(method, bio_read) && BIO_meth_set_write_ex(method, bio_write) &&
        BIO_meth_set_ctrl(method, bio_ctrl))
        class.method = method;
    else
        BIO_meth_free(method);
}

BIO *tls_bio_new(struct tls_bio *bio)
{
    BIO *b;

    pthread_once(&class.once, make_method);
    b = class.method ? BIO_new(class.method) : NULL;
    if (!b)
        return NULL;
    BIO_set_data(b, bio);
    BIO_set_init(b, 1);
    return b;
}

unsigned tls_bio_vectors(const struct tls_bio *bio, struct iovec *vectors, unsigned count)
{
    unsigned n = 0;

    for (struct buf *buf = bio->out; buf && n < count; buf = buf->next)
        vectors[n++] = (struct iovec){ buf->data + buf->from, buf->to - buf->from };
    return n;
}

void tls_bio_sent(struct tls_bio *bio, size_t bytes)
{
    bio->out_bytes -= bytes;
    while (bio->out) {
        struct buf *buf = bio->out;
        size_t n = buf->to - buf->from;

        if (bytes < n) {
            buf->from += (uint32_t)bytes;
            return;
        }
        bytes -= n;
        bio->out = buf->next;
        if (!bio->out)
            bio->out_last = NULL;
        buf_unref(buf);
    }
}

void tls_bio_done(struct tls_bio *bio)
{
    buf_unref(bio->in);
    bio->in = NULL;
    tls_bio_sent(bio, bio->out_bytes);
}
