/* Open files. Each call is one job for the pool for files: what it needs lies on
 * the caller's stack, and the caller is parked until the job has ended. */
#include "net/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "rt/block.h"

struct weir_file {
    int fd;
    char path[]; /* for the error chain */
};

int file_call(weir_fn *fn, void *arg)
{
    return weir_block(fn, arg, .pool = weir_threads_common(WEIR_THREADS_FILES), .name = "file");
}

/* ---- system calls ----------------------------------------------------------- */

int sys_open(const char *path, int flags, uint32_t mode)
{
    int fd, fault;

    do {
        fault = rt_fault(RT_FAULT_OPEN, NULL);
        fd = fault ? -1 : open(path, flags | O_CLOEXEC, mode);
        if (fault)
            errno = fault;
    } while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

ssize_t sys_read(int fd, void *buf, size_t len, int64_t offset)
{
    ssize_t n;
    int fault;

    do {
        size_t wanted = len;

        fault = rt_fault(RT_FAULT_READ, &wanted);
        n = fault ? -1 : offset < 0 ? read(fd, buf, wanted) : pread(fd, buf, wanted, offset);
        if (fault)
            errno = fault;
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static ssize_t write_some(int fd, const char *bytes, size_t len, int64_t offset)
{
    ssize_t n;
    int fault;

    do {
        size_t wanted = len;

        fault = rt_fault(RT_FAULT_WRITE, &wanted);
        n = fault ? -1 : offset < 0 ? write(fd, bytes, wanted) : pwrite(fd, bytes, wanted, offset);
        if (fault)
            errno = fault;
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

ssize_t sys_write(int fd, const char *bytes, size_t len, int64_t offset)
{
    size_t moved = 0;

    while (moved < len) {
        ssize_t n = write_some(fd, bytes + moved, len - moved,
                               offset < 0 ? -1 : offset + (int64_t)moved);

        if (n == 0)
            n = -EIO; /* it would be tried for ever */
        if (n < 0)
            return moved ? (ssize_t)moved : n;
        moved += (size_t)n;
    }
    return (ssize_t)moved;
}

int sys_sync(int fd, bool data_only)
{
    int rc, fault;

    do {
        fault = rt_fault(RT_FAULT_SYNC, NULL);
        rc = fault ? -1 : data_only ? fdatasync(fd) : fsync(fd);
        if (fault)
            errno = fault;
    } while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : 0;
}

void file_info(const struct stat *from, weir_file_info *ret_info)
{
    *ret_info = (weir_file_info){
        .type = S_ISREG(from->st_mode)   ? WEIR_FILE_REGULAR
                : S_ISDIR(from->st_mode) ? WEIR_FILE_FOLDER
                : S_ISLNK(from->st_mode) ? WEIR_FILE_LINK
                                         : WEIR_FILE_OTHER,
        .bytes = (uint64_t)from->st_size,
        .modified_ns = (int64_t)from->st_mtim.tv_sec * 1000000000 + from->st_mtim.tv_nsec,
        .mode = from->st_mode & 07777,
        .uid = from->st_uid,
        .gid = from->st_gid,
        .device = from->st_dev,
        .inode = from->st_ino,
    };
}

/* ---- opening and closing ---------------------------------------------------- */

struct open_call {
    weir_file *file;
    int flags;
    uint32_t mode;
};

static int do_open(void *arg)
{
    struct open_call *call = arg;
    int fd = sys_open(call->file->path, call->flags, call->mode);

    if (fd < 0)
        return weir_fail(fd, "opening %s: %s", call->file->path, weir_error_text(fd));
    call->file->fd = fd;
    return 0;
}

static int flags_of(const weir_file_opts *opts)
{
    int flags = O_NOCTTY;

    flags |= opts->write_only ? O_WRONLY : opts->write ? O_RDWR : O_RDONLY;
    flags |= opts->create ? O_CREAT : 0;
    flags |= opts->create && opts->exclusive ? O_EXCL : 0;
    flags |= opts->truncate ? O_TRUNC : 0;
    flags |= opts->append ? O_APPEND : 0;
    return flags;
}

int weir_file_open_opt(const char *path, weir_file **ret_file, const weir_file_opts *opts)
{
    size_t len = strlen(path);
    weir_file *file = base_malloc(sizeof(*file) + len + 1);
    struct open_call call = { file, flags_of(opts), opts->mode ? opts->mode : 0666 };
    int rc;

    if (!file)
        return -ENOMEM;
    file->fd = -1;
    memcpy(file->path, path, len + 1);
    rc = file_call(do_open, &call);
    if (rc < 0) {
        base_free(file);
        return rc;
    }
    *ret_file = file;
    return 0;
}

static int do_close(void *arg)
{
    weir_file *file = arg;

    /* Interrupted, it is closed all the same. */
    return close(file->fd) < 0 && errno != EINTR
               ? weir_fail(-errno, "closing %s: %s", file->path, weir_error_text(-errno))
               : 0;
}

int weir_file_close(weir_file *file)
{
    int rc;

    if (!file)
        return 0;
    rc = block_call_shielded(weir_threads_common(WEIR_THREADS_FILES), do_close, file, "close");
    base_free(file);
    return rc;
}

/* ---- bytes -------------------------------------------------------------------- */

struct bytes_call {
    weir_file *file;
    void *to;
    const char *from;
    size_t len;
    int64_t offset;
    ssize_t moved; /* what the call returns need not fit an int */
};

static int do_read(void *arg)
{
    struct bytes_call *call = arg;

    call->moved = sys_read(call->file->fd, call->to, call->len, call->offset);
    if (call->moved >= 0)
        return 0;
    return weir_fail((int)call->moved, "reading %zu bytes of %s: %s", call->len, call->file->path,
                     weir_error_text((int)call->moved));
}

static int do_write(void *arg)
{
    struct bytes_call *call = arg;

    call->moved = sys_write(call->file->fd, call->from, call->len, call->offset);
    if (call->moved >= 0)
        return 0;
    return weir_fail((int)call->moved, "writing %zu bytes to %s: %s", call->len, call->file->path,
                     weir_error_text((int)call->moved));
}

static ssize_t call_bytes(weir_fn *fn, struct bytes_call *call)
{
    int rc = file_call(fn, call);

    return rc < 0 ? rc : call->moved;
}

ssize_t weir_file_read(weir_file *file, void *buf, size_t len)
{
    return call_bytes(do_read,
                      &(struct bytes_call){ .file = file, .to = buf, .len = len, .offset = -1 });
}

ssize_t weir_file_read_at(weir_file *file, void *buf, size_t len, int64_t offset)
{
    if (offset < 0)
        return weir_fail(-EINVAL, "reading %s before its beginning", file->path);
    return call_bytes(
        do_read, &(struct bytes_call){ .file = file, .to = buf, .len = len, .offset = offset });
}

ssize_t weir_file_write(weir_file *file, weir_str data)
{
    return call_bytes(
        do_write,
        &(struct bytes_call){ .file = file, .from = data.ptr, .len = data.len, .offset = -1 });
}

ssize_t weir_file_write_at(weir_file *file, weir_str data, int64_t offset)
{
    if (offset < 0)
        return weir_fail(-EINVAL, "writing %s before its beginning", file->path);
    return call_bytes(
        do_write,
        &(struct bytes_call){ .file = file, .from = data.ptr, .len = data.len, .offset = offset });
}

/* ---- the rest --------------------------------------------------------------------- */

struct sync_call {
    weir_file *file;
    bool data_only;
};

static int do_sync(void *arg)
{
    struct sync_call *call = arg;
    int rc = sys_sync(call->file->fd, call->data_only);

    return rc < 0 ? weir_fail(rc, "syncing %s: %s", call->file->path, weir_error_text(rc)) : 0;
}

int weir_file_sync(weir_file *file, bool data_only)
{
    return file_call(do_sync, &(struct sync_call){ file, data_only });
}

struct truncate_call {
    weir_file *file;
    uint64_t bytes;
};

static int do_truncate(void *arg)
{
    struct truncate_call *call = arg;
    int rc;

    do
        rc = ftruncate(call->file->fd, (off_t)call->bytes);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? weir_fail(-errno, "making %s %llu bytes long: %s", call->file->path,
                              (unsigned long long)call->bytes, weir_error_text(-errno))
                  : 0;
}

int weir_file_truncate(weir_file *file, uint64_t bytes)
{
    if (bytes > INT64_MAX)
        return weir_fail(-EFBIG, "making %s %llu bytes long: %s", file->path,
                         (unsigned long long)bytes, weir_error_text(-EFBIG));
    return file_call(do_truncate, &(struct truncate_call){ file, bytes });
}

struct stat_call {
    weir_file *file;
    weir_file_info info;
};

static int do_stat(void *arg)
{
    struct stat_call *call = arg;
    struct stat about;

    if (fstat(call->file->fd, &about) < 0)
        return weir_fail(-errno, "looking at %s: %s", call->file->path, weir_error_text(-errno));
    file_info(&about, &call->info);
    return 0;
}

int weir_file_stat(weir_file *file, weir_file_info *ret_info)
{
    struct stat_call call = { .file = file };
    int rc = file_call(do_stat, &call);

    if (rc == 0)
        *ret_info = call.info;
    return rc;
}
