/* What few exchanges have: trailer sections (RFC 9110, section 6.5), the request's and
 * the answer's, and interim answers (section 15.2).
 *
 * A field in a trailer section may come too late for whoever would have needed it, so those
 * that say how to read or route the message are refused in both directions. */
#include <errno.h>
#include <string.h>

#include "http/exchange.h"
#include "http/server_loop.h"

static struct exchange_extra *extra_of(weir_exchange *x)
{
    if (!x->extra)
        x->extra = arena_zalloc(&x->arena, sizeof(*x->extra));
    return x->extra;
}

static struct reply_field *field_new(struct arena *arena, weir_str name, weir_str value)
{
    struct reply_field *field = arena_zalloc(arena, sizeof(*field));

    if (!field)
        return NULL;
    field->name = arena_dup(arena, name);
    field->value = value.len ? arena_dup(arena, value) : WEIR_S("");
    return field->name.ptr && field->value.ptr ? field : NULL;
}

static void append(struct reply_field **list, struct reply_field *field)
{
    while (*list)
        list = &(*list)->next;
    *list = field;
}

/* ---- the request's ----------------------------------------------------------------- */

int exchange_add_trailer(weir_exchange *x, weir_str name, weir_str value)
{
    struct exchange_extra *extra = extra_of(x);
    struct reply_field *field = extra ? field_new(&x->arena, name, value) : NULL;

    if (!field)
        return -ENOMEM;
    append(&extra->received, field);
    return 0;
}

weir_str weir_trailer(const weir_exchange *x, const char *name)
{
    weir_str wanted = weir_str_c(name);

    exchange_check_home(x);
    if (x->extra && x->in && x->in->complete)
        for (const struct reply_field *f = x->extra->received; f; f = f->next)
            if (weir_str_eq_nocase(f->name, wanted))
                return f->value;
    return weir_str_from(NULL, 0);
}

/* ---- the answer's --------------------------------------------------------------------- */

static int check_field(weir_str name, weir_str value)
{
    if (!value.ptr)
        return -ENOMEM;
    if (!http_token_ok(name) || !http_value_ok(value))
        return weir_fail(-EINVAL, "the field \"%.*s\" can't be sent: its %s", WEIR_ARG(name),
                         http_token_ok(name) ? "value holds a control byte" : "name is no token");
    return 0;
}

int weir_set_trailer(weir_exchange *x, const char *name, weir_str value)
{
    weir_str key = weir_str_c(name);
    struct exchange_extra *extra;
    struct reply_field *field;
    int rc = check_field(key, value);

    exchange_check_home(x);
    if (rc < 0)
        return rc;
    if (http_field_forbidden_in_trailer(http_field_find(key)))
        return weir_fail(-EINVAL, "the field \"%s\" may not stand in a trailer section", name);
    if (x->reply == REPLY_COMPLETE)
        return weir_fail(WEIR_ECLOSED, "the trailer \"%s\" comes after the answer's end", name);
    extra = extra_of(x);
    if (!extra)
        return -ENOMEM;
    if (extra->count == EXCHANGE_TRAILERS_MAX ||
        extra->bytes + key.len + value.len + 4 > EXCHANGE_FIELDS_BYTES)
        return weir_fail(WEIR_EFULL, "an answer has at most %d trailers and %d bytes of them",
                         EXCHANGE_TRAILERS_MAX, EXCHANGE_FIELDS_BYTES);
    field = field_new(&x->arena, key, value);
    if (!field)
        return -ENOMEM;
    append(&extra->sent, field);
    extra->count++;
    extra->bytes += (uint32_t)(key.len + value.len + 4);
    return 0;
}

/* ---- interim answers --------------------------------------------------------------------- */

int weir_inform(weir_exchange *x, int status, const char *name, weir_str value)
{
    struct reply_field field = { .name = weir_str_c(name), .value = value };
    int rc = x->at_once ? 0 : rt_check();

    exchange_check_home(x);
    if (rc == 0 && name)
        rc = check_field(field.name, value);
    if (rc < 0)
        return rc;
    if (status < 102 || status > 199)
        return weir_fail(-EINVAL, "%d is not the status of an interim answer of a handler's",
                         status);
    if (value.len > REPLY_INFORM_BYTES)
        return weir_fail(-EINVAL, "an interim answer's field has at most %d bytes",
                         REPLY_INFORM_BYTES);
    if (x->reply != REPLY_NONE)
        return weir_fail(WEIR_ECLOSED, "an interim answer comes after the head");
    if (exchange_is_lost(x))
        return WEIR_EGONE;
    if (x->head->version_minor == 0) /* RFC 9110, section 15.2 */
        return 0;
    return x->wire->inform(x, status, name ? &field : NULL);
}
