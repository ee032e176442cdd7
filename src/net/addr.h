/* Socket addresses, as people write them.
 *
 *     127.0.0.1:8080   [::1]:80   localhost:80   :8080 (every IPv4 address)
 *
 * A port is always given; 0 asks the kernel for a free one. Names other than
 * localhost need a name service and are refused. */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <stdint.h>
#include <sys/socket.h>

#include <weir/str.h>

struct addr {
    struct sockaddr_storage storage;
    socklen_t len;
};

/* The longest text: "[" IPv6 "]:" port and its end. */
#define ADDR_TEXT_BYTES 56

/* Parse "host:port". Returns 0, or with a sentence in the error chain
 *   -EINVAL      it is not of that form, or the port is out of its range
 *   WEIR_ENAME   a host name other than localhost
 *   -EAFNOSUPPORT a "unix:" address */
int addr_parse(weir_str text, struct addr *ret_addr);

/* The same for a host and a port that are apart: what a URL gives. An IPv6
 * literal may keep its brackets. */
int addr_from_host(weir_str host, uint16_t port, struct addr *ret_addr);

/* "127.0.0.1:8080", "[::1]:80"; terminated. The slice points into text. */
weir_str addr_format(const struct addr *addr, char text[static ADDR_TEXT_BYTES]);

/* The host alone, without brackets: "::1". */
weir_str addr_format_host(const struct addr *addr, char text[static ADDR_TEXT_BYTES]);

/* 0 for a family without ports. */
uint16_t addr_port(const struct addr *addr);

static inline const struct sockaddr *addr_sockaddr(const struct addr *addr)
{
    return (const struct sockaddr *)&addr->storage;
}

#endif
