/* Datagrams in the simulated network: UDP between its hosts, and unix sockets.
 *
 * A port that a program chose, or set a link for, has a link before it. A datagram
 * takes the time of the link of the port it is sent to; if there is none, of that
 * which it comes from. It does so by itself: so jitter alone brings some out of order,
 * and chance loses, doubles and holds up others. What meets a cut link, on either side,
 * or a partition, when it leaves or when it arrives, is lost: nobody sends it again.
 * While a link of limited bandwidth has more than buffer_bytes before it, a send waits.
 *
 * Where nobody is, word goes back the same way (RFC 1122, section 4.1.3.3), and may
 * be lost, too: to a socket that is connected to just that peer it is ECONNREFUSED,
 * told once, by the next call. As with Linux an error comes before what has arrived.
 *
 * A unix socket's datagrams arrive at once and in order; a receiver with
 * UNIX_QUEUE_MAX of them has no room.
 *
 * A datagram is one struct parcel, from its sender through the network into its
 * receiver's queue: in sim->parcels while it is under way, in a queue after. */
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/un.h>

#include "base/alloc.h"
#include "rt/sim_state.h"

#define UNIX_QUEUE_MAX 11        /* Linux: net.unix.max_dgram_qlen, and one */
#define UNIX_BYTES_MAX 212960    /* what its usual buffer takes */
#define UDP4_BYTES_MAX 65507     /* 65,535 less the heads of IP and UDP */
#define UDP6_BYTES_MAX 65527
#define QUEUE_BYTES 212992       /* Linux: net.core.rmem_default */
#define QUEUED_EACH_BYTES 256    /* what it counts for one, beside its bytes */
#define UNDER_WAY_BYTES_MAX (64u << 20)
#define REORDER_US_MAX 100000

struct parcel {
    struct node link;
    struct sim_event arrive;
    struct sim_link *into, *out_of; /* of its receiver's port, its sender's; or NULL */
    struct sim_link *net; /* of these, that whose time it takes; or the usual one */
    uint8_t side;        /* of net: 0 towards its port, 1 back */
    bool nobody;         /* no datagram, but the word that nobody was there */
    struct sockaddr_storage from, to;
    size_t len;
    char data[];
};

/* ---- sockets ------------------------------------------------------------ */

static struct sim_datagrams *socket_of(struct loop *loop, int fd)
{
    return sim_datagrams_of(sim_fd_find(((struct sim_loop *)loop->backend)->sim, fd));
}

static void socket_name(const struct sim_party *party, char text[static SIM_PARTY_NAME_BYTES])
{
    sim_addr_print(&container_of(party, struct sim_datagrams, party)->addr, text,
                   SIM_PARTY_NAME_BYTES);
}

/* What holds of events. */
static int ready(const struct sim_datagrams *d, short events)
{
    int holds = d->error ? POLLERR : 0;

    if (!list_empty(&d->queue) || d->error)
        holds |= events & POLLIN;
    if (d->own->sim->now_ns >= d->full_until_ns)
        holds |= events & POLLOUT;
    return holds;
}

/* Those who wait for what holds now. */
static void wake(struct sim_datagrams *d)
{
    list_each_safe(n, &d->polls) {
        struct io_op *op = container_of(n, struct io_op, link);
        int res = ready(d, op->poll.events);

        if (res == 0)
            continue;
        op->res = res;
        op->pending = false;
        list_remove(&op->link);
        list_push(&d->own->ended, &op->link);
    }
}

static void has_room(struct sim *sim, struct sim_event *event)
{
    (void)sim;
    wake(container_of(event, struct sim_datagrams, room));
}

bool sim_datagram_poll(struct sim_datagrams *d, struct io_op *op)
{
    struct sim *sim = d->own->sim;

    op->res = ready(d, op->poll.events);
    if (op->res != 0 && !sim_fault(sim, SIM_FAULT_late, &d->party))
        return true;
    op->pending = true;
    list_push(&d->polls, &op->link);
    wake(d);
    return false;
}

static int socket_bind(struct sim *sim, struct sim_datagrams *d)
{
    d->chosen = d->addr.ss_family != AF_UNIX && sim_port(&d->addr) == 0;
    if (d->chosen)
        sim_choose_port(sim, &d->addr);
    list_each(n, &sim->datagrams) {
        struct sim_datagrams *other = container_of(n, struct sim_datagrams, link);

        if (!(other->reuse_port && d->reuse_port) &&
            (sim_addr_reaches(&other->addr, &d->addr) || sim_addr_reaches(&d->addr, &other->addr)))
            return -EADDRINUSE;
    }
    return sim_fd_open(sim, &d->base, false);
}

