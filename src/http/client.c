/* A client: its limits, and the origins (host and port) that it has called, each
 * with a pool of connections.
 *
 * Every call looks an origin up, from any loop, so that is done without a lock:
 * the table only grows, a slot is written once, and readers stop at the first
 * empty one. It holds half of its slots at most, which also bounds what a program
 * that takes hosts from outside can be made to keep.
 *
 * The process has one client of its own for calls that name none. Each loop that
 * has used it holds a reference in its client_loop; it goes with the last. */
#include "http/client.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/map.h"
#include "http/client_links.h"
#include "http/names.h"
#include "net/dns.h"
#include "net/tls_context.h"

#define CLIENT_CONNECTIONS 256
#define CLIENT_WAITING 4096
#define CLIENT_IDLE_MS 55000
#define CLIENT_AGE_MS 3600000
#define CLIENT_CONNECT_MS 5000
#define CLIENT_LOOPS_MAX 256
#define CLIENT_BODY_BYTES (UINT64_C(16) << 20)

/* The longest host is 255 bytes; a unix socket's path is shorter. */
#define ORIGIN_KEY_BYTES (255 + sizeof(":65535"))

static struct shared_client {
    pthread_mutex_t lock;
    weir_client *client;
    uint32_t refs;
} shared = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void fill_opts(weir_client *client, const weir_client_opts *opts)
{
    weir_client_opts *own = &client->opts;

    *own = *opts;
    snprintf(client->name, sizeof(client->name), "%s", opts->name ? opts->name : "http");
    snprintf(client->user_agent, sizeof(client->user_agent), "%s",
             opts->user_agent ? opts->user_agent : "weir/" WEIR_VERSION);
    own->name = client->name;
    own->user_agent = client->user_agent;
    if (!own->max_connections)
        own->max_connections = CLIENT_CONNECTIONS;
    if (!own->max_waiting)
        own->max_waiting = CLIENT_WAITING;
    if (!own->max_idle)
        own->max_idle = own->max_connections;
    if (!own->idle_timeout_ms)
        own->idle_timeout_ms = CLIENT_IDLE_MS;
    if (!own->max_age_ms)
        own->max_age_ms = CLIENT_AGE_MS;
    if (!own->connect_timeout_ms)
        own->connect_timeout_ms = CLIENT_CONNECT_MS;
    if (!own->max_streams)
        own->max_streams = H2_LINK_STREAMS;
    if (!own->max_body_bytes)
        own->max_body_bytes = CLIENT_BODY_BYTES;
}

/* What calls over TLS trust and offer. */
static int make_tls(weir_client *client, const weir_tls_client_opts *given)
{
    weir_tls_client_opts opts = *given;

    if (!given->alpn[0] && client->opts.http2 == WEIR_HTTP2_OFF)
        opts.alpn[0] = "http/1.1";
    else if (!given->alpn[0])
        opts.alpn[0] = "h2";
    if (!given->alpn[0] && client->opts.http2 == WEIR_HTTP2_AUTO)
        opts.alpn[1] = "http/1.1";
    return tls_context_client(&opts, &client->tls);
}

int weir_client_new_opt(weir_client **ret_client, const weir_client_opts *opts)
{
    weir_client *client;
    int rc = 0;

    if (opts->user_agent && !http_value_ok(weir_str_c(opts->user_agent)))
        return weir_fail(-EINVAL, "a client's user_agent holds a control byte");
    client = base_calloc(1, sizeof(*client));
    if (!client)
        return -ENOMEM;
    fill_opts(client, opts);
    client->seed = loop_self() ? loop_random(loop_self())
                               : (uint64_t)(uintptr_t)client ^ (uint64_t)weir_now().ns;
    if (opts->tls)
        rc = make_tls(client, opts->tls);
    if (rc == 0 && client->tls && rt_in_task())
        tls_context_follow(client->tls);
    if (rc < 0) {
        base_free(client);
        return weir_wrap(rc, "a client's TLS");
    }
    client->opts.tls = NULL; /* the caller's, and used */
    pthread_mutex_init(&client->lock, NULL);
    *ret_client = client;
    return 0;
}

