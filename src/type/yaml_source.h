/* A YAML text as the decoder sees it: a tree in the document's arena, each node
 * with its place. The tree stays, so that places can be asked for afterwards. */
#ifndef TYPE_YAML_SOURCE_H
#define TYPE_YAML_SOURCE_H

#include "type/view.h"

enum yaml_kind {
    YAML_KIND_PLAIN,  /* a scalar without quotes */
    YAML_KIND_QUOTED, /* any other scalar */
    YAML_KIND_LIST,
    YAML_KIND_MAPPING,
    YAML_KIND_BAD /* not allowed here; its fault is reported */
};

struct yaml_node {
    weir_str text;
    enum yaml_kind kind;
    struct place place;
    size_t count;
    struct yaml_node *first, *last; /* items; in a mapping its keys */
    struct yaml_node *next;         /* the next item or key */
    struct yaml_node *value;        /* of a key */
};

struct yaml_source {
    struct source source;
    struct yaml_node *root; /* NULL before a tree was read */
};

/* Read text into a tree. Faults go to the list; 0 also when there were some (the
 * tree then has gaps, or is missing), or -ENOMEM. */
int yaml_source_read(struct yaml_source *yaml, struct arena *arena, weir_str text,
                     struct faults *faults);

/* The node at a JSON pointer, or the nearest around it; *ret_exact says which. A
 * pointer to a member that is there gives the member's value. */
const struct yaml_node *yaml_source_find(const struct yaml_source *yaml, weir_str pointer,
                                         bool *ret_exact);

#endif
