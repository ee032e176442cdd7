/* The simulator as a backend: descriptors, operations and their ends.
 *
 * It keeps the shape of the epoll backend: an operation is tried when it is
 * submitted, and when poll comes to an attach that the network has marked. So
 * what a task can see of both is the same; what an operation does is the
 * network's (sim_net.c).
 *
 * Invariants: done is only called from poll; an attach is in its loop's list of
 * marked ones at most once; a cancelled operation is in its loop's list of ended
 * ones and in no file. */
#include "base/alloc.h"
#include "rt/probe.h"
#include "rt/sim_state.h"

static struct sim_loop *own_of(struct loop *loop)
{
    return loop->backend;
}

/* ---- descriptors -------------------------------------------------------- */

struct sim_fd *sim_fd_find(struct sim *sim, int fd)
{
    uint32_t at = (uint32_t)(fd - SIM_FD_FIRST);

    return fd >= SIM_FD_FIRST && at < sim->file_room ? sim->files[at] : NULL;
}

/* A free place in the table, the lowest; or -errno. */
static int files_place(struct sim *sim)
{
    uint32_t room = sim->file_room, wanted = room ? room * 2 : 64;
    struct sim_fd **files;

    for (uint32_t i = 0; i < room; i++)
        if (!sim->files[i])
            return (int)i;
    if (wanted > SIM_FILES_MAX)
        return -EMFILE;
    files = base_realloc(sim->files, wanted * sizeof(*files));
    if (!files)
        return -ENOMEM;
    for (uint32_t i = room; i < wanted; i++)
        files[i] = NULL;
    sim->files = files;
    sim->file_room = wanted;
    return (int)room;
}

int sim_fd_open(struct sim *sim, struct sim_fd *fd, bool listening)
{
    int place = sim_fault(sim, SIM_FAULT_no_files, NULL) ? -EMFILE : files_place(sim);

    if (place < 0)
        return place;
    fd->fd = SIM_FD_FIRST + place;
    fd->listening = listening;
    list_init(&fd->attaches);
    sim->files[place] = fd;
    sim->file_count++;
    return 0;
}

static void attach_free(struct sim_attach *attach)
{
    struct sim_loop *own = own_of(attach->loop);

    if (own && own->trying == attach)
        own->trying = NULL;
    list_remove(&attach->link);
    list_remove(&attach->marked);
    base_free(attach);
}

void sim_fd_close(struct sim *sim, struct sim_fd *fd)
{
    list_each_safe(n, &fd->attaches)
        attach_free(container_of(n, struct sim_attach, link));
    sim->files[fd->fd - SIM_FD_FIRST] = NULL;
    sim->file_count--;
    fd->fd = -1;
}

static void fd_close(struct sim *sim, struct sim_fd *fd)
{
    if (fd->listening)
        sim_listener_close(sim, sim_listener_of(fd));
    else if (fd->datagrams)
        sim_datagram_close(sim, sim_datagrams_of(fd));
    else
        sim_end_close(sim_end_of(fd));
}

void sim_files_close(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->file_room; i++)
        if (sim->files[i])
            fd_close(sim, sim->files[i]);
    list_each_safe(n, &sim->conns) /* those that nobody has accepted */
        sim_conn_free(container_of(n, struct sim_conn, link));
}

uint32_t sim_files(const struct sim *sim)
{
    return sim->file_count;
}

static struct sim_attach *attach_of(struct loop *loop, const struct io_file *file)
{
    struct sim_fd *fd = sim_fd_find(own_of(loop)->sim, file->fd);

    if (!fd)
        return NULL;
    list_each(n, &fd->attaches) {
        struct sim_attach *attach = container_of(n, struct sim_attach, link);

        if (attach->file == file)
            return attach;
    }
    return NULL;
}

static void mark(struct sim_attach *attach)
{
    if (list_empty(&attach->marked))
        list_push(&own_of(attach->loop)->marked, &attach->marked);
}

void sim_mark(struct sim_fd *fd)
{
    if (fd->fd < 0)
        return;
    list_each(n, &fd->attaches)
        mark(container_of(n, struct sim_attach, link));
}

