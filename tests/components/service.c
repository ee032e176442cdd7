/* The server side of what test_*.py here asks: bodies of any length down, up, and both ways at
 * once.
 *
 *     GET  /size/N    N bytes of the pattern, with their length
 *     GET  /pieces/N  the same, without
 *     POST /echo      the request's body, as it comes in
 *     POST /back      the same, when it is there whole
 *     POST /count     how many bytes of the pattern came; 400 if anything else did
 *
 * The flags are weir_main()'s; `service --modern ADDRESS CERTIFICATE KEY` serves with the TLS profile
 * that no flag chooses. */
#include <stdio.h>

#include <weir/weir.h>

#include "pattern.h"

static char pattern[PATTERN_BYTES];

static int send_body(weir_exchange *x, int64_t announced)
{
    uint64_t length = (uint64_t)weir_param_i64(x, "n"), sent = 0;
    int rc = weir_reply_begin(x, 200, "application/octet-stream", announced);

    while (rc == 0 && sent < length) {
        weir_str piece = pattern_piece(pattern, sent, length);

        rc = weir_write(x, piece);
        sent += piece.len;
    }
    return rc;
}

static int size(weir_exchange *x)
{
    return send_body(x, weir_param_i64(x, "n"));
}

static int pieces(weir_exchange *x)
{
    return send_body(x, WEIR_UNKNOWN_LENGTH);
}

static int echo(weir_exchange *x)
{
    weir_str data;
    ssize_t n;
    int rc = weir_reply_begin(x, 200, "application/octet-stream", WEIR_UNKNOWN_LENGTH);

    while (rc == 0 && (n = weir_body_read(x, &data)) != 0)
        rc = n < 0 ? (int)n : weir_write(x, data);
    return rc;
}

static int back(weir_exchange *x)
{
    weir_str body;
    int rc = weir_body_all(x, &body);

    return rc < 0 ? rc : weir_reply(x, 200, "application/octet-stream", body);
}

static int count(weir_exchange *x)
{
    uint64_t came = 0;
    weir_str data;
    ssize_t n;

    while ((n = weir_body_read(x, &data)) > 0) {
        if (!pattern_fits(pattern, came, data))
            return weir_problem(x, 400, "another byte than expected after %llu",
                                (unsigned long long)came);
        came += data.len;
    }
    if (n < 0)
        return (int)n;
    return weir_reply_text(x, 200, weir_format("%llu", (unsigned long long)came).ptr);
}

static int serve_modern(weir_app *app, char **argv)
{
    weir_tls_certificate certificates[] = { { .certificate = argv[1], .key = argv[2] }, { 0 } };
    weir_tls_server_opts tls = { .size = sizeof tls,
                                 .certificates = certificates,
                                 .profile = WEIR_TLS_MODERN };
    int code = weir_serve(app, .listen = { argv[0] }, .loops = 1, .tls = &tls);

    weir_app_free(app);
    return code;
}

int main(int argc, char **argv)
{
    weir_app *app = weir_app_new(.title = "Components", .body_max_bytes = WEIR_UNLIMITED);

    pattern_make(pattern);
    weir_get(app, "/size/{n:i64}", size);
    weir_get(app, "/pieces/{n:i64}", pieces);
    weir_post(app, "/echo", echo);
    weir_post(app, "/back", back);
    weir_post(app, "/count", count);
    if (argc == 5 && strcmp(argv[1], "--modern") == 0)
        return serve_modern(app, argv + 2);
    return weir_main(app, argc, argv);
}
