/* Addresses of the simulated network. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "rt/sim_state.h"

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

void sim_set_port(struct sockaddr_storage *addr, uint16_t port)
{
    uint16_t *place = port_of(addr);

    if (place)
        *place = htons(port);
}

bool sim_addr_is_any(const struct sockaddr_storage *addr)
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
bool sim_addr_reaches(const struct sockaddr_storage *own, const struct sockaddr_storage *addr)
{
    if (sim_port(own) != sim_port(addr))
        return false;
    if (sim_addr_is_any(own))
        return own->ss_family == addr->ss_family ||
               (own->ss_family == AF_INET6 && addr->ss_family == AF_INET);
    return same_host(own, addr);
}

void sim_addr_local(struct sockaddr_storage *addr)
{
    if (addr->ss_family == AF_INET)
        ((struct sockaddr_in *)addr)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else if (addr->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)addr)->sin6_addr = in6addr_loopback;
    sim_own_addr(loop_current, addr);
}

void sim_addr_print(const struct sockaddr_storage *addr, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "";

    if (addr->ss_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)addr)->sin_addr, host, sizeof(host));
    else if (addr->ss_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)addr)->sin6_addr, host, sizeof(host));
    if (addr->ss_family == AF_UNIX)
        snprintf(text, size, "unix");
    else
        snprintf(text, size, addr->ss_family == AF_INET ? "%s:%u" : "[%s]:%u", host,
                 sim_port(addr));
}
