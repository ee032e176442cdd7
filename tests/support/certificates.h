/* Certificates for tests, made while they run: nothing that can expire lies among the sources.
 *
 * A failure to make one ends the program. Link tests with OpenSSL: LIBS PkgConfig::OPENSSL. */
#ifndef SUPPORT_CERTIFICATES_H
#define SUPPORT_CERTIFICATES_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/x509.h>

struct cert {
    X509 *cert;
    EVP_PKEY *key;
};

enum cert_kind { CERT_SERVER, CERT_CLIENT, CERT_CA, CERT_CODE_SIGNING };
enum cert_key { CERT_EC, CERT_RSA, CERT_RSA_1024, CERT_ED25519 };

struct cert_opts {
    const struct cert *issuer; /* unset: it signs itself */
    const char *common_name;   /* unset: none */
    const char *names;         /* "DNS:localhost,IP:127.0.0.1,URI:spiffe://a/b"; unset: none */
    enum cert_kind kind;
    enum cert_key key;
    const EVP_PKEY *with_key;  /* this one instead of a new one */
    int from_days, to_days;    /* of its time, from now; unset: -1 and 60 */
    const char *fetch_issuer;  /* a URL for it (authority information access); unset: none */
    int sha1;                  /* signed with SHA-1 */
};

#define cert_make(...) cert_make_opt(&(struct cert_opts){ __VA_ARGS__ })
struct cert cert_make_opt(const struct cert_opts *opts);
void cert_free(struct cert *cert);

/* ---- files ------------------------------------------------------------------------------------ */

/* A folder of its own, which cert_folder_remove() removes with all that was put into it. */
struct cert_folder {
    char path[128];
};
void cert_folder_make(struct cert_folder *folder);
void cert_folder_remove(struct cert_folder *folder);

/* FOLDER/name, in a text that lives until the program ends (of the last 64). */
const char *cert_path(const struct cert_folder *folder, const char *name);

/* All return the path of what they have written, PEM unless said otherwise; the file is replaced
 * at once. The certificates end with NULL. */
const char *cert_write(const struct cert_folder *folder, const char *name,
                       const struct cert *const *certs);
#define cert_write_all(folder, name, ...) \
    cert_write(folder, name, (const struct cert *const[]){ __VA_ARGS__, NULL })
const char *cert_write_key(const struct cert_folder *folder, const char *name,
                           const struct cert *cert, const char *password);
/* What ca has revoked, renewed until to_days from now; revoked may be NULL. */
const char *cert_write_crl(const struct cert_folder *folder, const char *name,
                           const struct cert *ca, const struct cert *revoked, int to_days);
/* An OCSP response about cert, which ca has issued, DER; signer signs it (NULL: ca); status is
 * V_OCSP_CERTSTATUS_...; it holds from from_days until to_days from now. */
const char *cert_write_ocsp(const struct cert_folder *folder, const char *name,
                            const struct cert *ca, const struct cert *signer,
                            const struct cert *cert, int status, int from_days, int to_days);
const char *cert_write_text(const struct cert_folder *folder, const char *name, const void *text,
                            size_t len);

/* ---- all that a test of connections needs -------------------------------------------------------- */

/* A CA and what it has signed; names in the folder as the members are called: "server.pem" and
 * "server.key". */
struct cert_set {
    struct cert_folder folder;
    struct cert ca; /* ca.pem; ca.crl: it has revoked the certificates called so */
    struct cert server; /* localhost, 127.0.0.1, ::1 */
    struct cert server_rsa;
    struct cert other_name; /* other.example */
    struct cert expired, early;
    struct cert wrong_usage; /* a client's, for localhost */
    struct cert revoked; /* localhost's */
    struct cert self_signed; /* localhost's */
    struct cert client; /* CN=client 1, DNS:client1.example, URI:spiffe://example/client1 */
    struct cert client_expired, client_revoked;
    struct cert client_wrong_usage; /* a server's */
    struct cert client_stranger; /* of another CA */
};
void cert_set_make(struct cert_set *set);
void cert_set_free(struct cert_set *set); /* and removes the folder */

#endif
