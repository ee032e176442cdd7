/* The HTTP client.
 *
 *     weir_response r;
 *     int rc = weir_fetch(WEIR_S("http://127.0.0.1:9001/users/7"), &r);
 *
 *     if (rc < 0)
 *         return rc;                        // the chain names the URL and the cause
 *     if (r.status == 200)
 *         use(r.body);
 *
 * A call waits no longer than the deadline of the scope it is made in. It takes a
 * connection from the client's pool for that host and port, or opens one, up to a
 * hard cap at which it waits in line. A connection that the server closed while
 * it was idle is noticed, and a request that went to such a one is sent once
 * more on a new one if that is safe: if its method is idempotent (RFC 9110,
 * section 9.2.2), or no byte of it was sent.
 *
 * Over HTTP/2 calls share connections, up to .max_streams on each; what is said here of
 * errors, deadlines and bodies is the same. A request that the server has refused, or not
 * looked at before it went away, is sent once more whatever its method is.
 *
 * What goes along with each request, unless its fields say otherwise:
 *   X-Request-ID       the context's correlation id
 *   Traceparent        W3C Trace Context: the context's trace, a new span
 *   Weir-Deadline-Ms   how many milliseconds are left for the answer
 *
 * Everything that is not plainly right about an answer is an error that names
 * the rule, and the connection is not used again. Hosts are addresses or names
 * (weir/dns.h); a name's idle connections end when it stands for other addresses.
 *
 * Over https the server's certificate is verified, with the system's CAs unless .tls says
 * otherwise, and must be for the URL's host; sessions are resumed. */
#ifndef WEIR_CLIENT_H
#define WEIR_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <weir/export.h>
#include <weir/error.h>
#include <weir/guard.h>
#include <weir/str.h>
#include <weir/tls.h>
#include <weir/type.h>
#include <weir/value.h>

WEIR_BEGIN

typedef struct weir_client weir_client;
typedef struct weir_request weir_request;

/* A header field. */
typedef struct weir_http_field {
    weir_str name, value;
} weir_http_field;

typedef struct weir_response {
    int status;
    weir_str type;            /* of the body: the field Content-Type, or absent */
    weir_str body;            /* of weir_fetch(): never a NULL pointer */
    int64_t content_length;   /* as the head says it; -1 when it does not */
    const weir_http_field *fields; /* in the order received */
    size_t field_count;
    const weir_http_field *trailers; /* after the body; of weir_fetch() */
    size_t trailer_count;
} weir_response;

/* How a client comes to speak HTTP/2 with a server. */
typedef enum weir_http2 {
    WEIR_HTTP2_AUTO,            /* https: if the server chooses so (ALPN); http: never */
    WEIR_HTTP2_PRIOR_KNOWLEDGE, /* http too: the server is known to speak it */
    WEIR_HTTP2_OFF
} weir_http2;

typedef struct weir_client_opts {
    size_t size;                 /* set by the macro */
    const char *name;            /* for errors; unset: "http" */
    uint32_t max_connections;    /* for each host and port; unset: 256 */
    uint32_t max_waiting;        /* calls in line for one; unset: 4,096 */
    uint32_t max_idle;           /* kept by each loop, of each; unset: max_connections */
    uint32_t idle_timeout_ms;    /* unset: 55,000, to be before the server */
    uint32_t max_age_ms;         /* of a connection; unset: 3,600,000 */
    uint32_t connect_timeout_ms; /* unset: 5,000 */
    uint64_t max_body_bytes;     /* of an answer, in memory; unset: 16 MiB */
    weir_http2 http2;            /* unset: as the server chooses */
    uint32_t max_streams;        /* calls at once on a connection of HTTP/2, if the
                                    server lets them; unset: 100 */
    const weir_tls_client_opts *tls; /* for https; unset: the system's CAs are trusted */
    const char *user_agent;      /* unset: "weir" and its version */
    bool unix_sockets;           /* call "unix:/run/x.sock:/path", too; unset: a URL that
                                    came from outside can't reach this machine's sockets */
} weir_client_opts;

#define weir_client_new(ret, ...)                                                     \
    weir_client_new_opt(ret, &(weir_client_opts){ .size = sizeof(weir_client_opts), \
                                                  __VA_ARGS__ })

/* A body that is written in pieces, of a length that is not known before. */
#define WEIR_CHUNKED UINT64_MAX

typedef void weir_inform_fn(void *arg, const weir_response *interim);

