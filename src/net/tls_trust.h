/* Whom to believe: CAs and revocation lists. Reading is for a thread that may block. */
#ifndef NET_TLS_TRUST_H
#define NET_TLS_TRUST_H

#include <openssl/ssl.h>

#include "net/tls_own.h"

#define TLS_TRUST_DIGEST 32

struct tls_trust {
    X509_STORE *store;
    STACK_OF(X509_NAME) * names;             /* of the CAs, for a server's request */
    unsigned char digest[TLS_TRUST_DIGEST]; /* of all the files */
};

/* ca NULL: what the system trusts; crl NULL: nothing is revoked. */
int tls_trust_load(const char *ca, const char *crl, struct tls_trust *ret_trust);
void tls_trust_done(struct tls_trust *trust); /* also of one that is all zero */
/* Have ctx check its peers by it; mode is SSL_CTX_set_verify()'s. */
int tls_trust_use(const struct tls_trust *trust, SSL_CTX *ctx, enum tls_side side, int mode);

#endif
