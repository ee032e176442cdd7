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

/* Every option but the seed: X(name, default, largest, what it is). Those under
 * "faults" are rates in a thousand. A rate is asked for at each occasion. */
#define SIM_OPTIONS(X)                                                                         \
    X(loops, 1, 64, "loops, which take turns")                                                 \
    X(permute, 1, 1, "ready tasks run in random order")                                        \
    X(latency_ms, 0, 60000, "the way from one end to the other")                               \
    X(jitter_ms, 0, 60000, "at most that much more")                                           \
    X(buffer_bytes, 65536, 1 << 24, "what a connection holds in each direction")               \
    X(block_ms, 0, 60000, "a blocking call takes up to that long")                             \
    X(limit_ms, 3600000, 1 << 30, "virtual time after which a run is given up")                \
    X(loss, 0, 900, "faults: a segment is lost, and sent again 200 ms later")                  \
    X(reset, 0, 1000, "faults: a connection is reset while something is sent")                 \
    X(partition, 0, 1000, "faults: a send cuts its link for up to a second")                   \
    X(refuse, 0, 1000, "faults: a connect is refused")                                         \
    X(short_read, 0, 1000, "faults: a receive gets less than there is")                        \
    X(short_write, 0, 1000, "faults: a send goes out in pieces")                               \
    X(late, 0, 1000, "faults: what could end at once ends from poll")                          \
    X(race, 0, 1000, "faults: a result is there just before its cancel")                       \
    X(no_files, 0, 900, "faults: there is no descriptor for a socket")                         \
    X(busy, 0, 1000, "faults: a blocking call is refused")                                     \
    X(cancel, 0, 1000, "faults: the innermost scope of a task that waits is cancelled")

struct sim_opts {
    uint64_t seed;
#define SIM_OPTION_MEMBER_(name, otherwise, largest, what) uint32_t name;
    SIM_OPTIONS(SIM_OPTION_MEMBER_)
#undef SIM_OPTION_MEMBER_
};

#define SIM_OPTS_TEXT_BYTES 512

void sim_opts_init(struct sim_opts *opts);
/* Draw rates and delays for everything from a seed: each kind of fault is on in
 * about half of all seeds, but for cancel, which the program must be made for. */
void sim_opts_draw(struct sim_opts *opts, uint64_t seed);
/* "seed=7 loops=2 latency_ms=1 …": all of them, on one line. */
void sim_opts_print(const struct sim_opts *opts, char text[static SIM_OPTS_TEXT_BYTES]);
/* The way back; what the text does not name keeps its value. 0 or -EINVAL. */
int sim_opts_parse(struct sim_opts *opts, const char *text);

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
/* From here on nothing fails any more, and cut links are whole again. */
void sim_calm(struct sim *sim);
/* Descriptors that are open. */
uint32_t sim_files(const struct sim *sim);
/* Waits of tasks so far. */
uint64_t sim_waits(const struct sim *sim);

/* ---- what happened ------------------------------------------------------ */

/* Add a line "[     0] text", stamped with the virtual time in milliseconds.
 * Does nothing outside a simulation. At most 1 MiB is kept. */
__attribute__((format(printf, 1, 2))) void sim_trace(const char *fmt, ...);
/* All lines so far; valid until the next one. */
const char *sim_trace_text(const struct sim *sim);

/* ---- the network -------------------------------------------------------- */

/* A link is what lies before a port that is listened on; each begins with the
 * options' latency. */
void sim_link_latency(struct sim *sim, uint16_t port, uint32_t latency_ms, uint32_t jitter_ms);
/* Cut a link, or make it whole: what is under way arrives after that. */
void sim_link_cut(struct sim *sim, uint16_t port, bool cut);

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
