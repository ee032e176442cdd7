/* What a look at a loop's tasks shows, and the recorder's ring. */
#include "support/in_task.h"

#include "rt/inspect.h"
#include "rt/loop.h"

#include <weir/chan.h>
#include <weir/sim.h>

typedef WEIR_CHAN(int) int_chan;

static int_chan inbox;

static int receiver(void *arg)
{
    int item;

    (void)arg;
    return weir_recv(inbox, &item);
}

/* The task whose site ends in this function's name. */
static bool find(const char *function, struct inspect_task *ret_task)
{
    struct loop *loop = loop_self();
    const struct task *task;
    uint32_t cursor = 0;

    while ((task = inspect_next(loop, &cursor)) != NULL) {
        inspect_task(loop, task, ret_task);
        if (strcmp(ret_task->name, function) == 0)
            return true;
    }
    return false;
}

TASK_TEST(a_parked_task_says_what_it_waits_for_where_and_since_when)
{
    struct inspect_task seen;

    (void)arg;
    CHECK_INT(weir_chan_open(&inbox, .capacity = 1), 0);
    WEIR_SCOPE(outer, .name = "orders") {
        WEIR_SCOPE(inner, .name = "order 7", .timeout_ms = 60000) {
            weir_go(inner, receiver, NULL);
            CHECK_INT(weir_sleep_ms(20), 0);
            CHECK(find("receiver", &seen));
            CHECK_INT(seen.state, INSPECT_PARKED);
            CHECK_TEXT(seen.what, "receive from a channel");
            CHECK(seen.object == inbox.chan);
            CHECK(strstr(seen.path, "orders > order 7") != NULL);
            CHECK(strstr(seen.site, "test_inspect.c:") != NULL);
            CHECK(seen.waited_ns >= 10000000 && seen.age_ns >= seen.waited_ns);
            CHECK(seen.left_ns > 0 && seen.left_ns < 60000000000);
            CHECK(seen.stack_pointer > (const void *)seen.stack_low &&
                  seen.stack_pointer < (const void *)seen.stack_high);
            weir_close(inbox);
            CHECK_INT(weir_join(inner), 0);
        }
        CHECK_INT(weir_join(outer), 0);
    }
    CHECK(!find("receiver", &seen));
    weir_chan_free(inbox);
    return 0;
}

static int sleeper(void *arg)
{
    (void)arg;
    return weir_sleep_ms(60000);
}

TASK_TEST(a_walk_sees_each_task_once_while_others_start_and_end)
{
    enum { TASKS = 5000 };
    struct loop *loop = loop_self();
    const struct task *task;
    uint32_t cursor = 0, sleepers = 0, steps = 0;

    (void)arg;
    WEIR_SCOPE(s) {
        for (int i = 0; i < TASKS; i++)
            weir_go(s, sleeper, NULL);
        CHECK_INT(weir_yield(), 0);
        while ((task = inspect_next(loop, &cursor)) != NULL) {
            sleepers += strcmp(task_name(task), "sleeper") == 0;
            if (++steps % 100 == 0) {
                WEIR_SCOPE(other) {
                    weir_go(other, receiver, NULL);
                    weir_cancel(other);
                    CHECK_INT(weir_join(other), -ECANCELED);
                }
            }
        }
        weir_cancel(s);
        CHECK_INT(weir_join(s), -ECANCELED);
    }
    CHECK_INT(sleepers, TASKS);
    return 0;
}

/* The table does not shrink: behind a crowd that has left, steps find nobody, and end. */
TASK_TEST(a_step_through_an_emptied_table_is_bounded)
{
    enum { TASKS = 5 * INSPECT_SLOTS };
    struct loop *loop = loop_self();
    uint32_t cursor = 0, steps = 0, seen = 0;

    (void)arg;
    WEIR_SCOPE(s) {
        for (int i = 0; i < TASKS; i++)
            weir_go(s, sleeper, NULL);
        weir_cancel(s);
        CHECK_INT(weir_join(s), -ECANCELED);
    }
    while (!inspect_at_end(loop, cursor)) {
        uint32_t from = cursor, until = cursor + INSPECT_SLOTS;

        while (inspect_next_until(loop, &cursor, until))
            seen++;
        CHECK(cursor > from && cursor <= until);
        steps++;
    }
    CHECK(steps >= 5);
    CHECK_INT(seen, inspect_count(loop));
    return 0;
}

