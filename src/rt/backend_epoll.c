/* The epoll backend: operations by trying first.
 *
 * A descriptor is registered once, edge-triggered, for all that may happen to
 * it; so no system call is spent on changing what is waited for. What the last
 * event or call said is kept in file->ready: an operation is tried only when it
 * may succeed (socket.c).
 *
 * A listening socket is registered only from when an accept waits until one is
 * cancelled: the kernel tells one loop of a new connection, and must not choose
 * one that has stopped to accept. What it was told of and others were not, it
 * takes: a cancelled accept tries once more, when nothing can be told any more.
 *
 * Invariants: a pending operation's readiness bit is clear; done is only called
 * from poll; an event of the batch being worked on whose file was detached is
 * blanked. */
#include "rt/backend_epoll.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "rt/foreign.h"
#include "rt/probe.h"
#include "rt/random.h"
#include "rt/socket.h"

enum { REGISTERED = 1 }; /* file->flags */

#define EPOLL_BATCH 64 /* what is received is worked off before more is taken */

struct epoll_backend {
    int epoll, wake;
    struct node ended;  /* operations to be reported: cancelled, or of foreign */
    uint64_t random;
    bool no_pwait2;     /* the kernel is older than 5.11 */
    int batch_count;
    struct foreign foreign; /* registered, like wake, without a file */
    struct epoll_event batch[EPOLL_BATCH];
};

static struct epoll_backend *backend_of(struct loop *loop)
{
    return loop->backend;
}

static int epoll_open(struct loop *loop)
{
    struct epoll_backend *be = base_calloc(1, sizeof(*be));
    struct epoll_event event = { .events = EPOLLIN | EPOLLET };
    int rc;

    if (!be)
        return -ENOMEM;
    list_init(&be->ended);
    foreign_init(&be->foreign);
    be->wake = -1;
    be->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (be->epoll < 0)
        goto fail;
    be->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (be->wake < 0 || epoll_ctl(be->epoll, EPOLL_CTL_ADD, be->wake, &event) < 0)
        goto fail;
    be->random = random_seed();
    loop->backend = be;
    return 0;

fail:
    rc = -errno;
    if (be->wake >= 0)
        close(be->wake);
    if (be->epoll >= 0)
        close(be->epoll);
    base_free(be);
    return rc;
}

static void epoll_close(struct loop *loop)
{
    struct epoll_backend *be = backend_of(loop);

    foreign_done(&be->foreign);
    close(be->wake);
    close(be->epoll);
    base_free(be);
    loop->backend = NULL;
}

static uint64_t epoll_random(struct loop *loop)
{
    return random_next(&backend_of(loop)->random);
}

static int epoll_descriptor(struct loop *loop, bool *ret_pending)
{
    struct epoll_backend *be = backend_of(loop);

    *ret_pending = !list_empty(&be->ended);
    return be->epoll;
}

static void epoll_wake(struct loop *loop)
{
    uint64_t one = 1;
    ssize_t n = write(backend_of(loop)->wake, &one, sizeof(one));

    (void)n; /* fails only when the counter is full, and then the loop is awake */
}

/* ---- operations -------------------------------------------------------------- */

static bool try_op(struct loop *loop, struct io_op *op)
{
    switch (op->kind) {
    case IO_RECV: return (op->file->ready & CAN_READ) && socket_recv(loop, op);
    case IO_SEND: return (op->file->ready & CAN_WRITE) && socket_send(op);
    case IO_ACCEPT: return (op->file->ready & CAN_READ) && socket_accept(op);
    default: return op->pending ? socket_connected(op) : socket_connect(op);
    }
}

static struct io_op **slot_of(struct io_op *op)
{
    bool reads = op->kind == IO_RECV || op->kind == IO_ACCEPT;

    return reads ? &op->file->reader : &op->file->writer;
}

/* Be told of connections. False: it failed, and the operation has ended. */
static bool listen_on(struct epoll_backend *be, struct io_op *op)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLET | EPOLLEXCLUSIVE,
                                 .data.ptr = op->file };

    if (op->file->flags & REGISTERED)
        return true;
    if (epoll_ctl(be->epoll, EPOLL_CTL_ADD, op->file->fd, &event) < 0) {
        op->res = -errno;
        return false;
    }
    op->file->flags |= REGISTERED;
    return true;
}

