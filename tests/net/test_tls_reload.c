/* Reloading TLS contexts: under load, from other threads, by a watch on the files; and what a
 * reload that fails leaves. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "net/tls_context.h"
#include "support/certificates.h"
#include "support/in_task.h"
#include "support/log_keep.h"
#include "support/shake.h"

static struct cert_set set;

#define AT(name) cert_path(&set.folder, name)

/* Put these in the places of the server's files. */
static void install(const struct cert *cert)
{
    cert_write_all(&set.folder, "live.pem", cert);
    cert_write_key(&set.folder, "live.key", cert, NULL);
}

static int make_set(void **state)
{
    (void)state;
    cert_set_make(&set);
    install(&set.server);
    return log_keep();
}

static int free_set(void **state)
{
    (void)state;
    cert_set_free(&set);
    return weir_log_close();
}

static struct tls_context *make_server(void)
{
    struct tls_context *context = NULL;

    CHECK_INT(
        tls_context_server(
            &(weir_tls_server_opts){
                .size = sizeof(weir_tls_server_opts),
                .watch = true,
                .certificates = (const weir_tls_certificate[]){ { .certificate = AT("live.pem"),
                                                                  .key = AT("live.key") },
                                                                { 0 } } },
            &context),
        0);
    return context;
}

/* Which certificate is shown now? */
static const struct cert *shown(struct tls_context *server)
{
    const struct cert *const all[] = { &set.server, &set.server_rsa, &set.other_name };
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    const struct cert *found = NULL;
    struct shake shake;

    shake_init_plain(&shake, server, client);
    CHECK(shake_run(&shake));
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (X509_cmp(all[i]->cert, SSL_get0_peer_certificate(shake.client)) == 0)
            found = all[i];
    }
    shake_done(&shake);
    SSL_CTX_free(client);
    return found;
}

static void check_reload_fails(struct tls_context *server, int code, const char *part)
{
    char text[1100];

    CHECK_INT(tls_context_reload(server), code);
    weir_error_print(text, sizeof(text));
    if (!strstr(text, part))
        fail_msg("\"%s\" does not say \"%s\"", text, part);
    weir_recover();
    assert_ptr_equal(shown(server), &set.server);
}

static void a_reload_that_fails_keeps_what_was_there(void **state)
{
    struct tls_context *server = make_server();

    (void)state;
    cert_write_key(&set.folder, "live.key", &set.other_name, NULL);
    check_reload_fails(server, WEIR_ECONFIG, "does not belong");
    unlink(AT("live.pem"));
    check_reload_fails(server, -ENOENT, "can't be read");
    cert_write_text(&set.folder, "live.pem", "half of", 7);
    check_reload_fails(server, WEIR_ECONFIG, "not PEM");
    install(&set.expired);
    check_reload_fails(server, WEIR_ECONFIG, "has expired, or is not valid yet");
    install(&set.early);
    check_reload_fails(server, WEIR_ECONFIG, "has expired, or is not valid yet");
    install(&set.other_name);
    assert_int_equal(tls_context_reload(server), 0);
    assert_ptr_equal(shown(server), &set.other_name);
    tls_context_unref(server);
    install(&set.server);
}

static void who_has_expired_already_may_reload(void **state)
{
    struct tls_context *server;

    (void)state;
    install(&set.expired);
    server = make_server();
    assert_int_equal(tls_context_reload(server), 0);
    install(&set.server);
    assert_int_equal(tls_context_reload(server), 0);
    assert_ptr_equal(shown(server), &set.server);
    tls_context_unref(server);
}

static void connections_keep_what_they_began_with(void **state)
{
    struct tls_context *server = make_server();
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    struct shake shake;

    (void)state;
    shake_init_plain(&shake, server, client);
    install(&set.other_name);
    assert_int_equal(tls_context_reload(server), 0);
    tls_context_unref(server); /* and they need no context any more */
    assert_true(shake_run(&shake));
    assert_int_equal(X509_cmp(set.server.cert, SSL_get0_peer_certificate(shake.client)), 0);
    shake_done(&shake);
    SSL_CTX_free(client);
    install(&set.server);
}

/* ---- threads --------------------------------------------------------------------------------- */

#define THREADS 3
#define SHAKES 60

struct load {
    struct tls_context *server, *client;
    atomic_int running, failed;
};

static void *shake_many(void *arg)
{
    struct load *load = arg;

    for (int i = 0; i < SHAKES; i++) {
        struct shake shake;

        shake_init(&shake, load->server, load->client);
        if (tls_context_expect(load->client, shake.client, WEIR_S("localhost"), 443) < 0 ||
            !shake_run(&shake))
            atomic_fetch_add(&load->failed, 1);
        shake_done(&shake);
    }
    atomic_fetch_sub(&load->running, 1);
    return NULL;
}

