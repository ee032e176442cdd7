/* Living in another program's loop.
 *
 * Where a program has an event loop already (a desktop toolkit's, libuv's, a poll()
 * of its own), weir_run() can't have the thread. Then the runtime is started without
 * it, and its first loop is turned from outside, step by step:
 *
 *     rc = weir_embed_start(first, NULL, .loops = 1);
 *     watch weir_loop_fd() for reading in the other loop; when it is readable:
 *         if (weir_loop_step() == 0)
 *             stop watching, and rc = weir_embed_end();
 *
 * The descriptor is readable when there is anything to do: input and output, a timer
 * that is due, a message from another thread, a task that is ready. So it is all that
 * has to be watched; it may be watched level- or edge-triggered. Between two steps no
 * task of that loop runs. What the other loop's callbacks want from tasks they submit
 * (weir_submit(0, ...)); tasks may call back, as they run on the same thread.
 *
 * Further loops, if there are any, run on threads of their own, as ever. */
#ifndef WEIR_EMBED_H
#define WEIR_EMBED_H

#include <stddef.h>
#include <stdint.h>

#include <weir/export.h>
#include <weir/run.h>

WEIR_BEGIN

#define weir_embed_start(fn, arg, ...) \
    weir_embed_start_opt(fn, arg, &(weir_run_opts){ .size = sizeof(weir_run_opts), __VA_ARGS__ })

/* Start the runtime with fn(arg) as the first task of the first loop, which the calling
 * thread is to turn with weir_loop_step(). It uses the epoll backend.
 *
 * Checkpoint: never (it is called outside tasks).
 * Returns:    0, or
 *   -ENOMEM      no memory to start with
 *   -EINVAL      an option is out of its range, or a runtime runs already
 *   -ENOTSUP     another backend was asked for
 *   -errno       a loop could not be started: what the system call said
 * Ownership:  the caller ends it with weir_embed_end().
 * Thread:     a thread that runs no loop; the first loop's from here on.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 3)
int weir_embed_start_opt(weir_fn *fn, void *arg, const weir_run_opts *opts);

/* The descriptor to watch for reading: see the head of this file.
 *
 * Checkpoint: never.
 * Returns:    the descriptor, or
 *   -EINVAL      nothing was started with weir_embed_start()
 * Ownership:  the runtime's, until weir_embed_end().
 * Thread:     that of weir_embed_start(), outside tasks.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE int weir_loop_fd(void);

/* How long until a step has something to do, if the descriptor does not become
 * readable before: for a loop that has timers and would rather not be woken by two.
 *
 * Checkpoint: never.
 * Returns:    milliseconds, 0 for now, -1 for never: as for poll(2).
 * Ownership:  takes nothing.
 * Thread:     that of weir_embed_start(), outside tasks.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE int weir_loop_timeout_ms(void);

/* Do what there is to do, without waiting: input, timers, and the tasks that are ready,
 * for about a millisecond at most; if there is more, the descriptor stays readable.
 *
 * Checkpoint: never (it is called outside tasks).
 * Returns:    1 to go on, 0 when the first loop has ended, as its first task has; or
 *   -EINVAL      nothing was started with weir_embed_start()
 *   WEIR_EWRONGUSE  a call from within a step, or on another thread
 * Ownership:  takes nothing.
 * Thread:     that of weir_embed_start(), outside tasks.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE int weir_loop_step(void);

/* End the runtime. When the first loop has not ended yet, all loops are stopped, and
 * cancelled after the grace, and the call waits for that.
 *
 * Checkpoint: never (it is called outside tasks).
 * Returns:    what fn returned, or
 *   -EINVAL      nothing was started with weir_embed_start()
 *   -errno       a thread could not be started: what the system call said
 *   WEIR_EWRONGUSE  a call from within a step, or on another thread
 * Ownership:  ends what weir_embed_start() began; the descriptor is closed.
 * Thread:     that of weir_embed_start(), outside tasks.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE int weir_embed_end(void);

WEIR_END

#endif
