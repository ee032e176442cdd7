/* Listeners; see listener.h.
 *
 * States: WAITING (an accept is pending) -> STOPPING (it was cancelled, or there
 * was none) -> stopped; WAITING -> BACKING_OFF (the timer is set, nothing is
 * pending) -> WAITING.
 *
 * The last look for connections, at a stop, is made on a descriptor that was
 * attached anew: what the loop knows of readiness may be older than the newest
 * connection, whose wake-up may have gone to a loop that stopped before it
 * looked. */
#include "net/listener.h"

#include <errno.h>
#include <string.h>

#include <weir/log.h>

#include "base/budget.h"

#define BACKOFF_FIRST_MS 5
#define BACKOFF_MAX_MS 1000
#define SAY_AGAIN_NS (INT64_C(60) * 1000000000)

enum { SAID_BACKOFF, SAID_REFUSED };

/* A listening descriptor; a stale unix socket is in nobody's way. */
static int listen_fd(struct loop *loop, const struct addr *addr, const struct io_listen_opts *opts)
{
    const struct io_ops *io = loop_io(loop);
    int fd = io->listen(loop, addr_sockaddr(addr), addr->len, opts), rc;

    if (fd != -EADDRINUSE || addr->storage.ss_family != AF_UNIX || io->in_memory)
        return fd;
    rc = unix_path_clear(addr);
    return rc < 0 ? rc : io->listen(loop, addr_sockaddr(addr), addr->len, opts);
}

int listen_socket_open(const struct addr *addr, const struct io_listen_opts *opts,
                       struct listen_socket *ret_socket)
{
    struct loop *loop = loop_self();
    struct listen_socket opened = { .addr = *addr };
    struct io_file file = { .fd = -1 };
    char text[ADDR_TEXT_BYTES];
    int fd = listen_fd(loop, addr, opts), rc;

    if (fd < 0)
        return weir_wrap(fd, "can't listen at %s: %s", addr_format(addr, text).ptr,
                         weir_error_text(fd));
    file.fd = opened.fd = fd;
    rc = loop_io(loop)->address(loop, &file, false, &opened.addr.storage, &opened.addr.len);
    if (rc == 0 && !loop_io(loop)->in_memory)
        rc = unix_path_claim(&opened.addr, opts->unix_mode, &opened.path);
    if (rc < 0) {
        listen_socket_close(&opened);
        return weir_fail(rc, "the socket at %s can't be set up: %s", addr_format(addr, text).ptr,
                         weir_error_text(rc));
    }
    *ret_socket = opened;
    return 0;
}

void listen_socket_close(struct listen_socket *socket)
{
    struct io_file file = { .fd = socket->fd };

    unix_path_release(&socket->addr, &socket->path);
    io_detach(loop_self(), &file, false);
    socket->fd = -1;
}

/* Is it time to say this (again)? */
static bool may_say(struct listener *listener, int what)
{
    int64_t now_ns = loop_now_ns(listener->loop);

    if (listener->said_ns[what] && now_ns - listener->said_ns[what] < SAY_AGAIN_NS)
        return false;
    listener->said_ns[what] = now_ns;
    return true;
}

static void changed(struct listener *listener)
{
    if (listener->opts.changed)
        listener->opts.changed(listener);
}

static void back_off(struct listener *listener, int rc)
{
    char text[ADDR_TEXT_BYTES];

    listener->backoff_ms = listener->backoff_ms ? listener->backoff_ms * 2 : BACKOFF_FIRST_MS;
    if (listener->backoff_ms > BACKOFF_MAX_MS)
        listener->backoff_ms = BACKOFF_MAX_MS;
    listener->stats.backoffs++;
    changed(listener);
    if (may_say(listener, SAID_BACKOFF))
        weir_warn("accepting at %s: %s; trying again after %u ms, at most %u ms%s",
                  addr_format(&listener->addr, text).ptr, weir_error_text(rc), listener->backoff_ms,
                  BACKOFF_MAX_MS,
                  rc == -EMFILE ? " (raise the limit of open files: ulimit -n)" : "");
    timer_set(listener->loop, &listener->retry,
              loop_now_ns(listener->loop) + (int64_t)listener->backoff_ms * 1000000);
}

