/* Serving: requests off a connection's input, one at a time and in order; their
 * handlers; and what follows an answer.
 *
 * When a handler has ended, on its own stack, the next request that is there
 * already is taken at once: so pipelined requests are served one after the other
 * within a batch, and answered by one send.
 *
 * The end of the client's half (FIN) with a request in hand: an answer that is
 * made without waiting is sent, and so is one that is being written. A handler
 * that waits for anything else is cancelled, unless its route lets it finish: a
 * client that went away and one that only closed its half look the same, and the
 * former is the common case. */
#include <errno.h>
#include <string.h>

#include <weir/log.h>

#include "http/h1_wire.h"
#include "http/h2_conn.h"
#include "http/server_loop.h"
#include "net/tls_layer.h"

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

void h1_answered(struct h1_conn *c)
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
    int rc = h1_body_discard(c->work->x);

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

/* ---- requests ------------------------------------------------------------------------------------ */

/* A whole head is there. */
static void serve(struct h1_conn *c, weir_exchange *x)
{
    uint32_t most = c->home->opts->requests_max;

    c->state = H1_SERVE;
    c->flags &= (uint8_t)~H1_FIRST;
    c->deadline_ns = WEIR_NEVER_NS;
    c->served++;
    x->keep_alive = x->head->keep_alive && (!most || c->served < most);
    exchange_serve(x);
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
        weir_counter_add(c->home->metrics->requests[h1_wire.number][status / 100], 1);
    }
    let_go(c);
    h1_finish(c, H1_MUST_LINGER);
}

static void refuse_head(struct h1_conn *c, const struct h1_fault *fault, bool silently)
{
    weir_str peer = weir_client_address(c->work->x);

    count_add(&c->home->counts.bad_heads, 1);
    weir_logf(WEIR_LOG_WARN, "bad request from %.*s: %s (%s): %d, connection closed",
              WEIR_ARG(peer), fault->rule, fault->section, fault->status);
    if (!silently) {
        answer_bad_head(c, fault->status, weir_str_c(fault->rule));
        return;
    }
    let_go(c);
    h1_finish(c, H1_MUST_LINGER);
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

/* "PRI * HTTP/2.0" and an empty line: the connection's first bytes say that the client
 * speaks HTTP/2 and knows that we do (RFC 9113, section 3.3). No request of HTTP/1 begins
 * so. 1: they are there; 0: they may be, more must come; -1: they are not. */
static int is_preface(weir_str in)
{
    weir_str preface = WEIR_S("PRI * HTTP/2.0\r\n\r\n");
    size_t n = in.len < preface.len ? in.len : preface.len;

    if (n < 4 || memcmp(in.ptr, preface.ptr, n) != 0)
        return -1;
    return in.len >= preface.len;
}

/* As is_preface(); what TLS has agreed on (RFC 9113, section 3.2) needs no look. */
static int is_http2(const struct h1_conn *c, weir_str in)
{
    if (!(c->flags & H1_FIRST))
        return -1;
    if (tls_layer_is(&c->file) && weir_str_eq(tls_layer_alpn(&c->file), WEIR_S("h2")))
        return 1;
    return is_preface(in);
}

/* Does a connection begin with a line that names no version of HTTP? It is closed without
 * a word: whoever sent it could not read an answer. (HTTP/0.9 knows GET alone, and gets
 * its 400.) */
static bool is_other_protocol(const struct h1_conn *c, weir_str in)
{
    const char *end = in.ptr ? memchr(in.ptr, '\n', in.len) : NULL;

    return c->flags & H1_FIRST && end && !weir_str_starts(in, WEIR_S("GET ")) &&
           !memmem(in.ptr, (size_t)(end - in.ptr), "HTTP/", 5);
}

/* It is one of HTTP/2 from here on; what was begun is undone. */
static void change_version(struct h1_conn *c)
{
    struct h1_work *w = c->work;
    struct buf *in = w->in, *next = w->next;

    let_go(c);
    w->in = w->next = NULL;
    h1_work_give(c);
    if (!h2_take_over(c, in, next)) {
        buf_unref(in);
        buf_unref(next);
        h1_abort(c);
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
        w->x = exchange_new(c->home, &h1_wire, c);
        if (!w->x) {
            h1_abort(c);
            return false;
        }
    }
    if (!head_input(c, &in)) {
        answer_bad_head(c, 503, weir_str_from(NULL, 0));
        return false;
    }
    n = is_http2(c, in);
    if (n > 0) {
        change_version(c);
        return false;
    }
    if (n < 0)
        n = h1_parse_request(&w->parser, in, w->x->head, &fault);
    if (n < 0) {
        refuse_head(c, &fault, is_other_protocol(c, in));
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
