/* The heads of proxied messages (RFC 9110, sections 7.6 and 17.1).
 *
 * Nothing that frames a message or belongs to one connection goes through, in
 * either direction: not the fields that the protocol names, and not those that
 * Connection lists. Framing is written by the client and the server from what
 * was parsed. What says where a request came from is added behind what is there. */
#include "gateway/proxy.h"

#include <errno.h>

#include <weir/error.h>
#include <weir/run.h>

#include "http/exchange.h"
#include "http/names.h"
#include "http/server.h"

#define PROXY_ADDED 5 /* For, Proto, Host, Via, and the end */

/* RFC 9110, section 7.6.1; and what belongs to the hop by nature. */
static bool belongs_to_hop(enum http_field_id id)
{
    switch (id) {
    case HTTP_CONNECTION:
    case HTTP_KEEP_ALIVE:
    case HTTP_PROXY_CONNECTION:
    case HTTP_PROXY_AUTHENTICATE:
    case HTTP_PROXY_AUTHORIZATION:
    case HTTP_TE:
    case HTTP_TRAILER:
    case HTTP_TRANSFER_ENCODING:
    case HTTP_CONTENT_LENGTH:
    case HTTP_UPGRADE: return true;
    default: return false;
    }
}

/* ---- to the service ------------------------------------------------------------------ */

/* What the gateway writes itself. */
static bool is_rewritten(enum http_field_id id, weir_str name)
{
    switch (id) {
    case HTTP_HOST:
    case HTTP_EXPECT:
    case HTTP_X_REQUEST_ID:
    case HTTP_TRACEPARENT:
    case HTTP_X_FORWARDED_FOR:
    case HTTP_X_FORWARDED_PROTO:
    case HTTP_X_FORWARDED_HOST:
    case HTTP_VIA: return true;
    default: return weir_str_eq_nocase(name, WEIR_S("Weir-Deadline-Ms"));
    }
}

/* The list that the request carries under a name, and one more element. */
static weir_str list_with(const struct http_head *head, enum http_field_id id, weir_str last)
{
    const struct http_field *f = http_field_first(head, id);
    weir_str list;

    if (!f)
        return last;
    list = http_field_value(f);
    while ((f = http_field_next(head, f)) != NULL)
        list = weir_format("%.*s, %.*s", WEIR_ARG(list), WEIR_ARG(http_field_value(f)));
    return list.len ? weir_format("%.*s, %.*s", WEIR_ARG(list), WEIR_ARG(last)) : last;
}

/* "192.0.2.1:40312" and "[::1]:40312" without the port and the brackets. */
static weir_str client_host(weir_exchange *x)
{
    weir_str address = weir_client_address(x);

    while (address.len > 0 && address.ptr[address.len - 1] != ':')
        address.len--;
    if (address.len == 0)
        return WEIR_S("unknown");
    address.len--;
    if (address.len > 1 && address.ptr[0] == '[')
        address = weir_str_from(address.ptr + 1, address.len - 2);
    return address;
}

/* RFC 9110, section 7.6.3: the version that the request came in. */
static weir_str received_as(const weir_exchange *x)
{
    weir_str version = exchange_version(x);

    return weir_str_eq(version, WEIR_S("2"))     ? WEIR_S("2 weir")
           : weir_str_eq(version, WEIR_S("1.0")) ? WEIR_S("1.0 weir")
                                                 : WEIR_S("1.1 weir");
}

static size_t add_forwarded(weir_exchange *x, const struct http_head *head, weir_http_field *fields)
{
    weir_tls_info tls;
    weir_str scheme = weir_client_tls(x, &tls) ? WEIR_S("https") : WEIR_S("http");
    size_t n = 0;

    fields[n++] = (weir_http_field){ WEIR_S("X-Forwarded-For"),
                                     list_with(head, HTTP_X_FORWARDED_FOR, client_host(x)) };
    fields[n++] = (weir_http_field){ WEIR_S("X-Forwarded-Proto"),
                                     list_with(head, HTTP_X_FORWARDED_PROTO, scheme) };
    if (head->authority.ptr)
        fields[n++] = (weir_http_field){ WEIR_S("X-Forwarded-Host"),
                                         list_with(head, HTTP_X_FORWARDED_HOST, head->authority) };
    fields[n++] = (weir_http_field){ WEIR_S("Via"), list_with(head, HTTP_VIA, received_as(x)) };
    return n;
}

