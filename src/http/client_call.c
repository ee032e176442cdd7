/* One call: a request sent, and its answer received, whatever the version.
 *
 * States, in flags: nothing -> (lease, conn) -> sent -> HAS_HEAD -> BODY_DONE.
 * FAILED at any point means that the connection is not kept. What differs between
 * the versions of HTTP is behind the call's wire (client_h1.c …). */
#include "http/client.h"

int client_call_wrap(const struct weir_request *call, int rc, const char *doing)
{
    return weir_wrap(rc, "%.*s %.*s: %s", WEIR_ARG(call->method_text),
                     WEIR_ARG(url_shown(call->url_text)), doing);
}

int client_call_fail(const struct weir_request *call, int rc, const char *what)
{
    return weir_fail(rc, "%.*s %.*s: %s", WEIR_ARG(call->method_text),
                     WEIR_ARG(url_shown(call->url_text)), what);
}

static int call_set_method(struct weir_request *call)
{
    const weir_fetch_opts *opts = &call->opts;
    bool has_body = opts->body.len > 0 || opts->stream_bytes > 0;

    call->method_text = opts->method ? weir_str_c(opts->method)
                        : has_body   ? WEIR_S("POST")
                                     : WEIR_S("GET");
    if (!http_token_ok(call->method_text))
        return weir_fail(-EINVAL, "the method is no token");
    call->method = http_method_find(call->method_text);
    if (call->method == HTTP_CONNECT)
        return weir_fail(-EINVAL, "the method CONNECT makes tunnels, not calls");
    if (opts->body.len > 0 && (opts->stream_bytes > 0 || !opts->body.ptr))
        return opts->body.ptr ? weir_fail(-EINVAL, "a request has .body and .stream_bytes: "
                                                   "only one can be sent")
                              : -ENOMEM;
    return 0;
}

int client_call_init(struct weir_request *call, weir_str url, const weir_fetch_opts *opts)
{
    int rc = rt_check();

    call->url_text = url;
    call->opts = *opts;
    if (rc == 0)
        rc = url_parse(url, &call->url);
    if (rc == 0)
        rc = call_set_method(call);
    if (rc == 0)
        rc = client_get(opts->client, &call->client);
    if (rc == 0)
        rc = client_origin_get(call->client, &call->url, &call->origin);
    if (rc == 0)
        call->wire = call->origin->homes ? &client_h2_wire : &client_h1_wire;
    if (opts->stream_bytes > 0) {
        call->flags |= CALL_UPLOADING | CALL_STREAMED;
        call->upload_left = opts->stream_bytes;
    }
    return rc;
}

bool client_is_lost(int rc)
{
    return rc == -ECONNRESET || rc == -EPIPE || rc == -ECONNABORTED;
}

int client_call_send(struct weir_request *call)
{
    int rc = call->wire->connect(call);

    if (rc < 0)
        return rc;
    rc = call->wire->send(call);
    if (client_is_lost(rc) && call->flags & CALL_REUSED && !(call->flags & CALL_SENT_ANY)) {
        rc = call->wire->again(call);
        if (rc == 0)
            rc = call->wire->send(call);
    }
    /* A server may answer early and close: its answer is looked for. */
    if (client_is_lost(rc) && call->conn)
        return 0;
    return rc < 0 ? client_call_wrap(call, rc, "sending the request") : 0;
}

int client_call_answer(struct weir_request *call, weir_response *ret_response)
{
    int rc = call->wire->head(call, ret_response);

    if (rc < 0 && call->wire->may_repeat(call, rc)) {
        weir_recover();
        rc = call->wire->again(call);
        if (rc == 0)
            rc = call->wire->send(call);
        if (rc == 0 || (client_is_lost(rc) && call->conn))
            rc = call->wire->head(call, ret_response);
    }
    if (rc < 0)
        call->flags |= CALL_FAILED;
    return rc;
}

int client_call_body(struct weir_request *call, weir_str *ret_data)
{
    return call->flags & CALL_BODY_DONE ? 0 : call->wire->body(call, ret_data);
}

void client_call_end(struct weir_request *call)
{
    if (call->lease.shelf_)
        call->wire->leave(call);
}
