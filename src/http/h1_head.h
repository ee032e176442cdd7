/* The heads of HTTP/1.1 requests and responses (RFC 9112, sections 2 to 6).
 *
 * One strict grammar and no switch to loosen it: whatever two parsers could
 * read in two ways is refused, with the rule that it broke.
 *
 * A caller keeps one contiguous buffer that begins where the message begins,
 * and calls again with the same bytes and more until the answer is not 0:
 *
 *     n = h1_parse_request(&conn->parser, in, head, &fault);
 *     if (n > 0)       the head is in[0..n); the body begins at in[n]
 *     else if (n == 0) wait for more; keep head, and the bytes so far
 *     else             answer fault.status, close the connection lingering
 *
 * The buffer may have moved between two calls: the slices of what was parsed
 * already are moved along. Feeding bytes one at a time costs no more than a
 * constant factor: lines that were complete are not looked at again, and of the
 * last one only the new bytes are.
 *
 * How an input is split never changes the outcome: a fault in a line is told
 * once the line is complete (two exceptions, told at once: a first byte that
 * can't begin a message, and the limits). */
#ifndef HTTP_H1_HEAD_H
#define HTTP_H1_HEAD_H

#include <stdint.h>

#include "http/message.h"

/* What is kept between two calls; 32 bytes, a connection's own. */
struct h1_parser {
    const struct http_limits *limits;
    const char *base;  /* where the input was at the last call */
    uint32_t line;     /* the first byte of the first line not parsed yet */
    uint32_t scanned;  /* no LF in in[line..scanned) */
    uint8_t state;     /* START, FIELDS; see the .c */
    uint8_t scan;      /* enum scan_form: the best there is; tests give each */
};

/* limits is kept, not copied; NULL means the defaults. */
void h1_parser_init(struct h1_parser *p, const struct http_limits *limits);

/* Whether a head is begun but not complete: whether the caller must keep the
 * same struct http_head for the next call. False before the first byte's call,
 * after a whole head, and after a failure: the parser is then ready for the
 * next message. */
bool h1_parser_partial(const struct h1_parser *p);

/* Parse the head of a request.
 *
 * Returns the bytes of the head (> 0), 0 when more input is needed, or
 *   WEIR_EHEAD      malformed, or not served: *ret_fault tells; status 400, 417
 *                   (Expect), 501 (transfer coding, CONNECT) or 505
 *   WEIR_EHEADSIZE  over a limit: status 414 or 431
 * head is filled bit by bit and only means something after a positive result;
 * its slices point into `in`. *ret_fault is written on failure only. One empty
 * line before the request line is skipped (RFC 9112, section 2.2) and counted. */
int h1_parse_request(struct h1_parser *p, weir_str in, struct http_head *head,
                     struct h1_fault *ret_fault);

/* Parse the head of a response to a request with that method.
 *
 * Returns the same; the status of a fault is always 502. An informational (1xx)
 * head is a head like others, without a body: the caller parses on for the
 * final one, unless it is 101 (head->upgrade). */
int h1_parse_response(struct h1_parser *p, weir_str in, enum http_method request_method,
                      struct http_head *head, struct h1_fault *ret_fault);

#endif
