/* The tree inside a router: what router_build.c makes and router.c walks. */
#ifndef WEB_ROUTER_TREE_H
#define WEB_ROUTER_TREE_H

#include "web/router.h"

/* A place in a path, between two slashes. A node is reached with its label
 * (literal segments, joined by '/') already matched; the kinds of children are
 * tried in the order of the members. Labels of literals differ in their first
 * segment. */
struct route_node {
    weir_str label;
    weir_str first;                /* the label's first segment */
    struct route_node **literals;  /* ordered by first */
    uint32_t literal_count, literal_room;
    struct route_node *number, *text; /* what follows {x:i64} and {x} */
    struct route_leaf *rest;          /* a "*" here */
    struct route_leaf *leaf;          /* a route ends here */
};

/* The routes that end at one place, by method. */
struct route_leaf {
    const struct route *routes[HTTP_METHOD_COUNT]; /* [ROUTE_ANY]: every other one */
    uint16_t methods;                              /* a bit for each that is there */
};

struct router {
    struct arena memory; /* everything here */
    struct route *routes, **routes_end;
    struct route_node *root; /* NULL until it is built */
};

/* Order by length first: cheap, and any order will do. */
static inline int route_segment_order(weir_str a, weir_str b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return a.len ? memcmp(a.ptr, b.ptr, a.len) : 0;
}

#endif
