/* A certificate of our own, with its key, its chain and its OCSP response: read and checked. On a
 * thread that may block. */
#ifndef NET_TLS_OWN_H
#define NET_TLS_OWN_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include <weir/tls.h>

enum tls_key_kind { TLS_KEY_RSA, TLS_KEY_EC, TLS_KEY_ED, TLS_KEY_KINDS };

/* An OCSP response to be sent along (RFC 6066, section 8). */
struct tls_staple {
    unsigned char *der; /* NULL: there is none */
    size_t len;
    int64_t until_s;    /* since 1970: when it ends */
};

struct tls_own {
    X509 *leaf;
    STACK_OF(X509) * chain; /* those between it and its CA's own, in order */
    X509 *issuer;          /* of leaf, if it is in the file */
    EVP_PKEY *key;
    enum tls_key_kind kind;
    struct tls_staple staple;
    bool out_of_time;      /* expired, or not yet valid */
};

enum tls_side { TLS_SERVER, TLS_CLIENT };

/* What stands in from, for this side of a connection. What can't work is a failure; what will not
 * be liked by peers is a warning in the log. */
int tls_own_load(const weir_tls_certificate *from, enum tls_side side, struct tls_own *ret_own);
void tls_own_done(struct tls_own *own); /* also of one that is all zero */
/* Have ctx show it. */
int tls_own_use(const struct tls_own *own, const weir_tls_certificate *from, SSL_CTX *ctx);

/* The OCSP response for own in a file: 0, also when it can't be sent, which the log tells. */
int tls_staple_load(const char *path, const struct tls_own *own, struct tls_staple *ret_staple);

#endif
