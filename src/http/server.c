/* The server as a whole: started on every loop, stopped, drained.
 *
 * Whoever starts it (the owner's loop) posts one message to each loop and waits
 * until all have answered; the same at the end. Between the two nothing is shared
 * but the options, which do not change, the counters, and the flag that says that
 * an end has begun.
 *
 * A loop's end: listeners stop (having taken what waits); answers say "Connection:
 * close"; connections that stay idle are closed after drain_idle_ms; after
 * drain_ms handlers are cancelled; a second later what is left is cut. When no
 * connection, exchange or listener is left, the loop says so; the last one tells
 * the owner.
 *
 * A connection that another loop hands over counts among this one's load from before
 * it is sent, so that a loop does not end while one is on its way: who sends marks it,
 * then looks once more whether the end has begun; the end begins first, and then looks
 * for marks.
 *
 * Invariants: a gather's left counts the answers that are still to come; a loop
 * touches nothing of the server once it has given its last. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include <weir/log.h>

#include "base/alloc.h"
#include "http/h1_wire.h"
#include "http/h2_conn.h"
#include "http/server_look.h"
#include "http/server_loop.h"
#include "net/tls_context.h"
#include "obs/metrics_threads.h"

#define CUT_NS (INT64_C(1) * 1000000000) /* from the handlers' cancel to the end */
/* What a connection is reckoned at when it is let in: a buffer and its struct. */
#define CONNECTION_BYTES (BUF_BYTES + sizeof(struct h1_conn))
#define TLS_BYTES (48u << 10) /* while its handshake runs */

/* An answer awaited from each loop. */
struct gather {
    atomic_uint left;
    struct loop *owner;
    struct message message; /* to the owner: all have answered */
    struct wait *waiter;    /* the owner's loop only, as done */
    bool done;
};

struct http_server {
    struct http_server_opts opts;
    struct addr addrs[HTTP_SERVER_ADDRS_MAX];
    struct listen_socket sockets[HTTP_SERVER_ADDRS_MAX];
    struct server_metrics metrics;
    struct server_loop **loops;
    uint32_t loop_count;
    atomic_bool stopping;
    atomic_bool cutting;
    atomic_bool was_cut;
    _Atomic int start_rc;
    /* Who may still accept: each listener, and the start until it is over. The
     * last one closes the sockets, so that what comes then is refused at once. */
    atomic_uint accepting;
    struct gather start, end;
};

/* ---- the date ------------------------------------------------------------------------------- */

const char *server_loop_date(struct server_loop *home)
{
    int64_t now_ns = loop_now_ns(home->loop), wall_ns;
    weir_str text;

    if (now_ns < home->date_until_ns)
        return home->date_field;
    wall_ns = loop_wall_ns(home->loop);
    text = http_date_at(&home->date, wall_ns / 1000000000);
    memcpy(home->date_field, "Date: ", 6);
    memcpy(home->date_field + 6, text.ptr, text.len);
    memcpy(home->date_field + 6 + text.len, "\r\n", 2);
    home->date_until_ns = now_ns + 1000000000 - wall_ns % 1000000000;
    return home->date_field;
}

/* ---- answers of all loops ---------------------------------------------------------------------- */

static void all_answered(struct message *message)
{
    struct gather *gather = container_of(message, struct gather, message);
    struct wait *waiter = gather->waiter;

    gather->done = true;
    gather->waiter = NULL;
    if (waiter)
        wait_wake(waiter, 0);
}

static void gather_init(struct gather *gather, uint32_t answers)
{
    gather->owner = loop_self();
    gather->message.run = all_answered;
    atomic_init(&gather->left, answers);
}

static void gather_answer(struct gather *gather)
{
    struct loop *owner = gather->owner;

    if (atomic_fetch_sub(&gather->left, 1) == 1)
        loop_post(owner, &gather->message);
}

/* More answers are to come; false when all have come already. */
static bool gather_more(struct gather *gather, uint32_t answers)
{
    unsigned left = atomic_load(&gather->left);

    do {
        if (left == 0)
            return false;
    } while (!atomic_compare_exchange_weak(&gather->left, &left, left + answers));
    return true;
}

