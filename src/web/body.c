/* Bodies by description: JSON in, JSON out.
 *
 * A body that does not fit is no failure of the handler's: what is wrong with it
 * is kept with the exchange, and problem.c tells the client. */
#include <weir/run.h>

#include "type/json_decode.h"
#include "web/app.h"

/* "application/json" and "…/…+json" (RFC 6839), parameters or not; absent will do,
 * since nothing else could be meant. */
static bool says_json(weir_str type)
{
    const char *end = type.len ? memchr(type.ptr, ';', type.len) : NULL;
    weir_str suffix = WEIR_S("+json");

    if (!type.ptr)
        return true;
    if (end)
        type.len = (size_t)(end - type.ptr);
    while (type.len > 0 && (type.ptr[type.len - 1] == ' ' || type.ptr[type.len - 1] == '\t'))
        type.len--;
    if (weir_str_eq_nocase(type, WEIR_S("application/json")))
        return true;
    return type.len > suffix.len &&
           weir_str_eq_nocase(weir_str_skip(type, type.len - suffix.len), suffix);
}

int weir_read_json_sized(weir_exchange *x, const weir_type *type, void *ret_value, size_t size)
{
    struct app_exchange *own = exchange_data(x);
    weir_faults faults = { NULL, 0, 0 };
    weir_str body;
    int rc;

    if (!says_json(http_field(exchange_head(x), HTTP_CONTENT_TYPE))) {
        if (own)
            own->not_json = true;
        return weir_fail(WEIR_EJSON, "the request's Content-Type is not JSON");
    }
    rc = weir_body_all(x, &body);
    if (rc < 0)
        return rc;
    rc = json_decode(exchange_arena(x), body, type, JSON_DECODE_INPUT, ret_value, size, &faults);
    if (rc < 0 && own)
        own->faults = faults;
    return rc;
}

int weir_reply_json_sized(weir_exchange *x, int status, const weir_type *type, const void *values,
                          size_t count, size_t size, bool array)
{
    weir_str text;
    int rc = weir_json_encode_sized(type, values, count, size, array, &text);

    return rc < 0 ? rc : weir_reply_json_text(x, status, text);
}

int weir_reply_object_of(weir_exchange *x, int status, const weir_kv *members, size_t count)
{
    weir_str text;
    int rc = weir_json_object_of(members, count, &text);

    return rc < 0 ? rc : weir_reply_json_text(x, status, text);
}
