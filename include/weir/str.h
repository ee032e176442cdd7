/* Slices of text: a pointer and a length, no terminator, no ownership.
 *
 * A weir_str never owns what it points to; each function that returns one says
 * how long it lives. A slice with a NULL pointer and a length of 0 is "absent";
 * an allocation that failed yields a slice with a NULL pointer, and the next
 * fallible call that is given one returns -ENOMEM. */
#ifndef WEIR_STR_H
#define WEIR_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <weir/export.h>

WEIR_BEGIN

typedef struct weir_str {
    const char *ptr;
    size_t len;
} weir_str;

/* A slice of a string literal; usable as a static initializer in C. */
#ifdef __cplusplus
#define WEIR_S(literal) (weir_str{ "" literal, sizeof(literal) - 1 })
#else
#define WEIR_S(literal) ((weir_str){ "" literal, sizeof(literal) - 1 })
#endif

/* The two arguments that "%.*s" takes; the length is clamped to an int's range. */
#define WEIR_ARG(s) weir_str_len_int(s), (s).ptr

static inline int weir_str_len_int(weir_str s)
{
    return s.len > 0x7fffffff ? 0x7fffffff : (int)s.len;
}

static inline weir_str weir_str_from(const char *ptr, size_t len)
{
    weir_str s;

    s.ptr = ptr;
    s.len = len;
    return s;
}

/* The slice of a C string; NULL gives the absent slice. */
static inline weir_str weir_str_c(const char *text)
{
    return weir_str_from(text, text ? strlen(text) : 0);
}

static inline bool weir_str_eq(weir_str a, weir_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool weir_str_starts(weir_str s, weir_str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

/* Without its first n bytes (or empty, when it is shorter). */
static inline weir_str weir_str_skip(weir_str s, size_t n)
{
    n = n < s.len ? n : s.len;
    return weir_str_from(s.ptr + n, s.len - n);
}

/* Compare without regard to the case of ASCII letters.
 *
 * Checkpoint: never.
 * Returns:    true when equal.
 * Ownership:  keeps nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API bool weir_str_eq_nocase(weir_str a, weir_str b);

/* Order two slices as memcmp does, a shorter one before its extensions.
 *
 * Checkpoint: never.
 * Returns:    < 0, 0 or > 0.
 * Ownership:  keeps nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API int weir_str_cmp(weir_str a, weir_str b);

WEIR_END

#endif
