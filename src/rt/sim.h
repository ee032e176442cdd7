/* The simulator: loops under a virtual clock, on a network in memory.
 *
 * It is the second implementation of backend.h. N loops take turns on one thread;
 * the clock starts at 0 and moves only when no loop has anything to do, straight
 * to the next timer or arrival. Whatever could happen in another order on another
 * day is drawn from one seed: which loop turns first, which ready task runs next,
 * how long bytes travel, what fails. The same options give the same run, to the
 * last byte of its trace. */
#ifndef RT_SIM_H
#define RT_SIM_H

#include "rt/rt.h"

/* What a simulation is like: X(name, default, largest, what it is). */
#define SIM_SETTINGS(X)                                                                        \
    X(loops, 1, 64, "loops, which take turns")                                                 \
    X(permute, 1, 1, "ready tasks run in random order")                                        \
    X(latency_ms, 0, 60000, "the way from one end to the other")                               \
    X(jitter_ms, 0, 60000, "at most that much more")                                           \
    X(bandwidth, 0, 1 << 30, "bytes a millisecond in each direction of a link; 0: any")        \
    X(buffer_bytes, 65536, 1 << 24, "what a connection holds in each direction")               \
    X(block_ms, 0, 60000, "a blocking call takes up to that long")                             \
    X(limit_ms, 3600000, 1 << 30, "virtual time after which a run is given up")                \
    X(calm_ms, 0, 1 << 30, "virtual time at which all faults end; 0: they don't")              \
    X(finish_ms, 0, 1 << 30, "after that, a run must end within this time; 0: limit_ms")       \
    X(show, 0, 2, "the trace has faults (1), and what the network does (2)")

/* What fails: X(name, largest, drawn, what happens). All are rates in a thousand; a
 * rate is asked for at each occasion. drawn is the largest that a seed draws; 0 is
 * for what a program must be made for. */
#define SIM_FAULTS(X)                                                                          \
    X(loss, 900, 100, "a segment is lost, and sent again 200 ms later; a datagram is lost")    \
    X(reset, 1000, 20, "a connection is reset while something is sent")                        \
    X(vanish, 1000, 5, "a connection is forgotten by the network: nothing tells its ends")     \
    X(partition, 1000, 10, "a send cuts its link for up to a second")                          \
    X(one_way, 1000, 10, "a send cuts one direction of its link for up to a second")           \
    X(split, 1000, 10, "a send parts the hosts into two sets for up to ten seconds")           \
    X(refuse, 1000, 100, "a connect is refused")                                               \
    X(short_read, 1000, 500, "a receive gets less than there is")                              \
    X(short_write, 1000, 500, "a send goes out in pieces")                                     \
    X(late, 1000, 500, "what could end at once ends from poll")                                \
    X(interrupt, 900, 100, "a call is interrupted by a signal (EINTR), and begun again")       \
    X(race, 1000, 500, "a result is there just before its cancel")                             \
    X(no_files, 900, 50, "there is no descriptor for a socket")                                \
    X(no_memory, 900, 0, "an allocation fails")                                                \
    X(busy, 1000, 50, "a blocking call is refused")                                            \
    X(disk_error, 1000, 20, "a file's read, write or sync fails (EIO)")                        \
    X(disk_full, 1000, 20, "a file's write finds no room (ENOSPC)")                            \
    X(disk_short, 1000, 200, "a file's read or write moves less than it was asked to")         \
    X(wall_jump, 1000, 5, "the wall clock jumps by up to an hour, either way")                 \
    X(suspend, 1000, 2, "the machine stands still for up to 30 s while it waits")              \
    X(cancel, 1000, 0, "the innermost scope of a task that waits is cancelled")                \
    X(cancel_any, 1000, 0, "any scope around a task that waits is cancelled")                  \
    X(duplicate, 1000, 100, "a datagram arrives twice")                                        \
    X(reorder, 1000, 100, "a datagram takes up to 100 ms more, and others come before it")

enum sim_fault {
#define SIM_FAULT_ID_(name, largest, drawn, what) SIM_FAULT_##name,
    SIM_FAULTS(SIM_FAULT_ID_)
#undef SIM_FAULT_ID_
        SIM_FAULT_KINDS
};

#define SIM_RANGES_MAX 32

/* Faults by the number at which they come up in a run, from 1. */
struct sim_range {
    uint32_t first, last;
};

struct sim_opts {
    uint64_t seed;
#define SIM_SETTING_MEMBER_(name, otherwise, largest, what) uint32_t name;
    SIM_SETTINGS(SIM_SETTING_MEMBER_)
#undef SIM_SETTING_MEMBER_
    union { /* rates */
        struct {
#define SIM_FAULT_MEMBER_(name, largest, drawn, what) uint32_t name;
            SIM_FAULTS(SIM_FAULT_MEMBER_)
#undef SIM_FAULT_MEMBER_
        };
        uint32_t fault[SIM_FAULT_KINDS];
    };
    /* Of the faults that come up only these happen: "only=3+8-12"; "only=0": none.
     * Without ranges all do. */
    uint32_t range_count;
    struct sim_range ranges[SIM_RANGES_MAX];
};

#define SIM_OPTS_TEXT_BYTES 1536

void sim_opts_init(struct sim_opts *opts);
/* Draw rates and delays for everything from a seed: each kind of fault is on in
 * about half of all seeds, but for those a program must be made for. */
