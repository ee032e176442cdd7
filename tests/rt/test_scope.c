/* What scopes promise: joins, failures, deadlines, shields, stops. */
#include "support/in_task.h"

#include <weir/scope.h>
#include <weir/time.h>

static int give(void *arg)
{
    return *(int *)arg;
}

static int give_later(void *arg)
{
    int rc = weir_sleep_ms(5);

    return rc < 0 ? rc : *(int *)arg;
}

static int sleep_long(void *arg)
{
    (void)arg;
    return weir_sleep_ms(60000);
}

static int fail_with_words(void *arg)
{
    (void)arg;
    return weir_fail(-EIO, "disk %d is gone", 3);
}

TASK_TEST(a_join_of_successes_is_0)
{
    int one = 1, zero = 0, rc = -1;

    (void)arg;
    WEIR_SCOPE(s) {
        weir_go(s, give, &one);
        weir_go(s, give_later, &zero);
        rc = weir_join(s);
        CHECK_INT(rc, 0);
        weir_go(s, give, &zero); /* open for more */
        CHECK_INT(weir_join(s), 0);
    }
    return rc;
}

TASK_TEST(the_first_failure_cancels_the_others_and_is_returned)
{
    weir_task slow = { 0, 0 };
    char text[200];

    (void)arg;
    WEIR_SCOPE(s) {
        int result = 0;

        slow = weir_go(s, sleep_long, NULL, .hold = true);
        weir_go(s, fail_with_words, NULL);
        CHECK_INT(weir_join(s), -EIO);
        weir_error_print(text, sizeof(text));
        CHECK_TEXT(text, "disk 3 is gone");
        CHECK_INT(weir_result(slow, &result), 0);
        CHECK_INT(result, -ECANCELED);
        CHECK_INT(weir_join(s), -EIO); /* repeated */
        CHECK_INT(weir_yield(), -ECANCELED);
        CHECK_INT(weir_cancel_reason(NULL), WEIR_REASON_FAILURE);
        weir_go(s, give, NULL); /* never starts: give(NULL) would crash */
        CHECK_INT(weir_join(s), -EIO);
    }
    CHECK_INT(weir_result(slow, &(int){ 0 }), -ESRCH);
    CHECK_INT(weir_yield(), 0);
    weir_recover();
    return 0;
}

TASK_TEST(a_deadline_gives_up_and_says_so)
{
    char text[300];

    (void)arg;
    WEIR_SCOPE(s, .timeout_ms = 10, .name = "profile") {
        weir_go(s, sleep_long, NULL);
        CHECK_INT(weir_join(s), -ETIMEDOUT);
        CHECK(weir_timed_out(s));
        weir_error_print(text, sizeof(text));
        CHECK(strncmp(text, "no answer within 10 ms (scope \"profile\", ", 41) == 0);
    }
    weir_recover();
    WEIR_SCOPE(s, .timeout_ms = 10) {
        weir_go(s, sleep_long, NULL);
        CHECK_INT(weir_join(s), -ETIMEDOUT);
        weir_error_print(text, sizeof(text));
        CHECK(strncmp(text, "no answer within 10 ms (scope at ", 33) == 0);
    }
    weir_recover();
    return 0;
}

TASK_TEST(a_result_beats_the_deadline)
{
    int seven = 7;

    (void)arg;
    WEIR_SCOPE(s, .timeout_ms = 10) {
        weir_go(s, give, &seven);
        weir_go(s, sleep_long, NULL, .optional = true);
        CHECK_INT(weir_join(s), 0); /* the required child succeeded */
        CHECK(weir_timed_out(s));
        CHECK_INT(weir_yield(), -ETIMEDOUT); /* it stays cancelled */
    }
    return 0;
}

TASK_TEST(an_optional_failure_is_kept_and_fails_nothing)
{
    weir_task offer;
    int result = 0;

    (void)arg;
    WEIR_SCOPE(s) {
        offer = weir_go(s, fail_with_words, NULL, .optional = true, .hold = true);
        CHECK_INT(weir_result(offer, &result), -EINPROGRESS);
        CHECK_INT(weir_join(s), 0);
        CHECK_INT(weir_result(offer, &result), 0);
        CHECK_INT(result, -EIO);
    }
    return 0;
}

