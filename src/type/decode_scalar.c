/* Single values: numbers, texts, names, durations, sizes; see decode.h.
 *
 * The type decides what a value is. A YAML scalar without quotes is a text to a
 * field that wants text, whatever it looks like; to any other field it is what
 * the core schema says. Integers must be whole and in range exactly: 1.0 and 1e3
 * are taken (JSON has one kind of number), 1.5 and 2^53 + 1 written with a point
 * are not. */
#include "type/decode.h"

#include <errno.h>
#include <stdio.h>

#include <weir/error.h>

#include "type/field.h"
#include "type/format.h"
#include "type/hint.h"
#include "type/json_write.h"
#include "type/units.h"

#define SHOWN_TEXT_BYTES 40
#define EXACT_DOUBLE_MAX 9007199254740992.0 /* 2^53 */

typedef __int128 wide;

struct bounds {
    wide least, most;
};

static bool kind_is_integer(weir_kind kind)
{
    return kind >= WEIR_KIND_I32 && kind <= WEIR_KIND_U64;
}

static struct bounds kind_bounds(weir_kind kind)
{
    switch (kind) {
    case WEIR_KIND_I32: return (struct bounds){ INT32_MIN, INT32_MAX };
    case WEIR_KIND_I64: return (struct bounds){ INT64_MIN, INT64_MAX };
    case WEIR_KIND_U16: return (struct bounds){ 0, UINT16_MAX };
    case WEIR_KIND_U32:
    case WEIR_KIND_DURATION_MS: return (struct bounds){ 0, UINT32_MAX };
    default: return (struct bounds){ 0, UINT64_MAX };
    }
}

/* The field's range cut to its kind's. A double that no wide holds is cut too. */
static struct bounds field_bounds(const weir_type_field *field)
{
    struct bounds b = kind_bounds(field->kind);

    if (!field->has_range)
        return b;
    if (field->min > (long double)b.least)
        b.least = field->min > (long double)b.most ? b.most : (wide)field->min;
    if (field->max < (long double)b.most)
        b.most = field->max < (long double)b.least ? b.least : (wide)field->max;
    return b;
}

/* ---- texts for people ----------------------------------------------------- */

static weir_str wide_text(struct arena *arena, wide value, weir_kind kind)
{
    struct arena_sink sink;

    arena_sink_init(&sink, arena);
    if (kind == WEIR_KIND_DURATION_MS)
        duration_write(&sink.sink, (uint32_t)value);
    else if (kind == WEIR_KIND_BYTES)
        bytes_write(&sink.sink, (uint64_t)value);
    else if (value < 0)
        json_write_i64(&sink.sink, (int64_t)value);
    else
        json_write_u64(&sink.sink, (uint64_t)value);
    return arena_sink_str(&sink);
}

static weir_str real_text(struct arena *arena, double value)
{
    struct arena_sink sink;

    arena_sink_init(&sink, arena);
    if (value > -EXACT_DOUBLE_MAX && value < EXACT_DOUBLE_MAX && value == (double)(int64_t)value)
        json_write_i64(&sink.sink, (int64_t)value);
    else if (!json_write_f64(&sink.sink, value))
        return WEIR_S("a bound");
    return arena_sink_str(&sink);
}

static weir_str value_text(struct arena *arena, const struct view *view, bool lists, bool secret)
{
    switch (view->kind) {
    case VIEW_NULL: return view->plain && view->text.len == 0 ? WEIR_S("empty") : WEIR_S("null");
    case VIEW_BOOL: return view->truth ? WEIR_S("true") : WEIR_S("false");
    case VIEW_INT:
    case VIEW_UINT:
    case VIEW_REAL:
        if (secret)
            return WEIR_S("a number");
        if (view->plain)
            return arena_format(arena, "the number %.*s",
                                WEIR_ARG(text_show(arena, view->text, SHOWN_TEXT_BYTES)));
        return arena_format(arena, "the number %.*s",
                            WEIR_ARG(view->kind == VIEW_REAL  ? real_text(arena, view->d)
                                     : view->kind == VIEW_INT ? wide_text(arena, view->i, 0)
                                                              : wide_text(arena, view->u, 0)));
    case VIEW_STR:
        if (secret)
            return WEIR_S("a string");
        return arena_format(arena, "the string \"%.*s\"",
                            WEIR_ARG(text_show(arena, view->text, SHOWN_TEXT_BYTES)));
    case VIEW_ARRAY: return lists ? WEIR_S("a list") : WEIR_S("an array");
    case VIEW_OBJECT: return lists ? WEIR_S("a mapping") : WEIR_S("an object");
    case VIEW_BAD: break;
    }
    return WEIR_S("this");
}

