/* The simulator's own structures: one struct sim owns all that is in it. Nothing
 * is ever ordered, hashed or chosen by where it lies in memory.
 *
 * A connection is one struct with both its ends and both its directions. It lives
 * until both ends are closed; what is under way when one end closes still arrives
 * at the other. */
#ifndef RT_SIM_STATE_H
#define RT_SIM_STATE_H

#include "base/chain.h"
#include "base/strbuf.h"
#include "rt/loop.h"
#include "rt/sim.h"

#define SIM_FD_FIRST (1 << 24)   /* beyond every descriptor of the kernel's */
#define SIM_FILES_MAX 65536
#define SIM_LINKS_MAX 256
#define SIM_SEGMENTS 32          /* under way in one direction; then they merge */
#define SIM_MS INT64_C(1000000)  /* in ns */

/* Something that will happen. In sim->events while it is armed, by time and then
 * by the order of arming. */
struct sim_event {
    struct node link;
    int64_t at_ns;
    void (*run)(struct sim *sim, struct sim_event *event);
};

#define SIM_PARTY_NAME_BYTES 96

/* What chance asks after by itself: a connection, or a socket for datagrams. */
struct sim_party {
    uint64_t number;                     /* in the order of their making */
    uint32_t occasions[SIM_FAULT_KINDS]; /* on which it could fail, so far */
    void (*name)(const struct sim_party *party, char text[static SIM_PARTY_NAME_BYTES]);
};

/* ---- descriptors -------------------------------------------------------- */

struct sim_fd {
    int fd;
    bool listening, datagrams;
    struct node attaches; /* a listening one may have several */
};

/* That a loop knows a descriptor. */
struct sim_attach {
    struct node link;   /* of its descriptor */
    struct node marked; /* of its loop: poll is to try its operations again */
    struct loop *loop;
    struct io_file *file;
    struct sim_fd *fd;
};

struct sim_listener {
    struct sim_fd base;
    struct node link;  /* in sim->listeners */
    struct node queue; /* ends that wait to be accepted */
    uint32_t waiting, backlog;
    struct sockaddr_storage addr;
    socklen_t addr_len;
    bool reuse_port;
};

/* ---- connections -------------------------------------------------------- */

struct sim_link {
    struct node link; /* in sim->links */
    uint16_t port;
    uint8_t cut; /* 1: what who connects sends, 2: what comes back */
    int64_t latency_ns, jitter_ns;
    uint32_t bytes_ms;      /* 0: any number */
    int64_t busy_until_ns[2]; /* by bytes that go before, in each direction */
    struct sim_event heal;
};

#define SIM_CUT_BOTH 3

/* Hosts by their IPv4 addresses, in network order. */
#define SIM_HOSTS_MAX 64
struct sim_hosts {
    bool all;
    uint32_t count;
    uint32_t addr[SIM_HOSTS_MAX];
};

struct sim_part {
    struct node link; /* in sim->parts */
    struct sim_hosts from, to;
    bool one_way, by_chance;
    struct sim_event heal;
};

enum { SIM_FIN = 1, SIM_RST = 2 };

struct sim_segment {
    uint64_t end; /* of the direction's bytes: what lies before has arrived with it */
    int64_t at_ns;
    uint8_t flags; /* what follows its bytes */
};

/* One direction. read <= arrived <= sent; sent - acked <= the buffer's size. */
struct sim_pipe {
    uint8_t side; /* the writer's */
    char *bytes;  /* a ring */
    uint64_t sent, arrived, read, acked;
    int64_t last_at_ns;
    struct sim_segment segments[SIM_SEGMENTS];
    uint32_t first, count;
    struct sim_event arrive, ack, kick;
};

enum sim_end_state { SIM_END_NONE, SIM_END_NEW, SIM_END_CONNECTING, SIM_END_OPEN };

/* One end; state NONE: not there yet, or closed. */
struct sim_end {
    struct sim_fd base;
    struct node link; /* in a listener's queue */
    struct sim_listener *listener;
    enum sim_end_state state;
    uint8_t side;
    struct sim_party party; /* of its own: what one end meets is not the other's */
    int error;      /* reported once */
    bool was_reset;
    bool saw_fin;   /* the peer's end of stream has arrived */
    bool sent_fin;
    bool shut_read;
    bool reset_at_close;
    struct sockaddr_storage addr;
    socklen_t addr_len;
};

