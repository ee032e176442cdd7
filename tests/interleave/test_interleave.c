/* Messages between loops, submissions, and the way a loop goes to sleep and is woken, in
 * every order of up to three threads with up to three preemptions. loop.c, submit.c
 * and semaphore.c are built with shim.h; the backend is one that only sleeps and wakes.
 * A planted fault (the look at the inbox after the mark of sleep was set sees nothing)
 * must be found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weir/weir.h>

#include "interleave/explore.h"
#include "rt/backend.h"
#include "rt/loop.h"

void interleave_point(void);

#define NOW_NS 1000000000

/* Waked: what an eventfd holds. */
static bool waked[2];
static unsigned done, wrong;
static weir_semaphore *semaphore;
static unsigned inside;

/* ---- a backend that sleeps and wakes ---------------------------------------------- */

static int io_open(struct loop *loop)
{
    (void)loop;
    return 0;
}

static void io_close(struct loop *loop)
{
    (void)loop;
}

static int64_t io_now(struct loop *loop)
{
    (void)loop;
    return NOW_NS;
}

static bool is_set(void *arg)
{
    return *(bool *)arg;
}

static void io_poll(struct loop *loop, int64_t until_ns)
{
    if (explore_running() && until_ns > NOW_NS)
        explore_wait(is_set, &waked[loop->index]);
    else
        interleave_point();
    waked[loop->index] = false;
}

static void io_wake(struct loop *loop)
{
    interleave_point();
    waked[loop->index] = true;
}

static const struct io_ops ops = {
    .name = "interleave",
    .open = io_open,
    .close = io_close,
    .now_ns = io_now,
    .poll = io_poll,
    .wake = io_wake,
};

/* ---- what the threads do ----------------------------------------------------------- */

static int stay(void *arg)
{
    (void)arg;
    return weir_sleep_ms(3600000);
}

static void start_loops(uint32_t loops)
{
    weir_run_opts opts = { .size = sizeof(opts), .loops = loops };

    if (runtime_start(stay, NULL, &opts, &ops, NULL) < 0)
        _exit(9);
    for (uint32_t i = 0; i < loops; i++) {
        loop_adopt_thread(loop_at(i));
        loop_turn(loop_at(i), false);
    }
}

static void begin(void *arg)
{
    (void)arg;
    waked[0] = waked[1] = false;
    done = wrong = inside = 0;
}

static bool all_done(void *arg)
{
    return done == (unsigned)(uintptr_t)arg && wrong == 0;
}

/* Turns the first loop until so much is done. */
static void own_loop(void *arg)
{
    struct loop *loop = loop_at(0);

    loop_adopt_thread(loop);
    while (done < (unsigned)(uintptr_t)arg)
        loop_turn(loop, true);
}

static unsigned last_from[2];

static void told(struct message *message)
{
    (void)message;
    done++;
}

static struct message messages[4];

static void send_two(void *arg)
{
    (void)arg;
    loop_post(loop_at(0), &messages[0]);
    loop_post(loop_at(0), &messages[1]);
}

static void send_one(void *arg)
{
    (void)arg;
    loop_post(loop_at(0), &messages[2]);
}

static int submitted(void *arg)
{
    unsigned number = (unsigned)(uintptr_t)arg, from = number / 10;

    if (number % 10 <= last_from[from] % 10 && last_from[from])
        wrong++; /* two of one thread in another order */
    last_from[from] = number;
    done++;
    return 0;
}

static void begin_submitting(void *arg)
{
    begin(arg);
    last_from[0] = last_from[1] = 0;
}

static void submit(unsigned number)
{
    if (weir_submit(0, submitted, (void *)(uintptr_t)number) < 0) /* NOLINT */
        wrong++;
}

static void submit_two(void *arg)
{
    (void)arg;
    submit(1);
    submit(2);
}

static void submit_one(void *arg)
{
    (void)arg;
    submit(11);
}

