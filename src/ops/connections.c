/* The HTTP servers and their connections: for the control socket, and as metrics.
 *
 * Each loop is asked for its part of every server; the parts are added up. Of the
 * connections a few are listed: those that their clients hold up, the longest first, then
 * the oldest. */
#include <string.h>

#include <weir/error.h>
#include <weir/log.h>

#include "base/alloc.h"
#include "http/server_look.h"
#include "obs/metrics.h"
#include "ops/ask.h"
#include "ops/connections.h"
#include "ops/control.h"
#include "ops/parts.h"
#include "ops/tasks.h"
#include "rt/loop.h"

#define METRICS_LOOKS (1000 / CHECKS_MS) /* once a second */
#define FULL_LOOKS 2
#define ADDRESSES_MAX 16

static bool look_step(struct loop *loop, void *state)
{
    return server_look_step(loop, state);
}

/* NULL with *ret_rc, as of ask_loop(). */
static struct servers_look *look_at(uint32_t loop, bool output_only, int *ret_rc)
{
    struct servers_look *look = base_calloc(1, sizeof(*look));

    *ret_rc = -ENOMEM;
    if (!look)
        return NULL;
    look->output_only = output_only;
    *ret_rc = ask_loop(loop, look_step, look, NULL, TASKS_ANSWER_MS);
    return *ret_rc == 0 ? look : NULL;
}

/* ---- all loops together ---------------------------------------------------------------- */

struct listed {
    struct server_look_conn conn;
    uint32_t loop;
};

struct whole {
    struct server_look sum; /* its conns are in listed */
    uint32_t count;
    struct listed listed[SERVER_LOOK_CONNS];
};

struct wholes {
    uint32_t count;
    struct whole servers[SERVER_LOOK_SERVERS];
};

static void list_conn(struct whole *whole, const struct server_look_conn *conn, uint32_t loop)
{
    uint32_t at = whole->count < SERVER_LOOK_CONNS ? whole->count++ : SERVER_LOOK_CONNS;

    while (at > 0 && (conn->held_ns > whole->listed[at - 1].conn.held_ns ||
                      (conn->held_ns == whole->listed[at - 1].conn.held_ns &&
                       conn->age_ns > whole->listed[at - 1].conn.age_ns))) {
        if (at < SERVER_LOOK_CONNS)
            whole->listed[at] = whole->listed[at - 1];
        at--;
    }
    if (at < SERVER_LOOK_CONNS)
        whole->listed[at] = (struct listed){ *conn, loop };
}

static void add_stats(struct http_server_stats *sum, const struct http_server_stats *part)
{
    sum->accepted += part->accepted;
    sum->refused_limit += part->refused_limit;
    sum->refused_budget += part->refused_budget;
    sum->backoffs += part->backoffs;
    sum->requests += part->requests;
    sum->connections += part->connections;
    sum->in_flight += part->in_flight;
}

static void add_part(struct wholes *all, const struct server_look *part, uint32_t loop)
{
    struct whole *whole = all->servers;

    while (whole < all->servers + all->count && whole->sum.server != part->server)
        whole++;
    if (whole == all->servers + SERVER_LOOK_SERVERS)
        return;
    if (whole == all->servers + all->count) {
        all->count++;
        whole->sum.server = part->server;
        whole->sum.addr_count = part->addr_count;
        memcpy(whole->sum.addrs, part->addrs, sizeof(part->addrs));
    }
    for (uint32_t i = 0; i < part->addr_count; i++)
        if (part->addrs[i].queue_max)
            whole->sum.addrs[i] = part->addrs[i];
    add_stats(&whole->sum.stats, &part->stats);
    for (uint32_t i = 0; i < SERVER_LOOK_STATES; i++)
        whole->sum.states[i] += part->states[i];
    whole->sum.held += part->held;
    whole->sum.waiting_bytes += part->waiting_bytes;
    if (part->high_bytes > whole->sum.high_bytes)
        whole->sum.high_bytes = part->high_bytes;
    for (uint32_t i = 0; i < part->conn_count; i++)
        list_conn(whole, &part->conns[i], loop);
}

/* How each loop has answered goes to loops, which may be NULL. */
static struct wholes *look_at_all(bool output_only, struct strbuf *loops)
{
    struct wholes *all = base_calloc(1, sizeof(*all));
    int rc;

