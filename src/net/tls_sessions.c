/* Sessions to be resumed.
 *
 * A ticket of TLS 1.3 is offered once: whoever watches could otherwise tell that two connections are
 * of one client (RFC 8446, section C.4). Servers send two after a whole handshake; the newest few are
 * kept for each server. A session of TLS 1.2 is offered again and again, as a copy.
 *
 * A session is proof that the peer's certificate was checked, for this server, by the rules of
 * one state. So a reload, which may bring other CAs or revocations, begins with none. */
#include "net/tls_sessions.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "base/alloc.h"
#include "base/list.h"
#include "base/map.h"
#include "net/tls_state.h"

#define EACH_MAX 2

struct place {
    struct node link; /* in order of use, the last used first */
    SSL_SESSION *kept[EACH_MAX]; /* the oldest first */
    unsigned count;
    size_t len;
    char server[];
};

struct tls_sessions {
    pthread_mutex_t lock;
    uint32_t max;
    struct map places;
    struct node used;
};

struct tls_sessions *tls_sessions_new(uint32_t max)
{
    struct tls_sessions *sessions = base_calloc(1, sizeof(*sessions));

    if (!sessions)
        return NULL;
    pthread_mutex_init(&sessions->lock, NULL);
    sessions->max = max;
    map_init(&sessions->places, (uint64_t)(uintptr_t)sessions);
    list_init(&sessions->used);
    return sessions;
}

static void place_free(struct tls_sessions *sessions, struct place *place)
{
    map_remove(&sessions->places, weir_str_from(place->server, place->len));
    list_remove(&place->link);
    for (unsigned i = 0; i < place->count; i++)
        SSL_SESSION_free(place->kept[i]);
    base_free(place);
}

void tls_sessions_free(struct tls_sessions *sessions)
{
    if (!sessions)
        return;
    while (!list_empty(&sessions->used))
        place_free(sessions, container_of(sessions->used.next, struct place, link));
    map_done(&sessions->places);
    pthread_mutex_destroy(&sessions->lock);
    base_free(sessions);
}

static struct place *place_new(struct tls_sessions *sessions, weir_str server)
{
    struct place *place = base_calloc(1, sizeof(*place) + server.len);

    if (!place)
        return NULL;
    place->len = server.len;
    memcpy(place->server, server.ptr, server.len);
    if (map_put(&sessions->places, weir_str_from(place->server, place->len), place) < 0) {
        base_free(place);
        return NULL;
    }
    list_push_front(&sessions->used, &place->link);
    if (sessions->places.count > sessions->max)
        place_free(sessions, container_of(sessions->used.prev, struct place, link));
    return place;
}

/* True: the session's reference was taken. */
static bool keep(struct tls_sessions *sessions, weir_str server, SSL_SESSION *session)
{
    struct place *place = map_get(&sessions->places, server);

    if (!place)
        place = place_new(sessions, server);
    if (!place)
        return false;
    if (place->count == EACH_MAX) {
        SSL_SESSION_free(place->kept[0]);
        memmove(place->kept, place->kept + 1, (EACH_MAX - 1) * sizeof(place->kept[0]));
        place->count--;
    }
    place->kept[place->count++] = session;
    return true;
}

static int session_came(SSL *ssl, SSL_SESSION *session)
{
    struct tls_sessions *sessions = tls_state_of(ssl)->sessions;
    const char *server = SSL_get_ex_data(ssl, tls_state_text_index());
    bool kept;

    if (!sessions || !server)
        return 0;
    pthread_mutex_lock(&sessions->lock);
    kept = keep(sessions, weir_str_c(server), session);
    pthread_mutex_unlock(&sessions->lock);
    return kept;
}

void tls_sessions_use(SSL_CTX *ctx)
{
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, session_came);
}

static bool holds(const SSL_SESSION *session)
{
    return SSL_SESSION_is_resumable(session) &&
           (int64_t)SSL_SESSION_get_time(session) + SSL_SESSION_get_timeout(session) > time(NULL);
}

/* The newest session that holds, as a reference; NULL: there is none. */
static SSL_SESSION *take(struct tls_sessions *sessions, weir_str server)
{
    struct place *place = map_get(&sessions->places, server);

    while (place && place->count > 0) {
        SSL_SESSION *session = place->kept[place->count - 1];

        list_remove(&place->link);
        list_push_front(&sessions->used, &place->link);
        if (holds(session) && SSL_SESSION_get_protocol_version(session) < TLS1_3_VERSION)
            return SSL_SESSION_dup(session);
        place->count--;
        if (holds(session))
            return session;
        SSL_SESSION_free(session);
    }
    return NULL;
}

int tls_sessions_resume(struct tls_sessions *sessions, SSL *ssl, weir_str server)
{
    char *text = base_malloc(server.len + 1);
    SSL_SESSION *session;

    if (!text)
        return -ENOMEM;
    memcpy(text, server.ptr, server.len);
    text[server.len] = '\0';
    base_free(SSL_get_ex_data(ssl, tls_state_text_index()));
    if (SSL_set_ex_data(ssl, tls_state_text_index(), text) != 1) {
        base_free(text);
        return -ENOMEM;
    }
    pthread_mutex_lock(&sessions->lock);
    session = take(sessions, server);
    pthread_mutex_unlock(&sessions->lock);
    if (session && SSL_set_session(ssl, session) != 1) {
        SSL_SESSION_free(session);
        return -ENOMEM;
    }
    SSL_SESSION_free(session);
    return 0;
}

uint32_t tls_sessions_count(struct tls_sessions *sessions)
{
    uint32_t count;

    pthread_mutex_lock(&sessions->lock);
    count = (uint32_t)sessions->places.count;
    pthread_mutex_unlock(&sessions->lock);
    return count;
}
