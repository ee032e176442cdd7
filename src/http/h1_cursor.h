/* What the files of the head parser share during one call: where they are in
 * the input, what they fill, and how they fail.
 *
 * Steps return 1 for done, 0 for "the input ends here", or a negative code after
 * h1_fail(). A step that returns 0 has found no LF before the input's end: a
 * complete line is accepted or refused, whatever follows it. */
#ifndef HTTP_H1_CURSOR_H
#define HTTP_H1_CURSOR_H

#include "http/message.h"

struct h1_cursor {
    const char *base; /* the input */
    const char *p;    /* the next byte */
    const char *end;
    struct http_head *head;
    struct h1_fault *fault;
    uint32_t target_bytes, fields; /* limits, resolved */
    bool response;
    bool at_once;    /* the fault is told though its line is not complete */
    uint8_t method;  /* of the request, when parsing a response */
};

/* Fill the fault (a response's has the status 502) and return the code. */
int h1_fail(struct h1_cursor *c, const char *at, int status, const char *rule, const char *section);
int h1_fail_size(struct h1_cursor *c, const char *at, int status, const char *rule);

/* Why the byte at `at` can't stand in a value, or end one. */
int h1_value_fault(struct h1_cursor *c, const char *at);

/* "Content_Length": what writes names into variables can't tell it from the framing
 * field. */
bool h1_forges_framing(weir_str name);

/* All complete field lines: 1 at the empty line that ends the head. */
struct h1_parser;
int h1_field_lines(struct h1_cursor *c, struct h1_parser *p);

/* The first lines: c->p is at their first byte, and afterwards behind their CRLF. */
int h1_request_line(struct h1_cursor *c);
/* A request's target, up to the space behind it. */
int h1_target(struct h1_cursor *c);
int h1_status_line(struct h1_cursor *c);

/* The rules over the whole head: Host, framing, connection, expectation. */
int h1_judge_request(struct h1_cursor *c);
int h1_judge_response(struct h1_cursor *c);

#endif
