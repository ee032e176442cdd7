/* TLS contexts of servers: what is spoken, which certificate is shown, who is let in, tickets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/ocsp.h>

#include <weir/error.h>

#include "base/arena.h"
#include "net/tls_context.h"
#include "support/certificates.h"
#include "support/shake.h"

static struct cert_set set;

static int make_set(void **state)
{
    (void)state;
    cert_set_make(&set);
    return 0;
}

static int free_set(void **state)
{
    (void)state;
    cert_set_free(&set);
    return 0;
}

#define AT(name) cert_path(&set.folder, name)
#define PAIR(name) { .certificate = AT(name ".pem"), .key = AT(name ".key") }

static struct tls_context *make_server(const weir_tls_server_opts *opts)
{
    struct tls_context *context = NULL;
    char text[1100];

    if (tls_context_server(opts, &context) < 0) {
        weir_error_print(text, sizeof(text));
        fail_msg("%s", text);
    }
    return context;
}

#define SERVER(...)                                                                                \
    make_server(&(weir_tls_server_opts){ .size = sizeof(weir_tls_server_opts), __VA_ARGS__ })
/* A server with the set's certificates of these names. */
#define WITH(...) .certificates = (const weir_tls_certificate[]){ __VA_ARGS__, { 0 } }

static struct tls_context *make_client(const weir_tls_client_opts *opts)
{
    struct tls_context *context = NULL;
    char text[1100];

    if (tls_context_client(opts, &context) < 0) {
        weir_error_print(text, sizeof(text));
        fail_msg("%s", text);
    }
    return context;
}

#define CLIENT(...)                                                                                \
    make_client(&(weir_tls_client_opts){ .size = sizeof(weir_tls_client_opts), __VA_ARGS__ })
#define TRUSTING(...) CLIENT(.ca = AT("ca.pem") __VA_OPT__(, ) __VA_ARGS__)

/* The subject's common name of what the server has shown to a client that asked for name. */
static void check_shown(struct tls_context *server, SSL_CTX *client, const char *name,
                        const char *wanted)
{
    struct shake shake;
    char shown[80] = "";
    X509 *cert;

    shake_init_plain(&shake, server, client);
    if (name)
        SSL_set_tlsext_host_name(shake.client, name);
    assert_true(shake_run(&shake));
    cert = SSL_get0_peer_certificate(shake.client);
    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, shown, sizeof(shown));
    assert_string_equal(shown, wanted);
    shake_done(&shake);
}

/* ---- what is spoken ---------------------------------------------------------------------------- */

static void the_profiles_speak_their_versions(void **state)
{
    struct tls_context *modern = SERVER(WITH(PAIR("server")), .profile = WEIR_TLS_MODERN);
    struct tls_context *both = SERVER(WITH(PAIR("server")));
    struct tls_context *raised = SERVER(WITH(PAIR("server")), .min_version = WEIR_TLS_1_3);
    SSL_CTX *old = SSL_CTX_new(TLS_client_method()), *older = SSL_CTX_new(TLS_client_method());
    struct shake shake;

    (void)state;
    SSL_CTX_set_max_proto_version(old, TLS1_2_VERSION);
    shake_init_plain(&shake, both, old);
    assert_true(shake_run(&shake));
    assert_string_equal(SSL_get_version(shake.server), "TLSv1.2");
    shake_done(&shake);
    shake_init_plain(&shake, modern, old);
    assert_false(shake_run(&shake));
    assert_non_null(strstr(shake.client_error, "protocol version"));
    shake_done(&shake);
    shake_init_plain(&shake, raised, old);
    assert_false(shake_run(&shake));
    shake_done(&shake);

    SSL_CTX_set_security_level(older, 0);
    SSL_CTX_set_min_proto_version(older, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(older, TLS1_1_VERSION);
    shake_init_plain(&shake, both, older);
    assert_false(shake_run(&shake));
    shake_done(&shake);
    SSL_CTX_free(old);
    SSL_CTX_free(older);
    tls_context_unref(modern);
    tls_context_unref(both);
    tls_context_unref(raised);
}

static void the_profiles_offer_their_ciphers(void **state)
{
    /* Each must be refused. */
    static const char *const bad[] = { "AES128-GCM-SHA256", "AES256-SHA", "ECDHE-ECDSA-AES128-SHA",
                                       "ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES128-CCM" };
    static const char *const good[] = {
        "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-AES128-GCM-SHA256",
        "DHE-RSA-AES256-GCM-SHA384",     "DHE-RSA-CHACHA20-POLY1305"
    };
    struct tls_context *server = SERVER(WITH(PAIR("server"), PAIR("server_rsa")));

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]) + sizeof(good) / sizeof(good[0]); i++) {
        size_t at = i < sizeof(bad) / sizeof(bad[0]) ? i : i - sizeof(bad) / sizeof(bad[0]);
        const char *cipher = i < sizeof(bad) / sizeof(bad[0]) ? bad[at] : good[at];
        SSL_CTX *client = SSL_CTX_new(TLS_client_method());
        struct shake shake;

        SSL_CTX_set_max_proto_version(client, TLS1_2_VERSION);
        SSL_CTX_set_security_level(client, 0);
        assert_int_equal(SSL_CTX_set_cipher_list(client, cipher), 1);
        shake_init_plain(&shake, server, client);
        assert_int_equal(shake_run(&shake), cipher == good[at]);
        if (cipher == good[at])
            assert_string_equal(SSL_get_cipher_name(shake.server), cipher);
        shake_done(&shake);
        SSL_CTX_free(client);
    }
    tls_context_unref(server);
}

