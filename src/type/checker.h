/* What a rule (weir_check_fn) reports through. */
#ifndef TYPE_CHECKER_H
#define TYPE_CHECKER_H

#include "type/decode.h"

struct weir_checker {
    struct decoder *decoder;
    const struct frame *at; /* the struct that is checked */
    const struct view *view;
};

#endif
