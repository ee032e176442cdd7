/* The tables behind names.h: methods, known fields, reason phrases. All constant. */
#include "http/names.h"

#include "http/field_find.h"
#include "http/scan.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tools/field_hash.py computes its table for little-endian machines"
#endif

_Static_assert(HTTP_FIELD_ID_COUNT <= UINT8_MAX, "an id is kept in one byte");

const uint8_t http_field_slots[1 << FIELD_HASH_BITS] = { FIELD_HASH_SLOTS };

/* clang-format off */
const weir_str http_field_lower[HTTP_FIELD_ID_COUNT] = {
    [HTTP_FIELD_OTHER] = { "", 0 }, FIELD_LOWER_NAMES
};

static const weir_str field_names[HTTP_FIELD_ID_COUNT] = {
    [HTTP_FIELD_OTHER] = { "", 0 },
#define FIELD_NAME_(id, name) [HTTP_##id] = { name, sizeof(name) - 1 },
    HTTP_FIELDS(FIELD_NAME_)
#undef FIELD_NAME_
};

static const weir_str method_names[HTTP_METHOD_COUNT] = {
    [HTTP_OTHER] = { "", 0 },
#define METHOD_NAME_(name) [HTTP_##name] = { #name, sizeof(#name) - 1 },
    HTTP_METHODS(METHOD_NAME_)
#undef METHOD_NAME_
};
/* clang-format on */

enum http_method http_method_find(weir_str name)
{
    for (int m = HTTP_OTHER + 1; m < HTTP_METHOD_COUNT; m++)
        if (weir_str_eq(method_names[m], name))
            return (enum http_method)m;
    return HTTP_OTHER;
}

weir_str http_method_name(enum http_method method)
{
    return method_names[method];
}

bool http_method_safe(enum http_method method)
{
    return method == HTTP_GET || method == HTTP_HEAD || method == HTTP_OPTIONS ||
           method == HTTP_TRACE;
}

bool http_method_idempotent(enum http_method method)
{
    return http_method_safe(method) || method == HTTP_PUT || method == HTTP_DELETE;
}

enum http_field_id http_field_find(weir_str name)
{
    return name.len ? field_find(name.ptr, name.len) : HTTP_FIELD_OTHER;
}

weir_str http_field_id_name(enum http_field_id id)
{
    return field_names[id];
}

bool http_field_hop_by_hop(enum http_field_id id)
{
    switch (id) {
    case HTTP_CONNECTION:
    case HTTP_TRANSFER_ENCODING:
    case HTTP_TE:
    case HTTP_TRAILER:
    case HTTP_UPGRADE:
    case HTTP_KEEP_ALIVE:
    case HTTP_PROXY_CONNECTION:
    case HTTP_PROXY_AUTHENTICATE:
    case HTTP_PROXY_AUTHORIZATION: return true;
    default: return false;
    }
}

bool http_field_forbidden_in_trailer(enum http_field_id id)
{
    switch (id) {
    case HTTP_HOST:
    case HTTP_CONTENT_LENGTH:
    case HTTP_CONTENT_TYPE:
    case HTTP_CONTENT_ENCODING:
    case HTTP_CONTENT_RANGE:
    case HTTP_EXPECT:
    case HTTP_MAX_FORWARDS:
    case HTTP_CACHE_CONTROL:
    case HTTP_RANGE:
    case HTTP_AUTHORIZATION:
    case HTTP_WWW_AUTHENTICATE:
    case HTTP_COOKIE:
    case HTTP_SET_COOKIE:
    case HTTP_FORWARDED:
    case HTTP_X_FORWARDED_FOR:
    case HTTP_X_FORWARDED_HOST:
    case HTTP_X_FORWARDED_PROTO:
    case HTTP_X_REAL_IP: return true;
    default: return http_field_hop_by_hop(id);
    }
}

bool http_token_ok(weir_str text)
{
    return text.len && scan_while(text.ptr, text.ptr + text.len, SCAN_TOKEN) == text.ptr + text.len;
}

bool http_value_ok(weir_str text)
{
    return text.len == 0 || scan_value(text.ptr, text.ptr + text.len) == text.ptr + text.len;
}

#define REASON_(status, text) [(status) - 100] = { text, sizeof(text) - 1 }

/* The IANA registry of status codes. */
static const weir_str reasons[412] = {
    REASON_(100, "Continue"),
    REASON_(101, "Switching Protocols"),
    REASON_(102, "Processing"),
    REASON_(103, "Early Hints"),
    REASON_(200, "OK"),
    REASON_(201, "Created"),
    REASON_(202, "Accepted"),
    REASON_(203, "Non-Authoritative Information"),
    REASON_(204, "No Content"),
    REASON_(205, "Reset Content"),
    REASON_(206, "Partial Content"),
    REASON_(207, "Multi-Status"),
    REASON_(208, "Already Reported"),
    REASON_(226, "IM Used"),
    REASON_(300, "Multiple Choices"),
    REASON_(301, "Moved Permanently"),
    REASON_(302, "Found"),
    REASON_(303, "See Other"),
    REASON_(304, "Not Modified"),
    REASON_(305, "Use Proxy"),
    REASON_(307, "Temporary Redirect"),
    REASON_(308, "Permanent Redirect"),
    REASON_(400, "Bad Request"),
    REASON_(401, "Unauthorized"),
    REASON_(402, "Payment Required"),
    REASON_(403, "Forbidden"),
    REASON_(404, "Not Found"),
    REASON_(405, "Method Not Allowed"),
    REASON_(406, "Not Acceptable"),
    REASON_(407, "Proxy Authentication Required"),
    REASON_(408, "Request Timeout"),
    REASON_(409, "Conflict"),
    REASON_(410, "Gone"),
    REASON_(411, "Length Required"),
    REASON_(412, "Precondition Failed"),
    REASON_(413, "Content Too Large"),
    REASON_(414, "URI Too Long"),
    REASON_(415, "Unsupported Media Type"),
    REASON_(416, "Range Not Satisfiable"),
    REASON_(417, "Expectation Failed"),
    REASON_(421, "Misdirected Request"),
    REASON_(422, "Unprocessable Content"),
    REASON_(423, "Locked"),
    REASON_(424, "Failed Dependency"),
    REASON_(425, "Too Early"),
    REASON_(426, "Upgrade Required"),
    REASON_(428, "Precondition Required"),
    REASON_(429, "Too Many Requests"),
    REASON_(431, "Request Header Fields Too Large"),
    REASON_(451, "Unavailable For Legal Reasons"),
    REASON_(500, "Internal Server Error"),
    REASON_(501, "Not Implemented"),
    REASON_(502, "Bad Gateway"),
    REASON_(503, "Service Unavailable"),
    REASON_(504, "Gateway Timeout"),
    REASON_(505, "HTTP Version Not Supported"),
    REASON_(506, "Variant Also Negotiates"),
    REASON_(507, "Insufficient Storage"),
    REASON_(508, "Loop Detected"),
    REASON_(511, "Network Authentication Required"),
};

weir_str http_reason(int status)
{
    if (status < 100 || status > 511 || !reasons[status - 100].ptr)
        return WEIR_S("");
    return reasons[status - 100];
}
