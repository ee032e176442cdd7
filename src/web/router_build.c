/* Building the tree of routes, and telling what is wrong with them.
 *
 * Faults are collected and not returned one at a time: who starts a program sees
 * all of them, each with the place in the source, before it serves anything.
 *
 * Three steps: read each pattern into segments; hang it into the tree, a node a
 * segment; then fold every chain of literals that has no branch into one node. */
#include <errno.h>
#include <stdio.h>

#include "base/alloc.h"
#include "web/router_tree.h"

struct build {
    struct router *router;
    struct strbuf *faults;
    int count;
    bool no_memory;
};

struct segment {
    weir_str text; /* of a literal */
    bool literal;
    enum route_type type;
};

struct router *router_new(void)
{
    struct router *router = base_calloc(1, sizeof(*router));

    if (!router)
        return NULL;
    arena_init(&router->memory, NULL);
    router->routes_end = &router->routes;
    return router;
}

void router_free(struct router *router)
{
    if (!router)
        return;
    arena_reset(&router->memory);
    base_free(router);
}

int router_add(struct router *router, enum http_method method, weir_str pattern, const char *site,
               void *data)
{
    struct route *route = arena_zalloc(&router->memory, sizeof(*route));

    if (!route)
        return -ENOMEM;
    route->method = method;
    route->pattern = pattern;
    route->site = site;
    route->data = data;
    *router->routes_end = route;
    router->routes_end = &route->next;
    return 0;
}

const struct route *router_first(const struct router *router)
{
    return router->routes;
}

/* ---- faults -------------------------------------------------------------- */

static void add_route_name(struct strbuf *out, const struct route *route)
{
    weir_str method = route->method == ROUTE_ANY ? WEIR_S("any method")
                                                 : http_method_name(route->method);

    strbuf_addf(out, "%s: %.*s %.*s", route->site, WEIR_ARG(method), WEIR_ARG(route->pattern));
}

WEIR_PRINTF(3, 4)
static bool fault(struct build *b, const struct route *route, const char *fmt, ...)
{
    va_list args;

    b->count++;
    add_route_name(b->faults, route);
    strbuf_add_c(b->faults, ": ");
    va_start(args, fmt);
    strbuf_vaddf(b->faults, fmt, args);
    va_end(args);
    strbuf_add_char(b->faults, '\n');
    return false;
}

static void conflict(struct build *b, const struct route *route, const struct route *earlier,
                     const char *why)
{
    b->count++;
    add_route_name(b->faults, route);
    strbuf_add_c(b->faults, " conflicts with ");
    add_route_name(b->faults, earlier);
    strbuf_addf(b->faults, ": %s\n", why);
}

/* ---- patterns ------------------------------------------------------------ */

static bool name_holds(weir_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
              (i > 0 && c >= '0' && c <= '9')))
            return false;
    }
    return name.len > 0;
}

static bool add_param(struct build *b, struct route *route, weir_str name, enum route_type type)
{
    if (route_param_find(route, name) >= 0)
        return fault(b, route, "parameter `%.*s` stands in it twice", WEIR_ARG(name));
    if (route->param_count == ROUTE_PARAMS_MAX)
        return fault(b, route, "more than %d parameters", ROUTE_PARAMS_MAX);
    route->params[route->param_count++] = (struct route_param){ name, type };
    return true;
}

/* "{name}" or "{name:type}". */
static bool read_param(struct build *b, struct route *route, weir_str text,
                       struct segment *ret_segment)
{
    weir_str inner = weir_str_from(text.ptr + 1, text.len - 2);
    const char *colon = memchr(inner.ptr, ':', inner.len);
    weir_str name = colon ? weir_str_from(inner.ptr, (size_t)(colon - inner.ptr)) : inner;

    ret_segment->literal = false;
    ret_segment->type = ROUTE_STR;
    if (!name_holds(name))
        return fault(b, route,
                     "`%.*s`: a parameter's name is made of letters, digits and _, and "
                     "begins with no digit",
                     WEIR_ARG(text));
    if (colon) {
        weir_str type = weir_str_skip(inner, name.len + 1);

        if (!weir_str_eq(type, WEIR_S("i64")))
            return fault(b, route,
                         "`%.*s`: there is no type `%.*s`; write `{%.*s:i64}` for a "
                         "whole number, `{%.*s}` for any text",
                         WEIR_ARG(text), WEIR_ARG(type), WEIR_ARG(name), WEIR_ARG(name));
        ret_segment->type = ROUTE_I64;
    }
    return add_param(b, route, name, ret_segment->type);
}

