/* The server with requests as they should be: keep-alive, pipelining, versions,
 * methods, heads in pieces; and handlers that do not answer as they should. */
#include "served.h"

static int hello(weir_exchange *x)
{
    return weir_reply_text(x, 200, "Hello, World!");
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: t\r\n\r\n"

static const struct served_route hello_routes[] = { { .path = "/", .handler = hello }, { 0 } };

static int keep_alive_client(struct served *s)
{
    struct peer peer;
    struct answer a;
    char value[256];

    CHECK(s, peer_open(s, &peer) == 0);
    for (int i = 0; i < 50; i++) {
        CHECK(s, peer_say(&peer, GET("/")) == 0);
        CHECK(s, peer_answer(&peer, false, &a) == 0);
        CHECK(s, a.status == 200 && a.body_len == 13);
        CHECK(s, strncmp(a.body, "Hello, World!", 13) == 0);
        CHECK(s, answer_field(&a, "Date", value) && strlen(value) == 29);
        CHECK(s, answer_field(&a, "Content-Type", value));
        CHECK(s, strcmp(value, "text/plain; charset=utf-8") == 0);
        CHECK(s, !answer_field(&a, "Connection", value));
        peer_next(&peer, &a);
        CHECK(s, peer.len == 0);
    }
    peer_close(&peer);
    return 0;
}

static void keep_alive(void **state)
{
    struct served s = { .routes = hello_routes, .client = keep_alive_client };

    (void)state;
    served_run(&s);
    assert_int_equal(s.stats.accepted, 1);
    assert_int_equal(s.stats.requests, 50);
    assert_int_equal(s.stats.answered[2], 50);
    assert_int_equal(s.stats.bytes_in, 50 * strlen(GET("/")));
    assert_int_equal(served_log_count(&s, "\n"), 0);
    served_done(&s);
}

/* ---- pipelining ------------------------------------------------------------------ */

static int number(weir_exchange *x)
{
    weir_str n = weir_query(x);

    /* Every third waits, so that order is not kept by luck. */
    if (n.len > 0 && n.ptr[n.len - 1] % 3 == 0 && weir_yield() < 0)
        return -1;
    return weir_reply(x, 200, "text/plain", n);
}

static const struct served_route number_routes[] = { { .path = "/n", .handler = number }, { 0 } };

static int pipeline_client(struct served *s)
{
    struct strbuf all = STRBUF_INIT;
    struct peer peer;
    struct answer a;
    char expected[16];

    for (int i = 0; i < 1000; i++)
        strbuf_addf(&all, "GET /n?%d HTTP/1.1\r\nHost: t\r\n\r\n", i);
    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_send(&peer, all.ptr, all.len) == 0);
    strbuf_done(&all);
    for (int i = 0; i < 1000; i++) {
        snprintf(expected, sizeof expected, "%d", i);
        CHECK(s, peer_answer(&peer, false, &a) == 0);
        CHECK(s, a.status == 200 && a.body_len == strlen(expected));
        CHECK(s, strncmp(a.body, expected, a.body_len) == 0);
        peer_next(&peer, &a);
    }
    peer_close(&peer);
    return 0;
}

static void a_thousand_pipelined(void **state)
{
    struct served s = { .routes = number_routes, .client = pipeline_client };

    (void)state;
    served_run(&s);
    assert_int_equal(s.stats.requests, 1000);
    served_done(&s);
}

/* Requests that ask for nothing that is there are answered without a task. */
static int pipeline_404_client(struct served *s)
{
    struct strbuf all = STRBUF_INIT;
    struct peer peer;
    struct answer a;

    for (int i = 0; i < 2000; i++)
        strbuf_add_c(&all, GET("/none"));
    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_send(&peer, all.ptr, all.len) == 0);
    strbuf_done(&all);
    for (int i = 0; i < 2000; i++) {
        CHECK(s, peer_answer(&peer, false, &a) == 0);
        CHECK(s, a.status == 404);
        peer_next(&peer, &a);
    }
    peer_close(&peer);
    return 0;
}

static void pipelined_without_handlers(void **state)
{
    struct served s = { .routes = hello_routes, .client = pipeline_404_client };

    (void)state;
    served_run(&s);
    assert_int_equal(s.stats.answered[4], 2000);
    served_done(&s);
}

