/* weir_request_open() and its kin: a call whose bodies go through in pieces, for
 * what is too large to keep, or is passed on as it comes. */
#include "http/client.h"

int weir_request_open_opt(weir_str url, weir_request **ret_request, const weir_fetch_opts *opts)
{
    struct arena *arena = rt_arena();
    struct weir_request *call = arena ? arena_zalloc(arena, sizeof(*call)) : NULL;
    int rc;

    if (!call)
        return -ENOMEM;
    rc = client_call_init(call, url, opts);
    if (rc == 0)
        rc = client_call_send(call);
    if (rc < 0) {
        client_call_end(call);
        return rc;
    }
    *ret_request = call;
    return 0;
}

static int write_piece(struct weir_request *call, weir_str data)
{
    bool announced = call->opts.stream_bytes != WEIR_CHUNKED;
    int rc;

    if (announced && data.len > call->upload_left)
        return weir_fail(-EINVAL, "the request's body is longer than its announced %llu bytes",
                         (unsigned long long)call->opts.stream_bytes);
    rc = call->wire->write(call, data);
    if (rc == 0 && announced)
        call->upload_left -= data.len;
    if (call->upload_left == 0)
        call->flags &= ~(unsigned)CALL_UPLOADING;
    return rc;
}

int weir_request_write(weir_request *call, weir_str data)
{
    int rc = rt_check();

    if (rc < 0)
        return rc;
    if (!data.ptr)
        return -ENOMEM;
    if (data.len == 0)
        return 0;
    if (!(call->flags & CALL_UPLOADING))
        return weir_fail(-EINVAL, "the request's body is complete, or was not announced");
    rc = write_piece(call, data);
    return rc < 0 ? client_call_wrap(call, rc, "sending the request's body") : 0;
}

int weir_request_end(weir_request *call)
{
    int rc = rt_check();

    if (rc < 0 || !(call->flags & CALL_UPLOADING))
        return rc;
    if (call->opts.stream_bytes != WEIR_CHUNKED)
        return weir_fail(-EINVAL, "the request's body lacks %llu bytes of what was announced",
                         (unsigned long long)call->upload_left);
    rc = call->wire->finish(call);
    if (rc < 0)
        return client_call_wrap(call, rc, "ending the request's body");
    call->flags &= ~(unsigned)CALL_UPLOADING;
    return 0;
}

int weir_response_head(weir_request *call, weir_response *ret_response)
{
    weir_response response;
    int rc = rt_check();

    if (rc < 0)
        return rc;
    if (call->flags & CALL_HAS_HEAD)
        return weir_fail(WEIR_EWRONGUSE, "the head of the answer was taken already");
    rc = client_call_answer(call, &response);
    if (rc == 0)
        *ret_response = response;
    return rc;
}

ssize_t weir_response_read(weir_request *call, weir_str *ret_data)
{
    int rc = rt_check();

    if (rc < 0)
        return rc;
    if (!(call->flags & CALL_HAS_HEAD))
        return weir_fail(WEIR_EWRONGUSE, "an answer's body is read after its head");
    rc = client_call_body(call, ret_data);
    if (rc == 1)
        rt_spend();
    return rc == 1 ? (ssize_t)ret_data->len : rc;
}

size_t weir_response_trailers(const weir_request *call, const weir_http_field **ret_fields)
{
    if (call->trailer_count > 0)
        *ret_fields = call->trailers;
    return call->trailer_count;
}

void weir_request_close(weir_request *call)
{
    if (call)
        client_call_end(call);
}
