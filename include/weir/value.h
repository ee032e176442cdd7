/* Values of mixed types, passed by one macro: members of a JSON object, parameters
 * of a query.
 *
 *     weir_json_object(&text, WEIR_KV("name", name), WEIR_KV("age", 36),
 *                      WEIR_KV("orders", orders));
 *
 * WEIR_V takes integers, doubles, bool, strings (char * and weir_str), weir_json
 * (already JSON), and NULL; anything else does not compile. */
#ifndef WEIR_VALUE_H
#define WEIR_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/export.h>
#include <weir/str.h>

WEIR_BEGIN

/* JSON text that was checked, or written by weir: it is spliced in as it is. */
typedef struct weir_json {
    weir_str text;
} weir_json;

typedef enum weir_value_kind {
    WEIR_VALUE_NULL,
    WEIR_VALUE_BOOL,
    WEIR_VALUE_I64,
    WEIR_VALUE_U64,
    WEIR_VALUE_F64,
    WEIR_VALUE_STR,
    WEIR_VALUE_JSON
} weir_value_kind;

typedef struct weir_value {
    weir_value_kind kind;
    union {
        bool boolean;
        int64_t i64;
        uint64_t u64;
        double f64;
        weir_str str; /* also JSON */
    };
} weir_value;

typedef struct weir_kv {
    weir_str key;
    weir_value value;
} weir_kv;

static inline weir_value weir_value_bool(bool v)
{
    weir_value r;

    r.kind = WEIR_VALUE_BOOL;
    r.boolean = v;
    return r;
}

static inline weir_value weir_value_i64(int64_t v)
{
    weir_value r;

    r.kind = WEIR_VALUE_I64;
    r.i64 = v;
    return r;
}

static inline weir_value weir_value_u64(uint64_t v)
{
    weir_value r;

    r.kind = WEIR_VALUE_U64;
    r.u64 = v;
    return r;
}

static inline weir_value weir_value_f64(double v)
{
    weir_value r;

    r.kind = WEIR_VALUE_F64;
    r.f64 = v;
    return r;
}

/* A slice with a NULL pointer is an allocation that failed: whoever takes the
 * value returns -ENOMEM. */
static inline weir_value weir_value_str(weir_str v)
{
    weir_value r;

    r.kind = WEIR_VALUE_STR;
    r.str = v;
    return r;
}

/* Text that is JSON already. */
static inline weir_value weir_value_raw(weir_str json)
{
    weir_value r;

    r.kind = WEIR_VALUE_JSON;
    r.str = json;
    return r;
}

static inline weir_value weir_value_null(const void *unused)
{
    weir_value r;

    (void)unused;
    r.kind = WEIR_VALUE_NULL;
    r.str = weir_str_from(NULL, 0);
    return r;
}

/* NULL is null. */
static inline weir_value weir_value_text(const char *v)
{
    return v ? weir_value_str(weir_str_c(v)) : weir_value_null(NULL);
}

/* NULL is null. */
static inline weir_value weir_value_json(const weir_json *v)
{
    return v ? weir_value_raw(v->text) : weir_value_null(NULL);
}

static inline weir_value weir_value_same(weir_value v)
{
    return v;
}

#ifndef __cplusplus
#define WEIR_V(x)                                                              \
    _Generic((x),                                                              \
        bool: weir_value_bool,                                                 \
        char: weir_value_i64,                                                  \
        signed char: weir_value_i64,                                           \
        short: weir_value_i64,                                                 \
        int: weir_value_i64,                                                   \
        long: weir_value_i64,                                                  \
        long long: weir_value_i64,                                             \
        unsigned char: weir_value_u64,                                         \
        unsigned short: weir_value_u64,                                        \
        unsigned: weir_value_u64,                                              \
        unsigned long: weir_value_u64,                                         \
        unsigned long long: weir_value_u64,                                    \
        float: weir_value_f64,                                                 \
        double: weir_value_f64,                                                \
        char *: weir_value_text,                                               \
        const char *: weir_value_text,                                         \
        weir_str: weir_value_str,                                              \
        weir_json *: weir_value_json,                                          \
        const weir_json *: weir_value_json,                                    \
        void *: weir_value_null,                                               \
        weir_value: weir_value_same)(x)

/* A member: its key is a literal. WEIR_KV_STR takes a slice as the key. */
#define WEIR_KV(key, x) WEIR_KV_STR(WEIR_S(key), x)
#define WEIR_KV_STR(key, x) ((weir_kv){ key, WEIR_V(x) })
#endif

WEIR_END

#endif
