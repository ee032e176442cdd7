/* TLS on a file; see tls_layer.h.
 *
 * The owner's file becomes a front: its descriptor is attached once more, by a file of the
 * layer's own, so that the layer can outlive the owner until the backend has ended its
 * operations. Plain operations stand in reader and writer while they wait; what they need
 * is asked for by the raw operations recv and send, whose ends drive them on (drive()).
 *
 *   recv   is under way when a plain receive, or the handshake, or a look whether the
 *          peer is there, found no input. What it brings is kept until somebody asks:
 *          one buffer, and no more is received until it is used up
 *   send   is under way while records wait in the chain; at most TLS_OUT_BYTES are put
 *          there ahead of the kernel, and nothing is read beyond that either, as the peer
 *          can make us answer (key updates)
 *
 * States: SHAKING -> DONE (flags), and either may fail, for good: read_rc and write_rc say
 * what receives and sends end with then. A peer's close_notify ends receives alone (RFC
 * 8446, section 6.1).
 *
 * Invariants: no plain operation ends from within submit or cancel but by submit's own
 * result; OpenSSL holds no record half written (tls_bio.c); its queue of errors is empty
 * when a call into the layer returns; a detached layer is freed when neither raw operation
 * is pending. */
#include "net/tls_layer.h"

#include <errno.h>
#include <string.h>

#include <openssl/err.h>

#include "base/alloc.h"
#include "net/tls_bio.h"
#include "net/tls_context.h"
#include "net/tls_failure.h"

#define TLS_RECORD_BYTES 16384 /* of plain text, at most: RFC 8446, section 5.1 */
#define TLS_VECTORS 5
#define TLS_OUT_BYTES ((size_t)TLS_VECTORS * BUF_ROOM) /* records ahead of the kernel */
#define TLS_RECORD_EXTRA 512 /* beyond the plain text, and of what goes with it */

enum {
    DONE = 1,        /* the handshake is over */
    SAW_CLOSE = 2,   /* the peer's close_notify */
    SAW_END = 4,     /* the end of its stream */
    SENT_CLOSE = 8,  /* our close_notify is in the chain, or gone */
    SHUT = 16,       /* our half is to be closed behind it */
    RESET = 32,
    DETACHED = 64
};

struct tls_layer {
    struct io_layer base;
    struct loop *loop;
    SSL *ssl;
    struct tls_bio bio;
    struct io_file file;       /* the backend's view of the descriptor */
    struct io_op recv, send;   /* raw */
    struct io_op *reader, *writer; /* plain, while they wait */
    struct node ended;         /* cancelled ones, to be reported … */
    struct deferred report;    /* … by this */
    struct node link;          /* among the loop's */
    int read_rc, write_rc;     /* failed for good, if below 0 */
    uint8_t flags;
    uint8_t holds;             /* calls up the stack that go on with it */
    char *failure;             /* in words, or NULL */
    struct iovec vectors[TLS_VECTORS];
};

/* All layers of a loop: those that are detached are nobody else's. */
struct tls_loop {
    struct node layers;
};

static const struct io_layer_ops tls_ops;

static struct tls_layer *layer_of(const struct io_file *file)
{
    if (!file->layer || file->layer->ops != &tls_ops)
        return NULL;
    return container_of(file->layer, struct tls_layer, base);
}

/* ---- the end ------------------------------------------------------------------------ */

static void layer_free(struct tls_layer *t)
{
    tls_bio_done(&t->bio);
    list_remove(&t->link);
    loop_io(t->loop)->detach(t->loop, &t->file, false);
    base_free(t->failure);
    base_free(t);
}

static void layer_end(struct tls_layer *t)
{
    if (!t->recv.pending && !t->send.pending && t->holds == 0)
        layer_free(t);
}

/* Nobody will run the raw operations' ends any more: they leave the backend by hand. */
static void tls_loop_done(void *value)
{
    struct tls_loop *own = value;
    struct node *n;

    while ((n = list_pop(&own->layers)) != NULL) {
        struct tls_layer *t = container_of(n, struct tls_layer, link);

        loop_undefer(&t->report);
        io_cancel(t->loop, &t->recv);
        io_cancel(t->loop, &t->send);
        if (t->recv.pending)
            list_remove(&t->recv.link);
        if (t->send.pending)
            list_remove(&t->send.link);
        SSL_free(t->ssl);
        layer_free(t);
    }
    base_free(own);
}

