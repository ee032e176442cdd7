/* The file of a unix socket that is listened on.
 *
 * The kernel makes it at bind and never takes it away, so a process that was
 * killed leaves it behind, and the next one's bind fails. Whether anybody still
 * listens there is asked by connecting: only a refusal means that nobody does.
 *
 * The file that is taken away is always one that was looked at: its device and
 * inode are compared directly before, so that of two processes which replace the
 * same stale file at once, the later does not take the earlier one's away. */
#include "net/unix_path.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weir/error.h>

static bool same_file(const struct stat *a, dev_t device, ino_t inode)
{
    return a->st_dev == device && a->st_ino == inode;
}

/* 0: nobody answers; -EADDRINUSE: somebody does; or why that can't be known. */
static int ask(const struct addr *addr)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rc;

    if (fd < 0)
        return -errno;
    rc = connect(fd, addr_sockaddr(addr), addr->len) == 0 ? 0 : errno;
    close(fd);
    switch (rc) {
    case ECONNREFUSED:
    case ENOENT: return 0;
    case 0:
    case EAGAIN:     /* its queue is full */
    case EPROTOTYPE: /* it listens for datagrams */ return -EADDRINUSE;
    default: return -rc;
    }
}

int unix_path_clear(const struct addr *addr)
{
    const char *path = addr_unix_path(addr);
    struct stat before, now;
    int rc;

    if (!path)
        return weir_fail(-EADDRINUSE, "another process listens there");
    if (lstat(path, &before) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(before.st_mode))
        return weir_fail(-EADDRINUSE, "%s is there already, and is no socket", path);
    rc = ask(addr);
    if (rc == -EADDRINUSE)
        return weir_fail(rc, "another process listens at %s", path);
    if (rc < 0)
        return weir_fail(-EADDRINUSE, "%s is there already, and who listens can't be known: %s",
                         path, weir_error_text(rc));
    if (lstat(path, &now) == 0 && same_file(&now, before.st_dev, before.st_ino) &&
        unlink(path) < 0 && errno != ENOENT)
        return weir_fail(-EADDRINUSE,
                         "%s was left by a process that has ended, and can't be taken "
                         "away: %s",
                         path, weir_error_text(-errno));
    return 0;
}

int unix_path_claim(const struct addr *addr, mode_t mode, struct unix_path *ret_path)
{
    const char *path = addr_unix_path(addr);
    struct stat now;

    if (!path)
        return 0;
    if (lstat(path, &now) < 0)
        return -errno;
    *ret_path = (struct unix_path){ now.st_dev, now.st_ino };
    return mode && chmod(path, mode) < 0 ? -errno : 0;
}

void unix_path_release(const struct addr *addr, struct unix_path *file)
{
    const char *path = addr_unix_path(addr);
    struct stat now;

    if (path && file->inode && lstat(path, &now) == 0 && same_file(&now, file->device, file->inode))
        unlink(path);
    *file = (struct unix_path){ 0 };
}
