/* What a TLS server shows and accepts, and what a TLS client trusts.
 *
 * The options here are members of the options of those who listen and connect. Files
 * are PEM unless they say otherwise; they are read when the program starts, and again
 * when it is told to reload: what is wrong with one is said in a sentence, and a
 * reload that fails leaves what was there in use.
 *
 * A server:
 *
 *     .certificates = (const weir_tls_certificate[]){
 *         { .certificate = "example.com.pem", .key = "example.com.key" },
 *         { .certificate = "api.pem", .key = "api.key", .ocsp = "api.ocsp" },
 *         { 0 } },
 *
 * Which certificate a client gets follows from the name it asks for and the names that
 * stand in the certificates; nothing else has to be said. */
#ifndef WEIR_TLS_H
#define WEIR_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/export.h>
#include <weir/str.h>

WEIR_BEGIN

#define WEIR_TLS_ALPN_MAX 8

/* Which clients a server wants to reach: Mozilla's configurations, version 5.7 of its
 * guidelines. */
typedef enum weir_tls_profile {
    WEIR_TLS_INTERMEDIATE, /* TLS 1.2 and 1.3: nearly everything since 2014 */
    WEIR_TLS_MODERN        /* TLS 1.3 alone */
} weir_tls_profile;

typedef enum weir_tls_version { WEIR_TLS_OF_PROFILE, WEIR_TLS_1_2, WEIR_TLS_1_3 } weir_tls_version;

/* A certificate that is shown to the peer, and what goes with it. */
typedef struct weir_tls_certificate {
    const char *certificate; /* file: the certificate first, then those that lead to its CA */
    const char *key;         /* file: its private key, not encrypted; unset: in the same file */
    const char *ocsp;        /* file, DER: an OCSP response, sent along while it is valid */
} weir_tls_certificate;

/* Are clients asked for a certificate? */
typedef enum weir_tls_clients {
    WEIR_TLS_CLIENTS_ANY,      /* no; unless .client_ca is set: then it is required */
    WEIR_TLS_CLIENTS_OPTIONAL, /* one that is shown must be good */
    WEIR_TLS_CLIENTS_REQUIRED
} weir_tls_clients;

typedef struct weir_tls_server_opts {
    size_t size; /* set by the macro */

    /* An array that ends with an entry without .certificate. A client that asks for a
     * name gets the one that has it, or else a wildcard for it; where an RSA and an ECDSA
     * certificate have it, the one it can check. The first is the default, for clients
     * that name none, or none that is here. */
    const weir_tls_certificate *certificates;
    bool known_names_only;          /* refuse a client that asks for a name not here */

    weir_tls_profile profile;
    weir_tls_version min_version;   /* unset: the profile's; it can't be less than that */
    const char *alpn[WEIR_TLS_ALPN_MAX]; /* protocols, the server's favourite first; a
                                       client that offers others alone is refused. Unset:
                                       what the server on top speaks */

    weir_tls_clients clients;
    const char *client_ca;          /* file: who may sign clients' certificates */
    const char *client_crl;         /* file: certificates that were revoked (CRLs) */

    bool no_tickets;                /* no resumption of sessions */
    const char *ticket_keys;        /* file of keys, 80 random bytes each, for several
                                       processes: the first is used, all are accepted.
                                       Unset: keys of the process's own, which change */
    uint32_t ticket_rotate_s;       /* … after this time, the last two of them still being
                                       accepted; unset: 43,200 (12 h) */

    bool watch;                     /* reload when a file changes */
    const char *key_log;            /* file for the secrets of each connection, in NSS'
                                       format: for debugging; who has it reads all */
} weir_tls_server_opts;

typedef struct weir_tls_client_opts {
    size_t size; /* set by the macro */

    const char *ca;                 /* file: the CAs that are trusted; unset: the system's */
    const char *crl;                /* file: certificates that were revoked (CRLs) */
    weir_tls_certificate certificate; /* our own, shown to servers that ask; unset: none */
    const char *name;               /* the name that the server's certificate must have;
                                       unset: the host that is connected to */

    weir_tls_version min_version;   /* unset: TLS 1.2 */
    const char *alpn[WEIR_TLS_ALPN_MAX]; /* protocols to offer; unset: what the client on
                                       top speaks */
    uint32_t sessions_max;          /* servers whose session is kept, to be resumed; unset:
                                       256; UINT32_MAX: none */

    bool no_verify;                 /* DANGER: talk to anyone who answers. Said in the log */
    bool watch;                     /* reload when a file changes */
    const char *key_log;            /* as for servers */
} weir_tls_client_opts;

/* What two sides have agreed on. */
typedef struct weir_tls_info {
    weir_str version;     /* "TLSv1.3" */
    weir_str cipher;      /* "TLS_AES_256_GCM_SHA384" */
    weir_str protocol;    /* by ALPN: "http/1.1"; absent: none was agreed on */
    weir_str server_name; /* that the client has asked for (SNI); absent: none */
    bool resumed;         /* of an earlier session: no certificate was shown again */
} weir_tls_info;

/* Who the other side is, by the certificate that it has shown and that was verified. */
typedef struct weir_tls_peer {
    weir_str subject;     /* "CN=worker 7,O=Example" (RFC 4514) */
    weir_str common_name; /* of it: "worker 7"; absent: none */
    weir_str issuer;
    weir_str serial;      /* hexadecimal */
    weir_str fingerprint; /* SHA-256, hexadecimal */
    const weir_str *names; /* "DNS:a.example", "IP:192.0.2.1", "email:a@b", "URI:spiffe://a/b" */
    size_t name_count;
} weir_tls_peer;

WEIR_END

#endif
