/* Turning the sample services' knobs.
 *
 *     POST /demo/orders?up=false
 *     POST /demo/orders?latency_ms=200&jitter_ms=50&error_rate=0.1
 *     GET  /demo
 *
 * All settings of a request are read before the first is made, so that a request
 * with a mistake changes nothing. */
#include "demo/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>
#include <weir/run.h>

#define CONTROL_WAIT_MS 2000
#define CONTROL_POLL_MS 5

struct state {
    weir_str service;
    uint16_t port;
    bool up;
    uint32_t latency_ms, jitter_ms;
    double error_rate;
    uint64_t calls;
};

static WEIR_TYPE(state_type, struct state, WEIR_STR(service), WEIR_U16(port), WEIR_BOOL(up),
                 WEIR_U32(latency_ms), WEIR_U32(jitter_ms), WEIR_F64(error_rate), WEIR_U64(calls));

/* What a request sets; -1: leave it. */
struct settings {
    int up, errors;
    long latency_ms, jitter_ms;
};

static struct state state_of(const struct sample *sample)
{
    return (struct state){
        .service = weir_str_c(sample->kind->name),
        .port = sample->port,
        .up = atomic_load(&sample->up),
        .latency_ms = atomic_load(&sample->latency_ms),
        .jitter_ms = atomic_load(&sample->jitter_ms),
        .error_rate = atomic_load(&sample->errors) / 1e4,
        .calls = atomic_load(&sample->calls),
    };
}

/* ---- reading ---------------------------------------------------------------------- */

static bool read_ms(const char *value, long *ret_ms)
{
    char *end;
    long ms;

    errno = 0;
    ms = strtol(value, &end, 10);
    if (errno || end == value || *end || ms < 0 || ms > SAMPLE_LATENCY_MAX_MS)
        return false;
    *ret_ms = ms;
    return true;
}

static bool read_rate(const char *value, int *ret_errors)
{
    char *end;
    double rate = strtod(value, &end);

    if (end == value || *end || !(rate >= 0 && rate <= 1))
        return false;
    *ret_errors = (int)(rate * 1e4 + 0.5);
    return true;
}

static bool read_setting(struct settings *s, const char *name, const char *value)
{
    if (strcmp(name, "latency_ms") == 0)
        return read_ms(value, &s->latency_ms);
    if (strcmp(name, "jitter_ms") == 0)
        return read_ms(value, &s->jitter_ms);
    if (strcmp(name, "error_rate") == 0)
        return read_rate(value, &s->errors);
    if (strcmp(name, "up") != 0)
        return false;
    s->up = strcmp(value, "true") == 0;
    return s->up || strcmp(value, "false") == 0;
}

/* name=value pairs; nothing that is set here needs percent-encoding. */
static bool read_settings(weir_str query, struct settings *s)
{
    char text[256], *pair = text, *next;

    if (query.len == 0 || query.len >= sizeof(text))
        return false;
    memcpy(text, query.ptr, query.len);
    text[query.len] = '\0';
    for (; pair; pair = next) {
        char *value = strchr(pair, '=');

        next = strchr(pair, '&');
        if (next)
            *next++ = '\0';
        if (!value || (next && value > next))
            return false;
        *value++ = '\0';
        if (!read_setting(s, pair, value))
            return false;
    }
    return true;
}

/* ---- handlers ---------------------------------------------------------------------- */

/* Have loop 0 start or stop it, and wait until it has. */
static int settle(struct sample *sample, bool up)
{
    int rc;

    atomic_store(&sample->wanted, up);
    if (atomic_load(&sample->up) == up)
        return 0;
    rc = weir_submit(0, sample_settle, sample);
    for (int ms = 0; rc == 0 && atomic_load(&sample->up) != up; ms += CONTROL_POLL_MS) {
        if (ms >= CONTROL_WAIT_MS)
            return weir_fail(-ETIMEDOUT, "service %s did not change", sample->kind->name);
        rc = weir_sleep_ms(CONTROL_POLL_MS);
    }
    return rc;
}

static struct sample *find(weir_exchange *x)
{
    struct demo *demo = weir_route_data(x);
    weir_str name = weir_param(x, "service");

    for (size_t i = 0; i < SAMPLES; i++) {
        if (weir_str_eq(name, weir_str_c(demo->samples[i].kind->name)))
            return &demo->samples[i];
    }
    return NULL;
}

static int reply(weir_exchange *x, const struct sample *sample)
{
    struct state state = state_of(sample);

    return weir_reply_json(x, 200, &state_type, &state);
}

static int show(weir_exchange *x)
{
    struct sample *sample = find(x);

    return sample ? reply(x, sample) : weir_problem(x, 404, "there is no such service");
}

static int change(weir_exchange *x)
{
    struct settings s = { -1, -1, -1, -1 };
    struct sample *sample = find(x);
    int rc;

    if (!sample)
        return weir_problem(x, 404, "there is no such service");
    if (!read_settings(weir_query(x), &s))
        return weir_problem(x, 400,
                            "set one or more of ?up=true, false; latency_ms=0 to %d; "
                            "jitter_ms=0 to %d; error_rate=0 to 1",
                            SAMPLE_LATENCY_MAX_MS, SAMPLE_LATENCY_MAX_MS);
    if (s.latency_ms >= 0)
        atomic_store(&sample->latency_ms, (unsigned)s.latency_ms);
    if (s.jitter_ms >= 0)
        atomic_store(&sample->jitter_ms, (unsigned)s.jitter_ms);
    if (s.errors >= 0)
        atomic_store(&sample->errors, (unsigned)s.errors);
    rc = s.up >= 0 ? settle(sample, s.up == 1) : 0;
    return rc < 0 ? rc : reply(x, sample);
}

static int list(weir_exchange *x)
{
    const struct demo *demo = weir_route_data(x);
    struct state states[SAMPLES];

    for (size_t i = 0; i < SAMPLES; i++)
        states[i] = state_of(&demo->samples[i]);
    return weir_reply_json_array(x, 200, &state_type, states, SAMPLES);
}

void control_routes(weir_app *app, void *demo)
{
    weir_get(app, "/demo", list, .data = demo);
    weir_get(app, "/demo/{service}", show, .data = demo);
    weir_post(app, "/demo/{service}", change, .data = demo);
}
