/* Handshakes in memory, of two SSLs in one thread. */
#ifndef SUPPORT_SHAKE_H
#define SUPPORT_SHAKE_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "net/tls_context.h"

struct shake {
    SSL *server, *client;
    int server_rc, client_rc;         /* of SSL_do_handshake() */
    char server_error[160], client_error[160]; /* the library's reason, "" when it went well */
};

/* Both new, and joined. */
void shake_init(struct shake *shake, struct tls_context *server, struct tls_context *client);
/* Bytes to and fro until both are done or can't go on: did both succeed? What servers send behind
 * their handshake (tickets) has been read by the client. */
bool shake_run(struct shake *shake);
/* Say good-bye, so that sessions stay good, and free both. */
void shake_done(struct shake *shake);

/* A client of OpenSSL alone, which checks nothing, with its own SSL_CTX's settings. */
void shake_init_plain(struct shake *shake, struct tls_context *server, SSL_CTX *client);

#endif
