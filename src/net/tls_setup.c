/* What TLS is spoken: protocol versions, ciphers, groups, and what is off.
 *
 * The two profiles are "modern" and "intermediate" of Mozilla's Server Side TLS guidelines, version
 * 5.7 (https://ssl-config.mozilla.org/guidelines/5.7.json). In both the client's order of ciphers
 * counts: it knows whether its processor has AES.
 *
 * Off, whatever the profile: compression (CRIME), renegotiation (a client that asks for it in TLS
 * 1.2 is told no), early data (0-RTT, which can be replayed: RFC 8446, section 8), the library's
 * own cache of sessions (a server's tickets need no memory). What the system's openssl.cnf says
 * about all this is overridden. */
#include "net/tls_state.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <weir/error.h>
#include <weir/log.h>

#include "net/tls_file.h"
#include "net/tls_tickets.h"

#define SUITES "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define CIPHERS                                                                                    \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                   \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                                   \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"                                   \
    "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305"
#define GROUPS "X25519:P-256:P-384"
#define DH_GROUP "ffdhe2048" /* RFC 7919 */
#define SECURITY_LEVEL 2     /* 112 bits: RSA of 2,048, no SHA-1 */
#define CHAIN_DEPTH 10
#define CHAIN_BYTES 65536

static int library_failure(const char *what)
{
    return weir_fail(WEIR_ETLS, "TLS: %s: %s", what, tls_library_reason());
}

/* ---- both sides ---------------------------------------------------------------------------- */

static void write_key_log(const SSL *ssl, const char *line)
{
    char text[512];
    size_t len = strlen(line);

    if (len + 1 > sizeof(text))
        return;
    memcpy(text, line, len);
    text[len] = '\n';
    if (write(tls_state_of(ssl)->key_log_fd, text, len + 1) < 0) /* in one piece, or not at all */
        return;
}

int tls_setup_common(SSL_CTX *ctx, const struct tls_state *state, weir_tls_profile profile,
                     weir_tls_version min_version)
{
    bool only_13 = profile == WEIR_TLS_MODERN || min_version == WEIR_TLS_1_3;

    SSL_CTX_set_security_level(ctx, SECURITY_LEVEL);
    SSL_CTX_clear_options(ctx, SSL_OP_LEGACY_SERVER_CONNECT);
    /* The server's order, but that a client which would rather have ChaCha20, as its processor
     * has no AES, gets that: what the guidelines want by leaving the order to clients. */
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_early_data(ctx, 0);
    SSL_CTX_set_verify_depth(ctx, CHAIN_DEPTH);
    SSL_CTX_set_max_cert_list(ctx, CHAIN_BYTES);
    if (SSL_CTX_set_min_proto_version(ctx, only_13 ? TLS1_3_VERSION : TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, 0) != 1)
        return library_failure("the versions can't be set");
    if (SSL_CTX_set_ciphersuites(ctx, SUITES) != 1 || SSL_CTX_set_cipher_list(ctx, CIPHERS) != 1 ||
        SSL_CTX_set1_groups_list(ctx, GROUPS) != 1)
        return library_failure("the ciphers can't be set");
    if (state->key_log_fd >= 0)
        SSL_CTX_set_keylog_callback(ctx, write_key_log);
    return 0;
}

/* ---- servers --------------------------------------------------------------------------------- */

/* The protocol that the server likes best of those that the client offers (RFC 7301). */
static int choose_protocol(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_len,
                           const unsigned char *offer, unsigned offer_len, void *arg)
{
    const struct tls_state *state = arg;
    unsigned char *name = NULL;

    (void)ssl;
    if (SSL_select_next_proto(&name, ret_len, state->alpn, (unsigned)state->alpn_len, offer,
                              offer_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* no_application_protocol: section 3.2 */
    *ret_name = name;
    return SSL_TLSEXT_ERR_OK;
}

/* The OCSP response that goes with the certificate that was chosen, while it holds. */
static int add_staple(SSL *ssl, void *arg)
{
    const struct tls_state *state = arg;
    const X509 *cert = SSL_get_certificate(ssl);

    for (size_t i = 0; i < state->own_count; i++) {
        const struct tls_staple *staple = &state->own[i].staple;
        unsigned char *copy;

        if (state->own[i].leaf != cert || !staple->der || staple->until_s <= time(NULL))
            continue;
        copy = OPENSSL_memdup(staple->der, staple->len);
        if (!copy)
            return SSL_TLSEXT_ERR_NOACK;
        SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)staple->len);
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

static int set_dh(SSL_CTX *ctx)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char[]){ DH_GROUP }, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);
    EVP_PKEY *dh = NULL;
    bool done = maker && EVP_PKEY_fromdata_init(maker) == 1 &&
                EVP_PKEY_fromdata(maker, &dh, EVP_PKEY_KEY_PARAMETERS, params) == 1 &&
                SSL_CTX_set0_tmp_dh_pkey(ctx, dh) == 1;

    EVP_PKEY_CTX_free(maker);
    if (done)
        return 0;
    EVP_PKEY_free(dh);
    return library_failure("the group " DH_GROUP " can't be set");
}

int tls_setup_server(SSL_CTX *ctx, struct tls_state *state)
{
    if (state->alpn_len > 0)
        SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, state);
    for (size_t i = 0; i < state->own_count; i++) {
        if (state->own[i].staple.der) {
            SSL_CTX_set_tlsext_status_cb(ctx, add_staple);
            SSL_CTX_set_tlsext_status_arg(ctx, state);
        }
    }
    if (state->tickets) {
        tls_tickets_use(state->tickets, ctx);
    } else {
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(ctx, 0);
    }
    return set_dh(ctx);
}
