/* Keys for session tickets.
 *
 * Whoever has such a key can read the recorded connections that TLS 1.2 resumed, so none may live
 * for long, and none may lie on a disk unless several processes must share it. A key of our own
 * is made anew after a time (12 hours unless told otherwise); the two before it still open tickets,
 * so that a ticket holds for as long as it says: two such times.
 *
 * A ticket names its key, which seals it with AES-256-CBC and HMAC-SHA-256 (RFC 5077, section 4).
 * A file holds keys of 80 bytes: 16 of name, 32 for the MAC, 32 for the cipher; that is the form
 * of other servers, so that a fleet of them can share one. Whoever writes the file rotates the keys: a
 * new one at the front, the last one off.
 *
 * Invariant: key 0 seals; there is at least one, but when making it has failed. */
#include "net/tls_tickets.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <weir/error.h>

#include "base/alloc.h"
#include "net/tls_file.h"
#include "net/tls_state.h"

#define KEYS_MAX 8
#define KEYS_OWN 3
#define KEY_BYTES 80
#define IV_BYTES 16

struct ticket_key {
    unsigned char name[16], mac[32], cipher[32];
};
_Static_assert(sizeof(struct ticket_key) == KEY_BYTES, "as it lies in a file");

struct tls_tickets {
    atomic_uint refs;
    uint32_t rotate_s;
    pthread_mutex_t lock; /* of what follows */
    struct ticket_key keys[KEYS_MAX];
    unsigned count;
    bool from_file;
    int64_t next_s; /* when the next one of our own is due, on the monotonic clock */
};

static int64_t now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* A new key of our own at the front. */
static bool add_key(struct tls_tickets *tickets)
{
    struct ticket_key key;

    if (RAND_bytes((unsigned char *)&key, sizeof(key)) != 1)
        return false;
    memmove(tickets->keys + 1, tickets->keys, (KEYS_OWN - 1) * sizeof(key));
    tickets->keys[0] = key;
    OPENSSL_cleanse(&key, sizeof(key));
    tickets->count += tickets->count < KEYS_OWN;
    return true;
}

/* One new key for each time that has passed: after a long rest none of the old ones is left. */
static void rotate(struct tls_tickets *tickets)
{
    int64_t now = now_s();

    for (int i = 0; i < KEYS_OWN && now >= tickets->next_s; i++) {
        if (!add_key(tickets))
            return;
        tickets->next_s += tickets->rotate_s;
    }
    if (now >= tickets->next_s)
        tickets->next_s = now + tickets->rotate_s;
}

int tls_tickets_new(uint32_t rotate_s, struct tls_tickets **ret_tickets)
{
    struct tls_tickets *tickets = base_calloc(1, sizeof(*tickets));

    if (!tickets)
        return -ENOMEM;
    atomic_init(&tickets->refs, 1);
    tickets->rotate_s = rotate_s;
    tickets->next_s = now_s() + rotate_s;
    pthread_mutex_init(&tickets->lock, NULL);
    if (!add_key(tickets)) {
        tls_tickets_unref(tickets);
        return weir_fail(WEIR_ETLS, "no random bytes for the keys of session tickets: %s",
                         tls_library_reason());
    }
    *ret_tickets = tickets;
    return 0;
}

int tls_tickets_load(struct tls_tickets *tickets, const char *path)
{
    struct tls_file file = { 0 };
    int rc = tls_file_read(path, "ticket key", &file);

    if (rc == 0 && (file.len == 0 || file.len % KEY_BYTES || file.len / KEY_BYTES > KEYS_MAX))
        rc = weir_fail(WEIR_ECONFIG,
                       "the ticket key file %s has %zu bytes: it must be 1 to %d keys of %d random "
                       "bytes (openssl rand %d)",
                       path, file.len, KEYS_MAX, KEY_BYTES, KEY_BYTES);
    if (rc == 0)
        tls_file_warn_of_readers(&file);
    if (rc == 0) {
        pthread_mutex_lock(&tickets->lock);
        memcpy(tickets->keys, file.bytes, file.len);
        tickets->count = (unsigned)(file.len / KEY_BYTES);
        tickets->from_file = true;
        pthread_mutex_unlock(&tickets->lock);
    }
    tls_file_done(&file);
    return rc;
}

struct tls_tickets *tls_tickets_ref(struct tls_tickets *tickets)
{
    atomic_fetch_add_explicit(&tickets->refs, 1, memory_order_relaxed);
    return tickets;
}

void tls_tickets_unref(struct tls_tickets *tickets)
{
    if (!tickets || atomic_fetch_sub_explicit(&tickets->refs, 1, memory_order_acq_rel) > 1)
        return;
    pthread_mutex_destroy(&tickets->lock);
    OPENSSL_cleanse(tickets->keys, sizeof(tickets->keys));
    base_free(tickets);
}

/* ---- in a handshake ------------------------------------------------------------------------ */

/* The key of that name, or the one that seals for NULL: its place, or -1. */
static int pick_key(struct tls_tickets *tickets, const unsigned char *name,
                    struct ticket_key *ret_key)
{
    int found = -1;

    pthread_mutex_lock(&tickets->lock);
    if (!tickets->from_file)
        rotate(tickets);
    for (unsigned i = 0; i < tickets->count && found < 0; i++) {
        if (!name || CRYPTO_memcmp(tickets->keys[i].name, name, sizeof(ret_key->name)) == 0)
            found = (int)i;
    }
    if (found >= 0)
        *ret_key = tickets->keys[found];
    pthread_mutex_unlock(&tickets->lock);
    return found;
}

static bool begin(const struct ticket_key *key, const unsigned char *iv, EVP_CIPHER_CTX *cipher,
                  EVP_MAC_CTX *mac, int sealing)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key->mac, sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){ "SHA256" }, 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, sealing) == 1 &&
           EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* OpenSSL's question: -1 it has failed, 0 no ticket (or not one of ours), 1 go on, 2 go on, and
 * give the client a new one. */
static int ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                      EVP_MAC_CTX *mac, int sealing)
{
    struct tls_tickets *tickets = tls_state_of(ssl)->tickets;
    struct ticket_key key;
    bool renew;
    int at = pick_key(tickets, sealing ? NULL : name, &key), result;

    if (at < 0)
        return 0;
    renew = at > 0 || SSL_version(ssl) >= TLS1_3_VERSION; /* which offers each ticket once */
    if (sealing) {
        memcpy(name, key.name, sizeof(key.name));
        result = RAND_bytes(iv, IV_BYTES) == 1 && begin(&key, iv, cipher, mac, 1) ? 1 : -1;
    } else {
        result = !begin(&key, iv, cipher, mac, 0) ? -1 : renew ? 2 : 1;
    }
    OPENSSL_cleanse(&key, sizeof(key));
    return result;
}

void tls_tickets_use(struct tls_tickets *tickets, SSL_CTX *ctx)
{
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ticket_key);
    SSL_CTX_set_timeout(ctx, (long)tickets->rotate_s * 2);
}
