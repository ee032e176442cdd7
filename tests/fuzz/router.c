/* Any path against a tree of routes: what is found lies inside the path, and a
 * decoded value holds what its escapes say. The first byte chooses the method. */
#include <stdint.h>
#include <stdlib.h>

#include "web/router.h"

static const char *const patterns[] = {
    "/",
    "/users",
    "/users/",
    "/users/me",
    "/users/{id:i64}",
    "/users/{name}",
    "/users/{name}/posts/{post:i64}",
    "/users/{name}/*",
    "/a/b/c",
    "/a/{x}/d",
    "/{y}/b/e",
    "/{y}/{z:i64}/f",
    "/{y}/{z}/g",
    "/files/*",
};

#define PATTERNS (sizeof(patterns) / sizeof(patterns[0]))

static void need(bool holds)
{
    if (!holds)
        abort();
}

static struct router *make_router(void)
{
    struct router *router = router_new();
    struct strbuf faults = STRBUF_INIT;

    need(router != NULL);
    for (size_t i = 0; i < PATTERNS; i++)
        need(router_add(router, i % 3 ? HTTP_GET : ROUTE_ANY, weir_str_c(patterns[i]), "here",
                        NULL) == 0);
    need(router_build(router, &faults) == 0);
    strbuf_done(&faults);
    return router;
}

static void check_found(struct route_match *match, weir_str path)
{
    struct arena arena;

    need(match->param_count == match->route->param_count);
    for (unsigned i = 0; i < match->param_count; i++) {
        weir_str value = match->values[i];
        bool rest = match->route->params[i].type == ROUTE_REST;

        need(value.ptr >= path.ptr && value.ptr + value.len <= path.ptr + path.len);
        need(rest || (value.len > 0 && !memchr(value.ptr, '/', value.len)));
    }
    arena_init(&arena, NULL);
    need(route_match_decode(match, &arena) == 0);
    for (unsigned i = 0; i < match->param_count; i++) {
        weir_str value = match->values[i];

        need(!memchr(value.ptr, '\0', value.len) || memchr(path.ptr, '\0', path.len));
        need(match->route->params[i].type == ROUTE_REST ||
             (!weir_str_eq(value, WEIR_S(".")) && !weir_str_eq(value, WEIR_S(".."))));
    }
    arena_reset(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct router *router;
    struct route_match match;
    weir_str path;

    if (!router)
        router = make_router();
    if (size == 0)
        return 0;
    path = weir_str_from((const char *)data + 1, size - 1);
    if (router_match(router, (enum http_method)(data[0] % HTTP_METHOD_COUNT), path, &match) ==
        ROUTE_FOUND)
        check_found(&match, path);
    return 0;
}
