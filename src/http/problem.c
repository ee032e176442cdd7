/* Problem responses (RFC 9457), and which failure becomes which.
 *
 * A client is told what it can act on: the status, and a detail where its own
 * request was at fault. What went wrong inside stands in the log, under the id
 * that the problem carries as its instance. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "http/exchange.h"

#define DETAIL_MAX 400
#define PROBLEM_BYTES (6 * DETAIL_MAX + 672) /* an escape is six bytes at most */

struct text {
    char *at, *end;
};

static void put(struct text *t, weir_str s)
{
    size_t n = s.len < (size_t)(t->end - t->at) ? s.len : (size_t)(t->end - t->at);

    if (n > 0)
        memcpy(t->at, s.ptr, n);
    t->at += n;
}

/* The inside of a JSON string (RFC 8259, section 7). */
static void put_json(struct text *t, weir_str s)
{
    char escape[8];

    while (s.len > 0) {
        unsigned char c = (unsigned char)s.ptr[0];
        size_t n = utf8_len(s);

        if (n == 0) {
            put(t, WEIR_S("\xef\xbf\xbd"));
            n = 1;
        } else if (c == '"' || c == '\\' || c < 0x20) {
            int len = c < 0x20 ? snprintf(escape, sizeof(escape), "\\u%04x", c)
                               : snprintf(escape, sizeof(escape), "\\%c", c);

            put(t, weir_str_from(escape, (size_t)len));
        } else {
            put(t, weir_str_from(s.ptr, n));
        }
        s = weir_str_skip(s, n);
    }
}

int exchange_problem(weir_exchange *x, int status, weir_str detail)
{
    return exchange_problem_of(x, &(struct http_problem){ .status = status, .detail = detail });
}

int exchange_problem_of(weir_exchange *x, const struct http_problem *problem)
{
    char body[PROBLEM_BYTES], number[32];
    struct text t = { body, body + sizeof(body) };
    weir_str title = http_reason(problem->status), detail = problem->detail;
    weir_str errors = problem->errors;
    int len;

    put(&t, WEIR_S("{\"type\":\"about:blank\",\"title\":\""));
    put_json(&t, title.len ? title : WEIR_S("Error"));
    len = snprintf(number, sizeof(number), "\",\"status\":%d", problem->status);
    put(&t, weir_str_from(number, (size_t)len));
    if (x->context.correlation_id.len) {
        put(&t, WEIR_S(",\"instance\":\"urn:weir:exchange:"));
        put_json(&t, x->context.correlation_id);
        put(&t, WEIR_S("\""));
    }
    if (detail.len) {
        put(&t, WEIR_S(",\"detail\":\""));
        put_json(&t, weir_str_from(detail.ptr, detail.len < DETAIL_MAX ? detail.len : DETAIL_MAX));
        put(&t, WEIR_S("\""));
    }
    if (errors.len && errors.len + 16 < (size_t)(t.end - t.at)) { /* whole, or not at all */
        put(&t, WEIR_S(",\"errors\":"));
        put(&t, errors);
    }
    put(&t, WEIR_S("}\n"));
    return exchange_reply(x, problem->status, WEIR_S("application/problem+json"),
                          weir_str_from(body, (size_t)(t.at - body)));
}

int weir_problem(weir_exchange *x, int status, const char *fmt, ...)
{
    char detail[DETAIL_MAX + 1];
    int rc = x->at_once ? 0 : rt_check(), len;
    va_list args;

    if (rc < 0)
        return rc;
    va_start(args, fmt);
    len = vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);
    if (len < 0)
        return weir_fail(-EINVAL, "the problem's text can't be formatted");
    return exchange_problem(x, status, weir_str_c(detail));
}

static int status_of_category(int rc)
{
    switch (weir_error_category(rc)) {
    case WEIR_CATEGORY_TIMEOUT: return 504;
    case WEIR_CATEGORY_CANCEL: return 503;
    case WEIR_CATEGORY_PEER:
    case WEIR_CATEGORY_PROTOCOL: return 502;
    case WEIR_CATEGORY_LIMIT: return 503;
    case WEIR_CATEGORY_INPUT: return 400;
    default: return 500;
    }
}

void http_problem_of(weir_exchange *x, int rc, const struct chain *chain,
                     struct http_problem *ret_problem)
{
    const struct exchange_body *in = x->in;

    (void)chain;
    *ret_problem = (struct http_problem){ .status = status_of_category(rc) };
    if (in && in->failed && in->failed == rc) { /* the request's own body */
        ret_problem->status = in->fault_status;
        if (in->fault.rule)
            ret_problem->detail = weir_str_c(in->fault.rule);
        else if (in->fault_status == 408)
            ret_problem->detail = WEIR_S("the request's body came too slowly");
        return;
    }
    switch (rc) {
    case WEIR_EINPUT: ret_problem->status = 422; break;
    case -ENOMEM:
    case -EBUSY:
    case -EAGAIN:
    case -EMFILE:
    case -ENFILE:
    case -ENOBUFS: ret_problem->status = 503; break;
    default: break;
    }
}
