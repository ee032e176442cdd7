/* Passing requests on to one service.
 *
 * Both bodies go through in pieces: a piece is read only when the one before it
 * was taken by the other side, so that a slow reader slows the writer down, and
 * memory does not grow. The handler's task carries the answer; a request's body
 * has a task of its own, since a service may answer before it has read it all.
 *
 * States of a passage: OPENING -> (UPLOADING) -> WAITING for the head -> ANSWERING
 * -> over. A failure before the head becomes a problem response; after it the
 * client's connection ends visibly incomplete, because the handler fails.
 *
 * The service's timeout is for the connection, and then for the head, from when
 * the request's body is out; a body in either direction may take as long as it
 * moves. */
#include "gateway/gateway.h"

#include <errno.h>

#include <weir/error.h>
#include <weir/run.h>

#include "gateway/proxy.h"
#include "http/server.h"

#define PROXY_STALL_MS 60000          /* a service that neither takes nor gives a byte */
#define PROXY_HEAD_BYTES_MAX (1 << 30) /* longer answers to HEAD lose their length */

struct passage {
    weir_exchange *x;
    const struct proxy *proxy;
    struct service *service;
    weir_request *request;
    weir_response response;
    weir_scope scope;
    weir_ticket ticket;
    enum outcome outcome;
    int64_t began_ns, head_ns;
    int upload;    /* the client's fault with the body, or 0 */
    bool answered; /* the head of the answer is there */
    bool late;     /* it did not come in time */
    bool hurried;  /* the service was not given the time that it is due */
};

/* ---- the request's body, as a task ----------------------------------------------------- */

static int send_piece(struct passage *p, weir_str data)
{
    int rc = -ECANCELED;

    WEIR_SCOPE(s, .timeout_ms = PROXY_STALL_MS, .name = "proxied body") {
        rc = weir_request_write(p->request, data);
    }
    return rc;
}

/* After the body: is the answer there in time? */
static int watch_head(struct passage *p)
{
    int rc = weir_sleep_ms(p->service->timeout_ms);

    if (rc == 0 && !p->answered) {
        p->late = true;
        weir_cancel(p->scope);
    }
    return rc;
}

/* A service that no longer reads may still answer: that is seen by whoever waits
 * for the answer. A client that does not send its body is at fault itself. */
static int upload(void *arg)
{
    struct passage *p = arg;
    weir_str data;
    ssize_t n;
    int rc = 0;

    while (rc == 0 && (n = weir_body_read(p->x, &data)) != 0) {
        if (n == -ECANCELED || n == -ETIMEDOUT)
            return (int)n; /* the passage is over, for another reason */
        if (n < 0) {
            p->upload = (int)n;
            weir_cancel(p->scope);
            return (int)n;
        }
        rc = send_piece(p, data);
    }
    if (rc == 0)
        rc = weir_request_end(p->request);
    return rc == -ECANCELED ? rc : watch_head(p);
}

/* ---- the request ------------------------------------------------------------------------- */

static weir_str make_url(const struct passage *p)
{
    weir_str path = weir_path(p->x), query = weir_query(p->x);

    if (query.ptr)
        return weir_format("%s%.*s?%.*s", p->service->base, WEIR_ARG(path), WEIR_ARG(query));
    return weir_format("%s%.*s", p->service->base, WEIR_ARG(path));
}

static int open_request(struct passage *p)
{
    const struct http_head *head = exchange_head(p->x);
    weir_str url = make_url(p), method = weir_str_dup(weir_method(p->x));
    const weir_http_field *fields;
    uint64_t stream_bytes = 0;
    int rc = proxy_request_fields(p->x, &fields);

    if (!method.ptr)
        rc = -ENOMEM;
    if (rc < 0)
        return rc;
    if (exchange_has_body(p->x))
        stream_bytes = head->body == HTTP_BODY_LENGTH ? (uint64_t)head->content_length
                                                      : WEIR_CHUNKED;
    WEIR_SCOPE(s, .timeout_ms = p->service->timeout_ms, .name = "proxied request") {
        rc = weir_request_open(url, &p->request, .client = p->service->client, .method = method.ptr,
                               .headers = fields, .stream_bytes = stream_bytes);
    }
    p->hurried = rc == -ETIMEDOUT; /* in line for a connection: making one has its own limit */
    return rc;
}

