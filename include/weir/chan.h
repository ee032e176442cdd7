/* Bounded channels between tasks, and select.
 *
 * A channel's type carries the type of its items, so that a wrong one is a
 * compile error:
 *
 *     typedef WEIR_CHAN(struct update) update_chan;
 *
 *     update_chan updates;
 *     rc = weir_chan_open(&updates, .capacity = 64);
 *     rc = weir_send(updates, &(struct update){ … });
 *     while ((rc = weir_recv(updates, &update)) > 0)
 *         …
 *     weir_chan_free(updates);
 *
 * Items are copied in and out. A capacity of 0 is a rendezvous: a send waits
 * until its item has been taken. A closed channel still gives what is in it,
 * then 0 to receivers; senders get WEIR_ECLOSED. What goes through a channel
 * owns what it points to; .drop is called for items left in it at its end.
 *
 * A channel belongs to the loop that made it. With .shared = true tasks of every
 * loop use it alike: it is made by any, and freed by any that knows that no other
 * is in a call with it. (A call that others have seen the effect of is over: who
 * received the last item may free the channel.)
 *
 * With .oneshot = true it takes one item and closes itself: its receiver gets the
 * item, then 0. */
#ifndef WEIR_CHAN_H
#define WEIR_CHAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/export.h>
#include <weir/scope.h>

WEIR_BEGIN

typedef struct weir_chan weir_chan;

/* The type of a channel of items of type T (C only). */
#define WEIR_CHAN(T)                                                           \
    struct {                                                                   \
        weir_chan *chan;                                                       \
        T *item[0];                                                            \
    }

typedef struct weir_chan_opts {
    size_t size;             /* set by the macro */
    const char *site;        /* set by the macro */
    const char *name;        /* for logs and metrics */
    uint32_t capacity;       /* items; 0 or unset: rendezvous */
    bool source;             /* receivers see its end when their scope is stopped */
    bool shared;             /* for tasks of every loop */
    bool oneshot;            /* a capacity of 1, and closed by the first item */
    void (*drop)(void *item); /* for each item left in it when it is freed */
} weir_chan_opts;

#define weir_chan_open(c, ...)                                                 \
    weir_chan_new_opt(&(c)->chan, sizeof(*(c)->item[0]),                       \
                      &(weir_chan_opts){ .size = sizeof(weir_chan_opts), .site = WEIR_HERE,    \
                                        __VA_ARGS__ })

/* A pointer to an item of channel c; another type does not compile. */
#define WEIR_ITEM_(c, ...) ((void)sizeof((__VA_ARGS__) == (c).item[0]), (__VA_ARGS__))

#define weir_send(c, ...) \
    weir_chan_send((c).chan, WEIR_ITEM_(c, __VA_ARGS__), sizeof(*(__VA_ARGS__)))
#define weir_recv(c, ...) \
    weir_chan_recv((c).chan, WEIR_ITEM_(c, __VA_ARGS__), sizeof(*(__VA_ARGS__)))
#define weir_try_send(c, ...) \
    weir_chan_try_send((c).chan, WEIR_ITEM_(c, __VA_ARGS__), sizeof(*(__VA_ARGS__)))
#define weir_try_recv(c, ...) \
    weir_chan_try_recv((c).chan, WEIR_ITEM_(c, __VA_ARGS__), sizeof(*(__VA_ARGS__)))
#define weir_close(c) weir_chan_close((c).chan)

/* The two ends of a channel. */
typedef enum weir_chan_end { WEIR_SENDS, WEIR_RECEIVES } weir_chan_end;

#define weir_hold(c, end) weir_chan_hold((c).chan, end)
#define weir_let_go(c, end) weir_chan_let_go((c).chan, end)

/* Room in a channel that is kept for one item of type T (C only). */
#define WEIR_PERMIT(T)                                                         \
    struct {                                                                   \
        weir_chan *reserved;                                                   \
        T *item[0];                                                            \
    }

/* Wait for room first, make the item then:
 *
 *     WEIR_PERMIT(struct update) permit;
 *     rc = weir_reserve(updates, &permit);
 *     if (rc == 0)
 *         weir_send_reserved(permit, &update);
 *
 * A permit is used up by weir_send_reserved() or weir_unreserve(), by one of them
 * and once. */
#define weir_reserve(c, ret_permit)                                            \
    weir_chan_reserve(((void)sizeof((c).item[0] == (ret_permit)->item[0]),     \
                       (ret_permit)->reserved = (c).chan))
#define weir_send_reserved(permit, ...)                                        \
    weir_chan_send_reserved((permit).reserved, WEIR_ITEM_(permit, __VA_ARGS__), \
                            sizeof(*(__VA_ARGS__)))
#define weir_unreserve(permit) weir_chan_unreserve((permit).reserved)

