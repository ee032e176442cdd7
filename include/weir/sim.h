/* The simulator: tests that no clock or network can make flaky.
 *
 *     static int program(void *arg)
 *     {
 *         WEIR_SCOPE(s, .timeout_ms = 300) {
 *             rc = weir_stream_read(...);
 *         }
 *         weir_sim_trace("gave up: %s", weir_error_name(rc));
 *         return 0;
 *     }
 *
 *     weir_sim *sim = weir_sim_new(.seed = 7, .latency_ms = 20);
 *
 *     rc = weir_sim_run(sim, program, NULL);
 *     WEIR_EXPECT_TRACE(sim, "[   300] gave up: ETIMEDOUT\n");
 *     weir_sim_free(sim);
 *
 * A simulation is a whole runtime, in which tasks, scopes, channels, streams and
 * servers are used as ever. Its loops take turns on the calling thread, its clock
 * starts at 0 and moves only when no task can run, straight to the next timer or
 * arrival; its network lies in memory, and blocking calls run inline. What could
 * happen in another order on another day (which ready task runs next, which loop
 * turns first, how long bytes take, what fails) is drawn from the seed: the same
 * options give the same run. With .faults, things fail as they do in the world:
 * segments are lost (and sent again), datagrams lost, doubled and reordered,
 * connections reset, refused or forgotten by the network, links cut and hosts parted,
 * reads and writes are short or interrupted, descriptors run out, disks fail and fill
 * up, clocks jump, the machine stands still.
 *
 * weir_sim_seeds() runs a program under many seeds, and makes the first failure
 * smaller: down to the few faults that it takes.
 *
 * To repeat a run, set WEIR_SIM in the environment to the line of options that it
 * printed: it takes the place of the options that weir_sim_new() is given. */
#ifndef WEIR_SIM_H
#define WEIR_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/export.h>
#include <weir/run.h>

WEIR_BEGIN

typedef struct weir_sim weir_sim;

typedef struct weir_sim_opts {
    size_t size;         /* set by the macro */
    uint64_t seed;
    uint32_t loops;      /* unset: 1, at most 64 */
    uint32_t latency_ms; /* each way over the network; at most 60,000 */
    uint32_t jitter_ms;  /* at most that much more; at most 60,000 */
    uint32_t block_ms;   /* a blocking call takes up to that long; at most 60,000 */
    uint32_t limit_ms;   /* virtual time after which a run is given up; unset: one hour */
    bool faults;         /* draw delays and rates of failure from the seed; what is set
                            above holds all the same */
    const char *options; /* any options by name, as in the line that is printed:
                            "loss=5,vanish=1"; rates are in a thousand. Holds above all */
} weir_sim_opts;

#define weir_sim_new(...) \
    weir_sim_new_opt(&(weir_sim_opts){ .size = sizeof(weir_sim_opts), __VA_ARGS__ })

/* Make a simulation: a clock, a network, and a source of chance.
 *
 * Checkpoint: never.
 * Returns:    the simulation; NULL without memory, or with a sentence in the error
 *   chain when an option (or WEIR_SIM in the environment) is wrong.
 * Ownership:  the caller frees it with weir_sim_free().
 * Thread:     any; it belongs to the calling thread.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) weir_sim *weir_sim_new_opt(const weir_sim_opts *opts);

/* Free a simulation, and what the program has left open in it.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  ends sim and its texts; NULL is fine.
 * Thread:     that of sim, outside tasks.
 * Since:      0.1 */
WEIR_API void weir_sim_free(weir_sim *sim);

