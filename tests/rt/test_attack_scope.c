/* Scopes where several things happen in one turn: waits at a limit, ends,
 * deadlines with graces, spawned scopes inside each other. */
#include "support/in_task.h"

#include <weir/chan.h>
#include <weir/scope.h>
#include <weir/sync.h>
#include <weir/time.h>

#include "rt/loop.h"
#include "support/fault.h"

typedef WEIR_CHAN(int) int_chan;

static int sleep_for(void *arg)
{
    return weir_sleep_ms(*(uint32_t *)arg);
}

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

TASK_TEST(a_later_deadline_does_not_lengthen_a_grace)
{
    (void)arg;
    WEIR_SCOPE(s) {
        weir_cancel(s);
        WEIR_SCOPE(clean, .shield = true, .grace_ms = 5, .timeout_ms = 60000) {
            CHECK_INT(weir_sleep_ms(30000), -ECANCELED);
            CHECK(!weir_timed_out(clean));
        }
        WEIR_SCOPE(clean, .shield = true, .grace_ms = 60000, .timeout_ms = 5) {
            CHECK_INT(weir_sleep_ms(30000), -ETIMEDOUT);
            CHECK(weir_timed_out(clean));
        }
    }
    return 0;
}

/* ---- children from outside ----------------------------------------------------- */

static struct outside {
    weir_scope scope;
    bool started;
    int ended;
} outside;

static int count_end(void *arg)
{
    int rc = weir_sleep_ms(*(uint32_t *)arg);

    outside.ended++;
    return rc;
}

static int give_on(void *arg)
{
    (void)arg;
    return weir_yield();
}

/* Is ready between the end of the scope's only child and its opener's turn. */
static int start_in_it(void *arg)
{
    static uint32_t ms = 2;

    (void)arg;
    CHECK_INT(weir_yield(), 0);
    weir_go(outside.scope, count_end, &ms);
    outside.started = true;
    return 0;
}

TASK_TEST(a_join_waits_for_a_child_that_came_after_the_last_had_ended)
{
    (void)arg;
    outside = (struct outside){ 0 };
    WEIR_SCOPE(around) {
        WEIR_SCOPE(s) {
            outside.scope = s;
            weir_go(s, give_on, NULL);
            weir_go(around, start_in_it, NULL);
            CHECK_INT(weir_join(s), 0);
            CHECK(outside.started);
            CHECK_INT(outside.ended, 1);
        }
        CHECK_INT(weir_join(around), 0);
    }
    return 0;
}

/* The body leaves the inner scope first, then joins the one around it. */
static int wait_at_its_limit(void *arg)
{
    static uint32_t ms = 1;

    weir_go(outside.scope, count_end, &ms);
    outside.ended += 100;
    *(int *)arg = 1;
    return 0;
}

TASK_TEST(tasks_that_wait_for_room_in_a_scope_outlive_it)
{
    int went[3] = { 0 };
    uint32_t ms = 2;

    (void)arg;
    outside = (struct outside){ 0 };
    WEIR_SCOPE(around) {
        WEIR_SCOPE(s, .limit = 1) {
            outside.scope = s;
            weir_go(s, sleep_for, &ms);
            for (int i = 0; i < 3; i++)
                weir_go(around, wait_at_its_limit, &went[i]);
            CHECK_INT(weir_yield(), 0);
            CHECK_INT(weir_join(s), 0);
        }
        CHECK_INT(weir_join(around), 0);
    }
    for (int i = 0; i < 3; i++)
        CHECK_INT(went[i], 1);
    return 0;
}

static int cancel_it(void *arg)
{
    (void)arg;
    CHECK_INT(weir_yield(), 0);
    weir_cancel(outside.scope);
    return 0;
}

/* Room and the cancel come in one turn: nothing may wait for a unit after that. */
TASK_TEST(a_cancel_that_comes_with_the_room_is_seen)
{
    weir_semaphore *unit;

    (void)arg;
    CHECK_INT(weir_semaphore_new(&unit, .units = 1), 0);
    CHECK_INT(weir_acquire(unit), 0);
    WEIR_SCOPE(around) {
        WEIR_SCOPE(s, .limit = 1) {
            outside.scope = s;
            weir_go(s, give_on, NULL);
            weir_go(around, cancel_it, NULL);
            weir_go(s, do_nothing, NULL, .needs = unit);
            CHECK_INT(weir_join(s), -ECANCELED);
        }
        CHECK_INT(weir_join(around), 0);
    }
    weir_release(unit);
    weir_semaphore_free(unit);
    return 0;
}

