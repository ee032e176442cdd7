/* A gateway in the making and at work: services, and the routes of an application
 * that call them. */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include <weir/app.h>

#include "base/arena.h"
#include "base/strbuf.h"
#include "gateway/config.h"
#include "gateway/service.h"

/* What is counted about a route. */
struct route_stats {
    const char *path;
    weir_counter *ok, *degraded, *failed;
    weir_histogram *seconds;
};

enum route_end { ROUTE_OK, ROUTE_DEGRADED, ROUTE_FAILED };

/* One service's share of an aggregate. */
struct part {
    struct service *service;
    const char *key;
    weir_str head;        /* "{\"user\":" or ",\"orders\":" */
    weir_str url;         /* absent when it has parameters */
    const char *format;   /* for weir_url_format() */
    const char **params;  /* the names of the parameters in it */
    size_t param_count;
    weir_str fallback;
    bool required;
};

struct aggregate {
    struct route_stats stats;
    struct part *parts;
    size_t part_count;
    uint32_t timeout_ms;
    size_t frame_bytes;   /* of the answer, without the parts' values */
};

struct proxy {
    struct route_stats stats;
    struct service *service;
    uint32_t timeout_ms;  /* for the whole exchange; 0: none */
};

struct gateway {
    struct arena memory;
    struct service *services;
    size_t service_count, route_count;
    weir_gauge *count;    /* asked first whenever the metrics are printed */
};

/* status.c: the members "services" and "routes" of /status; arg is the gateway. */
void gateway_status(struct strbuf *out, void *arg);

/* Make services and routes of a configuration that is in order; app gets the
 * routes. 0 or a code. The configuration is not kept. */
int gateway_new(const struct config *config, weir_app *app, struct gateway **ret_gateway);
/* A weir_fn; in a task, before the first request. */
int gateway_start(void *gateway);
/* When the runtime no longer runs. NULL is fine. */
void gateway_free(struct gateway *gateway);

void route_count(const struct route_stats *stats, enum route_end end, int64_t took_ns);

/* Handlers; the route's data is the aggregate, or the proxy. */
int aggregate_handle(weir_exchange *x);
int proxy_handle(weir_exchange *x);

#endif
