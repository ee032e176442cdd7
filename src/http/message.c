/* What a head can be asked, and the lists in its values. No input reaches this
 * file unchecked: it works on what a parser accepted. */
#include "http/message.h"

#include <weir/error.h>

void http_head_init(struct http_head *head)
{
    memset(head, 0, offsetof(struct http_head, fields));
    head->content_length = -1;
}

/* The chain of equal names is walked at each repeat: at most 100 steps, and
 * only for what repeats. */
void http_head_link_repeat(struct http_head *head, enum http_field_id id, uint8_t place)
{
    struct http_field *f = &head->fields[head->first[id] - 1];

    while (f->next)
        f = &head->fields[f->next - 1];
    f->next = place;
}

int http_head_add(struct http_head *head, weir_str name, weir_str value, enum http_field_id id)
{
    if (head->field_count >= HTTP_FIELDS_MAX || name.len > UINT16_MAX || value.len > UINT32_MAX)
        return WEIR_EHEADSIZE;
    http_head_put(head, name, value, id);
    return 0;
}

const struct http_field *http_field_named(const struct http_head *head, weir_str name,
                                          const struct http_field *after)
{
    enum http_field_id id = http_field_find(name);
    const struct http_field *f = after ? after + 1 : head->fields;

    if (id != HTTP_FIELD_OTHER)
        return after ? http_field_next(head, after) : http_field_first(head, id);
    for (; f < head->fields + head->field_count; f++)
        if (f->id == HTTP_FIELD_OTHER && weir_str_eq_nocase(http_field_name(f), name))
            return f;
    return NULL;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* The length up to the next comma outside a quoted string (RFC 9110, section
 * 5.6.4); an unfinished string runs to the end. */
static size_t element_end(weir_str list)
{
    bool quoted = false;
    size_t i;

    for (i = 0; i < list.len; i++) {
        char c = list.ptr[i];

        if (c == '"')
            quoted = !quoted;
        else if (quoted && c == '\\' && i + 1 < list.len)
            i++;
        else if (c == ',' && !quoted)
            break;
    }
    return i;
}

bool http_list_next(weir_str *list, weir_str *ret_element)
{
    while (list->len) {
        size_t n = element_end(*list);
        weir_str e = weir_str_from(list->ptr, n);

        *list = weir_str_skip(*list, n + 1);
        while (e.len && is_space(e.ptr[0]))
            e = weir_str_skip(e, 1);
        while (e.len && is_space(e.ptr[e.len - 1]))
            e.len--;
        if (e.len) {
            *ret_element = e;
            return true;
        }
    }
    return false;
}

bool http_field_has_token(const struct http_head *head, enum http_field_id id, weir_str token)
{
    const struct http_field *f;

    for (f = http_field_first(head, id); f; f = http_field_next(head, f)) {
        weir_str list = http_field_value(f), element;

        while (http_list_next(&list, &element))
            if (weir_str_eq_nocase(element, token))
                return true;
    }
    return false;
}
