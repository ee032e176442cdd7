/* `weir cert`: a CA of one's own, and certificates that it signs, for development.
 *
 * The CA in the folder is made once and then used again, so that what trusts it goes on to do so.
 * Nothing that is there is replaced without --force, and the CA not even then, unless it can't be
 * used any more. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>

#include <weir/error.h>

#include "base/alloc.h"
#include "cert/cert.h"
#include "cli.h"
#include "net/tls_file.h"

#define DAYS 397
#define DAYS_MAX 398
#define CLIENT_NAME_MAX 64

struct settings {
    const char *folder;
    struct leaf leaf;
    const char *client; /* its name */
    bool force;
};

/* What one run has to do with. */
struct files {
    char *ca, *ca_key, *cert, *key;
};

static int fail_chain(void)
{
    char text[1100];

    weir_error_print(text, sizeof(text));
    fprintf(stderr, "weir cert: %s\n", text[0] ? text : "no memory");
    return 1;
}

/* ---- what is printed ------------------------------------------------------------------------- */

/* A path as a shell takes it: in quotes where it holds more than plain characters. */
static void print_path(const char *path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "/._-+@%:,";

    if (path[strspn(path, plain)] == '\0' && *path != '-') {
        fputs(path, stdout);
        return;
    }
    printf("'%s", *path == '-' ? "./" : "");
    for (; *path; path++)
        *path == '\'' ? fputs("'\\''", stdout) : putchar(*path);
    putchar('\'');
}

static void print_file(const char *path, const char *what)
{
    printf("  ");
    print_path(path);
    printf("\n      %s\n", what);
}

static void print_names(const struct leaf *leaf)
{
    for (size_t i = 0; i < leaf->name_count; i++)
        printf("%s%s", i ? ", " : "", leaf->names[i]);
}

static void print_made(const struct settings *settings, const struct files *files, const X509 *cert,
                       bool new_ca)
{
    struct tls_date date;

    printf("%s\n", new_ca ? "Made a CA, and a certificate that it has signed:"
                          : "Made a certificate, signed by the CA that was there:");
    if (new_ca) {
        print_file(files->ca, "the CA's certificate: what the other side has to trust");
        print_file(files->ca_key, "its key: whoever has it can make certificates; keep it here");
    }
    printf("  ");
    print_path(files->cert);
    printf("\n      for %s", settings->client ? settings->client : "");
    if (!settings->client)
        print_names(&settings->leaf);
    printf("; until %s\n", tls_date(&date, X509_get0_notAfter(cert)));
    print_file(files->key, "its key");
}

static void print_next(const struct settings *settings, const struct files *files)
{
    printf("\nNext:\n");
    if (settings->client) {
        printf("  call a server that asks for certificates of this CA's:\n    curl --cacert ");
        print_path(files->ca);
        printf(" --cert ");
        print_path(files->cert);
        printf(" --key ");
        print_path(files->key);
        printf(" https://localhost:8443/\n");
        return;
    }
    printf("  serve with the certificate and its key, then\n    curl --cacert ");
    print_path(files->ca);
    printf(" https://localhost:8443/\n  a browser: add ");
    print_path(files->ca);
    printf(" to the authorities that it trusts, on this machine alone\n");
}

/* ---- what is made -------------------------------------------------------------------------------- */

static bool list_files(const struct settings *settings, struct files *files)
{
    char cert[CLIENT_NAME_MAX + 32] = "cert.pem", key[CLIENT_NAME_MAX + 32] = "key.pem";

    if (settings->client) {
        snprintf(cert, sizeof(cert), "client-%s.pem", settings->client);
        snprintf(key, sizeof(key), "client-%s-key.pem", settings->client);
    }
    files->ca = path_in(settings->folder, "ca.pem");
    files->ca_key = path_in(settings->folder, "ca-key.pem");
    files->cert = path_in(settings->folder, cert);
    files->key = path_in(settings->folder, key);
    return files->ca && files->ca_key && files->cert && files->key;
}

static void files_done(struct files *files)
{
    base_free(files->ca);
    base_free(files->ca_key);
    base_free(files->cert);
    base_free(files->key);
}

static int make_folder(const char *path)
{
    struct stat about;

    if (mkdir(path, 0755) == 0)
        return 0;
    if (errno != EEXIST)
        return weir_fail(-errno, "the folder %s can't be made: %s", path, weir_error_text(-errno));
    if (stat(path, &about) < 0 || !S_ISDIR(about.st_mode))
        return weir_fail(-ENOTDIR, "%s is there, and is no folder", path);
    return 0;
}

static int new_ca(const struct files *files, bool force, struct issued *ret_ca)
{
    struct issued ca = { 0 };
    int rc = make_ca(&ca);

    if (rc == 0)
        rc = store_key(files->ca_key, ca.key, force);
    if (rc == 0)
        rc = store_cert(files->ca, ca.cert, force);
    if (rc < 0)
        issued_done(&ca);
    else
        *ret_ca = ca;
    return rc;
}

/* The CA that is there, or a new one. */
static int find_ca(const struct settings *settings, const struct files *files,
                   struct issued *ret_ca, bool *ret_new)
{
    int cert = path_exists(files->ca), key = path_exists(files->ca_key), rc;

