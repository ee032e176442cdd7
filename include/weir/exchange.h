/* An exchange: one request and its answer, as a handler sees them.
 *
 *     static int hello(weir_exchange *x)
 *     {
 *         return weir_reply_text(x, 200, "Hello, World!");
 *     }
 *
 * A handler is a task of its own. It answers once: with one of the weir_reply
 * functions, or in pieces with weir_reply_begin(), weir_write() and weir_end().
 * One that returns a negative code without having answered gets a problem
 * response (RFC 9457) that the code maps to, and one log line; one that fails
 * after the head was sent ends the connection visibly incomplete.
 *
 * When the client disconnects, the handler's scope is cancelled (reason
 * WEIR_REASON_GONE), unless its route says that it is to finish. The end of the
 * client's half of the connection counts as that, once the handler waits for
 * anything but the client itself: an answer that is ready, or is being written,
 * is still sent. */
#ifndef WEIR_EXCHANGE_H
#define WEIR_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <weir/export.h>
#include <weir/scope.h>
#include <weir/str.h>
#include <weir/tls.h>

WEIR_BEGIN

typedef struct weir_exchange weir_exchange;

/* What serves an exchange: 0 (or more) when it has answered, or a code. */
typedef int weir_handler(weir_exchange *x);

/* ---- the request ---------------------------------------------------------- */

/* The request's method as sent: "GET".
 *
 * Checkpoint: never.
 * Returns:    the method.
 * Ownership:  the exchange's.
 * Thread:     the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) weir_str weir_method(const weir_exchange *x);

/* The path of the request's target, not decoded: "/a%20b"; "*" of OPTIONS.
 *
 * Checkpoint: never.
 * Returns:    the path, never empty.
 * Ownership:  the exchange's.
 * Thread:     the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) weir_str weir_path(const weir_exchange *x);

/* What stands behind the '?' of the target, not decoded.
 *
 * Checkpoint: never.
 * Returns:    the query; absent (a NULL pointer) when there is no '?'.
 * Ownership:  the exchange's.
 * Thread:     the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) weir_str weir_query(const weir_exchange *x);

/* The host and port that the request is for: "example.org:8080".
 *
 * Checkpoint: never.
 * Returns:    the authority; absent when an HTTP/1.0 request names none.
 * Ownership:  the exchange's.
 * Thread:     the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) weir_str weir_authority(const weir_exchange *x);

/* The first field of that name (its case does not matter).
 *
 * Checkpoint: never.
 * Returns:    the value, without white space at its ends; absent (a NULL
 *   pointer) when there is no such field.
 * Ownership:  the exchange's.
 * Thread:     the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1, 2) weir_str weir_header(const weir_exchange *x, const char *name);

/* A parameter that the route's pattern took from the path, decoded.
 *
 * Checkpoint: never.
 * Returns:    the value; absent (a NULL pointer) when the pattern has no such
 *   parameter.
 * Ownership:  the exchange's.
 * Thread:     the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1, 2) weir_str weir_param(const weir_exchange *x, const char *name);

/* A parameter that the route declares as ":i64", and has checked.
 *
 * Checkpoint: never.
 * Returns:    the number; 0 when there is no such parameter, or it is none.
 * Ownership:  takes nothing.
 * Thread:     the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1, 2) int64_t weir_param_i64(const weir_exchange *x, const char *name);

/* The address that the request came from: "192.0.2.1:40312".
 *
 * Checkpoint: never.
 * Returns:    the address; empty when the connection is gone.
 * Ownership:  the exchange's.
 * Thread:     the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) weir_str weir_client_address(weir_exchange *x);

/* What was agreed on with the client by TLS.
 *
 * Checkpoint: never.
 * Returns:    1 with *ret_info; 0 when its connection is without TLS, or gone.
 * Ownership:  the connection's: use it while the client is there, or copy it.
 * Thread:     the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1, 2)
int weir_client_tls(const weir_exchange *x, weir_tls_info *ret_info);

/* Who the client is, by the certificate that it has shown and that was verified:
 * where the server's options ask for one.
 *
 * Checkpoint: never.
 * Returns:    1 with *ret_peer; 0 when it has shown none, or is gone; or
 *   -ENOMEM     no memory
 * Ownership:  the exchange's.
 * Thread:     the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_client_certificate(weir_exchange *x, weir_tls_peer *ret_peer);

/* Has the client disconnected, or ended its half of the connection?
 *
 * Checkpoint: never.
 * Returns:    true or false.
 * Ownership:  takes nothing.
 * Thread:     the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) bool weir_client_gone(const weir_exchange *x);

/* ---- the request's body --------------------------------------------------- */

