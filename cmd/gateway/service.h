/* A service behind the gateway: its client and pool, its breaker, and what is
 * counted about it. */
#ifndef GATEWAY_SERVICE_H
#define GATEWAY_SERVICE_H

#include <stdatomic.h>
#include <stdint.h>

#include <weir/client.h>
#include <weir/exchange.h>
#include <weir/guard.h>
#include <weir/metrics.h>
#include <weir/sync.h>

#include "gateway/config.h"

/* How a call to a service went. */
enum outcome {
    OUTCOME_NONE,         /* it has not ended */
    OUTCOME_OK,
    OUTCOME_CLIENT_ERROR, /* it answered 4xx */
    OUTCOME_SERVER_ERROR, /* it answered 5xx */
    OUTCOME_BAD_ANSWER,   /* malformed, too large, no JSON, a redirect */
    OUTCOME_UNREACHABLE,  /* no connection */
    OUTCOME_TLS,          /* no agreement by TLS, or its certificate is not good */
    OUTCOME_LOST,         /* the connection was lost */
    OUTCOME_TIMEOUT,
    OUTCOME_BREAKER,      /* not called: the breaker is open */
    OUTCOME_FULL,         /* not called: too many calls wait */
    OUTCOME_CANCELLED,    /* nobody wants the answer any more */
    OUTCOME_NO_RESOURCES, /* no memory, no descriptor */
    OUTCOME_NOT_SENT,     /* not called: the request can't be passed on */
    OUTCOME_COUNT
};

struct service {
    char *name, *base;    /* "users", "http://127.0.0.1:9001" */
    const struct config_service *config;
    uint32_t timeout_ms;
    weir_client *client;  /* it and its pool: from service_start() on */
    weir_pool *pool;
    weir_semaphore *permits;
    weir_breaker *breaker;
    weir_counter *requests[OUTCOME_COUNT];
    weir_histogram *seconds;
    weir_gauge *waiting, *held, *idle, *breaker_gauge;
    atomic_int breaker_seen; /* weir_breaker_state, as last told */
    _Atomic int64_t breaker_since_ns;
};

/* service is all zero; config lives as long. 0, or a code; service_done() in every
 * case, while the runtime does not run. */
int service_init(struct service *service, const struct config_service_entry *config);
void service_done(struct service *service);
/* In a task, before the first call; it reads the files of TLS. 0, or a code with a
 * sentence. */
int service_start(struct service *service);
/* Bring the gauges up to date. Any thread. */
void service_refresh(struct service *service);

/* May it be called now? OUTCOME_NONE with the ticket, or OUTCOME_BREAKER. */
enum outcome service_enter(struct service *service, weir_ticket *ret_ticket);
/* Tell the breaker how it went; fair is false when the service was not given the
 * time that it is due. */
void service_leave(struct service *service, weir_ticket *ticket, enum outcome outcome, bool fair);
/* Count a call. took_ns < 0: it was not made. */
void service_count(struct service *service, enum outcome outcome, int64_t took_ns);

enum outcome outcome_of_code(int rc);
enum outcome outcome_of_status(int status);
/* What the gateway answers: 502, 503 or 504. */
int outcome_status(enum outcome outcome);
const char *outcome_name(enum outcome outcome);

/* What a service did, behind "service `users` ": "answered 500". */
#define CAUSE_BYTES 96
const char *outcome_cause(enum outcome outcome, int status, uint32_t timeout_ms,
                          char text[static CAUSE_BYTES]);

/* Answer for a service that failed: 502, 503 or 504, with what (a sentence). */
int service_problem(weir_exchange *x, enum outcome outcome, const char *what);

#endif
