/* The body of an HTTP/1.1 message, out of the bytes that carry it (RFC 9112,
 * sections 6 and 7): by length, chunked, or until the stream ends.
 *
 * Nothing is copied and nothing is kept: every byte fed is used, in pieces of
 * any size, and what is content is given back as slices of the input.
 *
 *     h1_body_init(&body, head, &limits, max_bytes);
 *     while ((rc = h1_body_feed(&body, in, &used, &data, &fault)) == H1_BODY_DATA) {
 *         take(data);
 *         in = weir_str_skip(in, used);
 *     }
 *     in = weir_str_skip(in, used);      for MORE and END as well
 *
 * After END the rest of `in` belongs to the next message. */
#ifndef HTTP_H1_BODY_H
#define HTTP_H1_BODY_H

#include <stdint.h>

#include "http/message.h"

enum {
    H1_BODY_MORE, /* all input is used; there is more to come */
    H1_BODY_DATA, /* *ret_slice holds content (never empty) */
    H1_BODY_END   /* the body is complete; later calls say so again and use nothing */
};

/* A few dozen bytes, part of an exchange. Look at it only through functions. */
struct h1_body {
    uint64_t remain;    /* content bytes left: of the body, or of this chunk */
    uint64_t taken;     /* content bytes given out so far */
    uint64_t max_bytes; /* content bytes that may be */
    uint32_t ext_left;  /* bytes of chunk extensions that may still come */
    uint32_t trailer_left;
    uint32_t trailer_at; /* where in the input of the last call bytes of the trailer section
                            begin; UINT32_MAX: it had none */
    uint8_t state;    /* see the .c, as for the rest */
    uint8_t rule;     /* the one that was broken, when it failed */
    uint8_t digits;   /* of the chunk size being read */
    uint8_t fields;   /* trailer fields begun */
    uint8_t name_len; /* of the trailer name being read, clamped */
    char name[40];    /* its first bytes; no known name is longer */
};

#define H1_BODY_NO_MAX UINT64_MAX

/* Begin the body that head announces. limits may be NULL (defaults). max_bytes
 * bounds the content; a Content-Length above it fails at the first feed. */
void h1_body_init(struct h1_body *body, const struct http_head *head,
                  const struct http_limits *limits, uint64_t max_bytes);

/* Use up some of `in`.
 *
 * Returns H1_BODY_MORE, _DATA or _END (see above), or
 *   WEIR_EBODY      malformed chunk or trailer: *ret_fault tells (status 400)
 *   WEIR_EBODYSIZE  past max_bytes (413), or the limit on extensions or
 *                   trailers (431)
 * *ret_used is how much of `in` it took, *ret_slice content within that; both
 * are set unless it failed. A failure is repeated by all later calls, and the
 * connection can't be used further. Trailer fields are checked and dropped. */
int h1_body_feed(struct h1_body *body, weir_str in, size_t *ret_used, weir_str *ret_slice,
                 struct h1_fault *ret_fault);

/* The stream has ended. Returns H1_BODY_END when that ends the body (or it was
 * complete), WEIR_ETRUNCATED when the body lacks bytes, or the earlier failure. */
int h1_body_eof(struct h1_body *body);

static inline uint64_t h1_body_taken(const struct h1_body *body)
{
    return body->taken;
}

bool h1_body_complete(const struct h1_body *body);

#endif
