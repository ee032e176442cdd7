/* Starting a program.
 *
 * posix_spawn(3) neither copies this process's memory nor runs handlers of fork;
 * and it reports what went wrong up to execve(2). It holds its thread up until the
 * program runs, so this is a blocking call.
 *
 * The child is in a group of its own, has all signals by default and none blocked
 * (the threads of a pool block all), and no descriptor beyond 2, also none that a
 * library has opened without close-on-exec. */
#include "net/process.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int set_actions(posix_spawn_file_actions_t *actions, const struct spawn *spawn)
{
    int rc = 0;

    for (int i = 0; i < 3 && rc == 0; i++)
        rc = posix_spawn_file_actions_adddup2(actions, spawn->fds[i], i);
    if (rc == 0)
        rc = posix_spawn_file_actions_addclosefrom_np(actions, 3);
    if (rc == 0 && spawn->cwd)
        rc = posix_spawn_file_actions_addchdir_np(actions, spawn->cwd);
    return rc;
}

static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    int rc;

    sigemptyset(&none);
    sigfillset(&all);
    rc = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                  POSIX_SPAWN_SETSIGDEF);
    if (rc == 0)
        rc = posix_spawnattr_setpgroup(attributes, 0);
    if (rc == 0)
        rc = posix_spawnattr_setsigmask(attributes, &none);
    return rc ? rc : posix_spawnattr_setsigdefault(attributes, &all);
}

static int spawn_with(struct spawn *spawn, posix_spawn_file_actions_t *actions,
                      posix_spawnattr_t *attributes)
{
    int rc = set_actions(actions, spawn);

    if (rc == 0)
        rc = set_attributes(attributes);
    if (rc == 0)
        rc = posix_spawnp(&spawn->pid, spawn->argv[0], actions, attributes,
                          (char *const *)spawn->argv,
                          spawn->env ? (char *const *)spawn->env : environ);
    return -rc;
}

static int open_pidfd(struct spawn *spawn)
{
    int rc;

    spawn->pidfd = (int)syscall(SYS_pidfd_open, spawn->pid, 0);
    if (spawn->pidfd >= 0)
        return 0;
    rc = weir_fail(-errno, "watching the process of %s: %s", spawn->argv[0],
                   weir_error_text(-errno));
    kill(-spawn->pid, SIGKILL);
    while (waitpid(spawn->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return rc;
}

int process_spawn(struct spawn *spawn)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int rc = -posix_spawn_file_actions_init(&actions);

    if (rc < 0)
        return rc;
    rc = -posix_spawnattr_init(&attributes);
    if (rc == 0) {
        rc = spawn_with(spawn, &actions, &attributes);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    if (rc < 0)
        return weir_fail(rc, "starting %s%s%s: %s", spawn->argv[0], spawn->cwd ? " in " : "",
                         spawn->cwd ? spawn->cwd : "", weir_error_text(rc));
    return open_pidfd(spawn);
}
