/* Watching a directory, by inotify(7).
 *
 * The queue of the kernel is read without blocking, on the loop: reading it is no
 * disk's work; only naming the directory is, and that is the pool's. Events that
 * one read brings are kept in the watch and handed out one by one. */
#include <errno.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/alloc.h"
#include "net/file.h"
#include "rt/foreign.h"

#define WATCH_ADDED (IN_CREATE | IN_MOVED_TO)
#define WATCH_REMOVED (IN_DELETE | IN_MOVED_FROM)
#define WATCH_GONE (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)
#define WATCH_ALL \
    (WATCH_ADDED | WATCH_REMOVED | IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)

struct weir_file_watch {
    int fd;
    bool waiting, gone;
    size_t from, to; /* what is left of buf */
    _Alignas(struct inotify_event) char buf[4096];
};

struct watch_call {
    const char *path;
    int fd;
};

static int do_watch(void *arg)
{
    struct watch_call *call = arg;
    int rc;

    call->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (call->fd < 0)
        return weir_fail(-errno, "watching %s: no inotify instance is to be had: %s", call->path,
                         weir_error_text(-errno));
    if (inotify_add_watch(call->fd, call->path, WATCH_ALL | IN_ONLYDIR) >= 0)
        return 0;
    rc = weir_fail(-errno, "watching %s: %s", call->path, weir_error_text(-errno));
    close(call->fd);
    return rc;
}

int weir_file_watch_open(const char *path, weir_file_watch **ret_watch)
{
    struct watch_call call = { .path = path };
    weir_file_watch *watch = base_calloc(1, sizeof(*watch));
    int rc;

    if (!watch)
        return -ENOMEM;
    rc = file_call(do_watch, &call);
    if (rc < 0) {
        base_free(watch);
        return rc;
    }
    watch->fd = call.fd;
    *ret_watch = watch;
    return 0;
}

/* The next event that was read and means something; 0: none. */
static int take_event(weir_file_watch *watch, weir_file_watch_event *ret_event)
{
    while (watch->from < watch->to && !watch->gone) {
        const struct inotify_event *event = (const struct inotify_event *)(void *)(watch->buf +
                                                                                   watch->from);
        weir_file_watch_kind kind;

        watch->from += sizeof(*event) + event->len;
        if (event->mask & IN_Q_OVERFLOW)
            kind = WEIR_FILE_WATCH_OVERFLOW;
        else if (event->mask & WATCH_GONE)
            kind = WEIR_FILE_WATCH_GONE;
        else if (event->len == 0)
            continue; /* the directory's own attributes */
        else if (event->mask & WATCH_ADDED)
            kind = WEIR_FILE_WATCH_ADDED;
        else
            kind = event->mask & WATCH_REMOVED ? WEIR_FILE_WATCH_REMOVED : WEIR_FILE_WATCH_CHANGED;
        watch->gone = kind == WEIR_FILE_WATCH_GONE;
        *ret_event = (weir_file_watch_event){ .kind = kind, .folder = event->mask & IN_ISDIR };
        if (event->len > 0 && kind != WEIR_FILE_WATCH_GONE)
            ret_event->name = weir_str_c(event->name);
        return 1;
    }
    return 0;
}

/* 1 when bytes were read, 0 when there are none now. */
static int fill(weir_file_watch *watch)
{
    ssize_t n;

    do
        n = read(watch->fd, watch->buf, sizeof(watch->buf));
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? 0
                               : weir_fail(-errno, "reading the events of a watch: %s",
                                           weir_error_text(-errno));
    watch->from = 0;
    watch->to = (size_t)n;
    return 1;
}

static int next(weir_file_watch *watch, weir_file_watch_event *ret_event)
{
    for (;;) {
        int rc = take_event(watch, ret_event);

        if (rc > 0) {
            rt_spend();
            return rc;
        }
        if (watch->gone || weir_stopping())
            return 0;
        rc = fill(watch);
        if (rc == 0)
            rc = foreign_wait(watch->fd, POLLIN, true, "change of a directory", watch);
        if (rc <= 0)
            return rc;
    }
}

int weir_file_watch_next(weir_file_watch *watch, weir_file_watch_event *ret_event)
{
    int rc = rt_check();

    if (rc < 0)
        return rc;
    if (watch->waiting)
        return -EBUSY;
    watch->waiting = true;
    rc = next(watch, ret_event);
    watch->waiting = false;
    return rc;
}

void weir_file_watch_close(weir_file_watch *watch)
{
    if (!watch)
        return;
    close(watch->fd);
    base_free(watch);
}
