/* Whom a client's connection expects: the name that it asks for and checks (RFC 9110, section
 * 4.3.4; RFC 6125), or the address. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <weir/error.h>

#include "net/tls_context.h"
#include "net/tls_sessions.h"
#include "net/tls_state.h"

#define HOST_MAX_BYTES 253

/* Without brackets and a dot at the end, terminated. -EINVAL: it is no name. */
static int host_copy(weir_str host, char to[static HOST_MAX_BYTES + 1])
{
    if (host.len > 1 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = weir_str_from(host.ptr + 1, host.len - 2);
    if (host.len > 1 && host.ptr[host.len - 1] == '.')
        host.len--;
    if (host.len == 0 || host.len > HOST_MAX_BYTES || memchr(host.ptr, '\0', host.len))
        return weir_fail(-EINVAL, "there is no name that the server's certificate could be checked "
                                  "against: give one in the TLS options");
    memcpy(to, host.ptr, host.len);
    to[host.len] = '\0';
    return 0;
}

static bool is_address(const char *host)
{
    unsigned char bytes[16];

    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

static int failed(void)
{
    ERR_clear_error();
    return -ENOMEM;
}

/* The name in the certificate must be the host's, in the subjectAltName, and no wildcard within a
 * label. */
static int expect_name(SSL *ssl, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

    if (is_address(host))
        return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1 ? 0 : failed();
    SSL_set_hostflags(ssl,
                      X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return SSL_set1_host(ssl, host) == 1 ? 0 : failed();
}

int tls_expect(SSL *ssl, weir_str host, uint16_t port)
{
    struct tls_sessions *sessions = tls_state_of(ssl)->sessions;
    char name[HOST_MAX_BYTES + 1], server[HOST_MAX_BYTES + 8];
    int rc;

    if (host.len == 0 && SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE)
        return 0;
    rc = host_copy(host, name);
    if (rc < 0)
        return rc;
    if (!is_address(name) && SSL_set_tlsext_host_name(ssl, name) != 1)
        return failed();
    if (SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE)
        rc = expect_name(ssl, name);
    if (rc < 0 || !sessions)
        return rc;
    snprintf(server, sizeof(server), "%s:%u", name, port);
    return tls_sessions_resume(sessions, ssl, weir_str_c(server));
}