    if (cert < 0 || key < 0)
        return cert < 0 ? cert : key;
    *ret_new = !cert && !key;
    if (*ret_new)
        return new_ca(files, false, ret_ca);
    rc = load_ca(files->ca, files->ca_key, ret_ca);
    if (rc < 0 && rc != -EACCES && settings->force) {
        weir_recover();
        *ret_new = true;
        return new_ca(files, true, ret_ca);
    }
    return weir_wrap(rc,
                     "the CA that is there can't be used (with --force a new one takes its place, "
                     "and what trusts the old one must be told)");
}

static int check_free(const struct settings *settings, const struct files *files)
{
    const char *paths[] = { files->cert, files->key };

    for (size_t i = 0; i < 2 && !settings->force; i++) {
        int rc = path_exists(paths[i]);

        if (rc != 0)
            return rc < 0
                       ? rc
                       : weir_fail(-EEXIST, "%s is there already: --force replaces it", paths[i]);
    }
    return 0;
}

static int make(const struct settings *settings, const struct files *files)
{
    struct issued ca = { 0 }, leaf = { 0 };
    bool is_new = false;
    int rc = make_folder(settings->folder);

    if (rc == 0)
        rc = check_free(settings, files);
    if (rc == 0)
        rc = find_ca(settings, files, &ca, &is_new);
    if (rc == 0)
        rc = make_leaf(&ca, &settings->leaf, &leaf);
    if (rc == 0)
        rc = store_key(files->key, leaf.key, settings->force);
    if (rc == 0)
        rc = store_cert(files->cert, leaf.cert, settings->force);
    if (rc == 0) {
        print_made(settings, files, leaf.cert, is_new);
        print_next(settings, files);
    }
    issued_done(&ca);
    issued_done(&leaf);
    return rc < 0 ? fail_chain() : 0;
}

/* ---- the command ------------------------------------------------------------------------------------ */

static bool read_name(void *to, const char *value)
{
    struct leaf *leaf = &((struct settings *)to)->leaf;
    enum name_kind kind = name_kind(value);

    for (size_t i = 0; i < leaf->name_count; i++) {
        if (strcmp(leaf->names[i], value) == 0)
            return true;
    }
    if (leaf->name_count == CERT_NAMES_MAX || (kind != NAME_HOST && kind != NAME_ADDRESS))
        return false;
    leaf->names[leaf->name_count++] = value;
    return true;
}

static bool read_client(void *to, const char *value)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@";

    ((struct settings *)to)->client = value;
    return *value && strlen(value) <= CLIENT_NAME_MAX && value[strspn(value, plain)] == '\0';
}

static bool read_days(void *to, const char *value)
{
    return cli_number(value, 1, DAYS_MAX, &((struct settings *)to)->leaf.days);
}

static bool read_force(void *to, const char *value)
{
    (void)value;
    return ((struct settings *)to)->force = true;
}

/* A client's certificate bears its name as the kind of name that it is. */
static void become_client(struct settings *settings)
{
    struct leaf *leaf = &settings->leaf;
    enum name_kind kind = name_kind(settings->client);

    leaf->client = true;
    leaf->common_name = settings->client;
    leaf->name_count = 0;
    if (kind != NAME_BAD)
        leaf->names[leaf->name_count++] = settings->client;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct settings settings = {
        .leaf = { .common_name = "localhost",
                  .names = { "localhost", "127.0.0.1", "::1" },
                  .name_count = 3,
                  .days = DAYS },
    };
    struct files files = { NULL, NULL, NULL, NULL };
    int rc = cli_read(command, argc, argv, &settings, &settings.folder);

    if (rc != CLI_GO_ON)
        return rc;
    if (!*settings.folder)
        return cli_mistake(command, "DIR is empty");
    if (settings.client && settings.leaf.name_count > 3)
        return cli_mistake(command,
                           "--name is for servers' certificates, --client for one of a client");
    if (settings.client)
        become_client(&settings);
    rc = list_files(&settings, &files) ? make(&settings, &files) : fail_chain();
    files_done(&files);
    return rc;
}

static const struct cli_flag flags[] = {
    { "--name", "NAME", read_name,
      "a host name (xn--... for one with other letters), *.example.test, or an address; "
      "64 in all",
      "a further name that it is for; may be repeated" },
    { "--client", "NAME", read_client, "1 to 64 of the letters a-z A-Z 0-9 . _ - @",
      "make a client's certificate instead, of this name" },
    { "--days", "N", read_days, "a number from 1 to 398", "how long it is valid (397)" },
    { "--force", NULL, read_force, NULL, "replace the certificate and key that are there" },
    { NULL, NULL, NULL, NULL, NULL },
};

const struct cli_command cmd_cert = {
    .name = "cert",
    .operand = "DIR",
    .summary = "make a CA and certificates of your own, for development",
    .text =
        "Makes cert.pem and key.pem in DIR, for localhost, 127.0.0.1 and ::1, signed by a CA of\n"
        "your own: ca.pem and ca-key.pem, which are made if they are not there. Whoever trusts\n"
        "ca.pem trusts the certificate. Not for the world outside: there, a public CA's are needed.\n",
    .flags = flags,
    .run = run,
};
