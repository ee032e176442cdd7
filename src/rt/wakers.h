/* Who can wake a task that waits, where that is known: what it waits on, and what others
 * may wait on that it stands in the way of. For whoever looks for tasks that wait for each
 * other (ops/waits.h).
 *
 * What is waited on is an address that is only compared: of a lock, a scope, a semaphore,
 * an end of a channel, a task, a pool of threads, a call from another thread. Each thing
 * that is waited on has ways to it: a lock one for each task that holds it, a semaphore one
 * a unit, an end of a channel one for each task that was declared to hold it. A wait is
 * over when enough of them are free: it can't be while `enough` of them belong to tasks
 * that wait for ever.
 *
 * Nothing is said where those who might wake it are not all known: at a channel whose other
 * end nobody was declared to hold, or in which room is kept; for a unit of a semaphore that
 * is not .owned; for input, time, a condition, a latch. A condition has no owner: who
 * signals it is declared nowhere, and its mutex is free meanwhile. */
#ifndef RT_WAKERS_H
#define RT_WAKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/chan.h>

#define WAKERS_ON 16   /* arms of a select */
#define WAKERS_WAYS 20

struct loop;
struct task;
struct wait;

struct wakers_on {
    const void *object;
    uint32_t enough; /* ways to it; with 1 of many, as for a lock, all of them are needed */
};

struct wakers {
    uint32_t on_count, way_count;
    struct wakers_on on[WAKERS_ON]; /* each of them would do */
    const void *ways[WAKERS_WAYS];  /* that are the task's */
};

/* Of a task of this loop; false: it does not wait, not for so long (since_ns, on the loop's
 * clock), or not all who could wake it are known. */
bool wakers_of(const struct task *task, int64_t since_ns, struct wakers *ret_wakers);
/* The name of what it waits on, as in "channel jobs (main.c:12)"; "" where it has none. */
void wakers_name(const struct task *task, char *text, size_t size);

/* select.c: what the select that the task is parked in waits on; 0: something else may
 * end it. */
uint32_t select_wakers(struct wait *wait, struct wakers_on *ret_on);
/* The tasks at this end of a channel, if all are known: what those at the other wait on.
 * The task waits there. */
bool wakers_chan(weir_chan *chan, weir_chan_end end, struct wakers_on *ret_on);

#endif
