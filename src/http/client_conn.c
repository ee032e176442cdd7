/* A client's connection: a descriptor in a pool. It holds no buffer; what is
 * received belongs to the call that it serves.
 *
 * One to a host that was looked up is of no use any more once the host's name
 * stands for other addresses: so a service that moves takes its callers with it.
 *
 * Its only state is whose it is: the pool's (idle) or a call's. An operation is
 * only ever under way while it is a call's, and the call awaits it, so a
 * connection can be closed whenever its owner says so. */
#include "base/alloc.h"
#include "http/client_links.h"
#include "net/connect.h"
#include "net/dns.h"
#include "net/tcp.h"
#include "net/tls_context.h"
#include "net/tls_layer.h"

static struct client_conn *conn_new(void)
{
    struct client_conn *conn = base_calloc(1, sizeof(*conn));

    if (conn)
        conn->file.fd = -1;
    return conn;
}

void client_conn_close(struct client_conn *conn)
{
    struct loop *loop = loop_self();

    io_detach(loop, &conn->file, false);
    base_free(conn);
}

void client_conn_close_item(weir_pool_item *item)
{
    struct client_conn *conn = container_of(item, struct client_conn, item);

    if (conn->h2)
        client_link_close(conn->h2);
    else
        client_conn_close(conn);
}

bool client_conn_moved(const struct client_conn *conn)
{
    return conn->origin->named && !dns_lists(conn->origin->host, &conn->addr);
}

bool client_conn_dead(weir_pool_item *item)
{
    struct loop *loop = loop_self();
    struct client_conn *conn = container_of(item, struct client_conn, item);

    if (conn->h2 ? client_link_dead(conn->h2) : io_is_dead(loop, &conn->file))
        return true;
    return client_conn_moved(conn);
}

static int conn_connect(struct client_conn *conn)
{
    const struct client_origin *origin = conn->origin;

    if (origin->host.ptr)
        return connect_host(&conn->file, origin->host, origin->port, &conn->addr);
    return tcp_connect(&conn->file, addr_sockaddr(&origin->addr), origin->addr.len);
}

/* The name or address without the brackets of an IPv6 literal. */
static weir_str bare_host(weir_str host)
{
    if (host.len > 2 && host.ptr[0] == '[')
        return weir_str_from(host.ptr + 1, host.len - 2);
    return host;
}

/* Over the connection that is made: the handshake, which a send of nothing waits for. */
static int conn_secure(struct client_conn *conn)
{
    const struct client_origin *origin = conn->origin;
    struct io_op op = { .kind = IO_SEND, .file = &conn->file };
    weir_str words;
    int rc = tls_layer_connect(loop_self(), &conn->file, origin->tls, bare_host(origin->host),
                               origin->port);

    if (rc == 0)
        rc = tcp_io(&op, "TLS handshake");
    words = tls_layer_failure(&conn->file);
    if (rc < 0 && words.ptr && op.res == rc)
        rc = weir_fail(rc, "%.*s, at %s", WEIR_ARG(words), origin->key);
    if (rc < 0)
        io_detach(loop_self(), &conn->file, false);
    else
        conn->agreed_h2 = weir_str_eq(tls_layer_alpn(&conn->file), WEIR_S("h2"));
    return rc;
}

static int conn_make(struct client_conn *conn)
{
    int rc = conn->origin->secure ? tls_context_prepare(conn->origin->tls) : 0;

    if (rc == 0)
        rc = conn_connect(conn);
    if (rc == 0 && conn->origin->secure)
        rc = conn_secure(conn);
    return rc;
}

int client_conn_open(const struct client_origin *origin, uint32_t timeout_ms,
                     struct client_conn **ret_conn)
{
    struct client_conn *conn = conn_new();
    int rc = -ENOMEM;

    if (!conn)
        return rc;
    conn->origin = origin;
    WEIR_SCOPE(s, .timeout_ms = timeout_ms, .name = "connect") {
        rc = conn_make(conn);
        if (rc == -ETIMEDOUT && weir_timed_out(s))
            rc = weir_fail(WEIR_EPEERTIMEOUT, "no connection to %s within %u ms", origin->key,
                           timeout_ms);
    }
    if (rc < 0) {
        base_free(conn);
        return weir_wrap(rc, "connecting to %s", origin->key);
    }
    *ret_conn = conn;
    return 0;
}