int proxy_request_fields(weir_exchange *x, const weir_http_field **ret_fields)
{
    const struct http_head *head = exchange_head(x);
    weir_http_field *fields = weir_alloc((head->field_count + PROXY_ADDED) * sizeof(*fields));
    size_t n = 0, first;

    if (!fields)
        return -ENOMEM;
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *f = &head->fields[i];
        weir_str name = http_field_name(f);

        if (belongs_to_hop((enum http_field_id)f->id) ||
            is_rewritten((enum http_field_id)f->id, name) ||
            http_field_has_token(head, HTTP_CONNECTION, name))
            continue;
        fields[n++] = (weir_http_field){ name, http_field_value(f) };
    }
    first = n;
    n += add_forwarded(x, head, fields + n);
    for (size_t i = first; i < n; i++) {
        if (!fields[i].value.ptr)
            return -ENOMEM;
    }
    fields[n] = (weir_http_field){ { NULL, 0 }, { NULL, 0 } };
    *ret_fields = fields;
    return 0;
}

static const weir_str via_weir = { "1.1 weir", 8 };

/* ---- to the client ------------------------------------------------------------------- */

static bool connection_lists(const weir_response *response, weir_str name)
{
    for (size_t i = 0; i < response->field_count; i++) {
        weir_str list = response->fields[i].value, element;

        if (!weir_str_eq_nocase(response->fields[i].name, WEIR_S("Connection")))
            continue;
        while (http_list_next(&list, &element)) {
            if (weir_str_eq_nocase(element, name))
                return true;
        }
    }
    return false;
}

/* What the server writes, or proxy_response_fields() below. */
static bool is_answered_anew(enum http_field_id id)
{
    return id == HTTP_DATE || id == HTTP_X_REQUEST_ID;
}

static bool goes_back(const weir_response *response, weir_str name)
{
    enum http_field_id id = http_field_find(name);

    return !belongs_to_hop(id) && !is_answered_anew(id) && !connection_lists(response, name);
}

/* Asked before the first is set, as none can be taken back from the problem response
 * that is sent instead. */
static int check_room(const weir_exchange *x, const weir_response *response)
{
    weir_http_field via = { WEIR_S("Via"), via_weir };
    size_t count = x->field_count + 1u;
    size_t bytes = x->field_bytes + via.name.len + via.value.len + 4;

    for (size_t i = 0; i < response->field_count; i++) {
        const weir_http_field *f = &response->fields[i];

        if (!goes_back(response, f->name))
            continue;
        count++;
        bytes += f->name.len + f->value.len + 4;
    }
    if (count <= EXCHANGE_FIELDS_MAX && bytes <= EXCHANGE_FIELDS_BYTES)
        return 0;
    return weir_fail(WEIR_EHEADSIZE, "the answer's head has more than %d fields or %d bytes",
                     EXCHANGE_FIELDS_MAX, EXCHANGE_FIELDS_BYTES);
}

int proxy_response_fields(weir_exchange *x, const weir_response *response)
{
    int rc = check_room(x, response);

    for (size_t i = 0; i < response->field_count && rc == 0; i++) {
        weir_str name = response->fields[i].name;

        if (!goes_back(response, name))
            continue;
        name = weir_str_dup(name);
        rc = name.ptr ? weir_set_header(x, name.ptr, response->fields[i].value) : -ENOMEM;
    }
    return rc < 0 ? rc : weir_set_header(x, "Via", via_weir);
}
