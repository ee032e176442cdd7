/* Classes of work: what background tasks get, and what they may cost the others.
 *
 * In virtual time, where work takes as long as these tests say it does: burn()
 * moves the simulation's clock, as a task that computes does the world's. */
#include "support/both.h"

#include <weir/chan.h>
#include <weir/time.h>

#include "rt/loop.h"
#include "rt/sim_state.h"

#define US 1000
#define MS 1000000

static void burn(int64_t ns)
{
    sim_self()->now_ns += ns;
}

static void simulate(weir_fn *fn, uint64_t seed)
{
    assert_int_equal(SIMULATED(fn, opts.seed = seed), 0);
}

static bool enough;
static int64_t background_ns, request_ns;

static int crunch(void *arg)
{
    (void)arg;
    while (!enough) {
        burn(50 * US);
        background_ns += 50 * US;
        if (weir_yield() < 0)
            break;
    }
    return 0;
}

#define REQUESTS 1000

static int64_t latency_ns[REQUESTS];

static int request(void *arg)
{
    int64_t *began = arg;

    for (int i = 0; i < 5; i++) { /* 50 us of work, in five parts */
        burn(10 * US);
        request_ns += 10 * US;
        if (weir_yield() < 0)
            break;
    }
    *began = sim_self()->now_ns - *began;
    return 0;
}

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* One request a millisecond, beside so many tasks that never have enough. */
static int64_t p99_beside(uint32_t others, bool background)
{
    enough = false;
    background_ns = request_ns = 0;
    WEIR_SCOPE(s) {
        WEIR_SCOPE(crunching, .background = background) {
            for (uint32_t i = 0; i < others; i++)
                weir_go(crunching, crunch, NULL);
            for (int i = 0; i < REQUESTS; i++) {
                /* When it is due: what its timer waits behind counts as well. */
                latency_ns[i] = (sim_self()->now_ns + 2 * MS - 1) / MS * MS;
                CHECK_INT(weir_sleep_ms(1), 0);
                weir_go(s, request, &latency_ns[i]);
            }
            enough = true;
            CHECK_INT(weir_join(crunching), 0);
        }
        CHECK_INT(weir_join(s), 0);
    }
    qsort(latency_ns, REQUESTS, sizeof(*latency_ns), by_number);
    return latency_ns[REQUESTS * 99 / 100];
}

static int compare(void *arg)
{
    int64_t alone = p99_beside(0, true), beside = p99_beside(20, true);
    int64_t background = background_ns, equal;

    (void)arg;
    equal = p99_beside(20, false);
    print_message("p99: alone %lld us, beside background work %lld us, beside equal work %lld us\n",
                  (long long)alone / US, (long long)beside / US, (long long)equal / US);
    CHECK(alone <= 50 * US);
    CHECK(beside <= alone + 100 * US); /* one step of the background's, before and within */
    CHECK(equal > 3 * beside);
    /* Nobody else wanted the rest of the second. */
    CHECK(background >= 900 * (int64_t)MS);
    return 0;
}

static void background_work_does_not_delay_requests(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++)
        simulate(compare, seed);
}

static int endless(void *arg)
{
    (void)arg;
    while (!enough) {
        burn(10 * US);
        request_ns += 10 * US;
        if (weir_yield() < 0)
            break;
    }
    return 0;
}

/* Where there is always a request ready, background work has its share: 12 %. */
static int saturate(void *arg)
{
    double share;

    (void)arg;
    enough = false;
    background_ns = request_ns = 0;
    WEIR_SCOPE(s) {
        for (int i = 0; i < 10; i++)
            weir_go(s, endless, NULL);
        WEIR_SCOPE(crunching, .background = true) {
            for (int i = 0; i < 10; i++)
                weir_go(crunching, crunch, NULL);
            CHECK_INT(weir_sleep_ms(2000), 0);
            enough = true;
            CHECK_INT(weir_join(crunching), 0);
        }
        CHECK_INT(weir_join(s), 0);
    }
    share = (double)background_ns / (double)(background_ns + request_ns);
    print_message("the background's share of a busy loop: %.1f %%\n", share * 100);
    CHECK(share > 0.09 && share < 0.14);
    return 0;
}

static void background_work_is_never_starved(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++)
        simulate(saturate, seed);
}

static bool ran_in_background;

static int look(void *arg)
{
    (void)arg;
    ran_in_background = loop_self()->current->task->flags & TASK_BACKGROUND;
    return 0;
}

static int look_below(void *arg)
{
    int rc = 0;

    WEIR_SCOPE(s) {
        weir_go(s, look, arg);
        rc = weir_join(s);
    }
    return rc;
}

TASK_TEST(the_class_is_inherited)
{
    (void)arg;
    WEIR_SCOPE(s, .background = true) {
        weir_go(s, look_below, NULL);
        CHECK_INT(weir_join(s), 0);
        CHECK(ran_in_background);
    }
    WEIR_SCOPE(s) {
        weir_go(s, look_below, NULL);
        CHECK_INT(weir_join(s), 0);
        CHECK(!ran_in_background);
    }
    return 0;
}

static int look_elsewhere(void *arg)
{
    (void)arg;
    WEIR_SCOPE(s, .background = true) {
        weir_go_on(s, 1, look, NULL);
        CHECK_INT(weir_join(s), 0);
        CHECK(ran_in_background);
    }
    return 0;
}

static void also_on_another_loop(void **state)
{
    (void)state;
    assert_int_equal(weir_run(look_elsewhere, NULL, .loops = 2), 0);
}

/* ---- the cooperative budget --------------------------------------------------------- */

typedef WEIR_CHAN(int) int_chan;

/* It never has to wait: the channel is its own, and always ready. */
static int hammer(void *arg)
{
    int_chan c;
    int got, one = 1;

    (void)arg;
    CHECK_INT(weir_chan_open(&c, .capacity = 4), 0);
    while (!enough) {
        burn(US);
        if (weir_send(c, &one) < 0 || weir_recv(c, &got) < 0)
            break;
    }
    weir_chan_free(c);
    return 0;
}

static int beside_a_hammer(void *arg)
{
    int64_t worst = 0;

    (void)arg;
    enough = false;
    WEIR_SCOPE(s) {
        weir_go(s, hammer, NULL);
        for (int i = 0; i < 100; i++) {
            int64_t due = sim_self()->now_ns + MS;

            CHECK_INT(weir_sleep_ms(1), 0);
            if (sim_self()->now_ns - due > worst)
                worst = sim_self()->now_ns - due;
        }
        enough = true;
        CHECK_INT(weir_join(s), 0);
    }
    /* A timer's tick, and eight budgets of 128 operations, half a microsecond each. */
    CHECK(worst <= MS + 8 * 64 * US);
    return 0;
}

static void a_ready_channel_starves_nobody(void **state)
{
    (void)state;
    simulate(beside_a_hammer, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(background_work_does_not_delay_requests),
        cmocka_unit_test(background_work_is_never_starved),
        cmocka_unit_test(the_class_is_inherited),
        cmocka_unit_test(also_on_another_loop),
        cmocka_unit_test(a_ready_channel_starves_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
