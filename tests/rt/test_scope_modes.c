/* Scopes that collect, scopes that race, and who may start children where. */
#include "rt/sync_run.h"

#include <stdatomic.h>

#include <weir/scope.h>
#include <weir/time.h>

struct child {
    uint32_t ms; /* after that it ends, unless cancelled */
    int rc;
    int dropped, ended;
};

static int run_child(void *arg)
{
    struct child *c = arg;
    int rc = c->ms ? weir_sleep_ms(c->ms) : 0;

    c->ended++;
    return rc < 0 ? rc : c->rc < 0 ? weir_fail(c->rc, "child of %u ms", c->ms) : c->rc;
}

/* One that has what it wanted, and notices no cancel. */
static int run_stubborn(void *arg)
{
    struct child *c = arg;

    WEIR_SCOPE(shield, .shield = true, .grace_ms = 1000)
        CHECK_INT(weir_sleep_ms(c->ms), 0);
    c->ended++;
    return c->rc;
}

static void drop_child(void *arg)
{
    struct child *c = arg;

    CHECK(weir_yield() < 0); /* in the loser's own task, which is cancelled */
    WEIR_SCOPE(shield, .shield = true)
        CHECK_INT(weir_sleep_ms(1), 0);
    c->dropped++;
}

/* ---- collect --------------------------------------------------------------- */

TASK_TEST(collecting_awaits_all_and_returns_the_first_failure_by_end)
{
    struct child late = { .ms = 9, .rc = -EIO }, early = { .ms = 2, .rc = -ENOENT };
    struct child good = { .ms = 15, .rc = 4 };
    weir_task tasks[3];
    char text[100];
    int rc;

    (void)arg;
    WEIR_SCOPE(s, .collect = true) {
        tasks[0] = weir_go(s, run_child, &late, .hold = true);
        tasks[1] = weir_go(s, run_child, &early, .hold = true);
        tasks[2] = weir_go(s, run_child, &good, .hold = true);
        CHECK_INT(weir_join(s), -ENOENT);
        weir_error_print(text, sizeof(text));
        CHECK_TEXT(text, "child of 2 ms");
        CHECK_INT(weir_failures(s), 2);
        CHECK_INT(weir_result(tasks[0], &rc), 0);
        CHECK_INT(rc, -EIO);
        CHECK_INT(weir_result(tasks[1], &rc), 0);
        CHECK_INT(rc, -ENOENT);
        CHECK_INT(weir_result(tasks[2], &rc), 0);
        CHECK_INT(rc, 4);
        CHECK_INT(weir_yield(), 0); /* nothing was cancelled */
        weir_go(s, run_child, &good);
        CHECK_INT(weir_join(s), -ENOENT); /* awaited, and repeated */
        CHECK_INT(good.ended, 2);
    }
    weir_recover();
    return 0;
}

TASK_TEST(collecting_at_the_deadline_gives_up_the_rest)
{
    struct child slow = { .ms = 60000 }, quick = { .ms = 1, .rc = 3 };
    weir_task held;
    int rc;

    (void)arg;
    WEIR_SCOPE(s, .collect = true, .timeout_ms = 10) {
        held = weir_go(s, run_child, &quick, .hold = true);
        weir_go(s, run_child, &slow);
        weir_go(s, run_child, &slow, .optional = true);
        CHECK_INT(weir_join(s), -ETIMEDOUT);
        CHECK(weir_timed_out(s));
        CHECK_INT(weir_failures(s), 2);
        CHECK_INT(weir_result(held, &rc), 0);
        CHECK_INT(rc, 3);
    }
    weir_recover();
    return 0;
}

TASK_TEST(a_real_failure_counts_before_the_deadline_that_came_later)
{
    struct child slow = { .ms = 60000 }, bad = { .ms = 1, .rc = -EIO };

    (void)arg;
    WEIR_SCOPE(s, .collect = true, .timeout_ms = 10) {
        weir_go(s, run_child, &bad);
        weir_go(s, run_child, &slow);
        CHECK_INT(weir_join(s), -EIO);
        CHECK_INT(weir_failures(s), 2);
    }
    weir_recover();
    return 0;
}

