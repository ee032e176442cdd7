/* Waiting for descriptors that weir did not open, by a real loop and in a
 * simulation. */
#include "support/both.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir/fd.h>
#include <weir/sync.h>
#include <weir/time.h>

#include "rt/rt.h"
#include "support/sweep.h"

struct waiter {
    int fd;
    short events;
    int rc;
    uint32_t done;
};

static int wait_one(void *arg)
{
    struct waiter *w = arg;

    w->rc = weir_wait_fd(w->fd, w->events);
    w->done++;
    return 0;
}

static void open_pair(int pair[2])
{
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
}

BOTH_TEST(what_is_ready_is_returned_at_once)
{
    int pair[2];

    (void)arg;
    open_pair(pair);
    CHECK_INT(weir_wait_fd(pair[0], POLLOUT), POLLOUT);
    CHECK_INT(write(pair[1], "x", 1), 1);
    CHECK_INT(weir_wait_fd(pair[0], POLLIN), POLLIN);
    CHECK_INT(weir_wait_fd(pair[0], POLLIN | POLLOUT), POLLIN | POLLOUT); /* it is level */
    close(pair[1]);
    CHECK(weir_wait_fd(pair[0], POLLIN) & POLLHUP);
    close(pair[0]);
    return 0;
}

BOTH_TEST(wrong_descriptors_are_refused)
{
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), folder = open("/", O_RDONLY);

    (void)arg;
    CHECK_INT(weir_wait_fd(file, POLLIN), -EPERM);
    CHECK_INT(weir_wait_fd(folder, POLLIN), -EPERM);
    close(folder);
    close(file);
    CHECK_INT(weir_wait_fd(file, POLLIN), -EBADF);
    CHECK_INT(weir_wait_fd(-1, POLLIN), -EBADF);
    CHECK_INT(weir_wait_fd(1 << 20, POLLIN), -EBADF);
    CHECK_INT(weir_wait_fd(0, 0), -EINVAL);
    CHECK_INT(weir_wait_fd(0, POLLNVAL), -EINVAL);
    weir_recover();
    return 0;
}