static bool read_literal(struct build *b, const struct route *route, weir_str text,
                         struct segment *ret_segment)
{
    if (weir_str_eq(text, WEIR_S(".")) || weir_str_eq(text, WEIR_S("..")))
        return fault(b, route, "`%.*s` is no segment that a request may have", WEIR_ARG(text));
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if (c == '{' || c == '}')
            return fault(b, route, "`%.*s`: a parameter is a whole segment, as in `/{name}`",
                         WEIR_ARG(text));
        if (c == '*')
            return fault(b, route, "`%.*s`: * stands alone, as the last segment", WEIR_ARG(text));
        if (c == '%' || c == '?' || c == '#')
            return fault(b, route,
                         "`%.*s`: a pattern is a path without query, written without "
                         "percent-encoding",
                         WEIR_ARG(text));
        if (c <= ' ' || c == 0x7f)
            return fault(b, route, "white space or a control byte in it");
    }
    ret_segment->literal = true;
    ret_segment->text = text;
    return true;
}

static bool read_segment(struct build *b, struct route *route, weir_str text, bool last,
                         struct segment *ret_segment)
{
    if (weir_str_eq(text, WEIR_S("*"))) {
        if (!last)
            return fault(b, route, "* takes the rest of the path: it must be the last segment");
        ret_segment->literal = false;
        ret_segment->type = ROUTE_REST;
        return add_param(b, route, text, ROUTE_REST);
    }
    if (text.len >= 2 && text.ptr[0] == '{' && text.ptr[text.len - 1] == '}')
        return read_param(b, route, text, ret_segment);
    return read_literal(b, route, text, ret_segment);
}

/* The segments of a route's pattern, and the route's params; 0 after a fault. */
static unsigned read_pattern(struct build *b, struct route *route, struct segment *ret_segments)
{
    weir_str rest = route->pattern;
    unsigned count = 0;

    if (rest.len == 0 || rest.ptr[0] != '/')
        return fault(b, route, "a pattern begins with a slash");
    if (rest.len > ROUTE_PATTERN_BYTES_MAX)
        return fault(b, route, "longer than %d bytes", ROUTE_PATTERN_BYTES_MAX);
    route->param_count = 0;
    while (rest.len > 0) {
        const char *slash;
        weir_str text;

        rest = weir_str_skip(rest, 1);
        slash = rest.len ? memchr(rest.ptr, '/', rest.len) : NULL;
        text = slash ? weir_str_from(rest.ptr, (size_t)(slash - rest.ptr)) : rest;
        if (count == ROUTE_SEGMENTS_MAX)
            return fault(b, route, "more than %d segments", ROUTE_SEGMENTS_MAX);
        if (!read_segment(b, route, text, !slash, &ret_segments[count++]))
            return 0;
        rest = weir_str_skip(rest, text.len);
    }
    return count;
}

/* ---- the tree ------------------------------------------------------------ */

static void *take(struct build *b, size_t bytes)
{
    void *block = arena_zalloc(&b->router->memory, bytes);

    b->no_memory |= !block;
    return block;
}

static bool grow_literals(struct build *b, struct route_node *node)
{
    uint32_t room = node->literal_room ? node->literal_room * 2 : 4;
    struct route_node **list = take(b, room * sizeof(struct route_node *));

    if (!list)
        return false;
    if (node->literal_count)
        memcpy(list, node->literals, node->literal_count * sizeof(struct route_node *));
    node->literals = list;
    node->literal_room = room;
    return true;
}

static struct route_node *literal_child(struct build *b, struct route_node *node, weir_str text)
{
    struct route_node *child;
    uint32_t at = 0;

    for (; at < node->literal_count; at++) {
        int order = route_segment_order(text, node->literals[at]->first);

        if (order == 0)
            return node->literals[at];
        if (order < 0)
            break;
    }
    if (node->literal_count == node->literal_room && !grow_literals(b, node))
        return NULL;
    child = take(b, sizeof(*child));
    if (!child)
        return NULL;
    child->label = child->first = text;
    memmove(node->literals + at + 1, node->literals + at,
            (node->literal_count - at) * sizeof(struct route_node *));
    node->literals[at] = child;
    node->literal_count++;
    return child;
}

static struct route_node *param_child(struct build *b, struct route_node **place)
{
    if (!*place)
        *place = take(b, sizeof(**place));
    return *place;
}

