/* Reading the files of TLS contexts.
 *
 * A file is read whole, with a bound, before OpenSSL looks at it: so that what the kernel says and
 * what the library says can be told apart, and each be said in words that help. PEM is RFC 7468's;
 * text around the blocks is passed over. */
#include "net/tls_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include <weir/error.h>
#include <weir/log.h>

#include "base/alloc.h"
#include "net/file.h"

#define GROW_BYTES 8192

/* ---- bytes ---------------------------------------------------------------------------- */

/* A larger block for what is read; the old one is wiped, as realloc would not. */
static int file_grow(struct tls_file *file, size_t *room)
{
    size_t larger = *room ? *room * 2 : GROW_BYTES;
    char *bytes = base_malloc(larger);

    if (!bytes)
        return -ENOMEM;
    if (file->len)
        memcpy(bytes, file->bytes, file->len);
    if (file->bytes)
        OPENSSL_cleanse(file->bytes, *room);
    base_free(file->bytes);
    file->bytes = bytes;
    *room = larger;
    return 0;
}

static int file_fill(struct tls_file *file, int fd)
{
    size_t room = 0;

    for (;;) {
        ssize_t n;

        if (file->len >= TLS_FILE_MAX_BYTES)
            return -EFBIG;
        if (file->len == room && file_grow(file, &room) < 0)
            return -ENOMEM;
        n = sys_read(fd, file->bytes + file->len, room - file->len, -1);
        if (n <= 0)
            return (int)n;
        file->len += (size_t)n;
    }
}

static int file_failure(const struct tls_file *file, int rc)
{
    if (rc == -EFBIG)
        return weir_fail(rc, "the %s file %s has more than %u bytes: it can't be the right one",
                         file->what, file->path, TLS_FILE_MAX_BYTES);
    return weir_fail(rc, "the %s file %s can't be read: %s%s", file->what, file->path,
                     weir_error_text(rc),
                     rc == -EACCES   ? ": give the user that runs this program the right to read it"
                     : rc == -ENOENT ? ": is the path right?"
                                     : "");
}

int tls_file_read(const char *path, const char *what, struct tls_file *ret_file)
{
    struct tls_file file = { .path = path, .what = what };
    int fd = sys_open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0), rc;
    struct stat about;

    if (fd < 0)
        return file_failure(&file, fd);
    rc = fstat(fd, &about) < 0 ? -errno : 0;
    if (rc == 0 && !S_ISREG(about.st_mode))
        rc = S_ISDIR(about.st_mode) ? -EISDIR : -EINVAL;
    if (rc == 0)
        rc = file_fill(&file, fd);
    close(fd);
    if (rc < 0) {
        tls_file_done(&file);
        return rc == -ENOMEM ? rc : file_failure(&file, rc);
    }
    file.mode = about.st_mode;
    *ret_file = file;
    return 0;
}

void tls_file_done(struct tls_file *file)
{
    if (file->bytes)
        OPENSSL_cleanse(file->bytes, file->len);
    base_free(file->bytes);
    file->bytes = NULL;
    file->len = 0;
}

void tls_file_warn_of_readers(const struct tls_file *file)
{
    if (file->mode & 0007)
        weir_warn("the %s %s can be read by every user of this machine: chmod 600 it", file->what,
                  file->path);
}

/* ---- what they hold -------------------------------------------------------------------- */

const char *tls_library_reason(void)
{
    unsigned long error = ERR_peek_error();
    const char *reason = error ? ERR_reason_error_string(error) : NULL;

    ERR_clear_error();
    return reason ? reason : "the library gives no reason";
}

static BIO *file_bio(const struct tls_file *file)
{
    ERR_clear_error();
    return BIO_new_mem_buf(file->len ? file->bytes : "", (int)file->len);
}

static bool file_has(const struct tls_file *file, const char *text)
{
    return file->len && memmem(file->bytes, file->len, text, strlen(text));
}

/* Nothing of the kind was found: say what is there instead. */
static int file_lacks(const struct tls_file *file, const char *kind)
{
    if (file->len == 0)
        return weir_fail(WEIR_ECONFIG, "the %s file %s is empty", file->what, file->path);
    if (!file_has(file, "-----BEGIN "))
        return weir_fail(WEIR_ECONFIG,
                         "the %s file %s is not PEM: it needs a line \"-----BEGIN %s-----\" (a "
                         "binary DER file is converted by openssl x509, pkey or crl -inform DER)",
                         file->what, file->path, kind);
    return weir_fail(WEIR_ECONFIG, "the %s file %s has no block \"-----BEGIN %s-----\"%s",
                     file->what, file->path, kind,
                     file_has(file, "PRIVATE KEY-----")
                         ? ": it holds a private key: were the files given in the wrong places?"
                     : file_has(file, "-----BEGIN CERTIFICATE-----")
                         ? ": it holds a certificate: were the files given in the wrong places?"
                         : "");
}

