/* What `weir cert` makes, and its files. */
#ifndef CMD_CERT_CERT_H
#define CMD_CERT_CERT_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/x509.h>

#define CERT_NAMES_MAX 64

/* A certificate and its key. */
struct issued {
    X509 *cert;
    EVP_PKEY *key;
};
void issued_done(struct issued *issued); /* also of one that is all zero */

struct leaf {
    const char *common_name;
    const char *names[CERT_NAMES_MAX]; /* hosts and addresses; of a client: at most one */
    size_t name_count;
    bool client;
    long days;
};

enum name_kind { NAME_BAD, NAME_HOST, NAME_ADDRESS, NAME_EMAIL };
/* What a name can stand in a certificate as; a host may begin with "*.". */
enum name_kind name_kind(const char *name);

/* A CA for development, for ten years. 0, or a failure with a sentence. */
int make_ca(struct issued *ret_ca);
/* A certificate that the CA signs; it ends no later than the CA. */
int make_leaf(const struct issued *ca, const struct leaf *leaf, struct issued *ret_leaf);

/* A path in the folder; the caller frees it with base_free(). NULL without memory. */
char *path_in(const char *folder, const char *name);
/* 1: there is one of that name, also a link that leads nowhere; 0; or a failure. */
int path_exists(const char *path);
/* The CA in these files: 0, or a failure: they can't be read, don't fit, have expired. */
int load_ca(const char *cert_path, const char *key_path, struct issued *ret_ca);
/* In one step. Without force a file that is there is kept, and that is a failure. */
int store_cert(const char *path, const X509 *cert, bool force);
/* For the user's eyes alone. */
int store_key(const char *path, const EVP_PKEY *key, bool force);

#endif