/* Wait for bytes of the body, and lend what has arrived. A client that waits for
 * "100 Continue" is told to go on by the first call.
 *
 * Checkpoint: always.
 * Returns:    bytes lent (> 0), 0 at the body's end, or
 *   WEIR_EBODY      the body is malformed (400)
 *   WEIR_EBODYSIZE  it is over the route's limit (413)
 *   WEIR_ETRUNCATED the client went before its end
 *   WEIR_EPEERTIMEOUT the client sends too slowly (408)
 *   WEIR_EBUDGET    no buffer to read into
 *   -EBUSY       another task is reading
 *   -ETIMEDOUT   the scope's deadline passed
 *   -ECANCELED   the scope was cancelled
 * Ownership:  *ret_data is borrowed until the next read of x.
 * Thread:     a task of the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
ssize_t weir_body_read(weir_exchange *x, weir_str *ret_data);

/* Read the whole body (what weir_body_read() has not given out yet).
 *
 * Checkpoint: always.
 * Returns:    0, or
 *   -ENOMEM      no memory
 *   CODE         any that weir_body_read() returns
 * Ownership:  *ret_body is the exchange's, terminated behind its end.
 * Thread:     a task of the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_body_all(weir_exchange *x, weir_str *ret_body);

/* A field of the trailer section, behind the request's body (its case does not matter).
 *
 * Checkpoint: never.
 * Returns:    the value of the first one; absent (a NULL pointer) when there is no such
 *   field, or the body has not been read to its end.
 * Ownership:  the exchange's.
 * Thread:     the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1, 2) weir_str weir_trailer(const weir_exchange *x, const char *name);

/* ---- the answer ----------------------------------------------------------- */

