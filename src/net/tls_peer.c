/* Whom a peer's certificate names, as texts for a handler.
 *
 * Only of a certificate that was verified in this handshake, or in the one that is resumed: a
 * client's word alone is worth nothing. Texts with a NUL or a control character in them are left
 * out, as they are made to be mistaken for other ones. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "base/arena.h"
#include "net/tls_context.h"

/* RFC 4514, in UTF-8. */
#define NAME_FORM (XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB)

static bool is_plain(weir_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
            return false;
    }
    return true;
}

static int name_text(const X509_NAME *name, struct arena *arena, weir_str *ret_text)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes = NULL;
    long len;

    if (!bio)
        return -ENOMEM;
    if (X509_NAME_print_ex(bio, name, 0, NAME_FORM) < 0) {
        BIO_free(bio);
        return -ENOMEM;
    }
    len = BIO_get_mem_data(bio, &bytes);
    *ret_text = arena_dup(arena, len > 0 ? weir_str_from(bytes, (size_t)len) : WEIR_S(""));
    BIO_free(bio);
    return ret_text->ptr ? 0 : -ENOMEM;
}

static int common_name(const X509_NAME *name, struct arena *arena, weir_str *ret_text)
{
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1), len, rc = 0;
    unsigned char *utf8 = NULL;
    weir_str text;

    if (at < 0)
        return 0;
    len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    if (len < 0)
        return 0;
    text = weir_str_from((const char *)utf8, (size_t)len);
    if (is_plain(text)) {
        *ret_text = arena_dup(arena, text);
        rc = ret_text->ptr ? 0 : -ENOMEM;
    }
    OPENSSL_free(utf8);
    return rc;
}

static int hex_text(const unsigned char *bytes, size_t len, struct arena *arena, weir_str *ret_text)
{
    static const char digits[] = "0123456789abcdef";
    char *text = arena_alloc(arena, 2 * len + 1);

    if (!text)
        return -ENOMEM;
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * len] = '\0';
    *ret_text = weir_str_from(text, 2 * len);
    return 0;
}

static int serial_text(const X509 *cert, struct arena *arena, weir_str *ret_text)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);

    return hex_text(ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial), arena,
                    ret_text);
}

static int fingerprint_text(const X509 *cert, struct arena *arena, weir_str *ret_text)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len;

    if (X509_digest(cert, EVP_sha256(), digest, &len) != 1)
        return -ENOMEM;
    return hex_text(digest, len, arena, ret_text);
}

/* ---- other names -------------------------------------------------------------------------------- */

static weir_str address_text(const ASN1_OCTET_STRING *address, struct arena *arena)
{
    int len = ASN1_STRING_length(address);
    char text[INET6_ADDRSTRLEN];

    if ((len != 4 && len != 16) || !inet_ntop(len == 4 ? AF_INET : AF_INET6,
                                              ASN1_STRING_get0_data(address), text, sizeof(text)))
        return weir_str_c(NULL);
    return arena_format(arena, "IP:%s", text);
}

static weir_str kind_text(const char *kind, const ASN1_IA5STRING *string, struct arena *arena)
{
    weir_str text = weir_str_from((const char *)ASN1_STRING_get0_data(string),
                                  (size_t)ASN1_STRING_length(string));

    return is_plain(text) ? arena_format(arena, "%s:%.*s", kind, WEIR_ARG(text)) : weir_str_c(NULL);
}

/* Absent for what has no form here. */
static weir_str other_name(const GENERAL_NAME *name, struct arena *arena)
{
    switch (name->type) {
    case GEN_DNS: return kind_text("DNS", name->d.dNSName, arena);
    case GEN_EMAIL: return kind_text("email", name->d.rfc822Name, arena);
    case GEN_URI: return kind_text("URI", name->d.uniformResourceIdentifier, arena);
    case GEN_IPADD: return address_text(name->d.iPAddress, arena);
    default: return weir_str_c(NULL);
    }
}

static int other_names(const X509 *cert, struct arena *arena, weir_tls_peer *peer)
{
    GENERAL_NAMES *list = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    int count = list ? sk_GENERAL_NAME_num(list) : 0;
    weir_str *names = count ? arena_alloc(arena, (size_t)count * sizeof(*names)) : NULL;

    for (int i = 0; names && i < count; i++) {
        weir_str text = other_name(sk_GENERAL_NAME_value(list, i), arena);

        if (text.ptr)
            names[peer->name_count++] = text;
    }
    GENERAL_NAMES_free(list);
    peer->names = names;
    return count && !names ? -ENOMEM : 0;
}

int tls_peer_read(const SSL *ssl, struct arena *arena, weir_tls_peer *ret_peer)
{
    const X509 *cert = SSL_get0_peer_certificate(ssl);
    weir_tls_peer peer = { 0 };
    int rc;

    if (!cert || SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE ||
        SSL_get_verify_result(ssl) != X509_V_OK)
        return 0;
    rc = name_text(X509_get_subject_name(cert), arena, &peer.subject);
    if (rc == 0)
        rc = common_name(X509_get_subject_name(cert), arena, &peer.common_name);
    if (rc == 0)
        rc = name_text(X509_get_issuer_name(cert), arena, &peer.issuer);
    if (rc == 0)
        rc = serial_text(cert, arena, &peer.serial);
    if (rc == 0)
        rc = fingerprint_text(cert, arena, &peer.fingerprint);
    if (rc == 0)
        rc = other_names(cert, arena, &peer);
    ERR_clear_error();
    if (rc < 0)
        return rc;
    *ret_peer = peer;
    return 1;
}
