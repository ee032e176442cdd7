/* Files without holding up a loop.
 *
 *     weir_str text;
 *     int rc = weir_file_load("settings.yaml", 1 << 20, &text);
 *
 *     rc = weir_file_store("settings.yaml", text);    (whole, or not at all)
 *
 * The kernel has no way to read a file that never blocks; so all of this runs on
 * a pool of threads of its own (WEIR_THREADS_FILES, see weir/block.h) while the
 * task is parked. A cancel or deadline ends the wait for a thread; once the call
 * is the kernel's, it is waited for.
 *
 * Every failure leaves a sentence in the error chain that names the path. */
#ifndef WEIR_FILE_H
#define WEIR_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <weir/export.h>
#include <weir/error.h>
#include <weir/str.h>

WEIR_BEGIN

/* An open file. */
typedef struct weir_file weir_file;

typedef struct weir_file_opts {
    size_t size;     /* set by the macro */
    bool write;      /* reading and writing; unset: reading alone */
    bool write_only; /* writing alone */
    bool create;     /* make it if it is not there */
    bool exclusive;  /* with create: it must not be there */
    bool truncate;   /* drop what it holds */
    bool append;     /* every write goes to its end */
    uint32_t mode;   /* of a file that is made, less the umask; unset: 0666 */
} weir_file_opts;

#define weir_file_open(path, ret, ...)                                         \
    weir_file_open_opt(path, ret,                                              \
                       &(weir_file_opts){ .size = sizeof(weir_file_opts), __VA_ARGS__ })

/* Open a file.
 *
 * Checkpoint: always.
 * Returns:    0 with the file in *ret_file, or
 *   -ENOENT      it is not there; other errno values as open(2)
 *   -EBUSY       the pool for files is full
 *   -ENOMEM      no memory
 *   -ETIMEDOUT   the deadline passed before the call was begun
 *   -ECANCELED   the scope was cancelled before the call was begun
 * Ownership:  the caller closes *ret_file with weir_file_close().
 * Thread:     a task; any task may use the file.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2, 3)
int weir_file_open_opt(const char *path, weir_file **ret_file, const weir_file_opts *opts);

/* Read from the file's own position, which moves.
 *
 * Checkpoint: always.
 * Returns:    bytes read: fewer than len at the end, 0 behind it; or
 *   -EIO         and other errno values as read(2)
 *   -EBUSY, -ETIMEDOUT, -ECANCELED as weir_file_open_opt()
 * Ownership:  buf is in use until the call returns.
 * Thread:     a task; one call at a time moves the position.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1)
ssize_t weir_file_read(weir_file *file, void *buf, size_t len);

/* Read from an offset; the file's own position stays.
 *
 * Checkpoint: always.
 * Returns:    as weir_file_read(); also -EINVAL for a negative offset, and -ESPIPE
 *   for what has no offsets.
 * Ownership:  buf is in use until the call returns.
 * Thread:     a task; several may read at once.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1)
ssize_t weir_file_read_at(weir_file *file, void *buf, size_t len, int64_t offset);

/* Write all of data at the file's own position, which moves.
 *
 * Checkpoint: always.
 * Returns:    data.len; less (but more than 0) when a failure came after that many
 *   bytes, which the next call then meets; or
 *   -ENOSPC      the disk is full; -EDQUOT, -EFBIG, -EIO and other errno values as
 *                write(2)
 *   -EBUSY, -ETIMEDOUT, -ECANCELED as weir_file_open_opt()
 * Ownership:  data is in use until the call returns.
 * Thread:     a task; one call at a time moves the position.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) ssize_t weir_file_write(weir_file *file, weir_str data);

/* Write all of data at an offset; the file's own position stays.
 *
 * Checkpoint: always.
 * Returns:    as weir_file_write(); also -EINVAL for a negative offset, and -ESPIPE
 *   for what has no offsets.
 * Ownership:  data is in use until the call returns.
 * Thread:     a task; several may write at once.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1)
ssize_t weir_file_write_at(weir_file *file, weir_str data, int64_t offset);

/* Wait until what was written is on the disk: fsync(2), or with data_only
 * fdatasync(2). After a failure what was written may be lost; a second call says
 * nothing about it.
 *
 * Checkpoint: always.
 * Returns:    0, or
 *   -EIO         and other errno values as fsync(2)
 *   -EBUSY, -ETIMEDOUT, -ECANCELED as weir_file_open_opt()
 * Ownership:  takes nothing.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_file_sync(weir_file *file, bool data_only);

/* Make the file this long: what is beyond is dropped, what is missing is zero.
 *
 * Checkpoint: always.
 * Returns:    0, or
 *   errno values as ftruncate(2)
 *   -EBUSY, -ETIMEDOUT, -ECANCELED as weir_file_open_opt()
 * Ownership:  takes nothing.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_file_truncate(weir_file *file, uint64_t bytes);

typedef enum weir_file_type {
    WEIR_FILE_REGULAR,
    WEIR_FILE_FOLDER,
    WEIR_FILE_LINK,
    WEIR_FILE_OTHER
} weir_file_type;

typedef struct weir_file_info {
    weir_file_type type;
    uint64_t bytes;
    int64_t modified_ns; /* since 1970 */
    uint32_t mode;       /* the permissions */
    uint32_t uid, gid;
    uint64_t device, inode;
} weir_file_info;

