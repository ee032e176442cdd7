/* Destination addresses in the order in which they are best tried (RFC 6724, section 6):
 * what has no route comes last, then what the machine would reach from an address that
 * does not suit. */
#ifndef NET_ADDR_ORDER_H
#define NET_ADDR_ORDER_H

#include <stdbool.h>
#include <stdint.h>

/* A way to an address: IPv4 as ::ffff:a.b.c.d. */
struct addr_route {
    bool has_source; /* the machine has an address to reach it from */
    uint8_t to[16], source[16];
};

/* Less than 0: a is better; 0: neither is. */
int addr_route_compare(const struct addr_route *a, const struct addr_route *b);

/* Put a family's addresses (of IPv4 the first four bytes count) in order, and tell the
 * way to the first. False when that can't be found out, for want of a descriptor: they
 * stay as they were. At most NAME_ADDRS_MAX. */
bool addr_order(int family, uint8_t (*addrs)[16], uint32_t count, struct addr_route *ret_best);

#endif
