/* Services: what stands between a route and a connection.
 *
 * Each has a client of its own, so that its pool's bound is its own. An outcome is
 * decided once, from the code or the status, and everything follows from the
 * table here: what is counted, what the breaker is told, what the client gets.
 *
 * Thread: any loop; what changes is atomic, or the library's. */
#include "gateway/service.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <weir/error.h>
#include <weir/log.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "net/addr.h"

#define ANSWER_BYTES_MAX (4u << 20) /* of a part, in memory */

static const struct {
    const char *name;
    int status;
    int tell; /* the breaker: 0 it works, -ECANCELED nothing, else it failed */
    const char *cause;
} outcomes[OUTCOME_COUNT] = {
    [OUTCOME_NONE] = { "none", 502, -ECANCELED, "did not answer" },
    [OUTCOME_OK] = { "ok", 200, 0, "answered" },
    [OUTCOME_CLIENT_ERROR] = { "client_error", 502, 0, NULL },
    [OUTCOME_SERVER_ERROR] = { "server_error", 502, WEIR_ESTATUS, NULL },
    [OUTCOME_BAD_ANSWER] = { "bad_answer", 502, WEIR_EBODY, "sent an answer that can't be used" },
    [OUTCOME_UNREACHABLE] = { "unreachable", 502, -ECONNREFUSED, "can't be reached" },
    [OUTCOME_TLS] = { "tls", 502, WEIR_ETLS,
                      "could not be reached by TLS; the gateway's log says why" },
    [OUTCOME_LOST] = { "lost", 502, -ECONNRESET, "broke off the connection" },
    [OUTCOME_TIMEOUT] = { "timeout", 504, -ETIMEDOUT, NULL },
    [OUTCOME_BREAKER] = { "breaker_open", 503, -ECANCELED,
                          "is not asked at the moment: it failed too often (its breaker is open)" },
    [OUTCOME_FULL] = { "pool_full", 503, -ECANCELED, "has too many calls waiting already" },
    [OUTCOME_CANCELLED] = { "cancelled", 503, -ECANCELED, "was not waited for" },
    [OUTCOME_NO_RESOURCES] = { "no_resources", 503, -ECANCELED,
                               "could not be asked: the gateway is out of resources" },
    [OUTCOME_NOT_SENT] = { "not_sent", 400, -ECANCELED, "was not asked" },
};

/* ---- outcomes ------------------------------------------------------------------- */

enum outcome outcome_of_code(int rc)
{
    if (rc >= 0)
        return OUTCOME_OK;
    switch (rc) {
    case -ETIMEDOUT:
    case WEIR_EPEERTIMEOUT: return OUTCOME_TIMEOUT;
    case -ECANCELED:
    case WEIR_EGONE: return OUTCOME_CANCELLED;
    case -ECONNRESET:
    case -EPIPE:
    case -ECONNABORTED:
    case WEIR_ETRUNCATED: return OUTCOME_LOST;
    case WEIR_ETLS: return OUTCOME_TLS;
    case WEIR_EBREAKER: return OUTCOME_BREAKER;
    case WEIR_EFULL: return OUTCOME_FULL;
    case WEIR_EHEADSIZE:
    case WEIR_EBODYSIZE:
    case WEIR_EJSON: return OUTCOME_BAD_ANSWER;
    default: break;
    }
    switch (weir_error_category(rc)) {
    case WEIR_CATEGORY_PROTOCOL: return OUTCOME_BAD_ANSWER;
    case WEIR_CATEGORY_LIMIT: return OUTCOME_NO_RESOURCES;
    default: return OUTCOME_UNREACHABLE;
    }
}

enum outcome outcome_of_status(int status)
{
    return status >= 500   ? OUTCOME_SERVER_ERROR
           : status >= 400 ? OUTCOME_CLIENT_ERROR
           : status >= 300 ? OUTCOME_BAD_ANSWER
                           : OUTCOME_OK;
}

int outcome_status(enum outcome outcome)
{
    return outcomes[outcome].status;
}

