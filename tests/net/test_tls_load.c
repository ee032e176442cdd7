/* What is said about the files of TLS contexts that are wrong: sentences for an operator. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include <weir/error.h>

#include "net/tls_context.h"
#include "support/certificates.h"
#include "support/log_keep.h"

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

static void check_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" does not say \"%s\"", text, part);
}

static void check_refused(const weir_tls_server_opts *opts, int code, const char *part)
{
    struct tls_context *context = NULL;
    char text[1100];

    log_keep_clear();
    assert_int_equal(tls_context_server(opts, &context), code);
    assert_null(context);
    weir_error_print(text, sizeof(text));
    check_has(text, part);
    weir_recover();
}

#define REFUSED(code, part, ...)                                                                   \
    check_refused(&(weir_tls_server_opts){ .size = sizeof(weir_tls_server_opts), __VA_ARGS__ },    \
                  code, part)
#define ONE(cert_file, key_file)                                                                   \
    .certificates = (const weir_tls_certificate[]){                                                \
        { .certificate = (cert_file), .key = (key_file) }, { 0 } }

/* It is taken, and part stands in the log; or nothing at all, if it is NULL. */
static void check_warned(const weir_tls_server_opts *opts, const char *part)
{
    struct tls_context *context = NULL;
    char text[1100];
    int rc;

    log_keep_clear();
    rc = tls_context_server(opts, &context);
    weir_error_print(text, sizeof(text));
    if (rc < 0)
        fail_msg("%s", text);
    if (part)
        check_has(log_kept, part);
    else
        assert_string_equal(log_kept, "");
    tls_context_unref(context);
}

#define WARNED(part, ...)                                                                          \
    check_warned(&(weir_tls_server_opts){ .size = sizeof(weir_tls_server_opts), __VA_ARGS__ }, part)

static const char *text_file(const char *name, const char *text)
{
    return cert_write_text(&set.folder, name, text, strlen(text));
}

static void files_that_cannot_be_read(void **state)
{
    (void)state;
    REFUSED(-ENOENT, "the certificate file ", ONE(AT("none.pem"), AT("server.key")));
    REFUSED(-ENOENT, "the key file ", ONE(AT("server.pem"), AT("none.key")));
    REFUSED(-ENOENT, "is the path right?", ONE(AT("none.pem"), AT("server.key")));
    REFUSED(-EISDIR, "Is a directory", ONE(set.folder.path, AT("server.key")));
    REFUSED(-ENOENT, "the CA file ", ONE(AT("server.pem"), AT("server.key")),
            .client_ca = AT("none.pem"));
    REFUSED(-ENOENT, "the CRL file ", ONE(AT("server.pem"), AT("server.key")),
            .client_ca = AT("ca.pem"), .client_crl = AT("none.crl"));
    REFUSED(-ENOENT, "the ticket key file ", ONE(AT("server.pem"), AT("server.key")),
            .ticket_keys = AT("none"));
    if (geteuid() != 0) {
        cert_write_key(&set.folder, "closed.key", &set.server, NULL);
        assert_int_equal(chmod(AT("closed.key"), 0), 0);
        REFUSED(-EACCES, "give the user that runs this program the right to read it",
                ONE(AT("server.pem"), AT("closed.key")));
    }
}

static void files_that_hold_something_else(void **state)
{
    static const char cut[] = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    const char *key = AT("server.key"), *cert = AT("server.pem");

    (void)state;
    REFUSED(WEIR_ECONFIG, "is empty", ONE(text_file("empty", ""), key));
    REFUSED(WEIR_ECONFIG, "is not PEM", ONE(text_file("text", "hello"), key));
    REFUSED(WEIR_ECONFIG, "is not PEM", ONE(cert, text_file("text", "\x30\x82\x01\x02")));
    REFUSED(WEIR_ECONFIG, "block 1 is damaged", ONE(text_file("cut", cut), key));
    REFUSED(WEIR_ECONFIG, "were the files given in the wrong places?", ONE(key, cert));
    REFUSED(WEIR_ECONFIG, "were the files given in the wrong places?", ONE(key, key));
    REFUSED(WEIR_ECONFIG, "it holds a certificate: were the files", ONE(cert, NULL));
    REFUSED(WEIR_ECONFIG, "has no block \"-----BEGIN X509 CRL-----\"", ONE(cert, key),
            .client_ca = AT("ca.pem"), .client_crl = AT("ca.pem"));
    REFUSED(WEIR_ECONFIG, "has 7 bytes: it must be 1 to 8 keys of 80", ONE(cert, key),
            .ticket_keys = text_file("keys", "1234567"));
}

static void keys_that_do_not_fit(void **state)
{
    struct cert weak = cert_make(.names = "DNS:localhost", .key = CERT_RSA_1024);
    struct cert sha1 = cert_make(.issuer = &set.ca, .names = "DNS:localhost", .sha1 = 1);

    (void)state;
    REFUSED(WEIR_ECONFIG, "does not belong to the certificate",
            ONE(AT("server.pem"), AT("client.key")));
    cert_write_key(&set.folder, "locked.key", &set.server, "secret");
    REFUSED(WEIR_ECONFIG, "is encrypted, and nobody can be asked",
            ONE(AT("server.pem"), AT("locked.key")));
    cert_write_all(&set.folder, "weak.pem", &weak);
    cert_write_key(&set.folder, "weak.key", &weak, NULL);
    REFUSED(WEIR_ECONFIG, "too weak (RSA, 1024 bits)", ONE(AT("weak.pem"), AT("weak.key")));
    cert_write_all(&set.folder, "sha1.pem", &sha1);
    cert_write_key(&set.folder, "sha1.key", &sha1, NULL);
    REFUSED(WEIR_ECONFIG, "signed with sha1, which is too weak",
            ONE(AT("sha1.pem"), AT("sha1.key")));
    cert_free(&weak);
    cert_free(&sha1);
}

