/* Answers, as handlers give them: what may be said when, and that it agrees with what
 * was announced. How it is said is the wire's (h1_wire.c, h2_wire.c).
 *
 * States of a reply: NONE -> BEGUN -> COMPLETE, or NONE -> COMPLETE.
 *
 * The functions without a check for a cancel (exchange_...) are for the server
 * itself, on whatever stack; the public ones check, and may wait.
 *
 * Invariants: status is set from NONE on; out_left is 0 unless the framing is
 * REPLY_LENGTH; nothing is written once the exchange is lost. */
#include "http/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "http/server_loop.h"

/* ---- fields ------------------------------------------------------------------------- */

static bool is_servers_own(enum http_field_id id)
{
    switch (id) {
    case HTTP_CONNECTION:
    case HTTP_CONTENT_LENGTH:
    case HTTP_TRANSFER_ENCODING:
    case HTTP_UPGRADE:
    case HTTP_KEEP_ALIVE:
    case HTTP_TRAILER:
    case HTTP_DATE:
    case HTTP_PROXY_CONNECTION: return true;
    default: return false;
    }
}

int weir_set_header(weir_exchange *x, const char *name, weir_str value)
{
    weir_str key = weir_str_c(name);
    struct reply_field *field;

    if (!value.ptr)
        return -ENOMEM;
    if (!http_token_ok(key) || !http_value_ok(value))
        return weir_fail(-EINVAL, "the field \"%.64s\" can't be sent: its %s", name,
                         http_token_ok(key) ? "value holds a control byte" : "name is no token");
    if (is_servers_own(http_field_find(key)))
        return weir_fail(-EINVAL, "the field \"%s\" is set by the server", name);
    if (x->reply != REPLY_NONE)
        return weir_fail(WEIR_ECLOSED, "the field \"%s\" comes after the head", name);
    if (x->field_count == EXCHANGE_FIELDS_MAX ||
        x->field_bytes + key.len + value.len + 4 > EXCHANGE_FIELDS_BYTES)
        return weir_fail(WEIR_EFULL, "an answer has at most %d fields and %d bytes of them",
                         EXCHANGE_FIELDS_MAX, EXCHANGE_FIELDS_BYTES);
    field = arena_alloc(&x->arena, sizeof(*field));
    if (!field)
        return -ENOMEM;
    field->next = NULL;
    field->name = arena_dup(&x->arena, key);
    field->value = arena_dup(&x->arena, value);
    if (!field->name.ptr || !field->value.ptr)
        return -ENOMEM;
    *x->fields_end = field;
    x->fields_end = &field->next;
    x->field_count++;
    x->field_bytes = (uint16_t)(x->field_bytes + key.len + value.len + 4);
    return 0;
}

/* ---- heads -------------------------------------------------------------------------- */

/* RFC 9110, section 6.4.1. */
static bool status_has_no_body(int status)
{
    return status == 204 || status == 304;
}

static enum reply_framing choose_framing(const struct reply_head *head)
{
    if (status_has_no_body(head->status))
        return REPLY_BODILESS;
    return head->length >= 0 ? REPLY_LENGTH : REPLY_CHUNKED;
}

/* May an answer begin now? */
static int reply_check(weir_exchange *x, int status, weir_str type)
{
    if (x->reply != REPLY_NONE)
        return weir_fail(WEIR_ECLOSED, "the exchange was answered already, with %u", x->status);
    if (status < 200 || status > 599)
        return weir_fail(-EINVAL, "%d is not the status of a final answer", status);
    if (type.len > REPLY_TYPE_MAX || !http_value_ok(type))
        return weir_fail(-EINVAL, "the content type can't be sent");
    return exchange_is_lost(x) ? WEIR_EGONE : 0;
}

static int begin(weir_exchange *x, const struct reply_head *head)
{
    int rc = reply_check(x, head->status, head->type);

    if (rc < 0)
        return rc;
    x->bodiless = x->head->method == HTTP_HEAD || status_has_no_body(head->status);
    x->framing = (uint8_t)choose_framing(head);
    rc = x->wire->begin(x, head);
    if (rc < 0)
        return rc;
    x->status = (uint16_t)head->status;
    x->reply = head->whole ? REPLY_COMPLETE : REPLY_BEGUN;
    x->out_left = x->framing == REPLY_LENGTH && !head->whole ? (uint64_t)head->length : 0;
    return 0;
}

int exchange_reply(weir_exchange *x, int status, weir_str type, weir_str body)
{
    struct reply_head head = { status, type, (int64_t)body.len, body, true };

    if (body.len > OUTQ_COPY_BYTES)
        return weir_fail(-EINVAL, "an answer given at once has at most %d bytes", OUTQ_COPY_BYTES);
    return begin(x, &head);
}

