/* Tests as users write them: an application, its services, and what it answers
 * when they are late, silent or broken. */
#include <signal.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/test.h>

/* ---- what is tested -------------------------------------------------------------- */

struct part {
    weir_str url;
    weir_json *json;
};

static int call(void *arg)
{
    struct part *part = arg;

    return weir_fetch_json(part->url, &part->json);
}

static int profile(weir_exchange *x)
{
    struct part user = { .url = WEIR_S("http://users/1") };
    struct part orders = { .url = WEIR_S("http://orders/1") };
    struct part offers = { .url = WEIR_S("http://offers/1") };
    int rc = 0;

    WEIR_SCOPE(s, .timeout_ms = 300) {
        weir_go(s, call, &user);
        weir_go(s, call, &orders);
        weir_go(s, call, &offers, .optional = true);
        rc = weir_join(s);
    }
    if (rc < 0)
        return weir_wrap(rc, "the profile");
    return weir_reply_object(x, 200, WEIR_KV("user", user.json), WEIR_KV("orders", orders.json),
                             WEIR_KV("offers", offers.json));
}

static weir_app *app(void)
{
    weir_app *app = weir_app_new(.title = "profiles");

    weir_get(app, "/profile/{id}", profile);
    return app;
}

static weir_sim *usual_sim(uint64_t seed)
{
    weir_sim *sim = weir_sim_new(.seed = seed);

    weir_sim_service(sim, "users", .json = "{\"name\":\"Ada\"}");
    weir_sim_service(sim, "orders", .json = "[]");
    weir_sim_service(sim, "offers", .json = "[7]");
    return sim;
}

/* ---- tests ----------------------------------------------------------------------- */

WEIR_TEST(profile, all_parts_are_there)
{
    weir_sim *sim = usual_sim(1);
    weir_app *own = app();
    const weir_response *r = weir_sim_get(sim, own, "/profile/1");

    WEIR_EXPECT_STATUS(r, 200);
    WEIR_EXPECT_JSON(r, "{ offers: [7], orders: [], user: { name: 'Ada' } }");
    WEIR_EXPECT_ELAPSED_MS(sim, 0);
    weir_app_free(own);
    weir_sim_free(sim);
}

WEIR_TEST(profile, a_slow_optional_part_is_left_out)
{
    weir_sim *sim = usual_sim(7);
    const weir_response *r;

    weir_sim_service(sim, "offers", .latency_ms = 400);
    r = weir_sim_get(sim, app(), "/profile/1");
    WEIR_EXPECT_STATUS(r, 200);
    WEIR_EXPECT_JSON(r, "{ user: { name: 'Ada' }, orders: [], offers: null }");
    WEIR_EXPECT_ELAPSED_MS(sim, 300);
}

WEIR_TEST(profile, a_required_part_that_is_silent_is_a_504)
{
    weir_sim *sim = usual_sim(2);
    const weir_response *r;

    weir_sim_service(sim, "users", .silent = true);
    r = weir_sim_get(sim, app(), "/profile/1");
    WEIR_EXPECT_STATUS(r, 504);
    WEIR_EXPECT_ELAPSED_MS(sim, 300);
}

WEIR_TEST(profile, the_same_simulation_answers_again)
{
    weir_sim *sim = usual_sim(3);
    weir_app *own = app();

    WEIR_EXPECT_STATUS(weir_sim_get(sim, own, "/profile/1"), 200);
    weir_sim_service(sim, "orders", .json = "[1, 2]");
    WEIR_EXPECT_JSON(weir_sim_get(sim, own, "/profile/1"),
                     "{ user: { name: 'Ada' }, orders: [1, 2], offers: [7] }");
    WEIR_EXPECT_STATUS(weir_sim_get(sim, own, "/nothing"), 404);
    weir_app_free(own);
    weir_sim_free(sim);
}

static int five(weir_exchange *x)
{
    return weir_reply(x, 200, "application/json", WEIR_S("5"));
}

WEIR_TEST(profile, a_service_may_be_an_application)
{
    weir_sim *sim = usual_sim(4);
    weir_app *users = weir_app_new(.title = "users");

    weir_get(users, "/{id}", five);
    weir_sim_service(sim, "users", .app = users);
    WEIR_EXPECT_JSON(weir_sim_get(sim, app(), "/profile/1"),
                     "{ user: 5, orders: [], offers: [7] }");
}

/* ---- expectations that do not hold ----------------------------------------------- */

static void wrong_condition(void)
{
    WEIR_EXPECT(1 + 1 == 3);
}

static void wrong_number(void)
{
    WEIR_EXPECT_INT(-ETIMEDOUT, 0);
}

static void wrong_text(void)
{
    WEIR_EXPECT_TEXT(WEIR_S("one"), "two");
}

static void wrong_json(void)
{
    WEIR_EXPECT_JSON(&(weir_response){ .body = WEIR_S("{\"a\":1}") }, "{ a: 2 }");
}

static void no_json(void)
{
    WEIR_EXPECT_JSON(&(weir_response){ .body = WEIR_S("{\"a\":") }, "{ a: 2 }");
}

static void fails_saying(void (*fn)(void), const char *wanted)
{
    int ends[2], status;
    char text[2000];
    size_t len = 0;
    ssize_t n;
    pid_t pid;

    WEIR_EXPECT_INT(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        dup2(ends[1], 2);
        fn();
        _exit(0);
    }
    close(ends[1]);
    while ((n = read(ends[0], text + len, sizeof(text) - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    close(ends[0]);
    WEIR_EXPECT_INT(waitpid(pid, &status, 0), pid);
    WEIR_EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    if (!strstr(text, wanted))
        WEIR_EXPECT_TEXT(weir_str_c(text), wanted);
}

WEIR_TEST(expectations, what_does_not_hold_is_said)
{
    fails_saying(wrong_condition, "it does not hold: 1 + 1 == 3");
    fails_saying(wrong_number, "-ETIMEDOUT is -110 ETIMEDOUT, and not 0");
    fails_saying(wrong_text, "is\n  one\nand not\n  two\n");
    fails_saying(wrong_json, "the body is\n  {\"a\":1}\nand not\n  { a: 2 }\n");
    fails_saying(no_json, "it is no JSON");
}

WEIR_TEST(expectations, json_is_compared_by_its_meaning)
{
    weir_response r = { .body = WEIR_S("{\"a b\":[1,2.5,true,null,\"it's\"],\"c\":{\"d\":-1e3}}") };

    WEIR_EXPECT_JSON(&r, "{ c: { d: -1e3 }, 'a b': [1, 2.5, true, null, 'it\\'s'] }");
    WEIR_EXPECT_JSON(&r, "{\"c\":{\"d\":-1e3},\"a b\":[1,2.5,true,null,\"it's\"]}");
}

WEIR_TEST_MAIN
