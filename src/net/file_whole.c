/* Whole files: read with a bound, and written in one step.
 *
 * A file that tells its length is read straight into the task's arena, which the
 * task takes between two calls on the pool. One that does not (in /proc, a pipe)
 * goes by way of the heap.
 *
 * Writing makes a file beside the old one, under a name that nobody has, and
 * renames it: rename(2) is what makes it one step, the syncs before and after it
 * what makes that hold through a crash. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "net/file.h"
#include "rt/block.h"

#define GROW_BYTES 4096
#define NAME_TRIES 100

struct load_call {
    const char *path;
    size_t max_bytes;
    int fd;
    size_t known; /* its length, if it tells */
    char *bytes;
    size_t len, room;
};

static int too_big(const struct load_call *call)
{
    return weir_fail(-EFBIG, "%s has more than %zu bytes", call->path, call->max_bytes);
}

static int load_open(void *arg)
{
    struct load_call *call = arg;
    struct stat about;

    call->fd = sys_open(call->path, O_RDONLY | O_NOCTTY, 0);
    if (call->fd < 0)
        return weir_fail(call->fd, "opening %s: %s", call->path, weir_error_text(call->fd));
    if (fstat(call->fd, &about) < 0)
        return weir_fail(-errno, "looking at %s: %s", call->path, weir_error_text(-errno));
    if (S_ISDIR(about.st_mode))
        return weir_fail(-EISDIR, "reading %s: it is a directory", call->path);
    call->known = S_ISREG(about.st_mode) ? (size_t)about.st_size : 0;
    return call->known > call->max_bytes ? too_big(call) : 0;
}

/* Make room behind what was read; only for memory on the heap. */
static int load_grow(struct load_call *call)
{
    size_t room = call->room ? call->room * 2 : GROW_BYTES;
    char *bytes;

    if (room > call->max_bytes)
        room = call->max_bytes + 1; /* to see that there is more */
    bytes = base_realloc(call->bytes, room);
    if (!bytes)
        return -ENOMEM;
    call->bytes = bytes;
    call->room = room;
    return 0;
}

/* Read until the end, or until the room is full: where the length was known, what
 * was added since is not asked for. */
static int load_read(void *arg)
{
    struct load_call *call = arg;
    int rc = 0;

    while (rc == 0) {
        ssize_t n;

        if (call->len > call->max_bytes)
            return too_big(call);
        if (call->len == call->room && call->known)
            return 0;
        if (call->len == call->room)
            rc = load_grow(call);
        if (rc < 0)
            return rc;
        n = sys_read(call->fd, call->bytes + call->len, call->room - call->len, -1);
        if (n == 0)
            break;
        if (n < 0)
            rc = weir_fail((int)n, "reading %s: %s", call->path, weir_error_text((int)n));
        else
            call->len += (size_t)n;
    }
    return rc;
}

static int load_close(void *arg)
{
    close(((struct load_call *)arg)->fd);
    return 0;
}

static int load(struct load_call *call, weir_str *ret_text)
{
    char *text = call->known ? weir_alloc(call->known + 1) : NULL;
    int rc;

    if (call->known && !text)
        return -ENOMEM;
    call->bytes = text;
    call->room = call->known;
    rc = file_call(load_read, call);
    if (rc == 0 && text) {
        text[call->len] = '\0';
        *ret_text = weir_str_from(text, call->len);
    } else if (rc == 0) {
        weir_str copy = weir_str_dup(weir_str_from(call->len ? call->bytes : "", call->len));

        if (copy.ptr)
            *ret_text = copy;
        rc = copy.ptr ? 0 : -ENOMEM;
    }
    if (!call->known)
        base_free(call->bytes);
    return rc;
}

int weir_file_load(const char *path, size_t max_bytes, weir_str *ret_text)
{
    struct load_call call = { .path = path,
                              .fd = -1,
                              .max_bytes = max_bytes < SIZE_MAX / 4 ? max_bytes : SIZE_MAX / 4 };
    int rc = file_call(load_open, &call);

    if (rc == 0)
        rc = load(&call, ret_text);
    if (call.fd >= 0)
        block_call_shielded(weir_threads_common(WEIR_THREADS_FILES), load_close, &call, "close");
    return rc;
}

