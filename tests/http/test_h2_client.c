/* Calls over HTTP/2: messages, multiplexing, and what becomes of the connection. On the
 * kernel's backend and in the simulation. */
#include "h2_run.h"

BOTH_TEST(an_answer_is_as_of_http_1)
{
    struct h2_test t = { 0 };

    (void)arg;
    H2_WITH(t)
    {
        weir_response r;

        CHECK_INT(H2_FETCH(t, "/hello", &r), 0);
        CHECK_INT(r.status, 200);
        CHECK_STR(r.body, "hello");
        CHECK(r.body.ptr[r.body.len] == 0);
        CHECK_STR(r.type, "text/plain");
        CHECK_INT(r.content_length, 5);
        CHECK_INT(r.field_count, 2);
        CHECK_STR(weir_response_header(&r, "Content-Length"), "5");
        CHECK_INT(H2_FETCH(t, "/empty", &r), 0);
        CHECK_INT(r.status, 204);
        CHECK_INT(r.content_length, -1);
        CHECK_INT(H2_FETCH(t, "/bytes?70", &r, .method = "HEAD"), 0);
        CHECK_INT(r.content_length, 70);
        CHECK_INT(r.body.len, 0);
        CHECK_INT(t.peer.connections, 1);
    }
    return 0;
}

BOTH_TEST(bodies_of_all_sizes_go_both_ways)
{
    static const size_t sizes[] = { 0, 1, 16383, 16384, 16385, 65535, 65536, 1000000 };
    static char bytes[1000000];
    struct h2_test t = { 0 };

    (void)arg;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 31 + i / 256);
    H2_WITH(t)
    {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
            weir_response r;

            CHECK_INT(H2_FETCH(t, "/echo", &r, .method = "POST", .body = { bytes, sizes[i] }), 0);
            CHECK_INT(r.body.len, sizes[i]);
            CHECK(memcmp(r.body.ptr, bytes, sizes[i]) == 0);
        }
        CHECK_INT(t.peer.connections, 1);
    }
    return 0;
}

static void count_informs(void *arg, const weir_response *interim)
{
    CHECK_INT(interim->status, 103);
    CHECK_STR(weir_response_header(interim, "Link"), "</a.css>");
    ++*(int *)arg;
}

BOTH_TEST(trailers_and_interim_answers_are_given)
{
    struct h2_test t = { 0 };

    (void)arg;
    H2_WITH(t)
    {
        weir_response r;
        int informs = 0;

        CHECK_INT(H2_FETCH(t, "/trailers", &r), 0);
        CHECK_STR(r.body, "hello");
        CHECK_INT(r.trailer_count, 1);
        CHECK_STR(r.trailers[0].name, "x-sum");
        CHECK_STR(r.trailers[0].value, "7");
        CHECK_INT(H2_FETCH(t, "/inform", &r), 0);
        CHECK_INT(H2_FETCH(t, "/inform", &r, .on_inform = count_informs, .inform_arg = &informs),
                  0);
        CHECK_INT(informs, 2);
        CHECK_STR(r.body, "hello");
    }
    return 0;
}

/* ---- many at once --------------------------------------------------------------------- */

static int fetch_hello(void *arg)
{
    struct h2_test *t = arg;
    weir_response r;
    int rc = H2_FETCH(*t, "/hello", &r);

    if (rc == 0)
        CHECK_STR(r.body, "hello");
    return rc;
}

static void fetch_many(struct h2_test *t, int count)
{
    WEIR_SCOPE(s) {
        for (int i = 0; i < count; i++)
            weir_go(s, fetch_hello, t, .needs = i % 2 ? weir_pool_permits(t->pool) : NULL);
        CHECK_INT(weir_join(s), 0);
    }
}

