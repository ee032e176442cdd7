/* OCSP responses from files (RFC 6960), which are sent along with the certificate ("stapled").
 *
 * A wrong one is worse than none: clients end the handshake over it. So it is sent only if it is
 * signed by the issuer or for it, is about our certificate, says "good", and is of now. Whatever
 * fetches responses writes the file; a reload takes it up. */
#include "net/tls_own.h"

#include <time.h>

#include <openssl/err.h>
#include <openssl/ocsp.h>

#include <weir/error.h>
#include <weir/log.h>

#include "net/tls_file.h"

#define SKEW_S 300 /* how far the responder's clock may be ahead */

/* Is it signed by the issuer, or by who the issuer has named for that? */
static bool is_signed(OCSP_BASICRESP *basic, const struct tls_own *own)
{
    X509_STORE *store = X509_STORE_new();
    STACK_OF(X509) *signers = sk_X509_new_null();
    bool yes = false;

    if (store && signers && sk_X509_push(signers, own->issuer) &&
        X509_STORE_add_cert(store, own->issuer) &&
        X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN))
        yes = OCSP_basic_verify(basic, signers, store, 0) == 1;
    sk_X509_free(signers);
    X509_STORE_free(store);
    return yes;
}

/* Why the response can't be sent; NULL: it can, until *ret_until. */
static const char *fault_of(OCSP_BASICRESP *basic, const struct tls_own *own,
                            ASN1_GENERALIZEDTIME **ret_until)
{
    ASN1_GENERALIZEDTIME *from = NULL, *until = NULL;
    OCSP_CERTID *id = OCSP_cert_to_id(NULL, own->leaf, own->issuer);
    int status = -1, found;

    if (!id)
        return "there is no memory to look at it";
    found = OCSP_resp_find_status(basic, id, &status, NULL, NULL, &from, &until);
    OCSP_CERTID_free(id);
    if (!found)
        return "it is about another certificate";
    if (status != V_OCSP_CERTSTATUS_GOOD)
        return status == V_OCSP_CERTSTATUS_REVOKED ? "it says that the certificate is REVOKED"
                                                   : "it does not know the certificate";
    if (!until)
        return "it does not say until when it holds";
    if (OCSP_check_validity(from, until, SKEW_S, -1) != 1)
        return tls_seconds_until(until) < 0 ? "it has expired" : "it is not valid yet";
    if (!is_signed(basic, own))
        return "it is not signed by the certificate's issuer";
    *ret_until = until;
    return NULL;
}

static const char *read_response(const struct tls_file *file, const struct tls_own *own,
                                 ASN1_GENERALIZEDTIME **ret_until, OCSP_BASICRESP **ret_basic)
{
    const unsigned char *at = (const unsigned char *)file->bytes;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)file->len);
    const char *fault = NULL;

    if (!response)
        fault = "it is no OCSP response in DER";
    else if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        fault = "it is a responder's refusal";
    else if (!(*ret_basic = OCSP_response_get1_basic(response)))
        fault = "it is no basic OCSP response";
    else if (!own->issuer)
        fault = "the issuer's certificate is not in the chain, so it can't be checked";
    OCSP_RESPONSE_free(response);
    return fault ? fault : fault_of(*ret_basic, own, ret_until);
}

int tls_staple_load(const char *path, const struct tls_own *own, struct tls_staple *ret_staple)
{
    struct tls_file file = { 0 };
    ASN1_GENERALIZEDTIME *until = NULL;
    OCSP_BASICRESP *basic = NULL;
    const char *fault;
    struct tls_subject subject;
    int rc = tls_file_read(path, "OCSP", &file);

    if (rc < 0) { /* it may be fetched later */
        char text[600];

        weir_error_print(text, sizeof(text));
        weir_recover();
        weir_warn("no OCSP response is sent for %s: %s", tls_subject(&subject, own->leaf), text);
        return rc == -ENOMEM ? rc : 0;
    }
    fault = read_response(&file, own, &until, &basic);
    if (fault) {
        weir_warn("the OCSP response %s is not sent for %s: %s", path,
                  tls_subject(&subject, own->leaf), fault);
    } else {
        ret_staple->der = OPENSSL_memdup(file.bytes, file.len);
        ret_staple->len = file.len;
        ret_staple->until_s = time(NULL) + tls_seconds_until(until);
        rc = ret_staple->der ? 0 : -ENOMEM;
    }
    OCSP_BASICRESP_free(basic);
    tls_file_done(&file);
    ERR_clear_error();
    return rc;
}
