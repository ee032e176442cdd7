/* Answers of every kind, good and bad, and what becomes of their connections. */
#include "support/client_run.h"

#include "rt/rt.h"

#define OK "HTTP/1.1 200 OK\r\n"

/* One answer: what the call gives, and whether the connection is kept. */
struct row {
    struct answer answer;
    int rc;            /* 0 or the code */
    const char *wanted; /* the body, or what the error says */
    bool kept;
};

static void run_row(const struct row *row, const char *method)
{
    const struct answer list[] = { row->answer };
    SERVER(server, list);
    weir_response r = { 0 };
    int rc = FETCH(server, "/p?secret", &r, .method = method);

    CHECK_INT(rc, row->rc);
    if (rc == 0) {
        CHECK_STR(r.body, row->wanted);
        CHECK(r.body.ptr[r.body.len] == 0);
    } else {
        char text[1200];

        weir_error_print(text, sizeof(text));
        CHECK(strstr(text, "http://127.0.0.1:") && !strstr(text, "secret"));
        check_said(row->wanted);
    }
    server_stop(&server, row->kept);
}

static const struct row good[] = {
    { { .text = OK "Content-Length: 5\r\n\r\nhello" }, 0, "hello", true },
    { { .text = OK "Content-Length: 0\r\n\r\n" }, 0, "", true },
    { { .text = OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n" },
      0,
      "hello world",
      true },
    { { .text = OK "Transfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\n\r\n" }, 0, "", true },
    { { .text = "HTTP/1.1 204 No Content\r\n\r\n" }, 0, "", true },
    { { .text = "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n" }, 0, "", true },
    { { .text = "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy" }, 0, "busy", true },
    { { .text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" OK
                "Content-Length: 2\r\n\r\nok" },
      0,
      "ok",
      true },
    { { .text = OK "Connection: close\r\nContent-Length: 2\r\n\r\nok", .after = THEN_CLOSE },
      0,
      "ok",
      false },
    { { .text = OK "Connection: close\r\nContent-Length: 2\r\n\r\nok", .after = THEN_HANG },
      0,
      "ok",
      false },
    { { .text = OK "Connection: close\r\n\r\nto the end", .after = THEN_CLOSE },
      0,
      "to the end",
      false },
    { { .text = OK "\r\nto the end", .after = THEN_CLOSE }, 0, "to the end", false },
    { { .text = "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", .after = THEN_CLOSE },
      0,
      "ok",
      false },
    { { .text = "HTTP/1.0 200 OK\r\n\r\nold", .after = THEN_CLOSE }, 0, "old", false },
    /* A byte too many belongs to nobody. */
    { { .text = OK "Content-Length: 2\r\n\r\nokHTTP/1.1" }, 0, "ok", false },
};

TASK_TEST(good_answers)
{
    (void)arg;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        run_row(&good[i], NULL);
    return 0;
}

TASK_TEST(good_answers_byte_by_byte)
{
    (void)arg;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        struct row row = good[i];

        row.answer.piece = 1;
        if (i + 1 < sizeof(good) / sizeof(*good))
            run_row(&row, NULL);
    }
    return 0;
}

TASK_TEST(answers_to_head_have_no_body)
{
    static const struct row row = { { .text = OK "Content-Length: 12345\r\n\r\n" }, 0, "", true };

    (void)arg;
    run_row(&row, "HEAD");
    return 0;
}

