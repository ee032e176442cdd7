/* Files, a watched directory, a child process, datagrams, a name, signals, a session
 * and another loop, with each system call of each kind failing in turn, once and for
 * ever: see call_sweep.h.
 *
 * With the argument "full" every call fails; else each of the first few, and then
 * fewer and fewer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/weir.h>

#include "faults/call_sweep.h"
#include "support/dns_peer.h"

static bool full;
static char folder[] = "calls-XXXXXX";

static const char *in_folder(const char *name)
{
    return weir_format("%s/%s", folder, name).ptr;
}

/* ---- what is run ------------------------------------------------------------------- */

static int use_open_file(void)
{
    char text[8];
    weir_file *file = NULL;
    weir_file_info info;
    int rc = weir_file_open(in_folder("a"), &file, .write = true, .create = true);
    ssize_t n = rc;

    if (n == 0)
        n = weir_file_write(file, WEIR_S("abc"));
    if (n >= 0)
        n = weir_file_write_at(file, WEIR_S("d"), 3);
    if (n >= 0)
        n = weir_file_read_at(file, text, 4, 0);
    if (n >= 0)
        n = weir_file_read(file, text, 4);
    if (n >= 0)
        n = weir_file_truncate(file, 2);
    if (n >= 0)
        n = weir_file_stat(file, &info);
    if (n >= 0)
        n = weir_file_sync(file, true);
    rc = weir_file_close(file);
    return n < 0 ? (int)n : rc;
}

static int use_paths(void)
{
    weir_path_entry *entries;
    weir_file_info info;
    weir_str text;
    int rc = weir_file_store(in_folder("b"), WEIR_S("n: 5\n"));

    if (rc == 0)
        rc = weir_file_load(in_folder("b"), 100, &text);
    if (rc == 0)
        rc = weir_path_rename(in_folder("b"), in_folder("c"));
    if (rc == 0)
        rc = weir_path_stat(in_folder("c"), &info);
    if (rc == 0)
        rc = weir_path_list(folder, 100, &entries);
    if (rc >= 0)
        rc = weir_path_unlink(in_folder("c"));
    if (rc == 0)
        rc = weir_path_mkdir(in_folder("d"), 0700);
    if (rc == 0)
        rc = weir_path_rmdir(in_folder("d"));
    return rc < 0 ? rc : weir_path_sync(folder);
}

static int watch(void)
{
    weir_file_watch_event event;
    weir_file_watch *watch = NULL;
    int rc = weir_file_watch_open(folder, &watch);

    if (rc == 0)
        rc = weir_path_mkdir(in_folder("e"), 0700);
    if (rc == 0)
        rc = weir_file_watch_next(watch, &event);
    weir_file_watch_close(watch);
    rmdir(in_folder("e"));
    return rc < 0 ? rc : 0;
}

static int run_child(void)
{
    weir_process_output out;

    return weir_process_run(((const char *[]){ "/bin/sh", "-c", "cat; echo x >&2", NULL }), &out,
                            .input = WEIR_S("abc"), .grace_ms = 50);
}

static int send_datagrams(void)
{
    char data[2][8];
    weir_packet packets[] = { { .data = data[0], .room = 8 }, { .data = data[1], .room = 8 } };
    weir_datagram *one = NULL, *other = NULL;
    int rc = weir_datagram_open("127.0.0.1:0", &one);

    if (rc == 0)
        rc = weir_datagram_open("127.0.0.1:0", &other);
    if (rc == 0) {
        weir_address to = weir_datagram_address(one);
        weir_packet out[] = { { .data = data[0], .len = 4, .peer = to },
                              { .data = data[1], .len = 4, .peer = to } };

        rc = weir_datagram_send_many(other, out, 2);
        if (rc >= 0)
            rc = weir_datagram_recv_many(one, packets, 2);
        if (rc >= 0)
            rc = weir_datagram_send(other, WEIR_S("ping"), &to);
        if (rc >= 0)
            rc = weir_datagram_recv(one, packets);
    }
    weir_datagram_close(one);
    weir_datagram_close(other);
    return rc < 0 ? rc : 0;
}

static int look_up(void)
{
    weir_addresses addresses;

    return weir_resolve(WEIR_S("here.test"), &addresses);
}

