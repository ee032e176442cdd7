/* The contexts: options, reading, and the swap at a reload.
 *
 * `current` is the SSL_CTX that new connections begin with; it is taken and replaced under `lock`,
 * which is held for nothing else. Files are read outside of it, one reading at a time (`loading`),
 * on the pool for files when a task asks. What was read is whole before it is shown to anyone, so
 * a connection sees all of the old or all of the new.
 *
 * Invariant: a server has a current one from its first reading on; a client from the time it is
 * prepared on. */
#include "net/tls_context.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include <weir/error.h>
#include <weir/log.h>

#include "base/alloc.h"
#include "net/file.h"
#include "net/tls_file.h"
#include "net/tls_copy.h"
#include "net/tls_sessions.h"
#include "net/tls_state.h"
#include "net/tls_tickets.h"
#include "net/tls_trust.h"

#define CERTIFICATES_MAX 4096
#define ROTATE_S 43200
#define ROTATE_MAX_S (3 * 86400) /* a ticket holds for two of them: RFC 8446 allows 7 days */
#define SESSIONS_MAX 256

struct tls_context {
    atomic_uint refs;
    enum tls_side side;
    struct arena arena; /* of the copies in the options */
    union {
        weir_tls_server_opts server;
        weir_tls_client_opts client;
    };
    size_t certificates;
    struct tls_tickets *tickets; /* one for all readings: a reload ends no session */
    const char **paths;          /* of all files that are read */
    size_t path_count;
    uint64_t seen;               /* what the files were when they were last read; see loading */
    pthread_mutex_t loading;
    pthread_mutex_t lock;
    SSL_CTX *current;
};

/* ---- reading: both sides --------------------------------------------------------------------- */

/* All certificates of a list with count entries. */
static int load_own(struct tls_state *state, const weir_tls_certificate *from, size_t count,
                    enum tls_side side)
{
    int rc = 0;

    state->own = arena_zalloc(&state->arena, count * sizeof(*state->own));
    if (!state->own)
        return -ENOMEM;
    while (rc == 0 && state->own_count < count) {
        rc = tls_own_load(&from[state->own_count], side, &state->own[state->own_count]);
        state->own_count += rc == 0;
    }
    return rc;
}

static unsigned count_out_of_time(const struct tls_state *state)
{
    unsigned count = 0;

    for (size_t i = 0; i < state->own_count; i++) {
        const X509 *leaf = state->own[i].leaf;

        count += tls_seconds_until(X509_get0_notAfter(leaf)) < 0 ||
                 tls_seconds_until(X509_get0_notBefore(leaf)) > 0;
    }
    return count;
}

/* Who replaces good certificates by expired ones has made a mistake; who starts with expired ones
 * may still serve the others. */
static int check_replacement(const struct tls_context *context, const struct tls_state *state)
{
    const struct tls_state *old = context->current ? SSL_CTX_get_app_data(context->current) : NULL;

    if (!old || count_out_of_time(state) <= count_out_of_time(old))
        return 0;
    return weir_fail(WEIR_ECONFIG,
                     "a certificate that is new has expired, or is not valid yet (the "
                     "line before this one says which): those in use are better");
}

/* ---- reading: a server ------------------------------------------------------------------------- */

/* Sessions are of one set of rules about clients: a ticket from before a client's certificate was
 * revoked, or of a server with other CAs and the same keys, is none here. */
static int set_session_rules(SSL_CTX *ctx, const weir_tls_server_opts *opts,
                             const struct tls_trust *trust)
{
    unsigned char text[1 + TLS_TRUST_DIGEST], id[TLS_TRUST_DIGEST];

    text[0] = opts->client_ca ? (unsigned char)opts->clients : 0;
    memcpy(text + 1, trust->digest, sizeof(trust->digest));
    if (EVP_Digest(text, sizeof(text), id, NULL, EVP_sha256(), NULL) != 1 ||
        SSL_CTX_set_session_id_context(ctx, id, sizeof(id)) != 1)
        return -ENOMEM;
    return 0;
}