static void the_clients_order_of_ciphers_counts(void **state)
{
    struct tls_context *server = SERVER(WITH(PAIR("server")));
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    struct shake shake;

    (void)state;
    SSL_CTX_set_ciphersuites(client, "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256");
    shake_init_plain(&shake, server, client);
    assert_true(shake_run(&shake));
    assert_string_equal(SSL_get_cipher_name(shake.server), "TLS_CHACHA20_POLY1305_SHA256");
    assert_null(SSL_get_current_compression(shake.server));
    assert_int_equal(SSL_get_max_early_data(shake.server), 0);
    shake_done(&shake);
    SSL_CTX_free(client);
    tls_context_unref(server);
}

static void a_client_cannot_renegotiate(void **state)
{
    struct tls_context *server = SERVER(WITH(PAIR("server")));
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    struct shake shake;
    char byte;

    (void)state;
    SSL_CTX_set_max_proto_version(client, TLS1_2_VERSION);
    shake_init_plain(&shake, server, client);
    assert_true(shake_run(&shake));
    assert_int_equal(SSL_renegotiate(shake.client), 1);
    SSL_do_handshake(shake.client);
    assert_true(SSL_read(shake.server, &byte, 1) <= 0);
    ERR_clear_error();
    assert_true(SSL_do_handshake(shake.client) <= 0);
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
    shake_done(&shake);
    SSL_CTX_free(client);
    tls_context_unref(server);
}

static void check_protocol(struct tls_context *server, const char *offer, const char *wanted)
{
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    const unsigned char *got;
    struct shake shake;
    unsigned len;

    if (offer)
        assert_int_equal(
            SSL_CTX_set_alpn_protos(client, (const unsigned char *)offer, (unsigned)strlen(offer)),
            0);
    shake_init_plain(&shake, server, client);
    assert_int_equal(shake_run(&shake), wanted != NULL);
    SSL_get0_alpn_selected(shake.server, &got, &len);
    if (wanted)
        assert_memory_equal(got, wanted, strlen(wanted));
    if (wanted)
        assert_int_equal(len, strlen(wanted));
    else
        assert_non_null(strstr(shake.client_error, "no application protocol"));
    shake_done(&shake);
    SSL_CTX_free(client);
}

static void the_servers_order_of_protocols_counts(void **state)
{
    struct tls_context *server = SERVER(WITH(PAIR("server")), .alpn = { "h2", "http/1.1" });

    (void)state;
    check_protocol(server, "\x08http/1.1\x02h2", "h2");
    check_protocol(server, "\x08http/1.1", "http/1.1");
    check_protocol(server, "\x02h3\x02h2", "h2");
    check_protocol(server,
                   "\x04"
                   "ftp ",
                   NULL);
    check_protocol(server, NULL, "");
    tls_context_unref(server);
}

/* ---- names ------------------------------------------------------------------------------------------ */

struct named_server {
    struct cert certs[8];
    struct tls_context *server;
};

static void add(struct named_server *s, int at, const char *called, const char *names,
                enum cert_key key, const char *file)
{
    char text[64];