static void options_that_contradict(void **state)
{
    (void)state;
    REFUSED(-EINVAL, "needs a certificate", .no_tickets = false);
    REFUSED(-EINVAL, ".client_ca does not say", ONE(AT("server.pem"), AT("server.key")),
            .clients = WEIR_TLS_CLIENTS_REQUIRED);
    REFUSED(-EINVAL, "with .client_ca alone", ONE(AT("server.pem"), AT("server.key")),
            .client_crl = AT("ca.crl"));
    REFUSED(-EINVAL, "contradict", ONE(AT("server.pem"), AT("server.key")), .no_tickets = true,
            .ticket_keys = AT("x"));
    REFUSED(-EINVAL, "three days", ONE(AT("server.pem"), AT("server.key")),
            .ticket_rotate_s = 3 * 86400 + 1);
    REFUSED(-EINVAL, "it must have 1 to", ONE(AT("server.pem"), AT("server.key")), .alpn = { "" });
}

static void times_are_looked_at(void **state)
{
    struct cert soon = cert_make(.issuer = &set.ca, .names = "DNS:localhost", .to_days = 5);

    (void)state;
    WARNED(NULL, ONE(AT("server.pem"), AT("server.key")));
    WARNED("has expired on 20", ONE(AT("expired.pem"), AT("expired.key")));
    WARNED("is not valid before 20", ONE(AT("early.pem"), AT("early.key")));
    cert_write_all(&set.folder, "soon.pem", &soon);
    cert_write_key(&set.folder, "soon.key", &soon, NULL);
    WARNED("days, on 20", ONE(AT("soon.pem"), AT("soon.key")));
    cert_write_crl(&set.folder, "old.crl", &set.ca, NULL, -1);
    WARNED("a revocation list in", ONE(AT("server.pem"), AT("server.key")),
           .client_ca = AT("ca.pem"), .client_crl = AT("old.crl"));
    cert_free(&soon);
}

static void chains_are_looked_at(void **state)
{
    struct cert middle = cert_make(.issuer = &set.ca, .common_name = "middle", .kind = CERT_CA);
    struct cert low = cert_make(.issuer = &middle, .common_name = "low", .kind = CERT_CA);
    struct cert leaf = cert_make(.issuer = &low, .names = "DNS:localhost",
                                 .fetch_issuer = "http://ca.example/low.der");
    const char *key = cert_write_key(&set.folder, "leaf.key", &leaf, NULL);

    (void)state;
    WARNED("give the file that the CA calls the full chain",
           ONE(cert_write_all(&set.folder, "alone.pem", &leaf), key));
    WARNED(NULL, ONE(cert_write_all(&set.folder, "full.pem", &leaf, &low, &middle), key));
    WARNED(NULL, ONE(cert_write_all(&set.folder, "root.pem", &leaf, &low, &middle, &set.ca), key));
    WARNED("each should stand behind the one it has signed",
           ONE(cert_write_all(&set.folder, "mixed.pem", &leaf, &middle, &low), key));
    WARNED("the key's own, O=Tests, is number 2",
           ONE(cert_write_all(&set.folder, "behind.pem", &low, &leaf, &middle), key));
    WARNED("is the one between them missing?",
           ONE(cert_write_all(&set.folder, "gap.pem", &leaf, &middle), key));
    WARNED("1 of the certificates",
           ONE(cert_write_all(&set.folder, "stray.pem", &leaf, &low, &middle, &set.client), key));
    cert_free(&middle);
    cert_free(&low);
    cert_free(&leaf);
}

static void what_peers_will_not_like_is_a_warning(void **state)
{
    struct cert nameless = cert_make(.issuer = &set.ca, .common_name = "www.example");
    struct cert odd = cert_make(.issuer = &set.ca,
                                .names = "DNS:a b,DNS:good.example,DNS:*,DNS:a.*.b");

    (void)state;
    WARNED("is not for servers, by its key usages",
           ONE(AT("wrong_usage.pem"), AT("wrong_usage.key")));
    cert_write_all(&set.folder, "nameless.pem", &nameless);
    WARNED("has no subjectAltName",
           ONE(AT("nameless.pem"), cert_write_key(&set.folder, "nameless.key", &nameless, NULL)));
    cert_write_all(&set.folder, "odd.pem", &odd);
    WARNED("is none of a host and is passed over",
           ONE(AT("odd.pem"), cert_write_key(&set.folder, "odd.key", &odd, NULL)));
    cert_write_key(&set.folder, "open.key", &set.server, NULL);
    assert_int_equal(chmod(AT("open.key"), 0644), 0);
    WARNED("can be read by every user of this machine", ONE(AT("server.pem"), AT("open.key")));
    WARNED("are for localhost",
           .certificates = (const weir_tls_certificate[]){
               { .certificate = AT("server.pem"), .key = AT("server.key") },
               { .certificate = AT("self_signed.pem"), .key = AT("self_signed.key") },
               { 0 } });
    WARNED("the secrets of all TLS connections are written to",
           ONE(AT("server.pem"), AT("server.key")), .key_log = AT("keys.log"));
    cert_free(&nameless);
    cert_free(&odd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_that_cannot_be_read),
        cmocka_unit_test(files_that_hold_something_else),
        cmocka_unit_test(keys_that_do_not_fit),
        cmocka_unit_test(options_that_contradict),
        cmocka_unit_test(times_are_looked_at),
        cmocka_unit_test(chains_are_looked_at),
        cmocka_unit_test(what_peers_will_not_like_is_a_warning),
    };

    return cmocka_run_group_tests(tests, make_set, free_set);
}
