/* The whole runtime: its loops and their threads, from start to end.
 *
 * There is one runtime a process at a time. The first loop runs on the caller's
 * thread, with fn as its first task; when that ends, every loop is told to end:
 * stop, grace, cancel, and out when its application's scope is empty.
 *
 * runtime_start() and runtime_end() stand around whatever turns the loops:
 * threads here, one thread under a virtual clock in the simulator. */
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "rt/alt_stack.h"
#include "rt/backend_choice.h"
#include "rt/loop.h"
#include "rt/raw.h"
#include "rt/overflow.h"
#include "rt/unseen.h"

#define RUN_GRACE_MS 10000
#define RUN_BACKGROUND_PERCENT 12
#define RUN_BLOCK_THREADS 16
#define RUN_BLOCK_QUEUE 1024

static struct runtime {
    weir_run_opts opts;
    struct loop *loops;
    atomic_uint count; /* of loops that are whole */
    struct message *end_messages;
    atomic_bool ending; /* they were posted */
    uint32_t number; /* of this run; from 1 */
    atomic_uint wrong_uses;
    weir_fn *fn;
    void *arg;
    int rc;
    struct chain *chain; /* fn's */
    struct task *first;  /* that runs fn; NULL once it has begun */
    pthread_rwlock_t gate; /* who looks at the loops from outside holds it */
    _Atomic(loop_over_fn *) on_over;
} runtime = { .gate = PTHREAD_RWLOCK_INITIALIZER };

const void *const runtime_places[2] = { &runtime.loops, &runtime.count };
/* Nothing in the program reads the layout; whoever links the runtime has it. */
__attribute__((used)) static const struct raw_layout *const linked_layout = &raw_layout;

const weir_run_opts *runtime_opts(void)
{
    return &runtime.opts;
}

uint32_t runtime_number(void)
{
    return runtime.number;
}

uint32_t loop_count(void)
{
    return runtime.count;
}

struct loop *loop_at(uint32_t index)
{
    return index < runtime.count ? &runtime.loops[index] : NULL;
}

struct loop *runtime_enter(uint32_t index, uint32_t run, int *ret_rc)
{
    uint32_t count;

    pthread_rwlock_rdlock(&runtime.gate);
    count = runtime.count;
    *ret_rc = -EINVAL;
    if (count == 0 || (run != 0 && run != runtime.number))
        *ret_rc = -ECANCELED;
    else if (index < count)
        return &runtime.loops[index];
    pthread_rwlock_unlock(&runtime.gate);
    if (*ret_rc == -EINVAL)
        weir_fail(-EINVAL, "there is no loop %u: the runtime has %u, counted from 0", index, count);
    return NULL;
}

void runtime_leave(void)
{
    pthread_rwlock_unlock(&runtime.gate);
}

void runtime_on_over(loop_over_fn *fn)
{
    atomic_store(&runtime.on_over, fn);
}

void runtime_tell_over(const struct loop *loop)
{
    loop_over_fn *fn = atomic_load(&runtime.on_over);

    if (fn)
        fn(loop, runtime.number);
}

uint32_t weir_loops(void)
{
    return runtime.count;
}

uint32_t weir_loop_index(void)
{
    return loop_current ? loop_current->index : 0;
}

/* ---- the end of all loops ------------------------------------------------------ */

static void end_here(struct message *message)
{
    (void)message;
    loop_end(loop_current, runtime.opts.grace_ms);
}

void runtime_end_all(void)
{
    if (atomic_exchange(&runtime.ending, true))
        return;
    for (uint32_t i = 0; i < runtime.count; i++) {
        runtime.end_messages[i].run = end_here;
        loop_post(&runtime.loops[i], &runtime.end_messages[i]);
    }
}

/* ---- reports ------------------------------------------------------------------- */