/* Run fn(arg) as the first task of the first loop until it returns, then end every
 * loop, as weir_run() does. May be called again: clock and network go on.
 *
 * Checkpoint: never (it is called outside tasks).
 * Returns:    fn's result, or
 *   -EDEADLK     nothing can happen any more, and tasks still wait: the error chain
 *                names one and the trace names all, with what they wait for
 *   -ETIME       limit_ms passed, or tasks kept yielding without time passing
 *   -ENOMEM      no memory to start with
 *   -EINVAL      the runtime is running already
 *   After -EDEADLK and -ETIME everything was cancelled.
 * Ownership:  takes nothing.
 * Thread:     that of sim.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2) int weir_sim_run(weir_sim *sim, weir_fn *fn, void *arg);

/* Add a line to the trace of the simulation that the calling task runs in, behind
 * the virtual time in milliseconds: "[   300] text". At most 1 MiB is kept. Outside
 * a simulation it does nothing, so that a program may trace wherever it runs.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  the text is copied.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_PRINTF(1, 2) void weir_sim_trace(const char *fmt, ...);

/* All lines of the trace so far.
 *
 * Checkpoint: never.
 * Returns:    the text, terminated; "" when there is none.
 * Ownership:  the simulation's, until the next line.
 * Thread:     that of sim.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) const char *weir_sim_text(const weir_sim *sim);

/* The virtual time, from 0 on.
 *
 * Checkpoint: never.
 * Returns:    milliseconds.
 * Ownership:  takes nothing.
 * Thread:     that of sim.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) int64_t weir_sim_now_ms(const weir_sim *sim);

/* All options of a simulation on one line, those drawn from the seed included: what
 * WEIR_SIM is to be set to.
 *
 * Checkpoint: never.
 * Returns:    "seed=7,loops=1,…".
 * Ownership:  the simulation's, until it is freed.
 * Thread:     that of sim.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) const char *weir_sim_options(const weir_sim *sim);

/* The simulation that the calling task runs in.
 *
 * Checkpoint: never.
 * Returns:    the simulation; NULL outside.
 * Ownership:  borrowed.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API weir_sim *weir_sim_self(void);

/* ---- many seeds --------------------------------------------------------- */

typedef struct weir_sim_seeds_opts {
    size_t size;         /* set by the macro */
    uint32_t count;      /* how many; unset: 100 */
    uint64_t first;      /* the first seed; unset: 1 */
    uint32_t calm_ms;    /* virtual time after which nothing fails any more; unset: 10,000 */
    uint32_t finish_ms;  /* and within which the program must end then; unset: 600,000 */
    bool cancels;        /* cancel scopes at waits, too: the program must be made for it */
    bool memory;         /* let allocations fail, too */
    bool no_shrink;      /* print a failing seed as it is */
    const char *options; /* as in weir_sim_opts, for every seed */
} weir_sim_seeds_opts;

#define weir_sim_seeds(fn, arg, ...) \
    weir_sim_seeds_opt(fn, arg, \
                       &(weir_sim_seeds_opts){ .size = sizeof(weir_sim_seeds_opts), __VA_ARGS__ })

/* Run fn(arg) under many seeds, each with the faults drawn from it: first things
 * fail, then the network heals, and the program must come to its end. A run fails
 * by a negative result, by a signal (a failed check), or by not ending. The first
 * failure is made smaller: kinds of faults, then single faults, are left out as long
 * as it fails in the same way. Standard error then has the line that repeats it, and
 * the trace of the smallest run; in any case, how many seeds ran, and how fast.
 *
 * The runs are made in processes of their own. fn sets up whatever it uses: what it
 * keeps from run to run makes failures that do not repeat. With WEIR_SIM in the
 * environment, that one run is made, in this process, and its trace is written to
 * standard error.
 *
 * Checkpoint: never (it is called outside tasks).
 * Returns:    0 when no run has failed; the failing run's result; or
 *   -ECHILD      a run was ended by a signal
 *   -EINVAL      an option is wrong
 *   -ENOMEM      no memory
 *   -errno       no process could be started
 * Ownership:  takes nothing.
 * Thread:     that which runs no loop; other threads are not in the processes.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 3)
int weir_sim_seeds_opt(weir_fn *fn, void *arg, const weir_sim_seeds_opts *opts);

/* ---- the network -------------------------------------------------------- */

/* Set how long bytes take to and from a port that is listened on, or at which datagrams
 * are received.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  takes nothing.
 * Thread:     that of sim, also in its tasks.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1)
void weir_sim_link(weir_sim *sim, uint16_t port, uint32_t latency_ms, uint32_t jitter_ms);

/* Cut the link to a port, or make it whole again. What is under way waits; nothing
 * is lost, as streams send again: but for datagrams, which are.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  takes nothing.
 * Thread:     that of sim, also in its tasks.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) void weir_sim_cut(weir_sim *sim, uint16_t port, bool cut);

/* Set how many bytes a millisecond go over the link to a port, each way.
 *
 * Checkpoint: never.
 * Returns:    nothing; 0 is any number.
 * Ownership:  takes nothing.
 * Thread:     that of sim, also in its tasks.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1)
void weir_sim_bandwidth(weir_sim *sim, uint16_t port, uint32_t bytes_per_ms);

/* Let a loop stand for a host: it connects from this address, and means it by the
 * loopback address and by "any", where it listens and where it connects to.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   -EINVAL      no such loop, or no IPv4 address
 * Ownership:  the text is copied.
 * Thread:     that of sim, also in its tasks.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 3)
int weir_sim_host(weir_sim *sim, uint32_t loop, const char *addr);

typedef struct weir_sim_part_opts {
    size_t size;      /* set by the macro */
    bool one_way;     /* what is sent the other way arrives */
    uint32_t heal_ms; /* it ends after that; unset: with weir_sim_heal() */
} weir_sim_part_opts;

