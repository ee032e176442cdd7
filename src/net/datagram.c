/* Datagrams: a socket of the backend's, tried first, and waited for by IO_POLL when it
 * has nothing, or no room.
 *
 * Nothing is read ahead, so a cancel or a deadline loses nothing: what has arrived is
 * the socket's until a call takes it. A stop ends the wait for datagrams as a source's
 * orderly end; those that are there already are still received. */
#include <weir/datagram.h>

#include <netinet/in.h>
#include <poll.h>

#include "base/alloc.h"
#include "net/dns.h"
#include "net/tcp.h"
#include "net/unix_path.h"

#define DATAGRAMS_MAX 64

/* What the backend is given for several at once. */
struct batch {
    struct mmsghdr messages[DATAGRAMS_MAX];
    struct iovec vectors[DATAGRAMS_MAX];
    struct addr addrs[DATAGRAMS_MAX];
};

struct weir_datagram {
    int fd;
    struct batch *in, *out; /* made when first needed */
    struct addr addr;
    struct unix_path path;
    bool receiving, sending, connected;
};

_Static_assert(sizeof(weir_address) == sizeof(struct addr), "an address is an address");

static void to_public(const struct addr *addr, weir_address *ret_address)
{
    memcpy(ret_address, addr, sizeof(*addr));
}

static struct addr from_public(const weir_address *address)
{
    struct addr addr;

    memcpy(&addr, address, sizeof(addr));
    return addr;
}

int weir_address_parse(const char *text, weir_address *ret_address)
{
    struct addr addr;
    int rc = addr_parse(weir_str_c(text), &addr);

    if (rc == 0)
        to_public(&addr, ret_address);
    return rc;
}

weir_str weir_address_text(const weir_address *address)
{
    struct addr addr = from_public(address);
    char text[ADDR_TEXT_BYTES] = "";
    struct arena *arena = rt_arena();

    if (addr.len > 0)
        addr_format(&addr, text);
    return arena ? arena_dup(arena, weir_str_c(text)) : weir_str_from(NULL, 0);
}

/* ---- opening ---------------------------------------------------------------------- */

static int open_fd(struct loop *loop, const struct addr *addr, const struct io_datagram_opts *opts)
{
    const struct io_ops *io = loop_io(loop);
    int fd = io->datagram_open(loop, addr_sockaddr(addr), addr->len, opts), rc;

    if (fd != -EADDRINUSE || addr->storage.ss_family != AF_UNIX || io->in_memory)
        return fd;
    rc = unix_path_clear(addr);
    return rc < 0 ? rc : io->datagram_open(loop, addr_sockaddr(addr), addr->len, opts);
}

static int open_socket(weir_datagram *d, const weir_datagram_opts *opts)
{
    const struct io_datagram_opts how = { .reuse_port = opts->reuse_port,
                                          .broadcast = opts->broadcast,
                                          .recv_buffer_bytes = opts->recv_buffer_bytes,
                                          .unix_mode = opts->unix_mode };
    struct loop *loop = loop_self();
    struct io_file file = { .fd = -1 };
    int rc = open_fd(loop, &d->addr, &how);

    if (rc < 0)
        return rc;
    file.fd = d->fd = rc;
    rc = loop_io(loop)->in_memory ? 0 : unix_path_claim(&d->addr, opts->unix_mode, &d->path);
    return rc < 0 ? rc : loop_io(loop)->address(loop, &file, false, &d->addr.storage, &d->addr.len);
}

int weir_datagram_open_opt(const char *address, weir_datagram **ret_datagram,
                           const weir_datagram_opts *opts)
{
    weir_datagram *d;
    struct addr addr;
    int rc = addr_parse(weir_str_c(address), &addr);

    if (rc < 0)
        return rc;
    d = base_calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    d->fd = -1;
    d->addr = addr;
    rc = open_socket(d, opts);
    if (rc < 0) {
        weir_datagram_close(d);
        return weir_wrap(rc, "opening a socket for datagrams at %s: %s", address,
                         weir_error_text(rc));
    }
    *ret_datagram = d;
    return 0;
}

void weir_datagram_close(weir_datagram *d)
{
    struct io_file file = { .fd = d ? d->fd : -1 };

    if (!d)
        return;
    unix_path_release(&d->addr, &d->path);
    if (d->fd >= 0)
        io_detach(loop_self(), &file, false);
    base_free(d->in);
    base_free(d->out);
    base_free(d);
}

