/* Files: open ones, whole ones, paths, and watching a directory. */
#include "support/both.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weir/file.h>
#include <weir/time.h>

#include "rt/rt.h"
#include "support/fault.h"
#include "support/sweep.h"

static char folder[] = "file-test-XXXXXX";

/* A path in the test's own directory. */
static const char *in_folder(const char *name)
{
    return weir_format("%s/%s", folder, name).ptr;
}

/* One path, in no memory that could fail. */
static const char *in_folder_of(const char *name)
{
    static char path[100];

    snprintf(path, sizeof(path), "%s/memory", name);
    return path;
}

static void error_is(const char *wanted)
{
    char text[300];

    weir_error_print(text, sizeof(text));
    CHECK_TEXT(text, wanted);
    weir_recover();
}

static void holds(const char *name, const char *wanted)
{
    weir_str text;

    CHECK_INT(weir_file_load(in_folder(name), 1000, &text), 0);
    CHECK_TEXT(text.ptr, wanted);
}

/* ---- open files ---------------------------------------------------------------- */

BOTH_TEST(bytes_are_written_and_read)
{
    weir_file *file;
    weir_file_info info;
    char buf[20];

    (void)arg;
    CHECK_INT(weir_file_open(in_folder("bytes"), &file, .write = true, .create = true,
                             .exclusive = true, .mode = 0640),
              0);
    CHECK_INT(weir_file_write(file, WEIR_S("hello ")), 6);
    CHECK_INT(weir_file_write(file, WEIR_S("world")), 5);
    CHECK_INT(weir_file_write_at(file, WEIR_S("J"), 0), 1);
    CHECK_INT(weir_file_read_at(file, buf, sizeof(buf), 6), 5);
    CHECK(memcmp(buf, "world", 5) == 0);
    CHECK_INT(weir_file_read_at(file, buf, sizeof(buf), 11), 0);
    CHECK_INT(weir_file_read_at(file, buf, sizeof(buf), -1), -EINVAL);
    CHECK_INT(weir_file_write_at(file, WEIR_S("x"), -1), -EINVAL);
    CHECK_INT(weir_file_sync(file, true), 0);
    CHECK_INT(weir_file_sync(file, false), 0);
    CHECK_INT(weir_file_truncate(file, 5), 0);
    CHECK_INT(weir_file_stat(file, &info), 0);
    CHECK_INT(info.bytes, 5);
    CHECK_INT(info.mode, 0640);
    CHECK_INT(info.type, WEIR_FILE_REGULAR);
    CHECK(info.modified_ns > 0);
    CHECK_INT(weir_file_close(file), 0);
    CHECK_INT(weir_file_open(in_folder("bytes"), &file), 0);
    CHECK_INT(weir_file_read(file, buf, 3), 3);
    CHECK_INT(weir_file_read(file, buf + 3, 10), 2);
    CHECK(memcmp(buf, "Jello", 5) == 0);
    CHECK_INT(weir_file_write(file, WEIR_S("x")), -EBADF);
    CHECK_INT(weir_file_close(file), 0);
    CHECK_INT(weir_file_open(in_folder("bytes"), &file, .write_only = true, .append = true), 0);
    CHECK_INT(weir_file_write(file, WEIR_S("!")), 1);
    CHECK_INT(weir_file_close(file), 0);
    weir_recover();
    holds("bytes", "Jello!");
    CHECK_INT(weir_path_unlink(in_folder("bytes")), 0);
    CHECK_INT(weir_file_close(NULL), 0);
    return 0;
}

BOTH_TEST(failures_name_the_path)
{
    weir_file *file = NULL;
    weir_str text;

    (void)arg;
    CHECK_INT(weir_file_open("no/such", &file), -ENOENT);
    error_is("opening no/such: No such file or directory");
    CHECK_INT(weir_file_load("/", 10, &text), -EISDIR);
    error_is("reading /: it is a directory");
    CHECK_INT(weir_path_rename("no/such", "no/other"), -ENOENT);
    error_is("renaming no/such to no/other: No such file or directory");
    CHECK_INT(weir_path_rmdir("no/such"), -ENOENT);
    error_is("taking the directory no/such away: No such file or directory");
    CHECK(file == NULL);
    return 0;
}