/* ---- spawned scopes -------------------------------------------------------------- */

static struct spawned {
    weir_scope outer, inner;
    int outer_rc, inner_rc, order[2], ended;
} spawned;

static void inner_ended(void *arg, int rc, struct chain *chain)
{
    (void)arg;
    chain_free(chain);
    spawned.inner_rc = rc;
    spawned.order[spawned.ended++] = 1;
}

static void outer_ended(void *arg, int rc, struct chain *chain)
{
    (void)arg;
    chain_free(chain);
    spawned.outer_rc = rc;
    spawned.order[spawned.ended++] = 2;
}

TASK_TEST(a_spawned_scope_ends_after_those_spawned_in_it)
{
    struct rt_spawn how = {
        .name = "outer", .site = "here", .deadline_ns = WEIR_NEVER_NS, .ended = outer_ended
    };
    uint32_t ms = 3;

    (void)arg;
    spawned = (struct spawned){ .outer_rc = 1, .inner_rc = 1 };
    spawned.outer = rt_spawn(weir_app_scope(), do_nothing, NULL, &how);
    how.name = "inner";
    how.ended = inner_ended;
    spawned.inner = rt_spawn(spawned.outer, sleep_for, &ms, &how);
    CHECK_INT(weir_sleep_ms(1), 0);
    CHECK_INT(spawned.ended, 0);
    CHECK_INT(weir_sleep_ms(10), 0);
    CHECK_INT(spawned.ended, 2);
    CHECK_INT(spawned.order[0], 1);
    CHECK_INT(spawned.outer_rc, 0);
    CHECK_INT(spawned.inner_rc, 0);
    return 0;
}

/* What is called at a late task's end must not see the task whose stack it is on. */
static void ended_outside(void *arg, int rc, struct chain *chain)
{
    (void)chain;
    *(int *)arg = rc;
    CHECK_TEXT(rt_task_name(), "");
    WEIR_IGNORE(weir_fail(-EIO, "words of the callback"), "only its chain is looked at");
    weir_recover();
}

TASK_TEST(the_end_of_a_task_that_never_started_is_nobody_elses)
{
    int rc = 1;
    struct rt_spawn how = { .name = "late",
                            .site = "here",
                            .deadline_ns = WEIR_NEVER_NS,
                            .ended = ended_outside,
                            .arg = &rc };
    weir_scope s;
    char text[100];

    (void)arg;
    WEIR_IGNORE(weir_fail(-ENOSPC, "words of the task"), "its chain is what counts");
    s = rt_spawn(weir_app_scope(), do_nothing, NULL, &how);
    rt_cancel(s, WEIR_REASON_GONE, "test");
    CHECK_INT(weir_yield(), 0);
    CHECK_INT(rc, -ECANCELED);
    weir_error_print(text, sizeof(text));
    CHECK_TEXT(text, "words of the task");
    weir_recover();
    return 0;
}

/* ---- stops ------------------------------------------------------------------------- */

static int select_from_source(void *arg)
{
    int_chan *c = arg;
    int v;
    weir_pick p = weir_select(WEIR_RECV(*c, &v), WEIR_AFTER_MS(20000));

    CHECK_INT(p.arm, 0);
    CHECK_INT(p.rc, 0);
    p = weir_select(WEIR_AFTER_MS(20000), WEIR_RECV(*c, &v)); /* now on entry */
    CHECK_INT(p.arm, 1);
    return p.rc;
}

TASK_TEST(a_select_on_a_source_ends_at_a_stop)
{
    int_chan c;

    (void)arg;
    CHECK_INT(weir_chan_open(&c, .capacity = 1, .source = true), 0);
    WEIR_SCOPE(s, .timeout_ms = 5000) {
        weir_go(s, select_from_source, &c);
        CHECK_INT(weir_sleep_ms(2), 0);
        weir_stop(s);
        CHECK_INT(weir_join(s), 0);
    }
    weir_chan_free(c);
    return 0;
}

