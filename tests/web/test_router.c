/* The tree of routes: precedence, going back, methods, escapes, faults; and at
 * random against a matcher that just tries every route. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/random.h"
#include "web/router.h"

struct row {
    const char *path;
    const char *pattern; /* NULL: not found */
    const char *params;  /* "name=value,…" as received */
};

static struct router *router_of(const char *const *patterns, size_t count, bool backwards)
{
    struct router *router = router_new();
    struct strbuf faults = STRBUF_INIT;

    for (size_t i = 0; i < count; i++) {
        const char *pattern = patterns[backwards ? count - 1 - i : i];

        assert_int_equal(router_add(router, HTTP_GET, weir_str_c(pattern), "t.c:1", NULL), 0);
    }
    if (router_build(router, &faults) != 0)
        fail_msg("%s", strbuf_str(&faults).ptr);
    strbuf_done(&faults);
    return router;
}

static void print_params(const struct route_match *match, char *text, size_t size)
{
    size_t len = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < match->param_count; i++)
        len += (size_t)snprintf(text + len, size - len, "%s%.*s=%.*s", i ? "," : "",
                                WEIR_ARG(match->route->params[i].name), WEIR_ARG(match->values[i]));
}

static void check_row(const struct router *router, const struct row *row)
{
    struct route_match match;
    enum route_result got = router_match(router, HTTP_GET, weir_str_c(row->path), &match);
    char params[512];

    if (!row->pattern) {
        if (got != ROUTE_NOT_FOUND)
            fail_msg("%s: found something (%d)", row->path, got);
        return;
    }
    if (got != ROUTE_FOUND)
        fail_msg("%s: %d instead of %s", row->path, got, row->pattern);
    if (!weir_str_eq(match.route->pattern, weir_str_c(row->pattern)))
        fail_msg("%s: %s instead of %s", row->path, match.route->pattern.ptr, row->pattern);
    print_params(&match, params, sizeof(params));
    assert_string_equal(params, row->params ? row->params : "");
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void check_rows(const char *const *patterns, size_t patterns_count, const struct row *rows,
                       size_t rows_count)
{
    for (int backwards = 0; backwards < 2; backwards++) {
        struct router *router = router_of(patterns, patterns_count, backwards);

        for (size_t i = 0; i < rows_count; i++)
            check_row(router, &rows[i]);
        router_free(router);
    }
}

static void the_more_precise_route_wins(void **state)
{
    static const char *const patterns[] = {
        "/",
        "/users",
        "/users/",
        "/users/me",
        "/users/{id:i64}",
        "/users/{name}",
        "/users/*",
        "/users/{name}/posts",
        "/api/v1/things",
        "/api/v1/things/{thing}/parts/{part:i64}",
    };
    static const struct row rows[] = {
        { "/", "/", NULL },
        { "/users", "/users", NULL },
        { "/users/", "/users/", NULL },
        { "/users/me", "/users/me", NULL },
        { "/users/me2", "/users/{name}", "name=me2" },
        { "/users/m", "/users/{name}", "name=m" },
        { "/users/42", "/users/{id:i64}", "id=42" },
        { "/users/-42", "/users/{id:i64}", "id=-42" },
        { "/users/+42", "/users/{name}", "name=+42" },
        { "/users/042", "/users/{name}", "name=042" },
        { "/users/-0", "/users/{name}", "name=-0" },
        { "/users/-", "/users/{name}", "name=-" },
        { "/users/0", "/users/{id:i64}", "id=0" },
        { "/users/9223372036854775807", "/users/{id:i64}", "id=9223372036854775807" },
        { "/users/9223372036854775808", "/users/{name}", "name=9223372036854775808" },
        { "/users/-9223372036854775808", "/users/{id:i64}", "id=-9223372036854775808" },
        { "/users/-9223372036854775809", "/users/{name}", "name=-9223372036854775809" },
        { "/users/99999999999999999999", "/users/{name}", "name=99999999999999999999" },
        { "/users/ada/posts", "/users/{name}/posts", "name=ada" },
        { "/users/7/posts", "/users/{name}/posts", "name=7" },
        { "/users/me/posts", "/users/{name}/posts", "name=me" },
        { "/users/ada/other", "/users/*", "*=ada/other" },
        { "/users/ada/", "/users/*", "*=ada/" },
        { "/users//posts", "/users/*", "*=/posts" },
        { "/api/v1/things", "/api/v1/things", NULL },
        { "/api/v1/things/x/parts/1", "/api/v1/things/{thing}/parts/{part:i64}", "thing=x,part=1" },
        { "/api/v1/things/x/parts/y", NULL, NULL },
        { "/api/v1/things/", NULL, NULL },
        { "/api/v1", NULL, NULL },
        { "/api", NULL, NULL },
        { "//", NULL, NULL },
        { "users", NULL, NULL },
        { "*", NULL, NULL },
        { "", NULL, NULL },
    };

    (void)state;
    check_rows(patterns, COUNT(patterns), rows, COUNT(rows));
}

static void a_way_that_ends_is_left_again(void **state)
{
    static const char *const patterns[] = {
        "/a/b/c",     "/a/{x}/d", "/{y}/b/e",         "/{y}/{z:i64}/f",
        "/{y}/{z}/g", "/a/*",     "/{y}/{z}/{w}/{v}",
    };
    static const struct row rows[] = {
        { "/a/b/c", "/a/b/c", NULL },
        { "/a/b/d", "/a/{x}/d", "x=b" },
        { "/a/b/e", "/a/*", "*=b/e" },
        { "/q/b/e", "/{y}/b/e", "y=q" },
        { "/q/1/f", "/{y}/{z:i64}/f", "y=q,z=1" },
        { "/q/1/g", "/{y}/{z}/g", "y=q,z=1" },
        { "/q/b/g", "/{y}/{z}/g", "y=q,z=b" },
        { "/q/b/c/d", "/{y}/{z}/{w}/{v}", "y=q,z=b,w=c,v=d" },
        { "/a/b/c/d", "/a/*", "*=b/c/d" },
        { "/a/", "/a/*", "*=" },
        { "/a", NULL, NULL },
        { "/q/b/h", NULL, NULL },
    };

    (void)state;
    check_rows(patterns, COUNT(patterns), rows, COUNT(rows));
}

static void the_rest_at_the_root_takes_all(void **state)
{
    static const char *const patterns[] = { "/*", "/x" };
    static const struct row rows[] = {
        { "/", "/*", "*=" },
        { "/x", "/x", NULL },
        { "/x/y", "/*", "*=x/y" },
        { "/xy", "/*", "*=xy" },
    };

    (void)state;
    check_rows(patterns, COUNT(patterns), rows, COUNT(rows));
}

static void escapes_are_data(void **state)
{
    static const char *const patterns[] = {
        "/users/{name}", "/users/me", "/n/{n:i64}", "/files/*", "/a/b/c", "/caf\xc3\xa9",
    };
    static const struct row rows[] = {
        { "/%75sers/m%65", "/users/me", NULL },
        { "/users/a%2Fb", "/users/{name}", "name=a%2Fb" },
        { "/users%2Fme", NULL, NULL },
        { "/a%2fb/c", NULL, NULL },
        { "/a/%62/%63", "/a/b/c", NULL },
        { "/a/%62/%63%64", NULL, NULL },
        { "/n/%34%32", "/n/{n:i64}", "n=%34%32" },
        { "/n/%34x", NULL, NULL },
        { "/files/a%2F..%2Fb", "/files/*", "*=a%2F..%2Fb" },
        { "/caf%C3%A9", "/caf\xc3\xa9", NULL },
        { "/caf%c3%a9", "/caf\xc3\xa9", NULL },
        { "/users/%25", "/users/{name}", "name=%25" },
    };

    (void)state;
    check_rows(patterns, COUNT(patterns), rows, COUNT(rows));
}

static void values_are_decoded_but_for_the_rest(void **state)
{
    static const char *const patterns[] = { "/{a}/{n:i64}/*" };
    struct router *router = router_of(patterns, 1, false);
    struct route_match match;
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL);
    assert_int_equal(router_match(router, HTTP_GET, WEIR_S("/x%2F%20y/%2D7/p%2Fq"), &match),
                     ROUTE_FOUND);
    assert_int_equal(match.numbers[1], -7);
    assert_int_equal(route_match_decode(&match, &arena), 0);
    assert_true(weir_str_eq(match.values[0], WEIR_S("x/ y")));
    assert_true(weir_str_eq(match.values[1], WEIR_S("-7")));
    assert_true(weir_str_eq(match.values[2], WEIR_S("p%2Fq")));
    assert_int_equal(route_param_find(match.route, WEIR_S("n")), 1);
    assert_int_equal(route_param_find(match.route, WEIR_S("*")), 2);
    assert_int_equal(route_param_find(match.route, WEIR_S("none")), -1);
    arena_reset(&arena);
    router_free(router);
}

