/* Serving: requests off a connection's input, one at a time and in order; their
 * handlers; and what follows an answer.
 *
 * A handler is started when its head is there. When it has ended, on its own
 * stack, its answer is completed, logged and counted, and the next request that
 * is there already is taken at once: so pipelined requests are served one after
 * the other within a batch, and answered by one send.
 *
 * The end of the client's half (FIN) with a request in hand: an answer that is
 * made without waiting is sent, and so is one that is being written. A handler
 * that waits for anything else is cancelled, unless its route lets it finish: a
 * client that went away and one that only closed its half look the same, and the
 * former is the common case. */
#include <errno.h>
#include <string.h>

#include <weir/log.h>

#include "http/h1_conn.h"
#include "http/server_loop.h"
#include "obs/log.h"

/* ---- the answer's end -------------------------------------------------------------------- */

static void count_answer(weir_exchange *x)
{
    struct server_loop *home = x->home;
    unsigned class = x->gone && x->reply == REPLY_NONE ? 0 : x->status / 100;

    count_add(&home->counts.answered[class], 1);
    weir_counter_add(home->metrics->requests[class], 1);
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
                                .context = &x->context };

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

/* What was begun is not completed: it must not look complete. */
static void leave_incomplete(weir_exchange *x)
{
    x->keep_alive = false;
    if (x->framing == REPLY_UNTIL_CLOSE)
        x->conn->flags |= H1_RESET;
}

static bool is_whole(const weir_exchange *x)
{
    return x->bodiless || (x->framing == REPLY_LENGTH && x->out_left == 0);
}

/* The handler has ended with rc, or handle() has answered. */
static void conclude(weir_exchange *x, int rc, const struct chain *chain)
{
    if (x->conn && !x->gone) {
        if (x->reply == REPLY_NONE) {
            if (rc >= 0)
                rc = WEIR_EWRONGUSE; /* it returned without an answer */
            if (answer_failure(x, rc, chain) < 0)
                h1_fail_output(x->conn, WEIR_EGONE);
        } else if (x->reply == REPLY_BEGUN) {
            int end = rc >= 0 || is_whole(x) ? exchange_end(x) : rc;

            if (end < 0)
                leave_incomplete(x);
            rc = rc < 0 ? rc : end;
        }
    } else if (x->conn && x->reply == REPLY_BEGUN && !is_whole(x)) {
        leave_incomplete(x);
    }
    count_answer(x);
    if (rc < 0 || x->status >= 500 || weir_log_enabled(WEIR_LOG_DEBUG))
        log_answer(x, rc, rc == WEIR_EWRONGUSE && !chain ? chain_current() : chain);
}

/* ---- what follows ---------------------------------------------------------------------------- */

/* The connection lets go of its exchange. */
static void let_go(struct h1_conn *c)
{
    weir_exchange *x = c->work->x;

    c->work->x = NULL;
    x->conn = NULL;
    exchange_release(x);
}

/* The request was read to its end, and answered. */
static void next_request(struct h1_conn *c)
{
    struct h1_work *w = c->work;
    const struct http_server_opts *opts = c->home->opts;
    bool stays = w->x->keep_alive && !w->x->gone, asked = !w->x->head->keep_alive;

    let_go(c);
    if (!stays) {
        /* One that has asked for the end sends nothing more. */
        h1_finish(c, asked && !w->in ? 0 : H1_MUST_LINGER);
        return;
    }
    c->state = H1_IDLE;
    c->deadline_ns = WEIR_NEVER_NS;
    h1_set_deadline(c, loop_now_ns(c->home->loop) +
                           (int64_t)(c->home->draining ? opts->drain_idle_ms : opts->idle_ms) *
                               1000000);
    h1_flush_soon(c);
}

static void after_answer(struct h1_conn *c)
{
    weir_exchange *x = c->work->x;

    if (c->work->out.failed) {
        h1_abort(c);
    } else if (!x->in || x->in->complete) {
        next_request(c);
    } else if (!x->keep_alive || x->gone) {
        let_go(c);
        h1_finish(c, H1_MUST_LINGER);
    } else {
        c->state = H1_DRAIN;
        c->work->dropped = 0;
        h1_flush_soon(c);
        h1_set_deadline(c,
                        loop_now_ns(c->home->loop) + (int64_t)c->home->opts->linger_ms * 1000000);
        h1_discard(c);
        h1_read(c);
    }
}

void h1_discard(struct h1_conn *c)
{
    int rc = exchange_body_discard(c->work->x);

    if (rc > 0) {
        next_request(c);
        h1_go_on(c);
    } else if (rc < 0 || c->flags & H1_SAW_END) {
        h1_body_given_up(c);
    }
}

void h1_body_given_up(struct h1_conn *c)
{
    let_go(c);
    h1_finish(c, H1_MUST_LINGER);
}

/* ---- handlers ---------------------------------------------------------------------------------- */

