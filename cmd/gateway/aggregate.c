/* One answer out of several services'.
 *
 * The parts are called at once, in one scope with the route's deadline; each waits
 * for its pool's permit before it has a stack. A required part's failure cancels
 * the others and becomes the answer: 502, 503 or 504. Another part's becomes its
 * fallback, and its key stands in the field Weir-Degraded. Bodies are checked and
 * spliced in as bytes, in the order of the configuration.
 *
 * States of a call: OUTCOME_NONE -> (started) -> any other; one whose breaker
 * refuses is never started. Invariant: a ticket is left exactly once, by the call's
 * task, or by end_call() when that never ran.
 *
 * Everything is in the exchange's arena: a warm request takes nothing from the
 * heap. */
#include "gateway/gateway.h"

#include <errno.h>
#include <string.h>

#include <weir/error.h>
#include <weir/json.h>
#include <weir/run.h>
#include <weir/url.h>

#include "gateway/target.h"

struct run;

struct call {
    const struct part *part;
    struct run *run;
    weir_str url;
    weir_str body;      /* when it is OUTCOME_OK */
    weir_ticket ticket;
    int rc;
    int status;         /* of the answer, if there was one */
    enum outcome outcome;
    bool queued, started;
};

struct run {
    const struct aggregate *aggregate;
    struct call *failed; /* the first required one */
    size_t degraded;
    int64_t began_ns;
    bool late;           /* the route's time is over */
    struct call calls[];
};

static const weir_http_field call_fields[] = {
    { WEIR_S("Accept"), WEIR_S("application/json") },
    { { NULL, 0 }, { NULL, 0 } },
};

/* ---- one part, as a task ----------------------------------------------------------- */

static int judge(struct call *c, int rc, const weir_response *response)
{
    if (rc < 0) {
        c->outcome = outcome_of_code(rc);
        return rc;
    }
    c->status = response->status;
    c->outcome = outcome_of_status(response->status);
    if (c->outcome != OUTCOME_OK)
        return weir_fail(WEIR_ESTATUS, "service \"%s\" answered %d", c->part->service->name,
                         response->status);
    rc = weir_json_check(response->body, NULL);
    if (rc < 0) {
        c->outcome = rc == -ENOMEM ? OUTCOME_NO_RESOURCES : OUTCOME_BAD_ANSWER;
        return weir_wrap(rc, "the answer of service \"%s\"", c->part->service->name);
    }
    c->body = response->body;
    return 0;
}

static int call_run(void *arg)
{
    struct call *c = arg;
    struct service *service = c->part->service;
    int64_t began_ns = weir_now().ns;
    weir_response response;
    bool fair = false;
    int rc = -ECANCELED;

    c->started = true;
    weir_gauge_add(service->waiting, -1);
    WEIR_SCOPE(s, .timeout_ms = service->timeout_ms, .name = service->name) {
        rc = weir_fetch(c->url, &response, .client = service->client, .headers = call_fields);
        fair = rc != -ETIMEDOUT || weir_timed_out(s);
    }
    rc = c->rc = judge(c, rc, &response);
    service_leave(service, &c->ticket, c->outcome, fair);
    service_count(service, c->outcome, weir_now().ns - began_ns);
    if (rc < 0 && c->part->required && !c->run->failed && c->outcome != OUTCOME_CANCELLED)
        c->run->failed = c;
    return rc;
}

/* ---- all parts ---------------------------------------------------------------------- */

static int make_url(weir_exchange *x, const struct part *part, weir_str *ret_url)
{
    weir_value values[TARGET_PARAMS_MAX];

    *ret_url = part->url;
    if (part->url.ptr)
        return 0;
    for (size_t i = 0; i < part->param_count; i++)
        values[i] = weir_value_str(weir_param(x, part->params[i]));
    *ret_url = weir_url_format(part->format, values, part->param_count);
    return !ret_url->ptr ? -ENOMEM : ret_url->len == 0 ? -EINVAL : 0;
}

static int make_run(weir_exchange *x, const struct aggregate *a, struct run **ret_run)
{
    struct run *run = weir_alloc(sizeof(*run) + a->part_count * sizeof(run->calls[0]));

    if (!run)
        return -ENOMEM;
    *run = (struct run){ .aggregate = a, .began_ns = weir_now().ns };
    for (size_t i = 0; i < a->part_count; i++) {
        struct call *c = &run->calls[i];
        int rc;

        *c = (struct call){ .part = &a->parts[i], .run = run };
        rc = make_url(x, c->part, &c->url);
        if (rc < 0)
            return rc;
    }
    *ret_run = run;
    return 0;
}

/* Has an earlier part got the probe of this one's service? Both are called then: a
 * route that requires both would give the probe back each time, and the service
 * would never be had again. */
static bool probed_already(const struct run *run, const struct call *c)
{
    for (const struct call *earlier = run->calls; earlier < c; earlier++) {
        if (earlier->part->service == c->part->service && earlier->outcome == OUTCOME_NONE)
            return true;
    }
    return false;
}

/* Ask every breaker before the first call: when a required part can't be had, no
 * other service is troubled. */
static void enter_all(struct run *run)
{
    for (size_t i = 0; i < run->aggregate->part_count && !run->failed; i++) {
        struct call *c = &run->calls[i];

        c->outcome = service_enter(c->part->service, &c->ticket);
        if (c->outcome != OUTCOME_NONE && c->part->required && probed_already(run, c))
            c->outcome = OUTCOME_NONE;
        if (c->outcome == OUTCOME_NONE)
            continue;
        service_count(c->part->service, c->outcome, -1);
        c->rc = WEIR_EBREAKER;
        if (c->part->required)
            run->failed = c;
    }
}

