/* UTF-8, one sequence at a time; see utf8.h. Why one place: what is taken for
 * text decides what logs, JSON and metrics may carry. */
#include "base/utf8.h"

size_t utf8_sequence(weir_str s, size_t *ret_skip)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    unsigned char low = 0x80, high = 0xbf;
    size_t want, at;

    if (p[0] < 0x80)
        return 1;
    *ret_skip = 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        want = 2;
    else if (p[0] >= 0xe0 && p[0] <= 0xef)
        want = 3;
    else if (p[0] >= 0xf0 && p[0] <= 0xf4)
        want = 4;
    else
        return 0;
    /* Overlong forms, surrogates and what lies above U+10FFFF show in the second byte. */
    if (p[0] == 0xe0)
        low = 0xa0;
    else if (p[0] == 0xed)
        high = 0x9f;
    else if (p[0] == 0xf0)
        low = 0x90;
    else if (p[0] == 0xf4)
        high = 0x8f;
    for (at = 1; at < want; at++, low = 0x80, high = 0xbf) {
        if (at >= s.len || p[at] < low || p[at] > high)
            return 0;
        *ret_skip = at + 1;
    }
    return want;
}

bool utf8_valid(weir_str s)
{
    while (s.len > 0) {
        size_t n = utf8_len(s);

        if (n == 0)
            return false;
        s = weir_str_skip(s, n);
    }
    return true;
}
