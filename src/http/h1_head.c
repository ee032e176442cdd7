/* Parsing a head line by line (RFC 9112): the part that resumes. The first lines
 * are in h1_line.c, the field lines in h1_fields.c, the rules over a whole head in
 * h1_judge.c.
 *
 * States: START -> LINE -> FIELDS -> START. LINE is START with one empty line
 * skipped, which only requests have. Any failure leads back to START.
 *
 * Invariants: state START has line == scanned == 0, or holds an incomplete first
 * line from byte 0; in[0..line) is parsed into the head, relative to base;
 * in[line..scanned) holds no LF. */
#include "http/h1_head.h"

#include <weir/error.h>

#include "http/h1_cursor.h"
#include "http/scan_vector.h"

enum { START, LINE, FIELDS };

/* Lengths of names are kept in 16 bits. */
#define HEAD_BYTES_MOST 65535u

int h1_fail(struct h1_cursor *c, const char *at, int status, const char *rule, const char *section)
{
    *c->fault = (struct h1_fault){ rule, section, c->response ? 502 : status,
                                   (size_t)(at - c->base) };
    return WEIR_EHEAD;
}

int h1_fail_size(struct h1_cursor *c, const char *at, int status, const char *rule)
{
    WEIR_IGNORE(h1_fail(c, at, status, rule, "limit"), "the code is another");
    return WEIR_EHEADSIZE;
}

void h1_parser_init(struct h1_parser *p, const struct http_limits *limits)
{
    static const struct http_limits defaults;

    *p = (struct h1_parser){ .limits = limits ? limits : &defaults, .scan = (uint8_t)scan_best() };
}

bool h1_parser_partial(const struct h1_parser *p)
{
    return p->state != START || p->scanned > 0;
}

static void restart(struct h1_parser *p)
{
    p->line = p->scanned = 0;
    p->state = START;
}

/* The buffer has moved: so have the slices of the lines that were parsed. The
 * old address is only a number by now. */
static const char *moved(const char *ptr, uintptr_t from, size_t len, const char *to)
{
    uintptr_t at = (uintptr_t)ptr - from;

    return ptr && at <= len ? to + at : ptr;
}

static void rebase(struct h1_parser *p, struct http_head *head, const char *base)
{
    weir_str *slices[] = { &head->method_text, &head->target, &head->path,  &head->query,
                           &head->authority,   &head->host,   &head->reason };
    uintptr_t from = (uintptr_t)p->base;

    for (size_t i = 0; i < sizeof slices / sizeof *slices; i++)
        slices[i]->ptr = moved(slices[i]->ptr, from, p->line, base);
    for (size_t i = 0; i < head->field_count; i++) {
        head->fields[i].name = moved(head->fields[i].name, from, p->line, base);
        head->fields[i].value = moved(head->fields[i].value, from, p->line, base);
    }
    p->base = base;
}

/* Before the first line: told at once, since what is no HTTP (a TLS hello, say)
 * may never send an LF. */
static int first_byte(struct h1_cursor *c)
{
    if (c->response ? *c->p == 'H' : scan_is(*c->p, SCAN_METHOD) || *c->p == '\r')
        return 1;
    c->at_once = true;
    return h1_fail(c, c->p, 400, "a byte that can't begin a message", "RFC 9112, section 2.1");
}

/* At most one empty line before a request (RFC 9112, section 2.2). */
static int skip_empty_line(struct h1_cursor *c, struct h1_parser *p)
{
    if (p->state == LINE || c->response || *c->p != '\r')
        return 1;
    if (c->end - c->p < 2)
        return 0;
    if (c->p[1] != '\n')
        return h1_value_fault(c, c->p);
    c->p += 2;
    p->line = 2;
    p->state = LINE;
    return c->p < c->end;
}