static int await_head(struct passage *p, bool uploading)
{
    uint32_t timeout_ms = uploading ? 0 : p->service->timeout_ms;
    int rc = -ECANCELED;

    WEIR_SCOPE(s, .timeout_ms = timeout_ms, .name = "proxied answer") {
        rc = weir_response_head(p->request, &p->response);
        p->hurried = rc == -ETIMEDOUT && !weir_timed_out(s);
    }
    if (rc < 0)
        return p->late ? weir_fail(-ETIMEDOUT, "no answer from service \"%s\" within %u ms",
                                   p->service->name, p->service->timeout_ms)
                       : rc;
    p->answered = true;
    p->head_ns = weir_now().ns;
    if (p->response.status < 200 || p->response.status > 599)
        return weir_fail(WEIR_EHEAD, "service \"%s\" answered with status %d", p->service->name,
                         p->response.status);
    return 0;
}

/* ---- the answer ---------------------------------------------------------------------------- */

/* An answer to HEAD has the length of what GET would give, and none of it. */
static int pass_no_body(weir_exchange *x, int64_t length)
{
    static const char nothing[65536];

    while (length > 0) {
        size_t n = length < (int64_t)sizeof(nothing) ? (size_t)length : sizeof(nothing);
        int rc = weir_write(x, weir_str_from(nothing, n));

        if (rc < 0)
            return rc;
        length -= (int64_t)n;
    }
    return 0;
}

static int begin_answer(struct passage *p, bool head_only)
{
    int64_t length = p->response.content_length;
    int rc;

    if (length < 0 || (head_only && length > PROXY_HEAD_BYTES_MAX))
        length = WEIR_UNKNOWN_LENGTH;
    rc = proxy_response_fields(p->x, &p->response);
    if (rc < 0)
        p->outcome = outcome_of_code(rc);
    else
        rc = weir_reply_begin(p->x, p->response.status, NULL, length);
    return rc == 0 && head_only ? pass_no_body(p->x, length) : rc;
}

static ssize_t read_piece(struct passage *p, weir_str *ret_data)
{
    ssize_t n = -ECANCELED;

    WEIR_SCOPE(s, .timeout_ms = PROXY_STALL_MS, .name = "proxied answer") {
        n = weir_response_read(p->request, ret_data);
    }
    return n;
}

static int pass_answer(struct passage *p)
{
    int status = p->response.status;
    bool head_only = exchange_head(p->x)->method == HTTP_HEAD;
    int rc = begin_answer(p, head_only);
    weir_str data;
    ssize_t n = 0;

    if (rc < 0 || head_only || status == 204 || status == 304)
        return rc;
    while (rc == 0 && (n = read_piece(p, &data)) > 0)
        rc = weir_write(p->x, data);
    if (n < 0) {
        p->outcome = outcome_of_code((int)n);
        return weir_wrap((int)n, "the answer of service \"%s\" ended too early", p->service->name);
    }
    return rc;
}

/* ---- the whole --------------------------------------------------------------------------------- */

/* Does the request hold what the client can't write? That is no fault of the service. */
static bool is_unsendable(const struct passage *p, int rc)
{
    return !p->request && (rc == -EINVAL || rc == WEIR_EHEADSIZE);
}

