/* Certificates for tests. Serial numbers are random, so that two runs never share one. */
#include "support/certificates.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: making a certificate has failed: %s\n", __FILE__, __LINE__,    \
                    #cond);                                                                        \
            ERR_print_errors_fp(stderr);                                                           \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#define DAY_S 86400L

/* ---- certificates ---------------------------------------------------------------------------------- */

static EVP_PKEY *make_key(enum cert_key kind)
{
    EVP_PKEY *key = kind == CERT_EC        ? EVP_EC_gen("P-256")
                    : kind == CERT_ED25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
                                           : EVP_RSA_gen(kind == CERT_RSA ? 2048u : 1024u);

    MUST(key);
    return key;
}

static void add_extension(X509 *cert, const X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, (X509 *)issuer, cert, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    MUST(extension && X509_add_ext(cert, extension, -1));
    X509_EXTENSION_free(extension);
}

static void set_serial(X509 *cert)
{
    unsigned char bytes[8];
    BIGNUM *number;

    MUST(RAND_bytes(bytes, sizeof(bytes)) == 1);
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    MUST(number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)));
    BN_free(number);
}

static void set_usage(X509 *cert, const X509 *issuer, enum cert_kind kind)
{
    static const char *const usages[] = {
        [CERT_SERVER] = "serverAuth",
        [CERT_CLIENT] = "clientAuth",
        [CERT_CODE_SIGNING] = "codeSigning",
    };

    add_extension(cert, issuer, NID_basic_constraints,
                  kind == CERT_CA ? "critical,CA:TRUE" : "critical,CA:FALSE");
    add_extension(cert, issuer, NID_key_usage,
                  kind == CERT_CA ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
    if (kind != CERT_CA)
        add_extension(cert, issuer, NID_ext_key_usage, usages[kind]);
}

static const EVP_MD *digest_for(const EVP_PKEY *key, int sha1)
{
    return EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? NULL : sha1 ? EVP_sha1() : EVP_sha256();
}

struct cert cert_make_opt(const struct cert_opts *opts)
{
    X509 *cert = X509_new();
    EVP_PKEY *key = (EVP_PKEY *)opts->with_key, *signer;
    const X509 *issuer = opts->issuer ? opts->issuer->cert : cert;
    X509_NAME *subject = X509_NAME_new();

    if (key)
        EVP_PKEY_up_ref(key);
    else
        key = make_key(opts->key);
    signer = opts->issuer ? opts->issuer->key : key;
    MUST(cert && subject && X509_set_version(cert, X509_VERSION_3));
    set_serial(cert);
    MUST(X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8, (const unsigned char *)"Tests", -1,
                                    -1, 0));
    if (opts->common_name)
        MUST(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                        (const unsigned char *)opts->common_name, -1, -1, 0));
    MUST(X509_set_subject_name(cert, subject) && X509_set_pubkey(cert, key));
    MUST(X509_set_issuer_name(cert, X509_get_subject_name(issuer)));
    X509_NAME_free(subject);
    MUST(X509_gmtime_adj(X509_getm_notBefore(cert),
                         (opts->from_days ? opts->from_days : -1) * DAY_S));
    MUST(X509_gmtime_adj(X509_getm_notAfter(cert), (opts->to_days ? opts->to_days : 60) * DAY_S));
    add_extension(cert, issuer, NID_subject_key_identifier, "hash");
    if (opts->issuer)
        add_extension(cert, issuer, NID_authority_key_identifier, "keyid:always");
    set_usage(cert, issuer, opts->kind);
    if (opts->names)
        add_extension(cert, issuer, NID_subject_alt_name, opts->names);
    if (opts->fetch_issuer) {
        char value[256];

        snprintf(value, sizeof(value), "caIssuers;URI:%s", opts->fetch_issuer);
        add_extension(cert, issuer, NID_info_access, value);
    }
    MUST(X509_sign(cert, signer, digest_for(signer, opts->sha1)) > 0);
    return (struct cert){ cert, key };
}

void cert_free(struct cert *cert)
{
    X509_free(cert->cert);
    EVP_PKEY_free(cert->key);
    *cert = (struct cert){ NULL, NULL };
}

/* ---- files ------------------------------------------------------------------------------------------ */