/* The client sends all, closes its half, and reads only then. */
static int half_close_client(struct served *s)
{
    struct strbuf all = STRBUF_INIT;
    struct peer peer;
    struct answer a;

    for (int i = 0; i < 200; i++)
        strbuf_add_c(&all, GET("/"));
    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_send(&peer, all.ptr, all.len) == 0);
    strbuf_done(&all);
    shutdown(peer.fd, SHUT_WR);
    for (int i = 0; i < 200; i++) {
        CHECK(s, peer_answer(&peer, false, &a) == 0);
        CHECK(s, a.status == 200);
        peer_next(&peer, &a);
    }
    CHECK(s, peer_until_end(&peer) == 0 && peer.len == 0);
    peer_close(&peer);
    return 0;
}

static void a_half_closed_client_gets_ready_answers(void **state)
{
    struct served s = { .routes = hello_routes, .client = half_close_client };

    (void)state;
    served_run(&s);
    assert_int_equal(s.stats.answered[2], 200);
    served_done(&s);
}

/* ---- heads in pieces ----------------------------------------------------------------- */

static int echo_header(weir_exchange *x)
{
    weir_str value = weir_header(x, "x-test");

    return weir_reply(x, 200, "text/plain", value.ptr ? value : WEIR_S("none"));
}

static const struct served_route header_routes[] = { { .path = "/h", .handler = echo_header },
                                                     { 0 } };

static int split_client(struct served *s)
{
    const char *request = "GET /h HTTP/1.1\r\nHost: t\r\nX-Test: split well\r\n\r\n";
    size_t len = strlen(request);
    struct peer peer;
    struct answer a;

    CHECK(s, peer_open(s, &peer) == 0);
    for (size_t cut = 1; cut < len; cut++) {
        CHECK(s, peer_send(&peer, request, cut) == 0);
        sched_yield();
        CHECK(s, peer_send(&peer, request + cut, len - cut) == 0);
        CHECK(s, peer_answer(&peer, false, &a) == 0);
        CHECK(s, a.status == 200 && a.body_len == 10 && !strncmp(a.body, "split well", 10));
        peer_next(&peer, &a);
    }
    peer_close(&peer);
    return 0;
}

static void a_head_in_two_pieces(void **state)
{
    struct served s = { .routes = header_routes, .client = split_client };

    (void)state;
    served_run(&s);
    served_done(&s);
}

/* A head larger than a buffer, with another request behind it. */
static int big_head_client(struct served *s)
{
    struct strbuf all = STRBUF_INIT;
    struct peer peer;
    struct answer a;

    for (int round = 0; round < 3; round++) {
        strbuf_add_c(&all, "GET /h HTTP/1.1\r\nHost: t\r\n");
        for (int i = 0; i < 20; i++) {
            strbuf_addf(&all, "X-Fill-%d: ", i);
            for (int j = 0; j < 1000 + round * 300; j++)
                strbuf_add_char(&all, 'f');
            strbuf_add_c(&all, "\r\n");
        }
        strbuf_addf(&all, "X-Test: big %d\r\n\r\n", round);
        strbuf_add_c(&all, GET("/h"));
    }
    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_send(&peer, all.ptr, all.len) == 0);
    strbuf_done(&all);
    for (int round = 0; round < 3; round++) {
        CHECK(s, peer_answer(&peer, false, &a) == 0);
        CHECK(s, a.status == 200 && a.body_len == 5 && !strncmp(a.body, "big ", 4));
        CHECK(s, a.body[4] == '0' + round);
        peer_next(&peer, &a);
        CHECK(s, peer_answer(&peer, false, &a) == 0);
        CHECK(s, a.status == 200 && !strncmp(a.body, "none", 4));
        peer_next(&peer, &a);
    }
    peer_close(&peer);
    return 0;
}

static void a_head_larger_than_a_buffer(void **state)
{
    struct served s = { .routes = header_routes, .client = big_head_client };

    (void)state;
    served_run(&s);
    assert_int_equal(s.stats.requests, 6);
    served_done(&s);
}

/* ---- methods and versions ----------------------------------------------------------------- */

static int no_content(weir_exchange *x)
{
    return weir_reply_status(x, 204);
}

static int not_modified(weir_exchange *x)
{
    int rc = weir_set_header(x, "ETag", WEIR_S("\"1\""));

    return rc < 0 ? rc : weir_reply_status(x, 304);
}

