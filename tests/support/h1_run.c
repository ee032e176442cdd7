/* See h1_run.h. */
#include "support/h1_run.h"

#include <stdio.h>
#include <stdlib.h>

#include <weir/error.h>

#define CUTS_MAX 64

static char *copy(const char *ptr, size_t len)
{
    char *block = malloc(len ? len : 1);

    if (!block)
        abort();
    if (len)
        memcpy(block, ptr, len);
    return block;
}

static void add_slice(struct strbuf *out, const char *label, weir_str s)
{
    if (!s.ptr)
        return;
    strbuf_addf(out, " %s=<", label);
    strbuf_add(out, s);
    strbuf_add_c(out, ">");
}

static void add_fault(struct strbuf *out, int rc, const struct h1_fault *f, size_t before)
{
    strbuf_addf(out, "%s %d: %s (%s), byte %zu", weir_error_name(rc), f->status, f->rule,
                f->section, before + f->offset);
}

static void add_fields(struct strbuf *out, const struct http_head *h)
{
    for (size_t i = 0; i < h->field_count; i++) {
        const struct http_field *f = &h->fields[i];

        strbuf_add_c(out, "\n  ");
        strbuf_add(out, http_field_name(f));
        strbuf_add_c(out, "=<");
        strbuf_add(out, http_field_value(f));
        strbuf_addf(out, "> %d %d", f->id, f->next);
        if (f->id != http_field_find(http_field_name(f)))
            abort();
    }
    for (int id = 1; id < HTTP_FIELD_ID_COUNT; id++)
        for (const struct http_field *f = http_field_first(h, (enum http_field_id)id); f;
             f = http_field_next(h, f))
            if (f->id != id)
                abort();
}

static void add_head(struct strbuf *out, const struct http_head *h, int n)
{
    static const char *const kinds[] = { "none", "length", "chunked", "close" };

    strbuf_addf(out, "%d", n);
    if (h->status)
        strbuf_addf(out, " status=%d", h->status);
    add_slice(out, "reason", h->reason);
    add_slice(out, "method", h->method_text);
    add_slice(out, "target", h->target);
    add_slice(out, "path", h->path);
    add_slice(out, "query", h->query);
    add_slice(out, "authority", h->authority);
    add_slice(out, "host", h->host);
    if (h->port)
        strbuf_addf(out, " port=%d", h->port);
    strbuf_addf(out, " 1.%d body=%s", h->version_minor, kinds[h->body]);
    if (h->content_length >= 0)
        strbuf_addf(out, " length=%lld", (long long)h->content_length);
    strbuf_add_c(out, h->keep_alive ? " keep" : " close");
    strbuf_add_c(out, h->chunked ? " chunked" : "");
    strbuf_add_c(out, h->expect_continue ? " expect" : "");
    strbuf_add_c(out, h->upgrade ? " upgrade" : "");
    strbuf_add_c(out, h->upgrade_body ? " upgrade_body" : "");
    strbuf_add_c(out, h->absolute ? " absolute" : "");
    strbuf_add_c(out, h->secure ? " secure" : "");
    add_fields(out, h);
}

static int parse(const struct h1_run *run, struct h1_parser *p, weir_str in, struct http_head *head,
                 struct h1_fault *fault)
{
    if (run->what == H1_RUN_REQUEST)
        return h1_parse_request(p, in, head, fault);
    return h1_parse_response(p, in, run->method, head, fault);
}

static size_t piece_end(weir_str in, const size_t *cuts, size_t count, size_t i)
{
    return i < count && cuts[i] < in.len ? cuts[i] : in.len;
}

static void run_head(const struct h1_run *run, weir_str in, const size_t *cuts, size_t count,
                     struct strbuf *out)
{
    struct http_head *head = malloc(sizeof *head);
    struct h1_parser parser;
    struct h1_fault fault;
    char *block = NULL;
    int rc = 0;

    h1_parser_init(&parser, &run->limits);
    parser.scan = (uint8_t)run->scan;
    for (size_t i = 0; i <= count && rc == 0; i++) {
        size_t len = piece_end(in, cuts, count, i);
        char *next = copy(in.ptr, len);

        free(block);
        block = next;
        rc = parse(run, &parser, weir_str_from(block, len), head, &fault);
        if (rc > (int)len || h1_parser_partial(&parser) != (rc == 0 && len > 0))
            abort();
    }
    if (rc > 0)
        add_head(out, head, rc);
    else if (rc < 0)
        add_fault(out, rc, &fault, 0);
    else
        strbuf_add_c(out, "more");
    free(block);
    free(head);
}

/* Feed one piece to the end. Returns the last result. */
static int feed(struct h1_body *body, weir_str piece, size_t *at, struct strbuf *content,
                struct h1_fault *fault)
{
    size_t used = 0;
    weir_str slice = { NULL, 0 };
    int rc;

