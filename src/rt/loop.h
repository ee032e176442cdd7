/* The runtime's own structures; nothing above rt includes this.
 *
 * A loop owns its tasks, scopes, fibers, stacks and timers. Only its thread
 * touches them, but for the inbox, the submission queue and the flags that are
 * marked atomic.
 *
 *   task    what was started: identity, place in a scope, result. Small, because
 *           a task that has not run, or is kept for its result, is only that.
 *   fiber   a stack with a context on it; bound to a task at its first run. It
 *           stands at the top of its own stack, and is reused for the next task.
 *   scope   see weir/scope.h.
 *
 * A task's life: QUEUED (no fiber; in the ready queue, or in the queue of the
 * semaphore it needs) -> RUNNING <-> READY | PARKED -> ENDED. One that runs on
 * another loop is AWAY meanwhile: see spread.c. */
#ifndef RT_LOOP_H
#define RT_LOOP_H

#include <pthread.h>

#include "base/alloc.h"
#include "base/slab.h"
#include "base/ticks.h"
#include "rt/record.h"
#include "rt/rt.h"
#include "rt/sanitizer.h"
#include "rt/stack.h"
#include "rt/wheel.h"

#define RT_BATCH_TASKS 64          /* run between two flushes of output */
#define RT_TURN_NS 100000          /* then the loop looks for input again */
#define RT_BACKGROUND_NS 25000     /* background tasks run, then input is looked for */
#define RT_BACKGROUND_DEBT_NS 100000000 /* after one long step, at most */
#define RT_BACKGROUND_CREDIT_NS 1000000
#define RT_BUDGET 128              /* operations a task may do before it yields */
#define RT_SPENT_TASKS 7           /* of a batch, that it then takes besides its own */
#define RT_SUBMISSIONS_MAX 1024
#define RT_LOOPS_MAX 256
#define HANDLE_LOOP_SHIFT 24        /* generations begin at the loop's index above it */
#define RT_FIBERS_KEPT 64          /* idle stacks that are never trimmed away */
#define RT_TRIM_NS 1000000000      /* between two trims of what is kept for reuse */
#define RT_TRIM_FIBERS 512         /* stacks given back in one trim */

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* A place that can be switched to. */
struct context {
    void *sp;
#ifdef CONTEXT_ASAN
    void *fake_stack;
    const void *stack_low;
    size_t stack_bytes;
#endif
#ifdef CONTEXT_TSAN
    void *tsan_fiber;
#endif
};

/* A wait for a task's end, among the arms of a select. */
struct done_wait {
    struct done_wait *next;
    struct parked *parked;
    int arm;
};

enum task_state { TASK_QUEUED, TASK_READY, TASK_RUNNING, TASK_PARKED, TASK_AWAY, TASK_ENDED };

enum {
    TASK_OPTIONAL = 1,
    TASK_HOLD = 2,
    TASK_HAS_UNIT = 4,   /* the unit it needs is its own: given back at its end */
    TASK_IN_QUEUE = 8,   /* waits in a semaphore's queue without a stack */
    TASK_ALWAYS = 16,    /* runs even when its scope was cancelled first */
    TASK_SPREAD = 32,    /* may run on another loop */
    TASK_BACKGROUND = 128
};

/* What few tasks have. */
struct task_extra {
    struct slab_head head;
    struct spread_job *spread; /* or NULL */
    const char *name;
    weir_semaphore *needs;
    void (*drop)(void *arg); /* see weir_go_opts */
    weir_chan *holds[2];     /* by end; or NULL */
};

struct task {
    struct slab_head head;
    struct node link;    /* ready, in the queue of a semaphore, or at a scope's limit */
    struct node sibling; /* in its scope */
    struct scope *scope;
    union {
        struct {
            weir_fn *fn;
            void *arg;
        } start;            /* QUEUED */
        struct {
            struct fiber *fiber; /* from RUNNING to ENDED */
            int64_t begun_ns;    /* its first run */
        };
    };
    const char *site;         /* "file.c:12 function" */
    struct task_extra *extra; /* or NULL */
    struct done_wait *done_waits;
    int rc;
    uint8_t state, flags;
};

#define HELD_NAMED 8

