/* Certificates of CAs, and lists of what they have revoked.
 *
 * All of it is read at once and kept: OpenSSL's folders of certificates are looked into in the midst
 * of a handshake, which would hold up the loop. A file of CAs that the operator names is a list of
 * what is trusted, be it a root or not; of the system's file only roots are.
 *
 * With a list of revocations, the certificate of the peer must have a list of its issuer's, and
 * each list must be of now (RFC 5280, section 6.3); the CAs between it and the root are looked up in
 * their lists where there are such. */
#include "net/tls_trust.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <weir/error.h>
#include <weir/log.h>

#include "net/tls_file.h"

/* Where systems keep them: Debian and Alpine, Fedora, SUSE, BSDs. */
static const char *const system_files[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
};

static const char *find_system_file(void)
{
    const char *named = secure_getenv(X509_get_default_cert_file_env());

    if (named && *named)
        return named;
    for (size_t i = 0; i < sizeof(system_files) / sizeof(system_files[0]); i++) {
        if (access(system_files[i], R_OK) == 0)
            return system_files[i];
    }
    return NULL;
}

static bool digest_file(struct tls_trust *trust, const struct tls_file *file)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool done = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) &&
                EVP_DigestUpdate(md, trust->digest, sizeof(trust->digest)) &&
                EVP_DigestUpdate(md, file->len ? file->bytes : "", file->len) &&
                EVP_DigestFinal_ex(md, trust->digest, NULL);

    EVP_MD_CTX_free(md);
    return done;
}

static int add_ca(struct tls_trust *trust, const struct tls_file *file, X509 *cert)
{
    X509_NAME *name = X509_NAME_dup(X509_get_subject_name(cert));
    struct tls_subject subject;

    if (!name || !X509_STORE_add_cert(trust->store, cert) ||
        !sk_X509_NAME_push(trust->names, name)) {
        X509_NAME_free(name);
        return -ENOMEM;
    }
    if (tls_seconds_until(X509_get0_notAfter(cert)) < 0)
        weir_warn("the CA %s in %s has expired: what it has signed is refused",
                  tls_subject(&subject, cert), file->path);
    return 0;
}

static int load_cas(struct tls_trust *trust, const char *path, bool named)
{
    struct tls_file file = { 0 };
    STACK_OF(X509) *list = NULL;
    int rc = tls_file_read(path, "CA", &file);

    if (rc == 0 && !digest_file(trust, &file))
        rc = -ENOMEM;
    if (rc == 0)
        rc = tls_file_certificates(&file, &list);
    for (int i = 0; rc == 0 && i < sk_X509_num(list); i++) {
        X509 *cert = sk_X509_value(list, i);

        /* Its extensions are read now, not by the first handshakes of all threads at once. */
        X509_check_purpose(cert, -1, 0);
        rc = named                                     ? add_ca(trust, &file, cert)
             : X509_STORE_add_cert(trust->store, cert) ? 0
                                                       : -ENOMEM;
    }
    sk_X509_pop_free(list, X509_free);
    tls_file_done(&file);
    return rc;
}

static void check_crl(const struct tls_file *file, const X509_CRL *crl)
{
    const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);
    struct tls_date date;

    if (next && tls_seconds_until(next) < 0)
        weir_error("a revocation list in %s was to be renewed by %s: certificates of its CA are "
                   "refused until it is",
                   file->path, tls_date(&date, next));
}

static int load_crls(struct tls_trust *trust, const char *path)
{
    struct tls_file file = { 0 };
    STACK_OF(X509_CRL) *list = NULL;
    int rc = tls_file_read(path, "CRL", &file);

    if (rc == 0 && !digest_file(trust, &file))
        rc = -ENOMEM;
    if (rc == 0)
        rc = tls_file_crls(&file, &list);
    for (int i = 0; rc == 0 && i < sk_X509_CRL_num(list); i++) {
        check_crl(&file, sk_X509_CRL_value(list, i));
        rc = X509_STORE_add_crl(trust->store, sk_X509_CRL_value(list, i)) ? 0 : -ENOMEM;
    }
    if (rc == 0 &&
        !X509_STORE_set_flags(trust->store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL))
        rc = -ENOMEM;
    sk_X509_CRL_pop_free(list, X509_CRL_free);
    tls_file_done(&file);
    return rc;
}

int tls_trust_load(const char *ca, const char *crl, struct tls_trust *ret_trust)
{
    struct tls_trust trust = { .store = X509_STORE_new(), .names = sk_X509_NAME_new_null() };
    const char *path = ca ? ca : find_system_file();
    int rc = trust.store && trust.names ? 0 : -ENOMEM;

    if (rc == 0 && !path)
        rc = weir_fail(WEIR_ECONFIG,
                       "this system has no file of CAs where one is looked for (%s "
                       "...): install its package ca-certificates, or name a file of your own",
                       system_files[0]);
    if (rc == 0)
        rc = load_cas(&trust, path, ca != NULL);
    if (rc == 0 && crl)
        rc = load_crls(&trust, crl);
    if (rc == 0 && ca && !X509_STORE_set_flags(trust.store, X509_V_FLAG_PARTIAL_CHAIN))
        rc = -ENOMEM;
    ERR_clear_error();
    if (rc < 0)
        tls_trust_done(&trust);
    else
        *ret_trust = trust;
    return rc;
}

void tls_trust_done(struct tls_trust *trust)
{
    X509_STORE_free(trust->store);
    sk_X509_NAME_pop_free(trust->names, X509_NAME_free);
    *trust = (struct tls_trust){ 0 };
}

/* A CA without a list of its own is not looked up; the peer itself must be. */
static int tolerate(int good, X509_STORE_CTX *check)
{
    if (!good && X509_STORE_CTX_get_error(check) == X509_V_ERR_UNABLE_TO_GET_CRL &&
        X509_STORE_CTX_get_error_depth(check) > 0) {
        X509_STORE_CTX_set_error(check, X509_V_OK);
        return 1;
    }
    return good;
}

int tls_trust_use(const struct tls_trust *trust, SSL_CTX *ctx, enum tls_side side, int mode)
{
    SSL_CTX_set1_cert_store(ctx, trust->store);
    SSL_CTX_set_verify(ctx, mode, tolerate);
    if (side == TLS_SERVER) {
        STACK_OF(X509_NAME) *names = sk_X509_NAME_deep_copy(
            trust->names, (sk_X509_NAME_copyfunc)X509_NAME_dup, X509_NAME_free);

        if (!names)
            return -ENOMEM;
        SSL_CTX_set_client_CA_list(ctx, names);
    }
    return 0;
}