    s->certs[at] = cert_make(.issuer = &set.ca, .common_name = called, .names = names, .key = key);
    snprintf(text, sizeof(text), "%s.pem", file);
    cert_write_all(&set.folder, text, &s->certs[at]);
    snprintf(text, sizeof(text), "%s.key", file);
    cert_write_key(&set.folder, text, &s->certs[at], NULL);
}

static void done(struct named_server *s)
{
    for (size_t i = 0; i < sizeof(s->certs) / sizeof(s->certs[0]); i++)
        cert_free(&s->certs[i]);
    tls_context_unref(s->server);
}

static void the_certificate_follows_from_the_name(void **state)
{
    struct named_server s = { 0 };
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());

    (void)state;
    add(&s, 0, "first", "DNS:first.example", CERT_EC, "n0");
    add(&s, 1, "wild", "DNS:*.example.com,DNS:Example.COM", CERT_EC, "n1");
    add(&s, 2, "exact", "DNS:api.example.com,IP:192.0.2.1", CERT_EC, "n2");
    add(&s, 3, "idn", "DNS:xn--bcher-kva.example,DNS:*.xn--bcher-kva.example", CERT_EC, "n3");
    s.server = SERVER(WITH(PAIR("n0"), PAIR("n1"), PAIR("n2"), PAIR("n3")));
    check_shown(s.server, client, NULL, "first");
    check_shown(s.server, client, "first.example", "first");
    check_shown(s.server, client, "a.example.com", "wild");
    check_shown(s.server, client, "A.eXample.com", "wild");
    check_shown(s.server, client, "a.example.com.", "wild");
    check_shown(s.server, client, "example.com", "wild");
    check_shown(s.server, client, "api.example.com", "exact");
    check_shown(s.server, client, "API.EXAMPLE.COM.", "exact");
    check_shown(s.server, client, "xn--bcher-kva.example", "idn");
    check_shown(s.server, client, "xn--caf-dma.xn--bcher-kva.example", "idn");
    /* A wildcard is one label, and the name of none: the default. */
    check_shown(s.server, client, "a.b.example.com", "first");
    check_shown(s.server, client, "*.example.com", "first");
    check_shown(s.server, client, "nobody.example", "first");
    check_shown(s.server, client, ".example.com", "first");
    check_shown(s.server, client, "com", "first");
    SSL_CTX_free(client);
    done(&s);
}

static void an_unknown_name_can_be_refused(void **state)
{
    struct tls_context *server = SERVER(WITH(PAIR("server")), .known_names_only = true);
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    struct shake shake;

    (void)state;
    check_shown(server, client, "localhost", "server");
    check_shown(server, client, NULL, "server");
    shake_init_plain(&shake, server, client);
    SSL_set_tlsext_host_name(shake.client, "nobody.example");
    assert_false(shake_run(&shake));
    assert_non_null(strstr(shake.client_error, "unrecognized name"));
    shake_done(&shake);
    SSL_CTX_free(client);
    tls_context_unref(server);
}

/* A client that can check RSA alone, or ECDSA alone. */
static void check_kind(struct tls_context *server, const char *name, const char *algorithms,
                       const char *wanted)
{
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());

    assert_int_equal(SSL_CTX_set1_sigalgs_list(client, algorithms), 1);
    check_shown(server, client, name, wanted);
    SSL_CTX_free(client);
}

static void pairs_serve_both_kinds_of_clients(void **state)
{
    struct named_server s = { 0 };

    (void)state;
    add(&s, 0, "a rsa", "DNS:a.example,DNS:both.example", CERT_RSA, "p0");
    add(&s, 1, "a ec", "DNS:a.example", CERT_EC, "p1");
    add(&s, 2, "b rsa", "DNS:b.example", CERT_RSA, "p2");
    add(&s, 3, "both ec", "DNS:both.example,DNS:b.example", CERT_EC, "p3");
    s.server = SERVER(WITH(PAIR("p0"), PAIR("p1"), PAIR("p2"), PAIR("p3")));
    check_kind(s.server, "a.example", "RSA-PSS+SHA256", "a rsa");
    check_kind(s.server, "a.example", "ECDSA+SHA256", "a ec");
    check_kind(s.server, "b.example", "RSA-PSS+SHA256", "b rsa");
    check_kind(s.server, "b.example", "ECDSA+SHA256", "both ec");
    check_kind(s.server, "both.example", "RSA-PSS+SHA256", "a rsa");
    check_kind(s.server, "both.example", "ECDSA+SHA256", "both ec");
    check_kind(s.server, NULL, "ECDSA+SHA256", "a ec");
    check_kind(s.server, NULL, "RSA-PSS+SHA256", "a rsa");
    done(&s);
}

