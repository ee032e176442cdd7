/* Decoding by description: from any source of views into a C struct. */
#ifndef TYPE_DECODE_H
#define TYPE_DECODE_H

#include <weir/type.h>

#include "type/view.h"

struct decoder {
    const struct source *source;
    struct arena *arena; /* what the struct points to */
    struct faults *faults;
    bool input; /* it comes from a client: what is read-only is left out */
    int error;  /* -ENOMEM or WEIR_EWRONGUSE: nothing more is done */
};

/* Decode the value at root into *ret_value, which is untouched unless all of it
 * is in order. 0, WEIR_EINPUT when there are faults, -ENOMEM, WEIR_EWRONGUSE. */
int decode_document(struct decoder *d, const weir_type *type, const void *root, void *ret_value,
                    size_t size);

/* ---- between decode.c and decode_scalar.c ---------------------------------- */

/* A fault at a value. */
#define decode_fault(d, frame, view, hint, ...)                                \
    faults_add((d)->faults, frame, (d)->source->ops->place((d)->source, (view)->at), hint,    \
               __VA_ARGS__)

/* A value of a kind that is no array, map, object or JSON. False after a fault. */
bool decode_scalar(struct decoder *d, const struct frame *at, const weir_type_field *field,
                   const struct view *view, void *out);
/* The field's default, or zero. */
void decode_default(struct decoder *d, const weir_type_field *field, void *out);
/* "… must be <what>, not <what it is>", with a hint. */
void decode_wrong_type(struct decoder *d, const struct frame *at, const weir_type_field *field,
                       const struct view *view);
/* What a field wants, as a phrase: "an integer from 0 to 150". */
weir_str decode_wanted(struct arena *arena, const weir_type_field *field, bool lists);
/* The field's help, or an example; may be empty. */
weir_str decode_hint(struct arena *arena, const weir_type_field *field);

#endif