/* Give the answer a field; fields of that name that were set before stay, so
 * that Set-Cookie and its like can be given several times.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   -EINVAL      the name is no token, the value holds CR, LF, NUL or another
 *                control byte, or the field belongs to the server: Connection,
 *                Content-Length, Transfer-Encoding, Upgrade, Keep-Alive,
 *                Trailer, Date
 *   WEIR_ECLOSED the head is sent
 *   -ENOMEM      no memory, or value's pointer is NULL
 *   WEIR_EFULL   64 fields are set
 * Ownership:  name and value are copied.
 * Thread:     the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_set_header(weir_exchange *x, const char *name, weir_str value);

/* Give the answer a field of its trailer section, behind the body: a checksum, or how it
 * ended. It is sent over HTTP/2, and over HTTP/1.1 where the body was begun with an unknown
 * length; anywhere else it is dropped, as recipients may do with it as well.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   -EINVAL      the name is no token, the value holds a control byte, or the field may
 *                not stand there: it is about framing, routing, credentials, or how the
 *                content is to be read
 *   WEIR_ECLOSED the answer is complete
 *   -ENOMEM      no memory, or value's pointer is NULL
 *   WEIR_EFULL   32 fields are set
 * Ownership:  name and value are copied.
 * Thread:     the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_set_trailer(weir_exchange *x, const char *name, weir_str value);

/* Send an interim answer (1xx) before the final one, with one field or none:
 *
 *     rc = weir_inform(x, 103, "Link", WEIR_S("</style.css>; rel=preload; as=style"));
 *
 * "100 Continue" is sent by the server itself. An HTTP/1.0 client gets none.
 *
 * Checkpoint: always (it never waits).
 * Returns:    0, or
 *   -EINVAL      the status is not one of 102 to 199, or the field can't be sent, or has
 *                more than 4 KiB
 *   WEIR_ECLOSED the exchange is answered already
 *   WEIR_EGONE   the client has gone
 *   WEIR_EBUDGET no buffer to write into
 *   -ENOMEM      no memory, or value's pointer is NULL though there is a name
 *   -ETIMEDOUT   the scope's deadline passed
 *   -ECANCELED   the scope was cancelled
 * Ownership:  takes nothing. name NULL sends no field.
 * Thread:     a task of the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1)
int weir_inform(weir_exchange *x, int status, const char *name, weir_str value);

/* Answer with a body. Up to 4 KiB are copied; a larger body is waited for until
 * the kernel has it.
 *
 * Checkpoint: always (for a body of 4 KiB or less it never waits).
 * Returns:    0, or
 *   -EINVAL      the status is not one of a final answer (200 to 599), or type
 *                may not be sent
 *   WEIR_ECLOSED the exchange is answered already
 *   WEIR_EGONE   the client has gone
 *   WEIR_EBUDGET no buffer to write into
 *   -ENOMEM      body's pointer is NULL though it has a length, or no memory
 *   -ETIMEDOUT   the scope's deadline passed; when it did while the body was
 *                being sent, the connection ends
 *   -ECANCELED   the scope was cancelled; the same
 * Ownership:  takes nothing. type NULL sends no Content-Type.
 * Thread:     a task of the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1)
int weir_reply(weir_exchange *x, int status, const char *type, weir_str body);

/* Answer with text: weir_reply() of type "text/plain; charset=utf-8".
 *
 * Checkpoint: always (for a text of 4 KiB or less it never waits).
 * Returns:    0, or any code of weir_reply().
 * Ownership:  takes nothing.
 * Thread:     a task of the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 3)
int weir_reply_text(weir_exchange *x, int status, const char *text);

/* Answer with JSON that is there as text: weir_reply() of type
 * "application/json". The text is sent as it is.
 *
 * Checkpoint: always (for a text of 4 KiB or less it never waits).
 * Returns:    0, or any code of weir_reply().
 * Ownership:  takes nothing.
 * Thread:     a task of the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1)
int weir_reply_json_text(weir_exchange *x, int status, weir_str json);

/* Answer without a body.
 *
 * Checkpoint: always (it never waits).
 * Returns:    0, or any code of weir_reply().
 * Ownership:  takes nothing.
 * Thread:     a task of the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_reply_status(weir_exchange *x, int status);

/* Answer with a problem (RFC 9457): application/problem+json with type, title,
 * status, the detail that is formatted here, and the correlation id. Fields that
 * were set before stay.
 *
 *     return weir_problem(x, 404, "no user %lld", id);
 *
 * Checkpoint: always (it never waits).
 * Returns:    0, or any code of weir_reply().
 * Ownership:  the text is copied.
 * Thread:     a task of the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 3) WEIR_PRINTF(3, 4)
int weir_problem(weir_exchange *x, int status, const char *fmt, ...);

#define WEIR_UNKNOWN_LENGTH INT64_C(-1)

/* Begin an answer whose body is written in pieces. With an unknown length it is
 * sent chunked (to an HTTP/1.0 client: until the connection's end).
 *
 * Checkpoint: always (it never waits).
 * Returns:    0, or any code of weir_reply(), and
 *   -EINVAL      also for a negative length other than WEIR_UNKNOWN_LENGTH
 * Ownership:  takes nothing. type NULL sends no Content-Type.
 * Thread:     a task of the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1)
int weir_reply_begin(weir_exchange *x, int status, const char *type, int64_t length);

/* Write a piece of the body. Up to 4 KiB are copied, and the call returns at
 * once unless the client reads too slowly; a larger piece is waited for until the
 * kernel has it. What a HEAD request gets none of is counted and dropped.
 *
 * Checkpoint: always.
 * Returns:    0, or
 *   -EINVAL      more than the announced length
 *   WEIR_ECLOSED nothing was begun, or the answer is complete
 *   WEIR_EGONE   the client has gone, or the connection has failed
 *   WEIR_EBUDGET no buffer to write into
 *   -ENOMEM      data's pointer is NULL though it has a length
 *   -EBUSY       another task is writing
 *   -ETIMEDOUT   the scope's deadline passed; when it did while the piece was
 *                being sent, the connection ends
 *   -ECANCELED   the scope was cancelled; the same
 * Ownership:  data is borrowed during the call.
 * Thread:     a task of the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_write(weir_exchange *x, weir_str data);

/* Wait until the kernel has all that was written.
 *
 * Checkpoint: always.
 * Returns:    0, or
 *   WEIR_EGONE   the client has gone, or the connection has failed
 *   -EBUSY       another task is writing
 *   -ETIMEDOUT   the scope's deadline passed
 *   -ECANCELED   the scope was cancelled
 * Ownership:  takes nothing.
 * Thread:     a task of the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_flush(weir_exchange *x);

/* End the body. A handler that returns success has it ended by itself.
 *
 * Checkpoint: always (it never waits).
 * Returns:    0, or
 *   -EINVAL      less than the announced length was written
 *   WEIR_ECLOSED nothing was begun, or the answer is complete
 *   WEIR_EGONE   the client has gone, or the connection has failed
 *   WEIR_EBUDGET no buffer to write into
 *   -EBUSY       another task is writing
 *   -ETIMEDOUT   the scope's deadline passed
 *   -ECANCELED   the scope was cancelled
 * Ownership:  takes nothing.
 * Thread:     a task of the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_end(weir_exchange *x);

/* Is the answer's head sent (or on its way)?
 *
 * Checkpoint: never.
 * Returns:    true or false.
 * Ownership:  takes nothing.
 * Thread:     the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) bool weir_replied(const weir_exchange *x);

/* ---- around the exchange -------------------------------------------------- */

/* Have fn(ptr) called when the exchange ends, after the jobs of
 * weir_after_reply(); the last one given is called first. fn must not call a
 * checkpoint.
 *
 * Checkpoint: never.
 * Returns:    nothing; without memory fn is called at once, with a log line.
 * Ownership:  ptr is fn's.
 * Thread:     the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1, 2) void weir_defer(weir_exchange *x, void (*fn)(void *ptr), void *ptr);

/* Have fn(arg) run as a task of the application's scope once the handler has
 * ended. The exchange's memory (its request, what weir_alloc() gave) is kept
 * until it ends; a failure of it is logged.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   -ENOMEM      no memory
 *   WEIR_EFULL   16 jobs are waiting
 * Ownership:  arg is fn's.
 * Thread:     the exchange's loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_after_reply(weir_exchange *x, weir_fn *fn, void *arg);

WEIR_END

#endif
