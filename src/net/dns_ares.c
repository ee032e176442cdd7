/* The name servers, asked by c-ares.
 *
 * c-ares holds the protocol: messages, servers in turn, truncated answers by TCP,
 * search domains. This module gives it sockets' events and time, all on the loop's
 * own stack and from one place: an event or the timer only notes what has happened
 * and asks for the deferred work, which tells c-ares, looks what it waits for now,
 * and waits for that.
 *
 * The names of its functions that newer versions call old are used where Debian 12
 * (1.18) has no others.
 *
 * A channel that resolv.conf has outdated answers what it was asked, and is ended
 * then. Invariant: an ares_sock is freed only when its operation is not pending. */
#include <ares.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "net/dns.h"

#define ARES_ROUNDS 16 /* then other deferred work comes first */

struct channel {
    struct node link; /* in dns_ares.channels; the last is asked */
    struct dns_ares *ares;
    ares_channel ares_side;
    struct node socks;
    uint32_t queries;
    bool retired;
    char servers[200];
};

struct ares_sock {
    struct node link;
    struct channel *channel;
    struct io_op op;
    int fd;
    short wants, ready;
    bool gone;
};

struct dns_ares {
    struct loop *loop;
    struct dns_setup setup;
    struct node channels;
    struct node leaving; /* ares_sock whose operation is still to end */
    struct deferred work;
    struct timer timer;
    bool time_over;
    struct dns_file conf;
};

/* ---- sockets ---------------------------------------------------------------------- */

static void sock_free(struct ares_sock *sock)
{
    list_remove(&sock->link);
    base_free(sock);
}

static void sock_done(struct io_op *op)
{
    struct ares_sock *sock = container_of(op, struct ares_sock, op);

    if (sock->gone) {
        sock_free(sock);
        return;
    }
    if (op->res > 0)
        sock->ready |= (short)op->res;
    loop_defer(sock->channel->ares->loop, &sock->channel->ares->work);
}

static struct ares_sock *sock_find(struct channel *channel, int fd)
{
    list_each(n, &channel->socks) {
        struct ares_sock *sock = container_of(n, struct ares_sock, link);

        if (sock->fd == fd && !sock->gone)
            return sock;
    }
    return NULL;
}

static struct ares_sock *sock_new(struct channel *channel, int fd)
{
    struct ares_sock *sock = base_calloc(1, sizeof(*sock));

    if (!sock)
        return NULL; /* the question runs into its time-out */
    sock->channel = channel;
    sock->fd = fd;
    sock->op.kind = IO_POLL;
    sock->op.done = sock_done;
    list_push(&channel->socks, &sock->link);
    return sock;
}

/* c-ares wants to know of other events, or closes the socket next. */
static void sock_changed(void *data, ares_socket_t fd, int readable, int writable)
{
    struct channel *channel = data;
    struct ares_sock *sock = sock_find(channel, fd);

    if (!sock && (readable || writable))
        sock = sock_new(channel, fd);
    if (!sock)
        return;
    sock->wants = (short)((readable ? POLLIN : 0) | (writable ? POLLOUT : 0));
    sock->gone = sock->wants == 0;
    if (sock->op.pending && (sock->gone || sock->op.poll.events != sock->wants))
        io_cancel(channel->ares->loop, &sock->op);
    else if (sock->gone)
        sock_free(sock);
    loop_defer(channel->ares->loop, &channel->ares->work);
}

/* Wait for what it wants, or know that it is there. */
static void sock_wait(struct loop *loop, struct ares_sock *sock)
{
    if (sock->gone || sock->op.pending || sock->ready)
        return;
    sock->op.poll.fd = sock->fd;
    sock->op.poll.events = sock->wants;
    if (io_submit(loop, &sock->op) && sock->op.res > 0)
        sock->ready = (short)sock->op.res;
    /* One that can't be waited for, for want of memory or a descriptor, is tried
     * again with the next event, or when c-ares's time is over. */
}

/* ---- channels ------------------------------------------------------------------------ */

static void note_servers(struct channel *channel)
{
#if ARES_VERSION >= 0x011800
    char *csv = ares_get_servers_csv(channel->ares_side);

    snprintf(channel->servers, sizeof(channel->servers), "%s", csv ? csv : "none");
    ares_free_string(csv);
#else
    struct ares_addr_port_node *servers = NULL;
    size_t at = 0;

    snprintf(channel->servers, sizeof(channel->servers), "none");
    if (ares_get_servers_ports(channel->ares_side, &servers) != ARES_SUCCESS)
        return;
    for (struct ares_addr_port_node *s = servers; s && at < 120; s = s->next) {
        char host[64];

        ares_inet_ntop(s->family, &s->addr, host, sizeof(host));
        at += (size_t)snprintf(channel->servers + at, sizeof(channel->servers) - at, "%s%s:%d",
                               at ? ", " : "", host, s->udp_port ? s->udp_port : 53);
    }
    ares_free_data(servers);
#endif
}

