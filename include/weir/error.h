/* Error codes, and the chain of sentences that says what went wrong.
 *
 * A fallible function returns 0 or a count on success and a negative code on
 * failure: a negated errno value where errno has the meaning, one of weir's own
 * codes (below -4095, so they never meet an errno) elsewhere.
 *
 * Beside the code a task keeps a chain: weir_fail() starts it where the failure
 * was found, weir_wrap() adds what was being done, a join moves a child's chain
 * to the joiner. It ends as one log line, and is cleared when the handler
 * succeeds or calls weir_recover(). It holds at most 8 links and 1 KiB, a link
 * at most 512 bytes; what does not fit is dropped from the middle, never the
 * first or the last link, and counted. A code that is no failure (0 or more)
 * passes through both and leaves no link. */
#ifndef WEIR_ERROR_H
#define WEIR_ERROR_H

#include <errno.h>
#include <stddef.h>

#include <weir/export.h>

WEIR_BEGIN

/* X(name, number, category, text) */
#define WEIR_ERRORS(X)                                                         \
    X(EPEERTIMEOUT, 4096, PEER, "the kernel gave up waiting for the peer")     \
    X(ECLOSED, 4097, STATE, "closed")                                          \
    X(EBREAKER, 4098, LIMIT, "the circuit breaker is open")                    \
    X(EBUDGET, 4099, LIMIT, "the process's byte budget is used up")            \
    X(EHEAD, 4100, PROTOCOL, "malformed message head")                         \
    X(EBODY, 4101, PROTOCOL, "malformed message body")                         \
    X(ETRUNCATED, 4102, PEER, "the message ended before it was complete")      \
    X(EHEADSIZE, 4103, LIMIT, "message head over its limit")                   \
    X(EBODYSIZE, 4104, LIMIT, "message body over its limit")                   \
    X(ESTATUS, 4105, PEER, "the peer answered with an error status")           \
    X(EJSON, 4106, INPUT, "not valid JSON")                                    \
    X(EINPUT, 4107, INPUT, "the input does not fit its type")                  \
    X(ECONFIG, 4108, CONFIG, "the configuration has faults")                   \
    X(ENAME, 4109, CONFIG, "no such host name, or none that has an address")   \
    X(EGONE, 4110, PEER, "the client has gone")                                \
    X(EWRONGUSE, 4111, BUG, "wrong use of the library")                        \
    X(ETLS, 4112, PROTOCOL, "TLS failed")                                      \
    X(EFULL, 4113, LIMIT, "the queue is full")                                 \
    X(ENAMESERVER, 4114, PEER, "the name servers can't answer")

enum {
#define WEIR_ERROR_ENUM_(name, number, category, text) WEIR_##name = -(number),
    WEIR_ERRORS(WEIR_ERROR_ENUM_)
#undef WEIR_ERROR_ENUM_
};

/* What kind of thing went wrong: what a caller may do about it. */
typedef enum weir_category {
    WEIR_CATEGORY_OS,       /* an errno value with no closer category */
    WEIR_CATEGORY_TIMEOUT,  /* a deadline passed */
    WEIR_CATEGORY_CANCEL,   /* given up from outside */
    WEIR_CATEGORY_PEER,     /* the other side failed or went away */
    WEIR_CATEGORY_PROTOCOL, /* the other side broke the protocol */
    WEIR_CATEGORY_LIMIT,    /* a bound was reached; later may work */
    WEIR_CATEGORY_INPUT,    /* what the caller's client sent is wrong */
    WEIR_CATEGORY_CONFIG,   /* what the operator wrote is wrong */
    WEIR_CATEGORY_STATE,    /* the object is past that */
    WEIR_CATEGORY_BUG       /* the program is wrong */
} weir_category;

/* The code's name: "ECONNRESET", "WEIR_ECLOSED"; "0" for success and counts.
 *
 * Checkpoint: never.
 * Returns:    a string; "unknown error" for a code that is nobody's.
 * Ownership:  static storage.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API const char *weir_error_name(int code);

/* What the code means, as a phrase.
 *
 * Checkpoint: never.
 * Returns:    a string, never NULL.
 * Ownership:  static storage.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API const char *weir_error_text(int code);

/* The code's category.
 *
 * Checkpoint: never.
 * Returns:    the category; WEIR_CATEGORY_OS where nothing closer is known.
 * Ownership:  takes nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API weir_category weir_error_category(int code);

/* Start the current task's error chain: what failed, and why. A chain that
 * stood there is replaced.
 *
 *     return weir_fail(-EINVAL, "port %d is out of range", port);
 *
 * Checkpoint: never.
 * Returns:    code, so that it can stand in a return statement.
 * Ownership:  the text is copied.
 * Thread:     any; outside a task the chain is the thread's.
 * Since:      0.1 */
#define weir_fail(code, ...) weir_fail_at(WEIR_HERE, code, __VA_ARGS__)

/* Add to the chain what was being done when code came up. When there is no chain
 * for this code it starts one, and adds what the code means:
 *
 *     return weir_wrap(-ENOENT, "loading %s", path);     "loading x: No such file ..."
 *
 * Checkpoint: never.
 * Returns:    code.
 * Ownership:  the text is copied.
 * Thread:     any; outside a task the chain is the thread's.
 * Since:      0.1 */
#define weir_wrap(code, ...) weir_wrap_at(WEIR_HERE, code, __VA_ARGS__)

/* The function under weir_fail(): site is a string literal.
 *
 * Checkpoint: never.
 * Returns:    code.
 * Ownership:  the text is copied, site is kept.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_PRINTF(3, 4) int weir_fail_at(const char *site, int code, const char *fmt, ...);

/* The function under weir_wrap(): site is a string literal.
 *
 * Checkpoint: never.
 * Returns:    code.
 * Ownership:  the text is copied, site is kept.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_PRINTF(3, 4) int weir_wrap_at(const char *site, int code, const char *fmt, ...);

/* The failure is dealt with: drop the chain.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  the chain's memory is released.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API void weir_recover(void);

/* Write the chain into text, outermost link first, joined by ": "; the text is
 * always terminated. With no chain it is empty.
 *
 * Checkpoint: never.
 * Returns:    the length it would have had (as snprintf).
 * Ownership:  fills the caller's text.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API size_t weir_error_print(char *text, size_t size);

WEIR_END

#endif
