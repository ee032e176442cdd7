/* Durations and sizes as people write them. */
#ifndef TYPE_UNITS_H
#define TYPE_UNITS_H

#include <stdint.h>

#include "type/sink.h"

/* "300ms", "1.5s", "5m", "1h", "2d", "0"; whole milliseconds. 0, -EINVAL for what
 * is none, -ERANGE for one that does not fit. */
int duration_parse(weir_str text, uint32_t *ret_ms);
/* The same for a flag: a number without a unit is of seconds. -ERANGE for more
 * than a day. */
int duration_parse_flag(const char *text, uint32_t *ret_ms);
/* In the largest unit that needs no fraction: "90s", "1h". */
void duration_write(struct sink *sink, uint32_t ms);

/* "32KiB", "1.5MiB" (powers of 1,024), "10MB" (powers of 1,000), "100B", "100";
 * whole bytes. Errors as above. */
int bytes_parse(weir_str text, uint64_t *ret_bytes);
void bytes_write(struct sink *sink, uint64_t bytes);

#endif