void cert_folder_make(struct cert_folder *folder)
{
    const char *base = getenv("TMPDIR");

    snprintf(folder->path, sizeof(folder->path), "%s/weir-certificates-XXXXXX",
             base ? base : P_tmpdir);
    MUST(mkdtemp(folder->path));
}

void cert_folder_remove(struct cert_folder *folder)
{
    DIR *dir = opendir(folder->path);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(dir), entry->d_name, 0);
    }
    if (dir)
        closedir(dir);
    rmdir(folder->path);
}

const char *cert_path(const struct cert_folder *folder, const char *name)
{
    static char paths[64][256];
    static unsigned next;
    char *path = paths[next++ % 64];

    snprintf(path, sizeof(paths[0]), "%s/%s", folder->path, name);
    return path;
}

/* Beside the file, then in its place, as whoever replaces certificates should do. */
static const char *write_bio(const struct cert_folder *folder, const char *name, BIO *bio)
{
    const char *path = cert_path(folder, name);
    char beside[300], *bytes;
    long len = BIO_get_mem_data(bio, &bytes);
    int fd;

    snprintf(beside, sizeof(beside), "%s.new", path);
    fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST(fd >= 0 && write(fd, bytes, (size_t)len) == len);
    close(fd);
    MUST(rename(beside, path) == 0);
    BIO_free(bio);
    return path;
}

const char *cert_write(const struct cert_folder *folder, const char *name,
                       const struct cert *const *certs)
{
    BIO *bio = BIO_new(BIO_s_mem());

    MUST(bio);
    for (; *certs; certs++)
        MUST(PEM_write_bio_X509(bio, (*certs)->cert));
    return write_bio(folder, name, bio);
}

const char *cert_write_key(const struct cert_folder *folder, const char *name,
                           const struct cert *cert, const char *password)
{
    BIO *bio = BIO_new(BIO_s_mem());

    MUST(bio &&
         PEM_write_bio_PKCS8PrivateKey(bio, cert->key, password ? EVP_aes_128_cbc() : NULL,
                                       password, password ? (int)strlen(password) : 0, NULL, NULL));
    return write_bio(folder, name, bio);
}

const char *cert_write_text(const struct cert_folder *folder, const char *name, const void *text,
                            size_t len)
{
    BIO *bio = BIO_new(BIO_s_mem());

    MUST(bio && (len == 0 || BIO_write(bio, text, (int)len) == (int)len));
    return write_bio(folder, name, bio);
}

static void add_revoked(X509_CRL *crl, const X509 *cert)
{
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_TIME *when = ASN1_TIME_new();

    MUST(entry && when && X509_gmtime_adj(when, -3600));
    MUST(X509_REVOKED_set_serialNumber(entry, (ASN1_INTEGER *)X509_get0_serialNumber(cert)));
    MUST(X509_REVOKED_set_revocationDate(entry, when) && X509_CRL_add0_revoked(crl, entry));
    ASN1_TIME_free(when);
}

/* NULL ends the list. */
static const char *write_crl(const struct cert_folder *folder, const char *name,
                             const struct cert *ca, const struct cert *const *revoked, int to_days)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *time = ASN1_TIME_new();
    BIO *bio = BIO_new(BIO_s_mem());

    MUST(crl && time && bio && X509_CRL_set_version(crl, X509_CRL_VERSION_2));
    MUST(X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->cert)));
    MUST(X509_gmtime_adj(time, -2 * DAY_S) && X509_CRL_set1_lastUpdate(crl, time));
    MUST(X509_gmtime_adj(time, to_days * DAY_S) && X509_CRL_set1_nextUpdate(crl, time));
    for (; *revoked; revoked++)
        add_revoked(crl, (*revoked)->cert);
    MUST(X509_CRL_sort(crl) && X509_CRL_sign(crl, ca->key, digest_for(ca->key, 0)) > 0);
    MUST(PEM_write_bio_X509_CRL(bio, crl));
    ASN1_TIME_free(time);
    X509_CRL_free(crl);
    return write_bio(folder, name, bio);
}

const char *cert_write_crl(const struct cert_folder *folder, const char *name,
                           const struct cert *ca, const struct cert *revoked, int to_days)
{
    return write_crl(folder, name, ca, (const struct cert *const[]){ revoked, NULL }, to_days);
}