static int channel_init(struct channel *channel, const weir_dns_opts *opts)
{
    struct ares_options options = { .timeout = (int)opts->timeout_ms,
                                    .tries = (int)opts->tries,
                                    .lookups = (char *)"b",
                                    .resolvconf_path = (char *)opts->resolv_conf,
                                    .sock_state_cb = sock_changed,
                                    .sock_state_cb_data = channel };
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_RESOLVCONF |
               ARES_OPT_SOCK_STATE_CB,
        rc;

#ifdef ARES_OPT_QUERY_CACHE
    mask |= ARES_OPT_QUERY_CACHE; /* of no seconds: what is known is known in dns.c */
#endif
    rc = ares_init_options(&channel->ares_side, &options, mask);
    if (rc != ARES_SUCCESS)
        return -ENOMEM;
    if (opts->servers[0])
        rc = ares_set_servers_ports_csv(channel->ares_side, opts->servers);
    if (rc != ARES_SUCCESS) {
        ares_destroy(channel->ares_side);
        return -EINVAL;
    }
    note_servers(channel);
    return 0;
}

static struct channel *channel_new(struct dns_ares *ares)
{
    struct channel *channel = base_calloc(1, sizeof(*channel));

    if (!channel)
        return NULL;
    channel->ares = ares;
    list_init(&channel->socks);
    if (channel_init(channel, &ares->setup.opts) < 0) {
        base_free(channel);
        return NULL;
    }
    list_push(&ares->channels, &channel->link);
    return channel;
}

static void channel_free(struct channel *channel)
{
    channel->retired = true;
    ares_destroy(channel->ares_side);
    list_each_safe(n, &channel->socks) {
        struct ares_sock *sock = container_of(n, struct ares_sock, link);

        list_remove(&sock->link);
        if (sock->op.pending) /* its end frees it */
            list_push(&channel->ares->leaving, &sock->link);
        else
            base_free(sock);
    }
    list_remove(&channel->link);
    base_free(channel);
}

static struct channel *channel_current(const struct dns_ares *ares)
{
    return list_empty(&ares->channels) ? NULL
                                       : container_of(ares->channels.prev, struct channel, link);
}

/* ---- the work --------------------------------------------------------------------------- */

/* Tell c-ares what has happened to the channel's sockets; false: nothing. */
static bool channel_process(struct channel *channel)
{
    list_each(n, &channel->socks) {
        struct ares_sock *sock = container_of(n, struct ares_sock, link);
        short ready = sock->ready;
        bool reads = ready & (POLLIN | POLLERR | POLLHUP), writes = ready & POLLOUT;

        if (sock->gone || !ready)
            continue;
        sock->ready = 0;
        ares_process_fd(channel->ares_side, reads ? sock->fd : ARES_SOCKET_BAD,
                        writes ? sock->fd : ARES_SOCKET_BAD);
        return true; /* the list may be another one now */
    }
    return false;
}

static void channel_turn(struct channel *channel)
{
    struct loop *loop = channel->ares->loop;

    for (int rounds = 0; rounds < ARES_ROUNDS; rounds++) {
        list_each(n, &channel->socks)
            sock_wait(loop, container_of(n, struct ares_sock, link));
        if (!channel_process(channel))
            return;
    }
    loop_defer(loop, &channel->ares->work); /* there may be more, which no event tells */
}

static void set_timer(struct dns_ares *ares)
{
    int64_t next_ns = WEIR_NEVER_NS, now_ns = loop_now_ns(ares->loop);

    list_each(n, &ares->channels) {
        struct timeval left, *tv;
        int64_t at_ns;

        tv = ares_timeout(container_of(n, struct channel, link)->ares_side, NULL, &left);
        if (!tv)
            continue;
        at_ns = now_ns + (int64_t)tv->tv_sec * 1000000000 + (int64_t)tv->tv_usec * 1000;
        next_ns = at_ns < next_ns ? at_ns : next_ns;
    }
    if (next_ns == WEIR_NEVER_NS)
        timer_clear(ares->loop, &ares->timer);
    else
        timer_set(ares->loop, &ares->timer, next_ns);
}