int sim_datagram_open(struct loop *loop, const struct sockaddr *addr, socklen_t addr_len,
                      const struct io_datagram_opts *opts)
{
    struct sim_loop *own = loop->backend;
    struct sim_datagrams *d;
    int rc;

    if (addr->sa_family != AF_INET && addr->sa_family != AF_INET6 && addr->sa_family != AF_UNIX)
        return -EAFNOSUPPORT;
    if (addr_len > sizeof(d->addr))
        return -EINVAL;
    d = base_calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    d->own = own;
    d->party = (struct sim_party){ .number = ++own->sim->party_count, .name = socket_name };
    d->base.datagrams = true;
    d->reuse_port = opts->reuse_port;
    d->room_bytes = opts->recv_buffer_bytes ? opts->recv_buffer_bytes : QUEUE_BYTES;
    list_init(&d->queue);
    list_init(&d->polls);
    sim_event_init(&d->room, has_room);
    memcpy(&d->addr, addr, addr_len);
    d->addr_len = addr_len;
    sim_own_addr(loop, &d->addr);
    rc = socket_bind(own->sim, d);
    if (rc < 0) {
        base_free(d);
        return rc;
    }
    list_push(&own->sim->datagrams, &d->link);
    return d->base.fd;
}

/* A unix socket has taken one from its queue, or is gone: who sends to it may go on. */
static void make_room(struct sim *sim)
{
    list_each(n, &sim->datagrams) {
        struct sim_datagrams *d = container_of(n, struct sim_datagrams, link);

        if (d->addr.ss_family != AF_UNIX)
            continue;
        d->full_until_ns = 0;
        wake(d);
    }
}

void sim_datagram_close(struct sim *sim, struct sim_datagrams *d)
{
    struct node *n;

    list_remove(&d->link);
    sim_event_clear(&d->room);
    sim_fd_close(sim, &d->base);
    while ((n = list_pop(&d->queue)) != NULL)
        base_free(container_of(n, struct parcel, link));
    if (d->addr.ss_family == AF_UNIX)
        make_room(sim);
    base_free(d);
}

void sim_parcels_free(struct sim *sim)
{
    struct node *n;

    while ((n = list_pop(&sim->parcels)) != NULL) {
        struct parcel *p = container_of(n, struct parcel, link);

        sim_event_clear(&p->arrive);
        base_free(p);
    }
    sim->parcel_bytes = 0;
}

/* ---- addresses ---------------------------------------------------------- */

/* An IPv4 address in an IPv6 one's form (RFC 4291, section 2.5.5.2) is meant as such. */
static void unmap(struct sockaddr_storage *addr)
{
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)addr;
    struct sockaddr_in four = { .sin_family = AF_INET };

    if (addr->ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
        return;
    four.sin_port = six->sin6_port;
    memcpy(&four.sin_addr, &six->sin6_addr.s6_addr[12], 4);
    memset(addr, 0, sizeof(*addr));
    memcpy(addr, &four, sizeof(four));
}

static void map(struct sockaddr_storage *addr)
{
    struct sockaddr_in four = *(struct sockaddr_in *)addr;
    struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = four.sin_port };

    six.sin6_addr.s6_addr[10] = six.sin6_addr.s6_addr[11] = 0xff;
    memcpy(&six.sin6_addr.s6_addr[12], &four.sin_addr, 4);
    memset(addr, 0, sizeof(*addr));
    memcpy(addr, &six, sizeof(six));
}

static bool is_one_host(const struct sockaddr_storage *addr)
{
    if (addr->ss_family == AF_INET6)
        return !IN6_IS_ADDR_MULTICAST(&((const struct sockaddr_in6 *)addr)->sin6_addr);
    /* Multicast and broadcast: 224.0.0.0 and above. */
    return ntohl(((const struct sockaddr_in *)addr)->sin_addr.s_addr) < 0xe0000000u;
}

/* Whom a socket means by an address. */
static int find_to(const struct sim_datagrams *d, const void *addr, socklen_t addr_len,
                   struct sockaddr_storage *ret_to)
{
    struct sockaddr_storage to = { 0 };

    if (addr_len > sizeof(to))
        return -EINVAL;
    memcpy(&to, addr, addr_len);
    unmap(&to);
    if (to.ss_family != d->addr.ss_family &&
        !(to.ss_family == AF_INET && d->addr.ss_family == AF_INET6 && sim_addr_is_any(&d->addr)))
        return -EAFNOSUPPORT;
    if (to.ss_family != AF_UNIX) {
        if (sim_port(&to) == 0)
            return -EINVAL;
        if (!is_one_host(&to))
            return -ENETUNREACH; /* the network has no groups */
        if (sim_addr_is_any(&to))
            sim_addr_local(&to);
        sim_own_addr(loop_current, &to);
    }
    *ret_to = to;
    return 0;
}

