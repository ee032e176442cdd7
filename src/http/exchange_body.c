/* The request's body, as its handler reads it.
 *
 * The connection receives, and keeps a bounded number of buffers; the wire finds the
 * content where it lies and lends it. A lent slice keeps its buffer until the next
 * read, while the connection goes on receiving into others.
 *
 * The client's pace is judged by the time that a reader spent waiting: a handler
 * that is slow to ask is never held against the client. */
#include "http/exchange.h"

#include <errno.h>
#include <string.h>

#include "http/server_loop.h"

/* What has been read stays in the exchange until all of it is there: a read that is
 * given up, by a deadline of its own, say, leaves it to the next. */
struct body_piece {
    struct body_piece *next;
    size_t len;
    char data[];
};

int exchange_body_init(weir_exchange *x, uint64_t max_bytes)
{
    struct exchange_body *in = arena_zalloc(&x->arena, sizeof(*in));

    if (!in)
        return -ENOMEM;
    in->want_continue = x->head->expect_continue;
    x->in = in;
    x->wire->limit(x, max_bytes);
    return 0;
}

void exchange_body_done(weir_exchange *x)
{
    if (!x->in)
        return;
    buf_unref(x->in->lent);
    x->in->lent = NULL;
}

void exchange_body_arrived(weir_exchange *x)
{
    struct wait *reader = x->in ? x->in->reader : NULL;

    if (!reader)
        return;
    x->in->reader = NULL;
    wait_wake(reader, 0);
}

int exchange_body_fail(struct exchange_body *in, int rc, int status)
{
    if (in->failed == 0) {
        in->failed = rc;
        in->fault_status = status;
    }
    return in->failed;
}

/* ---- pace ---------------------------------------------------------------------------- */

static int64_t window_ns(const weir_exchange *x)
{
    return (int64_t)x->home->opts->body_window_ms * 1000000;
}

/* The wait since waiting_since_ns is over, or looked at. */
static void pace_account(weir_exchange *x)
{
    struct exchange_body *in = x->in;
    int64_t now_ns = loop_now_ns(x->home->loop);

    in->waited_ns += now_ns - in->waiting_since_ns;
    in->waiting_since_ns = now_ns;
}

bool exchange_body_keeps_pace(weir_exchange *x, int64_t *ret_next_ns)
{
    struct exchange_body *in = x->in;
    uint64_t least = (uint64_t)x->home->opts->body_rate_bytes * x->home->opts->body_window_ms /
                     1000;

    *ret_next_ns = WEIR_NEVER_NS;
    if (!in || !in->timed || !in->reader)
        return true;
    pace_account(x);
    if (in->waited_ns >= window_ns(x)) {
        if (in->received - in->window_bytes < least) {
            exchange_body_fail(in, WEIR_EPEERTIMEOUT, 408);
            exchange_body_arrived(x);
            return false;
        }
        in->waited_ns = 0;
        in->window_bytes = in->received;
    }
    *ret_next_ns = in->waiting_since_ns + window_ns(x) - in->waited_ns;
    return true;
}

/* ---- reading ----------------------------------------------------------------------- */

static void reader_abandon(struct wait *wait, int code)
{
    weir_exchange *x = (weir_exchange *)wait->object;

    x->in->reader = NULL;
    wait_wake(wait, code);
}

static int wait_input(weir_exchange *x)
{
    struct exchange_body *in = x->in;
    struct wait wait = { .abandon = reader_abandon, .what = "the request's body", .object = x };
    int rc = x->wire->ask(x);

    if (rc < 0)
        return rc;
    if (!x->conn || in->failed || x->wire->arrived(x))
        return 0;
    in->reader = &wait;
    in->timed = !x->route.streaming;
    in->waiting_since_ns = loop_now_ns(x->home->loop);
    if (in->timed)
        x->wire->wake_at(x, in->waiting_since_ns + window_ns(x) - in->waited_ns);
    rc = rt_park(&wait);
    in->reader = NULL;
    if (in->timed)
        pace_account(x);
    return rc;
}