static const struct row bad[] = {
    { { .text = "", .after = THEN_CLOSE }, WEIR_ETRUNCATED, "closed without an answer", false },
    { { .text = "", .after = THEN_RESET }, -ECONNRESET, "waiting for the answer", false },
    { { .text = "HTTP/1.1 2", .after = THEN_CLOSE },
      WEIR_ETRUNCATED,
      "in the middle of the answer's head",
      false },
    { { .text = "HTTP/1.1 2", .after = THEN_RESET }, -ECONNRESET, "waiting for the answer", false },
    { { .text = "HTTP/1.1 100 Continue\r\n\r\n", .after = THEN_CLOSE },
      WEIR_ETRUNCATED,
      "middle of",
      false },
    { { .text = OK "Content-Length: 10\r\n\r\nhalf", .after = THEN_CLOSE },
      WEIR_ETRUNCATED,
      "in the middle of the answer's body",
      false },
    { { .text = OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhel", .after = THEN_CLOSE },
      WEIR_ETRUNCATED,
      "in the middle of the answer's body",
      false },
    { { .text = OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", .after = THEN_CLOSE },
      WEIR_ETRUNCATED,
      "in the middle of the answer's body",
      false },
    { { .text = "SSH-2.0-OpenSSH_9.2\r\n", .after = THEN_HANG }, WEIR_EHEAD, "RFC 9112", false },
    { { .text = "HTTP/2 200 OK\r\n\r\n", .after = THEN_HANG }, WEIR_EHEAD, "RFC 9112", false },
    { { .text = "\0\0\0\1", .after = THEN_HANG, .len = 4 }, WEIR_EHEAD, "RFC 9112", false },
    { { .text = OK "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", .after = THEN_HANG },
      WEIR_EHEAD,
      "Content-Length",
      false },
    { { .text = OK "Content-Length: +5\r\n\r\nhello", .after = THEN_HANG },
      WEIR_EHEAD,
      "Content-Length",
      false },
    { { .text = OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        .after = THEN_HANG },
      WEIR_EHEAD,
      "RFC 9112",
      false },
    { { .text = OK "Folded: a\r\n b\r\nContent-Length: 0\r\n\r\n", .after = THEN_HANG },
      WEIR_EHEAD,
      "RFC",
      false },
    { { .text = OK "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
        .after = THEN_HANG },
      WEIR_EBODY,
      "chunk",
      false },
    { { .text = OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX", .after = THEN_HANG },
      WEIR_EBODY,
      "chunk",
      false },
    { { .text = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        .after = THEN_HANG },
      WEIR_EHEAD,
      "without being asked",
      false },
};

TASK_TEST(bad_answers)
{
    (void)arg;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        run_row(&bad[i], NULL);
    return 0;
}

TASK_TEST(bad_answers_byte_by_byte)
{
    (void)arg;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct row row = bad[i];

        row.answer.piece = 1;
        run_row(&row, NULL);
    }
    return 0;
}

/* ---- limits -------------------------------------------------------------------------- */

/* A head of about so many bytes. */
static char *large_head(size_t bytes)
{
    char *text = malloc(bytes + 2048), *at = text;

    CHECK(text);
    at += snprintf(at, 64, OK "Content-Length: 2\r\n");
    while ((size_t)(at - text) < bytes) {
        at += snprintf(at, 16, "X-%zu: ", (size_t)(at - text));
        memset(at, 'v', 1000);
        at += 1000;
        at += snprintf(at, 8, "\r\n");
    }
    snprintf(at, 8, "\r\nok");
    return text;
}

TASK_TEST(heads_up_to_32_kib_and_not_over)
{
    static const size_t sizes[] = { 3000, 15000, 16300, 17000, 30000, 40000, 60000 };

    (void)arg;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        for (size_t piece = 0; piece <= 7000; piece += 7000) {
            char *text = large_head(sizes[i]);
            bool fits = strlen(text) - 2 <= 32768;
            struct row row = {
                { .text = text, .after = fits ? THEN_KEEP : THEN_HANG, .piece = piece },
                fits ? 0 : WEIR_EHEADSIZE,
                fits ? "ok" : "limit",
                fits
            };

            run_row(&row, NULL);
            free(text);
        }
    return 0;
}

static char *much_text(const char *head, size_t body)
{
    size_t len = strlen(head);
    char *text = malloc(len + body + 1);

    CHECK(text);
    memcpy(text, head, len);
    for (size_t i = 0; i < body; i++)
        text[len + i] = (char)('a' + i % 23);
    text[len + body] = 0;
    return text;
}

TASK_TEST(large_bodies_are_whole)
{
    static const size_t sizes[] = { 1000, 16352, 70000, 1000000, 5000000 };

    (void)arg;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        char head[64], *text;
        struct row row = { .kept = true };

        snprintf(head, sizeof(head), OK "Content-Length: %zu\r\n\r\n", sizes[i]);
        text = much_text(head, sizes[i]);
        row.answer.text = text;
        row.wanted = text + strlen(head);
        run_row(&row, NULL);
        free(text);
        text = much_text(OK "\r\n", sizes[i]);
        row = (struct row){
            { .text = text, .after = THEN_CLOSE }, 0, text + strlen(OK) + 2, false
        };
        run_row(&row, NULL);
        free(text);
    }
    return 0;
}

TASK_TEST(a_body_over_the_limit_is_refused_by_its_announcement)
{
    static const struct answer announced[] = { { .text = OK "Content-Length: 1000001\r\n\r\nx",
                                                 .after = THEN_HANG } };
    SERVER(server, announced);
    weir_response r;

    (void)arg;
    CHECK_INT(FETCH(server, "/", &r, .max_body_bytes = 1000000), WEIR_EBODYSIZE);
    weir_recover();
    server_stop(&server, 0);
    return 0;
}

static void send_for_ever(struct peer_conn *conn)
{
    char body[5 + 0x400 + 2];

    memset(body, 'x', sizeof(body));
    memcpy(body, "400\r\n", 5);
    memcpy(body + 5 + 0x400, "\r\n", 2);
    if (!peer_head(conn) || !peer_send(conn, OK "Transfer-Encoding: chunked\r\n\r\n"))
        return;
    while (peer_send_bytes(conn, body, sizeof(body)))
        ;
}

TASK_TEST(an_endless_body_stops_at_the_limit)
{
    uint16_t port;
    struct peer *peer = peer_start(send_for_ever, NULL, &port);
    weir_client *client;
    weir_response r;

    (void)arg;
    CHECK_INT(weir_client_new(&client, .max_body_bytes = 300000), 0);
    CHECK_INT(weir_fetch(weir_format("http://127.0.0.1:%u/", port), &r, .client = client),
              WEIR_EBODYSIZE);
    weir_recover();
    weir_client_free(client);
    peer_stop(peer);
    return 0;
}

TASK_TEST(interim_answers_without_end_are_refused)
{
    char *text = calloc(100, 24 + 1);
    struct row row = { { .text = text, .after = THEN_HANG }, WEIR_EHEAD, "interim answers", false };

    (void)arg;
    for (int i = 0, at = 0; i < 100; i++, at += 24)
        memcpy(text + at, "HTTP/1.1 102 Working\r\n\r\n", 25);
    run_row(&row, NULL);
    free(text);
    return 0;
}

/* ---- JSON --------------------------------------------------------------------------------- */

struct user {
    int64_t id;
    weir_str name;
};

WEIR_TYPE(user_type, struct user, WEIR_I64(id), WEIR_STR(name));

TASK_TEST(json_is_checked_and_decoded)
{
    static const struct answer list[] = {
        { .text = OK "Content-Length: 24\r\n\r\n{\"id\": 7, \"name\": \"Ada\"}" },
        { .text = OK "Content-Length: 24\r\n\r\n{\"id\": 7, \"name\": \"Ada\"}" },
        { .text = OK "Content-Length: 24\r\n\r\n{\"id\": 7, \"name\": \"Ada\" " },
        { .text = OK "Content-Length: 9\r\n\r\n{\"id\": 7}" },
        { .text = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}" },
    };
    SERVER(server, list);
    weir_json *json = NULL;
    struct user user;
    weir_str url = server_url(&server, "/u");

    (void)arg;
    CHECK_INT(weir_fetch_json(url, &json, .client = server.client), 0);
    CHECK_STR(json->text, "{\"id\": 7, \"name\": \"Ada\"}");
    CHECK_INT(weir_fetch_object(url, &user_type, &user, .client = server.client), 0);
    CHECK_INT(user.id, 7);
    CHECK_STR(user.name, "Ada");
    json = NULL;
    CHECK_INT(weir_fetch_json(url, &json, .client = server.client), WEIR_EJSON);
    check_said("the answer of http://127.0.0.1:");
    CHECK_INT(weir_fetch_object(url, &user_type, &user, .client = server.client), WEIR_EINPUT);
    weir_recover();
    CHECK_INT(weir_fetch_json(url, &json, .client = server.client), WEIR_ESTATUS);
    check_said("answered 404");
    CHECK(json == NULL);
    server_stop(&server, 1);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_answers),
        cmocka_unit_test(good_answers_byte_by_byte),
        cmocka_unit_test(answers_to_head_have_no_body),
        cmocka_unit_test(bad_answers),
        cmocka_unit_test(bad_answers_byte_by_byte),
        cmocka_unit_test(heads_up_to_32_kib_and_not_over),
        cmocka_unit_test(large_bodies_are_whole),
        cmocka_unit_test(a_body_over_the_limit_is_refused_by_its_announcement),
        cmocka_unit_test(an_endless_body_stops_at_the_limit),
        cmocka_unit_test(interim_answers_without_end_are_refused),
        cmocka_unit_test(json_is_checked_and_decoded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
