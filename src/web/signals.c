/* SIGTERM and SIGINT.
 *
 * The handler writes one byte into a socket that a task waits at: nothing else
 * that a server must do is safe in a handler. A second signal means that someone
 * is done waiting: the handler then ends the process itself, since no loop may be
 * turning any more.
 *
 * This is the process's one place for signals; what it holds is process-wide, as
 * the handlers are. */
#include "web/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir/log.h>

#include "rt/rt.h"

#define SIGNALS_FLUSH_MS 200

static struct {
    int wait_fd;
    atomic_int tell_fd;
    atomic_int seen;
    struct sigaction old_term, old_int, old_pipe;
} signals;

static void on_signal(int number)
{
    int saved = errno;
    unsigned char byte = (unsigned char)number;

    if (atomic_exchange(&signals.seen, number) != 0) {
        weir_log_flush(SIGNALS_FLUSH_MS);
        _exit(128 + number);
    }
    if (send(atomic_load(&signals.tell_fd), &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1)
        _exit(128 + number); /* nobody could ever be told */
    errno = saved;
}

int signals_open(void)
{
    struct sigaction tell = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    signals.wait_fd = fds[0];
    atomic_store(&signals.tell_fd, fds[1]);
    atomic_store(&signals.seen, 0);
    sigemptyset(&tell.sa_mask);
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGTERM, &tell, &signals.old_term);
    sigaction(SIGINT, &tell, &signals.old_int);
    sigaction(SIGPIPE, &ignore, &signals.old_pipe);
    return 0;
}

void signals_close(void)
{
    sigaction(SIGTERM, &signals.old_term, NULL);
    sigaction(SIGINT, &signals.old_int, NULL);
    sigaction(SIGPIPE, &signals.old_pipe, NULL);
    close(signals.wait_fd);
    close(atomic_load(&signals.tell_fd));
}

int signals_wait(void)
{
    struct loop *loop = loop_self();
    struct io_file file = { .fd = -1 };
    struct io_op op = { .file = &file, .kind = IO_RECV };
    int rc = loop_io(loop)->attach(loop, &file, signals.wait_fd, false);

    if (rc < 0)
        return rc;
    rc = rt_io(&op, "signal");
    if (rc > 0) {
        rc = (unsigned char)op.recv.buf->data[op.recv.buf->from];
        buf_unref(op.recv.buf);
    } else if (rc == 0) {
        rc = -EPIPE;
    }
    loop_io(loop)->detach(loop, &file, true);
    return rc;
}
