/* Failures that nobody joins: who is told of them, and of which. */
#include "support/in_task.h"

#include <weir/scope.h>
#include <weir/time.h>

#include "rt/unseen.h"

struct told {
    int calls, code;
    bool takes;
    char task[64], scopes[200], error[200], links[400];
};

static bool take(void *arg, const weir_failure *failure)
{
    struct told *told = arg;

    told->calls++;
    told->code = failure->code;
    snprintf(told->task, sizeof(told->task), "%s", failure->task);
    snprintf(told->scopes, sizeof(told->scopes), "%s", failure->scopes);
    snprintf(told->error, sizeof(told->error), "%s", failure->error);
    snprintf(told->links, sizeof(told->links), "%s", failure->links);
    weir_fail(-ENOTSUP, "a handler's own");
    return told->takes;
}

static int read_disk(void *arg)
{
    (void)arg;
    return weir_fail(-EIO, "disk %d is gone", 3);
}

static int read_later(void *arg)
{
    int rc = weir_sleep_ms(5);

    return rc < 0 ? rc : read_disk(arg);
}

static int fail_plain(void *arg)
{
    (void)arg;
    return -ENOSPC;
}

static int dawdle(void *arg)
{
    (void)arg;
    return weir_sleep_ms(60000) < 0 ? -EPROTO : 0; /* not the cancel's code */
}

/* Leave a scope whose child fails, and then return what is asked for. */
static int leave_with(weir_fn *fn, int rc)
{
    WEIR_SCOPE(s, .name = "inner") {
        weir_go(s, fn, NULL);
        WEIR_IGNORE(weir_sleep_ms(20), "the failure cuts it short");
        return rc;
    }
    return rc;
}

static int leave_well(void *arg)
{
    (void)arg;
    return leave_with(read_disk, 0);
}

static int leave_plain(void *arg)
{
    (void)arg;
    return leave_with(fail_plain, 0);
}

static int leave_failing(void *arg)
{
    (void)arg;
    return leave_with(read_disk, -EIO);
}

static int leave_running(void *arg)
{
    (void)arg;
    WEIR_SCOPE(s) {
        weir_go(s, dawdle, NULL);
        WEIR_IGNORE(weir_yield(), "only its turn is wanted");
        return 0;
    }
    return 0;
}

static int recover(void *arg)
{
    int rc = leave_well(arg);

    weir_recover();
    return rc;
}

static int run_child(weir_fn *fn)
{
    int rc = 0;

    WEIR_SCOPE(s, .name = "outer") {
        weir_go(s, fn, NULL);
        rc = weir_join(s);
    }
    return rc;
}

TASK_TEST(a_failure_in_the_application_s_scope_reaches_its_handler)
{
    struct told told = { .takes = true };

    (void)arg;
    weir_on_failure(take, &told);
    weir_go(weir_app_scope(), read_disk, NULL);
    CHECK_INT(weir_sleep_ms(5), 0);
    weir_on_failure(NULL, NULL);
    CHECK_INT(told.calls, 1);
    CHECK_INT(told.code, -EIO);
    CHECK_TEXT(told.task, "read_disk");
    CHECK_TEXT(told.scopes, "application");
    CHECK_TEXT(told.error, "disk 3 is gone");
    CHECK(strstr(told.links, "test_unseen.c:") && strstr(told.links, ": disk 3 is gone"));
    CHECK_INT(unseen_count(UNSEEN_FAILURE), 0);
    return 0;
}

TASK_TEST(a_scope_left_without_a_join_is_told_of_when_its_task_succeeds)
{
    struct told told = { .takes = true };

    (void)arg;
    weir_on_failure(take, &told);
    CHECK_INT(run_child(leave_well), 0);
    CHECK_INT(told.calls, 1);
    CHECK_TEXT(told.task, "fn"); /* as the call of weir_go() has it */
    CHECK(strstr(told.scopes, " > outer > ") && strstr(told.scopes, "test_unseen.c:"));
    CHECK_INT(run_child(leave_plain), 0);
    CHECK_INT(told.calls, 2);
    CHECK_INT(told.code, -ENOSPC);
    weir_on_failure(NULL, NULL);
    return 0;
}

TASK_TEST(a_task_that_fails_with_it_or_recovers_from_it_is_no_news)
{
    struct told told = { .takes = true };
    char text[100];

    (void)arg;
    weir_on_failure(take, &told);
    CHECK_INT(run_child(leave_failing), -EIO);
    weir_error_print(text, sizeof(text));
    CHECK_TEXT(text, "disk 3 is gone");
    weir_recover();
    CHECK_INT(run_child(recover), 0);
    CHECK_INT(run_child(leave_running), 0); /* the cancel's doing */
    CHECK_INT(told.calls, 0);
    weir_on_failure(NULL, NULL);
    return 0;
}

TASK_TEST(a_scope_s_handler_is_asked_before_the_application_s)
{
    struct told scope = { .takes = true }, app = { .takes = true };

    (void)arg;
    weir_on_failure(take, &app);
    WEIR_SCOPE(s, .on_failure = take, .failure_arg = &scope) {
        CHECK_INT(run_child(leave_well), 0);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(scope.calls, 1);
    CHECK_INT(app.calls, 0);
    scope.takes = false;
    WEIR_SCOPE(s, .on_failure = take, .failure_arg = &scope) {
        CHECK_INT(run_child(leave_well), 0);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(scope.calls, 2);
    CHECK_INT(app.calls, 1);
    weir_on_failure(NULL, NULL);
    return 0;
}

TASK_TEST(a_scope_s_handler_gets_all_that_its_join_does_not_return)
{
    struct told told = { .takes = true };

    (void)arg;
    WEIR_SCOPE(s, .collect = true, .on_failure = take, .failure_arg = &told) {
        weir_go(s, fail_plain, NULL, .optional = true);
        weir_go(s, fail_plain, NULL);
        weir_go(s, read_later, NULL);
        CHECK_INT(weir_join(s), -ENOSPC);
    }
    CHECK_INT(told.calls, 2);
    CHECK_INT(told.code, -EIO);
    CHECK_TEXT(told.error, "disk 3 is gone");
    weir_recover();
    WEIR_SCOPE(s, .on_failure = take, .failure_arg = &told) {
        weir_go(s, read_disk, NULL);
        WEIR_IGNORE(weir_sleep_ms(5), "the failure cuts it short");
        break; /* without a join */
    }
    CHECK_INT(told.calls, 3);
    weir_error_print(told.error, sizeof(told.error));
    CHECK_TEXT(told.error, ""); /* it was dealt with, and the handler's own is gone */
    return 0;
}

static int succeed_with_chain(void *arg)
{
    WEIR_IGNORE(read_disk(arg), "dropped, which is what is to be counted");
    return 0;
}

TASK_TEST(a_chain_left_by_a_task_that_succeeds_is_counted)
{
    uint64_t before = unseen_count(UNSEEN_CHAIN);

    (void)arg;
    CHECK_INT(run_child(succeed_with_chain), 0);
    CHECK_INT((int)(unseen_count(UNSEEN_CHAIN) - before), 1);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_in_the_application_s_scope_reaches_its_handler),
        cmocka_unit_test(a_scope_left_without_a_join_is_told_of_when_its_task_succeeds),
        cmocka_unit_test(a_task_that_fails_with_it_or_recovers_from_it_is_no_news),
        cmocka_unit_test(a_scope_s_handler_is_asked_before_the_application_s),
        cmocka_unit_test(a_scope_s_handler_gets_all_that_its_join_does_not_return),
        cmocka_unit_test(a_chain_left_by_a_task_that_succeeds_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
