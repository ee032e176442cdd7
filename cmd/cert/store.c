/* The files of `weir cert`.
 *
 * A file is written under another name and then put into its place in one step: by link(2), which
 * fails where there is something already, or with --force by rename(2). Keys can't be read by
 * others at any moment. */
#include "cert/cert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <weir/error.h>

#include "base/alloc.h"
#include "net/tls_file.h"

char *path_in(const char *folder, const char *name)
{
    size_t len = strlen(folder), size;
    char *path;

    while (len > 1 && folder[len - 1] == '/')
        len--;
    size = len + strlen(name) + 2;
    path = base_malloc(size);
    if (path)
        snprintf(path, size, "%.*s%s%s", (int)len, folder, folder[len - 1] == '/' ? "" : "/", name);
    return path;
}

int path_exists(const char *path)
{
    struct stat about;

    if (lstat(path, &about) == 0)
        return 1;
    return errno == ENOENT ? 0 : weir_fail(-errno, "%s: %s", path, weir_error_text(-errno));
}

/* ---- reading ------------------------------------------------------------------------------------- */

static int read_cert(const char *path, X509 **ret_cert)
{
    struct tls_file file = { 0 };
    STACK_OF(X509) *list = NULL;
    int rc = tls_file_read(path, "CA", &file);

    if (rc == 0)
        rc = tls_file_certificates(&file, &list);
    if (rc == 0)
        *ret_cert = sk_X509_shift(list);
    sk_X509_pop_free(list, X509_free);
    tls_file_done(&file);
    return rc;
}

static int read_key(const char *path, EVP_PKEY **ret_key)
{
    struct tls_file file = { 0 };
    int rc = tls_file_read(path, "key", &file);

    if (rc == 0)
        rc = tls_file_key(&file, ret_key);
    tls_file_done(&file);
    return rc;
}

int load_ca(const char *cert_path, const char *key_path, struct issued *ret_ca)
{
    struct issued ca = { 0 };
    struct tls_date date;
    int rc = read_cert(cert_path, &ca.cert);

    if (rc == 0)
        rc = read_key(key_path, &ca.key);
    if (rc == 0 && X509_check_private_key(ca.cert, ca.key) != 1)
        rc = weir_fail(WEIR_ECONFIG, "the key %s does not belong to the CA %s", key_path,
                       cert_path);
    if (rc == 0 && X509_check_ca(ca.cert) != 1)
        rc = weir_fail(WEIR_ECONFIG, "%s is no CA's certificate", cert_path);
    if (rc == 0 && tls_seconds_until(X509_get0_notAfter(ca.cert)) <= 0)
        rc = weir_fail(WEIR_ECONFIG, "the CA %s has expired on %s", cert_path,
                       tls_date(&date, X509_get0_notAfter(ca.cert)));
    ERR_clear_error();
    if (rc < 0)
        issued_done(&ca);
    else
        *ret_ca = ca;
    return rc;
}

/* ---- writing --------------------------------------------------------------------------------------- */

static int write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        bytes += n;
        len -= (size_t)n;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

static int write_beside(const char *beside, const char *bytes, size_t len, unsigned mode)
{
    int fd, rc;

    if (unlink(beside) < 0 && errno != ENOENT) /* of a run that was killed */
        return -errno;
    fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return -errno;
    rc = write_all(fd, bytes, len);
    if (close(fd) < 0 && rc == 0)
        rc = -errno;
    return rc;
}

static int put_in_place(const char *beside, const char *path, bool force)
{
    int rc = (force ? rename(beside, path) : link(beside, path)) < 0 ? -errno : 0;

    if (rc < 0 || !force)
        unlink(beside);
    return rc;
}

static int store(const char *path, BIO *bio, unsigned mode, bool force)
{
    size_t size = strlen(path) + sizeof(".new");
    char *beside = base_malloc(size), *bytes = NULL;
    long len = BIO_get_mem_data(bio, &bytes);
    int rc;

    if (!beside)
        return -ENOMEM;
    snprintf(beside, size, "%s.new", path);
    rc = write_beside(beside, bytes, (size_t)len, mode);
    if (rc == 0)
        rc = put_in_place(beside, path, force);
    else
        unlink(beside);
    base_free(beside);
    return rc < 0 ? weir_fail(rc, "%s can't be written: %s", path, weir_error_text(rc)) : 0;
}

int store_cert(const char *path, const X509 *cert, bool force)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int rc = bio && PEM_write_bio_X509(bio, cert) == 1 ? store(path, bio, 0644, force) : -ENOMEM;

    BIO_free(bio);
    return rc;
}

int store_key(const char *path, const EVP_PKEY *key, bool force)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    int rc = bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1
                 ? store(path, bio, 0600, force)
                 : -ENOMEM;

    BIO_free(bio);
    return rc;
}
