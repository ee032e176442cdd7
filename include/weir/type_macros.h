/* The macros that describe a struct; included by weir/type.h. C only.
 *
 * Each field macro expands to a tuple: the macro that makes the initializer, the
 * member, and the options. WEIR_TYPE gives each the struct's type, so that it is
 * named once. A member of another type than the macro's does not compile. */
#ifndef WEIR_TYPE_MACROS_H
#define WEIR_TYPE_MACROS_H

#include <weir/type.h>

/* Define a description. What follows the struct are fields and rules. */
#define WEIR_TYPE(type_name, struct_type, ...)                                 \
    const weir_type type_name = {                                              \
        .name = #struct_type,                                                  \
        .size = sizeof(struct_type),                                           \
        .fields = (const weir_type_field[]){ WEIR_EACH_(struct_type, __VA_ARGS__),  \
                                        { .kind = WEIR_KIND_END } },           \
    }

/* Define an enum's names: WEIR_NAMES(level_names, { "debug", DEBUG }, …). */
#define WEIR_NAMES(enum_name, ...)                                             \
    const weir_enum enum_name = {                                              \
        (const weir_enum_name[]){ __VA_ARGS__ },                               \
        sizeof((const weir_enum_name[]){ __VA_ARGS__ }) / sizeof(weir_enum_name) \
    }

/* Fields: the member, then options. */
#define WEIR_BOOL(member, ...) (WEIR_SCALAR_, member, bool, WEIR_KIND_BOOL, __VA_ARGS__)
#define WEIR_I32(member, ...) (WEIR_SCALAR_, member, int32_t, WEIR_KIND_I32, __VA_ARGS__)
#define WEIR_I64(member, ...) (WEIR_SCALAR_, member, int64_t, WEIR_KIND_I64, __VA_ARGS__)
#define WEIR_U16(member, ...) (WEIR_SCALAR_, member, uint16_t, WEIR_KIND_U16, __VA_ARGS__)
#define WEIR_U32(member, ...) (WEIR_SCALAR_, member, uint32_t, WEIR_KIND_U32, __VA_ARGS__)
#define WEIR_U64(member, ...) (WEIR_SCALAR_, member, uint64_t, WEIR_KIND_U64, __VA_ARGS__)
#define WEIR_F64(member, ...) (WEIR_SCALAR_, member, double, WEIR_KIND_F64, __VA_ARGS__)
#define WEIR_STR(member, ...) (WEIR_SCALAR_, member, weir_str, WEIR_KIND_STR, __VA_ARGS__)

/* A name out of a list; names is the address of a WEIR_NAMES. */
#define WEIR_ENUM(member, names, ...) (WEIR_ENUM_, member, names, __VA_ARGS__)

/* "300ms", "5s", "1m", "1h", "1d", in a uint32_t of milliseconds. */
#define WEIR_DURATION_MS(member, ...)                                          \
    (WEIR_SCALAR_, member, uint32_t, WEIR_KIND_DURATION_MS, __VA_ARGS__)

/* "32KiB", "10MB" or a plain number of bytes, in a uint64_t. */
#define WEIR_BYTES(member, ...) (WEIR_SCALAR_, member, uint64_t, WEIR_KIND_BYTES, __VA_ARGS__)

/* Any value, kept as its JSON text, in a weir_str. */
#define WEIR_JSON(member, ...) (WEIR_SCALAR_, member, weir_str, WEIR_KIND_JSON, __VA_ARGS__)

/* A struct in the struct, and a pointer to one that is NULL when absent. */
#define WEIR_OBJECT(member, type, ...) (WEIR_OBJECT_, member, type, __VA_ARGS__)
#define WEIR_OBJECT_PTR(member, type, ...) (WEIR_OBJECT_PTR_, member, type, __VA_ARGS__)

/* An array: the member is a pointer, <member>_count its size_t count. WEIR_LENGTH
 * bounds the count; options of the items are given to the item macro. */
#define WEIR_ARRAY(member, item, ...) (WEIR_ARRAY_, member, item, __VA_ARGS__)

/* An object whose keys are data: the member points to an array of
 * struct { weir_str key; … value; }, in the document's order. */
#define WEIR_MAP(member, type, ...) (WEIR_MAP_, member, WEIR_OBJECT_ITEM(type), __VA_ARGS__)
#define WEIR_MAP_OF(member, item, ...) (WEIR_MAP_, member, item, __VA_ARGS__)

