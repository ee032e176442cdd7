/* Which handler answers a path: one radix tree over the segments of all routes.
 *
 * A pattern is an absolute path of segments: literal text, "{name}" (any segment
 * that is not empty), "{name:i64}" (a decimal number that fits, in its one
 * canonical form), and as the last one "*" (the rest of the path, which may be
 * empty). At each place a literal goes before a typed parameter, that before a
 * plain one, that before the rest, whatever was registered first; where the
 * better one leads nowhere the next is tried. A route for another method leads
 * nowhere, too, but is remembered for 405 and its Allow.
 *
 * Routes are added first, then the tree is built, which finds every fault at
 * once; from then on it is read only, so every loop may match in it. */
#ifndef WEB_ROUTER_H
#define WEB_ROUTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/str.h>

#include "base/arena.h"
#include "base/strbuf.h"
#include "http/names.h"

#define ROUTE_PARAMS_MAX 16
#define ROUTE_SEGMENTS_MAX 32
#define ROUTE_PATTERN_BYTES_MAX 1024

/* In the place of a method: every method that has no route of its own here. */
#define ROUTE_ANY HTTP_OTHER

enum route_type { ROUTE_STR, ROUTE_I64, ROUTE_REST };

struct route_param {
    weir_str name; /* "*" for the rest */
    enum route_type type;
};

struct route {
    struct route *next; /* in the order of registration */
    weir_str pattern;
    const char *site; /* where it was registered: "file.c:12" */
    void *data;       /* the caller's */
    enum http_method method;
    bool broken; /* its pattern can't be */
    uint8_t param_count;
    struct route_param params[ROUTE_PARAMS_MAX];
};

/* What a match found. values are as they stand in the path until
 * route_match_decode(); numbers hold those of type i64. */
struct route_match {
    const struct route *route;
    uint16_t allow; /* a bit (1 << method) for each method that the path has */
    uint8_t param_count;
    bool escaped; /* the path has percent-encoded bytes */
    weir_str values[ROUTE_PARAMS_MAX];
    int64_t numbers[ROUTE_PARAMS_MAX];
};

enum route_result {
    ROUTE_FOUND,
    ROUTE_NOT_FOUND,  /* 404 */
    ROUTE_NOT_METHOD, /* 405, and 200 or 204 for OPTIONS: see allow */
    ROUTE_BAD_PATH    /* 400: a "." or ".." segment, or a broken or zero escape */
};

struct router;

struct router *router_new(void); /* NULL without memory */
void router_free(struct router *router);

/* Register a route; pattern and site must outlive the router. What is wrong with
 * it is told by router_build(). Returns 0 or -ENOMEM. */
int router_add(struct router *router, enum http_method method, weir_str pattern, const char *site,
               void *data);

/* Build the tree. A pattern that can't be, or two routes of which no request
 * could choose one, are written into faults, a line each with the sites of both.
 * Returns how many there were, or -ENOMEM; the router matches only after 0. */
int router_build(struct router *router, struct strbuf *faults);

/* The registered routes, in order. */
const struct route *router_first(const struct router *router);

/* Find the route for a path as it was received (without a query). HEAD falls back to
 * GET. Takes no memory, and looks at each node of the tree at most once. */
enum route_result router_match(const struct router *router, enum http_method method, weir_str path,
                               struct route_match *ret_match);

/* Decode the values, but for the rest ("*"), which stays as received: an encoded
 * slash in it must not become one that separates. Returns 0 or -ENOMEM. */
int route_match_decode(struct route_match *match, struct arena *arena);

/* The index of a parameter by its name, or -1. */
int route_param_find(const struct route *route, weir_str name);

/* Print "GET, HEAD, OPTIONS" for the allowed methods. Returns the length; room for
 * ROUTE_ALLOW_BYTES is enough. */
#define ROUTE_ALLOW_BYTES 80
size_t route_allow_print(uint16_t allow, char *text, size_t size);

#endif
