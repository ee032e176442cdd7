/* Dumps that nobody reads, and that are asked for too often. */
#include "ops/world.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir/inspect.h>

#include "base/clock.h"
#include "rt/loop.h"

#define SIGNALS 1000

static int few_tasks(void *arg)
{
    (void)arg;
    WEIR_SCOPE(s) {
        for (int i = 0; i < 50; i++) /* each a kind of its own, so that it is not short */
            weir_go(s, sleeper, NULL, .name = (const char *[]){ "a", "b", "c", "d", "e" }[i % 5]);
        CHECK_INT(weir_yield(), 0);
        CHECK_INT(wait_for_end(s), 0);
    }
    return 0;
}

/* What is written to standard error from here on. */
static int stderr_begin(int *ret_saved)
{
    int fds[2];

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    *ret_saved = dup(STDERR_FILENO);
    assert_int_equal(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
    close(fds[1]);
    return fds[0];
}

static void stderr_end(int saved)
{
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    close(saved);
}

static void fill(int fd)
{
    static const char much[4096];
    int flags = fcntl(fd, F_GETFL);

    assert_int_equal(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 0);
    while (write(fd, much, sizeof(much)) > 0 || write(fd, much, 1) > 0)
        ;
    assert_int_equal(fcntl(fd, F_SETFL, flags), 0);
}

static int count(const char *text, const char *part)
{
    int n = 0;

    for (; (text = strstr(text, part)) != NULL; text++)
        n++;
    return n;
}

/* A loop that is held up makes each dump take half a second. */
static void signals_that_come_meanwhile_are_one(void **state)
{
    static char text[1 << 16];
    int saved, fd, dumps;
    ssize_t got, len = 0;

    (void)state;
    fd = stderr_begin(&saved);
    assert_int_equal(weir_inspect_open(.no_socket = true, .blocked_ms = WEIR_OFF), 0);
    world_start(held_up);
    for (int i = 0; i < SIGNALS; i++)
        assert_int_equal(kill(getpid(), SIGQUIT), 0);
    got = read(fd, text, sizeof(text) - 1); /* one has come to its end */
    assert_true(got > 0);
    world_stop();
    weir_inspect_close();
    stderr_end(saved);
    for (len = got; (got = read(fd, text + len, sizeof(text) - 1 - (size_t)len)) > 0; len += got)
        ;
    close(fd);
    dumps = count(text, "process ");
    print_message("%d signals: %d dumps\n", SIGNALS, dumps);
    assert_in_range(dumps, 1, 5);
}

static void a_reader_that_does_not_read_is_given_up(void **state)
{
    int fds[2], pair[2];

    (void)state;
    world_start(few_tasks);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    fill(fds[1]);
    assert_int_equal(weir_dump(fds[1]), -ETIMEDOUT);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    fill(pair[1]);
    assert_int_equal(weir_dump(pair[1]), -ETIMEDOUT);
    close(pair[0]);
    assert_int_equal(weir_dump(pair[1]), -EPIPE);
    close(pair[1]);
    close(fds[0]);
    close(fds[1]);
    world_stop();
}

/* The thread that SIGQUIT wakes can't be kept from its end by who reads standard error. */
static void the_end_does_not_wait_for_a_reader(void **state)
{
    int64_t began_ns = clock_monotonic_ns();
    int saved, fd;

    (void)state;
    fd = stderr_begin(&saved);
    fill(STDERR_FILENO);
    assert_int_equal(weir_inspect_open(.no_socket = true, .blocked_ms = WEIR_OFF), 0);
    world_start(few_tasks);
    assert_int_equal(kill(getpid(), SIGQUIT), 0);
    world_stop();
    weir_inspect_close();
    stderr_end(saved);
    close(fd);
    assert_true(clock_monotonic_ns() - began_ns < 30000000000);
}

static void a_full_disk_is_told(void **state)
{
    struct rlimit old, limit;
    FILE *file = tmpfile();
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

    (void)state;
    assert_non_null(file);
    assert_true(fd >= 0);
    world_start(few_tasks);
    assert_int_equal(weir_dump(fd), -ENOSPC);
    assert_int_equal(weir_dump(-1), -EBADF);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = old;
    limit.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(weir_dump(fileno(file)), -EFBIG);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_DFL);
    world_stop();
    fclose(file);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_that_come_meanwhile_are_one),
        cmocka_unit_test(a_reader_that_does_not_read_is_given_up),
        cmocka_unit_test(the_end_does_not_wait_for_a_reader),
        cmocka_unit_test(a_full_disk_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