static int setup_group(struct tls_state *state, const weir_tls_server_opts *opts,
                       const struct tls_trust *trust, struct tls_group *group)
{
    SSL_CTX *ctx = group->ctx = tls_state_ctx(state, TLS_SERVER);
    int rc = ctx ? tls_setup_common(ctx, state, opts->profile, opts->min_version) : -ENOMEM;

    for (int k = 0; rc == 0 && k < TLS_KEY_KINDS; k++) {
        int own = group->own[k];

        if (own >= 0)
            rc = tls_own_use(&state->own[own], &opts->certificates[own], ctx);
    }
    if (rc == 0)
        rc = tls_setup_server(ctx, state);
    if (rc == 0 && trust->store)
        rc = tls_trust_use(
            trust, ctx, TLS_SERVER,
            SSL_VERIFY_PEER |
                (opts->clients == WEIR_TLS_CLIENTS_OPTIONAL ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT));
    return rc < 0 ? rc : set_session_rules(ctx, opts, trust);
}

static int fill_server(struct tls_context *context, struct tls_state *state)
{
    const weir_tls_server_opts *opts = &context->server;
    struct tls_trust trust = { 0 };
    int rc = tls_state_set_alpn(state, opts->alpn);

    state->known_names_only = opts->known_names_only;
    if (rc == 0)
        rc = load_own(state, opts->certificates, context->certificates, TLS_SERVER);
    if (rc == 0)
        rc = check_replacement(context, state);
    if (rc == 0 && opts->client_ca)
        rc = tls_trust_load(opts->client_ca, opts->client_crl, &trust);
    if (rc == 0 && opts->key_log)
        rc = tls_state_open_key_log(state, opts->key_log);
    if (rc == 0 && opts->ticket_keys)
        rc = tls_tickets_load(context->tickets, opts->ticket_keys);
    if (rc == 0)
        state->tickets = context->tickets ? tls_tickets_ref(context->tickets) : NULL;
    if (rc == 0)
        rc = tls_names_group(state, opts->certificates);
    for (struct tls_group *group = state->groups; rc == 0 && group; group = group->next)
        rc = setup_group(state, opts, &trust, group);
    if (rc == 0 && state->groups) /* there is the default, at least */
        tls_names_use(state, state->groups->ctx);
    tls_trust_done(&trust);
    return rc;
}

/* ---- reading: a client --------------------------------------------------------------------------- */

static int fill_client(struct tls_context *context, struct tls_state *state)
{
    const weir_tls_client_opts *opts = &context->client;
    struct tls_trust trust = { 0 };
    SSL_CTX *ctx;
    int rc = tls_state_set_alpn(state, opts->alpn);

    state->groups = arena_zalloc(&state->arena, sizeof(*state->groups));
    ctx = state->groups ? state->groups->ctx = tls_state_ctx(state, TLS_CLIENT) : NULL;
    if (rc == 0 && !ctx)
        rc = -ENOMEM;
    if (rc == 0 && opts->certificate.certificate)
        rc = load_own(state, &opts->certificate, 1, TLS_CLIENT);
    if (rc == 0)
        rc = check_replacement(context, state);
    if (rc == 0 && opts->key_log)
        rc = tls_state_open_key_log(state, opts->key_log);
    if (rc == 0)
        rc = tls_setup_common(ctx, state, WEIR_TLS_INTERMEDIATE, opts->min_version);
    if (rc == 0 && state->own_count)
        rc = tls_own_use(&state->own[0], &opts->certificate, ctx);
    if (rc == 0 && state->alpn_len &&
        SSL_CTX_set_alpn_protos(ctx, state->alpn, (unsigned)state->alpn_len) != 0)
        rc = -ENOMEM;
    if (rc == 0 && !opts->no_verify) {
        rc = tls_trust_load(opts->ca, opts->crl, &trust);
        if (rc == 0)
            rc = tls_trust_use(&trust, ctx, TLS_CLIENT, SSL_VERIFY_PEER);
        tls_trust_done(&trust);
    }
    if (rc == 0 && opts->sessions_max != WEIR_OFF) {
        state->sessions = tls_sessions_new(opts->sessions_max);
        rc = state->sessions ? 0 : -ENOMEM;
        tls_sessions_use(ctx);
    }
    return rc;
}