static struct tls_loop *tls_loop_of(struct loop *loop)
{
    struct tls_loop *own = loop_local(loop, LOOP_LOCAL_TLS);

    if (own)
        return own;
    own = base_malloc(sizeof(*own));
    if (!own)
        return NULL;
    list_init(&own->layers);
    loop_local_set(loop, LOOP_LOCAL_TLS, own, tls_loop_done);
    return own;
}

/* ---- failures ------------------------------------------------------------------------ */

static void note(struct tls_layer *t, const char *words)
{
    size_t bytes = strlen(words) + 1;

    if (t->failure)
        return;
    t->failure = base_malloc(bytes);
    if (t->failure)
        memcpy(t->failure, words, bytes);
}

static void fail(struct tls_layer *t, int rc)
{
    if (t->read_rc == 0)
        t->read_rc = rc;
    if (t->write_rc == 0)
        t->write_rc = rc;
}

/* OpenSSL has refused to go on; what it tells the peer is in the chain. */
static void fail_ssl(struct tls_layer *t)
{
    char words[TLS_FAILURE_BYTES];
    int rc = t->bio.starved ? WEIR_EBUDGET : WEIR_ETLS;

    tls_failure_queue(t->ssl, words);
    if (!t->bio.starved)
        note(t, words);
    fail(t, rc);
}

static int verified(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_bio *bio = BIO_get_data(SSL_get_rbio(ssl));
    SSL_verify_cb also = SSL_CTX_get_verify_callback(SSL_get_SSL_CTX(ssl));
    char words[TLS_FAILURE_BYTES];

    if (also)
        ok = also(ok, store);
    if (!ok) {
        tls_failure_verify(store, words);
        note(container_of(bio, struct tls_layer, bio), words);
    }
    return ok;
}

static void clear_errors(void)
{
    if (__builtin_expect(ERR_peek_error() != 0, 0))
        ERR_clear_error();
}

/* ---- raw operations -------------------------------------------------------------------- */

/* The peer takes no more, or the connection is gone: what it sent is still read. */
static void send_failed(struct tls_layer *t, int rc)
{
    tls_bio_sent(&t->bio, t->bio.out_bytes);
    t->write_rc = t->write_rc ? t->write_rc : rc;
}

static void sent(struct tls_layer *t)
{
    tls_bio_sent(&t->bio, t->send.send.moved);
    t->send.send.moved = 0;
    if (t->send.res < 0)
        send_failed(t, t->send.res);
    if (t->bio.out_bytes == 0 && t->flags & SHUT) {
        t->flags &= (uint8_t)~SHUT;
        loop_io(t->loop)->shutdown(t->loop, &t->file, SHUT_WR);
    }
}

/* Send what is in the chain. */
static void send_chain(struct tls_layer *t, bool together)
{
    while (t->bio.out_bytes > 0 && !t->send.pending) {
        t->send.send.iov = t->vectors;
        t->send.send.count = tls_bio_vectors(&t->bio, t->vectors, TLS_VECTORS);
        t->send.send.together = together;
        if (!loop_io(t->loop)->submit(t->loop, &t->send))
            return;
        sent(t);
    }
}

static void received(struct tls_layer *t)
{
    int rc = t->recv.res;

    if (rc > 0)
        t->bio.in = t->recv.recv.buf;
    else if (rc == 0)
        t->flags |= SAW_END;
    else if (rc != -ECANCELED)
        fail(t, rc);
    if (rc == 0 && !(t->flags & (SAW_CLOSE | DONE))) {
        note(t, "the peer closed in the middle of the handshake");
        fail(t, WEIR_ETRUNCATED);
    }
}

/* Get input. False: it is awaited; true: there is some, or an end. */
static bool receive(struct tls_layer *t)
{
    if (t->recv.pending)
        return false;
    t->recv.recv.buf = NULL;
    if (!loop_io(t->loop)->submit(t->loop, &t->recv))
        return false;
    received(t);
    return true;
}

/* ---- the handshake ------------------------------------------------------------------------ */

static int shake(void *ssl)
{
    clear_errors();
    return SSL_do_handshake(ssl);
}

/* It takes tens of KiB of stack, so it is the loop's. */
static int shake_here(struct tls_layer *t)
{
    return rt_in_task() ? weir_on_loop_stack(shake, t->ssl) : shake(t->ssl);
}

