/* Applications: routes and JSON bodies; weir/serve.h has the program around them.
 *
 *     int main(int argc, char **argv)
 *     {
 *         weir_app *app = weir_app_new(.title = "Hello");
 *
 *         weir_get(app, "/hello/{name}", hello);
 *         return weir_main(app, argc, argv);
 *     }
 *
 * A pattern is a path of segments: literal text; "{name}", any segment that is
 * not empty; "{name:i64}", a decimal number; and as the last one "*", the rest of
 * the path, a parameter of that name. At each place a literal goes before a typed
 * parameter, that before a plain one, that before the rest, whatever was
 * registered first. Segments are what stands between the slashes as received, and
 * are decoded then: %2F is data in a segment. A path with "." or ".." segments is
 * answered 400. HEAD is served by GET routes, OPTIONS by what is there.
 *
 * What is wrong with routes is not returned by each call: it is collected, and
 * told all at once when the application starts. */
#ifndef WEIR_APP_H
#define WEIR_APP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/exchange.h>
#include <weir/export.h>
#include <weir/json.h>
#include <weir/log.h>
#include <weir/run.h>
#include <weir/type.h>
#include <weir/value.h>

WEIR_BEGIN

typedef struct weir_app weir_app;

/* A limit that is meant to be none. */
#define WEIR_UNLIMITED UINT64_MAX

typedef struct weir_app_opts {
    size_t size;              /* set by the macro */
    const char *title;        /* for --help and the log; unset: the program's name */
    const char *version;      /* for --version; unset: none */
    uint64_t body_max_bytes;  /* of a request, unless its route says; unset: 1 MiB */
    uint32_t timeout_ms;      /* for a handler, unless its route says; unset: none */
    uint32_t head_timeout_ms; /* for a request's head; unset: 10,000 */
    uint32_t idle_timeout_ms; /* between two requests; unset: 60,000 */
    uint32_t connections_max; /* of the process; unset: 100,000 */
} weir_app_opts;

#define weir_app_new(...) \
    weir_app_new_opt(&(weir_app_opts){ .size = sizeof(weir_app_opts), __VA_ARGS__ })

/* Make an application without routes.
 *
 * Checkpoint: never.
 * Returns:    the application; NULL without memory, which weir_main() reports: the
 *   functions here take NULL and do nothing.
 * Ownership:  the caller frees it with weir_app_free(), unless it goes to
 *   weir_main(). Texts in opts are copied.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) weir_app *weir_app_new_opt(const weir_app_opts *opts);

/* Free an application that is not being served; NULL is fine.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  takes app.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API void weir_app_free(weir_app *app);

/* What a client's disconnect does to its handler. */
typedef enum weir_disconnect {
    WEIR_DISCONNECT_CANCEL, /* its scope is cancelled, reason WEIR_REASON_GONE */
    WEIR_DISCONNECT_FINISH  /* it goes on, and its answer is dropped */
} weir_disconnect;

typedef struct weir_route_opts {
    size_t size;                /* set by the macro */
    const char *site;           /* set by the macro: "file.c:12 show" */
    const char *name;           /* of its tasks, for logs; unset: "GET /users/{id}" */
    uint64_t body_max_bytes;    /* unset: the application's; WEIR_UNLIMITED */
    uint32_t timeout_ms;        /* for the handler; unset: the application's */
    weir_disconnect disconnect;
    bool streaming;             /* the progress of the request's body is not timed */
    void *data;                 /* for weir_route_data() */
} weir_route_opts;