/* A rule over the whole struct; see weir_check_fn. */
#define WEIR_CHECK(function) (WEIR_RULE_, function)

/* What an array or a map holds. */
#define WEIR_BOOL_ITEM(...) (WEIR_ITEM_SCALAR_, bool, WEIR_KIND_BOOL, __VA_ARGS__)
#define WEIR_I32_ITEM(...) (WEIR_ITEM_SCALAR_, int32_t, WEIR_KIND_I32, __VA_ARGS__)
#define WEIR_I64_ITEM(...) (WEIR_ITEM_SCALAR_, int64_t, WEIR_KIND_I64, __VA_ARGS__)
#define WEIR_U16_ITEM(...) (WEIR_ITEM_SCALAR_, uint16_t, WEIR_KIND_U16, __VA_ARGS__)
#define WEIR_U32_ITEM(...) (WEIR_ITEM_SCALAR_, uint32_t, WEIR_KIND_U32, __VA_ARGS__)
#define WEIR_U64_ITEM(...) (WEIR_ITEM_SCALAR_, uint64_t, WEIR_KIND_U64, __VA_ARGS__)
#define WEIR_F64_ITEM(...) (WEIR_ITEM_SCALAR_, double, WEIR_KIND_F64, __VA_ARGS__)
#define WEIR_STR_ITEM(...) (WEIR_ITEM_SCALAR_, weir_str, WEIR_KIND_STR, __VA_ARGS__)
#define WEIR_ENUM_ITEM(names, ...) (WEIR_ITEM_ENUM_, names, __VA_ARGS__)
#define WEIR_OBJECT_ITEM(type) (WEIR_ITEM_OBJECT_, type)

/* Options that take two values, and defaults (which make a field optional). */
#define WEIR_RANGE(least, most) .has_range = true, .min = (least), .max = (most)
#define WEIR_LENGTH(least, most) .has_length = true, .min_length = (least), .max_length = (most)
#define WEIR_DEFAULT(value) .optional = true, .default_i64 = (value)
#define WEIR_DEFAULT_F64(value) .optional = true, .default_f64 = (value)
#define WEIR_DEFAULT_TEXT(literal) .optional = true, .default_text = (literal)

/* ---- what they are made of ------------------------------------------------ */

/* 0, or a compile error that says text. */
#define WEIR_ASSERT_(condition, text)                                          \
    (0 * sizeof(struct { _Static_assert(condition, text); int unused; }))