BOTH_TEST(a_full_disk_is_told)
{
    weir_file *file;

    (void)arg;
    CHECK_INT(weir_file_open("/dev/full", &file, .write_only = true), 0);
    CHECK_INT(weir_file_write(file, WEIR_S("something")), -ENOSPC);
    error_is("writing 9 bytes to /dev/full: No space left on device");
    CHECK_INT(weir_file_close(file), 0);
    return 0;
}

/* The limit on a file's size stands for a disk that fills up on the way. */
BOTH_TEST(what_was_written_before_a_failure_is_told)
{
    struct rlimit old, small = { .rlim_cur = 10 };
    weir_file *file;

    (void)arg;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small.rlim_max = old.rlim_max;
    CHECK_INT(weir_file_store(in_folder("kept"), WEIR_S("old")), 0);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &small), 0);
    CHECK_INT(weir_file_open(in_folder("small"), &file, .write = true, .create = true), 0);
    CHECK_INT(weir_file_write(file, WEIR_S("0123456789abc")), 10);
    CHECK_INT(weir_file_write(file, WEIR_S("abc")), -EFBIG);
    CHECK_INT(weir_file_close(file), 0);
    CHECK_INT(weir_file_store(in_folder("kept"), WEIR_S("longer than it may be")), -EFBIG);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &old), 0);
    weir_recover();
    holds("kept", "old");
    CHECK_INT(weir_path_unlink(in_folder("kept")), 0);
    CHECK_INT(weir_path_unlink(in_folder("small")), 0);
    return 0;
}

/* ---- whole files ------------------------------------------------------------------ */

BOTH_TEST(whole_files)
{
    weir_path_entry *entries;
    weir_file_info info;
    weir_str text;

    (void)arg;
    CHECK_INT(weir_file_store(in_folder("whole"), WEIR_S("first"), .mode = 0600), 0);
    holds("whole", "first");
    CHECK_INT(weir_file_store(in_folder("whole"), WEIR_S("second"), .no_sync = true), 0);
    holds("whole", "second");
    CHECK_INT(weir_path_stat(in_folder("whole"), &info), 0);
    CHECK_INT(info.mode, 0600); /* kept */
    CHECK_INT(weir_file_load(in_folder("whole"), 5, &text), -EFBIG);
    weir_recover();
    CHECK_INT(weir_file_load(in_folder("whole"), 6, &text), 0);
    CHECK_INT(weir_file_store(in_folder("whole"), WEIR_S("")), 0);
    CHECK_INT(weir_file_load(in_folder("whole"), 6, &text), 0);
    CHECK_INT(text.len, 0);
    CHECK(text.ptr && *text.ptr == '\0');
    CHECK_INT(weir_file_load("/proc/self/status", 1 << 20, &text), 0); /* tells no length */
    CHECK(text.len > 100 && strstr(text.ptr, "Threads:"));
    CHECK_INT(weir_file_load("/proc/self/status", 100, &text), -EFBIG);
    CHECK_INT(weir_file_load("/dev/zero", 100000, &text), -EFBIG);
    weir_recover();
    CHECK_INT(weir_path_list(folder, 10, &entries), 1); /* nothing else is left */
    CHECK_INT(weir_path_unlink(in_folder("whole")), 0);
    return 0;
}

/* As long as a name may be: there is none that is longer by a byte. */
BOTH_TEST(a_long_name_is_stored_under)
{
    char name[256] = { 0 };
    weir_path_entry *entries;

    (void)arg;
    memset(name, 'n', sizeof(name) - 1);
    CHECK_INT(weir_file_store(in_folder(name), WEIR_S("first")), 0);
    CHECK_INT(weir_file_store(in_folder(name), WEIR_S("second")), 0);
    holds(name, "second");
    CHECK_INT(weir_path_list(folder, 10, &entries), 1);
    CHECK_INT(weir_path_unlink(in_folder(name)), 0);
    return 0;
}

