/* The least that can answer HTTP over keep-alive TCP: one recv and one send a request.
 *
 * Why: it is the physical limit that a server's CPU time a request is held against. It looks for
 * the end of each head and nothing else, and answers the same bytes to whatever was asked.
 *
 * Edge-triggered, since a short read already says that nothing is left; a level-triggered set is
 * polled once more for each event (--level shows the difference). */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { HEAD_MAX = 4096, EVENTS_MAX = 256, PIPELINED_MAX = 64 };

struct conn {
    int fd;
    size_t used;            /* bytes of a head whose end has not come yet */
    char in[HEAD_MAX];
};

static const char answer[] = "HTTP/1.1 200 OK\r\n"
                             "Server: raw\r\n"
                             "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
                             "Content-Type: text/plain\r\n"
                             "Content-Length: 13\r\n"
                             "\r\n"
                             "Hello, World!";
static const size_t answer_len = sizeof answer - 1;

static void conn_close(struct conn *c)
{
    close(c->fd);
    free(c);
}

/* Takes whole heads off the front of what has come; returns how many. */
static size_t conn_take_heads(struct conn *c)
{
    size_t heads = 0, taken = 0;

    while (heads < PIPELINED_MAX) {
        char *end = memmem(c->in + taken, c->used - taken, "\r\n\r\n", 4);

        if (!end)
            break;
        taken = (size_t)(end - c->in) + 4;
        heads++;
    }
    if (taken > 0 && taken < c->used)
        memmove(c->in, c->in + taken, c->used - taken);
    c->used -= taken;
    return heads;
}

static bool conn_answer(struct conn *c, size_t heads)
{
    struct iovec out[PIPELINED_MAX];

    if (heads == 1)
        return send(c->fd, answer, answer_len, MSG_NOSIGNAL) == (ssize_t)answer_len;
    for (size_t i = 0; i < heads; i++)
        out[i] = (struct iovec){ (void *)answer, answer_len };
    return writev(c->fd, out, (int)heads) == (ssize_t)(heads * answer_len);
}

static void conn_ready(struct conn *c)
{
    for (;;) {
        size_t room = HEAD_MAX - c->used, heads;
        ssize_t n = recv(c->fd, c->in + c->used, room, 0);

        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0)
            break;
        c->used += (size_t)n;
        while ((heads = conn_take_heads(c)) > 0)
            if (!conn_answer(c, heads)) {
                conn_close(c);
                return;
            }
        if ((size_t)n < room)
            return;
        if (c->used == HEAD_MAX)
            break;
    }
    conn_close(c);
}

static void accept_all(int epoll, int listener, uint32_t trigger)
{
    int fd, on = 1;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *c = malloc(sizeof *c);
        struct epoll_event want = { .events = EPOLLIN | trigger, .data.ptr = c };

        if (!c) {
            close(fd);
            return;
        }
        c->fd = fd;
        c->used = 0;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &want) < 0)
            conn_close(c);
    }
}

static int listen_on(const char *port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

    at.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, SOMAXCONN) < 0) {
        perror("raw_epoll: can't listen");
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS_MAX], want = { .events = EPOLLIN };
    uint32_t trigger = argc == 3 && strcmp(argv[2], "--level") == 0 ? 0 : EPOLLET;
    int epoll, listener;

    if (argc < 2 || (argc == 3 && trigger != 0) || argc > 3) {
        fprintf(stderr, "usage: raw_epoll PORT [--level]\n");
        return 2;
    }
    listener = listen_on(argv[1]);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &want) < 0) {
        perror("raw_epoll: epoll");
        return 1;
    }
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS_MAX, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                conn_ready(events[i].data.ptr);
            else
                accept_all(epoll, listener, trigger);
        }
        if (n < 0 && errno != EINTR) {
            perror("raw_epoll: epoll_wait");
            return 1;
        }
    }
}
