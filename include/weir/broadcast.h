/* Broadcast: every subscriber receives every item sent after it subscribed.
 *
 *     typedef WEIR_BROADCAST(struct tick) tick_broadcast;
 *     typedef WEIR_SUBSCRIPTION(struct tick) tick_subscription;
 *
 *     rc = weir_broadcast_open(&ticks, .capacity = 64, .shared = true);
 *     rc = weir_subscribe(ticks, &mine, .slow = WEIR_DROP_OLDEST);
 *     rc = weir_broadcast(ticks, &(struct tick){ … });
 *     while ((rc = weir_broadcast_recv(mine, &tick)) > 0)
 *         …
 *     weir_unsubscribe(mine);
 *     weir_broadcast_free(ticks);
 *
 * The last items, as many as the capacity, are kept once for all. What happens when
 * a subscriber is that far behind is its own choice: the sender waits, the subscriber
 * misses the oldest items and is told how many, or it is cut off.
 *
 * Items are copied to each subscriber, so what they point to is nobody's own. */
#ifndef WEIR_BROADCAST_H
#define WEIR_BROADCAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/chan.h>
#include <weir/export.h>

WEIR_BEGIN

typedef struct weir_broadcast_chan weir_broadcast_chan;
typedef struct weir_subscriber weir_subscriber;

/* The types for items of type T (C only). */
#define WEIR_BROADCAST(T)                                                      \
    struct {                                                                   \
        weir_broadcast_chan *chan;                                             \
        T *item[0];                                                            \
    }
#define WEIR_SUBSCRIPTION(T)                                                   \
    struct {                                                                   \
        weir_subscriber *subscriber;                                           \
        T *item[0];                                                            \
    }

typedef struct weir_broadcast_opts {
    size_t size;       /* set by the macro */
    const char *name;  /* for logs and metrics */
    uint32_t capacity; /* items kept; at least 1 */
    bool shared;       /* for tasks of every loop */
} weir_broadcast_opts;

/* What happens to a subscriber that is a whole capacity behind. */
typedef enum weir_slow {
    WEIR_SLOW_WAIT,   /* the sender waits for it */
    WEIR_DROP_OLDEST, /* it misses the oldest item: see weir_subscriber_missed() */
    WEIR_DISCONNECT   /* it is cut off, and gets WEIR_EFULL from then on */
} weir_slow;

typedef struct weir_subscribe_opts {
    size_t size; /* set by the macro */
    weir_slow slow;
} weir_subscribe_opts;

#define weir_broadcast_open(b, ...)                                            \
    weir_broadcast_new_opt(&(b)->chan, sizeof(*(b)->item[0]),                  \
                           &(weir_broadcast_opts){ .size = sizeof(weir_broadcast_opts), \
                                                   __VA_ARGS__ })
#define weir_subscribe(b, ret_subscription, ...)                               \
    weir_subscribe_opt(((void)sizeof((b).item[0] == (ret_subscription)->item[0]), (b).chan), \
                       &(ret_subscription)->subscriber,                        \
                       &(weir_subscribe_opts){ .size = sizeof(weir_subscribe_opts), \
                                               __VA_ARGS__ })
#define weir_broadcast(b, ...) \
    weir_broadcast_send((b).chan, WEIR_ITEM_(b, __VA_ARGS__), sizeof(*(__VA_ARGS__)))
#define weir_broadcast_recv(subscription, ...)                                 \
    weir_subscriber_recv((subscription).subscriber, WEIR_ITEM_(subscription, __VA_ARGS__), \
                         sizeof(*(__VA_ARGS__)))
#define weir_broadcast_try_recv(subscription, ...)                             \
    weir_subscriber_try_recv((subscription).subscriber, WEIR_ITEM_(subscription, __VA_ARGS__), \
                             sizeof(*(__VA_ARGS__)))
