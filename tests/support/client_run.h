/* What the tests of the HTTP client share: a server that answers by the script of
 * an array, and short forms. */
#ifndef SUPPORT_CLIENT_RUN_H
#define SUPPORT_CLIENT_RUN_H

#include <sched.h>

#include "support/in_task.h"
#include "support/peer.h"

#include <weir/client.h>

enum after {
    THEN_KEEP,  /* and wait for the next request */
    THEN_CLOSE,
    THEN_RESET,
    THEN_HANG   /* send nothing more; wait for the client's end */
};

/* The answer to each request; the last one also answers all that follow. */
struct answer {
    const char *text;
    enum after after;
    size_t piece;     /* bytes sent at a time, with pauses; 0: all at once */
    size_t body;      /* bytes of the request's body to wait for first */
    size_t len;       /* of text, where it holds NUL; 0: up to its end */
};

struct answers {
    const struct answer *list;
    int count;
    atomic_int next;
};

static inline bool answer_send(struct peer_conn *conn, const struct answer *a)
{
    size_t len = a->len ? a->len : strlen(a->text), piece = a->piece ? a->piece : len;

    for (size_t at = 0; at < len; at += piece) {
        size_t n = len - at < piece ? len - at : piece;

        if (!peer_send_bytes(conn, a->text + at, n))
            return false;
        if (a->piece)
            sched_yield();
    }
    return true;
}

static inline void answer_all(struct peer_conn *conn)
{
    struct answers *answers = conn->arg;

    while (peer_head(conn)) {
        int at = atomic_fetch_add(&answers->next, 1);
        const struct answer *a = &answers->list[at < answers->count ? at : answers->count - 1];

        if (!peer_body(conn, a->body) || !answer_send(conn, a))
            return;
        if (a->after == THEN_RESET)
            peer_reset(conn);
        if (a->after == THEN_HANG)
            peer_wait_end(conn);
        if (a->after != THEN_KEEP)
            return;
    }
}

struct server {
    struct peer *peer;
    struct answers answers;
    uint16_t port;
    weir_client *client;
    weir_pool *pool;
};

static inline weir_str server_url(const struct server *server, const char *rest)
{
    weir_str url = weir_format("http://127.0.0.1:%u%s", server->port, rest);

    CHECK(url.ptr);
    return url;
}

/* A server with these answers, and a client of its own for it. */
static inline void server_start(struct server *server, const struct answer *list, int count,
                                const weir_client_opts *opts)
{
    memset(server, 0, sizeof(*server));
    server->answers.list = list;
    server->answers.count = count;
    server->peer = peer_start(answer_all, &server->answers, &server->port);
    CHECK(server->peer);
    CHECK_INT(weir_client_new_opt(&server->client, opts), 0);
    CHECK_INT(weir_client_pool(server->client, server_url(server, "/"), &server->pool), 0);
}

#define SERVER(server, answer_list, ...)                                       \
    struct server server;                                                      \
    server_start(&server, answer_list, (int)(sizeof(answer_list) / sizeof(*(answer_list))), \
                 &(weir_client_opts){ .size = sizeof(weir_client_opts), __VA_ARGS__ })

/* Nothing may be held; idle says how many connections are kept, -1: any. */
static inline void server_stop(struct server *server, int idle)
{
    weir_pool_stats stats;

    weir_pool_read(server->pool, &stats);
    CHECK_INT(stats.held, 0);
    if (idle >= 0)
        CHECK_INT(stats.idle, idle);
    weir_client_free(server->client);
    peer_stop(server->peer);
}

#define FETCH(server, path, ret, ...) \
    weir_fetch(server_url(&(server), path), ret, .client = (server).client, __VA_ARGS__)

static inline void check_said(const char *part)
{
    char text[1200];

    weir_error_print(text, sizeof(text));
    if (!strstr(text, part)) {
        fprintf(stderr, "the error \"%s\" does not say \"%s\"\n", text, part);
        abort();
    }
    weir_recover();
}

#define CHECK_STR(got, wanted)                                                 \
    do {                                                                       \
        weir_str str_ = (got);                                                 \
                                                                               \
        if (!weir_str_eq(str_, weir_str_c(wanted))) {                          \
            fprintf(stderr, "%s: %s is\n  %.*s\nnot\n  %s\n", WEIR_HERE, #got, WEIR_ARG(str_), \
                    wanted);                                                   \
            abort();                                                           \
        }                                                                      \
    } while (0)

#endif