/* ---- the swap ----------------------------------------------------------------------------------------- */

static int build(struct tls_context *context, SSL_CTX **ret_ctx)
{
    struct tls_state *state = tls_state_new();
    SSL_CTX *ctx;
    int rc;

    if (!state)
        return -ENOMEM;
    rc = context->side == TLS_SERVER ? fill_server(context, state) : fill_client(context, state);
    ctx = state->groups ? state->groups->ctx : NULL;
    if (rc == 0 && !tls_state_give(state, ctx))
        rc = -ENOMEM;
    ERR_clear_error();
    if (rc < 0) {
        tls_state_free(state);
        SSL_CTX_free(ctx);
        return rc;
    }
    *ret_ctx = ctx;
    return 0;
}

static SSL_CTX *take_current(struct tls_context *context)
{
    SSL_CTX *ctx;

    pthread_mutex_lock(&context->lock);
    ctx = context->current;
    if (ctx && SSL_CTX_up_ref(ctx) != 1)
        ctx = NULL;
    pthread_mutex_unlock(&context->lock);
    return ctx;
}

/* A number that changes with a file: with its bytes, and with what its name leads to. */
static uint64_t look_at_files(const struct tls_context *context)
{
    uint64_t all = 0;

    for (size_t i = 0; i < context->path_count; i++) {
        struct stat about;
        uint64_t one[5] = { 0 };

        if (stat(context->paths[i], &about) == 0) {
            one[0] = about.st_dev;
            one[1] = about.st_ino;
            one[2] = (uint64_t)about.st_size;
            one[3] = (uint64_t)about.st_mtim.tv_sec * 1000000000u + (uint64_t)about.st_mtim.tv_nsec;
            one[4] = about.st_mode; /* it can be read now */
        }
        all = siphash13(all, i, one, sizeof(one));
    }
    return all;
}

bool tls_context_is_stale(struct tls_context *context)
{
    bool stale;

    pthread_mutex_lock(&context->loading);
    stale = look_at_files(context) != context->seen;
    pthread_mutex_unlock(&context->loading);
    return stale;
}

struct load_call {
    struct tls_context *context;
    bool if_missing;
};

/* On a thread that may block. */
static int load(void *arg)
{
    const struct load_call *call = arg;
    struct tls_context *context = call->context;
    SSL_CTX *new = NULL, *old = NULL;
    int rc = 0;

    pthread_mutex_lock(&context->loading);
    if (!call->if_missing || !tls_context_is_prepared(context)) {
        context->seen = look_at_files(context);
        rc = build(context, &new);
    }
    if (new) {
        pthread_mutex_lock(&context->lock);
        old = context->current;
        context->current = new;
        pthread_mutex_unlock(&context->lock);
    }
    pthread_mutex_unlock(&context->loading);
    SSL_CTX_free(old);
    return rc;
}

static int load_off_loop(struct tls_context *context, bool if_missing)
{
    struct load_call call = { context, if_missing };

    return rt_in_task() ? file_call(load, &call) : load(&call);
}

/* ---- the life of a context ------------------------------------------------------------------------------ */

static struct tls_context *context_new(enum tls_side side)
{
    struct tls_context *context = base_calloc(1, sizeof(*context));

    if (!context)
        return NULL;
    atomic_init(&context->refs, 1);
    context->side = side;
    arena_init(&context->arena, NULL);
    pthread_mutex_init(&context->loading, NULL);
    pthread_mutex_init(&context->lock, NULL);
    return context;
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
    atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    return context;
}

