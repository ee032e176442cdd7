/* What the tests of the HTTP/2 client share: a server of tasks, and a client for it. */
#ifndef TESTS_HTTP_H2_RUN_H
#define TESTS_HTTP_H2_RUN_H

#include <errno.h>

#include <weir/client.h>

#include "support/both.h"
#include "support/h2_peer.h"

struct h2_test {
    struct h2_peer peer;
    weir_client *client;
    weir_pool *pool;
};

static inline weir_str h2_url(const struct h2_test *t, const char *path)
{
    weir_str url = weir_format("http://127.0.0.1:%u%s", t->peer.port, path);

    CHECK(url.ptr);
    return url;
}

static inline void h2_start(struct h2_test *t, weir_scope s, const weir_client_opts *opts)
{
    CHECK_INT(h2_peer_open(&t->peer), 0);
    weir_go(s, h2_peer_run, &t->peer, .optional = true);
    CHECK_INT(weir_client_new_opt(&t->client, opts), 0);
    CHECK_INT(weir_client_pool(t->client, h2_url(t, "/"), &t->pool), 0);
}

/* Nothing may be held; and the connections go with the client. */
static inline void h2_stop(struct h2_test *t, weir_scope s)
{
    weir_pool_stats stats;

    weir_pool_read(t->pool, &stats);
    CHECK_INT(stats.held, 0);
    weir_client_free(t->client);
    for (int i = 0; t->peer.open > 0 && i < 2000; i++)
        CHECK_INT(weir_sleep_ms(1), 0);
    CHECK_INT(t->peer.open, 0);
    weir_cancel(s);
    CHECK(weir_join(s) <= 0);
    weir_recover();
    h2_peer_close(&t->peer);
}

/* Run the block that follows with a server and a client; the arguments are options of the
 * client. */
#define H2_WITH(t, ...)                                                        \
    WEIR_SCOPE(with_)                                                          \
        for (int once_ = (h2_start(&(t), with_,                                \
                                   &(weir_client_opts){ .size = sizeof(weir_client_opts), \
                                                        .http2 = WEIR_HTTP2_PRIOR_KNOWLEDGE, \
                                                        __VA_ARGS__ }),        \
                          1);                                                  \
             once_; once_ = (h2_stop(&(t), with_), 0))

#define H2_FETCH(t, path, ret, ...) \
    weir_fetch(h2_url(&(t), path), ret, .client = (t).client, __VA_ARGS__)

static inline void check_said(const char *part)
{
    char text[1200];

    weir_error_print(text, sizeof(text));
    if (!strstr(text, part)) {
        fprintf(stderr, "\"%s\" is not in \"%s\"\n", part, text);
        abort();
    }
    weir_recover();
}

#define CHECK_STR(got, wanted) CHECK(weir_str_eq(got, weir_str_c(wanted)))

#endif
