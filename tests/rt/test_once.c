/* Once and single-flight: who runs it and who is given what, a cancel at every
 * wait, random callers, allocations that fail, and mistakes. */
#include "rt/sync_run.h"

#include <weir/sync.h>

#include "support/fault.h"
#include "support/random.h"

static void check_error(const char *wanted)
{
    char text[200];

    weir_error_print(text, sizeof(text));
    CHECK_TEXT(text, wanted);
}

/* ---- once --------------------------------------------------------------------- */

static struct setup {
    weir_once once;
    int failures; /* to come */
    int tries, done;
} setup;

static int set_up(void *arg)
{
    int rc;

    (void)arg;
    setup.tries++;
    CHECK_INT(weir_run_once(&setup.once, set_up, NULL), -EDEADLK);
    weir_recover();
    rc = weir_sleep_ms(2);
    if (rc == 0 && setup.failures > 0) {
        setup.failures--;
        return weir_fail(-EIO, "no luck");
    }
    setup.done += rc == 0;
    return rc < 0 ? rc : 7;
}

static int need_setup(void *arg)
{
    int rc = weir_run_once(&setup.once, set_up, NULL);

    if (rc == 0)
        CHECK_INT(setup.done, 1);
    *(int *)arg = rc;
    return rc;
}

TASK_TEST(once_is_tried_until_it_has_succeeded)
{
    int rcs[5];

    (void)arg;
    setup = (struct setup){ .once.shared = TEST_SHARED, .failures = 2 };
    WEIR_SCOPE(s) {
        for (int i = 0; i < 5; i++)
            weir_go(s, need_setup, &rcs[i], .optional = true);
        CHECK_INT(weir_join(s), 0);
    }
    for (int i = 0; i < 5; i++)
        CHECK_INT(rcs[i], i < 2 ? -EIO : 0);
    CHECK_INT(setup.tries, 3);
    CHECK_INT(weir_run_once(&setup.once, set_up, NULL), 0);
    CHECK_INT(setup.tries, 3);
    return 0;
}

/* ---- single-flight --------------------------------------------------------------- */

struct answer {
    int number;
    int *references;
};

static struct flying {
    weir_single_flight *group;
    int runs, aloft, references;
    int fail;  /* the code to fail with */
    bool deaf; /* a flight takes no notice of a cancel */
} flying;

struct caller {
    weir_str key;
    int id, rc;
    struct answer answer;
};

static void share_answer(void *result)
{
    ++*((struct answer *)result)->references;
}

static void open_flights(uint32_t max_flights)
{
    flying = (struct flying){ .runs = 0 };
    CHECK_INT(weir_single_flight_new(&flying.group, .shared = TEST_SHARED, .name = "answers",
                                     .max_flights = max_flights,
                                     .result_bytes = sizeof(struct answer), .share = share_answer),
              0);
}

static int fly(void *arg, void *ret_result)
{
    struct caller *c = arg;
    int rc;

    flying.runs++;
    CHECK_INT(
        weir_single_flight_run(flying.group, c->key, fly, c, ret_result, sizeof(struct answer)),
        -EDEADLK);
    weir_recover();
    rc = weir_sleep_ms(3);
    if (rc < 0 && !flying.deaf)
        return weir_wrap(rc, "on the way");
    if (flying.fail)
        return weir_wrap(weir_fail(flying.fail, "fog"), "flight of %d", c->id);
    flying.references++;
    *(struct answer *)ret_result = (struct answer){ c->id, &flying.references };
    return 5;
}

static int call(void *arg)
{
    struct caller *c = arg;

    c->answer.number = -1;
    c->rc = weir_single_flight_run(flying.group, c->key, fly, c, &c->answer, sizeof(c->answer));
    if (c->rc > 0)
        flying.references--; /* each caller has one */
    else
        CHECK_INT(c->answer.number, -1);
    if (c->rc == -EIO)
        check_error("flight of 0: fog");
    return c->rc;
}