    do {
        rc = h1_body_feed(body, piece, &used, &slice, fault);
        if (rc < 0)
            return rc;
        if (used > piece.len || (rc == H1_BODY_DATA) != (slice.len > 0) ||
            (slice.len && (slice.ptr < piece.ptr || slice.ptr + slice.len > piece.ptr + used)) ||
            (rc == H1_BODY_MORE && used != piece.len))
            abort();
        strbuf_add(content, slice);
        piece = weir_str_skip(piece, used);
        *at += used;
    } while (rc == H1_BODY_DATA);
    return rc;
}

static void run_body(const struct h1_run *run, weir_str in, const size_t *cuts, size_t count,
                     struct strbuf *out)
{
    static struct http_head head;
    struct strbuf content = STRBUF_INIT;
    struct h1_body body;
    struct h1_fault fault = { "", "", 0, 0 };
    size_t at = 0, start = 0;
    int rc = H1_BODY_MORE;

    http_head_init(&head);
    head.body = (uint8_t)run->body;
    head.content_length = run->content_length;
    h1_body_init(&body, &head, &run->limits, run->max_bytes ? run->max_bytes : H1_BODY_NO_MAX);
    for (size_t i = 0; i <= count && rc == H1_BODY_MORE; i++) {
        size_t end = piece_end(in, cuts, count, i);
        char *block = copy(in.ptr + start, end - start);

        rc = feed(&body, weir_str_from(block, end - start), &at, &content, &fault);
        start = end;
        free(block);
    }
    if (h1_body_taken(&body) != content.len || h1_body_complete(&body) != (rc == H1_BODY_END))
        abort();
    if (rc < 0)
        add_fault(out, rc, &fault, at);
    else
        strbuf_addf(out, "%s %zu", rc == H1_BODY_END ? "end" : "more", at);
    rc = h1_body_eof(&body);
    strbuf_addf(out, ", eof %s", rc == H1_BODY_END ? "end" : weir_error_name(rc));
    strbuf_add_c(out, "\n");
    strbuf_add(out, strbuf_str(&content));
    strbuf_done(&content);
}

void h1_run(const struct h1_run *run, weir_str in, const size_t *cuts, size_t count,
            struct strbuf *out)
{
    if (run->what == H1_RUN_BODY)
        run_body(run, in, cuts, count, out);
    else
        run_head(run, in, cuts, count, out);
}

static bool same(const struct h1_run *run, weir_str in, const size_t *cuts, size_t count,
                 const struct strbuf *want)
{
    struct strbuf got = STRBUF_INIT;
    bool equal;

    h1_run(run, in, cuts, count, &got);
    equal = weir_str_eq(strbuf_str(&got), strbuf_str(want));
    if (!equal)
        fprintf(stderr,
                "input <%.*s>\nform %d, cut %zu times, first at %zu\nwhole: %.*s\ncut:   %.*s\n",
                WEIR_ARG(in), (int)run->scan, count, count ? cuts[0] : 0,
                WEIR_ARG(strbuf_str(want)), WEIR_ARG(strbuf_str(&got)));
    strbuf_done(&got);
    return equal;
}

/* The forms that the input is to be run with: only heads have several. */
static bool next_form(struct h1_run *run)
{
    do {
        run->scan++;
    } while (run->scan < SCAN_FORMS && !scan_has(run->scan));
    return run->what != H1_RUN_BODY && run->scan < SCAN_FORMS;
}

char *h1_run_all(const struct h1_run *how, weir_str in)
{
    struct h1_run run = *how;
    struct strbuf want = STRBUF_INIT;
    size_t *every = malloc((in.len + 1) * sizeof *every);
    bool ok = every != NULL;

    run.scan = SCAN_WORDS;
    h1_run(&run, in, NULL, 0, &want);
    do {
        ok = ok && same(&run, in, NULL, 0, &want);
        for (size_t cut = 0; ok && cut < in.len; cut++) {
            every[cut] = cut;
            ok = same(&run, in, &cut, 1, &want);
        }
        ok = ok && same(&run, in, every, in.len, &want);
    } while (ok && next_form(&run));
    free(every);
    if (ok)
        return strbuf_take(&want);
    strbuf_done(&want);
    return NULL;
}

void h1_run_random(const struct h1_run *how, weir_str in, uint64_t seed)
{
    struct h1_run run = *how;
    struct strbuf want = STRBUF_INIT;
    size_t cuts[CUTS_MAX], count = 0, at = 0;

    while (count < CUTS_MAX) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        at += (seed >> 33) % ((seed >> 60) < 8 ? 4 : 64);
        if (at >= in.len)
            break;
        cuts[count++] = at;
    }
    run.scan = SCAN_WORDS;
    h1_run(&run, in, NULL, 0, &want);
    do {
        if (!same(&run, in, NULL, 0, &want) || !same(&run, in, cuts, count, &want))
            abort();
    } while (next_form(&run));
    strbuf_done(&want);
}