static int leave_early(int how)
{
    WEIR_SCOPE(s) {
        weir_go(s, sleep_long, NULL);
        if (how == 0)
            return 1;
        if (how == 1)
            break;
        goto out;
    }
    return 2;
out:
    return 3;
}

TASK_TEST(every_way_out_cancels_and_joins)
{
    (void)arg;
    CHECK_INT(leave_early(0), 1);
    CHECK_INT(leave_early(1), 2);
    CHECK_INT(leave_early(2), 3);
    CHECK_INT(weir_yield(), 0);
    return 0;
}

/* The body that fail-fast cancelled returns the cancel; the cause is in the chain. */
static int body_cut_short(void)
{
    WEIR_SCOPE(s) {
        weir_go(s, fail_with_words, NULL);
        int rc = weir_sleep_ms(60000);
        if (rc < 0)
            return rc;
    }
    return 0;
}

TASK_TEST(a_body_that_fail_fast_cancels_still_shows_the_cause)
{
    char text[200];

    (void)arg;
    CHECK_INT(body_cut_short(), -ECANCELED);
    weir_error_print(text, sizeof(text));
    CHECK_TEXT(text, "disk 3 is gone");
    weir_recover();
    return 0;
}

static int nested(void *arg)
{
    int rc = 0;

    (void)arg;
    WEIR_SCOPE(s) {
        weir_go(s, sleep_long, NULL);
        weir_go(s, sleep_long, NULL);
        rc = weir_join(s);
        CHECK(!weir_timed_out(s)); /* not its own */
    }
    return rc;
}

TASK_TEST(a_cancel_reaches_nested_scopes)
{
    (void)arg;
    WEIR_SCOPE(s, .timeout_ms = 10) {
        weir_go(s, nested, NULL);
        weir_go(s, nested, NULL);
        CHECK_INT(weir_join(s), -ETIMEDOUT);
    }
    weir_recover();
    return 0;
}

TASK_TEST(children_inherit_the_nearest_deadline)
{
    int64_t before = weir_now().ns;

    (void)arg;
    CHECK(weir_deadline_ns() == WEIR_NEVER_NS);
    WEIR_SCOPE(outer, .timeout_ms = 50) {
        CHECK(weir_deadline_ns() == before + 50000000);
        WEIR_SCOPE(inner, .timeout_ms = 1000)
            CHECK(weir_deadline_ns() == before + 50000000);
        WEIR_SCOPE(tighter, .timeout_ms = 5)
            CHECK(weir_deadline_ns() == before + 5000000);
        WEIR_SCOPE(shield, .shield = true)
            CHECK(weir_deadline_ns() == WEIR_NEVER_NS);
    }
    return 0;
}

TASK_TEST(a_shield_has_its_grace_for_cleaning_up)
{
    int64_t began;

    (void)arg;
    WEIR_SCOPE(s) {
        weir_cancel(s);
        CHECK_INT(weir_yield(), -ECANCELED);
        CHECK_INT(weir_cancel_reason(NULL), WEIR_REASON_ASKED);
        WEIR_SCOPE(clean, .shield = true, .grace_ms = 20) {
            CHECK_INT(weir_sleep_ms(2), 0);
            began = weir_now().ns;
            CHECK_INT(weir_sleep_ms(60000), -ECANCELED);
            CHECK(weir_now().ns - began < 1000000000);
        }
        CHECK_INT(weir_yield(), -ECANCELED);
    }
    return 0;
}

static int live, most_live;

static int count_live(void *arg)
{
    int rc;

    (void)arg;
    if (++live > most_live)
        most_live = live;
    rc = weir_sleep_ms(1);
    live--;
    return rc;
}

