/* The far end of a TLS connection, byte by byte in the test's hand: OpenSSL between two
 * memory BIOs, and a socket whose other end the code under test has. */
#ifndef SUPPORT_TLS_FAR_H
#define SUPPORT_TLS_FAR_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

struct tls_far {
    SSL *ssl;
    BIO *in, *out;
    int fd;
    bool ended;       /* the near end has closed its half */
    size_t sent, got; /* bytes over the socket */
};

/* ssl: with its state set; it and fd (not blocking) become its own. */
void tls_far_open(struct tls_far *far, SSL *ssl, int fd);
void tls_far_close(struct tls_far *far);
/* Move what there is: at most so many bytes each way. Did any move? */
bool tls_far_move(struct tls_far *far, size_t most);

#endif
