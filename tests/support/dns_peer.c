/* A name server for tests; see dns_peer.h. Messages are RFC 1035, section 4. */
#include "support/dns_peer.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RECORDS 32
#define DELAYED 64
#define MESSAGE_BYTES 8192
#define TYPE_A 1
#define TYPE_CNAME 5
#define TYPE_AAAA 28

struct delayed {
    int64_t at_ms;
    struct sockaddr_in to;
    size_t len;
    unsigned char bytes[512];
};

struct dns_peer {
    pthread_t thread;
    pthread_mutex_t lock;
    struct dns_record records[RECORDS];
    unsigned count, delayed_count;
    struct delayed delayed[DELAYED];
    atomic_uint asked, asked_tcp;
    atomic_bool stop;
    int udp, tcp;
};

struct message {
    unsigned char bytes[MESSAGE_BYTES];
    size_t len;
};

struct question {
    char name[256];
    unsigned type;
    size_t end; /* behind it, in the message */
};

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void put(struct message *m, const void *bytes, size_t len)
{
    if (m->len + len > sizeof(m->bytes))
        abort();
    memcpy(m->bytes + m->len, bytes, len);
    m->len += len;
}

static void put16(struct message *m, unsigned value)
{
    unsigned char bytes[2] = { (unsigned char)(value >> 8), (unsigned char)value };

    put(m, bytes, 2);
}

static void put32(struct message *m, uint32_t value)
{
    put16(m, value >> 16);
    put16(m, value & 0xffff);
}

static void put_name(struct message *m, const char *name)
{
    while (*name) {
        size_t len = strcspn(name, ".");
        unsigned char byte = (unsigned char)len;

        put(m, &byte, 1);
        put(m, name, len);
        name += len + (name[len] == '.');
    }
    put(m, "", 1);
}

static bool read_question(const unsigned char *bytes, size_t len, struct question *q)
{
    size_t at = 12, to = 0;

    while (at < len && bytes[at] != 0) {
        size_t label = bytes[at++];

        if (at + label >= len || to + label + 2 > sizeof(q->name))
            return false;
        memcpy(q->name + to, bytes + at, label);
        to += label;
        q->name[to++] = '.';
        at += label;
    }
    q->name[to ? to - 1 : 0] = '\0';
    if (at + 5 > len)
        return false;
    q->type = (unsigned)bytes[at + 1] << 8 | bytes[at + 2];
    q->end = at + 5;
    return true;
}

static void put_head(struct message *m, const unsigned char *query, const struct question *q,
                     unsigned flags)
{
    m->len = 0;
    put(m, query, 2);
    put16(m, 0x8180 | flags); /* an answer; recursion was there */
    put16(m, 1);
    put16(m, 0);
    put16(m, 0);
    put16(m, 0);
    put(m, query + 12, q->end - 12);
}

static void count_answer(struct message *m)
{
    unsigned count = ((unsigned)m->bytes[6] << 8 | m->bytes[7]) + 1;

    m->bytes[6] = (unsigned char)(count >> 8);
    m->bytes[7] = (unsigned char)count;
}

static void put_address(struct message *m, const char *owner, unsigned type, uint32_t ttl,
                        const char *text)
{
    unsigned char bytes[16];

    put_name(m, owner);
    put16(m, type);
    put16(m, 1);
    put32(m, ttl);
    put16(m, type == TYPE_A ? 4 : 16);
    if (inet_pton(type == TYPE_A ? AF_INET : AF_INET6, text, bytes) != 1)
        abort();
    put(m, bytes, type == TYPE_A ? 4 : 16);
    count_answer(m);
}

static void put_cname(struct message *m, const char *owner, const char *target, uint32_t ttl)
{
    struct message name = { .len = 0 };

    put_name(m, owner);
    put16(m, TYPE_CNAME);
    put16(m, 1);
    put32(m, ttl);
    put_name(&name, target);
    put16(m, (unsigned)name.len);
    put(m, name.bytes, name.len);
    count_answer(m);
}

static void put_addresses(struct message *m, const struct dns_record *r, const char *owner,
                          unsigned type)
{
    const char *const *list = type == TYPE_A ? r->v4 : r->v6;

    for (int i = 0; i < 3 && list[i] && (type == TYPE_A || type == TYPE_AAAA); i++)
        put_address(m, owner, type, r->ttl_s, list[i]);
}