const char *outcome_name(enum outcome outcome)
{
    return outcomes[outcome].name;
}

const char *outcome_cause(enum outcome outcome, int status, uint32_t timeout_ms,
                          char text[static CAUSE_BYTES])
{
    if (outcome == OUTCOME_TIMEOUT)
        snprintf(text, CAUSE_BYTES, "gave no answer within %u ms", timeout_ms);
    else if (status >= 300)
        snprintf(text, CAUSE_BYTES, "answered %d", status);
    else
        return outcomes[outcome].cause;
    return text;
}

int service_problem(weir_exchange *x, enum outcome outcome, const char *what)
{
    int status = outcome_status(outcome), rc = 0;

    if (status == 503)
        rc = weir_set_header(x, "Retry-After", WEIR_S("1"));
    return rc < 0 ? rc : weir_problem(x, status, "%s", what);
}

/* ---- life ----------------------------------------------------------------------- */

static char *keep(weir_str text)
{
    char *copy = base_malloc(text.len + 1);

    if (!copy)
        return NULL;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return copy;
}

/* What paths are put behind: the path of a unix socket ends with a colon. */
static char *keep_base(weir_str url)
{
    bool is_unix = addr_text_is_unix(url);
    char *base = keep(url);
    char *longer = base && is_unix ? base_realloc(base, url.len + 2) : base;

    if (!longer) {
        base_free(base);
        return NULL;
    }
    if (is_unix)
        memcpy(longer + url.len, ":", 2);
    return longer;
}

static void make_metrics(struct service *s)
{
    weir_str name = weir_str_c(s->name);
    weir_counter *requests = weir_counter_new(
        "weir_gateway_service_requests_total", "Calls to services, by how they went.",
        .labels = { "service", "outcome" }, .max_series = CONFIG_SERVICES_MAX * OUTCOME_COUNT);
    weir_histogram *seconds = weir_histogram_new("weir_gateway_service_duration_seconds",
                                                 "How long calls to services took.",
                                                 .labels = { "service" });
    weir_gauge *breaker = weir_gauge_new(
        "weir_gateway_breaker_state", "0: closed, 1: open, 2: probing.", .labels = { "service" });
    weir_gauge *held = weir_gauge_new("weir_gateway_pool_held", "Connections in use.",
                                      .labels = { "service" });
    weir_gauge *idle = weir_gauge_new("weir_gateway_pool_idle", "Connections kept.",
                                      .labels = { "service" });
    weir_gauge *waiting = weir_gauge_new(
        "weir_gateway_pool_waiting", "Calls that wait for a connection.", .labels = { "service" });

    for (int i = OUTCOME_OK; i < OUTCOME_COUNT; i++)
        s->requests[i] = weir_counter_with(requests, name, weir_str_c(outcomes[i].name));
    s->seconds = weir_histogram_with(seconds, name);
    s->breaker_gauge = weir_gauge_with(breaker, name);
    s->held = weir_gauge_with(held, name);
    s->idle = weir_gauge_with(idle, name);
    s->waiting = weir_gauge_with(waiting, name);
}

/* Less than a call's time, so that a service that takes no connection is told from
 * a call that had none free until its time was over. */
static uint32_t connect_timeout(uint32_t timeout_ms)
{
    return timeout_ms - timeout_ms / 8;
}

int service_init(struct service *service, const struct config_service_entry *config)
{
    const struct config_service *c = &config->value;
    weir_str url = c->url;

    if (url.ptr[url.len - 1] == '/')
        url.len--;
    service->config = c;
    service->name = keep(config->key);
    service->base = keep_base(url);
    if (!service->name || !service->base)
        return -ENOMEM;
    service->timeout_ms = c->timeout_ms;
    make_metrics(service);
    return weir_breaker_new(&service->breaker, .name = service->name,
                            .failures = c->breaker.failures, .cooldown_ms = c->breaker.cooldown_ms,
                            .probe_ms = 2 * c->timeout_ms + 1000);
}