static void dots_and_broken_escapes_are_refused(void **state)
{
    static const char *const patterns[] = { "/*", "/{x}/{y}" };
    static const char *const bad[] = {
        "/.",        "/..", "/a/../b", "/a/./b", "/a/..", "/%2e",   "/%2E%2e", "/.%2e/x",
        "/a/%2e./b", "/%",  "/%2",     "/%2g",   "/%zz",  "/a%00b", "/x/%",    "/x/%4",
    };
    static const char *const good[] = { "/...", "/.a", "/a.", "/..a/b", "/a/.../b", "/%2e%2e%2e" };
    struct router *router = router_of(patterns, 2, false);
    struct route_match match;

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (router_match(router, HTTP_GET, weir_str_c(bad[i]), &match) != ROUTE_BAD_PATH)
            fail_msg("%s is not refused", bad[i]);
    }
    for (size_t i = 0; i < COUNT(good); i++) {
        if (router_match(router, HTTP_GET, weir_str_c(good[i]), &match) != ROUTE_FOUND)
            fail_msg("%s is not found", good[i]);
    }
    router_free(router);
}

static void methods_choose_among_routes(void **state)
{
    struct router *router = router_new();
    struct strbuf faults = STRBUF_INIT;
    struct route_match match;
    char allow[ROUTE_ALLOW_BYTES];

    (void)state;
    router_add(router, HTTP_GET, WEIR_S("/u/{id}"), "t.c:1", NULL);
    router_add(router, HTTP_POST, WEIR_S("/u/{id:i64}"), "t.c:2", NULL);
    router_add(router, HTTP_DELETE, WEIR_S("/u/{other}"), "t.c:3", NULL);
    router_add(router, HTTP_PUT, WEIR_S("/u/*"), "t.c:4", NULL);
    router_add(router, ROUTE_ANY, WEIR_S("/any"), "t.c:5", NULL);
    router_add(router, HTTP_GET, WEIR_S("/any"), "t.c:6", NULL);
    router_add(router, HTTP_HEAD, WEIR_S("/head"), "t.c:7", NULL);
    router_add(router, HTTP_GET, WEIR_S("/head"), "t.c:8", NULL);
    assert_int_equal(router_build(router, &faults), 0);

    assert_int_equal(router_match(router, HTTP_GET, WEIR_S("/u/5"), &match), ROUTE_FOUND);
    assert_string_equal(match.route->site, "t.c:1");
    assert_int_equal(router_match(router, HTTP_POST, WEIR_S("/u/5"), &match), ROUTE_FOUND);
    assert_string_equal(match.route->site, "t.c:2");
    assert_int_equal(router_match(router, HTTP_DELETE, WEIR_S("/u/5"), &match), ROUTE_FOUND);
    assert_true(weir_str_eq(match.route->params[0].name, WEIR_S("other")));
    assert_int_equal(router_match(router, HTTP_PUT, WEIR_S("/u/5"), &match), ROUTE_FOUND);
    assert_int_equal(router_match(router, HTTP_HEAD, WEIR_S("/u/5"), &match), ROUTE_FOUND);
    assert_string_equal(match.route->site, "t.c:1");
    assert_int_equal(router_match(router, HTTP_HEAD, WEIR_S("/head"), &match), ROUTE_FOUND);
    assert_string_equal(match.route->site, "t.c:7");
    assert_int_equal(router_match(router, HTTP_PATCH, WEIR_S("/any"), &match), ROUTE_FOUND);
    assert_string_equal(match.route->site, "t.c:5");
    assert_int_equal(router_match(router, HTTP_OTHER, WEIR_S("/any"), &match), ROUTE_FOUND);
    assert_int_equal(router_match(router, HTTP_GET, WEIR_S("/any"), &match), ROUTE_FOUND);
    assert_string_equal(match.route->site, "t.c:6");

    assert_int_equal(router_match(router, HTTP_PATCH, WEIR_S("/u/5"), &match), ROUTE_NOT_METHOD);
    route_allow_print(match.allow, allow, sizeof(allow));
    assert_string_equal(allow, "GET, HEAD, POST, PUT, DELETE, OPTIONS");
    assert_int_equal(router_match(router, HTTP_PATCH, WEIR_S("/u/x"), &match), ROUTE_NOT_METHOD);
    route_allow_print(match.allow, allow, sizeof(allow));
    assert_string_equal(allow, "GET, HEAD, PUT, DELETE, OPTIONS");
    assert_int_equal(router_match(router, HTTP_OTHER, WEIR_S("/u/x"), &match), ROUTE_NOT_METHOD);
    assert_int_equal(router_match(router, HTTP_PATCH, WEIR_S("/v"), &match), ROUTE_NOT_FOUND);
    route_allow_print(0xffff, allow, sizeof(allow));
    assert_string_equal(allow, "GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE, PATCH");
    strbuf_done(&faults);
    router_free(router);
}

