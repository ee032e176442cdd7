/* Socket addresses, as people write them.
 *
 *     127.0.0.1:8080   [::1]:80   localhost:80   :8080 (every IPv4 address)
 *     unix:/run/x.sock   unix:@name (abstract: no file; Linux)
 *
 * A port is always given but with unix; 0 asks the kernel for a free one. Names
 * other than localhost are no addresses: dns.h looks them up. */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <weir/str.h>

struct addr {
    struct sockaddr_storage storage;
    socklen_t len;
};

/* The longest text: "unix:", a path of 108 bytes, and its end. */
#define ADDR_TEXT_BYTES 116

/* Parse "host:port" or "unix:path". Returns 0, or with a sentence in the chain
 *   -EINVAL      it is not of that form, or the port is out of its range
 *   WEIR_ENAME   a host name other than localhost
 *   -ENAMETOOLONG  a path of more than 107 bytes, or a name of as many */
int addr_parse(weir_str text, struct addr *ret_addr);

static inline bool addr_text_is_unix(weir_str text)
{
    return weir_str_starts(text, WEIR_S("unix:"));
}

/* Take "host:port" apart. 0, or -EINVAL with a sentence; the host keeps brackets,
 * and may be empty. */
int addr_split(weir_str text, weir_str *ret_host, uint16_t *ret_port);

/* Is the host an IP address, or localhost? Then *ret_addr is set. */
bool addr_from_literal(weir_str host, uint16_t port, struct addr *ret_addr);

/* The same for a host and a port that are apart: what a URL gives. An IPv6
 * literal may keep its brackets. */
int addr_from_host(weir_str host, uint16_t port, struct addr *ret_addr);

/* "127.0.0.1:8080", "[::1]:80", "unix:/run/x.sock"; "unix:" for a socket without a
 * name. Terminated; bytes of a path that can't be shown are '?'. The slice points
 * into text. */
weir_str addr_format(const struct addr *addr, char text[static ADDR_TEXT_BYTES]);

/* The host alone, without brackets: "::1"; all of a unix address. */
weir_str addr_format_host(const struct addr *addr, char text[static ADDR_TEXT_BYTES]);

/* 0 for a family without ports. */
uint16_t addr_port(const struct addr *addr);

/* The path of a unix socket that is a file; NULL for every other address. */
const char *addr_unix_path(const struct addr *addr);

static inline const struct sockaddr *addr_sockaddr(const struct addr *addr)
{
    return (const struct sockaddr *)&addr->storage;
}

#endif