void sim_mark_one(struct sim *sim, struct sim_fd *fd)
{
    uint64_t count = 0, chosen;

    list_each(n, &fd->attaches)
        count += container_of(n, struct sim_attach, link)->file->reader != NULL;
    chosen = sim_below(sim, count);
    list_each(n, &fd->attaches) {
        struct sim_attach *attach = container_of(n, struct sim_attach, link);

        if (attach->file->reader && chosen-- == 0) {
            mark(attach);
            return;
        }
    }
}

/* ---- operations --------------------------------------------------------- */

static struct io_op **slot_of(struct io_op *op)
{
    bool reads = op->kind == IO_RECV || op->kind == IO_ACCEPT;

    return reads ? &op->file->reader : &op->file->writer;
}

static bool try_connect(struct sim_end *end, struct io_op *op)
{
    if (end->state == SIM_END_CONNECTING)
        return false;
    op->res = end->error ? -end->error : 0;
    end->error = 0;
    return true;
}

static bool try_op(struct loop *loop, struct sim_fd *fd, struct io_op *op)
{
    if (fd->listening != (op->kind == IO_ACCEPT)) {
        op->res = -EINVAL;
        return true;
    }
    switch (op->kind) {
    case IO_ACCEPT: return sim_listener_accept(own_of(loop)->sim, sim_listener_of(fd), op);
    case IO_RECV: return sim_end_recv(loop, sim_end_of(fd), op);
    case IO_SEND: return sim_end_send(sim_end_of(fd), op);
    default: return try_connect(sim_end_of(fd), op);
    }
}

/* The first try. */
static bool begin_op(struct loop *loop, struct sim_attach *attach, struct io_op *op)
{
    struct sim *sim = own_of(loop)->sim;

    if (op->kind == IO_CONNECT && !attach->fd->listening) {
        op->res = sim_end_connect(sim_end_of(attach->fd), op->connect.addr, op->connect.addr_len);
        return op->res < 0;
    }
    if (sim_fault(sim, SIM_FAULT_late, NULL) || sim_fault(sim, SIM_FAULT_interrupt, NULL)) {
        mark(attach);
        return false;
    }
    return try_op(loop, attach->fd, op);
}

static bool begin_poll(struct sim_loop *own, struct io_op *op)
{
    struct sim_fd *fd = sim_fd_find(own->sim, op->poll.fd);

    return fd && fd->datagrams ? sim_datagram_poll(sim_datagrams_of(fd), op)
                               : sim_poll_submit(own, op);
}

static bool sim_submit(struct loop *loop, struct io_op *op)
{
    struct sim_attach *attach;
    struct io_op **slot;

    op->cancelled = false;
    op->pending = false;
    if (op->kind == IO_POLL)
        return begin_poll(own_of(loop), op);
    attach = attach_of(loop, op->file);
    slot = slot_of(op);
    if (op->kind == IO_SEND)
        op->send.moved = 0;
    if (*slot != NULL || !attach) {
        op->res = attach ? -EBUSY : -EBADF;
        return true;
    }
    if (begin_op(loop, attach, op)) {
        TRACE_IO(loop, op);
        return true;
    }
    op->pending = true;
    *slot = op;
    return false;
}

/* A connection that nobody at this loop takes is another loop's. */
static void pass_on(struct sim *sim, struct sim_fd *fd)
{
    if (fd->listening && sim_listener_of(fd)->waiting > 0)
        sim_mark_one(sim, fd);
}

static void cancel_poll(struct sim_loop *own, struct io_op *op)
{
    list_remove(&op->link);
    op->cancelled = true;
    op->res = -ECANCELED;
    list_push(&own->ended, &op->link);
}

static void sim_cancel(struct loop *loop, struct io_op *op)
{
    struct sim *sim = own_of(loop)->sim;
    struct sim_attach *attach;

    if (!op->pending || op->cancelled)
        return;
    if (op->kind == IO_POLL) {
        cancel_poll(own_of(loop), op);
        return;
    }
    attach = attach_of(loop, op->file);
    *slot_of(op) = NULL;
    op->cancelled = true;
    /* Another loop may have closed a listening descriptor meanwhile. */
    if (!attach || !sim_fault(sim, SIM_FAULT_race, NULL) || !try_op(loop, attach->fd, op)) {
        op->res = -ECANCELED;
        if (op->kind == IO_SEND && op->send.moved > 0)
            op->res = op->send.moved > INT32_MAX ? INT32_MAX : (int)op->send.moved;
    }
    list_push(&own_of(loop)->ended, &op->link);
    if (attach)
        pass_on(sim, attach->fd);
}