enum sim_stage { SIM_SYN, SIM_SYN_ACK, SIM_REFUSED, SIM_ACK };

struct sim_conn {
    struct node link; /* in sim->conns */
    struct sim *sim;
    struct sim_link *net;
    struct sim_end end[2];    /* who connects, who accepts */
    struct sim_pipe pipe[2];  /* from end[i] to the other */
    struct sim_event hand;    /* the next step of the handshake */
    enum sim_stage stage;
    uint32_t attempts;
    bool gone;                /* the network has forgotten it: nothing arrives */
    bool told;                /* ... and answers what is sent with a reset */
    struct sim_event tell;
    struct sim_party party;
};

/* ---- datagrams ---------------------------------------------------------- */

struct sim_datagrams {
    struct sim_fd base;
    struct node link;    /* in sim->datagrams */
    struct sim_loop *own;
    struct sim_party party;
    struct sockaddr_storage addr, peer; /* peer: of no family when there is none */
    socklen_t addr_len, peer_len;
    bool reuse_port, chosen; /* chosen: its port is the network's choice */
    int error;           /* reported once */
    struct node queue;   /* of what has arrived */
    size_t queued_bytes, room_bytes;
    uint32_t queued;
    int64_t full_until_ns; /* what it last sent over has no room until then */
    struct sim_event room;
    struct node polls;   /* operations that wait for it */
};

/* ---- the whole ---------------------------------------------------------- */

struct sim_loop {
    struct sim *sim;
    struct node ended;  /* cancelled operations, to be reported */
    struct node marked; /* attaches */
    struct node polls;  /* operations that wait for real descriptors */
    struct sim_attach *trying;
    uint64_t random;
    uint32_t host; /* its IPv4 address, in network order; 0: none */
};

struct sim_job {
    struct sim_event event;
    struct node link; /* in sim->jobs */
    struct block_job *job;
    int64_t begun_ns;
};

struct sim {
    struct sim_opts opts;
    bool calm;
    int64_t now_ns, calm_at_ns, wall_jump_ns;
    struct sim_event calm_down;
    uint64_t random;       /* for the network's delays and choices */
    uint64_t random_order; /* for whose turn it is */
    uint64_t chance[SIM_FAULT_KINDS], chance_of_parties[SIM_FAULT_KINDS];
    uint64_t party_count;  /* that were ever made */
    uint64_t drawn;        /* for the details of the fault that came up last */
    uint32_t faults;       /* that have come up */
    uint32_t *faults_copy; /* the same, for who outlives a crash; or NULL */
    uint32_t quiet;        /* nothing fails while the simulator writes its trace */
    struct alloc_hook memory, *memory_before;
    struct node events;
    struct sim_loop *loops;

    struct sim_fd **files;
    uint32_t file_room, file_count;
    struct node listeners, conns, links, parts;
    struct node datagrams, parcels; /* sockets; what is under way to them */
    size_t parcel_bytes;
    uint32_t link_count;
    struct sim_link *usual; /* for what has no port, and when there are too many */
    uint16_t next_port;

    struct node jobs;
    uint32_t job_count;
    struct sim_event begin_jobs;

    struct sim_name *names;     /* of the name service */
    struct sim_lookup *lookups; /* questions under way */

    uint64_t waits;
    int why_code; /* the run was given up, and why */
    char why[CHAIN_LINK_BYTES];
    struct strbuf trace;
    bool trace_full;
    int trace_fd; /* a copy of each line, or -1 */
    struct weir_sim *handle; /* the public one, or NULL */
};

/* sim.c */
uint64_t sim_random(uint64_t *state);
/* From 0 to bound - 1; 0 for a bound of 0. */
uint64_t sim_below(struct sim *sim, uint64_t bound);
void sim_event_init(struct sim_event *event, void (*run)(struct sim *sim, struct sim_event *event));
/* Arming an armed event moves it. */
void sim_event_arm(struct sim *sim, struct sim_event *event, int64_t at_ns);
void sim_event_clear(struct sim_event *event);
static inline bool sim_event_armed(const struct sim_event *event)
{
    return !list_empty(&event->link);
}

/* With a line's text: for the public form. */
void sim_vtrace(struct sim *sim, const char *fmt, va_list args);
/* A line of the simulator's own, when the option show is at least that. */
__attribute__((format(printf, 3, 4))) void sim_note(struct sim *sim, uint32_t show, const char *fmt,
                                                    ...);

