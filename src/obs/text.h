/* Numbers and UTF-8 as the log and the metrics print them: the same in every
 * locale, and without the heap. */
#ifndef OBS_TEXT_H
#define OBS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/str.h>

#define TEXT_NUMBER_BYTES 32 /* holds any of the numbers below */

/* Each returns the length; out has TEXT_NUMBER_BYTES and is not terminated. */
size_t text_u64(char *out, uint64_t value);
size_t text_i64(char *out, int64_t value);
/* The shortest of 15 or 17 digits that reads back as value; it must be finite. */
size_t text_f64(char *out, double value);

#endif