static weir_str wanted_text(struct arena *arena, const weir_type_field *field)
{
    if (field->format != WEIR_ANY_TEXT)
        return weir_str_c(format_name(field->format));
    if (!field->has_length)
        return WEIR_S("a string");
    if (field->max_length == SIZE_MAX)
        return arena_format(arena, "a string of at least %zu characters", field->min_length);
    return arena_format(arena, "a string of %zu to %zu characters", field->min_length,
                        field->max_length);
}

static weir_str wanted_number(struct arena *arena, const weir_type_field *field, const char *what)
{
    struct bounds b = field_bounds(field);

    if (!field->has_range)
        return weir_str_c(what);
    if (field->kind == WEIR_KIND_F64)
        return arena_format(arena, "%s from %.*s to %.*s", what,
                            WEIR_ARG(real_text(arena, (double)field->min)),
                            WEIR_ARG(real_text(arena, (double)field->max)));
    return arena_format(arena, "%s from %.*s to %.*s", what,
                        WEIR_ARG(wide_text(arena, b.least, field->kind)),
                        WEIR_ARG(wide_text(arena, b.most, field->kind)));
}

weir_str decode_wanted(struct arena *arena, const weir_type_field *field, bool lists)
{
    switch (field->kind) {
    case WEIR_KIND_BOOL: return WEIR_S("true or false");
    case WEIR_KIND_F64: return wanted_number(arena, field, "a number");
    case WEIR_KIND_STR: return wanted_text(arena, field);
    case WEIR_KIND_ENUM:
        return arena_format(arena, "one of %.*s", WEIR_ARG(enum_list(arena, field->names)));
    case WEIR_KIND_DURATION_MS: return wanted_number(arena, field, "a duration");
    case WEIR_KIND_BYTES: return wanted_number(arena, field, "a size in bytes");
    case WEIR_KIND_OBJECT:
    case WEIR_KIND_OBJECT_PTR:
    case WEIR_KIND_MAP: return lists ? WEIR_S("a mapping") : WEIR_S("an object");
    case WEIR_KIND_ARRAY: return lists ? WEIR_S("a list") : WEIR_S("an array");
    case WEIR_KIND_JSON: return WEIR_S("any value");
    default: return wanted_number(arena, field, "an integer");
    }
}

weir_str decode_hint(struct arena *arena, const weir_type_field *field)
{
    struct bounds b;

    if (field->help)
        return weir_str_c(field->help);
    switch (field->kind) {
    case WEIR_KIND_STR: return arena_format(arena, "for example %s", format_example(field->format));
    case WEIR_KIND_ENUM: return arena_format(arena, "for example %s", field->names->names[0].name);
    case WEIR_KIND_DURATION_MS:
        return WEIR_S("a number with its unit, for example 300ms, 5s, 1m or 1h");
    case WEIR_KIND_BYTES: return WEIR_S("for example 65536, 32KiB, 1MiB or 10MB");
    case WEIR_KIND_F64:
        return arena_format(
            arena, "for example %.*s",
            WEIR_ARG(real_text(arena, field->has_range ? (double)field->min : 0.5)));
    default: break;
    }
    if (!kind_is_integer(field->kind))
        return WEIR_S("");
    b = field_bounds(field);
    return arena_format(arena, "for example %.*s",
                        WEIR_ARG(wide_text(arena, field->has_range ? b.least : 42, field->kind)));
}

/* Digits, or true and false, in quotes: the quotes are the mistake. */
static bool only_quotes_are_wrong(const weir_type_field *field, const struct view *view)
{
    bool number = view->text.len > 0;

    if (view->kind != VIEW_STR || view->plain)
        return false;
    if (field->kind == WEIR_KIND_BOOL)
        return weir_str_eq(view->text, WEIR_S("true")) || weir_str_eq(view->text, WEIR_S("false"));
    for (size_t i = 0; i < view->text.len; i++)
        number = number && view->text.ptr[i] >= '0' && view->text.ptr[i] <= '9';
    return number && (kind_is_integer(field->kind) || field->kind == WEIR_KIND_F64);
}

static bool has_leading_zero(const struct view *view)
{
    return view->plain && view->kind == VIEW_STR && view->text.len > 1 &&
           view->text.ptr[0] == '0' && view->text.ptr[1] >= '0' && view->text.ptr[1] <= '9';
}

