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
