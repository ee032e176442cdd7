/* Who asks badly at the control socket, and where it can't be: the program goes on, and
 * others are answered. */
#include "ops/world.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weir/inspect.h>

#include "base/clock.h"
#include "base/strbuf.h"
#include "ops/control.h"
#include "ops/control_client.h"
#include "rt/loop.h"

#if defined(CONTEXT_ASAN) || defined(CONTEXT_TSAN)
#define MANY 4000 /* each task's stack costs them far more */
#else
#define MANY 100000
#endif
#define MINUTE_NS INT64_C(60000000000)

static char folder[] = "/tmp/weir-test-XXXXXX", path[64];

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

static int one_task(void *arg)
{
    (void)arg;
    WEIR_SCOPE(s) {
        weir_go(s, sleeper, NULL);
        CHECK_INT(weir_yield(), 0);
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

/* ---- raw connections -------------------------------------------------------------------- */

static int try_connect(const char *to)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    memcpy(addr.sun_path, to, strlen(to));
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
        return fd;
    close(fd);
    return -errno;
}

static int connect_raw(void)
{
    int fd = try_connect(path);

    assert_true(fd >= 0);
    return fd;
}

/* As much as it takes before it hangs up. */
static void send_raw(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, text, len, MSG_NOSIGNAL);

        if (sent <= 0)
            return;
        text += sent;
        len -= (size_t)sent;
    }
}

/* Until it hangs up, or so many lines. */
static int read_lines(int fd, int most, struct strbuf *out)
{
    char piece[4096];
    int lines = 0;

    while (lines < most) {
        struct pollfd pfd = { .fd = fd, .events = POLLIN };
        ssize_t got;

        assert_int_equal(poll(&pfd, 1, 60000), 1);
        got = recv(fd, piece, sizeof(piece), 0);
        if (got <= 0)
            break;
        strbuf_add(out, weir_str_from(piece, (size_t)got));
        for (ssize_t i = 0; i < got; i++)
            lines += piece[i] == '\n';
    }
    return lines;
}

static int ask(const char *request, struct strbuf *out)
{
    struct control_client client;
    int rc = control_client_open_path(&client, path);

    if (rc == 0)
        rc = control_client_ask(&client, request, 60000, out);
    control_client_close(&client);
    weir_recover();
    return rc;
}

static void is_answered(void)
{
    struct strbuf out = STRBUF_INIT;
    int64_t until_ns = clock_monotonic_ns() + MINUTE_NS;
    int rc;

    do /* those before may still have all places */
        rc = ask("loops", &out);
    while (rc < 0 && clock_monotonic_ns() < until_ns);
    assert_int_equal(rc, 0);
    strbuf_done(&out);
}

static void a_bad_request_is_refused(const char *text, size_t len, const char *answer)
{
    struct strbuf out = STRBUF_INIT;
    int fd = connect_raw();

    send_raw(fd, text, len);
    shutdown(fd, SHUT_WR);
    read_lines(fd, INT32_MAX, &out);
    if (!strstr(strbuf_str(&out).ptr, answer))
        fail_msg("%s is not in: %s", answer, strbuf_str(&out).ptr);
    close(fd);
    strbuf_done(&out);
}

