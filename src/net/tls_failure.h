/* Why TLS failed, in words that say what to do. */
#ifndef NET_TLS_FAILURE_H
#define NET_TLS_FAILURE_H

#include <stddef.h>

#include <openssl/ssl.h>

#define TLS_FAILURE_BYTES 256

/* What is wrong with the certificate that is being verified. */
void tls_failure_verify(X509_STORE_CTX *store, char text[static TLS_FAILURE_BYTES]);

/* What OpenSSL's queue of errors says of ssl; drains it. */
void tls_failure_queue(const SSL *ssl, char text[static TLS_FAILURE_BYTES]);

#endif
