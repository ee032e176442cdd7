/* Messages between loops, submissions, and the way a loop goes to sleep and is woken, in
 * every order of up to three threads with up to three preemptions. loop.c, submit.c
 * and semaphore.c are built with shim.h.
 * A planted fault (the look at the inbox after the mark of sleep was set sees nothing)
 * must be found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <weir/weir.h>

#include "interleave/loops.h"

static unsigned done, wrong;
static weir_semaphore *semaphore;
static unsigned inside;

/* ---- what the threads do ----------------------------------------------------------- */

static void begin(void *arg)
{
    (void)arg;
    loops_begin();
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

static void use_on_first(void *arg)
{
    (void)arg;
    loops_run_task(0, use_unit, NULL);
}

static void use_on_second(void *arg)
{
    (void)arg;
    loops_run_task(1, use_unit, NULL);
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

    loops_settle(2);
    whole = all_done(arg) && weir_try_acquire(semaphore) == 0 &&
            weir_try_acquire(semaphore) == -EAGAIN;
    weir_semaphore_free(semaphore);
    return whole;
}

/* ---- tests --------------------------------------------------------------------------- */

static void prepare(void)
{
    for (int i = 0; i < 4; i++)
        messages[i].run = told;
}

static void prepare_blind(void)
{
    prepare();
    explore_blind(&loop_at(0)->inbox);
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
    assert_int_equal(loops_explore(&how, 1, true, prepare), 0);
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
    assert_int_equal(loops_explore(&how, 1, false, prepare_blind), 1);
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
    assert_int_equal(loops_explore(&how, 1, true, prepare), 0);
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
    assert_int_equal(loops_explore(&how, 2, true, prepare), 0);
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
