/* weir_all() and weir_race(): results, order, drops, and a cancel at every wait. */
#include "rt/sync_run.h"

#include <weir/jobs.h>
#include <weir/time.h>

struct step {
    uint32_t ms;
    int rc;
    bool stubborn; /* notices no cancel */
    int64_t began_ns;
    int got; /* 1 while it holds what it was for */
};

static int take_step(void *arg)
{
    struct step *step = arg;
    int rc = 0;

    step->began_ns = weir_now().ns;
    if (step->stubborn) {
        WEIR_SCOPE(shield, .shield = true, .grace_ms = 1000)
            rc = weir_sleep_ms(step->ms);
    } else {
        rc = weir_sleep_ms(step->ms);
    }
    if (rc == 0 && step->rc < 0)
        return weir_fail(step->rc, "step of %u ms", step->ms);
    if (rc == 0)
        step->got = 1;
    return rc < 0 ? rc : step->rc;
}

static void undo_step(void *arg)
{
    struct step *step = arg;

    CHECK_INT(step->got, 1);
    step->got = 0;
}

TASK_TEST(all_succeed)
{
    struct step one = { .ms = 3, .rc = 1 }, two = { .ms = 1 };
    weir_job jobs[] = { WEIR_JOB(take_step, &one), WEIR_JOB(take_step, &two, .drop = undo_step) };

    (void)arg;
    CHECK_INT(weir_all(jobs, 2, .timeout_ms = 1000), 0);
    CHECK_INT(jobs[0].rc, 1);
    CHECK_INT(jobs[1].rc, 0);
    CHECK_INT(one.got + two.got, 2);
    CHECK_INT(weir_all(NULL, 0), 0);
    return 0;
}

TASK_TEST(one_failure_cancels_the_others_and_drops_what_they_got)
{
    struct step quick = { .ms = 1 }, kept = { .ms = 1, .rc = 2 }, bad = { .ms = 4, .rc = -EIO };
    struct step slow = { .ms = 60000 }, never = { .ms = 1 };
    weir_job jobs[] = { WEIR_JOB(take_step, &quick, .drop = undo_step), WEIR_JOB(take_step, &kept),
                        WEIR_JOB(take_step, &bad), WEIR_JOB(take_step, &slow),
                        WEIR_JOB(take_step, &never) };
    char text[100];

    (void)arg;
    CHECK_INT(weir_all(jobs, 5, .limit = 2), -EIO);
    weir_error_print(text, sizeof(text));
    CHECK_TEXT(text, "step of 4 ms");
    CHECK_INT(jobs[0].rc, -ECANCELED);
    CHECK_INT(quick.got, 0);
    CHECK_INT(jobs[1].rc, 2); /* without drop it is the caller's */
    CHECK_INT(kept.got, 1);
    CHECK_INT(jobs[2].rc, -EIO);
    CHECK_INT(jobs[3].rc, -ECANCELED);
    CHECK_INT(jobs[4].rc, -ECANCELED);
    CHECK_INT(never.began_ns, 0);
    weir_recover();
    return 0;
}

TASK_TEST(collecting_runs_all_to_their_ends)
{
    struct step bad = { .ms = 5, .rc = -EIO }, worse = { .ms = 1, .rc = -ENOENT };
    struct step good = { .ms = 8, .rc = 6 };
    weir_job jobs[] = { WEIR_JOB(take_step, &bad), WEIR_JOB(take_step, &worse),
                        WEIR_JOB(take_step, &good, .drop = undo_step) };

    (void)arg;
    CHECK_INT(weir_all(jobs, 3, .collect = true), -ENOENT);
    CHECK_INT(jobs[0].rc, -EIO);
    CHECK_INT(jobs[1].rc, -ENOENT);
    CHECK_INT(jobs[2].rc, 6);
    CHECK_INT(good.got, 1);
    weir_recover();
    return 0;
}

TASK_TEST(all_at_a_deadline)
{
    struct step slow = { .ms = 60000 }, quick = { .ms = 1 }, never = { .ms = 1 };
    weir_job jobs[] = { WEIR_JOB(take_step, &quick, .drop = undo_step), WEIR_JOB(take_step, &slow),
                        WEIR_JOB(take_step, &never) };

    (void)arg;
    jobs[0].name = "quick";
    CHECK_INT(weir_all(jobs, 3, .timeout_ms = 10, .limit = 1, .name = "three"), -ETIMEDOUT);
    CHECK_INT(jobs[0].rc, -ECANCELED);
    CHECK_INT(jobs[1].rc, -ETIMEDOUT);
    CHECK_INT(jobs[2].rc, -ETIMEDOUT);
    CHECK_INT(quick.got, 0);
    weir_recover();
    WEIR_SCOPE(s) {
        weir_cancel(s);
        CHECK_INT(weir_all(jobs, 3), -ECANCELED);
        CHECK_INT(jobs[0].rc, -ECANCELED);
    }
    return 0;
}

