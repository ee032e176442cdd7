/* The field lines of a head (RFC 9112, section 5): most of its bytes, so most of
 * the parser's time.
 *
 * The loop over them is made once for each form of scan_vector.h, so that nothing
 * is called, and nothing chosen, inside it. */
#include <weir/error.h>

#include "http/field_find.h"
#include "http/h1_cursor.h"
#include "http/h1_head.h"
#include "http/scan_vector.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* Why [name, stop) followed by *stop is no field name and colon. */
static __attribute__((noinline, cold)) int name_fault(struct h1_cursor *c, const char *name,
                                                      const char *stop)
{
    if (is_space(*name) && c->head->field_count == 0)
        return h1_fail(c, name, 400, "white space before the first field", "RFC 9112, section 2.2");
    if (is_space(*name))
        return h1_fail(c, name, 400, "a folded field line", "RFC 9112, section 5.2");
    if (*stop == ':' && stop == name)
        return h1_fail(c, name, 400, "an empty field name", "RFC 9112, section 5");
    if (is_space(*stop))
        return h1_fail(c, stop, 400, "white space in a field name or before its colon",
                       "RFC 9112, section 5.1");
    if (*stop == '\n' && stop == name)
        return h1_fail(c, stop, 400, "a line that ends without CR", "RFC 9112, section 2.2");
    if (*stop == '\r' || *stop == '\n')
        return h1_fail(c, name, 400, "a field line without a colon", "RFC 9112, section 5");
    return h1_fail(c, name, 400, "a field name that is not a token", "RFC 9110, section 5.1");
}

__attribute__((noinline, cold)) int h1_value_fault(struct h1_cursor *c, const char *at)
{
    if (*at == '\n')
        return h1_fail(c, at, 400, "a line that ends without CR", "RFC 9112, section 2.2");
    if (*at == '\r')
        return h1_fail(c, at, 400, "a CR that no LF follows", "RFC 9112, section 2.2");
    return h1_fail(c, at, 400, "a control byte in a field value", "RFC 9110, section 5.5");
}

/* Refused where '_' is all that differs. */
bool h1_forges_framing(weir_str name)
{
    enum http_field_id id = name.len == 14 ? HTTP_CONTENT_LENGTH : HTTP_TRANSFER_ENCODING;
    weir_str lower = http_field_lower[id];

    if (lower.len != name.len)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if ((name.ptr[i] == '_' ? '-' : name.ptr[i] | 0x20) != lower.ptr[i])
            return false;
    return true;
}

static int unknown_name(struct h1_cursor *c, const char *name, const char *colon)
{
    size_t len = (size_t)(colon - name);

    if (scan_while(name, colon, SCAN_TOKEN) != colon)
        return name_fault(c, name, colon);
    if (h1_forges_framing(weir_str_from(name, len)))
        return h1_fail(c, name, 400, "a framing field spelled with '_'", "RFC 9112, section 6");
    return 1;
}

ALWAYS_INLINE const char *name_end(const char *p, const char *end, enum scan_form form)
{
#ifdef __x86_64__
    if (form == SCAN_AVX2)
        return scan_name_avx2(p, end);
    if (form == SCAN_SSE2)
        return scan_name_sse2(p, end);
#endif
    (void)form;
    return scan_name(p, end);
}

ALWAYS_INLINE const char *value_end(const char *p, const char *end, enum scan_form form)
{
#ifdef __x86_64__
    if (form == SCAN_AVX2)
        return scan_value_avx2(p, end);
    if (form == SCAN_SSE2)
        return scan_value_sse2(p, end);
#endif
    (void)form;
    return scan_value(p, end);
}

/* field-line CRLF (RFC 9112, section 5). */
ALWAYS_INLINE int field_line(struct h1_cursor *c, enum scan_form form)
{
    const char *name = c->p, *end = c->end;
    const char *colon = name_end(name, end, form);
    const char *value, *stop, *last;
    enum http_field_id id;

    if (colon == end)
        return 0;
    if (*colon != ':' || colon == name)
        return name_fault(c, name, colon);
    id = field_find(name, (size_t)(colon - name));
    if (id == HTTP_FIELD_OTHER) {
        int rc = unknown_name(c, name, colon);

        if (rc < 0)
            return rc;
    }
    for (value = colon + 1; value < end && is_space(*value); value++)
        ;
    stop = value_end(value, end, form);
    if (stop == end || (*stop == '\r' && stop + 1 == end))
        return 0;
    if (stop[0] != '\r' || stop[1] != '\n')
        return h1_value_fault(c, stop);
    for (last = stop; last > value && is_space(last[-1]); last--)
        ;
    if (c->head->field_count >= c->fields)
        return h1_fail_size(c, name, 431, "too many fields");
    c->p = stop + 2;
    http_head_put(c->head, weir_str_from(name, (size_t)(colon - name)),
                  weir_str_from(value, (size_t)(last - value)), id);
    return 1;
}

/* All complete field lines: 1 at the empty line that ends the head. */
ALWAYS_INLINE int field_lines(struct h1_cursor *c, struct h1_parser *p, enum scan_form form)
{
    int rc;

    do {
        p->line = (uint32_t)(c->p - c->base);
        if (c->p == c->end)
            return 0;
        if (*c->p == '\r') {
            if (c->end - c->p < 2)
                return 0;
            if (c->p[1] != '\n')
                return h1_value_fault(c, c->p);
            c->p += 2;
            return 1;
        }
        rc = field_line(c, form);
    } while (rc > 0);
    return rc;
}

static int lines_words(struct h1_cursor *c, struct h1_parser *p)
{
    return field_lines(c, p, SCAN_WORDS);
}

#ifdef __x86_64__
static int lines_sse2(struct h1_cursor *c, struct h1_parser *p)
{
    return field_lines(c, p, SCAN_SSE2);
}

SCAN_AVX2_CODE static int lines_avx2(struct h1_cursor *c, struct h1_parser *p)
{
    return field_lines(c, p, SCAN_AVX2);
}
#endif

int h1_field_lines(struct h1_cursor *c, struct h1_parser *p)
{
#ifdef __x86_64__
    if (p->scan == SCAN_AVX2)
        return lines_avx2(c, p);
    if (p->scan == SCAN_SSE2)
        return lines_sse2(c, p);
#endif
    return lines_words(c, p);
}