/* 1 when it is over, 0 while it waits, or the failure. */
static int go_on_shaking(struct tls_layer *t)
{
    while (t->read_rc == 0) {
        int rc = shake_here(t), why = rc == 1 ? SSL_ERROR_NONE : SSL_get_error(t->ssl, rc);

        if (why == SSL_ERROR_NONE)
            t->flags |= DONE;
        else if (why != SSL_ERROR_WANT_READ)
            fail_ssl(t);
        send_chain(t, false);
        if (why == SSL_ERROR_NONE)
            return 1;
        if (why == SSL_ERROR_WANT_READ && !receive(t))
            return 0;
    }
    return t->read_rc;
}

/* ---- plain receives -------------------------------------------------------------------------- */

/* Read as much as fits and is there into buf; how much. */
static size_t read_into(struct tls_layer *t, struct buf *buf)
{
    size_t total = 0, n;

    clear_errors();
    while (buf->to < BUF_ROOM) {
        if (SSL_read_ex(t->ssl, buf->data + buf->to, BUF_ROOM - buf->to, &n) == 1) {
            buf->to += (uint32_t)n;
            total += n;
            if (!t->bio.in && SSL_pending(t->ssl) == 0)
                break;
            continue;
        }
        switch (SSL_get_error(t->ssl, 0)) {
        case SSL_ERROR_WANT_READ: break;
        case SSL_ERROR_ZERO_RETURN: t->flags |= SAW_CLOSE; break;
        default: fail_ssl(t); break;
        }
        break;
    }
    send_chain(t, false);
    return total;
}

/* Read into op's buffer, or one of the pool's: true when op has ended with that. */
static bool read_for(struct tls_layer *t, struct io_op *op)
{
    struct buf *buf = op->recv.buf ? op->recv.buf : buf_new(loop_bufs(t->loop));
    size_t n;

    if (!buf || buf->to == BUF_ROOM) {
        op->res = buf ? -ENOBUFS : WEIR_EBUDGET;
        return true;
    }
    n = read_into(t, buf);
    if (n == 0 && buf != op->recv.buf)
        buf_unref(buf);
    if (n == 0)
        return false;
    op->recv.buf = buf;
    op->res = (int)n;
    return true;
}

/* What a receive ends with when there are no more bytes: 1 while there may be. */
static int read_end(struct tls_layer *t)
{
    if (t->flags & SAW_CLOSE)
        return 0;
    if (t->read_rc < 0)
        return t->read_rc;
    if (!(t->flags & SAW_END))
        return 1;
    note(t, "the peer closed the connection without saying that it was done");
    return WEIR_ETRUNCATED;
}

/* Has op ended? */
static bool try_recv(struct tls_layer *t, struct io_op *op)
{
    if (!(t->flags & DONE)) {
        op->res = go_on_shaking(t);
        if (op->res <= 0)
            return op->res < 0;
    }
    for (;;) {
        bool more = (t->bio.in || SSL_pending(t->ssl) > 0) && t->read_rc == 0 &&
                    !(t->flags & SAW_CLOSE);

        if (more && t->bio.out_bytes > TLS_OUT_BYTES)
            return false; /* until the peer has taken some */
        if (more && read_for(t, op))
            return true;
        op->res = read_end(t);
        if (op->res <= 0)
            return true;
        if (!receive(t))
            return false;
    }
}

/* ---- plain sends -------------------------------------------------------------------------------- */

static size_t total_of(const struct io_op *op)
{
    size_t total = 0;

    for (unsigned i = 0; i < op->send.count; i++)
        total += op->send.iov[i].iov_len;
    return total;
}

/* The bytes for the next record: in place, or several vectors' copied together into
 * *scratch. */
static weir_str next_piece(struct tls_layer *t, const struct io_op *op, struct buf **scratch)
{
    size_t skip = op->send.moved, left;
    unsigned i = 0;

    while (skip >= op->send.iov[i].iov_len)
        skip -= op->send.iov[i++].iov_len;
    left = op->send.iov[i].iov_len - skip;
    if (left >= TLS_RECORD_BYTES || i + 1 == op->send.count)
        return weir_str_from((char *)op->send.iov[i].iov_base + skip,
                             left < TLS_RECORD_BYTES ? left : TLS_RECORD_BYTES);
    if (!*scratch)
        *scratch = buf_new(loop_bufs(t->loop));
    if (!*scratch)
        return weir_str_from((char *)op->send.iov[i].iov_base + skip, left);
    (*scratch)->to = 0;
    for (; i < op->send.count && (*scratch)->to < BUF_ROOM; i++, skip = 0) {
        left = op->send.iov[i].iov_len - skip;
        if (left > BUF_ROOM - (*scratch)->to)
            left = BUF_ROOM - (*scratch)->to;
        memcpy((*scratch)->data + (*scratch)->to, (char *)op->send.iov[i].iov_base + skip, left);
        (*scratch)->to += (uint32_t)left;
    }
    return weir_str_from((*scratch)->data, (*scratch)->to);
}