BOTH_TEST(paths)
{
    weir_path_entry *entries;
    weir_file_info info;

    (void)arg;
    CHECK_INT(weir_path_mkdir(in_folder("d"), 0755), 0);
    CHECK_INT(weir_path_mkdir(in_folder("d"), 0755), -EEXIST);
    CHECK_INT(weir_path_stat(in_folder("d"), &info), 0);
    CHECK_INT(info.type, WEIR_FILE_FOLDER);
    CHECK_INT(weir_file_store(in_folder("d/b"), WEIR_S("x")), 0);
    CHECK_INT(weir_path_rename(in_folder("d/b"), in_folder("d/a")), 0);
    CHECK_INT(symlink("a", in_folder("d/link")), 0);
    CHECK_INT(weir_path_mkdir(in_folder("d/c"), 0700), 0);
    CHECK_INT(weir_path_sync(in_folder("d")), 0);
    CHECK_INT(weir_path_list(in_folder("d"), 3, &entries), 3);
    CHECK_TEXT(entries[0].name.ptr, "a");
    CHECK_INT(entries[0].type, WEIR_FILE_REGULAR);
    CHECK_TEXT(entries[1].name.ptr, "c");
    CHECK_INT(entries[1].type, WEIR_FILE_FOLDER);
    CHECK_INT(entries[2].type, WEIR_FILE_LINK);
    CHECK_INT(weir_path_list(in_folder("d"), 2, &entries), WEIR_EFULL);
    CHECK_INT(weir_path_rmdir(in_folder("d")), -ENOTEMPTY);
    CHECK_INT(weir_path_rmdir(in_folder("d/c")), 0);
    CHECK_INT(weir_path_unlink(in_folder("d/a")), 0);
    CHECK_INT(weir_path_unlink(in_folder("d/link")), 0);
    CHECK_INT(weir_path_list(in_folder("d"), 2, &entries), 0);
    CHECK_INT(weir_path_rmdir(in_folder("d")), 0);
    CHECK_INT(weir_path_unlink(in_folder("d")), -ENOENT);
    weir_recover();
    return 0;
}

/* A cancel at every wait; what is there is the old text or the new one. */
static int swept_files(void *arg)
{
    weir_file *file = NULL;
    weir_str text = { 0 };
    int rc = 1;

    (void)arg;
    CHECK_INT(weir_file_store(in_folder("swept"), WEIR_S("old")), 0);
    WEIR_SCOPE(s) {
        sweep_at(s);
        rc = weir_file_store(in_folder("swept"), WEIR_S("new"));
        if (rc == 0)
            rc = weir_file_load(in_folder("swept"), 100, &text);
        if (rc == 0)
            rc = weir_file_open(in_folder("swept"), &file);
        if (rc == 0)
            rc = weir_file_sync(file, false);
        weir_file_close(file);
        sweep_over();
    }
    CHECK(rc == 0 || (rc == -ECANCELED && sweep_hit()));
    weir_recover();
    CHECK_INT(weir_file_load(in_folder("swept"), 100, &text), 0);
    CHECK(weir_str_eq(text, WEIR_S("old")) || weir_str_eq(text, WEIR_S("new")));
    CHECK_INT(weir_path_unlink(in_folder("swept")), 0);
    return 0;
}

static void files_are_swept(void **state)
{
    (void)state;
    assert_true(sweep_waits(swept_files, NULL) >= 5);
}