/* What the service did, as soon as that is known. */
static void judge(struct passage *p, int rc)
{
    bool cancelled = rc < 0 && (p->upload < 0 || outcome_of_code(rc) == OUTCOME_CANCELLED);

    p->outcome = cancelled              ? OUTCOME_CANCELLED
                 : is_unsendable(p, rc) ? OUTCOME_NOT_SENT
                 : rc < 0               ? outcome_of_code(rc)
                                        : outcome_of_status(p->response.status);
    if (rc == 0 && p->outcome == OUTCOME_BAD_ANSWER)
        p->outcome = OUTCOME_OK; /* a redirect is the client's to follow */
    service_leave(p->service, &p->ticket, p->outcome, !p->hurried);
}

static int pass(struct passage *p)
{
    bool uploading = exchange_has_body(p->x);
    int rc = -ECANCELED;

    WEIR_SCOPE(s, .timeout_ms = p->proxy->timeout_ms, .name = p->proxy->stats.path) {
        p->scope = s;
        rc = open_request(p);
        if (rc == 0 && uploading)
            weir_go(s, upload, p, .optional = true, .name = "proxied body");
        if (rc == 0)
            rc = await_head(p, uploading);
        judge(p, rc);
        if (rc == 0)
            rc = pass_answer(p);
        break; /* what is left of the request's body is of no use */
    }
    weir_request_close(p->request);
    return rc;
}

static int refuse(const struct passage *p, int rc)
{
    char text[CAUSE_BYTES];
    const char *cause = outcome_cause(p->outcome, 0, p->service->timeout_ms, text);
    weir_str what;
    int answered;

    if (p->outcome == OUTCOME_NOT_SENT) {
        weir_recover();
        return weir_problem(p->x, rc == WEIR_EHEADSIZE ? 431 : 400,
                            "the request can't be passed on as it is");
    }
    if (outcome_status(p->outcome) < 400)
        return rc; /* the service did its part */
    if (p->hurried && !p->request)
        cause = "had no connection free in time";
    what = weir_format("service `%s` %s", p->service->name, cause);
    answered = what.ptr ? service_problem(p->x, p->outcome, what.ptr) : -ENOMEM;
    /* The request's line in the log tells the cause with this code. */
    return answered < 0 ? answered : weir_wrap(rc, "%s", what.ptr);
}

/* What is not passed on, whoever asks. 0: nothing is in the way. */
static int refused_method(weir_exchange *x, int *ret_rc)
{
    const struct http_head *head = exchange_head(x);

    /* RFC 9110, section 9.3.8: an echo of what the gateway adds. */
    if (head->method == HTTP_TRACE)
        *ret_rc = weir_problem(x, 405, "TRACE is not passed on");
    /* Section 7.8: an upgrade may be ignored; one to h2c is only an offer. */
    else if (head->upgrade && !weir_str_eq_nocase(http_field(head, HTTP_UPGRADE), WEIR_S("h2c")))
        *ret_rc = weir_problem(x, 501, "upgrades are not passed on");
    else
        return 0;
    return 1;
}

int proxy_handle(weir_exchange *x)
{
    const struct proxy *proxy = weir_route_data(x);
    struct passage p = {
        .x = x, .proxy = proxy, .service = proxy->service, .began_ns = weir_now().ns
    };
    int rc = weir_set_header(x, "X-Request-ID", weir_context_get()->correlation_id);

    if (rc < 0 || refused_method(x, &rc))
        return rc;
    p.outcome = service_enter(p.service, &p.ticket);
    rc = p.outcome == OUTCOME_NONE ? pass(&p) : WEIR_EBREAKER;
    service_count(p.service, p.outcome, p.answered ? p.head_ns - p.began_ns : -1);
    if (p.upload < 0 && !weir_replied(x))
        rc = p.upload;
    else if (rc < 0 && !weir_replied(x) && rc != -ECANCELED)
        rc = refuse(&p, rc);
    route_count(&proxy->stats,
                p.outcome == OUTCOME_OK || p.outcome == OUTCOME_CLIENT_ERROR ? ROUTE_OK
                                                                             : ROUTE_FAILED,
                weir_now().ns - p.began_ns);
    return rc;
}
