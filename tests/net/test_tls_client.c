/* TLS contexts of clients: whom they believe, sessions that they resume, and what they say when
 * told to believe everyone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/x509v3.h>

#include <weir/error.h>
#include <weir/inspect.h>

#include "net/tls_context.h"
#include "support/certificates.h"
#include "support/log_keep.h"
#include "support/shake.h"

static struct cert_set set;

static int make_set(void **state)
{
    (void)state;
    cert_set_make(&set);
    return log_keep();
}

static int free_set(void **state)
{
    (void)state;
    cert_set_free(&set);
    return weir_log_close();
}

#define AT(name) cert_path(&set.folder, name)

static struct tls_context *make_server(const char *name)
{
    struct tls_context *context = NULL;
    char cert[64], key[64];

    snprintf(cert, sizeof(cert), "%s.pem", name);
    snprintf(key, sizeof(key), "%s.key", name);
    assert_int_equal(
        tls_context_server(
            &(weir_tls_server_opts){
                .size = sizeof(weir_tls_server_opts),
                .certificates = (const weir_tls_certificate[]){ { AT(cert), AT(key), NULL },
                                                                { 0 } } },
            &context),
        0);
    return context;
}

static struct tls_context *make_client(const weir_tls_client_opts *opts)
{
    struct tls_context *context = NULL;
    char text[1100];

    if (tls_context_client(opts, &context) < 0 || tls_context_prepare(context) < 0) {
        weir_error_print(text, sizeof(text));
        fail_msg("%s", text);
    }
    return context;
}

#define CLIENT(...)                                                                                \
    make_client(&(weir_tls_client_opts){ .size = sizeof(weir_tls_client_opts), __VA_ARGS__ })

/* What the client says about a server that shows this certificate: X509_V_OK, or why not. */
static long verdict(struct tls_context *client, const char *shown, const char *host)
{
    struct tls_context *server = make_server(shown);
    struct shake shake;
    long result;
    bool good;

    shake_init(&shake, server, client);
    assert_int_equal(tls_context_expect(client, shake.client, weir_str_c(host), 443), 0);
    good = shake_run(&shake);
    result = SSL_get_verify_result(shake.client);
    assert_int_equal(good,
                     SSL_get_verify_mode(shake.client) == SSL_VERIFY_NONE || result == X509_V_OK);
    shake_done(&shake);
    tls_context_unref(server);
    return result;
}

static void only_good_servers_are_believed(void **state)
{
    struct tls_context *client = CLIENT(.ca = AT("ca.pem"));
    struct tls_context *lists = CLIENT(.ca = AT("ca.pem"), .crl = AT("ca.crl"));

    (void)state;
    assert_int_equal(verdict(client, "server", "localhost"), X509_V_OK);
    assert_int_equal(verdict(client, "server", "LOCALHOST."), X509_V_OK);
    assert_int_equal(verdict(client, "server", "127.0.0.1"), X509_V_OK);
    assert_int_equal(verdict(client, "server", "::1"), X509_V_OK);
    assert_int_equal(verdict(client, "server", "[::1]"), X509_V_OK);
    assert_int_equal(verdict(client, "server", "127.0.0.2"), X509_V_ERR_IP_ADDRESS_MISMATCH);
    assert_int_equal(verdict(client, "other_name", "localhost"), X509_V_ERR_HOSTNAME_MISMATCH);
    assert_int_equal(verdict(client, "expired", "localhost"), X509_V_ERR_CERT_HAS_EXPIRED);
    assert_int_equal(verdict(client, "early", "localhost"), X509_V_ERR_CERT_NOT_YET_VALID);
    assert_int_equal(verdict(client, "wrong_usage", "localhost"), X509_V_ERR_INVALID_PURPOSE);
    assert_int_equal(verdict(client, "self_signed", "localhost"),
                     X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT);
    assert_int_equal(verdict(client, "revoked", "localhost"), X509_V_OK);
    assert_int_equal(verdict(lists, "revoked", "localhost"), X509_V_ERR_CERT_REVOKED);
    assert_int_equal(verdict(lists, "server", "localhost"), X509_V_OK);
    tls_context_unref(client);
    tls_context_unref(lists);
}

