/* From a configuration to services and routes.
 *
 * All that can be worked out before the first request is: an aggregate's keys are
 * JSON text, a target without parameters is a URL, names are pointers. It is
 * constant once the gateway has started, and shared by all loops. */
#include "gateway/gateway.h"

#include <errno.h>
#include <string.h>

#include <weir/error.h>

#include "base/alloc.h"
#include "base/strbuf.h"
#include "gateway/target.h"

/* ---- parts ---------------------------------------------------------------------- */

static const char *keep(struct gateway *g, weir_str text)
{
    return arena_dup(&g->memory, text).ptr;
}

static weir_str part_head(struct gateway *g, weir_str key, bool first)
{
    struct strbuf text = STRBUF_INIT;
    weir_str head;

    strbuf_add_char(&text, first ? '{' : ',');
    strbuf_add_json(&text, key);
    strbuf_add_char(&text, ':');
    head = arena_dup(&g->memory, strbuf_str(&text));
    strbuf_done(&text);
    return head;
}

static int part_target(struct gateway *g, struct part *part, weir_str path)
{
    struct target_fault fault;
    struct target target;

    if (!target_read(path, &target, &fault))
        return -EINVAL;
    part->format = target_format(&g->memory, weir_str_c(part->service->base), path);
    part->params = arena_zalloc(&g->memory, (target.count + 1) * sizeof(*part->params));
    if (!part->format || !part->params)
        return -ENOMEM;
    part->param_count = target.count;
    for (size_t i = 0; i < target.count; i++) {
        part->params[i] = keep(g, target.names[i]);
        if (!part->params[i])
            return -ENOMEM;
    }
    if (target.count == 0)
        part->url = weir_str_c(part->format);
    return 0;
}

static int part_init(struct gateway *g, const struct config *config,
                     const struct config_part_entry *entry, bool first, struct part *part)
{
    const struct config_part *c = &entry->value;

    part->service = &g->services[config_service_index(config, c->service)];
    part->key = keep(g, entry->key);
    part->head = part_head(g, entry->key, first);
    part->fallback = arena_dup(&g->memory, c->fallback.ptr ? c->fallback : WEIR_S("null"));
    part->required = c->required;
    if (!part->key || !part->head.ptr || !part->fallback.ptr)
        return -ENOMEM;
    return part_target(g, part, c->path);
}

/* ---- routes --------------------------------------------------------------------- */

static int stats_init(struct gateway *g, struct route_stats *stats, weir_str path)
{
    weir_counter *requests = weir_counter_new(
        "weir_gateway_route_requests_total", "Requests to routes, by how they went.",
        .labels = { "route", "outcome" }, .max_series = 3 * CONFIG_ROUTES_MAX);
    weir_histogram *seconds = weir_histogram_new(
        "weir_gateway_route_duration_seconds", "How long routes took to answer.",
        .labels = { "route" }, .max_series = CONFIG_ROUTES_MAX);

    stats->path = keep(g, path);
    stats->ok = weir_counter_with(requests, path, WEIR_S("ok"));
    stats->degraded = weir_counter_with(requests, path, WEIR_S("degraded"));
    stats->failed = weir_counter_with(requests, path, WEIR_S("failed"));
    stats->seconds = weir_histogram_with(seconds, path);
    return stats->path ? 0 : -ENOMEM;
}

void route_count(const struct route_stats *stats, enum route_end end, int64_t took_ns)
{
    weir_counter_add(end == ROUTE_OK         ? stats->ok
                     : end == ROUTE_DEGRADED ? stats->degraded
                                             : stats->failed,
                     1);
    weir_histogram_observe_ns(stats->seconds, took_ns);
}

/* A route that does not say may take as long as its slowest service. */
static uint32_t aggregate_timeout(const struct config_route *c, const struct aggregate *a)
{
    uint32_t longest = 0;

    for (size_t i = 0; i < a->part_count; i++) {
        if (a->parts[i].service->timeout_ms > longest)
            longest = a->parts[i].service->timeout_ms;
    }
    return c->timeout_ms ? c->timeout_ms : longest;
}

static int add_aggregate(struct gateway *g, const struct config *config,
                         const struct config_route *c, weir_app *app)
{
    struct aggregate *a = arena_zalloc(&g->memory, sizeof(*a));
    int rc;

    if (!a)
        return -ENOMEM;
    a->part_count = c->aggregate_count;
    a->parts = arena_zalloc(&g->memory, a->part_count * sizeof(*a->parts));
    if (!a->parts)
        return -ENOMEM;
    a->frame_bytes = sizeof("}") - 1;
    for (size_t i = 0; i < a->part_count; i++) {
        rc = part_init(g, config, &c->aggregate[i], i == 0, &a->parts[i]);
        if (rc < 0)
            return rc;
        a->frame_bytes += a->parts[i].head.len;
    }
    a->timeout_ms = aggregate_timeout(c, a);
    rc = stats_init(g, &a->stats, c->path);
    if (rc == 0)
        weir_get(app, a->stats.path, aggregate_handle, .data = a);
    return rc;
}

static int add_proxy(struct gateway *g, const struct config *config, const struct config_route *c,
                     weir_app *app)
{
    struct proxy *p = arena_zalloc(&g->memory, sizeof(*p));
    int rc;

    if (!p)
        return -ENOMEM;
    p->service = &g->services[config_service_index(config, c->proxy->service)];
    p->timeout_ms = c->timeout_ms;
    rc = stats_init(g, &p->stats, c->path);
    if (rc == 0)
        weir_any(app, p->stats.path, proxy_handle, .data = p, .body_max_bytes = WEIR_UNLIMITED);
    return rc;
}

/* ---- the whole ------------------------------------------------------------------- */

/* The metrics are printed in the order that they were made, and this one is made
 * first: so the gauges behind it are true when their turn comes. */
static double refresh(void *arg)
{
    struct gateway *g = arg;

    for (size_t i = 0; i < g->service_count; i++)
        service_refresh(&g->services[i]);
    return (double)g->service_count;
}

static int build(struct gateway *g, const struct config *config, weir_app *app)
{
    int rc = 0;

    for (size_t i = 0; i < config->services_count && rc == 0; i++) {
        g->service_count++;
        rc = service_init(&g->services[i], &config->services[i]);
    }
    for (size_t i = 0; i < config->routes_count && rc == 0; i++) {
        const struct config_route *route = &config->routes[i];

        rc = route->proxy ? add_proxy(g, config, route, app) : add_aggregate(g, config, route, app);
    }
    g->route_count = config->routes_count;
    return rc;
}

int gateway_new(const struct config *config, weir_app *app, struct gateway **ret_gateway)
{
    struct gateway *g = base_calloc(1, sizeof(*g));
    int rc = -ENOMEM;

    if (!g)
        return rc;
    arena_init(&g->memory, NULL);
    g->services = arena_zalloc(&g->memory, config->services_count * sizeof(*g->services));
    g->count = weir_gauge_new("weir_gateway_services", "Services of the gateway.", .read = refresh,
                              .arg = g);
    if (g->services)
        rc = build(g, config, app);
    if (rc < 0) {
        gateway_free(g);
        return rc;
    }
    *ret_gateway = g;
    return 0;
}

int gateway_start(void *gateway)
{
    struct gateway *g = gateway;
    int rc = 0;

    for (size_t i = 0; i < g->service_count && rc == 0; i++)
        rc = service_start(&g->services[i]);
    return rc;
}

void gateway_free(struct gateway *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->service_count; i++)
        service_done(&g->services[i]);
    arena_reset(&g->memory);
    base_free(g);
}