#define WEIR_MEMBER_(T, member) (((T *)0)->member)
#define WEIR_IS_(value, C) __builtin_types_compatible_p(__typeof__(value), C)
#define WEIR_OFFSET_(T, member, C)                                             \
    (offsetof(T, member) +                                                     \
     WEIR_ASSERT_(WEIR_IS_(WEIR_MEMBER_(T, member), C), #member " is not of type " #C))

#define WEIR_SCALAR_(T, member, C, field_kind, ...)                            \
    { .name = #member, .kind = field_kind, .offset = WEIR_OFFSET_(T, member, C), __VA_ARGS__ }

#define WEIR_ENUM_(T, member, enum_names, ...)                                 \
    { .name = #member, .kind = WEIR_KIND_ENUM, .names = (enum_names),          \
      .offset = offsetof(T, member) +                                          \
                WEIR_ASSERT_(sizeof(WEIR_MEMBER_(T, member)) == sizeof(int) && \
                                 !WEIR_IS_(WEIR_MEMBER_(T, member), float),    \
                             #member " is not an enum or an int"),             \
      __VA_ARGS__ }

#define WEIR_OBJECT_(T, member, object_type, ...)                              \
    { .name = #member, .kind = WEIR_KIND_OBJECT, .type = (object_type),        \
      .offset = offsetof(T, member), .size = sizeof(WEIR_MEMBER_(T, member)), __VA_ARGS__ }

#define WEIR_OBJECT_PTR_(T, member, object_type, ...)                          \
    { .name = #member, .kind = WEIR_KIND_OBJECT_PTR, .type = (object_type),    \
      .offset = offsetof(T, member) +                                          \
                WEIR_ASSERT_(sizeof(WEIR_MEMBER_(T, member)) == sizeof(void *), \
                             #member " is not a pointer"),                     \
      .size = sizeof(*WEIR_MEMBER_(T, member)), .optional = true, __VA_ARGS__ }

#define WEIR_ARRAY_(T, member, array_item, ...)                                \
    { .name = #member, .kind = WEIR_KIND_ARRAY, .offset = offsetof(T, member), \
      .count_offset = WEIR_OFFSET_(T, member##_count, size_t),                 \
      .size = sizeof(*WEIR_MEMBER_(T, member)),                                \
      .item = &(const weir_type_field)WEIR_ELEMENT_(*WEIR_MEMBER_(T, member), array_item), __VA_ARGS__ }

#define WEIR_MAP_(T, member, map_item, ...)                                    \
    { .name = #member, .kind = WEIR_KIND_MAP,                                  \
      .offset = offsetof(T, member) +                                          \
                WEIR_ASSERT_(offsetof(__typeof__(*WEIR_MEMBER_(T, member)), key) == 0 && \
                                 WEIR_IS_(WEIR_MEMBER_(T, member)->key, weir_str), \
                             "an entry of " #member " must begin with weir_str key"), \
      .count_offset = WEIR_OFFSET_(T, member##_count, size_t),                 \
      .size = sizeof(*WEIR_MEMBER_(T, member)),                                \
      .value_offset = offsetof(__typeof__(*WEIR_MEMBER_(T, member)), value),   \
      .item = &(const weir_type_field)WEIR_ELEMENT_(WEIR_MEMBER_(T, member)->value, map_item), \
      __VA_ARGS__ }

#define WEIR_RULE_(T, function)                                                \
    { .kind = WEIR_KIND_CHECK, .check = (function) }

#define WEIR_ELEMENT_(value, item) WEIR_ITEM_APPLY_(value, WEIR_OPEN_ item)
#define WEIR_ITEM_APPLY_(value, ...) WEIR_ITEM_CALL_(value, __VA_ARGS__)
#define WEIR_ITEM_CALL_(value, macro, ...) macro(value, __VA_ARGS__)
#define WEIR_ITEM_SCALAR_(value, C, field_kind, ...)                           \
    { .kind = field_kind,                                                      \
      .offset = WEIR_ASSERT_(WEIR_IS_(value, C), "the items are not of type " #C), __VA_ARGS__ }
#define WEIR_ITEM_ENUM_(value, enum_names, ...)                                \
    { .kind = WEIR_KIND_ENUM, .names = (enum_names),                           \
      .offset = WEIR_ASSERT_(sizeof(value) == sizeof(int), "the items are not enums"), \
      __VA_ARGS__ }
#define WEIR_ITEM_OBJECT_(value, object_type)                                  \
    { .kind = WEIR_KIND_OBJECT, .type = (object_type), .size = sizeof(value) }

/* Apply each tuple's macro to T: the arguments are rescanned often enough for
 * WEIR_FIELDS_MAX fields. */
#define WEIR_EACH_(T, ...) WEIR_SCAN_(WEIR_STEP_(T, __VA_ARGS__))
#define WEIR_STEP_(T, field, ...)                                              \
    WEIR_FIELD_(T, WEIR_OPEN_ field) __VA_OPT__(, WEIR_AGAIN_ WEIR_PARENS_ (T, __VA_ARGS__))
#define WEIR_PARENS_ ()
#define WEIR_AGAIN_() WEIR_STEP_
#define WEIR_OPEN_(...) __VA_ARGS__
#define WEIR_FIELD_(T, ...) WEIR_CALL_(T, __VA_ARGS__)
#define WEIR_CALL_(T, macro, ...) macro(T, __VA_ARGS__)
#define WEIR_SCAN_(...) WEIR_SCAN4_(WEIR_SCAN4_(WEIR_SCAN4_(WEIR_SCAN4_(__VA_ARGS__))))
#define WEIR_SCAN4_(...) WEIR_SCAN3_(WEIR_SCAN3_(WEIR_SCAN3_(WEIR_SCAN3_(__VA_ARGS__))))
#define WEIR_SCAN3_(...) WEIR_SCAN2_(WEIR_SCAN2_(WEIR_SCAN2_(WEIR_SCAN2_(__VA_ARGS__))))
#define WEIR_SCAN2_(...) __VA_ARGS__

#endif
