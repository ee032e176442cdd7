/* Looking into a running program.
 *
 * weir_main() and the weir program turn all of this on by themselves; a program
 * around weir_run() asks for it:
 *
 *     rc = weir_inspect_open();
 *     rc = weir_run(program, NULL);
 *     weir_inspect_close();
 *
 * It watches for loops that are held up, tasks that wait for each other, tasks that
 * nobody is left to wake, and queues that stay full, and logs each once, with the place
 * in the source; it reports a crash with what every loop was doing; and it answers
 * `weir ps`, `weir top` and `weir trace` at a unix socket that only the process's own
 * user (and root) may connect to. See docs/guide-inspect.md. */
#ifndef WEIR_INSPECT_H
#define WEIR_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/export.h>

WEIR_BEGIN

typedef struct weir_inspect_opts {
    size_t size;              /* set by the macro */
    uint32_t blocked_ms;      /* a loop that has not turned for so long, not counting time
                                 that the machine gave to others, is reported; unset: 100;
                                 WEIR_OFF: none is */
    uint32_t recorder_events; /* the last events that each loop keeps, a power of two;
                                 unset: 4,096 */
    bool no_recorder;         /* none are kept */
    bool no_handlers;         /* no signal handler is installed: crashes, SIGQUIT and the
                                 stacks of loops that are held up are not reported */
    bool no_socket;           /* nobody can ask from outside */
    const char *socket;       /* its path; unset: PID.sock in the folder weir of
                                 $XDG_RUNTIME_DIR, or where that can't be made, in a
                                 folder of the user's among the temporary files */
} weir_inspect_opts;

#define weir_inspect_open(...) \
    weir_inspect_open_opt(&(weir_inspect_opts){ .size = sizeof(weir_inspect_opts), __VA_ARGS__ })

/* Begin to watch.
 *
 * Checkpoint: never.
 * Returns:    0, also when the socket could not be made, which is logged; or
 *   -EINVAL      an option is out of its range, or it is open already
 *   -ENOMEM      no memory
 *   -errno       a thread could not be made: the chain says which
 * Ownership:  takes nothing.
 * Thread:     one that runs no loop, before weir_run().
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_inspect_open_opt(const weir_inspect_opts *opts);

/* End it. Does nothing when it is not open.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  takes nothing.
 * Thread:     the one that opened it, after weir_run().
 * Since:      0.1 */
WEIR_API void weir_inspect_close(void);

/* Write what all tasks do to a descriptor, as text: their scopes as a tree, tasks that are
 * alike as one line, with the stack of the one that has stood longest. SIGQUIT does it to
 * standard error, unless .no_handlers was given; in gdb it is `call weir_dump(2)`.
 * weir_inspect_open() is not needed for it.
 *
 * Checkpoint: never; it may take a second, and half a second more for each loop that is
 *   held up: not for a task that others wait for.
 * Returns:    0, or
 *   -ENOMEM      no memory
 *   -ETIMEDOUT   the descriptor takes no more
 *   -errno       what write() said
 * Ownership:  takes nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE int weir_dump(int fd);

WEIR_END

#endif