weir_address weir_datagram_address(const weir_datagram *d)
{
    weir_address address;

    to_public(&d->addr, &address);
    return address;
}

/* ---- a peer -------------------------------------------------------------------------- */

/* A name's first address of the socket's family. */
static int resolve_peer(const weir_datagram *d, const char *text, struct addr *ret_addr)
{
    int half = d->addr.storage.ss_family == AF_INET6 ? DNS_V6 : DNS_V4, rc;
    struct dns_name *name;
    weir_str host;
    uint16_t port;

    rc = addr_split(weir_str_c(text), &host, &port);
    if (rc < 0)
        return rc;
    if (addr_from_literal(host, port, ret_addr))
        return 0;
    rc = dns_name_get(host, &name);
    if (rc < 0)
        return rc;
    while (rc == 0 && dns_half_pending(&name->half[half]))
        rc = dns_name_wait(name, WEIR_NEVER_NS);
    if (rc == 0 && name->half[half].count == 0)
        rc = dns_name_fail(name);
    else if (rc == 0)
        dns_half_addr(&name->half[half], half, 0, port, ret_addr);
    dns_name_release(name);
    return rc;
}

int weir_datagram_connect(weir_datagram *d, const char *address)
{
    struct addr addr;
    int rc = rt_check();

    if (rc < 0)
        return rc;
    rc = addr_text_is_unix(weir_str_c(address)) ? addr_parse(weir_str_c(address), &addr)
                                                : resolve_peer(d, address, &addr);
    if (rc == 0)
        rc = loop_io(loop_self())
                 ->datagram_connect(loop_self(), d->fd, addr_sockaddr(&addr), addr.len);
    if (rc < 0)
        return weir_wrap(rc, "connecting to %s", address);
    d->connected = true;
    rt_spend();
    return 0;
}

/* ---- waiting ------------------------------------------------------------------------- */

struct poll_wait {
    struct wait wait;
    struct io_op *op;
};

static void poll_abandon(struct wait *wait, int code)
{
    (void)code;
    io_cancel(loop_self(), container_of(wait, struct poll_wait, wait)->op);
}

static void poll_done(struct io_op *op)
{
    wait_wake(op->done_arg, op->res);
}

/* Until the socket is ready: 1; 0 when a stop has ended it; or a code. */
static int wait_for(const weir_datagram *d, short events, const char *what)
{
    struct io_op op = { .kind = IO_POLL,
                        .done = poll_done,
                        .poll = { .fd = d->fd, .events = events } };
    struct poll_wait self = { .wait = { .abandon = poll_abandon,
                                        .what = what,
                                        .object = d,
                                        .ends_at_stop = events == POLLIN },
                              .op = &op };
    int rc = rt_check();

    if (rc < 0)
        return rc;
    op.done_arg = &self.wait;
    rc = io_submit(loop_self(), &op) ? op.res : rt_park(&self.wait);
    if (rc == -ECANCELED && op.cancelled)
        return rt_check(); /* 0: a stop */
    return rc < 0 ? rc : 1;
}

/* ---- receiving ------------------------------------------------------------------------ */

static int recv_into(weir_datagram *d, weir_packet *packets, size_t count, struct mmsghdr *messages,
                     struct iovec *vectors, struct addr *addrs)
{
    struct loop *loop = loop_self();
    int n;

    for (size_t i = 0; i < count; i++) {
        vectors[i] = (struct iovec){ packets[i].data, packets[i].room };
        messages[i].msg_hdr = (struct msghdr){ .msg_name = &addrs[i].storage,
                                               .msg_namelen = sizeof(addrs[i].storage),
                                               .msg_iov = &vectors[i],
                                               .msg_iovlen = 1 };
    }
    n = loop_io(loop)->datagram_recv(loop, d->fd, messages, (unsigned)count);
    for (int i = 0; i < n; i++) {
        packets[i].len = messages[i].msg_len;
        packets[i].truncated = messages[i].msg_hdr.msg_flags & MSG_TRUNC;
        addrs[i].len = messages[i].msg_hdr.msg_namelen;
        to_public(&addrs[i], &packets[i].peer);
    }
    return n;
}

