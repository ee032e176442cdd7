/* Numbers with a unit; see units.h.
 *
 * Exact: a fraction is kept as digits over a power of ten and must come out
 * whole; there is no floating point. White space between number and unit is
 * allowed once ("5 s"), letters count as written ("5S" is nothing). */
#include "type/units.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "type/json_write.h"

#define FRACTION_DIGITS_MAX 9
#define DAY_MS 86400000

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit duration_units[] = {
    { "d", DAY_MS }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 },
};

static const struct unit byte_units[] = {
    { "TiB", UINT64_C(1) << 40 },
    { "GiB", 1 << 30 },
    { "MiB", 1 << 20 },
    { "KiB", 1 << 10 },
    { "TB", 1000000000000 },
    { "GB", 1000000000 },
    { "MB", 1000000 },
    { "KB", 1000 },
    { "kB", 1000 },
    { "B", 1 },
    { "", 1 },
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct quantity {
    uint64_t digits;   /* the number without its point */
    uint64_t fraction; /* 10 to the power of the digits behind the point */
    weir_str unit;
    bool too_large;
};

static bool quantity_read(weir_str text, struct quantity *ret_quantity)
{
    struct quantity q = { .fraction = 1 };
    size_t at = 0, before, behind = 0;

    for (; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++)
        q.too_large |= __builtin_mul_overflow(q.digits, 10, &q.digits) ||
                       __builtin_add_overflow(q.digits, (unsigned)(text.ptr[at] - '0'), &q.digits);
    before = at;
    if (before == 0)
        return false;
    if (at < text.len && text.ptr[at] == '.') {
        for (at++; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++, behind++) {
            q.too_large |= __builtin_mul_overflow(q.digits, 10, &q.digits) ||
                           __builtin_add_overflow(q.digits, (unsigned)(text.ptr[at] - '0'),
                                                  &q.digits);
            q.fraction *= 10;
            if (behind == FRACTION_DIGITS_MAX)
                return false;
        }
        if (behind == 0)
            return false;
    }
    if (at < text.len && text.ptr[at] == ' ' && at + 1 < text.len)
        at++;
    q.unit = weir_str_skip(text, at);
    *ret_quantity = q;
    return true;
}

static int quantity_parse(weir_str text, const struct unit *units, size_t count,
                          uint64_t *ret_value)
{
    struct quantity q;

    if (!quantity_read(text, &q))
        return -EINVAL;
    for (size_t i = 0; i < count; i++) {
        uint64_t value;

        if (!weir_str_eq(q.unit, weir_str_c(units[i].name)))
            continue;
        if (q.too_large || __builtin_mul_overflow(q.digits, units[i].factor, &value))
            return -ERANGE;
        if (value % q.fraction != 0)
            return -EINVAL;
        *ret_value = value / q.fraction;
        return 0;
    }
    return -EINVAL;
}

/* In the largest of the units that divides it. */
static void quantity_write(struct sink *sink, uint64_t value, const struct unit *units,
                           size_t count)
{
    size_t i = 0;

    while (i + 1 < count && (value == 0 || value % units[i].factor != 0))
        i++;
    json_write_u64(sink, value / units[i].factor);
    sink_add(sink, weir_str_c(units[i].name));
}

int duration_parse(weir_str text, uint32_t *ret_ms)
{
    uint64_t ms;
    int rc;

    if (weir_str_eq(text, WEIR_S("0"))) {
        *ret_ms = 0;
        return 0;
    }
    rc = quantity_parse(text, duration_units, COUNT(duration_units), &ms);
    if (rc == 0 && ms > UINT32_MAX)
        rc = -ERANGE;
    if (rc == 0)
        *ret_ms = (uint32_t)ms;
    return rc;
}

int duration_parse_flag(const char *text, uint32_t *ret_ms)
{
    size_t len = strlen(text);
    char whole[32];
    uint32_t ms;
    int rc;

    if (len == 0 || len > sizeof(whole) - 2)
        return -EINVAL;
    snprintf(whole, sizeof(whole), "%s%s", text,
             text[len - 1] >= '0' && text[len - 1] <= '9' ? "s" : "");
    rc = duration_parse(weir_str_c(whole), &ms);
    if (rc == 0 && ms > DAY_MS)
        rc = -ERANGE;
    if (rc == 0)
        *ret_ms = ms;
    return rc;
}

void duration_write(struct sink *sink, uint32_t ms)
{
    quantity_write(sink, ms, duration_units, COUNT(duration_units));
}

int bytes_parse(weir_str text, uint64_t *ret_bytes)
{
    return quantity_parse(text, byte_units, COUNT(byte_units), ret_bytes);
}

void bytes_write(struct sink *sink, uint64_t bytes)
{
    /* Powers of 1,024 only, then plain bytes: what is read back is the same. */
    static const struct unit written[] = {
        { "TiB", UINT64_C(1) << 40 }, { "GiB", 1 << 30 }, { "MiB", 1 << 20 },
        { "KiB", 1 << 10 },           { "B", 1 },
    };

    quantity_write(sink, bytes, written, COUNT(written));
}