static void start_all(weir_scope s, struct run *run)
{
    for (size_t i = 0; i < run->aggregate->part_count; i++) {
        struct call *c = &run->calls[i];

        if (c->outcome != OUTCOME_NONE)
            continue;
        c->queued = true;
        weir_gauge_add(c->part->service->waiting, 1);
        weir_go(s, call_run, c, .name = c->part->service->name, .optional = !c->part->required,
                .needs = c->part->service->permits);
        if (weir_cancel_reason(NULL) == WEIR_REASON_NONE)
            continue;
        /* Nothing else has run: this part was refused at once. */
        if (!run->failed && weir_cancel_reason(NULL) == WEIR_REASON_FAILURE)
            run->failed = c;
        return;
    }
}

/* A call whose task never ran: no permit came, or it was not even begun. */
static void end_call(struct run *run, struct call *c, int rc)
{
    struct service *service = c->part->service;

    if (c->queued)
        weir_gauge_add(service->waiting, -1);
    c->rc = c == run->failed ? rc : run->late ? -ETIMEDOUT : rc < 0 ? -ECANCELED : WEIR_EFULL;
    c->outcome = outcome_of_code(c->rc);
    service_leave(service, &c->ticket, c->outcome, false);
    if (c->queued)
        service_count(service, c->outcome, -1);
    if (run->late && c->part->required && !run->failed)
        run->failed = c;
}

static int call_all(struct run *run)
{
    int rc = WEIR_EBREAKER;

    enter_all(run);
    if (!run->failed) {
        WEIR_SCOPE(s, .timeout_ms = run->aggregate->timeout_ms,
                   .name = run->aggregate->stats.path) {
            start_all(s, run);
            rc = weir_join(s);
            run->late = weir_timed_out(s);
        }
    }
    for (size_t i = 0; i < run->aggregate->part_count; i++) {
        struct call *c = &run->calls[i];

        if (!c->started && c->outcome == OUTCOME_NONE)
            end_call(run, c, rc);
        run->degraded += c->outcome != OUTCOME_OK;
    }
    return rc;
}

/* ---- the answer ----------------------------------------------------------------------- */

static char *append(char *at, weir_str text)
{
    memcpy(at, text.ptr, text.len);
    return at + text.len;
}

static int tell_degraded(weir_exchange *x, const struct run *run)
{
    size_t room = 0;
    char *list, *at;

    for (size_t i = 0; i < run->aggregate->part_count; i++)
        room += strlen(run->aggregate->parts[i].key) + 2;
    list = at = weir_alloc(room);
    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < run->aggregate->part_count; i++) {
        if (run->calls[i].outcome == OUTCOME_OK)
            continue;
        if (at != list)
            at = append(at, WEIR_S(", "));
        at = append(at, weir_str_c(run->aggregate->parts[i].key));
    }
    return weir_set_header(x, "Weir-Degraded", weir_str_from(list, (size_t)(at - list)));
}

static int merge(weir_exchange *x, const struct run *run)
{
    const struct aggregate *a = run->aggregate;
    size_t bytes = a->frame_bytes;
    char *text, *at;

    for (size_t i = 0; i < a->part_count; i++) {
        const struct call *c = &run->calls[i];

        bytes += c->outcome == OUTCOME_OK ? c->body.len : c->part->fallback.len;
    }
    text = at = weir_alloc(bytes);
    if (!text)
        return -ENOMEM;
    for (size_t i = 0; i < a->part_count; i++) {
        const struct call *c = &run->calls[i];

        at = append(at, c->part->head);
        at = append(at, c->outcome == OUTCOME_OK ? c->body : c->part->fallback);
    }
    *at = '}';
    return weir_reply_json_text(x, 200, weir_str_from(text, bytes));
}

static int refuse(weir_exchange *x, const struct run *run)
{
    const struct call *c = run->failed;
    const struct service *service = c->part->service;
    uint32_t route_ms = run->aggregate->timeout_ms, ms = service->timeout_ms;
    char text[CAUSE_BYTES];
    const char *cause;
    weir_str what;
    int rc;

    ms = ms < route_ms ? ms : route_ms;
    cause = outcome_cause(c->outcome, c->status, ms, text);
    if (c->outcome == OUTCOME_TIMEOUT && !c->started)
        cause = "had no connection free in time";
    what = weir_format("`%s` is required, and service `%s` %s", c->part->key, service->name, cause);
    rc = what.ptr ? service_problem(x, c->outcome, what.ptr) : -ENOMEM;
    /* The request's line in the log tells the cause with this code. */
    return rc < 0 ? rc : weir_wrap(c->rc, "%s", what.ptr);
}

static int answer(weir_exchange *x, const struct run *run)
{
    int rc = 0;

    if (run->failed)
        return refuse(x, run);
    if (run->degraded > 0)
        rc = tell_degraded(x, run);
    return rc < 0 ? rc : merge(x, run);
}

int aggregate_handle(weir_exchange *x)
{
    const struct aggregate *a = weir_route_data(x);
    struct run *run;
    int rc = make_run(x, a, &run);

    if (rc == -EINVAL) {
        weir_recover();
        return weir_problem(x, 400,
                            "a parameter in the path can't be passed on: it is empty, "
                            "`.` or `..`, or too long");
    }
    if (rc < 0)
        return rc;
    rc = weir_set_header(x, "X-Request-ID", weir_context_get()->correlation_id);
    if (rc < 0)
        return rc;
    rc = call_all(run);
    if (rc == 0 || run->failed)
        rc = answer(x, run);
    route_count(&a->stats,
                run->failed || rc < 0 ? ROUTE_FAILED
                : run->degraded       ? ROUTE_DEGRADED
                                      : ROUTE_OK,
                weir_now().ns - run->began_ns);
    return rc;
}
