/* Resolving plain scalars; see yaml_scalar.h.
 *
 * Decimal numbers are put into JSON's form (no "+", a digit on both sides of the
 * point) and read by yyjson: exact, and in no locale. */
#include "type/yaml_scalar.h"

#include <yyjson.h>

#define NUMBER_BYTES_MAX 64

static bool is_one_of(weir_str text, const char *const words[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (weir_str_eq(text, weir_str_c(words[i])))
            return true;
    }
    return false;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "0x1F" and "0o17". */
static bool resolve_based(struct view *view)
{
    weir_str digits = weir_str_skip(view->text, 2);
    unsigned base = view->text.len > 2 && view->text.ptr[1] == 'x' ? 16 : 8;
    uint64_t value = 0;

    if (view->text.len < 3 || view->text.ptr[0] != '0' ||
        (view->text.ptr[1] != 'x' && view->text.ptr[1] != 'o'))
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        int digit = hex_digit(digits.ptr[i]);

        if (digit < 0 || (unsigned)digit >= base || __builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, (unsigned)digit, &value))
            return false;
    }
    view->kind = VIEW_UINT;
    view->u = value;
    return true;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? into JSON's
 * form; the length, or 0 when it is no such number. */
static size_t number_to_json(weir_str s, char json[NUMBER_BYTES_MAX + 8])
{
    size_t i = 0, n = 0, digits = 0, start;

    if (s.len > NUMBER_BYTES_MAX)
        return 0;
    if (i < s.len && (s.ptr[i] == '-' || s.ptr[i] == '+')) {
        if (s.ptr[i++] == '-')
            json[n++] = '-';
    }
    start = i;
    for (; i < s.len && is_digit(s.ptr[i]); digits++)
        json[n++] = s.ptr[i++];
    if (digits > 1 && s.ptr[start] == '0')
        return 0;
    if (digits == 0)
        json[n++] = '0';
    if (i < s.len && s.ptr[i] == '.') {
        size_t before = n;

        json[n++] = s.ptr[i++];
        for (; i < s.len && is_digit(s.ptr[i]); digits++)
            json[n++] = s.ptr[i++];
        if (n == before + 1)
            json[n++] = '0';
    }
    if (digits == 0)
        return 0;
    if (i < s.len && (s.ptr[i] == 'e' || s.ptr[i] == 'E')) {
        json[n++] = s.ptr[i++];
        if (i < s.len && (s.ptr[i] == '-' || s.ptr[i] == '+'))
            json[n++] = s.ptr[i++];
        start = i;
        while (i < s.len && is_digit(s.ptr[i]))
            json[n++] = s.ptr[i++];
        if (i == start)
            return 0;
    }
    return i == s.len ? n : 0;
}

static bool resolve_number(struct view *view)
{
    char json[NUMBER_BYTES_MAX + 8];
    size_t n = number_to_json(view->text, json);
    yyjson_val val;

    if (n == 0)
        return false;
    json[n] = '\0';
    if (yyjson_read_number(json, &val, 0, NULL, NULL) != json + n)
        return false;
    if (yyjson_is_real(&val)) {
        view->kind = VIEW_REAL;
        view->d = yyjson_get_real(&val);
    } else if (yyjson_is_uint(&val)) {
        view->kind = VIEW_UINT;
        view->u = yyjson_get_uint(&val);
    } else {
        view->kind = VIEW_INT;
        view->i = yyjson_get_sint(&val);
    }
    return true;
}

void yaml_scalar_resolve(struct view *view)
{
    static const char *const nulls[] = { "", "~", "null", "Null", "NULL" };
    static const char *const truths[] = { "true", "True", "TRUE" };
    static const char *const untruths[] = { "false", "False", "FALSE" };
    char c = view->text.len ? view->text.ptr[0] : '\0';

    view->kind = VIEW_STR;
    if (is_one_of(view->text, nulls, 5)) {
        view->kind = VIEW_NULL;
    } else if (is_one_of(view->text, truths, 3) || is_one_of(view->text, untruths, 3)) {
        view->kind = VIEW_BOOL;
        view->truth = c == 't' || c == 'T';
    } else if (is_digit(c) || c == '-' || c == '+' || c == '.') {
        if (!resolve_based(view))
            (void)resolve_number(view);
    }
}
