/* JSON (RFC 8259) by description, in a task: what these functions allocate is in
 * the task's current arena and lives as long as its exchange or message. Where no
 * task runs, decode into a weir_document (weir/type.h). */
#ifndef WEIR_JSON_H
#define WEIR_JSON_H

#include <weir/export.h>
#include <weir/str.h>
#include <weir/type.h>
#include <weir/value.h>

WEIR_BEGIN

/* Decode text by a type: weir_json_decode(text, &type, &value, &faults). */
#define weir_json_decode(text, type, ret_value, ret_faults)                    \
    weir_json_decode_sized(text, type, ret_value, sizeof *(ret_value), ret_faults)

/* The function under weir_json_decode(). Integers must be whole and fit their
 * member exactly; a key twice or unknown is a fault; depth is bounded by
 * WEIR_TYPE_DEPTH_MAX. The size of the text is the caller's to bound.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   WEIR_EJSON      not JSON: the one fault has line and column
 *   WEIR_EINPUT     JSON that does not fit the type: *ret_faults says where
 *   WEIR_EWRONGUSE  size is not the type's, or no task runs here
 *   -ENOMEM         no memory, or no byte budget; or text has a NULL pointer
 * Ownership:  what *ret_value and *ret_faults point to is the current arena's;
 *   text is not kept. *ret_value is untouched on failure; ret_faults may be NULL
 *   and is set on success and on failure.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(2, 3)
int weir_json_decode_sized(weir_str text, const weir_type *type, void *ret_value, size_t size,
                           weir_faults *ret_faults);

/* Encode a value by its type: weir_json_encode(&type, &value, &text). */
#define weir_json_encode(type, value, ret_text)                                \
    weir_json_encode_sized(type, value, 1, sizeof *(value), false, ret_text)

/* Encode count values of one type as an array. */
#define weir_json_encode_array(type, values, count, ret_text)                  \
    weir_json_encode_sized(type, values, count, sizeof *(values), true, ret_text)

/* The function under weir_json_encode() and weir_json_encode_array(). Members are
 * written in the order of the description; an optional string, array, map, object
 * or JSON that is absent is left out, and so is what is .omit_empty and empty.
 * Doubles are written in the shortest form that reads back the same; bytes in a
 * string that are not UTF-8 become U+FFFD.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   -EDOM           a double is NaN or infinite: JSON has no word for it
 *   -EINVAL         an enum's value has no name
 *   -ELOOP          deeper than WEIR_TYPE_DEPTH_MAX
 *   WEIR_EWRONGUSE  size is not the type's, or no task runs here
 *   -ENOMEM         no memory, or no byte budget; or a string that is not optional
 *                   has a NULL pointer
 * Ownership:  *ret_text is the current arena's, and terminated; values are not kept.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 6)
int weir_json_encode_sized(const weir_type *type, const void *values, size_t count, size_t size,
                           bool array, weir_str *ret_text);

/* Write an object of mixed values, in the order given:
 * weir_json_object(&text, WEIR_KV("user", user), WEIR_KV("late", false)). */
#define weir_json_object(ret_text, ...)                                        \
    weir_json_object_of((const weir_kv[]){ __VA_ARGS__ },                      \
                        sizeof((const weir_kv[]){ __VA_ARGS__ }) / sizeof(weir_kv), ret_text)

/* The function under weir_json_object(). Values that are JSON already are spliced
 * in as they are; keys are not checked for being unique.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   -EDOM           a double is NaN or infinite
 *   WEIR_EWRONGUSE  no task runs here
 *   -ENOMEM         no memory, or no byte budget; or a string has a NULL pointer
 * Ownership:  *ret_text is the current arena's, and terminated; members are not kept.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(3)
int weir_json_object_of(const weir_kv *members, size_t count, weir_str *ret_text);

/* Why a text is not JSON. */
typedef struct weir_json_flaw {
    size_t offset;    /* the byte where it was seen */
    const char *what; /* static storage */
} weir_json_flaw;

/* Is this text one JSON value, fit to be spliced into another text as bytes? Any
 * number that the grammar allows is; a text that is not UTF-8, has an unpaired
 * surrogate, or goes deeper than WEIR_TYPE_DEPTH_MAX is not. A warm call does not
 * touch the heap for texts up to 16 KiB.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   WEIR_EJSON  it is not: the error chain and *ret_flaw (may be NULL) say why
 *   -ENOMEM     no memory; or text has a NULL pointer
 * Ownership:  nothing is kept.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE int weir_json_check(weir_str text, weir_json_flaw *ret_flaw);

WEIR_END

#endif