/* What the receiver sees as the sender. */
static struct sockaddr_storage from_of(const struct sim_datagrams *d,
                                       const struct sockaddr_storage *to)
{
    struct sockaddr_storage from = { .ss_family = to->ss_family };

    if (!sim_addr_is_any(&d->addr))
        return d->addr;
    sim_addr_local(&from);
    sim_set_port(&from, sim_port(&d->addr));
    return from;
}

static bool same_addr(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

int sim_datagram_connect(struct loop *loop, int fd, const struct sockaddr *addr, socklen_t addr_len)
{
    struct sim_datagrams *d = socket_of(loop, fd);
    struct sockaddr_storage to;
    int rc = find_to(d, addr, addr_len, &to);

    if (rc < 0)
        return rc;
    d->peer = to;
    d->peer_len = addr_len;
    return 0;
}

/* ---- who receives ------------------------------------------------------- */

/* How well a socket fits; 0: it does not. One that is connected hears its peer alone,
 * and has it before others. */
static int fits(const struct sim_datagrams *d, const struct parcel *p)
{
    bool connected = d->peer.ss_family != AF_UNSPEC;

    if (!sim_addr_reaches(&d->addr, &p->to) || (connected && !same_addr(&d->peer, &p->from)))
        return 0;
    return 1 + 2 * connected + !sim_addr_is_any(&d->addr);
}

/* Of several that fit alike (SO_REUSEPORT) always the same for one sender. */
static struct sim_datagrams *receiver_of(struct sim *sim, const struct parcel *p)
{
    struct sim_datagrams *found = NULL;
    uint32_t count = 0, chosen;
    int best = 1;

    list_each(n, &sim->datagrams) {
        int fit = fits(container_of(n, struct sim_datagrams, link), p);

        count = fit > best ? 1 : count + (fit == best);
        best = fit > best ? fit : best;
    }
    chosen = count ? sim_port(&p->from) % count : 0;
    list_each(n, &sim->datagrams) {
        struct sim_datagrams *d = container_of(n, struct sim_datagrams, link);

        if (!found && fits(d, p) == best && chosen-- == 0)
            found = d;
    }
    return found;
}

static void note(struct sim *sim, const struct parcel *p, const char *what)
{
    char from[SIM_PARTY_NAME_BYTES], to[SIM_PARTY_NAME_BYTES];

    if (sim->opts.show < 2)
        return;
    sim_addr_print(&p->from, from, sizeof(from));
    sim_addr_print(&p->to, to, sizeof(to));
    sim_note(sim, 2, "%s -> %s: %s of %zu bytes %s", from, to,
             p->nobody ? "word about a datagram" : "a datagram", p->len, what);
}

static void queue(struct sim_datagrams *d, struct parcel *p)
{
    list_push(&d->queue, &p->link);
    d->queued++;
    d->queued_bytes += p->len + QUEUED_EACH_BYTES;
    wake(d);
}

/* ---- under way ---------------------------------------------------------- */

static void arrives(struct sim *sim, struct sim_event *event);

/* The link of a port, if it has one; a port that nobody has chosen needs none. */
static struct sim_link *link_of(struct sim *sim, uint16_t port)
{
    list_each(n, &sim->datagrams) {
        struct sim_datagrams *d = container_of(n, struct sim_datagrams, link);

        if (!d->chosen && sim_port(&d->addr) == port)
            return sim_link_of(sim, port);
    }
    return sim_link_find(sim, port);
}

static void choose_time(struct sim *sim, struct parcel *p)
{
    p->side = !p->into && p->out_of;
    p->net = p->into ? p->into : p->out_of ? p->out_of : sim->usual;
}

static void choose_links(struct sim *sim, struct parcel *p)
{
    p->into = link_of(sim, sim_port(&p->to));
    p->out_of = link_of(sim, sim_port(&p->from));
    choose_time(sim, p);
}

static bool meets_a_cut(struct sim *sim, const struct parcel *p)
{
    return (p->net->cut & 1u << p->side) || (p->out_of && p->out_of->cut & 2) ||
           sim_parted(sim, &p->from, &p->to);
}

static struct parcel *parcel_new(const struct msghdr *message, size_t len)
{
    struct parcel *p = base_malloc(sizeof(*p) + len);
    size_t at = 0;

    if (!p)
        return NULL;
    memset(p, 0, sizeof(*p));
    sim_event_init(&p->arrive, arrives);
    p->len = len;
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        const struct iovec *from = &message->msg_iov[i];

        if (from->iov_len > 0)
            memcpy(p->data + at, from->iov_base, from->iov_len);
        at += from->iov_len;
    }
    return p;
}