void rt_wrong_use(const char *fmt, ...)
{
    va_list args;

    atomic_fetch_add(&runtime.wrong_uses, 1);
    fputs("weir: wrong use: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
#ifdef WEIR_DEBUG
    abort();
#endif
}

uint32_t rt_wrong_uses(void)
{
    return atomic_load(&runtime.wrong_uses);
}

void handle_check_loop(const char *what, uint32_t slot, uint32_t generation)
{
    if (slot == 0)
        return;
    if (!loop_current) {
        rt_wrong_use("a %s's handle is used on a thread that runs no loop: only tasks of its loop "
                     "can use it; a task that weir_remote_call() starts there may do this",
                     what);
        return;
    }
#ifdef WEIR_DEBUG
    /* Not in a release build: after 2^23 uses of one slot a stale handle looks the same. */
    if (generation >> HANDLE_LOOP_SHIFT != loop_current->index &&
        generation >> HANDLE_LOOP_SHIFT < runtime.count)
        rt_wrong_use("a %s of loop %u is used on loop %u: its handle means nothing there; give a "
                     "task that runs on another loop (.spread, weir_go_on()) copies of what it "
                     "needs, and let its result, or a channel with .shared, bring back the rest",
                     what, generation >> HANDLE_LOOP_SHIFT, loop_current->index);
#else
    (void)generation;
#endif
}

void rt_report_unjoined(const struct task *task, int rc, const struct chain *chain)
{
    const struct unseen unseen = { .code = rc,
                                   .task = task_name(task),
                                   .site = task && task->site ? task->site : "",
                                   .scope = loop_current->app,
                                   .chain = chain };

    if (task && task == runtime.first) {
        runtime.first = NULL;
        runtime.rc = rc;
        runtime_end_all();
    } else {
        unseen_failure(&unseen);
    }
}

/* ---- stop and cancel from anywhere --------------------------------------------- */

static void request_all(unsigned requests)
{
    int saved = errno; /* in a signal handler it is another's */

    for (uint32_t i = 0; i < atomic_load(&runtime.count); i++) {
        struct loop *loop = &runtime.loops[i];

        atomic_fetch_or(&loop->requests, requests);
        loop->ops->wake(loop);
    }
    errno = saved;
}

void rt_stop_all(void)
{
    request_all(LOOP_STOP);
}

void rt_cancel_all(void)
{
    request_all(LOOP_STOP | LOOP_CANCEL);
}

/* ---- what the process may use --------------------------------------------------- */

static uint64_t read_number(const char *path, const char *format, uint64_t *ret_second)
{
    uint64_t first = 0;
    FILE *file = fopen(path, "re");
    int got;

    if (!file)
        return 0;
    got = fscanf(file, format, &first, ret_second);
    fclose(file);
    return got >= 1 ? first : 0;
}

/* Processors by affinity, and by the control group's CPU quota, rounded up. */
static uint32_t cores_allowed(void)
{
    uint64_t period = 0, quota = read_number("/sys/fs/cgroup/cpu.max", "%lu %lu", &period);
    cpu_set_t set;
    uint64_t cores = 1;

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        cores = (uint64_t)CPU_COUNT(&set);
    if (quota > 0 && period > 0 && (quota + period - 1) / period < cores)
        cores = (quota + period - 1) / period;
    return cores < 1 ? 1 : cores > RT_LOOPS_MAX ? RT_LOOPS_MAX : (uint32_t)cores;
}

static uint64_t memory_allowed(void)
{
    uint64_t none, group = read_number("/sys/fs/cgroup/memory.max", "%lu%lu", &none);
    uint64_t total = read_number("/proc/meminfo", "MemTotal: %lu%lu", &none) * 1024;

    return group > 0 && (group < total || total == 0) ? group : total;
}

static int fill_opts(const weir_run_opts *opts)
{
    weir_run_opts *own = &runtime.opts;

    *own = *opts;
    if (own->loops > RT_LOOPS_MAX)
        return weir_fail(-EINVAL, "%u loops are over the limit of %u", own->loops, RT_LOOPS_MAX);
    if (own->loops == 0)
        own->loops = cores_allowed();
    if (own->stack_bytes == 0)
        own->stack_bytes = STACK_BYTES_DEFAULT;
    if (own->stack_bytes < 65536 || own->stack_bytes > 1u << 26 || own->stack_bytes % 65536)
        return weir_fail(-EINVAL,
                         "stack_bytes is %u: it must be a multiple of 65536, at most "
                         "64 MiB",
                         own->stack_bytes);
    if (own->background_percent > 100)
        return weir_fail(-EINVAL, "background_percent is %u: it must be 1 to 100",
                         own->background_percent);
    if (own->background_percent == 0)
        own->background_percent = RUN_BACKGROUND_PERCENT;
    if (own->grace_ms == 0)
        own->grace_ms = RUN_GRACE_MS;
    if (own->block_threads == 0)
        own->block_threads = RUN_BLOCK_THREADS;
    if (own->block_queue == 0)
        own->block_queue = RUN_BLOCK_QUEUE;
    if (own->byte_budget == 0)
        own->byte_budget = memory_allowed() / 10 * 8;
    budget_set(own->byte_budget);
    return 0;
}

/* ---- start and end --------------------------------------------------------------- */

static int run_first(void *arg)
{
    (void)arg;
    runtime.first = NULL;
    if (runtime.rc == 0) /* else a loop could not be started */
        runtime.rc = runtime.fn(runtime.arg);
    /* Its failure is weir_run()'s result, and its chain the caller's. */
    if (!runtime.chain && runtime.rc < 0) {
        runtime.chain = loop_current->current->chain;
        loop_current->current->chain = NULL;
    }
    runtime_end_all();
    return 0;
}

/* Start a task in a loop's application scope before the loop turns; NULL without
 * memory. */
static struct task *start_task(struct loop *loop, weir_fn *fn, void *arg, const char *site)
{
    struct task *task = task_new(loop->app, fn, arg, site);

    if (task) {
        task->flags |= TASK_ALWAYS;
        ready_push(loop, task);
    }
    return task;
}

static void loop_thread_run(struct loop *loop)
{
    struct alt_stack stack;

    loop_adopt_thread(loop);
    alt_stack_begin(&stack);
    overflow_watch();
    loop_show_thread(loop, __builtin_frame_address(0));
    loop_run(loop);
    loop_close_submissions(loop);
    /* A task may have been submitted meanwhile: it runs, and sees the cancel. */
    loop_run(loop);
    loop_hide_thread(loop);
    alt_stack_end(&stack);
    if (loop->ops->leave)
        loop->ops->leave(loop);
}

static void *loop_thread(void *arg)
{
    loop_thread_run(arg);
    return NULL;
}

static int start_failed(int rc, uint32_t loop)
{
    if (rc == -EMFILE || rc == -ENFILE)
        weir_wrap(rc, "a loop needs descriptors of its own: raise the limit of open files "
                      "(ulimit -n)");
    return weir_wrap(rc, "starting loop %u of %u", loop, runtime.opts.loops);
}

static int init_loops(const struct io_ops *ops, void *backend)
{
    for (uint32_t i = 0; i < runtime.opts.loops; i++) {
        int rc = loop_init(&runtime.loops[i], i, ops, backend);

        if (rc < 0)
            return start_failed(rc, i);
        runtime.count++;
        if (runtime.opts.each && !start_task(&runtime.loops[i], runtime.opts.each,
                                             runtime.opts.each_arg, "weir_run() each"))
            return start_failed(-ENOMEM, i);
    }
    runtime.first = start_task(&runtime.loops[0], run_first, NULL, "weir_run() main");
    return runtime.first ? 0 : start_failed(-ENOMEM, 0);
}

static int start_threads(uint32_t *ret_started)
{
    sigset_t old;
    int rc = 0;

    alt_stack_mask(&old);
    for (*ret_started = 1; rc == 0 && *ret_started < runtime.count; (*ret_started)++) {
        struct loop *loop = &runtime.loops[*ret_started];

        rc = -pthread_create(&loop->thread, NULL, loop_thread, loop);
        if (rc < 0)
            break;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc;
}

static void free_loops(void)
{
    uint32_t count;

    /* Neither a signal nor another thread finds any from here on. */
    pthread_rwlock_wrlock(&runtime.gate);
    count = atomic_exchange(&runtime.count, 0);
    pthread_rwlock_unlock(&runtime.gate);
    for (uint32_t i = 0; i < count; i++) {
        loop_adopt_thread(&runtime.loops[i]);
        submit_refuse(&runtime.loops[i]);
        loop_done(&runtime.loops[i]);
    }
    runtime_tell_over(NULL);
    base_free(runtime.loops);
    base_free(runtime.end_messages);
    runtime.loops = NULL;
    runtime.end_messages = NULL;
}

uint32_t runtime_begin(int *ret_rc)
{
    uint32_t started;

    *ret_rc = start_threads(&started);
    if (*ret_rc < 0) {
        error_slot = &runtime.chain;
        weir_fail(*ret_rc, "starting the thread of loop %u", started);
        error_slot = NULL;
        runtime.rc = *ret_rc;
        rt_cancel_all();
    }
    return started;
}

void runtime_join(uint32_t started)
{
    for (uint32_t i = 1; i < started; i++)
        pthread_join(runtime.loops[i].thread, NULL);
}

static int run_loops(void)
{
    int rc;
    uint32_t started = runtime_begin(&rc);

    loop_thread_run(&runtime.loops[0]);
    runtime_join(started);
    return rc;
}

int runtime_start(weir_fn *fn, void *arg, const weir_run_opts *opts, const struct io_ops *ops,
                  void *backend)
{
    int rc;

    if (runtime.loops)
        return weir_fail(-EINVAL, "the runtime is running already");
    rc = fill_opts(opts);
    if (rc < 0)
        return rc;
    runtime.fn = fn;
    runtime.arg = arg;
    runtime.rc = 0;
    runtime.chain = NULL;
    atomic_store(&runtime.ending, false);
    runtime.number++;
    runtime.loops = base_calloc(runtime.opts.loops, sizeof(*runtime.loops));
    runtime.end_messages = base_calloc(runtime.opts.loops, sizeof(*runtime.end_messages));
    rc = runtime.loops && runtime.end_messages ? 0 : -ENOMEM;
    if (rc < 0) {
        free_loops();
        return rc;
    }
    block_pools_open(&runtime.opts, cores_allowed());
    error_slot = &runtime.chain; /* what runtime_end() hands to the caller */
    rc = init_loops(ops, backend);
    error_slot = NULL;
    return rc < 0 ? runtime_end(rc) : 0;
}

int runtime_end(int rc)
{
    block_pools_close();
    free_loops();
    loop_current = NULL;
    error_slot = NULL;
    chain_thread_done();
    if (runtime.chain)
        chain_set(runtime.chain);
    return rc < 0 ? rc : runtime.rc;
}

int weir_run_opt(weir_fn *fn, void *arg, const weir_run_opts *opts)
{
    const struct io_ops *ops;
    int rc = backend_choose(opts->backend, &ops);

    if (rc == 0)
        rc = runtime_start(fn, arg, opts, ops, NULL);
    return rc < 0 ? rc : runtime_end(run_loops());
}
