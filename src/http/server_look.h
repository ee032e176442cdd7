/* What the servers of a loop hold, for whoever looks: on the loop's own thread, a few
 * connections at a time, so that a look at a hundred thousand of them never holds a turn
 * up. Connections that come or go meanwhile are seen or not, each at most once. */
#ifndef HTTP_SERVER_LOOK_H
#define HTTP_SERVER_LOOK_H

#include "http/server.h"
#include "net/addr.h"

struct loop;
struct server_loop;

#define SERVER_LOOK_SERVERS 8
#define SERVER_LOOK_CONNS 16
#define SERVER_LOOK_ROUTE_BYTES 96
#define SERVER_LOOK_STATES 8 /* as enum h1_state */

/* A connection, copied. */
struct server_look_conn {
    uint32_t slot, generation;
    uint8_t state;
    bool http2;
    uint32_t served;          /* requests */
    uint32_t streams;         /* of HTTP/2, that are open or being served */
    int64_t age_ns;
    int64_t held_ns;          /* its client has taken nothing for; 0: it is not held up */
    uint64_t waiting_bytes;   /* written, and not taken by the kernel */
    char peer[ADDR_TEXT_BYTES];
    char route[SERVER_LOOK_ROUTE_BYTES]; /* of the request in hand; may be cut */
};

/* A server's part on one loop. */
struct server_look {
    const void *server;       /* which: only to be compared */
    uint32_t addr_count;
    struct {
        char text[ADDR_TEXT_BYTES];
        uint32_t queued, queue_max; /* connections that wait to be accepted; on the first
                                       loop alone. queue_max 0: not known */
    } addrs[HTTP_SERVER_ADDRS_MAX];
    struct http_server_stats stats;
    uint32_t states[SERVER_LOOK_STATES], held;
    uint64_t waiting_bytes;
    uint32_t high_bytes;      /* the most that one connection has had to wait with */
    uint32_t conn_count;      /* the slowest to be read, then the oldest */
    struct server_look_conn conns[SERVER_LOOK_CONNS];
};

struct servers_look {
    bool output_only;         /* no idle connections: states and conns stay empty */
    uint32_t count;
    struct server_look servers[SERVER_LOOK_SERVERS];
    uint32_t number, cursor;  /* private */
    bool http2;               /* private: of the output alone, that of HTTP/2 */
};

/* One step; true: it has seen all. look is zeroed before the first. */
bool server_look_step(struct loop *loop, struct servers_look *look);
const char *server_look_state(uint32_t state);

/* On its loop: it can be looked at from here on, and no more. */
void server_look_enter(struct server_loop *home);
void server_look_leave(struct server_loop *home);

#endif