TASK_TEST(the_limit_makes_the_opener_wait)
{
    (void)arg;
    WEIR_SCOPE(s, .limit = 3) {
        for (int i = 0; i < 20; i++)
            weir_go(s, count_live, NULL);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(most_live, 3);
    CHECK_INT(live, 0);
    return 0;
}

TASK_TEST(a_cancel_ends_the_wait_at_the_limit)
{
    (void)arg;
    WEIR_SCOPE(s, .limit = 1, .timeout_ms = 10) {
        weir_go(s, sleep_long, NULL);
        weir_go(s, sleep_long, NULL); /* counts as a child that ended so */
        CHECK_INT(weir_join(s), -ETIMEDOUT);
    }
    weir_recover();
    return 0;
}

static int until_stopped(void *arg)
{
    int *seen = arg, rc = 0;

    while (!weir_stopping() && rc == 0)
        rc = weir_sleep_ms(1);
    *seen = weir_stopping();
    return rc;
}

TASK_TEST(a_stop_asks_and_cancels_nothing)
{
    int seen = 0;

    (void)arg;
    WEIR_SCOPE(s) {
        weir_go(s, until_stopped, &seen);
        CHECK_INT(weir_sleep_ms(3), 0);
        weir_stop(s);
        CHECK_INT(weir_join(s), 0);
        CHECK_INT(weir_yield(), 0);
    }
    CHECK_INT(seen, 1);
    return 0;
}

static int spawn_tree(void *arg)
{
    int depth = *(int *)arg - 1, rc = 0;

    if (depth == 0)
        return 0;
    WEIR_SCOPE(s) {
        weir_go(s, spawn_tree, &depth);
        weir_go(s, spawn_tree, &depth);
        rc = weir_join(s);
    }
    return rc;
}

TASK_TEST(a_tree_of_scopes)
{
    int depth = 12;

    (void)arg;
    WEIR_SCOPE(s) {
        weir_go(s, spawn_tree, &depth);
        CHECK_INT(weir_join(s), 0);
    }
    return 0;
}

TASK_TEST(context_is_inherited)
{
    weir_context context = { .correlation_id = WEIR_S("abc") };

    (void)arg;
    CHECK_INT(weir_context_get()->correlation_id.len, 0);
    WEIR_SCOPE(s) {
        weir_scope_set_context(s, &context);
        WEIR_SCOPE(inner)
            CHECK(weir_context_get() == &context);
    }
    CHECK_INT(weir_context_get()->correlation_id.len, 0);
    return 0;
}

static int fill(void *arg)
{
    CHECK(weir_alloc(100) != NULL); /* the task's memory */
    return snprintf(arg, 8, "%d", 42);
}

TASK_TEST(the_loops_stack_runs_a_function)
{
    char text[8] = "";

    (void)arg;
    CHECK_INT(weir_on_loop_stack(fill, text), 2);
    CHECK_TEXT(text, "42");
    return 0;
}

TASK_TEST(memory_of_a_task)
{
    weir_str text = weir_format("%s-%d", "a", 7);
    char *big = weir_alloc(100000);

    (void)arg;
    CHECK(weir_str_eq(text, WEIR_S("a-7")));
    CHECK(big != NULL);
    memset(big, 1, 100000);
    CHECK(weir_str_eq(weir_str_dup(WEIR_S("xyz")), WEIR_S("xyz")));
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_join_of_successes_is_0),
        cmocka_unit_test(the_first_failure_cancels_the_others_and_is_returned),
        cmocka_unit_test(a_deadline_gives_up_and_says_so),
        cmocka_unit_test(a_result_beats_the_deadline),
        cmocka_unit_test(an_optional_failure_is_kept_and_fails_nothing),
        cmocka_unit_test(every_way_out_cancels_and_joins),
        cmocka_unit_test(a_body_that_fail_fast_cancels_still_shows_the_cause),
        cmocka_unit_test(a_cancel_reaches_nested_scopes),
        cmocka_unit_test(children_inherit_the_nearest_deadline),
        cmocka_unit_test(a_shield_has_its_grace_for_cleaning_up),
        cmocka_unit_test(the_limit_makes_the_opener_wait),
        cmocka_unit_test(a_cancel_ends_the_wait_at_the_limit),
        cmocka_unit_test(a_stop_asks_and_cancels_nothing),
        cmocka_unit_test(a_tree_of_scopes),
        cmocka_unit_test(context_is_inherited),
        cmocka_unit_test(the_loops_stack_runs_a_function),
        cmocka_unit_test(memory_of_a_task),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
