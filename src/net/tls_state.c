/* The life of what one reading of a context's files has made.
 *
 * The state hangs on its main SSL_CTX and is freed with it. Every SSL keeps the SSL_CTX that it was
 * made of until its end, also when it goes on with another one for the name its client asked for;
 * so callbacks find the state alive, whatever was reloaded since. */
#include "net/tls_state.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/log.h>

#include "base/alloc.h"
#include "net/file.h"
#include "net/tls_file.h"
#include "net/tls_sessions.h"
#include "net/tls_tickets.h"

/* OpenSSL's numbers for the places of our pointers. */
static struct {
    pthread_once_t once;
    int state, text;
} places = { .once = PTHREAD_ONCE_INIT };

static void free_state(void *parent, void *value, CRYPTO_EX_DATA *data, int index, long number,
                       void *pointer)
{
    (void)parent, (void)data, (void)index, (void)number, (void)pointer;
    tls_state_free(value);
}

static void free_text(void *parent, void *value, CRYPTO_EX_DATA *data, int index, long number,
                      void *pointer)
{
    (void)parent, (void)data, (void)index, (void)number, (void)pointer;
    base_free(value);
}

static void find_places(void)
{
    places.state = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_state);
    places.text = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_text);
}

int tls_state_text_index(void)
{
    pthread_once(&places.once, find_places);
    return places.text;
}

struct tls_state *tls_state_new(void)
{
    struct tls_state *state = base_calloc(1, sizeof(*state));

    if (!state)
        return NULL;
    arena_init(&state->arena, NULL);
    map_init(&state->names, (uint64_t)(uintptr_t)state);
    state->key_log_fd = -1;
    return state;
}

void tls_state_free(struct tls_state *state)
{
    if (!state)
        return;
    for (size_t i = 0; i < state->own_count; i++)
        tls_own_done(&state->own[i]);
    /* The first group's is the one that is being freed. */
    for (struct tls_group *group = state->groups ? state->groups->next : NULL; group;
         group = group->next)
        SSL_CTX_free(group->ctx);
    if (state->key_log_fd >= 0)
        close(state->key_log_fd);
    tls_tickets_unref(state->tickets);
    tls_sessions_free(state->sessions);
    map_done(&state->names);
    arena_reset(&state->arena);
    base_free(state);
}

SSL_CTX *tls_state_ctx(struct tls_state *state, enum tls_side side)
{
    SSL_CTX *ctx = SSL_CTX_new(side == TLS_SERVER ? TLS_server_method() : TLS_client_method());

    if (ctx)
        SSL_CTX_set_app_data(ctx, state);
    return ctx;
}

bool tls_state_give(struct tls_state *state, SSL_CTX *ctx)
{
    pthread_once(&places.once, find_places);
    return places.state >= 0 && places.text >= 0 &&
           SSL_CTX_set_ex_data(ctx, places.state, state) == 1;
}

struct tls_state *tls_state_of(const SSL *ssl)
{
    return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

int tls_state_set_alpn(struct tls_state *state, const char *const *alpn)
{
    for (size_t i = 0; i < WEIR_TLS_ALPN_MAX && alpn[i]; i++) {
        size_t len = strlen(alpn[i]);

        if (len == 0 || len > 255 || state->alpn_len + 1 + len > TLS_ALPN_BYTES)
            return weir_fail(-EINVAL,
                             "the protocol \"%s\" for ALPN has %zu bytes: it must have 1 to "
                             "255, and all of them together %d",
                             alpn[i], len, TLS_ALPN_BYTES);
        state->alpn[state->alpn_len++] = (unsigned char)len;
        memcpy(state->alpn + state->alpn_len, alpn[i], len);
        state->alpn_len += len;
    }
    return 0;
}

int tls_state_open_key_log(struct tls_state *state, const char *path)
{
    int fd = sys_open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0600);

    if (fd < 0)
        return weir_fail(fd, "the key log %s can't be opened: %s", path, weir_error_text(fd));
    weir_warn("the secrets of all TLS connections are written to %s: who reads it reads them all",
              path);
    state->key_log_fd = fd;
    return 0;
}
