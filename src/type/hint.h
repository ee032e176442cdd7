/* What someone may have meant: the name nearest to a word. */
#ifndef TYPE_HINT_H
#define TYPE_HINT_H

#include <weir/str.h>
#include <weir/type.h>

#include "base/arena.h"

struct nearest {
    weir_str word, best;
    size_t distance; /* of best */
};

void nearest_init(struct nearest *nearest, weir_str word);
void nearest_try(struct nearest *nearest, weir_str name);
/* "did you mean `name`?", or an empty text when nothing is near. */
weir_str nearest_hint(const struct nearest *nearest, struct arena *arena);

/* For a key that a type does not have, and a name that an enum does not have. */
weir_str hint_for_key(struct arena *arena, const weir_type *type, weir_str key);
weir_str hint_for_name(struct arena *arena, const weir_enum *names, weir_str name);

/* "debug, info, warn" */
weir_str enum_list(struct arena *arena, const weir_enum *names);

#endif
