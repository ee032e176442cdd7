/* The message of an HTTP/2 answer, made anew from its fields and DATA (RFC 9113,
 * section 8): the same weir_response as HTTP/1.1 gives.
 *
 * Why its own module: what a response may say is decided here, with no session, socket
 * or clock, whatever the library below lets through.
 *
 * Sections: any number of interim heads (1xx), the final head, at most one trailer. The
 * fields of the section being received are in stream->fields, and become the response's,
 * or its trailers, when it is complete. */
#include "http/h2_link.h"

#include <errno.h>
#include <string.h>

#include "http/message.h"

#define FIRST_FIELDS 16
#define FIELD_OVERHEAD 32 /* RFC 7541, section 4.1 */

static int fault(struct h2_call *stream, int rc, const char *rule)
{
    if (!stream->why) {
        stream->why = rule;
        stream->rc = rc;
    }
    return -1;
}

static bool in_trailer(const struct h2_call *stream)
{
    return stream->flags & STREAM_HEAD;
}

static int take_status(struct h2_call *stream, weir_str value)
{
    unsigned status = 0;

    if (in_trailer(stream))
        return fault(stream, WEIR_EHEAD, "a pseudo-field in a trailer");
    if (stream->status || stream->field_count > 0)
        return fault(stream, WEIR_EHEAD, ":status is not first, or stands twice");
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return fault(stream, WEIR_EHEAD, ":status is not of three digits");
        status = status * 10 + (unsigned)(value.ptr[i] - '0');
    }
    if (value.len != 3 || status < 100 || status > 599)
        return fault(stream, WEIR_EHEAD, ":status is not of three digits");
    if (status == 101) /* RFC 9113, section 8.6 */
        return fault(stream, WEIR_EHEAD, "101 has no meaning in HTTP/2");
    stream->status = (uint16_t)status;
    stream->response.content_length = -1;
    return 0;
}

static int take_length(struct h2_call *stream, weir_str value)
{
    int64_t n = 0;

    if (value.len == 0 || value.len > 18)
        return fault(stream, WEIR_EHEAD, "Content-Length is no number");
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return fault(stream, WEIR_EHEAD, "Content-Length is no number");
        n = n * 10 + (value.ptr[i] - '0');
    }
    if (stream->response.content_length >= 0 && stream->response.content_length != n)
        return fault(stream, WEIR_EHEAD, "two Content-Length fields that differ");
    stream->response.content_length = n;
    return 0;
}

static bool has_capital(weir_str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] >= 'A' && name.ptr[i] <= 'Z')
            return true;
    return false;
}

static bool has_space_at_end(weir_str value)
{
    return value.len > 0 &&
           (strchr(" \t", value.ptr[0]) || strchr(" \t", value.ptr[value.len - 1]));
}

/* RFC 9113, sections 8.2.1 and 8.2.2; RFC 9110, section 6.5.1. */
static int check_field(struct h2_call *stream, weir_str name, weir_str value)
{
    enum http_field_id id;

    if (name.len == 0 || !http_token_ok(name) || has_capital(name))
        return fault(stream, WEIR_EHEAD, "a field's name is no token in small letters");
    if (!http_value_ok(value) || has_space_at_end(value))
        return fault(stream, WEIR_EHEAD,
                     "a field's value holds a control byte, or begins or "
                     "ends with a space");
    id = http_field_find(name);
    switch (id) {
    case HTTP_CONNECTION:
    case HTTP_KEEP_ALIVE:
    case HTTP_PROXY_CONNECTION:
    case HTTP_TRANSFER_ENCODING:
    case HTTP_UPGRADE:
    case HTTP_TE: return fault(stream, WEIR_EHEAD, "a field that speaks of the connection");
    case HTTP_CONTENT_LENGTH:
        if (!in_trailer(stream))
            return take_length(stream, value);
        break;
    default: break;
    }
    if (in_trailer(stream) && http_field_forbidden_in_trailer(id))
        return fault(stream, WEIR_EBODY, "a trailer holds a field that only a head may have");
    return 0;
}

static int add_field(struct h2_call *stream, weir_str name, weir_str value)
{
    weir_http_field *fields = stream->fields;
    char *text;

    if (stream->field_count == stream->field_room) {
        uint16_t room = stream->field_room ? HTTP_FIELDS_MAX : FIRST_FIELDS;

        fields = arena_alloc(stream->arena, room * sizeof(*fields));
        if (!fields)
            return -ENOMEM;
        if (stream->field_count > 0)
            memcpy(fields, stream->fields, stream->field_count * sizeof(*fields));
        stream->fields = fields;
        stream->field_room = room;
    }
    text = arena_alloc(stream->arena, name.len + value.len + 1);
    if (!text)
        return -ENOMEM;
    memcpy(text, name.ptr, name.len);
    if (value.len > 0)
        memcpy(text + name.len, value.ptr, value.len);
    fields[stream->field_count++] = (weir_http_field){
        .name = weir_str_from(text, name.len),
        .value = weir_str_from(text + name.len, value.len),
    };
    return 0;
}