/* Wait for all answers; nothing ends this but they. */
static void gather_wait(struct gather *gather, void (*abandon)(struct wait *wait, int code),
                        const void *object)
{
    struct wait wait = { .abandon = abandon, .what = "the server's loops", .object = object };

    if (gather->done)
        return;
    gather->waiter = &wait;
    WEIR_IGNORE(rt_park(&wait), "the answers carry no code");
}

/* ---- a loop's end -------------------------------------------------------------------------------- */

void server_loop_settle(struct server_loop *home)
{
    if (!home->draining || home->finished || home->listening > 0 || home->connection_count > 0 ||
        home->exchange_count > 0 || !list_empty(&home->closed) || atomic_load(&home->load) > 0)
        return;
    home->finished = true;
    server_look_leave(home);
    timer_clear(home->loop, &home->drain_timer);
    timer_clear(home->loop, &home->idle_timer);
    list_remove(&home->stop_hook.link);
    loop_undefer(&home->reaper);
    gather_answer(&home->server->end);
}

static void reap(struct deferred *work)
{
    struct server_loop *home = container_of(work, struct server_loop, reaper);
    struct node *n;

    while ((n = list_pop(&home->closed)) != NULL) {
        struct h1_conn *c = container_of(n, struct h1_conn, link);

        if (c->h2)
            slab_free(&home->h2_conns, c->h2);
        slab_free(&home->conns, c);
    }
    server_loop_settle(home);
}

static void count_listeners(struct server_loop *home)
{
    struct listener_stats sum = { 0 };

    for (uint32_t i = 0; i < home->opts->addr_count; i++) {
        const struct listener_stats *stats = &home->listeners[i].stats;

        sum.accepted += stats->accepted;
        sum.refused_limit += stats->refused_limit;
        sum.refused_budget += stats->refused_budget;
        sum.backoffs += stats->backoffs;
    }
    atomic_store_explicit(&home->counts.accepted, sum.accepted, memory_order_relaxed);
    atomic_store_explicit(&home->counts.refused_limit, sum.refused_limit, memory_order_relaxed);
    atomic_store_explicit(&home->counts.refused_budget, sum.refused_budget, memory_order_relaxed);
    atomic_store_explicit(&home->counts.backoffs, sum.backoffs, memory_order_relaxed);
}

static void accepting_over(struct http_server *server)
{
    if (atomic_fetch_sub(&server->accepting, 1) != 1)
        return;
    for (uint32_t i = 0; i < server->opts.addr_count; i++)
        listen_socket_close(&server->sockets[i]);
}

static void listener_stopped(struct listener *listener)
{
    struct server_loop *home = listener->opts.arg;

    home->listening--;
    accepting_over(home->server);
    server_loop_settle(home);
}

static void cancel_handlers(struct server_loop *home)
{
    list_each_safe(n, &home->exchanges) {
        weir_exchange *x = container_of(n, weir_exchange, link);

        if (!x->running || x->cut)
            continue;
        x->cut = true;
        atomic_store(&home->server->was_cut, true);
        count_add(&home->counts.cut, 1);
        rt_cancel(x->scope, WEIR_REASON_SHUTDOWN, "the server's end");
    }
}

/* Handlers are cancelled; then, a second later, everything is, and with it the
 * handlers that have begun since. */
static void cut(struct server_loop *home)
{
    cancel_handlers(home);
    if (!home->cut) {
        home->cut = true;
        timer_set(home->loop, &home->drain_timer, loop_now_ns(home->loop) + CUT_NS);
        return;
    }
    list_each_safe(n, &home->open)
        h1_abort(container_of(n, struct h1_conn, link));
}

static void drain_over(struct timer *timer)
{
    cut(container_of(timer, struct server_loop, drain_timer));
}

static void idle_over(struct timer *timer)
{
    struct server_loop *home = container_of(timer, struct server_loop, idle_timer);

    list_each_safe(n, &home->open)
        h1_close_idle(container_of(n, struct h1_conn, link));
}