BOTH_TEST(a_reader_and_a_writer_wait_for_one_descriptor)
{
    static char much[4096];
    struct waiter in = { .events = POLLIN }, out = { .events = POLLOUT };
    int pair[2];

    (void)arg;
    open_pair(pair);
    while (write(pair[0], much, sizeof(much)) > 0)
        ;
    in.fd = out.fd = pair[0];
    WEIR_SCOPE(s) {
        weir_go(s, wait_one, &in);
        weir_go(s, wait_one, &out);
        CHECK_INT(weir_sleep_ms(2), 0);
        CHECK_INT(in.done + out.done, 0);
        CHECK_INT(write(pair[1], "x", 1), 1);
        CHECK_INT(weir_sleep_ms(2), 0);
        CHECK_INT(in.rc, POLLIN);
        CHECK_INT(out.done, 0);
        while (read(pair[1], much, sizeof(much)) > 0)
            ;
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(out.rc, POLLOUT);
    CHECK_INT(fcntl(pair[0], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    close(pair[0]);
    close(pair[1]);
    return 0;
}

BOTH_TEST(many_wait_for_the_same_event)
{
    struct waiter all[50];
    uint64_t one = 1;
    int fd = eventfd(0, EFD_CLOEXEC);

    (void)arg;
    WEIR_SCOPE(s) {
        for (int i = 0; i < 50; i++) {
            all[i] = (struct waiter){ .fd = fd, .events = POLLIN };
            weir_go(s, wait_one, &all[i]);
        }
        CHECK_INT(weir_sleep_ms(1), 0);
        CHECK_INT(write(fd, &one, sizeof(one)), sizeof(one));
        CHECK_INT(weir_join(s), 0);
    }
    for (int i = 0; i < 50; i++)
        CHECK_INT(all[i].rc, POLLIN);
    close(fd);
    return 0;
}

BOTH_TEST(a_closed_peer_is_told)
{
    struct waiter w = { .events = POLLIN };
    int ends[2];

    (void)arg;
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    w.fd = ends[0];
    WEIR_SCOPE(s) {
        weir_go(s, wait_one, &w);
        CHECK_INT(weir_sleep_ms(1), 0);
        close(ends[1]);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(w.rc, POLLHUP);
    close(ends[0]);
    return 0;
}

BOTH_TEST(a_deadline_and_a_cancel_end_the_wait)
{
    struct waiter w = { .events = POLLIN };
    int fd = eventfd(0, EFD_CLOEXEC);

    (void)arg;
    w.fd = fd;
    WEIR_SCOPE(s, .timeout_ms = 5)
        CHECK_INT(weir_wait_fd(fd, POLLIN), -ETIMEDOUT);
    WEIR_SCOPE(s) {
        weir_go(s, wait_one, &w);
        CHECK_INT(weir_sleep_ms(1), 0);
        weir_cancel(s);
        WEIR_IGNORE(weir_join(s), "cancelled");
    }
    CHECK_INT(w.rc, -ECANCELED);
    weir_recover();
    CHECK_INT(fcntl(fd, F_GETFD), FD_CLOEXEC); /* still open */
    close(fd);
    return 0;
}

/* The library has closed its descriptor, and the number came back as another. */
BOTH_TEST(a_number_that_comes_back_is_watched_anew)
{
    struct waiter old = { .events = POLLIN }, new = { .events = POLLIN };
    uint64_t one = 1;
    int fd = eventfd(0, EFD_CLOEXEC), kept = dup(fd);

    (void)arg;
    old.fd = new.fd = fd;
    WEIR_SCOPE(s) {
        weir_go(s, wait_one, &old);
        CHECK_INT(weir_sleep_ms(1), 0);
        close(fd);
        CHECK_INT(eventfd(0, EFD_CLOEXEC), fd);
        weir_go(s, wait_one, &new);
        CHECK_INT(weir_sleep_ms(1), 0);
        /* The old file speaks once more, to nobody. */
        CHECK_INT(write(kept, &one, sizeof(one)), sizeof(one));
        CHECK_INT(weir_sleep_ms(1), 0);
        CHECK_INT(new.done, 0);
        CHECK_INT(write(fd, &one, sizeof(one)), sizeof(one));
        CHECK_INT(weir_sleep_ms(1), 0);
        CHECK_INT(new.rc, POLLIN);
        weir_cancel(s);
        WEIR_IGNORE(weir_join(s), "the old one may have been cancelled");
    }
    weir_recover();
    CHECK_INT(old.done, 1);
    close(fd);
    close(kept);
    return 0;
}

BOTH_TEST(waiting_again_and_again_leaves_nothing)
{
    struct waiter w = { .events = POLLIN };
    uint64_t one = 1;

    (void)arg;
    for (int i = 0; i < 200; i++) {
        int fd = eventfd(0, EFD_CLOEXEC);

        w.fd = fd;
        WEIR_SCOPE(s) {
            weir_go(s, wait_one, &w);
            CHECK_INT(weir_yield(), 0);
            CHECK_INT(write(fd, &one, sizeof(one)), sizeof(one));
            if (i % 2)
                close(fd); /* first */
            else
                CHECK_INT(weir_join(s), 0);
            weir_cancel(s);
            WEIR_IGNORE(weir_join(s), "perhaps cancelled");
        }
        weir_recover();
        if (i % 2 == 0)
            close(fd);
    }
    return 0;
}

/* ---- swept ---------------------------------------------------------------------- */

static int swept_waits(void *arg)
{
    struct waiter in = { .events = POLLIN, .rc = -ECANCELED }, other = in;
    uint64_t one = 1;
    int fd = eventfd(0, EFD_CLOEXEC), rc = 1;

    (void)arg;
    in.fd = other.fd = fd;
    WEIR_SCOPE(s) {
        sweep_at(s);
        weir_go(s, wait_one, &in);
        weir_go(s, wait_one, &other);
        WEIR_IGNORE(weir_sleep_ms(1), "the join tells");
        CHECK_INT(write(fd, &one, sizeof(one)), sizeof(one));
        rc = weir_join(s);
        sweep_over();
    }
    CHECK(rc == 0 || (rc == -ECANCELED && sweep_hit()));
    CHECK(in.rc == POLLIN || in.rc == -ECANCELED);
    close(fd);
    weir_recover();
    return 0;
}

static void waits_are_swept(void **state)
{
    (void)state;
    assert_true(sweep_waits(swept_waits, NULL) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_ready_is_returned_at_once),
        cmocka_unit_test(wrong_descriptors_are_refused),
        cmocka_unit_test(a_reader_and_a_writer_wait_for_one_descriptor),
        cmocka_unit_test(many_wait_for_the_same_event),
        cmocka_unit_test(a_closed_peer_is_told),
        cmocka_unit_test(a_deadline_and_a_cancel_end_the_wait),
        cmocka_unit_test(a_number_that_comes_back_is_watched_anew),
        cmocka_unit_test(waiting_again_and_again_leaves_nothing),
        cmocka_unit_test(waits_are_swept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