/* Be told no more. True: a connection came before, and is the result. */
static bool listen_off(struct epoll_backend *be, struct io_op *op)
{
    epoll_ctl(be->epoll, EPOLL_CTL_DEL, op->file->fd, NULL);
    op->file->flags &= (uint8_t)~REGISTERED;
    op->file->ready |= CAN_READ;
    return socket_accept(op) && op->res >= 0;
}

static bool foreign_begin(struct epoll_backend *be, struct io_op *op)
{
    struct epoll_event event = { .events = EPOLLIN };
    bool first = be->foreign.epoll < 0;

    if (foreign_submit(&be->foreign, op))
        return true;
    op->pending = true;
    if (!first || epoll_ctl(be->epoll, EPOLL_CTL_ADD, be->foreign.epoll, &event) == 0)
        return false;
    op->res = -errno;
    op->pending = false;
    foreign_forget(&be->foreign, op);
    foreign_done(&be->foreign); /* the next one tries again */
    return true;
}

static bool epoll_submit(struct loop *loop, struct io_op *op)
{
    struct io_op **slot;

    op->cancelled = false;
    op->pending = false;
    if (unlikely(op->kind == IO_POLL))
        return foreign_begin(backend_of(loop), op);
    slot = slot_of(op);
    if (op->kind == IO_SEND)
        op->send.moved = 0;
    if (unlikely(*slot != NULL)) {
        op->res = -EBUSY;
        return true;
    }
    if (try_op(loop, op)) {
        TRACE_IO(loop, op);
        return true;
    }
    if (op->kind == IO_ACCEPT && !listen_on(backend_of(loop), op))
        return true;
    op->pending = true;
    *slot = op;
    return false;
}

static void epoll_cancel(struct loop *loop, struct io_op *op)
{
    if (!op->pending || op->cancelled)
        return;
    if (op->kind == IO_POLL)
        foreign_forget(&backend_of(loop)->foreign, op);
    else
        *slot_of(op) = NULL;
    op->cancelled = true;
    if (op->kind != IO_ACCEPT || !listen_off(backend_of(loop), op))
        op->res = -ECANCELED;
    if (op->kind == IO_SEND && op->send.moved > 0)
        op->res = op->send.moved > INT32_MAX ? INT32_MAX : (int)op->send.moved;
    list_push(&backend_of(loop)->ended, &op->link);
}

static void op_retry(struct loop *loop, struct io_op *op)
{
    if (!try_op(loop, op))
        return;
    *slot_of(op) = NULL;
    op->pending = false;
    TRACE_IO(loop, op);
    op->done(op);
}

static void file_event(struct loop *loop, struct io_file *file, uint32_t events,
                       struct epoll_event *place)
{
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        file->ready |= CAN_READ;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        file->ready |= SAW_END;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        file->ready |= CAN_WRITE;
    if (file->reader && file->ready & CAN_READ)
        op_retry(loop, file->reader);
    /* The reader's end may have detached the file, and blanked its event. */
    if (place->data.ptr == file && file->writer && file->ready & CAN_WRITE)
        op_retry(loop, file->writer);
}

static int wait_events(struct epoll_backend *be, int64_t until_ns)
{
    int64_t left_ns = 0;
    struct timespec timeout;

    if (until_ns != 0 && until_ns != WEIR_NEVER_NS) {
        left_ns = until_ns - clock_monotonic_ns();
        left_ns = left_ns < 0 ? 0 : left_ns;
    }
    if (until_ns == WEIR_NEVER_NS)
        return epoll_wait(be->epoll, be->batch, EPOLL_BATCH, -1);
    if (left_ns == 0)
        return epoll_wait(be->epoll, be->batch, EPOLL_BATCH, 0);
    if (!be->no_pwait2) {
        int n;

        timeout.tv_sec = left_ns / 1000000000;
        timeout.tv_nsec = left_ns % 1000000000;
        n = (int)syscall(SYS_epoll_pwait2, be->epoll, be->batch, EPOLL_BATCH, &timeout, NULL, 0);
        if (n >= 0 || (errno != ENOSYS && errno != EPERM)) /* a sandbox may say EPERM */
            return n;
        be->no_pwait2 = true;
    }
    left_ns = (left_ns + 999999) / 1000000;
    return epoll_wait(be->epoll, be->batch, EPOLL_BATCH, left_ns > 60000 ? 60000 : (int)left_ns);
}