static void lose(struct sim *sim, struct parcel *p, const char *why)
{
    note(sim, p, why);
    base_free(p);
}

/* On its way, to arrive at about this time; or lost. */
static void launch(struct sim *sim, struct parcel *p, int64_t left_ns, struct sim_party *about)
{
    int64_t at_ns = left_ns + sim_link_way_ns(sim, p->net);

    if (sim_fault(sim, SIM_FAULT_reorder, about))
        at_ns += (int64_t)(1 + sim_fault_draw(sim, REORDER_US_MAX)) * 1000;
    if (sim_fault(sim, SIM_FAULT_loss, about) || meets_a_cut(sim, p)) {
        lose(sim, p, "is lost");
    } else if (sim->parcel_bytes + p->len > UNDER_WAY_BYTES_MAX) {
        lose(sim, p, "is lost: too much is under way");
    } else {
        note(sim, p, "is sent");
        sim->parcel_bytes += p->len;
        list_push(&sim->parcels, &p->link);
        sim_event_arm(sim, &p->arrive, at_ns);
    }
}

static void answer_for_nobody(struct sim *sim, struct parcel *p)
{
    struct sockaddr_storage to = p->from;
    struct sim_link *out_of = p->into;

    note(sim, p, "finds nobody");
    p->from = p->to;
    p->to = to;
    p->into = p->out_of;
    p->out_of = out_of;
    choose_time(sim, p);
    p->nobody = true;
    launch(sim, p, sim->now_ns, NULL);
}

/* Only a connected socket's sender can be told. */
static void tell(struct sim *sim, struct parcel *p)
{
    list_each(n, &sim->datagrams) {
        struct sim_datagrams *d = container_of(n, struct sim_datagrams, link);

        if (!sim_addr_reaches(&d->addr, &p->to) || !same_addr(&d->peer, &p->from))
            continue;
        d->error = ECONNREFUSED;
        wake(d);
    }
    base_free(p);
}

static void arrives(struct sim *sim, struct sim_event *event)
{
    struct parcel *p = container_of(event, struct parcel, arrive);
    struct sim_datagrams *d;

    list_remove(&p->link);
    sim->parcel_bytes -= p->len;
    if (meets_a_cut(sim, p)) {
        lose(sim, p, "is lost");
        return;
    }
    if (p->nobody) {
        tell(sim, p);
        return;
    }
    d = receiver_of(sim, p);
    if (!d) {
        answer_for_nobody(sim, p);
    } else if (d->queued_bytes + p->len + QUEUED_EACH_BYTES > d->room_bytes && d->queued > 0) {
        lose(sim, p, "is lost: its receiver has no room");
    } else {
        note(sim, p, "arrives");
        queue(d, p);
    }
}

/* ---- sending ------------------------------------------------------------ */

static int send_unix(struct sim *sim, struct sim_datagrams *from, struct parcel *p)
{
    struct sim_datagrams *to = receiver_of(sim, p);

    if (!to && ((const struct sockaddr_un *)&p->to)->sun_path[0] && !same_addr(&from->peer, &p->to))
        return -ENOENT;
    if (!to)
        return -ECONNREFUSED;
    if (to->queued >= UNIX_QUEUE_MAX) {
        from->full_until_ns = WEIR_NEVER_NS; /* until there is room: make_room() */
        return -EAGAIN;
    }
    queue(to, p);
    return 1;
}

/* Is there too much before a link? Then until when. */
static bool is_full(struct sim *sim, struct sim_datagrams *d, const struct parcel *p)
{
    const struct sim_link *link = p->net;
    int64_t full_until_ns;

    if (link->bytes_ms == 0)
        return false;
    full_until_ns = link->busy_until_ns[p->side] -
                    (int64_t)sim->opts.buffer_bytes * SIM_MS / link->bytes_ms;
    if (sim->now_ns >= full_until_ns)
        return false;
    d->full_until_ns = full_until_ns;
    sim_event_arm(sim, &d->room, full_until_ns);
    return true;
}