static void bad_requests_are_refused(void **state)
{
    static char much[1 << 20];
    char binary[256];

    (void)state;
    world_begin(one_task);
    memset(much, 'x', sizeof(much));
    for (size_t i = 0; i < sizeof(binary); i++)
        binary[i] = (char)(i == '\n' ? 0 : i);
    binary[254] = '\n';
    a_bad_request_is_refused(much, 255, "");
    a_bad_request_is_refused(much, 256, "EMSGSIZE");
    a_bad_request_is_refused(much, sizeof(much), "EMSGSIZE");
    a_bad_request_is_refused(binary, 255, "EINVAL");
    a_bad_request_is_refused(binary + 1, 254, "EINVAL");
    a_bad_request_is_refused("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, "EINVAL");
    a_bad_request_is_refused("\n", 1, "EINVAL");
    a_bad_request_is_refused("\r\n", 2, "EINVAL");
    a_bad_request_is_refused("task 99 99 99\n", 14, "\"error\"");
    a_bad_request_is_refused("trace 99999999999999999999\n", 27, "EINVAL");
    a_bad_request_is_refused("loops\r\n", 7, "\"loops\":[");
    a_bad_request_is_refused("loops", 5, ""); /* half a line is none */
    is_answered();
    world_end();
}

/* The error's sentence has what was asked in it: the answer must be JSON all the same. */
static void what_is_not_utf8_is_told_as_utf8(void **state)
{
    struct strbuf out = STRBUF_INIT;

    (void)state;
    control_answer(&out, "\xff\xfe\"\\\x01");
    assert_null(memchr(out.ptr, 0xff, out.len));
    assert_null(memchr(out.ptr, 1, out.len));
    assert_non_null(strstr(out.ptr, "\\\"\\\\\\u0001"));
    strbuf_done(&out);
}

static void requests_that_come_together_are_all_answered(void **state)
{
    struct strbuf out = STRBUF_INIT;
    char text[6 * 200];
    int fd;

    (void)state;
    world_begin(one_task);
    fd = connect_raw();
    for (int i = 0; i < 200; i++)
        memcpy(text + 6 * i, "loops\n", 6);
    for (size_t i = 0; i < sizeof(text); i += 7) /* and not in whole lines */
        send_raw(fd, text + i, sizeof(text) - i < 7 ? sizeof(text) - i : 7);
    assert_int_equal(read_lines(fd, 200, &out), 200);
    assert_null(strstr(out.ptr, "error"));
    close(fd);
    world_end();
    strbuf_done(&out);
}

/* ---- many ---------------------------------------------------------------------------------- */

static int count_entries(const char *of)
{
    DIR *dir = opendir(of);
    int count = 0;

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void thousands_of_connections_leave_nothing_behind(void **state)
{
    int fds, threads, most = 0;

    (void)state;
    world_begin(one_task);
    is_answered();
    fds = count_entries("/proc/self/fd");
    threads = count_entries("/proc/self/task");
    for (int i = 0; i < 3000; i++) {
        int fd = connect_raw();

        if (i % 3 == 1)
            send_raw(fd, "tasks\n", 6);
        if (i % 3 == 2)
            send_raw(fd, "tas", 3);
        close(fd);
        if (i % 100 == 0 && count_entries("/proc/self/task") > most)
            most = count_entries("/proc/self/task");
    }
    assert_true(most <= threads + CONTROL_WATCHERS);
    is_answered();
    assert_true(count_entries("/proc/self/fd") <= fds + CONTROL_WATCHERS);
    world_end();
}

/* Forgotten ones give way to who asks. */
static void silent_watchers_lock_nobody_out(void **state)
{
    int fds[2 * CONTROL_WATCHERS];

    (void)state;
    world_begin(one_task);
    for (int i = 0; i < 2 * CONTROL_WATCHERS; i++) {
        fds[i] = connect_raw();
        send_raw(fds[i], "loo", i % 3 ? 3 : 0);
    }
    is_answered();
    for (int i = 0; i < 2 * CONTROL_WATCHERS; i++)
        close(fds[i]);
    world_end();
}

static size_t resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*u %lu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* All ask for a long answer, and read none of it: it is not kept for them. */
static void watchers_that_read_nothing_cost_little(void **state)
{
    int fds[CONTROL_WATCHERS];
    size_t before, most = 0;
    struct pollfd pfd = { .events = POLLRDHUP };

    (void)state;
    world_begin(many_tasks);
    is_answered();
    before = resident_bytes();
    for (int i = 0; i < CONTROL_WATCHERS; i++) {
        fds[i] = connect_raw();
        send_raw(fds[i], i % 2 ? "tasks\ntasks\ntasks\n" : "scopes\ntasks\n", i % 2 ? 18 : 13);
    }
    for (int i = 0; i < CONTROL_WATCHERS; i++) {
        pfd.fd = fds[i];
        while (poll(&pfd, 1, 10) == 0) {
            if (resident_bytes() > most)
                most = resident_bytes();
        }
        close(fds[i]);
    }
    print_message("8 watchers that read nothing of %d tasks: %.1f MiB\n", MANY,
                  most > before ? (double)(most - before) / 1048576 : 0.0);
    assert_true(MANY < 100000 || most < before + (16 << 20)); /* a sanitizer keeps what is freed */
    is_answered();
    world_end();
}

/* The loop's own tasks run on while all watchers ask all the time. */
static void *ask_without_end(void *arg)
{
    struct strbuf out = STRBUF_INIT;

    while (!atomic_load((atomic_bool *)arg)) {
        strbuf_clear(&out);
        WEIR_IGNORE(ask("tasks", &out), "a failure is as good");
    }
    strbuf_done(&out);
    return NULL;
}

static void the_end_comes_while_all_ask(void **state)
{
    pthread_t askers[CONTROL_WATCHERS];
    atomic_bool over = false;

    (void)state;
    world_begin(many_tasks);
    for (int i = 0; i < CONTROL_WATCHERS; i++)
        assert_int_equal(pthread_create(&askers[i], NULL, ask_without_end, &over), 0);
    is_answered();
    world_end();
    atomic_store(&over, true);
    for (int i = 0; i < CONTROL_WATCHERS; i++)
        pthread_join(askers[i], NULL);
}

/* ---- where the socket can't be -------------------------------------------------------------- */

/* The program runs, without being asked. */
static void runs_with(const char *socket_path)
{
    assert_int_equal(weir_inspect_open(.socket = socket_path, .blocked_ms = WEIR_OFF), 0);
    world_start(one_task);
    world_end();
}

static void a_path_that_can_not_be_used_is_no_failure(void **state)
{
    char text[256], file[128];
    struct stat st;
    int fd;

    (void)state;
    snprintf(text, sizeof(text), "%s/none/control.sock", folder);
    runs_with(text);
    snprintf(file, sizeof(file), "%s/file", folder);
    fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    runs_with(file);
    assert_int_equal(stat(file, &st), 0); /* it is somebody's */
    assert_true(S_ISREG(st.st_mode));
    snprintf(text, sizeof(text), "%s/control.sock", file);
    runs_with(text);
    runs_with(folder);
    memset(text, 'x', sizeof(text) - 1);
    text[0] = '/';
    text[255] = '\0';
    runs_with(text);
    unlink(file);
}

static int in_child(int (*fn)(void))
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0)
        _exit(fn());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* A second program at the same path leaves the first one's socket alone. */
static int open_and_close(void)
{
    return weir_inspect_open(.socket = path, .blocked_ms = WEIR_OFF) < 0
               ? 1
               : (weir_inspect_close(), 0);
}

static void a_socket_in_use_is_left_alone(void **state)
{
    int status;
    pid_t child = fork();

    (void)state;
    if (child == 0) { /* before there are threads */
        int64_t until_ns = clock_monotonic_ns() + MINUTE_NS;
        int fd;

        while ((fd = try_connect(path)) < 0 && clock_monotonic_ns() < until_ns)
            sched_yield();
        _exit(fd < 0 ? 2 : open_and_close());
    }
    world_begin(one_task);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    is_answered();
    world_end();
}

static void another_ones_socket_is_not_removed(void **state)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    struct stat st;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    world_begin(one_task);
    assert_int_equal(rename(path, "/tmp/weir-test-moved"), 0);
    memcpy(addr.sun_path, path, strlen(path));
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    world_end();
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink("/tmp/weir-test-moved"), 0);
    close(fd);
}