/* ---- faults -------------------------------------------------------------- */

static void every_fault_is_told_at_once(void **state)
{
    static const char *const bad[] = {
        "users",
        "",
        "/a/*/b",
        "/a*",
        "/{}",
        "/{1a}",
        "/{a:u64}",
        "/{a}/{a}",
        "/x{a}",
        "/{a}.json",
        "/..",
        "/a?b",
        "/a#b",
        "/a%20",
        "/a b",
        "/{a:}",
        "/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3",
        "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}/{k}/{l}/{m}/{n}/{o}/{p}/{q}",
    };
    struct router *router = router_new();
    struct strbuf faults = STRBUF_INIT;
    char site[COUNT(bad)][16];

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        snprintf(site[i], sizeof(site[i]), "bad.c:%zu", i + 1);
        router_add(router, HTTP_GET, weir_str_c(bad[i]), site[i], NULL);
    }
    assert_int_equal(router_build(router, &faults), COUNT(bad));
    for (size_t i = 0; i < COUNT(bad); i++) {
        char start[320];

        snprintf(start, sizeof(start), "%s: GET %s: ", site[i], bad[i]);
        if (!strstr(faults.ptr, start))
            fail_msg("no fault begins with \"%s\":\n%s", start, faults.ptr);
    }
    assert_non_null(strstr(faults.ptr, "there is no type `u64`; write `{a:i64}`"));
    strbuf_done(&faults);
    router_free(router);
}

