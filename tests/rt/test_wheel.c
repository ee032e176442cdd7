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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_timers),
        cmocka_unit_test(the_far_future_is_reached),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
