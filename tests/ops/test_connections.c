/* What a program tells of its connections, and of its recorder. */
#include "../http/served.h"

#include <netinet/in.h>
#include <sys/resource.h>
#include <unistd.h>

#include <weir/inspect.h>

#include "base/clock.h"
#include "ops/control.h"

#define LARGE (8u << 20)

static int large(weir_exchange *x)
{
    static char block[1 << 16];
    int rc = weir_reply_begin(x, 200, "text/plain", -1);

    for (size_t done = 0; rc >= 0 && done < LARGE; done += sizeof(block))
        rc = weir_write(x, (weir_str){ block, sizeof(block) });
    return rc < 0 ? rc : 0;
}

static int hello(weir_exchange *x)
{
    return weir_reply_text(x, 200, "hello");
}

static const struct served_route routes[] = { { .path = "/large", .handler = large },
                                              { .path = "/", .handler = hello },
                                              { 0 } };

/* Ask until the answer has the text; at most 10 s. */
static bool told(const char *request, struct strbuf *out, const char *text)
{
    int64_t until_ns = clock_monotonic_ns() + 10 * INT64_C(1000000000);

    while (clock_monotonic_ns() < until_ns) {
        strbuf_clear(out);
        control_answer(out, request);
        if (strstr(out->ptr, text))
            return true;
        sched_yield();
    }
    print_message("not in it: %s\n%s", text, out->ptr);
    return false;
}