static void origin_free(struct client_origin *origin)
{
    weir_pool_free(origin->pool);
    for (uint32_t i = 0; origin->homes && i < CLIENT_LOOPS_MAX; i++)
        base_free(origin->homes[i]);
    base_free(origin->homes);
    base_free(origin);
}

void weir_client_free(weir_client *client)
{
    if (!client)
        return;
    for (size_t i = 0; i < CLIENT_SLOTS; i++) {
        struct client_origin *origin = atomic_load(&client->slots[i]);

        if (origin)
            origin_free(origin);
    }
    pthread_mutex_destroy(&client->lock);
    tls_context_unref(client->tls);
    base_free(client);
}

/* ---- the process's client, and what a loop keeps --------------------------------- */

static void shared_unref(void)
{
    weir_client *last = NULL;

    pthread_mutex_lock(&shared.lock);
    if (--shared.refs == 0) {
        last = shared.client;
        shared.client = NULL;
    }
    pthread_mutex_unlock(&shared.lock);
    weir_client_free(last);
}

static int shared_ref(weir_client **ret_client)
{
    int rc = 0;

    pthread_mutex_lock(&shared.lock);
    if (!shared.client)
        rc = weir_client_new(&shared.client);
    if (rc == 0) {
        shared.refs++;
        *ret_client = shared.client;
    }
    pthread_mutex_unlock(&shared.lock);
    return rc;
}

static void client_loop_done(void *value)
{
    struct client_loop *own = value;

    if (own->shared)
        shared_unref();
    client_links_abort(&own->links);
    base_free(own);
}

struct client_loop *client_loop_get(void)
{
    struct loop *loop = loop_self();
    struct client_loop *own = loop_local(loop, LOOP_LOCAL_HTTP_CLIENT);

    if (own)
        return own;
    own = base_calloc(1, sizeof(*own));
    if (!own)
        return NULL;
    list_init(&own->links);
    loop_local_set(loop, LOOP_LOCAL_HTTP_CLIENT, own, client_loop_done);
    return own;
}

int client_get(weir_client *client, weir_client **ret_client)
{
    struct client_loop *own;
    int rc;

    if (client) {
        *ret_client = client;
        return 0;
    }
    own = client_loop_get();
    if (!own)
        return -ENOMEM;
    rc = own->shared ? 0 : shared_ref(&own->shared);
    if (rc == 0)
        *ret_client = own->shared;
    return rc;
}

/* ---- origins ------------------------------------------------------------------------ */