BOTH_TEST(a_thousand_calls_share_a_connection)
{
    struct h2_test t = { .peer.max_streams = 1000 };

    (void)arg;
    H2_WITH(t, .max_connections = 1000, .max_streams = 1000)
    {
        fetch_many(&t, 1000);
        CHECK_INT(t.peer.connections, 1);
        CHECK_INT(t.peer.requests, 1000);
    }
    return 0;
}

BOTH_TEST(calls_beyond_the_servers_limit_take_more_connections)
{
    struct h2_test t = { .peer.max_streams = 10 };

    (void)arg;
    H2_WITH(t, .max_connections = 40)
    {
        fetch_many(&t, 200);
        CHECK(t.peer.connections >= 2 && t.peer.connections <= 40);
        CHECK_INT(t.peer.replies, 200);
    }
    return 0;
}

BOTH_TEST(permits_bound_the_calls_in_flight)
{
    struct h2_test t = { 0 };

    (void)arg;
    H2_WITH(t, .max_connections = 2)
    {
        fetch_many(&t, 50);
        CHECK_INT(t.peer.connections, 1);
    }
    return 0;
}

/* ---- servers that let none begin ------------------------------------------------------------ */

BOTH_TEST(a_server_that_allows_no_streams_is_waited_for)
{
    struct h2_test t = { .peer.bars = true };

    (void)arg;
    H2_WITH(t)
    {
        weir_response r;

        WEIR_SCOPE(s, .timeout_ms = 50)
            CHECK_INT(H2_FETCH(t, "/hello", &r), -ETIMEDOUT);
        weir_recover();
        WEIR_SCOPE(s, .timeout_ms = 50)
            CHECK_INT(H2_FETCH(t, "/hello", &r), -ETIMEDOUT);
        weir_recover();
        CHECK_INT(t.peer.replies, 0);
        CHECK(t.peer.connections <= 2);
    }
    return 0;
}

BOTH_TEST(a_limit_that_is_raised_lets_calls_begin)
{
    struct h2_test t = { .peer.bars = true, .peer.raise_after_ms = 30 };

    (void)arg;
    H2_WITH(t)
    {
        fetch_many(&t, 20);
        CHECK(t.peer.replies >= 20);
        CHECK_INT(t.peer.connections, 1);
    }
    return 0;
}

/* ---- ends ------------------------------------------------------------------------------------ */

struct row {
    const char *path, *method;
    int rc;
    const char *said;
    int requests, connections;
};

static const struct row rows[] = {
    { "/refuse", "GET", -ECONNRESET, "REFUSED_STREAM", 2, 1 },
    { "/refuse-once", "GET", 0, NULL, 2, 1 },
    { "/refuse-once", "POST", 0, NULL, 2, 1 },
    { "/reset", "GET", -ECONNRESET, "INTERNAL_ERROR", 1, 1 },
    { "/reset-half", "GET", -ECONNRESET, "INTERNAL_ERROR", 1, 1 },
    { "/goaway", "GET", 0, NULL, 2, 2 },
    { "/goaway", "POST", 0, NULL, 2, 2 },
    { "/goaway-after", "GET", 0, NULL, 1, 1 },
    { "/close", "GET", WEIR_ETRUNCATED, "without an answer", 1, 1 },
    { "/close-half", "GET", WEIR_ETRUNCATED, "in the middle", 1, 1 },
};

BOTH_TEST(an_end_of_every_kind)
{
    (void)arg;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct row *row = &rows[i];
        struct h2_test t = { 0 };

        H2_WITH(t)
        {
            weir_response r;

            CHECK_INT(H2_FETCH(t, row->path, &r, .method = row->method), row->rc);
            if (row->rc)
                check_said(row->said);
            CHECK_INT(t.peer.requests, row->requests);
            CHECK_INT(t.peer.connections, row->connections);
            /* … and the next one is served. */
            CHECK_INT(H2_FETCH(t, "/hello", &r), 0);
        }
    }
    return 0;
}