#define weir_route(app, method, pattern, handler, ...)                         \
    weir_route_opt(app, method, pattern, handler,                              \
                   &(weir_route_opts){ .size = sizeof(weir_route_opts),        \
                                       .site = WEIR_HERE " " #handler, __VA_ARGS__ })
#define weir_get(app, pattern, handler, ...) \
    weir_route(app, "GET", pattern, handler, __VA_ARGS__)
#define weir_post(app, pattern, handler, ...) \
    weir_route(app, "POST", pattern, handler, __VA_ARGS__)
#define weir_put(app, pattern, handler, ...) \
    weir_route(app, "PUT", pattern, handler, __VA_ARGS__)
#define weir_patch(app, pattern, handler, ...) \
    weir_route(app, "PATCH", pattern, handler, __VA_ARGS__)
#define weir_delete(app, pattern, handler, ...) \
    weir_route(app, "DELETE", pattern, handler, __VA_ARGS__)
/* Every method that has no route of its own at that place. */
#define weir_any(app, pattern, handler, ...) \
    weir_route(app, "*", pattern, handler, __VA_ARGS__)

/* Have handler answer requests of that method and path. method is GET, HEAD, POST,
 * PUT, DELETE, OPTIONS, TRACE, PATCH, or "*" for every other one.
 *
 *     weir_post(app, "/users", create, .body_max_bytes = 4096, .timeout_ms = 500);
 *
 * Checkpoint: never.
 * Returns:    nothing: a fault is told when the application starts.
 * Ownership:  pattern and name are copied; site and data are kept.
 * Thread:     any, before the application is served.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(2, 3, 4, 5)
void weir_route_opt(weir_app *app, const char *method, const char *pattern, weir_handler *handler,
                    const weir_route_opts *opts);

/* Read the routes, as the application's start does, and tell what is wrong with
 * them: a line a fault, with the places of both where two routes conflict.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   WEIR_ECONFIG there are faults: text says which
 *   -ENOMEM      no memory
 * Ownership:  fills the caller's text, which is always terminated.
 * Thread:     any, before the application is served.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(2)
int weir_app_check(weir_app *app, char *text, size_t size);

/* ---- in handlers ----------------------------------------------------------- */

/* The data that the route was given.
 *
 * Checkpoint: never.
 * Returns:    the pointer; NULL when there was none.
 * Ownership:  the registrar's.
 * Thread:     the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) void *weir_route_data(const weir_exchange *x);

/* Read the request's body as JSON of a type: weir_read_json(x, &user_type, &user).
 * A handler that returns the code has a 422 sent that lists each fault with its
 * JSON pointer, or a 400, 413 or 415. */
#define weir_read_json(x, type, ret_value) \
    weir_read_json_sized(x, type, ret_value, sizeof *(ret_value))

/* The function under weir_read_json().
 *
 * Checkpoint: always.
 * Returns:    0, or
 *   WEIR_EJSON   the body is not JSON (400), or its Content-Type is another (415)
 *   WEIR_EINPUT  it does not fit the type (422)
 *   -ENOMEM      no memory
 *   CODE         any that weir_body_all() or weir_json_decode_sized() returns
 * Ownership:  what *ret_value points to is the exchange's; untouched on failure.
 * Thread:     a task of the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2, 3)
int weir_read_json_sized(weir_exchange *x, const weir_type *type, void *ret_value, size_t size);

/* Answer with a value as JSON: weir_reply_json(x, 200, &user_type, &user). */
#define weir_reply_json(x, status, type, value) \
    weir_reply_json_sized(x, status, type, value, 1, sizeof *(value), false)

/* Answer with count values of one type as a JSON array. */
#define weir_reply_json_array(x, status, type, values, count) \
    weir_reply_json_sized(x, status, type, values, count, sizeof *(values), true)

/* The function under weir_reply_json() and weir_reply_json_array().
 *
 * Checkpoint: always (for a text of 4 KiB or less it never waits).
 * Returns:    0, or
 *   CODE         any that weir_json_encode_sized() or weir_reply() returns
 * Ownership:  takes nothing.
 * Thread:     a task of the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 3)
int weir_reply_json_sized(weir_exchange *x, int status, const weir_type *type, const void *values,
                          size_t count, size_t size, bool array);

/* Answer with an object of mixed values:
 * weir_reply_object(x, 200, WEIR_KV("user", user), WEIR_KV("late", false)). */
#define weir_reply_object(x, status, ...)                                      \
    weir_reply_object_of(x, status, (const weir_kv[]){ __VA_ARGS__ },          \
                         sizeof((const weir_kv[]){ __VA_ARGS__ }) / sizeof(weir_kv))

/* The function under weir_reply_object().
 *
 * Checkpoint: always (for a text of 4 KiB or less it never waits).
 * Returns:    0, or
 *   CODE         any that weir_json_object_of() or weir_reply() returns
 * Ownership:  takes nothing.
 * Thread:     a task of the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1)
int weir_reply_object_of(weir_exchange *x, int status, const weir_kv *members, size_t count);

WEIR_END

#endif
