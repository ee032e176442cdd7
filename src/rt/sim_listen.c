/* Listening sockets of the simulated network, and who is found at an address. */
#include <netinet/in.h>
#include <string.h>

#include "base/alloc.h"
#include "rt/sim_state.h"

#define PORT_FIRST 32768

static uint16_t *port_of(struct sockaddr_storage *addr)
{
    if (addr->ss_family == AF_INET)
        return &((struct sockaddr_in *)addr)->sin_port;
    if (addr->ss_family == AF_INET6)
        return &((struct sockaddr_in6 *)addr)->sin6_port;
    return NULL;
}

uint16_t sim_port(const struct sockaddr_storage *addr)
{
    const uint16_t *port = port_of((struct sockaddr_storage *)addr);

    return port ? ntohs(*port) : 0;
}

static bool is_any(const struct sockaddr_storage *addr)
{
    if (addr->ss_family == AF_INET)
        return ((const struct sockaddr_in *)addr)->sin_addr.s_addr == INADDR_ANY;
    return addr->ss_family == AF_INET6 &&
           IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)addr)->sin6_addr);
}

static bool same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family != b->ss_family)
        return false;
    if (a->ss_family == AF_INET)
        return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
               ((const struct sockaddr_in *)b)->sin_addr.s_addr;
    if (a->ss_family == AF_INET6)
        return IN6_ARE_ADDR_EQUAL(&((const struct sockaddr_in6 *)a)->sin6_addr,
                                  &((const struct sockaddr_in6 *)b)->sin6_addr);
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* Does what is sent to addr come to somebody who listens at own? Who listens at
 * every IPv6 address listens at the IPv4 ones, too. */
static bool reaches(const struct sockaddr_storage *own, const struct sockaddr_storage *addr)
{
    if (sim_port(own) != sim_port(addr))
        return false;
    if (is_any(own))
        return own->ss_family == addr->ss_family ||
               (own->ss_family == AF_INET6 && addr->ss_family == AF_INET);
    return same_host(own, addr);
}

static bool collides(const struct sim_listener *other, const struct sim_listener *own)
{
    if (other->reuse_port && own->reuse_port)
        return false;
    return reaches(&other->addr, &own->addr) || reaches(&own->addr, &other->addr);
}

struct sim_listener *sim_listener_at(struct sim *sim, const struct sockaddr_storage *addr)
{
    uint64_t count = 0, chosen;

    list_each(n, &sim->listeners)
        count += reaches(&container_of(n, struct sim_listener, link)->addr, addr);
    chosen = sim_below(sim, count);
    list_each(n, &sim->listeners) {
        struct sim_listener *listener = container_of(n, struct sim_listener, link);

        if (reaches(&listener->addr, addr) && chosen-- == 0)
            return listener;
    }
    return NULL;
}

void sim_choose_port(struct sim *sim, struct sockaddr_storage *addr)
{
    uint16_t *port = port_of(addr);
    bool taken = true;

    if (!port)
        return;
    while (taken) {
        uint16_t next = sim->next_port++;

        if (sim->next_port == 0)
            sim->next_port = PORT_FIRST;
        *port = htons(next);
        taken = false;
        list_each(n, &sim->listeners)
            taken |= sim_port(&container_of(n, struct sim_listener, link)->addr) == next;
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