BOTH_TEST(a_connection_that_is_lost_is_replaced_once_where_that_is_safe)
{
    static const struct {
        const char *method;
        int rc;
    } methods[] = { { "GET", 0 }, { "PUT", 0 }, { "POST", WEIR_ETRUNCATED } };

    (void)arg;
    for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
        struct h2_test t = { 0 };

        H2_WITH(t)
        {
            weir_response r;

            CHECK_INT(H2_FETCH(t, "/hello", &r), 0);
            CHECK_INT(H2_FETCH(t, "/close", &r, .method = methods[i].method), methods[i].rc);
            weir_recover();
            CHECK_INT(t.peer.connections, methods[i].rc ? 1 : 2);
        }
    }
    return 0;
}

BOTH_TEST(an_idle_connection_that_ended_is_not_used)
{
    struct h2_test t = { 0 };

    (void)arg;
    H2_WITH(t)
    {
        weir_response r;

        CHECK_INT(H2_FETCH(t, "/goaway-after", &r), 0);
        CHECK_INT(H2_FETCH(t, "/hello", &r, .method = "POST"), 0);
        CHECK_INT(t.peer.connections, 2);
        CHECK_INT(t.peer.requests, 2);
    }
    return 0;
}

/* ---- deadlines and cancels ---------------------------------------------------------------------- */

BOTH_TEST(a_deadline_resets_the_stream_and_keeps_the_connection)
{
    struct h2_test t = { 0 };

    (void)arg;
    H2_WITH(t)
    {
        weir_response r;

        WEIR_SCOPE(s, .timeout_ms = 30) {
            CHECK_INT(H2_FETCH(t, "/hang", &r), -ETIMEDOUT);
            check_said("waiting for the answer");
        }
        WEIR_SCOPE(s, .timeout_ms = 30) {
            CHECK_INT(H2_FETCH(t, "/half", &r), -ETIMEDOUT);
            check_said("reading the answer's body");
        }
        CHECK_INT(H2_FETCH(t, "/hello", &r), 0);
        CHECK_INT(t.peer.resets, 2);
        CHECK_INT(t.peer.rst_code, 8); /* CANCEL */
        CHECK_INT(t.peer.connections, 1);
    }
    return 0;
}

/* What comes for a stream that was reset counts for the connection's window: more than
 * that goes through by then. */
BOTH_TEST(data_on_streams_that_were_reset_does_not_shut_the_connection)
{
    struct h2_test t = { 0 };

    (void)arg;
    H2_WITH(t)
    {
        for (int i = 0; i < 100; i++) {
            weir_request *req;
            weir_response r;
            weir_str data;

            CHECK_INT(weir_request_open(h2_url(&t, "/bytes?1000000"), &req, .client = t.client), 0);
            CHECK_INT(weir_response_head(req, &r), 0);
            CHECK(weir_response_read(req, &data) > 0);
            weir_request_close(req);
        }
        CHECK_INT(t.peer.connections, 1);
    }
    return 0;
}

/* ---- windows --------------------------------------------------------------------------------------- */

BOTH_TEST(a_window_that_opens_late_is_waited_for)
{
    static char bytes[300000];
    struct h2_test t = { .peer.late_window_ms = 30, .peer.window = 1000 };

    (void)arg;
    H2_WITH(t)
    {
        weir_response r;

        CHECK_INT(H2_FETCH(t, "/echo", &r, .body = { bytes, sizeof(bytes) }), 0);
        CHECK_INT(r.body.len, sizeof(bytes));
    }
    return 0;
}