/* A lock that a task holds, and the code that took it. */
struct held_lock {
    const void *lock, *taken_at;
};

struct fiber {
    struct context context;
    struct chain *chain;
    struct task *task;
    struct scope *scope; /* the innermost open one */
    struct wait *wait;   /* while PARKED */
    struct arena *arena; /* the current one; may be own */
    struct arena own;
    struct fiber *next_idle; /* in the loop's cache */
    char *stack_low;
    weir_fn *fn;
    void *arg;
    uint32_t budget;
    uint32_t locks_held;
    bool canary; /* at the low end of its stack: looked at after each switch */
    uint8_t held_named;
    struct held_lock held[HELD_NAMED]; /* as many of locks_held as fit */
};

enum {
    SCOPE_SHIELD = 1,
    SCOPE_SPAWNED = 2,  /* by rt_spawn: ends by itself with its only child */
    SCOPE_APP = 4,      /* a child's failure is reported, and cancels nobody */
    SCOPE_UNJOINED = 8, /* children were started since the last join */
    SCOPE_STOPPING = 16,
    SCOPE_OWN_DEADLINE = 32, /* its own deadline fired */
    SCOPE_COLLECT = 64,      /* a child's failure cancels nobody */
    SCOPE_RACE = 128,        /* the same; the first success wins, and cancels the rest */
    SCOPE_WON = 256,         /* winner and winner_rc are set */
    SCOPE_BACKGROUND = 512   /* its children are TASK_BACKGROUND */
};

struct scope {
    struct slab_head head;
    struct loop *loop;
    struct scope *parent;
    struct node sibling;  /* in the parent's scopes */
    struct node scopes;   /* opened inside it */
    struct node tasks;    /* children that have not ended */
    struct node held;     /* children kept for weir_result() */
    uint32_t live;        /* children that have not ended */
    uint32_t limit;
    uint32_t locks_held;  /* by its opener, when it was opened */
    uint32_t gave_up;     /* required children that the scope's cancel ended */
    uint32_t failed;      /* children that ended with a failure, also optional ones */
    uint32_t grace_ms;
    int64_t deadline_ns;  /* the nearest: its own, or inherited */
    int64_t own_deadline_ns;
    int64_t opened_ns;
    struct timer timer;   /* its own deadline, or the end of the grace */
    int cancel_code;      /* 0 while it is not cancelled */
    int64_t cancelled_ns;
    int first_rc;         /* first failure of a required child */
    const char *first_site; /* where that child was started; NULL: a cancel was there first */
    int winner_rc;
    weir_task winner;
    uint16_t flags;
    uint8_t reason;
    const char *origin;   /* where its cancel began */
    const char *name, *site;
    struct chain *first_chain;
    struct fiber *opener; /* NULL: the loop itself */
    struct wait *opener_wait; /* the opener in join or close */
    struct node limit_waits;  /* tasks in weir_go() at the limit, by link */
    const weir_context *context;
    struct arena *arena;  /* lent to its children; NULL: each has its own */
    void (*ended)(void *arg, int rc, struct chain *chain);
    void *ended_arg;
    weir_failure_fn *on_failure;
    void *failure_arg;
};

/* Tasks that are ready, linked by link.next alone: a queue is all it takes, as a
 * ready task is never taken out of turn. When there are many, far and near go
 * CONTEXT_FAR and CONTEXT_NEAR places ahead of first, to fetch what the tasks
 * there will be switched to on; far is NULL otherwise. */
struct ready {
    struct node *first, **last;
    struct node *near, *far;
    uint32_t pushed, popped; /* popped is brought up to date after each batch */
};

/* Ready tasks of background scopes: they run between two batches of the others. */
struct background {
    struct ready ready;
    int64_t debt_ns; /* what the others are to have before it is their turn again;
                        below 0: they have had more, and these may have that much more */
};

struct submission {
    weir_fn *fn;
    void *arg;
};

#define LOOP_LIVES 256

/* What is known of how long tasks of a kind live; see lives.h. */
struct life {
    const char *site; /* NULL: nothing */
    int64_t mean_ns;
    uint32_t count;
};

#define PULSE_LENGTHS 48

/* How a loop turns: written by its thread, read by anybody. A turn is what stands
 * between two looks for input. */