static void hang_leaf(struct build *b, struct route_leaf **place, const struct route *route)
{
    const struct route **slot;

    if (!*place)
        *place = take(b, sizeof(**place));
    if (!*place)
        return;
    slot = &(*place)->routes[route->method];
    if (*slot) {
        conflict(b, route, *slot,
                 "no request could choose between them; remove one, or give it "
                 "another path or method");
        return;
    }
    *slot = route;
    (*place)->methods |= (uint16_t)(1u << route->method);
}

static void hang_route(struct build *b, const struct route *route, const struct segment *segments,
                       unsigned count)
{
    struct route_node *node = b->router->root;

    for (unsigned i = 0; i < count && node; i++) {
        const struct segment *s = &segments[i];

        if (!s->literal && s->type == ROUTE_REST) {
            hang_leaf(b, &node->rest, route);
            return;
        }
        if (s->literal)
            node = literal_child(b, node, s->text);
        else
            node = param_child(b, s->type == ROUTE_I64 ? &node->number : &node->text);
    }
    if (node)
        hang_leaf(b, &node->leaf, route);
}

/* A literal's node whose only way on is one literal takes that one in. The bytes
 * of both stand side by side in the pattern of any route behind them. */
static void fold(struct route_node *node)
{
    for (uint32_t i = 0; i < node->literal_count; i++) {
        struct route_node *child = node->literals[i];

        fold(child);
        if (child->literal_count == 1 && !child->number && !child->text && !child->rest &&
            !child->leaf) {
            struct route_node *only = child->literals[0];

            only->first = child->first;
            only->label = weir_str_from(only->label.ptr - 1 - child->label.len,
                                        child->label.len + 1 + only->label.len);
            node->literals[i] = only;
        }
    }
    if (node->number)
        fold(node->number);
    if (node->text)
        fold(node->text);
}

/* ---- names at one place -------------------------------------------------- */

/* Where a pattern's segments are compared: its text up to and with a parameter,
 * whose name does not count. */
static weir_str next_segment(weir_str *rest)
{
    const char *slash;
    weir_str text;

    *rest = weir_str_skip(*rest, 1);
    slash = rest->len ? memchr(rest->ptr, '/', rest->len) : NULL;
    text = slash ? weir_str_from(rest->ptr, (size_t)(slash - rest->ptr)) : *rest;
    *rest = weir_str_skip(*rest, text.len);
    return text;
}

/* Do two routes of one method call a parameter by two names at the same place? */
static bool names_differ(const struct route *a, const struct route *b, weir_str *ret_a,
                         weir_str *ret_b)
{
    weir_str rest_a = a->pattern, rest_b = b->pattern;
    unsigned param = 0;

    while (rest_a.len > 0 && rest_b.len > 0) {
        weir_str text_a = next_segment(&rest_a), text_b = next_segment(&rest_b);
        bool is_param = text_a.len > 0 && text_b.len > 0 && *text_a.ptr == '{' &&
                        *text_b.ptr == '{';

        if (is_param && a->params[param].type == b->params[param].type) {
            *ret_a = a->params[param].name;
            *ret_b = b->params[param].name;
            if (!weir_str_eq(*ret_a, *ret_b))
                return true;
            param++;
        } else if (is_param || !weir_str_eq(text_a, text_b)) {
            return false;
        }
    }
    return false;
}

static void check_names(struct build *b, const struct route *route)
{
    for (const struct route *other = b->router->routes; other != route; other = other->next) {
        weir_str name, earlier;
        char why[256];

        if (other->broken || other->method != route->method ||
            !names_differ(route, other, &name, &earlier))
            continue;
        snprintf(why, sizeof(why), "one parameter, called `%.*s` and `%.*s`; give it one name",
                 WEIR_ARG(name), WEIR_ARG(earlier));
        conflict(b, route, other, why);
        return;
    }
}

int router_build(struct router *router, struct strbuf *faults)
{
    struct build b = { .router = router, .faults = faults };
    struct segment segments[ROUTE_SEGMENTS_MAX] = { 0 };

    router->root = take(&b, sizeof(*router->root));
    for (struct route *route = router->routes; route && !b.no_memory; route = route->next) {
        unsigned count = read_pattern(&b, route, segments);
        int before = b.count;

        route->broken = count == 0;
        if (route->broken)
            continue;
        hang_route(&b, route, segments, count);
        if (b.count == before && !b.no_memory)
            check_names(&b, route);
    }
    if (b.no_memory || faults->bad)
        return -ENOMEM;
    if (b.count == 0)
        fold(router->root);
    return b.count;
}
