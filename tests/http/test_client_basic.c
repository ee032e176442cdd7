/* The client against a scripted server: what is sent, what comes back, and which
 * connections are used again. */
#include "support/in_task.h"

#include <weir/client.h>

#include "rt/rt.h"
#include "support/peer.h"

static weir_str url_of(uint16_t port, const char *rest)
{
    weir_str url = weir_format("http://127.0.0.1:%u%s", port, rest);

    CHECK(url.ptr);
    return url;
}

#define CHECK_STR(got, wanted)                                                 \
    do {                                                                       \
        weir_str str_ = (got);                                                 \
                                                                               \
        if (!weir_str_eq(str_, WEIR_S(wanted))) {                              \
            fprintf(stderr, "%s: %s is\n  %.*s\nnot\n  %s\n", WEIR_HERE, #got, WEIR_ARG(str_), \
                    wanted);                                                   \
            abort();                                                           \
        }                                                                      \
    } while (0)

/* Answers every request with its own head as the body. */
static void echo_heads(struct peer_conn *conn)
{
    while (peer_head(conn)) {
        char head[128];

        snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Conn: %d\r\n"
                                     "Content-Length: %zu\r\n\r\n", conn->index, conn->len);
        if (!peer_send(conn, head) || !peer_send_bytes(conn, conn->text, conn->len))
            return;
    }
}

TASK_TEST(a_get_sends_what_it_should_and_the_connection_is_kept)
{
    uint16_t port;
    struct peer *peer = peer_start(echo_heads, NULL, &port);
    char wanted[256];
    weir_response r;

    (void)arg;
    CHECK_INT(weir_fetch(url_of(port, "/a?b=c#d"), &r), 0);
    CHECK_INT(r.status, 200);
    CHECK_STR(r.type, "text/plain");
    CHECK_INT(r.content_length, r.body.len);
    CHECK_STR(weir_response_header(&r, "x-conn"), "0");
    CHECK(weir_response_header(&r, "nothing").ptr == NULL);
    snprintf(wanted, sizeof(wanted), "GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
                                     "User-Agent: weir/" WEIR_VERSION "\r\n\r\n", port);
    CHECK_TEXT(r.body.ptr, wanted);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(weir_fetch(url_of(port, i % 2 ? "" : "?x"), &r), 0);
        CHECK(weir_str_starts(r.body, i % 2 ? WEIR_S("GET / HTTP") : WEIR_S("GET /?x HTTP")));
    }
    CHECK_INT(peer_connections(peer), 1);
    peer_stop(peer);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_get_sends_what_it_should_and_the_connection_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
