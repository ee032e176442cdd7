/* An exchange's life, and what handlers ask of its request; see exchange.h.
 *
 * Invariants: the arena is reset exactly once, when refs is 0; x->conn is NULL
 * from the moment the connection takes up another exchange or is lost. */
#include "http/exchange.h"

#include <errno.h>
#include <string.h>

#include <weir/log.h>

#include "http/server_loop.h"
#include "net/tls_layer.h"

weir_exchange *exchange_new(struct server_loop *home, const struct exchange_wire *wire, void *conn)
{
    struct arena arena;
    weir_exchange *x;

    arena_init(&arena, loop_arenas(home->loop));
    x = arena_alloc(&arena, sizeof(*x));
    if (!x)
        return NULL;
    memset(x, 0, sizeof(*x));
    x->head = arena_alloc(&arena, sizeof(*x->head));
    if (!x->head) {
        arena_reset(&arena);
        return NULL;
    }
    x->arena = arena;
    x->wire = wire;
    x->conn = conn;
    x->home = home;
    x->refs = 1;
    x->fields_end = &x->fields;
    list_push(&home->exchanges, &x->link);
    home->exchange_count++;
    return x;
}

void exchange_look(const weir_exchange *x)
{
    struct server_loop *home = x->home;
    struct server_loop *gone;

    memset(&gone, ARENA_SPOILT, sizeof(gone));
    if (home == gone) {
        rt_wrong_use(
            "an exchange is used that has ended, and its memory with it: what outlives the "
            "handler takes copies; weir_after_reply() keeps the exchange until its job "
            "is done");
        return;
    }
    /* A blocking call on another thread may look at what its waiting handler lends it. */
    if (loop_self() && loop_self() != home->loop)
        rt_wrong_use("an exchange is used on loop %u, but belongs to loop %u: give what runs there "
                     "a copy of what it needs",
                     loop_index(loop_self()), loop_index(home->loop));
}

/* ---- its ids -------------------------------------------------------------------- */

/* Eight digits of 32 bits, all at once; in which order does not matter for what is
 * random. */
static uint64_t hex_digits(uint64_t bits)
{
    uint64_t letters;

    bits = (bits | bits << 16) & 0x0000ffff0000ffffu;
    bits = (bits | bits << 8) & 0x00ff00ff00ff00ffu;
    bits = (bits | bits << 4) & 0x0f0f0f0f0f0f0f0fu;
    letters = (bits + 0x0606060606060606u) >> 4 & 0x0101010101010101u;
    return bits + 0x3030303030303030u + letters * ('a' - '0' - 10);
}

static void put_hex(char *to, uint64_t bits)
{
    uint64_t digits[2] = { hex_digits(bits & UINT32_MAX), hex_digits(bits >> 32) };

    memcpy(to, digits, sizeof(digits));
}

static bool is_hex(weir_str s)
{
    bool other = false;

    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        other |= c != '0';
    }
    return other; /* all zeros is invalid (Trace Context, section 3.2.2) */
}

/* W3C Trace Context, section 3.2: "00-<32 hex>-<16 hex>-<2 hex>", and no more in
 * version 00. */
static bool parse_traceparent(weir_str value, weir_str *ret_trace, bool *ret_sampled)
{
    weir_str trace, flags;

    if (value.len != 55 || !weir_str_starts(value, WEIR_S("00-")) || value.ptr[35] != '-' ||
        value.ptr[52] != '-')
        return false;
    trace = weir_str_from(value.ptr + 3, 32);
    flags = weir_str_from(value.ptr + 53, 2);
    if (!is_hex(trace) || !is_hex(weir_str_from(value.ptr + 36, 16)) ||
        (!is_hex(flags) && !weir_str_eq(flags, WEIR_S("00"))))
        return false;
    *ret_trace = trace;
    /* Of a letter the last bit is that of its code turned round: 'b' is 11. */
    *ret_sampled = ((flags.ptr[1] & 1) != 0) != (flags.ptr[1] >= 'a');
    return true;
}

