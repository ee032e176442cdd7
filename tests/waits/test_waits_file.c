/* Files, paths and watched directories: what was given up was not begun. */
#include "waits/waits.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weir/file.h>

static char folder[] = "waits-XXXXXX";

static char path_one[64], path_two[64], path_in[64];

static bool there(const char *path)
{
    return access(path, F_OK) == 0;
}

/* What a file holds, by no way of weir's. */
static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    CHECK(fd >= 0);
    CHECK_INT(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void check_holds(const char *path, const char *wanted)
{
    char text[64] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    CHECK(fd >= 0);
    CHECK(read(fd, text, sizeof(text) - 1) >= 0);
    close(fd);
    CHECK_TEXT(text, wanted);
}

/* ---- open files ------------------------------------------------------------------------ */

static int open_file(void *arg)
{
    weir_file *file = NULL;
    bool up;

    (void)arg;
    put(path_one, "text");
    up = gave_up(SWEPT(weir_file_open(path_one, &file, .write = true, .truncate = true)));
    CHECK(up == (file == NULL));
    check_holds(path_one, up ? "text" : "");
    CHECK_INT(weir_file_close(file), 0);
    return 0;
}

static weir_file *opened(void)
{
    weir_file *file;

    put(path_one, "abcdef");
    CHECK_INT(weir_file_open(path_one, &file, .write = true), 0);
    return file;
}

static int closed(weir_file *file)
{
    CHECK_INT(weir_file_close(file), 0);
    return 0;
}

/* The position has moved, or not. */
static int read_file(void *arg)
{
    char text[4] = "", rest[8] = "";
    weir_file *file = opened();
    ssize_t n;

    (void)arg;
    n = SWEPT(weir_file_read(file, text, 3));
    CHECK_INT(weir_file_read(file, rest, 7), gave_up(n) ? 6 : 3);
    CHECK_TEXT(rest, n < 0 ? "abcdef" : "def");
    CHECK_TEXT(text, n < 0 ? "" : "abc");
    return closed(file);
}

static int read_at(void *arg)
{
    char text[4] = "";
    weir_file *file = opened();
    bool up;

    (void)arg;
    up = gave_up(SWEPT(weir_file_read_at(file, text, 3, 2)));
    CHECK_TEXT(text, up ? "" : "cde");
    return closed(file);
}

static int write_file(void *arg)
{
    weir_file *file = opened();
    bool up;

    (void)arg;
    up = gave_up(SWEPT(weir_file_write(file, WEIR_S("xy"))));
    check_holds(path_one, up ? "abcdef" : "xycdef");
    return closed(file);
}

static int write_at(void *arg)
{
    weir_file *file = opened();
    bool up;

    (void)arg;
    up = gave_up(SWEPT(weir_file_write_at(file, WEIR_S("xy"), 3)));
    check_holds(path_one, up ? "abcdef" : "abcxyf");
    return closed(file);
}

static int sync_file(void *arg)
{
    weir_file *file = opened();

    (void)arg;
    gave_up(SWEPT(weir_file_sync(file, true)));
    return closed(file);
}

static int truncate_file(void *arg)
{
    weir_file *file = opened();
    bool up;

    (void)arg;
    up = gave_up(SWEPT(weir_file_truncate(file, 2)));
    check_holds(path_one, up ? "abcdef" : "ab");
    return closed(file);
}

static int stat_file(void *arg)
{
    weir_file *file = opened();
    weir_file_info info = { 0 };
    bool up;

    (void)arg;
    up = gave_up(SWEPT(weir_file_stat(file, &info)));
    CHECK_INT(info.bytes, up ? 0 : 6);
    return closed(file);
}

/* ---- whole files and paths -------------------------------------------------------------- */

static int load(void *arg)
{
    weir_str text = { 0 };
    bool up;

    (void)arg;
    put(path_one, "whole");
    up = gave_up(SWEPT(weir_file_load(path_one, 100, &text)));
    CHECK(up ? text.ptr == NULL : weir_str_eq(text, WEIR_S("whole")));
    return 0;
}

static int store(void *arg)
{
    bool up;

    (void)arg;
    put(path_one, "old");
    up = gave_up(SWEPT(weir_file_store(path_one, WEIR_S("new"))));
    check_holds(path_one, up ? "old" : "new");
    return 0;
}

static int stat_path(void *arg)
{
    weir_file_info info = { 0 };
    bool up;

    (void)arg;
    put(path_one, "1234");
    up = gave_up(SWEPT(weir_path_stat(path_one, &info)));
    CHECK_INT(info.bytes, up ? 0 : 4);
    return 0;
}

static int rename_path(void *arg)
{
    bool up;

    (void)arg;
    unlink(path_two);
    put(path_one, "x");
    up = gave_up(SWEPT(weir_path_rename(path_one, path_two)));
    CHECK(there(path_one) == up);
    CHECK(there(path_two) != up);
    return 0;
}

static int unlink_path(void *arg)
{
    bool up;

    (void)arg;
    put(path_one, "x");
    up = gave_up(SWEPT(weir_path_unlink(path_one)));
    CHECK(there(path_one) == up);
    return 0;
}

static int make_folder(void *arg)
{
    bool up;

    (void)arg;
    rmdir(path_in);
    up = gave_up(SWEPT(weir_path_mkdir(path_in, 0700)));
    CHECK(there(path_in) != up);
    rmdir(path_in);
    return 0;
}

static int remove_folder(void *arg)
{
    bool up;

    (void)arg;
    CHECK_INT(mkdir(path_in, 0700), 0);
    up = gave_up(SWEPT(weir_path_rmdir(path_in)));
    CHECK(there(path_in) == up);
    rmdir(path_in);
    return 0;
}

static int sync_path(void *arg)
{
    (void)arg;
    gave_up(SWEPT(weir_path_sync(folder)));
    return 0;
}

static int list(void *arg)
{
    weir_path_entry *entries = NULL;
    bool up;

    (void)arg;
    put(path_one, "x");
    unlink(path_two);
    up = gave_up(SWEPT(weir_path_list(folder, 10, &entries)));
    CHECK(up ? entries == NULL : weir_str_eq(entries[0].name, WEIR_S("one")));
    return 0;
}

/* ---- watching ----------------------------------------------------------------------------- */

static int watch_open(void *arg)
{
    weir_file_watch *watch = NULL;
    bool up;

    (void)arg;
    up = gave_up(SWEPT(weir_file_watch_open(folder, &watch)));
    CHECK(up == (watch == NULL));
    weir_file_watch_close(watch);
    return 0;
}

static int add_later(void *arg)
{
    (void)arg;
    CHECK_INT(weir_sleep_ms(1), 0);
    CHECK_INT(mkdir(path_in, 0700), 0);
    return 0;
}

/* An event whose wait was given up is there for the next. */
static int watch_next(void *arg)
{
    weir_file_watch_event event;
    weir_file_watch *watch;

    (void)arg;
    CHECK_INT(weir_file_watch_open(folder, &watch), 0);
    WEIR_SCOPE(s) {
        weir_go(s, add_later, NULL);
        if (gave_up(SWEPT(weir_file_watch_next(watch, &event))))
            CHECK_INT(weir_file_watch_next(watch, &event), 1);
        CHECK_INT(event.kind, WEIR_FILE_WATCH_ADDED);
        CHECK(weir_str_eq(event.name, WEIR_S("in")));
        CHECK_INT(weir_join(s), 0);
    }
    weir_file_watch_close(watch);
    rmdir(path_in);
    return 0;
}

static const struct waiting files[] = {
    { "open", open_file, NULL, 1 },
    { "read", read_file, NULL, 1 },
    { "read at", read_at, NULL, 1 },
    { "write", write_file, NULL, 1 },
    { "write at", write_at, NULL, 1 },
    { "sync", sync_file, NULL, 1 },
    { "truncate", truncate_file, NULL, 1 },
    { "stat", stat_file, NULL, 1 },
    { "load", load, NULL, 1 },
    { "store", store, NULL, 1 },
    { "path: stat", stat_path, NULL, 1 },
    { "path: rename", rename_path, NULL, 1 },
    { "path: unlink", unlink_path, NULL, 1 },
    { "path: mkdir", make_folder, NULL, 1 },
    { "path: rmdir", remove_folder, NULL, 1 },
    { "path: sync", sync_path, NULL, 1 },
    { "path: list", list, NULL, 1 },
    { "watch", watch_open, NULL, 1 },
    { "watch's event", watch_next, NULL, 1 },
};

int main(void)
{
    int failed;

    if (!mkdtemp(folder))
        return 1;
    snprintf(path_one, sizeof(path_one), "%s/one", folder);
    snprintf(path_two, sizeof(path_two), "%s/two", folder);
    snprintf(path_in, sizeof(path_in), "%s/in", folder);
    failed = WAITS_RUN(files);
    unlink(path_one);
    unlink(path_two);
    rmdir(folder);
    return failed;
}
