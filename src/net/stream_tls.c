/* TLS for streams of one's own: the layer is put on the stream's file, so that reading and
 * writing are the stream's own (stream_tcp.c). What is waited for here is the handshake,
 * which a send of nothing does.
 *
 * A stream whose handshake has failed is of no use: its reads and writes repeat the
 * failure, for what the peer says next is not what was asked for. */
#include <errno.h>

#include "net/addr.h"
#include "net/stream.h"
#include "net/tcp.h"
#include "net/tls_context.h"
#include "net/tls_layer.h"

#define HANDSHAKE_MS 10000

static struct tls_context *context_of(weir_tls *tls)
{
    return (struct tls_context *)tls;
}

static int hand_over(struct tls_context *context, weir_tls **ret_tls)
{
    tls_context_follow(context);
    *ret_tls = (weir_tls *)context;
    return 0;
}

int weir_tls_server_new_opt(weir_tls **ret_tls, const weir_tls_server_opts *opts)
{
    struct tls_context *context = NULL;
    int rc = rt_check();

    if (rc == 0)
        rc = tls_context_server(opts, &context);
    return rc < 0 ? rc : hand_over(context, ret_tls);
}

int weir_tls_client_new_opt(weir_tls **ret_tls, const weir_tls_client_opts *opts)
{
    struct tls_context *context = NULL;
    int rc = rt_check();

    if (rc == 0)
        rc = tls_context_client(opts, &context);
    return rc < 0 ? rc : hand_over(context, ret_tls);
}

void weir_tls_free(weir_tls *tls)
{
    tls_context_unref(context_of(tls));
}

int weir_tls_reload(weir_tls *tls)
{
    int rc = rt_check();

    return rc < 0 ? rc : tls_context_reload(context_of(tls));
}

/* ---- the beginning --------------------------------------------------------------------- */

/* Can the stream begin to speak TLS? What was written before is sent. */
static int get_ready(weir_stream *s)
{
    stream_check_home(s);
    if (!s->ops->file)
        return -EOPNOTSUPP;
    if (tls_layer_is(s->ops->file(s)))
        return -EALREADY;
    if (s->reading || s->writing)
        return -EBUSY;
    return weir_stream_flush(s);
}

static int shake(weir_stream *s)
{
    struct io_op op = { .kind = IO_SEND, .file = s->ops->file(s) };
    weir_str words;
    int rc = -ETIMEDOUT;

    WEIR_SCOPE(limit, .timeout_ms = HANDSHAKE_MS, .name = "TLS handshake") {
        rc = tcp_io(&op, "TLS handshake");
        if (rc == -ETIMEDOUT && weir_timed_out(limit))
            rc = weir_fail(WEIR_EPEERTIMEOUT, "the TLS handshake took more than %d s",
                           HANDSHAKE_MS / 1000);
    }
    words = tls_layer_failure(op.file);
    if (rc < 0 && words.ptr && op.res == rc)
        rc = weir_fail(rc, "TLS: %.*s", WEIR_ARG(words));
    if (rc < 0)
        s->read_rc = s->write_rc = rc;
    return rc;
}

int weir_tls_accept(weir_tls *tls, weir_stream *s)
{
    int rc = rt_check();

    if (rc == 0)
        rc = get_ready(s);
    if (rc == 0)
        rc = tls_layer_accept(loop_self(), s->ops->file(s), context_of(tls));
    return rc < 0 ? rc : shake(s);
}

int weir_tls_start(weir_tls *tls, weir_stream *s, weir_str host, uint16_t port)
{
    int rc = rt_check();

    if (rc == 0)
        rc = tls_context_prepare(context_of(tls));
    if (rc == 0)
        rc = get_ready(s);
    if (rc == 0)
        rc = tls_layer_connect(loop_self(), s->ops->file(s), context_of(tls), host, port);
    return rc < 0 ? rc : shake(s);
}

/* "localhost" of "localhost:443", "::1" of "[::1]:443"; of a unix socket, which is this
 * machine's, "localhost". */
static int host_of(const char *address, weir_str *ret_host, uint16_t *ret_port)
{
    weir_str text = weir_str_c(address);
    int rc = 0;

    *ret_host = WEIR_S("");
    *ret_port = 0;
    if (!addr_text_is_unix(text))
        rc = addr_split(text, ret_host, ret_port);
    if (ret_host->len == 0)
        *ret_host = WEIR_S("localhost");
    else if (ret_host->len > 2 && ret_host->ptr[0] == '[')
        *ret_host = weir_str_from(ret_host->ptr + 1, ret_host->len - 2);
    return rc;
}

int weir_tls_connect(weir_tls *tls, const char *address, weir_stream **ret_stream)
{
    weir_stream *s = NULL;
    weir_str host;
    uint16_t port;
    int rc = rt_check();

    if (rc == 0)
        rc = host_of(address, &host, &port);
    if (rc == 0)
        rc = tls_context_prepare(context_of(tls));
    if (rc == 0)
        rc = weir_stream_connect(address, &s);
    if (rc != 0)
        return rc;
    rc = weir_tls_start(tls, s, host, port);
    if (rc < 0) {
        weir_stream_close(s);
        return weir_wrap(rc, "connecting to %s", address);
    }
    *ret_stream = s;
    return 0;
}

/* ---- what is known ----------------------------------------------------------------------- */

int weir_stream_tls(weir_stream *s, weir_tls_info *ret_info)
{
    stream_check_home(s);
    return s->ops->file ? tls_layer_info(s->ops->file(s), ret_info) : 0;
}

int weir_stream_certificate(weir_stream *s, weir_tls_peer *ret_peer)
{
    stream_check_home(s);
    return s->ops->file ? tls_layer_peer(s->ops->file(s), rt_arena(), ret_peer) : 0;
}