static void conflicts_name_both_places(void **state)
{
    struct router *router = router_new();
    struct strbuf faults = STRBUF_INIT;

    (void)state;
    router_add(router, HTTP_GET, WEIR_S("/users/{id}"), "a.c:1", NULL);
    router_add(router, HTTP_GET, WEIR_S("/users/{id}"), "b.c:2", NULL);
    router_add(router, HTTP_GET, WEIR_S("/users/{name}/posts"), "c.c:3", NULL);
    router_add(router, HTTP_POST, WEIR_S("/users/{name}"), "d.c:4", NULL);
    router_add(router, HTTP_GET, WEIR_S("/users/{number:i64}"), "e.c:5", NULL);
    router_add(router, ROUTE_ANY, WEIR_S("/x/*"), "f.c:6", NULL);
    router_add(router, ROUTE_ANY, WEIR_S("/x/*"), "g.c:7", NULL);
    assert_int_equal(router_build(router, &faults), 3);
    assert_string_equal(
        faults.ptr,
        "b.c:2: GET /users/{id} conflicts with a.c:1: GET /users/{id}: no request could choose "
        "between them; remove one, or give it another path or method\n"
        "c.c:3: GET /users/{name}/posts conflicts with a.c:1: GET /users/{id}: one parameter, "
        "called `name` and `id`; give it one name\n"
        "g.c:7: any method /x/* conflicts with f.c:6: any method /x/*: no request could choose "
        "between them; remove one, or give it another path or method\n");
    strbuf_done(&faults);
    router_free(router);
}