/* What an open file is.
 *
 * Checkpoint: always.
 * Returns:    0, or
 *   errno values as fstat(2)
 *   -EBUSY, -ETIMEDOUT, -ECANCELED as weir_file_open_opt()
 * Ownership:  takes nothing.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_file_stat(weir_file *file, weir_file_info *ret_info);

/* Close a file. What was written and not synced is the kernel's to write.
 *
 * Checkpoint: never (it waits, but can't be given up).
 * Returns:    0, or what close(2) reports of earlier writes; it is closed anyway.
 * Ownership:  ends file; NULL is fine. No task may be in a call on it.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API int weir_file_close(weir_file *file);

/* ---- whole files ----------------------------------------------------------- */

/* Read a whole file.
 *
 * Checkpoint: always.
 * Returns:    0 with what it holds in *ret_text, terminated behind its end; or
 *   -EFBIG       it has more than max_bytes
 *   -ENOENT      it is not there; other errno values as open(2) and read(2)
 *   -EISDIR      it is a directory
 *   -ENOMEM      no memory
 *   -EBUSY, -ETIMEDOUT, -ECANCELED as weir_file_open_opt()
 * Ownership:  the text is the task's arena's.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 3)
int weir_file_load(const char *path, size_t max_bytes, weir_str *ret_text);

typedef struct weir_file_store_opts {
    size_t size;   /* set by the macro */
    uint32_t mode; /* unset: that of the file that is replaced, or 0666 less the umask */
    bool no_sync;  /* do not wait for the disk: a crash may leave an empty file */
} weir_file_store_opts;

#define weir_file_store(path, text, ...)                                       \
    weir_file_store_opt(path, text,                                            \
                        &(weir_file_store_opts){ .size = sizeof(weir_file_store_opts), \
                                                 __VA_ARGS__ })

/* Write a whole file, in one step: who reads it sees the old text or the new one,
 * also after a crash. It is written beside the file, synced, and renamed over it;
 * then the directory is synced. A symbolic link at path is replaced.
 *
 * Checkpoint: always.
 * Returns:    0, or
 *   -ENOSPC      the disk is full; other errno values as open(2), write(2),
 *                fsync(2) and rename(2): the old file is untouched, but for a
 *                failure of the directory's sync, when the new one is there
 *   -ENOMEM      no memory
 *   -EBUSY, -ETIMEDOUT, -ECANCELED as weir_file_open_opt(): nothing was done
 * Ownership:  text is in use until the call returns.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 3)
int weir_file_store_opt(const char *path, weir_str text, const weir_file_store_opts *opts);

/* ---- paths ------------------------------------------------------------------ */

