/* Applications: registration of routes, and the dispatch of each request.
 *
 * States: OPEN (routes are added) -> BUILT (read only, shared by all loops). A
 * failed build stays failed: nothing is served then.
 *
 * Dispatch runs on the loop's stack before the handler's task exists, so that a
 * path that nothing serves costs no stack. On the way to a handler it takes
 * memory from the exchange's arena only. */
#include "web/app.h"

#include <errno.h>
#include <stdio.h>

#include "base/alloc.h"

/* ---- registration -------------------------------------------------------- */

static const char *keep_text(weir_app *app, const char *text)
{
    weir_str copy;

    if (!text)
        return NULL;
    copy = arena_dup(&app->memory, weir_str_c(text));
    app->no_memory |= !copy.ptr;
    return copy.ptr;
}

weir_app *weir_app_new_opt(const weir_app_opts *opts)
{
    weir_app *app = base_calloc(1, sizeof(*app));

    if (!app)
        return NULL;
    arena_init(&app->memory, NULL);
    app->opts = *opts;
    app_fill_opts(&app->opts);
    app->opts.title = keep_text(app, opts->title);
    app->opts.version = keep_text(app, opts->version);
    app->router = router_new();
    if (!app->router || app->no_memory) {
        weir_app_free(app);
        return NULL;
    }
    return app;
}

void weir_app_free(weir_app *app)
{
    if (!app)
        return;
    router_free(app->router);
    strbuf_done(&app->faults);
    arena_reset(&app->memory);
    base_free(app);
}

/* False for what can't be routed: another name, and CONNECT, which has no path. */
static bool find_method(const char *method, enum http_method *ret_method)
{
    if (method[0] == '*' && method[1] == '\0') {
        *ret_method = ROUTE_ANY;
        return true;
    }
    *ret_method = http_method_find(weir_str_c(method));
    return *ret_method != HTTP_OTHER && *ret_method != HTTP_CONNECT;
}

static struct app_route *new_route(weir_app *app, const char *method, weir_str pattern,
                                   weir_handler *handler, const weir_route_opts *opts)
{
    struct app_route *route = arena_zalloc(&app->memory, sizeof(*route));

    if (!route)
        return NULL;
    route->data = opts->data;
    route->how = (struct http_route){
        .handler = handler,
        .name = opts->name ? keep_text(app, opts->name)
                           : arena_format(&app->memory, "%s %s", method, pattern.ptr).ptr,
        .site = opts->site ? opts->site : "",
        .pattern = pattern,
        .body_max_bytes = opts->body_max_bytes,
        .timeout_ms = opts->timeout_ms ? opts->timeout_ms : app->opts.timeout_ms,
        .gone = opts->disconnect == WEIR_DISCONNECT_FINISH ? HTTP_GONE_FINISH : HTTP_GONE_CANCEL,
        .streaming = opts->streaming,
    };
    return route->how.name ? route : NULL;
}

void weir_route_opt(weir_app *app, const char *method, const char *pattern, weir_handler *handler,
                    const weir_route_opts *opts)
{
    enum http_method number;
    struct app_route *route;
    weir_str text;

    if (!app)
        return;
    if (app->built || !find_method(method, &number)) {
        app->fault_count++;
        strbuf_addf(&app->faults, "%s: %s %s: %s\n", opts->site ? opts->site : "", method, pattern,
                    app->built ? "the application has started: routes are added before that"
                               : "no method of that name can be routed; * stands for every one");
        return;
    }
    text = arena_dup(&app->memory, weir_str_c(pattern));
    route = text.ptr ? new_route(app, method, text, handler, opts) : NULL;
    if (!route || router_add(app->router, number, text, route->how.site, route) < 0)
        app->no_memory = true;
}

