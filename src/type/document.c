/* Documents: text decoded at start-up, where no task runs; see weir/type.h.
 *
 * A document owns an arena. Everything is in it: the YAML tree with its places,
 * what the struct points to, the faults. It is filled once.
 *
 * Invariant: the faults are in the order of their places. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <weir/error.h>
#include <weir/type.h>

#include "base/alloc.h"
#include "type/decode.h"
#include "type/json_decode.h"
#include "type/yaml_source.h"

#define DOCUMENT_BYTES_MAX (4u << 20)

struct weir_document {
    struct arena arena;
    struct faults faults;
    struct yaml_source yaml;
    weir_str name;
    size_t max_bytes;
    bool used;
};

weir_document *weir_document_new_opt(const char *name, const weir_document_opts *opts)
{
    weir_document *doc = base_calloc(1, sizeof *doc);

    if (!doc)
        return NULL;
    arena_init(&doc->arena, NULL);
    faults_init(&doc->faults, &doc->arena);
    doc->max_bytes = opts && opts->max_bytes ? opts->max_bytes : DOCUMENT_BYTES_MAX;
    doc->name = arena_dup(&doc->arena, weir_str_c(name));
    if (!doc->name.ptr) {
        weir_document_free(doc);
        return NULL;
    }
    return doc;
}

void weir_document_free(weir_document *doc)
{
    if (!doc)
        return;
    arena_reset(&doc->arena);
    base_free(doc);
}

/* By line and column; those without a place stay where they were found. */
static void sort_faults(struct faults *faults)
{
    for (size_t i = 1; i < faults->count; i++) {
        weir_fault fault = faults->list[i];
        size_t j = i;

        for (; j > 0; j--) {
            const weir_fault *before = &faults->list[j - 1];

            if (before->line < fault.line ||
                (before->line == fault.line && before->column <= fault.column))
                break;
            faults->list[j] = *before;
        }
        faults->list[j] = fault;
    }
}

__attribute__((format(printf, 3, 4))) static void add_fault(weir_document *doc, struct place place,
                                                            const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    faults_addv(&doc->faults, WEIR_S(""), place, NULL, fmt, args);
    va_end(args);
}

static int document_begin(weir_document *doc, weir_str text)
{
    if (doc->used)
        return weir_fail(WEIR_EWRONGUSE, "%.*s: a document is filled once", WEIR_ARG(doc->name));
    doc->used = true;
    if (!text.ptr)
        return -ENOMEM;
    if (text.len > doc->max_bytes)
        add_fault(doc, (struct place){ 1, 1 }, "the document has %zu bytes, the limit is %zu",
                  text.len, doc->max_bytes);
    return doc->faults.no_memory ? -ENOMEM : 0;
}

static int document_end(weir_document *doc, int rc)
{
    sort_faults(&doc->faults);
    if (doc->faults.no_memory)
        rc = -ENOMEM;
    if (rc == WEIR_ECONFIG || rc == WEIR_EINPUT || rc == WEIR_EJSON)
        return weir_fail(rc, "%.*s has %zu fault%s", WEIR_ARG(doc->name),
                         doc->faults.count + doc->faults.left_out,
                         doc->faults.count + doc->faults.left_out == 1 ? "" : "s");
    return rc;
}

int weir_document_yaml_sized(weir_document *doc, weir_str text, const weir_type *type,
                             void *ret_value, size_t size)
{
    struct decoder d = { .source = &doc->yaml.source,
                         .arena = &doc->arena,
                         .faults = &doc->faults };
    int rc = document_begin(doc, text);

    if (rc < 0)
        return rc;
    if (doc->faults.count == 0)
        rc = yaml_source_read(&doc->yaml, &doc->arena, text, &doc->faults);
    if (rc == 0 && doc->yaml.root)
        rc = decode_document(&d, type, doc->yaml.root, ret_value, size);
    if (rc == WEIR_EINPUT || (rc == 0 && doc->faults.count))
        rc = WEIR_ECONFIG;
    return document_end(doc, rc);
}

int weir_document_json_sized(weir_document *doc, weir_str text, const weir_type *type,
                             void *ret_value, size_t size)
{
    int rc = document_begin(doc, text);
    weir_faults found = { 0 };

    if (rc < 0)
        return rc;
    if (doc->faults.count)
        return document_end(doc, WEIR_EINPUT);
    rc = json_decode(&doc->arena, text, type, 0, ret_value, size, &found);
    doc->faults.list = (weir_fault *)(uintptr_t)found.list;
    doc->faults.count = doc->faults.room = found.count;
    doc->faults.left_out = found.left_out;
    return document_end(doc, rc);
}

void weir_document_fault(weir_document *doc, const char *path, const char *hint, const char *fmt,
                         ...)
{
    struct place place;
    va_list args;

    if (faults_full(&doc->faults))
        return;
    (void)weir_document_place(doc, path, &place.line, &place.column);
    va_start(args, fmt);
    faults_addv(&doc->faults, arena_dup(&doc->arena, weir_str_c(path)), place, hint, fmt, args);
    va_end(args);
    sort_faults(&doc->faults);
}

weir_faults weir_document_faults(const weir_document *doc)
{
    return faults_list(&doc->faults);
}

bool weir_document_place(const weir_document *doc, const char *path, uint32_t *ret_line,
                         uint32_t *ret_column)
{
    const struct yaml_node *node;
    bool exact;

    node = yaml_source_find(&doc->yaml, weir_str_c(path), &exact);
    *ret_line = node ? node->place.line : 0;
    *ret_column = node ? node->place.column : 0;
    return exact;
}

size_t weir_document_print(const weir_document *doc, char *text, size_t size)
{
    size_t len = 0;
    char none[1];

    if (size == 0) { /* only the length is asked for */
        text = none;
        size = sizeof(none);
    }
    text[0] = '\0';
    for (size_t i = 0; i < doc->faults.count; i++) {
        size_t at = len < size ? len : size;

        len += weir_fault_print(text + at, size - at, doc->name, &doc->faults.list[i]);
        at = len < size ? len : size;
        len += (size_t)snprintf(text + at, size - at, "\n");
    }
    if (doc->faults.left_out) {
        size_t at = len < size ? len : size;

        len += (size_t)snprintf(text + at, size - at, "%.*s: and %zu more\n", WEIR_ARG(doc->name),
                                doc->faults.left_out);
    }
    return len;
}