typedef struct weir_fetch_opts {
    size_t size;               /* set by the macro */
    weir_client *client;       /* unset: one that the process shares */
    const char *method;        /* unset: GET, or POST when there is a body */
    const weir_http_field *headers; /* an array that ends with an empty name. Refused are
                                  fields that frame, route or belong to a connection */
    weir_str body;             /* sent as it is */
    const char *body_type;     /* its Content-Type */
    uint64_t max_body_bytes;   /* of the answer; unset: the client's */
    uint64_t stream_bytes;     /* weir_request_open() only: the body comes by
                                  weir_request_write(), and is so long, or WEIR_CHUNKED */
    weir_inform_fn *on_inform; /* told of each interim (1xx) answer, in the calling task;
                                  it keeps nothing, and does not wait */
    void *inform_arg;
} weir_fetch_opts;

#define WEIR_FETCH_OPTS_(...) \
    &(weir_fetch_opts){ .size = sizeof(weir_fetch_opts), __VA_ARGS__ }

/* Make a client: pools and limits that calls share.
 *
 * Checkpoint: never without .tls; with it always, in a task, as files are read.
 * Returns:    0, or
 *   -EINVAL      user_agent holds what can't be sent; .tls contradicts itself
 *   -ENOENT, WEIR_ECONFIG  a file of .tls can't be read, or used; the sentence names it
 *   -ENOMEM      no memory
 * Ownership:  the caller frees *ret_client with weir_client_free().
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_client_new_opt(weir_client **ret_client, const weir_client_opts *opts);

/* Free a client, and close its idle connections.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  ends the client; NULL is fine. No call of it may be under way.
 * Thread:     a task; or any thread while the runtime does not run.
 * Since:      0.1 */
WEIR_API void weir_client_free(weir_client *client);

/* The pool that calls to the URL's host and port go through: to read it, or for
 * weir_go(…, .needs = weir_pool_permits(pool)).
 *
 * Checkpoint: never.
 * Returns:    0 with the pool, or
 *   -EINVAL      not a URL
 *   -EPROTONOSUPPORT  a unix socket, and the client has no .unix_sockets
 *   WEIR_EFULL   the client knows 1,024 hosts already
 *   -ENOMEM      no memory
 * Ownership:  *ret_pool is the client's (NULL: the shared one).
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(3)
int weir_client_pool(weir_client *client, weir_str url, weir_pool **ret_pool);

/* Call a URL and take the whole answer: weir_fetch(url, &response, .method = "PUT").
 * An answer with an error status is an answer. */
#define weir_fetch(url, ret_response, ...) \
    weir_fetch_opt(url, ret_response, WEIR_FETCH_OPTS_(__VA_ARGS__))

/* The function under weir_fetch().
 *
 * Checkpoint: always.
 * Returns:    0 with the answer, or, with a sentence that names method and URL,
 *   -EINVAL          the URL, method or a field may not be sent
 *   -EPROTONOSUPPORT a unix socket, and the client has no .unix_sockets
 *   WEIR_ETLS        https: the handshake failed; why, the sentence says: "the certificate has
 *                    expired 3 days ago (2026-11-21; CERT_HAS_EXPIRED), at a.example:443"
 *   WEIR_ENAME       there is no such host, or it has no address
 *   WEIR_ENAMESERVER the name servers can't say
 *   -ECONNREFUSED    nobody listens there; other errno values as connect(2)
 *   WEIR_EPEERTIMEOUT  no connection within connect_timeout_ms
 *   -ECONNRESET, -EPIPE  the connection was lost
 *   WEIR_ETRUNCATED  the answer ended too early
 *   WEIR_EHEAD, WEIR_EBODY  the answer is malformed
 *   WEIR_EHEADSIZE, WEIR_EBODYSIZE  … or over a limit
 *   WEIR_EFULL       too many calls wait for a connection, or too many hosts
 *   WEIR_EBUDGET     the process's byte budget is used up
 *   -ENOMEM          no memory; or url has a NULL pointer
 *   -ETIMEDOUT       the scope's deadline passed
 *   -ECANCELED       the scope was cancelled
 * Ownership:  what *ret_response points to is the current arena's; what opts point
 *   to is not kept.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(2, 3)
int weir_fetch_opt(weir_str url, weir_response *ret_response, const weir_fetch_opts *opts);

/* Call a URL for JSON, checked and ready to be spliced into other JSON. */
#define weir_fetch_json(url, ret_json, ...) \
    weir_fetch_json_opt(url, ret_json, WEIR_FETCH_OPTS_(__VA_ARGS__))

/* The function under weir_fetch_json().
 *
 * Checkpoint: always.
 * Returns:    0, or what weir_fetch_opt() returns, or
 *   WEIR_ESTATUS  the status is not 2xx
 *   WEIR_EJSON    the body is not JSON
 * Ownership:  *ret_json, and what it points to, is the current arena's.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(2, 3)
int weir_fetch_json_opt(weir_str url, weir_json **ret_json, const weir_fetch_opts *opts);

/* Call a URL for JSON and decode it: weir_fetch_object(url, &user_type, &user). */
#define weir_fetch_object(url, type, ret_value, ...)                           \
    weir_fetch_object_opt(url, type, ret_value, sizeof *(ret_value), WEIR_FETCH_OPTS_(__VA_ARGS__))