    for (uint32_t i = 0; all && i < loop_count(); i++) {
        struct servers_look *look = look_at(i, output_only, &rc);

        if (loops && loops->len)
            strbuf_add_char(loops, ',');
        if (loops)
            tasks_add_loop(loops, i, rc);
        for (uint32_t k = 0; look && k < look->count; k++)
            add_part(all, &look->servers[k], i);
        base_free(look);
    }
    return all;
}

/* ---- the control socket -------------------------------------------------------------------- */

static void add_addresses(struct strbuf *out, const struct server_look *server)
{
    for (uint32_t i = 0; i < server->addr_count; i++) {
        strbuf_addf(out, "%s{\"address\":", i ? "," : "");
        strbuf_add_json(out, weir_str_c(server->addrs[i].text));
        if (server->addrs[i].queue_max)
            strbuf_addf(out, ",\"accept_queue\":%u,\"accept_queue_max\":%u",
                        server->addrs[i].queued, server->addrs[i].queue_max);
        strbuf_add_char(out, '}');
    }
}

static void add_conn(struct strbuf *out, const struct listed *listed)
{
    const struct server_look_conn *conn = &listed->conn;

    strbuf_addf(out, "{\"loop\":%u", listed->loop);
    tasks_add_member(out, "peer", conn->peer);
    tasks_add_member(out, "state", server_look_state(conn->state));
    tasks_add_member(out, "version", conn->http2 ? "2" : "1.1");
    if (conn->http2)
        strbuf_addf(out, ",\"streams\":%u", conn->streams);
    strbuf_addf(out, ",\"age_ms\":%.3f,\"requests\":%u,\"waiting_bytes\":%llu",
                (double)conn->age_ns / 1e6, conn->served, (unsigned long long)conn->waiting_bytes);
    if (conn->held_ns)
        strbuf_addf(out, ",\"held_up_ms\":%.3f", (double)conn->held_ns / 1e6);
    if (*conn->route)
        tasks_add_member(out, "route", conn->route);
    strbuf_add_char(out, '}');
}

static void add_server(struct strbuf *out, const struct whole *whole)
{
    const struct http_server_stats *stats = &whole->sum.stats;

    strbuf_add_c(out, "{\"addresses\":[");
    add_addresses(out, &whole->sum);
    strbuf_addf(out, "],\"connections\":%u,\"in_flight\":%u,\"accepted\":%llu", stats->connections,
                stats->in_flight, (unsigned long long)stats->accepted);
    strbuf_addf(out, ",\"refused_limit\":%llu,\"refused_budget\":%llu,\"accept_backoffs\":%llu",
                (unsigned long long)stats->refused_limit, (unsigned long long)stats->refused_budget,
                (unsigned long long)stats->backoffs);
    strbuf_addf(out, ",\"requests\":%llu,\"by_state\":{", (unsigned long long)stats->requests);
    for (uint32_t i = 0; i < SERVER_LOOK_STATES; i++)
        strbuf_addf(out, "%s\"%s\":%u", i ? "," : "", server_look_state(i), whole->sum.states[i]);
    strbuf_addf(out, "},\"held_up\":%u,\"waiting_bytes\":%llu,\"high_bytes\":%u,\"longest\":[",
                whole->sum.held, (unsigned long long)whole->sum.waiting_bytes,
                whole->sum.high_bytes);
    for (uint32_t i = 0; i < whole->count; i++) {
        if (i > 0)
            strbuf_add_char(out, ',');
        add_conn(out, &whole->listed[i]);
    }
    strbuf_add_c(out, "]}");
}

int control_connections(struct strbuf *out, const char *args)
{
    struct strbuf loops = STRBUF_INIT;
    struct wholes *all = look_at_all(false, &loops);

    (void)args;
    strbuf_add_c(out, "{\"servers\":[");
    for (uint32_t i = 0; all && i < all->count; i++) {
        if (i > 0)
            strbuf_add_char(out, ',');
        add_server(out, &all->servers[i]);
    }
    strbuf_add_c(out, "],\"loops\":[");
    strbuf_add(out, strbuf_str(&loops));
    strbuf_add_c(out, "]}");
    strbuf_done(&loops);
    base_free(all);
    return all ? 0 : -ENOMEM;
}

