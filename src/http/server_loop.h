/* The server's part on one loop: its listeners, connections and counters. Only
 * that loop touches it, but for the counters, which any thread may read. */
#ifndef HTTP_SERVER_LOOP_H
#define HTTP_SERVER_LOOP_H

#include <stdatomic.h>

#include <weir/metrics.h>

#include "base/slab.h"
#include "http/exchange.h"
#include "http/h2_account.h"
#include "http/h1_write.h"
#include "http/server.h"
#include "net/listener.h"
#include "rt/rt.h"

/* Written by one loop, read by all. */
struct server_counts {
    _Atomic uint64_t requests, answered[6], bad_heads, bytes_in, bytes_out;
    _Atomic uint32_t connections, in_flight;
    _Atomic uint64_t accepted, refused_limit, refused_budget, backoffs, cut;
    _Atomic uint32_t write_high; /* the most bytes that a connection had to wait with */
};

static inline void count_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

struct server_metrics {
    weir_counter *requests[EXCHANGE_VERSIONS][6], *bytes_in, *bytes_out, *connections_total,
        *refused;
    weir_counter *handshakes_failed; /* of TLS */
    weir_gauge *connections, *in_flight;
    weir_histogram *write_held;
};

struct server_loop {
    struct http_server *server;
    struct loop *loop;
    const struct http_server_opts *opts;
    const struct server_metrics *metrics;
    struct slab conns, works;
    struct slab h2_conns, h2_segs;
    struct h2_account h2_account;
    struct node open;         /* connections */
    struct node closed;       /* the graveyard: freed at the end of the batch */
    struct node exchanges;    /* all that are alive */
    uint32_t connection_count, exchange_count;
    uint32_t connections_max; /* this loop's share */
    _Atomic uint32_t load;    /* connections, those on their way from other loops counted */
    struct deferred reaper;
    bool draining;
    bool cut;                 /* handlers were cancelled */
    bool finished;
    /* The Date field, made once a second. */
    int64_t date_until_ns;
    struct http_date date;
    char date_field[40];      /* "Date: …\r\n" */
    uint32_t started;         /* listeners */
    uint32_t listening;       /* those of them that have not stopped */
    struct listener listeners[HTTP_SERVER_ADDRS_MAX];
    struct stop_hook stop_hook;
    struct timer drain_timer, idle_timer;
    struct message start_message, stop_message, cut_message;
    struct server_counts counts;
    struct node look_link;    /* among the loop's servers, for who looks */
    uint32_t look_number;
};

#define DATE_FIELD_LEN (6 + HTTP_DATE_LEN + 2)

/* "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", DATE_FIELD_LEN bytes. */
const char *server_loop_date(struct server_loop *home);
/* In a debug build: is there such an exchange still, and is it used on its own loop? */
void exchange_look(const weir_exchange *x);

static inline void exchange_check_home(const weir_exchange *x)
{
#ifdef WEIR_DEBUG
    exchange_look(x);
#else
    (void)x;
#endif
}
/* This loop's part of http_server_stats(). */
void server_loop_stats(const struct server_loop *home, struct http_server_stats *ret_stats);
/* The descriptor of its address; there while this loop listens. */
int http_server_fd(const struct http_server *server, uint32_t index);
/* Something has ended; is the drain complete? */
void server_loop_settle(struct server_loop *home);

#endif
