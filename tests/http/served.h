/* A server under test and its clients: the server runs in a runtime of its own,
 * the client is a function on a thread of the blocking pool, with plain blocking
 * sockets. What a client finds wrong is kept, and asserted after the runtime has
 * ended. */
#ifndef TESTS_HTTP_SERVED_H
#define TESTS_HTTP_SERVED_H

#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/log.h>
#include <weir/run.h>

#include "base/strbuf.h"
#include "http/server.h"
#include <sched.h>
#include <sys/socket.h>

#include "rt/rt.h"

struct served_route {
    const char *path;
    weir_handler *handler;
    uint64_t body_max_bytes;
    uint32_t timeout_ms;
    enum http_gone gone;
    bool streaming;
};

struct served {
    /* Given: */
    struct http_server_opts opts;      /* without addresses; handle may be unset */
    const struct served_route *routes; /* by the whole path; ended by a NULL path */
    int (*client)(struct served *s);   /* 0, or -1 after CHECK() */
    uint32_t loops;                    /* unset: 1 */
    uint64_t byte_budget;
    bool client_stops;                 /* the client has stopped the server itself */
    /* Found: */
    int port;
    struct http_server *server;
    struct http_server_stats stats;
    int end_rc;                        /* of http_server_wait() */
    char failure[512];
    struct strbuf log;                 /* every line of the log */
    pthread_mutex_t lock;
    void *data;                        /* the test's */
};

/* Run it all, and assert that the client found nothing wrong. */
void served_run(struct served *s);
void served_done(struct served *s);

/* How many log lines hold the text. */
unsigned served_log_count(struct served *s, const char *text);
/* From a client: wait until something about the server holds, at most 5 s. */
bool served_await(struct served *s, bool (*holds)(struct served *s));

int served_fail(struct served *s, const char *file, int line, const char *what);
#define CHECK(s, condition)                                                    \
    do {                                                                       \
        if (!(condition))                                                      \
            return served_fail(s, __FILE__, __LINE__, #condition);             \
    } while (0)

/* ---- clients ------------------------------------------------------------------ */

#define PEER_BYTES (1u << 20)

struct peer {
    int fd;
    char *in;    /* PEER_BYTES */
    size_t len;
};

/* An answer; its slices live until the peer reads again. */
struct answer {
    int status;
    weir_str head;   /* status line and fields, without the empty line */
    char *body;      /* terminated */
    size_t body_len;
    bool complete;   /* false: the stream ended within it */
    size_t total;    /* bytes of it */
};

/* Connect; every read and write fails after 10 s. */
int peer_open(struct served *s, struct peer *peer);
void peer_close(struct peer *peer);
/* Close with a reset. */
void peer_reset(struct peer *peer);
int peer_send(struct peer *peer, const char *bytes, size_t len);
int peer_say(struct peer *peer, const char *text);
/* Read one answer (to a HEAD request: without a body). 0, or -1 when the stream
 * ended before its first byte, or on an error. */
int peer_answer(struct peer *peer, bool head_only, struct answer *ret_answer);
/* It was read: on to the next. */
void peer_next(struct peer *peer, const struct answer *a);
/* One field of it; terminated copy in value; false when absent. */
bool answer_field(const struct answer *a, const char *name, char value[static 256]);
/* Read until the end. 0: orderly; -errno: how it ended instead. Bytes are
 * counted and kept as far as there is room. */
int peer_until_end(struct peer *peer);

/* GET on a connection of its own: the answer's status, or -1. */
int get_status(struct served *s, const char *path);

int64_t test_now_ms(void);

#endif
