/* Handlers: a call that is given up has taken no byte of the body that the next call
 * does not give, and an answer that was begun is never taken for a whole one. */
#include "waits/waits.h"

#include <weir/app.h>
#include <weir/log.h>
#include <weir/stream.h>

#include "http/server.h"

#define LARGE_BYTES (16u << 20)
#define BODY_BYTES 7

static char large[LARGE_BYTES + 1];

struct number {
    int64_t n;
};

WEIR_TYPE(number_type, struct number, WEIR_I64(n));

/* ---- the server, and a client that sends late and reads late -------------------------------- */

static weir_handler *handler;

static void handle(void *arg, weir_exchange *x, struct http_route *ret_route)
{
    (void)arg;
    (void)x;
    ret_route->handler = handler;
    ret_route->gone = HTTP_GONE_FINISH;
}

static int call(uint16_t port)
{
    static const char head[] = "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 7\r\n"
                               "Connection: close\r\n\r\n";
    weir_stream *stream;
    weir_str data;
    ssize_t n;

    CHECK_INT(weir_stream_connect(weir_format("127.0.0.1:%u", port).ptr, &stream), 0);
    CHECK(weir_stream_write(stream, weir_str_c(head)) > 0);
    CHECK_INT(weir_sleep_ms(1), 0);
    WEIR_IGNORE(weir_stream_write(stream, WEIR_S("{\"n\"")), "the answer may be there already");
    WEIR_IGNORE(weir_sleep_ms(1), "no cancel comes");
    WEIR_IGNORE(weir_stream_write(stream, WEIR_S(":5}")), "as well");
    WEIR_IGNORE(weir_sleep_ms(1), "no cancel comes");
    while ((n = weir_stream_read(stream, &data)) > 0)
        ;
    weir_stream_close(stream);
    weir_recover();
    return 0;
}

static int serve(void *arg)
{
    struct addr addr;
    struct http_server_opts opts = {
        .addrs = &addr, .addr_count = 1, .handle = handle, .drain_idle_ms = 1
    };
    struct http_server *server;

    handler = *(weir_handler **)arg;
    CHECK_INT(addr_parse(WEIR_S("127.0.0.1:0"), &addr), 0);
    CHECK_INT(http_server_start(&opts, &server), 0);
    CHECK_INT(call(addr_port(http_server_addr(server, 0))), 0);
    http_server_stop(server);
    CHECK_INT(http_server_wait(server), 0);
    http_server_free(server);
    return 0;
}

/* What was given up before the head was sent left nothing behind. */
static int end(weir_exchange *x, long rc)
{
    if (!gave_up(rc))
        return 0;
    if (weir_replied(x))
        return -ECANCELED;
    CHECK_INT(weir_reply_text(x, 202, "given up"), 0);
    return 0;
}

/* ---- the body --------------------------------------------------------------------------------- */

static int body_read(weir_exchange *x)
{
    weir_str data;
    ssize_t n = SWEPT(weir_body_read(x, &data));
    size_t got = gave_up(n) ? 0 : (size_t)n;

    while ((n = weir_body_read(x, &data)) > 0)
        got += (size_t)n;
    CHECK_INT(n, 0);
    CHECK_INT(got, BODY_BYTES);
    return weir_reply_status(x, 204);
}

static int body_all(weir_exchange *x)
{
    weir_str body = { 0 };

    if (gave_up(SWEPT(weir_body_all(x, &body)))) {
        CHECK(body.ptr == NULL);
        CHECK_INT(weir_body_all(x, &body), 0);
    }
    CHECK(weir_str_eq(body, WEIR_S("{\"n\":5}")));
    return weir_reply_status(x, 204);
}

static int read_json(weir_exchange *x)
{
    struct number number = { .n = 1 };

    if (gave_up(SWEPT(weir_read_json(x, &number_type, &number)))) {
        CHECK_INT(number.n, 1);
        CHECK_INT(weir_read_json(x, &number_type, &number), 0);
    }
    CHECK_INT(number.n, 5);
    return weir_reply_status(x, 204);
}

