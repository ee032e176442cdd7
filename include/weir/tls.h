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

#include <weir/error.h>
#include <weir/export.h>
#include <weir/str.h>
#include <weir/stream.h>

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
                                       256; WEIR_OFF: none */

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

/* ---- streams: TLS for protocols of one's own -------------------------------------------------- */

/* What a server or a client shows and trusts, made once and shared by its streams:
 *
 *     weir_tls *tls;
 *     weir_stream *s;
 *     int rc = weir_tls_client_new(&tls, .ca = "ca.pem");
 *
 *     if (rc == 0)
 *         rc = weir_tls_connect(tls, "db.example:5433", &s);
 *
 * From then on s is read and written as any stream. A read ends with 0 when the peer has
 * said that it is done, and fails with WEIR_ETRUNCATED when it closed without a word:
 * somebody may have cut the stream short. weir_stream_shutdown() and weir_stream_close()
 * say it. */
typedef struct weir_tls weir_tls;

#define weir_tls_server_new(ret, ...)          \
    weir_tls_server_new_opt(ret, &(weir_tls_server_opts){ \
                                     .size = sizeof(weir_tls_server_opts), __VA_ARGS__ })
#define weir_tls_client_new(ret, ...)          \
    weir_tls_client_new_opt(ret, &(weir_tls_client_opts){ \
                                     .size = sizeof(weir_tls_client_opts), __VA_ARGS__ })

/* Read what a server shows and accepts.
 *
 * Checkpoint: always.
 * Returns:    0, or, with a sentence that names the file and what to do,
 *   -ENOENT, -EACCES  a file can't be read; other errno values as open(2), read(2)
 *   WEIR_ECONFIG what it holds can't be used
 *   -EINVAL      the options contradict each other
 *   -ENOMEM      no memory
 *   -ETIMEDOUT, -ECANCELED  the scope's deadline passed, or it was cancelled
 * Ownership:  the caller frees *ret_tls with weir_tls_free(); opts is copied.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_tls_server_new_opt(weir_tls **ret_tls, const weir_tls_server_opts *opts);

/* Read what a client shows and trusts; the system's CAs at the first connection.
 *
 * Checkpoint: always.
 * Returns:    as weir_tls_server_new_opt().
 * Ownership:  the caller frees *ret_tls with weir_tls_free(); opts is copied.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_tls_client_new_opt(weir_tls **ret_tls, const weir_tls_client_opts *opts);

/* Give it back; streams that were made with it go on. NULL is fine.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  frees tls.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API void weir_tls_free(weir_tls *tls);

/* Read the files again, for streams that begin afterwards.
 *
 * Checkpoint: always.
 * Returns:    0, or a failure as of weir_tls_server_new_opt(): then what was there
 *   stays in use.
 * Ownership:  takes nothing.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_tls_reload(weir_tls *tls);

/* Connect to an address, as weir_stream_connect(), and speak TLS there: the server's
 * certificate must be for the address's host.
 *
 * Checkpoint: always.
 * Returns:    0 with the stream in *ret_stream, or
 *   the failures of weir_stream_connect()
 *   WEIR_ETLS    the handshake failed; the sentence says why: "the certificate has expired
 *                3 days ago (2026-11-21; CERT_HAS_EXPIRED)"
 *   WEIR_ETRUNCATED, -ECONNRESET  the server closed in the middle of it
 *   WEIR_EPEERTIMEOUT  it took more than 10 s, too
 *   the failures of weir_tls_client_new_opt(), when the CAs are read now
 * Ownership:  the caller closes *ret_stream with weir_stream_close().
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2, 3)
int weir_tls_connect(weir_tls *tls, const char *address, weir_stream **ret_stream);

/* Speak TLS from here on, as the client, on a stream that is connected (STARTTLS): what
 * was written is sent first, and nothing may be left to be read. host: whom the server's
 * certificate must be for; sessions are kept by host and port.
 *
 * Checkpoint: always.
 * Returns:    0, or
 *   the failures of weir_tls_connect()'s handshake; the stream is then to be closed
 *   -EOPNOTSUPP  no stream over a socket; -EALREADY: it speaks TLS
 *   -EBUSY       another task is reading or writing
 * Ownership:  s stays the caller's, also on failure.
 * Thread:     a task of the loop that owns s.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_tls_start(weir_tls *tls, weir_stream *s, weir_str host, uint16_t port);

/* Speak TLS from here on, as the server, on a stream that was accepted, or that asked for
 * it (STARTTLS).
 *
 * Checkpoint: always.
 * Returns:    0, or a failure as of weir_tls_start().
 * Ownership:  s stays the caller's, also on failure.
 * Thread:     a task of the loop that owns s.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2) int weir_tls_accept(weir_tls *tls, weir_stream *s);

/* What was agreed on with the peer of a stream.
 *
 * Checkpoint: never.
 * Returns:    1 with *ret_info; 0 when it does not speak TLS.
 * Ownership:  the stream's.
 * Thread:     a task of the loop that owns s.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1, 2) int weir_stream_tls(weir_stream *s, weir_tls_info *ret_info);

/* Who the peer of a stream is, by the certificate that it has shown and that was verified.
 *
 * Checkpoint: never.
 * Returns:    1 with *ret_peer; 0 when it has shown none, or does not speak TLS; or
 *   -ENOMEM      no memory
 * Ownership:  the current arena's.
 * Thread:     a task of the loop that owns s.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_stream_certificate(weir_stream *s, weir_tls_peer *ret_peer);

WEIR_END

#endif
