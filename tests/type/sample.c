/* The shared struct; see sample.h. */
#include "type/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <weir/error.h>

WEIR_NAMES(sample_levels, { "debug", SAMPLE_DEBUG }, { "info", SAMPLE_INFO },
           { "warn", SAMPLE_WARN });

WEIR_TYPE(sample_inner_type, struct sample_inner,
    WEIR_STR(name, WEIR_LENGTH(1, 8)),
    WEIR_I32(size, WEIR_RANGE(0, 100), WEIR_DEFAULT(7)));

WEIR_TYPE(sample_type, struct sample,
    WEIR_BOOL(flag, .optional = true),
    WEIR_I32(i32, .optional = true),
    WEIR_I64(i64, .optional = true),
    WEIR_U16(u16, .optional = true),
    WEIR_U32(u32, WEIR_RANGE(10, 20), WEIR_DEFAULT(15)),
    WEIR_U64(u64, .optional = true),
    WEIR_F64(f64, WEIR_DEFAULT_F64(1.5)),
    WEIR_STR(text, WEIR_DEFAULT_TEXT("none")),
    WEIR_ENUM(level, &sample_levels, WEIR_DEFAULT(SAMPLE_INFO)),
    WEIR_DURATION_MS(wait_ms, .key = "wait", WEIR_DEFAULT(300)),
    WEIR_BYTES(room_bytes, .key = "room", WEIR_DEFAULT(4096)),
    WEIR_OBJECT(inner, &sample_inner_type, .optional = true),
    WEIR_OBJECT_PTR(more, &sample_inner_type),
    WEIR_ARRAY(tags, WEIR_STR_ITEM(WEIR_LENGTH(1, 4)), WEIR_LENGTH(0, 3), .optional = true),
    WEIR_ARRAY(list, WEIR_OBJECT_ITEM(&sample_inner_type), .optional = true),
    WEIR_MAP(map, &sample_inner_type, .optional = true),
    WEIR_MAP_OF(numbers, WEIR_I64_ITEM(WEIR_RANGE(-5, 5)), .optional = true),
    WEIR_JSON(raw, .optional = true));

static void compare(weir_document *doc, const char *expected)
{
    char text[16384];

    assert_true(weir_document_print(doc, text, sizeof text) < sizeof text);
    assert_string_equal(text, expected);
    weir_document_free(doc);
}

void sample_yaml_faults(const weir_type *type, size_t size, const char *text,
                        const char *expected)
{
    weir_document *doc = weir_document_new("f.yaml");
    char value[1024];

    assert_true(size <= sizeof value);
    memset(value, 0x5a, sizeof value);
    assert_int_equal(weir_document_yaml_sized(doc, weir_str_c(text), type, value, size),
                     WEIR_ECONFIG);
    for (size_t i = 0; i < sizeof value; i++)
        assert_int_equal(value[i], 0x5a);
    compare(doc, expected);
}

void sample_json_faults(const weir_type *type, size_t size, const char *text,
                        const char *expected)
{
    weir_document *doc = weir_document_new("body");
    char value[1024];
    int rc;

    assert_true(size <= sizeof value);
    memset(value, 0x5a, sizeof value);
    rc = weir_document_json_sized(doc, weir_str_c(text), type, value, size);
    assert_true(rc == WEIR_EINPUT || rc == WEIR_EJSON);
    for (size_t i = 0; i < sizeof value; i++)
        assert_int_equal(value[i], 0x5a);
    compare(doc, expected);
}

static weir_document *finish(weir_document *doc, int rc)
{
    if (rc < 0) {
        char text[16384];

        weir_document_print(doc, text, sizeof text);
        fail_msg("%s: %s", weir_error_name(rc), text);
    }
    return doc;
}

weir_document *sample_yaml(const char *text, struct sample *value)
{
    weir_document *doc = weir_document_new("f.yaml");

    return finish(doc, weir_document_yaml(doc, weir_str_c(text), &sample_type, value));
}

weir_document *sample_json(const char *text, struct sample *value)
{
    weir_document *doc = weir_document_new("body");

    return finish(doc, weir_document_json(doc, weir_str_c(text), &sample_type, value));
}
