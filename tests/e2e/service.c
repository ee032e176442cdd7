/* The program under test_program.py: a route for each thing that is asked of a
 * program; with BAD_ROUTES routes that can't be, with START_FAILS a start that
 * fails. */
#include <weir/weir.h>

#include <stdlib.h>

struct user {
    int64_t id;
    weir_str name;
    int32_t age;
};

WEIR_TYPE(user_type, struct user, WEIR_I64(id, .optional = true),
          WEIR_STR(name, WEIR_LENGTH(1, 80)), WEIR_I32(age, WEIR_RANGE(0, 150)));

static int show(weir_exchange *x)
{
    struct user user = { .id = weir_param_i64(x, "id"), .name = WEIR_S("Ada"), .age = 36 };

    return weir_reply_json(x, 200, &user_type, &user);
}

static int list(weir_exchange *x)
{
    struct user users[] = { { 1, WEIR_S("Ada"), 36 }, { 2, WEIR_S("Bob"), 7 } };

    return weir_reply_json_array(x, 200, &user_type, users, 2);
}

static int create(weir_exchange *x)
{
    struct user user;
    int rc = weir_read_json(x, &user_type, &user);

    if (rc < 0)
        return rc;
    user.id = 7;
    return weir_reply_json(x, 201, &user_type, &user);
}

static int named(weir_exchange *x)
{
    return weir_reply_object(x, 200, WEIR_KV("name", weir_param(x, "name")),
                             WEIR_KV("data", (const char *)weir_route_data(x)));
}

static int rest(weir_exchange *x)
{
    return weir_reply_object(x, 200, WEIR_KV("rest", weir_param(x, "*")),
                             WEIR_KV("method", weir_method(x)));
}

static int fails(weir_exchange *x)
{
    (void)x;
    return weir_wrap(weir_fail(-EIO, "the secret disk broke"), "reading the book");
}

static int code(weir_exchange *x)
{
    return (int)weir_param_i64(x, "code");
}

static int waits(weir_exchange *x)
{
    int rc;

    weir_info("waiting");
    rc = weir_sleep_ms(600000);
    return rc < 0 ? rc : weir_reply_text(x, 200, "over");
}

/* Ends when its body has: so a test can hold a request open, and finish it. */
static int slowly(weir_exchange *x)
{
    weir_str body;
    int rc;

    weir_info("reading");
    rc = weir_body_all(x, &body);
    return rc < 0 ? rc : weir_reply(x, 200, "text/plain", body);
}

static int fails_to_start(void *arg)
{
    return weir_fail(-EACCES, "%s is locked", (const char *)arg);
}

static void ended(void *arg)
{
    weir_info("%s is closed", (const char *)arg);
}

static int serve_without_flags(weir_app *app)
{
    int code = weir_serve(app, .listen = { "127.0.0.1:0" }, .log_form = WEIR_LOG_TEXT,
                          .start = fails_to_start, .start_arg = "the store", .end = ended,
                          .end_arg = "the store");

    weir_app_free(app);
    return code;
}

int main(int argc, char **argv)
{
    weir_app *app = weir_app_new(.title = "Service", .version = "1.2");

    weir_get(app, "/users", list);
    weir_post(app, "/users", create, .body_max_bytes = 200);
    weir_get(app, "/users/{id:i64}", show);
    weir_get(app, "/users/{name}", named, .data = "here");
    weir_any(app, "/rest/*", rest);
    weir_get(app, "/fails", fails);
    weir_get(app, "/code/{code:i64}", code);
    weir_get(app, "/waits", waits);
    weir_get(app, "/brief", waits, .timeout_ms = 20);
    weir_post(app, "/slowly", slowly);
    if (getenv("BAD_ROUTES")) {
        weir_get(app, "/users", show);
        weir_get(app, "users", show);
        weir_route(app, "FETCH", "/x", show);
    }
    if (getenv("START_FAILS"))
        return serve_without_flags(app);
    return weir_main(app, argc, argv);
}