static int use_unit(void *arg)
{
    (void)arg;
    if (weir_acquire(semaphore) < 0 || ++inside != 1)
        wrong++;
    interleave_point();
    inside--;
    weir_release(semaphore);
    done++;
    return 0;
}

/* A loop with one task that needs the unit; over when the task is. */
static void use_on(uint32_t index)
{
    struct loop *loop = loop_at(index);
    struct task *task;

    loop_adopt_thread(loop);
    task = task_new(loop->app, use_unit, NULL, "here");
    if (!task)
        _exit(9);
    ready_push(loop, task);
    for (uint32_t live = loop->app->live; loop->app->live == live;)
        loop_turn(loop, true);
}

static void use_on_first(void *arg)
{
    (void)arg;
    use_on(0);
}

static void use_on_second(void *arg)
{
    (void)arg;
    use_on(1);
}

/* Of its own for each order, as it takes turns. */
static void begin_with_unit(void *arg)
{
    begin(arg);
    if (weir_semaphore_new(&semaphore, .units = 1) < 0)
        _exit(9);
}

/* What is still under way is of no task any more; the unit is there. */
static bool unit_is_whole(void *arg)
{
    bool whole;

    for (int i = 0; i < 4; i++)
        for (uint32_t at = 0; at < 2; at++) {
            loop_adopt_thread(loop_at(at));
            loop_turn(loop_at(at), false);
        }
    whole = all_done(arg) && weir_try_acquire(semaphore) == 0 &&
            weir_try_acquire(semaphore) == -EAGAIN;
    weir_semaphore_free(semaphore);
    return whole;
}

/* ---- tests --------------------------------------------------------------------------- */

/* In a process of its own, as a thread that is stuck stays in the runtime: 0 when all
 * orders hold, 1 when somebody is stuck, 2 when something else is amiss. */
static int explored(struct explore *how, uint32_t loops, bool blind)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        bool held;

        start_loops(loops);
        for (int i = 0; i < 4; i++)
            messages[i].run = told;
        explore_blind(blind ? &loop_at(0)->inbox : NULL);
        held = explore(how, !blind);
        fprintf(stderr, "%llu orders of %d threads\n", (unsigned long long)how->orders,
                how->threads);
        _exit(held ? 0 : how->stuck ? 1 : 2);
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void every_message_arrives(void **state)
{
    struct explore how = { .threads = 3,
                           .preemptions = 3,
                           .begin = begin,
                           .holds = all_done,
                           .body = { own_loop, send_two, send_one },
                           .arg = (void *)3 };

    (void)state;
    assert_int_equal(explored(&how, 1, false), 0);
}

static void a_loop_that_does_not_look_again_is_found(void **state)
{
    struct explore how = { .threads = 2,
                           .preemptions = 1,
                           .begin = begin,
                           .holds = all_done,
                           .body = { own_loop, send_one },
                           .arg = (void *)1 };

    (void)state;
    assert_int_equal(explored(&how, 1, true), 1);
}

static void every_submission_is_run_in_order(void **state)
{
    struct explore how = { .threads = 3,
                           .preemptions = 3,
                           .begin = begin_submitting,
                           .holds = all_done,
                           .body = { own_loop, submit_two, submit_one },
                           .arg = (void *)3 };

    (void)state;
    assert_int_equal(explored(&how, 1, false), 0);
}

static void one_unit_goes_from_loop_to_loop(void **state)
{
    struct explore how = { .threads = 2,
                           .preemptions = 3,
                           .begin = begin_with_unit,
                           .holds = unit_is_whole,
                           .body = { use_on_first, use_on_second },
                           .arg = (void *)2 };

    (void)state;
    assert_int_equal(explored(&how, 2, false), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_arrives),
        cmocka_unit_test(a_loop_that_does_not_look_again_is_found),
        cmocka_unit_test(every_submission_is_run_in_order),
        cmocka_unit_test(one_unit_goes_from_loop_to_loop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
