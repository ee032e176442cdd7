/* Destination address selection (RFC 6724); see addr_order.h.
 *
 * Why: a machine may have IPv6 addresses that lead nowhere (unique local ones alone, a
 * tunnel), and a server several of which some can't be reached. Each wrong first choice
 * costs 250 ms of a connect.
 *
 * The source that would be used is the kernel's to choose: a datagram socket that is
 * connected, which sends nothing, tells it.
 *
 * Rules 3 (deprecated), 4 (home) and 7 (native transport) need what only netlink tells,
 * and are left out. Rule 9 (longest prefix) holds for IPv6 alone, up to the 64 bits of a
 * network's prefix: it was made for networks beside each other, and would undo the
 * order in which name servers spread load. */
#include "net/addr_order.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rt/name.h"

#define PREFIX_BITS 64

enum { SCOPE_LINK = 2, SCOPE_SITE = 5, SCOPE_GLOBAL = 14 };

/* Section 2.1. */
static const struct policy {
    uint8_t prefix[16];
    uint8_t bits, precedence, label;
} policies[] = {
    { { [15] = 1 }, 128, 50, 0 },  { { [10] = 0xff, [11] = 0xff }, 96, 35, 4 },
    { { 0 }, 96, 1, 3 },           { { 0x20, 0x01 }, 32, 5, 5 },
    { { 0x20, 0x02 }, 16, 30, 2 }, { { 0x3f, 0xfe }, 16, 1, 12 },
    { { 0xfe, 0xc0 }, 10, 1, 11 }, { { 0xfc }, 7, 3, 13 },
    { { 0 }, 0, 40, 1 },
};

static int common_bits(const uint8_t *a, const uint8_t *b, int max)
{
    int bits = 0;

    while (bits < max && ((a[bits / 8] ^ b[bits / 8]) & (0x80 >> bits % 8)) == 0)
        bits++;
    return bits;
}

static const struct policy *policy_of(const uint8_t *addr)
{
    const struct policy *p = policies; /* the longest prefixes come first */

    while (common_bits(addr, p->prefix, p->bits) < p->bits)
        p++;
    return p;
}

static bool is_v4(const uint8_t *addr)
{
    return common_bits(addr, policies[1].prefix, 96) == 96;
}

/* Sections 3.1 and 3.2. */
static int scope_of(const uint8_t *addr)
{
    static const uint8_t loopback[16] = { [15] = 1 };

    if (is_v4(addr))
        return addr[12] == 127 || (addr[12] == 169 && addr[13] == 254) ? SCOPE_LINK : SCOPE_GLOBAL;
    if (addr[0] == 0xff)
        return addr[1] & 0x0f;
    if (memcmp(addr, loopback, 16) == 0 || (addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80))
        return SCOPE_LINK;
    return addr[0] == 0xfe && (addr[1] & 0xc0) == 0xc0 ? SCOPE_SITE : SCOPE_GLOBAL;
}

/* The one of which it is true is better. */
static int prefer(bool a, bool b)
{
    return (int)b - (int)a;
}

int addr_route_compare(const struct addr_route *a, const struct addr_route *b)
{
    const struct policy *to_a = policy_of(a->to), *to_b = policy_of(b->to);
    int scope_a = scope_of(a->to), scope_b = scope_of(b->to), rule;

    rule = prefer(a->has_source, b->has_source); /* 1 */
    if (rule != 0 || !a->has_source)
        return rule;
    rule = prefer(scope_a == scope_of(a->source), scope_b == scope_of(b->source)); /* 2 */
    if (rule == 0)
        rule = prefer(to_a->label == policy_of(a->source)->label,
                      to_b->label == policy_of(b->source)->label); /* 5 */
    if (rule == 0)
        rule = to_b->precedence - to_a->precedence; /* 6 */
    if (rule == 0)
        rule = scope_a - scope_b; /* 8 */
    if (rule == 0 && !is_v4(a->to) && !is_v4(b->to))
        rule = common_bits(b->to, b->source, PREFIX_BITS) -
               common_bits(a->to, a->source, PREFIX_BITS); /* 9 */
    return rule;
}

/* ---- the machine's routes ------------------------------------------------------------ */

static void map_v4(uint8_t to[static 16], const void *addr)
{
    memcpy(to, policies[1].prefix, 12);
    memcpy(to + 12, addr, 4);
}

/* The source that the kernel chooses for fd, to be connected to addr; false: none. */
static bool find_source(int fd, int family, const uint8_t *addr, uint8_t source[static 16])
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(53) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(53) };
    bool is_6 = family == AF_INET6;
    struct sockaddr *at = is_6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
    socklen_t len = is_6 ? sizeof(v6) : sizeof(v4);

    memcpy(&v4.sin_addr, addr, 4);
    memcpy(&v6.sin6_addr, addr, 16);
    if (connect(fd, at, len) < 0 || getsockname(fd, at, &len) < 0)
        return false;
    if (is_6)
        memcpy(source, &v6.sin6_addr, 16);
    else
        map_v4(source, &v4.sin_addr);
    return true;
}

/* False: it can't be found out. */
static bool find_route(int family, const uint8_t *addr, struct addr_route *ret_route)
{
    struct addr_route route = { .has_source = false };
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 && errno != EAFNOSUPPORT)
        return false;
    if (family == AF_INET6)
        memcpy(route.to, addr, 16);
    else
        map_v4(route.to, addr);
    if (fd >= 0) {
        route.has_source = find_source(fd, family, addr, route.source);
        close(fd);
    }
    *ret_route = route;
    return true;
}

bool addr_order(int family, uint8_t (*addrs)[16], uint32_t count, struct addr_route *ret_best)
{
    struct addr_route routes[NAME_ADDRS_MAX];

    if (count == 0 || count > NAME_ADDRS_MAX)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!find_route(family, addrs[i], &routes[i]))
            return false;
    /* By insertion: what is equal stays in the order of the answer (rule 10). */
    for (uint32_t i = 1; i < count; i++)
        for (uint32_t at = i; at > 0 && addr_route_compare(&routes[at], &routes[at - 1]) < 0;
             at--) {
            struct addr_route route = routes[at];

            routes[at] = routes[at - 1];
            routes[at - 1] = route;
        }
    for (uint32_t i = 0; i < count; i++)
        memcpy(addrs[i], routes[i].to + (family == AF_INET ? 12 : 0), family == AF_INET ? 4 : 16);
    *ret_best = routes[0];
    return true;
}
