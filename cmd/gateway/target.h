/* Targets of calls: "/orders?user={id}", a path and query with places for the
 * route's parameters. */
#ifndef GATEWAY_TARGET_H
#define GATEWAY_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/str.h>

#include "base/arena.h"

#define TARGET_PARAMS_MAX 16
#define TARGET_BYTES_MAX 4096

/* What stands between the braces; slices of the target's text. */
struct target {
    weir_str names[TARGET_PARAMS_MAX];
    size_t count;
};

/* What is wrong, as the rest of a sentence about the target, and what to write. */
struct target_fault {
    const char *what, *hint;
    weir_str at; /* the part of the text that is meant */
};

/* Take a target apart. False with the first fault. */
bool target_read(weir_str text, struct target *ret_target, struct target_fault *ret_fault);

/* The format for weir_url_format(): base, then text with "{}" in each place. A
 * NULL pointer without memory. text is one that target_read() accepts. */
const char *target_format(struct arena *arena, weir_str base, weir_str text);

#endif
