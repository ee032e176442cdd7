/* The scripted peer; see peer.h. */
#include "support/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PEER_CONNS_MAX 4096
#define PEER_LIMIT_S 10

struct peer {
    int fd;
    pthread_t thread;
    peer_script *script;
    void *arg;
    pthread_mutex_t lock; /* of what follows */
    struct peer_conn *conns[PEER_CONNS_MAX];
    pthread_t threads[PEER_CONNS_MAX];
    int count;
    bool stopping;
    atomic_int heads, notes;
    sem_t go;
};

static void set_limits(int fd)
{
    struct timeval limit = { .tv_sec = PEER_LIMIT_S };
    int on = 1;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void close_conn(struct peer_conn *conn)
{
    pthread_mutex_lock(&conn->peer->lock);
    if (conn->fd >= 0)
        close(conn->fd);
    conn->fd = -1;
    pthread_mutex_unlock(&conn->peer->lock);
}

static void *conn_thread(void *arg)
{
    struct peer_conn *conn = arg;

    conn->peer->script(conn);
    close_conn(conn);
    peer_note(conn);
    return NULL;
}

static bool add_conn(struct peer *peer, int fd)
{
    struct peer_conn *conn = calloc(1, sizeof(*conn));
    bool added = false;

    if (!conn)
        return false;
    conn->peer = peer;
    conn->fd = fd;
    conn->arg = peer->arg;
    pthread_mutex_lock(&peer->lock);
    if (!peer->stopping && peer->count < PEER_CONNS_MAX) {
        conn->index = peer->count;
        peer->conns[peer->count] = conn;
        added = pthread_create(&peer->threads[peer->count], NULL, conn_thread, conn) == 0;
        peer->count += added;
    }
    pthread_mutex_unlock(&peer->lock);
    if (!added)
        free(conn);
    return added;
}

static void *accept_thread(void *arg)
{
    struct peer *peer = arg;

    for (;;) {
        int fd = accept4(peer->fd, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
            return NULL;
        if (fd < 0)
            continue;
        set_limits(fd);
        if (!add_conn(peer, fd))
            close(fd);
    }
}

static int listen_somewhere(uint16_t *ret_port)
{
    struct sockaddr_in addr = { .sin_family = AF_INET };
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &len) < 0 || listen(fd, 1024) < 0)
        abort();
    *ret_port = ntohs(addr.sin_port);
    return fd;
}

struct peer *peer_start(peer_script *script, void *arg, uint16_t *ret_port)
{
    struct peer *peer = calloc(1, sizeof(*peer));

    if (!peer)
        return NULL;
    peer->script = script;
    peer->arg = arg;
    pthread_mutex_init(&peer->lock, NULL);
    sem_init(&peer->go, 0, 0);
    peer->fd = listen_somewhere(ret_port);
    if (pthread_create(&peer->thread, NULL, accept_thread, peer) != 0)
        abort();
    return peer;
}

void peer_stop(struct peer *peer)
{
    shutdown(peer->fd, SHUT_RDWR);
    pthread_join(peer->thread, NULL);
    pthread_mutex_lock(&peer->lock);
    peer->stopping = true;
    for (int i = 0; i < peer->count; i++) {
        if (peer->conns[i]->fd >= 0)
            shutdown(peer->conns[i]->fd, SHUT_RDWR);
        sem_post(&peer->go);
    }
    pthread_mutex_unlock(&peer->lock);
    for (int i = 0; i < peer->count; i++) {
        pthread_join(peer->threads[i], NULL);
        free(peer->conns[i]);
    }
    close(peer->fd);
    sem_destroy(&peer->go);
    pthread_mutex_destroy(&peer->lock);
    free(peer);
}

int peer_connections(struct peer *peer)
{
    int count;

    pthread_mutex_lock(&peer->lock);
    count = peer->count;
    pthread_mutex_unlock(&peer->lock);
    return count;
}

int peer_heads(struct peer *peer)
{
    return atomic_load(&peer->heads);
}

int peer_notes(struct peer *peer)
{
    return atomic_load(&peer->notes);
}

uint16_t peer_dead_port(void)
{
    uint16_t port;

    close(listen_somewhere(&port));
    return port;
}

/* ---- what scripts call --------------------------------------------------------- */

static bool read_more(struct peer_conn *conn)
{
    ssize_t n = recv(conn->fd, conn->text + conn->len, sizeof(conn->text) - 1 - conn->len, 0);

    if (n <= 0)
        return false;
    conn->len += (size_t)n;
    conn->text[conn->len] = 0;
    return true;
}

/* Drop the message that was read before. */
static void drop_first(struct peer_conn *conn, size_t n)
{
    memmove(conn->text, conn->text + n, conn->len - n + 1);
    conn->len -= n;
}

bool peer_head(struct peer_conn *conn)
{
    if (conn->len > 0) {
        char *end = strstr(conn->text, "\r\n\r\n");

        drop_first(conn, end ? (size_t)(end - conn->text) + 4 : conn->len);
    }
    while (!strstr(conn->text, "\r\n\r\n"))
        if (!read_more(conn))
            return false;
    atomic_fetch_add(&conn->peer->heads, 1);
    return true;
}

bool peer_body(struct peer_conn *conn, size_t n)
{
    char *end = strstr(conn->text, "\r\n\r\n");
    size_t head = end ? (size_t)(end - conn->text) + 4 : 0;

    while (conn->len < head + n)
        if (!read_more(conn))
            return false;
    return true;
}

bool peer_send_bytes(struct peer_conn *conn, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0) {
        ssize_t n = send(conn->fd, at, len, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

bool peer_send(struct peer_conn *conn, const char *text)
{
    return peer_send_bytes(conn, text, strlen(text));
}

bool peer_wait_end(struct peer_conn *conn)
{
    char drop[4096];
    ssize_t n;

    do
        n = recv(conn->fd, drop, sizeof(drop), 0);
    while (n > 0);
    return n == 0;
}

void peer_reset(struct peer_conn *conn)
{
    struct linger linger = { .l_onoff = 1, .l_linger = 0 };

    setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close_conn(conn);
}

void peer_note(struct peer_conn *conn)
{
    atomic_fetch_add(&conn->peer->notes, 1);
}

bool peer_wait_go(struct peer_conn *conn)
{
    struct timespec until;
    int rc;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PEER_LIMIT_S;
    do
        rc = sem_timedwait(&conn->peer->go, &until);
    while (rc < 0 && errno == EINTR);
    return rc == 0;
}

void peer_go(struct peer *peer)
{
    sem_post(&peer->go);
}