/* ---- the folders of the environment ----------------------------------------------------------- */

static int is_found(void)
{
    struct control_client client;
    int rc = control_client_open(&client, getpid());

    control_client_close(&client);
    weir_recover();
    return rc;
}

static int found_with_folder(const char *runtime_dir)
{
    int rc;

    setenv("XDG_RUNTIME_DIR", runtime_dir, 1);
    rc = weir_inspect_open(.blocked_ms = WEIR_OFF);
    rc = rc < 0 ? rc : is_found();
    weir_inspect_close();
    return rc == 0 ? 0 : 1;
}

static int with_a_folder(void)
{
    return found_with_folder(folder);
}

static int with_a_folder_that_is_not_there(void)
{
    return found_with_folder("/tmp/weir-test-none/of/these");
}

static int with_a_folder_that_is_too_long(void)
{
    char text[200];

    memset(text, 'x', sizeof(text) - 1);
    text[0] = '/';
    text[sizeof(text) - 1] = '\0';
    return found_with_folder(text);
}

static int with_a_relative_folder(void)
{
    return found_with_folder("weir-test");
}

static void another_folder_does(void **state)
{
    char own[64];

    (void)state;
    assert_int_equal(in_child(with_a_folder), 0);
    assert_int_equal(in_child(with_a_folder_that_is_not_there), 0);
    assert_int_equal(in_child(with_a_folder_that_is_too_long), 0);
    assert_int_equal(in_child(with_a_relative_folder), 0);
    snprintf(own, sizeof(own), "%s/weir", folder);
    assert_int_equal(rmdir(own), 0); /* the socket in it is gone */
}