/* What stands at a path; a symbolic link is followed.
 *
 * Checkpoint: always.
 * Returns:    0, or
 *   -ENOENT      nothing is there; other errno values as stat(2)
 *   -EBUSY, -ETIMEDOUT, -ECANCELED as weir_file_open_opt()
 * Ownership:  takes nothing.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_path_stat(const char *path, weir_file_info *ret_info);

/* Give a file or directory another name; a file at to is replaced.
 *
 * Checkpoint: always.
 * Returns:    0, or
 *   errno values as rename(2)
 *   -EBUSY, -ETIMEDOUT, -ECANCELED as weir_file_open_opt()
 * Ownership:  takes nothing.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2) int weir_path_rename(const char *from, const char *to);

/* Take a file away.
 *
 * Checkpoint: always.
 * Returns:    0, or
 *   -ENOENT      nothing is there; other errno values as unlink(2)
 *   -EBUSY, -ETIMEDOUT, -ECANCELED as weir_file_open_opt()
 * Ownership:  takes nothing.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_path_unlink(const char *path);

/* Make a directory.
 *
 * Checkpoint: always.
 * Returns:    0, or
 *   -EEXIST      something is there; other errno values as mkdir(2)
 *   -EBUSY, -ETIMEDOUT, -ECANCELED as weir_file_open_opt()
 * Ownership:  takes nothing.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_path_mkdir(const char *path, uint32_t mode);

/* Take an empty directory away.
 *
 * Checkpoint: always.
 * Returns:    0, or
 *   -ENOTEMPTY   it is not empty; other errno values as rmdir(2)
 *   -EBUSY, -ETIMEDOUT, -ECANCELED as weir_file_open_opt()
 * Ownership:  takes nothing.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_path_rmdir(const char *path);

/* Wait until a directory's entries are on the disk: for names that were made,
 * changed or taken away in it.
 *
 * Checkpoint: always.
 * Returns:    0, or
 *   errno values as open(2) and fsync(2)
 *   -EBUSY, -ETIMEDOUT, -ECANCELED as weir_file_open_opt()
 * Ownership:  takes nothing.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_path_sync(const char *path);

typedef struct weir_path_entry {
    weir_str name;
    weir_file_type type;
} weir_path_entry;

/* List a directory, without "." and "..", in order of the names' bytes.
 *
 * Checkpoint: always.
 * Returns:    how many entries there are, with them in *ret_entries; or
 *   WEIR_EFULL   more than max
 *   -ENOENT      and other errno values as opendir(3) and readdir(3)
 *   -ENOMEM      no memory
 *   -EBUSY, -ETIMEDOUT, -ECANCELED as weir_file_open_opt()
 * Ownership:  the entries and their names are the task's arena's.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 3)
int weir_path_list(const char *path, uint32_t max, weir_path_entry **ret_entries);

/* ---- watching --------------------------------------------------------------- */

/* A directory that is watched. */
typedef struct weir_file_watch weir_file_watch;

typedef enum weir_file_watch_kind {
    WEIR_FILE_WATCH_ADDED,    /* made there, or moved there */
    WEIR_FILE_WATCH_CHANGED,  /* written to and closed, or its attributes were changed */
    WEIR_FILE_WATCH_REMOVED,  /* taken away, or moved away */
    WEIR_FILE_WATCH_OVERFLOW, /* events were lost: look at everything again */
    WEIR_FILE_WATCH_GONE      /* the directory itself is no more: nothing further comes */
} weir_file_watch_kind;

typedef struct weir_file_watch_event {
    weir_file_watch_kind kind;
    weir_str name; /* of the entry; empty for OVERFLOW and GONE */
    bool folder;   /* the entry is a directory */
} weir_file_watch_event;

/* Watch a directory's entries (not those of directories in it).
 *
 * Checkpoint: always.
 * Returns:    0 with the watch in *ret_watch, or
 *   -ENOENT      it is not there; -ENOTDIR, it is no directory; -ENOSPC, the
 *                user's limit on watches; other errno values as
 *                inotify_add_watch(2)
 *   -EMFILE      the user's limit on inotify instances, or no descriptor is free
 *   -ENOMEM      no memory
 *   -EBUSY, -ETIMEDOUT, -ECANCELED as weir_file_open_opt()
 * Ownership:  the caller ends *ret_watch with weir_file_watch_close().
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_file_watch_open(const char *path, weir_file_watch **ret_watch);

/* Wait for the next event. It is a source: a stop ends it.
 *
 * Checkpoint: always.
 * Returns:    1 with the event in *ret_event; 0 when the task is asked to drain, or
 *   after WEIR_FILE_WATCH_GONE; or
 *   -EBUSY       another task waits for it
 *   -EIO         and other errno values as read(2)
 *   -ETIMEDOUT   the deadline passed
 *   -ECANCELED   the scope was cancelled
 * Ownership:  the name is borrowed until the next call.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_file_watch_next(weir_file_watch *watch, weir_file_watch_event *ret_event);

/* Watch no longer.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  ends watch; NULL is fine. No task may be in weir_file_watch_next().
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API void weir_file_watch_close(weir_file_watch *watch);

WEIR_END

#endif
