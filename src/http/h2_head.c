/* Heads of HTTP/2 requests; see h2_head.h.
 *
 * The head is made to look as if it had come over HTTP/1.1, with Host and one Cookie,
 * and is then judged as such: so a request means the same whatever it came by, and can be
 * sent on by either version.
 *
 * Invariants: no field is kept once over or no_memory is set; the head's slices lie in
 * the arena, or are the names that HTTP knows. */
#include "http/h2_head.h"

#include <errno.h>
#include <string.h>

#include <weir/error.h>

#include "http/h1_cursor.h"
#include "http/scan.h"

#define METHOD_LEN_MAX 32
#define TOO_MANY "too many fields, or bytes of them"
#define MALFORMED "RFC 9113, section 8.3.1"

/* ---- the fields, as they come --------------------------------------------------------- */

static weir_str *pseudo_field(struct h2_fields *fields, weir_str name)
{
    if (weir_str_eq(name, WEIR_S(":method")))
        return &fields->method;
    if (weir_str_eq(name, WEIR_S(":scheme")))
        return &fields->scheme;
    if (weir_str_eq(name, WEIR_S(":authority")))
        return &fields->authority;
    return weir_str_eq(name, WEIR_S(":path")) ? &fields->path : NULL;
}

static bool add_crumb(struct h2_fields *fields, struct arena *arena, weir_str value)
{
    struct h2_crumb *crumb = arena_alloc(arena, sizeof(*crumb));

    if (!crumb)
        return false;
    crumb->next = NULL;
    crumb->value = value;
    if (fields->last_crumb)
        fields->last_crumb->next = crumb;
    else
        fields->crumbs = crumb;
    fields->last_crumb = crumb;
    fields->crumb_bytes += (uint32_t)value.len + 2;
    return true;
}

static bool add_field(struct h2_fields *fields, struct http_head *head, struct arena *arena,
                      weir_str name, weir_str value)
{
    enum http_field_id id = http_field_find(name);

    if (id == HTTP_COOKIE)
        return add_crumb(fields, arena, value);
    name = id == HTTP_FIELD_OTHER ? arena_dup(arena, name) : http_field_id_name(id);
    return name.ptr && http_head_add(head, name, value, id) == 0;
}

static uint32_t fields_max(const struct http_limits *limits)
{
    return limits->fields && limits->fields < HTTP_FIELDS_MAX ? limits->fields : HTTP_FIELDS_MAX;
}

void h2_fields_add(struct h2_fields *fields, struct http_head *head, struct arena *arena,
                   const struct http_limits *limits, weir_str name, weir_str value)
{
    bool pseudo = name.len > 0 && name.ptr[0] == ':';
    weir_str *slot, kept;

    fields->list_bytes += (uint32_t)(name.len + value.len) + H2_FIELD_OVERHEAD;
    fields->count += !pseudo;
    if (fields->list_bytes > (limits->head_bytes ? limits->head_bytes : H2_LIST_BYTES) ||
        fields->count > fields_max(limits))
        fields->over = true;
    if (fields->over || fields->no_memory)
        return;
    kept = value.len ? arena_dup(arena, value) : WEIR_S("");
    if (!kept.ptr) {
        fields->no_memory = true;
        return;
    }
    slot = pseudo ? pseudo_field(fields, name) : NULL;
    if (slot)
        *slot = kept;
    else if (!pseudo && !add_field(fields, head, arena, name, kept))
        fields->no_memory = true;
}

/* ---- all of them ------------------------------------------------------------------------ */

static int put(struct h1_cursor *c, enum http_field_id id, weir_str value)
{
    if (http_head_add(c->head, http_field_id_name(id), value, id) < 0)
        return h1_fail_size(c, c->base, 431, TOO_MANY);
    return 0;
}

/* RFC 9113, section 8.2.3. */
static int join_cookie(struct h1_cursor *c, struct h2_fields *fields, struct arena *arena)
{
    char *text, *to;

    if (!fields->crumbs)
        return 0;
    to = text = arena_alloc(arena, fields->crumb_bytes);
    if (!text)
        return -ENOMEM;
    for (const struct h2_crumb *crumb = fields->crumbs; crumb; crumb = crumb->next) {
        memcpy(to, crumb->value.ptr, crumb->value.len);
        to += crumb->value.len;
        if (crumb->next)
            to = (char *)memcpy(to, "; ", 2) + 2;
    }
    return put(c, HTTP_COOKIE, weir_str_from(text, (size_t)(to - text)));
}

