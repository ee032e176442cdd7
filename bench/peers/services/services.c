/* Ten small services in one process, for gateways to call: each listens on a port of its own and
 * answers about 200 bytes of JSON 10 to 30 ms after the request, uniformly at random.
 *
 * Why C and one epoll set: they share a core with the load generator, and at 60,000 answers a
 * second they must leave most of it.
 *
 * A due answer hangs in a wheel of 250 us slots; all delays are shorter than one turn of it. The
 * ports are printed on one line once all are open.
 *
 * States of a connection: READING -> WAITING (in the wheel) -> READING ...; a peer that leaves
 * while its answer waits is marked gone and closed when the slot is due, so that no slot ever
 * holds a closed descriptor. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    SERVICES = 10,
    HEAD_MAX = 2048,
    ANSWER_MAX = 512,
    EVENTS_MAX = 512,
    SLOTS = 256,
    SLOT_NS = 250000,
    DELAY_MIN_NS = 10000000,
    DELAY_SPAN_NS = 20000000,
};

_Static_assert((DELAY_MIN_NS + DELAY_SPAN_NS) / SLOT_NS + 2 < SLOTS, "delays fit the wheel");

struct conn {
    struct conn *next; /* in its slot */
    int fd;
    uint8_t service;
    bool listener, waiting, gone;
    size_t used;
    char in[HEAD_MAX];
};

struct services {
    int epoll;
    struct conn *slots[SLOTS];
    uint64_t tick;          /* the first slot that has not been run */
    uint64_t random;
    char answers[SERVICES][ANSWER_MAX];
    size_t answer_len[SERVICES];
};

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void conn_close(struct conn *c)
{
    close(c->fd);
    free(c);
}

/* Puts the connection's answer in the wheel if a whole head is there. */
static void conn_schedule(struct services *s, struct conn *c, uint64_t now)
{
    char *end = memmem(c->in, c->used, "\r\n\r\n", 4);
    size_t head_len;
    uint64_t due;

    if (!end)
        return;
    head_len = (size_t)(end - c->in) + 4;
    c->used -= head_len;
    if (c->used > 0)
        memmove(c->in, c->in + head_len, c->used);
    due = (now + DELAY_MIN_NS + random_next(&s->random) % DELAY_SPAN_NS) / SLOT_NS;
    c->waiting = true;
    c->next = s->slots[due % SLOTS];
    s->slots[due % SLOTS] = c;
}

static void conn_ready(struct services *s, struct conn *c, uint64_t now)
{
    size_t room = HEAD_MAX - c->used;
    ssize_t n = recv(c->fd, c->in + c->used, room, 0);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0 || (size_t)n == room) {
        c->gone = true;
        if (!c->waiting)
            conn_close(c);
        else
            epoll_ctl(s->epoll, EPOLL_CTL_DEL, c->fd, NULL);
        return;
    }
    c->used += (size_t)n;
    if (!c->waiting)
        conn_schedule(s, c, now);
}

static void conn_due(struct services *s, struct conn *c, uint64_t now)
{
    size_t len = s->answer_len[c->service];

    c->waiting = false;
    if (c->gone || send(c->fd, s->answers[c->service], len, MSG_NOSIGNAL) != (ssize_t)len) {
        conn_close(c);
        return;
    }
    if (c->used > 0)
        conn_schedule(s, c, now);
}

static void run_due(struct services *s, uint64_t now)
{
    for (; (s->tick + 1) * SLOT_NS <= now; s->tick++) {
        struct conn *c = s->slots[s->tick % SLOTS];

        s->slots[s->tick % SLOTS] = NULL;
        while (c) {
            struct conn *next = c->next;

            conn_due(s, c, now);
            c = next;
        }
    }
}

/* How long until the next slot that holds something; a second when none does. */
static struct timespec until_due(const struct services *s, uint64_t now)
{
    for (uint64_t tick = s->tick; tick < s->tick + SLOTS; tick++) {
        uint64_t at = (tick + 1) * SLOT_NS;

        if (s->slots[tick % SLOTS])
            return (struct timespec){ .tv_nsec = at > now ? (long)(at - now) : 0 };
    }
    return (struct timespec){ .tv_sec = 1 };
}

static void accept_all(struct services *s, const struct conn *listener)
{
    int fd, on = 1;

    while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *c = calloc(1, sizeof *c);
        struct epoll_event want = { .events = EPOLLIN | EPOLLET, .data.ptr = c };

        if (!c) {
            close(fd);
            return;
        }
        c->fd = fd;
        c->service = listener->service;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &want) < 0)
            conn_close(c);
    }
    if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
        perror("services: accept");
        exit(1);
    }
}

static void answer_prepare(struct services *s, unsigned i)
{
    char body[256];
    int body_len = snprintf(body, sizeof body,
                            "{\"service\":\"service-%u\",\"id\":\"0194f7a2-6c1e-7d3b-9a5f-%012u\","
                            "\"status\":\"active\",\"quantity\":%u,\"price\":%u.95,"
                            "\"tags\":[\"alpha\",\"beta\",\"gamma\"],\"enabled\":true,"
                            "\"updated\":\"2026-01-01T00:00:00Z\"}",
                            i, 1000000 + i, 17 * i + 3, 100 + i);

    s->answer_len[i] = (size_t)snprintf(s->answers[i], ANSWER_MAX,
                                        "HTTP/1.1 200 OK\r\n"
                                        "Server: services\r\n"
                                        "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
                                        "Content-Type: application/json\r\n"
                                        "Content-Length: %d\r\n"
                                        "\r\n"
                                        "%s",
                                        body_len, body);
}

/* Opens one service on a port that the kernel picks, and returns that port. */
static unsigned service_open(struct services *s, unsigned i)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t at_len = sizeof at;
    struct conn *c = calloc(1, sizeof *c);
    struct epoll_event want = { .events = EPOLLIN, .data.ptr = c };

    if (!c) {
        perror("services");
        exit(1);
    }
    c->listener = true;
    c->service = (uint8_t)i;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || bind(c->fd, (struct sockaddr *)&at, sizeof at) < 0 ||
        listen(c->fd, SOMAXCONN) < 0 || getsockname(c->fd, (struct sockaddr *)&at, &at_len) < 0 ||
        epoll_ctl(s->epoll, EPOLL_CTL_ADD, c->fd, &want) < 0) {
        perror("services: can't listen");
        exit(1);
    }
    answer_prepare(s, i);
    return ntohs(at.sin_port);
}

int main(void)
{
    static struct services s = { .random = 0x9e3779b97f4a7c15u };
    struct epoll_event events[EVENTS_MAX];

    s.epoll = epoll_create1(EPOLL_CLOEXEC);
    s.tick = now_ns() / SLOT_NS;
    for (unsigned i = 0; i < SERVICES; i++)
        printf("%u%c", service_open(&s, i), i + 1 < SERVICES ? ' ' : '\n');
    fflush(stdout);

    for (;;) {
        struct timespec wait = until_due(&s, now_ns());
        int n = epoll_pwait2(s.epoll, events, EVENTS_MAX, &wait, NULL);
        uint64_t now = now_ns();

        if (n < 0 && errno != EINTR) {
            perror("services: epoll_pwait2");
            return 1;
        }
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;

            if (c->listener)
                accept_all(&s, c);
            else
                conn_ready(&s, c, now);
        }
        run_due(&s, now);
    }
}