static void no_routes_match_nothing(void **state)
{
    struct router *router = router_of(NULL, 0, false);
    struct route_match match;

    (void)state;
    assert_null(router_first(router));
    assert_int_equal(router_match(router, HTTP_GET, WEIR_S("/"), &match), ROUTE_NOT_FOUND);
    router_free(router);
    router_free(NULL);
}

/* ---- at random ----------------------------------------------------------- */

#define ROUTES 24
#define SEGMENTS 5

/* Segment kinds in the order of precedence. */
enum kind { LITERAL, NUMBER, TEXT, REST };

struct plain_route {
    char pattern[128];
    unsigned count;
    enum kind kinds[SEGMENTS];
    char literals[SEGMENTS][4];
    enum http_method method;
};

static const char *const words[] = { "a", "b", "1", "ab", "", "22" };

static void make_route(struct random *random, struct plain_route *route)
{
    size_t len = 0;

    route->count = 1 + random_below(random, SEGMENTS);
    route->method = random_below(random, 3) ? HTTP_GET : HTTP_POST;
    for (unsigned i = 0; i < route->count; i++) {
        enum kind kind = (enum kind)random_below(random, 4);
        char *at = route->pattern + len;
        size_t room = sizeof(route->pattern) - len;

        if (kind == REST && i + 1 < route->count)
            kind = LITERAL;
        route->kinds[i] = kind;
        route->literals[i][0] = '\0';
        if (kind == LITERAL)
            snprintf(route->literals[i], sizeof(route->literals[i]), "%s",
                     words[random_below(random, COUNT(words))]);
        len += (size_t)(kind == LITERAL  ? snprintf(at, room, "/%s", route->literals[i])
                        : kind == NUMBER ? snprintf(at, room, "/{n%u:i64}", i)
                        : kind == TEXT   ? snprintf(at, room, "/{t%u}", i)
                                         : snprintf(at, room, "/*"));
    }
}

static bool same_shape(const struct plain_route *a, const struct plain_route *b)
{
    if (a->count != b->count || a->method != b->method)
        return false;
    for (unsigned i = 0; i < a->count; i++) {
        if (a->kinds[i] != b->kinds[i] || strcmp(a->literals[i], b->literals[i]) != 0)
            return false;
    }
    return true;
}

static bool plain_matches(const struct plain_route *route, char segments[][4], unsigned count)
{
    unsigned i = 0;

    for (; i < route->count; i++) {
        bool number = i < count && segments[i][0] >= '1' && segments[i][0] <= '9';

        if (i == count)
            return false;
        switch (route->kinds[i]) {
        case LITERAL:
            if (strcmp(route->literals[i], segments[i]) != 0)
                return false;
            break;
        case NUMBER:
            if (!number)
                return false;
            break;
        case TEXT:
            if (!segments[i][0])
                return false;
            break;
        case REST: return true;
        }
    }
    return i == count;
}

/* Is a to be tried before b? Both match: at the first place they differ the more
 * precise kind is first. */