static int pieces(weir_exchange *x)
{
    int rc = weir_reply_begin(x, 200, "text/plain", WEIR_UNKNOWN_LENGTH);

    for (int i = 0; rc == 0 && i < 3; i++)
        rc = weir_write(x, WEIR_S("piece "));
    return rc;
}

static const struct served_route version_routes[] = { { .path = "/", .handler = hello },
                                                      { .path = "/204", .handler = no_content },
                                                      { .path = "/304", .handler = not_modified },
                                                      { .path = "/pieces", .handler = pieces },
                                                      { 0 } };

static int versions_client(struct served *s)
{
    struct peer peer;
    struct answer a;
    char value[256];

    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer, "HEAD / HTTP/1.1\r\nHost: t\r\n\r\n") == 0);
    CHECK(s, peer_answer(&peer, true, &a) == 0 && a.status == 200);
    CHECK(s, answer_field(&a, "Content-Length", value) && strcmp(value, "13") == 0);
    peer_next(&peer, &a);
    CHECK(s, peer_say(&peer, "HEAD /pieces HTTP/1.1\r\nHost: t\r\n\r\n") == 0);
    CHECK(s, peer_answer(&peer, true, &a) == 0 && a.status == 200);
    peer_next(&peer, &a);
    CHECK(s, peer_say(&peer, GET("/204")) == 0);
    CHECK(s, peer_answer(&peer, false, &a) == 0 && a.status == 204);
    CHECK(s, !answer_field(&a, "Content-Length", value));
    peer_next(&peer, &a);
    CHECK(s, peer_say(&peer, GET("/304")) == 0);
    CHECK(s, peer_answer(&peer, false, &a) == 0 && a.status == 304);
    CHECK(s, answer_field(&a, "ETag", value) && strcmp(value, "\"1\"") == 0);
    peer_next(&peer, &a);
    CHECK(s, peer_say(&peer, GET("/pieces")) == 0);
    CHECK(s, peer_answer(&peer, false, &a) == 0 && a.status == 200 && a.complete);
    CHECK(s, answer_field(&a, "Transfer-Encoding", value) && strcmp(value, "chunked") == 0);
    CHECK(s, a.body_len == 18 && !strncmp(a.body, "piece piece piece ", 18));
    peer_next(&peer, &a);
    /* HTTP/1.0: the connection goes on only when asked, and has no chunks. */
    CHECK(s, peer_say(&peer, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n") == 0);
    CHECK(s, peer_answer(&peer, false, &a) == 0 && a.status == 200);
    CHECK(s, answer_field(&a, "Connection", value) && strcmp(value, "keep-alive") == 0);
    peer_next(&peer, &a);
    CHECK(s, peer_say(&peer, "GET /pieces HTTP/1.0\r\nConnection: keep-alive\r\n\r\n") == 0);
    CHECK(s, peer_answer(&peer, false, &a) == 0 && a.status == 200);
    CHECK(s, !answer_field(&a, "Transfer-Encoding", value));
    CHECK(s, a.body_len == 18);
    peer_close(&peer);
    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer, "GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n") == 0);
    CHECK(s, peer_answer(&peer, false, &a) == 0 && a.status == 200);
    CHECK(s, answer_field(&a, "Connection", value) && strcmp(value, "close") == 0);
    peer_next(&peer, &a);
    CHECK(s, peer_until_end(&peer) == 0 && peer.len == 0);
    peer_close(&peer);
    return 0;
}

static void versions_and_methods(void **state)
{
    struct served s = { .routes = version_routes, .client = versions_client };

    (void)state;
    served_run(&s);
    served_done(&s);
}

static int requests_max_client(struct served *s)
{
    struct peer peer;
    struct answer a;
    char value[256];

    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer, GET("/") GET("/") GET("/") GET("/")) == 0);
    for (int i = 0; i < 3; i++) {
        CHECK(s, peer_answer(&peer, false, &a) == 0 && a.status == 200);
        CHECK(s, answer_field(&a, "Connection", value) == (i == 2));
        peer_next(&peer, &a);
    }
    CHECK(s, peer_until_end(&peer) == 0 && peer.len == 0);
    peer_close(&peer);
    return 0;
}

static void the_last_request_of_a_connection_says_so(void **state)
{
    struct served s = { .routes = hello_routes,
                        .client = requests_max_client,
                        .opts = { .requests_max = 3 } };

    (void)state;
    served_run(&s);
    assert_int_equal(s.stats.requests, 3);
    served_done(&s);
}