/* ---- bodies -------------------------------------------------------------------------- */

int exchange_park_writer(weir_exchange *x, struct out_wait *writer)
{
    int rc;

    x->writer = writer;
    x->in_write = true;
    rc = rt_park(&writer->wait);
    x->in_write = false;
    x->writer = NULL;
    return rc;
}

/* Is the exchange in the middle of its answer's body, and may this task write? */
static int write_check(weir_exchange *x)
{
    if (x->reply != REPLY_BEGUN)
        return weir_fail(WEIR_ECLOSED,
                         x->reply == REPLY_NONE ? "no answer was begun" : "the answer is complete");
    if (x->writer)
        return -EBUSY;
    return exchange_is_lost(x) ? WEIR_EGONE : 0;
}

static int write_piece(weir_exchange *x, weir_str data)
{
    int rc;

    if (x->framing == REPLY_LENGTH && data.len > x->out_left)
        return weir_fail(-EINVAL,
                         "%zu bytes are more than the %llu that the announced length leaves",
                         data.len, (unsigned long long)x->out_left);
    rc = x->bodiless || data.len == 0 ? 0 : x->wire->write(x, data);
    if (rc == 0 && x->framing == REPLY_LENGTH)
        x->out_left -= data.len;
    return rc;
}

int exchange_end(weir_exchange *x)
{
    int rc = write_check(x);

    if (rc < 0)
        return rc;
    if (x->framing == REPLY_LENGTH && x->out_left > 0)
        return weir_fail(-EINVAL, "the answer ends %llu bytes before its announced length",
                         (unsigned long long)x->out_left);
    rc = x->wire->end(x);
    if (rc == 0)
        x->reply = REPLY_COMPLETE;
    return rc;
}

/* ---- what handlers call ---------------------------------------------------------------- */

/* A checkpoint's entry; there is none while handle() answers at once. */
static inline int enter(const weir_exchange *x)
{
    exchange_check_home(x);
    return x->at_once ? 0 : rt_check();
}

int weir_reply(weir_exchange *x, int status, const char *type, weir_str body)
{
    weir_str kind = weir_str_c(type);
    int rc = enter(x);

    if (rc < 0)
        return rc;
    if (!body.ptr && body.len > 0)
        return -ENOMEM;
    if (body.len <= OUTQ_COPY_BYTES || x->at_once)
        return exchange_reply(x, status, kind, body);
    rc = begin(x,
               &(struct reply_head){ .status = status, .type = kind, .length = (int64_t)body.len });
    if (rc == 0)
        rc = write_piece(x, body);
    if (rc == 0)
        rc = exchange_end(x);
    return rc;
}

int weir_reply_text(weir_exchange *x, int status, const char *text)
{
    return weir_reply(x, status, "text/plain; charset=utf-8", weir_str_c(text));
}

int weir_reply_json_text(weir_exchange *x, int status, weir_str json)
{
    return weir_reply(x, status, "application/json", json);
}

int weir_reply_status(weir_exchange *x, int status)
{
    return weir_reply(x, status, NULL, weir_str_from(NULL, 0));
}

int weir_reply_begin(weir_exchange *x, int status, const char *type, int64_t length)
{
    int rc = enter(x);

    if (rc < 0)
        return rc;
    if (length < 0 && length != WEIR_UNKNOWN_LENGTH)
        return weir_fail(-EINVAL, "%lld is no length", (long long)length);
    return begin(
        x, &(struct reply_head){ .status = status, .type = weir_str_c(type), .length = length });
}

int weir_write(weir_exchange *x, weir_str data)
{
    int rc = rt_check();

    exchange_check_home(x);
    if (rc == 0)
        rc = write_check(x);
    if (rc < 0)
        return rc;
    if (!data.ptr && data.len > 0)
        return -ENOMEM;
    rc = write_piece(x, data);
    if (rc == 0)
        rt_spend();
    return rc;
}

int weir_flush(weir_exchange *x)
{
    int rc = rt_check();

    exchange_check_home(x);
    if (rc < 0)
        return rc;
    if (x->writer)
        return -EBUSY;
    return exchange_is_lost(x) ? WEIR_EGONE : x->wire->drain(x);
}

int weir_end(weir_exchange *x)
{
    int rc = rt_check();

    exchange_check_home(x);
    return rc < 0 ? rc : exchange_end(x);
}

bool weir_replied(const weir_exchange *x)
{
    exchange_check_home(x);
    return x->reply != REPLY_NONE;
}