static int handler_run(void *arg)
{
    weir_exchange *x = arg;
    int rc;

    x->ran = true;
    if (x->conn && x->conn->flags & H1_SAW_END)
        h1_flush_soon(x->conn); /* where the end is looked at once this has had its turn */
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
    struct h1_conn *c;
    bool own_stack = x->ran;

    x->running = false;
    conclude(x, rc, chain);
    chain_free(chain);
    c = x->conn;
    if (!c) {
        exchange_release(x);
    } else {
        after_answer(c);
        /* One that never ran ends on the stack of whoever found it late: the
         * flush goes on from there. */
        if (own_stack)
            h1_go_on(c);
    }
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

static void answered_at_once(struct h1_conn *c, weir_exchange *x)
{
    conclude(x, 0, NULL);
    after_answer(c);
    weir_recover();
}

/* ---- requests ------------------------------------------------------------------------------------ */

static uint64_t body_max(const weir_exchange *x)
{
    return x->route.body_max_bytes ? x->route.body_max_bytes : x->home->opts->body_max_bytes;
}

/* A whole head is there. */
static void serve(struct h1_conn *c, weir_exchange *x)
{
    struct server_loop *home = c->home;
    const struct http_server_opts *opts = home->opts;
    struct http_head *head = x->head;

    c->state = H1_SERVE;
    c->flags &= (uint8_t)~H1_FIRST;
    c->deadline_ns = WEIR_NEVER_NS;
    c->served++;
    x->began_ns = loop_now_ns(home->loop);
    x->keep_alive = head->keep_alive && (!opts->requests_max || c->served < opts->requests_max);
    count_add(&home->counts.requests, 1);
    atomic_store_explicit(&home->counts.in_flight,
                          atomic_load_explicit(&home->counts.in_flight, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    weir_gauge_add(home->metrics->in_flight, 1);
    exchange_make_ids(x);
    if (head->body != HTTP_BODY_NONE && exchange_body_init(x, opts->body_max_bytes) < 0) {
        x->keep_alive = false;
        conclude(x, -ENOMEM, NULL);
        after_answer(c);
        return;
    }
    x->at_once = true;
    opts->handle(opts->arg, x, &x->route);
    x->at_once = false;
    if (x->in && body_max(x) != opts->body_max_bytes)
        h1_body_init(&x->in->decoder, head, &opts->limits, body_max(x));
    if (x->reply == REPLY_NONE && x->route.handler && x->in && head->content_length >= 0 &&
        (uint64_t)head->content_length > body_max(x))
        WEIR_IGNORE(exchange_problem(x, 413, WEIR_S("the body is larger than is taken here")),
                    "without an answer, conclude() sees to it");
    if (x->reply == REPLY_NONE && x->route.handler)
        start_handler(x);
    else
        answered_at_once(c, x);
}

/* A head that can't be served is answered all the same: as if it were one of
 * HTTP/1.1 whose connection ends. */
static void answer_bad_head(struct h1_conn *c, int status, weir_str detail)
{
    weir_exchange *x = c->work->x;

    http_head_init(x->head);
    x->head->version_minor = 1;
    x->head->method = HTTP_OTHER;
    x->keep_alive = false;
    if (exchange_problem(x, status, detail) == 0) {
        count_add(&c->home->counts.answered[status / 100], 1);
        weir_counter_add(c->home->metrics->requests[status / 100], 1);
    }
    let_go(c);
    h1_finish(c, H1_MUST_LINGER);
}

static void refuse_head(struct h1_conn *c, const struct h1_fault *fault)
{
    weir_str peer = weir_client_address(c->work->x);

    count_add(&c->home->counts.bad_heads, 1);
    weir_logf(WEIR_LOG_WARN, "bad request from %.*s: %s (%s): %d, connection closed",
              WEIR_ARG(peer), fault->rule, fault->section, fault->status);
    answer_bad_head(c, fault->status, weir_str_c(fault->rule));
}

void h1_head_timed_out(struct h1_conn *c)
{
    answer_bad_head(c, 408, WEIR_S("the head of the request did not come in time"));
}

void h1_head_cut_short(struct h1_conn *c)
{
    let_go(c);
    h1_finish(c, 0);
}

/* ---- input -------------------------------------------------------------------------------------- */

/* Both buffers become one; false when there is no memory for that. */
static bool join_input(struct h1_conn *c, uint32_t have, uint32_t more)
{
    struct h1_work *w = c->work;
    struct buf *to = w->in;

    if (to->refs > 1) {
        to = buf_new(loop_bufs(c->home->loop));
        if (!to)
            return false;
    }
    memmove(to->data, w->in->data + w->in->from, have);
    memcpy(to->data + have, w->next->data + w->next->from, more);
    to->from = 0;
    to->to = have + more;
    if (to != w->in)
        buf_unref(w->in);
    buf_unref(w->next);
    w->in = to;
    w->next = NULL;
    return true;
}

/* A head that does not fit a buffer goes on in the arena; the newest buffer's
 * bytes are copied there, and stay in the input as well. */
static bool grow_big(struct h1_conn *c)
{
    struct h1_work *w = c->work;
    uint32_t most = c->home->opts->limits.head_bytes, n = w->in->to - w->in->from;

    if (!w->big) {
        w->big = arena_alloc(&w->x->arena, most + BUF_ROOM);
        if (!w->big)
            return false;
        memcpy(w->big, w->in->data + w->in->from, n);
        w->big_len = n;
        h1_input_used(w);
        n = w->in->to - w->in->from;
    }
    if (w->big_len > most || n > BUF_ROOM)
        return false; /* the parser has refused it before */
    memcpy(w->big + w->big_len, w->in->data + w->in->from, n);
    return true;
}

/* What there is of the head, in one piece; false without memory. */
static bool head_input(struct h1_conn *c, weir_str *ret_in)
{
    struct h1_work *w = c->work;
    uint32_t have = w->in->to - w->in->from, more = w->next ? w->next->to - w->next->from : 0;

    /* Until the first buffer is known to end within a head, the next is left. */
    if (c->state != H1_HEAD)
        more = 0;
    if (w->big || have + more > BUF_ROOM) {
        if (!grow_big(c))
            return false;
        *ret_in = weir_str_from(w->big, w->big_len + w->in->to - w->in->from);
        return true;
    }
    if (more > 0) {
        if (!join_input(c, have, more))
            return false;
        have += more;
    }
    *ret_in = weir_str_from(w->in->data + w->in->from, have);
    return true;
}

/* The head took used of the len bytes that were looked at. */
static void use_head(struct h1_work *w, uint32_t used, uint32_t len)
{
    if (w->big) {
        w->in->from = w->in->to - (len - used);
        w->big = NULL;
        w->big_len = 0;
    } else {
        w->x->head_buf = buf_ref(w->in);
        w->in->from += used;
    }
    if (w->in->from == w->in->to)
        h1_input_used(w);
}

static void await_rest(struct h1_conn *c)
{
    struct h1_work *w = c->work;

    if (w->big) {
        w->big_len += w->in->to - w->in->from;
        h1_input_used(w);
    }
    if (c->flags & H1_SAW_END && !w->next) {
        h1_head_cut_short(c);
        return;
    }
    if (c->state == H1_HEAD)
        return;
    c->state = H1_HEAD;
    if (!(c->flags & H1_FIRST)) {
        c->deadline_ns = WEIR_NEVER_NS;
        h1_set_deadline(c, loop_now_ns(c->home->loop) + (int64_t)c->home->opts->head_ms * 1000000);
    }
}

/* Take a request off the input. True: look again; false: more must come, or the
 * connection is at its end. */
static bool take_request(struct h1_conn *c)
{
    struct h1_work *w = c->work;
    struct h1_fault fault;
    weir_str in;
    int n;

    if (!w->x) {
        w->x = exchange_new(c->home, c);
        if (!w->x) {
            h1_abort(c);
            return false;
        }
    }
    if (!head_input(c, &in)) {
        answer_bad_head(c, 503, weir_str_from(NULL, 0));
        return false;
    }
    n = h1_parse_request(&w->parser, in, w->x->head, &fault);
    if (n < 0) {
        refuse_head(c, &fault);
        return false;
    }
    if (n == 0) {
        bool again = !w->big && w->next != NULL;

        await_rest(c);
        return again;
    }
    use_head(w, (uint32_t)n, (uint32_t)in.len);
    serve(c, w->x);
    return true;
}

void h1_go_on(struct h1_conn *c)
{
    if (c->flags & H1_IN_PARSE)
        return;
    c->flags |= H1_IN_PARSE;
    while (c->state <= H1_HEAD && c->work && c->work->in && c->work->out.bytes < OUTQ_HIGH_BYTES)
        if (!take_request(c))
            break;
    c->flags &= (uint8_t)~H1_IN_PARSE;
    if (c->state == H1_IDLE && c->work && !c->work->in && c->flags & H1_SAW_END)
        h1_finish(c, 0);
    h1_read(c); /* there may be room again */
}

/* ---- the client's going ---------------------------------------------------------------------------- */

void h1_peer_gone(struct h1_conn *c, bool whole)
{
    weir_exchange *x = c->work ? c->work->x : NULL;

    if (whole || !x) {
        h1_abort(c);
        return;
    }
    if (x->in && x->in->reader) {
        exchange_body_arrived(x);
        return;
    }
    if (x->gone || !x->ran || x->in_write || x->route.gone != HTTP_GONE_CANCEL)
        return;
    x->gone = true;
    rt_cancel(x->scope, WEIR_REASON_GONE, "the client");
}
