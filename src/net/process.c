/* Child processes.
 *
 * States: RUNNING -> ENDED (its pidfd is readable) -> collected, by the close. A
 * child that has ended stays uncollected until then, so that its id, and its
 * group's, are nobody else's: a signal never meets a stranger.
 *
 * The close: SIGTERM to the group, the grace, SIGKILL to the group, wait, collect;
 * the child is sent them too when it has moved to another group. When it has ended by
 * itself, only what it left in its group is ended. */
#include "net/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "net/stream.h"
#include "rt/foreign.h"

#define GRACE_MS 2000

struct weir_process {
    int pid, pidfd;
    uint32_t grace_ms;
    bool waiting;
    bool ended;
    weir_process_exit exit;
    weir_stream *streams[3];
};

/* ---- starting ---------------------------------------------------------------- */

static int do_spawn(void *arg)
{
    return process_spawn(arg);
}

/* Descriptors 0 to 2 are what the child's are put at: none may lie there before. */
static int above_stdio(int fd)
{
    int moved = fd;

    if (fd >= 0 && fd < 3) {
        moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (moved < 0)
            moved = -errno;
        close(fd);
    }
    return moved;
}

/* The child's end in spawn, and the stream of this process's. */
static int open_pipe(int number, struct spawn *spawn, weir_stream **ret_stream)
{
    int ends[2], own;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return weir_fail(-errno, "making a pipe to a child");
    own = number == 0 ? ends[1] : ends[0];
    spawn->fds[number] = above_stdio(number == 0 ? ends[0] : ends[1]);
    if (spawn->fds[number] < 0) {
        close(own);
        return spawn->fds[number];
    }
    return stream_pipe_adopt(own, number == 0, ret_stream);
}

static int open_stdio(int number, weir_stdio how, struct spawn *spawn, weir_stream **ret_stream)
{
    if (how == WEIR_STDIO_PIPE)
        return open_pipe(number, spawn, ret_stream);
    if (how == WEIR_STDIO_INHERIT)
        spawn->fds[number] = fcntl(number, F_DUPFD_CLOEXEC, 3);
    else
        spawn->fds[number] = above_stdio(open("/dev/null", O_RDWR | O_CLOEXEC));
    if (spawn->fds[number] < 0)
        return weir_fail(-errno, "opening descriptor %d of a child", number);
    return 0;
}

static void close_all(struct spawn *spawn)
{
    for (int i = 0; i < 3; i++)
        if (spawn->fds[i] >= 0)
            close(spawn->fds[i]);
}

static int start(weir_process *process, struct spawn *spawn, const weir_process_opts *opts)
{
    const weir_stdio how[] = { opts->in, opts->out, opts->err };
    int rc = 0;

    for (int i = 0; i < 3 && rc == 0; i++)
        rc = open_stdio(i, how[i], spawn, &process->streams[i]);
    if (rc == 0)
        rc = weir_block(do_spawn, spawn, .name = "start of a program");
    close_all(spawn);
    process->pid = spawn->pid;
    process->pidfd = spawn->pidfd;
    return rc;
}

static void process_free(weir_process *process)
{
    for (int i = 0; i < 3; i++)
        weir_stream_close(process->streams[i]);
    base_free(process);
}

int weir_process_start_opt(const char *const *argv, weir_process **ret_process,
                           const weir_process_opts *opts)
{
    struct spawn spawn = {
        .argv = argv, .env = opts->env, .cwd = opts->cwd, .fds = { -1, -1, -1 }
    };
    weir_process *process;
    int rc = rt_check();

    if (rc < 0)
        return rc;
    if (!argv[0])
        return weir_fail(-EINVAL, "starting a program without a name");
    process = base_calloc(1, sizeof(*process));
    if (!process)
        return -ENOMEM;
    process->grace_ms = opts->grace_ms ? opts->grace_ms : GRACE_MS;
    rc = start(process, &spawn, opts);
    if (rc < 0) {
        process_free(process);
        return rc;
    }
    *ret_process = process;
    return 0;
}

weir_stream *weir_process_stream(weir_process *process, int fd)
{
    return fd >= 0 && fd < 3 ? process->streams[fd] : NULL;
}

int64_t weir_process_id(const weir_process *process)
{
    return process->pid;
}

/* ---- its end ------------------------------------------------------------------- */

/* Look how it ended, and leave it uncollected. */
static int look(weir_process *process)
{
    siginfo_t info = { 0 };

    if (process->ended)
        return 0;
    while (waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOWAIT | WNOHANG) < 0)
        if (errno != EINTR)
            return weir_fail(-errno, "asking how process %d ended: somebody else has",
                             process->pid);
    if (info.si_pid == 0)
        return -EAGAIN;
    process->ended = true;
    process->exit.code = info.si_code == CLD_EXITED ? info.si_status : -1;
    process->exit.signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
    return 0;
}

int weir_process_wait(weir_process *process, weir_process_exit *ret_exit)
{
    int rc = rt_check();

    if (rc == 0 && process->waiting)
        rc = -EBUSY;
    if (rc < 0)
        return rc;
    process->waiting = true;
    rc = process->ended ? 0
                        : foreign_wait(process->pidfd, POLLIN, false, "end of a process", process);
    process->waiting = false;
    if (rc >= 0)
        rc = look(process);
    if (rc == 0)
        *ret_exit = process->exit;
    return rc;
}

/* To the group, and to the child where it has moved to another one: by its pidfd, which
 * is nobody else's even when somebody has collected the child. 0 or -errno. */
static int send_signal(const weir_process *process, int number)
{
    bool moved = getpgid(process->pid) != process->pid;
    int rc = kill(-process->pid, number) < 0 ? -errno : 0;

    if (moved && (rc == 0 || rc == -ESRCH))
        rc = syscall(SYS_pidfd_send_signal, process->pidfd, number, NULL, 0) < 0 ? -errno : 0;
    return rc == -ESRCH ? 0 : rc;
}

int weir_process_signal(weir_process *process, int number)
{
    int rc = send_signal(process, number);

    return rc < 0 ? weir_fail(rc, "sending signal %d to process %d", number, process->pid) : 0;
}

void process_end_group(weir_process *process)
{
    send_signal(process, SIGKILL);
}

/* Nothing waits for its exit code any more. */
static void end(weir_process *process)
{
    int rc = foreign_ready_now(process->pidfd, POLLIN);

    if (rc == 0) {
        send_signal(process, SIGTERM);
        send_signal(process, SIGCONT); /* one that was stopped would not hear it */
        rc = foreign_wait_shielded(process->pidfd, POLLIN, process->grace_ms, "end of a process",
                                   process);
    }
    process_end_group(process);
    if (rc < 0)
        foreign_wait_shielded(process->pidfd, POLLIN, 0, "end of a killed process", process);
}

void weir_process_close(weir_process *process)
{
    if (!process)
        return;
    end(process);
    /* It has ended: this does not wait. Without memory for the wait, it does. */
    while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    close(process->pidfd);
    process_free(process);
}
