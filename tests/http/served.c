/* See served.h. */
#include "served.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int64_t test_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int served_fail(struct served *s, const char *file, int line, const char *what)
{
    pthread_mutex_lock(&s->lock);
    if (!s->failure[0])
        snprintf(s->failure, sizeof s->failure, "%s:%d: %s", file, line, what);
    pthread_mutex_unlock(&s->lock);
    return -1;
}

static ssize_t keep_log(void *arg, const char *bytes, size_t len)
{
    struct served *s = arg;

    pthread_mutex_lock(&s->lock);
    strbuf_add(&s->log, weir_str_from(bytes, len));
    pthread_mutex_unlock(&s->lock);
    return (ssize_t)len;
}

unsigned served_log_count(struct served *s, const char *text)
{
    unsigned count = 0;

    pthread_mutex_lock(&s->lock);
    for (const char *at = strbuf_str(&s->log).ptr; (at = strstr(at, text)) != NULL;) {
        const char *end = strchr(at, '\n');

        count++;
        if (!end)
            break;
        at = end;
    }
    pthread_mutex_unlock(&s->lock);
    return count;
}

bool served_await(struct served *s, bool (*holds)(struct served *s))
{
    int64_t until = test_now_ms() + 5000;

    while (!holds(s)) {
        if (test_now_ms() > until)
            return false;
        poll(NULL, 0, 2);
    }
    return true;
}

static int no_such_route(weir_exchange *x)
{
    weir_str path = weir_path(x);

    return weir_problem(x, 404, "nothing at %.*s", WEIR_ARG(path));
}

static void handle(void *arg, weir_exchange *x, struct http_route *ret_route)
{
    struct served *s = arg;

    for (const struct served_route *r = s->routes; r && r->path; r++) {
        if (!weir_str_eq(weir_str_c(r->path), weir_path(x)))
            continue;
        ret_route->handler = r->handler;
        ret_route->pattern = weir_str_c(r->path);
        ret_route->body_max_bytes = r->body_max_bytes;
        ret_route->timeout_ms = r->timeout_ms;
        ret_route->gone = r->gone;
        ret_route->streaming = r->streaming;
        return;
    }
    WEIR_IGNORE(no_such_route(x), "without it the answer is 500, and the test says so");
}

static int run_client(void *arg)
{
    struct served *s = arg;

    return s->client(s);
}

static int run(void *arg)
{
    struct served *s = arg;
    struct addr addr;
    int rc = addr_parse(WEIR_S("127.0.0.1:0"), &addr);

    s->opts.addrs = &addr;
    s->opts.addr_count = 1;
    if (!s->opts.handle) {
        s->opts.handle = handle;
        s->opts.arg = s;
    }
    if (rc == 0)
        rc = http_server_start(&s->opts, &s->server);
    if (rc < 0)
        return rc;
    s->port = addr_port(http_server_addr(s->server, 0));
    rc = weir_block(run_client, s);
    if (rc < 0 && !s->failure[0])
        snprintf(s->failure, sizeof s->failure, "the client ended with %d", rc);
    http_server_stop(s->server);
    s->end_rc = http_server_wait(s->server);
    http_server_stats(s->server, &s->stats);
    http_server_free(s->server);
    return 0;
}

void served_run(struct served *s)
{
    int rc;

    pthread_mutex_init(&s->lock, NULL);
    if (s->opts.drain_idle_ms == 0)
        s->opts.drain_idle_ms = 50;
    s->log = (struct strbuf)STRBUF_INIT;
    rc = weir_log_open(.sink = keep_log, .sink_arg = s, .sync = true, .form = WEIR_LOG_TEXT);
    assert_int_equal(rc, 0);
    rc = weir_run(run, s, .loops = s->loops ? s->loops : 1, .byte_budget = s->byte_budget);
    weir_log_close();
    if (s->failure[0] || rc < 0)
        print_message("log:\n%s", strbuf_str(&s->log).ptr);
    if (s->failure[0])
        fail_msg("%s", s->failure);
    assert_int_equal(rc, 0);
    assert_int_equal(rt_wrong_uses(), 0);
    assert_int_equal(s->stats.connections, 0);
    assert_int_equal(s->stats.in_flight, 0);
}

void served_done(struct served *s)
{
    strbuf_done(&s->log);
    pthread_mutex_destroy(&s->lock);
}

/* ---- clients ------------------------------------------------------------------ */

int peer_open(struct served *s, struct peer *peer)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)s->port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval limit = { .tv_sec = 10 };
    int on = 1;

    peer->len = 0;
    peer->in = malloc(PEER_BYTES);
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(peer->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(peer->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(peer->fd, (struct sockaddr *)&at, sizeof at) < 0) {
        peer_close(peer);
        return -1;
    }
    return 0;
}

void peer_close(struct peer *peer)
{
    free(peer->in);
    peer->in = NULL;
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
}

void peer_reset(struct peer *peer)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };

    setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    peer_close(peer);
}

int peer_send(struct peer *peer, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(peer->fd, bytes, len, MSG_NOSIGNAL);

        if (n <= 0)
            return -1;
        bytes += n;
        len -= (size_t)n;
    }
    return 0;
}

