/* What the decoder sees of a document, whatever it was written in.
 *
 * A source (a YAML tree, a parsed JSON text; later a query's parameters, a row)
 * shows one value at a time as a view, and walks what is inside it. The decoder
 * knows sources only through this. */
#ifndef TYPE_VIEW_H
#define TYPE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/str.h>

#include "type/fault.h"

enum view_kind {
    VIEW_NULL,
    VIEW_BOOL,
    VIEW_INT,  /* negative: i */
    VIEW_UINT, /* 0 or positive: u */
    VIEW_REAL, /* d, finite */
    VIEW_STR,
    VIEW_ARRAY,
    VIEW_OBJECT,
    VIEW_BAD /* its fault was reported already: skip it */
};

struct view {
    const void *at; /* the source's */
    enum view_kind kind;
    bool plain;     /* text without quotes: its kind is only a guess, the type decides */
    weir_str text;  /* of strings, and as written of what is plain */
    size_t count;   /* of items or members */
    union {
        bool truth;
        int64_t i;
        uint64_t u;
        double d;
    };
};

/* An item of an array (no key), or a member of an object. */
struct member {
    weir_str key;
    const void *key_at;
    const void *at;
};

struct walk {
    const void *next;
    size_t left;
    bool keyed;
};

struct source {
    const struct source_ops *ops;
    bool lists;  /* says "list" and "mapping" for array and object, as YAML does */
    bool stable; /* texts live as long as the arena decoded into: no copy needed */
};

struct source_ops {
    void (*view)(const struct source *source, const void *at, struct view *ret_view);
    void (*walk)(const struct source *source, const struct view *view, struct walk *ret_walk);
    bool (*next)(const struct source *source, struct walk *walk, struct member *ret_member);
    struct place (*place)(const struct source *source, const void *at);
    /* The value of an object's member as JSON text; a NULL pointer without memory. */
    weir_str (*json)(const struct source *source, struct arena *arena, const struct member *member);
};

#endif
