/* Matching a path against the tree of routes.
 *
 * Why our own: an attacker chooses the path. Matching takes no memory and no
 * more steps than the tree has nodes: a node belongs to exactly one number of
 * segments, so that going back never reaches it twice.
 *
 * Bytes are compared percent-decoded (RFC 3986, section 6.2.2.2), but the path is
 * split at the slashes that were received, so %2F is data and never a separator.
 * Dot segments, also encoded ones, are refused and not removed (section 5.2.4
 * describes references, and a server that removes them guards another path than
 * the one behind it serves). */
#include "web/router_tree.h"

#include <errno.h>
#include <stdint.h>

/* ---- bytes --------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The next byte, decoded; the escapes were checked before. */
static char next_byte(const char **at)
{
    char c = *(*at)++;

    if (c != '%')
        return c;
    c = (char)(hex_digit((*at)[0]) << 4 | hex_digit((*at)[1]));
    *at += 2;
    return c;
}

/* Each '%' stands before two hexadecimal digits, and none makes a NUL. */
static bool escapes_hold(weir_str path)
{
    const char *end = path.ptr + path.len;

    for (const char *at = path.ptr; at < end; at++) {
        if (*at != '%')
            continue;
        if (end - at < 3 || hex_digit(at[1]) < 0 || hex_digit(at[2]) < 0)
            return false;
        if (at[1] == '0' && at[2] == '0')
            return false;
        at += 2;
    }
    return true;
}

static bool is_dots(const char *at, const char *end)
{
    int dots = 0;

    while (at < end) {
        if (next_byte(&at) != '.' || ++dots > 2)
            return false;
    }
    return dots > 0;
}

static const char *segment_end(const char *at, const char *end)
{
    const char *slash = at < end ? memchr(at, '/', (size_t)(end - at)) : NULL;

    return slash ? slash : end;
}

/* "/." and "/%2e" are where a dot segment can begin. */
static bool has_dot_segment(weir_str path)
{
    const char *end = path.ptr + path.len;

    for (const char *at = path.ptr; at < end;) {
        const char *segment = at + 1, *stop = segment_end(segment, end);

        if (segment < stop && (*segment == '.' || *segment == '%') && is_dots(segment, stop))
            return true;
        at = stop;
    }
    return false;
}

/* ---- the walk ------------------------------------------------------------ */

struct walk {
    const char *end;
    enum http_method method;
    struct route_match *match;
};

/* Does the literal label stand at the beginning of the path, up to a slash or
 * the end? Returns where it ends, or NULL. */
static const char *skip_label(const struct walk *w, weir_str label, const char *at)
{
    if (!w->match->escaped) {
        const char *stop = at + label.len;

        if ((size_t)(w->end - at) < label.len || memcmp(at, label.ptr, label.len) != 0)
            return NULL;
        return stop == w->end || *stop == '/' ? stop : NULL;
    }
    for (size_t i = 0; i < label.len; i++) {
        bool slash = at < w->end && *at == '/';

        if (at == w->end || slash != (label.ptr[i] == '/') || next_byte(&at) != label.ptr[i])
            return NULL;
    }
    return at == w->end || *at == '/' ? at : NULL;
}

/* The child whose label begins with this segment. Where the path has escapes each
 * child is asked, since the order is that of decoded text. */