/* An id that a client gave: short, and of bytes that are harmless in a log. */
static bool is_client_id(weir_str id)
{
    if (id.len == 0 || id.len > 128)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              c == '-' || c == '_' || c == '.' || c == ':'))
            return false;
    }
    return true;
}

/* One random number is the trace's id and, unless the client gave one, the
 * correlation id. */
void exchange_make_ids(weir_exchange *x)
{
    struct loop *loop = x->home->loop;
    weir_str own = weir_str_from(x->ids, 32), id = http_field(x->head, HTTP_X_REQUEST_ID);
    weir_str parent = http_field(x->head, HTTP_TRACEPARENT);
    bool given = is_client_id(id), traced = false;

    put_hex(x->ids + 32, loop_random(loop));
    x->context.span_id = weir_str_from(x->ids + 32, 16);
    if (parent.ptr)
        traced = parse_traceparent(parent, &x->context.trace_id, &x->context.sampled);
    if (!traced) {
        put_hex(x->ids, loop_random(loop));
        put_hex(x->ids + 16, loop_random(loop));
        x->context.trace_id = own;
    }
    x->context.correlation_id = given ? id : x->context.trace_id;
}

/* ---- its end -------------------------------------------------------------------- */

void exchange_unref(weir_exchange *x)
{
    struct server_loop *home = x->home;
    struct arena arena;

    if (--x->refs > 0)
        return;
    for (struct exchange_hook *hook = x->defers; hook; hook = hook->next)
        hook->fn(hook->arg);
    exchange_body_done(x);
    buf_unref(x->head_buf);
    list_remove(&x->link);
    arena = x->arena;
    arena_reset(&arena);
    home->exchange_count--;
    if (home->draining)
        server_loop_settle(home);
}

static void job_ended(void *arg, int rc, struct chain *chain)
{
    weir_exchange *x = arg;
    char text[CHAIN_TEXT_BYTES + 1] = "";

    if (rc < 0) {
        chain_print(chain, text, sizeof(text));
        weir_log(WEIR_LOG_ERROR, "a job after the reply failed",
                 WEIR_FIELD("correlation_id_of", x->context.correlation_id),
                 WEIR_FIELD("cause", *text ? text : weir_error_text(rc)));
    }
    chain_free(chain);
    exchange_unref(x);
}

void exchange_release(weir_exchange *x)
{
    while (x->jobs) {
        struct exchange_hook *hook = x->jobs;
        struct rt_spawn how = { .name = "after the reply",
                                .site = x->route.site ? x->route.site : "weir_after_reply()",
                                .arena = &x->arena,
                                .context = &x->context,
                                .deadline_ns = WEIR_NEVER_NS,
                                .ended = job_ended,
                                .arg = x };

        x->jobs = hook->next;
        x->refs++;
        rt_spawn(loop_app_scope(x->home->loop), hook->job, hook->arg, &how);
    }
    exchange_unref(x);
}

void weir_defer(weir_exchange *x, void (*fn)(void *ptr), void *ptr)
{
    struct exchange_hook *hook;

    exchange_check_home(x);
    hook = arena_zalloc(&x->arena, sizeof(*hook));
    if (!hook) {
        weir_warn("no memory to put off a clean-up to the end of the exchange: it is run now");
        fn(ptr);
        return;
    }
    hook->fn = fn;
    hook->arg = ptr;
    hook->next = x->defers;
    x->defers = hook;
}

int weir_after_reply(weir_exchange *x, weir_fn *fn, void *arg)
{
    struct exchange_hook *hook, **end = &x->jobs;

    exchange_check_home(x);
    if (x->job_count == EXCHANGE_JOBS_MAX)
        return weir_fail(WEIR_EFULL, "%d jobs wait for the end of this exchange already",
                         EXCHANGE_JOBS_MAX);
    hook = arena_zalloc(&x->arena, sizeof(*hook));
    if (!hook)
        return -ENOMEM;
    hook->job = fn;
    hook->arg = arg;
    while (*end)
        end = &(*end)->next;
    *end = hook;
    x->job_count++;
    return 0;
}

