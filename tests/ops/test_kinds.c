/* Tasks folded into kinds: what is told of them, its bounds, and what a watcher that looks
 * every second costs a loop of a hundred thousand tasks. */
#include "ops/world.h"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>
#include <yyjson.h>

#include <weir/inspect.h>

#include "base/strbuf.h"
#include "base/ticks.h"
#include "ops/control.h"
#include "ops/control_client.h"
#include "rt/loop.h"

#if defined(CONTEXT_ASAN) || defined(CONTEXT_TSAN)
#define MANY 4000 /* each task's stack costs them far more */
#else
#define MANY 100000
#endif
#define LOOKS 3

static char folder[] = "/tmp/weir-test-XXXXXX", path[64];

static int latecomer(void *arg)
{
    return sleeper(arg);
}

static int two_kinds(void *arg)
{
    (void)arg;
    WEIR_SCOPE(s) {
        for (int i = 0; i < 1000; i++)
            weir_go(s, sleeper, NULL);
        CHECK_INT(weir_sleep_ms(20), 0);
        weir_go(s, latecomer, NULL);
        CHECK_INT(weir_sleep_ms(1), 0);
        CHECK_INT(wait_for_end(s), 0);
    }
    return 0;
}

static int many_kinds(void *arg)
{
    char names[1500][16];

    (void)arg;
    WEIR_SCOPE(s) {
        for (int i = 0; i < 1500; i++) {
            snprintf(names[i], sizeof(names[i]), "\x1b[%d", i);
            weir_go(s, sleeper, NULL, .name = names[i]);
        }
        CHECK_INT(weir_sleep_ms(1), 0);
        CHECK_INT(wait_for_end(s), 0);
    }
    return 0;
}

static int many_tasks(void *arg)
{
    (void)arg;
    WEIR_SCOPE(s) {
        for (int i = 0; i < MANY; i++)
            weir_go(s, sleeper, NULL);
        CHECK_INT(weir_sleep_ms(1), 0);
        CHECK_INT(wait_for_end(s), 0);
    }
    return 0;
}

static void world_begin(weir_fn *fn)
{
    assert_int_equal(weir_inspect_open(.socket = path, .blocked_ms = WEIR_OFF), 0);
    world_start(fn);
}

static void world_end(void)
{
    world_stop();
    weir_inspect_close();
}

static yyjson_doc *ask(const char *request)
{
    struct strbuf out = STRBUF_INIT;
    yyjson_doc *doc;

    control_answer(&out, request);
    assert_false(out.bad);
    doc = yyjson_read(out.ptr, out.len, 0);
    assert_non_null(doc);
    strbuf_done(&out);
    return doc;
}

static uint64_t number_at(yyjson_doc *doc, const char *pointer)
{
    return (uint64_t)yyjson_get_num(yyjson_doc_ptr_get(doc, pointer));
}

static yyjson_val *find(yyjson_doc *doc, const char *name)
{
    yyjson_val *kinds = yyjson_doc_ptr_get(doc, "/kinds"), *kind;
    size_t index, max;

    yyjson_arr_foreach(kinds, index, max, kind)
    {
        if (strcmp(yyjson_get_str(yyjson_obj_get(kind, "name")), name) == 0)
            return kind;
    }
    fail_msg("there is no kind \"%s\"", name);
    return NULL;
}

static void tasks_that_are_alike_are_one_kind(void **state)
{
    yyjson_doc *doc, *members;
    yyjson_val *kind;
    char request[64];

    (void)state;
    world_begin(two_kinds);
    doc = ask("kinds");
    assert_int_equal(number_at(doc, "/pid"), getpid());
    assert_int_equal(number_at(doc, "/tasks"), 1002);
    assert_int_equal(number_at(doc, "/others"), 0);
    kind = find(doc, "sleeper");
    assert_int_equal(yyjson_get_uint(yyjson_obj_get(kind, "count")), 1000);
    assert_string_equal(yyjson_get_str(yyjson_obj_get(kind, "waits_for")), "sleep");
    assert_true(yyjson_get_num(yyjson_obj_get(kind, "age_ms")) >= 15);
    assert_non_null(strstr(yyjson_get_str(yyjson_obj_get(kind, "site")), "test_kinds.c"));
    snprintf(request, sizeof(request), "kind %s", yyjson_get_str(yyjson_obj_get(kind, "id")));
    members = ask(request);
    assert_int_equal(number_at(members, "/count"), 1000);
    assert_int_equal(number_at(members, "/left_out"), 1000 - 256);
    assert_int_equal(yyjson_arr_size(yyjson_doc_ptr_get(members, "/tasks")), 256);
    yyjson_doc_free(members);
    yyjson_doc_free(doc);
    world_end();
}