/* Has reading a block failed because there is no further one? */
static bool at_end(void)
{
    unsigned long error = ERR_peek_last_error();

    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

static int refuse_password(char *text, int size, int writing, void *asked)
{
    (void)text, (void)size, (void)writing;
    if (asked)
        *(bool *)asked = true;
    return -1;
}

/* After the last block: 0, or what is wrong with it. */
static int list_end(const struct tls_file *file, const char *kind, int count)
{
    bool end = at_end();

    if (!end)
        return weir_fail(WEIR_ECONFIG, "the %s file %s: block %d is damaged: %s", file->what,
                         file->path, count + 1, tls_library_reason());
    ERR_clear_error();
    return count > 0 ? 0 : file_lacks(file, kind);
}

int tls_file_certificates(const struct tls_file *file, STACK_OF(X509) * *ret_list)
{
    BIO *bio = file_bio(file);
    STACK_OF(X509) *list = sk_X509_new_null();
    X509 *cert = NULL;
    int rc = bio && list ? 0 : -ENOMEM;

    while (rc == 0 && (cert = PEM_read_bio_X509(bio, NULL, refuse_password, NULL))) {
        if (!sk_X509_push(list, cert)) {
            X509_free(cert);
            rc = -ENOMEM;
        }
    }
    if (rc == 0)
        rc = list_end(file, "CERTIFICATE", sk_X509_num(list));
    BIO_free(bio);
    if (rc < 0)
        sk_X509_pop_free(list, X509_free);
    else
        *ret_list = list;
    return rc;
}

int tls_file_crls(const struct tls_file *file, STACK_OF(X509_CRL) * *ret_list)
{
    BIO *bio = file_bio(file);
    STACK_OF(X509_CRL) *list = sk_X509_CRL_new_null();
    X509_CRL *crl = NULL;
    int rc = bio && list ? 0 : -ENOMEM;

    while (rc == 0 && (crl = PEM_read_bio_X509_CRL(bio, NULL, refuse_password, NULL))) {
        if (!sk_X509_CRL_push(list, crl)) {
            X509_CRL_free(crl);
            rc = -ENOMEM;
        }
    }
    if (rc == 0)
        rc = list_end(file, "X509 CRL", sk_X509_CRL_num(list));
    BIO_free(bio);
    if (rc < 0)
        sk_X509_CRL_pop_free(list, X509_CRL_free);
    else
        *ret_list = list;
    return rc;
}

int tls_file_key(const struct tls_file *file, EVP_PKEY **ret_key)
{
    BIO *bio = file_bio(file);
    bool asked = false;
    EVP_PKEY *key;

    if (!bio)
        return -ENOMEM;
    key = PEM_read_bio_PrivateKey(bio, NULL, refuse_password, &asked);
    BIO_free(bio);
    if (key) {
        ERR_clear_error();
        *ret_key = key;
        return 0;
    }
    if (asked || file_has(file, "ENCRYPTED")) {
        ERR_clear_error();
        return weir_fail(WEIR_ECONFIG,
                         "the key in %s is encrypted, and nobody can be asked for its password: "
                         "decrypt it (openssl pkey -in FILE -out NEW) and let nobody else read it",
                         file->path);
    }
    if (!file_has(file, "PRIVATE KEY-----")) {
        ERR_clear_error();
        return file_lacks(file, "PRIVATE KEY");
    }
    return weir_fail(WEIR_ECONFIG, "the key in %s is damaged: %s", file->path,
                     tls_library_reason());
}

/* ---- for sentences ----------------------------------------------------------------------- */

const char *tls_subject(struct tls_subject *subject, const X509 *cert)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int len = 0;

    subject->text[0] = '\0';
    if (bio && X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0,
                                  XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0)
        len = BIO_read(bio, subject->text, sizeof(subject->text) - 1);
    subject->text[len > 0 ? len : 0] = '\0';
    BIO_free(bio);
    return subject->text[0] ? subject->text : "a certificate without a subject";
}

const char *tls_date(struct tls_date *date, const ASN1_TIME *time)
{
    struct tm tm;

    if (!ASN1_TIME_to_tm(time, &tm) ||
        strftime(date->text, sizeof(date->text), "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
        snprintf(date->text, sizeof(date->text), "an unreadable date");
    return date->text;
}

int64_t tls_seconds_until(const ASN1_TIME *then)
{
    int days = 0, seconds = 0;

    if (!ASN1_TIME_diff(&days, &seconds, NULL, then))
        return INT64_MIN;
    return (int64_t)days * 86400 + seconds;
}