void decode_wrong_type(struct decoder *d, const struct frame *at, const weir_type_field *field,
                       const struct view *view)
{
    bool lists = d->source->lists;
    weir_str hint, wanted, value;

    if (view->kind == VIEW_BAD || faults_full(d->faults))
        return;
    wanted = decode_wanted(d->arena, field, lists);
    value = value_text(d->arena, view, lists, field->secret);
    if (only_quotes_are_wrong(field, view))
        hint = WEIR_S("leave out the quotes");
    else if (has_leading_zero(view) && kind_is_integer(field->kind))
        hint = WEIR_S("leave out the leading zero; octal is written 0o17");
    else if (field->kind == WEIR_KIND_ENUM && view->kind == VIEW_STR)
        hint = hint_for_name(d->arena, field->names, view->text);
    else
        hint = decode_hint(d->arena, field);
    decode_fault(d, at, view, hint, "must be %.*s, not %.*s", WEIR_ARG(wanted), WEIR_ARG(value));
}

/* ---- values --------------------------------------------------------------- */

static bool view_is_whole(const struct view *view, wide *ret_value)
{
    switch (view->kind) {
    case VIEW_INT: *ret_value = view->i; return true;
    case VIEW_UINT: *ret_value = view->u; return true;
    case VIEW_REAL:
        if (view->d < -EXACT_DOUBLE_MAX || view->d > EXACT_DOUBLE_MAX ||
            view->d != (double)(int64_t)view->d)
            return false;
        *ret_value = (int64_t)view->d;
        return true;
    default: return false;
    }
}

static void store_integer(weir_kind kind, wide value, void *out)
{
    switch (kind) {
    case WEIR_KIND_BOOL: *(bool *)out = value != 0; break;
    case WEIR_KIND_U16: *(uint16_t *)out = (uint16_t)value; break;
    case WEIR_KIND_I32:
    case WEIR_KIND_ENUM: *(int32_t *)out = (int32_t)value; break;
    case WEIR_KIND_U32:
    case WEIR_KIND_DURATION_MS: *(uint32_t *)out = (uint32_t)value; break;
    default: *(uint64_t *)out = (uint64_t)value; break;
    }
}

/* The same bounds as field_bounds(), without its slow conversions. */
static bool store_in_bounds(const weir_type_field *field, wide value, void *out)
{
    struct bounds b = kind_bounds(field->kind);
    long double exact;

    if (value < b.least || value > b.most)
        return false;
    exact = value < 0 ? (long double)(int64_t)value : (long double)(uint64_t)value;
    if (field->has_range && (exact < field->min || exact > field->max))
        return false;
    store_integer(field->kind, value, out);
    return true;
}

/* "must be between 0 and 65535, not 70000": also for a kind's own bounds. */
static void out_of_range(struct decoder *d, const struct frame *at, const weir_type_field *field,
                         const struct view *view)
{
    struct bounds b = field_bounds(field);
    weir_str value;

    if (faults_full(d->faults))
        return;
    value = view->kind == VIEW_STR && !field->secret
                ? text_show(d->arena, view->text, SHOWN_TEXT_BYTES)
                : value_text(d->arena, view, false, field->secret);
    if (weir_str_starts(value, WEIR_S("the number ")))
        value = weir_str_skip(value, sizeof "the number " - 1);
    decode_fault(d, at, view, weir_str_c(field->help ? field->help : ""),
                 "must be between %.*s and %.*s, not %.*s",
                 WEIR_ARG(wide_text(d->arena, b.least, field->kind)),
                 WEIR_ARG(wide_text(d->arena, b.most, field->kind)), WEIR_ARG(value));
}

static bool decode_integer(struct decoder *d, const struct frame *at, const weir_type_field *field,
                           const struct view *view, void *out)
{
    wide value;

    if (!view_is_whole(view, &value)) {
        decode_wrong_type(d, at, field, view);
        return false;
    }
    if (store_in_bounds(field, value, out))
        return true;
    out_of_range(d, at, field, view);
    return false;
}

static bool decode_real(struct decoder *d, const struct frame *at, const weir_type_field *field,
                        const struct view *view, void *out)
{
    double value;

    if (view->kind == VIEW_REAL) {
        value = view->d;
    } else if (view->kind == VIEW_INT) {
        value = (double)view->i;
    } else if (view->kind == VIEW_UINT) {
        value = (double)view->u;
    } else {
        decode_wrong_type(d, at, field, view);
        return false;
    }
    if (field->has_range && !(value >= field->min && value <= field->max)) {
        if (!faults_full(d->faults))
            decode_fault(d, at, view, weir_str_c(field->help ? field->help : ""),
                         "must be between %.*s and %.*s, not %.*s",
                         WEIR_ARG(real_text(d->arena, (double)field->min)),
                         WEIR_ARG(real_text(d->arena, (double)field->max)),
                         WEIR_ARG(field->secret ? WEIR_S("this") : real_text(d->arena, value)));
        return false;
    }
    *(double *)out = value;
    return true;
}