/* Put op's bytes into records, as long as the chain has room. */
static void write_records(struct tls_layer *t, struct io_op *op, size_t total)
{
    struct buf *scratch = NULL;

    clear_errors();
    while (op->send.moved < total && t->write_rc == 0 &&
           t->bio.out_bytes + TLS_RECORD_BYTES + TLS_RECORD_EXTRA <= TLS_OUT_BYTES) {
        weir_str piece = next_piece(t, op, &scratch);
        size_t n;

        if (SSL_write_ex(t->ssl, piece.ptr, piece.len, &n) == 1)
            op->send.moved += n;
        else
            fail_ssl(t);
    }
    buf_unref(scratch);
}

/* Has op ended? */
static bool try_send(struct tls_layer *t, struct io_op *op)
{
    size_t total = total_of(op);

    if (!(t->flags & DONE)) {
        op->res = go_on_shaking(t);
        if (op->res <= 0)
            return op->res < 0;
    }
    for (;;) {
        if (t->write_rc == 0 && t->flags & SENT_CLOSE && total > 0)
            t->write_rc = -EPIPE;
        write_records(t, op, total);
        send_chain(t, op->send.together);
        if (t->write_rc < 0) {
            op->res = t->write_rc;
            return true;
        }
        if (t->bio.out_bytes > 0)
            return false;
        if (op->send.moved == total) {
            op->res = total > INT32_MAX ? INT32_MAX : (int)total;
            return true;
        }
    }
}

/* ---- the ends of waiting operations ----------------------------------------------------------- */

static void end_op(struct io_op *op)
{
    op->pending = false;
    op->done(op);
}

/* Something has changed: whoever waits is looked at. The layer may be gone afterwards. */
static void drive(struct tls_layer *t)
{
    struct io_op *op = t->reader;

    t->holds++;
    if (op && try_recv(t, op)) {
        t->reader = NULL;
        end_op(op);
    }
    op = t->writer;
    if (op && try_send(t, op)) {
        t->writer = NULL;
        end_op(op);
    }
    t->holds--;
    if (t->flags & DETACHED)
        layer_end(t);
}

static void recv_done(struct io_op *op)
{
    struct tls_layer *t = container_of(op, struct tls_layer, recv);

    if (!(t->flags & DETACHED)) {
        received(t);
        drive(t);
        return;
    }
    if (op->res > 0)
        buf_unref(op->recv.buf);
    layer_end(t);
}

static void send_done(struct io_op *op)
{
    struct tls_layer *t = container_of(op, struct tls_layer, send);

    if (t->flags & DETACHED) {
        layer_end(t);
        return;
    }
    sent(t);
    send_chain(t, op->send.together);
    drive(t);
}

static void report(struct deferred *work)
{
    struct tls_layer *t = container_of(work, struct tls_layer, report);
    struct node list, *n;

    list_init(&list);
    list_splice(&list, &t->ended);
    while ((n = list_pop(&list)) != NULL)
        end_op(container_of(n, struct io_op, link)); /* the last may free the layer */
}

/* ---- what the owner's file calls ---------------------------------------------------------------- */

static bool tls_submit(struct io_layer *layer, struct io_op *op)
{
    struct tls_layer *t = container_of(layer, struct tls_layer, base);
    struct io_op **place = op->kind == IO_RECV ? &t->reader : &t->writer;

    op->cancelled = false;
    op->pending = false;
    if (op->kind == IO_SEND)
        op->send.moved = 0;
    op->res = -EBUSY;
    if (op->kind != IO_RECV && op->kind != IO_SEND)
        op->res = -EISCONN;
    else if (!*place && !(op->kind == IO_RECV ? try_recv(t, op) : try_send(t, op)))
        op->pending = true;
    if (op->pending)
        *place = op;
    return !op->pending;
}