TASK_TEST(a_flight_is_shared)
{
    struct caller callers[5] = { { .key = WEIR_S("a") },
                                 { .key = WEIR_S("a") },
                                 { .key = WEIR_S("b") },
                                 { .key = WEIR_S("a") },
                                 { .key = WEIR_S("") } };

    (void)arg;
    open_flights(0);
    for (int fail = 0; fail >= -EIO; fail -= EIO) {
        flying.fail = fail;
        flying.runs = 0;
        WEIR_SCOPE(s) {
            for (int i = 0; i < 5; i++) {
                callers[i].id = fail && i % 2 == 0 ? 0 : i; /* whose name is in the text */
                weir_go(s, call, &callers[i], .optional = true);
            }
            CHECK_INT(weir_join(s), 0);
        }
        CHECK_INT(flying.runs, 3);
        CHECK_INT(flying.references, 0);
        for (int i = 0; i < 5; i++)
            CHECK_INT(callers[i].rc, fail ? fail : 5);
        CHECK_INT(callers[3].answer.number, fail ? -1 : 0);
    }
    weir_single_flight_free(flying.group);
    weir_single_flight_free(NULL);
    return 0;
}

/* The leader is cancelled: the next leads, and the third gets what it got. */
static void lose_the_leader(bool deaf)
{
    char name[] = "key";
    struct caller leader = { .key = { name, 3 } }, callers[3];

    open_flights(0);
    flying.deaf = deaf;
    WEIR_SCOPE(s) {
        WEIR_SCOPE(first) {
            weir_go(first, call, &leader, .optional = true);
            settle();
            for (int i = 0; i < 3; i++) {
                callers[i] = (struct caller){ .key = WEIR_S("key"), .id = i + 1 };
                weir_go(s, call, &callers[i]);
            }
            settle();
            CHECK_INT(flying.runs, 1);
            weir_cancel(first);
            WEIR_IGNORE(weir_join(first), "cancelled");
        }
        weir_recover();
        memset(name, '?', 3); /* the key is the flight's own */
        settle();
        CHECK_INT(flying.runs, deaf ? 1 : 2);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(leader.rc, deaf ? 5 : -ECANCELED);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(callers[i].rc, 5);
        CHECK_INT(callers[i].answer.number, deaf ? 0 : 1);
    }
    CHECK_INT(flying.references, 0);
    weir_single_flight_free(flying.group);
}

TASK_TEST(a_flight_outlives_its_leader)
{
    (void)arg;
    lose_the_leader(false);
    lose_the_leader(true);
    return 0;
}

static weir_scope second; /* around the next leader */

static int call_then_cancel(void *arg)
{
    int rc = call(arg);

    weir_cancel(second);
    return rc;
}

static int need_setup_then_cancel(void *arg)
{
    int rc = need_setup(arg);

    weir_cancel(second);
    return rc;
}

/* Cancelled in the turn in which it was made the leader, it does not begin. */
static void lose_two_leaders(weir_fn *first, weir_fn *others, void *const args[3])
{
    WEIR_SCOPE(s) {
        WEIR_SCOPE(around_second) {
            second = around_second;
            WEIR_SCOPE(around_first, .shield = true) {
                weir_go(around_first, first, args[0], .optional = true);
                settle();
                weir_go(around_second, others, args[1], .optional = true);
                settle();
                weir_go(s, others, args[2]);
                settle();
                weir_cancel(around_first);
                WEIR_IGNORE(weir_join(around_first), "cancelled");
            }
            WEIR_IGNORE(weir_join(around_second), "cancelled");
        }
        weir_recover();
        CHECK_INT(weir_join(s), 0);
    }
}

TASK_TEST(a_leader_cancelled_before_its_first_step_hands_on)
{
    struct caller callers[3];
    void *args[3];
    int rcs[3];

    (void)arg;
    open_flights(0);
    for (int i = 0; i < 3; i++) {
        callers[i] = (struct caller){ .key = WEIR_S("k"), .id = i };
        args[i] = &callers[i];
    }
    lose_two_leaders(call_then_cancel, call, args);
    CHECK_INT(callers[0].rc, -ECANCELED);
    CHECK_INT(callers[1].rc, -ECANCELED);
    CHECK_INT(callers[2].answer.number, 2);
    CHECK_INT(flying.runs, 2);
    weir_single_flight_free(flying.group);

    setup = (struct setup){ .once.shared = TEST_SHARED };
    for (int i = 0; i < 3; i++)
        args[i] = &rcs[i];
    lose_two_leaders(need_setup_then_cancel, need_setup, args);
    CHECK_INT(rcs[0], -ECANCELED);
    CHECK_INT(rcs[1], -ECANCELED);
    CHECK_INT(rcs[2], 0);
    CHECK_INT(setup.tries, 2);
    return 0;
}