static void a_common_name_is_no_name(void **state)
{
    struct cert cert = cert_make(.issuer = &set.ca, .common_name = "localhost");
    struct tls_context *client = CLIENT(.ca = AT("ca.pem"));

    (void)state;
    cert_write_all(&set.folder, "cn.pem", &cert);
    cert_write_key(&set.folder, "cn.key", &cert, NULL);
    assert_int_equal(verdict(client, "cn", "localhost"), X509_V_ERR_HOSTNAME_MISMATCH);
    tls_context_unref(client);
    cert_free(&cert);
}

static void a_name_can_be_given(void **state)
{
    struct tls_context *client = CLIENT(.ca = AT("ca.pem"), .name = "other.example");

    (void)state;
    assert_int_equal(verdict(client, "other_name", "127.0.0.1"), X509_V_OK);
    assert_int_equal(verdict(client, "server", "localhost"), X509_V_ERR_HOSTNAME_MISMATCH);
    tls_context_unref(client);
}

static void a_list_that_is_old_or_missing_refuses(void **state)
{
    struct cert other = cert_make(.common_name = "another", .kind = CERT_CA);
    struct tls_context *old, *none;

    (void)state;
    cert_write_crl(&set.folder, "old.crl", &set.ca, NULL, -1);
    cert_write_crl(&set.folder, "other.crl", &other, NULL, 3);
    old = CLIENT(.ca = AT("ca.pem"), .crl = AT("old.crl"));
    none = CLIENT(.ca = AT("ca.pem"), .crl = AT("other.crl"));
    assert_int_equal(verdict(old, "server", "localhost"), X509_V_ERR_CRL_HAS_EXPIRED);
    assert_int_equal(verdict(none, "server", "localhost"), X509_V_ERR_UNABLE_TO_GET_CRL);
    tls_context_unref(old);
    tls_context_unref(none);
    cert_free(&other);
}

/* Between the peer and the root stand CAs that have no list of their own. */
static void cas_between_need_no_list(void **state)
{
    struct cert middle = cert_make(.issuer = &set.ca, .common_name = "middle", .kind = CERT_CA);
    struct cert leaf = cert_make(.issuer = &middle, .names = "DNS:localhost");
    struct tls_context *client;

    (void)state;
    cert_write_all(&set.folder, "deep.pem", &leaf, &middle);
    cert_write_key(&set.folder, "deep.key", &leaf, NULL);
    cert_write_crl(&set.folder, "middle.crl", &middle, NULL, 3);
    client = CLIENT(.ca = AT("ca.pem"), .crl = AT("middle.crl"));
    assert_int_equal(verdict(client, "deep", "localhost"), X509_V_OK);
    cert_write_crl(&set.folder, "middle.crl", &middle, &leaf, 3);
    assert_int_equal(tls_context_reload(client), 0);
    assert_int_equal(verdict(client, "deep", "localhost"), X509_V_ERR_CERT_REVOKED);
    tls_context_unref(client);
    /* And those that have one are looked up in it. */
    cert_write_crl(&set.folder, "root.crl", &set.ca, &middle, 3);
    client = CLIENT(.ca = AT("ca.pem"), .crl = AT("root.crl"));
    assert_int_not_equal(verdict(client, "deep", "localhost"), X509_V_OK);
    tls_context_unref(client);
    cert_free(&middle);
    cert_free(&leaf);
}

static void believing_everyone_is_loud(void **state)
{
    struct tls_context *client;

    (void)state;
    log_keep_clear();
    client = CLIENT(.no_verify = true);
    assert_non_null(strstr(log_kept, "NOT verified"));
    log_keep_clear();
    assert_int_not_equal(verdict(client, "self_signed", "anything"), X509_V_OK);
    assert_int_not_equal(verdict(client, "server", ""), X509_V_OK);
    assert_null(strstr(log_kept, "NOT verified")); /* once is enough */
    tls_context_unref(client);
    assert_int_equal(tls_context_client(
                         &(weir_tls_client_opts){
                             .size = sizeof(weir_tls_client_opts), .no_verify = true, .ca = "x" },
                         &client),
                     -EINVAL);
}