/* ---- fields and ids --------------------------------------------------------------------------- */

static int fields(weir_exchange *x)
{
    static const struct {
        const char *name;
        weir_str value;
        int rc;
    } tries[] = {
        { "X-One", { "1", 1 }, 0 },
        { "Set-Cookie", { "a=1", 3 }, 0 },
        { "Set-Cookie", { "b=2", 3 }, 0 },
        { "X-Bad", { "1\r\nX-Split: 1", 13 }, -EINVAL },
        { "X-Bad", { "1\0", 2 }, -EINVAL },
        { "X Bad", { "1", 1 }, -EINVAL },
        { "Content-Length", { "3", 1 }, -EINVAL },
        { "transfer-encoding", { "chunked", 7 }, -EINVAL },
        { "Connection", { "close", 5 }, -EINVAL },
        { "X-None", { NULL, 0 }, -ENOMEM },
    };

    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++)
        if (weir_set_header(x, tries[i].name, tries[i].value) != tries[i].rc)
            return weir_problem(x, 500, "field %zu", i);
    if (weir_reply(x, 200, "text/plain\r\nX: y", WEIR_S("")) != -EINVAL)
        return -1;
    if (weir_reply(x, 99, NULL, WEIR_S("")) != -EINVAL)
        return -1;
    if (weir_reply(x, 200, NULL, weir_context_get()->correlation_id) != 0)
        return -1;
    if (weir_set_header(x, "X-Late", WEIR_S("1")) != WEIR_ECLOSED)
        return -1;
    return weir_reply_status(x, 200) == WEIR_ECLOSED ? 0 : -1;
}

static const struct served_route field_routes[] = { { .path = "/f", .handler = fields }, { 0 } };

static int fields_client(struct served *s)
{
    struct peer peer;
    struct answer a;
    char value[256];

    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer, "GET /f HTTP/1.1\r\nHost: t\r\nX-Request-ID: my-id.7\r\n\r\n") == 0);
    CHECK(s, peer_answer(&peer, false, &a) == 0 && a.status == 200);
    CHECK(s, answer_field(&a, "X-One", value) && strcmp(value, "1") == 0);
    CHECK(s, strstr(a.head.ptr, "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n") != NULL);
    CHECK(s, !answer_field(&a, "X-Split", value) && !answer_field(&a, "X-Bad", value));
    CHECK(s, a.body_len == 7 && !strncmp(a.body, "my-id.7", 7));
    peer_next(&peer, &a);
    CHECK(s,
          peer_say(&peer, "GET /f HTTP/1.1\r\nHost: t\r\nX-Request-ID: no good\r\nTraceparent: "
                          "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n") == 0);
    CHECK(s, peer_answer(&peer, false, &a) == 0 && a.status == 200);
    CHECK(s, a.body_len == 32 && !strncmp(a.body, "0af7651916cd43dd8448eb211c80319c", 32));
    peer_next(&peer, &a);
    CHECK(s, peer_say(&peer, GET("/f")) == 0);
    CHECK(s, peer_answer(&peer, false, &a) == 0 && a.status == 200 && a.body_len == 32);
    CHECK(s, strspn(a.body, "0123456789abcdef") >= 32);
    peer_close(&peer);
    return 0;
}

static void fields_that_may_be_set(void **state)
{
    struct served s = { .routes = field_routes, .client = fields_client };

    (void)state;
    served_run(&s);
    served_done(&s);
}

/* ---- failures ------------------------------------------------------------------------------------ */

static int fails(weir_exchange *x)
{
    WEIR_IGNORE(weir_set_header(x, "X-Meant-For-Another", WEIR_S("1")), "checked by the client");
    return weir_wrap(weir_fail(-ECONNREFUSED, "the far side"), "calling the far side");
}

static int silent(weir_exchange *x)
{
    (void)x;
    return 0;
}

static int late(weir_exchange *x)
{
    (void)x;
    return weir_sleep_ms(5000);
}

static int breaks_chunked(weir_exchange *x)
{
    int rc = weir_reply_begin(x, 200, "text/plain", WEIR_UNKNOWN_LENGTH);

    if (rc == 0)
        rc = weir_write(x, WEIR_S("half of it"));
    return rc < 0 ? rc : weir_fail(-EIO, "the source broke");
}