static int first_line(struct h1_cursor *c, struct h1_parser *p)
{
    int rc = first_byte(c);

    if (rc > 0)
        rc = skip_empty_line(c, p);
    if (rc > 0 && p->state == LINE)
        rc = first_byte(c);
    if (rc <= 0)
        return rc;
    rc = c->response ? h1_status_line(c) : h1_request_line(c);
    if (rc > 0)
        p->state = FIELDS;
    return rc;
}

static int lines(struct h1_cursor *c, struct h1_parser *p)
{
    int rc = p->state == FIELDS ? 1 : first_line(c, p);

    return rc > 0 ? h1_field_lines(c, p) : rc;
}

/* Set the cursor to the first line that is not parsed, and say whether it is
 * worth a look: whether its LF is there, or nothing is known of it. */
static bool resume(struct h1_cursor *c, struct h1_parser *p, weir_str in)
{
    bool known = p->scanned > p->line;
    const char *from = in.ptr + (known ? p->scanned : p->line);

    if (p->state != FIELDS) {
        http_head_init(c->head);
        p->base = in.ptr;
    } else if (p->base != in.ptr) {
        rebase(p, c->head, in.ptr);
    }
    c->p = in.ptr + p->line;
    return from < c->end && (!known || memchr(from, '\n', (size_t)(c->end - from)));
}

static int judge(struct h1_cursor *c)
{
    return c->response ? h1_judge_response(c) : h1_judge_request(c);
}

/* Ask for more, unless what there is can't become a head within the limit. */
static int more(struct h1_cursor *c, struct h1_parser *p, uint32_t limit)
{
    p->scanned = (uint32_t)(c->end - c->base);
    if (p->scanned < limit)
        return 0;
    if (p->state != FIELDS && !c->response)
        return h1_fail_size(c, c->base, 414, "the request line is too long");
    return h1_fail_size(c, c->base, 431, "the head is too long");
}

/* A fault in a line whose LF has not come is not told yet, so that the outcome
 * is the same however the input was split. */
static bool line_complete(const struct h1_cursor *c, const struct h1_parser *p)
{
    const char *line = c->base + p->line;

    return memchr(line, '\n', (size_t)(c->end - line)) != NULL;
}

static int parse(struct h1_parser *p, weir_str in, struct h1_cursor *c)
{
    const struct http_limits *l = p->limits;
    uint32_t limit = l->head_bytes ? l->head_bytes : HTTP_HEAD_BYTES;
    int rc = 0;

    limit = limit < HEAD_BYTES_MOST ? limit : HEAD_BYTES_MOST;
    c->target_bytes = l->target_bytes ? l->target_bytes : HTTP_TARGET_BYTES;
    c->fields = l->fields && l->fields < HTTP_FIELDS_MAX ? l->fields : HTTP_FIELDS_MAX;
    c->base = in.ptr;
    if (in.len == 0)
        return 0;
    c->end = in.ptr + (in.len < limit ? in.len : limit);
    if (resume(c, p, in)) {
        rc = lines(c, p);
        if (rc < 0 && !c->at_once && !line_complete(c, p))
            rc = 0;
        if (rc > 0)
            rc = judge(c) < 0 ? WEIR_EHEAD : (int)(c->p - c->base);
    }
    if (rc == 0)
        rc = more(c, p, limit);
    if (rc != 0)
        restart(p);
    return rc;
}

int h1_parse_request(struct h1_parser *p, weir_str in, struct http_head *head,
                     struct h1_fault *ret_fault)
{
    struct h1_fault fault;
    struct h1_cursor c = { .head = head, .fault = &fault };
    int rc = parse(p, in, &c);

    if (rc < 0)
        *ret_fault = fault;
    return rc;
}

int h1_parse_response(struct h1_parser *p, weir_str in, enum http_method request_method,
                      struct http_head *head, struct h1_fault *ret_fault)
{
    struct h1_fault fault;
    struct h1_cursor c = {
        .head = head, .fault = &fault, .response = true, .method = (uint8_t)request_method
    };
    int rc = parse(p, in, &c);

    if (rc < 0)
        *ret_fault = fault;
    return rc;
}