TASK_TEST(the_first_success_is_the_winner)
{
    struct step bad = { .ms = 1, .rc = -EIO }, first = { .ms = 5, .rc = 3 };
    struct step late = { .ms = 9, .rc = 4, .stubborn = true }, slow = { .ms = 60000 };
    weir_job jobs[] = { WEIR_JOB(take_step, &slow, .drop = undo_step),
                        WEIR_JOB(take_step, &late, .drop = undo_step),
                        WEIR_JOB(take_step, &bad, .drop = undo_step),
                        WEIR_JOB(take_step, &first, .drop = undo_step) };
    size_t winner = 99;

    (void)arg;
    CHECK_INT(weir_race(jobs, 4, &winner), 3);
    CHECK_INT(winner, 3);
    CHECK_INT(first.got, 1);
    CHECK_INT(late.got, 0); /* succeeded too late: dropped */
    CHECK_INT(jobs[0].rc, -ECANCELED);
    CHECK_INT(jobs[1].rc, -ECANCELED);
    CHECK_INT(jobs[2].rc, -EIO);
    CHECK_INT(jobs[3].rc, 3);
    CHECK_INT(weir_yield(), 0);
    CHECK_INT(weir_race(jobs, 4, NULL), 3);
    return 0;
}

TASK_TEST(when_all_fail_so_does_the_race)
{
    struct step bad = { .ms = 5, .rc = -EIO }, worse = { .ms = 1, .rc = -ENOENT };
    weir_job jobs[] = { WEIR_JOB(take_step, &bad), WEIR_JOB(take_step, &worse) };
    size_t winner = 99;
    char text[100];

    (void)arg;
    CHECK_INT(weir_race(jobs, 2, &winner), -ENOENT);
    CHECK_INT(winner, 99);
    weir_error_print(text, sizeof(text));
    CHECK_TEXT(text, "step of 1 ms");
    CHECK_INT(weir_race(jobs, 0, &winner), -EINVAL);
    bad.ms = worse.ms = 60000;
    CHECK_INT(weir_race(jobs, 2, &winner, .timeout_ms = 5), -ETIMEDOUT);
    CHECK_INT(jobs[0].rc, -ETIMEDOUT);
    weir_recover();
    return 0;
}

/* The second starts when the first has failed, the third when the second is slow, the
 * fourth not at all. */
TASK_TEST(runners_that_start_one_after_the_other)
{
    struct step bad = { .ms = 2, .rc = -EIO }, slow = { .ms = 60000 };
    struct step good = { .ms = 5, .rc = 1 }, never = { .ms = 1 };
    weir_job jobs[] = { WEIR_JOB(take_step, &bad), WEIR_JOB(take_step, &slow),
                        WEIR_JOB(take_step, &good), WEIR_JOB(take_step, &never) };
    size_t winner = 99;

    (void)arg;
    CHECK_INT(weir_race(jobs, 4, &winner, .stagger_ms = 50), 1);
    CHECK_INT(winner, 2);
    CHECK(slow.began_ns - bad.began_ns < 50000000);
    CHECK(good.began_ns - slow.began_ns >= 50000000);
    CHECK_INT(never.began_ns, 0);
    CHECK_INT(jobs[3].rc, -ECANCELED);
    return 0;
}

/* ---- cancel at every wait ------------------------------------------------------ */

static int run_all(void *arg)
{
    struct step steps[4] = { { .ms = 2 }, { .ms = 2, .stubborn = true }, { .ms = 3 }, { .ms = 4 } };
    weir_job jobs[4];
    int rc = 0, got = 0;

    (void)arg;
    for (int i = 0; i < 4; i++)
        jobs[i] = (weir_job)WEIR_JOB(take_step, &steps[i], .drop = undo_step);
    WEIR_SCOPE(s) {
        sweep_at(s);
        rc = weir_all(jobs, 4, .limit = 2);
        sweep_over();
    }
    for (int i = 0; i < 4; i++)
        got += steps[i].got;
    CHECK(rc == 0 || gave_up(rc));
    CHECK_INT(got, rc == 0 ? 4 : 0);
    weir_recover();
    return 0;
}

static int run_race(void *arg)
{
    struct step steps[4] = { { .ms = 4 },
                             { .ms = 3, .stubborn = true },
                             { .ms = 3, .stubborn = true },
                             { .ms = 1, .rc = -EIO } };
    weir_job jobs[4];
    size_t winner = 0;
    int rc = 0, got = 0;

    (void)arg;
    for (int i = 0; i < 4; i++)
        jobs[i] = (weir_job)WEIR_JOB(take_step, &steps[i], .drop = undo_step);
    WEIR_SCOPE(s) {
        sweep_at(s);
        rc = weir_race(jobs, 4, &winner, .stagger_ms = 1);
        sweep_over();
    }
    for (int i = 0; i < 4; i++)
        got += steps[i].got;
    CHECK(rc == 0 || gave_up(rc));
    CHECK_INT(got, rc == 0 ? 1 : 0);
    CHECK(rc < 0 || steps[winner].got == 1);
    weir_recover();
    return 0;
}

static void all_cancelled_at_any_wait(void **state)
{
    (void)state;
    sweep_everywhere(run_all, 5);
}

static void race_cancelled_at_any_wait(void **state)
{
    (void)state;
    sweep_everywhere(run_race, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_succeed),
        cmocka_unit_test(one_failure_cancels_the_others_and_drops_what_they_got),
        cmocka_unit_test(collecting_runs_all_to_their_ends),
        cmocka_unit_test(all_at_a_deadline),
        cmocka_unit_test(the_first_success_is_the_winner),
        cmocka_unit_test(when_all_fail_so_does_the_race),
        cmocka_unit_test(runners_that_start_one_after_the_other),
        cmocka_unit_test(all_cancelled_at_any_wait),
        cmocka_unit_test(race_cancelled_at_any_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
