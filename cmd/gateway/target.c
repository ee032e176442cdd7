/* Targets of calls, taken apart when the configuration is read.
 *
 * What is literal in them must stand in a request as it is; what is a parameter
 * goes through weir_url_format(), which encodes it for its place. So nothing that
 * a client sends can change which service, path or query parameter is asked: a
 * parameter may stand in the path, and in the value of a query parameter, but
 * not in that one's name. */
#include "gateway/target.h"

#include <string.h>

struct reader {
    weir_str text;
    size_t at;
    size_t segment; /* where the path's segment begins */
    bool query;
    bool value;     /* in the query: behind the '=' */
    struct target *target;
    struct target_fault *fault;
};

static bool fail_at(struct reader *r, size_t from, size_t to, const char *what, const char *hint)
{
    *r->fault = (struct target_fault){ what, hint, weir_str_from(r->text.ptr + from, to - from) };
    return false;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_name(weir_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
              (i > 0 && c >= '0' && c <= '9')))
            return false;
    }
    return name.len > 0;
}

static bool read_param(struct reader *r)
{
    size_t from = r->at, end = from + 1;
    weir_str name;

    while (end < r->text.len && r->text.ptr[end] != '}')
        end++;
    if (end == r->text.len)
        return fail_at(r, from, end, "has a `{` that is not closed", "write `{name}`");
    name = weir_str_from(r->text.ptr + from + 1, end - from - 1);
    if (!is_name(name))
        return fail_at(r, from, end + 1, "names no parameter",
                       "write the name of one of the route's parameters, as in `{id}`");
    if (r->query && !r->value)
        return fail_at(r, from, end + 1, "stands where the name of a query parameter is",
                       "a parameter may be the value: `?name={id}`");
    if (r->target->count == TARGET_PARAMS_MAX)
        return fail_at(r, from, end + 1, "is one parameter too many", "at most 16 can be used");
    r->target->names[r->target->count++] = name;
    r->at = end + 1;
    return true;
}

static bool end_segment(struct reader *r)
{
    weir_str segment = weir_str_from(r->text.ptr + r->segment, r->at - r->segment);

    if (weir_str_eq(segment, WEIR_S(".")) || weir_str_eq(segment, WEIR_S("..")))
        return fail_at(r, r->segment, r->at, "is a segment that servers take away",
                       "write the path without it");
    return true;
}

static bool read_byte(struct reader *r)
{
    char c = r->text.ptr[r->at];

    if (c <= ' ' || c >= 0x7f || memchr("\"<>\\^`|}", c, 8))
        return fail_at(r, r->at, r->at + 1, "may not stand in a URL", "percent-encode it");
    if (c == '#')
        return fail_at(r, r->at, r->text.len, "is a fragment, which is never sent",
                       "leave it out, or write %23 for the character");
    if (c == '%' && (r->text.len - r->at < 3 || !is_hex(r->text.ptr[r->at + 1]) ||
                     !is_hex(r->text.ptr[r->at + 2])))
        return fail_at(r, r->at, r->at + 1, "is not followed by two hexadecimal digits",
                       "write %25 for the character");
    if (!r->query && (c == '/' || c == '?') && !end_segment(r))
        return false;
    if (c == '?' && !r->query)
        r->query = true;
    else if (r->query && (c == '=' || c == '&'))
        r->value = c == '=';
    r->at++;
    if (c == '/')
        r->segment = r->at;
    return true;
}

bool target_read(weir_str text, struct target *ret_target, struct target_fault *ret_fault)
{
    struct reader r = { .text = text, .target = ret_target, .fault = ret_fault };

    ret_target->count = 0;
    if (text.len == 0 || text.ptr[0] != '/')
        return fail_at(&r, 0, text.len, "must begin with a slash",
                       "write the path as the service serves it: \"/users/{id}\"");
    if (text.len > TARGET_BYTES_MAX)
        return fail_at(&r, 0, 32, "is longer than 4,096 bytes", NULL);
    while (r.at < text.len) {
        if (!(text.ptr[r.at] == '{' ? read_param(&r) : read_byte(&r)))
            return false;
    }
    return r.query || end_segment(&r);
}

const char *target_format(struct arena *arena, weir_str base, weir_str text)
{
    char *format = arena_alloc(arena, base.len + text.len + 1);
    size_t len = base.len;
    bool inside = false;

    if (!format)
        return NULL;
    memcpy(format, base.ptr, base.len);
    for (size_t i = 0; i < text.len; i++) {
        inside = inside && text.ptr[i] != '}';
        if (!inside)
            format[len++] = text.ptr[i];
        inside = inside || text.ptr[i] == '{';
    }
    format[len] = '\0';
    return format;
}
