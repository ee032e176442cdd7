/* A request's head out of the fields of an HTTP/2 header block (RFC 9113, section 8),
 * judged by the same rules as one of HTTP/1.1.
 *
 * nghttp2 has seen to what is malformed in HTTP/2 alone: order and number of pseudo-
 * fields, upper-case names, fields of the connection, TE, bytes in values. */
#ifndef HTTP_H2_HEAD_H
#define HTTP_H2_HEAD_H

#include "base/arena.h"
#include "http/message.h"

#define H2_LIST_BYTES (32u << 10) /* of a header list: names, values, and 32 for each */
#define H2_FIELD_OVERHEAD 32      /* RFC 9113, section 6.5.2 */

struct h2_crumb {
    struct h2_crumb *next;
    weir_str value;
};

/* What is kept while the fields come; zeroed before. */
struct h2_fields {
    weir_str method, scheme, authority, path;
    struct h2_crumb *crumbs, *last_crumb; /* Cookie, which may come in parts */
    uint32_t crumb_bytes;
    uint32_t list_bytes, count;           /* as the limits count them */
    bool over;                            /* a limit is passed: nothing more is kept */
    bool no_memory;
};

/* Take a field; name and value are copied into the arena. */
void h2_fields_add(struct h2_fields *fields, struct http_head *head, struct arena *arena,
                   const struct http_limits *limits, weir_str name, weir_str value);

/* The block is complete: fill in the head. ends: no body follows. 0, -ENOMEM, or as
 * h1_parse_request() with *ret_fault. */
int h2_fields_finish(struct h2_fields *fields, struct http_head *head, struct arena *arena,
                     const struct http_limits *limits, bool ends, struct h1_fault *ret_fault);

#endif
