/* Well-formed UTF-8 (RFC 3629, section 4): no overlong form, no surrogate,
 * nothing above U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/str.h>

/* The length of the well-formed sequence at the start of s, which is not empty;
 * 0 when it is ill-formed. Then *ret_skip is how much to pass over: the lead and
 * those continuation bytes that could have belonged to it. */
size_t utf8_sequence(weir_str s, size_t *ret_skip);

static inline size_t utf8_len(weir_str s)
{
    size_t skip;

    return utf8_sequence(s, &skip);
}

bool utf8_valid(weir_str s);

#endif
