/* What a small program leaves in the recorder, and that the probes stand in the file. */
#include "support/in_task.h"

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

/* The kinds of a task's events in their order, as "spawn run wait". */
static const char *story(const struct record_event *events, uint32_t count, weir_task task)
{
    static char text[256];

    text[0] = '\0';
    for (uint32_t i = 0; i < count; i++) {
        const struct record_event *event = &events[i];
        size_t len = strlen(text);

        if (event->slot == task.slot && event->generation == task.generation)
            snprintf(text + len, sizeof(text) - len, "%s%s", len ? " " : "",
                     record_kind_name(event->kind));
    }
    return text;
}

static const struct record_event *find(const struct record_event *events, uint32_t count,
                                       weir_task task, enum record_kind kind)
{
    for (uint32_t i = 0; i < count; i++)
        if (events[i].kind == kind && (task.slot == 0 || events[i].slot == task.slot))
            return &events[i];
    CHECK(false);
    return NULL;
}

static uint32_t read_all(struct record_event *events, uint32_t max, uint64_t from)
{
    return recorder_read(loop_self()->recorder, &from, events, max);
}

static int program(void *arg)
{
    static struct record_event events[256];
    uint64_t from = atomic_load(&loop_self()->recorder->count);
    uint32_t own = loop_self()->current->task->head.slot, count;
    weir_task task = { 0, 0 };

    (void)arg;
    CHECK_INT(weir_chan_open(&inbox, .capacity = 1), 0);
    WEIR_SCOPE(s) {
        task = weir_go(s, receiver, NULL);
        CHECK_INT(weir_sleep_ms(1), 0);
        CHECK_INT(weir_send(inbox, &(int){ 7 }), 1);
        CHECK_INT(weir_yield(), 0);
        CHECK_INT(weir_join(s), 0);
        count = read_all(events, 256, from);
    }
    weir_chan_free(inbox);
    CHECK_TEXT(story(events, count, task), "spawn run wait wake run end");
    CHECK_INT(find(events, count, task, RECORD_SPAWN)->value, own);
    CHECK(strstr(find(events, count, task, RECORD_SPAWN)->what, "test_record.c:") != NULL);
    CHECK(strstr(find(events, count, task, RECORD_RUN)->what, " receiver") != NULL);
    CHECK_TEXT(find(events, count, task, RECORD_WAIT)->what, "receive from a channel");
    CHECK_INT(find(events, count, task, RECORD_WAKE)->value, own);
    CHECK_INT(find(events, count, task, RECORD_END)->value, 1);
    find(events, count, (weir_task){ 0, 0 }, RECORD_POLL);
    find(events, count, (weir_task){ 0, 0 }, RECORD_TURN);
    for (uint32_t i = 1; i < count; i++)
        CHECK(events[i].ticks >= events[i - 1].ticks);
    return 0;
}

static void a_task_is_spawned_runs_waits_is_woken_runs_and_ends(void **state)
{
    (void)state;
    record_loops(1024);
    in_task(program);
    record_loops(0);
}

static void the_events_are_the_same_in_a_simulation(void **state)
{
    weir_sim *sim = weir_sim_new(.seed = 1);

    (void)state;
    assert_non_null(sim);
    record_loops(1024);
    assert_int_equal(weir_sim_run(sim, program, NULL), 0);
    weir_sim_free(sim);
    record_loops(0);
}

static int failing(void *arg)
{
    (void)arg;
    return -EIO;
}

static int cancels(void *arg)
{
    static struct record_event events[256];
    uint64_t from = atomic_load(&loop_self()->recorder->count);
    weir_task first = { 0, 0 }, second = { 0, 0 };
    uint32_t count;

    (void)arg;
    WEIR_SCOPE(s) {
        first = weir_go(s, failing, NULL);
        second = weir_go(s, receiver, NULL);
        CHECK_INT(weir_join(s), -EIO);
        count = read_all(events, 256, from);
    }
    weir_recover();
    CHECK_INT(find(events, count, first, RECORD_END)->value, -EIO);
    CHECK_INT(find(events, count, (weir_task){ 0, 0 }, RECORD_CANCEL)->value, -ECANCELED);
    CHECK_TEXT(story(events, count, second), "spawn end"); /* it never ran */
    return 0;
}

static void a_cancel_says_where_it_began(void **state)
{
    (void)state;
    record_loops(1024);
    in_task(cancels);
    record_loops(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_is_spawned_runs_waits_is_woken_runs_and_ends),
        cmocka_unit_test(the_events_are_the_same_in_a_simulation),
        cmocka_unit_test(a_cancel_says_where_it_began),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
