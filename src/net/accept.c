/* Listening at the level of tasks: for protocols of one's own, where a loop
 * around weir_accept() reads better than a callback. The HTTP server has its
 * own (listener.c).
 *
 * A stop ends the wait as a source's orderly end: the operation is cancelled
 * and awaited, and what it still brought is delivered. */
#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "net/listener.h"
#include "net/stream.h"

#define ACCEPT_BACKLOG 1024
#define ACCEPT_RETRY_MS 100

struct weir_listener {
    struct io_file file;
    struct listen_socket socket;
    bool accepting;
};

int weir_listen_opt(const char *address, weir_listener **ret_listener, const weir_listen_opts *opts)
{
    struct io_listen_opts how = { .backlog = opts->backlog ? (int)opts->backlog : ACCEPT_BACKLOG,
                                  .reuse_port = opts->reuse_port,
                                  .unix_mode = opts->unix_mode };
    struct loop *loop = loop_self();
    weir_listener *self;
    struct addr addr;
    int rc = addr_parse(weir_str_c(address), &addr);

    if (rc < 0)
        return rc;
    self = base_calloc(1, sizeof(*self));
    if (!self)
        return -ENOMEM;
    rc = listen_socket_open(&addr, &how, &self->socket);
    if (rc < 0) {
        base_free(self);
        return rc;
    }
    rc = io_attach(loop, &self->file, self->socket.fd, true);
    if (rc < 0) {
        listen_socket_close(&self->socket);
        base_free(self);
        return weir_fail(rc, "listening on %s", address);
    }
    *ret_listener = self;
    return 0;
}

struct accept_wait {
    struct wait wait;
    struct io_op *op;
};

static void accept_abandon(struct wait *wait, int code)
{
    (void)code;
    io_cancel(loop_self(), container_of(wait, struct accept_wait, wait)->op);
}

static void accept_done(struct io_op *op)
{
    wait_wake(op->done_arg, op->res);
}

/* One accept; a descriptor, 0 when a stop has ended it, or a code. Descriptor 0
 * can't come: it is open in every sane process, and is moved if it isn't. */
static int accept_once(weir_listener *self)
{
    struct io_op op = { .file = &self->file, .kind = IO_ACCEPT, .done = accept_done };
    struct accept_wait wait = { .wait = { .abandon = accept_abandon,
                                          .what = "accept",
                                          .object = self,
                                          .ends_at_stop = true },
                                .op = &op };
    int rc;

    op.done_arg = &wait.wait;
    if (io_submit(loop_self(), &op)) {
        rt_spend();
        rc = op.res;
    } else {
        rc = rt_park(&wait.wait);
    }
    if (rc == 0) {
        rc = fcntl(0, F_DUPFD_CLOEXEC, 3);
        rc = rc < 0 ? -errno : rc;
        close(0);
        return rc;
    }
    if (rc == -ECANCELED && op.cancelled)
        return rt_check();
    return rc;
}

static bool is_shortage(int rc)
{
    return rc == -EMFILE || rc == -ENFILE || rc == -ENOBUFS || rc == -ENOMEM;
}

int weir_accept(weir_listener *self, weir_stream **ret_stream)
{
    int rc = rt_check();

    if (rc < 0)
        return rc;
    if (self->accepting)
        return -EBUSY;
    self->accepting = true;
    for (;;) {
        rc = weir_stopping() ? 0 : accept_once(self);
        if (rc == -ECONNABORTED)
            rc = weir_yield();
        else if (is_shortage(rc))
            rc = weir_sleep_ms(ACCEPT_RETRY_MS);
        else
            break;
        if (rc < 0)
            break;
    }
    self->accepting = false;
    if (rc <= 0)
        return rc;
    rc = stream_tcp_adopt(rc, ret_stream);
    return rc < 0 ? rc : 1;
}

uint16_t weir_listener_port(const weir_listener *self)
{
    return addr_port(&self->socket.addr);
}

void weir_listener_close(weir_listener *self)
{
    struct loop *loop = loop_self();

    if (!self)
        return;
    io_detach(loop, &self->file, true);
    listen_socket_close(&self->socket);
    base_free(self);
}