static void do_work(struct deferred *work)
{
    struct dns_ares *ares = container_of(work, struct dns_ares, work);
    bool time_over = ares->time_over;

    ares->time_over = false;
    list_each_safe(n, &ares->channels) {
        struct channel *channel = container_of(n, struct channel, link);

        if (time_over)
            ares_process_fd(channel->ares_side, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
        channel_turn(channel);
        if (channel->retired && channel->queries == 0)
            channel_free(channel);
    }
    set_timer(ares);
}

static void timer_over(struct timer *timer)
{
    struct dns_ares *ares = container_of(timer, struct dns_ares, timer);

    ares->time_over = true;
    loop_defer(ares->loop, &ares->work);
}

/* ---- questions -------------------------------------------------------------------------- */

static enum name_result result_of(int status)
{
    switch (status) {
    case ARES_SUCCESS: return NAME_OK;
    case ARES_ENODATA: return NAME_NONE;
    case ARES_ENOTFOUND: return NAME_UNKNOWN;
    case ARES_ETIMEOUT: return NAME_SILENT;
    case ARES_ENOMEM: return NAME_NO_MEMORY;
    default: return NAME_FAILED;
    }
}

static const char *why_of(int status)
{
    switch (status) {
    case ARES_ENODATA: return "no data";
    case ARES_ENOTFOUND: return "NXDOMAIN";
    case ARES_ESERVFAIL: return "SERVFAIL";
    case ARES_EREFUSED: return "REFUSED";
    case ARES_ETIMEOUT: return "time-out";
    /* Before 1.24 this is what is left when the last server was tried, whatever it
     * said. */
    case ARES_ECONNREFUSED: return "SERVFAIL, REFUSED, or nobody is there";
    case ARES_EFORMERR: return "FORMERR";
    case ARES_ENOTIMP: return "NOTIMP";
    default: return ares_strerror(status); /* static */
    }
}

/* The shortest TTL on the way to the addresses. */
static void take_answer(struct name_query *query, const struct ares_addrinfo *info)
{
    int ttl = INT32_MAX;

    for (const struct ares_addrinfo_cname *c = info->cnames; c; c = c->next)
        ttl = c->ttl < ttl ? c->ttl : ttl;
    for (const struct ares_addrinfo_node *a = info->nodes; a; a = a->ai_next) {
        if (a->ai_family != query->family || query->count == NAME_ADDRS_MAX)
            continue;
        ttl = a->ai_ttl < ttl ? a->ai_ttl : ttl;
        if (a->ai_family == AF_INET)
            memcpy(query->addrs[query->count++],
                   &((const struct sockaddr_in *)(const void *)a->ai_addr)->sin_addr, 4);
        else
            memcpy(query->addrs[query->count++],
                   &((const struct sockaddr_in6 *)(const void *)a->ai_addr)->sin6_addr, 16);
    }
    query->ttl_ms = ttl > 0 ? (int64_t)ttl * 1000 : 0;
}

static void answered(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    struct name_query *query = arg;
    struct channel *channel = query->own;

    (void)timeouts;
    channel->queries--;
    if (status == ARES_EDESTRUCTION)
        return; /* dns_ares_free() */
    query->count = 0;
    query->result = result_of(status);
    query->why = why_of(status);
    if (status == ARES_SUCCESS)
        take_answer(query, info);
    if (query->result == NAME_OK && query->count == 0) {
        query->result = NAME_NONE;
        query->why = "no data";
    }
    ares_freeaddrinfo(info);
    query->done(query);
}

/* The channel to ask; a new one when resolv.conf has changed. */
static struct channel *channel_get(struct dns_ares *ares)
{
    struct channel *channel = channel_current(ares);

    if (!dns_file_changed(&ares->conf, ares->setup.opts.resolv_conf, loop_now_ns(ares->loop)) &&
        channel)
        return channel;
    if (channel)
        channel->retired = true; /* and freed by the work */
    return channel_new(ares);
}

void dns_ares_ask(struct dns_ares *ares, struct name_query *query)
{
    struct ares_addrinfo_hints hints = { .ai_flags = ARES_AI_NOSORT,
                                         .ai_family = query->family,
                                         .ai_socktype = SOCK_STREAM };
    struct channel *channel = channel_get(ares);

    if (!channel) {
        query->result = NAME_FAILED;
        query->why = "the resolver can't be set up";
        query->done(query);
        return;
    }
    query->own = channel;
    channel->queries++;
    loop_defer(ares->loop, &ares->work);
    ares_getaddrinfo(channel->ares_side, query->name, NULL, &hints, answered, query);
}

const char *dns_ares_servers(struct dns_ares *ares)
{
    struct channel *channel = channel_current(ares);

    return channel ? channel->servers : "none";
}

struct dns_ares *dns_ares_new(struct loop *loop, const struct dns_setup *setup)
{
    struct dns_ares *ares = base_calloc(1, sizeof(*ares));

    if (!ares)
        return NULL;
    ares->loop = loop;
    ares->setup = *setup;
    ares->setup.opts.servers = ares->setup.servers;
    ares->setup.opts.resolv_conf = ares->setup.resolv_conf;
    list_init(&ares->channels);
    list_init(&ares->leaving);
    deferred_init(&ares->work, do_work);
    timer_init(&ares->timer, timer_over);
    return ares;
}

void dns_ares_setup(struct dns_ares *ares, const struct dns_setup *setup)
{
    struct channel *channel = channel_current(ares);

    ares->setup = *setup;
    ares->setup.opts.servers = ares->setup.servers;
    ares->setup.opts.resolv_conf = ares->setup.resolv_conf;
    if (channel)
        channel->retired = true;
    ares->conf = (struct dns_file){ 0 }; /* the next question makes a new one */
}

void dns_ares_free(struct dns_ares *ares)
{
    if (!ares)
        return;
    while (!list_empty(&ares->channels))
        channel_free(channel_current(ares));
    list_each_safe(n, &ares->leaving) {
        struct ares_sock *sock = container_of(n, struct ares_sock, link);

        io_cancel(ares->loop, &sock->op);
        list_remove(&sock->op.link); /* the loop ends: it is not to be reported */
        sock_free(sock);
    }
    loop_undefer(&ares->work);
    timer_clear(ares->loop, &ares->timer);
    base_free(ares);
}