static int breaks_length(weir_exchange *x)
{
    int rc = weir_reply_begin(x, 200, "text/plain", 100);

    if (rc == 0)
        rc = weir_write(x, WEIR_S("half of it"));
    return rc < 0 ? rc : weir_fail(-EIO, "the source broke");
}

static int too_short(weir_exchange *x)
{
    int rc = weir_reply_begin(x, 200, "text/plain", 100);

    return rc < 0 ? rc : weir_write(x, WEIR_S("too short"));
}

static int too_long(weir_exchange *x)
{
    int rc = weir_reply_begin(x, 200, "text/plain", 4);

    if (rc == 0)
        rc = weir_write(x, WEIR_S("four"));
    if (rc == 0 && weir_write(x, WEIR_S("!")) != -EINVAL)
        rc = -1;
    weir_recover();
    return rc;
}

static const struct served_route failing_routes[] = {
    { .path = "/", .handler = hello },
    { .path = "/fails", .handler = fails },
    { .path = "/silent", .handler = silent },
    { .path = "/late", .handler = late, .timeout_ms = 30 },
    { .path = "/chunked", .handler = breaks_chunked },
    { .path = "/length", .handler = breaks_length },
    { .path = "/short", .handler = too_short },
    { .path = "/long", .handler = too_long },
    { 0 }
};

static int one_failure(struct served *s, struct peer *peer, const char *path, int status)
{
    char request[256], id[64];
    struct answer a;

    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", path);
    CHECK(s, peer_say(peer, request) == 0);
    CHECK(s, peer_answer(peer, false, &a) == 0);
    CHECK(s, a.status == status);
    CHECK(s, answer_field(&a, "Content-Type", request));
    CHECK(s, strcmp(request, "application/problem+json") == 0);
    CHECK(s, !answer_field(&a, "X-Meant-For-Another", request));
    a.body[a.body_len] = '\0';
    CHECK(s, strstr(a.body, "urn:weir:exchange:") != NULL);
    snprintf(id, sizeof id, "%.32s", strstr(a.body, "urn:weir:exchange:") + 18);
    CHECK(s, served_log_count(s, id) == 1);
    peer_next(peer, &a);
    return 0;
}

static int failing_client(struct served *s)
{
    struct peer peer;
    struct answer a;

    CHECK(s, peer_open(s, &peer) == 0);
    if (one_failure(s, &peer, "/fails", 502) < 0 || one_failure(s, &peer, "/silent", 500) < 0 ||
        one_failure(s, &peer, "/late", 504) < 0)
        return -1;
    CHECK(s, served_log_count(s, "calling the far side: the far side") == 1);
    CHECK(s, peer_say(&peer, GET("/long") GET("/")) == 0);
    CHECK(s, peer_answer(&peer, false, &a) == 0 && a.status == 200 && a.body_len == 4);
    peer_next(&peer, &a);
    CHECK(s, peer_answer(&peer, false, &a) == 0 && a.status == 200);
    peer_next(&peer, &a);
    CHECK(s, peer_say(&peer, GET("/chunked")) == 0);
    CHECK(s, peer_answer(&peer, false, &a) == 0 && a.status == 200 && !a.complete);
    peer_close(&peer);
    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer, GET("/length") GET("/")) == 0);
    CHECK(s, peer_answer(&peer, false, &a) == 0 && a.status == 200 && !a.complete);
    peer_close(&peer);
    CHECK(s, served_log_count(s, "the source broke") == 2);
    CHECK(s, peer_open(s, &peer) == 0);
    CHECK(s, peer_say(&peer, GET("/short")) == 0);
    CHECK(s, peer_answer(&peer, false, &a) == 0 && a.status == 200 && !a.complete);
    peer_close(&peer);
    CHECK(s, peer_open(s, &peer) == 0);
    /* Until the connection's end there is no mark but a reset. */
    CHECK(s, peer_say(&peer, "GET /chunked HTTP/1.0\r\n\r\n") == 0);
    CHECK(s, peer_until_end(&peer) == -ECONNRESET);
    peer_close(&peer);
    return 0;
}

static void failures_are_answered_and_logged_once(void **state)
{
    struct served s = { .routes = failing_routes, .client = failing_client };

    (void)state;
    served_run(&s);
    assert_int_equal(s.stats.answered[5], 3);
    served_done(&s);
}

