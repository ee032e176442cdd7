/* Loops that are held up: by a task that computes without a pause, or by a call of the
 * operating system that blocks the thread.
 *
 * A thread of its own looks at each loop a few times in blocked_ms. Whether a loop is held
 * up is hold.c's judgement. While it still is, its thread is sent ALT_LOOK_SIGNAL, whose
 * handler (on a stack of its own) copies registers, stack and what is known of the task
 * into memory prepared for that; this thread then names the functions and logs it, in full
 * once for a place, which is a task's site and whether it computes or in which system call
 * it is. Further holds there are counted, and told once a minute.
 *
 * A call that a signal interrupts (nanosleep(), poll() and their like: signal(7) lists
 * them) ends early, once a hold. The signal does nothing where nobody handles it; a child
 * made by fork() has the handler but not this thread, and so is never sent it.
 *
 * A look: IDLE -> WANTED (by this thread) -> TAKING (by the handler) -> TAKEN or GONE ->
 * IDLE; WANTED -> IDLE when no handler came in time. The look's memory is the handler's in
 * TAKING, and this thread's otherwise.
 *
 * This thread waits for no loop longer than LOOK_NS, and holds the runtime against its end
 * only while it looks at one loop: what it has found is named and logged afterwards, as a
 * log's writer may be stuck. A loop that waits for input costs a look a few loads, and no
 * descriptor. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/metrics.h>

#include "base/clock.h"
#include "obs/log.h"
#include "ops/hold.h"
#include "ops/parts.h"
#include "ops/running.h"
#include "ops/safe_read.h"
#include "ops/stack.h"
#include "ops/thread_state.h"
#include "rt/alt_stack.h"
#include "rt/loop.h"

#define BLOCKED_MS 100
#define PERIODS 4              /* looks in blocked_ms */
#define PERIOD_MIN_NS 2000000
#define PERIOD_MAX_NS 250000000
#define LOOK_NS 100000000      /* for the handler to come */
#define LOOK_STEP_NS 200000
#define PLACES 64
#define AGAIN_NS INT64_C(60000000000)
#define DOING_BYTES 64
#define STACK_TEXT_BYTES 1000  /* a log's field may have 1,024 */
#define REST_LOOKS 40          /* in which a loop did nothing: its thread's files are closed */

enum look_state { LOOK_IDLE, LOOK_WANTED, LOOK_TAKING, LOOK_TAKEN, LOOK_GONE };

struct look {
    atomic_int state;
    const struct loop *_Atomic loop; /* a handler that comes late reads it at any time */
    uint64_t turn;
    struct running running;
    struct stack_copy copy;
};

struct place {
    char site[RUNNING_SITE_BYTES], doing[DOING_BYTES];
    uint32_t again;    /* holds since the last line */
    int64_t longest_ns, all_ns, said_ns;
};

struct watched {
    struct thread_state thread;
    struct hold hold;
    struct place *place;  /* of the reported hold */
    bool first;           /* and it was reported in full */
    char name[INSPECT_NAME_BYTES];
    uint32_t idle_looks;
    weir_counter *blocked;
    weir_gauge *held;
};

/* What a look at a loop has found, to be told when the runtime is not held any more. */
struct news {
    struct hold ended;  /* reported once, and over; else not reported */
    bool held;          /* a loop is; watchdog.look has by what */
    bool has_stack;
    char doing[DOING_BYTES];
};

static struct {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t over_changed;
    bool over, is_open, signals;
    pid_t pid;
    int64_t blocked_ns, period_ns;
    uint32_t run;              /* of the runtime that loops is about */
    struct watched *loops;
    struct sigaction before;
    struct look look; /* here, as a handler that comes late may still be in it at the end */
    struct place places[PLACES];
    weir_counter *blocked;
    weir_gauge *held;
} watchdog = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- a look at what holds a loop up ------------------------------------------------ */

/* On which stack this is, as far as is known. */
static const char *stack_end(const struct running *running, const char *sp)
{
    if (sp >= running->stack_low && sp < running->stack_high)
        return running->stack_high;
    if (running->on_loop_stack && sp < running->thread_high)
        return running->thread_high;
    return NULL;
}