/* sim_fault.c */
/* Does a fault of this kind happen here? about is whom it concerns, or NULL. */
bool sim_fault(struct sim *sim, enum sim_fault kind, struct sim_party *about);
/* The network's own mischief at each send: links are cut, and hosts parted. */
void sim_fault_cuts(struct sim *sim, struct sim_link *link, struct sim_party *about);
/* From 0 to bound - 1: how the fault that has just happened is in detail. */
uint64_t sim_fault_draw(struct sim *sim, uint64_t bound);
void sim_faults_seed(struct sim *sim, uint64_t *seed);
/* Around a run: what fails outside the network. */
void sim_faults_begin(struct sim *sim);
void sim_faults_end(struct sim *sim);
/* The clock is about to go to next_ns: where it goes. */
int64_t sim_fault_clock(struct sim *sim, int64_t next_ns);
/* A task is about to wait. */
void sim_fault_wait(struct sim *sim, struct wait *wait);

/* sim_host.c */
/* An address that means "this host" to a loop becomes the host's. */
void sim_own_addr(const struct loop *loop, struct sockaddr_storage *addr);
bool sim_parted(const struct sim *sim, const struct sockaddr_storage *from,
                const struct sockaddr_storage *to);
void sim_part_by_chance(struct sim *sim);
/* End the partitions that chance has made. */
void sim_parts_calm(struct sim *sim);

/* sim_ops.c */
extern const struct io_ops sim_ops;
void sim_mark(struct sim_fd *fd);
/* A listener has a connection: tell one of the loops that wait at it. */
void sim_mark_one(struct sim *sim, struct sim_fd *fd);
/* Give a descriptor its number; 0, -EMFILE or -ENOMEM. */
int sim_fd_open(struct sim *sim, struct sim_fd *fd, bool listening);
struct sim_fd *sim_fd_find(struct sim *sim, int fd);
/* Take its number and its attaches away; the owner frees it. */
void sim_fd_close(struct sim *sim, struct sim_fd *fd);
void sim_files_close(struct sim *sim);

static inline struct sim_end *sim_end_of(struct sim_fd *fd)
{
    return container_of(fd, struct sim_end, base);
}

static inline struct sim_datagrams *sim_datagrams_of(struct sim_fd *fd)
{
    return container_of(fd, struct sim_datagrams, base);
}

static inline struct sim_listener *sim_listener_of(struct sim_fd *fd)
{
    return container_of(fd, struct sim_listener, base);
}

/* sim_listen.c */
int sim_listen(struct sim *sim, const struct sockaddr *addr, socklen_t addr_len,
               const struct io_listen_opts *opts);
void sim_listener_close(struct sim *sim, struct sim_listener *listener);
bool sim_listener_accept(struct sim *sim, struct sim_listener *listener, struct io_op *op);
/* Who listens at an address; NULL: nobody. */
struct sim_listener *sim_listener_at(struct sim *sim, const struct sockaddr_storage *addr);
/* A connection is complete. */
void sim_listener_queue(struct sim *sim, struct sim_listener *listener, struct sim_end *end);
uint16_t sim_port(const struct sockaddr_storage *addr);
void sim_set_port(struct sockaddr_storage *addr, uint16_t port);
bool sim_addr_is_any(const struct sockaddr_storage *addr);
/* Does what is sent to addr come to somebody at own? */
bool sim_addr_reaches(const struct sockaddr_storage *own, const struct sockaddr_storage *addr);
/* The loopback address of its family, or the host's. */
void sim_addr_local(struct sockaddr_storage *addr);
/* "10.0.0.1:7000" */
void sim_addr_print(const struct sockaddr_storage *addr, char *text, size_t size);
/* A port that nobody listens at. */
void sim_choose_port(struct sim *sim, struct sockaddr_storage *addr);