/* ---- channels under a select ---------------------------------------------------------- */

static int select_two(void *arg)
{
    int_chan *c = arg;
    int v = 0;
    weir_pick p = weir_select(WEIR_RECV(c[0], &v), WEIR_RECV(c[1], &v));

    CHECK_INT(p.arm, 0);
    CHECK_INT(v, 5);
    return 0;
}

TASK_TEST(a_channel_may_go_once_the_select_was_served_elsewhere)
{
    int_chan c[2];

    (void)arg;
    CHECK_INT(weir_chan_open(&c[0]), 0);
    CHECK_INT(weir_chan_open(&c[1]), 0);
    WEIR_SCOPE(s) {
        weir_go(s, select_two, c);
        CHECK_INT(weir_yield(), 0);
        CHECK_INT(weir_try_send(c[0], &(int){ 5 }), 1);
        weir_chan_free(c[1]); /* before the select has run again */
        CHECK_INT(weir_join(s), 0);
    }
    weir_chan_free(c[0]);
    return 0;
}

/* Two tasks that take turns must not each begin at the same arm for ever. */
static int count_arms(void *arg)
{
    int *counts = arg;

    for (int i = 0; i < 400; i++) {
        weir_pick p = weir_select(WEIR_AFTER_MS(0), WEIR_AFTER_MS(0));

        counts[p.arm]++;
        CHECK_INT(weir_yield(), 0);
    }
    return 0;
}

TASK_TEST(no_arm_starves_when_tasks_take_turns)
{
    int counts[2][2] = { { 0 } };

    (void)arg;
    WEIR_SCOPE(s) {
        weir_go(s, count_arms, counts[0]);
        weir_go(s, count_arms, counts[1]);
        CHECK_INT(weir_join(s), 0);
    }
    for (int i = 0; i < 4; i++)
        CHECK(counts[i / 2][i % 2] > 50);
    return 0;
}

/* ---- without memory -------------------------------------------------------------------- */

static int everything(void *arg)
{
    weir_semaphore *units = NULL;
    int_chan c = { .chan = NULL };
    int rc, v = 0;

    (void)arg;
    rc = weir_semaphore_new(&units, .units = 1);
    if (rc == 0)
        rc = weir_chan_open(&c, .capacity = 4);
    if (rc == 0) {
        WEIR_SCOPE(s, .timeout_ms = 5000) {
            weir_go(s, do_nothing, NULL, .needs = units, .name = "a");
            weir_go(s, do_nothing, NULL, .needs = units, .hold = true);
            weir_go(s, do_nothing, NULL, .optional = true);
            rc = weir_join(s);
            if (rc == 0) {
                weir_pick p = weir_select(WEIR_SEND(c, &(int){ 3 }), WEIR_AFTER_MS(1000));

                CHECK_INT(p.rc, 1);
                CHECK_INT(weir_recv(c, &v), 1);
                CHECK_INT(v, 3);
            }
        }
    }
    if (units) {
        CHECK_INT(weir_try_acquire(units), 0); /* every unit is back */
        weir_release(units);
    }
    weir_semaphore_free(units);
    weir_chan_free(c);
    weir_recover();
    return rc;
}

static int everything_once(void *arg)
{
    int rc = weir_run(everything, arg, .loops = 2, .grace_ms = 100, .block_threads = 1);

    weir_recover();
    return rc;
}

static void every_lack_of_memory_is_survived(void **state)
{
    (void)state;
    fault_sweep(everything_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_later_deadline_does_not_lengthen_a_grace),
        cmocka_unit_test(a_join_waits_for_a_child_that_came_after_the_last_had_ended),
        cmocka_unit_test(tasks_that_wait_for_room_in_a_scope_outlive_it),
        cmocka_unit_test(a_cancel_that_comes_with_the_room_is_seen),
        cmocka_unit_test(a_spawned_scope_ends_after_those_spawned_in_it),
        cmocka_unit_test(the_end_of_a_task_that_never_started_is_nobody_elses),
        cmocka_unit_test(a_select_on_a_source_ends_at_a_stop),
        cmocka_unit_test(a_channel_may_go_once_the_select_was_served_elsewhere),
        cmocka_unit_test(no_arm_starves_when_tasks_take_turns),
        cmocka_unit_test(every_lack_of_memory_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
