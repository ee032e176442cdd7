/* Decoding into the shared struct; see sample.h. */
#include "type/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <weir/error.h>

static void compare(weir_document *doc, const char *expected)
{
    char text[16384];

    assert_true(weir_document_print(doc, text, sizeof text) < sizeof text);
    assert_string_equal(text, expected);
    weir_document_free(doc);
}

void sample_yaml_faults(const weir_type *type, size_t size, const char *text, const char *expected)
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

void sample_json_faults(const weir_type *type, size_t size, const char *text, const char *expected)
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
