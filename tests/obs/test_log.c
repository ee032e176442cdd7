/* The log as a whole: levels, the ways out, drops and their reports, outputs that
 * fail, many threads, and memory that runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/log.h>
#include <weir/metrics.h>

#include "../support/fault.h"
#include "base/budget.h"
#include "obs/log.h"

/* A sink that keeps what it gets, and can be told to fail or to take little. */
struct capture {
    pthread_mutex_t lock;
    char text[4 << 20];
    size_t len;
    _Atomic ssize_t fail;     /* a negative code; 0: works */
    _Atomic size_t at_most;   /* bytes a call; 0: all */
    _Atomic uint32_t calls;
};

static struct capture got = { .lock = PTHREAD_MUTEX_INITIALIZER };

static ssize_t capture(void *arg, const char *bytes, size_t len)
{
    struct capture *c = arg;
    size_t most = atomic_load(&c->at_most);

    atomic_fetch_add(&c->calls, 1);
    if (atomic_load(&c->fail) < 0)
        return atomic_load(&c->fail);
    len = most && len > most ? most : len;
    pthread_mutex_lock(&c->lock);
    assert_true(c->len + len < sizeof c->text);
    memcpy(c->text + c->len, bytes, len);
    c->len += len;
    c->text[c->len] = '\0';
    pthread_mutex_unlock(&c->lock);
    return (ssize_t)len;
}

static int64_t noon(void *arg)
{
    (void)arg;
    return INT64_C(1769860803114000000);
}

static int reset(void **state)
{
    (void)state;
    got.len = 0;
    got.text[0] = '\0';
    atomic_store(&got.fail, 0);
    atomic_store(&got.at_most, 0);
    atomic_store(&got.calls, 0);
    return 0;
}

static int quiet(void **state)
{
    (void)state;
    log_close();
    return 0;
}

static void open_sync(weir_log_form form)
{
    assert_int_equal(
        log_open(&(struct log_opts){
            .sink = capture, .sink_arg = &got, .sync = true, .form = form, .wall_ns = noon }),
        0);
}

static void open_async(uint32_t close_ms)
{
    assert_int_equal(log_open(&(struct log_opts){ .sink = capture,
                                                  .sink_arg = &got,
                                                  .form = WEIR_LOG_TEXT,
                                                  .ring_bytes = 32 << 10,
                                                  .close_ms = close_ms }),
                     0);
}

static size_t lines_with(const char *text)
{
    size_t n = 0;

    for (const char *at = got.text; (at = strstr(at, text)); at++)
        n++;
    return n;
}

static void wait_for(const char *text)
{
    for (int i = 0; i < 20000; i++) {
        bool there;

        pthread_mutex_lock(&got.lock);
        there = strstr(got.text, text) != NULL;
        pthread_mutex_unlock(&got.lock);
        if (there)
            return;
        poll(NULL, 0, 1);
    }
    fail_msg("\"%s\" was never written", text);
}

static void test_levels(void **state)
{
    weir_log_level level = WEIR_LOG_ERROR;
    int evaluated = 0;

    (void)state;
    open_sync(WEIR_LOG_TEXT);
    weir_error("e %d", 1);
    weir_warn("w");
    weir_info("i");
    weir_debug("d %d", ++evaluated);
    assert_int_equal(evaluated, 0);
    weir_log_set_level(WEIR_LOG_DEBUG);
    weir_debug("d %d", ++evaluated);
    weir_log_set_level(WEIR_LOG_ERROR);
    weir_warn("w");
    weir_log_set_level((weir_log_level)9);
    assert_int_equal(weir_log_get_level(), WEIR_LOG_ERROR);
    assert_string_equal(got.text, "12:00:03.114 ERROR e 1\n"
                                  "12:00:03.114 WARN  w\n"
                                  "12:00:03.114 INFO  i\n"
                                  "12:00:03.114 DEBUG d 1\n");
    assert_int_equal(weir_log_level_from(WEIR_S("Warn"), &level), 0);
    assert_int_equal(level, WEIR_LOG_WARN);
    assert_int_equal(weir_log_level_from(WEIR_S("loud"), &level), -EINVAL);
}

