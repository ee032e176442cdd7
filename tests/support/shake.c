/* Handshakes in memory. */
#include "support/shake.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>

#define BUFFER_BYTES 65536

static void join(struct shake *shake)
{
    BIO *server, *client;

    if (!shake->server || !shake->client ||
        BIO_new_bio_pair(&server, BUFFER_BYTES, &client, BUFFER_BYTES) != 1) {
        fprintf(stderr, "no SSL to shake hands with\n");
        abort();
    }
    SSL_set_bio(shake->server, server, server);
    SSL_set_bio(shake->client, client, client);
}

void shake_init(struct shake *shake, struct tls_context *server, struct tls_context *client)
{
    *shake = (struct shake){ .server = tls_context_new(server), .client = tls_context_new(client) };
    join(shake);
}

void shake_init_plain(struct shake *shake, struct tls_context *server, SSL_CTX *client)
{
    *shake = (struct shake){ .server = tls_context_new(server), .client = SSL_new(client) };
    if (shake->client)
        SSL_set_connect_state(shake->client);
    join(shake);
}

/* One side's step: true when it may go on. */
static bool step(SSL *ssl, int *rc, char error[static 160])
{
    int why;

    if (error[0])
        return false;
    ERR_clear_error();
    *rc = SSL_do_handshake(ssl);
    why = SSL_get_error(ssl, *rc);
    if (*rc == 1 || why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return true;
    snprintf(error, 160, "%s", ERR_peek_error() ? ERR_reason_error_string(ERR_peek_error()) : "?");
    ERR_clear_error();
    return false;
}

/* Take what lies there, an alert for one. */
static void drain(SSL *ssl, char error[static 160])
{
    char byte;

    ERR_clear_error();
    if (SSL_read(ssl, &byte, 1) <= 0 && !error[0] && ERR_peek_error())
        snprintf(error, 160, "%s", ERR_reason_error_string(ERR_peek_error()));
    ERR_clear_error();
}

bool shake_run(struct shake *shake)
{
    for (int i = 0; i < 20; i++) {
        bool client = step(shake->client, &shake->client_rc, shake->client_error);
        bool server = step(shake->server, &shake->server_rc, shake->server_error);

        if ((!client && !server) || (shake->client_rc == 1 && shake->server_rc == 1))
            break;
    }
    if (shake->server_rc == 1 || shake->server_error[0])
        drain(shake->client, shake->client_error);
    return shake->client_rc == 1 && shake->server_rc == 1 && !shake->client_error[0];
}

void shake_done(struct shake *shake)
{
    SSL_shutdown(shake->client);
    SSL_shutdown(shake->server);
    SSL_free(shake->client);
    SSL_free(shake->server);
    ERR_clear_error();
}
