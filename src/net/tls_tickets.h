/* The keys that session tickets are sealed with: RFC 5077 and RFC 8446, section 4.6.1.
 *
 * Thread: any. */
#ifndef NET_TLS_TICKETS_H
#define NET_TLS_TICKETS_H

#include <openssl/ssl.h>

struct tls_tickets;

/* Keys of the process's own, a new one after each rotate_s, with the two before still accepted. */
int tls_tickets_new(uint32_t rotate_s, struct tls_tickets **ret_tickets);
/* Keys of a file, shared by several processes: the first seals, all open. On a thread that may
 * block. */
int tls_tickets_load(struct tls_tickets *tickets, const char *path);
struct tls_tickets *tls_tickets_ref(struct tls_tickets *tickets);
void tls_tickets_unref(struct tls_tickets *tickets); /* NULL is fine */

/* Have the connections of ctx use the tickets of its state (net/tls_state.h), which are these. */
void tls_tickets_use(struct tls_tickets *tickets, SSL_CTX *ctx);

#endif