int peer_say(struct peer *peer, const char *text)
{
    return peer_send(peer, text, strlen(text));
}

/* More bytes behind what is there. */
static ssize_t peer_more(struct peer *peer)
{
    ssize_t n;

    if (peer->len + 1 >= PEER_BYTES)
        return -1;
    n = recv(peer->fd, peer->in + peer->len, PEER_BYTES - peer->len - 1, 0);
    if (n > 0)
        peer->len += (size_t)n;
    peer->in[peer->len] = '\0';
    return n;
}

bool answer_field(const struct answer *a, const char *name, char value[static 256])
{
    size_t name_len = strlen(name);
    const char *at = a->head.ptr, *end = at + a->head.len;

    while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        const char *stop;
        size_t len;

        at++;
        if ((size_t)(end - at) <= name_len || strncasecmp(at, name, name_len) != 0 ||
            at[name_len] != ':')
            continue;
        at += name_len + 1;
        while (*at == ' ')
            at++;
        stop = memchr(at, '\r', (size_t)(end - at));
        len = (size_t)((stop ? stop : end) - at);
        len = len < 255 ? len : 255;
        memcpy(value, at, len);
        value[len] = '\0';
        return true;
    }
    return false;
}

/* Decode chunks in place from at; false when more is needed. */
static bool take_chunks(struct peer *peer, size_t at, struct answer *a)
{
    char *to = peer->in + at;

    a->body = to;
    a->body_len = 0;
    for (;;) {
        char *line = peer->in + at, *end = strstr(line, "\r\n");
        size_t size;

        if (!end)
            return false;
        size = strtoul(line, NULL, 16);
        at = (size_t)(end - peer->in) + 2;
        if (at + size + 2 > peer->len)
            return false;
        if (size == 0) {
            a->total = at + 2;
            return true;
        }
        memmove(to + a->body_len, peer->in + at, size);
        a->body_len += size;
        at += size + 2;
    }
}

/* The bytes of earlier answers are dropped. */
static void peer_skip(struct peer *peer, size_t n)
{
    memmove(peer->in, peer->in + n, peer->len - n);
    peer->len -= n;
    peer->in[peer->len] = '\0';
}

static char *await_head(struct peer *peer)
{
    char *end;

    peer->in[peer->len] = '\0';
    while ((end = strstr(peer->in, "\r\n\r\n")) == NULL)
        if (peer_more(peer) <= 0)
            return NULL;
    return end;
}

/* A chunked body is decoded in a copy, since it comes in pieces. */
static int await_chunks(struct peer *peer, size_t at, struct answer *a)
{
    char *raw = malloc(PEER_BYTES);
    bool done;

    do {
        size_t len = peer->len;

        memcpy(raw, peer->in, len + 1);
        done = take_chunks(peer, at, a);
        if (!done)
            memcpy(peer->in, raw, len + 1);
    } while (!done && peer_more(peer) > 0);
    free(raw);
    a->complete = done;
    return 0;
}

int peer_answer(struct peer *peer, bool head_only, struct answer *ret_answer)
{
    struct answer *a = ret_answer;
    char *end = await_head(peer), value[256];
    static char none[1];

    if (!end)
        return -1;
    *a = (struct answer){ .complete = true, .body = none };
    a->head = weir_str_from(peer->in, (size_t)(end - peer->in));
    a->total = a->head.len + 4;
    a->status = a->head.len > 12 ? (int)strtol(peer->in + 9, NULL, 10) : 0;
    if (head_only || a->status < 200 || a->status == 204 || a->status == 304)
        return 0;
    if (answer_field(a, "Transfer-Encoding", value))
        return await_chunks(peer, a->total, a);
    if (answer_field(a, "Content-Length", value)) {
        a->body_len = strtoul(value, NULL, 10);
        a->total += a->body_len;
        while (a->complete && peer->len < a->total)
            a->complete = peer_more(peer) > 0;
    } else {
        while (peer_more(peer) > 0)
            ;
        a->body_len = peer->len - a->total;
        a->total = peer->len;
    }
    a->body = peer->in + a->head.len + 4;
    return 0;
}

/* ---- in one call ---------------------------------------------------------------- */

int peer_until_end(struct peer *peer)
{
    char byte[4096];
    ssize_t n;

    while ((n = recv(peer->fd, byte, sizeof byte, 0)) > 0) {
        size_t room = PEER_BYTES - 1 - peer->len;
        size_t keep = (size_t)n < room ? (size_t)n : room;

        memcpy(peer->in + peer->len, byte, keep);
        peer->len += keep;
    }
    peer->in[peer->len] = '\0';
    return n == 0 ? 0 : -errno;
}

int get_status(struct served *s, const char *path)
{
    struct peer peer;
    struct answer a;
    char request[256];
    int status = -1;

    if (peer_open(s, &peer) < 0)
        return -1;
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
             path);
    if (peer_say(&peer, request) == 0 && peer_answer(&peer, false, &a) == 0)
        status = a.status;
    peer_close(&peer);
    return status;
}

void peer_next(struct peer *peer, const struct answer *a)
{
    peer_skip(peer, a->total);
}
