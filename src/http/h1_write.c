/* Writing heads and chunk framing into a fixed span.
 *
 * Invariants: len <= room; [0, len) is what the calls that succeeded wrote; once
 * rc is set nothing changes any more. Each public call notes len, appends piece
 * by piece, and puts len back when a piece did not fit: room is checked in
 * put() only. Input is checked before the first piece. */
#include "http/h1_write.h"

#include <errno.h>

#include "http/scan.h"

void h1_out_init(struct h1_out *out, char *ptr, size_t room)
{
    *out = (struct h1_out){ ptr, 0, room, 0 };
}

static void put(struct h1_out *out, weir_str s)
{
    if (out->rc)
        return;
    if (s.len > out->room - out->len) {
        out->rc = -ENOSPC;
        return;
    }
    if (s.len)
        memcpy(out->ptr + out->len, s.ptr, s.len);
    out->len += s.len;
}

static int settle(struct h1_out *out, size_t before)
{
    if (out->rc)
        out->len = before;
    return out->rc;
}

static int refuse(struct h1_out *out)
{
    if (!out->rc)
        out->rc = -EINVAL;
    return out->rc;
}

static void put_number(struct h1_out *out, uint64_t n)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    put(out, weir_str_from(digits + at, sizeof digits - at));
}

/* Visible ASCII, neither empty nor able to end the line or a word in it. */
static bool target_ok(weir_str target)
{
    for (size_t i = 0; i < target.len; i++)
        if ((uint8_t)target.ptr[i] <= 0x20 || (uint8_t)target.ptr[i] >= 0x7f)
            return false;
    return target.len > 0;
}

int h1_write_request_line(struct h1_out *out, weir_str method, weir_str target)
{
    size_t before = out->len;

    if (!http_token_ok(method) || !target_ok(target))
        return refuse(out);
    put(out, method);
    put(out, WEIR_S(" "));
    put(out, target);
    put(out, WEIR_S(" HTTP/1.1\r\n"));
    return settle(out, before);
}

int h1_write_status_line(struct h1_out *out, int status, weir_str reason)
{
    size_t before = out->len;

    if (status < 100 || status > 599 || !http_value_ok(reason))
        return refuse(out);
    put(out, WEIR_S("HTTP/1.1 "));
    put_number(out, (uint64_t)status);
    put(out, WEIR_S(" "));
    put(out, reason.ptr ? reason : http_reason(status));
    put(out, WEIR_S("\r\n"));
    return settle(out, before);
}

static weir_str trim(weir_str s)
{
    while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = weir_str_skip(s, 1);
    while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* The name is known to be a token. */
static int write_field(struct h1_out *out, weir_str name, weir_str value)
{
    size_t before = out->len;

    if (!http_value_ok(value))
        return refuse(out);
    put(out, name);
    put(out, WEIR_S(": "));
    put(out, trim(value));
    put(out, WEIR_S("\r\n"));
    return settle(out, before);
}

int h1_write_field(struct h1_out *out, weir_str name, weir_str value)
{
    return http_token_ok(name) ? write_field(out, name, value) : refuse(out);
}

int h1_write_known(struct h1_out *out, enum http_field_id id, weir_str value)
{
    return id == HTTP_FIELD_OTHER ? refuse(out) : write_field(out, http_field_id_name(id), value);
}

int h1_write_number(struct h1_out *out, enum http_field_id id, uint64_t value)
{
    size_t before = out->len;

    if (id == HTTP_FIELD_OTHER)
        return refuse(out);
    put(out, http_field_id_name(id));
    put(out, WEIR_S(": "));
    put_number(out, value);
    put(out, WEIR_S("\r\n"));
    return settle(out, before);
}

int h1_out_end(struct h1_out *out)
{
    return h1_write_bytes(out, WEIR_S("\r\n"));
}

int h1_write_bytes(struct h1_out *out, weir_str bytes)
{
    size_t before = out->len;

    put(out, bytes);
    return settle(out, before);
}

int h1_write_chunk_head(struct h1_out *out, uint64_t size)
{
    char digits[16];
    size_t at = sizeof digits, before = out->len;

    if (size == 0)
        return refuse(out);
    for (; size; size >>= 4)
        digits[--at] = "0123456789abcdef"[size & 15];
    put(out, weir_str_from(digits + at, sizeof digits - at));
    put(out, WEIR_S("\r\n"));
    return settle(out, before);
}

int h1_write_date(struct h1_out *out, struct http_date *date, int64_t wall_s)
{
    return write_field(out, http_field_id_name(HTTP_DATE), http_date_at(date, wall_s));
}