/* An interim answer takes nothing from the final one. */
static int inform(weir_exchange *x)
{
    gave_up(SWEPT(weir_inform(x, 103, "Link", WEIR_S("</style.css>; rel=preload"))));
    return weir_reply_status(x, 204);
}

/* ---- whole answers ------------------------------------------------------------------------------ */

static int reply(weir_exchange *x)
{
    return end(x, SWEPT(weir_reply(x, 200, "text/plain", weir_str_from(large, LARGE_BYTES))));
}

static int reply_text(weir_exchange *x)
{
    return end(x, SWEPT(weir_reply_text(x, 200, large)));
}

static int reply_json_text(weir_exchange *x)
{
    return end(x, SWEPT(weir_reply_json_text(x, 200, weir_str_from(large, LARGE_BYTES))));
}

static int reply_json(weir_exchange *x)
{
    static struct number numbers[1000000];

    return end(x, SWEPT(weir_reply_json_array(x, 200, &number_type, numbers, 1000000)));
}

static int reply_object(weir_exchange *x)
{
    return end(x, SWEPT(weir_reply_object(x, 200, WEIR_KV("text", (const char *)large))));
}

static int reply_status(weir_exchange *x)
{
    return end(x, SWEPT(weir_reply_status(x, 204)));
}

static int problem(weir_exchange *x)
{
    return end(x, SWEPT(weir_problem(x, 409, "it is %s", "taken")));
}

/* ---- answers in pieces ---------------------------------------------------------------------------- */

static int reply_begin(weir_exchange *x)
{
    return end(x, SWEPT(weir_reply_begin(x, 200, "text/plain", WEIR_UNKNOWN_LENGTH)));
}

static void begin(weir_exchange *x)
{
    CHECK_INT(weir_reply_begin(x, 200, "text/plain", WEIR_UNKNOWN_LENGTH), 0);
}

static int write_(weir_exchange *x)
{
    begin(x);
    return end(x, SWEPT(weir_write(x, weir_str_from(large, LARGE_BYTES))));
}

static int flush(weir_exchange *x)
{
    begin(x);
    for (int i = 0; i < 8; i++) /* copied, and sent at the turn's end */
        CHECK_INT(weir_write(x, weir_str_from(large, 4096)), 0);
    return end(x, SWEPT(weir_flush(x)));
}

static int end_(weir_exchange *x)
{
    begin(x);
    CHECK_INT(weir_write(x, WEIR_S("text")), 0);
    return end(x, SWEPT(weir_end(x)));
}

static weir_handler *handlers[] = { body_read,  body_all,     read_json,
                                    reply,      reply_text,   reply_json_text,
                                    reply_json, reply_object, reply_status,
                                    problem,    reply_begin,  write_,
                                    flush,      end_,         inform };

static const struct waiting exchange[] = {
    { "a piece of the body", serve, &handlers[0], 1 },
    { "the body", serve, &handlers[1], 2 },
    { "JSON", serve, &handlers[2], 2 },
    { "reply", serve, &handlers[3], 1 },
    { "reply with text", serve, &handlers[4], 1 },
    { "reply with JSON text", serve, &handlers[5], 1 },
    { "reply with JSON", serve, &handlers[6], 1 },
    { "reply with an object", serve, &handlers[7], 1 },
    { "reply with a status", serve, &handlers[8], 0 }, /* these never wait */
    { "problem", serve, &handlers[9], 0 },
    { "begin", serve, &handlers[10], 0 },
    { "write", serve, &handlers[11], 1 },
    { "flush", serve, &handlers[12], 1 },
    { "end", serve, &handlers[13], 0 },
    { "inform", serve, &handlers[14], 0 },
};

static ssize_t swallow(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    (void)bytes;
    return (ssize_t)len;
}

int main(void)
{
    int failed;

    memset(large, 'x', LARGE_BYTES);
    if (weir_log_open(.sink = swallow, .sync = true) < 0)
        return 1;
    /* Metrics, and what a thread keeps for the log and for JSON, are made once, and stay. */
    weir_warn("the first line");
    if (weir_run(serve, &handlers[2], .loops = 1) < 0)
        return 1;
    failed = WAITS_RUN(exchange);
    weir_log_close();
    return failed;
}