static void test_fields_and_failure(void **state)
{
    (void)state;
    open_sync(WEIR_LOG_JSON);
    errno = ENOENT;
    weir_log(WEIR_LOG_INFO, "bare");
    assert_int_equal(errno, ENOENT);
    weir_fail(WEIR_EBREAKER, "orders: open");
    weir_log(WEIR_LOG_WARN, "100%s", WEIR_FIELD("n", 7), WEIR_FAILURE(WEIR_EBREAKER));
    weir_recover();
    weir_log(WEIR_LOG_WARN, "fine", WEIR_FAILURE(0));
    assert_non_null(strstr(got.text, "{\"time\":\"2026-01-31T12:00:03.114Z\",\"level\":\"info\","
                                     "\"message\":\"bare\"}\n"));
    assert_non_null(strstr(got.text, "\"message\":\"100%s\",\"error.type\":\"WEIR_EBREAKER\","
                                     "\"error.message\":\"orders: open\",\"error.site\":\""));
    assert_non_null(strstr(got.text, ",\"n\":7}\n"));
    assert_non_null(strstr(got.text, "\"message\":\"fine\"}\n"));
}

static void test_requests(void **state)
{
    static const weir_context context = { .correlation_id = { "01JD", 4 } };
    struct log_request x = { .method = WEIR_S("GET"),
                             .path = WEIR_S("/profile/7?token=secret"),
                             .route = WEIR_S("/profile/{id}"),
                             .status = 504,
                             .code = -ETIMEDOUT,
                             .duration_ns = 301900000,
                             .context = &context };

    (void)state;
    weir_fail_at("profile.c:22", -ETIMEDOUT,
                 "http://users/7: no answer within 300 ms (scope \"profile\", profile.c:22)");
    weir_wrap(-ETIMEDOUT, "profile of 7");
    x.chain = chain_current();
    open_sync(WEIR_LOG_TEXT);
    log_request(&x);
    assert_string_equal(got.text,
                        "12:00:03.114 ERROR GET /profile/7 504 in 301 ms  id 01JD  profile of 7: "
                        "http://users/7: no answer within 300 ms (scope \"profile\", "
                        "profile.c:22)\n");
    log_close();
    reset(NULL);
    open_sync(WEIR_LOG_JSON);
    log_request(&x);
    assert_non_null(strstr(got.text, "\"http.request.method\":\"GET\",\"url.path\":\"/profile/7\","
                                     "\"http.route\":\"/profile/{id}\","
                                     "\"http.response.status_code\":504,\"duration_ms\":301.9}\n"));
    assert_null(strstr(got.text, "secret"));
    assert_int_equal(log_request_level(&x), WEIR_LOG_ERROR);
    x.status = 404;
    assert_int_equal(log_request_level(&x), WEIR_LOG_WARN);
    x.chain = NULL;
    assert_int_equal(log_request_level(&x), WEIR_LOG_DEBUG);
    x.status = 0;
    assert_int_equal(log_request_level(&x), WEIR_LOG_ERROR);
    x.code = WEIR_EGONE;
    assert_int_equal(log_request_level(&x), WEIR_LOG_INFO);
    x.level = WEIR_LOG_WARN;
    assert_int_equal(log_request_level(&x), WEIR_LOG_WARN);
    weir_recover();
}

static void test_options(void **state)
{
    (void)state;
    assert_int_equal(weir_log_open(.sync = true), -EINVAL);
    assert_int_equal(weir_log_open(.ring_bytes = 1000), -EINVAL);
    assert_int_equal(weir_log_open(.level = (weir_log_level)7), -EINVAL);
    assert_int_equal(weir_log_open(.fd = -1), -EINVAL);
    assert_int_equal(weir_log_close(), 0);
    assert_int_equal(weir_log_flush(0), 0);
    open_sync(WEIR_LOG_TEXT);
    assert_int_equal(weir_log_open(.fd = 2), -EBUSY);
}

/* A sink that logs must not recurse. */
static ssize_t chatty(void *arg, const char *bytes, size_t len)
{
    weir_error("the sink speaks");
    return capture(arg, bytes, len);
}

static void test_a_sink_may_log(void **state)
{
    (void)state;
    assert_int_equal(log_open(&(struct log_opts){
                         .sink = chatty, .sink_arg = &got, .sync = true, .form = WEIR_LOG_TEXT }),
                     0);
    weir_error("one");
    assert_int_equal(lines_with("\n"), 1);
    log_close();
    open_async(0); /* what was dropped is told even by the next log */
    log_close();
    assert_int_equal(lines_with("dropped 1 line: there was no room in the log  error 1\n"), 1);
}

static void test_nothing_is_lost_at_the_end(void **state)
{
    (void)state;
    open_async(0);
    for (int i = 0; i < 100; i++)
        weir_info("line %d.", i);
    assert_int_equal(log_close(), 0);
    assert_int_equal(lines_with(" INFO  line "), 100);
    assert_int_equal(lines_with("\n"), 100);
    assert_true(strstr(got.text, "line 98.") < strstr(got.text, "line 99."));
}