static void kinds_are_bounded(void **state)
{
    yyjson_doc *doc;

    (void)state;
    world_begin(many_kinds);
    doc = ask("kinds");
    assert_int_equal(yyjson_arr_size(yyjson_doc_ptr_get(doc, "/kinds")), 1000);
    assert_int_equal(number_at(doc, "/tasks"), 1501);
    assert_int_equal(number_at(doc, "/others"), 501);
    yyjson_doc_free(doc);
    world_end();
}

static void a_held_up_loop_is_named(void **state)
{
    yyjson_doc *doc;

    (void)state;
    world_begin(held_up);
    doc = ask("kinds");
    assert_false(yyjson_get_bool(yyjson_doc_ptr_get(doc, "/loops/0/answered")));
    assert_non_null(yyjson_doc_ptr_get(doc, "/loops/0/held_by/task"));
    yyjson_doc_free(doc);
    world_end();
}

static void a_wrong_kind_is_refused(void **state)
{
    static const char *const wrong[] = { "kind", "kind x", "kind 99999999999999999999" };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        yyjson_doc *doc = ask(wrong[i]);

        assert_non_null(yyjson_doc_ptr_get(doc, "/error/message"));
        yyjson_doc_free(doc);
    }
}

/* An answer that comes in pieces, between other things to wait for. */
static void an_answer_is_taken_as_it_comes(void **state)
{
    struct control_client client;
    struct strbuf json = STRBUF_INIT;
    int rc;

    (void)state;
    world_begin(two_kinds);
    assert_int_equal(control_client_open_path(&client, path), 0);
    assert_int_equal(control_client_take(&client, &json), 0);
    for (int i = 0; i < 2; i++) {
        strbuf_clear(&json);
        assert_int_equal(control_client_send(&client, i ? "bogus" : "tasks"), 0);
        while ((rc = control_client_take(&client, &json)) == 0)
            assert_int_equal(poll(&(struct pollfd){ .fd = client.fd, .events = POLLIN }, 1, 30000),
                             1);
        assert_int_equal(rc, i ? -EREMOTEIO : 1);
    }
    weir_recover();
    world_end();
    while ((rc = control_client_take(&client, &json)) == 0)
        assert_int_equal(poll(&(struct pollfd){ .fd = client.fd, .events = POLLIN }, 1, 30000), 1);
    assert_int_equal(rc, -ECONNRESET);
    weir_recover();
    control_client_close(&client);
    strbuf_done(&json);
}

/* What the machine gives to others meanwhile is in a turn's length, too: so it is printed,
 * and only what no busy machine explains is a failure. */
static void looks_at_many_tasks_make_no_turn_long(void **state)
{
    uint64_t before[PULSE_LENGTHS], busy, longest = 0, over = 0, count = 0, turns;
    struct loop *loop;

    (void)state;
    world_begin(many_tasks);
    loop = loop_at(0);
    turns = atomic_load(&loop->pulse.turns);
    while (atomic_load(&loop->pulse.turns) < turns + 5)
        sched_yield();
    for (int i = 0; i < PULSE_LENGTHS; i++)
        before[i] = atomic_load(&loop->pulse.lengths[i]);
    busy = atomic_load(&loop->pulse.busy_ticks);
    for (int i = 0; i < LOOKS; i++) {
        yyjson_doc_free(ask("kinds"));
        yyjson_doc_free(ask("loops"));
    }
    for (int i = 0; i < PULSE_LENGTHS; i++) {
        uint64_t more = atomic_load(&loop->pulse.lengths[i]) - before[i];

        count += more;
        if (more > 0)
            longest = UINT64_C(1) << i;
        if (ticks_to_ns(UINT64_C(1) << i) >= 1000000)
            over += more;
    }
    busy = atomic_load(&loop->pulse.busy_ticks) - busy;
    print_message("100,000 tasks: %llu turns, the longest %llu to %llu us, "
                  "%llu over 1 ms; busy %.1f ms a look\n",
                  (unsigned long long)count, (unsigned long long)ticks_to_ns(longest) / 1000,
                  (unsigned long long)ticks_to_ns(longest) / 500, (unsigned long long)over,
                  (double)ticks_to_ns(busy) / 1e6 / LOOKS);
    assert_true(MANY < 100000 || over * 100 <= count); /* ThreadSanitizer has times of its own */
    world_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_that_are_alike_are_one_kind),
        cmocka_unit_test(kinds_are_bounded),
        cmocka_unit_test(a_held_up_loop_is_named),
        cmocka_unit_test(a_wrong_kind_is_refused),
        cmocka_unit_test(an_answer_is_taken_as_it_comes),
        cmocka_unit_test(looks_at_many_tasks_make_no_turn_long),
    };
    int failed;

    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/control.sock", folder);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return failed;
}