static void retry(struct loop *loop, struct sim_attach *attach, struct io_op *op)
{
    if (sim_fault(own_of(loop)->sim, SIM_FAULT_interrupt, NULL)) {
        mark(attach);
        return;
    }
    if (!try_op(loop, attach->fd, op))
        return;
    *slot_of(op) = NULL;
    pass_on(own_of(loop)->sim, attach->fd);
    op->pending = false;
    TRACE_IO(loop, op);
    op->done(op);
}

static void try_marked(struct loop *loop)
{
    struct sim_loop *own = own_of(loop);
    struct node list, *n;

    list_init(&list);
    list_splice(&list, &own->marked);
    while ((n = list_pop(&list)) != NULL) {
        struct sim_attach *attach = container_of(n, struct sim_attach, marked);

        own->trying = attach;
        if (attach->file->reader)
            retry(loop, attach, attach->file->reader);
        else
            pass_on(own->sim, attach->fd);
        /* The reader's end may have detached it. */
        if (own->trying == attach && attach->file->writer)
            retry(loop, attach, attach->file->writer);
        own->trying = NULL;
    }
}

static void sim_poll(struct loop *loop, int64_t until_ns)
{
    struct sim_loop *own = own_of(loop);
    struct node *n;

    (void)until_ns; /* the clock moves when every loop has nothing to do */
    loop_awake(loop);
    TRACE_LOOP(loop, RECORD_TURN, NULL, 0);
    try_marked(loop);
    while ((n = list_pop(&own->ended)) != NULL) {
        struct io_op *op = container_of(n, struct io_op, link);

        op->pending = false;
        TRACE_IO(loop, op);
        op->done(op);
    }
}

/* ---- waits -------------------------------------------------------------- */

static void sim_wait(struct loop *loop, struct wait *wait)
{
    sim_fault_wait(own_of(loop)->sim, wait);
}

/* ---- the backend -------------------------------------------------------- */

static int sim_open(struct loop *loop)
{
    struct sim *sim = loop->backend;

    loop->backend = &sim->loops[loop->index];
    loop->permute = sim->opts.permute;
    loop->wait_hook = sim_wait;
    return 0;
}

static void sim_close(struct loop *loop)
{
    struct sim_loop *own = own_of(loop);
    struct sim *sim = own->sim;

    for (uint32_t i = 0; i < sim->file_room; i++) {
        if (!sim->files[i])
            continue;
        list_each_safe(n, &sim->files[i]->attaches) {
            struct sim_attach *attach = container_of(n, struct sim_attach, link);

            if (attach->loop == loop)
                attach_free(attach);
        }
    }
    list_init(&own->ended);
    loop->backend = NULL;
}

/* The virtual clock's 0 is 2020-01-01T00:00:00Z, so that what is dated is the same
 * in every run. */
static int64_t sim_wall(struct loop *loop)
{
    const struct sim *sim = own_of(loop)->sim;

    return INT64_C(1577836800) * 1000000000 + sim->now_ns + sim->wall_jump_ns;
}

static int64_t sim_now(struct loop *loop)
{
    return own_of(loop)->sim->now_ns;
}

static void sim_wake(struct loop *loop)
{
    (void)loop; /* it never sleeps */
}

static int sim_socket(struct loop *loop, int family)
{
    struct sim_conn *conn;
    struct sim *sim = own_of(loop)->sim;
    int rc;

    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
        return -EAFNOSUPPORT;
    conn = sim_conn_new(sim, family);
    if (!conn)
        return -ENOMEM;
    rc = sim_fd_open(sim, &conn->end[0].base, false);
    if (rc < 0) {
        sim_conn_free(conn);
        return rc;
    }
    return conn->end[0].base.fd;
}

static int sim_open_listener(struct loop *loop, const struct sockaddr *addr, socklen_t addr_len,
                             const struct io_listen_opts *opts)
{
    return sim_listen(own_of(loop)->sim, addr, addr_len, opts);
}

