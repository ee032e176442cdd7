/* YAML of any bytes into a struct of every kind. What is taken is encoded, and the
 * JSON must be taken as well and come out the same. */
#include <stdint.h>
#include <stdlib.h>

#include <weir/error.h>
#include <weir/json.h>

#include "type/current.h"
#include "type/sample.h"

static struct arena arena;

static struct arena *the_arena(void)
{
    return &arena;
}

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void round_trip(const struct sample *s)
{
    struct sample again;
    weir_str first, second;

    arena_init(&arena, NULL);
    type_arena = the_arena;
    must(weir_json_encode(&sample_type, s, &first) == 0);
    must(weir_json_check(first, NULL) == 0);
    must(weir_json_decode(first, &sample_type, &again, NULL) == 0);
    must(weir_json_encode(&sample_type, &again, &second) == 0);
    must(weir_str_eq(first, second));
    type_arena = NULL;
    arena_reset(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    weir_document *doc = weir_document_new("fuzz", .max_bytes = 65536);
    static char text[65536];
    struct sample s;
    int rc;

    must(doc != NULL);
    rc = weir_document_yaml(doc, size ? weir_str_from((const char *)data, size) : WEIR_S(""),
                            &sample_type, &s);
    if (rc == 0) {
        must(weir_document_faults(doc).count == 0);
        round_trip(&s);
        weir_document_fault(doc, "/list/0/name", NULL, "is not there");
    } else {
        must(rc == WEIR_ECONFIG && weir_document_faults(doc).count > 0);
    }
    weir_document_print(doc, text, sizeof text);
    weir_document_free(doc);
    weir_recover();
    return 0;
}
