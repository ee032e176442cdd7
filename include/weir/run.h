/* Starting the runtime.
 *
 * weir_run() is what weir_main() stands on: a program that is no web
 * application (a test, a tool) calls it directly. */
#ifndef WEIR_RUN_H
#define WEIR_RUN_H

#include <stddef.h>
#include <stdint.h>

#include <weir/block.h>
#include <weir/export.h>
#include <weir/scope.h>

WEIR_BEGIN

/* What does a loop's input and output. */
typedef enum weir_backend {
    WEIR_BACKEND_AUTO,        /* what the environment variable WEIR_BACKEND names (epoll
                                 or io_uring); without it, epoll */
    WEIR_BACKEND_EPOLL,
    WEIR_BACKEND_IO_URING
} weir_backend;

typedef struct weir_run_opts {
    size_t size;              /* set by the macro */
    uint32_t loops;           /* threads that run tasks; unset: one a core that the
                                 process may use (affinity and CPU quota counted) */
    weir_fn *each;            /* started once on every loop, in its application
                                 scope, before fn */
    void *each_arg;
    uint64_t byte_budget;     /* unset: 80 % of the memory the process may use */
    uint32_t stack_bytes;     /* reserved for a task; unset: 262,144 */
    uint32_t grace_ms;        /* between stop and cancel; unset: 10,000 */
    uint32_t background_percent; /* of a busy loop's time: what tasks of background
                                 scopes get while others are ready; unset: 12 */
    uint32_t block_threads;   /* threads for weir_block(); unset: 16 */
    uint32_t block_queue;     /* calls that may wait for one, in each of the runtime's
                                 pools (see weir/block.h); unset: 1,024 */
    uint32_t file_threads;    /* threads for files; unset: 8 */
    uint32_t cpu_threads;     /* threads for computation; unset: one a core, as loops */
    weir_backend backend;     /* unset: WEIR_BACKEND_AUTO */
} weir_run_opts;

#define weir_run(fn, arg, ...) \
    weir_run_opt(fn, arg, &(weir_run_opts){ .size = sizeof(weir_run_opts), __VA_ARGS__ })

/* Run fn(arg) as the first task of the first loop, until it returns; then stop
 * every loop, wait for the grace, cancel what is left, and end.
 *
 * Checkpoint: never (it is called outside tasks).
 * Returns:    fn's result, or
 *   -ENOMEM      no memory to start with
 *   -EINVAL      an option, or what WEIR_BACKEND says, is out of its range
 *   -ENOTSUP     io_uring was asked for, and is not built in
 *   -errno       a loop could not be started: what the system call said
 * Ownership:  takes nothing.
 * Thread:     a thread that runs no loop; it becomes the first loop's.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 3)
int weir_run_opt(weir_fn *fn, void *arg, const weir_run_opts *opts);

/* How many loops the runtime has.
 *
 * Checkpoint: never.
 * Returns:    the number, at least 1.
 * Ownership:  takes nothing.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API uint32_t weir_loops(void);

/* Which loop this is.
 *
 * Checkpoint: never.
 * Returns:    0 to weir_loops() - 1.
 * Ownership:  takes nothing.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API uint32_t weir_loop_index(void);

/* Start fn(arg) as a task in the application's scope of a loop: also from a thread
 * that is not the runtime's. What such threads have besides is in weir/remote.h.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   WEIR_EFULL   1,024 submissions wait there already
 *   -ECANCELED   the loop has ended, or no runtime runs
 *   -EINVAL      no such loop
 *   After 0 the task runs, also when the runtime ends meanwhile: it is cancelled then.
 * Ownership:  arg is the task's from here on when it returned 0.
 * Thread:     any, also before and after weir_run().
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(2) int weir_submit(uint32_t loop, weir_fn *fn, void *arg);

/* ---- memory of the current task ---------------------------------------- */

/* Memory from the current task's arena: it lives until the exchange (or, in a
 * task of the application's scope, the task) ends. Aligned for any type.
 *
 * Checkpoint: never.
 * Returns:    the memory, not cleared; NULL when there is none left.
 * Ownership:  the arena's; never freed by hand.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE void *weir_alloc(size_t bytes);

/* Text formatted into the current task's arena, terminated behind its end.
 *
 * Checkpoint: never.
 * Returns:    the text; a NULL pointer when there was no memory.
 * Ownership:  the arena's.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_PRINTF(1, 2) weir_str weir_format(const char *fmt, ...);

/* Copy a slice into the current task's arena, terminated behind its end.
 *
 * Checkpoint: never.
 * Returns:    the copy; a NULL pointer when there was no memory.
 * Ownership:  the arena's.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE weir_str weir_str_dup(weir_str s);

WEIR_END

#endif
