/* Connections from tasks to whatever an address or a name means. */
#ifndef NET_CONNECT_H
#define NET_CONNECT_H

#include "net/addr.h"
#include "rt/rt.h"

/* Connect file, which is not attached, on the current loop: to an address, or to the
 * addresses of a name, raced. 0 with the address that it is connected to, or the
 * failure, of which a name's lookup leaves a sentence; file is then not attached. A
 * checkpoint. */
int connect_host(struct io_file *file, weir_str host, uint16_t port, struct addr *ret_addr);

#endif
