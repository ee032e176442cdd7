/* Our own certificates.
 *
 * The files of certificates are what operators get wrong: the wrong key, the chain in the wrong
 * order or without its middle, a certificate that has run out. What can't work is refused in a
 * sentence that says what to do. What works with some peers, or not for long, is a warning: a
 * program that serves twenty names must not stay down because one of them has expired.
 *
 * The order of the certificates in a file does not matter: the one that the key fits is ours, and
 * the others are put in the order that RFC 8446, section 4.4.2, asks for. A root at the end is
 * left out, as that section allows: a peer that does not know it already won't trust it. */
#include "net/tls_own.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <weir/error.h>
#include <weir/log.h>

#include "net/tls_file.h"

#define SOON_S (14 * 86400)
#define RSA_BITS_MIN 2048
#define EC_BITS_MIN 256
#define SIGNATURE_BITS_MIN 100 /* SHA-224 and better; SHA-1 counts for less */

/* ---- the key ------------------------------------------------------------------------------- */

/* The kind of key, or -1: of none that TLS has use for. */
static int kind_of(const EVP_PKEY *key)
{
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
    case EVP_PKEY_RSA_PSS: return TLS_KEY_RSA;
    case EVP_PKEY_EC: return TLS_KEY_EC;
    case EVP_PKEY_ED25519:
    case EVP_PKEY_ED448: return TLS_KEY_ED;
    default: return -1;
    }
}

/* The kind is noted, if it is one that peers accept. */
static int check_key(struct tls_own *own, const char *path)
{
    int bits = EVP_PKEY_get_bits(own->key), kind = kind_of(own->key);
    const char *type = EVP_PKEY_get0_type_name(own->key);

    if (kind != TLS_KEY_RSA && kind != TLS_KEY_EC && kind != TLS_KEY_ED)
        return weir_fail(WEIR_ECONFIG,
                         "the key in %s is of the type %s, which TLS has no use for: make an ECDSA "
                         "(P-256) or RSA key",
                         path, type ? type : "unknown");
    if ((kind == TLS_KEY_RSA && bits < RSA_BITS_MIN) || (kind == TLS_KEY_EC && bits < EC_BITS_MIN))
        return weir_fail(
            WEIR_ECONFIG,
            "the key in %s is too weak (%s, %d bits): clients refuse it; make an ECDSA "
            "key of %d bits, or an RSA key of %d",
            path, kind == TLS_KEY_RSA ? "RSA" : "ECDSA", bits, EC_BITS_MIN, RSA_BITS_MIN);
    own->kind = (enum tls_key_kind)kind;
    return 0;
}

static int load_key(const weir_tls_certificate *from, EVP_PKEY **ret_key)
{
    struct tls_file file = { 0 };
    int rc = tls_file_read(from->key ? from->key : from->certificate, "key", &file);

    if (rc == 0)
        rc = tls_file_key(&file, ret_key);
    if (rc == 0)
        tls_file_warn_of_readers(&file);
    tls_file_done(&file);
    return rc;
}

/* ---- the chain ------------------------------------------------------------------------------- */

static bool is_self_signed(X509 *cert)
{
    return X509_check_issued(cert, cert) == X509_V_OK;
}

/* Take the certificate that the key fits out of the list. */
static int take_leaf(struct tls_own *own, STACK_OF(X509) * list, const weir_tls_certificate *from)
{
    struct tls_subject subject;

    for (int i = 0; i < sk_X509_num(list); i++) {
        X509 *cert = sk_X509_value(list, i);

        if (!X509_check_private_key(cert, own->key))
            continue;
        if (i > 0)
            weir_warn("the certificates in %s are in the wrong order: the key's own, %s, is number "
                      "%d; they are sent in the right one",
                      from->certificate, tls_subject(&subject, cert), i + 1);
        own->leaf = cert;
        sk_X509_delete(list, i);
        ERR_clear_error();
        return 0;
    }
    ERR_clear_error();
    return weir_fail(WEIR_ECONFIG,
                     "the key %s does not belong to the certificate %s (%s): give the key that it "
                     "was requested with",
                     from->key ? from->key : from->certificate, from->certificate,
                     tls_subject(&subject, sk_X509_value(list, 0)));
}

