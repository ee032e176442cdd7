/* weir_fetch() and what stands on it: a call whose whole answer is kept in the
 * current arena.
 *
 * The answer's size is the server's word until the bytes are here. So memory is
 * taken for what is announced only up to 64 KiB, and doubled from there as bytes
 * come: what lies cost a server costs us at most twice that. */
#include <weir/json.h>

#include "http/client.h"

#define FETCH_FIRST_BYTES (64u << 10)
#define FETCH_SMALL_BYTES 1024

/* The body in the making. */
struct sink {
    char *ptr;
    size_t len, room;
};

/* Room for more bytes and a terminator. */
static int sink_grow(struct sink *sink, size_t more)
{
    size_t room = sink->room ? 2 * sink->room : FETCH_SMALL_BYTES;
    char *ptr;

    if (more < sink->room - sink->len)
        return 0;
    if (room < sink->len + more + 1)
        room = sink->len + more + 1;
    ptr = arena_alloc(rt_arena(), room);
    if (!ptr)
        return -ENOMEM;
    if (sink->len > 0)
        memcpy(ptr, sink->ptr, sink->len);
    sink->ptr = ptr;
    sink->room = room;
    return 0;
}

static int fetch_body(struct weir_request *call, weir_response *response)
{
    struct sink sink = { 0 };
    weir_str data;
    int rc = 0;

    if (response->content_length > 0 && !(call->flags & CALL_BODY_DONE))
        rc = sink_grow(&sink, response->content_length < FETCH_FIRST_BYTES
                                  ? (size_t)response->content_length
                                  : FETCH_FIRST_BYTES);
    while (rc >= 0 && (rc = client_call_body(call, &data)) > 0) {
        rc = sink_grow(&sink, data.len);
        if (rc < 0)
            return rc;
        memcpy(sink.ptr + sink.len, data.ptr, data.len);
        sink.len += data.len;
    }
    if (rc < 0)
        return rc;
    if (sink.len > 0) {
        sink.ptr[sink.len] = 0;
        response->body = weir_str_from(sink.ptr, sink.len);
    }
    return 0;
}

static int fetch(struct weir_request *call, weir_response *ret_response)
{
    weir_response response;
    int rc;

    if (call->opts.stream_bytes > 0)
        return weir_fail(-EINVAL, "weir_fetch() sends whole bodies: .stream_bytes is for "
                                  "weir_request_open()");
    if (!call->opts.max_body_bytes)
        call->opts.max_body_bytes = call->client->opts.max_body_bytes;
    rc = client_call_send(call);
    if (rc == 0)
        rc = client_call_answer(call, &response);
    if (rc == 0)
        rc = fetch_body(call, &response);
    if (rc == 0) {
        response.trailers = call->trailers;
        response.trailer_count = call->trailer_count;
    }
    client_call_end(call);
    if (rc != 0)
        return rc;
    *ret_response = response;
    return 0;
}

int weir_fetch_opt(weir_str url, weir_response *ret_response, const weir_fetch_opts *opts)
{
    struct weir_request call = { 0 };
    int rc = client_call_init(&call, url, opts);

    return rc < 0 ? rc : fetch(&call, ret_response);
}

/* The body of a 2xx answer. */
static int fetch_ok(weir_str url, const weir_fetch_opts *opts, weir_str *ret_body)
{
    struct weir_request call = { .flags = CALL_WANTS_JSON };
    weir_response response = { 0 };
    int rc = client_call_init(&call, url, opts);

    if (rc == 0)
        rc = fetch(&call, &response);
    if (rc != 0)
        return rc;
    if (response.status < 200 || response.status > 299)
        return weir_fail(WEIR_ESTATUS, "%.*s %.*s: answered %d", WEIR_ARG(call.method_text),
                         WEIR_ARG(url_shown(url)), response.status);
    *ret_body = response.body;
    return 0;
}

int weir_fetch_json_opt(weir_str url, weir_json **ret_json, const weir_fetch_opts *opts)
{
    weir_json *json;
    weir_str body = { NULL, 0 };
    int rc = fetch_ok(url, opts, &body);

    if (rc != 0)
        return rc;
    rc = weir_json_check(body, NULL);
    if (rc < 0)
        return weir_wrap(rc, "the answer of %.*s", WEIR_ARG(url_shown(url)));
    json = arena_alloc(rt_arena(), sizeof(*json));
    if (!json)
        return -ENOMEM;
    json->text = body;
    *ret_json = json;
    return 0;
}

int weir_fetch_object_opt(weir_str url, const weir_type *type, void *ret_value, size_t size,
                          const weir_fetch_opts *opts)
{
    weir_str body = { NULL, 0 };
    int rc = fetch_ok(url, opts, &body);

    if (rc != 0)
        return rc;
    rc = weir_json_decode_sized(body, type, ret_value, size, NULL);
    return rc < 0 ? weir_wrap(rc, "the answer of %.*s", WEIR_ARG(url_shown(url))) : rc;
}

weir_str weir_response_header(const weir_response *response, const char *name)
{
    weir_str wanted = weir_str_c(name);

    for (size_t i = 0; i < response->field_count; i++)
        if (weir_str_eq_nocase(response->fields[i].name, wanted))
            return response->fields[i].value;
    return weir_str_from(NULL, 0);
}