void tls_context_unref(struct tls_context *context)
{
    if (!context || atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) > 1)
        return;
    SSL_CTX_free(context->current);
    tls_tickets_unref(context->tickets);
    pthread_mutex_destroy(&context->loading);
    pthread_mutex_destroy(&context->lock);
    arena_reset(&context->arena);
    base_free(context);
}

static void add_path(struct tls_context *context, const char *path)
{
    if (path)
        context->paths[context->path_count++] = path;
}

static void add_certificate(struct tls_context *context, const weir_tls_certificate *certificate)
{
    add_path(context, certificate->certificate);
    add_path(context, certificate->key);
    add_path(context, certificate->ocsp);
}

static int list_server_paths(struct tls_context *context)
{
    const weir_tls_server_opts *opts = &context->server;
    size_t most = 3 * context->certificates + 3;

    context->paths = arena_alloc(&context->arena, most * sizeof(*context->paths));
    if (!context->paths)
        return -ENOMEM;
    for (size_t i = 0; i < context->certificates; i++)
        add_certificate(context, &opts->certificates[i]);
    add_path(context, opts->client_ca);
    add_path(context, opts->client_crl);
    add_path(context, opts->ticket_keys);
    return 0;
}

static int list_client_paths(struct tls_context *context)
{
    context->paths = arena_alloc(&context->arena, 5 * sizeof(*context->paths));
    if (!context->paths)
        return -ENOMEM;
    add_certificate(context, &context->client.certificate);
    add_path(context, context->client.ca);
    add_path(context, context->client.crl);
    return 0;
}

const char *tls_context_path(const struct tls_context *context, size_t at)
{
    return at < context->path_count ? context->paths[at] : NULL;
}

static int copy_server_opts(struct tls_context *context, const weir_tls_server_opts *opts)
{
    weir_tls_server_opts *own = &context->server;
    struct tls_copy copy = { .arena = &context->arena };

    *own = *opts;
    own->certificates = tls_copy_certificates(&copy, opts->certificates, context->certificates);
    tls_copy_list(&copy, own->alpn, opts->alpn);
    own->client_ca = tls_copy_text(&copy, opts->client_ca);
    own->client_crl = tls_copy_text(&copy, opts->client_crl);
    own->ticket_keys = tls_copy_text(&copy, opts->ticket_keys);
    own->key_log = tls_copy_text(&copy, opts->key_log);
    if (!own->ticket_rotate_s)
        own->ticket_rotate_s = ROTATE_S;
    return copy.failed ? -ENOMEM : list_server_paths(context);
}

static int check_server_opts(const weir_tls_server_opts *opts, size_t certificates)
{
    if (certificates == 0)
        return weir_fail(-EINVAL, "a TLS server needs a certificate");
    if (certificates > CERTIFICATES_MAX)
        return weir_fail(-EINVAL, "a TLS server takes at most %d certificates", CERTIFICATES_MAX);
    if (opts->clients != WEIR_TLS_CLIENTS_ANY && !opts->client_ca)
        return weir_fail(-EINVAL,
                         "clients are asked for a certificate, but .client_ca does not say "
                         "who may sign it");
    if (opts->client_crl && !opts->client_ca)
        return weir_fail(-EINVAL, ".client_crl is of use with .client_ca alone");
    if (opts->ticket_rotate_s > ROTATE_MAX_S)
        return weir_fail(-EINVAL, ".ticket_rotate_s is %u: it can be %d, three days, at most",
                         opts->ticket_rotate_s, ROTATE_MAX_S);
    if (opts->no_tickets && opts->ticket_keys)
        return weir_fail(-EINVAL, ".ticket_keys and .no_tickets contradict each other");
    return 0;
}