static void tls_cancel(struct io_layer *layer, struct io_op *op)
{
    struct tls_layer *t = container_of(layer, struct tls_layer, base);

    if (!op->pending || op->cancelled)
        return;
    if (op == t->reader)
        t->reader = NULL;
    else
        t->writer = NULL;
    op->cancelled = true;
    op->res = -ECANCELED;
    if (op->kind == IO_SEND && op->send.moved > 0)
        op->res = op->send.moved > INT32_MAX ? INT32_MAX : (int)op->send.moved;
    list_push(&t->ended, &op->link);
    loop_defer(t->loop, &t->report);
}

/* Put close_notify behind what was sent (RFC 8446, section 6.1). */
static void say_close(struct tls_layer *t)
{
    if (!(t->flags & DONE) || t->flags & (SENT_CLOSE | RESET) || t->write_rc < 0)
        return;
    clear_errors();
    SSL_shutdown(t->ssl);
    clear_errors();
    t->flags |= SENT_CLOSE;
}

static void tls_detach(struct io_layer *layer, struct io_file *file, bool keep_open)
{
    struct tls_layer *t = container_of(layer, struct tls_layer, base);

    if (t->reader || t->writer)
        rt_wrong_use("descriptor %d was detached with an operation of TLS pending", file->fd);
    if (keep_open)
        rt_wrong_use("descriptor %d was to be kept open without its TLS", file->fd);
    file->fd = -1;
    file->layer = NULL;
    if (t->bio.out_bytes == 0) {
        say_close(t);
        send_chain(t, false);
    }
    loop_undefer(&t->report);
    /* Without this, OpenSSL takes the session for one that must not be resumed. */
    if (t->flags & DONE && t->read_rc != WEIR_ETLS)
        SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(t->ssl);
    t->ssl = NULL;
    t->flags |= DETACHED;
    t->holds++;
    loop_io(t->loop)->cancel(t->loop, &t->recv);
    loop_io(t->loop)->cancel(t->loop, &t->send);
    t->holds--;
    layer_end(t);
}

static int tls_shutdown(struct io_layer *layer, int how)
{
    struct tls_layer *t = container_of(layer, struct tls_layer, base);

    if (how != SHUT_WR)
        return -EOPNOTSUPP;
    say_close(t);
    send_chain(t, false);
    if (t->bio.out_bytes == 0)
        return loop_io(t->loop)->shutdown(t->loop, &t->file, SHUT_WR);
    t->flags |= SHUT;
    return 0;
}

static void tls_reset(struct io_layer *layer)
{
    struct tls_layer *t = container_of(layer, struct tls_layer, base);

    t->flags |= RESET;
    loop_io(t->loop)->reset(t->loop, &t->file);
}

/* Bytes that are there may be the layer's own affair: tickets, key updates. */
static bool tls_is_dead(struct io_layer *layer)
{
    struct tls_layer *t = container_of(layer, struct tls_layer, base);
    char byte;
    size_t n;

    while (t->flags & DONE && t->write_rc == 0 && read_end(t) == 1) {
        if (t->bio.in || SSL_pending(t->ssl) > 0) {
            clear_errors();
            if (SSL_peek_ex(t->ssl, &byte, 1, &n) == 1 ||
                SSL_get_error(t->ssl, 0) != SSL_ERROR_WANT_READ)
                break;
            send_chain(t, false);
        }
        if (!receive(t))
            return false;
    }
    clear_errors();
    return true;
}

static size_t tls_progress(const struct io_layer *layer, const struct io_op *op)
{
    const struct tls_layer *t = container_of(layer, struct tls_layer, base);
    size_t left = t->bio.out_bytes - (t->send.pending ? t->send.send.moved : 0);

    return op->send.moved > left ? op->send.moved - left : 0;
}

static const struct io_layer_ops tls_ops = {
    .submit = tls_submit,
    .cancel = tls_cancel,
    .detach = tls_detach,
    .shutdown = tls_shutdown,
    .reset = tls_reset,
    .is_dead = tls_is_dead,
    .progress = tls_progress,
};

/* ---- the beginning ------------------------------------------------------------------------------ */

static struct tls_layer *layer_new(struct loop *loop, SSL *ssl)
{
    struct tls_layer *t = base_calloc(1, sizeof(*t));
    BIO *bio = t ? tls_bio_new(&t->bio) : NULL;