/* ---- metrics ---------------------------------------------------------------------------------- */

static struct {
    uint32_t turn;
    bool made;
    weir_gauge *waiting, *high, *held, *queued, *queued_high, *queue_max;
    struct {
        char address[ADDR_TEXT_BYTES];
        uint32_t high;
        uint32_t full_looks;
    } queues[ADDRESSES_MAX]; /* the checks' thread only */
} metrics;

static void make_metrics(void)
{
    metrics.made = true;
    metrics.waiting = weir_gauge_new("weir_http_write_waiting_bytes",
                                     "Bytes of answers that wait for their clients to read.");
    metrics.high = weir_gauge_new("weir_http_write_high_bytes",
                                  "The most bytes that one connection has had to wait with.");
    metrics.held = weir_gauge_new("weir_http_write_held",
                                  "Connections whose client does not read.");
    metrics.queued = weir_gauge_new("weir_http_accept_queue",
                                    "Connections that wait to be accepted, as seen once a second.",
                                    .labels = { "address" });
    metrics.queued_high = weir_gauge_new(
        "weir_http_accept_queue_high", "The most that have been seen to.", .labels = { "address" });
    metrics.queue_max = weir_gauge_new("weir_http_accept_queue_max",
                                       "How many the kernel lets wait.", .labels = { "address" });
}

/* Full at two looks, a second apart: said once, until it has drained. Loops that are held up
 * do not answer a look: the watchdog tells of them. */
static void tell_full(uint32_t i, const struct http_server_stats *stats, uint32_t queued,
                      uint32_t max)
{
    bool full = max > 0 && queued >= max;

    metrics.queues[i].full_looks = full ? metrics.queues[i].full_looks + 1 : 0;
    if (metrics.queues[i].full_looks != FULL_LOOKS)
        return;
    weir_log(
        WEIR_LOG_WARN, "an accept queue has been full for a second: clients that connect wait",
        WEIR_FIELD("address", (const char *)metrics.queues[i].address),
        WEIR_FIELD("waiting", queued), WEIR_FIELD("queue_max", max),
        WEIR_FIELD("drained_by", loop_count() == 1 ? "the server's loop" : "the server's loops"),
        WEIR_FIELD("connections", stats->connections), WEIR_FIELD("in_flight", stats->in_flight),
        WEIR_FIELD("accepts_put_off", stats->backoffs));
}

static void show_queue(const struct server_look *sum, uint32_t address)
{
    const char *text = sum->addrs[address].text;
    uint32_t queued = sum->addrs[address].queued, max = sum->addrs[address].queue_max, i = 0;
    weir_str label = weir_str_c(text);

    while (i < ADDRESSES_MAX && *metrics.queues[i].address &&
           strcmp(metrics.queues[i].address, text) != 0)
        i++;
    if (i == ADDRESSES_MAX)
        return;
    memcpy(metrics.queues[i].address, text, ADDR_TEXT_BYTES);
    if (queued > metrics.queues[i].high)
        metrics.queues[i].high = queued;
    weir_gauge_set(weir_gauge_with(metrics.queued, label), queued);
    weir_gauge_set(weir_gauge_with(metrics.queued_high, label), metrics.queues[i].high);
    weir_gauge_set(weir_gauge_with(metrics.queue_max, label), max);
    tell_full(i, &sum->stats, queued, max);
}

void connections_check(void)
{
    uint64_t waiting = 0;
    uint32_t high = 0, held = 0;
    struct wholes *all;

    if (metrics.turn++ % METRICS_LOOKS != 0)
        return;
    all = look_at_all(true, NULL);
    if (all && all->count > 0 && !metrics.made)
        make_metrics();
    for (uint32_t i = 0; all && i < all->count; i++) {
        const struct server_look *sum = &all->servers[i].sum;

        waiting += sum->waiting_bytes;
        held += sum->held;
        high = sum->high_bytes > high ? sum->high_bytes : high;
        for (uint32_t k = 0; k < sum->addr_count; k++)
            if (sum->addrs[k].queue_max)
                show_queue(sum, k);
    }
    base_free(all);
    weir_gauge_set(metrics.waiting, (double)waiting);
    weir_gauge_set(metrics.held, held);
    weir_gauge_set(metrics.high, high);
}
