/* The runtime as the layers above see it: what net, guard, http and obs may use
 * besides the public headers.
 *
 * Two kinds of code run on a loop. Callbacks (an operation's done, a timer's
 * fire, a flush) run on the loop's own stack and never park. Tasks run on their
 * own stacks and park in rt_park(). Both may start tasks, wake tasks, submit
 * operations and set timers. */
#ifndef RT_RT_H
#define RT_RT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/chan.h>
#include <weir/run.h>
#include <weir/scope.h>
#include <weir/sync.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/chain.h"
#include "base/list.h"
#include "rt/backend.h"

struct fiber;
struct loop;
struct scope;

/* ---- the loop ----------------------------------------------------------- */

/* The loop this thread runs, or NULL. */
struct loop *loop_self(void);
/* The turn's time. */
int64_t loop_now_ns(const struct loop *loop);
/* The wall clock, in nanoseconds since 1970: for what is said, never for waits. */
int64_t loop_wall_ns(struct loop *loop);
uint32_t loop_index(const struct loop *loop);
struct buf_pool *loop_bufs(struct loop *loop);
struct arena_pool *loop_arenas(struct loop *loop);
uint64_t loop_random(struct loop *loop);
/* A place for one pointer a layer keeps on each loop (its slabs and tables); the
 * layer's done function is called when the loop ends. Keys are fixed: */
enum loop_local {
    LOOP_LOCAL_TLS, /* done last: others close their connections before */
    LOOP_LOCAL_NET,
    LOOP_LOCAL_DNS,
    LOOP_LOCAL_HTTP_SERVER,
    LOOP_LOCAL_HTTP_CLIENT,
    LOOP_LOCAL_WEB,
    LOOP_LOCAL_OBS,
    LOOP_LOCAL_GUARD,
    LOOP_LOCALS
};
void *loop_local(struct loop *loop, enum loop_local key);
void loop_local_set(struct loop *loop, enum loop_local key, void *value, void (*done)(void *value));

/* ---- input and output --------------------------------------------------- */

const struct io_ops *loop_io(struct loop *loop);
/* The backend's calls on the given loop, or those of the file's layer. */
static inline struct io_layer *io_layer_of(const struct io_file *file)
{
    return file ? file->layer : NULL;
}
static inline bool io_is_layered(const struct io_file *file)
{
    return file->layer != NULL;
}
static inline bool io_submit(struct loop *loop, struct io_op *op)
{
    struct io_layer *layer = io_layer_of(op->file);

    if (__builtin_expect(layer != NULL, 0))
        return layer->ops->submit(layer, op);
    return loop_io(loop)->submit(loop, op);
}
static inline void io_cancel(struct loop *loop, struct io_op *op)
{
    struct io_layer *layer = io_layer_of(op->file);

    if (__builtin_expect(layer != NULL, 0))
        layer->ops->cancel(layer, op);
    else
        loop_io(loop)->cancel(loop, op);
}
static inline int io_attach(struct loop *loop, struct io_file *file, int fd, bool listening)
{
    return loop_io(loop)->attach(loop, file, fd, listening);
}
static inline void io_detach(struct loop *loop, struct io_file *file, bool keep_open)
{
    if (__builtin_expect(file->layer != NULL, 0))
        file->layer->ops->detach(file->layer, file, keep_open);
    else
        loop_io(loop)->detach(loop, file, keep_open);
}
static inline int io_shutdown(struct loop *loop, struct io_file *file, int how)
{
    if (__builtin_expect(file->layer != NULL, 0))
        return file->layer->ops->shutdown(file->layer, how);
    return loop_io(loop)->shutdown(loop, file, how);
}
static inline void io_reset(struct loop *loop, struct io_file *file)
{
    if (__builtin_expect(file->layer != NULL, 0))
        file->layer->ops->reset(file->layer);
    else
        loop_io(loop)->reset(loop, file);
}
static inline bool io_is_dead(struct loop *loop, struct io_file *file)
{
    if (__builtin_expect(file->layer != NULL, 0))
        return file->layer->ops->is_dead(file->layer);
    return loop_io(loop)->is_dead(loop, file);
}
/* How many bytes of a pending send are gone. */
static inline size_t io_progress(const struct io_op *op)
{
    const struct io_layer *layer = io_layer_of(op->file);

    if (__builtin_expect(layer != NULL, 0))
        return layer->ops->progress(layer, op);
    return op->send.moved;
}

/* ---- timers ------------------------------------------------------------- */

/* Embedded in its owner. To the millisecond, never early. */
struct timer {
    struct node link;
    int64_t at_ns;  /* WEIR_NEVER_NS when not set */
    void (*fire)(struct timer *timer);
};

void timer_init(struct timer *timer, void (*fire)(struct timer *timer));
/* Setting a timer that is set moves it. */
void timer_set(struct loop *loop, struct timer *timer, int64_t at_ns);
void timer_clear(struct loop *loop, struct timer *timer);
static inline bool timer_is_set(const struct timer *timer)
{
    return timer->at_ns != WEIR_NEVER_NS;
}

/* ---- end of a turn ------------------------------------------------------ */

/* Work to be done once before the loop polls again: a connection's flush. It is
 * run after 64 tasks or 100 us of a turn, or at the turn's end. Queued at most
 * once; queueing it again is harmless. */
struct deferred {
    struct node link;
    void (*run)(struct deferred *work);
};
void deferred_init(struct deferred *work, void (*run)(struct deferred *work));
void loop_defer(struct loop *loop, struct deferred *work);
void loop_undefer(struct deferred *work);

/* ---- messages between loops --------------------------------------------- */

