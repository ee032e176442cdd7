/* Paths: what is done to names, and the list of a directory. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "net/file.h"

struct path_call {
    const char *path, *to;
    uint32_t mode;
    weir_file_info info;
};

static int do_stat(void *arg)
{
    struct path_call *call = arg;
    struct stat about;

    if (stat(call->path, &about) < 0)
        return weir_fail(-errno, "looking at %s: %s", call->path, weir_error_text(-errno));
    file_info(&about, &call->info);
    return 0;
}

int weir_path_stat(const char *path, weir_file_info *ret_info)
{
    struct path_call call = { .path = path };
    int rc = file_call(do_stat, &call);

    if (rc == 0)
        *ret_info = call.info;
    return rc;
}

static int do_rename(void *arg)
{
    struct path_call *call = arg;

    if (rename(call->path, call->to) < 0)
        return weir_fail(-errno, "renaming %s to %s: %s", call->path, call->to,
                         weir_error_text(-errno));
    return 0;
}

int weir_path_rename(const char *from, const char *to)
{
    return file_call(do_rename, &(struct path_call){ .path = from, .to = to });
}

static int do_unlink(void *arg)
{
    struct path_call *call = arg;

    return unlink(call->path) < 0
               ? weir_fail(-errno, "taking %s away: %s", call->path, weir_error_text(-errno))
               : 0;
}

int weir_path_unlink(const char *path)
{
    return file_call(do_unlink, &(struct path_call){ .path = path });
}

static int do_mkdir(void *arg)
{
    struct path_call *call = arg;

    if (mkdir(call->path, call->mode) < 0)
        return weir_fail(-errno, "making the directory %s: %s", call->path,
                         weir_error_text(-errno));
    return 0;
}

int weir_path_mkdir(const char *path, uint32_t mode)
{
    return file_call(do_mkdir, &(struct path_call){ .path = path, .mode = mode });
}

static int do_rmdir(void *arg)
{
    struct path_call *call = arg;

    if (rmdir(call->path) < 0)
        return weir_fail(-errno, "taking the directory %s away: %s", call->path,
                         weir_error_text(-errno));
    return 0;
}

int weir_path_rmdir(const char *path)
{
    return file_call(do_rmdir, &(struct path_call){ .path = path });
}

static int do_sync(void *arg)
{
    struct path_call *call = arg;
    int fd = sys_open(call->path, O_RDONLY | O_DIRECTORY, 0), rc;

    if (fd < 0)
        return weir_fail(fd, "opening the directory %s: %s", call->path, weir_error_text(fd));
    rc = sys_sync(fd, false);
    close(fd);
    return rc < 0 ? weir_fail(rc, "syncing the directory %s: %s", call->path, weir_error_text(rc))
                  : 0;
}

int weir_path_sync(const char *path)
{
    return file_call(do_sync, &(struct path_call){ .path = path });
}

/* ---- listing ------------------------------------------------------------------ */

struct listed {
    char *name;
    weir_file_type type;
};

struct list_call {
    const char *path;
    uint32_t max, count, room;
    struct listed *entries; /* on the heap: an arena is not a thread's */
};

static void list_free(struct list_call *call)
{
    for (uint32_t i = 0; i < call->count; i++)
        base_free(call->entries[i].name);
    base_free(call->entries);
}

/* What a file system does not tell along with the name is asked for. */
static weir_file_type type_of(DIR *dir, const struct dirent *entry)
{
    struct stat about;
    weir_file_info info;
    int fd = dirfd(dir);

    switch (entry->d_type) {
    case DT_REG: return WEIR_FILE_REGULAR;
    case DT_DIR: return WEIR_FILE_FOLDER;
    case DT_LNK: return WEIR_FILE_LINK;
    case DT_UNKNOWN:
        if (fd < 0 || fstatat(fd, entry->d_name, &about, AT_SYMLINK_NOFOLLOW) < 0)
            return WEIR_FILE_OTHER;
        file_info(&about, &info);
        return info.type;
    default: return WEIR_FILE_OTHER;
    }
}

static int list_add(struct list_call *call, DIR *dir, const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    struct listed *listed;

    if (call->count == call->max)
        return weir_fail(WEIR_EFULL, "the directory %s has more than %u entries", call->path,
                         call->max);
    if (call->count == call->room) {
        uint32_t room = call->room ? call->room * 2 : 32;
        struct listed *entries = base_realloc(call->entries, room * sizeof(*entries));

        if (!entries)
            return -ENOMEM;
        call->entries = entries;
        call->room = room;
    }
    listed = &call->entries[call->count];
    listed->name = base_malloc(len + 1);
    if (!listed->name)
        return -ENOMEM;
    memcpy(listed->name, entry->d_name, len + 1);
    listed->type = type_of(dir, entry);
    call->count++;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct listed *)a)->name, ((const struct listed *)b)->name);
}

static int do_list(void *arg)
{
    struct list_call *call = arg;
    DIR *dir = opendir(call->path);
    struct dirent *entry;
    int rc = 0;

    if (!dir)
        return weir_fail(-errno, "opening the directory %s: %s", call->path,
                         weir_error_text(-errno));
    while (rc == 0) {
        errno = 0;
        entry = readdir(dir);
        if (!entry)
            break;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = list_add(call, dir, entry);
    }
    if (rc == 0 && errno != 0)
        rc = weir_fail(-errno, "reading the directory %s: %s", call->path, weir_error_text(-errno));
    closedir(dir);
    if (call->count > 1)
        qsort(call->entries, call->count, sizeof(*call->entries), by_name);
    return rc;
}

static int into_arena(const struct list_call *call, weir_path_entry **ret_entries)
{
    weir_path_entry *entries = weir_alloc((call->count + 1) * sizeof(*entries));

    if (!entries)
        return -ENOMEM;
    for (uint32_t i = 0; i < call->count; i++) {
        entries[i].name = weir_str_dup(weir_str_c(call->entries[i].name));
        entries[i].type = call->entries[i].type;
        if (!entries[i].name.ptr)
            return -ENOMEM;
    }
    *ret_entries = entries;
    return (int)call->count;
}

int weir_path_list(const char *path, uint32_t max, weir_path_entry **ret_entries)
{
    struct list_call call = { .path = path, .max = max < INT32_MAX ? max : INT32_MAX };
    int rc = file_call(do_list, &call);

    if (rc == 0)
        rc = into_arena(&call, ret_entries);
    list_free(&call);
    return rc;
}