/* ---- what commands meet ------------------------------------------------------------------------- */

static int listen_as(pid_t pid, int backlog)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/weir/%d.sock", folder, (int)pid);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

static int meets_others(void)
{
    struct control_client client;
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd, rc, waiting = 0;

    setenv("XDG_RUNTIME_DIR", folder, 1);
    /* A socket by the parent's number that this process serves. */
    fd = listen_as(getppid(), 4);
    rc = control_client_open(&client, getppid());
    close(fd);
    if (rc != -ENOENT)
        return 1;
    weir_recover();
    /* One that accepts nobody, as a program that is stopped. */
    fd = listen_as(getpid(), 2);
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/weir/%d.sock", folder, (int)getpid());
    do
        waiting = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    while (connect(waiting, (struct sockaddr *)&addr, sizeof(addr)) == 0);
    if (errno != EAGAIN)
        return 2;
    rc = control_client_open(&client, getpid());
    return rc == -ETIMEDOUT ? 0 : 3;
}

static void others_are_told_apart(void **state)
{
    char own[64], name[128];
    struct dirent *entry;
    DIR *dir;

    (void)state;
    snprintf(own, sizeof(own), "%s/weir", folder);
    assert_int_equal(mkdir(own, 0700), 0);
    assert_int_equal(in_child(meets_others), 0);
    dir = opendir(own);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        snprintf(name, sizeof(name), "%s/%.40s", own, entry->d_name);
        unlink(name);
    }
    closedir(dir);
    assert_int_equal(rmdir(own), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_folder_does),
        cmocka_unit_test(others_are_told_apart),
        cmocka_unit_test(a_socket_in_use_is_left_alone),
        cmocka_unit_test(another_ones_socket_is_not_removed),
        cmocka_unit_test(a_path_that_can_not_be_used_is_no_failure),
        cmocka_unit_test(bad_requests_are_refused),
        cmocka_unit_test(what_is_not_utf8_is_told_as_utf8),
        cmocka_unit_test(requests_that_come_together_are_all_answered),
        cmocka_unit_test(thousands_of_connections_leave_nothing_behind),
        cmocka_unit_test(silent_watchers_lock_nobody_out),
        cmocka_unit_test(watchers_that_read_nothing_cost_little),
        cmocka_unit_test(the_end_comes_while_all_ask),
    };
    int failed;

    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/control.sock", folder);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return failed;
}
