/* Listening sockets of the simulated network, and who is found at an address. */
#include <string.h>

#include "base/alloc.h"
#include "rt/sim_state.h"

#define PORT_FIRST 32768

static bool collides(const struct sim_listener *other, const struct sim_listener *own)
{
    if (other->reuse_port && own->reuse_port)
        return false;
    return sim_addr_reaches(&other->addr, &own->addr) || sim_addr_reaches(&own->addr, &other->addr);
}

struct sim_listener *sim_listener_at(struct sim *sim, const struct sockaddr_storage *addr)
{
    uint64_t count = 0, chosen;

    list_each(n, &sim->listeners)
        count += sim_addr_reaches(&container_of(n, struct sim_listener, link)->addr, addr);
    chosen = sim_below(sim, count);
    list_each(n, &sim->listeners) {
        struct sim_listener *listener = container_of(n, struct sim_listener, link);

        if (sim_addr_reaches(&listener->addr, addr) && chosen-- == 0)
            return listener;
    }
    return NULL;
}

void sim_choose_port(struct sim *sim, struct sockaddr_storage *addr)
{
    bool taken = addr->ss_family != AF_UNIX;

    while (taken) {
        uint16_t next = sim->next_port++;

        if (sim->next_port == 0)
            sim->next_port = PORT_FIRST;
        sim_set_port(addr, next);
        taken = false;
        list_each(n, &sim->listeners)
            taken |= sim_port(&container_of(n, struct sim_listener, link)->addr) == next;
        list_each(n, &sim->datagrams)
            taken |= sim_port(&container_of(n, struct sim_datagrams, link)->addr) == next;
    }
}

static int listener_bind(struct sim *sim, struct sim_listener *listener)
{
    if (listener->addr.ss_family != AF_UNIX && sim_port(&listener->addr) == 0)
        sim_choose_port(sim, &listener->addr);
    list_each(n, &sim->listeners)
        if (collides(container_of(n, struct sim_listener, link), listener))
            return -EADDRINUSE;
    return sim_fd_open(sim, &listener->base, true);
}

int sim_listen(struct sim *sim, const struct sockaddr *addr, socklen_t addr_len,
               const struct io_listen_opts *opts)
{
    struct sim_listener *listener;
    int rc;

    if (addr->sa_family != AF_INET && addr->sa_family != AF_INET6 && addr->sa_family != AF_UNIX)
        return -EAFNOSUPPORT;
    if (addr_len > sizeof(listener->addr))
        return -EINVAL;
    listener = base_calloc(1, sizeof(*listener));
    if (!listener)
        return -ENOMEM;
    memcpy(&listener->addr, addr, addr_len);
    listener->addr_len = addr_len;
    sim_own_addr(loop_current, &listener->addr);
    listener->backlog = opts->backlog > 0 ? (uint32_t)opts->backlog : 1;
    listener->reuse_port = opts->reuse_port;
    list_init(&listener->queue);
    rc = listener_bind(sim, listener);
    if (rc < 0) {
        base_free(listener);
        return rc;
    }
    list_push(&sim->listeners, &listener->link);
    return listener->base.fd;
}

void sim_listener_close(struct sim *sim, struct sim_listener *listener)
{
    struct node *n;

    list_remove(&listener->link);
    sim_fd_close(sim, &listener->base);
    while ((n = list_pop(&listener->queue)) != NULL) {
        struct sim_end *end = container_of(n, struct sim_end, link);

        end->reset_at_close = true;
        sim_end_close(end);
    }
    base_free(listener);
}

void sim_listener_queue(struct sim *sim, struct sim_listener *listener, struct sim_end *end)
{
    list_push(&listener->queue, &end->link);
    listener->waiting++;
    sim_mark_one(sim, &listener->base);
}

bool sim_listener_accept(struct sim *sim, struct sim_listener *listener, struct io_op *op)
{
    struct sim_end *end;
    int rc;

    if (list_empty(&listener->queue))
        return false;
    end = container_of(listener->queue.next, struct sim_end, link);
    rc = sim_fd_open(sim, &end->base, false);
    if (rc == 0) {
        list_remove(&end->link);
        listener->waiting--;
        if (op->accept.ret_peer)
            *op->accept.ret_peer = sim_conn_of(end)->end[!end->side].addr;
        rc = end->base.fd;
    }
    op->res = rc;
    return true;
}