/* Take the certificate of who has issued cert out of the list; NULL: it is not there. */
static X509 *take_issuer(STACK_OF(X509) * list, X509 *cert, int *ret_at)
{
    for (int i = 0; i < sk_X509_num(list); i++) {
        X509 *issuer = sk_X509_value(list, i);

        if (X509_check_issued(issuer, cert) == X509_V_OK) {
            *ret_at = i;
            return sk_X509_delete(list, i);
        }
    }
    return NULL;
}

/* Does it look as if certificates between this one and the CA's own are missing? One that says
 * where its issuer's can be fetched was not issued by a root of ours. */
static bool lacks_issuer(X509 *last)
{
    AUTHORITY_INFO_ACCESS *info;
    bool found = false;

    if (is_self_signed(last))
        return false;
    info = X509_get_ext_d2i(last, NID_info_access, NULL, NULL);
    for (int i = 0; info && i < sk_ACCESS_DESCRIPTION_num(info); i++)
        found |= OBJ_obj2nid(sk_ACCESS_DESCRIPTION_value(info, i)->method) == NID_ad_ca_issuers;
    AUTHORITY_INFO_ACCESS_free(info);
    return found;
}

/* Put what is left of the list behind the leaf, in order. */
static int build_chain(struct tls_own *own, STACK_OF(X509) * list, const char *path)
{
    X509 *last = own->leaf, *issuer;
    struct tls_subject subject;
    bool mixed = false, alone = sk_X509_num(list) == 0;
    int at;

    own->chain = sk_X509_new_null();
    if (!own->chain)
        return -ENOMEM;
    while (!is_self_signed(last) && (issuer = take_issuer(list, last, &at))) {
        mixed |= at > 0;
        if (last == own->leaf && X509_up_ref(issuer))
            own->issuer = issuer;
        if (!sk_X509_push(own->chain, issuer)) {
            X509_free(issuer);
            return -ENOMEM;
        }
        last = issuer;
    }
    if (sk_X509_num(list) > 0)
        weir_warn("%d of the certificates in %s lead nowhere from %s and are left out; the first "
                  "is %s%s",
                  sk_X509_num(list), path, tls_subject(&subject, own->leaf),
                  tls_subject(&(struct tls_subject){ "" }, sk_X509_value(list, 0)),
                  is_self_signed(last) ? "" : ": is the one between them missing?");
    else if (mixed)
        weir_warn("the certificates in %s are in the wrong order: each should stand behind the one "
                  "it has signed; they are sent in the right one",
                  path);
    if (alone && lacks_issuer(last))
        weir_warn("%s holds one certificate, %s, and not those that lead from it to its CA: many "
                  "clients will refuse it; give the file that the CA calls the full chain",
                  path, tls_subject(&subject, own->leaf));
    if (last != own->leaf && is_self_signed(last))
        X509_free(sk_X509_pop(own->chain));
    return 0;
}

/* ---- the certificate itself ------------------------------------------------------------------- */

/* Is its signature of a kind that peers still accept? */
static int check_signature(X509 *cert, const char *path)
{
    struct tls_subject subject;
    int digest = NID_undef, bits = 0;

    if (is_self_signed(cert) || !X509_get_signature_info(cert, &digest, NULL, &bits, NULL) ||
        bits >= SIGNATURE_BITS_MIN)
        return 0;
    return weir_fail(WEIR_ECONFIG,
                     "%s in %s is signed with %s, which is too weak: clients refuse it; have it "
                     "issued again, with SHA-256",
                     tls_subject(&subject, cert), path, OBJ_nid2ln(digest));
}

