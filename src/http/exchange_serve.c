/* Serving, whatever the version of HTTP: from a whole head to the end of its handler,
 * and to the line in the log.
 *
 * A handler is started when its head is there. When it has ended, on its own stack,
 * its answer is completed, logged and counted; what follows is the wire's. */
#include <errno.h>
#include <string.h>

#include <weir/log.h>

#include "http/exchange.h"
#include "http/server_loop.h"
#include "obs/log.h"

/* ---- the answer's end -------------------------------------------------------------------- */

static void count_answer(weir_exchange *x)
{
    struct server_loop *home = x->home;
    unsigned class = x->gone && x->reply == REPLY_NONE ? 0 : x->status / 100;

    count_add(&home->counts.answered[class], 1);
    weir_counter_add(home->metrics->requests[x->wire->number][class], 1);
    atomic_store_explicit(&home->counts.in_flight,
                          atomic_load_explicit(&home->counts.in_flight, memory_order_relaxed) - 1,
                          memory_order_relaxed);
    weir_gauge_add(home->metrics->in_flight, -1);
}

static void log_answer(weir_exchange *x, int rc, const struct chain *chain)
{
    struct log_request line = { .method = x->head->method_text,
                                .path = x->head->path,
                                .route = x->route.pattern,
                                .status = x->status,
                                .duration_ns = loop_now_ns(x->home->loop) - x->began_ns,
                                .code = x->gone  ? WEIR_EGONE
                                        : rc < 0 ? rc
                                                 : 0,
                                .chain = chain,
                                .context = &x->context,
                                .version = exchange_version(x) };

    if (rc < 0 && !x->gone && x->status < 400)
        line.level = WEIR_LOG_ERROR; /* it failed after its head was sent */
    if (!weir_log_enabled(log_request_level(&line)))
        return;
    line.peer = weir_client_address(x);
    log_request(&line);
}

/* The handler has not answered. */
static int answer_failure(weir_exchange *x, int rc, const struct chain *chain)
{
    struct http_problem problem = { .status = 500 };
    const struct http_server_opts *opts = x->home->opts;

    x->fields = NULL; /* they were meant for another answer */
    x->fields_end = &x->fields;
    x->field_count = 0;
    x->field_bytes = 0;
    if (rc < 0 && opts->map_failure)
        opts->map_failure(opts->arg, x, rc, chain, &problem);
    else if (rc < 0)
        http_problem_of(x, rc, chain, &problem);
    return exchange_problem_of(x, &problem);
}

/* The handler has ended with rc, or handle() has answered. */
static void conclude(weir_exchange *x, int rc, const struct chain *chain)
{
    if (x->conn && !x->gone) {
        if (x->reply == REPLY_NONE) {
            if (rc >= 0)
                rc = WEIR_EWRONGUSE; /* it returned without an answer */
            if (answer_failure(x, rc, chain) < 0)
                x->wire->fail(x, WEIR_EGONE);
        } else if (x->reply == REPLY_BEGUN) {
            int end = rc >= 0 || exchange_is_whole(x) ? exchange_end(x) : rc;

            if (end < 0)
                x->wire->incomplete(x);
            rc = rc < 0 ? rc : end;
        }
    } else if (x->conn && x->reply == REPLY_BEGUN && !exchange_is_whole(x)) {
        x->wire->incomplete(x);
    }
    count_answer(x);
    if (rc < 0 || x->status >= 500 || weir_log_enabled(WEIR_LOG_DEBUG))
        log_answer(x, rc, rc == WEIR_EWRONGUSE && !chain ? chain_current() : chain);
}

/* ---- handlers ---------------------------------------------------------------------------- */

static int handler_run(void *arg)
{
    weir_exchange *x = arg;
    int rc;

    x->ran = true;
    if (x->conn)
        x->wire->started(x);
    rc = x->route.handler(x);
    if (rc < 0) {
        x->reason = (uint8_t)weir_cancel_reason(NULL);
        x->gone |= x->reason == WEIR_REASON_GONE;
    }
    return rc;
}

/* The handler and all that it started have ended. */
static void handler_ended(void *arg, int rc, struct chain *chain)
{
    weir_exchange *x = arg;
    bool own_stack = x->ran;

    x->running = false;
    conclude(x, rc, chain);
    chain_free(chain);
    if (x->conn)
        x->wire->handled(x, own_stack);
    else
        exchange_release(x);
    if (own_stack)
        weir_recover();
}

static void start_handler(weir_exchange *x)
{
    struct loop *loop = x->home->loop;
    uint32_t timeout_ms = x->route.timeout_ms ? x->route.timeout_ms : x->home->opts->total_ms;
    struct rt_spawn how = { .name = x->route.name,
                            .site = x->route.site ? x->route.site : "the server",
                            .arena = &x->arena,
                            .context = &x->context,
                            .deadline_ns = timeout_ms ? x->began_ns + (int64_t)timeout_ms * 1000000
                                                      : WEIR_NEVER_NS,
                            .ended = handler_ended,
                            .arg = x };
    weir_scope scope;

    x->running = true;
    x->context.route = x->route.pattern;
    scope = rt_spawn(loop_app_scope(loop), handler_run, x, &how);
    if (scope.slot) /* else it has ended already, x with it */
        x->scope = scope;
}

static void answered_at_once(weir_exchange *x)
{
    conclude(x, 0, NULL);
    x->wire->handled(x, false);
    weir_recover();
}

/* ---- requests ---------------------------------------------------------------------------- */

static uint64_t body_max(const weir_exchange *x)
{
    return x->route.body_max_bytes ? x->route.body_max_bytes : x->home->opts->body_max_bytes;
}

static void count_request(weir_exchange *x)
{
    struct server_loop *home = x->home;

    count_add(&home->counts.requests, 1);
    atomic_store_explicit(&home->counts.in_flight,
                          atomic_load_explicit(&home->counts.in_flight, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    weir_gauge_add(home->metrics->in_flight, 1);
}

void exchange_serve(weir_exchange *x)
{
    const struct http_server_opts *opts = x->home->opts;
    const struct http_head *head = x->head;

    x->began_ns = loop_now_ns(x->home->loop);
    count_request(x);
    exchange_make_ids(x);
    if (head->body != HTTP_BODY_NONE && exchange_body_init(x, opts->body_max_bytes) < 0) {
        x->keep_alive = false;
        conclude(x, -ENOMEM, NULL);
        x->wire->handled(x, false);
        return;
    }
    x->at_once = true;
    opts->handle(opts->arg, x, &x->route);
    x->at_once = false;
    if (x->in && body_max(x) != opts->body_max_bytes)
        x->wire->limit(x, body_max(x));
    if (x->reply == REPLY_NONE && x->route.handler && x->in && head->content_length >= 0 &&
        (uint64_t)head->content_length > body_max(x))
        WEIR_IGNORE(exchange_problem(x, 413, WEIR_S("the body is larger than is taken here")),
                    "without an answer, conclude() sees to it");
    if (x->reply == REPLY_NONE && x->route.handler)
        start_handler(x);
    else
        answered_at_once(x);
}