static void put_huge(struct message *m, const struct question *q)
{
    for (int i = 0; i < 200 && q->type == TYPE_A; i++) {
        char text[32];

        snprintf(text, sizeof(text), "127.1.0.%d", i + 1);
        put_address(m, q->name, TYPE_A, 60, text);
    }
}

static unsigned rcode_of(enum dns_way way)
{
    return way == DNS_NXDOMAIN ? 3 : way == DNS_SERVFAIL ? 2 : way == DNS_REFUSED ? 5 : 0;
}

/* The answer by the record; false: none. */
static bool answer(const struct dns_record *r, const unsigned char *query, const struct question *q,
                   bool tcp, struct message *m)
{
    bool by_tcp = r->way == DNS_TRUNCATED || r->way == DNS_HUGE;
    char target[300];

    put_head(m, query, q, rcode_of(r->way));
    switch (r->way) {
    case DNS_SILENT: return false;
    case DNS_AAAA_SILENT:
        if (q->type == TYPE_AAAA)
            return false;
        break;
    case DNS_NXDOMAIN:
    case DNS_SERVFAIL:
    case DNS_REFUSED: return true;
    case DNS_CNAME_LOOP:
        snprintf(target, sizeof(target), "b.%s", q->name);
        put_cname(m, q->name, target, 60);
        put_cname(m, target, q->name, 60);
        return true;
    case DNS_CNAME:
        snprintf(target, sizeof(target), "real.%s", q->name);
        put_cname(m, q->name, target, 5);
        put_addresses(m, r, target, q->type);
        return true;
    default: break;
    }
    if (by_tcp && !tcp) {
        m->bytes[2] |= 0x02; /* TC */
        return true;
    }
    if (r->way == DNS_HUGE)
        put_huge(m, q);
    else
        put_addresses(m, r, q->name, q->type);
    return true;
}

/* Spoil an answer. */
static void spoil(enum dns_way way, const struct question *q, struct message *m)
{
    if (way == DNS_WRONG_ID || way == DNS_WRONG_ID_ONLY)
        m->bytes[0] ^= 0x55;
    if (way == DNS_WRONG_QUESTION)
        m->bytes[13] = m->bytes[13] == 'z' ? 'y' : 'z'; /* the name's first letter */
    if (way == DNS_GARBAGE)
        for (size_t i = 12; i < m->len; i++)
            m->bytes[i] = (unsigned char)rand();
    if (way == DNS_SHORT)
        m->len = q->end + 7;
}

static const struct dns_record *record_of(struct dns_peer *peer, const char *name)
{
    static const struct dns_record unknown = { .way = DNS_NXDOMAIN };

    for (unsigned i = 0; i < peer->count; i++)
        if (strcasecmp(peer->records[i].name, name) == 0)
            return &peer->records[i];
    return &unknown;
}

static void send_later(struct dns_peer *peer, const struct sockaddr_in *to, const struct message *m,
                       uint32_t delay_ms)
{
    struct delayed *d = &peer->delayed[peer->delayed_count];

    if (peer->delayed_count == DELAYED || m->len > sizeof(d->bytes))
        abort();
    peer->delayed_count++;
    d->at_ms = now_ms() + delay_ms;
    d->to = *to;
    d->len = m->len;
    memcpy(d->bytes, m->bytes, m->len);
}

static void send_to(struct dns_peer *peer, const struct sockaddr_in *to, const void *bytes,
                    size_t len)
{
    if (sendto(peer->udp, bytes, len, 0, (const struct sockaddr *)to, sizeof(*to)) < 0)
        perror("the test's name server can't send");
}

static void serve_udp(struct dns_peer *peer)
{
    unsigned char query[512];
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    ssize_t n = recvfrom(peer->udp, query, sizeof(query), 0, (struct sockaddr *)&from, &len);
    const struct dns_record *r;
    struct question q;
    struct message m;

    if (n < 0 || !read_question(query, (size_t)n, &q))
        return;
    atomic_fetch_add(&peer->asked, 1);
    r = record_of(peer, q.name);
    if (!answer(r, query, &q, false, &m))
        return;
    if (r->way == DNS_SLOW || (r->way == DNS_SLOW_AAAA && q.type == TYPE_AAAA)) {
        send_later(peer, &from, &m, r->delay_ms);
        return;
    }
    spoil(r->way, &q, &m);
    send_to(peer, &from, m.bytes, m.len);
    if (r->way == DNS_WRONG_ID) {
        m.bytes[0] ^= 0x55;
        send_to(peer, &from, m.bytes, m.len);
    }
}

