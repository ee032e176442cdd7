/* Making certificates: ECDSA on P-256, SHA-256, random serial numbers (RFC 5280).
 *
 * They begin an hour ago, for machines whose clocks differ. A certificate lives 398 days at most:
 * browsers refuse longer ones, also from a CA that was added by hand. */
#include "cert/cert.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <weir/error.h>

#include "net/tls_file.h"

#define CA_DAYS 3650
#define BEGIN_S (-3600L)
#define SERIAL_BYTES 16

static int failed(const char *what)
{
    return weir_fail(WEIR_ETLS, "%s: %s", what, tls_library_reason());
}

void issued_done(struct issued *issued)
{
    X509_free(issued->cert);
    EVP_PKEY_free(issued->key);
    *issued = (struct issued){ 0 };
}

/* ---- names --------------------------------------------------------------------------------- */

static bool is_host(const char *name)
{
    size_t len = strlen(name), label = 0;

    if (strncmp(name, "*.", 2) == 0)
        return strncmp(name + 2, "*.", 2) != 0 && is_host(name + 2);
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (c == '.' && label > 0 && name[i - 1] != '-')
            label = 0;
        else if (letter || c == '_' || (c == '-' && label > 0))
            label++;
        else
            return false;
        if (label > 63)
            return false;
    }
    return len > 0 && len <= 253 && label > 0 && name[len - 1] != '-';
}

static bool is_email(const char *name)
{
    const char *at = strchr(name, '@');

    for (const char *c = name; *c; c++) {
        if (*c <= ' ' || *c > '~' || strchr(",;:\"<>\\", *c))
            return false;
    }
    return at && at > name && at - name <= 64 && strncmp(at + 1, "*.", 2) != 0 && is_host(at + 1);
}

enum name_kind name_kind(const char *name)
{
    unsigned char bytes[16];

    if (inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1)
        return NAME_ADDRESS;
    return is_host(name) ? NAME_HOST : is_email(name) ? NAME_EMAIL : NAME_BAD;
}

static ASN1_STRING *name_string(const char *name, enum name_kind kind)
{
    ASN1_STRING *string;

    if (kind == NAME_ADDRESS)
        return a2i_IPADDRESS(name);
    string = ASN1_IA5STRING_new();
    if (string && ASN1_STRING_set(string, name, -1) != 1) {
        ASN1_STRING_free(string);
        return NULL;
    }
    return string;
}

static bool add_name(GENERAL_NAMES *list, const char *text)
{
    static const int types[] = {
        [NAME_HOST] = GEN_DNS, [NAME_ADDRESS] = GEN_IPADD, [NAME_EMAIL] = GEN_EMAIL
    };
    enum name_kind kind = name_kind(text);
    ASN1_STRING *string = kind == NAME_BAD ? NULL : name_string(text, kind);
    GENERAL_NAME *name = GENERAL_NAME_new();

    if (!string || !name) {
        ASN1_STRING_free(string);
        GENERAL_NAME_free(name);
        return false;
    }
    GENERAL_NAME_set0_value(name, types[kind], string);
    if (sk_GENERAL_NAME_push(list, name))
        return true;
    GENERAL_NAME_free(name);
    return false;
}

static bool add_names(X509 *cert, const struct leaf *leaf)
{
    GENERAL_NAMES *list = GENERAL_NAMES_new();
    bool done = list != NULL;

    for (size_t i = 0; done && i < leaf->name_count; i++)
        done = add_name(list, leaf->names[i]);
    done = done && X509_add1_ext_i2d(cert, NID_subject_alt_name, list, 0, X509V3_ADD_DEFAULT) == 1;
    GENERAL_NAMES_free(list);
    return done;
}

/* ---- parts ------------------------------------------------------------------------------------ */

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509_EXTENSION *extension;
    X509V3_CTX ctx;
    bool done;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    done = extension && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return done;
}

static bool set_serial(X509 *cert)
{
    unsigned char bytes[SERIAL_BYTES];
    BIGNUM *number;
    bool done;

    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return false;
    bytes[0] = (bytes[0] & 0x3f) | 0x40; /* positive, and always of the same length */
    number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    done = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
    BN_free(number);
    return done;
}

static bool set_subject(X509 *cert, const char *common_name)
{
    X509_NAME *name = X509_NAME_new();
    bool done = name &&
                X509_NAME_add_entry_by_NID(name, NID_organizationName, MBSTRING_UTF8,
                                           (const unsigned char *)"weir development", -1, -1, 0) &&
                X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                           (const unsigned char *)common_name, -1, -1, 0) &&
                X509_set_subject_name(cert, name);

    X509_NAME_free(name);
    return done;
}

/* A certificate of a new key, with all but its extensions and its signature. */
static bool begin(struct issued *new, const char *common_name, long days)
{
    new->key = EVP_EC_gen("P-256");
    new->cert = X509_new();
    return new->key &&new->cert &&X509_set_version(new->cert, X509_VERSION_3) == 1 &&
           set_serial(new->cert) && set_subject(new->cert, common_name) &&
           X509_set_pubkey(new->cert, new->key) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(new->cert), BEGIN_S) &&
           X509_gmtime_adj(X509_getm_notAfter(new->cert), BEGIN_S + days * 86400L - 1) &&
           add_extension(new->cert, new->cert, NID_subject_key_identifier, "hash");
}

/* ---- certificates --------------------------------------------------------------------------------- */

int make_ca(struct issued *ret_ca)
{
    struct issued ca = { 0 };
    struct utsname machine;
    char name[64];

    /* A common name has 64 bytes at most (RFC 5280, appendix A.1). */
    snprintf(name, sizeof(name), "weir development CA of %.40s",
             uname(&machine) == 0 ? machine.nodename : "this machine");
    if (!begin(&ca, name, CA_DAYS) ||
        !X509_set_issuer_name(ca.cert, X509_get_subject_name(ca.cert)) ||
        !add_extension(ca.cert, ca.cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
        !add_extension(ca.cert, ca.cert, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        X509_sign(ca.cert, ca.key, EVP_sha256()) <= 0) {
        issued_done(&ca);
        return failed("the CA can't be made");
    }
    *ret_ca = ca;
    return 0;
}

static bool end_with_ca(X509 *cert, const X509 *ca)
{
    const ASN1_TIME *end = X509_get0_notAfter(ca);

    return ASN1_TIME_compare(X509_get0_notAfter(cert), end) <= 0 ||
           X509_set1_notAfter(cert, end) == 1;
}

int make_leaf(const struct issued *ca, const struct leaf *leaf, struct issued *ret_leaf)
{
    struct issued new = { 0 };

    if (!begin(&new, leaf->common_name, leaf->days) || !end_with_ca(new.cert, ca->cert) ||
        !X509_set_issuer_name(new.cert, X509_get_subject_name(ca->cert)) ||
        !add_extension(new.cert, ca->cert, NID_authority_key_identifier, "keyid:always") ||
        !add_extension(new.cert, ca->cert, NID_basic_constraints, "critical,CA:FALSE") ||
        !add_extension(new.cert, ca->cert, NID_key_usage, "critical,digitalSignature") ||
        !add_extension(new.cert, ca->cert, NID_ext_key_usage,
                       leaf->client ? "clientAuth" : "serverAuth") ||
        (leaf->name_count > 0 && !add_names(new.cert, leaf)) ||
        X509_sign(new.cert, ca->key, EVP_sha256()) <= 0) {
        issued_done(&new);
        return failed("the certificate can't be made");
    }
    *ret_leaf = new;
    return 0;
}
