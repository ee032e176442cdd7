/* Encoding by description; see encode.h.
 *
 * Invariants: recursion is bounded by WEIR_TYPE_DEPTH_MAX, so that a struct that
 * points to itself ends in an error; the first error ends the writing. A sink that
 * goes bad on the way is noticed at the end. */
#include "type/encode.h"

#include <errno.h>

#include <weir/error.h>

#include "type/field.h"
#include "type/json_write.h"
#include "type/units.h"

static int encode_object(struct sink *sink, const weir_type *type, const void *value, size_t depth);

static int field_fail(int code, const weir_type_field *field, const char *why)
{
    weir_str key = field->name ? field_key(field) : WEIR_S("an item");

    return weir_fail(code, "`%.*s` %s", WEIR_ARG(key), why);
}

static int encode_text(struct sink *sink, const weir_type_field *field, const void *at)
{
    weir_str text = *(const weir_str *)at;

    if (!text.ptr)
        return field_fail(-ENOMEM, field, "has no text: it was never set, or an allocation failed");
    json_write_str(sink, text);
    return 0;
}

static int encode_name(struct sink *sink, const weir_type_field *field, const void *at)
{
    int value = *(const int *)at;

    for (size_t i = 0; i < field->names->count; i++) {
        if (field->names->names[i].value != value)
            continue;
        json_write_str(sink, weir_str_c(field->names->names[i].name));
        return 0;
    }
    return field_fail(-EINVAL, field, "has a value without a name in its enum");
}

/* A value of a kind that is no array, map, object or JSON. */
static int encode_scalar(struct sink *sink, const weir_type_field *field, const void *at)
{
    switch (field->kind) {
    case WEIR_KIND_BOOL: json_write_bool(sink, *(const bool *)at); return 0;
    case WEIR_KIND_I32: json_write_i64(sink, *(const int32_t *)at); return 0;
    case WEIR_KIND_I64: json_write_i64(sink, *(const int64_t *)at); return 0;
    case WEIR_KIND_U16: json_write_u64(sink, *(const uint16_t *)at); return 0;
    case WEIR_KIND_U32: json_write_u64(sink, *(const uint32_t *)at); return 0;
    case WEIR_KIND_U64: json_write_u64(sink, *(const uint64_t *)at); return 0;
    case WEIR_KIND_F64:
        return json_write_f64(sink, *(const double *)at)
                   ? 0
                   : field_fail(-EDOM, field, "is not a finite number: JSON can't hold it");
    case WEIR_KIND_STR: return encode_text(sink, field, at);
    case WEIR_KIND_ENUM: return encode_name(sink, field, at);
    case WEIR_KIND_DURATION_MS:
        sink_add_char(sink, '"');
        duration_write(sink, *(const uint32_t *)at);
        sink_add_char(sink, '"');
        return 0;
    case WEIR_KIND_BYTES:
        sink_add_char(sink, '"');
        bytes_write(sink, *(const uint64_t *)at);
        sink_add_char(sink, '"');
        return 0;
    default: return field_fail(WEIR_EWRONGUSE, field, "is of a kind that can't stand here");
    }
}

static int encode_element(struct sink *sink, const weir_type_field *item, const void *at,
                          size_t depth)
{
    if (item->kind == WEIR_KIND_OBJECT)
        return encode_object(sink, item->type, at, depth);
    return encode_scalar(sink, item, at);
}

static size_t list_count(const weir_type_field *field, const void *object)
{
    return *(const size_t *)((const char *)object + field->count_offset);
}

static int encode_list(struct sink *sink, const weir_type_field *field, const void *object,
                       size_t depth)
{
    const char *element = *(const char *const *)field_in(field, object);
    size_t count = list_count(field, object);
    bool map = field->kind == WEIR_KIND_MAP;
    int rc = 0;

    if (depth == WEIR_TYPE_DEPTH_MAX)
        return field_fail(-ELOOP, field, "is too deep");
    sink_add_char(sink, map ? '{' : '[');
    for (size_t i = 0; i < count && rc == 0; i++, element += field->size) {
        if (i)
            sink_add_char(sink, ',');
        if (map) {
            rc = encode_text(sink, field, element);
            sink_add_char(sink, ':');
        }
        if (rc == 0)
            rc = encode_element(sink, field->item, element + field->value_offset, depth + 1);
    }
    sink_add_char(sink, map ? '}' : ']');
    return rc;
}

static int encode_field(struct sink *sink, const weir_type_field *field, const void *object,
                        size_t depth)
{
    const void *at = field_in(field, object);

    switch (field->kind) {
    case WEIR_KIND_OBJECT: return encode_object(sink, field->type, at, depth);
    case WEIR_KIND_OBJECT_PTR:
        return encode_object(sink, field->type, *(const void *const *)at, depth);
    case WEIR_KIND_ARRAY:
    case WEIR_KIND_MAP: return encode_list(sink, field, object, depth);
    case WEIR_KIND_JSON:
        if (((const weir_str *)at)->ptr)
            sink_add(sink, *(const weir_str *)at);
        else
            json_write_null(sink);
        return 0;
    default: return encode_scalar(sink, field, at);
    }
}

static bool is_zero(const weir_type_field *field, const void *at)
{
    switch (field->kind) {
    case WEIR_KIND_BOOL: return !*(const bool *)at;
    case WEIR_KIND_U16: return *(const uint16_t *)at == 0;
    case WEIR_KIND_I64:
    case WEIR_KIND_U64:
    case WEIR_KIND_BYTES: return *(const uint64_t *)at == 0;
    case WEIR_KIND_F64: return *(const double *)at == 0;
    default: /* int32_t, uint32_t, enums */ return *(const uint32_t *)at == 0;
    }
}

