/* Is one text the same JSON as another? For tests of what was answered. */
#ifndef TYPE_JSON_SAME_H
#define TYPE_JSON_SAME_H

#include <stdbool.h>

#include <weir/str.h>

/* wanted may leave out the quotes around names and take single ones around texts.
 * 1: the same; 0: not; -EINVAL: got is no JSON; WEIR_ECONFIG: wanted is none. */
int json_same(weir_str got, const char *wanted);

#endif