static void take_look(struct look *look, const void *context)
{
    running_read(loop_current, &look->running);
    stack_copy_signal(&look->copy, context, NULL);
    stack_copy_signal(&look->copy, context,
                      stack_end(&look->running, (const char *)(uintptr_t)look->copy.sp));
}

static void pass_on(int number, siginfo_t *info, void *context)
{
    const struct sigaction *before = &watchdog.before;

    if (before->sa_flags & SA_SIGINFO)
        before->sa_sigaction(number, info, context);
    else if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN)
        before->sa_handler(number);
}

static void on_look(int number, siginfo_t *info, void *context)
{
    struct look *look = &watchdog.look;
    int saved = errno, wanted = LOOK_WANTED;

    if (info->si_code != SI_TKILL || !loop_current || atomic_load(&look->loop) != loop_current ||
        !atomic_compare_exchange_strong(&look->state, &wanted, LOOK_TAKING)) {
        pass_on(number, info, context);
    } else if (atomic_load(&loop_current->pulse.began) != look->turn) {
        atomic_store(&look->state, LOOK_GONE);
    } else {
        take_look(look, context);
        atomic_store(&look->state, LOOK_TAKEN);
    }
    errno = saved;
}

static void nap(int64_t ns)
{
    struct timespec time = { .tv_nsec = ns };

    nanosleep(&time, NULL);
}

/* Have the loop's own thread say what it runs. False: it did not. */
static bool look_inside(const struct loop *loop, const struct watched *w)
{
    struct look *look = &watchdog.look;
    int64_t until_ns = clock_monotonic_ns() + LOOK_NS;
    int wanted = LOOK_WANTED, state;

    atomic_store(&look->loop, loop);
    look->turn = w->hold.last.turn;
    atomic_store(&look->state, LOOK_WANTED);
    if (syscall(SYS_tgkill, getpid(), w->thread.tid, ALT_LOOK_SIGNAL) < 0)
        until_ns = 0;
    for (;;) {
        state = atomic_load(&look->state);
        if (state == LOOK_TAKEN || state == LOOK_GONE)
            break;
        if (clock_monotonic_ns() >= until_ns &&
            atomic_compare_exchange_strong(&look->state, &wanted, LOOK_IDLE))
            return false;
        wanted = LOOK_WANTED;
        nap(LOOK_STEP_NS);
    }
    atomic_store(&look->state, LOOK_IDLE);
    return state == LOOK_TAKEN;
}

/* ---- what is said ------------------------------------------------------------------ */

static int64_t ms(int64_t ns)
{
    return ns / 1000000;
}

static struct place *place_find(const char *site, const char *doing, bool *ret_new)
{
    struct place *oldest = &watchdog.places[0];

    *ret_new = false;
    for (size_t i = 0; i < PLACES; i++) {
        struct place *p = &watchdog.places[i];

        if (strcmp(p->site, site) == 0 && strcmp(p->doing, doing) == 0 && p->said_ns)
            return p;
        if (p->said_ns < oldest->said_ns)
            oldest = p;
    }
    *ret_new = true;
    *oldest = (struct place){ .said_ns = clock_monotonic_ns() };
    snprintf(oldest->site, sizeof(oldest->site), "%s", site);
    snprintf(oldest->doing, sizeof(oldest->doing), "%s", doing);
    return oldest;
}