static int sim_attach(struct loop *loop, struct io_file *file, int number, bool listening)
{
    struct sim_fd *fd = sim_fd_find(own_of(loop)->sim, number);
    struct sim_attach *attach;

    if (!fd || fd->listening != listening || fd->datagrams)
        return -EBADF;
    list_each(n, &fd->attaches)
        if (!listening || container_of(n, struct sim_attach, link)->loop == loop)
            return -EEXIST;
    attach = base_calloc(1, sizeof(*attach));
    if (!attach)
        return -ENOMEM;
    attach->loop = loop;
    attach->file = file;
    attach->fd = fd;
    list_init(&attach->marked);
    list_push(&fd->attaches, &attach->link);
    file->fd = number;
    file->ready = file->flags = 0;
    file->reader = file->writer = NULL;
    file->layer = NULL;
    return 0;
}

static void sim_detach(struct loop *loop, struct io_file *file, bool keep_open)
{
    struct sim *sim = own_of(loop)->sim;
    struct sim_fd *fd = sim_fd_find(sim, file->fd);
    struct sim_attach *attach = attach_of(loop, file);

    if (file->reader || file->writer)
        rt_wrong_use("descriptor %d was detached with an operation pending", file->fd);
    file->fd = -1;
    if (fd && !keep_open)
        fd_close(sim, fd);
    else if (attach)
        attach_free(attach);
}

static int sim_shutdown(struct loop *loop, struct io_file *file, int how)
{
    struct sim_attach *attach = attach_of(loop, file);

    if (!attach)
        return -EBADF;
    return attach->fd->listening ? -ENOTCONN : sim_end_shutdown(sim_end_of(attach->fd), how);
}

static void sim_reset(struct loop *loop, struct io_file *file)
{
    struct sim_attach *attach = attach_of(loop, file);

    if (attach && !attach->fd->listening)
        sim_end_of(attach->fd)->reset_at_close = true;
}

static int sim_address(struct loop *loop, struct io_file *file, bool remote,
                       struct sockaddr_storage *ret_addr, socklen_t *ret_len)
{
    /* As with the kernel, it need not be attached. */
    struct sim_fd *fd = sim_fd_find(own_of(loop)->sim, file->fd);
    struct sim_end *end;

    if (!fd)
        return -EBADF;
    if (fd->listening) {
        if (remote)
            return -ENOTCONN;
        *ret_addr = sim_listener_of(fd)->addr;
        *ret_len = sim_listener_of(fd)->addr_len;
        return 0;
    }
    if (fd->datagrams) {
        *ret_addr = remote ? sim_datagrams_of(fd)->peer : sim_datagrams_of(fd)->addr;
        *ret_len = remote ? sim_datagrams_of(fd)->peer_len : sim_datagrams_of(fd)->addr_len;
        return remote && ret_addr->ss_family == AF_UNSPEC ? -ENOTCONN : 0;
    }
    end = sim_end_of(fd);
    if (remote && end->state != SIM_END_OPEN)
        return -ENOTCONN;
    if (remote)
        end = &sim_conn_of(end)->end[!end->side];
    *ret_addr = end->addr;
    *ret_len = end->addr_len;
    return 0;
}

static bool sim_is_dead(struct loop *loop, struct io_file *file)
{
    struct sim_attach *attach = attach_of(loop, file);

    return !attach || attach->fd->listening || sim_end_is_dead(sim_end_of(attach->fd));
}

static uint64_t sim_loop_random(struct loop *loop)
{
    return sim_random(&own_of(loop)->random);
}

const struct io_ops sim_ops = {
    .name = "simulator",
    .in_memory = true,
    .open = sim_open,
    .close = sim_close,
    .now_ns = sim_now,
    .poll = sim_poll,
    .wake = sim_wake,
    .submit = sim_submit,
    .cancel = sim_cancel,
    .socket = sim_socket,
    .datagram_open = sim_datagram_open,
    .datagram_connect = sim_datagram_connect,
    .datagram_recv = sim_datagram_recv,
    .datagram_send = sim_datagram_send,
    .listen = sim_open_listener,
    .attach = sim_attach,
    .detach = sim_detach,
    .shutdown = sim_shutdown,
    .reset = sim_reset,
    .address = sim_address,
    .is_dead = sim_is_dead,
    .wall_ns = sim_wall,
    .random = sim_loop_random,
    .resolve = sim_resolve,
    .resolve_end = sim_resolve_end,
    .block = sim_block,
    .block_give_up = sim_block_give_up,
};