static int send_udp(struct sim *sim, struct sim_datagrams *d, struct parcel *p,
                    const struct msghdr *message)
{
    struct parcel *again = NULL;
    int64_t left_ns;

    p->from = from_of(d, &p->to);
    choose_links(sim, p);
    if (is_full(sim, d, p))
        return -EAGAIN;
    sim_fault_cuts(sim, p->net, &d->party);
    left_ns = sim_link_leave_ns(sim, p->net, p->side, p->len);
    if (sim_fault(sim, SIM_FAULT_duplicate, &d->party))
        again = parcel_new(message, p->len);
    if (again) {
        again->from = p->from;
        again->to = p->to;
        choose_links(sim, again);
        launch(sim, again, left_ns, &d->party);
    }
    launch(sim, p, left_ns, &d->party);
    return 1;
}

static size_t bytes_max(const struct sockaddr_storage *to)
{
    if (to->ss_family == AF_UNIX)
        return UNIX_BYTES_MAX;
    return to->ss_family == AF_INET ? UDP4_BYTES_MAX : UDP6_BYTES_MAX;
}

static int take_error(struct sim_datagrams *d)
{
    int error = d->error;

    d->error = 0;
    return -error;
}

static int send_one(struct sim *sim, struct sim_datagrams *d, const struct msghdr *message)
{
    struct sockaddr_storage to = d->peer;
    struct parcel *p;
    size_t len = 0;
    int rc = take_error(d);

    if (rc == 0 && message->msg_name)
        rc = find_to(d, message->msg_name, message->msg_namelen, &to);
    if (rc < 0)
        return rc;
    if (to.ss_family == AF_UNSPEC)
        return d->addr.ss_family == AF_UNIX ? -ENOTCONN : -EDESTADDRREQ;
    for (size_t i = 0; i < message->msg_iovlen; i++)
        len += message->msg_iov[i].iov_len;
    if (len > bytes_max(&to))
        return -EMSGSIZE;
    p = parcel_new(message, len);
    if (!p)
        return -ENOBUFS;
    p->to = to;
    p->from = d->addr;
    rc = to.ss_family == AF_UNIX ? send_unix(sim, d, p) : send_udp(sim, d, p, message);
    if (rc < 0)
        base_free(p);
    return rc;
}

int sim_datagram_send(struct loop *loop, int fd, struct mmsghdr *messages, unsigned count)
{
    struct sim_datagrams *d = socket_of(loop, fd);
    int rc = 1;
    unsigned i;

    for (i = 0; i < count && rc > 0; i++)
        rc = send_one(d->own->sim, d, &messages[i].msg_hdr);
    if (rc > 0)
        return (int)i;
    return i > 1 ? (int)i - 1 : rc;
}

/* ---- receiving ---------------------------------------------------------- */

static socklen_t addr_len_of(const struct sockaddr_storage *addr)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)addr;
    size_t path = sizeof(un->sun_path);

    if (addr->ss_family == AF_INET)
        return sizeof(struct sockaddr_in);
    if (addr->ss_family == AF_INET6)
        return sizeof(struct sockaddr_in6);
    while (path > 0 && !un->sun_path[path - 1])
        path--;
    path += path > 0 && un->sun_path[0] && path < sizeof(un->sun_path); /* and its end */
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path);
}

static void fill_name(const struct sim_datagrams *d, struct sockaddr_storage from,
                      struct msghdr *message)
{
    socklen_t len;

    if (from.ss_family == AF_INET && d->addr.ss_family == AF_INET6)
        map(&from);
    len = addr_len_of(&from);
    if (message->msg_name)
        memcpy(message->msg_name, &from, len < message->msg_namelen ? len : message->msg_namelen);
    message->msg_namelen = len;
}

static void take_one(struct sim_datagrams *d, struct mmsghdr *to)
{
    struct parcel *p = container_of(list_pop(&d->queue), struct parcel, link);
    struct msghdr *message = &to->msg_hdr;
    size_t at = 0;

    d->queued--;
    d->queued_bytes -= p->len + QUEUED_EACH_BYTES;
    for (size_t i = 0; i < message->msg_iovlen && at < p->len; i++) {
        size_t len = message->msg_iov[i].iov_len;

        if (len > p->len - at)
            len = p->len - at;
        memcpy(message->msg_iov[i].iov_base, p->data + at, len);
        at += len;
    }
    to->msg_len = (unsigned)at;
    message->msg_flags = at < p->len ? MSG_TRUNC : 0;
    fill_name(d, p->from, message);
    base_free(p);
}

int sim_datagram_recv(struct loop *loop, int fd, struct mmsghdr *messages, unsigned count)
{
    struct sim_datagrams *d = socket_of(loop, fd);
    unsigned got = 0;

    if (d->error)
        return take_error(d);
    while (got < count && !list_empty(&d->queue))
        take_one(d, &messages[got++]);
    if (got > 0 && d->addr.ss_family == AF_UNIX)
        make_room(d->own->sim);
    return got > 0 ? (int)got : -EAGAIN;
}
