/* Signals and ticks, as something that a task waits for.
 *
 *     weir_signals *signals;
 *     int number, rc = weir_signals_open(&signals, SIGHUP, SIGUSR1);
 *
 *     while (rc == 0 && weir_signals_next(signals, &number) > 0)
 *         if (number == SIGHUP)
 *             reload();
 *
 * weir takes no signal that it was not asked for (but SIGSEGV in a debug build, to
 * name a task whose stack has overflowed); weir_main() has SIGTERM and SIGINT. A signal that comes several times before it is fetched is one. */
#ifndef WEIR_SIGNALS_H
#define WEIR_SIGNALS_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/export.h>
#include <weir/error.h>

WEIR_BEGIN

typedef struct weir_signals weir_signals;

/* Take these signals: weir_signals_open(&signals, SIGHUP, SIGUSR1). */
#define weir_signals_open(ret, ...)                                            \
    weir_signals_take(ret, (const int[]){ __VA_ARGS__ },                       \
                      sizeof((const int[]){ __VA_ARGS__ }) / sizeof(int))

/* Take signals from their default action, or from being ignored, until
 * weir_signals_close(). Those that come from now on are kept.
 *
 * Checkpoint: never.
 * Returns:    0 with the signals in *ret_signals, or
 *   -EINVAL      no such signal, one that can't be caught, or one that says that the
 *                program is broken (SIGSEGV and its like)
 *   -EBUSY       somebody has a handler for one of them: weir_main(), a library
 *   WEIR_EFULL   8 such objects are open
 *   -EMFILE      no descriptor is free (or -ENFILE)
 * Ownership:  the caller ends *ret_signals with weir_signals_close().
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_signals_take(weir_signals **ret_signals, const int *numbers, size_t count);

/* Wait for the next signal; of several, the one with the least number. It is a
 * source: a stop ends it.
 *
 * Checkpoint: always.
 * Returns:    1 with the signal in *ret_number; 0 when the task is asked to drain;
 *   or
 *   -EBUSY       another task waits for it
 *   -ENOMEM      no memory
 *   -ETIMEDOUT   the deadline passed
 *   -ECANCELED   the scope was cancelled
 * Ownership:  takes nothing.
 * Thread:     a task, on any loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_signals_next(weir_signals *signals, int *ret_number);

/* Give the signals back to what was done with them before.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  ends signals; NULL is fine. No task may be in weir_signals_next().
 * Thread:     any.
 * Since:      0.1 */
WEIR_API void weir_signals_close(weir_signals *signals);

/* ---- ticks ------------------------------------------------------------------ */

/* In the caller's storage; one task's. */
typedef struct weir_ticker {
    int64_t next_ns_, period_ns_;
} weir_ticker;

/* A ticker whose first tick is one period from now. A period of 0 counts as 1 ms.
 *
 * Checkpoint: never.
 * Returns:    the ticker.
 * Ownership:  it holds nothing.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE weir_ticker weir_ticker_every_ms(uint32_t period_ms);

/* Wait for the next tick. Ticks stand at whole periods from the ticker's making,
 * whatever the waits between them take: they never drift. When some have passed
 * already, it returns at once, with their number. It is a source: a stop ends it.
 *
 *     weir_ticker ticker = weir_ticker_every_ms(1000);
 *
 *     while ((n = weir_tick(&ticker)) > 0)
 *         if (n > 1) ... n - 1 were missed ...
 *
 * Checkpoint: always.
 * Returns:    how many ticks there were since the last call (1: none was missed);
 *   0 when the task is asked to drain; or
 *   -ETIMEDOUT   the deadline passed
 *   -ECANCELED   the scope was cancelled
 * Ownership:  takes nothing.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_tick(weir_ticker *ticker);

WEIR_END

#endif
