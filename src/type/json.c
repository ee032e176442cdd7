/* The public functions over JSON; see weir/json.h. Each takes the running task's
 * arena and leaves the work to the modules below. */
#include <weir/json.h>

#include <errno.h>

#include <weir/error.h>

#include "type/current.h"
#include "type/encode.h"
#include "type/json_decode.h"
#include "type/json_source.h"

_Thread_local struct arena *(*type_arena)(void);

struct arena *type_arena_here(void)
{
    struct arena *arena = type_arena ? type_arena() : NULL;

    if (!arena)
        (void)weir_fail(WEIR_EWRONGUSE,
                        "no task runs here, so there is no arena: use a weir_document");
    return arena;
}

int weir_json_decode_sized(weir_str text, const weir_type *type, void *ret_value, size_t size,
                           weir_faults *ret_faults)
{
    struct arena *arena = type_arena_here();

    if (ret_faults)
        *ret_faults = (weir_faults){ 0 };
    if (!arena)
        return WEIR_EWRONGUSE;
    return json_decode(arena, text, type, 0, ret_value, size, ret_faults);
}

int weir_json_encode_sized(const weir_type *type, const void *values, size_t count, size_t size,
                           bool array, weir_str *ret_text)
{
    struct arena *arena = type_arena_here();
    struct arena_sink sink;
    weir_str text;
    int rc;

    if (!arena)
        return WEIR_EWRONGUSE;
    arena_sink_init(&sink, arena);
    rc = array ? json_encode_array(&sink.sink, type, values, count, size)
               : json_encode(&sink.sink, type, values, size);
    if (rc < 0)
        return rc;
    text = arena_sink_str(&sink);
    if (!text.ptr)
        return -ENOMEM;
    *ret_text = text;
    return 0;
}

int weir_json_object_of(const weir_kv *members, size_t count, weir_str *ret_text)
{
    struct arena *arena = type_arena_here();
    struct arena_sink sink;
    weir_str text;
    int rc;

    if (!arena)
        return WEIR_EWRONGUSE;
    arena_sink_init(&sink, arena);
    rc = json_write_object(&sink.sink, members, count);
    if (rc < 0)
        return rc;
    text = arena_sink_str(&sink);
    if (!text.ptr)
        return -ENOMEM;
    *ret_text = text;
    return 0;
}

int weir_json_check(weir_str text, weir_json_flaw *ret_flaw)
{
    struct json_source json;
    int rc;

    if (!text.ptr)
        return -ENOMEM;
    rc = json_source_parse(&json, text, true);
    if (rc == WEIR_EJSON) {
        if (ret_flaw)
            *ret_flaw = (weir_json_flaw){ json.offset, json.what };
        rc = weir_fail(rc, "not JSON at byte %zu: %s", json.offset, json.what);
    }
    json_source_done(&json);
    return rc;
}
