/* Runs the HTTP/1.1 parsers over an input cut into pieces, and tells the outcome
 * as text, so that outcomes are compared as a whole: what one cut yields, every
 * other must yield. Each piece lies in a block of exactly its size, and moves
 * from one call to the next, so that a sanitizer sees a byte read behind the end
 * or a slice left behind. */
#ifndef SUPPORT_H1_RUN_H
#define SUPPORT_H1_RUN_H

#include "base/strbuf.h"
#include "http/h1_body.h"
#include "http/h1_head.h"
#include "http/scan_vector.h"

struct h1_run {
    enum { H1_RUN_REQUEST, H1_RUN_RESPONSE, H1_RUN_BODY } what;
    enum http_method method;    /* of the request that a response answers */
    enum http_body_kind body;   /* of H1_RUN_BODY */
    int64_t content_length;
    uint64_t max_bytes;         /* 0 means no bound */
    struct http_limits limits;
    enum scan_form scan;        /* of the heads: only one that the processor has */
};

/* Append the outcome of feeding in with cuts at those (ascending) lengths. */
void h1_run(const struct h1_run *run, weir_str in, const size_t *cuts, size_t count,
            struct strbuf *out);

/* Run it whole, cut in two at every point, and byte by byte, a head so with every
 * form of scan_vector.h. Returns the outcome
 * if all agree (the caller frees it), else NULL after printing what differs. */
char *h1_run_all(const struct h1_run *run, weir_str in);

/* Run it whole and with cuts chosen by seed, with every form; stop the process if they differ. */
void h1_run_random(const struct h1_run *run, weir_str in, uint64_t seed);

#endif