static void loop_drain(struct server_loop *home)
{
    int64_t now_ns = loop_now_ns(home->loop);

    if (home->draining)
        return;
    home->draining = true;
    timer_set(home->loop, &home->drain_timer, now_ns + (int64_t)home->opts->drain_ms * 1000000);
    timer_set(home->loop, &home->idle_timer, now_ns + (int64_t)home->opts->drain_idle_ms * 1000000);
    home->listening++; /* so that the last one does not settle it from within */
    for (uint32_t i = 0; i < home->started; i++)
        listener_stop(&home->listeners[i], listener_stopped);
    home->listening--;
    list_each_safe(n, &home->open) {
        struct h1_conn *c = container_of(n, struct h1_conn, link);

        if (c->state == H1_HTTP2)
            h2_drain(c->h2);
    }
    server_loop_settle(home);
}

static void stop_here(struct message *message)
{
    loop_drain(container_of(message, struct server_loop, stop_message));
}

static void cut_here(struct message *message)
{
    struct server_loop *home = container_of(message, struct server_loop, cut_message);

    if (!home->finished)
        cut(home);
    gather_answer(&home->server->end);
}

/* The application's scope is stopped. This loop's own message comes as well. */
static void app_stops(struct stop_hook *hook)
{
    struct server_loop *home = container_of(hook, struct server_loop, stop_hook);

    http_server_stop(home->server);
}

/* ---- which loop a connection goes to -------------------------------------------------------- */

/* The kernel wakes one loop for a burst of connections, and that one accepts them
 * all. So a fresh connection goes to the loop that has fewest, when this one has
 * clearly more: it is handed over as a number, before anything was read. */
struct handover {
    struct message message;
    struct server_loop *to;
    int fd;
};

static void take_over(struct message *message)
{
    struct handover *handover = container_of(message, struct handover, message);
    struct server_loop *home = handover->to;

    atomic_fetch_sub(&home->load, 1);
    h1_accepted(home, handover->fd); /* also when a stop came between */
    base_free(handover);
    server_loop_settle(home);
    gather_answer(&home->server->end);
}

static struct server_loop *least_loaded(struct server_loop *home)
{
    struct http_server *server = home->server;
    uint32_t own = atomic_load_explicit(&home->load, memory_order_relaxed), least = own;
    struct server_loop *best = home;

    for (uint32_t i = 0; i < server->loop_count; i++) {
        uint32_t load = atomic_load_explicit(&server->loops[i]->load, memory_order_relaxed);

        if (load < least) {
            least = load;
            best = server->loops[i];
        }
    }
    return own > least + 1 + least / 8 ? best : home;
}

/* False when it stays here. */
static bool hand_over(struct server_loop *home, int fd)
{
    struct http_server *server = home->server;
    struct server_loop *to;
    struct handover *handover;

    if (server->loop_count == 1 || atomic_load(&server->start.left) > 0 ||
        http_server_stopping(server))
        return false;
    to = least_loaded(home);
    handover = to != home ? base_malloc(sizeof(*handover)) : NULL;
    if (!handover)
        return false;
    atomic_fetch_add(&to->load, 1);
    /* This loop's own answer is still to come, so the server will be there. */
    if (atomic_load(&server->stopping) || !gather_more(&server->end, 1)) {
        atomic_fetch_sub(&to->load, 1);
        base_free(handover);
        return false;
    }
    *handover = (struct handover){ .message.run = take_over, .to = to, .fd = fd };
    loop_post(to->loop, &handover->message);
    return true;
}

/* ---- a loop's beginning --------------------------------------------------------------------------- */

static void accepted(struct listener *listener, int fd)
{
    struct server_loop *home = listener->opts.arg;

    if (!hand_over(home, fd))
        h1_accepted(home, fd);
    count_listeners(home);
}

static void listener_changed(struct listener *listener)
{
    struct server_loop *home = listener->opts.arg;
    struct server_counts *counts = &home->counts;
    uint64_t before = counts->refused_limit + counts->refused_budget;

    count_listeners(home);
    weir_counter_add(home->metrics->refused,
                     counts->refused_limit + counts->refused_budget - before);
}

