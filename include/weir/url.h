/* URLs put together from parts that come from outside. */
#ifndef WEIR_URL_H
#define WEIR_URL_H

#include <stddef.h>

#include <weir/export.h>
#include <weir/str.h>
#include <weir/value.h>

WEIR_BEGIN

/* A URL from a literal and 1 to 8 values, each put in place of a "{}":
 *
 *     weir_url("http://users/{}/orders?limit={}", id, 20)
 *
 * See weir_url_format(). */
#define weir_url(fmt, ...) WEIR_URL_PICK_(__VA_ARGS__, 8, 7, 6, 5, 4, 3, 2, 1, 0)(fmt, __VA_ARGS__)

#define WEIR_URL_PICK_(a, b, c, d, e, f, g, h, n, ...) WEIR_URL_CAT_(WEIR_URL_, n)
#define WEIR_URL_CAT_(a, n) a##n##_
/* What the macro is made of. */
#define WEIR_URL_OF_(fmt, ...)                                                 \
    weir_url_format(fmt, (const weir_value[]){ __VA_ARGS__ },                  \
                    sizeof((const weir_value[]){ __VA_ARGS__ }) / sizeof(weir_value))
#define WEIR_URL_1_(fmt, a) WEIR_URL_OF_(fmt, WEIR_V(a))
#define WEIR_URL_2_(fmt, a, b) WEIR_URL_OF_(fmt, WEIR_V(a), WEIR_V(b))
#define WEIR_URL_3_(fmt, a, b, c) WEIR_URL_OF_(fmt, WEIR_V(a), WEIR_V(b), WEIR_V(c))
#define WEIR_URL_4_(fmt, a, b, c, d) \
    WEIR_URL_OF_(fmt, WEIR_V(a), WEIR_V(b), WEIR_V(c), WEIR_V(d))
#define WEIR_URL_5_(fmt, a, b, c, d, e) \
    WEIR_URL_OF_(fmt, WEIR_V(a), WEIR_V(b), WEIR_V(c), WEIR_V(d), WEIR_V(e))
#define WEIR_URL_6_(fmt, a, b, c, d, e, f) \
    WEIR_URL_OF_(fmt, WEIR_V(a), WEIR_V(b), WEIR_V(c), WEIR_V(d), WEIR_V(e), WEIR_V(f))
#define WEIR_URL_7_(fmt, a, b, c, d, e, f, g)                                  \
    WEIR_URL_OF_(fmt, WEIR_V(a), WEIR_V(b), WEIR_V(c), WEIR_V(d), WEIR_V(e), WEIR_V(f), WEIR_V(g))
#define WEIR_URL_8_(fmt, a, b, c, d, e, f, g, h)                               \
    WEIR_URL_OF_(fmt, WEIR_V(a), WEIR_V(b), WEIR_V(c), WEIR_V(d), WEIR_V(e), WEIR_V(f), WEIR_V(g), \
                 WEIR_V(h))

/* Put values into the places of a URL. Each is percent-encoded so that it stays
 * one path segment, or one value of the query: everything but letters, digits,
 * '-', '.', '_' and '~' is encoded, a space as %20. A path segment that would
 * become ".", ".." or (by its values) empty is refused, because a server that
 * normalises paths would serve another one. "{}" may stand in the path and the
 * query only; a fragment is refused.
 *
 * Checkpoint: never.
 * Returns:    the URL; or, with the reason in the error chain, an empty slice with
 *   a pointer when a value or fmt is refused: calls that are given it return
 *   -EINVAL; a NULL pointer when there is no memory, or a value was a slice with
 *   a NULL pointer: calls that are given it return -ENOMEM.
 * Ownership:  the current arena's, and terminated; fmt and values are not kept.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
weir_str weir_url_format(const char *fmt, const weir_value *values, size_t count);

WEIR_END

#endif
