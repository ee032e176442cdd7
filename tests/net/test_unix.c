/* Unix sockets: with a file and without, what a killed process leaves behind, who
 * the peer is, and how a full queue is waited for. */
#include "support/in_task.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <weir/stream.h>

#include "net/addr.h"

/* Of this process alone, and new for each test. */
static const char *socket_path(void)
{
    static int number;

    return weir_format("/tmp/weir-test-%d-%d.sock", (int)getpid(), number++).ptr;
}

static const char *address_of(const char *path)
{
    return weir_format("unix:%s", path).ptr;
}

static bool is_there(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

struct pair {
    weir_listener *listener;
    weir_stream *one, *other;
};

static int accept_one(void *arg)
{
    struct pair *pair = arg;

    return weir_accept(pair->listener, &pair->other);
}

static void connect_pair(struct pair *pair, const char *address)
{
    WEIR_SCOPE(s) {
        weir_go(s, accept_one, pair);
        CHECK_INT(weir_stream_connect(address, &pair->one), 0);
        CHECK_INT(weir_join(s), 0);
    }
}

static void close_pair(struct pair *pair)
{
    weir_stream_close(pair->one);
    weir_stream_close(pair->other);
}

static void exchange(struct pair *pair)
{
    weir_str data;

    CHECK_INT(weir_stream_write(pair->one, WEIR_S("there")), 5);
    CHECK_INT(weir_stream_read(pair->other, &data), 5);
    CHECK(weir_str_eq(data, WEIR_S("there")));
    CHECK_INT(weir_stream_write(pair->other, WEIR_S("back")), 4);
    CHECK_INT(weir_stream_shutdown(pair->other), 0);
    CHECK_INT(weir_stream_read(pair->one, &data), 4);
    CHECK_INT(weir_stream_read(pair->one, &data), 0);
}

TASK_TEST(a_socket_with_a_file_comes_and_goes_with_its_listener)
{
    const char *path = socket_path();
    struct pair pair;
    struct stat st;

    (void)arg;
    CHECK_INT(weir_listen(address_of(path), &pair.listener, .unix_mode = 0622), 0);
    CHECK(lstat(path, &st) == 0 && S_ISSOCK(st.st_mode));
    CHECK_INT(st.st_mode & 0777, 0622);
    CHECK_INT(weir_listener_port(pair.listener), 0);
    connect_pair(&pair, address_of(path));
    exchange(&pair);
    close_pair(&pair);
    weir_listener_close(pair.listener);
    CHECK(!is_there(path));
    return 0;
}

TASK_TEST(a_name_without_a_file)
{
    const char *address = weir_format("unix:@weir-test-%d", (int)getpid()).ptr;
    weir_listener *second;
    struct pair pair;
    char text[300];

    (void)arg;
    CHECK_INT(weir_listen(address, &pair.listener), 0);
    connect_pair(&pair, address);
    exchange(&pair);
    close_pair(&pair);
    CHECK_INT(weir_listen(address, &second), -EADDRINUSE);
    weir_error_print(text, sizeof(text));
    CHECK(strstr(text, "another process listens there"));
    weir_recover();
    weir_listener_close(pair.listener);
    CHECK_INT(weir_stream_connect(address, &pair.one), -ECONNREFUSED);
    weir_recover();
    return 0;
}

/* A bound socket whose process is no more. */
static void leave_behind(const char *path)
{
    struct addr addr;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    CHECK_INT(addr_parse(weir_str_c(address_of(path)), &addr), 0);
    CHECK(bind(fd, addr_sockaddr(&addr), addr.len) == 0 && listen(fd, 1) == 0);
    close(fd);
    CHECK(is_there(path));
}

TASK_TEST(what_a_killed_process_left_is_replaced)
{
    const char *path = socket_path();
    struct pair pair;

    (void)arg;
    leave_behind(path);
    CHECK_INT(weir_stream_connect(address_of(path), &pair.one), -ECONNREFUSED);
    weir_recover();
    CHECK_INT(weir_listen(address_of(path), &pair.listener), 0);
    connect_pair(&pair, address_of(path));
    exchange(&pair);
    close_pair(&pair);
    weir_listener_close(pair.listener);
    CHECK(!is_there(path));
    return 0;
}

TASK_TEST(a_socket_that_answers_is_not_replaced)
{
    const char *path = socket_path();
    weir_listener *second = NULL;
    struct pair pair;
    char text[400];

    (void)arg;
    CHECK_INT(weir_listen(address_of(path), &pair.listener), 0);
    CHECK_INT(weir_listen(address_of(path), &second), -EADDRINUSE);
    weir_error_print(text, sizeof(text));
    CHECK(strstr(text, "another process listens at /tmp/weir-test-"));
    weir_recover();
    CHECK(second == NULL && is_there(path));
    weir_listener_close(pair.listener);
    return 0;
}

TASK_TEST(a_file_that_is_no_socket_is_not_replaced)
{
    const char *path = socket_path();
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    weir_listener *listener;
    char text[400];

    (void)arg;
    close(fd);
    CHECK_INT(weir_listen(address_of(path), &listener), -EADDRINUSE);
    weir_error_print(text, sizeof(text));
    CHECK(strstr(text, "is no socket"));
    weir_recover();
    CHECK(is_there(path));
    unlink(path);
    CHECK_INT(weir_listen("unix:/nowhere/at/all.sock", &listener), -ENOENT);
    weir_recover();
    return 0;
}

/* Whoever replaced the file since keeps it. */
TASK_TEST(only_its_own_file_is_taken_away)
{
    const char *path = socket_path();
    weir_listener *listener;

    (void)arg;
    CHECK_INT(weir_listen(address_of(path), &listener), 0);
    /* The inode of a file just unlinked may be given out again at once. */
    CHECK_INT(rename(path, weir_format("%s.old", path).ptr), 0);
    leave_behind(path);
    weir_listener_close(listener);
    CHECK(is_there(path));
    unlink(path);
    unlink(weir_format("%s.old", path).ptr);
    return 0;
}

TASK_TEST(the_peer_is_known)
{
    const char *path = socket_path();
    weir_peer_cred cred = { 0 };
    weir_stream *one, *other;
    struct pair pair;

    (void)arg;
    CHECK_INT(weir_listen(address_of(path), &pair.listener), 0);
    connect_pair(&pair, address_of(path));
    CHECK_INT(weir_stream_peer_cred(pair.other, &cred), 0);
    CHECK_INT(cred.pid, getpid());
    CHECK_INT(cred.uid, geteuid());
    CHECK_INT(cred.gid, getegid());
    close_pair(&pair);
    weir_listener_close(pair.listener);

    CHECK_INT(weir_listen("127.0.0.1:0", &pair.listener), 0);
    connect_pair(&pair, weir_format("127.0.0.1:%u", weir_listener_port(pair.listener)).ptr);
    CHECK_INT(weir_stream_peer_cred(pair.other, &cred), -EOPNOTSUPP);
    close_pair(&pair);
    weir_listener_close(pair.listener);
    CHECK_INT(weir_stream_pair(&one, &other), 0);
    CHECK_INT(weir_stream_peer_cred(one, &cred), -EOPNOTSUPP);
    weir_stream_close(one);
    weir_stream_close(other);
    return 0;
}

#define QUEUE_TRIES 8

/* The kernel refuses with EAGAIN where a TCP connect would wait. */
TASK_TEST(a_full_queue_is_waited_for_until_the_deadline)
{
    const char *path = socket_path();
    weir_stream *streams[QUEUE_TRIES] = { NULL }, *taken;
    weir_listener *listener;
    int n = 0, rc = 0;

    (void)arg;
    CHECK_INT(weir_listen(address_of(path), &listener, .backlog = 1), 0);
    for (; n < QUEUE_TRIES && rc == 0; n++) {
        WEIR_SCOPE(s, .timeout_ms = 30) {
            rc = weir_stream_connect(address_of(path), &streams[n]);
            CHECK(rc == 0 || (rc == -ETIMEDOUT && weir_timed_out(s)));
        }
    }
    CHECK_INT(rc, -ETIMEDOUT);
    weir_recover();
    CHECK_INT(weir_accept(listener, &taken), 1);
    CHECK_INT(weir_stream_connect(address_of(path), &streams[n - 1]), 0);
    weir_stream_close(taken);
    for (int i = 0; i < n; i++)
        weir_stream_close(streams[i]);
    weir_listener_close(listener);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_with_a_file_comes_and_goes_with_its_listener),
        cmocka_unit_test(a_name_without_a_file),
        cmocka_unit_test(what_a_killed_process_left_is_replaced),
        cmocka_unit_test(a_socket_that_answers_is_not_replaced),
        cmocka_unit_test(a_file_that_is_no_socket_is_not_replaced),
        cmocka_unit_test(only_its_own_file_is_taken_away),
        cmocka_unit_test(the_peer_is_known),
        cmocka_unit_test(a_full_queue_is_waited_for_until_the_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
