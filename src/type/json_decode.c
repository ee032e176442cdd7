/* Parsing and decoding JSON in one go; see json_decode.h. */
#include "type/json_decode.h"

#include <errno.h>

#include <weir/error.h>

#include "type/decode.h"
#include "type/json_source.h"

int json_decode(struct arena *arena, weir_str text, const weir_type *type, unsigned flags,
                void *ret_value, size_t size, weir_faults *ret_faults)
{
    struct json_source json;
    struct faults faults;
    struct decoder d = { .source = &json.source,
                         .arena = arena,
                         .faults = &faults,
                         .input = flags & JSON_DECODE_INPUT };
    int rc;

    if (!text.ptr)
        return -ENOMEM;
    faults_init(&faults, arena);
    rc = json_source_parse(&json, text, false);
    if (rc == 0)
        rc = decode_document(&d, type, yyjson_doc_get_root(json.doc), ret_value, size);
    else if (rc == WEIR_EJSON)
        faults_add(&faults, NULL, json_source_place(&json), WEIR_S(""), "is not JSON: %s",
                   json.what);
    json_source_done(&json);
    if (faults.no_memory)
        rc = -ENOMEM;
    if (ret_faults)
        *ret_faults = faults_list(&faults);
    return rc;
}
