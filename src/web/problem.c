/* What a handler's failure becomes for the client (RFC 9457).
 *
 * http_problem_of() maps codes to a status; here stands what needs to know of
 * bodies and routes. What an error's chain says is for the log: a client learns of
 * its own request only, never of the inside. */
#include "web/app.h"

#define PROBLEM_ERRORS_BYTES 2048 /* so that the whole answer needs one small write */
#define PROBLEM_RETRY_AFTER "1"

static void add_fault(struct strbuf *out, const weir_fault *fault)
{
    strbuf_add_c(out, "{\"pointer\":");
    strbuf_add_json(out, fault->path);
    strbuf_add_c(out, ",\"detail\":");
    strbuf_add_json(out, fault->message);
    if (fault->hint.len > 0) {
        strbuf_add_c(out, ",\"hint\":");
        strbuf_add_json(out, fault->hint);
    }
    strbuf_add_char(out, '}');
}

/* [{"pointer":"/age","detail":"…"}, …]: those that fit; *ret_told says how many. */
static weir_str print_faults(struct arena *arena, const weir_faults *faults, size_t *ret_told)
{
    struct strbuf out = STRBUF_INIT, one = STRBUF_INIT;
    weir_str text;

    *ret_told = 0;
    strbuf_add_char(&out, '[');
    for (size_t i = 0; i < faults->count; i++) {
        strbuf_clear(&one);
        add_fault(&one, &faults->list[i]);
        if (out.len + one.len + 2 > PROBLEM_ERRORS_BYTES)
            break;
        if (i > 0)
            strbuf_add_char(&out, ',');
        strbuf_add(&out, strbuf_str(&one));
        ++*ret_told;
    }
    strbuf_add_char(&out, ']');
    text = arena_dup(arena, strbuf_str(&out));
    strbuf_done(&out);
    strbuf_done(&one);
    return text;
}

static void tell_faults(weir_exchange *x, int rc, const weir_faults *faults,
                        struct http_problem *ret_problem)
{
    struct arena *arena = exchange_arena(x);
    size_t told, all = faults->count + faults->left_out;

    ret_problem->status = rc == WEIR_EJSON ? 400 : 422;
    ret_problem->errors = print_faults(arena, faults, &told);
    if (rc == WEIR_EJSON)
        ret_problem->detail = WEIR_S("the body is not valid JSON");
    else if (told < all)
        ret_problem->detail = arena_format(arena,
                                           "the body has %zu faults; these are the first "
                                           "%zu",
                                           all, told);
    else
        ret_problem->detail = arena_format(arena, "the body has %zu fault%s", all,
                                           all == 1 ? "" : "s");
}

/* Codes that speak of a message without saying whose it was. Where the request's
 * own body was at fault, that is known by now: this was a service's answer. */
static int status_of_answer(int rc, int otherwise)
{
    switch (rc) {
    case WEIR_EJSON:
    case WEIR_EINPUT:
    case WEIR_EHEADSIZE:
    case WEIR_EBODYSIZE: return 502;
    case WEIR_EPEERTIMEOUT: return 504;
    default: return otherwise;
    }
}

static bool of_request(int status)
{
    return status == 400 || status == 408 || status == 413 || status == 431;
}

void app_map_failure(void *arg, weir_exchange *x, int rc, const struct chain *chain,
                     struct http_problem *ret_problem)
{
    const struct app_exchange *own = exchange_data(x);
    bool fits_not = own && own->faults.count > 0;

    (void)arg;
    http_problem_of(x, rc, chain, ret_problem);
    if (own && own->not_json && rc == WEIR_EJSON) {
        ret_problem->status = 415;
        ret_problem->detail = WEIR_S("the body must be JSON, and its Content-Type say so");
    } else if (fits_not && (rc == WEIR_EINPUT || rc == WEIR_EJSON)) {
        tell_faults(x, rc, &own->faults, ret_problem);
    } else if (rc == WEIR_EJSON || rc == WEIR_EINPUT || !of_request(ret_problem->status)) {
        ret_problem->status = status_of_answer(rc, ret_problem->status);
    }
    if (ret_problem->status == 503)
        WEIR_IGNORE(weir_set_header(x, "Retry-After", WEIR_S(PROBLEM_RETRY_AFTER)),
                    "the answer goes without it");
}
