/* What only the whole of a configuration can tell: services and parameters that
 * are not there, routes twice, keys that exclude each other.
 *
 * It walks the text's own tree, not the decoded values: those are there only when
 * the text has no other fault, and an operator is to be told all of them at once.
 * So each rule looks at what is there and of the right shape, and says nothing
 * about a place that has a fault already. */
#include "gateway/config.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include <weir/error.h>

#include "base/strbuf.h"
#include "gateway/target.h"
#include "http/url.h"
#include "net/addr.h"
#include "net/dns.h"
#include "type/hint.h"
#include "type/units.h"
#include "type/yaml_source.h"
#include "web/router.h"

#define NAME_BYTES_MAX 64
#define SHOWN_BYTES 80

/* A route that is in order so far, for the comparison with those after it. */
struct seen_route {
    weir_str path;   /* as written */
    weir_str shape;  /* with the parameters' names taken out */
    uint32_t line;
};

struct check {
    weir_document *document;
    struct arena arena;
    struct yaml_source yaml;
    const struct yaml_node *services;
    struct seen_route *routes;
    size_t route_count;
    bool no_memory;
};

/* One route, while it is looked at. */
struct route_check {
    struct check *check;
    const struct frame *at;
    const struct yaml_node *node, *aggregate, *proxy;
    weir_str path;
    weir_str params[ROUTE_PARAMS_MAX];
    size_t param_count;
    bool params_known;
};

/* ---- the tree ------------------------------------------------------------------- */

static const struct yaml_node *member(const struct yaml_node *node, const char *name)
{
    if (!node || node->kind != YAML_KIND_MAPPING)
        return NULL;
    for (const struct yaml_node *key = node->first; key; key = key->next) {
        if (weir_str_eq(key->text, weir_str_c(name)))
            return key->value;
    }
    return NULL;
}

static bool is_null(const struct yaml_node *node)
{
    static const char *const forms[] = { "", "~", "null", "Null", "NULL" };

    if (!node)
        return true;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (node->kind == YAML_KIND_PLAIN && weir_str_eq(node->text, weir_str_c(forms[i])))
            return true;
    }
    return false;
}

/* A text that is given; else the absent slice. */
static weir_str scalar(const struct yaml_node *node)
{
    if (is_null(node) || (node->kind != YAML_KIND_PLAIN && node->kind != YAML_KIND_QUOTED))
        return weir_str_from(NULL, 0);
    return node->text;
}

static uint32_t duration(const struct yaml_node *node)
{
    weir_str text = scalar(node);
    uint32_t ms = 0;

    return text.ptr && duration_parse(text, &ms) == 0 ? ms : 0;
}

/* ---- telling -------------------------------------------------------------------- */

static bool told_already(const struct check *c, const char *pointer)
{
    weir_faults faults = weir_document_faults(c->document);
    uint32_t line, column;
    bool exact = weir_document_place(c->document, pointer, &line, &column);

    for (size_t i = 0; exact && i < faults.count; i++) {
        if (faults.list[i].line == line && faults.list[i].column == column)
            return true;
    }
    return false;
}

__attribute__((format(printf, 4, 5))) static void tell(struct check *c, const struct frame *at,
                                                       const char *hint, const char *fmt, ...)
{
    weir_str pointer = frame_pointer(&c->arena, at, ""), text;
    va_list args;

    va_start(args, fmt);
    text = arena_vformat(&c->arena, fmt, args);
    va_end(args);
    if (!pointer.ptr || !text.ptr)
        c->no_memory = true;
    else if (!told_already(c, pointer.ptr))
        weir_document_fault(c->document, pointer.ptr, hint && *hint ? hint : NULL, "%.*s",
                            WEIR_ARG(text));
}

static const char *kept(struct check *c, weir_str text)
{
    text = arena_dup(&c->arena, text);
    c->no_memory |= !text.ptr;
    return text.ptr ? text.ptr : "";
}

/* Text from the file, fit for a message. */
static const char *shown(struct check *c, weir_str text)
{
    return kept(c, text_show(&c->arena, text, SHOWN_BYTES));
}

/* The sentence that a failed call left behind. */
static const char *reason(struct check *c)
{
    char text[512];

    weir_error_print(text, sizeof(text));
    weir_recover();
    return kept(c, weir_str_c(text));
}

/* ---- names and addresses ---------------------------------------------------------- */