static void a_client_without_a_name_to_check_is_refused(void **state)
{
    struct tls_context *client = CLIENT(.ca = AT("ca.pem"));
    SSL *ssl = tls_context_new(client);

    (void)state;
    assert_int_equal(tls_context_expect(client, ssl, weir_str_c(NULL), 443), -EINVAL);
    assert_int_equal(tls_context_expect(client, ssl, weir_str_from("a\0b", 3), 443), -EINVAL);
    SSL_free(ssl);
    tls_context_unref(client);
}

/* The system's CAs are read when they are needed, not when the context is made. */
static void the_systems_cas_are_read_late(void **state)
{
    struct tls_context *client;

    (void)state;
    setenv("SSL_CERT_FILE", AT("ca.pem"), 1);
    assert_int_equal(tls_context_client(
                         &(weir_tls_client_opts){ .size = sizeof(weir_tls_client_opts) }, &client),
                     0);
    assert_false(tls_context_is_prepared(client));
    assert_null(tls_context_new(client));
    assert_int_equal(tls_context_prepare(client), 0);
    assert_true(tls_context_is_prepared(client));
    assert_int_equal(verdict(client, "server", "localhost"), X509_V_OK);
    tls_context_unref(client);
    setenv("SSL_CERT_FILE", AT("server.pem"), 1);
    client = CLIENT(.name = NULL);
    assert_int_not_equal(verdict(client, "server", "localhost"), X509_V_OK);
    tls_context_unref(client);
    unsetenv("SSL_CERT_FILE");
}

/* ---- sessions ----------------------------------------------------------------------------------- */

static bool meets(struct tls_context *client, struct tls_context *server, const char *host,
                  uint16_t port, int version)
{
    struct shake shake;
    bool resumed;

    shake_init(&shake, server, client);
    SSL_set_max_proto_version(shake.client, version);
    assert_int_equal(tls_context_expect(client, shake.client, weir_str_c(host), port), 0);
    assert_true(shake_run(&shake));
    resumed = SSL_session_reused(shake.client);
    shake_done(&shake);
    return resumed;
}

static void sessions_are_kept_for_each_server(void **state)
{
    struct tls_context *server = make_server("server");
    struct tls_context *client = CLIENT(.ca = AT("ca.pem"));
    struct tls_context *none = CLIENT(.ca = AT("ca.pem"), .sessions_max = WEIR_OFF);

    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        assert_false(meets(client, server, "localhost", 443, version));
        for (int i = 0; i < 6; i++)
            assert_true(meets(client, server, "localhost", 443, version));
        assert_false(meets(client, server, "localhost", 444, version));
        assert_false(meets(client, server, "127.0.0.1", 443, version));
        assert_int_equal(tls_context_reload(client), 0);
    }
    assert_false(meets(none, server, "localhost", 443, 0));
    assert_false(meets(none, server, "localhost", 443, 0));
    tls_context_unref(server);
    tls_context_unref(client);
    tls_context_unref(none);
}

static void the_servers_met_longest_ago_are_forgotten(void **state)
{
    struct tls_context *server = make_server("server");
    struct tls_context *client = CLIENT(.ca = AT("ca.pem"), .sessions_max = 3);

    (void)state;
    for (uint16_t port = 1; port <= 3; port++)
        assert_false(meets(client, server, "localhost", port, 0));
    assert_true(meets(client, server, "localhost", 1, 0));
    assert_false(meets(client, server, "localhost", 4, 0)); /* takes the place of 2 */
    assert_true(meets(client, server, "localhost", 1, 0));
    assert_true(meets(client, server, "localhost", 3, 0));
    assert_false(meets(client, server, "localhost", 2, 0));
    tls_context_unref(server);
    tls_context_unref(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_good_servers_are_believed),
        cmocka_unit_test(a_common_name_is_no_name),
        cmocka_unit_test(a_name_can_be_given),
        cmocka_unit_test(a_list_that_is_old_or_missing_refuses),
        cmocka_unit_test(cas_between_need_no_list),
        cmocka_unit_test(believing_everyone_is_loud),
        cmocka_unit_test(a_client_without_a_name_to_check_is_refused),
        cmocka_unit_test(the_systems_cas_are_read_late),
        cmocka_unit_test(sessions_are_kept_for_each_server),
        cmocka_unit_test(the_servers_met_longest_ago_are_forgotten),
    };

    return cmocka_run_group_tests(tests, make_set, free_set);
}