int h2_answer_field(struct h2_call *stream, weir_str name, weir_str value)
{
    int rc;

    stream->list_bytes += (uint32_t)(name.len + value.len + FIELD_OVERHEAD);
    if (stream->list_bytes > H2_HEADER_LIST_BYTES)
        return fault(stream, WEIR_EHEADSIZE, "the fields are larger than 32 KiB");
    if (name.len > 0 && name.ptr[0] == ':')
        return weir_str_eq(name, WEIR_S(":status"))
                   ? take_status(stream, value)
                   : fault(stream, WEIR_EHEAD, "a pseudo-field that no answer has");
    if (!in_trailer(stream) && !stream->status)
        return fault(stream, WEIR_EHEAD, "a field before :status");
    if (stream->field_count == HTTP_FIELDS_MAX)
        return fault(stream, WEIR_EHEADSIZE, "there are more than 100 fields");
    rc = check_field(stream, name, value);
    return rc < 0 ? rc : add_field(stream, name, value);
}

static void begin_section(struct h2_call *stream)
{
    stream->fields = NULL;
    stream->field_count = stream->field_room = 0;
    stream->list_bytes = 0;
}

static void fill_response(struct h2_call *stream, weir_response *response)
{
    int64_t content_length = stream->response.content_length;

    *response = (weir_response){ .status = stream->status,
                                 .body = WEIR_S(""),
                                 .content_length = content_length,
                                 .fields = stream->fields,
                                 .field_count = stream->field_count };
    for (size_t i = 0; i < stream->field_count && !response->type.ptr; i++)
        if (weir_str_eq(stream->fields[i].name, WEIR_S("content-type")))
            response->type = stream->fields[i].value;
}

static int take_interim(struct h2_call *stream)
{
    struct h2_interim *interim;

    if (++stream->interim_count > H2_INTERIM_MAX)
        return fault(stream, WEIR_EHEAD, "interim answers without end");
    if (!stream->wants_interim)
        return 0;
    interim = arena_alloc(stream->arena, sizeof(*interim));
    if (!interim)
        return -ENOMEM;
    interim->next = NULL;
    fill_response(stream, &interim->response);
    *stream->last_interim = interim;
    stream->last_interim = &interim->next;
    return 0;
}

int h2_answer_section(struct h2_call *stream, bool last)
{
    int rc = 0;

    if (in_trailer(stream)) {
        if (!last)
            return fault(stream, WEIR_EBODY, "a trailer that does not end the answer");
        stream->response.trailers = stream->fields;
        stream->response.trailer_count = stream->field_count;
        return 0;
    }
    if (!stream->status)
        return fault(stream, WEIR_EHEAD, "no :status");
    if (stream->status < 200) { /* RFC 9110, section 15.2 */
        if (last)
            return fault(stream, WEIR_EHEAD, "an interim answer that ends the stream");
        rc = take_interim(stream);
        stream->status = 0;
    } else {
        fill_response(stream, &stream->response);
        stream->flags |= STREAM_HEAD;
    }
    begin_section(stream);
    return rc;
}

/* RFC 9110, section 6.4.1. */
static bool has_no_body(const struct h2_call *stream)
{
    return stream->head_only || stream->status == 204 || stream->status == 304;
}

int h2_answer_data(struct h2_call *stream, size_t bytes)
{
    int64_t announced = stream->response.content_length;

    if (!(stream->flags & STREAM_HEAD))
        return fault(stream, WEIR_EHEAD, "DATA before the head");
    stream->body_bytes += bytes;
    if (bytes > 0 && has_no_body(stream))
        return fault(stream, WEIR_EBODY, "a body where there can be none");
    if (announced >= 0 && stream->body_bytes > (uint64_t)announced)
        return fault(stream, WEIR_EBODY, "the body is longer than Content-Length says");
    return 0;
}

int h2_answer_end(struct h2_call *stream)
{
    int64_t announced = stream->response.content_length;

    if (!(stream->flags & STREAM_HEAD))
        return fault(stream, WEIR_EHEAD, "the stream ended before the final head");
    if (announced >= 0 && !has_no_body(stream) && stream->body_bytes != (uint64_t)announced)
        return fault(stream, WEIR_EBODY, "the body is shorter than Content-Length says");
    stream->flags |= STREAM_END;
    return 0;
}