static int start_listeners(struct server_loop *home)
{
    struct http_server *server = home->server;
    struct listener_opts opts = { .accepted = accepted,
                                  .changed = listener_changed,
                                  .arg = home,
                                  .connections = &home->connection_count,
                                  .connections_max = home->connections_max,
                                  .connection_bytes = CONNECTION_BYTES +
                                                      (server->opts.tls ? TLS_BYTES : 0) };

    for (uint32_t i = 0; i < server->opts.addr_count; i++) {
        int rc = listener_start(&home->listeners[i], &server->sockets[i], &opts);

        if (rc < 0)
            return rc;
        home->started++;
        home->listening++;
        atomic_fetch_add(&server->accepting, 1);
    }
    return 0;
}

static void start_here(struct message *message)
{
    struct server_loop *home = container_of(message, struct server_loop, start_message);
    struct http_server *server = home->server;
    int rc;

    home->loop = loop_self();
    slab_init(&home->conns, sizeof(struct h1_conn), BUDGET_CONNECTION);
    slab_init(&home->works, sizeof(struct h1_work), BUDGET_CONNECTION);
    slab_init(&home->h2_conns, sizeof(struct h2_conn), BUDGET_CONNECTION);
    slab_init(&home->h2_segs, sizeof(struct h2_seg), BUDGET_CONNECTION);
    list_init(&home->open);
    list_init(&home->closed);
    list_init(&home->exchanges);
    deferred_init(&home->reaper, reap);
    timer_init(&home->drain_timer, drain_over);
    timer_init(&home->idle_timer, idle_over);
    home->stop_hook.stop = app_stops;
    loop_on_stop(home->loop, &home->stop_hook);
    server_look_enter(home);
    rc = start_listeners(home);
    if (rc < 0)
        atomic_store(&server->start_rc, rc);
    gather_answer(&server->start);
}

/* ---- the whole ---------------------------------------------------------------------------------------- */

static uint32_t or_default(uint32_t given, uint32_t unset)
{
    return given ? given : unset;
}

static void fill_defaults(struct http_server_opts *o)
{
    o->backlog = or_default(o->backlog, 4096);
    o->body_max_bytes = o->body_max_bytes ? o->body_max_bytes : 1u << 20;
    o->connections_max = or_default(o->connections_max, 100000);
    o->head_ms = or_default(o->head_ms, 10000);
    o->idle_ms = or_default(o->idle_ms, 60000);
    o->body_window_ms = or_default(o->body_window_ms, 10000);
    o->body_rate_bytes = or_default(o->body_rate_bytes, 16384);
    o->write_stall_ms = or_default(o->write_stall_ms, 10000);
    o->linger_ms = or_default(o->linger_ms, 1000);
    o->linger_bytes = or_default(o->linger_bytes, 65536);
    o->drain_ms = or_default(o->drain_ms, 10000);
    o->drain_idle_ms = or_default(o->drain_idle_ms, 500);
    o->limits.head_bytes = or_default(o->limits.head_bytes, HTTP_HEAD_BYTES);
}

static weir_counter *requests_by(const char *class, const char *version)
{
    static const char help[] = "Requests that have ended, by the class of their status and the "
                               "version of HTTP.";
    weir_counter *all = weir_counter_new("weir_http_requests_total", help,
                                         .labels = { "status_class", "version" });

    return weir_counter_with(all, weir_str_c(class), weir_str_c(version));
}

