/* A loop that is turned by another one: weir/embed.h.
 *
 * The descriptor is an epoll of its own, with two in it: the backend's, which is
 * readable for input, output and messages of other threads; and a timer, which is set
 * to the loop's next timer at the end of each step, or to a time long past when there
 * is more to do at once.
 *
 * Between two steps the loop counts as asleep, so that who sends it a message wakes
 * it. As before a wait of its own, the mark is set first, and then the inbox looked
 * at once more.
 *
 * States: none -> RUNNING -> (finished) CLOSING, no submission is taken any more ->
 * (finished again) OVER -> none. */
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <weir/embed.h>

#include "base/clock.h"
#include "rt/backend_epoll.h"
#include "rt/spread.h"
#include "type/current.h"

#define EMBED_TURNS 10 /* of a step; each runs tasks for 100 us */
#define EMBED_NOW_NS 1 /* a time that has passed */

enum embed_state { EMBED_NONE, EMBED_RUNNING, EMBED_CLOSING, EMBED_OVER };

static struct embed {
    _Atomic(enum embed_state) state;
    pthread_t thread;
    int fd, timer;
    int64_t armed_ns; /* what the timer is set to; WEIR_NEVER_NS: to nothing */
    uint32_t started;
    int rc;           /* of the threads' start */
} embed;

bool embed_is_here(void)
{
    return atomic_load(&embed.state) != EMBED_NONE && pthread_equal(embed.thread, pthread_self());
}

static void embed_arm(int64_t at_ns)
{
    struct itimerspec when = { 0 };

    if (at_ns == embed.armed_ns && at_ns != EMBED_NOW_NS)
        return;
    embed.armed_ns = at_ns;
    if (at_ns != WEIR_NEVER_NS) {
        when.it_value.tv_sec = at_ns / 1000000000;
        when.it_value.tv_nsec = at_ns % 1000000000;
    }
    timerfd_settime(embed.timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static int embed_watch(int fd)
{
    struct epoll_event event = { .events = EPOLLIN };

    return epoll_ctl(embed.fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int embed_open(struct loop *loop)
{
    bool pending;
    int rc;

    embed.timer = -1;
    embed.armed_ns = WEIR_NEVER_NS;
    embed.fd = epoll_create1(EPOLL_CLOEXEC);
    if (embed.fd >= 0)
        embed.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (embed.fd < 0 || embed.timer < 0)
        return -errno;
    rc = embed_watch(embed.timer);
    return rc < 0 ? rc : embed_watch(loop->ops->descriptor(loop, &pending));
}

static void embed_close(void)
{
    if (embed.timer >= 0)
        close(embed.timer);
    if (embed.fd >= 0)
        close(embed.fd);
    embed.fd = embed.timer = -1;
}

/* Outside of steps the thread is not the loop's: its code is no task's. */
static void embed_leave(void)
{
    loop_current = NULL;
    type_arena = NULL;
    error_slot = NULL;
}

int weir_embed_start_opt(weir_fn *fn, void *arg, const weir_run_opts *opts)
{
    int rc;

    if (opts->backend != WEIR_BACKEND_AUTO && opts->backend != WEIR_BACKEND_EPOLL)
        return weir_fail(-ENOTSUP, "a loop that lives in another one uses the epoll backend: leave "
                                   ".backend unset");
    rc = runtime_start(fn, arg, opts, &epoll_ops, NULL);
    if (rc < 0)
        return rc;
    embed_leave();
    rc = embed_open(loop_at(0));
    if (rc < 0) {
        embed_close();
        rc = runtime_end(rc);
        return weir_fail(rc, "no descriptor for a loop that lives in another one");
    }
    embed.thread = pthread_self();
    loop_show_thread(loop_at(0), __builtin_frame_address(0));
    embed.started = runtime_begin(&embed.rc);
    atomic_store(&embed.state, EMBED_RUNNING);
    embed_arm(EMBED_NOW_NS);
    return 0;
}

int weir_loop_fd(void)
{
    return atomic_load(&embed.state) == EMBED_NONE ? -EINVAL : embed.fd;
}

static int embed_check(const char *call)
{
    if (atomic_load(&embed.state) == EMBED_NONE)
        return weir_fail(-EINVAL, "%s: nothing was started with weir_embed_start()", call);
    if (!loop_current && embed_is_here())
        return 0;
    rt_wrong_use("%s was called %s", call,
                 loop_current ? "from within a step" : "on a thread that does not turn the loop");
    return WEIR_EWRONGUSE;
}

/* At the end the loop takes no submissions any more, and runs those it has taken. */
static bool embed_finished(struct loop *loop)
{
    if (!loop_finished(loop))
        return false;
    if (atomic_load(&embed.state) == EMBED_RUNNING) {
        loop_close_submissions(loop);
        atomic_store(&embed.state, EMBED_CLOSING);
    }
    return loop_finished(loop);
}

/* Is there something to do at once? Else other threads wake the loop from here on. */
static bool embed_has_more(struct loop *loop)
{
    bool pending = false;

    atomic_store(&loop->asleep, true);
    loop->ops->descriptor(loop, &pending);
    return pending || !loop_quiet(loop) || atomic_load(&loop->inbox) != NULL ||
           atomic_load(&loop->requests) != 0 || spread_offered(loop);
}

static bool embed_turn(struct loop *loop)
{
    for (int i = 0; i < EMBED_TURNS; i++) {
        loop_turn(loop, false);
        if (embed_finished(loop))
            return false;
        if (loop_quiet(loop) && !(spread_offered(loop) && spread_take(loop)))
            break;
    }
    return true;
}

int weir_loop_step(void)
{
    struct loop *loop = loop_at(0);
    int rc = embed_check("weir_loop_step()");

    if (rc < 0 || atomic_load(&embed.state) == EMBED_OVER)
        return rc;
    atomic_store(&loop->asleep, false);
    loop_adopt_thread(loop);
    atomic_store_explicit(&loop->stack_high, __builtin_frame_address(0), memory_order_relaxed);
    if (!embed_turn(loop)) {
        atomic_store(&embed.state, EMBED_OVER);
        embed_arm(EMBED_NOW_NS); /* who waits for the descriptor learns of it */
    } else {
        embed_arm(embed_has_more(loop) ? EMBED_NOW_NS : loop_next_timer_ns(loop));
        rc = 1;
    }
    embed_leave();
    return rc;
}

int weir_loop_timeout_ms(void)
{
    int64_t left_ns;

    if (atomic_load(&embed.state) == EMBED_NONE || embed.armed_ns == WEIR_NEVER_NS)
        return -1;
    left_ns = embed.armed_ns - clock_monotonic_ns();
    if (left_ns <= 0)
        return 0;
    left_ns = (left_ns + 999999) / 1000000;
    return left_ns > INT32_MAX ? INT32_MAX : (int)left_ns;
}

/* Turn it here, to its end. */
static void embed_finish(struct loop *loop)
{
    runtime_end_all();
    loop_adopt_thread(loop);
    do
        loop_run(loop);
    while (!embed_finished(loop));
    embed_leave();
}

int weir_embed_end(void)
{
    int rc = embed_check("weir_embed_end()");

    if (rc < 0)
        return rc;
    if (atomic_load(&embed.state) != EMBED_OVER)
        embed_finish(loop_at(0));
    loop_hide_thread(loop_at(0));
    runtime_join(embed.started);
    embed_close();
    atomic_store(&embed.state, EMBED_NONE);
    return runtime_end(embed.rc);
}
