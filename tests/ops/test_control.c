/* Asking a running program, on good days and bad ones. */
#include "ops/world.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weir/inspect.h>
#include <weir/sync.h>

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

static char folder[] = "/tmp/weir-test-XXXXXX", path[64];

static int brief(void *arg)
{
    (void)arg;
    return weir_sleep_ms(1);
}

static int few_tasks(void *arg)
{
    (void)arg;
    WEIR_SCOPE(s, .name = "odd \"name\"\n\x1b[31m") {
        for (int i = 0; i < 3; i++)
            weir_go(s, sleeper, NULL);
        CHECK_INT(weir_yield(), 0);
        CHECK_INT(wait_for_end(s), 0);
    }
    return 0;
}

static int holds_a_lock(void *arg)
{
    static weir_mutex mutex;

    (void)arg;
    CHECK_INT(weir_lock(&mutex), 0);
    WEIR_SCOPE(s) {
        weir_go(s, sleeper, NULL);
        CHECK_INT(wait_for_end(s), 0);
    }
    weir_unlock(&mutex);
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

/* Tasks start and end all the time. */
static int moving_tasks(void *arg)
{
    (void)arg;
    atomic_store(&world.ready, true);
    while (!atomic_load(&world.over)) {
        WEIR_SCOPE(s) {
            for (int i = 0; i < 200; i++)
                weir_go(s, brief, NULL);
            CHECK_INT(weir_join(s), 0);
        }
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

static void ask(const char *request, struct strbuf *out)
{
    struct control_client client;

    assert_int_equal(control_client_open_path(&client, path), 0);
    assert_int_equal(control_client_ask(&client, request, 60000, out), 0);
    control_client_close(&client);
}

static void a_task_is_told_with_the_locks_that_it_holds(void **state)
{
    struct strbuf out = STRBUF_INIT;

    (void)state;
    world_begin(holds_a_lock);
    ask("task 0 1 1", &out);
    assert_non_null(strstr(out.ptr, "\"locks_held\":1"));
    assert_non_null(strstr(out.ptr, "\"holds\":\"0x"));
    assert_non_null(strstr(out.ptr, ", taken at "));
    world_end();
    strbuf_done(&out);
}

static void the_tasks_are_told(void **state)
{
    struct strbuf out = STRBUF_INIT;
    struct stat st;

    (void)state;
    world_begin(few_tasks);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    ask("tasks", &out);
    assert_non_null(strstr(out.ptr, "\"waits_for\":\"sleep\""));
    assert_non_null(strstr(out.ptr, "odd \\\"name\\\"\\n\\u001b[31m"));
    assert_non_null(strstr(out.ptr, "\"loops\":[{\"loop\":0,\"answered\":true}]"));
    world_end();
    assert_int_equal(stat(path, &st), -1);
    strbuf_done(&out);
}

static void a_hundred_thousand_tasks_make_no_turn_long(void **state)
{
    struct strbuf out = STRBUF_INIT;
    struct loop *loop;
    uint64_t before[PULSE_LENGTHS], longest = 0, turns;

    (void)state;
    world_begin(many_tasks);
    loop = loop_at(0);
    /* The turn in which they all began to sleep is not the one that is looked at. */
    turns = atomic_load(&loop->pulse.turns);
    while (atomic_load(&loop->pulse.turns) < turns + 5)
        sched_yield();
    for (int i = 0; i < PULSE_LENGTHS; i++)
        before[i] = atomic_load(&loop->pulse.lengths[i]);
    ask("tasks", &out);
    for (int i = 0; i < PULSE_LENGTHS; i++) {
        if (atomic_load(&loop->pulse.lengths[i]) > before[i])
            longest = UINT64_C(1) << i;
    }
    print_message("100,000 tasks: %zu bytes; the longest turn took %llu to %llu us\n", out.len,
                  (unsigned long long)ticks_to_ns(longest) / 1000,
                  (unsigned long long)ticks_to_ns(longest) / 500);
    assert_true(out.len > MANY * 100);
    world_end();
    strbuf_done(&out);
}

static void a_dump_of_many_is_short(void **state)
{
    char text[65536];
    ssize_t got;
    int fds[2];

    (void)state;
    world_begin(many_tasks);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(weir_dump(fds[1]), 0);
    got = read(fds[0], text, sizeof(text) - 1);
    assert_true(got > 0);
    text[got] = '\0';
    assert_non_null(strstr(text, WEIR_TEXT(MANY) " tasks \""));
    assert_non_null(strstr(text, "sleep"));
    world_end();
    close(fds[0]);
    close(fds[1]);
}

static void a_dump_while_tasks_start_and_end(void **state)
{
    FILE *file = tmpfile();

    (void)state;
    assert_non_null(file);
    world_begin(moving_tasks);
    for (int i = 0; i < 50; i++)
        assert_int_equal(weir_dump(fileno(file)), 0);
    world_end();
    fclose(file);
}

static void two_watchers_are_answered(void **state)
{
    struct control_client clients[CONTROL_WATCHERS + 1];
    struct strbuf out = STRBUF_INIT;

    (void)state;
    world_begin(few_tasks);
    for (int i = 0; i < CONTROL_WATCHERS; i++)
        assert_int_equal(control_client_open_path(&clients[i], path), 0);
    for (int i = 0; i < 2 * CONTROL_WATCHERS; i++)
        assert_int_equal(control_client_ask(&clients[i % CONTROL_WATCHERS], "tasks", 60000, &out),
                         0);
    assert_int_equal(control_client_open_path(&clients[CONTROL_WATCHERS], path), 0);
    assert_int_equal(control_client_ask(&clients[CONTROL_WATCHERS], "tasks", 60000, &out),
                     -EREMOTEIO);
    for (int i = 0; i <= CONTROL_WATCHERS; i++)
        control_client_close(&clients[i]);
    world_end();
    strbuf_done(&out);
}

static void a_reader_that_stops_is_dropped(void **state)
{
    struct control_client client;
    struct pollfd pfd = { .events = POLLRDHUP };
    struct strbuf out = STRBUF_INIT;

    (void)state;
    world_begin(many_tasks);
    assert_int_equal(control_client_open_path(&client, path), 0);
    assert_int_equal(send(client.fd, "tasks\n", 6, 0), 6);
    pfd.fd = client.fd;
    assert_int_equal(poll(&pfd, 1, 60000), 1);
    control_client_close(&client);
    ask("tasks 0", &out);
    world_end();
    strbuf_done(&out);
}

static void a_loop_that_is_held_up_is_named(void **state)
{
    struct strbuf out = STRBUF_INIT;

    (void)state;
    world_begin(held_up);
    ask("tasks", &out);
    assert_non_null(strstr(out.ptr, "\"answered\":false,\"held_by\":{\"task\":\"0."));
    world_end();
    strbuf_done(&out);
}

static void a_wrong_user_is_refused(void **state)
{
    int status;
    pid_t child;

    (void)state;
    if (geteuid() != 0) {
        print_message("skipped: only root can become another user\n");
        skip();
    }
    world_begin(few_tasks);
    assert_int_equal(chmod(folder, 0711), 0);
    assert_int_equal(chmod(path, 0666), 0); /* so that the look at the peer is what refuses */
    child = fork();
    if (child == 0) {
        struct control_client client;
        struct strbuf out = STRBUF_INIT;

        if (setresuid(65534, 65534, 65534) < 0 || control_client_open_path(&client, path) < 0)
            _exit(1);
        _exit(control_client_ask(&client, "tasks", 10000, &out) == -EREMOTEIO ? 0 : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    world_end();
}

static void what_is_no_request_is_told(void **state)
{
    static const char *const wrong[] = {
        "",        "bogus",  "task", "task 1", "task 0 0", "task 0 -1 3", "task 0 99999999999 1",
        "tasks x", "tasks 7"
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct strbuf out = STRBUF_INIT;

        control_answer(&out, wrong[i]);
        assert_non_null(strstr(out.ptr, "{\"error\":{\"code\":"));
        strbuf_done(&out);
    }
}

static void a_stale_socket_is_replaced(void **state)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    memcpy(addr.sun_path, path, strlen(path));
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    close(fd);
    the_tasks_are_told(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tasks_are_told),
        cmocka_unit_test(a_task_is_told_with_the_locks_that_it_holds),
        cmocka_unit_test(a_hundred_thousand_tasks_make_no_turn_long),
        cmocka_unit_test(a_dump_of_many_is_short),
        cmocka_unit_test(a_dump_while_tasks_start_and_end),
        cmocka_unit_test(two_watchers_are_answered),
        cmocka_unit_test(a_reader_that_stops_is_dropped),
        cmocka_unit_test(a_loop_that_is_held_up_is_named),
        cmocka_unit_test(a_wrong_user_is_refused),
        cmocka_unit_test(what_is_no_request_is_told),
        cmocka_unit_test(a_stale_socket_is_replaced),
    };
    int failed;

    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/control.sock", folder);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return failed;
}
