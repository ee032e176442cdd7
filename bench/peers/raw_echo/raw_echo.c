/* The least that can echo over TCP: one recv and one send a message, edge-triggered epoll, no
 * memory but one buffer. What a server's CPU time a message is held against. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_MAX = 256, BUFFER = 16384 };

static char buffer[BUFFER];

static void conn_ready(int fd)
{
    for (;;) {
        ssize_t n = recv(fd, buffer, BUFFER, 0);

        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0 || send(fd, buffer, (size_t)n, MSG_NOSIGNAL) != n)
            break;
        if (n < BUFFER)
            return;
    }
    close(fd);
}

static void accept_all(int epoll, int listener)
{
    int fd, on = 1;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct epoll_event want = { .events = EPOLLIN | EPOLLET, .data.fd = fd };

        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &want) < 0)
            close(fd);
    }
}

static int listen_on(const char *port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

    at.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, SOMAXCONN) < 0) {
        perror("raw_echo: can't listen");
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS_MAX], want = { .events = EPOLLIN };
    int epoll, listener;

    if (argc != 2) {
        fprintf(stderr, "usage: raw_echo PORT\n");
        return 2;
    }
    want.data.fd = listener = listen_on(argv[1]);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &want) < 0) {
        perror("raw_echo: epoll");
        return 1;
    }
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS_MAX, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                accept_all(epoll, listener);
            else
                conn_ready(events[i].data.fd);
        }
        if (n < 0 && errno != EINTR) {
            perror("raw_echo: epoll_wait");
            return 1;
        }
    }
}
