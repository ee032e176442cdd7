/* A listening socket, shared by every loop that takes connections from it.
 *
 * One descriptor an address (struct listen_socket); on each loop a listener
 * waits at it, and the kernel wakes one of them for each connection.
 *
 * A loop takes connections until there is none. When the process or the system
 * is out of descriptors or memory, it waits before it tries again (5 ms, then
 * doubling up to 1 s) instead of spinning, and says so once a minute. While the
 * byte budget admits no further connection, or the loop has as many as it may,
 * connections are accepted and closed at once, counted, and said once a minute:
 * a peer is told at the door, and the queue does not fill with the forgotten. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <stdint.h>

#include "net/addr.h"
#include "net/unix_path.h"
#include "rt/rt.h"

/* The descriptor. Owned by whoever opened it; closed after the last listener
 * has stopped. */
struct listen_socket {
    int fd;
    struct addr addr; /* with the port that the kernel chose */
    struct unix_path path;
};

/* On a loop. 0, or the system call's -errno with a sentence in the chain. A unix
 * socket's file that a process has left there is replaced; the file goes with
 * listen_socket_close(). */
int listen_socket_open(const struct addr *addr, const struct io_listen_opts *opts,
                       struct listen_socket *ret_socket);
void listen_socket_close(struct listen_socket *socket);

struct listener;

struct listener_opts {
    /* A new connection: fd is the callee's from here on. On the loop's stack. */
    void (*accepted)(struct listener *listener, int fd);
    void (*changed)(struct listener *listener); /* the stats have; may be NULL */
    void *arg;                    /* for their use */
    const uint32_t *connections;  /* how many the loop has; NULL: not bounded */
    uint32_t connections_max;
    uint64_t connection_bytes;    /* what one is reckoned at when it is admitted */
};

struct listener_stats {
    uint64_t accepted;
    uint64_t refused_limit;  /* accepted and closed: at connections_max */
    uint64_t refused_budget; /* … and: the byte budget */
    uint64_t backoffs;       /* waits for descriptors or memory */
};

/* Embedded in its owner, one a loop and socket. */
struct listener {
    struct listener_opts opts;
    struct loop *loop;
    struct io_file file;
    struct io_op op;
    struct timer retry;
    uint32_t backoff_ms;       /* 0: not backing off */
    int64_t said_ns[2];        /* when the log was last told: of back-off, of refusal */
    struct listener_stats stats;
    struct addr addr;          /* for the log */
    void (*stopped)(struct listener *listener);
    bool stopping;
    bool looked; /* the last look was taken */
};

/* Begin to accept on this loop. 0 or -errno. Connections that wait already are
 * taken from within the call. */
int listener_start(struct listener *listener, const struct listen_socket *socket,
                   const struct listener_opts *opts);

/* Take the connections that wait already, then accept no more. stopped is called
 * once, from within the call or later on the loop's stack, when the listener may
 * be freed. */
void listener_stop(struct listener *listener, void (*stopped)(struct listener *listener));

#endif