#define weir_missed(subscription) weir_subscriber_missed((subscription).subscriber)
#define weir_unsubscribe(subscription) weir_subscriber_end((subscription).subscriber)
#define weir_broadcast_close(b) weir_broadcast_end((b).chan)
#define weir_broadcast_free(b) weir_broadcast_destroy((b).chan)

/* Make a broadcast: for the current loop, or with .shared for all.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   -EINVAL         the capacity is 0
 *   -ENOMEM         no memory
 *   WEIR_EBUDGET    its queue would pass the byte budget
 * Ownership:  the caller frees *ret_chan with weir_broadcast_free().
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 3)
int weir_broadcast_new_opt(weir_broadcast_chan **ret_chan, size_t item_size,
                           const weir_broadcast_opts *opts);

/* Free a broadcast that nobody subscribes to or sends to any more.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  NULL is fine.
 * Thread:     its loop; any loop when it is shared.
 * Since:      0.1 */
WEIR_API void weir_broadcast_destroy(weir_broadcast_chan *chan);

/* No further items: subscribers receive what is kept for them and then 0, senders
 * get WEIR_ECLOSED. Closing twice is fine.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  takes nothing.
 * Thread:     its loop; any loop when it is shared.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) void weir_broadcast_end(weir_broadcast_chan *chan);

/* Send an item to all who subscribe now; waits while one with WEIR_SLOW_WAIT is a
 * whole capacity behind.
 *
 * Checkpoint: always.
 * Returns:    0, or
 *   WEIR_ECLOSED    it is closed
 *   -ETIMEDOUT      the deadline passed; nobody gets the item
 *   -ECANCELED      the scope was cancelled; nobody gets the item
 *   -EINVAL         item_size is not that of its items
 * Ownership:  the item is copied.
 * Thread:     a task of its loop; of any loop when it is shared.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_broadcast_send(weir_broadcast_chan *chan, const void *item, size_t item_size);

/* Subscribe to what is sent from here on.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   -ENOMEM         no memory
 *   WEIR_EBUDGET    it would pass the byte budget
 * Ownership:  the caller ends it with weir_unsubscribe().
 * Thread:     its loop; any loop when it is shared.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2, 3)
int weir_subscribe_opt(weir_broadcast_chan *chan, weir_subscriber **ret_subscriber,
                       const weir_subscribe_opts *opts);

/* End a subscription; no task may be waiting in it.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  frees subscriber; NULL is fine.
 * Thread:     its loop; any loop when it is shared.
 * Since:      0.1 */
WEIR_API void weir_subscriber_end(weir_subscriber *subscriber);

/* Receive the next item; waits for one.
 *
 * Checkpoint: always.
 * Returns:    1 with the item in *ret_item; 0 when the broadcast is closed and all
 *   was received; or
 *   WEIR_EFULL      it was too slow and was cut off (WEIR_DISCONNECT)
 *   -ETIMEDOUT      the deadline passed
 *   -ECANCELED      the scope was cancelled
 *   -EINVAL         item_size is not that of its items
 *   -EBUSY          another task is waiting in this subscription
 * Ownership:  the item is a copy.
 * Thread:     a task of its loop; of any loop when it is shared.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_subscriber_recv(weir_subscriber *subscriber, void *ret_item, size_t item_size);

/* Receive the next item if there is one now.
 *
 * Checkpoint: never.
 * Returns:    as weir_subscriber_recv(), and
 *   -EAGAIN         there is none yet
 * Ownership:  the item is a copy.
 * Thread:     its loop; any loop when it is shared.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_subscriber_try_recv(weir_subscriber *subscriber, void *ret_item, size_t item_size);

/* How many items it has missed right before the one that it received last
 * (WEIR_DROP_OLDEST).
 *
 * Checkpoint: never.
 * Returns:    the number of items.
 * Ownership:  takes nothing.
 * Thread:     its loop; any loop when it is shared.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) uint64_t weir_subscriber_missed(weir_subscriber *subscriber);

WEIR_END

#endif