static void say_held(uint32_t index, const struct watched *w, const char *doing, const char *stack)
{
    const struct running *r = &watchdog.look.running;
    const weir_context context = { .correlation_id = weir_str_c(r->correlation_id),
                                   .trace_id = weir_str_c(r->trace_id) };
    const char *message = w->hold.held_ns < watchdog.blocked_ns
                              ? "a loop is held up by many tasks, one after another"
                          : r->handle.slot ? "a loop is held up by a task"
                                           : "a loop is held up";
    weir_log_field fields[9] = {
        WEIR_FIELD("loop", index),
        WEIR_FIELD("held_ms", ms(w->hold.held_ns + (w->hold.reported ? 0 : w->hold.others_ns))),
        WEIR_FIELD("doing", doing),
        WEIR_FIELD("on_cpu_ms", ms(w->hold.run_ns)),
        WEIR_FIELD("descheduled_ms", ms(w->hold.delay_ns)),
        WEIR_FIELD("site", (const char *)r->site),
        WEIR_FIELD("scopes", (const char *)r->path),
    };
    uint32_t count = 7;

    if (*r->route)
        fields[count++] = WEIR_FIELD("route", (const char *)r->route);
    fields[count++] = WEIR_FIELD("stack", stack);
    log_about(WEIR_LOG_WARN, weir_str_c(message), r->name, &context, fields, count);
}

static void say_ended(uint32_t index, const struct watched *w, const struct hold *hold)
{
    const weir_log_field fields[] = {
        WEIR_FIELD("loop", index),
        WEIR_FIELD("held_ms", ms(hold->held_ns)),
        WEIR_FIELD("doing", (const char *)w->place->doing),
        WEIR_FIELD("site", (const char *)w->place->site),
    };

    log_about(WEIR_LOG_WARN, WEIR_S("a loop that was held up turns again"), w->name, NULL, fields,
              sizeof(fields) / sizeof(fields[0]));
}

static void say_again(struct place *p, int64_t now_ns)
{
    weir_log(WEIR_LOG_WARN, "loops were held up again", WEIR_FIELD("times", p->again),
             WEIR_FIELD("longest_ms", ms(p->longest_ns)), WEIR_FIELD("all_ms", ms(p->all_ns)),
             WEIR_FIELD("doing", (const char *)p->doing),
             WEIR_FIELD("site", (const char *)p->site));
    p->again = 0;
    p->longest_ns = p->all_ns = 0;
    p->said_ns = now_ns;
}

static void say_all_again(int64_t now_ns, int64_t after_ns)
{
    for (size_t i = 0; i < PLACES; i++) {
        struct place *p = &watchdog.places[i];

        if (p->again > 0 && now_ns - p->said_ns >= after_ns)
            say_again(p, now_ns);
    }
}

/* A loop has been held up for long enough: by what? */
static void look_at_hold(const struct loop *loop, struct watched *w, struct news *news)
{
    struct look *look = &watchdog.look;

    if (w->hold.held_ns >= watchdog.blocked_ns)
        w->hold.reported = true;
    w->hold.others_reported = true;
    news->held = true;
    thread_state_text(&w->thread, news->doing, sizeof(news->doing));
    news->has_stack = watchdog.signals && look_inside(loop, w);
    if (!news->has_stack)
        running_read(loop, &look->running);
    if (atomic_load(&loop->pulse.began) != w->hold.last.turn && !news->has_stack)
        look->running = (struct running){ 0 }; /* of another turn by now */
    if (!w->hold.reported)
        snprintf(news->doing, sizeof(news->doing), "running many tasks");
}

static void report(uint32_t index, struct watched *w, const struct news *news)
{
    struct look *look = &watchdog.look;
    char stack[STACK_TEXT_BYTES] = "";

    weir_counter_add(w->blocked, 1);
    if (news->has_stack)
        stack_print(&look->copy, stack, sizeof(stack));
    w->place = place_find(look->running.site, news->doing, &w->first);
    snprintf(w->name, sizeof(w->name), "%s", look->running.name);
    if (w->first)
        say_held(index, w, news->doing, stack);
}

static void ended(uint32_t index, struct watched *w, const struct hold *hold)
{
    struct place *p = w->place;

    if (!hold->reported)
        return;
    if (w->first) {
        say_ended(index, w, hold);
        return;
    }
    p->again++;
    p->all_ns += hold->held_ns;
    if (p->longest_ns < hold->held_ns)
        p->longest_ns = hold->held_ns;
}

/* ---- looking at the loops ---------------------------------------------------------- */