BOTH_TEST(a_reader_that_is_slow_holds_up_no_other)
{
    struct h2_test t = { 0 };

    (void)arg;
    H2_WITH(t)
    {
        weir_request *slow[20];
        weir_response r;
        weir_str data;
        ssize_t n;

        for (int i = 0; i < 20; i++) {
            CHECK_INT(weir_request_open(h2_url(&t, "/bytes?2000000"), &slow[i], .client = t.client),
                      0);
            CHECK_INT(weir_response_head(slow[i], &r), 0);
        }
        CHECK_INT(H2_FETCH(t, "/bytes?3000000", &r), 0);
        CHECK_INT(r.body.len, 3000000);
        for (int i = 0; i < 20; i++) {
            size_t got = 0;

            while ((n = weir_response_read(slow[i], &data)) > 0)
                got += (size_t)n;
            CHECK_INT(n, 0);
            CHECK_INT(got, 2000000);
            weir_request_close(slow[i]);
        }
        CHECK_INT(t.peer.connections, 1);
    }
    return 0;
}

/* ---- in pieces --------------------------------------------------------------------------------------- */

BOTH_TEST(a_body_goes_in_pieces)
{
    struct h2_test t = { 0 };
    char piece[3000];

    (void)arg;
    memset(piece, 'p', sizeof(piece));
    H2_WITH(t)
    {
        for (int announced = 0; announced < 2; announced++) {
            weir_request *req;
            weir_response r;
            weir_str data;
            size_t got = 0;
            ssize_t n;

            CHECK_INT(
                weir_request_open(h2_url(&t, "/echo"), &req, .client = t.client,
                                  .stream_bytes = announced ? 50 * sizeof(piece) : WEIR_CHUNKED),
                0);
            for (int i = 0; i < 50; i++)
                CHECK_INT(weir_request_write(req, weir_str_from(piece, sizeof(piece))), 0);
            CHECK_INT(weir_request_end(req), 0);
            CHECK_INT(weir_response_head(req, &r), 0);
            while ((n = weir_response_read(req, &data)) > 0)
                got += (size_t)n;
            CHECK_INT(n, 0);
            CHECK_INT(got, 50 * sizeof(piece));
            weir_request_close(req);
        }
    }
    return 0;
}

BOTH_TEST(an_answer_may_come_before_the_body)
{
    struct h2_test t = { 0 };

    (void)arg;
    H2_WITH(t)
    {
        weir_request *req;
        weir_response r;
        weir_str data;

        CHECK_INT(weir_request_open(h2_url(&t, "/early"), &req, .client = t.client,
                                    .stream_bytes = WEIR_CHUNKED),
                  0);
        CHECK_INT(weir_response_head(req, &r), 0);
        CHECK_INT(weir_response_read(req, &data), 5);
        CHECK_INT(weir_response_read(req, &data), 0);
        CHECK_INT(weir_request_write(req, WEIR_S("late")), -EPIPE);
        weir_recover();
        weir_request_close(req);
        CHECK_INT(H2_FETCH(t, "/hello", &r), 0);
        CHECK_INT(t.peer.connections, 1);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_as_of_http_1),
        cmocka_unit_test(bodies_of_all_sizes_go_both_ways),
        cmocka_unit_test(trailers_and_interim_answers_are_given),
        cmocka_unit_test(a_thousand_calls_share_a_connection),
        cmocka_unit_test(calls_beyond_the_servers_limit_take_more_connections),
        cmocka_unit_test(permits_bound_the_calls_in_flight),
        cmocka_unit_test(a_server_that_allows_no_streams_is_waited_for),
        cmocka_unit_test(a_limit_that_is_raised_lets_calls_begin),
        cmocka_unit_test(an_end_of_every_kind),
        cmocka_unit_test(a_connection_that_is_lost_is_replaced_once_where_that_is_safe),
        cmocka_unit_test(an_idle_connection_that_ended_is_not_used),
        cmocka_unit_test(a_deadline_resets_the_stream_and_keeps_the_connection),
        cmocka_unit_test(data_on_streams_that_were_reset_does_not_shut_the_connection),
        cmocka_unit_test(a_window_that_opens_late_is_waited_for),
        cmocka_unit_test(a_reader_that_is_slow_holds_up_no_other),
        cmocka_unit_test(a_body_goes_in_pieces),
        cmocka_unit_test(an_answer_may_come_before_the_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
