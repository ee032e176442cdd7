/* Applications before they are served: registration, its faults, and no memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <weir/app.h>

#include "support/fault.h"

static int nothing(weir_exchange *x)
{
    return weir_reply_status(x, 204);
}

static void good_routes_have_no_faults(void **state)
{
    weir_app *app = weir_app_new(.title = "Test");
    char text[64] = "old";

    (void)state;
    assert_non_null(app);
    weir_get(app, "/", nothing);
    weir_post(app, "/", nothing, .body_max_bytes = WEIR_UNLIMITED, .timeout_ms = 5,
              .disconnect = WEIR_DISCONNECT_FINISH, .streaming = true, .name = "root");
    weir_put(app, "/{id:i64}", nothing);
    weir_patch(app, "/{id:i64}", nothing);
    weir_delete(app, "/{id:i64}", nothing);
    weir_any(app, "/*", nothing);
    weir_route(app, "OPTIONS", "/", nothing);
    assert_int_equal(weir_app_check(app, text, sizeof(text)), 0);
    assert_string_equal(text, "");
    weir_app_free(app);
}

static void faults_are_told_with_their_places(void **state)
{
    weir_app *app = weir_app_new();
    char text[1024], want[128];
    int line = __LINE__ + 3;

    (void)state;
    weir_get(app, "/a", nothing);
    weir_get(app, "/a", nothing);
    weir_route(app, "get", "/b", nothing);
    weir_route(app, "CONNECT", "/b", nothing);
    weir_get(app, "/{x:int}", nothing);
    assert_int_equal(weir_app_check(app, text, sizeof(text)), WEIR_ECONFIG);
    snprintf(want, sizeof(want), "test_app.c:%d nothing: GET /a conflicts with ", line + 1);
    assert_non_null(strstr(text, want));
    snprintf(want, sizeof(want), "test_app.c:%d nothing: GET /a: ", line);
    assert_non_null(strstr(text, want));
    assert_non_null(strstr(text, ": get /b: no method of that name can be routed"));
    assert_non_null(strstr(text, ": CONNECT /b: "));
    assert_non_null(strstr(text, "there is no type `int`"));
    assert_int_equal(weir_app_check(app, text, 5), WEIR_ECONFIG);
    assert_int_equal(strlen(text), 4);
    weir_app_free(app);
}

static void routes_come_before_the_start(void **state)
{
    weir_app *app = weir_app_new();
    char text[512];

    (void)state;
    assert_int_equal(weir_app_check(app, text, sizeof(text)), 0);
    weir_get(app, "/late", nothing);
    assert_int_equal(weir_app_check(app, text, sizeof(text)), WEIR_ECONFIG);
    assert_non_null(strstr(text, "GET /late: the application has started"));
    weir_app_free(app);
}

static void no_application_is_harmless(void **state)
{
    char text[8];

    (void)state;
    weir_get(NULL, "/", nothing);
    assert_int_equal(weir_app_check(NULL, text, sizeof(text)), -ENOMEM);
    weir_app_free(NULL);
}

static int register_and_check(void *arg)
{
    weir_app *app = weir_app_new(.title = "Test", .version = "1");
    char text[256];
    int rc;

    (void)arg;
    for (int i = 0; i < 3; i++) {
        weir_get(app, "/users/{id:i64}/posts/{post}", nothing);
        weir_get(app, "/a", nothing);
        weir_any(app, "/files/*", nothing);
        weir_get(app, "nothing", nothing);
    }
    rc = weir_app_check(app, text, sizeof(text));
    assert_true(rc == WEIR_ECONFIG || rc == -ENOMEM);
    weir_app_free(app);
    return rc == WEIR_ECONFIG ? 0 : rc;
}

static void no_memory_is_survived_anywhere(void **state)
{
    (void)state;
    assert_true(fault_sweep(register_and_check, NULL) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_routes_have_no_faults),
        cmocka_unit_test(faults_are_told_with_their_places),
        cmocka_unit_test(routes_come_before_the_start),
        cmocka_unit_test(no_application_is_harmless),
        cmocka_unit_test(no_memory_is_survived_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