#define weir_chan_free(c) weir_chan_destroy((c).chan)

/* Make a channel: for the current loop, or with .shared for all.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   -ENOMEM         no memory
 *   WEIR_EBUDGET    its queue would pass the byte budget
 * Ownership:  the caller frees *ret_chan with weir_chan_free().
 * Thread:     a task; the channel belongs to its loop, unless it is shared.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 3)
int weir_chan_new_opt(weir_chan **ret_chan, size_t item_size, const weir_chan_opts *opts);

/* Free a channel; no task may be waiting on it.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  .drop gets each item left; NULL is fine.
 * Thread:     the channel's loop; any loop when it is shared.
 * Since:      0.1 */
WEIR_API void weir_chan_destroy(weir_chan *chan);

/* No further items: waiting senders get WEIR_ECLOSED, receivers take what is
 * left and then get 0. Closing twice is fine.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  takes nothing.
 * Thread:     the channel's loop; any loop when it is shared.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) void weir_chan_close(weir_chan *chan);

/* Hold an end of a channel: when the last who held it lets go, the channel is closed.
 * So receivers see the end when no sender is left, and senders get WEIR_ECLOSED when no
 * receiver is. A child that is started with .sends or .receives holds that end from
 * weir_go() to its own end; a task that starts several, of which one may end before the
 * next is started, holds it meanwhile. Where nobody ever held an end, nothing happens.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  whoever holds an end lets it go once.
 * Thread:     the channel's loop; any loop when it is shared.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) void weir_chan_hold(weir_chan *chan, weir_chan_end end);

/* Let an end go: see weir_chan_hold().
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  as weir_chan_hold().
 * Thread:     the channel's loop; any loop when it is shared.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) void weir_chan_let_go(weir_chan *chan, weir_chan_end end);

/* Send an item; waits while the channel is full.
 *
 * Checkpoint: always.
 * Returns:    1 when the item is in (or taken), or
 *   WEIR_ECLOSED    the channel is closed; the item stays the caller's
 *   -ETIMEDOUT      the deadline passed; the item stays the caller's
 *   -ECANCELED      the scope was cancelled; the item stays the caller's
 *   -EINVAL         item_size is not the channel's
 * Ownership:  the item is copied; what it points to goes with it.
 * Thread:     a task of the channel's loop; of any loop when it is shared.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_chan_send(weir_chan *chan, const void *item, size_t item_size);

/* Receive an item; waits while the channel is empty.
 *
 * Checkpoint: always.
 * Returns:    1 with the item in *ret_item; 0 when the channel is closed and
 *   empty (or a source, and the scope was stopped); or
 *   -ETIMEDOUT      the deadline passed
 *   -ECANCELED      the scope was cancelled
 *   -EINVAL         item_size is not the channel's
 * Ownership:  what the item points to is the caller's from here on.
 * Thread:     a task of the channel's loop; of any loop when it is shared.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_chan_recv(weir_chan *chan, void *ret_item, size_t item_size);

/* Send an item if there is room now.
 *
 * Checkpoint: never.
 * Returns:    1, or
 *   -EAGAIN         the channel is full
 *   WEIR_ECLOSED    the channel is closed
 *   -EINVAL         item_size is not the channel's
 * Ownership:  as weir_chan_send().
 * Thread:     the channel's loop; any loop when it is shared.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_chan_try_send(weir_chan *chan, const void *item, size_t item_size);

/* Receive an item if there is one now.
 *
 * Checkpoint: never.
 * Returns:    1; 0 when the channel is closed and empty; or
 *   -EAGAIN         the channel is empty
 *   -EINVAL         item_size is not the channel's
 * Ownership:  as weir_chan_recv().
 * Thread:     the channel's loop; any loop when it is shared.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_chan_try_recv(weir_chan *chan, void *ret_item, size_t item_size);

/* Wait until there is room for an item, and keep it: until it is used or given
 * back, nobody else can fill it. Permits given before a close can be used after it;
 * receivers see the end when the last is gone.
 *
 * Checkpoint: always.
 * Returns:    0 with room that is kept, or
 *   WEIR_ECLOSED    the channel is closed
 *   -ETIMEDOUT      the deadline passed
 *   -ECANCELED      the scope was cancelled
 *   -EINVAL         it is a rendezvous: it has no room
 * Ownership:  the caller uses the room once: weir_chan_send_reserved() or
 *             weir_chan_unreserve().
 * Thread:     a task of the channel's loop; of any loop when it is shared.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_chan_reserve(weir_chan *chan);

/* Send an item into room that is kept. It never fails and never waits.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  the item is copied; what it points to goes with it.
 * Thread:     the channel's loop; any loop when it is shared.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1, 2)
void weir_chan_send_reserved(weir_chan *chan, const void *item, size_t item_size);

/* Give back room that is kept: it goes to the next who waits for it.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  the room is the channel's again.
 * Thread:     the channel's loop; any loop when it is shared.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) void weir_chan_unreserve(weir_chan *chan);

/* How many items are in the channel now.
 *
 * Checkpoint: never.
 * Returns:    the number of items.
 * Ownership:  takes nothing.
 * Thread:     the channel's loop; any loop when it is shared.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) uint32_t weir_chan_depth(const weir_chan *chan);

/* ---- select ------------------------------------------------------------ */