/* Was an optional struct never there? That shows in a text it must have: no text at
 * all, and nothing in the other fields that it must have. */
static bool object_is_absent(const weir_type *type, const void *object)
{
    bool lacks_text = false;

    for (const weir_type_field *field = type->fields; field->kind != WEIR_KIND_END; field++) {
        const void *at = field_in(field, object);

        if (field->kind == WEIR_KIND_CHECK || field->optional)
            continue;
        if (field->kind == WEIR_KIND_STR || field->kind == WEIR_KIND_JSON) {
            if (((const weir_str *)at)->ptr)
                return false;
            lacks_text = true;
        } else if (field->kind == WEIR_KIND_OBJECT) {
            if (!object_is_absent(field->type, at))
                return false;
            lacks_text = true;
        } else if (field->kind == WEIR_KIND_ARRAY || field->kind == WEIR_KIND_MAP) {
            if (list_count(field, object) > 0)
                return false;
        } else if (!is_zero(field, at)) {
            return false;
        }
    }
    return lacks_text;
}

/* Absent optional things, and empty ones that are to be left out. */
static bool is_left_out(const weir_type_field *field, const void *object)
{
    const void *at = field_in(field, object);

    switch (field->kind) {
    case WEIR_KIND_CHECK: return true;
    case WEIR_KIND_STR:
    case WEIR_KIND_JSON:
        return (field->optional && !((const weir_str *)at)->ptr) ||
               (field->omit_empty && ((const weir_str *)at)->len == 0);
    case WEIR_KIND_OBJECT: return field->optional && object_is_absent(field->type, at);
    case WEIR_KIND_OBJECT_PTR: return !*(const void *const *)at;
    case WEIR_KIND_ARRAY:
    case WEIR_KIND_MAP:
        return (field->optional || field->omit_empty) && list_count(field, object) == 0;
    default: return field->omit_empty && is_zero(field, at);
    }
}

static int encode_object(struct sink *sink, const weir_type *type, const void *value, size_t depth)
{
    bool first = true;
    int rc = 0;

    if (depth == WEIR_TYPE_DEPTH_MAX)
        return weir_fail(-ELOOP, "%s: more than %d objects inside each other", type->name,
                         WEIR_TYPE_DEPTH_MAX);
    sink_add_char(sink, '{');
    for (const weir_type_field *field = type->fields; field->kind != WEIR_KIND_END && rc == 0;
         field++) {
        if (is_left_out(field, value))
            continue;
        if (!first)
            sink_add_char(sink, ',');
        first = false;
        json_write_str(sink, field_key(field));
        sink_add_char(sink, ':');
        rc = encode_field(sink, field, value, depth + 1);
    }
    sink_add_char(sink, '}');
    return rc;
}

static int check_size(const weir_type *type, size_t size)
{
    if (type->size == size)
        return 0;
    return weir_fail(WEIR_EWRONGUSE, "%s is described with %zu bytes, but the value has %zu",
                     type->name, type->size, size);
}

int json_encode(struct sink *sink, const weir_type *type, const void *value, size_t size)
{
    int rc = check_size(type, size);

    if (rc == 0)
        rc = encode_object(sink, type, value, 0);
    return rc == 0 && sink->bad ? -ENOMEM : rc;
}

int json_encode_array(struct sink *sink, const weir_type *type, const void *values, size_t count,
                      size_t size)
{
    int rc = check_size(type, size);

    sink_add_char(sink, '[');
    for (size_t i = 0; i < count && rc == 0; i++) {
        if (i)
            sink_add_char(sink, ',');
        rc = encode_object(sink, type, (const char *)values + i * size, 1);
    }
    sink_add_char(sink, ']');
    return rc == 0 && sink->bad ? -ENOMEM : rc;
}

int json_write_value(struct sink *sink, const weir_value *value)
{
    switch (value->kind) {
    case WEIR_VALUE_NULL: json_write_null(sink); break;
    case WEIR_VALUE_BOOL: json_write_bool(sink, value->boolean); break;
    case WEIR_VALUE_I64: json_write_i64(sink, value->i64); break;
    case WEIR_VALUE_U64: json_write_u64(sink, value->u64); break;
    case WEIR_VALUE_F64:
        if (!json_write_f64(sink, value->f64))
            return weir_fail(-EDOM, "a number is not finite: JSON can't hold it");
        break;
    case WEIR_VALUE_STR:
        if (!value->str.ptr)
            return -ENOMEM;
        json_write_str(sink, value->str);
        break;
    case WEIR_VALUE_JSON:
        if (!value->str.ptr)
            return -ENOMEM;
        sink_add(sink, value->str);
        break;
    }
    return sink->bad ? -ENOMEM : 0;
}

int json_write_object(struct sink *sink, const weir_kv *members, size_t count)
{
    int rc = 0;

    sink_add_char(sink, '{');
    for (size_t i = 0; i < count && rc == 0; i++) {
        if (i)
            sink_add_char(sink, ',');
        json_write_str(sink, members[i].key);
        sink_add_char(sink, ':');
        rc = json_write_value(sink, &members[i].value);
    }
    sink_add_char(sink, '}');
    return rc == 0 && sink->bad ? -ENOMEM : rc;
}