struct pulse {
    _Atomic uint64_t began;  /* the turn that goes on, in ticks; 0: the loop waits */
    _Atomic uint64_t turns, busy_ticks;
    _Atomic uint64_t lengths[PULSE_LENGTHS]; /* turns of 2^n ticks and up, to 2^(n + 1) */
};

struct loop {
    struct fiber *current;  /* the running task's, or NULL on the loop's stack */
    int64_t now_ns;
    struct ready ready;
    int32_t batch_left;     /* tasks that may still run before the loop's turn */
    struct context context; /* the loop's own stack */
    struct node deferred;
    struct wheel wheel;
    struct fiber *idle_fibers;
    uint32_t idle_fiber_count, idle_fiber_low; /* low: fewest since the last trim */
    struct timer trim;
    struct stacks stacks;
    struct slab tasks, scopes, extras;
    struct scope *app;
    struct buf_pool bufs;
    struct arena_pool arenas;

    const struct io_ops *ops;
    void *backend;          /* its own */
    uint32_t index;
    struct recorder *recorder; /* or NULL: it is off */
    struct node queues;     /* that are its own */
    struct pulse pulse;

    struct spread *spread;  /* spread.c's */
    struct background background;

    weir_fn *call_fn;       /* weir_on_loop_stack */
    void *call_arg;
    struct fiber *call_from;
    int call_rc;

    struct timer grace;     /* between stop and cancel, at the end */
    struct node stop_hooks;
    uint32_t select_turn;   /* scatters where selects begin */
    struct parked *delayed; /* tasks of other loops, to be woken at the end of the batch */
    struct deferred wake_delayed;
    bool ending;            /* ends when the application's scope is empty */
    bool permute;           /* the simulator: ready tasks run in random order */
    void (*wait_hook)(struct loop *loop, struct wait *wait); /* tests: at each wait */
    void *hook_arg;

    struct {
        void *value;
        void (*done)(void *value);
    } locals[LOOP_LOCALS];

    _Atomic(struct message *) inbox;
    atomic_bool asleep;     /* in, or about to enter, a wait */
    atomic_uint requests;   /* LOOP_STOP, LOOP_CANCEL: from signal handlers */
    struct message submit_message;
    atomic_bool submit_posted;
    pthread_mutex_t submit_lock;
    struct submission *submissions; /* a ring */
    uint32_t submit_first, submit_count, submit_high;
    uint64_t submit_refused;
    bool submit_closed;
    pthread_t thread;

    /* For who watches over it: while a thread turns it, or may (0: none does, or it is
     * simulated), and where that thread's stack ends. */
    atomic_int thread_id;
    const char *_Atomic stack_high;
    atomic_bool over; /* nobody turns it any more */

    struct life lives[LOOP_LIVES];
};

enum { LOOP_STOP = 1, LOOP_CANCEL = 2 };

extern _Thread_local struct loop *loop_current;

/* loop.c */
int loop_init(struct loop *loop, uint32_t index, const struct io_ops *ops, void *backend);
void loop_done(struct loop *loop);
/* This thread (or, in a simulation, its next stretch) is the loop's. */
void loop_adopt_thread(struct loop *loop);
/* From here on this thread can be watched, on whose stack the loop's begins at high. */
void loop_show_thread(struct loop *loop, const char *high);
void loop_hide_thread(struct loop *loop);
/* One turn: input, messages, timers, tasks, output. Waits when there is nothing
 * to do and may_wait. */
void loop_turn(struct loop *loop, bool may_wait);
/* Is there nothing to run now? */
bool loop_quiet(struct loop *loop);
/* When its next timer is due, or WEIR_NEVER_NS. */
int64_t loop_next_timer_ns(struct loop *loop);
bool loop_finished(struct loop *loop);
void loop_end(struct loop *loop, uint32_t grace_ms);
void loop_run(struct loop *loop);

static inline bool ready_empty(const struct loop *loop)
{
    return loop->ready.first == NULL;
}

static inline void ready_append(struct ready *ready, struct task *task)
{
    task->link.next = NULL;
    ready->pushed++;
    *ready->last = &task->link;
    ready->last = &task->link.next;
}