static void test_flush(void **state)
{
    (void)state;
    open_async(50);
    weir_info("one");
    assert_int_equal(weir_log_flush(10000), 0);
    assert_int_equal(lines_with("one\n"), 1);
    atomic_store(&got.fail, -EAGAIN);
    weir_info("two");
    assert_int_equal(weir_log_flush(20), -ETIMEDOUT);
    atomic_store(&got.fail, 0);
    assert_int_equal(weir_log_flush(10000), 0);
    assert_int_equal(lines_with("two\n"), 1);
}

/* Short writes, at every length, tear no line. */
static void test_short_writes(void **state)
{
    (void)state;
    for (size_t most = 1; most < 70; most += 3) {
        reset(NULL);
        atomic_store(&got.at_most, most);
        open_async(0);
        for (int i = 0; i < 20; i++)
            weir_info("line %d of twenty", i);
        assert_int_equal(log_close(), 0);
        assert_int_equal(lines_with(" of twenty\n"), 20);
        assert_int_equal(lines_with("\n"), 20);
    }
}

/* The output stands still: info is dropped at three quarters, errors only when
 * nothing is left; afterwards what is missing is told. */
static void test_drops(void **state)
{
    char want[128];
    size_t info, errors;

    (void)state;
    open_async(5000);
    atomic_store(&got.fail, -EAGAIN);
    for (int i = 0; i < 2000; i++)
        weir_info("this is line %d, of sixty four bytes or so", i);
    for (int i = 0; i < 50; i++)
        weir_error("the ring is full of info: error %d", i);
    atomic_store(&got.fail, 0);
    assert_int_equal(log_close(), 0);
    info = lines_with(" INFO ");
    errors = lines_with(" ERROR ");
    assert_int_equal(errors, 50); /* none was dropped */
    assert_in_range(info, 300, 400); /* 24 KiB of them */
    snprintf(want, sizeof want, "dropped %zu lines: there was no room in the log  info %zu\n",
             2000 - info, 2000 - info);
    assert_int_equal(lines_with(want), 1);
    assert_int_equal(lines_with("\n"), info + errors + 1);

    reset(NULL);
    open_async(5000);
    atomic_store(&got.fail, -EAGAIN);
    for (int i = 0; i < 2000; i++)
        weir_error("this is line %d, of sixty four bytes or so", i);
    atomic_store(&got.fail, 0);
    assert_int_equal(log_close(), 0);
    errors = lines_with(" ERROR ");
    assert_in_range(errors, 400, 540); /* all 32 KiB */
    snprintf(want, sizeof want, "no room in the log  error %zu\n", 2000 - errors);
    assert_int_equal(lines_with(want), 1);
}

/* The disk is full for a while: nothing is lost but what found no room, and the
 * log tells of it. */
static void outage(int code)
{
    char want[64];

    reset(NULL);
    open_async(5000);
    atomic_store(&got.fail, code);
    weir_info("before");
    while (atomic_load(&got.calls) < 2)
        poll(NULL, 0, 1);
    atomic_store(&got.fail, 0);
    weir_info("after");
    wait_for("could not be written");
    assert_int_equal(log_close(), 0);
    snprintf(want, sizeof want, "(%s)\n", weir_error_name(code));
    assert_non_null(strstr(got.text, want));
    assert_true(strstr(got.text, "before\n") < strstr(got.text, "after\n"));
    assert_int_equal(lines_with("\n"), 3);
}

static void test_outages(void **state)
{
    (void)state;
    outage(-ENOSPC);
    outage(-EPIPE);
    outage(-EIO);
}

static void test_close_gives_up(void **state)
{
    (void)state;
    open_async(30);
    atomic_store(&got.fail, -EPIPE);
    weir_info("never");
    assert_int_equal(log_close(), -EPIPE);
    reset(NULL);
    open_async(0);
    weir_info("again");
    assert_int_equal(log_close(), 0);
    assert_int_equal(lines_with("\n"), 1);
    assert_int_equal(lines_with("again"), 1);
}

/* EINTR is not a failure. */
static ssize_t interrupted(void *arg, const char *bytes, size_t len)
{
    return atomic_fetch_add(&got.calls, 1) % 2 ? capture(arg, bytes, len) : -EINTR;
}

static void test_interrupted(void **state)
{
    (void)state;
    assert_int_equal(weir_log_open(.sink = interrupted, .sink_arg = &got, .form = WEIR_LOG_TEXT),
                     0);
    weir_info("one");
    assert_int_equal(weir_log_close(), 0);
    assert_int_equal(lines_with("\n"), 1);
}

