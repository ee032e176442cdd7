/* Each allocation of a decoding and an encoding failing in turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include <weir/error.h>
#include <weir/json.h>

#include "support/fault.h"
#include "type/current.h"
#include "type/sample.h"
#include "type/scratch.h"

struct text {
    weir_str text;
    bool yaml;
    int rc; /* without a failing allocation */
};

static int decode_text(void *arg)
{
    const struct text *t = arg;
    weir_document *doc = weir_document_new("f");
    struct sample s;
    int rc;

    if (!doc)
        return -ENOMEM;
    rc = t->yaml ? weir_document_yaml(doc, t->text, &sample_type, &s)
                 : weir_document_json(doc, t->text, &sample_type, &s);
    if (rc == t->rc) {
        char all[16384];

        weir_document_fault(doc, "/list/0", "hint", "is %d", 1);
        weir_document_print(doc, all, sizeof all);
        rc = 0;
    } else {
        assert_int_equal(rc, -ENOMEM);
    }
    weir_document_free(doc);
    scratch_thread_done();
    return rc;
}

/* Long enough for arenas, fault lists and hash maps to grow. */
static weir_str long_text(char *text, size_t size, bool yaml, bool faulty)
{
    size_t len = (size_t)snprintf(
        text, size, yaml ? "raw: {a: [1, two]}\nnumbers: {" : "{\"raw\":{\"a\":[1]},\"numbers\":{");

    for (int i = 0; i < 40; i++)
        len += (size_t)snprintf(text + len, size - len, "%s\"number %d\": %d", i ? ", " : "", i,
                                faulty ? 99 : 1);
    len += (size_t)snprintf(text + len, size - len, "%s",
                            yaml ? "}\nlist: [{name: x}, {name: y}]\nmore: {name: z}\n"
                                 : "},\"list\":[{\"name\":\"x\"}],\"more\":{\"name\":\"z\"}}");
    return weir_str_from(text, len);
}

static void decoding_survives_any_failure(void **state)
{
    static char text[8192];

    (void)state;
    for (int i = 0; i < 4; i++) {
        bool yaml = i & 1, faulty = i & 2;
        struct text t = { long_text(text, sizeof text, yaml, faulty), yaml,
                          !faulty ? 0
                          : yaml  ? WEIR_ECONFIG
                                  : WEIR_EINPUT };

        scratch_thread_done();
        assert_true(fault_sweep(decode_text, &t) > 3);
    }
}

static void not_json_survives_any_failure(void **state)
{
    struct text t = { WEIR_S("{\"a\":}"), false, WEIR_EJSON };

    (void)state;
    assert_true(fault_sweep(decode_text, &t) > 2);
}

static struct arena arena;

static struct arena *the_arena(void)
{
    return &arena;
}

static int encode_text(void *arg)
{
    struct sample_inner list[100];
    weir_str out = { NULL, 0 };
    int rc;

    (void)arg;
    for (size_t i = 0; i < 100; i++)
        list[i] = (struct sample_inner){ WEIR_S("a name of some length"), (int32_t)i };
    arena_init(&arena, NULL);
    rc = weir_json_encode_array(&sample_inner_type, list, 100, &out);
    if (rc == 0)
        rc = weir_json_object(&out, WEIR_KV("list", weir_value_raw(out)));
    if (rc == 0)
        rc = weir_json_check(out, NULL);
    arena_reset(&arena);
    scratch_thread_done();
    return rc;
}

static void encoding_survives_any_failure(void **state)
{
    (void)state;
    type_arena = the_arena;
    assert_true(fault_sweep(encode_text, NULL) > 5);
    type_arena = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decoding_survives_any_failure),
        cmocka_unit_test(not_json_survives_any_failure),
        cmocka_unit_test(encoding_survives_any_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
