/* The interface between a loop and what does its input and output.
 *
 * It is shaped by completions: an operation is submitted and ends exactly once,
 * with a result of 0 or more, or a negative errno value. There are three
 * implementations: epoll (backend_epoll.c), which tries first and waits for
 * readiness when it must, io_uring (backend_uring.c), which receives natively, and
 * the simulator (sim_ops.c), which runs an in-memory network under a virtual clock.
 *
 * An operation's life: IDLE -> submit -> PENDING -> (done) -> IDLE. submit may
 * end it at once: it then returns true, and done is not called. Otherwise done
 * is called once, on the loop's stack, from within poll.
 *
 * A cancelled operation still ends once, through done: with its result if that
 * was first, with -ECANCELED if not. Its buffer is in use until then.
 *
 * Thread: the loop's own, but for wake. */
#ifndef RT_BACKEND_H
#define RT_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "base/list.h"

struct loop;
struct block_job;
struct io_op;
struct io_file;
struct name_query;

/* What becomes of a blocking call whose caller goes. */
enum job_end { JOB_WITHDRAWN, JOB_ABANDONED, JOB_RUNS };

typedef void io_done_fn(struct io_op *op);

enum io_kind { IO_ACCEPT, IO_CONNECT, IO_RECV, IO_SEND, IO_POLL };

/* What may stand between a file and the backend, TLS for one: the operations of the
 * file's owner are its own, with the backend's contract, while it does others on a file
 * of its own. It is embedded in whoever layers, and set after attach. */
struct io_layer {
    const struct io_layer_ops *ops;
};

struct io_layer_ops {
    bool (*submit)(struct io_layer *layer, struct io_op *op);
    void (*cancel)(struct io_layer *layer, struct io_op *op);
    /* The file's fd becomes -1 and its layer NULL; the layer ends when it can. */
    void (*detach)(struct io_layer *layer, struct io_file *file, bool keep_open);
    int (*shutdown)(struct io_layer *layer, int how);
    void (*reset)(struct io_layer *layer);
    bool (*is_dead)(struct io_layer *layer);
    /* How far a pending send is, as op->send.moved of one without a layer. */
    size_t (*progress)(const struct io_layer *layer, const struct io_op *op);
};

/* A descriptor that a backend knows: embedded in its owner, attached once. */
struct io_file {
    int fd;                       /* -1: not attached */
    uint8_t ready, flags;         /* the backend's */
    struct io_layer *layer;       /* NULL: none; attach sets it so */
    union {
        struct {
            struct io_op *reader, *writer; /* pending operations: one of each at most */
        };
        void *own; /* of a backend that keeps them itself */
    };
};

struct io_op {
    struct node link;   /* the backend's while it is pending */
    io_done_fn *done;
    void *done_arg;     /* for done's use */
    struct io_file *file; /* IO_POLL: not looked at */
    enum io_kind kind;
    bool pending;
    bool cancelled;
    int res;            /* the result, valid once it has ended */
    union {
        struct {        /* IO_RECV: res is the bytes read, 0 at the end */
            struct buf *buf; /* NULL: the backend takes one from the loop's pool when
                                there are bytes, and hands its reference over; else
                                appended behind buf->to, which moves */
        } recv;
        struct {        /* IO_SEND: ends when all is sent, or at an error */
            const struct iovec *iov;
            unsigned count;
            size_t moved; /* bytes sent so far, valid at any time */
            bool together; /* may be sent with others' at the end of the turn */
        } send;
        struct {        /* IO_CONNECT: res is 0 */
            const struct sockaddr *addr;
            socklen_t addr_len;
        } connect;
        struct {        /* IO_ACCEPT: res is the new descriptor (non-blocking) */
            struct sockaddr_storage *ret_peer; /* may be NULL */
        } accept;
        struct {        /* IO_POLL: wait until a descriptor that weir did not open is
                           ready, once; res is what holds of events, with POLLERR and
                           POLLHUP when they do (> 0), or -EBADF, or -EPERM: a regular
                           file or directory. It looks first (level semantics), and
                           ends at once if anything holds. Any number of these may
                           wait on one descriptor. Nothing of the descriptor is
                           changed, and its owner may close it at any time; who waits
                           for a closed one is woken by a cancel at the latest. */
            int fd;
            short events; /* of POLLIN, POLLOUT, POLLPRI, POLLRDHUP */
        } poll;
    };
};

