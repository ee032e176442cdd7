/* Bodies by description, through an application that is served on the simulated
 * network. */
#include "support/in_task.h"

#include <weir/app.h>
#include <weir/client.h>
#include <weir/log.h>

#include "rt/sim.h"
#include "web/app.h"

struct user {
    int64_t id;
    weir_str name;
};

WEIR_TYPE(user_type, struct user, WEIR_I64(id, .read_only = true), WEIR_STR(name));

static int create(weir_exchange *x)
{
    struct user user = { .id = 1 };
    int rc = weir_read_json(x, &user_type, &user);

    return rc < 0 ? rc : weir_reply_json(x, 201, &user_type, &user);
}

static weir_app *app;

static void post(const char *body, int status, const char *answer)
{
    weir_response r = { 0 };

    CHECK_INT(weir_fetch(WEIR_S("http://127.0.0.1:8080/users"), &r, .method = "POST",
                         .body = weir_str_c(body), .body_type = "application/json"),
              0);
    CHECK_INT(r.status, status);
    if (!strstr(weir_format("%.*s", WEIR_ARG(r.body)).ptr, answer)) {
        fprintf(stderr, "%s: %.*s\n", body, WEIR_ARG(r.body));
        abort();
    }
}

static int calls(void *arg)
{
    struct addr addr;
    struct http_server *server;
    struct http_server_opts opts = { .addrs = &addr,
                                     .addr_count = 1,
                                     .handle = app_handle,
                                     .map_failure = app_map_failure,
                                     .arg = app };

    (void)arg;
    CHECK_INT(addr_parse(WEIR_S("127.0.0.1:8080"), &addr), 0);
    CHECK_INT(http_server_start(&opts, &server), 0);
    post("{\"name\":\"Ada\"}", 201, "{\"id\":0,\"name\":\"Ada\"}");
    /* What only the server may set is not taken from a client, whatever it is. */
    post("{\"id\":7,\"name\":\"Ada\"}", 201, "{\"id\":0,\"name\":\"Ada\"}");
    post("{\"name\":\"Ada\",\"id\":\"seven\"}", 201, "{\"id\":0,\"name\":\"Ada\"}");
    post("{\"id\":7,\"id\":7,\"name\":\"Ada\"}", 422, "is given twice");
    post("{\"id\":7}", 422, "\"/name\"");
    post("{\"id\":7", 400, "not valid JSON");
    http_server_stop(server);
    CHECK_INT(http_server_wait(server), 0);
    http_server_free(server);
    return 0;
}

static void a_client_sets_nothing_that_is_read_only(void **state)
{
    struct sim_opts opts;
    struct sim *sim;

    (void)state;
    sim_opts_init(&opts);
    sim = sim_new(&opts);
    app = weir_app_new(.title = "Users");
    weir_post(app, "/users", create);
    assert_int_equal(app_build(app), 0);
    assert_int_equal(sim_run(sim, calls, NULL, NULL), 0);
    weir_app_free(app);
    sim_free(sim);
}

static ssize_t drop_log(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    (void)bytes;
    return (ssize_t)len;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_sets_nothing_that_is_read_only),
    };
    int rc = weir_log_open(.sink = drop_log, .sync = true);

    if (rc == 0)
        rc = cmocka_run_group_tests(tests, NULL, NULL);
    weir_log_close();
    return rc;
}
