/* A JSON text as the decoder sees it: parsed by yyjson in the thread's scratch
 * memory, gone when the decoding is done. */
#ifndef TYPE_JSON_SOURCE_H
#define TYPE_JSON_SOURCE_H

#include "type/scratch.h"
#include "type/view.h"

struct json_source {
    struct source source;
    struct scratch scratch;
    weir_str text;    /* the caller's */
    char *copy;       /* the same, with strings unescaped in place */
    yyjson_doc *doc;
    const char *what; /* after a failure: what is wrong, */
    size_t offset;    /* and at which byte */
};

/* 0, WEIR_EJSON or -ENOMEM; json_source_done() in any case. Numbers that no
 * double can hold are refused, unless they are left as they are (raw). */
int json_source_parse(struct json_source *json, weir_str text, bool raw_numbers);
void json_source_done(struct json_source *json);

/* Where the last failure was, in lines and columns. */
struct place json_source_place(const struct json_source *json);

#endif