static inline void ready_push(struct loop *loop, struct task *task)
{
    if (unlikely(task->flags & TASK_BACKGROUND))
        ready_append(&loop->background.ready, task);
    else
        ready_append(&loop->ready, task);
}

#ifndef WEIR_INVISIBLE
#define VISIBLE 1
#else
#define VISIBLE 0
#endif

/* A turn begins: what the loop waited for is there. Backends say so before they hand
 * anything on. */
static inline void loop_awake(struct loop *loop)
{
    if (VISIBLE)
        atomic_store_explicit(&loop->pulse.began, ticks_now(), memory_order_relaxed);
}

/* An event of this loop, on its own thread; task may be NULL. */
static inline void loop_record(struct loop *loop, enum record_kind kind, const struct task *task,
                               const char *what, int32_t value)
{
    if (VISIBLE && unlikely(loop->recorder != NULL))
        recorder_add(loop->recorder, kind, task ? task->head.slot : 0,
                     task ? task->head.generation : 0, what, value);
}

/* fiber.c */
struct fiber *fiber_current(void);
void fiber_run_tasks(struct loop *loop);  /* on the loop's stack: one batch */
/* The same for one task of the background's queue, which must not be empty. */
void fiber_run_background(struct loop *loop);
void fiber_yield_to_next(struct loop *loop);
/* Give back stacks that were not needed since the last call. */
void fiber_cache_trim(struct loop *loop);
void fiber_cache_done(struct loop *loop);

/* task.c */
struct task *task_new(struct scope *scope, weir_fn *fn, void *arg, const char *site);
void task_ran(struct fiber *fiber, int rc); /* its function has returned */
/* A task that has not started, and never will, ends with this code. */
void task_end_queued(struct task *task, int rc);
/* Is this the success of a child that comes too late, and that it is to dispose of? */
bool task_drops(const struct task *task, int rc);
/* It has a unit of this semaphore, as if it had been started with .needs. 0 or -ENOMEM. */
int task_give_unit(struct task *task, weir_semaphore *semaphore);
struct task *task_find(weir_task handle);
weir_task task_handle(const struct task *task);
const char *task_name(const struct task *task);
/* Must a task that has not started end instead, with *ret_code? */
static inline bool task_is_late(struct task *task, int *ret_code);
/* There is no such scope or task on this loop: because it is another one's? */
void handle_check_loop(const char *what, uint32_t slot, uint32_t generation);
/* The class of work that children of a scope belong to. */
static inline uint8_t task_class(const struct scope *scope)
{
    return (uint8_t)(scope->flags / (SCOPE_BACKGROUND / TASK_BACKGROUND) & TASK_BACKGROUND);
}

/* scope.c */
struct scope *scope_new(struct loop *loop, struct scope *parent);
struct scope *scope_find_any(weir_scope handle);
weir_scope scope_handle(const struct scope *scope);
void scope_free(struct scope *scope);
/* Prepare a scope for rt_spawn(). */
void scope_init_spawned(struct scope *scope, const struct rt_spawn *how);
int scope_check_slow(struct scope *scope);
void scope_cancel(struct scope *scope, int code, weir_reason reason, const char *origin);
void scope_stop(struct scope *scope);
/* A child has ended: account for its result; chain is the scope's to keep. */
void scope_child_ended(struct scope *scope, struct task *task, struct chain *chain);

/* The scope, or NULL when it has ended; most often it is the innermost one. */
static inline struct scope *scope_find(weir_scope handle)
{
    struct loop *loop = loop_current;

    if (likely(loop && loop->current)) {
        struct scope *scope = loop->current->scope;

        if (scope->head.slot == handle.slot && scope->head.generation == handle.generation)
            return scope;
    }
    return scope_find_any(handle);
}

static inline int scope_check(struct scope *scope)
{
    if (likely(scope->cancel_code == 0 && scope->deadline_ns > scope->loop->now_ns))
        return 0;
    return scope_check_slow(scope);
}

static inline bool task_is_late(struct task *task, int *ret_code)
{
    *ret_code = scope_check(task->scope);
    return unlikely(*ret_code < 0) && !(task->flags & TASK_ALWAYS);
}