typedef enum weir_arm_kind {
    WEIR_ARM_SEND,
    WEIR_ARM_RECV,
    WEIR_ARM_TIMER,
    WEIR_ARM_DONE,
    WEIR_ARM_STOP,
    WEIR_ARM_FD,
    WEIR_ARM_OTHERWISE
} weir_arm_kind;

/* One thing a select waits for; made by the macros below. */
typedef struct weir_arm {
    weir_arm_kind kind;
    weir_chan *chan;
    void *item;
    size_t item_size;
    uint32_t ms;
    weir_task task;
    int fd;
    short events;
} weir_arm;

#define WEIR_SEND(c, ...)                                                      \
    { .kind = WEIR_ARM_SEND, .chan = (c).chan,                                 \
      .item = (void *)WEIR_ITEM_(c, __VA_ARGS__), .item_size = sizeof(*(__VA_ARGS__)) }
#define WEIR_RECV(c, ...)                                                      \
    { .kind = WEIR_ARM_RECV, .chan = (c).chan, .item = WEIR_ITEM_(c, __VA_ARGS__), \
      .item_size = sizeof(*(__VA_ARGS__)) }
/* Ready after ms milliseconds. */
#define WEIR_AFTER_MS(milliseconds) { .kind = WEIR_ARM_TIMER, .ms = (milliseconds) }
/* Ready when the task has ended. */
#define WEIR_DONE(handle) { .kind = WEIR_ARM_DONE, .task = (handle) }
/* Ready when the task is asked to drain. */
#define WEIR_STOP { .kind = WEIR_ARM_STOP }
/* Ready when the descriptor is, as with weir_wait_fd(): the result is what holds. */
#define WEIR_WAIT_FD(descriptor, poll_events)                                  \
    { .kind = WEIR_ARM_FD, .fd = (descriptor), .events = (poll_events) }
#define WEIR_READABLE(descriptor) WEIR_WAIT_FD(descriptor, 1)  /* POLLIN */
#define WEIR_WRITABLE(descriptor) WEIR_WAIT_FD(descriptor, 4)  /* POLLOUT */
/* Taken when no other arm is ready: the select does not wait. */
#define WEIR_OTHERWISE { .kind = WEIR_ARM_OTHERWISE }

/* Which arm it was, and what that operation would have returned by itself. */
typedef struct weir_pick {
    int arm; /* index of the arm, or -1 when the wait was cancelled */
    int rc;
} weir_pick;

#define WEIR_ARMS_(...) \
    (weir_arm[]){ __VA_ARGS__ }, sizeof((weir_arm[]){ __VA_ARGS__ }) / sizeof(weir_arm)
/* Of arms that are ready, one that is drawn: none starves. */
#define weir_select(...) weir_select_arms(WEIR_ARMS_(__VA_ARGS__))
/* Of arms that are ready, the first as written: for what comes before the rest. */
#define weir_select_in_order(...) weir_select_arms_in_order(WEIR_ARMS_(__VA_ARGS__))

/* Wait for the first of several things. Exactly one arm commits. Arms that are
 * ready on entry are chosen in turn, so that none starves. A cancel seen on
 * entry wins over ready arms; one that arrives while waiting loses to an arm
 * that has committed.
 *
 * Checkpoint: always.
 * Returns:    the arm and its result (for a task's end, the task's result, or
 *   -ESRCH for a stale handle; for a descriptor, what weir_wait_fd() returns; 0
 *   for a timer, a stop and WEIR_OTHERWISE); arm -1 with
 *   -ETIMEDOUT      the deadline passed
 *   -ECANCELED      the scope was cancelled
 *   -EINVAL         no arm, over 16 arms, or an item of the wrong size
 * Ownership:  items as with send and receive, for the arm that committed only.
 * Thread:     a task of the channels' loop; shared ones go with any.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) weir_pick weir_select_arms(weir_arm *arms, size_t count);

/* The same, but of arms that are ready on entry the first is taken.
 *
 * Checkpoint: always.
 * Returns:    as weir_select_arms().
 * Ownership:  as weir_select_arms().
 * Thread:     as weir_select_arms().
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1)
weir_pick weir_select_arms_in_order(weir_arm *arms, size_t count);

WEIR_END

#endif
