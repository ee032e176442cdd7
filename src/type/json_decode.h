/* JSON text into a struct, with an arena of the caller's: what the layers above
 * use for a body. */
#ifndef TYPE_JSON_DECODE_H
#define TYPE_JSON_DECODE_H

#include <weir/type.h>

#include "base/arena.h"

#define JSON_DECODE_INPUT 1u /* from a client: what is .read_only is left out */

/* 0, WEIR_EJSON (not JSON: one fault with line and column), WEIR_EINPUT (faults),
 * WEIR_EWRONGUSE, -ENOMEM. *ret_faults (may be NULL) is in the arena. */
int json_decode(struct arena *arena, weir_str text, const weir_type *type, unsigned flags,
                void *ret_value, size_t size, weir_faults *ret_faults);

#endif