static void refuse(struct listener *listener, int fd, const char *why)
{
    struct io_file file = { .fd = fd };
    char text[ADDR_TEXT_BYTES];

    io_detach(listener->loop, &file, false);
    changed(listener);
    if (may_say(listener, SAID_REFUSED))
        weir_warn("connections at %s are refused: %s", addr_format(&listener->addr, text).ptr, why);
}

static void admit(struct listener *listener, int fd)
{
    const struct listener_opts *opts = &listener->opts;

    listener->backoff_ms = 0;
    if (opts->connections && *opts->connections >= opts->connections_max) {
        listener->stats.refused_limit++;
        refuse(listener, fd, "there are as many as may be");
    } else if (!budget_admits(opts->connection_bytes)) {
        listener->stats.refused_budget++;
        refuse(listener, fd, "the process's byte budget is used up");
    } else {
        listener->stats.accepted++;
        opts->accepted(listener, fd);
    }
}

/* What an accept ended with. False when it is not to be repeated now. */
static bool take_result(struct listener *listener, int rc)
{
    if (rc >= 0) {
        admit(listener, rc);
        return true;
    }
    if (rc == -ECANCELED)
        return true;
    back_off(listener, rc);
    return false;
}

/* Take what waits; true when an accept is pending then, false: backing off. */
static bool accept_all(struct listener *listener)
{
    while (io_submit(listener->loop, &listener->op))
        if (!take_result(listener, listener->op.res))
            return false;
    return true;
}

static void finish(struct listener *listener)
{
    timer_clear(listener->loop, &listener->retry);
    io_detach(listener->loop, &listener->file, true);
    listener->stopped(listener);
}

/* The last look. Nothing is pending. */
static void drain(struct listener *listener)
{
    const struct io_ops *io = loop_io(listener->loop);
    int fd = listener->file.fd;

    listener->looked = true;
    io->detach(listener->loop, &listener->file, true);
    if (io->attach(listener->loop, &listener->file, fd, true) == 0 && accept_all(listener))
        io_cancel(listener->loop, &listener->op); /* accept_done() goes on */
    else
        finish(listener);
}

static void accept_done(struct io_op *op)
{
    struct listener *listener = container_of(op, struct listener, op);
    bool again = take_result(listener, op->res);

    if (listener->stopping && listener->looked)
        finish(listener);
    else if (listener->stopping)
        drain(listener);
    else if (again)
        accept_all(listener);
}

static void retry(struct timer *timer)
{
    accept_all(container_of(timer, struct listener, retry));
}

int listener_start(struct listener *listener, const struct listen_socket *socket,
                   const struct listener_opts *opts)
{
    struct loop *loop = loop_self();
    int rc;

    memset(listener, 0, sizeof(*listener));
    listener->opts = *opts;
    listener->loop = loop;
    listener->addr = socket->addr;
    listener->file.fd = -1;
    listener->op.kind = IO_ACCEPT;
    listener->op.file = &listener->file;
    listener->op.done = accept_done;
    timer_init(&listener->retry, retry);
    rc = io_attach(loop, &listener->file, socket->fd, true);
    if (rc < 0)
        return rc;
    accept_all(listener);
    return 0;
}

void listener_stop(struct listener *listener, void (*stopped)(struct listener *listener))
{
    if (listener->stopping)
        return;
    listener->stopping = true;
    listener->stopped = stopped;
    timer_clear(listener->loop, &listener->retry);
    if (listener->op.pending)
        io_cancel(listener->loop, &listener->op);
    else
        drain(listener);
}
