/* The HTTP server, as the layer above starts it.
 *
 * One server listens at some addresses on every loop. For each request whose
 * head is there it asks `handle` what to do, runs the handler as a task, and
 * sees to all else: limits, time-outs, keep-alive, failures, drain. */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/exchange.h>

#include "base/arena.h"
#include "base/chain.h"
#include "http/message.h"
#include "net/addr.h"

struct http_server;
struct tls_context;

/* What a client's disconnect does to its handler. */
enum http_gone {
    HTTP_GONE_CANCEL, /* cancelled, reason WEIR_REASON_GONE */
    HTTP_GONE_FINISH  /* it goes on; what it answers is dropped if need be */
};

#define HTTP_UNLIMITED UINT64_MAX

/* What is to be done with a request: filled in by `handle`, zeroed before. All
 * pointers must live until the exchange ends. */
struct http_route {
    weir_handler *handler; /* NULL: handle has answered */
    const char *name;      /* the task's name, for logs: "GET /users/{id}"; may be NULL */
    const char *site;      /* where the handler was registered: "main.c:12 show" */
    weir_str pattern;      /* "/users/{id}", for logs; may be absent */
    uint64_t body_max_bytes; /* 0: the server's; HTTP_UNLIMITED */
    uint32_t timeout_ms;   /* the handler's deadline; 0: the server's total_ms */
    enum http_gone gone;
    bool streaming;        /* the body's progress is not timed */
};

/* What is answered for a failure. */
struct http_problem {
    int status;
    weir_str detail; /* for the client; absent: none */
    weir_str errors; /* a JSON array, spliced in as the member "errors"; absent: none */
};

/* Every limit and timer. 0 means the default given here. */
struct http_server_opts {
    const struct addr *addrs;
    uint32_t addr_count;       /* 1 to HTTP_SERVER_ADDRS_MAX */
    uint32_t backlog;          /* 4,096 (the system may bound it lower) */

    /* On the loop's stack, or that of a task that has just ended: it must not
     * call a checkpoint. It answers at once (weir_reply…() with at most 4 KiB,
     * which never waits there), or fills in the route. */
    void (*handle)(void *arg, weir_exchange *x, struct http_route *ret_route);
    /* A handler failed with rc before it answered: what to answer. NULL:
     * http_problem_of(). chain may be NULL. */
    void (*map_failure)(void *arg, weir_exchange *x, int rc, const struct chain *chain,
                        struct http_problem *ret_problem);
    void *arg;

    struct tls_context *tls;     /* every connection speaks TLS; the server keeps a
                                    reference. NULL: none does */
    struct http_limits limits;   /* of a head */
    uint64_t body_max_bytes;     /* 1 MiB */
    uint32_t connections_max;    /* of the process: 100,000 */
    uint32_t requests_max;       /* of a connection: no limit */

    uint32_t head_ms;            /* a head, from its first byte (the first of a
                                    connection: from the accept, with the handshake of
                                    TLS): 10,000 */
    uint32_t idle_ms;            /* between two requests: 60,000 */
    uint32_t body_window_ms;     /* 10,000: while a handler waits for its body, … */
    uint32_t body_rate_bytes;    /* … this many must come a second over such a
                                    window: 16,384 */
    uint32_t write_stall_ms;     /* no byte taken by the client: 10,000 */
    uint32_t total_ms;           /* a handler's deadline unless its route has one: none */
    uint32_t linger_ms;          /* reading on after an early answer: 1,000 … */
    uint32_t linger_bytes;       /* … and how much: 65,536 */
    uint32_t drain_ms;           /* from a stop until handlers are cancelled: 10,000 */
    uint32_t drain_idle_ms;      /* from a stop until idle connections are closed: a request
                                    that is on its way is still answered: 500 */
};

#define HTTP_SERVER_ADDRS_MAX 16

/* Listen, and serve on every loop.
 *
 * Checkpoint: always. Returns 0, or -EINVAL, -ENOMEM, or what the system said
 * about an address, with a sentence in the chain. opts is copied, addrs too. */
int http_server_start(const struct http_server_opts *opts, struct http_server **ret_server);

/* The address that it listens at, with the port that the kernel chose. */
const struct addr *http_server_addr(const struct http_server *server, uint32_t index);

/* Begin the end: connections that wait are taken, then listeners are off; idle
 * connections are closed, the others when they have answered; after drain_ms
 * handlers are cancelled. A stop of the application's scope does so by itself.
 * Any task. */
void http_server_stop(struct http_server *server);

/* Has an end begun? Any thread. */
bool http_server_stopping(const struct http_server *server);

/* Wait until it has been stopped and every connection is gone.
 *
 * Checkpoint: always; a cancel makes it stop and cut what is left, and it still
 * waits for that. Returns 0, or -ETIMEDOUT when handlers had to be cancelled. One
 * task at a time. */
int http_server_wait(struct http_server *server);

/* After http_server_wait(), on the loop that started it. NULL is fine. */
void http_server_free(struct http_server *server);

/* Since the start, over all loops; exact when nothing moves. */
struct http_server_stats {
    uint64_t accepted, refused_limit, refused_budget, backoffs;
    uint64_t requests, answered[6]; /* by status class; [0]: without an answer */
    uint64_t bad_heads;
    uint64_t cut; /* handlers that were cancelled because the drain took too long */
    uint64_t bytes_in, bytes_out;
    uint32_t connections, in_flight;
};
void http_server_stats(const struct http_server *server, struct http_server_stats *ret_stats);

/* ---- exchanges, for the layer above ---------------------------------------- */

const struct http_head *exchange_head(const weir_exchange *x);
/* Memory that lives as long as the exchange. */
struct arena *exchange_arena(weir_exchange *x);
/* When the whole head was there. */
int64_t exchange_began_ns(const weir_exchange *x);
weir_str exchange_correlation_id(const weir_exchange *x);
/* The body's declared state: none, or complete already? */
bool exchange_has_body(const weir_exchange *x);

struct http_param {
    weir_str name, value;
};
/* The parameters; kept, not copied: give it memory of the exchange's arena. */
void exchange_set_params(weir_exchange *x, const struct http_param *params, uint32_t count);

/* One pointer for the layer above. */
void exchange_set_data(weir_exchange *x, void *data);
void *exchange_data(const weir_exchange *x);
struct http_route *exchange_route(weir_exchange *x);

/* What the answer was so far: its status (0: none yet). */
int exchange_status(const weir_exchange *x);

/* The mapping of failures: 504 for a deadline, 503 for a shutdown or a limit, 413
 * and so on for the request's body, 502 for a peer, 500 for the rest. */
void http_problem_of(weir_exchange *x, int rc, const struct chain *chain,
                     struct http_problem *ret_problem);

#endif