static void the_chain_is_sent_in_order(void **state)
{
    struct cert middle = cert_make(.issuer = &set.ca, .common_name = "middle", .kind = CERT_CA);
    struct cert low = cert_make(.issuer = &middle, .common_name = "low", .kind = CERT_CA);
    struct cert leaf = cert_make(.issuer = &low, .common_name = "leaf", .names = "DNS:localhost");
    struct tls_context *server, *client = TRUSTING();
    struct shake shake;

    (void)state;
    /* Everything in the wrong order, and the root, which is left out. */
    cert_write_all(&set.folder, "chain.pem", &set.ca, &middle, &leaf, &low);
    cert_write_key(&set.folder, "chain.key", &leaf, NULL);
    server = SERVER(WITH(PAIR("chain")));
    shake_init(&shake, server, client);
    assert_int_equal(tls_context_expect(client, shake.client, WEIR_S("localhost"), 443), 0);
    assert_true(shake_run(&shake));
    assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(shake.client)), 3);
    shake_done(&shake);
    tls_context_unref(server);
    tls_context_unref(client);
    cert_free(&middle);
    cert_free(&low);
    cert_free(&leaf);
}

/* ---- OCSP ------------------------------------------------------------------------------------------- */

/* Is the response in that file sent along? */
static bool is_stapled(const char *ocsp)
{
    struct tls_context *server = SERVER(
        WITH({ .certificate = AT("staple.pem"), .key = AT("server.key"), .ocsp = ocsp }));
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    const unsigned char *der;
    struct shake shake;
    bool yes;

    SSL_CTX_set_tlsext_status_type(client, TLSEXT_STATUSTYPE_ocsp);
    shake_init_plain(&shake, server, client);
    assert_true(shake_run(&shake));
    yes = SSL_get_tlsext_status_ocsp_resp(shake.client, &der) > 0;
    shake_done(&shake);
    SSL_CTX_free(client);
    tls_context_unref(server);
    return yes;
}

#define RESPONSE(...) cert_write_ocsp(&set.folder, "ocsp", __VA_ARGS__)
#define GOOD V_OCSP_CERTSTATUS_GOOD

static void only_a_good_response_is_stapled(void **state)
{
    const struct cert *ca = &set.ca, *cert = &set.server;
    struct cert stranger = cert_make(.common_name = "a CA for tests", .kind = CERT_CA);

    (void)state;
    cert_write_all(&set.folder, "staple.pem", cert, ca);
    assert_true(is_stapled(RESPONSE(ca, NULL, cert, GOOD, -1, 3)));
    assert_false(is_stapled(RESPONSE(ca, NULL, cert, V_OCSP_CERTSTATUS_REVOKED, -1, 3)));
    assert_false(is_stapled(RESPONSE(ca, NULL, cert, V_OCSP_CERTSTATUS_UNKNOWN, -1, 3)));
    assert_false(is_stapled(RESPONSE(ca, NULL, cert, GOOD, -5, -2)));
    assert_false(is_stapled(RESPONSE(ca, NULL, cert, GOOD, 2, 3)));
    assert_false(is_stapled(RESPONSE(ca, NULL, &set.other_name, GOOD, -1, 3)));
    assert_false(is_stapled(RESPONSE(&stranger, NULL, cert, GOOD, -1, 3)));
    assert_false(is_stapled(RESPONSE(ca, &stranger, cert, GOOD, -1, 3)));
    assert_false(is_stapled(RESPONSE(ca, &set.other_name, cert, GOOD, -1, 3)));
    assert_false(is_stapled(cert_write_text(&set.folder, "ocsp", "not DER", 7)));
    assert_false(is_stapled(cert_write_text(&set.folder, "ocsp", "", 0)));
    assert_false(is_stapled(AT("there is none")));
    /* Without the issuer's certificate nothing can be checked. */
    cert_write_all(&set.folder, "staple.pem", cert);
    assert_false(is_stapled(RESPONSE(ca, NULL, cert, GOOD, -1, 3)));
    cert_free(&stranger);
}

/* ---- clients' certificates -------------------------------------------------------------------------- */