/* ---- the request ------------------------------------------------------------------ */

weir_str weir_method(const weir_exchange *x)
{
    exchange_check_home(x);
    return x->head->method_text;
}

weir_str weir_path(const weir_exchange *x)
{
    exchange_check_home(x);
    return x->head->path;
}

weir_str weir_query(const weir_exchange *x)
{
    exchange_check_home(x);
    return x->head->query;
}

weir_str weir_authority(const weir_exchange *x)
{
    exchange_check_home(x);
    return x->head->authority;
}

weir_str weir_header(const weir_exchange *x, const char *name)
{
    const struct http_field *f;

    exchange_check_home(x);
    f = http_field_named(x->head, weir_str_c(name), NULL);
    return f ? http_field_value(f) : weir_str_from(NULL, 0);
}

weir_str weir_param(const weir_exchange *x, const char *name)
{
    weir_str wanted = weir_str_c(name);

    exchange_check_home(x);
    for (uint32_t i = 0; i < x->param_count; i++)
        if (weir_str_eq(x->params[i].name, wanted))
            return x->params[i].value;
    return weir_str_from(NULL, 0);
}

int64_t weir_param_i64(const weir_exchange *x, const char *name)
{
    weir_str s = weir_param(x, name);
    bool minus = s.len > 0 && s.ptr[0] == '-';
    int64_t n = 0;

    if (s.len == (size_t)minus)
        return 0;
    for (size_t i = minus; i < s.len; i++) {
        int digit = s.ptr[i] - '0';

        if (digit < 0 || digit > 9 || __builtin_mul_overflow(n, 10, &n) ||
            __builtin_sub_overflow(n, digit, &n))
            return 0;
    }
    return minus ? n : n == INT64_MIN ? 0 : -n; /* summed below zero, where there is more room */
}

weir_str weir_client_address(weir_exchange *x)
{
    struct addr addr;

    exchange_check_home(x);
    if (x->peer[0] == '\0' && x->conn &&
        loop_io(x->home->loop)
                ->address(x->home->loop, x->wire->file(x), true, &addr.storage, &addr.len) == 0)
        return addr_format(&addr, x->peer);
    return weir_str_c(x->peer);
}

int weir_client_tls(const weir_exchange *x, weir_tls_info *ret_info)
{
    const struct io_file *file;

    exchange_check_home(x);
    file = x->conn ? x->wire->file(x) : NULL;
    return file ? tls_layer_info(file, ret_info) : 0;
}

int weir_client_certificate(weir_exchange *x, weir_tls_peer *ret_peer)
{
    const struct io_file *file;

    exchange_check_home(x);
    file = x->conn ? x->wire->file(x) : NULL;
    return file ? tls_layer_peer(file, &x->arena, ret_peer) : 0;
}

bool weir_client_gone(const weir_exchange *x)
{
    exchange_check_home(x);
    return !x->conn || x->gone || x->wire->input_over(x);
}

/* ---- for the layer above ---------------------------------------------------------- */

const struct http_head *exchange_head(const weir_exchange *x)
{
    return x->head;
}

struct arena *exchange_arena(weir_exchange *x)
{
    return &x->arena;
}

int64_t exchange_began_ns(const weir_exchange *x)
{
    return x->began_ns;
}

weir_str exchange_correlation_id(const weir_exchange *x)
{
    return x->context.correlation_id;
}

bool exchange_has_body(const weir_exchange *x)
{
    return x->in != NULL;
}

void exchange_set_params(weir_exchange *x, const struct http_param *params, uint32_t count)
{
    x->params = params;
    x->param_count = count;
}

void exchange_set_data(weir_exchange *x, void *data)
{
    x->data = data;
}

void *exchange_data(const weir_exchange *x)
{
    return x->data;
}

struct http_route *exchange_route(weir_exchange *x)
{
    return &x->route;
}

int exchange_status(const weir_exchange *x)
{
    return x->status;
}
