/* What /status says of a gateway: each service with its host, breaker and pool. */
#include "gateway/gateway.h"

#include "base/clock.h"

static void add_text(struct strbuf *out, const char *name, const char *text)
{
    strbuf_addf(out, "\"%s\":", name);
    strbuf_add_json(out, weir_str_c(text));
}

static void add_breaker(struct strbuf *out, const struct service *s)
{
    static const char *const states[] = { "closed", "open", "probing" };
    int64_t since_ns = clock_monotonic_ns() - atomic_load(&s->breaker_since_ns);
    weir_breaker_stats stats;

    weir_breaker_read(s->breaker, &stats);
    strbuf_addf(out, ",\"breaker\":{\"state\":\"%s\",\"for_s\":%.3f,\"failures\":%u",
                states[stats.state], (double)since_ns / 1e9, stats.failures);
    strbuf_addf(out, ",\"retry_ms\":%lld,\"opened\":%llu,\"refused\":%llu,\"probes\":%llu}",
                (long long)stats.retry_ms, (unsigned long long)stats.opened,
                (unsigned long long)stats.refused, (unsigned long long)stats.probes);
}

static void add_pool(struct strbuf *out, const struct service *s)
{
    weir_pool_stats stats;

    if (!s->pool)
        return;
    weir_pool_read(s->pool, &stats);
    strbuf_addf(out, ",\"pool\":{\"max\":%u,\"held\":%u,\"idle\":%u,\"waiting\":%.0f", stats.max,
                stats.held, stats.idle, weir_gauge_value(s->waiting));
    strbuf_addf(out, ",\"oldest_ms\":%lld,\"acquired\":%llu,\"reused\":%llu,\"failed\":%llu}",
                (long long)stats.oldest_ms, (unsigned long long)stats.acquired,
                (unsigned long long)stats.reused, (unsigned long long)stats.failed);
}

static void add_service(struct strbuf *out, struct service *s)
{
    service_refresh(s);
    strbuf_add_char(out, '{');
    add_text(out, "name", s->name);
    strbuf_add_char(out, ',');
    add_text(out, "host", s->base);
    strbuf_addf(out, ",\"timeout_ms\":%u", s->timeout_ms);
    add_breaker(out, s);
    add_pool(out, s);
    strbuf_add_char(out, '}');
}

void gateway_status(struct strbuf *out, void *arg)
{
    struct gateway *g = arg;

    strbuf_addf(out, ",\"routes\":%zu,\"services\":[", g->route_count);
    for (size_t i = 0; i < g->service_count; i++) {
        if (i > 0)
            strbuf_add_char(out, ',');
        add_service(out, &g->services[i]);
    }
    strbuf_add_char(out, ']');
}