/* Metrics that could not be made are NULL, and count nothing. */
static void make_metrics(struct server_metrics *m)
{
    static const char *const classes[6] = { "none", "1xx", "2xx", "3xx", "4xx", "5xx" };
    static const double held_bounds[] = { 0.01, 0.05, 0.25, 1, 5, 10, 30 };

    for (size_t i = 0; i < 6; i++) {
        m->requests[0][i] = requests_by(classes[i], h1_wire.version);
        m->requests[1][i] = requests_by(classes[i], h2_wire.version);
    }
    m->bytes_in = weir_counter_new("weir_http_received_bytes_total", "Bytes from clients.");
    m->bytes_out = weir_counter_new("weir_http_sent_bytes_total", "Bytes to clients.");
    m->connections_total = weir_counter_new("weir_http_connections_total",
                                            "Connections that were accepted.");
    m->refused = weir_counter_new("weir_http_connections_refused_total",
                                  "Connections closed at once: over a limit or the byte budget.");
    m->handshakes_failed = weir_counter_new("weir_tls_handshakes_failed_total",
                                            "Connections of clients that ended before their TLS "
                                            "handshake was over.");
    m->connections = weir_gauge_new("weir_http_connections", "Connections that are open.");
    m->in_flight = weir_gauge_new("weir_http_requests_in_flight", "Requests being served.");
    m->write_held = weir_histogram_new("weir_http_write_held_seconds",
                                       "How long answers had to wait for a client that does not "
                                       "read; shorter waits than a millisecond are left out.",
                                       .buckets = held_bounds,
                                       .bucket_count = sizeof(held_bounds) / sizeof(*held_bounds));
    weir_recover();
    metrics_threads_add(); /* the handlers' blocking calls */
}

static int check_opts(const struct http_server_opts *opts)
{
    if (opts->addr_count == 0 || opts->addr_count > HTTP_SERVER_ADDRS_MAX)
        return weir_fail(-EINVAL, "a server listens at 1 to %d addresses, not at %u",
                         HTTP_SERVER_ADDRS_MAX, opts->addr_count);
    if (opts->limits.head_bytes > UINT16_MAX)
        return weir_fail(-EINVAL, "the limit of a head is %u bytes: at most %d can be had",
                         opts->limits.head_bytes, UINT16_MAX);
    return 0;
}

static int alloc_loops(struct http_server *server)
{
    uint32_t share;

    server->loops = base_calloc(server->loop_count, sizeof(struct server_loop *));
    if (!server->loops)
        return -ENOMEM;
    /* Rounded up; a loop may be busier than the others. */
    share = (server->opts.connections_max + server->loop_count - 1) / server->loop_count;
    for (uint32_t i = 0; i < server->loop_count; i++) {
        struct server_loop *home = base_aligned(64, sizeof(*home));

        if (!home)
            return -ENOMEM;
        memset(home, 0, sizeof(*home));
        home->server = server;
        home->opts = &server->opts;
        home->metrics = &server->metrics;
        home->connections_max = share;
        home->start_message.run = start_here;
        home->stop_message.run = stop_here; /* one loop's stop may come before another's start */
        home->cut_message.run = cut_here;
        server->loops[i] = home;
    }
    return 0;
}

static int open_sockets(struct http_server *server)
{
    struct io_listen_opts how = { .backlog = (int)server->opts.backlog };

    for (uint32_t i = 0; i < server->opts.addr_count; i++) {
        int rc = listen_socket_open(&server->addrs[i], &how, &server->sockets[i]);

        if (rc < 0)
            return rc;
    }
    return 0;
}

static struct http_server *server_new(const struct http_server_opts *opts)
{
    struct http_server *server = base_calloc(1, sizeof(*server));

    if (!server)
        return NULL;
    server->opts = *opts;
    if (opts->tls)
        tls_context_ref(opts->tls);
    memcpy(server->addrs, opts->addrs, opts->addr_count * sizeof(*opts->addrs));
    server->opts.addrs = server->addrs;
    fill_defaults(&server->opts);
    server->loop_count = loop_count();
    atomic_init(&server->accepting, 1);
    gather_init(&server->start, server->loop_count);
    gather_init(&server->end, server->loop_count);
    for (uint32_t i = 0; i < HTTP_SERVER_ADDRS_MAX; i++)
        server->sockets[i].fd = -1;
    return server;
}

