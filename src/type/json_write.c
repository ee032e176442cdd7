/* JSON's scalars as text; see json_write.h.
 *
 * Doubles are printed by yyjson (shortest form that reads back the same); it
 * writes into memory from a fixed piece of our own stack, never the heap. */
#include "type/json_write.h"

#include <math.h>
#include <yyjson.h>

void json_write_null(struct sink *sink)
{
    sink_add(sink, WEIR_S("null"));
}

void json_write_bool(struct sink *sink, bool value)
{
    sink_add(sink, value ? WEIR_S("true") : WEIR_S("false"));
}

void json_write_u64(struct sink *sink, uint64_t value)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    char digits[20];
    size_t at = sizeof digits;

    for (; value >= 100; value /= 100)
        memcpy(digits + (at -= 2), pairs + value % 100 * 2, 2);
    if (value >= 10)
        memcpy(digits + (at -= 2), pairs + value * 2, 2);
    else
        digits[--at] = (char)('0' + value);
    sink_add(sink, weir_str_from(digits + at, sizeof digits - at));
}

void json_write_i64(struct sink *sink, int64_t value)
{
    if (value < 0)
        sink_add_char(sink, '-');
    json_write_u64(sink, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

bool json_write_f64(struct sink *sink, double value)
{
    char memory[512];
    yyjson_val val = { 0 };
    yyjson_alc alc;
    size_t len;
    char *text;

    if (!isfinite(value))
        return false;
    yyjson_set_real(&val, value);
    if (!yyjson_alc_pool_init(&alc, memory, sizeof memory))
        return false;
    text = yyjson_val_write_opts(&val, 0, &alc, &len, NULL);
    if (!text)
        return false;
    sink_add(sink, weir_str_from(text, len));
    return true;
}

void json_write_str(struct sink *sink, weir_str value)
{
    sink_add_char(sink, '"');
    sink_add_escaped(sink, value);
    sink_add_char(sink, '"');
}