void service_done(struct service *service)
{
    weir_breaker_free(service->breaker);
    weir_client_free(service->client);
    base_free(service->name);
    base_free(service->base);
}

static int make_client(struct service *service)
{
    const struct config_service *c = service->config;
    weir_tls_client_opts tls = { .size = sizeof(tls), .watch = true };

    if (c->tls) {
        tls.ca = c->tls->ca.ptr;
        tls.name = c->tls->name.ptr;
        tls.certificate.certificate = c->tls->certificate.ptr;
        tls.certificate.key = c->tls->key.ptr;
    }
    return weir_client_new(
        &service->client, .name = service->name, .max_connections = c->max_connections,
        .connect_timeout_ms = connect_timeout(c->timeout_ms), .max_body_bytes = ANSWER_BYTES_MAX,
        .unix_sockets = true, .http2 = (weir_http2)c->http2, .tls = c->tls ? &tls : NULL);
}

int service_start(struct service *service)
{
    int rc = make_client(service);

    if (rc < 0)
        return weir_wrap(rc, "service `%s`", service->name);
    rc = weir_client_pool(service->client, weir_str_c(service->base), &service->pool);
    atomic_store(&service->breaker_since_ns, clock_monotonic_ns());
    if (rc == 0)
        service->permits = weir_pool_permits(service->pool);
    return rc;
}

/* ---- the breaker ------------------------------------------------------------------ */

/* Tell when the state has changed: in the gauge, and in a line of the log. */
static void refresh_breaker(struct service *service)
{
    weir_breaker_stats stats;
    int before;

    weir_breaker_read(service->breaker, &stats);
    before = atomic_exchange(&service->breaker_seen, (int)stats.state);
    weir_gauge_set(service->breaker_gauge, (double)stats.state);
    if (before == (int)stats.state)
        return;
    atomic_store(&service->breaker_since_ns, clock_monotonic_ns());
    if (stats.state == WEIR_BREAKER_OPEN)
        weir_log(WEIR_LOG_WARN, "a service's breaker is open", WEIR_FIELD("service", service->name),
                 WEIR_FIELD("failures", stats.failures), WEIR_FIELD("retry_ms", stats.retry_ms));
    else if (stats.state == WEIR_BREAKER_PROBING)
        weir_log(WEIR_LOG_INFO, "a service is tried again", WEIR_FIELD("service", service->name));
    else
        weir_log(WEIR_LOG_INFO, "a service's breaker is closed: it answers again",
                 WEIR_FIELD("service", service->name));
}

void service_refresh(struct service *service)
{
    weir_pool_stats stats;

    refresh_breaker(service);
    if (!service->pool)
        return;
    weir_pool_read(service->pool, &stats);
    weir_gauge_set(service->held, stats.held);
    weir_gauge_set(service->idle, stats.idle);
}

enum outcome service_enter(struct service *service, weir_ticket *ret_ticket)
{
    int rc = weir_breaker_enter(service->breaker, ret_ticket);

    if (rc == 0 &&
        atomic_load_explicit(&service->breaker_seen, memory_order_relaxed) == WEIR_BREAKER_CLOSED)
        return OUTCOME_NONE;
    refresh_breaker(service);
    if (rc == 0)
        return OUTCOME_NONE;
    weir_recover();
    return OUTCOME_BREAKER;
}

void service_leave(struct service *service, weir_ticket *ticket, enum outcome outcome, bool fair)
{
    int tell = outcomes[outcome].tell;

    if (outcome == OUTCOME_TIMEOUT && !fair)
        tell = -ECANCELED;
    weir_breaker_leave(ticket, tell);
    if (tell != 0 ||
        atomic_load_explicit(&service->breaker_seen, memory_order_relaxed) != WEIR_BREAKER_CLOSED)
        refresh_breaker(service);
}

void service_count(struct service *service, enum outcome outcome, int64_t took_ns)
{
    weir_counter_add(service->requests[outcome], 1);
    if (took_ns >= 0)
        weir_histogram_observe_ns(service->seconds, took_ns);
}