static bool goes_first(const struct plain_route *a, const struct plain_route *b)
{
    for (unsigned i = 0; i < a->count && i < b->count; i++) {
        if (a->kinds[i] != b->kinds[i])
            return a->kinds[i] < b->kinds[i];
    }
    return a->count > b->count;
}

static const struct plain_route *plain_find(const struct plain_route *routes, unsigned routes_count,
                                            char segments[][4], unsigned count,
                                            enum http_method method, bool *ret_other)
{
    const struct plain_route *best = NULL;

    *ret_other = false;
    for (unsigned i = 0; i < routes_count; i++) {
        if (!plain_matches(&routes[i], segments, count))
            continue;
        if (routes[i].method != method)
            *ret_other = true;
        else if (!best || goes_first(&routes[i], best))
            best = &routes[i];
    }
    return best;
}

static unsigned make_routes(struct random *random, struct plain_route *routes)
{
    unsigned count = 0, wanted = 1 + random_below(random, ROUTES);

    for (unsigned tries = 0; tries < wanted; tries++) {
        bool again = false;

        make_route(random, &routes[count]);
        for (unsigned i = 0; i < count; i++)
            again = again || same_shape(&routes[i], &routes[count]);
        count += !again;
    }
    return count;
}

/* A path of random segments, some of its bytes escaped. */
static unsigned make_path(struct random *random, char segments[][4], char *path, size_t size)
{
    unsigned count = 1 + random_below(random, SEGMENTS + 1);
    size_t len = 0;

    for (unsigned i = 0; i < count; i++) {
        snprintf(segments[i], 4, "%s", words[random_below(random, COUNT(words))]);
        len += (size_t)snprintf(path + len, size - len, "/");
        for (const char *c = segments[i]; *c; c++)
            len += (size_t)snprintf(path + len, size - len,
                                    random_below(random, 16) ? "%c" : "%%%x", *c);
    }
    return count;
}

static void compare(struct random *random)
{
    struct plain_route routes[ROUTES + 1];
    unsigned count = make_routes(random, routes);
    struct router *router = router_new();
    struct strbuf faults = STRBUF_INIT;

    for (unsigned i = 0; i < count; i++)
        router_add(router, routes[i].method, weir_str_c(routes[i].pattern), "t.c:1", &routes[i]);
    assert_int_equal(router_build(router, &faults), 0);
    for (int i = 0; i < 100; i++) {
        enum http_method method = random_below(random, 2) ? HTTP_GET : HTTP_POST;
        char segments[SEGMENTS + 1][4], path[128];
        unsigned n = make_path(random, segments, path, sizeof(path));
        const struct plain_route *want;
        struct route_match match;
        enum route_result got;
        bool other;

        want = plain_find(routes, count, segments, n, method, &other);
        got = router_match(router, method, weir_str_c(path), &match);
        if (want ? got != ROUTE_FOUND || match.route->data != want
                 : got != (other ? ROUTE_NOT_METHOD : ROUTE_NOT_FOUND))
            fail_msg("%s: %d, %s instead of %s", path, got,
                     got == ROUTE_FOUND ? match.route->pattern.ptr : "none",
                     want ? want->pattern : "none");
    }
    strbuf_done(&faults);
    router_free(router);
}

static void random_routes_match_as_trying_each_would(void **state)
{
    struct random random;

    (void)state;
    random_begin(&random);
    for (int i = 0; i < 3000; i++)
        compare(&random);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_more_precise_route_wins),
        cmocka_unit_test(a_way_that_ends_is_left_again),
        cmocka_unit_test(the_rest_at_the_root_takes_all),
        cmocka_unit_test(escapes_are_data),
        cmocka_unit_test(values_are_decoded_but_for_the_rest),
        cmocka_unit_test(dots_and_broken_escapes_are_refused),
        cmocka_unit_test(methods_choose_among_routes),
        cmocka_unit_test(every_fault_is_told_at_once),
        cmocka_unit_test(conflicts_name_both_places),
        cmocka_unit_test(no_routes_match_nothing),
        cmocka_unit_test(random_routes_match_as_trying_each_would),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