static int reader_that_does_not_read(struct served *s)
{
    struct strbuf out = STRBUF_INIT;
    struct peer idle, slow;
    struct answer a;
    const char *at;

    CHECK(s, peer_open(s, &idle) == 0);
    CHECK(s, peer_say(&idle, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") == 0);
    CHECK(s, peer_answer(&idle, false, &a) == 0);
    CHECK(s, peer_open(s, &slow) == 0);
    CHECK(s, peer_say(&slow, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n") == 0);
    CHECK(s, told("connections", &out, "\"held_up\":1"));
    CHECK(s, strstr(out.ptr, "\"connections\":2,\"in_flight\":1,\"accepted\":2"));
    CHECK(s, strstr(out.ptr, "\"by_state\":{\"idle\":1,\"reading a head\":0,\"serving\":1"));
    CHECK(s, strstr(out.ptr, "\"address\":\"127.0.0.1:"));
    CHECK(s, strstr(out.ptr, "\"accept_queue\":0,\"accept_queue_max\":"));
    at = strstr(out.ptr, "\"longest\":[");
    CHECK(s, at && strstr(at, "\"peer\":\"127.0.0.1:"));
    CHECK(s, strstr(at, "\"held_up_ms\":") < strstr(at, "\"state\":\"idle\""));
    CHECK(s, strstr(at, "\"state\":\"serving\""));
    CHECK(s, !strstr(out.ptr, "\"waiting_bytes\":0,\"high_bytes\""));
    CHECK(s, strstr(out.ptr, "\"loops\":[{\"loop\":0,\"answered\":true},{\"loop\":1"));
    peer_reset(&slow);
    CHECK(s, told("connections", &out, "\"held_up\":0"));
    CHECK(s, strstr(out.ptr, "\"connections\":1,"));
    peer_close(&idle);
    strbuf_done(&out);
    return 0;
}

static int many_that_come_and_go(struct served *s)
{
    struct strbuf out = STRBUF_INIT;
    struct peer peers[200];

    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 200; i++)
            CHECK(s, peer_open(s, &peers[i]) == 0);
        CHECK(s, told("connections", &out, "\"connections\":200,"));
        CHECK(s, told("connections", &out, "\"by_state\":{\"idle\":200"));
        for (int i = 0; i < 200; i++)
            peer_close(&peers[i]);
        strbuf_clear(&out);
        control_answer(&out, "connections");
        CHECK(s, strstr(out.ptr, "{\"servers\":[{"));
    }
    CHECK(s, told("connections", &out, "\"connections\":0,"));
    strbuf_done(&out);
    return 0;
}

static int reader_of_the_recorder(struct served *s)
{
    struct strbuf out = STRBUF_INIT;
    struct peer peer;
    struct answer a;

    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") == 0);
    CHECK(s, peer_answer(&peer, false, &a) == 0);
    control_answer(&out, "recorder");
    CHECK(s, strstr(out.ptr, "\"loop\":0,\"answered\":true,\"recorded\":true"));
    CHECK(s, strstr(out.ptr, "\"loop\":1,\"answered\":true"));
    CHECK(s, strstr(out.ptr, "\"event\":\"spawn\",\"task\":\""));
    CHECK(s, strstr(out.ptr, "\"event\":\"end\""));
    strbuf_clear(&out);
    control_answer(&out, "recorder 1 3");
    CHECK(s, !strstr(out.ptr, "\"loop\":0"));
    strbuf_clear(&out);
    control_answer(&out, "recorder 0 3");
    CHECK(s, strstr(out.ptr, "\"events\":[{\"ago_us\":"));
    strbuf_clear(&out);
    control_answer(&out, "recorder 9");
    CHECK(s, strstr(out.ptr, "{\"error\":"));
    strbuf_clear(&out);
    control_answer(&out, "recorder 0 0");
    CHECK(s, strstr(out.ptr, "{\"error\":"));
    strbuf_clear(&out);
    control_answer(&out, "recorder x");
    CHECK(s, strstr(out.ptr, "{\"error\":"));
    peer_close(&peer);
    strbuf_done(&out);
    return 0;
}

/* The process is out of descriptors, so that nobody is accepted. */
static int connect_without_descriptors(struct served *s)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)s->port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct rlimit before, none;
    int fds[6];
    int64_t until_ns = clock_monotonic_ns() + 10 * INT64_C(1000000000);

    for (int i = 0; i < 6; i++)
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK(s, getrlimit(RLIMIT_NOFILE, &before) == 0);
    none = (struct rlimit){ 3, before.rlim_max };
    CHECK(s, setrlimit(RLIMIT_NOFILE, &none) == 0);
    for (int i = 0; i < 6; i++)
        CHECK(s, connect(fds[i], (struct sockaddr *)&to, sizeof(to)) == 0 || errno == EINPROGRESS);
    while (served_log_count(s, "an accept queue has been full") == 0 &&
           clock_monotonic_ns() < until_ns)
        sched_yield();
    CHECK(s, setrlimit(RLIMIT_NOFILE, &before) == 0);
    for (int i = 0; i < 6; i++)
        close(fds[i]);
    CHECK(s, served_log_count(s, "an accept queue has been full for a second") == 1);
    CHECK(s, served_log_count(s, "accepts_put_off") == 1);
    return 0;
}

static void run(int (*client)(struct served *s))
{
    struct served s = { .routes = routes, .client = client, .loops = 2 };

    assert_int_equal(weir_inspect_open(.no_socket = true, .blocked_ms = WEIR_OFF), 0);
    served_run(&s);
    weir_inspect_close();
    served_done(&s);
}

static void a_client_that_does_not_read_is_told(void **state)
{
    (void)state;
    run(reader_that_does_not_read);
}

static void connections_may_come_and_go(void **state)
{
    (void)state;
    run(many_that_come_and_go);
}

static void the_recorder_is_told(void **state)
{
    (void)state;
    run(reader_of_the_recorder);
}

static void an_accept_queue_that_stays_full_is_told(void **state)
{
    struct served s = { .routes = routes,
                        .client = connect_without_descriptors,
                        .opts.backlog = 2 };

    (void)state;
    assert_int_equal(weir_inspect_open(.no_socket = true, .blocked_ms = WEIR_OFF), 0);
    served_run(&s);
    weir_inspect_close();
    served_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_accept_queue_that_stays_full_is_told),
        cmocka_unit_test(a_client_that_does_not_read_is_told),
        cmocka_unit_test(connections_may_come_and_go),
        cmocka_unit_test(the_recorder_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