static uint64_t steps_of(const struct loop *loop)
{
    int32_t left = 0;
    uint32_t popped = 0;

    safe_read(&left, &loop->batch_left, sizeof(left));
    safe_read(&popped, &loop->ready.popped, sizeof(popped));
    return (uint64_t)popped << 32 | (uint32_t)left;
}

static void tell(uint32_t index, struct watched *w, const struct news *news)
{
    ended(index, w, &news->ended); /* before the next one takes its place */
    if (news->held)
        report(index, w, news);
}

/* Another thread turns the loop from now on, or (tid 0) none. */
static void watch_begin(struct watched *w, uint32_t index, int tid)
{
    char name[16];

    thread_state_close(&w->thread);
    w->hold = (struct hold){ 0 };
    w->idle_looks = 0;
    if (tid == 0)
        return;
    thread_state_open(&w->thread, tid);
    snprintf(name, sizeof(name), "%u", index);
    w->blocked = weir_counter_with(watchdog.blocked, weir_str_c(name));
    w->held = weir_gauge_with(watchdog.held, weir_str_c(name));
}

/* It waits for input, as it did at the look before. */
static bool is_idle(struct watched *w, uint64_t turn)
{
    if (turn != 0 || w->hold.last.turn != 0) {
        w->idle_looks = 0;
        return false;
    }
    if (++w->idle_looks == REST_LOOKS)
        thread_state_rest(&w->thread);
    return true;
}

static void sample_loop(const struct loop *loop, struct watched *w, struct hold_sample *sample)
{
    sample->run_ns = -1;
    if (sample->turn != 0)
        sample->steps = steps_of(loop);
    if (sample->turn != 0 && sample->turn == w->hold.last.turn)
        sample->state = thread_state_now(&w->thread);
    if (sample->turn != 0)
        thread_state_times(&w->thread, &sample->run_ns, &sample->delay_ns);
    sample->now_ns = clock_monotonic_ns();
}

/* The runtime is held: nothing in here logs. */
static void watch(const struct loop *loop, struct watched *w, struct news *news)
{
    int tid = atomic_load(&loop->thread_id);
    struct hold_sample sample = { .turn = atomic_load(&loop->pulse.began) };
    struct hold before = w->hold;
    int64_t held_ns;

    if (tid != w->thread.tid) {
        news->ended = before;
        watch_begin(w, loop->index, tid);
        before = w->hold;
    }
    if (tid == 0 || is_idle(w, sample.turn))
        return;
    sample_loop(loop, w, &sample);
    if (!hold_add(&w->hold, &sample, watchdog.period_ns) && before.reported)
        news->ended = before;
    held_ns = w->hold.held_ns + w->hold.others_ns;
    if (held_ns + before.held_ns + before.others_ns > 0)
        weir_gauge_set(w->held, (double)held_ns / 1e9);
    if ((w->hold.held_ns >= watchdog.blocked_ns && !w->hold.reported) ||
        (w->hold.others_ns >= watchdog.blocked_ns && !w->hold.others_reported))
        look_at_hold(loop, w, news);
}

static void forget_loops(void)
{
    for (uint32_t i = 0; i < RT_LOOPS_MAX; i++) {
        ended(i, &watchdog.loops[i], &watchdog.loops[i].hold);
        watch_begin(&watchdog.loops[i], i, 0);
    }
}

/* False: there is no such loop, or none of the run that is watched. */
static bool watch_one(uint32_t index)
{
    struct news news = { .held = false };
    int rc;
    struct loop *loop = runtime_enter(index, watchdog.run, &rc);

    if (!loop)
        return false;
    watch(loop, &watchdog.loops[index], &news);
    runtime_leave();
    tell(index, &watchdog.loops[index], &news);
    return true;
}

static void watch_all(void)
{
    int rc;
    uint32_t run = 0, loops = 0;

    if (runtime_enter(0, 0, &rc)) {
        run = runtime_number();
        loops = loop_count();
        runtime_leave();
    }
    if (run != watchdog.run || run == 0)
        forget_loops();
    watchdog.run = run;
    for (uint32_t i = 0; i < loops; i++)
        if (!watch_one(i))
            return;
}

