/* Load for an echo server: keeps a number of connections busy, one message at a time on each,
 * looks at every byte that comes back, and reports what a message cost the server in CPU time.
 *
 * As in load.c, messages and the server's CPU time are read at the same two moments, in a window
 * that lies inside the load. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE_MAX = 16384, EVENTS_MAX = 256 };

struct conn {
    int fd;
    size_t got;
};

struct load {
    unsigned port, pid, connections, bytes;
    double seconds;
    int epoll;
    struct conn *conns;
    char message[MESSAGE_MAX];
    uint64_t messages;
};

static void die(const char *what)
{
    fprintf(stderr, "echo_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* CPU time of the process, user and system, all threads. */
static double cpu_s(unsigned pid)
{
    clockid_t clock;
    struct timespec t;

    errno = clock_getcpuclockid((pid_t)pid, &clock);
    if (errno || clock_gettime(clock, &t) < 0)
        die("the server's CPU time");
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void conn_open(struct load *l, struct conn *c)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                              .sin_port = htons((uint16_t)l->port) };
    struct epoll_event want = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = c };
    int on = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0)
        die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (fcntl(c->fd, F_SETFL, O_NONBLOCK) < 0 ||
        epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &want) < 0)
        die("connection");
}

static void conn_send(struct load *l, struct conn *c)
{
    c->got = 0;
    if (send(c->fd, l->message, l->bytes, MSG_NOSIGNAL) != (ssize_t)l->bytes)
        die("send");
}

static void conn_ready(struct load *l, struct conn *c)
{
    char in[MESSAGE_MAX];
    ssize_t n;

    while ((n = recv(c->fd, in, sizeof in, 0)) > 0) {
        if (c->got + (size_t)n > l->bytes || memcmp(in, l->message + c->got, (size_t)n) != 0) {
            errno = EPROTO;
            die("what came back is not what was sent");
        }
        c->got += (size_t)n;
        if (c->got == l->bytes) {
            l->messages++;
            conn_send(l, c);
            return; /* its answer is another edge */
        }
    }
    if (n == 0 || errno != EAGAIN)
        die("receive");
}

static void run_for(struct load *l, double seconds)
{
    struct epoll_event events[EVENTS_MAX];
    double end = now_s() + seconds;

    while (now_s() < end) {
        int n = epoll_wait(l->epoll, events, EVENTS_MAX, 100);

        for (int i = 0; i < n; i++)
            conn_ready(l, events[i].data.ptr);
    }
}

int main(int argc, char **argv)
{
    struct load l = { .connections = 1000, .bytes = 512 };
    double cpu, own, begun;

    if (argc != 6) {
        fprintf(stderr, "usage: echo_load PORT PID CONNECTIONS BYTES SECONDS\n");
        return 2;
    }
    l.port = (unsigned)strtoul(argv[1], NULL, 10);
    l.pid = (unsigned)strtoul(argv[2], NULL, 10);
    l.connections = (unsigned)strtoul(argv[3], NULL, 10);
    l.bytes = (unsigned)strtoul(argv[4], NULL, 10);
    l.seconds = strtod(argv[5], NULL);
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    l.conns = calloc(l.connections, sizeof *l.conns);
    if (l.epoll < 0 || !l.conns || l.bytes == 0 || l.bytes > MESSAGE_MAX)
        die("start");
    for (unsigned i = 0; i < l.bytes; i++)
        l.message[i] = (char)('!' + i % 90);
    for (unsigned i = 0; i < l.connections; i++)
        conn_open(&l, &l.conns[i]);
    for (unsigned i = 0; i < l.connections; i++)
        conn_send(&l, &l.conns[i]);
    run_for(&l, 0.5);
    if (l.messages < 2ull * l.connections)
        run_for(&l, 2);
    l.messages = 0;
    cpu = cpu_s(l.pid);
    own = cpu_s((unsigned)getpid());
    begun = now_s();
    run_for(&l, l.seconds);
    cpu = cpu_s(l.pid) - cpu;
    own = cpu_s((unsigned)getpid()) - own;
    printf("{\"messages\": %llu, \"seconds\": %.3f, \"cpu_ns\": %.1f, \"load_busy\": %.2f}\n",
           (unsigned long long)l.messages, now_s() - begun, cpu * 1e9 / (double)l.messages,
           own / (now_s() - begun));
    return l.messages == 0;
}