static int wait_for_signal(void)
{
    weir_signals *signals = NULL;
    int number, rc = weir_signals_open(&signals, SIGUSR2);

    if (rc == 0 && raise(SIGUSR2) == 0)
        rc = weir_signals_next(signals, &number);
    weir_signals_close(signals);
    return rc < 0 ? rc : 0;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int call_session(void)
{
    weir_session *session;
    int rc = weir_session_open(&session);

    if (rc < 0)
        return rc;
    rc = weir_session_call(session, nothing, NULL);
    weir_session_close(session);
    return rc;
}

static int on_other_loop(void)
{
    int rc = 0;

    WEIR_SCOPE(s) {
        weir_go_on(s, 1, nothing, NULL);
        rc = weir_join(s);
    }
    return rc;
}

/* One failing does not keep the next from being tried. A deadline for each: what was
 * lost on the way (a datagram, an event) never comes. */
static int everything(void *arg)
{
    static int (*const parts[])(void) = { use_open_file,   use_paths,      watch,
                                          run_child,       send_datagrams, look_up,
                                          wait_for_signal, call_session,   on_other_loop };
    int first = 0;

    (void)arg;
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        WEIR_SCOPE(s, .timeout_ms = 500) {
            int rc = parts[i]();

            if (rc < 0 && first == 0)
                first = rc;
        }
        weir_recover();
    }
    return first;
}

/* ---- the faults ---------------------------------------------------------------------- */

static const struct call_fault faults[] = {
    CALL_FAILS(BIND, EADDRINUSE),
    CALL_FAILS(EPOLL_CREATE1, EMFILE),
    CALL_FAILS(EPOLL_CTL, ENOMEM),
    CALL_FAILS(EVENTFD, EMFILE),
    CALL_FAILS(FDATASYNC, EIO),
    CALL_FAILS(FSTAT, EIO),
    CALL_FAILS(FSYNC, EIO),
    CALL_FAILS(FTRUNCATE, ENOSPC),
    CALL_FAILS(INOTIFY_ADD_WATCH, ENOSPC),
    CALL_FAILS(INOTIFY_INIT1, EMFILE),
    CALL_FAILS(MKDIR, ENOSPC),
    CALL_FAILS(MMAP, ENOMEM),
    CALL_FAILS(OPEN, EMFILE),
    CALL_FAILS(OPEN, EINTR, .once_only = true),
    CALL_FAILS(OPENDIR, EMFILE),
    CALL_FAILS(PIDFD_OPEN, EMFILE),
    CALL_FAILS(PIPE2, EMFILE),
    CALL_FAILS(POSIX_SPAWNP, EAGAIN),
    CALL_FAILS(POSIX_SPAWNP, ENOENT),
    CALL_FAILS(PREAD, EIO),
    CALL_FAILS(PREAD, EINTR, .once_only = true),
    CALL_FAILS(PTHREAD_CREATE, EAGAIN),
    CALL_FAILS(PWRITE, ENOSPC),
    CALL_FAILS(PWRITE, EINTR, .once_only = true),
    CALL_FAILS(READ, EIO),
    CALL_FAILS(READ, EINTR, .once_only = true),
    CALL_FAILS(READDIR, EIO),
    CALL_FAILS(RECVMMSG, ENOMEM, .may_be_none = true),
    CALL_FAILS(RECVMMSG, EINTR, .once_only = true, .may_be_none = true),
    CALL_FAILS(RECVMSG, ENOMEM, .may_be_none = true),
    CALL_FAILS(RENAME, EXDEV),
    CALL_FAILS(RMDIR, EBUSY),
    CALL_FAILS(SENDMMSG, ENOBUFS, .may_be_none = true),
    CALL_FAILS(SENDMSG, ENOBUFS, .may_be_none = true),
    CALL_FAILS(SIGACTION, EINVAL),
    CALL_FAILS(SIGALTSTACK, ENOMEM, .may_be_none = true),
    CALL_FAILS(SOCKET, EMFILE),
    CALL_FAILS(STAT, EACCES),
    CALL_FAILS(UNLINK, EACCES),
    CALL_FAILS(WAITID, EINTR, .once_only = true, .may_be_none = true),
    CALL_FAILS(WRITE, ENOSPC),
    CALL_FAILS(WRITE, EINTR, .once_only = true),
};

/* What a run before has left. */
static void tidy(void)
{
    static const char *const names[] = { "a", "b", "c", "d", "e" };
    char path[64];

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        remove(path);
    }
}

static const struct call_scenario scenario = {
    .fn = everything, .before = tidy, .loops = 2, .backend = WEIR_BACKEND_EPOLL, .sampled = 2
};

static void each_call_fails_in_turn(void **state)
{
    (void)state;
    call_sweep(&scenario, faults, sizeof(faults) / sizeof(faults[0]), full);
}

/* What a failing unlink has left. */
static void clean_up(void)
{
    char command[64];

    snprintf(command, sizeof(command), "rm -rf %s", folder);
    if (system(command) != 0)
        print_error("%s is left\n", folder);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(each_call_fails_in_turn) };
    char servers[32];
    struct dns_peer *names = dns_peer_start(servers);
    int failed;

    full = argc > 1 && strcmp(argv[1], "full") == 0;
    dns_peer_says(names, "here.test", .ttl_s = 60, .v4 = { "127.0.0.1" });
    if (!mkdtemp(folder) ||
        weir_dns_setup(.servers = servers, .hosts = "", .timeout_ms = 200, .tries = 1) < 0)
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    clean_up();
    dns_peer_stop(names);
    return failed;
}