struct io_listen_opts {
    int backlog;
    bool reuse_port;
    uint32_t unix_mode; /* of a unix socket's file, less the umask; 0: as it comes */
};

struct io_datagram_opts {
    bool reuse_port, broadcast;
    uint32_t recv_buffer_bytes; /* 0: as much as is usual */
    uint32_t unix_mode;         /* as for listening */
};

struct io_ops {
    const char *name;
    bool in_memory; /* addresses are its own: a unix socket's path is no file */
    int (*open)(struct loop *loop);
    void (*close)(struct loop *loop);

    /* The time; the loop caches it once a turn. */
    int64_t (*now_ns)(struct loop *loop);
    /* Run completions; when there are none, wait for one until until_ns (of
     * now_ns), or for a wake. A time that has passed means: do not wait. */
    void (*poll)(struct loop *loop, int64_t until_ns);
    /* The loop polls no more: called on its own thread; may be NULL. */
    void (*leave)(struct loop *loop);
    /* A descriptor that is readable when poll has something to do, for a loop that is
     * turned by another (embed.c); *ret_pending: it has already. NULL: there is none. */
    int (*descriptor)(struct loop *loop, bool *ret_pending);
    /* End a wait in poll soon; from any thread. */
    void (*wake)(struct loop *loop);

    bool (*submit)(struct loop *loop, struct io_op *op);
    void (*cancel)(struct loop *loop, struct io_op *op);

    /* A new stream socket for this address family, non-blocking; or -errno. */
    int (*socket)(struct loop *loop, int family);
    /* A listening socket; or -errno. Loops attach the same one. */
    int (*listen)(struct loop *loop, const struct sockaddr *addr, socklen_t addr_len,
                  const struct io_listen_opts *opts);
    /* Datagrams: a socket that is bound; or -errno. It is not attached: IO_POLL waits
     * for it, and address and detach take a file that holds its number alone. */
    int (*datagram_open)(struct loop *loop, const struct sockaddr *addr, socklen_t addr_len,
                         const struct io_datagram_opts *opts);
    int (*datagram_connect)(struct loop *loop, int fd, const struct sockaddr *addr,
                            socklen_t addr_len);
    /* How many of them were received or sent, at least one; or -errno, -EAGAIN when it
     * takes a wait. As recvmmsg() and sendmmsg() fill in messages. */
    int (*datagram_recv)(struct loop *loop, int fd, struct mmsghdr *messages, unsigned count);
    int (*datagram_send)(struct loop *loop, int fd, struct mmsghdr *messages, unsigned count);
    /* Make a descriptor known to this loop; listening ones may be attached to
     * several loops. 0 or -errno. */
    int (*attach)(struct loop *loop, struct io_file *file, int fd, bool listening);
    /* Forget a descriptor with no operation pending, and close it unless
     * keep_open. NULL-safe on fd -1. A descriptor that was never attached is closed
     * by way of a file that holds its number alone. */
    void (*detach)(struct loop *loop, struct io_file *file, bool keep_open);
    /* The close of this stream will be a reset: what is not sent is dropped. */
    void (*reset)(struct loop *loop, struct io_file *file);
    int (*shutdown)(struct loop *loop, struct io_file *file, int how);
    /* Local or remote address, as getsockname and getpeername; 0 or -errno. */
    int (*address)(struct loop *loop, struct io_file *file, bool remote,
                   struct sockaddr_storage *ret_addr, socklen_t *ret_len);
    /* Has the peer closed or reset an idle stream, or sent what nobody asked for?
     * Never blocks, takes no bytes. */
    bool (*is_dead)(struct loop *loop, struct io_file *file);
    /* The wall clock, in nanoseconds since 1970; NULL: the system's. */
    int64_t (*wall_ns)(struct loop *loop);
    /* A random number; the simulator's comes from its seed. */
    uint64_t (*random)(struct loop *loop);

    /* Host names, for a backend that answers for them itself (see name.h); NULL: the
     * name servers do. resolve_end drops the loop's questions. */
    void (*resolve)(struct loop *loop, struct name_query *query);
    void (*resolve_end)(struct loop *loop);

    /* Blocking calls, for a backend that runs them itself; NULL: the pool of
     * threads does. block: 0 or -EBUSY, and later one message to the loop, or what
     * block_report() does; block_give_up as threads_give_up(). */
    int (*block)(struct loop *loop, struct block_job *job);
    enum job_end (*block_give_up)(struct loop *loop, struct block_job *job);
};

#endif