/* ---- after the reply ------------------------------------------------------------------------------- */

static _Thread_local int events;
static int deferred_at, job_at;

static void put_off(void *arg)
{
    *(int *)arg = ++events;
}

static int job(void *arg)
{
    weir_exchange *x = arg;
    int rc = weir_sleep_ms(20);

    /* The request is still there. */
    if (rc == 0 && weir_str_eq(weir_path(x), WEIR_S("/job")) && weir_client_gone(x))
        job_at = ++events;
    return rc;
}

static int with_job(weir_exchange *x)
{
    int rc = weir_after_reply(x, job, x);

    weir_defer(x, put_off, &deferred_at);
    return rc < 0 ? rc : hello(x);
}

static const struct served_route job_routes[] = { { .path = "/job", .handler = with_job }, { 0 } };

static int job_client(struct served *s)
{
    CHECK(s, get_status(s, "/job") == 200);
    return 0;
}

static void jobs_after_the_reply(void **state)
{
    struct served s = { .routes = job_routes, .client = job_client };

    (void)state;
    served_run(&s);
    assert_int_equal(job_at, 1);
    assert_int_equal(deferred_at, 2);
    served_done(&s);
}

/* ---- several loops ------------------------------------------------------------------------------------ */

static void *hammer(void *arg)
{
    struct served *s = arg;

    for (int i = 0; i < 10; i++)
        if (get_status(s, "/") != 200)
            served_fail(s, __FILE__, __LINE__, "get");
    keep_alive_client(s);
    return NULL;
}

static int loops_client(struct served *s)
{
    pthread_t threads[8];

    for (size_t i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, hammer, s);
    for (size_t i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    return s->failure[0] ? -1 : 0;
}

static void several_loops(void **state)
{
    struct served s = { .routes = hello_routes, .client = loops_client, .loops = 3 };

    (void)state;
    served_run(&s);
    assert_int_equal(s.stats.accepted, 88);
    assert_int_equal(s.stats.answered[2], 480);
    served_done(&s);
}

/* However the kernel wakes loops, none of them ends up with all connections. */
static int which_loop(weir_exchange *x)
{
    char digit = (char)('0' + weir_loop_index());

    return weir_reply(x, 200, "text/plain", weir_str_from(&digit, 1));
}

static const struct served_route loop_routes[] = { { .path = "/", .handler = which_loop }, { 0 } };

#define SPREAD 60

static int spread_client(struct served *s)
{
    struct peer peers[SPREAD];
    struct answer a;
    unsigned loops[3] = { 0 };

    for (size_t i = 0; i < SPREAD; i++)
        CHECK(s, peer_open(s, &peers[i]) == 0);
    for (size_t i = 0; i < SPREAD; i++) {
        CHECK(s, peer_say(&peers[i], GET("/")) == 0);
        CHECK(s, peer_answer(&peers[i], false, &a) == 0 && a.status == 200);
        CHECK(s, a.body[0] >= '0' && a.body[0] < '3');
        loops[a.body[0] - '0']++;
    }
    for (size_t i = 0; i < SPREAD; i++)
        peer_close(&peers[i]);
    for (size_t i = 0; i < 3; i++)
        CHECK(s, loops[i] >= SPREAD / 6 && loops[i] <= SPREAD / 2);
    return 0;
}

static void connections_are_spread(void **state)
{
    struct served s = { .routes = loop_routes, .client = spread_client, .loops = 3 };

    (void)state;
    served_run(&s);
    assert_int_equal(s.stats.accepted, SPREAD);
    served_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keep_alive),
        cmocka_unit_test(a_thousand_pipelined),
        cmocka_unit_test(pipelined_without_handlers),
        cmocka_unit_test(a_half_closed_client_gets_ready_answers),
        cmocka_unit_test(a_head_in_two_pieces),
        cmocka_unit_test(a_head_larger_than_a_buffer),
        cmocka_unit_test(versions_and_methods),
        cmocka_unit_test(the_last_request_of_a_connection_says_so),
        cmocka_unit_test(fields_that_may_be_set),
        cmocka_unit_test(failures_are_answered_and_logged_once),
        cmocka_unit_test(jobs_after_the_reply),
        cmocka_unit_test(several_loops),
        cmocka_unit_test(connections_are_spread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
