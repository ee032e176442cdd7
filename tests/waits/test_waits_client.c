/* The HTTP client: a call that is given up leaves no permit taken, and no connection
 * that the next call could be answered wrongly on. The server is a task of the same
 * loop, which answers in pieces. */
#include "waits/waits.h"

#include <weir/client.h>
#include <weir/json.h>
#include <weir/stream.h>

#define UPLOAD_BYTES (16u << 20)

static char upload[UPLOAD_BYTES];

struct server {
    weir_listener *listener;
    weir_client *client;
    weir_pool *pool;
    weir_str url;
};

/* ---- the server --------------------------------------------------------------------------- */

static const char *const pieces[] = {
    "HTTP/1.1 20",
    "0 OK\r\nContent-Type: application/json\r\nContent-Le",
    "ngth: 7\r\n\r\n{\"n\":",
    "5}",
};

/* 1 at the end of a request's head or, of one with a body, of that. */
static int take_request(weir_stream *stream)
{
    char tail[4] = "";
    bool head = true;
    weir_str data;
    ssize_t n;

    while ((n = weir_stream_read(stream, &data)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            memmove(tail, tail + 1, 3);
            tail[3] = data.ptr[i];
            if (memcmp(tail, "\r\n\r\n", 4) != 0)
                continue;
            /* A head with chunks behind it, or the last chunk. */
            if (!head || !memmem(data.ptr, data.len, "chunked", 7))
                return 1;
            head = false;
        }
    }
    return (int)n;
}

static int serve_one(void *arg)
{
    weir_stream *stream = arg;
    int rc;

    while ((rc = take_request(stream)) > 0) {
        for (size_t i = 0; rc >= 0 && i < sizeof(pieces) / sizeof(*pieces); i++) {
            rc = weir_sleep_ms(1);
            if (rc >= 0)
                rc = (int)weir_stream_write(stream, weir_str_c(pieces[i]));
        }
        if (rc < 0)
            break;
    }
    weir_stream_close(stream);
    return rc;
}

static int serve(void *arg)
{
    struct server *server = arg;
    int rc;

    WEIR_SCOPE(s, .collect = true) {
        weir_stream *stream;

        while ((rc = weir_accept(server->listener, &stream)) > 0)
            weir_go(s, serve_one, stream, .optional = true);
        weir_cancel(s);
        WEIR_IGNORE(weir_join(s), "cancelled");
    }
    return rc;
}

static int answered(struct server *server)
{
    weir_response r;
    int rc = weir_fetch(server->url, &r, .client = server->client);

    CHECK_INT(rc, 0);
    CHECK(weir_str_eq(r.body, WEIR_S("{\"n\":5}")));
    return 0;
}

/* Whatever the call was, the permit is back, and the next is answered. */
static int with_server(void *arg)
{
    void (*call)(struct server *server) = *(void (**)(struct server *))arg;
    struct server server;
    weir_pool_stats stats;

    CHECK_INT(weir_listen("127.0.0.1:0", &server.listener), 0);
    server.url = weir_format("http://127.0.0.1:%u/", weir_listener_port(server.listener));
    CHECK_INT(weir_client_new(&server.client, .max_connections = 1), 0);
    CHECK_INT(weir_client_pool(server.client, server.url, &server.pool), 0);
    WEIR_SCOPE(s) {
        weir_go(s, serve, &server);
        call(&server);
        weir_recover();
        weir_pool_read(server.pool, &stats);
        CHECK_INT(stats.held, 0);
        answered(&server);
        weir_client_free(server.client);
        weir_cancel(s);
        WEIR_IGNORE(weir_join(s), "cancelled");
    }
    weir_listener_close(server.listener);
    return 0;
}

/* ---- whole calls ---------------------------------------------------------------------------- */

struct number {
    int64_t n;
};

WEIR_TYPE(number_type, struct number, WEIR_I64(n));

static void fetch(struct server *server)
{
    weir_response r = { 0 };
    bool up = gave_up(SWEPT(weir_fetch(server->url, &r, .client = server->client)));

    CHECK(up ? r.status == 0 : r.status == 200 && r.body.len == 7);
}

static void fetch_json(struct server *server)
{
    weir_json *json = NULL;
    bool up = gave_up(SWEPT(weir_fetch_json(server->url, &json, .client = server->client)));

    CHECK(up == (json == NULL));
}

static void fetch_object(struct server *server)
{
    struct number number = { .n = 1 };
    bool up = gave_up(
        SWEPT(weir_fetch_object(server->url, &number_type, &number, .client = server->client)));

    CHECK_INT(number.n, up ? 1 : 5);
}

/* ---- in pieces ------------------------------------------------------------------------------ */

static void request_open(struct server *server)
{
    weir_request *request = NULL;
    bool up = gave_up(SWEPT(weir_request_open(server->url, &request, .client = server->client)));

    CHECK(up == (request == NULL));
    weir_request_close(request);
}

static weir_request *opened(struct server *server, bool body)
{
    weir_request *request;

    CHECK_INT(weir_request_open(server->url, &request, .client = server->client,
                                .stream_bytes = body ? WEIR_CHUNKED : 0),
              0);
    return request;
}

static void request_write(struct server *server)
{
    weir_request *request = opened(server, true);

    gave_up(SWEPT(weir_request_write(request, weir_str_from(upload, UPLOAD_BYTES))));
    weir_request_close(request);
}

static void request_end(struct server *server)
{
    weir_request *request = opened(server, true);
    weir_response r;

    CHECK_INT(weir_request_write(request, WEIR_S("body")), 0);
    if (!gave_up(SWEPT(weir_request_end(request)))) {
        CHECK_INT(weir_response_head(request, &r), 0);
        CHECK_INT(r.status, 200);
    }
    weir_request_close(request);
}

static void response_head(struct server *server)
{
    weir_request *request = opened(server, false);
    weir_response r = { 0 };

    CHECK_INT(r.status, 0);
    if (!gave_up(SWEPT(weir_response_head(request, &r))))
        CHECK_INT(r.status, 200);
    weir_request_close(request);
}

static void response_read(struct server *server)
{
    weir_request *request = opened(server, false);
    weir_response r;
    weir_str data;
    size_t got = 0;
    ssize_t n;

    CHECK_INT(weir_response_head(request, &r), 0);
    do {
        n = weir_response_read(request, &data);
        got += n > 0 ? (size_t)n : 0;
    } while (n > 0 && got < 5);
    CHECK_INT(got, 5);
    n = SWEPT(weir_response_read(request, &data));
    if (!gave_up(n))
        CHECK(weir_str_eq(data, WEIR_S("5}")));
    weir_request_close(request);
}

static void (*calls[])(struct server *) = {
    fetch,         fetch_json,  fetch_object,  request_open,
    request_write, request_end, response_head, response_read
};

static const struct waiting client[] = {
    { "fetch", with_server, &calls[0], 4 },
    { "fetch JSON", with_server, &calls[1], 4 },
    { "fetch an object", with_server, &calls[2], 4 },
    { "open a request", with_server, &calls[3], 1 },
    { "write a request", with_server, &calls[4], 1 },
    { "end a request", with_server, &calls[5], 0 }, /* the kernel has room for so little */
    { "head of a response", with_server, &calls[6], 2 },
    { "body of a response", with_server, &calls[7], 1 },
};

int main(void)
{
    /* What a thread keeps for JSON is made once. */
    if (weir_run(with_server, &calls[1], .loops = 1) < 0)
        return 1;
    return WAITS_RUN(client);
}