#define weir_sim_part(sim, from, to, ...) \
    weir_sim_part_opt(sim, from, to, \
                      &(weir_sim_part_opts){ .size = sizeof(weir_sim_part_opts), __VA_ARGS__ })

/* Part two sets of hosts: nothing that one sends arrives at the other. It waits, as
 * streams send again; datagrams are lost.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   -EINVAL      a set is neither "*" nor up to 64 IPv4 addresses with commas between
 *   -ENOMEM      no memory
 * Ownership:  the texts are copied.
 * Thread:     that of sim, also in its tasks.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2, 3, 4)
int weir_sim_part_opt(weir_sim *sim, const char *from, const char *to,
                      const weir_sim_part_opts *opts);

/* End every partition between hosts.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  takes nothing.
 * Thread:     that of sim, also in its tasks.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) void weir_sim_heal(weir_sim *sim);

/* How the simulated name servers speak of a name. */
typedef enum weir_sim_name_way {
    WEIR_SIM_FOUND,    /* it has the addresses given; or none */
    WEIR_SIM_NXDOMAIN, /* there is no such name */
    WEIR_SIM_SERVFAIL, /* the servers can't say */
    WEIR_SIM_SILENT    /* nothing is heard, until the asker gives up */
} weir_sim_name_way;

typedef struct weir_sim_name_opts {
    size_t size;           /* set by the macro */
    const char *addresses; /* "192.0.2.1 192.0.2.2 2001:db8::1" */
    weir_sim_name_way way;
    uint32_t ttl_ms;       /* unset: 60,000 */
    uint32_t latency_ms;   /* of an answer; unset: there and back over the network. When
                              SILENT: until the asker gives up; unset: 6,000 */
} weir_sim_name_opts;

#define weir_sim_name(sim, name, ...)                                                      \
    weir_sim_name_opt(sim, name,                                                           \
                      &(weir_sim_name_opts){ .size = sizeof(weir_sim_name_opts), __VA_ARGS__ })

/* Set what a host name means from now on. In a simulation names that were never set
 * do not exist. May be called again for the same name, while a program runs: the
 * address of a service moves, the name servers fail, and come back.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   -EINVAL      an address is none, or a text is too long
 *   -ENOMEM      no memory
 * Ownership:  the texts are copied.
 * Thread:     that of sim, also in its tasks.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2, 3)
int weir_sim_name_opt(weir_sim *sim, const char *name, const weir_sim_name_opts *opts);

/* End all faults: from here on nothing fails by chance, links that chance has cut
 * are whole, and who holds a connection that the network has forgotten is told. For
 * the second half of a test: what must come through now.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  takes nothing.
 * Thread:     that of sim, also in its tasks.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) void weir_sim_calm(weir_sim *sim);

/* ---- expectations ------------------------------------------------------- */

/* The trace must be exactly this text. */
#define WEIR_EXPECT_TRACE(sim, wanted) weir_sim_expect_trace(sim, wanted, WEIR_HERE)
/* So much virtual time must have passed since the simulation was made; after
 * weir_sim_get() (weir/test.h), from the request to its answer. */
#define WEIR_EXPECT_ELAPSED_MS(sim, wanted) weir_sim_expect_elapsed(sim, wanted, WEIR_HERE)

/* Compare the trace. If it differs, write both texts and the line of options to
 * standard error, and abort(): every test framework sees that.
 *
 * Checkpoint: never.
 * Returns:    nothing, and only when they are equal.
 * Ownership:  takes nothing.
 * Thread:     that of sim.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1, 2, 3)
void weir_sim_expect_trace(const weir_sim *sim, const char *wanted, const char *site);

/* Compare the virtual time, as weir_sim_expect_trace() does the trace.
 *
 * Checkpoint: never.
 * Returns:    nothing, and only when it is as wanted.
 * Ownership:  takes nothing.
 * Thread:     that of sim, also in its tasks.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1, 3)
void weir_sim_expect_elapsed(const weir_sim *sim, int64_t wanted_ms, const char *site);

WEIR_END

#endif
