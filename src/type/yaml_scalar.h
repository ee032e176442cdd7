/* What a plain YAML scalar is: the core schema of YAML 1.2, section 10.3.2, made
 * strict. Also reads numbers as people write them (parameters, later).
 *
 * Not numbers here: "010" (8 to YAML 1.1, 10 to YAML 1.2), "1_000", ".inf",
 * ".nan", what no double can hold. "yes", "no", "on", "off" are words. */
#ifndef TYPE_YAML_SCALAR_H
#define TYPE_YAML_SCALAR_H

#include "type/view.h"

/* Fill a view's kind and value from its text. */
void yaml_scalar_resolve(struct view *view);

#endif