/* ---- writing -------------------------------------------------------------------- */

struct store_call {
    const char *path;
    weir_str text;
    weir_file_store_opts opts;
    uint64_t random;
    char *beside; /* the name of the new file */
};

/* Length of the directory's part, with its slash. */
static int folder_len(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? (int)(slash + 1 - path) : 0;
}

/* Make the new file, under a name that nobody has and that is not too long, however
 * long path's is; its descriptor. Where the old file's mode is to be given to it, nobody
 * may open it before it has that. */
static int store_open(struct store_call *call)
{
    size_t size = strlen(call->path) + sizeof("..0123456789abcdef.new");
    int folder = folder_len(call->path), fd = -EEXIST;
    struct stat old;
    bool keep = !call->opts.mode && stat(call->path, &old) == 0;
    uint32_t mode = keep ? 0600 : call->opts.mode ? call->opts.mode : 0666;

    call->beside = base_malloc(size);
    if (!call->beside)
        return -ENOMEM;
    for (int i = 0; i < NAME_TRIES && fd == -EEXIST; i++) {
        snprintf(call->beside, size, "%.*s.%.200s.%016llx.new", folder, call->path,
                 call->path + folder, (unsigned long long)call->random + (unsigned)i);
        fd = sys_open(call->beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    }
    if (fd < 0)
        return weir_fail(fd, "making %s, to become %s: %s", call->beside, call->path,
                         weir_error_text(fd));
    if (keep && fchmod(fd, old.st_mode & 07777) < 0) {
        int rc = weir_fail(-errno, "giving %s the mode of %s: %s", call->beside, call->path,
                           weir_error_text(-errno));

        close(fd);
        unlink(call->beside);
        return rc;
    }
    return fd;
}

static int store_fill(struct store_call *call, int fd)
{
    size_t moved = 0;
    int rc = 0;

    while (moved < call->text.len) { /* after a part of it, the next try says why */
        ssize_t n = sys_write(fd, call->text.ptr + moved, call->text.len - moved, -1);

        if (n < 0)
            return weir_fail((int)n, "writing %zu bytes to %s: %s", call->text.len, call->beside,
                             weir_error_text((int)n));
        moved += (size_t)n;
    }
    if (!call->opts.no_sync)
        rc = sys_sync(fd, false);
    return rc < 0 ? weir_fail(rc, "syncing %s: %s", call->beside, weir_error_text(rc)) : 0;
}

static int store_sync_folder(const struct store_call *call)
{
    int len = folder_len(call->path), fd, rc;

    call->beside[len ? len : 1] = '\0'; /* the folder's part of the name, or "." */
    fd = sys_open(call->beside, O_RDONLY | O_DIRECTORY, 0);
    rc = fd < 0 ? fd : sys_sync(fd, false);
    if (fd >= 0)
        close(fd);
    return rc < 0
               ? weir_fail(rc, "syncing the directory of %s: %s", call->path, weir_error_text(rc))
               : 0;
}

static int do_store(void *arg)
{
    struct store_call *call = arg;
    int fd = store_open(call), rc;

    if (fd < 0)
        return fd;
    rc = store_fill(call, fd);
    if (close(fd) < 0 && errno != EINTR && rc == 0)
        rc = weir_fail(-errno, "closing %s: %s", call->beside, weir_error_text(-errno));
    if (rc == 0 && rename(call->beside, call->path) < 0)
        rc = weir_fail(-errno, "renaming %s to %s: %s", call->beside, call->path,
                       weir_error_text(-errno));
    if (rc < 0) {
        unlink(call->beside);
        return rc;
    }
    return call->opts.no_sync ? 0 : store_sync_folder(call);
}

int weir_file_store_opt(const char *path, weir_str text, const weir_file_store_opts *opts)
{
    struct store_call call = { .path = path, .text = text, .opts = *opts };
    int rc = rt_check();

    if (rc < 0)
        return rc;
    call.random = loop_random(loop_self());
    rc = file_call(do_store, &call);
    base_free(call.beside);
    return rc;
}