/* Names stand in header fields, metrics and logs. */
static bool name_ok(weir_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-' || c == '.'))
            return false;
    }
    return name.len > 0 && name.len <= NAME_BYTES_MAX;
}

static void check_name(struct check *c, const struct frame *at, const char *what, weir_str name)
{
    if (!name_ok(name))
        tell(c, at, "use letters, digits, `_`, `-` and `.`, at most 64 of them",
             "`%s` can't be the name of a %s", shown(c, name), what);
}

static bool check_address(struct check *c, const char *key, struct addr *ret_addr)
{
    struct frame at = { .key = weir_str_c(key) };
    weir_str text = scalar(member(c->yaml.root, key));

    if (!text.ptr)
        return false;
    if (addr_parse(text, ret_addr) < 0) {
        tell(c, &at, NULL, "`%s`: %s", key, reason(c));
        return false;
    }
    return true;
}

static void check_addresses(struct check *c)
{
    struct frame at = { .key = WEIR_S("admin") };
    struct addr listen, admin;
    bool both = check_address(c, "listen", &listen);

    both &= check_address(c, "admin", &admin);
    if (both && addr_port(&listen) != 0 && listen.len == admin.len &&
        memcmp(&listen.storage, &admin.storage, listen.len) == 0)
        tell(c, &at, "give it a port of its own", "`admin` is the same address as `listen`");
}

/* ---- services ----------------------------------------------------------------------- */

static void check_url(struct check *c, const struct frame *at, weir_str text)
{
    struct addr addr;
    struct url url;

    if (url_parse(text, &url) < 0 ||
        (!addr_text_is_unix(url.host) && !addr_from_literal(url.host, url.port, &addr) &&
         dns_check_name(url.host) < 0))
        tell(c, at, NULL, "`url`: %s", reason(c));
    else if (url.target.len > 1 || (url.target.len == 1 && url.target.ptr[0] != '/') ||
             memchr(text.ptr, '#', text.len))
        tell(c, at, "give scheme, host and port only; the routes say the path",
             "`url` has a path or a query of its own");
}

/* What is said of TLS must come to something: RFC 9110, section 4.2. */
static void check_service_tls(struct check *c, const struct frame *up, const struct yaml_node *node)
{
    struct frame tls = { .up = up, .key = WEIR_S("tls") };
    struct frame key = { .up = &tls, .key = WEIR_S("key") };
    const struct yaml_node *given = member(node, "tls");
    weir_str url = scalar(member(node, "url")), scheme;

    if (is_null(given))
        return;
    scheme = weir_str_from(url.ptr, url.len < 6 ? url.len : 6);
    if (url.ptr && !weir_str_eq_nocase(scheme, WEIR_S("https:")))
        tell(c, &tls, "write `https://` in `url`, or leave out `tls`",
             "`tls` is for services over https, and this one's `url` is not");
    if (scalar(member(given, "key")).ptr && !scalar(member(given, "certificate")).ptr)
        tell(c, &key, "add `certificate`, or leave out `key`", "a `key` needs its `certificate`");
}

static void check_services(struct check *c)
{
    struct frame root = { .key = WEIR_S("services") };

    if (!c->services || c->services->kind != YAML_KIND_MAPPING)
        return;
    for (const struct yaml_node *key = c->services->first; key; key = key->next) {
        struct frame at = { .up = &root, .key = key->text };
        struct frame url = { .up = &at, .key = WEIR_S("url") };
        weir_str text = scalar(member(key->value, "url"));

        check_name(c, &at, "service", key->text);
        if (text.ptr)
            check_url(c, &url, text);
        check_service_tls(c, &at, key->value);
    }
}

/* The service that a part or a proxy names; NULL, with a fault, when it is not there. */
static const struct yaml_node *find_service(struct check *c, const struct frame *up,
                                            const struct yaml_node *user)
{
    struct frame at = { .up = up, .key = WEIR_S("service") };
    weir_str name = scalar(member(user, "service"));
    struct nearest nearest;
    const char *hint;

    if (!name.ptr || !c->services || c->services->kind != YAML_KIND_MAPPING)
        return NULL;
    nearest_init(&nearest, name);
    for (const struct yaml_node *key = c->services->first; key; key = key->next) {
        if (weir_str_eq(key->text, name))
            return key->value;
        nearest_try(&nearest, key->text);
    }
    hint = nearest_hint(&nearest, &c->arena).ptr;
    if (!hint || !*hint)
        hint = "name one that stands under `services`";
    tell(c, &at, hint, "there is no service `%s`", shown(c, name));
    return NULL;
}

