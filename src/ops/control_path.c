/* Where control sockets are: one folder a user, so that the folder's mode keeps others
 * out, also on systems that do not look at a socket's own.
 *
 * /tmp is everybody's: who comes first could own our folder, or have put a link there. So
 * it is looked at, without following links, and refused when it is not ours alone. */
#include "ops/control_path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weir/error.h>

static int fits(int len, size_t size)
{
    return len > 0 && (size_t)len < size ? 0 : -ENAMETOOLONG;
}

/* Only an absolute path is one (XDG Base Directory Specification). */
static const char *runtime_dir(void)
{
    const char *path = getenv("XDG_RUNTIME_DIR");

    return path && path[0] == '/' ? path : NULL;
}

int control_folder_of(uid_t uid, unsigned index, char *path, size_t size)
{
    const char *own = runtime_dir();

    switch (index) {
    case 0: return own ? fits(snprintf(path, size, "%s/weir", own), size) : -ENAMETOOLONG;
    case 1: return fits(snprintf(path, size, "/run/user/%u/weir", uid), size);
    case 2: return fits(snprintf(path, size, P_tmpdir "/weir-%u", uid), size);
    default: return -ENOENT;
    }
}

int control_folder_make(const char *path)
{
    struct stat st;

    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return weir_fail(-errno, "making the folder %s", path);
    if (lstat(path, &st) < 0)
        return weir_fail(-errno, "looking at the folder %s", path);
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
        return weir_fail(-EPERM,
                         "%s is not a folder that only this user may enter: remove it, or set "
                         "XDG_RUNTIME_DIR, or give the socket another path",
                         path);
    return 0;
}

int control_socket_path(const char *folder, pid_t pid, char *path, size_t size)
{
    return fits(snprintf(path, size, "%s/%d.sock", folder, (int)pid), size);
}

static int make_in(unsigned index, char *path, size_t size)
{
    char folder[CONTROL_PATH_BYTES];
    int rc = control_folder_of(geteuid(), index, folder, sizeof(folder));

    if (rc == 0)
        rc = control_socket_path(folder, getpid(), path, size);
    if (rc < 0)
        return weir_fail(rc, "XDG_RUNTIME_DIR is too long for a socket's path");
    return control_folder_make(folder);
}

/* A user's folder may be gone (a service that outlives the session, su), or full, or not
 * ours: those who ask look in all of them. */
int control_path_make(char *path, size_t size)
{
    if (runtime_dir()) {
        if (make_in(0, path, size) == 0)
            return 0;
        weir_recover();
    }
    return make_in(2, path, size);
}