/* RFC 9113, section 8.3.1: both name the same host, if both are there. */
static int settle_host(struct h1_cursor *c, const struct h2_fields *fields)
{
    weir_str host = http_field(c->head, HTTP_HOST);

    if (!fields->authority.ptr)
        return 0;
    if (!host.ptr)
        return put(c, HTTP_HOST, fields->authority);
    if (!weir_str_eq_nocase(host, fields->authority))
        return h1_fail(c, c->base, 400, "a Host that differs from :authority", MALFORMED);
    return 0;
}

static int settle_method(struct h1_cursor *c, const struct h2_fields *fields)
{
    weir_str method = fields->method;
    const char *end = method.ptr + method.len;

    if (method.len == 0 || method.len > METHOD_LEN_MAX ||
        scan_while(method.ptr, end, SCAN_METHOD) != end)
        return h1_fail(c, c->base, 400, "a method that is not an upper-case word", MALFORMED);
    c->head->method_text = method;
    c->head->method = (uint8_t)http_method_find(method);
    if (c->head->method == HTTP_CONNECT)
        return h1_fail(c, c->base, 501, "CONNECT is not served", "RFC 9110, section 9.3.6");
    c->head->secure = weir_str_eq_nocase(fields->scheme, WEIR_S("https"));
    if (!c->head->secure && !weir_str_eq_nocase(fields->scheme, WEIR_S("http")))
        return h1_fail(c, c->base, 400, "a scheme other than http and https", MALFORMED);
    return 0;
}

/* The scanners want what ends a target in a request line: the cursor is on such a copy. */
static int settle_target(struct h1_cursor *c, const struct h2_fields *fields)
{
    weir_str path = fields->path;
    int rc;

    if (path.len == 0 || (path.ptr[0] != '/' && path.ptr[0] != '*'))
        return h1_fail(c, c->base, 400, "a :path that does not begin with '/'", MALFORMED);
    if (path.len > c->target_bytes)
        return h1_fail_size(c, c->base, 414, "the target is too long");
    rc = h1_target(c);
    if (rc < 0)
        return rc;
    if (rc == 0 || c->p != c->base + path.len)
        return h1_fail(c, c->p, 400, "a byte that can't stand in a target", MALFORMED);
    return 0;
}

static int check_names(struct h1_cursor *c)
{
    for (unsigned i = 0; i < c->head->field_count; i++) {
        const struct http_field *f = &c->head->fields[i];

        if (f->id == HTTP_FIELD_OTHER && h1_forges_framing(http_field_name(f)))
            return h1_fail(c, c->base, 400, "a framing field spelled with '_'",
                           "RFC 9112, section 6");
    }
    return 0;
}

/* Framing of HTTP/2's own: the body ends with the stream's half, its length is only
 * what is said of it (RFC 9113, section 8.1.1). */
static int judge(struct h1_cursor *c, bool ends)
{
    struct http_head *head = c->head;
    bool sized = http_has(head, HTTP_CONTENT_LENGTH), waits;
    int rc;

    head->version_minor = 1;
    head->chunked = !ends && !sized;
    rc = h1_judge_request(c);
    if (rc < 0)
        return rc;
    waits = head->expect_continue || http_has(head, HTTP_EXPECT);
    if (ends)
        head->body = HTTP_BODY_NONE;
    else if (head->body == HTTP_BODY_NONE)
        head->body = HTTP_BODY_CHUNKED;
    head->expect_continue = waits && !ends;
    head->chunked = head->upgrade = head->upgrade_body = false;
    head->keep_alive = true;
    return 0;
}

int h2_fields_finish(struct h2_fields *fields, struct http_head *head, struct arena *arena,
                     const struct http_limits *limits, bool ends, struct h1_fault *ret_fault)
{
    weir_str text = arena_format(arena, "%.*s \n", WEIR_ARG(fields->path));
    struct h1_cursor c = { .base = text.ptr,
                           .p = text.ptr,
                           .end = text.ptr + text.len,
                           .head = head,
                           .fault = ret_fault,
                           .target_bytes = limits->target_bytes ? limits->target_bytes
                                                                : HTTP_TARGET_BYTES };
    int rc;

    if (fields->no_memory || !text.ptr)
        return -ENOMEM;
    if (fields->over)
        return h1_fail_size(&c, c.base, 431, TOO_MANY);
    head->target = weir_str_from(text.ptr, text.len - 2);
    rc = settle_method(&c, fields);
    if (rc == 0)
        rc = settle_target(&c, fields);
    if (rc == 0)
        rc = settle_host(&c, fields);
    if (rc == 0)
        rc = join_cookie(&c, fields, arena);
    if (rc == 0)
        rc = check_names(&c);
    return rc < 0 ? rc : judge(&c, ends);
}