/* ---- parts -------------------------------------------------------------------------- */

static void check_param(struct route_check *r, const struct frame *at, weir_str name)
{
    struct nearest nearest;
    const char *hint;

    nearest_init(&nearest, name);
    for (size_t i = 0; i < r->param_count; i++) {
        if (weir_str_eq(r->params[i], name))
            return;
        nearest_try(&nearest, r->params[i]);
    }
    hint = nearest_hint(&nearest, &r->check->arena).ptr;
    if (!hint || !*hint)
        hint = r->param_count ? "the route's own path says which there are"
                              : "the route's own path has none; write `{name}` in it";
    tell(r->check, at, hint, "the route has no parameter `%s`", shown(r->check, name));
}

static void check_target(struct route_check *r, const struct frame *up, weir_str text)
{
    struct frame at = { .up = up, .key = WEIR_S("path") };
    struct target_fault fault;
    struct target target;

    if (!target_read(text, &target, &fault)) {
        if (fault.at.len == text.len)
            tell(r->check, &at, fault.hint, "`path` %s", fault.what);
        else
            tell(r->check, &at, fault.hint, "`path`: `%s` %s", shown(r->check, fault.at),
                 fault.what);
        return;
    }
    for (size_t i = 0; r->params_known && i < target.count; i++)
        check_param(r, &at, target.names[i]);
}

/* Returns the service that it names, if that is there. */
static const struct yaml_node *check_part(struct route_check *r, const struct frame *at,
                                          const struct yaml_node *node)
{
    struct frame fallback = { .up = at, .key = WEIR_S("fallback") };
    weir_str path = scalar(member(node, "path")), required = scalar(member(node, "required"));
    const struct yaml_node *service = find_service(r->check, at, node);

    if (path.ptr)
        check_target(r, at, path);
    if (required.ptr && weir_str_eq_nocase(required, WEIR_S("true")) && member(node, "fallback"))
        tell(r->check, &fallback, "leave out `fallback`, or `required`",
             "a required part has no use for a `fallback`: without it there is no answer");
    return service;
}

/* ---- routes --------------------------------------------------------------------------- */

/* The route's pattern by the router's own rules. */
static void read_pattern(struct route_check *r)
{
    struct frame at = { .up = r->at, .key = WEIR_S("path") };
    struct strbuf faults = STRBUF_INIT;
    struct router *router = router_new();
    const struct route *route;
    weir_str text;

    if (!router || router_add(router, ROUTE_ANY, r->path, "", NULL) < 0) {
        r->check->no_memory = true;
        router_free(router);
        return;
    }
    switch (router_build(router, &faults)) {
    case 0:
        route = router_first(router);
        r->params_known = true;
        r->param_count = route->param_count;
        for (size_t i = 0; i < r->param_count; i++)
            r->params[i] = route->params[i].name;
        break;
    case -ENOMEM: r->check->no_memory = true; break;
    default:
        /* ": any method /path: the sentence\n" */
        text = weir_str_skip(strbuf_str(&faults),
                             sizeof(": any method : ") - 1 + strnlen(r->path.ptr, r->path.len));
        text.len -= text.len > 0;
        tell(r->check, &at, "as in /api/profile/{id}, or /users/* for all below", "`path`: %s",
             kept(r->check, text));
    }
    strbuf_done(&faults);
    router_free(router);
}

/* "/users/{id}" and "/users/{name}" are the same to a request. */
static weir_str shape_of(struct arena *arena, weir_str path)
{
    char *text = arena_alloc(arena, path.len + 1);
    size_t len = 0;
    bool name = false;

    if (!text)
        return weir_str_from(NULL, 0);
    for (size_t i = 0; i < path.len; i++) {
        name = name && path.ptr[i] != '}' && path.ptr[i] != ':';
        if (!name)
            text[len++] = path.ptr[i];
        name = name || path.ptr[i] == '{';
    }
    return weir_str_from(text, len);
}

static void check_twice(struct route_check *r)
{
    struct frame at = { .up = r->at, .key = WEIR_S("path") };
    struct check *c = r->check;
    weir_str shape = shape_of(&c->arena, r->path);
    const struct yaml_node *node = member(r->node, "path");

    if (!shape.ptr) {
        c->no_memory = true;
        return;
    }
    for (size_t i = 0; i < c->route_count; i++) {
        const struct seen_route *seen = &c->routes[i];

        if (!weir_str_eq(seen->shape, shape))
            continue;
        tell(c, &at, "leave one of them out", "there is a route `%s` already, at line %u",
             shown(c, seen->path), seen->line);
        return;
    }
    c->routes[c->route_count++] = (struct seen_route){ r->path, shape, node->place.line };
}

