/* A client's sessions with servers it has met, to be resumed. Thread: any. */
#ifndef NET_TLS_SESSIONS_H
#define NET_TLS_SESSIONS_H

#include <openssl/ssl.h>

#include <weir/str.h>

struct tls_sessions;

/* For at most max servers; those met longest ago go first. */
struct tls_sessions *tls_sessions_new(uint32_t max);
void tls_sessions_free(struct tls_sessions *sessions); /* NULL is fine */
/* Have the connections of ctx leave their sessions in those of its state. */
void tls_sessions_use(SSL_CTX *ctx);
/* This connection goes to that server: offer a session, and keep what it gives us. -ENOMEM, or 0. */
int tls_sessions_resume(struct tls_sessions *sessions, SSL *ssl, weir_str server);
/* How many servers are known. */
uint32_t tls_sessions_count(struct tls_sessions *sessions);

#endif