int tls_context_server(const weir_tls_server_opts *opts, struct tls_context **ret_context)
{
    size_t certificates = tls_count_certificates(opts->certificates);
    struct tls_context *context;
    int rc = check_server_opts(opts, certificates);

    if (rc < 0)
        return rc;
    context = context_new(TLS_SERVER);
    if (!context)
        return -ENOMEM;
    context->certificates = certificates;
    rc = copy_server_opts(context, opts);
    if (rc == 0 && !opts->no_tickets)
        rc = tls_tickets_new(context->server.ticket_rotate_s, &context->tickets);
    if (rc == 0)
        rc = load_off_loop(context, false);
    if (rc < 0)
        tls_context_unref(context);
    else
        *ret_context = context;
    return rc;
}

static int copy_client_opts(struct tls_context *context, const weir_tls_client_opts *opts)
{
    weir_tls_client_opts *own = &context->client;
    struct tls_copy copy = { .arena = &context->arena };

    *own = *opts;
    own->certificate = (weir_tls_certificate){
        .certificate = tls_copy_text(&copy, opts->certificate.certificate),
        .key = tls_copy_text(&copy, opts->certificate.key),
    };
    tls_copy_list(&copy, own->alpn, opts->alpn);
    own->ca = tls_copy_text(&copy, opts->ca);
    own->crl = tls_copy_text(&copy, opts->crl);
    own->name = tls_copy_text(&copy, opts->name);
    own->key_log = tls_copy_text(&copy, opts->key_log);
    if (!own->sessions_max)
        own->sessions_max = SESSIONS_MAX;
    return copy.failed ? -ENOMEM : list_client_paths(context);
}

int tls_context_client(const weir_tls_client_opts *opts, struct tls_context **ret_context)
{
    struct tls_context *context;
    int rc;

    if (opts->no_verify && (opts->ca || opts->crl || opts->name))
        return weir_fail(-EINVAL, ".no_verify contradicts .ca, .crl and .name: what they say would "
                                  "not be looked at");
    context = context_new(TLS_CLIENT);
    if (!context)
        return -ENOMEM;
    rc = copy_client_opts(context, opts);
    if (rc == 0 && opts->no_verify)
        weir_warn(
            "TLS: the certificates of servers are NOT verified: anyone can pretend to be one, "
            "and read and change all that is sent");
    /* What the operator has named is looked at now, while someone looks. */
    if (rc == 0 && (opts->no_verify || opts->ca || opts->crl || opts->certificate.certificate))
        rc = load_off_loop(context, true);
    if (rc < 0)
        tls_context_unref(context);
    else
        *ret_context = context;
    return rc;
}

bool tls_context_is_prepared(struct tls_context *context)
{
    bool prepared;

    pthread_mutex_lock(&context->lock);
    prepared = context->current != NULL;
    pthread_mutex_unlock(&context->lock);
    return prepared;
}

int tls_context_prepare(struct tls_context *context)
{
    return tls_context_is_prepared(context) ? 0 : load_off_loop(context, true);
}

int tls_context_reload(struct tls_context *context)
{
    return load_off_loop(context, false);
}

bool tls_context_is_watched(const struct tls_context *context)
{
    return context->side == TLS_SERVER ? context->server.watch : context->client.watch;
}

/* ---- connections ------------------------------------------------------------------------------------------- */

SSL *tls_context_new(struct tls_context *context)
{
    SSL_CTX *ctx = take_current(context);
    SSL *ssl = ctx ? SSL_new(ctx) : NULL;

    SSL_CTX_free(ctx);
    if (!ssl) {
        ERR_clear_error();
        return NULL;
    }
    if (context->side == TLS_SERVER)
        SSL_set_accept_state(ssl);
    else
        SSL_set_connect_state(ssl);
    return ssl;
}

int tls_context_expect(struct tls_context *context, SSL *ssl, weir_str host, uint16_t port)
{
    return tls_expect(ssl, context->client.name ? weir_str_c(context->client.name) : host, port);
}
