/* The watchdog beside a log whose writer is stuck, and over as many loops as there may be. */
#include "support/in_task.h"

#include <dirent.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <weir/inspect.h>
#include <weir/log.h>
#include <weir/remote.h>

#include "base/clock.h"
#include "rt/loop.h"

#define LOOPS 256

#if defined(CONTEXT_ASAN) || defined(CONTEXT_TSAN)
#define SANITIZED true
#else
#define SANITIZED false
#endif

static struct {
    sem_t go_on;
    atomic_bool stuck, told;
    char line[4096];
} log_state;

static struct {
    atomic_uint ready;
    weir_remote last;
    atomic_bool spun;
} many;

static bool until(atomic_bool *what)
{
    int64_t until_ns = clock_monotonic_ns() + 20 * INT64_C(1000000000);

    while (!atomic_load(what) && clock_monotonic_ns() < until_ns)
        sched_yield();
    return atomic_load(what);
}

static ssize_t stuck_sink(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    if (memmem(bytes, len, "is held up", 10)) {
        atomic_store(&log_state.stuck, true);
        while (sem_wait(&log_state.go_on) < 0)
            ;
    }
    return (ssize_t)len;
}

static int hold_until_stuck(void *arg)
{
    (void)arg;
    CHECK(until(&log_state.stuck));
    return 0;
}

/* The runtime ends, and another one begins and ends, while the line can't be written. */
static void a_stuck_log_holds_up_no_runtime(void **state)
{
    (void)state;
    assert_int_equal(sem_init(&log_state.go_on, 0, 0), 0);
    assert_int_equal(weir_log_open(.sink = stuck_sink, .sync = true, .form = WEIR_LOG_TEXT), 0);
    assert_int_equal(weir_inspect_open(.no_socket = true, .blocked_ms = 20), 0);
    assert_int_equal(weir_run(hold_until_stuck, NULL, .loops = 2), 0);
    assert_true(atomic_load(&log_state.stuck));
    assert_int_equal(weir_run(hold_until_stuck, NULL, .loops = 2), 0);
    for (int i = 0; i < 8; i++) /* and whatever else it says */
        sem_post(&log_state.go_on);
    weir_inspect_close();
    weir_log_close();
}

static ssize_t keep(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    if (memmem(bytes, len, "is held up", 10)) {
        memcpy(log_state.line, bytes, len < 4000 ? len : 4000);
        atomic_store(&log_state.told, true);
    }
    return (ssize_t)len;
}

/* Time on a processor of the thread with this name. */
static int64_t run_ns(const char *wanted)
{
    DIR *dir = opendir("/proc/self/task");
    int64_t found = -1;

    for (struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
        char path[300], text[64] = "";
        FILE *file;

        snprintf(path, sizeof(path), "/proc/self/task/%s/comm", e->d_name);
        file = fopen(path, "re");
        if (!file || !fgets(text, sizeof(text), file) || strcmp(text, wanted) != 0)
            text[0] = '\0';
        if (file)
            fclose(file);
        snprintf(path, sizeof(path), "/proc/self/task/%s/schedstat", e->d_name);
        file = text[0] ? fopen(path, "re") : NULL;
        if (file && fgets(text, sizeof(text), file))
            found = strtoll(text, NULL, 10);
        if (file)
            fclose(file);
    }
    if (dir)
        closedir(dir);
    return found;
}

static int hold_this_loop(void *arg)
{
    (void)arg;
    CHECK_INT(weir_loop_index(), LOOPS - 1);
    CHECK(until(&log_state.told));
    atomic_store(&many.spun, true);
    return 0;
}

static int over_many(void *arg)
{
    int64_t before_ns, began_ns, share;

    (void)arg;
    CHECK_INT(weir_sleep_ms(300), 0); /* the loops come to rest */
    before_ns = run_ns("weir-watchdog\n");
    began_ns = clock_monotonic_ns();
    CHECK_INT(weir_sleep_ms(2000), 0);
    share = (run_ns("weir-watchdog\n") - before_ns) * 10000 / (clock_monotonic_ns() - began_ns);
    print_message("the watchdog over %d idle loops: %.2f %% of a core\n", LOOPS,
                  (double)share / 100);
    CHECK(before_ns >= 0);
    CHECK(share < 200 || SANITIZED); /* it is far less, but for what a sanitizer adds */
    CHECK_INT(weir_remote_of(LOOPS - 1, &many.last), 0);
    CHECK_INT(weir_remote_submit(many.last, hold_this_loop, NULL), 0);
    while (!atomic_load(&many.spun))
        CHECK_INT(weir_sleep_ms(10), 0);
    return 0;
}

static void the_right_one_of_many_loops_is_named(void **state)
{
    struct rlimit files = { 0 };
    char number[24];

    (void)state;
    getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < 4 * LOOPS) {
        print_message("skipped: the limit of open files is too low for %d loops\n", LOOPS);
        skip();
    }
    snprintf(number, sizeof(number), "loop %d ", LOOPS - 1);
    assert_int_equal(weir_log_open(.sink = keep, .sync = true, .form = WEIR_LOG_TEXT), 0);
    assert_int_equal(weir_inspect_open(.no_socket = true, .no_recorder = true), 0);
    assert_int_equal(weir_run(over_many, NULL, .loops = LOOPS), 0);
    weir_inspect_close();
    weir_log_close();
    assert_true(atomic_load(&log_state.told));
    if (!strstr(log_state.line, number) || !strstr(log_state.line, "test_watchdog.c"))
        fail_msg("%s", log_state.line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stuck_log_holds_up_no_runtime),
        cmocka_unit_test(the_right_one_of_many_loops_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
