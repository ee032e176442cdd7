/* A server's counters, shown as metrics.
 *
 * The server counts by itself, on each loop; the sums are asked for when the
 * metrics are printed, so that showing them costs a request nothing. */
#include "web/server_metrics.h"

#include <stddef.h>

#include "obs/metrics.h"

struct shown {
    const char *name, *help;
    const char *label, *value; /* NULL: no label */
    size_t offset;             /* of a uint64_t in the stats */
};

#define STAT(member) offsetof(struct http_server_stats, member)

static const struct shown counters[] = {
    { "weir_http_requests_total", "Requests whose head was complete.", NULL, NULL,
      STAT(requests) },
    { "weir_http_responses_total", "Answers, by class of status.", "class", "1xx",
      STAT(answered[1]) },
    { "weir_http_responses_total", "Answers, by class of status.", "class", "2xx",
      STAT(answered[2]) },
    { "weir_http_responses_total", "Answers, by class of status.", "class", "3xx",
      STAT(answered[3]) },
    { "weir_http_responses_total", "Answers, by class of status.", "class", "4xx",
      STAT(answered[4]) },
    { "weir_http_responses_total", "Answers, by class of status.", "class", "5xx",
      STAT(answered[5]) },
    { "weir_http_unanswered_total", "Requests that could not be answered.", NULL, NULL,
      STAT(answered[0]) },
    { "weir_http_bad_heads_total", "Heads that broke the protocol.", NULL, NULL,
      STAT(bad_heads) },
    { "weir_http_cut_total", "Handlers cancelled at the end of a drain.", NULL, NULL, STAT(cut) },
    { "weir_http_connections_accepted_total", "Connections accepted.", NULL, NULL,
      STAT(accepted) },
    { "weir_http_connections_refused_total", "Connections closed at once.", "reason", "limit",
      STAT(refused_limit) },
    { "weir_http_connections_refused_total", "Connections closed at once.", "reason", "budget",
      STAT(refused_budget) },
    { "weir_http_accept_backoffs_total", "Waits because no descriptor was free.", NULL, NULL,
      STAT(backoffs) },
    { "weir_http_received_bytes_total", "Bytes received.", NULL, NULL, STAT(bytes_in) },
    { "weir_http_sent_bytes_total", "Bytes sent.", NULL, NULL, STAT(bytes_out) },
};

#define COUNTERS (sizeof(counters) / sizeof(counters[0]))

static const struct http_server *_Atomic shown_server;

static double read_counter(void *arg)
{
    const struct shown *shown = arg;
    const struct http_server *server = shown_server;
    struct http_server_stats stats;

    if (!server)
        return 0;
    http_server_stats(server, &stats);
    return (double)*(const uint64_t *)((const char *)&stats + shown->offset);
}

/* arg says which of the two gauges: NULL for connections. */
static double read_gauge(void *arg)
{
    const struct http_server *server = shown_server;
    struct http_server_stats stats;

    if (!server)
        return 0;
    http_server_stats(server, &stats);
    return arg ? stats.in_flight : stats.connections;
}

static void show_counter(const struct shown *shown)
{
    weir_counter *counter = shown->label
                                ? weir_counter_new(shown->name, shown->help,
                                                   .labels = { shown->label })
                                : weir_counter_new(shown->name, shown->help);

    if (shown->label)
        counter = weir_counter_with(counter, weir_str_c(shown->value));
    metrics_read_counter(counter, read_counter, (void *)shown);
}

void server_metrics_show(struct http_server *server)
{
    shown_server = server;
    if (!server)
        return;
    for (size_t i = 0; i < COUNTERS; i++)
        show_counter(&counters[i]);
    metrics_read_gauge(weir_gauge_new("weir_http_connections", "Open connections."), read_gauge,
                       NULL);
    metrics_read_gauge(weir_gauge_new("weir_http_requests_in_flight", "Requests being handled."),
                       read_gauge, (void *)counters);
}
