/* OpenSSL's reasons as sentences. A certificate that is refused is told with the time or
 * the name that it is about, and the name of OpenSSL's code, by which the web knows it. */
#include "net/tls_failure.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#define NAMES_BYTES 100

/* "2026-11-21", or "?". */
static void print_date(const ASN1_TIME *at, char text[static 16])
{
    struct tm tm;

    if (!at || !ASN1_TIME_to_tm(at, &tm) || strftime(text, 16, "%Y-%m-%d", &tm) == 0)
        memcpy(text, "?", 2);
}

/* How long from or until at, seen from now: "3 days". */
static void print_span(const ASN1_TIME *at, char text[static 32])
{
    int days = 0, seconds = 0, n;
    const char *unit;

    if (!at || !ASN1_TIME_diff(&days, &seconds, at, NULL)) {
        memcpy(text, "some time", 10);
        return;
    }
    days = days < 0 ? -days : days;
    seconds = seconds < 0 ? -seconds : seconds;
    n = days ? days : seconds >= 3600 ? seconds / 3600 : seconds >= 60 ? seconds / 60 : seconds;
    unit = days ? "day" : seconds >= 3600 ? "hour" : seconds >= 60 ? "minute" : "second";
    snprintf(text, 32, "%d %s%s", n, unit, n == 1 ? "" : "s");
}

static void print_dated(const X509 *cert, bool early, const char *whose, char *text)
{
    const ASN1_TIME *at = early ? X509_get0_notBefore(cert) : X509_get0_notAfter(cert);
    char date[16], span[32];

    print_date(at, date);
    print_span(at, span);
    if (early)
        snprintf(text, TLS_FAILURE_BYTES,
                 "%s is not valid for another %s (from %s; CERT_NOT_YET_VALID)", whose, span, date);
    else
        snprintf(text, TLS_FAILURE_BYTES, "%s has expired %s ago (%s; CERT_HAS_EXPIRED)", whose,
                 span, date);
}

/* Only what can be shown without harm. */
static size_t add_name(char *text, size_t at, const char *name, size_t len)
{
    if (at > 0 && at + 2 < NAMES_BYTES) {
        text[at++] = ',';
        text[at++] = ' ';
    }
    for (size_t i = 0; i < len && at + 1 < NAMES_BYTES; i++)
        text[at++] = (char)(name[i] > ' ' && name[i] < 127 ? name[i] : '?');
    return at;
}

static size_t add_address(char *text, size_t at, const ASN1_OCTET_STRING *ip)
{
    char name[64];
    int n = 0;

    if (ip->length == 4) {
        n = snprintf(name, sizeof(name), "%u.%u.%u.%u", ip->data[0], ip->data[1], ip->data[2],
                     ip->data[3]);
    } else {
        for (int i = 0; i + 1 < ip->length && i < 16; i += 2)
            n += snprintf(name + n, sizeof(name) - (size_t)n, "%s%x", i ? ":" : "",
                          ip->data[i] << 8 | ip->data[i + 1]);
    }
    return add_name(text, at, name, (size_t)n);
}

/* "a.example, b.example": whom the certificate is for. */
static void print_names(const X509 *cert, char text[static NAMES_BYTES])
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    size_t at = 0;

    for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type == GEN_DNS)
            at = add_name(text, at, (const char *)name->d.dNSName->data,
                          (size_t)name->d.dNSName->length);
        else if (name->type == GEN_IPADD)
            at = add_address(text, at, name->d.iPAddress);
    }
    if (at == 0)
        at = add_name(text, 0, "nobody", 6);
    text[at] = '\0';
    GENERAL_NAMES_free(names);
}

static void print_mismatch(X509_STORE_CTX *store, const X509 *cert, char *text)
{
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(store);
    const char *host = X509_VERIFY_PARAM_get0_host(param, 0);
    char *ip = host ? NULL : X509_VERIFY_PARAM_get1_ip_asc(param);
    char names[NAMES_BYTES];

    print_names(cert, names);
    snprintf(text, TLS_FAILURE_BYTES, "the certificate is for %s, not for %.80s (%s)", names,
             host ? host
             : ip ? ip
                  : "this name",
             ip ? "IP_ADDRESS_MISMATCH" : "HOSTNAME_MISMATCH");
    OPENSSL_free(ip);
}