/* Certificates and CAs are swapped while connections begin on other threads: none fails. */
static void nothing_fails_under_load(void **state)
{
    struct load load = { .server = make_server(), .running = THREADS };
    pthread_t threads[THREADS];
    int reloads = 0;

    (void)state;
    assert_int_equal(
        tls_context_client(
            &(weir_tls_client_opts){ .size = sizeof(weir_tls_client_opts), .ca = AT("ca.pem") },
            &load.client),
        0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, shake_many, &load), 0);
    while (atomic_load(&load.running) > 0 || reloads < 4) {
        install(reloads++ % 2 ? &set.server : &set.server_rsa);
        assert_int_equal(tls_context_reload(load.server), 0);
        assert_int_equal(tls_context_reload(load.client), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&load.failed), 0);
    tls_context_unref(load.server);
    tls_context_unref(load.client);
    install(&set.server);
}

/* ---- in tasks ---------------------------------------------------------------------------------- */

TASK_TEST(a_task_reloads_on_the_pool)
{
    struct tls_context *server = make_server();

    (void)arg;
    install(&set.other_name);
    CHECK_INT(tls_context_reload(server), 0);
    CHECK(shown(server) == &set.other_name);
    install(&set.server);
    WEIR_SCOPE(s) {
        weir_cancel(s);
        CHECK_INT(tls_context_reload(server), -ECANCELED);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK(shown(server) == &set.other_name);
    tls_context_unref(server);
    return 0;
}

static int prepare(void *client)
{
    return tls_context_prepare(client);
}

TASK_TEST(many_prepare_a_client_at_once)
{
    struct tls_context *client;

    (void)arg;
    setenv("SSL_CERT_FILE", AT("ca.pem"), 1);
    CHECK_INT(tls_context_client(&(weir_tls_client_opts){ .size = sizeof(weir_tls_client_opts) },
                                 &client),
              0);
    WEIR_SCOPE(s) {
        for (int i = 0; i < 20; i++)
            weir_go(s, prepare, client, .spread = true);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK(tls_context_is_prepared(client));
    tls_context_unref(client);
    unsetenv("SSL_CERT_FILE");
    return 0;
}

/* Wait until that one is shown. */
static void await(struct tls_context *server, const struct cert *wanted)
{
    while (shown(server) != wanted)
        CHECK_INT(weir_sleep_ms(5), 0);
}

TASK_TEST(changed_files_are_noticed)
{
    struct tls_context *server = make_server();

    (void)arg;
    CHECK(tls_context_is_watched(server));
    WEIR_SCOPE(s, .timeout_ms = 30000) {
        weir_go(s, tls_context_watch, server);
        install(&set.other_name);
        await(server, &set.other_name);
        install(&set.server_rsa);
        await(server, &set.server_rsa);
        /* First the certificate alone, which does not fit; then its key. */
        log_keep_clear();
        cert_write_all(&set.folder, "live.pem", &set.server);
        while (!log_keep_has("the new files are not used"))
            CHECK_INT(weir_sleep_ms(5), 0);
        CHECK(shown(server) == &set.server_rsa);
        cert_write_key(&set.folder, "live.key", &set.server, NULL);
        await(server, &set.server);
        weir_stop(s);
        CHECK_INT(weir_join(s), 0);
    }
    tls_context_unref(server);
    return 0;
}

/* As a cluster mounts secrets: live.pem is a link into a folder "data", which is itself a link
 * that is replaced. */
TASK_TEST(folders_that_are_swapped_are_noticed)
{
    struct tls_context *server;
    struct cert_folder first, second;
    char link_path[300], beside[300];

    (void)arg;
    cert_folder_make(&first);
    cert_folder_make(&second);
    cert_write_all(&first, "live.pem", &set.server);
    cert_write_key(&first, "live.key", &set.server, NULL);
    cert_write_all(&second, "live.pem", &set.other_name);
    cert_write_key(&second, "live.key", &set.other_name, NULL);
    snprintf(link_path, sizeof(link_path), "%s", AT("data"));
    snprintf(beside, sizeof(beside), "%s", AT("data.new"));
    unlink(AT("live.pem"));
    unlink(AT("live.key"));
    CHECK_INT(symlink(first.path, link_path), 0);
    CHECK_INT(symlink("data/live.pem", AT("live.pem")), 0);
    CHECK_INT(symlink("data/live.key", AT("live.key")), 0);
    server = make_server();
    WEIR_SCOPE(s, .timeout_ms = 30000) {
        weir_go(s, tls_context_watch, server);
        CHECK(shown(server) == &set.server);
        CHECK_INT(symlink(second.path, beside), 0);
        CHECK_INT(rename(beside, link_path), 0);
        await(server, &set.other_name);
        weir_cancel(s);
        CHECK_INT(weir_join(s), -ECANCELED);
    }
    tls_context_unref(server);
    unlink(AT("live.pem"));
    unlink(AT("live.key"));
    install(&set.server);
    cert_folder_remove(&first);
    cert_folder_remove(&second);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reload_that_fails_keeps_what_was_there),
        cmocka_unit_test(who_has_expired_already_may_reload),
        cmocka_unit_test(connections_keep_what_they_began_with),
        cmocka_unit_test(nothing_fails_under_load),
        cmocka_unit_test(a_task_reloads_on_the_pool),
        cmocka_unit_test(many_prepare_a_client_at_once),
        cmocka_unit_test(changed_files_are_noticed),
        cmocka_unit_test(folders_that_are_swapped_are_noticed),
    };

    return cmocka_run_group_tests(tests, make_set, free_set);
}