static int recv_one(weir_datagram *d, weir_packet *packet)
{
    struct mmsghdr message;
    struct iovec vector;
    struct addr addr = { 0 };

    return recv_into(d, packet, 1, &message, &vector, &addr);
}

static struct batch *batch_of(struct batch **place)
{
    if (!*place)
        *place = base_calloc(1, sizeof(**place));
    return *place;
}

static int recv_batch(weir_datagram *d, weir_packet *packets, size_t count)
{
    struct batch *b = batch_of(&d->in);

    return b ? recv_into(d, packets, count, b->messages, b->vectors, b->addrs) : -ENOMEM;
}

int weir_datagram_recv_many(weir_datagram *d, weir_packet *packets, size_t count)
{
    int rc = rt_check();

    if (rc < 0)
        return rc;
    if (d->receiving)
        return -EBUSY;
    if (count == 0)
        return -EINVAL;
    count = count < DATAGRAMS_MAX ? count : DATAGRAMS_MAX;
    d->receiving = true;
    for (;;) {
        rc = count == 1 ? recv_one(d, packets) : recv_batch(d, packets, count);
        if (rc != -EAGAIN)
            break;
        rc = weir_stopping() ? 0 : wait_for(d, POLLIN, "receive");
        if (rc <= 0)
            break;
    }
    d->receiving = false;
    if (rc > 0)
        rt_spend();
    return rc;
}

int weir_datagram_recv(weir_datagram *d, weir_packet *packet)
{
    return weir_datagram_recv_many(d, packet, 1);
}

/* ---- sending -------------------------------------------------------------------------- */

static int send_from(weir_datagram *d, const weir_packet *packets, size_t count,
                     struct mmsghdr *messages, struct iovec *vectors, struct addr *addrs)
{
    struct loop *loop = loop_self();

    for (size_t i = 0; i < count; i++) {
        struct msghdr *message = &messages[i].msg_hdr;

        addrs[i] = from_public(&packets[i].peer);
        vectors[i] = (struct iovec){ packets[i].data, packets[i].len };
        *message = (struct msghdr){ .msg_iov = &vectors[i], .msg_iovlen = 1 };
        if (addrs[i].len > 0) {
            message->msg_name = &addrs[i].storage;
            message->msg_namelen = addrs[i].len;
        }
    }
    return loop_io(loop)->datagram_send(loop, d->fd, messages, (unsigned)count);
}

static int send_one(weir_datagram *d, const weir_packet *packet)
{
    struct mmsghdr message;
    struct iovec vector;
    struct addr addr;

    return send_from(d, packet, 1, &message, &vector, &addr);
}

static int send_batch(weir_datagram *d, const weir_packet *packets, size_t count)
{
    struct batch *b = batch_of(&d->out);

    return b ? send_from(d, packets, count, b->messages, b->vectors, b->addrs) : -ENOMEM;
}

/* The peer's queue is full. Of an unconnected unix socket nothing tells when it is not
 * (it is always writable, to somebody), so that is tried again. */
static int wait_to_send(const weir_datagram *d)
{
    if (d->addr.storage.ss_family == AF_UNIX && !d->connected)
        return weir_sleep_ms(1);
    return wait_for(d, POLLOUT, "send");
}

int weir_datagram_send_many(weir_datagram *d, const weir_packet *packets, size_t count)
{
    int rc = rt_check();

    if (rc < 0)
        return rc;
    if (d->sending)
        return -EBUSY;
    if (count == 0)
        return -EINVAL;
    count = count < DATAGRAMS_MAX ? count : DATAGRAMS_MAX;
    d->sending = true;
    for (;;) {
        rc = count == 1 ? send_one(d, packets) : send_batch(d, packets, count);
        if (rc != -EAGAIN)
            break;
        rc = wait_to_send(d);
        if (rc < 0)
            break;
    }
    d->sending = false;
    if (rc > 0)
        rt_spend();
    return rc;
}

int weir_datagram_send(weir_datagram *d, weir_str data, const weir_address *peer)
{
    weir_packet packet = { .data = (void *)data.ptr, .len = data.len };
    int rc;

    if (!data.ptr)
        return -ENOMEM;
    if (peer)
        packet.peer = *peer;
    rc = weir_datagram_send_many(d, &packet, 1);
    return rc < 0 ? rc : 0;
}