/* Is a client that shows this one (NULL: none) let in? */
static bool is_let_in(struct tls_context *server, const char *name)
{
    char cert[64], key[64];
    struct tls_context *client;
    struct shake shake;
    bool yes;

    snprintf(cert, sizeof(cert), "%s.pem", name ? name : "");
    snprintf(key, sizeof(key), "%s.key", name ? name : "");
    client = TRUSTING(.certificate = { .certificate = name ? AT(cert) : NULL, .key = AT(key) });
    shake_init(&shake, server, client);
    assert_int_equal(tls_context_expect(client, shake.client, WEIR_S("localhost"), 443), 0);
    yes = shake_run(&shake);
    shake_done(&shake);
    tls_context_unref(client);
    return yes;
}

static void clients_must_show_a_good_certificate(void **state)
{
    struct tls_context *server = SERVER(WITH(PAIR("server")), .client_ca = AT("ca.pem"),
                                        .client_crl = AT("ca.crl"));
    struct tls_context *maybe = SERVER(WITH(PAIR("server")), .client_ca = AT("ca.pem"),
                                       .clients = WEIR_TLS_CLIENTS_OPTIONAL);

    (void)state;
    assert_true(is_let_in(server, "client"));
    assert_false(is_let_in(server, NULL));
    assert_false(is_let_in(server, "client_expired"));
    assert_false(is_let_in(server, "client_revoked"));
    assert_false(is_let_in(server, "client_wrong_usage"));
    assert_false(is_let_in(server, "client_stranger"));
    assert_true(is_let_in(maybe, "client"));
    assert_true(is_let_in(maybe, NULL));
    assert_true(is_let_in(maybe, "client_revoked")); /* it has no list */
    assert_false(is_let_in(maybe, "client_stranger"));
    tls_context_unref(server);
    tls_context_unref(maybe);
}

static void check_text(weir_str got, const char *wanted)
{
    assert_int_equal(got.len, strlen(wanted));
    assert_memory_equal(got.ptr, wanted, got.len);
}

static void the_clients_names_are_told(void **state)
{
    struct tls_context *server = SERVER(WITH(PAIR("server")), .client_ca = AT("ca.pem"));
    struct tls_context *client = TRUSTING(.certificate = PAIR("client"));
    struct shake shake;
    struct arena arena;
    weir_tls_peer peer;

    (void)state;
    arena_init(&arena, NULL);
    shake_init(&shake, server, client);
    assert_int_equal(tls_context_expect(client, shake.client, WEIR_S("127.0.0.1"), 443), 0);
    assert_int_equal(tls_peer_read(shake.server, &arena, &peer), 0);
    assert_true(shake_run(&shake));
    assert_int_equal(tls_peer_read(shake.server, &arena, &peer), 1);
    check_text(peer.subject, "CN=client 1,O=Tests");
    check_text(peer.common_name, "client 1");
    check_text(peer.issuer, "CN=a CA for tests,O=Tests");
    assert_int_equal(peer.serial.len, 16);
    assert_int_equal(peer.fingerprint.len, 64);
    assert_int_equal(peer.name_count, 2);
    check_text(peer.names[0], "DNS:client1.example");
    check_text(peer.names[1], "URI:spiffe://example/client1");
    assert_int_equal(tls_peer_read(shake.client, &arena, &peer), 1);
    check_text(peer.names[1], "IP:127.0.0.1");
    check_text(peer.names[2], "IP:::1");
    shake_done(&shake);
    arena_reset(&arena);
    tls_context_unref(server);
    tls_context_unref(client);
}

/* ---- tickets ------------------------------------------------------------------------------------------ */

/* Shake hands again with the session of a first time: is it taken up? */
static bool is_resumed(struct tls_context *first, struct tls_context *second, int version)
{
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    SSL_SESSION *session;
    struct shake shake;
    bool yes;

    SSL_CTX_set_max_proto_version(client, version);
    shake_init_plain(&shake, first, client);
    assert_true(shake_run(&shake));
    session = SSL_get1_session(shake.client);
    assert_non_null(session);
    shake_done(&shake);
    shake_init_plain(&shake, second, client);
    SSL_set_session(shake.client, session);
    assert_true(shake_run(&shake));
    yes = SSL_session_reused(shake.server);
    assert_int_equal(SSL_session_reused(shake.client), yes);
    shake_done(&shake);
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    return yes;
}