/* Is there a key that may be a misspelled one? */
static bool has_unknown_key(const struct yaml_node *route)
{
    static const char *const known[] = { "path", "timeout", "aggregate", "proxy" };

    for (const struct yaml_node *key = route->first; key; key = key->next) {
        size_t i = 0;

        while (i < 4 && !weir_str_eq(key->text, weir_str_c(known[i])))
            i++;
        if (i == 4)
            return true;
    }
    return false;
}

static void check_kind(struct route_check *r)
{
    struct frame proxy = { .up = r->at, .key = WEIR_S("proxy") };

    if (r->aggregate && r->proxy)
        tell(r->check, &proxy, "make two routes of it, or leave one out",
             "a route has `aggregate` or `proxy`, not both");
    else if (!r->aggregate && !r->proxy && !has_unknown_key(r->node))
        tell(r->check, r->at, "say with `aggregate` or `proxy` who answers it",
             "the route has neither `aggregate` nor `proxy`");
}

/* A part can't take longer than its route; user is what names the service. */
static void check_times(struct route_check *r, const struct yaml_node *user,
                        const struct yaml_node *service)
{
    struct frame at = { .up = r->at, .key = WEIR_S("timeout") };
    uint32_t route_ms = duration(member(r->node, "timeout"));
    uint32_t service_ms = duration(member(service, "timeout"));

    if (route_ms && service_ms > route_ms)
        tell(r->check, &at, "raise it, or lower that of the service",
             "`timeout` is %u ms, less than the %u ms of service `%s`", route_ms, service_ms,
             shown(r->check, scalar(member(user, "service"))));
}

static void check_users(struct route_check *r)
{
    struct frame proxy = { .up = r->at, .key = WEIR_S("proxy") };
    struct frame aggregate = { .up = r->at, .key = WEIR_S("aggregate") };

    if (r->proxy)
        check_times(r, r->proxy, find_service(r->check, &proxy, r->proxy));
    if (!r->aggregate || r->aggregate->kind != YAML_KIND_MAPPING)
        return;
    for (const struct yaml_node *key = r->aggregate->first; key; key = key->next) {
        struct frame at = { .up = &aggregate, .key = key->text };

        check_name(r->check, &at, "part", key->text);
        check_times(r, key->value, check_part(r, &at, key->value));
    }
}

static void check_route(struct check *c, const struct frame *at, const struct yaml_node *node)
{
    struct route_check r = { .check = c,
                             .at = at,
                             .node = node,
                             .aggregate = member(node, "aggregate"),
                             .proxy = member(node, "proxy"),
                             .path = scalar(member(node, "path")) };

    if (node->kind != YAML_KIND_MAPPING)
        return;
    if (r.path.ptr)
        read_pattern(&r);
    if (r.params_known)
        check_twice(&r);
    check_kind(&r);
    check_users(&r);
}

static void check_routes(struct check *c)
{
    const struct yaml_node *routes = member(c->yaml.root, "routes");
    struct frame root = { .key = WEIR_S("routes") };
    size_t index = 0;

    if (!routes || routes->kind != YAML_KIND_LIST)
        return;
    c->routes = arena_alloc(&c->arena, CONFIG_ROUTES_MAX * sizeof(*c->routes));
    if (!c->routes) {
        c->no_memory = true;
        return;
    }
    for (const struct yaml_node *route = routes->first; route && index < CONFIG_ROUTES_MAX;
         route = route->next) {
        struct frame at = { .up = &root, .index = index++ };

        check_route(c, &at, route);
    }
}

int config_check(weir_document *document, weir_str text)
{
    struct check c = { .document = document };
    struct faults unused;
    int rc;

    arena_init(&c.arena, NULL);
    faults_init(&unused, &c.arena);
    rc = yaml_source_read(&c.yaml, &c.arena, text, &unused);
    if (rc == 0 && c.yaml.root) {
        c.services = member(c.yaml.root, "services");
        check_addresses(&c);
        check_services(&c);
        check_routes(&c);
    }
    arena_reset(&c.arena);
    return rc < 0 ? rc : c.no_memory ? -ENOMEM : 0;
}
