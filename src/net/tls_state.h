/* What one reading of a context's files has made: an SSL_CTX for connections to begin with, and
 * what belongs to it, which ends with it. Nothing of it changes once it is in use, but for what
 * has a lock of its own. */
#ifndef NET_TLS_STATE_H
#define NET_TLS_STATE_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include <weir/tls.h>

#include "base/arena.h"
#include "base/map.h"
#include "net/tls_own.h"

#define TLS_ALPN_BYTES 256

struct tls_tickets;
struct tls_sessions;
struct tls_trust;

/* Certificates for the same names, one of each kind of key; -1: none of it. */
struct tls_group {
    int own[TLS_KEY_KINDS];
    SSL_CTX *ctx;
    struct tls_group *next;
};

struct tls_state {
    struct arena arena;
    unsigned char alpn[TLS_ALPN_BYTES]; /* as it goes over the wire (RFC 7301) */
    size_t alpn_len;
    int key_log_fd;                     /* -1: none */

    struct tls_own *own;                /* a server's certificates, or a client's one */
    size_t own_count;
    struct map names;                   /* "a.example", "*.example" to struct tls_group */
    struct tls_group *groups;           /* the first is the default */
    bool known_names_only;
    struct tls_tickets *tickets;        /* NULL: none are given */
    struct tls_sessions *sessions;      /* a client's; NULL: none are kept */
};

/* All of it empty; NULL without memory. */
struct tls_state *tls_state_new(void);
void tls_state_free(struct tls_state *state); /* NULL is fine */
/* An SSL_CTX of this state. The first one, `main`, is the state's owner from then on, if that is
 * asked for by tls_state_give(). */
SSL_CTX *tls_state_ctx(struct tls_state *state, enum tls_side side);
/* The state ends when ctx does. False without memory. */
bool tls_state_give(struct tls_state *state, SSL_CTX *ctx);
/* Of a connection. */
struct tls_state *tls_state_of(const SSL *ssl);

/* The place for a text on an SSL that is freed with it: for tls_sessions.c. */
int tls_state_text_index(void);

/* The protocols of an option, in their order. -EINVAL with a sentence. */
int tls_state_set_alpn(struct tls_state *state, const char *const *alpn);
/* Log the secrets of its connections to the file: with a warning. */
int tls_state_open_key_log(struct tls_state *state, const char *path);

/* ---- settings, by tls_setup.c --------------------------------------------------------------- */

/* What holds for both sides and all certificates. */
int tls_setup_common(SSL_CTX *ctx, const struct tls_state *state, weir_tls_profile profile,
                     weir_tls_version min_version);
/* The rest of a server's. */
int tls_setup_server(SSL_CTX *ctx, struct tls_state *state);

/* Of a client's connection, by tls_expect.c: see tls_context_expect(). */
int tls_expect(SSL *ssl, weir_str host, uint16_t port);

/* ---- names, by tls_names.c -------------------------------------------------------------------- */

/* Sort the state's certificates into groups by the names in them. */
int tls_names_group(struct tls_state *state, const weir_tls_certificate *from);
/* The group for a name that a client asks for, or NULL. */
struct tls_group *tls_names_find(const struct tls_state *state, weir_str name);
/* Have connections of ctx choose by the name. */
void tls_names_use(struct tls_state *state, SSL_CTX *ctx);

#endif
