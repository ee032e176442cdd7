/* Writing HTTP/1.1 messages (RFC 9112): into a fixed span of the caller's.
 *
 * Every byte goes through one function that knows how much room is left; there
 * is no pass that measures first. Names, values, targets and reason phrases
 * that hold CR, LF, NUL or what else could split a message are refused.
 *
 * Failures stick: after one, nothing further is written and every call returns
 * it, so that a run of calls needs one check, at h1_out_end() or of out.rc:
 *   -EINVAL   a name, value, target, method or status that may not be sent
 *   -ENOSPC   the span is full; begin again with a larger one
 * A call that fails leaves out.len as it was. */
#ifndef HTTP_H1_WRITE_H
#define HTTP_H1_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/export.h>
#include <weir/str.h>

#include "http/names.h"

struct h1_out {
    char *ptr;
    size_t len, room;
    int rc; /* 0, or the first failure */
};

void h1_out_init(struct h1_out *out, char *ptr, size_t room);

static inline weir_str h1_out_str(const struct h1_out *out)
{
    return weir_str_from(out->ptr, out->len);
}

/* "GET /path HTTP/1.1". The target must have the origin-, absolute- or
 * asterisk-form's bytes: no white space, control or non-ASCII byte. */
int h1_write_request_line(struct h1_out *out, weir_str method, weir_str target);

/* "HTTP/1.1 200 OK"; with an absent reason the registered phrase. */
int h1_write_status_line(struct h1_out *out, int status, weir_str reason);

/* A field; white space at the ends of value is not sent. The framing fields
 * may be written this way too: the caller chooses the framing. */
int h1_write_field(struct h1_out *out, weir_str name, weir_str value);
int h1_write_known(struct h1_out *out, enum http_field_id id, weir_str value);
int h1_write_number(struct h1_out *out, enum http_field_id id, uint64_t value);

/* The empty line after the fields. Returns out->rc. */
WEIR_MUST_USE int
h1_out_end(struct h1_out *out);

/* Bytes as they are: a body that fits behind its head. */
int h1_write_bytes(struct h1_out *out, weir_str bytes);

/* A chunk is its size line, the data, H1_CHUNK_TAIL; the body ends with
 * H1_LAST_CHUNK. size may not be 0 (that would end the body): -EINVAL. */
#define H1_CHUNK_HEAD_MAX 18
#define H1_CHUNK_TAIL WEIR_S("\r\n")
#define H1_LAST_CHUNK WEIR_S("0\r\n\r\n")
int h1_write_chunk_head(struct h1_out *out, uint64_t size);

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, section 5.6.7), made anew once a
 * second. One per loop; zeroed before its first use. */
#define HTTP_DATE_LEN 29

struct http_date {
    int64_t wall_s;
    char text[HTTP_DATE_LEN + 1];
};

/* The date of wall_s, seconds since 1970; the slice lives until the next call. A
 * time before 1970 or after 9999 is clamped. */
weir_str http_date_at(struct http_date *date, int64_t wall_s);
int h1_write_date(struct h1_out *out, struct http_date *date, int64_t wall_s);

#endif