static int read_check(weir_exchange *x)
{
    int rc = rt_check();

    exchange_check_home(x);
    if (rc < 0 || !x->in)
        return rc;
    return x->in->reader ? -EBUSY : 0;
}

static ssize_t read_on(weir_exchange *x, weir_str *ret_data)
{
    struct exchange_body *in = x->in;
    int rc = read_check(x);

    if (rc < 0 || !in)
        return rc;
    exchange_body_done(x); /* what was lent before */
    while (in->failed == 0) {
        rc = x->conn ? x->wire->take(x, ret_data) : 0;
        if (rc > 0) {
            rt_spend();
            return (ssize_t)ret_data->len;
        }
        if (rc < 0 || in->complete)
            return rc;
        if (!x->conn || x->wire->input_over(x))
            return exchange_body_fail(in, WEIR_ETRUNCATED, 400);
        rc = wait_input(x);
        if (rc < 0)
            return rc;
    }
    return in->failed;
}

ssize_t weir_body_read(weir_exchange *x, weir_str *ret_data)
{
    struct exchange_body *in = x->in;
    struct body_piece *kept;
    int rc;

    if (!in || !in->kept)
        return read_on(x, ret_data);
    rc = read_check(x);
    if (rc < 0)
        return rc;
    kept = in->kept;
    in->kept = kept->next;
    if (kept->len == 0)
        return weir_body_read(x, ret_data);
    *ret_data = weir_str_from(kept->data, kept->len);
    rt_spend();
    return (ssize_t)kept->len;
}

/* ---- all of it ----------------------------------------------------------------------- */

static struct body_piece *piece_new(weir_exchange *x, size_t bytes)
{
    struct body_piece *piece = arena_alloc(&x->arena, sizeof(*piece) + bytes + 1);

    if (piece) {
        piece->next = NULL;
        piece->len = 0;
    }
    return piece;
}

static void piece_add(struct body_piece *piece, weir_str data)
{
    memcpy(piece->data + piece->len, data.ptr, data.len);
    piece->len += data.len;
}

/* The length is known, so one block takes it. */
static int read_known(weir_exchange *x, size_t left, weir_str *ret_body)
{
    struct exchange_body *in = x->in;
    struct body_piece *all = in->kept;
    weir_str data = WEIR_S("");
    ssize_t n;

    if (!all)
        all = in->kept = piece_new(x, left);
    if (!all)
        return -ENOMEM;
    while ((n = read_on(x, &data)) > 0)
        piece_add(all, data);
    if (n < 0)
        return (int)n;
    in->kept = NULL;
    all->data[all->len] = '\0';
    *ret_body = weir_str_from(all->data, all->len);
    return 0;
}

/* The pieces, in one. */
static int join_pieces(weir_exchange *x, size_t len, weir_str *ret_body)
{
    struct body_piece *all = piece_new(x, len);

    if (!all)
        return -ENOMEM;
    for (struct body_piece *piece = x->in->kept; piece; piece = piece->next)
        piece_add(all, weir_str_from(piece->data, piece->len));
    x->in->kept = NULL;
    all->data[all->len] = '\0';
    *ret_body = weir_str_from(all->data, all->len);
    return 0;
}

int weir_body_all(weir_exchange *x, weir_str *ret_body)
{
    struct exchange_body *in = x->in;
    struct body_piece **end;
    weir_str data = WEIR_S("");
    size_t len = 0;
    ssize_t n;

    if (!in) {
        *ret_body = WEIR_S("");
        return rt_check();
    }
    if (x->head->body == HTTP_BODY_LENGTH && (uint64_t)x->head->content_length <= in->max_bytes)
        return read_known(x, (size_t)((uint64_t)x->head->content_length - in->taken), ret_body);
    for (end = &in->kept; *end; end = &(*end)->next)
        len += (*end)->len;
    while ((n = read_on(x, &data)) > 0) {
        *end = piece_new(x, data.len);
        if (!*end) /* and what was read is lost */
            return exchange_body_fail(in, -ENOMEM, 503);
        piece_add(*end, data);
        end = &(*end)->next;
        len += data.len;
    }
    return n < 0 ? (int)n : join_pieces(x, len, ret_body);
}
