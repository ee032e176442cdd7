/* Watch: the last value of something that changes (a configuration, a state), and a
 * wait for the next. Values in between are passed over.
 *
 *     typedef WEIR_WATCH(struct limits) limits_watch;
 *     typedef WEIR_WATCHER(struct limits) limits_watcher;
 *
 *     rc = weir_watch_open(&limits, &first, .shared = true);
 *     weir_watch_from(limits, &mine);
 *     while ((rc = weir_changed(&mine, &now)) > 0)
 *         …
 *     rc = weir_update(limits, &(struct limits){ … });
 *     weir_watch_free(limits);
 *
 * A watcher is a place in the sequence of values: each has its own. (The first value,
 * written in place with commas in it, needs parentheses around.) */
#ifndef WEIR_WATCH_H
#define WEIR_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/chan.h>
#include <weir/export.h>

WEIR_BEGIN

typedef struct weir_watch weir_watch;

/* The types for values of type T (C only). */
#define WEIR_WATCH(T)                                                          \
    struct {                                                                   \
        weir_watch *watch;                                                     \
        T *item[0];                                                            \
    }
#define WEIR_WATCHER(T)                                                        \
    struct {                                                                   \
        weir_watch *watch;                                                     \
        uint64_t seen;                                                         \
        T *item[0];                                                            \
    }

typedef struct weir_watch_opts {
    size_t size;      /* set by the macro */
    const char *name; /* for logs and metrics */
    bool shared;      /* for tasks of every loop */
} weir_watch_opts;

#define weir_watch_open(w, first, ...)                                         \
    weir_watch_new_opt(&(w)->watch, WEIR_ITEM_(*(w), first), sizeof(*(first)), \
                       &(weir_watch_opts){ .size = sizeof(weir_watch_opts), __VA_ARGS__ })
#define weir_update(w, ...) \
    weir_watch_set((w).watch, WEIR_ITEM_(w, __VA_ARGS__), sizeof(*(__VA_ARGS__)))
#define weir_latest(w, ...) \
    weir_watch_get((w).watch, WEIR_ITEM_(w, __VA_ARGS__), sizeof(*(__VA_ARGS__)))
/* Watch from the present value on, which counts as seen. */
#define weir_watch_from(w, ret_watcher)                                        \
    ((void)sizeof((w).item[0] == (ret_watcher)->item[0]),                      \
     (ret_watcher)->watch = (w).watch,                                         \
     (ret_watcher)->seen = weir_watch_version((w).watch))
#define weir_changed(watcher, ...)                                             \
    weir_watch_changed((watcher)->watch, WEIR_ITEM_(*(watcher), __VA_ARGS__),  \
                       sizeof(*(__VA_ARGS__)), &(watcher)->seen)
#define weir_watch_close(w) weir_watch_end((w).watch)
#define weir_watch_free(w) weir_watch_destroy((w).watch)

/* Make a watch with its first value: for the current loop, or with .shared for all.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   -ENOMEM         no memory
 *   WEIR_EBUDGET    it would pass the byte budget
 * Ownership:  the caller frees *ret_watch with weir_watch_free().
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2, 4)
int weir_watch_new_opt(weir_watch **ret_watch, const void *first, size_t item_size,
                       const weir_watch_opts *opts);

/* Free a watch; no task may be waiting in it.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  NULL is fine.
 * Thread:     its loop; any loop when it is shared.
 * Since:      0.1 */
WEIR_API void weir_watch_destroy(weir_watch *watch);

/* No further values: watchers that have seen the last get 0. Closing twice is fine.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  takes nothing.
 * Thread:     its loop; any loop when it is shared.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) void weir_watch_end(weir_watch *watch);

/* Set the value, and wake all who wait for a newer one.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   WEIR_ECLOSED    it is closed
 *   -EINVAL         item_size is not that of its values
 * Ownership:  the value is copied.
 * Thread:     its loop; any loop when it is shared.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_watch_set(weir_watch *watch, const void *item, size_t item_size);

/* The value as it is now.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   -EINVAL         item_size is not that of its values
 * Ownership:  *ret_item is a copy.
 * Thread:     its loop; any loop when it is shared.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_watch_get(weir_watch *watch, void *ret_item, size_t item_size);

/* Which value it is, from 1.
 *
 * Checkpoint: never.
 * Returns:    the number of values so far.
 * Ownership:  takes nothing.
 * Thread:     its loop; any loop when it is shared.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) uint64_t weir_watch_version(weir_watch *watch);

/* Wait for a value that is newer than *seen.
 *
 * Checkpoint: always.
 * Returns:    1 with the last value in *ret_item, and *seen brought up to it; 0 when
 *   the watch is closed and *seen is the last; or
 *   -ETIMEDOUT      the deadline passed
 *   -ECANCELED      the scope was cancelled
 *   -EINVAL         item_size is not that of its values
 * Ownership:  *ret_item is a copy.
 * Thread:     a task of its loop; of any loop when it is shared.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2, 4)
int weir_watch_changed(weir_watch *watch, void *ret_item, size_t item_size, uint64_t *seen);

WEIR_END

#endif