static void sessions_are_resumed_by_tickets(void **state)
{
    struct tls_context *server = SERVER(WITH(PAIR("server")));
    struct tls_context *without = SERVER(WITH(PAIR("server")), .no_tickets = true);
    struct tls_context *other = SERVER(WITH(PAIR("server")));

    (void)state;
    assert_true(is_resumed(server, server, TLS1_3_VERSION));
    assert_true(is_resumed(server, server, TLS1_2_VERSION));
    assert_false(is_resumed(without, without, TLS1_3_VERSION));
    assert_false(is_resumed(without, without, TLS1_2_VERSION));
    assert_false(is_resumed(server, other, TLS1_3_VERSION));
    assert_int_equal(tls_context_reload(server), 0);
    assert_true(is_resumed(server, server, TLS1_3_VERSION));
    tls_context_unref(server);
    tls_context_unref(without);
    tls_context_unref(other);
}

static void keys_of_a_file_are_shared(void **state)
{
    static unsigned char keys[240];
    struct tls_context *one, *two;

    (void)state;
    for (size_t i = 0; i < sizeof(keys); i++)
        keys[i] = (unsigned char)(i * 7 + i / 80);
    cert_write_text(&set.folder, "k1", keys, 80);
    cert_write_text(&set.folder, "k2", keys + 80, 80);
    one = SERVER(WITH(PAIR("server")), .ticket_keys = AT("k1"));
    two = SERVER(WITH(PAIR("server")), .ticket_keys = AT("k2"));
    assert_false(is_resumed(one, two, TLS1_3_VERSION));
    cert_write_text(&set.folder, "k2", keys, 80);
    assert_int_equal(tls_context_reload(two), 0);
    assert_true(is_resumed(one, two, TLS1_3_VERSION));
    assert_true(is_resumed(one, two, TLS1_2_VERSION));
    /* The second one now seals with a newer key, and still opens the old one's. */
    memmove(keys + 80, keys, 80);
    memset(keys, 3, 80);
    cert_write_text(&set.folder, "k2", keys, 160);
    assert_int_equal(tls_context_reload(two), 0);
    assert_true(is_resumed(one, two, TLS1_3_VERSION));
    assert_true(is_resumed(one, two, TLS1_2_VERSION));
    assert_false(is_resumed(two, one, TLS1_3_VERSION));
    tls_context_unref(one);
    tls_context_unref(two);
}

/* What has changed about clients' certificates ends their sessions: a session proves that the
 * certificate was good once. */
static void a_revocation_ends_sessions(void **state)
{
    struct tls_context *server, *client = TRUSTING(.certificate = PAIR("client"));
    struct shake shake;

    (void)state;
    cert_write_crl(&set.folder, "own.crl", &set.ca, NULL, 10);
    server = SERVER(WITH(PAIR("server")), .client_ca = AT("ca.pem"), .client_crl = AT("own.crl"));
    for (int i = 0; i < 4; i++) {
        shake_init(&shake, server, client);
        assert_int_equal(tls_context_expect(client, shake.client, WEIR_S("localhost"), 443), 0);
        assert_int_equal(shake_run(&shake), i < 3);
        if (i < 3)
            assert_int_equal(SSL_session_reused(shake.server), i > 0);
        shake_done(&shake);
        if (i == 2) {
            cert_write_crl(&set.folder, "own.crl", &set.ca, &set.client, 10);
            assert_int_equal(tls_context_reload(server), 0);
        }
    }
    tls_context_unref(server);
    tls_context_unref(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_profiles_speak_their_versions),
        cmocka_unit_test(the_profiles_offer_their_ciphers),
        cmocka_unit_test(the_clients_order_of_ciphers_counts),
        cmocka_unit_test(a_client_cannot_renegotiate),
        cmocka_unit_test(the_servers_order_of_protocols_counts),
        cmocka_unit_test(the_certificate_follows_from_the_name),
        cmocka_unit_test(an_unknown_name_can_be_refused),
        cmocka_unit_test(pairs_serve_both_kinds_of_clients),
        cmocka_unit_test(the_chain_is_sent_in_order),
        cmocka_unit_test(only_a_good_response_is_stapled),
        cmocka_unit_test(clients_must_show_a_good_certificate),
        cmocka_unit_test(the_clients_names_are_told),
        cmocka_unit_test(sessions_are_resumed_by_tickets),
        cmocka_unit_test(keys_of_a_file_are_shared),
        cmocka_unit_test(a_revocation_ends_sessions),
    };

    return cmocka_run_group_tests(tests, make_set, free_set);
}