static size_t read_all(int fd, char *text, size_t size)
{
    size_t len = 0;
    ssize_t n;

    while (len + 1 < size && (n = read(fd, text + len, size - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    return len;
}

static void test_descriptors(void **state)
{
    static char text[1 << 16];
    int ends[2];
    FILE *file = tmpfile();

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(weir_log_open(.fd = ends[1]), 0);
    for (int i = 0; i < 100; i++)
        weir_info("line %d", i);
    assert_int_equal(weir_log_close(), 0);
    close(ends[1]);
    read_all(ends[0], text, sizeof text);
    assert_non_null(strstr(text, "\"message\":\"line 99\"}\n")); /* no terminal: JSON */
    close(ends[0]);

    assert_non_null(file);
    assert_int_equal(weir_log_open(.fd = fileno(file), .form = WEIR_LOG_TEXT), 0);
    weir_info("into a file");
    assert_int_equal(weir_log_close(), 0);
    rewind(file);
    assert_true(fread(text, 1, sizeof text, file) > 0);
    assert_non_null(strstr(text, "INFO  into a file\n"));
    fclose(file);
}

/* On a terminal a line is made to be read, and coloured unless NO_COLOR says no. */
static void test_terminals(void **state)
{
    static const struct {
        const char *no_colour, *term, *want;
    } cases[] = { { NULL, "xterm", " \x1b[33mWARN \x1b[0m on a terminal\r\n" },
                  { "", "xterm", " \x1b[33mWARN \x1b[0m on a terminal\r\n" },
                  { "1", "xterm", " WARN  on a terminal\r\n" },
                  { NULL, "dumb", " WARN  on a terminal\r\n" } };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;
        char text[256];
        ssize_t n;

        if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0)
            skip();
        slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
        assert_true(slave >= 0);
        setenv("TERM", cases[i].term, 1);
        unsetenv("NO_COLOR");
        if (cases[i].no_colour)
            setenv("NO_COLOR", cases[i].no_colour, 1);
        assert_int_equal(weir_log_open(.fd = slave), 0);
        weir_warn("on a terminal");
        assert_int_equal(weir_log_close(), 0);
        n = read(master, text, sizeof text - 1);
        assert_true(n > 12);
        text[n] = '\0';
        assert_string_equal(text + 12, cases[i].want);
        close(slave);
        close(master);
    }
}

/* A reader that has gone, and one that reads nothing, hold up nobody, and kill
 * nobody by SIGPIPE. */
static void test_bad_pipes(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    assert_int_equal(weir_log_open(.fd = ends[1], .close_ms = 20), 0);
    weir_info("to nobody");
    assert_int_equal(weir_log_close(), -EPIPE);
    close(ends[1]);

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[1], F_SETPIPE_SZ, 4096), 4096);
    assert_int_equal(weir_log_open(.fd = ends[1], .close_ms = 20), 0);
    for (int i = 0; i < 1000; i++)
        weir_info("a pipe that nobody reads fills up soon: %d", i);
    assert_int_equal(weir_log_close(), -ETIMEDOUT);
    close(ends[0]);
    close(ends[1]);
}

static void test_disk_full(void **state)
{
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

    (void)state;
    if (fd < 0)
        skip();
    assert_int_equal(weir_log_open(.fd = fd, .close_ms = 20), 0);
    weir_info("no room");
    assert_int_equal(weir_log_close(), -ENOSPC);
    close(fd);
}

/* Before it is open, standard error gets what is a warning or worse. */
static void test_unopened(void **state)
{
    static char text[4096];
    int ends[2], status;
    pid_t child;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    weir_log_set_level(WEIR_LOG_WARN);
    child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        weir_info("hidden");
        weir_error("seen %d", 1);
        _exit(0);
    }
    close(ends[1]);
    read_all(ends[0], text, sizeof text);
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_non_null(strstr(text, " ERROR seen 1\n"));
    assert_null(strstr(text, "hidden"));
}

#define THREADS 6
#define EACH 3000

static void *talk(void *arg)
{
    for (int i = 0; i < EACH; i++) {
        weir_info("thread %d says %d.", *(int *)arg, i);
        if (i % 100 == 0)
            assert_int_equal(weir_log_flush(20000), 0);
    }
    return NULL;
}

/* Each thread's lines come whole, in order, and all (none is dropped: flushes
 * keep the rings from filling). */