static void a_path_that_is_too_long_keeps_its_innermost_scopes(void **state)
{
    struct scope scopes[20];
    struct task task = { .state = TASK_QUEUED };
    struct loop loop = { .index = 0 };
    struct inspect_task seen;

    (void)state;
    memset(scopes, 0, sizeof(scopes));
    for (int i = 0; i < 20; i++) {
        scopes[i].name = i % 2 ? "an odd scope" : "an even scope";
        scopes[i].parent = i > 0 ? &scopes[i - 1] : NULL;
    }
    task.scope = &scopes[19];
    inspect_task(&loop, &task, &seen);
    assert_true(strlen(seen.path) < sizeof(seen.path));
    assert_memory_equal(seen.path, "... ", 4);
    assert_string_equal(seen.path + strlen(seen.path) - 28, "an even scope > an odd scope");
}

static void the_recorder_keeps_the_last_events_in_order(void **state)
{
    struct recorder *recorder = recorder_new(8);
    struct record_event events[16];
    uint64_t from = 0;

    (void)state;
    assert_non_null(recorder);
    for (int i = 0; i < 5; i++)
        recorder_add(recorder, RECORD_RUN, 1, 1, NULL, i);
    assert_int_equal(recorder_read(recorder, &from, events, 16), 5);
    assert_int_equal(from, 5);
    assert_int_equal(events[4].value, 4);
    for (int i = 5; i < 100; i++)
        recorder_add(recorder, RECORD_RUN, 1, 1, NULL, i);
    assert_int_equal(recorder_read(recorder, &from, events, 16), 7);
    assert_int_equal(events[0].value, 93);
    assert_int_equal(events[6].value, 99);
    assert_int_equal(from, 100);
    assert_int_equal(recorder_read(recorder, &from, events, 16), 0);
    recorder_free(recorder);
}

static int lives_for(void *arg)
{
    return weir_sleep_ms((uint64_t)(uintptr_t)arg);
}

static weir_task start(weir_scope s, uintptr_t ms)
{
    return weir_go(s, lives_for, (void *)ms);
}

static int old_and_young(void *arg)
{
    struct inspect_task seen;
    char text[160];

    (void)arg;
    WEIR_SCOPE(s) {
        for (int i = 0; i < 10; i++)
            start(s, 1000);
        CHECK_INT(weir_join(s), 0);
        start(s, 60000);
        CHECK_INT(weir_sleep_ms(19000), 0);
        CHECK(find("lives_for", &seen));
        CHECK(seen.suspect == NULL); /* 19 times */
        CHECK_INT(weir_sleep_ms(6000), 0);
        CHECK(find("lives_for", &seen));
        CHECK(seen.suspect != NULL);
        CHECK_TEXT(inspect_suspect(&seen, text, sizeof(text)),
                   "25 times older than its kind's usual life of 1.000 s");
        CHECK_INT(weir_join(s), 0);
    }
    WEIR_SCOPE(s) { /* of another kind, of which none has ended */
        weir_go(s, lives_for, (void *)(uintptr_t)60000);
        CHECK_INT(weir_sleep_ms(50000), 0);
        CHECK(find("lives_for", &seen));
        CHECK(seen.suspect == NULL);
        CHECK_TEXT(inspect_suspect(&seen, text, sizeof(text)), "");
        CHECK_INT(weir_join(s), 0);
    }
    return 0;
}

static void a_task_much_older_than_its_kind_is_suspect(void **state)
{
    weir_sim *sim = weir_sim_new(.seed = 1);

    (void)state;
    assert_non_null(sim);
    assert_int_equal(weir_sim_run(sim, old_and_young, NULL), 0);
    weir_sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_parked_task_says_what_it_waits_for_where_and_since_when),
        cmocka_unit_test(a_walk_sees_each_task_once_while_others_start_and_end),
        cmocka_unit_test(a_step_through_an_emptied_table_is_bounded),
        cmocka_unit_test(a_path_that_is_too_long_keeps_its_innermost_scopes),
        cmocka_unit_test(the_recorder_keeps_the_last_events_in_order),
        cmocka_unit_test(a_task_much_older_than_its_kind_is_suspect),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
