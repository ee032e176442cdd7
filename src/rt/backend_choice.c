/* The choice of a backend: what the program asks for; else what the environment
 * variable WEIR_BACKEND asks for; else epoll, which is everywhere.
 *
 * Who asks for io_uring gets it or the reason why not, never silently another. */
#include "rt/backend_choice.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>

#include "rt/backend_epoll.h"
#ifdef WEIR_HAS_IO_URING
#include "rt/backend_uring.h"
#endif

const char *backend_names(void)
{
#ifdef WEIR_HAS_IO_URING
    return "epoll, io_uring";
#else
    return "epoll";
#endif
}

#ifdef WEIR_HAS_IO_URING
/* kernel.io_uring_disabled: 0, 1 (only for the group that is named there) or 2. */
static bool is_disabled(void)
{
    FILE *file = fopen("/proc/sys/kernel/io_uring_disabled", "re");
    int c = file ? fgetc(file) : '0';

    if (file)
        fclose(file);
    return c == '1' || c == '2';
}

static const char *why_not(int rc)
{
    switch (rc) {
    case -ENOSYS: return "the kernel has no io_uring, or one that is older than Linux 5.11";
    case -EPERM:
    case -EACCES:
        return is_disabled() ? "the administrator has turned it off: see sysctl "
                               "kernel.io_uring_disabled and kernel.io_uring_group"
                             : "a security policy of the process (seccomp, as containers have "
                               "one) forbids it";
    case -ENOMEM:
        return "there is not enough memory, or the limit of locked memory is too low: see "
               "ulimit -l";
    case -EMFILE: return "the process has too many open files: see ulimit -n";
    default: return weir_error_text(rc);
    }
}

static int choose_uring(const struct io_ops **ret_ops)
{
    int rc = uring_probe();

    if (rc < 0)
        return weir_fail(rc, "io_uring was asked for and can't be used: %s", why_not(rc));
    *ret_ops = &uring_ops;
    return 0;
}
#else
static int choose_uring(const struct io_ops **ret_ops)
{
    (void)ret_ops;
    return weir_fail(-ENOTSUP, "io_uring was asked for and is not built in: liburing 2.3 or "
                               "later was missing when weir was built");
}
#endif

int backend_choose(weir_backend asked, const struct io_ops **ret_ops)
{
    const char *name = getenv("WEIR_BACKEND");

    if (asked == WEIR_BACKEND_AUTO && name && *name) {
        if (strcmp(name, "epoll") == 0)
            asked = WEIR_BACKEND_EPOLL;
        else if (strcmp(name, "io_uring") == 0)
            asked = WEIR_BACKEND_IO_URING;
        else
            return weir_fail(-EINVAL, "WEIR_BACKEND is `%.40s`: it must be epoll or io_uring",
                             name);
    }
    if (asked == WEIR_BACKEND_IO_URING)
        return choose_uring(ret_ops);
    *ret_ops = &epoll_ops;
    return 0;
}
