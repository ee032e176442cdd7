/* TLS: a handshake that was given up leaves a stream that can be closed, and options that
 * serve the next one. */
#include "waits/waits.h"

#include <weir/stream.h>
#include <weir/tls.h>

#include "support/certificates.h"

static struct cert_set set;

static const char *file(const char *name)
{
    return cert_path(&set.folder, name);
}

static int server_new(weir_tls **ret_tls)
{
    const weir_tls_certificate certificates[] = {
        { .certificate = file("server.pem"), .key = file("server.key") }, { 0 }
    };

    return weir_tls_server_new(ret_tls, .certificates = certificates);
}

static int client_new(weir_tls **ret_tls)
{
    return weir_tls_client_new(ret_tls, .ca = file("ca.pem"));
}

/* ---- reading files ------------------------------------------------------------------- */

static int make_server(void *arg)
{
    const weir_tls_certificate certificates[] = {
        { .certificate = file("server.pem"), .key = file("server.key") }, { 0 }
    };
    weir_tls *tls = NULL;

    (void)arg;
    if (gave_up(SWEPT(weir_tls_server_new(&tls, .certificates = certificates))))
        CHECK(tls == NULL);
    weir_tls_free(tls);
    return 0;
}

static int make_client(void *arg)
{
    weir_tls *tls = NULL;

    (void)arg;
    if (gave_up(SWEPT(weir_tls_client_new(&tls, .ca = file("ca.pem")))))
        CHECK(tls == NULL);
    weir_tls_free(tls);
    return 0;
}

/* ---- handshakes ---------------------------------------------------------------------- */

struct side {
    weir_listener *listener;
    weir_tls *server, *client;
    char address[40];
    bool (*accept)(struct side *side, weir_stream *s);
};

static bool accept_plainly(struct side *side, weir_stream *s)
{
    int rc = weir_tls_accept(side->server, s);

    weir_recover();
    return rc == 0;
}

static bool accept_swept(struct side *side, weir_stream *s)
{
    return !gave_up(SWEPT(weir_tls_accept(side->server, s)));
}

/* Each that connects, until the listener is closed. */
static int serve(void *arg)
{
    struct side *side = arg;
    weir_stream *s;
    weir_str data;

    while (weir_accept(side->listener, &s) > 0) {
        if (side->accept(side, s))
            while (weir_stream_read(s, &data) > 0)
                WEIR_IGNORE(weir_stream_write(s, data), "the peer may have gone");
        weir_recover();
        weir_stream_close(s);
        side->accept = accept_plainly;
    }
    weir_recover();
    return 0;
}

static void talk(weir_stream *s)
{
    weir_str data;

    CHECK_INT(weir_stream_write(s, WEIR_S("hello")), 5);
    CHECK(weir_stream_read(s, &data) > 0);
    CHECK(weir_str_eq(data, WEIR_S("hello")));
}

static int connect_swept(struct side *side)
{
    weir_stream *s;

    if (gave_up(SWEPT(weir_tls_connect(side->client, side->address, &s))))
        CHECK_INT(weir_tls_connect(side->client, side->address, &s), 0);
    talk(s);
    weir_stream_close(s);
    return 0;
}

static int start_swept(struct side *side)
{
    weir_stream *s;
    bool up;

    CHECK_INT(weir_stream_connect(side->address, &s), 0);
    up = gave_up(SWEPT(weir_tls_start(side->client, s, WEIR_S("localhost"), 0)));
    if (!up)
        talk(s);
    weir_stream_close(s);
    return 0;
}

/* The server's side may be given up: then there is no answer. */
static int connect_plainly(struct side *side)
{
    weir_stream *s;
    int rc = 0;

    side->accept = accept_swept;
    if (weir_tls_connect(side->client, side->address, &s) == 0) {
        weir_str data;

        rc = weir_stream_write(s, WEIR_S("hello")) > 0 ? 0 : -1;
        if (rc == 0)
            WEIR_IGNORE(weir_stream_read(s, &data), "it may end");
        weir_stream_close(s);
    }
    weir_recover();
    return 0;
}

static int reload_swept(struct side *side)
{
    weir_stream *s;

    gave_up(SWEPT(weir_tls_reload(side->server)));
    CHECK_INT(weir_tls_connect(side->client, side->address, &s), 0);
    talk(s);
    weir_stream_close(s);
    return 0;
}

static int with_sides(void *arg)
{
    struct side side = { .accept = accept_plainly };

    CHECK_INT(server_new(&side.server), 0);
    CHECK_INT(client_new(&side.client), 0);
    CHECK_INT(weir_listen("127.0.0.1:0", &side.listener), 0);
    snprintf(side.address, sizeof(side.address), "127.0.0.1:%u", weir_listener_port(side.listener));
    WEIR_SCOPE(s) {
        weir_go(s, serve, &side);
        CHECK_INT((*(int (**)(struct side *))arg)(&side), 0);
        weir_stop(s);
        CHECK_INT(weir_join(s), 0);
    }
    weir_listener_close(side.listener);
    weir_tls_free(side.server);
    weir_tls_free(side.client);
    return 0;
}

static int (*sides[])(struct side *) = { connect_swept, start_swept, connect_plainly,
                                         reload_swept };

static const struct waiting tls[] = {
    { "a server's files", make_server, NULL, 1 }, { "a client's files", make_client, NULL, 1 },
    { "connect", with_sides, &sides[0], 2 },      { "start", with_sides, &sides[1], 1 },
    { "accept", with_sides, &sides[2], 1 },       { "reload", with_sides, &sides[3], 1 },
};

int main(void)
{
    int failed;

    cert_set_make(&set);
    failed = WAITS_RUN(tls);
    cert_set_free(&set);
    return failed;
}