static bool read_all(int fd, void *to, size_t len)
{
    size_t at = 0;
    ssize_t n;

    while (at < len && (n = read(fd, (char *)to + at, len - at)) > 0)
        at += (size_t)n;
    return at == len;
}

static void serve_tcp(struct dns_peer *peer)
{
    unsigned char query[1024], head[2];
    int fd = accept(peer->tcp, NULL, NULL);
    struct timeval second = { 1, 0 };
    struct question q;
    struct message m;

    if (fd < 0)
        return;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
    while (read_all(fd, head, 2)) {
        size_t len = (size_t)head[0] << 8 | head[1];

        if (len > sizeof(query) || !read_all(fd, query, len) || !read_question(query, len, &q))
            break;
        atomic_fetch_add(&peer->asked_tcp, 1);
        if (!answer(record_of(peer, q.name), query, &q, true, &m))
            break;
        head[0] = (unsigned char)(m.len >> 8);
        head[1] = (unsigned char)m.len;
        if (send(fd, head, 2, MSG_NOSIGNAL) < 0 || send(fd, m.bytes, m.len, MSG_NOSIGNAL) < 0)
            break;
    }
    close(fd);
}

static void send_delayed(struct dns_peer *peer)
{
    for (unsigned i = 0; i < peer->delayed_count;) {
        struct delayed *d = &peer->delayed[i];

        if (now_ms() < d->at_ms) {
            i++;
            continue;
        }
        send_to(peer, &d->to, d->bytes, d->len);
        *d = peer->delayed[--peer->delayed_count];
    }
}

static void *serve(void *arg)
{
    struct dns_peer *peer = arg;

    while (!atomic_load(&peer->stop)) {
        struct pollfd fds[2] = { { .fd = peer->udp, .events = POLLIN },
                                 { .fd = peer->tcp, .events = POLLIN } };

        poll(fds, 2, 2);
        pthread_mutex_lock(&peer->lock);
        send_delayed(peer);
        if (fds[0].revents)
            serve_udp(peer);
        if (fds[1].revents)
            serve_tcp(peer);
        pthread_mutex_unlock(&peer->lock);
    }
    return NULL;
}

/* Both at one port: that UDP chose may be taken for TCP, then another is tried. */
static bool open_sockets(struct dns_peer *peer, struct sockaddr_in *addr)
{
    socklen_t len = sizeof(*addr);
    int on = 1;

    *addr = (struct sockaddr_in){ .sin_family = AF_INET };
    addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    peer->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(peer->tcp, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(peer->udp, (struct sockaddr *)addr, len) == 0 &&
        getsockname(peer->udp, (struct sockaddr *)addr, &len) == 0 &&
        bind(peer->tcp, (struct sockaddr *)addr, sizeof(*addr)) == 0 && listen(peer->tcp, 8) == 0)
        return true;
    close(peer->udp);
    close(peer->tcp);
    return false;
}

struct dns_peer *dns_peer_start(char address[static 32])
{
    struct dns_peer *peer = calloc(1, sizeof(*peer));
    struct sockaddr_in addr;
    int tries = 0;

    while (!open_sockets(peer, &addr)) {
        if (++tries == 100) {
            perror("the test's name server");
            abort();
        }
    }
    pthread_mutex_init(&peer->lock, NULL);
    snprintf(address, 32, "127.0.0.1:%u", ntohs(addr.sin_port));
    if (pthread_create(&peer->thread, NULL, serve, peer) != 0)
        abort();
    return peer;
}

void dns_peer_set(struct dns_peer *peer, const struct dns_record *record)
{
    unsigned i = 0;

    pthread_mutex_lock(&peer->lock);
    while (i < peer->count && strcasecmp(peer->records[i].name, record->name) != 0)
        i++;
    if (i == RECORDS)
        abort();
    peer->records[i] = *record;
    peer->count = i == peer->count ? i + 1 : peer->count;
    pthread_mutex_unlock(&peer->lock);
}

uint32_t dns_peer_asked(struct dns_peer *peer)
{
    return atomic_load(&peer->asked);
}

uint32_t dns_peer_asked_tcp(struct dns_peer *peer)
{
    return atomic_load(&peer->asked_tcp);
}

void dns_peer_stop(struct dns_peer *peer)
{
    atomic_store(&peer->stop, true);
    pthread_join(peer->thread, NULL);
    close(peer->udp);
    close(peer->tcp);
    pthread_mutex_destroy(&peer->lock);
    free(peer);
}