/* "host:port" in small letters, or "unix:path" as it is; its length. */
static size_t origin_key(const struct url *url, char key[static ORIGIN_KEY_BYTES])
{
    size_t len = url->host.len;
    char digits[5];
    size_t at = sizeof(digits);

    if (addr_text_is_unix(url->host)) {
        memcpy(key, url->host.ptr, len);
        return len;
    }
    for (size_t i = 0; i < len; i++) {
        char c = url->host.ptr[i];

        key[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    key[len++] = ':';
    for (unsigned port = url->port; port > 0; port /= 10)
        digits[--at] = (char)('0' + port % 10);
    memcpy(key + len, digits + at, sizeof(digits) - at);
    return len + sizeof(digits) - at;
}

/* The origin, or NULL and the slot where it would stand. */
static struct client_origin *origin_find(weir_client *client, const struct url *url, weir_str key,
                                         uint64_t hash, size_t *ret_slot)
{
    size_t at = hash % CLIENT_SLOTS;

    for (;; at = (at + 1) % CLIENT_SLOTS) {
        struct client_origin *origin = atomic_load_explicit(&client->slots[at],
                                                            memory_order_acquire);

        if (!origin) {
            *ret_slot = at;
            return NULL;
        }
        if (origin->hash == hash && origin->secure == url->secure &&
            weir_str_eq(weir_str_from(origin->key, origin->key_len), key))
            return origin;
    }
}

static int origin_pool(const weir_client *client, struct client_origin *origin)
{
    const weir_client_opts *opts = &client->opts;

    return weir_pool_new(&origin->pool, .name = origin->key, .max = opts->max_connections,
                         .max_waiting = opts->max_waiting, .max_idle = opts->max_idle,
                         .idle_timeout_ms = opts->idle_timeout_ms, .max_age_ms = opts->max_age_ms,
                         .close = client_conn_close_item, .dead = client_conn_dead);
}

static int origin_new(const weir_client *client, const struct url *url, weir_str key, uint64_t hash,
                      struct client_origin **ret_origin)
{
    struct client_origin *origin;
    struct addr addr = { 0 };
    bool is_unix = addr_text_is_unix(url->host);
    bool named = !is_unix && !addr_from_literal(url->host, url->port, &addr);
    int rc = 0;

    if (is_unix && !client->opts.unix_sockets)
        return weir_fail(-EPROTONOSUPPORT,
                         "client \"%s\" calls no unix sockets: make one with .unix_sockets",
                         client->name);
    if (is_unix)
        rc = addr_parse(url->host, &addr);
    else if (named)
        rc = dns_check_name(url->host);
    if (rc < 0)
        return rc;
    origin = base_calloc(1, sizeof(*origin) + key.len + 1);
    if (!origin)
        return -ENOMEM;
    origin->hash = hash;
    origin->addr = addr;
    origin->key_len = key.len;
    memcpy(origin->key, key.ptr, key.len);
    origin->host = weir_str_from(is_unix ? NULL : origin->key, is_unix ? 0 : url->host.len);
    origin->port = url->port;
    origin->named = named;
    origin->secure = url->secure;
    origin->tls = client->tls;
    if (client->opts.http2 == WEIR_HTTP2_PRIOR_KNOWLEDGE ||
        (url->secure && client->opts.http2 == WEIR_HTTP2_AUTO)) {
        origin->homes = base_calloc(CLIENT_LOOPS_MAX, sizeof(*origin->homes));
        rc = origin->homes ? 0 : -ENOMEM;
    }
    if (rc == 0)
        rc = origin_pool(client, origin);
    if (rc < 0) {
        origin_free(origin);
        return rc;
    }
    *ret_origin = origin;
    return 0;
}

/* Under the lock: nobody has added it meanwhile, or here it is. */
static int origin_add(weir_client *client, const struct url *url, weir_str key, uint64_t hash,
                      struct client_origin **ret_origin)
{
    size_t slot;
    int rc = 0;

    *ret_origin = origin_find(client, url, key, hash, &slot);
    if (*ret_origin)
        return 0;
    if (client->origins == CLIENT_ORIGINS_MAX)
        return weir_fail(WEIR_EFULL, "client \"%s\" knows %d hosts already", client->name,
                         CLIENT_ORIGINS_MAX);
    if (url->secure && !client->tls)
        rc = make_tls(client, &(weir_tls_client_opts){ .size = sizeof(weir_tls_client_opts) });
    if (rc == 0)
        rc = origin_new(client, url, key, hash, ret_origin);
    if (rc < 0)
        return rc;
    client->origins++;
    atomic_store_explicit(&client->slots[slot], *ret_origin, memory_order_release);
    return 0;
}

int client_origin_get(weir_client *client, const struct url *url, struct client_origin **ret_origin)
{
    char text[ORIGIN_KEY_BYTES];
    weir_str key = weir_str_from(text, origin_key(url, text));
    uint64_t hash = hash_bytes(client->seed + url->secure, key.ptr, key.len);
    struct client_origin *origin;
    size_t slot;
    int rc = 0;

    origin = origin_find(client, url, key, hash, &slot);
    if (!origin) {
        pthread_mutex_lock(&client->lock);
        rc = origin_add(client, url, key, hash, &origin);
        pthread_mutex_unlock(&client->lock);
    }
    if (rc == 0)
        *ret_origin = origin;
    return rc;
}

int weir_client_pool(weir_client *client, weir_str text, weir_pool **ret_pool)
{
    struct client_origin *origin;
    struct url url;
    int rc = url_parse(text, &url);

    if (rc == 0)
        rc = client_get(client, &client);
    if (rc == 0)
        rc = client_origin_get(client, &url, &origin);
    if (rc == 0)
        *ret_pool = origin->pool;
    return rc;
}