/* Length in characters, as JSON Schema counts: bytes that do not continue one. */
static size_t characters(weir_str s)
{
    size_t count = 0;

    for (size_t i = 0; i < s.len; i++)
        count += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    return count;
}

static bool check_length(struct decoder *d, const struct frame *at, const weir_type_field *field,
                         const struct view *view)
{
    size_t length = field->has_length ? characters(view->text) : 0;

    if (!field->has_length || (length >= field->min_length && length <= field->max_length))
        return true;
    if (faults_full(d->faults))
        return false;
    if (length < field->min_length && length == 0)
        decode_fault(d, at, view, decode_hint(d->arena, field), "must not be empty");
    else
        decode_fault(
            d, at, view, weir_str_c(field->help ? field->help : ""), "must be %.*s, not of %zu",
            WEIR_ARG(wanted_text(d->arena, &(weir_type_field){ .has_length = true,
                                                               .min_length = field->min_length,
                                                               .max_length = field->max_length })),
            length);
    return false;
}

static bool decode_text(struct decoder *d, const struct frame *at, const weir_type_field *field,
                        const struct view *view, void *out)
{
    weir_str text = view->text;

    if (view->kind != VIEW_STR && !(view->plain && view->kind != VIEW_NULL)) {
        decode_wrong_type(d, at, field, view);
        return false;
    }
    if (!check_length(d, at, field, view))
        return false;
    if (!format_fits(field->format, text)) {
        decode_wrong_type(d, at, field,
                          &(struct view){ .at = view->at, .kind = VIEW_STR, .text = text });
        return false;
    }
    if (!d->source->stable)
        text = arena_dup(d->arena, text);
    if (!text.ptr)
        d->error = -ENOMEM;
    *(weir_str *)out = text;
    return text.ptr != NULL;
}

static bool decode_name(struct decoder *d, const struct frame *at, const weir_type_field *field,
                        const struct view *view, void *out)
{
    if (view->kind == VIEW_STR || (view->plain && view->kind != VIEW_NULL)) {
        for (size_t i = 0; i < field->names->count; i++) {
            if (!weir_str_eq(view->text, weir_str_c(field->names->names[i].name)))
                continue;
            store_integer(field->kind, field->names->names[i].value, out);
            return true;
        }
    }
    decode_wrong_type(d, at, field, view);
    return false;
}

static bool decode_quantity(struct decoder *d, const struct frame *at, const weir_type_field *field,
                            const struct view *view, void *out)
{
    bool bytes = field->kind == WEIR_KIND_BYTES;
    uint64_t value = 0;
    uint32_t ms = 0;
    wide whole;
    int rc;

    if (view->kind == VIEW_STR || view->plain) {
        rc = bytes ? bytes_parse(view->text, &value) : duration_parse(view->text, &ms);
        whole = bytes ? (wide)value : (wide)ms;
    } else {
        rc = view_is_whole(view, &whole) && (bytes || whole == 0) ? 0 : -EINVAL;
    }
    if (rc == -EINVAL) {
        decode_wrong_type(d, at, field, view);
        return false;
    }
    if (rc == 0 && store_in_bounds(field, whole, out))
        return true;
    out_of_range(d, at, field, view);
    return false;
}

bool decode_scalar(struct decoder *d, const struct frame *at, const weir_type_field *field,
                   const struct view *view, void *out)
{
    switch (field->kind) {
    case WEIR_KIND_BOOL:
        if (view->kind == VIEW_BOOL) {
            *(bool *)out = view->truth;
            return true;
        }
        decode_wrong_type(d, at, field, view);
        return false;
    case WEIR_KIND_F64: return decode_real(d, at, field, view, out);
    case WEIR_KIND_STR: return decode_text(d, at, field, view, out);
    case WEIR_KIND_ENUM: return decode_name(d, at, field, view, out);
    case WEIR_KIND_DURATION_MS:
    case WEIR_KIND_BYTES: return decode_quantity(d, at, field, view, out);
    default: return decode_integer(d, at, field, view, out);
    }
}

void decode_default(struct decoder *d, const weir_type_field *field, void *out)
{
    switch (field->kind) {
    case WEIR_KIND_F64: *(double *)out = field->default_f64; break;
    case WEIR_KIND_STR:
    case WEIR_KIND_JSON: *(weir_str *)out = weir_str_c(field->default_text); break;
    case WEIR_KIND_OBJECT:
    case WEIR_KIND_OBJECT_PTR:
    case WEIR_KIND_ARRAY:
    case WEIR_KIND_MAP: break;
    default: store_integer(field->kind, field->default_i64, out); break;
    }
    (void)d;
}