/* Intrusive, queued at most once each, never refused. */
struct message {
    struct message *_Atomic next;
    void (*run)(struct message *message); /* on the receiving loop's stack */
};
void loop_post(struct loop *loop, struct message *message); /* any thread */
struct loop *loop_at(uint32_t index);
uint32_t loop_count(void);

/* ---- waiting ------------------------------------------------------------ */

/* Waits that rt/wakers.h can say more of than what they are called. */
enum wait_kind {
    WAIT_OTHER,
    WAIT_LOCK,         /* a mutex or read-write lock */
    WAIT_JOIN,         /* for the children of a scope */
    WAIT_LIMIT,        /* for room in a scope */
    WAIT_UNIT,         /* of a semaphore */
    WAIT_SEND,         /* at a channel of the loop, or for room in it */
    WAIT_RECV,
    WAIT_SEND_SHARED,  /* at one of all loops: it stands in a struct parked */
    WAIT_RECV_SHARED,
    WAIT_SELECT,
    WAIT_BLOCK         /* for a blocking call; in a struct block_call */
};

/* How a parked task is woken: a stack variable of the waiting function.
 *
 * While it is parked, whoever has the result calls wait_wake(), once. A cancel
 * calls abandon instead: it must either take the wait out of every queue it is
 * in and call wait_wake(wait, code), or ask for that to happen later (a kernel
 * operation that is cancelled wakes the task through its done). */
struct wait {
    struct node link;          /* for the queue it waits in */
    struct fiber *fiber;
    void (*abandon)(struct wait *wait, int code);
    const char *what;          /* "receive", "lock": for whoever looks */
    const void *object;        /* what it waits on, for whoever looks */
    int64_t since_ns;          /* set when it parks */
    int rc;
    bool woken;
    bool ends_at_stop;         /* a source: a stop abandons it with code 0 */
    uint8_t kind;              /* enum wait_kind */
};

/* The check on entry of every checkpoint: 0, -ETIMEDOUT or -ECANCELED. */
int rt_check(void);
/* Every checkpoint that completed without parking calls this at its end: it
 * yields when the task has used up its budget of operations. */
void rt_spend(void);
/* Park the current task until wait_wake(); returns the code it was woken with. */
int rt_park(struct wait *wait);
/* A wait that a cancel must not end (the wait for a cancelled kernel
 * operation): the same, without abandon. */
int rt_park_shielded(struct wait *wait);
void wait_wake(struct wait *wait, int rc);

/* Submit op and wait for its end; a cancel is passed on and awaited. Returns
 * op->res; when cancelled before it moved anything, the scope's code. */
int rt_io(struct io_op *op, const char *what);

/* ---- tasks and scopes from callbacks ------------------------------------ */

/* What a connection gives to the scope that it starts a handler in. */
struct rt_spawn {
    const char *name, *site;
    struct arena *arena;           /* the exchange's: lent to the task and its children */
    const weir_context *context;
    int64_t deadline_ns;           /* WEIR_NEVER_NS: none of its own */
    bool background;               /* also where parent is not */
    /* Called on the loop when the task and all its scopes have ended: with the
     * result and its error chain (owned by the callee, may be NULL). */
    void (*ended)(void *arg, int rc, struct chain *chain);
    void *arg;
};

/* Start fn(arg) from the loop's stack or a task, in a scope of its own inside
 * parent: cancelled with rt_cancel(). A task that can't start is reported
 * through ended as well, from within this call. The returned scope is valid
 * until ended has been called; stale afterwards. */
weir_scope rt_spawn(weir_scope parent, weir_fn *fn, void *fn_arg, const struct rt_spawn *how);
void rt_cancel(weir_scope s, weir_reason reason, const char *origin);
/* The application's scope on a loop. */
weir_scope loop_app_scope(struct loop *loop);
/* Run fn when the application's scope on this loop is stopped (once, on the
 * loop's stack): for servers that must stop accepting. */
struct stop_hook {
    struct node link;
    void (*stop)(struct stop_hook *hook);
};
void loop_on_stop(struct loop *loop, struct stop_hook *hook);

/* The current task's arena; created for tasks that have none yet. NULL outside. */
struct arena *rt_arena(void);
/* Is a task running here (rather than a callback)? */
bool rt_in_task(void);
/* Name of the running task, for logs; "" outside. */
const char *rt_task_name(void);

/* A use of the library that is always a mistake of the program: stops a debug
 * build, is reported and counted by a release build. */
__attribute__((format(printf, 1, 2))) void rt_wrong_use(const char *fmt, ...);
/* Mistakes of the program that a release build has survived so far. */
uint32_t rt_wrong_uses(void);

/* ---- faults ------------------------------------------------------------- */

/* What a system call on a file is about to do; a wrong answer is the simulator's. */
enum rt_fault_kind { RT_FAULT_OPEN, RT_FAULT_READ, RT_FAULT_WRITE, RT_FAULT_SYNC };

extern _Thread_local int (*rt_fault_hook)(enum rt_fault_kind kind, size_t *len);

/* Call it right before the system call, on whatever thread: 0, or the errno value
 * to be taken instead of making the call (EINTR too). It may shorten *len, which
 * is NULL where there is no length. Always 0 outside a simulation. */
static inline int rt_fault(enum rt_fault_kind kind, size_t *len)
{
    return __builtin_expect(rt_fault_hook != NULL, 0) ? rt_fault_hook(kind, len) : 0;
}

/* ---- the whole runtime -------------------------------------------------- */

/* What programs do with signals: stop every loop's application scope; then
 * cancel. Any thread, also a signal handler. */
void rt_stop_all(void);
void rt_cancel_all(void);

#endif