static void run_ended(struct loop *loop, struct epoll_backend *be)
{
    struct node *n;

    while ((n = list_pop(&be->ended)) != NULL) {
        struct io_op *op = container_of(n, struct io_op, link);

        op->pending = false;
        TRACE_IO(loop, op);
        op->done(op);
    }
}

static void epoll_poll(struct loop *loop, int64_t until_ns)
{
    struct epoll_backend *be = backend_of(loop);
    bool woken = false;
    int count;

    if (!list_empty(&be->ended))
        until_ns = 0;
    count = wait_events(be, until_ns);
    loop_awake(loop);
    TRACE_LOOP(loop, RECORD_TURN, NULL, 0);
    /* What completions set timers by must not be the time before the wait. */
    loop->now_ns = clock_monotonic_ns();
    be->batch_count = count < 0 ? 0 : count;
    for (int i = 0; i < be->batch_count; i++) {
        struct epoll_event *event = &be->batch[i];

        if (event->data.ptr)
            file_event(loop, event->data.ptr, event->events, event);
        else
            woken = true;
    }
    be->batch_count = 0;
    if (unlikely(woken) && be->foreign.epoll >= 0)
        foreign_collect(&be->foreign, &be->ended);
    run_ended(loop, be);
}

/* ---- descriptors ------------------------------------------------------------- */

static int epoll_attach(struct loop *loop, struct io_file *file, int fd, bool listening)
{
    struct epoll_event event = { .data.ptr = file };

    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    file->fd = fd;
    file->ready = listening ? CAN_READ : CAN_WRITE;
    file->flags = 0;
    file->reader = file->writer = NULL;
    file->layer = NULL;
    if (listening)
        return 0;
    if (epoll_ctl(backend_of(loop)->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        file->fd = -1;
        return -errno;
    }
    return 0;
}

static void epoll_detach(struct loop *loop, struct io_file *file, bool keep_open)
{
    struct epoll_backend *be = backend_of(loop);

    if (file->fd < 0)
        return;
    if (file->reader || file->writer)
        rt_wrong_use("descriptor %d was detached with an operation pending", file->fd);
    for (int i = 0; i < be->batch_count; i++)
        if (be->batch[i].data.ptr == file)
            be->batch[i].data.ptr = NULL;
    /* Closing alone forgets it only if no other descriptor, such as a forked child's,
     * refers to the same socket; events would go on coming for a file that is gone. */
    epoll_ctl(be->epoll, EPOLL_CTL_DEL, file->fd, NULL);
    if (!keep_open)
        close(file->fd);
    file->fd = -1;
}

static bool epoll_is_dead(struct loop *loop, struct io_file *file)
{
    char byte;
    ssize_t n;

    (void)loop;
    if (!(file->ready & (CAN_READ | SAW_END)))
        return false;
    n = recv(file->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n >= 0 || (errno != EAGAIN && errno != EINTR);
}

const struct io_ops epoll_ops = {
    .name = "epoll",
    .open = epoll_open,
    .close = epoll_close,
    .now_ns = socket_now_ns,
    .poll = epoll_poll,
    .descriptor = epoll_descriptor,
    .wake = epoll_wake,
    .submit = epoll_submit,
    .cancel = epoll_cancel,
    .socket = socket_open,
    .datagram_open = socket_datagram_open,
    .datagram_connect = socket_datagram_connect,
    .datagram_recv = socket_datagram_recv,
    .datagram_send = socket_datagram_send,
    .listen = socket_listen,
    .attach = epoll_attach,
    .detach = epoll_detach,
    .reset = socket_reset,
    .shutdown = socket_shutdown,
    .address = socket_address,
    .is_dead = epoll_is_dead,
    .random = epoll_random,
};