/* ---- race ------------------------------------------------------------------ */

TASK_TEST(the_first_success_wins_a_race)
{
    struct child bad = { .ms = 1, .rc = -EIO }, good = { .ms = 4, .rc = 7 };
    struct child slow = { .ms = 60000 };
    weir_task expected;
    int64_t began = weir_now().ns;

    (void)arg;
    WEIR_SCOPE(s, .race = true) {
        weir_go(s, run_child, &bad);
        expected = weir_go(s, run_child, &good);
        weir_go(s, run_child, &slow);
        CHECK_INT(weir_winner(s).slot, 0);
        CHECK_INT(weir_sleep_ms(60000), -ECANCELED); /* the body has lost too */
        CHECK_INT(weir_cancel_reason(NULL), WEIR_REASON_WON);
        CHECK_INT(weir_join(s), 7);
        CHECK_INT(weir_winner(s).slot, expected.slot);
        CHECK_INT(weir_winner(s).generation, expected.generation);
        CHECK_INT(weir_failures(s), 2);
        CHECK_INT(weir_join(s), 7); /* repeated */
        weir_go(s, run_child, NULL); /* never starts */
        CHECK_INT(weir_join(s), 7);
    }
    CHECK_INT(weir_error_print(NULL, 0), 0); /* no loser's words */
    CHECK_INT(slow.ended, 1);
    CHECK(weir_now().ns - began < 30000000000);
    return 0;
}

TASK_TEST(a_race_that_all_lose_returns_the_first_failure)
{
    struct child late = { .ms = 6, .rc = -EIO }, early = { .ms = 2, .rc = -ENOENT };
    char text[100];

    (void)arg;
    WEIR_SCOPE(s, .race = true) {
        weir_go(s, run_child, &late);
        weir_go(s, run_child, &early);
        CHECK_INT(weir_join(s), -ENOENT);
        weir_error_print(text, sizeof(text));
        CHECK_TEXT(text, "child of 2 ms");
        CHECK_INT(weir_winner(s).slot, 0);
        CHECK_INT(weir_failures(s), 2);
    }
    weir_recover();
    return 0;
}

TASK_TEST(a_race_has_runners)
{
    struct child bystander = { .rc = 5 };

    (void)arg;
    WEIR_SCOPE(s, .race = true) {
        weir_go(s, run_child, &bystander, .optional = true); /* takes no part */
        CHECK_INT(weir_join(s), -EINVAL);
    }
    weir_recover();
    return 0;
}

TASK_TEST(a_winner_beats_the_deadline_and_a_cancel)
{
    struct child stubborn = { .ms = 20, .rc = 9 };

    (void)arg;
    WEIR_SCOPE(s, .race = true, .timeout_ms = 5) {
        weir_go(s, run_stubborn, &stubborn);
        CHECK_INT(weir_join(s), 9);
        CHECK(weir_timed_out(s));
    }
    WEIR_SCOPE(s, .race = true) {
        weir_go(s, run_stubborn, &stubborn);
        CHECK_INT(weir_yield(), 0);
        weir_cancel(s);
        CHECK_INT(weir_join(s), 9);
    }
    return 0;
}

TASK_TEST(a_deadline_that_nobody_wins_before)
{
    struct child slow = { .ms = 60000 };

    (void)arg;
    WEIR_SCOPE(s, .race = true, .timeout_ms = 5) {
        weir_go(s, run_child, &slow);
        weir_go(s, run_child, &slow);
        CHECK_INT(weir_join(s), -ETIMEDOUT);
    }
    weir_recover();
    return 0;
}