void sim_opts_draw(struct sim_opts *opts, uint64_t seed);
/* "seed=7,loops=2,latency_ms=1,…": all of them on one line, but for faults that do
 * not happen. */
void sim_opts_print(const struct sim_opts *opts, char text[static SIM_OPTS_TEXT_BYTES]);
/* The way back, with commas or spaces; what the text does not name keeps its value.
 * 0 or -EINVAL. */
int sim_opts_parse(struct sim_opts *opts, const char *text);
/* The same for what stands in the environment: whoever typed it is told what is wrong. */
int sim_opts_given(struct sim_opts *opts, const char *given);
const char *sim_fault_name(enum sim_fault kind);
const char *sim_fault_text(enum sim_fault kind);

/* ---- a simulation ------------------------------------------------------- */

struct sim;

/* NULL without memory, or with the sentence in the error chain when an option is
 * out of its range. */
struct sim *sim_new(const struct sim_opts *opts);
void sim_free(struct sim *sim);

/* Run fn(arg) as the first task of the first loop, as weir_run() does. run may be
 * NULL; of it loops, block_threads and byte_budget are the simulator's own. Also
 *   -EDEADLK     nothing can happen any more, and tasks still wait: the error
 *                chain names the first of them, and the trace names all
 *   -ETIME       limit_ms passed, or a million turns at one moment
 * in which cases everything was cancelled. The clock goes on from run to run. */
int sim_run(struct sim *sim, weir_fn *fn, void *arg, const weir_run_opts *run);

/* The simulation that the current loop belongs to, or NULL. */
struct sim *sim_self(void);
int64_t sim_now_ns(const struct sim *sim);
const struct sim_opts *sim_opts_of(const struct sim *sim);
/* From here on nothing fails any more, links that chance has cut are whole again,
 * and who holds a connection that the network has forgotten is told. */
void sim_calm(struct sim *sim);
/* How many faults have come up so far. */
uint32_t sim_faults(const struct sim *sim);
/* Descriptors that are open. */
uint32_t sim_files(const struct sim *sim);
/* Waits of tasks so far. */
uint64_t sim_waits(const struct sim *sim);

/* What a layer above keeps with a simulation that users have made: one value, and
 * who frees it at the simulation's end. */
struct weir_sim;
void *sim_upper(const struct weir_sim *sim);
void sim_upper_set(struct weir_sim *sim, void *value, void (*done)(void *value));

/* What weir_sim_expect_elapsed() looks at until the next run: how long the part that
 * matters took. */
void sim_elapsed_set(struct weir_sim *sim, int64_t elapsed_ns);

/* ---- what happened ------------------------------------------------------ */

/* Add a line "[     0] text", stamped with the virtual time in milliseconds.
 * Does nothing outside a simulation. At most 1 MiB is kept. */
__attribute__((format(printf, 1, 2))) void sim_trace(const char *fmt, ...);
/* A line of the program's log: part of the trace where the option show is set. */
void sim_trace_line(weir_str line);
/* All lines so far; valid until the next one. */
const char *sim_trace_text(const struct sim *sim);
/* Write each line to this descriptor as well, at once: what is seen of a run that
 * ends in a crash. -1: no more. */
void sim_trace_to(struct sim *sim, int fd);

/* ---- the network -------------------------------------------------------- */

/* A link is what lies before a port that is listened on; each begins with the
 * options' latency. */
void sim_link_latency(struct sim *sim, uint16_t port, uint32_t latency_ms, uint32_t jitter_ms);
/* Cut a link, or make it whole: what is under way arrives after that. */
void sim_link_cut(struct sim *sim, uint16_t port, bool cut);
/* How many bytes a millisecond a link carries in each direction; 0: any number. */
void sim_link_bandwidth(struct sim *sim, uint16_t port, uint32_t bytes_ms);

/* Loops may stand for hosts: what a loop connects from, and what it means by the
 * loopback address and by "any", is then this IPv4 address. 0 or -EINVAL. */
int sim_host(struct sim *sim, uint32_t loop, const char *addr);
/* Nothing comes from one set of hosts to the other ("10.0.0.1,10.0.0.2", or "*"),
 * nor, unless one_way, back; for heal_ms (0: until sim_heal()). 0, -EINVAL, or
 * -ENOMEM. */
int sim_part(struct sim *sim, const char *from, const char *to, bool one_way, uint32_t heal_ms);
/* End all partitions between hosts. */
void sim_heal(struct sim *sim);

/* ---- scripted peers ----------------------------------------------------- */

/* The other side of what is tested, as straight-line code in a task. Each call
 * but close and reset is a checkpoint; the results are those of the backend. */
struct sim_peer {
    struct io_file file;
    struct buf *rest; /* received and not yet asked for */
};

int sim_peer_connect(struct sim_peer *peer, uint16_t port);
/* len, or less when it failed on the way, or the failure. */
ssize_t sim_peer_send(struct sim_peer *peer, const void *data, size_t len);
/* Up to size bytes, at least one; 0 at the end. */
ssize_t sim_peer_recv(struct sim_peer *peer, void *data, size_t size);
/* size bytes, or fewer when the stream ends or fails before. */
ssize_t sim_peer_recv_all(struct sim_peer *peer, void *data, size_t size);
int sim_peer_shutdown(struct sim_peer *peer);
void sim_peer_close(struct sim_peer *peer);
void sim_peer_reset(struct sim_peer *peer);

#endif