/* The function under weir_fetch_object().
 *
 * Checkpoint: always.
 * Returns:    0, or what weir_fetch_json_opt() returns, or
 *   WEIR_EINPUT     the JSON does not fit the type
 *   WEIR_EWRONGUSE  size is not the type's
 * Ownership:  what *ret_value points to is the current arena's.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(2, 3, 5)
int weir_fetch_object_opt(weir_str url, const weir_type *type, void *ret_value, size_t size,
                          const weir_fetch_opts *opts);

/* The first field of that name (its case does not matter) in an answer.
 *
 * Checkpoint: never.
 * Returns:    the value; absent (a NULL pointer) when there is none.
 * Ownership:  the response's.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1, 2)
weir_str weir_response_header(const weir_response *response, const char *name);

/* ---- in pieces -------------------------------------------------------------------- */

/* Begin a call whose bodies are streamed: send the head, and .body if given.
 *
 *     rc = weir_request_open(url, &req, .method = "PUT", .stream_bytes = WEIR_CHUNKED);
 *     … weir_request_write(req, piece) … weir_request_end(req)
 *     rc = weir_response_head(req, &response);
 *     while ((n = weir_response_read(req, &data)) > 0) …
 *     weir_request_close(req);
 *
 * One task may write while another reads. */
#define weir_request_open(url, ret_request, ...) \
    weir_request_open_opt(url, ret_request, WEIR_FETCH_OPTS_(__VA_ARGS__))

/* The function under weir_request_open().
 *
 * Checkpoint: always.
 * Returns:    0 with the request, or what weir_fetch_opt() returns before the
 *   answer
 * Ownership:  the caller ends *ret_request with weir_request_close(); the URL, and
 *   what opts point to, must live until weir_response_head() has returned.
 * Thread:     a task; the request belongs to its loop and lives in its arena.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(2, 3)
int weir_request_open_opt(weir_str url, weir_request **ret_request, const weir_fetch_opts *opts);

/* Send a piece of the body; returns when the kernel has it, or, over HTTP/2, the
 * connection's bounded output.
 *
 * Checkpoint: always.
 * Returns:    0, or
 *   -EINVAL      the request has no streamed body, or it is longer than announced
 *   -EPIPE, -ECONNRESET  the server closed: there may still be an answer
 *   WEIR_EPEERTIMEOUT  the kernel gave up waiting for the peer
 *   -ENOMEM      data has a NULL pointer
 *   -ETIMEDOUT   the deadline passed; the request can only be closed
 *   -ECANCELED   the scope was cancelled; the request can only be closed
 * Ownership:  data is the caller's again when the call returns.
 * Thread:     a task of the request's loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1)
int weir_request_write(weir_request *request, weir_str data);

/* The body is complete.
 *
 * Checkpoint: always.
 * Returns:    0, or what weir_request_write() returns
 *   (-EINVAL: it is shorter than announced).
 * Ownership:  takes nothing.
 * Thread:     a task of the request's loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_request_end(weir_request *request);

/* Wait for the head of the answer. Interim (1xx) answers are told to .on_inform.
 *
 * Checkpoint: always.
 * Returns:    0, or what weir_fetch_opt() returns for an answer
 * Ownership:  what *ret_response points to is the current arena's; its body is
 *   empty.
 * Thread:     a task of the request's loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_response_head(weir_request *request, weir_response *ret_response);

/* Wait for a piece of the answer's body, and lend it. max_body_bytes bounds the
 * whole only if the options say it.
 *
 * Checkpoint: always.
 * Returns:    bytes lent (> 0), 0 at the body's end, or
 *   WEIR_EWRONGUSE  weir_response_head() has not succeeded
 *   what weir_fetch_opt() returns for an answer
 * Ownership:  *ret_data is borrowed until the next read, or the close.
 * Thread:     a task of the request's loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
ssize_t weir_response_read(weir_request *request, weir_str *ret_data);

/* The fields behind the answer's body, once weir_response_read() has returned 0.
 *
 * Checkpoint: never.
 * Returns:    how many there are; 0 before, and where there are none.
 * Ownership:  what *ret_fields points to is the current arena's; it is not set when there
 *   are none.
 * Thread:     a task of the request's loop.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1, 2)
size_t weir_response_trailers(const weir_request *request, const weir_http_field **ret_fields);

/* End a request, wherever it is. The connection is kept when the answer was read
 * to its end, or what is left of it is here already; else it is closed. Over HTTP/2 only
 * the request's stream is reset.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  ends the request; NULL is fine.
 * Thread:     a task of the request's loop.
 * Since:      0.1 */
WEIR_API void weir_request_close(weir_request *request);

WEIR_END

#endif