/* What a file holds, by no way of weir's: -1 when it is not there. */
static int number_in(const char *path)
{
    char text[20] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -1;
    CHECK(read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    return (int)strtol(text, NULL, 10);
}

/* Every fault of a disk, at random: a store is whole, or did nothing. */
static int faulty(void *arg)
{
    int failed = 0, last = -1;

    (void)arg;
    for (int i = 1; i < 100; i++) {
        weir_str now = weir_format("%d", i), text = { 0 };
        int rc = weir_file_store(in_folder("faulty"), now), found = number_in(in_folder("faulty"));

        failed += rc < 0;
        CHECK(rc == 0 ? found == i : found == i || found == last);
        last = found;
        if (weir_file_load(in_folder("faulty"), 100, &text) == 0)
            CHECK_INT(strtol(text.ptr, NULL, 10), found);
        weir_recover();
    }
    CHECK(failed > 0);
    return 0;
}

static void faults_of_a_disk(void **state)
{
    char path[100];

    (void)state;
    snprintf(path, sizeof(path), "%s/faulty", folder);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sim_opts opts;
        struct sim *sim;

        sim_opts_init(&opts);
        opts.seed = seed;
        opts.fault[SIM_FAULT_disk_full] = 50;
        opts.fault[SIM_FAULT_disk_error] = 50;
        opts.fault[SIM_FAULT_disk_short] = 200;
        opts.fault[SIM_FAULT_interrupt] = 200;
        sim = sim_new(&opts);
        if (sim_run(sim, faulty, NULL, NULL) != 0)
            fail_msg("seed %llu", (unsigned long long)seed);
        sim_free(sim);
        unlink(path);
    }
}

static int without_memory(void *arg)
{
    weir_file_watch *watch = NULL;
    weir_path_entry *entries;
    weir_file *file = NULL;
    weir_str text;
    int rc = weir_file_store(in_folder_of(folder), WEIR_S("x"));

    (void)arg;
    if (rc == 0)
        rc = weir_file_load(in_folder_of(folder), 10, &text);
    if (rc == 0)
        rc = weir_file_load("/proc/self/status", 10000, &text);
    if (rc == 0)
        rc = weir_file_open(in_folder_of(folder), &file);
    weir_file_close(file);
    if (rc == 0)
        rc = weir_path_list(folder, 10, &entries);
    if (rc >= 0)
        rc = weir_file_watch_open(folder, &watch);
    weir_file_watch_close(watch);
    weir_recover();
    return rc;
}

static int whole_run(void *arg)
{
    return weir_run(without_memory, arg, .loops = 1, .grace_ms = 200);
}

static void memory_that_fails(void **state)
{
    (void)state;
    assert_true(fault_sweep(whole_run, NULL) > 5);
    assert_int_equal(unlink(in_folder_of(folder)), 0);
}

/* ---- watching ------------------------------------------------------------------------ */

static void next_is(weir_file_watch *watch, weir_file_watch_kind kind, const char *name)
{
    weir_file_watch_event event;

    CHECK_INT(weir_file_watch_next(watch, &event), 1);
    CHECK_INT(event.kind, kind);
    CHECK(weir_str_eq(event.name, weir_str_c(name)));
}

BOTH_TEST(a_directory_is_watched)
{
    weir_file_watch *watch;
    weir_file_watch_event event;
    weir_file *file;

    (void)arg;
    CHECK_INT(weir_file_watch_open("no/such", &watch), -ENOENT);
    error_is("watching no/such: No such file or directory");
    CHECK_INT(weir_path_mkdir(in_folder("w"), 0700), 0);
    CHECK_INT(weir_file_watch_open(in_folder("w"), &watch), 0);
    WEIR_SCOPE(s, .timeout_ms = 5)
        CHECK_INT(weir_file_watch_next(watch, &event), -ETIMEDOUT);
    weir_recover();
    CHECK_INT(weir_file_open(in_folder("w/a"), &file, .write = true, .create = true), 0);
    next_is(watch, WEIR_FILE_WATCH_ADDED, "a");
    CHECK_INT(weir_file_write(file, WEIR_S("x")), 1);
    CHECK_INT(weir_file_close(file), 0);
    next_is(watch, WEIR_FILE_WATCH_CHANGED, "a");
    CHECK_INT(weir_path_rename(in_folder("w/a"), in_folder("w/b")), 0);
    next_is(watch, WEIR_FILE_WATCH_REMOVED, "a");
    next_is(watch, WEIR_FILE_WATCH_ADDED, "b");
    CHECK_INT(weir_path_unlink(in_folder("w/b")), 0);
    next_is(watch, WEIR_FILE_WATCH_REMOVED, "b");
    CHECK_INT(weir_path_rmdir(in_folder("w")), 0);
    next_is(watch, WEIR_FILE_WATCH_GONE, "");
    CHECK_INT(weir_file_watch_next(watch, &event), 0);
    weir_file_watch_close(watch);
    weir_file_watch_close(NULL);
    return 0;
}