static void test_threads(void **state)
{
    pthread_t threads[THREADS];
    int ids[THREADS], next[THREADS] = { 0 };
    size_t lines = 0;

    (void)state;
    open_async(0);
    for (int i = 0; i < THREADS; i++) {
        ids[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, talk, &ids[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(log_close(), 0);
    for (char *at = got.text, *end; (end = strchr(at, '\n')); at = end + 1, lines++) {
        int id, i;

        assert_int_equal(sscanf(at + 13, "INFO  thread %d says %d.", &id, &i), 2);
        assert_in_range(id, 0, THREADS - 1);
        assert_int_equal(i, next[id]++);
    }
    assert_int_equal(lines, THREADS * EACH);
    assert_int_equal(budget_used_by(BUDGET_QUEUE), 0); /* the threads' rings are gone */
}

static void *one_line(void *arg)
{
    (void)arg;
    weir_info("short");
    return NULL;
}

/* More threads than the table has places, one after another. */
static void test_threads_come_and_go(void **state)
{
    pthread_t thread;

    (void)state;
    open_async(0);
    for (int i = 0; i < 600; i++) {
        assert_int_equal(pthread_create(&thread, NULL, one_line, NULL), 0);
        pthread_join(thread, NULL);
        if (i % 200 == 199) /* the writer frees what they leave */
            assert_int_equal(weir_log_flush(20000), 0);
    }
    assert_int_equal(log_close(), 0);
    assert_int_equal(lines_with(" INFO  short\n"), 600);
}

/* A dying program writes out what it has. */
static void die(int sig)
{
    (void)sig;
    _exit(weir_log_flush(5000) == 0 ? 3 : 4);
}

static void test_flush_from_a_signal_handler(void **state)
{
    static char text[1 << 16];
    int ends[2], status;
    pid_t child;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        signal(SIGABRT, die);
        if (weir_log_open(.fd = ends[1], .form = WEIR_LOG_TEXT) != 0)
            _exit(1);
        for (int i = 0; i < 100; i++)
            weir_info("line %d", i);
        abort();
    }
    close(ends[1]);
    read_all(ends[0], text, sizeof text);
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 3);
    assert_non_null(strstr(text, "line 99\n"));
}

/* Without memory for a thread's ring its lines are counted as dropped. */
static int open_write_close(void *arg)
{
    int rc;

    (void)arg;
    got.len = 0;
    got.text[0] = '\0';
    rc = weir_log_open(.sink = capture, .sink_arg = &got, .form = WEIR_LOG_TEXT);
    if (rc < 0)
        return rc;
    weir_error("kept or counted");
    log_close();
    assert_true(lines_with("kept or counted\n") == 1 ||
                lines_with("dropped 1 line: there was no room in the log  error 1\n") == 1);
    return 0;
}

static void test_memory(void **state)
{
    (void)state;
    open_write_close(NULL); /* the metrics, which stay, are made here */
    assert_true(fault_sweep(open_write_close, NULL) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_levels, reset, quiet),
        cmocka_unit_test_setup_teardown(test_fields_and_failure, reset, quiet),
        cmocka_unit_test_setup_teardown(test_requests, reset, quiet),
        cmocka_unit_test_setup_teardown(test_options, reset, quiet),
        cmocka_unit_test_setup_teardown(test_a_sink_may_log, reset, quiet),
        cmocka_unit_test_setup_teardown(test_nothing_is_lost_at_the_end, reset, quiet),
        cmocka_unit_test_setup_teardown(test_flush, reset, quiet),
        cmocka_unit_test_setup_teardown(test_short_writes, reset, quiet),
        cmocka_unit_test_setup_teardown(test_drops, reset, quiet),
        cmocka_unit_test_setup_teardown(test_outages, reset, quiet),
        cmocka_unit_test_setup_teardown(test_close_gives_up, reset, quiet),
        cmocka_unit_test_setup_teardown(test_interrupted, reset, quiet),
        cmocka_unit_test_setup_teardown(test_descriptors, reset, quiet),
        cmocka_unit_test_setup_teardown(test_terminals, reset, quiet),
        cmocka_unit_test_setup_teardown(test_bad_pipes, reset, quiet),
        cmocka_unit_test_setup_teardown(test_disk_full, reset, quiet),
        cmocka_unit_test_setup_teardown(test_unopened, reset, quiet),
        cmocka_unit_test_setup_teardown(test_threads, reset, quiet),
        cmocka_unit_test_setup_teardown(test_threads_come_and_go, reset, quiet),
        cmocka_unit_test_setup_teardown(test_flush_from_a_signal_handler, reset, quiet),
        cmocka_unit_test_setup_teardown(test_memory, reset, quiet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
