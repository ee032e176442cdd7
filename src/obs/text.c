/* Numbers and UTF-8 for the log and the metrics.
 *
 * Why not printf alone: its decimal point follows the locale, which neither JSON
 * nor Prometheus allows, and a line's integers should not pay for a format. */
#include "obs/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t text_u64(char *out, uint64_t value)
{
    char digits[20];
    size_t n = 0;

    do {
        digits[sizeof digits - ++n] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    memcpy(out, digits + sizeof digits - n, n);
    return n;
}

size_t text_i64(char *out, int64_t value)
{
    if (value >= 0)
        return text_u64(out, (uint64_t)value);
    out[0] = '-';
    return 1 + text_u64(out + 1, 0 - (uint64_t)value);
}

/* Whatever the locale put for the decimal point (it may be several bytes). */
static size_t mend_point(char *text)
{
    size_t to = 0;

    for (size_t from = 0; text[from]; from++) {
        if (strchr("0123456789+-e", text[from]))
            text[to++] = text[from];
        else if (to == 0 || text[to - 1] != '.')
            text[to++] = '.';
    }
    return to;
}

size_t text_f64(char *out, double value)
{
    snprintf(out, TEXT_NUMBER_BYTES, "%.15g", value);
    if (strtod(out, NULL) != value)
        snprintf(out, TEXT_NUMBER_BYTES, "%.17g", value);
    return mend_point(out);
}

static bool is_tail(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

size_t text_utf8(const char *p, size_t len)
{
    const unsigned char *u = (const unsigned char *)p;

    if (u[0] < 0x80)
        return 1;
    if (u[0] < 0xc2)
        return 0;
    if (u[0] < 0xe0)
        return len >= 2 && is_tail(u[1]) ? 2 : 0;
    if (u[0] < 0xf0) {
        if (len < 3 || !is_tail(u[1]) || !is_tail(u[2]))
            return 0;
        if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] >= 0xa0))
            return 0;
        return 3;
    }
    if (u[0] > 0xf4 || len < 4 || !is_tail(u[1]) || !is_tail(u[2]) || !is_tail(u[3]))
        return 0;
    if ((u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] >= 0x90))
        return 0;
    return 4;
}

bool text_is_utf8(weir_str s)
{
    for (size_t i = 0; i < s.len;) {
        size_t n = text_utf8(s.ptr + i, s.len - i);

        if (n == 0)
            return false;
        i += n;
    }
    return true;
}