const char *cert_write_ocsp(const struct cert_folder *folder, const char *name,
                            const struct cert *ca, const struct cert *signer,
                            const struct cert *cert, int status, int from_days, int to_days)
{
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(NULL, cert->cert, ca->cert);
    ASN1_TIME *from = X509_gmtime_adj(NULL, from_days * DAY_S);
    ASN1_TIME *to = X509_gmtime_adj(NULL, to_days * DAY_S);
    OCSP_RESPONSE *response;
    BIO *bio = BIO_new(BIO_s_mem());

    signer = signer ? signer : ca;
    MUST(basic && id && from && to && bio);
    MUST(OCSP_basic_add1_status(basic, id, status, OCSP_REVOKED_STATUS_NOSTATUS,
                                status == V_OCSP_CERTSTATUS_REVOKED ? from : NULL, from, to));
    MUST(OCSP_basic_sign(basic, signer->cert, signer->key, EVP_sha256(), NULL, 0));
    response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    MUST(response && i2d_OCSP_RESPONSE_bio(bio, response));
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
    return write_bio(folder, name, bio);
}

/* ---- the set ------------------------------------------------------------------------------------------- */

static void write_both(const struct cert_set *set, const char *name, const struct cert *cert)
{
    char text[64];

    snprintf(text, sizeof(text), "%s.pem", name);
    cert_write_all(&set->folder, text, cert);
    snprintf(text, sizeof(text), "%s.key", name);
    cert_write_key(&set->folder, text, cert, NULL);
}

#define LOCAL "DNS:localhost,IP:127.0.0.1,IP:::1"
#define SET(set, member, ...)                                                                      \
    do {                                                                                           \
        (set)->member = cert_make(__VA_ARGS__);                                                    \
        write_both(set, #member, &(set)->member);                                                  \
    } while (0)

void cert_set_make(struct cert_set *set)
{
    struct cert stranger = cert_make(.common_name = "another CA", .kind = CERT_CA);
    const struct cert *ca = &set->ca;

    cert_folder_make(&set->folder);
    SET(set, ca, .common_name = "a CA for tests", .kind = CERT_CA);
    SET(set, server, ca, .common_name = "server", .names = LOCAL);
    SET(set, server_rsa, ca, .common_name = "server", .names = LOCAL, .key = CERT_RSA);
    SET(set, other_name, ca, .common_name = "other", .names = "DNS:other.example");
    SET(set, expired, ca, .names = LOCAL, .from_days = -30, .to_days = -3);
    SET(set, early, ca, .names = LOCAL, .from_days = 3, .to_days = 30);
    SET(set, wrong_usage, ca, .names = LOCAL, .kind = CERT_CLIENT);
    SET(set, revoked, ca, .names = LOCAL);
    SET(set, self_signed, .common_name = "localhost", .names = LOCAL);
    SET(set, client, ca, .common_name = "client 1", .kind = CERT_CLIENT,
        .names = "DNS:client1.example,URI:spiffe://example/client1");
    SET(set, client_expired, ca, .common_name = "client 2", .kind = CERT_CLIENT, .from_days = -30,
        .to_days = -3);
    SET(set, client_revoked, ca, .common_name = "client 3", .kind = CERT_CLIENT);
    SET(set, client_wrong_usage, ca, .common_name = "client 4", .kind = CERT_SERVER);
    SET(set, client_stranger, &stranger, .common_name = "client 5", .kind = CERT_CLIENT);
    write_crl(&set->folder, "ca.crl", ca,
              (const struct cert *const[]){ &set->revoked, &set->client_revoked, NULL }, 10);
    cert_free(&stranger);
}

void cert_set_free(struct cert_set *set)
{
    struct cert *all[] = { &set->ca,
                           &set->server,
                           &set->server_rsa,
                           &set->other_name,
                           &set->expired,
                           &set->early,
                           &set->wrong_usage,
                           &set->revoked,
                           &set->self_signed,
                           &set->client,
                           &set->client_expired,
                           &set->client_revoked,
                           &set->client_wrong_usage,
                           &set->client_stranger };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        cert_free(all[i]);
    cert_folder_remove(&set->folder);
}