int http_server_start(const struct http_server_opts *opts, struct http_server **ret_server)
{
    struct http_server *server;
    int rc = rt_check();

    if (rc == 0)
        rc = check_opts(opts);
    if (rc < 0)
        return rc;
    server = server_new(opts);
    if (!server)
        return -ENOMEM;
    rc = alloc_loops(server);
    if (rc == 0)
        rc = open_sockets(server);
    if (rc < 0) {
        http_server_free(server);
        return rc;
    }
    make_metrics(&server->metrics);
    for (uint32_t i = 0; i < server->loop_count; i++)
        loop_post(loop_at(i), &server->loops[i]->start_message);
    gather_wait(&server->start, NULL, server);
    accepting_over(server);
    rc = atomic_load(&server->start_rc);
    if (rc < 0) {
        http_server_stop(server);
        gather_wait(&server->end, NULL, server);
        http_server_free(server);
        return weir_fail(rc, "a loop can't wait at the server's addresses: %s",
                         weir_error_text(rc));
    }
    *ret_server = server;
    return 0;
}

const struct addr *http_server_addr(const struct http_server *server, uint32_t index)
{
    return index < server->opts.addr_count ? &server->sockets[index].addr : NULL;
}

int http_server_fd(const struct http_server *server, uint32_t index)
{
    return server->sockets[index].fd;
}

void http_server_stop(struct http_server *server)
{
    if (atomic_exchange(&server->stopping, true))
        return;
    for (uint32_t i = 0; i < server->loop_count; i++)
        loop_post(loop_at(i), &server->loops[i]->stop_message);
}

bool http_server_stopping(const struct http_server *server)
{
    return atomic_load_explicit(&server->stopping, memory_order_relaxed);
}

static void cut_all(struct http_server *server)
{
    http_server_stop(server);
    if (atomic_exchange(&server->cutting, true) || !gather_more(&server->end, server->loop_count))
        return;
    for (uint32_t i = 0; i < server->loop_count; i++)
        loop_post(loop_at(i), &server->loops[i]->cut_message);
}

static void wait_abandon(struct wait *wait, int code)
{
    (void)code;
    cut_all((struct http_server *)wait->object);
}

int http_server_wait(struct http_server *server)
{
    if (!server->end.done && rt_check() < 0)
        cut_all(server);
    gather_wait(&server->end, wait_abandon, server);
    return atomic_load(&server->was_cut) ? -ETIMEDOUT : 0;
}

void http_server_free(struct http_server *server)
{
    if (!server)
        return;
    for (uint32_t i = 0; i < HTTP_SERVER_ADDRS_MAX; i++)
        listen_socket_close(&server->sockets[i]);
    for (uint32_t i = 0; server->loops && i < server->loop_count; i++) {
        struct server_loop *home = server->loops[i];

        if (home && home->loop) {
            slab_done(&home->conns);
            slab_done(&home->works);
            slab_done(&home->h2_conns);
            slab_done(&home->h2_segs);
            h2_account_done(&home->h2_account);
        }
        base_free(home);
    }
    tls_context_unref(server->opts.tls);
    base_free(server->loops);
    base_free(server);
}

static void add_counts(struct http_server_stats *sum, const struct server_counts *c)
{
#define ADD_(name) sum->name += atomic_load_explicit(&c->name, memory_order_relaxed)
    ADD_(accepted);
    ADD_(refused_limit);
    ADD_(refused_budget);
    ADD_(backoffs);
    ADD_(cut);
    ADD_(requests);
    ADD_(bad_heads);
    ADD_(bytes_in);
    ADD_(bytes_out);
    ADD_(connections);
    ADD_(in_flight);
    for (size_t i = 0; i < 6; i++)
        ADD_(answered[i]);
#undef ADD_
}

void server_loop_stats(const struct server_loop *home, struct http_server_stats *ret_stats)
{
    memset(ret_stats, 0, sizeof(*ret_stats));
    add_counts(ret_stats, &home->counts);
}

void http_server_stats(const struct http_server *server, struct http_server_stats *ret_stats)
{
    struct http_server_stats sum = { 0 };

    for (uint32_t i = 0; i < server->loop_count; i++)
        add_counts(&sum, &server->loops[i]->counts);
    *ret_stats = sum;
}