/* Two that succeed after the winner: one is disposed of, one is told. */
TASK_TEST(a_success_that_does_not_win_is_dropped_or_told)
{
    struct child winner = { .ms = 2, .rc = 1 }, dropped = { .ms = 6, .rc = 2 };
    struct child kept = { .ms = 8, .rc = 3 };
    weir_task tasks[3];
    int rc;

    (void)arg;
    WEIR_SCOPE(s, .race = true) {
        tasks[0] = weir_go(s, run_stubborn, &winner, .drop = drop_child, .hold = true);
        tasks[1] = weir_go(s, run_stubborn, &dropped, .drop = drop_child, .hold = true);
        tasks[2] = weir_go(s, run_stubborn, &kept, .hold = true);
        CHECK_INT(weir_join(s), 1);
        CHECK_INT(weir_result(tasks[0], &rc), 0);
        CHECK_INT(rc, 1);
        CHECK_INT(weir_result(tasks[1], &rc), 0);
        CHECK_INT(rc, -ECANCELED);
        CHECK_INT(weir_result(tasks[2], &rc), 0);
        CHECK_INT(rc, 3);
    }
    CHECK_INT(winner.dropped, 0);
    CHECK_INT(dropped.dropped, 1);
    return 0;
}

/* ---- who may start children ------------------------------------------------- */

static int count_start(void *arg)
{
    ++*(int *)arg;
    return 0;
}

/* A task whose own scope is over hands work to the one around it. */
TASK_TEST(a_cancelled_scope_does_not_decide_for_the_one_around_it)
{
    int started = 0;

    (void)arg;
    WEIR_SCOPE(outer) {
        WEIR_SCOPE(inner) {
            weir_cancel(inner);
            CHECK_INT(weir_yield(), -ECANCELED);
            weir_go(outer, count_start, &started);
            weir_go(inner, count_start, &started);
            CHECK_INT(weir_join(inner), -ECANCELED);
        }
        CHECK_INT(weir_join(outer), 0);
        CHECK_INT(weir_yield(), 0);
    }
    CHECK_INT(started, 1);
    return 0;
}

/* At the limit it would have to wait, which it can't: nothing is started. */
TASK_TEST(a_cancelled_task_does_not_wait_for_room)
{
    struct child slow = { .ms = 20 };
    weir_task task;
    int started = 0;

    (void)arg;
    WEIR_SCOPE(outer, .limit = 1) {
        weir_go(outer, run_child, &slow);
        WEIR_SCOPE(inner, .timeout_ms = 3) {
            task = weir_go(outer, count_start, &started); /* gives up at the deadline */
            CHECK_INT(task.slot, 0);
            CHECK_INT(weir_yield(), -ETIMEDOUT);
            task = weir_go(outer, count_start, &started);
            CHECK_INT(task.slot, 0);
        }
        CHECK_INT(weir_join(outer), 0);
        CHECK_INT(weir_failures(outer), 0);
        WEIR_SCOPE(inner) {
            weir_cancel(inner);
            task = weir_go(outer, count_start, &started); /* there is room */
            CHECK(task.slot != 0);
        }
        CHECK_INT(weir_join(outer), 0);
    }
    CHECK_INT(started, 1);
    return 0;
}

/* ---- cancel at every wait ----------------------------------------------------- */

static int held_units; /* what runners have got, and nobody has given back */

static int get_unit(void *arg)
{
    uint32_t *ms = arg;
    int rc = weir_sleep_ms(*ms);

    if (rc < 0)
        return rc;
    WEIR_SCOPE(shield, .shield = true) {
        CHECK_INT(weir_sleep_ms(*ms), 0); /* past the point of return */
        held_units++;
    }
    return rc;
}

static void give_unit(void *arg)
{
    (void)arg;
    held_units--;
}

static int race_for_units(void *arg)
{
    uint32_t waits[] = { 3, 3, 4, 7 };
    int rc = 0;

    (void)arg;
    held_units = 0;
    WEIR_SCOPE(around) {
        sweep_at(around);
        WEIR_SCOPE(s, .race = true, .limit = 3) {
            for (size_t i = 0; i < 4; i++)
                weir_go(s, get_unit, &waits[i], .drop = give_unit);
            rc = weir_join(s);
        }
        sweep_over();
    }
    CHECK_INT(held_units, rc < 0 ? 0 : 1); /* the winner's, and no other */
    CHECK(rc == 0 || gave_up(rc));
    weir_recover();
    return 0;
}

