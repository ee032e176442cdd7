/* The timer wheel against a plain list: nothing early, nothing late, nothing lost. */
#include "support/in_task.h"

#include "support/random.h"

#include "rt/loop.h"

#define TIMERS 400

struct model {
    struct timer timer;
    int64_t wanted_ns; /* WEIR_NEVER_NS: not set */
    bool fired;
};

static struct loop loop;
static struct model models[TIMERS];
static int64_t now_ns;

static void fired(struct timer *timer)
{
    struct model *model = container_of(timer, struct model, timer);

    assert_true(model->wanted_ns != WEIR_NEVER_NS);
    assert_true(model->wanted_ns <= now_ns);
    assert_false(timer_is_set(timer));
    model->fired = true;
    model->wanted_ns = WEIR_NEVER_NS;
}

/* What is due by a whole tick before now must have fired. */
static void check_none_late(void)
{
    for (int i = 0; i < TIMERS; i++)
        if (models[i].wanted_ns != WEIR_NEVER_NS)
            assert_true(models[i].wanted_ns > now_ns - 2 * WHEEL_TICK_NS);
}

static void check_next(void)
{
    int64_t next = wheel_next_ns(&loop.wheel), first = WEIR_NEVER_NS;

    for (int i = 0; i < TIMERS; i++)
        if (models[i].wanted_ns < first)
            first = models[i].wanted_ns;
    if (first == WEIR_NEVER_NS)
        assert_true(next == WEIR_NEVER_NS);
    else
        assert_true(next <= first + 2 * WHEEL_TICK_NS);
}

static int64_t random_distance(struct random *random)
{
    int bits = 1 + (int)(random_next(random) % 44);

    return (int64_t)(random_next(random) % (1ull << bits));
}

static void random_timers(void **state)
{
    struct random random;

    (void)state;
    random_begin(&random);
    now_ns = 1234567890;
    loop.now_ns = now_ns;
    wheel_init(&loop.wheel, now_ns);
    for (int i = 0; i < TIMERS; i++) {
        timer_init(&models[i].timer, fired);
        models[i].wanted_ns = WEIR_NEVER_NS;
    }
    for (int step = 0; step < 200000; step++) {
        struct model *model = &models[random_next(&random) % TIMERS];

        switch (random_next(&random) % 4) {
        case 0:
            now_ns += random_distance(&random) / 64;
            loop.now_ns = now_ns;
            wheel_advance(&loop.wheel, now_ns);
            check_none_late();
            break;
        case 1:
            timer_clear(&loop, &model->timer);
            model->wanted_ns = WEIR_NEVER_NS;
            break;
        default:
            model->wanted_ns = now_ns + random_distance(&random);
            timer_set(&loop, &model->timer, model->wanted_ns);
            break;
        }
        if (step % 16 == 0)
            check_next();
    }
}

static void the_far_future_is_reached(void **state)
{
    (void)state;
    now_ns = 0;
    wheel_init(&loop.wheel, 0);
    timer_init(&models[0].timer, fired);
    models[0].fired = false;
    models[0].wanted_ns = INT64_C(3) * 365 * 86400 * 1000000000; /* past the horizon */
    timer_set(&loop, &models[0].timer, models[0].wanted_ns);
    while (!models[0].fired) {
        int64_t next = wheel_next_ns(&loop.wheel);

        assert_true(next != WEIR_NEVER_NS && next > now_ns);
        now_ns = next;
        wheel_advance(&loop.wheel, now_ns);
    }
    assert_true(now_ns >= INT64_C(3) * 365 * 86400 * 1000000000);
}

static struct model *turn_of; /* whose turn is next */

static void fired_in_turn(struct timer *timer)
{
    assert_ptr_equal(timer, &turn_of->timer);
    turn_of++;
    /* Those of the same slot may be cleared, and set anew, before their turn. */
    if (turn_of == &models[20])
        for (; turn_of < &models[30]; turn_of++)
            timer_clear(&loop, &turn_of->timer);
}

/* However far off they are when they are set: they come down from several levels. */
static void timers_of_one_tick_fire_in_the_order_of_their_setting(void **state)
{
    int64_t at_ns = (int64_t)(64 * 64 * 3 + 64 * 5 + 7) * WHEEL_TICK_NS;

    (void)state;
    now_ns = 0;
    wheel_init(&loop.wheel, 0);
    turn_of = models;
    for (int i = 0; i < TIMERS; i++) {
        timer_init(&models[i].timer, fired_in_turn);
        now_ns = at_ns / TIMERS * i;
        wheel_advance(&loop.wheel, now_ns);
        timer_set(&loop, &models[i].timer, at_ns);
    }
    wheel_advance(&loop.wheel, at_ns - 1);
    assert_ptr_equal(turn_of, models);
    wheel_advance(&loop.wheel, at_ns);
    assert_ptr_equal(turn_of, models + TIMERS);
    assert_true(wheel_next_ns(&loop.wheel) == WEIR_NEVER_NS);
}

/* Not after the current tick, below 0, never: the next tick, or none. */
static void times_that_have_passed_are_due_at_once(void **state)
{
    const int64_t times[] = { 0, -1, INT64_MIN, INT64_C(5000) * WHEEL_TICK_NS };

    (void)state;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        now_ns = INT64_C(5000) * WHEEL_TICK_NS;
        wheel_init(&loop.wheel, now_ns);
        turn_of = models;
        timer_init(&models[0].timer, fired_in_turn);
        timer_set(&loop, &models[0].timer, WEIR_NEVER_NS);
        assert_false(timer_is_set(&models[0].timer));
        timer_set(&loop, &models[0].timer, times[i]);
        assert_true(wheel_next_ns(&loop.wheel) == now_ns + WHEEL_TICK_NS);
        wheel_advance(&loop.wheel, now_ns + WHEEL_TICK_NS);
        assert_ptr_equal(turn_of, models + 1);
        assert_true(wheel_next_ns(&loop.wheel) == WEIR_NEVER_NS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_timers),
        cmocka_unit_test(the_far_future_is_reached),
        cmocka_unit_test(timers_of_one_tick_fire_in_the_order_of_their_setting),
        cmocka_unit_test(times_that_have_passed_are_due_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