static void check_time(struct tls_own *own, const char *path)
{
    const ASN1_TIME *from = X509_get0_notBefore(own->leaf), *to = X509_get0_notAfter(own->leaf);
    int64_t left = tls_seconds_until(to);
    struct tls_subject subject;
    struct tls_date date;

    own->out_of_time = left < 0 || tls_seconds_until(from) > 0;
    if (left < 0)
        weir_error("the certificate %s (%s) has expired on %s: peers refuse it; replace it", path,
                   tls_subject(&subject, own->leaf), tls_date(&date, to));
    else if (own->out_of_time)
        weir_error("the certificate %s (%s) is not valid before %s: peers refuse it till then; is "
                   "the clock right?",
                   path, tls_subject(&subject, own->leaf), tls_date(&date, from));
    else if (left < SOON_S)
        weir_warn("the certificate %s (%s) expires in %d days, on %s: replace it", path,
                  tls_subject(&subject, own->leaf), (int)(left / 86400), tls_date(&date, to));
}

static void check_usage(const struct tls_own *own, enum tls_side side, const char *path)
{
    int purpose = side == TLS_SERVER ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT;
    struct tls_subject subject;

    if (X509_check_purpose(own->leaf, purpose, 0) != 1)
        weir_warn("the certificate %s (%s) is not for %s, by its key usages: peers refuse it", path,
                  tls_subject(&subject, own->leaf), side == TLS_SERVER ? "servers" : "clients");
}

static int check_chain(const struct tls_own *own, const char *path)
{
    int rc = check_signature(own->leaf, path);

    for (int i = 0; rc == 0 && i < sk_X509_num(own->chain); i++) {
        X509 *cert = sk_X509_value(own->chain, i);
        struct tls_subject subject;

        if (tls_seconds_until(X509_get0_notAfter(cert)) < 0)
            weir_warn("the certificate of the CA %s in %s has expired: peers may refuse the chain",
                      tls_subject(&subject, cert), path);
        rc = check_signature(cert, path);
    }
    return rc;
}

/* ---- all of it ---------------------------------------------------------------------------------- */

static int load_certificates(const weir_tls_certificate *from, struct tls_own *own)
{
    struct tls_file file = { 0 };
    STACK_OF(X509) *list = NULL;
    int rc = tls_file_read(from->certificate, "certificate", &file);

    if (rc == 0)
        rc = tls_file_certificates(&file, &list);
    tls_file_done(&file);
    if (rc == 0)
        rc = take_leaf(own, list, from);
    if (rc == 0)
        rc = build_chain(own, list, from->certificate);
    sk_X509_pop_free(list, X509_free);
    return rc;
}

int tls_own_load(const weir_tls_certificate *from, enum tls_side side, struct tls_own *ret_own)
{
    const char *path = from->certificate;
    struct tls_own own = { 0 };
    int rc = load_key(from, &own.key);

    if (rc == 0)
        rc = check_key(&own, from->key ? from->key : path);
    if (rc == 0)
        rc = load_certificates(from, &own);
    if (rc == 0)
        rc = check_chain(&own, path);
    if (rc == 0) {
        check_time(&own, path);
        check_usage(&own, side, path);
        rc = from->ocsp ? tls_staple_load(from->ocsp, &own, &own.staple) : 0;
    }
    ERR_clear_error();
    if (rc < 0)
        tls_own_done(&own);
    else
        *ret_own = own;
    return rc;
}

void tls_own_done(struct tls_own *own)
{
    X509_free(own->leaf);
    X509_free(own->issuer);
    sk_X509_pop_free(own->chain, X509_free);
    EVP_PKEY_free(own->key);
    OPENSSL_free(own->staple.der);
    *own = (struct tls_own){ 0 };
}

int tls_own_use(const struct tls_own *own, const weir_tls_certificate *from, SSL_CTX *ctx)
{
    ERR_clear_error();
    if (SSL_CTX_use_cert_and_key(ctx, own->leaf, own->key, own->chain, 1) == 1)
        return 0;
    return weir_fail(WEIR_ECONFIG, "the certificate %s can't be used: %s", from->certificate,
                     tls_library_reason());
}
