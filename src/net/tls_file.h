/* The files of TLS contexts: PEM texts and what they hold. On a thread that may block. Failures
 * leave a sentence that names the file. */
#ifndef NET_TLS_FILE_H
#define NET_TLS_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/x509.h>

#include <weir/str.h>

#define TLS_FILE_MAX_BYTES (16u << 20)

/* A file's bytes; wiped when they are dropped, as they may be secret. */
struct tls_file {
    const char *path, *what; /* "certificate", "key" ... */
    char *bytes;
    size_t len;
    unsigned mode;
};

/* 0; -errno of opening or reading, or -EFBIG. */
int tls_file_read(const char *path, const char *what, struct tls_file *ret_file);
void tls_file_done(struct tls_file *file); /* also of one that is all zero */

/* It is secret: warn if everyone on this machine can read it. */
void tls_file_warn_of_readers(const struct tls_file *file);

/* All certificates in it, in their order: 0 with at least one, or WEIR_ECONFIG or -ENOMEM. */
int tls_file_certificates(const struct tls_file *file, STACK_OF(X509) * *ret_list);
/* The first private key in it. */
int tls_file_key(const struct tls_file *file, EVP_PKEY **ret_key);
/* All revocation lists in it, at least one. */
int tls_file_crls(const struct tls_file *file, STACK_OF(X509_CRL) * *ret_list);

/* The reason at the head of this thread's queue of OpenSSL's errors, which is emptied; never
 * NULL. */
const char *tls_library_reason(void);

/* A certificate's subject for a sentence, "CN=example.com", cut to the text's size. */
struct tls_subject {
    char text[160];
};
const char *tls_subject(struct tls_subject *subject, const X509 *cert);
/* A point in time for a sentence: "2026-02-28 11:59:00 UTC". */
struct tls_date {
    char text[32];
};
const char *tls_date(struct tls_date *date, const ASN1_TIME *time);
/* Seconds from now until then, negative when it has passed. */
int64_t tls_seconds_until(const ASN1_TIME *then);

#endif