TASK_TEST(flights_are_bounded_and_checked)
{
    struct caller one = { .key = WEIR_S("one") }, two = { .key = WEIR_S("two") };
    struct answer answer;

    (void)arg;
    open_flights(1);
    WEIR_SCOPE(s) {
        weir_go(s, call, &one);
        settle();
        CHECK_INT(call(&two), WEIR_EFULL);
        check_error("1 flights of \"answers\" are under way already");
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(call(&two), 5);
    CHECK_INT(weir_single_flight_run(flying.group, one.key, fly, &one, &answer, 1), -EINVAL);
    CHECK_INT(
        weir_single_flight_run(flying.group, weir_str_c(NULL), fly, &one, &answer, sizeof(answer)),
        -ENOMEM);
    CHECK_INT(weir_single_flight_run(flying.group, weir_str_from("", SIZE_MAX), fly, &one, &answer,
                                     sizeof(answer)),
              -EINVAL);
    weir_recover();
    weir_single_flight_free(flying.group);
    return 0;
}

/* ---- random flights, on the simulator ---------------------------------------------- */

enum { KEYS = 3, CALLERS = 10, CALLS = 40 };

static struct crowd {
    struct random random;
    weir_single_flight *group;
    int aloft[KEYS], landed[KEYS]; /* how many of a key fly now; the last number */
    int next, shared, led, gave_up;
} crowd;

static int fly_random(void *arg, void *ret_result)
{
    int key = *(int *)arg, number = ++crowd.next, rc;

    CHECK_INT(crowd.aloft[key]++, 0);
    rc = weir_sleep_ms(random_below(&crowd.random, 4));
    crowd.aloft[key]--;
    if (rc < 0)
        return rc;
    crowd.landed[key] = number;
    crowd.led++;
    *(int *)ret_result = number;
    return random_below(&crowd.random, 4) == 0 ? -EIO : 1;
}

static int call_random(void *arg)
{
    (void)arg;
    for (int i = 0; i < CALLS; i++) {
        int key = (int)random_below(&crowd.random, KEYS), number = 0, rc = 0;
        char name = (char)('a' + key);
        bool limited = random_below(&crowd.random, 2);
        uint32_t limit_ms = limited ? 1 + random_below(&crowd.random, 5) : 100000;

        WEIR_SCOPE(s, .timeout_ms = limit_ms) {
            int before = crowd.next;

            rc = weir_single_flight_run(crowd.group, weir_str_from(&name, 1), fly_random, &key,
                                        &number, sizeof(number));
            /* Others' cancels are never its own. */
            CHECK(rc == 1 || rc == -EIO || (rc == -ETIMEDOUT && limited));
            if (rc == 1 && number <= before)
                crowd.shared++;
            CHECK(rc != 1 || (number > 0 && number <= crowd.next));
        }
        crowd.gave_up += rc == -ETIMEDOUT;
        weir_recover();
        rc = weir_sleep_ms(random_below(&crowd.random, 3));
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int crowd_run(void *arg)
{
    (void)arg;
    CHECK_INT(
        weir_single_flight_new(&crowd.group, .shared = TEST_SHARED, .result_bytes = sizeof(int)),
        0);
    WEIR_SCOPE(s) {
        for (int i = 0; i < CALLERS; i++)
            weir_go(s, call_random, NULL);
        CHECK_INT(weir_join(s), 0);
    }
    weir_single_flight_free(crowd.group);
    return 0;
}

static void random_flights_are_shared(void **state)
{
    struct random random;
    int shared = 0, gave_up = 0;

    (void)state;
    random_begin(&random);
    for (int i = 0; i < 30; i++) {
        crowd = (struct crowd){ .random = { random_next(&random) } };
        assert_int_equal(SIMULATED(crowd_run, opts.seed = random_next(&random)), 0);
        shared += crowd.shared;
        gave_up += crowd.gave_up;
    }
    assert_true(shared > 100);
    assert_true(gave_up > 100);
    assert_int_equal(rt_wrong_uses(), 0);
}

/* ---- a cancel at every wait ----------------------------------------------- */

static int swept_once(void *arg)
{
    int rcs[4], rc;

    (void)arg;
    setup = (struct setup){ .once.shared = TEST_SHARED };
    WEIR_SCOPE(outer) {
        WEIR_SCOPE(s) {
            sweep_at(s);
            weir_go(s, need_setup, &rcs[0]);
            weir_go(s, need_setup, &rcs[1]);
            weir_go(outer, need_setup, &rcs[2]);
            weir_go(s, need_setup, &rcs[3]);
            rc = weir_join(s);
            sweep_over();
            CHECK(rc == 0 || gave_up(rc));
        }
        weir_recover();
        CHECK_INT(weir_join(outer), 0);
    }
    CHECK_INT(rcs[2], 0);
    CHECK_INT(setup.done, 1);
    return 0;
}

static int swept_flight(void *arg)
{
    struct caller callers[5];
    int rc;

    (void)arg;
    open_flights(0);
    WEIR_SCOPE(outer) {
        WEIR_SCOPE(s) {
            sweep_at(s);
            for (int i = 0; i < 5; i++) {
                callers[i] = (struct caller){ .key = WEIR_S("key"), .id = i };
                weir_go(i & 2 ? outer : s, call, &callers[i]);
            }
            rc = weir_join(s);
            sweep_over();
            CHECK(rc == 0 || gave_up(rc));
        }
        weir_recover();
        CHECK_INT(weir_join(outer), 0);
    }
    CHECK_INT(callers[2].rc, 5);
    CHECK_INT(callers[3].rc, 5);
    CHECK_INT(flying.references, 0);
    weir_single_flight_free(flying.group);
    return 0;
}

static void every_wait(void **state)
{
    (void)state;
    sweep_everywhere(swept_once, 4);
    sweep_everywhere(swept_flight, 5);
}

/* ---- allocations that fail ------------------------------------------------------------ */

static int call_with_faults(void *arg)
{
    struct caller *c = arg;

    call(c);
    CHECK(c->rc == 5 || c->rc == -ENOMEM || c->rc == -ECANCELED); /* with another */
    return c->rc;
}

static int fly_with_faults(void *arg)
{
    struct caller callers[3] = { { .key = WEIR_S("a") },
                                 { .key = WEIR_S("a") },
                                 { .key = WEIR_S("b") } };
    int rc;

    (void)arg;
    flying = (struct flying){ .runs = 0 };
    rc = weir_single_flight_new(&flying.group, .shared = TEST_SHARED,
                                .result_bytes = sizeof(struct answer), .share = share_answer);
    if (rc < 0)
        return rc;
    WEIR_SCOPE(s) {
        for (int i = 0; i < 3; i++)
            weir_go(s, call_with_faults, &callers[i]);
        rc = weir_join(s);
    }
    weir_single_flight_free(flying.group);
    return rc;
}

static int runtime_with_faults(void *arg)
{
    struct sim *sim;
    int rc;

    (void)arg;
    sim_opts_init(&simulation);
    sim = sim_new(&simulation);
    if (!sim)
        return -ENOMEM;
    rc = sim_run(sim, fly_with_faults, NULL, NULL);
    sim_free(sim);
    weir_recover();
    return rc;
}

static void flights_without_memory(void **state)
{
    (void)state;
    assert_true(fault_sweep(runtime_with_faults, NULL) > 5);
}

/* ---- mistakes ------------------------------------------------------------- */

static int free_flights(void *arg)
{
    struct caller one = { .key = WEIR_S("k"), .id = 1 }, two = { .key = WEIR_S("k"), .id = 2 };

    (void)arg;
    open_flights(0);
    WEIR_SCOPE(s) {
        weir_go(s, call, &one);
        weir_go(s, call, &two, .optional = true);
        settle();
        weir_single_flight_free(flying.group);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(one.rc, 5);
    CHECK_INT(two.rc, WEIR_ECLOSED);
    return 0;
}

static void mistakes_are_named(void **state)
{
    (void)state;
    expect_wrong_use(free_flights, "\"answers\" was freed with 1 flights under way");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(once_is_tried_until_it_has_succeeded),
        cmocka_unit_test(a_flight_is_shared),
        cmocka_unit_test(a_flight_outlives_its_leader),
        cmocka_unit_test(a_leader_cancelled_before_its_first_step_hands_on),
        cmocka_unit_test(flights_are_bounded_and_checked),
        cmocka_unit_test(random_flights_are_shared),
        cmocka_unit_test(every_wait),
        cmocka_unit_test(flights_without_memory),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