static void a_race_loses_nothing_when_cancelled_at_any_wait(void **state)
{
    (void)state;
    sweep_everywhere(race_for_units, 6);
}

static int collect_nested(void *arg)
{
    struct child good = { .ms = 3 }, bad = { .ms = 2, .rc = -EIO };
    weir_semaphore *semaphore = NULL;
    int rc = weir_semaphore_new(&semaphore, .units = 1);

    (void)arg;
    CHECK_INT(rc, 0);
    WEIR_SCOPE(around) {
        sweep_at(around);
        WEIR_SCOPE(s, .collect = true, .limit = 2) {
            for (int i = 0; i < 3; i++)
                weir_go(s, run_child, i == 1 ? &bad : &good, .needs = semaphore);
            WEIR_SCOPE(inner)
                weir_go(s, run_child, &good, .needs = semaphore);
            rc = weir_join(s);
        }
        sweep_over();
    }
    CHECK(rc == -EIO || gave_up(rc));
    CHECK_INT(weir_try_acquire(semaphore), 0);
    weir_release(semaphore);
    weir_semaphore_free(semaphore);
    weir_recover();
    return 0;
}

static void collecting_with_limit_and_needs_cancelled_at_any_wait(void **state)
{
    (void)state;
    sweep_everywhere(collect_nested, 6);
}

/* ---- runners on other loops ------------------------------------------------------ */

static atomic_int units;

static int get_unit_anywhere(void *arg)
{
    uint32_t ms = *(uint32_t *)arg;
    int rc = weir_sleep_ms(ms);

    if (rc < 0)
        return rc;
    WEIR_SCOPE(shield, .shield = true)
        CHECK_INT(weir_sleep_ms(ms), 0);
    atomic_fetch_add(&units, 1);
    return 5;
}

static void give_unit_back(void *arg)
{
    (void)arg;
    atomic_fetch_sub(&units, 1);
}

static int race_over_loops(void *arg)
{
    uint32_t waits[] = { 2, 2, 3, 60000 };

    (void)arg;
    for (int round = 0; round < 20; round++) {
        atomic_store(&units, 0);
        WEIR_SCOPE(s, .race = true) {
            for (uint32_t i = 0; i < 4; i++)
                weir_go_on(s, i % weir_loops(), get_unit_anywhere, &waits[i],
                           .drop = give_unit_back);
            CHECK_INT(weir_join(s), 5);
        }
        CHECK_INT(atomic_load(&units), 1); /* the winner's */
    }
    return 0;
}

static void a_race_over_three_loops(void **state)
{
    (void)state;
    assert_int_equal(weir_run(race_over_loops, NULL, .loops = 3, .grace_ms = 1000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(collecting_awaits_all_and_returns_the_first_failure_by_end),
        cmocka_unit_test(collecting_at_the_deadline_gives_up_the_rest),
        cmocka_unit_test(a_real_failure_counts_before_the_deadline_that_came_later),
        cmocka_unit_test(the_first_success_wins_a_race),
        cmocka_unit_test(a_race_that_all_lose_returns_the_first_failure),
        cmocka_unit_test(a_race_has_runners),
        cmocka_unit_test(a_winner_beats_the_deadline_and_a_cancel),
        cmocka_unit_test(a_deadline_that_nobody_wins_before),
        cmocka_unit_test(a_success_that_does_not_win_is_dropped_or_told),
        cmocka_unit_test(a_cancelled_scope_does_not_decide_for_the_one_around_it),
        cmocka_unit_test(a_cancelled_task_does_not_wait_for_room),
        cmocka_unit_test(a_race_loses_nothing_when_cancelled_at_any_wait),
        cmocka_unit_test(collecting_with_limit_and_needs_cancelled_at_any_wait),
        cmocka_unit_test(a_race_over_three_loops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