void tls_failure_verify(X509_STORE_CTX *store, char text[static TLS_FAILURE_BYTES])
{
    X509 *cert = X509_STORE_CTX_get_current_cert(store);
    int error = X509_STORE_CTX_get_error(store);
    bool leaf = X509_STORE_CTX_get_error_depth(store) == 0;
    const char *whose = leaf ? "the certificate" : "the certificate of its CA";
    char subject[NAMES_BYTES] = "?";

    if (cert)
        X509_NAME_oneline(leaf ? X509_get_issuer_name(cert) : X509_get_subject_name(cert), subject,
                          sizeof(subject));
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        if (cert) {
            print_dated(cert, error == X509_V_ERR_CERT_NOT_YET_VALID, whose, text);
            return;
        }
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        if (cert) {
            print_mismatch(store, cert, text);
            return;
        }
        break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        snprintf(text, TLS_FAILURE_BYTES,
                 "the certificate is signed by itself (%s; DEPTH_ZERO_SELF_SIGNED_CERT): "
                 "give it as .ca if it is to be trusted",
                 subject);
        return;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        snprintf(text, TLS_FAILURE_BYTES,
                 "the certificate leads to a CA that is not trusted (%s; "
                 "SELF_SIGNED_CERT_IN_CHAIN)",
                 subject);
        return;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        snprintf(text, TLS_FAILURE_BYTES,
                 "the certificate is signed by a CA that is not trusted, or one in between is not "
                 "sent along (%s; UNABLE_TO_GET_ISSUER_CERT)",
                 subject);
        return;
    case X509_V_ERR_CERT_REVOKED:
        snprintf(text, TLS_FAILURE_BYTES, "%s was revoked (CERT_REVOKED)", whose);
        return;
    case X509_V_ERR_INVALID_PURPOSE:
        snprintf(text, TLS_FAILURE_BYTES, "%s is not for this use (INVALID_PURPOSE)", whose);
        return;
    default: break;
    }
    snprintf(text, TLS_FAILURE_BYTES, "%s is refused: %s", whose,
             X509_verify_cert_error_string(error));
}

/* Reasons that mean something else than they say. */
static const char *reason_in_words(int reason)
{
    switch (reason) {
    case SSL_R_HTTP_REQUEST: return "the client speaks HTTP without TLS";
    case SSL_R_WRONG_VERSION_NUMBER: return "the peer does not speak TLS here";
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_NO_PROTOCOLS_AVAILABLE: return "the peer's version of TLS is too old";
    case SSL_R_NO_SHARED_CIPHER: return "no cipher suite in common";
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return "the client has shown no certificate, and one is required";
    case SSL_R_UNEXPECTED_EOF_WHILE_READING: return "the peer closed";
    default: return NULL;
    }
}

void tls_failure_queue(const SSL *ssl, char text[static TLS_FAILURE_BYTES])
{
    unsigned long code = ERR_get_error();
    int reason = ERR_GET_REASON(code);
    const char *words = ERR_GET_LIB(code) == ERR_LIB_SSL ? reason_in_words(reason) : NULL;

    (void)ssl;
    if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET &&
        reason <= SSL_AD_REASON_OFFSET + 255)
        snprintf(text, TLS_FAILURE_BYTES, "the peer refuses: %s (alert %d)",
                 SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET),
                 reason - SSL_AD_REASON_OFFSET);
    else if (words)
        snprintf(text, TLS_FAILURE_BYTES, "%s", words);
    else if (code)
        snprintf(text, TLS_FAILURE_BYTES, "%s",
                 ERR_reason_error_string(code) ? ERR_reason_error_string(code) : "no reason given");
    else
        snprintf(text, TLS_FAILURE_BYTES, "no reason given");
    ERR_clear_error();
}