    if (!bio || !tls_loop_of(loop)) {
        BIO_free(bio);
        base_free(t);
        return NULL;
    }
    SSL_set_bio(ssl, bio, bio);
    SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                          SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_set_options(ssl, SSL_OP_NO_RENEGOTIATION);
    SSL_set_verify(ssl, SSL_get_verify_mode(ssl), verified);
    t->base.ops = &tls_ops;
    t->loop = loop;
    t->ssl = ssl;
    t->bio.pool = loop_bufs(loop);
    t->file.fd = -1;
    t->recv = (struct io_op){ .kind = IO_RECV, .file = &t->file, .done = recv_done };
    t->send = (struct io_op){ .kind = IO_SEND, .file = &t->file, .done = send_done };
    list_init(&t->ended);
    list_init(&t->link);
    deferred_init(&t->report, report);
    return t;
}

/* The descriptor becomes the layer's. */
static int take_over(struct tls_layer *t, struct io_file *file)
{
    const struct io_ops *io = loop_io(t->loop);
    int fd = file->fd, rc;

    io->detach(t->loop, file, true);
    rc = io->attach(t->loop, &t->file, fd, false);
    if (rc == 0) {
        file->fd = fd;
        file->layer = &t->base;
        list_push(&tls_loop_of(t->loop)->layers, &t->link);
    } else if (io->attach(t->loop, file, fd, false) < 0) {
        file->fd = fd; /* not attached: detach closes it all the same */
    }
    return rc;
}

int tls_layer_set(struct loop *loop, struct io_file *file, SSL *ssl)
{
    struct tls_layer *t = ssl ? layer_new(loop, ssl) : NULL;
    int rc = t ? take_over(t, file) : -ENOMEM;

    if (rc < 0) {
        SSL_free(ssl);
        base_free(t);
    }
    return rc;
}

int tls_layer_accept(struct loop *loop, struct io_file *file, struct tls_context *context)
{
    return tls_layer_set(loop, file, tls_context_new(context));
}

int tls_layer_connect(struct loop *loop, struct io_file *file, struct tls_context *context,
                      weir_str host, uint16_t port)
{
    SSL *ssl = tls_context_new(context);
    int rc = ssl ? tls_context_expect(context, ssl, host, port) : -ENOMEM;

    if (rc == 0)
        return tls_layer_set(loop, file, ssl);
    SSL_free(ssl);
    return rc;
}

/* ---- what is known of a connection ----------------------------------------------------------------- */

bool tls_layer_is(const struct io_file *file)
{
    return layer_of(file) != NULL;
}

bool tls_layer_done(const struct io_file *file)
{
    const struct tls_layer *t = layer_of(file);

    return t && t->flags & DONE;
}

weir_str tls_layer_alpn(const struct io_file *file)
{
    const struct tls_layer *t = layer_of(file);
    const unsigned char *name = NULL;
    unsigned len = 0;

    if (t)
        SSL_get0_alpn_selected(t->ssl, &name, &len);
    return weir_str_from((const char *)name, len);
}

static weir_str text_of(const char *text)
{
    return text ? weir_str_c(text) : weir_str_from(NULL, 0);
}

weir_str tls_layer_version(const struct io_file *file)
{
    const struct tls_layer *t = layer_of(file);

    return text_of(t ? SSL_get_version(t->ssl) : NULL);
}

weir_str tls_layer_cipher(const struct io_file *file)
{
    const struct tls_layer *t = layer_of(file);

    return text_of(t ? SSL_get_cipher_name(t->ssl) : NULL);
}

weir_str tls_layer_server_name(const struct io_file *file)
{
    const struct tls_layer *t = layer_of(file);

    return text_of(t ? SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name) : NULL);
}

bool tls_layer_resumed(const struct io_file *file)
{
    const struct tls_layer *t = layer_of(file);

    return t && SSL_session_reused(t->ssl);
}

int tls_layer_info(const struct io_file *file, weir_tls_info *ret_info)
{
    if (!tls_layer_done(file))
        return 0;
    *ret_info = (weir_tls_info){ .version = tls_layer_version(file),
                                 .cipher = tls_layer_cipher(file),
                                 .protocol = tls_layer_alpn(file),
                                 .server_name = tls_layer_server_name(file),
                                 .resumed = tls_layer_resumed(file) };
    return 1;
}

int tls_layer_peer(const struct io_file *file, struct arena *arena, weir_tls_peer *ret_peer)
{
    const struct tls_layer *t = layer_of(file);

    return t ? tls_peer_read(t->ssl, arena, ret_peer) : 0;
}

weir_str tls_layer_failure(const struct io_file *file)
{
    const struct tls_layer *t = layer_of(file);

    return text_of(t ? t->failure : NULL);
}