/* semaphore.c */
/* Give a task that has not started its unit (1), or queue it for one (0);
 * WEIR_EFULL when the queue is full. */
int semaphore_start(weir_semaphore *semaphore, struct task *task);
/* Take a queued task out; it is ready afterwards, to end. */
void semaphore_leave(struct task *task);
/* Give back a unit that a child was started with. */
void semaphore_give(weir_semaphore *semaphore);
/* How many tasks wait for a unit, on all loops. Any thread. */
uint32_t semaphore_waiting(const weir_semaphore *semaphore);
const char *semaphore_name(const weir_semaphore *semaphore);
/* Whoever has a unit is known by other means than .owned. */
void semaphore_account(weir_semaphore *semaphore);
/* How many units there are, if none is free and whoever has one is known; else 0. */
uint32_t semaphore_accounted(const weir_semaphore *semaphore);

/* embed.c */
/* Is this the thread that turns the first loop from outside? It must not wait for it. */
bool embed_is_here(void);

/* block.c */
struct block_call;
struct block_job {
    struct message message;
    struct node link;
    struct loop *loop;
    struct block_call *call; /* its caller's */
    struct weir_threads *pool;
    weir_fn *fn;
    void *arg;
    void (*abandon)(void *arg); /* NULL: its caller stays */
    const weir_context *context;
    int64_t deadline_ns, queued_ns;
    const char *name, *site; /* for whoever looks: the call's; its task's */
    struct chain *chain; /* its error chain, handed to the caller */
    int rc;
    bool started;
    bool ended, abandoned; /* with abandon: which was first */
    const void *_Atomic calls; /* its thread waits for this call of a loop; or NULL */
};
/* The thread, if it runs a job, waits for a call of a loop until call is NULL. */
void block_note_call(const void *call);
/* Run the job on this thread; its result is in job->rc. */
void block_run(struct block_job *job);
/* It has ended: tell its caller, or dispose of it. */
void block_report(struct block_job *job);
int block_call_on(struct weir_threads *pool, weir_fn *fn, void *arg,
                  const struct weir_block_opts *opts);
void block_pools_open(const weir_run_opts *opts, uint32_t cores);
void block_pools_close(void);
const weir_context *block_context(void);
int64_t block_deadline_ns(void);

/* run.c */
const weir_run_opts *runtime_opts(void);
/* Which run of the runtime in this process it is, from 1. */
uint32_t runtime_number(void);
/* Begin the one runtime of the process, with its loops on this backend and fn as
 * the first task of the first. 0, or the failure, with nothing left to end. */
int runtime_start(weir_fn *fn, void *arg, const weir_run_opts *opts, const struct io_ops *ops,
                  void *backend);
/* Start the threads of all loops but the first. Returns how many loops have one, the
 * first counted; on failure (*ret_rc) all are cancelled, and still to be run. */
uint32_t runtime_begin(int *ret_rc);
void runtime_join(uint32_t started);
/* Every loop is to end: drain, and after the grace cancel. */
void runtime_end_all(void);
/* End it when no loop is turned any more. Returns rc if it is a failure, else what
 * fn returned; fn's error chain is the caller's. */
int runtime_end(int rc);
/* A loop, held against the end of the runtime until runtime_leave(), for threads that
 * may outlive it. NULL with -EINVAL (no such loop) or -ECANCELED: there is no runtime,
 * or (run not 0) another one. */
struct loop *runtime_enter(uint32_t index, uint32_t run, int *ret_rc);
void runtime_leave(void);
/* Have fn called, on any thread, when a loop has been turned for the last time, which is
 * over from then on, and with NULL when none of the run is there any more. */
typedef void loop_over_fn(const struct loop *loop, uint32_t run);
void runtime_on_over(loop_over_fn *fn);
/* Tell it. */
void runtime_tell_over(const struct loop *loop);

/* submit.c */
/* No submission from other threads is taken any more. */
void loop_close_submissions(struct loop *loop);
void submit_run(struct message *message);
/* The loop will never turn again: whoever still waits for it is told. */
void submit_refuse(struct loop *loop);

/* A child of an application's scope has failed, and nobody joins it. */
void rt_report_unjoined(const struct task *task, int rc, const struct chain *chain);

#endif