/* sim_conn.c: making connections. sim_net.c: what goes over them. */
struct sim_conn *sim_conn_new(struct sim *sim, int family);
static inline struct sim_conn *sim_conn_of(struct sim_end *end)
{
    return container_of(end - end->side, struct sim_conn, end[0]);
}
int sim_end_connect(struct sim_end *end, const struct sockaddr *addr, socklen_t addr_len);
void sim_end_close(struct sim_end *end);
int sim_end_shutdown(struct sim_end *end, int how);
/* These set op->res and return true, or return false: it has to wait. */
bool sim_end_recv(struct loop *loop, struct sim_end *end, struct io_op *op);
bool sim_end_send(struct sim_end *end, struct io_op *op);
bool sim_end_is_dead(struct sim_end *end);
void sim_conn_free(struct sim_conn *conn);
/* Free it when both its ends are closed. */
void sim_conn_let_go(struct sim_conn *conn);
/* "10.0.0.1:32768 -> 10.0.0.2:7000" */
void sim_conn_name(const struct sim_conn *conn, char text[static SIM_PARTY_NAME_BYTES]);
/* Is what this side sends held up? */
bool sim_conn_cut(const struct sim_conn *conn, uint8_t side);
/* What was held up goes on. */
void sim_conn_resume(struct sim_conn *conn);
/* How long the next thing sent over it takes. */
int64_t sim_conn_delay_ns(struct sim_conn *conn);
/* The network forgets it; and who still holds it is told at last. */
void sim_conn_vanish(struct sim_conn *conn);
void sim_conn_tell(struct sim_conn *conn);
void sim_pipe_init(struct sim_pipe *pipe, uint8_t side);
void sim_pipe_done(struct sim_pipe *pipe);
void sim_pipe_resume(struct sim_conn *conn, struct sim_pipe *pipe);
/* The end is told that the connection is no more. */
void sim_end_break(struct sim_end *end, int error);

/* sim_link.c */
struct sim_link *sim_link_of(struct sim *sim, uint16_t port);
struct sim_link *sim_link_new(struct sim *sim, uint16_t port);
/* The same, but NULL when nothing has made it. */
struct sim_link *sim_link_find(struct sim *sim, uint16_t port);
void sim_links_free(struct sim *sim);
/* How long the next thing sent over it takes, if it is not lost. */
int64_t sim_link_way_ns(struct sim *sim, const struct sim_link *link);
/* ... and with it being sent again until it arrives; about may be NULL. */
int64_t sim_link_delay_ns(struct sim *sim, const struct sim_link *link, struct sim_party *about);
/* So many bytes leave over it, in this direction, behind those before: when the last
 * of them has. */
int64_t sim_link_leave_ns(struct sim *sim, struct sim_link *link, uint8_t side, uint64_t bytes);
/* sim_conn.c: a link is whole again. */
void sim_link_resume(struct sim *sim, struct sim_link *link);

/* sim_datagram.c: what struct io_ops asks for, and */
int sim_datagram_open(struct loop *loop, const struct sockaddr *addr, socklen_t addr_len,
                      const struct io_datagram_opts *opts);
int sim_datagram_connect(struct loop *loop, int fd, const struct sockaddr *addr,
                         socklen_t addr_len);
int sim_datagram_recv(struct loop *loop, int fd, struct mmsghdr *messages, unsigned count);
int sim_datagram_send(struct loop *loop, int fd, struct mmsghdr *messages, unsigned count);
bool sim_datagram_poll(struct sim_datagrams *socket, struct io_op *op);
void sim_datagram_close(struct sim *sim, struct sim_datagrams *socket);
/* What is under way is lost. */
void sim_parcels_free(struct sim *sim);

/* sim_block.c */
void sim_begin_jobs(struct sim *sim, struct sim_event *event);
int sim_block(struct loop *loop, struct block_job *job);
enum job_end sim_block_give_up(struct loop *loop, struct block_job *job);
/* End what is left of abandoned calls. */
void sim_jobs_done(struct sim *sim);

/* sim_poll.c: waiting for real descriptors. Look at all of them, for up to this
 * long in real time; is any wait over? */
bool sim_poll_real(struct sim *sim, int wait_ms);
bool sim_poll_submit(struct sim_loop *own, struct io_op *op);

/* sim_name.c */
void sim_resolve(struct loop *loop, struct name_query *query);
void sim_resolve_end(struct loop *loop);
void sim_names_free(struct sim *sim);

/* sim_public.c */
struct weir_sim;
struct weir_sim *sim_handle_new(const struct sim_opts *opts);
struct sim *sim_of_handle(struct weir_sim *handle);

/* sim_run.c: this loop is the thread's, at the clock's time. */
void sim_enter(struct sim *sim, struct loop *loop);

/* sim_stuck.c: a line for each task that waits; the first one's into first. */
void sim_name_waits(struct sim *sim, char *first, size_t size);

#endif