TASK_TEST(lost_events_are_told)
{
    weir_file_watch *watch;
    weir_file_watch_event event = { 0 };
    weir_str most;
    long events = 0, limit;

    (void)arg;
    CHECK_INT(weir_file_load("/proc/sys/fs/inotify/max_queued_events", 100, &most), 0);
    limit = strtol(most.ptr, NULL, 10);
    CHECK_INT(weir_path_mkdir(in_folder("o"), 0700), 0);
    CHECK_INT(weir_file_watch_open(in_folder("o"), &watch), 0);
    for (long i = 0; i < limit / 2 + 10; i++) {
        const char *path = i % 2 ? "o/odd" : "o/even"; /* alike ones would be joined */
        int fd = open(in_folder(path), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

        CHECK(fd >= 0);
        close(fd);
        CHECK_INT(unlink(in_folder(path)), 0);
    }
    while (event.kind != WEIR_FILE_WATCH_OVERFLOW && events++ <= limit)
        CHECK_INT(weir_file_watch_next(watch, &event), 1);
    CHECK_INT(event.kind, WEIR_FILE_WATCH_OVERFLOW);
    CHECK_INT(event.name.len, 0);
    weir_file_watch_close(watch);
    CHECK_INT(weir_path_rmdir(in_folder("o")), 0);
    return 0;
}

static weir_file_watch *watched;

static int watch_until_stop(void *arg)
{
    weir_file_watch_event event;

    (void)arg;
    CHECK_INT(weir_file_watch_next(watched, &event), 0);
    CHECK(weir_stopping());
    CHECK_INT(weir_file_watch_next(watched, &event), 0);
    return 0;
}

TASK_TEST(a_stop_ends_the_watch)
{
    (void)arg;
    CHECK_INT(weir_file_watch_open(folder, &watched), 0);
    WEIR_SCOPE(s) {
        weir_go(s, watch_until_stop, NULL);
        CHECK_INT(weir_sleep_ms(2), 0);
        weir_stop(s);
        CHECK_INT(weir_join(s), 0);
    }
    weir_file_watch_close(watched);
    return 0;
}

static int swept_watch(void *arg)
{
    weir_file_watch_event event = { 0 };
    int rc = 1;

    (void)arg;
    CHECK_INT(weir_file_watch_open(folder, &watched), 0);
    WEIR_SCOPE(s) {
        sweep_at(s);
        WEIR_SCOPE(soon, .timeout_ms = 5)
            rc = weir_file_watch_next(watched, &event);
        sweep_over();
    }
    CHECK(rc == -ETIMEDOUT || (rc == -ECANCELED && sweep_hit()));
    weir_recover();
    weir_file_watch_close(watched);
    return 0;
}

static void the_watch_is_swept(void **state)
{
    (void)state;
    assert_int_equal(sweep_waits(swept_watch, NULL), 1);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_written_and_read),
        cmocka_unit_test(failures_name_the_path),
        cmocka_unit_test(a_full_disk_is_told),
        cmocka_unit_test(what_was_written_before_a_failure_is_told),
        cmocka_unit_test(whole_files),
        cmocka_unit_test(a_long_name_is_stored_under),
        cmocka_unit_test(paths),
        cmocka_unit_test(files_are_swept),
        cmocka_unit_test(faults_of_a_disk),
        cmocka_unit_test(memory_that_fails),
        cmocka_unit_test(a_directory_is_watched),
        cmocka_unit_test(lost_events_are_told),
        cmocka_unit_test(a_stop_ends_the_watch),
        cmocka_unit_test(the_watch_is_swept),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