/* ---- the thread -------------------------------------------------------------------- */

/* False at the end. */
static bool wait_a_period(void)
{
    int64_t until_ns = clock_monotonic_ns() + watchdog.period_ns;
    struct timespec until = { .tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000 };
    int rc = 0;
    bool over;

    pthread_mutex_lock(&watchdog.lock);
    while (!watchdog.over && rc == 0)
        rc = pthread_cond_timedwait(&watchdog.over_changed, &watchdog.lock, &until);
    over = watchdog.over;
    pthread_mutex_unlock(&watchdog.lock);
    return !over;
}

static void *run(void *arg)
{
    (void)arg;
    while (wait_a_period()) {
        watch_all();
        say_all_again(clock_monotonic_ns(), AGAIN_NS);
    }
    forget_loops();
    say_all_again(clock_monotonic_ns(), 0);
    return NULL;
}

static int start_thread(void)
{
    pthread_condattr_t attr;
    sigset_t all, before;
    int rc;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&watchdog.over_changed, &attr);
    pthread_condattr_destroy(&attr);
    watchdog.over = false;
    sigfillset(&all); /* signals are for the program's own threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = -pthread_create(&watchdog.thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        pthread_setname_np(watchdog.thread, "weir-watchdog");
    else
        pthread_cond_destroy(&watchdog.over_changed);
    return rc;
}

static void take_signal(void)
{
    struct sigaction own = { .sa_sigaction = on_look,
                             .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };

    sigemptyset(&own.sa_mask);
    watchdog.signals = sigaction(ALT_LOOK_SIGNAL, &own, &watchdog.before) == 0;
}

static void free_memory(void)
{
    base_free(watchdog.loops);
    watchdog.loops = NULL;
}

static void set_times(const weir_inspect_opts *opts)
{
    watchdog.blocked_ns = (int64_t)(opts->blocked_ms ? opts->blocked_ms : BLOCKED_MS) * 1000000;
    watchdog.period_ns = watchdog.blocked_ns / PERIODS;
    if (watchdog.period_ns < PERIOD_MIN_NS)
        watchdog.period_ns = PERIOD_MIN_NS;
    if (watchdog.period_ns > PERIOD_MAX_NS)
        watchdog.period_ns = PERIOD_MAX_NS;
}

int watchdog_open(const weir_inspect_opts *opts)
{
    int rc = 0;

    watchdog.is_open = false;
    if (opts->blocked_ms == WEIR_OFF)
        return 0;
    set_times(opts);
    memset(watchdog.places, 0, sizeof(watchdog.places));
    watchdog.pid = getpid();
    watchdog.loops = base_calloc(RT_LOOPS_MAX, sizeof(*watchdog.loops));
    if (!watchdog.loops)
        return -ENOMEM;
    watchdog.blocked = weir_counter_new(
        "weir_loop_blocked_total", "Turns of a loop that took too long.", .labels = { "loop" });
    watchdog.held = weir_gauge_new("weir_loop_held_seconds",
                                   "For how long the loop has been held up.", .labels = { "loop" });
    if (!opts->no_handlers)
        take_signal();
    rc = start_thread();
    if (rc < 0) {
        watchdog_close();
        return weir_fail(rc, "starting the thread that watches over the loops");
    }
    watchdog.is_open = true;
    return 0;
}

void watchdog_close(void)
{
    if (watchdog.is_open && watchdog.pid == getpid()) { /* else a child, which has no such thread */
        pthread_mutex_lock(&watchdog.lock);
        watchdog.over = true;
        pthread_cond_signal(&watchdog.over_changed);
        pthread_mutex_unlock(&watchdog.lock);
        pthread_join(watchdog.thread, NULL);
        pthread_cond_destroy(&watchdog.over_changed);
    }
    if (watchdog.signals)
        WEIR_IGNORE(sigaction(ALT_LOOK_SIGNAL, &watchdog.before, NULL), "it was there before");
    watchdog.signals = watchdog.is_open = false;
    free_memory();
}