int app_build(weir_app *app)
{
    int faults;

    if (!app || app->no_memory)
        return -ENOMEM;
    if (!app->built) {
        app->built = true;
        faults = router_build(app->router, &app->faults);
        if (faults < 0)
            app->no_memory = true;
        else
            app->fault_count += faults;
    }
    if (app->no_memory || app->faults.bad)
        return -ENOMEM;
    return app->fault_count ? WEIR_ECONFIG : 0;
}

int weir_app_check(weir_app *app, char *text, size_t size)
{
    int rc = app_build(app);

    if (size > 0)
        snprintf(text, size, "%.*s",
                 WEIR_ARG(rc == WEIR_ECONFIG ? strbuf_str(&app->faults) : WEIR_S("")));
    return rc;
}

/* ---- dispatch ------------------------------------------------------------ */

static void answer(weir_exchange *x, int status, const char *detail)
{
    WEIR_IGNORE(weir_problem(x, status, "%s", detail),
                "an answer that can't be written ends the connection");
}

static void answer_allow(weir_exchange *x, enum http_method method, uint16_t allow)
{
    char text[ROUTE_ALLOW_BYTES];
    weir_str list = weir_str_from(text, route_allow_print(allow, text, sizeof(text)));

    if (method == HTTP_OTHER) {
        answer(x, 501, "this method is not known here");
        return;
    }
    if (weir_set_header(x, "Allow", list) < 0)
        answer(x, 503, "out of memory");
    else if (method == HTTP_OPTIONS)
        WEIR_IGNORE(weir_reply_status(x, 204), "there is nothing else to answer with");
    else
        answer(x, 405, "the path exists, but not for this method");
}

/* "OPTIONS *" asks about the server, not about a path (RFC 9110, section 9.3.7). */
static void answer_no_route(weir_exchange *x, const struct http_head *head)
{
    if (head->method == HTTP_OPTIONS && weir_str_eq(head->path, WEIR_S("*")))
        answer_allow(x, HTTP_OPTIONS, 0xffff & ~(1u << HTTP_CONNECT | 1u << HTTP_TRACE));
    else
        answer(x, 404, "nothing is served at this path");
}

static int set_params(weir_exchange *x, struct route_match *match, struct arena *arena)
{
    struct http_param *params;

    if (match->param_count == 0)
        return 0;
    if (route_match_decode(match, arena) < 0)
        return -ENOMEM;
    params = arena_alloc(arena, match->param_count * sizeof(*params));
    if (!params)
        return -ENOMEM;
    for (unsigned i = 0; i < match->param_count; i++)
        params[i] = (struct http_param){ match->route->params[i].name, match->values[i] };
    exchange_set_params(x, params, match->param_count);
    return 0;
}

static void dispatch(weir_exchange *x, struct route_match *match, struct http_route *ret_route)
{
    struct arena *arena = exchange_arena(x);
    struct app_exchange *own = arena_alloc(arena, sizeof(*own));

    if (!own || set_params(x, match, arena) < 0) {
        answer(x, 503, "out of memory");
        return;
    }
    *own = (struct app_exchange){ .route = match->route->data };
    exchange_set_data(x, own);
    *ret_route = own->route->how;
}

void app_handle(void *arg, weir_exchange *x, struct http_route *ret_route)
{
    const struct http_head *head = exchange_head(x);
    weir_app *app = arg;
    struct route_match match;

    switch (router_match(app->router, head->method, head->path, &match)) {
    case ROUTE_FOUND: dispatch(x, &match, ret_route); break;
    case ROUTE_NOT_FOUND: answer_no_route(x, head); break;
    case ROUTE_NOT_METHOD: answer_allow(x, head->method, match.allow); break;
    case ROUTE_BAD_PATH:
        answer(x, 400,
               "the path has a \".\" or \"..\" segment, or a percent sign that encodes "
               "nothing");
        break;
    }
}

void *weir_route_data(const weir_exchange *x)
{
    const struct app_exchange *own = exchange_data(x);

    return own ? own->route->data : NULL;
}