static const struct route_node *find_literal(const struct walk *w, const struct route_node *node,
                                             weir_str segment, const char **ret_at)
{
    uint32_t low = 0, high = node->literal_count;

    if (w->match->escaped) {
        for (uint32_t i = 0; i < high; i++) {
            *ret_at = skip_label(w, node->literals[i]->label, segment.ptr);
            if (*ret_at)
                return node->literals[i];
        }
        return NULL;
    }
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        const struct route_node *child = node->literals[middle];
        int order = route_segment_order(segment, child->first);

        if (order == 0) {
            *ret_at = skip_label(w, child->label, segment.ptr);
            return *ret_at ? child : NULL;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* A decimal number that fits, without a plus, leading zeros or "-0": one number
 * has one path. */
static bool read_i64(weir_str s, int64_t *ret_number)
{
    bool negative = s.len > 0 && s.ptr[0] == '-';
    uint64_t limit = (uint64_t)INT64_MAX + negative, number = 0;
    size_t i = negative;

    if (i == s.len || s.len - i > 19 || (s.ptr[i] == '0' && s.len > 1))
        return false;
    for (; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(s.ptr[i] - '0');
    }
    if (number > limit)
        return false;
    *ret_number = (int64_t)(negative ? -number : number);
    return true;
}

/* As read_i64() for a segment as received. */
static bool segment_i64(const struct walk *w, weir_str segment, int64_t *ret_number)
{
    const char *at = segment.ptr, *end = segment.ptr + segment.len;
    char text[20];
    size_t len = 0;

    if (!w->match->escaped)
        return read_i64(segment, ret_number);
    while (at < end) {
        if (len == sizeof(text))
            return false;
        text[len++] = next_byte(&at);
    }
    return read_i64(weir_str_from(text, len), ret_number);
}

/* Is there a route for the method among those that end here? */
static bool take_leaf(const struct walk *w, const struct route_leaf *leaf)
{
    const struct route *route;

    if (!leaf)
        return false;
    route = leaf->routes[w->method];
    if (!route && w->method == HTTP_HEAD)
        route = leaf->routes[HTTP_GET];
    if (!route)
        route = leaf->routes[ROUTE_ANY];
    w->match->allow |= leaf->methods;
    if (!route)
        return false;
    w->match->route = route;
    return true;
}

static bool walk_node(const struct walk *w, const struct route_node *node, const char *at);

static bool walk_param(const struct walk *w, const struct route_node *child, weir_str value)
{
    struct route_match *match = w->match;

    match->values[match->param_count++] = value;
    if (walk_node(w, child, value.ptr + value.len))
        return true;
    match->param_count--;
    return false;
}

/* at is behind what led to the node: a slash, or the path's end. Deep as a
 * pattern's segments at most. */
static bool walk_node(const struct walk *w, const struct route_node *node, const char *at)
{
    struct route_match *match = w->match;
    const struct route_node *child;
    weir_str segment;
    const char *next;

    if (at == w->end)
        return take_leaf(w, node->leaf);
    at++;
    segment = weir_str_from(at, (size_t)(segment_end(at, w->end) - at));
    child = find_literal(w, node, segment, &next);
    if (child && walk_node(w, child, next))
        return true;
    if (node->number && segment_i64(w, segment, &match->numbers[match->param_count]) &&
        walk_param(w, node->number, segment))
        return true;
    if (node->text && segment.len > 0 && walk_param(w, node->text, segment))
        return true;
    if (!take_leaf(w, node->rest))
        return false;
    match->values[match->param_count++] = weir_str_from(at, (size_t)(w->end - at));
    return true;
}

enum route_result router_match(const struct router *router, enum http_method method, weir_str path,
                               struct route_match *ret_match)
{
    struct walk w = { .end = path.ptr + path.len, .method = method, .match = ret_match };

    ret_match->route = NULL;
    ret_match->allow = 0;
    ret_match->param_count = 0;
    if (path.len == 0 || path.ptr[0] != '/')
        return ROUTE_NOT_FOUND;
    ret_match->escaped = memchr(path.ptr, '%', path.len) != NULL;
    if (ret_match->escaped && !escapes_hold(path))
        return ROUTE_BAD_PATH;
    if ((ret_match->escaped || memchr(path.ptr, '.', path.len)) && has_dot_segment(path))
        return ROUTE_BAD_PATH;
    if (walk_node(&w, router->root, path.ptr))
        return ROUTE_FOUND;
    return ret_match->allow ? ROUTE_NOT_METHOD : ROUTE_NOT_FOUND;
}

/* ---- what was matched ---------------------------------------------------- */

int route_match_decode(struct route_match *match, struct arena *arena)
{
    if (!match->escaped)
        return 0;
    for (unsigned i = 0; i < match->param_count; i++) {
        weir_str *value = &match->values[i];
        const char *at = value->ptr, *end = at + value->len;
        char *text, *to;

        if (match->route->params[i].type == ROUTE_REST || !memchr(at, '%', value->len))
            continue;
        text = to = arena_alloc(arena, value->len);
        if (!text)
            return -ENOMEM;
        while (at < end)
            *to++ = next_byte(&at);
        *value = weir_str_from(text, (size_t)(to - text));
    }
    match->escaped = false;
    return 0;
}

int route_param_find(const struct route *route, weir_str name)
{
    for (int i = 0; i < route->param_count; i++) {
        if (weir_str_eq(route->params[i].name, name))
            return i;
    }
    return -1;
}

size_t route_allow_print(uint16_t allow, char *text, size_t size)
{
    size_t len = 0;

    if (allow & 1u << HTTP_GET)
        allow |= 1u << HTTP_HEAD;
    allow |= 1u << HTTP_OPTIONS;
    for (int i = HTTP_GET; i < HTTP_METHOD_COUNT; i++) {
        weir_str name = http_method_name((enum http_method)i);

        if (!(allow & 1u << i) || len + name.len + 3 > size)
            continue;
        if (len > 0) {
            text[len++] = ',';
            text[len++] = ' ';
        }
        memcpy(text + len, name.ptr, name.len);
        len += name.len;
    }
    text[len] = '\0';
    return len;
}
